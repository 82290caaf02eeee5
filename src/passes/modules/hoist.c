/* Nodes that several parts share move to where all of them see the result. */
#include "passes/modules/blocks.h"

/* How far apart from its maker a value is read: depths of the parts in common. */
typedef struct Spread {
    uint32_t near, far;
    uint32_t demand; /* of readers that have moved out themselves */
    bool read;
} Spread;

typedef struct Hoist {
    Parts *parts;
    Part **readers;  /* by value id: the part that all its readers are in */
    uint32_t *limit; /* by node: how far out it may move, as the depth of a part */
    Part *
        *home; /* by node: the part that has all parameters it depends on; NULL: none */
    bool *fed; /* by node: it depends on floats that are given to the model */
    Spread *spread; /* by value id */
    Node *node;     /* the one at hand */
    bool moved;
} Hoist;

/* ---- readers ----------------------------------------------------------------------- */

static void add_reader(void *user, Value *v) {
    Hoist *h = user;
    Part **at = &h->readers[v->id];
    *at = *at ? part_common(*at, h->node->part) : h->node->part;
}

/* A node that does not say where it comes from belongs to its readers. */
static Part *part_of_readers(const Hoist *h, const Node *n) {
    Part *p = NULL;
    for (uint32_t k = 0; k < n->n_out; k++) {
        Part *readers = n->out[k] ? h->readers[n->out[k]->id] : NULL;
        if (readers)
            p = p ? part_common(p, readers) : readers;
    }
    return p ? p : h->parts->root;
}

static void find_readers(Hoist *h) {
    const Graph *g = h->parts->graph;
    for (size_t i = 0; i < g->n_outputs; i++)
        h->readers[g->outputs[i]->id] = h->parts->root;
    for (size_t i = g->n_nodes; i-- > 0;) {
        h->node = g->nodes[i];
        if (!h->node->part)
            h->node->part = part_of_readers(h, h->node);
        node_each_need(h->node, add_reader, h);
    }
}

/* ---- limits ------------------------------------------------------------------------ */

/* The part around the reader that a parameter belongs to: by its name, and because
 * nobody outside reads it. */
static Part *owner(const Hoist *h, const Value *v) {
    Part *p = part_common(h->node->part, h->readers[v->id]);
    while (!v->generated_name && p->depth && !block_relative_key(p, v).n)
        p = p->parent;
    return p;
}

static void add_home(Hoist *h, Part *part) {
    Part **home = &h->home[h->node->order];
    if (part)
        *home = *home ? part_common(*home, part) : part;
}

/* The node reads elements of v, and not only its sizes, as of an array of the cache. */
static bool reads(const Node *n, const Value *v) {
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] && value_final(n->in[i]) == v)
            return true;
    return node_graph_attrs(n) > 0;
}

static void add_limit(void *user, Value *v) {
    Hoist *h = user;
    uint32_t *limit = &h->limit[h->node->order], need = 0;
    if (v->kind == VALUE_PARAM) {
        Part *part = owner(h, v);
        need = part->depth;
        add_home(h, part);
    } else if (v->def) {
        uint32_t common = part_common(h->node->part, v->def->part)->depth;
        need = h->limit[v->def->order];
        need = need < common ? need : common;
        add_home(h, h->home[v->def->order]);
        h->fed[h->node->order] |= h->fed[v->def->order];
    } else if (v->kind == VALUE_INPUT) {
        h->fed[h->node->order] |= dtype_is_float(v->type.dtype) && reads(h->node, v);
    }
    *limit = *limit > need ? *limit : need;
}

/* What n computes comes of parameters of its own part alone, and perhaps of positions and
 * masks, such as the bias that the first layer of T5 makes for all: it could as well be
 * made outside. */
static bool is_apart(const Hoist *h, const Node *n) {
    const Part *home = h->home[n->order];
    return home && home->depth && !h->fed[n->order];
}

static bool may_move(const Node *n) {
    bool moves = n->op && !(n->op->facts & OP_IMPURE) && !n->data_sized;
    for (uint32_t a = 0; a < n->n_attrs; a++)
        moves &= n->attrs[a].graph_count == 0;
    return moves;
}

static void find_limits(Hoist *h) {
    const Graph *g = h->parts->graph;
    for (size_t i = 0; i < g->n_nodes; i++) {
        h->node = g->nodes[i];
        node_each_need(h->node, add_limit, h);
        if (!may_move(h->node))
            h->limit[i] = h->node->part->depth;
        else if (is_apart(h, h->node))
            h->limit[i] = 0;
    }
}

/* ---- moves ------------------------------------------------------------------------- */

static void add_spread(void *user, Value *v) {
    Hoist *h = user;
    if (!v->def)
        return;
    Spread *s = &h->spread[v->id];
    uint32_t depth = part_common(v->def->part, h->node->part)->depth;
    if (!s->read)
        *s = (Spread){.near = depth, .far = depth, .demand = UINT32_MAX, .read = true};
    if (h->moved)
        s->demand = s->demand < depth ? s->demand : depth;
    s->near = s->near > depth ? s->near : depth;
    s->far = s->far < depth ? s->far : depth;
}

/* Where n must be for its readers.  A result that is read outside only is what the part
 * is there for; one that is read inside, too, was shared by the exporter. */
static uint32_t wanted_depth(const Hoist *h, const Node *n) {
    uint32_t depth = n->part->depth;
    for (uint32_t k = 0; k < n->n_out; k++) {
        const Spread *s = n->out[k] ? &h->spread[n->out[k]->id] : NULL;
        if (!s || !s->read)
            continue;
        uint32_t want = s->near > s->far ? s->far : UINT32_MAX;
        want = want < s->demand ? want : s->demand;
        depth = depth < want ? depth : want;
    }
    return depth;
}

static void move_nodes(Hoist *h) {
    const Graph *g = h->parts->graph;
    for (size_t i = g->n_nodes; i-- > 0;) {
        Node *n = h->node = g->nodes[i];
        uint32_t depth = wanted_depth(h, n);
        depth = depth > h->limit[i] ? depth : h->limit[i];
        h->moved = depth < n->part->depth;
        while (n->part->depth > depth)
            n->part = n->part->parent;
        node_each_need(n, add_spread, h);
    }
}

void parts_hoist(Model *m, Parts *p) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    Hoist h = {.parts = p,
               .readers = ARENA_ARRAY(&scratch, m->value_count + 1, Part *),
               .limit = ARENA_ARRAY(&scratch, m->graph->n_nodes + 1, uint32_t),
               .home = ARENA_ARRAY(&scratch, m->graph->n_nodes + 1, Part *),
               .fed = ARENA_ARRAY(&scratch, m->graph->n_nodes + 1, bool),
               .spread = ARENA_ARRAY(&scratch, m->value_count + 1, Spread)};
    if (h.readers && h.limit && h.home && h.fed && h.spread) {
        find_readers(&h);
        find_limits(&h);
        move_nodes(&h);
    }
    arena_scratch_end(&scratch, m->arena);
}
