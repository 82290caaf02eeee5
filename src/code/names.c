/* The free names of statements: what they read and do not bind.  Scopes are Python's: a
 * function binds what it assigns anywhere in its body. */
#include "code/program.h"

/* The names that one function, lambda or comprehension binds. */
typedef struct Bound {
    const struct Bound *up;
    Map names;
} Bound;

typedef struct Search {
    Arena *arena;
    void (*visit)(void *user, Str name);
    void *user;
} Search;

static void read_expr(Search *s, const Bound *bound, const Expr *x);
static void read_statements(Search *s, const Bound *bound, const Stmts *list);

static bool is_bound(const Bound *b, Str name) {
    for (; b; b = b->up)
        if (map_get(&b->names, name))
            return true;
    return false;
}

/* ---- binding ---------------------------------------------------------------------- */

static void bind(Search *s, Bound *b, Str name) {
    (void)map_set(&b->names, name, s);
}

static void bind_target(Search *s, Bound *b, const Expr *x) {
    if (x->kind == EX_NAME)
        bind(s, b, x->text);
    bool nested = x->kind == EX_TUPLE || x->kind == EX_LIST || x->kind == EX_UNARY ||
                  x->kind == EX_TARGETS;
    for (uint32_t i = 0; nested && i < x->n; i++)
        bind_target(s, b, x->kids[i]);
}

/* "x, *more" of a lambda */
static void bind_words(Search *s, Bound *b, Str text) {
    for (size_t i = 0, n; i < text.n; i += n + 1) {
        for (n = 0; i + n < text.n && !memchr(" ,*", text.p[i + n], 3);)
            n++;
        if (n)
            bind(s, b, (Str){text.p + i, n});
    }
}

static void bind_walruses(Search *s, Bound *b, const Expr *x) {
    if (x->kind == EX_WALRUS)
        bind(s, b, x->text);
    for (uint32_t i = 0; i < x->n; i++)
        if (x->kids[i])
            bind_walruses(s, b, x->kids[i]);
}

static void bind_statements(Search *s, Bound *b, const Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *x = &list->items[i];
        bool binds = x->target && x->kind != ST_RAISE && x->kind != ST_FIELD;
        if (binds)
            bind_target(s, b, x->target);
        else if (x->kind == ST_IMPORT)
            bind_target(s, b, x->expr);
        if (x->expr)
            bind_walruses(s, b, x->expr);
        if (x->def)
            bind(s, b, x->def->name);
        else if (x->body && x->kind != ST_CLASS)
            bind_statements(s, b, x->body);
    }
}

/* ---- reading ---------------------------------------------------------------------- */

static void read_name(Search *s, const Bound *bound, Str dotted) {
    Str name = str_before(dotted, '.');
    if (name.n && !is_bound(bound, name))
        s->visit(s->user, name);
}

static void read_kids(Search *s, const Bound *bound, const Expr *x) {
    for (uint32_t i = 0; i < x->n; i++)
        if (x->kids[i])
            read_expr(s, bound, x->kids[i]);
}

static void read_expr(Search *s, const Bound *bound, const Expr *x) {
    Bound inner = {bound, {.arena = s->arena}};
    switch (x->kind) {
    case EX_NAME:
        read_name(s, bound, x->text);
        break;
    case EX_LAMBDA:
        bind_words(s, &inner, x->text);
        read_kids(s, &inner, x);
        break;
    case EX_COMPREHENSION:
        for (uint32_t i = 1; i < x->n; i++)
            bind_target(s, &inner, x->kids[i]->kids[0]);
        read_kids(s, &inner, x);
        break;
    default:
        read_kids(s, bound, x);
        break;
    }
}

static void read_def(Search *s, const Bound *bound, const Def *def) {
    Bound inner = {bound, {.arena = s->arena}};
    for (size_t i = 0; i < def->n_params; i++) {
        bind_words(s, &inner, def->params[i].name);
        if (def->params[i].value)
            read_expr(s, bound, def->params[i].value);
        if (def->params[i].type)
            read_expr(s, bound, def->params[i].type);
    }
    if (def->result)
        read_expr(s, bound, def->result);
    bind_statements(s, &inner, &def->body);
    read_statements(s, &inner, &def->body);
}

static void read_statements(Search *s, const Bound *bound, const Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *x = &list->items[i];
        if (x->target && x->kind != ST_FIELD)
            read_expr(s, bound, x->target);
        if (x->expr)
            read_expr(s, bound, x->expr);
        if (x->decorator)
            read_expr(s, bound, x->decorator);
        if (x->def)
            read_def(s, bound, x->def);
        else if (x->body)
            read_statements(s, bound, x->body);
    }
}

void code_free_names(Arena *scratch, const Stmts *list,
                     void (*visit)(void *user, Str name), void *user) {
    Search s = {scratch, visit, user};
    Bound top = {.names = {.arena = scratch}};
    bind_statements(&s, &top, list);
    read_statements(&s, &top, list);
}
