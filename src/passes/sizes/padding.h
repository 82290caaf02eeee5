/* What follows a value that --bound pads must not see the padding. */
#ifndef OX_PASSES_SIZES_PADDING_H
#define OX_PASSES_SIZES_PADDING_H

#include "ops/core/stepped.h"
#include "passes/sizes/sizes.h"

/* Makes the nodes of m, which has bounds, ignore the padding of what they read: puts nodes
 * in that fill it with what they do not see, and that count.  `open` is the same model
 * without bounds, inferred; m is bound to the registry, its values are not inferred yet.
 * Reports (OX0415) the first node that would see padding. */
void padding_hide(Model *m, Model *open);

#define STEP_HINT                                                                      \
    STR("compile it from PyTorch: oxide_xla.from_torch(module, cache=N), oxide_xla "   \
        "port "                                                                        \
        "--cache N; or export it so that each present is Concat(past, new)")

/* A step of a decoder whose cache has a fixed length: step.c. */
typedef struct PaddedStep {
    Dim size;             /* in the open model: how many tokens there are after it */
    const Symbol *symbol; /* the same */
    StepPlace place;      /* in the model itself */
    Value *end;           /* their number, there */
    Node *counts;         /* what makes it, which is put in behind the first nodes */
    size_t first;         /* so many of them */
    Value **pasts; /* of the open model; read for their shapes, and to be written */
    size_t count;
    const bool *cached; /* by output: it goes to the cache */
} PaddedStep;

/* The same for a cache, which has the length of the array in the model, and that of the
 * moment in the open one.  Reports OX0416. */
void padding_hide_step(Model *m, Model *open, const PaddedStep *step);

/* The axes of the value whose sizes mention the symbol, as bits.  What is known has none:
 * its elements are those of the model. */
uint64_t padding_axes(const Value *v, const Symbol *s);

#endif
