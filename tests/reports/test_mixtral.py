"""Mixtral as its config makes it: experts by torch.nn.functional.grouped_mm."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import oxide_xla
import torchvision_cpu

torchvision_cpu.repair()
transformers = pytest.importorskip("transformers")


# microsoft/onnxscript#2795: the exporter has no function for aten._grouped_mm.
@pytest.fixture(scope="module")
def mixtral():
    config = transformers.MixtralConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        vocab_size=50,
        num_local_experts=4,
    )
    torch.manual_seed(0)
    module = transformers.MixtralForCausalLM(config).eval()
    assert config._experts_implementation == "grouped_mm"
    ids = torch.randint(0, 50, (2, 8))
    compiled = oxide_xla.from_torch(
        module,
        (),
        {"input_ids": ids},
        dynamic_shapes={"input_ids": {0: "batch", 1: "seq"}},
    )
    return module, compiled


@pytest.mark.parametrize("shape", [(2, 8), (1, 3), (3, 1)])
def test_the_default_config_is_exact_at_every_size(mixtral, shape):
    module, compiled = mixtral
    ids = torch.randint(0, 50, shape)
    with torch.no_grad():
        wanted = module(ids).logits.numpy()
    y = compiled.forward(compiled.params, ids.numpy())
    assert np.mean((np.asarray(y) - wanted) ** 2) < 1e-10


def test_no_expert_is_copied_for_each_token(mixtral):
    module, compiled = mixtral
    assert compiled.source.count("grouped_matmul(") == 3  # its definition and two calls
    assert "jax.lax.ragged_dot" in compiled.source
    assert set(module.state_dict()) <= set(compiled.params)


def test_experts_have_gradients(mixtral):
    module, compiled = mixtral
    ids = torch.arange(8)[None] * 5
    module(ids).logits.sum().backward()

    def loss(weights):
        return compiled.forward({**compiled.params, **weights}, ids.numpy()).sum()

    names = [f"model.layers.{i}.mlp.experts.gate_up_proj" for i in range(2)]
    gradients = jax.grad(loss)({name: compiled.params[name] for name in names})
    for name in names:
        wanted = module.get_parameter(name).grad.numpy()
        assert jnp.abs(gradients[name] - wanted).max() < 1e-4 * np.abs(wanted).max()
