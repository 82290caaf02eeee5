/* Comparisons, logic, and selection. */
#include "ops/core/apart.h"
#include "ops/core/evals.h"
#include "ops/core/layout.h"
#include "ops/core/nested.h"
#include "ops/core/wide.h"
#include "ops/onnx/affine.h"
#include "ops/onnx/legacy.h"

/* ---- evaluation ------------------------------------------------------------------ */

static bool decided(int answer, Dim *r) {
    *r = dim_int(answer);
    return answer >= 0;
}

static bool int_equal(Model *m, const Dim *a, Dim *r) {
    return decided(dim_known_eq(&m->dims, a[0], a[1]), r);
}

static bool int_less(Model *m, const Dim *a, Dim *r) {
    return decided(dim_known_less(&m->dims, a[0], a[1]), r);
}

static bool int_greater(Model *m, const Dim *a, Dim *r) {
    return decided(dim_known_less(&m->dims, a[1], a[0]), r);
}

static bool int_not(Model *m, const Dim *a, Dim *r) {
    (void)m;
    *r = dim_int(dim_is(a[0], 0));
    return dim_is_int(a[0]);
}

static bool int_less_equal(Model *m, const Dim *a, Dim *r) {
    Dim greater;
    return int_greater(m, a, &greater) && int_not(m, &greater, r);
}

static bool int_greater_equal(Model *m, const Dim *a, Dim *r) {
    Dim less;
    return int_less(m, a, &less) && int_not(m, &less, r);
}

/* One decided operand may be enough: false and x, true or x. */
static bool int_and(Model *m, const Dim *a, Dim *r) {
    (void)m;
    bool decides = dim_is(a[0], 0) || dim_is(a[1], 0);
    *r = dim_int(!decides);
    return decides || (dim_is_int(a[0]) && dim_is_int(a[1]));
}

static bool int_or(Model *m, const Dim *a, Dim *r) {
    (void)m;
    bool decides = dim_is(a[0], 1) || dim_is(a[1], 1);
    *r = dim_int(decides);
    return decides || (dim_is_int(a[0]) && dim_is_int(a[1]));
}

static bool int_xor(Model *m, const Dim *a, Dim *r) {
    (void)m;
    *r = dim_int(a[0].c != a[1].c);
    return dim_is_int(a[0]) && dim_is_int(a[1]);
}

static bool float_equal(const double *a, double *r) {
    *r = a[0] == a[1];
    return true;
}

static bool float_less(const double *a, double *r) {
    *r = a[0] < a[1];
    return true;
}

static bool float_greater(const double *a, double *r) {
    *r = a[0] > a[1];
    return true;
}

static bool float_less_equal(const double *a, double *r) {
    *r = a[0] <= a[1];
    return true;
}

static bool float_greater_equal(const double *a, double *r) {
    *r = a[0] >= a[1];
    return true;
}

/* Positions against sizes: arange(n) < n. */
static void eval_positions(Model *m, Node *n, EvalInt ints, EvalFloat floats) {
    Affine d;
    eval_elementwise(m, n, ints, floats);
    const Value *y = node_out(n, 0);
    if (!y || y->known || !affine_difference(m, n, &d))
        return;
    int answer = affine_decides(m, &d, &y->type, n->op->order);
    Known *k = answer < 0 ? NULL : known_new(m, DT_BOOL, 1);
    if (!k)
        return;
    known_ints(k)[0] = dim_int(answer);
    set_splat(n, 0, k);
}

static void eval_equal(Model *m, Node *n) {
    eval_elementwise(m, n, int_equal, float_equal);
}
static void eval_less(Model *m, Node *n) {
    eval_positions(m, n, int_less, float_less);
}
static void eval_greater(Model *m, Node *n) {
    eval_positions(m, n, int_greater, float_greater);
}
static void eval_less_equal(Model *m, Node *n) {
    eval_positions(m, n, int_less_equal, float_less_equal);
}
static void eval_greater_equal(Model *m, Node *n) {
    eval_positions(m, n, int_greater_equal, float_greater_equal);
}
static void eval_and(Model *m, Node *n) {
    eval_elementwise(m, n, int_and, NULL);
}
static void eval_or(Model *m, Node *n) {
    eval_elementwise(m, n, int_or, NULL);
}
static void eval_xor(Model *m, Node *n) {
    eval_elementwise(m, n, int_xor, NULL);
}
static void eval_not(Model *m, Node *n) {
    eval_elementwise(m, n, int_not, NULL);
}

/* ---- comparisons and logic ------------------------------------------------------- */

static void legacy_equal(Emit *e) {
    emit_legacy(e, "$0 == $1");
}

/* Input i is beyond all that the narrow type of the other has.  What may be the stand-in
 * of such an integer is compared with another one. */
static bool is_beyond(const Node *n, int i) {
    const Value *v = n->in[i], *other = n->in[1 - i];
    return v->kind == VALUE_CONST && v->known && v->type.dtype == DT_INT64 &&
           wide_of(v) != WIDE_NONE && !value_is_number(other) &&
           !wide_may_be_saturated(other);
}

static bool compare_saturates(const Node *n, int i) {
    return is_beyond(n, i) || wide_may_be_saturated(n->in[1 - i]);
}

/* `turned`: with the known integers first. */
static void emit_compare(Emit *e, const char *text, const char *beyond,
                         const char *turned) {
    const Node *n = emit_node(e);
    Arena *a = emit_arena(e);
    for (int i = 0; i < 2; i++) {
        if (!is_beyond(n, i))
            continue;
        emit_out(e, 0, EX(a, i ? beyond : turned, emit_in(e, 1 - i), emit_plain(e, i)));
        return;
    }
    emit_out(e, 0, EX(a, text, emit_operand(e, 0), emit_operand(e, 1)));
}

#define COMPARE(callback, op)                                                          \
    static void callback(Emit *e) {                                                    \
        emit_compare(e, "$0 " op " $1",                                                \
                     "compare_wide(lambda a, b: a " op " b, $0, $1)",                  \
                     "compare_wide(lambda a, b: b " op " a, $0, $1)");                 \
    }
COMPARE(emit_less, "<")
COMPARE(emit_greater, ">")
COMPARE(emit_less_equal, "<=")
COMPARE(emit_greater_equal, ">=")
COMPARE(emit_same, "==")

static void emit_equal(Emit *e) {
    if (in_dtype(emit_node(e), 0) == DT_STRING)
        emit_fail(e, OX0302, "", "JAX has no arrays of strings");
    emit_same(e);
}

static void legacy_less(Emit *e) {
    emit_legacy(e, "$0 < $1");
}
static void legacy_greater(Emit *e) {
    emit_legacy(e, "$0 > $1");
}
static void legacy_and(Emit *e) {
    emit_legacy(e, "$0 & $1");
}
static void legacy_or(Emit *e) {
    emit_legacy(e, "$0 | $1");
}
static void legacy_xor(Emit *e) {
    emit_legacy(e, "$0 ^ $1");
}

/* ---- Where ----------------------------------------------------------------------- */

static void infer_where(Model *m, Node *n) {
    Shape s;
    (void)same_types(m, n, 1);
    if (!broadcast_inputs(m, n, &s))
        s.rank = -1;
    set_type(m, n, 0, in_dtype(n, 1), &s);
}

/* Picks by a known condition; X and Y may hold integers or floats. */
static void eval_where(Model *m, Node *n) {
    Walk w;
    if (!walk_open(&w, n))
        return;
    Known *k = known_new(m, n->out[0]->type.dtype, w.count);
    if (!k || (w.count && !w.in[0]->ints))
        return;
    for (size_t i = 0; i < w.count; i++) {
        Dim condition = w.in[0]->ints[walk_index(&w, 0, i)];
        int from = dim_is(condition, 0) ? 2 : 1;
        const Known *source = w.in[from];
        size_t at = walk_index(&w, from, i);
        if (!dim_is_int(condition) || !source->ints != !k->ints)
            return;
        if (k->ints)
            known_ints(k)[i] = source->ints[at];
        else
            known_floats(k)[i] = source->floats[at];
    }
    set_known(n, 0, k);
}

static void emit_not(Emit *e) {
    emit_out(e, 0,
             emit_template(e, emit_as_number(e) ? "not $X" : "jnp.logical_not($X)"));
}

/* Of two constants one stays an array: where() of two Python scalars would give JAX's
 * default type. */
static void emit_where(Emit *e) {
    const Node *n = emit_node(e);
    const Known *x = in_known(n, 1), *y = in_known(n, 2);
    if (!x || x->n != 1 || !y || y->n != 1 || !y->floats ||
        in_rank(n, 2) > in_rank(n, 0)) {
        emit_out(e, 0, emit_template(e, "jnp.where($condition, $X, $Y)"));
        return;
    }
    const Expr *scalar = emit_float(e, y->floats[0], in_dtype(n, 2));
    emit_out(e, 0,
             EX(emit_arena(e), "jnp.where($0, $1, $2)", emit_in(e, 0), emit_in(e, 1),
                scalar));
}

static bool is_not_of(const Value *x, const Value *y) {
    return x->def && x->def->op && x->def->op->facts & OP_NOT &&
           value_final(x->def->in[0]) == y;
}

/* Of a choice by the same condition, or by its opposite, only one side is ever read:
 * where(c, x, where(~c, y, z)) is where(c, x, y). */
static void rewrite_where(Model *m, Node *n) {
    (void)m;
    if (n->n_in != 3 || !n->in[0] || !n->in[1] || !n->in[2] || !node_out(n, 0) ||
        n->in[0]->is_assumed || !type_same_shape(&n->in[0]->type, &n->out[0]->type))
        return;
    const Value *c = value_final(n->in[0]);
    for (uint32_t i = 1; i <= 2; i++) {
        const Value *v = value_final(n->in[i]);
        const Node *inner = v->is_assumed ? NULL : v->def;
        if (!inner || inner->op != n->op || inner->origin != n->origin || !inner->in[0])
            continue;
        const Value *d = value_final(inner->in[0]);
        uint32_t side = d == c ? i : is_not_of(c, d) || is_not_of(d, c) ? 3 - i : 0;
        if (side && inner->in[side])
            (n->in[i] = value_final(inner->in[side]))->uses++;
    }
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define LEGACY(op, callback)                                                           \
    {.name = (op), .since = 1, .until = 6, .in = "A B", .out = "C",                    \
     .attrs = LEGACY_ATTRS, .apart = apart_legacy, .infer = infer_legacy_bool,         \
     .emit = (callback)}
#define BINARY(op, v, fact, evaluator, python)                                         \
    {.name = (op), .since = (v), .in = "A B", .out = "C",                              \
     .facts = OP_BROADCAST | OP_ON_INTS | (fact), .infer = infer_broadcast_bool,       \
     .eval = (evaluator), .jax = (python)}
#define COMPARISON(op, v, signs, evaluator, callback)                                  \
    {.name = (op), .since = (v), .in = "A B", .out = "C", .order = (signs),            \
     .facts = OP_BROADCAST | OP_ON_INTS, .infer = infer_broadcast_bool,                \
     .eval = (evaluator), .rewrite = rewrite_compare, .saturates = compare_saturates,  \
     .emit = (callback)}

static const OpDef ops[] = {
    /*     name         since  facts, evaluator, JAX                                 */
    LEGACY("Equal",            legacy_equal),
    {.name = "Equal", .since = 7, .in = "A B", .out = "C",
     .facts = OP_BROADCAST | OP_COMMUTATIVE | OP_ON_INTS, .infer = infer_broadcast_bool,
     .eval = eval_equal, .saturates = compare_saturates, .emit = emit_equal},
    LEGACY("Less",             legacy_less),
    COMPARISON("Less",           7, ORDER_LESS, eval_less, emit_less),
    LEGACY("Greater",          legacy_greater),
    COMPARISON("Greater",        7, ORDER_GREATER, eval_greater, emit_greater),
    COMPARISON("LessOrEqual",    12, ORDER_LESS | ORDER_EQUAL, eval_less_equal, emit_less_equal),
    COMPARISON("GreaterOrEqual", 12, ORDER_GREATER | ORDER_EQUAL, eval_greater_equal, emit_greater_equal),
    LEGACY("And",              legacy_and),
    BINARY("And",            7,  OP_COMMUTATIVE | OP_UNIT1 | OP_ALL, eval_and,
           "$A & $B"),
    LEGACY("Or",               legacy_or),
    BINARY("Or",             7,  OP_COMMUTATIVE | OP_UNIT0, eval_or, "$A | $B"),
    LEGACY("Xor",              legacy_xor),
    BINARY("Xor",            7,  OP_COMMUTATIVE | OP_UNIT0, eval_xor, "$A ^ $B"),

    {.name = "Not", .since = 1, .in = "X", .out = "Y",
     .facts = OP_ELEMENTWISE | OP_ON_INTS | OP_NOT, .infer = infer_same,
     .eval = eval_not, .emit = emit_not},
    {.name = "Where", .since = 9, .in = "condition X Y", .out = "output",
     .facts = OP_BROADCAST | OP_SELECTS, .infer = infer_where, .eval = eval_where,
     .rewrite = rewrite_where, .emit = emit_where},
};
/* clang-format on */

const OpFamily ops_logic = FAMILY(ops);
