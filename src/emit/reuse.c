/* Names of locals that are free again: `x_1 = f(x)` becomes `x = f(x)` where nobody reads
 * the first x any more.  Only names that differ in their number are shared, x and x_7.
 *
 * Works on statements that are complete.  A local lives from the statement that binds it
 * to the last one that reads it.  What a lambda, a comprehension or an inner function
 * names and what a loop binds keep their names, those of the first kinds for all of the
 * function, since it is not known when they are read.  What is bound at the top first and
 * in a loop later may get another's name, for as long as it lives.
 * `x_1 = x` in front of a loop goes where nobody reads x any more. */
#include "emit/gen.h"

enum { FAMILY_MAX = 4096, FOREVER = INT32_MAX };

typedef struct Local {
    Str name, given; /* before and after */
    int32_t first, last;
    bool fixed;  /* keeps its name */
    bool moves;  /* but for one that is free from where it is bound first, at the
                             top, until it is read last */
    bool merged; /* is another name of `given` */
    struct Local *holder; /* the one that got this local's old name last */
} Local;

typedef struct Family {
    Local **items; /* in the order in which they are bound */
    size_t count, cap;
} Family;

typedef struct Reuse {
    Arena *arena, *scratch;
    Map locals, families;
    struct {
        Local **items;
        size_t count, cap;
    } order;
    int32_t at;  /* the statement */
    bool inside; /* a body of its own */
} Reuse;

/* ---- lives ------------------------------------------------------------------------- */

static Local *local_named(Reuse *r, Str name) {
    Local *l = map_get(&r->locals, name);
    if (l)
        return l;
    l = ARENA_NEW(r->scratch, Local);
    if (!l || !map_set(&r->locals, name, l) || !ARENA_PUSH(r->scratch, &r->order, l))
        return NULL;
    *l = (Local){.name = name, .given = name, .first = r->at, .last = r->at};
    return l;
}

/* Only what is bound at the top of the function may get another name. */
static void fix(Reuse *r, Str name, bool forever) {
    Local *l = local_named(r, name);
    if (!l)
        return;
    l->fixed = true;
    l->last = forever ? FOREVER : l->last > r->at ? l->last : r->at;
    if (forever)
        l->first = -1;
}

static void fix_forever(void *user, Str dotted) {
    fix(user, str_before(dotted, '.'), true);
}

/* "x, *more" of a lambda */
static void fix_words(Reuse *r, Str text) {
    for (size_t i = 0, n; i < text.n; i += n + 1) {
        for (n = 0; i + n < text.n && !memchr(" ,*", text.p[i + n], 3);)
            n++;
        if (n)
            fix(r, (Str){text.p + i, n}, true);
    }
}

static void read_name(Reuse *r, Str name) {
    Local *l = map_get(&r->locals, name);
    if (!l)
        return; /* jnp, a helper, or what is bound in a body below */
    l->last = l->last > r->at ? l->last : r->at;
}

static void read_expr(Reuse *r, const Expr *x) {
    if (x->kind == EX_NAME)
        read_name(r, str_before(x->text, '.'));
    if (x->kind == EX_LAMBDA)
        fix_words(r, x->text);
    if (x->kind == EX_WALRUS)
        fix(r, x->text, true);
    if (x->kind == EX_LAMBDA || x->kind == EX_COMPREHENSION)
        ex_each_name(x, fix_forever, r);
    for (uint32_t i = 0; i < x->n; i++)
        if (x->kids[i])
            read_expr(r, x->kids[i]);
}

static void bind_target(Reuse *r, const Expr *x) {
    if (x->kind == EX_NAME) {
        bool known = map_get(&r->locals, x->text) != NULL;
        Local *l = local_named(r, x->text);
        if (!l || !(known || r->inside || str_is(x->text, "_")))
            return;
        l->moves |= known && !l->fixed;
        fix(r, x->text, false);
        return;
    }
    for (uint32_t i = 0; i < x->n; i++)
        if (x->kids[i])
            bind_target(r, x->kids[i]);
}

static void fix_expr(void *user, const Expr *x) {
    Reuse *r = user;
    if (x->kind == EX_LAMBDA)
        fix_words(r, x->text);
    ex_each_name(x, fix_forever, r);
}

/* An inner function: whenever it is called, it reads what it names. */
static void read_def(Reuse *r, const Def *def) {
    fix(r, def->name, true);
    for (size_t i = 0; i < def->n_params; i++)
        fix_words(r, def->params[i].name);
    code_each_expr(&def->body, fix_expr, r);
    for (size_t i = 0; i < def->body.count; i++)
        if (def->body.items[i].def)
            read_def(r, def->body.items[i].def);
}

static void read_statements(Reuse *r, const Stmts *list);

static void read_statement(Reuse *r, const Stmt *s) {
    if (s->def) {
        read_def(r, s->def);
        return;
    }
    bool inside = r->inside;
    r->inside |= s->body != NULL;
    if (s->expr)
        read_expr(r, s->expr);
    if (s->target)
        bind_target(r, s->target);
    if (s->body)
        read_statements(r, s->body);
    r->inside = inside;
}

static void read_statements(Reuse *r, const Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        r->at += !r->inside;
        read_statement(r, &list->items[i]);
    }
}

/* ---- copies ------------------------------------------------------------------------ */

/* The statement is t = s, all that s is still needed for, and t lives until it is read
 * for the last time: they are one. */
static bool merges(Reuse *r, const Stmt *x, int32_t at) {
    bool copy = x->kind == ST_ASSIGN && str_is(x->text, "=") &&
                x->target->kind == EX_NAME && x->expr->kind == EX_NAME;
    Local *t = copy ? map_get(&r->locals, x->target->text) : NULL;
    Local *s = copy ? map_get(&r->locals, x->expr->text) : NULL;
    if (!t || !s || !t->fixed || !s->fixed || t->last == FOREVER || t->first != at ||
        s->last != at || s->first == at)
        return false;
    t->merged = true;
    s->moves = t->moves = false;
    t->given = s->given;
    s->last = t->last;
    return true;
}

static void merge_copies(Reuse *r, Stmts *body) {
    size_t kept = 0;
    for (size_t i = 0; i < body->count; i++)
        if (!merges(r, &body->items[i], (int32_t)i))
            body->items[kept++] = body->items[i];
    body->count = kept;
}

/* ---- families ---------------------------------------------------------------------- */

static Str base_of(Str name) {
    size_t n = name.n;
    while (n && char_is_digit(name.p[n - 1]))
        n--;
    bool numbered = n < name.n && n > 1 && name.p[n - 1] == '_' && name.p[n] != '0';
    return numbered ? (Str){name.p, n - 1} : name;
}

static void add_to_family(Reuse *r, Local *l) {
    Str base = base_of(l->name);
    Family *f = map_get(&r->families, base);
    if (!f) {
        f = ARENA_NEW(r->scratch, Family);
        if (!f || !map_set(&r->families, base, f))
            return;
    }
    (void)ARENA_PUSH(r->scratch, f, l);
}

/* Both may have one name: the statement that reads the one for the last time may bind the
 * other.  (What a loop binds is fixed.) */
static bool may_share(const Local *a, const Local *b) {
    return a->first != b->first && (a->last <= b->first || b->last <= a->first);
}

static bool is_free_for(const Local *name, const Local *l) {
    if (name->holder && !may_share(name->holder, l))
        return false;
    return !name->fixed || may_share(name, l);
}

/* Names are tried in the order in which they were given, which is that of numbers. */
static void rename_family(const Family *f) {
    for (size_t i = 0; i < f->count; i++) {
        Local *l = f->items[i];
        for (size_t k = 0; (!l->fixed || l->moves) && k <= i; k++) {
            if (!is_free_for(f->items[k], l))
                continue;
            f->items[k]->holder = l;
            l->given = f->items[k]->name;
            break;
        }
    }
}

/* ---- the function ------------------------------------------------------------------ */

static const Expr *rename_local(void *user, const Expr *x) {
    const Reuse *r = user;
    Str name = x->kind == EX_NAME ? str_before(x->text, '.') : (Str){0};
    const Local *l = name.n ? map_get(&r->locals, name) : NULL;
    bool stays = !l || (l->fixed && !l->merged && !l->moves);
    if (stays || str_eq(l->given, l->name))
        return x;
    Str rest = {name.p + name.n, x->text.n - name.n};
    return ex_name(r->arena, arena_printf(r->arena, "%.*s%.*s", (int)l->given.n,
                                          l->given.p, (int)rest.n, rest.p));
}

static void reuse_in(Arena *a, Arena *scratch, Def *def) {
    Reuse r = {.arena = a,
               .scratch = scratch,
               .locals = {.arena = scratch},
               .families = {.arena = scratch},
               .at = -1};
    for (size_t i = 0; i < def->n_params; i++)
        fix(&r, def->params[i].name, false);
    read_statements(&r, &def->body);
    size_t count = def->body.count;
    if (!scratch->failed)
        merge_copies(&r, &def->body);
    for (size_t i = 0; i < r.order.count; i++)
        add_to_family(&r, r.order.items[i]);
    bool any = def->body.count < count;
    for (size_t i = 0; i < r.order.count; i++) {
        Family *f = map_get(&r.families, base_of(r.order.items[i]->name));
        if (scratch->failed || !f || f->count < 2 || f->count > FAMILY_MAX ||
            f->items[0] != r.order.items[i])
            continue;
        rename_family(f);
        any = true;
    }
    if (any && !scratch->failed)
        code_edit(a, &def->body, rename_local, &r);
}

void gen_reuse_names(Gen *g) {
    for (size_t i = 0; i < g->program.code.count; i++) {
        Def *def = g->program.code.items[i].def;
        Arena scratch;
        if (!def)
            continue;
        arena_scratch_begin(&scratch, g->arena);
        reuse_in(g->arena, &scratch, def);
        arena_scratch_end(&scratch, g->arena);
    }
}
