/* Depth first: before a node come the makers of its inputs, as far as they stand behind
 * it in the file.  A file that is in order keeps its order.
 * Source: ONNX IR specification, "Graphs": nodes must be topologically sorted.  Tools
 * that rewrite graphs append nodes all the same, and onnxruntime accepts it. */
#include "onnx/order.h"

#include "ir/ir.h"

enum { CYCLE_NAMES_MAX = 8 };

typedef struct Order {
    Arena *arena;
    const PbNode *items;
    size_t count;
    Map makers; /* name of a value -> PbNode */
    struct {
        size_t *items;
        size_t count, cap;
    } reads;       /* makers of the inputs of node 0, of node 1, ... */
    size_t *first; /* where those of node i begin; count + 1 entries */
} Order;

/* The names that a subgraph defines itself. */
typedef struct Inner {
    Map names;
    const struct Inner *up;
} Inner;

/* ---- what nodes read --------------------------------------------------------------- */

static void read_name(Order *o, Str name, const Inner *inner) {
    for (; inner; inner = inner->up)
        if (map_get(&inner->names, name))
            return;
    const PbNode *maker = name.n ? map_get(&o->makers, name) : NULL;
    if (maker)
        (void)ARENA_PUSH(o->arena, &o->reads, (size_t)(maker - o->items));
}

static void read_graph(Order *o, const PbGraph *g, const Inner *up, int depth);

static void read_node(Order *o, const PbNode *n, const Inner *inner, int depth) {
    for (size_t i = 0; i < n->inputs.count; i++)
        read_name(o, n->inputs.items[i], inner);
    for (size_t i = 0; i < n->attrs.count; i++) {
        const PbAttr *a = &n->attrs.items[i];
        if (a->type == ATTR_GRAPH && a->g)
            read_graph(o, a->g, inner, depth + 1);
        for (size_t k = 0; a->type == ATTR_GRAPHS && k < a->graphs.count; k++)
            read_graph(o, &a->graphs.items[k], inner, depth + 1);
    }
}

static void define(Inner *inner, Str name, const void *something) {
    if (name.n)
        map_set(&inner->names, name, (void *)(uintptr_t)something);
}

/* Import reports subgraphs that nest too deeply. */
static void read_graph(Order *o, const PbGraph *g, const Inner *up, int depth) {
    if (depth >= GRAPH_DEPTH_MAX)
        return;
    Inner inner = {.names = {.arena = o->arena}, .up = up};
    for (size_t i = 0; i < g->inputs.count; i++)
        define(&inner, g->inputs.items[i].name, g);
    for (size_t i = 0; i < g->initializers.count; i++)
        define(&inner, g->initializers.items[i].t.name, g);
    for (size_t i = 0; i < g->sparse_initializers.count; i++)
        define(&inner, g->sparse_initializers.items[i].values.t.name, g);
    for (size_t i = 0; i < g->nodes.count; i++)
        for (size_t k = 0; k < g->nodes.items[i].outputs.count; k++)
            define(&inner, g->nodes.items[i].outputs.items[k], g);
    for (size_t i = 0; i < g->nodes.count; i++)
        read_node(o, &g->nodes.items[i], &inner, depth);
    for (size_t i = 0; i < g->outputs.count; i++)
        read_name(o, g->outputs.items[i].name, &inner);
}

/* The first maker of a name counts: import reports a second one. */
static void index_makers(Order *o) {
    for (size_t i = 0; i < o->count; i++)
        for (size_t k = 0; k < o->items[i].outputs.count; k++) {
            Str name = o->items[i].outputs.items[k];
            if (name.n && !map_get(&o->makers, name))
                map_set(&o->makers, name, (void *)(uintptr_t)&o->items[i]);
        }
}

static bool collect_reads(Order *o) {
    o->first = ARENA_ARRAY(o->arena, o->count + 1, size_t);
    if (!o->first)
        return false;
    index_makers(o);
    for (size_t i = 0; i < o->count; i++) {
        read_node(o, &o->items[i], NULL, 0);
        o->first[i + 1] = o->reads.count;
    }
    return !o->arena->failed;
}

/* ---- order ------------------------------------------------------------------------- */

static size_t first_early(const Order *o) {
    for (size_t i = 0; i < o->count; i++)
        for (size_t k = o->first[i]; k < o->first[i + 1]; k++)
            if (o->reads.items[k] >= i)
                return i;
    return o->count;
}

/* The nodes on the stack from the one that closes the circle on. */
static Str describe_cycle(const Order *o, const size_t *stack, size_t depth,
                          size_t closing) {
    Text t = {.arena = o->arena};
    size_t from = 0;
    while (stack[from] != closing)
        from++;
    for (size_t i = from; i < depth; i++) {
        if (i - from == CYCLE_NAMES_MAX) {
            text_printf(&t, ", and %zu more", depth - i);
            break;
        }
        const PbNode *n = &o->items[stack[i]];
        Str name = n->name.n || !n->outputs.count ? n->name : n->outputs.items[0];
        text_printf(&t, "%s\"%.*s\" (%.*s)", i > from ? ", " : "", (int)name.n, name.p,
                    (int)n->op_type.n, n->op_type.p);
    }
    return text_view(&t);
}

typedef enum Visit { NEW, OPEN, DONE } Visit;

NodeOrder order_nodes(Arena *a, const PbNode *items, size_t count) {
    Order o = {.arena = a, .items = items, .count = count, .makers = {.arena = a}};
    NodeOrder result = {0};
    size_t *at = ARENA_ARRAY(a, count, size_t), *stack = ARENA_ARRAY(a, count, size_t);
    size_t *next = ARENA_ARRAY(a, count, size_t), made = 0;
    unsigned char *visit = ARENA_ARRAY(a, count, unsigned char);
    if (!at || !stack || !next || !visit || !collect_reads(&o))
        return result;
    result.early = first_early(&o);
    for (size_t root = 0; root < count; root++) {
        size_t depth = 0;
        if (visit[root] == NEW)
            stack[depth++] = root;
        while (depth) {
            size_t i = stack[depth - 1];
            if (visit[i] == NEW) {
                visit[i] = OPEN;
                next[i] = o.first[i];
            }
            if (next[i] == o.first[i + 1]) {
                visit[i] = DONE;
                at[made++] = i;
                depth--;
                continue;
            }
            size_t maker = o.reads.items[next[i]++];
            if (visit[maker] == OPEN) {
                result.cycle = describe_cycle(&o, stack, depth, maker);
                return result;
            }
            if (visit[maker] == NEW)
                stack[depth++] = maker;
        }
    }
    result.at = at;
    return result;
}
