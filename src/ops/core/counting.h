/* Loops that count until a condition fails; see counting.c. */
#ifndef OX_OPS_CORE_COUNTING_H
#define OX_OPS_CORE_COUNTING_H

#include "ops/core/op.h"

/* A Loop with these many states, whose types in the body are settled. */
typedef struct Counting {
    Node *node;
    Graph *body;
    int states;
} Counting;

/* How many iterations run before the condition ends the loop, whatever M says; false when
 * that does not follow from constants and sizes.  Infers the body with numbers that are
 * valid only there: it must be inferred again. */
bool loop_counts(Model *m, const Counting *l, Trips *trips);
/* Takes the states that are the number of the iteration from such a loop, and the
 * condition: nobody computes them. */
void loop_spare_counters(Model *m, const Counting *l);

#endif
