/* Attention, QAttention, DecoderMaskedSelfAttention and MultiHeadAttention of
 * com.microsoft.  Masks are integers that are positive where a key is seen; elsewhere
 * mask_filter_value is added to the scores.
 * Source: ContribOperators.md of onnxruntime; its CPU kernels where the text is silent:
 * what comes after a query is hidden by -inf. */
#include "ops/core/macs.h"
#include "ops/onnx/attention.h"
#include "ops/onnx/quant.h"

/* Sizes of the scores (batch, heads, queries, keys). */
typedef struct Scores {
    Dim batch, queries, keys, past; /* keys include the past */
    int mask, bias;                 /* inputs; -1: the operator has none */
} Scores;

/* ---- bias -------------------------------------------------------------------------- */

static const Expr *fill_value(Emit *e) {
    const Node *n = emit_node(e);
    bool given = attr_has(n, "mask_filter_value");
    return emit_float(e, given ? attr_float(n, "mask_filter_value") : -10000.0,
                      DT_FLOAT);
}

/* Ends of the keys (B,), ends and starts (2 * B,), or ends and more that says nothing
 * new about keys (3 * B + 2,). */
static const Expr *lengths_bias(Emit *e, const Scores *s) {
    Arena *a = emit_arena(e);
    Dims *ds = &emit_model(e)->dims;
    const Expr *limits = emit_in(e, s->mask), *batch = emit_dim(e, s->batch);
    Dim most = dim_add(ds, dim_mul(ds, s->batch, dim_int(3)), dim_int(2));
    if (dim_known_eq(ds, in_dim(emit_node(e), s->mask, 0), most) == 1)
        limits = EX(a, "$0[:$1]", limits, batch);
    const Expr *call =
        EX(a, "length_bias($0, $1, $2)", limits, batch, emit_dim(e, s->keys));
    return call_with(e, call, "fill", fill_value(e));
}

/* The mask as a bias that broadcasts to the scores; NULL when it hides nothing. */
static const Expr *mask_bias(Emit *e, const Scores *s) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, s->mask);
    if (rank == 1)
        return lengths_bias(e, s);
    if (rank == 2 && dim_is(in_dim(n, s->mask, 1), 1) && !dim_is(s->keys, 1))
        return NULL; /* adds the same to every score */
    const Expr *mask = emit_in(e, s->mask);
    if (rank == 2)
        mask = EX(a, "$0[:, None, None]", mask);
    else if (rank == 3)
        mask = EX(a, "$0[:, None]", mask);
    else if (rank == 4) {
        Dim end = dim_add(&emit_model(e)->dims, s->past, s->queries);
        mask = EX(a, "$0[:, :, $($1):$2, :$3]", mask,
                  dim_is(s->past, 0) ? NULL : emit_dim(e, s->past), emit_dim(e, end),
                  emit_dim(e, s->keys));
    } else {
        emit_fail(e, OX0403, "", "the rank of the mask is not known");
    }
    return EX(a, "jnp.where($0 > 0, 0.0, $1)", mask, fill_value(e));
}

/* Everything that is added to the scores; NULL when that is nothing. */
static const Expr *bias_of(Emit *e, const Scores *s) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *bias = node_in(n, s->mask) ? mask_bias(e, s) : NULL;
    if (s->bias >= 0 && node_in(n, s->bias))
        bias = added(e, bias, emit_in(e, s->bias));
    if (!op_attr(n->op, STR("unidirectional")) || attr_int(n, "unidirectional") == 0)
        return bias;
    const Expr *window = EX(a, "attention_window($0, $1)", emit_dim(e, s->queries),
                            emit_dim(e, s->keys));
    if (!dim_is(s->past, 0))
        window = call_with(e, window, "offset", emit_dim(e, s->past));
    return added(e, bias, window);
}

/* scale=...; 0 means the default, too. */
static const Expr *with_scale(Emit *e, const Expr *call) {
    const Node *n = emit_node(e);
    double scale = attr_has(n, "scale") ? attr_float(n, "scale") : 0;
    if (scale < 0)
        emit_fail(e, OX0302, "", "a negative scale is not supported");
    return call_with(e, call, "scale",
                     scale == 0 ? NULL : emit_float(e, scale, DT_FLOAT));
}

/* ---- Attention, QAttention --------------------------------------------------------- */

/* Where the two operators have their inputs. */
typedef struct Places {
    int mask, past, bias, share; /* -1: none */
} Places;

static Places places_of(const Node *n) {
    bool quantized = op_input_index(n->op, STR("input_scale")) >= 0;
    return quantized ? (Places){5, 8, -1, -1} : (Places){3, 4, 5, 6};
}

/* Sizes of Q, K and V in the last axis of the weights; false when they are not known,
 * or after an error. */
static bool hidden_sizes(Model *m, const Node *n, Dim size[3]) {
    Ints given = {0};
    if (in_rank(n, 1) != 2)
        return false;
    Dim all = in_dim(n, 1, 1);
    int64_t heads = attr_int(n, "num_heads");
    for (int i = 0; i < 3; i++)
        size[i] = dim_floordiv(&m->dims, all, dim_int(3));
    if (op_attr(n->op, STR("qkv_hidden_sizes")))
        attr_ints(n, "qkv_hidden_sizes", &given);
    bool ok = heads > 0 && (given.n == 0 || given.n == 3);
    for (size_t i = 0; ok && i < given.n; i++)
        size[i] = dim_int(given.v[i]);
    for (int i = 0; ok && i < 3; i++)
        ok = !dim_is_int(size[i]) || (size[i].c > 0 && size[i].c % heads == 0);
    Dim sum = dim_add(&m->dims, dim_add(&m->dims, size[0], size[1]), size[2]);
    if (ok && dim_known_eq(&m->dims, sum, all) != 0 &&
        dim_known_eq(&m->dims, size[0], size[1]) != 0)
        return true;
    node_error(m, n, OX0401, "", "num_heads and sizes do not fit the weights");
    return false;
}

static bool read_scores(Model *m, const Node *n, Scores *s) {
    Places at = places_of(n);
    *s = (Scores){.mask = at.mask, .bias = at.bias, .past = dim_int(0)};
    if (in_rank(n, 0) != 3 || (node_in(n, at.past) && in_rank(n, at.past) != 5))
        return false;
    s->batch = in_dim(n, 0, 0);
    s->queries = in_dim(n, 0, 1);
    if (node_in(n, at.past))
        s->past = in_dim(n, at.past, 3);
    s->keys = dim_add(&m->dims, s->past, s->queries);
    return true;
}

static void infer_attention(Model *m, Node *n) {
    Scores s;
    Dim size[3], heads = dim_int(attr_int(n, "num_heads"));
    DType dtype = places_of(n).mask == 3 ? in_dtype(n, 0) : in_dtype(n, 3);
    if (!hidden_sizes(m, n, size) || !read_scores(m, n, &s)) {
        set_rank(m, n, 0, dtype, 3);
        set_rank(m, n, 1, dtype, 5);
        return;
    }
    Dim head = dim_floordiv(&m->dims, size[0], heads);
    set_type(m, n, 0, dtype, &(Shape){.rank = 3, .d = {s.batch, s.queries, size[2]}});
    Shape cache = {.rank = 5, .d = {dim_int(2), s.batch, heads, s.keys, head}};
    set_type(m, n, 1, dtype, &cache);
}

/* DecoderMaskedSelfAttention: one new token for each sequence.  It is told how many are
 * past in any case. */
static bool is_single(const Node *n) {
    return op_input_index(n->op, STR("beam_width")) >= 0;
}

static bool refuses(Emit *e, Places at) {
    const Node *n = emit_node(e);
    bool rotary = attr_has(n, "do_rotary") && attr_int(n, "do_rotary") != 0;
    bool shared = attr_has(n, "past_present_share_buffer") &&
                  attr_int(n, "past_present_share_buffer") != 0;
    if (rotary)
        emit_fail(e, OX0302, "use RotaryEmbedding and MultiHeadAttention",
                  "do_rotary is not supported");
    else if (shared || (at.share >= 0 && node_in(n, at.share) && !is_single(n)))
        emit_fail(e, OX0302, "use separate tensors for past and present",
                  "a buffer that past and present share is not supported");
    else if (is_single(n) && node_in(n, 8))
        emit_fail(e, OX0302, "", "cache_indirection is not supported");
    else
        return false;
    return true;
}

/* x @ weights + bias */
static const Expr *projection(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *bias = emit_in_lifted(e, 2, 3);
    if (places_of(emit_node(e)).mask == 3)
        return EX(a, "$0 @ $1$( + $2)", emit_in(e, 0), emit_in(e, 1), bias);
    const Expr *x = as_integers_of(e, emit_in(e, 0), 3, 6, 0);
    const Expr *w = as_integers_of(e, emit_in(e, 1), 2, 7, 0);
    const Expr *scale = EX(a, "$0 * $1", before_axes(e, emit_in(e, 3), 3, 3, 0),
                           before_axes(e, emit_in(e, 4), 4, 3, 0));
    return EX(a, "(($0) @ ($1)).astype(jnp.float32) * ($2) + $3", x, w, scale, bias);
}

static void emit_attention(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    Places at = places_of(n);
    Scores s;
    Dim size[3];
    if (refuses(e, at))
        return;
    if (!read_scores(emit_model(e), n, &s) || !hidden_sizes(emit_model(e), n, size)) {
        emit_fail(e, OX0403, "", "the ranks of the inputs are not known");
        return;
    }
    const Expr *sizes = dim_eq(size[0], size[2])
                            ? NULL
                            : EX(a, "($0, $1, $2)", emit_dim(e, size[0]),
                                 emit_dim(e, size[1]), emit_dim(e, size[2]));
    const Expr *qkv = EX(a, "split_qkv($0, $1$(, $2))", projection(e),
                         emit_ints(e, "num_heads"), sizes);
    const Expr *present = NULL;
    if (emit_wants(e, 1) || node_in(n, at.past)) {
        qkv = emit_let(e, "qkv", qkv);
        present = EX(a, "jnp.stack($0[1:])", qkv);
        if (node_in(n, at.past))
            present = EX(a, "jnp.concatenate([$0, $1], axis=3)", emit_in(e, at.past),
                         present);
        present = emit_let(e, "present", present);
        emit_out(e, 1, present);
    }
    const Expr *bias = bias_of(e, &s);
    const Expr *y = present ? EX(a, "attention($0[0], *$1$(, $2))", qkv, present, bias)
                            : EX(a, "attention(*$0$(, $1))", qkv, bias);
    emit_out(e, 0, EX(a, "merge_heads($0)", with_scale(e, y)));
}

/* ---- MultiHeadAttention ------------------------------------------------------------ */

enum { QUERY, KEY, VALUE, BIAS, MASK, SCORE_BIAS, PAST_KEY, PAST_VALUE };

typedef struct Multi {
    Scores s;
    Dim heads, head, value_head; /* head: size of one of Q and K */
} Multi;

/* false when a rank is not known, or after an error. */
static bool read_multi(Model *m, Node *n, Multi *a) {
    Dims *ds = &m->dims;
    int64_t heads = attr_int(n, "num_heads");
    int q = in_rank(n, QUERY), k = in_rank(n, KEY), v = in_rank(n, VALUE);
    bool has_k = node_in(n, KEY) != NULL, has_v = node_in(n, VALUE) != NULL;
    if (q < 0 || (has_k && k < 0) || (has_v && v < 0))
        return false;
    bool ok = heads > 0 && (has_k ? q == 3 && (k == 5 ? !has_v : has_v && v == k)
                                  : q == 5 && !has_v);
    ok = ok && (!has_k || (k >= 3 && k <= 5));
    if (!ok) {
        node_error(m, n, OX0401, "", "query, key and value have ranks %d, %d, %d", q, k,
                   v);
        return false;
    }
    *a = (Multi){.heads = dim_int(heads)};
    a->s = (Scores){.batch = in_dim(n, QUERY, 0),
                    .queries = in_dim(n, QUERY, 1),
                    .past = dim_int(0),
                    .mask = MASK,
                    .bias = SCORE_BIAS};
    if (node_in(n, PAST_KEY) && in_rank(n, PAST_KEY) == 4)
        a->s.past = in_dim(n, PAST_KEY, 2);
    Dim own = has_k ? in_dim(n, KEY, k == 4 ? 2 : 1) : a->s.queries;
    a->s.keys = dim_add(ds, a->s.past, own);
    a->head =
        q == 5 ? in_dim(n, QUERY, 4) : dim_floordiv(ds, in_dim(n, QUERY, 2), a->heads);
    a->value_head = a->head;
    if (has_v)
        a->value_head = v == 4 ? in_dim(n, VALUE, 3)
                               : dim_floordiv(ds, in_dim(n, VALUE, 2), a->heads);
    Dim hidden = in_dim(n, QUERY, q == 5 ? 4 : 2);
    if (q == 3 && dim_is_int(hidden) && hidden.c % heads != 0) {
        node_error(m, n, OX0401, "", "%lld heads do not divide the hidden size",
                   (long long)heads);
        return false;
    }
    return true;
}

static void infer_multi(Model *m, Node *n) {
    Multi a;
    DType dtype = in_dtype(n, 0);
    if (!read_multi(m, n, &a)) {
        set_rank(m, n, 0, dtype, 3);
        for (int k = 1; k < 4; k++)
            set_rank(m, n, k, dtype, 4);
        return;
    }
    Dim hidden = dim_mul(&m->dims, a.heads, a.value_head);
    set_type(m, n, 0, dtype,
             &(Shape){.rank = 3, .d = {a.s.batch, a.s.queries, hidden}});
    set_four(m, n, 1, dtype, a.s.batch, a.heads, a.s.keys, a.head);
    set_four(m, n, 2, dtype, a.s.batch, a.heads, a.s.keys, a.value_head);
    set_four(m, n, 3, dtype, a.s.batch, a.heads, a.s.queries, a.s.keys);
}

/* Input i (B, S, H * D) plus bias[from:to], with its heads apart. */
static const Expr *projected(Emit *e, const Multi *m, int i, Dim from, Dim to) {
    Arena *a = emit_arena(e);
    const Expr *x = emit_in(e, i);
    if (in_rank(emit_node(e), i) == 4)
        return x;
    if (node_in(emit_node(e), BIAS)) {
        const Expr *bias = EX(a, "$0[$($1):$($2)]", emit_in_named(e, BIAS),
                              dim_is(from, 0) ? NULL : emit_dim(e, from),
                              i == VALUE ? NULL : emit_dim(e, to));
        x = EX(a, "$0 + $1", x, emit_lift(e, bias, 1, 3));
    }
    return EX(a, "split_heads($0, $1)", x, emit_dim(e, m->heads));
}

/* Input i (B, S, H, parts, D) as (parts, B, H, S, D), plus the bias. */
static const Expr *unpacked(Emit *e, const Multi *m, int i) {
    Arena *a = emit_arena(e);
    const Expr *x = emit_in(e, i);
    if (node_in(emit_node(e), BIAS) && i == QUERY)
        x = EX(a, "$0 + $1.reshape(1, 1, 3, $2, $3).swapaxes(2, 3)", x,
               emit_in(e, BIAS), emit_dim(e, m->heads), emit_dim(e, m->head));
    return emit_let(e, i == QUERY ? "qkv" : "kv",
                    EX(a, "$0.transpose(3, 0, 2, 1, 4)", x));
}

static void read_operands(Emit *e, const Multi *m, const Expr *x[3]) {
    Arena *a = emit_arena(e);
    Dims *ds = &emit_model(e)->dims;
    Dim hidden = dim_mul(ds, m->heads, m->head), two = dim_mul(ds, hidden, dim_int(2));
    bool packed = in_rank(emit_node(e), QUERY) == 5;
    x[0] = packed ? NULL : projected(e, m, QUERY, dim_int(0), hidden);
    if (!packed && in_rank(emit_node(e), KEY) != 5) {
        x[1] = projected(e, m, KEY, hidden, two);
        x[2] = projected(e, m, VALUE, two, two);
        return;
    }
    const Expr *all = unpacked(e, m, packed ? QUERY : KEY);
    for (int i = !packed; i < 3; i++)
        x[i] = EX(a, "$0[$1]", all, ex_int(a, i - !packed));
}

/* Keys or values after those of the past; named where they are an output. */
static const Expr *with_past(Emit *e, int past, int out, const Expr *x) {
    if (node_in(emit_node(e), past))
        x = EX(emit_arena(e), "jnp.concatenate([$0, $1], axis=2)", emit_in(e, past), x);
    if (!emit_wants(e, out) && !emit_wants(e, 3))
        return x;
    x = emit_let(e, out == 1 ? "keys" : "values", x);
    emit_out(e, out, x);
    return x;
}

static bool refuses_multi(Emit *e, const Multi *m) {
    const Node *n = emit_node(e);
    bool packed_kv = in_rank(n, KEY) == 5;
    if (node_in(n, 8) || node_in(n, 9))
        emit_fail(e, OX0302, "use separate tensors for past and present",
                  "past_sequence_length and cache_indirection are not supported");
    else if (!node_in(n, PAST_KEY) != !node_in(n, PAST_VALUE))
        emit_fail(e, OX0303, "", "past_key and past_value must be given together");
    else if (node_in(n, BIAS) && packed_kv)
        emit_fail(e, OX0302, "", "a bias of packed keys and values is not supported");
    else if (in_rank(n, MASK) == 2 && !dim_is(m->s.past, 0) &&
             dim_known_eq(&emit_model(e)->dims, in_dim(n, MASK, 1), m->s.keys) == 0)
        emit_fail(e, OX0401, "", "the mask does not cover the past");
    else
        return false;
    return true;
}

static void emit_multi(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    Multi m;
    const Expr *x[3];
    if (!read_multi(emit_model(e), n, &m)) {
        emit_fail(e, OX0403, "", "the ranks of query, key and value are not known");
        return;
    }
    if (refuses_multi(e, &m))
        return;
    read_operands(e, &m, x);
    const Expr *q = emit_wants(e, 3) ? emit_let(e, "q", x[0]) : x[0];
    const Expr *k = with_past(e, PAST_KEY, 1, x[1]);
    const Expr *v = with_past(e, PAST_VALUE, 2, x[2]);
    const Expr *bias = bias_of(e, &m.s);
    if (emit_wants(e, 3)) {
        bias = bias ? emit_let(e, "bias", bias) : NULL;
        const Expr *scores = with_scale(e, EX(a, "attention_scores($0, $1)", q, k));
        emit_out(e, 3, EX(a, "$0$( + $1)", scores, bias));
    }
    const Expr *y = EX(a, "attention($0, $1, $2$(, $3))", q, k, v, bias);
    emit_out(e, 0, EX(a, "merge_heads($0)", with_scale(e, y)));
}

/* clang-format off */
#define ATTENTION_ATTRS                                                                \
    INT_OPT("do_rotary"), FLOAT_OPT("mask_filter_value"), INT_REQ("num_heads"),        \
    INT_OPT("past_present_share_buffer"), FLOAT_OPT("scale"), INT("unidirectional", 0)

static const OpDef ops[] = {
    {.name = "Attention", MICROSOFT,
     .in = "input weights bias? mask_index? past? attention_bias? "
           "past_sequence_length?",
     .out = "output present?",
     .attrs = {ATTENTION_ATTRS, INTS_OPT("qkv_hidden_sizes"),
               INT_OPT("rotary_embedding_dim")},
     .infer = infer_attention, .macs = macs_multi_head, .emit = emit_attention},
    {.name = "DecoderMaskedSelfAttention", MICROSOFT,
     .in = "input weights bias mask_index? past attention_bias? past_sequence_length "
           "beam_width? cache_indirection?",
     .out = "output present",
     .attrs = {INT_OPT("do_rotary"), FLOAT_OPT("mask_filter_value"),
               INT_REQ("num_heads"), INT_OPT("past_present_share_buffer"),
               FLOAT_OPT("scale")},
     .infer = infer_attention, .macs = macs_multi_head, .emit = emit_attention},
    {.name = "QAttention", MICROSOFT,
     .in = "input weight bias input_scale weight_scale mask_index? input_zero_point? "
           "weight_zero_point? past?",
     .out = "output present?", .attrs = {ATTENTION_ATTRS},
     .infer = infer_attention, .macs = macs_multi_head, .emit = emit_attention},
    {.name = "MultiHeadAttention", MICROSOFT,
     .in = "query key? value? bias? key_padding_mask? attention_bias? past_key? "
           "past_value? past_sequence_length? cache_indirection?",
     .out = "output present_key? present_value? qk?",
     .attrs = {FLOAT_OPT("mask_filter_value"), INT_REQ("num_heads"), FLOAT_OPT("scale"),
               INT("unidirectional", 0)},
     .infer = infer_multi, .macs = macs_multi_head, .emit = emit_multi},
};
/* clang-format on */

const OpFamily ops_ms_attention = FAMILY(ops);
