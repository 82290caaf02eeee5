"""The models whose speed is measured: the five of the README and seven more, in the
sizes that people run, with random weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / path) for path in ("tests", "bridge")]


from models import zoo  # noqa: E402
from models.zoo import ZooModel  # noqa: E402

IMAGE = (1, 3, 224, 224)


def torchvision_model(name: str) -> nn.Module:
    """A classifier of torchvision."""
    zoo.torchvision_cpu.repair()
    import torchvision

    return getattr(torchvision.models, name)(weights=None)


def convolutions(inward: int, outward: int) -> nn.Sequential:
    """Two of 3x3, each with BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inward, outward, 3, padding=1),
        nn.BatchNorm2d(outward),
        nn.ReLU(),
        nn.Conv2d(outward, outward, 3, padding=1),
        nn.BatchNorm2d(outward),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Two levels down and up: (batch, 3, height, width) to 2 classes of each pixel."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.down1 = convolutions(3, width)
        self.down2 = convolutions(width, 2 * width)
        self.middle = convolutions(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.join2 = convolutions(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.join1 = convolutions(2 * width, width)
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        c = self.middle(self.pool(b))
        b = self.join2(torch.cat([self.up2(c), b], 1))
        return self.head(self.join1(torch.cat([self.up1(b), a], 1)))


class Lstm(nn.Module):
    """Two layers of LSTM: (batch, steps, 64) to 8 logits."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(64, 128, 2, batch_first=True)
        self.head = nn.Linear(128, 8)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def bert() -> nn.Module:
    """BERT of twelve layers; of its vocabulary a part, which is only looked up."""
    zoo.torchvision_cpu.repair()
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(vocab_size=5000))


def llama() -> nn.Module:
    """A Llama of four layers with grouped heads."""
    zoo.torchvision_cpu.repair()
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=2000,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        use_cache=False,
    )
    return LlamaForCausalLM(config)


SEEDS = tuple(zoo.MODELS)
MODELS = zoo.MODELS | {
    model.name: model
    for model in (
        ZooModel(
            "mobilenet_v2",
            "MobileNetV2",
            IMAGE,
            "x",
            lambda: torchvision_model("mobilenet_v2"),
        ),
        ZooModel(
            "convnext_tiny",
            "ConvNeXt-T",
            IMAGE,
            "x",
            lambda: torchvision_model("convnext_tiny"),
        ),
        ZooModel(
            "resnet50", "ResNet-50", IMAGE, "x", lambda: torchvision_model("resnet50")
        ),
        ZooModel("unet", "U-Net", (1, 3, 128, 128), "x", UNet),
        ZooModel("bert", "BERT-12", (1, 128), "input_ids", bert, vocabulary=5000),
        ZooModel("llama", "Llama", (1, 64), "input_ids", llama, vocabulary=2000),
        ZooModel("lstm", "LSTM", (1, 100, 64), "x", Lstm),
    )
}
