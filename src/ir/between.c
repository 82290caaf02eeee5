/* The part of a graph between values as a subgraph of its own, for operators that name
 * a function by where it starts and ends.  Nodes are copied, with the subgraphs in them,
 * when they depend on the start and the end depends on them; everything else is read
 * from outside, as any subgraph does. */
#include "ir/ir.h"

enum { COPIED_NODES_MAX = 1000000 }; /* copies of copies can explode */

typedef struct Between {
    Model *m;
    const Node *owner;
    Value **copy;           /* by value id: what stands for it inside; NULL: itself */
    unsigned char *depends; /* by value id: on the start */
    unsigned char *needed;  /* by value id: for the end */
    uint32_t count;         /* of values when the copying began */
    struct {
        Node **items;
        size_t count, cap;
    } nodes; /* before the owner, in order, those of outer graphs first */
} Between;

/* ---- which nodes -------------------------------------------------------------------- */

static void list_nodes(Between *b) {
    const Graph *chain[GRAPH_DEPTH_MAX + 1];
    size_t depth = 0;
    for (const Graph *g = b->owner->graph; g && depth < OX_COUNT(chain); g = g->parent)
        chain[depth++] = g;
    while (depth--)
        for (size_t i = 0; i < chain[depth]->n_nodes; i++) {
            Node *n = chain[depth]->nodes[i];
            if (n == b->owner || (depth && n == chain[depth - 1]->owner))
                break;
            (void)ARENA_PUSH(b->m->arena, &b->nodes, n);
        }
}

typedef struct Reads {
    void (*visit)(Between *b, const Value *v);
    Between *b;
} Reads;

static void each_in_graph(void *user, Graph *g) {
    const Reads *r = user;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k])
                r->visit(r->b, g->nodes[i]->in[k]);
    for (size_t i = 0; i < g->n_outputs; i++)
        r->visit(r->b, g->outputs[i]);
}

/* Calls visit on all that n reads, also inside its subgraphs. */
static void each_read(Between *b, const Node *n,
                      void (*visit)(Between *b, const Value *v)) {
    Reads r = {visit, b};
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i])
            visit(b, n->in[i]);
    for (uint32_t a = 0; a < n->n_attrs; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            graph_each(n->attrs[a].graphs[k], each_in_graph, &r);
}

static bool any_output(const Node *n, const unsigned char *flags) {
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] && flags[n->out[k]->id])
            return true;
    return false;
}

/* depends[count] tells whether any value visited does. */
static void ask_depends(Between *b, const Value *v) {
    b->depends[b->count] |= b->depends[v->id];
}

/* What the start itself needs is outside. */
static void mark_needed(Between *b, const Value *v) {
    if (b->depends[v->id] && !b->copy[v->id])
        b->needed[v->id] = 1;
}

static void mark(Between *b, const Value *end) {
    for (size_t i = 0; i < b->nodes.count; i++) {
        const Node *n = b->nodes.items[i];
        b->depends[b->count] = 0;
        each_read(b, n, ask_depends);
        for (uint32_t k = 0; b->depends[b->count] && k < n->n_out; k++)
            if (n->out[k])
                b->depends[n->out[k]->id] = 1;
    }
    mark_needed(b, end);
    for (size_t i = b->nodes.count; i-- > 0;)
        if (any_output(b->nodes.items[i], b->needed))
            each_read(b, b->nodes.items[i], mark_needed);
}

/* ---- copies ------------------------------------------------------------------------- */

static Value *inside(const Between *b, Value *v) {
    return v && v->id < b->count && b->copy[v->id] ? b->copy[v->id] : v;
}

/* What the file declares about v holds for other inputs, too, but its symbols do not. */
static Value *copy_value(Between *b, const Value *v, Graph *g) {
    Value *copy = value_new(b->m, g, v->kind, v->name);
    if (!copy)
        return NULL;
    copy->tensor = v->tensor;
    copy->known = v->known;
    copy->splat = v->splat;
    copy->generated_name = v->generated_name;
    copy->bound = v->bound;
    if (v->kind != VALUE_NODE)
        copy->type = v->type;
    if (v->id < b->count)
        b->copy[v->id] = copy;
    return copy;
}

static Value **copy_values(Between *b, Value *const *values, size_t n, Graph *g) {
    Value **copies = ARENA_ARRAY(b->m->arena, n, Value *);
    for (size_t i = 0; copies && i < n; i++)
        copies[i] = copy_value(b, values[i], g);
    return copies;
}

static Value **map_values(const Between *b, Value *const *values, size_t n) {
    Value **mapped = ARENA_ARRAY(b->m->arena, n, Value *);
    for (size_t i = 0; mapped && i < n; i++)
        mapped[i] = inside(b, values[i]);
    return mapped;
}

static Node *copy_node(Between *b, const Node *n, Graph *g);

static Graph *copy_graph(Between *b, const Graph *from, Node *owner) {
    Arena *a = b->m->arena;
    Graph *g = ARENA_NEW(a, Graph);
    if (!g)
        return NULL;
    *g = *from;
    g->owner = owner;
    g->parent = owner->graph;
    g->params = copy_values(b, from->params, from->n_params, g);
    g->cap_params = from->n_params;
    g->inputs = copy_values(b, from->inputs, from->n_inputs, g);
    g->nodes = ARENA_ARRAY(a, from->n_nodes, Node *);
    for (size_t i = 0; !a->failed && i < from->n_nodes; i++)
        g->nodes[i] = copy_node(b, from->nodes[i], g);
    g->outputs = map_values(b, from->outputs, from->n_outputs);
    return a->failed ? NULL : g;
}

static void copy_attrs(Between *b, Node *n) {
    Arena *a = b->m->arena;
    Attr *attrs = ARENA_ARRAY(a, n->n_attrs, Attr);
    for (uint32_t i = 0; attrs && i < n->n_attrs; i++) {
        attrs[i] = n->attrs[i];
        if (!attrs[i].graph_count)
            continue;
        attrs[i].graphs = ARENA_ARRAY(a, attrs[i].graph_count, Graph *);
        for (size_t k = 0; attrs[i].graphs && k < attrs[i].graph_count; k++)
            attrs[i].graphs[k] = copy_graph(b, n->attrs[i].graphs[k], n);
    }
    n->attrs = attrs;
}

static Node *copy_node(Between *b, const Node *n, Graph *g) {
    Node *copy = ARENA_NEW(b->m->arena, Node);
    if (!copy)
        return NULL;
    *copy = *n;
    copy->graph = g;
    copy->original = n->original ? n->original : n;
    b->m->node_count++;
    copy->in = map_values(b, n->in, n->n_in);
    copy_attrs(b, copy);
    copy->out = ARENA_ARRAY(b->m->arena, n->n_out, Value *);
    for (uint32_t k = 0; copy->out && k < n->n_out; k++) {
        if (!n->out[k])
            continue;
        copy->out[k] = copy_value(b, n->out[k], g);
        if (!copy->out[k])
            return NULL;
        copy->out[k]->def = copy;
        copy->out[k]->out_index = k;
    }
    return copy;
}

/* ---- the subgraph ------------------------------------------------------------------- */

/* How many nodes copying n makes, and how deep they lie. */
typedef struct Extent {
    size_t nodes;
    int depth;
} Extent;

static void measure(void *user, Graph *g) {
    Extent *x = user;
    int depth = 0;
    for (const Graph *up = g; up->parent; up = up->parent)
        depth++;
    x->nodes += g->n_nodes;
    x->depth = depth > x->depth ? depth : x->depth;
}

static bool fits(const Between *b) {
    Extent x = {b->m->node_count, 0};
    for (size_t i = 0; i < b->nodes.count; i++) {
        Node *n = b->nodes.items[i];
        x.nodes += any_output(n, b->needed);
        for (uint32_t a = 0; any_output(n, b->needed) && a < n->n_attrs; a++)
            for (size_t k = 0; k < n->attrs[a].graph_count; k++)
                graph_each(n->attrs[a].graphs[k], measure, &x);
    }
    for (const Graph *up = b->owner->graph; up->parent; up = up->parent)
        x.depth++;
    if (x.nodes <= COPIED_NODES_MAX && x.depth + 2 < GRAPH_DEPTH_MAX)
        return true;
    diag_add(b->m->diags, OX0202, node_where(b->m, b->owner), (Str){0},
             "the functions named in this model expand to more than %d nodes or nest "
             "deeper than %d",
             COPIED_NODES_MAX, GRAPH_DEPTH_MAX);
    return false;
}

static void fill(Between *b, Graph *g, Value *end) {
    g->nodes = ARENA_ARRAY(b->m->arena, b->nodes.count, Node *);
    for (size_t i = 0; g->nodes && i < b->nodes.count; i++)
        if (any_output(b->nodes.items[i], b->needed))
            g->nodes[g->n_nodes++] = copy_node(b, b->nodes.items[i], g);
    g->outputs = map_values(b, &end, 1);
    g->output_names = ARENA_NEW(b->m->arena, Str);
    g->n_outputs = 1;
    if (g->output_names)
        g->output_names[0] = end->name;
}

Graph *graph_between(Model *m, Node *owner, Value *const *start, size_t n, Value *end) {
    Between b = {.m = m, .owner = owner, .count = m->value_count};
    Graph *g = ARENA_NEW(m->arena, Graph);
    b.copy = ARENA_ARRAY(m->arena, (size_t)b.count + 1, Value *);
    b.depends = arena_alloc(m->arena, (size_t)b.count + 1);
    b.needed = arena_alloc(m->arena, (size_t)b.count + 1);
    if (!g || !b.copy || !b.depends || !b.needed)
        return NULL;
    *g = (Graph){.model = m, .owner = owner, .parent = owner->graph};
    m->has_subgraphs = true;
    g->inputs = ARENA_ARRAY(m->arena, n, Value *);
    for (size_t i = 0; g->inputs && i < n; i++) {
        g->inputs[i] = value_new(m, g, VALUE_INPUT, start[i]->name);
        b.copy[start[i]->id] = g->inputs[i];
        b.depends[start[i]->id] = 1;
        g->n_inputs = i + 1;
    }
    list_nodes(&b);
    if (m->arena->failed)
        return NULL;
    mark(&b, end);
    if (!fits(&b))
        return NULL;
    fill(&b, g, end);
    return m->arena->failed ? NULL : g;
}

static Value *named(Value *const *values, size_t n, Str name) {
    for (size_t i = 0; i < n; i++)
        if (values[i] && str_eq(values[i]->name, name))
            return values[i];
    return NULL;
}

Value *value_before(const Node *n, Str name) {
    Value *v = NULL;
    const Node *stop = n;
    for (const Graph *g = n->graph; g && !v; stop = g->owner, g = g->parent) {
        for (size_t i = 0; i < g->n_nodes && g->nodes[i] != stop && !v; i++)
            v = named(g->nodes[i]->out, g->nodes[i]->n_out, name);
        v = v ? v : named(g->inputs, g->n_inputs, name);
        v = v ? v : named(g->params, g->n_params, name);
    }
    return v;
}
