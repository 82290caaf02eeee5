/* Matrix products and Gemm, for the operators that compute more with them. */
#ifndef OX_OPS_ONNX_LINEAR_H
#define OX_OPS_ONNX_LINEAR_H

#include "ops/core/op.h"

/* clang-format off */
#define GEMM_ATTRS                                                                     \
    FLOAT("alpha", 1.0), FLOAT("beta", 1.0), INT("transA", 0), INT("transB", 0)
/* clang-format on */

/* Output 0 is the product of arrays of these shapes, as numpy.matmul has it; rank -1:
 * not known.  Reports OX0401 when they do not fit. */
void set_product(Model *m, Node *n, const Shape *a, const Shape *b, DType dtype);
/* factor * x, by an attribute; integers have no fractions to be scaled by. */
const Expr *scaled(Emit *e, const char *name, const Expr *x);

void infer_gemm(Model *m, Node *n);
/* alpha * (a @ b.T) + beta * c; with beta 0, C is not read. */
const Expr *gemm_expr(Emit *e);

/* The rule of ops/core/apart.h for Gemm: rows of A, or columns of B. */
bool apart_gemm(Model *m, const Node *n, const int *at, int out, int axis);

#endif
