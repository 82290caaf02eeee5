/* Making, comparing and editing statements.  What the statements name is asked in
 * names.c. */
#include "code/program.h"

/* ---- making ----------------------------------------------------------------------- */

bool code_add(Arena *a, Stmts *list, Stmt s) {
    return ARENA_PUSH(a, list, s);
}

bool code_assign(Arena *a, Stmts *list, const Expr *target, const Expr *value) {
    Stmt s = {.kind = ST_ASSIGN, .text = STR("="), .target = target, .expr = value};
    return code_add(a, list, s);
}

bool code_return(Arena *a, Stmts *list, const Expr *value) {
    return code_add(a, list, (Stmt){.kind = ST_RETURN, .expr = value});
}

bool code_define(Arena *a, Stmts *list, Def *def) {
    return code_add(a, list, (Stmt){.kind = ST_DEF, .def = def, .body = &def->body});
}

bool code_add_unread(Arena *a, Stmts *list, Str lines) {
    Written *source = ARENA_NEW(a, Written);
    if (!source)
        return false;
    source->lines = lines;
    return code_add(a, list, (Stmt){.kind = ST_UNREAD, .source = source});
}

void code_append(Arena *a, Stmts *list, const Stmts *more) {
    for (size_t i = 0; i < more->count; i++) {
        Stmt s = more->items[i];
        s.apart |= i == 0;
        (void)code_add(a, list, s);
    }
}

Param *code_params(Arena *a, const Str *names, size_t n) {
    Param *params = ARENA_ARRAY(a, n, Param);
    for (size_t i = 0; params && i < n; i++)
        params[i].name = names[i];
    return params;
}

const Expr *code_targets(Arena *a, const Str *names, size_t n) {
    const Expr **items = n == 1 ? NULL : ARENA_ARRAY(a, n, const Expr *);
    if (n == 1)
        return ex_word(a, names[0]);
    for (size_t i = 0; items && i < n; i++)
        items[i] = ex_word(a, names[i]);
    return ex_bare(a, ex_seq(a, EX_TUPLE, items, items ? n : 0));
}

/* ---- asking ----------------------------------------------------------------------- */

Def *code_find(const Stmts *list, Str name) {
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == ST_DEF && str_eq(list->items[i].def->name, name))
            return list->items[i].def;
    return NULL;
}

static void each_in_def(const Def *def, void (*visit)(void *, const Expr *),
                        void *user) {
    for (size_t i = 0; i < def->n_params; i++)
        if (def->params[i].value)
            visit(user, def->params[i].value);
    code_each_expr(&def->body, visit, user);
}

void code_each_expr(const Stmts *list, void (*visit)(void *, const Expr *),
                    void *user) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        if (s->target)
            visit(user, s->target);
        if (s->expr)
            visit(user, s->expr);
        if (s->decorator)
            visit(user, s->decorator);
        if (s->def)
            each_in_def(s->def, visit, user);
        else if (s->body)
            code_each_expr(s->body, visit, user);
    }
}

static bool same_or_null(const Expr *a, const Expr *b) {
    return a && b ? ex_same(a, b) : a == b;
}

static bool same_statement(const Stmt *a, const Stmt *b) {
    if (a->kind != b->kind || !str_eq(a->text, b->text) ||
        !same_or_null(a->target, b->target) || !same_or_null(a->expr, b->expr) ||
        !same_or_null(a->decorator, b->decorator))
        return false;
    if (a->def)
        return str_eq(a->def->name, b->def->name) && code_same_def(a->def, b->def);
    return !a->body || code_same(a->body, b->body);
}

bool code_same(const Stmts *a, const Stmts *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = same_statement(&a->items[i], &b->items[i]);
    return same;
}

bool code_same_def(const Def *a, const Def *b) {
    bool same = a->n_params == b->n_params;
    for (size_t i = 0; same && i < a->n_params; i++)
        same = str_eq(a->params[i].name, b->params[i].name) &&
               same_or_null(a->params[i].value, b->params[i].value);
    return same && code_same(&a->body, &b->body);
}

/* ---- editing ---------------------------------------------------------------------- */

const Expr *ex_edit(Arena *a, const Expr *x, ExprEdit *edit, void *user) {
    const Expr **kids = NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        const Expr *old = x->kids[i], *new = old ? ex_edit(a, old, edit, user) : NULL;
        if (new == old)
            continue;
        if (!kids) {
            kids = ARENA_ARRAY(a, x->n, const Expr *);
            if (!kids)
                return x;
            memcpy(kids, x->kids, x->n * sizeof *kids);
        }
        kids[i] = new;
    }
    const Expr *made = edit(user, kids ? ex_with_kids(a, x, kids) : x);
    return x->note && made->note != x->note ? ex_note(a, made, x->note) : made;
}

/* Whether the expression has changed. */
static bool edit_expr(Arena *a, const Expr **x, ExprEdit *edit, void *user) {
    const Expr *old = *x;
    if (old)
        *x = ex_edit(a, old, edit, user);
    return *x != old;
}

static bool edit_def(Arena *a, Def *def, ExprEdit *edit, void *user) {
    bool edited = false;
    for (size_t i = 0; i < def->n_params; i++)
        edited |= edit_expr(a, &def->params[i].value, edit, user);
    code_edit(a, &def->body, edit, user);
    return edited;
}

void code_edit(Arena *a, Stmts *list, ExprEdit *edit, void *user) {
    for (size_t i = 0; i < list->count; i++) {
        Stmt *s = &list->items[i];
        s->edited |= edit_expr(a, &s->target, edit, user);
        s->edited |= edit_expr(a, &s->expr, edit, user);
        s->edited |= edit_expr(a, &s->decorator, edit, user);
        if (s->def)
            s->edited |= edit_def(a, s->def, edit, user);
        else if (s->body)
            code_edit(a, s->body, edit, user);
    }
}

typedef struct Rename {
    Arena *arena;
    Str from, to;
} Rename;

static const Expr *rename_name(void *user, const Expr *x) {
    const Rename *r = user;
    bool named = x->kind == EX_NAME && str_eq(x->text, r->from);
    return named ? ex_name(r->arena, r->to) : x;
}

void code_rename(Arena *a, Stmts *list, Str from, Str to) {
    Rename r = {a, from, to};
    for (size_t i = 0; i < list->count; i++) {
        Stmt *s = &list->items[i];
        if (s->kind != ST_DEF || !str_eq(s->def->name, from))
            continue;
        s->def->name = to;
        s->edited = true;
    }
    code_edit(a, list, rename_name, &r);
}

void code_insert(Arena *a, Stmts *list, size_t at, const Stmts *more) {
    size_t count = list->count + more->count;
    Stmt *items = more->count ? ARENA_ARRAY(a, count, Stmt) : NULL;
    if (!items)
        return;
    for (size_t i = 0; i < count; i++)
        items[i] = i < at                 ? list->items[i]
                   : i < at + more->count ? more->items[i - at]
                                          : list->items[i - more->count];
    *list = (Stmts){items, count, count};
}
