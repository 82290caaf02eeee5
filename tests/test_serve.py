"""examples/serve.py: each way to serve a ported model gives what PyTorch gives."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))

import serve


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    serve.port(folder, layers=1)
    return folder


@pytest.mark.parametrize("way", serve.WAYS)
def test_a_way_gives_the_result(way, folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # the first way adds to it
    assert serve.first_call(folder, way) > 0


@pytest.mark.models
@pytest.mark.parametrize("way", serve.WAYS)
def test_new_processes_need_neither_torch_nor_the_package(way, folder, tmp_path):
    assert serve.in_process(folder, way, None) > 0
    assert serve.in_process(folder, way, tmp_path) > 0
    assert any(tmp_path.iterdir()) or way == "StableHLO"


def test_another_result_is_an_error(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(serve, "example", lambda: 0 * real_example())
    with pytest.raises(AssertionError, match="Not equal"):
        serve.first_call(folder, "jax.export")


real_example = serve.example
