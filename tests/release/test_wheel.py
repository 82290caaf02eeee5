"""What `make wheel` has put into dist/, installed where there is nothing else: `make
test-wheel` runs this."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
MODEL = ROOT / "tests" / "fixtures" / "two_layer_mlp.onnx"
LIMIT = 3_000_000  # bytes


def only(pattern):
    """The one file of dist/ that fits."""
    (path,) = DIST.glob(pattern)
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A virtual environment with the wheel and without its dependencies."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    python = folder / "bin" / "python"
    subprocess.run([python, *install, only("*.whl")], check=True, env=plain(folder))
    return folder


def plain(folder):
    """An environment without a compiler: the PATH has the programs of folder alone."""
    return {"PATH": str(folder / "bin"), "HOME": str(folder)}


def run(installed, *words, **options):
    done = subprocess.run(
        words,
        env=plain(installed),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_small_and_for_old_systems():
    wheel = only("*.whl")
    assert wheel.stat().st_size < LIMIT
    assert "py3-none-" in wheel.name and "manylinux_2_17" in wheel.name
    audit = [str(ROOT / "build/wheel-venv/bin/auditwheel"), "show", str(wheel)]
    said = subprocess.run(audit, capture_output=True, text=True, check=True).stdout
    assert '"manylinux_2_17_' in " ".join(said.split())


def test_the_program_needs_nothing(installed, tmp_path):
    program = installed / "bin" / "oxide_xla"
    assert run(installed, program, "version").startswith("oxide_xla ")
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    assert "not a dynamic executable" in done.stdout + done.stderr
    output = tmp_path / "mlp.py"
    run(installed, program, "compile", str(MODEL), "--output", str(output))
    native = subprocess.run(
        [ROOT / "build" / "oxide_xla", "compile", MODEL, "--output", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert output.read_text() == native.stdout
    assert (tmp_path / "mlp.safetensors").exists()


def test_the_page_of_inspect_is_the_viewer(installed):
    words = [installed / "bin" / "oxide_xla", "inspect", str(MODEL), "--format", "html"]
    generator = '<meta name="generator" content="OxideXLA {}, viewer" />'
    version = run(installed, words[0], "version").split()[1]
    assert generator.format(version) in run(installed, *words)


def test_manual_and_completions_are_where_they_are_looked_for(installed):
    share = installed / "share"
    assert (share / "man/man1/oxide_xla.1").read_text().startswith(".TH OXIDE_XLA 1")
    for name in (
        "bash-completion/completions/oxide_xla",
        "zsh/site-functions/_oxide_xla",
        "fish/vendor_completions.d/oxide_xla.fish",
    ):
        assert "oxide_xla" in (share / name).read_text()


def test_the_package_compiles_and_runs(installed):
    """JAX and numpy are those of this process, the package is that of the wheel."""
    site = next((installed / "lib").glob("python*/site-packages"))
    script = f"""
import sys
sys.path.insert(0, {str(site)!r})
import numpy as np, oxide_xla
assert oxide_xla.__file__.startswith({str(site)!r})
model = oxide_xla.compile({str(MODEL)!r})
print(model.forward(model.params, np.ones((1, 4), np.float32)).shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 3)"


def test_the_source_distribution_has_what_a_build_needs():
    with tarfile.open(only("*.tar.gz")) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"CMakeLists.txt", "include/oxide_xla.h", "LICENSE", "README.md"} <= names
    assert {n for n in names if n.startswith("web/")} == {
        f"web/viewer/page.{suffix}" for suffix in ("html", "css", "js")
    }
    assert not {n for n in names if n.startswith(("tests/", "build/", ".venv"))}


def test_the_wheel_has_no_stray_files():
    names = zipfile.ZipFile(only("*.whl")).namelist()
    assert not [n for n in names if "__pycache__" in n or n.endswith(".onnx")]
    assert "oxide_xla/py.typed" in names
