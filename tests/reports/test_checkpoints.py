"""Files that other programs wrote: what load_params takes, and what it refuses."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper

import oxide_xla
from models import pillars

W = np.arange(6, dtype=np.float32).reshape(3, 2)
B = np.ones(2, np.float32)


def linear(folder, *options):
    """The generated module of x @ w + b, with its weights beside it."""
    nodes = [
        helper.make_node("MatMul", ["x", "fc.w"], ["p"]),
        helper.make_node("Add", ["p", "fc.b"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "xy")
    tensors = [numpy_helper.from_array(W, "fc.w"), numpy_helper.from_array(B, "fc.b")]
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    x.type.tensor_type.shape.dim.add().dim_param = "n"
    x.type.tensor_type.shape.dim.add().dim_value = 3
    onnx.save(helper.make_model(graph), folder / "m.onnx")
    return pillars.compile_file(folder / "m.onnx", folder / "m_jax.py", *options)


def write(path, entries):
    """A safetensors file with this header, sound or not."""
    header, data = json.dumps(entries).encode(), W.tobytes() + B.tobytes()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def entry(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


# mlx-rs loads nothing of a file whose keys are others, in silence:
# oxiglade/mlx-rs#304
@pytest.mark.parametrize(
    ("state", "faults"),
    [
        ({"fc.w": W}, ["fc.b is missing"]),
        ({"fc.w": W, "fc.bias": B}, ["fc.b is missing", "fc.bias is unexpected"]),
        ({"fc.w": W, "fc.b": B, "more": B}, ["more is unexpected"]),
        (
            {"fc.w": W.T.copy(), "fc.b": B[:1]},
            ["fc.w is float32[2, 3], not float32[3,2]", "fc.b is float32[1]"],
        ),
        ({"fc.w": W.astype(np.int32), "fc.b": B}, ["fc.w is int32[3, 2], not float32"]),
    ],
)
@pytest.mark.parametrize("options", [(), ("--params", "nested"), ("--weights", "npz")])
def test_all_that_does_not_fit_is_listed(state, faults, options, tmp_path):
    module = linear(tmp_path, *options)
    if "npz" in options:
        path = tmp_path / "m_jax.npz"
        np.savez(path, **state)
    else:
        path = tmp_path / "m_jax.safetensors"
        safetensors.numpy.save_file(state, path)
    for arguments in ((), (path,)):
        with pytest.raises(ValueError) as caught:
            module.load_params(*arguments)
        assert str(path) in str(caught.value)
        assert all(fault in str(caught.value) for fault in faults), caught.value


def test_what_is_not_needed_can_be_left_out(tmp_path):
    module = linear(tmp_path)
    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"fc.w": W, "fc.b": B, "more": B}, path)
    assert module.load_params(path, strict=False).keys() == {"fc.w", "fc.b"}
    safetensors.numpy.save_file({"fc.w": W, "more": B}, path)
    with pytest.raises(ValueError, match="fc.b is missing"):
        module.load_params(path, strict=False)


def test_floats_of_another_precision_load(tmp_path):
    module = linear(tmp_path)
    path = tmp_path / "half.safetensors"
    safetensors.numpy.save_file({"fc.w": W.astype(jnp.bfloat16), "fc.b": B}, path)
    assert module.load_params(path)["fc.w"].dtype == jnp.bfloat16


# MLX reads past the end of its data: ml-explore/mlx#3363. Ranges that overlap give one
# tensor the bytes of another: ohdearquant/lattice#752.
@pytest.mark.parametrize(
    "entries",
    [
        {"fc.w": entry([3, 2], 0, 24), "fc.b": entry([2], 16, 24)},
        {"fc.w": entry([3, 2], 0, 24), "fc.b": entry([2], -8, -1)},
        {"fc.w": entry([3, 2], -32, -8), "fc.b": entry([2], -8, 0)},
        {"fc.w": entry([3, 2], 8, 32), "fc.b": entry([2], 32, 40)},
        {"fc.w": entry([3, 2], 0, 24), "fc.b": entry([4], 24, 40)},
        {"fc.w": entry([3, 2], 0, 24), "fc.b": entry([2], 24, 32, "F33")},
        {"fc.w": {"dtype": "F32"}, "fc.b": entry([2], 24, 32)},
        {"fc.w": 3},
        [1, 2],
    ],
)
def test_a_damaged_file_is_named(entries, tmp_path):
    module = linear(tmp_path)
    path = write(tmp_path / "other.safetensors", entries)
    with pytest.raises(ValueError, match="other.safetensors is no sound safetensors"):
        module.load_params(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\xff" * 64,
        (1 << 40).to_bytes(8, "little") + b"{}",
        (64).to_bytes(8, "little") + b"[" * 64,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
    ],
)
@pytest.mark.parametrize("weights", ["safetensors", "reference", "npz"])
def test_a_file_of_another_kind_is_named(data, weights, tmp_path):
    module = linear(tmp_path, "--weights", weights)
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(ValueError, match="other is no sound"):
        module.load_params(tmp_path / "other")


# torchax leaves it open whether an optimizer moves the statistics of BatchNorm, which
# follow a rule of their own: google/torchax#22
def test_statistics_are_not_trained(tmp_path):
    node = helper.make_node(
        "BatchNormalization", ["x", "n.weight", "n.bias", "n.mean", "n.var"], ["y"]
    )
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, 2]) for n in "xy")
    names = ("n.weight", "n.bias", "n.mean", "n.var")
    tensors = [numpy_helper.from_array(B, name) for name in names]
    graph = helper.make_graph([node], "g", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    module = oxide_xla.compile(model).module
    params = {name: jnp.asarray(B) for name in names}
    assert module.trainable(params).keys() == {"n.weight", "n.bias"}
    nested = oxide_xla.compile(model, params="nested").module
    trained = nested.trainable({"n": {name[2:]: jnp.asarray(B) for name in names}})
    assert trained["n"].keys() == {"weight", "bias"}


# Haiku kept a counter of batches among what is differentiated, and jax.grad refuses
# integers: google-deepmind/dm-haiku#513
@pytest.mark.parametrize(
    ("table", "code"),
    [
        (np.arange(512)[None], "jnp.arange(512)[None]"),
        (np.arange(2, 5002), "jnp.arange(2, 5002)"),
        (np.zeros((1, 512), np.int64), "0.0"),
        (np.full(2000, 7, np.int32), "7.0"),
        (np.ones((9, 9), bool), 'return params["w"]'),
    ],
)
def test_regular_integers_are_no_parameters(table, code):
    nodes = [
        helper.make_node("Cast", ["ids"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "w"], ["y"]),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, table.shape)
    ids = numpy_helper.from_array(table, "ids")
    w = numpy_helper.from_array(np.full(table.shape, 2, np.float32), "w")
    graph = helper.make_graph(nodes, "g", [], [y], [ids, w])
    compiled = oxide_xla.compile(helper.make_model(graph))
    assert compiled.params.keys() == {"w"}
    assert code in compiled.source
    forward = compiled.module.forward
    np.testing.assert_array_equal(forward(compiled.params), table * np.float32(2))
    jax.grad(lambda params: forward(params).sum())(compiled.params)


@pytest.mark.torch
def test_names_that_transformers_keeps_load(tmp_path):
    """`save_pretrained` writes one name of a tied pair.

    huggingface/transformers#30202: "there is no way to load lm_head.weight"
    """
    torch = pytest.importorskip("torch")
    import fx_export
    import torchvision_cpu

    torchvision_cpu.repair()
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    network = transformers.LlamaForCausalLM(config).eval()
    ids = torch.arange(6)[None]
    data = fx_export.export(network, (), {"input_ids": ids})
    (tmp_path / "m.onnx").write_bytes(data)
    module = pillars.compile_file(tmp_path / "m.onnx", tmp_path / "m_jax.py")
    tied = {"lm_head.weight": "model.embed_tokens.weight"}
    assert tied == module.TIED
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.1, 0.1)
        expected = network(input_ids=ids).logits.numpy()
    network.save_pretrained(tmp_path / "checkpoint")
    params = module.load_params(tmp_path / "checkpoint" / "model.safetensors")
    assert "model.embed_tokens.weight" in params
    actual = module.forward(params, ids.numpy())
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert module.trainable(params).keys() == dict(network.named_parameters()).keys()
    module.save_params(params, tmp_path / "out.safetensors")
    saved = safetensors.numpy.load_file(tmp_path / "out.safetensors")
    assert saved.keys() == network.state_dict().keys()
    saved.pop("model.embed_tokens.weight")
    safetensors.numpy.save_file(saved, tmp_path / "other.safetensors")
    again = module.load_params(tmp_path / "other.safetensors")
    jax.tree.map(np.testing.assert_array_equal, params, again)


class Constants(torch.nn.Module):
    """Buffers of the state_dict that forward has as numbers, or has computed with."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 4)
        self.register_buffer("mask", torch.tensor([True, False, True, True]))
        self.register_buffer("steps", torch.arange(100))
        self.register_buffer("table", torch.arange(3, 103).reshape(4, 25))
        self.register_buffer("flags", torch.ones(3, 40, dtype=torch.int64))
        self.register_buffer("unused", torch.arange(100))

    def forward(self, x):
        y = self.fc(x).masked_fill(~self.mask, 0.0) + self.steps[:4] + self.table[:, :4]
        return y + self.flags.sum()


# llvm/torch-mlir#4745: a buffer of the module becomes a literal of the program.
@pytest.mark.parametrize("name", ["mask", "steps", "table", "flags"])
def test_buffers_that_are_code_are_compared(name, tmp_path):
    torch.manual_seed(0)
    net = Constants().eval()
    oxide_xla.from_torch(net, (torch.ones(4, 4),)).save(tmp_path / "m_jax.py")
    module = pillars.import_file(tmp_path / "m_jax.py")
    path = tmp_path / "state.safetensors"
    net.unused += 1
    safetensors.torch.save_file(net.state_dict(), path)
    np.testing.assert_allclose(
        module.forward(module.load_params(path), np.ones((4, 4), np.float32)),
        net(torch.ones(4, 4)).detach(),
        rtol=1e-6,
    )
    value = getattr(net, name)
    value.view(-1)[1] = not value.view(-1)[1]
    safetensors.torch.save_file(net.state_dict(), path)
    with pytest.raises(ValueError, match=f"{name} differs in .*: forward has it"):
        module.load_params(path)


def quantized(bias, path):
    """A dequantized bias, as quantize_static leaves it beside a weight."""
    nodes = [
        helper.make_node("DequantizeLinear", ["fc.bias", "scale", "zero"], ["b"]),
        helper.make_node("Add", ["x", "b"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "xy")
    tensors = [
        numpy_helper.from_array(np.array(bias, np.int32), "fc.bias"),
        numpy_helper.from_array(np.array(0.5, np.float32), "scale"),
        numpy_helper.from_array(np.array(0, np.int32), "zero"),
    ]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], tensors)), path)
    return pillars.compile_file(path, path.with_name(f"{path.stem}_jax.py"))


# microsoft/onnxruntime#5994: quantized biases have 32 bits in files with QDQ nodes.
def test_few_integers_of_a_quantized_bias_are_parameters(tmp_path):
    module = quantized([4, 4], tmp_path / "m.onnx")
    quantized([6, -2], tmp_path / "other.onnx")
    x = np.zeros(2, np.float32)
    np.testing.assert_array_equal(module.forward(module.load_params(), x), [2, 2])
    other = module.load_params(tmp_path / "other_jax.safetensors")
    np.testing.assert_array_equal(module.forward(other, x), [3, -1])


# What compile does not write is not its to replace: the weights as well as the module.
def test_parameters_that_save_params_wrote_are_kept(tmp_path):
    module = linear(tmp_path)
    path = tmp_path / "m_jax.safetensors"
    module.save_params({"fc.w": 2 * W, "fc.b": B}, path)
    trained = path.read_bytes()
    with pytest.raises(AssertionError, match=r"OX0006(?s:.)*--weights none"):
        linear(tmp_path)
    assert path.read_bytes() == trained
    linear(tmp_path, "--weights", "none")
    assert path.read_bytes() == trained
    linear(tmp_path, "--force")
    np.testing.assert_array_equal(linear(tmp_path).load_params()["fc.w"], W)
