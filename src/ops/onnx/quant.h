/* Operands of quantized operators. */
#ifndef OX_OPS_ONNX_QUANT_H
#define OX_OPS_ONNX_QUANT_H

#include "ops/onnx/window.h"

/* A scale or zero point with one entry for each row or channel, input i, stands before
 * `axes` more axes of an array of this rank. */
const Expr *before_axes(Emit *e, const Expr *x, int i, int rank, int axes);
/* A zero point: a Python int where it is one known number. */
const Expr *integer(Emit *e, int i);
/* The same; NULL when it is absent or zero. */
const Expr *zero_point(Emit *e, int i);
/* Scale i in type `to`: a Python float where it is one known number. */
const Expr *scale_in(Emit *e, int i, DType to);
/* x as int32 less its zero point, input `zero`, which stands before `axes` axes of it. */
const Expr *as_integers_of(Emit *e, const Expr *x, int rank, int zero, int axes);
/* Reports OX0403 and returns true when an input has no known rank. */
bool needs_ranks(Emit *e, const int *inputs, size_t count);

#endif
