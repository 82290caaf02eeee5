"""Names of parameters that exporters renamed: recovered from the scopes of nodes."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

import oxide_xla
from check_params import untie
from models import pillars
from state_dict import from_state_dict, to_state_dict

W = np.arange(6, dtype=np.float32).reshape(2, 3)  # [in, out]


def linear(node_name, weight="onnx::MatMul_7", bias=None, metadata=None):
    """x @ weight, and a bias under a name of its own."""
    product = helper.make_node("MatMul", ["x", weight], ["p"], name=node_name)
    for key, value in (metadata or {}).items():
        product.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=value)
    nodes, tensors = [product], [numpy_helper.from_array(W, weight)]
    if bias:
        nodes.append(helper.make_node("Add", ["p", bias], ["y"]))
        tensors.append(numpy_helper.from_array(W[0], bias))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y" if bias else "p", TensorProto.FLOAT, None)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def keys(model):
    return set(oxide_xla.compile(model).params)


@pytest.mark.parametrize(
    ("node_name", "bias", "weight"),
    [
        ("/encoder/layer.0/query/MatMul", None, "encoder.layer.0.query.weight"),
        ("/blocks/blocks.0/MatMul", "blocks.0.bias", "blocks.0.weight"),
        ("/a/a.0/a.0.1/MatMul_2", None, "a.0.1.weight"),
        ("/a/a.0/MatMul", "a.a.0.bias", "a.a.0.weight"),
        ("/attn/MatMul", "attn.in_proj_bias", "attn.in_proj_weight"),
    ],
)
def test_the_path_in_a_node_name(node_name, bias, weight):
    model = linear(node_name, bias=bias)
    assert keys(model) == {weight, *([bias] if bias else [])}
    assert {weight: "transposed"} == oxide_xla.compile(model).module.CHANGED


def test_a_product_that_nobody_names():
    model = linear("/fc/MatMul")
    nameless = helper.make_node("MatMul", ["x", "onnx::MatMul_7"], [], name="/a/MatMul")
    model.graph.node.insert(0, nameless)
    assert len(keys(model)) == 1


def test_scopes_in_metadata():
    metadata = {
        "name_scopes": "['', 'head', 'head.fc', 'linear_3']",
        "class_hierarchy": "['M', 'Head', 'torch.nn.modules.linear.Linear', 'aten']",
    }
    assert keys(linear("node_1", "val_9", metadata=metadata)) == {"head.fc.weight"}


def test_another_class_is_no_linear_layer():
    metadata = {
        "name_scopes": "['', 'head', 'matmul']",
        "class_hierarchy": "['M', 'my.Head', 'aten.matmul.default']",
    }
    assert keys(linear("node_1", "val_9", metadata=metadata)) == {"val_9"}


@pytest.mark.parametrize("name", ["MatMul_3", "", "/", "//MatMul", "/MatMul", "a/b/c"])
def test_names_without_a_path_change_nothing(name):
    assert keys(linear(name)) == {"onnx::MatMul_7"}


def constants(producer):
    """A quantized weight, a table of numbers and one of positions, without names."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 40])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 40])
    tensors = {
        "val_1": np.arange(1600, dtype=np.int8).reshape(40, 40),
        "val_2": np.float32(0.5),
        "val_3": np.arange(40, dtype=np.float32),
        "val_4": np.tile(np.arange(39, -1, -1), 30),
        "val_5": np.arange(40),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["val_1", "val_2"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "val_3"], ["b"]),
        helper.make_node("Gather", ["b", "val_4"], ["c"], axis=1),
        helper.make_node("Gather", ["c", "val_5"], ["y"], axis=1),
    ]
    arrays = [numpy_helper.from_array(np.asarray(a), k) for k, a in tensors.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], arrays)
    opsets = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name=producer)
    return oxide_xla.compile(model).module


def test_constants_of_the_exporter():
    """No checkpoint gives those that weights may be in; positions need none."""
    module = constants("pytorch")
    assert module.BUFFERS == ("val_4",)
    assert set(module.CHANGED) == {"val_1", "val_3"}
    assert set(module.CHANGED.values()) == {"computed by the exporter"}
    other = constants("another")
    assert not hasattr(other, "CHANGED")
    assert not hasattr(other, "BUFFERS")


def signed(metadata):
    """y = x * `add_3` + `zeros_2` + `head.bias`, with a signature of torch.export."""
    tensors = {"add_3": W[0], "zeros_2": W[1], "full": W[0, 0], "head.bias": W[0]}
    nodes = [
        helper.make_node("Mul", ["x", "add_3"], ["a"]),
        helper.make_node("Add", ["a", "zeros_2"], ["b"]),
        helper.make_node("Mul", ["b", "full"], ["c"]),
        helper.make_node("Add", ["c", "head.bias"], ["y"]),
    ]
    arrays = [numpy_helper.from_array(np.asarray(a), k) for k, a in tensors.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    graph = helper.make_graph(nodes, "g", [x], [y], arrays)
    graph.metadata_props.add(
        key="pkg.torch.export.ExportedProgram.graph_signature", value=metadata
    )
    opsets = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="pytorch")
    return oxide_xla.compile(model)


def test_the_signature_says_what_is_a_parameter():
    """add_3 was computed, perhaps from weights; zeros_2 and full are made of none."""
    compiled = signed(
        "# inputs\np_head_bias: PARAMETER target='head.bias'\nx: USER_INPUT"
    )
    assert compiled.module.CHANGED == {"add_3": "computed by the exporter"}
    assert compiled.params.keys() == {"add_3", "head.bias"}
    assert "jnp.array([" in compiled.source  # zeros_2, which is small
    assert "* 0.0" in compiled.source  # full


def scoped_model(scopes, mark=None):
    """y = x + x of a module of torch.export, whose program has other parameters too."""
    add = helper.make_node("Add", ["x", "x"], ["a"])
    add.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    nodes = [add, helper.make_node("Mul", ["a", "w"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    arrays = [numpy_helper.from_array(W[0], "w")]
    graph = helper.make_graph(nodes, "g", [x], [y], arrays)
    graph.metadata_props.add(
        key="pkg.torch.export.ExportedProgram.graph_signature",
        value="p_w: PARAMETER target='w'\np_s: PARAMETER target='pe.scale'\n"
        "p_h: PARAMETER target='head.weight'\nb_t: BUFFER target='pe.table'",
    )
    opsets = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="pytorch")
    if mark:
        model.metadata_props.add(key=mark, value="")
    return model


def scoped(*args, **options):
    return oxide_xla.compile(scoped_model(*args, **options)).module


def test_parameters_that_the_exporter_left_out(tmp_path):
    """pe computes something, so pe.scale may be in it; head does nothing."""
    module = scoped("['', 'pe', 'add']")
    assert module.CHANGED == {"pe.scale": "left out by the exporter"}
    assert not hasattr(scoped("['', 'other', 'add']"), "CHANGED")
    assert not hasattr(scoped("['', 'pe', 'add']", mark="oxide_xla.bridge"), "CHANGED")
    with pytest.raises(ValueError, match="pe.scale is left out"):
        module.from_state_dict({"w": W[0]}, plain(tmp_path / "p"), module.CHANGED)
    with pytest.raises(ValueError, match="pe.scale is left out"):
        module.to_state_dict({"w": W[0]}, module.CHANGED)


def test_own_weights_load_whatever_was_left_out(tmp_path):
    """The file says that it is no plain state_dict, though no parameter differs."""
    onnx.save(scoped_model("['', 'pe', 'add']"), tmp_path / "m.onnx")
    module = pillars.compile_file(tmp_path / "m.onnx", tmp_path / "m_jax.py")
    np.testing.assert_array_equal(module.load_params()["w"], W[0])


@pytest.mark.parametrize(
    "metadata",
    ["", "target=", "target='", "target='x", "target=''", "target=''target=''x"],
)
def test_a_signature_that_names_nothing(metadata):
    compiled = signed(metadata)
    assert compiled.params.keys() == {"add_3", "zeros_2", "full", "head.bias"}
    assert not hasattr(compiled.module, "CHANGED")


def products(names, tensors, last="MatMul"):
    """x through a product with each tensor, by nodes of these names."""
    nodes, value = [], "x"
    for i, (name, weight) in enumerate(zip(names, tensors, strict=True)):
        nodes.append(helper.make_node("MatMul", [value, weight], [f"p{i}"], name=name))
        value = f"p{i}"
    nodes.append(helper.make_node("Tanh", [value], ["y"], name=last))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    arrays = [numpy_helper.from_array(a, k) for k, a in tensors.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], arrays)
    opsets = [helper.make_opsetid("", 20)]
    return oxide_xla.compile(
        helper.make_model(graph, opset_imports=opsets, producer_name="pytorch")
    )


SQUARE = np.array([[1, 2], [3, 4]], np.float32)


def test_a_module_that_computes_more_is_no_linear_layer():
    """F.linear in a module of one's own: its weight is not called attn.weight."""
    compiled = products(["/attn/MatMul"], {"onnx::MatMul_7": SQUARE}, "/attn/Tanh")
    assert compiled.params.keys() == {"onnx::MatMul_7"}
    assert compiled.module.CHANGED == {"onnx::MatMul_7": "computed by the exporter"}


def test_a_module_with_packed_types_converts_too(tmp_path):
    """float8 takes another loader; a square weight would load turned in silence."""
    model = linear("/fc/MatMul")
    del model.graph.initializer[:]
    model.graph.initializer.append(numpy_helper.from_array(SQUARE, "onnx::MatMul_7"))
    scale = helper.make_tensor("scale", TensorProto.FLOAT8E4M3FN, [2], [1.0, 2.0])
    model.graph.initializer.append(scale)
    cast = helper.make_node("Cast", ["scale"], ["s"], to=TensorProto.FLOAT)
    model.graph.node.extend([cast, helper.make_node("Mul", ["p", "s"], ["y"])])
    model.graph.output[0].name = "y"
    onnx.save(model, tmp_path / "m.onnx")
    module = pillars.compile_file(tmp_path / "m.onnx", tmp_path / "m_jax.py")
    own = module.load_params()
    np.testing.assert_array_equal(own["fc.weight"], SQUARE)
    plain = {"fc.weight": SQUARE.T.copy(), "scale": np.array(own["scale"])}
    save_file(plain, tmp_path / "plain.safetensors")
    params = module.load_params(tmp_path / "plain.safetensors")
    np.testing.assert_array_equal(params["fc.weight"], SQUARE)


def test_a_folder_converts_as_a_file_does(tmp_path):
    """What says that a file is our own may be in one there; no shards have it."""
    model = linear("/fc/MatMul")
    onnx.save(model, tmp_path / "m.onnx")
    module = pillars.compile_file(tmp_path / "m.onnx", tmp_path / "m_jax.py")
    own = module.load_params()["fc.weight"]
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "m_jax.safetensors").rename(folder / "model.safetensors")
    np.testing.assert_array_equal(module.load_params(folder)["fc.weight"], own)
    (folder / "model.safetensors").unlink()
    save_file({"fc.weight": np.array(own).T.copy()}, folder / "a.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"fc.weight": "a.safetensors"}}')
    np.testing.assert_array_equal(module.load_params(folder)["fc.weight"], own)
    np.testing.assert_array_equal(module.load_params(index)["fc.weight"], own)


def test_a_path_without_its_beginning():
    """OPTForCausalLM calls self.model.decoder, and scopes begin at decoder."""
    model = linear("/decoder/fc/MatMul", bias="model.decoder.fc.bias")
    assert keys(model) == {"model.decoder.fc.weight", "model.decoder.fc.bias"}
    model = linear("/decoder/fc/MatMul", bias="decoder.decoder.fc.bias")
    assert "decoder.fc.weight" in keys(model)


def test_a_path_with_its_beginning_elsewhere():
    """Where scopes begin at encoder, /decoder is a module of the root."""
    model = linear("/decoder/fc/MatMul", bias="encoder.decoder.fc.bias")
    model.graph.node[1].name = "/encoder/decoder/fc/Add"
    assert "decoder.fc.weight" in keys(model)


def test_a_layer_that_is_called_twice_and_stored_twice():
    names = ["/fc/MatMul", "/fc/MatMul_1"]
    same = {"onnx::MatMul_7": SQUARE, "onnx::MatMul_8": SQUARE.copy()}
    compiled = products(names, same)
    assert compiled.module.CHANGED == {"fc.weight": "transposed"}
    assert compiled.params.keys() == {"fc.weight"}
    other = {"onnx::MatMul_7": SQUARE, "onnx::MatMul_8": SQUARE + 1}
    compiled = products(names, other)
    assert compiled.module.CHANGED["onnx::MatMul_8"] == "computed by the exporter"
    assert compiled.params.keys() == {"fc.weight", "onnx::MatMul_8"}


def test_a_number_that_torchscript_has_computed_is_no_literal():
    """onnx::Exp_12 is a scale that is learnt."""
    compiled = products(["/fc/MatMul"], {"onnx::MatMul_7": np.ones((2, 1), np.float32)})
    assert compiled.module.CHANGED == {"fc.weight": "transposed"}
    node = helper.make_node("Mul", ["x", "onnx::Mul_3"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    scale = numpy_helper.from_array(np.float32(2), "onnx::Mul_3")
    graph = helper.make_graph([node], "g", [x], [y], [scale])
    model = helper.make_model(graph, producer_name="pytorch")
    changed = oxide_xla.compile(model).module.CHANGED
    assert changed == {"onnx::Mul_3": "computed by the exporter"}


def test_names_of_users_stay():
    model = linear("/encoder/MatMul", weight="my_weight")
    assert keys(model) == {"my_weight"}
    assert not hasattr(oxide_xla.compile(model).module, "CHANGED")


def test_a_name_that_is_taken_is_not_given_twice():
    model = linear("/fc/MatMul", bias="fc.weight")
    assert keys(model) == {"onnx::MatMul_7", "fc.weight"}


def plain(path):
    """A file without the mark of our own layout."""
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    return path


def test_state_dict_and_back(tmp_path):
    changed = {"a.weight": "transposed", "val_3": "transposed head"}
    state = {"a.weight": W.T, "head": W, "b": W[0]}
    params = from_state_dict(dict(state), plain(tmp_path / "p"), changed)
    assert params.keys() == {"a.weight", "head", "val_3", "b"}
    np.testing.assert_array_equal(params["a.weight"], W)
    np.testing.assert_array_equal(params["val_3"], W.T)
    back = to_state_dict(params, changed)
    assert back.keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value)


def test_a_tied_name_alone_is_enough(tmp_path):
    """transformers leaves one of two tied names out of a checkpoint."""
    for name in ("table", "head"):
        params = untie({name: W}, tmp_path / "p", {"table": "head"})
        assert params.keys() == {"head"}
        np.testing.assert_array_equal(params["head"], W)
    params = untie({"table": W, "head": W.copy()}, tmp_path / "p", {"table": "head"})
    assert params.keys() == {"head"}


def test_what_cannot_be_converted_is_an_error(tmp_path):
    path = plain(tmp_path / "p")
    with pytest.raises(ValueError, match="holds a folded"):
        from_state_dict({"a": W}, path, {"a": "holds a folded normalization"})
    with pytest.raises(ValueError, match="one parameter here"):
        untie({"a": W, "b": W + 1}, path, {"b": "a"})
    with pytest.raises(ValueError, match="no state_dict"):
        to_state_dict({"a": W}, {"a": "computed by the exporter"})
    with pytest.raises(ValueError, match="no longer"):
        to_state_dict({"v": W.T + 1, "a": W}, {"v": "transposed a"})


def chain(paths):
    """Square matrices one after another, each of a linear layer at one of the paths."""
    w = np.eye(2, dtype=np.float32)
    nodes, tensors = [], []
    for i, path in enumerate(paths):
        weight, name = f"onnx::MatMul_{i}", f"/{path.replace('.', '/')}/MatMul"
        inputs = [f"x{i}" if i else "x", weight]
        nodes.append(helper.make_node("MatMul", inputs, [f"x{i + 1}"], name=name))
        tensors.append(numpy_helper.from_array(w * (i + 1), weight))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info(f"x{len(paths)}", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


LONG = "a_module_with_a_name_that_takes_much_of_a_line"


@pytest.mark.parametrize(
    ("paths", "rows"),
    [
        ([f"layers.{i}.{x}" for i in range(9) for x in "qkv"], 5),
        ([f"layers.{i}.{x}" for i in range(2, 7) for x in (LONG, LONG + "_2")], 8),
        ([f"{i}.fc" for i in range(20)], 1),
        ([f"layers.{i}" for i in range(3)], 1),
        ([f"layers.{i}.fc" for i in (0, 1, 2, 4, 5)], 7),  # one is missing
        ([f"layers.{i}.fc" for i in (2, 1, 0)], 5),  # called in another order
        ([f"a.{i}.fc" for i in range(4)] + [f"b.{i}.fc" for i in range(6)] + ["c"], 3),
        ([f"s.{i}.b.{k}.fc" for i in range(2) for k in range(5 * i + 1)], 2),
        ([f"{LONG}_and_more_of_it.{i}.{LONG}" for i in range(4)], 6),
        (["encoder", "decoder"], 1),
    ],
)
def test_layers_share_a_row_of_the_table(paths, rows, tmp_path):
    model = oxide_xla.compile(chain(paths))
    expected = {f"{path}.weight": "transposed" for path in paths}
    assert expected == model.module.CHANGED
    _, _, table = model.source.partition("\n# How parameters differ")
    table = table.partition("\n\n\n")[0].splitlines()[1:]
    assert len(table) == rows, "\n".join(table)
    (tmp_path / "model_jax.py").write_text(model.source)
    for check in ("check", "format --diff"):
        command = [sys.executable, "-m", "ruff", *check.split(), "--isolated"]
        done = subprocess.run([*command, tmp_path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
