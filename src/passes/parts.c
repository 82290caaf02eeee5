/* Reads from names and metadata which module each node came from. */
#include "passes/parts.h"

typedef struct Finder {
    Model *m;
    Parts *parts;
    Arena *scratch;
    Map cache;  /* what a node says, but for itself -> its part */
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

/* ---- metadata: "['', 'model', 'model.layers.0', 'silu']" --------------------------- */

/* The next string in a printed Python list; false at the end. */
static bool next_item(Str *list, Str *item) {
    size_t i = 0;
    while (i < list->n && list->p[i] != '\'' && list->p[i] != '"')
        i++;
    if (i == list->n)
        return false;
    char quote = list->p[i++];
    size_t start = i;
    while (i < list->n && list->p[i] != quote)
        i += list->p[i] == '\\' ? 2 : 1;
    if (i >= list->n)
        return false;
    *item = (Str){list->p + start, i - start};
    *list = (Str){list->p + i + 1, list->n - i - 1};
    return true;
}

/* The list without its last item, which is the operation itself. */
static Str without_last(Str list) {
    size_t n = list.n;
    while (n > 1 && !(list.p[n - 2] == ',' && list.p[n - 1] == ' '))
        n--;
    return (Str){list.p, n > 1 ? n - 2 : 0};
}

static Part *from_metadata(Finder *f, const Node *n, Str scopes) {
    Part *p = f->parts->root;
    Str types = onnx_node_metadata_get(n->pb, STR("pkg.torch.onnx.class_hierarchy"));
    for (Str path, type; next_item(&scopes, &path);) {
        if (!next_item(&types, &type))
            type = STR("");
        p = enter(f, p, path, str_after_last(type, '.'));
    }
    return p;
}

/* ---- names: "/encoder/layer.0/attention" ------------------------------------------- */

static Str join(Finder *f, Str path, Str item) {
    Str last = str_after_last(path, '.');
    bool repeated = item.n > last.n && str_starts(item, last) && item.p[last.n] == '.';
    if (!path.n)
        return item;
    if (repeated) /* /layer1/layer1.0 */
        path.n -= last.n;
    return arena_printf(f->m->arena, "%.*s%s%.*s", (int)path.n, path.p,
                        repeated ? "" : ".", (int)item.n, item.p);
}

static Part *from_name(Finder *f, Str scope) {
    Part *p = f->parts->root;
    while (scope.n && p->depth < PART_DEPTH_MAX) {
        const char *slash = memchr(scope.p, '/', scope.n);
        size_t n = slash ? (size_t)(slash - scope.p) : scope.n;
        if (n)
            p = enter(f, p, join(f, p->path, (Str){scope.p, n}), STR(""));
        n += slash != NULL;
        scope = (Str){scope.p + n, scope.n - n};
    }
    return p;
}

/* ---- nodes ------------------------------------------------------------------------- */

static Part *find(Finder *f, const Node *n) {
    Str scopes = onnx_node_metadata_get(n->pb, STR("pkg.torch.onnx.name_scopes"));
    Str said = without_last(scopes);
    if (!said.n) {
        Str last = str_after_last(n->name, '/');
        said = (Str){n->name.p, n->name.n - last.n};
    }
    if (!said.n)
        return NULL;
    Part *p = map_get(&f->cache, said);
    if (!p) {
        p = scopes.n ? from_metadata(f, n, said) : from_name(f, said);
        map_set(&f->cache, said, p);
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
        n->part = find(&f, n);
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
    if (v->key.n)
        return v->key;
    return v->note && v->note->key.n ? v->note->key : v->name;
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
    for (uint32_t a = 0; a < n->n_attrs; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            graph_each(n->attrs[a].graphs[k], need_graph, &d);
}
