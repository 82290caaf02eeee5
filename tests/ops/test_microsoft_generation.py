"""GreedySearch, BeamSearch and their relatives: loops around decoders made by hand,
against onnxruntime."""

import tempfile

import harness
import jax
import numpy as np
import ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from generation import beam_search_encoded, beam_search_speech

VOCABULARY, SIZE, HEADS = 7, 4, 2
PAD = 8  # no decoder gives it
IDS = np.array([[1, 2, 3], [PAD, 4, 5], [6, 6, 2]], np.int32)


def int32(*numbers):
    return np.array(numbers, np.int32)


def float32(*numbers):
    return np.array(numbers, np.float32)


def decoder(seed=0, layers=1, loud=1):
    """A decoder whose logits depend on tokens, positions, the mask, and the past."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    tensors = {
        "embedding": weight(PAD + 1, HEADS * SIZE),
        "places": weight(32, HEADS * SIZE),
        "head": loud * weight(HEADS * SIZE, VOCABULARY),
        "split": np.array([0, 0, HEADS, SIZE]),
        "two": np.array([0, 0, HEADS * SIZE]),
        "first": np.array(0),
        "axis": np.array([2]),
        "columns": np.array([1, 3]),
        "share": np.float32(0.6),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["embedding", "input_ids"], ["words"]),
        node("Gather", ["places", "position_ids"], ["where"]),
        node("Add", ["words", "where"], ["x_0"]),
        node("Cast", ["attention_mask"], ["float_mask"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["float_mask", "columns"], ["mask"]),
    ]
    for i in range(layers):
        nodes += [
            node("Reshape", [f"x_{i}", "split"], [f"rows_{i}"]),
            node("Transpose", [f"rows_{i}"], [f"heads_{i}"], perm=[0, 2, 1, 3]),
            node("Neg", [f"heads_{i}"], [f"values_{i}"]),
            node("SequenceConstruct", [f"heads_{i}", f"values_{i}"], [f"both_{i}"]),
            node("ConcatFromSequence", [f"both_{i}"], [f"new_{i}"], axis=0, new_axis=1),
            node("Concat", [f"past_{i}", f"new_{i}"], [f"present_{i}"], axis=3),
            node("Gather", [f"present_{i}", "first"], [f"keys_{i}"]),
            node("Mul", [f"keys_{i}", "mask"], [f"seen_{i}"]),
            node("ReduceSum", [f"seen_{i}", "axis"], [f"sum_{i}"]),
            node("Transpose", [f"sum_{i}"], [f"turned_{i}"], perm=[0, 2, 1, 3]),
            node("Reshape", [f"turned_{i}", "two"], [f"flat_{i}"]),
            node("Mul", [f"flat_{i}", "share"], [f"part_{i}"]),
            node("Add", [f"x_{i}", f"part_{i}"], [f"context_{i}"]),
            node("Sin", [f"context_{i}"], [f"x_{i + 1}"]),
        ]
    nodes.append(node("MatMul", [f"x_{layers}", "head"], ["logits"]))
    info = helper.make_tensor_value_info
    past = [2, "batch", HEADS, "past", SIZE]
    return helper.make_graph(
        nodes,
        "decoder",
        [
            info("input_ids", TensorProto.INT32, ["batch", "length"]),
            info("position_ids", TensorProto.INT32, ["batch", "length"]),
            info("attention_mask", TensorProto.INT32, ["batch", "total"]),
            *(info(f"past_{i}", TensorProto.FLOAT, past) for i in range(layers)),
        ],
        [
            info("logits", TensorProto.FLOAT, ["batch", "length", VOCABULARY]),
            *(
                info(f"present_{i}", TensorProto.FLOAT, [*past[:3], "total", SIZE])
                for i in range(layers)
            ),
        ],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()],
    )


INPUTS = {
    "GreedySearch": "input_ids max_length min_length repetition_penalty vocab_mask "
    "prefix_vocab_mask attention_mask",
    "Sampling": "input_ids max_length min_length repetition_penalty vocab_mask "
    "prefix_vocab_mask attention_mask presence_mask seed",
    "BeamSearch": "input_ids max_length min_length num_beams num_return_sequences "
    "length_penalty repetition_penalty vocab_mask prefix_vocab_mask attention_mask "
    "decoder_input_ids logits_processor",
    "WhisperBeamSearch": "input_ids max_length min_length num_beams "
    "num_return_sequences length_penalty repetition_penalty vocab_mask "
    "prefix_vocab_mask attention_mask decoder_input_ids logits_processor "
    "cross_qk_layer_head extra_decoding_ids temperature",
}
FIXED = {"max_length", "num_beams", "num_return_sequences"}


def make(op, inputs, attrs, outputs=("sequences",), batch="N"):
    """A model of one search; what decides shapes is constant."""
    names = INPUTS[op].split()
    attrs = {"decoder": decoder(), "eos_token_id": 3, "pad_token_id": PAD, **attrs}
    node = helper.make_node(
        op,
        [name if name in inputs else "" for name in names],
        list(outputs),
        "search",
        domain="com.microsoft",
        **attrs,
    )
    info = helper.make_tensor_value_info
    types = [TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT]
    graph = helper.make_graph(
        [node],
        "search",
        [
            harness.value_info(k, v, [batch, *v.shape[1:]] if v.ndim > 1 else v.shape)
            for k, v in inputs.items()
            if k not in FIXED
        ],
        [info(k, t, None) for k, t in zip(outputs, types, strict=False)],
        [numpy_helper.from_array(v, k) for k, v in inputs.items() if k in FIXED],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def check(op, inputs, attrs=None, outputs=("sequences",), **options):
    """The same as onnxruntime; returns (the outputs, the code)."""
    inputs = {"input_ids": IDS, "max_length": int32(9), **inputs}
    model = make(op, inputs, attrs or {}, outputs)
    given = {k: v for k, v in inputs.items() if k not in FIXED}
    expected = ort.run(model, given)
    if not op.endswith("BeamSearch"):
        forget_rest(expected[0], {"pad_token_id": PAD, **(attrs or {})}["pad_token_id"])
    options = {"rtol": 1e-4, "atol": 1e-4, "x64": (False, True), **options}
    text = harness.check_model(
        model, list(given.values()), expected, names={"N": len(IDS)}, **options
    )
    return expected, text


def forget_rest(sequences, pad):
    """Once all have ended, onnxruntime leaves the rest of its memory as it was."""
    start = IDS.shape[1]
    ended = np.flatnonzero((sequences[:, start:] == pad).all(axis=0))
    if len(ended):
        sequences[:, start + ended[0] :] = pad


def fails(op, inputs, attrs, message, outputs=("sequences",)):
    """The program says why it does not compile the model."""
    model = make(op, {"input_ids": IDS, **inputs}, attrs, outputs)
    caught = pytest.raises(harness.CompileError, match=message)
    with tempfile.TemporaryDirectory() as folder, caught:
        harness.compile_model(model, folder)


# ---- GreedySearch --------------------------------------------------------------------


@pytest.mark.parametrize("eos", range(VOCABULARY))
@pytest.mark.parametrize("pad", [PAD, None])
def test_greedy(eos, pad):
    """pad None: ends are padded with eos, as GPT-2 is configured."""
    attrs = {"eos_token_id": eos, "pad_token_id": eos if pad is None else pad}
    _, text = check("GreedySearch", {}, attrs)
    assert "@jax.jit" in text


RULES = {
    "min_length": int32(7),
    "repetition_penalty": float32(3),
    "vocab_mask": int32(1, 1, 0, 1, 1, 0, 1),
    "prefix_vocab_mask": int32([1, 0, 1, 1, 1, 1, 0], [0] * 6 + [1], [1] * 7),
    "attention_mask": int32([0, 1, 1], [1, 1, 1], [1, 0, 1]),
}


@pytest.mark.parametrize("names", [*RULES, " ".join(RULES)])
@pytest.mark.parametrize("ngram", [0, 1, 2])
def test_greedy_rules(names, ngram):
    inputs = {name: RULES[name] for name in names.split()}
    for seed in range(3):
        attrs = {"decoder": decoder(seed), "no_repeat_ngram_size": ngram}
        check("GreedySearch", inputs, attrs, x64=(False,))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_greedy_layers(layers):
    check("GreedySearch", {}, {"decoder": decoder(1, layers), "vocab_size": 7})


def test_greedy_init_decoder():
    check("GreedySearch", {}, {"init_decoder": decoder(4), "decoder": decoder(5)})


def attentive(rng):
    """A decoder with the Attention of onnxruntime's optimizer, and its weights,
    which convert_generation.py moves to the outer graph."""
    width = HEADS * SIZE

    def weight(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    weights = {
        "embedding": weight(PAD + 1, width),
        "places": weight(32, width),
        "qkv": weight(width, 3 * width),
        "qkv_bias": weight(3 * width),
        "head": weight(width, VOCABULARY),
    }
    attention = helper.make_node(
        "Attention",
        ["x", "qkv", "qkv_bias", "attention_mask", "past_0"],
        ["y", "present_0"],
        domain="com.microsoft",
        num_heads=HEADS,
        unidirectional=1,
    )
    graph = decoder()
    del graph.node[:], graph.initializer[:]
    node = helper.make_node
    graph.node.extend(
        [
            node("Gather", ["embedding", "input_ids"], ["words"]),
            node("Gather", ["places", "position_ids"], ["where"]),
            node("Add", ["words", "where"], ["x"]),
            attention,
            node("MatMul", ["y", "head"], ["logits"]),
        ]
    )
    return graph, [numpy_helper.from_array(v, k) for k, v in weights.items()]


@pytest.mark.parametrize("op", ["GreedySearch", "BeamSearch"])
@pytest.mark.parametrize("init", [False, True])
def test_outer_weights(op, init):
    for seed in range(3):
        graph, weights = attentive(np.random.default_rng(seed))
        attrs = {"decoder": graph, **({"init_decoder": graph} if init else {})}
        inputs = {"input_ids": IDS, "max_length": int32(8)}
        inputs |= beams(3, 2, **inputs) if op == "BeamSearch" else {}
        model = make(op, inputs, attrs)
        model.graph.initializer.extend(weights)
        given = {k: v for k, v in inputs.items() if k not in FIXED}
        expected = ort.run(model, given)
        if op == "GreedySearch":
            forget_rest(expected[0], PAD)
        harness.check_model(model, list(given.values()), expected, names={"N": 3})


# ---- Sampling ------------------------------------------------------------------------


@pytest.mark.parametrize("custom", [0, 1])
@pytest.mark.parametrize("rule", RULES)
def test_sampling_of_one(custom, rule):
    """The likeliest token alone remains: there is nothing to draw."""
    attrs = {"top_p": 1e-6, "custom": custom, "temperature": 0.7}
    inputs = {rule: RULES[rule]}
    model = make(
        "GreedySearch", {"input_ids": IDS, "max_length": int32(9), **inputs}, {}
    )
    given = {"input_ids": IDS, **inputs}
    greedy = ort.run(model, given)
    forget_rest(greedy[0], PAD)
    expected, _ = check("Sampling", inputs, attrs, x64=(False,))
    np.testing.assert_array_equal(expected[0], greedy[0])


DRAWS = 4096
WAYS = [
    {"top_p": 1.0},
    {"top_p": 0.6},
    {"top_p": 0.6, "custom": 1},
    {"top_p": 0.3, "min_tokens_to_keep": 3},
    {"top_p": 0.8, "temperature": 2.5},
    {"top_p": 0.8, "temperature": 0.4, "custom": 1},
    {"top_p": 0.5, "filter_value": -1.0},
]


def shares(tokens):
    return np.bincount(tokens, minlength=VOCABULARY) / len(tokens)


@pytest.mark.parametrize("way", WAYS)
def test_sampling(way):
    """Of many draws each token has the same share as with onnxruntime."""
    inputs = {"input_ids": np.tile(IDS[:1], (DRAWS, 1)), "seed": int32(1)}
    inputs["max_length"] = int32(5)
    attrs = {"decoder": decoder(3, loud=0.3), "eos_token_id": VOCABULARY, **way}
    model = make("Sampling", inputs, attrs)
    given = {k: v for k, v in inputs.items() if k not in FIXED}
    expected = ort.run(model, given)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = harness.compile_model(model, folder)
        module = harness.load_module(path)
        params = module.load_params()
        actual, again, other = (
            np.asarray(module.forward(params, inputs["input_ids"], int32(seed)))
            for seed in (1, 1, 2)
        )
    for column in (3, 4):
        share, ours = shares(expected[:, column]), shares(actual[:, column])
        np.testing.assert_allclose(ours, share, atol=0.04)
        assert ours[share == 0].sum() < 0.01 and share[ours == 0].sum() < 0.01
    np.testing.assert_array_equal(actual, again)
    assert (actual != other).any()


def test_sampling_key():
    """Without a seed the draws are those of forward's key."""
    inputs = {"input_ids": IDS, "max_length": int32(9)}
    model = make("Sampling", inputs, {"top_p": 0.9, "eos_token_id": VOCABULARY})
    with tempfile.TemporaryDirectory() as folder:
        module = harness.load_module(harness.compile_model(model, folder))
        params = module.load_params()
        runs = [module.forward(params, IDS, key=jax.random.key(i)) for i in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


# ---- BeamSearch ----------------------------------------------------------------------

ALL = ("sequences", "sequences_scores", "scores")


def beams(number, count=1, **more):
    return {
        "num_beams": int32(number),
        "num_return_sequences": int32(count),
        "min_length": int32(1),  # onnxruntime asks for it
        "length_penalty": float32(1),
        **more,
    }


@pytest.mark.parametrize("early", [0, 1])
@pytest.mark.parametrize(("number", "count"), [(1, 1), (2, 1), (4, 3)])
def test_beams(number, count, early):
    for eos in (3, 4, 6):
        attrs = {"eos_token_id": eos, "early_stopping": early}
        inputs = beams(number, count, max_length=int32(7))
        _, text = check("BeamSearch", inputs, attrs, ALL[:2], x64=(eos == 3,))
    assert "@jax.jit" in text


@pytest.mark.parametrize("penalty", [0, 0.5, 3])
@pytest.mark.parametrize("name", RULES)
def test_beam_rules(name, penalty):
    """One of the three rules at a time, each with another length_penalty."""
    attrs = {"decoder": decoder(2, 2), "no_repeat_ngram_size": 2}
    more = {name: RULES[name], "length_penalty": float32(penalty)}
    inputs = beams(3, 2, max_length=int32(7), **more)
    check("BeamSearch", inputs, attrs, ALL[:2], x64=(False,))


def test_beam_init_decoder():
    attrs = {"init_decoder": decoder(4), "decoder": decoder(5)}
    check("BeamSearch", beams(2), attrs, ALL[:2], x64=(False,))


def test_beam_scores():
    """No sequence ends: all steps have scores."""
    attrs = {"eos_token_id": 2}
    inputs = beams(2, max_length=int32(8), vocab_mask=int32(1, 1, 0, 1, 1, 1, 1))
    check("BeamSearch", inputs, attrs, ALL, x64=(False,))


def test_beam_scores_of_the_ended():
    """One batch ends in step 3, another goes on: its scores do, too, with padding."""
    attrs = {"eos_token_id": 1, "early_stopping": 1, "decoder": decoder(1, loud=0.4)}
    inputs = beams(2, max_length=int32(12))
    expected, _ = check("BeamSearch", inputs, attrs, ALL, x64=(False,))
    ends = (expected[0][:, 0] == PAD).sum(axis=1)
    assert ends.max() > 6 and ends.min() == 0


def test_beam_outputs():
    """Outputs that nobody reads have no name."""
    names = ("sequences", "", "scores")
    model = make("BeamSearch", {"input_ids": IDS, **beams(2, max_length=int32(5))}, {})
    model.graph.node[0].output[:] = names
    with tempfile.TemporaryDirectory() as folder:
        text = harness.compile_model(model, folder).read_text()
    assert "sequences, _, _ = beam_search" in text


# ---- BeamSearch with an encoder ------------------------------------------------------


def pair(seed=0, started=False, layers=1, speech=False):
    """(encoder, decoder) like those of T5; values are keys, negated.  `started`: the
    encoder does the first step of the decoder, as older tools write it.  `speech`:
    like those of Whisper, which are started and have no masks."""
    started |= speech
    rng = np.random.default_rng(seed)
    node, info = helper.make_node, helper.make_tensor_value_info

    def weight(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    tensors = {
        "embedding": weight(PAD + 1, HEADS * SIZE),
        "head": weight(HEADS * SIZE, VOCABULARY),
        "split": np.array([0, 0, HEADS, SIZE]),
        "two": np.array([0, 0, HEADS * SIZE]),
        "axis": np.array([2]),
        "columns": np.array([1]),
    }

    def initializers(*names):
        return [numpy_helper.from_array(tensors[k], k) for k in names]

    def heads(name, source):
        return [
            node("Reshape", [source, "split"], [f"{name}_rows"]),
            node("Transpose", [f"{name}_rows"], [f"{name}_key"], perm=[0, 2, 1, 3]),
            node("Neg", [f"{name}_key"], [f"{name}_value"]),
        ]

    def flat(source, name):
        return [
            node("ReduceSum", [source, "axis"], [f"{name}_sum"]),
            node("Transpose", [f"{name}_sum"], [f"{name}_turned"], perm=[0, 2, 1, 3]),
            node("Reshape", [f"{name}_turned", "two"], [name]),
        ]

    masks = [
        node("Cast", ["encoder_attention_mask"], ["float_mask"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["float_mask", "axis"], ["mask"]),
        node("ReduceSum", ["mask", "columns"], ["count"]),
    ]
    read = [
        *masks,
        node("Gather", ["embedding", "encoder_input_ids"], ["hidden"]),
        node("Mul", ["hidden", "mask"], ["encoder_hidden_states"]),
    ]
    if speech:
        masks = []
        read = [node("Tanh", ["encoder_input_ids"], ["encoder_hidden_states"])]

    def layer(i, x, before=None):
        """Nodes that make y from x, own keys and those of the encoder."""
        nodes = heads(f"new_{i}", x)
        for kind in ("key", "value"):
            name, new = f"present_{kind}_self_{i}", f"new_{i}_{kind}"
            nodes.append(
                node("Concat", [f"past_{kind}_self_{i}", new], [name], axis=2)
                if before
                else node("Identity", [new], [name])
            )
        cross = "past" if before else "present"
        nodes += flat(f"present_key_self_{i}", f"own_{i}")
        nodes += flat(f"{cross}_value_cross_{i}", f"other_{i}")
        parts = [x, f"own_{i}", f"other_{i}", *([] if speech else ["count"])]
        nodes.append(node("Sum", parts, [f"sum_{i}"]))
        nodes.append(node("Sin", [f"sum_{i}"], [f"y_{i}"]))
        return nodes

    def decode(before):
        ids = "input_ids" if before else "decoder_input_ids"
        nodes = [node("Gather", ["embedding", ids], ["x"])]
        for i in range(layers):
            nodes += layer(i, f"y_{i - 1}" if i else "x", before)
        return [*nodes, node("MatMul", [f"y_{layers - 1}", "head"], ["logits"])]

    crossed = []
    for i in range(layers):
        crossed += [
            node("Mul", ["encoder_hidden_states", f"scale_{i}"], [f"read_{i}"]),
            *heads(f"cross_{i}", f"read_{i}"),
            node("Identity", [f"cross_{i}_key"], [f"present_key_cross_{i}"]),
            node("Identity", [f"cross_{i}_value"], [f"present_value_cross_{i}"]),
        ]
        tensors[f"scale_{i}"] = np.float32(1 + i)
    kinds = [f"{k}_self_{i}" for i in range(layers) for k in ("key", "value")]
    others = [k.replace("self", "cross") for k in kinds]

    def caches(prefix, names, length):
        shape = ["batch", HEADS, length, SIZE]
        return [info(f"{prefix}_{k}", TensorProto.FLOAT, shape) for k in names]

    ints, floats = TensorProto.INT32, TensorProto.FLOAT
    steps = "length" if speech else 1
    logits = info("logits", floats, ["batch", steps, VOCABULARY])
    hidden = info("encoder_hidden_states", floats, ["batch", "read", HEADS * SIZE])
    start = info("decoder_input_ids", ints, ["batch", steps])
    ids = info("encoder_input_ids", ints, ["batch", "read"])
    if speech:
        ids = info("encoder_input_ids", floats, ["batch", "read", HEADS * SIZE])

    def mask():
        return [info("encoder_attention_mask", ints, ["batch", "read"])]

    encoder = helper.make_graph(
        [*read, *crossed, *(decode(False) if started else [])],
        "encoder",
        [
            ids,
            *([] if speech else mask()),
            *([start] if started else []),
        ],
        [
            *([logits, hidden] if started else []),
            *(caches("present", kinds, steps) if started else []),
            *caches("present", others, "read"),
        ],
        initializers(*tensors),
    )
    decoder = helper.make_graph(
        [*masks, *decode(True)],
        "decoder",
        [
            info("input_ids", ints, ["batch", 1]),
            *([] if speech else mask()),
            *caches("past", kinds, "past"),
            *caches("past", others, "read"),
        ],
        [logits, *caches("present", kinds, "total")],
        initializers("embedding", "head", "split", "two", "axis", "columns"),
    )
    return encoder, decoder


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("number", [1, 3])
def test_beams_encoded(started, layers, number):
    for seed in range(2):
        encoder, decoder = pair(seed, started, layers)
        attrs = {"encoder": encoder, "decoder": decoder, "model_type": 1}
        attrs["decoder_start_token_id"] = 5
        inputs = beams(number, number, max_length=int32(6 - seed))
        inputs["input_ids"] = int32([1, 2, PAD], [PAD, 4, PAD], [6, 6, 2])
        if seed:
            inputs["attention_mask"] = RULES["attention_mask"]
        check("BeamSearch", inputs, attrs, ALL[:2], x64=(False,))


# ---- WhisperBeamSearch ---------------------------------------------------------------


def heard(seed=0):
    return np.random.default_rng(seed).standard_normal((3, 5, 8)).astype(np.float32)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("start", [None, [[1, 2, 3], [4, 4, 0], [6, 5, 4]]])
def test_beams_of_speech(number, start):
    for seed in range(2):
        encoder, decoder = pair(seed, layers=1 + seed, speech=True)
        attrs = {"encoder": encoder, "decoder": decoder, "decoder_start_token_id": 5}
        attrs |= {"model_type": 2, "early_stopping": seed}
        inputs = beams(number, number, max_length=int32(7))
        inputs["input_ids"] = heard(seed)
        if start:
            inputs["decoder_input_ids"] = int32(*start)
        check("WhisperBeamSearch", inputs, attrs, ALL[:2], x64=(False,))


# ---- what is refused -----------------------------------------------------------------


def renamed(graph, **changes):
    """A copy of the graph with other types: name -> (element type, shape)."""
    copy = type(graph)()
    copy.CopyFrom(graph)
    for value in [*copy.input, *copy.output]:
        if value.name in changes:
            value.CopyFrom(
                helper.make_tensor_value_info(value.name, *changes[value.name])
            )
    return copy


LENGTH = {"max_length": int32(9)}
SIZES = beams(2, **LENGTH)
OPEN = (TensorProto.FLOAT, [2, "batch", "heads", "past", SIZE])
REFUSED = [
    ("GreedySearch", LENGTH, {"model_type": 1}, "only decoders like that of GPT-2"),
    ("GreedySearch", LENGTH, {"vocab_size": 5}, "another size than vocab_size"),
    (
        "GreedySearch",
        LENGTH,
        {"decoder": renamed(decoder(), past_0=OPEN)},
        "a past of fixed sizes",
    ),
    (
        "BeamSearch",
        {**SIZES, "logits_processor": int32(1)},
        {},
        "logits_processor and decoder_input_ids",
    ),
    ("BeamSearch", beams(0, **LENGTH), {}, "num_beams is 0"),
    ("BeamSearch", beams(2, 3, **LENGTH), {}, "3 sequences of 2 beams"),
    ("BeamSearch", beams(2, max_length=int32(-1)), {}, "max_length is -1"),
    ("BeamSearch", SIZES, {"model_type": 1}, "keys and values of fixed sizes"),
    ("BeamSearch", SIZES, {"model_type": 2}, "only decoders like that of GPT-2"),
    (
        "WhisperBeamSearch",
        {**SIZES, "input_ids": heard(), "temperature": float32(0.5)},
        {"model_type": 2},
        "temperature is not supported",
    ),
    (
        "WhisperBeamSearch",
        {**SIZES, "input_ids": heard()},
        {"model_type": 2},
        "keys and values of fixed sizes",
    ),
    ("Sampling", LENGTH, {}, "top_p and temperature must be more than 0"),
    (
        "Sampling",
        {**LENGTH, "presence_mask": np.ones((3, VOCABULARY), np.int32)},
        {"top_p": 0.5},
        "presence_mask and filtered_logits",
    ),
]


@pytest.mark.parametrize(("op", "inputs", "attrs", "message"), REFUSED)
def test_refused(op, inputs, attrs, message):
    fails(op, inputs, attrs, message)


@pytest.mark.parametrize("name", sorted(FIXED))
def test_sizes_are_needed(name, monkeypatch):
    """Where an input gives a size, the option that fixes it compiles the model."""
    monkeypatch.setattr(f"{__name__}.FIXED", FIXED - {name})
    fails("BeamSearch", SIZES, {}, rf"OX0402(.|\n)*{name}(.|\n)*--input-value")
    model = make("BeamSearch", {"input_ids": IDS, **SIZES}, {})
    with tempfile.TemporaryDirectory() as folder:
        harness.compile_model(
            model, folder, "--input-value", f"{name}={SIZES[name][0]}"
        )


def test_an_encoder_of_the_first_step_leaves_one_for_the_decoder():
    """onnxruntime gives something else there than its other form of the model."""
    features, start = np.zeros((1, 4), np.float32), np.zeros((1, 1), np.int32)
    with pytest.raises(ValueError, match="max_length, 2, must be 3 or more"):
        beam_search_speech(None, None, features, 2, start, eos=1, pad=0, beams=2)
    with pytest.raises(ValueError, match="max_length, 2, must be 3 or more"):
        beam_search_encoded(
            None, None, np.ones((1, 3), np.int32), 2, 0, eos=1, pad=0, beams=2
        )
