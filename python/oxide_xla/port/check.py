"""Whether the checkpoint of a folder has what a ported module asks for."""

from __future__ import annotations

import os
from pathlib import Path

from oxide_xla import _library as c
from oxide_xla.compiler import CompiledModel


def unfit(model: CompiledModel, folder: str | os.PathLike[str]) -> str:
    """What `load_params(folder)` will say; empty where all fits, or nothing is there.

    Headers alone are read: names, types and shapes.
    """
    module = model.module
    places = [*Path(folder).glob("model.safetensors*")]
    tools = getattr(module, c.LOADER_MODULE, module)
    if not places or not hasattr(tools, "read_checkpoint"):
        return ""
    try:
        arrays, _ = tools.read_checkpoint(folder)
        names = getattr(module, "CHECKPOINT_NAMES", {})
        if names:
            arrays = {tools.name_here(k, names): x for k, x in arrays.items()}
        tied = getattr(module, "TIED", {})
        buffers = getattr(module, "BUFFERS", ())
        found = {tied.get(name, name): x for name, x in arrays.items()}
        wanted = {k: v for k, v in module.PARAMS.items() if k not in buffers}
        found = {name: x for name, x in found.items() if name not in buffers}
        tools.check_params(found, folder, wanted, getattr(module, "UNUSED", ()))
    except (OSError, ValueError) as error:
        return str(error)
    return ""
