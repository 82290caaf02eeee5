"""A model as bytes or as files: above 2 GB the weights lie beside the graph."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if __package__:
    from .fx_errors import ModelError
else:
    from fx_errors import ModelError

if TYPE_CHECKING:
    import onnx

PROTOBUF_LIMIT = 2**31 - 2**24  # protobuf's 2 GB, less room for the graph


def serialize(model: onnx.ModelProto) -> bytes:
    """The bytes of `model`; raises ModelError above protobuf's limit."""
    size = weight_bytes(model)
    if size > PROTOBUF_LIMIT:
        raise ModelError(
            f"the weights take {size / 2**30:.1f} GiB and one ONNX message holds 2: "
            "write to a file (--output FILE), with the weights beside it"
        )
    return model.SerializeToString()


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write `model` to `path`, whole or not at all; OSError if that fails.

    Above 2 GB the weights go to `path` + ".data". A pipe or device is written directly.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(serialize(model))
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fx_export-") as folder:
        draft = Path(folder) / path.name
        if weight_bytes(model) > PROTOBUF_LIMIT:
            _save_with_external_data(model, draft)
        else:
            draft.write_bytes(serialize(model))
        for part in sorted(Path(folder).iterdir(), reverse=True):  # weights first
            part.chmod(draft.stat().st_mode)  # onnx keeps external data to the owner
            part.replace(path.parent / part.name)


def _save_with_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Write the graph to `path` and all weights to one file beside it."""
    import onnx

    onnx.save_model(
        model, path, save_as_external_data=True, location=f"{path.name}.data"
    )


def weight_bytes(model: onnx.ModelProto) -> int:
    """The size of the initializers' raw data."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)
