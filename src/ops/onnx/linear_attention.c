/* LinearAttention and CausalConvWithState, the layers of gated delta networks: calls of
 * the helpers linear_attention and causal_conv.  chunk_size is a hint for kernels and has
 * no influence on the result.
 * Source: the ONNX operators, version 27. */
#include "ops/onnx/window.h"

/* ---- LinearAttention --------------------------------------------------------------- */

static bool has_rule(const Node *n, const char *a, const char *b) {
    return attr_is(n, "update_rule", a) || attr_is(n, "update_rule", b);
}

/* decay and beta are there exactly where the rule has them. */
static bool check_rule(Model *m, const Node *n) {
    bool gated = has_rule(n, "gated", "gated_delta");
    bool delta = has_rule(n, "delta", "gated_delta");
    if (gated != (node_input(n, "decay") != NULL))
        node_error(m, n, OX0303, "", "decay does not fit update_rule");
    else if (delta != (node_input(n, "beta") != NULL))
        node_error(m, n, OX0303, "", "beta does not fit update_rule");
    else
        return true;
    return false;
}

static bool check_heads(Model *m, const Node *n) {
    int64_t h = attr_int(n, "q_num_heads"), g = attr_int(n, "kv_num_heads");
    if (h > 0 && g > 0 && h % g == 0)
        return true;
    node_error(m, n, OX0303, "", "%lld heads are no multiple of %lld", (long long)h,
               (long long)g);
    return false;
}

static bool are_packed(Model *m, const Node *n) {
    for (int i = 0; i < (int)n->n_in; i++) {
        int rank = in_rank(n, i), want = i == 3 ? 4 : 3;
        if (rank < 0 || rank == want)
            continue;
        node_error(m, n, OX0401, "", "input %d has rank %d, but %d is needed", i, rank,
                   want);
        return false;
    }
    return true;
}

static void infer_linear_attention(Model *m, Node *n) {
    Dims *ds = &m->dims;
    DType dtype = in_dtype(n, 0);
    DType state = node_in(n, 3) ? in_dtype(n, 3) : dtype;
    if (!check_rule(m, n) || !check_heads(m, n) || !are_packed(m, n))
        return;
    Dim h = dim_int(attr_int(n, "q_num_heads"));
    Dim g = dim_int(attr_int(n, "kv_num_heads"));
    if (in_rank(n, 0) < 0 || in_rank(n, 1) < 0 || in_rank(n, 2) < 0) {
        Shape unknown = {.rank = 4};
        for (int i = 0; i < 4; i++)
            unknown.d[i] = i == 1 ? g : fresh_dim(m, n, 1, i);
        set_rank(m, n, 0, dtype, 3);
        set_type(m, n, 1, state, &unknown);
        return;
    }
    Dim d = dim_floordiv(ds, in_dim(n, 1, 2), g);
    Dim v = dim_floordiv(ds, in_dim(n, 2, 2), g);
    Shape y = {.rank = 3, .d = {in_dim(n, 0, 0), in_dim(n, 0, 1), dim_mul(ds, h, v)}};
    Shape s = {.rank = 4, .d = {in_dim(n, 0, 0), g, d, v}};
    set_type(m, n, 0, dtype, &y);
    set_type(m, n, 1, state, &s);
}

static void emit_linear_attention(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *call = EX(a, "linear_attention($0, $1, $2)", emit_in(e, 0),
                          emit_in(e, 1), emit_in(e, 2));
    call = call_with(e, call, "state", emit_in(e, 3));
    call = call_with(e, call, "decay", emit_in(e, 4));
    call = call_with(e, call, "beta", emit_in(e, 5));
    call = call_with(e, call, "heads", emit_ints(e, "q_num_heads"));
    call = call_with(e, call, "kv_heads", emit_ints(e, "kv_num_heads"));
    double scale = attr_float(n, "scale");
    if (scale != 0)
        call = call_with(e, call, "scale", emit_float(e, scale, DT_FLOAT));
    n->n_out == 1 ? emit_out(e, 0, EX(a, "$0[0]", call)) : emit_outs(e, call);
}

/* ---- CausalConvWithState ----------------------------------------------------------- */

static bool is_silu(const Node *n) {
    return attr_is(n, "activation", "silu") || attr_is(n, "activation", "swish");
}

static void infer_causal_conv(Model *m, Node *n) {
    Shape x, w;
    DType dtype = in_dtype(n, 0);
    infer_same(m, n);
    if (!in_shape(n, 0, &x) || !in_shape(n, 1, &w)) {
        set_rank(m, n, 1, dtype, 3);
        return;
    }
    if (x.rank != 3 || w.rank != 3) {
        node_error(m, n, OX0401, "", "input and weight must have rank 3");
        return;
    }
    if (dim_known_eq(&m->dims, x.d[1], w.d[0]) == 0) {
        node_error(m, n, OX0401, "", "weight does not fit the channels");
        return;
    }
    x.d[2] = dim_sub(&m->dims, w.d[2], dim_int(1));
    set_type(m, n, 1, dtype, &x);
}

static void emit_causal_conv(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *call = EX(a, "causal_conv($0, $1$(, $2))", emit_in(e, 0), emit_in(e, 1),
                          node_in(n, 2) ? emit_in(e, 2) : NULL);
    call = call_with(e, call, "state", emit_in(e, 3));
    call = call_with(e, call, "silu", ex_bool(a, is_silu(n)));
    n->n_out == 1 ? emit_out(e, 0, EX(a, "$0[0]", call)) : emit_outs(e, call);
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "LinearAttention", .since = 27,
     .in = "query key value past_state? decay? beta?", .out = "output present_state",
     .attrs = {INT("chunk_size", 64), INT_REQ("kv_num_heads"), INT_REQ("q_num_heads"),
               FLOAT("scale", 0.0),
               CHOICE("update_rule", "gated_delta", "linear gated delta gated_delta")},
     .batch = "query key value past_state decay beta",
     .infer = infer_linear_attention, .emit = emit_linear_attention},
    {.name = "CausalConvWithState", .since = 27, .in = "input weight bias? past_state?",
     .out = "output present_state",
     .attrs = {CHOICE("activation", "none", "none silu swish")},
     .batch = "input past_state", .infer = infer_causal_conv, .emit = emit_causal_conv},
};
/* clang-format on */

const OpFamily ops_linear_attention = FAMILY(ops);
