/* Random numbers.  A node with a `seed` draws the same numbers at every call; all others
 * share forward's keyword `key`.
 * Source: ONNX operators RandomNormal, RandomUniform, RandomNormalLike,
 * RandomUniformLike, Multinomial, Bernoulli, Dropout. */
#include "ops/core/apart.h"
#include "ops/core/op.h"

/* The type that the attribute says, else `other`. */
static DType out_dtype(const Node *n, DType other) {
    const OpAttr *declared = op_attr(n->op, STR("dtype"));
    bool given = attr_has(n, "dtype") || (declared && declared->has_default);
    return given ? dtype_from_onnx(attr_int(n, "dtype")) : other;
}

/* Output 0, unless `fits` says that the operator has no such type. */
static void set_drawn(Model *m, Node *n, const Shape *s, DType dtype, bool fits) {
    if (!fits && (dtype || attr_has(n, "dtype")))
        node_error(m, n, OX0401, "the attribute dtype says which type to draw",
                   "%s gives no %s", n->op->name, dtype_info(dtype)->name);
    set_type(m, n, 0, dtype, s);
}

static void infer_shaped(Model *m, Node *n) {
    Ints list;
    Shape s = {0};
    if (!attr_ints(n, "shape", &list) || list.n > OX_MAX_RANK) {
        node_error(m, n, OX0401, "", "more than %d dimensions", OX_MAX_RANK);
        return;
    }
    for (; s.rank < (int)list.n; s.rank++) {
        if (list.v[s.rank] < 0)
            node_error(m, n, OX0401, "", "a size is negative");
        s.d[s.rank] = dim_int(list.v[s.rank]);
    }
    DType dtype = out_dtype(n, DT_FLOAT);
    set_drawn(m, n, &s, dtype, dtype_is_float(dtype));
}

static void infer_like(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    DType dtype = out_dtype(n, in_dtype(n, 0));
    set_drawn(m, n, &s, dtype, dtype_is_float(dtype));
}

static void infer_bernoulli(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    DType dtype = out_dtype(n, in_dtype(n, 0));
    set_drawn(m, n, &s, dtype, dtype && dtype != DT_STRING);
}

static void infer_multinomial(Model *m, Node *n) {
    Shape s;
    if (in_shape(n, 0, &s) && s.rank != 2) {
        node_error(m, n, OX0401, "", "the input must be a matrix");
        return;
    }
    Shape out = {.rank = 2};
    out.d[0] = s.rank == 2 ? s.d[0] : fresh_dim(m, n, 0, 0);
    out.d[1] = dim_int(attr_int(n, "sample_size"));
    DType dtype = out_dtype(n, DT_INT32);
    set_drawn(m, n, &out, dtype, dtype == DT_INT32 || dtype == DT_INT64);
}

/* ---- code ------------------------------------------------------------------------ */

static const Expr *emit_source(Emit *e) {
    const Node *n = emit_node(e);
    if (!node_has(n, "seed"))
        return emit_key(e);
    bool whole = attr_get(n, "seed")->type == ATTR_INT;
    double seed = whole ? (double)attr_int(n, "seed") : attr_float(n, "seed");
    int64_t i = seed >= 0 && seed < 4294967296.0 ? (int64_t)seed : 0;
    return EX(emit_arena(e), "jax.random.key($0)", ex_int(emit_arena(e), i));
}

/* A number of the model unless it is `usual`. */
static const Expr *parameter(Emit *e, const char *name, double usual) {
    double x = attr_float(emit_node(e), name);
    if (x >= usual && x <= usual)
        return NULL;
    return emit_float(e, x, node_out(emit_node(e), 0)->type.dtype);
}

static void emit_normal(Emit *e) {
    Arena *a = emit_arena(e);
    const Value *out = node_out(emit_node(e), 0);
    const Expr *scale = parameter(e, "scale", 1), *mean = parameter(e, "mean", 0);
    const Expr *x = EX(a, "jax.random.normal($0, $1, $2)", emit_source(e),
                       emit_shape(e, out), emit_dtype(e, out->type.dtype));
    if (scale)
        x = EX(a, "$0 * $1", x, scale);
    emit_out(e, 0, mean ? EX(a, "$0 + $1", x, mean) : x);
}

static void emit_uniform(Emit *e) {
    const Value *out = node_out(emit_node(e), 0);
    emit_out(e, 0,
             EX(emit_arena(e),
                "jax.random.uniform($0, $1, $2$(, minval=$3)$(, maxval=$4))",
                emit_source(e), emit_shape(e, out), emit_dtype(e, out->type.dtype),
                parameter(e, "low", 0), parameter(e, "high", 1)));
}

/* The input holds the logarithms of probabilities that need not sum to 1. */
static void emit_multinomial(Emit *e) {
    const Value *out = node_out(emit_node(e), 0);
    Arena *a = emit_arena(e);
    const Expr *x = EX(a, "jax.random.categorical($0, $1[:, None], shape=$2)",
                       emit_source(e), emit_in(e, 0), emit_shape(e, out));
    emit_out(e, 0, EX(a, "$0.astype($1)", x, emit_dtype(e, out->type.dtype)));
}

static void emit_bernoulli(Emit *e) {
    DType dtype = node_out(emit_node(e), 0)->type.dtype;
    Arena *a = emit_arena(e);
    const Expr *x =
        EX(a, "jax.random.bernoulli($0, $1)", emit_source(e), emit_in(e, 0));
    emit_out(e, 0,
             dtype == DT_BOOL ? x : EX(a, "$0.astype($1)", x, emit_dtype(e, dtype)));
}

/* ---- Dropout --------------------------------------------------------------------- */

static void infer_dropout(Model *m, Node *n) {
    Shape s;
    infer_same(m, n);
    in_shape(n, 0, &s);
    set_type(m, n, 1, n->op->since < 10 ? in_dtype(n, 0) : DT_BOOL, &s);
}

/* Before version 7 is_test decides; versions 7 and 10 have no way to ask for training. */
static bool never_trains(const Node *n) {
    double ratio, training;
    if (op_attr(n->op, STR("is_test")))
        return attr_int(n, "is_test") != 0 || attr_float(n, "ratio") == 0;
    if (!node_has(n, "training_mode"))
        return true;
    return (get_float(n, "ratio", &ratio) && ratio == 0) ||
           (get_float(n, "training_mode", &training) && training == 0);
}

/* The share of elements to drop: 0 when training_mode turns out false at run time. */
static const Expr *dropout_ratio(Emit *e) {
    double ratio, training;
    const Node *n = emit_node(e);
    bool known = get_float(n, "ratio", &ratio);
    if (!known && !node_input(n, "ratio")) {
        known = true;
        ratio = 0.5;
    }
    if (known && !(ratio >= 0 && ratio < 1)) {
        emit_fail(e, OX0303, "", "ratio is not in [0, 1)");
        return ex_none();
    }
    const Expr *x = known ? emit_float(e, ratio, DT_FLOAT) : emit_in(e, 1);
    if (!node_has(n, "training_mode") || get_float(n, "training_mode", &training))
        return x;
    return EX(emit_arena(e), "jnp.where($0, $1, 0)", emit_in(e, 2), x);
}

static void emit_identity_dropout(Emit *e) {
    if (!emit_wants(e, 1)) {
        emit_out(e, 0, emit_in(e, 0));
        return;
    }
    const Expr *x = emit_in_named(e, 0);
    const Expr *dtype = emit_dtype(e, emit_node(e)->out[1]->type.dtype);
    emit_out(e, 0, x);
    emit_out(e, 1, EX(emit_arena(e), "jnp.ones_like($0, $1)", x, dtype));
}

/* Up to version 7 the mask has the type of the data. */
static void emit_dropout(Emit *e) {
    Arena *a = emit_arena(e);
    if (never_trains(emit_node(e))) {
        emit_identity_dropout(e);
        return;
    }
    bool masked = emit_wants(e, 1);
    DType mask = masked ? node_out(emit_node(e), 1)->type.dtype : DT_BOOL;
    const Expr *x = mask == DT_BOOL ? emit_in(e, 0) : emit_in_named(e, 0);
    const Expr *call =
        EX(a, masked ? "dropout_with_mask($0, $1, $2)" : "dropout($0, $1, $2)", x,
           dropout_ratio(e), emit_source(e));
    if (masked && mask == DT_BOOL) {
        emit_outs(e, call);
        return;
    }
    emit_out(e, 0, masked ? EX(a, "$0[0]", call) : call);
    if (masked)
        emit_out(e, 1, EX(a, "$0[1].astype($1)", call, emit_dtype(e, mask)));
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define SEED FLOAT_OPT("seed")
#define DROPOUT                                                                        \
    .out = "output mask?", .apart = apart_same, .infer = infer_dropout, .emit = emit_dropout
#define SHAPED                                                                         \
    .since = 1, .in = "", .out = "output", .facts = OP_IMPURE, .infer = infer_shaped
#define LIKE .in = "input", .out = "output", .facts = OP_IMPURE | OP_OWN_TYPE
static const OpDef ops[] = {
    {.name = "RandomNormal", SHAPED, .emit = emit_normal,
     .attrs = {INTS_REQ("shape"), INT("dtype", DT_FLOAT), SEED, FLOAT("mean", 0),
               FLOAT("scale", 1)}},
    {.name = "RandomUniform", SHAPED, .emit = emit_uniform,
     .attrs = {INTS_REQ("shape"), INT("dtype", DT_FLOAT), SEED, FLOAT("low", 0),
               FLOAT("high", 1)}},
    {.name = "RandomNormalLike", .since = 1, LIKE, .apart = apart_same,
     .infer = infer_like,
     .emit = emit_normal,
     .attrs = {INT_OPT("dtype"), SEED, FLOAT("mean", 0), FLOAT("scale", 1)}},
    {.name = "RandomUniformLike", .since = 1, LIKE, .apart = apart_same,
     .infer = infer_like,
     .emit = emit_uniform,
     .attrs = {INT_OPT("dtype"), SEED, FLOAT("low", 0), FLOAT("high", 1)}},
    {.name = "Bernoulli", .since = 15, LIKE, .apart = apart_same,
     .infer = infer_bernoulli,
     .emit = emit_bernoulli,
     .attrs = {INT_OPT("dtype"), SEED}},
    {.name = "Multinomial", .since = 7, .in = "input", .out = "output",
     .attrs = {INT("dtype", DT_INT32), SEED, INT("sample_size", 1)},
     .facts = OP_IMPURE, .infer = infer_multinomial, .emit = emit_multinomial},
    {.name = "Dropout", .since = 1, .until = 5, .in = "data", DROPOUT,
     .attrs = {FLOAT("ratio", 0.5), INT("is_test", 0), INTS_OPT("consumed_inputs")},
     .facts = OP_IMPURE},
    {.name = "Dropout", .since = 6, .until = 6, .in = "data", DROPOUT,
     .attrs = {FLOAT("ratio", 0.5), INT("is_test", 0)}, .facts = OP_IMPURE},
    {.name = "Dropout", .since = 7, .until = 9, .in = "data", DROPOUT,
     .attrs = {FLOAT("ratio", 0.5)}, .facts = OP_IDENTITY},
    {.name = "Dropout", .since = 10, .until = 11, .in = "data", DROPOUT,
     .attrs = {FLOAT("ratio", 0.5)}, .facts = OP_IDENTITY},
    {.name = "Dropout", .since = 12, .in = "data ratio? training_mode?", DROPOUT,
     .attrs = {INT_OPT("seed")}, .facts = OP_IMPURE},
};
/* clang-format on */
const OpFamily ops_random = FAMILY(ops);
