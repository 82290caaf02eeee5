/* Attention of com.microsoft over sequences without their padding: the tokens of a batch
 * stand one after the other, token_offset (B, S) says where each was; and the biases by
 * position that go with it.
 * Source: ContribOperators.md of onnxruntime; its CUDA kernel where the text is silent:
 * positions after a query have the bucket of their distance. */
#include "ops/core/padded.h"
#include "ops/onnx/attention.h"

static Dim dim_or_fresh(Model *m, Node *n, int i, int axis, int rank, int at) {
    return in_rank(n, i) == rank ? in_dim(n, i, axis) : fresh_dim(m, n, 0, at);
}

/* Reports OX0401 unless input i has this rank, as far as that is known. */
static void needs_rank(Model *m, Node *n, int i, int rank) {
    int given = in_rank(n, i);
    if (given >= 0 && given != rank)
        node_error(m, n, OX0401, "", "input %d has rank %d, but %d is needed", i, given,
                   rank);
}

/* ---- RemovePadding, RestorePadding ------------------------------------------------- */

static void infer_remove(Model *m, Node *n) {
    Dim batch = dim_or_fresh(m, n, 0, 0, 3, 0), most = dim_or_fresh(m, n, 0, 1, 3, 1);
    Shape rows = {.rank = 2, .d = {data_dim(m, n, 0, 0)}};
    rows.d[1] = dim_or_fresh(m, n, 0, 2, 3, 1);
    needs_rank(m, n, 0, 3);
    set_type(m, n, 0, in_dtype(n, 0), &rows);
    set_type(m, n, 1, DT_INT32, &(Shape){.rank = 2, .d = {batch, most}});
    Dim ends = dim_add(&m->dims, batch, dim_int(1));
    set_type(m, n, 2, DT_INT32, &(Shape){.rank = 1, .d = {ends}});
    set_type(m, n, 3, DT_INT32, &(Shape){.rank = 1, .d = {dim_int(1)}});
}

static void emit_remove(Emit *e) {
    emit_outs(e, EX(emit_arena(e), "remove_padding($0, $1$(, $2))", emit_in(e, 0),
                    emit_in(e, 1), emit_bound(e)));
}

static void infer_restore(Model *m, Node *n) {
    Shape s = {.rank = 3};
    s.d[0] = dim_or_fresh(m, n, 1, 0, 2, 0);
    s.d[1] = dim_or_fresh(m, n, 1, 1, 2, 1);
    s.d[2] = dim_or_fresh(m, n, 0, 1, 2, 2);
    needs_rank(m, n, 0, 2);
    needs_rank(m, n, 1, 2);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* ---- PackedAttention, PackedMultiHeadAttention ------------------------------------- */

enum { OFFSET = 3, ENDS, SCORE_BIAS };    /* of PackedAttention */
enum { KEY = 1, VALUE, BIAS, MULTI = 1 }; /* of the other; MULTI more to OFFSET */

static bool is_multi(const Node *n) {
    return op_input_index(n->op, STR("query")) >= 0;
}

/* The size of a row of the output; unknown: a fresh one. */
static Dim output_width(Model *m, Node *n) {
    Ints sizes;
    if (is_multi(n)) {
        if (node_in(n, VALUE))
            return dim_or_fresh(m, n, VALUE, 1, 2, 1);
        if (in_rank(n, 0) == 4)
            return dim_mul(&m->dims, in_dim(n, 0, 1), in_dim(n, 0, 3));
        return fresh_dim(m, n, 0, 1);
    }
    if (attr_ints(n, "qkv_hidden_sizes", &sizes) && sizes.n == 3)
        return dim_int(sizes.v[2]);
    if (in_rank(n, 1) != 2)
        return fresh_dim(m, n, 0, 1);
    return dim_floordiv(&m->dims, in_dim(n, 1, 1), dim_int(3));
}

static void infer_packed(Model *m, Node *n) {
    Shape s = {.rank = 2};
    int rank = in_rank(n, 0);
    if (rank >= 0 && rank != 2 && !(is_multi(n) && rank == 4)) {
        node_error(m, n, OX0401, "", "the tokens have rank %d", rank);
        return;
    }
    if (attr_int(n, "num_heads") < 1) {
        node_error(m, n, OX0303, "", "num_heads must be positive");
        return;
    }
    s.d[0] = rank > 0 ? in_dim(n, 0, 0) : fresh_dim(m, n, 0, 0);
    s.d[1] = output_width(m, n);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* Queries, keys and values, (B, H, T, D) each, as arguments. */
static const Expr *packed_operands(Emit *e, const Expr *offset) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Ints sizes;
    const Expr *parts = NULL;
    const Expr *x = EX(a, "restore_padding($0 @ $1 + $2, $3)", emit_in(e, 0),
                       emit_in(e, 1), emit_in_lifted(e, 2, 2), offset);
    if (attr_ints(n, "qkv_hidden_sizes", &sizes) && sizes.n == 3)
        parts = ex_ints(a, EX_TUPLE, sizes.v, 3);
    return EX(a, "*split_qkv($0, $1$(, $2))", x, ex_int(a, attr_int(n, "num_heads")),
              parts);
}

/* Input i and its part of the bias, with its heads apart. */
static const Expr *multi_operand(Emit *e, int i, const Expr *offset) {
    static const char *const parts[] = {"$0[:$1]", "$0[$1:2 * $1]", "$0[2 * $1:]"};
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *x = emit_in(e, i);
    if (node_in(n, BIAS)) {
        const Expr *bias =
            EX(a, parts[i], emit_in_named(e, BIAS), emit_dim(e, in_dim(n, 0, 1)));
        x = EX(a, "$0 + $1", x, emit_lift(e, bias, 1, 2));
    }
    return EX(a, "split_heads(restore_padding($0, $1), $2)", x, offset,
              ex_int(a, attr_int(n, "num_heads")));
}

static const Expr *multi_operands(Emit *e, const Expr *offset) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (in_rank(n, 0) == 4) {
        const Expr *x = emit_in(e, 0);
        if (node_in(n, BIAS))
            x = EX(a, "$0 + $1.reshape(1, 3, $2, -1).swapaxes(1, 2)", x,
                   emit_in(e, BIAS), ex_int(a, attr_int(n, "num_heads")));
        return EX(a, "*restore_padding($0, $1).transpose(3, 0, 2, 1, 4)", x, offset);
    }
    if (!node_in(n, KEY) || !node_in(n, VALUE)) {
        emit_fail(e, OX0303, "", "key and value must be given together");
        return NULL;
    }
    const Expr *x[] = {multi_operand(e, 0, offset), multi_operand(e, KEY, offset),
                       multi_operand(e, VALUE, offset)};
    return ex_seq(a, EX_TUPLE, x, 3);
}

static void emit_packed(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int more = is_multi(n) ? MULTI : 0;
    if (in_rank(n, 0) < 0 || in_rank(n, OFFSET + more) != 2) {
        emit_fail(e, OX0403, "", "the ranks of the tokens and offsets are not known");
        return;
    }
    const Expr *offset = emit_in_named(e, OFFSET + more);
    const Expr *batch = emit_dim(e, in_dim(n, OFFSET + more, 0));
    const Expr *length = emit_dim(e, in_dim(n, OFFSET + more, 1));
    const Expr *operands =
        more ? multi_operands(e, offset) : packed_operands(e, offset);
    if (!operands)
        return;
    const Expr *bias = EX(a, "length_bias(jnp.diff($0), $1, $2)",
                          emit_in(e, ENDS + more), batch, length);
    if (node_in(n, SCORE_BIAS + more))
        bias = added(e, bias, emit_in(e, SCORE_BIAS + more));
    const Expr *y;
    if (operands->kind == EX_TUPLE)
        y = EX(a, "attention($0, $1, $2, $3)", operands->kids[0], operands->kids[1],
               operands->kids[2], bias);
    else
        y = EX(a, "attention($0, $1)", operands, bias);
    double scale = attr_has(n, "scale") ? attr_float(n, "scale") : 0;
    y = call_with(e, y, "scale", scale == 0 ? NULL : emit_float(e, scale, DT_FLOAT));
    emit_out(e, 0,
             EX(a, "take_tokens(merge_heads($0), $1, $2)", y, offset,
                emit_dim(e, in_dim(n, 0, 0))));
}

/* ---- biases by position ------------------------------------------------------------ */

static void infer_relative(Model *m, Node *n) {
    Shape length, other;
    Dim size, heads = dim_or_fresh(m, n, 0, 1, 2, 1);
    if (get_dims(n, "query_length", &length) && length.rank == 1)
        size = length.d[0];
    else
        size = fresh_dim(m, n, 0, 2);
    set_type(m, n, 0, in_dtype(n, 0),
             &(Shape){.rank = 4, .d = {dim_int(1), heads, size, size}});
    if (get_dims(n, "query_length", &length) && get_dims(n, "key_length", &other) &&
        length.rank == 1 && other.rank == 1 &&
        dim_known_eq(&m->dims, length.d[0], other.d[0]) == 0)
        node_error(m, n, OX0401, "", "query_length and key_length differ");
    if (attr_int(n, "max_distance") < 1)
        node_error(m, n, OX0303, "", "max_distance must be positive");
}

static void emit_relative(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *length = emit_ints(e, "query_length");
    if (in_rank(n, 1) != 0)
        length = length->kind == EX_TUPLE && length->n == 1 ? length->kids[0]
                                                            : EX(a, "$0[0]", length);
    const Expr *call = EX(a, "relative_position_bias($0, $1, $2)", emit_in(e, 0),
                          length, ex_int(a, attr_int(n, "max_distance")));
    bool both = attr_int(n, "is_bidirectional") != 0;
    emit_out(e, 0, call_with(e, call, "bidirectional", ex_bool(a, both)));
}

enum { REL_POS = 2, GATE_WEIGHT, GATE_BIAS, SCALE, TOKENS };

static void infer_gated(Model *m, Node *n) {
    Shape s = {.rank = 4};
    bool packed = node_in(n, TOKENS) != NULL;
    int query = packed ? TOKENS : 0, rank = packed ? 2 : 3;
    s.d[0] = dim_or_fresh(m, n, query, 0, rank, 0);
    s.d[1] = dim_int(attr_int(n, "num_heads"));
    s.d[2] = s.d[3] = dim_or_fresh(m, n, query, 1, rank, 2);
    needs_rank(m, n, 0, packed ? 2 : 3);
    if (attr_int(n, "num_heads") < 1)
        node_error(m, n, OX0303, "", "num_heads must be positive");
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_gated(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *q = emit_in(e, 0);
    if (node_in(n, TOKENS))
        q = EX(a, "restore_padding($0, $1)", q, emit_in(e, TOKENS));
    q = EX(a, "split_heads($0 + $1, $2)", q, emit_in_lifted(e, 1, 3),
           ex_int(a, attr_int(n, "num_heads")));
    emit_out(e, 0,
             EX(a, "gated_position_bias($0, $1, $2, $3, $4)", q, emit_in(e, REL_POS),
                emit_in(e, GATE_WEIGHT), emit_in(e, GATE_BIAS), emit_in(e, SCALE)));
}

/* ---- LongformerAttention ----------------------------------------------------------- */

static void infer_longformer(Model *m, Node *n) {
    infer_same(m, n);
    needs_rank(m, n, 0, 3);
    if (attr_int(n, "num_heads") < 1 || attr_int(n, "window") < 1)
        node_error(m, n, OX0303, "", "num_heads and window must be positive");
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "LongformerAttention", MICROSOFT,
     .in = "input weight bias mask global_weight global_bias global", .out = "output",
     .attrs = {INT_REQ("num_heads"), INT_REQ("window")}, .infer = infer_longformer,
     .jax = "longformer_attention($input, $weight, $bias, $mask, $global_weight, "
            "$global_bias, $global, $num_heads, $window)"},
    {.name = "RemovePadding", MICROSOFT, .in = "input sequence_token_count",
     .out = "output token_offset cumulated_seq_len max_seq_len",
     .padding = "rows of padding", .count = "KeptCount",
     .infer = infer_remove, .emit = emit_remove},
    {.name = "KeptCount", .domain = OP_INTERNAL, .since = 1,
     .in = "sequence_token_count", .out = "count", .infer = infer_entry_count,
     .jax = "jnp.sum($sequence_token_count)"},
    {.name = "RestorePadding", MICROSOFT, .in = "input token_offset", .out = "output",
     .infer = infer_restore, .jax = "restore_padding($input, $token_offset)"},
    {.name = "PackedAttention", MICROSOFT,
     .in = "input weights bias token_offset cumulative_sequence_length attention_bias?",
     .out = "output",
     .attrs = {INT_REQ("num_heads"), INTS_OPT("qkv_hidden_sizes"), FLOAT_OPT("scale")},
     .infer = infer_packed, .emit = emit_packed},
    {.name = "PackedMultiHeadAttention", MICROSOFT,
     .in = "query key? value? bias? token_offset cumulative_sequence_length "
           "attention_bias?",
     .out = "output",
     .attrs = {FLOAT_OPT("mask_filter_value"), INT_REQ("num_heads"),
               FLOAT_OPT("scale")},
     .infer = infer_packed, .emit = emit_packed},
    {.name = "RelativePositionBias", MICROSOFT,
     .in = "bias_table query_length key_length", .out = "output",
     .fixed = "query_length",
     .attrs = {INT("is_bidirectional", 0), INT_REQ("max_distance")},
     .infer = infer_relative, .emit = emit_relative},
    {.name = "GatedRelativePositionBias", MICROSOFT,
     .in = "query_layer query_bias rel_pos weight bias eco_a token_offset?",
     .out = "output", .attrs = {INT_REQ("num_heads")},
     .infer = infer_gated, .emit = emit_gated},
};
/* clang-format on */

const OpFamily ops_ms_packed = FAMILY(ops);
