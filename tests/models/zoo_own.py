"""Modules of our own: what people write when they use no model library."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from models.architectures import Architecture, Input
from models.zoo import Cnn, Mlp


class Seq2Seq(nn.Module):
    """A recurrent encoder, whose last state starts a recurrent decoder."""

    def __init__(self, cell: type):
        super().__init__()
        self.embed = nn.Embedding(40, 16)
        self.encoder = cell(16, 24, num_layers=2, batch_first=True, bidirectional=True)
        self.decoder = cell(16, 48, batch_first=True)
        self.head = nn.Linear(48, 40)

    def forward(self, source, target):
        _, state = self.encoder(self.embed(source))
        if isinstance(state, tuple):
            state = tuple(torch.cat([s[-2], s[-1]], -1)[None] for s in state)
        else:
            state = torch.cat([state[-2], state[-1]], -1)[None]
        output, _ = self.decoder(self.embed(target), state)
        return self.head(output)


class UNet(nn.Module):
    """Two scales with skip connections."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = self._block(3, 8), self._block(8, 16)
        self.middle = self._block(16, 32)
        self.up2, self.up1 = (
            nn.ConvTranspose2d(32, 16, 2, stride=2),
            nn.ConvTranspose2d(16, 8, 2, stride=2),
        )
        self.join2, self.join1 = self._block(32, 16), self._block(16, 8)
        self.head = nn.Conv2d(8, 2, 1)

    @staticmethod
    def _block(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(4, outputs),
            nn.SiLU(),
        )

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.middle(F.avg_pool2d(b, 2))
        b = self.join2(torch.cat([self.up2(c), b], 1))
        return self.head(self.join1(torch.cat([self.up1(b), a], 1)))


class Vae(nn.Module):
    """A variational autoencoder; the noise is an input."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(20, 32), nn.ELU(), nn.Linear(32, 16))
        self.decoder = nn.Sequential(nn.Linear(8, 32), nn.ELU(), nn.Linear(32, 20))

    def forward(self, x, noise):
        mean, log_variance = self.encoder(x).chunk(2, -1)
        z = mean + noise * torch.exp(0.5 * log_variance)
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(-1)
        return torch.sigmoid(self.decoder(z)), divergence


class Generator(nn.Module):
    """DCGAN's generator."""

    def __init__(self):
        super().__init__()
        widths = (16, 32, 16, 8)
        layers = []
        for i, (a, b) in enumerate(zip(widths, widths[1:])):
            layers += [
                nn.ConvTranspose2d(a, b, 4, *((2, 1) if i else (1, 0)), bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(inplace=True),
            ]
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z):
        return self.main(z)


class MixerBlock(nn.Module):
    """Mixes tokens, then channels."""

    def __init__(self, tokens: int, channels: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.tokens = nn.Sequential(
            nn.Linear(tokens, 32), nn.GELU(), nn.Linear(32, tokens)
        )
        self.channels = nn.Sequential(
            nn.Linear(channels, 48), nn.GELU("tanh"), nn.Linear(48, channels)
        )

    def forward(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    """MLP-Mixer over patches of an image."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 8, stride=8)
        self.blocks = nn.Sequential(*(MixerBlock(16, 24) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(24), nn.Linear(24, 10)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


class Nerf(nn.Module):
    """A radiance field: positions and directions to colour and density."""

    def __init__(self):
        super().__init__()
        self.register_buffer("bands", 2.0 ** torch.arange(4), persistent=False)
        self.trunk = nn.ModuleList([nn.Linear(27, 32), nn.Linear(59, 32)])
        self.density, self.feature = nn.Linear(32, 1), nn.Linear(32, 32)
        self.colour = nn.Sequential(nn.Linear(59, 16), nn.ReLU(), nn.Linear(16, 3))

    def encode(self, x):
        angles = (x[..., None] * self.bands).flatten(-2)
        return torch.cat([x, torch.sin(angles), torch.cos(angles)], -1)

    def forward(self, position, direction):
        x = code = self.encode(position)
        for i, layer in enumerate(self.trunk):
            x = torch.relu(layer(torch.cat([x, code], -1) if i else x))
        view = torch.cat([self.feature(x), self.encode(direction)], -1)
        return torch.sigmoid(self.colour(view)), F.softplus(self.density(x))


class GraphConvolution(nn.Module):
    """Two rounds of messages along edges, summed by scatter and scaled by degree."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 16), nn.Linear(16, 4)])

    def forward(self, nodes, edges):
        source, target = edges[0], edges[1]
        ones = torch.ones_like(target, dtype=nodes.dtype)
        degree = torch.ones_like(nodes[:, 0]).scatter_add(0, target, ones)
        for layer in self.layers:
            messages = layer(nodes)
            index = target[:, None].expand(-1, messages.shape[1])
            total = torch.zeros_like(messages).scatter_add(0, index, messages[source])
            nodes = torch.relu((total + messages) / degree[:, None])
        return nodes


class Flow(nn.Module):
    """A normalising flow of affine couplings; returns the log-likelihood too."""

    def __init__(self):
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 6))
            for _ in range(3)
        )
        self.register_buffer("order", torch.tensor([5, 3, 1, 0, 2, 4]))

    def forward(self, x):
        log_det = torch.zeros_like(x[:, 0])
        for net in self.nets:
            a, b = x.chunk(2, -1)
            scale, shift = net(a).chunk(2, -1)
            scale = torch.tanh(scale)
            log_det = log_det + scale.sum(-1)
            x = torch.cat([a, b * scale.exp() + shift], -1)[:, self.order]
        return x, log_det - 0.5 * (x**2).sum(-1)


class Translator(nn.Module):
    """torch.nn.Transformer with embeddings, a causal mask and a tied head."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        self.transformer = nn.Transformer(32, 4, 2, 2, 64, 0.0, batch_first=True)
        self.head = nn.Linear(32, 40, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, source, target):
        length = target.shape[1]
        mask = torch.triu(torch.full((length, length), float("-inf")), 1)
        x = self.transformer(
            self.embed(source), self.embed(target), tgt_mask=mask, tgt_is_causal=True
        )
        return self.head(x)


class Spectrogram(nn.Module):
    """A log-mel front end with torch.stft, then a convolution."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.register_buffer("mel", torch.rand(8, 33))
        self.conv = nn.Conv1d(8, 12, 3, padding=1)

    def forward(self, samples):
        spectrum = torch.stft(
            samples, 64, 32, window=self.window, center=False, return_complex=True
        )
        power = torch.view_as_real(spectrum).pow(2).sum(-1)
        return self.conv(torch.log(self.mel @ power + 1e-6))


class FakeQuantized(nn.Module):
    """A CNN that quantises weights and activations to 8 bits and back (QDQ)."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(8 * 7 * 7, 10)

    @staticmethod
    def activation(x):
        return torch.fake_quantize_per_tensor_affine(x, 0.05, 10, 0, 255)

    def forward(self, x):
        x = self.activation(x)
        for conv in (self.conv1, self.conv2):
            scale = torch.full((8,), 0.01)
            zero = torch.zeros(8, dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(
                conv.weight, scale, zero, 0, -128, 127
            )
            x = F.conv2d(x, weight, conv.bias, padding=conv.padding)
            x = self.activation(torch.relu(x))
        return self.head(F.max_pool2d(x, 2).flatten(1))


def _unfused(factory: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Without PyTorch's fused encoder layers, which no exporter knows."""

    def build() -> nn.Module:
        torch.backends.mha.set_fastpath_enabled(False)
        return factory()

    return build


@_unfused
def _encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def _image(dtype=None) -> tuple[Input, ...]:
    return (Input("x", ("batch", 3, 16, 16), dtype=dtype),)


SOURCE = Input("source", ("batch", "seq"), tokens=40)
TARGET = Input("target", ("batch", "target"), tokens=40)

TABLE = (
    Architecture("mlp", Mlp, (Input("x", ("batch", 64)),), fast=True),
    Architecture("cnn", Cnn, _image(), fast=True),
    Architecture("lstm_seq2seq", lambda: Seq2Seq(nn.LSTM), (SOURCE, TARGET), fast=True),
    Architecture("gru_seq2seq", lambda: Seq2Seq(nn.GRU), (SOURCE, TARGET)),
    Architecture("unet", UNet, (Input("x", ("batch", 3, 32, 32)),), fast=True),
    Architecture("vae", Vae, (Input("x", ("batch", 20)), Input("noise", ("batch", 8)))),
    Architecture("gan_generator", Generator, (Input("z", ("batch", 16, 1, 1)),)),
    Architecture("mlp_mixer", Mixer, (Input("x", ("batch", 3, 32, 32)),), fast=True),
    Architecture(
        "nerf",
        Nerf,
        (
            Input("position", ("batch", "seq", 3)),
            Input("direction", ("batch", "seq", 3)),
        ),
    ),
    Architecture(
        "graph_convolution",
        GraphConvolution,
        (Input("nodes", ("nodes", 6)), Input("edges", (2, "edges"), tokens=5)),
        fast=True,
        sizes={"nodes": (6, 8), "edges": (9, 12)},
    ),
    Architecture("normalising_flow", Flow, (Input("x", ("batch", 6)),)),
    Architecture("transformer", _unfused(Translator), (SOURCE, TARGET), fast=True),
    Architecture(
        "stft_frontend", Spectrogram, (Input("samples", ("batch", "samples")),)
    ),
    Architecture("qdq_cnn", FakeQuantized, _image(), fast=True),
    Architecture("cnn_float16", Cnn, _image(torch.float16), half=torch.float16),
    Architecture(
        "encoder_float16",
        _encoder,
        (Input("src", ("batch", "seq", 32), dtype=torch.float16),),
        half=torch.float16,
    ),
    Architecture(
        "encoder_bfloat16",
        _encoder,
        (Input("src", ("batch", "seq", 32), dtype=torch.bfloat16),),
        half=torch.bfloat16,
    ),
    Architecture("cnn_bfloat16", Cnn, _image(torch.bfloat16), half=torch.bfloat16),
)
