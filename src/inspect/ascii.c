/* An inspection as tables for people.  Cells are made twice, once to measure and once to
 * print, so that nothing but a width a column is kept however large the model is. */
#include "inspect/report.h"

#include <inttypes.h>

enum { COLUMNS_MAX = 6, WIDTH_MAX = 44 /* longer cells push the rest of their row */ };

/* A table under way.  In the first round rows only widen the columns. */
typedef struct Table {
    Text *out;
    Text cell;  /* reused for every cell */
    Text plain; /* likewise, for text not yet escaped */
    size_t width[COLUMNS_MAX];
    int column;
    size_t padding; /* owed before the next cell */
    bool measuring;
} Table;

static size_t columns_of(Str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static void spaces(Text *t, size_t n) {
    while (n-- > 0)
        text_char(t, ' ');
}

static Text *cell(Table *t) {
    t->cell.n = 0;
    return &t->cell;
}

/* Ends the cell just written.  Padding is owed until another cell follows, so that no
 * line ends in spaces. */
static void end_cell(Table *t, bool right) {
    Str s = t->cell.n ? text_view(&t->cell) : STR("");
    size_t n = columns_of(s), *width = &t->width[t->column++];
    if (t->measuring) {
        if (n > *width)
            *width = n < WIDTH_MAX ? n : WIDTH_MAX;
        return;
    }
    size_t gap = *width > n ? *width - n : 0;
    if (s.n) {
        spaces(t->out, t->padding + (right ? gap : 0));
        text_str(t->out, s);
        t->padding = (right ? 0 : gap) + 2;
    } else {
        t->padding += *width + 2;
    }
}

static void put_cell(Table *t, Str s) {
    diag_escape(cell(t), s);
    end_cell(t, false);
}

static Text *plain(Table *t) {
    t->plain.n = 0;
    return &t->plain;
}

static void put_plain(Table *t) {
    put_cell(t, t->plain.n ? text_view(&t->plain) : STR(""));
}

static void put_number(Table *t, uint64_t n) {
    text_printf(cell(t), "%" PRIu64, n);
    end_cell(t, true);
}

static void end_row(Table *t) {
    t->column = 0;
    t->padding = 2;
    if (!t->measuring)
        text_char(t->out, '\n');
}

/* Runs the rows twice. */
static void table(Text *out, const Report *r, void (*rows)(Table *t, const Report *r)) {
    Arena *a = out->arena;
    Table t = {.out = out, .cell = {.arena = a}, .plain = {.arena = a}, .padding = 2};
    t.measuring = true;
    rows(&t, r);
    t.measuring = false;
    rows(&t, r);
}

/* ---- cells ------------------------------------------------------------------------- */

static void put_type(Table *t, const Type *type) {
    type_print(plain(t), type);
    put_plain(t);
}

static void append_bytes(Text *t, uint64_t n) {
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    if (n < 1000) {
        text_printf(t, "%" PRIu64 " B", n);
        return;
    }
    double x = (double)n / 1000;
    size_t unit = 0;
    while (x >= 999.95 && unit + 1 < OX_COUNT(units))
        x /= 1000, unit++;
    text_printf(t, "%.1f %s", x, units[unit]);
}

/* 11689512 -> 11,689,512 */
static void append_count(Text *t, uint64_t n) {
    if (n >= 1000) {
        append_count(t, n / 1000);
        text_printf(t, ",%03u", (unsigned)(n % 1000));
    } else {
        text_printf(t, "%u", (unsigned)n);
    }
}

/* ---- rows -------------------------------------------------------------------------- */

static void field(Table *t, Str name, Str value) {
    if (value.n == 0)
        return;
    put_cell(t, name);
    put_cell(t, value);
    end_row(t);
}

/* The value is in t->plain. */
static void plain_field(Table *t, Str name) {
    field(t, name, t->plain.n ? text_view(&t->plain) : STR(""));
}

static void put_opsets(Text *line, const PbOpsets *opsets) {
    for (size_t i = 0; i < opsets->count; i++) {
        text_lit(line, i ? ", " : "");
        text_str(line, report_domain(opsets->items[i].domain));
        text_printf(line, " %" PRId64, opsets->items[i].version);
    }
}

static void header_rows(Table *t, const Report *r) {
    const PbModel *pb = r->m->pb;
    Text *line = plain(t);
    text_str(line, pb->producer_name);
    if (pb->producer_name.n && pb->producer_version.n)
        text_char(line, ' ');
    text_str(line, pb->producer_version);
    plain_field(t, STR("producer"));
    text_printf(plain(t), "%" PRId64, pb->ir_version);
    plain_field(t, STR("ir version"));
    put_opsets(plain(t), &pb->opsets);
    plain_field(t, STR("opsets"));
    field(t, STR("graph"), r->m->graph->name);
    for (size_t i = 0; i < pb->functions.count; i++)
        field(t, STR("function"), pb->functions.items[i].name);
    for (size_t i = 0; i < pb->metadata.count; i++)
        field(t, pb->metadata.items[i].key, pb->metadata.items[i].value);
}

static void value_row(Table *t, Str name, const Type *type) {
    put_cell(t, name);
    put_type(t, type);
    end_row(t);
}

static void input_rows(Table *t, const Report *r) {
    const Graph *g = r->m->graph;
    for (size_t i = 0; i < g->n_inputs; i++)
        value_row(t, g->inputs[i]->name, &g->inputs[i]->type);
}

static void output_rows(Table *t, const Report *r) {
    const Graph *g = r->m->graph;
    for (size_t i = 0; i < g->n_outputs; i++)
        value_row(t, g->output_names[i], &g->outputs[i]->type);
}

static void param_rows(Table *t, const Report *r) {
    for (size_t i = 0; i < r->n_params; i++) {
        const Value *v = r->params[i];
        put_cell(t, v->name);
        put_type(t, &v->type);
        append_bytes(cell(t), v->tensor ? v->tensor->data.n : 0);
        end_cell(t, true);
        end_row(t);
    }
}

static void put_outputs(Table *t, const Node *n) {
    Text *types = plain(t);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        if (types->n)
            text_lit(types, ", ");
        type_print(types, &n->out[i]->type);
    }
    put_plain(t);
}

static void put_params(Table *t, const Node *n) {
    Text *c = cell(t);
    const Value *v;
    const char *comma = "";
    for (uint32_t i = 0; (v = report_param(n, &i)); comma = ", ") {
        text_lit(c, comma);
        diag_escape(c, v->name);
    }
    end_cell(t, false);
}

static void graph_rows(Table *t, const Graph *g, size_t depth);

static void node_rows(Table *t, const Node *n, size_t depth) {
    put_number(t, n->index);
    spaces(cell(t), 2 * depth);
    diag_escape(&t->cell, n->op_type);
    if (!n->op)
        text_char(&t->cell, '!');
    end_cell(t, false);
    put_cell(t, n->name);
    put_outputs(t, n);
    put_params(t, n);
    end_row(t);
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t k = 0; k < n->attrs[i].graph_count; k++) {
            put_cell(t, STR(""));
            spaces(cell(t), 2 * depth);
            diag_escape(&t->cell, n->attrs[i].pb->name);
            text_char(&t->cell, ':');
            end_cell(t, false);
            end_row(t);
            graph_rows(t, n->attrs[i].graphs[k], depth + 1);
        }
}

/* Depth is bounded by GRAPH_DEPTH_MAX. */
static void graph_rows(Table *t, const Graph *g, size_t depth) {
    for (size_t i = 0; i < g->n_nodes; i++)
        node_rows(t, g->nodes[i], depth);
}

static void all_node_rows(Table *t, const Report *r) {
    static const char *const titles[] = {"#", "op", "name", "output", "params"};
    for (size_t i = 0; i < OX_COUNT(titles); i++) {
        text_lit(cell(t), titles[i]);
        end_cell(t, i == 0);
    }
    end_row(t);
    graph_rows(t, r->m->graph, 0);
}

static void put_operator(Table *t, Str domain, Str op_type) {
    Text *c = cell(t);
    if (!str_is(domain, "ai.onnx")) {
        diag_escape(c, domain);
        text_lit(c, "::");
    }
    diag_escape(c, op_type);
    end_cell(t, false);
}

static void op_rows(Table *t, const Report *r) {
    for (size_t i = 0; i < r->n_ops; i++) {
        put_number(t, r->ops[i]->count);
        put_operator(t, r->ops[i]->domain, r->ops[i]->op_type);
        end_row(t);
    }
}

static void unsupported_rows(Table *t, const Report *r) {
    for (size_t i = 0; i < r->m->unsupported.count; i++) {
        const Unsupported *u = &r->m->unsupported.items[i];
        put_number(t, u->count);
        put_operator(t, report_domain(u->domain), u->op_type);
        text_printf(cell(t), "first at #%" PRIu32 " ", u->first->index);
        diag_escape(&t->cell, u->first->name);
        end_cell(t, false);
        end_row(t);
    }
}

/* ---- sections ---------------------------------------------------------------------- */

static void title(Text *t, const char *name, size_t count) {
    text_printf(t, "\n%s (", name);
    append_count(t, count);
    text_lit(t, ")\n");
}

void inspect_ascii(const Report *r, Text *t) {
    const Graph *g = r->m->graph;
    diag_escape(t, r->m->name);
    text_char(t, '\n');
    table(t, r, header_rows);
    title(t, "Inputs", g->n_inputs);
    table(t, r, input_rows);
    title(t, "Outputs", g->n_outputs);
    table(t, r, output_rows);
    text_lit(t, "\nParameters (");
    append_count(t, r->n_params);
    text_lit(t, "): ");
    append_count(t, r->param_elements);
    text_lit(t, " elements, ");
    append_bytes(t, r->param_bytes);
    text_char(t, '\n');
    table(t, r, param_rows);
    title(t, "Nodes", r->nodes);
    table(t, r, all_node_rows);
    title(t, "Operators", r->n_ops);
    table(t, r, op_rows);
    if (r->m->unsupported.count == 0)
        return;
    title(t, "Unsupported operators", r->m->unsupported.count);
    table(t, r, unsupported_rows);
}
