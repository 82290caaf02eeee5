/* The model as a drawing for Graphviz or Mermaid: a box for each module, and for each
 * operator that is in none of them, with the values that go from one to another.  Numbered
 * modules that are alike are one box, which leads to what follows the last of them.
 * Sources: the DOT language (graphviz.org/doc/info/lang.html); Mermaid's flowcharts, with
 * entity codes for what it would take for syntax. */
#include "inspect/report.h"

enum { BOXES_MAX = 30 }; /* deeper modules are left out until so many fit */

#define DOT_FONT "fontname=\"Helvetica,Arial,sans-serif\""
#define DOT_HEAD                                                                       \
    "digraph model {\n"                                                                \
    "    node [shape=box, style=\"rounded,filled\", color=\"#8a94a0\", "               \
    "fillcolor=\"#f3f5f8\", fontsize=12, margin=\"0.16,0.08\", " DOT_FONT "];\n"       \
    "    edge [color=\"#57606a\", fontcolor=\"#57606a\", fontsize=10, "                \
    "arrowsize=0.7, " DOT_FONT "];\n"

typedef struct Box {
    const Part *part;   /* first of the modules that it stands for; NULL: of none */
    const Node *node;   /* else the operator, */
    const Value *value; /* an input, or the value of an output; */
    Str name;           /* that has this name */
    size_t alike;
    uint32_t id;
} Box;

typedef struct Diagram {
    const Report *r;
    Text *out;
    bool mermaid;
    uint32_t depth;
    Box **of_part;  /* by part->begin */
    Box **of_value; /* by id: where it is made */
    Map edges;      /* pairs of boxes that are joined */
    uint32_t boxes;
} Diagram;

/* ---- text -------------------------------------------------------------------------- */

/* What the two languages would not take as text. */
static void put_text(Diagram *d, Str s) {
    Text plain = {.arena = d->out->arena};
    diag_escape(&plain, s);
    Str shown = plain.n ? text_view(&plain) : STR("");
    const char *special = d->mermaid ? "\"<>&#;`" : "\"\\";
    for (size_t i = 0; i < shown.n; i++) {
        if (!memchr(special, shown.p[i], strlen(special)))
            text_char(d->out, shown.p[i]);
        else if (d->mermaid)
            text_printf(d->out, "#%d;", shown.p[i]);
        else
            text_printf(d->out, "\\%c", shown.p[i]);
    }
}

static void put_type(Diagram *d, const Type *type) {
    Text text = {.arena = d->out->arena};
    type_print(&text, type);
    put_text(d, text_view(&text));
}

static void next_line(Diagram *d) {
    text_lit(d->out, d->mermaid ? "<br>" : "\\n");
}

/* ---- boxes ------------------------------------------------------------------------- */

static void put_label(Diagram *d, const Box *b) {
    if (b->node) {
        put_text(d, b->node->op_type);
        return;
    }
    if (!b->part) {
        put_text(d, b->name);
        next_line(d);
        put_type(d, &b->value->type);
        return;
    }
    const Module *m = &d->r->modules.items[b->part->begin];
    if (b->alike > 1)
        text_printf(d->out, "%zu x ", b->alike);
    put_text(d, b->part->type.n ? b->part->type : b->part->path);
    if (b->part->type.n) {
        next_line(d);
        put_text(d, b->part->path);
    }
    if (m->param_elements == 0)
        return;
    next_line(d);
    append_short(d->out, (double)b->alike * (double)m->param_elements);
    text_lit(d->out, " params");
}

static void put_box(Diagram *d, const Box *b) {
    bool end = !b->node && !b->part;
    if (d->mermaid)
        text_printf(d->out, "    n%u%s", b->id, end ? "([\"" : "[\"");
    else
        text_printf(d->out, "    n%u [label=\"", b->id);
    put_label(d, b);
    if (d->mermaid)
        text_lit(d->out, end ? "\"])\n" : "\"]\n");
    else
        text_lit(d->out, end ? "\", shape=oval];\n" : "\"];\n");
}

static Box *add_box(Diagram *d, Box box) {
    Box *b = ARENA_NEW(d->out->arena, Box);
    if (!b)
        return NULL;
    *b = box;
    b->id = d->boxes++;
    put_box(d, b);
    return b;
}

/* The module that n is shown in: the innermost of those that are not too deep, where n is
 * in one without modules that are shown themselves; NULL: n is shown by itself. */
static const Part *shown_part(const Diagram *d, const Node *n) {
    const Part *p = n->part;
    while (p && p->depth > d->depth)
        p = p->parent;
    return p && p->depth && (p->depth == d->depth || !p->children) ? p : NULL;
}

/* The first of those side by side that are alike, of which p is one; how many there are. */
static const Part *first_alike(const Diagram *d, const Part *p, size_t *alike) {
    const Part *first = p->parent->children;
    for (;;) {
        *alike = modules_alike(&d->r->modules, first);
        const Part *next = first;
        for (size_t i = 0; i < *alike; i++, next = next->next)
            if (next == p)
                return first;
        first = next;
    }
}

static Box *box_of(Diagram *d, const Node *n) {
    size_t alike;
    const Part *p = shown_part(d, n);
    if (!p)
        return add_box(d, (Box){.node = n, .alike = 1});
    p = first_alike(d, p, &alike);
    Box **b = &d->of_part[p->begin];
    if (!*b)
        *b = add_box(d, (Box){.part = p, .alike = alike});
    return *b;
}

/* ---- edges ------------------------------------------------------------------------- */

static void put_edge(Diagram *d, const Box *from, const Box *to, const Value *v) {
    Str key = arena_printf(d->out->arena, "%u %u", from->id, to->id);
    if (from == to || map_get(&d->edges, key) || !map_set(&d->edges, key, d))
        return;
    text_printf(d->out, d->mermaid ? "    n%u -- \"" : "    n%u -> n%u [label=\" ",
                from->id, to->id);
    put_type(d, &v->type);
    if (d->mermaid)
        text_printf(d->out, "\" --> n%u\n", to->id);
    else
        text_lit(d->out, "\"];\n");
}

typedef struct Reader {
    Diagram *d;
    const Box *box;
} Reader;

static void join(const Reader *reader, const Value *v) {
    const Box *from = v ? reader->d->of_value[v->id] : NULL;
    if (from)
        put_edge(reader->d, from, reader->box, v);
}

static void join_graph(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            join(user, g->nodes[i]->in[k]);
    for (size_t i = 0; i < g->n_outputs; i++)
        join(user, g->outputs[i]);
}

/* Arithmetic on shapes, which is done when the model is compiled. */
static bool is_known(const Node *n) {
    bool known = n->n_out > 0;
    for (uint32_t k = 0; k < n->n_out; k++)
        known &= !n->out[k] || n->out[k]->known;
    return known;
}

static void add_node(Diagram *d, Node *n) {
    if (is_known(n) && !shown_part(d, n))
        return;
    Box *b = box_of(d, n);
    Reader reader = {d, b};
    Graph alone = {.model = d->r->m, .nodes = &n, .n_nodes = 1};
    if (!b)
        return;
    graph_each(&alone, join_graph, &reader);
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k])
            d->of_value[n->out[k]->id] = b;
}

static void add_ends(Diagram *d, bool outputs) {
    const Graph *g = d->r->m->graph;
    for (size_t i = 0; i < (outputs ? g->n_outputs : g->n_inputs); i++) {
        const Value *v = outputs ? g->outputs[i] : g->inputs[i];
        Str name = outputs ? g->output_names[i] : v->name;
        Box *b = add_box(d, (Box){.value = v, .name = name, .alike = 1});
        if (!b)
            return;
        if (!outputs)
            d->of_value[v->id] = b;
        else if (d->of_value[v->id])
            put_edge(d, d->of_value[v->id], b, v);
    }
}

/* ---- the drawing ------------------------------------------------------------------- */

/* How many boxes there are with modules to this depth. */
static size_t count_boxes(Diagram *d, uint32_t depth) {
    const Graph *g = d->r->m->graph;
    size_t boxes = 0, alike, parts = d->r->modules.parts.count;
    bool *seen = ARENA_ARRAY(d->out->arena, parts, bool);
    uint32_t before = d->depth;
    d->depth = depth;
    for (size_t i = 0; seen && i < g->n_nodes; i++) {
        const Part *p = shown_part(d, g->nodes[i]);
        p = p ? first_alike(d, p, &alike) : NULL;
        boxes += p ? !seen[p->begin] : !is_known(g->nodes[i]);
        if (p)
            seen[p->begin] = true;
    }
    d->depth = before;
    return boxes;
}

void inspect_diagram(const Report *r, bool mermaid, Text *out) {
    Arena *a = out->arena;
    const Modules *s = &r->modules;
    Diagram d = {.r = r, .out = out, .mermaid = mermaid, .edges.arena = a, .depth = 1};
    d.of_part = ARENA_ARRAY(a, s->parts.count, Box *);
    d.of_value = ARENA_ARRAY(a, (size_t)r->m->value_count + 1, Box *);
    if (!s->items || !d.of_part || !d.of_value)
        return;
    while (d.depth < PART_DEPTH_MAX && count_boxes(&d, d.depth + 1) <= BOXES_MAX)
        d.depth++;
    text_lit(out, mermaid ? "flowchart TB\n" : DOT_HEAD);
    add_ends(&d, false);
    for (size_t i = 0; i < r->m->graph->n_nodes; i++)
        add_node(&d, r->m->graph->nodes[i]);
    add_ends(&d, true);
    text_lit(out, mermaid ? "" : "}\n");
}
