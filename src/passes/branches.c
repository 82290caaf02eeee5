/* Replaces nodes that are known to stand for one of their subgraphs by the nodes in it:
 * branches whose condition the shapes decide, which exporters write for squeeze and for
 * optional arguments. */
#include "passes/passes.h"

typedef struct NodeList {
    Node **items;
    size_t count, cap;
} NodeList;

static void adopt(Graph *g, Node *n) {
    n->graph = g;
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k])
            n->out[k]->graph = g;
    for (uint32_t a = 0; a < n->n_attrs; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            n->attrs[a].graphs[k]->parent = g;
}

static void adopt_params(Model *m, Graph *g, Graph *from) {
    for (size_t i = 0; i < from->n_params; i++) {
        Value **room = arena_push_room(m->arena, g->params, g->n_params, &g->cap_params,
                                       sizeof *room);
        g->params = room;
        if (g->n_params >= g->cap_params)
            return;
        g->params[g->n_params++] = from->params[i];
        from->params[i]->graph = g;
    }
}

/* The subgraph that n stands for, when n has as many outputs at most. */
static Graph *inlined(const Node *n) {
    Graph *from = n->op && n->op->inlined ? n->op->inlined(n) : NULL;
    return from && n->n_out <= from->n_outputs ? from : NULL;
}

/* Appends the nodes of `from`, which become nodes of g; its own branches, too. */
static void append(Model *m, Graph *g, Graph *from, NodeList *list) {
    for (size_t i = 0; i < from->n_nodes; i++) {
        Node *n = from->nodes[i];
        adopt(g, n);
        Graph *inner = inlined(n);
        if (!inner) {
            (void)ARENA_PUSH(m->arena, list, n);
            continue;
        }
        adopt_params(m, g, inner);
        append(m, g, inner, list);
        for (uint32_t k = 0; k < n->n_out; k++) {
            if (!n->out[k])
                continue;
            value_replace(m, n->out[k], inner->outputs[k]);
            inner->outputs[k]->is_origin |= n->out[k]->is_origin;
        }
    }
}

static void inline_branches(void *user, Graph *g) {
    bool any = false;
    for (size_t i = 0; i < g->n_nodes; i++)
        any |= inlined(g->nodes[i]) != NULL;
    if (!any)
        return;
    NodeList list = {0};
    append(user, g, g, &list);
    g->nodes = list.items;
    g->n_nodes = list.count;
}

void pass_branches(Model *m) {
    graph_each(m->graph, inline_branches, m);
    replace_values(m);
}
