/* Operators of com.microsoft on quantized arrays: dequantize, compute in float32,
 * quantize.  Scales and zero points are scalars.
 * Source: ContribOperators.md of onnxruntime. */
#include "ops/core/apart.h"
#include "ops/onnx/pool.h"
#include "ops/onnx/quant.h"

/* Input i, with its scale and zero point behind it, in float32. */
static const Expr *dequantized(Emit *e, int i) {
    return EX(emit_arena(e), "dequantize($0, $1$(, $2))", emit_in(e, i),
              scale_in(e, i + 1, DT_FLOAT), zero_point(e, i + 2));
}

/* y as the output, whose scale is input `scale`. */
static void emit_quantized(Emit *e, const Expr *y, int scale) {
    DType dtype = node_out(emit_node(e), 0)->type.dtype;
    if (!dtype) {
        emit_fail(e, OX0402, "", "the type of the output is not known");
        return;
    }
    const Expr *call = EX(emit_arena(e), "quantize($0, $1$(, $2))", y,
                          scale_in(e, scale, DT_FLOAT), zero_point(e, scale + 1));
    emit_out(e, 0, call_with(e, call, "dtype", emit_dtype(e, dtype)));
}

/* Reports OX0401 unless input i is one number. */
static void check_scalar(Model *m, Node *n, int i) {
    int rank = in_rank(n, i);
    bool ok = rank <= 0 ||
              (rank == 1 && dim_known_eq(&m->dims, in_dim(n, i, 0), dim_int(1)) != 0);
    if (!ok)
        node_error(m, n, OX0401, "", "input %d is no scalar", i);
}

/* ---- element by element ------------------------------------------------------------ */

static void infer_unary(Model *m, Node *n) {
    infer_same(m, n);
    for (int i = 1; i <= 4; i++)
        check_scalar(m, n, i);
}

static void emit_sigmoid(Emit *e) {
    emit_quantized(e, EX(emit_arena(e), "jax.nn.sigmoid($0)", dequantized(e, 0)), 3);
}

static void emit_leaky_relu(Emit *e) {
    const Expr *alpha = emit_float(e, attr_float(emit_node(e), "alpha"), DT_FLOAT);
    emit_quantized(
        e, EX(emit_arena(e), "jax.nn.leaky_relu($0, $1)", dequantized(e, 0), alpha), 3);
}

/* As Softmax of the version in `opset`: over all axes from `axis` on until 12. */
static void emit_softmax(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, 0), axis;
    if (rank < 0) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return;
    }
    if (!fix_axis(emit_model(e), n, attr_int(n, "axis"), rank, &axis))
        return;
    int64_t axes[OX_MAX_RANK];
    size_t count = 0;
    for (int i = axis; i < (attr_int(n, "opset") < 13 ? rank : axis + 1); i++)
        axes[count++] = i;
    const Expr *over = count > 1          ? ex_ints(a, EX_TUPLE, axes, count)
                       : axis == rank - 1 ? NULL
                                          : ex_int(a, axis);
    emit_quantized(e, EX(a, "jax.nn.softmax($0$(, axis=$1))", dequantized(e, 0), over),
                   3);
}

/* The shape to which inputs a and b broadcast. */
static bool broadcast_two(Model *m, Node *n, int a, int b, Shape *s) {
    Shape t;
    bool known = in_shape(n, a, s);
    known = in_shape(n, b, &t) && known;
    if (!known)
        s->rank = -1;
    return known && broadcast_shape(m, n, s, &t);
}

static void infer_binary(Model *m, Node *n) {
    Shape s;
    broadcast_two(m, n, 0, 3, &s);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_add(Emit *e) {
    const Expr *a = dequantized(e, 0), *b = dequantized(e, 3);
    emit_quantized(e, EX(emit_arena(e), "$0 + $1", a, b), 6);
}

static void emit_mul(Emit *e) {
    const Expr *a = dequantized(e, 0), *b = dequantized(e, 3);
    emit_quantized(e, EX(emit_arena(e), "$0 * $1", a, b), 6);
}

static void infer_where(Model *m, Node *n) {
    Shape s, t;
    if (broadcast_two(m, n, 1, 4, &s) && in_shape(n, 0, &t))
        broadcast_shape(m, n, &s, &t);
    else
        s.rank = -1;
    set_type(m, n, 0, in_dtype(n, 1), &s);
}

static void emit_where(Emit *e) {
    const Expr *x = dequantized(e, 1), *y = dequantized(e, 4);
    emit_quantized(e, EX(emit_arena(e), "jnp.where($0, $1, $2)", emit_in(e, 0), x, y),
                   7);
}

/* ---- QLinearConcat ----------------------------------------------------------------- */

static void infer_concat(Model *m, Node *n) {
    Shape s, t;
    int axis;
    DType dtype = in_dtype(n, 1);
    if (n->n_in < 5 || n->n_in % 3 != 2) {
        node_error(m, n, OX0303, "", "%u inputs are no triples", n->n_in);
        return;
    }
    bool known =
        in_shape(n, 2, &s) && fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis);
    for (int i = 5; known && i < (int)n->n_in; i += 3) {
        known = in_shape(n, i, &t);
        if (known && t.rank != s.rank) {
            node_error(m, n, OX0401, "", "the inputs have different ranks");
            return;
        }
        if (known)
            s.d[axis] = dim_add(&m->dims, s.d[axis], t.d[axis]);
    }
    if (!known)
        s.rank = -1;
    set_type(m, n, 0, dtype, &s);
}

static void emit_concat(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    size_t count = (n->n_in - 2) / 3;
    const Expr **items = ARENA_ARRAY(a, count, const Expr *);
    if (!items)
        return;
    for (size_t i = 0; i < count; i++)
        items[i] = dequantized(e, 2 + 3 * (int)i);
    emit_quantized(e,
                   EX(a, "jnp.concatenate($0, axis=$1)",
                      ex_seq(a, EX_LIST, items, count), emit_ints(e, "axis")),
                   0);
}

/* ---- means ------------------------------------------------------------------------- */

static void infer_reduce_mean(Model *m, Node *n) {
    Shape s, kept = {.rank = 0};
    uint64_t mask;
    if (!in_shape(n, 0, &s) || !get_axes(m, n, "axes", s.rank, true, &mask)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    for (int i = 0; i < s.rank; i++) {
        if (mask >> i & 1 && attr_int(n, "keepdims") != 0)
            kept.d[kept.rank++] = dim_int(1);
        else if (!(mask >> i & 1))
            kept.d[kept.rank++] = s.d[i];
    }
    set_type(m, n, 0, in_dtype(n, 0), &kept);
}

static void emit_reduce_mean(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *keep = attr_int(emit_node(e), "keepdims") ? ex_bool(a, true) : NULL;
    emit_quantized(e,
                   EX(a, "jnp.mean($0, axis=$1$(, keepdims=$2))", dequantized(e, 0),
                      emit_ints(e, "axes"), keep),
                   3);
}

static bool channels_last(const Node *n) {
    return op_attr(n->op, STR("channels_last")) && attr_int(n, "channels_last") != 0;
}

static void infer_global_pool(Model *m, Node *n) {
    Shape s;
    bool last = channels_last(n);
    if (in_shape(n, 0, &s) && s.rank < 2)
        node_error(m, n, OX0401, "", "X has rank %d", s.rank);
    for (int i = 1; i < s.rank; i++)
        if (i != (last ? s.rank - 1 : 1))
            s.d[i] = dim_int(1);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_global_pool(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, 0), first = channels_last(n) ? 1 : 2;
    int64_t axes[OX_MAX_RANK];
    if (rank < 2) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return;
    }
    for (int i = 0; i < rank - 2; i++)
        axes[i] = first + i;
    const Expr *over = ex_ints(a, EX_TUPLE, axes, (size_t)rank - 2);
    emit_quantized(
        e, EX(a, "jnp.mean($0, axis=$1, keepdims=True)", dequantized(e, 0), over), 3);
}

/* ---- pools ------------------------------------------------------------------------- */

/* x with channels second; the pool of that, with channels last again. */
static const Expr *channels_pool(Emit *e, const Expr *x,
                                 const Expr *(*pool)(Emit *e, const Node *n,
                                                     const Expr *x)) {
    Arena *a = emit_arena(e);
    ChannelsView view;
    if (!channels_view(emit_model(e), emit_node(e), 1, &view)) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return NULL;
    }
    const Expr *y = pool(e, &view.node, EX(a, "jnp.moveaxis($0, -1, 1)", x));
    return y ? EX(a, "jnp.moveaxis($0, 1, -1)", y) : NULL;
}

static void infer_channels_pool(Model *m, Node *n) {
    ChannelsView view;
    if (channels_view(m, n, 1, &view))
        infer_pool(m, &view.node);
    channels_last_type(m, n);
}

static void infer_average_pool(Model *m, Node *n) {
    if (channels_last(n))
        infer_channels_pool(m, n);
    else
        infer_pool(m, n);
}

static void emit_average_pool(Emit *e) {
    const Expr *x = dequantized(e, 0);
    const Expr *y = channels_last(emit_node(e))
                        ? channels_pool(e, x, whole_average_pool_of)
                        : whole_average_pool_of(e, emit_node(e), x);
    if (y)
        emit_quantized(e, y, 3);
}

static void emit_nhwc_max_pool(Emit *e) {
    const Expr *y = channels_pool(e, emit_in(e, 0), max_pool_of);
    if (y)
        emit_out(e, 0, y);
}

/* opset 13 and later work along one axis, earlier ones along all behind it, too. */
static bool apart_softmax(Model *m, const Node *n, const int *at, int out, int axis) {
    return apart_before_axis(m, n, at, out, axis);
}

/* clang-format off */
#define UNARY .in = "X X_scale X_zero_point? Y_scale Y_zero_point?", .out = "Y"
#define BINARY                                                                         \
    .in = "A A_scale A_zero_point? B B_scale B_zero_point? C_scale C_zero_point?",     \
    .out = "C", .lifted = "A B"

static const OpDef ops[] = {
    {.name = "QLinearSigmoid", MICROSOFT, UNARY,
     .apart = apart_same, .infer = infer_unary, .emit = emit_sigmoid},
    {.name = "QLinearLeakyRelu", MICROSOFT, UNARY, .attrs = {FLOAT("alpha", 0.01)},
     .apart = apart_same, .infer = infer_unary, .emit = emit_leaky_relu},
    {.name = "QLinearSoftmax", MICROSOFT,
     .in = "X X_scale x_zero_point? y_scale y_zero_point", .out = "Y",
     .attrs = {INT("axis", -1), INT_REQ("opset")},
     .apart = apart_softmax, .infer = infer_unary, .emit = emit_softmax},
    {.name = "QLinearAdd", MICROSOFT, BINARY, .apart = apart_broadcast,
     .infer = infer_binary, .emit = emit_add},
    {.name = "QLinearMul", MICROSOFT, BINARY, .apart = apart_broadcast,
     .infer = infer_binary, .emit = emit_mul},
    {.name = "QLinearWhere", MICROSOFT,
     .in = "condition X x_scale x_zero_point Y y_scale y_zero_point z_scale "
           "z_zero_point",
     .out = "Z", .infer = infer_where, .emit = emit_where},
    {.name = "QLinearConcat", MICROSOFT, .in = "Y_scale Y_zero_point inputs*",
     .out = "Y", .attrs = {INT_REQ("axis")},
     .infer = infer_concat, .emit = emit_concat},
    {.name = "QLinearReduceMean", MICROSOFT,
     .in = "data data_scale data_zero_point? reduced_scale reduced_zero_point?",
     .out = "reduced", .attrs = {INTS_REQ("axes"), INT_REQ("keepdims")},
     .infer = infer_reduce_mean, .emit = emit_reduce_mean},
    {.name = "QLinearGlobalAveragePool", MICROSOFT,
     .in = "X x_scale x_zero_point y_scale y_zero_point", .out = "Y",
     .attrs = {INT("channels_last", 0)},
     .batch = "X", .infer = infer_global_pool, .emit = emit_global_pool},
    {.name = "QLinearAveragePool", MICROSOFT,
     .in = "X x_scale x_zero_point? y_scale y_zero_point?", .out = "Y",
     .attrs = {CEIL_ATTRS, INT("channels_last", 0), INT("count_include_pad", 0)},
     .batch = "X", .infer = infer_average_pool, .emit = emit_average_pool},
    {.name = "NhwcMaxPool", MICROSOFT, .in = "x", .out = "y",
     .attrs = {CEIL_ATTRS, INTS_OPT("dilations")},
     .batch = "x", .infer = infer_channels_pool, .emit = emit_nhwc_max_pool},
};
/* clang-format on */

const OpFamily ops_ms_quant = FAMILY(ops);
