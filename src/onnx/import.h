/* From the messages of an ONNX file to the IR. */
#ifndef OX_ONNX_IMPORT_H
#define OX_ONNX_IMPORT_H

#include "ir/ir.h"
#include "onnx/onnx.h"

/* Builds the IR of a parsed model: resolves names, checks that each is made once, sorts
 * nodes that stand before what they read (a warning), inlines local functions.  Nodes
 * have no OpDef yet: see ops_bind.  Errors go to `diags`.  Returns NULL when memory ran
 * out. */
Model *graph_import(Arena *arena, Diags *diags, const PbModel *pb, Str file);

#endif
