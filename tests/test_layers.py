"""The rules of docs/architecture.md that a program can check: the order of layers, what
the library may call, sizes of files and functions, and formatting."""

import ast
import builtins
import graphlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
LIBRARY = ROOT / "build" / "liboxide_xla"

# A file may include what is further up, and its own row's folder.
LAYERS = [
    ["support"],
    ["code", "ir"],
    ["onnx", "python"],
    ["ops/core"],
    ["ops"],  # fusions, which name operators of any family, and the bridge's own
    ["passes"],
    ["emit", "inspect", "weights"],
    ["api"],
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
    """The row's name for a file of src or an include: all families are of one row."""
    parts = Path(path).parts
    return "ops/core" if parts[:2] == ("ops", "core") else parts[0]


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def includes(path):
    return re.findall(r'^#include "([^"]+/[^"]+)"', path.read_text(), re.M)


def wrong_includes():
    for path in c_files("src"):
        own = layer(path.relative_to(SRC))
        for name in includes(path):
            if layer(name) != own and RANK[layer(name)] >= RANK[own]:
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


# What a lower layer calls all the same: the services of emission (ops/core/op.h), the
# list of families that the build makes, the node and the value that passes need.
PORTS = re.compile(r"(emit|ops)_\w+|cast_node|fusion_value")


def layers_of_objects():
    """{name of an object in the archive: its layer}: no two files share a name."""
    known = {f"{p.name}.o": layer(p.relative_to(SRC)) for p in SRC.rglob("*.c")}
    made = {"helper_files.c.o": "python", "page_files.c.o": "inspect"}  # by the build
    return {**known, **made}


def wrong_symbols():
    """The symbols that an object refers to and one of a higher layer defines."""
    layers, owners, uses = layers_of_objects(), {}, []
    for line in symbols(".a", "nm", "--print-file-name", "--extern-only"):
        place, _, rest = line.rpartition(":")
        kind, name = rest.split()[-2:]
        own = layers[place.rpartition(":")[2]]
        if kind == "U":
            uses.append((own, name))
        else:
            owners[name] = own
    for own, name in set(uses):
        made = owners.get(name, own)  # else libc's
        if made != own and RANK[made] >= RANK[own] and not PORTS.fullmatch(name):
            yield f"{own} refers to {name} of {made}"


def test_every_folder_has_its_place():
    assert {layer(p.relative_to(SRC)) for p in c_files("src")} <= RANK.keys()


def test_includes_follow_the_order_of_layers():
    assert not list(wrong_includes())


def test_the_browser_build_needs_the_public_header_alone():
    files = c_files("src/wasm")
    assert files and not [name for path in files for name in includes(path)]


def test_symbols_follow_the_order_of_layers():
    assert not sorted(wrong_symbols())


def test_only_the_front_end_knows_the_file_format():
    knowing = {
        layer(p.relative_to(SRC))
        for p in c_files("src")
        if any(name.startswith("onnx/") for name in includes(p))
    }
    assert knowing == {"onnx", "api"}


def test_operators_of_onnx_know_none_of_other_domains():
    others = ("ops/microsoft/", "ops/ml/")
    assert not [
        str(p.relative_to(ROOT))
        for p in c_files("src/ops/core", "src/ops/onnx")
        if any(name.startswith(others) for name in includes(p))
    ]


def c_strings(path):
    """The string literals of a C file, those side by side as one."""
    text = re.sub(r'"\s*\n\s*"', "", path.read_text())
    return re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)


def test_defaults_of_helpers_are_in_their_definitions_alone():
    """`$(, axis=$axis|-1)` is for functions of JAX: calls of helpers leave out what
    their definitions have."""
    source = "\n".join(p.read_text() for p in (SRC / "python/lib").glob("*.py"))
    helpers = "|".join(re.findall(r"^def (\w+)\(", source, re.M))
    repeated = re.compile(rf"(?<![\w.])(?:{helpers})\([^|]*\$\(, \w+=\$\w+\|")
    assert not [
        f"{p.relative_to(ROOT)}: {text}"
        for p in c_files("src/ops", "src/emit")
        for text in c_strings(p)
        if repeated.search(text)
    ]


def test_no_two_files_share_a_name():
    """A source file and its header do; those are in one folder."""
    files = {p.with_suffix("") for p in c_files("src", "include", "tools")}
    names = Counter(p.name for p in files)
    assert not [name for name, count in names.items() if count > 1]


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


def test_no_function_of_a_model_hides_a_builtin():
    """Class names become those of functions: Sorted must not become `sorted`."""
    text = (SRC / "emit" / "identifiers.c").read_text()
    taken = re.findall(r'"(\w+)"', text[text.index("taken[]") :].split("};")[0])
    trees = [ast.parse(p.read_text()) for p in (SRC / "python" / "lib").glob("*.py")]
    used = {n.id for t in trees for n in ast.walk(t) if isinstance(n, ast.Name)}
    lower = {name for name in used if hasattr(builtins, name) and name.islower()}
    assert "sorted" in lower and not lower - {*taken}


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


def test_facts_of_operators_are_different_bits():
    """`OpFact` is an enum of flags: two of one bit would be one fact."""
    text = (SRC / "ops" / "core" / "op.h").read_text()
    facts = re.search(r"typedef enum OpFact \{(.*?)\} OpFact;", text, re.S)[1]
    bits = Counter(re.findall(r"OP_\w+\s*=\s*1\s*<<\s*(\d+)", facts))
    assert len(bits) > 20
    assert [bit for bit, count in bits.items() if count > 1] == []


def imported_modules(path, package, known):
    """The modules that a file of the package names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package) if node.level else ""
            base = ".".join(filter(None, [start, node.module]))
            for alias in node.names:  # a module of the package, or what it defines
                name = f"{base}.{alias.name}"
                yield name if name in known else base


def package_imports():
    """{module: the modules of the package that it imports}, bridge/ among them."""
    files = {}
    for folder, parents in ((ROOT / "python", ()), (ROOT, ("oxide_xla",))):
        start = folder / "oxide_xla" if not parents else folder / "bridge"
        for path in start.rglob("*.py"):
            parts = [*parents, *path.relative_to(folder).with_suffix("").parts]
            files[".".join(p for p in parts if p != "__init__")] = path
    # The files of the bridge name each other alone where they are no package.
    own = {name.rpartition(".")[2]: name for name in files if ".bridge." in name}
    imports = {}
    for name, path in files.items():
        package = name.split(".")[: None if path.name == "__init__.py" else -1]
        found = {own.get(m, m) for m in imported_modules(path, package, files)}
        imports[name] = {m for m in found if m in files and m != name}
    return imports


def test_the_imports_of_the_package_have_no_circle():
    """Imports inside of functions count, too."""
    list(graphlib.TopologicalSorter(package_imports()).static_order())


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


def test_types_are_complete():
    run(sys.executable, "-m", "mypy", "--no-error-summary")
