/* The table of fusions.  Each is exact in real arithmetic for finite inputs, and rounds
 * no worse than the subgraph that it replaces.
 * Source: what torch.onnx writes for torch.nn.functional, read from its exports. */
#include "ops/fusion.h"

#include <float.h>
#include <math.h>

/* ---- conditions -------------------------------------------------------------------- */

static bool is_like_x(const FusionMatch *t) {
    const Type *x = &fusion_value(t, "x")->type, *y = &t->root->out[0]->type;
    return x->dtype == y->dtype && type_same_shape(x, y);
}

/* Attributes are float32: epsilon would be rounded. */
static bool is_norm(const FusionMatch *t) {
    return is_like_x(t) && fusion_value(t, "x")->type.dtype != DT_DOUBLE;
}

/* x is cast to float32 for the norm, and its result back. */
static bool is_half(const FusionMatch *t) {
    DType dtype = fusion_value(t, "x")->type.dtype;
    return is_like_x(t) && (dtype == DT_FLOAT16 || dtype == DT_BFLOAT16);
}

/* Beyond 20 both are x in single precision: log1p(exp(-20)) is 2e-9. */
static bool is_single(const FusionMatch *t) {
    return is_like_x(t) && fusion_value(t, "x")->type.dtype == DT_FLOAT;
}

/* One weight for each channel of x: (n, channels, ...), along the right axis. */
static bool is_channel_norm(const FusionMatch *t) {
    const Type *x = &fusion_value(t, "x")->type;
    if (!is_norm(t) || x->rank < 3 || !dim_is_int(x->dims[1]) || x->dims[1].c < 2)
        return false;
    static const char *const names[] = {"scale", "shift"};
    for (size_t i = 0; i < OX_COUNT(names); i++) {
        const Type *w = &fusion_value(t, names[i])->type;
        if (w->rank != x->rank - 1 || !dim_eq(w->dims[0], x->dims[1]))
            return false;
        for (int k = 1; k < w->rank; k++)
            if (!dim_is(w->dims[k], 1))
                return false;
    }
    return true;
}

/* Groups of consecutive channels in rows of their own: (n, groups, rest). */
static bool is_group_norm(const FusionMatch *t) {
    const Type *x = &fusion_value(t, "x")->type, *rows = &fusion_value(t, "rows")->type;
    return is_channel_norm(t) && rows->rank == 3 && dim_is_int(rows->dims[1]) &&
           rows->dims[1].c > 0 && x->dims[1].c % rows->dims[1].c == 0 &&
           dim_eq(x->dims[0], rows->dims[0]);
}

/* ---- products ---------------------------------------------------------------------- */

/* A matrix that the model keeps: of others the transposed copy is computed in any case. */
static bool is_of_weight(const FusionMatch *t) {
    const Value *w = fusion_value(t, "w");
    return (w->kind == VALUE_PARAM || w->kind == VALUE_CONST) && w->type.rank == 2;
}

/* ---- attention --------------------------------------------------------------------- */

/* Sizes 0 to 3 of the type, `order` saying which of them stand where. */
static bool has_dims(const Type *t, const Type *of, const char *order) {
    if (t->rank != 4 || of->rank != 4)
        return false;
    for (int i = 0; i < 4; i++)
        if (!dim_eq(t->dims[i], of->dims[order[i] - '0']))
            return false;
    return true;
}

/* Heads that share a key were repeated: (b, g, s, d) to (b, g * r, s, d). */
static bool repeats_fit(const FusionMatch *t, const char *few, const Type *many) {
    const Value *v = fusion_value(t, few);
    if (!v)
        return true;
    const Type *type = &v->type;
    return type->rank == 4 && many->rank == 4 && dim_is_int(type->dims[1]) &&
           dim_is_int(many->dims[1]) && type->dims[1].c > 0 &&
           many->dims[1].c % type->dims[1].c == 0 &&
           dim_eq(type->dims[0], many->dims[0]) &&
           dim_eq(type->dims[2], many->dims[2]) && dim_eq(type->dims[3], many->dims[3]);
}

/* What `repeats` made of few heads is `many`, if it was made at all. */
static bool heads_fit(const FusionMatch *t, const char *few, const char *many) {
    const Value *repeated = fusion_value(t, many);
    return !repeated || repeats_fit(t, few, &repeated->type);
}

/* bias and mask broadcast to (b, h, t, s); jax.nn wants 1 or h on the second axis. */
static bool bias_fits(const Value *v, Dim heads) {
    if (!v)
        return true;
    const Type *t = &v->type;
    if (t->rank < 0 || t->rank > 4)
        return false;
    return t->rank < 3 || dim_is(t->dims[t->rank - 3], 1) ||
           dim_eq(t->dims[t->rank - 3], heads);
}

/* jax.nn.dot_product_attention computes softmax in float32, wants values as wide as
 * keys, and does not broadcast batches. */
static bool is_attention(const FusionMatch *t) {
    const Value *q = fusion_value(t, "q"), *k = fusion_value(t, "k"),
                *kt = fusion_value(t, "kt"), *v = fusion_value(t, "v"),
                *flat = fusion_value(t, "flat");
    const Type *y = &t->root->out[0]->type;
    if (q->type.dtype != DT_FLOAT || q->type.rank != 4 ||
        !type_same_shape(&q->type, y) || kt->type.rank != 4 || v->type.rank != 4)
        return false;
    /* kt: (b, h, d, s) of (b, g, s, d) or of (b, s, g, d) */
    const Type *keys = &fusion_value(t, k ? "k" : "rows")->type;
    const Value *many = fusion_value(t, "ks");
    const Type *last = many ? &many->type : keys;
    if (!has_dims(&kt->type, last, k ? "0132" : "0231") || !heads_fit(t, "k", "ks") ||
        !heads_fit(t, "v", "vs"))
        return false;
    if (flat && (flat->type.rank != 3 || !dim_eq(flat->type.dims[1], last->dims[2]) ||
                 !dim_eq(flat->type.dims[2], last->dims[3])))
        return false;
    const Value *values = fusion_value(t, "vs") ? fusion_value(t, "vs") : v;
    return dim_eq(q->type.dims[0], kt->type.dims[0]) &&
           dim_eq(q->type.dims[1], kt->type.dims[1]) &&
           dim_eq(q->type.dims[3], kt->type.dims[2]) &&
           has_dims(&values->type, &kt->type, "0132") &&
           dim_eq(v->type.dims[1], k ? keys->dims[1] : keys->dims[2]) &&
           bias_fits(fusion_value(t, "bias"), q->type.dims[1]) &&
           bias_fits(fusion_value(t, "mask"), q->type.dims[1]);
}

/* A row that sees no key has a softmax of NaN, of which the pattern makes 0. */
static bool is_masked_attention(const FusionMatch *t) {
    const Known *lowest = fusion_value(t, "lowest")->splat;
    return lowest && lowest->floats && isinf(lowest->floats[0]) &&
           lowest->floats[0] < 0 && is_attention(t);
}

/* Every query sees the keys up to its own place. */
static bool is_causal(const FusionMatch *t) {
    const Value *mask = fusion_value(t, "mask");
    const Node *n = mask ? mask->def : NULL;
    const Type *scores = mask ? &mask->type : NULL;
    return n && n->op && str_is(n->op_type, "Triangle") && !attr_int(n, "upper") &&
           attr_int(n, "k") == 0 && scores->rank >= 2 &&
           !dim_is(scores->dims[scores->rank - 1], 1) &&
           !dim_is(scores->dims[scores->rank - 2], 1);
}

static bool is_causal_attention(const FusionMatch *t) {
    return is_causal(t) && is_attention(t);
}

static bool is_masked_causal_attention(const FusionMatch *t) {
    return is_causal(t) && is_masked_attention(t);
}

/* One half of the last axis of x: the first with start 0. */
static bool is_half_of(const FusionMatch *t, const char *name, bool second) {
    const Value *x = fusion_value(t, "x");
    const Node *n = fusion_value(t, name)->def;
    Ints start, end, axis, step;
    int last = x->type.rank - 1;
    if (last < 0 || !dim_is_int(x->type.dims[last]) || !get_ints(n, "starts", &start) ||
        !get_ints(n, "ends", &end) || !get_ints(n, "axes", &axis) || start.n != 1 ||
        end.n != 1 || axis.n != 1)
        return false;
    int64_t size = x->type.dims[last].c, half = size / 2;
    bool plain = is_absent(n, "steps") ||
                 (get_ints(n, "steps", &step) && step.n == 1 && step.v[0] == 1);
    bool there = second ? start.v[0] == half && end.v[0] >= size
                        : start.v[0] == 0 && end.v[0] == half;
    return plain && there && size % 2 == 0 && (axis.v[0] == -1 || axis.v[0] == last);
}

static bool is_rotary(const FusionMatch *t) {
    return is_like_x(t) && is_half_of(t, "low", false) && is_half_of(t, "high", true);
}

/* ---- gates ------------------------------------------------------------------------- */

/* The slice by this name is x[from:to]. */
static bool is_slice(const FusionMatch *t, const char *name, int64_t from, int64_t to) {
    const Node *n = fusion_value(t, name)->def;
    Ints start, end, axis, step;
    if (!get_ints(n, "starts", &start) || !get_ints(n, "ends", &end) || start.n != 1 ||
        end.n != 1)
        return false;
    bool first = is_absent(n, "axes") ||
                 (get_ints(n, "axes", &axis) && axis.n == 1 && axis.v[0] == 0);
    bool plain = is_absent(n, "steps") ||
                 (get_ints(n, "steps", &step) && step.n == 1 && step.v[0] == 1);
    int64_t all = fusion_value(t, "x")->type.dims[0].c;
    int64_t stop = end.v[0] > all ? all : end.v[0];
    return first && plain && start.v[0] == from && stop == to;
}

static bool is_gate(const FusionMatch *t, const char *name, int64_t k, int64_t size) {
    return is_slice(t, name, k * size, (k + 1) * size);
}

/* The size of each of `count` gates of a parameter that is put together again along its
 * first axis; 0 when it is none. */
static int64_t gate_size(const FusionMatch *t, int64_t count) {
    const Value *x = fusion_value(t, "x");
    if (x->kind != VALUE_PARAM || x->type.rank < 1 || !dim_is_int(x->type.dims[0]) ||
        x->type.dims[0].c % count != 0)
        return 0;
    int64_t axis = attr_int(t->root, "axis");
    return axis == 0 || axis == -x->type.rank ? x->type.dims[0].c / count : 0;
}

/* Its gates are put together in the order that `gates` says. */
static bool has_gates(const FusionMatch *t, const char *gates) {
    int64_t count = (int64_t)strlen(gates), size = gate_size(t, count);
    for (int64_t i = 0; i < count && size; i++)
        if (!is_gate(t, (const char[]){(char)('a' + i), 0}, gates[i] - '0', size))
            return false;
    return size > 0;
}

static bool is_lstm(const FusionMatch *t) {
    return has_gates(t, "0312");
}

/* Three slices, of which the last has the forget and the cell gate. */
static bool is_lstm_of_three(const FusionMatch *t) {
    int64_t size = gate_size(t, 4);
    return size > 0 && is_gate(t, "a", 0, size) && is_gate(t, "b", 3, size) &&
           is_slice(t, "c", size, 3 * size);
}

static bool is_gru(const FusionMatch *t) {
    return has_gates(t, "102");
}

/* No row of scores is all infinite: what is added to them is finite. */
static bool is_finite(const Value *v) {
    const Node *n = v->def;
    if (v->splat && v->splat->floats)
        return isfinite(v->splat->floats[0]);
    return n && n->op && n->op->facts & OP_SELECTS && is_finite(n->in[1]) &&
           is_finite(n->in[2]);
}

/* In float16 the lowest number and a score of -16 sum to an infinity. */
static bool scores_are_finite(const FusionMatch *t) {
    const Value *bias = fusion_value(t, "bias");
    return !bias || (is_finite(bias) && bias->type.dtype != DT_FLOAT16);
}

/* What PyTorch's >> on signed integers becomes: BitShift takes unsigned ones, so that
 * the bits that come in are set by hand where the number is negative. */
static bool is_signed_shift(const FusionMatch *t) {
    const Value *x = fusion_value(t, "x"), *s = fusion_value(t, "s"),
                *k = fusion_value(t, "k"), *ones = fusion_value(t, "ones");
    DType dtype = x->type.dtype;
    const DTypeInfo *wide = dtype_info(dtype), *bits = dtype_info(s->type.dtype);
    if (!is_like_x(t) || wide->cls != DC_INT || bits->cls != DC_UINT ||
        wide->bits != bits->bits || !attr_is(s->def, "direction", "RIGHT"))
        return false;
    uint64_t all = UINT64_MAX >> (64 - bits->bits);
    const Value *c = ones ? ones : fusion_value(t, "signs");
    if (!c->splat || !dim_is_int(c->splat->ints[0]))
        return false;
    uint64_t known = (uint64_t)c->splat->ints[0].c & all;
    if (ones)
        return known == all &&
               attr_is(fusion_value(t, "low")->def, "direction", "RIGHT");
    if (!k->splat || !dim_is_int(k->splat->ints[0]))
        return false;
    uint64_t by = (uint64_t)k->splat->ints[0].c;
    return by < (uint64_t)bits->bits && known == (all & ~(all >> by));
}

FusionScale fusion_scale(const Node *n) {
    return str_is(n->op_type, "Mul")   ? FUSION_TIMES
           : str_is(n->op_type, "Div") ? FUSION_OVER
                                       : FUSION_NO_SCALE;
}

/* ---- the table --------------------------------------------------------------------- */

/* clang-format off */
#define LOWEST     "-3.4028234663852886e38"
#define ERF        "Add(Erf(Div(x, 1.4142135623730951) | Mul(x, 0.7071067811865476)), 1)"
#define CUBE       "Pow(x, 3) | Mul(Mul(x, x), x)"
#define TANH       "Add(Tanh(Mul(Add(x, Mul(" CUBE ", 0.044715)), 0.7978845608028654)), 1)"
#define GELU(e)    "Mul(Mul(x, " e "), 0.5) | Mul(Mul(x, 0.5), " e ") | Mul(x, Mul(" e ", 0.5))"

#define SQUARE(x)  "Pow(" x ", 2) | Mul(" x ", " x ")"
#define MEAN(x)    "ReduceMean(" x ", axes=-1)"
#define RMS(x)     "Sqrt(Add(" MEAN(SQUARE(x)) ", eps))"
#define OVER_RMS(x) "Mul(" x ", Reciprocal(" RMS(x) ") | Div(1, " RMS(x) ")) | Div(" x ", " RMS(x) ")"
#define LAYER_NORM "Div(As(d, Sub(x, " MEAN("x") ")), " RMS("d") ")"

#define SLICE      "Slice(x, _, _, _, _) | Slice(x, _, _, _)"
#define TURNED     "Concat(Neg(As(high, " SLICE ")), As(low, " SLICE "), axis=-1)"
#define RESHAPE(x) "Reshape(" x ", _, allowzero=_)"
#define HEADS(x)   "As(" x "s, " RESHAPE("Expand(Unsqueeze(" x ", axes=2), _)") ") | " x
#define KEYS_T     "As(kt, Transpose(rows, perm=[0, 2, 3, 1])) | " \
                   "As(kt, Transpose(" HEADS("k") ", perm=[0, 1, 3, 2])) | " \
                   "As(kt, " RESHAPE("Transpose(As(flat, " RESHAPE(HEADS("k")) "), perm=[0, 2, 1])") ")"
#define SCORES     "Times(MatMul(Times(q, c), Times(" KEYS_T ", c)), c)"
#define BIAS       "Is(hidden, Where(mask, 0, " LOWEST ")) | bias"
#define ATTENTION  "MatMul(Softmax(Maybe(Add(" SCORES ", " BIAS ")), axis=-1), " HEADS("v") ")"
#define MASKED     "Softmax(Add(" SCORES ", Is(hidden, Where(mask, 0, lowest))), axis=-1)"
#define MASKED_ATTENTION "MatMul(Where(IsNaN(As(p, " MASKED ")), 0, p), " HEADS("v") ")"
#define SWAP(x)    "Transpose(" x ", perm=[0, 2, 1, 3])"
#define HEADED     SWAP("q") ", " SWAP("k") " | rows, " SWAP("v")
#define DOT_PRODUCT SWAP("DotProductAttention(" HEADED ", bias, mask, scale=c)")
#define CAUSAL_PRODUCT SWAP("DotProductAttention(" HEADED ", is_causal=1, scale=c)")
#define MASKED_PRODUCT SWAP("MaskedAttention(" HEADED ", mask, scale=c)")

#define SHIFT(x)   "BitShift(" x ", Cast(k, to=_) | k, direction=_)"
#define SIGNS      "BitwiseNot(As(low, " SHIFT("ones") ")) | signs"

#define ROWS       "As(rows, " RESHAPE("x") ")"
#define CHANNELS(all, one) "As(" all ", Unsqueeze(" one ", axes=_) | _)"

#define GATE(name) "As(" name ", " SLICE ")"

static const Fusion fusions[] = {
/*   pattern, what it becomes, condition, late */
    {GELU(ERF), "Gelu(x)", NULL, false},
    {GELU(TANH), "Gelu(x, approximate='tanh')", NULL, false},
    {"Mul(x, Sigmoid(x))", "Swish(x)", NULL, false},
    {"Mul(x, Tanh(Softplus(x)))", "Mish(x)", NULL, false},
    {"Where(Greater(x, 20), x, Softplus(x))", "Softplus(x)", is_single, false},
    {"Where(Less(x, 0), Cast(BitwiseOr(As(s, " SHIFT("Cast(x, to=_)") "), " SIGNS "), to=_), "
     "Cast(s, to=_))", "ShiftRight(x, k)", is_signed_shift, false},

    {"Add(Mul(x, cos), Mul(" TURNED ", sin))", "RotateHalf(x, cos, sin)", is_rotary, false},
    {"Add(Mul(" LAYER_NORM ", w), b)", "LayerNormalization(x, w, b, epsilon=eps)", is_norm, false},
    {"Add(Mul(InstanceNormalization(x, 1, 0, epsilon=eps), " CHANNELS("scale", "w") "), "
     CHANNELS("shift", "b") ")",
     "InstanceNormalization(x, w | Squeeze(scale), b | Squeeze(shift), epsilon=eps)",
     is_channel_norm, false},
    {"Add(Mul(" RESHAPE("InstanceNormalization(" ROWS ", 1, 0, epsilon=eps)") ", "
     CHANNELS("scale", "w") "), " CHANNELS("shift", "b") ")",
     "GroupNormalization(x, w | Squeeze(scale), b | Squeeze(shift), num_groups=rows[1], epsilon=eps)",
     is_group_norm, false},
    {"Mul(w, " OVER_RMS("x") ")", "RMSNormalization(x, w, epsilon=eps)", is_norm, true},
    {"Mul(w, Cast(" OVER_RMS("Cast(x, to=1)") ", to=_))",
     "RMSNormalization(x, w, epsilon=eps)", is_half, true},

    {"Where(IsNaN(As(p, Softmax(Is(s, Maybe(Add(Times(MatMul(_, _), _), bias))), axis=-1))), 0, p)",
     "Softmax(s, axis=-1)", scores_are_finite, false},
    {ATTENTION, CAUSAL_PRODUCT, is_causal_attention, true},
    {ATTENTION, DOT_PRODUCT, is_attention, true},
    {MASKED_ATTENTION, CAUSAL_PRODUCT, is_masked_causal_attention, true},
    {MASKED_ATTENTION, MASKED_PRODUCT, is_masked_attention, true},
    {"MatMul(x, Is(turned, Transpose(w, perm=[1, 0]) | Transpose(w)))", "Inner(x, w)",
     is_of_weight, false},
    {"Concat(" GATE("a") ", " GATE("b") ", " GATE("c") ", " GATE("d") ", axis=_)",
     "LstmGates(x)", is_lstm, false},
    {"Concat(" GATE("a") ", " GATE("b") ", " GATE("c") ", axis=_)", "GruGates(x)", is_gru,
     false},
    {"Concat(" GATE("a") ", " GATE("b") ", " GATE("c") ", axis=_)", "LstmGates(x)",
     is_lstm_of_three, false},
};
/* clang-format on */

const Fusion *fusion_at(size_t i) {
    return i < OX_COUNT(fusions) ? &fusions[i] : NULL;
}
