"""The bridge from PyTorch: bridge/ of the source tree, or its copy inside a wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import oxide_xla
from oxide_xla.compiler import OxideError

# Makes the folder `bridge` at the root importable as oxide_xla.bridge, as in a wheel.
_ROOT = Path(__file__).resolve().parents[2]
if not (Path(__file__).parent / "bridge").exists():
    oxide_xla.__path__.append(str(_ROOT))


def export(module: Any, args: Any, kwargs: Any, **options: Any) -> bytes:
    """The module as a serialized ONNX model; needs torch, onnx and onnxscript.

    Raises OxideError when it cannot be exported, ImportError where one is missing.
    """
    for package in ("torch", "onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(
                f"from_torch needs {package}: pip install 'oxide_xla[torch]'",
                name=package,
            )
    from oxide_xla.bridge import fx_errors, fx_export

    try:
        return fx_export.export(module, args, kwargs, **options)
    except fx_errors.BridgeError as error:
        raise OxideError(str(error)) from error
