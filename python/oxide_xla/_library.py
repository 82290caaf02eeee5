"""The C library through ctypes: the structs and functions of include/oxide_xla.h."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from ctypes import (
    CFUNCTYPE,
    POINTER,
    c_bool,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import Any

OK, MODEL, UNSUPPORTED, USAGE, IO, MEMORY = range(6)  # OxStatus
PARAMS = {"flat": 0, "nested": 1}  # OxParamStyle
WEIGHTS = {"safetensors": 0, "npz": 1, "reference": 2}  # OxWeightFormat
LAYERS = {"functions": 0, "scan": 1, "unrolled": 2}  # OxLayers
SHARDING = {"auto": 0, "on": 1, "off": 2}  # OxSharding
RANKS = {"allow": 0, "raise": 1}  # OxRankPromotion
LOADERS = {"inline": 0, "module": 1}  # OxLoader
LOADER_MODULE = "safetensors_io"  # OX_LOADER_FILE
JSON = 1  # OxFormat

PACKAGE = Path(__file__).resolve().parent
SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
FILE_NAME = "liboxide_xla" + SUFFIX


class Text(ctypes.Structure):
    """OxText: bytes that the compiler owns."""

    _fields_ = [("data", c_void_p), ("size", c_size_t)]

    def __str__(self) -> str:
        return ctypes.string_at(self.data, self.size).decode("utf-8", "replace")


class Options(ctypes.Structure):
    """OxOptions; fields that are not given have their defaults."""

    _fields_ = [
        ("size", c_size_t),
        ("params", c_int),
        ("shapes", POINTER(c_char_p)),
        ("shape_count", c_size_t),
        ("outputs", POINTER(c_char_p)),
        ("output_count", c_size_t),
        ("dump", c_char_p),
        ("no_load_params", c_bool),
        ("weights", c_int),
        ("bounds", POINTER(c_char_p)),
        ("bound_count", c_size_t),
        ("input_values", POINTER(c_char_p)),
        ("input_value_count", c_size_t),
        ("layers", c_int),
        ("unused", c_int),
        ("sharding", c_int),
        ("rank_promotion", c_int),
        ("loader", c_int),
        ("cache", c_char_p),
    ]

    def __init__(self, **fields: Any):
        super().__init__(size=ctypes.sizeof(type(self)), **fields)


class InspectOptions(ctypes.Structure):
    """OxInspectOptions; fields that are not given have their defaults."""

    _fields_ = [
        ("size", c_size_t),
        ("format", c_int),
        ("layers", c_bool),
        ("color", c_bool),
        ("width", c_int),
        ("shapes", POINTER(c_char_p)),
        ("shape_count", c_size_t),
        ("lines", c_bool),
    ]

    def __init__(self, **fields: Any):
        super().__init__(size=ctypes.sizeof(type(self)), **fields)


class Param(ctypes.Structure):
    """OxParam: one parameter; its data lies in the model's own bytes."""

    _fields_ = [
        ("key", Text),
        ("dtype", c_char_p),
        ("shape", POINTER(c_int64)),
        ("rank", c_int),
        ("data", c_void_p),
        ("nbytes", c_uint64),
    ]


class Reader(ctypes.Structure):
    """OxReader: a file that is read by a function of ours."""

    READ = CFUNCTYPE(c_size_t, c_void_p, c_uint64, c_void_p, c_size_t)
    CLOSE = CFUNCTYPE(None, c_void_p)
    _fields_ = [
        ("size", c_uint64),
        ("read", READ),
        ("user", c_void_p),
        ("close", CLOSE),
    ]


class Folder(ctypes.Structure):
    """OxFolder: the files beside a model."""

    OPEN = CFUNCTYPE(c_bool, c_void_p, c_char_p, POINTER(Reader))
    _fields_ = [("open", OPEN), ("user", c_void_p)]


FUNCTIONS = {
    "ox_new": (c_void_p, [c_void_p]),
    "ox_free": (None, [c_void_p]),
    "ox_load_memory": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p]),
    "ox_load_file": (c_int, [c_void_p, c_char_p]),
    "ox_load_reader": (
        c_int,
        [c_void_p, POINTER(Reader), POINTER(Folder), c_char_p],
    ),
    "ox_compile": (c_int, [c_void_p, POINTER(Options)]),
    "ox_source": (Text, [c_void_p]),
    "ox_loader_source": (Text, [c_void_p]),
    "ox_param_count": (c_size_t, [c_void_p]),
    "ox_param": (Param, [c_void_p, c_size_t]),
    "ox_write_module": (c_int, [c_void_p, c_char_p, c_char_p, c_int, c_bool]),
    "ox_summary": (Text, [c_void_p]),
    "ox_inspect": (c_int, [c_void_p, POINTER(InspectOptions), POINTER(Text)]),
    "ox_messages": (Text, [c_void_p, c_bool]),
    "ox_version": (c_char_p, []),
}


def candidates() -> list[Path]:
    """Where the library may lie, the best place first."""
    if chosen := os.environ.get("OXIDE_XLA_LIBRARY"):
        return [Path(chosen)]
    # In a wheel beside this file; in the source tree where `make` puts it.
    return [PACKAGE / FILE_NAME, PACKAGE.parents[1] / "build" / FILE_NAME]


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded library; ImportError when there is none."""
    places = candidates()
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise ImportError(
            f"the library is not at {' or '.join(map(str, places))}: run `make`, or "
            "set OXIDE_XLA_LIBRARY to its path"
        )
    return load(path)


def load(path: Path) -> ctypes.CDLL:
    """The library at this path, with the types of its functions; OSError where it is
    none, AttributeError where it lacks one of them."""
    lib = ctypes.CDLL(str(path))
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
    return lib


def version() -> str:
    """The version of the library, which is that of the package."""
    text: bytes = library().ox_version()
    return text.decode()


def strings(items: list[str]) -> ctypes.Array[c_char_p]:
    """A C array of C strings."""
    return (c_char_p * len(items))(*(item.encode() for item in items))
