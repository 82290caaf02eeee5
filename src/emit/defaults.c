/* Keyword arguments that all calls of a helper give alike are said once, as defaults in
 * its definition: def layer_norm(x, weight, bias=None, axis=-1, eps=1e-12). */
#include "emit/gen.h"
#include "python/helpers.h"

/* A keyword of a helper, under "helper keyword". */
typedef struct Usual {
    const Expr *value;
    size_t count;
} Usual;

/* What is known of a helper, under its name. */
typedef struct Called {
    UsedHelper *helper;
    size_t calls;
    bool fixed; /* somebody needs the defaults as they are */
} Called;

/* A keyword that some call of a helper has. */
typedef struct Keyword {
    Called *helper;
    Str name;
} Keyword;

typedef struct Defaults {
    Gen *g;
    Map called, usuals;
    struct {
        Keyword *items;
        size_t count, cap;
    } keywords;
} Defaults;

/* The function, which is parsed when the first asks for it. */
static Stmt *definition(Defaults *d, const Called *c) {
    Stmts *code = &c->helper->code;
    if (code->count && code->items[0].kind == ST_UNREAD) {
        *code = gen_parse_helper(d->g, c->helper->helper->name, 0);
        if (code->count)
            code->items[0].apart = true;
    }
    Stmt *last = code->count ? &code->items[code->count - 1] : NULL;
    return last && last->def ? last : NULL;
}

/* The parameter of that name, if its default is a single word or literal. */
static Param *param_of(Defaults *d, const Called *c, Str name) {
    Stmt *s = definition(d, c);
    for (size_t i = 0; s && i < s->def->n_params; i++)
        if (str_eq(s->def->params[i].name, name) && s->def->params[i].value &&
            ex_is_atom(s->def->params[i].value))
            return &s->def->params[i];
    return NULL;
}

/* ---- counting ----------------------------------------------------------------------- */

static Usual *usual_of(Defaults *d, Str helper, Str keyword) {
    Str key = arena_printf(d->g->arena, "%.*s %.*s", (int)helper.n, helper.p,
                           (int)keyword.n, keyword.p);
    Usual *u = map_get(&d->usuals, key);
    if (!u && (u = ARENA_NEW(d->g->arena, Usual)))
        map_set(&d->usuals, key, u);
    return u;
}

static Called *called_by(const Defaults *d, const Expr *x) {
    bool call = x->kind == EX_CALL && x->kids[0]->kind == EX_NAME;
    return call ? map_get(&d->called, x->kids[0]->text) : NULL;
}

static void count_call(Defaults *d, Called *c, const Expr *call) {
    c->calls++;
    for (uint32_t i = 1; i < call->n; i++) {
        const Expr *k = call->kids[i];
        Usual *u = k->kind == EX_KEYWORD && k->kids[0]->kind == EX_NUMBER
                       ? usual_of(d, call->kids[0]->text, k->text)
                       : NULL;
        if (!u || (u->value && !ex_same(u->value, k->kids[0])))
            continue;
        if (!u->value)
            (void)ARENA_PUSH(d->g->arena, &d->keywords, ((Keyword){c, k->text}));
        u->value = k->kids[0];
        u->count++;
    }
}

/* Names of helpers that are passed on, as to jax.vmap, keep their defaults. */
static void count(void *user, const Expr *x) {
    Defaults *d = user;
    Called *own = called_by(d, x);
    if (own)
        count_call(d, own, x);
    for (uint32_t i = own ? 1 : 0; i < x->n; i++) {
        const Expr *kid = x->kids[i];
        bool name = kid && kid->kind == EX_NAME;
        Called *passed = name ? map_get(&d->called, kid->text) : NULL;
        if (passed)
            passed->fixed = true;
    }
}

/* ---- changing ----------------------------------------------------------------------- */

/* A keyword of a call that becomes the default. */
static bool moves(Defaults *d, const Called *c, Str helper, Str keyword) {
    const Usual *u = usual_of(d, helper, keyword);
    return u && u->value && u->count == c->calls && param_of(d, c, keyword);
}

static const Expr *drop_keywords(void *user, const Expr *x) {
    Defaults *d = user;
    const Called *c = called_by(d, x);
    const Expr **args =
        c && !c->fixed ? ARENA_ARRAY(d->g->arena, x->n, const Expr *) : NULL;
    size_t n = 0;
    for (uint32_t i = 1; args && i < x->n; i++)
        if (x->kids[i]->kind != EX_KEYWORD ||
            !moves(d, c, x->kids[0]->text, x->kids[i]->text))
            args[n++] = x->kids[i];
    return args && n + 1 < x->n ? ex_call(d->g->arena, x->kids[0], args, n) : x;
}

static void set_default(Defaults *d, Called *c, Str keyword) {
    Str helper = c->helper->helper->name;
    if (!moves(d, c, helper, keyword))
        return;
    param_of(d, c, keyword)->value = usual_of(d, helper, keyword)->value;
    definition(d, c)->edited = true;
}

/* ---- everything --------------------------------------------------------------------- */

static void count_all(void *user, const Expr *x) {
    ex_each(x, count, user);
}

/* Helpers that others call keep their defaults, too. */
static void fix_callees(Defaults *d, const Called *caller) {
    for (const Str *name = caller->helper->helper->names; name->n; name++) {
        Called *c = map_get(&d->called, *name);
        if (c)
            c->fixed = true;
    }
}

void gen_move_defaults(Gen *g) {
    Defaults d = {g, {.arena = g->arena}, {.arena = g->arena}, {0}};
    size_t n = g->program.helpers.count;
    Called *called = ARENA_ARRAY(g->arena, n, Called);
    if (!called)
        return;
    for (size_t i = 0; i < n; i++) {
        called[i].helper = &g->program.helpers.items[i];
        map_set(&d.called, called[i].helper->helper->name, &called[i]);
    }
    for (size_t i = 0; i < n; i++)
        fix_callees(&d, &called[i]);
    code_each_expr(&g->program.code, count_all, &d);
    if (!d.keywords.count)
        return;
    code_edit(g->arena, &g->program.code, drop_keywords, &d);
    for (size_t i = 0; i < d.keywords.count; i++)
        if (!d.keywords.items[i].helper->fixed)
            set_default(&d, d.keywords.items[i].helper, d.keywords.items[i].name);
}
