/* Keyword arguments that all calls of a helper give alike are said once, as defaults in
 * its definition: def layer_norm(x, weight, bias=None, axis=-1, eps=1e-12). */
#include "codegen/gen.h"

#include <ctype.h>

/* A keyword of a helper, under "helper keyword". */
typedef struct Usual {
    const Expr *value;
    size_t count;
} Usual;

/* What is known of a helper, under its name. */
typedef struct Called {
    Str text; /* its definition */
    size_t calls;
    bool fixed; /* somebody needs the defaults as they are */
} Called;

typedef struct Defaults {
    Gen *g;
    Map called, usuals;
} Defaults;

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* The word at text[i], which begins there; empty when none does. */
static Str word_at(Str text, size_t i) {
    size_t n = 0;
    while ((i == 0 || !is_word(text.p[i - 1])) && i + n < text.n &&
           is_word(text.p[i + n]))
        n++;
    return (Str){text.p + i, n};
}

/* The literal after "name=" in the first parentheses of the text; empty: none there. */
static Str default_in(Str text, Str name) {
    size_t i = 0;
    while (i < text.n && text.p[i] != '(')
        i++;
    for (; i < text.n && text.p[i] != ')'; i++) {
        Str word = word_at(text, i);
        size_t end = i + word.n;
        if (!str_eq(word, name) || end == text.n || text.p[end] != '=')
            continue;
        Str value = {text.p + end + 1, 0};
        while (end + 1 + value.n < text.n && !memchr(",()[ ", value.p[value.n], 5))
            value.n++;
        bool plain = end + 1 + value.n < text.n && memchr(",)", value.p[value.n], 2);
        return plain ? value : (Str){0};
    }
    return (Str){0};
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

/* Helpers that others call keep their defaults, too. */
static void count_in_helper(Defaults *d, Str text) {
    for (size_t i = 0; i < text.n; i++) {
        Str word = word_at(text, i);
        Called *c = word.n ? map_get(&d->called, word) : NULL;
        if (c && c->text.p != text.p)
            c->fixed = true;
    }
}

/* ---- changing ----------------------------------------------------------------------- */

static void drop_keywords(void *user, const Expr *x) {
    Defaults *d = user;
    const Called *c = called_by(d, x);
    if (!c || c->fixed)
        return;
    for (uint32_t i = x->n; i-- > 1;) {
        if (x->kids[i]->kind != EX_KEYWORD)
            break;
        const Usual *u = usual_of(d, x->kids[0]->text, x->kids[i]->text);
        if (u && u->count == c->calls && default_in(c->text, x->kids[i]->text).n)
            ex_drop_arg(x, i);
    }
}

/* The definition with the new defaults. */
static Str with_defaults(Defaults *d, Str name, const Called *c) {
    Text t = {.arena = d->g->arena};
    Str text = c->text;
    size_t done = 0, i = 0;
    while (i < text.n && text.p[i] != '(')
        i++;
    for (; i < text.n && text.p[i] != ')'; i++) {
        Str word = word_at(text, i);
        Str old = word.n ? default_in(text, word) : (Str){0};
        const Usual *u = old.n ? usual_of(d, name, word) : NULL;
        if (!u || !u->value || u->count != c->calls)
            continue;
        size_t at = (size_t)(old.p - text.p);
        text_str(&t, (Str){text.p + done, at - done});
        text_str(&t, u->value->text);
        done = at + old.n;
    }
    text_str(&t, (Str){text.p + done, text.n - done});
    return text_view(&t);
}

/* ---- everything --------------------------------------------------------------------- */

static void each_in(const Stmts *list, void (*visit)(void *, const Expr *),
                    void *user) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        if (s->expr)
            ex_each(s->expr, visit, user);
        if (!s->function)
            continue;
        each_in(&s->function->body, visit, user);
        ex_each(s->function->result, visit, user);
    }
}

static void each_in_module(Defaults *d, const Expr *result,
                           void (*visit)(void *, const Expr *)) {
    Gen *g = d->g;
    for (size_t i = 0; i < g->functions.count; i++) {
        const Function *f = g->functions.items[i];
        each_in(&f->prelude, visit, d);
        each_in(&f->scope.body, visit, d);
        ex_each(f->scope.result, visit, d);
    }
    each_in(&g->prelude, visit, d);
    each_in(&g->scope->body, visit, d);
    ex_each(result, visit, d);
}

void gen_move_defaults(Gen *g, const Expr *result) {
    Defaults d = {g, {.arena = g->arena}, {.arena = g->arena}};
    for (size_t i = 0; i < g->helper_order.count; i++) {
        Called *c = ARENA_NEW(g->arena, Called);
        if (!c)
            return;
        c->text = g->helper_order.items[i].text;
        map_set(&d.called, g->helper_order.items[i].name, c);
    }
    if (!g->helper_order.count)
        return;
    for (size_t i = 0; i < g->helper_order.count; i++)
        count_in_helper(&d, g->helper_order.items[i].text);
    each_in_module(&d, result, count);
    each_in_module(&d, result, drop_keywords);
    for (size_t i = 0; i < g->helper_order.count; i++) {
        UsedHelper *helper = &g->helper_order.items[i];
        const Called *c = map_get(&d.called, helper->name);
        if (c && c->calls && !c->fixed)
            helper->text = with_defaults(&d, helper->name, c);
    }
}
