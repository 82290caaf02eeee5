"""`--rank-promotion`: how arrays of several ranks meet in the code."""

import os
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest

import oxide_xla

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))
MODEL = ROOT / "tests" / "fixtures" / "repeated_layers.onnx"


def printed(*options):
    """The module that the program writes."""
    command = [PROGRAM, "compile", MODEL, "--output=-", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_biases_are_added_as_people_write_it():
    assert '+ params["' in printed()
    assert "None" not in printed().split("def forward")[1].split("def ")[0]
    assert printed() == printed("--rank-promotion", "allow")


def test_the_code_runs_where_ranks_must_agree():
    allow = oxide_xla.compile(MODEL)
    strict = oxide_xla.compile(MODEL, rank_promotion="raise")
    assert strict.source == printed("--rank-promotion", "raise")
    assert "[None" in strict.source
    x = np.ones([d if isinstance(d, int) else 2 for d in shape_of(MODEL)], np.float32)
    y = allow.forward(allow.params, x)
    with jax.numpy_rank_promotion("raise"):
        np.testing.assert_array_equal(strict.forward(strict.params, x), y)
        with pytest.raises(ValueError, match="rank_promotion"):
            allow.forward.__wrapped__(allow.params, x)


def shape_of(model):
    (described,) = oxide_xla.inspect(model)["inputs"]
    return described["shape"]


def test_words_that_are_not_known():
    with pytest.raises(ValueError, match="'warn' is not one of allow, raise"):
        oxide_xla.compile(MODEL, rank_promotion="warn")
    command = [PROGRAM, "compile", MODEL, "--rank-promotion=warn"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "allow" in done.stderr
