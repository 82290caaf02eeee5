"""Repeated modules of real models: as functions, as a scan, and written out.

The models have few and narrow layers with random weights, so that an export takes
seconds; nothing here depends on their size.
"""

import functools
import re
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import fx_export
import oxide_xla
from models import pillars, zoo
from models.zoo import torchvision_cpu

HELPERS = Path(__file__).parents[2] / "src" / "python" / "lib"
LAYERS = ("functions", "scan", "unrolled")
each_exporter = pytest.mark.parametrize("exporter", pillars.EXPORTERS)
each_style = pytest.mark.parametrize("layers", LAYERS)


def bert(layers):
    """A BERT without its mask: (batch, 15) tokens to 4 logits."""
    torchvision_cpu.repair()
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(
        BertConfig(
            vocab_size=100,
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=32,
            num_labels=4,
        )
    )


def llama(layers):
    """A Llama with grouped queries and without a cache: (batch, 15) to next tokens."""
    torchvision_cpu.repair()
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=100,
            hidden_size=32,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=32,
            use_cache=False,
        )
    )


def small(name, factory, layers):
    """A model of the zoo for this many layers."""
    return zoo.ZooModel(
        f"{name}{layers}",
        name,
        (1, 15),
        "input_ids",
        lambda: factory(layers),
        vocabulary=100,
    )


BERT, LLAMA = small("bert", bert, 4), small("llama", llama, 4)
TWELVE = 12  # layers, where it is their number that counts


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """A function that exports a model once."""
    folder = tmp_path_factory.mktemp("exports")

    def exported(model, exporter, dynamic=False):
        key = f"{model.name}-{exporter}-{dynamic}"
        path = folder / key / f"{model.architecture}.onnx"
        if not path.exists():
            path.parent.mkdir()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                zoo.EXPORTERS[exporter](model, path, dynamic)
        return path

    return exported


def model_lines(lines):
    """Those of the model: helpers, functions and forward, not how weights are read."""
    ends = ("FROZEN = ", "def trainable", "PARAMS = ")
    return lines[: next(i for i, line in enumerate(lines) if line.startswith(ends))]


def without_helpers(lines):
    """The functions made of modules, and forward: all that follows the helpers."""
    sources = "\n".join(path.read_text() for path in HELPERS.glob("*.py"))
    names = set(re.findall(r"^def (\w+)\(", sources, re.M))
    made = (re.match(r"def (\w+)\(", line) for line in lines)
    return lines[next(i for i, m in enumerate(made) if m and m[1] not in names) :]


def compiled(path, folder, *options):
    """The generated module and its lines."""
    output = folder / "model_jax.py"
    module = pillars.compile_file(path, output, *options)
    return module, output.read_text().splitlines()


def check_output(generated, model, batch=1):
    """The output is what PyTorch computes."""
    module, inputs = model.build(), model.inputs(batch)
    expected = model.outputs(module, *inputs).numpy()
    params = generated.load_params()
    actual = np.asarray(generated.forward(params, *(x.numpy() for x in inputs)))
    assert actual.shape == expected.shape
    assert np.mean((actual - expected) ** 2) < pillars.MSE_LIMIT


def count_equations(jaxpr):
    """Equations of a jaxpr and of those inside: the size of what XLA is given."""
    inner = [
        sub
        for eqn in jaxpr.eqns
        for value in eqn.params.values()
        for sub in jax.tree.leaves(value, is_leaf=lambda x: hasattr(x, "jaxpr"))
        if hasattr(sub, "jaxpr") or hasattr(sub, "eqns")
    ]
    return len(jaxpr.eqns) + sum(
        count_equations(getattr(sub, "jaxpr", sub)) for sub in inner
    )


@each_style
@each_exporter
def test_bert_equals_pytorch(exporter, layers, export, tmp_path):
    path = export(BERT, exporter)
    generated, _ = compiled(path, tmp_path, "--layers", layers)
    check_output(generated, BERT)


@each_style
@pytest.mark.parametrize("exporter", ["bridge", "dynamo"])
def test_llama_equals_pytorch(exporter, layers, export, tmp_path):
    path = export(LLAMA, exporter)
    generated, _ = compiled(path, tmp_path, "--layers", layers)
    check_output(generated, LLAMA)


@each_style
@pytest.mark.parametrize("name", ["resnet18", "deit_small"])
def test_vision_models_equal_pytorch(name, layers, tmp_path):
    model = zoo.MODELS[name]
    path = zoo.exported(model, "torchscript")
    generated, _ = compiled(path, tmp_path, "--layers", layers)
    check_output(generated, model)


class Step(torch.nn.Module):
    """One of a list of equal shapes and different activations."""

    def __init__(self, activation):
        super().__init__()
        self.linear, self.activation = torch.nn.Linear(8, 8), activation

    def forward(self, x):
        return x + self.activation(self.linear(x))


class TwoKinds(torch.nn.Module):
    """Rows of two kinds whose parameters have the same shapes under one list."""

    def __init__(self):
        super().__init__()
        kinds = [torch.tanh] * 3 + [torch.sin] * 3
        self.features = torch.nn.ModuleList(map(Step, kinds))

    def forward(self, x):
        for step in self.features:
            x = step(x)
        return x


@pytest.fixture(scope="module")
def two_kinds():
    """The module, its input, and its export."""
    torch.manual_seed(0)
    module, x = TwoKinds(), torch.randn(2, 8)
    return module, x, fx_export.export(module.eval(), (x,))


@each_style
@pytest.mark.parametrize("params", ["flat", "nested"])
def test_two_rows_in_one_list_keep_their_own_parameters(params, layers, two_kinds):
    module, x, data = two_kinds
    model = oxide_xla.compile(data, layers=layers, params=params)
    assert ("lax.scan(" in model.source) == (layers == "scan")
    with torch.no_grad():
        expected = module(x).numpy()
    actual = model.forward(model.params, x.numpy())
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@each_style
def test_layers_that_need_numbers_at_run_time_are_not_traced(layers):
    """A scan would trace them: forward is not jitted, and so the loop stays one."""
    rng = np.random.default_rng(0)
    arrays = {f"layer.{i}.w": rng.standard_normal((4, 4)) for i in range(3)}
    arrays = {key: w.astype(np.float32) for key, w in arrays.items()}
    nodes, last = [], "x"
    for i in range(3):
        for op, inputs, output in (
            ("MatMul", [last, f"layer.{i}.w"], f"a{i}"),
            ("Mul", [f"a{i}", "none"], f"b{i}"),
            ("Cast", [f"b{i}"], f"c{i}"),
            ("Slice", [f"c{i}", "start", "end"], f"d{i}"),  # [[0, 0]]
            ("Reshape", [f"d{i}", "pair"], f"e{i}"),
            ("Reshape", [f"a{i}", f"e{i}"], f"f{i}"),  # 0 keeps a size
            ("Reshape", [f"f{i}", "square"], f"g{i}"),
            ("Tanh", [f"g{i}"], f"h{i}"),
        ):
            extra = {"to": TensorProto.INT64} if op == "Cast" else {}
            name = f"/layer.{i}/{op}_{output}"
            nodes.append(helper.make_node(op, inputs, [output], name=name, **extra))
        last = f"h{i}"
    x, y = (helper.make_tensor_value_info(n, 1, [2, 4]) for n in ("x", last))
    constants = {"square": [2, 4], "pair": [2], "start": [0, 0], "end": [1, 2]}
    tensors = {k: np.array(v, np.int64) for k, v in constants.items()}
    tensors |= {**arrays, "none": np.zeros((), np.float32)}
    initializers = [numpy_helper.from_array(w, k) for k, w in tensors.items()]
    graph = helper.make_graph(nodes, "layers", [x], [y], initializers)
    model = oxide_xla.compile(helper.make_model(graph), layers=layers)
    x = rng.standard_normal((2, 4)).astype(np.float32)
    actual = model.forward(model.params, x)
    expected = functools.reduce(lambda y, w: np.tanh(y @ w), arrays.values(), x)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@each_exporter
def test_bert_fits_in_100_lines(exporter, export, tmp_path):
    """Without what a mesh of devices needs; dynamo takes attention apart."""
    path = export(small("bert", bert, TWELVE), exporter)
    _, lines = compiled(path, tmp_path, "--sharding", "off")
    assert len(model_lines(lines)) <= (110 if exporter == "dynamo" else 100)


def test_attention_is_a_function_of_its_own(export, tmp_path):
    path = export(small("bert", bert, TWELVE), "bridge")
    _, lines = compiled(path, tmp_path)
    assert "def bert_attention(params, x):" in lines
    assert '    x = bert_attention(scope(params, "attention"), x)' in lines
    assert not any("def bert_self_attention" in line for line in lines)
    path = export(small("llama", llama, TWELVE), "bridge")
    _, lines = compiled(path, tmp_path)
    assert any(line.startswith("def llama_attention(params, x, ") for line in lines)
    assert not any("def llama_mlp(" in line for line in lines)  # three statements


def test_bert_through_the_bridge_fits_in_250_lines_in_all(export, tmp_path):
    """As many lines say what the parameters are, and read and check them."""
    path = export(small("bert", bert, TWELVE), "bridge", dynamic=True)
    _, lines = compiled(path, tmp_path, "--sharding", "off")
    assert len(lines) <= 250


def test_the_stream_is_x_from_the_embeddings_on(export, tmp_path):
    """What a loop hands on has the name of what it was given."""
    _, lines = compiled(export(BERT, "bridge"), tmp_path)
    forward = "\n".join(lines).split("\ndef forward(")[1].split("\n\n\n")[0]
    names = re.findall(r"^ +(\w+) = ", forward, re.M)
    assert names == ["embeddings", "x", "x", "x", "x", "dense"]


@pytest.mark.parametrize(
    ("params", "module"),
    [
        ("flat", 'embeddings = scope(params, "bert.embeddings")'),
        ("nested", 'embeddings = params["bert"]["embeddings"]'),
    ],
)
def test_a_module_that_is_read_much_has_a_name(params, module, export, tmp_path):
    path = export(BERT, "bridge")
    generated, lines = compiled(path, tmp_path, "--params", params)
    assert f"    {module}" in lines
    assert sum("embeddings[" in line for line in lines) >= 3
    check_output(generated, BERT)


@pytest.fixture(scope="module")
def batch_norms():
    """A module of three, its input, and its export."""
    norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(3 + i) for i in range(3))
    convs = torch.nn.ModuleList(torch.nn.Conv2d(3 + i, 4 + i, 1) for i in range(3))
    module = torch.nn.Sequential(*(m for pair in zip(norms, convs) for m in pair))
    for norm in norms:
        torch.nn.init.normal_(norm.running_mean)
        torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 3, 5, 5)
    return module, x, fx_export.export(module.eval(), (x,))


@each_style
def test_a_batch_norm_is_a_function(layers, batch_norms, tmp_path):
    """One node, but five arguments: a call with a scope is shorter."""
    module, x, data = batch_norms
    (tmp_path / "m.onnx").write_bytes(data)
    generated, lines = compiled(tmp_path / "m.onnx", tmp_path, "--layers", layers)
    assert ("def batch_norm2d(params, x):" in lines) == (layers != "unrolled")
    actual = generated.forward(generated.load_params(), x.numpy())
    np.testing.assert_allclose(actual, module(x).detach(), rtol=1e-5, atol=1e-5)


def test_one_file_serves_every_batch_size(export, tmp_path):
    path = export(BERT, "bridge", dynamic=True)
    for layers in LAYERS:
        generated, _ = compiled(path, tmp_path, "--layers", layers)
        for batch in (1, 3):
            check_output(generated, BERT, batch)


@pytest.mark.parametrize("layers", ["functions", "scan"])
def test_depth_changes_the_count_only(layers, export, tmp_path):
    deep = small("llama", llama, TWELVE)
    _, few = compiled(export(LLAMA, "bridge"), tmp_path, "--layers", layers)
    _, many = compiled(export(deep, "bridge"), tmp_path, "--layers", layers)
    assert few[:2] != many[:2]  # the fingerprint of the model, the seal of the file
    assert few[2:] == [line.replace("range(12)", "range(4)") for line in many[2:]]


def test_a_scan_gives_xla_one_layer(export, tmp_path):
    sizes = {}
    for layers in (3, 12):
        model = small("bert", bert, layers)
        for style in LAYERS:
            generated, _ = compiled(
                export(model, "bridge"), tmp_path, "--layers", style
            )
            inputs = [x.numpy() for x in model.inputs()]
            jaxpr = jax.make_jaxpr(generated.forward)(generated.load_params(), *inputs)
            sizes[style, layers] = count_equations(jaxpr.jaxpr)
    assert sizes["scan", 3] == sizes["scan", 12]
    assert sizes["functions", 12] > 3 * sizes["functions", 3]


@each_exporter
@pytest.mark.parametrize("name", ["resnet18", "deit_small", "text_classifier"])
def test_every_repeated_module_is_a_function(name, exporter, tmp_path):
    model = zoo.MODELS[name]
    _, lines = compiled(zoo.exported(model, exporter), tmp_path)
    lines = without_helpers(model_lines(lines))
    assert len(lines) < 70
    code = "\n".join(lines)
    assert "for i in range(" in code
    assert "layer_0" not in code and "layers_0" not in code


@each_style
@pytest.mark.parametrize("params", ["flat", "nested"])
def test_generated_files_are_clean(params, layers, export, tmp_path):
    path = export(LLAMA, "bridge")
    generated, lines = compiled(path, tmp_path, "--layers", layers, "--params", params)
    check_output(generated, LLAMA)
    again, repeated = compiled(path, tmp_path, "--layers", layers, "--params", params)
    assert lines == repeated
    for check in (["check"], ["format", "--check", "--diff"]):
        output = str(tmp_path / "model_jax.py")
        command = [sys.executable, "-m", "ruff", *check, "--isolated", output]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def without_scopes(path, folder):
    """A copy of the model whose nodes and values do not say where they come from."""
    model = onnx.load(path)
    outputs = {value.name for value in model.graph.output}
    made = (name for node in model.graph.node for name in node.output)
    names = {name: f"t{i}" for i, name in enumerate(made) if name not in outputs}
    for node in model.graph.node:
        node.name = ""
        del node.metadata_props[:]
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    del model.graph.value_info[:]
    onnx.save(model, folder / "anonymous.onnx")
    return folder / "anonymous.onnx"


@each_style
@pytest.mark.parametrize("model", [BERT, LLAMA], ids=lambda model: model.architecture)
def test_layers_are_found_without_scopes(model, layers, export, tmp_path):
    path = without_scopes(export(model, "dynamo"), tmp_path)
    generated, lines = compiled(path, tmp_path, "--layers", layers)
    check_output(generated, model)
    assert len(model_lines(lines)) < 150 or layers == "unrolled"


@each_style
def test_values_in_the_middle_can_be_outputs(layers, export, tmp_path):
    """Hidden states of all layers, as outputs of the graph."""
    path = export(BERT, "bridge")
    nodes = oxide_xla.compile(path).inspect()["nodes"]
    norms = [n["outputs"][0] for n in nodes if n["op"] == "LayerNormalization"]
    compiled_model = oxide_xla.compile(path, outputs=norms, layers=layers)
    module, (tokens,) = BERT.build(), BERT.inputs()
    with torch.no_grad():
        expected = module(tokens, output_hidden_states=True).hidden_states
    actual = compiled_model.forward(compiled_model.params, tokens.numpy())
    for state, array in zip(expected, actual[::2], strict=True):
        assert np.mean((np.asarray(array) - state.numpy()) ** 2) < pillars.MSE_LIMIT


@pytest.fixture(scope="module")
def gradient(export):
    """A function that gives the gradient of BERT in a style, made once."""

    @functools.cache
    def made(style):
        model = oxide_xla.compile(export(BERT, "bridge"), layers=style)
        inputs = [x.numpy() for x in BERT.inputs()]
        params = {k: v for k, v in model.params.items() if v.dtype.kind == "f"}
        fixed = {k: v for k, v in model.params.items() if k not in params}
        return jax.grad(lambda p: model.forward({**p, **fixed}, *inputs).sum())(params)

    return made


@pytest.mark.parametrize("layers", ["functions", "scan"])
def test_gradients_are_those_of_straight_code(layers, gradient):
    straight, other = gradient("unrolled"), gradient(layers)
    key = "bert.encoder.layer.{}.attention.self.query.weight"
    for i in range(4):
        one = other[key.format("*")][i] if layers == "scan" else other[key.format(i)]
        np.testing.assert_allclose(one, straight[key.format(i)], atol=1e-6)


class Encoder(torch.nn.Module):
    """The encoder of a T5: (batch, 15) tokens to their states."""

    def __init__(self, layers):
        super().__init__()
        torchvision_cpu.repair()
        from transformers import T5Config, T5EncoderModel

        sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4}
        config = T5Config(vocab_size=100, num_layers=layers, **sizes)
        self.t5 = T5EncoderModel(config)

    def forward(self, input_ids):
        return self.t5(input_ids).last_hidden_state


@pytest.mark.parametrize("layers", ["functions", "scan"])
def test_what_the_first_layer_makes_for_all_is_an_argument(layers, export, tmp_path):
    """The bias of relative positions: all layers are one function then."""
    model = small("t5", Encoder, 4)
    generated, lines = compiled(
        export(model, "torchscript"), tmp_path, "--layers", layers, "--sharding", "off"
    )
    assert sum(line.startswith("def block") for line in lines) == 1
    assert sum("block(scope" in line or "lax.scan(" in line for line in lines) == 1
    assert sum("relative_attention_bias.weight" in line for line in lines) <= 2
    check_output(generated, model)
