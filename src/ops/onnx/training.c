/* Steps of optimizers, from the domain ai.onnx.preview.training.
 * Inputs are the rate, the step, then groups of equal length: parameters, gradients and
 * states.  Each step is one call of a helper in python/lib/training.py with an array, or
 * a tuple of arrays, for each group.
 * Source: ONNX operators Adagrad, Adam, Momentum. */
#include "ops/onnx/window.h"

#include <math.h>

enum { MAX_TENSORS = 4096, MAX_GROUPS = 4 };

/* Parameters, gradients, then states; all but the gradients come out again. */
static int groups_of(const Node *n) {
    return strcmp(n->op->name, "Adam") == 0 ? 4 : 3;
}

/* Tensors in each group; 0 when the inputs cannot be divided. */
static int tensors_of(const Node *n) {
    int count = (int)n->n_in - 2, groups = groups_of(n);
    bool fits = count > 0 && count % groups == 0 && count / groups <= MAX_TENSORS &&
                (int)n->n_out <= count / groups * (groups - 1);
    return fits ? count / groups : 0;
}

static void infer_step(Model *m, Node *n) {
    int count = tensors_of(n);
    if (!count)
        node_error(m, n, OX0303, "", "%d inputs and %d outputs form no groups of %d",
                   (int)n->n_in - 2, (int)n->n_out, groups_of(n));
    for (int k = 0; k < (int)n->n_out; k++) {
        Shape s = {.rank = -1};
        int from = 2 + (k < count ? k : k + count);
        if (count)
            in_shape(n, from, &s);
        set_type(m, n, k, count ? in_dtype(n, from) : DT_UNDEFINED, &s);
    }
}

/* One array, or a tuple of several. */
static const Expr *group(Emit *e, int first, int count) {
    const Expr **items = ARENA_ARRAY(emit_arena(e), (size_t)count, const Expr *);
    if (!items || count == 1)
        return emit_in(e, first);
    for (int i = 0; i < count; i++)
        items[i] = emit_in(e, first + i);
    return ex_seq(emit_arena(e), EX_TUPLE, items, (size_t)count);
}

/* helper(x, grad, states..., rate, step); NULL when the inputs do not fit. */
static const Expr *step_call(Emit *e, const char *helper) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *args[MAX_GROUPS + 2];
    int groups = groups_of(n), count = tensors_of(n);
    if (!count)
        return NULL;
    for (int i = 0; i < groups; i++)
        args[i] = group(e, 2 + i * count, count);
    args[groups] = emit_in(e, 0);
    args[groups + 1] = emit_in(e, 1);
    return ex_call(a, ex_name(a, str_from(helper)), args, (size_t)groups + 2);
}

/* The results come in the order of their groups. */
static void set_results(Emit *e, const Expr *call) {
    int counts[MAX_GROUPS], results = groups_of(emit_node(e)) - 1;
    for (int i = 0; i < results; i++)
        counts[i] = tensors_of(emit_node(e));
    emit_groups(e, call, counts, (size_t)results);
}

static const Expr *with_number(Emit *e, const Expr *call, const char *keyword,
                               const char *attr) {
    double value = attr_float(emit_node(e), attr);
    return call_with(e, call, keyword, emit_float(e, value, DT_FLOAT));
}

static void emit_adagrad(Emit *e) {
    const Expr *call = step_call(e, "adagrad_step");
    if (!call)
        return;
    call = with_number(e, call, "weight_decay", "norm_coefficient");
    call = with_number(e, call, "rate_decay", "decay_factor");
    set_results(e, with_number(e, call, "eps", "epsilon"));
}

static void emit_adam(Emit *e) {
    const Expr *call = step_call(e, "adam_step");
    if (!call)
        return;
    call = with_number(e, call, "alpha", "alpha");
    call = with_number(e, call, "beta", "beta");
    call = with_number(e, call, "weight_decay", "norm_coefficient");
    call = with_number(e, call, "weight_decay_after", "norm_coefficient_post");
    set_results(e, with_number(e, call, "eps", "epsilon"));
}

static void emit_momentum(Emit *e) {
    const Expr *call = step_call(e, "momentum_step");
    bool nesterov = attr_is(emit_node(e), "mode", "nesterov");
    if (!call)
        return;
    call = with_number(e, call, "alpha", "alpha");
    call = with_number(e, call, "beta", "beta");
    call = with_number(e, call, "weight_decay", "norm_coefficient");
    set_results(e, call_with(e, call, "nesterov", ex_bool(emit_arena(e), nesterov)));
}

/* clang-format off */
#define TRAINING .domain = "ai.onnx.preview.training", .since = 1,                     \
    .in = "R T inputs*", .out = "outputs*"

static const OpDef ops[] = {
    {.name = "Adagrad", TRAINING,
     .attrs = {FLOAT("decay_factor", 0), FLOAT("epsilon", 1e-6),
               FLOAT("norm_coefficient", 0)},
     .infer = infer_step, .emit = emit_adagrad},
    {.name = "Adam", TRAINING,
     .attrs = {FLOAT("alpha", 0.9), FLOAT("beta", 0.999), FLOAT("epsilon", 1e-6),
               FLOAT("norm_coefficient", 0), FLOAT("norm_coefficient_post", 0)},
     .infer = infer_step, .emit = emit_adam},
    {.name = "Momentum", TRAINING,
     .attrs = {FLOAT_REQ("alpha"), FLOAT_REQ("beta"),
               SUPPORTED_REQ("mode", "standard nesterov"),
               FLOAT_REQ("norm_coefficient")},
     .infer = infer_step, .emit = emit_momentum},
};
/* clang-format on */

const OpFamily ops_training = FAMILY(ops);
