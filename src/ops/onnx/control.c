/* If: lax.cond where both branches give the same types.  A condition that is known when
 * the model is compiled leaves one branch, which the branches pass puts in its place; one
 * that is known when forward is traced becomes Python's own conditional.
 * Source: ONNX operator If, versions 1, 11, 13, 16, 19, 21, 23, 24, 25. */
#include "ops/core/nested.h"

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

static bool same_results(const Graph *yes, const Graph *no, uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
        const Type *a = &yes->outputs[k]->type, *b = &no->outputs[k]->type;
        if (a->kind != TYPE_TENSOR || !type_same(a, b))
            return false;
    }
    return true;
}

/* JAX may trace both branches: all they do depends on shapes only, and they agree.  One
 * that fails for some shapes is only to be traced when it is taken. */
static bool is_traceable(const Node *n) {
    const Graph *yes = branch(n, true), *no = branch(n, false);
    return same_results(yes, no, n->n_out) && !graph_needs_numbers(yes) &&
           !graph_needs_numbers(no) && !graph_may_refuse(yes) && !graph_may_refuse(no);
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

static void set_types(Model *m, Node *n, const Graph *a, const Graph *b) {
    for (uint32_t k = 0; k < n->n_out; k++) {
        set_moved(m, n, (int)k, &a->outputs[k]->type);
        if (n->out[k])
            (void)type_widen(m, n->out[k], &b->outputs[k]->type);
    }
}

static bool same_ranks(const Graph *a, const Graph *b) {
    for (size_t k = 0; k < a->n_outputs; k++)
        if (a->outputs[k]->type.rank != b->outputs[k]->type.rank)
            return false;
    return true;
}

/* What follows can run with the results of this branch. */
static bool branch_fits(Model *m, Node *n, const Graph *g) {
    set_types(m, n, g, g);
    return infer_fits(m, n);
}

/* Guesses are not made inside each other, and not without end. */
static bool may_guess(Model *m) {
    enum { GUESSES_MAX = 256 };
    return !m->guessing && m->guesses++ < GUESSES_MAX;
}

/* The one branch that can run, and what follows with it; NULL: both can, or what is wrong
 * has been reported.  Exporters of scripted modules write branches for inputs that the
 * module does not take: a squeeze that leaves the axis, a batch that is not there. */
static Graph *choose_branch(Model *m, Node *n, Graph *yes, Graph *no) {
    Diags of_yes, of_no;
    bool can_yes = infer_apart(m, yes, &of_yes), can_no = infer_apart(m, no, &of_no);
    if (can_yes || !can_no)
        diag_take(m->diags, &of_yes);
    if (can_no || !can_yes)
        diag_take(m->diags, &of_no);
    if (can_yes != can_no)
        return can_yes ? yes : no;
    if (!can_yes || !decides_early(n) || same_ranks(yes, no) || !may_guess(m))
        return NULL;
    can_yes = branch_fits(m, n, yes);
    can_no = branch_fits(m, n, no);
    if (!can_yes && !can_no)
        return yes; /* inference is going to say why it does not fit */
    return can_yes && can_no ? NULL : can_yes ? yes : no;
}

/* Where the rank depends on the branch, what the file declares is that of one input. */
static void forget_declared_ranks(Node *n, const Graph *yes, const Graph *no) {
    for (uint32_t k = 0; k < n->n_out; k++) {
        int a = yes->outputs[k]->type.rank, b = no->outputs[k]->type.rank;
        if (n->out[k] && a >= 0 && b >= 0 && a != b)
            n->out[k]->declared = NULL;
    }
}

/* A rewrite has dropped the branch that cannot run. */
static bool is_decided(const Node *n) {
    return n->only && (!branch(n, true) || !branch(n, false));
}

static void infer_if(Model *m, Node *n) {
    if (is_decided(n)) {
        infer_subgraph(m, n->only);
        set_types(m, n, n->only, n->only);
        return;
    }
    Graph *yes = branch(n, true), *no = branch(n, false);
    n->concrete = false;
    n->only = NULL;
    if (in_dtype(n, 0) && in_dtype(n, 0) != DT_BOOL)
        node_error(m, n, OX0401, "", "the condition is not a boolean");
    if (!check_branch(m, n, yes) || !check_branch(m, n, no))
        return;
    if (taken(n) >= 0) {
        infer_taken(m, n, taken_branch(n));
        return;
    }
    n->only = choose_branch(m, n, yes, no);
    set_types(m, n, n->only ? n->only : yes, n->only ? n->only : no);
    if (!n->only && !m->guessing)
        forget_declared_ranks(n, yes, no);
    n->concrete = !decides_early(n) && (n->only || !is_traceable(n));
}

/* ---- code ------------------------------------------------------------------------ */

static const Expr *call(Emit *e, const Expr *function) {
    return function->kind == EX_LAMBDA ? function->kids[0]
                                       : EX(emit_arena(e), "$0()", function);
}

/* A call for the branch g, or of what says that it cannot run. */
static const Expr *run_branch(Emit *e, const Graph *g, const char *name) {
    const Node *n = emit_node(e);
    if (!n->only || n->only == g)
        return call(e, emit_subgraph(e, g, name, false));
    Str node = n->name.n ? n->name : n->op_type;
    return EX(emit_arena(e), "refuse($0)", ex_str(emit_arena(e), node));
}

static const char *why_not_traced(const Node *n) {
    if (n->only)
        return "chooses between branches of which one cannot run";
    return same_results(branch(n, true), branch(n, false), n->n_out)
               ? "chooses between branches that JAX cannot trace unless they are taken"
               : "chooses between results of different shapes";
}

static const Expr *traced_if(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *x = emit_in(e, 0);
    const Expr *yes = emit_subgraph(e, branch(n, true), "then_branch", true);
    const Expr *no = emit_subgraph(e, branch(n, false), "else_branch", true);
    if (in_rank(n, 0) != 0)
        x = EX(a, "$0.reshape(())", x);
    return EX(a, "jax.lax.cond($0, $1, $2)", x, yes, no);
}

/* Python's own conditional. */
static const Expr *python_if(Emit *e) {
    const Node *n = emit_node(e);
    bool early = decides_early(n);
    if (!early)
        emit_not_jittable(e, why_not_traced(n));
    const Expr *x = early ? emit_number(e, 0) : emit_in(e, 0);
    const Expr *yes = run_branch(e, branch(n, true), "then_branch");
    const Expr *no = run_branch(e, branch(n, false), "else_branch");
    bool negated = x->kind == EX_UNARY && str_is(x->text, "not");
    return negated ? ex_if(emit_arena(e), no, x->kids[0], yes)
                   : ex_if(emit_arena(e), yes, x, no);
}

static void emit_if(Emit *e) {
    const Node *n = emit_node(e);
    bool traced = !decides_early(n) && !n->only && is_traceable(n);
    const Expr *x = traced ? traced_if(e) : python_if(e);
    n->n_out == 1 ? emit_out(e, 0, x) : emit_outs(e, x);
}

/* Nothing is left of the branch that cannot run but the word that it cannot. */
static void drop_branch(Model *m, Node *n) {
    (void)m;
    for (uint32_t i = 0; n->only && i < n->n_attrs; i++)
        if (n->attrs[i].graph_count == 1 && n->attrs[i].graphs[0] != n->only)
            n->attrs[i].graph_count = 0;
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
     .rewrite = drop_branch,
     .inlined = taken_branch},
};
const OpFamily ops_control = FAMILY(ops);
