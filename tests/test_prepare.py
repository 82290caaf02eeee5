"""prepare of a generated module: which parameters it replaces, under which keys, and
that forward takes both forms."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

import generated

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))

pytestmark = pytest.mark.filterwarnings("error")


def conv(x, weight, y, **attributes):
    return helper.make_node("Conv", [x, weight], [y], **attributes)


def write_model(folder, nodes, weights, outputs=("y",), shape=(2, 4, 8, 8)):
    """A model of x with weights of these names and shapes."""
    rng = np.random.default_rng(0)
    arrays = {k: rng.normal(0, 0.2, s).astype("float32") for k, s in weights.items()}
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs],
        [numpy_helper.from_array(array, key) for key, array in arrays.items()],
    )
    opset = [helper.make_opsetid("", 20)]
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def compiled(path, *options):
    """The module that a model compiles to."""
    out = path.with_name("model_jax.py")
    command = [PROGRAM, "compile", str(path), "--output", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not generated.faults(out.read_text())
    spec = importlib.util.spec_from_file_location("model_jax", out)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flat(params, prefix=""):
    for key, value in params.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def check(path, *options):
    """forward gives what onnx says of both forms; the module and what was prepared."""
    module = compiled(path, *options)
    x = np.random.default_rng(1).standard_normal((2, 4, 8, 8)).astype("float32")
    (expected, *_) = onnx.reference.ReferenceEvaluator(str(path)).run(None, {"x": x})
    params = module.load_params()
    prepared = jax.jit(module.prepare)(params) if hasattr(module, "prepare") else None
    for form in [params] + [prepared] * (prepared is not None):
        y = jax.tree.leaves(module.forward(form, x))[0]
        np.testing.assert_allclose(y, expected, 1e-4, 1e-4)
    return module, prepared


WEIGHTS = {
    "conv1.weight": (8, 4, 3, 3),
    "onnx::Conv_7": (8, 1, 3, 3),
    "features.0.conv_weight": (6, 8, 1, 1),
}
NODES = [
    conv("x", "conv1.weight", "a", pads=[1, 1, 1, 1]),
    conv("a", "onnx::Conv_7", "b", group=8, strides=[2, 2]),
    conv("b", "features.0.conv_weight", "y"),
]
# a product of matrices takes its weights as they are
KEYS = ["conv1.kernel", "features.0.conv_weight", "onnx::Conv_7_kernel"]


@pytest.mark.parametrize("style", ["flat", "nested"])
def test_keys_of_kernels(tmp_path, style):
    path = write_model(tmp_path, NODES, WEIGHTS)
    _, prepared = check(path, "--params", style)
    assert sorted(flat(prepared)) == KEYS


def test_kernels_are_read_as_they_are(tmp_path):
    """No kernel is transposed in forward, and prepare takes arrays of numpy."""
    weights = {key: WEIGHTS[key] for key in list(WEIGHTS)[:2]}
    module = compiled(write_model(tmp_path, NODES[:2], weights, ("b",)))
    params = jax.tree.map(np.asarray, module.load_params())
    x = np.ones((2, 4, 8, 8), "float32")
    texts = [
        jax.jit(module.forward.__wrapped__).lower(form, x).as_text()
        for form in (params, module.prepare(params))
    ]
    transposed = [
        re.findall(r"stablehlo.transpose.*\(tensor<(\S+)xf", t) for t in texts
    ]
    kernels = [[s for s in shapes if not s.startswith("2x")] for shapes in transposed]
    assert kernels == [["8x4x3x3", "8x1x3x3"], []]  # without images, (2, ...)


def test_kernels_have_the_type_of_the_weights(tmp_path):
    module = compiled(write_model(tmp_path, NODES, WEIGHTS))
    prepared = module.prepare(module.load_params(dtype=jax.numpy.bfloat16))
    assert {x.dtype.name for x in prepared.values()} == {"bfloat16"}
    x = jax.numpy.ones((2, 4, 8, 8), "bfloat16")
    assert module.forward(prepared, x).dtype == "bfloat16"


COUNT = 5


def layers(shared=""):
    """Layers of three convolutions each, of which the second may be shared."""
    nodes, weights, x = [], {}, "x"
    for i in range(COUNT):

        def node(op, inputs, output, i=i, **attributes):
            path = f"/layers.{i}/{output}/{op}"
            y = f"{output}_{i}"
            nodes.append(helper.make_node(op, inputs, [y], name=path, **attributes))
            return y

        keys = [f"layers.{i}.conv{k}.weight" for k in (1, 2, 3)]
        keys[1] = shared or keys[1]
        weights |= dict.fromkeys(keys, (4, 4, 3, 3))
        a = node("Conv", [x, keys[0]], "conv1", pads=[1] * 4)
        b = node("Mul", [a, node("Tanh", [a], "tanh")], "gate")
        c = node("Conv", [b, keys[1]], "conv2", pads=[1] * 4)
        d = node("Mul", [c, node("Sigmoid", [c], "sigmoid")], "silu")
        e = node("Conv", [node("Mul", [d, b], "both"), keys[2]], "conv3", pads=[1] * 4)
        x = node("Add", [x, e], "sum")
    return [*nodes, helper.make_node("Identity", [x], ["y"])], weights


@pytest.mark.parametrize("style", ["flat", "nested"])
@pytest.mark.parametrize("how", ["functions", "scan", "unrolled"])
def test_repeated_layers(tmp_path, style, how):
    path = write_model(tmp_path, *layers())
    module, prepared = check(path, "--params", style, "--layers", how)
    source = Path(module.__file__).read_text()
    assert ("lax.scan(" in source) == (how == "scan")
    assert ("for i in range(5):" in source) == (how == "functions")
    numbers = ["*"] if how == "scan" else range(COUNT)
    names = [f"layers.{i}.conv{k}.kernel" for i in numbers for k in (1, 2, 3)]
    assert sorted(flat(prepared)) == names


@pytest.mark.parametrize("style", ["flat", "nested"])
@pytest.mark.parametrize("how", ["functions", "scan", "unrolled"])
def test_weights_beside_kernels_are_refused(tmp_path, style, how):
    """Nobody could tell which of the two is meant."""
    path = write_model(tmp_path, *layers())
    module, prepared = check(path, "--params", style, "--layers", how)

    def both(a, b):
        if not isinstance(a, dict):
            return a
        return {k: both(a.get(k, b.get(k)), b.get(k, a.get(k))) for k in a | b}

    x = np.ones((2, 4, 8, 8), "float32")
    with pytest.raises(ValueError, match="are both in params"):
        module.forward(both(prepared, module.load_params()), x)


@pytest.mark.parametrize("style", ["flat", "nested"])
@pytest.mark.parametrize("how", ["functions", "unrolled"])
def test_kernels_are_not_saved(tmp_path, style, how):
    """PyTorch would find no weights in such a file."""
    path = write_model(tmp_path, *layers())
    module, prepared = check(path, "--params", style, "--layers", how)
    saved = tmp_path / "saved.safetensors"
    with pytest.raises(ValueError, match=r"kernel is prepared: save what load_params"):
        module.save_params(prepared, saved)
    assert not saved.exists()
    module.save_params(module.load_params(), saved)
    jax.tree.map(
        np.testing.assert_array_equal, module.load_params(saved), module.load_params()
    )


def test_what_a_function_is_given_stays(tmp_path):
    """The functions of layers take a weight that they share as an array."""
    path = write_model(tmp_path, *layers("shared.weight"))
    module, prepared = check(path, "--layers", "functions")
    assert "as_kernel(weight)" in Path(module.__file__).read_text()
    names = [f"layers.{i}.conv{k}.kernel" for i in range(COUNT) for k in (1, 3)]
    assert sorted(prepared) == [*names, "shared.weight"]


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([helper.make_node("Neg", ["w"], ["z"])], ["y", "z"]),
        ([helper.make_node("Identity", ["w"], ["z"])], ["y", "z"]),
    ],
    ids=["node", "output"],
)
def test_what_others_read_stays(tmp_path, nodes, outputs):
    nodes = [conv("x", "w", "y"), *nodes]
    path = write_model(tmp_path, nodes, {"w": (4, 4, 3, 3)}, outputs)
    module, _ = check(path)
    assert not hasattr(module, "prepare")


def test_weights_of_two_convolutions(tmp_path):
    nodes = [conv("x", "w", "a"), conv("a", "w", "y")]
    _, prepared = check(write_model(tmp_path, nodes, {"w": (4, 4, 3, 3)}))
    assert list(prepared) == ["w_kernel"]


def test_a_parameter_with_the_key_of_a_kernel(tmp_path):
    """Nothing is prepared, since one would be taken for the other."""
    nodes = [conv("x", "c.weight", "a"), conv("a", "c.kernel", "y")]
    weights = {"c.weight": (4, 4, 3, 3), "c.kernel": (4, 4, 3, 3)}
    module, _ = check(write_model(tmp_path, nodes, weights))
    assert not hasattr(module, "prepare")


def test_a_star_in_a_key_stands_for_itself(tmp_path):
    nodes = [conv("x", "a*.weight", "a"), conv("a", "b.weight", "y")]
    weights = {"a*.weight": (4, 4, 3, 3), "b.weight": (4, 4, 3, 3)}
    _, prepared = check(write_model(tmp_path, nodes, weights))
    assert sorted(prepared) == ["a*.weight", "b.kernel"]


def test_a_branch_reads_kernels(tmp_path):
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    branches = {
        "then_branch": helper.make_graph([conv("x", "w", "z")], "then", [], [value]),
        "else_branch": helper.make_graph([conv("x", "v", "z")], "else", [], [value]),
    }
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Sign", ["s"], ["p"]),
        helper.make_node("Cast", ["p"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], **branches),
    ]
    weights = {"w": (4, 4, 3, 3), "v": (4, 4, 3, 3)}
    _, prepared = check(write_model(tmp_path, nodes, weights))
    assert sorted(prepared) == ["v_kernel", "w_kernel"]


def test_nothing_to_prepare(tmp_path):
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
    module, _ = check(write_model(tmp_path, nodes, {"w": (4, 1, 8)}))
    assert not hasattr(module, "prepare")
    assert "kernel" not in Path(module.__file__).read_text()


SHARDED = """
import jax, model_jax
from jax.sharding import NamedSharding, PartitionSpec as P
mesh = jax.make_mesh((4,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))
params = model_jax.load_params()
places = {"conv1.weight": P("model"), "onnx::Conv_7": P("model")}
placed = {
    key: jax.device_put(x, NamedSharding(mesh, places.get(key, P())))
    for key, x in params.items()
}
prepared = jax.jit(model_jax.prepare)(placed)
assert prepared["conv1.kernel"].sharding.shard_shape((3, 3, 4, 8)) == (3, 3, 4, 2)
x = jax.random.normal(jax.random.key(0), (2, 4, 8, 8))
y = [model_jax.forward(p, x) for p in (params, prepared)]
assert jax.numpy.allclose(*y, 1e-4, 1e-4)
"""


def test_sharded_weights(tmp_path):
    compiled(write_model(tmp_path, NODES, WEIGHTS))
    flags = "--xla_force_host_platform_device_count=4"
    env = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", "-c", SHARDED]
    subprocess.run(command, cwd=tmp_path, env=env, check=True)


# ---- gates ---------------------------------------------------------------------------

HIDDEN = 5
ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


def ints(name, *values):
    """A constant."""
    tensor = numpy_helper.from_array(np.array(values, np.int64))
    return helper.make_node("Constant", [], [name], value=tensor)


def ordered(key, out, order):
    """What an exporter writes to put PyTorch's gates in ONNX's order."""
    for i, gate in enumerate(order):
        last = 2**63 - 1 if gate == len(order) - 1 else HIDDEN * (gate + 1)
        at = f"{out}{i}"
        yield ints(f"{at}_from", HIDDEN * gate)
        yield ints(f"{at}_to", last)
        slices = [key, f"{at}_from", f"{at}_to", "zero"]
        yield helper.make_node("Slice", slices, [at])
    parts = [f"{out}{i}" for i in range(len(order))]
    yield helper.make_node("Concat", parts, [out], axis=0)


RESET = {"linear_before_reset": 1}


def recurrent(op, order, **attributes):
    """A layer over x, read as 8 steps of 8 rows, with PyTorch's parameters."""
    attributes["hidden_size"] = HIDDEN
    names = [
        f"rnn.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    rows = len(order) * HIDDEN
    weights = dict(
        zip(names, [(rows, 8), (rows, HIDDEN), (rows,), (rows,)], strict=True)
    )
    nodes = [ints("zero", 0), ints("shape", 8, 8, 8)]
    nodes.append(helper.make_node("Reshape", ["x", "shape"], ["steps"]))
    for name, out in zip(names, ["w", "r", "wb", "rb"], strict=True):
        nodes += ordered(name, out, order)
    nodes += [
        helper.make_node("Concat", ["wb", "rb"], ["b"], axis=0),
        *[helper.make_node("Unsqueeze", [v, "zero"], [f"{v}d"]) for v in "wrb"],
        helper.make_node(op, ["steps", "wd", "rd", "bd"], ["y"], **attributes),
    ]
    return nodes, weights


@pytest.mark.parametrize("style", ["flat", "nested"])
@pytest.mark.parametrize("op", ORDERS)
def test_gates_are_put_in_order_once(tmp_path, op, style):
    """Of a layer that PyTorch does not have: its gates are clipped."""
    path = write_model(tmp_path, *recurrent(op, ORDERS[op], clip=9.0))
    module, prepared = check(path, "--params", style)
    form = f"{op.lower()}_gates"
    assert sorted(flat(prepared)) == [
        f"rnn.{name}_l0_{form}"
        for name in ("bias_hh", "bias_ih", "weight_hh", "weight_ih")
    ]
    x = np.zeros((2, 4, 8, 8), np.float32)
    text = jax.jit(module.forward.__wrapped__).lower(prepared, x).as_text()
    assert f"tensor<{HIDDEN}x8xf32>" not in text, "a gate is sliced"


@pytest.mark.parametrize(("op", "reset"), [("LSTM", {}), ("GRU", RESET)])
def test_layers_of_pytorch_read_gates_as_they_are(tmp_path, op, reset):
    path = write_model(tmp_path, *recurrent(op, ORDERS[op], **reset))
    module, _ = check(path)
    assert not hasattr(module, "prepare")
    assert hasattr(module, f"{op.lower()}_layer")


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (0, 3, 2, 1), (0, 1, 2), (2, 1, 0)], ids=str
)
def test_gates_in_another_order_stay(tmp_path, order):
    op = "LSTM" if len(order) == 4 else "GRU"
    module, _ = check(write_model(tmp_path, *recurrent(op, order)))
    assert not hasattr(module, "prepare")


# Slices of an (8, 8) parameter that are put together: axis of the slices, step, sizes,
# and axis of the whole.
OTHER_PARTS = {
    "side by side": (0, 1, (2, 2, 2, 2), 1),
    "of columns": (1, 1, (2, 2, 2, 2), 0),
    "columns side by side": (1, 1, (2, 2, 2, 2), -1),
    "every other row": (0, 2, (2, 2, 2, 2), 0),
    "uneven": (0, 1, (3, 1, 2, 2), 0),
}


@pytest.mark.parametrize("name", OTHER_PARTS)
def test_other_parts_are_no_gates(tmp_path, name):
    axis, step, sizes, whole = OTHER_PARTS[name]
    nodes = [ints("axis", axis), ints("step", step)]
    begins = np.cumsum([0, *sizes])
    for i, gate in enumerate(ORDERS["LSTM"]):
        nodes += [ints(f"from{i}", begins[gate]), ints(f"to{i}", begins[gate + 1])]
        parts = ["lstm.w", f"from{i}", f"to{i}", "axis", "step"]
        nodes.append(helper.make_node("Slice", parts, [f"part{i}"]))
    names = [f"part{i}" for i in range(4)]
    nodes += [
        helper.make_node("Concat", names, ["joined"], axis=whole),
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"]),
        helper.make_node("Mul", ["joined", "sum"], ["y"]),
    ]
    nodes.insert(0, ints("axes", 0, 1, 2, 3))
    module, _ = check(write_model(tmp_path, nodes, {"lstm.w": (8, 8)}))
    assert not hasattr(module, "prepare")
