/* Binary operators before opset 7: no numpy broadcasting but, with `broadcast=1`, the
 * second input is a contiguous part of the first one's shape that starts at `axis`.
 * Source: Add-1 of the operator specification. */
#ifndef OX_OPS_ONNX_LEGACY_H
#define OX_OPS_ONNX_LEGACY_H

#include "ops/core/op.h"

/* Rows of OpDef.attrs. */
#define LEGACY_ATTRS                                                                   \
    { INT_OPT("axis"), INT("broadcast", 0) }

/* Output 0 has the shape of input 0. */
void infer_legacy(Model *m, Node *n);
void infer_legacy_bool(Model *m, Node *n);
/* The rule of ops/core/apart.h: axes are those of input 0. */
bool apart_legacy(Model *m, const Node *n, const int *at, int out, int axis);
/* Output 0 is `text` over $0, the first input, and $1, the second with ones for the
 * axes of the first that follow it. */
void emit_legacy(Emit *e, const char *text);

#endif
