/* Brings the nodes of each part together.  What lies between them and does not need them
 * goes before, what needs them goes after; a part that needs in turn what needs it stays
 * as it is. */
#include "passes/modules/parts.h"

enum { MOVES_PER_NODE = 16 }; /* keeps the pass linear */

typedef enum Mark { MARK_NONE, MARK_PART, MARK_AFTER } Mark;

typedef struct Gather {
    Graph *graph;
    const Part *part;
    uint32_t *stamps; /* by value id: when `marks` was written */
    Mark *marks;      /* by value id */
    Node **room;      /* as long as the graph */
    uint32_t stamp;
    size_t moves_left;
    Mark worst; /* among the needs of the node at hand */
} Gather;

static void sort_by_part(Parts *p) {
    const Graph *g = p->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        g->nodes[i]->part->own++;
    uint32_t sum = 0;
    for (size_t i = 0; i < p->count; i++) {
        p->items[i]->first = sum;
        sum += p->items[i]->own;
        p->items[i]->last = p->items[i]->first;
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        p->nodes[g->nodes[i]->part->last++] = g->nodes[i];
    for (size_t i = 0; i < p->count; i++)
        p->items[i]->last = p->items[p->items[i]->end - 1]->last;
}

static bool is_in(const Node *n, const Part *p) {
    return n->part->begin >= p->begin && n->part->begin < p->end;
}

static void take_mark(void *user, Value *v) {
    Gather *g = user;
    if (g->stamps[v->id] == g->stamp && g->marks[v->id] > g->worst)
        g->worst = g->marks[v->id];
}

static void mark_outputs(Gather *g, const Node *n, Mark mark) {
    for (uint32_t k = 0; k < n->n_out; k++) {
        if (!n->out[k])
            continue;
        g->stamps[n->out[k]->id] = g->stamp;
        g->marks[n->out[k]->id] = mark;
    }
}

/* Where node n goes; MARK_NONE: before the part. */
static Mark place(Gather *g, Node *n) {
    g->worst = MARK_NONE;
    node_each_need(n, take_mark, g);
    bool inside = is_in(n, g->part);
    Mark mark = inside ? MARK_PART : g->worst == MARK_NONE ? MARK_NONE : MARK_AFTER;
    if (mark != MARK_NONE)
        mark_outputs(g, n, mark);
    return mark;
}

/* false when the part must not be contracted. */
static bool split(Gather *g, uint32_t begin, uint32_t end) {
    size_t n[3] = {0};
    Node **lists[3] = {g->room, g->room + (end - begin), g->room + 2 * (end - begin)};
    g->stamp++;
    for (uint32_t i = begin; i < end; i++) {
        Node *node = g->graph->nodes[i];
        Mark mark = place(g, node);
        if (mark == MARK_PART && g->worst == MARK_AFTER)
            return false;
        lists[mark][n[mark]++] = node;
    }
    uint32_t at = begin;
    for (int k = 0; k < 3; k++) {
        for (size_t i = 0; i < n[k]; i++) {
            lists[k][i]->order = at;
            g->graph->nodes[at++] = lists[k][i];
        }
    }
    return true;
}

typedef struct Extent {
    uint32_t begin, end;
} Extent;

static Extent extent(const Parts *p, const Part *part) {
    Extent e = {UINT32_MAX, 0};
    for (uint32_t i = part->first; i < part->last; i++) {
        uint32_t at = p->nodes[i]->order;
        e.begin = e.begin < at ? e.begin : at;
        e.end = e.end > at + 1 ? e.end : at + 1;
    }
    return e;
}

static bool is_whole(const Part *part, Extent e) {
    return part->last > part->first && e.end - e.begin == part->last - part->first;
}

static void gather(Gather *g, const Parts *p, const Part *part) {
    Extent e = extent(p, part);
    if (part->last == part->first || is_whole(part, e) ||
        e.end - e.begin > g->moves_left)
        return;
    g->moves_left -= e.end - e.begin;
    g->part = part;
    split(g, e.begin, e.end);
}

/* Outermost first: a part never leaves the one around it. */
static void gather_all(Gather *g, const Parts *p) {
    for (uint32_t depth = 1; depth <= PART_DEPTH_MAX; depth++)
        for (size_t i = 0; i < p->count; i++)
            if (p->items[i]->depth == depth)
                gather(g, p, p->items[i]);
    for (size_t i = 0; i < p->count; i++) {
        Part *part = p->items[i];
        Extent e = extent(p, part);
        part->whole = is_whole(part, e);
        part->at = e.begin;
    }
}

void parts_gather(Model *m, Parts *p) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    size_t n = m->graph->n_nodes;
    Gather g = {.graph = m->graph,
                .stamps = ARENA_ARRAY(&scratch, m->value_count + 1, uint32_t),
                .marks = ARENA_ARRAY(&scratch, m->value_count + 1, Mark),
                .room = ARENA_ARRAY(&scratch, 3 * n + 1, Node *),
                .moves_left = MOVES_PER_NODE * n};
    p->nodes = ARENA_ARRAY(p->arena, n + 1, Node *);
    if (p->nodes && g.stamps && g.marks && g.room) {
        sort_by_part(p);
        gather_all(&g, p);
    }
    arena_scratch_end(&scratch, m->arena);
}
