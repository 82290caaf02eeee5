"""`make bench-run` and its profile: on the smallest model, and what figures mean."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "bench"))

import contest
import engines
import instructions
import others

TASK = engines.Task("fake", Path("m.py"), Path("m.onnx"), (np.zeros((1, 2)),))
RIGHT = np.array([1.0, 2.0])


class Fake:
    """An engine without a process: its variants, and the seconds of their calls."""

    def __init__(self, output=RIGHT, **seconds):
        self.seconds = {variant: iter(times) for variant, times in seconds.items()}
        self.output = output
        self.tried = set()
        self.process = SimpleNamespace(pid=os.getpid())

    def ask(self, method, *arguments):
        if method == "load":
            return engines.Loaded(dict.fromkeys(self.seconds, self.output))
        variant = arguments[0]
        if variant not in self.tried:  # the turn that decides about warming up
            self.tried.add(variant)
            return engines.Turn([1.0], 1.0)
        one = next(self.seconds[variant])
        return engines.Turn([one, one, 9 * one], one)


def measured(rounds=1, **fakes):
    """A row of engines that take these times."""
    processes = {name.replace("_", " "): fake for name, fake in fakes.items()}
    return contest.Contest(1, processes).measure(TASK, rounds, 60.0)


def test_speedup_is_the_median_of_what_rounds_say():
    """The machine became slower for both, and one round was disturbed."""
    row = measured(3, jax=Fake(loaded=[1, 4, 5]), torch=Fake(torch=[2, 8, 15]))
    assert row.rounds("loaded") == [1e3, 4e3, 5e3]  # the medians of their calls
    assert row.times["loaded"].least == 1e3
    assert row.speedup("loaded") == 2.0


def test_the_better_way_to_wait_counts():
    row = measured(
        jax=Fake(loaded=[1]), torch=Fake(torch=[4]), torch_passive=Fake(torch=[3])
    )
    assert row.torch() == "torch passive"
    assert row.speedup("loaded") == 3.0


def test_prepared_parameters_count_where_there_are_some():
    row = measured(jax=Fake(loaded=[2]), torch=Fake(torch=[4]))
    assert row.ours() == "loaded"
    row = measured(jax=Fake(loaded=[2], prepared=[1]), torch=Fake(torch=[4]))
    assert row.speedup(row.ours()) == 4.0


@pytest.mark.parametrize("wrong", [RIGHT + 1e-3, RIGHT * np.nan, RIGHT[:1]])
def test_a_wrong_result_has_no_speed(wrong):
    row = measured(jax=Fake(wrong, loaded=[1]), torch=Fake(torch=[2]))
    assert row.speedup("loaded") is None
    assert "loaded differs from PyTorch" in row.notes[0]


def state(pid):
    """What the kernel says a process does: T is stopped."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2]


def test_an_engine_is_stopped_between_its_turns(tmp_path, monkeypatch):
    """A pool that spins would slow down whoever runs next; an error is an answer."""
    (tmp_path / "idle.py").write_text("class Idle:\n    def __init__(self, n): pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    idle = type("Idle", (), {"__module__": "idle"})
    process = engines.Process(idle, contest.chosen_cores(1))
    try:
        with pytest.raises(engines.EngineError, match="has no attribute 'load'"):
            process.ask("load", TASK)
        end = time.monotonic() + 10
        while state(process.process.pid) != "T" and time.monotonic() < end:
            time.sleep(0.01)
        assert state(process.process.pid) == "T"
    finally:
        process.close()
    assert process.process.returncode is not None


def test_smallest_model(tmp_path):
    """All engines take part, and agree; the table has a line for the model."""
    figures = tmp_path / "figures.json"
    command = "bench/run.py --models mlp --cores 1 --batch 1 --rounds 1"
    words = [*command.split(), "--exporter", "dynamo", "--json", figures]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [row] = json.loads(figures.read_text())
    assert {"torch", "onnxruntime", "loaded"} <= row["times"].keys()
    assert not row["notes"]
    assert row["speedup"]["loaded"] > 0
    assert {"trace", "lower", "XLA", "cached"} <= row["stages"].keys()
    assert "| 3-layer MLP | 0.0" in done.stdout
    assert "Geometric mean of the README's 1: " in done.stdout


def test_other_programs_are_judged_as_ours_is():
    """What onnxruntime passes, what it has no operator for, and one model."""
    assert others.passes("onnxruntime", "node", "test_relu")
    assert not others.passes("onnxruntime", "node", "test_image_decoder_decode_png_rgb")
    table = list(others.rows(["onnxruntime"], ["mlp"]))
    assert [row[1] for row in table] == ["bridge", "dynamo", "torchscript"]
    assert all(float(x) < 1e-12 for row in table for x in row[2:])
    error = ValueError("no such operator\nat line 7")
    assert others.reason(error) == "ValueError: no such operator"


PROGRAM = """HloModule jit_forward

%body (p: f32[4]) -> f32[4] {
  %add.1 = f32[4]{0} add(%p, %p), metadata={op_name="jit(forward)/while/body/add"}
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %x.2 = (s32[], f32[4]{0}) tuple(%x), metadata={op_name="jit(forward)/while"}
  ROOT %while.2 = f32[4]{0} while(%x.2), metadata={op_name="jit(forward)/while"}
}
"""


def test_what_runs_inside_another_instruction_counts_once():
    found = instructions.parse(PROGRAM)
    assert found["add.1"] == instructions.Instruction(
        "f32[4]{0}", "while/body/add", True
    )
    assert not found["while.2"].inner
    assert found["x.2"].shape == "a tuple"
    one = instructions.Profile(
        found, {"while.2": 80.0, "add.1": 60.0, "x.2": 0.1}, 100.0
    )
    two = instructions.Profile(found, {"while.2": 40.0, "add.1": 60.0}, 50.0)
    text = instructions.tables([one, two], [1, 2])
    assert "1 core: a call takes 100 us, its instructions 80 us." in text
    assert "| 1 while (while) | 100% | 80.0 | 40.0 | 2.00x |" in text
    inside = "| add.1 f32[4]{0} while/body/add (inside another) | 75% | 60.0 | 60.0 |"
    assert inside in text
    assert "| 1 more, each below 1% |" in text
