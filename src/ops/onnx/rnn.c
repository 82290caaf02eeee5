/* RNN, GRU and LSTM: calls of the helpers in python/lib/rnn.py, which scan over time; and
 * LSTM of com.microsoft with weights of 8 bits.
 * Source: the ONNX operators; onnxruntime for DynamicQuantizeLSTM, for how activation_alpha and activation_beta
 * are handed out, for the defaults of both, and for clip, which bounds the gates only. */
#include "ops/core/apart.h"
#include "ops/core/macs.h"
#include "ops/onnx/quant.h"
#include "ops/onnx/window.h"

/* ---- shapes ------------------------------------------------------------------------ */

static bool has_layout(const Node *n) {
    return op_attr(n->op, STR("layout")) && attr_int(n, "layout") != 0;
}

/* DynamicQuantizeLSTM, whose weights are (D, inputs, gates). */
static bool is_quantized(const Node *n) {
    return op_input_index(n->op, STR("W_scale")) >= 0;
}

static bool is_both(const Node *n) {
    return attr_is(n, "direction", "bidirectional");
}

static bool check_rank(Model *m, const Node *n, int i, int rank) {
    int given = in_rank(n, i);
    if (given < 0 || given == rank)
        return true;
    node_error(m, n, OX0401, "", "input %d has rank %d, but %d is needed", i, given,
               rank);
    return false;
}

/* Dimension `axis` of input i must be `want`. */
static bool check_dim(Model *m, const Node *n, int i, int axis, Dim want) {
    if (in_rank(n, i) < 0 || dim_known_eq(&m->dims, in_dim(n, i, axis), want) != 0)
        return true;
    node_error(m, n, OX0401, "", "input %d does not fit along axis %d", i, axis);
    return false;
}

typedef struct Sizes {
    Dim t, b, d, h;
    Dim rows; /* of W and R: h for each gate */
} Sizes;

static bool check_weights(Model *m, Node *n, const Sizes *s) {
    for (int i = 0; i < 3; i++)
        if (!check_rank(m, n, i, 3))
            return false;
    if (in_rank(n, 1) < 0 || in_rank(n, 2) < 0)
        return true;
    int rows = is_quantized(n) ? 2 : 1, columns = 3 - rows;
    bool ok = check_dim(m, n, 1, 0, s->d) && check_dim(m, n, 2, 0, s->d) &&
              check_dim(m, n, 1, rows, s->rows) && check_dim(m, n, 2, rows, s->rows) &&
              check_dim(m, n, 2, columns, s->h);
    if (in_rank(n, 0) == 3)
        ok = ok && check_dim(m, n, 1, columns, in_dim(n, 0, 2));
    return ok;
}

/* Scales and zero points of W and R: (D,) or (D, rows). */
static bool check_scales(Model *m, Node *n, const Sizes *s) {
    bool ok = true;
    for (int i = 8; ok && is_quantized(n) && i < 12; i++) {
        ok = in_rank(n, i) < 1 || check_dim(m, n, i, 0, s->d);
        if (ok && in_rank(n, i) == 2)
            ok = check_dim(m, n, i, 1, s->rows);
        else if (ok && in_rank(n, i) != 1)
            ok = check_rank(m, n, i, 2);
    }
    return ok;
}

/* sequence_lens, initial_h and initial_c, where they are given. */
static bool check_states(Model *m, Node *n, const Sizes *s) {
    bool batch_first = has_layout(n);
    bool ok = check_rank(m, n, 4, 1) && check_dim(m, n, 4, 0, s->b);
    for (int i = 5; ok && i < 7; i++)
        ok = check_rank(m, n, i, 3) && check_dim(m, n, i, !batch_first, s->b) &&
             check_dim(m, n, i, batch_first, s->d) && check_dim(m, n, i, 2, s->h);
    return ok;
}

static Sizes read_sizes(Model *m, Node *n, int gates) {
    Sizes s;
    bool batch_first = has_layout(n);
    s.t = in_rank(n, 0) == 3 ? in_dim(n, 0, batch_first) : fresh_dim(m, n, 0, 0);
    s.b = in_rank(n, 0) == 3 ? in_dim(n, 0, !batch_first) : fresh_dim(m, n, 0, 2);
    s.d = dim_int(is_both(n) ? 2 : 1);
    if (attr_has(n, "hidden_size") && attr_int(n, "hidden_size") > 0)
        s.h = dim_int(attr_int(n, "hidden_size"));
    else
        s.h = in_rank(n, 2) == 3 ? in_dim(n, 2, is_quantized(n) ? 1 : 2)
                                 : fresh_dim(m, n, 0, 3);
    s.rows = dim_mul(&m->dims, dim_int(gates), s.h);
    return s;
}

static void infer_recurrent(Model *m, Node *n, int gates) {
    DType dtype = in_dtype(n, 0);
    Shape y = {.rank = 4}, last = {.rank = 3};
    bool ok = true;
    demand_rank(m, n, 0, 3);
    for (int i = 0; ok && i < 3; i++)
        ok = check_rank(m, n, i, 3);
    if (!ok)
        return;
    Sizes s = read_sizes(m, n, gates);
    if (!check_weights(m, n, &s) || !check_states(m, n, &s) || !check_scales(m, n, &s))
        return;
    bool batch_first = has_layout(n);
    y.d[0] = batch_first ? s.b : s.t;
    y.d[1] = batch_first ? s.t : s.d;
    y.d[2] = batch_first ? s.d : s.b;
    last.d[0] = batch_first ? s.b : s.d;
    last.d[1] = batch_first ? s.d : s.b;
    y.d[3] = last.d[2] = s.h;
    set_type(m, n, 0, dtype, &y);
    for (int k = 1; k < (int)n->n_out; k++)
        set_type(m, n, k, dtype, &last);
}

static void infer_rnn(Model *m, Node *n) {
    infer_recurrent(m, n, 1);
}

static void infer_gru(Model *m, Node *n) {
    infer_recurrent(m, n, 3);
}

static void infer_lstm(Model *m, Node *n) {
    infer_recurrent(m, n, 4);
}

/* ---- activations ------------------------------------------------------------------- */

/* $0 is alpha, $1 beta; `plain` is the function at their defaults. */
typedef struct Activation {
    const char *name, *plain, *general;
    double alpha, beta;
    int takes; /* how many of the two */
} Activation;

/* clang-format off */
static const Activation activations[] = {
    {"relu",            "jax.nn.relu",         NULL, 0, 0, 0},
    {"tanh",            "jnp.tanh",            NULL, 0, 0, 0},
    {"sigmoid",         "jax.nn.sigmoid",      NULL, 0, 0, 0},
    {"softsign",        "jax.nn.soft_sign",    NULL, 0, 0, 0},
    {"softplus",        "jax.nn.softplus",     NULL, 0, 0, 0},
    {"elu",             "jax.nn.elu",          "lambda x: jax.nn.elu(x, $0)", 1, 0, 1},
    {"leakyrelu",       "jax.nn.leaky_relu",
     "lambda x: jax.nn.leaky_relu(x, $0)",     0.01, 0, 1},
    {"thresholdedrelu", NULL, "lambda x: jnp.where(x >= $0, x, 0)",     1,   0,   1},
    {"affine",          NULL, "lambda x: $0 * x + $1",                  1,   0,   2},
    {"scaledtanh",      NULL, "lambda x: $0 * jnp.tanh($1 * x)",        1,   1,   2},
    {"hardsigmoid",     NULL, "lambda x: jnp.clip($0 * x + $1, 0, 1)",  0.2, 0.5, 2},
};
/* clang-format on */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_name(Str given, const char *name) {
    size_t i = 0;
    while (i < given.n && name[i] && lower(given.p[i]) == name[i])
        i++;
    return i == given.n && !name[i];
}

static const Activation *find_activation(Str name) {
    for (size_t i = 0; i < OX_COUNT(activations); i++)
        if (same_name(name, activations[i].name))
            return &activations[i];
    return NULL;
}

/* Takes the next entry of a list of floats, or the default at its end. */
static double take(const Node *n, const char *list, size_t *at, double otherwise) {
    const Attr *attr = attr_get(n, list);
    if (!attr || *at >= attr->floats.count)
        return otherwise;
    return (double)attr->floats.items[(*at)++];
}

static bool is_close(double a, double b) {
    return (float)a == (float)b;
}

/* Each activation takes from the lists what it needs, in turn. */
static const Expr *activation_tuple(Emit *e, const Attr *names) {
    Arena *arena = emit_arena(e);
    const Node *n = emit_node(e);
    DType dtype = in_dtype(n, 0);
    const Expr *items[6];
    size_t alphas = 0, betas = 0;
    for (size_t i = 0; i < names->strings.count; i++) {
        Str name = names->strings.items[i];
        const Activation *f = find_activation(name);
        if (!f) {
            emit_fail(e, OX0302, "", "activation \"%.*s\" is not known", (int)name.n,
                      name.p ? name.p : "");
            return NULL;
        }
        double alpha = f->alpha, beta = f->beta;
        if (f->takes >= 1)
            alpha = take(n, "activation_alpha", &alphas, alpha);
        if (f->takes >= 2)
            beta = take(n, "activation_beta", &betas, beta);
        bool plain = f->plain && is_close(alpha, f->alpha) && is_close(beta, f->beta);
        const Expr *a = emit_float(e, alpha, dtype), *b = emit_float(e, beta, dtype);
        if (plain)
            items[i] = ex_name(arena, str_from(f->plain));
        else
            items[i] =
                f->takes == 2 ? EX(arena, f->general, a, b) : EX(arena, f->general, a);
    }
    return ex_seq(arena, EX_TUPLE, items, names->strings.count);
}

/* The names are the defaults, which the helper has. */
static bool are_usual(const Attr *names, const char *const *usual, size_t count) {
    for (size_t i = 0; i < names->strings.count; i++)
        if (!same_name(names->strings.items[i], usual[i % count]))
            return false;
    return true;
}

static const Expr *with_activations(Emit *e, const Expr *call, const char *const *usual,
                                    size_t count) {
    const Node *n = emit_node(e);
    const Attr *names = attr_get(n, "activations");
    size_t needed = is_both(n) ? 2 * count : count;
    if (!names || names->strings.count == 0)
        return call;
    if (names->strings.count < needed || names->strings.count > 6) {
        emit_fail(e, OX0303, "", "%zu activations, but %zu are needed",
                  names->strings.count, needed);
        return call;
    }
    if (are_usual(names, usual, count))
        return call;
    return call_with(e, call, "activations", activation_tuple(e, names));
}

/* ---- code -------------------------------------------------------------------------- */

/* helper(X, W, R, B, then what is there by name) */
static const Expr *recurrent_call(Emit *e, const char *helper) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *args[] = {emit_in(e, 0), emit_in(e, 1), emit_in(e, 2), emit_in(e, 3)};
    const Expr *call = ex_call(a, ex_name(a, str_from(helper)), args, args[3] ? 4 : 3);
    call = call_with(e, call, "h", emit_in(e, 5));
    if (op_input_index(n->op, STR("initial_c")) >= 0) {
        call = call_with(e, call, "c", emit_in(e, 6));
        call = call_with(e, call, "p", emit_in(e, 7));
    }
    call = call_with(e, call, "lengths", emit_in(e, 4));
    if (is_quantized(n)) {
        call = call_with(e, call, "w_scale", emit_in(e, 8));
        call = call_with(e, call, "r_scale", emit_in(e, 10));
        call = call_with(e, call, "w_zero", in_is_zero(n, 9) ? NULL : emit_in(e, 9));
        call = call_with(e, call, "r_zero", in_is_zero(n, 11) ? NULL : emit_in(e, 11));
    }
    bool known = attr_is(n, "direction", "reverse") || is_both(n);
    Str direction = known ? attr_str(n, "direction") : STR("forward");
    return call_with(e, call, "direction", ex_str(a, direction));
}

static const Expr *with_flag(Emit *e, const Expr *call, const char *attr,
                             const char *keyword) {
    const Node *n = emit_node(e);
    if (!op_attr(n->op, str_from(attr)))
        return call;
    bool set = attr_int(n, attr) != 0;
    return call_with(e, call, keyword, ex_bool(emit_arena(e), set));
}

static void finish(Emit *e, const Expr *call, const char *const *usual, size_t count) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    call = with_activations(e, call, usual, count);
    double clip = attr_has(n, "clip") ? attr_float(n, "clip") : 0;
    if (clip > 0)
        call = call_with(e, call, "clip", emit_float(e, clip, in_dtype(n, 0)));
    call = with_flag(e, call, "linear_before_reset", "linear_before_reset");
    call = with_flag(e, call, "input_forget", "input_forget");
    call = with_flag(e, call, "layout", "batch_first");
    uint32_t outputs = op_input_index(n->op, STR("initial_c")) >= 0 ? 3 : 2;
    if (n->n_out == 1)
        emit_out(e, 0, EX(a, "$0[0]", call));
    else if (n->n_out < outputs)
        emit_outs(e, EX(a, "$0[:$1]", call, ex_int(a, n->n_out)));
    else
        emit_outs(e, call);
}

static void emit_rnn(Emit *e) {
    static const char *const usual[] = {"tanh"};
    finish(e, recurrent_call(e, "rnn"), usual, OX_COUNT(usual));
}

static void emit_gru(Emit *e) {
    static const char *const usual[] = {"sigmoid", "tanh"};
    finish(e, recurrent_call(e, "gru"), usual, OX_COUNT(usual));
}

static void emit_lstm(Emit *e) {
    static const char *const usual[] = {"sigmoid", "tanh", "tanh"};
    const char *helper = is_quantized(emit_node(e)) ? "quantized_lstm" : "lstm";
    finish(e, recurrent_call(e, helper), usual, OX_COUNT(usual));
}

/* PyTorch's order of gates in ONNX's: not operators of ONNX, but what fusions.c makes of
 * the slices that exporters put together. */
static void emit_gates(Emit *e) {
    emit_out(e, 0, emit_in_form(e, 0));
}

static const char *lstm_gates_form(const Node *n, int i) {
    (void)n;
    return i == 0 ? "lstm_gates" : NULL;
}

static const char *gru_gates_form(const Node *n, int i) {
    (void)n;
    return i == 0 ? "gru_gates" : NULL;
}

/* ---- one direction, as PyTorch has it: see passes/rnn_layers.c ------------------------ */

static void infer_layer(Model *m, Node *n) {
    Shape x, w, last = {.rank = 2}, y = {.rank = 3};
    if (!in_shape(n, 0, &x) || !in_shape(n, 2, &w) || x.rank != 3 || w.rank != 2)
        return;
    y.d[0] = x.d[0];
    y.d[1] = last.d[0] = x.d[1];
    y.d[2] = last.d[1] = w.d[1];
    for (int k = 0; k < (int)n->n_out; k++)
        if (n->out[k])
            set_type(m, n, k, in_dtype(n, 0), k ? &last : &y);
}

/* The helper gives y and the states; dead ends of them are no outputs any more. */
static void finish_layer(Emit *e, const Expr *call, int states) {
    static const char *const names[] = {"h", "c"};
    Arena *a = emit_arena(e);
    int n_out = (int)emit_node(e)->n_out, wanted = 0, last = 0;
    for (int i = 0; i < states; i++)
        call = call_with(e, call, names[i], emit_in(e, 5 + i));
    bool reverse = attr_int(emit_node(e), "reverse") != 0;
    call = call_with(e, call, "reverse", ex_bool(a, reverse));
    for (int k = 0; k < n_out; k++)
        if (emit_wants(e, k)) {
            wanted++;
            last = k;
        }
    if (wanted == 1)
        emit_out(e, last, EX(a, "$0[$1]", call, ex_int(a, last)));
    else if (n_out <= states)
        emit_outs(e, EX(a, "$0[:$1]", call, ex_int(a, n_out)));
    else
        emit_outs(e, call);
}

static void emit_lstm_layer(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *x = emit_in(e, 0), *w = emit_in(e, 1), *r = emit_in(e, 2);
    const Expr *of_x = emit_in(e, 3), *of_h = emit_in(e, 4);
    const Expr *bias = of_x ? EX(a, "$0 + $1", of_x, of_h) : NULL;
    const Expr *call = EX(a, "lstm_layer($0, $1, $2$(, $3))", x, w, r, bias);
    finish_layer(e, call, 2);
}

static void emit_gru_layer(Emit *e) {
    const Expr *x = emit_in(e, 0), *w = emit_in(e, 1), *r = emit_in(e, 2);
    const Expr *of_x = emit_in(e, 3), *of_h = emit_in(e, 4);
    const Expr *call =
        EX(emit_arena(e), "gru_layer($0, $1, $2$(, $3)$(, $4))", x, w, r, of_x, of_h);
    finish_layer(e, call, 1);
}

/* The batch comes second in the sequence and in the states, or first with `layout`;
 * lengths are one for each of it, and weights are shared. */
static bool apart_recurrent(Model *m, const Node *n, const int *at, int out, int axis) {
    bool first = has_layout(n);
    int batch = first ? 0 : out == 0 ? 2 : 1;
    (void)m;
    for (int k = 0; k < (int)n->n_in; k++) {
        Str name = op_input_name(n->op, (uint32_t)k);
        int wanted = APART_SHARED;
        if (k == 0 || str_starts(name, STR("initial_")))
            wanted = first ? 0 : 1;
        else if (str_is(name, "sequence_lens"))
            wanted = 0;
        if (n->in[k] && at[k] != wanted)
            return false;
    }
    return axis == batch;
}

/* ---- table ------------------------------------------------------------------------- */

/* clang-format off */
#define COMMON                                                                         \
    ANY_OPT("activation_alpha", ATTR_FLOATS), ANY_OPT("activation_beta", ATTR_FLOATS), \
    ANY_OPT("activations", ATTR_STRINGS), FLOAT_OPT("clip"), INT_OPT("hidden_size")
#define DIRECTIONS "forward reverse bidirectional"
#define FORWARD CHOICE("direction", "forward", DIRECTIONS)
#define STATE_IN "X W R B? sequence_lens? initial_h?"

#define RNN(first, last, ...)                                                          \
    {.name = "RNN", .since = (first), .until = (last), .in = STATE_IN,                 \
     .out = "Y? Y_h?", .attrs = {COMMON, FORWARD, __VA_ARGS__},                        \
     .facts = OP_PACKED_WEIGHTS, .apart = apart_recurrent, .macs = macs_recurrent, .infer = infer_rnn, .emit = emit_rnn}
#define GRU(first, last, ...)                                                          \
    {.name = "GRU", .since = (first), .until = (last), .in = STATE_IN,                 \
     .out = "Y? Y_h?", .attrs = {COMMON, __VA_ARGS__},                                 \
     .facts = OP_PACKED_WEIGHTS, .apart = apart_recurrent, .macs = macs_recurrent, .infer = infer_gru, .emit = emit_gru}
#define LSTM(first, last, ...)                                                         \
    {.name = "LSTM", .since = (first), .until = (last),                                \
     .in = STATE_IN " initial_c? P?", .out = "Y? Y_h? Y_c?",                           \
     .attrs = {COMMON, FORWARD, INT("input_forget", 0), __VA_ARGS__},                  \
     .facts = OP_PACKED_WEIGHTS, .apart = apart_recurrent, .macs = macs_recurrent, .infer = infer_lstm, .emit = emit_lstm}
#define RESET INT("linear_before_reset", 0)
#define LAYOUT INT("layout", 0)
#define SEQUENCE INT("output_sequence", 0)

static const OpDef ops[] = {
    RNN(1, 6, SEQUENCE),
    RNN(7, 13, {0}),
    RNN(14, 0, LAYOUT),
    GRU(1, 2, CHOICE("direction", "foward", "foward " DIRECTIONS), SEQUENCE),
    GRU(3, 6, FORWARD, RESET, SEQUENCE),
    GRU(7, 13, FORWARD, RESET),
    GRU(14, 0, FORWARD, RESET, LAYOUT),
    LSTM(1, 6, SEQUENCE),
    LSTM(7, 13, {0}),
    LSTM(14, 0, LAYOUT),
    {.name = "LstmGates", .domain = OP_INTERNAL, .since = 1, .in = "w", .out = "ordered",
     .infer = infer_same, .form = lstm_gates_form, .emit = emit_gates},
    {.name = "GruGates", .domain = OP_INTERNAL, .since = 1, .in = "w", .out = "ordered",
     .infer = infer_same, .form = gru_gates_form, .emit = emit_gates},
    {.name = "LstmLayer", .domain = OP_INTERNAL, .since = 1,
     .in = "x w_ih w_hh b_ih? b_hh? h? c?", .out = "y? h_n? c_n?",
     .attrs = {INT("reverse", 0)}, .infer = infer_layer, .macs = macs_recurrent,
     .emit = emit_lstm_layer},
    {.name = "GruLayer", .domain = OP_INTERNAL, .since = 1,
     .in = "x w_ih w_hh b_ih? b_hh? h?", .out = "y? h_n?",
     .attrs = {INT("reverse", 0)}, .infer = infer_layer, .macs = macs_recurrent,
     .emit = emit_gru_layer},
    {.name = "DynamicQuantizeLSTM", MICROSOFT,
     .in = "X W R B? sequence_lens? initial_h? initial_c? P? W_scale W_zero_point "
           "R_scale R_zero_point",
     .out = "Y? Y_h? Y_c?", .attrs = {COMMON, FORWARD, INT("input_forget", 0)},
     .infer = infer_lstm, .macs = macs_recurrent, .emit = emit_lstm},
};
/* clang-format on */

const OpFamily ops_rnn = FAMILY(ops);
