"""The ONNX model as the comparison needs it: inputs, weights, values, and copies of it
that return other values."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
import onnx
import onnx.inliner
from onnx import TensorProto, helper, numpy_helper

PROTO_LIMIT = 2**31 - 1  # bytes that one protobuf message can hold
CONTROL = {"If", "Loop", "Scan", "SequenceMap"}

#: What `verify` takes: a path, the bytes of a file, or the message itself.
Model: TypeAlias = str | os.PathLike[str] | bytes | onnx.ModelProto
#: Inputs or weights by name.
Arrays: TypeAlias = Mapping[str, np.ndarray]


class VerifyError(Exception):
    """Something that makes the comparison impossible; not a mismatch.

    `exit_code` is what the command returns: 2 for wrong use, 1 where the model is at
    fault.
    """

    def __init__(self, text: str, exit_code: int = 2):
        super().__init__(text)
        self.exit_code = exit_code


class Network:
    """A model with its local functions inlined, so that every value has one name."""

    def __init__(self, model: Model):
        #: What the compiler is given: the path where there is one.
        self.source = model
        proto = load(model)
        if isinstance(model, (str, os.PathLike)):
            self.name = Path(model).stem
        else:
            self.name = proto.graph.name or "model"
        if proto.functions:
            proto = onnx.inliner.inline_local_functions(proto)
        self.proto = proto
        self.graph = proto.graph

    @functools.cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """Every initializer of the main graph."""
        return {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}

    @functools.cached_property
    def float_weights(self) -> dict[str, np.ndarray]:
        """Those that rounding concerns."""
        return {k: w for k, w in self.weights.items() if is_float(w.dtype)}

    @property
    def inputs(self) -> list[onnx.ValueInfoProto]:
        """What `forward` takes: an input with an initializer is a weight."""
        names = {t.name for t in self.graph.initializer}
        return [value for value in self.graph.input if value.name not in names]

    @property
    def outputs(self) -> list[str]:
        """The names of what `forward` returns, in order."""
        return [value.name for value in self.graph.output]

    @functools.cached_property
    def types(self) -> dict[str, onnx.TypeProto]:
        """What is known of the types of values, from onnx's own inference."""
        try:
            inferred = onnx.shape_inference.infer_shapes(self.proto).graph
        except Exception:  # too large for one message, or a rule that fails
            inferred = self.graph
        values = [*inferred.value_info, *inferred.output, *inferred.input]
        return {value.name: value.type for value in values}

    @property
    def uses_double(self) -> bool:
        """Whether 32-bit JAX could not hold what the model computes."""
        kinds = [t.data_type for t in self.graph.initializer]
        kinds += [t.tensor_type.elem_type for t in self.types.values()]
        return TensorProto.DOUBLE in kinds

    def inner_values(self) -> list[str]:
        """The tensors that nodes make, in order; constants are no computation."""
        return [
            name
            for node in self.graph.node
            if node.op_type != "Constant"
            for name in node.output
            if name and self.is_tensor(name)
        ]

    def is_tensor(self, name: str) -> bool:
        """Whether a value is a tensor, as one of unknown type is taken to be."""
        kind = self.types.get(name)
        return kind is None or kind.WhichOneof("value") in ("tensor_type", None)

    def returning(
        self, names: Iterable[str], *, open_weights: bool = False
    ) -> onnx.ModelProto:
        """A copy whose outputs are these values. With `open_weights` a caller may give
        other weights: ONNX has an initializer as the default of an input of its name.
        """
        copy = onnx.ModelProto()
        copy.CopyFrom(self.proto)
        graph = copy.graph
        known = {value.name: value for value in graph.output}
        del graph.output[:]
        graph.output.extend(known.get(n) or self.describe(n) for n in names)
        if open_weights:
            given = {value.name for value in graph.input}
            graph.input.extend(
                helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
                for t in graph.initializer
                if t.name in self.float_weights and t.name not in given
            )
            copy.ir_version = max(copy.ir_version, 4)
        return copy

    def describe(self, name: str) -> onnx.ValueInfoProto:
        """A value's name with its type, as far as that is known."""
        value = onnx.ValueInfoProto(name=name)
        if name in self.types:
            value.type.CopyFrom(self.types[name])
        return value


def load(model: Model) -> onnx.ModelProto:
    """The message of a path, of bytes, or itself; VerifyError where it is none."""
    try:
        if isinstance(model, (str, os.PathLike)):
            return onnx.load(model)
        if isinstance(model, bytes):
            return onnx.load_from_string(model)
    except OSError:
        raise
    except Exception as error:
        raise VerifyError(f"not an ONNX model: {error}", 1) from error
    return model


def is_float(dtype: Any) -> bool:
    """Floating point, the types of ml_dtypes included."""
    return jnp.issubdtype(dtype, np.floating)


def is_integer(dtype: Any) -> bool:
    """Integers of any size, the types of ml_dtypes included."""
    return jnp.issubdtype(dtype, np.integer)


def serialized(proto: onnx.ModelProto) -> bytes:
    """The bytes of a model; VerifyError where one message cannot hold it."""
    if proto.ByteSize() > PROTO_LIMIT:
        raise VerifyError("models of more than 2 GiB cannot be compared yet")
    data: bytes = proto.SerializeToString()
    return data
