"""Models that onnxruntime has written: optimized by its session and by its transformer
optimizer, and quantized by its tools.  Each must compile and agree with onnxruntime."""

import logging
import warnings
from dataclasses import dataclass

import jax
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.transformers.optimizer import optimize_model
from torch import nn

import oxide_xla
from models import zoo

HEADS, HIDDEN, TOKENS = 4, 64, 100
MICROSOFT = "com.microsoft"


class Network(nn.Module):
    """Every layer that the quantizers have an operator for: (batch, 3, 16, 16) to the
    probabilities of 10 classes."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = x + nn.functional.leaky_relu(self.conv2(x), 0.1)
        x = nn.functional.max_pool2d(x, 2)
        x = torch.cat([x, torch.sigmoid(self.gate(x)) * x], 1)
        x = nn.functional.avg_pool2d(x, 2)
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return torch.softmax(self.fc(x), -1)


class Transformer(nn.Module):
    """The states of a transformers model of tokens, whose mask hides padding."""

    def __init__(self, model, output):
        super().__init__()
        self.model, self.output = model, output

    def forward(self, input_ids, attention_mask):
        extra = {} if self.output == "last_hidden_state" else {"use_cache": False}
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return self.model(**inputs, **extra)[self.output]


def build_transformer(name):
    import transformers as t

    sizes = {"vocab_size": TOKENS, "attn_implementation": "eager"}
    bert = {"num_hidden_layers": 2, "num_attention_heads": HEADS, "hidden_size": HIDDEN}
    bert |= {"intermediate_size": 96, "max_position_embeddings": 32}
    if name == "bert":
        return Transformer(
            t.BertModel(t.BertConfig(**sizes, **bert)), "last_hidden_state"
        )
    if name == "gpt2":
        sizes |= {"bos_token_id": 0, "eos_token_id": 0}
        gpt2 = {"n_embd": HIDDEN, "n_layer": 2, "n_head": HEADS, "n_positions": 32}
        return Transformer(t.GPT2LMHeadModel(t.GPT2Config(**sizes, **gpt2)), "logits")
    config = t.LlamaConfig(**sizes, **bert, num_key_value_heads=2)
    return Transformer(t.LlamaForCausalLM(config), "logits")


def inputs_of(name):
    rng = np.random.default_rng(1)
    if name == "cnn":
        return {"x": rng.standard_normal((2, 3, 16, 16)).astype(np.float32)}
    mask = np.ones((2, 7), np.int64)
    mask[0, 5:] = 0
    return {"input_ids": rng.integers(0, TOKENS, (2, 7)), "attention_mask": mask}


def export(name, path):
    zoo.torchvision_cpu.repair()
    torch.manual_seed(0)
    module = Network() if name == "cnn" else build_transformer(name)
    zoo.randomize(module)
    inputs = inputs_of(name)
    axes = {0: "batch"} if name == "cnn" else {0: "batch", 1: "sequence"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(torch.from_numpy(x) for x in inputs.values()),
            path,
            dynamo=False,
            input_names=list(inputs),
            dynamic_axes=dict.fromkeys(inputs, axes),
        )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The path of a model by its name; each is exported once."""
    folder = tmp_path_factory.mktemp("models")
    logging.disable(logging.CRITICAL)

    def get(name):
        path = folder / f"{name}.onnx"
        if not path.exists():
            export(name, path)
        return path

    yield get
    logging.disable(logging.NOTSET)


# ---- what onnxruntime's tools do -----------------------------------------------------


def session(path, level, written=None, exact=False):
    """`exact`: the optimizer makes such weights of 8 bits that products with them do
    not saturate, where the CPU is an x86 without VNNI."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
    if written:
        options.optimized_model_filepath = str(written)
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def extended(source, path):
    level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    nodes = onnx.load(source).graph.node
    # For a QLinearConv of such weights it has no kernel.
    exact = all(node.op_type != "QLinearConv" for node in nodes)
    session(source, level, path, exact)


def fused(source, path):
    kind = "bert" if source.stem == "bert" else "gpt2"
    options = {"num_heads": HEADS, "hidden_size": HIDDEN, "opt_level": 0}
    optimize_model(str(source), kind, **options).save_model_to_file(str(path))


def dynamic(source, path):
    options = {"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(source, path, extra_options=options)


def few_bits(source, path, **options):
    quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=32, **options)
    quantizer.process()
    quantizer.model.save_model_to_file(str(path))


def four_bits(source, path):
    few_bits(source, path, is_symmetric=True)


def four_bits_with_zeros(source, path):
    few_bits(source, path, is_symmetric=False)


class Calibration(CalibrationDataReader):
    """A few random images."""

    def __init__(self):
        draw = np.random.default_rng(0).standard_normal
        self.images = [draw((2, 3, 16, 16)).astype(np.float32) for _ in range(3)]

    def get_next(self):
        return {"x": self.images.pop()} if self.images else None


def static(**options):
    def write(source, path):
        quantize_static(source, path, Calibration(), **options)

    return write


OPERATORS = static(quant_format=QuantFormat.QOperator)
SIGNED = static(
    quant_format=QuantFormat.QOperator,
    activation_type=QuantType.QInt8,
    per_channel=True,
)
PAIRS = static(quant_format=QuantFormat.QDQ)
CHANNELS = static(quant_format=QuantFormat.QDQ, per_channel=True)
WIDE = static(
    quant_format=QuantFormat.QDQ,
    activation_type=QuantType.QUInt16,
    extra_options={"UseQDQContribOps": True},
)


@dataclass(frozen=True)
class Case:
    """A model, the tools it goes through, and operators that must come out."""

    model: str
    tools: tuple
    operators: str
    name: str


CASES = [
    Case("bert", (extended,), "FusedMatMul BiasGelu", "extended"),
    Case(
        "bert",
        (fused,),
        "Attention EmbedLayerNormalization SkipLayerNormalization BiasGelu",
        "fused",
    ),
    Case("bert", (dynamic, extended), "DynamicQuantizeMatMul", "dynamic"),
    Case(
        "bert",
        (fused, dynamic, extended),
        "QAttention QEmbedLayerNormalization DynamicQuantizeMatMul",
        "fused-dynamic",
    ),
    Case("bert", (fused, four_bits), "MatMulNBits Attention", "fused-four-bits"),
    Case("gpt2", (extended,), "FusedMatMul FastGelu", "extended"),
    Case("gpt2", (fused,), "SkipLayerNormalization FastGelu", "fused"),
    Case("gpt2", (dynamic, extended), "DynamicQuantizeMatMul", "dynamic"),
    Case("llama", (extended,), "QuickGelu", "extended"),
    Case("llama", (fused,), "SkipSimplifiedLayerNormalization", "fused"),
    Case("llama", (four_bits_with_zeros,), "MatMulNBits", "four-bits"),
    Case("cnn", (extended,), "FusedConv", "extended"),
    Case(
        "cnn",
        (OPERATORS, extended),
        "QLinearAdd QLinearMul QLinearConcat QLinearSigmoid QLinearLeakyRelu "
        "QLinearAveragePool QLinearGlobalAveragePool QGemm QLinearSoftmax",
        "operators",
    ),
    Case("cnn", (SIGNED,), "QLinearAdd QGemm", "operators-signed"),
    Case("cnn", (PAIRS,), "", "pairs"),
    Case("cnn", (CHANNELS,), "", "pairs-channels"),
    Case("cnn", (WIDE,), "QuantizeLinear DequantizeLinear", "pairs-16-bits"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.model}-{c.name}")
def test_agrees(case, exported, tmp_path):
    path = exported(case.model)
    for i, tool in enumerate(case.tools):
        written = tmp_path / f"{case.model}{i}.onnx"
        tool(path, written)
        path = written
    nodes = onnx.load(path).graph.node
    written = {node.op_type for node in nodes if node.domain == MICROSOFT}
    assert set(case.operators.split()) <= written
    inputs = inputs_of(case.model)
    # As it stands in the file: the session's own fusions would round elsewhere.
    plain = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = session(path, plain).run(None, inputs)
    compiled = oxide_xla.compile(path)
    arrays = [x.astype(jax.dtypes.canonicalize_dtype(x.dtype)) for x in inputs.values()]
    outputs = jax.tree.leaves(compiled.forward(compiled.params, *arrays))
    for actual, wanted in zip(outputs, expected, strict=True):
        assert actual.shape == wanted.shape
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)
