"""The C printer against its two judges, on random trees: ruff's formatter has nothing
to change, and Python parses the text as the tree that was meant.  The same tree with
every expression in parentheses says what was meant."""

import ast
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("OXIDE_XLA_BUILD", ROOT / "build"))
SEEDS = range(40)
COUNT = 60


def tool():
    """The program print_random, wherever the build put it."""
    places = [BUILD / "tests", BUILD / "debug" / "tests"]
    if "OXIDE_XLA_TOOLS" in os.environ:
        places.insert(0, Path(os.environ["OXIDE_XLA_TOOLS"]))
    for place in places:
        if (place / "print_random").exists():
            return place / "print_random"
    pytest.skip("print_random is not built")


def ruff():
    """ruff of this environment, else the one on the PATH."""
    beside = Path(sys.executable).with_name("ruff")
    found = str(beside) if beside.exists() else shutil.which("ruff")
    return found or pytest.skip("ruff is not installed")


def printed(seed, *mode):
    command = [tool(), str(seed), str(COUNT), *mode]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def parse(source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `1()` and the like are warned about
        return ast.parse(source)


def assert_unchanged(folder):
    command = [ruff(), "format", "--isolated", "--no-cache", "--diff", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[:4000] + done.stderr[:2000]


@pytest.mark.parametrize("mode", [[], ["prose"]], ids=["statements", "prose"])
def test_ruff_changes_nothing(tmp_path, mode):
    for seed in SEEDS:
        (tmp_path / f"seed_{seed}.py").write_text(printed(seed, *mode), "utf-8")
    assert_unchanged(tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_parsed_as_meant(seed):
    (function,) = parse(printed(seed)).body
    (meant,) = parse(printed(seed, "full")).body
    assert len(function.body) == len(meant.body) == COUNT + 1
    for one, other in zip(function.body, meant.body, strict=True):
        assert ast.dump(one) == ast.dump(other), ast.unparse(other)


def test_flat_is_the_same_on_one_line():
    for seed in SEEDS:
        (meant,) = parse(printed(seed, "full")).body
        lines = printed(seed, "flat").splitlines()
        for line, statement in zip(lines, meant.body[1:], strict=True):
            value = parse(line).body[0].value
            assert ast.dump(value) == ast.dump(statement.value)


def test_prose_stays_prose():
    """Hostile text in comments and docstrings adds no statement and ends none."""
    for seed in SEEDS:
        module = parse(printed(seed, "prose"))
        assert len(module.body) == COUNT + 1
        for function in module.body[1:]:
            kinds = [type(statement) for statement in function.body]
            assert kinds == [ast.Expr, ast.Return]
