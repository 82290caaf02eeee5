"""Models for the tests of the WebAssembly build, and what the native library makes of
them: `cases.py FOLDER` writes FOLDER/*.onnx, once, and FOLDER/native.json, each time.

The models are the fixtures, the forms of tests/golden/ops.txt, every fifth node case of
ONNX's backend suite, all cases of the suite that are files, and models that nest as
deeply as may be. FOLDER/large holds one with 6.4 GB of weights in a file with holes.
"""

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]

from oxide_xla import _library as c  # noqa: E402

STEP = 5  # of the node cases
DONE = "written"  # in the folder when all models are: what they were made from


# ---- models --------------------------------------------------------------------------


def models():
    """(file name, bytes) of all but the fixtures."""
    from onnx.backend.test import loader
    from onnx.backend.test.case.node import collect_testcases

    from test_golden_ops import forms, model

    for i, form in enumerate(forms()):
        yield f"form_{i}.onnx", model(form).SerializeToString()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases(None) if case.model]
    for case in cases[::STEP]:
        yield f"{case.name}.onnx", case.model.SerializeToString()
    files = Path(loader.DATA_DIR)
    for path in [*files.rglob("model.onnx"), *files.glob("light/*.onnx")]:
        name = path.parent.name if path.stem == "model" else path.stem
        yield f"file_{name}.onnx", path.read_bytes()


def floats(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]


def graph_of(name, inputs, outputs, nodes=(), tensors=()):
    return helper.make_graph(nodes, name, inputs, outputs, tensors)


def model_of(graph, functions=()):
    """The file of a graph."""
    model = helper.make_model(
        graph, opset_imports=OPSETS, ir_version=10, functions=functions
    )
    return model.SerializeToString()


def chain(length):
    """Nodes each of which reads the one before alone."""
    names = ["x", *(f"v{i}" for i in range(length))]
    ops = ["Sin", "Cos", "Tanh"]
    nodes = [
        helper.make_node(ops[i % 3], [a], [b])
        for i, (a, b) in enumerate(zip(names, names[1:], strict=False))
    ]
    ends = [floats("x", 3)], [floats(names[-1], 3)]
    return model_of(graph_of("chain", *ends, nodes))


def field(number, data):
    """A field of a message, appended by hand: Python's protobuf nests 100 deep only."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value):
    more = value >> 7
    return bytes([value & 127 | 128 * bool(more)]) + (_varint(more) if more else b"")


def branches(depth):
    """If in If in If."""
    sin = helper.make_node("Sin", ["x"], [f"y{depth}"])
    graph = graph_of("g", [], [floats(f"y{depth}", 3)], [sin]).SerializeToString()
    for level in reversed(range(depth)):
        cos = helper.make_node("Cos", ["x"], [f"n{level}"])
        other = graph_of("o", [], [floats(f"n{level}", 3)], [cos])
        node = helper.make_node("If", ["c"], [f"y{level}"], else_branch=other)
        then = onnx.AttributeProto(name="then_branch", type=onnx.AttributeProto.GRAPH)
        branch = field(5, then.SerializeToString() + field(6, graph))
        outer = graph_of("g", [], [floats(f"y{level}", 3)])
        node = field(1, node.SerializeToString() + branch)
        graph = outer.SerializeToString() + node
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    for value in (condition, floats("x", 3)):
        graph += field(11, value.SerializeToString())
    model = onnx.ModelProto(ir_version=10, opset_import=OPSETS)
    return model.SerializeToString() + field(7, graph)


def calls(depth):
    """Functions that call each other; the innermost computes."""
    functions = []
    for level in range(depth):
        inner = ("Sin", "") if level == 0 else (f"f{level - 1}", "own")
        node = helper.make_node(inner[0], ["a"], ["b"], domain=inner[1])
        function = ("own", f"f{level}", ["a"], ["b"], [node], OPSETS)
        functions.append(helper.make_function(*function))
    node = helper.make_node(f"f{depth - 1}", ["x"], ["y"], domain="own")
    graph = graph_of("calls", [floats("x", 3)], [floats("y", 3)], [node])
    return model_of(graph, functions)


def deep_models():
    yield "deep_chain.onnx", chain(4000)
    for depth in (8, 30, 70):
        yield f"deep_branches_{depth}.onnx", branches(depth)
        yield f"deep_calls_{depth}.onnx", calls(depth)


LAYERS, SIDE, TOLD_APART = 24, 8192, 64


def write_large(folder):
    """large.onnx and weights.bin, in which each tensor is a hole but for its start."""
    folder.mkdir()
    size = SIDE * SIDE * 4
    random = np.random.default_rng(0)
    nodes, tensors = [], []
    with open(folder / "weights.bin", "wb") as file:
        file.truncate(LAYERS * size)
        for i in range(LAYERS):
            name = f"layers.{i}.weight"
            tensor = TensorProto(name=name, dims=[SIDE, SIDE])
            tensor.data_type = TensorProto.FLOAT
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": "weights.bin", "offset": i * size, "length": size}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            tensors.append(tensor)
            nodes.append(helper.make_node("MatMul", [f"h{i}", name], [f"m{i}"]))
            nodes.append(helper.make_node("Relu", [f"m{i}"], [f"h{i + 1}"]))
            file.seek(i * size)
            file.write(random.bytes(TOLD_APART))
    ends = [floats("h0", "batch", SIDE)], [floats(f"h{LAYERS}", "batch", SIDE)]
    graph = graph_of("large", *ends, nodes, tensors)
    (folder / "large.onnx").write_bytes(model_of(graph))


def fixtures():
    return sorted((ROOT / "tests" / "fixtures").glob("*.onnx"))


def origin():
    """A hash of what the models are made from."""
    files = [Path(__file__), ROOT / "tests" / "golden" / "ops.txt", *fixtures()]
    content = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(content + onnx.__version__.encode()).hexdigest()


def write_models(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in [*models(), *deep_models()]:
        (folder / name).write_bytes(data)
    for path in fixtures():
        shutil.copy(path, folder / path.name)
    write_large(folder / "large")
    (folder / DONE).write_text(origin())


# ---- what the library makes of them --------------------------------------------------

VARIANTS = [
    {},
    {"layers": "scan"},
    {"layers": "unrolled", "params": "nested"},
    {"weights": "npz"},
    {"weights": "none"},
]


def weights_hash(library, compiler, format, folder):
    """SHA-256 of the weights file."""
    path = Path(folder) / "weights"
    status = library.ox_write_weights(compiler, bytes(path), c.WEIGHTS[format])
    return hashlib.sha256(path.read_bytes()).hexdigest() if status == c.OK else ""


def params(library, compiler):
    """As Param of the package has them."""
    for i in range(library.ox_param_count(compiler)):
        param = library.ox_param(compiler, i)
        yield {
            "key": str(param.key),
            "dtype": param.dtype.decode(),
            "shape": param.shape[: param.rank],
            "nbytes": param.nbytes,
        }


def compiled(library, name, variant, folder):
    """What `compile` gives, of a file in the working directory."""
    weights = variant.get("weights", "safetensors")
    options = c.Options(
        layers=c.LAYERS[variant.get("layers", "functions")],
        params=c.PARAMS[variant.get("params", "flat")],
        weights=c.WEIGHTS.get(weights, 0),
        no_load_params=weights == "none",
    )
    compiler = library.ox_new(None)
    status = library.ox_load_file(compiler, name.encode())
    if status == c.OK:
        status = library.ox_compile(compiler, ctypes.byref(options))
    hashed = status == c.OK and weights != "none"
    found = {
        "model": name,
        "options": variant,
        "status": status,
        "source": str(library.ox_source(compiler)),
        "summary": str(library.ox_summary(compiler)),
        "params": list(params(library, compiler)),
        "weights": weights_hash(library, compiler, weights, folder) if hashed else "",
        "messages": str(library.ox_messages(compiler, False)),
    }
    library.ox_free(compiler)
    return found


def inspected(library, name):
    """What `inspect --format json` prints."""
    compiler = library.ox_new(None)
    text = c.Text()
    options = c.InspectOptions(format=c.JSON)
    if library.ox_load_file(compiler, name.encode()) == c.OK:
        library.ox_inspect(compiler, ctypes.byref(options), ctypes.byref(text))
    report = str(text) if text.data else ""
    library.ox_free(compiler)
    return report


def native(folder):
    library = c.library()
    library.ox_write_weights.restype = ctypes.c_int
    library.ox_write_weights.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    varied = {path.name for path in fixtures()}
    found = []
    os.chdir(folder)
    with tempfile.TemporaryDirectory() as room:
        for name in sorted(path.name for path in folder.glob("*.onnx")):
            for variant in VARIANTS if name in varied else VARIANTS[:1]:
                found.append(compiled(library, name, variant, room))
            found[-1]["inspect"] = inspected(library, name)
    return found


def main(folder):
    folder = Path(folder).resolve()
    done = folder / DONE
    if not done.exists() or done.read_text() != origin():
        write_models(folder)
    (folder / "native.json").write_text(json.dumps(native(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
