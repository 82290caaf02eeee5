/* Keyword arguments that all calls of a helper give alike are said once, as defaults in
 * its definition: def layer_norm(x, weight, bias=None, axis=-1, eps=1e-12).  The functions
 * of repeated modules have what most of their calls choose as defaults. */
#include "emit/gen.h"
#include "python/helpers.h"

/* An argument that gets another default. */
typedef struct NewDefault {
    Str name;
    const Expr *from, *to; /* from: what calls without it mean; NULL: all have it */
} NewDefault;

/* What is known of a helper or function, under its name. */
typedef struct Called {
    UsedHelper *helper; /* or */
    Function *function;
    bool fixed; /* somebody needs the defaults as they are */
    struct {
        const Expr **items;
        size_t count, cap;
    } calls;
    struct {
        NewDefault *items;
        size_t count, cap;
    } changes;
} Called;

typedef struct Defaults {
    Gen *g;
    Map called;
} Defaults;

static Stmt *definition(const Called *c) {
    const Stmts *code = &c->helper->code;
    Stmt *last = code->count ? &code->items[code->count - 1] : NULL;
    return last && last->def ? last : NULL;
}

/* The parameter of that name, if its default is a single word or literal. */
static Param *param_of(const Called *c, Str name) {
    Stmt *s = definition(c);
    for (size_t i = 0; s && i < s->def->n_params; i++)
        if (str_eq(s->def->params[i].name, name) && s->def->params[i].value &&
            ex_is_atom(s->def->params[i].value))
            return &s->def->params[i];
    return NULL;
}

/* ---- counting ----------------------------------------------------------------------- */

const Expr *gen_keyword(const Expr *call, Str name) {
    for (uint32_t i = 1; i < call->n; i++)
        if (call->kids[i]->kind == EX_KEYWORD && str_eq(call->kids[i]->text, name))
            return call->kids[i];
    return NULL;
}

static Called *called_by(const Defaults *d, const Expr *x) {
    bool call = x->kind == EX_CALL && x->kids[0]->kind == EX_NAME;
    return call ? map_get(&d->called, x->kids[0]->text) : NULL;
}

/* Names of helpers that are passed on, as to jax.vmap, keep their defaults. */
static void count(void *user, const Expr *x) {
    Defaults *d = user;
    Called *own = called_by(d, x);
    if (own)
        (void)ARENA_PUSH(d->g->arena, &own->calls, x);
    for (uint32_t i = own ? 1 : 0; i < x->n; i++) {
        const Expr *kid = x->kids[i];
        bool name = kid && kid->kind == EX_NAME;
        Called *passed = name ? map_get(&d->called, kid->text) : NULL;
        if (passed)
            passed->fixed = true;
    }
}

static void count_all(void *user, const Expr *x) {
    ex_each(x, count, user);
}

/* How many calls give the argument this value; usual: that of the others. */
static size_t count_given(const Called *c, Str name, const Expr *usual,
                          const Expr *value) {
    size_t n = 0;
    for (size_t i = 0; i < c->calls.count; i++) {
        const Expr *key = gen_keyword(c->calls.items[i], name);
        const Expr *given = key ? key->kids[0] : usual;
        n += given && ex_same(given, value);
    }
    return n;
}

/* ---- changing ----------------------------------------------------------------------- */

static void change(Gen *g, Called *c, Param *p, const Expr *from, const Expr *to) {
    (void)ARENA_PUSH(g->arena, &c->changes, ((NewDefault){p->name, from, to}));
    p->value = to;
}

/* What all calls give alike. */
static void change_helper(Gen *g, Called *c) {
    const Expr *call = c->calls.count && !c->fixed ? c->calls.items[0] : NULL;
    for (uint32_t i = 1; call && i < call->n; i++) {
        const Expr *k = call->kids[i];
        bool all = k->kind == EX_KEYWORD && k->kids[0]->kind == EX_NUMBER &&
                   count_given(c, k->text, NULL, k->kids[0]) == c->calls.count;
        Param *p = all ? param_of(c, k->text) : NULL;
        if (!p)
            continue;
        definition(c)->edited = true;
        change(g, c, p, NULL, k->kids[0]);
    }
}

/* What most calls choose. */
static void change_function(Gen *g, Called *c) {
    const Function *f = c->function;
    for (size_t k = 0; k < f->differs.n_choices; k++) {
        Param *p = &f->def->params[f->scope.n_params + k];
        const Expr *usual = p->value, *best = usual;
        size_t most = count_given(c, p->name, usual, usual);
        for (size_t i = 0; i < c->calls.count; i++) {
            const Expr *key = gen_keyword(c->calls.items[i], p->name);
            size_t n = key && gen_is_literal(key->kids[0])
                           ? count_given(c, p->name, usual, key->kids[0])
                           : 0;
            if (n > most) {
                most = n;
                best = key->kids[0];
            }
        }
        if (best != usual)
            change(g, c, p, usual, best);
    }
}

static const Expr *with_change(Gen *g, const Expr *call, const NewDefault *change) {
    const Expr *key = gen_keyword(call, change->name);
    if (!key)
        return ex_with_arg(g->arena, call,
                           ex_keyword(g->arena, change->name, change->from));
    const Expr **args = ex_same(key->kids[0], change->to)
                            ? ARENA_ARRAY(g->arena, call->n, const Expr *)
                            : NULL;
    size_t n = 0;
    for (uint32_t i = 1; args && i < call->n; i++)
        if (call->kids[i] != key)
            args[n++] = call->kids[i];
    return args ? ex_call(g->arena, call->kids[0], args, n) : call;
}

static const Expr *change_call(void *user, const Expr *x) {
    Defaults *d = user;
    const Called *c = called_by(d, x);
    for (size_t i = 0; c && i < c->changes.count; i++)
        x = with_change(d->g, x, &c->changes.items[i]);
    return x;
}

/* ---- everything --------------------------------------------------------------------- */

/* Helpers that others call keep their defaults, too. */
static void fix_callees(Defaults *d, const Called *caller) {
    const char *name = helper_names(caller->helper->helper);
    for (; *name; name = helper_next(name)) {
        Called *c = map_get(&d->called, str_from(name));
        if (c)
            c->fixed = true;
    }
}

void gen_move_defaults(Gen *g) {
    Defaults d = {g, {.arena = g->arena}};
    size_t helpers = g->program.helpers.count, n = helpers + g->functions.count;
    bool any = false;
    Called *called = ARENA_ARRAY(g->arena, n, Called);
    for (size_t i = 0; called && i < n; i++) {
        Called *c = &called[i];
        if (i < helpers)
            c->helper = &g->program.helpers.items[i];
        else
            c->function = g->functions.items[i - helpers];
        map_set(&d.called,
                c->helper ? str_from(c->helper->helper->name) : c->function->def->name,
                c);
    }
    for (size_t i = 0; called && i < helpers; i++)
        fix_callees(&d, &called[i]);
    code_each_expr(&g->program.code, count_all, &d);
    for (size_t i = 0; called && i < n; i++) {
        if (i < helpers)
            change_helper(g, &called[i]);
        else
            change_function(g, &called[i]);
        any |= called[i].changes.count != 0;
    }
    if (any)
        code_edit(g->arena, &g->program.code, change_call, &d);
}
