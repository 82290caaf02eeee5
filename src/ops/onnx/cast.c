/* Conversions of the element type.  JAX's astype agrees with ONNX where ONNX defines
 * the result: truncation towards zero, wrap-around between integers, rounding to
 * nearest even; float8 types saturate by default, which is written out as a clip.
 * Source: ONNX operators Cast (with the tables of versions 19 and 24), CastLike,
 * BitCast. */
#include "ops/core/apart.h"
#include "ops/core/evals.h"
#include "ops/core/layout.h"
#include "ops/core/nested.h"

/* Cast-1 names the type: "FLOAT", "INT64", ... */
static DType dtype_from_name(Str name) {
    static const struct {
        const char *name;
        DType dtype;
    } names[] = {
#define OX_DTYPE_NAME(e, number, name, bits, cls, st, py) {#e, DT_##e},
        OX_DTYPES(OX_DTYPE_NAME)
#undef OX_DTYPE_NAME
    };
    for (size_t i = 0; i < OX_COUNT(names); i++)
        if (str_is(name, names[i].name))
            return names[i].dtype;
    return DT_UNDEFINED;
}

static bool is_cast_like(const Node *n) {
    return op_input_index(n->op, STR("target_type")) >= 0;
}

static DType cast_target(const Node *n) {
    if (is_cast_like(n))
        return in_dtype(n, 1);
    const Attr *to = attr_get(n, "to");
    if (!to)
        return DT_UNDEFINED;
    return to->type == ATTR_STRING ? dtype_from_name(to->s) : dtype_from_onnx(to->i);
}

static void infer_cast(Model *m, Node *n) {
    Shape s;
    DType to = cast_target(n);
    if (!to && !is_cast_like(n))
        node_error(m, n, OX0303, "", "attribute to names no element type");
    in_shape(n, 0, &s);
    set_type(m, n, 0, to, &s);
}

/* ---- evaluation ------------------------------------------------------------------ */

/* Keeps the low bits of x, as two's complement for signed types. */
static int64_t wrap(DType to, int64_t x) {
    const DTypeInfo *info = dtype_info(to);
    if (info->bits >= 64)
        return x;
    uint64_t low = (uint64_t)x & (((uint64_t)1 << info->bits) - 1);
    uint64_t sign = info->cls == DC_INT ? (uint64_t)1 << (info->bits - 1) : 0;
    return (int64_t)(low ^ sign) - (int64_t)sign;
}

static bool cast_int(Model *m, DType to, Dim x, Dim *result) {
    if (dtype_info(to)->cls == DC_BOOL) {
        int zero = dim_known_eq(&m->dims, x, dim_int(0));
        *result = dim_int(zero == 0);
        return zero >= 0;
    }
    *result = dim_is_int(x) ? dim_int(wrap(to, x.c)) : x;
    return true;
}

static bool cast_float(DType to, double x, Dim *result) {
    if (dtype_info(to)->cls == DC_BOOL) {
        *result = dim_int(x != 0);
        return true;
    }
    if (!(x > -9e15 && x < 9e15) || !int_fits(to, (int64_t)x))
        return false;
    *result = dim_int((int64_t)x);
    return true;
}

static bool cast_one(Model *m, DType to, const Known *from, size_t i, Known *k) {
    if (k->ints)
        return from->ints ? cast_int(m, to, from->ints[i], &known_ints(k)[i])
                          : cast_float(to, from->floats[i], &known_ints(k)[i]);
    double *x = &known_floats(k)[i];
    if (from->ints && !dim_is_int(from->ints[i]))
        return false;
    *x = from->ints ? (double)from->ints[i].c : from->floats[i];
    return dtype_round(to, x);
}

/* Floats that follow from sizes back to integers. */
static void eval_reals(Model *m, Node *n, DType to) {
    const Reals *from = n->in[0]->reals;
    Known *k = to == DT_INT64 || to == DT_INT32 ? known_new(m, to, from->n) : NULL;
    for (size_t i = 0; k && i < k->n; i++)
        if (!real_to_int(m, &from->items[i], &known_ints(k)[i]))
            return;
    if (k && !m->dims.overflow)
        set_known(n, 0, k);
}

static void eval_cast(Model *m, Node *n) {
    DType to = cast_target(n);
    const Value *x = node_in(n, 0);
    if (x && x->reals)
        eval_reals(m, n, to);
    const Known *from = in_known(n, 0);
    Known *k = from ? known_new(m, to, from->n) : NULL;
    for (size_t i = 0; k && i < k->n; i++)
        if (!cast_one(m, to, from, i, k))
            return;
    if (k)
        set_known(n, 0, k);
}

/* ---- code ------------------------------------------------------------------------ */

/* The largest value of a float8 type; 0 for all others. */
static double float8_max(DType t) {
    switch (t) {
    case DT_FLOAT8E4M3FN:
        return 448;
    case DT_FLOAT8E4M3FNUZ:
        return 240;
    case DT_FLOAT8E5M2:
    case DT_FLOAT8E5M2FNUZ:
        return 57344;
    default:
        return 0;
    }
}

static bool is_float6(DType t) {
    return t == DT_FLOAT6E2M3 || t == DT_FLOAT6E3M2;
}

/* Values of 6 bits lie in arrays of wider floats. */
static bool is_wide_float(DType t) {
    return is_float6(t) || t == DT_FLOAT || t == DT_DOUBLE || t == DT_FLOAT16 ||
           t == DT_BFLOAT16;
}

static const Expr *emit_cast_e8m0(Emit *e, const Expr *x) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Str mode =
        op_attr(n->op, STR("round_mode")) ? attr_str(n, "round_mode") : STR("up");
    const Expr *call = EX(a, "float8_e8m0($0)", x);
    call = call_with(e, call, "rounding", ex_str(a, mode));
    return call_with(e, call, "saturate", ex_bool(a, attr_int(n, "saturate") != 0));
}

/* As ml_dtypes: to the nearest value, ties to even, the largest where it is too large. */
static const Expr *round_float6(Emit *e, DType from, DType to, const Expr *x) {
    Arena *a = emit_arena(e);
    if (!is_wide_float(from))
        x = EX(a, "$0.astype(jnp.float32)", x);
    return EX(a,
              to == DT_FLOAT6E2M3 ? "round_small_float($0, 3, 0, 7.5)"
                                  : "round_small_float($0, 2, -2, 28.0)",
              x);
}

static void emit_cast(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    DType from = in_dtype(n, 0), to = cast_target(n);
    const Expr *x = emit_in(e, 0);
    if (from == to) {
        emit_out(e, 0, x);
        return;
    }
    if (from == DT_STRING || to == DT_STRING) {
        emit_fail(e, OX0302, "keep text outside the model", "JAX has no strings");
        return;
    }
    if (!to) {
        emit_fail(e, OX0402, "", "the type to cast to is not known");
        return;
    }
    if (is_wide_float(from) && dtype_is_int(to) && dtype_info(to)->bits < 8)
        x = EX(a, "$0.astype(jnp.int32)", x); /* wraps around, as the reference does */
    if (is_float6(to)) {
        emit_out(e, 0, round_float6(e, from, to, x));
        return;
    }
    double max = float8_max(to);
    if ((max > 0 || to == DT_FLOAT8E8M0) && from != DT_BOOL && !is_wide_float(from))
        x = EX(a, "$0.astype($1)", x, emit_dtype(e, DT_FLOAT));
    if (to == DT_FLOAT8E8M0) {
        emit_out(e, 0, emit_cast_e8m0(e, x));
        return;
    }
    if (max > 0 && from != DT_BOOL && attr_int(n, "saturate") != 0)
        x = EX(a, "jnp.clip($0, $1, $2)", x, emit_float(e, -max, DT_DOUBLE),
               emit_float(e, max, DT_DOUBLE));
    emit_out(e, 0,
             EX(a, "$0.astype($1)", x,
                is_cast_like(n) ? emit_dtype_of(e, 1) : emit_dtype(e, to)));
}

Node *cast_node(Model *m, Graph *g, const Node *like, Value *from, Value *to) {
    Node *n = node_beside(m, like, 1, 1, 1);
    if (!n)
        return NULL;
    n->graph = g;
    node_set_op(n, op_find((Str){0}, STR("Cast"), OP_NEWEST_OPSET));
    n->attrs[n->n_attrs++] = attr_of_int(STR("to"), to->type.dtype);
    n->in[0] = from;
    node_make(n, 0, to);
    return n;
}

/* ---- BitCast --------------------------------------------------------------------- */

static void infer_bitcast(Model *m, Node *n) {
    infer_cast(m, n);
    const DTypeInfo *from = dtype_info(in_dtype(n, 0)),
                    *to = dtype_info(cast_target(n));
    if (from->bits && to->bits && from->bits != to->bits)
        node_error(m, n, OX0401, "", "%s and %s differ in size", from->name, to->name);
}

static void emit_bitcast(Emit *e) {
    Arena *a = emit_arena(e);
    DType from = in_dtype(emit_node(e), 0), to = cast_target(emit_node(e));
    const Expr *x = emit_in(e, 0);
    if (from == DT_STRING || to == DT_STRING) {
        emit_fail(e, OX0302, "", "strings have no bit pattern");
        return;
    }
    if (from == to) {
        emit_out(e, 0, x);
        return;
    }
    if (from == DT_BOOL)
        x = EX(a, "$0.astype(jnp.uint8)", x);
    if (to == DT_BOOL)
        x = EX(a, "jax.lax.bitcast_convert_type($0, jnp.uint8) != 0", x);
    else if (dtype_info(to)->bits == 64)
        x = EX(a, "bitcast_64($0, $1)", x, emit_dtype(e, to));
    else
        x = EX(a, "jax.lax.bitcast_convert_type($0, $1)", x, emit_dtype(e, to));
    emit_out(e, 0, x);
}

/* Of a second input only the type is read. */
static bool apart_cast(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m, (void)n, (void)out;
    return at[0] == axis;
}

static OpPast past_cast(Model *m, const Node *n, const int *at, int input) {
    (void)m, (void)n;
    return input == 1 && at[0] == APART_SHARED ? PAST_ANY : PAST_SEEN;
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define CAST                                                                           \
    .facts = OP_ELEMENTWISE | OP_ON_INTS | OP_KEEPS, .apart = apart_cast,              \
    .past = past_cast, .infer = infer_cast, .eval = eval_cast, .real = real_same,      \
    .emit = emit_cast
#define SATURATE INT("saturate", 1)
#define ROUND_MODE CHOICE("round_mode", "up", "up down nearest")
static const OpDef ops[] = {
    {.name = "Cast", .since = 1, .until = 5, .in = "input", .out = "output",
     .attrs = {STRING_REQ("to")}, CAST},
    {.name = "Cast", .since = 6, .until = 18, .in = "input", .out = "output",
     .attrs = {INT_REQ("to")}, CAST},
    {.name = "Cast", .since = 19, .until = 23, .in = "input", .out = "output",
     .attrs = {INT_REQ("to"), SATURATE}, CAST},
    {.name = "Cast", .since = 24, .in = "input", .out = "output",
     .attrs = {INT_REQ("to"), SATURATE, ROUND_MODE}, CAST},
    {.name = "CastLike", .since = 15, .until = 18, .in = "input target_type",
     .out = "output", CAST},
    {.name = "CastLike", .since = 19, .until = 23, .in = "input target_type",
     .out = "output", .attrs = {SATURATE}, CAST},
    {.name = "CastLike", .since = 24, .in = "input target_type", .out = "output",
     .attrs = {SATURATE, ROUND_MODE}, CAST},
    {.name = "BitCast", .since = 26, .in = "input", .out = "output",
     .attrs = {INT_REQ("to")}, .apart = apart_same,
     .infer = infer_bitcast, .emit = emit_bitcast},
};
/* clang-format on */
const OpFamily ops_cast = FAMILY(ops);
