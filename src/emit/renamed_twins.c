/* Kinds whose code differs in what locals are called.  Names come from the model, and from
 * what reads a value, so of two blocks of one class
 *
 *     hidden = attention(scope(params, "self"), x)         y = attention(scope(params, "self"), x)
 *     return x + hidden                                    return x + y
 *
 * are the same function.  Names that assignments bind at the same places, and parameters,
 * are paired, one with one; then the twin's are replaced. */
#include "code/folding.h"
#include "emit/gen.h"

typedef struct Pairs {
    Gen *g;
    Map to, back; /* name of the twin -> name of the host, and the other way */
    bool fits;
} Pairs;

static Str *copy_of(Pairs *p, Str s) {
    Str *copy = ARENA_NEW(p->g->arena, Str);
    if (copy)
        *copy = s;
    return copy;
}

static void pair(Pairs *p, Str twin, Str host) {
    const Str *to = map_get(&p->to, twin), *back = map_get(&p->back, host);
    if (to || back) {
        p->fits &= to && back && str_eq(*to, host) && str_eq(*back, twin);
        return;
    }
    p->fits &= map_set(&p->to, twin, copy_of(p, host)) &&
               map_set(&p->back, host, copy_of(p, twin));
}

static void pair_targets(Pairs *p, const Expr *host, const Expr *twin) {
    if (host->kind != twin->kind || host->n != twin->n) {
        p->fits = false;
        return;
    }
    if (host->kind == EX_NAME)
        pair(p, twin->text, host->text);
    bool nested = host->kind == EX_TUPLE || host->kind == EX_LIST ||
                  host->kind == EX_UNARY || host->kind == EX_TARGETS;
    for (uint32_t i = 0; nested && i < host->n; i++)
        pair_targets(p, host->kids[i], twin->kids[i]);
}

static void pair_statements(Pairs *p, const Stmts *host, size_t from,
                            const Stmts *twin) {
    p->fits &= host->count == twin->count + from;
    for (size_t i = 0; p->fits && i < twin->count; i++) {
        const Stmt *a = &host->items[from + i], *b = &twin->items[i];
        p->fits = a->kind == b->kind && !a->target == !b->target &&
                  !a->body == !b->body && !a->def && !b->def;
        if (p->fits && a->target)
            pair_targets(p, a->target, b->target);
        if (p->fits && a->body)
            pair_statements(p, a->body, 0, b->body);
    }
}

/* A name that stays is none that another gets, and lambdas bind none of either. */
static void check_name(void *user, const Expr *x) {
    Pairs *p = user;
    p->fits &= x->kind != EX_LAMBDA && x->kind != EX_COMPREHENSION;
    if (x->kind != EX_NAME)
        return;
    Str name = str_before(x->text, '.');
    p->fits &= map_get(&p->to, name) || !map_get(&p->back, name);
}

static void check_names(void *user, const Expr *x) {
    ex_each(x, check_name, user);
}

static const Expr *rename_one(void *user, const Expr *x) {
    const Pairs *p = user;
    Str name = x->kind == EX_NAME ? str_before(x->text, '.') : (Str){0};
    const Str *to = name.n ? map_get(&p->to, name) : NULL;
    if (!to || str_eq(*to, name))
        return x;
    Str rest = {x->text.p + name.n, x->text.n - name.n};
    return ex_name(p->g->arena, arena_printf(p->g->arena, "%.*s%.*s", (int)to->n, to->p,
                                             (int)rest.n, rest.p));
}

bool gen_rename_twin(Gen *g, const Function *host, const Function *twin, Stmts *body) {
    Pairs p = {g, {.arena = g->arena}, {.arena = g->arena}, true};
    const Scope *a = &host->scope, *b = &twin->scope;
    if (a->n_params != b->n_params)
        return false;
    for (size_t i = 0; i < a->n_params; i++)
        pair(&p, b->params[i], a->params[i]);
    pair_statements(&p, &host->def->body, host->differs.n_sizes, &twin->def->body);
    if (p.fits)
        code_each_expr(&twin->def->body, check_names, &p);
    if (!p.fits || g->arena->failed)
        return false;
    *body = code_copy(g->arena, &twin->def->body);
    code_edit(g->arena, body, rename_one, &p);
    return true;
}
