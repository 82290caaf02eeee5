"""Checks one operator at a time: an ONNX node against the JAX code generated for it.

`check_node` builds a one-node model, takes what it should give from onnx.reference (or
from `expected`), compiles it with the program, runs the generated file, and compares
values, shapes and dtypes, and the types that `inspect` infers.  It does so with shapes
as integers and again with symbolic ones.

ONNX's own cases for the operators are in tests/conformance.
"""

import contextlib
import functools
import importlib.util
import inspect
import itertools
import math
import re
import subprocess
import sys
import tempfile
import types
import warnings
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import onnx
import onnx.reference
import spliced
from onnx import helper, numpy_helper
from program import PROGRAM

import generated
import oxide_xla
import oxide_xla.compiler
import row_coverage

_serial = itertools.count()


class CompileError(Exception):
    """The program refused the model; the text is its standard error."""


# ---- compiling and running -----------------------------------------------------------


def compile_model(model, folder, *options):
    """Writes model.onnx and the generated module into folder; returns its path."""
    source = Path(folder) / "model.onnx"
    source.write_bytes(model.SerializeToString())
    output = Path(folder) / "model_jax.py"
    command = [PROGRAM, "compile", str(source), "--output", str(output), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        text = done.stderr or f"exit status {done.returncode}"
        raise CompileError(text)
    generated.check(output.read_text())
    return output


def compile_here(model, **options):
    """The CompiledModel of the library in this process: what a process for each of some
    thousand checks costs is more than the compiling.  tests/ops/conftest.py says which
    library that is."""
    try:
        return oxide_xla.compile(model, **options)
    except oxide_xla.OxideError as error:
        raise CompileError(str(error)) from error


def load_module(path):
    """Imports a generated file under a name of its own."""
    name = f"generated_{next(_serial)}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickling and NamedTuples look here
    spec.loader.exec_module(module)
    return module


def run_module(module, inputs):
    """The outputs of forward as a list."""
    params = module.load_params() if hasattr(module, "load_params") else {}
    key = inspect.signature(module.forward).parameters.get("key")
    random = key is not None and key.kind is key.KEYWORD_ONLY
    options = {"key": jax.random.key(0)} if random else {}
    result = module.forward(params, *inputs, **options)
    return list(result) if isinstance(result, tuple) else [result]


# ---- comparing -----------------------------------------------------------------------


def canonical(dtype):
    """The dtype that JAX gives an array of `dtype` in the mode it is in."""
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))


def default_tolerance(dtype):
    """(rtol, atol) for one rounding or a few in this type."""
    if dtype == np.float64:
        return 1e-7, 1e-9
    if dtype in (np.float16, ml_dtypes.bfloat16):
        return (2e-3, 1e-4) if dtype == np.float16 else (1e-2, 1e-3)
    return 2e-6, 1e-6


def compare(actual, expected, rtol=None, atol=None, what="output"):
    """Raises AssertionError unless both are the same array (or list of arrays)."""
    if isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected), f"{what}: length {len(actual)}"
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            compare(a, e, rtol, atol, f"{what}[{i}]")
        return
    if expected is None:
        assert actual is None, f"{what}: {actual!r} where none was expected"
        return
    expected = np.asarray(expected)
    assert actual is not None, f"{what} is None"
    assert tuple(actual.shape) == expected.shape, (
        f"{what}: shape {tuple(actual.shape)}, not {expected.shape}"
    )
    dtype = canonical(expected.dtype)
    assert np.dtype(actual.dtype) == dtype, f"{what}: {actual.dtype}, not {dtype}"
    actual = np.asarray(actual)
    if jax.dtypes.issubdtype(dtype, np.inexact):
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        r, a = default_tolerance(dtype)
        r = r if rtol is None else rtol
        a = a if atol is None else atol
        np.testing.assert_allclose(
            actual.astype(wide), expected.astype(wide), r, a, err_msg=what
        )
    else:
        expected = expected.astype(dtype)
        np.testing.assert_array_equal(actual, expected, err_msg=what)


def _bind(dim, names):
    """A dimension as inspect prints it, as an int; None where it cannot be told."""
    if isinstance(dim, int):
        return dim
    text = re.sub(r"\b([A-Za-z_]\w*)\[(\d+)\]", r"__shape__(\1, \2)", dim or "?")
    try:
        scope = {"floor": math.floor, "min": min, "max": max, **names}
        return int(eval(text, {"__builtins__": {}}, scope))  # noqa: S307 - our own text
    except (NameError, SyntaxError):
        return None


def compare_types(inferred, expected, names=None):
    """The inferred types must be those of the arrays; unknown dims may be anything."""
    assert len(inferred) == len(expected)
    for i, ((dtype, shape), e) in enumerate(zip(inferred, expected, strict=True)):
        if not isinstance(e, np.ndarray | np.generic):
            continue
        assert dtype == e.dtype.name, f"inferred output {i}: {dtype}, not {e.dtype}"
        if shape is None:
            assert names is not None, f"inferred output {i} has no rank"
            continue
        bound = [_bind(d, names or {}) for d in shape]
        fits = len(bound) == e.ndim and all(
            b is None or b == s for b, s in zip(bound, e.shape, strict=True)
        )
        assert fits, f"inferred output {i}: {shape}, not {e.shape}"
        if names is None:
            assert None not in bound, f"inferred output {i}: {shape} is not static"


# ---- one-node models -----------------------------------------------------------------


def _schema(op, opset, domain):
    try:
        return onnx.defs.get_schema(op, opset, domain)
    except onnx.defs.SchemaError:
        return None


def _formal_names(formals, count):
    """Names of `count` arguments; those of a variadic one are numbered."""
    names = [f.name for f in formals]
    variadic = formals and formals[-1].option.name == "Variadic"
    while len(names) < count:
        names.append(f"{formals[-1].name if variadic else 'arg'}_{len(names)}")
    return names[:count]


def _named_inputs(schema, inputs):
    if isinstance(inputs, dict):
        order = [f.name for f in schema.inputs] if schema else []
        while order and order[-1] not in inputs:
            order.pop()
        order += [name for name in inputs if name not in order]
        return {name: inputs.get(name) for name in order}
    names = _formal_names(schema.inputs if schema else [], len(inputs))
    return dict(zip(names, inputs, strict=True))


def value_info(name, array, shape):
    """A ValueInfoProto for an array, or for a list of arrays (a sequence)."""
    if isinstance(array, list):
        elem = helper.np_dtype_to_tensor_dtype(np.asarray(array[0]).dtype)
        return helper.make_tensor_sequence_value_info(name, elem, None)
    elem = helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)
    return helper.make_tensor_value_info(name, elem, shape)


def make_model(
    op,
    inputs,
    attrs=None,
    *,
    opset,
    domain="",
    outputs=1,
    constant=(),
    params=(),
    shapes=None,
    output_types=None,
):
    """A model of one node.  `inputs` is ordered {name: array or None}, `outputs` a
    number or a list of names ("" for one that is left out), `constant` the inputs that
    become Constant nodes, `params` those that become initializers, `shapes` declared
    shapes that differ from the arrays'."""
    shapes = shapes or {}
    names = outputs
    if isinstance(outputs, int):
        names = [f"out_{i}" for i in range(outputs)]
    present = {
        k: np.asarray(v) if not isinstance(v, list) else v
        for k, v in inputs.items()
        if v is not None
    }
    node = helper.make_node(
        op,
        [k if k in present else "" for k in inputs],
        names,
        "node",
        domain=domain,
        **(attrs or {}),
    )
    graph_inputs = [
        value_info(k, v, shapes.get(k, np.shape(v)))
        for k, v in present.items()
        if k not in constant and k not in params
    ]
    initializers = [numpy_helper.from_array(present[k], k) for k in params]
    constants = [
        helper.make_node("Constant", [], [k], value=numpy_helper.from_array(present[k]))
        for k in constant
        if k in present
    ]
    kept = [name for name in names if name]
    if output_types is None:
        graph_outputs = [onnx.ValueInfoProto(name=name) for name in kept]
    else:
        graph_outputs = [
            helper.make_tensor_value_info(name, elem, None)
            for name, elem in zip(kept, output_types, strict=True)
        ]
    graph = helper.make_graph(
        [*constants, node], "test", graph_inputs, graph_outputs, initializers
    )
    opsets = [helper.make_opsetid("", opset if not domain else 17)]
    if domain:
        opsets.append(helper.make_opsetid(domain, opset))
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def reference(model, inputs):
    """What onnx.reference gives."""
    return onnx.reference.ReferenceEvaluator(model).run(None, inputs)


def _sized_shapes(inputs, skip):
    """Every dimension above 1 becomes a symbol that says its size."""
    names, shapes = {}, {}
    for key, value in inputs.items():
        if value is None or key in skip or isinstance(value, list):
            continue
        shapes[key] = [f"s{d}" if d > 1 else d for d in np.shape(value)]
        names |= {f"s{d}": d for d in np.shape(value) if d > 1}
    return names, shapes


def _unique_shapes(inputs, skip):
    """Every dimension becomes a symbol of its own."""
    names, shapes = {}, {}
    for key, value in inputs.items():
        if value is None or key in skip or isinstance(value, list):
            continue
        shapes[key] = [f"d_{key}_{i}" for i in range(np.ndim(value))]
        names |= dict(zip(shapes[key], np.shape(value), strict=True))
    return names, shapes


def _no_shapes(inputs, skip):
    """Nothing is known but the types."""
    return {}, {key: None for key in inputs if key not in skip}


@contextlib.contextmanager
def _mode(x64, ranked):
    """JAX promotes no type, and no rank where the code can know all of them; in its
    default mode nothing warns."""
    rank = "raise" if ranked else "allow"
    with (
        jax.enable_x64(x64),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion(rank),
        warnings.catch_warnings(),
    ):
        if not x64:
            warnings.simplefilter("error")
        yield


def check_model(
    model,
    inputs,
    expected,
    *,
    names=None,
    rtol=None,
    atol=None,
    x64=(False,),
    infer=True,
    ranked=True,
    ran=None,
):
    """Compiles a model and runs it on positional inputs, with and without 64-bit types
    as `x64` lists; `ranked`: the file says all ranks, and the form that
    `--rank-promotion raise` asks for runs, too.  Codes in the list `ran` have run on
    these inputs, and do not again; what runs is added.  Returns the source."""
    ran = [] if ran is None else ran
    compiled = compile_here(model)
    if infer:
        outputs = compiled.inspect()["outputs"]
        inferred = [(out.get("dtype"), out.get("shape")) for out in outputs]
        compare_types(inferred, expected, names)
    if ranked:
        raised = compile_here(model, rank_promotion="raise")
        _run_form(raised, inputs, expected, x64, True, ran, rtol=rtol, atol=atol)
    modes = x64[:1] if ranked else x64
    _run_form(compiled, inputs, expected, modes, False, ran, rtol=rtol, atol=atol)
    row_coverage.note(model, PROGRAM)
    return compiled.source


def _run_form(compiled, inputs, expected, x64, ranked, ran, *, rtol, atol):
    """Runs a module and compares, unless its code is in `ran`."""
    if any(spliced.is_equal(other, compiled.source) for other in ran):
        return
    ran.append(compiled.source)
    for mode in x64:
        with _mode(mode, ranked), _executed(compiled) as module:
            arrays = [jax.tree.map(_as_jax, v) for v in inputs]
            actual = run_module(module, arrays)
            assert len(actual) == len(expected), f"{len(actual)} outputs"
            for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
                compare(a, e, rtol, atol, f"output {i}, x64={mode}")


@contextlib.contextmanager
def _executed(compiled):
    """The module, executed in the mode that JAX is in; through files where there are
    parameters to load."""
    if not compiled.arrays:
        module = types.ModuleType(f"generated_{next(_serial)}")
        sys.modules[module.__name__] = module  # NamedTuples look here
        yield oxide_xla.compiler.execute(module, compiled.source)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield load_module(compiled.save(Path(folder) / "model_jax.py"))


def _as_jax(x):
    """Inputs come as the caller has them; without x64, 64-bit ones are narrowed."""
    x = np.asarray(x)
    return x if x.dtype == canonical(x.dtype) else x.astype(canonical(x.dtype))


def check_node(
    op,
    inputs,
    attrs=None,
    *,
    opset=None,
    domain="",
    outputs=1,
    expected=None,
    constant=(),
    params=(),
    dynamic=True,
    rtol=None,
    atol=None,
    x64=None,
    infer=True,
    contains=None,
):
    """Checks one node; returns the source generated for static shapes.

    inputs    list in the order of the specification (None: absent), or {name: array}
    opset     of `domain`; None is the newest
    expected  list of arrays; None asks onnx.reference
    constant  names of inputs that are Constant nodes: literals in the code
    params    names of inputs that are initializers: entries of params
    dynamic   also with symbolic dims: True (one symbol a size), "unique" (one a
              dimension), "unranked" (no shapes at all), False (static only)
    x64       True: only in 64-bit mode, False: only in 32-bit mode, None: both (with
              symbolic dims only the latter)
    contains  text that the source must hold
    """
    if opset is None:
        opset = onnx.defs.onnx_opset_version() if not domain else 1
    inputs = _named_inputs(_schema(op, opset, domain), inputs)
    build = functools.partial(
        make_model,
        op,
        inputs,
        attrs,
        opset=opset,
        domain=domain,
        outputs=outputs,
        constant=constant,
        params=params,
    )
    fixed = {*constant, *params}
    given = {k: v for k, v in inputs.items() if v is not None and k not in fixed}
    if expected is None:
        expected = reference(build(), given)
    output_types = None
    if all(isinstance(e, np.ndarray | np.generic) for e in expected):
        output_types = [helper.np_dtype_to_tensor_dtype(e.dtype) for e in expected]
    variants = [(None, None)]
    if dynamic:
        makers = {"unique": _unique_shapes, "unranked": _no_shapes}
        variants.append(makers.get(dynamic, _sized_shapes)(inputs, fixed))
    sources, ran = [], []
    for i, (names, shapes) in enumerate(variants):
        model = build(shapes=shapes, output_types=output_types)
        modes = ((False,) if i else (False, True)) if x64 is None else (x64,)
        source = check_model(
            model,
            list(given.values()),
            expected,
            names=names,
            rtol=rtol,
            atol=atol,
            x64=modes,
            infer=infer,
            ranked=i == 0 or dynamic != "unranked",
            ran=ran,
        )
        sources.append(source)
    check_behind_sums(
        build(output_types=output_types), given, expected, sources[0], rtol, atol, x64
    )
    if contains is not None:
        assert contains in sources[0], f"{contains!r} is not in\n{sources[0]}"
    return sources[0]


def check_behind_sums(model, given, expected, source, rtol, atol, x64):
    """Checks the second form of a model that becomes `source` (see spliced.py): by its
    text, or where that differs by what it gives."""
    other, feeds, pairs = spliced.behind_sums(model, given)
    text = compile_here(other).source
    if not spliced.is_same(source, text, pairs):
        inputs = list(feeds.values())
        options = {"rtol": rtol, "atol": atol, "x64": (x64 or False,), "infer": False}
        check_model(other, inputs, expected, **options)


def compile_fails(
    op,
    inputs,
    attrs=None,
    *,
    opset=None,
    domain="",
    outputs=1,
    constant=(),
    shapes=None,
    message="",
):
    """Asserts that the program refuses the node with `message`; returns its text."""
    opset = opset or onnx.defs.onnx_opset_version()
    inputs = _named_inputs(_schema(op, opset, domain), inputs)
    model = make_model(
        op,
        inputs,
        attrs,
        opset=opset,
        domain=domain,
        outputs=outputs,
        constant=constant,
        shapes=shapes,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            compile_model(model, folder)
        except CompileError as error:
            assert message in str(error), f"{message!r} is not in\n{error}"
            return str(error)
    raise AssertionError(f"{op} compiles")
