"""Losses over class labels."""

import jax.numpy as jnp


def nll_loss(log_prob, target, weight=None, ignore_index=None, reduction="mean"):
    """Negative log likelihood of target (N, ...) under log_prob (N, C, ...).

    weight (C,) scales the classes; the mean is over the weights of what is not ignored.
    """
    kept = jnp.bool_(True) if ignore_index is None else target != ignore_index
    label = jnp.where(kept, target, 0)
    chosen = jnp.take_along_axis(log_prob, label[:, None], axis=1)[:, 0]
    scale = jnp.ones_like(chosen) if weight is None else weight[label]
    scale = jnp.where(kept, scale, 0)
    loss = jnp.where(kept, -chosen * scale, 0)
    if reduction == "none":
        return loss
    return jnp.sum(loss) if reduction == "sum" else jnp.sum(loss) / jnp.sum(scale)
