"""Models that the caller reads: how little of a BERT of 440 MB is read to compile it,
and that the module and its weights are those of the mapped file.

The weights lie in files with holes, which take no room, but for their first bytes:
those tell them apart."""

import ctypes
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from oxide_xla import _library as c

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.onnx"))
MB = 1e6
LAYERS, WIDTH, INNER, HEADS, WORDS, PLACES = 12, 768, 3072, 12, 30522, 512
TOLD_APART = 64  # bytes of each weight that are not zero

# ---- the model -----------------------------------------------------------------------


def weights():
    """Names and shapes as in Hugging Face's BertModel."""
    yield "embeddings.word_embeddings.weight", (WORDS, WIDTH)
    yield "embeddings.position_embeddings.weight", (PLACES, WIDTH)
    yield "embeddings.token_type_embeddings.weight", (2, WIDTH)
    yield from norm("embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            yield from linear(f"{layer}.attention.self.{name}", WIDTH, WIDTH)
        yield from linear(f"{layer}.attention.output.dense", WIDTH, WIDTH)
        yield from norm(f"{layer}.attention.output.LayerNorm")
        yield from linear(f"{layer}.intermediate.dense", WIDTH, INNER)
        yield from linear(f"{layer}.output.dense", INNER, WIDTH)
        yield from norm(f"{layer}.output.LayerNorm")
    yield from linear("pooler.dense", WIDTH, WIDTH)


def linear(name, inputs, outputs):
    yield f"{name}.weight", (inputs, outputs)
    yield f"{name}.bias", (outputs,)


def norm(name):
    yield f"{name}.weight", (WIDTH,)
    yield f"{name}.bias", (WIDTH,)


class Builder:
    """Nodes under the names that the tracing exporter gives them."""

    def __init__(self):
        self.nodes = []

    def add(self, op, inputs, scope, **attributes):
        name = f"/{scope.replace('.', '/')}/{op}_{len(self.nodes)}"
        output = f"{name}_output_0"
        node = helper.make_node(op, inputs, [output], name, **attributes)
        self.nodes.append(node)
        return output

    def linear(self, x, scope):
        y = self.add("MatMul", [x, f"{scope}.weight"], scope)
        return self.add("Add", [f"{scope}.bias", y], scope)

    def norm(self, x, scope):
        inputs = [x, f"{scope}.weight", f"{scope}.bias"]
        return self.add("LayerNormalization", inputs, scope, axis=-1, epsilon=1e-12)

    def heads(self, x, scope, perm):
        y = self.add("Reshape", [x, "split"], scope)
        return self.add("Transpose", [y], scope, perm=perm)

    def layer(self, x, scope):
        own = f"{scope}.attention.self"
        q, k, v = (
            self.heads(self.linear(x, f"{own}.{name}"), own, perm)
            for name, perm in [
                ("query", [0, 2, 1, 3]),
                ("key", [0, 2, 3, 1]),
                ("value", [0, 2, 1, 3]),
            ]
        )
        scores = self.add("Div", [self.add("MatMul", [q, k], own), "scale"], own)
        mixed = self.add(
            "MatMul", [self.add("Softmax", [scores], own, axis=-1), v], own
        )
        mixed = self.add("Transpose", [mixed], own, perm=[0, 2, 1, 3])
        mixed = self.add("Reshape", [mixed, "join"], own)
        output = f"{scope}.attention.output"
        x = self.add("Add", [self.linear(mixed, f"{output}.dense"), x], output)
        x = self.norm(x, f"{output}.LayerNorm")
        inner = self.linear(x, f"{scope}.intermediate.dense")
        inner = self.add("Gelu", [inner], f"{scope}.intermediate")
        y = self.linear(inner, f"{scope}.output.dense")
        y = self.add("Add", [y, x], f"{scope}.output")
        return self.norm(y, f"{scope}.output.LayerNorm")


def graph_of_bert():
    b = Builder()
    word, place, kind = (
        f"embeddings.{n}_embeddings" for n in ("word", "position", "token_type")
    )
    x = b.add("Gather", [f"{word}.weight", "input_ids"], word)
    y = b.add("Gather", [f"{kind}.weight", "token_type_ids"], kind)
    x = b.add("Add", [x, y], "embeddings")
    z = b.add("Gather", [f"{place}.weight", "position_ids"], place)
    x = b.norm(b.add("Add", [x, z], "embeddings"), "embeddings.LayerNorm")
    for i in range(LAYERS):
        x = b.layer(x, f"encoder.layer.{i}")
    first = b.add("Gather", [x, "zero"], "pooler", axis=1)
    y = b.add("Tanh", [b.linear(first, "pooler.dense")], "pooler")
    shape = ["batch", 128]
    return helper.make_graph(
        b.nodes,
        "bert",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape)
            for name in ("input_ids", "token_type_ids")
        ],
        [
            helper.make_tensor_value_info(x, TensorProto.FLOAT, [*shape, WIDTH]),
            helper.make_tensor_value_info(y, TensorProto.FLOAT, ["batch", WIDTH]),
        ],
        [
            constant("split", np.array([0, 0, HEADS, WIDTH // HEADS])),
            constant("join", np.array([0, 0, WIDTH])),
            constant("scale", np.float32(8)),
            constant("zero", np.int64(0)),
            constant("position_ids", np.arange(128)[None]),
        ],
    )


def constant(name, value):
    return onnx.numpy_helper.from_array(np.asarray(value), name)


# ---- files with holes ----------------------------------------------------------------


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tagged(number, size):
    """What comes before a field of so many bytes."""
    return varint(number << 3 | 2) + varint(size)


def put_weight(file, rng, size):
    """So many bytes of a weight, most of them a hole."""
    end = file.tell() + size
    file.write(rng.bytes(TOLD_APART))
    file.seek(end)


def write_inside(path):
    """The model with its weights in raw_data."""
    rng = np.random.default_rng(0)
    graph = graph_of_bert().SerializeToString()
    heads = []
    for name, shape in weights():
        size = int(np.prod(shape)) * 4
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT)
        head = tensor.SerializeToString() + tagged(9, size)
        heads.append((tagged(5, len(head) + size) + head, size))
    total = len(graph) + sum(len(head) + size for head, size in heads)
    rest = helper.make_model(
        onnx.GraphProto(), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    rest.ClearField("graph")
    with open(path, "wb") as file:
        file.write(rest.SerializeToString() + tagged(7, total) + graph)
        for head, size in heads:
            file.write(head)
            put_weight(file, rng, size)
        file.truncate()


def write_beside(path, start):
    """The model with its weights in another file, from `start` on."""
    rng = np.random.default_rng(0)
    graph = graph_of_bert()
    with open(path.with_name("weights.bin"), "wb") as file:
        file.seek(start)
        for name, shape in weights():
            size = int(np.prod(shape)) * 4
            tensor = graph.initializer.add(
                name=name,
                dims=shape,
                data_type=TensorProto.FLOAT,
                data_location=TensorProto.EXTERNAL,
            )
            place = {"location": "weights.bin", "offset": file.tell(), "length": size}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            put_weight(file, rng, size)
        file.truncate()
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)


@pytest.fixture(scope="module", params=["inside", "beside"])
def bert(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("bert") / "bert.onnx"
    if request.param == "inside":
        write_inside(path)
    else:
        write_beside(path, start=5 << 30)
    return path


# ---- readers -------------------------------------------------------------------------


@dataclass
class Feed:
    """Reads files for a compiler and counts the bytes."""

    read: int = 0
    calls: int = 0
    largest: int = 0  # read at once
    open: int = 0
    kept: list = field(default_factory=list)  # what the compiler points to

    def reader(self, path):
        file = os.open(path, os.O_RDONLY)

        def read(_, offset, to, size):
            data = os.pread(file, size, offset)
            ctypes.memmove(to, data, len(data))
            self.read += len(data)
            self.calls += 1
            self.largest = max(self.largest, len(data))
            return len(data)

        def close(_):
            os.close(file)
            self.open -= 1

        self.open += 1
        size = os.path.getsize(path)
        reader = c.Reader(size, c.Reader.READ(read), None, c.Reader.CLOSE(close))
        self.kept.append(reader)
        return reader

    def folder(self, path):
        def find(_, location, reader):
            reader[0] = self.reader(path / location.decode())
            return True

        self.kept.append(c.Folder(c.Folder.OPEN(find), None))
        return self.kept[-1]


class Compiled:
    """A compiler that has loaded a model, through a feed or from its file."""

    def __init__(self, path, feed=None):
        self.lib = c.library()
        self.compiler = self.lib.ox_new(None)
        if feed:
            model, folder = feed.reader(path), feed.folder(path.parent)
            self.check(
                self.lib.ox_load_reader(
                    self.compiler,
                    ctypes.byref(model),
                    ctypes.byref(folder),
                    b"bert.onnx",
                )
            )
        else:
            self.check(self.lib.ox_load_file(self.compiler, os.fsencode(path)))
        self.check(self.lib.ox_compile(self.compiler, None))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.ox_free(self.compiler)

    def check(self, status):
        assert status == c.OK, str(self.lib.ox_messages(self.compiler, False))

    def source(self):
        return str(self.lib.ox_source(self.compiler))

    def write(self, folder, kind):
        module, weights = folder / "m.py", folder / f"m.{kind}"
        self.check(
            self.lib.ox_write_module(
                self.compiler,
                os.fsencode(module),
                os.fsencode(weights),
                c.WEIGHTS[kind],
                False,
            )
        )
        return weights


# ---- tests ---------------------------------------------------------------------------


def test_compiling_reads_three_megabytes_of_440(bert):
    feed = Feed()
    with Compiled(bert, feed) as by_reader, Compiled(bert) as by_file:
        assert by_reader.source() == by_file.source()
        assert f"for i in range({LAYERS})" in by_reader.source()
    weights = bert.with_name("weights.bin")
    assert os.path.getsize(weights if weights.exists() else bert) > 430 * MB
    assert feed.read < 3 * MB, f"{feed.read / MB:.2f} MB in {feed.calls} reads"
    assert feed.open == 0


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_weights_are_written_as_from_a_file(kind, tmp_path):
    for fixture in FIXTURES:
        feed, written = Feed(), []
        for name, how in [("reader", feed), ("file", None)]:
            folder = tmp_path / fixture.stem / name
            folder.mkdir(parents=True)
            with Compiled(fixture, how) as compiled:
                written.append(compiled.write(folder, kind).read_bytes())
        assert written[0] == written[1], fixture.name
    assert len(FIXTURES) > 10


def test_large_weights_are_written_in_steps(tmp_path):
    path = tmp_path / "large.onnx"
    write_one_weight(path, rows=5000)
    feed = Feed()
    with Compiled(path, feed) as by_reader, Compiled(path) as by_file:
        (tmp_path / "file").mkdir()
        one = by_reader.write(tmp_path, "safetensors")
        other = by_file.write(tmp_path / "file", "safetensors")
        assert one.read_bytes() == other.read_bytes()
    assert feed.largest < 0.1 * MB
    assert feed.read < path.stat().st_size + 0.1 * MB


def write_one_weight(path, rows):
    """y = x @ w, 3 MB of numbers that are all different."""
    w = np.arange(rows * 150, dtype=np.float32).reshape(rows, 150)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 150])],
        [constant("w", w)],
    )
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
