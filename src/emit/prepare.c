/* prepare, which gives parameters the form that inference wants:
 *     KERNELS = (".conv1.weight", ".conv2.weight")
 *
 *     def prepare(params):
 *         return replaced(params, KERNELS, "kernel", as_kernel)
 * A form is one word: a row of the registry names it for an input (OpDef.form), the helper
 * as_kernel makes it, and the helper kernel(params, "conv1.weight") reads it, under the
 * key conv1.kernel where prepare has left it there.  What prepare replaces nothing else
 * may read. */
#include "emit/gen.h"
#include "python/helpers.h"

typedef struct Form {
    const char *name, *table, *comment;
} Form;

static const Form forms[] = {
    {"kernel", "KERNELS", "Weights of convolutions, of which prepare makes kernels."},
    {"lstm_gates", "LSTM_GATES", "Parameters of LSTMs whose gates prepare orders."},
    {"gru_gates", "GRU_GATES", "Parameters of GRUs whose gates prepare orders."},
};

/* ---- which parameters ---------------------------------------------------------------- */

Str gen_prepared_key(Arena *a, Str key, const char *form) {
    Str weight = STR("weight");
    if (!str_is(str_after_last(key, '.'), "weight"))
        return arena_printf(a, "%.*s_%s", (int)key.n, key.p, form);
    return arena_printf(a, "%.*s%s", (int)(key.n - weight.n), key.p, form);
}

/* A cast around it would be of other elements. */
static bool is_read_bare(const Node *n, int i) {
    const Value *v = value_final(node_in(n, i));
    return v && v->kind == VALUE_PARAM && !(n->is_exact && v->follows) &&
           node_type_giver(n, i) < 0;
}

static const char *form_of(const Node *n, int i) {
    return n->op->form && is_read_bare(n, i) ? n->op->form(n, i) : NULL;
}

bool gen_is_prepared(const Gen *g, const Node *n, int i) {
    return !g->unprepared && form_of(n, i);
}

/* ---- keys ---------------------------------------------------------------------------- */

typedef struct Keys {
    Gen *g;
    Map map; /* of all parameters that nodes read */
} Keys;

static void add_keys(void *user, Graph *graph) {
    Keys *k = user;
    for (size_t i = 0; i < graph->n_nodes; i++)
        for (uint32_t j = 0; j < graph->nodes[i]->n_in; j++) {
            const Value *v = value_final(node_in(graph->nodes[i], (int)j));
            if (v && v->kind == VALUE_PARAM)
                (void)map_set(&k->map, param_key_of(v), k);
        }
}

static void find_clash(void *user, Graph *graph) {
    Keys *k = user;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const Node *n = graph->nodes[i];
        for (uint32_t j = 0; j < n->n_in; j++) {
            const char *form = form_of(n, (int)j);
            Str key = form ? param_key_of(value_final(node_in(n, (int)j))) : (Str){0};
            if (form && map_get(&k->map, gen_prepared_key(k->g->arena, key, form)))
                k->g->unprepared = true;
        }
    }
}

void gen_find_prepared(Gen *g) {
    Keys k = {g, {.arena = g->arena}};
    graph_each(g->m->graph, add_keys, &k);
    graph_each(g->m->graph, find_clash, &k);
}

/* ---- readers ------------------------------------------------------------------------- */

/* Who reads a parameter. */
typedef struct Readers {
    const Form *form;
    size_t prepared, all;
} Readers;

typedef struct Count {
    Gen *g;
    const Form *form;
    Map readers; /* by key */
} Count;

/* The code of n finds the parameter in its params; what is not below the module of a
 * function's block is handed to it as an array. */
static bool is_own(const Gen *g, const Graph *graph, const Node *n, const Value *v) {
    if (graph != g->m->graph)
        return !g->functions.count;
    const Block *block = NULL;
    for (const Block *b = NULL; n->part && (b = block_inside(n, block));)
        block = b;
    return !block || block_relative_key(block->part, v).n;
}

static Readers *readers_of(Count *c, const Value *v) {
    Str key = param_key_of(v);
    Readers *r = map_get(&c->readers, key);
    if (!r && (r = ARENA_NEW(c->g->arena, Readers)))
        (void)map_set(&c->readers, key, r);
    return r;
}

static void count_input(Count *c, const Graph *graph, const Node *n, int i) {
    const Value *v = value_final(node_in(n, i));
    Readers *r = v && v->kind == VALUE_PARAM ? readers_of(c, v) : NULL;
    if (!r)
        return;
    const char *form = form_of(n, i);
    r->all++;
    r->prepared +=
        form && strcmp(form, c->form->name) == 0 && is_own(c->g, graph, n, v);
}

static void count_readers(void *user, Graph *graph) {
    Count *c = user;
    for (size_t i = 0; i < graph->n_nodes; i++)
        for (uint32_t k = 0; k < graph->nodes[i]->n_in; k++)
            count_input(c, graph, graph->nodes[i], (int)k);
    for (size_t i = 0; i < graph->n_outputs; i++) {
        const Value *v = value_final(graph->outputs[i]);
        Readers *r = v && v->kind == VALUE_PARAM ? readers_of(c, v) : NULL;
        if (r)
            r->all++;
    }
}

/* Keys with a star are those of stacks: see replaced_in_stacks. */
static bool is_replaced(const Count *c, const ModuleParam *p) {
    const Readers *r = map_get(&c->readers, p->key);
    return r && r->prepared && r->prepared == r->all &&
           !memchr(p->key.p, '*', p->key.n);
}

bool gen_set_forms(Gen *g) {
    bool any = false;
    for (size_t i = 0; !g->unprepared && i < OX_COUNT(forms); i++) {
        Count c = {g, &forms[i], {.arena = g->arena}};
        graph_each(g->m->graph, count_readers, &c);
        for (size_t k = 0; k < g->params.count; k++) {
            ModuleParam *p = &g->params.items[k];
            if (is_replaced(&c, p))
                p->form = forms[i].name, any = true;
        }
    }
    return any;
}

/* ---- the function -------------------------------------------------------------------- */

static Ending side_of(const ModuleParam *p, const void *user) {
    const Form *form = user;
    return p->form && strcmp(p->form, form->name) == 0 ? ENDING_MEANT : ENDING_OTHER;
}

static bool has_form(const Gen *g, const Form *form) {
    for (size_t i = 0; i < g->params.count; i++)
        if (side_of(&g->params.items[i], form) == ENDING_MEANT)
            return true;
    return false;
}

bool gen_has_forms(const Gen *g) {
    for (size_t i = 0; i < OX_COUNT(forms); i++)
        if (has_form(g, &forms[i]))
            return true;
    return false;
}

void gen_refuse_prepared(Gen *g, Stmts *steps) {
    Arena *a = g->arena;
    for (size_t i = 0; i < OX_COUNT(forms); i++)
        if (has_form(g, &forms[i]))
            CODE(a, steps, "refuse_prepared(params, PARAMS, $0, $1)",
                 ex_name(a, str_from(forms[i].table)),
                 ex_str(a, str_from(forms[i].name)));
}

/* The tables, and for each of them what makes the new parameters. */
static void add_tables(Gen *g, Stmts *steps) {
    Arena *a = g->arena;
    for (size_t i = 0; i < OX_COUNT(forms); i++) {
        const Form *f = &forms[i];
        if (!gen_add_endings(g, f->comment, f->table, side_of, f, false))
            continue;
        const Expr *helper =
            ex_name(a, g->stacks.count ? STR("replaced_in_stacks") : STR("replaced"));
        const Expr *call =
            EX(a, "$0(params, $1, $2, $3)", helper, ex_name(a, str_from(f->table)),
               ex_str(a, str_from(f->name)),
               ex_name(a, arena_printf(a, "as_%s", f->name)));
        CODE(a, steps, "params = $0", call);
    }
}

static void add_body(Gen *g, Stmts *steps, Stmts *body) {
    bool nested = g->options->params == OX_PARAMS_NESTED;
    Stmt doc = {.kind = ST_DOC,
                .text = STR("Give parameters the form that inference wants, under keys "
                            "of their own.\n\nforward takes what this returns, as it "
                            "takes params themselves.\n")};
    (void)code_add(g->arena, body, doc);
    if (nested)
        CODE(g->arena, body, "params = flatten(params)", NULL);
    const Expr *last = steps->count ? steps->items[--steps->count].expr : ex_none();
    for (size_t i = 0; i < steps->count; i++)
        (void)code_add(g->arena, body, steps->items[i]);
    CODE(g->arena, body, nested ? "return nest($0)" : "return $0", last);
}

void gen_add_prepare(Gen *g) {
    Stmts steps = {0}, code = {0};
    Def *def = ARENA_NEW(g->arena, Def);
    Param *param = ARENA_NEW(g->arena, Param);
    if (!def || !param)
        return;
    gen_add_helper(g, g->stacks.count ? "replaced_in_stacks" : "replaced");
    add_tables(g, &steps);
    *param = (Param){.name = STR("params")};
    *def = (Def){.name = STR("prepare"), .params = param, .n_params = 1};
    add_body(g, &steps, &def->body);
    (void)code_define(g->arena, &code, def);
    gen_annotate(g, &code);
    code_append(g->arena, &g->program.params, &code);
}
