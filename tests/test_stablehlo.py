"""`to_stablehlo` and `lower`: what a module takes and returns, and its text."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
from jaxlib.mlir.dialects import stablehlo
from onnx import TensorProto, helper

import oxide_xla
from hlo import cases, consumers

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
RNG = np.random.default_rng(0)

# What a fixture needs said about its open sizes, where JAX cannot know it.
CONSTRAINTS = {
    "dynamic_shapes": ["mod(seq, 2) == 0"],
    "embedding": ["seq <= 16"],
}


def examples(model, size=4):
    """Inputs for a compiled model, its open dimensions of this size."""
    return [example(t, size) for t in model.input_types]


def example(entry, size):
    shape = [d if isinstance(d, int) else size for d in entry["shape"]]
    dtype = np.dtype(entry["dtype"])
    if dtype.kind in "iu":
        return RNG.integers(0, 3, shape).astype(dtype)
    return RNG.standard_normal(shape).astype(dtype)


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def one_node(op, inputs, outputs, opset=20, **attributes):
    """A model of one node; inputs and outputs are value infos."""
    names = [v.name for v in inputs], [v.name for v in outputs]
    node = helper.make_node(op, *names, **attributes)
    graph = helper.make_graph([node], "one", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


# ---- results -------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.onnx")), ids=lambda p: p.stem)
def test_fixtures_run_in_jaxlib(path):
    """As the file says, refined from open dimensions where it has some."""
    model = oxide_xla.compile(path)
    constraints = CONSTRAINTS.get(path.stem, [])
    lowered = cases.check(model, examples(model), constraints=constraints)
    assert not lowered.custom_calls
    assert set(lowered.describe()["dialects"]) <= {"func", "stablehlo"}


@pytest.mark.parametrize("size", [2, 7])
def test_one_module_serves_all_sizes(size):
    model = oxide_xla.compile(FIXTURES / "attention.onnx")
    lowered = model.lower()
    assert consumers.is_open(lowered.text)
    inputs = examples(model, size)
    assert cases.run_and_compare(model, lowered, inputs) <= cases.ULPS


@pytest.mark.parametrize("weights", ["safetensors", "none", "inline"])
def test_weights_are_arguments_or_constants(weights):
    model = oxide_xla.compile(FIXTURES / "gelu_mlp.onnx")
    lowered = cases.check(model, examples(model), weights=weights)
    count = 0 if weights == "inline" else len(model.arrays)
    assert len(lowered.signature.of_kind("param")) == count


@pytest.mark.parametrize("layers", ["functions", "scan", "unrolled"])
def test_repeated_layers(layers):
    """A function that is called for each, a loop, or straight code."""
    path = FIXTURES / "repeated_layers.onnx"
    model = oxide_xla.compile(path, layers=layers)
    lowered = cases.check(model, examples(model))
    calls = lowered.text.count("call @layer(")
    assert calls == {"functions": 3, "scan": 1, "unrolled": 0}[layers]
    assert ("stablehlo.while" in lowered.text) == (layers == "scan")
    names = [t.name for t in lowered.signature.of_kind("param")]
    assert ("encoder.layer.*.up.weight" in names) == (layers == "scan")
    assert list(lowered.weights) == names


@pytest.mark.parametrize("layers", ["functions", "scan"])
def test_nested_parameters_have_the_same_names(layers):
    path = FIXTURES / "repeated_layers.onnx"
    nested = oxide_xla.compile(path, params="nested", layers=layers)
    lowered = cases.check(nested, examples(nested))
    flat = oxide_xla.to_stablehlo(path, layers=layers)
    assert lowered.signature == flat.signature


def test_a_compiled_model_or_a_path():
    path = FIXTURES / "linear.onnx"
    assert oxide_xla.to_stablehlo(path).text == oxide_xla.compile(path).lower().text
    with pytest.raises(TypeError, match="compiled already: layers"):
        oxide_xla.to_stablehlo(oxide_xla.compile(path), layers="scan")


def test_options_of_compile():
    """Shapes, fixed inputs and chosen outputs change what main takes and returns."""
    lowered = oxide_xla.to_stablehlo(
        FIXTURES / "multi_output.onnx", shapes={"x": (3, 6)}, outputs=["tail", "values"]
    )
    assert [t.shape for t in lowered.signature.of_kind("input")] == [(3, 6)]
    assert [t.name for t in lowered.signature.results] == ["tail", "values"]
    assert not lowered.signature.dimensions


# ---- the signature -------------------------------------------------------------------


def test_parameters_come_in_the_order_of_first_use_then_inputs():
    model = oxide_xla.compile(FIXTURES / "hostile_names.onnx")
    lowered = model.lower()
    names = [t.name for t in lowered.signature.arguments]
    inputs = [t["name"] for t in model.input_types]
    assert names == [*model.arrays, *inputs] and len(inputs) == 2
    assert [t.name for t in lowered.signature.results] == ["return", "forward"]
    # As attributes, which text, bytecode and artifacts keep.
    found = names_in(lowered.bytecode)
    assert found == (names, ["return", "forward"])
    with consumers.mlir.make_ir_context() as context:
        artifact = lowered.portable()
        module = stablehlo.deserialize_portable_artifact(context, artifact)
        assert names_of(module) == found


def names_in(code):
    with consumers.mlir.make_ir_context():
        return names_of(consumers.ir.Module.parse(code))


def names_of(module):
    """The names of arguments and results of main."""
    ir = consumers.ir
    (main,) = [op for op in module.body.operations if '"main"' in str(op.name)]
    return tuple(
        [
            ir.StringAttr(ir.DictAttr(entry)["oxide_xla.name"]).value
            for entry in ir.ArrayAttr(main.attributes[kind])
        ]
        for kind in ("arg_attrs", "res_attrs")
    )


def test_wide_types_are_narrow_unless_asked_for():
    model = one_node(
        "Add",
        [value("a", [2], TensorProto.INT64), value("b", [2], TensorProto.INT64)],
        [value("c", [2], TensorProto.INT64)],
    )
    narrow = oxide_xla.to_stablehlo(model)
    assert [t.dtype for t in narrow.signature.arguments] == ["int32", "int32"]
    assert narrow.describe()["arguments"][0]["model_dtype"] == "int64"
    assert narrow.describe()["x64"] is False
    wide = oxide_xla.to_stablehlo(model, x64=True)
    assert wide.signature.results[0].dtype == "int64" and "tensor<2xi64>" in wide.text
    assert "model_dtype" not in wide.describe()["arguments"][0]
    inputs = [np.array([2**40, 1]), np.array([1, 2])]
    cases.check(oxide_xla.compile(model), inputs, x64=True)


def test_a_parameter_that_needs_64_bits():
    weight = onnx.numpy_helper.from_array(np.arange(100) * 2**33, "table")
    node = helper.make_node("Gather", ["table", "i"], ["y"])
    ins, outs = [value("i", [2], TensorProto.INT64)], [value("y", [2], 7)]
    model = helper.make_model(helper.make_graph([node], "wide", ins, outs, [weight]))
    with pytest.raises(oxide_xla.OxideError, match="x64=True"):
        oxide_xla.to_stablehlo(model)
    cases.check(oxide_xla.compile(model), [np.array([3, 99])], x64=True)


def test_a_model_that_draws_random_numbers_takes_the_key():
    node = helper.make_node("RandomNormalLike", ["x"], ["y"], dtype=1)
    graph = helper.make_graph([node], "g", [value("x", [3])], [value("y", [3])])
    model = oxide_xla.compile(helper.make_model(graph))
    lowered = cases.check(model, [np.zeros(3, np.float32)])
    last = lowered.signature.arguments[-1]
    assert (last.name, last.kind, last.dtype, last.shape) == (
        "key",
        "key",
        "uint32",
        (2,),
    )


def test_several_platforms_take_the_index_of_one():
    model = oxide_xla.compile(FIXTURES / "conv_bn_relu.onnx")
    lowered = model.lower(platforms=["cpu", "cuda", "tpu"], x64=False)
    first = lowered.signature.arguments[0]
    assert (first.name, first.kind) == ("platform", "platform")
    inputs = examples(model)
    given = [np.int32(0), *lowered.weights.values(), *inputs]
    results = consumers.run_jaxlib(lowered.text, given)
    wanted = cases.expected(model, inputs, x64=False)
    assert cases.compare(results, wanted) <= cases.ULPS


def test_examples_stand_for_types_that_stablehlo_lacks():
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    model = one_node("ConcatFromSequence", [sequence], [value("y", None)], axis=0)
    with pytest.raises(oxide_xla.OxideError, match="examples of all"):
        oxide_xla.to_stablehlo(model)
    inputs = [[np.ones((2, 3), np.float32), np.zeros((1, 3), np.float32)]]
    compiled = oxide_xla.compile(model)
    lowered = compiled.lower(*inputs)
    assert [t.name for t in lowered.signature.arguments] == ["s[0]", "s[1]"]
    assert cases.run_and_compare(compiled, lowered, inputs) == 0


# ---- open dimensions -----------------------------------------------------------------


def test_open_dimensions_have_names():
    lowered = oxide_xla.to_stablehlo(FIXTURES / "attention.onnx")
    assert lowered.signature.dimensions == ("batch", "seq")
    assert lowered.describe()["results"][0]["shape"] == ["batch", "seq", 8]


def test_what_jax_cannot_know_is_an_error_with_a_hint():
    path = FIXTURES / "dynamic_shapes.onnx"
    with pytest.raises(oxide_xla.OxideError, match="mod\\(seq, 2\\) == 0"):
        oxide_xla.to_stablehlo(path)
    lowered = oxide_xla.to_stablehlo(path, constraints=["mod(seq, 2) == 0"])
    assert lowered.describe()["constraints"] == ["mod(seq, 2) == 0"]


def test_names_that_are_no_identifiers_stay_apart():
    ins = [value("a", ["batch size", 2]), value("b", ["batch-size", 2])]
    model = one_node("Concat", ins, [value("y", None)], axis=0)
    lowered = oxide_xla.to_stablehlo(model)
    assert lowered.signature.dimensions == ("d_batch_size", "d_batch_size_2")
    inputs = [np.ones((n, 2), np.float32) for n in (3, 4)]
    assert cases.run_and_compare(oxide_xla.compile(model), lowered, inputs) == 0


def test_sizes_that_follow_from_others():
    ins = [value("a", ["past", 2]), value("b", ["past + 1", 2])]
    model = one_node("Concat", ins, [value("y", None)], axis=0)
    lowered = oxide_xla.to_stablehlo(model)
    assert lowered.signature.dimensions == ("past",)
    (result,) = lowered.signature.results
    assert result.shape == ("2*past + 1", 2)


def test_shapes_that_data_decide():
    model = one_node("NonZero", [value("x", [3])], [value("y", None, 7)])
    with pytest.raises(oxide_xla.OxideError, match="--bound") as error:
        oxide_xla.to_stablehlo(model)
    assert "(NonZero, ai.onnx 20)" in str(error.value)
    bounded = oxide_xla.compile(model, bounds={"y": 3})
    cases.check(bounded, [np.array([0, 1, 2], np.float32)])


# ---- the text ------------------------------------------------------------------------


def test_the_head_says_what_it_is():
    lowered = oxide_xla.to_stablehlo(FIXTURES / "hostile_names.onnx")
    head = lowered.text.partition("module @")[0]
    assert all(line.startswith("//") for line in head.splitlines())
    assert head.startswith("// Generated by OxideXLA ") and jax.__version__ in head
    assert "7 params" in head and '"return": float32[' in head


def test_nothing_of_this_machine_is_in_it():
    lowered = oxide_xla.to_stablehlo(FIXTURES / "repeated_layers.onnx")
    for data in (lowered.text.encode(), lowered.bytecode, lowered.portable()):
        assert not [w for w in (b".py", b"/home", str(ROOT).encode()) if w in data]
    assert "shape_assertion" not in lowered.text
    assert "mhlo." not in lowered.text


def test_names_cannot_leave_the_comment():
    model = one_node("Abs", [value("x\nmodule @evil {}", [1])], [value("y\r", [1])])
    lowered = oxide_xla.to_stablehlo(model)
    head = lowered.text.partition("\nmodule @")[0]
    assert all(line.startswith("//") for line in head.splitlines())
    consumers.parse(lowered.text)


DIGESTS = """
import hashlib, sys
import oxide_xla
for path in sys.argv[1:]:
    lowered = oxide_xla.to_stablehlo(path, platforms=["cpu", "tpu"])
    for data in (lowered.text.encode(), lowered.bytecode, lowered.portable()):
        print(hashlib.sha256(data).hexdigest())
"""


def test_every_run_gives_the_same_bytes(tmp_path):
    """In processes of other hash seeds and folders."""
    paths = [str(FIXTURES / f"{n}.onnx") for n in ("repeated_layers", "conv_bn_relu")]
    printed = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", DIGESTS, *paths],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
            env={
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": str(ROOT / "python"),
                "JAX_PLATFORMS": "cpu",
            },
        )
        printed.add(done.stdout)
    assert len(printed) == 1 and len(printed.pop().split()) == 6


# ---- artifacts -----------------------------------------------------------------------


def test_formats_are_the_same_module():
    model = oxide_xla.compile(FIXTURES / "gelu_mlp.onnx", shapes={"x": (2, 4)})
    lowered = model.lower()
    inputs = examples(model)
    given = cases.arguments(model, lowered, inputs)
    wanted = cases.expected(model, inputs, x64=False)
    for code in (lowered.bytecode, lowered.portable()):
        assert cases.compare(consumers.run_code(code, given), wanted) <= cases.ULPS


def test_artifacts_of_older_versions():
    lowered = oxide_xla.to_stablehlo(FIXTURES / "gelu_mlp.onnx")
    assert b"StableHLO_v" + lowered.portable_version.encode() in lowered.portable()
    assert b"StableHLO_v1.3.0" in lowered.portable("1.3.0")
    with pytest.raises(oxide_xla.OxideError, match=r"StableHLO 0\.9\.0 cannot hold"):
        lowered.portable("0.9.0")  # before composites


def test_custom_calls_that_remain_are_listed():
    inputs = [value("x", [5, 5])]
    lowered = oxide_xla.to_stablehlo(one_node("Det", inputs, [value("y", [])]))
    assert lowered.custom_calls == {"lapack_sgetrf_ffi": 1}
    assert lowered.describe()["custom_calls"] == lowered.custom_calls


@pytest.mark.parametrize(
    ("options", "word"),
    [({"weights": "npz"}, "npz"), ({"platforms": ["abacus"]}, "abacus")],
)
def test_words_that_mean_nothing(options, word):
    with pytest.raises(ValueError, match=word):
        oxide_xla.to_stablehlo(FIXTURES / "linear.onnx", **options)
