/* Floats that follow from sizes; see reals.c. */
#ifndef OX_OPS_CORE_EXACT_H
#define OX_OPS_CORE_EXACT_H

#include "ops/core/op.h"

/* Sets Value.reals of output 0 where it follows from the inputs; after the evaluator. */
void infer_reals(Model *m, Node *n);

#endif
