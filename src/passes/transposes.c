/* Transposes that undo each other meet.  Exporters turn heads to the front, rotate them,
 * and attention turns them back: a transpose is moved up, over nodes that treat elements
 * (or rows, where the last axis stays) by themselves, to transposes that it cancels with.
 * Operands that are broadcast there are spread over other axes: angles[:, None] becomes
 * angles[:, :, None].  What the nodes compute is the same, element by element, and no
 * transpose is ever added.  Only values with one reader are moved, so that no node is
 * looked at for more than one transpose. */
#include "passes/passes.h"

enum { DEPTH_MAX = 32 };

/* A node that stands behind the one that makes what it spreads. */
typedef struct Behind {
    Node *node;
    struct Behind *next;
} Behind;

typedef struct Move {
    Model *m;
    Arena *scratch;
    Graph *g;
    int rank, perm[OX_MAX_RANK]; /* axis i of the result is axis perm[i] */
    int depth;
    Map spread; /* values that were spread, by value and axes */
    Map behind; /* nodes that were made, by the node they stand behind */
} Move;

/* ---- operands ---------------------------------------------------------------------- */

static bool stays(const Move *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->perm[i] != i)
            return false;
    return true;
}

/* v is what the transpose would make of the input of its node. */
static bool cancels(const Move *t, const Value *v) {
    int first[OX_MAX_RANK];
    const Node *n = v->def;
    if (!n || !n->op->permutes || v->type.rank != t->rank || !n->op->permutes(n, first))
        return false;
    for (int i = 0; i < t->rank; i++)
        if (first[t->perm[i]] != i)
            return false;
    return true;
}

/* The axes of the result along which v, broadcast, lies. */
typedef struct Place {
    Value *base;    /* what has those axes, */
    uint64_t axes;  /* these of what v is broadcast to */
    uint64_t moved; /* and these of the result */
} Place;

/* `v` without the axes that were inserted. */
static bool find_place(const Move *t, Value *v, Place *p) {
    uint64_t inserted = 0;
    int missing = t->rank - v->type.rank;
    if (v->type.rank < 0 || missing < 0)
        return false;
    bool made = v->def && v->def->op->inserts && v->def->op->inserts(v->def, &inserted);
    *p = (Place){.base = made ? value_final(v->def->in[0]) : v};
    for (int i = 0; i < v->type.rank; i++)
        if (!(inserted >> i & 1))
            p->axes |= (uint64_t)1 << (i + missing);
    return true;
}

/* Without one axis that overtakes another. */
static bool can_spread(const Move *t, Value *v, Place *p) {
    int before = -1;
    if (!find_place(t, v, p))
        return false;
    for (int i = 0; i < t->rank; i++) {
        if (!(p->axes >> t->perm[i] & 1))
            continue;
        if (t->perm[i] < before)
            return false;
        before = t->perm[i];
        p->moved |= (uint64_t)1 << i;
    }
    return p->axes == p->moved || v->kind != VALUE_CONST;
}

/* A scalar, or an array of one element. */
static bool is_single(const Value *v) {
    for (int i = 0; i < v->type.rank; i++)
        if (!dim_is(v->type.dims[i], 1))
            return false;
    return v->type.rank >= 0;
}

/* The node computes each element, or row, from those at the same place. */
static bool is_by_place(const Move *t, const Node *n) {
    bool by_row = n->op->facts & OP_BY_ROW && t->perm[t->rank - 1] == t->rank - 1;
    return n->n_out == 1 && !(n->op->facts & OP_IMPURE) &&
           (by_row || n->op->facts & (OP_ELEMENTWISE | OP_BROADCAST));
}

static bool can_have(Move *t, Value *v);

static bool can_compute(Move *t, const Value *v) {
    const Node *n = v->def;
    if (!n || n->graph != t->g || v->uses != 1 || v->known || v->is_assumed ||
        v->type.rank != t->rank || !is_by_place(t, n) || is_read_for_size(v) ||
        t->depth == DEPTH_MAX)
        return false;
    t->depth++;
    bool all = true;
    for (uint32_t i = 0; i < n->n_in && all; i++)
        all = !n->in[i] || can_have(t, value_final(n->in[i]));
    t->depth--;
    return all;
}

/* v can be had with its axes in the other order, without a transpose. */
static bool can_have(Move *t, Value *v) {
    Place p = {0};
    return is_single(v) || cancels(t, v) || can_spread(t, v, &p) || can_compute(t, v);
}

/* ---- the move ---------------------------------------------------------------------- */

static Value *axes_literal(Move *t, uint64_t axes) {
    int64_t list[OX_MAX_RANK];
    size_t count = 0;
    for (int i = 0; i < t->rank; i++)
        if (axes >> i & 1)
            list[count++] = i;
    return ints_literal(t->m, t->g, list, count);
}

static Str key_of(const Node *const *n) {
    return (Str){(const char *)n, sizeof *n};
}

/* Behind `at`; in front of all nodes when it is NULL. */
static bool put_behind(Move *t, const Node *at, Node *n) {
    Str key = arena_str(t->scratch, key_of(&at));
    Behind *b = ARENA_NEW(t->scratch, Behind);
    if (!b)
        return false;
    *b = (Behind){n, map_get(&t->behind, key)};
    return map_set(&t->behind, key, b);
}

/* The base of v with axes of size 1 where its own are not. */
static Value *make_spread(Move *t, const Node *reader, Value *v, const Place *p) {
    uint64_t all = ~(uint64_t)0 >> (64 - t->rank);
    const Node *at = v->def && v->def->graph == t->g ? v->def : NULL;
    Node *n = node_beside(t->m, at ? at : reader, 2, 1, 0);
    Str name = arena_printf(t->m->arena, "%.*s/%u", (int)v->name.n, v->name.p,
                            t->m->value_count);
    Value *y = value_new(t->m, t->g, VALUE_NODE, name);
    Value *axes = axes_literal(t, all & ~p->moved);
    if (!n || !y || !axes || !put_behind(t, at, n))
        return NULL;
    node_set_op(n, op_find(STR(""), STR("Unsqueeze"), OP_NEWEST_OPSET));
    n->in[0] = p->base;
    n->in[1] = axes;
    p->base->uses++;
    axes->uses++;
    node_make(n, 0, y);
    infer_node(t->m, n);
    return y;
}

static Value *spread(Move *t, const Node *reader, Value *v, const Place *p) {
    if (p->axes == p->moved)
        return v;
    Str key = arena_printf(t->scratch, "%u %llx %d", p->base->id,
                           (unsigned long long)p->moved, t->rank);
    Value *made = map_get(&t->spread, key);
    if (made)
        return made;
    made = make_spread(t, reader, v, p);
    return made && map_set(&t->spread, key, made) ? made : v;
}

static void compute(Move *t, Node *n);

/* What n reads in place of v. */
static Value *moved(Move *t, Node *n, Value *v) {
    Place p = {0};
    if (is_single(v))
        return v;
    if (cancels(t, v))
        return value_final(v->def->in[0]);
    if (can_spread(t, v, &p))
        return spread(t, n, v, &p);
    compute(t, v->def);
    return v;
}

/* Makes n compute the same with its axes in the other order: see can_compute. */
static void compute(Move *t, Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++) {
        Value *v = value_final(n->in[i]), *by = v ? moved(t, n, v) : NULL;
        if (!v || by == v)
            continue;
        n->in[i] = by;
        by->uses++;
        v->uses--;
    }
    n->out[0]->declared = NULL;
    infer_node(t->m, n);
}

/* ---- the pass ---------------------------------------------------------------------- */

static bool try_move(Move *t, Node *n) {
    Value *v = n->n_in ? value_final(n->in[0]) : NULL;
    if (!n->op || !n->op->permutes || !v || v->type.rank < 1 ||
        !n->op->permutes(n, t->perm))
        return false;
    t->rank = v->type.rank;
    if (stays(t) || !can_compute(t, v))
        return false;
    compute(t, v->def);
    node_absorb(t->m, n, v->def);
    v->uses += n->out[0]->uses - 1;
    v->is_origin |= n->out[0]->is_origin;
    value_replace(t->m, n->out[0], v);
    return true;
}

/* What was made to stand behind `at`. */
static void put_made(const Move *t, size_t cap, const Node *at) {
    Graph *g = t->g;
    const Behind *b = map_get(&t->behind, key_of(&at));
    for (; b && g->n_nodes < cap; b = b->next)
        g->nodes[g->n_nodes++] = b->node;
}

/* The nodes of the graph, with those that were made. */
static void insert(Move *t) {
    Node **old = t->g->nodes;
    size_t n = t->g->n_nodes, cap = n + t->spread.count;
    Node **all = ARENA_ARRAY(t->m->arena, cap, Node *);
    if (!all)
        return;
    t->g->nodes = all;
    t->g->n_nodes = 0;
    put_made(t, cap, NULL);
    for (size_t i = 0; i < n && t->g->n_nodes < cap; i++) {
        all[t->g->n_nodes++] = old[i];
        put_made(t, cap, old[i]);
    }
}

static void visit(void *user, Graph *g) {
    Move *t = user;
    size_t kept = 0;
    t->g = g;
    t->spread = t->behind = (Map){.arena = t->scratch};
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!try_move(t, g->nodes[i]))
            g->nodes[kept++] = g->nodes[i];
    g->n_nodes = kept;
    if (t->spread.count)
        insert(t);
}

void pass_transposes(Model *m) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    graph_count_uses(m);
    Move t = {.m = m, .scratch = &scratch};
    graph_each(m->graph, visit, &t);
    replace_values(m);
    arena_scratch_end(&scratch, m->arena);
}
