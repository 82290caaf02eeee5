"""What the parameters of a module are called in its checkpoints.

transformers gives tensors of some checkpoints other names while it loads them (ViT's),
and makes one of several (the experts of a mixture). The first is a table in the
generated module, which load_params goes by; for the others `oxide_xla checkpoint
FOLDER` writes a file that has them as the module wants them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    import onnx
    import torch

METADATA = "oxide_xla.checkpoint"  # src/emit/changes.c


@dataclass
class Sources:
    """Where the tensors of a module come from."""

    #: A name in the checkpoint -> the one in the module.
    renamed: dict[str, str] = field(default_factory=dict)
    #: A name in the module -> what makes it, and its parts as (pattern, name).
    converted: dict[str, tuple[Any, list[tuple[str, str]]]] = field(
        default_factory=dict
    )


def sources(module: torch.nn.Module, keys: Collection[str]) -> Sources:
    """What becomes of the names of a checkpoint, as transformers loads it."""
    found = Sources()
    try:
        from transformers import conversion_mapping, core_model_loading
    except ImportError:  # before transformers 5, where none are converted
        found.renamed = {key: key for key in keys}
        return found
    rules: Any = conversion_mapping.get_model_conversion_mapping(module)
    renamings = [x for x in rules if isinstance(x, core_model_loading.WeightRenaming)]
    converters = [x for x in rules if isinstance(x, core_model_loading.WeightConverter)]
    makers = {pattern: x for x in converters for pattern in x.source_patterns}
    own = module.state_dict(keep_vars=True)
    target: str
    for key in sorted(keys, key=core_model_loading.dot_natural_key):
        prefix = module.base_model_prefix
        rename = core_model_loading.rename_source_key
        target, pattern = rename(key, renamings, converters, prefix, own)
        if target not in own and key in own:
            target, pattern = rename(key, [], [], prefix, own)
        if pattern is None:
            found.renamed[key] = target
        else:
            entry = found.converted.setdefault(target, (makers[pattern], []))
            entry[1].append((pattern, key))
    return found


def places(folder: Path) -> dict[str, Path]:
    """The file of each tensor in a folder of safetensors files; empty without any."""
    index, single = (
        folder / "model.safetensors.index.json",
        folder / "model.safetensors",
    )
    try:
        if not single.is_file() and index.is_file():
            shards = json.loads(index.read_text())["weight_map"]
            return {name: folder / shard for name, shard in shards.items()}
        with safe_open(single, "pt") as file:
            return dict.fromkeys(file.keys(), single)
    except (OSError, KeyError, ValueError, AttributeError, SafetensorError):
        return {}


def lacking(module: torch.nn.Module, found: Collection[str]) -> list[str]:
    """Parameters of which a checkpoint has none of their names."""
    groups: dict[int, list[str]] = {}
    for name, x in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(x), []).append(name)
    return [names[0] for names in groups.values() if not set(names) & set(found)]


def usual_names(module: torch.nn.Module) -> list[str]:
    """The names that `save_pretrained` gives the tensors of a module."""
    state = module.state_dict(keep_vars=True)
    try:
        from transformers.core_model_loading import revert_weight_conversion

        return [*revert_weight_conversion(module, state)]
    except Exception:  # noqa: BLE001 - not all can be reverted; then they are not known
        return [*state]


# ---- the table ---------------------------------------------------------------------


def annotate(model: onnx.ModelProto, module: torch.nn.Module, folder: Path) -> str:
    """Write into `model` what its parameters are called in the folder's checkpoint.

    A warning says what names cannot.
    """
    keys = [*places(folder)] or usual_names(module)
    own = module.state_dict(keep_vars=True)
    found = sources(module, keys)
    renamed = {k: v for k, v in found.renamed.items() if v in own}
    if names := table(renamed):
        lines = "\n".join(f"{theirs}\t{ours}" for theirs, ours in names.items())
        model.metadata_props.add(key=METADATA, value=lines)
    if not found.converted:
        return ""
    return (
        f"warning: the checkpoint has {min(found.converted)!r} in other tensors\n"
        f"  help: `oxide_xla checkpoint {folder} -o merged.safetensors` writes a file "
        "that load_params reads"
    )


def table(renamed: Mapping[str, str]) -> dict[str, str]:
    """Beginnings of names and what takes their place, # for numbers, as few as do."""
    rows: dict[str, str] = {}
    for theirs, ours in renamed.items():
        old, new = form(theirs), form(ours)
        if old != new and old.count("#") == new.count("#"):
            while old and new and old[-1] == new[-1]:
                old, new = old[:-1], new[:-1]
            rows.setdefault(".".join(old), ".".join(new))
    wrong = {k: v for k, v in renamed.items() if name_here(k, rows) != v}
    return rows | wrong  # whole names come first


def form(name: str) -> list[str]:
    """The parts of a name, with # for numbers."""
    return ["#" if part.isdecimal() else part for part in name.split(".")]


def name_here(key: str, names: Mapping[str, str]) -> str:
    """What `name_here` of the generated module gives (src/python/lib)."""
    if key in names:
        return names[key]
    parts, kind = key.split("."), form(key)
    numbers = [part for part in parts if part.isdecimal()]
    for end in range(len(kind), -1, -1):
        if (start := ".".join(kind[:end])) in names:
            kind = names[start].split(".") + kind[end:]
            break
    return ".".join(numbers.pop(0) if x == "#" else x for x in kind if x)
