/* Everything that is in a model, as tables for people: `inspect --layers`. */
#include "inspect/report.h"

#include <inttypes.h>

#include "inspect/columns.h"

/* ---- cells ------------------------------------------------------------------------- */

static void put_number(Table *t, uint64_t n) {
    text_printf(table_cell(t), "%" PRIu64, n);
    table_end_cell(t, true);
}

static void put_type(Table *t, const Type *type) {
    type_print(table_plain(t), type);
    table_put_plain(t);
}

/* ---- rows -------------------------------------------------------------------------- */

static void field(Table *t, Str name, Str value) {
    if (value.n == 0)
        return;
    table_put(t, name);
    table_put(t, value);
    table_end_row(t);
}

/* The value is in t->plain. */
static void plain_field(Table *t, Str name) {
    field(t, name, t->plain.n ? text_view(&t->plain) : STR(""));
}

static void put_opsets(Text *line, const Opsets *opsets) {
    for (size_t i = 0; i < opsets->count; i++) {
        text_lit(line, i ? ", " : "");
        text_str(line, report_domain(opsets->items[i].domain));
        text_printf(line, " %" PRId64, opsets->items[i].version);
    }
}

void report_header_rows(Table *t, const void *user) {
    const Report *r = user;
    const Facts *facts = &r->m->facts;
    Text *line = table_plain(t);
    text_str(line, facts->producer);
    if (facts->producer.n && facts->producer_version.n)
        text_char(line, ' ');
    text_str(line, facts->producer_version);
    plain_field(t, STR("producer"));
    text_printf(table_plain(t), "%" PRId64, facts->ir_version);
    plain_field(t, STR("ir version"));
    put_opsets(table_plain(t), &facts->opsets);
    plain_field(t, STR("opsets"));
    field(t, STR("graph"), r->m->graph->name);
    for (size_t i = 0; i < facts->n_functions; i++)
        field(t, STR("function"), facts->functions[i].name);
    for (size_t i = 0; i < facts->metadata.count; i++)
        field(t, facts->metadata.items[i].key, facts->metadata.items[i].value);
}

static void value_row(Table *t, Str name, const Type *type) {
    table_put(t, name);
    put_type(t, type);
    table_end_row(t);
}

void report_input_rows(Table *t, const void *user) {
    const Report *r = user;
    const Graph *g = r->m->graph;
    for (size_t i = 0; i < g->n_inputs; i++)
        value_row(t, g->inputs[i]->name, &g->inputs[i]->type);
}

void report_output_rows(Table *t, const void *user) {
    const Report *r = user;
    const Graph *g = r->m->graph;
    for (size_t i = 0; i < g->n_outputs; i++)
        value_row(t, g->output_names[i], &g->outputs[i]->type);
}

static void param_rows(Table *t, const void *user) {
    const Report *r = user;
    for (size_t i = 0; i < r->n_params; i++) {
        const Value *v = r->params[i];
        table_put(t, v->name);
        put_type(t, &v->type);
        append_bytes(table_cell(t), v->tensor ? v->tensor->size : 0);
        table_end_cell(t, true);
        table_end_row(t);
    }
}

static void put_outputs(Table *t, const Node *n) {
    Text *types = table_plain(t);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        if (types->n)
            text_lit(types, ", ");
        type_print(types, &n->out[i]->type);
    }
    table_put_plain(t);
}

static void put_params(Table *t, const Node *n) {
    Text *c = table_cell(t);
    const Value *v;
    const char *comma = "";
    for (uint32_t i = 0; (v = report_param(n, &i)); comma = ", ") {
        text_lit(c, comma);
        diag_escape(c, v->name);
    }
    table_end_cell(t, false);
}

static void graph_rows(Table *t, const Graph *g, size_t depth);

static void node_rows(Table *t, const Node *n, size_t depth) {
    put_number(t, n->index);
    append_spaces(table_cell(t), 2 * depth);
    diag_escape(&t->cell, n->op_type);
    if (!n->op)
        text_char(&t->cell, '!');
    table_end_cell(t, false);
    table_put(t, n->name);
    put_outputs(t, n);
    put_params(t, n);
    table_end_row(t);
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t k = 0; k < n->attrs[i].graph_count; k++) {
            table_put(t, STR(""));
            append_spaces(table_cell(t), 2 * depth);
            diag_escape(&t->cell, n->attrs[i].name);
            text_char(&t->cell, ':');
            table_end_cell(t, false);
            table_end_row(t);
            graph_rows(t, n->attrs[i].graphs[k], depth + 1);
        }
}

/* Depth is bounded by GRAPH_DEPTH_MAX. */
static void graph_rows(Table *t, const Graph *g, size_t depth) {
    for (size_t i = 0; i < g->n_nodes; i++)
        node_rows(t, g->nodes[i], depth);
}

static void all_node_rows(Table *t, const void *user) {
    const Report *r = user;
    static const char *const titles[] = {"#", "op", "name", "output", "params"};
    for (size_t i = 0; i < OX_COUNT(titles); i++) {
        text_lit(table_cell(t), titles[i]);
        table_end_cell(t, i == 0);
    }
    table_end_row(t);
    graph_rows(t, r->m->graph, 0);
}

void report_operator(Text *t, Str domain, Str op_type) {
    if (!str_is(domain, "ai.onnx")) {
        diag_escape(t, domain);
        text_lit(t, "::");
    }
    diag_escape(t, op_type);
}

static void put_operator(Table *t, Str domain, Str op_type) {
    report_operator(table_cell(t), domain, op_type);
    table_end_cell(t, false);
}

static void op_rows(Table *t, const void *user) {
    const Report *r = user;
    for (size_t i = 0; i < r->n_ops; i++) {
        put_number(t, r->ops[i]->count);
        put_operator(t, r->ops[i]->domain, r->ops[i]->op_type);
        table_end_row(t);
    }
}

void report_unsupported_rows(Table *t, const void *user) {
    const Report *r = user;
    for (size_t i = 0; i < r->m->unsupported.count; i++) {
        const Unsupported *u = &r->m->unsupported.items[i];
        put_number(t, u->count);
        put_operator(t, report_domain(u->domain), u->op_type);
        text_printf(table_cell(t), "first at #%" PRIu32 " ", u->first->index);
        diag_escape(&t->cell, u->first->name);
        table_end_cell(t, false);
        table_end_row(t);
    }
}

/* ---- sections ---------------------------------------------------------------------- */

static void rows(Text *out, const Report *r, void (*print)(Table *, const void *)) {
    Table t = {.cut = false};
    table_print(&t, out, print, r);
}

static void title(Text *t, const char *name, size_t count) {
    text_printf(t, "\n%s (", name);
    append_count(t, count);
    text_lit(t, ")\n");
}

void inspect_layers(const Report *r, Text *t) {
    const Graph *g = r->m->graph;
    diag_escape(t, r->m->name);
    text_char(t, '\n');
    rows(t, r, report_header_rows);
    title(t, "Inputs", g->n_inputs);
    rows(t, r, report_input_rows);
    title(t, "Outputs", g->n_outputs);
    rows(t, r, report_output_rows);
    text_lit(t, "\nParameters (");
    append_count(t, r->n_params);
    text_lit(t, "): ");
    append_count(t, r->param_elements);
    text_lit(t, " elements, ");
    append_bytes(t, r->param_bytes);
    text_char(t, '\n');
    rows(t, r, param_rows);
    title(t, "Nodes", r->nodes);
    rows(t, r, all_node_rows);
    title(t, "Operators", r->n_ops);
    rows(t, r, op_rows);
    if (r->m->unsupported.count == 0)
        return;
    title(t, "Unsupported operators", r->m->unsupported.count);
    rows(t, r, report_unsupported_rows);
}
