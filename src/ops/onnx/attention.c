/* Attention, FlexAttention and RotaryEmbedding.  Inputs of rank 3 hold the heads in
 * their last axis and are split; masks of every kind become one bias that is added to
 * the scores.
 * Source: ONNX operators Attention 23 to 25, RotaryEmbedding 23, FlexAttention 1. */
#include "ops/onnx/attention.h"
#include "ops/core/apart.h"
#include "ops/core/macs.h"
#include "ops/core/nested.h"

#include <float.h>
#include <math.h>

/* ---- reading ----------------------------------------------------------------------- */

/* q (b, h, t, d), k (b, g, s, d), v (b, g, s, e); s without what the cache holds */
typedef struct Heads {
    Dim b, h, t, d, g, s, e;
    Dim past; /* positions in the cache */
} Heads;

/* The size of one head, of input i. */
static bool head_size(Model *m, Node *n, int i, int64_t heads, Dim *size) {
    Dim hidden = in_dim(n, i, in_rank(n, i) - 1);
    *size = hidden;
    if (in_rank(n, i) == 4)
        return true;
    if (heads < 1 || (dim_is_int(hidden) && hidden.c % heads != 0)) {
        node_error(m, n, OX0401, "", "%lld heads do not divide the hidden size",
                   (long long)heads);
        return false;
    }
    *size = dim_floordiv(&m->dims, hidden, dim_int(heads));
    return true;
}

static bool check_heads(Model *m, Node *n, const Heads *a) {
    bool ok =
        !dim_is_int(a->h) || !dim_is_int(a->g) || (a->g.c > 0 && a->h.c % a->g.c == 0);
    if (!ok)
        node_error(m, n, OX0401, "", "the heads of Q are no multiple of those of K");
    return ok;
}

static bool check_ranks(Model *m, Node *n) {
    int rank = in_rank(n, 0);
    if (rank < 0 || in_rank(n, 1) < 0 || in_rank(n, 2) < 0)
        return false;
    if ((rank == 3 || rank == 4) && in_rank(n, 1) == rank && in_rank(n, 2) == rank)
        return true;
    node_error(m, n, OX0401, "", "Q, K and V must all have rank 3 or all rank 4");
    return false;
}

/* false when a rank is not known, or after an error. */
static bool read_heads(Model *m, Node *n, Heads *a) {
    if (!check_ranks(m, n))
        return false;
    bool split = in_rank(n, 0) == 3;
    int64_t h = attr_int_or(n, "q_num_heads", 0), g = attr_int_or(n, "kv_num_heads", 0);
    *a = (Heads){.b = in_dim(n, 0, 0)};
    a->h = split ? dim_int(h) : in_dim(n, 0, 1);
    a->g = split ? dim_int(g) : in_dim(n, 1, 1);
    a->t = in_dim(n, 0, split ? 1 : 2);
    a->s = in_dim(n, 1, split ? 1 : 2);
    a->past = dim_int(0);
    if (node_has(n, "past_key")) {
        if (in_rank(n, 4) != 4)
            return false;
        a->past = in_dim(n, 4, 2);
    }
    return head_size(m, n, 0, h, &a->d) && head_size(m, n, 2, g, &a->e) &&
           check_heads(m, n, a);
}

void set_four(Model *m, Node *n, int out, DType dtype, Dim a, Dim b, Dim c, Dim d) {
    set_type(m, n, out, dtype, &(Shape){.rank = 4, .d = {a, b, c, d}});
}

static void infer_attention(Model *m, Node *n) {
    Heads a;
    DType q = in_dtype(n, 0), v = in_dtype(n, 2);
    if (!read_heads(m, n, &a)) {
        set_unranked(m, n, 0, q);
        set_unranked(m, n, 1, in_dtype(n, 1));
        set_unranked(m, n, 2, v);
        set_unranked(m, n, 3, q);
        return;
    }
    Dim total = dim_add(&m->dims, a.past, a.s);
    Dim merged = dim_mul(&m->dims, a.h, a.e);
    if (in_rank(n, 0) == 3)
        set_type(m, n, 0, q, &(Shape){.rank = 3, .d = {a.b, a.t, merged}});
    else
        set_four(m, n, 0, q, a.b, a.h, a.t, a.e);
    set_four(m, n, 1, in_dtype(n, 1), a.b, a.g, total, a.d);
    set_four(m, n, 2, v, a.b, a.g, total, a.e);
    set_four(m, n, 3, q, a.b, a.h, a.t, total);
}

/* ---- bias -------------------------------------------------------------------------- */

const Expr *added(Emit *e, const Expr *sum, const Expr *term) {
    return sum ? EX(emit_arena(e), "$0 + $1", sum, term) : term;
}

/* From version 24 on attn_mask may end before the keys do, and a size of 1 is no sign of
 * broadcasting. */
static bool is_mask_short(Emit *e, Dim mask, Dim keys) {
    Dims *ds = &emit_model(e)->dims;
    if (emit_node(e)->op->since >= 24)
        return dim_known_eq(ds, mask, keys) != 1;
    return !dim_is(mask, 1) && dim_known_less(ds, mask, keys) == 1;
}

static const Expr *mask_bias(Emit *e, const Heads *a) {
    Arena *arena = emit_arena(e);
    Dims *ds = &emit_model(e)->dims;
    const Type *t = &node_input(emit_node(e), "attn_mask")->type;
    const Expr *mask = emit_in_of_rank(e, 3, 4);
    Dim keys = dim_add(ds, a->past, a->s);
    int last = t->rank - 1;
    if (last >= 0 && last < 4 && is_mask_short(e, t->dims[last], keys)) {
        Dim zero[4] = {{0}}, lacks[4] = {{0}};
        lacks[3] = dim_sub(ds, keys, t->dims[last]);
        const Expr *hidden = t->dtype == DT_BOOL
                                 ? ex_bool(arena, false)
                                 : emit_float(e, (double)-INFINITY, DT_FLOAT);
        mask = EX(arena, "jnp.pad($0, $1, constant_values=$2)", mask,
                  window_pairs(e, zero, lacks, 4), hidden);
    }
    return t->dtype == DT_BOOL ? EX(arena, "jnp.where($0, 0.0, -jnp.inf)", mask) : mask;
}

/* is_causal is a right bound of 0. */
static const Expr *window_bias(Emit *e, const Heads *a, const Expr *lengths) {
    Arena *arena = emit_arena(e);
    Node *n = emit_node(e);
    int64_t left = attr_int_or(n, "left_window_size", -1);
    int64_t right = attr_int_or(n, "right_window_size", -1);
    if (attr_int(n, "is_causal") != 0)
        right = 0;
    if (left < 0 && right < 0)
        return NULL;
    Dim keys = dim_add(&emit_model(e)->dims, a->past, a->s);
    const Expr *t = emit_dim(e, a->t);
    const Expr *call = EX(arena, "attention_window($0, $1)", t, emit_dim(e, keys));
    if (lengths)
        call = call_with(e, call, "offset", EX(arena, "$0 - $1", lengths, t));
    else if (!dim_is(a->past, 0))
        call = call_with(e, call, "offset", emit_dim(e, a->past));
    if (left >= 0)
        call = call_with(e, call, "left", ex_int(arena, left));
    return call_with(e, call, "right", right < 0 ? ex_none() : ex_int(arena, right));
}

/* NULL when nothing is hidden. */
static const Expr *bias_of(Emit *e, const Heads *a) {
    Arena *arena = emit_arena(e);
    Node *n = emit_node(e);
    const Expr *bias = node_has(n, "attn_mask") ? mask_bias(e, a) : NULL;
    const Expr *lengths = NULL;
    if (node_has(n, "nonpad_kv_seqlen"))
        lengths = EX(arena, "$0[:, None, None, None]", emit_in_named(e, 6));
    const Expr *window = window_bias(e, a, lengths);
    if (window)
        bias = added(e, bias, window);
    if (lengths)
        bias = added(
            e, bias,
            EX(arena, "jnp.where(jnp.arange($0)[None, None, None] < $1, 0.0, -jnp.inf)",
               emit_dim(e, a->s), lengths));
    return bias;
}

/* ---- emission ---------------------------------------------------------------------- */

const Expr *with_heads(Emit *e, int i, Dim heads, bool named) {
    const Expr *x = named ? emit_in_named(e, i) : emit_in(e, i);
    if (in_rank(emit_node(e), i) == 4)
        return x;
    return EX(emit_arena(e), "split_heads($0, $1)", x, emit_dim(e, heads));
}

/* x behind the cache; by a name when it is written more than once. */
static const Expr *with_past(Emit *e, int past, const Expr *x, const char *name,
                             bool again) {
    if (!node_in(emit_node(e), past))
        return x;
    const Expr *all = EX(emit_arena(e), "jnp.concatenate([$0, $1], axis=2)",
                         emit_in_named(e, past), x);
    return again ? emit_let(e, name, all) : all;
}

/* scale=..., softcap=... of the scores. */
static const Expr *with_score_options(Emit *e, const Expr *call, bool cap) {
    Node *n = emit_node(e);
    if (attr_has(n, "scale"))
        call = call_with(e, call, "scale",
                         emit_float(e, attr_float(n, "scale"), DT_FLOAT));
    double softcap = attr_float(n, "softcap");
    if (cap && softcap > 0)
        call = call_with(e, call, "softcap", emit_float(e, softcap, DT_FLOAT));
    return call;
}

/* The type of softmax; NULL when it is that of Q. */
static const Expr *softmax_type(Emit *e) {
    Node *n = emit_node(e);
    DType dtype = dtype_from_onnx(attr_int_or(n, "softmax_precision", 0));
    bool given = dtype_is_float(dtype) && dtype != in_dtype(n, 0);
    return given ? emit_dtype(e, dtype) : NULL;
}

/* The optional output of scores at one of four stages. */
static const Expr *scores_output(Emit *e, const Expr *q, const Expr *k,
                                 const Expr *bias) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    int64_t mode = attr_int(n, "qk_matmul_output_mode");
    const Expr *x = EX(a, "attention_scores($0, $1)", q, k);
    x = with_score_options(e, x, mode > 0);
    if (mode == 2 && bias)
        return EX(a, "$0 + $1", x, bias);
    if (mode != 3)
        return x;
    const Expr *precision = softmax_type(e);
    x = EX(a, "attention_weights($0$(, $1))", x, bias);
    x = call_with(e, x, "precision", precision);
    return precision ? EX(a, "$0.astype($1)", x, emit_dtype(e, in_dtype(n, 0))) : x;
}

static bool bad_options(Emit *e) {
    Node *n = emit_node(e);
    if (attr_has(n, "scale") && attr_float(n, "scale") < 0)
        emit_fail(e, OX0302, "", "a negative scale is not supported");
    else if (node_has(n, "past_key") != node_has(n, "past_value"))
        emit_fail(e, OX0303, "", "past_key and past_value must be given together");
    else
        return false;
    return true;
}

static void emit_attention(Emit *e) {
    Heads h;
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    if (bad_options(e))
        return;
    if (!read_heads(emit_model(e), n, &h)) {
        emit_fail(e, OX0403, "", "the ranks of Q, K and V are not known");
        return;
    }
    bool scores = emit_wants(e, 3);
    const Expr *q = with_heads(e, 0, h.h, scores);
    const Expr *k = with_heads(e, 1, h.g, scores || emit_wants(e, 1));
    const Expr *v = with_heads(e, 2, h.g, emit_wants(e, 2));
    k = with_past(e, 4, k, "keys", scores || emit_wants(e, 1));
    v = with_past(e, 5, v, "values", emit_wants(e, 2));
    const Expr *bias = bias_of(e, &h);
    const Expr *y = EX(a, "attention($0, $1, $2$(, $3))", q, k, v, bias);
    y = with_score_options(e, y, true);
    y = call_with(e, y, "precision", softmax_type(e));
    if (in_rank(n, 0) == 3)
        y = EX(a, "merge_heads($0)", y);
    if (in_dtype(n, 2) != in_dtype(n, 0))
        y = EX(a, "$0.astype($1)", y, emit_dtype(e, in_dtype(n, 0)));
    emit_out(e, 0, y);
    if (emit_wants(e, 1))
        emit_out(e, 1, k);
    if (emit_wants(e, 2))
        emit_out(e, 2, v);
    if (scores)
        emit_out(e, 3, scores_output(e, q, k, bias));
}

/* ---- FlexAttention ----------------------------------------------------------------- */

/* The type of scores and weights: softmax_precision, else at least float32. */
static DType flex_type(const Node *n) {
    if (attr_has(n, "softmax_precision"))
        return dtype_from_onnx(attr_int(n, "softmax_precision"));
    return in_dtype(n, 0) == DT_DOUBLE ? DT_DOUBLE : DT_FLOAT;
}

/* Infers a modifier, a graph from scores to scores. */
static bool infer_modifier(Model *m, Node *n, const char *name, const Type *scores) {
    Graph *g = attr_graph(n, name);
    if (!g)
        return true;
    if (g->n_inputs != 1 || g->n_outputs != 1) {
        node_error(m, n, OX0303, "", "%s must have one input and one output", name);
        return false;
    }
    g->inputs[0]->type = type_moved(m, scores, g->inputs[0]);
    infer_subgraph(m, g);
    return true;
}

static void infer_flex(Model *m, Node *n) {
    Heads a;
    Type scores = {.dtype = flex_type(n), .rank = -1};
    Dim dims[4];
    bool known = read_heads(m, n, &a);
    if (known && in_rank(n, 0) != 4) {
        node_error(m, n, OX0401, "", "Q, K and V must have rank 4");
        return;
    }
    if (known) {
        dims[0] = a.b, dims[1] = a.h, dims[2] = a.t, dims[3] = a.s;
        scores.rank = 4;
        scores.dims = dims;
    }
    if (!infer_modifier(m, n, "score_mod", &scores) ||
        !infer_modifier(m, n, "prob_mod", &scores))
        return;
    if (known)
        set_four(m, n, 0, in_dtype(n, 0), a.b, a.h, a.t, a.e);
    else
        set_rank(m, n, 0, in_dtype(n, 0), 4);
}

static const Expr *with_modifier(Emit *e, const Expr *call, const char *name) {
    const Graph *g = attr_graph(emit_node(e), name);
    return call_with(e, call, name, g ? emit_subgraph(e, g, name, true) : NULL);
}

static void emit_flex(Emit *e) {
    Node *n = emit_node(e);
    DType dtype = flex_type(n);
    const Expr *call = emit_template(e, "flex_attention($Q, $K, $V)");
    call = with_modifier(e, call, "score_mod");
    call = with_modifier(e, call, "prob_mod");
    if (attr_has(n, "scale"))
        call = call_with(e, call, "scale",
                         emit_float(e, attr_float(n, "scale"), DT_FLOAT));
    call = call_with(e, call, "dtype", emit_dtype(e, dtype));
    emit_out(e, 0, call);
}

/* ---- RotaryEmbedding --------------------------------------------------------------- */

static void infer_rotary(Model *m, Node *n) {
    infer_same(m, n);
    int rank = in_rank(n, 0);
    if (rank >= 0 && rank != 3 && rank != 4)
        node_error(m, n, OX0401, "", "X has rank %d, but 3 or 4 is needed", rank);
    if (rank == 3 && attr_int_or(n, "num_heads", 0) < 1)
        node_error(m, n, OX0303, "", "num_heads is needed for X of rank 3");
}

/* Rows of the tables for the positions of X. */
static const Expr *at_positions(Emit *e, int table) {
    const Expr *x = emit_in(e, table);
    if (!node_in(emit_node(e), 3))
        return x;
    return EX(emit_arena(e), "$0[$1]", x, emit_in_named(e, 3));
}

static void emit_rotary(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    int rank = in_rank(n, 0);
    if (rank < 0) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return;
    }
    const Expr *x = with_heads(e, 0, dim_int(attr_int_or(n, "num_heads", 0)), false);
    const Expr *cos = at_positions(e, 1), *sin = at_positions(e, 2);
    const Expr *y = EX(a, "rotary_embedding($0, $1, $2)", x, cos, sin);
    y = call_with(e, y, "interleaved", ex_bool(a, attr_int(n, "interleaved") != 0));
    emit_out(e, 0, rank == 3 ? EX(a, "merge_heads($0)", y) : y);
}

/* ---- DotProductAttention ------------------------------------------------------------ */

/* scale=..., unless it is JAX's. */
static const Expr *with_scale(Emit *e, const Expr *y) {
    Node *n = emit_node(e);
    Dim d = in_dim(n, 0, 3);
    double scale = attr_float(n, "scale");
    bool usual = dim_is_int(d) && fabs(scale * sqrt((double)d.c) - 1) < 2 * FLT_EPSILON;
    return usual ? y : call_with(e, y, "scale", emit_float(e, scale, DT_FLOAT));
}

/* Not an operator of ONNX: what fusions.c makes of attention written out.  Inputs are
 * (b, t, h, d), (b, s, g, d), (b, s, g, d); mask is true where a key is seen. */
static void emit_dot_product_attention(Emit *e) {
    const Expr *y = EX(emit_arena(e), "jax.nn.dot_product_attention($0, $1, $2)",
                       emit_in(e, 0), emit_in(e, 1), emit_in(e, 2));
    y = call_with(e, y, "bias", emit_in(e, 3));
    y = call_with(e, y, "mask", emit_in(e, 4));
    if (attr_int(emit_node(e), "is_causal"))
        y = call_with(e, y, "is_causal", ex_bool(emit_arena(e), true));
    emit_out(e, 0, with_scale(e, y));
}

/* The same, where the mask may let a query see nothing, which then gets zeros. */
static void emit_masked_attention(Emit *e) {
    const Expr *y = EX(emit_arena(e), "masked_attention($0, $1, $2, $3)", emit_in(e, 0),
                       emit_in(e, 1), emit_in(e, 2), emit_in_of_rank(e, 3, 4));
    emit_out(e, 0, with_scale(e, y));
}

/* A table of angles by position is shared; one of angles as the batch has them is not. */
static bool apart_rotary(Model *m, const Node *n, const int *at, int out, int axis) {
    bool ok = axis == 0 && at[0] == 0;
    (void)m;
    (void)out;
    for (int k = 1; ok && k < (int)n->n_in; k++)
        ok = at[k] == 0 || at[k] == APART_SHARED;
    bool by_position = n->n_in > 3 && n->in[3];
    return ok && !(by_position && (at[1] == 0 || at[2] == 0));
}

/* Batches and heads (B, T, H, D), of which scores are (B, H, T, S).  Where keys have fewer
 * heads, so many in a row share one. */
static bool apart_dot_product(Model *m, const Node *n, const int *at, int out,
                              int axis) {
    (void)m;
    (void)out;
    bool fits = axis == 0 || axis == 2;
    for (int k = 0; k < (int)n->n_in; k++)
        fits = fits && (k < 3 ? at[k] == axis
                              : at[k] == APART_SHARED || at[k] == (axis ? 1 : 0));
    return fits;
}

/* clang-format off */
#define ATTENTION_ATTRS                                                                \
    INT("is_causal", 0), INT_OPT("kv_num_heads"), INT_OPT("q_num_heads"),              \
    INT("qk_matmul_output_mode", 0), FLOAT_OPT("scale"), FLOAT("softcap", 0.0),        \
    INT_OPT("softmax_precision")

static const OpDef ops[] = {
    {.name = "Attention", .since = 23, .until = 23,
     .in = "Q K V attn_mask? past_key? past_value?",
     .out = "Y present_key? present_value? qk_matmul_output?", .mixes = "attn_mask",
     .attrs = {ATTENTION_ATTRS},
     .batch = "Q K V attn_mask? past_key past_value",
     .infer = infer_attention, .macs = macs_attention, .emit = emit_attention},
    {.name = "Attention", .since = 24, .until = 24,
     .in = "Q K V attn_mask? past_key? past_value? nonpad_kv_seqlen?",
     .out = "Y present_key? present_value? qk_matmul_output?", .mixes = "attn_mask",
     .attrs = {ATTENTION_ATTRS},
     .batch = "Q K V attn_mask? past_key past_value nonpad_kv_seqlen",
     .infer = infer_attention, .macs = macs_attention, .emit = emit_attention},
    {.name = "Attention", .since = 25,
     .in = "Q K V attn_mask? past_key? past_value? nonpad_kv_seqlen?",
     .out = "Y present_key? present_value? qk_matmul_output?", .mixes = "attn_mask",
     .attrs = {ATTENTION_ATTRS, INT("left_window_size", -1),
               INT("right_window_size", -1)},
     .batch = "Q K V attn_mask? past_key past_value nonpad_kv_seqlen",
     .infer = infer_attention, .macs = macs_attention, .emit = emit_attention},
    {.name = "FlexAttention", .domain = "ai.onnx.preview", .since = 1, .in = "Q K V",
     .out = "Y",
     .attrs = {ANY_OPT("prob_mod", ATTR_GRAPH), FLOAT_OPT("scale"),
               ANY_OPT("score_mod", ATTR_GRAPH), INT_OPT("softmax_precision")},
     .infer = infer_flex, .macs = macs_attention, .emit = emit_flex},
    {.name = "RotaryEmbedding", .since = 23,
     .in = "X cos_cache sin_cache position_ids?", .out = "Y",
     .mixes = "cos_cache sin_cache",
     .attrs = {INT("interleaved", 0), INT_OPT("num_heads"),
               INT("rotary_embedding_dim", 0)},
     .apart = apart_rotary, .infer = infer_rotary, .emit = emit_rotary},
    {.name = "DotProductAttention", .domain = OP_INTERNAL, .since = 1,
     .in = "query key value bias? mask?", .out = "attended", .facts = OP_ATTENDS,
     .mixes = "bias", .attrs = {FLOAT_REQ("scale"), INT("is_causal", 0)},
     .apart = apart_dot_product,
     .infer = infer_same, .emit = emit_dot_product_attention},
    {.name = "MaskedAttention", .domain = OP_INTERNAL, .since = 1,
     .in = "query key value mask", .out = "attended", .facts = OP_ATTENDS,
     .attrs = {FLOAT_REQ("scale")},
     .apart = apart_dot_product, .infer = infer_same, .emit = emit_masked_attention},
    {.name = "RotateHalf", .domain = OP_INTERNAL, .since = 1, .in = "x cos sin",
     .out = "rotated", .facts = OP_BY_ROW, .mixes = "cos sin",
     .apart = apart_before_last, .infer = infer_same,
     .jax = "apply_rotary($x, $cos, $sin)"},
};
/* clang-format on */

const OpFamily ops_attention = FAMILY(ops);
