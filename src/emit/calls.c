/* Calls of the functions that stand for repeated modules. */
#include "emit/gen.h"

Function *gen_function_of(const Block *b) {
    Function *f = b->kind->code;
    while (f->twin)
        f = f->twin;
    return f;
}

const Expr *gen_range(Gen *g, int64_t first, int64_t end) {
    return EX(g->arena, "range($($0, )$1)", first ? ex_int(g->arena, first) : NULL,
              ex_int(g->arena, end));
}

void gen_list_params(Gen *g, const Block *b) {
    for (uint32_t i = b->first; !g->function && i < b->first + b->count; i++) {
        const Node *n = g->m->graph->nodes[i];
        for (uint32_t k = 0; k < n->n_in; k++)
            if (n->in[k] && n->in[k]->kind == VALUE_PARAM && !node_is_fixed(n, k))
                (void)gen_add_param(g, n->in[k]);
    }
}

Str gen_relative_path(const Gen *g, const Block *b) {
    Str path = b->part->path;
    const char *call = memchr(path.p, '@', path.n);
    if (call)
        path.n = (size_t)(call - path.p);
    if (g->function) {
        size_t around = g->function->kind->blocks[0]->part->path.n + 1;
        path = (Str){path.p + around, path.n - around};
    }
    return path;
}

const Expr *gen_params_of(Gen *g, const Block *b) {
    if (!gen_function_of(b)->uses_params)
        return NULL;
    Str path = gen_relative_path(g, b);
    const Expr *params = gen_module_of(g, &path);
    return gen_params_below(g, params, path);
}

const Expr *gen_call(Gen *g, const Block *b, const Expr *params,
                     const Expr *const *args) {
    const Function *own = b->kind->code;
    Function *f = gen_function_of(b);
    size_t n = 0;
    const Expr **items =
        ARENA_ARRAY(g->arena, own->n_args + own->sizes.count + f->differs.n_choices + 1,
                    const Expr *);
    if (!items)
        return ex_none();
    if (f->uses_params)
        items[n++] = params;
    for (size_t i = 0; i < own->n_args; i++)
        items[n++] =
            args && args[i] ? args[i] : gen_value(g, b->in[own->args[i]], false);
    for (size_t i = 0; i < own->sizes.count; i++)
        items[n++] = gen_symbol(g, own->sizes.items[i]);
    n += gen_choices(g, b, items + n);
    if (g->function && f->uses_params)
        g->function->uses_params = true;
    if (g->function && own->run_time)
        g->function->run_time = true;
    return gen_note_call(
        g, ex_call(g->arena, ex_name(g->arena, f->scope.name), items, n), f);
}

const Expr *gen_targets(Gen *g, const Expr *const *targets, size_t n) {
    return n == 1 ? targets[0]
                  : ex_bare(g->arena, ex_seq(g->arena, EX_TUPLE, targets, n));
}
