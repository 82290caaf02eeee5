/* Conv, for the operators that compute more with it. */
#ifndef OX_OPS_ONNX_CONV_H
#define OX_OPS_ONNX_CONV_H

#include "ops/onnx/window.h"

/* clang-format off */
#define CONV_ATTRS                                                                     \
    STRING("auto_pad", "NOTSET"), INTS_OPT("dilations"), INT("group", 1),              \
    INTS_OPT("kernel_shape"), INTS_OPT("pads"), INTS_OPT("strides")
/* clang-format on */

/* X, W and B are inputs 0 to 2. */
void infer_conv(Model *m, Node *n);
/* A product of matrices at each place: kernels of one element, one group, no padding. */
bool conv_is_pointwise(const Node *n);
/* Row.form: input 1 is read as a kernel, but for a pointwise convolution. */
const char *conv_form(const Node *n, int i);
/* conv(x, kernel(params, "w"), b, ...); NULL after an error. */
const Expr *conv_expr(Emit *e);
/* The same of these arrays; `n` is the node with inputs of the types of X and W.  The
 * weights of a pointwise convolution are (M, C, 1, ...), those of another a kernel. */
const Expr *conv_of(Emit *e, const Node *n, const Expr *x, const Expr *weights);

#endif
