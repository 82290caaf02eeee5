"""ONNX's own node tests, for every operator that the program knows.

What cannot be compiled is listed here, by the message that says why.
"""

import json
import subprocess

import pytest
from harness import PROGRAM, run_backend_cases

REFUSED = {
    "Equal": "no arrays of strings",
    "ImageDecoder": "decoding a file is no tensor operation",
    "RegexFullMatch": "JAX has no strings",
    "StringConcat": "JAX has no strings",
    "StringNormalizer": "JAX has no strings",
    "StringSplit": "JAX has no strings",
}


def operators():
    command = [PROGRAM, "ops", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sorted({op["name"] for op in json.loads(done.stdout)})


@pytest.mark.parametrize("op", operators())
def test_official_cases(op):
    failures = [case for case in run_backend_cases([op]) if case.error]
    refused = REFUSED.get(op)
    assert [c for c in failures if not refused or refused not in c.error] == []
