"""Fourier transforms and windows against numpy and torch."""

import ml_dtypes
import numpy as np
import pytest
import torch
from harness import check_node, compile_fails

TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def pairs(z):
    return np.stack([z.real, z.imag], -1).astype(np.float32)


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("axis", [0, 1, 2, -2])
@pytest.mark.parametrize("length", [None, 5, 9])
def test_dft(opset, axis, length):
    """Complex numbers there and back, cut or padded."""
    x, n = rand(6, 7, 8, 2), None if length is None else np.array(length)
    z, along = x[..., 0] + 1j * x[..., 1], axis if axis >= 0 else axis + 1
    inputs, attrs, constant = (
        [x, n],
        {"axis": axis},
        [] if n is None else ["dft_length"],
    )
    if opset == 20:
        inputs, attrs = [*inputs, np.array(axis)], {}
        constant.append("axis")
    for inverse, transform in enumerate((np.fft.fft, np.fft.ifft)):
        check_node(
            "DFT",
            inputs,
            {**attrs, "inverse": inverse},
            opset=opset,
            constant=constant,
            expected=[pairs(transform(z, length, along))],
            **TOLERANCE,
        )


@pytest.mark.parametrize("length", [None, 8, 9])
def test_onesided(length):
    x, n = rand(3, 8, 1), None if length is None else np.array(length)
    constant = [] if n is None else ["dft_length"]
    options = {"opset": 20, "constant": constant, **TOLERANCE}
    half = pairs(np.fft.rfft(x[..., 0], length))
    check_node("DFT", [x, n], {"onesided": 1}, expected=[half], **options)
    back = np.fft.irfft(half[..., 0] + 1j * half[..., 1], length)[..., None]
    attrs = {"onesided": 1, "inverse": 1}
    expected = [back.astype(np.float32)]
    check_node("DFT", [half, n], attrs, expected=expected, **options)


def test_length_of_run_time():
    """The shape depends on a number: it runs, without jit."""
    x, n = rand(3, 8, 1), np.array(5)
    expected = [pairs(np.fft.fft(x[..., 0], 5))]
    options = {"opset": 20, "dynamic": False, "infer": False, **TOLERANCE}
    check_node("DFT", [x, n], expected=expected, **options)


@pytest.mark.parametrize("onesided", [0, 1])
def test_stft(onesided):
    x, window = rand(2, 50, 1), np.hanning(16).astype(np.float32)
    expected = torch.stft(
        torch.from_numpy(x[..., 0]),
        16,
        5,
        window=torch.from_numpy(window),
        center=False,
        onesided=bool(onesided),
        return_complex=True,
    )
    expected = [pairs(expected.numpy().swapaxes(1, 2))]
    options = {"opset": 17, "constant": ["frame_step"], "dynamic": "unique"}
    attrs = {"onesided": onesided}
    inputs = [x, np.array(5), window]
    check_node("STFT", inputs, attrs, expected=expected, **options, **TOLERANCE)


def test_stft_without_window():
    x, length = rand(2, 50, 1), np.array(16)
    frames = np.stack([x[:, i : i + 16, 0] for i in range(0, 35, 5)], 1)
    options = {"opset": 17, "constant": ["frame_step", "frame_length"], **TOLERANCE}
    expected = [pairs(np.fft.rfft(frames))]
    check_node("STFT", [x, np.array(5), None, length], expected=expected, **options)


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [False, True])
def test_windows(op, periodic):
    name = op.removesuffix("Window").lower()
    window = getattr(torch, name + "_window")
    extra = {"alpha": 25 / 46, "beta": 21 / 46} if name == "hamming" else {}
    expected = [window(9, periodic=periodic, **extra).numpy()]
    attrs = {"periodic": int(periodic)}
    options = {"opset": 17, "constant": ["size"], "atol": 1e-6}
    check_node(op, [np.array(9)], attrs, expected=expected, **options)


def test_window_type():
    expected = [torch.hann_window(8).numpy().astype(ml_dtypes.bfloat16)]
    options = {"opset": 17, "constant": ["size"], "expected": expected}
    check_node("HannWindow", [np.array(8)], {"output_datatype": 16}, **options)


@pytest.mark.parametrize("bins", [3, 40])
def test_mel_weights(bins):
    """Many bins make triangles of no width."""
    inputs = [bins, 64, 8000, np.float32(20), np.float32(3900)]
    names = ["num_mel_bins", "dft_length", "sample_rate"]
    inputs = [np.asarray(i) for i in inputs]
    edges = ["lower_edge_hertz", "upper_edge_hertz"]
    options = {"opset": 17, "rtol": 1e-6}
    check_node("MelWeightMatrix", inputs, constant=names + edges, **options)
    check_node("MelWeightMatrix", inputs, constant=names, **options)


def test_errors():
    options = {"opset": 20, "message": "onesided"}
    compile_fails("DFT", [rand(3, 8, 2)], {"onesided": 1}, **options)
    compile_fails("DFT", [rand(3, 8)], opset=20, message="size 1 or 2")
