/* Dead code elimination, backwards from the graph outputs.  A value is alive when a live
 * node reads it, or when a live value's shape or elements name it as the place where a
 * symbol is read.  Inputs that are written as Python ints (OpDef.fixed) do not count,
 * so the shape arithmetic that made them dies here. */
#include "passes/passes.h"

enum { ALIVE = 1, SIZED = 2 /* reach_dims has been there */ };

typedef struct Dce {
    Model *m;
    unsigned char *live; /* by value id: ALIVE, SIZED */
    Value **queue;       /* live values whose node is still to be visited */
    size_t n;
} Dce;

static void reach(Dce *d, Value *v) {
    v = value_final(v);
    if (!v || d->live[v->id] & ALIVE)
        return;
    d->live[v->id] |= ALIVE;
    d->queue[d->n++] = v;
}

static void reach_symbol(void *user, const Symbol *s) {
    reach(user, s->value);
}

static void reach_dims(Dce *d, const Value *v) {
    if (d->live[v->id] & SIZED)
        return;
    d->live[v->id] |= SIZED;
    for (int i = 0; i < v->type.rank; i++)
        dim_each_symbol(v->type.dims[i], reach_symbol, d);
    value_each_symbol(v, reach_symbol, d);
}

static void reach_graph(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_outputs; i++)
        reach(user, g->outputs[i]);
}

/* Once for each node, however many outputs it has. */
static void reach_node(Dce *d, Node *n) {
    if (n->is_reached)
        return;
    n->is_reached = true;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!n->in[i])
            continue;
        reach_dims(d, n->in[i]);
        if (!node_is_fixed(n, i))
            reach(d, n->in[i]);
    }
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i])
            reach_dims(d, n->out[i]);
    for (uint32_t a = 0; a < node_graph_attrs(n); a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            graph_each(n->attrs[a].graphs[k], reach_graph, d);
}

/* Drops what is not alive, and counts uses anew. */
static void sweep(void *user, Graph *g) {
    const Dce *d = user;
    size_t kept = 0;
    uses_begin(g);
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        bool live = false;
        n->is_reached = false;
        for (uint32_t k = 0; k < n->n_out; k++)
            live |= n->out[k] && d->live[n->out[k]->id] & ALIVE;
        if (live) {
            uses_of_node(n);
            g->nodes[kept++] = n;
            continue;
        }
        /* What is written as ints may still be an input. */
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k] && n->out[k]->known) {
                n->out[k]->uses = 0;
                make_literal(d->m, g, n->out[k]);
            }
    }
    uses_end(g);
    g->n_nodes = kept;
}

void pass_dce(Model *m) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    Dce d = {.m = m,
             .live = arena_alloc(&scratch, m->value_count + 1),
             .queue = ARENA_ARRAY(&scratch, m->value_count + 1, Value *)};
    if (d.live && d.queue) {
        reach_graph(&d, m->graph);
        while (d.n) {
            Value *v = d.queue[--d.n];
            reach_dims(&d, v);
            if (v->def)
                reach_node(&d, v->def);
        }
        graph_each(m->graph, sweep, &d);
    }
    arena_scratch_end(&scratch, m->arena);
}
