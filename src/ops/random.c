/* Random numbers.  A node with a `seed` draws the same numbers at every call; all others
 * share forward's keyword `key`.
 * Source: ONNX operators RandomNormal, RandomUniform, RandomNormalLike,
 * RandomUniformLike, Multinomial, Bernoulli. */
#include "ops/op.h"

/* The type that the attribute says, else `other`. */
static DType out_dtype(const Node *n, DType other) {
    const OpAttr *declared = op_attr(n->op, STR("dtype"));
    bool given = attr_has(n, "dtype") || (declared && declared->has_default);
    return given ? dtype_from_onnx(attr_int(n, "dtype")) : other;
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
    set_type(m, n, 0, out_dtype(n, DT_FLOAT), &s);
}

static void infer_like(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    set_type(m, n, 0, out_dtype(n, in_dtype(n, 0)), &s);
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
    set_type(m, n, 0, out_dtype(n, DT_INT32), &out);
}

/* ---- code ------------------------------------------------------------------------ */

static const Expr *emit_source(Emit *e) {
    const Node *n = emit_node(e);
    if (!attr_has(n, "seed"))
        return emit_key(e);
    double seed = attr_float(n, "seed");
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

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define SEED FLOAT_OPT("seed")
#define SHAPED                                                                         \
    .since = 1, .in = "", .out = "output", .facts = OP_IMPURE, .infer = infer_shaped
#define LIKE .in = "input", .out = "output", .facts = OP_IMPURE, .infer = infer_like
static const OpDef ops[] = {
    {.name = "RandomNormal", SHAPED, .emit = emit_normal,
     .attrs = {INTS_REQ("shape"), INT("dtype", DT_FLOAT), SEED, FLOAT("mean", 0),
               FLOAT("scale", 1)}},
    {.name = "RandomUniform", SHAPED, .emit = emit_uniform,
     .attrs = {INTS_REQ("shape"), INT("dtype", DT_FLOAT), SEED, FLOAT("low", 0),
               FLOAT("high", 1)}},
    {.name = "RandomNormalLike", .since = 1, LIKE, .emit = emit_normal,
     .attrs = {INT_OPT("dtype"), SEED, FLOAT("mean", 0), FLOAT("scale", 1)}},
    {.name = "RandomUniformLike", .since = 1, LIKE, .emit = emit_uniform,
     .attrs = {INT_OPT("dtype"), SEED, FLOAT("low", 0), FLOAT("high", 1)}},
    {.name = "Bernoulli", .since = 15, LIKE, .emit = emit_bernoulli,
     .attrs = {INT_OPT("dtype"), SEED}},
    {.name = "Multinomial", .since = 7, .in = "input", .out = "output",
     .attrs = {INT("dtype", DT_INT32), SEED, INT("sample_size", 1)},
     .facts = OP_IMPURE, .infer = infer_multinomial, .emit = emit_multinomial},
};
/* clang-format on */
const OpFamily ops_random = FAMILY(ops);
