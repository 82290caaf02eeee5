"""The model zoo with parameters in bfloat16: `load_params(dtype=jnp.bfloat16)`.

Every output is bfloat16, under JAX's strict promotion too, and as near to float32 as
PyTorch's own bfloat16 is: see `models.bfloat16` for how that is measured. A few run in
`make test`; `make test-models` runs all.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from models import bfloat16, compare, exports
from models.architectures import all_architectures

ENTRIES = all_architectures()
RATIO = 1.5
FAST = {
    ("llama", "dynamo"),
    ("lstm_seq2seq", "torchscript"),
    ("bert", "torchscript"),
    ("unet", "bridge"),
    ("mlp", "bridge"),
    ("nerf", "bridge"),
}
CASES = [
    pytest.param(
        ENTRIES[name],
        exporter,
        id=f"{name}-{exporter}",
        marks=() if (name, exporter) in FAST else pytest.mark.models,
    )
    for name in ENTRIES
    for exporter in exports.EXPORTERS
]
# What there is no file of, or none that is valid: see test_zoo.REFUSED.
ABSENT = {("cnn_bfloat16", "dynamo"), ("tv_r3d", "bridge")}
# PyTorch itself has no Fourier transform of bfloat16, and RAFT, twelve refinements of
# one flow, gives its grid_sample two types: limits on our error instead, so that it
# shows when it grows (0.0035 and 0.104 were measured).
NO_REFERENCE = {"stft_frontend": 0.005, "tv_raft": 0.15}


@pytest.mark.parametrize(("entry", "exporter"), CASES)
def test_is_as_near_to_float32_as_torch(entry, exporter, tmp_path):
    path = exports.exported(entry, exporter).path
    if path is None or (entry.name, exporter) in ABSENT:
        pytest.skip("there is no file")
    generated = compare.compile_to(tmp_path, entry, path)
    result = bfloat16.run(entry, generated, compare.input_names(path))
    assert result.dtypes <= {"bfloat16"}
    if entry.name in NO_REFERENCE:
        assert np.isnan(result.theirs) and result.ours < NO_REFERENCE[entry.name]
    else:
        assert result.ratio < RATIO, result


def test_buffers_keep_their_type(tmp_path):
    """What no state_dict has, as `inv_freq`: rounded, it would move late positions."""
    path = exports.exported(ENTRIES["llama"], "dynamo").path
    generated = compare.compile_to(tmp_path, ENTRIES["llama"], path)
    params = generated.load_params(dtype=jnp.bfloat16)
    kept = {k for k, v in params.items() if v.dtype != jnp.bfloat16}
    assert kept == set(generated.BUFFERS) == {"model.rotary_emb.inv_freq"}
    exact = generated.load_params()
    assert np.array_equal(params[min(kept)], exact[min(kept)])
