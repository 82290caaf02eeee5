"""StableHLO of a compiled model, by JAX's own lowering.

    import oxide_xla

    lowered = oxide_xla.to_stablehlo("resnet18.onnx")
    print(lowered.text)
    lowered.save("resnet18.mlir")  # and resnet18.json, resnet18.safetensors

On the command line: `oxide_xla compile resnet18.onnx --target stablehlo`. What the
files hold, and how other programs run them, is in docs/stablehlo.md.
"""

from oxide_xla.stablehlo.lowered import StableHlo
from oxide_xla.stablehlo.signature import Signature, Tensor

__all__ = ["Signature", "StableHlo", "Tensor"]
