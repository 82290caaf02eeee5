"""Fourier transforms, windows and mel filters.  Complex numbers are pairs of real and
imaginary part in the last axis, which has size 1 for real numbers.
"""

import jax
import jax.numpy as jnp
import numpy as np


def real_fft(x, length=None, axis=-1):
    """The whole spectrum of real x: its second half mirrors the first, exactly."""
    n = x.shape[axis] if length is None else length
    half = jnp.fft.rfft(x, n, axis)
    rest = jax.lax.slice_in_dim(half, 1, (n + 1) // 2, axis=axis)
    return jnp.concatenate([half, jnp.flip(rest, axis).conj()], axis)


def dft(x, length=None, axis=-2, inverse=False, onesided=False):
    """Fourier transform of x (..., 1 or 2) along an axis, cut or padded to length.

    onesided transforms real numbers to half the spectrum, or back.  Real numbers are
    computed with in the widest float that JAX is set to.
    """
    axis = axis % x.ndim
    if x.shape[-1] == 1:
        z = x[..., 0].astype(float)
    else:
        wide = x.astype(np.promote_types(x.dtype, np.float32))
        z = jax.lax.complex(wide[..., 0], wide[..., 1])
    if inverse and onesided:
        return jnp.fft.irfft(z, length, axis)[..., None].astype(x.dtype)
    if inverse or z.dtype.kind == "c":
        transform = jnp.fft.ifft if inverse else jnp.fft.fft
    else:
        transform = jnp.fft.rfft if onesided else real_fft
    y = transform(z, length, axis)
    return jnp.stack([y.real, y.imag], axis=-1).astype(x.dtype)


def stft(x, step, window=None, length=None, onesided=True):
    """Transforms (B, F, bins, 2) of F frames of x (B, T, 1 or 2), step apart."""
    if length is None:
        length = x.shape[1] if window is None else window.shape[0]
    starts = jnp.arange(0, x.shape[1] - length + 1, step)
    frames = x[:, starts[:, None] + jnp.arange(length)[None]]
    if window is not None:
        frames = frames * window[None, None, :, None]
    return dft(frames, onesided=onesided)


def hann_window(size, periodic=True, dtype=jnp.float32):
    """Hann window; a periodic one leaves out the last point of size + 1."""
    angle = np.pi * np.arange(size) / (size if periodic else size - 1)
    return jnp.asarray(np.sin(angle) ** 2, dtype)


def hamming_window(size, periodic=True, dtype=jnp.float32):
    """Hamming window; a periodic one leaves out the last point of size + 1."""
    angle = 2 * np.pi * np.arange(size) / (size if periodic else size - 1)
    return jnp.asarray(25 / 46 - 21 / 46 * np.cos(angle), dtype)


def blackman_window(size, periodic=True, dtype=jnp.float32):
    """Blackman window; a periodic one leaves out the last point of size + 1."""
    angle = 2 * np.pi * np.arange(size) / (size if periodic else size - 1)
    y = 0.42 - 0.5 * np.cos(angle) + 0.08 * np.cos(2 * angle)
    return jnp.asarray(y, dtype)


def mel_weights(bins, dft_length, sample_rate, low, high, dtype=jnp.float32):
    """Triangular filters (dft_length // 2 + 1, bins), even on the mel scale."""
    low, high = 2595 * np.log10(1 + np.array([low, high]) / 700)
    mel = low + np.arange(bins + 2) * ((high - low) / (bins + 2))
    hertz = 700 * (10 ** (mel / 2595) - 1)
    edges = np.floor((dft_length + 1) * hertz / sample_rate).astype(int)
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    j = np.arange(dft_length // 2 + 1)[:, None]
    rising = np.where(j == center, 1, (j - left) / np.maximum(center - left, 1))
    falling = (right - j) / np.maximum(right - center, 1)
    y = np.where((left <= j) & (j <= center), rising, 0)
    return jnp.asarray(np.where((center < j) & (j < right), falling, y), dtype)
