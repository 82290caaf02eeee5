"""Attention of decoders over caches of a fixed size: DecoderMasked*, SparseAttention;
against onnxruntime where its CPU kernels take the form, else against numpy."""

import functools

import numpy as np
import onnxruntime
import ort
import pytest
from harness import check_node, compile_fails, make_model

DOMAIN = "com.microsoft"
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)
options = {"domain": DOMAIN, "x64": False, "rtol": 1e-4, "atol": 1e-5}


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def i32(*values):
    return np.array(values, np.int32)


# ---- one token at a time -------------------------------------------------------------

MASKED = "DecoderMaskedMultiHeadAttention"
BATCH, HEADS, D, PAST, SIZE = 4, 2, 8, 3, 6
HIDDEN = HEADS * D
ATTRS = {"num_heads": HEADS}
SHARED = ATTRS | {"past_present_share_buffer": 1}
NAMES = (
    "query key value mask_index attention_bias past_key past_value "
    "past_sequence_length beam_width cache_indirection bias"
).split()
Q, K, V = (rand(BATCH, 1, HIDDEN, seed=i) for i in range(3))
MASK = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]], np.int32)


def named(**inputs):
    order = [name for name in NAMES if name in inputs]
    last = NAMES.index(order[-1])
    return {name: inputs.get(name) for name in NAMES[: last + 1]}


def heads_apart(x):
    return x.reshape(BATCH, 1, HEADS, -1).swapaxes(1, 2)


def attend(q, k, v, bias=0.0, scale=D**-0.5):
    scores = np.einsum("bhtd,bhsd->bhts", q, k) * scale + bias
    w = np.exp(scores - scores.max(-1, keepdims=True))
    w = (w / w.sum(-1, keepdims=True)).astype(np.float32)
    return np.einsum("bhts,bhsd->bhtd", w, v).swapaxes(1, 2).reshape(BATCH, 1, -1)


def buffers(length=SIZE):
    return {
        "past_key": rand(BATCH, HEADS, length, D, seed=3),
        "past_value": rand(BATCH, HEADS, length, D, seed=4),
    }


def check_ort(inputs, attrs, outputs=3, **more):
    ort.check(MASKED, named(**inputs), attrs, outputs=outputs, **options, **more)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_shared(bias, mask):
    inputs = {"query": Q, "key": K, "value": V, **buffers()}
    inputs["past_sequence_length"] = i32(PAST)
    if bias:
        inputs["bias"] = rand(3 * HIDDEN, seed=9)
        inputs["attention_bias"] = rand(1, HEADS, 1, PAST + 1, seed=7)
    if mask:
        inputs["mask_index"] = MASK
    check_ort(inputs, SHARED | ({"scale": 0.2} if bias else {}))


def test_beams():
    beams = np.random.default_rng(0).integers(0, 2, (2, 2, SIZE)).astype(np.int32)
    inputs = {"query": Q, "key": K, "value": V, **buffers()}
    inputs |= {"past_sequence_length": i32(PAST), "beam_width": i32(2)}
    check_ort(inputs | {"cache_indirection": beams}, SHARED)


def test_cross():
    whole = {"key": rand(BATCH, HEADS, 5, D, seed=5)}
    whole["value"] = rand(BATCH, HEADS, 5, D, seed=6)
    mask = np.ones((BATCH, 5), np.int32)
    mask[0, 2] = 0
    check_ort({"query": Q, **whole}, ATTRS, 1)
    check_ort({"query": Q, **whole, "mask_index": mask}, ATTRS, 1)
    check_ort({"query": Q, **whole, "bias": rand(3 * HIDDEN, seed=9)}, ATTRS, 1)


def test_cross_scores():
    """onnxruntime asks for their type; masked scores, before softmax."""
    k, v = rand(BATCH, HEADS, 5, D, seed=5), rand(BATCH, HEADS, 5, D, seed=6)
    q = heads_apart(Q)
    scores = np.einsum("bhtd,bhsd->bhts", q, k) * np.float32(D**-0.5)
    outputs = ["y", "", "", "qk"]
    expected = [attend(q, k, v), scores]
    inputs = named(query=Q, key=k, value=v)
    attrs = ATTRS | {"output_qk": 1}
    check_node(MASKED, inputs, attrs, outputs=outputs, expected=expected, **options)


@pytest.mark.parametrize("packed", [False, True])
def test_appended(packed):
    """No kernel takes separate tensors for past and present: the text."""
    past = buffers(PAST)
    k = np.concatenate([past["past_key"], heads_apart(K)], axis=2)
    v = np.concatenate([past["past_value"], heads_apart(V)], axis=2)
    bias = np.where(MASK > 0, 0, -10000.0)[:, None, None]
    expected = [attend(heads_apart(Q), k, v, bias), k, v]
    inputs = {"query": Q, "key": K, "value": V}
    inputs = {"query": np.concatenate([Q, K, V], axis=-1)} if packed else inputs
    inputs = named(**inputs, **past, mask_index=MASK)
    check_node(MASKED, inputs, ATTRS, outputs=3, expected=expected, **options)


def test_masked_errors():
    inputs = {"query": Q, "key": K, "value": V, **buffers()}
    fails(MASKED, named(**inputs), SHARED, message="do not fit")
    two = inputs | {"query": rand(BATCH, 2, HIDDEN)}
    fails(MASKED, named(**two), ATTRS, message="more than one token")
    inputs["past_sequence_length"] = i32(PAST)
    outputs = ["y", "k", "v", "qk"]
    fails(
        MASKED, named(**inputs), SHARED, outputs=outputs, message="scores of a shared"
    )


def test_masked_self_attention():
    """No CPU kernel: the text, without the buffer that CUDA puts in another order."""
    x, w, b = rand(BATCH, 1, 5), rand(5, 3 * HIDDEN, seed=1), rand(3 * HIDDEN, seed=2)
    past = rand(2, BATCH, HEADS, PAST, D, seed=3)
    q, k, v = (heads_apart(part) for part in np.split(x @ w + b, 3, axis=-1))
    present = np.concatenate([past, np.stack([k, v])], axis=3)
    bias = np.where(MASK > 0, 0, -10000.0)[:, None, None]
    expected = [attend(q, *present, bias), present]
    inputs = [x, w, b, MASK, past, None, i32(PAST)]
    op = "DecoderMaskedSelfAttention"
    check_node(op, inputs, ATTRS, outputs=2, expected=expected, **options)
    fails(op, inputs, SHARED, outputs=2, message="share")


# ---- SparseAttention -----------------------------------------------------------------

SPARSE = "SparseAttention"
GROUPS, MOST, BLOCK, WIDTH = 2, 64, 16, 16
LAYOUTS = np.array(
    [
        [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]],
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 1, 1]],
    ]
)
ROWS = np.array([[0, 1, 3, 5, 8], [0, 1, 3, 6, 9]], np.int32)
COLUMNS = np.array(
    [[0, 0, 1, 1, 2, 1, 2, 3, -1], [0, 0, 1, 0, 1, 2, 0, 2, 3]], np.int32
)
SPARSE_ATTRS = {"num_heads": 4, "kv_num_heads": GROUPS, "sparse_block_size": BLOCK}


def sparse_inputs(queries, total, lengths):
    return {
        "query": rand(2, queries, 4 * WIDTH),
        "key": rand(2, queries, GROUPS * WIDTH, seed=1),
        "value": rand(2, queries, GROUPS * WIDTH, seed=2),
        "past_key": rand(2, GROUPS, MOST, WIDTH, seed=3),
        "past_value": rand(2, GROUPS, MOST, WIDTH, seed=4),
        "block_row_indices": ROWS,
        "block_col_indices": COLUMNS,
        "total_sequence_length": i32(total),
        "key_total_sequence_lengths": i32(*lengths),
    }


def run_sparse(inputs, attrs):
    """Past and present are one buffer in onnxruntime."""
    model = make_model(SPARSE, inputs, attrs, opset=1, domain=DOMAIN, outputs=3)
    for output in model.graph.output:
        output.type.tensor_type.elem_type = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), ort._options(), providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    make = onnxruntime.OrtValue.ortvalue_from_numpy
    values = {k: make(v.copy()) for k, v in inputs.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    binding.bind_output("out_0")
    binding.bind_ortvalue_output("out_1", values["past_key"])
    binding.bind_ortvalue_output("out_2", values["past_value"])
    session.run_with_iobinding(binding)
    return [np.array(out.numpy()) for out in binding.get_outputs()]


def sparse_reference(x):
    queries = x["query"].shape[1]
    lengths = x["key_total_sequence_lengths"]
    keys, values = x["past_key"].copy(), x["past_value"].copy()
    y = np.zeros_like(x["query"])
    for b, length in enumerate(lengths):
        past = max(length - queries, 0)
        for cache, new in ((keys, x["key"]), (values, x["value"])):
            rows = new[b].reshape(queries, GROUPS, WIDTH).swapaxes(0, 1)
            cache[b, :, past : past + queries] = rows
        for i, h in np.ndindex(queries, 4):
            own, end = slice(h * WIDTH, (h + 1) * WIDTH), past + i + 1
            scores = keys[b, h // 2, :end] @ x["query"][b, i, own] / np.sqrt(WIDTH)
            seen = np.repeat(LAYOUTS[h % 2][(past + i) // BLOCK], BLOCK)[:end] > 0
            w = np.where(seen, np.exp(scores - scores[seen].max()), 0)
            y[b, i, own] = w / w.sum() @ values[b, h // 2, :end]
    return [y, keys, values]


@pytest.mark.parametrize("queries, length", [(40, 40), (1, 33), (3, 50)])
def test_sparse(queries, length):
    inputs = sparse_inputs(queries, length, (length, length))
    expected = run_sparse(inputs, SPARSE_ATTRS)
    check_node(SPARSE, inputs, SPARSE_ATTRS, outputs=3, expected=expected, **options)


@pytest.mark.parametrize("queries, lengths", [(1, (50, 33)), (3, (33, 50))])
def test_sparse_lengths(queries, lengths):
    """onnxruntime's CPU kernel mixes up the rows of shorter sequences: the text."""
    inputs = sparse_inputs(queries, 50, lengths)
    expected = sparse_reference(inputs)
    check_node(SPARSE, inputs, SPARSE_ATTRS, outputs=3, expected=expected, **options)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("packed", [False, True])
def test_sparse_rotary(interleaved, packed):
    inputs = sparse_inputs(3, 50, (50, 50))
    angles = np.arange(MOST)[:, None] * 0.1 ** np.arange(WIDTH // 2)
    inputs["cos_cache"] = np.cos(angles).astype(np.float32)
    inputs["sin_cache"] = np.sin(angles).astype(np.float32)
    attrs = SPARSE_ATTRS | {"do_rotary": 1, "rotary_interleaved": interleaved}
    expected = run_sparse(inputs, attrs)
    if packed:
        parts = [inputs[k] for k in ("query", "key", "value")]
        inputs["query"] = np.concatenate(parts, axis=-1)
        inputs["key"] = inputs["value"] = None
    check_node(SPARSE, inputs, attrs, outputs=3, expected=expected, **options)


def test_sparse_errors():
    inputs = sparse_inputs(1, 33, (33, 33))
    attrs = SPARSE_ATTRS | {"num_heads": 3, "kv_num_heads": 1}
    inputs["query"] = rand(2, 1, 3 * WIDTH)
    fails(SPARSE, inputs, attrs, outputs=3, message="layouts do not fit")
    inputs = sparse_inputs(1, 33, (33, 33))
    attrs = SPARSE_ATTRS | {"do_rotary": 1}
    fails(SPARSE, inputs, attrs, outputs=3, message="do_rotary needs")
