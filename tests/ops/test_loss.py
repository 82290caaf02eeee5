"""Losses against torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import check_node, compile_fails

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
SCORES = np.random.default_rng(0).standard_normal((4, 5, 3)).astype(np.float32)
LABELS = np.array([[0, 1, 2], [3, -1, 4], [4, 3, -1], [1, 1, 1]])
WEIGHT = np.array([0.5, 1, 2, 0.1, 3], np.float32)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses(reduction, weighted):
    """ignore_index -1, where the reference takes the mean over all."""
    scores, labels = torch.from_numpy(SCORES), torch.from_numpy(LABELS)
    weight = WEIGHT if weighted else None
    options = {"ignore_index": -1, "reduction": reduction}
    log_prob = F.log_softmax(scores, 1)
    tensor = None if weight is None else torch.from_numpy(weight)
    expected = F.nll_loss(log_prob, labels, tensor, **options).numpy()
    check_node(
        "NegativeLogLikelihoodLoss",
        [log_prob.numpy(), LABELS, weight],
        options,
        opset=13,
        expected=[expected],
        dynamic="unique",
        **TOLERANCE,
    )
    check_node(
        "SoftmaxCrossEntropyLoss",
        [SCORES, LABELS, weight],
        options,
        opset=12,
        outputs=2,
        expected=[expected, log_prob.numpy()],
        **TOLERANCE,
    )


def test_code():
    inputs = [SCORES[..., 0], LABELS[:, 0]]
    text = "nll_loss(jax.nn.log_softmax(scores, axis=1), labels)"
    check_node("SoftmaxCrossEntropyLoss", inputs, contains=text, **TOLERANCE)


def test_errors():
    op = "NegativeLogLikelihoodLoss"
    compile_fails(op, [SCORES, LABELS[0]], message="labels do not fit")
    compile_fails(
        op, [SCORES, LABELS], {"reduction": "max"}, message='"max" is not known'
    )
