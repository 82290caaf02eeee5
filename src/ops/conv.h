/* Conv, for the operators that compute more with it. */
#ifndef OX_OPS_CONV_H
#define OX_OPS_CONV_H

#include "ops/window.h"

/* clang-format off */
#define CONV_ATTRS                                                                     \
    STRING("auto_pad", "NOTSET"), INTS_OPT("dilations"), INT("group", 1),              \
    INTS_OPT("kernel_shape"), INTS_OPT("pads"), INTS_OPT("strides")
/* clang-format on */

/* X, W and B are inputs 0 to 2. */
void infer_conv(Model *m, Node *n);
/* conv(x, w, b, ...); NULL after an error. */
const Expr *conv_expr(Emit *e);
/* The same of these arrays; `n` is the node with inputs of their types. */
const Expr *conv_of(Emit *e, const Node *n, const Expr *x, const Expr *weights);

#endif
