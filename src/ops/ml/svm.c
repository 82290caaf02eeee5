/* Support vector machines as libsvm has them: one decision for each pair of classes.
 * Source: ONNX operators of ai.onnx.ml; onnxruntime where the text is silent. */
#include "ops/ml/ml.h"

/* ---- the kernel -------------------------------------------------------------------- */

static const Expr *kernel_param(Emit *e, size_t i) {
    MlFloats f = ml_floats(emit_node(e), "kernel_params");
    double value = i < f.n ? ml_float_at(&f, i) : 0;
    return emit_float(e, value, DT_FLOAT);
}

/* The degree of a polynomial: an int where it is one, so that negative bases do. */
static const Expr *degree(Emit *e) {
    MlFloats f = ml_floats(emit_node(e), "kernel_params");
    double value = f.n > 2 ? ml_float_at(&f, 2) : 0;
    bool whole = value >= 0 && value < 1000 && value == (double)(int)value;
    return whole ? ex_int(emit_arena(e), (int)value) : kernel_param(e, 2);
}

/* The kernel of each row of X with each support vector; NULL after an error. */
static const Expr *kernel(Emit *e, size_t vectors) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *x = ml_matrix(e), *v = ml_operand(e, "support_vectors", vectors);
    if (!x || !v) {
        emit_fail(e, OX0303, "", "there are no support vectors");
        return NULL;
    }
    if (attr_is(n, "kernel_type", "LINEAR"))
        return EX(a, "$0 @ $1.T", x, v);
    if (attr_is(n, "kernel_type", "RBF"))
        return EX(a, "rbf_kernel($0, $1, gamma=$2)", x, v, kernel_param(e, 0));
    const Expr *inner =
        EX(a, "$0 * ($1 @ $2.T) + $3", kernel_param(e, 0), x, v, kernel_param(e, 1));
    if (attr_is(n, "kernel_type", "POLY"))
        return EX(a, "($0) ** $1", inner, degree(e));
    return EX(a, "jnp.tanh($0)", inner);
}

/* ---- SVMRegressor ------------------------------------------------------------------ */

static void infer_regressor(Model *m, Node *n) {
    ml_set_matrix(m, n, 0, DT_FLOAT, dim_int(1));
}

static void emit_regressor(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t vectors = attr_int(n, "n_supports");
    const Expr *k = vectors > 0 ? kernel(e, (size_t)vectors) : ml_matrix(e);
    const Expr *w = ml_operand(e, "coefficients", 1), *rho = ml_operand(e, "rho", 0);
    if (!k)
        return;
    if (!w || !rho) {
        emit_fail(e, OX0303, "", "there must be coefficients and rho");
        return;
    }
    if (ml_floats(n, "rho").n > 1)
        rho = EX(a, "$0[:1]", rho);
    if (ml_post(n) != POST_NONE) {
        emit_fail(e, OX0302, "", "post_transform of one value is not defined");
        return;
    }
    const Expr *y = EX(a, "($0) @ $1.T + $2", k, w, emit_lift(e, rho, 1, 2));
    if (attr_int(n, "one_class"))
        y = EX(a, "jnp.where($0 > 0, 1.0, -1.0)", y);
    bool float32 = attr_int(n, "one_class") || in_dtype(n, 0) == DT_DOUBLE;
    emit_out(e, 0, float32 ? EX(a, "($0).astype(jnp.float32)", y) : y);
}

/* ---- SVMClassifier ----------------------------------------------------------------- */

static size_t vector_count(const Node *n) {
    const Attr *a = attr_get(n, "vectors_per_class");
    size_t sum = 0;
    for (size_t i = 0; a && i < a->ints.count; i++)
        sum += a->ints.items[i] > 0 ? (size_t)a->ints.items[i] : 0;
    return sum;
}

static bool counts_fit(const Node *n, size_t classes) {
    const Attr *a = attr_get(n, "vectors_per_class");
    for (size_t i = 0; i < a->ints.count; i++)
        if (a->ints.items[i] < 0 || a->ints.items[i] > INT32_MAX)
            return false;
    return a->ints.count == classes;
}

static bool has_probabilities(const Node *n) {
    return ml_floats(n, "prob_a").n > 0 && vector_count(n) > 0;
}

/* One score a class, or one a pair; both signs of it for two classes. */
static size_t score_count(const Node *n) {
    size_t classes = ml_classes(n).n;
    if (has_probabilities(n) || vector_count(n) == 0 || classes == 2)
        return classes;
    return classes * (classes - 1) / 2;
}

static void infer_classifier(Model *m, Node *n) {
    size_t classes = ml_classes(n).n, pairs = classes * (classes - 1) / 2;
    MlFloats a = ml_floats(n, "prob_a"), b = ml_floats(n, "prob_b");
    bool fits = classes >= 2;
    if (vector_count(n))
        fits = fits && counts_fit(n, classes) && ml_floats(n, "rho").n == pairs &&
               a.n == b.n && (a.n == 0 || a.n == pairs);
    if (!fits)
        node_error(m, n, OX0303, "",
                   "rho, prob_a or vectors_per_class do not fit %zu classes", classes);
    ml_set_classifier(m, n, fits ? score_count(n) : 0);
}

/* Without support vectors: a row of coefficients for each class. */
static void emit_linear(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    size_t classes = ml_classes(n).n;
    if (classes == 2) {
        emit_fail(e, OX0302, "use LinearClassifier",
                  "two classes without support vectors are not defined");
        return;
    }
    const Expr *x = ml_matrix(e), *w = ml_operand(e, "coefficients", classes);
    const Expr *rho = ml_operand(e, "rho", 0);
    if (!x || !w || !rho) {
        emit_fail(e, OX0303, "", "there must be coefficients and rho");
        return;
    }
    const Expr *y = EX(a, "$0 @ $1.T + $2", x, w, EX(a, "$0[0]", rho));
    y = ml_shared(e, "scores", ml_float32(e, y));
    if (emit_wants(e, 0))
        emit_out(e, 0, ml_label_at(e, EX(a, "jnp.argmax($0, axis=1)", y)));
    y = emit_wants(e, 1) ? ml_transformed(e, y, ml_post(n)) : NULL;
    if (y)
        emit_out(e, 1, y);
}

/* Scores from the decisions, before the transform; NULL after an error. */
static const Expr *scores_of(Emit *e, const Expr *decisions) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    size_t classes = ml_classes(n).n;
    if (has_probabilities(n))
        return EX(a, "svm_probabilities($0, $1, $2, $3)", decisions,
                  ml_operand(e, "prob_a", 0), ml_operand(e, "prob_b", 0),
                  ex_int(a, (int64_t)classes));
    if (classes > 2)
        return decisions;
    if (ml_post(n) == POST_NONE)
        return EX(a, "jnp.concatenate([-$0, $0], axis=1)", decisions);
    emit_fail(e, OX0302, "",
              "post_transform of one decision for two classes is not "
              "defined");
    return NULL;
}

static void emit_classifier(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    MlClasses classes = ml_classes(n);
    size_t vectors = vector_count(n);
    if (!ml_labels_fit(e))
        return;
    if (vectors == 0) {
        emit_linear(e);
        return;
    }
    const Expr *k = kernel(e, vectors);
    const Expr *w = ml_operand(e, "coefficients", classes.n - 1);
    if (!k)
        return;
    if (ml_floats(n, "coefficients").n != vectors * (classes.n - 1) || !w) {
        emit_fail(e, OX0303, "", "the coefficients do not fit the support vectors");
        return;
    }
    const Attr *counts = attr_get(n, "vectors_per_class");
    const Expr *d = EX(a, "svm_decisions($0, $1, $2, $3)", emit_let(e, "kernel", k), w,
                       ml_operand(e, "rho", 0),
                       ex_ints(a, EX_TUPLE, counts->ints.items, counts->ints.count));
    d = emit_let(e, "decisions", d);
    const Expr *votes = EX(a, "svm_votes($0, $1)", d, ex_int(a, (int64_t)classes.n));
    if (emit_wants(e, 0))
        emit_out(e, 0, ml_label_at(e, EX(a, "jnp.argmax($0, axis=1)", votes)));
    const Expr *y = emit_wants(e, 1) ? scores_of(e, d) : NULL;
    y = y ? ml_transformed(e, y, ml_post(n)) : NULL;
    if (y)
        emit_out(e, 1, ml_float32(e, y));
}

/* clang-format off */
#define SVM .domain = "ai.onnx.ml", .since = 1, .in = "X"
#define SVM_ATTRS                                                                      \
    ANY_OPT("coefficients", ATTR_FLOATS), ANY_OPT("kernel_params", ATTR_FLOATS),       \
    CHOICE("kernel_type", "LINEAR", "LINEAR RBF POLY SIGMOID"),                        \
    STRING("post_transform", "NONE"),                                                  \
    ANY_OPT("rho", ATTR_FLOATS), ANY_OPT("support_vectors", ATTR_FLOATS)

static const OpDef ops[] = {
    {.name = "SVMClassifier", SVM, .out = "Y Z",
     .attrs = {SVM_ATTRS, INTS_OPT("classlabels_ints"),
               ANY_OPT("classlabels_strings", ATTR_STRINGS),
               ANY_OPT("prob_a", ATTR_FLOATS), ANY_OPT("prob_b", ATTR_FLOATS),
               INTS_OPT("vectors_per_class")},
     .batch = "X", .infer = infer_classifier, .emit = emit_classifier},
    {.name = "SVMRegressor", SVM, .out = "Y",
     .attrs = {SVM_ATTRS, INT("n_supports", 0), INT("one_class", 0)},
     .batch = "X", .infer = infer_regressor, .emit = emit_regressor},
};
/* clang-format on */

const OpFamily ops_ml_svm = FAMILY(ops);
