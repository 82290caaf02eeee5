"""Programs that read StableHLO: jaxlib's client, and IREE.

Both get what a user has: the text of a file. Arguments are numpy arrays by position,
results come back in order.
"""

import functools
import re

import jax
import numpy as np
from jax._src.lib import _jax, xla_client
from jax.interpreters import mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo
from jaxlib.mlir.passmanager import PassManager

jaxlib_mlir = _jax.mlir
stablehlo.register_stablehlo_passes()  # their names are unknown before


def is_open(text):
    """Whether a type of the module has an open dimension."""
    return bool(re.search(r"tensor<[0-9x]*\?", text))


def parse(text):
    """(context, module): parsed, and verified."""
    context = mlir.make_ir_context()
    with context:
        module = ir.Module.parse(text)
        module.operation.verify()
    return context, module


def refine(context, module, arguments):
    """The module for arguments of these shapes, without open dimensions."""
    with context, ir.Location.unknown():
        types = ",".join(
            str(ir.RankedTensorType.get(a.shape, mlir.dtype_to_ir_type(a.dtype)))
            for a in arguments
        )
        step = f"builtin.module(stablehlo-refine-arguments{{types={types}}})"
        PassManager.parse(step).run(module.operation)
        code = mlir.module_to_bytecode(module)
        refined = ir.Module.parse(jaxlib_mlir.refine_polymorphic_shapes(code))
    assert not is_open(str(refined))
    return refined


def run_jaxlib(text, arguments):
    """The results in jaxlib's own client for the CPU."""
    context, module = parse(text)
    if is_open(text):
        module = refine(context, module, arguments)
    with context:
        code = mlir.module_to_bytecode(module)
    return run_code(code, arguments)


def run_code(code, arguments):
    """The same for bytecode, or for a portable artifact, of static shapes."""
    device = jax.devices("cpu")[0]
    devices = xla_client.DeviceList((device,))
    options = xla_client.CompileOptions()
    program = device.client.compile_and_load(code, devices, options)
    with jax.enable_x64(True):  # as they are
        buffers = [jax.device_put(a, device) for a in arguments]
    return [np.asarray(x) for x in program.execute(buffers)]


# ---- IREE ----------------------------------------------------------------------------

# float64 stays what it is, and no instruction of this machine is taken for granted.
IREE_OPTIONS = [
    "--iree-llvmcpu-target-cpu=generic",
    "--iree-input-demote-f64-to-f32=false",
]


@functools.cache
def iree_config():
    import iree.runtime

    return iree.runtime.Config("local-sync")


def run_iree(text, arguments):
    """The results in IREE on the CPU; open dimensions need no refinement there."""
    import iree.compiler
    import iree.runtime

    code = iree.compiler.compile_str(
        text,
        target_backends=["llvm-cpu"],
        input_type="stablehlo",
        extra_args=IREE_OPTIONS,
    )
    config = iree_config()
    loaded = iree.runtime.VmModule.copy_buffer(config.vm_instance, code)
    module = iree.runtime.load_vm_module(loaded, config)
    results = module["main"](*arguments)
    results = results if isinstance(results, tuple | list) else (results,)
    return [np.asarray(x) for x in results]
