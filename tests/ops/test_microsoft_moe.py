"""Mixtures of experts against onnxruntime's CPU kernels; what only its CUDA provider
has, against numpy: the formulas of the operators' documentation."""

import functools

import ml_dtypes
import numpy as np
import ort
import pytest
from harness import check_node, compile_fails, make_model

DOMAIN = "com.microsoft"
EXPERTS, HIDDEN, INNER, TOKENS = 4, 32, 64, 5
check = functools.partial(ort.check, domain=DOMAIN, rtol=1e-4, atol=1e-4)
fails = functools.partial(compile_fails, domain=DOMAIN, opset=1)
SWIGLU = {"activation_type": "swiglu", "swiglu_fusion": 1}


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# ---- the formula ---------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def swiglu(gate, up, attrs):
    alpha = attrs.get("activation_alpha", 1.0)
    limit = attrs.get("swiglu_limit", np.inf)
    up = np.clip(up, -limit, limit) + attrs.get("activation_beta", 0.0)
    if attrs.get("swiglu_limit_after_activation"):
        return np.minimum(gate * sigmoid(alpha * gate), limit) * up
    gate = np.minimum(gate, limit)
    return gate * sigmoid(alpha * gate) * up


def activate(h, up, attrs):
    kind = attrs.get("activation_type", "relu")
    if kind in ("swiglu", "geglu") and up is None:
        turns = attrs["swiglu_fusion"] == 1
        h, up = (h[::2], h[1::2]) if turns else np.split(h, 2)
    if kind == "swiglu":
        return swiglu(h, up, attrs)
    functions = {
        "relu": lambda x: np.maximum(x, 0),
        "relu2": lambda x: np.maximum(x, 0) ** 2,
        "silu": lambda x: x * sigmoid(x),
        "gelu": gelu,
        "geglu": gelu,
        "identity": lambda x: x,
    }
    return functions[kind](h) * (1 if up is None else up)


def mixture(x, router, fc1, fc2, fc3, attrs):
    """Layers are (weights, bias)."""
    rows = x.reshape(-1, x.shape[-1])
    gates = np.exp(router - router.max(1, keepdims=True))
    gates /= gates.sum(1, keepdims=True)
    y = np.zeros_like(rows)
    for t, row in enumerate(rows):
        chosen = np.argsort(-router[t])[: attrs.get("k", 1)]
        weights = gates[t, chosen]
        if attrs.get("normalize_routing_weights"):
            weights = weights / weights.sum()
        for e, weight in zip(chosen, weights, strict=True):
            h, up = (fc and fc[0][e] @ row + fc[1][e] for fc in (fc1, fc3))
            y[t] += weight * (fc2[0][e] @ activate(h, up, attrs) + fc2[1][e])
    return y.reshape(x.shape)


# ---- MoE -----------------------------------------------------------------------------


def layer(rows, columns, seed):
    scale = columns**-0.5
    return scale * rand(EXPERTS, rows, columns, seed=seed), rand(EXPERTS, rows, seed=9)


def inputs(factor=1, shape=(TOKENS,), third=False):
    fc1, fc2 = layer(factor * INNER, HIDDEN, 2), layer(HIDDEN, INNER, 3)
    given = [rand(*shape, HIDDEN), rand(np.prod(shape), EXPERTS, seed=1), *fc1, *fc2]
    return given + [*layer(INNER, HIDDEN, 4)] if third else given


@pytest.mark.parametrize("kind", ["relu", "gelu", "silu", "identity"])
@pytest.mark.parametrize("k, normalize", [(1, 0), (2, 0), (2, 1), (4, 1)])
def test_moe(kind, k, normalize):
    attrs = {"activation_type": kind, "k": k, "normalize_routing_weights": normalize}
    check("MoE", inputs(), attrs)


@pytest.mark.parametrize(
    "attrs",
    [{}, {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 0.5}],
)
def test_moe_swiglu(attrs):
    check("MoE", inputs(2), SWIGLU | attrs)


def test_moe_batch():
    check("MoE", inputs(shape=(2, 3)), {"k": 2})
    given = inputs()
    given[3] = given[5] = None
    check("MoE", given, {"k": 2})


@pytest.mark.parametrize(
    "attrs, third",
    [
        ({"activation_type": "swiglu", "swiglu_fusion": 2}, False),
        ({"activation_type": "geglu", "swiglu_fusion": 1}, False),
        ({"activation_type": "geglu", "swiglu_fusion": 2}, False),
        ({"activation_type": "relu2"}, False),
        ({"activation_type": "silu"}, True),
        ({"activation_type": "swiglu", "activation_beta": 1.0}, True),
        (SWIGLU | {"swiglu_limit": 0.5, "swiglu_limit_after_activation": 1}, False),
    ],
)
def test_moe_of_cuda(attrs, third):
    """No CPU kernel: the formulas of the text."""
    attrs = attrs | {"k": 2}
    given = inputs(
        1 if third or "glu" not in attrs["activation_type"] else 2, (5,), third
    )
    x, router, *layers = given
    pairs = [*zip(layers[::2], layers[1::2], strict=True), None][:3]
    y = mixture(x, router, *pairs, attrs)
    options = {"expected": [y], "x64": False, "rtol": 1e-4, "atol": 1e-4}
    check_node("MoE", given, attrs, domain=DOMAIN, **options)


def test_moe_errors():
    given = inputs(2)
    fails("MoE", given, {"activation_type": "swiglu"}, message="swiglu_fusion 0")
    fails("MoE", inputs(), {"activation_type": "tanh"}, message='"tanh" is not known')
    fails("MoE", given, {}, message="input 4 is not (experts, out, in)")
    fails("MoE", inputs(), {"use_sparse_mixer": 1}, message="use_sparse_mixer")
    fails("MoE", inputs(), {"k": 5}, message="k do not fit")


def test_moe_code():
    """The weights are parameters, once: no token takes a copy."""
    names = ["x", "router", "fc1", "b1", "fc2", "b2"]
    given = dict(zip(names, inputs(2), strict=True))
    attrs = SWIGLU | {"swiglu_limit": 7.0, "k": 2, "normalize_routing_weights": 1}
    text = check("MoE", given, attrs, params=names[2:])
    assert "gates = route(router, 2, normalize=True)" in text
    assert "activation=functools.partial(swiglu, limit=7.0)" in text


# ---- QMoE ----------------------------------------------------------------------------


def pack(q, bits):
    """Integers of the last axis as bytes, lowest bits first."""
    parts = (q[..., None] >> np.arange(bits) & 1).astype(np.uint8)
    return np.packbits(parts.reshape(*q.shape[:-1], -1), axis=-1, bitorder="little")


def packed_layer(rows, columns, bits, block, zeros, seed):
    """weights, scales, bias, zero points; and the weights as numbers."""
    rng = np.random.default_rng(seed)
    q = rng.integers(0, 2**bits, (EXPERTS, rows, columns))
    shape = (EXPERTS, rows, columns // block) if block else (EXPERTS, rows)
    scales = (rng.uniform(0.5, 1, shape) * columns**-0.5 / 2**bits).astype(np.float32)
    middle = (
        rng.integers(0, 2**bits, shape) if zeros else np.full(shape, 2 ** (bits - 1))
    )

    def spread(a):
        return np.repeat(a, block, -1) if block else a[..., None]

    w = (q - spread(middle)) * spread(scales)
    bias = rand(EXPERTS, rows, seed=9)
    return [pack(q, bits), scales, bias, pack(middle, bits) if zeros else None], w


def packed_inputs(bits, block=0, zeros=False, factor=2):
    bits = bits if isinstance(bits, tuple) else (bits, bits)
    one, w1 = packed_layer(factor * INNER, HIDDEN, bits[0], block, zeros, 2)
    two, w2 = packed_layer(HIDDEN, INNER, bits[1], block, zeros, 3)
    named = {"x": rand(TOKENS, HIDDEN), "router": rand(TOKENS, EXPERTS, seed=1)}
    named |= dict(zip(["w1", "s1", "b1"], one[:3], strict=True))
    named |= dict(zip(["w2", "s2", "b2"], two[:3], strict=True))
    named |= {"w3": None, "s3": None, "b3": None, "z1": one[3], "z2": two[3]}
    return named, (w1, named["b1"]), (w2, named["b2"])


def packed_names(named):
    return [k for k, v in named.items() if k[0] in "wsz" and v is not None]


def check_packed(named, attrs, expected=None, **options):
    params = packed_names(named)
    if expected is None:
        model = make_model("QMoE", named, attrs, opset=1, domain=DOMAIN, params=params)
        given = {k: v for k, v in named.items() if v is not None and k not in params}
        expected = ort.run(model, given)
    options = {"rtol": 1e-4, "atol": 1e-4, "x64": False, "params": params} | options
    return check_node("QMoE", named, attrs, domain=DOMAIN, expected=expected, **options)


ATTRS = SWIGLU | {"k": 2, "weights_prepacked": 0, "normalize_routing_weights": 1}


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("block", [0, 16])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_packed(bits, block, zeros):
    """Blocks of 8 bits are multiplied with 8 bits of the tokens in onnxruntime."""
    named, *_ = packed_inputs(bits, block, zeros)
    attrs = ATTRS | {"expert_weight_bits": bits}
    attrs |= {"block_size": block} if block else {}
    loose = {"atol": 0.03} if bits == 8 and block else {}
    check_packed(named, attrs, **loose)


@pytest.mark.parametrize("bits", [(3, 3), (3, 4), (8, 3)])
def test_packed_three_bits(bits):
    """No CPU kernel: the formula."""
    named, fc1, fc2 = packed_inputs(bits, 32)
    attrs = ATTRS | {"block_size": 32, "expert_weight_bits": bits[0]}
    attrs |= {"fc2_expert_weight_bits": bits[1]}
    y = mixture(named["x"], named["router"], fc1, fc2, None, attrs).astype(np.float32)
    check_packed(named, attrs, [y])


def test_packed_silu():
    named, *_ = packed_inputs(4, 32, factor=1)
    attrs = {"activation_type": "silu", "swiglu_fusion": 0, "block_size": 32}
    check_packed(named, ATTRS | attrs)


@pytest.mark.parametrize("block, third", [(24, False), (16, True), (0, False)])
def test_float8(block, third):
    """No CPU kernel: the formulas.  Tiles are cut where they do not fit."""
    rng = np.random.default_rng(0)
    sizes = [(INNER if third else 2 * INNER, HIDDEN), (HIDDEN, INNER), (INNER, HIDDEN)]
    named = {"x": rand(TOKENS, HIDDEN), "router": rand(TOKENS, EXPERTS, seed=1)}
    pairs = [None, None, None]
    for i, (rows, columns) in enumerate(sizes[: 2 + third]):
        w = (rand(EXPERTS, rows, columns, seed=i) / 4).astype(ml_dtypes.float8_e4m3fn)
        shape = (EXPERTS,)
        if block:
            shape = (EXPERTS, -(-rows // block), -(-columns // block))
        scales = rng.uniform(0.5, 1, shape).astype(np.float32)
        wide = scales[:, None, None]
        if block:
            wide = scales.repeat(block, 1).repeat(block, 2)[:, :rows, :columns]
        bias = rand(EXPERTS, rows, seed=9)
        pairs[i] = w.astype(np.float32) * wide, bias
        named |= {f"w{i + 1}": w, f"s{i + 1}": scales, f"b{i + 1}": bias}
    attrs = {"quant_type": "fp8", "k": 2, "activation_type": "swiglu"}
    attrs |= {"swiglu_fusion": 0 if third else 2} | (
        {"block_size": block} if block else {}
    )
    y = mixture(named["x"], named["router"], *pairs, attrs).astype(np.float32)
    if not third:
        named |= {"w3": None, "s3": None, "b3": None}
    if not block:
        named |= {"z1": None, "z2": None, "z3": None, "own": None}
        named |= {"sg1": named["s1"], "sg2": named["s2"], "s1": None, "s2": None}
    check_packed(named, attrs, [y], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("normalize", [0, 1])
def test_router_weights(normalize):
    """They count as they are, while router_probs choose."""
    named, *_ = packed_inputs(4, 32)
    named |= {"z3": None, "own": np.abs(rand(TOKENS, EXPERTS, seed=8))}
    attrs = ATTRS | {"block_size": 32, "normalize_routing_weights": normalize}
    check_packed(named, attrs)


def test_packed_warnings():
    """What onnxruntime's providers read in different ways is read as on a CPU."""
    named, *_ = packed_inputs(4, 32)
    attrs = {k: v for k, v in ATTRS.items() if k not in ("weights_prepacked",)}
    attrs |= {"block_size": 32, "normalize_routing_weights": 0}
    check_packed(named, attrs)


def test_packed_errors():
    named, *_ = packed_inputs(4, 32)
    attrs = ATTRS | {"block_size": 32}
    fails("QMoE", named, attrs | {"weights_prepacked": 1}, message="one processor")
    fails("QMoE", named, attrs | {"quant_type": "nvfp4"}, message="weights of float4")
    fails("QMoE", named | {"s2": None}, attrs, message="scales of layer 2")
    fails("QMoE", named, attrs | {"expert_weight_bits": 5}, message="5 bits")
    fails("QMoE", named | {"s1": None}, attrs, message="scales of layer 1")
