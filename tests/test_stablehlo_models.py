"""Whole models through StableHLO: the five of the README and twenty of the zoo, in
jaxlib's own client and, the five, in IREE."""

import numpy as np
import pytest

import oxide_xla
from hlo import cases, consumers
from models import architectures, compare, exports, zoo

ZOO = architectures.all_architectures()

# Twenty of all kinds; those behind the first two run in `make test-stablehlo`.
NAMES = (
    "cnn llama clip mlp lstm_seq2seq unet mlp_mixer transformer qdq_cnn tv_resnet "
    "bert gpt2 t5 distilbert vit swin convnext whisper_encoder tv_mobilenet_v2 "
    "tv_densenet"
).split()
FAST = {"cnn", "llama"}


def marked(names, fast):
    """The slow ones carry the mark of the whole tier."""
    return [
        pytest.param(n, marks=() if n in fast else pytest.mark.stablehlo) for n in names
    ]


def test_twenty_models():
    assert len(set(NAMES) & ZOO.keys()) == 20


@pytest.mark.parametrize("name", marked(NAMES, FAST))
def test_the_zoo_in_jaxlib(name):
    """From the bridge's file, whose dimensions are open, at the sizes of the export and
    at others; where JAX cannot tell sizes apart, lowered for each."""
    entry = ZOO[name]
    export = exports.exported(entry, "bridge")
    assert export.path, export.error
    model = oxide_xla.compile(export.path)
    given = [entry.make_inputs(), entry.make_inputs(export.axes)]
    sizes = [[compare.to_numpy(x) for x in inputs.values()] for inputs in given]
    try:
        lowered = [model.lower()] * 2
        assert consumers.is_open(lowered[0].text) == export.dynamic
    except oxide_xla.OxideError as error:
        assert "--constraint" in str(error) and name in NEED_SIZES
        lowered = [model.lower(*inputs) for inputs in sizes]
    for one, inputs in zip(lowered, sizes, strict=True):
        assert cases.run_and_compare(model, one, inputs) <= cases.ULPS
        assert not one.custom_calls


# What JAX's symbolic sizes do not get through without a constraint: of a table of
# positions only the caller knows that it is long enough.
NEED_SIZES = {"bert", "clip", "distilbert", "gpt2"}


def five_inputs(model):
    return [x.numpy() for x in model.inputs()]


@pytest.mark.parametrize("name", marked(zoo.MODELS, {"mlp", "text_classifier"}))
def test_the_five_in_jaxlib(name):
    model = zoo.MODELS[name]
    compiled = oxide_xla.compile(zoo.exported(model, "bridge"))
    cases.check(compiled, five_inputs(model))


@pytest.mark.parametrize("name", marked(zoo.MODELS, {"mlp", "text_classifier"}))
def test_the_five_in_iree(name):
    """Another compiler adds in another order: the results are as near as rounding lets
    them be, which is measured on the outputs' own scale."""
    model = zoo.MODELS[name]
    compiled = oxide_xla.compile(zoo.exported(model, "bridge"))
    inputs = five_inputs(model)
    lowered = compiled.lower()
    given = cases.arguments(compiled, lowered, inputs)
    results = consumers.run_iree(lowered.text, given)
    wanted = cases.expected(compiled, inputs, x64=False)
    for actual, other in zip(results, wanted, strict=True):
        error = np.mean((actual.astype(float) - other) ** 2) / np.var(other)
        assert error < 1e-10
