"""Decoders that take a past and give it with new positions appended, as ONNX files.

Inputs and outputs have the names that Optimum and onnxruntime-genai use.
"""

from __future__ import annotations

import io

import onnx
import torch

BATCH, PAST, NEW = 2, 3, 2


class WithPast(torch.nn.Module):
    """A decoder of transformers whose cache is a list of tensors."""

    def __init__(self, decoder: torch.nn.Module, masked: bool, placed: bool):
        super().__init__()
        self.decoder = decoder
        self.names = ["input_ids"]
        self.names += ["attention_mask"] * masked + ["position_ids"] * placed

    def forward(self, *tensors: torch.Tensor):
        from transformers import cache_utils

        count = len(self.names)
        layers = []
        for keys, values in zip(tensors[count::2], tensors[count + 1 :: 2]):
            layer = cache_utils.DynamicLayer()
            layer.keys, layer.values = keys, values
            layer.dtype, layer.device = keys.dtype, keys.device
            layer.is_initialized = True
            layers.append(layer)
        cache = cache_utils.DynamicCache()
        cache.layers = layers
        out = self.decoder(
            **dict(zip(self.names, tensors)), past_key_values=cache, use_cache=True
        )
        present = out.past_key_values.layers
        return (out.logits, *(t for x in present for t in (x.keys, x.values)))


def export(
    decoder: torch.nn.Module,
    *,
    dynamo: bool,
    masked: bool = True,
    placed: bool = True,
    attention: str = "sdpa",
) -> onnx.ModelProto:
    """The decoder with a past as ONNX, by one of PyTorch's two exporters."""
    decoder.config._attn_implementation = attention
    wrapped = WithPast(decoder, masked, placed).eval()
    config = decoder.config
    heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    width = getattr(config, "head_dim", None)
    width = width or config.hidden_size // config.num_attention_heads
    layers = config.num_hidden_layers
    ids = torch.ones(BATCH, NEW, dtype=torch.int64)
    args = {"input_ids": ids}
    axes = {"input_ids": {0: "batch_size", 1: "sequence_length"}}
    if masked:
        args["attention_mask"] = torch.ones(BATCH, PAST + NEW, dtype=torch.int64)
        axes["attention_mask"] = {0: "batch_size", 1: "total_sequence_length"}
    if placed:
        args["position_ids"] = torch.arange(PAST, PAST + NEW)[None].repeat(BATCH, 1)
        axes["position_ids"] = {0: "batch_size", 1: "sequence_length"}
    outputs = ["logits"]
    for i in range(layers):
        for kind in ("key", "value"):
            name = f"past_key_values.{i}.{kind}"
            args[name] = torch.randn(BATCH, heads, PAST, width)
            axes[name] = {0: "batch_size", 2: "past_sequence_length"}
            outputs.append(f"present.{i}.{kind}")
    file = io.BytesIO()
    if dynamo:
        shapes = tuple(
            dict.fromkeys(axes[name], torch.export.Dim.DYNAMIC) for name in args
        )
        program = torch.onnx.export(
            wrapped,
            tuple(args.values()),
            dynamo=True,
            input_names=list(args),
            output_names=outputs,
            dynamic_shapes=(shapes,),
            verbose=False,
        )
        return program.model_proto
    axes |= {
        name: {0: "batch_size", 2: "total_sequence_length"} for name in outputs[1:]
    }
    axes["logits"] = {0: "batch_size", 1: "sequence_length"}
    torch.onnx.export(
        wrapped,
        tuple(args.values()),
        file,
        dynamo=False,
        opset_version=18,
        input_names=list(args),
        output_names=outputs,
        dynamic_axes=axes,
    )
    return onnx.load_from_string(file.getvalue())
