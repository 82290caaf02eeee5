/* A row of equal blocks as jax.lax.scan over stacked parameters: XLA sees one layer. */
#include "emit/layers.h"

#include "ops/core/nested.h"

/* ---- when ---------------------------------------------------------------------------- */

/* All outputs are carried, and their types stay what they are. */
static bool carries_all(const Row *row) {
    const Block *b = row->first;
    const Function *f = b->kind->code;
    size_t carried = 0;
    for (size_t i = 0; i < f->n_args; i++) {
        if (row->carried[i] < 0)
            continue;
        carried++;
        if (!type_same(&value_final(b->in[f->args[i]])->type,
                       &b->out[row->carried[i]]->type))
            return false;
    }
    return carried == b->n_out;
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
        !f->uses_params || f->run_time || !carries_all(row) || is_taken(g, row))
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

static const Expr *carry(Gen *g, const Row *row, const Str *targets) {
    size_t n = row->first->n_out;
    const Expr **items = ARENA_ARRAY(g->arena, n, const Expr *);
    for (size_t i = 0; items && i < n; i++)
        items[i] = ex_name(g->arena, targets[i]);
    return n == 1 && items ? items[0]
                           : ex_seq(g->arena, EX_TUPLE, items, items ? n : 0);
}

/* def step(x, layer):
 *     x = layer_function(layer, x, mask)
 *     return x, None */
static Def *step_function(Gen *g, const Row *row, const Str *targets,
                          const Expr *const *args) {
    Str params[2];
    Stmts body = {0};
    size_t n = row->first->n_out;
    Scope s = {.name = gen_unique_name(g, STR("step")), .params = params};
    params[0] = n == 1 ? targets[0] : gen_unique_name(g, STR("carry"));
    params[1] = gen_unique_name(g, STR("layer"));
    s.n_params = OX_COUNT(params);
    if (n > 1)
        gen_statement(g, &body, targets, n, ex_name(g->arena, params[0]));
    gen_statement(g, &body, targets, n,
                  gen_call(g, row->first, ex_name(g->arena, params[1]), args));
    const Expr *pair[] = {carry(g, row, targets), ex_none()};
    s.body = body;
    s.result = ex_seq(g->arena, EX_TUPLE, pair, 2);
    return gen_def(g, &s, NULL);
}

void row_scan(Gen *g, const Row *row, const Str *targets, const Expr *const *args) {
    Def *step = step_function(g, row, targets, args);
    if (!step || !code_define(g->arena, &g->scope->body, step))
        return;
    const Expr *x = carry(g, row, targets);
    const Expr *scan = EX(g->arena, "jax.lax.scan($0, $1, $2)",
                          ex_name(g->arena, step->name), x, stacked_params(g, row));
    const Expr *both[] = {x, ex_name(g->arena, STR("_"))};
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
