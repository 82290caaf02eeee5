/* Operators that read or change shapes and keep the order of elements, Transpose, and
 * Expand.  Their rules carry shape arithmetic: a shape that inference knows is written
 * into the code as ints and names, never computed with arrays.
 * Source: ONNX operators Shape, Size, Reshape, Flatten, Squeeze, Unsqueeze, Transpose,
 * Expand. */
#include "ops/core/apart.h"
#include "ops/core/layout.h"

/* ---- Shape, Size ----------------------------------------------------------------- */

static int64_t clamp_axis(int64_t axis, int rank) {
    if (axis < 0)
        axis += rank;
    return axis < 0 ? 0 : axis > rank ? rank : axis;
}

/* The axes [start, end) that Shape returns; the versions before 15 have all. */
static void shape_range(const Node *n, int rank, int *start, int *end) {
    *start = (int)clamp_axis(attr_int_or(n, "start", 0), rank);
    *end = node_has(n, "end") ? (int)clamp_axis(attr_int(n, "end"), rank) : rank;
    if (*end < *start)
        *end = *start;
}

static void infer_shape(Model *m, Node *n) {
    int rank = in_rank(n, 0), start, end;
    bool cut = node_has(n, "end") || attr_int_or(n, "start", 0) != 0;
    if (rank < 0 && cut) {
        set_rank(m, n, 0, DT_INT64, 1);
        return;
    }
    if (rank < 0) {
        Dim all = value_symbol(m, node_in(n, 0), SYMBOL_RANK);
        set_type(m, n, 0, DT_INT64, &(Shape){.rank = 1, .d = {all}});
        return;
    }
    shape_range(n, rank, &start, &end);
    set_type(m, n, 0, DT_INT64, &(Shape){.rank = 1, .d = {dim_int(end - start)}});
}

static void eval_shape(Model *m, Node *n) {
    Shape s;
    int start, end;
    if (!in_shape(n, 0, &s))
        return;
    shape_range(n, s.rank, &start, &end);
    Known *k = known_new(m, DT_INT64, (size_t)(end - start));
    for (int i = start; k && i < end; i++)
        known_ints(k)[i - start] = s.d[i];
    set_known(n, 0, k);
}

static void emit_shape_of(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *shape = EX(a, "$0.shape", emit_in(e, 0));
    int64_t start = attr_int_or(n, "start", 0);
    if (node_has(n, "end") || start != 0) {
        const Expr *from = start ? ex_int(a, start) : NULL;
        const Expr *to = node_has(n, "end") ? ex_int(a, attr_int(n, "end")) : NULL;
        const Expr *range = ex_slice(a, from, to, NULL);
        shape = ex_index(a, shape, &range, 1);
    }
    emit_out(e, 0, EX(a, "jnp.array($0, $1)", shape, emit_dtype(e, DT_INT64)));
}

static void infer_size(Model *m, Node *n) {
    set_type(m, n, 0, DT_INT64, &(Shape){.rank = 0});
}

static void eval_size(Model *m, Node *n) {
    if (in_rank(n, 0) < 0)
        return;
    Known *k = known_new(m, DT_INT64, 1);
    if (k)
        known_ints(k)[0] = type_count(&m->dims, &n->in[0]->type);
    set_known(n, 0, k);
}

/* ---- Reshape --------------------------------------------------------------------- */

static bool has_allowzero(const Node *n) {
    return attr_int_or(n, "allowzero", 0) != 0;
}

/* The dimension that -1 stands for: the elements of x that the others leave. */
static Dim rest_dim(Model *m, Node *n, const Shape *s, int axis) {
    if (in_rank(n, 0) < 0)
        return fresh_dim(m, n, 0, axis);
    Dim others = dim_int(1), rest;
    for (int i = 0; i < s->rank; i++)
        if (i != axis)
            others = dim_mul(&m->dims, others, s->d[i]);
    Dim total = type_count(&m->dims, &n->in[0]->type);
    if (!dim_is(others, 0) && dim_divide(&m->dims, total, others, &rest))
        return rest;
    if (dim_is_int(total) && dim_is_int(others))
        node_error(m, n, OX0401, "",
                   "%lld elements cannot be reshaped into groups of %lld",
                   (long long)total.c, (long long)others.c);
    return fresh_dim(m, n, 0, axis);
}

static void check_count(Model *m, const Node *n, const Shape *s) {
    if (in_rank(n, 0) < 0)
        return;
    Dim count = dim_int(1), total = type_count(&m->dims, &n->in[0]->type);
    for (int i = 0; i < s->rank; i++)
        count = dim_mul(&m->dims, count, s->d[i]);
    if (dim_known_eq(&m->dims, count, total) == 0)
        node_error(m, n, OX0401, "", "the new shape has another number of elements");
}

/* A size that follows from what a caller gives may be a 0 that stands for that of x: it
 * does where x is known to have elements. */
static bool may_copy(Model *m, const Node *n, Dim size, int axis) {
    int64_t low;
    if (dim_is_int(size) || has_allowzero(n) || axis >= in_rank(n, 0) ||
        dim_eq(size, in_dim(n, 0, axis)))
        return false;
    if (dim_lower_bound(&m->dims, size, &low) && low > 0)
        return false;
    Dim total = type_count(&m->dims, &n->in[0]->type);
    return dim_lower_bound(&m->dims, total, &low) && low > 0;
}

/* Replaces 0 and -1 in the requested shape by what they stand for. */
static void resolve_reshape(Model *m, Node *n, Shape *s, uint64_t unknown) {
    int rest = -1;
    bool given = !unknown;
    fresh_sizes(m, n, s, unknown, 0);
    for (int i = 0; i < s->rank; i++) {
        if (dim_is(s->d[i], 0) && !has_allowzero(n)) {
            given &= i < in_rank(n, 0);
            s->d[i] = i < in_rank(n, 0) ? in_dim(n, 0, i) : fresh_dim(m, n, 0, i);
        } else if (dim_is(s->d[i], -1) && rest < 0) {
            rest = i;
        } else if (may_copy(m, n, s->d[i], i)) {
            given = false;
            s->d[i] = fresh_dim(m, n, 0, i);
        } else if (dim_is_int(s->d[i]) && s->d[i].c < 0) {
            node_error(m, n, OX0401, "", "the new shape has the size %lld",
                       (long long)s->d[i].c);
            s->d[i] = fresh_dim(m, n, 0, i);
        }
    }
    if (rest >= 0)
        s->d[rest] = given ? rest_dim(m, n, s, rest) : fresh_dim(m, n, 0, rest);
    else if (given)
        check_count(m, n, s);
}

static void infer_reshape(Model *m, Node *n) {
    Shape s;
    uint64_t unknown;
    if (!lists_are_valid(m, n))
        return;
    if (is_absent(n, "shape"))
        node_error(m, n, OX0303, "", "attribute shape is missing");
    if (get_sizes(n, "shape", &s, &unknown)) {
        resolve_reshape(m, n, &s, unknown);
        set_type(m, n, 0, in_dtype(n, 0), &s);
    } else {
        set_unranked(m, n, 0, in_dtype(n, 0));
    }
}

static bool is_plain(Dim d) {
    return dim_is_int(d) || dim_as_symbol(d);
}

/* What is to be reshaped: a reshape before it does nothing. */
static const Expr *emit_reshaped(Emit *e) {
    const Expr *x = emit_in(e, 0), *object = ex_method_object(x, "reshape");
    return object ? object : x;
}

/* x.reshape(...) to the type of output 0.  -1 stays where the size reads worse than -1
 * (`rest`: where the model has it; -2: anywhere) or has no other name yet.  NULL when
 * more than one size has none. */
static const Expr *reshape_to_type(Emit *e, int rest) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Type *t = &n->out[0]->type;
    const Expr *items[OX_MAX_RANK];
    bool used = false;
    for (int i = 0; i < t->rank; i++) {
        bool own = dim_is_own(n, t->dims[i]);
        bool allowed = rest == i || rest == -2;
        if (!used && (own || (allowed && !is_plain(t->dims[i])))) {
            items[i] = ex_int(a, -1);
            used = true;
        } else if (own) {
            return NULL;
        } else {
            items[i] = emit_reshaped_size(e, i);
        }
    }
    const Expr *shape = ex_seq(a, EX_TUPLE, items, (size_t)t->rank);
    return ex_method_spread(a, emit_reshaped(e), "reshape", shape);
}

static void emit_reshape(Emit *e) {
    Shape s;
    const Node *n = emit_node(e);
    const Expr *x = NULL;
    if (is_unchanged(n, 0)) {
        emit_out(e, 0, emit_in(e, 0));
        return;
    }
    if (get_dims(n, "shape", &s)) {
        int rest = -1;
        for (int i = 0; i < s.rank; i++)
            rest = dim_is(s.d[i], -1) ? i : rest;
        x = reshape_to_type(e, rest);
    }
    if (!x && has_allowzero(n)) {
        const Expr *shape = emit_list(e, "shape");
        x = ex_method_spread(emit_arena(e), emit_reshaped(e), "reshape", shape);
    }
    if (!x)
        x = EX(emit_arena(e), "reshape_with_zeros($0, $1)", emit_in(e, 0),
               emit_list(e, "shape"));
    emit_out(e, 0, x);
}

/* ---- Flatten --------------------------------------------------------------------- */

static void infer_flatten(Model *m, Node *n) {
    Shape s;
    if (!in_shape(n, 0, &s)) {
        set_rank(m, n, 0, in_dtype(n, 0), 2);
        return;
    }
    int64_t axis = attr_int(n, "axis");
    axis += axis < 0 ? s.rank : 0;
    if (axis < 0 || axis > s.rank) {
        node_error(m, n, OX0401, "", "axis %lld is out of range for rank %d",
                   (long long)attr_int(n, "axis"), s.rank);
        axis = 0;
    }
    Shape flat = {.rank = 2, .d = {dim_int(1), dim_int(1)}};
    for (int i = 0; i < s.rank; i++)
        flat.d[i >= axis] = dim_mul(&m->dims, flat.d[i >= axis], s.d[i]);
    set_type(m, n, 0, in_dtype(n, 0), &flat);
}

static void emit_flatten(Emit *e) {
    const Node *n = emit_node(e);
    if (is_unchanged(n, 0))
        emit_out(e, 0, emit_in(e, 0));
    else if (in_rank(n, 0) >= 0)
        emit_out(e, 0, reshape_to_type(e, -2));
    else
        emit_out(e, 0, emit_template(e, "flatten_at($input, axis=$axis)"));
}

/* ---- Squeeze, Unsqueeze ---------------------------------------------------------- */

static void set_squeezed(Model *m, Node *n, const Shape *s, uint64_t mask) {
    Shape out = {.rank = 0};
    for (int i = 0; i < s->rank; i++) {
        if (!(mask >> i & 1))
            out.d[out.rank++] = s->d[i];
        else if (dim_known_eq(&m->dims, s->d[i], dim_int(1)) == 0)
            node_error(m, n, OX0401, "", "axis %d to be removed does not have size 1",
                       i);
    }
    set_type(m, n, 0, in_dtype(n, 0), &out);
}

/* Without axes every 1 goes: the rank is known only when it is known which are. */
static bool mask_ones(Model *m, const Shape *s, uint64_t *mask) {
    *mask = 0;
    for (int i = 0; i < s->rank; i++) {
        int one = dim_known_eq(&m->dims, s->d[i], dim_int(1));
        if (one < 0)
            return false;
        *mask |= (uint64_t)one << i;
    }
    return true;
}

static void infer_squeeze(Model *m, Node *n) {
    Shape s;
    Ints axes;
    uint64_t mask;
    bool all = is_absent(n, "axes");
    if (lists_are_valid(m, n) && in_shape(n, 0, &s)) {
        if (all ? mask_ones(m, &s, &mask)
                : get_axes(m, n, "axes", s.rank, false, &mask)) {
            set_squeezed(m, n, &s, mask);
            return;
        }
        if (!all && !get_ints(n, "axes", &axes)) {
            const Type *t = &node_input(n, "axes")->type;
            if (t->rank == 1 && dim_is_int(t->dims[0]) && t->dims[0].c <= s.rank) {
                set_rank(m, n, 0, in_dtype(n, 0), s.rank - (int)t->dims[0].c);
                return;
            }
        }
    }
    set_unranked(m, n, 0, in_dtype(n, 0));
}

static void emit_squeeze(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *x = emit_in(e, 0);
    Ints axes;
    if (is_absent(n, "axes"))
        x = ex_method(a, x, "squeeze", NULL, 0);
    else if (!get_ints(n, "axes", &axes))
        x = EX(a, "$0.squeeze($1)", x, emit_ints(e, "axes"));
    else if (axes.n > 0)
        x = EX(a, "$0.squeeze($1)", x, ex_axes(a, axes.v, axes.n));
    emit_out(e, 0, x);
}

static void infer_unsqueeze(Model *m, Node *n) {
    Shape s, out;
    Ints axes;
    uint64_t mask;
    if (!lists_are_valid(m, n) || !in_shape(n, 0, &s) || !get_ints(n, "axes", &axes)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    size_t rank = (size_t)s.rank + axes.n;
    out.rank = rank <= OX_MAX_RANK ? (int)rank : -1;
    if (out.rank < 0)
        node_error(m, n, OX0401, "", "more than %d dimensions", OX_MAX_RANK);
    else if (!get_axes(m, n, "axes", out.rank, false, &mask))
        out.rank = -1;
    for (int i = 0, from = 0; i < out.rank; i++) {
        if (!(mask >> i & 1) && from == s.rank) {
            node_error(m, n, OX0401, "", "an axis is inserted twice");
            out.rank = -1;
        } else {
            out.d[i] = mask >> i & 1 ? dim_int(1) : s.d[from++];
        }
    }
    set_type(m, n, 0, in_dtype(n, 0), &out);
}

static bool inserts_unsqueeze(const Node *n, uint64_t *mask) {
    Ints axes;
    int rank = n->out[0]->type.rank;
    *mask = 0;
    if (rank < 0 || !get_ints(n, "axes", &axes))
        return false;
    for (size_t i = 0; i < axes.n; i++)
        *mask |= (uint64_t)1 << (axes.v[i] < 0 ? axes.v[i] + rank : axes.v[i]);
    return true;
}

static void emit_unsqueeze(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Ints axes;
    uint64_t mask;
    int rank = n->out[0]->type.rank;
    const Expr *items[OX_MAX_RANK] = {NULL};
    if (rank < 0 || in_rank(n, 0) < 0 || !get_ints(n, "axes", &axes)) {
        emit_out(e, 0,
                 EX(a, "jnp.expand_dims($0, $1)", emit_in(e, 0), emit_ints(e, "axes")));
        return;
    }
    if (!get_axes(emit_model(e), n, "axes", rank, false, &mask))
        return;
    for (int i = 0; i < rank; i++)
        items[i] = mask >> i & 1 ? ex_none() : NULL;
    emit_out(e, 0, ex_subscript(a, emit_in(e, 0), items, rank));
}

/* ---- Transpose ------------------------------------------------------------------- */

/* perm, reversed axes by default; false when it is not a permutation of rank axes. */
static bool get_perm(const Node *n, int rank, int *perm) {
    Ints given;
    if (!attr_ints(n, "perm", &given)) {
        for (int i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
        return !attr_has(n, "perm");
    }
    uint64_t seen = 0;
    for (size_t i = 0; i < given.n && given.n == (size_t)rank; i++) {
        if (given.v[i] < 0 || given.v[i] >= rank)
            return false;
        perm[i] = (int)given.v[i];
        seen |= (uint64_t)1 << perm[i];
    }
    return given.n == (size_t)rank && (seen + 1) >> rank == 1;
}

/* The length of perm when the rank of the input is unknown. */
static int perm_rank(const Node *n) {
    Ints given;
    int rank = in_rank(n, 0);
    bool usable = rank < 0 && attr_ints(n, "perm", &given) && given.n <= OX_MAX_RANK;
    return usable ? (int)given.n : rank;
}

static bool permutes_transpose(const Node *n, int *perm) {
    int rank = perm_rank(n);
    return rank >= 0 && get_perm(n, rank, perm);
}

static void infer_transpose(Model *m, Node *n) {
    Shape s, out;
    int perm[OX_MAX_RANK];
    if (attr_has(n, "perm"))
        demand_rank(m, n, 0, perm_rank(n));
    in_shape(n, 0, &s);
    out.rank = perm_rank(n);
    if (out.rank >= 0 && !get_perm(n, out.rank, perm)) {
        node_error(m, n, OX0401, "", "perm is not a permutation of the %d axes",
                   out.rank);
        out.rank = -1;
    }
    for (int i = 0; i < out.rank; i++)
        out.d[i] = s.rank < 0 ? fresh_dim(m, n, 0, i) : s.d[perm[i]];
    set_type(m, n, 0, in_dtype(n, 0), &out);
}

static void eval_transpose(Model *m, Node *n) {
    Strided x, walk;
    int perm[OX_MAX_RANK];
    if (!strided_of(n->in[0], &x) || !get_perm(n, x.rank, perm))
        return;
    walk = (Strided){.rank = x.rank};
    for (int i = 0; i < x.rank; i++) {
        walk.size[i] = x.size[perm[i]];
        walk.stride[i] = x.stride[perm[i]];
    }
    eval_strided(m, n, 0, 0, &walk);
}

static bool moves_nothing(const int *perm, int rank) {
    for (int i = 0; i < rank; i++)
        if (perm[i] != i)
            return false;
    return true;
}

static bool swaps_last_two(const int *perm, int rank) {
    return rank > 2 && moves_nothing(perm, rank - 2) && perm[rank - 1] == rank - 2;
}

/* A transpose that undoes the one before it. */
static Value *same_transpose(const Node *n) {
    const Node *before = n->in[0] ? n->in[0]->def : NULL;
    int perm[OX_MAX_RANK], first[OX_MAX_RANK], rank = perm_rank(n);
    if (rank < 0 || !before || before->op != n->op || !get_perm(n, rank, perm) ||
        !get_perm(before, rank, first))
        return NULL;
    for (int i = 0; i < rank; i++)
        if (first[perm[i]] != i)
            return NULL;
    return before->in[0];
}

static const Expr *swap_last_two(Arena *a, const Expr *x) {
    return EX(a, "$0.swapaxes(-1, -2)", x);
}

/* x.transpose(0, 2, 1, 3) or x.swapaxes(-1, -2) before this one are one with it. */
static const Expr *merge_transposes(Arena *a, const Expr *x, int *perm, int rank) {
    const Expr *moved = ex_method_object(x, "transpose");
    const Expr *swapped = ex_method_object(x, "swapaxes");
    int first[OX_MAX_RANK], before[OX_MAX_RANK];
    if (swapped && (rank < 2 || !ex_same(x, swap_last_two(a, swapped))))
        return x;
    if (!swapped && (!moved || (int)x->n != rank + 1))
        return x;
    for (int i = 0; i < rank; i++) {
        if (moved && x->kids[i + 1]->kind != EX_INT)
            return x;
        first[i] = moved ? (int)x->kids[i + 1]->i : i;
    }
    if (swapped) {
        first[rank - 1] = rank - 2;
        first[rank - 2] = rank - 1;
    }
    memcpy(before, perm, (size_t)rank * sizeof *before);
    for (int i = 0; i < rank; i++)
        perm[i] = first[before[i]];
    return moved ? moved : swapped;
}

static void emit_transpose(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int perm[OX_MAX_RANK], rank = perm_rank(n);
    int64_t axes[OX_MAX_RANK];
    const Expr *x = emit_in(e, 0);
    if (rank < 0) {
        emit_out(e, 0, EX(a, "$0.T", x));
        return;
    }
    if (!get_perm(n, rank, perm))
        return;
    x = merge_transposes(a, x, perm, rank);
    for (int i = 0; i < rank; i++)
        axes[i] = perm[i];
    if (moves_nothing(perm, rank))
        emit_out(e, 0, x);
    else if (rank == 2)
        emit_out(e, 0, EX(a, "$0.T", x));
    else if (swaps_last_two(perm, rank))
        emit_out(e, 0, swap_last_two(a, x));
    else
        emit_out(e, 0,
                 ex_method_spread(a, x, "transpose",
                                  ex_ints(a, EX_TUPLE, axes, (size_t)rank)));
}

/* ---- Expand ---------------------------------------------------------------------- */

static void infer_expand(Model *m, Node *n) {
    Shape s, sizes;
    uint64_t unknown;
    if (!lists_are_valid(m, n))
        return;
    in_shape(n, 0, &s);
    if (!get_sizes(n, "shape", &sizes, &unknown)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    int first = s.rank - sizes.rank;
    if (sizes_are_valid(m, n, &sizes)) {
        value_sizes(m, n, &sizes, unknown, first > 0 ? first : 0);
        if (!broadcast_shape(m, n, &s, &sizes))
            s.rank = -1;
    } else {
        s.rank = -1;
    }
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void eval_expand(Model *m, Node *n) {
    Strided x, walk;
    if (!strided_of(n->in[0], &x) || !strided_of(node_out(n, 0), &walk))
        return;
    int lead = walk.rank - x.rank;
    for (int i = 0; i < walk.rank; i++)
        walk.stride[i] = i < lead || x.size[i - lead] == 1 ? 0 : x.stride[i - lead];
    eval_strided(m, n, 0, 0, &walk);
}

static Value *narrow_expand(Model *m, Node *n, bool only) {
    (void)m, (void)only;
    return in_rank(n, 0) >= 0 ? n->in[0] : NULL;
}

static void emit_expand(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (is_unchanged(n, 0)) {
        emit_out(e, 0, emit_in(e, 0));
    } else if (shape_is_given(n, 0)) {
        emit_out(
            e, 0,
            EX(a, "jnp.broadcast_to($0, $1)", emit_in(e, 0), emit_shape(e, n->out[0])));
    } else {
        const Expr *x = emit_in_named(e, 0);
        emit_out(e, 0,
                 EX(a, "jnp.broadcast_to($0, jnp.broadcast_shapes($1.shape, $2))", x, x,
                    emit_list(e, "shape")));
    }
}

/* The node comes when types are known, and keeps that of the output. */
static void infer_widened(Model *m, Node *n) {
    set_unranked(m, n, 0, in_dtype(n, 0));
}

static void emit_widened(Emit *e) {
    const Expr *shape = emit_shape(e, emit_node(e)->out[0]);
    emit_out(e, 0, EX(emit_arena(e), "jnp.broadcast_to($0, $1)", emit_in(e, 0), shape));
}

static void emit_retyped(Emit *e) {
    emit_out(e, 0,
             is_unchanged(emit_node(e), 0) ? emit_in(e, 0) : reshape_to_type(e, -2));
}

static bool apart_squeeze(Model *m, const Node *n, const int *at, int out, int axis) {
    Shape s;
    uint64_t mask;
    int from = at[0], below = 0;
    (void)out;
    bool known = in_shape(n, 0, &s) && from >= 0 && apart_shared(n, at, 1) &&
                 (is_absent(n, "axes") ? mask_ones(m, &s, &mask)
                                       : get_axes(m, n, "axes", s.rank, false, &mask));
    for (int i = 0; known && i < from; i++)
        below += mask >> i & 1;
    return known && !(mask >> from & 1) && axis == from - below;
}

static void rewrite_flatten(Model *m, Node *n) {
    if (n->in[0] && n->out[0] && n->out[0]->type.rank >= 0)
        (void)become_reduction(m, n);
}

bool is_view(const Node *n) {
    uint64_t mask;
    return n->op->facts & OP_RESHAPES || n->op->infer == infer_squeeze ||
           (n->op->inserts && n->op->inserts(n, &mask));
}

static bool apart_unsqueeze(Model *m, const Node *n, const int *at, int out, int axis) {
    uint64_t mask;
    int from = 0;
    if (at[0] < 0 || !apart_shared(n, at, 1) ||
        !get_axes(m, n, "axes", n->out[out]->type.rank, false, &mask))
        return false;
    for (int i = 0; i < axis; i++)
        from += !(mask >> i & 1);
    return !(mask >> axis & 1) && from == at[0];
}

static bool apart_transpose(Model *m, const Node *n, const int *at, int out, int axis) {
    int perm[OX_MAX_RANK];
    (void)m;
    (void)out;
    return at[0] >= 0 && get_perm(n, in_rank(n, 0), perm) && perm[axis] == at[0];
}

/* An axis of size 1 repeats for all entries; sizes that mention their number are those of
 * the output, which the reader compares. */
static bool apart_expand(Model *m, const Node *n, const int *at, int out, int axis) {
    int from = axis - n->out[out]->type.rank + in_rank(n, 0);
    (void)m;
    return at[0] == APART_SHARED ? from < 0 || dim_is(in_dim(n, 0, from), 1)
                                 : at[0] == from;
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define SHAPE .infer = infer_shape, .eval = eval_shape, .emit = emit_shape_of
#define MOVES(name, eval_rule)                                                         \
    .facts = OP_MOVES, .infer = infer_##name, .eval = (eval_rule), .emit = emit_##name
#define RESHAPES(name)                                                                 \
    .facts = OP_MOVES | OP_KEEPS | OP_RESHAPES, .infer = infer_##name, .eval = eval_copy,         \
    .emit = emit_##name
static const OpDef ops[] = {
    {.name = "Shape", .since = 1, .until = 14, .in = "data", .out = "shape", SHAPE},
    {.name = "Shape", .since = 15, .in = "data", .out = "shape",
     .attrs = {INT("start", 0), INT_OPT("end")}, SHAPE},
    {.name = "Size", .since = 1, .in = "data", .out = "size",
     .infer = infer_size, .eval = eval_size,
     .jax = "jnp.array($data.size, $out.dtype)"},
    {.name = "Reshape", .since = 1, .until = 4, .in = "data", .out = "reshaped",
     .attrs = {INTS_OPT("consumed_inputs"), INTS_OPT("shape")},
     RESHAPES(reshape)},
    {.name = "Reshape", .since = 5, .until = 13, .in = "data shape", .out = "reshaped",
     .fixed = "shape", .rewrite = rewrite_reshape, RESHAPES(reshape)},
    {.name = "Reshape", .since = 14, .in = "data shape", .out = "reshaped",
     .fixed = "shape", .attrs = {INT("allowzero", 0)}, .rewrite = rewrite_reshape,
     RESHAPES(reshape)},
    {.name = "Flatten", .since = 1, .in = "input", .out = "output",
     .attrs = {INT("axis", 1)}, .rewrite = rewrite_flatten, RESHAPES(flatten)},
    {.name = "Squeeze", .since = 1, .until = 12, .in = "data", .out = "squeezed",
     .attrs = {INTS_OPT("axes")}, .apart = apart_squeeze, MOVES(squeeze, eval_copy)},
    {.name = "Squeeze", .since = 13, .in = "data axes?", .out = "squeezed",
     .fixed = "axes", .apart = apart_squeeze, MOVES(squeeze, eval_copy)},
    {.name = "Unsqueeze", .since = 1, .until = 12, .in = "data", .out = "expanded",
     .attrs = {INTS_REQ("axes")}, .apart = apart_unsqueeze,
     .inserts = inserts_unsqueeze, MOVES(unsqueeze, eval_copy)},
    {.name = "Unsqueeze", .since = 13, .in = "data axes", .out = "expanded",
     .fixed = "axes", .apart = apart_unsqueeze,
     .inserts = inserts_unsqueeze, MOVES(unsqueeze, eval_copy)},
    {.name = "Transpose", .since = 1, .in = "data", .out = "transposed",
     .attrs = {INTS_OPT("perm")}, .same = same_transpose,
     .permutes = permutes_transpose, .apart = apart_transpose, MOVES(transpose, eval_transpose)},
    {.name = "Expand", .since = 8, .in = "input shape", .out = "output",
     .fixed = "shape", .narrow = narrow_expand, .apart = apart_expand,
     .padding = "the same elements", .count = "ExpandedCount",
     .facts = OP_MOVES | OP_KEEPS | OP_WIDENS, .infer = infer_expand,
     .eval = eval_expand, .emit = emit_expand},
    {.name = "Broadcast", .domain = OP_INTERNAL, .since = 1, .in = "x",
     .out = "y", .facts = OP_MOVES | OP_KEEPS | OP_WIDENS, .apart = apart_expand,
     .infer = infer_widened, .emit = emit_widened},
    {.name = "Reshaped", .domain = OP_INTERNAL, .since = 1, .in = "x", .out = "y",
     .facts = OP_MOVES | OP_KEEPS | OP_RESHAPES, .infer = infer_widened,
     .rewrite = rewrite_reshape, .emit = emit_retyped},
};
/* clang-format on */
const OpFamily ops_shape = FAMILY(ops);
