"""MatMul, Gemm and Einsum."""

import ml_dtypes
import numpy as np
import pytest
from harness import check_node, compile_fails


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


# ---- MatMul --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "a, b",
    [
        ((3, 4), (4, 5)),
        ((4,), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((2, 3, 4), (4, 5)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (4,)),
        ((7, 1, 3, 4), (2, 4, 5)),
        ((1, 3, 4), (6, 4, 5)),
    ],
)
def test_matmul(a, b):
    inputs = [rand(*a), rand(*b, seed=1)]
    check_node("MatMul", inputs, opset=13, contains="A @ B", **TOLERANCE)


@pytest.mark.parametrize("opset", [1, 9, 13])
def test_matmul_versions(opset):
    check_node("MatMul", [rand(3, 4), rand(4, 5)], opset=opset, **TOLERANCE)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64"])
def test_matmul_integers(dtype):
    a = np.arange(12).reshape(3, 4).astype(dtype)
    check_node("MatMul", [a, a.T.copy()], opset=13)


def test_matmul_float64():
    a, b = rand(3, 4, dtype=np.float64), rand(4, 5, dtype=np.float64)
    check_node("MatMul", [a, b], opset=13, x64=True)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_matmul_small_floats(dtype):
    a, b = rand(3, 4, dtype=dtype), rand(4, 5, dtype=dtype)
    exact = (a.astype(np.float32) @ b.astype(np.float32)).astype(dtype)
    check_node("MatMul", [a, b], opset=13, expected=[exact], rtol=1e-2, atol=1e-2)


def test_matmul_unknown_batch():
    inputs = [rand(1, 3, 4), rand(6, 4, 5)]
    check_node("MatMul", inputs, opset=13, dynamic="unique", **TOLERANCE)


def test_matmul_mismatch():
    compile_fails("MatMul", [rand(3, 4), rand(5, 6)], message="4 and 5")
    compile_fails("MatMul", [rand(2, 3, 4), rand(3, 4, 6)], message="broadcast")
    compile_fails("MatMul", [rand(3, 4), np.float32(1)], message="scalar")


# ---- Gemm ----------------------------------------------------------------------------


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("opset", [7, 13])
def test_gemm_transposed(trans_a, trans_b, opset):
    a = rand(*((4, 3) if trans_a else (3, 4)))
    b = rand(*((5, 4) if trans_b else (4, 5)), seed=1)
    contains = f"A{'.T' * trans_a} @ B{'.T' * trans_b} + C"
    if trans_b and not trans_a:
        contains = "jnp.inner(A, B) + C"
    check_node(
        "Gemm",
        [a, b, rand(5, seed=2)],
        {"transA": trans_a, "transB": trans_b},
        opset=opset,
        contains=contains,
        **TOLERANCE,
    )


@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 5), (3, 1), (3, 5)])
def test_gemm_scaled(shape):
    inputs = [rand(3, 4), rand(4, 5, seed=1), np.asarray(rand(*shape, seed=2))]
    check_node(
        "Gemm",
        inputs,
        {"alpha": 0.5, "beta": 2.0},
        opset=13,
        contains="0.5 * (A @ B) + 2.0 * C",
        **TOLERANCE,
    )


def test_gemm_without_c():
    source = check_node("Gemm", [rand(3, 4), rand(4, 5)], opset=11, **TOLERANCE)
    assert "+" not in source.split("def forward")[1]
    inputs = [rand(3, 4), rand(4, 5), np.full(5, np.nan, np.float32)]
    expected = [inputs[0] @ inputs[1]]
    check_node("Gemm", inputs, {"beta": 0.0}, opset=11, expected=expected, **TOLERANCE)


@pytest.mark.parametrize("opset", [1, 6])
@pytest.mark.parametrize("shape", [(5,), (3, 5)])
def test_gemm_before_7(opset, shape):
    a, b, c = rand(4, 3), rand(4, 5, seed=1), rand(*shape, seed=2)
    attrs = {"transA": 1, "broadcast": 1, "alpha": 0.25}
    expected = [0.25 * (a.T @ b) + c]
    check_node("Gemm", [a, b, c], attrs, opset=opset, expected=expected, **TOLERANCE)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32"])
def test_gemm_integers(dtype):
    a = np.arange(12).reshape(3, 4).astype(dtype)
    c = np.arange(3).astype(dtype)
    expected = [2 * (a @ a.T) + 3 * c]
    attrs = {"alpha": 2.0, "beta": 3.0, "transB": 1}
    check_node("Gemm", [a, a, c], attrs, opset=13, expected=expected)
    compile_fails(
        "Gemm", [a, a, c], {"transB": 1, "alpha": 0.5}, message="alpha is 0.5"
    )


def test_gemm_keeps_float16():
    a, b, c = (rand(*s, dtype=np.float16) for s in [(3, 4), (4, 5), (5,)])
    wide = 0.1 * (a.astype(np.float32) @ b.astype(np.float32)) + c
    expected = [wide.astype(np.float16)]
    check_node(
        "Gemm", [a, b, c], {"alpha": 0.1}, opset=13, expected=expected, atol=1e-2
    )


def test_gemm_mismatch():
    message = "4 and 5"
    compile_fails("Gemm", [rand(3, 4), rand(5, 6)], message=message)
    compile_fails("Gemm", [rand(3, 4), rand(4, 6), rand(4, 6)], message="broadcast")
    compile_fails("Gemm", [rand(2, 3, 4), rand(4, 6)], message="matrices")


# ---- Einsum --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "equation, shapes",
    [
        ("ij,jk->ik", [(3, 4), (4, 5)]),
        ("bij, bjk -> bik", [(2, 3, 4), (2, 4, 5)]),
        ("ij,jk", [(3, 4), (4, 5)]),
        ("ba", [(3, 4)]),
        ("ij->", [(3, 4)]),
        ("ii->i", [(4, 4)]),
        ("ii", [(4, 4)]),
        ("...ii->...i", [(2, 3, 3)]),
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (6, 4, 5)]),
        ("i...->...", [(2, 3, 4)]),
        ("b...i,ji->b...j", [(2, 3, 4, 5), (6, 5)]),
        ("i,j,k->kji", [(2,), (3,), (4,)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("...Ab,...b", [(2, 3, 4), (4,)]),
    ],
)
def test_einsum(equation, shapes):
    inputs = [rand(*s, seed=i) for i, s in enumerate(shapes)]
    expected = [np.asarray(np.einsum(equation, *inputs, dtype=np.float32))]
    text = f'jnp.einsum("{equation.replace(" ", "")}", '
    attrs = {"equation": equation}
    check_node(
        "Einsum", inputs, attrs, opset=12, expected=expected, contains=text, **TOLERANCE
    )


def test_einsum_integers():
    a = np.arange(12).reshape(3, 4).astype(np.int32)
    check_node("Einsum", [a, a], {"equation": "ij,kj->ik"}, opset=12)


def test_einsum_unknown_batch():
    inputs = [rand(4, 2, 1, 3), rand(6, 3, seed=1)]
    attrs = {"equation": "i...j,...j->...i"}
    check_node("Einsum", inputs, attrs, opset=12, dynamic="unique", **TOLERANCE)


@pytest.mark.parametrize(
    "equation, message",
    [
        ("ij,jk->ik,", "malformed"),
        ("ij->ij", "does not fit 2 inputs"),
        ("ij,jk->il", "malformed"),
        ("ij,jk->ii", "malformed"),
        ("ij,jk'\"", "does not fit"),
        ("i.j,jk->ik", "does not fit"),
        ("ijk,jk->i", "does not fit rank 2"),
        ("ij,ij->i", "4 and 5"),
    ],
)
def test_einsum_malformed(equation, message):
    inputs = [rand(3, 4), rand(3, 5)]
    text = compile_fails("Einsum", inputs, {"equation": equation}, opset=12)
    assert "error[OX0" in text
