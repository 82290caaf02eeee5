"""jax.export of generated modules with several outputs: serialized, and read again."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export

import oxide_xla

FIXTURE = Path(__file__).parent / "fixtures" / "multi_output.onnx"
X = np.arange(12, dtype=np.float32).reshape(2, 6)
READER = """
import importlib, pathlib, sys
import numpy as np
from jax import export
artifact, x = pathlib.Path(sys.argv[1]).read_bytes(), np.load(sys.argv[2])
try:
    export.deserialize(artifact)
except ValueError as error:
    print(error)
importlib.import_module("several")
print(export.deserialize(artifact).call({"ceiling": np.float32(8)}, x))
"""


@pytest.fixture
def path(tmp_path):
    """A module several.py of three outputs."""
    path = tmp_path / "several.py"
    oxide_xla.compile(FIXTURE).save(path)
    return path


def imported(path, name):
    """The file under this name, as if for the first time."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def artifact(module):
    params = module.load_params()
    return export.export(module.forward)(params, X).serialize()


def check(module, outputs):
    """These are the module's outputs, in its class."""
    expected = module.forward(module.load_params(), X)
    assert jax.tree.structure(outputs) == jax.tree.structure(expected)
    assert outputs._fields == ("values", "indices", "tail")
    for a, b in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_several_outputs_come_back_in_their_class(path):
    module = imported(path, "export_once")
    read = export.deserialize(artifact(module))
    check(module, read.call(module.load_params(), X))


def test_a_module_is_imported_again(path):
    """Both imports serialize, and read what the other one has written."""
    first, second = imported(path, "export_twice"), imported(path, "export_twice")
    for writer, reader in ((first, second), (second, first)):
        read = export.deserialize(artifact(writer))
        check(reader, read.call(reader.load_params(), X))


def test_a_name_that_had_other_outputs(path):
    """A module that was compiled anew and imported again, with one output less."""
    imported(path, "export_anew")
    oxide_xla.compile(FIXTURE, outputs=["values", "indices"]).save(path)
    module = imported(path, "export_anew")
    read = export.deserialize(artifact(module))
    assert read.call(module.load_params(), X)._fields == ("values", "indices")


def test_a_process_without_the_module(path, tmp_path):
    """JAX's error says which class is missing; with the module it reads the file."""
    sys.path.insert(0, str(path.parent))
    try:
        (tmp_path / "artifact").write_bytes(
            artifact(importlib.import_module("several"))
        )
    finally:
        sys.path.remove(str(path.parent))
    np.save(tmp_path / "x.npy", X)
    command = [sys.executable, "-c", READER, "artifact", "x.npy"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True
    )
    assert "several.Outputs('values', 'indices', 'tail')" in done.stdout
    assert "Outputs(values=Array(" in done.stdout
