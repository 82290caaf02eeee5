"""Modules that a repeated one calls once, and that are functions of their own: what
attends or is made of modules, where that takes more than three statements."""

import re

import jax
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import oxide_xla

FORMS = [
    {},
    {"params": "nested"},
    {"layers": "scan"},
    {"layers": "unrolled"},
    {"rank_promotion": "raise"},
    {"layers": "scan", "params": "nested"},
]
WIDTH = 8
LONG = ("Sin", "Softplus", "Tanh", "Sigmoid", "Cos")  # more than a line holds


class Layers:
    """Layers of modules; a node is in the module that the path names."""

    def __init__(self, count):
        self.rng = np.random.default_rng(0)
        self.nodes, self.weights = [], []
        self.count, self.layer = count, 0

    def add(self, path, op, *inputs, **attributes):
        out = f"h_{len(self.nodes)}"
        place = "/".join(["", f"layers.{self.layer}", *path.split("."), f"{op}_{out}"])
        place = place.replace("//", "/")
        node = helper.make_node(op, list(inputs), [out], place, **attributes)
        self.nodes.append(node)
        return out

    def linear(self, path, x):
        """A product with the weight of this module, and its bias."""
        key = f"layers.{self.layer}.{path}"
        shapes = {"weight": (WIDTH, WIDTH), "bias": (WIDTH,)}
        for name, shape in shapes.items():
            array = self.rng.normal(size=shape).astype(np.float32) / 3
            self.weights.append(numpy_helper.from_array(array, f"{key}.{name}"))
        y = self.add(path, "MatMul", x, f"{key}.weight")
        return self.add(path, "Add", y, f"{key}.bias")

    def chain(self, path, x, ops=LONG):
        """Several statements; as large as 1 in the end."""
        y = x
        for op in ops:
            y = self.add(path, op, self.add(path, "Add", y, x))
        return self.add(path, "Tanh", y)

    def model(self, layer):
        x = "x"
        for i in range(self.count):
            self.layer = i
            x = layer(self, x)
        ends = ["batch", 3, WIDTH]
        graph = helper.make_graph(
            self.nodes,
            "layers",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ends)],
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, ends)],
            self.weights,
        )
        opset = helper.make_opsetid("", 20)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        onnx.checker.check_model(model)
        return model


def mixing(g, x, path="mixer"):
    """Two linear layers with much between them."""
    y = g.chain(path, g.linear(f"{path}.into", x))
    return g.linear(f"{path}.out", y)


def layer(g, x):
    x = g.add("", "Add", x, mixing(g, x))
    y = g.add("", "Tanh", g.linear("up", x))
    return g.add("", "Add", x, g.linear("down", y))


def check(model, form):
    """What the code computes, and its gradient; the source."""
    compiled = oxide_xla.compile(model, **form)
    x = np.random.default_rng(1).normal(size=(2, 3, WIDTH)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    ranks = {k: v for k, v in form.items() if k == "rank_promotion"}
    with jax.numpy_rank_promotion(ranks.get("rank_promotion", "allow")):
        actual = compiled.forward(compiled.params, x)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
        straight = oxide_xla.compile(model, layers="unrolled", **ranks)
        own, other = (
            jax.grad(lambda x, m=m: m.forward(m.params, x).sum())(x)
            for m in (compiled, straight)
        )
    np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)
    return compiled.source


def functions(source):
    """Names and arguments of those that stand for modules."""
    found = re.findall(r'^def (\w+)\((.*)\):\n    """Modules such as', source, re.M)
    return dict(found)


def body(source, name):
    return source.split(f"\ndef {name}(")[1].split("\n\n")[0]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_forms(form):
    source = check(Layers(4).model(layer), form)
    found = functions(source)
    if form.get("layers") == "unrolled":
        assert not found
        return
    assert found["mixer"] == found["layers"] == "params, x"
    where = 'params["mixer"]' if "params" in form else 'scope(params, "mixer")'
    assert f"x + mixer({where}, x)" in body(source, "layers")


def test_a_few_statements_stay_where_they_are():
    def few(g, x):
        y = g.add("mixer", "Tanh", g.linear("mixer.into", x))
        x = g.add("", "Add", x, g.linear("mixer.out", y))
        return g.chain("", g.linear("up", x))

    assert "mixer" not in functions(check(Layers(4).model(few), {}))


def test_a_norm_and_a_residual_are_no_layer_around():
    """All products are in the one module: there is nothing that it stands aside of."""

    def wrapped(g, x):
        y = g.add("norm", "Tanh", g.add("norm", "Sigmoid", x))
        return g.add("", "Add", x, mixing(g, y))

    assert "mixer" not in functions(check(Layers(4).model(wrapped), {}))


def test_the_outermost_is_the_function():
    def nested(g, x):
        y = g.linear("attention.output", mixing(g, x, "attention.self"))
        return g.chain("", g.linear("up", g.add("", "Add", x, y)), LONG[:2])

    source = check(Layers(4).model(nested), {})
    found = functions(source)
    assert "self" not in found
    # the helper has the name `attention`
    assert "layers_attention(scope(params" in body(source, "layers")


def test_a_module_without_parts_that_attends_to_nothing_stays():
    def leaf(g, x):
        y = g.chain("mixer", g.linear("mixer", x))
        return g.linear("up", g.add("", "Add", x, y))

    assert "mixer" not in functions(check(Layers(4).model(leaf), {}))


def test_a_layer_that_is_not_repeated_has_no_functions():
    assert "mixer" not in functions(check(Layers(1).model(layer), {}))


def test_what_is_read_later_keeps_its_name():
    """The module's argument is read again: its result is no second x."""

    def twice(g, x):
        y = g.linear("up", mixing(g, x))
        return g.chain("", g.add("", "Mul", g.add("", "Sub", x, y), x), LONG[:2])

    source = check(Layers(4).model(twice), {})
    assert "    x = mixer(" not in body(source, "layers")


def test_functions_of_functions_count_as_one():
    """A layer pays by all that it is, also by what stands aside."""
    assert set(functions(check(Layers(2).model(layer), {}))) >= {"mixer", "layers"}
