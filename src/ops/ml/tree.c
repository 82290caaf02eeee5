/* Tree ensembles: what the leaves vote for, and what scores and classes follow from it.
 * The rules for two classes with one score are onnxruntime's.
 * Source: ONNX operators TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier. */
#include "ops/ml/forest.h"

#include <math.h>

/* Weights that the file may grow to, 1 GB in float32. */
enum { WEIGHTS_MAX = 1 << 28 };

typedef enum Aggregate {
    AGG_AVERAGE,
    AGG_SUM,
    AGG_MIN,
    AGG_MAX,
    AGG_UNKNOWN
} Aggregate;

static Aggregate aggregate_of(const Node *n) {
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const OpAttr *declared = op_attr(n->op, STR("aggregate_function"));
    if (!declared)
        return AGG_SUM;
    if (declared->type == ATTR_INT) {
        int64_t i = attr_int(n, "aggregate_function");
        return i >= 0 && i < AGG_UNKNOWN ? (Aggregate)i : AGG_UNKNOWN;
    }
    for (size_t i = 0; i < OX_COUNT(names); i++)
        if (attr_is(n, "aggregate_function", names[i]))
            return (Aggregate)i;
    return AGG_UNKNOWN;
}

/* ---- votes ------------------------------------------------------------------------- */

/* A leaf votes for one target at most, so that two vectors hold all votes. */
static bool votes_once(Arena *a, const Forest *f) {
    uint8_t *seen = ARENA_ARRAY(a, f->leaves, uint8_t);
    for (size_t i = 0; seen && i < f->n_votes; i++)
        if (seen[f->votes[i].leaf]++)
            return false;
    return seen != NULL;
}

static const Expr *summed_once(Emit *e, const Forest *f, const Expr *leaf,
                               Aggregate how, size_t targets) {
    Arena *a = emit_arena(e);
    double *weight = ARENA_ARRAY(a, f->leaves, double);
    int32_t *target = ARENA_ARRAY(a, f->leaves, int32_t);
    if (!weight || !target)
        return ex_none();
    for (size_t i = 0; i < f->n_votes; i++) {
        weight[f->votes[i].leaf] = f->votes[i].weight;
        target[f->votes[i].leaf] = (int32_t)f->votes[i].target;
    }
    const Expr *y =
        EX(a, "tree_votes($0, $1, $2, $3)", leaf,
           forest_floats(e, "weights", f->weight_dtype, weight, f->leaves, 0),
           forest_array(e, "targets", DT_INT32, target, (int64_t)f->leaves, 0),
           ex_int(a, (int64_t)targets));
    return how == AGG_SUM ? y : EX(a, "$0 / $1", y, ex_int(a, (int64_t)f->trees));
}

static double joined(Aggregate how, double x, double y) {
    if (how == AGG_MIN)
        return x < y ? x : y;
    if (how == AGG_MAX)
        return x > y ? x : y;
    return x + y;
}

/* The votes of each leaf as a row; NaN where MIN and MAX find none.  *gaps: there is. */
static double *vote_matrix(Arena *a, const Forest *f, Aggregate how, size_t targets,
                           bool *gaps) {
    bool sums = how == AGG_SUM || how == AGG_AVERAGE;
    size_t count = f->leaves * targets;
    double *v = ARENA_ARRAY(a, count, double);
    for (size_t i = 0; v && i < count; i++)
        v[i] = sums ? 0 : (double)NAN;
    for (size_t i = 0; v && i < f->n_votes; i++) {
        double *at =
            &v[(size_t)f->votes[i].leaf * targets + (size_t)f->votes[i].target];
        *at = isnan(*at) ? f->votes[i].weight : joined(how, *at, f->votes[i].weight);
    }
    *gaps = false;
    for (size_t i = 0; v && i < count; i++)
        *gaps |= isnan(v[i]);
    return v;
}

/* Scores (N, targets); a target that no reached leaf votes for has 0. */
static const Expr *votes(Emit *e, const Forest *f, const Expr *leaf, size_t targets) {
    static const char *const joins[] = {
        [AGG_AVERAGE] = "$0[$1].mean(axis=1)",
        [AGG_SUM] = "$0[$1].sum(axis=1)",
        [AGG_MIN] = "$0[$1].min(axis=1)",
        [AGG_MAX] = "$0[$1].max(axis=1)",
    };
    static const char *const with_gaps[] = {
        [AGG_MIN] = "jnp.nan_to_num(jnp.nanmin($0[$1], axis=1))",
        [AGG_MAX] = "jnp.nan_to_num(jnp.nanmax($0[$1], axis=1))",
    };
    Arena *a = emit_arena(e);
    Aggregate how = aggregate_of(emit_node(e));
    bool gaps;
    if (f->leaves && targets > WEIGHTS_MAX / f->leaves) {
        emit_fail(e, OX0302, "", "%zu leaves with %zu targets are too many", f->leaves,
                  targets);
        return ex_none();
    }
    if (how == AGG_UNKNOWN) {
        emit_fail(e, OX0303, "",
                  "aggregate_function is none of those in the specification");
        return ex_none();
    }
    if (targets > 1 && (how == AGG_SUM || how == AGG_AVERAGE) && votes_once(a, f))
        return summed_once(e, f, leaf, how, targets);
    const double *v = vote_matrix(a, f, how, targets, &gaps);
    const Expr *weights =
        v ? forest_floats(e, "weights", f->weight_dtype, v, f->leaves, targets)
          : ex_none();
    bool extreme = how == AGG_MIN || how == AGG_MAX;
    return EX(a, gaps && extreme ? with_gaps[how] : joins[how], weights, leaf);
}

/* y + base_values, which must be one for each target. */
static const Expr *with_base(Emit *e, const Expr *y, size_t targets) {
    MlFloats base = ml_floats(emit_node(e), "base_values");
    bool zero = true;
    for (size_t i = 0; i < base.n; i++)
        zero = zero && !(ml_float_at(&base, i) < 0) && !(ml_float_at(&base, i) > 0);
    if (base.n && base.n != targets)
        emit_fail(e, OX0303, "", "%zu base_values for %zu targets", base.n, targets);
    if (zero)
        return y;
    return EX(emit_arena(e), "$0 + $1", y,
              emit_lift(e, ml_weights(e, "base_values", 0), 1, 2));
}

/* y in the type of the output. */
static const Expr *as_output(Emit *e, const Forest *f, const Expr *y, int out) {
    DType base = ml_floats(emit_node(e), "base_values").dtype;
    DType from = base == DT_DOUBLE ? DT_DOUBLE : f->weight_dtype;
    DType to = node_out(emit_node(e), out)->type.dtype;
    return from == to ? y : EX(emit_arena(e), "($0).astype($1)", y, emit_dtype(e, to));
}

static bool read(Emit *e, Forest *f) {
    const char *error = forest_read(emit_arena(e), emit_node(e), f);
    if (error)
        emit_fail(e, OX0303, "", "%s", error);
    return !error && !emit_arena(e)->failed;
}

/* ---- regression -------------------------------------------------------------------- */

static int64_t targets_of(Model *m, const Node *n) {
    Forest f;
    int64_t targets = attr_int(n, "n_targets");
    if (!attr_has(n, "n_targets"))
        targets = forest_read(m->arena, n, &f) ? 0 : f.targets;
    return targets;
}

static void infer_trees(Model *m, Node *n) {
    bool by_position = op_attr(n->op, STR("tree_roots")) != NULL;
    int64_t targets = targets_of(m, n);
    if (targets < 1 || targets > INT32_MAX)
        node_error(m, n, OX0303, "", "n_targets must be positive and fit 32 bits");
    ml_set_matrix(m, n, 0, by_position ? in_dtype(n, 0) : DT_FLOAT, dim_int(targets));
}

static void emit_trees(Emit *e) {
    const Node *n = emit_node(e);
    Forest f;
    int64_t targets = targets_of(emit_model(e), n);
    if (!read(e, &f))
        return;
    if (f.targets > targets) {
        emit_fail(e, OX0303, "", "target %lld of %lld has a weight",
                  (long long)f.targets - 1, (long long)targets);
        return;
    }
    const Expr *leaf = forest_leaves(e, &f);
    if (!leaf)
        return;
    const Expr *y = with_base(e, votes(e, &f, leaf, (size_t)targets), (size_t)targets);
    y = ml_transformed(e, as_output(e, &f, y, 0), ml_post(n));
    if (y)
        emit_out(e, 0, y);
}

/* ---- classification ---------------------------------------------------------------- */

static void infer_classifier(Model *m, Node *n) {
    size_t classes = ml_classes(n).n;
    if (classes < 2)
        node_error(m, n, OX0302, "", "a classifier needs two classes or more");
    ml_set_classifier(m, n, classes);
}

/* All votes are for one class: that class, else -1. */
static int64_t only_class(const Forest *f) {
    for (size_t i = 1; i < f->n_votes; i++)
        if (f->votes[i].target != f->votes[0].target)
            return -1;
    return f->n_votes ? f->votes[0].target : -1;
}

static bool all_positive(const Forest *f) {
    for (size_t i = 0; i < f->n_votes; i++)
        if (f->votes[i].weight < 0)
            return false;
    return true;
}

/* One score says how much speaks for class 1: a probability when no weight is negative,
 * else a margin around 0. */
static void emit_score(Emit *e, const Expr *score, bool is_probability) {
    Arena *a = emit_arena(e);
    MlPost post = ml_post(emit_node(e));
    score = emit_let(e, "score", score);
    const char *won = is_probability ? "$0[:, 0] > 0.5" : "$0[:, 0] > 0";
    emit_out(e, 0, ml_label_where(e, EX(a, won, score)));
    if (!emit_wants(e, 1))
        return;
    bool logistic = post == POST_LOGISTIC && !is_probability;
    if (post != POST_NONE && !logistic) {
        emit_fail(e, OX0302, "give the leaves a weight for each class",
                  "post_transform of one score for two classes is not defined");
        return;
    }
    const Expr *both = EX(a,
                          is_probability ? "jnp.concatenate([1 - $0, $0], axis=1)"
                                         : "jnp.concatenate([-$0, $0], axis=1)",
                          score);
    emit_out(e, 1, logistic ? EX(a, "jax.nn.sigmoid($0)", both) : both);
}

/* One column for each class. */
static void emit_scores(Emit *e, const Forest *f, const Expr *scores) {
    Arena *a = emit_arena(e);
    bool one = ml_classes(emit_node(e)).n == 2 && only_class(f) == 1;
    scores = ml_shared(e, "scores", scores);
    if (emit_wants(e, 0) && one)
        emit_out(e, 0,
                 ml_label_where(
                     e, EX(a, all_positive(f) ? "($0)[:, 1] > 0.5" : "($0)[:, 1] > 0",
                           scores)));
    else if (emit_wants(e, 0))
        emit_out(e, 0, ml_label_at(e, EX(a, "jnp.argmax($0, axis=1)", scores)));
    const Expr *y =
        emit_wants(e, 1) ? ml_transformed(e, scores, ml_post(emit_node(e))) : NULL;
    if (y)
        emit_out(e, 1, y);
}

static void emit_classifier(Emit *e) {
    const Node *n = emit_node(e);
    size_t classes = ml_classes(n).n, base = ml_floats(n, "base_values").n;
    Forest f;
    if (!ml_labels_fit(e) || !read(e, &f))
        return;
    bool one_vote = classes == 2 && only_class(&f) >= 0;
    bool one_score = one_vote && only_class(&f) == 0;
    if (f.targets > (int64_t)classes) {
        emit_fail(e, OX0303, "", "class %lld of %zu has a weight",
                  (long long)f.targets - 1, classes);
        return;
    }
    if (one_vote && base > (one_score ? 1 : 0)) {
        emit_fail(e, OX0302, "give the leaves a weight for each class",
                  "base_values with weights for class %d alone are not defined",
                  (int)only_class(&f));
        return;
    }
    const Expr *leaf = forest_leaves(e, &f);
    if (!leaf)
        return;
    size_t columns = one_score ? 1 : classes;
    const Expr *y = with_base(e, votes(e, &f, leaf, columns), columns);
    y = as_output(e, &f, y, 1);
    if (one_score)
        emit_score(e, y, all_positive(&f));
    else
        emit_scores(e, &f, y);
}

/* clang-format off */
#define TREES .domain = "ai.onnx.ml", .in = "X", .batch = "X"
#define NODES                                                                          \
    ANY_OPT("base_values", ATTR_FLOATS), INTS_OPT("nodes_falsenodeids"),               \
    INTS_OPT("nodes_featureids"), ANY_OPT("nodes_hitrates", ATTR_FLOATS),              \
    INTS_OPT("nodes_missing_value_tracks_true"),                                       \
    ANY_OPT("nodes_modes", ATTR_STRINGS), INTS_OPT("nodes_nodeids"),                   \
    INTS_OPT("nodes_treeids"), INTS_OPT("nodes_truenodeids"),                          \
    ANY_OPT("nodes_values", ATTR_FLOATS), STRING("post_transform", "NONE")
#define NODE_TENSORS                                                                   \
    ANY_OPT("base_values_as_tensor", ATTR_TENSOR),                                     \
    ANY_OPT("nodes_hitrates_as_tensor", ATTR_TENSOR),                                  \
    ANY_OPT("nodes_values_as_tensor", ATTR_TENSOR)
#define CLASSIFIER .name = "TreeEnsembleClassifier", TREES, .out = "Y Z",              \
    .infer = infer_classifier, .emit = emit_classifier
#define CLASSES INTS_OPT("class_ids"), INTS_OPT("class_nodeids"),                      \
    INTS_OPT("class_treeids"), ANY_OPT("class_weights", ATTR_FLOATS),                  \
    INTS_OPT("classlabels_int64s"), ANY_OPT("classlabels_strings", ATTR_STRINGS)
#define REGRESSOR .name = "TreeEnsembleRegressor", TREES, .out = "Y",                  \
    .infer = infer_trees, .emit = emit_trees
#define TARGETS STRING("aggregate_function", "SUM"), INT_OPT("n_targets"),             \
    INTS_OPT("target_ids"), INTS_OPT("target_nodeids"), INTS_OPT("target_treeids"),    \
    ANY_OPT("target_weights", ATTR_FLOATS)

static const OpDef ops[] = {
    {CLASSIFIER, .since = 1, .until = 2, .attrs = {NODES, CLASSES}},
    {CLASSIFIER, .since = 3,
     .attrs = {NODES, CLASSES, NODE_TENSORS,
               ANY_OPT("class_weights_as_tensor", ATTR_TENSOR)}},
    {REGRESSOR, .since = 1, .until = 2, .attrs = {NODES, TARGETS}},
    {REGRESSOR, .since = 3,
     .attrs = {NODES, TARGETS, NODE_TENSORS,
               ANY_OPT("target_weights_as_tensor", ATTR_TENSOR)}},
    {.name = "TreeEnsemble", TREES, .since = 5, .out = "Y",
     .attrs = {INT("aggregate_function", 1), INTS_REQ("leaf_targetids"),
               ANY_REQ("leaf_weights", ATTR_TENSOR),
               ANY_OPT("membership_values", ATTR_TENSOR), INT_OPT("n_targets"),
               INTS_REQ("nodes_falseleafs"), INTS_REQ("nodes_falsenodeids"),
               INTS_REQ("nodes_featureids"), ANY_OPT("nodes_hitrates", ATTR_TENSOR),
               INTS_OPT("nodes_missing_value_tracks_true"),
               ANY_REQ("nodes_modes", ATTR_TENSOR),
               ANY_REQ("nodes_splits", ATTR_TENSOR), INTS_REQ("nodes_trueleafs"),
               INTS_REQ("nodes_truenodeids"), INT("post_transform", 0),
               INTS_REQ("tree_roots")},
     .infer = infer_trees, .emit = emit_trees},
};
/* clang-format on */

const OpFamily ops_ml_tree = FAMILY(ops);
