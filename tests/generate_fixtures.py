"""Write the small ONNX models that the tests read: `generate_fixtures.py [FOLDER]`.

Each is made by hand with onnx.helper, so that what it holds is in plain sight, and is
the same to the byte at every run. Together they cover the shapes that generated code
can take; `hostile_names` holds every kind of name that must not become code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
IR_VERSION = 10
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

FIXTURES: dict[str, Callable[[], onnx.ModelProto]] = {}


def fixture(build: Callable[[], onnx.ModelProto]) -> Callable[[], onnx.ModelProto]:
    """Register a function whose name is that of its file, without the ending."""
    FIXTURES[build.__name__] = build
    return build


def model(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, tuple],
    outputs: dict[str, tuple],
    params: dict[str, np.ndarray] | None = None,
    doc_string: str = "",
) -> onnx.ModelProto:
    """A checked model; `inputs` and `outputs` map names to (type, shape)."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(k, *v) for k, v in inputs.items()],
        [helper.make_tensor_value_info(k, *v) for k, v in outputs.items()],
        [numpy_helper.from_array(v, k) for k, v in (params or {}).items()],
        doc_string=doc_string,
    )
    result = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="generate_fixtures",
        doc_string=doc_string,
    )
    onnx.checker.check_model(result, full_check=True)
    return result


def op(kind: str, inputs: str | Sequence[str], outputs: str | Sequence[str], **attrs):
    """A node; names that hold spaces must be given as a list."""
    inputs = inputs.split() if isinstance(inputs, str) else inputs
    outputs = outputs.split() if isinstance(outputs, str) else outputs
    return helper.make_node(kind, inputs, outputs, **attrs)


def normal(seed: int, *shape: int) -> np.ndarray:
    """Seeded float32 noise with a spread that keeps activations near 1."""
    scale = 1 / np.sqrt(max(1, int(np.prod(shape[:-1]))))
    noise = np.random.RandomState(seed).standard_normal(shape)  # stable over versions
    return (noise * scale).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    """An int64 vector, as shapes and axes are given."""
    return np.array(values, np.int64)


# Linear layers ---------------------------------------------------------------------


@fixture
def linear() -> onnx.ModelProto:
    """x @ w + b, with a fixed shape."""
    return model(
        "linear",
        [
            op("MatMul", "input layer0.weight", "hidden", name="/layer0/MatMul"),
            op("Add", "hidden layer0.bias", "output", name="/layer0/Add"),
        ],
        {"input": (FLOAT, [1, 4])},
        {"output": (FLOAT, [1, 8])},
        {"layer0.weight": normal(0, 4, 8), "layer0.bias": normal(1, 8)},
    )


@fixture
def linear_relu() -> onnx.ModelProto:
    """The same layer before an activation."""
    return model(
        "linear_relu",
        [
            op("MatMul", "input layer0.weight", "hidden", name="/layer0/MatMul"),
            op("Add", "hidden layer0.bias", "biased", name="/layer0/Add"),
            op("Relu", "biased", "output", name="/Relu"),
        ],
        {"input": (FLOAT, [1, 4])},
        {"output": (FLOAT, [1, 8])},
        {"layer0.weight": normal(0, 4, 8), "layer0.bias": normal(1, 8)},
    )


@fixture
def two_layer_mlp() -> onnx.ModelProto:
    """Two layers and a softmax, for any batch."""
    return model(
        "two_layer_mlp",
        [
            op("MatMul", "input layer0.weight", "matmul0", name="/layer0/MatMul"),
            op("Add", "matmul0 layer0.bias", "add0", name="/layer0/Add"),
            op("Relu", "add0", "relu0", name="/Relu"),
            op("MatMul", "relu0 layer1.weight", "matmul1", name="/layer1/MatMul"),
            op("Add", "matmul1 layer1.bias", "add1", name="/layer1/Add"),
            op("Softmax", "add1", "output", name="/Softmax", axis=-1),
        ],
        {"input": (FLOAT, ["batch", 4])},
        {"output": (FLOAT, ["batch", 3])},
        {
            "layer0.weight": normal(0, 4, 8),
            "layer0.bias": normal(1, 8),
            "layer1.weight": normal(2, 8, 3),
            "layer1.bias": normal(3, 3),
        },
    )


@fixture
def gelu_mlp() -> onnx.ModelProto:
    """GELU as five nodes around Erf, and a Gemm with a transposed weight."""
    return model(
        "gelu_mlp",
        [
            op("Gemm", "x up.weight up.bias", "up", transB=1),
            op("Div", "up sqrt2", "scaled"),
            op("Erf", "scaled", "erf"),
            op("Add", "erf one", "shifted"),
            op("Mul", "up shifted", "gated"),
            op("Mul", "gated half", "gelu"),
            op("Gemm", "gelu down.weight down.bias", "y", transB=1, alpha=0.5),
        ],
        {"x": (FLOAT, ["batch", 4])},
        {"y": (FLOAT, ["batch", 4])},
        {
            "up.weight": normal(0, 8, 4),
            "up.bias": normal(1, 8),
            "down.weight": normal(2, 4, 8),
            "down.bias": normal(3, 4),
            "sqrt2": np.array(np.sqrt(2), np.float32),
            "one": np.array(1, np.float32),
            "half": np.array(0.5, np.float32),
        },
    )


# Images ----------------------------------------------------------------------------


@fixture
def conv_bn_relu() -> onnx.ModelProto:
    """A convolution with BatchNorm, pooled to a vector."""
    spread = np.random.RandomState(9).uniform(0.5, 2, 4).astype(np.float32)
    return model(
        "conv_bn_relu",
        [
            op("Conv", "x conv.weight", "conv", pads=[1, 1, 1, 1], strides=[2, 2]),
            op(
                "BatchNormalization",
                "conv bn.weight bn.bias bn.running_mean bn.running_var",
                "bn",
                epsilon=1e-5,
            ),
            op("Relu", "bn", "relu"),
            op("GlobalAveragePool", "relu", "pooled"),
            op("Flatten", "pooled", "y"),
        ],
        {"x": (FLOAT, ["batch", 3, 8, 8])},
        {"y": (FLOAT, ["batch", 4])},
        {
            "conv.weight": normal(0, 4, 3, 3, 3),
            "bn.weight": normal(1, 4) + np.float32(1),
            "bn.bias": normal(2, 4),
            "bn.running_mean": normal(3, 4),
            "bn.running_var": spread,
        },
    )


@fixture
def conv_transpose() -> onnx.ModelProto:
    """Down by two kinds of pooling, up by a transposed convolution."""
    return model(
        "conv_transpose",
        [
            op(
                "MaxPool",
                "x",
                "peak",
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
            ),
            op(
                "AveragePool",
                "x",
                "mean",
                kernel_shape=[2, 3],
                strides=[2, 2],
                pads=[0, 1, 0, 1],
                count_include_pad=0,
            ),
            op("Add", "peak mean", "pooled"),
            op(
                "ConvTranspose",
                "pooled up.weight up.bias",
                "y",
                strides=[2, 2],
                pads=[1, 0, 1, 1],
                output_padding=[1, 0],
            ),
        ],
        {"x": (FLOAT, [2, 4, 8, 8])},
        {"y": (FLOAT, [2, 6, 8, 8])},
        {"up.weight": normal(0, 4, 6, 3, 3), "up.bias": normal(1, 6)},
    )


# Sequences -------------------------------------------------------------------------


@fixture
def attention() -> onnx.ModelProto:
    """Scaled dot-product attention of one head, for any batch and sequence.

    The sizes go Shape -> Gather -> Unsqueeze -> Concat -> Reshape, as exporters write.
    """
    projections = [
        node
        for p in ("q", "k", "v")
        for node in (
            op("MatMul", f"flat {p}.weight", f"{p}_flat"),
            op("Reshape", f"{p}_flat shape", p),
        )
    ]
    return model(
        "attention",
        [
            op("Shape", "x", "x_shape"),
            op("Gather", "x_shape index0", "batch"),
            op("Gather", "x_shape index1", "seq"),
            op("Unsqueeze", "batch axis0", "batch_1d"),
            op("Unsqueeze", "seq axis0", "seq_1d"),
            op("Concat", "batch_1d seq_1d width", "shape", axis=0),
            op("Reshape", "x flat_shape", "flat"),
            *projections,
            op("Transpose", "k", "k_t", perm=[0, 2, 1]),
            op("MatMul", "q k_t", "scores"),
            op("Div", "scores scale", "scaled"),
            op("Softmax", "scaled", "weights", axis=-1),
            op("MatMul", "weights v", "context"),
            op("Add", "context x", "y"),
        ],
        {"x": (FLOAT, ["batch", "seq", 8])},
        {"y": (FLOAT, ["batch", "seq", 8])},
        {
            **{f"{p}.weight": normal(i, 8, 8) for i, p in enumerate("qkv")},
            "index0": np.array(0, np.int64),
            "index1": np.array(1, np.int64),
            "axis0": ints(0),
            "width": ints(8),
            "flat_shape": ints(-1, 8),
            "scale": np.array(np.sqrt(8), np.float32),
        },
    )


@fixture
def embedding() -> onnx.ModelProto:
    """Token and position tables, averaged over the sequence."""
    return model(
        "embedding",
        [
            op("Gather", "word.weight tokens", "words", axis=0),
            op("Shape", "tokens", "seq", start=1, end=2),
            op("Slice", "position.weight start seq", "positions"),
            op("Add", "words positions", "summed"),
            op("ReduceMean", "summed axis", "y", keepdims=0),
        ],
        {"tokens": (INT64, ["batch", "seq"])},
        {"y": (FLOAT, ["batch", 4])},
        {
            "word.weight": normal(0, 10, 4),
            "position.weight": normal(1, 16, 4),
            "start": ints(0),
            "axis": ints(1),
        },
    )


@fixture
def layer_norm() -> onnx.ModelProto:
    """LayerNormalization twice: as one operator, and as the nodes it stands for."""
    return model(
        "layer_norm",
        [
            op("LayerNormalization", "x ln.weight ln.bias", "normed", axis=-1),
            op("ReduceMean", "normed last", "mean", keepdims=1),
            op("Sub", "normed mean", "centred"),
            op("Pow", "centred two", "squared"),
            op("ReduceMean", "squared last", "variance", keepdims=1),
            op("Add", "variance eps", "safe"),
            op("Sqrt", "safe", "std"),
            op("Div", "centred std", "scaled"),
            op("Mul", "scaled ln2.weight", "weighted"),
            op("Add", "weighted ln2.bias", "y"),
        ],
        {"x": (FLOAT, ["batch", 5, 8])},
        {"y": (FLOAT, ["batch", 5, 8])},
        {
            "ln.weight": normal(0, 8) + np.float32(1),
            "ln.bias": normal(1, 8),
            "ln2.weight": normal(2, 8) + np.float32(1),
            "ln2.bias": normal(3, 8),
            "last": ints(-1),
            "two": np.array(2, np.float32),
            "eps": np.array(1e-5, np.float32),
        },
    )


# Shapes, types and outputs ---------------------------------------------------------


@fixture
def multi_output() -> onnx.ModelProto:
    """Two outputs of one operator, one more of another, and an optional left out."""
    return model(
        "multi_output",
        [
            op("Clip", ["x", "", "ceiling"], "clipped"),
            op("TopK", "clipped k", "values indices", axis=-1),
            op("Split", "clipped sizes", ["head", "tail"], axis=1),
        ],
        {"x": (FLOAT, ["batch", 6])},
        {
            "values": (FLOAT, ["batch", 2]),
            "indices": (INT64, ["batch", 2]),
            "tail": (FLOAT, ["batch", 4]),
        },
        {
            "ceiling": np.array(1.5, np.float32),
            "k": ints(2),
            "sizes": ints(2, 4),
        },
    )


@fixture
def dynamic_shapes() -> onnx.ModelProto:
    """Arithmetic on symbolic sizes: halves, products, a mask as long as the input."""
    return model(
        "dynamic_shapes",
        [
            op("Shape", "x", "shape"),
            op("Split", "shape", "batch seq width", axis=0, num_outputs=3),
            op("Div", "seq two", "half"),
            op("Concat", "batch half pair minus_one", "halves_shape", axis=0),
            op("Reshape", "x halves_shape", "halves"),
            op("Transpose", "halves", "swapped", perm=[0, 2, 1, 3]),
            op("Mul", "half two", "even"),
            op("Concat", "batch even width", "back_shape", axis=0),
            op("Reshape", "swapped back_shape", "back"),
            op("Squeeze", "seq", "length"),
            op("Range", "zero length one", "positions"),
            op("Unsqueeze", "positions last", "column"),
            op("Less", "column half", "first_half"),
            op("ConstantOfShape", "back_shape", "zeros"),
            op("Where", "first_half back zeros", "masked"),
            op("Expand", "bias back_shape", "biases"),
            op("Add", "masked biases", "y"),
        ],
        {"x": (FLOAT, ["batch", "seq", 4])},
        {"y": (FLOAT, ["batch", "seq", 4])},
        {
            "two": ints(2),
            "pair": ints(2),
            "minus_one": ints(-1),
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
            "last": ints(1),
            "bias": normal(0, 4),
        },
    )


@fixture
def dtype_mix() -> onnx.ModelProto:
    """Integers, booleans and floats: comparisons, casts, and integer division."""
    return model(
        "dtype_mix",
        [
            op("Cast", "x", "whole", to=INT64),
            op("Div", "whole three", "quotient"),
            op("Mod", "whole three", "remainder"),
            op("Equal", "remainder zero", "divisible"),
            op("Greater", "x threshold", "large"),
            op("And", "divisible large", "both"),
            op("Not", "large", "small"),
            op("Or", "both small", "chosen"),
            op("Where", "chosen quotient whole", "picked"),
            op("Cast", "picked", "picked_float", to=FLOAT),
            op("CastLike", "divisible x", "divisible_float"),
            op("Sub", "picked_float divisible_float", "y"),
        ],
        {"x": (FLOAT, [2, 5])},
        {"y": (FLOAT, [2, 5]), "chosen": (BOOL, [2, 5]), "picked": (INT64, [2, 5])},
        {
            "three": np.array(3, np.int64),
            "zero": np.array(0, np.int64),
            "threshold": np.array(0.5, np.float32),
        },
    )


# Names -----------------------------------------------------------------------------

HOSTILE_DOC = (
    'Ends """ early, then \'\'\' too; a backslash \\ and \\" \\N{DASH} \\u00zz\n'
    "{braces} %s $name\r\n\t# comment\n\x0c\u2028os.system('true')\\"
)


@fixture
def hostile_names() -> onnx.ModelProto:
    """Names that are code, keywords, unicode, or alike once they are sanitised."""
    chain = [
        "class",  # a keyword
        "jnp",  # a name that generated code needs itself
        "params",
        "'''",
        '"""; import os  #',
        "new\nline\r\tand tab",
        "back\\slash\\",
        "{0} %s $x",
        "größe_β",
        "変数",
        "ﬁ",  # NFKC turns this into the name below
        "fi",
        "1st",
        "_",
        "__import__('os').system('true')",
        "a.b",
        "a_b",
        "a/b",
        "a b",
        "a\u202eb",  # right-to-left override
        "None",
        "x" * 300,
    ]
    params = {
        "w.1": normal(0, 3),
        "w_1": normal(1, 3),
        "w-1": normal(2, 3),
        "lambda": normal(3, 3),
        "p'];import os#": normal(4, 3),
        'q"]\\': normal(5, 3),
        "../../etc/passwd": normal(6, 3),
    }
    shape = ["batch'];#", 3]
    names, weights = ["a'];import os#", *chain], list(params)
    nodes = [
        op("Add", [names[i], weights[i % len(weights)]], [name], name=f'"{name}\n#')
        for i, name in enumerate(chain)
    ]
    nodes += [
        op("Mul", [names[-1], "def"], ["forward"], name="lambda: 0"),
        op("Add", ["forward", names[0]], ["return"], doc_string=HOSTILE_DOC),
    ]
    return model(
        'graph"""\nimport os\n"""',
        nodes,
        {"a'];import os#": (FLOAT, shape), "def": (FLOAT, shape)},
        {"return": (FLOAT, shape), "forward": (FLOAT, shape)},
        params,
        HOSTILE_DOC,
    )


@fixture
def repeated_layers() -> onnx.ModelProto:
    """Three equal layers of an encoder, with the names that PyTorch gives.

    All layers add one bias that is no parameter of theirs; its double is computed in
    the first only.
    """
    nodes, params, x = [], {"shift": normal(50, 4)}, "x"
    for i in range(3):
        name, key = f"/encoder/layer.{i}", f"encoder.layer.{i}"
        params |= {
            f"{key}.up.weight": normal(2 * i, 4, 8),
            f"{key}.up.bias": normal(20 + i, 8),
            f"onnx::MatMul_{i}": normal(2 * i + 1, 8, 4),
            f"{key}.norm.weight": normal(30 + i, 4),
            f"{key}.norm.bias": normal(40 + i, 4),
        }
        steps = [
            ("MatMul", [x, f"{key}.up.weight"], "up/MatMul"),
            ("Add", [f"{name}/up/MatMul", f"{key}.up.bias"], "up/Add"),
            ("Gelu", [f"{name}/up/Add"], "act/Gelu"),
            ("MatMul", [f"{name}/act/Gelu", f"onnx::MatMul_{i}"], "down/MatMul"),
            ("Add", ["shift", "shift"], "Add"),
            ("Add", [f"{name}/down/MatMul", "/encoder/layer.0/Add"], "Add_1"),
            ("Add", [f"{name}/Add_1", x], "Add_2"),
        ]
        if i > 0:
            del steps[4]
        nodes += [
            op(kind, reads, [f"{name}/{last}"], name=f"{name}/{last}")
            for kind, reads, last in steps
        ]
        x = f"{name}/norm/LayerNormalization"
        reads = [f"{name}/Add_2", f"{key}.norm.weight", f"{key}.norm.bias"]
        nodes.append(op("LayerNormalization", reads, [x], name=x))
    nodes.append(op("ReduceMax", [x, "axes"], ["y"], name="/ReduceMax", keepdims=0))
    return model(
        "repeated_layers",
        nodes,
        {"x": (FLOAT, ["batch", 4])},
        {"y": (FLOAT, ["batch"])},
        params | {"axes": np.array([1], np.int64)},
    )


@fixture
def written_out() -> onnx.ModelProto:
    """A recurrence of four steps, as exporters write out a loop, and its last state."""
    nodes, state = [], "start"
    for t in range(4):
        nodes += [
            op("Gather", f"x place{t}", f"x{t}", axis=1),
            op("MatMul", f"x{t} cell.weight_ih", f"given{t}"),
            op("MatMul", f"{state} cell.weight_hh", f"kept{t}"),
            op("Add", f"given{t} kept{t}", f"sum{t}"),
            op("Add", f"sum{t} cell.bias", f"biased{t}"),
            op("Tanh", f"biased{t}", f"state{t}"),
            op("Unsqueeze", f"state{t} axis", f"row{t}"),
        ]
        state = f"state{t}"
    rows = " ".join(f"row{t}" for t in range(4))
    nodes += [
        op("Concat", rows, "y", axis=1),
        op("Identity", "state3", "last"),
    ]
    params = {f"place{t}": np.array(t, np.int64) for t in range(4)}
    params |= {
        "axis": ints(1),
        "cell.weight_ih": normal(60, 3, 5),
        "cell.weight_hh": normal(61, 5, 5),
        "cell.bias": normal(62, 5),
    }
    return model(
        "written_out",
        nodes,
        {"x": (FLOAT, ["batch", 4, 3]), "start": (FLOAT, ["batch", 5])},
        {"y": (FLOAT, ["batch", 4, 5]), "last": (FLOAT, ["batch", 5])},
        params,
    )


@fixture
def optional_parts() -> onnx.ModelProto:
    """Five equal layers, of which some send what they add through a module: `down`."""
    nodes, params, x = [], {}, "x"
    for i in range(5):
        name, key = f"/layers.{i}", f"layers.{i}"
        has_module = i in (1, 3)
        params |= {
            f"{key}.up.weight": normal(60 + i, 4, 4),
            f"{key}.up.bias": normal(70 + i, 4),
            f"{key}.out.weight": normal(80 + i, 4, 4),
            f"{key}.out.bias": normal(90 + i, 4),
        }
        steps = [
            ("MatMul", [x, f"{key}.up.weight"], "up/MatMul"),
            ("Add", [f"{name}/up/MatMul", f"{key}.up.bias"], "up/Add"),
            ("Gelu", [f"{name}/up/Add"], "act/Gelu"),
            ("MatMul", [f"{name}/act/Gelu", f"{key}.out.weight"], "out/MatMul"),
            ("Add", [f"{name}/out/MatMul", f"{key}.out.bias"], "out/Add"),
        ]
        if has_module:
            params[f"{key}.down.weight"] = normal(100 + i, 4, 4)
            steps += [
                ("MatMul", [x, f"{key}.down.weight"], "down/MatMul"),
                ("Sigmoid", [f"{name}/down/MatMul"], "down/Sigmoid"),
            ]
        shortcut = f"{name}/down/Sigmoid" if has_module else x
        steps += [
            ("Add", [f"{name}/out/Add", shortcut], "Add"),
            ("Tanh", [f"{name}/Add"], "Tanh"),
        ]
        nodes += [
            op(kind, reads, [f"{name}/{last}"], name=f"{name}/{last}")
            for kind, reads, last in steps
        ]
        x = f"{name}/Tanh"
    nodes.append(op("ReduceMax", [x, "axes"], ["y"], name="/ReduceMax", keepdims=0))
    return model(
        "optional_parts",
        nodes,
        {"x": (FLOAT, ["batch", 4])},
        {"y": (FLOAT, ["batch"])},
        params | {"axes": np.array([1], np.int64)},
    )


def main(arguments: Sequence[str]) -> int:
    """Write every fixture to the folder given, tests/fixtures by default."""
    if len(arguments) > 1 or arguments[:1] == ["--help"]:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 0 if arguments == ["--help"] else 2
    default = Path(__file__).resolve().parent / "fixtures"
    folder = Path(arguments[0]) if arguments else default
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in FIXTURES.items():
        data = build().SerializeToString(deterministic=True)
        (folder / f"{name}.onnx").write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
