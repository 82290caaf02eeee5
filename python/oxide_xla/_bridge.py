"""`from_torch`, over the bridge: bridge/ of the source tree, or its copy in a wheel."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from oxide_xla._errors import OxideError
from oxide_xla.compiler import CompiledModel, compile


def export(
    module: Any, args: Any, kwargs: Mapping[str, Any] | None, **options: Any
) -> bytes:
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
        data: bytes = fx_export.export(module, args, kwargs, **options)
    except fx_errors.BridgeError as error:
        raise OxideError(str(error)) from error
    return data


def from_torch(
    module: Any,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    exporter: str = "dynamo",
    cache: int | None = None,
    part: str | None = None,
    **options: Any,
) -> CompiledModel:
    """Export a PyTorch module, called as `module(*args, **kwargs)`, and compile it.

    `args` and `kwargs` are tensors of the shapes and dtypes to export for, in inference
    mode; sizes stay as they are there but for `dynamic_shapes`, which is one name for
    axis 0 of every input, or {input: {axis: name}}, or one such entry for each
    argument. `exporter` is "dynamo" or "torchscript". With `cache=N` a decoder of
    transformers becomes one step with a key-value cache, of N positions unless
    `init_cache` is asked for another number, and no inputs are given: docs/guides/
    decoding.md. An encoder-decoder then has two parts, of which `part` is one:
    "decoder", the step, or "encoder". The rest goes to `compile`, with the name of the
    module's class as `name` unless it is given. The keys of `params` are those of
    `module.state_dict()`, and the module is left as it was.
    Raises OxideError where the module cannot be exported or compiled, ValueError for a
    word that `compile` does not know, ImportError where torch, onnx or onnxscript are
    missing.
    """
    data = export(
        module,
        args,
        kwargs,
        dynamic_shapes=dynamic_shapes,
        exporter=exporter,
        cache=cache,
        part=part,
    )
    return compile(data, **{"name": type(module).__name__, **options})
