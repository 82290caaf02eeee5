/* QOrdered* of com.microsoft: arrays of int8 whose zero point is 0, computed in float32 and
 * quantized.  Orders say how cublasLt has a matrix in memory: rows, 1, or columns, 0, are
 * the ones that onnxruntime's tools write.  And DynamicTimeWarping.
 * Source: ContribOperators.md of onnxruntime, and its fusions where the text is silent. */
#include "ops/core/padded.h"
#include "ops/onnx/linear.h"
#include "ops/onnx/norm.h"
#include "ops/onnx/quant.h"

enum { ORDER_COLUMNS, ORDER_ROWS };

static bool order_is(const Node *n, const char *name, int order) {
    return attr_has(n, name) && attr_int(n, name) == order;
}

static void refuse_order(Emit *e) {
    emit_fail(e, OX0302,
              "write the model with rows (order 1), B with columns (order 0)",
              "orders of tiles are not supported");
}

/* Input i times its scale, input i + 1. */
static const Expr *dequantized(Emit *e, int i, int scale) {
    return EX(emit_arena(e), "dequantize($0, $1)", emit_in(e, i),
              scale_in(e, scale, DT_FLOAT));
}

static void emit_int8(Emit *e, const Expr *y, int scale) {
    emit_out(e, 0,
             EX(emit_arena(e), "quantize($0, $1, dtype=jnp.int8)", y,
                scale_in(e, scale, DT_FLOAT)));
}

static void emit_gelu(Emit *e) {
    const Node *n = emit_node(e);
    bool same =
        attr_has(n, "order_X") == attr_has(n, "order_Y") &&
        (!attr_has(n, "order_X") || attr_int(n, "order_X") == attr_int(n, "order_Y"));
    if (!same) {
        refuse_order(e);
        return;
    }
    emit_int8(e, EX(emit_arena(e), "gelu($0)", dequantized(e, 0, 1)), 2);
}

static void emit_layer_norm(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t axis = attr_int(n, "axis");
    int rank = in_rank(n, 0);
    if (attr_int(n, "order_X") != ORDER_ROWS || attr_int(n, "order_Y") != ORDER_ROWS) {
        refuse_order(e);
        return;
    }
    if (axis != -1 && (rank < 0 || axis != rank - 1)) {
        emit_fail(e, OX0302, "", "other axes than the last are not supported");
        return;
    }
    const Expr *y = EX(a, "layer_norm($0, $1$(, $2))", dequantized(e, 0, 1),
                       emit_in_lifted(e, 2, rank), emit_in_lifted(e, 3, rank));
    emit_int8(e, with_epsilon(e, y), 4);
}

static void infer_matmul(Model *m, Node *n) {
    Shape a, b;
    in_shape(n, 0, &a);
    in_shape(n, 2, &b);
    if (b.rank >= 0 && b.rank != 2) {
        node_error(m, n, OX0401, "", "B has rank %d, but 2 is needed", b.rank);
        return;
    }
    set_product(m, n, &a, &b, DT_INT8);
}

/* (A @ B + bias + C) / scale_Y.  Columns of B stand one after the other. */
static void emit_matmul(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    bool columns = order_is(n, "order_B", ORDER_COLUMNS);
    if (!order_is(n, "order_A", ORDER_ROWS) || !order_is(n, "order_Y", ORDER_ROWS) ||
        (!columns && !order_is(n, "order_B", ORDER_ROWS))) {
        refuse_order(e);
        return;
    }
    const Expr *x = as_integers_of(e, emit_in(e, 0), -1, -1, 0);
    const Expr *w = emit_in_named(e, 2);
    if (columns)
        w = EX(a, "$0.reshape($0.shape[::-1]).T", w);
    const Expr *y =
        EX(a, "(($0) @ ($1).astype(jnp.int32)).astype(jnp.float32) * ($2 * $3)$( + $4)",
           x, w, emit_in(e, 1), before_axes(e, emit_in(e, 3), 3, in_rank(n, 0), 0),
           emit_in_lifted(e, 5, in_rank(n, 0)));
    if (node_in(n, 6))
        y = EX(a, "$0 + $1", y, dequantized(e, 6, 7));
    emit_int8(e, y, 4);
}

/* ---- DynamicTimeWarping ------------------------------------------------------------ */

static void infer_warping(Model *m, Node *n) {
    int rank = in_rank(n, 0);
    Shape s = {.rank = 2, .d = {dim_int(2), data_dim(m, n, 0, 1)}};
    if (rank >= 0 && rank != 2 && rank != 3)
        node_error(m, n, OX0401, "", "the costs have rank %d, but need 2 or 3", rank);
    set_type(m, n, 0, DT_INT32, &s);
}

static void emit_warping(Emit *e) {
    emit_out(e, 0,
             EX(emit_arena(e), "warping_path($0$(, size=$1))", emit_in(e, 0),
                emit_bound(e)));
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "QOrderedGelu", MICROSOFT, .in = "X scale_X scale_Y", .out = "Y",
     .attrs = {INT_OPT("order_X"), INT_OPT("order_Y")},
     .infer = infer_same, .emit = emit_gelu},
    {.name = "QOrderedLayerNormalization", MICROSOFT,
     .in = "X scale_X scale B? scale_Y", .out = "Y",
     .attrs = {INT("axis", -1), FLOAT("epsilon", 1e-5), INT("order_X", 1),
               INT("order_Y", 1)},
     .infer = infer_same, .emit = emit_layer_norm},
    {.name = "QOrderedMatMul", MICROSOFT,
     .in = "A scale_A B scale_B scale_Y bias? C? scale_C?", .out = "Y",
     .attrs = {INT_REQ("order_A"), INT_REQ("order_B"), INT_REQ("order_Y")},
     .infer = infer_matmul, .emit = emit_matmul},
    {.name = "DynamicTimeWarping", MICROSOFT, .in = "input", .out = "output",
     .padding = "columns of -1", .count = "WarpingCount",
     .infer = infer_warping, .emit = emit_warping},
    {.name = "WarpingCount", .domain = OP_INTERNAL, .since = 1, .in = "output",
     .out = "count", .infer = infer_entry_count,
     .jax = "jnp.sum(jnp.max($output, axis=0) >= 0)"},
};
/* clang-format on */

const OpFamily ops_ms_ordered = FAMILY(ops);
