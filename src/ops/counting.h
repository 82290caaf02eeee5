/* Loops that count until a condition fails; see counting.c. */
#ifndef OX_OPS_COUNTING_H
#define OX_OPS_COUNTING_H

#include "ops/op.h"

/* A Loop with these many states, whose types in the body are settled. */
typedef struct Counting {
    Node *node;
    Graph *body;
    int states;
} Counting;

/* How many iterations run before the condition ends the loop, whatever M says; false when
 * that does not follow from constants and sizes.  Infers the body with numbers that are
 * valid only there: it must be inferred again. */
bool loop_counts(Model *m, const Counting *l, Dim *count);

#endif
