/* Integers of 64 bits under JAX's default mode, which has 32: what becomes of those that
 * do not fit.  An end of the type (INT64_MAX: "no limit") can be the end of the narrow
 * type where a value only has to come first or last; other integers have no stand-in. */
#ifndef OX_OPS_CORE_WIDE_H
#define OX_OPS_CORE_WIDE_H

#include "ops/core/op.h"

typedef enum Wide {
    WIDE_NONE, /* 32 bits hold all elements, as far as they are known */
    WIDE_ENDS, /* those that they do not hold are ends of the 64-bit type */
    WIDE_MORE, /* there are others */
} Wide;

/* The known elements of v, or those of its tensor. */
Wide wide_of(const Value *v);
/* The first element that does not fit, as text. */
Str wide_text(Arena *a, const Value *v);
/* All elements that do not fit are above (below) the narrow type: Min (Max) may take the
 * end of that instead. */
bool wide_is_above(const Value *v);
bool wide_is_below(const Value *v);

typedef enum WideUse {
    WIDE_EXACT,     /* the end of the narrow type stands for it, and nothing changes */
    WIDE_SATURATED, /* the same, but the output may hold that end */
    WIDE_REFUSED,   /* JAX raises an error unless it has 64 bits */
} WideUse;

/* How node n takes input i, which is wide. */
WideUse wide_use(const Node *n, int i);
/* Some element of v may be the stand-in of an end. */
bool wide_may_be_saturated(const Value *v);

#endif
