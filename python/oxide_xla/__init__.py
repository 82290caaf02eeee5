"""Compile ONNX models, and PyTorch modules, to readable JAX source code.

    import oxide_xla

    model = oxide_xla.compile("resnet18.onnx")
    y = model.forward(model.params, x)
    model.save("resnet18_jax.py")  # and resnet18_jax.safetensors

Everything happens in this process, in a C library that needs nothing else. ONNX need
not be installed.
"""

from pathlib import Path

from oxide_xla._bridge import from_torch
from oxide_xla._errors import OxideError
from oxide_xla._library import version
from oxide_xla.compiler import CompiledModel, compile, inspect, to_stablehlo

# A wheel has the bridge in this folder; in the source tree it lies at the root.
_FOLDER = Path(__file__).resolve().parent
if not (_FOLDER / "bridge").exists():
    __path__.append(str(_FOLDER.parents[1]))

__all__ = [
    "CompiledModel",
    "OxideError",
    "compile",
    "from_torch",
    "inspect",
    "to_stablehlo",
]
__version__ = version()
