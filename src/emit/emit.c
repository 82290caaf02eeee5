/* From nodes to statements.  An expression that has one reader waits (VS_PENDING) and is
 * spliced into that reader's expression when the line stays short; otherwise it gets a
 * name first.  What operators call for that (ops/core/op.h) is in services.c. */
#include "emit/emit.h"
#include "emit/cache.h"
#include "ops/core/layout.h"
#include "ops/core/nested.h"
#include "ops/core/wide.h"

/* ---- values ------------------------------------------------------------------------ */

void gen_assign(Gen *g, Stmts *list, const Expr *target, const Expr *x) {
    Stmt s = {.kind = ST_ASSIGN,
              .text = STR("="),
              .target = target,
              .expr = x,
              .note = gen_statement_note(g)};
    (void)GEN_PUSH(g, list, s);
}

void gen_statement(Gen *g, Stmts *list, const Str *targets, size_t n, const Expr *x) {
    gen_assign(g, list, code_targets(g->arena, targets, n), x);
}

Stmts *gen_body_of(Gen *g, const Value *v) {
    for (Scope *s = g->scope; s; s = s->up)
        if (s->graph == v->graph)
            return &s->body;
    return &g->scope->body;
}

static bool is_taken(const Gen *g, Str key, const Value *v) {
    const size_t *index = map_get(&g->param_keys, key);
    return index && g->params.items[*index - 1].tensor != v->tensor;
}

/* Thousands of subgraphs may use one name: the keys of its tensors are remembered, and
 * the last number that one of them has got. */
static Str twin_key(Gen *g, const Value *v, Str name) {
    Str own = arena_printf(g->arena, "key %p %.*s", (const void *)v->tensor,
                           (int)name.n, name.p);
    Str all = arena_printf(g->arena, "last %.*s", (int)name.n, name.p);
    const Str *known = map_get(&g->twins, own);
    Str *key = ARENA_NEW(g->arena, Str);
    uintptr_t last = (uintptr_t)map_get(&g->twins, all);
    if (known)
        return *known;
    last = last ? last : 1;
    do {
        size_t number = ++last;
        if (!key || g->arena->failed)
            return name;
        *key = arena_printf(g->arena, "%.*s_%zu", (int)name.n, name.p, number);
    } while (is_taken(g, *key, v));
    gen_map_set(g, &g->twins, own, key);
    gen_map_set(g, &g->twins, all, (void *)last);
    return *key;
}

/* The name in the state_dict, or of the initializer.  Subgraphs side by side may use one
 * name twice. */
static Str param_key(Gen *g, const Value *v) {
    Str name = param_key_of(v);
    return is_taken(g, name, v) ? twin_key(g, v, name) : name;
}

static const Expr *subscript(Gen *g, const Expr *x, Str key) {
    const Expr *item = ex_str(g->arena, key);
    return ex_index(g->arena, x, &item, 1);
}

const Expr *gen_subscript(Gen *g, const Expr *x, Str key) {
    bool nested = g->options->params == OX_PARAMS_NESTED;
    for (int level = 1; nested && level < NESTED_LEVELS_MAX; level++) {
        const char *dot = key.n ? memchr(key.p, '.', key.n) : NULL;
        if (!dot)
            break;
        Str part = {key.p, (size_t)(dot - key.p)};
        x = subscript(g, x, part);
        key = (Str){dot + 1, key.n - part.n - 1};
    }
    return subscript(g, x, key);
}

Str gen_add_param(Gen *g, const Value *v) {
    Str key = param_key(g, v);
    size_t *index = map_get(&g->param_keys, key);
    if (!index) {
        ModuleParam p = {.key = key,
                         .tensor = v->tensor,
                         .note = v->note,
                         .is_buffer = v->is_buffer,
                         .is_frozen = v->is_frozen,
                         .is_row = v->is_row,
                         .tensor_axis = v->tensor_axis,
                         .fsdp_axis = v->fsdp_axis,
                         .expert_axis = v->expert_axis};
        index = ARENA_NEW(g->arena, size_t);
        if (!index || !GEN_PUSH(g, &g->params, p))
            return key;
        *index = g->params.count;
        gen_map_set(g, &g->param_keys, key, index);
    }
    return key;
}

const Expr *gen_param(Gen *g, Value *v) {
    Str key = g->function ? block_relative_key(g->function->kind->blocks[0]->part, v)
                          : gen_add_param(g, v);
    if (!key.n && g->function) /* an argument */
        return g->code[v->id].expr ? g->code[v->id].expr : ex_none();
    if (g->function)
        gen_use_params(g);
    const Expr *params = gen_module_of(g, &key);
    return gen_note_read(g, gen_subscript(g, params, key), v);
}

/* A name for v, which has none yet. */
static Str new_name(Gen *g, const Value *v) {
    const ValueCode *c = &g->code[v->id];
    Str same = gen_cache_name(g, v);
    bool wanted = c->wanted.n && c->reads == 1;
    return same.n ? same : gen_unique_name(g, wanted ? c->wanted : gen_name_hint(g, v));
}

static const Expr *give_name(Gen *g, Value *v) {
    ValueCode *c = gen_code(g, v);
    const Expr *target = gen_cache_target(g, v);
    const Node *reader = g->node;
    if (!target)
        target = ex_name(g->arena, new_name(g, v));
    g->node = NULL; /* the expression says whose it is */
    gen_assign(g, gen_body_of(g, v), target, c->expr);
    g->node = reader;
    gen_note_named(g, (Named){.value = v});
    c->state = VS_DONE;
    c->expr = target;
    return c->expr;
}

static void run_node(Gen *g, Node *n);

/* Mostly only the number of such a value is read, so that its array waits until it is. */
static bool is_deferred(const Gen *g, const Value *v) {
    return v->def && v->reals && v->reals->n == 1 &&
           v->reals->items[0].kind == REAL_OWN && g->code[v->id].state == VS_NONE &&
           !g->code[v->id].keep;
}

const Expr *gen_value(Gen *g, Value *v, bool inline_ok) {
    v = value_final(v);
    ValueCode *c = &g->code[v->id];
    if (!c->touched)
        gen_code(g, v)->touched = true;
    if (is_deferred(g, v))
        run_node(g, v->def);
    if (v->kind == VALUE_PARAM)
        return gen_param(g, v);
    if (v->kind == VALUE_CONST)
        return wide_of(v) == WIDE_ENDS ? gen_saturated(g, v) : gen_literal(g, v);
    if (c->state == VS_NONE) {
        /* Nodes are in order, so somebody wants a size of what is still to be made. */
        diag_add(g->m->diags, OX0403, v->def ? node_where(g->m, v->def) : (Str){0},
                 STR("give the shapes of the inputs with --shape"),
                 "the shape of \"%.*s\" must be known", (int)v->name.n, v->name.p);
        return ex_none();
    }
    if (c->state == VS_PENDING && !inline_ok)
        return give_name(g, v);
    return c->expr;
}

/* ---- nodes ------------------------------------------------------------------------- */

void run_emit(Emit *e, bool splice) {
    e->splice = splice;
    e->n_spliced = 0;
    e->ops = 0;
    e->tuple = NULL;
    e->respell = false;
    memset(e->outs, 0, e->node->n_out * sizeof *e->outs);
    if (e->ints && e->node->op->number && e->node->out[0]->reals)
        e->outs[0] = emit_template(e, e->node->op->number);
    else if (e->node->op->emit)
        e->node->op->emit(e);
    else
        e->outs[0] = emit_template(e, e->node->op->jax);
}

enum { LINE = PRINT_WIDTH - PRINT_INDENT - 12 }; /* 12: a usual "name = " */

/* How wide the name of v is going to be, with the number that makes it unique. */
static size_t name_width(const Emit *e, const Value *v) {
    Str hint = gen_name_hint(e->g, v);
    return hint.n + (map_get(&e->g->used_names, hint) ? sizeof "_1" - 1 : 0);
}

/* x fits on the line of `v = x`. */
static bool is_one_line(const Emit *e, const Value *v, const Expr *x) {
    size_t width = gen_width(x, PRINT_WIDTH);
    if (width <= LINE || !v || width > PRINT_WIDTH)
        return width <= LINE;
    size_t target = name_width(e, v) + sizeof " = " - 1;
    return width + target <= PRINT_WIDTH - PRINT_INDENT;
}

/* x breaks once into lines that fit: the operands of a chain of one precedence, or the
 * arguments of a call. */
static bool breaks_well(const Expr *x) {
    size_t part = PRINT_WIDTH - 2 * PRINT_INDENT - 4;
    if (x->kind != EX_CALL && x->kind != EX_BINARY)
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (gen_width(x->kids[i], part) > part)
            return false;
    return x->kind == EX_BINARY || x->n <= 4;
}

static bool is_too_wide(const Emit *e) {
    if (e->tuple)
        return !is_one_line(e, NULL, e->tuple) && !breaks_well(e->tuple);
    for (uint32_t k = 0; k < e->node->n_out; k++)
        if (e->outs[k] && !is_one_line(e, e->node->out[k], e->outs[k]) &&
            !breaks_well(e->outs[k]))
            return true;
    return false;
}

/* Two lines with a name between them instead of three or four for one expression. */
static bool is_better_named(const Emit *e) {
    const Expr *x = e->outs[0];
    if (e->n_spliced != 1 || !x || is_one_line(e, e->node->out[0], x))
        return false;
    const Expr *inner = e->g->code[e->spliced[0]->id].expr;
    size_t name = name_width(e, e->spliced[0]);
    size_t width = gen_width(inner, PRINT_WIDTH);
    return is_one_line(e, e->spliced[0], inner) &&
           gen_width(x, LINE + width) + name <= LINE + width;
}

static void name_again(Gen *g, const Named *what) {
    Str path = what->path;
    if (!what->value)
        (void)gen_module_of(g, &path);
    else if (g->code[what->value->id].state == VS_PENDING)
        (void)give_name(g, what->value);
}

/* Which input of the node was named; -1: something else. */
static int input_named(const Emit *e, const Named *what) {
    for (uint32_t k = 0; what->value && k < e->node->n_in; k++)
        if (e->node->in[k] && value_final(e->node->in[k]) == what->value)
            return (int)k;
    return -1;
}

/* Query, key and value in this order, behind what else was named. */
static void order_by_input(const Emit *e, Named *named, size_t n) {
    for (size_t i = 1; i < n; i++) {
        Named last = named[i];
        size_t k = i;
        for (; k && input_named(e, &named[k - 1]) > input_named(e, &last); k--)
            named[k] = named[k - 1];
        named[k] = last;
    }
}

/* Builds the expression anew from names: of what has been read and got a name, and of
 * what was spliced. */
static void unsplice(Emit *e, Mark mark) {
    Gen *g = e->g;
    size_t n = g->named.count - mark.named, count = n + e->n_spliced;
    Named *named = ARENA_ARRAY(g->arena, count, Named);
    if (!named)
        return;
    for (size_t i = 0; i < count; i++)
        named[i] = i < n ? g->named.items[mark.named + i]
                         : (Named){.value = e->spliced[i - n]};
    order_by_input(e, named, count);
    gen_undo(g, mark);
    for (size_t i = 0; i < count; i++)
        name_again(g, &named[i]);
    run_emit(e, false);
}

/* `params["w"]`, names and [] cost nothing to repeat. */
static bool is_free(const Expr *x) {
    return ex_is_atom(x) || (x->kind == EX_LIST && x->n == 0) ||
           (x->kind == EX_INDEX && x->n == 2 && x->kids[0]->kind == EX_NAME &&
            x->kids[1]->kind == EX_STR);
}

static bool reads_only_params(const Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->kind != VALUE_PARAM && n->in[i]->kind != VALUE_CONST)
            return false;
    return n->n_in > 0;
}

static void finish_output(Emit *e, Value *v, const Expr *x) {
    ValueCode *c = gen_code(e->g, v);
    if (!c->reads && !c->keep)
        return;
    if (!x) {
        if (!e->failed)
            node_defect(e->node, "an output has no code");
        x = ex_none();
    }
    c->expr = x;
    c->ops = e->ops + !reads_only_params(e->node);
    c->state = VS_DONE;
    if (is_free(x) && (!c->keep || x->kind == EX_NAME))
        return;
    bool fits = c->reads == 1 && c->ops <= LINE_OPS_MAX &&
                gen_width(x, PENDING_WIDTH_MAX) <= PENDING_WIDTH_MAX;
    /* Numbers may turn out to be read as such only. */
    if (!c->keep && (fits || value_is_number(v)))
        c->state = VS_PENDING;
    else
        (void)give_name(e->g, v);
}

/* (a, b) */
static const Expr *group_target(Arena *a, const Str *names, int count) {
    bool wanted = false;
    for (int i = 0; i < count; i++)
        wanted |= !str_is(names[i], "_");
    if (!wanted)
        return ex_word(a, STR("_"));
    const Expr *targets = code_targets(a, names, (size_t)count);
    return count == 1 ? targets : ex_seq(a, EX_TUPLE, targets->kids, targets->n);
}

/* One target for each group, or else for each name. */
static const Expr *result_targets(const Emit *e, const Str *names, size_t n) {
    Arena *a = e->g->arena;
    const Expr **items = ARENA_ARRAY(a, e->n_groups, const Expr *);
    if (!items)
        return code_targets(a, names, n);
    for (size_t i = 0, next = 0; i < e->n_groups; next += (size_t)e->groups[i++])
        items[i] = group_target(a, names + next, e->groups[i]);
    return e->n_groups == 1 ? items[0]
                            : ex_bare(a, ex_seq(a, EX_TUPLE, items, e->n_groups));
}

static size_t count_results(const Emit *e) {
    size_t count = e->n_groups ? 0 : e->node->n_out;
    for (size_t i = 0; i < e->n_groups; i++)
        count += (size_t)e->groups[i];
    return count;
}

/* a, _, c = x */
static void finish_tuple(Emit *e) {
    size_t n = count_results(e);
    Str *names = ARENA_ARRAY(e->g->arena, n, Str);
    if (!names)
        return;
    for (size_t k = 0; k < n; k++) {
        Value *v = node_out(e->node, (int)k);
        names[k] = STR("_");
        if (!v || !emit_wants(e, (int)k))
            continue;
        names[k] = gen_unique_name(e->g, gen_name_hint(e->g, v));
        ValueCode *c = gen_code(e->g, v);
        c->state = VS_DONE;
        c->expr = ex_name(e->g->arena, names[k]);
    }
    gen_assign(e->g, &e->g->scope->body, result_targets(e, names, n), e->tuple);
}

static bool has_subgraphs(const Node *n) {
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].graph_count)
            return true;
    return false;
}

/* Splices what may be spliced, unless the result is too wide. */
static void emit_node_code(Emit *e) {
    if (has_subgraphs(e->node)) { /* a function is not to be generated twice */
        run_emit(e, false);
        return;
    }
    Mark mark = gen_begin(e->g);
    run_emit(e, true);
    bool refused =
        e->respell || is_spliced_twice(e) || is_too_wide(e) || is_better_named(e);
    if (e->n_spliced && refused && !e->failed)
        unsplice(e, mark);
    gen_end(e->g);
}

static void run_node(Gen *g, Node *n) {
    Emit e = {.g = g, .node = n, .outs = ARENA_ARRAY(g->arena, n->n_out, const Expr *)};
    if (!e.outs)
        return;
    const Node *around = g->node;
    g->node = n;
    e.first = g->scope->body.count;
    if (n->data_sized)
        emit_not_jittable(&e, "has an output whose shape depends on data");
    if (n->bound)
        (void)GEN_PUSH(g, &g->bounded, n);
    emit_node_code(&e);
    find_defects(&e);
    if (e.tuple)
        finish_tuple(&e);
    for (uint32_t k = 0; !e.tuple && k < n->n_out; k++)
        if (n->out[k])
            finish_output(&e, n->out[k], gen_note_node(g, e.outs[k], n));
    g->node = around;
}

void gen_node(Gen *g, Node *n) {
    if (n->n_out != 1 || !n->out[0] || !is_deferred(g, n->out[0]))
        run_node(g, n);
}

void gen_nodes(Gen *g, const Graph *graph) {
    for (size_t i = 0; i < graph->n_nodes && !g->arena->failed; i++)
        gen_node(g, graph->nodes[i]);
}

/* ---- subgraphs --------------------------------------------------------------------- */

const Expr *emit_function(Emit *e, const Graph *graph, const char *hint, bool traced,
                          const EmitPart *in, size_t n_in, const EmitPart *out,
                          size_t n_out) {
    e->g->traced += traced;
    const Expr *f = gen_function(e->g, graph, hint, in, n_in, out, n_out);
    e->g->traced -= traced;
    return f;
}

const Expr *emit_subgraph(Emit *e, const Graph *graph, const char *hint, bool traced) {
    EmitPart *in = ARENA_ARRAY(e->g->arena, graph->n_inputs, EmitPart);
    size_t n = in ? graph->n_inputs : 0;
    for (size_t i = 0; i < n; i++)
        in[i] = (EmitPart){.first = (int)i, .count = 1};
    EmitPart out = {.count = (int)graph->n_outputs};
    return emit_function(e, graph, hint, traced, in, n, &out, 1);
}
