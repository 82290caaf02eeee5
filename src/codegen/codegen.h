/* Assembles the Python module: header, imports, forward, helpers, load_params. */
#ifndef OX_CODEGEN_CODEGEN_H
#define OX_CODEGEN_CODEGEN_H

#include "ops/op.h"

typedef struct CodegenOptions {
    OxParamStyle params;
    OxWeightFormat weights;
    OxLayers layers;
    bool no_load_params;
    Str file;        /* base name of the model file for the header; may be empty */
    Str fingerprint; /* hex digest for the header; may be empty */
} CodegenOptions;

/* One entry of params, in the order of first use in the file. */
typedef struct ModuleParam {
    Str key;
    const Tensor *tensor;
    const ParamNote *note; /* NULL: nothing to say */
    bool is_buffer;        /* see Value */
    bool is_frozen;
} ModuleParam;

typedef struct Module {
    Str source;
    ModuleParam *params;
    size_t n_params;
    bool exported; /* params differ from PyTorch's state_dict: their file must say so */
} Module;

/* Generates the module.  Errors go to m->diags; *module is then not to be used. */
void codegen_module(Model *m, const CodegenOptions *options, Module *module);

/* The helper with this name as Python source (a top-level function with what follows
 * until the next one), from src/codegen/py embedded at build time; empty when there is
 * none. */
Str codegen_helper(Str name);

#endif
