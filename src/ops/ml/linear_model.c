/* Linear models: one row of coefficients for each target or class.
 * Source: ONNX operators of ai.onnx.ml; onnxruntime where the text is silent. */
#include "ops/ml/ml.h"

/* Number of rows in the coefficients; 0 when it cannot be told. */
static size_t targets_of(const Node *n) {
    size_t coefficients = ml_floats(n, "coefficients").n;
    size_t intercepts = ml_floats(n, "intercepts").n;
    int rank = in_rank(n, 0);
    if (op_attr(n->op, STR("targets"))) {
        int64_t targets = attr_int(n, "targets");
        return targets > 0 ? (size_t)targets : 0;
    }
    if (intercepts)
        return intercepts;
    if (rank < 1 || !dim_is_int(in_dim(n, 0, rank - 1)))
        return 0;
    int64_t features = in_dim(n, 0, rank - 1).c;
    return features > 0 ? coefficients / (size_t)features : 0;
}

/* X @ coefficients.T + intercepts; NULL after an error. */
static const Expr *linear_scores(Emit *e, size_t targets) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    MlFloats weights = ml_floats(n, "coefficients");
    int rank = in_rank(n, 0);
    if (!targets || !weights.n) {
        emit_fail(e, OX0303, "",
                  "the number of targets does not follow from the model");
        return NULL;
    }
    const Expr *x = ml_matrix(e), *w = ml_operand(e, "coefficients", targets);
    if (!x || !w)
        return NULL;
    Dim features = in_dim(n, 0, rank - 1);
    if (dim_is_int(features) && !dim_is(features, (int64_t)(weights.n / targets))) {
        emit_fail(e, OX0401, "", "%zu coefficients for %zu x %lld features", weights.n,
                  targets, (long long)features.c);
        return NULL;
    }
    const Expr *b = ml_operand(e, "intercepts", 0);
    return EX(a, "$0 @ $1.T$( + $2)", x, w, emit_lift(e, b, 1, 2));
}

static void infer_regressor(Model *m, Node *n) {
    size_t targets = targets_of(n);
    if (!targets)
        node_error(m, n, OX0303, "", "there must be a target");
    ml_set_matrix(m, n, 0, DT_FLOAT, dim_int((int64_t)targets));
}

static void emit_regressor(Emit *e) {
    const Expr *y = linear_scores(e, targets_of(emit_node(e)));
    y = y ? ml_transformed(e, ml_float32(e, y), ml_post(emit_node(e))) : NULL;
    if (y)
        emit_out(e, 0, y);
}

/* One score for two classes becomes a column for each. */
static void infer_classifier(Model *m, Node *n) {
    size_t targets = targets_of(n), classes = ml_classes(n).n;
    bool fits = classes == targets || (targets == 1 && classes == 2);
    if (targets && !fits)
        node_error(m, n, OX0303, "", "%zu scores for %zu classes", targets, classes);
    ml_set_classifier(m, n, classes);
}

/* Which of two classes has won is seen from one score; how both scores follow from it
 * with a transform, runtimes disagree about. */
static void emit_two_classes(Emit *e, const Expr *score) {
    Arena *a = emit_arena(e);
    if (ml_post(emit_node(e)) != POST_NONE && emit_wants(e, 1)) {
        emit_fail(e, OX0302, "give the model a row of coefficients for each class",
                  "post_transform of one score for two classes is not defined");
        return;
    }
    const Expr *x = ml_shared(e, "score", score);
    emit_out(e, 0, ml_label_where(e, EX(a, "($0)[:, 0] > 0", x)));
    if (emit_wants(e, 1))
        emit_out(e, 1,
                 EX(a, "jnp.concatenate([1 - $0, $0], axis=1)",
                    ex_is_atom(x) ? x : emit_let(e, "score", x)));
}

static void emit_classifier(Emit *e) {
    const Node *n = emit_node(e);
    size_t targets = targets_of(n);
    if (!ml_labels_fit(e))
        return;
    const Expr *scores = linear_scores(e, targets);
    if (!scores)
        return;
    scores = ml_float32(e, scores);
    if (targets == 1) {
        emit_two_classes(e, scores);
        return;
    }
    scores = ml_shared(e, "scores", scores);
    const Expr *best = EX(emit_arena(e), "jnp.argmax($0, axis=1)", scores);
    if (emit_wants(e, 0))
        emit_out(e, 0, ml_label_at(e, best));
    const Expr *y = emit_wants(e, 1) ? ml_transformed(e, scores, ml_post(n)) : NULL;
    if (y)
        emit_out(e, 1, y);
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "LinearClassifier", .domain = "ai.onnx.ml", .since = 1,
     .in = "X", .out = "Y Z",
     .attrs = {INTS_OPT("classlabels_ints"),
               ANY_OPT("classlabels_strings", ATTR_STRINGS),
               ANY_REQ("coefficients", ATTR_FLOATS), ANY_OPT("intercepts", ATTR_FLOATS),
               INT("multi_class", 0), STRING("post_transform", "NONE")},
     .batch = "X", .infer = infer_classifier, .emit = emit_classifier},
    {.name = "LinearRegressor", .domain = "ai.onnx.ml", .since = 1,
     .in = "X", .out = "Y",
     .attrs = {ANY_OPT("coefficients", ATTR_FLOATS), ANY_OPT("intercepts", ATTR_FLOATS),
               STRING("post_transform", "NONE"), INT("targets", 1)},
     .batch = "X", .infer = infer_regressor, .emit = emit_regressor},
};
/* clang-format on */

const OpFamily ops_ml_linear = FAMILY(ops);
