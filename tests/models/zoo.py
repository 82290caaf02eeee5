"""The five PyTorch models that the tests compile, and their exports to ONNX.

Weights come from fixed seeds. Nothing is left at a value that would hide a mistake:
BatchNorm statistics, biases and normalisation scales are random. `exported` keeps the
files under $OXIDE_XLA_CACHE (default build/models), so that only the first run pays.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bridge"))

import fx_export  # noqa: E402
import torchvision_cpu  # noqa: E402

Axes = Mapping[str, Mapping[int, str]]  # input name -> axis -> dimension name


class Mlp(nn.Module):
    """Three linear layers: (batch, 64) to the probabilities of 10 classes."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return torch.softmax(self.fc3(x), dim=-1)


class Cnn(nn.Module):
    """Two convolutions with BatchNorm: (batch, 3, 16, 16) to 10 logits."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 4 * 4, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))
        return self.fc(torch.flatten(x, 1))


def build_resnet18() -> nn.Module:
    """torchvision's ResNet-18, (batch, 3, 224, 224) to 1000 logits."""
    torchvision_cpu.repair()
    from torchvision.models import resnet18

    return resnet18(weights=None)


def build_deit_small() -> nn.Module:
    """transformers' DeiT-Small, (batch, 3, 224, 224) to 1000 logits."""
    torchvision_cpu.repair()
    from transformers import DeiTConfig, DeiTForImageClassification

    config = DeiTConfig(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        intermediate_size=1536,
        num_labels=1000,
    )
    return DeiTForImageClassification(config)


def build_text_classifier() -> nn.Module:
    """A small BERT without an attention mask: (batch, 15) tokens to 4 logits."""
    torchvision_cpu.repair()
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=1000,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=64,
        num_labels=4,
    )
    return BertForSequenceClassification(config)


@dataclass(frozen=True)
class ZooModel:
    """One model, its example input and what the result tables say of it."""

    name: str
    architecture: str  # the name in the tables
    shape: tuple[int, ...]  # of the only input, for a batch of one
    input_name: str  # what `forward` calls it
    factory: Callable[[], nn.Module]
    vocabulary: int = 0  # number of tokens; 0 where the input is float32
    probability: bool = False  # each row of the output sums to 1

    @property
    def dynamic_axes(self) -> Axes:
        """What a dynamic export leaves open: the batch."""
        return {self.input_name: {0: "batch"}}

    def build(self) -> nn.Module:
        """The module in inference mode, with the same weights at every call."""
        torch.manual_seed(0)
        module = self.factory()
        randomize(module)
        return module.eval()

    def inputs(self, batch: int = 1, seed: int = 1) -> tuple[torch.Tensor, ...]:
        """Example inputs for `build()`, the same at every call."""
        generator = torch.Generator().manual_seed(seed)
        shape = (batch, *self.shape[1:])
        if self.vocabulary:
            return (torch.randint(self.vocabulary, shape, generator=generator),)
        return (torch.randn(shape, generator=generator),)

    def outputs(self, module: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
        """What PyTorch computes: the probabilities or logits, (batch, classes)."""
        with torch.no_grad():
            result = module(*inputs)
        return result if isinstance(result, torch.Tensor) else result.logits


MODELS = {
    model.name: model
    for model in (
        ZooModel("mlp", "3-layer MLP", (1, 64), "x", Mlp, probability=True),
        ZooModel("cnn", "CNN with BatchNorm", (1, 3, 16, 16), "x", Cnn),
        ZooModel("resnet18", "ResNet-18", (1, 3, 224, 224), "x", build_resnet18),
        ZooModel(
            "deit_small",
            "DeiT-Small",
            (1, 3, 224, 224),
            "pixel_values",
            build_deit_small,
        ),
        ZooModel(
            "text_classifier",
            "text classifier",
            (1, 15),
            "input_ids",
            build_text_classifier,
            vocabulary=1000,
        ),
    )
}


TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
NORMS = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the class of all of them


def randomize(module: nn.Module) -> None:
    """Replace what initialisation leaves constant: biases, scales and statistics."""
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point() or tensor.numel() < 2:
            continue
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif torch.all(tensor == tensor.flatten()[0]):
            tensor.add_(torch.randn_like(tensor), alpha=0.1)


def enliven(module: nn.Module, inputs: dict[str, torch.Tensor]) -> None:
    """Weights under which signals come through and rounding does not grow.

    What configurations initialise with can let the inputs fade to nothing, and then the
    outputs are right whatever the layers compute.
    """
    layers = [m for m in module.modules() if isinstance(m, WEIGHTED)]
    norms = [m for m in module.modules() if isinstance(m, NORMS)]
    with torch.no_grad():
        for layer in layers:
            inward = layer.weight.numel() // layer.weight.shape[0]
            if isinstance(layer, TRANSPOSED):
                inward = layer.weight.numel() // layer.weight.shape[1]
            layer.weight.normal_(std=0.5 * inward**-0.5)  # more, and rounding grows
            if layer.bias is not None:
                layer.bias.abs_()  # a last ReLU lets something through
        for norm in norms:  # one batch gives the statistics
            norm.train().momentum = None
            norm.reset_running_stats()
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(0.5, 1.5)  # most units are active
        module(**inputs)
    for norm in norms:
        norm.eval()


# Exports ---------------------------------------------------------------------------


def export_dynamo(model: ZooModel, path: Path, dynamic: bool | Axes = False) -> None:
    """Export through torch.export, with its default options (external data too)."""
    axes = _axes(model, dynamic)
    torch.onnx.export(
        model.build(),
        model.inputs(2 if axes else 1),
        path,
        dynamo=True,
        verbose=False,
        dynamic_shapes=axes,
    )


def export_torchscript(
    model: ZooModel, path: Path, dynamic: bool | Axes = False
) -> None:
    """Export by tracing, with its default options; names only where axes need them."""
    axes = _axes(model, dynamic)
    torch.onnx.export(
        model.build(),
        model.inputs(),
        path,
        dynamo=False,
        input_names=[model.input_name] if axes else None,
        dynamic_axes=axes,
    )


def export_bridge(model: ZooModel, path: Path, dynamic: bool | Axes = False) -> None:
    """Export with the bridge, which keeps the names of the state_dict."""
    axes = _axes(model, dynamic)
    data = fx_export.export(
        model.build(), model.inputs(), dynamic_shapes=axes, fallback=False
    )
    path.write_bytes(data)


EXPORTERS = {
    "dynamo": export_dynamo,
    "torchscript": export_torchscript,
    "bridge": export_bridge,
}


def _axes(model: ZooModel, dynamic: bool | Axes) -> Axes | None:
    """The dynamic axes that `dynamic` asks for: none, the model's own, or these."""
    if isinstance(dynamic, Mapping):
        return dynamic
    return model.dynamic_axes if dynamic else None


def exported(model: ZooModel, exporter: str, dynamic: bool | Axes = False) -> Path:
    """The path of this export, made at the first call.

    Several processes may ask at once: each export is made in a folder of its own, and
    the first to finish gives it its name.
    """
    axes = _axes(model, dynamic)
    folder = cache() / "-".join([model.name, exporter, *_labels(axes)])
    path = folder / f"{model.name}.onnx"
    if path.exists():
        return path
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".draft-") as draft:
        made = Path(draft) / folder.name
        made.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            EXPORTERS[exporter](model, made / path.name, axes or False)
        try:
            made.rename(folder)
        except OSError:  # another process was first
            if not path.exists():
                raise
    return path


def cache() -> Path:
    """The folder of the exports that this source and these packages make."""
    base = Path(os.environ.get("OXIDE_XLA_CACHE") or ROOT / "build" / "models")
    sources = [Path(__file__), *sorted((ROOT / "bridge").glob("*.py"))]
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sources:
        digest.update(source.read_bytes())
    return base / f"torch-{torch.__version__}-{digest.hexdigest()[:12]}"


def _labels(axes: Axes | None) -> list[str]:
    """The dynamic dimensions as a part of a folder's name."""
    dims = {dim for entry in (axes or {}).values() for dim in entry.values()}
    return sorted(dims)


def main() -> None:
    """Make every export the tests use, and print where it is."""
    for model in MODELS.values():
        for exporter in EXPORTERS:
            print(exported(model, exporter))
    for name in ("resnet18", "text_classifier"):
        for exporter in EXPORTERS:
            print(exported(MODELS[name], exporter, dynamic=True))


if __name__ == "__main__":
    main()
