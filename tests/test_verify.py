"""`oxide_xla verify`: what it compares, what it tolerates, and whom it blames."""

import io
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

import oxide_xla
from oxide_xla import _verify_command
from oxide_xla.verify import VerifyError, cli, inputs, metrics, report, verify
from oxide_xla.verify.network import Network

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
FIXTURES = ROOT / "tests" / "fixtures"
RNG = np.random.default_rng(0)


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, ins, outs, weights=(), opset=20, **options):
    """A model; nodes are (op, inputs, outputs, attributes)."""
    made = [
        helper.make_node(op, i.split(), o.split(), name=f"/{op}/{o}", **attrs)
        for op, i, o, attrs in nodes
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights]
    graph = helper.make_graph(made, "model", ins, outs, tensors)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, **options)


def weight(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def network_with_tanh():
    """x -> MatMul -> Tanh -> MatMul -> Softmax."""
    nodes = [
        ("MatMul", "x w1", "h1", {}),
        ("Tanh", "h1", "a1", {}),
        ("MatMul", "a1 w2", "h2", {}),
        ("Softmax", "h2", "y", {"axis": -1}),
    ]
    weights = [("w1", weight(6, 8)), ("w2", weight(8, 5))]
    ins, outs = [value("x", ["batch", 6])], [value("y", ["batch", 5])]
    return model(nodes, ins, outs, weights)


def planted(old, new):
    """A compiler with a fault: `old` in the code that it generates becomes `new`."""

    def compile(source, *, outputs=None):
        compiled = oxide_xla.compile(source, outputs=outputs)
        compiled.source = compiled.source.replace(old, new)
        return compiled

    return compile


# ---- verdicts ------------------------------------------------------------------------


@pytest.mark.parametrize("against", ["onnxruntime", "reference"])
@pytest.mark.parametrize("name", ["attention", "conv_bn_relu", "dtype_mix"])
def test_fixtures_agree(name, against):
    found = verify(FIXTURES / f"{name}.onnx", against=against)
    assert found.passed, found.rows
    assert all(row.tolerance >= row.max_abs for row in found.rows)
    assert found.first is None


def test_the_columns_of_equal_outputs():
    [row] = verify(FIXTURES / "linear.onnx").rows
    assert row.name == "output" and row.shape == (1, 8)
    assert row.relative < 1e-6 and row.ulp_p99 < 8
    assert row.cosine > 0.999999 and row.argmax == 1


def test_gradients_agree_with_differences():
    found = verify(FIXTURES / "gelu_mlp.onnx", grad=True)
    assert found.passed, found.gradients
    assert {"up.weight", "down.bias", "x"} <= {row.name for row in found.gradients}


def test_a_wrong_gradient_fails():
    """The value is right; only what jax.grad sees is not."""
    compile = planted("jnp.tanh(", "(lambda t: jax.lax.stop_gradient(jnp.tanh(t)))(")
    found = verify(network_with_tanh(), grad=True, compile=compile)
    assert all(row.passed for row in found.rows)
    failed = {row.name for row in found.gradients if not row.passed}
    assert failed == {"w1", "x"}


def test_layers_has_a_row_for_every_value():
    found = verify(network_with_tanh(), layers=True)
    assert [row.name for row in found.layers] == ["h1", "a1", "h2", "y"]
    assert found.layers[1].node == "Tanh /Tanh/a1"
    assert found.passed


def test_double_is_compared_in_double():
    nodes = [("Exp", "x", "y", {})]
    kind = TensorProto.DOUBLE
    found = verify(model(nodes, [value("x", [9], kind)], [value("y", [9], kind)]))
    assert found.passed and found.rows[0].max_abs < 1e-13


def test_random_operators_are_refused():
    nodes = [("RandomNormalLike", "x", "y", {})]
    with pytest.raises(VerifyError, match="random"):
        verify(model(nodes, [value("x", [3])], [value("y", [3])]))


def test_code_that_fails_is_a_mismatch():
    with pytest.raises(VerifyError, match="generated code fails") as error:
        verify(network_with_tanh(), compile=planted("jnp.tanh(", "jnp.lunch("))
    assert error.value.exit_code == 1


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_narrow_floats_have_the_noise_of_their_type(kind):
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [("MatMul", "x w", "h", {}), ("Sigmoid", "h", "y", {})]
    ins, outs = [value("x", [3, 6], kind)], [value("y", [3, 4], kind)]
    proto = model(nodes, ins, outs, [("w", weight(6, 4).astype(dtype))])
    [row] = verify(proto, against="reference").rows
    assert row.passed and row.tolerance > 1e-4
    wrong = planted("jax.nn.sigmoid(", "jnp.tanh(")
    assert not verify(proto, against="reference", compile=wrong).passed


# ---- the planted fault ---------------------------------------------------------------


def test_the_first_faulty_node_is_named_and_reproduced(tmp_path):
    compile = planted("jnp.tanh(", "jnp.sin(")
    found = verify(network_with_tanh(), compile=compile, reproductions=tmp_path)
    assert not found.passed
    assert found.first.node == "Tanh /Tanh/a1"
    assert found.reproduction.confirmed
    folder = found.reproduction.folder
    assert folder == tmp_path / "model_repro"
    [node] = onnx.load(folder / "node.onnx").graph.node
    assert node.op_type == "Tanh"
    assert list(np.load(folder / "node.npz")) == ["h1"]


def test_the_reproduction_runs_without_the_model(tmp_path):
    compile = planted("jax.nn.softmax(", "jax.nn.log_softmax(")
    found = verify(network_with_tanh(), compile=compile, reproductions=tmp_path)
    script = found.reproduction.folder / "reproduce.py"
    assert len(script.read_text().splitlines()) <= 12
    # The real compiler makes no such mistake.
    assert float(run_script(script)) < 1e-6


def run_script(path, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run(
        [sys.executable, path.name, *arguments],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_later_nodes_that_inherit_the_fault_are_not_named():
    compile = planted("jnp.tanh(", "jnp.sin(")
    found = verify(network_with_tanh(), compile=compile, layers=True)
    verdicts = {row.name: row.passed for row in found.layers}
    assert verdicts == {"h1": True, "a1": False, "h2": False, "y": False}
    assert found.first.name == "a1"


def test_values_inside_functions_are_named():
    """A local function is inlined, so its nodes can be told apart."""
    nodes = [
        helper.make_node("Tanh", ["t"], ["u"]),
        helper.make_node("Exp", ["u"], ["v"]),
    ]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "Block", ["t"], ["v"], nodes, opsets[:1])
    graph = helper.make_graph(
        [helper.make_node("Block", ["x"], ["y"], domain="own")],
        "model",
        [value("x", [4])],
        [value("y", [4])],
    )
    whole = helper.make_model(graph, opset_imports=opsets, functions=[function])
    found = verify(whole, compile=planted("jnp.tanh(", "jnp.sin("))
    assert found.first.node.startswith("Tanh")


# ---- tolerance -----------------------------------------------------------------------


def test_the_tolerance_grows_where_the_model_amplifies_rounding():
    """Large products that cancel lose digits in every implementation."""
    big = np.array([1e4, -1e4 + 1], np.float32)
    nodes = [("Unsqueeze", "x last", "h", {}), ("Mul", "h big", "p", {})]
    nodes.append(("ReduceSum", "p last", "y", {"keepdims": 0}))
    weights = [("big", big), ("last", np.array([1]))]
    ins, outs = [value("x", [50])], [value("y", [50])]
    lossy = verify(model(nodes, ins, outs, weights)).rows[0]
    plain = verify(model([("Tanh", "x", "y", {})], ins, outs)).rows[0]
    assert lossy.tolerance > 100 * plain.tolerance


def test_integers_must_be_equal():
    a = np.arange(4)
    row = metrics.compare("y", np.array([0, 1, 2, 4], np.int32), a, [a])
    assert not row.passed and row.max_abs == 1


def test_infinities_must_be_in_the_same_places():
    a = np.array([1, np.inf, np.nan], np.float32)
    assert metrics.compare("y", a.copy(), a, [a]).passed
    b = np.array([1, -np.inf, np.nan], np.float32)
    assert "finite" in metrics.compare("y", b, a, [a]).reason


@pytest.mark.parametrize(
    "actual", [np.zeros((2, 1), np.float32), np.zeros(2, np.float16)]
)
def test_shape_and_type_must_be_equal(actual):
    a = np.zeros(2, np.float32)
    assert not metrics.compare("y", actual, a, [a]).passed


# ---- inputs --------------------------------------------------------------------------


def transformer_inputs():
    """Token ids, types and a mask, as BERT uses them."""
    nodes = [
        ("Gather", "words input_ids", "a", {}),
        ("Gather", "types token_type_ids", "b", {}),
        ("Cast", "attention", "m", {"to": TensorProto.FLOAT}),
        ("Unsqueeze", "m last", "m3", {}),
        ("Add", "a b", "s", {}),
        ("Mul", "s m3", "y", {}),
    ]
    ints = TensorProto.INT64
    names = ("input_ids", "token_type_ids", "attention")
    weights = [("words", weight(11, 4)), ("types", weight(2, 4))]
    weights.append(("last", np.array([2])))
    ins = [value(name, ["batch", "seq"], ints) for name in names]
    return model(nodes, ins, [value("y", ["batch", "seq", 4])], weights)


def test_random_inputs_respect_meaning():
    made = inputs.random_inputs(Network(transformer_inputs()), ["input_ids=7,40"])
    assert made["input_ids"].shape == made["attention"].shape == (7, 40)
    assert made["input_ids"].max() == 10 and made["token_type_ids"].max() == 1
    assert set(np.unique(made["attention"])) == {0, 1}
    assert np.all(made["attention"][:, 0] == 1)
    assert verify(transformer_inputs()).passed


def test_random_inputs_are_the_same_every_time():
    network = Network(transformer_inputs())
    first, again = inputs.random_inputs(network), inputs.random_inputs(network)
    other = inputs.random_inputs(network, seed=1)
    assert all(np.array_equal(first[k], again[k]) for k in first)
    assert not all(np.array_equal(first[k], other[k]) for k in first)


def test_sums_of_dimensions_fit():
    """Past and new keys: the mask is as long as both."""
    nodes = [("Concat", "past new", "k", {"axis": 0}), ("Mul", "k mask", "y", {})]
    ins = [
        value("past", ["past"]),
        value("new", ["seq"]),
        value("mask", ["past + seq"]),
    ]
    made = inputs.random_inputs(Network(model(nodes, ins, [value("y", [None])])))
    assert len(made["mask"]) == len(made["past"]) + len(made["new"])


# ---- the command ---------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tanh.onnx"
    onnx.save(network_with_tanh(), path)
    return path


def test_exit_codes(path, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([str(path)]) == 0
    assert re.search(r"y +│ 2×5 .*│ ok", capsys.readouterr().out)
    assert cli.main([str(tmp_path / "none.onnx")]) == 3
    assert cli.main([str(path), "--shape", "z=1"]) == 2
    assert cli.main([str(path), "--against", "torch"]) == 2
    (tmp_path / "text.onnx").write_text("no model")
    assert cli.main([str(tmp_path / "text.onnx")]) == 1


def test_a_mismatch_is_exit_code_1(path, tmp_path, capsys, monkeypatch):
    real = verify

    def faulty(model, **options):
        return real(model, compile=planted("jnp.tanh(", "jnp.sin("), **options)

    monkeypatch.setattr(cli, "verify", faulty)
    assert cli.main([str(path), "--repro", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "first node that differs: Tanh /Tanh/a1" in printed
    assert "tanh_repro/reproduce.py" in printed


def test_inputs_from_a_file(path, tmp_path, capsys):
    file = tmp_path / "inputs.npz"
    np.savez(file, x=weight(3, 6))
    assert cli.main([str(path), "--inputs", str(file)]) == 0
    assert "3×5" in capsys.readouterr().out
    np.savez(file, z=weight(3, 6))
    assert cli.main([str(path), "--inputs", str(file)]) == 2


def test_the_program_finds_the_command_on_the_path(path, tmp_path):
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = entry["oxide_xla-verify"].split(":")
    script = tmp_path / "oxide_xla-verify"
    script.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"sys.path.insert(0, {str(ROOT / 'python')!r})\n"
        f"from {module} import {function}\nsys.exit({function}())\n"
    )
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [PROGRAM, "verify", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tanh against" in done.stdout


def test_a_bar_shows_only_on_terminals():
    for terminal in (True, False):
        file = io.StringIO()
        console = Console(file=file, force_terminal=terminal)
        track = report.tracker(console, patience=0)
        assert list(track(range(3), "counting", 3)) == [0, 1, 2]
        assert ("counting" in file.getvalue()) == terminal


# ---- torch ---------------------------------------------------------------------------


@pytest.mark.torch
def test_against_torch_with_gradients():
    torch = pytest.importorskip("torch")

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 5)
    )
    state = {k: v.numpy() for k, v in module.state_dict().items()}
    nodes = [
        ("Gemm", "x 0.weight 0.bias", "h", {"transB": 1}),
        ("Tanh", "h", "a", {}),
        ("Gemm", "a 2.weight 2.bias", "y", {"transB": 1}),
    ]
    ins, outs = [value("x", ["n", 6])], [value("y", ["n", 5])]
    proto = model(nodes, ins, outs, list(state.items()))
    found = verify(proto, against="torch", module=module, grad=True)
    assert found.passed, (found.rows, found.gradients)
    assert {row.name for row in found.gradients} == {*state, "x"}
    wrong = verify(
        proto, against="torch", module=module, compile=planted("jnp.tanh(", "jnp.sin(")
    )
    assert wrong.first.node == "Tanh /Tanh/a"


@pytest.mark.torch
def test_another_module_than_the_file():
    torch = pytest.importorskip("torch")
    weights = [("weight", weight(3, 4)), ("bias", weight(3))]
    nodes = [("Gemm", "x weight bias", "y", {"transB": 1})]
    proto = model(nodes, [value("x", ["n", 4])], [value("y", ["n", 3])], weights)

    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    found = verify(proto, against="torch", module=Doubled(4, 3))
    assert not found.passed and found.first is None
    console = Console(file=io.StringIO())
    report.print_report(found, console)
    assert "the module is another than" in console.file.getvalue()


def test_a_missing_package_is_named(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("oxide_xla.verify")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert _verify_command.main() == 2
    assert "pip install 'oxide_xla[verify]'" in capsys.readouterr().err
