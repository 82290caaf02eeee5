"""A small transformer in PyTorch, and the JAX that OxideXLA writes for it.

python examples/encoder.py        prints the functions that README shows beside it
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "bridge")]


# README begins here.
class Block(nn.Module):
    def __init__(self, width=64, heads=4):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        split = (*x.shape[:2], self.heads, -1)
        y = self.norm1(x)
        q = self.query(y).view(split).transpose(1, 2)
        k = self.key(y).view(split).transpose(1, 2)
        v = self.value(y).view(split).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v)
        y = y.transpose(1, 2).reshape(x.shape)
        x = x + self.out(y)
        y = self.fc1(self.norm2(x))
        return x + self.fc2(F.gelu(y))


class Encoder(nn.Module):
    def __init__(self, layers=12):
        super().__init__()
        self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
        self.norm = nn.LayerNorm(64)

    def forward(self, x):
        return self.norm(self.blocks(x))


# README ends here.


def functions(source):
    """The sizes, the functions made of modules, and forward, of a generated file."""
    sizes = next(line for line in source.splitlines() if line.startswith("NUM_HEADS"))
    begin = source.index("def block(params")
    end = source.index("\n\n\n", source.index("@jax.jit\n@on_mesh\ndef forward"))
    return f"{sizes}\n\n\n{source[begin:end]}"


def compiled():
    """The encoder as a generated module, with an open batch and length."""
    import oxide_xla

    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    return oxide_xla.from_torch(
        Encoder().eval(),
        (torch.zeros(2, 16, 64),),
        dynamic_shapes=({0: batch, 1: length},),
    )


if __name__ == "__main__":
    print(functions(compiled().source))
