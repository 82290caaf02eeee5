/* Linear quantization, and products of quantized tensors, which are computed as those of
 * integers.  Where a formula leaves the order open, it is that of QuantizeLinear: round,
 * add the zero point, saturate.
 * Source: the ONNX operators; the division is done in the type of the scale. */
#include "ops/onnx/quant.h"
#include "ops/core/apart.h"
#include "ops/core/layout.h"
#include "ops/core/macs.h"
#include "ops/onnx/conv.h"
#include "ops/onnx/linear.h"

static bool is_wide(DType t) {
    return t == DT_FLOAT || t == DT_FLOAT16 || t == DT_BFLOAT16 || t == DT_DOUBLE;
}

static int64_t attr_or_zero(const Node *n, const char *name) {
    return op_attr(n->op, str_from(name)) ? attr_int(n, name) : 0;
}

static const Expr *as_type(Emit *e, const Expr *x, DType from, DType to) {
    return from == to ? x : EX(emit_arena(e), "$0.astype($1)", x, emit_dtype(e, to));
}

/* ---- QuantizeLinear, DequantizeLinear ---------------------------------------------- */

static bool check_granularity(Model *m, Node *n) {
    int rank = in_rank(n, 0), scale = in_rank(n, 1), axis;
    if (rank < 0 || scale < 1 || (scale == 1 && dim_is(in_dim(n, 1, 0), 1)))
        return true;
    int64_t block = attr_or_zero(n, "block_size");
    if (!op_attr(n->op, STR("axis")) || scale != (block ? rank : 1) || block < 0) {
        node_error(m, n, OX0401, "", "the scale of rank %d does not fit x", scale);
        return false;
    }
    if (rank == 1)
        return true;
    if (!fix_axis(m, n, attr_int(n, "axis"), rank, &axis))
        return false;
    if (block || dim_known_eq(&m->dims, in_dim(n, 0, axis), in_dim(n, 1, 0)) != 0)
        return true;
    node_error(m, n, OX0401, "", "the scale does not fit axis %d of x", axis);
    return false;
}

static void infer_as(Model *m, Node *n, DType dtype) {
    Shape s;
    in_shape(n, 0, &s);
    check_granularity(m, n);
    set_type(m, n, 0, dtype, &s);
}

static void infer_quantize(Model *m, Node *n) {
    DType asked = dtype_from_onnx(attr_or_zero(n, "output_dtype"));
    DType zero = in_dtype(n, 2);
    if (zero && asked && zero != asked)
        node_error(m, n, OX0303, "", "output_dtype is not the type of y_zero_point");
    if (!node_in(n, 2))
        zero = asked ? asked : DT_UINT8;
    infer_as(m, n, zero);
}

static void infer_dequantize(Model *m, Node *n) {
    DType asked = dtype_from_onnx(attr_or_zero(n, "output_dtype"));
    infer_as(m, n, asked ? asked : in_dtype(n, 1));
}

/* Where x is divided: `precision`, else the type of the scale, if it can be divided in. */
static DType division_type(const Node *n) {
    DType asked = dtype_from_onnx(attr_or_zero(n, "precision"));
    if (asked)
        return asked;
    if (is_wide(in_dtype(n, 1)))
        return in_dtype(n, 1);
    return is_wide(in_dtype(n, 0)) ? in_dtype(n, 0) : DT_FLOAT;
}

/* axis=..., block=... where the scale is no scalar */
static const Expr *with_granularity(Emit *e, const Expr *call) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t block = attr_or_zero(n, "block_size");
    int64_t axis = op_attr(n->op, STR("axis")) ? attr_int(n, "axis") : 1;
    if (in_rank(n, 1) == 0)
        return call;
    call = call_with(e, call, "axis", ex_int(a, axis));
    return call_with(e, call, "block", ex_int(a, block));
}

const Expr *integer(Emit *e, int i) {
    const Known *k = in_known(emit_node(e), i);
    bool one = k && k->n == 1 && k->ints && dim_is_int(k->ints[0]);
    return one ? ex_int(emit_arena(e), k->ints[0].c) : emit_in(e, i);
}

const Expr *zero_point(Emit *e, int i) {
    return in_is_zero(emit_node(e), i) ? NULL : integer(e, i);
}

const Expr *scale_in(Emit *e, int i, DType to) {
    const Node *n = emit_node(e);
    const Known *k = in_known(n, i);
    if (k && k->n == 1 && k->floats && in_dtype(n, i) == to)
        return emit_float(e, k->floats[0], to);
    return as_type(e, emit_in(e, i), in_dtype(n, i), to);
}

static bool types_are_known(Emit *e) {
    const Node *n = emit_node(e);
    DType precision = dtype_from_onnx(attr_or_zero(n, "precision"));
    if (precision && !is_wide(precision)) {
        emit_fail(e, OX0303, "", "precision is no float type to divide in");
        return false;
    }
    if (in_dtype(n, 0) && in_dtype(n, 1) && node_out(n, 0)->type.dtype)
        return true;
    emit_fail(e, OX0402, "", "the types are not known");
    return false;
}

static void emit_quantize(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (!types_are_known(e))
        return;
    DType to = node_out(n, 0)->type.dtype, in = division_type(n);
    bool small_float = dtype_is_float(to);
    const Expr *x = as_type(e, emit_in(e, 0), in_dtype(n, 0), in);
    const Expr *scale = scale_in(e, 1, in);
    const Expr *call =
        small_float ? EX(a, "quantize_float($0, $1$(, $2))", x, scale, zero_point(e, 2))
                    : EX(a, "quantize($0, $1$(, $2))", x, scale, zero_point(e, 2));
    call = call_with(e, call, "dtype", emit_dtype(e, to));
    call = with_granularity(e, call);
    bool wraps = small_float && to != DT_FLOAT4E2M1 &&
                 op_attr(n->op, STR("saturate")) && attr_int(n, "saturate") == 0;
    emit_out(e, 0, call_with(e, call, "saturate", wraps ? ex_bool(a, false) : NULL));
}

static void emit_dequantize(Emit *e) {
    const Node *n = emit_node(e);
    if (!types_are_known(e))
        return;
    DType to = node_out(n, 0)->type.dtype;
    const Expr *call = EX(emit_arena(e), "dequantize($0, $1$(, $2))", emit_in(e, 0),
                          scale_in(e, 1, in_dtype(n, 1)), zero_point(e, 2));
    bool of_scale = to == in_dtype(n, 1) && (to == DT_FLOAT || !in_known(n, 1));
    call = call_with(e, call, "dtype", of_scale ? NULL : emit_dtype(e, to));
    emit_out(e, 0, with_granularity(e, call));
}

static void infer_dynamic(Model *m, Node *n) {
    Shape s, scalar = {.rank = 0};
    in_shape(n, 0, &s);
    set_type(m, n, 0, DT_UINT8, &s);
    set_type(m, n, 1, DT_FLOAT, &scalar);
    set_type(m, n, 2, DT_UINT8, &scalar);
}

static void emit_dynamic(Emit *e) {
    const Expr *call = EX(emit_arena(e), "dynamic_quantize($0)", emit_in(e, 0));
    emit_outs(e, call);
}

/* ---- integer operands -------------------------------------------------------------- */

static bool is_float8(DType t) {
    return dtype_is_float(t) && dtype_info(t)->bits == 8;
}

static bool is_number(const Expr *x) {
    return x->kind == EX_INT || x->kind == EX_NUMBER;
}

const Expr *before_axes(Emit *e, const Expr *x, int i, int rank, int axes) {
    const Node *n = emit_node(e);
    const Expr *items[OX_MAX_RANK + 1];
    if (in_rank(n, i) != 1 || is_number(x) || rank > OX_MAX_RANK)
        return x;
    int behind = dim_is(in_dim(n, i, 0), 1) ? 0 : axes;
    int count = rank > behind ? rank : behind + 1;
    for (int k = 0; k < count; k++)
        items[k] = k == count - 1 - behind ? NULL : ex_none();
    return ex_subscript(emit_arena(e), x, items, count);
}

const Expr *as_integers_of(Emit *e, const Expr *x, int rank, int zero, int axes) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    x = EX(a, "$0.astype(jnp.int32)", x);
    if (!node_in(n, zero) || in_is_zero(n, zero))
        return x;
    const Expr *z = integer(e, zero);
    if (!is_number(z))
        z = EX(a, "$0.astype(jnp.int32)", before_axes(e, z, zero, rank, axes));
    return EX(a, "$0 - $1", x, z);
}

static const Expr *as_integers(Emit *e, int i, int zero, int axes) {
    int rank = in_rank(emit_node(e), i);
    return as_integers_of(e, emit_in(e, i), rank, zero, axes);
}

bool needs_ranks(Emit *e, const int *inputs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Value *v = node_in(emit_node(e), inputs[i]);
        if (!v || v->type.rank >= 0)
            continue;
        emit_fail(e, OX0403, "", "the ranks of the scales are not known");
        return true;
    }
    return false;
}

/* The sum of products times x_scale * w_scale / y_scale, as y. */
static const Expr *requantized(Emit *e, const Expr *acc, const Expr *x_scale,
                               const Expr *w_scale, const Expr *y_scale,
                               const Expr *zero) {
    DType to = in_dtype(emit_node(e), 7);
    const Expr *call = EX(emit_arena(e), "requantize($0, $1 * $2 / $3, $4)", acc,
                          x_scale, w_scale, y_scale, zero);
    return call_with(e, call, "dtype", emit_dtype(e, to));
}

/* ---- matrices ---------------------------------------------------------------------- */

/* The type of a product of inputs 0 and b. */
static void infer_product(Model *m, Node *n, int b, DType dtype) {
    Shape s, t;
    in_shape(n, 0, &s);
    in_shape(n, b, &t);
    set_product(m, n, &s, &t, dtype);
}

static void infer_matmul_integer(Model *m, Node *n) {
    infer_product(m, n, 1, DT_INT32);
}

static void infer_qlinear_matmul(Model *m, Node *n) {
    infer_product(m, n, 3, in_dtype(n, 7));
}

static void emit_matmul_integer(Emit *e) {
    static const int ranked[] = {2, 3};
    if (needs_ranks(e, ranked, OX_COUNT(ranked)))
        return;
    const Expr *a = as_integers(e, 0, 2, 1), *b = as_integers(e, 1, 3, 0);
    emit_out(e, 0, EX(emit_arena(e), "($0) @ ($1)", a, b));
}

static void emit_qlinear_matmul(Emit *e) {
    static const int ranked[] = {1, 2, 4, 5, 6, 7};
    const Node *n = emit_node(e);
    if (is_float8(in_dtype(n, 0)) || is_float8(in_dtype(n, 3)) ||
        is_float8(in_dtype(n, 7))) {
        emit_fail(e, OX0302, "", "products of float8 are not supported");
        return;
    }
    if (needs_ranks(e, ranked, OX_COUNT(ranked)))
        return;
    const Expr *acc = EX(emit_arena(e), "($0) @ ($1)", as_integers(e, 0, 2, 1),
                         as_integers(e, 3, 5, 0));
    const Value *y = node_out(n, 0);
    int rank = y ? y->type.rank : -1;
    const Expr *a_scale = before_axes(e, emit_in(e, 1), 1, rank, 1);
    const Expr *b_scale = before_axes(e, emit_in(e, 4), 4, rank, 0);
    const Expr *y_scale = before_axes(e, emit_in(e, 6), 6, rank, 1);
    const Expr *zero = before_axes(e, integer(e, 7), 7, rank, 1);
    emit_out(e, 0, requantized(e, acc, a_scale, b_scale, y_scale, zero));
}

/* ---- convolutions ------------------------------------------------------------------ */

/* Where the operands of a convolution stand among the inputs; -1: there is none. */
typedef struct ConvInputs {
    int w, x_zero, w_zero, bias;
} ConvInputs;

static const ConvInputs conv_integer = {1, 2, 3, -1};
static const ConvInputs qlinear_conv = {3, 2, 5, 8};

static const OpDef conv_view = {.in = "X W", .out = "y", .attrs = {CONV_ATTRS}};

/* window.h reads X and W of a convolution; `view` is the node with x and w there. */
static bool read_window(Model *m, const Node *n, const ConvInputs *at, Node *view,
                        Value *in[2], Window *w) {
    *view = *n;
    in[0] = node_in(n, 0);
    in[1] = node_in(n, at->w);
    view->op = &conv_view;
    view->in = in;
    view->n_in = 2;
    return window_read(m, view, w) && window_slide(m, view, w);
}

static bool check_channels(Model *m, const Node *n, int w) {
    int64_t group = attr_int(n, "group");
    Dim out = in_dim(n, w, 0);
    bool ok = group > 0 && !(dim_is_int(out) && out.c % group != 0);
    if (ok) {
        Dim needed = dim_mul(&m->dims, in_dim(n, w, 1), dim_int(group));
        ok = dim_known_eq(&m->dims, in_dim(n, 0, 1), needed) != 0;
    }
    if (!ok)
        node_error(m, n, OX0401, "", "w does not fit the channels of x");
    return ok;
}

static void infer_conv_with(Model *m, Node *n, const ConvInputs *at, DType dtype) {
    Node view;
    Value *in[2];
    Window w;
    Shape s;
    bool ranked = in_rank(n, 0) >= 0 && in_rank(n, at->w) >= 0;
    if (ranked && read_window(m, n, at, &view, in, &w) && check_channels(m, n, at->w)) {
        window_shape(n, &w, in_dim(n, at->w, 0), &s);
        set_type(m, n, 0, dtype, &s);
    } else if (in_rank(n, 0) >= 0) {
        set_rank(m, n, 0, dtype, in_rank(n, 0));
    } else {
        set_unranked(m, n, 0, dtype);
    }
}

static void infer_conv_integer(Model *m, Node *n) {
    infer_conv_with(m, n, &conv_integer, DT_INT32);
}

static bool channels_last(const Node *n) {
    return op_attr(n->op, STR("channels_last")) && attr_int(n, "channels_last") != 0;
}

/* QLinearConv with all its inputs, x with channels second; w has them so in any case. */
typedef struct LastView {
    ChannelsView x;
    Node node;
    Value *ins[9];
} LastView;

static bool last_view(Model *m, const Node *n, LastView *view) {
    if (!channels_view(m, n, 1, &view->x))
        return false;
    view->node = *n;
    for (uint32_t i = 0; i < OX_COUNT(view->ins); i++)
        view->ins[i] = node_in(n, (int)i);
    view->ins[0] = &view->x.in[0];
    view->node.in = view->ins;
    view->node.n_in = OX_COUNT(view->ins);
    return true;
}

static void infer_qlinear_conv(Model *m, Node *n) {
    LastView view;
    if (!channels_last(n)) {
        infer_conv_with(m, n, &qlinear_conv, in_dtype(n, 7));
        return;
    }
    if (last_view(m, n, &view))
        infer_conv_with(m, &view.node, &qlinear_conv, in_dtype(n, 7));
    channels_last_type(m, n);
    Value *y = node_out(n, 0);
    if (y)
        y->type.dtype = in_dtype(n, 7);
}

static const Expr *window_options(Emit *e, const Expr *call, const Window *w) {
    Arena *a = emit_arena(e);
    bool fixed = true;
    for (int i = 0; i < w->n; i++)
        fixed = fixed && dim_is_int(w->lo[i]) && dim_is_int(w->hi[i]);
    Str same = w->mode == PAD_SAME_UPPER ? STR("SAME") : STR("SAME_LOWER");
    const Expr *padding =
        fixed ? window_padding(e, w->lo, w->hi, w->n) : ex_str(a, same);
    call = call_with(e, call, "stride", window_ints(e, w->stride, w->n));
    call = call_with(e, call, "padding", padding);
    call = call_with(e, call, "dilation", window_ints(e, w->dilation, w->n));
    return call_with(e, call, "groups", ex_int(a, attr_int(emit_node(e), "group")));
}

/* The convolution of the integers x and w, of this node; NULL after an error. */
static const Expr *conv_call(Emit *e, const Node *n, const Expr *x,
                             const ConvInputs *at, int *spatial) {
    const int ranked[] = {0, at->w, at->x_zero, at->w_zero};
    Node view;
    Value *in[2];
    Window w;
    if (needs_ranks(e, ranked, OX_COUNT(ranked)) ||
        !read_window(emit_model(e), n, at, &view, in, &w))
        return NULL;
    *spatial = w.n;
    const Expr *bias = at->bias < 0 || in_is_zero(emit_node(e), at->bias)
                           ? NULL
                           : emit_in(e, at->bias);
    const Expr *call = EX(emit_arena(e), "conv($0, as_kernel($1)$(, $2))",
                          as_integers_of(e, x, w.n + 2, at->x_zero, 0),
                          as_integers(e, at->w, at->w_zero, w.n + 1), bias);
    return window_options(e, call, &w);
}

static void emit_conv_integer(Emit *e) {
    int spatial;
    const Expr *acc =
        conv_call(e, emit_node(e), emit_in(e, 0), &conv_integer, &spatial);
    if (acc)
        emit_out(e, 0, acc);
}

static void emit_qlinear_conv(Emit *e) {
    static const int ranked[] = {4};
    Arena *a = emit_arena(e);
    LastView view;
    int spatial;
    bool last = channels_last(emit_node(e));
    const Node *n = emit_node(e);
    const Expr *x = emit_in(e, 0);
    if (last && last_view(emit_model(e), n, &view)) {
        n = &view.node;
        x = EX(a, "jnp.moveaxis($0, -1, 1)", x);
    } else if (last) {
        emit_fail(e, OX0403, "", "the rank of x is not known");
        return;
    }
    const Expr *acc = conv_call(e, n, x, &qlinear_conv, &spatial);
    if (!acc || needs_ranks(e, ranked, OX_COUNT(ranked)))
        return;
    int rank = spatial + 2;
    const Expr *x_scale = before_axes(e, emit_in(e, 1), 1, rank, 0);
    const Expr *w_scale = before_axes(e, emit_in(e, 4), 4, rank, spatial);
    const Expr *y_zero = before_axes(e, integer(e, 7), 7, rank, 0);
    const Expr *y_scale = before_axes(e, emit_in(e, 6), 6, rank, 0);
    const Expr *y = requantized(e, acc, x_scale, w_scale, y_scale, y_zero);
    emit_out(e, 0, last ? EX(a, "jnp.moveaxis($0, 1, -1)", y) : y);
}

/* Scales are for the whole, or for each entry or block of one axis. */
static bool apart_quantize(Model *m, const Node *n, const int *at, int out, int axis) {
    bool along = op_attr(n->op, STR("axis")) && in_rank(n, 1) != 0 &&
                 (in_rank(n, 1) != 1 || attr_or_zero(n, "block_size"));
    int64_t scaled = op_attr(n->op, STR("axis")) ? attr_int(n, "axis") : 0;
    scaled += scaled < 0 ? in_rank(n, 0) : 0;
    return (in_rank(n, 1) == 0 || (!along && axis != scaled)) &&
           apart_same(m, n, at, out, axis);
}

static bool apart_integers(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)out;
    return apart_matmul(n, at, 0, 1, axis);
}

static bool apart_quantized(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)out;
    return apart_matmul(n, at, 0, 3, axis);
}

/* ---- table ------------------------------------------------------------------------- */

/* clang-format off */
#define QUANTIZE(first, last, ...)                                                     \
    {.name = "QuantizeLinear", .since = (first), .until = (last),                      \
     .in = "x y_scale y_zero_point?", .out = "y", .attrs = {__VA_ARGS__},              \
     .apart = apart_quantize, .infer = infer_quantize, .emit = emit_quantize}
#define DEQUANTIZE(first, last, ...)                                                   \
    {.name = "DequantizeLinear", .since = (first), .until = (last),                    \
     .in = "x x_scale x_zero_point?", .out = "y", .weights = "x",                      \
     .attrs = {__VA_ARGS__}, .apart = apart_quantize, .infer = infer_dequantize,       \
     .emit = emit_dequantize}
#define AXIS INT("axis", 1)
#define BLOCK INT("block_size", 0)
#define TYPE INT("output_dtype", 0)
#define SATURATE INT("saturate", 1)

static const OpDef ops[] = {
    QUANTIZE(10, 12, {0}),
    QUANTIZE(13, 18, AXIS),
    QUANTIZE(19, 20, AXIS, SATURATE),
    QUANTIZE(21, 22, AXIS, SATURATE, BLOCK, TYPE),
    QUANTIZE(23, 0, AXIS, SATURATE, BLOCK, TYPE, INT("precision", 0)),
    DEQUANTIZE(10, 12, {0}),
    DEQUANTIZE(13, 20, AXIS),
    DEQUANTIZE(21, 22, AXIS, BLOCK),
    DEQUANTIZE(23, 0, AXIS, BLOCK, TYPE),
    {.name = "QuantizeLinear", MICROSOFT, .in = "x y_scale y_zero_point?", .out = "y",
     .attrs = {AXIS}, .apart = apart_quantize,
     .infer = infer_quantize, .emit = emit_quantize},
    {.name = "DequantizeLinear", MICROSOFT, .in = "x x_scale x_zero_point?", .out = "y",
     .weights = "x", .attrs = {AXIS}, .apart = apart_quantize,
     .infer = infer_dequantize, .emit = emit_dequantize},
    {.name = "DynamicQuantizeLinear", .since = 11, .in = "x",
     .out = "y y_scale y_zero_point", .infer = infer_dynamic, .emit = emit_dynamic},
    {.name = "MatMulInteger", .since = 10, .in = "A B a_zero_point? b_zero_point?",
     .out = "Y", .apart = apart_integers,
     .infer = infer_matmul_integer, .macs = macs_product, .emit = emit_matmul_integer},
    {.name = "QLinearMatMul", .since = 10,
     .in = "a a_scale a_zero_point b b_scale b_zero_point y_scale y_zero_point",
     .out = "y", .apart = apart_quantized,
     .infer = infer_qlinear_matmul, .macs = macs_product, .emit = emit_qlinear_matmul},
    {.name = "ConvInteger", .since = 10, .in = "x w x_zero_point? w_zero_point?",
     .out = "y", .attrs = {CONV_ATTRS},
     .batch = "x", .infer = infer_conv_integer, .macs = macs_conv, .emit = emit_conv_integer},
    {.name = "QLinearConv", .since = 10,
     .in = "x x_scale x_zero_point w w_scale w_zero_point y_scale y_zero_point B?",
     .out = "y", .weights = "w B", .attrs = {CONV_ATTRS},
     .batch = "x", .infer = infer_qlinear_conv, .macs = macs_conv, .emit = emit_qlinear_conv},
    {.name = "QLinearConv", MICROSOFT,
     .in = "x x_scale x_zero_point w w_scale w_zero_point y_scale y_zero_point B?",
     .out = "y", .weights = "w B", .attrs = {CONV_ATTRS, INT("channels_last", 0)},
     .infer = infer_qlinear_conv, .macs = macs_conv, .emit = emit_qlinear_conv},
};
/* clang-format on */

const OpFamily ops_quant = FAMILY(ops);
