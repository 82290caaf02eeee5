"""The cases of ONNX's backend suite, and what becomes of one of them.

A case passes when count, shapes, dtypes and values of the outputs are those of the
suite, by the suite's own comparison and the tolerance of the case. Only where the
graph draws random numbers, of which the suite holds one draw, may the values differ;
then they must be values that can be drawn.
"""

import dataclasses
import functools
import re
import warnings
from pathlib import Path

import jax
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper
from onnx.backend.test import loader
from onnx.backend.test.runner import Runner

from oxide_xla import OxideError, backend

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted", "light")

# Operators that are refused, and what the message must say about them.
REFUSED = {
    "Equal": "no arrays of strings",
    "ImageDecoder": "decoding a file is no tensor operation",
    "LabelEncoder": "strings, which JAX lacks",
    "RegexFullMatch": "JAX has no strings",
    "StringConcat": "JAX has no strings",
    "StringNormalizer": "JAX has no strings",
    "StringSplit": "JAX has no strings",
}

EXACT, DRAW, REFUSAL, FAILED = "exact", "property", "refused", "failed"


@dataclasses.dataclass(frozen=True, order=True)
class Outcome:
    """What became of a case in 64-bit mode, and in 32-bit mode where it is run."""

    kind: str
    name: str
    status: str = EXACT
    reason: str = ""  # of any other status
    narrow: str | None = None  # status in 32-bit mode, None: not run
    narrow_reason: str = ""
    unjitted: tuple[str, ...] = ()  # operators because of which forward is not jitted


@dataclasses.dataclass
class Case:
    """A model with pairs of inputs and expected outputs."""

    kind: str
    name: str
    model: onnx.ModelProto
    pairs: list[tuple[list, list]]
    rtol: float
    atol: float


# ---- loading -------------------------------------------------------------------------


def names(kind):
    """The names of all cases of a kind, sorted. Generates those of the nodes."""
    return sorted(_listed(kind))


def load(kind, name):
    """One case with its arrays."""
    listed = _listed(kind)[name]
    if kind == "node":
        model, pairs = listed.model, listed.data_sets
        pairs = [(_arrays(inputs), _arrays(outputs)) for inputs, outputs in pairs]
    elif kind == "light":
        model, pairs = _light(Path(listed.url).stem)
    else:
        folder = Path(listed.model_dir)
        model = onnx.load(folder / "model.onnx")
        pairs = [
            (
                _files(data, "input", model.graph.input),
                _files(data, "output", model.graph.output),
            )
            for data in sorted(folder.glob("test_data_set_*"))
        ]
    return Case(kind, name, model, pairs, listed.rtol, listed.atol)


def needs_full_xla(kind, name):
    """Whether XLA's older emitter may give other values: in a cast to 8 bits."""
    return kind == "node" and "FLOAT8" in name


@functools.cache
def _listed(kind):
    # The suite calls the models of its folder "light" real: once they were downloads.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = loader.load_model_tests(kind="real" if kind == "light" else kind)
    return {case.name: case for case in cases}


def _light(stem):
    """A big network with made-up weights, run on the suite's made-up input.

    All weights are 0.02, so that logits are as large as 1e10 and all equal: what the
    suite expects after softmax is 1 / 1000, or NaN by an error in the last bit. What
    goes into the softmax says more; onnxruntime knows it.
    """
    model = onnx.load(Path(loader.DATA_DIR) / "light" / f"{stem}.onnx")
    given = {tensor.name for tensor in model.graph.initializer}
    asked = [value for value in model.graph.input if value.name not in given]
    inputs = [Runner.generate_dummy_data(value) for value in asked]
    maker = {name: node for node in model.graph.node for name in node.output}
    for value in model.graph.output:
        node = maker[value.name]
        if node.op_type == "Softmax":
            value.name = node.input[0]
            model.graph.node.remove(node)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [value.name for value in asked]
    return model, [(inputs, session.run(None, dict(zip(names, inputs))))]


def _files(folder, prefix, values):
    count = len(list(folder.glob(f"{prefix}_*.pb")))
    return [_proto(folder / f"{prefix}_{i}.pb", values[i].type) for i in range(count)]


def _proto(path, kind):
    """A value from a file, as the type of the graph says."""
    message, convert = {
        "tensor_type": (onnx.TensorProto, numpy_helper.to_array),
        "sequence_type": (onnx.SequenceProto, numpy_helper.to_list),
        "optional_type": (onnx.OptionalProto, numpy_helper.to_optional),
    }[kind.WhichOneof("value")]
    return convert(message.FromString(path.read_bytes()))


def _arrays(values):
    return [_array(value) for value in values]


def _array(value):
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return _arrays(value) if isinstance(value, list | tuple) else value


# ---- running -------------------------------------------------------------------------


def run(kind, name):
    """Runs one case in the modes that apply; the outcome says what happened."""
    case = load(kind, name)
    status, reason, rep = _attempt(case, x64=True)
    narrow, narrow_reason = None, ""
    if is_narrow(case):
        narrow, narrow_reason, _ = _attempt(case, x64=False)
    unjitted = causes(rep) if rep else ()
    return Outcome(kind, name, status, reason, narrow, narrow_reason, unjitted)


def _attempt(case, x64):
    """(status, reason, backend representation or None) in one mode."""
    rep = None
    try:
        with jax.enable_x64(x64), warnings.catch_warnings():
            if not x64:  # in JAX's default mode the file runs without a warning
                warnings.simplefilter("error")
            rep = backend.prepare(case.model)
            checks = {_check(case, rep, *pair) for pair in case.pairs}
        return (DRAW, draws(case.model), rep) if DRAW in checks else (EXACT, "", rep)
    except OxideError as error:
        return *_refusal(error.messages), rep
    except Exception as error:  # noqa: BLE001 - whatever it is, the case failed
        return FAILED, _one_line(f"{type(error).__name__}: {error}"), rep


def _check(case, rep, inputs, expected):
    actual = rep.run(inputs)
    try:
        compare(actual, expected, case.rtol, case.atol)
    except AssertionError:
        if not draws(case.model):
            raise
        check_draw(actual, expected)
        if draws(case.model) == "Dropout":
            check_dropout(actual, inputs, expected)
        return DRAW
    return EXACT


def _refusal(messages):
    """REFUSAL where the message names an operator of the table and its reason."""
    line = messages.splitlines()[0]
    found = re.match(r"error\[OX\d+\]: (\w+): (.*)", line)
    op, why = found.groups() if found else ("", line)
    if op in REFUSED and REFUSED[op] in why:
        return REFUSAL, f"{op}: {why}"
    return FAILED, _one_line(messages)


def _one_line(text):
    return " ".join(text.split())[:400]


def causes(rep):
    """The operators that keep `forward` from being jitted, as the file says."""
    if isinstance(rep.module.forward, jax.stages.Wrapped):
        return ()
    comment = r'# Not jitted: node #\d+ "[^"]*"\s+(?:# )?\((\w+),'
    return tuple(sorted(set(re.findall(comment, rep.source)))) or ("unknown",)


def is_narrow(case):
    """Whether 32 bits hold every element that goes in or comes out."""
    values = [value for pair in case.pairs for side in pair for value in side]
    dtypes = {np.asarray(leaf).dtype for leaf in jax.tree.leaves(values)}
    return all(dtype.itemsize <= 4 and dtype.kind != "O" for dtype in dtypes)


# ---- comparing -----------------------------------------------------------------------


def compare(actual, expected, rtol, atol):
    """AssertionError unless the suite calls both the same: lists, None and arrays."""
    assert len(actual) == len(expected), f"{len(actual)} values, not {len(expected)}"
    for a, e in zip(actual, expected):
        if isinstance(e, list):
            assert isinstance(a, list), f"{type(a).__name__}, not a list"
            compare(a, e, rtol, atol)
        elif e is None:
            assert a is None, "a value where none was expected"
        else:
            assert isinstance(a, np.ndarray), f"{type(a).__name__}, not an array"
            Runner.assert_similar_outputs([np.asarray(e)], [a], rtol, atol)


DRAWING = set(
    "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform "
    "RandomUniformLike".split()
)


def draws(model):
    """The operators whose result is a draw, as text; empty when there is none."""
    nodes = model.graph.node
    found = {node.op_type for node in nodes if node.op_type in DRAWING}
    # Up to version 7 Dropout had a mode of the whole program, which is inference here.
    if any(node.op_type == "Dropout" and len(node.input) == 3 for node in nodes):
        found.add("Dropout")
    return ", ".join(sorted(found))


def check_draw(actual, expected):
    """Both have the same count, shapes and dtypes, and agree where both draws kept an
    element; outputs without a sign lie in the same range."""
    assert len(actual) == len(expected), f"{len(actual)} values, not {len(expected)}"
    for a, e in zip(actual, expected):
        assert (a.shape, a.dtype) == (e.shape, e.dtype), (a.shape, a.dtype)
        assert np.isfinite(a.astype(np.float64)).all()
        kept = (a != 0) & (e != 0)
        np.testing.assert_allclose(a[kept], e[kept], 1e-5)
        if e.min() >= 0:
            assert e.min() <= a.min() and a.max() <= e.max(), (a.min(), a.max())


def check_dropout(actual, inputs, expected):
    """Every element is dropped or scaled as in the other draw."""
    x, y, other = (np.asarray(v[0], np.float64) for v in (inputs, actual, expected))
    scale = np.median(other[other != 0] / x[other != 0])
    np.testing.assert_allclose(y[y != 0], scale * x[y != 0], 1e-5)
    if len(actual) > 1:
        np.testing.assert_array_equal(actual[1], y != 0)
