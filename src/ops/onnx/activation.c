/* Activation functions, which jax.nn mostly has under the same names, and softmax with
 * its relatives.  Before opset 13 those work on a matrix into which the input is
 * flattened at `axis`: the same as one softmax over all axes from `axis` on. */
#include "ops/core/apart.h"
#include "ops/core/op.h"

/* ---- functions of one element ---------------------------------------------------- */

static void emit_gelu(Emit *e) {
    bool tanh = attr_is(emit_node(e), "approximate", "tanh");
    emit_out(e, 0, emit_template(e, tanh ? "jax.nn.gelu($X)" : "gelu($X)"));
}

static void emit_hard_sigmoid(Emit *e) {
    float alpha = (float)attr_float(emit_node(e), "alpha");
    float beta = (float)attr_float(emit_node(e), "beta");
    const char *text = "jnp.clip($alpha * $X + $beta, 0, 1)";
    if (alpha == 1.0F / 6.0F && beta == 0.5F)
        text = "jax.nn.hard_sigmoid($X)";
    emit_out(e, 0, emit_template(e, text));
}

/* jax.nn.selu has the constants of Selu-6 as doubles; ONNX rounds them to float32. */
static void emit_selu(Emit *e) {
    const Node *n = emit_node(e);
    float alpha = (float)attr_float(n, "alpha"), gamma = (float)attr_float(n, "gamma");
    bool usual = alpha == 1.67326319217681884765625F &&
                 gamma == 1.05070102214813232421875F && in_dtype(n, 0) != DT_DOUBLE;
    emit_out(e, 0,
             emit_template(e, usual ? "jax.nn.selu($X)"
                                    : "$gamma * jax.nn.elu($X, $alpha)"));
}

static void emit_swish(Emit *e) {
    bool plain = attr_float(emit_node(e), "alpha") == 1;
    emit_out(e, 0,
             emit_template(e, plain ? "jax.nn.silu($X)"
                                    : "$X * jax.nn.sigmoid($alpha * $X)"));
}

static void emit_swiglu(Emit *e) {
    bool plain = attr_float(emit_node(e), "alpha") == 1;
    emit_out(e, 0,
             emit_template(e, plain ? "jax.nn.silu($A) * $B"
                                    : "$A * jax.nn.sigmoid($alpha * $A) * $B"));
}

/* Integers stay integers although the bounds are floats. */
static void emit_shrink(Emit *e) {
    Arena *a = emit_arena(e);
    DType dtype = in_dtype(emit_node(e), 0);
    const char *text = "jnp.where($input < -$lambd, $input + $bias, "
                       "jnp.where($input > $lambd, $input - $bias, 0))";
    if (dtype_is_float(dtype)) {
        emit_out(e, 0, emit_template(e, text));
        return;
    }
    const Expr *x = emit_let(e, "x", emit_template(e, "$input.astype(float)"));
    const Expr *bias = emit_template(e, "$bias"), *limit = emit_template(e, "$lambd");
    const Expr *y =
        EX(a, "jnp.where($0 < -$1, $0 + $2, jnp.where($0 > $1, $0 - $2, 0))", x, limit,
           bias);
    emit_out(e, 0, EX(a, "$0.astype($1)", y, emit_dtype(e, dtype)));
}

/* ---- PRelu ----------------------------------------------------------------------- */

/* Until opset 6 a slope of one axis belongs to the channels, axis 1 of X. */
static const Expr *channel_slope(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, 0);
    if (in_rank(n, 1) != 1 || dim_is(in_dim(n, 1, 0), 1) || rank <= 2)
        return emit_in_lifted(e, 1, rank);
    const Expr *items[OX_MAX_RANK];
    for (int i = 0; i < rank; i++)
        items[i] = i == 1 ? ex_slice(a, NULL, NULL, NULL) : ex_none();
    return ex_index(a, emit_in(e, 1), items, (size_t)rank);
}

static void infer_same_types(Model *m, Node *n) {
    (void)same_types(m, n, 0);
    infer_same(m, n);
}

static void emit_prelu(Emit *e) {
    const Expr *x = emit_in_named(e, 0);
    const Expr *slope = emit_node(e)->opset < 7 ? channel_slope(e) : emit_operand(e, 1);
    emit_out(e, 0, EX(emit_arena(e), "jnp.where($0 < 0, $1 * $0, $0)", x, slope));
}

/* ---- softmax --------------------------------------------------------------------- */

static void infer_axis(Model *m, Node *n) {
    int axis, rank = in_rank(n, 0);
    if (rank > 0)
        (void)fix_axis(m, n, attr_int(n, "axis"), rank, &axis);
    infer_same(m, n);
}

/* Until opset 12: the axes from `axis` on; those of size 1 change nothing, and over many
 * XLA may compute the maximum apart from what it is subtracted from. */
static const Expr *flattened_axes(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, 0), axis;
    int64_t given = attr_int(n, "axis");
    if (rank < 0)
        return EX(a, "tuple(range($0, $1.ndim))", ex_int(a, given),
                  emit_in_named(e, 0));
    if (rank == 0 || !fix_axis(emit_model(e), n, given, rank, &axis))
        return ex_int(a, -1);
    int64_t axes[OX_MAX_RANK];
    size_t count = 0;
    for (; axis < rank; axis++)
        if (!dim_is(in_dim(n, 0, axis), 1))
            axes[count++] = axis;
    if (count == 0 || (count == 1 && axes[0] == rank - 1))
        return ex_int(a, -1);
    return count == 1 ? ex_int(a, axes[0]) : ex_ints(a, EX_TUPLE, axes, count);
}

static void emit_old_softmax(Emit *e) {
    const Expr *axes = flattened_axes(e);
    const Expr *call = EX(emit_arena(e), "softmax($0)", emit_in(e, 0));
    emit_out(e, 0, call_with(e, call, "axis", axes));
}

static void infer_bias_softmax(Model *m, Node *n) {
    Shape s;
    infer_axis(m, n);
    if (in_shape(n, 0, &s))
        broadcast_onto(m, n, 1, &s);
}

/* onnxruntime finds it as Add and Softmax; how the bias broadcasts is in its shape. */
static void emit_bias_softmax(Emit *e) {
    const Expr *axes = flattened_axes(e);
    const Expr *call =
        EX(emit_arena(e), "softmax($0 + $1)", emit_in_named(e, 0), emit_in(e, 1));
    emit_out(e, 0, call_with(e, call, "axis", axes));
}

static void emit_old_log_softmax(Emit *e) {
    const Expr *axes = flattened_axes(e);
    const Expr *call = EX(emit_arena(e), "log_softmax($0)", emit_in(e, 0));
    emit_out(e, 0, call_with(e, call, "axis", axes));
}

static void emit_old_hardmax(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, 0);
    int64_t axis = attr_int(n, "axis");
    if (rank == 1 || axis == -1 || axis == rank - 1) {
        emit_out(e, 0, EX(a, "hardmax($0)", emit_in(e, 0)));
        return;
    }
    const Expr *x = emit_in_named(e, 0);
    const Expr *columns = axis == 0 ? ex_ints(a, EX_TUPLE, (const int64_t[]){1, -1}, 2)
                                    : EX(a, "(*$0.shape[:$1], -1)", x, ex_int(a, axis));
    emit_out(e, 0, EX(a, "hardmax($0.reshape($1)).reshape($0.shape)", x, columns));
}

/* The bias has size 1 where it is broadcast. */
static bool apart_bias_softmax(Model *m, const Node *n, const int *at, int out,
                               int axis) {
    int64_t first = attr_int(n, "axis");
    first += first < 0 ? in_rank(n, 0) : 0;
    return axis < first && at[0] == axis && apart_broadcast(m, n, at, out, axis);
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define UNARY(op, v, x, y, python)                                                     \
    {.name = (op), .since = (v), .in = (x), .out = (y), .facts = OP_ELEMENTWISE,       \
     .infer = infer_same, .jax = (python)}
#define ALPHA(op, v, default_alpha, python)                                            \
    {.name = (op), .since = (v), .in = "X", .out = "Y", .facts = OP_ELEMENTWISE,       \
     .attrs = {FLOAT("alpha", default_alpha)}, .infer = infer_same, .jax = (python)}
#define OVER_AXIS(op, fact, callback, python)                                          \
    {.name = (op), .since = 1, .until = 12, .in = "input", .out = "output",            \
     .attrs = {INT("axis", 1)}, .facts = (fact), .apart = apart_before_axis,           \
     .past = past_lowest, .infer = infer_axis, .emit = (callback)},                    \
    {.name = (op), .since = 13, .in = "input", .out = "output",                        \
     .attrs = {INT("axis", -1)}, .facts = (fact), .apart = apart_off_axes,             \
     .past = past_lowest, .infer = infer_axis, .jax = (python)}

static const OpDef ops[] = {
    /*    name       opset inputs   output    JAX                                    */
    UNARY("Relu",      1,  "X",     "Y",      "jax.nn.relu($X)"),
    UNARY("Sigmoid",   1,  "X",     "Y",      "sigmoid($X)"),
    UNARY("Tanh",      1,  "input", "output", "jnp.tanh($input)"),
    UNARY("Softplus",  1,  "X",     "Y",      "softplus($X)"),
    UNARY("Softsign",  1,  "input", "output", "jax.nn.soft_sign($input)"),
    UNARY("HardSwish", 14, "X",     "Y",      "jax.nn.hard_swish($X)"),
    UNARY("Mish",      18, "X",     "Y",      "jax.nn.mish($X)"),
    ALPHA("LeakyRelu",       1,  0.01, "jax.nn.leaky_relu($X$(, $alpha|0.01))"),
    ALPHA("Elu",             1,  1.0,  "jax.nn.elu($X$(, $alpha|1.0))"),
    ALPHA("Celu",            12, 1.0,  "jax.nn.celu($X$(, $alpha|1.0))"),
    ALPHA("ThresholdedRelu", 10, 1.0,  "jnp.where($X > $alpha, $X, 0)"),

    {.name = "Gelu", .since = 20, .in = "X", .out = "Y",
     .attrs = {CHOICE("approximate", "none", "none tanh")}, .facts = OP_ELEMENTWISE,
     .infer = infer_same, .emit = emit_gelu},
    {.name = "Gelu", MICROSOFT, .in = "X", .out = "Y", .facts = OP_ELEMENTWISE,
     .infer = infer_same, .jax = "gelu($X)"},
    {.name = "QuickGelu", MICROSOFT, .in = "X", .out = "Y",
     .attrs = {FLOAT("alpha", 1.702)}, .facts = OP_ELEMENTWISE, .infer = infer_same,
     .emit = emit_swish},
    {.name = "HardSigmoid", .since = 1, .in = "X", .out = "Y",
     .attrs = {FLOAT("alpha", 0.2), FLOAT("beta", 0.5)}, .facts = OP_ELEMENTWISE,
     .infer = infer_same, .emit = emit_hard_sigmoid},
    {.name = "Selu", .since = 1, .until = 5, .in = "X", .out = "Y",
     .attrs = {FLOAT("alpha", 1.6732), FLOAT("gamma", 1.0507)}, .facts = OP_ELEMENTWISE,
     .infer = infer_same, .emit = emit_selu},
    {.name = "Selu", .since = 6, .in = "X", .out = "Y",
     .attrs = {FLOAT("alpha", 1.67326319217681884765625),
               FLOAT("gamma", 1.05070102214813232421875)},
     .facts = OP_ELEMENTWISE, .infer = infer_same, .emit = emit_selu},
    {.name = "Swish", .since = 24, .in = "X", .out = "Y",
     .attrs = {FLOAT("alpha", 1.0)}, .facts = OP_ELEMENTWISE, .infer = infer_same,
     .emit = emit_swish},
    {.name = "SwiGLU", .since = 28, .in = "A B", .out = "Y",
     .attrs = {FLOAT("alpha", 1.0)}, .apart = apart_broadcast,
     .infer = infer_same_types, .emit = emit_swiglu},
    {.name = "Shrink", .since = 9, .in = "input", .out = "output",
     .attrs = {FLOAT("bias", 0.0), FLOAT("lambd", 0.5)}, .facts = OP_ELEMENTWISE,
     .infer = infer_same, .emit = emit_shrink},
    {.name = "PRelu", .since = 1, .until = 6, .in = "X slope", .out = "Y",
     .infer = infer_same_types, .emit = emit_prelu},
    {.name = "PRelu", .since = 7, .in = "X slope", .out = "Y", .facts = OP_BROADCAST,
     .infer = infer_same_types, .emit = emit_prelu},

    {.name = "BiasSoftmax", MICROSOFT, .in = "data bias", .out = "output",
     .lifted = "bias",
     .attrs = {INT("axis", 1), INT_REQ("is_inner_broadcast")},
     .apart = apart_bias_softmax,
     .infer = infer_bias_softmax, .emit = emit_bias_softmax},
    OVER_AXIS("Softmax", OP_PROBABILITIES, emit_old_softmax,
              "softmax($input, axis=$axis)"),
    OVER_AXIS("LogSoftmax", 0, emit_old_log_softmax,
              "log_softmax($input, axis=$axis)"),
    OVER_AXIS("Hardmax", 0, emit_old_hardmax, "hardmax($input, axis=$axis)"),
};
/* clang-format on */

const OpFamily ops_activation = FAMILY(ops);
