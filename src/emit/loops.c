/* Rows of blocks, each of which reads what the one before gives: the layers of a
 * transformer. */
#include "emit/layers.h"

#include <ctype.h>

/* ---- paths -------------------------------------------------------------------------- */

/* The number is all between two dots, so that it is a key of nested params. */
static bool is_item(const Row *row) {
    Str head = row->head, tail = row->tail;
    return !row->numbered ||
           (head.n && head.p[head.n - 1] == '.' && (!tail.n || tail.p[0] == '.'));
}

/* "layers.3.mlp" and "layers.4.mlp" -> "layers.", 3, ".mlp" */
static bool split_paths(Str a, Str b, Row *row) {
    row->numbered = !str_eq(a, b);
    if (!row->numbered)
        return true;
    size_t i = 0, end_a, end_b;
    while (i < a.n && i < b.n && a.p[i] == b.p[i])
        i++;
    while (i > 0 && isdigit((unsigned char)a.p[i - 1]))
        i--;
    int64_t x = gen_number_at(a, i, &end_a), y = gen_number_at(b, i, &end_b);
    row->head = (Str){a.p, i};
    row->tail = (Str){a.p + end_a, a.n - end_a};
    row->start = x;
    return x >= 0 && y == x + 1 && gen_is_plain(row->head) && gen_is_plain(row->tail) &&
           str_eq(row->tail, (Str){b.p + end_b, b.n - end_b});
}

/* ---- arguments ---------------------------------------------------------------------- */

static Value *argument(const Block *b, size_t i) {
    return value_final(b->in[b->kind->code->args[i]]);
}

static int output_index(const Block *b, const Value *v) {
    for (size_t i = 0; i < b->n_out; i++)
        if (value_final(b->out[i]) == v)
            return (int)i;
    return -1;
}

/* ---- the cache ---------------------------------------------------------------------- */

const CachePlace *row_cached(const Gen *g, const Block *b, size_t k) {
    return g->function ? NULL : gen_cache_next(g, value_final(b->out[k]));
}

static const CachePlace *past_of(const Gen *g, const Block *b, size_t i) {
    return g->function ? NULL : gen_cache_past(g, argument(b, i));
}

/* The number in a path is that of the block's arrays. */
static bool follows_in_cache(const CachePlace *a, const CachePlace *b) {
    return a && b && a->field == b->field && b->index == a->index + 1;
}

/* Output k of b takes the place of the array that b alone has read. */
static bool writes_own(const Gen *g, const Block *b, size_t k) {
    const CachePlace *to = row_cached(g, b, k);
    const ValueCode *c = &g->code[value_final(b->out[k])->id];
    for (size_t i = 0; to && i < b->kind->code->n_args; i++) {
        const CachePlace *from = past_of(g, b, i);
        if (from && from->field == to->field && from->index == to->index)
            return c->reads == 1 && !c->keep && g->code[argument(b, i)->id].reads == 1;
    }
    return false;
}

/* What b and next give to the cache goes to the same fields. */
static bool fills_alike(const Gen *g, const Block *b, const Block *next) {
    for (size_t k = 0; k < b->n_out; k++) {
        const CachePlace *x = row_cached(g, b, k), *y = row_cached(g, next, k);
        if (!x != !y || (x && !follows_in_cache(x, y)))
            return false;
    }
    return true;
}

/* Nobody reads an output of b but the next in the row, in the place of one argument, or
 * it goes to the cache. */
static bool only_carries(const Gen *g, const Block *b, const Row *row) {
    size_t n = b->kind->code->n_args;
    for (size_t k = 0; k < b->n_out; k++) {
        const ValueCode *c = &g->code[value_final(b->out[k])->id];
        uint32_t carried = 0;
        for (size_t i = 0; i < n; i++)
            carried += row->carried[i] == (int)k;
        if (!carried && writes_own(g, b, k))
            continue;
        if (row_cached(g, b, k) || c->reads != carried || carried > 1 || c->keep)
            return false;
    }
    return true;
}

/* The next block, where it goes on with the row. */
static const Block *next_block(const Gen *g, const Block *b) {
    const Graph *graph = g->m->graph;
    uint32_t at = b->first + b->count;
    const Block *around = g->function ? g->function->kind->blocks[0] : NULL;
    uint32_t end = around ? around->first + around->count : (uint32_t)graph->n_nodes;
    const Block *next = at < end && graph->nodes[at]->part
                            ? block_inside(graph->nodes[at], around)
                            : NULL;
    bool same = next && gen_function_of(next) == gen_function_of(b) &&
                gen_chooses_alike(b, next) && next->n_out == b->n_out &&
                next->kind->code->sizes.count == 0;
    return same && b->kind->code->sizes.count == 0 ? next : NULL;
}

/* The arrays of b have its number. */
static bool is_numbered_as_cache(const Gen *g, const Block *b, const Row *row) {
    for (size_t i = 0; i < b->kind->code->n_args; i++)
        if (row->carried[i] == ROW_CACHE &&
            (!row->numbered || (int64_t)past_of(g, b, i)->index != row->start))
            return false;
    return true;
}

static bool begin_row(const Gen *g, const Block *b, const Block *next, Row *row) {
    bool any = false;
    for (size_t i = 0; i < b->kind->code->n_args; i++) {
        const Value *v = argument(next, i);
        row->carried[i] = v == argument(b, i) ? ROW_SAME : output_index(b, v);
        any |= row->carried[i] >= 0;
        if (v == argument(b, i) || row->carried[i] >= 0)
            continue;
        if (!follows_in_cache(past_of(g, b, i), past_of(g, next, i)))
            return false;
        row->carried[i] = ROW_CACHE;
    }
    return any && only_carries(g, b, row) && fills_alike(g, b, next) &&
           split_paths(gen_relative_path(g, b), gen_relative_path(g, next), row) &&
           is_numbered_as_cache(g, b, row) &&
           (g->options->params == OX_PARAMS_FLAT || is_item(row));
}

static bool goes_on(const Gen *g, const Block *b, const Block *next, const Row *row) {
    Row step;
    for (size_t i = 0; i < b->kind->code->n_args; i++) {
        const Value *v = argument(next, i);
        bool fits = row->carried[i] == ROW_SAME ? v == argument(b, i)
                    : row->carried[i] == ROW_CACHE
                        ? follows_in_cache(past_of(g, b, i), past_of(g, next, i))
                        : v == value_final(b->out[row->carried[i]]);
        if (!fits)
            return false;
    }
    return only_carries(g, b, row) && fills_alike(g, b, next) &&
           split_paths(gen_relative_path(g, b), gen_relative_path(g, next), &step) &&
           step.numbered == row->numbered &&
           (!step.numbered ||
            (str_eq(step.head, row->head) && str_eq(step.tail, row->tail)));
}

static bool find_row(Gen *g, const Block *b, Row *row) {
    const Block *next = next_block(g, b);
    *row = (Row){.first = b, .last = b, .count = 1};
    row->carried = ARENA_ARRAY(g->arena, b->kind->code->n_args + 1, int);
    if (!next || !row->carried || !begin_row(g, b, next, row))
        return false;
    for (; next && (row->count == 1 || goes_on(g, row->last, next, row));
         row->count++) {
        row->last = next;
        next = next_block(g, next);
    }
    for (size_t k = 0; k < row->last->n_out; k++)
        if (row_cached(g, row->last, k) && !writes_own(g, row->last, k))
            return false;
    return true;
}

/* ---- the loop ----------------------------------------------------------------------- */

/* The variable that argument i is carried in, with its first value. */
static Str carry_variable(Gen *g, const Row *row, size_t i) {
    const Function *f = row->first->kind->code;
    Value *v = argument(row->first, i);
    ValueCode *c = &g->code[v->id];
    bool last_use = v->kind == VALUE_NODE && c->reads == 1 && !c->keep;
    if (last_use && c->state == VS_DONE && c->expr->kind == EX_NAME)
        return c->expr->text;
    const Expr *x = gen_value(g, v, last_use);
    Str name = gen_unique_name(g, f->scope.params[f->uses_params + i]);
    gen_statement(g, &g->scope->body, &name, 1, x);
    return name;
}

static Str counter(Gen *g, const Row *row) {
    if (!row->numbered)
        return STR("_");
    if (!g->scope->counter.n)
        g->scope->counter = gen_unique_name(g, STR("i"));
    return g->scope->counter;
}

/* Arguments in the loop: variables of the carried, and values from before. */
static const Expr **loop_arguments(Gen *g, const Row *row) {
    size_t n = row->first->kind->code->n_args;
    const Expr **args = ARENA_ARRAY(g->arena, n + 1, const Expr *);
    for (size_t i = 0; args && i < n; i++)
        if (row->carried[i] == ROW_SAME)
            args[i] = gen_value(g, argument(row->first, i), false);
        else if (row->carried[i] == ROW_CACHE)
            args[i] = gen_cache_item(g, past_of(g, row->first, i)->field,
                                     ex_name(g->arena, counter(g, row)));
    for (size_t i = 0; args && i < n; i++)
        if (row->carried[i] >= 0)
            args[i] = ex_name(g->arena, carry_variable(g, row, i));
    return args;
}

/* What the blocks give to the cache is in its arrays after the loop. */
static void leave_in_cache(Gen *g, const Row *row) {
    for (const Block *b = row->first; b; b = row_next(g, row, b))
        for (size_t k = 0; k < b->n_out; k++) {
            const CachePlace *place = row_cached(g, b, k);
            ValueCode *c = &g->code[value_final(b->out[k])->id];
            if (!place)
                continue;
            c->state = VS_DONE;
            c->expr = gen_cache_item(g, place->field,
                                     ex_int(g->arena, (int64_t)place->index));
        }
}

/* What the outputs are called, in the loop and after it; those that go to the cache have
 * the name of its list. */
static Str *loop_targets(Gen *g, const Row *row, const Expr *const *args) {
    const Block *last = row->last;
    Str *names = ARENA_ARRAY(g->arena, last->n_out + 1, Str);
    for (size_t k = 0; names && k < last->n_out; k++) {
        ValueCode *c = &g->code[value_final(last->out[k])->id];
        for (size_t i = 0; i < row->first->kind->code->n_args; i++)
            if (row->carried[i] == (int)k)
                names[k] = args[i]->text;
        const CachePlace *place = row_cached(g, last, k);
        if (place) {
            names[k] = g->cache.items[place->field].variable;
            continue;
        }
        if (!names[k].n)
            names[k] = c->reads || c->keep
                           ? gen_unique_name(g, gen_name_hint(g, last->out[k]))
                           : STR("_");
        c->state = VS_DONE;
        c->expr = ex_name(g->arena, names[k]);
    }
    return names;
}

static const Expr *numbered_path(Gen *g, const Row *row, Str counter) {
    const Expr *params = ex_name(g->arena, STR("params"));
    if (!row->numbered)
        return gen_params_of(g, row->first);
    if (g->options->params == OX_PARAMS_NESTED) {
        const Expr *x = gen_subscript(g, params, (Str){row->head.p, row->head.n - 1});
        x = EX(g->arena, "$0[str($1)]", x, ex_name(g->arena, counter));
        return row->tail.n
                   ? gen_subscript(g, x, (Str){row->tail.p + 1, row->tail.n - 1})
                   : x;
    }
    const Expr *parts[] = {ex_str(g->arena, row->head), ex_name(g->arena, counter),
                           ex_str(g->arena, row->tail)};
    return EX(g->arena, "scope($0, $1)", params,
              ex_fstring(g->arena, parts, OX_COUNT(parts)));
}

const Block *row_next(const Gen *g, const Row *row, const Block *b) {
    return b == row->last ? NULL : next_block(g, b);
}

static void list_row(Gen *g, const Row *row) {
    for (const Block *b = row->first; b; b = row_next(g, row, b))
        gen_list_params(g, b);
}

static void add_loop(Gen *g, const Row *row, Str *targets, const Expr *const *args) {
    Str index = counter(g, row);
    const Expr *call = gen_call(g, row->first, numbered_path(g, row, index), args);
    Stmts *body = ARENA_NEW(g->arena, Stmts);
    size_t n = row->first->n_out;
    const Expr **to = ARENA_ARRAY(g->arena, n, const Expr *);
    if (!body || !to)
        return;
    for (size_t k = 0; k < n; k++) {
        const CachePlace *place = row_cached(g, row->first, k);
        to[k] = ex_name(g->arena, place ? index : targets[k]);
        if (place)
            to[k] = gen_cache_item(g, place->field, to[k]);
    }
    gen_assign(g, body, gen_targets(g, to, n), call);
    Stmt loop = {.kind = ST_FOR,
                 .target = ex_name(g->arena, index),
                 .expr = gen_range(g, row->start, row->start + (int64_t)row->count),
                 .body = body};
    (void)code_add(g->arena, &g->scope->body, loop);
}

const Block *gen_loop(Gen *g, const Block *b) {
    Row row;
    if (!find_row(g, b, &row))
        return NULL;
    const Expr **args = loop_arguments(g, &row);
    Str *targets = args ? loop_targets(g, &row, args) : NULL;
    if (!targets)
        return NULL;
    leave_in_cache(g, &row);
    list_row(g, &row);
    gen_note_calls(g, gen_function_of(b), row.count, 2);
    if (row_can_scan(g, &row))
        row_scan(g, &row, targets, args);
    else
        add_loop(g, &row, targets, args);
    return row.last;
}
