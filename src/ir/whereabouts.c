/* What becomes of the nodes of the file: their places before passes drop any, and who
 * stands for those that are merged. */
#include "ir/ir.h"

typedef struct Walk {
    Whereabouts *w;
    uint32_t place; /* of the node of the graph itself that is under way, one more */
} Walk;

static void note(Walk *walk, const Node *n) {
    Whereabouts *w = walk->w;
    if (n->index < w->count && !w->place[n->index])
        w->place[n->index] = walk->place;
}

static void note_all(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        note(user, g->nodes[i]);
}

/* Nodes that stand for one node of the file, as padding is written, share its index. */
void nodes_note_places(Model *m) {
    Whereabouts *w = &m->nodes;
    *w = (Whereabouts){.place = ARENA_ARRAY(m->arena, m->node_count, uint32_t)};
    Walk walk = {w, 0};
    if (!w->place)
        return;
    w->count = m->node_count;
    for (size_t i = 0; i < m->graph->n_nodes; i++) {
        const Node *n = m->graph->nodes[i];
        if (n->index >= w->count || w->place[n->index])
            continue;
        walk.place = ++w->places;
        note(&walk, n);
        for (uint32_t a = 0; a < node_graph_attrs(n); a++)
            for (size_t k = 0; k < n->attrs[a].graph_count; k++)
                graph_each(n->attrs[a].graphs[k], note_all, &walk);
    }
}

void node_absorb(Model *m, const Node *n, const Node *by) {
    struct Absorbed one = {n->index, by->index};
    if (n->index != by->index)
        (void)ARENA_PUSH(m->arena, &m->nodes.absorbed, one);
}
