/* Losses over class labels.  Labels that equal ignore_index count neither in the sum nor
 * in the mean, as in torch, onnxruntime and the function bodies of the specification.
 * Source: ONNX operators NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
#include "ops/onnx/window.h"

static bool is_reduced(const Node *n) {
    return !attr_is(n, "reduction", "none");
}

static void infer_loss(Model *m, Node *n) {
    Shape s, x;
    DType dtype = in_dtype(n, 0);
    bool ranked = in_shape(n, 1, &s);
    if (in_shape(n, 0, &x) && (x.rank < 2 || (ranked && s.rank != x.rank - 1))) {
        node_error(m, n, OX0401, "", "the labels do not fit an input of rank %d",
                   x.rank);
        return;
    }
    if (is_reduced(n))
        s = (Shape){.rank = 0};
    set_type(m, n, 0, dtype, &s);
    set_type(m, n, 1, dtype, &x);
}

static void emit_loss_of(Emit *e, const Expr *log_prob) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *call = EX(a, "nll_loss($0, $1$(, $2))", log_prob, emit_in(e, 1),
                          node_in(n, 2) ? emit_in(e, 2) : NULL);
    if (attr_has(n, "ignore_index"))
        call =
            call_with(e, call, "ignore_index", ex_int(a, attr_int(n, "ignore_index")));
    const Expr *reduction = ex_str(a, attr_str(n, "reduction"));
    emit_out(e, 0, call_with(e, call, "reduction", reduction));
}

static void emit_nll(Emit *e) {
    emit_loss_of(e, emit_in(e, 0));
}

static void emit_cross_entropy(Emit *e) {
    const Expr *log_prob = emit_template(e, "jax.nn.log_softmax($scores, axis=1)");
    if (emit_wants(e, 1)) {
        log_prob = emit_let(e, "log_prob", log_prob);
        emit_out(e, 1, log_prob);
    }
    emit_loss_of(e, log_prob);
}

/* clang-format off */
#define REDUCTION CHOICE("reduction", "mean", "none sum mean")
static const OpDef ops[] = {
    {.name = "NegativeLogLikelihoodLoss", .since = 12, .in = "input target weight?",
     .out = "loss", .attrs = {INT_OPT("ignore_index"), REDUCTION},
     .infer = infer_loss, .emit = emit_nll},
    {.name = "SoftmaxCrossEntropyLoss", .since = 12, .in = "scores labels weights?",
     .out = "output log_prob?",
     .attrs = {INT_OPT("ignore_index"), REDUCTION},
     .infer = infer_loss, .emit = emit_cross_entropy},
};
/* clang-format on */

const OpFamily ops_loss = FAMILY(ops);
