"""Compile ONNX models, and PyTorch modules, to readable JAX source code.

    import oxide_xla

    model = oxide_xla.compile("resnet18.onnx")
    y = model.forward(model.params, x)
    model.save("resnet18_jax.py")  # and resnet18_jax.safetensors

Everything happens in this process, in a C library that needs nothing else. ONNX need
not be installed.
"""

from oxide_xla._library import version
from oxide_xla.compiler import CompiledModel, OxideError, compile, from_torch, inspect

__all__ = ["CompiledModel", "OxideError", "compile", "from_torch", "inspect"]
__version__ = version()
