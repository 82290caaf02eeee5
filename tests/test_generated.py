"""The walk over generated files finds what it is for."""

import importlib.util
import os

import pytest

import generated

CLEAN = """import jax.numpy as jnp


def double(x):
    return jnp.add(x, x)


def forward(params, x):
    def body(i, state):
        return state + i

    return body(0, double(x))


TABLE = {}
TABLE |= {"w": "float32[2]"}


def load_params():
    return TABLE
"""


def test_a_clean_file():
    assert generated.faults(CLEAN) == ()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("import jax.numpy", "import json\nimport jax.numpy", "nobody reads json"),
        ("return body(0, double(x))", "return body(0, x)", "nobody reads double"),
        ("return body(0, double(x))", "return double(x)", "forward: nobody reads body"),
        ("    return body", "    y = x\n    return body", "forward: nobody reads y"),
        ("    return body", "    _, y = x\n    return body", "forward: nobody reads y"),
        ("return jnp.add(x, x)", "return double(x)", "nobody reads jnp"),
        ("TABLE |=", "TABLE =", "TABLE is defined 2 times"),
        ("return TABLE", "return {}", "nobody reads TABLE"),
        (
            "    return body",
            "    def body(x):\n        return x\n\n    return body",
            "forward: body is defined 2 times",
        ),
        (
            "def forward(params, x):",
            "def again(x):\n    return again(x)\n\n\ndef forward(params, x):",
            "nobody reads again",
        ),
    ],
)
def test_a_fault_is_found(old, new, fault):
    assert CLEAN.count(old) == 1
    assert generated.faults(CLEAN.replace(old, new)) == (fault,)


FAULTY = f"""{generated.FIRST_LINE} 0.1.0
import json


def forward(params):
    pass
"""


@pytest.mark.parametrize("way", ["compile", "read", "import"])
def test_whatever_comes_to_python_is_walked(way, tmp_path, monkeypatch):
    path = tmp_path / "faulty_module.py"
    path.write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AssertionError, match="nobody reads json"):
        if way == "compile":
            compile(FAULTY, "faulty", "exec")
        elif way == "read":
            path.read_text()
        else:
            import faulty_module  # noqa: F401


def test_blank_lines_in_text_of_the_model_are_no_border():
    text = CLEAN.replace("import jax", '"""A\n\n\nB"""\n\nimport json\nimport jax')
    assert generated.faults(text) == ("nobody reads json",)


def test_a_walk_is_not_walked():
    clean = f"{generated.FIRST_LINE} 0.1.0\n{CLEAN}"
    generated.check(clean.replace("double", "other_than_above"))


def test_other_files_are_no_matter():
    compile("import json\n", "other", "exec")


def test_a_module_written_twice_in_a_second_is_the_second_one(tmp_path):
    """Its bytecode would be that of the first: size and time are the same."""
    path = tmp_path / "model_jax.py"
    for answer in (1, 2):
        path.write_text(f"answer = {answer}\n")
        os.utime(path, (0, 0))
        spec = importlib.util.spec_from_file_location("model_jax", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.answer == answer
