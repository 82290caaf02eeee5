/* Operators that make tensors or pass them on: constants, ranges, one-hot and
 * triangular matrices.
 * Source: ONNX operators Constant, ConstantOfShape, Identity, EyeLike, Range,
 * OneHot, Trilu. */
#include "ops/core/apart.h"
#include "ops/core/evals.h"
#include "ops/core/layout.h"
#include "ops/core/padded.h"
#include "ops/core/wide.h"

#include <math.h>

/* ---- Constant, Identity ---------------------------------------------------------- */

/* Import makes values of constants; a node remains only for strings, which it cannot
 * represent, and for a sparse tensor that has been reported. */
static void infer_constant(Model *m, Node *n) {
    const Attr *value = attr_get(n, "value");
    bool text = node_has(n, "value_string") || node_has(n, "value_strings") ||
                (value && value->t && value->t->dtype == DT_STRING);
    set_unranked(m, n, 0, text ? DT_STRING : DT_UNDEFINED);
}

static void emit_constant(Emit *e) {
    emit_fail(e, OX0302, "JAX has no strings", "text constants are not supported");
}

static void eval_identity(Model *m, Node *n) {
    eval_copy(m, n);
}

/* ---- ConstantOfShape ------------------------------------------------------------- */

static const Tensor *fill_tensor(const Node *n) {
    const Attr *value = attr_get(n, "value");
    return value && value->t && value->t->count == 1 ? value->t : NULL;
}

static DType fill_dtype(const Node *n) {
    const Tensor *t = fill_tensor(n);
    return t ? t->dtype : DT_FLOAT;
}

static void infer_constant_of_shape(Model *m, Node *n) {
    Shape s;
    uint64_t unknown;
    if (!lists_are_valid(m, n))
        return;
    if (attr_has(n, "value") && !fill_tensor(n))
        node_error(m, n, OX0303, "", "attribute value is not one element");
    if (!get_sizes(n, "input", &s, &unknown)) {
        set_unranked(m, n, 0, fill_dtype(n));
    } else if (sizes_are_valid(m, n, &s)) {
        value_sizes(m, n, &s, unknown, 0);
        set_type(m, n, 0, fill_dtype(n), &s);
    }
}

static void eval_constant_of_shape(Model *m, Node *n) {
    Strided s;
    const Tensor *t = fill_tensor(n);
    Known *one = known_new(m, fill_dtype(n), 1);
    if (one && one->floats)
        known_floats(one)[0] = t ? tensor_f64(t, 0) : 0;
    else if (one)
        known_ints(one)[0] = dim_int(tensor_i64(t, 0));
    set_splat(n, 0, one);
    if (!strided_of(node_out(n, 0), &s))
        return;
    size_t count = 1;
    for (int i = 0; i < s.rank; i++)
        count *= (size_t)s.size[i];
    Known *k = known_new(m, fill_dtype(n), count);
    for (size_t i = 0; k && i < count; i++) {
        if (k->floats)
            known_floats(k)[i] = t ? tensor_f64(t, 0) : 0;
        else
            known_ints(k)[i] = dim_int(tensor_i64(t, 0));
    }
    set_known(n, 0, k);
}

/* uint64 holds its upper half as negative numbers. */
static const Expr *int_literal(Emit *e, DType dtype, int64_t i) {
    Arena *a = emit_arena(e);
    if (dtype == DT_BOOL)
        return ex_bool(a, i != 0);
    if (dtype == DT_UINT64 && i < 0)
        return ex_number(a, arena_printf(a, "%llu", (unsigned long long)i));
    return ex_int(a, i);
}

static const Expr *fill_literal(Emit *e, const Tensor *t) {
    if (wide_of(node_out(emit_node(e), 0)) == WIDE_ENDS)
        return EX(emit_arena(e), "saturated($0$(, $1))",
                  int_literal(e, t->dtype, tensor_i64(t, 0)),
                  t->dtype == DT_UINT64 ? ex_str(emit_arena(e), STR("uint64")) : NULL);
    if (dtype_is_float(t->dtype))
        return emit_float(e, tensor_f64(t, 0), t->dtype);
    return int_literal(e, t->dtype, tensor_i64(t, 0));
}

static void emit_constant_of_shape(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Tensor *t = fill_tensor(n);
    if (fill_dtype(n) == DT_STRING) {
        emit_fail(e, OX0302, "", "JAX has no strings");
        return;
    }
    const Expr *shape =
        shape_is_given(n, 0) ? emit_shape(e, n->out[0]) : emit_ints(e, "input");
    const Expr *dtype = emit_dtype(e, fill_dtype(n));
    double value = t ? tensor_f64(t, 0) : 0;
    if (value == 0 && !signbit(value))
        emit_out(e, 0, EX(a, "jnp.zeros($0, $1)", shape, dtype));
    else if (value == 1)
        emit_out(e, 0, EX(a, "jnp.ones($0, $1)", shape, dtype));
    else
        emit_out(e, 0, EX(a, "jnp.full($0, $1, $2)", shape, fill_literal(e, t), dtype));
}

/* ---- EyeLike --------------------------------------------------------------------- */

static void infer_eye_like(Model *m, Node *n) {
    Shape s;
    DType dtype =
        attr_has(n, "dtype") ? dtype_from_onnx(attr_int(n, "dtype")) : in_dtype(n, 0);
    if (in_shape(n, 0, &s) && s.rank != 2)
        node_error(m, n, OX0401, "", "EyeLike needs a matrix, not rank %d", s.rank);
    set_type(m, n, 0, dtype, &s);
}

static void emit_eye_like(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Type *t = &n->out[0]->type;
    const Expr *k = attr_int(n, "k") ? ex_int(a, attr_int(n, "k")) : NULL;
    const Expr *dtype = emit_dtype(e, t->dtype);
    if (t->rank != 2) {
        emit_out(
            e, 0,
            EX(a, "jnp.eye(*$0.shape$(, k=$1), dtype=$2)", emit_in(e, 0), k, dtype));
        return;
    }
    const Expr *columns =
        dim_eq(t->dims[0], t->dims[1]) ? NULL : emit_dim(e, t->dims[1]);
    emit_out(e, 0,
             EX(a, "jnp.eye($0$(, $1)$(, k=$2), dtype=$3)", emit_dim(e, t->dims[0]),
                columns, k, dtype));
}

/* ---- Range ----------------------------------------------------------------------- */

typedef struct RangeInts {
    Dim start, limit, delta;
} RangeInts;

/* A number as a symbolic integer, also where its type is a float type. */
static bool whole_input(const Node *n, int i, Dim *d) {
    enum { WHOLE_MAX = 1 << 24 };
    const Known *k = in_known(n, i);
    const Value *v = node_in(n, i);
    if (!v && i == 2) {
        *d = dim_int(1); /* com.microsoft may leave delta out */
        return true;
    }
    if (v && v->reals && v->reals->n == 1 && real_is_whole(&v->reals->items[0])) {
        *d = v->reals->items[0].num;
        return true;
    }
    if (!k || k->n != 1)
        return false;
    double x = k->floats ? k->floats[0] : 0;
    if (k->floats && !(fabs(x) <= WHOLE_MAX && x == floor(x)))
        return false;
    *d = k->floats ? dim_int((int64_t)x) : k->ints[0];
    return true;
}

/* The three inputs as symbolic integers; false when one is not known. */
static bool range_ints(const Node *n, RangeInts *r) {
    return whole_input(n, 0, &r->start) && whole_input(n, 1, &r->limit) &&
           whole_input(n, 2, &r->delta);
}

/* max(ceil((limit - start) / delta), 0); false when the sign of delta is not known. */
static bool range_count(Model *m, const RangeInts *r, Dim *count) {
    Dim span = dim_sub(&m->dims, r->limit, r->start), delta = r->delta;
    if (!dim_is_int(delta) || delta.c == 0 || delta.c == INT64_MIN)
        return false;
    if (delta.c < 0) {
        span = dim_sub(&m->dims, dim_int(0), span);
        delta.c = -delta.c;
    }
    Dim steps = delta.c == 1 ? span : dim_ceildiv(&m->dims, span, delta);
    *count = dim_max(&m->dims, steps, dim_int(0));
    return true;
}

static bool range_float_count(const Node *n, Dim *count) {
    double start, limit, delta = 1;
    if (!get_float(n, "start", &start) || !get_float(n, "limit", &limit) ||
        (node_in(n, 2) && !get_float(n, "delta", &delta)))
        return false;
    double steps = ceil((limit - start) / delta);
    bool finite = delta != 0 && steps < 9e15;
    *count = dim_int(finite && steps > 0 ? (int64_t)steps : 0);
    return finite;
}

static void infer_range(Model *m, Node *n) {
    Shape s = {.rank = 1};
    RangeInts r;
    bool known =
        range_ints(n, &r) ? range_count(m, &r, &s.d[0]) : range_float_count(n, &s.d[0]);
    if (!known)
        s.d[0] = value_dim(m, n, 0, 0);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void eval_range(Model *m, Node *n) {
    RangeInts r;
    const Value *y = node_out(n, 0);
    if (!y || !dtype_is_int(y->type.dtype) || !type_is_static(&y->type) ||
        y->type.dims[0].c > KNOWN_MAX || !range_ints(n, &r))
        return;
    Known *k = known_new(m, y->type.dtype, (size_t)y->type.dims[0].c);
    for (size_t i = 0; k && i < k->n; i++) {
        Dim offset = dim_mul(&m->dims, dim_int((int64_t)i), r.delta);
        known_ints(k)[i] = dim_add(&m->dims, r.start, offset);
    }
    set_known(n, 0, k);
}

/* One argument of arange: a Python number. */
static const Expr *range_argument(Emit *e, int i, const char *name) {
    const Node *n = emit_node(e);
    double value;
    RangeInts r;
    const Known *k = in_known(n, i);
    if (range_ints(n, &r))
        return emit_dim(e, i == 0 ? r.start : i == 1 ? r.limit : r.delta);
    if (k && k->n == 1 && k->ints)
        return emit_dim(e, k->ints[0]);
    if (k && get_float(n, name, &value))
        return emit_float(e, value, in_dtype(n, 0));
    const Expr *x = emit_ints(e, name);
    return in_rank(n, i) == 1 ? EX(emit_arena(e), "$0[0]", x) : x;
}

/* float16 and bfloat16 are computed in float32, as Range-27 asks and the older versions
 * allow. */
/* A number of the range in arithmetic: Python's where it is known. */
static const Expr *range_operand(Emit *e, int i, const char *name) {
    return in_known(emit_node(e), i) ? range_argument(e, i, name) : emit_in(e, i);
}

/* So many steps from the start: how many of them there are is not asked. */
static const Expr *bounded_range(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t start, delta = 1;
    DType dtype = in_dtype(n, 0);
    const Expr *x = EX(a, "jnp.arange($0$(, dtype=$1))", emit_bound(e),
                       dtype == DT_INT64 ? NULL : emit_dtype(e, dtype));
    bool unit = !node_in(n, 2) || (known_int(n, 2, 0, &delta) && delta == 1);
    bool zero = known_int(n, 0, 0, &start) && start == 0;
    if (!unit)
        x = EX(a, "$0 * $1", x, range_operand(e, 2, "delta"));
    return zero ? x : EX(a, "$0 + $1", range_operand(e, 0, "start"), x);
}

static void emit_range(Emit *e) {
    Arena *a = emit_arena(e);
    if (emit_bound(e)) {
        emit_out(e, 0, bounded_range(e));
        return;
    }
    DType dtype = in_dtype(emit_node(e), 0);
    bool narrow = dtype == DT_FLOAT16 || dtype == DT_BFLOAT16;
    const Expr *start = range_argument(e, 0, "start");
    const Expr *limit = range_argument(e, 1, "limit");
    const Expr *delta =
        node_in(emit_node(e), 2) ? range_argument(e, 2, "delta") : ex_int(a, 1);
    const Expr *type =
        dtype == DT_INT64 ? NULL : emit_dtype(e, narrow ? DT_FLOAT : dtype);
    bool unit = delta->kind == EX_INT && delta->i == 1;
    bool zero = start->kind == EX_INT && start->i == 0;
    const Expr *x = EX(a, "jnp.arange($($0, )$1$(, $2)$(, dtype=$3))",
                       zero && unit ? NULL : start, limit, unit ? NULL : delta, type);
    emit_out(e, 0, narrow ? EX(a, "$0.astype($1)", x, emit_dtype(e, dtype)) : x);
}

/* ---- OneHot ---------------------------------------------------------------------- */

static bool one_hot_depth(const Node *n, Dim *depth) {
    int64_t value;
    const Known *k = in_known(n, 1);
    if (known_int(n, 1, 0, &value))
        *depth = dim_int(value);
    else if (k && k->n == 1 && k->ints)
        *depth = k->ints[0];
    else
        return false;
    return true;
}

static void infer_one_hot(Model *m, Node *n) {
    Shape s, out;
    int axis;
    out.rank = in_shape(n, 0, &s) && s.rank < OX_MAX_RANK ? s.rank + 1 : -1;
    if (out.rank > 0 && !fix_axis(m, n, attr_int(n, "axis"), out.rank, &axis))
        out.rank = -1;
    for (int i = 0; i < out.rank; i++)
        if (i != axis)
            out.d[i] = s.d[i - (i > axis)];
        else if (!one_hot_depth(n, &out.d[i]))
            out.d[i] = fresh_dim(m, n, 0, i);
    if (sizes_are_valid(m, n, &out))
        set_type(m, n, 0, in_dtype(n, 2), &out);
}

/* Which of values each element is, for known indices: how TorchScript writes the counts
 * of a repeat along one axis. */
static void eval_one_hot(Model *m, Node *n) {
    size_t map[KNOWN_MAX], count = 0, inner = 1;
    int64_t depth;
    int axis, rank = in_rank(n, 0);
    const Known *k = in_known(n, 0), *values = in_known(n, 2);
    if (!k || !k->ints || !values || values->n != 2 || !known_int(n, 1, 0, &depth) ||
        depth < 1 || depth > KNOWN_MAX ||
        !fix_axis(m, n, attr_int(n, "axis"), rank + 1, &axis))
        return;
    for (int i = axis; i < rank; i++)
        inner *= dim_is_int(in_dim(n, 0, i)) ? (size_t)in_dim(n, 0, i).c : 0;
    if (!inner || k->n % inner || k->n * (size_t)depth > KNOWN_MAX)
        return;
    for (size_t i = 0; i < k->n; i++)
        if (!dim_is_int(k->ints[i]))
            return;
    for (size_t outer = 0; outer < k->n; outer += inner)
        for (int64_t at = 0; at < depth; at++)
            for (size_t i = 0; i < inner; i++) {
                int64_t hot = k->ints[outer + i].c;
                bool wraps = hot < 0 && n->op->since >= 11;
                map[count++] = at == hot + (wraps ? depth : 0);
            }
    eval_pick(m, n, 2, 0, map, count);
}

/* [off, on] as literals; false when they are not known. */
static bool one_hot_values(Emit *e, const Expr **off, const Expr **on) {
    const Known *k = in_known(emit_node(e), 2);
    DType dtype = in_dtype(emit_node(e), 2);
    if (!k || k->n != 2 || wide_of(node_in(emit_node(e), 2)) != WIDE_NONE)
        return false;
    const Expr **const part[] = {off, on};
    for (int i = 0; i < 2; i++) {
        if (k->ints && !dim_is_int(k->ints[i]))
            return false;
        *part[i] = k->floats ? emit_float(e, k->floats[i], dtype)
                             : int_literal(e, dtype, k->ints[i].c);
    }
    return true;
}

/* values is [0, 1] */
static bool one_hot_is_plain(const Node *n) {
    int64_t off, on;
    const Known *k = in_known(n, 2);
    return k && k->n == 2 && known_int(n, 2, 0, &off) && known_int(n, 2, 1, &on) &&
           off == 0 && on == 1 && (k->ints || (k->floats[0] == 0 && k->floats[1] == 1));
}

static const Expr *emit_depth(Emit *e) {
    Dim depth;
    if (one_hot_depth(emit_node(e), &depth))
        return emit_dim(e, depth);
    const char *text = in_rank(emit_node(e), 1) == 0 ? "int($0)" : "int($0[0])";
    return EX(emit_arena(e), text, emit_ints(e, "depth"));
}

/* Negative indices count from the end since version 11; jax.nn.one_hot leaves them out,
 * the helper one_hot does not. */
static void emit_one_hot(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    DType from = in_dtype(n, 0), to = in_dtype(n, 2);
    int64_t axis = attr_int(n, "axis");
    const Expr *off, *on;
    bool plain = one_hot_is_plain(n);
    bool wraps = n->op->since >= 11 && dtype_info(from)->cls != DC_UINT;
    const Expr *x = emit_in(e, 0);
    if (from != DT_INT64 && from != DT_INT32)
        x = EX(a, "$0.astype(int)", x);
    const Expr *y = EX(a,
                       wraps ? "one_hot($0, $1$(, axis=$2), dtype=$3)"
                             : "jax.nn.one_hot($0, $1$(, axis=$2), dtype=$3)",
                       x, emit_depth(e), axis == -1 ? NULL : ex_int(a, axis),
                       emit_dtype(e, plain ? to : DT_BOOL));
    if (!plain && one_hot_values(e, &off, &on))
        y = EX(a, "jnp.where($0, $1, $2).astype($3)", y, on, off, emit_dtype(e, to));
    else if (!plain)
        y = EX(a, "jnp.where($0, $1[1], $1[0])", y, emit_in_named(e, 2));
    emit_out(e, 0, y);
}

/* ---- Trilu ----------------------------------------------------------------------- */

static void emit_trilu(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    bool upper = attr_int(n, "upper") != 0;
    int64_t k = 0;
    if (node_in(n, 1) && !known_int(n, 1, 0, &k)) {
        emit_out(e, 0,
                 EX(a, upper ? "trilu($0, $1)" : "trilu($0, $1, upper=False)",
                    emit_in(e, 0), emit_in(e, 1)));
        return;
    }
    emit_out(e, 0,
             EX(a, upper ? "jnp.triu($0$(, $1))" : "jnp.tril($0$(, $1))", emit_in(e, 0),
                k ? ex_int(a, k) : NULL));
}

static bool apart_one_hot(Model *m, const Node *n, const int *at, int out, int axis) {
    int64_t added = attr_int(n, "axis");
    (void)m;
    added += added < 0 ? n->out[out]->type.rank : 0;
    return at[0] >= 0 && axis == at[0] + (at[0] >= added) && apart_shared(n, at, 1);
}

/* All elements are equal, however many there are. */
static bool apart_filled(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)n;
    (void)out;
    (void)axis;
    return at[0] == APART_SIZE;
}

/* Steps before the limit, none when it lies behind the start. */
static void emit_range_count(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t start, delta = 1;
    const Expr *most = ex_int(a, attr_int(n, "most")), *steps = emit_in(e, 1);
    bool unit = n->n_in < 3 || !n->in[2] || (known_int(n, 2, 0, &delta) && delta == 1);
    bool zero = known_int(n, 0, 0, &start) && start == 0;
    if (!zero)
        steps = EX(a, "$0 - $1", steps, range_operand(e, 0, "start"));
    if (!dtype_is_int(in_dtype(n, 1)))
        steps = unit
                    ? EX(a, "jnp.ceil($0)", steps)
                    : EX(a, "jnp.ceil(($0) / $1)", steps, range_operand(e, 2, "delta"));
    else if (!unit)
        steps = EX(a, "-(-($0) // $1)", steps, range_operand(e, 2, "delta"));
    const Expr *count = EX(a, "jnp.clip($0, 0, $1)", steps, most);
    if (!dtype_is_int(in_dtype(n, 1)))
        count = EX(a, "$0.astype(int)", count);
    emit_out(e, 0, count);
}

/* The size that data decide among those of an input; the others are known. */
static void emit_size_count(Emit *e, const char *name) {
    Arena *a = emit_arena(e);
    Shape sizes;
    uint64_t unknown = 0;
    const Node *n = emit_node(e);
    int64_t i = 0;
    if (!get_sizes(n, name, &sizes, &unknown))
        unknown = 1;
    while (i < 63 && !(unknown >> i & 1))
        i++;
    emit_out(e, 0,
             EX(a, "jnp.clip($0[$1], 0, $2)", emit_in(e, 0), ex_int(a, i),
                ex_int(a, attr_int(n, "most"))));
}

static void emit_filled_count(Emit *e) {
    emit_size_count(e, "input");
}

static void emit_expanded_count(Emit *e) {
    emit_size_count(e, "shape");
}

/* Up to a number of entries: more come behind them. */
static OpPast past_range(Model *m, const Node *n, const int *at, int input) {
    int64_t delta = 1;
    (void)m;
    bool ok = at[0] == APART_SHARED && (!node_in(n, 2) || at[2] == APART_SHARED) &&
              (!node_in(n, 2) || known_int(n, 2, 0, &delta)) && delta > 0;
    return ok && input == 1 && at[1] == APART_SIZE ? PAST_ANY : PAST_SEEN;
}

/* ---- table ----------------------------------------------------------------------- */

#define VALUE_TENSOR ANY_OPT("value", ATTR_TENSOR)
#define VALUE_SPARSE ANY_OPT("sparse_value", ATTR_SPARSE)
/* clang-format off */
static const OpDef ops[] = {
    {.name = "Constant", .since = 1, .until = 10, .in = "", .out = "output",
     .attrs = {ANY_REQ("value", ATTR_TENSOR)}, .facts = OP_CONSTANT,
     .infer = infer_constant, .emit = emit_constant},
    {.name = "Constant", .since = 11, .until = 11, .in = "", .out = "output",
     .attrs = {VALUE_TENSOR, VALUE_SPARSE}, .facts = OP_CONSTANT,
     .infer = infer_constant, .emit = emit_constant},
    {.name = "Constant", .since = 12, .in = "", .out = "output",
     .attrs = {VALUE_TENSOR, VALUE_SPARSE, INT_OPT("value_int"), INTS_OPT("value_ints"),
               FLOAT_OPT("value_float"), ANY_OPT("value_floats", ATTR_FLOATS),
               STRING_OPT("value_string"), ANY_OPT("value_strings", ATTR_STRINGS)},
     .facts = OP_CONSTANT, .infer = infer_constant, .emit = emit_constant},
    {.name = "ConstantOfShape", .since = 9, .in = "input", .out = "output",
     .fixed = "input", .padding = "the same element", .count = "FilledCount",
     .attrs = {VALUE_TENSOR}, .apart = apart_filled,
     .infer = infer_constant_of_shape,
     .eval = eval_constant_of_shape, .emit = emit_constant_of_shape},
    {.name = "Identity", .since = 1, .in = "input", .out = "output",
     .facts = OP_IDENTITY | OP_CONTAINERS, .infer = infer_identity,
     .eval = eval_identity, .jax = "$input"},
    {.name = "EyeLike", .since = 9, .in = "input", .out = "output",
     .facts = OP_OWN_TYPE,
     .attrs = {INT_OPT("dtype"), INT("k", 0)},
     .infer = infer_eye_like, .emit = emit_eye_like},
    {.name = "Range", .since = 11, .until = 26, .in = "start limit delta",
     .out = "output", .facts = OP_OWN_TYPE, .fixed = "start limit delta",
     .padding = "more steps",
     .count = "RangeCount",
     .past = past_range, .infer = infer_range, .eval = eval_range, .emit = emit_range},
    {.name = "Range", .since = 27, .in = "start limit delta", .out = "output",
     .facts = OP_OWN_TYPE, .fixed = "start limit delta", .padding = "more steps",
     .count = "RangeCount", .attrs = {INT("stash_type", 1)},
     .past = past_range, .infer = infer_range, .eval = eval_range, .emit = emit_range},
    {.name = "Range", MICROSOFT, .in = "start limit delta?", .out = "Y",
     .facts = OP_OWN_TYPE, .fixed = "start limit delta", .padding = "more steps",
     .count = "RangeCount",
     .past = past_range, .infer = infer_range, .eval = eval_range, .emit = emit_range},
    {.name = "OneHot", .since = 9, .until = 10, .in = "indices depth values",
     .out = "output", .fixed = "depth", .attrs = {INT("axis", -1)},
     .apart = apart_one_hot,
     .infer = infer_one_hot, .eval = eval_one_hot, .emit = emit_one_hot},
    {.name = "OneHot", .since = 11, .in = "indices depth values", .out = "output",
     .fixed = "depth", .attrs = {INT("axis", -1)},
     .apart = apart_one_hot,
     .infer = infer_one_hot, .eval = eval_one_hot, .emit = emit_one_hot},
    {.name = "Trilu", .since = 14, .in = "input k?", .out = "output",
     .attrs = {INT("upper", 1)}, .apart = apart_before_matrix,
     .past = past_any, .infer = infer_same, .emit = emit_trilu},
    {.name = "Trilu", MICROSOFT, .in = "X k?", .out = "Y",
     .attrs = {INT("upper", 1)}, .apart = apart_before_matrix,
     .past = past_any, .infer = infer_same, .emit = emit_trilu},
    {.name = "RangeCount", .domain = OP_INTERNAL, .since = 1,
     .in = "start limit delta?", .out = "count", .attrs = {INT_REQ("most")},
     .infer = infer_entry_count, .emit = emit_range_count},
    {.name = "FilledCount", .domain = OP_INTERNAL, .since = 1, .in = "input",
     .out = "count", .attrs = {INT_REQ("most")}, .infer = infer_entry_count,
     .emit = emit_filled_count},
    {.name = "ExpandedCount", .domain = OP_INTERNAL, .since = 1, .in = "shape",
     .out = "count", .attrs = {INT_REQ("most")}, .infer = infer_entry_count,
     .emit = emit_expanded_count},
};
/* clang-format on */
const OpFamily ops_tensor = FAMILY(ops);
