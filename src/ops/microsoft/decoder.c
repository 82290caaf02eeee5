/* DecoderMaskedMultiHeadAttention of com.microsoft: one new token for each sequence, or
 * for each beam of one, whose keys and values are in a buffer, or given whole.
 * Source: ContribOperators.md of onnxruntime; its CPU kernel where the text is silent:
 * a buffer that is shared has its keys in order. */
#include "ops/core/macs.h"
#include "ops/onnx/attention.h"

enum {
    QUERY,
    KEY,
    VALUE,
    MASK,
    SCORE_BIAS,
    PAST_KEY,
    PAST_VALUE,
    PAST_LENGTH,
    BEAM_WIDTH,
    BEAMS,
    BIAS
};

/* Keys and values come whole, from an encoder. */
static bool is_cross(const Node *n) {
    return node_in(n, KEY) && in_rank(n, KEY) == 4;
}

static bool is_shared(const Node *n) {
    return attr_has(n, "past_present_share_buffer") &&
           attr_int(n, "past_present_share_buffer") != 0 && !is_cross(n);
}

typedef struct Token {
    Dim batch, heads, head, value_head;
    Dim hidden; /* of query and key */
    Dim past;   /* positions of the buffer, or before the token */
    bool packed;
} Token;

/* false when a rank is not known, or after an error. */
static bool read_token(Model *m, const Node *n, Token *t) {
    Dims *ds = &m->dims;
    int64_t heads = attr_int(n, "num_heads");
    t->packed = !node_in(n, KEY);
    if (heads < 1 || !node_in(n, KEY) != !node_in(n, VALUE) ||
        !node_in(n, PAST_KEY) != !node_in(n, PAST_VALUE) ||
        (is_shared(n) && (!node_in(n, PAST_KEY) || !node_in(n, PAST_LENGTH)))) {
        node_error(m, n, OX0303, "", "keys, values and what is past do not fit");
        return false;
    }
    if (in_rank(n, QUERY) != 3 || (!t->packed && in_rank(n, KEY) < 3) ||
        (!t->packed && in_rank(n, VALUE) != in_rank(n, KEY)) ||
        (node_in(n, PAST_KEY) && in_rank(n, PAST_KEY) != 4))
        return false;
    Dim hidden = in_dim(n, QUERY, 2);
    t->batch = in_dim(n, QUERY, 0);
    t->heads = dim_int(heads);
    t->hidden = t->packed ? dim_floordiv(ds, hidden, dim_int(3)) : hidden;
    t->head = t->value_head = dim_floordiv(ds, t->hidden, t->heads);
    if (!t->packed)
        t->value_head = is_cross(n) ? in_dim(n, VALUE, 3)
                                    : dim_floordiv(ds, in_dim(n, VALUE, 2), t->heads);
    t->past = node_in(n, PAST_KEY) ? in_dim(n, PAST_KEY, 2) : dim_int(0);
    if (dim_known_eq(ds, in_dim(n, QUERY, 1), dim_int(1)) != 0)
        return true;
    node_error(m, n, OX0401, "", "query holds more than one token");
    return false;
}

static void infer_decoder(Model *m, Node *n) {
    Token t;
    DType dtype = in_dtype(n, QUERY);
    if (!read_token(m, n, &t)) {
        set_rank(m, n, 0, dtype, 3);
        for (int k = 1; k < 4; k++)
            set_rank(m, n, k, dtype, 4);
        return;
    }
    Dim one = dim_int(1), hidden = dim_mul(&m->dims, t.heads, t.value_head);
    Dim total = is_shared(n) ? t.past : dim_add(&m->dims, t.past, one);
    set_type(m, n, 0, dtype, &(Shape){.rank = 3, .d = {t.batch, one, hidden}});
    set_four(m, n, 1, dtype, t.batch, t.heads, total, t.head);
    set_four(m, n, 2, dtype, t.batch, t.heads, total, t.value_head);
    set_four(m, n, 3, dtype, t.batch, t.heads, one,
             is_cross(n) ? in_dim(n, KEY, 2) : total);
}

/* ---- code -------------------------------------------------------------------------- */

/* Input i, or its part of packed ones, plus its part of the bias, with heads apart. */
static const Expr *token_operand(Emit *e, const Token *t, int i) {
    static const char *const parts[] = {"$0[:$1]", "$0[$1:2 * $2]", "$0[2 * $1:]"};
    static const char *const packed[] = {"$0[..., :$1]", "$0[..., $1:2 * $2]",
                                         "$0[..., 2 * $1:]"};
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *hidden = emit_dim(e, t->hidden);
    const Expr *x = t->packed
                        ? EX(a, packed[i], emit_in_named(e, QUERY), hidden, hidden)
                        : emit_in(e, i);
    if (!t->packed && in_rank(n, i) == 4)
        return x;
    if (node_in(n, BIAS)) {
        const Expr *bias = EX(a, parts[i], emit_in_named(e, BIAS), hidden, hidden);
        x = EX(a, "$0 + $1", x, emit_lift(e, bias, 1, 3));
    }
    return EX(a, "split_heads($0, $1)", x, emit_dim(e, t->heads));
}

/* How many positions of the shared buffer are taken. */
static const Expr *past_length(Emit *e) {
    Arena *a = emit_arena(e);
    const Known *k = in_known(emit_node(e), PAST_LENGTH);
    if (k && k->n == 1 && k->ints && dim_is_int(k->ints[0]))
        return ex_int(a, k->ints[0].c);
    return emit_let(e, "start", EX(a, "$0.reshape(())", emit_in_named(e, PAST_LENGTH)));
}

/* Keys or values with those of the token; the output, and what attention reads. */
static const Expr *with_past(Emit *e, int past, int out, const Expr *x,
                             const Expr *start) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (is_cross(n))
        return x;
    if (start)
        x = EX(a, "jax.lax.dynamic_update_slice_in_dim($0, $1, $2, axis=2)",
               emit_in(e, past), x, start);
    else if (node_in(n, past))
        x = EX(a, "jnp.concatenate([$0, $1], axis=2)", emit_in(e, past), x);
    if (emit_wants(e, out)) {
        x = emit_let(e, out == 1 ? "keys" : "values", x);
        emit_out(e, out, x);
    }
    if (start && node_in(n, BEAMS))
        x = EX(a, "choose_beams($0, $1, $2)", x, emit_in_named(e, BEAMS), start);
    return x;
}

/* What is added to the scores; NULL: nothing. */
static const Expr *bias_of(Emit *e, const Token *t, const Expr *start) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const char *fill = "mask_filter_value";
    const Expr *bias = NULL, *size = emit_dim(e, t->past);
    if (start)
        bias = EX(a, "jnp.where(jnp.arange($0)[None, None, None] <= $1, 0.0, -jnp.inf)",
                  size, start);
    if (node_in(n, MASK)) {
        const Expr *mask = emit_in_named(e, MASK);
        if (start)
            mask =
                EX(a, "jnp.pad($0, ((0, 0), (0, $1 - $2.shape[1])))", mask, size, mask);
        double value = attr_has(n, fill) ? attr_float(n, fill) : -10000.0;
        mask = EX(a, "jnp.where($0[:, None, None] > 0, 0.0, $1)", mask,
                  emit_float(e, value, DT_FLOAT));
        bias = added(e, bias, mask);
    }
    if (node_in(n, SCORE_BIAS)) {
        const Expr *more = emit_in_named(e, SCORE_BIAS);
        if (start)
            more = EX(a, "jnp.pad($0, ((0, 0), (0, 0), (0, 0), (0, $1 - $2.shape[3])))",
                      more, size, more);
        bias = added(e, bias, more);
    }
    return bias;
}

static void emit_decoder(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Token t;
    if (!read_token(emit_model(e), n, &t)) {
        emit_fail(e, OX0403, "", "the ranks of query, key and value are not known");
        return;
    }
    if (is_shared(n) && emit_wants(e, 3)) {
        emit_fail(e, OX0302, "", "scores of a shared buffer are not supported");
        return;
    }
    if (!is_shared(n) && node_in(n, BEAMS) && !is_cross(n)) {
        emit_fail(e, OX0302, "set past_present_share_buffer",
                  "beams without a shared buffer are not supported");
        return;
    }
    const Expr *start = is_shared(n) ? past_length(e) : NULL;
    const Expr *q = token_operand(e, &t, QUERY);
    if (emit_wants(e, 3))
        q = emit_let(e, "q", q);
    const Expr *k = with_past(e, PAST_KEY, 1, token_operand(e, &t, KEY), start);
    const Expr *v = with_past(e, PAST_VALUE, 2, token_operand(e, &t, VALUE), start);
    const Expr *bias = bias_of(e, &t, start);
    double given = attr_has(n, "scale") ? attr_float(n, "scale") : 0;
    const Expr *scale = given == 0 ? NULL : emit_float(e, given, DT_FLOAT);
    if (emit_wants(e, 3)) {
        k = emit_let(e, "k", k);
        bias = bias ? emit_let(e, "bias", bias) : NULL;
        const Expr *scores = EX(a, "attention_scores($0, $1)", q, k);
        emit_out(e, 3, EX(a, "$0$( + $1)", call_with(e, scores, "scale", scale), bias));
    }
    const Expr *y = EX(a, "attention($0, $1, $2$(, $3))", q, k, v, bias);
    emit_out(e, 0, EX(a, "merge_heads($0)", call_with(e, y, "scale", scale)));
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "DecoderMaskedMultiHeadAttention", MICROSOFT,
     .in = "query key? value? mask_index? attention_bias? past_key? past_value? "
           "past_sequence_length? beam_width? cache_indirection? bias?",
     .out = "output present_key? present_value? qk?",
     .attrs = {FLOAT_OPT("mask_filter_value"), INT_REQ("num_heads"),
               INT_OPT("output_qk"), INT_OPT("past_present_share_buffer"),
               FLOAT_OPT("scale")},
     .infer = infer_decoder, .macs = macs_multi_head, .emit = emit_decoder},
};
/* clang-format on */

const OpFamily ops_ms_decoder = FAMILY(ops);
