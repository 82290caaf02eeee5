"""What an export would freeze or lose is refused with a sentence that says what."""

from __future__ import annotations

import jax
import pytest
import torch

import oxide_xla
import torchvision_cpu

torchvision_cpu.repair()
transformers = pytest.importorskip("transformers")


def tiny_llama():
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
    )
    return transformers.LlamaForCausalLM(config).eval()


IDS = torch.ones(1, 3, dtype=torch.int64)


# pytorch/pytorch#155862: how to export with a DynamicCache or a StaticCache.
@pytest.mark.parametrize("kind", ["DynamicCache", "StaticCache"])
def test_a_cache_is_refused(kind):
    net = tiny_llama()
    if kind == "DynamicCache":
        cache = transformers.DynamicCache()
        cache.update(torch.zeros(1, 2, 4, 8), torch.zeros(1, 2, 4, 8), 0)
    else:
        cache = transformers.StaticCache(config=net.config, max_cache_len=8)
        net(input_ids=IDS, past_key_values=cache)  # it is allocated at the first use
    with pytest.raises(oxide_xla.OxideError, match=f"'past_key_values' is a {kind}"):
        oxide_xla.from_torch(net, (), {"input_ids": IDS, "past_key_values": cache})


class Counter(torch.nn.Module):
    """Adds to a tensor of its own, in the way that `change` says."""

    def __init__(self, change):
        super().__init__()
        self.change = change
        self.register_buffer("total", torch.zeros(3))
        self.plain = torch.zeros(3)
        self.lazy = None

    def forward(self, x):
        if self.change == "in place":
            self.total.add_(x)
        elif self.change == "assigned":
            self.total = self.total + x
        elif self.change == "plain attribute":
            self.plain += x
        elif self.change == "same value":
            self.total = self.total.clone()
        elif self.lazy is None:
            self.lazy = torch.arange(3)
        return x + self.total


# pytorch/pytorch#135233: a cache that the module updates in place.
@pytest.mark.parametrize("change", ["in place", "assigned", "plain attribute"])
def test_state_that_forward_changes_is_refused(change):
    module = Counter(change).eval()
    with pytest.raises(oxide_xla.OxideError, match=r"forward changes (total|plain)"):
        oxide_xla.from_torch(module, (torch.ones(3),))
    assert not module.total.any() and not module.plain.any()


@pytest.mark.parametrize("change", ["same value", "made at the first call"])
def test_what_does_not_change_is_fine(change):
    compiled = oxide_xla.from_torch(Counter(change).eval(), (torch.ones(3),))
    assert compiled.forward(compiled.params, torch.ones(3).numpy()).tolist() == [1] * 3


class FunctionalDropout(torch.nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.drop_rate = rate

    def forward(self, x):
        return torch.nn.functional.dropout(x, self.drop_rate, self.training)


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3)),
        torch.nn.Sequential(torch.nn.Dropout(0.1)),
        torch.nn.LSTM(3, 3, num_layers=2, dropout=0.5),
        FunctionalDropout(0.5),
    ],
)
def test_training_mode_is_refused_where_it_matters(module):
    module.train()
    with pytest.raises(oxide_xla.OxideError, match=r"module\.eval\(\)"):
        oxide_xla.from_torch(module, (torch.ones(2, 3),))
    assert module.training


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.Linear(3, 3),
        torch.nn.Dropout(0.0),
        torch.nn.BatchNorm1d(3, track_running_stats=False),
        FunctionalDropout(0.0),
    ],
)
def test_training_mode_is_fine_where_it_does_not_matter(module):
    module.train()
    oxide_xla.from_torch(module, (torch.ones(2, 3),))


class ScatterMean(torch.nn.Module):
    def __init__(self, include_self):
        super().__init__()
        self.include_self = include_self

    def forward(self, x, index, source):
        return x.scatter_reduce(
            0, index, source, reduce="mean", include_self=self.include_self
        )


# onnx/onnx#5100: ScatterElements has no mean, which exporters then leave out.
@pytest.mark.parametrize("include_self", [False, True])
def test_the_mean_of_scatter_reduce_is_refused(include_self):
    index = torch.tensor([0, 0, 1])
    with pytest.raises(oxide_xla.OxideError, match="mean"):
        oxide_xla.from_torch(
            ScatterMean(include_self), (torch.zeros(2), index, torch.ones(3))
        )


class Result:
    def __init__(self, value):
        self.value = value


class ReturnsObject(torch.nn.Module):
    def forward(self, x):
        return x + 1, Result(x * 2)


def test_a_result_that_hides_tensors_is_refused():
    with pytest.raises(oxide_xla.OxideError, match="returns a Result"):
        oxide_xla.from_torch(ReturnsObject(), (torch.ones(2),))


class Tuned(torch.nn.Module):
    """Convolutions of which the first ones are frozen."""

    def __init__(self):
        super().__init__()
        for name in ("enc", "dec"):
            layers = [torch.nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)]
            setattr(self, name, torch.nn.ModuleList(layers))
        self.enc.requires_grad_(False)

    def forward(self, x):
        for layer in [*self.enc, *self.dec]:
            x = layer(x).tanh()
        return x


@pytest.mark.parametrize("layers", ["functions", "scan", "unrolled"])
@pytest.mark.parametrize("params", ["flat", "nested"])
def test_frozen_kernels_are_not_trained(layers, params):
    example = (torch.ones(1, 4, 8, 8),)
    model = oxide_xla.from_torch(Tuned().eval(), example, layers=layers, params=params)
    for form in (model.params, model.module.prepare(model.params)):
        trained = jax.tree_util.tree_leaves_with_path(model.module.trainable(form))
        keys = [jax.tree_util.keystr(path) for path, _ in trained]
        assert keys and all("dec." in key or "['dec']" in key for key in keys), keys
