/* "Did you mean ...?": the candidate closest to a mistyped name. */
#ifndef OX_SUPPORT_NEAREST_H
#define OX_SUPPORT_NEAREST_H

#include "support/base.h"

/* Start with {.wanted = name}, offer the candidates, read `best`: empty when none is
 * close enough to be a slip of the hand. */
typedef struct Nearest {
    Str wanted, best;
    size_t distance; /* of best */
} Nearest;

void nearest_offer(Nearest *n, Str candidate);

/* Edits (insert, delete, replace, swap neighbours) that turn a into b, ignoring case;
 * SIZE_MAX when either is too long to be worth it. */
size_t str_distance(Str a, Str b);

#endif
