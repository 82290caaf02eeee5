/* Tensors of equal elements; see splat.c. */
#ifndef OX_OPS_CORE_SPLAT_H
#define OX_OPS_CORE_SPLAT_H

#include "ops/core/op.h"

/* Sets Value.splat of output 0 where it follows from the inputs; after the evaluator. */
void infer_splat(Model *m, Node *n);

#endif
