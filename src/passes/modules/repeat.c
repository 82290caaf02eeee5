/* Parts of a graph that does not say where its nodes come from: stretches of nodes that
 * repeat.  Where a window of nodes was seen before, the distance may be how long one round
 * is; then the nodes go on to equal those one round before.  Each round becomes a part,
 * which is then compared as exactly as any other. */
#include "passes/modules/parts.h"

enum {
    WINDOW = 8,          /* nodes that are looked up together */
    ROUND_MIN = 3,       /* nodes of a round; fewer read better where they are */
    STARTS_MAX = 64,     /* places for the first round to begin that are looked at */
    STEPS_PER_NODE = 16, /* keeps the search linear */
    KEY_SIZE = sizeof(uint64_t)
};

typedef struct Repeat {
    Model *m;
    Arena *scratch;
    Parts *parts;
    uint64_t *nodes;   /* by position: hash of the node */
    uint64_t *windows; /* by position: hash of the nodes from there on */
    uint32_t *rounds;  /* by position: how far back the window is; 0: it is new */
    size_t steps_left;
    uint32_t *live; /* by position: values that are read on both sides */
    size_t made;
} Repeat;

/* ---- windows ------------------------------------------------------------------------ */

static uint64_t hash_node(const Node *n) {
    uint64_t h = hash_mix(str_hash(n->op_type), n->n_in);
    for (uint32_t i = 0; i < n->n_in; i++) {
        const Value *v = n->in[i];
        ValueKind kind = v && v->kind != VALUE_INPUT ? v->kind : VALUE_NODE;
        h = hash_mix(h, v ? (uint64_t)kind + 1 : 0);
    }
    for (uint32_t i = 0; i < n->n_out; i++)
        h = hash_mix(h, n->out[i] ? (uint64_t)n->out[i]->type.rank + 2 : 0);
    return h;
}

static void find_rounds(Repeat *r) {
    const Graph *g = r->m->graph;
    Map seen = {.arena = r->scratch};
    for (size_t i = 0; i < g->n_nodes; i++)
        r->nodes[i] = hash_node(g->nodes[i]);
    for (size_t i = 0; i + WINDOW <= g->n_nodes && !r->scratch->failed; i++) {
        for (size_t k = 0; k < WINDOW; k++)
            r->windows[i] = hash_mix(r->windows[i], r->nodes[i + k]);
        Str key = {(const char *)&r->windows[i], KEY_SIZE};
        const uint32_t *before = map_get(&seen, key);
        r->rounds[i] = before ? (uint32_t)i - g->nodes[*before]->order : 0;
        map_set(&seen, key, &g->nodes[i]->order);
    }
}

/* ---- where to cut ------------------------------------------------------------------- */

static void note_last(void *user, Value *v) {
    uint32_t **state = user; /* last use by value id, and the position at hand */
    state[0][v->id] = *state[1];
}

static void count_live(Repeat *r, uint32_t *last) {
    const Graph *g = r->m->graph;
    uint32_t at = 0, *state[] = {last, &at};
    for (at = 0; at < g->n_nodes; at++)
        node_each_need(g->nodes[at], note_last, state);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        for (uint32_t k = 0; k < n->n_out; k++) {
            uint32_t end = n->out[k] ? last[n->out[k]->id] : 0;
            if (end <= i)
                continue;
            r->live[i + 1]++;
            r->live[end + 1]--;
        }
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        r->live[i + 1] += r->live[i];
}

/* ---- parts -------------------------------------------------------------------------- */

static Str common_module(Str a, Str b) {
    size_t n = 0, dot = 0;
    for (; n < a.n && n < b.n && a.p[n] == b.p[n]; n++)
        if (a.p[n] == '.')
            dot = n;
    if (n == a.n && n < b.n && b.p[n] == '.')
        dot = n; /* b lies below a */
    return (Str){a.p, dot};
}

/* "layers.3" where all parameters that only the round reads are below it. */
static Str common_path(const Graph *g, uint32_t begin, uint32_t end) {
    Str path = {0};
    for (uint32_t i = begin; i < end; i++) {
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++) {
            const Value *v = g->nodes[i]->in[k];
            if (!v || v->kind != VALUE_PARAM || v->generated_name || v->uses != 1)
                continue;
            path =
                path.p ? common_module(path, v->name) : common_module(v->name, v->name);
            if (!path.n)
                return path;
        }
    }
    return path;
}

static void add_part(Repeat *r, uint32_t begin, uint32_t end, Str path) {
    Part *p = ARENA_NEW(r->m->arena, Part), *root = r->parts->root;
    if (!p)
        return;
    *p = (Part){.path = path, .parent = root, .depth = 1};
    if (root->last_child)
        root->last_child->next = p;
    else
        root->children = p;
    root->last_child = p;
    r->made++;
    for (uint32_t i = begin; i < end; i++)
        r->m->graph->nodes[i]->part = p;
}

static void add_parts(Repeat *r, uint32_t begin, uint32_t round, uint32_t end) {
    const Graph *g = r->m->graph;
    Str a = common_path(g, begin, begin + round);
    Str b = common_path(g, begin + round, begin + 2 * round);
    bool named = a.n && b.n && !str_eq(a, b);
    for (uint32_t at = begin; at + round <= end; at += round) {
        Str path = named ? common_path(g, at, at + round) : (Str){0};
        if (!path.n)
            path = arena_printf(r->m->arena, "block.%zu", r->made);
        add_part(r, at, at + round, path);
    }
}

/* Of the places where the first round may begin, that where the fewest values are read
 * across; and of those, that where the parameters of a round lie together. */
static uint32_t best_start(const Repeat *r, uint32_t begin, uint32_t round,
                           uint32_t end) {
    uint32_t best = begin, looked = 0;
    uint32_t rounds = (end - begin) / round;
    uint32_t stop = begin + (rounds > 2 ? round : (end - begin) % round + 1);
    Str path = common_path(r->m->graph, begin + round, begin + 2 * round);
    for (uint32_t i = begin + 1; i < stop && looked < STARTS_MAX; i++) {
        if (r->live[i] > r->live[best])
            continue;
        Str other = common_path(r->m->graph, i + round, i + 2 * round);
        looked++;
        if (r->live[i] == r->live[best] && other.n <= path.n)
            continue;
        best = i;
        path = other;
    }
    return best;
}

/* The end of the stretch from i on whose nodes equal those one round before. */
static uint32_t stretch_end(Repeat *r, uint32_t i, uint32_t round) {
    uint32_t n = (uint32_t)r->m->graph->n_nodes;
    while (i < n && r->steps_left && r->nodes[i] == r->nodes[i - round] &&
           !r->m->graph->nodes[i]->part) {
        i++;
        r->steps_left--;
    }
    return i;
}

static bool is_free(const Repeat *r, uint32_t begin, uint32_t end) {
    Node *const *nodes = r->m->graph->nodes;
    return !nodes[begin]->part && !nodes[end - 1]->part;
}

/* The window at i is `round` nodes after one like it. */
static void try_round(Repeat *r, uint32_t i, uint32_t round) {
    uint32_t begin = i - round, end;
    if (!is_free(r, begin, i + 1) || (end = stretch_end(r, i, round)) < i + round)
        return;
    while (begin > 0 && r->nodes[begin - 1] == r->nodes[begin - 1 + round] &&
           is_free(r, begin - 1, begin))
        begin--;
    add_parts(r, best_start(r, begin, round, end), round, end);
}

/* The longest rounds first, as what repeats inside them is part of them. */
static void find_parts(Repeat *r) {
    uint32_t n = (uint32_t)r->m->graph->n_nodes;
    uint32_t *first = ARENA_ARRAY(r->scratch, n + 1, uint32_t);
    uint32_t *next = ARENA_ARRAY(r->scratch, n + 1, uint32_t);
    if (!first || !next)
        return;
    for (uint32_t i = n; i-- > 0;) {
        next[i] = first[r->rounds[i]];
        first[r->rounds[i]] = i;
    }
    for (uint32_t round = n; round >= ROUND_MIN; round--)
        for (uint32_t i = first[round]; i && r->steps_left; i = next[i])
            try_round(r, i, round);
}

void parts_guess(Model *m, Parts *parts) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    size_t n = m->graph->n_nodes;
    Repeat r = {.m = m,
                .scratch = &scratch,
                .parts = parts,
                .nodes = ARENA_ARRAY(&scratch, n + 1, uint64_t),
                .steps_left = STEPS_PER_NODE * n,
                .windows = ARENA_ARRAY(&scratch, n + 1, uint64_t),
                .rounds = ARENA_ARRAY(&scratch, n + 1, uint32_t),
                .live = ARENA_ARRAY(&scratch, n + 2, uint32_t)};
    uint32_t *last = ARENA_ARRAY(&scratch, m->value_count + 1, uint32_t);
    if (r.nodes && r.windows && r.rounds && r.live && last) {
        find_rounds(&r);
        count_live(&r, last);
        find_parts(&r);
        for (size_t i = 0; i < n; i++)
            if (!m->graph->nodes[i]->part)
                m->graph->nodes[i]->part = parts->root;
        parts_number(parts, r.made + 1);
    }
    arena_scratch_end(&scratch, m->arena);
}
