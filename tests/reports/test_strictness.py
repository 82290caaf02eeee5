"""What a file does not say is not made up, and what it says is not left out: numbers of
fusions, attributes, and sizes that only a hostile file has."""

import os
import signal
import subprocess
import time

import numpy as np
import onnx
import onnx.parser
import pytest
from harness import PROGRAM, CompileError, compile_model, load_module
from onnx import helper, numpy_helper


# microsoft/onnxruntime#2639 took epsilon from the graph only where it was constant, and
# a default otherwise; here what was not constant became `eps=jnp.nan`.
@pytest.mark.torch
@pytest.mark.parametrize("dynamo", [False, True])
def test_an_epsilon_that_is_a_buffer(dynamo, tmp_path):
    torch = pytest.importorskip("torch")

    class Norm(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, 8))
            self.register_buffer("eps", torch.tensor(0.25))

        def forward(self, x):
            scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
            return self.weight * (x * scale)

    module, x = Norm().eval(), torch.linspace(-1, 1, 16).reshape(2, 8)
    path = tmp_path / "norm.onnx"
    options = {"verbose": False} if dynamo else {}
    torch.onnx.export(module, (x,), str(path), dynamo=dynamo, **options)
    generated = load_module(compile_model(onnx.load(path), tmp_path))
    y = generated.forward(generated.load_params(), x.numpy())
    np.testing.assert_allclose(y, module(x).detach().numpy(), rtol=1e-6)


# microsoft/onnxruntime#18111: onnxruntime refuses a model with an attribute that the
# operator does not have; here it compiled, and the attribute was left out.
def test_a_misspelt_attribute(tmp_path):
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y)'
        "{ y = LeakyRelu<alpah = 0.3>(x) }"
    )
    with pytest.raises(CompileError, match="OX0305") as error:
        compile_model(model, tmp_path)
    assert 'LeakyRelu has no attribute "alpah"' in str(error.value)
    assert 'did you mean "alpha"?' in str(error.value)


# ---- sizes ---------------------------------------------------------------------------
# These came from a review of what a small hostile file can cost, not from a public
# report.


def value(name, shape=(2,)):
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def model_of(nodes, inputs, outputs, initializers=(), functions=()):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions))


def doubling(levels):
    """Functions that each call the one below twice."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]

    def call(level, x, y):
        if level < 0:
            return helper.make_node("Relu", [x], [y])
        return helper.make_node(f"f{level}", [x], [y], domain="own")

    functions = [
        helper.make_function(
            "own",
            f"f{level}",
            ["x"],
            ["y"],
            [call(level - 1, "x", "t"), call(level - 1, "t", "y")],
            opsets,
        )
        for level in range(levels)
    ]
    return model_of(
        [call(levels - 1, "x", "y")], [value("x")], [value("y")], (), functions
    )


def test_functions_that_double(tmp_path):
    """1.3 kB that asked for 2 GB."""
    path = compile_model(doubling(10), tmp_path)
    assert path.read_text().count("relu") > 1000
    with pytest.raises(CompileError, match="OX0203"):
        compile_soon(doubling(22), tmp_path)


def test_long_names_in_functions(tmp_path):
    """Each copy of a node has a name of its own, as long as that of the call."""
    model = doubling(14)
    for function in model.functions:
        for node in function.node:
            node.name = "n" * 5000
    with pytest.raises(CompileError, match="OX0203"):
        compile_model(model, tmp_path)


MANY = 100_000
SECONDS = 10  # of processor time: several times what linear work takes


def compile_soon(model, folder, *options):
    """compile_model with a limit that quadratic time would exceed."""
    source = folder / "model.onnx"
    source.write_bytes(model.SerializeToString())
    output = folder / "model_jax.py"
    command = [PROGRAM, "compile", str(source), "--output", str(output), *options]
    shell = ["sh", "-c", f'ulimit -t {SECONDS} && exec "$@"', "sh", *command]
    done = subprocess.run(shell, capture_output=True, text=True)
    if done.returncode != 0:
        raise CompileError(done.stderr or f"exit status {done.returncode}")
    return output


@pytest.mark.parametrize("op", ["Sum", "Max", "Einsum"])
def test_many_inputs(op, tmp_path):
    names = ["x"] * MANY
    options = {"equation": ",".join("i" * MANY) + "->i"} if op == "Einsum" else {}
    nodes = [helper.make_node(op, names, ["y"], **options)]
    compile_soon(model_of(nodes, [value("x")], [value("y")]), tmp_path)


def test_many_outputs(tmp_path):
    names = [f"y{i}" for i in range(MANY)]
    nodes = [
        helper.make_node("Constant", [], ["s"], value_ints=[1] * MANY),
        helper.make_node("Split", ["x", "s"], names, axis=0),
    ]
    outputs = [value(name, (1,)) for name in names]
    compile_soon(model_of(nodes, [value("x", (MANY,))], outputs), tmp_path)


def test_many_parameters_of_one_name(tmp_path):
    """Branches side by side, each with an initializer `w`."""

    def branch(number):
        w = numpy_helper.from_array(np.full(2, number, np.float32), "w")
        nodes = [helper.make_node("Add", ["x", "w"], ["z"])]
        return helper.make_graph(nodes, "b", [], [value("z")], [w])

    nodes = [
        helper.make_node(
            "If",
            ["c"],
            [f"y{i}"],
            then_branch=branch(i + 0.25),
            else_branch=branch(i + 0.75),
        )
        for i in range(20_000)
    ]
    c = helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, ())
    outputs = [value(f"y{i}") for i in range(20_000)]
    module = load_module(
        compile_soon(model_of(nodes[:3], [value("x"), c], outputs[:3]), tmp_path)
    )
    y = module.forward(module.load_params(), np.zeros(2, np.float32), True)
    np.testing.assert_array_equal([part[0] for part in y], [0.25, 1.25, 2.25])
    compile_soon(model_of(nodes, [value("x"), c], outputs), tmp_path)


def test_many_unknown_operators_and_attributes(tmp_path):
    nodes = [helper.make_node(f"Op{i}", ["x"], [f"v{i}"]) for i in range(MANY)]
    with pytest.raises(CompileError, match="OX0301"):
        compile_soon(model_of(nodes, [value("x")], [value("v0")]), tmp_path)
    attributes = {f"a{i}": 1 for i in range(MANY)}
    nodes = [helper.make_node("Relu", ["x"], ["y"], **attributes)]
    with pytest.raises(CompileError, match="OX0305"):
        compile_soon(model_of(nodes, [value("x")], [value("y")]), tmp_path)


def test_many_operator_sets(tmp_path):
    model = model_of(
        [helper.make_node("Relu", ["x"], ["y"])], [value("x")], [value("y")]
    )
    model.opset_import.extend(helper.make_opsetid(f"d{i}", 1) for i in range(1000))
    compile_soon(model, tmp_path)
    model.opset_import.extend(helper.make_opsetid(f"e{i}", 1) for i in range(100))
    with pytest.raises(CompileError, match="OX0105"):
        compile_soon(model, tmp_path)


def test_keys_of_many_levels(tmp_path):
    """They said "out of memory"."""

    def keyed(levels):
        keys = [".".join(["a"] * (levels - 1) + [f"w{i}"]) for i in range(300)]
        weights = [numpy_helper.from_array(np.ones(2, np.float32), k) for k in keys]
        nodes = [helper.make_node("Sum", ["x", *keys], ["y"])]
        return model_of(nodes, [value("x")], [value("y")], weights)

    with pytest.raises(CompileError, match="OX0104") as error:
        compile_soon(keyed(2000), tmp_path, "--params", "nested")
    assert "use --params flat" in str(error.value)
    module = load_module(compile_soon(keyed(64), tmp_path, "--params", "nested"))
    y = module.forward(module.load_params(), np.zeros(2, np.float32))
    np.testing.assert_array_equal(y, [300, 300])


# ---- signals -------------------------------------------------------------------------


# openzim/zim-tools#174 is the same fault elsewhere: what Ctrl-C ends leaves the files
# behind that it was writing.
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_no_temporary_file(name, tmp_path):
    """The module goes to a pipe that nobody reads, so that the program waits with its
    weights in a temporary file."""
    weight = numpy_helper.from_array(np.ones(2, np.float32), "layer.weight")
    nodes = [helper.make_node("Mul", ["x", "layer.weight"], ["y"])]
    model = model_of(nodes, [value("x")], [value("y")], [weight])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    os.mkfifo(tmp_path / "m.py")
    before = sorted(os.listdir(tmp_path))
    number = getattr(signal, name)
    command = [PROGRAM, "compile", "m.onnx", "--output", "m.py"]
    ours = signal.signal(number, signal.SIG_DFL)  # an ignored one would be inherited
    with subprocess.Popen(command, cwd=tmp_path) as program:
        signal.signal(number, ours)
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.005)
        while program.poll() is None and time.monotonic() < deadline:
            program.send_signal(number)
            time.sleep(0.05)
        assert program.wait(1) == -number
    assert sorted(os.listdir(tmp_path)) == before
