/* Local functions that stand for subgraphs, and the random keys of nodes.  A function
 * reads outer values as a closure does; whatever it needs from outside gets its name
 * there, above the function. */
#include "emit/gen.h"

enum { LAMBDA_WIDTH_MAX = 50 };

/* ---- parameters ---------------------------------------------------------------------
 */

/* A loop counter that Python counts: an int in shapes, an array where it is computed
 * with. */
static bool counts_in_python(const Value *v) {
    const Symbol *s = v->known && v->known->n == 1 && v->known->ints
                          ? dim_as_symbol(v->known->ints[0])
                          : NULL;
    return s && s->value == v && s->axis == SYMBOL_SELF;
}

static void bind_value(Gen *g, const Value *v, const Expr *x) {
    ValueCode *c = gen_code(g, v);
    c->state = VS_DONE;
    c->expr = x;
    if (!counts_in_python(v))
        return;
    c->number = x;
    c->expr = EX(g->arena, "jnp.array($0, int)", x);
}

/* a, b = carry */
static void unpack(Gen *g, Scope *s, const EmitPart *part, Str name) {
    Str *names = ARENA_ARRAY(g->arena, (size_t)part->count, Str);
    for (int i = 0; names && i < part->count; i++) {
        const Value *v = s->graph->inputs[part->first + i];
        bool read = g->code[v->id].reads || g->code[v->id].keep;
        names[i] = read ? gen_unique_name(g, gen_name_hint(g, v)) : STR("_");
        bind_value(g, v, ex_name(g->arena, names[i]));
    }
    if (names)
        gen_statement(g, &s->body, names, (size_t)part->count, ex_name(g->arena, name));
}

/* What has no parameter is known. */
static void bind_others(Gen *g, const Graph *graph) {
    for (size_t i = 0; i < graph->n_inputs; i++) {
        const Value *v = graph->inputs[i];
        if (g->code[v->id].state == VS_NONE)
            bind_value(g, v, gen_literal(g, v));
    }
}

static void name_parameters(Gen *g, Scope *s, const EmitPart *parts, size_t n) {
    s->params = ARENA_ARRAY(g->arena, n, Str);
    for (size_t i = 0; s->params && i < n; i++) {
        const EmitPart *part = &parts[i];
        const Value *v = part->count == 1 ? s->graph->inputs[part->first] : NULL;
        if (part->count == 0)
            s->params[i] = STR("_");
        else
            s->params[i] = gen_unique_name(g, part->hint ? str_from(part->hint)
                                                         : gen_name_hint(g, v));
        if (part->index)
            s->index = ex_name(g->arena, s->params[i]);
        if (v)
            bind_value(g, v, ex_name(g->arena, s->params[i]));
        else if (part->count > 1)
            unpack(g, s, part, s->params[i]);
        s->n_params = i + 1;
    }
    bind_others(g, s->graph);
}

/* ---- results ------------------------------------------------------------------------
 */

static const Expr *result(Gen *g, const Graph *graph, const EmitPart *part, bool sole) {
    if (part->count == 0)
        return ex_none();
    if (part->count == 1 && !part->tuple) {
        Value *v = value_final(graph->outputs[part->first]);
        return gen_value(g, v, sole && v->graph == graph);
    }
    const Expr **items = ARENA_ARRAY(g->arena, (size_t)part->count, const Expr *);
    for (int i = 0; items && i < part->count; i++)
        items[i] = gen_value(g, graph->outputs[part->first + i], false);
    return ex_seq(g->arena, EX_TUPLE, items, items ? (size_t)part->count : 0);
}

static const Expr *results(Gen *g, const Graph *graph, const EmitPart *parts,
                           size_t n) {
    if (n == 1)
        return result(g, graph, parts, true);
    const Expr **items = ARENA_ARRAY(g->arena, n, const Expr *);
    for (size_t i = 0; items && i < n; i++)
        items[i] = result(g, graph, &parts[i], false);
    return ex_seq(g->arena, EX_TUPLE, items, items ? n : 0);
}

/* ---- the function -------------------------------------------------------------------
 */

static Str join(Arena *a, const Str *names, size_t n) {
    Text t = {.arena = a};
    for (size_t i = 0; i < n; i++) {
        text_lit(&t, i ? ", " : "");
        text_str(&t, names[i]);
    }
    return text_view(&t);
}

Def *gen_def(Gen *g, const Scope *s, const Stmts *prelude) {
    Def *def = ARENA_NEW(g->arena, Def);
    if (!def)
        return NULL;
    *def = (Def){.name = s->name,
                 .params = code_params(g->arena, s->params, s->n_params),
                 .n_params = s->n_params,
                 .body = s->body};
    if (!def->params)
        def->n_params = 0;
    (void)code_return(g->arena, &def->body, s->result);
    if (prelude)
        code_insert(g->arena, &def->body, 0, prelude);
    return def;
}

const Expr *gen_function(Gen *g, const Graph *graph, const char *hint,
                         const EmitPart *in, size_t n_in, const EmitPart *out,
                         size_t n_out) {
    Scope *s = ARENA_NEW(g->arena, Scope);
    if (!s)
        return ex_none();
    s->graph = graph;
    s->up = g->scope;
    s->name = gen_unique_name(g, str_from(hint));
    g->scope = s;
    name_parameters(g, s, in, n_in);
    gen_nodes(g, graph);
    s->result = results(g, graph, out, n_out);
    g->scope = s->up;
    if (!s->body.count && gen_width(s->result, LAMBDA_WIDTH_MAX) <= LAMBDA_WIDTH_MAX)
        return ex_lambda(g->arena, join(g->arena, s->params, s->n_params), s->result);
    Def *def = gen_def(g, s, NULL);
    if (!def)
        return ex_none();
    Stmt definition = {
        .kind = ST_DEF, .def = def, .body = &def->body, .note = gen_statement_note(g)};
    (void)GEN_PUSH(g, &g->scope->body, definition);
    return ex_name(g->arena, s->name);
}

/* ---- random keys --------------------------------------------------------------------
 */

/* keys[i]; turns into `key` when it stays the only one: see gen_use_only_key. */
static const Expr *new_key(Gen *g, const Node *n) {
    const Expr *x = EX(g->arena, "keys[$0]", ex_int(g->arena, (int64_t)g->keys.count));
    NodeKey key = {n, x};
    (void)GEN_PUSH(g, &g->keys, key);
    return x;
}

/* A copy draws what the original draws. */
const Expr *gen_key(Gen *g, const Node *n) {
    const Expr *x = NULL;
    n = n->original ? n->original : n;
    for (size_t i = 0; i < g->keys.count && !x; i++)
        if (g->keys.items[i].node == n)
            x = g->keys.items[i].key;
    if (!x)
        x = new_key(g, n);
    for (const Scope *s = g->scope; s; s = s->up)
        if (s->index)
            x = EX(g->arena, "jax.random.fold_in($0, $1)", x, s->index);
    return x;
}

static const Expr *only_key(void *user, const Expr *x) {
    const Gen *g = user;
    return x == g->keys.items[0].key ? ex_name(g->arena, STR("key")) : x;
}

void gen_use_only_key(Gen *g) {
    if (g->keys.count == 1)
        code_edit(g->arena, &g->program.code, only_key, g);
}

void gen_keys(Gen *g) {
    if (g->keys.count < 2)
        return;
    Str keys = STR("keys");
    const Expr *count = ex_int(g->arena, (int64_t)g->keys.count);
    gen_statement(g, &g->prelude, &keys, 1,
                  EX(g->arena, "jax.random.split(key, $0)", count));
}
