"""The bridge: names and values that survive, dynamic dimensions, messages, exit codes.

One module serves most tests; each exporter must keep its state_dict.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import fx_errors
import fx_export
import fx_exporters
import fx_save
import fx_state
import oxide_xla

pytestmark = pytest.mark.torch
SCRIPT = Path(fx_export.__file__)

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.up, self.down = nn.Linear(4, hidden), nn.Linear(hidden, 4)
    def forward(self, x, mask=None):
        print("printed by forward")
        y = self.down(torch.relu(self.up(self.norm(x))))
        return y if mask is None else y * mask

class Fixed(Net):
    def forward(self, x):
        if x.shape[0] != 2:
            raise ValueError("two rows only")
        return super().forward(x)

class Branch(Net):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x

def number():
    return 3
"""


class Net(nn.Module):
    """A BatchNorm and two equal layers, which the tracing exporter would merge."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.up, self.down = nn.Linear(4, 4), nn.Linear(4, 4)
        self.down.load_state_dict(self.up.state_dict())
        self.norm.running_mean.fill_(0.5)

    def forward(self, x, scale=None):
        y = self.down(torch.relu(self.up(self.norm(x))))
        return {"scaled": y if scale is None else y * scale, "plain": y}


def run(model: onnx.ModelProto, **feeds) -> list[np.ndarray]:
    """What onnxruntime computes."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {k: v.numpy() for k, v in feeds.items()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with nets.py in it: a name that no package of the tests has."""
    path = tmp_path_factory.mktemp("bridge")
    (path / "nets.py").write_text(NETS)
    return path


def call(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run the script beside nets.py."""
    command = [sys.executable, SCRIPT, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)


@pytest.fixture
def main(folder, monkeypatch, capfdbinary):
    """The same in this process, which has PyTorch loaded: (status, stdout, stderr)."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run_main(*options: str) -> tuple[int, bytes, bytes]:
        try:
            status = fx_export.main(options)
        except SystemExit as stop:  # argparse
            status = stop.code
        return status, *capfdbinary.readouterr()

    return run_main


@pytest.mark.parametrize("exporter", fx_exporters.NAMES)
def test_state_dict_survives(exporter):
    """Every name with its value, BatchNorm included, equal parameters apart."""
    module = Net().eval()
    data = fx_export.export(
        module, torch.randn(2, 4), exporter=exporter, fallback=False
    )
    graph = onnx.load_from_string(data).graph
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for name, tensor in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(values[name], tensor.numpy())
    assert "BatchNormalization" in {node.op_type for node in graph.node}


@pytest.mark.parametrize("exporter", fx_exporters.NAMES)
def test_names_and_dynamic_batch(exporter):
    """Inputs by forward's names, outputs by their keys, one file for every batch."""
    module = Net().eval()
    model = fx_export.export_model(
        module,
        torch.randn(1, 4),
        {"scale": torch.randn(1, 4)},
        dynamic_shapes="batch",
        exporter=exporter,
        fallback=False,
    )
    assert [v.name for v in model.graph.input] == ["x", "scale"]
    assert [v.name for v in model.graph.output] == ["scaled", "plain"]
    for batch in (1, 2, 7):
        x, scale = torch.randn(batch, 4), torch.randn(batch, 4)
        expected = module(x, scale)
        got = run(model, x=x, scale=scale)
        for name, value in zip(("scaled", "plain"), got):
            np.testing.assert_allclose(value, expected[name].detach(), atol=1e-6)


@pytest.mark.parametrize(
    "shapes",
    [
        {"x": {0: "n"}},
        ({0: "n"},),
        [["n", None]],
        {"x": {0: torch.export.Dim("n")}},
        {"x": {-2: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.STATIC}},
    ],
)
def test_forms_of_dynamic_shapes(shapes):
    """All the forms that torch.export takes."""
    model = fx_export.export_model(
        Net().eval(), torch.randn(1, 4), dynamic_shapes=shapes
    )
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert dims[0].dim_param
    assert dims[1].dim_value == 4


def test_module_is_left_as_it_was():
    """Training flags, one by one, and no trace of the exchanged forward."""
    module = Net().eval()
    module.up.train()  # a linear layer is the same in training
    before = {name: m.training for name, m in module.named_modules()}
    state = dict(vars(module))
    fx_export.export(module, torch.randn(2, 4), exporter="torchscript")
    assert {name: m.training for name, m in module.named_modules()} == before
    assert vars(module) == state


def test_no_source_positions():
    """Nothing of the machine that made the file is in it."""
    data = fx_export.export(Net().eval(), torch.randn(2, 4))
    assert os.path.dirname(torch.__file__).encode() not in data
    kept = fx_export.export(Net().eval(), torch.randn(2, 4), keep_stack_traces=True)
    assert b"stack_trace" in kept


def test_large_model(monkeypatch, tmp_path):
    """Above protobuf's limit there are two files, and no bytes."""
    monkeypatch.setattr(fx_save, "PROTOBUF_LIMIT", 4000)
    module = nn.Linear(64, 64).eval()
    model = fx_export.export_model(module, torch.randn(2, 64))
    with pytest.raises(fx_errors.ModelError, match="--output"):
        fx_save.serialize(model)
    path = tmp_path / "big.onnx"
    fx_save.save(model, path)
    assert sorted(os.listdir(tmp_path)) == ["big.onnx", "big.onnx.data"]
    assert path.stat().st_mode == (tmp_path / "big.onnx.data").stat().st_mode
    onnx.checker.check_model(path)
    x = torch.randn(3, 64)[:2]
    session = onnxruntime.InferenceSession(path)
    got = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    np.testing.assert_allclose(got, module(x).detach(), atol=1e-6)


def test_stdout_holds_the_model_only(folder):
    """What the module prints goes to stderr."""
    done = call(folder, "--model", "nets.Net", "--input", "2x4", "--config", "hidden=3")
    assert done.returncode == 0, done.stderr
    onnx.checker.check_model(onnx.load_from_string(done.stdout))
    assert b"printed by forward" in done.stderr


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_weights(main, ending):
    """Both kinds of file, by their names."""
    state = {k: v.clone() for k, v in Net().state_dict().items()}
    path = f"state.{ending}"
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    options = ["--model=nets.Net", "--config=hidden=4", "--input=2x4"]
    status, stdout, stderr = main(*options, f"--weights={path}")
    assert status == 0, stderr
    tensors = onnx.load_from_string(stdout).graph.initializer
    values = {t.name: onnx.numpy_helper.to_array(t) for t in tensors}
    np.testing.assert_array_equal(values["up.weight"], state["up.weight"].numpy())


@pytest.mark.parametrize(
    ("status", "message", "options"),
    [
        (1, "two rows only", ["nets.Fixed", "--input=2x4", "--dynamic=batch"]),
        (1, "branches on the values", ["nets.Branch", "--input=2x4"]),
        (1, "makes no torch.nn.Module", ["nets.number", "--input=2x4"]),
        (1, "cannot be multiplied|should contain", ["nets.Net", "--input=2x5"]),
        (1, "99 was asked for", ["nets.Net", "--input=2x4", "--opset=99"]),
        (2, "did you mean 'Net'", ["nets.Nett", "--input=2x4"]),
        (2, "no module 'nosuch'", ["nosuch.Net", "--input=2x4"]),
        (2, "unexpected keyword", ["nets.Net", "--input=2x4", "--config=a=1"]),
        (2, "--input 1x3x224", ["nets.Net"]),
        (2, "is not .NAME", ["nets.Net", "--input=2xx4"]),
        (2, "no dtype", ["nets.Net", "--input=2x4:float31"]),
        (2, "no axis 5", ["nets.Net", "--input=2x4", "--dynamic=x:5=n"]),
        (2, "no tensor input 'z'", ["nets.Net", "--input=2x4", "--dynamic=z:0=n"]),
        (3, "no such folder", ["nets.Net", "--input=2x4", "--output=no/x.onnx"]),
        (3, "No such file", ["nets.Net", "--input=2x4", "--weights=no.pt"]),
    ],
)
def test_failures(main, status, message, options):
    """One line that says what is wrong, the status that says whose fault, no output."""
    code, stdout, stderr = main("--model", *options)
    assert code == status, stderr
    assert stdout == b""
    assert b"Traceback" not in stderr
    assert re.search(message, stderr.decode())


def test_failure_of_the_script(folder):
    """The status reaches the shell."""
    done = call(folder, "--model=nosuch.Net", "--input=2x4")
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"no module 'nosuch'" in done.stderr


def test_fallback_says_why(monkeypatch):
    """The second exporter is tried, and the message holds the reason of the first."""
    messages = []

    def fail(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(fx_exporters, "_export_dynamo", fail)
    fx_export.export(Net().eval(), torch.randn(2, 4), log=messages.append)
    assert "dynamo" in messages[0]
    assert "no such operator" in messages[0]
    with pytest.raises(fx_errors.ModelError, match="no such operator"):
        fx_export.export(Net().eval(), torch.randn(2, 4), fallback=False)


def test_the_file_says_what_tensors_are():
    """Tied ones have the name that checkpoints keep, whichever the exporter chose."""

    class Tied(torch.nn.Module):
        _tied_weights_keys = {"table.weight": "head.weight"}

        def __init__(self):
            super().__init__()
            self.table, self.norm = torch.nn.Embedding(5, 4), torch.nn.LayerNorm(4)
            self.head = torch.nn.Linear(4, 5, bias=False)
            self.head.weight = self.table.weight
            self.norm.bias.requires_grad_(False)
            self.register_buffer("scale", torch.full((4,), 2.0))
            self.register_buffer("shift", torch.arange(4.0), persistent=False)

        def forward(self, ids):
            return self.head(self.norm(self.table(ids)) * self.scale + self.shift)

    for exporter in fx_exporters.NAMES:
        data = fx_export.export(Tied(), (torch.arange(3),), exporter=exporter)
        model = onnx.load_from_string(data)
        names = {tensor.name for tensor in model.graph.initializer}
        assert "head.weight" in names and "table.weight" not in names
        facts = {p.key: p.value for p in model.metadata_props}[fx_state.STATE]
        assert facts.splitlines() == [
            "tied\ttable.weight\thead.weight",
            "parameter\tnorm.weight",
            "frozen\tnorm.bias",
            "parameter\thead.weight",
            "buffer\tscale",
            "temporary\tshift",
        ]
        compiled = oxide_xla.compile(model)
        assert compiled.module.TIED == {"table.weight": "head.weight"}
        trained = compiled.module.trainable(compiled.params)
        assert trained.keys() == {"norm.weight", "head.weight"}
        if exporter == "dynamo":  # the other one takes it for a constant
            assert compiled.module.BUFFERS == ("shift",)
