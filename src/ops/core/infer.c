/* Setting the types of a node's outputs, broadcasting, and the stock inference rules.
 *
 * Rules may run again after a rewrite, so a fresh symbol is reused where the output
 * already has one of its own for that axis, and unchanged dims are not copied again. */
#include "ops/core/op.h"

void node_error(Model *m, const Node *n, DiagCode code, const char *hint,
                const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(m->arena, fmt, args);
    va_end(args);
    diag_add(m->diags, code, node_where(m, n), str_from(hint), "%.*s", (int)what.n,
             what.p ? what.p : "");
}

void node_defect(const Node *n, const char *fmt, ...) {
    Model *m = n->graph->model;
    if (diag_status(m->diags) != OX_OK)
        return;
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(m->arena, fmt, args);
    va_end(args);
    node_error(m, n, OX0302, "this is a defect of the compiler: please report it",
               "%.*s: %.*s", (int)n->op_type.n, n->op_type.p, (int)what.n,
               what.p ? what.p : "");
}

/* ---- types of outputs --------------------------------------------------------------
 */

static bool same_dims(const Type *t, const Shape *s) {
    if (t->rank != s->rank)
        return false;
    for (int i = 0; i < s->rank; i++)
        if (!dim_eq(t->dims[i], s->d[i]))
            return false;
    return true;
}

static void set_dims(Model *m, Type *t, const Shape *s) {
    if (same_dims(t, s))
        return;
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)s->rank, Dim);
    t->rank = s->rank > 0 && !dims ? -1 : s->rank;
    t->dims = dims;
    if (dims)
        memcpy(dims, s->d, (size_t)s->rank * sizeof *dims);
}

void set_type(Model *m, Node *n, int out, DType dtype, const Shape *s) {
    Value *v = node_out(n, out);
    /* Without memory there are no fresh symbols either. */
    if (dims_take_overflow(&m->dims) && s->rank > 0 && !m->arena->failed) {
        set_rank(m, n, out, dtype, s->rank);
        return;
    }
    if (!v)
        return;
    v->type.kind = TYPE_TENSOR;
    v->type.dtype = dtype;
    if (s->rank < 0)
        v->type.rank = -1;
    else
        set_dims(m, &v->type, s);
}

void set_unranked(Model *m, Node *n, int out, DType dtype) {
    set_type(m, n, out, dtype, &(Shape){.rank = -1});
}

void set_rank(Model *m, Node *n, int out, DType dtype, int rank) {
    Shape s = {.rank = rank};
    for (int i = 0; i < rank; i++)
        s.d[i] = fresh_dim(m, n, out, i);
    set_type(m, n, out, dtype, &s);
}

Dim fresh_dim(Model *m, Node *n, int out, int axis) {
    Value *v = node_out(n, out);
    if (!v)
        return dim_symbol(&m->dims, STR(""), NULL, axis);
    if (v->type.kind == TYPE_TENSOR && axis < v->type.rank) {
        const Symbol *own = dim_as_symbol(v->type.dims[axis]);
        if (own && own->value == v && own->axis == axis)
            return v->type.dims[axis];
    }
    return value_symbol(m, v, axis);
}

void fresh_sizes(Model *m, Node *n, Shape *s, uint64_t unknown, int first) {
    for (int i = 0; i < s->rank; i++)
        if (unknown >> i & 1)
            s->d[i] = fresh_dim(m, n, 0, first + i);
}

void demand_rank(Model *m, const Node *n, int i, int rank) {
    Value *v = node_in(n, i);
    bool open = v && v->type.kind == TYPE_TENSOR && v->type.rank < 0;
    /* A state of a loop has the rank only where there are iterations. */
    bool here = v && v->graph == n->graph && (v->def || v->graph == m->graph);
    if (!open || !here || rank < 0 || rank > OX_MAX_RANK)
        return;
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)rank, Dim);
    if (rank && !dims)
        return;
    for (int axis = 0; axis < rank; axis++)
        dims[axis] = value_symbol(m, v, axis);
    v->type.dims = dims;
    v->type.rank = rank;
}

/* ---- sizes that data decide --------------------------------------------------------
 */

Dim value_dim(Model *m, Node *n, int out, int axis) {
    for (uint32_t k = 0; k < n->n_out; k++) {
        int64_t bound = n->out[k] ? n->out[k]->bound : 0;
        if (bound && n->bound && bound != n->bound)
            node_error(m, n, OX0003, "", "its outputs are bounded differently");
        n->bound = bound ? bound : n->bound;
    }
    return n->bound ? dim_int(n->bound) : fresh_dim(m, n, out, axis);
}

Dim data_dim(Model *m, Node *n, int out, int axis) {
    Dim d = value_dim(m, n, out, axis);
    n->data_sized = !n->bound;
    return d;
}

void value_sizes(Model *m, Node *n, Shape *s, uint64_t unknown, int first) {
    if (!unknown || (unknown & (unknown - 1))) {
        fresh_sizes(m, n, s, unknown, first);
        return;
    }
    for (int i = 0; i < s->rank; i++)
        if (unknown >> i & 1)
            s->d[i] = value_dim(m, n, 0, first + i);
}

/* ---- broadcasting ------------------------------------------------------------------
 */

/* Gives s at least `rank` dimensions by ones in front. */
static void pad_front(Shape *s, int rank) {
    int add = rank - s->rank;
    if (s->rank < 0 || add <= 0)
        return;
    memmove(s->d + add, s->d, (size_t)s->rank * sizeof s->d[0]);
    for (int i = 0; i < add; i++)
        s->d[i] = dim_int(1);
    s->rank = rank;
}

static bool fits(Dim a, Dim b) {
    return !dim_is_int(a) || !dim_is_int(b) || a.c == b.c;
}

/* b is min(a, c), for a positive c, as the size of x[:a] is: they are equal where they
 * broadcast, or b is 1. */
static bool is_cut(Model *m, Dim a, Dim b) {
    Dim x, y;
    int64_t least;
    return dim_as_min(b, &x, &y) && (dim_eq(x, a) || dim_eq(y, a)) &&
           dim_lower_bound(&m->dims, dim_eq(x, a) ? y : x, &least) && least >= 1;
}

bool broadcast_shape(Model *m, Node *n, Shape *s, const Shape *t) {
    if (s->rank < 0 || t->rank < 0) {
        s->rank = -1;
        return true;
    }
    pad_front(s, t->rank);
    for (int i = 0; i < t->rank; i++) {
        int axis = s->rank - t->rank + i;
        Dim *a = &s->d[axis], b = t->d[i];
        if (dim_eq(*a, b) || dim_is(b, 1))
            continue;
        if (dim_is(*a, 1)) {
            *a = b;
        } else if (!fits(*a, b)) {
            node_error(m, n, OX0401, "", "dimensions %lld and %lld do not broadcast",
                       (long long)a->c, (long long)b.c);
            return false;
        } else if (dim_is_int(b)) {
            *a = b;
        } else if (!dim_is_int(*a) && is_cut(m, b, *a)) {
            *a = b;
        } else if (!dim_is_int(*a) && !is_cut(m, *a, b)) {
            *a = fresh_dim(m, n, 0, axis);
        }
    }
    return true;
}

bool broadcast_onto(Model *m, Node *n, int i, const Shape *s) {
    Shape t;
    if (!in_shape(n, i, &t) || s->rank < 0)
        return true;
    bool ok = t.rank <= s->rank;
    for (int k = 0; ok && k < t.rank; k++) {
        Dim from = t.d[k], to = s->d[s->rank - t.rank + k];
        ok = dim_is(from, 1) || fits(from, to);
    }
    if (!ok)
        node_error(m, n, OX0401, "", "input %d does not broadcast to the others", i);
    return ok;
}

bool broadcast_inputs(Model *m, Node *n, Shape *s) {
    int rank = 0;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (in_rank(n, (int)i) > rank)
            rank = in_rank(n, (int)i);
    *s = (Shape){.rank = 0};
    pad_front(s, rank < OX_MAX_RANK ? rank : OX_MAX_RANK);
    for (uint32_t i = 0; i < n->n_in; i++) {
        Shape t;
        in_shape(n, (int)i, &t);
        if (n->in[i] && !broadcast_shape(m, n, s, &t))
            return false;
    }
    return true;
}

/* ---- stock rules -------------------------------------------------------------------
 */

void infer_same(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

bool same_types(Model *m, const Node *n, int first) {
    for (int i = first + 1; i < (int)n->n_in; i++) {
        DType a = in_dtype(n, first), b = in_dtype(n, i);
        if (a == b || !a || !b)
            continue;
        node_error(m, n, OX0401, "", "inputs have different types, %s and %s",
                   dtype_info(a)->name, dtype_info(b)->name);
        return false;
    }
    return true;
}

static void infer_broadcast_as(Model *m, Node *n, DType dtype) {
    Shape s;
    (void)same_types(m, n, 0);
    if (!broadcast_inputs(m, n, &s))
        s.rank = -1;
    set_type(m, n, 0, dtype, &s);
}

void infer_broadcast(Model *m, Node *n) {
    infer_broadcast_as(m, n, in_dtype(n, 0));
}

void infer_broadcast_bool(Model *m, Node *n) {
    infer_broadcast_as(m, n, DT_BOOL);
}
