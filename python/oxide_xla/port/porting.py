"""`port`: config.json to a module without weights, to ONNX, to JAX."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from oxide_xla import _library as c
from oxide_xla._errors import OxideError
from oxide_xla.compiler import CompiledModel, compile
from oxide_xla.port import names, trial
from oxide_xla.port.inputs import Input, choose, make, open_axes

if TYPE_CHECKING:
    import onnx

#: `task` -> the Auto class of transformers that knows the architecture.
TASKS = {
    "audio-classification": "AutoModelForAudioClassification",
    "base": "AutoModel",
    "causal-lm": "AutoModelForCausalLM",
    "ctc": "AutoModelForCTC",
    "depth-estimation": "AutoModelForDepthEstimation",
    "image-classification": "AutoModelForImageClassification",
    "image-text-to-text": "AutoModelForImageTextToText",
    "masked-lm": "AutoModelForMaskedLM",
    "object-detection": "AutoModelForObjectDetection",
    "question-answering": "AutoModelForQuestionAnswering",
    "semantic-segmentation": "AutoModelForSemanticSegmentation",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "speech-seq2seq": "AutoModelForSpeechSeq2Seq",
    "token-classification": "AutoModelForTokenClassification",
}
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Options:
    """What `port` is told.

    `task` is one of TASKS and chooses the class; else config.json does. `inputs` are
    the tensors that forward takes, by default those that the architecture has;
    `dynamic` the names of their dimensions that stay open, by default all names.
    With `cache`, forward is a step of a decoder that has a key-value cache, of that
    length unless init_cache is asked for another; it has the inputs of such a step.
    An encoder-decoder has two modules, of which `part` is one: "decoder", the step, or
    "encoder", which gives what it reads of the input.
    `dtype` is the type that PyTorch computes in. `layers`, `params` and `loader`
    are as in `oxide_xla.compile`.
    """

    task: str | None = None
    inputs: Sequence[Input] = ()
    dynamic: Sequence[str] | None = None
    cache: int | None = None
    part: str | None = None
    dtype: str = "float32"
    layers: str = "functions"
    params: str = "flat"
    loader: str = "inline"
    trust_remote_code: bool = False


def port(
    folder: str | os.PathLike[str], options: Options | None = None
) -> CompiledModel:
    """The model of a snapshot folder as JAX code whose load_params reads that folder.

    Only config.json is read. Raises OxideError where the architecture is not known,
    cannot be exported or cannot be compiled; its text says why.
    """
    options = options or Options()
    if options.cache is not None and (options.inputs or options.dynamic):
        raise usage("a step with a cache has its own inputs and dimensions")
    module = build(Path(folder), options)
    if options.cache is not None:
        trial.check_steps(module, options.cache)
    model = export(module, options)
    warning = names.annotate(model, module, Path(folder))
    compiled = compile(
        model,
        layers=options.layers,
        params=options.params,
        loader=options.loader,
        name=type(module).__name__,
    )
    compiled.messages += warning
    return compiled


def export(module: torch.nn.Module, options: Options) -> onnx.ModelProto:
    """The ONNX model of a call of the module, which nothing else chooses."""
    from oxide_xla.bridge import fx_errors, fx_export

    call: dict[str, Any] = {"cache": options.cache, "part": options.part}
    if options.cache is None:
        inputs = options.inputs or choose(module)
        call = {
            "kwargs": make(inputs, getattr(torch, options.dtype)),
            "dynamic_shapes": open_axes(inputs, options.dynamic),
        }
    try:
        model: onnx.ModelProto = fx_export.export_model(
            module, **call, fallback=False, log=lambda message: None
        )
        return model
    except fx_errors.BridgeError as error:
        kind = type(module).__name__
        raise OxideError(f"error: {kind} cannot be exported: {error}") from error


# ---- the module --------------------------------------------------------------------


def build(folder: Path, options: Options) -> torch.nn.Module:
    """The module that config.json describes, with fake parameters, or OxideError."""
    from oxide_xla.bridge import fx_fake, torchvision_cpu

    if options.dtype not in DTYPES:
        raise usage(f"dtype {options.dtype!r} is not one of {', '.join(DTYPES)}")
    if not (folder / "config.json").is_file():
        raise usage(
            f"{folder} has no config.json",
            "give the folder of a checkpoint, as save_pretrained makes it",
        )
    torchvision_cpu.repair()
    try:
        config = read_config(folder, options)
        with fx_fake.parameters_on_meta():
            module = construct(config, folder, options)
    except OxideError:
        raise
    except Exception as error:  # noqa: BLE001 - what a class raises for its configuration
        raise OxideError(f"error: {folder}: {first_line(error)}") from error
    module.eval()
    fx_fake.fake_parameters(module)
    return module


def read_config(folder: Path, options: Options) -> Any:
    """The configuration, of a model that is not quantized."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        folder, trust_remote_code=options.trust_remote_code, local_files_only=True
    )
    if method := getattr(config, "quantization_config", None):
        method = method if isinstance(method, Mapping) else vars(method)
        raise OxideError(
            f"error: {folder} is quantized ({method.get('quant_method', 'unknown')}), "
            "and its checkpoint has other tensors than the architecture\n"
            "  help: port the checkpoint that it was made from"
        )
    return config


def construct(config: Any, folder: Path, options: Options) -> torch.nn.Module:
    """An instance of the class that `task` or config.json names."""
    import transformers

    dtype = getattr(torch, options.dtype)
    if options.task:
        if options.task not in TASKS:
            raise usage(f"task {options.task!r} is not one of {', '.join(TASKS)}")
        auto = getattr(transformers, TASKS[options.task])
        module: torch.nn.Module = auto.from_config(
            config, dtype=dtype, trust_remote_code=options.trust_remote_code
        )
        return module
    kind = named_class(config, folder, options)
    module = kind._from_config(config, dtype=dtype)
    return module


def named_class(config: Any, folder: Path, options: Options) -> Any:
    """The class that `architectures` of config.json names first."""
    import transformers

    names = getattr(config, "architectures", None) or []
    if not names:
        raise usage(
            f"config.json of {folder} names no architecture",
            f"give --task, one of {', '.join(TASKS)}",
        )
    if kind := getattr(transformers, names[0], None):
        return kind
    remote = getattr(config, "auto_map", None) or {}
    paths = [p for p in remote.values() if str(p).rpartition(".")[2] == names[0]]
    if paths and options.trust_remote_code:
        from transformers.dynamic_module_utils import get_class_from_dynamic_module

        return get_class_from_dynamic_module(paths[0], folder, local_files_only=True)
    hint = "--trust-remote-code runs the code that the folder brings" if paths else ""
    raise usage(f"transformers has no {names[0]}", hint)


def usage(what: str, hint: str = "") -> OxideError:
    """The error for wrong use."""
    return OxideError(f"error: {what}" + (f"\n  help: {hint}" if hint else ""), c.USAGE)


def first_line(error: BaseException) -> str:
    """What an error says, cut to a readable length."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"
