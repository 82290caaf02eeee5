/* Assignments and inner functions that nobody reads.  An operator is emitted when its
 * output is read somewhere in the graph; where the reader turns out to write a number or
 * a size instead, the statement is left over:
 *
 *     s = query.shape[2]
 *     return split_heads(query, 2)      ->      return split_heads(query, 2)
 *
 * Names are counted over a whole function with what it holds, whatever their scopes: one
 * name in two scopes keeps both. */
#include "code/program.h"

typedef struct Reads {
    Arena *arena;
    Map counts; /* name -> size_t: how often it is read */
    bool less;  /* names are counted off, not on */
} Reads;

static void count_name(void *user, Str dotted) {
    Reads *r = user;
    Str name = str_before(dotted, '.');
    size_t *count = map_get(&r->counts, name);
    if (!count) {
        count = ARENA_NEW(r->arena, size_t);
        if (!count || !map_set(&r->counts, name, count))
            return;
    }
    *count += r->less ? (size_t)-1 : 1;
}

/* Names, also in tuples: not a subscript, which is written to. */
static bool binds_names(const Expr *x) {
    if (x->kind == EX_NAME)
        return !memchr(x->text.p, '.', x->text.n);
    bool nested = x->kind == EX_TUPLE || x->kind == EX_LIST || x->kind == EX_UNARY ||
                  x->kind == EX_TARGETS;
    for (uint32_t i = 0; nested && i < x->n; i++)
        nested = binds_names(x->kids[i]);
    return nested;
}

static bool is_read(const Reads *r, const Expr *target) {
    const size_t *count =
        target->kind == EX_NAME ? map_get(&r->counts, target->text) : NULL;
    bool read = count && *count > 0;
    for (uint32_t i = 0; !read && target->kind != EX_NAME && i < target->n; i++)
        read = is_read(r, target->kids[i]);
    return read;
}

static void count_statements(Reads *r, const Stmts *list);

static void count_statement(Reads *r, const Stmt *s) {
    if (s->expr)
        ex_each_name(s->expr, count_name, r);
    if (s->target && !binds_names(s->target))
        ex_each_name(s->target, count_name, r);
    if (s->decorator)
        ex_each_name(s->decorator, count_name, r);
    for (size_t i = 0; s->def && i < s->def->n_params; i++)
        if (s->def->params[i].value)
            ex_each_name(s->def->params[i].value, count_name, r);
    if (s->def)
        count_statements(r, &s->def->body);
    else if (s->body)
        count_statements(r, s->body);
}

static void count_statements(Reads *r, const Stmts *list) {
    for (size_t i = 0; i < list->count; i++)
        count_statement(r, &list->items[i]);
}

static void find_walrus(void *user, const Expr *x) {
    *(bool *)user |= x->kind == EX_WALRUS;
}

static bool is_unread(const Reads *r, const Stmt *s) {
    if (s->kind == ST_DEF) {
        const size_t *count = map_get(&r->counts, s->def->name);
        return !count || *count == 0;
    }
    bool binds = false; /* in the expression */
    if (s->kind != ST_ASSIGN || !str_is(s->text, "=") || !binds_names(s->target))
        return false;
    ex_each(s->expr, find_walrus, &binds);
    return !binds && !is_read(r, s->target);
}

/* From the end, so that what only a dropped statement reads goes with it.  The last
 * statement of a body stays. */
static void drop(Reads *r, Stmts *list) {
    size_t kept = list->count, left = list->count;
    for (size_t i = list->count; i-- > 0;) {
        Stmt *s = &list->items[i];
        if (left > 1 && is_unread(r, s)) {
            r->less = true;
            count_statement(r, s);
            r->less = false;
            left--;
            continue;
        }
        if (s->def)
            drop(r, &s->def->body);
        else if (s->body)
            drop(r, s->body);
        list->items[--kept] = *s;
    }
    if (kept)
        memmove(list->items, list->items + kept, left * sizeof *list->items);
    list->count = left;
}

void code_drop_unread(Arena *scratch, Def *def) {
    Reads r = {.arena = scratch, .counts = {.arena = scratch}};
    count_statements(&r, &def->body);
    if (!scratch->failed)
        drop(&r, &def->body);
}
