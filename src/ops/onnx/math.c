/* Arithmetic, element by element: unary functions, and binary operators with numpy
 * broadcasting (with ONNX's own broadcasting before opset 7).
 *
 * jax.numpy promotes types and ONNX does not, so templates stand only where all inputs
 * have the type of the result; the callbacks look at the types. */
#include "ops/core/apart.h"
#include "ops/core/evals.h"
#include "ops/core/wide.h"
#include "ops/onnx/legacy.h"
#include "support/power.h"

#include <float.h>
#include <math.h>

/* ---- evaluation ------------------------------------------------------------------ */

bool int_add(Model *m, const Dim *a, Dim *r) {
    *r = dim_add(&m->dims, a[0], a[1]);
    return true;
}

static bool int_sub(Model *m, const Dim *a, Dim *r) {
    *r = dim_sub(&m->dims, a[0], a[1]);
    return true;
}

bool int_mul(Model *m, const Dim *a, Dim *r) {
    *r = dim_mul(&m->dims, a[0], a[1]);
    return true;
}

bool int_min(Model *m, const Dim *a, Dim *r) {
    *r = dim_min(&m->dims, a[0], a[1]);
    return true;
}

bool int_max(Model *m, const Dim *a, Dim *r) {
    *r = dim_max(&m->dims, a[0], a[1]);
    return true;
}

static bool at_least(Model *m, Dim d, int64_t least) {
    int64_t bound;
    bool known = dim_lower_bound(&m->dims, d, &bound) && bound >= least;
    m->dims.unsure |= !known;
    return known;
}

bool int_div(Model *m, const Dim *a, Dim *r) {
    if (dim_is(a[1], 0) || dim_is(a[1], -1))
        return false;
    if (dim_is_int(a[0]) && dim_is_int(a[1])) {
        *r = dim_int(a[0].c / a[1].c);
        return true;
    }
    if (dim_divide(&m->dims, a[0], a[1], r))
        return true;
    *r = dim_floordiv(&m->dims, a[0], a[1]);
    return at_least(m, a[0], 0) && at_least(m, a[1], 0);
}

static bool int_mod(Model *m, const Dim *a, Dim *r) {
    if (dim_is(a[1], 0))
        return false;
    *r = dim_mod(&m->dims, a[0], a[1]);
    return true;
}

static bool int_fmod(Model *m, const Dim *a, Dim *r) {
    return at_least(m, a[0], 0) && at_least(m, a[1], 0) && int_mod(m, a, r);
}

static bool int_neg(Model *m, const Dim *a, Dim *r) {
    *r = dim_sub(&m->dims, dim_int(0), a[0]);
    return true;
}

static bool int_abs(Model *m, const Dim *a, Dim *r) {
    if (dim_is_int(a[0]) && a[0].c < 0)
        return int_neg(m, a, r);
    *r = a[0];
    return at_least(m, a[0], 0);
}

static bool int_sign(Model *m, const Dim *a, Dim *r) {
    *r = dim_int(dim_is_int(a[0]) ? (a[0].c > 0) - (a[0].c < 0) : 1);
    return dim_is_int(a[0]) || at_least(m, a[0], 1);
}

static bool int_same(Model *m, const Dim *a, Dim *r) {
    (void)m;
    *r = a[0];
    return true;
}

static bool int_pow(Model *m, const Dim *a, Dim *r) {
    enum { POWER_MAX = 16 };
    if (!dim_is_int(a[1]) || a[1].c < 0 || a[1].c > POWER_MAX)
        return false;
    *r = dim_int(1);
    for (int64_t i = 0; i < a[1].c; i++)
        *r = dim_mul(&m->dims, *r, a[0]);
    return true;
}

/* Min(max, Max(input, min)) */
static bool int_clip(Model *m, const Dim *a, Dim *r) {
    *r = dim_min(&m->dims, a[2], dim_max(&m->dims, a[0], a[1]));
    return true;
}

bool float_add(const double *a, double *r) {
    *r = a[0] + a[1];
    return true;
}

static bool float_sub(const double *a, double *r) {
    *r = a[0] - a[1];
    return true;
}

bool float_mul(const double *a, double *r) {
    *r = a[0] * a[1];
    return true;
}

static bool float_div(const double *a, double *r) {
    *r = a[0] / a[1];
    return true;
}

bool float_min(const double *a, double *r) {
    *r = a[0] < a[1] || isnan(a[0]) ? a[0] : a[1];
    return true;
}

bool float_max(const double *a, double *r) {
    *r = a[0] > a[1] || isnan(a[0]) ? a[0] : a[1];
    return true;
}

static bool float_pow(const double *a, double *r) {
    *r = power(a[0], a[1]);
    return true;
}

static bool float_fmod(const double *a, double *r) {
    *r = fmod(a[0], a[1]);
    return true;
}

static bool float_clip(const double *a, double *r) {
    double low[2] = {a[0], a[1]}, high[2] = {0, a[2]};
    return float_max(low, &high[0]) && float_min(high, r);
}

static bool float_neg(const double *a, double *r) {
    *r = -a[0];
    return true;
}

static bool float_abs(const double *a, double *r) {
    *r = fabs(a[0]);
    return true;
}

static bool float_sqrt(const double *a, double *r) {
    *r = sqrt(a[0]);
    return true;
}

static bool float_reciprocal(const double *a, double *r) {
    *r = 1 / a[0];
    return true;
}

static bool float_floor(const double *a, double *r) {
    *r = floor(a[0]);
    return true;
}

static bool float_ceil(const double *a, double *r) {
    *r = ceil(a[0]);
    return true;
}

static bool float_round(const double *a, double *r) {
    *r = nearbyint(a[0]);
    return true;
}

static void eval_add(Model *m, Node *n) {
    eval_elementwise(m, n, int_add, float_add);
}
static void eval_sub(Model *m, Node *n) {
    eval_elementwise(m, n, int_sub, float_sub);
}
static void eval_mul(Model *m, Node *n) {
    eval_elementwise(m, n, int_mul, float_mul);
}
static void eval_div(Model *m, Node *n) {
    eval_elementwise(m, n, int_div, float_div);
}
static void eval_pow(Model *m, Node *n) {
    eval_elementwise(m, n, int_pow, float_pow);
}
static void eval_mod(Model *m, Node *n) {
    bool fmod = attr_int(n, "fmod") != 0;
    eval_elementwise(m, n, fmod ? int_fmod : int_mod, fmod ? float_fmod : NULL);
}
static void eval_clip(Model *m, Node *n) {
    eval_elementwise(m, n, n->n_in == 3 ? int_clip : NULL,
                     n->n_in == 3 ? float_clip : NULL);
}
static void eval_neg(Model *m, Node *n) {
    eval_elementwise(m, n, int_neg, float_neg);
}
static void eval_abs(Model *m, Node *n) {
    eval_elementwise(m, n, int_abs, float_abs);
}
static void eval_sign(Model *m, Node *n) {
    eval_elementwise(m, n, int_sign, NULL);
}
static void eval_sqrt(Model *m, Node *n) {
    eval_elementwise(m, n, NULL, float_sqrt);
}
static void eval_reciprocal(Model *m, Node *n) {
    eval_elementwise(m, n, NULL, float_reciprocal);
}
static void eval_floor(Model *m, Node *n) {
    eval_elementwise(m, n, int_same, float_floor);
}
static void eval_ceil(Model *m, Node *n) {
    eval_elementwise(m, n, int_same, float_ceil);
}
static void eval_round(Model *m, Node *n) {
    eval_elementwise(m, n, int_same, float_round);
}
static void eval_min(Model *m, Node *n) {
    if (n->n_in == 2)
        eval_elementwise(m, n, int_min, float_min);
}
static void eval_max(Model *m, Node *n) {
    if (n->n_in == 2)
        eval_elementwise(m, n, int_max, float_max);
}

/* ---- binary operators ------------------------------------------------------------ */

static void legacy_add(Emit *e) {
    emit_legacy(e, "$0 + $1");
}
static void legacy_sub(Emit *e) {
    emit_legacy(e, "$0 - $1");
}
static void legacy_mul(Emit *e) {
    emit_legacy(e, "$0 * $1");
}
static void legacy_pow(Emit *e) {
    emit_legacy(e, "$0**$1");
}

/* true for a constant that the code may hold as a Python int. */
static bool is_scalar(const Node *n, int i) {
    const Known *k = in_known(n, i);
    return k && k->n == 1;
}

/* lax.div rounds toward zero, but does not broadcast arrays, and takes Python ints for
 * the widest integers of JAX's mode; the helper takes everything. */
static bool lax_div_fits(const Node *n) {
    Shape a, b;
    if ((is_scalar(n, 0) || is_scalar(n, 1)) && in_dtype(n, 0) != DT_INT64)
        return false;
    if (in_rank(n, 1) == 0 || !in_shape(n, 0, &a) || !in_shape(n, 1, &b))
        return in_rank(n, 1) == 0;
    bool same = a.rank == b.rank;
    for (int i = 0; same && i < a.rank; i++)
        same = dim_eq(a.d[i], b.d[i]);
    return same;
}

static const char *div_template(const Node *n) {
    DTypeClass cls = dtype_info(in_dtype(n, 0))->cls;
    if (cls == DC_UINT)
        return "$0 // $1";
    if (cls != DC_INT)
        return "$0 / $1";
    return lax_div_fits(n) ? "jax.lax.div($0, $1)" : "trunc_div($0, $1)";
}

static void legacy_div(Emit *e) {
    emit_legacy(e, div_template(emit_node(e)));
}

static void emit_div(Emit *e) {
    const char *text = div_template(emit_node(e));
    emit_out(e, 0, EX(emit_arena(e), text, emit_operand(e, 0), emit_operand(e, 1)));
}

/* The exponent as a Python number when it is one constant that is no larger than the
 * base: an integral one as an int, which has an exact power and gradient. */
static const Expr *scalar_exponent(Emit *e) {
    const Node *n = emit_node(e);
    const Known *k = in_known(n, 1);
    int rank = in_rank(n, 1);
    if (!k || k->n != 1 || (rank > 0 && in_rank(n, 0) < rank))
        return NULL;
    bool negative_int = k->ints && (!dim_is_int(k->ints[0]) || k->ints[0].c < 0);
    if (negative_int && dtype_is_int(in_dtype(n, 0)))
        return NULL;
    if (k->ints)
        return dim_is_int(k->ints[0]) ? ex_int(emit_arena(e), k->ints[0].c) : NULL;
    double y = k->floats[0];
    if (y == floor(y) && fabs(y) <= 64 && !(y < 0 && dtype_is_int(in_dtype(n, 0))))
        return ex_int(emit_arena(e), (int64_t)y);
    return dtype_is_float(in_dtype(n, 0)) ? emit_float(e, y, in_dtype(n, 1)) : NULL;
}

/* A type that holds powers of a base of one type with an exponent of the other, which is
 * no integer where the base is a float. */
static DType common_type(DType base, DType exponent) {
    int bits = dtype_info(base)->bits, other = dtype_info(exponent)->bits;
    if (dtype_is_float(base) != dtype_is_float(exponent))
        return dtype_is_float(base) ? base : exponent;
    if (bits == other && dtype_is_float(base))
        return DT_FLOAT;
    bool differ = dtype_info(base)->cls != dtype_info(exponent)->cls;
    if (differ && !dtype_is_float(base))
        return DT_INT64;
    return bits < other ? exponent : base;
}

static const Expr *cast(Emit *e, const Expr *x, DType from, DType to) {
    return from == to ? x : ex_astype(emit_arena(e), x, emit_dtype(e, to));
}

static void emit_pow(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *x = emit_in(e, 0), *y = scalar_exponent(e);
    DType base = in_dtype(emit_node(e), 0), exponent = in_dtype(emit_node(e), 1);
    DType common = common_type(base, exponent);
    if (y)
        emit_out(e, 0, EX(a, "$0**$1", x, y));
    else if (base == exponent)
        emit_out(e, 0, EX(a, "$0**$1", x, emit_in(e, 1)));
    else if (dtype_is_float(base) && dtype_is_int(exponent))
        emit_out(e, 0,
                 EX(a, "$0**$1.astype($2)", x, emit_in(e, 1), emit_dtype_of(e, 0)));
    else
        emit_out(e, 0,
                 EX(a, "($0**$1).astype($2)", cast(e, x, base, common),
                    cast(e, emit_in(e, 1), exponent, common), emit_dtype(e, base)));
}

/* Base and exponent of Pow may have different types. */
static void infer_pow(Model *m, Node *n) {
    Shape s;
    if (!broadcast_inputs(m, n, &s))
        s.rank = -1;
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_mod(Emit *e) {
    bool fmod = attr_int(emit_node(e), "fmod") != 0;
    emit_out(e, 0,
             EX(emit_arena(e), fmod ? "jnp.fmod($0, $1)" : "$0 % $1",
                emit_operand(e, 0), emit_operand(e, 1)));
}

static void emit_shift(Emit *e) {
    bool left = attr_is(emit_node(e), "direction", "LEFT");
    emit_out(e, 0,
             EX(emit_arena(e), left ? "$0 << $1" : "$0 >> $1", emit_operand(e, 0),
                emit_operand(e, 1)));
}

/* Of signed integers; all bits that come in are the sign. */
static void emit_shift_right(Emit *e) {
    const Node *n = emit_node(e);
    Arena *a = emit_arena(e);
    const Known *k = in_rank(n, 1) == 0 ? in_known(n, 1) : NULL;
    bool same = in_dtype(n, 0) == in_dtype(n, 1);
    const Expr *x = emit_in(e, 0), *by = k ? emit_dim(e, k->ints[0]) : emit_in(e, 1);
    emit_out(e, 0,
             EX(a, same || k ? "$0 >> $1" : "$0 >> $1.astype($2)", x, by,
                emit_dtype(e, in_dtype(n, 0))));
}

/* ---- any number of inputs -------------------------------------------------------- */

static void infer_variadic(Model *m, Node *n) {
    if (n->n_in == 0)
        node_error(m, n, OX0303, "", "at least one input is needed");
    infer_broadcast(m, n);
}

/* Before opset 8: all inputs have one shape, and whichever says more holds. */
static void infer_one_shape(Model *m, Node *n) {
    Shape s = {.rank = -1}, t;
    (void)same_types(m, n, 0);
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!in_shape(n, (int)i, &t))
            continue;
        bool fits = s.rank < 0 || s.rank == t.rank;
        for (int k = 0; fits && k < s.rank; k++) {
            Dim a = s.d[k], b = t.d[k];
            fits = !dim_is_int(a) || !dim_is_int(b) || a.c == b.c;
            t.d[k] = dim_is_int(b) ? b : a;
        }
        if (!fits)
            node_error(m, n, OX0401, "", "input %u has another shape than those before",
                       i);
        s = t;
    }
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* Inputs first .. first + count - 1 joined by `text`; halved, so that a long list makes
 * no deep tree, from the point where that changes no sum that anybody writes. */
static const Expr *join(Emit *e, const char *text, int first, int count) {
    enum { CHAIN_MAX = 16 };
    if (count == 1)
        return emit_in(e, first);
    int left = count <= CHAIN_MAX ? count - 1 : count / 2;
    const Expr *l = join(e, text, first, left);
    return EX(emit_arena(e), text, l, join(e, text, first + left, count - left));
}

static void emit_joined(Emit *e, const char *text) {
    int count = (int)emit_node(e)->n_in;
    if (count == 2)
        emit_out(e, 0, EX(emit_arena(e), text, emit_operand(e, 0), emit_operand(e, 1)));
    else if (count > 0)
        emit_out(e, 0, join(e, text, 0, count));
}

static bool min_saturates(const Node *n, int i) {
    return wide_is_above(n->in[i]);
}
static bool max_saturates(const Node *n, int i) {
    return wide_is_below(n->in[i]);
}

static void emit_min(Emit *e) {
    emit_joined(e, "jnp.minimum($0, $1)");
}
static void emit_max(Emit *e) {
    emit_joined(e, "jnp.maximum($0, $1)");
}
static void emit_sum(Emit *e) {
    emit_joined(e, "$0 + $1");
}

static void emit_mean(Emit *e) {
    int count = (int)emit_node(e)->n_in;
    if (count == 0)
        return;
    const Expr *sum = join(e, "$0 + $1", 0, count);
    if (count > 1)
        sum = EX(emit_arena(e), "$0 / $1", sum, ex_int(emit_arena(e), count));
    emit_out(e, 0, sum);
}

/* ---- others ---------------------------------------------------------------------- */

/* The first or last number that the type has. */
static bool is_end_of(DType dtype, int64_t x, bool last) {
    const DTypeInfo *info = dtype_info(dtype);
    if (info->cls == DC_UINT)
        return x == (last ? (int64_t)(UINT64_MAX >> (64 - info->bits)) : 0);
    return info->cls == DC_INT &&
           x == (last ? INT64_MAX : INT64_MIN) >> (64 - info->bits);
}

/* Clip to the whole range of the type. */
static bool is_no_bound(const Node *n, int input, bool last) {
    const Known *k = input < 0 ? NULL : in_known(n, input);
    return k && k->ints && k->n == 1 && dim_is_int(k->ints[0]) &&
           is_end_of(in_dtype(n, 0), k->ints[0].c, last);
}

/* A bound of Clip, from its attribute or input; NULL when there is none. */
static const Expr *clip_bound(Emit *e, const char *name, double *value) {
    const Node *n = emit_node(e);
    int input = op_input_index(n->op, str_from(name));
    *value = NAN;
    bool given = get_float(n, name, value);
    if ((!given && is_absent(n, name)) || is_no_bound(n, input, name[1] == 'a'))
        return NULL;
    return input >= 0 ? emit_operand(e, input) : emit_float(e, *value, in_dtype(n, 0));
}

static void infer_clip(Model *m, Node *n) {
    (void)same_types(m, n, 0);
    infer_same(m, n);
}

static bool clip_saturates(const Node *n, int i) {
    return i == 2 ? wide_is_above(n->in[i]) : i == 1 && wide_is_below(n->in[i]);
}

static void emit_clip(Emit *e) {
    double low, high;
    const Expr *x = emit_in(e, 0);
    const Expr *min = clip_bound(e, "min", &low), *max = clip_bound(e, "max", &high);
    const char *text = "jnp.clip($0, $1, $2)";
    if (min && max && low == 0 && high == 6 &&
        dtype_is_float(in_dtype(emit_node(e), 0)))
        text = "jax.nn.relu6($0)";
    if (min && !max)
        text = low == 0 ? "jax.nn.relu($0)" : "jnp.maximum($0, $1)";
    if (max && !min)
        text = "jnp.minimum($0, $2)";
    if (!min && !max)
        text = "$0";
    emit_out(e, 0, EX(emit_arena(e), text, x, min, max));
}

static void emit_isinf(Emit *e) {
    const Node *n = emit_node(e);
    bool negative = attr_int(n, "detect_negative") != 0;
    bool positive = attr_int(n, "detect_positive") != 0;
    const char *text = negative ? "jnp.isneginf($X)" : "jnp.isposinf($X)";
    if (negative == positive)
        text = positive ? "jnp.isinf($X)" : "jnp.zeros_like($X, bool)";
    emit_out(e, 0, emit_template(e, text));
}

static void infer_bool(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    set_type(m, n, 0, DT_BOOL, &s);
}

/* erf is defined for integers too: the result is rounded toward zero. */
static void emit_erf(Emit *e) {
    bool is_int = dtype_is_int(in_dtype(emit_node(e), 0));
    emit_out(e, 0,
             emit_template(e, is_int ? "jax.lax.erf($input.astype(float))"
                                       ".astype($out.dtype)"
                                     : "jax.lax.erf($input)"));
}

/* ---- cumulative ------------------------------------------------------------------ */

static void infer_cumulative(Model *m, Node *n) {
    Ints axis;
    int fixed;
    if (in_rank(n, 0) >= 0 && get_ints(n, "axis", &axis) && axis.n == 1)
        (void)fix_axis(m, n, axis.v[0], in_rank(n, 0), &fixed);
    infer_same(m, n);
}

/* Sums of zeros: torch counts sequence boundaries so. */
static void eval_cumsum(Model *m, Node *n) {
    (void)m;
    const Known *one = n->in[0]->splat;
    if (one && one->ints && dim_is(one->ints[0], 0))
        set_splat(n, 0, one);
}

static const Expr *cumulative_axis(Emit *e) {
    const Node *n = emit_node(e);
    Ints axis;
    if (get_ints(n, "axis", &axis) && axis.n == 1)
        return ex_int(emit_arena(e), axis.v[0]);
    const Expr *x = emit_ints(e, "axis");
    return in_rank(n, 1) > 0 ? EX(emit_arena(e), "$0[0]", x) : x;
}

static void emit_cumulative(Emit *e, const char *plain, const char *helper) {
    const Node *n = emit_node(e);
    Arena *a = emit_arena(e);
    bool reverse = attr_int(n, "reverse") != 0;
    bool exclusive = attr_int(n, "exclusive") != 0;
    const Expr *yes = ex_bool(a, true);
    const Expr *x =
        EX(a, !reverse && !exclusive ? plain : helper, emit_in(e, 0),
           cumulative_axis(e), exclusive ? yes : NULL, reverse ? yes : NULL);
    emit_out(e, 0, x);
}

static void emit_cumsum(Emit *e) {
    emit_cumulative(e, "jnp.cumsum($0, axis=$1)",
                    "cumsum($0, $1$(, exclusive=$2)$(, reverse=$3))");
}

static void emit_cumprod(Emit *e) {
    emit_cumulative(e, "jnp.cumprod($0, axis=$1)",
                    "cumprod($0, $1$(, exclusive=$2)$(, reverse=$3))");
}

/* ---- determinant ----------------------------------------------------------------- */

static void infer_det(Model *m, Node *n) {
    Shape s;
    if (in_shape(n, 0, &s) && s.rank < 2)
        node_error(m, n, OX0401, "", "a matrix is needed, not rank %d", s.rank);
    s.rank = s.rank < 2 ? -1 : s.rank - 2;
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* Sums from the front do not look back. */
static OpPast past_cumsum(Model *m, const Node *n, const int *at, int input) {
    return attr_int(n, "reverse") ? past_zero(m, n, at, input)
                                  : past_any(m, n, at, input);
}

static OpPast past_cumprod(Model *m, const Node *n, const int *at, int input) {
    return attr_int(n, "reverse") ? past_one(m, n, at, input)
                                  : past_any(m, n, at, input);
}

/* ---- table ----------------------------------------------------------------------- */

/* Opsets 1 to 6: ONNX's own broadcasting. */
#define LEGACY(op, x, z, callback)                                                     \
    {                                                                                  \
        .name = (op), .since = 1, .until = 6, .in = (x), .out = (z),                   \
        .attrs = LEGACY_ATTRS, .apart = apart_legacy, .infer = infer_legacy,           \
        .emit = (callback)                                                             \
    }

/* clang-format off */
#define UNARY(op, v, x, y, python, evaluator)                                          \
    {.name = (op), .since = (v), .in = (x), .out = (y), .facts = OP_ELEMENTWISE,       \
     .infer = infer_same, .eval = (evaluator), .jax = (python)}
#define BINARY(op, v, x, z, fact, evaluator, python)                                   \
    {.name = (op), .since = (v), .in = (x), .out = (z),                                \
     .facts = OP_BROADCAST | (fact), .infer = infer_broadcast,                         \
     .eval = (evaluator), .jax = (python)}
/* of floats that follow from sizes, too */
#define UNARY_REAL(op, v, python, evaluator, exact, text)                              \
    {.name = (op), .since = (v), .in = "X", .out = "Y", .facts = OP_ELEMENTWISE,       \
     .infer = infer_same, .eval = (evaluator), .real = (exact), .number = (text),      \
     .jax = (python)}
#define BINARY_REAL(op, fact, evaluator, exact, text, python)                          \
    {.name = (op), .since = 7, .in = "A B", .out = "C", .facts = OP_BROADCAST | (fact),\
     .infer = infer_broadcast, .eval = (evaluator), .real = (exact), .number = (text), \
     .jax = (python)}
#define SAME_SHAPES(op, z, callback)                                                   \
    {.name = (op), .since = 1, .until = 7, .in = "data_0*", .out = (z),                \
     .apart = apart_broadcast, .infer = infer_one_shape, .emit = (callback)}
#define VARIADIC(op, z, fact, evaluator, end, callback)                                \
    {.name = (op), .since = 8, .in = "data_0*", .out = (z),                            \
     .facts = OP_BROADCAST | (fact), .infer = infer_variadic,                          \
     .eval = (evaluator), .saturates = (end), .emit = (callback)}

static const OpDef ops[] = {
    /*    name     opsets  inputs    output  facts, evaluator, JAX                    */
    LEGACY("Add",          "A B",    "C",    legacy_add),
    BINARY_REAL("Add", OP_COMMUTATIVE | OP_UNIT0, eval_add, real_add, "$A + $B",
                "$A + $B"),
    LEGACY("Sub",          "A B",    "C",    legacy_sub),
    BINARY_REAL("Sub", OP_UNIT0, eval_sub, real_sub, NULL, "$A - $B"),
    LEGACY("Mul",          "A B",    "C",    legacy_mul),
    BINARY_REAL("Mul", OP_COMMUTATIVE | OP_UNIT1, eval_mul, real_mul, "$A * $B",
                "$A * $B"),
    LEGACY("Div",          "A B",    "C",    legacy_div),
    {.name = "Div", .since = 7, .in = "A B", .out = "C",
     .facts = OP_BROADCAST | OP_UNIT1, .infer = infer_broadcast, .eval = eval_div,
     .real = real_div, .number = "$A / $B", .emit = emit_div},
    LEGACY("Pow",          "X Y",    "Z",    legacy_pow),
    {.name = "Pow", .since = 7, .in = "X Y", .out = "Z", .facts = OP_BROADCAST,
     .infer = infer_pow, .eval = eval_pow, .number = "$X**$Y", .emit = emit_pow},
    BINARY("BitwiseAnd", 18, "A B",  "C",    OP_COMMUTATIVE, NULL, "$A & $B"),
    BINARY("BitwiseOr",  18, "A B",  "C",    OP_COMMUTATIVE, NULL, "$A | $B"),
    BINARY("BitwiseXor", 18, "A B",  "C",    OP_COMMUTATIVE, NULL, "$A ^ $B"),
    {.name = "Mod", .since = 10, .in = "A B", .out = "C", .attrs = {INT("fmod", 0)},
     .facts = OP_BROADCAST, .infer = infer_broadcast, .eval = eval_mod,
     .emit = emit_mod},
    {.name = "BitShift", .since = 11, .in = "X Y", .out = "Z",
     .attrs = {CHOICE_REQ("direction", "LEFT RIGHT")}, .facts = OP_BROADCAST,
     .infer = infer_broadcast, .emit = emit_shift},
    {.name = "ShiftRight", .domain = OP_INTERNAL, .since = 1, .in = "X Y", .out = "Z",
     .facts = OP_BROADCAST, .infer = infer_pow, .emit = emit_shift_right},

    SAME_SHAPES("Min",  "min", emit_min),
    VARIADIC("Min",  "min",  OP_COMMUTATIVE, eval_min, min_saturates, emit_min),
    SAME_SHAPES("Max",  "max", emit_max),
    VARIADIC("Max",  "max",  OP_COMMUTATIVE, eval_max, max_saturates, emit_max),
    SAME_SHAPES("Sum",  "sum", emit_sum),
    VARIADIC("Sum",  "sum",  0, NULL, NULL, emit_sum),
    SAME_SHAPES("Mean", "mean", emit_mean),
    VARIADIC("Mean", "mean", 0, NULL, NULL, emit_mean),

    UNARY_REAL("Neg",    1,  "-$X",           eval_neg,   real_neg,   NULL),
    UNARY("Abs",        1,  "X",     "Y",      "jnp.abs($X)",         eval_abs),
    UNARY("Sign",       9,  "input", "output", "jnp.sign($input)",    eval_sign),
    UNARY_REAL("Reciprocal", 1, "1 / $X", eval_reciprocal, NULL, "1 / $X"),
    UNARY_REAL("Sqrt",   1,  "jnp.sqrt($X)",  eval_sqrt,  NULL,       "np.sqrt($X)"),
    UNARY_REAL("Floor",  1,  "jnp.floor($X)", eval_floor, real_floor, "np.floor($X)"),
    UNARY_REAL("Ceil",   1,  "jnp.ceil($X)",  eval_ceil,  real_ceil,  "np.ceil($X)"),
    UNARY_REAL("Round",  11, "jnp.round($X)", eval_round, NULL,       "np.round($X)"),
    UNARY("Exp",        1,  "input", "output", "jnp.exp($input)",     NULL),
    UNARY("Log",        1,  "input", "output", "jnp.log($input)",     NULL),
    UNARY("Sin",        7,  "input", "output", "jnp.sin($input)",     NULL),
    UNARY("Cos",        7,  "input", "output", "jnp.cos($input)",     NULL),
    UNARY("Tan",        7,  "input", "output", "jnp.tan($input)",     NULL),
    UNARY("Asin",       7,  "input", "output", "jnp.arcsin($input)",  NULL),
    UNARY("Acos",       7,  "input", "output", "jnp.arccos($input)",  NULL),
    UNARY("Atan",       7,  "input", "output", "jnp.arctan($input)",  NULL),
    UNARY("Sinh",       9,  "input", "output", "jnp.sinh($input)",    NULL),
    UNARY("Cosh",       9,  "input", "output", "jnp.cosh($input)",    NULL),
    UNARY("Asinh",      9,  "input", "output", "jnp.arcsinh($input)", NULL),
    UNARY("Acosh",      9,  "input", "output", "jnp.arccosh($input)", NULL),
    UNARY("Atanh",      9,  "input", "output", "jnp.arctanh($input)", NULL),
    UNARY("BitwiseNot", 18, "X",     "Y",      "~$X",                 NULL),
    {.name = "Erf", .since = 9, .in = "input", .out = "output",
     .facts = OP_ELEMENTWISE, .infer = infer_same, .emit = emit_erf},
    {.name = "IsNaN", .since = 9, .in = "X", .out = "Y", .facts = OP_ELEMENTWISE,
     .infer = infer_bool, .jax = "jnp.isnan($X)"},
    {.name = "IsInf", .since = 10, .in = "X", .out = "Y",
     .attrs = {INT("detect_negative", 1), INT("detect_positive", 1)},
     .facts = OP_ELEMENTWISE, .infer = infer_bool, .emit = emit_isinf},

    {.name = "Clip", .since = 1, .until = 5, .in = "input", .out = "output",
     .attrs = {FLOAT_OPT("min"), FLOAT_OPT("max"), INTS_OPT("consumed_inputs")},
     .facts = OP_ELEMENTWISE, .infer = infer_same, .emit = emit_clip},
    {.name = "Clip", .since = 6, .until = 10, .in = "input", .out = "output",
     .attrs = {FLOAT("min", -FLT_MAX), FLOAT("max", FLT_MAX)},
     .facts = OP_ELEMENTWISE, .infer = infer_same, .emit = emit_clip},
    {.name = "Clip", .since = 11, .in = "input min? max?", .out = "output",
     .apart = apart_same, .infer = infer_clip, .eval = eval_clip,
     .saturates = clip_saturates, .emit = emit_clip},

    {.name = "CumSum", .since = 11, .in = "x axis", .out = "y", .fixed = "axis",
     .attrs = {INT("exclusive", 0), INT("reverse", 0)}, .apart = apart_off_axes,
     .past = past_cumsum, .infer = infer_cumulative,
     .eval = eval_cumsum, .emit = emit_cumsum},
    {.name = "CumProd", .since = 26, .in = "x axis", .out = "y", .fixed = "axis",
     .attrs = {INT("exclusive", 0), INT("reverse", 0)}, .apart = apart_off_axes,
     .past = past_cumprod, .infer = infer_cumulative,
     .emit = emit_cumprod},
    {.name = "Det", .since = 11, .in = "X", .out = "Y", .apart = apart_before_matrix,
     .infer = infer_det,
     .jax = "jnp.linalg.det($X)"},
};
/* clang-format on */

const OpFamily ops_math = FAMILY(ops);
