"""Attention of com.microsoft against onnxruntime; where the CPU has no kernel, against
the unpacked or unfused form."""

import functools

import numpy as np
import ort
import pytest
from harness import check_node, compile_fails

DOMAIN = "com.microsoft"
TOLERANCE = {"rtol": 2e-5, "atol": 2e-5, "x64": False}
check = functools.partial(ort.check, domain=DOMAIN)
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def i32(values):
    return np.array(values, np.int32)


def queries_mask(keys):
    """Where all keys are hidden, -10000 leaves little of the scores to compare."""
    mask = np.random.default_rng(0).integers(0, 2, (2, 5, keys))
    mask[..., 0] = 1
    return i32(mask)


# ---- Attention -----------------------------------------------------------------------

MASKS = {
    "none": None,
    "ends": i32([3, 5]),
    "ends and starts": i32([4, 5, 1, 0]),
    "keys": i32([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]]),
    "same": i32([[0], [1]]),
    "queries": queries_mask(5),
}


def projected():
    return [rand(2, 5, 12), rand(12, 24, seed=1), rand(24, seed=2)]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("causal", [0, 1])
def test_attention(mask, causal):
    attrs = {"num_heads": 2, "unidirectional": causal}
    check("Attention", [*projected(), MASKS[mask]], attrs)


@pytest.mark.parametrize("op", ["Attention", "MultiHeadAttention"])
def test_ends_and_more(op):
    """Lengths of the keys, then where queries and keys of each sequence begin in all:
    the CPU kernels read those as starts, so this is compared with the lengths alone."""
    inputs = projected() if op == "Attention" else [*qkv(5), None]
    ends, attrs = i32([2, 4]), {"num_heads": 2}
    names = {f"x{i}": a for i, a in enumerate([*inputs, ends]) if a is not None}
    order = {f"x{i}": a for i, a in enumerate([*inputs, ends])}
    model = ort.harness.make_model(op, order, attrs, opset=1, domain=DOMAIN)
    expected = ort.run(model, names)
    more = i32([*ends, 0, 5, 10, 0, 5, 10])
    options = {"domain": DOMAIN, "expected": expected, "dynamic": False, **TOLERANCE}
    check_node(op, [*inputs, more], attrs, **options)


def test_attention_code():
    source = check("Attention", [*projected(), MASKS["keys"]], {"num_heads": 2})
    assert "*split_qkv(arg_0 @ arg_1 + arg_2, 2)" in source


@pytest.mark.parametrize(
    "options",
    [{"scale": 0.3}, {"mask_filter_value": -2.0}, {"qkv_hidden_sizes": [8, 8, 4]}],
)
@pytest.mark.parametrize("mask", ["ends", "keys"])
def test_attention_options(options, mask):
    x, w, b = projected()
    if "qkv_hidden_sizes" in options:
        w, b = w[:, :20], b[:20]
    check("Attention", [x, w, b, MASKS[mask]], {"num_heads": 2} | options)


def test_attention_bias():
    for shape in ((2, 2, 5, 5), (1, 2, 5, 5)):
        inputs = [*projected(), MASKS["keys"], None, rand(*shape, seed=3)]
        check("Attention", inputs, {"num_heads": 2})
    x, w, _ = projected()
    b = np.zeros(24, np.float32)
    model = [x, w, b]
    names = dict(zip("xwb", model, strict=True))
    node = {"num_heads": 2}
    expected = ort.run(
        ort.harness.make_model("Attention", names, node, opset=1, domain=DOMAIN), names
    )
    check_node("Attention", [x, w], node, domain=DOMAIN, expected=expected, **TOLERANCE)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("mask", ["none", "keys", "queries"])
def test_attention_cache(causal, past, mask):
    keys = 8 if past else 5
    shape = {"none": None, "keys": (2, keys), "queries": (2, 5, keys)}[mask]
    draw = np.random.default_rng(1).integers
    given = None if shape is None else draw(0, 2, shape).astype(np.int32)
    if given is not None:
        given[..., 0] = 1
    inputs = [*projected(), given, rand(2, 2, 2, 3, 4, seed=4) if past else None]
    check("Attention", inputs, {"num_heads": 2, "unidirectional": causal}, outputs=2)


def test_attention_of_megatron_masks():
    """No CPU kernel for masks of rank 4: the same as one of rank 3."""
    mask = np.random.default_rng(0).integers(0, 2, (2, 1, 9, 9)).astype(np.int32)
    past = rand(2, 2, 2, 3, 4, seed=4)
    inputs = [*projected(), np.ascontiguousarray(mask[:, 0, 3:8, :8]), past]
    names = dict(zip("xwbmp", inputs, strict=True))
    attrs = {"num_heads": 2}
    build = functools.partial(ort.harness.make_model, "Attention", outputs=2)
    expected = ort.run(build(names, attrs, opset=1, domain=DOMAIN), names)
    inputs[3] = mask
    options = {"domain": DOMAIN, "outputs": 2, "expected": expected, **TOLERANCE}
    check_node("Attention", inputs, attrs, **options)


def test_attention_errors():
    x, w, b = projected()
    heads = {"num_heads": 2}
    fails("Attention", [x, w, b], {"num_heads": 5}, message="do not fit the weights")
    fails("Attention", [x, w, b], heads | {"do_rotary": 1}, message="do_rotary")
    inputs = [x, w, b, None, rand(2, 2, 2, 3, 4), None, i32([3])]
    fails("Attention", inputs, heads, message="share")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("past", [False, True])
def test_qattention(signed, columns, past):
    draw = np.random.default_rng(0).integers
    x = draw(0, 255, (2, 5, 12)).astype(np.uint8)
    w = draw(-64, 64, (12, 24)).astype(np.int8)  # ort.without_overflow
    w = w if signed else (w.astype(np.int16) + 128).astype(np.uint8)
    scale = np.abs(rand(24, seed=1)) * 0.02 if columns else np.array([0.01], np.float32)
    zero = np.zeros(24 if columns else 1, w.dtype) + (0 if signed else 128)
    inputs = [x, w, rand(24, seed=2), np.array([0.03], np.float32), scale]
    inputs += [None, np.array([120], np.uint8), zero.astype(w.dtype)]
    if past:
        inputs.append(rand(2, 2, 2, 3, 4, seed=4))
    else:
        inputs[5] = i32([3, 5])
    attrs = {"num_heads": 2, "unidirectional": 1}
    check("QAttention", inputs, attrs, outputs=2)


# ---- MultiHeadAttention --------------------------------------------------------------


def qkv(keys=6):
    q = rand(2, 5, 12)
    return [q, rand(2, keys, 12, seed=1), rand(2, keys, 8, seed=2)]


MULTI_MASKS = {
    "none": None,
    "ends": i32([3, 6]),
    "keys": i32([[1, 1, 1, 0, 0, 1], [0, 1, 1, 1, 1, 1]]),
    "queries": queries_mask(6),
}


@pytest.mark.parametrize("mask", MULTI_MASKS)
@pytest.mark.parametrize("bias", [False, True])
def test_multi_head(mask, bias):
    inputs = [*qkv(), rand(32, seed=3) if bias else None, MULTI_MASKS[mask]]
    check("MultiHeadAttention", inputs, {"num_heads": 2})


@pytest.mark.parametrize("shape", [(2, 2, 5, 6), (1, 2, 5, 6), (2, 1, 5, 6)])
@pytest.mark.parametrize("options", [{}, {"scale": 0.4, "mask_filter_value": -3.0}])
def test_multi_head_bias(shape, options):
    inputs = [*qkv(), None, MULTI_MASKS["keys"], rand(*shape, seed=4)]
    check("MultiHeadAttention", inputs, {"num_heads": 2} | options)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("outputs", [1, 3, 4])
def test_multi_head_cache(causal, past, outputs):
    inputs = [*qkv(5), None, None, None]
    if past:
        inputs[4] = i32([[0, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 1, 1]])
        inputs[2] = rand(2, 5, 12, seed=2)
        inputs += [rand(2, 2, 3, 6, seed=4), rand(2, 2, 3, 6, seed=5)]
    attrs = {"num_heads": 2, "unidirectional": causal if outputs < 4 else 0}
    if past and outputs == 1:
        outputs = 3
    types = [1] * outputs if outputs == 4 else None
    check("MultiHeadAttention", inputs, attrs, outputs=outputs, output_types=types)


def test_multi_head_cross():
    """Keys and values of another sequence, with their heads apart."""
    k, v = rand(2, 2, 7, 6, seed=1), rand(2, 2, 7, 6, seed=2)
    check("MultiHeadAttention", [rand(2, 5, 12), k, v], {"num_heads": 2})


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("packed", ["qkv", "kv"])
def test_multi_head_packed(packed, bias):
    """No CPU kernel: the same values given apart."""
    if packed == "kv" and bias:
        pytest.skip("not allowed")
    q, k = rand(2, 5, 12), rand(2, 5, 12, seed=1)
    v, b = rand(2, 5, 12, seed=2), rand(36, seed=3)
    apart = {"q": q, "k": k, "v": v} | ({"b": b} if bias else {})
    attrs = {"num_heads": 2}
    model = functools.partial(ort.harness.make_model, "MultiHeadAttention")
    expected = ort.run(model(apart, attrs, opset=1, domain=DOMAIN, outputs=3), apart)
    parts = [a.reshape(2, 5, 2, 6) for a in (q, k, v)]
    inputs = [np.stack(parts, 3)]
    if packed == "kv":
        inputs = [q, np.stack(parts[1:], 3)]
    inputs += [None] * (3 - len(inputs)) + ([b] if bias else [])
    options = {"domain": DOMAIN, "expected": expected, "outputs": 3, **TOLERANCE}
    check_node("MultiHeadAttention", inputs, attrs, **options)


def test_multi_head_errors():
    q, k, v = qkv()
    op, heads = "MultiHeadAttention", {"num_heads": 2}
    fails(op, [q, k[0], v], heads, message="ranks 3, 2, 3")
    fails(op, [q, k, v], {"num_heads": 5}, message="do not divide")
    fails(op, [q, k, v, *[None] * 3, rand(2, 2, 3, 6)], heads, message="together")
    past = [rand(2, 2, 3, 6)] * 2
    fails(op, [q, k, k, *[None] * 3, *past, i32([3])], heads, message="past_sequence")


# ---- GroupQueryAttention -------------------------------------------------------------

HEADS = {"num_heads": 4, "kv_num_heads": 2}


def grouped(batch=2, tokens=3, head=16):
    q = rand(batch, tokens, 4 * head)
    return [q, *(rand(batch, tokens, 2 * head, seed=s) for s in (1, 2))]


def caches(batch=2, size=7, head=16):
    return [rand(batch, 2, size, head, seed=s) for s in (3, 4)]


def check_group(inputs, attrs=None, outputs=3, **options):
    """total_sequence_length, input 6, decides shapes: it is a constant."""
    names = {f"x{i}": v for i, v in enumerate(inputs)}
    attrs = HEADS | (attrs or {})
    options = {"constant": ["x6"], "outputs": outputs, **options}
    return check("GroupQueryAttention", names, attrs, **options)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"scale": 0.2},
        {"softcap": 1.5},
        {"local_window_size": 2},
        {"smooth_softmax": 1},
        {"causal": 0},
        {"softcap": 1.5, "local_window_size": 1, "smooth_softmax": 1},
    ],
)
def test_group_prompt(packed, attrs):
    x = grouped()
    if packed:
        x = [np.concatenate(x, -1), None, None]
    check_group([*x, None, None, i32([2, 2]), i32(3)], attrs)


@pytest.mark.parametrize("total, size", [(8, 7), (7, 7), (5, 7)])
@pytest.mark.parametrize("attrs", [{}, {"local_window_size": 3}, {"causal": 0}])
def test_group_decode(total, size, attrs):
    """One token each, behind prompts of different lengths; the cache grows or has room
    to spare."""
    lengths = i32([total - 1, total - 3])
    inputs = [*grouped(tokens=1), *caches(size=size), lengths, i32(total)]
    check_group(inputs, attrs)


def test_group_chunk():
    """Several tokens behind a past, which onnxruntime allows a batch of one."""
    inputs = [*grouped(1), *caches(1), i32([9]), i32(10)]
    check_group(inputs)
    check_group(inputs, {"local_window_size": 4})


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("head", [16, 32])
@pytest.mark.parametrize("form", ["prompt", "decode", "chunk"])
@pytest.mark.parametrize("positions", [False, True])
def test_group_rotary(interleaved, head, form, positions):
    """Tables of 8 angles turn 16 elements of each head."""
    angles = rand(20, 8, seed=5)
    tables = [np.cos(angles), np.sin(angles)]
    if form == "prompt":
        inputs = [*grouped(head=head), None, None, i32([2, 2]), i32(3)]
        ids = np.array([[1, 5, 2], [4, 4, 4]])
    elif form == "decode":
        inputs = [*grouped(tokens=1, head=head), *caches(head=head)]
        inputs += [i32([6, 4]), i32(7)]
        ids = np.array([[3], [5]])
    else:
        inputs = [*grouped(1, head=head), *caches(1, head=head), i32([9]), i32(10)]
        ids = np.array([[2, 3, 4]])
    inputs += [*tables, *([ids] if positions else [])]
    attrs = {"do_rotary": 1, "rotary_interleaved": interleaved}
    check_group(inputs, attrs)


@pytest.mark.parametrize("what", ["bias", "sink", "weights"])
@pytest.mark.parametrize("form", ["prompt", "decode", "room"])
def test_group_scores(what, form):
    if form == "prompt":
        inputs = [*grouped(), None, None, i32([2, 2]), i32(3)]
        bias = rand(1, 4, 3, 3, seed=6)
    else:
        total = 8 if form == "decode" else 6
        inputs = [*grouped(tokens=1), *caches(), i32([total - 1, 4]), i32(total)]
        bias = rand(2, 1, 1, total, seed=6)
    inputs += [None] * 3
    if what == "weights":
        outputs = ["y", "k", "v", "qk"] if form != "room" else 3
        check_group(inputs, {"qk_output": 2} if form != "room" else {}, outputs)
    else:
        inputs += [bias] if what == "bias" else [None, rand(4, seed=7)]
        check_group(inputs)


def test_group_of_halves():
    """Scores and softmax are computed in float32."""
    x = [a.astype(np.float16) for a in grouped()]
    inputs = [*x, None, None, i32([2, 2]), i32(3)]
    check_group(inputs, rtol=4e-3, atol=4e-3, contains="precision=jnp.float32")


def test_group_norms():
    """For CUDA only: the same as normalized queries and keys."""
    q, k, v = grouped()
    q_weight, k_weight = rand(16, seed=5), rand(16, seed=6)

    def normalized(x, weight):
        x = x.reshape(2, 3, -1, 16)
        x = x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 1e-6) * weight
        return x.reshape(2, 3, -1).astype(np.float32)

    rest = [None, None, i32([2, 2]), i32(3)]
    apart = [normalized(q, q_weight), normalized(k, k_weight), v, *rest]
    names = {f"x{i}": a for i, a in enumerate(apart)}
    build = functools.partial(ort.harness.make_model, "GroupQueryAttention")
    model = build(names, HEADS, opset=1, domain=DOMAIN, outputs=3)
    expected = ort.run(model, {n: a for n, a in names.items() if a is not None})
    inputs = [q, k, v, *rest, *[None] * 7, q_weight, k_weight]
    names = {f"x{i}": a for i, a in enumerate(inputs)}
    options = {"domain": DOMAIN, "outputs": 3, "constant": ["x6"], **TOLERANCE}
    check_node("GroupQueryAttention", names, HEADS, expected=expected, **options)


def test_group_errors():
    inputs = [*grouped(), None, None, i32([2, 2]), i32(3)]
    group = functools.partial(fails, "GroupQueryAttention")
    group(inputs, {"num_heads": 3, "kv_num_heads": 2}, message="do not fit")
    group(inputs, HEADS | {"k_quant_type": "PER_TENSOR"}, message="quantized cache")
    group(inputs, HEADS | {"sliding_window_cache": 1}, message="sliding_window")
    group(inputs, HEADS | {"qk_output": 1}, message="before softmax")
    group(inputs, HEADS | {"do_rotary": 1}, message="cos_cache")


def test_group_length_at_run_time():
    """A cache whose size is an input cannot be traced."""
    inputs = [*grouped(tokens=1), *caches(), i32([7, 4]), i32(8)]
    source = check_group(inputs, constant=(), infer=False)
    assert "@jax.jit" not in source


# ---- RotaryEmbedding -----------------------------------------------------------------


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("offset", [False, True])
def test_rotary_embedding(interleaved, partial, rank, offset):
    x = rand(2, 3, 5, 16)
    if rank == 3:
        x = x.swapaxes(1, 2).reshape(2, 5, 48)
    angles = rand(9, 4 if partial else 8, seed=1)
    ids = np.array([3]) if offset else np.arange(10).reshape(2, 5) % 9
    attrs = {"interleaved": interleaved}
    if partial:
        attrs |= {"rotary_embedding_dim": 8, "num_heads": 3}
    inputs = [x, ids, np.cos(angles), np.sin(angles)]
    check("RotaryEmbedding", inputs, attrs)


def test_rotary_embedding_errors():
    x, table = rand(2, 5, 24), rand(9, 4)
    inputs = [x, np.array([0]), table, table]
    fails("RotaryEmbedding", inputs, {"scale": 2.0}, message="scale")
    fails("RotaryEmbedding", [x[0], *inputs[1:]], message="rank 2")
