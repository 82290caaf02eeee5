/* Reading and resolving sliding windows, and writing them as arguments of helpers. */
#include "ops/onnx/window.h"

/* ---- attributes -------------------------------------------------------------------- */

/* `count` entries of the attribute, each in [least, INT32_MAX]; `otherwise` when absent.
 */
static bool read_ints(Model *m, const Node *n, const char *name, size_t count,
                      int64_t least, int64_t otherwise, int64_t *v) {
    Ints ints = {0};
    const Attr *a = attr_find(n, name);
    if (a && a->ints.count > 0 && (!attr_ints(n, name, &ints) || ints.n != count)) {
        node_error(m, n, OX0401, "", "%s has %zu entries, but %zu are needed", name,
                   a->ints.count, count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        v[i] = ints.n ? ints.v[i] : otherwise;
        if (v[i] < least || v[i] > INT32_MAX) {
            node_error(m, n, OX0303, "", "%s[%zu] is %lld", name, i, (long long)v[i]);
            return false;
        }
    }
    return true;
}

static bool read_mode(Model *m, const Node *n, PadMode *mode) {
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    Str s = op_attr(n->op, STR("auto_pad")) ? attr_str(n, "auto_pad") : STR("NOTSET");
    for (size_t i = 0; i < OX_COUNT(names); i++)
        if (str_is(s, names[i])) {
            *mode = (PadMode)i;
            return true;
        }
    if (s.n == 0) {
        *mode = PAD_EXPLICIT;
        return true;
    }
    node_error(m, n, OX0303, "one of NOTSET, VALID, SAME_UPPER, SAME_LOWER",
               "auto_pad is \"%.*s\"", (int)s.n, s.p);
    return false;
}

static bool read_pads(Model *m, const Node *n, Window *w) {
    int64_t pads[2 * OX_MAX_RANK] = {0};
    if (w->mode == PAD_EXPLICIT &&
        !read_ints(m, n, "pads", 2 * (size_t)w->n, 0, 0, pads))
        return false;
    for (int i = 0; i < w->n; i++) {
        w->lo[i] = dim_int(pads[i]);
        w->hi[i] = dim_int(pads[w->n + i]);
    }
    return true;
}

static bool has_weights(const Node *n) {
    return op_input_index(n->op, STR("W")) == 1;
}

/* Sizes of the weights' spatial axes, where they are known. */
static bool weight_kernel(Model *m, const Node *n, Window *w, bool *known) {
    int rank = has_weights(n) ? in_rank(n, 1) : -1;
    *known = rank >= 0;
    if (rank >= 0 && rank != w->n + 2) {
        node_error(m, n, OX0401, "", "W has rank %d, but X has rank %d", rank,
                   w->n + 2);
        return false;
    }
    for (int i = 0; *known && i < w->n; i++)
        w->kernel[i] = in_dim(n, 1, 2 + i);
    return true;
}

static bool read_kernel(Model *m, const Node *n, Window *w) {
    bool weights;
    if (!weight_kernel(m, n, w, &weights))
        return false;
    const Attr *a = attr_get(n, "kernel_shape");
    if (!a || a->ints.count == 0) {
        if (!has_weights(n))
            node_error(m, n, OX0303, "", "kernel_shape is missing");
        return weights;
    }
    int64_t kernel[OX_MAX_RANK];
    if (!read_ints(m, n, "kernel_shape", (size_t)w->n, 1, 1, kernel))
        return false;
    for (int i = 0; i < w->n; i++) {
        if (weights && dim_is_int(w->kernel[i]) && w->kernel[i].c != kernel[i]) {
            node_error(m, n, OX0401, "", "kernel_shape[%d] is %lld, but W has %lld", i,
                       (long long)kernel[i], (long long)w->kernel[i].c);
            return false;
        }
        w->kernel[i] = dim_int(kernel[i]);
    }
    return true;
}

bool window_read(Model *m, const Node *n, Window *w) {
    int rank = in_rank(n, 0);
    if (rank < 0)
        return false;
    if (rank < 3 || rank > OX_MAX_RANK) {
        node_error(m, n, OX0401, "", "X has rank %d, but (N, C, ...) is needed", rank);
        return false;
    }
    *w = (Window){.n = rank - 2};
    size_t count = (size_t)w->n;
    w->ceil = attr_int_or(n, "ceil_mode", 0) != 0;
    if (!read_mode(m, n, &w->mode) || !read_pads(m, n, w) || !read_kernel(m, n, w) ||
        !read_ints(m, n, "strides", count, 1, 1, w->stride) ||
        !read_ints(m, n, "dilations", count, 1, 1, w->dilation))
        return false;
    for (int i = 0; i < w->n; i++) {
        Dim gaps = dim_mul(&m->dims, dim_sub(&m->dims, w->kernel[i], dim_int(1)),
                           dim_int(w->dilation[i]));
        w->extent[i] = dim_add(&m->dims, gaps, dim_int(1));
        w->in[i] = in_dim(n, 0, 2 + i);
    }
    return true;
}

/* ---- sizes ------------------------------------------------------------------------- */

/* What the last of the windows that begin on every stride-th of `size` elements reaches
 * past their end: extent - stride + (-size mod stride), and never less than nothing. */
static Dim overhang(Dims *ds, const Window *w, int i, Dim size) {
    Dim stride = dim_int(w->stride[i]);
    Dim gap = dim_mod(ds, dim_sub(ds, dim_int(0), size), stride);
    Dim more = dim_sub(ds, w->extent[i], stride);
    int64_t least;
    bool inside = !dim_lower_bound(ds, more, &least) || least < 0;
    Dim over = dim_add(ds, more, gap);
    return inside ? dim_max(ds, over, dim_int(0)) : over;
}

/* out = ceil(in / stride).  With stride 1 the padding is a constant. */
static void slide_same(Dims *ds, Window *w, int i) {
    w->out[i] = dim_ceildiv(ds, w->in[i], dim_int(w->stride[i]));
    Dim pad = overhang(ds, w, i, w->in[i]);
    Dim less = dim_floordiv(ds, pad, dim_int(2));
    Dim more = dim_floordiv(ds, dim_add(ds, pad, dim_int(1)), dim_int(2));
    w->lo[i] = w->mode == PAD_SAME_UPPER ? less : more;
    w->hi[i] = w->mode == PAD_SAME_UPPER ? more : less;
    w->asked[i] = w->hi[i];
}

/* Elements past the first window, with padding. */
static Dim room(Dims *ds, const Window *w, int i) {
    Dim padded = dim_add(ds, w->in[i], dim_add(ds, w->lo[i], w->hi[i]));
    return dim_sub(ds, padded, w->extent[i]);
}

static void slide_floor(Dims *ds, Window *w, int i) {
    Dim steps = dim_floordiv(ds, room(ds, w, i), dim_int(w->stride[i]));
    w->out[i] = dim_add(ds, steps, dim_int(1));
    w->asked[i] = w->hi[i];
}

/* Windows count until they cover the padding, but only those that begin before it: with
 * extent - stride < hi the latter decides. */
static void slide_ceil(Dims *ds, Window *w, int i) {
    Dim stride = dim_int(w->stride[i]), asked = w->hi[i];
    Dim starts = dim_add(ds, w->in[i], w->lo[i]);
    if (dim_known_less(ds, dim_sub(ds, w->extent[i], stride), asked) == 1) {
        w->out[i] = dim_ceildiv(ds, starts, stride);
        w->hi[i] = overhang(ds, w, i, starts);
        w->asked[i] = dim_min(ds, asked, w->hi[i]);
        return;
    }
    Dim steps = room(ds, w, i);
    w->out[i] = dim_add(ds, dim_ceildiv(ds, steps, stride), dim_int(1));
    Dim rest = dim_mod(ds, dim_sub(ds, dim_int(0), steps), stride);
    w->hi[i] = dim_add(ds, asked, rest);
    w->asked[i] = asked;
}

/* What always runs has room for its windows: PyTorch refuses other sizes. */
static void assume_room(Model *m, const Node *n, const Window *w, int i) {
    const Value *y = node_out(n, 0);
    if (!y || y->graph->parent)
        return;
    dim_assume(&m->dims, room(&m->dims, w, i));
    dim_assume(&m->dims, dim_sub(&m->dims, w->out[i], dim_int(1)));
}

bool window_slide(Model *m, const Node *n, Window *w) {
    bool same = w->mode == PAD_SAME_UPPER || w->mode == PAD_SAME_LOWER;
    for (int i = 0; i < w->n; i++) {
        if (same)
            slide_same(&m->dims, w, i);
        else if (w->ceil)
            slide_ceil(&m->dims, w, i);
        else
            slide_floor(&m->dims, w, i);
        if (!same && !w->ceil)
            assume_room(m, n, w, i);
        if (dim_is_int(w->out[i]) && w->out[i].c < 0) {
            node_error(m, n, OX0401, "",
                       "the kernel is larger than the padded input along axis %d",
                       2 + i);
            return false;
        }
    }
    return true;
}

bool window_is_dilated(const Window *w) {
    for (int i = 0; i < w->n; i++)
        if (w->dilation[i] != 1 && !dim_is(w->kernel[i], 1))
            return true;
    return false;
}

bool window_is_padded(const Window *w) {
    for (int i = 0; i < w->n; i++)
        if (!dim_is(w->lo[i], 0) || !dim_is(w->hi[i], 0))
            return true;
    return false;
}

void window_shape(const Node *n, const Window *w, Dim channels, Shape *s) {
    s->rank = w->n + 2;
    s->d[0] = in_dim(n, 0, 0);
    s->d[1] = channels;
    for (int i = 0; i < w->n; i++)
        s->d[2 + i] = w->out[i];
}

/* ---- arguments --------------------------------------------------------------------- */

const Expr *window_ints(Emit *e, const int64_t *v, int n) {
    bool equal = true;
    for (int i = 1; i < n; i++)
        equal = equal && v[i] == v[0];
    if (!equal)
        return ex_ints(emit_arena(e), EX_TUPLE, v, (size_t)n);
    return ex_int(emit_arena(e), v[0]);
}

const Expr *window_kernel(Emit *e, const Window *w) {
    int64_t kernel[OX_MAX_RANK] = {0};
    for (int i = 0; i < w->n; i++)
        kernel[i] = w->kernel[i].c;
    return window_ints(e, kernel, w->n);
}

/* (lo, hi) for each axis */
static void make_pairs(Emit *e, const Dim *lo, const Dim *hi, int n,
                       const Expr **pairs) {
    for (int i = 0; i < n; i++) {
        const Expr *pair[] = {emit_dim(e, lo[i]), emit_dim(e, hi[i])};
        pairs[i] = ex_seq(emit_arena(e), EX_TUPLE, pair, 2);
    }
}

const Expr *window_padding(Emit *e, const Dim *lo, const Dim *hi, int n) {
    bool equal = dim_is_int(lo[0]) && lo[0].c >= 0;
    for (int i = 0; i < n; i++)
        equal = equal && dim_is(lo[i], lo[0].c) && dim_is(hi[i], lo[0].c);
    if (equal)
        return ex_int(emit_arena(e), lo[0].c);
    return window_pairs(e, lo, hi, n);
}

const Expr *window_pairs(Emit *e, const Dim *lo, const Dim *hi, int n) {
    const Expr *pairs[OX_MAX_RANK];
    make_pairs(e, lo, hi, n, pairs);
    return ex_seq(emit_arena(e), EX_TUPLE, pairs, (size_t)n);
}

const Expr *window_pad_width(Emit *e, const Dim *lo, const Dim *hi, int n) {
    const Expr *pairs[OX_MAX_RANK];
    pairs[0] = pairs[1] = ex_ints(emit_arena(e), EX_TUPLE, (int64_t[]){0, 0}, 2);
    make_pairs(e, lo, hi, n, pairs + 2);
    return ex_seq(emit_arena(e), EX_TUPLE, pairs, (size_t)n + 2);
}

/* ---- channels last ----------------------------------------------------------------- */

static bool channels_second(Model *m, const Value *v, Value *moved) {
    *moved = *v;
    int rank = v->type.rank;
    Dim *dims = rank < 3 ? NULL : ARENA_ARRAY(m->arena, (size_t)rank, Dim);
    if (!dims)
        return false;
    dims[0] = v->type.dims[0];
    dims[1] = v->type.dims[rank - 1];
    for (int i = 2; i < rank; i++)
        dims[i] = v->type.dims[i - 1];
    moved->type.dims = dims;
    return true;
}

bool channels_view(Model *m, const Node *n, int count, ChannelsView *view) {
    view->node = *n;
    for (int i = 0; i < 3; i++)
        view->ins[i] = node_in(n, i);
    for (int i = 0; i < count; i++) {
        if (!view->ins[i] || !channels_second(m, view->ins[i], &view->in[i]))
            return false;
        view->ins[i] = &view->in[i];
    }
    view->node.in = view->ins;
    view->node.n_in = 3;
    return true;
}

void channels_last_type(Model *m, Node *n) {
    Shape s;
    const Value *y = node_out(n, 0);
    int rank = y ? y->type.rank : -1;
    if (rank < 3) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    s.rank = rank;
    s.d[0] = y->type.dims[0];
    s.d[rank - 1] = y->type.dims[1];
    for (int i = 1; i < rank - 1; i++)
        s.d[i] = y->type.dims[i + 1];
    set_type(m, n, 0, in_dtype(n, 0), &s);
}
