"""`--shape x=batch,...` on models exported with a batch of 1: every row of a larger
batch is what the model gives for it alone, or the node that forbids it is named."""

import io
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import oxide_xla

RNG = np.random.default_rng(0)
T, D = 5, 8  # a sequence of T vectors


def weight(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def baked(*nodes, x=(1, T, D), y=None, **weights):
    """A model of nodes ("Op", "inputs", "outputs", {attributes}), x to y; `y` declares
    the shape that the exporter saw."""
    made = [
        helper.make_node(
            op, i.split(), o.split(), name=f"{op}:{o}", **dict(*attributes)
        )
        for op, i, o, *attributes in nodes
    ]
    graph = helper.make_graph(
        made,
        "baked",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )


def symbolic(model):
    [x] = model.graph.input
    sizes = [d.dim_value for d in x.type.tensor_type.shape.dim]
    return {"x": ["batch", *sizes[1:]]}


def one_by_one(model, x):
    """The model as it is, on each row."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return [session.run(None, {"x": row[None]})[0] for row in x]


ALLOWED = {
    "Linear": baked(("MatMul", "x w", "y"), w=weight(D, 3), y=[1, T, 3]),
    "Flatten": baked(("Flatten", "x", "y"), y=[1, T * D]),
    "Reshape with 0": baked(("Reshape", "x s", "y"), s=ints(0, 4, -1), y=[1, 4, 10]),
    "heads": baked(
        ("Reshape", "x s", "h"),
        ("Transpose", "h", "q", {"perm": [0, 2, 1, 3]}),
        ("Transpose", "h", "k", {"perm": [0, 2, 3, 1]}),
        ("MatMul", "q k", "a"),
        ("Softmax", "a", "y", {"axis": -1}),
        s=ints(0, T, 2, 4),
        y=[1, 2, T, T],
    ),
    "tokens in one axis": baked(
        ("Reshape", "x rows", "r"),
        ("Gemm", "r w b", "h"),
        ("Relu", "h", "a"),
        ("LayerNormalization", "a scale", "n"),
        ("Reshape", "n back", "y"),
        rows=ints(-1, D),
        back=ints(-1, T, 6),
        w=weight(D, 6),
        b=weight(6),
        scale=weight(6),
        y=[1, T, 6],
    ),
    "shape arithmetic": baked(
        ("Shape", "x", "s"),
        ("Gather", "s zero", "n"),
        ("Concat", "n rest", "to", {"axis": 0}),
        ("Reshape", "x to", "y"),
        zero=ints(0),
        rest=ints(-1),
        y=[1, T * D],
    ),
    "class token": baked(
        ("Shape", "x", "s", {"start": 0, "end": 1}),
        ("Concat", "s rest", "to", {"axis": 0}),
        ("Expand", "token to", "tokens"),
        ("Concat", "tokens x", "y", {"axis": 1}),
        token=weight(1, 1, D),
        rest=ints(1, D),
        y=[1, T + 1, D],
    ),
    "batch second": baked(
        ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
        ("Softmax", "t", "p", {"axis": 0}),
        ("Transpose", "p", "y", {"perm": [1, 0, 2]}),
        y=[1, T, D],
    ),
    "sum over the sequence": baked(
        ("CumSum", "x axis", "y"), axis=np.array(1), y=[1, T, D]
    ),
    "recurrence": baked(
        ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
        ("GRU", "t w r", "all last", {"hidden_size": 4}),
        ("Transpose", "last", "y", {"perm": [1, 0, 2]}),
        w=weight(1, 12, D),
        r=weight(1, 12, 4),
        y=[1, 1, 4],
    ),
    "one position": baked(("Gather", "x i", "y", {"axis": 1}), i=ints(2), y=[1, 1, D]),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_every_row_is_what_the_model_gives_for_it(name):
    model = ALLOWED[name]
    compiled = oxide_xla.compile(model, shapes=symbolic(model))
    assert compiled.messages == ""
    for batch in (1, 2, 7):
        x = weight(batch, T, D)
        expected = np.concatenate(one_by_one(model, x))
        actual = compiled.forward(compiled.params, x)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["Flatten", "heads", "tokens in one axis"])
def test_a_number_is_checked_in_the_same_way(name):
    model = ALLOWED[name]
    compiled = oxide_xla.compile(model, shapes={"x": (3, T, D)})
    x = weight(3, T, D)
    actual = compiled.forward(compiled.params, x)
    np.testing.assert_allclose(
        actual, np.concatenate(one_by_one(model, x)), rtol=2e-5, atol=2e-5
    )


BRANCH = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["r"])],
    "branch",
    [],
    [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)],
)

# The node that must be named. Some could be shown to be right with more knowledge of
# the operators in between; what is not shown is refused.
REFUSED = {
    "Reshape to [1, n]": (
        baked(("Reshape", "x s", "y"), s=ints(1, T * D)),
        "Reshape:y",
    ),
    "Reshape to [1, -1]": (baked(("Reshape", "x s", "y"), s=ints(1, -1)), "Reshape:y"),
    "rows into heads": (
        baked(("Reshape", "x s", "y"), s=ints(1, T, -1, 4)),
        "Reshape:y",
    ),
    "merged, split wrongly": (
        baked(
            ("Reshape", "x rows", "r"),
            ("Relu", "r", "a"),
            ("Reshape", "a back", "y"),
            rows=ints(-1, D),
            back=ints(T, -1, D),
        ),
        "Reshape:y",
    ),
    "merged, then along it": (
        baked(
            ("Reshape", "x rows", "r"),
            ("CumSum", "r axis", "y"),
            rows=ints(-1, D),
            axis=np.array(0),
        ),
        "CumSum:y",
    ),
    "merged, then a window": (
        baked(
            ("Reshape", "x rows", "r"),
            ("Unsqueeze", "r first", "u"),
            ("Transpose", "u", "t", {"perm": [0, 2, 1]}),
            ("AveragePool", "t", "y", {"kernel_shape": [3], "pads": [1, 1]}),
            rows=ints(-1, D),
            first=ints(0),
        ),
        "AveragePool:y",
    ),
    "inner merge": (
        baked(
            ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
            ("Reshape", "t rows", "y"),
            rows=ints(-1, D),
        ),
        "Reshape:y",
    ),
    "first row only": (baked(("Gather", "x i", "y"), i=np.array(0)), "Gather:y"),
    "first row, sliced": (
        baked(("Slice", "x a b", "y"), a=ints(0), b=ints(1)),
        "Slice:y",
    ),
    "squeezed": (baked(("Squeeze", "x a", "y"), a=ints(0)), "Squeeze:y"),
    "class token for one": (
        baked(("Concat", "token x", "y", {"axis": 1}), token=weight(1, 1, D)),
        "Concat:y",
    ),
    "class token behind": (
        baked(("Concat", "x token", "y", {"axis": 1}), token=weight(1, 1, D)),
        "Concat:y",
    ),
    "joined rows": (baked(("Concat", "x x", "y", {"axis": 0})), "Concat:y"),
    "repeated rows": (baked(("Tile", "x n", "y"), n=ints(2, 1, 1)), "Tile:y"),
    "over the rows": (baked(("Softmax", "x", "y", {"axis": 0})), "Softmax:y"),
    "sum over the rows": (
        baked(("CumSum", "x a", "y"), a=np.array(0)),
        "CumSum:y",
    ),
    "statistics of the rows": (
        baked(("MeanVarianceNormalization", "x", "y", {"axes": [0, 1]})),
        "MeanVarianceNormalization:y",
    ),
    "normalised with the rows": (
        baked(
            ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
            ("LayerNormalization", "t scale", "y", {"axis": 1}),
            scale=weight(1, D),
        ),
        "LayerNormalization:y",
    ),
    "mean of rows": (
        baked(("ReduceMean", "x a", "y"), a=ints(0)),
        "ReduceMean:y",
    ),
    "rows against rows": (
        baked(
            ("Flatten", "x", "f"),
            ("Transpose", "f", "t", {"perm": [1, 0]}),
            ("MatMul", "f t", "y"),
        ),
        "MatMul:y",
    ),
    "a branch": (
        baked(
            ("ReduceSum", "x", "s", {"keepdims": 0}),
            ("Cast", "s", "c", {"to": TensorProto.BOOL}),
            ("If", "c", "y", {"then_branch": BRANCH, "else_branch": BRANCH}),
        ),
        "ReduceSum:s",
    ),
    "a first state for one": (
        baked(
            ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
            ("GRU", "t w r b l h", "all y", {"hidden_size": 4}),
            w=weight(1, 12, D),
            r=weight(1, 12, 4),
            b=weight(1, 24),
            l=np.array([T], np.int32),
            h=weight(1, 1, 4),
        ),
        "GRU:all y",
    ),
    "positions in the whole batch": (
        baked(
            ("MaxPool", "x", "v i", {"kernel_shape": [2]}),
            ("Cast", "i", "y", {"to": TensorProto.FLOAT}),
        ),
        "MaxPool:v i",
    ),
    "the other way round": (
        baked(
            ("Slice", "x a b z s", "y"), a=ints(-1), b=ints(-9), z=ints(0), s=ints(-1)
        ),
        "Slice:y",
    ),
    "written to the first row": (
        baked(("ScatterElements", "x i u", "y"), i=ints([[1, 0]]), u=weight(1, 1, 2)),
        "ScatterElements:y",
    ),
    "shifted along the rows": (
        baked(("Pad", "x p", "y"), p=ints(-1, 0, 0, 1, 0, 0)),
        "Pad:y",
    ),
    "a triangle of the rows": (
        baked(
            ("Transpose", "x", "t", {"perm": [1, 0, 2]}),
            ("Trilu", "t", "y"),
        ),
        "Trilu:y",
    ),
    "statistics of a batch": (
        baked(
            ("BatchNormalization", "x c c c c", "y m v", {"training_mode": 1}),
            c=weight(T),
        ),
        "BatchNormalization:y m v",
    ),
    "rows in time": (
        baked(
            ("RNN", "x w r", "y", {"hidden_size": 4}),
            w=weight(1, 4, D),
            r=weight(1, 4, 4),
        ),
        "RNN:y",
    ),
    "divided by the number of rows": (
        baked(
            ("Shape", "x", "s", {"start": 0, "end": 1}),
            ("Cast", "s", "n", {"to": TensorProto.FLOAT}),
            ("Div", "x n", "y"),
        ),
        "Cast:n",
    ),
    "numbered rows": (
        baked(
            ("Shape", "x", "s"),
            ("Gather", "s zero", "n"),
            ("Range", "zero n one", "r"),
            ("Cast", "r", "f", {"to": TensorProto.FLOAT}),
            ("Unsqueeze", "f axes", "u"),
            ("Add", "x u", "y"),
            zero=np.array(0),
            one=np.array(1),
            axes=ints(1, 2),
        ),
        "Range:r",
    ),
    "the number of rows": (
        baked(("Size", "x", "n"), ("Identity", "n", "y")),
        "Identity:y",
    ),
    "a length that rows decide": (
        baked(
            ("Cast", "x", "i", {"to": TensorProto.INT64}),
            ("ConstantOfShape", "i", "y"),
            x=(1,),
        ),
        "ConstantOfShape:y",
    ),
    "a weight of one row": (
        baked(("MatMul", "w x", "y"), x=(1, T), w=weight(1, 1)),
        "MatMul:y",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("size", ["batch", 3])
def test_the_node_that_does_not_allow_it_is_named(name, size):
    model, node = REFUSED[name]
    oxide_xla.compile(model)
    shapes = symbolic(model)
    shapes["x"][0] = size
    with pytest.raises(oxide_xla.OxideError, match=f'"{node}"') as error:
        oxide_xla.compile(model, shapes=shapes)
    assert "OX0405" in error.value.messages


def test_inputs_share_a_symbol_or_not():
    """Two inputs of one batch; with different names they may differ, and cannot."""
    graph = baked(("Add", "x z", "y")).graph
    graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, (1, T, D)))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    rest = (T, D)
    same = oxide_xla.compile(model, shapes={"x": ("n", *rest), "z": ("n", *rest)})
    x, z = weight(4, T, D), weight(4, T, D)
    np.testing.assert_allclose(same.forward(same.params, x, z), x + z)
    one = oxide_xla.compile(model, shapes={"x": ("n", *rest)})
    np.testing.assert_allclose(one.forward(one.params, x, z[:1]), x + z[:1])
    with pytest.raises(oxide_xla.OxideError, match="OX0405"):
        oxide_xla.compile(model, shapes={"x": ("n", *rest), "z": ("m", *rest)})


def test_what_the_file_declares_of_the_old_size_is_forgotten():
    """No warnings, and no size of 1 where a rule cannot tell."""
    model = onnx.shape_inference.infer_shapes(ALLOWED["heads"])
    compiled = oxide_xla.compile(model, shapes={"x": (4, T, D)})
    assert compiled.messages == ""


def test_a_dynamic_model_is_not_restricted():
    """Its nodes may mix the rows on purpose."""
    model = baked(("ReduceMean", "x a", "y"), a=ints(0), x=("n", T, D))
    assert oxide_xla.compile(model, shapes={"x": (3, T, D)}).messages == ""


@pytest.mark.torch
def test_a_residual_network_of_one_image_takes_any_batch():
    """As ResNet-18: convolutions, BatchNorm, pooling, a shortcut, Flatten, Linear."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(
                nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.MaxPool2d(3, stride=2, padding=1),
            )
            self.conv1 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
            self.short = nn.Conv2d(8, 16, 1, stride=2)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(16, 10)

        def forward(self, x):
            x = self.stem(x)
            y = torch.relu(self.bn1(self.conv1(x)))
            x = torch.relu(self.conv2(y) + self.short(x))
            return self.fc(torch.flatten(self.pool(x), 1))

    torch.manual_seed(0)
    module = Net().eval()
    example = torch.randn(1, 3, 32, 32)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter itself
        torch.onnx.export(module, (example,), file, dynamo=False, input_names=["x"])
    compiled = oxide_xla.compile(file.getvalue(), shapes=["x=batch,3,32,32"])
    for batch in (1, 2, 7):
        x = torch.randn(batch, 3, 32, 32)
        with torch.no_grad():
            expected = module(x).numpy()
        actual = compiled.forward(compiled.params, x.numpy())
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
