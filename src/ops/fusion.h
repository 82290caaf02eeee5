/* Fusions: subgraphs that one operator computes.  A row of fusions.c says what is looked
 * for and what it becomes; passes/fuse.c finds it.
 *
 * Both are written as nested operator calls.  In a pattern
 *     Op(a, b, axis=-1)   a node of ai.onnx; the inputs in order, both ways round for
 *                         commutative operators; attributes (or inputs) by name.  What
 *                         is not named must be absent or have its default.
 *     x                   any value; the same one wherever the name stands
 *     0.5                 a constant whose elements all round to it
 *     p | q               either
 *     _                   anything
 *     As(x, p)            p, with its value bound to x
 *     Is(x, p)            the same, but its nodes stay and may have other readers
 *     Maybe(Op(p, ...))   the call or, without it, its first argument
 *     Times(p, c)         p, also multiplied or divided by a constant; c is bound to the
 *                         product of all factors that stand by this name
 * All nodes but the outermost must have no other readers.  In what it becomes, names
 * stand for the values bound (absent inputs when they are not), and attributes take
 * numbers, lists of integers, texts, what an attribute of the pattern was, products and
 * quotients of constants, or sizes: x[1] is the second dimension of x.  Where such a
 * number is not known before the model runs (a parameter, an input) the subgraph stays. */
#ifndef OX_OPS_FUSION_H
#define OX_OPS_FUSION_H

#include "ops/core/op.h"

enum { FUSION_NAMES = 16, FUSION_NODES = 40 };

typedef struct FusionName {
    Str name;
    Value *value;  /* NULL: an attribute, */
    double number; /* which is this */
} FusionName;

typedef struct FusionMatch {
    Model *m;
    Node *root;
    FusionName bound[FUSION_NAMES]; /* of two by one name the later one counts */
    size_t n_bound;
    Node *nodes[FUSION_NODES]; /* the root first; some may be listed twice */
    size_t n_nodes;
} FusionMatch;

typedef struct Fusion {
    const char *pattern, *becomes;
    /* What the pattern cannot say; NULL: the result has the type of x. */
    bool (*fits)(const FusionMatch *t);
    bool late; /* in a second sweep: it would match a part of an earlier row */
} Fusion;

/* The i-th row, NULL past the last. */
const Fusion *fusion_at(size_t i);

/* What a node does to input 0, if input 1 is a constant: for Times(p, c). */
typedef enum FusionScale { FUSION_NO_SCALE, FUSION_TIMES, FUSION_OVER } FusionScale;
FusionScale fusion_scale(const Node *n);

/* The value bound to a name; NULL when the alternative that binds it was not taken. */
Value *fusion_value(const FusionMatch *t, const char *name);
/* All elements of v round to x in v's type. */
bool fusion_is_number(const Value *v, double x);

#endif
