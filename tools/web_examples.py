"""Exports the examples of the playground: tools/web_examples.py FOLDER.

Writes NAME.onnx for each and examples.json, which lists them.  digits_cnn has the
weights that it was trained to.  The others are as large as real models, so their files
say that their weights lie in NAME.onnx.data, which is not written: it would hold random
numbers, and the page makes those itself (web/src/model/made_up.ts).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bridge"), str(ROOT / "tests")]

import fx_export  # noqa: E402
import torchvision_cpu  # noqa: E402

ALIGNMENT = 64  # bytes
INLINE_LIMIT = 4096  # bytes of a tensor that stays in the model's file


@dataclass(frozen=True)
class Example:
    """A module, its inputs by name, and the axes that stay open."""

    name: str
    title: str
    about: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, torch.Tensor]]
    axes: dict[str, dict[int, str]]


def bert() -> nn.Module:
    """BERT of two layers, with the sizes of the smallest one that was published."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=30522,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
    )
    return BertModel(config, add_pooling_layer=True)


def llama() -> nn.Module:
    """Llama of eight layers with grouped queries."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32000,
        hidden_size=288,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=256,
        use_cache=False,
    )
    return LlamaForCausalLM(config)


def resnet18() -> nn.Module:
    from torchvision.models import resnet18

    return resnet18(weights=None)


def tokens(vocabulary: int) -> dict[str, torch.Tensor]:
    """Token ids of two texts, and a mask without padding."""
    ids = torch.arange(1, 15).reshape(2, 7) % vocabulary
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


TEXT_AXES = {
    "input_ids": {0: "batch", 1: "seq"},
    "attention_mask": {0: "batch", 1: "seq"},
}
EXAMPLES = (
    Example(
        "bert_tiny",
        "BERT, two layers",
        "Text encoder",
        bert,
        lambda: tokens(30522),
        TEXT_AXES,
    ),
    Example(
        "resnet18",
        "ResNet-18",
        "Image classifier",
        resnet18,
        lambda: {"x": torch.zeros(2, 3, 224, 224)},
        {"x": {0: "batch"}},
    ),
    Example(
        "llama_tiny",
        "Llama, six layers",
        "Text decoder",
        llama,
        lambda: tokens(32000),
        TEXT_AXES,
    ),
)


def export(example: Example) -> onnx.ModelProto:
    torch.manual_seed(0)
    inputs = example.inputs()
    return fx_export.export_model(
        example.build().eval(),
        (),
        inputs,
        dynamic_shapes=example.axes,
        fallback=False,
    )


def take_weights_out(model: onnx.ModelProto, location: str) -> int:
    """Points large tensors at the file `location`, and returns how large that is."""
    end = 0
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) <= INLINE_LIMIT:
            continue
        assert tensor.data_type == onnx.TensorProto.FLOAT, tensor.name
        size = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", end), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        end += -(-size // ALIGNMENT) * ALIGNMENT
    return end


def main(folder: Path) -> None:
    torchvision_cpu.repair()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "examples" / "digits_cnn.onnx", folder / "digits_cnn.onnx")
    listed = [
        {
            "name": "digits_cnn",
            "title": "Digits CNN",
            "about": "Trained on 8 × 8 digits",
            "data": None,
        }
    ]
    for example in EXAMPLES:
        model = export(example)
        location = f"{example.name}.onnx.data"
        size = take_weights_out(model, location)
        (folder / f"{example.name}.onnx").write_bytes(model.SerializeToString())
        listed.append(
            {
                "name": example.name,
                "title": example.title,
                "about": example.about,
                "data": {"location": location, "size": size},
            }
        )
    for entry in listed:
        entry["size"] = (folder / f"{entry['name']}.onnx").stat().st_size
    (folder / "examples.json").write_text(json.dumps(listed, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
