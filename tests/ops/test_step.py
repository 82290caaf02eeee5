"""--cache on small graphs made by hand: what a step computes from a cache with anything
behind its end is what onnxruntime computes from the past alone, or it is refused.
"""

import subprocess

import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from harness import PROGRAM
from onnx import TensorProto, helper, numpy_helper

import oxide_xla

HEADS, WIDTH, LENGTH = 2, 3, 8
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
CACHE = "past.*=present.*:8"
CONSTANTS = {
    "zero": np.array(0),
    "one": np.array(1),
    "two": np.array(2),
    "first": np.array([0]),
    "unit": np.array([1]),
    "second": np.array([2]),
    "last": np.array([-1]),
    "end": np.array([2**62]),
    "half": np.array(0.5, np.float32),
    "eight": np.array(8, np.float32),
    "low": np.array(-1e9, np.float32),
    "none": np.array(-np.inf, np.float32),
    "zero_float": np.array(0, np.float32),
    "minus": np.array([-(2**62)]),
    "flat": np.array([-1]),
    "scale": np.ones(HEADS, np.float32),
    "middle": np.array([1, 2]),
    "sides": np.array([1, 3]),
    "ends": np.array([2, 3]),
}
PRESENT = [("Concat", ["past.key", "new"], "present.key", {"axis": 2})]
SIZES = [
    ("Shape", ["past.key"], "before", {"start": 2, "end": 3}),
    ("Shape", ["new"], "count", {"start": 2, "end": 3}),
    ("Add", ["before", "count"], "total", {}),
    ("Squeeze", ["before"], "before_0", {}),
    ("Squeeze", ["count"], "count_0", {}),
    ("Squeeze", ["total"], "total_0", {}),
]
SCORES = [
    ("Transpose", ["present.key"], "turned", {"perm": [0, 1, 3, 2]}),
    ("MatMul", ["new", "turned"], "scores", {}),
]
MIXED = [("MatMul", ["weights", "present.key"], "y", {})]


def make(nodes, inputs=(), outputs=("y",), past=("batch", HEADS, "past", WIDTH)):
    """A graph of one past; `new` are the tokens themselves."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node(op, ins, [out], name=f"{op}_{i}", **attributes)
            for i, (op, ins, out, attributes) in enumerate(nodes)
        ],
        "step",
        [
            value("tokens", FLOAT, ["batch", "count", HEADS, WIDTH]),
            *(value(*spec) for spec in inputs),
            value("past.key", FLOAT, past),
        ],
        [
            *(value(name, FLOAT, None) for name in outputs),
            value("present.key", FLOAT, ["batch", HEADS, "all", WIDTH]),
        ],
        [numpy_helper.from_array(array, name) for name, array in CONSTANTS.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


NEW = [("Transpose", ["tokens"], "new", {"perm": [0, 2, 1, 3]})]


def agree(model, start=None, others=None):
    """Steps of 3, 1 and 2 tokens in a cache that is full of other numbers."""
    compiled = oxide_xla.compile(model, cache=CACHE)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    random = np.random.default_rng(0)
    cache = compiled.init_cache(2)
    cache = {"key": [x + 7 for x in cache["key"]]}
    past = np.zeros((2, HEADS, 0, WIDTH), np.float32)
    for count in (3, 1, 2):
        at = past.shape[2]
        tokens = random.normal(size=(2, count, HEADS, WIDTH)).astype(np.float32)
        feeds = {"tokens": tokens, "past.key": past}
        feeds |= others(at, count) if others else {}
        y, past = session.run(["y", "present.key"], feeds)
        more = () if start is None else (start,)
        out = compiled.forward(compiled.params, tokens, cache, jnp.int32(at), *more)
        cache = out.cache
        np.testing.assert_allclose(out.y, y, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            cache["key"][0][:, :, : at + count], past, rtol=0, atol=1e-6
        )
    return compiled


def refused(model, **options):
    with pytest.raises(oxide_xla.OxideError) as caught:
        oxide_xla.compile(model, **{"cache": CACHE, **options})
    return str(caught.value)


BODIES = {
    "softmax without a mask": [
        *SCORES,
        ("Softmax", ["scores"], "weights", {"axis": -1}),
        *MIXED,
    ],
    "causal mask": [
        *SIZES,
        *SCORES,
        ("Range", ["before_0", "total_0", "one"], "rows", {}),
        ("Range", ["zero", "total_0", "one"], "columns", {}),
        ("Unsqueeze", ["rows", "last"], "rows_column", {}),
        ("LessOrEqual", ["columns", "rows_column"], "seen", {}),
        ("Where", ["seen", "zero_float", "none"], "mask", {}),
        ("Add", ["scores", "mask"], "masked", {}),
        ("Softmax", ["masked"], "weights", {"axis": -1}),
        *MIXED,
    ],
    "mask of low numbers": [
        *SIZES,
        *SCORES,
        ("Range", ["zero", "total_0", "one"], "columns", {}),
        ("Equal", ["columns", "before_0"], "seen", {}),
        ("Where", ["seen", "scores", "low"], "masked", {}),
        ("Softmax", ["masked"], "weights", {"axis": -1}),
        *MIXED,
    ],
    "scores without softmax": [*SCORES, ("Relu", ["scores"], "weights", {}), *MIXED],
    "exponentials of scores": [*SCORES, ("Exp", ["scores"], "weights", {}), *MIXED],
    "sum": [("ReduceSum", ["present.key", "second"], "y", {})],
    "largest": [("ReduceMax", ["present.key", "second"], "y", {})],
    "number of positions": [
        *SIZES,
        ("Cast", ["total"], "y", {"to": FLOAT}),
    ],
    "number of positions before": [
        *SIZES,
        ("Mul", ["before", "count"], "product", {}),
        ("Cast", ["before"], "before_float", {"to": FLOAT}),
        ("Mul", ["tokens", "before_float"], "y", {}),
    ],
    "sum over what was there, divided": [
        *SIZES,
        ("ReduceSum", ["present.key", "second"], "sum", {}),
        ("Cast", ["total"], "total_float", {"to": FLOAT}),
        ("Div", ["sum", "total_float"], "y", {}),
    ],
    "running sums": [
        ("CumSum", ["present.key", "two"], "running", {}),
        ("ReduceMax", ["running", "second"], "y", {}),
    ],
    "sum over the queries of shares among keys": [
        ("Transpose", ["present.key"], "turned", {"perm": [0, 1, 3, 2]}),
        ("MatMul", ["present.key", "turned"], "scores", {}),
        ("Softmax", ["scores"], "weights", {"axis": -1}),
        ("Transpose", ["weights"], "weights_turned", {"perm": [0, 1, 3, 2]}),
        ("MatMul", ["weights_turned", "present.key"], "mixed", {}),
        ("ReduceMax", ["mixed", "second"], "y", {}),
    ],
    "scores that are infinite behind the end": [
        *SIZES,
        *SCORES,
        ("Mul", ["scores", "eight"], "eightfold", {}),
        ("Exp", ["eightfold"], "grown", {}),
        ("Range", ["zero", "total_0", "one"], "columns", {}),
        ("Greater", ["columns", "total_0"], "hidden", {}),
        ("Where", ["hidden", "none", "zero_float"], "mask", {}),
        ("Add", ["mask", "grown"], "masked", {}),
        ("Softmax", ["masked"], "weights", {"axis": -1}),
        *MIXED,
    ],
    "safe softmax": [
        *SCORES,
        ("Softmax", ["scores"], "shares", {"axis": -1}),
        ("IsNaN", ["shares"], "nan", {}),
        ("Where", ["nan", "zero_float", "shares"], "weights", {}),
        *MIXED,
    ],
    "scores and a bias that both end": [
        *SIZES,
        *SCORES,
        ("Range", ["zero", "total_0", "one"], "columns", {}),
        ("Cast", ["columns"], "slope", {"to": FLOAT}),
        ("Mul", ["slope", "half"], "bias", {}),
        ("Add", ["scores", "bias"], "biased", {}),
        ("Softmax", ["biased"], "weights", {"axis": -1}),
        *MIXED,
    ],
    "picked in order": [
        *SIZES,
        ("Range", ["zero", "total_0", "one"], "columns", {}),
        ("Gather", ["present.key", "columns"], "picked", {"axis": 2}),
        ("ReduceSum", ["picked", "second"], "y", {}),
    ],
}


@pytest.mark.parametrize("name", BODIES)
def test_nothing_behind_the_end_is_seen(name):
    agree(make([*NEW, *PRESENT, *BODIES[name]]))


def test_masks_are_filled_where_layers_share_them():
    """Not the scores, and values not at all: softmax gives zeros there."""
    source = agree(make([*NEW, *PRESENT, *BODIES["causal mask"]])).source
    assert source.count("keep_first(") == 2  # its definition, and one call
    assert "fill=-jnp.inf" in source


REFUSED = {
    "the last position": [
        ("Slice", ["present.key", "last", "end", "second"], "y", {}),
    ],
    "the mean": [("ReduceMean", ["present.key", "second"], "y", {})],
    "in reverse": [
        ("Slice", ["present.key", "last", "minus", "second", "last"], "turned", {}),
        ("ReduceSum", ["turned", "second"], "y", {}),
    ],
    "flattened": [
        ("Reshape", ["present.key", "flat"], "y", {}),
    ],
    "returned": [("Neg", ["present.key"], "y", {})],
    "picked in another order": [
        *SIZES,
        ("Sub", ["total_0", "one"], "from", {}),
        ("Range", ["zero", "total_0", "one"], "columns", {}),
        ("Sub", ["from", "columns"], "places", {}),
        ("Gather", ["present.key", "places"], "picked", {"axis": 2}),
        ("ReduceSum", ["picked", "second"], "y", {}),
    ],
    "a variance": [
        ("LpNormalization", ["present.key"], "normed", {"axis": 1, "p": 2}),
        ("InstanceNormalization", ["normed", "scale", "scale"], "y", {}),
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_see_it_is_refused_by_name(name):
    message = refused(make([*NEW, *PRESENT, *REFUSED[name]]))
    assert "OX0416" in message
    assert any(f'"{op}_' in message for op, *_ in REFUSED[name])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [
                ("Neg", ["past.key"], "other", {}),
                *PRESENT,
                ("ReduceSum", ["other", "second"], "y", {}),
            ],
            "Neg_1",
        ),
        (
            [
                ("Concat", ["new", "past.key"], "present.key", {"axis": 2}),
                ("ReduceSum", ["present.key", "second"], "y", {}),
            ],
            "Concat_1",
        ),
        (
            [
                ("Concat", ["past.key", "new"], "joined", {"axis": 2}),
                ("Neg", ["joined"], "present.key", {}),
                ("ReduceSum", ["present.key", "second"], "y", {}),
            ],
            "not what this node appends",
        ),
        (
            [
                ("Concat", ["new", "new"], "twice", {"axis": 2}),
                ("Concat", ["past.key", "twice"], "present.key", {"axis": 2}),
                ("ReduceSum", ["present.key", "second"], "y", {}),
            ],
            "not as long as the tokens",
        ),
    ],
)
def test_a_past_that_is_read_in_another_way_is_refused(nodes, message):
    said = refused(make([*NEW, *nodes]))
    assert "OX0416" in said and message in said


def test_padding_follows_from_start():
    """attention_mask is 1 from start on, and position_ids count from there."""
    body = [
        *SCORES,
        ("Cast", ["attention_mask"], "kept", {"to": TensorProto.BOOL}),
        ("Unsqueeze", ["kept", "middle"], "kept_4", {}),
        ("Where", ["kept_4", "scores", "low"], "masked", {}),
        ("Softmax", ["masked"], "weights", {"axis": -1}),
        ("MatMul", ["weights", "present.key"], "mixed", {}),
        ("Cast", ["position_ids"], "places", {"to": FLOAT}),
        ("Unsqueeze", ["places", "sides"], "places_4", {}),
        ("Add", ["mixed", "places_4"], "y", {}),
    ]
    inputs = [
        ("attention_mask", INT, ["batch", "total"]),
        ("position_ids", INT, ["batch", "count"]),
    ]
    start = np.array([2, 0])

    def others(at, count):
        mask = np.arange(at + count)[None] >= start[:, None]
        places = np.maximum(np.arange(at, at + count)[None] - start[:, None], 0)
        return {"attention_mask": mask.astype(int), "position_ids": places}

    model = make([*NEW, *PRESENT, *body], inputs)
    compiled = agree(model, start, others)
    assert "start: jax.Array | None = None" in compiled.source


def test_a_mask_of_the_new_tokens_alone_is_refused():
    """An attention_mask is taken to be of all positions; a file that means others by it
    does not compile."""
    body = [
        ("Cast", ["attention_mask"], "kept", {"to": FLOAT}),
        ("Unsqueeze", ["kept", "ends"], "factors", {}),
        ("Mul", ["tokens", "factors"], "y", {}),
    ]
    for dim in ("count", "total", "other"):
        mask = ("attention_mask", TensorProto.INT64, ["batch", dim])
        assert '"Mul_4"' in refused(make([*NEW, *PRESENT, *body], [mask]))


def test_another_input_of_the_length_is_refused():
    body = [
        ("Add", ["present.key", "bias"], "moved", {}),
        ("ReduceSum", ["moved", "second"], "y", {}),
    ]
    model = make([*NEW, *PRESENT, *body], [("bias", FLOAT, ["past", 1])])
    assert "another input has its length" in refused(model)
    model = make([*NEW, *PRESENT, *body], [("bias", FLOAT, ["all", 1])])
    assert '"Add_2"' in refused(model)


@pytest.mark.parametrize("past", [(2, HEADS, "past", WIDTH), ("b", HEADS, 5, WIDTH)])
def test_sizes_that_the_file_fixes_are_refused(past):
    body = [("ReduceSum", ["present.key", "second"], "y", {})]
    assert "open batch and length" in refused(make([*NEW, *PRESENT, *body], past=past))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("past.*", "PAST=PRESENT:N"),
        ("past.*=present.*", "PAST=PRESENT:N"),
        ("past.*=present.*:0", "PAST=PRESENT:N"),
        ("past.*=present.key:8", "PAST=PRESENT:N"),
        ("pasts.*=present.*:8", "no input has such a name"),
        ("past.*=presents.*:8", 'did you mean "present.key"'),
    ],
)
def test_options_that_name_no_cache_are_refused(spec, message):
    body = [("ReduceSum", ["present.key", "second"], "y", {})]
    said = refused(make([*NEW, *PRESENT, *body]), cache=spec)
    assert "OX0003" in said and message in said


def test_a_name_without_a_star_is_one_tensor():
    body = [("ReduceSum", ["present.key", "second"], "y", {})]
    model = make([*NEW, *PRESENT, *body])
    compiled = oxide_xla.compile(model, cache="past.key=present.key:16")
    assert compiled.init_cache(2)["key"][0].shape == (2, HEADS, 16, WIDTH)


def test_it_does_not_go_with_bounds():
    body = [("ReduceSum", ["present.key", "second"], "y", {})]
    said = refused(make([*NEW, *PRESENT, *body]), bounds={"y": 3})
    assert "does not go with --bound" in said


# ---- GroupQueryAttention ------------------------------------------------------------

# Sizes as onnxruntime-genai writes them: of the mask, not of the past.
LENGTHS = [
    ("ReduceSum", ["attention_mask", "unit"], "sum", {"keepdims": 1}),
    ("Sub", ["sum", "unit"], "sum_less", {}),
    ("Cast", ["sum_less"], "lengths", {"to": TensorProto.INT32}),
    ("Shape", ["attention_mask"], "mask_shape", {}),
    ("Gather", ["mask_shape", "one"], "all_0", {"axis": 0}),
    ("Cast", ["all_0"], "all_32", {"to": TensorProto.INT32}),
]


def make_grouped(nodes=(), bias="", **attributes):
    """Attention of 4 heads over 2 of keys and values, by com.microsoft's operator."""
    value = helper.make_tensor_value_info
    random = np.random.default_rng(3)
    heads, kv, width = 4, 2, 8
    weights = {
        name: random.normal(size=(6, count * width)).astype(np.float32)
        for name, count in (("q", heads), ("k", kv), ("v", kv))
    }
    nodes = [
        *LENGTHS,
        *(("MatMul", ["tokens", name], f"{name}_all", {}) for name in weights),
        *nodes,
    ]
    made = [
        helper.make_node(op, ins, [out], name=f"{op}_{i}", **more)
        for i, (op, ins, out, more) in enumerate(nodes)
    ]
    inputs = ["q_all", "k_all", "v_all", "past.0.key", "past.0.value"]
    inputs += ["lengths", "all_32", *([""] * 3 + [bias] if bias else [])]
    made.append(
        helper.make_node(
            "GroupQueryAttention",
            inputs,
            ["y", "present.0.key", "present.0.value"],
            name="attention",
            domain="com.microsoft",
            num_heads=heads,
            kv_num_heads=kv,
            **attributes,
        )
    )
    fields = ("key", "value")
    graph = helper.make_graph(
        made,
        "step",
        [
            value("tokens", FLOAT, ["batch", "count", 6]),
            value("attention_mask", INT, ["batch", "total"]),
            *(
                value(f"past.0.{f}", FLOAT, ["batch", kv, "past", width])
                for f in fields
            ),
        ],
        [
            value("y", FLOAT, ["batch", "count", heads * width]),
            *(
                value(f"present.0.{f}", FLOAT, ["batch", kv, "t", width])
                for f in fields
            ),
        ],
        [
            numpy_helper.from_array(array, name)
            for name, array in (CONSTANTS | weights).items()
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("attributes", [{}, {"local_window_size": 2}])
def test_group_query_attention_appends_by_itself(attributes):
    model = make_grouped(**attributes)
    compiled = oxide_xla.compile(model, cache=CACHE)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    random = np.random.default_rng(0)
    cache = compiled.init_cache(2)
    assert {f: [x.shape for x in cache[f]] for f in cache} == {
        "key": [(2, 2, 8, 8)],
        "value": [(2, 2, 8, 8)],
    }
    cache = {f: [x + 7 for x in cache[f]] for f in cache}
    past = [np.zeros((2, 2, 0, 8), np.float32)] * 2
    for count in (3, 1, 1):  # onnxruntime takes several behind a past in one row only
        at = past[0].shape[2]
        tokens = random.normal(size=(2, count, 6)).astype(np.float32)
        feeds = {"tokens": tokens, "attention_mask": np.ones((2, at + count), int)}
        feeds |= {"past.0.key": past[0], "past.0.value": past[1]}
        y, *past = session.run(None, feeds)
        out = compiled.forward(compiled.params, tokens, cache, jnp.int32(at))
        cache = out.cache
        np.testing.assert_allclose(out.y, y, rtol=1e-5, atol=1e-5)
        for field, array in zip(("key", "value"), past):
            got = cache[field][0][:, :, : at + count]
            np.testing.assert_allclose(got, array, rtol=1e-5, atol=1e-5)


def test_what_group_query_attention_reads_besides_is_refused():
    """A bias of the length of the present, which the operator may read as a whole."""
    bias = [
        ("Cast", ["attention_mask"], "bias_2", {"to": FLOAT}),
        ("Unsqueeze", ["bias_2", "middle"], "bias_4", {}),
        ("Mul", ["bias_4", "half"], "bias", {}),
    ]
    said = refused(make_grouped(bias, "bias"))
    assert "OX0416" in said and '"attention"' in said


# ---- the command line ---------------------------------------------------------------


def test_the_program_takes_the_option(tmp_path):
    body = [("ReduceSum", ["present.key", "second"], "y", {})]
    path = tmp_path / "step.onnx"
    path.write_bytes(make([*NEW, *PRESENT, *body]).SerializeToString())
    command = [PROGRAM, "compile", path, "--cache", CACHE, "-o", tmp_path / "step.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "def init_cache(batch, length=8, " in (tmp_path / "step.py").read_text()
    assert "next: python -i" in done.stderr
    done = subprocess.run(
        [*command, "--target", "stablehlo"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "--cache is not for" in done.stderr


def test_a_step_is_one_already():
    model = make([*NEW, *PRESENT, ("ReduceSum", ["present.key", "second"], "y", {})])
    model.metadata_props.add(key="oxide_xla.cache", value="length\t8")
    assert "a step with a cache already" in refused(model)
