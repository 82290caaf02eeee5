/* Walks over the IR: uses, subgraphs, messages about nodes, dump and verification. */
#include "ir/ir.h"

uint32_t node_graph_attrs(const Node *n) {
    return n->graph->model->has_subgraphs ? n->n_attrs : 0;
}

void graph_each(Graph *g, void (*visit)(void *user, Graph *g), void *user) {
    visit(user, g);
    for (size_t i = 0; g->model->has_subgraphs && i < g->n_nodes; i++)
        for (uint32_t a = 0; a < g->nodes[i]->n_attrs; a++)
            for (size_t k = 0; k < g->nodes[i]->attrs[a].graph_count; k++)
                graph_each(g->nodes[i]->attrs[a].graphs[k], visit, user);
}

/* ---- uses -------------------------------------------------------------------------- */

void uses_begin(Graph *g) {
    for (size_t i = 0; i < g->n_inputs; i++)
        g->inputs[i]->uses = 0;
    for (size_t i = 0; i < g->n_params; i++)
        g->params[i]->uses = 0;
}

void uses_of_node(const Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i])
            n->in[i]->uses++;
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i])
            n->out[i]->uses = 0;
}

void uses_end(Graph *g) {
    for (size_t i = 0; i < g->n_outputs; i++)
        g->outputs[i]->uses++;
}

static void count_uses(void *user, Graph *g) {
    (void)user;
    uses_begin(g);
    for (size_t i = 0; i < g->n_nodes; i++)
        uses_of_node(g->nodes[i]);
    uses_end(g);
}

void graph_count_uses(Model *m) {
    graph_each(m->graph, count_uses, NULL);
}

/* ---- messages ---------------------------------------------------------------------- */

Str node_where(Model *m, const Node *n) {
    Text t = {.arena = m->arena};
    text_printf(&t, "node #%u \"%.*s\" (%.*s, %.*s %lld)", n->index, (int)n->name.n,
                n->name.p, (int)n->op_type.n, n->op_type.p,
                n->domain.n ? (int)n->domain.n : 7,
                n->domain.n ? n->domain.p : "ai.onnx", (long long)n->opset);
    for (uint32_t i = 0; i < n->n_in && i < 8; i++) {
        if (!n->in[i])
            continue;
        text_printf(&t, "  %.*s ", (int)n->in[i]->name.n, n->in[i]->name.p);
        type_print(&t, &n->in[i]->type);
    }
    return text_view(&t);
}

/* What helps against an operator that is not known depends on who wrote it. */
static Str unsupported_hint(Str domain) {
    static const struct {
        const char *domain, *hint;
    } known[] = {
        {"",
         "oxide_xla ops lists what is supported; re-exporting at another opset often "
         "decomposes an operator"},
        {"com.microsoft",
         "onnxruntime's tools write these operators: compile the model from before its "
         "optimizer or quantizer, or one that was saved with ORT_ENABLE_BASIC"},
        {"com.microsoft.nchwc",
         "onnxruntime made this file for the processor it ran on: save it with "
         "graph_optimization_level ORT_ENABLE_EXTENDED, or compile the model from "
         "before"},
        {"com.ms.internal.nhwc",
         "onnxruntime made this file for one execution provider: save it with "
         "graph_optimization_level ORT_ENABLE_EXTENDED, or compile the model from "
         "before"},
        {"ai.onnx.contrib", "onnxruntime-extensions does this before or after the "
                            "model: compile the model "
                            "without it"},
        {"org.pytorch.aten",
         "the exporter had no ONNX for this operator: export with dynamo=True"},
        {"ai.onnx.ml", "oxide_xla ops lists what is supported"},
    };
    for (size_t i = 0; i < OX_COUNT(known); i++)
        if (str_is(domain, known[i].domain))
            return str_from(known[i].hint);
    return STR("this operator is of no standard: register a translation to ONNX where "
               "the model is exported, or give it as a function of the model");
}

void graph_report_unsupported(Model *m) {
    for (size_t i = 0; i < m->unsupported.count; i++) {
        const Unsupported *u = &m->unsupported.items[i];
        bool main_domain = u->domain.n == 0;
        diag_add(m->diags, OX0301, node_where(m, u->first), unsupported_hint(u->domain),
                 "UnsupportedOp: %.*s (%.*s %lld), used %zu time%s", (int)u->op_type.n,
                 u->op_type.p, main_domain ? 7 : (int)u->domain.n,
                 main_domain ? "ai.onnx" : u->domain.p, (long long)u->opset, u->count,
                 u->count == 1 ? "" : "s");
    }
}

/* ---- dump -------------------------------------------------------------------------- */

static void dump_values(Text *t, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        text_lit(t, i ? ", " : "");
        if (!values[i]) {
            text_char(t, '_');
            continue;
        }
        text_str(t, values[i]->name);
        text_char(t, ' ');
        type_print(t, &values[i]->type);
    }
}

static void dump_graph(void *user, Graph *g) {
    Text *t = user;
    text_printf(t, "graph %.*s(", (int)g->name.n, g->name.p);
    dump_values(t, g->inputs, g->n_inputs);
    text_lit(t, ")\n");
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        text_lit(t, "  ");
        dump_values(t, n->out, n->n_out);
        text_printf(t, " = %.*s(", (int)n->op_type.n, n->op_type.p);
        dump_values(t, n->in, n->n_in);
        text_lit(t, ")\n");
    }
    text_lit(t, "  return ");
    dump_values(t, g->outputs, g->n_outputs);
    text_lit(t, "\n");
}

void graph_dump(Text *t, const Model *m) {
    graph_each(m->graph, dump_graph, t);
}

/* ---- verification ------------------------------------------------------------------ */

typedef struct Verify {
    const Model *m;
    unsigned char *made; /* by value id: its definition has been passed */
    const char *why;
} Verify;

static void mark(Verify *v, const Value *value) {
    if (value->id >= v->m->value_count)
        v->why = "a value has an id past the count";
    else if (v->made[value->id]++)
        v->why = "a value is made twice";
}

static void need(Verify *v, const Value *value) {
    if (value && !v->made[value->id] && !v->why)
        v->why = "a value is used before it is made";
}

static void verify_graph(Verify *v, const Graph *g);

static void verify_node(Verify *v, const Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++)
        need(v, n->in[i]);
    for (uint32_t a = 0; a < n->n_attrs; a++) {
        if (n->attrs[a].graph_count && !v->m->has_subgraphs)
            v->why = "a node holds a graph and the model says that none does";
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            verify_graph(v, n->attrs[a].graphs[k]);
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        mark(v, n->out[i]);
        if (n->out[i]->def != n || n->out[i]->out_index != i)
            v->why = "an output does not point back to its node";
    }
}

static void verify_graph(Verify *v, const Graph *g) {
    for (size_t i = 0; i < g->n_params; i++)
        mark(v, g->params[i]);
    for (size_t i = 0; i < g->n_inputs; i++)
        mark(v, g->inputs[i]);
    for (size_t i = 0; i < g->n_nodes && !v->why; i++)
        verify_node(v, g->nodes[i]);
    for (size_t i = 0; i < g->n_outputs; i++)
        need(v, g->outputs[i]);
}

bool graph_verify(Model *m, const char **why) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    Verify v = {.m = m, .made = arena_alloc(&scratch, m->value_count + 1)};
    if (v.made)
        verify_graph(&v, m->graph);
    arena_scratch_end(&scratch, m->arena);
    *why = v.why;
    return v.why == NULL;
}
