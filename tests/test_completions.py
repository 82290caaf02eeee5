"""What the program prints of its own options, for shells and for man: bash, zsh, fish
and mandoc read it."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
SHELLS = ("bash", "zsh", "fish")


def run(*words, **options):
    """What a command prints; it must not complain."""
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, timeout=60, **options
    )
    assert not done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The completions in a file for each shell."""
    folder = tmp_path_factory.mktemp("completions")
    paths = {shell: folder / f"oxide_xla.{shell}" for shell in SHELLS}
    for shell, path in paths.items():
        path.write_text(run(PROGRAM, "completions", shell))
    return paths


def offered_by_bash(scripts, line, cwd):
    """What bash offers for the last word of a line."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    words = [part for word in words for part in split_at_equals(word)]
    script = f"""
        source {shlex.quote(str(scripts["bash"]))}
        COMP_WORDS=({" ".join(map(shlex.quote, words))}) COMP_CWORD={len(words) - 1}
        _oxide_xla
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(run("bash", "-c", script, cwd=cwd).split("\n")) - {""}


def split_at_equals(word):
    """The words that bash makes of one: = is among its COMP_WORDBREAKS."""
    name, equals, value = word.partition("=")
    return [part for part in (name, equals, value) if part] or [""]


def offered_by_fish(scripts, line, cwd):
    """What fish offers for the last word of a line, without descriptions."""
    script = (
        f"source {shlex.quote(str(scripts['fish']))}; complete -C {shlex.quote(line)}"
    )
    env = {**os.environ, "HOME": str(cwd), "XDG_CONFIG_HOME": str(cwd)}
    offers = run("fish", "--no-config", "-c", script, cwd=cwd, env=env).splitlines()
    return {offer.split("\t")[0] for offer in offers}


def offered_by_zsh(scripts, line, cwd):
    """What zsh's _arguments is asked to offer: its specifications.  The functions that
    draw menus need a terminal, so they are replaced by ones that print."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    script = f"""
        compdef() {{ }}
        _describe() {{ print -l -- ${{commands%%:*}} }}
        _arguments() {{ print -l -- "$@" }}
        _files() {{ print -l -- FILES }}
        source {shlex.quote(str(scripts["zsh"]))}
        words=({" ".join(map(shlex.quote, words))}) CURRENT={len(words)}
        _oxide_xla
    """
    return set(run("zsh", "-f", "-c", script, cwd=cwd).splitlines())


OFFERS = {"bash": offered_by_bash, "fish": offered_by_fish}


@pytest.mark.parametrize("shell", OFFERS)
def test_words_are_offered(shell, scripts, tmp_path):
    (tmp_path / "my net.onnx").touch()

    def offered(line):
        return OFFERS[shell](scripts, line, tmp_path)

    assert {"compile", "inspect", "verify"} <= offered("oxide_xla ")
    assert offered("oxide_xla comp") >= {"compile", "completions"}
    assert {"--layers", "--help"} <= offered("oxide_xla compile --")
    assert "--layers" not in offered("oxide_xla errors --")
    choices = {"functions", "scan", "unrolled"}
    assert offered("oxide_xla compile --layers ") == choices
    assert offered("oxide_xla compile -l ") == choices
    assert any("scan" in o for o in offered("oxide_xla compile --layers=s"))
    assert offered("oxide_xla compile --shape ") == set()
    assert offered("oxide_xla errors ") == set()
    files = offered("oxide_xla compile my")
    assert {o.replace("\\", "") for o in files} == {"my net.onnx"}
    assert {o.replace("\\", "") for o in offered("oxide_xla compile -o my")} == {
        "my net.onnx"
    }


def test_zsh_is_told_all_options(scripts, tmp_path):
    def offered(line):
        return offered_by_zsh(scripts, line, tmp_path)

    assert {"compile", "inspect", "verify"} <= offered("oxide_xla ")
    specs = offered("oxide_xla compile ")
    assert any(s.startswith("--layers=[") for s in specs)
    assert any(s.endswith(":layers:(functions scan unrolled)") for s in specs)
    assert any(s.startswith("*-s[") for s in specs)
    assert any(s.startswith("-o[") and s.endswith(":_files") for s in specs)
    assert "*:model:_files" in specs
    assert offered("oxide_xla verify ") == {"FILES"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_well_formed(shell, scripts):
    assert run(shell, "-n", str(scripts[shell])) == ""


def test_unknown_shells_are_refused():
    done = subprocess.run(
        [PROGRAM, "completions", "tcsh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and not done.stdout
    assert "bash, zsh, fish" in done.stderr


def test_the_manual_page_has_every_option(tmp_path):
    page = tmp_path / "oxide_xla.1"
    page.write_text(run(PROGRAM, "manual"))
    lint = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(page)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [x for x in lint.stdout.splitlines() if "missing date" not in x]
    assert not complaints
    text = run("mandoc", "-T", "ascii", "-O", "width=200", str(page))
    text = text.replace("_\b", "")
    text = "".join(c for i, c in enumerate(text) if text[i + 1 : i + 2] != "\b")
    text = text.replace("\b", "")
    for command in ("compile", "inspect", "ops", "completions"):
        options = run(PROGRAM, command, "--help").split("options:\n")[1]
        for line in options.splitlines():
            if line.startswith(("  -", "      --")):
                name = next(w for w in line.split() if w.startswith("--"))
                assert name in text
    assert "MODEL's stem + _jax.py" in text
    assert json.dumps("a.b") in text  # quotes stay
