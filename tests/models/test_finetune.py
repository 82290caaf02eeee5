"""Ten steps of training with optax go where ten steps of torch.optim go.

The CNN of `make demo`, which knows scikit-learn's digits, learns to read them inverted:
white becomes black. BatchNorm's statistics stay, as in PyTorch's evaluation mode.
"""

import jax
import numpy as np
import optax
import pytest
import torch

import oxide_xla
import train_digits

MODEL = train_digits.ROOT / "examples" / "digits_cnn.onnx"
STEPS = 10
BATCH = 64

OPTIMIZERS = {
    "sgd": (
        optax.sgd(1e-2, momentum=0.9),
        lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9),
    ),
    "adamw": (
        optax.adamw(1e-3, weight_decay=1e-2),
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2),
    ),
}


@pytest.fixture(scope="module")
def compiled():
    return oxide_xla.compile(MODEL)


@pytest.fixture(scope="module")
def batches():
    """Inverted images and their labels, BATCH at a time."""
    images, labels, held_out = train_digits.load()
    images, labels = 1 - images[~held_out], labels[~held_out]
    pairs = zip(images.split(BATCH), labels.split(BATCH))
    return [pair for pair, _ in zip(pairs, range(STEPS))]


def in_torch(params, batches, make_optimizer):
    """The loss before each step, and the parameters at the end."""
    network = train_digits.DigitsCnn().eval()
    state = {key: torch.tensor(np.asarray(x)) for key, x in params.items()}
    network.load_state_dict(state, strict=False)  # all but num_batches_tracked
    optimizer = make_optimizer(network.parameters())
    losses = []
    for images, labels in batches:
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {k: p.detach().numpy() for k, p in network.named_parameters()}


def in_jax(compiled, batches, optimizer):
    """The same with the generated code."""
    frozen = {k: x for k, x in compiled.params.items() if ".running_" in k}
    params = {k: x for k, x in compiled.params.items() if k not in frozen}
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, images, labels):
        def loss(params):
            logits = compiled.forward({**params, **frozen}, images)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean()

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    losses = []
    for images, labels in batches:
        params, state, value = step(params, state, images.numpy(), labels.numpy())
        losses.append(float(value))
    return losses, params


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_lower_the_loss_as_torch_does(name, compiled, batches):
    ours, theirs = OPTIMIZERS[name]
    expected, end = in_torch(compiled.params, batches, theirs)
    losses, params = in_jax(compiled, batches, ours)
    assert losses[-1] < 0.8 * losses[0]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert params.keys() == end.keys()
    for key, wanted in end.items():
        # How far it moved is what was learned; the error is a part of that.
        moved = np.linalg.norm(wanted - np.asarray(compiled.params[key]))
        assert np.linalg.norm(params[key] - wanted) < 1e-3 * moved, key
