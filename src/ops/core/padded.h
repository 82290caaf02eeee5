/* Nodes about padded values (--bound): they count what there is, and fill what is behind.
 * passes/sizes/padding.c puts them in before inference. */
#ifndef OX_OPS_CORE_PADDED_H
#define OX_OPS_CORE_PADDED_H

#include "ops/core/op.h"

/* times * count + plus entries are there, and padding follows. */
typedef struct PaddedLength {
    int64_t times, plus;
} PaddedLength;

typedef bool (*PaddedSplit)(Dim d, const Symbol *s, PaddedLength *length);

/* The functions below make a node that is in no graph's list yet, at the place and under
 * the name of `at`; NULL when memory was refused. */

/* How many entries the outputs of `at` have, at most `bound`: an integer. */
Node *padded_count(Model *m, Node *at, int64_t bound);
/* x with what PAST_... names behind its first entries along `axis`. */
Node *padded_fill(Model *m, Node *at, Value *x, Value *count, int axis,
                  PaddedLength length, OpPast past);
/* `sizes`, known integers of the model without bounds, with count for the symbol; NULL
 * also when `split` says that they are no multiples of it plus a number. */
Node *padded_number(Model *m, const Node *at, Value *count, const Value *sizes,
                    const Symbol *s, PaddedSplit split);
/* Makes output 0 of `at`, a mean over `bound` entries, that of the entries there are. */
Node *padded_rescale(Model *m, Node *at, Value *count, PaddedLength length,
                     int64_t bound);

/* The rule of what padded_count makes: an integer. */
void infer_entry_count(Model *m, Node *n);

#endif
