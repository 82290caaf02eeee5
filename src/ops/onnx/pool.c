/* Pooling: MaxPool, AveragePool, LpPool and their global forms.
 * Windows become calls of helpers in python/lib/pool.py.  Dilated windows are rare and
 * JAX cannot differentiate all of them, so they go through extract_windows, which lays the
 * elements of each window along a new axis.
 * Source: the ONNX operators; PyTorch and onnxruntime for ceil_mode. */
#include "ops/onnx/pool.h"
#include "ops/core/apart.h"
#include "ops/core/layout.h"

#include <math.h>

/* ---- inference --------------------------------------------------------------------- */

void infer_pool(Model *m, Node *n) {
    Window w;
    Shape s = {.rank = -1};
    const Attr *kernel = attr_get(n, "kernel_shape");
    if (kernel && kernel->ints.count && kernel->ints.count < OX_MAX_RANK)
        demand_rank(m, n, 0, 2 + (int)kernel->ints.count);
    bool known = window_read(m, n, &w) && window_slide(m, n, &w);
    if (known)
        window_shape(n, &w, in_dim(n, 0, 1), &s);
    set_type(m, n, 0, in_dtype(n, 0), &s);
    set_type(m, n, 1, DT_INT64, &s);
}

void infer_global(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    for (int i = 2; i < s.rank; i++)
        s.d[i] = dim_int(1);
    if (s.rank == 0 || s.rank == 1)
        node_error(m, n, OX0401, "", "X has rank %d, but (N, C, ...) is needed",
                   s.rank);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* ---- emission ---------------------------------------------------------------------- */

static bool read_window_of(Emit *e, const Node *n, Window *w) {
    if (in_rank(n, 0) < 0)
        emit_fail(e, OX0403, "", "the rank of X is not known");
    return window_read(emit_model(e), n, w) && window_slide(emit_model(e), n, w);
}

static bool read_window(Emit *e, Window *w) {
    return read_window_of(e, emit_node(e), w);
}

/* helper(x, window=..., stride=..., padding=...) */
static const Expr *pool_call(Emit *e, const char *helper, const Expr *x,
                             const Window *w, const Expr *padding) {
    Arena *a = emit_arena(e);
    const Expr *call = ex_call(a, ex_name(a, str_from(helper)), &x, 1);
    call = call_with(e, call, "window", window_kernel(e, w));
    call = call_with(e, call, "stride", window_ints(e, w->stride, w->n));
    return call_with(e, call, "padding", padding);
}

static const Expr *padding_of(Emit *e, const Window *w) {
    return window_padding(e, w->lo, w->hi, w->n);
}

static const Expr *dilated_call(Emit *e, const char *helper, const Expr *x,
                                const Window *w) {
    const Expr *call = pool_call(e, helper, x, w, padding_of(e, w));
    return call_with(e, call, "dilation", window_ints(e, w->dilation, w->n));
}

/* What padding of MaxPool holds; NULL for 0. */
static const Expr *least(Emit *e, DType dtype) {
    const DTypeInfo *t = dtype_info(dtype);
    if (t->cls == DC_FLOAT)
        return emit_float(e, (double)-INFINITY, dtype);
    if (t->cls != DC_INT || t->bits > 63)
        return NULL;
    return ex_int(emit_arena(e), -((int64_t)1 << (t->bits - 1)));
}

static void emit_max_pool_indices(Emit *e, const Window *w) {
    Arena *a = emit_arena(e);
    DType dtype = in_dtype(emit_node(e), 0);
    const Expr *call = dilated_call(e, "max_pool_indices", emit_in(e, 0), w);
    if (!dtype_is_float(dtype)) {
        const Expr *pad = least(e, dtype);
        call = call_with(e, call, "least", pad ? pad : ex_int(a, 0));
    }
    bool column_major = attr_int(emit_node(e), "storage_order") != 0 && w->n > 1;
    emit_outs(e, call_with(e, call, "column_major", ex_bool(a, column_major)));
}

static const Expr *max_pool_in(Emit *e, const Expr *x, const Window *w) {
    if (!window_is_dilated(w))
        return pool_call(e, "max_pool", x, w, padding_of(e, w));
    const Expr *call = dilated_call(e, "extract_windows", x, w);
    call = call_with(e, call, "fill", least(e, in_dtype(emit_node(e), 0)));
    return EX(emit_arena(e), "jnp.max($0, axis=-1)", call);
}

const Expr *max_pool_of(Emit *e, const Node *n, const Expr *x) {
    Window w;
    return read_window_of(e, n, &w) ? max_pool_in(e, x, &w) : NULL;
}

static void emit_max_pool(Emit *e) {
    Window w;
    if (!read_window(e, &w))
        return;
    if (emit_wants(e, 1))
        emit_max_pool_indices(e, &w);
    else
        emit_out(e, 0, max_pool_in(e, emit_in(e, 0), &w));
}

/* Splits the padding into what the file asks for, which may count in a mean, and what
 * ceil_mode adds, which never does. */
static void split_ceil(Emit *e, Window *w, Window *beyond) {
    *beyond = *w;
    for (int i = 0; i < w->n; i++) {
        beyond->lo[i] = dim_int(0);
        beyond->hi[i] = dim_sub(&emit_model(e)->dims, w->hi[i], w->asked[i]);
        w->hi[i] = w->asked[i];
    }
}

static const Expr *padded(Emit *e, const Expr *x, const Window *w) {
    if (!window_is_padded(w))
        return x;
    const Expr *width = window_pad_width(e, w->lo, w->hi, w->n);
    return EX(emit_arena(e), "jnp.pad($0, $1)", x, width);
}

static const Expr *dilated_mean(Emit *e, const Expr *x, const Window *w) {
    Arena *a = emit_arena(e);
    const Expr *total = dilated_call(e, "extract_windows", x, w);
    if (!window_is_padded(w))
        return EX(a, "jnp.mean($0, axis=-1)", total);
    const Expr *ones = EX(a, "jnp.ones_like($0)", x);
    return EX(a, "jnp.sum($0, axis=-1) / jnp.sum($1, axis=-1)", total,
              dilated_call(e, "extract_windows", ones, w));
}

/* What ceil_mode adds may count as well: `whole`. */
static const Expr *average_pool_in(Emit *e, const Expr *x, Window *w, bool whole) {
    Window beyond = {0};
    const Node *n = emit_node(e);
    bool count_pad = op_attr(n->op, STR("count_include_pad")) &&
                     attr_int(n, "count_include_pad") != 0;
    bool dilated = window_is_dilated(w), pad = window_is_padded(w);
    if (count_pad && whole && !dilated) {
        pad = false; /* all counts, so that there is nothing to count */
    } else if (count_pad) {
        split_ceil(e, w, &beyond);
        pad = window_is_padded(&beyond);
        if (pad || dilated) {
            x = padded(e, x, w);
            *w = beyond;
        }
    }
    if (dilated)
        return dilated_mean(e, x, w);
    return pool_call(e, pad ? "avg_pool_inside" : "avg_pool", x, w, padding_of(e, w));
}

const Expr *whole_average_pool_of(Emit *e, const Node *n, const Expr *x) {
    Window w;
    return read_window_of(e, n, &w) ? average_pool_in(e, x, &w, true) : NULL;
}

static void emit_average_pool(Emit *e) {
    Window w;
    if (!read_window(e, &w))
        return;
    bool twice = window_is_padded(&w) && window_is_dilated(&w);
    const Expr *x = twice ? emit_in_named(e, 0) : emit_in(e, 0);
    emit_out(e, 0, average_pool_in(e, x, &w, false));
}

/* ---- p-norms ----------------------------------------------------------------------- */

/* p as an int where it is integral; NULL after an error. */
static const Expr *norm_order(Emit *e) {
    double p = 0;
    get_float(emit_node(e), "p", &p);
    if (p >= 1 && p <= INT32_MAX)
        return p == (double)(int64_t)p ? ex_int(emit_arena(e), (int64_t)p)
                                       : emit_float(e, p, DT_FLOAT);
    emit_fail(e, OX0303, "", "p is %g", p);
    return NULL;
}

static void emit_lp_pool(Emit *e) {
    Window w;
    const Expr *p = norm_order(e);
    if (!p || !read_window(e, &w))
        return;
    Arena *a = emit_arena(e);
    if (window_is_dilated(&w)) {
        const Expr *call = dilated_call(e, "extract_windows", emit_in(e, 0), &w);
        emit_out(e, 0,
                 EX(a, "jnp.sum(jnp.abs($0) ** $1, axis=-1) ** (1 / $2)", call, p, p));
        return;
    }
    const Expr *call = EX(a, "lp_pool($0, p=$1)", emit_in(e, 0), p);
    call = call_with(e, call, "window", window_kernel(e, &w));
    call = call_with(e, call, "stride", window_ints(e, w.stride, w.n));
    emit_out(e, 0, call_with(e, call, "padding", padding_of(e, &w)));
}

/* ---- global pools ------------------------------------------------------------------ */

/* The spatial axes of X as a tuple; NULL after an error. */
static const Expr *spatial_axes(Emit *e) {
    int rank = in_rank(emit_node(e), 0);
    int64_t axes[OX_MAX_RANK];
    if (rank < 2 || rank > OX_MAX_RANK) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return NULL;
    }
    for (int i = 2; i < rank; i++)
        axes[i - 2] = i;
    return ex_ints(emit_arena(e), EX_TUPLE, axes, (size_t)(rank - 2));
}

static void emit_global(Emit *e, const char *text) {
    const Expr *axes = spatial_axes(e);
    if (axes)
        emit_out(e, 0, EX(emit_arena(e), text, emit_in(e, 0), axes));
}

static void emit_global_average(Emit *e) {
    bool space = in_rank(emit_node(e), 0) > 3;
    emit_global(e, space ? "global_mean($0, keepdims=True)"
                         : "jnp.mean($0, axis=$1, keepdims=True)");
}

static void emit_global_max(Emit *e) {
    emit_global(e, "jnp.max($0, axis=$1, keepdims=True)");
}

static void emit_global_lp(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *p = norm_order(e), *axes = spatial_axes(e);
    if (!p || !axes)
        return;
    if (p->kind == EX_INT && p->i == 2)
        emit_global(e, "jnp.sqrt(jnp.sum(jnp.square($0), axis=$1, keepdims=True))");
    else if (p->kind == EX_INT && p->i == 1)
        emit_global(e, "jnp.sum(jnp.abs($0), axis=$1, keepdims=True)");
    else
        emit_out(e, 0,
                 EX(a, "jnp.sum(jnp.abs($0) ** $1, axis=$2, keepdims=True) ** (1 / $3)",
                    emit_in(e, 0), p, axes, p));
}

/* Indices count from the first element of the whole batch. */
static bool apart_max_pool(Model *m, const Node *n, const int *at, int out, int axis) {
    return out == 0 && axis == 0 && apart_same(m, n, at, out, axis);
}

/* Indices count in the padded array. */
static OpPast past_max_pool(Model *m, const Node *n, const int *at, int input) {
    Window w;
    bool plain = input == 0 && at[0] > 1 && !node_out(n, 1) && window_read(m, n, &w) &&
                 !w.ceil && (w.mode == PAD_EXPLICIT || w.mode == PAD_VALID);
    return plain ? PAST_LOWEST : PAST_SEEN;
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "MaxPool", .since = 1, .until = 7, .in = "X", .out = "Y",
     .attrs = {POOL_ATTRS}, .apart = apart_max_pool, .past = past_max_pool,
     .infer = infer_pool, .emit = emit_max_pool},
    {.name = "MaxPool", .since = 8, .until = 9, .in = "X", .out = "Y Indices?",
     .attrs = {POOL_ATTRS, INT("storage_order", 0)},
     .apart = apart_max_pool, .past = past_max_pool, .infer = infer_pool, .emit = emit_max_pool},
    {.name = "MaxPool", .since = 10, .in = "X", .out = "Y Indices?",
     .attrs = {CEIL_ATTRS, INTS_OPT("dilations"), INT("storage_order", 0)},
     .apart = apart_max_pool, .past = past_max_pool, .infer = infer_pool, .emit = emit_max_pool},

    {.name = "AveragePool", .since = 1, .until = 6, .in = "X", .out = "Y",
     .attrs = {POOL_ATTRS}, .batch = "X",
     .infer = infer_pool, .emit = emit_average_pool},
    {.name = "AveragePool", .since = 7, .until = 9, .in = "X", .out = "Y",
     .attrs = {POOL_ATTRS, INT("count_include_pad", 0)},
     .batch = "X", .infer = infer_pool, .emit = emit_average_pool},
    {.name = "AveragePool", .since = 10, .until = 18, .in = "X", .out = "Y",
     .attrs = {CEIL_ATTRS, INT("count_include_pad", 0)},
     .batch = "X", .infer = infer_pool, .emit = emit_average_pool},
    {.name = "AveragePool", .since = 19, .in = "X", .out = "Y",
     .attrs = {CEIL_ATTRS, INTS_OPT("dilations"), INT("count_include_pad", 0)},
     .batch = "X", .infer = infer_pool, .emit = emit_average_pool},

    {.name = "LpPool", .since = 1, .until = 1, .in = "X", .out = "Y",
     .attrs = {POOL_ATTRS, FLOAT("p", 2.0)},
     .batch = "X", .infer = infer_pool, .emit = emit_lp_pool},
    {.name = "LpPool", .since = 2, .until = 17, .in = "X", .out = "Y",
     .attrs = {POOL_ATTRS, INT("p", 2)},
     .batch = "X", .infer = infer_pool, .emit = emit_lp_pool},
    {.name = "LpPool", .since = 18, .in = "X", .out = "Y",
     .attrs = {CEIL_ATTRS, INTS_OPT("dilations"), INT("p", 2)},
     .batch = "X", .infer = infer_pool, .emit = emit_lp_pool},

    {.name = "GlobalAveragePool", .since = 1, .in = "X", .out = "Y",
     .batch = "X", .rewrite = rewrite_global_average, .infer = infer_global,
     .emit = emit_global_average},
    {.name = "GlobalMaxPool", .since = 1, .in = "X", .out = "Y",
     .batch = "X", .infer = infer_global, .emit = emit_global_max},
    {.name = "GlobalLpPool", .since = 1, .until = 1, .in = "X", .out = "Y",
     .attrs = {FLOAT("p", 2.0)}, .batch = "X",
     .infer = infer_global, .emit = emit_global_lp},
    {.name = "GlobalLpPool", .since = 2, .in = "X", .out = "Y",
     .attrs = {INT("p", 2)}, .batch = "X",
     .infer = infer_global, .emit = emit_global_lp},
};
/* clang-format on */

const OpFamily ops_pool = FAMILY(ops);
