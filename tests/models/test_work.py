"""What `inspect` counts of known models: parameters and multiply-accumulates.

The figures are those of torchvision's model pages (`num_params`, `_ops`); BERT's are
those of its encoder, at 128 tokens.
"""

import pytest
import torch

import fx_export
import oxide_xla
import torchvision_cpu


def vision(name):
    torchvision_cpu.repair()
    import torchvision

    return getattr(torchvision.models, name)(weights=None), torch.zeros(1, 3, 224, 224)


def bert(_):
    torchvision_cpu.repair()
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=8, max_position_embeddings=128, type_vocab_size=1)
    model = BertModel(config, add_pooling_layer=False)
    return model, torch.zeros(1, 128, dtype=torch.long)


LARGE = pytest.mark.models
# name: (build, millions of parameters, billions of multiply-accumulates)
KNOWN = [
    pytest.param("resnet18", vision, 11.69, 1.814),
    pytest.param("mobilenet_v2", vision, 3.50, 0.301),
    pytest.param("resnet50", vision, 25.56, 4.089, marks=LARGE),
    pytest.param("vit_b_16", vision, 86.57, 17.564, marks=LARGE),
    pytest.param("bert", bert, 85.16, 11.174, marks=LARGE),
]


@pytest.mark.parametrize(("name", "build", "params", "macs"), KNOWN)
def test_known_figures(name, build, params, macs):
    module, example = build(name)
    found = oxide_xla.inspect(fx_export.export(module.eval(), (example,), {}))
    state = sum(p.numel() for p in module.parameters())
    assert state / 1e6 == pytest.approx(params, abs=0.01)
    # buffers are parameters of the file, too: running statistics, position ids
    buffers = sum(b.numel() for b in module.buffers())
    elements = found["statistics"]["param_elements"]
    assert state <= elements <= state + buffers
    assert found["work"]["uncounted"] == 0
    assert found["work"]["macs"] / 1e9 == pytest.approx(macs, abs=0.001)
