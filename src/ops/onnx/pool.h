/* Pools, for the operators that compute more with them. */
#ifndef OX_OPS_ONNX_POOL_H
#define OX_OPS_ONNX_POOL_H

#include "ops/onnx/window.h"

/* clang-format off */
#define POOL_ATTRS                                                                     \
    STRING("auto_pad", "NOTSET"), INTS_REQ("kernel_shape"), INTS_OPT("pads"),          \
    INTS_OPT("strides")
#define CEIL_ATTRS POOL_ATTRS, INT("ceil_mode", 0)
/* clang-format on */

/* X is input 0. */
void infer_pool(Model *m, Node *n);
void infer_global(Model *m, Node *n);
/* The pool of x, which has the type of input 0 of n; NULL after an error.  n is the node
 * that is emitted, or a view of it.  Dilated averages need a name as x. */
const Expr *max_pool_of(Emit *e, const Node *n, const Expr *x);
/* With count_include_pad a window counts whole, also what ceil_mode adds to it, which ONNX
 * leaves out and onnxruntime's quantized operator does not. */
const Expr *whole_average_pool_of(Emit *e, const Node *n, const Expr *x);

#endif
