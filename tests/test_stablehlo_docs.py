"""docs/stablehlo.md: its Python runs, and shows what the program does."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import oxide_xla

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "stablehlo.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


def test_every_block_runs(tmp_path, monkeypatch):
    """One after the other, on a model of the fixtures."""
    pytest.importorskip("iree.compiler")
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests" / "fixtures" / "gelu_mlp.onnx", "model.onnx")
    names = {}
    code = blocks("python")
    assert len(code) == 4
    for block in code:
        exec(compile(block, "docs/stablehlo.md", "exec"), names)
    model = oxide_xla.compile("model.onnx")
    wanted = model.forward(model.params, names["x"])
    np.testing.assert_allclose(names["y"], wanted, rtol=1e-6)
    assert b"tensor" not in names["static"][:8] and len(names["static"]) > 100
    assert Path("model.json").exists()


def test_the_json_shows_entries_that_there_are():
    (shown,) = map(json.loads, blocks("json"))
    lowered = oxide_xla.to_stablehlo(ROOT / "tests" / "fixtures" / "gelu_mlp.onnx")
    written = lowered.describe()
    for tensor in shown["arguments"]:
        assert tensor in written["arguments"]
    assert shown["results"] == written["results"]
    assert shown["dimensions"] == written["dimensions"]
    mentioned = set(re.findall(r"`(\w+)`", TEXT)) | shown.keys()
    assert written.keys() <= mentioned


def test_versions_are_those_of_jaxlib():
    lowered = oxide_xla.to_stablehlo(ROOT / "tests" / "fixtures" / "linear.onnx")
    assert f"has {lowered.version})" in TEXT
    assert f"({lowered.portable_version} from jaxlib" in TEXT
