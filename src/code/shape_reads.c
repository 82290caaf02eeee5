/* Sizes of one array are read together:
 *
 *     batch = x.shape[0]
 *     height = x.shape[2]      ->      batch, _, height, width = x.shape
 *     width = x.shape[3]
 *
 * where the lines follow each other, and at most one axis between them is left out. */
#include "code/program.h"

enum { AXES_MAX = 8, RUN_MAX = 32 };

/* `name = x.shape[axis]`: x.shape; NULL for any other statement. */
static const Expr *array_of(const Stmt *s, int64_t *axis) {
    const Expr *x = s->expr;
    if (s->kind != ST_ASSIGN || !str_is(s->text, "=") || s->target->kind != EX_NAME ||
        s->comment || x->kind != EX_INDEX || x->n != 2 || x->kids[1]->kind != EX_INT)
        return NULL;
    const Expr *shape = x->kids[0];
    *axis = x->kids[1]->i;
    bool of_name = shape->kind == EX_ATTRIBUTE && str_is(shape->text, "shape") &&
                   shape->kids[0]->kind == EX_NAME;
    return of_name && *axis >= 0 && *axis < AXES_MAX ? shape : NULL;
}

static int rank_of(const Def *def, Str name) {
    for (size_t i = 0; i < def->n_params; i++)
        if (str_eq(def->params[i].name, name))
            return def->params[i].rank;
    return 0;
}

/* shape, shape[:stop], shape[start:] or shape[start:stop] */
static const Expr *axes_of(Arena *a, const Expr *shape, int start, int stop, int rank) {
    if (start == 0 && stop == rank)
        return shape;
    const Expr *slice = ex_slice(a, start ? ex_int(a, start) : NULL,
                                 stop == rank ? NULL : ex_int(a, stop), NULL);
    return ex_index(a, shape, &slice, 1);
}

/* Of n statements that read sizes, those of the array of the first become one statement,
 * behind which the others stand, at the end of the n places.  Returns how many went. */
static size_t join(Arena *a, const Def *def, Stmt *all, size_t n) {
    Str names[AXES_MAX] = {{0}};
    int64_t axis = 0;
    const Expr *shape = array_of(all, &axis);
    int count = 0, start = AXES_MAX, stop = 0;
    for (size_t i = 0; i < n; i++) {
        if (!ex_same(array_of(&all[i], &axis), shape))
            continue;
        if (names[axis].n)
            return 0;
        names[axis] = all[i].target->text;
        start = axis < start ? (int)axis : start;
        stop = axis >= stop ? (int)axis + 1 : stop;
        count++;
    }
    if (count < 2 || stop - start > count + 1)
        return 0;
    for (int i = start; i < stop; i++)
        names[i] = names[i].n ? names[i] : STR("_");
    Stmt joined = all[0];
    joined.target = code_targets(a, names + start, (size_t)(stop - start));
    joined.expr = axes_of(a, shape, start, stop, rank_of(def, shape->kids[0]->text));
    size_t at = n;
    for (size_t i = n; i-- > 1;)
        if (!ex_same(array_of(&all[i], &axis), shape))
            all[--at] = all[i];
    all[--at] = joined;
    return at;
}

/* How many statements from there on read sizes. */
static size_t run_at(const Stmts *list, size_t at) {
    size_t n = 0;
    int64_t axis = 0;
    while (n < RUN_MAX && at + n < list->count && array_of(&list->items[at + n], &axis))
        n++;
    return n;
}

void code_join_sizes(Arena *a, Def *def) {
    Stmts *list = &def->body;
    size_t kept = 0;
    for (size_t at = 0; at < list->count; at++) {
        size_t n = run_at(list, at);
        if (n > 1)
            at += join(a, def, &list->items[at], n);
        list->items[kept++] = list->items[at];
    }
    list->count = kept;
}
