"""Random models of one row, for tests of `--shape x=batch,...`, and of entries that
data choose, for those of --bound.

A model begins with an input of a batch of 1 and applies a few operators, each with
attributes and fixed operands that are drawn anew; onnxruntime says whether it means
something and what shape the value has then. Axes of size 1 are common, so that rows
and other axes are easily confused.
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
OPERATORS = []


class Meaningless(Exception):
    """The operator does not take a value of this shape."""


def operator(function):
    OPERATORS.append(function)
    return function


class Builder:
    """A model under construction: `x` of `shape`, and the last value `y`."""

    def __init__(self, rng):
        self.rng = rng
        rank = rng.integers(2, 6)
        self.input_shape = [1, *rng.choice([1, 2, 3, 4], rank - 1).tolist()]
        self.shape = self.input_shape
        self.nodes, self.weights, self.names = [], [], 0
        self.y = "x"

    def name(self):
        self.names += 1
        return f"v{self.names}"

    def constant(self, array):
        name = self.name()
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def floats(self, *shape):
        return self.constant(self.rng.standard_normal(shape).astype(np.float32))

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(
            helper.make_node(op, inputs, names, name=f"{op}_{names[0]}", **attributes)
        )
        return names[0] if outputs == 1 else names

    @property
    def rank(self):
        return len(self.shape)

    def axis(self, low=None):
        """An axis of the value, from the end perhaps."""
        if not self.rank:
            raise Meaningless
        return int(self.rng.integers(-self.rank if low is None else low, self.rank))

    def axes(self):
        count = self.rng.integers(1, self.rank + 1) if self.rank else 0
        return self.rng.permutation(self.rank)[:count].tolist()

    def coin(self):
        return bool(self.rng.integers(2))

    def need(self, condition):
        if not condition:
            raise Meaningless

    def model(self):
        graph = helper.make_graph(
            self.nodes,
            "rows",
            self.inputs(),
            [helper.make_tensor_value_info(self.y, FLOAT, None)],
            self.weights,
        )
        opset = [helper.make_opsetid("", 22)]
        return helper.make_model(graph, opset_imports=opset, ir_version=10)

    def apply(self, make):
        """Applies one operator; leaves the model alone when it means nothing."""
        nodes, weights, y = list(self.nodes), list(self.weights), self.y
        try:
            self.y = make(self)
            self.shape = list(run(self.model(), self.example()).shape)
            self.need(np.prod(self.shape) < 500 and len(self.shape) < 7)
        except Exception:  # whatever onnxruntime and onnx have against it
            self.nodes, self.weights, self.y = nodes, weights, y
            return False
        return True

    def inputs(self):
        return [helper.make_tensor_value_info("x", FLOAT, self.input_shape)]

    def example(self):
        return {"x": np.ones(self.input_shape, np.float32)}

    def grow(self):
        """Applies one to four operators."""
        wanted = len(self.nodes) + self.rng.integers(1, 5)
        for _ in range(20):
            self.apply(OPERATORS[self.rng.integers(len(OPERATORS))])
            if len(self.nodes) >= wanted:
                break


class Selected(Builder):
    """A model that begins with a choice of some entries along an axis of x: those where
    `c` is true, which are three."""

    def __init__(self, rng):
        super().__init__(rng)
        axis = int(rng.integers(len(self.shape)))
        self.input_shape = [*self.shape[:axis], 5, *self.shape[axis + 1 :]]
        self.shape = [*self.shape[:axis], 3, *self.shape[axis + 1 :]]
        self.chosen = np.isin(np.arange(5), rng.choice(5, 3, replace=False))
        node = helper.make_node("Compress", ["x", "c"], ["z"], "Compress", axis=axis)
        self.nodes, self.y = [node], "z"

    def inputs(self):
        chosen = helper.make_tensor_value_info("c", TensorProto.BOOL, [5])
        return [*super().inputs(), chosen]

    def example(self):
        return {**super().example(), "c": self.chosen}


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(model, feeds):
    return session(model).run(None, feeds)[0]


def random_model(seed):
    """A model of one to four operators, and the shape of its input."""
    builder = Builder(np.random.default_rng(seed))
    builder.grow()
    builder.nodes = builder.nodes or [helper.make_node("Neg", ["x"], ["y"])]
    builder.y = builder.nodes[-1].output[0] if builder.y == "x" else builder.y
    return builder.model(), builder.input_shape


def random_selection(seed):
    """A model that selects entries and goes on, and what it is run with."""
    builder = Selected(np.random.default_rng(seed))
    builder.grow()
    shape = builder.input_shape
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return builder.model(), {"x": x, "c": builder.chosen}


# ---- operators -----------------------------------------------------------------------


@operator
def elementwise(g):
    op = g.rng.choice(["Relu", "Neg", "Abs", "Tanh", "Erf", "Identity", "Dropout"])
    return g.node(str(op), g.y)


@operator
def broadcast(g):
    keep = g.rng.integers(0, g.rank + 1)
    shape = [n if g.coin() else 1 for n in g.shape[keep:]]
    op = str(g.rng.choice(["Add", "Mul", "Sub", "Max"]))
    pair = [g.y, g.floats(*shape)]
    return g.node(op, *(pair[::-1] if g.coin() else pair))


@operator
def with_itself(g):
    other = g.y
    if g.coin():
        other = g.node("Transpose", g.y)
    return g.node(str(g.rng.choice(["Add", "MatMul", "Mul"])), g.y, other)


@operator
def reshape(g):
    sizes = list(g.shape)
    if g.coin() and len(sizes) > 1:
        at = g.rng.integers(len(sizes) - 1)
        sizes[at : at + 2] = [sizes[at] * sizes[at + 1]]
    else:
        sizes.insert(g.rng.integers(len(sizes) + 1), 1)
    if g.coin():
        sizes[g.rng.integers(len(sizes))] = -1
    elif g.coin() and len(sizes) <= g.rank:
        sizes[0] = 0
    return g.node("Reshape", g.y, g.ints(*sizes))


@operator
def reshape_to_shape(g):
    """By sizes that are computed."""
    shape = g.node("Shape", g.y)
    first = g.node("Slice", shape, g.ints(0), g.ints(1))
    return g.node("Reshape", g.y, g.node("Concat", first, g.ints(-1), axis=0))


@operator
def flatten(g):
    return g.node("Flatten", g.y, axis=g.axis())


@operator
def transpose(g):
    return g.node("Transpose", g.y, perm=g.rng.permutation(g.rank).tolist())


@operator
def squeeze(g):
    ones = [i for i, n in enumerate(g.shape) if n == 1]
    g.need(ones)
    if g.rng.integers(4) == 0:
        return g.node("Squeeze", g.y)
    return g.node("Squeeze", g.y, g.ints(g.rng.choice(ones)))


@operator
def unsqueeze(g):
    return g.node("Unsqueeze", g.y, g.ints(g.rng.integers(0, g.rank + 1)))


@operator
def expand(g):
    shape = [n if g.coin() else 1 for n in g.shape]
    if g.coin():
        shape[int(g.rng.integers(g.rank))] = 2
    return g.node("Expand", g.y, g.ints(*shape))


@operator
def expand_token(g):
    sizes = g.node("Shape", g.y)
    return g.node("Expand", g.floats(*([1] * g.rank)), sizes)


@operator
def tile(g):
    return g.node("Tile", g.y, g.ints(*g.rng.choice([1, 1, 2], g.rank)))


@operator
def slice_(g):
    step = int(g.rng.choice([1, -1, 2]))
    far = int(g.rng.choice([1, 2, 2**31 - 1]))
    start, end = (0, far) if step > 0 else (-1, -(2**31))
    axes = g.ints(g.axis())
    return g.node("Slice", g.y, g.ints(start), g.ints(end), axes, g.ints(step))


@operator
def gather(g):
    axis = g.axis()
    size = g.shape[axis]
    shape = [(), (1,), (2,), (1, 2)][g.rng.integers(4)]
    index = g.constant(np.asarray(g.rng.integers(0, size, shape), np.int64))
    return g.node("Gather", g.y, index, axis=axis)


@operator
def gather_elements(g):
    axis = g.axis()
    index = g.constant(g.rng.integers(0, g.shape[axis], g.shape))
    return g.node("GatherElements", g.y, index, axis=axis)


@operator
def gather_nd(g):
    depth = int(g.rng.integers(1, g.rank + 1))
    batch = int(g.rng.integers(0, depth))
    rows = [g.rng.integers(0, n, 2) for n in g.shape[batch:depth]]
    index = np.stack(rows, -1).reshape([1] * batch + [2, depth - batch])
    return g.node("GatherND", g.y, g.constant(index), batch_dims=batch)


@operator
def scatter_elements(g):
    axis = g.axis()
    shape = [int(g.rng.integers(1, n + 1)) for n in g.shape]
    index = g.constant(g.rng.integers(0, g.shape[axis], shape))
    reduction = "none" if max(shape) == 1 else "add"
    return g.node(
        "ScatterElements", g.y, index, g.floats(*shape), axis=axis, reduction=reduction
    )


@operator
def scatter_nd(g):
    depth = int(g.rng.integers(1, g.rank + 1))
    index = np.stack([g.rng.integers(0, n, 1) for n in g.shape[:depth]], -1)
    updates = g.floats(1, *g.shape[depth:])
    return g.node("ScatterND", g.y, g.constant(index), updates)


@operator
def softmax(g):
    op = str(g.rng.choice(["Softmax", "LogSoftmax", "Hardmax", "LpNormalization"]))
    return g.node(op, g.y, **({"axis": g.axis()} if g.coin() else {}))


@operator
def mean_variance(g):
    given = {} if g.coin() and g.rank == 4 else {"axes": g.axes()}
    return g.node("MeanVarianceNormalization", g.y, **given)


@operator
def layer_norm(g):
    axis = g.axis()
    scale = g.floats(*g.shape[axis % g.rank :])
    return g.node("LayerNormalization", g.y, scale, axis=axis)


@operator
def channel_norm(g):
    g.need(g.rank > 2)
    op = str(g.rng.choice(["InstanceNormalization", "LRN", "GroupNormalization"]))
    if op == "LRN":
        return g.node(op, g.y, size=3)
    c = g.shape[1]
    more = {"num_groups": 1} if op == "GroupNormalization" else {}
    return g.node(op, g.y, g.floats(c), g.floats(c), **more)


@operator
def batch_norm(g):
    g.need(g.rank > 1)
    c = g.shape[1]
    variance = g.constant(g.rng.random(c).astype(np.float32))
    operands = g.floats(c), g.floats(c), g.floats(c), variance
    if g.coin():
        return g.node("BatchNormalization", g.y, *operands)
    return g.node("BatchNormalization", g.y, *operands, outputs=3, training_mode=1)[0]


@operator
def convolution(g):
    g.need(g.rank > 2)
    kernel = [min(int(g.rng.integers(1, 3)), n) for n in g.shape[2:]]
    if g.coin():
        weight = g.floats(2, g.shape[1], *kernel)
        return g.node("Conv", g.y, weight, auto_pad="SAME_UPPER")
    return g.node("ConvTranspose", g.y, g.floats(g.shape[1], 2, *kernel))


@operator
def pool(g):
    g.need(g.rank > 2)
    op = g.rng.choice(["MaxPool", "AveragePool", "LpPool"])
    kernel = [int(g.rng.integers(1, 3)) for _ in g.shape[2:]]
    return g.node(str(op), g.y, kernel_shape=kernel, auto_pad="SAME_UPPER")


@operator
def global_pool(g):
    g.need(g.rank > 2)
    op = g.rng.choice(["GlobalAveragePool", "GlobalMaxPool"])
    return g.node(str(op), g.y)


@operator
def reduce(g):
    op = g.rng.choice(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"])
    axes = [g.ints(*g.axes())] if g.rng.integers(4) else []
    return g.node(str(op), g.y, *axes, keepdims=int(g.coin()))


@operator
def arg(g):
    op = str(g.rng.choice(["ArgMax", "ArgMin"]))
    found = g.node(op, g.y, axis=g.axis(), keepdims=int(g.coin()))
    return g.node("Cast", found, to=FLOAT)


@operator
def top_k(g):
    k = g.ints(g.rng.integers(1, 3))
    return g.node("TopK", g.y, k, axis=g.axis(), outputs=2)[0]


@operator
def cumulative(g):
    axis = g.constant(np.array(g.axis()))
    flags = {"reverse": int(g.coin()), "exclusive": int(g.coin())}
    return g.node("CumSum", g.y, axis, **flags)


@operator
def concat(g):
    axis = g.axis()
    shape = list(g.shape)
    if g.coin():
        shape[axis] = 1
    parts = [g.y, g.y if g.coin() else g.floats(*shape)]
    return g.node("Concat", *(parts[::-1] if g.coin() else parts), axis=axis)


@operator
def split(g):
    axis = g.axis()
    g.need(g.shape[axis] > 1)
    return g.node("Split", g.y, axis=axis, num_outputs=2, outputs=2)[0]


@operator
def pad(g):
    pads = g.rng.choice([0, 0, 1, -1], 2 * g.rank)
    mode = str(g.rng.choice(["constant", "edge", "wrap"]))
    return g.node("Pad", g.y, g.ints(*pads), mode=mode)


@operator
def shift(g):
    """Cuts in front of an axis as much as it appends."""
    axis = g.axis(0)
    pads = np.zeros(2 * g.rank, np.int64)
    pads[axis], pads[axis + g.rank] = -1, 1
    return g.node("Pad", g.y, g.ints(*pads))


@operator
def resize(g):
    scales = g.rng.choice([1, 1, 2], g.rank).astype(np.float32)
    mode = "nearest" if g.rank > 2 else "linear"
    return g.node("Resize", g.y, "", g.constant(scales), mode=mode)


@operator
def matmul(g):
    if g.coin():
        return g.node("MatMul", g.y, g.floats(g.shape[-1], 2))
    g.need(g.rank > 1)
    return g.node("MatMul", g.floats(2, g.shape[-2]), g.y)


@operator
def gemm(g):
    g.need(g.rank == 2)
    flags = {"transA": int(g.coin()), "transB": int(g.coin())}
    inner = g.shape[0 if flags["transA"] else 1]
    weight = g.floats(*((2, inner) if flags["transB"] else (inner, 2)))
    return g.node("Gemm", g.y, weight, g.floats(2), **flags)


@operator
def einsum(g):
    equations = {
        2: ["ij->ji", "ij,jk->ik", "ij,ik->jk", "ij,ij->i", "ij->j"],
        3: ["bij,bkj->bik", "bij->bji", "bij,bij->ij", "bij,cij->bc", "bij->bi"],
        4: ["bhij,bhkj->bhik", "bhij->hbij", "bhij->bij", "bhij,chij->bchi"],
    }
    g.need(g.rank in equations)
    equation = str(g.rng.choice(equations[g.rank]))
    if "," not in equation:
        return g.node("Einsum", g.y, equation=equation)
    if "jk" in equation:
        return g.node("Einsum", g.y, g.floats(g.shape[1], 2), equation="ij,jk->ik")
    return g.node("Einsum", g.y, g.y, equation=equation)


@operator
def recurrent(g):
    g.need(g.rank == 3)
    op, gates = [("LSTM", 4), ("GRU", 3), ("RNN", 1)][g.rng.integers(3)]
    weights = g.floats(1, gates * 2, g.shape[2]), g.floats(1, gates * 2, 2)
    out = g.node(op, g.y, *weights, hidden_size=2, outputs=2)
    return out[g.rng.integers(2)]


@operator
def attention(g):
    """As exporters decompose it."""
    g.need(g.rank > 2)
    axes = [*range(g.rank - 2), g.rank - 1, g.rank - 2]
    keys = g.node("Transpose", g.y, perm=axes)
    scores = g.node("Softmax", g.node("MatMul", g.y, keys), axis=-1)
    return g.node("MatMul", scores, g.y)


@operator
def one_hot(g):
    found = g.node("ArgMax", g.y, axis=g.axis(), keepdims=0)
    values = g.constant(np.float32([0, 1]))
    return g.node("OneHot", found, g.ints(3), values, axis=g.axis())


@operator
def lookup(g):
    found = g.node("ArgMax", g.y, axis=g.axis(), keepdims=0)
    return g.node("Gather", g.floats(4, 4), found, axis=int(g.rng.integers(2)))


@operator
def eye(g):
    g.need(g.rank == 2)
    return g.node("Mul", g.y, g.node("EyeLike", g.y))


@operator
def trilu(g):
    return g.node("Trilu", g.y, upper=int(g.coin()))


@operator
def count(g):
    """Divides by the number of all elements, or by one size."""
    of = g.node("Size", g.y)
    if g.coin():
        of = g.node("Gather", g.node("Shape", g.y), g.ints(g.axis()))
    return g.node("Div", g.y, g.node("Cast", of, to=FLOAT))


@operator
def positions(g):
    axis = g.axis(0)
    size = g.node("Gather", g.node("Shape", g.y), g.constant(np.array(axis)))
    zero, one = g.constant(np.array(0)), g.constant(np.array(1))
    steps = g.node("Cast", g.node("Range", zero, size, one), to=FLOAT)
    sizes = [1] * g.rank
    sizes[axis] = -1
    return g.node("Add", g.y, g.node("Reshape", steps, g.ints(*sizes)))


@operator
def ones_by_shape(g):
    one = numpy_helper.from_array(np.ones(1, np.float32))
    ones = g.node("ConstantOfShape", g.node("Shape", g.y), value=one)
    if g.coin():
        ones = g.node("CumSum", ones, g.constant(np.array(g.axis())))
    return g.node(str(g.rng.choice(["Add", "Mul"])), g.y, ones)


@operator
def where_positive(g):
    limit = g.constant(np.float32(0.1234))  # that rounding does not meet by chance
    return g.node("Where", g.node("Greater", g.y, limit), g.y, g.floats(1))


@operator
def masked_tokens(g):
    keep = np.arange(g.shape[(axis := g.axis())]) % 2 == 0
    return g.node("Compress", g.y, g.constant(keep), axis=axis)


@operator
def quantized(g):
    if g.coin():
        y, scale, zero = g.node("DynamicQuantizeLinear", g.y, outputs=3)
        return g.node("DequantizeLinear", y, scale, zero)
    scale, zero = g.constant(np.float32(0.1)), g.constant(np.uint8(100))
    return g.node(
        "DequantizeLinear", g.node("QuantizeLinear", g.y, scale, zero), scale, zero
    )


@operator
def blocks(g):
    g.need(g.rank == 4)
    op = str(g.rng.choice(["SpaceToDepth", "DepthToSpace"]))
    return g.node(op, g.y, blocksize=2)


@operator
def reverse_sequence(g):
    g.need(g.rank > 1)
    batch = int(g.rng.integers(2))
    lengths = g.rng.integers(1, g.shape[1 - batch] + 1, g.shape[batch])
    return g.node(
        "ReverseSequence",
        g.y,
        g.constant(lengths),
        batch_axis=batch,
        time_axis=1 - batch,
    )


@operator
def crop(g):
    sizes = [int(n if g.coin() else g.rng.integers(1, 4)) for n in g.shape]
    return g.node("CenterCropPad", g.y, g.ints(*sizes))


@operator
def fourier(g):
    g.need(g.rank > 1 and g.shape[-1] in (1, 2))
    return g.node("DFT", g.y, "", g.constant(np.array(g.axis())))


@operator
def grid_sample(g):
    g.need(g.rank == 4)
    grid = g.constant(g.rng.uniform(-1, 1, (1, 2, 2, 2)).astype(np.float32))
    return g.node("GridSample", g.y, grid)


@operator
def columns(g):
    g.need(g.rank == 3 and g.shape[1] % 2 == 0)
    image, block = g.ints(1, g.shape[2] + 1), g.ints(1, 2)
    return g.node("Col2Im", g.y, image, block)
