"""What the program makes on another system is what it makes here, byte for byte.

    cross_outputs.py NATIVE_PROGRAM EMULATOR... PROGRAM

compiles the fixtures and models with data beside them with both, each in a folder of
its own, and compares the folders and standard output.  `make test-cross` runs it
through ctest; it needs Python alone."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent / "fixtures"
FLOAT, OPSET = 1, 20


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def field(number, value):
    """One field of a protobuf message: an integer, or bytes, or text."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def value_info(name, size):
    shape = field(1, field(1, size))
    tensor = field(1, FLOAT) + field(2, shape)
    return field(1, name) + field(2, field(1, tensor))


def external_model(location, size):
    """y = x + w, where w lies in a file beside the model."""
    where = field(1, "location") + field(2, location)
    w = field(1, size) + field(2, FLOAT) + field(8, "w")
    w += field(13, where) + field(14, 1)
    node = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Add")
    graph = field(1, node) + field(2, "g") + field(5, w)
    graph += field(11, value_info("x", size)) + field(12, value_info("y", size))
    return field(1, 10) + field(7, graph) + field(8, field(2, OPSET))


def put_models(folder):
    """Copies of the fixtures, and models whose weights lie beside them."""
    for path in sorted(FIXTURES.glob("*.onnx")):
        shutil.copy(path, folder)
    weights = bytes(i * 7 % 251 for i in range(4 << 18))
    data = folder / "größe 日本"
    data.mkdir()
    (data / "w.bin").write_bytes(weights)
    (folder / "w.bin").write_bytes(weights)
    (data / "modèle.onnx").write_bytes(external_model("w.bin", 1 << 18))
    beside = external_model("größe 日本/w.bin", 1 << 18)
    (folder / "beside.onnx").write_bytes(beside)
    for name, location in (("up", "../w.bin"), ("absolute", "/etc/passwd")):
        (folder / f"{name}.onnx").write_bytes(external_model(location, 1))


def commands():
    """(words of the command line, the file that is standard input, exit code)"""
    models = sorted(path.name for path in FIXTURES.glob("*.onnx"))
    for name in models:
        stem = name.removesuffix(".onnx")
        yield ["compile", name], None, 0
        other = ["--params", "nested", "--layers", "unrolled", "--weights", "npz"]
        yield ["compile", name, "-o", f"{stem}_npz.py", *other], None, 0
    for name in models[:3]:
        yield ["compile", "-"], name, 0
        yield ["inspect", name, "--format", "json"], None, 0
        yield ["compile", name], None, 0  # over the files that are there
    for name in ("größe 日本/modèle.onnx", "beside.onnx"):
        yield ["compile", name], None, 0
        reference = ["-o", "größe 日本/ref.py", "--weights", "reference", "--force"]
        yield ["compile", name, *reference], None, 0
    yield ["ops", "--format", "md"], None, 0
    yield ["compile", "up.onnx"], None, 3
    yield ["compile", "absolute.onnx"], None, 3
    yield ["compile", "nothing.onnx"], None, 3
    yield ["compile", "linear.onnx", "-o", "nowhere/linear.py"], None, 3
    yield ["compile", "linear.onnx", "-o", "linear.onnx"], None, 2
    yield ["compile", "linear.onnx", "-o", "linear"], None, 2


def run(program, folder, words, given):
    data = (folder / given).read_bytes() if given else b""
    return subprocess.run(
        [*program, *words], cwd=folder, input=data, capture_output=True, timeout=120
    )


def files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def differences(native, other, top):
    """What differs, a line for each command or file."""
    folders = [top / "native", top / "other"]
    for folder in folders:
        folder.mkdir()
        put_models(folder)
    for words, given, code in commands():
        results = [
            run(program, folder, words, given)
            for program, folder in zip([native, other], folders)
        ]
        shown = " ".join(words)
        for name, done in zip(["native", "other"], results):
            if done.returncode != code:
                yield f"{shown}: {name} exits {done.returncode}: {done.stderr.decode()}"
        if results[0].stdout != results[1].stdout:
            yield f"{shown}: standard output differs"
        if code == 0 and results[0].stderr != results[1].stderr:
            yield f"{shown}: messages differ: {results[1].stderr.decode()}"
    here, there = map(files, folders)
    if not any(name.endswith(".safetensors") for name in here):
        yield "nothing was compiled"
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            yield f"{name} differs"


def main():
    native, *other = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="oxide_cross_") as top:
        found = list(differences([native], other, Path(top)))
    print(*found, sep="\n")
    return len(found) > 0


if __name__ == "__main__":
    sys.exit(main())
