/* The tree of the modules that nodes came from. */
#include "passes/modules/parts.h"
#include "passes/state.h"

typedef struct Finder {
    Model *m;
    Parts *parts;
    Arena *scratch;
    Map cache;  /* address of an origin -> its part */
    Map places; /* number of the parent, path -> part */
    uint32_t made;
} Finder;

/* ---- the tree ---------------------------------------------------------------------- */

static Part *new_part(Finder *f, Part *parent, Str path, Str type) {
    Part *p = ARENA_NEW(f->m->arena, Part);
    if (!p)
        return parent;
    p->path = path;
    p->type = type;
    p->parent = parent;
    p->begin = ++f->made; /* unique until the tree is numbered */
    if (!parent)
        return p;
    p->depth = parent->depth + 1;
    if (parent->last_child)
        parent->last_child->next = p;
    else
        parent->children = p;
    parent->last_child = p;
    return p;
}

/* A key for places; empty when memory is refused. */
static Str place_of(Finder *f, const Part *parent, Str path) {
    size_t head = sizeof parent->begin;
    char *key = arena_array(f->scratch, head + path.n, 1);
    if (!key)
        return (Str){0};
    memcpy(key, &parent->begin, head);
    memcpy(key + head, path.p, path.n);
    return (Str){key, head + path.n};
}

static Part *enter(Finder *f, Part *parent, Str path, Str type) {
    if (!path.n || parent->depth == PART_DEPTH_MAX || str_eq(path, parent->path))
        return parent;
    Str place = place_of(f, parent, path);
    Part *p = map_get(&f->places, place);
    if (!p && place.n) {
        p = new_part(f, parent, path, type);
        map_set(&f->places, place, p);
    }
    return p ? p : parent;
}

/* The path of a module that the name of a node says: /layer1/layer1.0 is layer1.0. */
static Str join(Finder *f, Str path, Str leaf) {
    Str last = str_after_last(path, '.');
    bool repeated = leaf.n > last.n && str_starts(leaf, last) && leaf.p[last.n] == '.';
    if (!path.n)
        return leaf;
    if (repeated)
        path.n -= last.n;
    return arena_printf(f->m->arena, "%.*s%s%.*s", (int)path.n, path.p,
                        repeated ? "" : ".", (int)leaf.n, leaf.p);
}

/* The part of a module; the model itself for NULL. */
static Part *part_of(Finder *f, const Origin *origin) {
    if (!origin)
        return f->parts->root;
    Str key = {(const char *)&origin, sizeof origin};
    Part *p = map_get(&f->cache, key);
    if (p)
        return p;
    p = part_of(f, origin->around);
    Str path =
        origin->kind == ORIGIN_PROGRAM ? origin->path : join(f, p->path, origin->leaf);
    p = enter(f, p, path, str_after_last(origin->class, '.'));
    const Origin **own = ARENA_NEW(f->scratch, const Origin *);
    if (own) {
        *own = origin;
        (void)map_set(&f->cache, (Str){(const char *)own, sizeof *own}, p);
    }
    return p;
}

static void number(Parts *parts) {
    Part *p = parts->root;
    while (p) {
        p->begin = (uint32_t)parts->count;
        parts->items[parts->count++] = p;
        if (p->children) {
            p = p->children;
            continue;
        }
        while (p && !p->next) {
            p->end = (uint32_t)parts->count;
            p = p->parent;
        }
        if (p) {
            p->end = (uint32_t)parts->count;
            p = p->next;
        }
    }
}

void parts_number(Parts *parts, size_t n) {
    parts->count = 0;
    parts->items = ARENA_ARRAY(parts->arena, n, Part *);
    if (parts->items && parts->root)
        number(parts);
}

void parts_find(Model *m, Parts *parts) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    Finder f = {.m = m, .parts = parts, .scratch = &scratch};
    f.cache.arena = f.places.arena = &scratch;
    *parts = (Parts){.arena = m->arena, .graph = m->graph, .none = true};
    parts->root = new_part(&f, NULL, STR(""), STR(""));
    for (size_t i = 0; parts->root && i < m->graph->n_nodes; i++) {
        Node *n = m->graph->nodes[i];
        n->part = n->origin ? part_of(&f, n->origin) : NULL;
        n->order = (uint32_t)i;
        parts->none &= n->part == NULL;
    }
    parts_number(parts, f.made + 1);
    arena_scratch_end(&scratch, m->arena);
}

Part *part_common(Part *a, Part *b) {
    while (a != b) {
        if (a->depth >= b->depth)
            a = a->parent;
        else
            b = b->parent;
    }
    return a;
}

Str param_key_of(const Value *v) {
    return v->key.n ? v->key : state_key(v);
}

/* ---- what a node needs ------------------------------------------------------------- */

typedef struct Needs {
    const Graph *graph;
    void (*visit)(void *user, Value *v);
    void *user;
} Needs;

static void need(const Needs *d, Value *v) {
    v = value_final(v);
    if (v && v->graph == d->graph)
        d->visit(d->user, v);
}

static void need_symbol(void *user, const Symbol *s) {
    need(user, s->value);
}

static void need_sizes(Needs *d, const Value *v) {
    for (int i = 0; i < v->type.rank; i++)
        dim_each_symbol(v->type.dims[i], need_symbol, d);
    value_each_symbol(v, need_symbol, d);
}

static void need_node(Needs *d, const Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!n->in[i])
            continue;
        need(d, n->in[i]);
        need_sizes(d, n->in[i]);
    }
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i])
            need_sizes(d, n->out[i]);
}

static void need_graph(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        need_node(user, g->nodes[i]);
    for (size_t i = 0; i < g->n_outputs; i++)
        need(user, g->outputs[i]);
}

void node_each_need(Node *n, void (*visit)(void *user, Value *v), void *user) {
    Needs d = {n->graph, visit, user};
    need_node(&d, n);
    for (uint32_t a = 0; a < node_graph_attrs(n); a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            graph_each(n->attrs[a].graphs[k], need_graph, &d);
}
