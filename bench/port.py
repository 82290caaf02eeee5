"""Time and memory of `oxide_xla port` for configurations of large models.

    python bench/port.py [8b] [70b] [405b] [moe] [--cache N] [--layers scan]

There are no weights: a folder has config.json alone. A line for each says how many
parameters there are, and what the process took from its start, with all imports: time
on the wall, time of the CPU, and the largest resident memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rope_theta": 500000.0,
    "torch_dtype": "bfloat16",
}
CONFIGS = {
    "8b": LLAMA
    | {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
    },
    "70b": LLAMA
    | {
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_attention_heads": 64,
        "num_hidden_layers": 80,
    },
    "405b": LLAMA
    | {
        "hidden_size": 16384,
        "intermediate_size": 53248,
        "num_attention_heads": 128,
        "num_hidden_layers": 126,
    },
    "moe": {  # the sizes of Mixtral-8x7B
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 32000,
        "max_position_embeddings": 32768,
        "torch_dtype": "bfloat16",
    },
}


def ported(config, options, folder):
    """Port a configuration in a process of its own; what that took."""
    (folder / "config.json").write_text(json.dumps(config))
    output = folder / "model.py"
    command = [sys.executable, "-m", "oxide_xla.port", str(folder), "-o", str(output)]
    paths = {"PYTHONPATH": str(ROOT / "python")}
    start = time.monotonic()
    process = subprocess.Popen(
        [*command, *options], env=os.environ | paths, stderr=subprocess.PIPE, text=True
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status:
        sys.exit(said)
    return seconds, usage, said, len(output.read_text().splitlines())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*CONFIGS, []], default=[])
    options, rest = parser.parse_known_args()
    print("| configuration | parameters | s | CPU s | peak, GB | lines |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in options.names or ["8b", "70b"]:
        with tempfile.TemporaryDirectory() as folder:
            seconds, usage, said, lines = ported(CONFIGS[name], rest, Path(folder))
        count = int(said.partition(" parameters, ")[2].partition(" values")[0])
        cpu = usage.ru_utime + usage.ru_stime
        memory = usage.ru_maxrss * 1024 / 1e9
        row = (
            f"{count / 1e9:.1f} B | {seconds:.0f} | {cpu:.0f} | {memory:.2f} | {lines}"
        )
        print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
