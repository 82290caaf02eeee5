"""DeiT-Small from transformers, in PyTorch and in JAX: `examples/verify_deit.py`.

Downloads the ImageNet weights where a network allows, else takes random ones, and says
which. Writes deit_jax.py and deit_jax.safetensors.
"""

import sys

import torch

import predict
from predict import zoo

CHECKPOINT = "facebook/deit-small-patch16-224"
SMALL = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_labels": 10,
}


def pretrained():
    zoo.torchvision_cpu.repair()
    from transformers import ViTForImageClassification

    # This checkpoint has no distillation token: its architecture is a ViT's.
    return ViTForImageClassification.from_pretrained(CHECKPOINT)


def untrained(small):
    if not small:
        return zoo.build_deit_small()
    zoo.torchvision_cpu.repair()
    from transformers import DeiTConfig, DeiTForImageClassification

    return DeiTForImageClassification(DeiTConfig(**SMALL))


def inputs(module, small):
    size = module.config.image_size
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(1, 3, size, size, generator=generator),)


DEIT = predict.Classifier("deit", pretrained, untrained, inputs)

if __name__ == "__main__":
    sys.exit(predict.main(DEIT))
