/* Nodes about a cache that is written in place (--cache): sizes as they were before a
 * step, and numbers that follow from its place.  passes/sizes/step.c puts them in before
 * inference. */
#ifndef OX_OPS_CORE_STEPPED_H
#define OX_OPS_CORE_STEPPED_H

#include "ops/core/op.h"

/* A node of the newest version of that operator with `count` inputs and one output, named
 * after `hint`; it is in no graph's list yet.  At the place and under the name of `at`.
 * NULL when memory is refused. */
Node *stepped_node(Model *m, const Node *at, const char *domain, const char *op,
                   Value *const *in, uint32_t count, Str hint);

/* What AtPosition reads besides its sizes. */
typedef struct StepPlace {
    Value *position; /* of the first new token */
    Value *length;   /* of the cache, known */
    Value *tokens;   /* how many are new, known */
} StepPlace;

/* `sizes`, known integers in which the length of the cache stands for the number of
 * tokens that are there after the step, as the numbers that they then are. */
Node *stepped_number(Model *m, const Node *at, const StepPlace *place, Value *sizes);

#endif
