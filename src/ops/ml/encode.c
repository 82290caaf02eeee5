/* Preparation of features: scaling, imputing, one-hot, selection and concatenation.
 * Source: ONNX operators of ai.onnx.ml; onnxruntime where the text is silent. */
#include <math.h>

#include "ops/core/apart.h"
#include "ops/ml/ml.h"

/* X, whatever its rank, as floats. */
static const Expr *floats_of_x(Emit *e) {
    const Expr *x = emit_in(e, 0);
    bool is_float = dtype_is_float(in_dtype(emit_node(e), 0));
    return is_float ? x : EX(emit_arena(e), "$0.astype(jnp.float32)", x);
}

static void infer_float(Model *m, Node *n) {
    Shape s;
    in_shape(n, 0, &s);
    set_type(m, n, 0, DT_FLOAT, &s);
}

/* One number as a literal, several as a parameter; NULL when absent.  They go along the
 * last axis of X. */
static const Expr *per_feature(Emit *e, const char *name) {
    const Node *n = emit_node(e);
    MlFloats f = ml_floats(n, name);
    int rank = in_rank(n, 0);
    DType dtype = in_dtype(n, 0) == DT_DOUBLE ? DT_DOUBLE : DT_FLOAT;
    if (f.n == 1)
        return emit_float(e, ml_float_at(&f, 0), dtype);
    if (f.n > 1 && rank > 0 && dim_is_int(in_dim(n, 0, rank - 1)) &&
        !dim_is(in_dim(n, 0, rank - 1), (int64_t)f.n))
        emit_fail(e, OX0401, "", "%zu values of %s for %lld features", f.n, name,
                  (long long)in_dim(n, 0, rank - 1).c);
    const Expr *x = ml_operand(e, name, 0);
    return emit_lift(e, x, 1, rank);
}

/* ---- Scaler, Normalizer ------------------------------------------------------------ */

static void emit_scaler(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *x = floats_of_x(e);
    const Expr *offset = per_feature(e, "offset"), *scale = per_feature(e, "scale");
    if (offset)
        x = EX(a, "$0 - $1", x, offset);
    if (scale)
        x = EX(a, "($0) * $1", x, scale);
    emit_out(e, 0, ml_float32(e, x));
}

static void infer_normalizer(Model *m, Node *n) {
    if (in_rank(n, 0) == 0 || in_rank(n, 0) > 2)
        node_error(m, n, OX0401, "", "X has rank %d, but 1 or 2 is needed",
                   in_rank(n, 0));
    infer_float(m, n);
}

/* MAX is the largest element, L1 and L2 are norms. */
static void emit_normalizer(Emit *e) {
    static const char *const sizes[][2] = {
        {"MAX", "divide_rows($0, jnp.max($0, axis=-1, keepdims=True))"},
        {"L1", "divide_rows($0, jnp.sum(jnp.abs($0), axis=-1, keepdims=True))"},
        {"L2", "divide_rows($0, jnp.linalg.norm($0, axis=-1, keepdims=True))"},
    };
    const Expr *x = emit_in_named(e, 0);
    if (!dtype_is_float(in_dtype(emit_node(e), 0)))
        x = emit_let(e, "x", EX(emit_arena(e), "$0.astype(jnp.float32)", x));
    for (size_t i = 0; i < OX_COUNT(sizes); i++)
        if (attr_is(emit_node(e), "norm", sizes[i][0]))
            emit_out(e, 0, ml_float32(e, EX(emit_arena(e), sizes[i][1], x)));
}

/* An integer is larger than a number when it is larger than that rounded down. */
static void emit_binarizer(Emit *e) {
    Arena *a = emit_arena(e);
    DType dtype = in_dtype(emit_node(e), 0);
    double limit = floor(attr_float(emit_node(e), "threshold"));
    const Expr *y = emit_template(e, "$X > $threshold");
    if (dtype_is_int(dtype) && fabs(limit) <= INT32_MAX)
        y = EX(a, "$0 > $1", emit_in(e, 0), ex_int(a, (int64_t)limit));
    else if (dtype_is_int(dtype))
        y = emit_template(e, "$X.astype(float) > $threshold");
    emit_out(e, 0, EX(a, "($0).astype($1)", y, emit_dtype(e, dtype)));
}

/* ---- Imputer ----------------------------------------------------------------------- */

/* imputed_value_int64s along the last axis. */
static const Expr *imputed_ints(Emit *e) {
    const Attr *a = attr_get(emit_node(e), "imputed_value_int64s");
    if (!a || a->ints.count == 0)
        return NULL;
    if (a->ints.count == 1)
        return ex_int(emit_arena(e), a->ints.items[0]);
    int64_t count = (int64_t)a->ints.count;
    const Tensor *t = ml_tensor(e, DT_INT64, a->ints.items, 1, &count);
    if (!t)
        return NULL;
    const Expr *x = emit_tensor(e, "imputed_value_int64s", t, true);
    if (in_dtype(emit_node(e), 0) == DT_INT32)
        x = EX(emit_arena(e), "$0.astype(jnp.int32)", x);
    return emit_lift(e, x, 1, in_rank(emit_node(e), 0));
}

static const Expr *is_replaced(Emit *e, const Expr *x, bool floats) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (!floats)
        return EX(a, "$0 == $1", x, ex_int(a, attr_int(n, "replaced_value_int64")));
    double old = attr_float(n, "replaced_value_float");
    if (old != old)
        return EX(a, "jnp.isnan($0)", x);
    return EX(a, "$0 == $1", x, emit_float(e, old, in_dtype(n, 0)));
}

static void emit_imputer(Emit *e) {
    bool floats = dtype_is_float(in_dtype(emit_node(e), 0));
    const Expr *values =
        floats ? per_feature(e, "imputed_value_floats") : imputed_ints(e);
    if (!values) {
        emit_fail(e, OX0303, "", "there is no imputed value of the type of X");
        return;
    }
    const Expr *x = emit_in_named(e, 0);
    const Expr *y = EX(emit_arena(e), "jnp.where($0, $1, $2)",
                       is_replaced(e, x, floats), values, x);
    emit_out(e, 0, y);
}

/* ---- OneHotEncoder ----------------------------------------------------------------- */

static size_t category_count(const Node *n) {
    const Attr *ints = attr_get(n, "cats_int64s");
    const Attr *strings = attr_get(n, "cats_strings");
    return ints && ints->ints.count ? ints->ints.count
                                    : (strings ? strings->strings.count : 0);
}

static void infer_one_hot(Model *m, Node *n) {
    Shape s;
    if (in_shape(n, 0, &s) && s.rank < OX_MAX_RANK)
        s.d[s.rank++] = dim_int((int64_t)category_count(n));
    else
        s.rank = -1;
    set_type(m, n, 0, DT_FLOAT, &s);
}

static bool counts_up_from_zero(const Attr *a) {
    for (size_t i = 0; i < a->ints.count; i++)
        if (a->ints.items[i] != (int64_t)i)
            return false;
    return true;
}

/* With zeros = 0 a category that is not there is an error, which a traced function
 * cannot raise: its row is zeros all the same. */
static void emit_one_hot(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Attr *cats = attr_get(n, "cats_int64s");
    if (!cats || cats->ints.count == 0 || in_dtype(n, 0) == DT_STRING) {
        emit_fail(e, OX0302, "number the categories outside the model",
                  "the categories are strings, which JAX lacks");
        return;
    }
    const Expr *x = emit_in(e, 0), *items[OX_MAX_RANK];
    if (in_dtype(n, 0) != DT_INT64)
        x = EX(a, "$0.astype(int)", x);
    int rank = in_rank(n, 0) < OX_MAX_RANK ? in_rank(n, 0) : 0;
    int64_t count = (int64_t)cats->ints.count;
    if (counts_up_from_zero(cats)) {
        emit_out(
            e, 0,
            EX(a, "jax.nn.one_hot($0, $1, dtype=jnp.float32)", x, ex_int(a, count)));
        return;
    }
    const Tensor *t = ml_tensor(e, DT_INT64, cats->ints.items, 1, &count);
    if (!t)
        return;
    const Expr *all = emit_tensor(e, "categories", t, true);
    for (int i = 0; i < rank; i++)
        items[i] = ex_none();
    if (rank > 0)
        all = ex_index(a, all, items, (size_t)rank);
    emit_out(e, 0, EX(a, "($0[..., None] == $1).astype(jnp.float32)", x, all));
}

/* ---- ArrayFeatureExtractor, FeatureVectorizer -------------------------------------- */

/* A vector X gives one row. */
static void infer_extractor(Model *m, Node *n) {
    Shape s, picked;
    if (!in_shape(n, 0, &s) || s.rank == 0) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    if (s.rank == 1)
        s.d[s.rank++] = s.d[0] = dim_int(1);
    s.d[s.rank - 1] = in_shape(n, 1, &picked)
                          ? type_count(&m->dims, &node_in(n, 1)->type)
                          : fresh_dim(m, n, 0, s.rank - 1);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_extractor(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (in_dtype(n, 0) == DT_STRING) {
        emit_fail(e, OX0302, "leave text out: name numeric outputs with --outputs",
                  "JAX has no strings");
        return;
    }
    const Expr *index = emit_in(e, 1);
    if (in_rank(n, 1) != 1)
        index = EX(a, "$0.ravel()", index);
    bool row = in_rank(n, 0) == 1;
    emit_out(e, 0, EX(a, row ? "$0[None, $1]" : "$0[..., $1]", emit_in(e, 0), index));
}

/* The width that input i takes up: inputdimensions, else its own. */
static bool width_of(const Node *n, int i, Dim *width) {
    const Attr *a = attr_get(n, "inputdimensions");
    int rank = in_rank(n, i);
    if (a && a->ints.count) {
        *width = dim_int((size_t)i < a->ints.count ? a->ints.items[i] : 0);
        return (size_t)i < a->ints.count;
    }
    if (rank == 1 || rank == 2)
        *width = in_dim(n, i, rank - 1);
    return rank == 1 || rank == 2;
}

static void infer_vectorizer(Model *m, Node *n) {
    Dim sum = dim_int(0), width;
    bool known = true;
    for (int i = 0; i < (int)n->n_in; i++) {
        known &= width_of(n, i, &width);
        if (known && dim_is_int(width) && width.c < 0)
            node_error(m, n, OX0303, "", "inputdimensions must not be negative");
        if (in_rank(n, i) > 2 || in_rank(n, i) == 0)
            node_error(m, n, OX0401, "", "input %d has rank %d, but 1 or 2 is needed",
                       i, in_rank(n, i));
        if (known)
            sum = dim_add(&m->dims, sum, width);
    }
    ml_set_matrix(m, n, 0, DT_FLOAT, known ? sum : fresh_dim(m, n, 0, 1));
}

/* Input i as a matrix of its width: cut off or filled with zeros. */
static const Expr *feature_block(Emit *e, int i) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Dim width;
    int rank = in_rank(n, i);
    if (rank < 0 || !width_of(n, i, &width)) {
        emit_fail(e, OX0403, "", "the shape of input %d is not known", i);
        return ex_none();
    }
    const Expr *x = emit_in(e, i);
    Dim own = in_dim(n, i, rank - 1);
    if (rank == 1)
        x = EX(a, "$0[None]", x);
    if (dim_known_eq(&emit_model(e)->dims, own, width) == 1)
        return x;
    if (!dim_is_int(own) || !dim_is_int(width)) {
        emit_fail(e, OX0402, "give the shapes of the inputs with --shape",
                  "the width of input %d is not known", i);
        return x;
    }
    if (own.c > width.c)
        return EX(a, "$0[:, :$1]", x, ex_int(a, width.c));
    return EX(a, "jnp.pad($0, ((0, 0), (0, $1)))", x, ex_int(a, width.c - own.c));
}

static void emit_vectorizer(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr **blocks = ARENA_ARRAY(a, n->n_in, const Expr *);
    for (uint32_t i = 0; blocks && i < n->n_in; i++) {
        blocks[i] = feature_block(e, (int)i);
        if (in_dtype(n, (int)i) != DT_FLOAT)
            blocks[i] = EX(a, "($0).astype(jnp.float32)", blocks[i]);
    }
    if (!blocks)
        return;
    const Expr *y =
        EX(a, "jnp.concatenate($0, axis=1)", ex_seq(a, EX_LIST, blocks, n->n_in));
    emit_out(e, 0, n->n_in == 1 ? blocks[0] : y);
}

/* ---- ZipMap ------------------------------------------------------------------------ */

/* The specification makes a list of dicts of each row; JAX keeps the matrix, and the
 * docstring says which column is which class. */
static void infer_zip_map(Model *m, Node *n) {
    Shape s;
    size_t classes = ml_classes(n).n;
    bool ranked = in_shape(n, 0, &s);
    if (ranked &&
        (s.rank < 1 || s.rank > 2 ||
         (dim_is_int(s.d[s.rank - 1]) && !dim_is(s.d[s.rank - 1], (int64_t)classes))))
        node_error(m, n, OX0401, "", "X does not have one column for each of %zu keys",
                   classes);
    set_type(m, n, 0, DT_FLOAT, &s);
    if (!node_out(n, 0))
        return;
    n->out[0]->declared = NULL; /* a sequence of maps */
    ml_note_columns(m, n, 0);
}

static void emit_zip_map(Emit *e) {
    emit_out(e, 0, emit_in(e, 0));
}

/* ---- maps and strings -------------------------------------------------------------- */

static void infer_unknown(Model *m, Node *n) {
    set_unranked(m, n, 0, DT_UNDEFINED);
}

static void emit_map(Emit *e) {
    emit_fail(e, OX0302, "turn the map into an array before calling forward",
              "it works on maps, which are no arrays");
}

static void emit_category(Emit *e) {
    emit_fail(e, OX0302, "number the categories outside the model",
              "one side of its table is strings, which JAX lacks");
}

/* Rows of all inputs, side by side. */
static bool apart_vectorizer(Model *m, const Node *n, const int *at, int out,
                             int axis) {
    (void)m;
    (void)out;
    for (int k = 0; k < (int)n->n_in; k++)
        if (at[k] != 0 || in_rank(n, k) != 2)
            return false;
    return axis == 0;
}

/* clang-format off */
#define ML .domain = "ai.onnx.ml", .since = 1

static const OpDef ops[] = {
    {.name = "ArrayFeatureExtractor", ML, .in = "X Y", .out = "Z",
     .batch = "X", .infer = infer_extractor, .emit = emit_extractor},
    {.name = "Binarizer", ML, .in = "X", .out = "Y", .facts = OP_ELEMENTWISE,
     .attrs = {FLOAT("threshold", 0)},
     .infer = infer_same, .emit = emit_binarizer},
    {.name = "CastMap", ML, .in = "X", .out = "Y", .facts = OP_REFUSED | OP_CONTAINERS,
     .attrs = {STRING("cast_to", "TO_FLOAT"), STRING("map_form", "DENSE"),
               INT("max_map", 1)},
     .infer = infer_unknown, .emit = emit_map},
    {.name = "CategoryMapper", ML, .in = "X", .out = "Y", .facts = OP_REFUSED,
     .attrs = {INTS_OPT("cats_int64s"), ANY_OPT("cats_strings", ATTR_STRINGS),
               INT("default_int64", -1), STRING("default_string", "_Unused")},
     .infer = infer_unknown, .emit = emit_category},
    {.name = "DictVectorizer", ML, .in = "X", .out = "Y",
     .facts = OP_REFUSED | OP_CONTAINERS,
     .attrs = {INTS_OPT("int64_vocabulary"), ANY_OPT("string_vocabulary", ATTR_STRINGS)},
     .infer = infer_unknown, .emit = emit_map},
    {.name = "FeatureVectorizer", ML, .in = "X*", .out = "Y",
     .attrs = {INTS_OPT("inputdimensions")},
     .apart = apart_vectorizer, .infer = infer_vectorizer, .emit = emit_vectorizer},
    {.name = "Imputer", ML, .in = "X", .out = "Y",
     .attrs = {ANY_OPT("imputed_value_floats", ATTR_FLOATS),
               INTS_OPT("imputed_value_int64s"), FLOAT("replaced_value_float", 0),
               INT("replaced_value_int64", 0)},
     .batch = "X", .infer = infer_same, .emit = emit_imputer},
    {.name = "Normalizer", ML, .in = "X", .out = "Y",
     .attrs = {CHOICE("norm", "MAX", "MAX L1 L2")},
     .batch = "X", .infer = infer_normalizer, .emit = emit_normalizer},
    {.name = "OneHotEncoder", ML, .in = "X", .out = "Y",
     .attrs = {INTS_OPT("cats_int64s"), ANY_OPT("cats_strings", ATTR_STRINGS),
               INT("zeros", 1)},
     .apart = apart_same, .infer = infer_one_hot, .emit = emit_one_hot},
    {.name = "Scaler", ML, .in = "X", .out = "Y",
     .attrs = {ANY_OPT("offset", ATTR_FLOATS), ANY_OPT("scale", ATTR_FLOATS)},
     .batch = "X", .infer = infer_float, .emit = emit_scaler},
    {.name = "ZipMap", ML, .in = "X", .out = "Z",
     .attrs = {INTS_OPT("classlabels_int64s"),
               ANY_OPT("classlabels_strings", ATTR_STRINGS)},
     .apart = apart_same, .infer = infer_zip_map, .emit = emit_zip_map},
};
/* clang-format on */

const OpFamily ops_ml_encode = FAMILY(ops);
