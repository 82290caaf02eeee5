"""The cache of a decoder as the compiler writes it: a small model made by hand, with
the metadata that bridge/fx_cache.py writes.

test_decoding.py has the models of transformers.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from harness import PROGRAM
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import fx_operators
import oxide_xla
import row_coverage

HEADS, WIDTH, TOKENS = 2, 8, 11
LAYERS = ["functions", "scan", "unrolled"]
FIELDS = ("key", "value")


def layer(i, x, parameter):
    """Attention over the cache, and what it adds to x, in the module layers.{i}."""
    lines = []
    for letter, kind in (("q", "query"), ("k", "key"), ("v", "value")):
        weight = parameter(f"layers.{i}.{letter}.weight", WIDTH, WIDTH)
        lines += [
            ("MatMul", [x, weight], f"{kind}_{i}_flat", {}),
            ("Reshape", [f"{kind}_{i}_flat", "heads"], f"{kind}_{i}_split", {}),
            ("Transpose", [f"{kind}_{i}_split"], f"{kind}_{i}", {"perm": [0, 2, 1, 3]}),
        ]
    for kind in FIELDS:
        inputs = [f"{kind}_cache_{i}", f"{kind}_{i}", "position"]
        lines.append(("WriteCache", inputs, f"{kind}_cache_{i}_next", {}))
    weight = parameter(f"layers.{i}.out.weight", WIDTH, WIDTH)
    return lines + [
        ("Transpose", [f"key_cache_{i}_next"], f"turned_{i}", {"perm": [0, 1, 3, 2]}),
        ("MatMul", [f"query_{i}", f"turned_{i}"], f"scores_{i}", {}),
        ("Where", ["seen", f"scores_{i}", "low"], f"masked_{i}", {}),
        ("Softmax", [f"masked_{i}"], f"weights_{i}", {"axis": -1}),
        ("MatMul", [f"weights_{i}", f"value_cache_{i}_next"], f"mixed_{i}", {}),
        ("Transpose", [f"mixed_{i}"], f"back_{i}", {"perm": [0, 2, 1, 3]}),
        ("Reshape", [f"back_{i}", "flat"], f"joined_{i}", {}),
        ("MatMul", [f"joined_{i}", weight], f"added_{i}", {}),
        ("Add", [x, f"added_{i}"], f"x_{i}", {}),
    ]


MASK = [
    ("Shape", ["input_ids"], "count", {"start": 1, "end": 2}),
    ("Squeeze", ["count"], "new", {}),
    ("Range", ["zero", "new", "one"], "steps", {}),
    ("Cast", ["position"], "first", {"to": TensorProto.INT64}),
    ("Add", ["steps", "first"], "rows", {}),
    ("Shape", ["key_cache_0"], "places", {"start": 2, "end": 3}),
    ("Squeeze", ["places"], "length_0", {}),
    ("Range", ["zero", "length_0", "one"], "columns", {}),
    ("Unsqueeze", ["rows", "last"], "rows_column", {}),
    ("LessOrEqual", ["columns", "rows_column"], "causal", {}),
    ("Cast", ["start"], "start_64", {"to": TensorProto.INT64}),
    ("Unsqueeze", ["start_64", "behind"], "start_column", {}),
    ("GreaterOrEqual", ["columns", "start_column"], "filled", {}),
    ("And", ["causal", "filled"], "seen", {}),
]


def make_decoder(count=3):
    """A decoder of `count` layers, its step as an ONNX model."""
    random = np.random.default_rng(0)
    constants = {
        "heads": np.array([0, 0, HEADS, WIDTH // HEADS]),
        "flat": np.array([0, 0, WIDTH]),
        "zero": np.array(0),
        "one": np.array(1),
        "last": np.array([1]),
        "behind": np.array([1, 2, 3]),
        "low": np.array(-1e9, np.float32),
    }

    def parameter(name, *shape):
        constants[name] = random.normal(size=shape).astype(np.float32) / 3
        return name

    lines = [("", line) for line in MASK]
    table = parameter("embed.weight", TOKENS, WIDTH)
    lines.append(("/embed", ("Gather", [table, "input_ids"], "x", {})))
    x = "x"
    for i in range(count):
        lines += [(f"/layers.{i}", line) for line in layer(i, x, parameter)]
        x = f"x_{i}"
    head = parameter("head.weight", WIDTH, TOKENS)
    lines.append(("/head", ("MatMul", [x, head], "logits", {})))
    nodes = [
        helper.make_node(
            op,
            inputs,
            [output],
            name=f"{where}/{op}_{i}",
            domain="oxide_xla" if op == "WriteCache" else "",
            **attributes,
        )
        for i, (where, (op, inputs, output, attributes)) in enumerate(lines)
    ]
    value, ints = helper.make_tensor_value_info, TensorProto.INT32
    names = [f"{kind}_cache_{i}" for kind in FIELDS for i in range(count)]

    def caches(ending):
        shape = ["batch", HEADS, "length", WIDTH // HEADS]
        return [value(name + ending, TensorProto.FLOAT, shape) for name in names]

    graph = helper.make_graph(
        nodes,
        "decoder",
        [
            value("input_ids", ints, ["batch", "tokens"]),
            *caches(""),
            value("position", ints, []),
            value("start", ints, ["batch"]),
        ],
        [
            value("logits", TensorProto.FLOAT, ["batch", "tokens", TOKENS]),
            *caches("_next"),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    fx_operators.add_functions(model)
    described = [f"{name.split('_')[0]}\t{name}\t{name}_next" for name in names]
    text = "\n".join(["length\t32", "optional\tstart", *described])
    model.metadata_props.add(key="oxide_xla.cache", value=text)
    return model


@functools.cache
def compiled(layers):
    return oxide_xla.compile(make_decoder(), layers=layers)


IDS = np.random.default_rng(1).integers(0, TOKENS, (2, 9)).astype(np.int32)


@pytest.fixture(scope="module")
def whole():
    """The logits of all tokens at once, by onnxruntime."""
    model = make_decoder()
    session = onnxruntime.InferenceSession(model.SerializeToString())
    shape = (2, HEADS, 12, WIDTH // HEADS)
    names = [v.name for v in model.graph.input if "cache" in v.name]
    feeds = {name: np.zeros(shape, np.float32) for name in names}
    feeds |= {"position": np.array(0, np.int32), "start": np.zeros(2, np.int32)}
    return session.run(["logits"], {"input_ids": IDS, **feeds})[0]


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("split", [[9], [1] * 9, [4, 1, 3, 1]])
def test_any_split_of_the_tokens_gives_the_same(layers, split, whole):
    model = compiled(layers)
    cache, at = model.init_cache(2, 12), 0
    for count in split:
        new = IDS[:, at : at + count]
        logits, cache = model.forward(model.params, new, cache, at)
        close(logits, whole[:, at : at + count])
        at += count


@pytest.mark.parametrize("layers", LAYERS)
def test_padding_in_front_changes_nothing(layers, whole):
    model = compiled(layers)
    padded = np.concatenate([np.full((2, 2), 7, np.int32), IDS], axis=1)
    start = np.array([2, 2], np.int32)
    cache = model.init_cache(2, 12)
    logits, _ = model.forward(model.params, padded, cache, 0, start)
    close(logits[:, 2:], whole)


def test_cache_is_given_as_lists():
    """One array a layer, which forward writes in place; others are left alone."""
    model = compiled("functions")
    cache = model.init_cache(2, 12)
    _, after = model.forward(model.params, IDS, cache, 0)
    assert jax.tree.structure(after) == jax.tree.structure(cache)
    assert [x.shape for x in after["key"]] == [(2, HEADS, 12, 4)] * 3
    assert not np.any(cache["key"][0])
    assert not np.any(after["value"][2][:, :, 9:]) and np.all(
        after["value"][2][:, :, :9]
    )


def test_scan_stacks_it():
    model = compiled("scan")
    assert model.init_cache(2)["value"].shape == (3, 2, HEADS, 32, 4)
    assert (
        'step, x, (scope(params, "layers.*"), key_cache, value_cache)' in model.source
    )


def test_layers_are_one_function():
    source = compiled("functions").source
    assert "x, key_cache[i], value_cache[i] = layers(" in source
    assert "def layers(params, x, key_cache, value_cache, position, " in source
    assert "key_cache = jax.lax.dynamic_update_slice_in_dim(" in source
    forward = source.split("def forward(")[1].split(") -> Outputs:")[0]
    names = re.findall(r"^    (\w+): ", forward, re.M)
    assert names == ["params", "input_ids", "cache", "position", "start"]
    assert "    start: jax.Array | None = None,\n" in forward


def test_cache_is_donated():
    """A caller's jit writes into the arrays that it was given."""
    model = compiled("functions")
    step = jax.jit(model.forward, donate_argnums=2)
    cache = model.init_cache(2, 12)
    text = step.lower(model.params, IDS[:, :1], cache, 0).as_text()
    assert text.count("tf.aliasing_output") == 6


def test_cache_is_a_carry():
    model = compiled("functions")

    def step(i, cache):
        new = jax.lax.dynamic_slice_in_dim(jnp.asarray(IDS), i, 1, axis=1)
        return model.forward(model.params, new, cache, i)[1]

    looped = jax.lax.fori_loop(0, 9, step, model.init_cache(2, 12))
    _, at_once = model.forward(model.params, IDS, model.init_cache(2, 12), 0)
    for one, other in zip(jax.tree.leaves(looped), jax.tree.leaves(at_once)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_outputs_that_take_it_apart_are_refused():
    with pytest.raises(oxide_xla.OxideError, match="part of the cache"):
        oxide_xla.compile(make_decoder(), outputs=["logits"])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (["batch", HEADS, "length", 4], "name no length"),
        ([2, HEADS, "length", 4], "an open batch and length"),
        (["batch", HEADS, 64, 4], "an open batch and length"),
    ],
)
def test_what_init_cache_could_not_make_is_refused(shape, message):
    """One array that nothing but an Identity reads, and no length."""
    value = helper.make_tensor_value_info("past", TensorProto.FLOAT, shape)
    result = helper.make_tensor_value_info("next", TensorProto.FLOAT, shape)
    node = helper.make_node("Identity", ["past"], ["next"])
    graph = helper.make_graph([node], "kept", [value], [result])
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    model.metadata_props.add(key="oxide_xla.cache", value="key\tpast\tnext")
    with pytest.raises(oxide_xla.OxideError, match=message):
        oxide_xla.compile(model)


def test_what_takes_flat_inputs_refuses_it():
    with pytest.raises(oxide_xla.OxideError, match="is not lowered"):
        compiled("functions").lower()


# ---- the operator ------------------------------------------------------------------


def write_model(update=(2, 3, "new", 4), position=()):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node(
                "WriteCache", ["cache", "update", "at"], ["y"], domain="oxide_xla"
            )
        ],
        "write",
        [
            value("cache", TensorProto.FLOAT, [2, 3, "length", 4]),
            value("update", TensorProto.FLOAT, update),
            value("at", TensorProto.INT32, position),
        ],
        [value("y", TensorProto.FLOAT, [2, 3, "length", 4])],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    fx_operators.add_functions(model)
    return model


@pytest.mark.parametrize("at", [0, 2, 4])
def test_write_cache(at):
    random = np.random.default_rng(0)
    cache = random.normal(size=(2, 3, 6, 4)).astype(np.float32)
    update = random.normal(size=(2, 3, 2, 4)).astype(np.float32)
    wanted = cache.copy()
    wanted[:, :, at : at + 2] = update
    feeds = {"cache": cache, "update": update, "at": np.array(at, np.int32)}
    model = write_model()
    compiled = oxide_xla.compile(model)
    np.testing.assert_array_equal(compiled.forward({}, *feeds.values()), wanted)
    (reference,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_array_equal(reference, wanted)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    np.testing.assert_array_equal(session.run(None, feeds)[0], wanted)
    row_coverage.note(model, PROGRAM)


@pytest.mark.parametrize(
    "shapes", [{"update": (2, 3, 2, 5)}, {"update": (3, 2, 4)}, {"position": (2,)}]
)
def test_writes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(oxide_xla.OxideError, match="OX0401"):
        oxide_xla.compile(write_model(**shapes))


def test_models_are_valid():
    onnx.checker.check_model(make_decoder())
