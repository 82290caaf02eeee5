/* Helpers are only as general as the module uses them.  Of
 *
 *     def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
 *
 * what no call in the file gives is not there: its default stands in place of it, and what
 * then is constant is computed (code/folding.h).  A default that all calls overrule is not
 * there, either, and where no call gives None, or all give an int, nobody asks for it.
 *
 * Callers come first: what they leave out, they do not give to others. */
#include "code/folding.h"
#include "emit/gen.h"
#include "python/helpers.h"

typedef struct Site {
    const Expr *call;
    const struct Use *caller; /* NULL: the model's code */
    const Function *function; /* of that; NULL: forward, or another helper */
} Site;

/* What is known of a helper, under its name. */
typedef struct Use {
    UsedHelper *helper;
    Stmt *stmt; /* its definition; NULL: it has none that can be edited */
    Def *def;
    Fact *facts; /* of its parameters */
    bool passed; /* somebody passes it on: to jax.vmap, or to what nobody looks at */
    bool fixed;  /* that, or calls give arguments that cannot be told */
    bool called; /* by something that is called itself, where its callers are known */
    bool needed; /* something that stays names it */
    struct {
        Site *items;
        size_t count, cap;
    } model, sites; /* calls of the model's code, and all */
} Use;

typedef struct Uses {
    Gen *g;
    Map named;
    Use *items;
    size_t n;
    const Use *caller;        /* whose calls are being looked for; NULL: the model's */
    const Function *function; /* of the model */
} Uses;

/* ---- calls -------------------------------------------------------------------------- */

static bool is_starred(const Expr *x) {
    return x->kind == EX_UNARY && x->text.n && x->text.p[0] == '*';
}

static Use *callee_of(const Uses *u, const Expr *x) {
    bool named = x->kind == EX_CALL && x->kids[0]->kind == EX_NAME;
    return named ? map_get(&u->named, x->kids[0]->text) : NULL;
}

static void find_sites(void *user, const Expr *x) {
    Uses *u = user;
    Use *own = callee_of(u, x);
    Use *passed = x->kind == EX_NAME ? map_get(&u->named, x->text) : NULL;
    if (passed)
        passed->passed = passed->fixed = true;
    if (own) {
        Site site = {x, u->caller, u->function};
        if (u->caller)
            (void)ARENA_PUSH(u->g->arena, &own->sites, site);
        else
            (void)ARENA_PUSH(u->g->arena, &own->model, site);
        for (uint32_t i = 1; i < x->n; i++)
            own->fixed |= is_starred(x->kids[i]);
    }
    for (uint32_t i = own ? 1 : 0; i < x->n; i++)
        if (x->kids[i])
            find_sites(u, x->kids[i]);
}

/* The argument that a call gives for parameter k; NULL: none. */
static const Expr *argument(const Def *def, const Expr *call, size_t k) {
    bool positional = true;
    for (size_t i = 0; i <= k; i++)
        positional &= !def->params[i].name.n || def->params[i].name.p[0] != '*';
    if (positional && k + 1 < call->n && call->kids[k + 1]->kind != EX_KEYWORD)
        return call->kids[k + 1];
    const Expr *key = gen_keyword(call, def->params[k].name);
    return key ? key->kids[0] : NULL;
}

/* ---- what is known of arguments ----------------------------------------------------- */

static Fact fact_of_param(const Use *caller, Str name) {
    for (size_t i = 0; caller && i < caller->def->n_params; i++)
        if (str_eq(caller->def->params[i].name, name) &&
            !code_binds(&caller->def->body, name))
            return caller->facts[i];
    return FACT_NONE;
}

static Fact fact_of(const Gen *g, const Expr *x, const Site *site);

/* What both are. */
static Fact common(Fact a, Fact b) {
    if (a == b)
        return a;
    return a && b ? FACT_GIVEN : FACT_NONE;
}

/* A choice is a literal for each kind that the function stands for. */
static Fact fact_of_choice(const Gen *g, const Function *f, Str name) {
    size_t k = 0;
    Fact fact = FACT_NONE;
    bool first = true;
    while (f && k < f->differs.n_choices && !str_eq(f->differs.choices[k].name, name))
        k++;
    if (!f || k == f->differs.n_choices || code_binds(&f->def->body, name))
        return FACT_NONE;
    const Blocks *blocks = g->m->blocks;
    for (size_t i = 0; i < blocks->kinds.count; i++) {
        const Function *own = blocks->kinds.items[i]->code;
        if (!own || (own != f && own->twin != f))
            continue;
        bool says = k < own->differs.n_choices && own->differs.choices[k].value;
        const Expr *x = (says ? own : f)->differs.choices[k].value;
        Fact one = x ? fact_of(g, x, NULL) : FACT_NONE;
        fact = first ? one : common(fact, one);
        first = false;
    }
    return fact;
}

static bool is_logic(const Expr *x) {
    return str_is(x->text, "or") || str_is(x->text, "and");
}

/* Of what the model's code and helpers give; parameters are arrays. */
static Fact fact_of(const Gen *g, const Expr *x, const Site *site) {
    switch (x->kind) {
    case EX_INT:
        return FACT_INT;
    case EX_TUPLE:
    case EX_LIST:
    case EX_STR:
        return FACT_OTHER;
    case EX_NUMBER:
        return FACT_GIVEN;
    case EX_BINARY:
        return is_logic(x) ? FACT_NONE : FACT_GIVEN;
    case EX_INDEX:
        return x->n == 2 && x->kids[1]->kind == EX_STR ? FACT_GIVEN : FACT_NONE;
    case EX_NAME:
        if (!site)
            return FACT_NONE;
        return site->caller ? fact_of_param(site->caller, x->text)
                            : fact_of_choice(g, site->function, x->text);
    default:
        return FACT_NONE;
    }
}

static Fact fact_of_all(const Gen *g, const Use *use, size_t k) {
    const Param *p = &use->def->params[k];
    Fact known = FACT_NONE;
    for (size_t i = 0; i < use->sites.count; i++) {
        const Site *s = &use->sites.items[i];
        const Expr *x = argument(use->def, s->call, k);
        x = x ? x : p->value;
        Fact own = x ? fact_of(g, x, s) : FACT_NONE;
        known = i ? common(known, own) : own;
    }
    return known;
}

/* ---- parameters that nobody gives --------------------------------------------------- */

/* The literal that the parameter is in all calls; NULL: there is none.  What the model's
 * code says is left there, and what has no default and only helpers say goes, too. */
static const Expr *only_value(const Use *use, size_t k) {
    const Expr *usual = use->def->params[k].value, *only = NULL;
    for (size_t i = 0; i < use->sites.count; i++) {
        const Site *s = &use->sites.items[i];
        const Expr *given = argument(use->def, s->call, k);
        const Expr *x = given ? given : usual;
        if (!x || !ex_is_literal(x) || (given && !s->caller) ||
            (only && !ex_same(only, x)))
            return NULL;
        only = x;
    }
    return usual || (only && only->kind != EX_STR) ? only : NULL;
}

typedef struct Without {
    const Uses *uses;
    const Use *use;
    size_t k; /* the parameter */
} Without;

/* The call without that argument. */
static const Expr *drop_argument(void *user, const Expr *x) {
    const Without *w = user;
    Arena *a = w->uses->g->arena;
    if (callee_of(w->uses, x) != w->use)
        return x;
    const Expr *gone = argument(w->use->def, x, w->k);
    const Expr **args = gone ? ARENA_ARRAY(a, x->n, const Expr *) : NULL;
    size_t n = 0;
    for (uint32_t i = 1; args && i < x->n; i++) {
        const Expr *arg = x->kids[i];
        bool key = arg->kind == EX_KEYWORD;
        bool own =
            key ? str_eq(arg->text, w->use->def->params[w->k].name) : i == w->k + 1;
        if (!own)
            args[n++] = arg;
    }
    return args ? ex_call(a, x->kids[0], args, n) : x;
}

static void drop_arguments(Uses *u, const Use *use, size_t k) {
    Without w = {u, use, k};
    for (size_t i = 0; i < u->n; i++)
        if (u->items[i].def)
            code_edit(u->g->arena, &u->items[i].def->body, drop_argument, &w);
}

/* ---- calls of helpers that are one expression --------------------------------------- */

static void find_binding(void *user, const Expr *x) {
    *(bool *)user |= x->kind == EX_LAMBDA || x->kind == EX_COMPREHENSION;
}

/* Its names are those of its parameters, whatever stands there. */
static bool binds_none(const Expr *x) {
    bool binds = false;
    ex_each(x, find_binding, &binds);
    return !binds;
}

/* per_axis(1, n) is (1,) * n: an argument decides which branch the helper takes. */
static const Expr *in_place(void *user, const Expr *call, const Fact *facts) {
    const Uses *u = user;
    const Use *use = callee_of(u, call);
    const Stmts *body = use && use->def ? &use->def->body : NULL;
    const Stmt *last = body && body->count ? &body->items[body->count - 1] : NULL;
    if (!last || body->count > 2 || last->kind != ST_RETURN || !last->expr ||
        last->expr->kind != EX_IF || call->n != use->def->n_params + 1 ||
        !binds_none(last->expr))
        return call;
    FoldName *names = ARENA_ARRAY(u->g->arena, call->n, FoldName);
    for (uint32_t i = 1; names && i < call->n; i++) {
        const Expr *x = call->kids[i];
        if (x->kind == EX_KEYWORD || is_starred(x))
            return call;
        names[i - 1] = (FoldName){use->def->params[i - 1].name, x, facts[i - 1], false};
    }
    const Expr *made =
        names ? ex_fold(u->g->arena, last->expr, names, call->n - 1) : NULL;
    for (uint32_t i = 1; made && i < call->n; i++) /* nothing is computed twice */
        if (!ex_is_atom(call->kids[i]) && ex_count(made, call->kids[i]) > 1)
            return call;
    return made && made->kind != EX_IF ? made : call;
}

/* ---- one helper --------------------------------------------------------------------- */

/* Folds a copy of the helper with what is known, parameter k being `value`. */
static bool fold_helper(Uses *u, Use *use, size_t k, const Expr *value) {
    Arena *a = u->g->arena;
    Def *def = use->def;
    FoldName *names = ARENA_ARRAY(a, def->n_params, FoldName);
    Stmts old = def->body;
    FoldCalls calls = {in_place, u};
    if (!names)
        return false;
    for (size_t i = 0; i < def->n_params; i++)
        names[i] = (FoldName){def->params[i].name, i == k ? value : NULL, use->facts[i],
                              false};
    def->body = code_copy(a, &old);
    bool folded = code_fold(a, def, names, def->n_params, &calls);
    Stmt *doc = folded ? &def->body.items[0] : NULL;
    for (size_t i = 0; folded && doc->kind == ST_DOC && i < def->n_params; i++)
        if (i == k || (names[i].asked && names[i].fact == FACT_INT))
            folded = gen_cut_from_doc(a, doc, def->params[i].name, i != k);
    if (!folded)
        def->body = old;
    return folded;
}

static void drop_param(Use *use, size_t k) {
    Def *def = use->def;
    use->stmt->edited = true;
    def->spread = false;
    def->n_params--;
    memmove(&def->params[k], &def->params[k + 1],
            (def->n_params - k) * sizeof *def->params);
    memmove(&use->facts[k], &use->facts[k + 1],
            (def->n_params - k) * sizeof *use->facts);
    if (def->n_params && str_is(def->params[def->n_params - 1].name, "*"))
        def->n_params--;
}

/* Defaults that all calls overrule, as far as parameters without one may stand there. */
static void drop_defaults(Use *use) {
    for (size_t k = 0; k < use->def->n_params; k++) {
        Param *p = &use->def->params[k];
        bool all = use->sites.count > 0;
        if (!p->value)
            continue;
        for (size_t i = 0; all && i < use->sites.count; i++)
            all = argument(use->def, use->sites.items[i].call, k) != NULL;
        if (!all)
            return;
        p->value = NULL;
        use->stmt->edited = true;
    }
}

/* The calls that are left of a helper, after its callers were made as they are used. */
static void find_calls(Uses *u, Use *use) {
    for (size_t i = 0; i < u->n; i++)
        u->items[i].sites.count = 0;
    for (size_t i = 0; i < u->n; i++) {
        u->caller = &u->items[i];
        bool gone = u->caller > use && !u->caller->called;
        if (u->items[i].def && !gone)
            code_each_expr(&u->items[i].def->body, find_sites, u);
    }
    for (size_t i = 0; i < use->model.count; i++)
        (void)ARENA_PUSH(u->g->arena, &use->sites, use->model.items[i]);
}

/* Whether one of its parameters is gone. */
static bool drop_params(Uses *u, Use *use) {
    bool any = false;
    for (size_t k = use->def->n_params; k-- > 0;) {
        const Expr *value = only_value(use, k);
        if (!value || !fold_helper(u, use, k, value))
            continue;
        drop_arguments(u, use, k);
        drop_param(use, k);
        find_calls(u, use);
        any = true;
    }
    return any;
}

static void specialize(Uses *u, Use *use) {
    find_calls(u, use);
    use->called = use->passed || use->sites.count;
    if (use->fixed || !use->called)
        return;
    for (size_t k = 0; k < use->def->n_params; k++)
        use->facts[k] = fact_of_all(u->g, use, k);
    while (drop_params(u, use)) /* without one another may go */
        ;
    drop_defaults(use);
    (void)fold_helper(u, use, SIZE_MAX, NULL);
}

/* ---- all of them -------------------------------------------------------------------- */

static void begin(Uses *u, size_t i) {
    Use *use = &u->items[i];
    use->helper = &u->g->program.helpers.items[i];
    const Stmts *code = &use->helper->code;
    use->stmt = code->count ? &code->items[code->count - 1] : NULL;
    use->def = use->stmt ? use->stmt->def : NULL;
    use->facts =
        use->def ? ARENA_ARRAY(u->g->arena, use->def->n_params + 1, Fact) : NULL;
    use->fixed = !use->facts || use->helper->helper->recursive;
    (void)map_set(&u->named, str_from(use->helper->helper->name), use);
}

/* What is about the parameters needs helpers as they are. */
static void need(void *user, Str name) {
    const Uses *u = user;
    Use *use = map_get(&u->named, name);
    if (use)
        use->needed = use->passed = use->fixed = true;
}

static void need_by_params(Uses *u) {
    const Stmts *params = &u->g->program.params;
    code_free_names(u->g->arena, params, need, u);
    for (size_t i = 0; i < params->count; i++) {
        const Stmt *s = &params->items[i];
        for (size_t k = 0; s->kind == ST_UNREAD && k < u->n; k++) {
            Str name = str_from(u->items[k].helper->helper->name);
            if (gen_has_word(s->source->lines, name))
                need(u, name);
        }
    }
}

static void mark(void *user, Str name) {
    const Uses *u = user;
    Use *use = map_get(&u->named, name);
    if (use)
        use->needed = true;
}

/* Helpers that only what is gone has called go, too. */
static void drop_helpers(Uses *u) {
    size_t kept = 0;
    for (size_t i = 0; i < u->n; i++)
        u->items[i].needed |= u->items[i].model.count > 0;
    for (size_t round = 0; round < 2; round++) /* one may come before what calls it */
        for (size_t i = u->n; i-- > 0;)
            if (u->items[i].needed)
                code_free_names(u->g->arena, &u->items[i].helper->code, mark, u);
    for (size_t i = 0; i < u->n; i++)
        if (u->items[i].needed)
            u->g->program.helpers.items[kept++] = *u->items[i].helper;
    u->g->program.helpers.count = kept;
}

static void find_model_sites(Uses *u) {
    const Stmts *code = &u->g->program.code;
    for (size_t i = 0; i < code->count; i++) {
        Stmts one = {&code->items[i], 1, 1};
        u->function = NULL;
        for (size_t k = 0; code->items[i].def && k < u->g->functions.count; k++)
            if (u->g->functions.items[k]->def == code->items[i].def)
                u->function = u->g->functions.items[k];
        code_each_expr(&one, find_sites, u);
    }
    u->function = NULL;
}

void gen_use_helpers(Gen *g) {
    Uses u = {.g = g, .named = {.arena = g->arena}, .n = g->program.helpers.count};
    u.items = u.n ? ARENA_ARRAY(g->arena, u.n, Use) : NULL;
    if (!u.items)
        return;
    for (size_t i = 0; i < u.n; i++)
        begin(&u, i);
    find_model_sites(&u);
    for (size_t i = 0; i < u.n; i++)
        u.items[i].needed = u.items[i].passed;
    need_by_params(&u);
    for (size_t i = u.n; i-- > 0;)
        specialize(&u, &u.items[i]);
    drop_helpers(&u);
}
