"""Operators that join, cut and rearrange whole tensors."""

import numpy as np
import pytest
from harness import check_node, compile_fails


def rand(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


X = rand(2, 3, 4)

# ---- Concat --------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_concat(axis):
    inputs = [X, X[:, ::-1], X * 2]
    check_node("Concat", inputs, {"axis": axis}, opset=13)


@pytest.mark.parametrize("opset", [4, 11, 13])
def test_concat_versions(opset):
    check_node("Concat", [X, rand(2, 5, 4)], {"axis": 1}, opset=opset)


def test_concat_has_axis_1_at_first():
    expected = [np.concatenate([X, X], 1)]
    check_node("Concat", [X, X], opset=1, expected=expected, dynamic=False)


def test_concat_of_one_is_that():
    check_node("Concat", [X], {"axis": 0}, contains="return inputs\n")


def test_concat_needs_equal_sizes():
    inputs = [X, rand(2, 3, 5)]
    compile_fails("Concat", inputs, {"axis": 0}, message="differ in another axis")


# ---- Split ---------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [2, 11])
def test_split_by_attribute(opset):
    attrs = {"axis": 1, "split": [2, 4, 1]}
    check_node("Split", [rand(2, 7)], attrs, opset=opset, outputs=3)


@pytest.mark.parametrize("opset", [2, 11, 13])
def test_split_evenly(opset):
    code = "jnp.split(input, 3, axis=-1)"
    x = rand(2, 6)
    check_node("Split", [x], {"axis": -1}, opset=opset, outputs=3, contains=code)


def test_split_1_by_attribute():
    x, attrs = rand(5, 2), {"split": [2, 3]}
    check_node("Split", [x], attrs, opset=1, outputs=2, expected=[x[:2], x[2:]])


@pytest.mark.parametrize("opset", [13, 18])
def test_split_by_input(opset):
    inputs = [rand(2, 7), ints(2, 4, 1)]
    code = "jnp.split(input, [2, 6], axis=1)"
    check_node(
        "Split",
        inputs,
        {"axis": 1},
        opset=opset,
        constant=["split"],
        outputs=3,
        contains=code,
    )


@pytest.mark.parametrize("size, parts", [(7, 3), (6, 3), (8, 3), (5, 2)])
def test_split_into_a_number_of_parts(size, parts):
    attrs = {"num_outputs": parts}
    check_node("Split", [rand(size, 2)], attrs, outputs=parts, dynamic="unique")


def test_split_where_one_part_is_used():
    x = rand(2, 7)
    check_node(
        "Split",
        [x, ints(2, 4, 1)],
        {"axis": 1},
        constant=["split"],
        outputs=["", "middle", ""],
        expected=[x[:, 2:6]],
        contains="input[:, 2:6]",
    )


def test_split_at_run_time():
    check_node("Split", [rand(2, 6), ints(2, 4)], {"axis": -1}, outputs=2, infer=False)


# ---- Tile ----------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [(1, 2, 3), (1, 1, 1), (2, 1, 1)])
@pytest.mark.parametrize("opset", [6, 13])
def test_tile(repeats, opset):
    check_node("Tile", [X, ints(*repeats)], opset=opset, constant=["repeats"])


def test_tile_at_run_time():
    check_node("Tile", [X, ints(1, 2, 3)], opset=13, infer=False)


# ---- Pad -----------------------------------------------------------------------------

MODES = ["constant", "reflect", "edge", "wrap"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pads", [(0, 1, 2, 0, 0, 3), (0, 0, 0, 0, 0, 0)])
def test_pad(mode, pads):
    check_node("Pad", [X, ints(*pads)], {"mode": mode}, constant=["pads"])


@pytest.mark.parametrize("mode", MODES)
def test_pad_cuts_by_negative_amounts(mode):
    expected = np.pad(X[:, 1:, :-2], ((0, 0), (0, 2), (1, 0)), mode)
    check_node(
        "Pad",
        [X, ints(0, -1, 1, 0, 2, -2)],
        {"mode": mode},
        constant=["pads"],
        expected=[expected],
        contains="data[:, 1:, :-2]",
    )


@pytest.mark.parametrize("opset", [1, 2])
@pytest.mark.parametrize("mode", MODES[:3])
def test_pad_by_attribute(opset, mode):
    pads = {"pads" if opset == 2 else "paddings": [0, 0, 1, 0, 2, 1]}
    check_node("Pad", [X], {"mode": mode, "value": -1.5, **pads}, opset=opset)


@pytest.mark.parametrize("constant", [True, False])
def test_pad_value(constant):
    inputs = [X, ints(0, 1, 2, 0, 0, 3), np.float32(-np.inf)]
    known = ["pads", "constant_value"] if constant else ["pads"]
    check_node("Pad", inputs, opset=13, constant=known)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.bool_, np.float16])
def test_pad_types(dtype):
    inputs = [np.arange(4).astype(dtype), ints(1, 2), dtype(1)]
    check_node("Pad", inputs, opset=13, constant=["pads", "constant_value"])


def test_pad_some_axes():
    inputs = [X, ints(1, 0, 2, 3), None, ints(-1, 0)]
    check_node("Pad", inputs, constant=["pads", "axes"])


@pytest.mark.parametrize("mode", MODES)
def test_pad_at_run_time(mode):
    expected = [np.pad(X[:, :-1], ((0, 0), (0, 0), (1, 2)), mode)]
    inputs = [X, ints(0, 1, -1, 2), None, ints(1, 2)]
    check_node("Pad", inputs, {"mode": mode}, expected=expected, infer=False)


# ---- CenterCropPad -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 2), (1, 7), (3, 4), (2, 6)])
def test_center_crop_pad(shape):
    attrs = {"axes": [1, -1]}
    check_node("CenterCropPad", [X, ints(*shape)], attrs, constant=["shape"])


def test_center_crop_pad_of_all_axes():
    inputs = [X, ints(3, 2, 5)]
    pads = np.pad(X[:, :2], ((0, 1), (0, 0), (0, 1)))
    check_node("CenterCropPad", inputs, constant=["shape"], expected=[pads])


# ---- blocks and sequences ------------------------------------------------------------


@pytest.mark.parametrize("opset", [1, 11, 13])
def test_depth_to_space(opset):
    check_node("DepthToSpace", [rand(2, 8, 2, 3)], {"blocksize": 2}, opset=opset)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_modes(mode):
    attrs = {"blocksize": 3, "mode": mode}
    check_node("DepthToSpace", [rand(1, 18, 2, 3)], attrs, dynamic="unique")


@pytest.mark.parametrize("opset", [1, 13])
def test_space_to_depth(opset):
    x = rand(2, 2, 4, 6)
    check_node("SpaceToDepth", [x], {"blocksize": 2}, opset=opset, dynamic="unique")


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_space_to_depth_modes(mode):
    attrs = {"blocksize": 2, "mode": mode}
    check_node("SpaceToDepth", [rand(1, 3, 4, 2)], attrs, opset=28)


@pytest.mark.parametrize("time, batch", [(0, 1), (1, 0)])
def test_reverse_sequence(time, batch):
    x = rand(4, 3, 2) if time == 0 else rand(3, 4, 2)
    attrs = {"time_axis": time, "batch_axis": batch}
    check_node("ReverseSequence", [x, ints(4, 2, 1)], attrs, opset=10)
