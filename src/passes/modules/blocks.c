/* Chooses which repeated modules become functions.  Of the nodes
 *
 *     /layer.0/query/MatMul (x, layer.0.query.weight)
 *     /layer.0/query/Add    (layer.0.query.bias, ...)
 *     /layer.0/act/Relu     (...)
 *     /layer.1/query/MatMul (/layer.0/act/Relu_output_0, layer.1.query.weight)
 *     ...                   the same for layer.1 and layer.2
 *
 * the parts layer.0, layer.1 and layer.2 are blocks of one kind, of which `in` is the value
 * from before and `out` what the Relu gives; codegen writes the kind once, from layer.0:
 *
 *     def layer(params, x):
 *         return jax.nn.relu(params["query.bias"][None] + x @ params["query.weight"])
 *     ...
 *     for i in range(3):
 *         x_1 = layer(scope(params, f"layer.{i}"), x_1)
 *
 * layer.0.query is in each of them, but is called from one place: no function of its own.
 *
 * Outermost first: a module that is there several times is one function, and what is
 * inside it is looked at once, in the first.  A module inside that is called from one
 * place only is part of the code around it. */
#include "passes/modules/blocks.h"
#include "passes/passes.h"

#include "ops/core/nested.h"

#include <ctype.h>

enum {
    NODES_MIN = 2,  /* fewer read better where they are, */
    PARAMS_MIN = 4, /* but for one that reads this many parameters: BatchNorm */
    UNIT_MIN = 4,   /* nodes of what may be more than three statements */
    ROUNDS_MAX = 8, /* of choosing; what is left then stays */
    KINDS_MAX = 64  /* different types in one family */
};

static const uint32_t READ_BY_OUTPUT = UINT32_MAX; /* behind all nodes */

typedef struct Finder {
    Model *m;
    Arena scratch;
    Blocks *blocks;
    Parts *parts;
    Same *same;
    uint32_t *last_use;   /* by value id: position of the last reader */
    uint32_t *barred;     /* by position: how many nodes before must stay outside */
    uint32_t *attending;  /* by position: how many nodes before attend, */
    uint32_t *working;    /* and how many add up products */
    BlockFamily **family; /* by number of the part; NULL: no candidate */
    Map families;         /* by hash */
    Node *node;
    struct {
        BlockFamily **items;
        size_t count, cap;
    } list;
} Finder;

/* ---- keys for parameters that have no name ------------------------------------------ */

typedef struct Reader {
    const Node *node;
    uint32_t input;
    Part *part; /* that all readers are in */
} Reader;

static Str key_for(Arena *a, const Reader *r) {
    Text t = {.arena = a};
    text_printf(&t, "%.*s.%.*s_", (int)r->part->path.n, r->part->path.p,
                (int)r->node->op_type.n, r->node->op_type.p);
    text_str(&t, op_input_name(r->node->op, r->input));
    for (size_t i = r->part->path.n; i < t.n; i++)
        t.p[i] = (char)tolower((unsigned char)t.p[i]);
    return text_view(&t);
}

static void note_readers(Finder *f, Reader *readers) {
    const Graph *g = f->m->graph;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        for (uint32_t k = 0; k < n->n_in; k++) {
            Value *v = n->in[k];
            if (!v || v->kind != VALUE_PARAM)
                continue;
            Reader *r = &readers[v->id];
            Part *part = r->node ? part_common(r->part, n->part) : n->part;
            *r = r->node ? (Reader){r->node, r->input, part} : (Reader){n, k, part};
        }
    }
}

/* A weight that the exporter has transposed or folded is no entry of the state_dict any
 * more.  It gets a key below its module, of the operator and its input
 * ("layer.0.query.matmul_b"), which is none of the module's own parameters either. */
static void name_params(Finder *f) {
    const Graph *g = f->m->graph;
    Reader *readers = ARENA_ARRAY(&f->scratch, f->m->value_count + 1, Reader);
    Map keys = {.arena = &f->scratch};
    if (!readers)
        return;
    note_readers(f, readers);
    for (size_t i = 0; i < g->n_params; i++)
        map_set(&keys, g->params[i]->name, g->params[i]);
    for (size_t i = 0; i < g->n_params; i++) {
        Value *v = g->params[i];
        const Reader *r = &readers[v->id];
        v->key = (Str){0};
        bool named = !v->generated_name || (v->note && v->note->key.n);
        if (v->kind != VALUE_PARAM || named || !r->node || !r->part->depth)
            continue;
        Str key = key_for(f->m->arena, r);
        for (int n = 2; map_get(&keys, key) && !f->m->arena->failed; n++) {
            Str base = key_for(&f->scratch, r);
            key = arena_printf(f->m->arena, "%.*s_%d", (int)base.n, base.p, n);
        }
        map_set(&keys, key, v);
        v->key = key;
    }
}

static void forget_keys(Finder *f) {
    const Graph *g = f->m->graph;
    for (size_t i = 0; i < g->n_params; i++)
        g->params[i]->key = (Str){0};
}

/* ---- facts about nodes -------------------------------------------------------------- */

static void note_use(void *user, Value *v) {
    Finder *f = user;
    if (f->last_use[v->id] < f->node->order)
        f->last_use[v->id] = f->node->order;
}

/* Random nodes draw from forward's key; subgraphs read what is around them. */
static bool must_stay(const Node *n) {
    bool stays = !n->op || n->op->facts & OP_IMPURE;
    for (uint32_t a = 0; a < n->n_attrs; a++)
        stays |= n->attrs[a].graph_count != 0;
    for (uint32_t k = 0; k < n->n_out; k++)
        stays |= n->out[k] && !n->out[k]->known && value_is_number(n->out[k]);
    return stays;
}

static bool adds_products(const OpDef *op) {
    return op && (op->macs || op->facts & (OP_CONTRACTS | OP_ATTENDS));
}

static void look_at_nodes(Finder *f) {
    const Graph *g = f->m->graph;
    for (size_t i = 0; i < g->n_nodes; i++) {
        f->node = g->nodes[i];
        const OpDef *op = f->node->op;
        f->barred[i + 1] = f->barred[i] + must_stay(f->node);
        f->attending[i + 1] = f->attending[i] + (op && op->facts & OP_ATTENDS);
        f->working[i + 1] = f->working[i] + adds_products(op);
        node_each_need(f->node, note_use, f);
    }
    for (size_t i = 0; i < g->n_outputs; i++)
        f->last_use[value_final(g->outputs[i])->id] = READ_BY_OUTPUT;
}

/* The name of c below p is a number: entry of a list, not of a list that p has. */
static bool is_entry(const Part *p, const Part *c) {
    Str name = c->path;
    if (p->path.n && str_starts(name, p->path) && name.n > p->path.n + 1) {
        name.p += p->path.n + 1;
        name.n -= p->path.n + 1;
    }
    return name.n && isdigit((unsigned char)name.p[0]);
}

/* A list of modules (Sequential, ModuleList) is no function of its own. */
static bool is_list(const Part *p) {
    for (const Part *c = p->children; c; c = c->next)
        if (!is_entry(p, c))
            return false;
    return p->children && p->own == 0;
}

static uint32_t node_count(const Part *p) {
    return p->last - p->first;
}

/* A candidate around p holds the same nodes: p would be a function that is all of its
 * caller, and of the same kind, so that it called itself. */
static bool is_wrapped(const Finder *f, const Part *p) {
    const Part *around = p->parent;
    for (; around && node_count(around) == node_count(p); around = around->parent)
        if (f->family[around->begin])
            return true;
    return false;
}

static bool reads_many_params(const Node *n) {
    int count = 0;
    for (uint32_t k = 0; k < n->n_in; k++)
        count += n->in[k] && n->in[k]->kind == VALUE_PARAM && !node_is_fixed(n, k);
    return count >= PARAMS_MIN;
}

static bool may_be_block(const Finder *f, const Part *p) {
    uint32_t n = node_count(p);
    bool large =
        n >= NODES_MIN || (n == 1 && reads_many_params(f->m->graph->nodes[p->at]));
    return p->depth && p->whole && large && !is_list(p) && !is_wrapped(f, p) &&
           f->barred[p->at] == f->barred[p->at + n];
}

/* ---- families ----------------------------------------------------------------------- */

static uint32_t count_in(const Part *p, const uint32_t *before) {
    return before[p->at + node_count(p)] - before[p->at];
}

/* Around p is no more than a norm and a residual. */
static bool is_all_work(const Finder *f, const Part *p, const Part *around) {
    return count_in(p, f->working) == count_in(around, f->working);
}

static BlockFamily *family_of(Finder *f, const Part *p) {
    uint64_t hash = same_hash(f->same, p);
    Str key = arena_printf(&f->scratch, "%llx", (unsigned long long)hash);
    BlockFamily *family = map_get(&f->families, key);
    if (family)
        return family;
    family = ARENA_NEW(f->m->arena, BlockFamily);
    if (!family)
        return NULL;
    family->hash = hash;
    map_set(&f->families, key, family);
    (void)ARENA_PUSH(&f->scratch, &f->list, family);
    return family;
}

static void find_families(Finder *f) {
    for (size_t i = 0; i < f->parts->count; i++) {
        const Part *p = f->parts->items[i];
        if (!may_be_block(f, p))
            continue;
        f->family[i] = family_of(f, p);
        if (!f->family[i])
            continue;
        f->family[i]->parts++;
        f->family[i]->attends = count_in(p, f->attending) > 0;
        f->family[i]->unit =
            node_count(p) >= UNIT_MIN && (p->children || f->family[i]->attends);
    }
    for (size_t i = 0; i < f->list.count; i++)
        f->list.items[i]->chosen = f->list.items[i]->parts > 1;
}

/* The keys of what is inside are relative to what is around. */
static bool is_below(const Part *p, const Part *around) {
    Str head = around->path;
    return !around->depth || (str_starts(p->path, head) && p->path.n > head.n &&
                              p->path.p[head.n] == '.');
}

/* Counts calls: goes through the tree in preorder, over blocks whose function has been
 * looked at already.  `around` is the innermost block at each depth. */
static void count_sites(Finder *f) {
    const Part *around[PART_DEPTH_MAX + 2] = {f->parts->root};
    for (size_t i = 0; i < f->list.count; i++) {
        f->list.items[i]->sites = 0;
        f->list.items[i]->live = f->list.items[i]->aside = false;
    }
    for (size_t i = 1; i < f->parts->count; i++) {
        const Part *p = f->parts->items[i];
        BlockFamily *family = f->family[i];
        around[p->depth] = around[p->depth - 1];
        if (!family || !family->chosen || !is_below(p, around[p->depth]))
            continue;
        family->sites++;
        family->aside |= family->unit && around[p->depth]->depth &&
                         !is_all_work(f, p, around[p->depth]);
        around[p->depth] = p;
        if (family->live)
            i = p->end - 1;
        family->live = true;
    }
}

static bool drop_single_calls(Finder *f) {
    bool dropped = false;
    for (size_t i = 0; i < f->list.count; i++) {
        BlockFamily *family = f->list.items[i];
        if (!family->live || family->sites > 1 || !family->chosen || family->aside)
            continue;
        family->chosen = false;
        dropped = true;
    }
    return dropped;
}

static void choose(Finder *f) {
    int rounds = 0;
    do
        count_sites(f);
    while (drop_single_calls(f) && ++rounds < ROUNDS_MAX);
}

/* ---- blocks ------------------------------------------------------------------------- */

static BlockKind *kind_of(Finder *f, BlockFamily *family, const Part *p) {
    size_t n = 0;
    BlockKind **at = &family->kinds;
    for (; *at && n < KINDS_MAX; at = &(*at)->next, n++)
        if (same_parts(f->same, (*at)->blocks[0]->part, p))
            return *at;
    if (*at)
        return NULL;
    *at = ARENA_NEW(f->m->arena, BlockKind);
    if (*at) {
        (*at)->family = family;
        (void)ARENA_PUSH(f->m->arena, &f->blocks->kinds, *at);
    }
    return *at;
}

static bool push_block(Arena *a, BlockKind *kind, Block *b) {
    Block **items = arena_push_room(a, kind->blocks, kind->count, &kind->cap, sizeof b);
    kind->blocks = items;
    if (kind->count >= kind->cap)
        return false;
    kind->blocks[kind->count++] = b;
    return true;
}

static void mark_escapes(const Finder *f, const Block *b) {
    size_t at = 0;
    for (uint32_t i = b->first; i < b->first + b->count; i++) {
        const Node *n = f->m->graph->nodes[i];
        for (uint32_t k = 0; k < n->n_out; k++, at++)
            if (n->out[k] && f->last_use[n->out[k]->id] >= b->first + b->count)
                b->kind->escapes[at] = true;
    }
}

static size_t count_outputs(const Graph *g, const Block *b) {
    size_t n = 0;
    for (uint32_t i = b->first; i < b->first + b->count; i++)
        n += g->nodes[i]->n_out;
    return n;
}

static void add_block(Finder *f, BlockFamily *family, Part *p) {
    if (f->m->arena->failed)
        return;
    BlockKind *kind = kind_of(f, family, p);
    Block *b = ARENA_NEW(f->m->arena, Block);
    if (!kind || !b)
        return;
    *b = (Block){.part = p, .kind = kind, .first = p->at, .count = node_count(p)};
    if (!kind->count)
        kind->escapes =
            ARENA_ARRAY(f->m->arena, count_outputs(f->m->graph, b) + 1, bool);
    Value **args = same_args(f->same, p, &b->n_in);
    b->in = ARENA_ARRAY(f->m->arena, b->n_in + 1, Value *);
    if (!kind->escapes || !b->in || !push_block(f->m->arena, kind, b))
        return;
    memcpy(b->in, args, b->n_in * sizeof *args);
    mark_escapes(f, b);
    p->block = b;
}

static void list_outputs(Model *m, Block *b) {
    size_t at = 0;
    b->out = ARENA_ARRAY(m->arena, count_outputs(m->graph, b) + 1, Value *);
    for (uint32_t i = b->first; b->out && i < b->first + b->count; i++) {
        const Node *n = m->graph->nodes[i];
        for (uint32_t k = 0; k < n->n_out; k++, at++)
            if (b->kind->escapes[at])
                b->out[b->n_out++] = n->out[k];
    }
}

static const Part *block_around(const Finder *f, const Part *p) {
    for (p = p->parent; p && !p->block;)
        p = p->parent;
    return p ? p : f->parts->root;
}

static void make_blocks(Finder *f) {
    for (size_t i = 0; i < f->parts->count; i++) {
        BlockFamily *family = f->family[i];
        Part *p = f->parts->items[i];
        if (family && family->chosen && family->live && is_below(p, block_around(f, p)))
            add_block(f, family, p);
    }
    for (size_t k = 0; k < f->blocks->kinds.count && !f->m->arena->failed; k++)
        for (size_t i = 0; i < f->blocks->kinds.items[k]->count; i++)
            list_outputs(f->m, f->blocks->kinds.items[k]->blocks[i]);
}

Block *block_inside(const Node *n, const Block *around) {
    Block *found = NULL;
    const Part *p = n->part;
    for (; p && (!around || p != around->part); p = p->parent)
        if (p->block && !p->block->kind->inlined)
            found = p->block;
    return found;
}

/* ---- the pass ----------------------------------------------------------------------- */

static void find_blocks(Finder *f) {
    parts_hoist(f->m, f->parts);
    parts_gather(f->m, f->parts);
    name_params(f);
    f->same = same_new(&f->scratch, f->m);
    f->last_use = ARENA_ARRAY(&f->scratch, f->m->value_count + 1, uint32_t);
    f->barred = ARENA_ARRAY(&f->scratch, f->m->graph->n_nodes + 2, uint32_t);
    f->attending = ARENA_ARRAY(&f->scratch, f->m->graph->n_nodes + 2, uint32_t);
    f->working = ARENA_ARRAY(&f->scratch, f->m->graph->n_nodes + 2, uint32_t);
    f->family = ARENA_ARRAY(&f->scratch, f->parts->count + 1, BlockFamily *);
    if (f->scratch.failed || f->m->arena->failed)
        return;
    look_at_nodes(f);
    find_families(f);
    choose(f);
    make_blocks(f);
    if (f->blocks->kinds.count)
        f->m->blocks = f->blocks;
    else
        forget_keys(f);
}

void pass_blocks(Model *m) {
    if (m->unrolled)
        return;
    Finder f = {.m = m, .blocks = ARENA_NEW(m->arena, Blocks)};
    if (!f.blocks)
        return;
    arena_scratch_begin(&f.scratch, m->arena);
    f.families.arena = &f.scratch;
    f.blocks->arena = m->arena;
    f.parts = &f.blocks->parts;
    parts_find(m, f.parts);
    if (f.parts->root && f.parts->none)
        parts_guess(m, f.parts);
    if (f.parts->root && f.parts->items && f.parts->count > 1)
        find_blocks(&f);
    arena_scratch_end(&f.scratch, m->arena);
}
