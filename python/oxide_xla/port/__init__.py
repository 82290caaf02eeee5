"""A checkpoint of Hugging Face transformers as a JAX module that reads it.

    from oxide_xla.port import port

    port("Llama-3.1-8B").save("llama.py")
    # load_params("Llama-3.1-8B") of that file reads the weights

On the command line: `oxide_xla port FOLDER -o llama.py`. The architecture comes from
config.json. Weights are neither needed nor copied: parameters are tensors without
values while the model is exported (bridge/fx_fake.py). Needs torch, onnx, onnxscript
and transformers.
"""

from oxide_xla.port.check import unfit
from oxide_xla.port.porting import Options, port

__all__ = ["Options", "port", "unfit"]
