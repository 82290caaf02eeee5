/* Assembles the Python module: header, imports, forward, helpers, load_params. */
#ifndef OX_EMIT_CODEGEN_H
#define OX_EMIT_CODEGEN_H

#include "ops/core/op.h"

typedef struct CodegenOptions {
    OxParamStyle params;
    OxWeightFormat weights;
    OxLayers layers;
    OxRankPromotion rank_promotion;
    OxSharding sharding;
    OxLoader loader;
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
    const char *form; /* that prepare gives it; NULL: it stays as it is */
    bool is_row;      /* and which axes a mesh shards: see Value */
    uint8_t tensor_axis, fsdp_axis, expert_axis;
} ModuleParam;

typedef struct Module {
    Str source;
    ModuleParam *params;
    size_t n_params;
    struct Gen *gen; /* how it was made: for module_line_map */
    bool exported; /* params differ from PyTorch's state_dict: their file must say so */
    Str loader;    /* OX_LOADER_FILE, which the source imports; empty: it does not */
} Module;

/* Generates the module.  Errors go to m->diags; *module is then not to be used. */
void codegen_module(Model *m, const CodegenOptions *options, Module *module);

/* OX_LOADER_FILE: what reads and writes weights, the same text for every model; empty when
 * memory is refused. */
Str loader_module(Arena *arena);

/* Which lines of the module come from which nodes and parameters, as JSON: ox_line_map. */
void module_line_map(const Module *module, Text *out);

#endif
