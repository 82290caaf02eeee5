/* LabelEncoder: a table from keys to values.  The keys are sorted here, so that the code
 * finds them by bisection.
 * Source: ONNX operator LabelEncoder of ai.onnx.ml. */
#include "ops/core/apart.h"
#include "ops/ml/ml.h"

#include <math.h>
#include <stdlib.h>

/* One side of the table: a list of floats or ints, or a tensor. */
typedef struct Side {
    size_t n;
    DType dtype; /* DT_UNDEFINED when absent */
    const Attr *attr;
} Side;

static Side side_of(const Node *n, const char *strings, const char *ints,
                    const char *floats, const char *tensor) {
    const Attr *a = attr_find(n, strings);
    if (a && a->strings.count)
        return (Side){a->strings.count, DT_STRING, a};
    if ((a = attr_find(n, ints)) && a->ints.count)
        return (Side){a->ints.count, DT_INT64, a};
    if ((a = attr_find(n, floats)) && a->floats.count)
        return (Side){a->floats.count, DT_FLOAT, a};
    if ((a = attr_find(n, tensor)) && a->t)
        return (Side){(size_t)a->t->count, a->t->dtype, a};
    return (Side){0};
}

static Side keys_of(const Node *n) {
    return side_of(n, "keys_strings", "keys_int64s", "keys_floats", "keys_tensor");
}

static Side values_of(const Node *n) {
    return side_of(n, "values_strings", "values_int64s", "values_floats",
                   "values_tensor");
}

static void infer_label(Model *m, Node *n) {
    Shape s;
    Side keys = keys_of(n), values = values_of(n);
    if (op_attr(n->op, STR("classes_strings")))
        values.dtype = in_dtype(n, 0) == DT_STRING ? DT_INT64 : DT_STRING;
    else if (!keys.n || keys.n != values.n)
        node_error(m, n, OX0303, "", "%zu keys for %zu values", keys.n, values.n);
    else if (in_dtype(n, 0) && in_dtype(n, 0) != keys.dtype)
        node_error(m, n, OX0401, "", "the keys are %s, X is %s",
                   dtype_info(keys.dtype)->name, dtype_info(in_dtype(n, 0))->name);
    in_shape(n, 0, &s);
    set_type(m, n, 0, values.dtype, &s);
}

/* ---- sorting ----------------------------------------------------------------------- */

/* One key with its place in the list. */
typedef struct Key {
    double f;
    int64_t i;
    size_t at;
} Key;

static Key key_at(const Side *keys, size_t at) {
    const Attr *a = keys->attr;
    bool floats = dtype_is_float(keys->dtype);
    Key k = {.at = at};
    if (a->type == ATTR_TENSOR && floats)
        k.f = tensor_f64(a->t, (int64_t)at);
    else if (a->type == ATTR_TENSOR)
        k.i = tensor_i64(a->t, (int64_t)at);
    else if (floats)
        k.f = (double)a->floats.items[at];
    else
        k.i = a->ints.items[at];
    return k;
}

/* NaN comes last and equals itself, as in numpy. */
static int compare_keys(const Key *x, const Key *y) {
    if (isnan(x->f) || isnan(y->f))
        return isnan(x->f) - isnan(y->f);
    if (x->f != y->f)
        return x->f < y->f ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

/* Equal keys stay in the order of the list. */
static int by_key(const void *x, const void *y) {
    const Key *a = x, *b = y;
    int order = compare_keys(a, b);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* Of equal keys the last one counts.  Returns how many are left. */
static size_t keep_last(Key *keys, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || compare_keys(&keys[i], &keys[i + 1]) != 0)
            keys[kept++] = keys[i];
    return kept;
}

/* The elements of a side in the order of the keys. */
static const Tensor *picked(Emit *e, const Side *side, const Key *keys, size_t n) {
    size_t size = (size_t)dtype_info(side->dtype)->bits / 8;
    int64_t count = (int64_t)n;
    const Attr *a = side->attr;
    const char *from = a->type == ATTR_FLOATS ? (const char *)a->floats.items
                                              : (const char *)a->ints.items;
    char *to = arena_array(emit_arena(e), n, size);
    if (!to || size == 0)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t at = keys[i].at * size;
        if (a->type != ATTR_TENSOR)
            memcpy(to + i * size, from + at, size);
        else if (!tensor_read(a->t, at, to + i * size, size))
            return NULL;
    }
    return ml_tensor(e, side->dtype, to, 1, &count);
}

/* ---- emission ---------------------------------------------------------------------- */

/* What stands for a key that is not in the table. */
static const Expr *fallback(Emit *e, DType dtype) {
    const Node *n = emit_node(e);
    const Attr *a = attr_find(n, "default_tensor");
    if (a && dtype_is_float(dtype))
        return emit_float(e, tensor_f64(a->t, 0), dtype);
    if (a)
        return ex_int(emit_arena(e), tensor_i64(a->t, 0));
    if (dtype_is_float(dtype))
        return emit_float(e, attr_float(n, "default_float"), dtype);
    return ex_int(emit_arena(e), attr_int(n, "default_int64"));
}

static bool is_numeric(const Side *side) {
    bool number = dtype_is_int(side->dtype) || dtype_is_float(side->dtype);
    return number && dtype_info(side->dtype)->bits >= 8;
}

/* One element of the type of the values. */
static bool default_fits(const Node *n, DType dtype) {
    const Attr *a = attr_find(n, "default_tensor");
    return !a || (a->t && a->t->count == 1 && a->t->dtype == dtype);
}

static void emit_label(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Side keys = keys_of(n), values = values_of(n);
    if (!is_numeric(&keys) || !is_numeric(&values)) {
        emit_fail(e, OX0302, "number the labels outside the model",
                  "one side of its table is strings, which JAX lacks");
        return;
    }
    if (!default_fits(n, values.dtype)) {
        emit_fail(e, OX0303, "",
                  "default_tensor is no single value of the table's type");
        return;
    }
    Key *sorted = ARENA_ARRAY(a, keys.n, Key);
    if (!sorted)
        return;
    for (size_t i = 0; i < keys.n; i++)
        sorted[i] = key_at(&keys, i);
    qsort(sorted, keys.n, sizeof *sorted, by_key);
    size_t count = keep_last(sorted, keys.n);
    if (count < keys.n && n->op->since < 4) {
        emit_fail(e, OX0302, "", "a key stands in the table twice");
        return;
    }
    const Tensor *k = picked(e, &keys, sorted, count);
    const Tensor *v = picked(e, &values, sorted, count);
    if (k && v)
        emit_out(e, 0,
                 EX(a, "encode_labels($0, $1, $2, default=$3)", emit_in_named(e, 0),
                    emit_tensor(e, "keys", k, true), emit_tensor(e, "values", v, true),
                    fallback(e, values.dtype)));
}

/* clang-format off */
#define LABEL .name = "LabelEncoder", .domain = "ai.onnx.ml", .in = "X", .out = "Y",   \
    .apart = apart_same, .infer = infer_label, .emit = emit_label
#define DEFAULTS INT("default_int64", -1), STRING("default_string", "_Unused")
#define LISTS ANY_OPT("keys_floats", ATTR_FLOATS), INTS_OPT("keys_int64s"),            \
    ANY_OPT("keys_strings", ATTR_STRINGS), ANY_OPT("values_floats", ATTR_FLOATS),      \
    INTS_OPT("values_int64s"), ANY_OPT("values_strings", ATTR_STRINGS),                \
    FLOAT("default_float", -0.0)

static const OpDef ops[] = {
    {LABEL, .since = 1, .until = 1, .facts = OP_REFUSED,
     .attrs = {ANY_OPT("classes_strings", ATTR_STRINGS), DEFAULTS}},
    {LABEL, .since = 2, .until = 3, .attrs = {DEFAULTS, LISTS}},
    {LABEL, .since = 4,
     .attrs = {DEFAULTS, LISTS, ANY_OPT("default_tensor", ATTR_TENSOR),
               ANY_OPT("keys_tensor", ATTR_TENSOR),
               ANY_OPT("values_tensor", ATTR_TENSOR)}},
};
/* clang-format on */

const OpFamily ops_ml_label = FAMILY(ops);
