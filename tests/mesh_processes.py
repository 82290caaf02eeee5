"""Ten training steps on eight devices: MODULE RESULTS [N I ADDRESS].

The devices are those of one process, or of N processes on this machine, of which this
is number I. RESULTS gets the losses, and sums of the parameters.
"""

import json
import os
import sys
from pathlib import Path

module_path, results, *process = sys.argv[1:]
count = int(process[0]) if process else 1
FLAGS = f"--xla_force_host_platform_device_count={8 // count}"
os.environ["XLA_FLAGS"] = f"{FLAGS} --xla_backend_optimization_level=0"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

if process:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(process[2], count, int(process[1]))

sys.path.insert(0, str(Path(module_path).parent))
module = __import__(Path(module_path).stem)
STEPS, ROWS = 10, 8


def main():
    mesh = jax.make_mesh(
        (2, 2, 2), ("data", "fsdp", "tensor"), axis_types=(AxisType.Auto,) * 3
    )
    assert len(jax.devices()) == 8 and len(jax.local_devices()) == 8 // count
    with jax.set_mesh(mesh):
        placed = module.shardings(module.abstract_params(), mesh)
        # Each process reads the parts of the file that its devices have.
        params = module.load_params(sharding=placed)
        width = (
            next(iter(module.PARAMS.values())).split("[")[1].split(",")[0].strip("]")
        )
        x = np.random.default_rng(0).normal(size=(ROWS, int(width))).astype("float32")
        rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
        batch = jax.make_array_from_callback(x.shape, rows, x.__getitem__)

        def loss(params, x):
            return jnp.mean((module.forward(params, x) - 1) ** 2)

        whole = NamedSharding(mesh, PartitionSpec())

        def step(params, x):
            value, gradients = jax.value_and_grad(loss)(params, x)
            return value, jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradients)

        step = jax.jit(step, out_shardings=(whole, placed))
        losses = []
        for _ in range(STEPS):
            value, params = step(params, batch)
            losses.append(float(value))
        total = jax.jit(
            lambda params: jnp.stack([jnp.sum(jnp.abs(p)) for p in params.values()]),
            out_shardings=whole,
        )
        sums = np.asarray(total(params)).tolist()
    answer = {"losses": losses, "sums": sums}
    Path(results).write_text(json.dumps(answer))


main()
