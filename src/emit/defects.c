/* What can be wrong with the code of one node through a slip in its row or callback.  A
 * release reports templates that do not parse and expressions that lack a part; a debug
 * build also names that mean nothing, as a misspelt helper's, which would be a NameError
 * when the file runs. */
#include "emit/emit.h"

/* Calls visit on the expressions of a node: its outputs, and what its callback named. */
static void each_expr(const Emit *e, void (*visit)(void *user, const Expr *x),
                      void *user) {
    const Stmts *body = &e->g->scope->body;
    for (size_t i = e->first; i < body->count; i++)
        if (body->items[i].expr)
            visit(user, body->items[i].expr);
    for (uint32_t k = 0; k < e->node->n_out; k++)
        if (e->outs[k])
            visit(user, e->outs[k]);
    if (e->tuple)
        visit(user, e->tuple);
}

typedef struct Count {
    const Expr *wanted;
    int count;
} Count;

static void add_count(void *user, const Expr *x) {
    Count *c = user;
    c->count += ex_count(x, c->wanted);
}

bool is_spliced_twice(const Emit *e) {
    for (size_t i = 0; i < e->n_spliced; i++) {
        Count c = {.wanted = e->g->code[e->spliced[i]->id].expr};
        each_expr(e, add_count, &c);
        if (c.count > 1 && !ex_is_free(c.wanted))
            return true;
    }
    return false;
}

/* ---- names -------------------------------------------------------------------------- */

/* Parameters of the lambdas around an expression. */
typedef struct Bound {
    Str names; /* "x, y" */
    const struct Bound *around;
} Bound;

static bool is_bound(const Bound *b, Str name) {
    for (; b; b = b->around)
        for (size_t i = 0; i + name.n <= b->names.n; i++) {
            bool starts = i == 0 || !char_is_word(b->names.p[i - 1]);
            size_t end = i + name.n;
            bool ends = end == b->names.n || !char_is_word(b->names.p[end]);
            if (starts && ends && memcmp(b->names.p + i, name.p, name.n) == 0)
                return true;
        }
    return false;
}

/* The first name below x that means nothing; empty: there is none. */
static Str unknown_name(Gen *g, const Expr *x, const Bound *around) {
    if (x->kind == EX_NAME) {
        Str name = str_before(x->text, '.');
        bool known = str_is(x->text, "...") || is_bound(around, name) ||
                     gen_is_known_name(g, name);
        return known ? (Str){0} : name;
    }
    Bound own = {x->text, around};
    for (uint32_t i = 0; i < x->n; i++) {
        const Bound *bound = x->kind == EX_LAMBDA ? &own : around;
        Str name = x->kids[i] ? unknown_name(g, x->kids[i], bound) : (Str){0};
        if (name.n)
            return name;
    }
    return (Str){0};
}

static void check_names(void *user, const Expr *x) {
    const Emit *e = user;
    Str name = unknown_name(e->g, x, NULL);
    if (name.n)
        node_defect(e->node, "its code names %.*s, which is no helper", (int)name.n,
                    name.p);
}

void find_defects(const Emit *e) {
    if (e->g->arena->defect)
        node_defect(e->node, "%s", e->g->arena->defect);
    if (OX_CHECKS)
        each_expr(e, check_names, (void *)(uintptr_t)e);
}
