/* Which operators treat the entries of an axis by themselves.  An operator that says
 * nothing mixes them.  Two readers ask: --shape, whether the rows of a batch stay apart
 * in a model that was exported for one (passes/sizes/rows.c), and --bound, where the padding of
 * a value ends up (passes/sizes/bound.c).
 *
 * A rule answers for one output: does it hold along `axis`, entry by entry, what input k
 * holds along at[k]?  Entry i then depends on entry i of each of these, and on all of the
 * inputs that are shared; how many entries there are makes no difference to it.  Shapes
 * are compared by the reader: axis has the size of each at[k]. */
#ifndef OX_OPS_CORE_APART_H
#define OX_OPS_CORE_APART_H

#include "ops/core/op.h"

enum {
    APART_SHARED = -1, /* at[k]: the same for all entries, or absent */
    APART_SIZE = -2,   /* at[k]: integers that say how many entries there are */
};

/* The rule of the operator: its callback, its batch, or what its facts say. */
bool apart(Model *m, const Node *n, const int *at, int out, int axis);

/* All inputs from `first` on are shared. */
bool apart_shared(const Node *n, const int *at, int first);

/* ---- stock rules for OpDef.apart --------------------------------------------------- */

/* Output and input 0 have the same axes; the other inputs are shared. */
bool apart_same(Model *m, const Node *n, const int *at, int out, int axis);
/* numpy broadcasting of all inputs. */
bool apart_broadcast(Model *m, const Node *n, const int *at, int out, int axis);
/* As apart_same, for an operator that works along what its attributes or inputs `axis`
 * and `axes` name; inputs of the rank of input 0 are held in the same way. */
bool apart_off_axes(Model *m, const Node *n, const int *at, int out, int axis);
/* As apart_same, for one that works along the attribute `axis` and all axes behind. */
bool apart_before_axis(Model *m, const Node *n, const int *at, int out, int axis);
/* As apart_same, for one that works on the last axis, or the last two. */
bool apart_before_last(Model *m, const Node *n, const int *at, int out, int axis);
bool apart_before_matrix(Model *m, const Node *n, const int *at, int out, int axis);

/* For numpy's matmul of the inputs a and b; the others are shared. */
bool apart_matmul(const Node *n, const int *at, int a, int b, int axis);

/* ---- stock rules for OpDef.past: of input 0, the others may have no padding --------- */

OpPast past_any(Model *m, const Node *n, const int *at, int input);
OpPast past_zero(Model *m, const Node *n, const int *at, int input);
OpPast past_one(Model *m, const Node *n, const int *at, int input);
OpPast past_lowest(Model *m, const Node *n, const int *at, int input);
OpPast past_highest(Model *m, const Node *n, const int *at, int input);

#endif
