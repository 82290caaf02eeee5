/* Pad and CenterCropPad.  jnp.pad does not know negative amounts, which cut: those
 * become slices of the input.
 * Source: ONNX operators Pad, CenterCropPad. */
#include "ops/core/apart.h"
#include "ops/core/layout.h"
#include "ops/core/wide.h"

/* ---- Pad ------------------------------------------------------------------------- */

typedef struct Padding {
    int rank;
    Dim low[OX_MAX_RANK], high[OX_MAX_RANK];
} Padding;

static const char *pads_name(const Node *n) {
    return op_attr(n->op, STR("paddings")) ? "paddings" : "pads";
}

/* The axes that pads speak of, in its order; all by default. */
static bool pad_axes(Model *m, const Node *n, int rank, int count, int *axes) {
    Ints given;
    bool listed = op_input_index(n->op, STR("axes")) >= 0 && node_input(n, "axes");
    if (listed && !get_ints(n, "axes", &given))
        return false;
    if ((listed ? (int)given.n : rank) != count) {
        node_error(m, n, OX0401, "", "pads has %d entries for %d axes", 2 * count,
                   listed ? (int)given.n : rank);
        return false;
    }
    for (int i = 0; i < count; i++) {
        axes[i] = i;
        if (listed && !fix_axis(m, n, given.v[i], rank, &axes[i]))
            return false;
    }
    return true;
}

/* What is added in front of and behind each axis; false when it is not known. */
static bool get_padding(Model *m, const Node *n, int rank, Padding *p) {
    Shape pads;
    int axes[OX_MAX_RANK];
    if (!get_dims(n, pads_name(n), &pads) || !pad_axes(m, n, rank, pads.rank / 2, axes))
        return false;
    *p = (Padding){.rank = rank};
    for (int i = 0; i < pads.rank / 2; i++) {
        p->low[axes[i]] = pads.d[i];
        p->high[axes[i]] = pads.d[pads.rank / 2 + i];
    }
    return true;
}

static void infer_pad(Model *m, Node *n) {
    Shape s;
    Padding p;
    if (!lists_are_valid(m, n) || !in_shape(n, 0, &s)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    if (!get_padding(m, n, s.rank, &p)) {
        set_rank(m, n, 0, in_dtype(n, 0), s.rank);
        return;
    }
    for (int i = 0; i < s.rank; i++)
        s.d[i] = dim_add(&m->dims, s.d[i], dim_add(&m->dims, p.low[i], p.high[i]));
    if (sizes_are_valid(m, n, &s))
        set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* 1: d is never negative, -1: never positive, 0: depends on the symbols. */
static int sign_of(Dims *ds, Dim d) {
    int64_t bound;
    if (dim_lower_bound(ds, d, &bound) && bound >= 0)
        return 1;
    return dim_upper_bound(ds, d, &bound) && bound <= 0 ? -1 : 0;
}

static bool signs_known(Dims *ds, const Padding *p) {
    for (int i = 0; i < p->rank; i++)
        if (!sign_of(ds, p->low[i]) || !sign_of(ds, p->high[i]))
            return false;
    return true;
}

/* x without what negative amounts cut off. */
static const Expr *emit_cuts(Emit *e, const Padding *p) {
    Arena *a = emit_arena(e);
    Dims *ds = &emit_model(e)->dims;
    const Expr *items[OX_MAX_RANK];
    for (int i = 0; i < p->rank; i++) {
        bool low = sign_of(ds, p->low[i]) < 0, high = sign_of(ds, p->high[i]) < 0;
        Dim start = dim_sub(ds, dim_int(0), p->low[i]);
        const Expr *from = low ? emit_dim(e, start) : NULL;
        const Expr *to = high ? emit_dim(e, p->high[i]) : NULL;
        items[i] = low || high ? ex_slice(a, from, to, NULL) : NULL;
    }
    return ex_subscript(a, emit_in(e, 0), items, p->rank);
}

static const Expr *amount(Emit *e, Dim d) {
    return sign_of(&emit_model(e)->dims, d) > 0 ? emit_dim(e, d)
                                                : ex_int(emit_arena(e), 0);
}

/* ((0, 0), (1, 1)); NULL when nothing is added. */
static const Expr *emit_widths(Emit *e, const Padding *p) {
    Arena *a = emit_arena(e);
    Dims *ds = &emit_model(e)->dims;
    const Expr *widths[OX_MAX_RANK];
    bool any = false;
    for (int i = 0; i < p->rank; i++) {
        any |= sign_of(ds, p->low[i]) > 0 && !dim_is(p->low[i], 0);
        any |= sign_of(ds, p->high[i]) > 0 && !dim_is(p->high[i], 0);
        widths[i] = EX(a, "($0, $1)", amount(e, p->low[i]), amount(e, p->high[i]));
    }
    return any ? ex_seq(a, EX_TUPLE, widths, (size_t)p->rank) : NULL;
}

/* The value for mode constant; NULL for zero, the default. */
static const Expr *emit_pad_value(Emit *e) {
    const Node *n = emit_node(e);
    DType dtype = in_dtype(n, 0);
    double value;
    const Known *k = in_known(n, 2);
    if (!attr_is(n, "mode", "constant"))
        return NULL;
    if (k && wide_of(node_in(n, 2)) != WIDE_NONE)
        return emit_in(e, 2);
    if (k && k->n == 1 && k->ints && dim_is_int(k->ints[0]))
        return dim_is(k->ints[0], 0) ? NULL : ex_int(emit_arena(e), k->ints[0].c);
    bool input = op_input_index(n->op, STR("constant_value")) >= 0;
    if (input && !node_in(n, 2))
        return NULL;
    if (get_float(n, input ? "constant_value" : "value", &value))
        return value == 0 ? NULL : emit_float(e, value, dtype);
    return emit_in(e, 2);
}

static const Expr *emit_mode(Emit *e) {
    const Node *n = emit_node(e);
    return attr_is(n, "mode", "constant") ? NULL
                                          : ex_str(emit_arena(e), attr_str(n, "mode"));
}

/* Amounts that are known only at run time. */
static const Expr *emit_runtime_pad(Emit *e) {
    const Node *n = emit_node(e);
    bool axes = op_input_index(n->op, STR("axes")) >= 0;
    return EX(emit_arena(e), "pad_or_cut($0, $1$(, axes=$2)$(, mode=$3)$(, value=$4))",
              emit_in(e, 0), emit_list(e, pads_name(n)),
              axes ? emit_list(e, "axes") : NULL, emit_mode(e), emit_pad_value(e));
}

static void emit_pad(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Padding p;
    int rank = in_rank(n, 0);
    if (rank < 0 || !get_padding(emit_model(e), n, rank, &p) ||
        !signs_known(&emit_model(e)->dims, &p)) {
        emit_out(e, 0, emit_runtime_pad(e));
        return;
    }
    const Expr *x = emit_cuts(e, &p), *widths = emit_widths(e, &p);
    if (widths)
        x = EX(a, "jnp.pad($0, $1$(, mode=$2)$(, constant_values=$3))", x, widths,
               emit_mode(e), emit_pad_value(e));
    emit_out(e, 0, x);
}

/* ---- CenterCropPad --------------------------------------------------------------- */

static void infer_center_crop_pad(Model *m, Node *n) {
    Shape s, sizes;
    Ints axes = {0};
    if (!lists_are_valid(m, n) || !in_shape(n, 0, &s)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    bool listed = attr_ints(n, "axes", &axes), known = get_dims(n, "shape", &sizes);
    int count = listed ? (int)axes.n : s.rank;
    if (known && sizes.rank != count) {
        node_error(m, n, OX0401, "", "shape has %d entries for %d axes", sizes.rank,
                   count);
        known = false;
    }
    for (int i = 0; i < count; i++) {
        int axis;
        if (!fix_axis(m, n, listed ? axes.v[i] : i, s.rank, &axis))
            return;
        s.d[axis] = known ? sizes.d[i] : fresh_dim(m, n, 0, axis);
    }
    if (sizes_are_valid(m, n, &s))
        set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_center_crop_pad(Emit *e) {
    emit_out(e, 0,
             EX(emit_arena(e), "center_crop_pad($0, $1$(, axes=$2))", emit_in(e, 0),
                emit_list(e, "shape"), emit_list(e, "axes")));
}

static bool apart_pad(Model *m, const Node *n, const int *at, int out, int axis) {
    Padding p;
    return apart_same(m, n, at, out, axis) && get_padding(m, n, in_rank(n, 0), &p) &&
           dim_is(p.low[axis], 0) && dim_is(p.high[axis], 0);
}

/* An axis that keeps its size is neither cropped nor padded. */
static bool apart_crop(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)n;
    (void)out;
    return at[0] == axis;
}

/* Zeros behind zeros; elsewhere nothing may come behind what has padding. */
static OpPast past_pad(Model *m, const Node *n, const int *at, int input) {
    Padding p;
    double value = 0;
    int filling = op_input_index(n->op, STR("constant_value"));
    if (filling < 0)
        filling = op_input_index(n->op, STR("value"));
    bool zeros = attr_is(n, "mode", "constant");
    if (filling >= 0 && node_in(n, filling))
        zeros = zeros && in_is_zero(n, filling);
    else if (filling < 0)
        zeros = zeros &&
                (!op_attr(n->op, STR("value")) || get_float(n, "value", &value)) &&
                value >= 0 && value <= 0;
    if (input != 0 || at[0] < 0 || !apart_shared(n, at, 1) ||
        !get_padding(m, n, in_rank(n, 0), &p))
        return PAST_SEEN;
    Dim low = p.low[at[0]], high = p.high[at[0]];
    if (!dim_is_int(low) || !dim_is_int(high) || low.c < 0)
        return PAST_SEEN;
    if (high.c <= 0 && attr_is(n, "mode", "constant"))
        return PAST_ANY;
    return zeros ? PAST_ZERO : PAST_SEEN;
}

/* ---- table ----------------------------------------------------------------------- */

#define MODE SUPPORTED("mode", "constant", "constant reflect edge wrap")
/* clang-format off */
static const OpDef ops[] = {
    {.name = "Pad", .since = 1, .until = 1, .in = "data", .out = "output",
     .attrs = {INTS_REQ("paddings"), MODE, FLOAT("value", 0)},
     .apart = apart_pad, .past = past_pad, .infer = infer_pad, .emit = emit_pad},
    {.name = "Pad", .since = 2, .until = 10, .in = "data", .out = "output",
     .attrs = {INTS_REQ("pads"), MODE, FLOAT("value", 0)},
     .apart = apart_pad, .past = past_pad, .infer = infer_pad, .emit = emit_pad},
    {.name = "Pad", .since = 11, .until = 17, .in = "data pads constant_value?",
     .out = "output", .fixed = "pads", .attrs = {MODE},
     .apart = apart_pad, .past = past_pad, .infer = infer_pad, .emit = emit_pad},
    {.name = "Pad", .since = 18, .in = "data pads constant_value? axes?",
     .out = "output", .fixed = "pads axes", .attrs = {MODE},
     .apart = apart_pad, .past = past_pad, .infer = infer_pad, .emit = emit_pad},
    {.name = "Pad", MICROSOFT, .in = "data pads value?", .out = "output",
     .fixed = "pads", .attrs = {MODE}, .apart = apart_pad,
     .past = past_pad, .infer = infer_pad, .emit = emit_pad},
    {.name = "CenterCropPad", .since = 18, .in = "input_data shape",
     .out = "output_data", .fixed = "shape", .attrs = {INTS_OPT("axes")},
     .apart = apart_crop, .infer = infer_center_crop_pad, .emit = emit_center_crop_pad},
};
/* clang-format on */
const OpFamily ops_pad = FAMILY(ops);
