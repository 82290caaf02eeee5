/* Code that walks all trees of an ensemble at once, one level in each step.  The arrays
 * over their nodes are parameters; each row of X ends with the leaf of every tree.
 * A missing value, NaN, follows its track at every node, as the specification says;
 * onnxruntime lets it pass BRANCH_NEQ. */
#include "ops/ml/forest.h"

#include <math.h>

/* ---- arrays ------------------------------------------------------------------------ */

const Expr *forest_array(Emit *e, const char *name, DType dtype, const void *data,
                         int64_t rows, int64_t columns) {
    int64_t dims[2] = {rows, columns};
    const Tensor *t = ml_tensor(e, dtype, data, columns ? 2 : 1, dims);
    return t ? emit_tensor(e, name, t, false) : ex_none();
}

const Expr *forest_floats(Emit *e, const char *name, DType dtype, const double *data,
                          size_t rows, size_t columns) {
    size_t count = rows * (columns ? columns : 1);
    float *narrow = dtype == DT_FLOAT ? ARENA_ARRAY(emit_arena(e), count, float) : NULL;
    for (size_t i = 0; narrow && i < count; i++)
        narrow[i] = (float)data[i];
    const void *elements = dtype == DT_FLOAT ? (const void *)narrow : data;
    return elements
               ? forest_array(e, name, dtype, elements, (int64_t)rows, (int64_t)columns)
               : ex_none();
}

/* A test against t decides like one against a float32 when X has no more digits: t
 * rounded such that no float32 lies between.  NaN for an equality that never holds. */
static double narrowed(double t, TreeMode mode) {
    float r = (float)t;
    if (mode == TREE_EQ || mode == TREE_NEQ)
        return (double)r < t || (double)r > t ? (double)NAN : t;
    if ((mode == TREE_LEQ || mode == TREE_GT) && (double)r > t)
        r = nextafterf(r, -INFINITY);
    if ((mode == TREE_LT || mode == TREE_GTE) && (double)r < t)
        r = nextafterf(r, INFINITY);
    return (double)r;
}

/* What v, which is a float32 where X is no double, is compared with. */
static const Expr *as_x(Emit *e, const Expr *x, DType dtype) {
    bool wide = in_dtype(emit_node(e), 0) == DT_DOUBLE && dtype == DT_FLOAT;
    return wide ? ex_astype(emit_arena(e), x, emit_dtype(e, DT_DOUBLE)) : x;
}

static const Expr *thresholds(Emit *e, Forest *f) {
    bool narrow =
        f->threshold_dtype == DT_DOUBLE && in_dtype(emit_node(e), 0) != DT_DOUBLE;
    for (size_t i = 0; narrow && i < f->nodes; i++) {
        f->thresholds[i] = narrowed(f->thresholds[i], (TreeMode)f->modes[i]);
        if (f->modes[i] == TREE_NEQ && isnan(f->thresholds[i]))
            emit_fail(e, OX0302, "", "no value of X can equal a threshold");
    }
    DType dtype = narrow ? DT_FLOAT : f->threshold_dtype;
    return as_x(e, forest_floats(e, "thresholds", dtype, f->thresholds, f->nodes, 0),
                dtype);
}

/* ---- sets -------------------------------------------------------------------------- */

/* The sets as rows of a matrix, filled up with NaN, and the row of each node; NULL after
 * an error. */
static const Expr *member_sets(Emit *e, const Forest *f, const Expr **set) {
    Arena *a = emit_arena(e);
    size_t sets = 0, width = 1, length = 0, ends = 0;
    int32_t *row = ARENA_ARRAY(a, f->nodes, int32_t);
    for (size_t i = 0; row && i < f->nodes; i++)
        row[i] = f->modes[i] == TREE_MEMBER ? (int32_t)sets++ : 0;
    int64_t count = f->members ? f->members->count : 0;
    for (int64_t i = 0; i < count; i++) {
        bool end = isnan(tensor_f64(f->members, i));
        ends += end;
        length = end ? 0 : length + 1;
        width = length > width ? length : width;
    }
    double *values = ARENA_ARRAY(a, sets * width, double);
    if (ends != sets || length || !values) {
        emit_fail(e, OX0303, "", "%zu sets of members for %zu nodes", ends, sets);
        return NULL;
    }
    for (size_t i = 0; i < sets * width; i++)
        values[i] = (double)NAN;
    for (size_t i = 0, at = 0, k = 0; i < (size_t)count; i++) {
        double x = tensor_f64(f->members, (int64_t)i);
        bool narrow = in_dtype(emit_node(e), 0) != DT_DOUBLE;
        at = isnan(x) ? at + 1 : at;
        if (isnan(x))
            k = 0;
        else
            values[at * width + k++] = narrow ? narrowed(x, TREE_EQ) : x;
    }
    bool wide =
        f->members->dtype == DT_DOUBLE && in_dtype(emit_node(e), 0) == DT_DOUBLE;
    *set = forest_array(e, "member_set", DT_INT32, row, (int64_t)f->nodes, 0);
    DType dtype = wide ? DT_DOUBLE : DT_FLOAT;
    return as_x(e, forest_floats(e, "members", dtype, values, sets, width), dtype);
}

/* ---- tests ------------------------------------------------------------------------- */

static bool has_mode(const Forest *f, TreeMode mode) {
    return f->nodes && memchr(f->modes, mode, f->nodes) != NULL;
}

static bool is_uniform(const uint8_t *v, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[0])
            return false;
    return true;
}

/* The test of a node on the value v, but for missing values; NULL after an error. */
static const Expr *comparison(Emit *e, Forest *f) {
    static const char *const same[] = {
        "v <= $0[node]", "v < $0[node]",  "v >= $0[node]",
        "v > $0[node]",  "v == $0[node]", "(v < $0[node]) | (v > $0[node])"};
    Arena *a = emit_arena(e);
    const Expr *set = NULL, *sets = NULL, *t = NULL;
    bool uniform = is_uniform(f->modes, f->nodes);
    if (has_mode(f, TREE_MEMBER) && !(sets = member_sets(e, f, &set)))
        return NULL;
    if (sets && uniform)
        return EX(a, "is_member(v, $0[node])", sets);
    t = thresholds(e, f);
    if (uniform)
        return EX(a, same[f->modes[0]], t);
    const Expr *modes =
        forest_array(e, "modes", DT_UINT8, f->modes, (int64_t)f->nodes, 0);
    if (!sets)
        return EX(a, "tree_test(v, $0[node], $1[node])", t, modes);
    return EX(a, "tree_member_test(v, $0[node], $1[node], $2[$3[node]])", t, modes,
              sets, set);
}

/* lambda v, node: ... */
static const Expr *test(Emit *e, Forest *f) {
    Arena *a = emit_arena(e);
    const Expr *x = comparison(e, f);
    bool any = f->nodes && memchr(f->missing, 1, f->nodes);
    if (!x)
        return NULL;
    if (any && dtype_is_float(in_dtype(emit_node(e), 0))) {
        const Expr *tracked = NULL;
        if (!is_uniform(f->missing, f->nodes))
            tracked =
                forest_array(e, "missing", DT_BOOL, f->missing, (int64_t)f->nodes, 0);
        x = EX(a, "($0) | jnp.isnan(v)$( & $1[node])", x, tracked);
    }
    return ex_lambda(a, STR("v, node"), x);
}

const Expr *forest_leaves(Emit *e, Forest *f) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    f->nodes += f->nodes == 0; /* JAX reads no empty array, even if it never reads */
    const Expr *x = ml_matrix(e), *goes = x ? test(e, f) : NULL;
    if (!goes)
        return NULL;
    if (in_dtype(n, 0) == DT_FLOAT16)
        x = EX(a, "$0.astype(jnp.float32)", x);
    Dim width = in_dim(n, 0, in_rank(n, 0) - 1);
    for (size_t i = 0; i < f->nodes && dim_is_int(width); i++) {
        if (f->features[i] < width.c)
            continue;
        emit_fail(e, OX0401, "", "feature %d of %lld is tested", (int)f->features[i],
                  (long long)width.c);
        return NULL;
    }
    const Expr *call =
        EX(a, "tree_leaves($0, $1, $2, $3, $4, depth=$5)", x,
           forest_array(e, "roots", DT_INT32, f->roots, (int64_t)f->trees, 0),
           forest_array(e, "features", DT_INT32, f->features, (int64_t)f->nodes, 0),
           forest_array(e, "children", DT_INT32, f->children, (int64_t)f->nodes, 2),
           goes, ex_int(a, f->depth));
    return emit_let(e, "leaves", call);
}
