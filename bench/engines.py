"""The programs whose speed is compared, each in a process of its own: JAX with the
generated module, PyTorch eager, and onnxruntime.

A process imports its library after it is pinned to its cores, so that thread pools have
their size. Between its turns it is stopped: a pool that spins while it waits for work
would slow down whoever runs next. This file imports no library itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

BENCH = Path(__file__).resolve().parent
WARM = 0.005  # seconds of calls before those that count
PR_SET_PDEATHSIG = 1

Call = Callable[[], object]


@dataclass(frozen=True)
class Task:
    """One model at one batch size."""

    name: str  # in speed_models.MODELS
    module: Path  # the generated file
    onnx: Path
    inputs: tuple[np.ndarray, ...]
    first_call: bool = False  # measure what JAX does before the first result


@dataclass(frozen=True)
class Loaded:
    """What an engine has to say of a task before calls are timed."""

    outputs: dict[str, np.ndarray]  # variant -> what it computes, the first output
    stages: dict[str, float] = field(default_factory=dict)  # of the first call: seconds


@dataclass(frozen=True)
class Turn:
    """Calls of one variant in a row: seconds each, on the clock and of the CPU."""

    clock: list[float]
    cpu: float  # the mean, over all threads


# ---- engines -------------------------------------------------------------------------


class Torch:
    """PyTorch eager."""

    def __init__(self, cores: int):
        import torch

        torch.set_num_threads(cores)
        self.built: tuple[str, Any] = ("", None)

    def load(self, task: Task) -> tuple[dict[str, Call], Loaded]:
        """The module, and its output."""
        import speed_models
        import torch

        model = speed_models.MODELS[task.name]
        if self.built[0] != task.name:
            self.built = (task.name, model.build())
        module = self.built[1]
        inputs = [torch.from_numpy(x) for x in task.inputs]
        output = model.outputs(module, *inputs)
        return {"torch": lambda: module(*inputs)}, Loaded({"torch": output.numpy()})

    def context(self) -> contextlib.AbstractContextManager:
        """Calls run without autograd."""
        import torch

        return torch.inference_mode()


class Onnxruntime:
    """onnxruntime with as many threads as cores; the sizes of the batch are told."""

    def __init__(self, cores: int):
        self.cores = cores

    def load(self, task: Task) -> tuple[dict[str, Call], Loaded]:
        """A session."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.cores
        options.log_severity_level = 3
        batch = task.inputs[0].shape[0]
        options.add_free_dimension_override_by_name("batch", batch)
        session = onnxruntime.InferenceSession(
            task.onnx, options, providers=["CPUExecutionProvider"]
        )
        names = [given.name for given in session.get_inputs()]
        feed = dict(zip(names, task.inputs, strict=True))

        def call() -> list[np.ndarray]:
            return session.run(None, feed)

        return {"onnxruntime": call}, Loaded({"onnxruntime": call()[0]})

    context = contextlib.nullcontext


class Jax:
    """The generated module, with parameters as loaded and as `prepare` gives them."""

    def __init__(self, cores: int):
        import jax

        jax.block_until_ready(jax.jit(lambda x: x + 1)(np.float32(1)))
        self.cache = tempfile.TemporaryDirectory()
        self.built: tuple[Path | None, Any, dict[str, Any], float] = (None, None, {}, 0)

    def load(self, task: Task) -> tuple[dict[str, Call], Loaded]:
        """The jitted forward, compiled."""
        import jax

        if self.built[0] != task.module:
            self.built = (task.module, *self._build(task.module))
        _, module, params, seconds = self.built
        inputs = [jax.numpy.asarray(x) for x in task.inputs]
        stages = {}
        if task.first_call:
            chosen = params.get("prepared", params["loaded"])
            stages = self._first_call(module.forward, chosen, inputs)
            if "prepared" in params:
                stages["prepare"] = seconds
        jax.clear_caches()
        calls, outputs = {}, {}
        for variant, given in params.items():

            def call(given=given) -> Any:
                return jax.block_until_ready(module.forward(given, *inputs))

            calls[variant] = call
            outputs[variant] = np.asarray(jax.tree.leaves(call())[0])
        return calls, Loaded(outputs, stages)

    @staticmethod
    def _build(path: Path) -> tuple[Any, dict[str, Any], float]:
        """The module, its parameters in each form, and how long `prepare` took."""
        import jax

        module = import_file(path)
        params = {"loaded": jax.device_put(module.load_params())}
        if not hasattr(module, "prepare"):
            return module, params, 0.0
        prepare = jax.jit(module.prepare)
        seconds, prepared = timed(
            lambda: jax.block_until_ready(prepare(params["loaded"]))
        )
        return module, params | {"prepared": prepared}, seconds

    def _first_call(self, forward, params, inputs) -> dict[str, float]:
        """Seconds of each step, and of all with what another process has compiled."""
        import jax

        with self._persistent_cache():
            jax.clear_caches()
            trace, traced = timed(lambda: forward.trace(params, *inputs))
            lower, lowered = timed(traced.lower)
            compile_, _ = timed(lowered.compile)
            jax.clear_caches()
            again, _ = timed(lambda: jax.block_until_ready(forward(params, *inputs)))
        return {"trace": trace, "lower": lower, "XLA": compile_, "cached": again}

    @contextlib.contextmanager
    def _persistent_cache(self) -> Iterator[None]:
        """JAX keeps what it compiles, whatever its size."""
        import jax
        from jax.experimental.compilation_cache import compilation_cache

        settings = {
            "jax_compilation_cache_dir": self.cache.name,
            "jax_persistent_cache_min_compile_time_secs": 0.0,
            "jax_persistent_cache_min_entry_size_bytes": 0,
        }
        before = {name: getattr(jax.config, name) for name in settings}
        for name, value in settings.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            for name, value in before.items():
                jax.config.update(name, value)
            compilation_cache.reset_cache()

    context = contextlib.nullcontext


class SynchronousJax(Jax):
    """The same without asynchronous dispatch: the caller's thread computes."""

    def __init__(self, cores: int):
        import jax

        jax.config.update("jax_cpu_enable_async_dispatch", False)
        super().__init__(cores)


def import_file(path: Path) -> Any:
    """A generated file as a module."""
    spec = importlib.util.spec_from_file_location(f"generated_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def timed(work: Call) -> tuple[float, Any]:
    """Seconds that the work takes, and what it gives."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


# ---- a process -----------------------------------------------------------------------


def take_turn(call: Call, seconds: float, warm: float) -> Turn:
    """Call for so long, at least once; before that for `warm` seconds, uncounted."""
    start = time.perf_counter()
    while time.perf_counter() - start < warm:
        call()
    clock = []
    start, cpu = time.perf_counter(), time.process_time()
    while not clock or time.perf_counter() - start < seconds:
        one = time.perf_counter()
        call()
        clock.append(time.perf_counter() - one)
    return Turn(clock, (time.process_time() - cpu) / len(clock))


class Server:
    """What a process does for the one that started it."""

    def __init__(self, engine: Any):
        self.engine = engine
        self.calls: dict[str, Call] = {}

    def load(self, task: Task) -> Loaded:
        """Make ready for turns."""
        self.calls.clear()
        self.calls, loaded = self.engine.load(task)
        return loaded

    def turn(self, variant: str, seconds: float, warm: float) -> Turn:
        """Calls of what is loaded."""
        with self.engine.context():
            return take_turn(self.calls[variant], seconds, warm)

    def profile(self, task: Task, calls: int) -> Any:
        """Where the time goes, of engines that can tell."""
        return self.engine.profile(task, calls)


def serve(descriptor: str, module: str, engine: str, *cores: str) -> None:
    """Answer requests, (method of Server, its arguments), until there are no more."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, map(int, cores))
    channel = Connection(int(descriptor))
    server = Server(getattr(importlib.import_module(module), engine)(len(cores)))
    with contextlib.suppress(EOFError):
        while True:
            method, arguments = channel.recv()
            try:
                answer = getattr(server, method)(*arguments)
            except Exception as error:  # noqa: BLE001 - the other engines go on
                answer = EngineError(f"{type(error).__name__}: {error}")
            channel.send(answer)


class EngineError(Exception):
    """An engine cannot do what it was asked."""


class Process:
    """An engine in a process that runs only while it has something to do."""

    def __init__(self, engine: type, cores: list[int], **environment: str):
        self.channel, theirs = multiprocessing.Pipe()
        start = "import sys, engines; engines.serve(*sys.argv[1:])"
        words = [theirs.fileno(), engine.__module__, engine.__name__, *cores]
        path = os.pathsep.join([str(BENCH), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, *map(str, words)],
            env=os.environ | environment | {"PYTHONPATH": path},
            stdout=sys.__stderr__.fileno(),
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """The answer, for which the process runs; raises EngineError."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.channel.send((method, arguments))
            answer = self.channel.recv()
        except (EOFError, BrokenPipeError):
            raise EngineError("the process has ended") from None
        self.process.send_signal(signal.SIGSTOP)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    def close(self) -> None:
        """End it, also while it is stopped."""
        self.process.kill()
        self.process.wait()
        self.channel.close()
