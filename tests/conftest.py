"""What all Python tests share: where the helpers of the generated code lie, how XLA
compiles, and that every generated file is walked."""

import contextlib
import functools
import gc
import itertools
import os
import sys
import tempfile
from pathlib import Path

import pytest

import generated
import row_coverage

ROOT = Path(__file__).resolve().parents[1]

# At the end: a helper file may have the name of a module of the standard library.
sys.path.append(str(ROOT / "src" / "python" / "lib"))

# All of tests/ops is run; rows of the registry that were not checked by value.
WHOLE = pytest.StashKey[bool]()
LEFT_OUT = pytest.StashKey[list]()


def pytest_addoption(parser):
    """`--rebase` rewrites the golden files."""
    parser.addoption("--rebase", action="store_true", help="rewrite golden files")
    parser.addoption(
        "--quick-xla",
        action="store_true",
        help="XLA compiles sooner, for tests in which only values matter",
    )


# XLA's older emitters and LLVM without optimization: slower code of the same values.
PROGRAMS_A_CONTEXT = 200
QUICK_XLA = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"


def share_cores():
    """Each worker of xdist keeps to its part of the cores: PyTorch and XLA start a
    thread for each that they see, and those of several workers wait for each other."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) >= workers > 1:
        os.sched_setaffinity(0, cores[int(worker) % workers :: workers])


def pytest_configure(config):
    """Set what JAX reads when it starts; watch what is generated."""
    share_cores()
    generated.watch()
    generated.keep_no_bytecode()
    if config.getoption("--quick-xla"):
        assert "jax" not in sys.modules, "JAX has read its settings"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {QUICK_XLA}"
        os.environ["XLA_FLAGS"] = flags.strip()


def share_mlir_contexts():
    """A context of MLIR for each lowering is a sixth of what a check of an operator
    takes.  One serves many programs; a new one now and then, since it keeps their
    constants, and for what is lowered on the way, whose module would be put into that
    around it."""
    mlir = sys.modules.get("jax._src.interpreters.mlir")
    make = getattr(mlir, "make_ir_context", None)
    if make is None:  # another JAX
        return
    kept = functools.lru_cache(maxsize=1)(lambda group: make())
    served = itertools.count()

    def shared():
        with contextlib.suppress(ValueError):  # none is open
            if mlir.ir.Context.current:
                return make()
        return kept(next(served) // PROGRAMS_A_CONTEXT)

    mlir.make_ir_context = shared


@pytest.fixture(scope="session", autouse=True)
def keep_compiled_code():
    """One case in several modes, like cases, and a model in several tests often are the
    same program.  Each worker keeps its own: JAX does not write for two."""
    with tempfile.TemporaryDirectory(prefix="oxide_xla_cache_") as folder:
        if "jax" in sys.modules:
            config = sys.modules["jax"].config
            config.update("jax_compilation_cache_dir", folder)
            config.update("jax_persistent_cache_min_compile_time_secs", 0)
            config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        yield


@pytest.fixture(scope="session", autouse=True)
def walk_sources():
    """What oxide_xla.compile gives is walked also where nobody imports it."""
    if "oxide_xla.compiler" not in sys.modules:
        yield
        return
    model = sys.modules["oxide_xla.compiler"].CompiledModel
    with pytest.MonkeyPatch.context() as patch:
        initialize = model.__init__

        def checked(self, *arguments):
            initialize(self, *arguments)
            generated.check(self.source)

        patch.setattr(model, "__init__", checked)
        yield


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_code():
    """Drop what JAX has compiled for a file of tests: thousands of programs add up."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


def pytest_collection_finish(session):
    """Whether this process, or this worker, was given all tests of operators; what was
    made up to here, the objects of imports above all, is no garbage to look for."""
    session.config.stash[WHOLE] = row_coverage.is_whole(session.config, session.items)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    if session.config.getoption("--quick-xla"):
        share_mlir_contexts()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """A worker of xdist has ended: what it has checked counts here."""
    done = getattr(node, "workeroutput", {})
    row_coverage.noted.update(tuple(row) for row in done.get("rows", []))
    if done.get("whole"):
        node.config.stash[WHOLE] = True


def pytest_sessionfinish(session, exitstatus):
    """After all tests of operators, each row of the registry was checked by value."""
    whole = session.config.stash.get(WHOLE, False)
    worker = getattr(session.config, "workeroutput", None)
    if worker is not None:
        worker.update(rows=sorted(row_coverage.noted), whole=whole)
    elif whole and exitstatus == pytest.ExitCode.OK:
        from harness import PROGRAM

        left_out = row_coverage.missing(PROGRAM, row_coverage.noted)
        session.config.stash[LEFT_OUT] = left_out
        if left_out:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Says which rows no test has checked."""
    left_out = config.stash.get(LEFT_OUT, [])
    if left_out:
        terminalreporter.section("rows that no test in tests/ops checks by value")
        terminalreporter.write_line("\n".join(left_out))


SLOW_TIERS = ("models", "stablehlo")


def pytest_collection_modifyitems(config, items):
    """Leave out the slow tiers unless `-m` or a test id asks for them."""
    if any("::" in argument for argument in config.args):
        return
    tiers = [t for t in SLOW_TIERS if t not in config.getoption("markexpr")]
    left_out = [x for x in items if any(map(x.get_closest_marker, tiers))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [x for x in items if x not in left_out]
