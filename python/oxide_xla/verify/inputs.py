"""Inputs for a model that are random and yet mean something: token ids stay below the
vocabulary, masks are 0 and 1, positions lie in their table. What an input means is read
from the graph: which operators it reaches, through others that only move or cast it."""

from __future__ import annotations

import ast
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

from oxide_xla.verify.network import Network, VerifyError, is_float, is_integer

#: {value: [(node, position)]}: who reads it.
Users: TypeAlias = dict[str, list[tuple[onnx.NodeProto, int]]]

# Operators whose output holds the elements of their first input.
MOVES = set(
    "Cast Identity Reshape Unsqueeze Squeeze Flatten Transpose Expand Slice Tile "
    "Concat Split Gather".split()
)
COMPARES = set("Equal Greater GreaterOrEqual Less LessOrEqual Not And Or Xor".split())
INDEXES = {"Gather": 1, "GatherElements": 1, "GatherND": 1, "OneHot": 0}
# Where an input has to be all of the other's length.
SIZES = {"batch": 2, "batch_size": 2, "n": 2, "b": 2}
IMAGE_SIZE = 64  # of an open height or width
PLAIN_INTEGERS = 10  # an integer input of no known meaning lies below
FIRST_SIZE = 5  # of the other named dimensions: 5, 6, 7, so that a mix-up is seen


def random_inputs(
    network: Network, shapes: Sequence[str] = (), seed: int = 0
) -> dict[str, np.ndarray]:
    """One array for each input, of its dtype and rank, the same for the same `seed`.

    `shapes` are "x=2,3,h,w" as for `compile`; open dimensions that they leave out get
    small sizes. VerifyError for an input that is no tensor or has no known rank.
    """
    rng = np.random.default_rng(seed)
    dims = Dimensions(parse_shapes(network, shapes))
    users = index_users(network.graph)
    made = {}
    for value in network.inputs:
        kind = value.type.tensor_type
        if value.type.WhichOneof("value") != "tensor_type":
            raise VerifyError(f"input {value.name} is no tensor: give --inputs")
        dtype = dtype_of(value.name, kind.elem_type)
        shape = dims.shape_of(value)
        meaning = Meaning(network, users, value.name)
        made[value.name] = meaning.sample(rng, dtype, shape)
    return made


def load_inputs(network: Network, path: str) -> dict[str, np.ndarray]:
    """The arrays of an npz file, which must name every input, else VerifyError."""
    try:
        with np.load(path) as file:
            given = dict(file)
    except ValueError as error:
        raise VerifyError(f"{path} is no npz file: {error}") from error
    wanted = [value.name for value in network.inputs]
    if missing := [name for name in wanted if name not in given]:
        raise VerifyError(f"{path} has no {', '.join(missing)}; it has {list(given)}")
    return {name: given[name] for name in wanted}


# ---- shapes --------------------------------------------------------------------------


class Dimensions:
    """Sizes of symbolic dimensions, the same wherever a name appears."""

    def __init__(self, given: Mapping[str, list[str]]):
        self.given = given
        self.sizes: dict[str, int] = {}

    def shape_of(self, value: onnx.ValueInfoProto) -> tuple[int, ...]:
        """The shape of an input; what is not known has a small size."""
        kind = value.type.tensor_type
        if not kind.HasField("shape"):
            if value.name in self.given:
                return tuple(int(d) for d in self.given[value.name])
            raise VerifyError(f"input {value.name} has no shape: give --shape")
        dims = kind.shape.dim
        given = self.given.get(value.name, [""] * len(dims))
        if len(given) != len(dims):
            raise VerifyError(f"--shape {value.name}: the model has {len(dims)} axes")
        image = len(dims) == 4
        return tuple(
            self.size(dim, text, axis, image)
            for axis, (dim, text) in enumerate(zip(dims, given, strict=True))
        )

    def size(
        self, dim: onnx.TensorShapeProto.Dimension, text: str, axis: int, image: bool
    ) -> int:
        """The size of one axis; `text` is what --shape has for it, "" for nothing."""
        if text.isdigit():
            if dim.dim_param:
                self.sizes[dim.dim_param] = int(text)
            return int(text)
        if dim.HasField("dim_value") and not text:
            return dim.dim_value
        name = dim.dim_param or text
        fallback = IMAGE_SIZE if image and axis >= 2 else 2 if axis == 0 else 8
        return self.named(name, fallback, image and axis >= 2) if name else fallback

    def named(self, name: str, fallback: int, image: bool) -> int:
        """The size of a name, or of a sum or product of names such as past + seq."""
        if name not in self.sizes and not name.isidentifier():
            size = self.evaluate(name)
            if size is not None:
                return size
        if name not in self.sizes:
            fresh = FIRST_SIZE + len(self.sizes)
            size = SIZES.get(name.lower(), fallback if image else fresh)
            self.sizes[name] = size
        return self.sizes[name]

    def evaluate(self, text: str) -> int | None:
        """The size that an expression says; None where it is none."""
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError):
            return None
        return self.value_of(tree)

    def value_of(self, tree: ast.expr) -> int | None:
        """The value of sums, differences and products of names and integers."""
        operations: dict[type[ast.operator], Callable[[int, int], int]] = {
            ast.Add: int.__add__,
            ast.Sub: int.__sub__,
            ast.Mult: int.__mul__,
        }
        if isinstance(tree, ast.Name):
            return self.named(tree.id, 2, False)
        if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
            return tree.value
        if isinstance(tree, ast.BinOp) and type(tree.op) in operations:
            left, right = self.value_of(tree.left), self.value_of(tree.right)
            if left is not None and right is not None:
                return operations[type(tree.op)](left, right)
        return None


def parse_shapes(network: Network, shapes: Sequence[str]) -> dict[str, list[str]]:
    """{input: sizes} of "x=2,3,h,w"."""
    names = {value.name for value in network.inputs}
    given = {}
    for text in shapes:
        name, equals, dims = text.partition("=")
        if not equals or name not in names:
            raise VerifyError(f"--shape {text}: the model has no such input")
        given[name] = [d for d in dims.split(",") if d]
    return given


def dtype_of(name: str, kind: int) -> np.dtype:
    """The dtype of an input by ONNX's number; VerifyError for text."""
    if kind == TensorProto.STRING:
        raise VerifyError(f"input {name} holds text, which JAX does not have")
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind))


# ---- meaning -------------------------------------------------------------------------


def index_users(graph: onnx.GraphProto) -> Users:
    """The readers of every value, subgraphs included."""
    users: Users = defaultdict(list)
    for node in every_node(graph):
        for position, name in enumerate(node.input):
            users[name].append((node, position))
    return users


def every_node(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of those inside them, in order."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from every_node(inner)


class Meaning:
    """What an input is for: an index into a table, a mask, or a plain number."""

    def __init__(self, network: Network, users: Users, name: str):
        self.network = network
        self.name = name
        self.bound = math.inf  # indices lie below
        self.is_mask = bool(re.search(r"mask", name, re.IGNORECASE))
        seen, waiting = {name}, [name]
        while waiting:
            for node, position in users[waiting.pop()]:
                self.learn(node, position)
                if node.op_type in MOVES and self.passes(node, position):
                    waiting += [out for out in node.output if out not in seen]
                    seen.update(node.output)

    def passes(self, node: onnx.NodeProto, position: int) -> bool:
        """Whether the node's output holds the elements of this input."""
        return position == 0 or node.op_type == "Concat"

    def learn(self, node: onnx.NodeProto, position: int) -> None:
        """What this use says."""
        if INDEXES.get(node.op_type) == position:
            self.bound = min(self.bound, self.table_size(node))
        if node.op_type == "Where" and position == 0:
            self.is_mask = True
        if node.op_type in COMPARES or node.op_type == "Cast":
            kind = self.network.types.get(node.output[0])
            compared = kind and kind.tensor_type.elem_type == TensorProto.BOOL
            floating = kind and kind.tensor_type.elem_type in (
                TensorProto.FLOAT,
                TensorProto.FLOAT16,
            )
            self.is_mask |= bool(
                node.op_type == "Cast" and (compared or floating) and self.is_integer()
            )

    def is_integer(self) -> bool:
        """Whether the input is of a type that indices have."""
        kind = self.network.types[self.name].tensor_type.elem_type
        return kind in (TensorProto.INT32, TensorProto.INT64)

    def table_size(self, node: onnx.NodeProto) -> float:
        """How many entries the indices of this node choose from."""
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if node.op_type == "OneHot":
            depth = self.network.weights.get(node.input[1])
            return math.inf if depth is None else int(depth.ravel()[0])
        table = self.network.types.get(node.input[0])
        weights = self.network.weights.get(node.input[0])
        if weights is not None:
            shape = list(weights.shape)
        elif table is not None:
            shape = [d.dim_value for d in table.tensor_type.shape.dim]
        else:
            return math.inf
        size = min(shape) if node.op_type == "GatherND" else shape[axis]
        return size or math.inf

    def sample(
        self, rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]
    ) -> np.ndarray:
        """Random elements of this meaning."""
        if dtype.kind == "b" or (self.is_mask and self.bound == math.inf):
            return mask(rng, shape).astype(dtype)
        if is_float(dtype):
            return np.asarray(rng.standard_normal(shape)).astype(dtype)
        if dtype.kind == "c":
            parts = rng.standard_normal((2, *shape))
            return np.asarray(parts[0] + 1j * parts[1]).astype(dtype)
        if self.bound < math.inf:
            return rng.integers(0, int(self.bound), shape).astype(dtype)
        if is_integer(dtype) and dtype.itemsize > 2:
            return rng.integers(0, PLAIN_INTEGERS, shape).astype(dtype)
        info = ml_dtypes.iinfo(dtype)  # quantized: the whole range
        return rng.integers(int(info.min), int(info.max) + 1, shape).astype(dtype)


def mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Rows of ones and then zeros, as padding leaves them; the first is always one."""
    if not shape:
        return np.ones(shape, bool)
    lengths = rng.integers(1, shape[-1] + 1, (*shape[:-1], 1)) if shape[-1] else 0
    return np.arange(shape[-1]) < np.broadcast_to(lengths, (*shape[:-1], 1))
