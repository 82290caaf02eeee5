"""A module that some blocks of a class have and others lack, as the shortcut of a
ResNet's blocks, is under `if` in the one function."""

import jax
import numpy as np
import onnx
import pytest
from onnx import helper

import oxide_xla
import test_joined_kinds
import test_line_map

FORMS = test_joined_kinds.FORMS
functions, check = test_joined_kinds.functions, test_joined_kinds.check


class Graph(test_joined_kinds.Graph):
    """Nodes may be in a module of the layer; weights are small."""

    def weight(self, name, *shape):
        key = super().weight(name, *shape)
        array = onnx.numpy_helper.to_array(self.weights.pop()) / 4
        self.weights.append(onnx.numpy_helper.from_array(array, key))
        return key

    def inside(self, module, op, *inputs, **attributes):
        out = f"h_{len(self.nodes)}"
        name = f"/layers.{self.count}/{module}/{op}_{len(self.nodes)}"
        node = helper.make_node(op, list(inputs), [out], name, **attributes)
        self.nodes.append(node)
        return out


def shortcut(g, x, stride):
    """The module: a convolution and what follows it."""
    w = g.weight("down.weight", 4, 4, 1, 1)
    y = g.inside("down", "Conv", x, w, strides=[stride] * 2)
    return g.inside("down", "Sigmoid", g.inside("down", "Sin", y))


def block(g, x, stride, shorten, late=False):
    w, b = (
        g.weight("first.convolution.weight", 4, 4, 3, 3),
        g.weight("first.convolution.bias", 4),
    )
    y = g.add("Conv", x, w, b, strides=[stride] * 2, pads=[1] * 4)
    y = g.add("Softplus", g.add("Tanh", y))
    w, b = (
        g.weight("last.convolution.weight", 4, 4, 3, 3),
        g.weight("last.convolution.bias", 4),
    )
    y = g.add("Conv", y, w, b, pads=[1] * 4)
    y = g.add("Add", y, shortcut(g, x, stride) if shorten else x)
    y = g.add("Mul", y, g.add("Cos", x)) if late else y
    return g.add("Tanh", y)


def chain(plan, **options):
    """Blocks of these strides; those with a module have a plus: "2+"."""
    g = Graph(["batch", 4, 32, 32])
    for word in plan.split():
        g.x = block(g, g.x, int(word[0]), word[1:] == "+", **options)
        g.count += 1
    return g.model()


PLANS = ["1 1 2+ 1 2+ 1", "1+ 1 2+ 1 1", "2+ 1 1 2+ 1", "1 1+ 1 1+"]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("plan", PLANS)
def test_forms(plan, form):
    source = check(chain(plan), form)
    if form.get("layers") == "unrolled":
        return
    ((_, arguments),) = functions(source)
    assert "down=" in arguments
    assert "    if down:\n" in source


def test_a_stride_of_both_is_one_argument():
    source = check(chain("1 1 2+ 1 2+ 1"), {})
    assert functions(source) == [("layers", "params, x, down=False, stride=1")]
    assert 'params["down.weight"], stride=stride)' in source
    assert source.count("down=True, stride=2") == 2


def test_what_is_read_later_stays_what_it_was():
    """The input of the module is read behind it: no other value may take its name."""
    source = check(chain("1 1+ 1 1+ 1", late=True), {})
    assert "    if down:" not in source
    assert len(functions(source)) == 2


def test_two_modules_are_two_kinds():
    """Only one may be lacking."""
    g = Graph(["batch", 4, 32, 32])
    for i in range(4):
        y = block(g, g.x, 1, i % 2)
        g.x = g.inside("more", "Tanh", g.inside("more", "Sin", y)) if i % 2 else y
        g.count += 1
    assert "    if down:" not in check(g.model(), {})


def test_gradients_are_those_of_straight_code():
    model = chain("1+ 1 2+ 1 1")
    own, other = (oxide_xla.compile(model, layers=s) for s in ("functions", "unrolled"))
    x = np.random.default_rng(2).normal(size=(2, 4, 32, 32)).astype(np.float32)
    params = own.params
    assert params.keys() == other.params.keys()
    a, b = (
        jax.grad(lambda p, m=m: m.forward(p, x).sum())(params) for m in (own, other)
    )
    for key, gradient in a.items():
        np.testing.assert_allclose(gradient, b[key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("plan", PLANS)
def test_the_line_map_knows_both_kinds(plan, tmp_path):
    """Each node has the lines of its operator, also behind the module."""
    model = chain(plan)
    onnx.save(model, tmp_path / "m.onnx")
    _, places, _, lines = test_line_map.mapped(tmp_path / "m.onnx", tmp_path)
    words = {"Conv": "conv(", "Tanh": "tanh(", "Sin": "sin(", "Sigmoid": "sigmoid("}
    for i, node in enumerate(model.graph.node):
        ranges = places[i]
        text = "\n".join("\n".join(lines[a - 1 : b]) for a, b in ranges)
        assert words.get(node.op_type, "") in text, node.name
        assert ("down.weight" in text) <= ("/down/" in node.name)
