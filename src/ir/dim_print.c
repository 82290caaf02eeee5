/* Symbols of a dimension, and its text for messages and inspect. */
#include "ir/dim.h"

#include "ir/ir.h"

static void each_symbol(const Atom *atom, void (*visit)(void *user, const Symbol *s),
                        void *user) {
    if (atom->kind == ATOM_SYMBOL) {
        visit(user, atom->symbol);
        return;
    }
    dim_each_symbol(atom->a, visit, user);
    dim_each_symbol(atom->b, visit, user);
}

void dim_each_symbol(Dim d, void (*visit)(void *user, const Symbol *s), void *user) {
    for (uint32_t i = 0; d.poly && i < d.poly->n; i++)
        for (uint32_t k = 0; k < d.poly->terms[i].n; k++)
            each_symbol(d.poly->terms[i].atoms[k], visit, user);
}

/* Inside floor(p/q) a sum or product needs parentheses of its own. */
static void print_operand(Text *t, Dim d, bool divisor) {
    bool sum = d.poly && d.poly->n > 1;
    bool product = d.poly && (d.poly->terms[0].n > 1 || d.poly->terms[0].coef != 1);
    bool wrap = sum || (divisor && product);
    text_lit(t, wrap ? "(" : "");
    dim_print(t, d);
    text_lit(t, wrap ? ")" : "");
}

void dim_print_symbol(Text *t, const Symbol *s) {
    Str name = s->name.n ? s->name : s->value ? s->value->name : STR("?");
    bool counted = s->axis == SYMBOL_SELF && s->value->type.kind == TYPE_SEQUENCE;
    text_printf(t, counted ? "len(%.*s)" : "%.*s", (int)name.n, name.p);
    if (s->axis == SYMBOL_RANK)
        text_lit(t, ".ndim");
    else if (!s->name.n && s->axis != SYMBOL_SELF)
        text_printf(t, "[%d]", s->axis);
}

static void print_atom(Text *t, const Atom *atom) {
    static const char *const open[] = {"", "floor(", "mod(", "min(", "max("};
    if (atom->kind == ATOM_SYMBOL) {
        dim_print_symbol(t, atom->symbol);
        return;
    }
    bool floor = atom->kind == ATOM_FLOORDIV;
    text_lit(t, open[atom->kind]);
    floor ? print_operand(t, atom->a, false) : dim_print(t, atom->a);
    text_lit(t, floor ? "/" : ", ");
    floor ? print_operand(t, atom->b, true) : dim_print(t, atom->b);
    text_char(t, ')');
}

static void print_monomial(Text *t, const Monomial *m, bool first) {
    bool negative = m->coef < 0;
    uint64_t size = negative ? 0 - (uint64_t)m->coef : (uint64_t)m->coef;
    text_lit(t, first ? (negative ? "-" : "") : negative ? " - " : " + ");
    if (size != 1 || m->n == 0)
        text_printf(t, "%llu", (unsigned long long)size);
    for (uint32_t i = 0; i < m->n; i++) {
        text_lit(t, i > 0 || size != 1 ? "*" : "");
        print_atom(t, m->atoms[i]);
    }
}

void dim_print(Text *t, Dim d) {
    if (dim_is_int(d))
        text_printf(t, "%lld", (long long)d.c);
    for (uint32_t i = 0; d.poly && i < d.poly->n; i++)
        print_monomial(t, &d.poly->terms[i], i == 0);
}
