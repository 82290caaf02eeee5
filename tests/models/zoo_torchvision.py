"""torchvision's models; the published depth where a constructor offers no other."""

from __future__ import annotations

import importlib

from torch import nn

import torchvision_cpu
from models.architectures import Architecture, Input


def image(size: int) -> tuple[Input, ...]:
    """One square image per row of the batch."""
    return (Input("x", ("batch", 3, size, size)),)


def published(name: str, module: str = "torchvision.models", **options):
    """A factory of torchvision's function `name`."""

    def build() -> nn.Module:
        torchvision_cpu.repair()
        options.setdefault("num_classes", 10)
        return getattr(importlib.import_module(module), name)(**options)

    return build


def _resnet(block: str = "BasicBlock", **options):
    def build() -> nn.Module:
        torchvision_cpu.repair()
        from torchvision.models import resnet

        return resnet.ResNet(
            getattr(resnet, block), [1, 1, 1, 1], num_classes=10, **options
        )

    return build


def _densenet() -> nn.Module:
    torchvision_cpu.repair()
    from torchvision.models import DenseNet

    return DenseNet(
        growth_rate=8, block_config=(2, 2, 2), num_init_features=16, num_classes=10
    )


def _convnext() -> nn.Module:
    torchvision_cpu.repair()
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    sizes = ((16, 24, 1), (24, 32, 1), (32, 48, 1), (48, None, 1))
    return ConvNeXt([CNBlockConfig(*row) for row in sizes], num_classes=10)


def _swin(version: int = 1):
    def build() -> nn.Module:
        torchvision_cpu.repair()
        from torchvision.models import swin_transformer as swin

        parts = {}
        if version == 2:
            parts = {
                "block": swin.SwinTransformerBlockV2,
                "downsample_layer": swin.PatchMergingV2,
            }
        return swin.SwinTransformer(
            patch_size=[4, 4],
            embed_dim=16,
            depths=[2, 2],
            num_heads=[2, 4],
            window_size=[4, 4],
            num_classes=10,
            **parts,
        )

    return build


def _vit() -> nn.Module:
    torchvision_cpu.repair()
    from torchvision.models import VisionTransformer

    return VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10)


def _raft() -> nn.Module:
    torchvision_cpu.repair()
    from torchvision.models.optical_flow import raft_small

    model = raft_small()
    forward = model.forward
    model.forward = lambda image1, image2: forward(image1, image2, num_flow_updates=2)
    return model


def _video() -> nn.Module:
    torchvision_cpu.repair()
    from torchvision.models.video import resnet

    return resnet.VideoResNet(
        resnet.BasicBlock,
        [resnet.Conv3DSimple] * 4,
        [1, 1, 1, 1],
        resnet.BasicStem,
        num_classes=10,
    )


def _vgg() -> nn.Module:
    torchvision_cpu.repair()
    from torchvision.models import vgg

    layers = vgg.make_layers([8, "M", 16, "M", 32, 32, "M"], batch_norm=True)
    model = vgg.VGG(layers, num_classes=10)
    model.classifier[0] = nn.Linear(32 * 7 * 7, 64)
    model.classifier[3] = nn.Linear(64, 64)
    model.classifier[6] = nn.Linear(64, 10)
    return model


def _fcn() -> nn.Module:
    resnet = _resnet()()
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    backbone = IntermediateLayerGetter(resnet, {"layer4": "out", "layer3": "aux"})
    return FCN(backbone, FCNHead(512, 4), FCNHead(256, 4))


SEGMENTATION = "torchvision.models.segmentation"
PLAIN = {"weights": None, "weights_backbone": None, "num_classes": 4}

TABLE = (
    Architecture("tv_resnet", _resnet(), image(64), fast=True),
    Architecture(
        "tv_resnext", _resnet("Bottleneck", groups=32, width_per_group=4), image(64)
    ),
    Architecture(
        "tv_mobilenet_v2", published("mobilenet_v2", width_mult=0.25), image(64)
    ),
    Architecture(
        "tv_mobilenet_v3", published("mobilenet_v3_small", width_mult=0.5), image(64)
    ),
    Architecture("tv_efficientnet", published("efficientnet_b0"), image(64)),
    Architecture("tv_densenet", _densenet, image(64)),
    Architecture("tv_squeezenet", published("squeezenet1_1"), image(64)),
    Architecture("tv_shufflenet", published("shufflenet_v2_x0_5"), image(64)),
    Architecture(
        "tv_googlenet",
        published("googlenet", aux_logits=False, init_weights=True),
        image(64),
    ),
    Architecture(
        "tv_inception_v3",
        published("inception_v3", aux_logits=False, init_weights=True),
        image(96),
    ),
    Architecture("tv_vgg", _vgg, image(32)),
    Architecture("tv_regnet", published("regnet_y_400mf"), image(64)),
    Architecture("tv_mnasnet", published("mnasnet0_5"), image(64)),
    Architecture("tv_convnext", _convnext, image(64)),
    Architecture("tv_swin", _swin(), image(32)),
    Architecture("tv_swin_v2", _swin(2), image(32)),
    Architecture("tv_vit", _vit, image(32)),
    Architecture("tv_fcn", _fcn, image(64)),
    Architecture(
        "tv_deeplab_v3",
        published("deeplabv3_mobilenet_v3_large", SEGMENTATION, **PLAIN),
        image(64),
    ),
    Architecture(
        "tv_lraspp",
        published("lraspp_mobilenet_v3_large", SEGMENTATION, **PLAIN),
        (Input("input", ("batch", 3, 64, 64)),),
    ),
    Architecture(
        "tv_raft",
        _raft,
        (
            Input("image1", ("batch", 3, 128, 128)),
            Input("image2", ("batch", 3, 128, 128)),
        ),
    ),
    Architecture("tv_r3d", _video, (Input("x", ("batch", 3, 4, 32, 32)),)),
)
