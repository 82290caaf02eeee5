"""Steps of optimizers.  Parameters, gradients, states are arrays or tuples of them."""

import jax
import jax.numpy as jnp


def adagrad_step(x, grad, h, rate, step, weight_decay=0.0, rate_decay=0.0, eps=1e-06):
    """New parameters and accumulated squares of gradients."""
    rate = rate / (1 + step.astype(rate.dtype) * rate_decay)

    def update(x, g, h):
        g = g + weight_decay * x
        h = h + g * g
        return (x - rate * g / (jnp.sqrt(h) + eps)).astype(x.dtype), h

    return transpose_step(jax.tree.map(update, x, grad, h), x)


def adam_step(
    x,
    grad,
    v,
    h,
    rate,
    step,
    alpha=0.9,
    beta=0.999,
    weight_decay=0.0,
    weight_decay_after=0.0,
    eps=1e-06,
):
    """New parameters, and averages v of gradients and h of their squares."""
    started, step = step > 0, step.astype(rate.dtype)
    bias = jnp.sqrt(1 - beta**step) / jnp.where(started, 1 - alpha**step, 1)
    rate = jnp.where(started, rate * bias, rate)

    def update(x, g, v, h):
        g = g + weight_decay * x
        v = alpha * v + (1 - alpha) * g
        h = beta * h + (1 - beta) * g * g
        y = (x - rate * v / (jnp.sqrt(h) + eps)) * (1 - weight_decay_after)
        return y.astype(x.dtype), v, h

    return transpose_step(jax.tree.map(update, x, grad, v, h), x)


def momentum_step(
    x, grad, v, rate, step, alpha, beta, weight_decay=0.0, nesterov=False
):
    """New parameters and velocities."""
    beta = jnp.where(step > 0, beta, 1)

    def update(x, g, v):
        g = g + weight_decay * x
        v = (alpha * v + beta * g).astype(v.dtype)
        way = g + alpha * v if nesterov else v
        return (x - rate * way).astype(x.dtype), v

    return transpose_step(jax.tree.map(update, x, grad, v), x)


def transpose_step(new, x):
    """One tuple for each result rather than one for each parameter."""
    return tuple(zip(*new)) if isinstance(x, tuple) else new


def summed(f):
    """f with the sum of its result, the scalar that jax.grad differentiates."""
    return lambda *args: jnp.sum(f(*args))
