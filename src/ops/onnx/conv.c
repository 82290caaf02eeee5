/* Conv and ConvTranspose, over any number of spatial axes.
 * Both become one call of a helper in python/lib/conv.py; only padding needs thought.
 * Source: ONNX operators Conv and ConvTranspose; onnxruntime for output_shape. */
#include "ops/onnx/conv.h"
#include "ops/core/apart.h"
#include "ops/core/macs.h"

/* ---- channels ---------------------------------------------------------------------- */

typedef struct Channels {
    int64_t group;
    Dim in, out; /* of X and Y */
} Channels;

static bool not_multiple(Dim d, int64_t group) {
    return dim_is_int(d) && d.c % group != 0;
}

/* W holds C / group channels of X and all M of Y, or the other way round. */
static bool read_channels(Model *m, Node *n, bool transposed, Channels *c) {
    c->group = attr_int(n, "group");
    if (c->group < 1) {
        node_error(m, n, OX0303, "", "group is %lld", (long long)c->group);
        return false;
    }
    c->in = in_dim(n, 0, 1);
    if (in_rank(n, 1) < 0) {
        c->out = fresh_dim(m, n, 0, 1);
        return true;
    }
    Dim group = dim_int(c->group);
    Dim w0 = in_dim(n, 1, 0), w1 = dim_mul(&m->dims, in_dim(n, 1, 1), group);
    c->out = transposed ? w1 : w0;
    Dim in = transposed ? w0 : w1;
    if (dim_known_eq(&m->dims, c->in, in) == 0) {
        node_error(m, n, OX0401, "", "X has %lld channels, but W is for %lld",
                   (long long)c->in.c, (long long)in.c);
        return false;
    }
    if (not_multiple(in, c->group) || not_multiple(c->out, c->group)) {
        node_error(m, n, OX0401, "", "channels are not a multiple of group %lld",
                   (long long)c->group);
        return false;
    }
    return true;
}

static bool check_bias(Model *m, const Node *n, const Channels *c) {
    if (!node_in(n, 2) || in_rank(n, 2) < 0)
        return true;
    if (in_rank(n, 2) == 1 && dim_known_eq(&m->dims, in_dim(n, 2, 0), c->out) != 0)
        return true;
    node_error(m, n, OX0401, "", "B does not have one element for each output channel");
    return false;
}

static void infer_with(Model *m, Node *n, bool transposed,
                       bool (*resolve)(Model *m, const Node *n, Window *w)) {
    (void)same_types(m, n, 0);
    demand_rank(m, n, 0, in_rank(n, 1));
    Window w;
    Channels c;
    Shape s;
    int rank = in_rank(n, 0) >= 0 ? in_rank(n, 0) : in_rank(n, 1);
    if (window_read(m, n, &w) && read_channels(m, n, transposed, &c) &&
        check_bias(m, n, &c) && resolve(m, n, &w)) {
        window_shape(n, &w, c.out, &s);
        set_type(m, n, 0, in_dtype(n, 0), &s);
    } else if (rank >= 0 && rank <= OX_MAX_RANK) {
        set_rank(m, n, 0, in_dtype(n, 0), rank);
    } else {
        set_unranked(m, n, 0, in_dtype(n, 0));
    }
}

void infer_conv(Model *m, Node *n) {
    infer_with(m, n, false, window_slide);
}

/* ---- emission ---------------------------------------------------------------------- */

/* helper(x, w, b, stride=..., padding=..., dilation=..., groups=...) */
static const Expr *helper_call(Emit *e, const char *helper, const Expr *x,
                               const Expr *weights, const Window *w,
                               const Expr *padding) {
    Arena *a = emit_arena(e);
    const Expr *args[] = {x, weights,
                          in_is_zero(emit_node(e), 2) ? NULL : emit_in(e, 2)};
    const Expr *call = ex_call(a, ex_name(a, str_from(helper)), args, args[2] ? 3 : 2);
    call = call_with(e, call, "stride", window_ints(e, w->stride, w->n));
    if (strcmp(helper, "pointwise_conv") == 0)
        return call;
    call = call_with(e, call, "padding", padding);
    call = call_with(e, call, "dilation", window_ints(e, w->dilation, w->n));
    int64_t group = attr_int(emit_node(e), "group");
    bool one_each = strcmp(helper, "depthwise_conv") == 0;
    return call_with(e, call, "groups", one_each ? NULL : ex_int(a, group));
}

static bool is_rank_missing(Emit *e) {
    if (in_rank(emit_node(e), 0) >= 0 && in_rank(emit_node(e), 1) >= 0)
        return false;
    emit_fail(e, OX0403, "", "the rank of X or W is not known");
    return true;
}

static bool is_static(const Window *w) {
    bool fixed = true;
    for (int i = 0; i < w->n; i++)
        fixed = fixed && dim_is_int(w->lo[i]) && dim_is_int(w->hi[i]);
    return fixed;
}

/* Elements of a kernel that depthwise_conv writes out: what XLA takes to compile grows
 * with them. */
enum { TAPS_MAX = 49 };

/* How many elements a channel of the kernel has; -1 where that is not known. */
static int64_t count_taps(const Window *w) {
    int64_t taps = 1;
    for (int i = 0; i < w->n && taps <= TAPS_MAX; i++) {
        if (!dim_is_int(w->kernel[i]) || w->kernel[i].c > TAPS_MAX)
            return -1;
        taps *= w->kernel[i].c;
    }
    return taps;
}

/* All of a window is inside of what is padded, whatever open sizes turn out to be. */
static bool has_room(const Window *w) {
    for (int i = 0; i < w->n; i++)
        if (!dim_is_int(w->in[i]) && w->lo[i].c + w->hi[i].c < w->extent[i].c - 1)
            return false;
    return true;
}

bool conv_is_pointwise(const Node *n) {
    bool pointwise = in_rank(n, 1) > 2 && attr_int(n, "group") == 1;
    for (int axis = 2; pointwise && axis < in_rank(n, 1); axis++)
        pointwise = dim_is(in_dim(n, 1, axis), 1);
    const Attr *pads = attr_get(n, "pads");
    bool is_explicit =
        !op_attr(n->op, STR("auto_pad")) || attr_is(n, "auto_pad", "NOTSET");
    for (size_t i = 0; is_explicit && pads && i < pads->ints.count; i++)
        pointwise = pointwise && pads->ints.items[i] == 0;
    return pointwise;
}

/* The helper that computes it best. */
static const char *best_helper(const Node *n, const Window *w) {
    if (conv_is_pointwise(n))
        return "pointwise_conv";
    int64_t group = attr_int(n, "group"), taps = count_taps(w);
    bool own = dim_is(in_dim(n, 1, 0), group) && dim_is(in_dim(n, 1, 1), 1);
    bool depthwise = group > 1 && own && taps >= 1 && taps <= TAPS_MAX && is_static(w);
    return depthwise && has_room(w) ? "depthwise_conv" : "conv";
}

/* auto_pad of sizes that are not known is left to JAX, which has the same rule. */
const Expr *conv_of(Emit *e, const Node *n, const Expr *x, const Expr *weights) {
    Model *m = emit_model(e);
    Window w;
    if (is_rank_missing(e) || !window_read(m, n, &w) || !window_slide(m, n, &w))
        return NULL;
    const Expr *padding;
    if (is_static(&w))
        padding = window_padding(e, w.lo, w.hi, w.n);
    else if (w.mode == PAD_SAME_UPPER)
        padding = ex_str(emit_arena(e), STR("SAME"));
    else
        padding = ex_str(emit_arena(e), STR("SAME_LOWER"));
    return helper_call(e, best_helper(n, &w), x, weights, &w, padding);
}

/* A product of matrices wants the weights as they are. */
const char *conv_form(const Node *n, int i) {
    return i == 1 && !conv_is_pointwise(n) ? "kernel" : NULL;
}

const Expr *conv_expr(Emit *e) {
    const Node *n = emit_node(e);
    const Expr *weights = conv_form(n, 1) ? emit_in_form(e, 1) : emit_in(e, 1);
    return conv_of(e, n, emit_in(e, 0), weights);
}

static void emit_conv(Emit *e) {
    const Expr *y = conv_expr(e);
    if (y)
        emit_out(e, 0, y);
}

/* ---- ConvTranspose ----------------------------------------------------------------- */

typedef struct Transposed {
    Ints extra; /* output_padding; zeros when empty */
    Ints shape; /* output_shape; may be empty */
} Transposed;

static bool read_transposed(Model *m, const Node *n, const Window *w, Transposed *t) {
    size_t count = (size_t)w->n;
    *t = (Transposed){0};
    attr_ints(n, "output_padding", &t->extra);
    attr_ints(n, "output_shape", &t->shape);
    if (t->shape.n == count + 2) /* some exporters add N and C */
        memmove(t->shape.v, t->shape.v + 2, count * sizeof t->shape.v[0]);
    else if (t->shape.n != 0 && t->shape.n != count) {
        node_error(m, n, OX0401, "", "output_shape has %zu entries", t->shape.n);
        return false;
    }
    if (t->extra.n != 0 && t->extra.n != count) {
        node_error(m, n, OX0401, "", "output_padding has %zu entries", t->extra.n);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool bad = (t->extra.n && (t->extra.v[i] < 0 || t->extra.v[i] > INT32_MAX)) ||
                   (t->shape.n && (t->shape.v[i] < 0 || t->shape.v[i] > INT32_MAX));
        if (!bad)
            continue;
        node_error(m, n, OX0303, "", "output_padding or output_shape is out of range");
        return false;
    }
    return true;
}

/* Splits what the output loses in all between its ends: the larger half is at the end
 * with SAME_UPPER, else at the start.  A negative total appends, as output_padding does,
 * and must stay below the stride. */
static bool split_padding(Model *m, const Node *n, Window *w, int i, Dim total) {
    Dims *ds = &m->dims;
    if (dim_is_int(total) && total.c <= -w->stride[i]) {
        node_error(m, n, OX0401, "", "output_shape is too large along axis %d", 2 + i);
        return false;
    }
    Dim lost = dim_max(ds, total, dim_int(0));
    Dim half = dim_floordiv(ds, lost, dim_int(2));
    w->lo[i] = w->mode == PAD_SAME_UPPER ? half : dim_sub(ds, lost, half);
    w->hi[i] = dim_sub(ds, total, w->lo[i]);
    return true;
}

/* Sets out, and in lo and hi what the full result loses at each end; output_padding
 * counts as a negative loss at the high end. */
static bool transpose_sizes(Model *m, const Node *n, Window *w) {
    Dims *ds = &m->dims;
    Transposed t;
    if (!read_transposed(m, n, w, &t))
        return false;
    bool same = w->mode == PAD_SAME_UPPER || w->mode == PAD_SAME_LOWER;
    for (int i = 0; i < w->n; i++) {
        Dim extra = dim_int(t.extra.n ? t.extra.v[i] : 0);
        Dim scaled = dim_mul(ds, w->in[i], dim_int(w->stride[i]));
        Dim full = dim_add(ds, dim_sub(ds, scaled, dim_int(w->stride[i])),
                           dim_add(ds, w->extent[i], extra));
        if (t.shape.n || same) {
            w->out[i] = t.shape.n ? dim_int(t.shape.v[i]) : scaled;
            if (!split_padding(m, n, w, i, dim_sub(ds, full, w->out[i])))
                return false;
        } else {
            w->out[i] = dim_sub(ds, full, dim_add(ds, w->lo[i], w->hi[i]));
        }
        w->hi[i] = dim_sub(ds, w->hi[i], extra);
        if (dim_is_int(w->out[i]) && w->out[i].c < 0) {
            node_error(m, n, OX0401, "",
                       "pads are larger than the output along axis %d", 2 + i);
            return false;
        }
    }
    return true;
}

static void infer_conv_transpose(Model *m, Node *n) {
    infer_with(m, n, true, transpose_sizes);
}

static void emit_conv_transpose(Emit *e) {
    Model *m = emit_model(e);
    Window w;
    if (is_rank_missing(e) || !window_read(m, emit_node(e), &w) ||
        !transpose_sizes(m, emit_node(e), &w))
        return;
    const Expr *padding = window_padding(e, w.lo, w.hi, w.n);
    const Expr *weights = emit_in(e, 1), *x = emit_in(e, 0);
    emit_out(e, 0, helper_call(e, "conv_transpose", x, weights, &w, padding));
}

/* Windows begin at the front and see zeros past the end, as many as the node pads. */
static bool has_plain_windows(Model *m, const Node *n, const int *at, Window *w) {
    return at[0] > 1 && apart_shared(n, at, 1) && window_read(m, n, w) &&
           (w->mode == PAD_EXPLICIT || w->mode == PAD_VALID);
}

static OpPast past_conv(Model *m, const Node *n, const int *at, int input) {
    Window w;
    return input == 0 && has_plain_windows(m, n, at, &w) ? PAST_ZERO : PAST_SEEN;
}

static OpPast past_transposed(Model *m, const Node *n, const int *at, int input) {
    Window w;
    bool plain = input == 0 && has_plain_windows(m, n, at, &w);
    return plain && !attr_has(n, "output_shape") ? PAST_ZERO : PAST_SEEN;
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "Conv", .since = 1, .in = "X W B?", .out = "Y",
     .attrs = {CONV_ATTRS}, .facts = OP_WEIGHT_BIAS | OP_CONTRACTS,
     .batch = "X", .past = past_conv, .form = conv_form,
     .infer = infer_conv, .macs = macs_conv, .emit = emit_conv},
    {.name = "ConvTranspose", .since = 1, .in = "X W B?", .out = "Y",
     .attrs = {CONV_ATTRS, INTS_OPT("output_padding"), INTS_OPT("output_shape")},
     .facts = OP_WEIGHT_BIAS | OP_CONTRACTS,
     .batch = "X", .past = past_transposed,
     .infer = infer_conv_transpose, .macs = macs_conv_transpose,
     .emit = emit_conv_transpose},
};
/* clang-format on */

const OpFamily ops_conv = FAMILY(ops);
