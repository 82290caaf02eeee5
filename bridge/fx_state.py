"""What a module's tensors are, for the compiler: trained or not, saved or not, tied.

An ONNX file has initializers and no more. The lines that `describe` writes go into the
metadata of the model as `oxide_xla.state`, one for each name, with tabs between words:

    parameter NAME      an nn.Parameter that PyTorch trains
    frozen NAME         an nn.Parameter that does not require gradients
    buffer NAME         a buffer of the state_dict
    temporary NAME      a buffer that the state_dict lacks
    tied NAME KEPT      another name of KEPT, the one that checkpoints have
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if __package__:
    from .fx_fake import place
else:
    from fx_fake import place

if TYPE_CHECKING:
    import onnx
    import torch

STATE = "oxide_xla.state"


def annotate(model: onnx.ModelProto, module: torch.nn.Module) -> None:
    """Write into `model` what the tensors of `module` are, under the names it keeps."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    buffers = dict(module.named_buffers(remove_duplicate=False))
    tied = tied_names({**parameters, **buffers}, tied_patterns(module))
    rename_initializers(model.graph, tied)
    saved = set(module.state_dict(keep_vars=True))
    text = describe(parameters, buffers, saved, tied)
    model.metadata_props.add(key=STATE, value=text)


def describe(
    parameters: dict[str, torch.nn.Parameter],
    buffers: dict[str, torch.Tensor],
    saved: set[str],
    tied: dict[str, str],
) -> str:
    """The lines for these tensors."""
    # A model that was frozen as a whole was so for inference: all of it can be trained.
    trains = any(p.requires_grad for p in parameters.values())
    lines = []
    for name, tensor in {**parameters, **buffers}.items():
        if name in tied:
            lines.append(f"tied\t{name}\t{tied[name]}")
        elif name in buffers:
            lines.append(f"{'buffer' if name in saved else 'temporary'}\t{name}")
        else:
            trained = tensor.requires_grad or not trains
            lines.append(f"{'parameter' if trained else 'frozen'}\t{name}")
    return "\n".join(lines)


def tied_patterns(module: torch.nn.Module) -> list[str]:
    """The patterns of names that transformers leaves out of a checkpoint.

    `_tied_weights_keys` is a list of them, or maps them to the names that it keeps.
    """
    patterns = []
    for path, submodule in module.named_modules():
        prefix = f"{path}." if path else ""
        keys = getattr(submodule, "_tied_weights_keys", None) or ()
        patterns += [prefix + key for key in keys]
    return patterns


def tied_names(tensors: dict[str, torch.Tensor], left_out: list[str]) -> dict[str, str]:
    """Names of tensors that are others' too, and the names that checkpoints keep.

    That is the first one, as in `named_parameters()`, that no pattern leaves out.
    """
    groups: dict[tuple, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.numel() and place(tensor):
            layout = (tensor.dtype, tensor.shape, tensor.stride())
            groups.setdefault((place(tensor), *layout), []).append(name)
    tied = {}
    for names in groups.values():
        kept = [n for n in names if not any(re.search(p, n) for p in left_out)]
        first = kept[0] if kept else max(names)
        tied |= {name: first for name in names if name != first}
    return tied


def rename_initializers(graph: onnx.GraphProto, tied: dict[str, str]) -> None:
    """Give initializers the names that are kept; those of one tensor become one."""
    present = {tensor.name for tensor in graph.initializer}
    results = {value.name for value in graph.output}
    renamed = {n: k for n, k in tied.items() if n in present and n not in results}
    if not renamed:
        return
    for i in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[i]
        if kept := renamed.get(tensor.name):
            tensor.name = kept
            if kept in present:
                del graph.initializer[i]
            present.add(kept)
    for i in reversed(range(len(graph.value_info))):
        if graph.value_info[i].name in renamed:
            del graph.value_info[i]
    _rename_inputs(graph, renamed)


def _rename_inputs(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename_inputs(inner, renamed)
