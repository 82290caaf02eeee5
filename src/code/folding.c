/* Folding of statements: branches that are taken take the place of `if`, what they bind
 * to a constant is one, too, and what nobody reads any more goes. */
#include "code/folding_state.h"

/* ---- copies ------------------------------------------------------------------------- */

static void copy_statement(Arena *a, Stmt *s) {
    Stmts *body = s->body && !s->def ? ARENA_NEW(a, Stmts) : NULL;
    if (s->def) {
        Def *def = ARENA_NEW(a, Def);
        if (!def)
            return;
        *def = *s->def;
        def->body = code_copy(a, &s->def->body);
        s->def = def;
        s->body = &def->body;
    } else if (body) {
        *body = code_copy(a, s->body);
        s->body = body;
    }
}

Stmts code_copy(Arena *a, const Stmts *list) {
    Stmts copy = {0};
    for (size_t i = 0; i < list->count; i++) {
        Stmt s = list->items[i];
        copy_statement(a, &s);
        (void)code_add(a, &copy, s);
    }
    return copy;
}

/* ---- names -------------------------------------------------------------------------- */

FoldEntry *fold_find(Fold *f, Str name) {
    for (size_t i = f->names.count; i-- > 0;) {
        FoldEntry *e = &f->names.items[i];
        if (str_eq(e->is.name, name))
            return e->hidden || e->ended ? NULL : e;
    }
    return NULL;
}

static void hide(Fold *f, Str name, int by) {
    for (size_t i = 0; i < f->names.count; i++)
        if (str_eq(f->names.items[i].is.name, name))
            f->names.items[i].hidden += by;
    (void)map_set(&f->ints, name, NULL);
    (void)map_set(&f->ints, fold_list_key(f, name), NULL);
}

/* Calls visit on the names that a target binds. */
static void each_bound(const Expr *x, void (*visit)(void *, Str), void *user) {
    if (x->kind == EX_NAME)
        visit(user, x->text);
    bool nested = x->kind == EX_TUPLE || x->kind == EX_LIST || x->kind == EX_UNARY ||
                  x->kind == EX_TARGETS;
    for (uint32_t i = 0; nested && i < x->n; i++)
        each_bound(x->kids[i], visit, user);
}

typedef struct Hide {
    Fold *fold;
    int by;
} Hide;

static void hide_bound(void *user, Str name) {
    const Hide *h = user;
    hide(h->fold, name, h->by);
}

void fold_hide(Fold *f, const Expr *target, int by) {
    Hide h = {f, by};
    each_bound(target, hide_bound, &h);
}

void fold_hide_words(Fold *f, Str words, int by) {
    for (size_t i = 0, n; i < words.n; i += n + 1) {
        for (n = 0; i + n < words.n && !memchr(" ,*", words.p[i + n], 3);)
            n++;
        if (n)
            hide(f, (Str){words.p + i, n}, by);
    }
}

/* What a function binds anywhere in its body is its own. */
static void hide_bodies(Fold *f, const Stmts *list, int by) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        if (s->target && s->kind != ST_RAISE)
            fold_hide(f, s->target, by);
        if (s->def)
            hide(f, s->def->name, by);
        else if (s->body)
            hide_bodies(f, s->body, by);
    }
}

/* A name is bound here.  In a loop or branch nobody can say what it is behind that. */
static void bind(void *user, Str name) {
    Fold *f = user;
    FoldEntry *e = fold_find(f, name);
    if (e) {
        f->failed |= e->is.value && (f->nested > 0 || e->caught);
        e->ended = true;
    }
    (void)map_set(&f->ints, name, NULL);
    (void)map_set(&f->ints, fold_list_key(f, name), NULL);
}

/* ---- statements --------------------------------------------------------------------- */

static void fold_block(Fold *f, Stmts *list);

static void fold_inner(Fold *f, Stmt *s) {
    Def *def = s->def;
    bind(f, def->name);
    for (size_t i = 0; i < def->n_params; i++) {
        const Expr *old = def->params[i].value;
        if (old)
            def->params[i].value = fold_expr(f, old);
        s->edited |= def->params[i].value != old;
    }
    for (int by = 1; by >= -1; by -= 2) {
        for (size_t i = 0; i < def->n_params; i++)
            fold_hide_words(f, def->params[i].name, by);
        hide_bodies(f, &def->body, by);
        if (by < 0)
            continue;
        f->closures++;
        fold_block(f, &def->body);
        f->closures--;
    }
}

static void fold_field(Fold *f, Stmt *s, const Expr **x) {
    const Expr *old = *x;
    if (old)
        *x = fold_expr(f, old);
    s->edited |= *x != old;
}

static void fold_test_of(Fold *f, Stmt *s) {
    const Expr *old = s->expr;
    s->expr = fold_test(f, old);
    s->edited |= s->expr != old;
}

/* x = x, which a choice has become */
static bool is_idle(const Stmt *s) {
    return s->kind == ST_ASSIGN && s->edited && str_is(s->text, "=") &&
           s->target->kind == EX_NAME && ex_same(s->target, s->expr);
}

static bool is_constant(const Expr *x) {
    bool all = x->kind == EX_TUPLE;
    for (uint32_t i = 0; all && i < x->n; i++)
        all = x->kids[i]->kind == EX_INT;
    return all || ex_is_literal(x);
}

typedef struct Count {
    Str name;
    size_t n;
} Count;

static void count_bound(void *user, Str name) {
    Count *c = user;
    c->n += str_eq(name, c->name);
}

static void count_bindings(Count *c, const Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        if (s->target && s->kind != ST_RAISE)
            each_bound(s->target, count_bound, c);
        if (s->body)
            count_bindings(c, s->body);
    }
}

static void count_params(Count *c, const Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        for (size_t k = 0; s->def && k < s->def->n_params; k++)
            c->n += str_eq(s->def->params[k].name, c->name);
        if (s->body)
            count_params(c, s->body);
    }
}

static void bind_in_expr(void *user, const Expr *x) {
    Count *c = user;
    if (x->kind == EX_FOR)
        each_bound(x->kids[0], count_bound, c);
    if (x->kind == EX_WALRUS)
        count_bound(c, x->text);
    /* a lambda that says the name anywhere in its head */
    c->n += x->kind == EX_LAMBDA && str_contains(x->text, c->name);
}

static void bind_in_tree(void *user, const Expr *x) {
    ex_each(x, bind_in_expr, user);
}

/* A parameter that is never something else, nor anything of that name. */
static bool is_fixed_name(const Fold *f, const Expr *x) {
    Count c = {x->text, 0};
    if (x->kind != EX_NAME || memchr(x->text.p, '.', x->text.n))
        return false;
    count_bindings(&c, f->body);
    code_each_expr(f->body, bind_in_tree, &c);
    count_params(&c, f->body);
    return c.n == 1 && f->closures; /* the parameter of the function around */
}

/* name = value, where that has become a literal and the name has no other. */
static bool becomes_literal(const Fold *f, const Stmt *s) {
    if (!s->edited || !str_is(s->text, "=") || s->target->kind != EX_NAME ||
        !(is_fixed_name(f, s->expr) || (is_constant(s->expr) && !f->closures)))
        return false;
    Count c = {s->target->text, 0};
    count_bindings(&c, f->body);
    code_each_expr(f->body, bind_in_tree, &c);
    for (size_t i = 0; i < f->names.count; i++)
        c.n += str_eq(f->names.items[i].is.name, c.name);
    return c.n == 1;
}

/* false where the statement is not needed any more */
static bool fold_assignment(Fold *f, Stmt *s) {
    fold_field(f, s, &s->expr);
    if (is_idle(s))
        return false;
    if (becomes_literal(f, s)) {
        FoldEntry e = {.is = {s->target->text, s->expr, FACT_NONE, false}};
        (void)ARENA_PUSH(f->arena, &f->names, e);
        return false;
    }
    const Expr *t = s->target;
    bool none = s->expr->kind == EX_NAME && str_is(s->expr->text, "None");
    f->failed |= s->edited && (none || (t->kind == EX_TUPLE && ex_is_literal(s->expr)));
    if (t->kind == EX_INDEX || t->kind == EX_ATTRIBUTE)
        fold_field(f, s, &s->target);
    each_bound(t, bind, f);
    if (t->kind == EX_NAME && !f->nested && str_is(s->text, "=") &&
        fold_is_int(f, s->expr))
        (void)map_set(&f->ints, t->text, f);
    if (t->kind == EX_NAME && !f->nested && str_is(s->text, "=") &&
        fold_is_int_list(f, s->expr))
        (void)map_set(&f->ints, fold_list_key(f, t->text), f);
    return true;
}

/* range(0) */
static bool is_empty_range(const Expr *x) {
    return x->kind == EX_CALL && x->n == 2 && x->kids[0]->kind == EX_NAME &&
           str_is(x->kids[0]->text, "range") && x->kids[1]->kind == EX_INT &&
           x->kids[1]->i == 0;
}

static bool fold_statement(Fold *f, Stmt *s) {
    if (s->kind == ST_DOC || s->kind == ST_PROSE)
        return true;
    if (s->kind == ST_ASSIGN)
        return fold_assignment(f, s);
    if (s->kind == ST_DEF) {
        fold_inner(f, s);
        return true;
    }
    if (s->kind == ST_WHILE)
        fold_test_of(f, s);
    else
        fold_field(f, s, &s->expr);
    if (s->kind == ST_FOR && is_empty_range(s->expr))
        return false;
    f->nested += s->body != NULL;
    if (s->kind == ST_RAISE)
        fold_field(f, s, &s->target);
    else if (s->target)
        each_bound(s->target, bind, f);
    if (s->body)
        fold_block(f, s->body);
    f->nested -= s->body != NULL;
    return true;
}

/* ---- branches ----------------------------------------------------------------------- */

/* Lines above a statement, one level further out. */
static Str outdented(Arena *a, Str lines) {
    enum { INDENT = 4 };
    Text t = {.arena = a};
    for (size_t i = 0; i < lines.n; i++) {
        if (i == 0 || lines.p[i - 1] == '\n')
            for (int k = 0; k < INDENT && i < lines.n && lines.p[i] == ' '; k++)
                i++;
        if (i < lines.n)
            text_char(&t, lines.p[i]);
    }
    return text_view(&t);
}

static void outdent(Arena *a, Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        Stmt *s = &list->items[i];
        Written *source = s->source ? ARENA_NEW(a, Written) : NULL;
        s->edited = true;
        if (source) {
            *source = *s->source;
            source->before = outdented(a, source->before);
            s->source = source;
        }
        if (s->body)
            outdent(a, s->body);
    }
}

/* A chain of if, elif and else on its way. */
typedef struct Chain {
    bool begun; /* some branch stays */
    bool taken; /* one above is taken, whatever else there is */
} Chain;

/* The branch is the one that is taken, where those above are not. */
static int truth_of_branch(Fold *f, Stmt *s) {
    if (s->kind == ST_ELSE)
        return 1;
    fold_test_of(f, s);
    return fold_truth(s->expr);
}

static void keep(Fold *f, Stmts *out, Stmt s, StmtKind kind, const char *word) {
    s.edited |= s.kind != kind;
    s.kind = kind;
    s.text = str_from(word);
    if (kind == ST_ELSE)
        s.expr = NULL;
    f->nested++;
    fold_block(f, s.body);
    f->nested--;
    (void)code_add(f->arena, out, s);
}

/* The statements of a branch that takes the place of all. */
static void splice(Fold *f, Stmts *out, const Stmts *body) {
    Stmts copy = *body;
    outdent(f->arena, &copy);
    fold_block(f, &copy);
    for (size_t i = 0; i < copy.count; i++)
        (void)code_add(f->arena, out, copy.items[i]);
}

static void fold_branch(Fold *f, Stmts *out, Stmt s, Chain *chain) {
    if (s.kind == ST_IF)
        *chain = (Chain){0};
    if (chain->taken)
        return;
    int is = truth_of_branch(f, &s);
    chain->taken = is > 0;
    if (!is)
        return;
    if (is > 0 && !chain->begun) {
        splice(f, out, s.body);
        return;
    }
    if (is > 0)
        keep(f, out, s, ST_ELSE, "else");
    else
        keep(f, out, s, chain->begun ? ST_ELIF : ST_IF, chain->begun ? "elif" : "if");
    chain->begun = true;
}

/* What follows a statement that ends the body is never run. */
static bool ends_body(const Stmts *list) {
    const Stmt *s = list->count ? &list->items[list->count - 1] : NULL;
    return s && (s->kind == ST_RETURN || s->kind == ST_RAISE);
}

static void fold_block(Fold *f, Stmts *list) {
    Stmts out = {0};
    Chain chain = {0};
    for (size_t i = 0; i < list->count && !ends_body(&out); i++) {
        Stmt s = list->items[i];
        if (s.kind == ST_IF || s.kind == ST_ELIF || s.kind == ST_ELSE)
            fold_branch(f, &out, s, &chain);
        else if (fold_statement(f, &s))
            (void)code_add(f->arena, &out, s);
    }
    f->failed |= !out.count; /* a body needs a statement */
    *list = out;
}

/* ---- the last statement ------------------------------------------------------------- */

static void count_read(void *user, Str dotted) {
    Count *c = user;
    c->n += str_eq(str_before(dotted, '.'), c->name);
}

static void count_reads(void *user, const Expr *x) {
    ex_each_name(x, count_read, user);
}

static void find_lambda(void *user, const Expr *x) {
    *(bool *)user |= x->kind == EX_LAMBDA;
}

static void look_for_lambdas(void *user, const Expr *x) {
    ex_each(x, find_lambda, user);
}

/* An inner function may read the name later. */
static bool is_read_later(const Stmts *list, Str name) {
    bool any = false;
    for (size_t i = 0; i < list->count && !any; i++) {
        Stmts one = {&list->items[i], 1, 1};
        Count c = {name, 0};
        bool lambda = false;
        if (!list->items[i].def)
            code_each_expr(&one, look_for_lambdas, &lambda);
        else if (code_binds(&one, name))
            continue;
        if (lambda || list->items[i].def)
            code_each_expr(&one, count_reads, &c);
        any = c.n > 0;
    }
    return any;
}

/* y = ...; return y */
static void join_return(Def *def) {
    size_t n = def->body.count;
    Stmt *last = n > 1 ? &def->body.items[n - 1] : NULL, *made = last ? last - 1 : NULL;
    if (!last || last->kind != ST_RETURN || !last->expr ||
        last->expr->kind != EX_NAME || made->kind != ST_ASSIGN ||
        !str_is(made->text, "=") || made->target->kind != EX_NAME ||
        !str_eq(made->target->text, last->expr->text) ||
        (last->source && last->source->before.n))
        return;
    Stmts before = {def->body.items, n - 2, n - 2};
    bool lambda = false;
    ex_each(made->expr, find_lambda, &lambda);
    Count own = {last->expr->text, 0};
    if (lambda)
        ex_each_name(made->expr, count_read, &own);
    if (own.n || is_read_later(&before, last->expr->text))
        return;
    made->kind = ST_RETURN;
    made->target = NULL;
    made->text = (Str){0};
    made->edited = true;
    def->body.count--;
}

/* ---- asking ------------------------------------------------------------------------- */

bool code_binds(const Stmts *list, Str name) {
    Count c = {name, 0};
    count_bindings(&c, list);
    count_params(&c, list);
    code_each_expr(list, bind_in_tree, &c);
    return c.n > 0;
}

/* ---- everything --------------------------------------------------------------------- */

typedef struct Unread {
    const Stmts *body; /* of the function around */
    bool any;
} Unread;

static void look_for_reads(void *user, Str name) {
    Unread *u = user;
    Count c = {name, 0};
    code_each_expr(u->body, count_reads, &c);
    size_t bound = 1;
    u->any |= c.n <= bound && name.p[0] != '_';
}

/* Of `t, x = pair` nobody reads t any more. */
static bool has_unread(const Stmts *body, const Stmts *list) {
    Unread u = {body, false};
    for (size_t i = 0; i < list->count && !u.any; i++) {
        const Stmt *s = &list->items[i];
        if (s->kind == ST_ASSIGN && s->target->kind == EX_TUPLE)
            each_bound(s->target, look_for_reads, &u);
        u.any |= s->body && has_unread(s->def ? s->body : body, s->body);
    }
    return u.any;
}

/* A function above may read a name that has become a literal. */
static bool reads_constants(const Fold *f, size_t first) {
    bool any = false;
    for (size_t i = first; i < f->names.count; i++) {
        Count c = {f->names.items[i].is.name, 0};
        code_each_expr(f->body, count_reads, &c);
        any |= c.n > 0;
    }
    return any;
}

/* Behind a function there is an empty line, also where what has stood there is gone. */
static void set_apart(Arena *a, Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        Stmt *s = &list->items[i];
        if (s->body)
            set_apart(a, s->body);
        if (!i || !list->items[i - 1].def || !s->source ||
            str_starts(s->source->before, STR("\n")))
            continue;
        Written *source = ARENA_NEW(a, Written);
        if (!source)
            return;
        *source = *s->source;
        source->before = arena_printf(a, "\n%.*s", (int)source->before.n,
                                      source->before.n ? source->before.p : "");
        s->source = source;
    }
}

static Fold begin(Arena *a, const FoldName *names, size_t n, const FoldCalls *calls) {
    Fold f = {.arena = a, .ints = {.arena = a}, .calls = calls};
    for (size_t i = 0; i < n; i++)
        (void)ARENA_PUSH(a, &f.names, ((FoldEntry){.is = names[i]}));
    return f;
}

const Expr *ex_fold(Arena *a, const Expr *x, const FoldName *names, size_t n) {
    Fold f = begin(a, names, n, NULL);
    const Expr *made = fold_expr(&f, x);
    return f.failed ? NULL : made;
}

bool code_fold(Arena *a, Def *def, FoldName *names, size_t n, const FoldCalls *calls) {
    Fold f = begin(a, names, n, calls);
    f.body = &def->body;
    if (f.names.count < n) /* memory was refused */
        return false;
    for (size_t i = 0; i < n; i++) {
        Count c = {names[i].name, 0};
        count_bindings(&c, f.body);
        if (c.n) /* nobody can say which of them a loop or an inner function sees */
            f.names.items[i].is.fact = FACT_NONE;
    }
    fold_block(&f, &def->body);
    if (f.failed || a->failed)
        return false;
    for (size_t i = 0; i < n; i++)
        names[i].asked = f.names.items[i].is.asked;
    code_drop_unread(a, def);
    join_return(def);
    set_apart(a, &def->body);
    return !reads_constants(&f, n) && !has_unread(&def->body, &def->body);
}
