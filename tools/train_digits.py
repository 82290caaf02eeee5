"""Train the small CNN of `make demo` on scikit-learn's digits, and export it.

Takes seconds on a CPU. Writes examples/digits_cnn.onnx, with its weights inside and any
batch size, and examples/digits_expected.json: how the data are split and scaled, and
what PyTorch itself predicts, which is what the compiled model must equal.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bridge"))

import fx_export  # noqa: E402

EPOCHS = 40
BATCH = 64
TEST_EVERY = 5  # image i is a test image where i % 5 == 0
SCALE = 16.0  # the largest pixel
SIZE_LIMIT = 200_000  # bytes of the ONNX file


class DigitsCnn(nn.Module):
    """(batch, 1, 8, 8) images with pixels from 0 to 1, to 10 logits."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32 * 2 * 2, 10)

    def forward(self, images):
        x = self.pool(torch.relu(self.bn1(self.conv1(images))))
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))
        return self.fc(torch.flatten(x, 1))


def load() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The images (n, 1, 8, 8), their labels, and which of them are for the test."""
    digits = load_digits()
    images = torch.tensor(digits.images / SCALE, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target, dtype=torch.int64)
    return images, labels, torch.arange(len(labels)) % TEST_EVERY == 0


def train(images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """The trained network in inference mode, the same at every run."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = DigitsCnn()
    steps = EPOCHS * (len(labels) // BATCH + 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(labels))
        for chosen in order.split(BATCH):
            loss = nn.functional.cross_entropy(network(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def evaluate(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict:
    """What PyTorch predicts for the test images, and how often that is right."""
    with torch.no_grad():
        predicted = network(images).argmax(1)
    correct = int((predicted == labels).sum())
    return {
        "dataset": "sklearn.datasets.load_digits",
        "test_rule": f"index % {TEST_EVERY} == 0",
        "pixel_scale": SCALE,
        "input_shape": ["batch", *images.shape[1:]],
        "test_size": len(labels),
        "correct": correct,
        "accuracy": correct / len(labels),
        "predictions": predicted.tolist(),
    }


def main() -> int:
    """Train, export and write both files; 1 if the result is not worth showing."""
    images, labels, held_out = load()
    network = train(images[~held_out], labels[~held_out])
    expected = evaluate(network, images[held_out], labels[held_out])
    data = fx_export.export(
        network, images[:2], dynamic_shapes={"images": {0: "batch"}}, fallback=False
    )
    print(f"accuracy {expected['accuracy']:.4f}, {len(data):,} bytes of ONNX")
    if expected["accuracy"] < 0.97 or len(data) > SIZE_LIMIT:
        return 1
    folder = ROOT / "examples"
    folder.mkdir(exist_ok=True)
    (folder / "digits_cnn.onnx").write_bytes(data)
    text = json.dumps(expected)
    (folder / "digits_expected.json").write_text(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
