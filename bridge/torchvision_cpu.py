"""Make `import torchvision` work where its compiled operators cannot be loaded.

A torchvision built for another PyTorch (a CUDA build beside a CPU one, say) fails on
import with `operator torchvision::nms does not exist`: it registers shape functions
for operators that only its own library declares. No classifier needs them, so this
module declares the missing ones, by name and signature only, and imports it again.
Calling such an operator still raises, as it has no implementation.
"""

from __future__ import annotations

import importlib.util
import re
import sys

# What torchvision/csrc declares; those its Python code names while it is imported.
SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
MISSING = re.compile(r"operator torchvision::(\w+) does not exist")

_libraries = []  # an operator lives as long as the Library object that declared it


def repair() -> list[str]:
    """Import torchvision, declaring operators until it works; return their names.

    Does nothing where torchvision is not installed, is imported already, or fails in
    another way: importing the model will then tell.
    """
    declared: list[str] = []
    if "torchvision" in sys.modules or not importlib.util.find_spec("torchvision"):
        return declared
    while (name := _missing_operator()) in SCHEMAS and name not in declared:
        _declare(name)
        declared.append(name)
    return declared


def _missing_operator() -> str | None:
    """Import torchvision; return the operator it fails for, None if it does not."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        match = MISSING.search(str(error))
        _forget_partial_import()
        return match and match.group(1)
    except Exception:  # noqa: BLE001 - not ours to report: the model may not need it
        _forget_partial_import()
    return None


def _declare(name: str) -> None:
    """Declare one operator of torchvision, without an implementation."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define(SCHEMAS[name])
    _libraries.append(library)


def _forget_partial_import() -> None:
    """Drop what a failed import left behind, so that the next one starts afresh."""
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
