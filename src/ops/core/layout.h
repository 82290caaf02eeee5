/* What the families share that move elements without computing: evaluation by strides,
 * and the expressions of subscripts, method calls and shapes. */
#ifndef OX_OPS_CORE_LAYOUT_H
#define OX_OPS_CORE_LAYOUT_H

#include "ops/core/op.h"

/* A walk over elements: sizes and element strides per axis, outermost first. */
typedef struct Strided {
    int rank;
    int64_t base;
    int64_t size[OX_MAX_RANK], stride[OX_MAX_RANK];
} Strided;

/* Sizes and row-major strides of v; false unless it is a small tensor of known shape. */
bool strided_of(const Value *v, Strided *s);
/* Elements of output `out` in order are those of input `in` on the walk. */
void eval_strided(Model *m, Node *n, int in, int out, const Strided *walk);
/* Output 0 has the elements of input 0 in the same order. */
void eval_copy(Model *m, Node *n);
/* The same through the type as well, whatever its kind. */
void infer_identity(Model *m, Node *n);

/* Known element i of input `in` as an integer, also from float types. */
bool known_int(const Node *n, int in, size_t i, int64_t *value);
/* Checks what the operators with lists of integers rely on: fixed inputs are integers,
 * and no attribute is longer than any valid one, since the readers of op.h stop at 64
 * entries.  Reports OX0401 and returns false otherwise. */
bool lists_are_valid(Model *m, const Node *n);
/* Reports OX0401 and returns false when a size is a negative integer. */
bool sizes_are_valid(Model *m, const Node *n, const Shape *s);
/* Output `out` is ranked and has the shape of input 0. */
bool is_unchanged(const Node *n, int out);
/* d is to be read from the shape of an output of n itself. */
bool dim_is_own(const Node *n, Dim d);
/* Output `out` is ranked and no dimension is its own: the shape can be written down. */
bool shape_is_given(const Node *n, int out);

/* Where indices only say where axes go, the node becomes Spread, and a comparison of
 * positions a Triangle; see grid.c. */
void rewrite_gather_nd(Model *m, Node *n);
void rewrite_gather(Model *m, Node *n);
void rewrite_reshape(Model *m, Node *n);
/* n has the elements of its input in their order, in another shape. */
bool is_view(const Node *n);
/* n, which drops the axes that a reduction has kept for it, becomes the reduction without
 * them; false where it is none. */
bool become_reduction(Model *m, Node *n);
/* The mean over space of what was transposed is a reduction like others. */
void rewrite_global_average(Model *m, Node *n);
void rewrite_compare(Model *m, Node *n);
/* n, a slice of what its module has cut along other axes, cuts all of them itself. */
void merge_slices(Model *m, Node *n);
/* Two slices of one array that are joined the other way round are that array, rolled. */
void rewrite_concat(Model *m, Node *n);

/* object.name(args...) */
const Expr *ex_method(Arena *a, const Expr *object, const char *name,
                      const Expr *const *args, size_t n);
/* The object of object.name(...); NULL for other expressions. */
const Expr *ex_method_object(const Expr *x, const char *name);
/* object.reshape(a, b, c): the items of a tuple as arguments. */
const Expr *ex_method_spread(Arena *a, const Expr *object, const char *name,
                             const Expr *tuple);
/* x[...] with one item for each of `count` positions, NULL for all; trailing ones are
 * left out and leading ones become `...` where that is shorter. */
const Expr *ex_subscript(Arena *a, const Expr *x, const Expr *const *items, int count);
bool ex_is_none(const Expr *x);
/* The items of x[...] when they cut and add axes only, one for each of x's `rank` axes:
 * NULL where an axis is whole.  false for other expressions. */
bool ex_cuts(const Expr *x, const Expr **items, int rank);
/* The dimensions as a tuple. */
const Expr *emit_dims(Emit *e, const Dim *dims, int rank);
/* x[i[..., 0], i[..., 1]]: the last axis of input `in` holds index tuples.  NULL when
 * their length is not known or large. */
const Expr *emit_tuple_index(Emit *e, const Expr *x, int in);
/* An int for one axis, else a tuple. */
const Expr *ex_axes(Arena *a, const int64_t *axes, size_t n);

#endif
