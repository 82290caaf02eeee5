/* --bound: the user knows how large an output gets whose size depends on data.  The
 * rules of such operators ask for it through data_dim. */
#include "passes/sizes/sizes.h"
#include "support/nearest.h"

typedef struct Search {
    Str name;
    int64_t bound;
    bool found;
    Nearest nearest;
} Search;

static void visit_values(Search *s, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!values[i])
            continue;
        nearest_offer(&s->nearest, values[i]->name);
        if (!str_eq(values[i]->name, s->name))
            continue;
        values[i]->bound = s->bound;
        s->found = true;
    }
}

static void visit_graph(void *user, Graph *g) {
    visit_values(user, g->inputs, g->n_inputs);
    visit_values(user, g->params, g->n_params);
    for (size_t i = 0; i < g->n_nodes; i++)
        visit_values(user, g->nodes[i]->out, g->nodes[i]->n_out);
}

/* 0 unless s is a number from 1 to INT32_MAX. */
static int64_t parse_bound(Str s) {
    int64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return 0;
        value = value * 10 + (s.p[i] - '0');
        if (value > INT32_MAX)
            return 0;
    }
    return value;
}

static void spec_error(Model *m, Str spec, Str hint, const char *why) {
    diag_add(m->diags, OX0003, (Str){0}, hint, "--bound %.*s: %s", (int)spec.n, spec.p,
             why);
}

void infer_bound_value(Model *m, Str spec) {
    size_t eq = spec.n; /* names may hold a = */
    while (eq > 0 && spec.p[eq - 1] != '=')
        eq--;
    Search s = {.name = {spec.p, eq ? eq - 1 : 0}};
    s.bound = eq ? parse_bound((Str){spec.p + eq, spec.n - eq}) : 0;
    s.nearest.wanted = s.name;
    if (!s.bound) {
        spec_error(m, spec, STR("write --bound value=100"), "the bound is no number");
        return;
    }
    graph_each(m->graph, visit_graph, &s);
    if (s.found)
        return;
    Str hint = {0}, best = s.nearest.best;
    if (best.n)
        hint = arena_printf(m->arena, "did you mean \"%.*s\"?", (int)best.n, best.p);
    spec_error(m, spec, hint, "the model has no such value");
}
