/* Integers that count along axes, as index grids and positions do: what they are follows
 * from sizes, whatever the data. */
#ifndef OX_OPS_ONNX_AFFINE_H
#define OX_OPS_ONNX_AFFINE_H

#include "ops/core/op.h"

/* The element at [i, j, ...] is start + step[0] * i + step[1] * j + ...; steps along axes
 * of size 1 are 0. */
typedef struct Affine {
    int rank;
    Dim start, step[OX_MAX_RANK];
} Affine;

/* false when v holds anything else, or it cannot be told. */
bool affine_of(Model *m, const Value *v, Affine *a);
/* How much input 0 of n is more than input 1, over the axes of output 0. */
bool affine_difference(Model *m, const Node *n, Affine *difference);
/* n, a Gather or GatherND, reads for entry i along `axis` of its output entry i along axis
 * `from` of its data, and of the other axes what it reads for any i. */
bool gather_follows(Model *m, const Node *n, int from, int axis);
/* Whether a comparison whose inputs differ by d, over the axes of t, is true for all
 * elements (1), for none (0), or that depends (-1). */
int affine_decides(Model *m, const Affine *d, const Type *t, unsigned order);

#endif
