/* Pieces of calls that normalizations share. */
#ifndef OX_OPS_ONNX_NORM_H
#define OX_OPS_ONNX_NORM_H

#include "ops/onnx/window.h"

/* The call of a helper with epsilon as its keyword `eps`. */
const Expr *with_epsilon(Emit *e, const Expr *call);
/* x as `dtype`, when operands of these types would give another one. */
const Expr *cast_unless(Emit *e, const Expr *x, DType dtype, bool same);
/* Mean and inverse standard deviation of x over its last axes as outputs `first` and
 * first + 1, where somebody reads them. */
void emit_layer_norm_stats(Emit *e, const Expr *x, const Expr *axis, DType stash,
                           int first);
/* Inverse root mean square of x over its last axes as output k, where it is read. */
void emit_rms_stats(Emit *e, const Expr *x, const Expr *axis, DType stash, int k);
/* The axis counted from the end; NULL for -1, which is the helpers' default. */
const Expr *last_axes(Emit *e);

#endif
