/* One function for each kind of repeated module, written from its first block.  Values of
 * the block that are made outside are parameters while its body is generated; where it is
 * called, its results are values of the code around. */
#include "emit/cache.h"
#include "ops/core/nested.h"
#include "python/helpers.h"

#include <ctype.h>

/* ---- regions ------------------------------------------------------------------------ */

/* The nodes of a block, or of the graph, as items: a node, or a block inside. */
typedef struct Items {
    const Graph *graph;
    const Block *around;
    uint32_t at, end;
    Node *node;   /* the item is this node, */
    Block *block; /* or this block */
} Items;

static Items items_of(const Gen *g, const Block *around) {
    const Graph *graph = g->m->graph;
    Items it = {.graph = graph, .around = around, .end = (uint32_t)graph->n_nodes};
    if (around) {
        it.at = around->first;
        it.end = around->first + around->count;
    }
    return it;
}

static bool items_next(Items *it) {
    if (it->at >= it->end)
        return false;
    it->node = it->graph->nodes[it->at];
    it->block = it->node->part ? block_inside(it->node, it->around) : NULL;
    it->at += it->block ? it->block->count : 1;
    return true;
}

/* ---- reads -------------------------------------------------------------------------- */

/* Somebody else's shape or elements are read from this value: it must have a name. */
typedef struct Keep {
    Gen *g;
    const Value *reader;
} Keep;

static void keep_symbol(void *user, const Symbol *s) {
    const Keep *k = user;
    const Value *origin = value_final(s->value);
    if (origin && origin != k->reader && !symbol_is_computed(s))
        k->g->code[origin->id].keep = true;
}

void gen_keep_origins(Gen *g, const Value *v) {
    Keep k = {g, v};
    for (int i = 0; i < v->type.rank; i++)
        dim_each_symbol(v->type.dims[i], keep_symbol, &k);
    value_each_symbol(v, keep_symbol, &k);
}

/* What is given for the first argument; NULL when it is no value of a node. */
static const Value *main_value(const Block *b) {
    const Function *f = b->kind->code;
    const Value *v = f->n_args ? value_final(b->in[f->args[0]]) : NULL;
    return v && v->kind == VALUE_NODE ? v : NULL;
}

static Str main_name(const Block *b) {
    const Function *f = b->kind->code;
    return f->scope.params[f->uses_params];
}

static void note_param(Gen *g, const Value *v) {
    if (v->kind == VALUE_PARAM)
        gen_note_key(g, g->function
                            ? block_relative_key(g->function->kind->blocks[0]->part, v)
                            : param_key_of(v));
}

static void count_node(Gen *g, const Node *n) {
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (!n->in[k])
            continue;
        gen_keep_origins(g, n->in[k]);
        if (node_is_fixed(n, k))
            continue;
        g->code[n->in[k]->id].reads++;
        note_param(g, n->in[k]);
    }
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k])
            gen_keep_origins(g, n->out[k]);
}

/* layer.0: most likely one of a row, which is called in a loop */
static bool has_number(Str path) {
    for (size_t i = 0; i < path.n; i++)
        if ((i == 0 || path.p[i - 1] == '.') && isdigit((unsigned char)path.p[i]))
            return true;
    return false;
}

static void count_block(Gen *g, const Block *b) {
    const Function *f = b->kind->code;
    Str path = gen_relative_path(g, b);
    if (gen_function_of(b)->uses_params && !has_number(path))
        gen_note_key(g, path);
    for (size_t i = 0; i < f->n_args; i++) {
        const Value *v = value_final(b->in[f->args[i]]);
        g->code[v->id].reads++;
        gen_keep_origins(g, v);
    }
    for (size_t i = 0; i < f->sizes.count; i++)
        if (f->sizes.items[i]->value)
            g->code[value_final(f->sizes.items[i]->value)->id].keep |=
                !symbol_is_computed(f->sizes.items[i]);
    for (size_t i = 0; i < b->n_out; i++)
        gen_keep_origins(g, b->out[i]);
}

/* The values that b and the block before pass on get the name of the parameter: x. */
static void want_names(Gen *g, const Block *before, const Block *b) {
    const Value *x = main_value(before), *y = main_value(b);
    bool passed = false;
    for (size_t i = 0; x && y && i < before->n_out; i++)
        passed |= value_final(before->out[i]) == y;
    if (!passed)
        return;
    g->code[x->id].wanted = main_name(before);
    g->code[y->id].wanted = main_name(b);
}

static void forget(Gen *g, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (values[i])
            g->code[values[i]->id] = (ValueCode){0};
}

static void count_subgraph(void *user, Graph *graph) {
    Gen *g = user;
    for (size_t i = 0; i < graph->n_nodes; i++)
        count_node(g, graph->nodes[i]);
    for (size_t i = 0; i < graph->n_outputs; i++) {
        g->code[graph->outputs[i]->id].reads++;
        gen_keep_origins(g, graph->outputs[i]);
    }
}

static void count_subgraphs(Gen *g, const Node *n) {
    for (uint32_t a = 0; a < n->n_attrs; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            graph_each(n->attrs[a].graphs[k], count_subgraph, g);
}

void gen_count_reads(Gen *g, const Block *around) {
    Value *const *results = around ? around->out : g->m->graph->outputs;
    size_t n_results = around ? around->n_out : g->m->graph->n_outputs;
    for (Items it = items_of(g, around); items_next(&it);)
        forget(g, it.block ? it.block->out : it.node->out,
               it.block ? it.block->n_out : it.node->n_out);
    const Block *before = NULL;
    gen_forget_modules(g);
    for (Items it = items_of(g, around); items_next(&it);) {
        if (it.block) {
            count_block(g, it.block);
            if (before)
                want_names(g, before, it.block);
            before = it.block;
            continue;
        }
        count_node(g, it.node);
        count_subgraphs(g, it.node);
    }
    for (size_t i = 0; i < n_results; i++) {
        g->code[value_final(results[i])->id].reads++;
        gen_keep_origins(g, results[i]);
    }
    gen_choose_modules(g);
}

/* ---- calls -------------------------------------------------------------------------- */

/* What attention gives is `attended`, and what a part of a layer makes of x is x again,
 * where nobody else reads that. */
static Str hint_of_result(Gen *g, const Block *b, const Value *out) {
    const Function *f = b->kind->code;
    const Value *in = f->n_args ? value_final(b->in[f->args[0]]) : NULL;
    if (!g->function || !b->kind->family->aside || out != b->out[0])
        return gen_name_hint(g, out);
    const ValueCode *c = &g->code[in ? in->id : 0];
    bool free = in && c->reads == 1 && c->expr && c->expr->kind == EX_NAME &&
                str_is(gen_without_number(c->expr->text), "x") &&
                type_same_shape(&in->type, &out->type);
    return free ? STR("x") : b->kind->family->attends ? STR("attended") : STR("hidden");
}

/* x = layer(params, x): the result takes the name of an argument that is read no more. */
static Str name_result(Gen *g, const Block *b, const Value *out) {
    const ValueCode *c = &g->code[out->id];
    bool wanted = c->wanted.n && c->reads == 1;
    const Value *in = main_value(b);
    const ValueCode *old = in ? &g->code[in->id] : NULL;
    Str cached = gen_cache_name(g, out);
    if (cached.n)
        return cached;
    if (wanted && old && old->wanted.n && old->reads == 1 && !old->keep && old->expr &&
        old->expr->kind == EX_NAME)
        return old->expr->text;
    return gen_unique_name(g, wanted ? c->wanted : hint_of_result(g, b, out));
}

static void finish_call(Gen *g, const Block *b, const Expr *call) {
    enum { WIDTH_MAX = 60 };
    const Expr **targets = ARENA_ARRAY(g->arena, b->n_out + 1, const Expr *);
    ValueCode *only = &g->code[b->out[0]->id];
    if (!targets)
        return;
    only->expr = call;
    only->ops = 1;
    if (b->n_out == 1 && only->reads == 1 && !only->keep && !only->wanted.n &&
        gen_width(call, WIDTH_MAX) <= WIDTH_MAX) {
        only->state = VS_PENDING;
        return;
    }
    for (size_t i = 0; i < b->n_out; i++) {
        ValueCode *c = &g->code[b->out[i]->id];
        bool read = c->reads || c->keep;
        targets[i] = gen_cache_target(g, b->out[i]);
        if (!targets[i])
            targets[i] =
                ex_name(g->arena, read ? name_result(g, b, b->out[i]) : STR("_"));
        c->state = VS_DONE;
    }
    for (size_t i = 0; i < b->n_out; i++)
        g->code[b->out[i]->id].expr = targets[i];
    gen_assign(g, &g->scope->body, gen_targets(g, targets, b->n_out), call);
}

static void generate_items(Gen *g, Items it);

/* The items of a module that not all blocks have, under `if`; false: it is none. */
static bool generate_optional(Gen *g, Items *it) {
    uint32_t count = it->block ? it->block->count : 1;
    Stmts outer;
    if (!gen_begins_optional(g, it->at - count, count) ||
        !gen_begin_optional(g, &outer))
        return false;
    const Part *p = g->function->optional.part;
    Items inside = *it;
    inside.at = p->at;
    it->at = inside.end = p->at + (p->last - p->first);
    generate_items(g, inside);
    gen_end_optional(g, &outer);
    return true;
}

static void generate_items(Gen *g, Items it) {
    while (items_next(&it) && !g->arena->failed) {
        if (generate_optional(g, &it))
            continue;
        if (!it.block) {
            gen_node(g, it.node);
            continue;
        }
        const Block *last = gen_loop(g, it.block);
        if (last) {
            it.at = last->first + last->count;
            continue;
        }
        gen_list_params(g, it.block);
        gen_note_calls(g, gen_function_of(it.block), 1, 1);
        finish_call(g, it.block,
                    gen_call(g, it.block, gen_params_of(g, it.block), NULL));
    }
}

void gen_region(Gen *g, const Block *around) {
    generate_items(g, items_of(g, around));
}

/* ---- sizes -------------------------------------------------------------------------- */

static bool is_made_in(const Block *b, const Value *v) {
    return v && v->def && v->def->part && v->def->order >= b->first &&
           v->def->order < b->first + b->count;
}

/* x.shape[0] of the argument that has the size, the symbol s or else d; NULL when none
 * has. */
static const Expr *size_of_argument(Gen *g, const Symbol *s, Dim d) {
    const Block *b = g->function->kind->blocks[0];
    for (size_t i = 0; i < b->n_in; i++) {
        Value *v = value_final(b->in[i]);
        for (int axis = 0; axis < v->type.rank; axis++)
            if (v->kind != VALUE_PARAM && (s ? dim_as_symbol(v->type.dims[axis]) == s
                                             : dim_eq(v->type.dims[axis], d)))
                return EX(g->arena, "$0.shape[$1]", gen_value(g, v, false),
                          ex_int(g->arena, axis));
    }
    return NULL;
}

/* batch = x.shape[0], once, at the top of the function */
static const Expr *name_size(Gen *g, Str wanted, const Expr *read) {
    Str name = gen_unique_name(g, gen_identifier(g->arena, wanted, "n"));
    gen_statement(g, &g->function->prelude, &name, 1, read);
    return ex_name(g->arena, name);
}

const Expr *gen_function_dim(Gen *g, Dim d) {
    Function *f = g->function;
    if (!f || dim_is_int(d) || dim_as_symbol(d))
        return NULL;
    for (size_t i = 0; i < f->dims.count; i++)
        if (dim_eq(f->dims.items[i].dim, d))
            return f->dims.items[i].name;
    const Expr *read = size_of_argument(g, NULL, d);
    KnownDim known = {d, read ? name_size(g, STR("size"), read) : NULL};
    (void)GEN_PUSH(g, &f->dims, known);
    return known.name;
}

static const Expr *find_size(Gen *g, const Symbol *s) {
    bool own = s->axis < 0;
    const Expr *read = own ? NULL : size_of_argument(g, s, dim_int(0));
    if (read)
        return s->name.n ? name_size(g, s->name, read) : read;
    Str name = gen_unique_name(g, gen_identifier(g->arena, s->name, "size"));
    (void)GEN_PUSH(g, &g->function->sizes, s);
    return ex_name(g->arena, name);
}

const Expr *gen_function_symbol(Gen *g, const Symbol *s) {
    Function *f = g->function;
    if (is_made_in(f->kind->blocks[0], value_final(s->value)))
        return NULL;
    for (size_t i = 0; i < f->known.count; i++)
        if (f->known.items[i] == s)
            return f->names.items[i];
    const Expr *x = find_size(g, s);
    if (GEN_PUSH(g, &f->known, s))
        (void)GEN_PUSH(g, &f->names, x);
    return x;
}

/* ---- functions ---------------------------------------------------------------------- */

/* Where a word begins in a class name: B and L in BertLayer, N in RMSNorm, but not T in
 * DeiTLayer. */
static bool begins_word(Str s, size_t i) {
    bool upper = isupper((unsigned char)s.p[i]);
    bool after_lower = i > 0 && islower((unsigned char)s.p[i - 1]);
    bool next_upper = i + 1 < s.n && isupper((unsigned char)s.p[i + 1]);
    bool next_lower = i + 1 < s.n && islower((unsigned char)s.p[i + 1]);
    bool last_of_word = next_upper && i + 2 < s.n && islower((unsigned char)s.p[i + 2]);
    return i > 0 && upper && (after_lower ? !last_of_word : next_lower);
}

static Str snake_case(Arena *a, Str s) {
    Text t = {.arena = a};
    for (size_t i = 0; i < s.n; i++) {
        if (begins_word(s, i))
            text_char(&t, '_');
        text_char(&t, (char)tolower((unsigned char)s.p[i]));
    }
    return text_view(&t);
}

/* layer.0 -> layer */
static Str place_name(const Part *p) {
    Str last = str_after_last(p->path, '.');
    bool numbered = last.n && isdigit((unsigned char)last.p[0]) && p->path.n > last.n;
    return numbered ? str_after_last((Str){p->path.p, p->path.n - last.n - 1}, '.')
                    : last;
}

/* What most blocks of the kind are called. */
static Str usual_place(Gen *g, const BlockKind *kind) {
    Map counts = {.arena = g->arena};
    Str best = place_name(kind->blocks[0]->part);
    size_t most = 0;
    for (size_t i = 0; i < kind->count; i++) {
        Str name = place_name(kind->blocks[i]->part);
        size_t *n = map_get(&counts, name);
        if (!n && !(n = ARENA_NEW(g->arena, size_t)))
            return best;
        map_set(&counts, name, n);
        if (++*n > most) {
            most = *n;
            best = name;
        }
    }
    return best;
}

/* Of helpers there are others: attention is layers_attention. */
static Str function_name(Gen *g, const BlockKind *kind) {
    const Part *p = kind->blocks[0]->part;
    Str name = snake_case(g->arena, p->type.n ? p->type : usual_place(g, kind));
    Str around = helper_named(name) && p->parent ? place_name(p->parent) : (Str){0};
    if (around.n)
        name = arena_printf(g->arena, "%.*s_%.*s", (int)around.n, around.p, (int)name.n,
                            name.p);
    return gen_identifier(g->arena, name, "block");
}

/* The input that the block before gives, else the first that is no parameter. */
static size_t main_input(const Block *b) {
    const Block *next = b->kind->count > 1 ? b->kind->blocks[1] : NULL;
    for (size_t i = 0; next && i < b->n_in; i++)
        for (size_t k = 0; k < b->n_out; k++)
            if (value_final(next->in[i]) == value_final(b->out[k]))
                return i;
    for (size_t i = 0; i < b->n_in; i++)
        if (value_final(b->in[i])->kind != VALUE_PARAM)
            return i;
    return 0;
}

/* The main input comes first, then what is of the cache. */
static void order_inputs(const Gen *g, Function *f, const Block *b) {
    size_t first = main_input(b);
    f->n_args = 0;
    if (b->n_in)
        f->args[f->n_args++] = first;
    for (int cached = 1; cached >= 0; cached--)
        for (size_t i = 0; i < b->n_in; i++)
            if (i != first && !gen_cache_past(g, value_final(b->in[i])) == !cached)
                f->args[f->n_args++] = i;
}

static Str parameter_name(Gen *g, const Value *v, const Value *main) {
    if (v == main && v->kind != VALUE_PARAM)
        return STR("x");
    if (v->kind == VALUE_PARAM && v->generated_name)
        return STR("constant");
    if (v->kind == VALUE_PARAM)
        return gen_identifier(g->arena, str_after_last(param_key_of(v), '.'), "w");
    Str name = gen_name_hint(g, v);
    bool alike = str_is(name, "hidden") && type_same_shape(&v->type, &main->type);
    return alike ? STR("residual") : name;
}

static void bind_inputs(Gen *g, Function *f, const Block *b, Str *names) {
    for (size_t i = 0; i < f->n_args; i++) {
        const Value *v = value_final(b->in[f->args[i]]);
        const Value *main = value_final(b->in[f->args[0]]);
        names[i] = gen_unique_name(g, parameter_name(g, v, main));
        const ValueCode *c = &g->code[v->id];
        g->code[v->id] = (ValueCode){.state = VS_DONE,
                                     .expr = ex_name(g->arena, names[i]),
                                     .reads = c->reads,
                                     .keep = c->keep};
    }
}

/* Drops what the code does not read: inputs whose elements or sizes were known. */
static void name_parameters(Gen *g, Function *f, const Block *b, const Str *names) {
    size_t n = 0, kept = 0;
    f->scope.params = ARENA_ARRAY(g->arena, f->n_args + f->sizes.count + 1, Str);
    if (!f->scope.params)
        return;
    if (f->uses_params)
        f->scope.params[n++] = STR("params");
    for (size_t i = 0; i < f->n_args; i++) {
        if (!g->code[value_final(b->in[f->args[i]])->id].touched)
            continue;
        f->args[kept++] = f->args[i];
        f->scope.params[n++] = names[i];
    }
    f->n_args = kept;
    for (size_t i = 0; i < f->known.count; i++)
        for (size_t k = 0; k < f->sizes.count; k++)
            if (f->known.items[i] == f->sizes.items[k])
                f->scope.params[n++] = f->names.items[i]->text;
    f->scope.n_params = n;
}

const Expr *gen_only_result(Gen *g, Value *v) {
    const Expr *x = gen_value(g, v, true);
    Stmts *body = &g->scope->body;
    const Stmt *last = body->count ? &body->items[body->count - 1] : NULL;
    const ValueCode *c = &g->code[value_final(v)->id];
    bool same = last && last->kind == ST_ASSIGN && last->target->kind == EX_NAME &&
                c->reads == 1 && !c->keep && x->kind == EX_NAME &&
                str_eq(last->target->text, x->text);
    if (!same)
        return x;
    body->count--;
    return last->expr;
}

static const Expr *results(Gen *g, const Block *b) {
    if (b->n_out == 1)
        return gen_only_result(g, b->out[0]);
    const Expr **items = ARENA_ARRAY(g->arena, b->n_out + 1, const Expr *);
    for (size_t i = 0; items && i < b->n_out; i++)
        items[i] = gen_value(g, b->out[i], false);
    return ex_seq(g->arena, EX_TUPLE, items, items ? b->n_out : 0);
}

static void generate_body(Gen *g, Function *f) {
    const Block *b = f->kind->blocks[0];
    Str *names = ARENA_ARRAY(g->arena, b->n_in + 1, Str);
    f->args = ARENA_ARRAY(g->arena, b->n_in + 1, size_t);
    if (!names || !f->args)
        return;
    f->scope.graph = g->m->graph;
    gen_reserve_name(g, STR("params"));
    for (size_t i = 0; i < b->n_in; i++)
        g->code[value_final(b->in[i])->id] = (ValueCode){0};
    gen_count_reads(g, b);
    order_inputs(g, f, b);
    bind_inputs(g, f, b, names);
    gen_region(g, b);
    f->scope.result = results(g, b);
    name_parameters(g, f, b, names);
}

static void note_ranks(const Function *f) {
    const Block *b = f->kind->blocks[0];
    size_t first = f->uses_params;
    for (size_t i = 0; f->def && i < f->n_args && i + first < f->def->n_params; i++) {
        const Type *type = &value_final(b->in[f->args[i]])->type;
        if (type->kind == TYPE_TENSOR && type->rank > 0)
            f->def->params[i + first].rank = type->rank;
    }
}

/* The ranks that the arguments have in all kinds of one function. */
static void join_ranks(Def *host, const Def *twin) {
    for (size_t i = 0; i < host->n_params && i < twin->n_params; i++)
        if (host->params[i].rank != twin->params[i].rank)
            host->params[i].rank = 0;
}

Function *gen_make_function(Gen *g, BlockKind *kind, const OptionalPart *optional) {
    Function *f = g->arena->failed ? NULL : ARENA_NEW(g->arena, Function);
    kind->code = f;
    if (!f)
        return NULL;
    f->kind = kind;
    if (optional)
        f->optional = *optional;
    Gen around = *g; /* the state of the function around, which is none */
    size_t reasons = g->run_time.count;
    g->used_names = (Map){.arena = g->arena};
    g->scope = &f->scope;
    g->function = f;
    generate_body(g, f);
    f->used_names = g->used_names;
    g->used_names = around.used_names;
    g->scope = around.scope;
    g->function = NULL;
    f->run_time = f->run_time || g->run_time.count > reasons;
    f->def = gen_def(g, &f->scope, &f->prelude);
    note_ranks(f);
    f->scope.name = function_name(g, kind);
    return f;
}

static void generate(Gen *g, BlockKind *kind) {
    Function *f = gen_make_function(g, kind, NULL);
    if (!f || g->arena->failed)
        return;
    gen_join_kinds(g, f);
    if (!f->twin && !g->arena->failed)
        gen_join_optional(g, kind);
    f = kind->code;
    if (f->twin && !g->arena->failed)
        join_ranks(f->twin->def, f->def);
    if (f->twin || g->arena->failed)
        return;
    gen_measure(f);
    f->scope.name = f->def->name = gen_unique_name(g, f->scope.name);
    map_set(&g->global_names, f->scope.name, f);
    f->number = (uint32_t)g->functions.count;
    (void)ARENA_PUSH(g->arena, &g->functions, f);
}

/* Callees first; parts lie in each other PART_DEPTH_MAX deep at most. */
static void generate_inside(Gen *g, const Block *around) {
    for (Items it = items_of(g, around); items_next(&it) && !g->arena->failed;) {
        if (!it.block || it.block->kind->code)
            continue;
        generate_inside(g, it.block->kind->blocks[0]);
        generate(g, it.block->kind);
    }
}

void gen_functions(Gen *g) {
    const Blocks *blocks = g->m->blocks;
    for (size_t i = 0; blocks && i < blocks->kinds.count; i++)
        blocks->kinds.items[i]->code = NULL;
    if (blocks)
        generate_inside(g, NULL);
}

/* ---- the program --------------------------------------------------------------------- */

/* BertLayer, such as encoder.layer.0. */
static Str origin(Gen *g, const Part *p) {
    return arena_printf(g->arena, "%.*s%s%.*s.", (int)p->type.n, p->type.p,
                        p->type.n ? ", such as " : "Modules such as ", (int)p->path.n,
                        p->path.p);
}

void gen_add_functions(Gen *g) {
    for (size_t i = 0; i < g->functions.count; i++) {
        Def *def = g->functions.items[i]->def;
        gen_add_residual(g, g->functions.items[i]);
        Stmt doc = {.kind = ST_PROSE,
                    .text = origin(g, g->functions.items[i]->kind->blocks[0]->part)};
        code_insert(g->arena, &def->body, 0, &(Stmts){&doc, 1, 1});
        Stmts item = {0};
        (void)code_define(g->arena, &item, def);
        code_append(g->arena, &g->program.code, &item);
    }
}
