"""The four pillars and what else users rely on, for the five models."""

import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import oxide_xla
from models import pillars, zoo

MODELS = list(zoo.MODELS.values())
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
each_exporter = pytest.mark.parametrize("exporter", pillars.EXPORTERS)


@each_model
@each_exporter
def test_identity(model, exporter, tmp_path):
    _, _, mse = pillars.identity(model, exporter, tmp_path)
    assert mse < pillars.MSE_LIMIT


@each_model
@each_exporter
def test_every_node_has_the_type_that_jax_computes(model, exporter, tmp_path):
    path = zoo.exported(model, exporter)
    nodes = oxide_xla.compile(path).inspect()["nodes"]
    inferred = {
        name: (kind["dtype"], tuple(kind["shape"]))
        for node in nodes
        for name, kind in zip(node["outputs"], node["output_types"], strict=True)
        if name
    }
    compiled = oxide_xla.compile(path, outputs=list(inferred))
    inputs = [x.numpy() for x in model.inputs()]
    types = jax.tree.leaves(jax.eval_shape(compiled.forward, compiled.params, *inputs))
    assert len(types) == len(inferred)
    for (name, (dtype, shape)), actual in zip(inferred.items(), types, strict=True):
        expected = jax.dtypes.canonicalize_dtype(dtype)
        assert (actual.dtype, actual.shape) == (expected, shape), name


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
def test_batch_norm_buffers_are_parameters(name, tmp_path):
    model = zoo.MODELS[name]
    module, inputs = model.build(), [x.numpy() for x in model.inputs()]
    generated = pillars.compile_file(
        zoo.exported(model, "bridge"), tmp_path / "model_jax.py"
    )
    params = generated.load_params()
    output = np.asarray(generated.forward(params, *inputs))
    buffers = pillars.batch_norm_buffers(module)
    assert buffers
    for key in buffers:
        changed = {**params, key: params[key] + 0.5}
        assert np.any(np.asarray(generated.forward(changed, *inputs)) != output), key


@each_model
def test_bridge_keeps_the_names_of_the_state_dict(model):
    """Every parameter that the code reads is an entry of the state_dict."""
    compiled = oxide_xla.compile(zoo.exported(model, "bridge"))
    unknown = set(compiled.params) - set(model.build().state_dict())
    assert not unknown


@pytest.mark.parametrize("name", ["resnet18", "text_classifier"])
@each_exporter
def test_one_file_serves_every_batch_size(name, exporter, tmp_path):
    model = zoo.MODELS[name]
    module = model.build()
    generated = pillars.compile_file(
        zoo.exported(model, exporter, dynamic=True), tmp_path / "model_jax.py"
    )
    params = pillars.load(generated, module, exporter)
    for batch in (1, 2, 7):
        inputs = model.inputs(batch)
        expected = model.outputs(module, *inputs).numpy()
        actual = generated.forward(params, *(x.numpy() for x in inputs))
        assert actual.shape == expected.shape
        assert np.mean((np.asarray(actual) - expected) ** 2) < pillars.MSE_LIMIT


@each_model
def test_gradients_equal_autograd(model, tmp_path):
    module, inputs = model.build(), model.inputs()
    result = module(*inputs)
    logits = result if isinstance(result, torch.Tensor) else result.logits
    weights = torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)
    (logits * weights).sum().backward()

    compiled = oxide_xla.compile(zoo.exported(model, "bridge"))
    state = module.state_dict()
    params = {key: state[key].numpy() for key in compiled.params}

    def loss(params):
        out = compiled.forward(params, *(x.numpy() for x in inputs))
        return jnp.sum(out * weights.numpy())

    floating = {k: v for k, v in params.items() if v.dtype.kind == "f"}
    fixed = {k: v for k, v in params.items() if k not in floating}
    grads = jax.grad(lambda p: loss({**p, **fixed}))(floating)
    # Some gradients are zero in exact arithmetic (the bias of attention's keys): what
    # both sides give there is the rounding of the whole computation.
    total = np.sqrt(sum(np.sum(np.square(g)) for g in grads.values()))
    noise = np.finfo(np.float32).eps * total
    checked = 0
    for name, parameter in module.named_parameters():
        if name not in grads or parameter.grad is None:
            continue
        expected = parameter.grad.numpy()
        error = np.linalg.norm(grads[name] - expected)
        assert error < 1e-4 * np.linalg.norm(expected) + noise, name
        checked += 1
    assert checked == sum(p.grad is not None for p in module.parameters())


@each_model
@each_exporter
def test_generated_file_is_clean(model, exporter, tmp_path):
    """Lint, format, the same bytes twice, and no warning in 32-bit mode."""
    path = zoo.exported(model, exporter)
    output, again = tmp_path / "model_jax.py", tmp_path / "again_jax.py"
    generated = pillars.compile_file(path, output)
    pillars.compile_file(path, again)
    assert output.read_bytes() == again.read_bytes()
    for check in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *check, "--isolated", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generated.forward(generated.load_params(), *(x.numpy() for x in model.inputs()))
