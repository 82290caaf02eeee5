/* Floats that follow from sizes; see reals.c. */
#ifndef OX_SHAPE_REALS_H
#define OX_SHAPE_REALS_H

#include "ops/op.h"

/* Sets Value.reals of output 0 where it follows from the inputs; after the evaluator. */
void infer_reals(Model *m, Node *n);

#endif
