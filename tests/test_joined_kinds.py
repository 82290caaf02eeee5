"""Modules of one class that differ in numbers are one function with arguments."""

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
]


class Graph:
    """A chain of modules `layers.0`, `layers.1`, ...; each adds its nodes."""

    def __init__(self, shape):
        self.rng = np.random.default_rng(0)
        self.shape, self.nodes, self.weights, self.count = shape, [], [], 0
        self.x = "x"

    def weight(self, name, *shape):
        array = self.rng.normal(size=shape).astype(np.float32)
        key = f"layers.{self.count}.{name}"
        self.weights.append(numpy_helper.from_array(array, key))
        return key

    def constant(self, values):
        name = f"shape_{len(self.nodes)}"
        tensor = numpy_helper.from_array(np.array(values, np.int64))
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def add(self, op, *inputs, **attributes):
        out = f"h_{len(self.nodes)}"
        name = f"/layers.{self.count}/{op}_{len(self.nodes)}"
        node = helper.make_node(op, list(inputs), [out], name, **attributes)
        self.nodes.append(node)
        return out

    def model(self):
        ends = [None] * len(self.shape)
        graph = helper.make_graph(
            self.nodes,
            "chain",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(self.x, TensorProto.FLOAT, ends)],
            self.weights,
        )
        opset = helper.make_opsetid("", 20)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        onnx.checker.check_model(model)
        return model


def convolutions(strides, *, residual=(), dilated=()):
    """Blocks of convolutions with these strides; some add their input."""
    g = Graph(["batch", 4, 32, 32])
    for i, stride in enumerate(strides):
        pad = 2 if i in dilated else 1
        y = g.add(
            "Conv",
            g.x,
            g.weight("conv1.weight", 4, 4, 3, 3),
            g.weight("conv1.bias", 4),
            strides=[stride] * 2,
            pads=[pad] * 4,
            dilations=[pad] * 2,
        )
        y = g.add("Softplus", g.add("Tanh", y))
        w = g.weight("conv2.weight", 4, 4, 3, 3)
        y = g.add("Conv", y, w, g.weight("conv2.bias", 4), pads=[1] * 4)
        y = g.add("Tanh", g.add("Sigmoid", y))
        g.x = g.add("Add", g.x, y) if i in residual else y
        g.count += 1
    return g.model()


def heads(widths):
    """Blocks that split the last axis of their input, and give one of another width."""
    g = Graph(["batch", 6, widths[0]])
    for i, width in enumerate(widths[:-1]):
        y = g.add("MatMul", g.x, g.weight("up", width, width))
        y = g.add("Reshape", y, g.constant([0, 6, 8, width // 8]))
        y = g.add("Softplus", g.add("Tanh", g.add("ReduceMax", y, g.constant([2]))))
        y = g.add("Reshape", y, g.constant([0, 6, width // 8]))
        y = g.add("Tanh", g.add("Sigmoid", g.add("Sin", y)))
        g.x = g.add("MatMul", y, g.weight("down", width // 8, widths[i + 1]))
        g.count += 1
    return g.model()


def functions(source):
    return re.findall(r"^def (layers\w*)\((.*)\):", source, re.M)


def check(model, form):
    """What the code computes; its source."""
    compiled = oxide_xla.compile(model, **form)
    shape = [d.dim_value or 2 for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    with jax.numpy_rank_promotion(form.get("rank_promotion", "allow")):
        params = compiled.params
        actual = compiled.forward(params, x)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
        if "def prepare" in compiled.source:
            prepared = compiled.module.prepare(params)
            again = compiled.forward(prepared, x)
            np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-5)
    return compiled.source


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_forms(form):
    model = convolutions([2, 1, 1, 2, 1], residual=(1, 2, 4), dilated=(2,))
    count = 0 if form.get("layers") == "unrolled" else 1
    assert len(functions(check(model, form))) == count


def test_what_most_calls_give_is_the_default():
    source = check(convolutions([2, 1, 2, 1, 2, 2, 1]), {})
    assert len(functions(source)) == 1
    default = re.search(r"x, stride=(\d)\)", source)[1]
    given = re.findall(r"layers\(scope\(.*?\), \w+(?:, stride=(\d))?\)", source)
    other = {"1": "2", "2": "1"}[default]
    assert set(given) == {"", other}
    assert given.count("") >= given.count(other)


def test_two_numbers_are_two_arguments():
    source = check(convolutions([2, 1, 2, 1], dilated=(0, 3)), {})
    ((_, arguments),) = functions(source)
    assert "stride=" in arguments
    assert "padding=" in arguments and "dilation=" in arguments


def test_a_residual_is_a_choice():
    source = check(convolutions([1, 1, 2, 1], residual=(1, 3)), {})
    ((_, arguments),) = functions(source)
    assert "residual=" in arguments
    assert re.search(r"return x \+ (\w+) if residual else \1\n", source)
    assert "residual=" in source.split("def forward")[1]


def renamed(model, names):
    """The model whose layers call what they compute by these words in turn."""
    new = {}
    for node in model.graph.node:
        count = int(re.match(r"/layers\.(\d+)/", node.name)[1])
        for out in node.output:
            new[out] = f"{names[count % len(names)]}_{node.op_type.lower()}"
            new[out] += f"_{len(new)}"
        for values in (node.input, node.output):
            values[:] = [new.get(name, name) for name in values]
    model.graph.output[0].name = new[model.graph.output[0].name]
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize("form", FORMS[:2], ids=str)
def test_names_of_locals_make_no_other_function(form):
    model = renamed(convolutions([2, 1, 2, 1]), ["up", "down"])
    ((_, arguments),) = functions(check(model, form))
    assert "stride=" in arguments


def test_names_that_are_no_renaming_make_another():
    """One block reads its input where the other reads what it made of it."""
    g = Graph(["batch", 6])
    for i in range(4):
        y = g.add("Tanh", g.add("Elu", g.x, alpha=1.0 + i % 2))
        z = g.add("Softplus", g.add("Mul", y, g.weight("scale", 6)))
        z = g.add("Mul", z, g.x if i % 2 else y)
        g.x = g.add("Sigmoid", g.add("Sin", g.add("Add", y, z)))
        g.count += 1
    names = functions(check(renamed(g.model(), ["up", "down"]), {}))
    assert len(names) != 1


def test_rows_are_loops_of_equal_calls():
    source = check(convolutions([2, 1, 1, 1, 2, 1, 1]), {})
    forward = source.split("def forward")[1].split("\n\n\n")[0]
    assert forward.count("for i in range") == 2
    assert "range(1, 4)" in forward and "range(5, 7)" in forward


def test_sizes_follow_from_arguments():
    source = check(heads([64, 128, 256, 64]), {})
    assert functions(source) == [("layers", "params, x")]
    assert "batch, _, width = x.shape" in source
    assert "width // 8" in source


def test_more_than_three_numbers_are_other_functions():
    g = Graph(["batch", 6])
    for i in range(4):
        k = 1.0 + i % 2
        y = g.add("Mul", g.x, g.weight("scale", 6))
        for op in ("Elu", "ThresholdedRelu", "LeakyRelu", "Celu"):
            y = g.add("Tanh", g.add(op, y, alpha=k / (3 + len(op))))
        g.x = g.add("Tanh", g.add("Sigmoid", y))
        g.count += 1
    names = functions(check(g.model(), {}))
    assert [args for _, args in names] == ["params, x"] * len(names)
