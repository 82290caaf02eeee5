/* Pieces of attention that its families share. */
#ifndef OX_OPS_ONNX_ATTENTION_H
#define OX_OPS_ONNX_ATTENTION_H

#include "ops/onnx/window.h"

/* Output `out` has four dimensions. */
void set_four(Model *m, Node *n, int out, DType dtype, Dim a, Dim b, Dim c, Dim d);
/* sum + term; the term alone when sum is NULL. */
const Expr *added(Emit *e, const Expr *sum, const Expr *term);
/* Input i with its heads apart; named when it is written more than once. */
const Expr *with_heads(Emit *e, int i, Dim heads, bool named);

#endif
