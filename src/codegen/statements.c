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
