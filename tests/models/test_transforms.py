"""The generated code under JAX's transforms, and what it must not hold or rely on."""

import contextlib
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from jax import export
from jax.extend import core

import oxide_xla
import test_golden
from models import transforms, zoo

CONSTANT_BYTES = 4096
ROWS = 3  # of a Jacobian

FAST = ("cnn", "llama")
SLOW = (
    "lstm_seq2seq",
    "unet",
    "mlp_mixer",
    "nerf",
    "graph_convolution",
    "normalising_flow",
    "transformer",
    "stft_frontend",
    "bert",
    "gpt2",
    "gemma2",
    "mamba",
    "t5",
    "vit",
    "clip",
    "convnext",
    "tv_resnet",
    "tv_swin_v2",
)
# PyTorch writes the scan of mamba out, once for each position of the example.
FIXED_IN_SYMBOLIC_EXPORT = ("mamba",)
each_model = pytest.mark.parametrize(
    "name", [*FAST, *(pytest.param(n, marks=pytest.mark.models) for n in SLOW)]
)
LARGE = ("resnet18", "deit_small")  # their StableHLO takes seconds to print
each_pillar = pytest.mark.parametrize("name", zoo.MODELS)
each_golden = pytest.mark.parametrize(
    "fixture",
    [f for f in test_golden.FIXTURES if (test_golden.GOLDEN / f"{f.stem}.py").exists()],
    ids=lambda path: path.stem,
)


def assert_close(actual, expected, tolerance=1e-5):
    """Equal trees: norms of differences against norms of what is expected."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


def pillar(name, **options):
    """A pillar model's forward, its parameters and its example inputs."""
    model = zoo.MODELS[name]
    compiled = oxide_xla.compile(zoo.exported(model, "bridge"), **options)
    return compiled, [jnp.asarray(x.numpy()) for x in model.inputs()]


def golden(fixture, **options):
    """The same of a golden file."""
    compiled = oxide_xla.compile(fixture, **options)
    inputs = test_golden.random_inputs(onnx.load(fixture).graph)
    return compiled, [jnp.asarray(x) for x in inputs.values()]


def float_loss(model, rows=None):
    """A function of the float parameters alone, and these.

    It gives one weighted sum of the outputs, or several with weights of their own.
    """
    floats, rest = model.split()
    arrays = model.arrays()

    def loss(floats):
        result = model.forward({**floats, **rest}, *arrays)
        if rows is None:
            return transforms.weighted(result)
        return jnp.stack([transforms.weighted(result, seed=i) for i in range(rows)])

    return loss, floats


# ---- transforms ----------------------------------------------------------------------


@each_model
def test_vmap(name):
    """Over examples that lie along a new first axis of every input."""
    model = transforms.subject(name)
    first = model.arrays()
    second = [jnp.flip(x, axis=-1) if transforms.is_float(x) else x for x in first]
    stacked = [jnp.stack(pair) for pair in zip(first, second)]
    mapped = jax.vmap(functools.partial(model.forward, model.params))(*stacked)
    for i, arrays in enumerate((first, second)):
        row = jax.tree.map(lambda y, i=i: y[i], mapped)
        assert_close(row, model.forward(model.params, *arrays))


@each_model
def test_jvp_agrees_with_grad(name):
    """The slope along a direction, forwards and backwards."""
    model = transforms.subject(name)
    loss, floats = float_loss(model)
    rng = np.random.default_rng(4)
    direction = {
        k: rng.standard_normal(x.shape).astype(x.dtype) for k, x in floats.items()
    }
    value, slope = jax.jit(lambda p, v: jax.jvp(loss, (p,), (v,)))(floats, direction)
    again, grads = jax.jit(jax.value_and_grad(loss))(floats)
    terms = [np.vdot(grads[k], direction[k]) for k in floats]
    # The sum may cancel: it is as exact as its terms.
    assert abs(slope - sum(terms)) <= 1e-5 * np.linalg.norm(terms)
    assert abs(value - again) <= 1e-5 * abs(again)


@each_model
def test_jacrev(name):
    """Each row is the gradient of one output: here, of weighted sums of the outputs.

    The Jacobian of all outputs at once, over a thousand rows, is not for this test:
    XLA's CPU compiler of JAX 0.10.2 gets that of llama wrong, whose operations are
    right one by one.
    """
    loss, floats = float_loss(transforms.subject(name), rows=ROWS)
    key = min(floats, key=lambda k: (floats[k].size, k))
    leaf = floats[key]
    rows = jax.jit(jax.jacrev(lambda leaf: loss({**floats, key: leaf})))(leaf)
    assert rows.shape == (ROWS, *leaf.shape)
    grad = jax.jit(jax.grad(lambda floats, i: loss(floats)[i]))
    for i in range(ROWS):
        all_grads = grad(floats, i)
        total = np.sqrt(sum(np.sum(np.square(g)) for g in all_grads.values()))
        error = np.linalg.norm(rows[i] - all_grads[key])
        assert error <= 1e-5 * np.linalg.norm(rows[i]) + 1e-7 * total


@each_model
def test_remat(name):
    """jax.checkpoint computes the same gradients again."""
    loss, floats = float_loss(transforms.subject(name))
    saved = jax.jit(jax.grad(loss))(floats)
    again = jax.jit(jax.grad(jax.checkpoint(loss)))(floats)
    total = np.sqrt(sum(np.sum(np.square(g)) for g in saved.values()))
    for key, expected in saved.items():
        assert np.linalg.norm(again[key] - expected) <= 1e-6 * total


@each_model
def test_eval_shape(name):
    """Types without values: parameters and inputs may be mere descriptions."""
    model = transforms.subject(name)
    arrays = model.arrays()
    described = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (model.params, *arrays)
    )
    types = jax.eval_shape(model.forward, *described)
    actual = model.forward(model.params, *arrays)
    assert jax.tree.structure(types) == jax.tree.structure(actual)
    for kind, y in zip(jax.tree.leaves(types), jax.tree.leaves(actual), strict=True):
        assert (kind.shape, kind.dtype) == (y.shape, y.dtype)


@pytest.mark.parametrize(
    "name",
    [
        *FAST,
        *(
            pytest.param(n, marks=pytest.mark.models)
            for n in SLOW
            if n not in FIXED_IN_SYMBOLIC_EXPORT
        ),
    ],
)
def test_export_with_symbolic_sizes(name):
    """One exported program serves the sizes of the export and others."""
    model = transforms.subject(name)
    axes = model.entry.axes
    dims = {d for named in axes.values() for d in named.values()}
    # Tables of positions have 64 rows.
    limits = [f"{d} <= 64" for d in sorted(dims) if d != "samples"]
    sizes = export.symbolic_shape(", ".join(sorted(dims)), constraints=limits)
    symbols = dict(zip(sorted(dims), sizes))

    def described(name, x):
        named = axes.get(name, {})
        shape = [symbols[named[i]] if i in named else n for i, n in enumerate(x.shape)]
        return jax.ShapeDtypeStruct(shape, x.dtype)

    arrays = model.arrays()
    kinds = [described(n, x) for n, x in zip(model.names, arrays, strict=True)]
    params = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), model.params
    )
    # JAX serializes tuples; named ones it must be told of first.
    plain = jax.jit(lambda *args: tuple(transforms.flat(model.forward(*args))))
    exported = export.export(plain)(params, *kinds)
    again = export.deserialize(exported.serialize())
    for tensors in (model.entry.make_inputs(), model.entry.make_inputs(second=axes)):
        arrays = model.arrays(tensors)
        assert_close(
            jax.tree.leaves(again.call(model.params, *arrays)),
            jax.tree.leaves(model.forward(model.params, *arrays)),
        )


# ---- constants -----------------------------------------------------------------------


def held(jaxpr):
    """Every array that a jaxpr holds, at any depth."""
    if isinstance(jaxpr, core.ClosedJaxpr):
        yield from jaxpr.consts
        jaxpr = jaxpr.jaxpr
    for equation in jaxpr.eqns:
        yield from (x.val for x in equation.invars if isinstance(x, core.Literal))
        for inner in jax.tree.leaves(equation.params):
            if isinstance(inner, core.ClosedJaxpr | core.Jaxpr):
                yield from held(inner)


def dense_bytes(text):
    """Sizes of the constants of a StableHLO module that are not one number repeated."""
    pattern = r"stablehlo\.constant dense<(.*?)> : tensor<([^>]*)>"
    for body, kind in re.findall(pattern, text, re.S):
        *shape, dtype = kind.split("x")
        if body.startswith(("[", '"')):
            bits = int(re.search(r"\d+", dtype)[0])
            yield np.prod([int(n) for n in shape], dtype=int) * max(bits, 8) // 8


def assert_small_constants(forward, *args):
    jaxpr = jax.make_jaxpr(forward)(*args)
    assert max((np.asarray(x).nbytes for x in held(jaxpr)), default=0) <= CONSTANT_BYTES
    text = jax.jit(forward).lower(*args).as_text()
    assert max(dense_bytes(text), default=0) <= CONSTANT_BYTES


def test_a_captured_constant_is_found():
    table = jnp.asarray(np.random.default_rng(0).standard_normal(1025), jnp.float32)
    numbers = np.asarray(table)
    for captured in (table, numbers):
        with pytest.raises(AssertionError):
            assert_small_constants(lambda x, t=captured: x + t, jnp.ones(1025))
    assert_small_constants(lambda x: x + numbers[:3], jnp.ones(3))


@each_model
def test_models_capture_no_constants(name):
    model = transforms.subject(name)
    assert_small_constants(model.forward, model.params, *model.arrays())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.models) if n in LARGE else n
        for n in zoo.MODELS
    ],
)
def test_pillars_capture_no_constants(name):
    compiled, inputs = pillar(name)
    assert_small_constants(compiled.forward, compiled.params, *inputs)


@each_golden
def test_goldens_capture_no_constants(fixture):
    compiled, inputs = golden(fixture)
    assert_small_constants(compiled.forward, compiled.params, *inputs)


# ---- promotion -----------------------------------------------------------------------


@contextlib.contextmanager
def strict():
    """Arrays of two types, or of two ranks, in one operation are errors."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@each_model
def test_models_promote_nothing(name):
    model = transforms.subject(name, rank_promotion="raise")
    with strict():
        jax.eval_shape(model.forward, model.params, *model.arrays())


@each_pillar
def test_pillars_promote_nothing(name):
    compiled, inputs = pillar(name, rank_promotion="raise")
    with strict():
        jax.eval_shape(compiled.forward, compiled.params, *inputs)


@each_golden
def test_goldens_promote_nothing(fixture):
    compiled, inputs = golden(fixture, rank_promotion="raise")
    with strict():
        jax.eval_shape(compiled.forward, compiled.params, *inputs)
