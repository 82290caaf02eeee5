/* What stands behind the end of a value of a decoder's step, where nothing has been put. */
#ifndef OX_PASSES_SIZES_BEHIND_H
#define OX_PASSES_SIZES_BEHIND_H

#include "passes/sizes/padding.h"

/* What is known of each value of the open model, by its id. */
typedef struct Behind {
    const Symbol *symbol;
    unsigned char *state;
} Behind;

bool behind_init(Behind *b, const Model *open, const Symbol *symbol);
/* An array of the cache: behind its end are zeros, or what an earlier step has left. */
void behind_is_cache(Behind *b, const Value *v);
/* The node has seen minus infinity there, and gives 0. */
void behind_is_share(Behind *b, const Value *v);

/* Numbers that are neither infinite nor NaN, where those in front of the end are none. */
bool behind_finite(Behind *b, const Value *v);
/* Zeros. */
bool behind_zero(Behind *b, const Value *v);

#endif
