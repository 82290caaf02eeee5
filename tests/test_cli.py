"""The program as a user meets it: exit codes, streams, files, and what it refuses."""

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import generated

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
COMMANDS = [
    "compile",
    "inspect",
    "diff",
    "ops",
    "errors",
    "completions",
    "manual",
    "version",
]
OK, MODEL, USAGE, IO = 0, 1, 2, 3


def run(*args, cwd=None, stdin=b"", env=None):
    """The finished program; stdout and stderr are bytes and text."""
    done = subprocess.run(
        [PROGRAM, *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=120,
    )
    done.stderr = done.stderr.decode()
    generated.check(done.stdout)
    return done


def linear(weight="w", op="Relu", domain="", batch="batch"):
    """x @ w, then one operator."""
    nodes = [
        helper.make_node("MatMul", ["x", weight], ["h"], name="matmul"),
        helper.make_node(op, ["h"], ["y"], name="last", domain=domain),
    ]
    opsets = [helper.make_opsetid("", 20)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(np.ones((4, 3), np.float32), weight)],
    )
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(linear(), path)
    return path


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# ---- help and usage ------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_the_program(flag):
    done = run(flag)
    assert done.returncode == OK
    assert not done.stderr
    for command in COMMANDS:
        assert command in done.stdout.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command):
    done = run(command, "--help")
    assert done.returncode == OK
    assert not done.stderr
    assert f"usage: oxide_xla {command}" in done.stdout.decode()
    assert "--help" in done.stdout.decode()


def test_help_wins_over_mistakes():
    done = run("compile", "a", "b", "--help")
    assert done.returncode == OK
    assert b"usage:" in done.stdout


def test_no_command_prints_the_overview_as_a_message():
    done = run()
    assert done.returncode == USAGE
    assert not done.stdout
    assert "usage: oxide_xla" in done.stderr


@pytest.mark.parametrize("args", [["--version"], ["version"]])
def test_version(args):
    done = run(*args)
    assert done.returncode == OK
    assert re.fullmatch(rb"oxide_xla \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["compile"], "compile needs an operand: MODEL"),
        (["compile", "a", "b"], 'does not know what to do with "b"'),
        (["compile", "a", "--nonsense"], "compile has no option --nonsense"),
        (["compile", "a", "--ouput", "b"], "did you mean --output?"),
        (["compile", "a", "-z"], "compile has no option -z"),
        (["compile", "a", "--output"], "--output needs a value: --output FILE"),
        (["compile", "a", "--output="], "--output needs a file name"),
        (["compile", "a", "-o", "a.onnx"], '"a.onnx" is no name of a Python module'),
        (["verify"], "pip install 'oxide_xla[verify]'"),
        (["compile", "a", "-o", "b", "-o", "c"], "--output is given twice"),
        (
            ["compile", "a", "--params", "deep"],
            '--params must be flat|nested, not "deep"',
        ),
        (
            ["compile", "a", "--weights=zip"],
            "--weights must be safetensors|npz|reference|none|inline",
        ),
        (["compile", "a", "--timings=1"], "--timings takes no value"),
        (["compile", "a", "-t", "stablehlo"], "pip install 'oxide_xla[stablehlo]'"),
        (["compile", "a", "--x64"], "--x64 is for --target stablehlo"),
        (["compile", "a", "-w", "inline"], "inline is for --target stablehlo"),
        (
            ["compile", "a", "-t", "stablehlo", "-w", "npz"],
            "--weights npz is not for --target stablehlo",
        ),
        (
            ["compile", "a", "-t", "stablehlo", "--params", "flat"],
            "--params is not for --target stablehlo",
        ),
        (
            ["compile", "a", "-t", "stablehlo", "--artifact-version", "1.0.0"],
            "--artifact-version is for --format portable",
        ),
        (["compile", "a", "--outputs", "a,,b"], "--outputs holds an empty name"),
        (["compile", "a", "--outputs", ""], "--outputs holds an empty name"),
        (["inspect", "a", "--format", "pdf"], "ascii|json|dot|mermaid|html"),
        (["compil"], 'did you mean "compile"?'),
        (["frobnicate"], 'there is no command "frobnicate"'),
        (["../evil"], 'there is no command "../evil"'),
        (["--frobnicate"], 'there is no command "--frobnicate"'),
        (["ops", "Sofmax"], 'did you mean "Softmax"?'),
        (["version", "1"], 'does not know what to do with "1"'),
    ],
)
def test_usage_errors(args, message, tmp_path):
    done = run(*args, cwd=tmp_path)
    assert done.returncode == USAGE
    assert not done.stdout
    assert done.stderr.startswith("error[OX0003]: ")
    assert message in done.stderr
    assert names(tmp_path) == []


def test_options_may_follow_or_precede_and_use_equals(model, tmp_path):
    plain = run("compile", model, "--output", tmp_path / "a.py")
    equals = run("compile", f"--output={tmp_path / 'b.py'}", model)
    short = run("compile", f"-o{tmp_path / 'c.py'}", "--", model)
    assert (plain.returncode, equals.returncode, short.returncode) == (OK, OK, OK)
    assert len({(tmp_path / f"{x}.py").read_bytes() for x in "abc"}) == 1


# ---- compile: files and streams ------------------------------------------------------


def test_files_beside_each_other(model, tmp_path):
    done = run("compile", model, "--output", tmp_path / "out.py")
    assert done.returncode == OK
    assert not done.stdout
    assert names(tmp_path) == ["net.onnx", "out.py", "out.safetensors"]
    assert (tmp_path / "out.py").read_text().startswith("# Generated by OxideXLA")


def test_default_output_is_in_the_current_folder(model, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    assert run("compile", model, cwd=work).returncode == OK
    assert names(work) == ["net_jax.py", "net_jax.safetensors"]


@pytest.mark.parametrize(
    ("format", "files"),
    [
        ("npz", ["m.npz", "m.py"]),
        ("reference", ["m.py", "m.safetensors"]),
        ("none", ["m.py"]),
    ],
)
def test_weight_formats(format, files, model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    done = run("compile", model, "--weights", format, "-o", out / "m.py")
    assert done.returncode == OK, done.stderr
    assert names(out) == files


def test_the_weights_lie_where_load_params_looks(model, tmp_path):
    for name, weights in [
        ("plain.py", "plain.safetensors"),
        ("a.b.py", "a.b.safetensors"),
        (".hidden.py", ".hidden.safetensors"),
    ]:
        out = tmp_path / f"folder.{weights}"
        out.mkdir()
        assert run("compile", model, "-o", out / name).returncode == OK
        assert names(out) == sorted([name, weights])


def test_no_weights_file_without_parameters(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    assert run("compile", "m.onnx", cwd=tmp_path).returncode == OK
    assert names(tmp_path) == ["m.onnx", "m_jax.py"]


def test_standard_input_to_standard_output(model, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    done = run("compile", "-", stdin=model.read_bytes(), cwd=work)
    assert done.returncode == OK
    assert done.stdout.startswith(b"# Generated by OxideXLA")
    compile(done.stdout, "stdout", "exec")
    assert "weights were not written" in done.stderr
    assert names(work) == []


def test_standard_input_to_a_file_has_weights(model, tmp_path):
    piped = run("compile", "-", "-o", tmp_path / "a.py", stdin=model.read_bytes())
    mapped = run("compile", model, "-o", tmp_path / "b.py")
    assert (piped.returncode, mapped.returncode) == (OK, OK)
    a, b = (tmp_path / f"{x}.safetensors" for x in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_standard_output_is_only_the_module(model, tmp_path):
    out = tmp_path / "m.py"
    assert run("compile", model, "-o", out).returncode == OK
    done = run("compile", model, "-o", "-", "--timings", "--dump", "dce")
    assert done.returncode == OK
    assert done.stdout == out.read_bytes()


def test_no_note_when_no_weights_are_wanted(model):
    done = run("compile", model, "-o", "-", "--weights", "none")
    assert done.returncode == OK
    assert not done.stderr


def test_same_bytes_twice(model, tmp_path):
    for name in ("a", "b"):
        assert run("compile", model, "-o", tmp_path / f"{name}.py").returncode == OK
    for suffix in ("py", "safetensors"):
        a, b = (tmp_path / f"{x}.{suffix}" for x in "ab")
        assert a.read_bytes() == b.read_bytes()


def test_timings_and_dump_go_to_standard_error(model, tmp_path):
    done = run("compile", model, "-o", tmp_path / "m.py", "--timings", "--dump=infer")
    assert done.returncode == OK
    assert not done.stdout
    for stage in ("read", "parse", "import", "infer", "codegen", "write", "total"):
        assert re.search(rf"^{stage} +\d+\.\d+ ms$", done.stderr, re.MULTILINE), stage
    assert "MatMul" in done.stderr


def test_unknown_pass_lists_the_passes(model, tmp_path):
    done = run("compile", model, "-o", tmp_path / "m.py", "--dump", "nonsense")
    assert done.returncode == USAGE
    assert 'there is no pass "nonsense"' in done.stderr
    assert "infer" in done.stderr and "dce" in done.stderr
    assert names(tmp_path) == ["net.onnx"]


def test_full_standard_output(model):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [PROGRAM, "inspect", model], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
        assert done.returncode == IO
        assert b"error[OX0002]" in done.stderr
        done = subprocess.run(
            [PROGRAM, "compile", model, "-o", "-"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        assert done.returncode == IO
        assert b"error[OX0002]" in done.stderr


# ---- compile: what it says, and what it does not replace -----------------------------


def test_it_says_what_it_wrote(model, tmp_path):
    done = run("compile", model.name, cwd=tmp_path)
    assert done.stderr == (
        "wrote net_jax.py and net_jax.safetensors: "
        "1 parameter, 12 values, 48 bytes; open: batch\n"
        "next: oxide_xla verify net.onnx compares it with onnxruntime\n"
    )
    piped = run("compile", "-", "-o", "p.py", stdin=model.read_bytes(), cwd=tmp_path)
    assert piped.stderr.endswith(
        "next: python -i p.py shows how to call it: help(forward)\n"
    )


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet_says_nothing(flag, model, tmp_path):
    done = run("compile", flag, model, "-o", tmp_path / "m.py")
    assert done.returncode == OK
    assert not done.stderr


def test_names_of_dimensions_cannot_steer_the_terminal(model, tmp_path):
    onnx.save(linear(batch="\x1b[31mred"), model)
    done = run("compile", model, "-o", tmp_path / "m.py")
    assert "\\x1b[31mred" in done.stderr and "\x1b" not in done.stderr


def test_a_generated_module_is_replaced_unasked(model, tmp_path):
    out = tmp_path / "m.py"
    assert run("compile", model, "-o", out, "--layers", "scan").returncode == OK
    out.write_bytes(out.read_bytes().replace(b"\n", b"\r\n"))  # as git may do
    onnx.save(linear(op="Sigmoid"), model)
    assert run("compile", model, "-o", out).returncode == OK
    assert "sigmoid" in out.read_text()


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("relu", "gelu"),
        lambda text: text + "# mine\n",
        lambda text: text.replace("# Sealed", "# Signed"),
        lambda text: text.replace("\n", "\n# mine\n", 1),
        lambda text: text.replace("net.onnx", "other.onnx", 1),
        lambda text: "#!/usr/bin/env python\n" + text,
        lambda text: "print(1)\n",
    ],
)
def test_work_of_a_person_is_not_replaced(edit, model, tmp_path):
    out = tmp_path / "m.py"
    assert run("compile", model, "-o", out).returncode == OK
    edited = edit(out.read_text())
    assert edited != out.read_text()
    out.write_text(edited)
    weights = (tmp_path / "m.safetensors").stat()
    done = run("compile", model, "-o", out)
    assert done.returncode == USAGE
    assert done.stderr.startswith("error[OX0006]: ")
    assert "--force" in done.stderr
    assert out.read_text() == edited
    assert (tmp_path / "m.safetensors").stat() == weights
    assert names(tmp_path) == ["m.py", "m.safetensors", "net.onnx"]
    assert run("compile", model, "-o", out, "--force").returncode == OK
    assert run("compile", model, "-o", out).returncode == OK


def test_an_empty_file_and_devices_are_written_to(model, tmp_path):
    (tmp_path / "m.py").touch()
    assert run("compile", model, "-o", tmp_path / "m.py").returncode == OK
    assert run("compile", model, "-o", "/dev/null", "-w", "none").returncode == OK


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(command):
    for line in run(*command.split(), "--help").stdout.decode().splitlines():
        assert len(line) <= 80
        assert line == line.rstrip()


# ---- compile: options that change the module -----------------------------------------


def test_outputs_by_name(model, tmp_path):
    done = run("compile", model, "-o", "-", "--outputs", "h,y", "--outputs", "x")
    assert done.returncode == OK, done.stderr
    text = done.stdout.decode()
    assert "NamedTuple" in text
    compile(text, "m", "exec")


def test_unknown_output_has_a_suggestion(model, tmp_path):
    onnx.save(linear("layer0.weight"), model)
    out = tmp_path / "m.py"
    done = run("compile", model, "-o", out, "--outputs", "layer0.wieght,zebra")
    assert done.returncode == USAGE
    assert 'no value "layer0.wieght"' in done.stderr
    assert 'did you mean "layer0.weight"?' in done.stderr
    assert 'no value "zebra"' in done.stderr
    assert names(tmp_path) == ["net.onnx"]


def test_shape_overrides(model):
    done = run("compile", model, "-o", "-", "--shape", "x=8,4", "--weights", "none")
    assert done.returncode == OK, done.stderr
    assert "[8,4]" in done.stdout.decode().replace(" ", "")


@pytest.mark.parametrize(
    "spec", ["x", "x=1,2,3", "nobody=1", "x=-3,4", "x=,4", f"x=4,{10**30}"]
)
def test_wrong_shape_overrides(spec, model, tmp_path):
    done = run("compile", model, "-o", tmp_path / "m.py", "--shape", spec)
    assert done.returncode == USAGE
    assert "error[OX0003]" in done.stderr
    assert names(tmp_path) == ["net.onnx"]


@pytest.mark.parametrize("spec", ["h=3", "nobody=1", "h", "h=0"])
def test_wrong_bounds(spec, model, tmp_path):
    """The result of a MatMul has a size that shapes decide."""
    done = run("compile", model, "-o", tmp_path / "m.py", "--bound", spec)
    assert done.returncode == USAGE
    assert "error[OX0003]" in done.stderr
    assert names(tmp_path) == ["net.onnx"]


def test_nested_params(model):
    onnx.save(linear("layer0.weight"), model)
    done = run("compile", model, "-o", "-", "--params=nested", "-w", "none")
    assert done.returncode == OK, done.stderr
    assert 'params["layer0"]["weight"]' in done.stdout.decode()


# ---- models that cannot be compiled --------------------------------------------------


def unsupported_model():
    nodes = [
        helper.make_node("Frob", ["x"], ["a"], name="first", domain="com.example"),
        helper.make_node("Nonesuch", ["a"], ["b"], name="second"),
        helper.make_node("Frob", ["b"], ["c"], name="third", domain="com.example"),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.example", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def test_all_unsupported_operators_at_once(tmp_path):
    onnx.save(unsupported_model(), tmp_path / "m.onnx")
    done = run("compile", "m.onnx", cwd=tmp_path)
    assert done.returncode == MODEL
    assert not done.stdout
    assert done.stderr.count("error[OX0301]: UnsupportedOp") == 2
    assert re.search(r"Frob \(com\.example 1\), used 2 times", done.stderr)
    assert re.search(r"Nonesuch \(ai\.onnx 20\), used 1 time\b", done.stderr)
    assert 'node #0 "first"' in done.stderr
    assert 'node #1 "second"' in done.stderr
    assert names(tmp_path) == ["m.onnx"]


def test_inspect_lists_unsupported_operators(tmp_path):
    onnx.save(unsupported_model(), tmp_path / "m.onnx")
    done = run("inspect", "m.onnx", "--format=json", cwd=tmp_path)
    assert done.returncode == OK
    assert not done.stderr
    found = {u["op"]: u for u in json.loads(done.stdout)["unsupported"]}
    assert found["Frob"]["count"] == 2
    assert found["Frob"]["domain"] == "com.example"
    assert found["Nonesuch"]["first_node"] == "second"
    assert (
        "Unsupported operators\n" in run("inspect", tmp_path / "m.onnx").stdout.decode()
    )


@pytest.mark.parametrize("command", ["compile", "inspect"])
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "OX0101"),
        (b"hello, this is no model\n", "OX010"),
        (b"<!DOCTYPE html><html></html>", "OX010"),
        (bytes(range(256)) * 8, "OX010"),
    ],
)
def test_not_a_model(command, content, code, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content)
    for done in (
        run(command, "m.onnx", cwd=tmp_path),
        run(command, "-", stdin=content, cwd=tmp_path),
    ):
        assert done.returncode == MODEL
        assert not done.stdout
        assert f"error[{code}" in done.stderr
        assert names(tmp_path) == ["m.onnx"]


@pytest.mark.parametrize("command", ["compile", "inspect"])
def test_files_that_cannot_be_read(command, tmp_path):
    for path in ("missing.onnx", ".", "no/such/folder.onnx"):
        done = run(command, path, cwd=tmp_path)
        assert done.returncode == IO
        assert not done.stdout
        assert done.stderr.startswith("error[OX0001]: ")
        assert f"--> {path}" in done.stderr
    assert names(tmp_path) == []


def test_truncated_file(model, tmp_path):
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) - 40])
    done = run("compile", model, cwd=tmp_path)
    assert done.returncode == MODEL
    assert "error[OX0102]" in done.stderr
    assert names(tmp_path) == ["net.onnx"]


def test_missing_external_data(tmp_path):
    onnx.save(
        linear(),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
    )
    assert run("compile", "m.onnx", cwd=tmp_path).returncode == OK
    (tmp_path / "m_jax.py").unlink()
    (tmp_path / "m_jax.safetensors").unlink()
    (tmp_path / "m.data").unlink()
    done = run("compile", "m.onnx", cwd=tmp_path)
    assert done.returncode == IO
    assert "error[OX0005]" in done.stderr
    assert "m.data" in done.stderr
    assert names(tmp_path) == ["m.onnx"]


# ---- whole files or none -------------------------------------------------------------


def test_missing_output_folder(model, tmp_path):
    done = run("compile", model, "-o", tmp_path / "no" / "m.py")
    assert done.returncode == IO
    assert "error[OX0002]" in done.stderr
    assert names(tmp_path) == ["net.onnx"]


def test_output_is_a_folder(model, tmp_path):
    (tmp_path / "m.py").mkdir()
    done = run("compile", model, "-o", tmp_path / "m.py")
    assert done.returncode == IO
    assert names(tmp_path) == ["m.py", "net.onnx"]


def test_weights_that_cannot_be_written_leave_no_module(model, tmp_path):
    (tmp_path / "m.safetensors").mkdir()
    done = run("compile", model, "-o", tmp_path / "m.py")
    assert done.returncode == IO
    assert "m.safetensors" in done.stderr
    assert names(tmp_path) == ["m.safetensors", "net.onnx"]


def test_a_failure_keeps_what_was_there(model, tmp_path):
    out = tmp_path / "m.py"
    assert run("compile", model, "-o", out).returncode == OK
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p != model}
    onnx.save(unsupported_model(), model)
    assert run("compile", model, "-o", out).returncode == MODEL
    (tmp_path / "full").symlink_to("/dev/full")
    onnx.save(linear(), model)
    assert run("compile", model, "-o", tmp_path / "full").returncode == IO
    assert {p: p.read_bytes() for p in before} == before
    assert names(tmp_path) == ["full", "m.py", "m.safetensors", "net.onnx"]


def test_a_full_disk_leaves_nothing(tmp_path):
    # A limit on file size stands in for the full disk.
    big = linear()
    tensor = numpy_helper.from_array(np.ones((4, 3 << 18), np.float32), "w")
    big.graph.initializer[0].CopyFrom(tensor)
    big.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3 << 18
    onnx.save(big, tmp_path / "m.onnx")
    command = f"ulimit -f 1000; exec {PROGRAM} compile m.onnx"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert done.returncode == IO
    assert b"error[OX0002]" in done.stderr
    assert b"the file takes 12.6 MB" in done.stderr
    assert b"--weights none" in done.stderr
    assert names(tmp_path) == ["m.onnx"]


def test_the_model_is_never_overwritten(model, tmp_path):
    before = model.read_bytes()
    script = tmp_path / "net.py"
    model.rename(script)
    done = run("compile", script, "-o", script)
    assert done.returncode == USAGE
    assert "is the model itself" in done.stderr
    alias = tmp_path / "net.safetensors"
    script.rename(alias)
    done = run("compile", alias, "-o", tmp_path / "net.py")
    assert done.returncode == USAGE
    assert alias.read_bytes() == before
    assert names(tmp_path) == ["net.safetensors"]


# ---- hostile input -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ['it\'s "q".onnx', "-x.onnx", "a b;c$(d).onnx", "größe.onnx", "new\nline"]
)
def test_hostile_file_names(name, tmp_path):
    onnx.save(linear(), tmp_path / "m.onnx")
    (tmp_path / "m.onnx").rename(tmp_path / name)
    done = run("compile", "--", name, cwd=tmp_path)
    assert done.returncode == OK, done.stderr
    stem = name.removesuffix(".onnx")
    assert names(tmp_path) == sorted(
        [name, f"{stem}_jax.py", f"{stem}_jax.safetensors"]
    )
    assert "\n\n" not in done.stderr and done.stderr.count("\n") == 2
    text = (tmp_path / f"{stem}_jax.py").read_text()
    compile(text, "m", "exec")


def test_messages_hold_no_control_characters(tmp_path):
    name = "\x1b[31mred\x07\n  help: fake"
    onnx.save(linear(op=name), tmp_path / "m.onnx")
    done = run("compile", "m.onnx", cwd=tmp_path)
    assert done.returncode == MODEL
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr
    assert "\n  help: fake" not in done.stderr


def test_external_data_does_not_leave_the_folder(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(48))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    for location in ("../secret", str(secret), "link"):
        model = linear()
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location
        (folder / "m.onnx").write_bytes(model.SerializeToString())
        done = run("compile", "m.onnx", cwd=folder)
        assert done.returncode == IO, location
        assert "error[OX0005]" in done.stderr
        assert names(folder) == ["link", "m.onnx"]


# ---- other programs, colours, products -----------------------------------------------


def write_script(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_external_subcommand(tmp_path):
    write_script(tmp_path, "oxide_xla-shout", '#!/bin/sh\necho "$0" "$@"\nexit 7\n')
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run("shout", "a b", "--help", env={"PATH": path})
    assert done.returncode == 7
    assert done.stdout.decode().endswith("oxide_xla-shout a b --help\n")


def test_external_subcommand_does_not_shadow(tmp_path):
    write_script(tmp_path, "oxide_xla-version", "#!/bin/sh\nexit 7\n")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert run("version", env={"PATH": path}).returncode == OK


def on_a_terminal(args, env):
    """What the program prints when its standard error is a terminal."""
    import pty

    leader, follower = pty.openpty()
    done = subprocess.run(
        [PROGRAM, *args],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, **env},
        timeout=60,
    )
    os.close(follower)
    printed = b""
    try:
        while chunk := os.read(leader, 65536):
            printed += chunk
    except OSError:  # Linux reports the closed end so
        pass
    os.close(leader)
    return done, printed


def test_colours_are_for_terminals(tmp_path):
    env = {"TERM": "xterm", "NO_COLOR": ""}
    assert b"\x1b[" in on_a_terminal(["compile", "missing"], env)[1]
    for plain in ({**env, "NO_COLOR": "1"}, {**env, "TERM": "dumb"}):
        printed = on_a_terminal(["compile", "missing"], plain)[1]
        assert b"error[OX0001]" in printed
        assert b"\x1b" not in printed
    assert "\x1b" not in run("compile", "missing", env=env).stderr


def test_a_terminal_hears_what_was_written(model, tmp_path):
    out = str(tmp_path / "m.py")
    done, printed = on_a_terminal(["compile", str(model), "-o", out], {"TERM": "dumb"})
    assert done.returncode == OK
    assert b"m.py and " in printed


def test_errors_prints_every_code():
    done = run("errors")
    assert done.returncode == OK
    table = (ROOT / "src" / "support" / "diag.def").read_text()
    codes = re.findall(r"^X\((OX\d{4}),", table, re.MULTILINE)
    assert len(codes) > 20
    assert re.findall(r"^\| `(OX\d{4})`", done.stdout.decode(), re.MULTILINE) == codes


def test_ops_in_every_format():
    text = run("ops").stdout.decode()
    table = run("ops", "--format", "md").stdout.decode()
    listed = json.loads(run("ops", "--format=json").stdout)
    found = {op["name"] for op in listed}
    assert {"MatMul", "Conv", "Softmax"} <= found
    assert all(name in text and f"| {name} |" in table for name in found)
    one = json.loads(run("ops", "Softmax", "--format=json").stdout)
    assert [op["name"] for op in one] == ["Softmax"]
