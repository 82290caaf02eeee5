/* Operators of com.microsoft that onnxruntime's optimizer makes from several: products,
 * convolutions and their activations; and a few small ones without a family.
 * Source: ContribOperators.md of onnxruntime; its CPU kernels where the text is silent. */
#include "ops/core/apart.h"
#include "ops/core/macs.h"
#include "ops/onnx/conv.h"
#include "ops/onnx/linear.h"

/* ---- activations ------------------------------------------------------------------- */

/* $0 is the argument; $1 to $3 are the parameters that the kernel asks for. */
typedef struct Activation {
    const char *name, *text;
    int params;
} Activation;

static const Activation activations[] = {
    {"Relu", "jax.nn.relu($0)", 0},
    {"Sigmoid", "jax.nn.sigmoid($0)", 0},
    {"Tanh", "jnp.tanh($0)", 0},
    {"Softplus", "jax.nn.softplus($0)", 0},
    {"Softsign", "jax.nn.soft_sign($0)", 0},
    {"LeakyRelu", "jax.nn.leaky_relu($0, $1)", 1},
    {"Elu", "jax.nn.elu($0, $1)", 1},
    {"HardSigmoid", "jnp.clip($1 * $0 + $2, 0, 1)", 2},
    {"Clip", "jnp.clip($0, $1, $2)", 2},
};

/* activation(y); NULL after an error.  Parameters stand in one list, or in attributes
 * of their own. */
static const Expr *activated(Emit *e, const Expr *y) {
    static const char *const own[] = {"activation_alpha", "activation_beta"};
    const Node *n = emit_node(e);
    Str name = attr_str(n, "activation");
    const Attr *list =
        op_attr(n->op, STR("activation_params")) ? attr_get(n, "activation_params") : 0;
    const Expr *p[2] = {NULL, NULL};
    if (name.n == 0)
        return y;
    for (size_t i = 0; i < OX_COUNT(activations); i++) {
        const Activation *f = &activations[i];
        if (!str_is(name, f->name))
            continue;
        for (int k = 0; k < f->params; k++) {
            bool given = list ? (size_t)k < list->floats.count
                              : op_attr(n->op, str_from(own[k])) && attr_has(n, own[k]);
            if (!given) {
                emit_fail(e, OX0303, "", "parameters of the activation are missing");
                return NULL;
            }
            double value = list ? (double)list->floats.items[k] : attr_float(n, own[k]);
            p[k] = emit_float(e, value, in_dtype(n, 0));
        }
        return EX(emit_arena(e), f->text, y, p[0], p[1]);
    }
    emit_fail(e, OX0302, "", "activation \"%.*s\" is not supported", (int)name.n,
              name.p);
    return NULL;
}

static void emit_activated(Emit *e, const Expr *y) {
    y = y ? activated(e, y) : NULL;
    if (y)
        emit_out(e, 0, y);
}

/* ---- FusedMatMul, FusedGemm -------------------------------------------------------- */

/* What happens to an operand, from its attributes. */
typedef struct Operand {
    bool batch, matrix; /* its first axis becomes a row; its matrices are transposed */
} Operand;

static Operand operand(const Node *n, int i) {
    bool matrix = attr_int(n, i ? "transB" : "transA") != 0 && in_rank(n, i) > 1;
    const char *name = i ? "transBatchB" : "transBatchA";
    bool batch = op_attr(n->op, str_from(name)) && attr_int(n, name) != 0;
    return (Operand){batch && in_rank(n, i) > 2, matrix};
}

static void operand_shape(const Node *n, int i, Shape *s) {
    Operand o = operand(n, i);
    if (!in_shape(n, i, s))
        return;
    Dim first = s->d[0];
    for (int k = 0; o.batch && k < s->rank - 2; k++)
        s->d[k] = s->d[k + 1];
    if (o.batch)
        s->d[s->rank - 2] = first;
    if (o.matrix) {
        Dim last = s->d[s->rank - 1];
        s->d[s->rank - 1] = s->d[s->rank - 2];
        s->d[s->rank - 2] = last;
    }
}

static void infer_fused_matmul(Model *m, Node *n) {
    Shape a, b;
    operand_shape(n, 0, &a);
    operand_shape(n, 1, &b);
    set_product(m, n, &a, &b, in_dtype(n, 0));
}

static const Expr *operand_expr(Emit *e, int i) {
    Arena *a = emit_arena(e);
    Operand o = operand(emit_node(e), i);
    const Expr *x = emit_in(e, i);
    if (o.batch)
        x = EX(a, "jnp.moveaxis($0, 0, -2)", x);
    if (!o.matrix)
        return x;
    return ex_attribute(a, x, in_rank(emit_node(e), i) == 2 ? STR("T") : STR("mT"));
}

static void emit_fused_matmul(Emit *e) {
    if (in_rank(emit_node(e), 0) < 0 || in_rank(emit_node(e), 1) < 0) {
        emit_fail(e, OX0403, "", "the ranks of A and B are not known");
        return;
    }
    const Expr *a = operand_expr(e, 0), *b = operand_expr(e, 1);
    const Expr *y = scaled(e, "alpha", EX(emit_arena(e), "$0 @ $1", a, b));
    if (op_attr(emit_node(e)->op, STR("activation")))
        emit_activated(e, y);
    else
        emit_out(e, 0, y);
}

static void infer_matmul_gelu(Model *m, Node *n) {
    Shape a, b;
    in_shape(n, 0, &a);
    in_shape(n, 1, &b);
    set_product(m, n, &a, &b, in_dtype(n, 0));
}

static void emit_fused_gemm(Emit *e) {
    emit_activated(e, gemm_expr(e));
}

/* ---- FusedConv, NhwcConv ----------------------------------------------------------- */

static void infer_fused_conv(Model *m, Node *n) {
    Shape s;
    infer_conv(m, n);
    const Value *y = node_out(n, 0);
    if (!node_in(n, 3) || !y || y->type.rank < 1)
        return;
    s.rank = y->type.rank;
    memcpy(s.d, y->type.dims, (size_t)s.rank * sizeof s.d[0]);
    broadcast_onto(m, n, 3, &s);
}

/* Z is added before the activation. */
static void emit_fused_conv(Emit *e) {
    const Expr *y = conv_expr(e);
    if (y && node_in(emit_node(e), 3))
        y = EX(emit_arena(e), "$0 + $1", y, emit_in(e, 3));
    emit_activated(e, y);
}

/* W is (M, ..., C / group) in what onnxruntime's own tools write, although the text
 * says otherwise. */
static void infer_nhwc_conv(Model *m, Node *n) {
    ChannelsView view;
    if (channels_view(m, n, 2, &view))
        infer_conv(m, &view.node);
    channels_last_type(m, n);
}

static void emit_nhwc_conv(Emit *e) {
    Arena *a = emit_arena(e);
    ChannelsView view;
    if (!channels_view(emit_model(e), emit_node(e), 2, &view)) {
        emit_fail(e, OX0403, "", "the rank of X or W is not known");
        return;
    }
    const Expr *x = EX(a, "jnp.moveaxis($0, -1, 1)", emit_in(e, 0));
    bool pointwise = conv_is_pointwise(&view.node);
    const Expr *weights =
        EX(a, pointwise ? "jnp.moveaxis($0, -1, 1)" : "jnp.moveaxis($0, 0, -1)",
           emit_in(e, 1));
    const Expr *y = conv_of(e, &view.node, x, weights);
    if (y)
        emit_out(e, 0, EX(a, "jnp.moveaxis($0, 1, -1)", y));
}

/* Here W has channels second. */
static void infer_nhwc_fused(Model *m, Node *n) {
    ChannelsView view;
    if (channels_view(m, n, 1, &view))
        infer_conv(m, &view.node);
    channels_last_type(m, n);
}

static void emit_nhwc_fused(Emit *e) {
    Arena *a = emit_arena(e);
    ChannelsView view;
    if (!channels_view(emit_model(e), emit_node(e), 1, &view)) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return;
    }
    const Expr *x = EX(a, "jnp.moveaxis($0, -1, 1)", emit_in(e, 0));
    const Node *n = emit_node(e);
    const Expr *weights = conv_form(n, 1) ? emit_in_form(e, 1) : emit_in(e, 1);
    const Expr *y = conv_of(e, &view.node, x, weights);
    if (y)
        y = EX(a, "jnp.moveaxis($0, 1, -1)$( + $1)", y, emit_in(e, 3));
    emit_activated(e, y);
}

/* ---- bias and activation ----------------------------------------------------------- */

static void emit_fast_gelu(Emit *e) {
    emit_out(e, 0,
             emit_template(e, node_in(emit_node(e), 1) ? "jax.nn.gelu($X + $bias)"
                                                       : "jax.nn.gelu($X)"));
}

static void infer_biased(Model *m, Node *n) {
    Shape s;
    infer_same(m, n);
    if (node_in(n, 1) && in_shape(n, 0, &s))
        broadcast_onto(m, n, 1, &s);
}

static void infer_split_gelu(Model *m, Node *n) {
    Shape s;
    infer_biased(m, n);
    if (!in_shape(n, 0, &s) || s.rank < 1)
        return;
    Dim *last = &s.d[s.rank - 1];
    if (dim_is_int(*last) && last->c % 2 != 0)
        node_error(m, n, OX0401, "", "the last axis of X has odd size");
    *last = dim_floordiv(&m->dims, *last, dim_int(2));
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_split_gelu(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (in_rank(n, 0) < 1) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return;
    }
    Dim size = in_dim(n, 0, in_rank(n, 0) - 1);
    const Expr *half =
        emit_dim(e, dim_floordiv(&emit_model(e)->dims, size, dim_int(2)));
    const Expr *x = emit_let(e, "biased", emit_template(e, "$X + $bias"));
    emit_out(e, 0, EX(a, "$0[..., :$1] * gelu($2[..., $3:])", x, half, x, half));
}

static void infer_bias_dropout(Model *m, Node *n) {
    Shape s;
    infer_biased(m, n);
    if (in_shape(n, 0, &s))
        set_type(m, n, 1, DT_BOOL, &s);
    else
        set_unranked(m, n, 1, DT_BOOL);
}

/* data + bias + residual; nothing is dropped outside of training. */
static void emit_bias_dropout(Emit *e) {
    Arena *a = emit_arena(e);
    const Known *training = in_known(emit_node(e), 4);
    bool known = training && training->n == 1 && training->ints;
    if (node_in(emit_node(e), 4) && !(known && dim_is(training->ints[0], 0))) {
        emit_fail(e, OX0302, "save the model for inference",
                  "dropout in training is not supported");
        return;
    }
    const Expr *y =
        EX(a, "$0 + $1$( + $2)", emit_in(e, 0), emit_in(e, 1), emit_in(e, 2));
    if (emit_wants(e, 1))
        emit_out(e, 1, EX(a, "jnp.ones($0.shape, bool)", emit_in_named(e, 0)));
    emit_out(e, 0, y);
}

/* ---- small ones -------------------------------------------------------------------- */

static void infer_square(Model *m, Node *n) {
    int rank = in_rank(n, 0);
    infer_same(m, n);
    if (rank == 0 || rank == 1 ||
        (rank > 1 &&
         dim_known_eq(&m->dims, in_dim(n, 0, rank - 2), in_dim(n, 0, rank - 1)) == 0))
        node_error(m, n, OX0401, "", "X holds no square matrices");
}

/* jnp.linalg starts at float32. */
static void emit_inverse(Emit *e) {
    Arena *a = emit_arena(e);
    DType dtype = in_dtype(emit_node(e), 0);
    const Expr *x = emit_in(e, 0);
    bool wide = dtype == DT_FLOAT || dtype == DT_DOUBLE;
    emit_out(e, 0,
             wide ? EX(a, "jnp.linalg.inv($0)", x)
                  : EX(a, "jnp.linalg.inv($0.astype(jnp.float32)).astype($1)", x,
                       emit_dtype(e, dtype)));
}

static void infer_cdist(Model *m, Node *n) {
    Shape a, b;
    bool known = in_shape(n, 0, &a);
    if (!in_shape(n, 1, &b) || !known) {
        set_rank(m, n, 0, in_dtype(n, 0), 2);
        return;
    }
    if (a.rank != 2 || b.rank != 2 || dim_known_eq(&m->dims, a.d[1], b.d[1]) == 0) {
        node_error(m, n, OX0401, "", "A and B must be matrices with rows of one size");
        return;
    }
    set_type(m, n, 0, in_dtype(n, 0), &(Shape){.rank = 2, .d = {a.d[0], b.d[0]}});
}

static void infer_unfold(Model *m, Node *n) {
    Shape s;
    int axis;
    int64_t size = attr_int(n, "size"), step = attr_int(n, "step");
    if (!in_shape(n, 0, &s) || s.rank + 1 > OX_MAX_RANK) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    if (!fix_axis(m, n, attr_int(n, "dim"), s.rank, &axis))
        return;
    if (size < 1 || step < 1 || (dim_is_int(s.d[axis]) && s.d[axis].c < size)) {
        node_error(m, n, OX0401, "", "slices of %lld do not fit", (long long)size);
        return;
    }
    Dim more = dim_sub(&m->dims, s.d[axis], dim_int(size));
    more = dim_floordiv(&m->dims, more, dim_int(step));
    s.d[axis] = dim_add(&m->dims, more, dim_int(1));
    s.d[s.rank++] = dim_int(size);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_unfold(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int axis, rank = in_rank(n, 0);
    if (rank < 1) {
        emit_fail(e, OX0403, "", "the rank of the input is not known");
        return;
    }
    if (!fix_axis(emit_model(e), n, attr_int(n, "dim"), rank, &axis))
        return;
    const Expr *call =
        EX(a, "unfold($0, $1)", emit_in(e, 0), ex_int(a, attr_int(n, "size")));
    call = call_with(e, call, "step", ex_int(a, attr_int(n, "step")));
    emit_out(e, 0, call_with(e, call, "axis", ex_int(a, axis == rank - 1 ? -1 : axis)));
}

static void emit_cdist(Emit *e) {
    const char *sum = "jnp.sum(jnp.square($A[:, None] - $B[None]), axis=-1)";
    const char *root = "jnp.sqrt(jnp.sum(jnp.square($A[:, None] - $B[None]), axis=-1))";
    bool squared = attr_is(emit_node(e), "metric", "sqeuclidean");
    emit_out(e, 0, emit_template(e, squared ? sum : root));
}

static bool apart_fused_matmul(Model *m, const Node *n, const int *at, int out,
                               int axis) {
    bool plain = true;
    static const char *const flags[] = {"transA", "transB", "transBatchA",
                                        "transBatchB"};
    (void)m;
    for (size_t i = 0; i < OX_COUNT(flags); i++)
        plain = plain && !attr_int(n, flags[i]);
    int rank = n->out[out]->type.rank;
    bool batch =
        axis < rank - 2 && !attr_int(n, "transBatchA") && !attr_int(n, "transBatchB");
    return (plain || batch) && apart_matmul(n, at, 0, 1, axis);
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "FusedMatMul", MICROSOFT, .in = "A B", .out = "Y",
     .attrs = {FLOAT("alpha", 1.0), INT("transA", 0), INT("transB", 0),
               INT("transBatchA", 0), INT("transBatchB", 0)},
     .facts = OP_CONTRACTS, .apart = apart_fused_matmul,
     .infer = infer_fused_matmul, .macs = macs_product, .emit = emit_fused_matmul},
    {.name = "TransposeMatMul", MICROSOFT, .in = "A B", .out = "Y",
     .attrs = {FLOAT("alpha", 1.0), INT("transA", 0), INT("transB", 0)},
     .facts = OP_CONTRACTS, .infer = infer_fused_matmul, .macs = macs_product, .emit = emit_fused_matmul},
    {.name = "FusedMatMulActivation", MICROSOFT, .in = "A B", .out = "Y",
     .attrs = {FLOAT("alpha", 1.0), INT("transA", 0), INT("transB", 0),
               INT("transBatchA", 0), INT("transBatchB", 0), STRING_REQ("activation"),
               FLOAT_OPT("activation_alpha"), INT_OPT("activation_axis"),
               FLOAT_OPT("activation_beta"), FLOAT_OPT("activation_gamma")},
     .facts = OP_CONTRACTS, .infer = infer_fused_matmul, .macs = macs_product, .emit = emit_fused_matmul},
    {.name = "FusedGemm", MICROSOFT, .in = "A B C?", .out = "Y",
     .attrs = {GEMM_ATTRS, STRING_OPT("activation"), FLOAT_OPT("activation_alpha"),
               FLOAT_OPT("activation_beta"), FLOAT_OPT("activation_gamma")},
     .facts = OP_CONTRACTS, .apart = apart_gemm,
     .infer = infer_gemm, .macs = macs_product, .emit = emit_fused_gemm},
    {.name = "FusedConv", MICROSOFT, .in = "X W B? Z?", .out = "Y",
     .attrs = {CONV_ATTRS, STRING_OPT("activation"),
               ANY_OPT("activation_params", ATTR_FLOATS)},
     .facts = OP_CONTRACTS, .batch = "X Z", .form = conv_form,
     .infer = infer_fused_conv, .macs = macs_conv, .emit = emit_fused_conv},
    {.name = "NhwcConv", MICROSOFT, .in = "X W B?", .out = "Y",
     .attrs = {CONV_ATTRS}, .facts = OP_CONTRACTS, .batch = "X",
     .infer = infer_nhwc_conv, .macs = macs_conv, .emit = emit_nhwc_conv},
    {.name = "NhwcFusedConv", MICROSOFT, .in = "X W B? Z?", .out = "Y",
     .attrs = {CONV_ATTRS, STRING_OPT("activation"),
               ANY_OPT("activation_params", ATTR_FLOATS)},
     .facts = OP_CONTRACTS, .form = conv_form,
     .infer = infer_nhwc_fused, .macs = macs_conv, .emit = emit_nhwc_fused},
    {.name = "FastGelu", MICROSOFT, .in = "X bias?", .out = "Y", .lifted = "bias",
     .apart = apart_before_last, .infer = infer_biased, .emit = emit_fast_gelu},
    {.name = "GemmFastGelu", MICROSOFT, .in = "X W bias?", .out = "Y",
     .lifted = "bias", .facts = OP_CONTRACTS | OP_LINEAR,
     .infer = infer_matmul_gelu, .macs = macs_product,
     .jax = "jax.nn.gelu($X @ $W$( + $bias))"},
    {.name = "BiasAdd", MICROSOFT, .in = "X bias skip", .out = "Y", .lifted = "bias skip",
     .infer = infer_biased, .jax = "$X + $bias + $skip"},
    {.name = "BiasDropout", MICROSOFT,
     .in = "data bias residual? ratio? training_mode?", .out = "output mask?",
     .lifted = "bias residual",
     .attrs = {INT_OPT("seed")}, .infer = infer_bias_dropout, .emit = emit_bias_dropout},
    {.name = "UnfoldTensor", MICROSOFT, .in = "input", .out = "output",
     .attrs = {INT("dim", -1), INT_REQ("size"), INT("step", 1)},
     .infer = infer_unfold, .emit = emit_unfold},
    {.name = "BiasGelu", MICROSOFT, .in = "A B", .out = "C", .lifted = "B",
     .apart = apart_before_last,
     .infer = infer_biased, .jax = "gelu($A + $B)"},
    {.name = "BiasSplitGelu", MICROSOFT, .in = "X bias", .out = "Y", .lifted = "bias",
     .apart = apart_before_last, .infer = infer_split_gelu, .emit = emit_split_gelu},
    {.name = "Inverse", MICROSOFT, .in = "X", .out = "Y",
     .apart = apart_before_matrix, .infer = infer_square, .emit = emit_inverse},
    {.name = "CDist", MICROSOFT, .in = "A B", .out = "C",
     .attrs = {SUPPORTED("metric", "sqeuclidean", "sqeuclidean euclidean")},
     .infer = infer_cdist, .emit = emit_cdist},
};
/* clang-format on */

const OpFamily ops_ms_fused = FAMILY(ops);
