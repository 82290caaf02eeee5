/* Warns where the model has integers for which JAX's default mode, of 32 bits, has no
 * room: which node has them, and what becomes of them. */
#include "ops/core/wide.h"
#include "passes/passes.h"

#define X64 "jax_enable_x64"

static void warn_literal(Model *m, Str where, const Value *v, WideUse use) {
    Str x = wide_text(m->arena, v);
    if (use == WIDE_SATURATED)
        diag_add(m->diags, OX0410, where,
                 STR("set " X64 " for the model's own: jax.config.update(\"" X64
                     "\", True)"),
                 "%.*s becomes the nearest integer where JAX has 32 bits", (int)x.n,
                 x.p);
    else if (use == WIDE_REFUSED)
        diag_add(m->diags, OX0411, where,
                 STR("set " X64
                     ", without which forward fails: jax.config.update(\"" X64
                     "\", True)"),
                 "%.*s does not fit into the 32 bits that JAX has by default", (int)x.n,
                 x.p);
}

static void warn_param(Model *m, Str where, const Value *v) {
    Str x = wide_text(m->arena, v);
    diag_add(m->diags, OX0412, where,
             STR("set " X64
                 ", without which load_params fails: jax.config.update(\"" X64
                 "\", True)"),
             "parameter \"%.*s\" holds %.*s, which does not fit into the 32 bits that "
             "JAX has by default",
             (int)v->name.n, v->name.p, (int)x.n, x.p);
}

static void check_node(Model *m, const Node *n) {
    for (uint32_t i = 0; n->op && i < n->n_in; i++) {
        const Value *v = n->in[i];
        if (!v || node_is_fixed(n, i) || wide_of(v) == WIDE_NONE)
            continue;
        if (v->kind == VALUE_PARAM)
            warn_param(m, node_where(m, n), v);
        else
            warn_literal(m, node_where(m, n), v, wide_use(n, (int)i));
    }
}

static void check_graph(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        check_node(user, g->nodes[i]);
    for (size_t i = 0; i < g->n_outputs; i++) {
        const Value *v = g->outputs[i];
        Wide wide = v->kind == VALUE_NODE ? WIDE_NONE : wide_of(v);
        if (wide != WIDE_NONE && v->kind == VALUE_PARAM)
            warn_param(user, v->name, v);
        else if (wide != WIDE_NONE)
            warn_literal(user, v->name, v,
                         wide == WIDE_ENDS ? WIDE_SATURATED : WIDE_REFUSED);
    }
}

void pass_wide(Model *m) {
    graph_each(m->graph, check_graph, m);
}
