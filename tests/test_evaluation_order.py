"""The code that is generated must not depend on the order in which the C compiler
evaluates the arguments of a call: gcc takes them from the right, clang from the left.

What emits code changes the state of the generator: names are given, statements added.
No call has two arguments that do. The holes of EX are initializers of one array, which
both compilers evaluate in order; that this holds, and that nothing else differs, is
what the comparison of the two builds checks.
"""

import ctypes
import functools
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from onnx.backend.test import loader

from oxide_xla import _library as c

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
BUILDS = [ROOT / "build", ROOT / "build" / "clang"]
STATE = re.compile(r"\b(Emit|Gen) \*")
IN_ORDER = {"EX", "if", "while", "for", "switch", "return", "sizeof"}


# ---- the source ----------------------------------------------------------------------


def without_prose(text):
    """C without comments and without what is in strings, line by line."""
    comment, string = r"/\*.*?\*/", r'"(?:\\.|[^"\\\n])*"'
    blank = re.compile(rf"{comment}|{string}", re.DOTALL)
    return blank.sub(lambda m: re.sub(r"[^\n]", "_", m[0]), text)


def functions(text):
    """(name, line, head, body) of each function in code formatted by clang-format."""
    define = re.compile(r"^[a-z][^\n;=]*?(\w+)\(([^;{]*)\) \{\n(.*?)^\}", re.M | re.S)
    for found in define.finditer(text):
        line = text.count("\n", 0, found.start(3)) + 1
        yield found[1], line, found[2], found[3]


def calls(text):
    """(name, position, arguments) of each call, those inside of others included."""
    for found in re.finditer(r"\b(\w+)\(", text):
        depth, parts, start = 1, [], found.end()
        for end in range(start, len(text)):
            depth += (text[end] in "([{") - (text[end] in ")]}")
            if depth == 0 or (depth == 1 and text[end] == ","):
                parts.append(text[start:end])
                start = end + 1
            if depth == 0:
                break
        yield found[1], found.start(), parts


def emitting(defined):
    """The functions that take the generator's state and write to it, or call one that
    does. `defined` is {(file, name): (line, head, body)}."""
    public = {name: key for key in defined for name in [key[1]]}
    write = re.compile(r"ARENA_PUSH|map_set|(->|\.)\w+(\[[^]]*\])? ([-+|]?=|\+\+) ")
    found = {
        key
        for key, (_, head, body) in defined.items()
        if STATE.search(head) and write.search(body)
    }
    called = {
        (file, name): {
            (file, other) if (file, other) in defined else public.get(other)
            for other, _, _ in calls(body)
        }
        for (file, name), (_, head, body) in defined.items()
        if STATE.search(head)
    }
    while more := {k for k, others in called.items() if others & found} - found:
        found |= more
    return found


def unordered(sources):
    """Calls with two arguments that emit, in {file name: text}."""
    defined = {
        (file, name): (line, head, body)
        for file, text in sources.items()
        for name, line, head, body in functions(without_prose(text))
    }
    found = emitting(defined)
    public = {name for _, name in found}
    for (file, _), (line, _, body) in defined.items():
        for name, at, arguments in calls(body):
            emit = [
                a
                for a in arguments
                if any(
                    (file, other) in found
                    or (other in public and (file, other) not in defined)
                    for other, _, _ in calls(a)
                )
            ]
            if len(emit) > 1 and name not in IN_ORDER:
                yield f"{file}:{line + body.count(chr(10), 0, at)}: {name}"


def test_no_call_has_two_arguments_that_emit():
    sources = {str(p.relative_to(ROOT)): p.read_text() for p in SRC.rglob("*.c")}
    assert not list(unordered(sources))


def test_the_check_finds_what_it_is_for():
    service = "void let(Gen *g, int x) {\n    g->count += x;\n}\n"
    inner = "static int own(Emit *e) {\n    return let(e->g, 1);\n}\n"
    text = "void f(Emit *e) {\n    add(e,\n        own(e), (1 + own(e)));\n}\n"
    ordered = "void g(Emit *e) {\n    EX(a, own(e), own(e));\n    add(e, own(e));\n}\n"
    assert list(unordered({"a.c": service, "b.c": inner + text + ordered})) == [
        "b.c:5: add"
    ]


# ---- the builds ----------------------------------------------------------------------


@functools.cache
def library(folder):
    path = folder / c.FILE_NAME
    if not path.exists():
        pytest.fail(f"{path} is missing: run make, and make clang")
    return c.load(path)


def compiled(lib, path, data):
    """The module, or the messages where there is none."""
    compiler = lib.ox_new(None)
    try:
        if path:
            status = lib.ox_load_file(compiler, os.fsencode(path))
        else:
            status = lib.ox_load_memory(compiler, data, len(data), b"model")
        if status == c.OK:
            status = lib.ox_compile(compiler, ctypes.byref(c.Options()))
        if status == c.OK:
            return str(lib.ox_source(compiler))
        return str(lib.ox_messages(compiler, False))
    finally:
        lib.ox_free(compiler)


def differing(models):
    """The names of those that the builds compile differently; (name, path, bytes)."""
    first, second = map(library, BUILDS)
    return [
        name
        for name, *model in models
        if compiled(first, *model) != compiled(second, *model)
    ]


def on_disk(paths):
    return ((path.name, path, None) for path in sorted(paths))


def test_builds_agree_on_fixtures_and_seeds():
    fixtures = list((ROOT / "tests").rglob("*.onnx"))
    assert fixtures
    assert not differing(on_disk(fixtures))


def test_builds_agree_on_the_suite():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = loader.load_model_tests(kind="node")
    files = list(Path(loader.DATA_DIR).rglob("*.onnx"))
    assert cases and files
    nodes = ((case.name, None, case.model.SerializeToString()) for case in cases)
    assert not differing([*nodes, *on_disk(files)])


def test_builds_agree_on_the_zoo():
    """The exports that tests of models have left, if there are some."""
    zoo = Path(os.environ.get("OXIDE_XLA_ZOO_CACHE") or ROOT / "build" / "zoo")
    assert not differing(on_disk(zoo.glob("torch-*/[!.]*/*.onnx")))
