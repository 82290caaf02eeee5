"""Serving a ported model: the module, jax.export, StableHLO, and the first call.

    python examples/serve.py [FOLDER]      ports a model, serves it in each way

Processes that serve import neither PyTorch nor OxideXLA, nor, but for the first way,
the generated module.  What is printed is the time of the first call in a new process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LAYERS = 4
SHAPE = (8, 32, 64)  # batch, length, width


def port(folder: Path, layers: int = LAYERS) -> None:
    """Write everything that the processes serve."""
    sys.path[:0] = [str(ROOT / "python"), str(ROOT / "bridge")]
    import jax
    import torch
    from jax import export

    import encoder
    import oxide_xla

    torch.manual_seed(0)
    module = encoder.Encoder(layers).eval()
    model = oxide_xla.from_torch(
        module, (torch.zeros(2, *SHAPE[1:]),), dynamic_shapes="batch", name="net"
    )
    model.save(folder / "net_jax.py", force=True)
    types = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in model.params.items()}
    (batch,) = export.symbolic_shape("batch")
    x = jax.ShapeDtypeStruct((batch, *SHAPE[1:]), np.float32)
    data = export.export(model.forward)(types, x).serialize()
    (folder / "net.bin").write_bytes(data)
    lowered = model.lower(jax.ShapeDtypeStruct(SHAPE, np.float32))
    lowered.save(folder / "net.mlirbc", format="portable", force=True)
    with torch.no_grad():
        expected = module(torch.tensor(example())).numpy()
    np.save(folder / "expected.npy", expected)


def example() -> np.ndarray:
    """One request."""
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def load_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file of float32, which is all that there is here."""
    data = np.memmap(path, mode="r")
    size = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(bytes(data[8:size]))
    header.pop("__metadata__", None)
    return {
        key: data[size:][slice(*entry["data_offsets"])]
        .view(np.float32)
        .reshape(entry["shape"])
        for key, entry in header.items()
    }


def by_module(folder: Path):
    """The generated module."""
    sys.path.insert(0, str(folder))
    import net_jax

    return net_jax.forward, (net_jax.load_params(),)


def by_export(folder: Path):
    """What jax.export wrote: any batch."""
    import jax
    from jax import export

    loaded = export.deserialize(bytearray((folder / "net.bin").read_bytes()))
    return jax.jit(loaded.call), (load_weights(folder / "net_jax.safetensors"),)


def by_stablehlo(folder: Path):
    """StableHLO of one size, compiled by jaxlib without tracing."""
    import jax
    from jax._src.lib import xla_client

    device = jax.devices("cpu")[0]
    described = json.loads((folder / "net.json").read_text())
    weights = load_weights(folder / "net.safetensors")
    names = [a["name"] for a in described["arguments"] if a["kind"] == "param"]
    given = [jax.device_put(weights[name], device) for name in names]

    def forward(*arguments):
        program = device.client.compile_and_load(
            (folder / "net.mlirbc").read_bytes(),
            xla_client.DeviceList((device,)),
            xla_client.CompileOptions(),
        )
        x = jax.device_put(arguments[-1], device)
        return program.execute([*arguments[:-1], x])[0]

    return forward, tuple(given)


WAYS = {"module": by_module, "jax.export": by_export, "StableHLO": by_stablehlo}


def first_call(folder: Path, way: str) -> float:
    """Seconds of the first call, after imports; AssertionError where it differs."""
    import jax

    x, expected = example(), np.load(folder / "expected.npy")
    jax.block_until_ready(jax.numpy.zeros(1))  # what starts once for all models
    start = time.perf_counter()
    forward, given = WAYS[way](folder)
    y = np.asarray(forward(*given, x))
    seconds = time.perf_counter() - start
    np.testing.assert_allclose(y, expected, atol=1e-4)
    return seconds


def in_process(folder: Path, way: str, cache: Path | None) -> float:
    """`first_call` in a new process, with this folder as JAX's persistent cache."""
    environment = {**os.environ}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    if cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        environment["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    command = [sys.executable, __file__, "--first-call", way, str(folder)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return float(done.stdout)


def main() -> None:
    """Port once, then serve in new processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first-call", choices=WAYS, help="time one, in FOLDER")
    parser.add_argument("folder", nargs="?", type=Path, help="keep the files here")
    options = parser.parse_args()
    if options.first_call:
        print(first_call(options.folder, options.first_call))
        assert "torch" not in sys.modules and "oxide_xla" not in sys.modules
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        port(folder)
        print(f"first call, seconds{'no cache':>12}{'empty':>8}{'full':>8}")
        for way in WAYS:
            cache = Path(scratch) / f"cache-{way}"
            times = [in_process(folder, way, c) for c in (None, cache, cache)]
            print(f"{way:19}{times[0]:12.2f}{times[1]:8.2f}{times[2]:8.2f}")


if __name__ == "__main__":
    main()
