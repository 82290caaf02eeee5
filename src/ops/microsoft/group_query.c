/* GroupQueryAttention, SparseAttention and RotaryEmbedding of com.microsoft.  Each sequence of a batch has
 * a length of its own in the cache: the new positions begin at `start`, and a query sees
 * what lies at or before it.
 * Source: ContribOperators.md of onnxruntime; its CPU kernels where the text is silent. */
#include "ops/core/macs.h"
#include "ops/onnx/attention.h"

enum {
    QUERY,
    KEY,
    VALUE,
    PAST_KEY,
    PAST_VALUE,
    LENGTHS,
    TOTAL,
    COS,
    SIN,
    POSITIONS,
    BIAS,
    SINK,
    K_SCALE,
    V_SCALE,
    Q_NORM,
    K_NORM,
    QUERY_LENGTHS
};

typedef struct Group {
    int64_t heads, kv_heads;
    Dim batch, queries, head, size; /* size: positions in the cache afterwards */
} Group;

/* Positions in the cache: as many as there were, if the new ones fit. */
static bool cache_size(Model *m, const Node *n, Group *g) {
    Shape total;
    g->size = g->queries;
    if (!node_in(n, PAST_KEY))
        return true;
    if (!get_dims(n, "total_sequence_length", &total) || total.rank != 1 ||
        in_rank(n, PAST_KEY) != 4)
        return false;
    g->size = dim_max(&m->dims, in_dim(n, PAST_KEY, 2), total.d[0]);
    return true;
}

/* false when a rank is not known, or after an error. */
static bool read_group(Model *m, Node *n, Group *g) {
    *g = (Group){.heads = attr_int(n, "num_heads"),
                 .kv_heads = attr_int(n, "kv_num_heads")};
    bool packed = !node_in(n, KEY);
    if (g->kv_heads < 1 || g->heads < 1 || g->heads % g->kv_heads != 0 ||
        packed != !node_in(n, VALUE)) {
        node_error(m, n, OX0401, "", "%lld heads do not fit %lld of keys and values",
                   (long long)g->heads, (long long)g->kv_heads);
        return false;
    }
    int64_t parts = packed ? g->heads + 2 * g->kv_heads : g->heads;
    if (in_rank(n, QUERY) != 3)
        return false;
    g->batch = in_dim(n, QUERY, 0);
    g->queries = in_dim(n, QUERY, 1);
    Dim hidden = in_dim(n, QUERY, 2);
    g->head = dim_floordiv(&m->dims, hidden, dim_int(parts));
    if (!dim_is_int(hidden) || hidden.c % parts == 0)
        return true;
    node_error(m, n, OX0401, "", "%lld heads do not divide the hidden size",
               (long long)parts);
    return false;
}

static void infer_group(Model *m, Node *n) {
    Group g;
    DType dtype = in_dtype(n, 0);
    if (!read_group(m, n, &g)) {
        set_rank(m, n, 0, dtype, 3);
        for (int k = 1; k < 4; k++)
            set_rank(m, n, k, dtype, 4);
        return;
    }
    Dim hidden = dim_mul(&m->dims, g.head, dim_int(g.heads)), kv = dim_int(g.kv_heads);
    set_type(m, n, 0, dtype, &(Shape){.rank = 3, .d = {g.batch, g.queries, hidden}});
    bool known = cache_size(m, n, &g);
    for (int k = 1; k < 3; k++)
        set_four(m, n, k, dtype, g.batch, kv,
                 known || !node_out(n, k) ? g.size : fresh_dim(m, n, k, 2), g.head);
    set_four(m, n, 3, dtype, g.batch, dim_int(g.heads), g.queries,
             known || !node_out(n, 3) ? g.size : fresh_dim(m, n, 3, 3));
}

/* ---- operands ---------------------------------------------------------------------- */

/* rms_norm(x, weight, eps=...) where the weights are given. */
static const Expr *normalized(Emit *e, const Expr *x, int weight, const char *epsilon) {
    const Node *n = emit_node(e);
    if (!op_attr(n->op, str_from(epsilon)) || !node_in(n, weight))
        return x;
    double eps = attr_float(n, attr_has(n, epsilon) ? epsilon : "qk_norm_epsilon");
    const Expr *call =
        EX(emit_arena(e), "rms_norm($0, $1)", x, emit_in_lifted(e, weight, 4));
    return call_with(e, call, "eps", emit_float(e, eps, DT_FLOAT));
}

static void read_operands(Emit *e, const Group *g, const Expr *x[3]) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (node_in(n, KEY)) {
        x[0] = with_heads(e, QUERY, dim_int(g->heads), false);
        x[1] = with_heads(e, KEY, dim_int(g->kv_heads), false);
        x[2] = with_heads(e, VALUE, dim_int(g->kv_heads), false);
    } else {
        int64_t k = g->heads, v = g->heads + g->kv_heads;
        const Expr *all = with_heads(e, QUERY, dim_int(v + g->kv_heads), false);
        all = emit_let(e, "qkv", all);
        x[0] = EX(a, "$0[:, :$1]", all, ex_int(a, k));
        x[1] = EX(a, "$0[:, $1:$2]", all, ex_int(a, k), ex_int(a, v));
        x[2] = EX(a, "$0[:, $1:]", all, ex_int(a, v));
    }
    x[0] = normalized(e, x[0], Q_NORM, "q_norm_epsilon");
    x[1] = normalized(e, x[1], K_NORM, "k_norm_epsilon");
}

/* Where each sequence of the batch begins; NULL: all at 0. */
static const Expr *start_of(Emit *e, const Group *g) {
    Arena *a = emit_arena(e);
    if (!node_in(emit_node(e), PAST_KEY))
        return NULL;
    Dim less = dim_sub(&emit_model(e)->dims, g->queries, dim_int(1));
    const Expr *lengths = emit_in_named(e, LENGTHS);
    if (in_rank(emit_node(e), LENGTHS) != 1)
        lengths = emit_let(e, "lengths", EX(a, "$0.reshape(-1)", lengths));
    if (dim_is(less, 0))
        return lengths;
    return emit_let(
        e, "start",
        EX(a, "jnp.maximum($0 - $1, 0)", lengths,
           dim_is_int(less) ? emit_dim(e, less) : EX(a, "($0)", emit_dim(e, less))));
}

/* The positions that a table is read at, as a subscript.  Given ones count only for
 * single tokens: else the first of them says where all begin. */
static const Expr *positions_of(Emit *e, const Group *g, const Expr *start) {
    Arena *a = emit_arena(e);
    const Expr *size = emit_dim(e, g->queries);
    bool one = dim_is(g->queries, 1);
    const Expr *steps = EX(a, "jnp.arange($0)[None]", size);
    if (node_in(emit_node(e), POSITIONS)) {
        const Expr *ids = emit_in_named(e, POSITIONS);
        if (one)
            return ids;
        const Expr *first = EX(a, "$0[:1, :1] + $1", ids, steps);
        return dim_is_int(g->queries)
                   ? first
                   : EX(a, "$0 if $1 == 1 else $2", ids, size, first);
    }
    if (!start)
        return steps;
    const Expr *column = EX(a, "$0[:, None]", start);
    return one ? column : EX(a, "$0 + $1", column, steps);
}

static void rotate(Emit *e, const Expr *at, const Expr *x[3]) {
    Arena *a = emit_arena(e);
    bool interleaved = attr_has(emit_node(e), "rotary_interleaved") &&
                       attr_int(emit_node(e), "rotary_interleaved") != 0;
    const OpDef *op = emit_node(e)->op;
    int tables[] = {op_input_index(op, STR("cos_cache")),
                    op_input_index(op, STR("sin_cache"))};
    const Expr *cos = emit_let(e, "cos", EX(a, "$0[$1]", emit_in(e, tables[0]), at));
    const Expr *sin = emit_let(e, "sin", EX(a, "$0[$1]", emit_in(e, tables[1]), at));
    for (int i = 0; i < 2; i++) {
        x[i] = EX(a, "rotary_embedding($0, $1, $2)", x[i], cos, sin);
        x[i] = call_with(e, x[i], "interleaved", ex_bool(a, interleaved));
    }
}

/* ---- scores ------------------------------------------------------------------------ */

static const Expr *size_expr(Emit *e, Group *g) {
    if (cache_size(emit_model(e), emit_node(e), g))
        return emit_dim(e, g->size);
    const Expr *total = emit_ints(e, "total_sequence_length");
    if (in_rank(emit_node(e), TOTAL) == 1)
        total = EX(emit_arena(e), "$0[0]", total);
    return emit_let(
        e, "size",
        EX(emit_arena(e), "max($0.shape[2], $1)", emit_in_named(e, PAST_KEY), total));
}

/* What a query sees, and attention_bias, whose last axis may end before the cache. */
static const Expr *bias_of(Emit *e, const Group *g, const Expr *start,
                           const Expr *size) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t window = attr_int(n, "local_window_size");
    const Expr *bias;
    if (attr_int(n, "causal") != 0) {
        bias = EX(a, "attention_window($0, $1)", emit_dim(e, g->queries), size);
        if (start)
            bias =
                call_with(e, bias, "offset", EX(a, "$0[:, None, None, None]", start));
        bias = call_with(e, bias, "left", window > 0 ? ex_int(a, window - 1) : NULL);
    } else {
        bias = EX(a,
                  "jnp.where(jnp.arange($0)[None, None, None] <= $1[:, None, None, "
                  "None], 0.0, "
                  "-jnp.inf)",
                  size, emit_in_named(e, LENGTHS));
    }
    if (!node_in(n, BIAS))
        return bias;
    const Expr *more = emit_in(e, BIAS);
    bool whole = !node_in(n, PAST_KEY) ||
                 (in_rank(n, BIAS) == 4 &&
                  dim_known_eq(&emit_model(e)->dims, in_dim(n, BIAS, 3), g->size) == 1);
    if (!whole) {
        more = emit_in_named(e, BIAS);
        more = EX(a, "jnp.pad($0, ((0, 0), (0, 0), (0, 0), (0, $1 - $2.shape[3])))",
                  more, size, more);
    }
    return added(e, bias, more);
}

static const Expr *with_options(Emit *e, const Expr *call) {
    const Node *n = emit_node(e);
    double scale = attr_has(n, "scale") ? attr_float(n, "scale") : 0;
    bool capped = op_attr(n->op, STR("softcap")) && attr_has(n, "softcap");
    double cap = capped ? attr_float(n, "softcap") : 0;
    if (scale < 0)
        emit_fail(e, OX0302, "", "a negative scale is not supported");
    call =
        call_with(e, call, "scale", scale == 0 ? NULL : emit_float(e, scale, DT_FLOAT));
    return call_with(e, call, "softcap", cap > 0 ? emit_float(e, cap, DT_FLOAT) : NULL);
}

/* What softmax leaves to no key: a score of each head, or exp(0); NULL: nothing. */
static const Expr *sink_of(Emit *e) {
    const Node *n = emit_node(e);
    if (node_in(n, SINK))
        return emit_in_named(e, SINK);
    return attr_int(n, "smooth_softmax") == 1 ? emit_float(e, 0, DT_FLOAT) : NULL;
}

/* Softmax is computed in float32. */
static const Expr *with_precision(Emit *e, const Expr *call) {
    DType q = in_dtype(emit_node(e), QUERY);
    bool wide = q == DT_FLOAT || q == DT_DOUBLE;
    return call_with(e, call, "precision", wide ? NULL : emit_dtype(e, DT_FLOAT));
}

/* ---- emission ---------------------------------------------------------------------- */

static bool refuses(Emit *e) {
    const Node *n = emit_node(e);
    const char *what = NULL;
    if (!attr_is(n, "k_quant_type", "NONE") || !attr_is(n, "v_quant_type", "NONE") ||
        node_in(n, K_SCALE) || node_in(n, V_SCALE))
        what = "a quantized cache";
    else if (attr_int(n, "sliding_window_cache") != 0)
        what = "sliding_window_cache";
    else if (node_in(n, QUERY_LENGTHS))
        what = "query_seqlens";
    else if (attr_int(n, "qk_output") == 1)
        what = "the output of scores before softmax";
    if (what)
        emit_fail(e, OX0302, "export the model without it", "%s is not supported",
                  what);
    return what != NULL;
}

static bool is_malformed(Emit *e) {
    const Node *n = emit_node(e);
    bool rotary = attr_has(n, "do_rotary") && attr_int(n, "do_rotary") != 0;
    if (!node_in(n, PAST_KEY) != !node_in(n, PAST_VALUE))
        emit_fail(e, OX0303, "", "past_key and past_value must be given together");
    else if (rotary && (!node_in(n, COS) || !node_in(n, SIN)))
        emit_fail(e, OX0303, "", "do_rotary needs cos_cache and sin_cache");
    else if (attr_int(n, "causal") == 0 && attr_int(n, "local_window_size") > 0)
        emit_fail(e, OX0303, "", "local_window_size needs causal");
    else
        return false;
    return true;
}

/* Keys or values behind those in the cache; named where they are an output. */
static const Expr *cached(Emit *e, int past, int out, const Expr *x, const Expr *start,
                          const Expr *size) {
    if (start)
        x = EX(emit_arena(e), "append_to_cache($0, $1, $2, $3)", emit_in(e, past), x,
               start, size);
    if (!emit_wants(e, out) && !emit_wants(e, 3))
        return x;
    x = emit_let(e, out == 1 ? "keys" : "values", x);
    emit_out(e, out, x);
    return x;
}

static void emit_group(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Group g;
    const Expr *x[3];
    if (refuses(e) || is_malformed(e))
        return;
    if (!read_group(emit_model(e), emit_node(e), &g)) {
        emit_fail(e, OX0403, "", "the rank of query is not known");
        return;
    }
    const Expr *size = size_expr(e, &g), *start = start_of(e, &g);
    read_operands(e, &g, x);
    if (attr_has(n, "do_rotary") && attr_int(n, "do_rotary") != 0)
        rotate(e, emit_let(e, "positions", positions_of(e, &g, start)), x);
    const Expr *q = emit_wants(e, 3) ? emit_let(e, "q", x[0]) : x[0];
    const Expr *k = cached(e, PAST_KEY, 1, x[1], start, size);
    const Expr *v = cached(e, PAST_VALUE, 2, x[2], start, size);
    const Expr *bias = bias_of(e, &g, start, size);
    const Expr *sink = sink_of(e);
    if (emit_wants(e, 3)) {
        bias = emit_let(e, "bias", bias);
        const Expr *scores = with_options(e, EX(a, "attention_scores($0, $1)", q, k));
        const Expr *w = sink ? EX(a, "sink_weights($0, $1, $2)", scores, bias, sink)
                             : EX(a, "attention_weights($0, $1)", scores, bias);
        emit_out(e, 3, with_precision(e, w));
    }
    const Expr *y =
        sink ? EX(a, "sink_attention($0, $1, $2, $3, $4)", q, k, v, bias, sink)
             : EX(a, "attention($0, $1, $2, $3)", q, k, v, bias);
    y = with_precision(e, with_options(e, y));
    emit_out(e, 0, EX(a, "merge_heads($0)", y));
}

/* ---- SparseAttention --------------------------------------------------------------- */

enum { BLOCK_ROWS = 5, BLOCK_COLUMNS, MOST, TOTALS, TABLES };

static void infer_sparse(Model *m, Node *n) {
    Group g;
    Shape past;
    DType dtype = in_dtype(n, 0);
    if (read_group(m, n, &g)) {
        Dim hidden = dim_mul(&m->dims, g.head, dim_int(g.heads));
        set_type(m, n, 0, dtype,
                 &(Shape){.rank = 3, .d = {g.batch, g.queries, hidden}});
    } else {
        set_rank(m, n, 0, dtype, 3);
    }
    for (int k = 1; k < 3; k++) {
        if (in_shape(n, k + 2, &past))
            set_type(m, n, k, dtype, &past);
        else
            set_rank(m, n, k, dtype, 4);
    }
    Dim layouts = in_rank(n, BLOCK_ROWS) == 2 ? in_dim(n, BLOCK_ROWS, 0) : dim_int(1);
    if (attr_int(n, "sparse_block_size") < 1 ||
        (dim_is_int(layouts) &&
         (layouts.c < 1 || attr_int(n, "num_heads") % layouts.c != 0)))
        node_error(m, n, OX0401, "", "blocks and layouts do not fit the heads");
}

/* What a query sees in the cache, up to itself, in the blocks of its head's layout. */
static void emit_sparse(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Group g;
    const Expr *x[3];
    bool rotary = attr_has(n, "do_rotary") && attr_int(n, "do_rotary") != 0;
    if (!read_group(emit_model(e), emit_node(e), &g) || in_rank(n, PAST_KEY) != 4) {
        emit_fail(e, OX0403, "", "the ranks of query and past_key are not known");
        return;
    }
    if (rotary && (!node_in(n, TABLES) || !node_in(n, TABLES + 1))) {
        emit_fail(e, OX0303, "", "do_rotary needs cos_cache and sin_cache");
        return;
    }
    const Expr *queries = emit_dim(e, g.queries);
    const Expr *start = emit_let(
        e, "start", EX(a, "jnp.maximum($0 - $1, 0)", emit_in(e, TOTALS), queries));
    const Expr *at = emit_let(
        e, "positions", EX(a, "$0[:, None] + jnp.arange($1)[None]", start, queries));
    read_operands(e, &g, x);
    if (rotary)
        rotate(e, at, x);
    for (int i = 1; i < 3; i++) {
        x[i] = EX(a, "write_to_cache($0, $1, $2)", emit_in(e, PAST_KEY + i - 1), x[i],
                  start);
        if (emit_wants(e, i)) {
            x[i] = emit_let(e, i == 1 ? "keys" : "values", x[i]);
            emit_out(e, i, x[i]);
        }
    }
    const Expr *bias =
        EX(a, "sparse_window($0, $1, $2, $3, $4, $5)", emit_in(e, BLOCK_ROWS),
           emit_in(e, BLOCK_COLUMNS), at, emit_dim(e, in_dim(n, PAST_KEY, 2)),
           ex_int(a, attr_int(n, "sparse_block_size")), ex_int(a, g.heads));
    const Expr *y = EX(a, "attention($0, $1, $2, $3)", x[0], x[1], x[2], bias);
    y = with_precision(e, with_options(e, y));
    emit_out(e, 0, EX(a, "merge_heads($0)", y));
}

/* ---- RotaryEmbedding --------------------------------------------------------------- */

static void infer_rotary(Model *m, Node *n) {
    infer_same(m, n);
    int rank = in_rank(n, 0);
    if (rank >= 0 && rank != 3 && rank != 4)
        node_error(m, n, OX0401, "", "input has rank %d, but 3 or 4 is needed", rank);
}

/* num_heads, or what follows from a table of whole heads. */
static Dim rotary_heads(Model *m, const Node *n) {
    int64_t given = attr_has(n, "num_heads") ? attr_int(n, "num_heads") : 0;
    if (given > 0 || in_rank(n, 2) != 2)
        return dim_int(given);
    Dim head = dim_mul(&m->dims, in_dim(n, 2, 1), dim_int(2));
    return dim_floordiv(&m->dims, in_dim(n, 0, 2), head);
}

static void emit_rotary(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, 0), ids = in_rank(n, 1);
    if (rank < 0 || ids < 0) {
        emit_fail(e, OX0403, "", "the ranks of input and position_ids are not known");
        return;
    }
    if (attr_has(n, "scale") && attr_float(n, "scale") != 1) {
        emit_fail(e, OX0302, "", "a scale is not supported");
        return;
    }
    Dim heads = rank == 3 ? rotary_heads(emit_model(e), n) : dim_int(0);
    if (rank == 3 && dim_is(heads, 0)) {
        emit_fail(e, OX0303, "", "num_heads is needed");
        return;
    }
    const Expr *x = with_heads(e, 0, heads, false), *at = emit_in_named(e, 1);
    if (ids < 2) {
        const Expr *size = emit_dim(e, in_dim(n, 0, rank == 3 ? 1 : 2));
        at = EX(a,
                ids == 1 ? "$0[None] + jnp.arange($1)[None]"
                         : "$0 + jnp.arange($1)[None]",
                at, size);
        at = emit_let(e, "positions", at);
    }
    const Expr *y = EX(a, "rotary_embedding($0, $1[$2], $3[$4])", x, emit_in(e, 2), at,
                       emit_in(e, 3), at);
    if (attr_has(n, "interleaved") && attr_int(n, "interleaved") != 0)
        y = call_with(e, y, "interleaved", ex_bool(a, true));
    emit_out(e, 0, rank == 3 ? EX(a, "merge_heads($0)", y) : y);
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "GroupQueryAttention", MICROSOFT,
     .in = "query key? value? past_key? past_value? seqlens_k total_sequence_length "
           "cos_cache? sin_cache? position_ids? attention_bias? head_sink? k_scale? "
           "v_scale? q_norm_weight? k_norm_weight? query_seqlens?",
     .out = "output present_key? present_value? output_qk?",
     .fixed = "total_sequence_length",
     .attrs = {INT("causal", 1), INT_OPT("do_rotary"), FLOAT_OPT("k_norm_epsilon"),
               STRING("k_quant_type", "NONE"), INT_OPT("kv_cache_bit_width"),
               INT_REQ("kv_num_heads"), INT("local_window_size", -1),
               INT_REQ("num_heads"), FLOAT_OPT("q_norm_epsilon"),
               FLOAT("qk_norm_epsilon", 1e-6), INT("qk_output", 0),
               INT_OPT("rotary_interleaved"), FLOAT_OPT("scale"),
               INT("sliding_window_cache", 0), INT("smooth_softmax", -1),
               FLOAT_OPT("softcap"), STRING("v_quant_type", "NONE")},
     .appends = "past_key present_key past_value present_value",
     .batch = "query key value past_key past_value seqlens_k position_ids attention_bias?",
     .infer = infer_group, .macs = macs_multi_head, .emit = emit_group},
    {.name = "SparseAttention", MICROSOFT,
     .in = "query key? value? past_key past_value block_row_indices block_col_indices "
           "total_sequence_length key_total_sequence_lengths cos_cache? sin_cache?",
     .out = "output present_key present_value",
     .attrs = {INT_OPT("do_rotary"), INT_REQ("kv_num_heads"), INT_REQ("num_heads"),
               INT_OPT("rotary_interleaved"), FLOAT_OPT("scale"),
               INT_REQ("sparse_block_size")},
     .infer = infer_sparse, .emit = emit_sparse},
    {.name = "RotaryEmbedding", MICROSOFT,
     .in = "input position_ids cos_cache sin_cache", .out = "output",
     .attrs = {INT_OPT("interleaved"), INT_OPT("is_packed_batching"),
               INT_OPT("num_heads"), INT_OPT("rotary_embedding_dim"),
               FLOAT_OPT("scale")},
     .batch = "input position_ids?", .infer = infer_rotary, .emit = emit_rotary},
};
/* clang-format on */

const OpFamily ops_ms_group_attention = FAMILY(ops);
