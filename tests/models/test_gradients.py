"""jax.grad of the generated code equals torch autograd, for parameters and inputs.

The reference is autograd in double precision. What float32 costs is measured, not
assumed: it is how far autograd in float32 is from that reference.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import oxide_xla
from models import transforms

EPS = float(np.finfo(np.float32).eps)
# Two float32 computations in different orders err alike, not equally.
NOISE = 4
# What autograd may hit by luck: an error below some roundings of the gradient itself.
ROUNDINGS = 8
# A gradient that is zero in exact arithmetic (the bias of attention's keys, what a
# normalisation removes) is the rounding of terms that cancel. They are as large as the
# other gradients, so its error is a part of one rounding of all of them.
CANCELLED = 0.1

FAST = ("cnn", "lstm_seq2seq", "llama")
SLOW = (
    "transformer",
    "gru_seq2seq",
    "unet",
    "vae",
    "gan_generator",
    "mlp_mixer",
    "nerf",
    "graph_convolution",
    "normalising_flow",
    "stft_frontend",
    "bert",
    "deberta_v2",
    "gpt2",
    "gemma2",
    "mamba",
    "t5",
    "vit",
    "convnext",
    "clip",
    "whisper_encoder",
    "wav2vec2",
    "tv_resnet",
    "tv_shufflenet",
    "tv_swin_v2",
)
each_model = pytest.mark.parametrize(
    "name", [*FAST, *(pytest.param(n, marks=pytest.mark.models) for n in SLOW)]
)
each_mask = pytest.mark.parametrize(
    "name", ["llama", *(pytest.param(n, marks=pytest.mark.models) for n in ("bert",))]
)


def test_twenty_models_are_compared():
    assert len({*FAST, *SLOW}) >= 20


def assert_equal_gradients(name, tensors, seen=None):
    """Ours are as close to the exact gradients as autograd's in float32."""
    model = transforms.subject(name)
    module = model.entry.build()
    ours = transforms.jax_gradients(model, tensors, seen)
    single = transforms.torch_gradients(module, tensors, torch.float32, seen)
    exact = transforms.torch_gradients(module, tensors, torch.float64, seen)
    keys = transforms.key_of_each(module, ours)
    total = np.sqrt(sum(np.sum(np.square(g)) for g in exact.values()))
    wrong = {}
    for leaf, expected in exact.items():
        key = leaf if leaf.startswith(":") else keys[leaf]
        error = np.linalg.norm(ours[key] - expected)
        noise = np.linalg.norm(single[leaf] - expected)
        size = ROUNDINGS * np.linalg.norm(expected) + CANCELLED * total
        if not error <= NOISE * noise + EPS * size:  # NaN is wrong, too
            wrong[leaf] = f"{error:.1e}, autograd {noise:.1e}, limit for {size:.1e}"
    assert exact
    assert not wrong


@each_model
def test_equal_autograd(name):
    entry = transforms.subject(name).entry
    assert_equal_gradients(name, entry.make_inputs())


@each_mask
def test_padding_in_front_gives_no_nan(name):
    """Under a causal mask the padded positions then see nothing at all.

    What attention gives for them differs between PyTorch, where it is zero, and what it
    exports, where it is the mean; so they are left out of the loss.
    """
    tensors = transforms.subject(name).entry.make_inputs()
    mask = torch.ones_like(tensors["attention_mask"])
    mask[0, :3] = 0
    assert_equal_gradients(name, {**tensors, "attention_mask": mask}, mask.numpy())


# ---- softmax of what a mask hides ----------------------------------------------------


def value(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def compiled(nodes, inputs, output, opset=23, constants=()):
    """The forward of a graph, over its inputs alone."""
    graph = helper.make_graph(nodes, "masked", inputs, [output], list(constants))
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets)
    onnx.checker.check_model(model)
    made = oxide_xla.compile(model)
    return functools.partial(made.forward, made.params)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


HIDDEN = np.array(
    [[0, 0, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1], [1, 0, 1, 0, 1]], bool
)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_infinite_scores_have_no_gradient(op):
    """Where(mask, scores, -inf), then Softmax: the commonest form of a mask."""
    nodes = [
        helper.make_node("Where", ["mask", "low", "x"], ["masked"]),
        helper.make_node(op, ["masked"], ["p"], axis=-1),
        helper.make_node("Where", ["mask", "zero", "p"], ["y"]),
    ]
    floats = (("low", -np.inf), ("zero", 0.0))
    constants = [
        onnx.numpy_helper.from_array(np.float32(number), name)
        for name, number in floats
    ]
    inputs = [value("x", 4, 5), value("mask", 4, 5, kind=TensorProto.BOOL)]
    forward = compiled(nodes, inputs, value("y", 4, 5), constants=constants)
    x, scale = normal(0, 4, 5), normal(1, 4, 5)

    leaf = torch.tensor(x, requires_grad=True)
    mask = torch.tensor(HIDDEN)
    function = torch.softmax if op == "Softmax" else torch.log_softmax
    p = function(leaf.masked_fill(mask, -torch.inf), -1)
    (torch.where(mask, 0.0, p) * torch.tensor(scale)).sum().backward()

    ours = jax.grad(lambda x: jnp.sum(forward(x, HIDDEN) * scale))(x)
    np.testing.assert_allclose(ours, leaf.grad, rtol=4 * EPS, atol=4 * EPS)


@pytest.mark.parametrize("kind", [TensorProto.BOOL, TensorProto.FLOAT])
def test_queries_that_see_nothing_have_no_gradient(kind):
    """Attention's result for such a query is zero, so nothing depends on it."""
    nodes = [helper.make_node("Attention", ["q", "k", "v", "mask"], ["y"])]
    sizes = (1, 2, 4, 8), (1, 2, 5, 8)
    inputs = [
        value("q", *sizes[0]),
        value("k", *sizes[1]),
        value("v", *sizes[1]),
        value("mask", 4, 5, kind=kind),
    ]
    forward = compiled(nodes, inputs, value("y", *sizes[0]))
    seen = ~HIDDEN
    seen[1] = False
    bias = np.where(seen, 0, -np.inf).astype(np.float32)
    mask = seen if kind == TensorProto.BOOL else bias
    given = normal(0, *sizes[0]), normal(1, *sizes[1]), normal(2, *sizes[1])
    scale = normal(3, *sizes[0])

    leaves = [torch.tensor(x, requires_grad=True) for x in given]
    q, k, v = leaves
    scores = q @ k.mT / 8**0.5 + torch.tensor(np.where(seen, bias, 0))
    scores = scores.masked_fill(~torch.tensor(seen), -1e30)
    p = torch.softmax(scores, -1) * torch.tensor(seen.any(-1, keepdims=True))
    (p @ v * torch.tensor(scale)).sum().backward()

    def loss(*args):
        return jnp.sum(forward(*args, mask) * scale)

    for ours, leaf in zip(jax.grad(loss, argnums=(0, 1, 2))(*given), leaves):
        np.testing.assert_allclose(ours, leaf.grad, rtol=32 * EPS, atol=32 * EPS)
