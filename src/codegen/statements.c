/* Prints the statements of a function. */
#include "codegen/gen.h"

/* for i in range(12): */
static void print_loop(Text *t, int level, const Stmt *s) {
    text_printf(t, "%*sfor %.*s in range(", level * PRINT_INDENT, "", (int)s->index.n,
                s->index.p);
    if (s->first)
        text_printf(t, "%lld, ", (long long)s->first);
    text_printf(t, "%lld):\n", (long long)s->end);
    print_assign(t, level + 1, s->targets, s->n_targets, s->expr);
}

static void print_simple(Text *t, int level, const Stmt *s) {
    if (s->index.n)
        print_loop(t, level, s);
    else
        print_assign(t, level, s->targets, s->n_targets, s->expr);
}

static bool same_names(const Str *a, size_t n_a, const Str *b, size_t n_b) {
    bool same = n_a == n_b;
    for (size_t i = 0; same && i < n_a; i++)
        same = str_eq(a[i], b[i]);
    return same;
}

static bool same_statement(const Stmt *a, const Stmt *b) {
    if (!a->function != !b->function)
        return false;
    if (a->function)
        return str_eq(a->function->name, b->function->name) &&
               gen_same_code(a->function, b->function);
    return str_eq(a->index, b->index) && a->first == b->first && a->end == b->end &&
           same_names(a->targets, a->n_targets, b->targets, b->n_targets) &&
           ex_same(a->expr, b->expr);
}

bool gen_same_statements(const Stmts *a, const Stmts *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = same_statement(&a->items[i], &b->items[i]);
    return same;
}

bool gen_same_code(const Scope *a, const Scope *b) {
    return same_names(a->params, a->n_params, b->params, b->n_params) &&
           gen_same_statements(&a->body, &b->body) && ex_same(a->result, b->result);
}

/* Local functions are set off by empty lines. */
void gen_print_statements(Text *t, int level, const Stmts *list, bool first) {
    bool after_function = first;
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        if (!s->function) {
            print_simple(t, level, s);
            after_function = false;
            continue;
        }
        if (!after_function)
            text_char(t, '\n');
        print_def(t, level, s->function->name, s->function->params,
                  s->function->n_params);
        gen_print_statements(t, level + 1, &s->function->body, true);
        print_return(t, level + 1, s->function->result);
        text_char(t, '\n');
        after_function = true;
    }
}
