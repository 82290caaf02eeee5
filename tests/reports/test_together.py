"""Options and rules that meet each other: found by trying pairs of them."""

from __future__ import annotations

import jax
import numpy as np
import onnx.parser
import pytest
import torch
from safetensors.torch import save_file

import oxide_xla
from check_params import untie


def compiled(body, **options):
    header = '<ir_version: 8, opset_import: ["": 17]> '
    return oxide_xla.compile(onnx.parser.parse_model(header + body), **options)


X = np.array([1, 0, 3, 0, 0], np.float32)


def test_bounds_with_other_outputs():
    body = (
        "g (float[n] x) => (int64 y, int64 z) {"
        "nz = NonZero(x) y = Size(nz) z = Size(x) }"
    )
    model = compiled(body, bounds={"nz": 4}, outputs=["z"])
    assert int(model.forward({}, X)) == 5
    body = (
        "g (float[n] x) => (float[1] y) { nz = NonZero(x) i = Transpose(nz)"
        "v = GatherND(x, i) q = ReduceMean(v) c = Size(v) y = Neg(q) }"
    )
    model = compiled(body, bounds={"nz": 3}, outputs=["c", "q"])
    count, mean = model.forward({}, X)
    assert (int(count), float(mean[0])) == (2, 2.0)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_ends_of_integers_behind_a_bound(op):
    body = f"g (float[n] x) => (int64 y) {{ nz = NonZero(x) y = {op}<keepdims=0>(nz) }}"
    model = compiled(body, bounds={"nz": 4})
    assert int(model.forward({}, X)) == (2 if op == "ReduceMax" else 0)


def test_a_loop_that_runs_less_than_never():
    body = (
        "g (float[n] x) => (int64 y) { size = Size(x)"
        "two = Constant<value = int64 {2}>() most = Sub(size, two)"
        "start = Constant<value = int64 {0}>() go = Constant<value = bool {1}>()"
        "y = Loop(most, go, start)<body = b (int64 i, bool c, int64 k) => "
        "(bool more, int64 next) { one = Constant<value = int64 {1}>()"
        "five = Constant<value = int64 {5}>()"
        "next = Add(k, one) more = Less(next, five) }> }"
    )
    model = compiled(body)
    for n, wanted in ((1, 0), (2, 0), (4, 2), (20, 5)):
        assert int(model.forward({}, np.zeros(n, np.float32))) == wanted


def test_equal_with_an_end_that_a_branch_gives():
    most = 2**63 - 1
    body = (
        "g (bool f, int64[4] x) => (bool y) {"
        f"end = Constant<value = int64 {{{most}}}>()"
        "z = If(f)<then_branch = t () => (int64 a) {"
        f"a = Constant<value = int64 {{{most}}}>() }},"
        "else_branch = e () => (int64 b) { b = ReduceMin<keepdims = 0>(x) }>"
        "y = Equal(z, end) }"
    )
    model = compiled(body)
    x = np.arange(4)
    assert bool(model.forward({}, np.array(True), x))
    assert not bool(model.forward({}, np.array(False), x))


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(4, 4)

    def forward(self, x):
        return x + self.a(x).tanh()


class Halves(torch.nn.Module):
    """Two stacks of layers of the same names, the first of them frozen."""

    def __init__(self):
        super().__init__()
        for name in ("enc", "dec"):
            setattr(self, name, torch.nn.ModuleList(Block() for _ in range(3)))
        self.enc.requires_grad_(False)

    def forward(self, x):
        for layer in [*self.enc, *self.dec]:
            x = layer(x)
        return x


@pytest.mark.parametrize("layers", ["functions", "scan", "unrolled"])
def test_frozen_layers_are_not_trained(layers):
    model = oxide_xla.from_torch(Halves().eval(), (torch.ones(2, 4),), layers=layers)
    trained = model.module.trainable(model.params)
    assert trained and all(key.startswith("dec.") for key in trained)


class Masked(torch.nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.register_buffer("mask", torch.tensor(mask))

    def forward(self, x):
        return torch.where(self.mask, self.linear(x), 0.0)


def test_buffers_that_became_code_are_compared(tmp_path):
    module = Masked([True, False, True, False]).eval()
    model = oxide_xla.from_torch(module, (torch.ones(2, 4),))
    model.save(tmp_path / "m.py")
    generated = model.module
    generated.__file__ = str(tmp_path / "m.py")
    same, other = tmp_path / "same.safetensors", tmp_path / "other.safetensors"
    save_file(module.state_dict(), same)
    generated.load_params(same)
    save_file(Masked([True] * 4).state_dict(), other)
    with pytest.raises(ValueError, match="mask differs"):
        generated.load_params(other)


def test_tied_weights_may_hold_nan():
    nan = np.full(3, np.nan, np.float32)
    assert untie({"b": nan}, "file", {"b": "a"}).keys() == {"a"}
    assert untie({"a": nan, "b": nan.copy()}, "file", {"b": "a"}).keys() == {"a"}


def test_names_that_only_end_like_unused_ones_are_unexpected(tmp_path):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(4))  # not read
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.linear(x)

    module = Net().eval()
    model = oxide_xla.from_torch(module, (torch.ones(2, 4),))
    state = module.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    assert isinstance(
        model.module.load_params(tmp_path / "a.safetensors")["linear.bias"], jax.Array
    )
    save_file({**state, "other.weight": torch.ones(4)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="other.weight is unexpected"):
        model.module.load_params(tmp_path / "b.safetensors")
