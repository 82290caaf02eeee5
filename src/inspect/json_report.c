/* An inspection as one JSON object; docs/architecture.md, "inspect", lists its fields.
 * Entries of the long lists stand on one line each, so that line tools work too. */
#include "inspect/report.h"

#include <inttypes.h>
#include <math.h>

#include "support/json.h"

enum { SCHEMA_VERSION = 3 };

/* Writes what separates one member or item from the one before. */
typedef struct List {
    Text *t;
    const char *gap; /* after the comma */
    bool any;
} List;

static Text *item(List *l) {
    text_lit(l->t, l->any ? "," : "");
    text_lit(l->t, l->any || l->gap[0] == '\n' ? l->gap : "");
    l->any = true;
    return l->t;
}

static Text *member(List *l, const char *key) {
    Text *t = item(l);
    text_json(t, str_from(key));
    text_lit(t, ": ");
    return t;
}

static void member_str(List *l, const char *key, Str value) {
    text_json(member(l, key), value);
}

static void member_int(List *l, const char *key, int64_t value) {
    text_printf(member(l, key), "%" PRId64, value);
}

/* ---- types ------------------------------------------------------------------------- */

static void put_dim(Text *t, Dim d) {
    if (dim_is_int(d)) {
        text_printf(t, "%" PRId64, d.c);
        return;
    }
    Text name = {.arena = t->arena};
    dim_print(&name, d);
    text_json(t, text_view(&name));
}

static void put_shape(Text *t, const Type *type) {
    if (type->rank < 0) {
        text_lit(t, "null");
        return;
    }
    List dims = {t, " ", false};
    text_char(t, '[');
    for (int i = 0; i < type->rank; i++)
        put_dim(item(&dims), type->dims[i]);
    text_char(t, ']');
}

static void put_dtype(Text *t, DType dtype) {
    if (dtype == DT_UNDEFINED)
        text_lit(t, "null");
    else
        text_json(t, str_from(dtype_info(dtype)->name));
}

/* The members of a type: "kind", then what the kind has. */
static void put_type(List *l, const Type *type) {
    static const char *const kinds[] = {"tensor", "sequence", "optional", "map"};
    member_str(l, "kind", str_from(kinds[type->kind]));
    if (type->kind == TYPE_TENSOR) {
        put_dtype(member(l, "dtype"), type->dtype);
        put_shape(member(l, "shape"), type);
    } else if (type->elem) {
        text_char(member(l, "elem"), '{');
        List inner = {l->t, " ", false};
        put_type(&inner, type->elem);
        text_char(l->t, '}');
    }
}

static void put_value(Text *t, Str name, const Type *type) {
    List l = {t, " ", false};
    text_char(t, '{');
    member_str(&l, "name", name);
    put_type(&l, type);
    text_char(t, '}');
}

/* ---- model ------------------------------------------------------------------------- */

static void put_opsets(Text *t, const Opsets *opsets) {
    List l = {t, " ", false};
    text_char(t, '{');
    for (size_t i = 0; i < opsets->count; i++) {
        text_json(item(&l), report_domain(opsets->items[i].domain));
        text_printf(t, ": %" PRId64, opsets->items[i].version);
    }
    text_char(t, '}');
}

static void put_metadata(Text *t, const Entries *entries) {
    List l = {t, " ", false};
    text_char(t, '{');
    for (size_t i = 0; i < entries->count; i++) {
        text_json(item(&l), entries->items[i].key);
        text_lit(t, ": ");
        text_json(t, entries->items[i].value);
    }
    text_char(t, '}');
}

static void put_functions(Text *t, const Facts *facts) {
    List functions = {t, " ", false};
    text_char(t, '[');
    for (size_t i = 0; i < facts->n_functions; i++) {
        const LocalFunction *f = &facts->functions[i];
        List l = {t, " ", false};
        text_char(item(&functions), '{');
        member_str(&l, "domain", f->domain);
        member_str(&l, "name", f->name);
        member_int(&l, "nodes", (int64_t)f->nodes);
        text_char(t, '}');
    }
    text_char(t, ']');
}

static void put_model(Text *t, const Model *m) {
    const Facts *facts = &m->facts;
    List l = {t, "\n    ", false};
    text_char(t, '{');
    member_str(&l, "name", m->name);
    member_str(&l, "graph", m->graph->name);
    member_str(&l, "producer", facts->producer);
    member_str(&l, "producer_version", facts->producer_version);
    member_str(&l, "domain", facts->domain);
    member_int(&l, "model_version", facts->model_version);
    member_int(&l, "ir_version", facts->ir_version);
    put_opsets(member(&l, "opsets"), &facts->opsets);
    put_functions(member(&l, "functions"), facts);
    put_metadata(member(&l, "metadata"), &facts->metadata);
    member_str(&l, "doc", facts->doc.n ? facts->doc : m->graph->doc);
    text_lit(t, "\n  }");
}

/* ---- nodes ------------------------------------------------------------------------- */

static void put_names(Text *t, Value *const *values, size_t n) {
    List l = {t, " ", false};
    text_char(t, '[');
    for (size_t i = 0; i < n; i++)
        text_json(item(&l), values[i] ? values[i]->name : STR(""));
    text_char(t, ']');
}

static void put_output_types(Text *t, const Node *n) {
    List l = {t, " ", false};
    text_char(t, '[');
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i])
            put_value(item(&l), n->out[i]->name, &n->out[i]->type);
        else
            text_lit(item(&l), "null");
    }
    text_char(t, ']');
}

static void put_param_keys(Text *t, const Node *n) {
    List l = {t, " ", false};
    const Value *v;
    text_char(t, '[');
    for (uint32_t i = 0; (v = report_param(n, &i));)
        text_json(item(&l), v->name);
    text_char(t, ']');
}

static const Value *first_output(const Node *n) {
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i])
            return n->out[i];
    return NULL;
}

static void member_number(List *l, const char *key, double value) {
    if (isnan(value))
        text_lit(member(l, key), "null");
    else
        text_printf(member(l, key), "%.17g", value);
}

/* The module, as its path and as its place in `modules`, and the work; nodes of subgraphs
 * are part of the node around. */
static void put_place(List *l, const Node *n, const NodeWork *work) {
    member_str(l, "module", n->part ? n->part->path : STR(""));
    member_int(l, "module_index", n->part ? n->part->begin : 0);
    member_number(l, "macs", work->macs);
    member_number(l, "activation_bytes", work->active);
}

static void put_subgraphs(List *l, const Node *n);

/* work: NULL for nodes of subgraphs. */
static void put_node(Text *t, const Node *n, const NodeWork *work) {
    static const Type unknown = {.rank = -1};
    uint32_t first = 0;
    const Value *out = first_output(n), *param = report_param(n, &first);
    const Type *type = out ? &out->type : &unknown;
    List l = {t, " ", false};
    text_char(t, '{');
    member_str(&l, "name", n->name);
    member_str(&l, "op", n->op_type);
    member_str(&l, "domain", report_domain(n->domain));
    member_int(&l, "opset", n->opset);
    put_shape(member(&l, "output_shape"), type);
    put_dtype(member(&l, "dtype"), type->dtype);
    if (param)
        member_str(&l, "param_key", param->name);
    else
        text_lit(member(&l, "param_key"), "null");
    put_param_keys(member(&l, "param_keys"), n);
    report_attributes(member(&l, "attributes"), n);
    put_names(member(&l, "inputs"), n->in, n->n_in);
    put_names(member(&l, "outputs"), n->out, n->n_out);
    put_output_types(member(&l, "output_types"), n);
    if (work)
        put_place(&l, n, work);
    put_subgraphs(&l, n);
    text_char(t, '}');
}

static void put_subgraph(Text *t, Str attribute, const Graph *g) {
    List l = {t, " ", false};
    text_char(t, '{');
    member_str(&l, "attribute", attribute);
    put_names(member(&l, "inputs"), g->inputs, g->n_inputs);
    put_names(member(&l, "outputs"), g->outputs, g->n_outputs);
    text_char(member(&l, "nodes"), '[');
    List nodes = {t, "\n      ", false};
    for (size_t i = 0; i < g->n_nodes; i++)
        put_node(item(&nodes), g->nodes[i], NULL);
    text_lit(t, "]}");
}

/* Depth is bounded by GRAPH_DEPTH_MAX. */
static void put_subgraphs(List *l, const Node *n) {
    List graphs = {l->t, " ", false};
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const Attr *a = &n->attrs[i];
        for (size_t k = 0; k < a->graph_count; k++) {
            if (!graphs.any)
                text_char(member(l, "subgraphs"), '[');
            put_subgraph(item(&graphs), a->name, a->graphs[k]);
        }
    }
    if (graphs.any)
        text_char(l->t, ']');
}

/* ---- lists ------------------------------------------------------------------------- */

static void put_param(Text *t, const Value *v) {
    List l = {t, " ", false};
    text_char(t, '{');
    member_str(&l, "name", v->name);
    put_dtype(member(&l, "dtype"), v->type.dtype);
    put_shape(member(&l, "shape"), &v->type);
    member_int(&l, "bytes", v->tensor ? (int64_t)v->tensor->size : 0);
    text_char(t, '}');
}

static void put_unsupported(Text *t, const Unsupported *u) {
    List l = {t, " ", false};
    text_char(t, '{');
    member_str(&l, "op", u->op_type);
    member_str(&l, "domain", report_domain(u->domain));
    member_int(&l, "opset", u->opset);
    member_int(&l, "count", (int64_t)u->count);
    member_str(&l, "first_node", u->first->name);
    member_int(&l, "first_index", u->first->index);
    text_char(t, '}');
}

/* ---- modules ----------------------------------------------------------------------- */

static void put_module(Text *t, const Module *module) {
    List l = {t, " ", false};
    text_char(t, '{');
    member_str(&l, "path", module->part->path);
    member_str(&l, "class", module->part->type);
    if (module->part->parent)
        member_int(&l, "parent", module->part->parent->begin);
    else
        text_lit(member(&l, "parent"), "null");
    member_int(&l, "kind", module->kind);
    member_int(&l, "nodes", (int64_t)module->nodes);
    member_int(&l, "param_elements", (int64_t)module->param_elements);
    member_int(&l, "param_bytes", (int64_t)module->param_bytes);
    member_number(&l, "macs", module->macs);
    member_number(&l, "activation_bytes", module->active);
    text_char(t, '}');
}

static void put_work(Text *t, const Modules *s) {
    List l = {t, " ", false}, sizes = {t, " ", false};
    text_char(t, '{');
    member_number(&l, "macs", s->items[0].macs);
    member_number(&l, "activation_bytes", s->items[0].active);
    if (s->total_known)
        put_dim(member(&l, "expression"), s->total);
    else
        text_lit(member(&l, "expression"), "null");
    text_char(member(&l, "assumed"), '{');
    for (size_t i = 0; i < s->assumed.count; i++) {
        Text name = {.arena = t->arena};
        dim_print_symbol(&name, s->assumed.items[i].symbol);
        text_json(item(&sizes), text_view(&name));
        text_printf(t, ": %" PRId64, s->assumed.items[i].value);
    }
    text_char(t, '}');
    member_int(&l, "uncounted", (int64_t)s->uncounted);
    text_char(t, '}');
}

static void put_ops(Text *t, const Report *r) {
    List l = {t, " ", false};
    text_char(t, '{');
    for (size_t i = 0; i < r->n_ops; i++) {
        const OpCount *c = r->ops[i];
        Text key = {.arena = t->arena};
        if (!str_is(c->domain, "ai.onnx")) {
            text_str(&key, c->domain);
            text_lit(&key, "::");
        }
        text_str(&key, c->op_type);
        text_json(item(&l), text_view(&key));
        text_printf(t, ": %zu", c->count);
    }
    text_char(t, '}');
}

static void put_statistics(Text *t, const Report *r) {
    List l = {t, "\n    ", false};
    text_char(t, '{');
    member_int(&l, "nodes", (int64_t)r->nodes);
    member_int(&l, "subgraphs", (int64_t)r->graphs - 1);
    put_ops(member(&l, "ops"), r);
    member_int(&l, "constants", (int64_t)r->n_constants);
    member_int(&l, "params", (int64_t)r->n_params);
    member_int(&l, "param_elements", (int64_t)r->param_elements);
    member_int(&l, "param_bytes", (int64_t)r->param_bytes);
    text_lit(t, "\n  }");
}

/* Opens a list of one line an item; close_lines ends it. */
static List open_lines(List *object, const char *key) {
    text_char(member(object, key), '[');
    return (List){object->t, "\n    ", false};
}

static void close_lines(const List *l) {
    text_lit(l->t, l->any ? "\n  ]" : "]");
}

static void put_note(void *user, Str note) {
    text_json(item(user), note);
}

void inspect_json(const Report *r, const InspectCode *code, Text *t) {
    const Graph *g = r->m->graph;
    List l = {t, "\n  ", false};
    text_char(t, '{');
    member_int(&l, "schema_version", SCHEMA_VERSION);
    put_model(member(&l, "model"), r->m);
    List lines = open_lines(&l, "inputs");
    for (size_t i = 0; i < g->n_inputs; i++)
        put_value(item(&lines), g->inputs[i]->name, &g->inputs[i]->type);
    close_lines(&lines);
    lines = open_lines(&l, "outputs");
    for (size_t i = 0; i < g->n_outputs; i++)
        put_value(item(&lines), g->output_names[i], &g->outputs[i]->type);
    close_lines(&lines);
    lines = open_lines(&l, "params");
    for (size_t i = 0; i < r->n_params; i++)
        put_param(item(&lines), r->params[i]);
    close_lines(&lines);
    lines = open_lines(&l, "constants");
    for (size_t i = 0; i < r->n_constants; i++)
        put_param(item(&lines), r->constants[i]);
    close_lines(&lines);
    lines = open_lines(&l, "nodes");
    for (size_t i = 0; i < g->n_nodes; i++)
        put_node(item(&lines), g->nodes[i],
                 r->modules.items ? &r->modules.work[i] : NULL);
    close_lines(&lines);
    lines = open_lines(&l, "modules");
    for (size_t i = 0; r->modules.items && i < r->modules.parts.count; i++)
        put_module(item(&lines), &r->modules.items[i]);
    close_lines(&lines);
    lines = open_lines(&l, "unsupported");
    for (size_t i = 0; i < r->m->unsupported.count; i++)
        put_unsupported(item(&lines), &r->m->unsupported.items[i]);
    close_lines(&lines);
    lines = open_lines(&l, "notes");
    report_notes(r, put_note, &lines);
    close_lines(&lines);
    if (r->modules.items)
        put_work(member(&l, "work"), &r->modules);
    put_statistics(member(&l, "statistics"), r);
    if (code)
        text_str(member(&l, "lines"), code->line_map.n ? code->line_map : STR("null"));
    text_lit(t, "\n}\n");
}
