/* QOrderedAttention of com.microsoft: attention over int8 whose products are rounded to
 * int8 on the way, as the QuantizeLinear and DequantizeLinear nodes said that it is fused
 * from.  Weights are columns, one after the other (order 0), or rows (1).
 * Source: ContribOperators.md of onnxruntime, and fusion_qordered_attention.py of its
 * tools for where it rounds. */
#include "ops/onnx/attention.h"
#include "ops/onnx/quant.h"

enum { ORDER_COLUMNS, ORDER_ROWS };
enum { MASK_FILL = -10000 }; /* that of Attention */
/* Inputs; those of Q, K and V stand side by side. */
enum {
    INPUT,
    INPUT_SCALE,
    PRODUCT_SCALE,
    WEIGHT = 5,
    WEIGHT_SCALE = 8,
    BIAS = 11,
    SCORE_SCALE = 14,
    SOFTMAX_SCALE,
    OUTPUT_SCALE,
    MASK_INDEX,
    PAST,
    SCORE_BIAS,
};

/* [batch, length, columns of V's weights] */
static void infer_attention(Model *m, Node *n) {
    Shape x, w;
    bool fits = in_shape(n, INPUT, &x) && x.rank == 3;
    bool sized = in_shape(n, WEIGHT + 2, &w) && w.rank == 2;
    Shape s = {.rank = 3};
    demand_rank(m, n, INPUT, 3);
    for (int i = 0; i < 2; i++)
        s.d[i] = fits ? x.d[i] : fresh_dim(m, n, 0, i);
    s.d[2] = sized ? w.d[1] : fresh_dim(m, n, 0, 2);
    set_type(m, n, 0, DT_INT8, &s);
}

static bool is_compiled(Emit *e) {
    const Node *n = emit_node(e);
    int64_t order = attr_int(n, "order_weight");
    const char *what = NULL;
    if (attr_int(n, "order_input") != ORDER_ROWS ||
        attr_int(n, "order_output") != ORDER_ROWS ||
        (order != ORDER_COLUMNS && order != ORDER_ROWS))
        what = "orders of tiles are not supported";
    else if (node_in(n, PAST) || node_in(n, SCORE_BIAS))
        what = "past and attention_bias are not supported";
    else if (attr_int(n, "unidirectional"))
        what = "unidirectional attention is not supported";
    else if (!node_in(n, SCORE_SCALE) || !node_in(n, SOFTMAX_SCALE))
        what = "scores and weights without scales are not supported";
    else if (node_in(n, MASK_INDEX) &&
             (in_rank(n, MASK_INDEX) < 1 || in_rank(n, MASK_INDEX) > 2))
        what = "masks of more than two dimensions are not supported";
    if (what)
        emit_fail(e, OX0302, "write the model as onnxruntime's optimizer does", "%s",
                  what);
    return !what;
}

/* The i-th of Q, K and V, rounded. */
static const Expr *projection(Emit *e, int i, const Expr *x) {
    Arena *a = emit_arena(e);
    const Expr *w = emit_in_named(e, WEIGHT + i);
    if (attr_int(emit_node(e), "order_weight") == ORDER_COLUMNS)
        w = EX(a, "$0.reshape($0.shape[::-1]).T", w);
    return EX(a, "ordered_product($0, $1, $2 * $3, $4, $5)", x, w,
              scale_in(e, INPUT_SCALE, DT_FLOAT),
              scale_in(e, WEIGHT_SCALE + i, DT_FLOAT), emit_in(e, BIAS + i),
              scale_in(e, PRODUCT_SCALE + i, DT_FLOAT));
}

/* What is added to the scores; NULL: nothing. */
static const Expr *mask_bias(Emit *e, const Expr *x) {
    Arena *a = emit_arena(e);
    const Expr *mask = emit_in(e, MASK_INDEX);
    if (!mask)
        return NULL;
    if (in_rank(emit_node(e), MASK_INDEX) == 1)
        return EX(a, "length_bias($0, $1.shape[0], $1.shape[1])", mask, x);
    return EX(a, "jnp.where($0[:, None, None] > 0, 0.0, $1)", mask,
              emit_float(e, MASK_FILL, DT_FLOAT));
}

static void emit_attention(Emit *e) {
    Arena *a = emit_arena(e);
    if (!is_compiled(e))
        return;
    const Expr *x = emit_in_named(e, INPUT);
    const Expr *q = emit_let(e, "q", projection(e, 0, x));
    const Expr *k = emit_let(e, "k", projection(e, 1, x));
    const Expr *v = emit_let(e, "v", projection(e, 2, x));
    const Expr *y = EX(a, "ordered_attention($0, $1, $2, $3, $4, $5$(, $6))", q, k, v,
                       ex_int(a, attr_int(emit_node(e), "num_heads")),
                       scale_in(e, SCORE_SCALE, DT_FLOAT),
                       scale_in(e, SOFTMAX_SCALE, DT_FLOAT), mask_bias(e, x));
    emit_out(e, 0,
             EX(a, "quantize($0, $1, dtype=jnp.int8)", y,
                scale_in(e, OUTPUT_SCALE, DT_FLOAT)));
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "QOrderedAttention", MICROSOFT,
     .in = "input scale_input scale_Q_gemm scale_K_gemm scale_V_gemm Q_weight K_weight "
           "V_weight scale_Q_weight scale_K_weight scale_V_weight Q_bias K_bias V_bias "
           "scale_QKT_gemm? scale_QKT_softmax? scale_values_gemm mask_index? past? "
           "attention_bias?",
     .out = "output",
     .attrs = {INT_REQ("num_heads"), INT("unidirectional", 0),
               INTS_OPT("qkv_hidden_sizes"), INT_REQ("order_input"),
               INT_REQ("order_weight"), INT_REQ("order_output")},
     .infer = infer_attention, .emit = emit_attention},
};
/* clang-format on */

const OpFamily ops_ms_ordered_attention = FAMILY(ops);
