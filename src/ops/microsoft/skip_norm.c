/* Normalizations of com.microsoft: with a residual sum, with an embedding in front, and
 * over groups of channels that may come last.
 * Source: ContribOperators.md of onnxruntime; its CPU kernels where the text is silent. */
#include "ops/core/layout.h"
#include "ops/onnx/norm.h"
#include "ops/onnx/quant.h"

static const Expr *plus(Emit *e, const Expr *x, const Expr *y) {
    return y ? EX(emit_arena(e), "$0 + $1", x, y) : x;
}

/* ---- SkipLayerNormalization, SkipSimplifiedLayerNormalization ---------------------- */

static bool is_simplified(const Node *n) {
    return op_input_index(n->op, STR("beta")) < 0;
}

static void infer_skip_norm(Model *m, Node *n) {
    Shape s, stats;
    infer_same(m, n);
    in_shape(n, 0, &s);
    stats = s;
    if (s.rank == 0)
        node_error(m, n, OX0401, "", "input has rank 0");
    for (int i = 1; s.rank > 0 && i < (int)n->n_in; i++)
        broadcast_onto(m, n, i, &s);
    if (s.rank > 0)
        stats.d[s.rank - 1] = dim_int(1);
    set_type(m, n, 1, DT_FLOAT, &stats);
    set_type(m, n, 2, DT_FLOAT, &stats);
    set_type(m, n, 3, in_dtype(n, 0), &s);
}

static void emit_skip_norm(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    bool simple = is_simplified(n), stats = emit_wants(e, 1) || emit_wants(e, 2);
    const Expr *skip = emit_in(e, 1), *sum = plus(e, emit_in(e, 0), skip);
    sum = plus(e, sum, emit_in(e, simple ? 3 : 4));
    if (emit_wants(e, 3) || stats)
        sum = emit_let(e, "residual", sum);
    const Expr *y =
        simple ? EX(a, "rms_norm($0, $1)", sum, emit_in(e, 2))
               : EX(a, "layer_norm($0, $1$(, $2))", sum, emit_in(e, 2), emit_in(e, 3));
    if (emit_wants(e, 3))
        emit_out(e, 3, sum);
    if (simple && emit_wants(e, 1)) {
        emit_fail(e, OX0302, "", "the output mean is not supported");
        return;
    }
    if (simple)
        emit_rms_stats(e, sum, NULL, DT_FLOAT, 2);
    else if (stats)
        emit_layer_norm_stats(e, sum, NULL, DT_FLOAT, 1);
    emit_out(e, 0, with_epsilon(e, y));
}

/* ---- EmbedLayerNormalization, QEmbedLayerNormalization ----------------------------- */

static void infer_embed(Model *m, Node *n) {
    Shape ids, words;
    bool known = in_shape(n, 0, &ids);
    known = in_shape(n, 2, &words) && known;
    DType dtype = dtype_is_float(in_dtype(n, 2)) ? in_dtype(n, 2) : DT_FLOAT;
    if ((ids.rank >= 0 && ids.rank != 2) || (words.rank >= 0 && words.rank != 2))
        node_error(m, n, OX0401, "", "input_ids and word_embedding must have rank 2");
    if (!known || ids.rank != 2 || words.rank != 2) {
        set_rank(m, n, 0, dtype, 3);
        set_rank(m, n, 1, DT_INT32, 1);
        set_rank(m, n, 2, dtype, 3);
        return;
    }
    Shape s = {.rank = 3, .d = {ids.d[0], ids.d[1], words.d[1]}};
    set_type(m, n, 0, dtype, &s);
    set_type(m, n, 1, DT_INT32, &(Shape){.rank = 1, .d = {ids.d[0]}});
    set_type(m, n, 2, dtype, &s);
}

enum { SCALES = 6, ZEROS = 11 }; /* how far behind a table */

/* x, made of table i, in float32: scales and zero points follow the tables. */
static const Expr *as_floats(Emit *e, const Expr *x, int i) {
    if (op_input_index(emit_node(e)->op, STR("word_embedding_scale")) < 0)
        return x;
    return EX(emit_arena(e), "dequantize($0, $1$(, $2))", x,
              scale_in(e, i + SCALES, DT_FLOAT), zero_point(e, i + ZEROS));
}

static const Expr *rows(Emit *e, int table, int ids) {
    const Expr *x = EX(emit_arena(e), "$0[$1]", emit_in(e, table), emit_in(e, ids));
    return as_floats(e, x, table);
}

/* Rows of the tables, added up; positions are 0, 1, ... where none are given. */
static const Expr *embeddings(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    bool ids = op_input_index(n->op, STR("position_ids")) >= 0 && node_in(n, 8);
    const Expr *first =
        EX(a, "$0[None, :$1]", emit_in(e, 3), emit_dim(e, in_dim(n, 0, 1)));
    const Expr *sum =
        EX(a, "$0 + $1", rows(e, 2, 0), ids ? rows(e, 3, 8) : as_floats(e, first, 3));
    return plus(e, sum, node_in(n, 1) && node_in(n, 4) ? rows(e, 4, 1) : NULL);
}

static void emit_embed(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    if (in_rank(n, 0) < 0) {
        emit_fail(e, OX0403, "", "the rank of input_ids is not known");
        return;
    }
    const Expr *sum = embeddings(e);
    if (emit_wants(e, 2)) {
        sum = emit_let(e, "embedding", sum);
        emit_out(e, 2, sum);
    }
    const Expr *y =
        EX(a, "layer_norm($0, $1, $2)", sum, as_floats(e, emit_in_lifted(e, 5, 3), 5),
           as_floats(e, emit_in_lifted(e, 6, 3), 6));
    emit_out(e, 0, with_epsilon(e, y));
    if (!emit_wants(e, 1))
        return;
    const Expr *lengths =
        node_in(n, 7)
            ? EX(a, "jnp.sum($0 == 1, axis=1, dtype=jnp.int32)", emit_in(e, 7))
            : EX(a, "jnp.zeros($0, jnp.int32)", emit_dim(e, in_dim(n, 0, 0)));
    emit_out(e, 1, lengths);
}

/* ---- GroupNorm, SkipGroupNorm ------------------------------------------------------ */

static bool channels_last(const Node *n) {
    return attr_int(n, "channels_last") != 0;
}

static void infer_group_norm(Model *m, Node *n) {
    Shape s, t;
    infer_same(m, n);
    in_shape(n, 0, &s);
    set_type(m, n, 1, in_dtype(n, 0), &s);
    if (s.rank >= 0 && s.rank < 3) {
        node_error(m, n, OX0401, "", "X has rank %d", s.rank);
        return;
    }
    int64_t groups = attr_int(n, "groups");
    Dim c = s.rank < 0 ? dim_int(groups) : s.d[channels_last(n) ? s.rank - 1 : 1];
    if (groups < 1 || (dim_is_int(c) && c.c % groups != 0))
        node_error(m, n, OX0401, "", "groups %lld do not divide the channels",
                   (long long)groups);
    for (int i = 1; s.rank >= 0 && i <= 2; i++)
        if (in_shape(n, i, &t) &&
            (t.rank != 1 || dim_known_eq(&m->dims, t.d[0], c) == 0))
            node_error(m, n, OX0401, "", "gamma or beta does not fit the channels");
}

/* Input i, of the channels (C,) or of instances (N, C), with ones for other axes. */
static const Expr *per_channel(Emit *e, int i) {
    const Node *n = emit_node(e);
    const Expr *items[OX_MAX_RANK], *x = emit_in(e, i);
    int rank = in_rank(n, 0), given = in_rank(n, i);
    if (!x || given == rank || given < 1)
        return x;
    int channels = channels_last(n) ? rank - 1 : 1;
    for (int k = 0; k < rank; k++)
        items[k] = k == channels || (k == 0 && given == 2) ? NULL : ex_none();
    return ex_subscript(emit_arena(e), x, items, rank);
}

static const Expr *added(Emit *e, const Expr *x) {
    const Node *n = emit_node(e);
    if (op_input_index(n->op, STR("skip")) < 0)
        return x;
    const Expr *bias = per_channel(e, 4), *skip = per_channel(e, 3);
    const Expr *sum = plus(e, plus(e, x, skip), bias);
    if (!emit_wants(e, 1))
        return sum;
    sum = emit_let(e, "residual", sum);
    emit_out(e, 1, sum);
    return sum;
}

static void emit_group_norm(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    bool last = channels_last(n);
    int64_t activation = attr_int(n, "activation");
    if (in_rank(n, 0) < 3 || (activation != 0 && activation != 1)) {
        emit_fail(e, activation >> 1 ? OX0303 : OX0403, "",
                  "the rank of X is not known, or activation is neither 0 nor 1");
        return;
    }
    const Expr *x = added(e, emit_in(e, 0));
    if (last)
        x = EX(a, "jnp.moveaxis($0, -1, 1)", x);
    const Expr *y = EX(a, "group_norm($0, $1, $2, $3)", x, emit_ints(e, "groups"),
                       emit_in(e, 1), emit_in(e, 2));
    y = with_epsilon(e, y);
    if (activation)
        y = EX(a, "jax.nn.silu($0)", y);
    if (last)
        y = EX(a, "jnp.moveaxis($0, 1, -1)", y);
    emit_out(e, 0, y);
}

/* clang-format off */
#define EPSILON(x) FLOAT("epsilon", x)
#define GROUP_ATTRS                                                                    \
    INT_REQ("activation"), INT("channels_last", 1), EPSILON(1e-5), INT_REQ("groups")

static const OpDef ops[] = {
    {.name = "SkipLayerNormalization", MICROSOFT, .in = "input skip gamma beta? bias?",
     .out = "output mean? inv_std_var? input_skip_bias_sum?",
     .attrs = {EPSILON(1e-12)}, .lifted = "skip gamma beta bias",
     .batch = "input skip?",
     .infer = infer_skip_norm, .emit = emit_skip_norm},
    {.name = "SkipSimplifiedLayerNormalization", MICROSOFT,
     .in = "input skip gamma bias?",
     .out = "output mean? inv_std_var? input_skip_bias_sum?",
     .attrs = {EPSILON(1e-12)}, .lifted = "skip gamma bias", .batch = "input skip?",
     .infer = infer_skip_norm, .emit = emit_skip_norm},
    {.name = "EmbedLayerNormalization", MICROSOFT,
     .in = "input_ids segment_ids? word_embedding position_embedding "
           "segment_embedding? gamma beta mask? position_ids?",
     .out = "output mask_index? embedding_sum?",
     .attrs = {EPSILON(1e-12), INT_OPT("mask_index_type")},
     .batch = "input_ids segment_ids mask position_ids?",
     .infer = infer_embed, .emit = emit_embed},
    {.name = "QEmbedLayerNormalization", MICROSOFT,
     .in = "input_ids segment_ids? word_embedding_quant position_embedding_quant "
           "segment_embedding? gamma_quant beta_quant mask? word_embedding_scale "
           "position_embedding_scale segment_embedding_scale? gamma_scale beta_scale "
           "word_embedding_zero_point position_embedding_zero_point "
           "segment_embedding_zero_point? gamma_zero_point beta_zero_point",
     .out = "layernorm_out mask_index_out", .attrs = {EPSILON(1e-12)},
     .infer = infer_embed, .emit = emit_embed},
    {.name = "GroupNorm", MICROSOFT, .in = "X gamma beta", .out = "Y",
     .attrs = {GROUP_ATTRS}, .batch = "X",
     .infer = infer_group_norm, .emit = emit_group_norm},
    {.name = "SkipGroupNorm", MICROSOFT, .in = "X gamma beta skip bias?",
     .out = "Y S?", .attrs = {GROUP_ATTRS},
     .batch = "X skip?", .infer = infer_group_norm, .emit = emit_group_norm},
};
/* clang-format on */

const OpFamily ops_ms_norm = FAMILY(ops);
