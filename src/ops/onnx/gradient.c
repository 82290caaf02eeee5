/* Gradient, from the domain ai.onnx.preview.training: jax.grad of the function that the
 * nodes between values form.  Its attributes name the values: xs and zs are where the
 * function starts, y is its result.  Its elements are differentiated as their sum.
 * Source: ONNX operator Gradient. */
#include "ops/core/nested.h"

enum { STARTS_MAX = 256 };

typedef struct Starts {
    size_t n;
    Value *v[STARTS_MAX];
} Starts;

static size_t count_xs(const Node *n) {
    const Attr *xs = attr_get(n, "xs");
    return xs ? xs->strings.count : 0;
}

/* Names in a local function are those of its body. */
static Value *find(Model *m, const Node *n, Str name) {
    Str full = name;
    if (n->inlined.n)
        full = arena_printf(m->arena, "%.*s/%.*s", (int)n->inlined.n, n->inlined.p,
                            (int)name.n, name.p);
    Value *v = value_before(n, full);
    if (!v)
        node_error(m, n, OX0303, "a function's inputs and outputs have no names inside",
                   "no value \"%.*s\" is made before this node", (int)name.n, name.p);
    return v;
}

static bool find_all(Model *m, const Node *n, const char *attr, Starts *s) {
    const Attr *names = attr_get(n, attr);
    for (size_t i = 0; names && i < names->strings.count; i++) {
        if (s->n == STARTS_MAX) {
            node_error(m, n, OX0302, "", "more than %d values", STARTS_MAX);
            return false;
        }
        s->v[s->n] = find(m, n, names->strings.items[i]);
        if (!s->v[s->n])
            return false;
        for (size_t k = 0; k < s->n; k++)
            if (s->v[k] == s->v[s->n]) {
                node_error(m, n, OX0303, "", "xs and zs name a value twice");
                return false;
            }
        s->n++;
    }
    return true;
}

/* The function becomes the subgraph of the attribute y. */
static void expand_gradient(Model *m, Node *n) {
    Starts s = {0};
    if (attr_graph(n, "y") || !node_check(m, n))
        return;
    if (!find_all(m, n, "xs", &s) || !find_all(m, n, "zs", &s))
        return;
    Value *y = find(m, n, attr_str(n, "y"));
    Graph **graphs = ARENA_NEW(m->arena, Graph *);
    if (!y || !graphs)
        return;
    if (s.n != n->n_in || n->n_out > count_xs(n)) {
        node_error(m, n, OX0303, "", "%zu names for %u inputs and %u outputs", s.n,
                   n->n_in, n->n_out);
        return;
    }
    *graphs = graph_between(m, n, s.v, s.n, y);
    for (uint32_t i = 0; *graphs && i < n->n_attrs; i++)
        if (str_is(n->attrs[i].name, "y")) {
            n->attrs[i].graphs = graphs;
            n->attrs[i].graph_count = 1;
        }
}

/* What is differentiated is a variable, also where its elements are known. */
static void enter(Model *m, const Node *n, const Graph *f) {
    for (size_t i = 0; i < f->n_inputs; i++) {
        Value *v = f->inputs[i], *given = n->in[i];
        v->type = type_moved(m, &given->type, v);
        v->known = i < count_xs(n) ? NULL : given->known;
        v->splat = i < count_xs(n) ? NULL : given->splat;
    }
}

static bool is_differentiable(const Value *v) {
    return v->type.kind == TYPE_TENSOR &&
           (!v->type.dtype || dtype_is_float(v->type.dtype));
}

static void infer_gradient(Model *m, Node *n) {
    Graph *f = attr_graph(n, "y");
    if (!f)
        return; /* reported by expand_gradient */
    enter(m, n, f);
    infer_subgraph(m, f);
    bool fits = is_differentiable(value_final(f->outputs[0]));
    for (size_t i = 0; i < count_xs(n); i++) {
        fits = fits && is_differentiable(n->in[i]);
        set_moved(m, n, (int)i, &n->in[i]->type);
    }
    if (!fits)
        node_error(m, n, OX0303, "", "y and xs must be tensors of a float type");
}

/* (0, 1, 2), or the one output that is read; NULL for the first. */
static const Expr *argnums(Emit *e, int *only) {
    int64_t all[STARTS_MAX];
    int wanted = 0, n = (int)emit_node(e)->n_out;
    for (int k = 0; k < n; k++) {
        all[k] = k;
        wanted += emit_wants(e, k);
        *only = emit_wants(e, k) ? k : *only;
    }
    if (wanted > 1) {
        *only = -1;
        return ex_ints(emit_arena(e), EX_TUPLE, all, (size_t)n);
    }
    return *only ? ex_int(emit_arena(e), *only) : NULL;
}

static void emit_gradient(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Graph *f = attr_graph(n, "y");
    const Expr *args[STARTS_MAX];
    int only = 0;
    if (!f)
        return;
    for (uint32_t i = 0; i < n->n_in; i++)
        args[i] = emit_in(e, (int)i);
    bool scalar = value_final(f->outputs[0])->type.rank == 0;
    const Expr *function = emit_subgraph(e, f, "objective", true);
    if (!scalar)
        function = EX(a, "summed($0)", function);
    const Expr *grad =
        EX(a, "jax.grad($0$(, argnums=$1))", function, argnums(e, &only));
    const Expr *call = ex_call(a, grad, args, n->n_in);
    if (only < 0)
        emit_outs(e, call);
    else
        emit_out(e, only, call);
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "Gradient", .domain = "ai.onnx.preview.training", .since = 1,
     .in = "Inputs*", .out = "Outputs*",
     .attrs = {ANY_REQ("xs", ATTR_STRINGS), ANY_OPT("zs", ATTR_STRINGS),
               STRING_REQ("y")},
     .expand = expand_gradient, .infer = infer_gradient, .emit = emit_gradient},
};
/* clang-format on */

const OpFamily ops_gradient = FAMILY(ops);
