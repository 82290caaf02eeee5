"""include/oxide_xla.h and its mirror in Python: structs, numbers, OxOptions.size."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from oxide_xla import _library as c

ROOT = Path(__file__).resolve().parents[1]
HEADER = (ROOT / "include" / "oxide_xla.h").read_text()
MODEL = ROOT / "tests" / "fixtures" / "linear.onnx"

STRUCTS = {"OxText": c.Text, "OxOptions": c.Options, "OxParam": c.Param}
NUMBERS = {
    "OX_OK": c.OK,
    "OX_ERR_MODEL": c.MODEL,
    "OX_ERR_UNSUPPORTED": c.UNSUPPORTED,
    "OX_ERR_USAGE": c.USAGE,
    "OX_ERR_IO": c.IO,
    "OX_ERR_MEMORY": c.MEMORY,
    **{f"OX_PARAMS_{name.upper()}": number for name, number in c.PARAMS.items()},
    **{f"OX_{name.upper()}": number for name, number in c.WEIGHTS.items()},
    **{f"OX_LAYERS_{name.upper()}": number for name, number in c.LAYERS.items()},
    "OX_JSON": c.JSON,
}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def declared_fields(struct):
    """The names of a struct's fields, as the header declares them."""
    body = re.search(rf"typedef struct {struct} {{(.*?)}}", HEADER, re.S)[1]
    return re.findall(r"(\w+);", without_comments(body))


def compiled_numbers(tmp_path, expressions):
    """What the C compiler says these are."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("needs a C compiler")
    lines = "".join(f'    printf("%zu\\n", (size_t)({e}));\n' for e in expressions)
    source = tmp_path / "numbers.c"
    source.write_text(
        f'#include "oxide_xla.h"\n#include <stdio.h>\nint main(void) {{\n{lines}}}\n'
    )
    program = tmp_path / "numbers"
    include = ["-I", str(ROOT / "include")]
    subprocess.run([compiler, *include, str(source), "-o", str(program)], check=True)
    return [int(n) for n in subprocess.check_output([program]).split()]


@pytest.mark.parametrize("struct", STRUCTS)
def test_python_declares_the_fields_of_the_header(struct):
    names = [name for name, *_ in STRUCTS[struct]._fields_]
    assert names == declared_fields(struct)


def test_python_lays_structs_out_as_c_does(tmp_path):
    wanted = {}
    for struct, mirror in STRUCTS.items():
        wanted[f"sizeof({struct})"] = ctypes.sizeof(mirror)
        for name, *_ in mirror._fields_:
            field = getattr(mirror, name)
            wanted[f"offsetof({struct}, {name})"] = field.offset
            wanted[f"sizeof((({struct} *)0)->{name})"] = field.size
    assert dict(zip(wanted, compiled_numbers(tmp_path, wanted))) == wanted


def test_python_numbers_words_as_c_does(tmp_path):
    assert dict(zip(NUMBERS, compiled_numbers(tmp_path, NUMBERS))) == NUMBERS


class Newer(ctypes.Structure):
    """The options of a header that has a field more."""

    _fields_ = [("known", c.Options), ("more", ctypes.c_size_t)]


def compiled(options, size):
    """(status, source, messages) of a model compiled with a struct of this size."""
    lib = c.library()
    compiler = lib.ox_new(None)
    try:
        assert lib.ox_load_file(compiler, str(MODEL).encode()) == c.OK
        pointer = ctypes.cast(ctypes.byref(options), ctypes.POINTER(c.Options))
        pointer.contents.size = size
        status = lib.ox_compile(compiler, pointer)
        return (
            status,
            str(lib.ox_source(compiler)),
            str(lib.ox_messages(compiler, False)),
        )
    finally:
        lib.ox_free(compiler)


def test_fields_behind_an_older_struct_have_their_defaults():
    options = c.Options(params=c.PARAMS["nested"], no_load_params=True)
    status, source, _ = compiled(options, c.Options.no_load_params.offset)
    assert status == c.OK
    assert 'params["layer"]' in source or '"]["' in source  # nested was heard
    assert "def load_params" in source  # no_load_params was not
    status, source, _ = compiled(options, ctypes.sizeof(options))
    assert status == c.OK and "def load_params" not in source


def test_a_newer_struct_is_taken_where_it_asks_for_nothing_new():
    size = ctypes.sizeof(Newer)
    assert compiled(Newer(), size)[0] == c.OK
    status, source, messages = compiled(Newer(more=1), size)
    assert status == c.USAGE and not source
    assert f"OxOptions.size is {size}" in messages and "not known here" in messages


@pytest.mark.parametrize("size", [0, 4, 2**62])
def test_a_struct_without_its_size_is_refused(size):
    status, source, messages = compiled(c.Options(), size)
    assert status == c.USAGE and not source
    assert "sizeof(OxOptions)" in messages
