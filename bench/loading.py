"""Memory of the host while load_params of a generated module reads a checkpoint.

    python bench/loading.py [--tensors 16] [--side 4096]

The checkpoint has square float32 matrices in two shards. Each line is a process of its
own on eight virtual devices: what was asked for; the bytes of the result; the most that
the process had in memory besides (anonymous memory: pages of a mapped file belong to
the system, which takes them back as it likes), less what it had before; and that as a
multiple of one tensor.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))

CASES = {
    "float32": "load_params(folder)",
    "bfloat16": "load_params(folder, 'bfloat16')",
    "float32, split": "load_params(folder, sharding=split)",
    "bfloat16, split": "load_params(folder, 'bfloat16', split)",
}
PROGRAM = """
import sys, threading, time
folder, case = sys.argv[1:]
sys.path.insert(0, folder)
import jax
from module import load_params

mesh = jax.make_mesh((8,), ("fsdp",))
split = jax.NamedSharding(mesh, jax.P("fsdp"))
jax.block_until_ready(jax.device_put(jax.numpy.zeros(8), split))

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("RssAnon"))

before, most, done = anonymous(), 0, False

def watch():
    global most
    while not done:
        most = max(most, anonymous())
        time.sleep(0.0005)

thread = threading.Thread(target=watch)
thread.start()
params = jax.block_until_ready(eval(case))
done = True
thread.join()
print(sum(x.nbytes for x in params.values()), max(most, anonymous()) - before)
"""


def model(tensors, side):
    """x times all matrices, which a checkpoint has."""
    from oxide_xla.bridge.fx_fake import CHECKPOINT

    names = [f"layers.{i}.weight" for i in range(tensors)]
    values = ["x", *(f"h{i}" for i in range(tensors - 1)), "y"]
    nodes = [
        helper.make_node("MatMul", [values[i], name], [values[i + 1]])
        for i, name in enumerate(names)
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, side])
        for name in "xy"
    ]
    graph = helper.make_graph(nodes, "product", ends[:1], ends[1:])
    for name in names:
        tensor = graph.initializer.add(
            name=name, dims=[side, side], data_type=TensorProto.FLOAT
        )
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=CHECKPOINT)
    opset = [helper.make_opsetid("", 20)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=10)
    return made.SerializeToString(), names


def prepare(folder, tensors, side):
    """The module and the shards of a checkpoint."""
    import oxide_xla

    data, names = model(tensors, side)
    compiled = oxide_xla.compile(data, sharding="off")
    compiled.save(folder / "module.py")
    shards = {"a": names[: tensors // 2], "b": names[tensors // 2 :]}
    for shard, own in shards.items():
        matrices = {n: np.full((side, side), i, np.float32) for i, n in enumerate(own)}
        save_file(matrices, folder / f"{shard}.safetensors")
    index = {n: f"{shard}.safetensors" for shard, own in shards.items() for n in own}
    text = json.dumps({"weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)


def measure(folder):
    """(case, bytes of the result, most bytes of the process) of each case."""
    flags = {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    for name, case in CASES.items():
        command = [sys.executable, "-c", PROGRAM, str(folder), case]
        done = subprocess.run(
            command, env=os.environ | flags, capture_output=True, text=True, check=True
        )
        result, most = map(int, done.stdout.split())
        yield name, result, most


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensors", type=int, default=16)
    parser.add_argument("--side", type=int, default=4096)
    options = parser.parse_args(arguments)
    one = options.side**2 * 4
    print("| asked for | result, MB | memory, MB | besides, in tensors |")
    print("|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), options.tensors, options.side)
        for name, result, most in measure(Path(folder)):
            besides = (most - result) / one
            row = f"{result / 1e6:.0f} | {most / 1e6:.0f} | {besides:.1f}"
            print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
