/* If: lax.cond where both branches give the same types.  A condition that is known when
 * the model is compiled leaves one branch, which the branches pass puts in its place; one
 * that is known when forward is traced becomes Python's own conditional.
 * Source: ONNX operator If, versions 1, 11, 13, 16, 19, 21, 23, 24, 25. */
#include "ops/nested.h"

/* 1: then, 0: else, -1: known later. */
static int taken(const Node *n) {
    const Known *k = in_known(n, 0);
    if (!k || k->n != 1 || !k->ints || !dim_is_int(k->ints[0]))
        return -1;
    return k->ints[0].c != 0;
}

/* JAX knows the condition while it traces, as it follows from shapes. */
static bool decides_early(const Node *n) {
    return value_is_number(node_in(n, 0));
}

static Graph *branch(const Node *n, bool condition) {
    return attr_graph(n, condition ? "then_branch" : "else_branch");
}

static Graph *taken_branch(const Node *n) {
    int which = taken(n);
    return which < 0 ? NULL : branch(n, which);
}

/* ---- inference ------------------------------------------------------------------- */

static bool check_branch(Model *m, const Node *n, const Graph *g) {
    if (g && !g->n_inputs && g->n_outputs == n->n_out)
        return true;
    node_error(m, n, OX0303, "", "a branch must have no inputs and %u outputs",
               n->n_out);
    return false;
}

/* JAX may trace both branches: all they do depends on shapes only, and they agree. */
static bool is_traceable(const Node *n) {
    const Graph *yes = branch(n, true), *no = branch(n, false);
    for (uint32_t k = 0; k < n->n_out; k++) {
        const Type *a = &yes->outputs[k]->type, *b = &no->outputs[k]->type;
        if (a->kind != TYPE_TENSOR || !type_same(a, b))
            return false;
    }
    return !graph_needs_numbers(yes) && !graph_needs_numbers(no);
}

/* The branch will become part of this graph, so that all about it can be read here. */
static void infer_taken(Model *m, Node *n, Graph *g) {
    infer_subgraph(m, g);
    for (uint32_t k = 0; k < n->n_out; k++) {
        if (!n->out[k])
            continue;
        n->out[k]->type = g->outputs[k]->type;
        n->out[k]->known = g->outputs[k]->known;
        n->out[k]->splat = g->outputs[k]->splat;
    }
}

static void infer_if(Model *m, Node *n) {
    Graph *yes = branch(n, true), *no = branch(n, false);
    n->concrete = false;
    if (in_dtype(n, 0) && in_dtype(n, 0) != DT_BOOL)
        node_error(m, n, OX0401, "", "the condition is not a boolean");
    if (!check_branch(m, n, yes) || !check_branch(m, n, no))
        return;
    if (taken(n) >= 0) {
        infer_taken(m, n, taken_branch(n));
        return;
    }
    infer_subgraph(m, yes);
    infer_subgraph(m, no);
    for (uint32_t k = 0; k < n->n_out; k++) {
        set_moved(m, n, (int)k, &yes->outputs[k]->type);
        if (n->out[k])
            (void)type_widen(m, n->out[k], &no->outputs[k]->type);
    }
    n->concrete = !decides_early(n) && !is_traceable(n);
}

/* ---- code ------------------------------------------------------------------------ */

static const Expr *call(Emit *e, const Expr *function) {
    return function->kind == EX_LAMBDA ? function->kids[0]
                                       : EX(emit_arena(e), "$0()", function);
}

static void emit_if(Emit *e) {
    const Node *n = emit_node(e);
    Arena *a = emit_arena(e);
    bool early = decides_early(n), traced = !early && is_traceable(n);
    if (!early && !traced)
        emit_not_jittable(e, "chooses between results of different shapes");
    const Expr *x = early ? emit_number(e, 0) : emit_in(e, 0);
    const Expr *yes = emit_subgraph(e, branch(n, true), "then_branch", traced);
    const Expr *no = emit_subgraph(e, branch(n, false), "else_branch", traced);
    if (traced && in_rank(n, 0) != 0)
        x = EX(a, "$0.reshape(())", x);
    x = traced ? EX(a, "jax.lax.cond($0, $1, $2)", x, yes, no)
               : ex_if(a, call(e, yes), x, call(e, no));
    n->n_out == 1 ? emit_out(e, 0, x) : emit_outs(e, x);
}

/* ---- table ----------------------------------------------------------------------- */

static const OpDef ops[] = {
    {.name = "If",
     .since = 1,
     .in = "cond",
     .out = "outputs*",
     .fixed = "cond",
     .attrs = {ANY_REQ("then_branch", ATTR_GRAPH), ANY_REQ("else_branch", ATTR_GRAPH)},
     .infer = infer_if,
     .emit = emit_if,
     .inlined = taken_branch},
};
const OpFamily ops_control = FAMILY(ops);
