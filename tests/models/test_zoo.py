"""The model zoo: each architecture through each exporter equals PyTorch.

A few run in `make test`; `make test-models` runs all.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import oxide_xla
from models import compare, exports, param_names
from models.architectures import all_architectures

ENTRIES = all_architectures()
DOCS = Path(__file__).resolve().parents[2] / "docs"
# What PyTorch exports that is not valid ONNX, and what the compiler says of it.
REFUSED = {
    # The optimizer folds BatchNorm in float32 and leaves the input in bfloat16.
    ("cnn_bfloat16", "dynamo"): "different types, bfloat16 and float32",
    # Without the optimizer, the absent bias of Conv3d becomes zeros [channels, batch].
    ("tv_r3d", "bridge"): "B does not have one element for each output channel",
}


def marks(entry):
    """The slow tier is deselected unless asked for by its mark."""
    return () if entry.fast else pytest.mark.models


each_entry = pytest.mark.parametrize(
    "entry",
    [pytest.param(e, marks=marks(e), id=name) for name, e in ENTRIES.items()],
)
each_exporter = pytest.mark.parametrize("exporter", exports.EXPORTERS)


def test_the_zoo_is_large():
    assert len(ENTRIES) >= 60


def test_the_document_has_a_row_for_each():
    """docs/models.md, as `make models-doc` prints it."""
    text = (DOCS / "models.md").read_text()
    table = text.partition("\n## ")[0]
    rows = [line.split(" | ")[:2] for line in table.splitlines() if line[:2] == "| "]
    found = {(name.removeprefix("| "), exporter) for name, exporter in rows[1:]}
    assert found == set(itertools.product(ENTRIES, exports.EXPORTERS))


@each_entry
@each_exporter
def test_equals_torch(entry, exporter):
    export = exports.exported(entry, exporter)
    if export.path is None:
        pytest.skip(f"PyTorch cannot export it: {export.error}")
    if message := REFUSED.get((entry.name, exporter)):
        with pytest.raises(oxide_xla.OxideError, match=message):
            oxide_xla.compile(export.path)
        return
    result = compare.compare(entry, exporter)
    most = compare.limit(entry)
    assert result.error < most
    assert result.second is None or result.second < most or result.frozen
    if exporter == "bridge" or not isinstance(result.trained, str):
        assert result.trained < most
    else:
        assert "export with the bridge" in result.trained


@each_entry
def test_the_outputs_depend_on_the_inputs(entry):
    """Or any file would be equal: an output moves by far more than the limit."""
    module = entry.build()
    outputs = compare.eager(module, entry.make_inputs())
    others = compare.eager(module, compare.other_inputs(entry))
    pairs = zip(outputs, others, strict=True)
    moves = [compare.relative_error(compare.to_numpy(b), a) for a, b in pairs]
    assert max(m for m in moves if np.isfinite(m)) > 1e5 * compare.LIMIT


@each_entry
def test_the_bridge_exports_it_with_open_dimensions(entry):
    export = exports.exported(entry, "bridge")
    assert export.path, export.error
    assert export.axes == entry.axes, export.error


@each_entry
def test_the_bridge_gives_code_that_jits(entry):
    if (entry.name, "bridge") in REFUSED:
        pytest.skip("there is no valid file")
    source = oxide_xla.compile(exports.exported(entry, "bridge").path).source
    assert "@jax.jit\ndef forward" in source.replace("@on_mesh\n", "")


@each_entry
def test_the_bridge_keeps_every_name(entry):
    if (entry.name, "bridge") in REFUSED:
        pytest.skip("there is no valid file")
    names = param_names.of_bridge(entry)
    assert not names.unknown
    assert not names.lost
    assert not names.changed


def test_a_document_shows_a_layer_of_llama():
    source = oxide_xla.compile(exports.exported(ENTRIES["llama"], "bridge").path).source
    (layer,) = [part for part in source.split("\n\n\n") if "def llama_decoder" in part]
    assert layer in (DOCS / "generated.md").read_text()


@each_entry
@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_recovered_names_have_the_values_of_torch(entry, exporter):
    export = exports.exported(entry, exporter)
    if export.path is None or (entry.name, exporter) in REFUSED:
        pytest.skip("there is no file")
    assert not param_names.wrong_values(entry, export.path)


def test_fast_entries_cover_every_table():
    assert sum(e.fast for e in ENTRIES.values()) >= 10
    assert torch.get_default_dtype() == torch.float32
