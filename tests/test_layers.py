"""The rules of docs/architecture.md that a program can check: the order of layers, what
the library may call, sizes of files and functions, and formatting."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
LIBRARY = ROOT / "build" / "liboxide_xla"

# A file may include what is further up, and its own row's folder.
LAYERS = [
    ["support"],
    ["parser"],
    ["graph"],
    ["ops"],
    ["shape"],
    ["passes"],
    ["codegen", "stablehlo", "inspect", "weights"],
    ["api"],  # the files in src itself
    ["cli", "wasm"],
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}

FILE_LINES = 800
FUNCTION_LINES = 60
SWITCH_LINES = 200  # one flat switch may be longer

# What a library must not do: end the process, jump, print, read the environment.
FORBIDDEN = set(
    "exit _exit _Exit abort quick_exit atexit __assert_fail signal "
    "setjmp _setjmp __sigsetjmp longjmp siglongjmp "
    "printf vprintf puts putchar stdout stderr perror __printf_chk __vprintf_chk "
    "getenv setlocale strtok rand srand system".split()
)


def c_files(*folders):
    return sorted(p for f in folders for p in (ROOT / f).rglob("*.[ch]"))


def python_files():
    folders = ["src", "python", "bridge", "tests", "bench", "examples", "tools"]
    return sorted(
        p
        for f in folders
        for p in (ROOT / f).rglob("*.py")
        if (ROOT / "tests" / "golden") not in p.parents
    )


def layer(path):
    parts = path.relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else "api"


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wrong_includes():
    for path in c_files("src"):
        for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            if name == "oxide_xla.h":
                continue
            target = name.split("/")[0] if "/" in name else layer(path)
            own = target == layer(path)
            if not own and RANK[target] >= RANK[layer(path)]:
                yield f"{path.relative_to(ROOT)} includes {name}"


def functions(text):
    """(name, body lines) of each function in code formatted by clang-format."""
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines):
        if re.match(r"[a-zA-Z].*\(", line) and not line.endswith(";"):
            start = number
        elif line == "}" and start is not None:
            name = re.search(r"(\w+)\(", lines[start])[1]
            yield name, lines[start : number + 1]
            start = None


def too_long(body):
    limit = SWITCH_LINES if "switch (" in "\n".join(body) else FUNCTION_LINES
    return len(body) > limit


def symbols(suffix, *command):
    """The lines that nm or objdump prints about the library."""
    path = LIBRARY.with_suffix(suffix)
    if not path.exists():
        pytest.fail(f"{path} is missing: run make first")
    return [line for line in run(*command, str(path)).splitlines() if line.strip()]


def test_every_folder_has_its_place():
    folders = {p.name for p in SRC.iterdir() if p.is_dir() and any(p.rglob("*.[ch]"))}
    assert folders <= RANK.keys()


def test_includes_follow_the_order_of_layers():
    assert not list(wrong_includes())


def test_files_are_short():
    files = c_files("src", "include", "tests") + python_files()
    long = {
        str(p.relative_to(ROOT)): n
        for p in files
        if (n := len(p.read_text().splitlines())) > FILE_LINES
    }
    assert not long


def test_functions_are_short():
    found = [(p, *f) for p in c_files("src") for f in functions(p.read_text())]
    long = [
        f"{p.relative_to(ROOT)}: {name}" for p, name, body in found if too_long(body)
    ]
    assert not long


def test_files_say_what_they_are():
    silent = [
        p for p in c_files("src", "include", "tests/unit") if p.read_text()[:2] != "/*"
    ]
    silent += [p for p in python_files() if not re.match(r'("""|#|$)', p.read_text())]
    assert not [str(p.relative_to(ROOT)) for p in silent]


def test_the_library_calls_nothing_forbidden():
    lines = symbols(".a", "nm", "--undefined-only")
    assert not {line.split()[-1].split("@")[0] for line in lines} & FORBIDDEN


def test_the_library_has_no_variables():
    lines = symbols(".a", "objdump", "--syms")
    # Flags, then the section: .data.rel.ro is for constants that hold addresses.
    writable = re.compile(r"(?:O|  ) \.(t?data|t?bss|data\.rel|data\.rel\.local)\s")
    assert not [line for line in lines if writable.search(line)]


def test_the_library_exports_its_own_names_only():
    lines = symbols(".so", "nm", "--dynamic", "--defined-only")
    header = (ROOT / "include" / "oxide_xla.h").read_text()
    assert {line.split()[-1] for line in lines} == set(
        re.findall(r"\b(ox_\w+)\(", header)
    )


def test_file_names_are_plain():
    """A stray redirection makes files whose names are lines of a table."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    tracked = run("git", "ls-files", "-z").split("\0")
    assert [name for name in tracked if not re.fullmatch(r"[\w./-]*", name)] == []


def test_c_is_formatted():
    program = shutil.which("clang-format")
    if not program or "version 14." not in run(program, "--version"):
        pytest.skip("needs clang-format 14, as other versions differ")
    files = c_files("src", "include", "tests")
    run(program, "--dry-run", "-Werror", *map(str, files))


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]], ids=" ".join)
def test_python_is_formatted(check):
    run(sys.executable, "-m", "ruff", *check, "--quiet", ".")
