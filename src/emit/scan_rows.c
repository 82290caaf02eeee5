/* A row of equal blocks as jax.lax.scan over stacked parameters: XLA sees one layer. */
#include "emit/layers.h"

#include "ops/core/nested.h"

/* ---- when ---------------------------------------------------------------------------- */

/* Output k goes to a field of the cache that the row has all of. */
static bool goes_to_cache(const Gen *g, const Row *row, size_t k) {
    const CachePlace *place = row_cached(g, row->first, k);
    return place && place->index == 0 &&
           g->cache.items[place->field].count == row->count;
}

static size_t count_cached(const Gen *g, const Row *row) {
    size_t n = 0;
    for (size_t k = 0; k < row->first->n_out; k++)
        n += goes_to_cache(g, row, k);
    return n;
}

/* All outputs are carried, and their types stay what they are, or go to the cache. */
static bool carries_all(const Gen *g, const Row *row) {
    const Block *b = row->first;
    const Function *f = b->kind->code;
    size_t carried = 0, cached = count_cached(g, row), read = 0;
    for (size_t i = 0; i < f->n_args; i++) {
        read += row->carried[i] == ROW_CACHE;
        if (row->carried[i] < 0)
            continue;
        carried++;
        if (!type_same(&value_final(b->in[f->args[i]])->type,
                       &b->out[row->carried[i]]->type))
            return false;
    }
    return carried > 0 && carried + cached == b->n_out && read == cached;
}

/* Nothing else reads the parameters of b, which load_params will have stacked. */
static bool owns_params(const Gen *g, const Block *b) {
    for (uint32_t i = b->first; i < b->first + b->count; i++) {
        const Node *n = g->m->graph->nodes[i];
        for (uint32_t k = 0; k < n->n_in; k++) {
            const Value *v = n->in[k];
            if (!v || v->kind != VALUE_PARAM || !block_relative_key(b->part, v).n)
                continue;
            if (v->uses != 1)
                return false;
        }
        if (n->data_sized)
            return false;
    }
    return true;
}

static Str pattern_of(Arena *a, Str head, Str tail) {
    return arena_printf(a, "%.*s*%.*s", (int)head.n, head.p, (int)tail.n, tail.p);
}

/* The entries of b are entries of a. */
static bool is_below(Str a, Str b) {
    return str_starts(b, a) && (b.n == a.n || b.p[a.n] == '.');
}

/* Parameters are stacked under the pattern already: those of the blocks before a
 * different one in a list of modules. */
static bool is_taken(const Gen *g, const Row *row) {
    Str own = pattern_of(g->arena, row->head, row->tail);
    for (size_t i = 0; i < g->stacks.count; i++) {
        const Stack *s = &g->stacks.items[i];
        Str other = pattern_of(g->arena, s->head, s->tail);
        if (is_below(own, other) || is_below(other, own))
            return true;
    }
    return false;
}

bool row_can_scan(const Gen *g, const Row *row) {
    const Function *f = row->first->kind->code;
    if (g->options->layers != OX_LAYERS_SCAN || g->function || !row->numbered ||
        !f->uses_params || f->run_time || !carries_all(g, row) || is_taken(g, row))
        return false;
    for (const Block *b = row->first; b; b = row_next(g, row, b))
        if (b->kind != row->first->kind || !owns_params(g, b))
            return false;
    return true;
}

/* ---- how ----------------------------------------------------------------------------- */

static const Expr *stacked_params(Gen *g, const Row *row) {
    Stack stack = {row->head, row->tail, row->start, row->start + (int64_t)row->count};
    const Expr *params = ex_name(g->arena, STR("params"));
    (void)ARENA_PUSH(g->arena, &g->stacks, stack);
    return gen_params_below(g, params, pattern_of(g->arena, row->head, row->tail));
}

/* (a, b); a alone is no tuple. */
static const Expr *tuple_of(Gen *g, const Str *names, size_t n) {
    const Expr **items = ARENA_ARRAY(g->arena, n, const Expr *);
    for (size_t i = 0; items && i < n; i++)
        items[i] = ex_name(g->arena, names[i]);
    return n == 1 && items ? items[0]
                           : ex_seq(g->arena, EX_TUPLE, items, items ? n : 0);
}

/* What a step carries, and what it gives to the cache. */
typedef struct Split {
    Str *carried, *cached;
    size_t n_carried, n_cached;
} Split;

static bool split(Gen *g, const Row *row, const Str *targets, Split *parts) {
    size_t n = row->first->n_out;
    *parts = (Split){.carried = ARENA_ARRAY(g->arena, n, Str),
                     .cached = ARENA_ARRAY(g->arena, n, Str)};
    if (!parts->carried || !parts->cached)
        return false;
    for (size_t k = 0; k < n; k++)
        if (goes_to_cache(g, row, k))
            parts->cached[parts->n_cached++] = targets[k];
        else
            parts->carried[parts->n_carried++] = targets[k];
    return true;
}

/* Arguments as the step has them: its layer's arrays for those of all layers. */
static const Expr **step_arguments(Gen *g, const Row *row, const Expr *const *args) {
    size_t n = row->first->kind->code->n_args;
    const Expr **own = ARENA_ARRAY(g->arena, n + 1, const Expr *);
    for (size_t i = 0; own && i < n; i++)
        own[i] = row->carried[i] == ROW_CACHE ? args[i]->kids[0] : args[i];
    return own;
}

/* (layer, key_cache, value_cache) of all layers, or of one */
static const Expr *layers_with(Gen *g, const Expr *layers, const Split *parts) {
    const Expr **items = ARENA_ARRAY(g->arena, parts->n_cached + 1, const Expr *);
    if (!items || !parts->n_cached)
        return layers;
    items[0] = layers;
    for (size_t i = 0; i < parts->n_cached; i++)
        items[i + 1] = ex_name(g->arena, parts->cached[i]);
    return ex_seq(g->arena, EX_TUPLE, items, parts->n_cached + 1);
}

/* def step(x, layer):
 *     x = layer_function(layer, x, mask)
 *     return x, None */
static Def *step_function(Gen *g, const Row *row, const Split *parts,
                          const Str *targets, const Expr *const *args) {
    Str params[2];
    Stmts body = {0};
    size_t n = parts->n_carried;
    Scope s = {.name = gen_unique_name(g, STR("step")), .params = params};
    params[0] = n == 1 ? parts->carried[0] : gen_unique_name(g, STR("carry"));
    params[1] = gen_unique_name(g, STR("layer"));
    s.n_params = OX_COUNT(params);
    if (n > 1)
        gen_statement(g, &body, parts->carried, n, ex_name(g->arena, params[0]));
    const Expr *layer = ex_name(g->arena, params[1]);
    if (parts->n_cached)
        gen_assign(g, &body, ex_bare(g->arena, layers_with(g, layer, parts)), layer);
    gen_statement(g, &body, targets, row->first->n_out,
                  gen_call(g, row->first, layer, args));
    const Expr *pair[] = {tuple_of(g, parts->carried, n),
                          parts->n_cached ? tuple_of(g, parts->cached, parts->n_cached)
                                          : ex_none()};
    s.body = body;
    s.result = ex_seq(g->arena, EX_TUPLE, pair, 2);
    return gen_def(g, &s, NULL);
}

static void note_stacked(Gen *g, const Row *row) {
    for (size_t k = 0; k < row->first->n_out; k++) {
        const CachePlace *place = row_cached(g, row->first, k);
        if (place)
            g->cache.items[place->field].stacked = true;
    }
}

void row_scan(Gen *g, const Row *row, const Str *targets, const Expr *const *args) {
    Split parts;
    const Expr **own = step_arguments(g, row, args);
    if (!own || !split(g, row, targets, &parts))
        return;
    Def *step = step_function(g, row, &parts, targets, own);
    if (!step || !code_define(g->arena, &g->scope->body, step))
        return;
    note_stacked(g, row);
    const Expr *x = tuple_of(g, parts.carried, parts.n_carried);
    const Expr *scan =
        EX(g->arena, "jax.lax.scan($0, $1, $2)", ex_name(g->arena, step->name), x,
           layers_with(g, stacked_params(g, row), &parts));
    const Expr *both[] = {x, parts.n_cached ? tuple_of(g, parts.cached, parts.n_cached)
                                            : ex_name(g->arena, STR("_"))};
    (void)code_assign(g->arena, &g->scope->body,
                      ex_bare(g->arena, ex_seq(g->arena, EX_TUPLE, both, 2)), scan);
}

/* ---- load_params --------------------------------------------------------------------- */

void gen_add_stacked(Gen *g) {
    Stmts list = {0};
    CODE(g->arena, &list,
         "def stacked(params):\n"
         "    \"\"\"Stack the parameters of repeated layers, as forward takes "
         "them.\"\"\"\n",
         NULL);
    Def *def = code_find(&list, STR("stacked"));
    for (size_t i = 0; def && i < g->stacks.count; i++) {
        const Stack *s = &g->stacks.items[i];
        const Expr *key = ex_str(g->arena, pattern_of(g->arena, s->head, s->tail));
        CODE(g->arena, &def->body,
             i + 1 < g->stacks.count ? "params = stack_layers(params, $0, $1)\n"
                                     : "return stack_layers(params, $0, $1)\n",
             key, gen_range(g, s->first, s->end));
    }
    code_append(g->arena, &g->program.params, &list);
}
