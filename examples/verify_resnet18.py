"""ResNet-18 from torchvision, in PyTorch and in JAX: `examples/verify_resnet18.py`.

Downloads the ImageNet weights where a network allows, else takes random ones, and says
which. Writes resnet18_jax.py and resnet18_jax.safetensors.
"""

import sys

import torch

import predict
from predict import zoo


def pretrained():
    zoo.torchvision_cpu.repair()
    from torchvision.models import ResNet18_Weights, resnet18

    return resnet18(weights=ResNet18_Weights.DEFAULT)


def untrained(small):
    zoo.torchvision_cpu.repair()
    from torchvision.models import resnet18

    return resnet18(weights=None, num_classes=10 if small else 1000)


def inputs(module, small):
    generator = torch.Generator().manual_seed(1)
    size = 64 if small else 224
    return (torch.randn(1, 3, size, size, generator=generator),)


RESNET18 = predict.Classifier("resnet18", pretrained, untrained, inputs)

if __name__ == "__main__":
    sys.exit(predict.main(RESNET18))
