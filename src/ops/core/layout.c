/* Strided walks over small tensors, and expressions of subscripts and shapes. */
#include "ops/core/layout.h"

/* ---- evaluation ------------------------------------------------------------------ */

bool strided_of(const Value *v, Strided *s) {
    if (!v || v->type.kind != TYPE_TENSOR || v->type.rank > OX_MAX_RANK ||
        !type_is_static(&v->type))
        return false;
    *s = (Strided){.rank = v->type.rank};
    int64_t count = 1;
    bool fits = true;
    for (int i = s->rank - 1; i >= 0; i--) {
        s->size[i] = v->type.dims[i].c;
        s->stride[i] = count;
        fits &= s->size[i] >= 0 && s->size[i] <= KNOWN_MAX && count <= KNOWN_MAX;
        count = fits ? count * s->size[i] : count;
    }
    return fits && count <= KNOWN_MAX;
}

/* The number of steps of the walk; -1 when it is too large to track. */
static int64_t walk_count(const Strided *w) {
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++) {
        if (w->size[i] < 0 || w->size[i] > KNOWN_MAX)
            return -1;
        count *= w->size[i];
        if (count > KNOWN_MAX)
            return -1;
    }
    return count;
}

void eval_strided(Model *m, Node *n, int in, int out, const Strided *walk) {
    size_t map[KNOWN_MAX];
    int64_t count = in_known(n, in) ? walk_count(walk) : -1;
    if (count < 0)
        return;
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, at = walk->base;
        for (int axis = walk->rank - 1; axis >= 0; axis--) {
            at += rest % walk->size[axis] * walk->stride[axis];
            rest /= walk->size[axis];
        }
        if (at < 0)
            return;
        map[i] = (size_t)at;
    }
    eval_pick(m, n, in, out, map, (size_t)count);
}

void eval_copy(Model *m, Node *n) {
    (void)m;
    if (in_known(n, 0))
        set_known(n, 0, in_known(n, 0));
}

void infer_identity(Model *m, Node *n) {
    (void)m;
    if (node_in(n, 0) && node_out(n, 0))
        n->out[0]->type = n->in[0]->type;
}

/* ---- reading --------------------------------------------------------------------- */

bool known_int(const Node *n, int in, size_t i, int64_t *value) {
    const Known *k = in_known(n, in);
    if (!k || i >= k->n)
        return false;
    if (k->ints) {
        *value = k->ints[i].c;
        return dim_is_int(k->ints[i]);
    }
    double x = k->floats[i];
    if (!(x > -9e15 && x < 9e15))
        return false;
    *value = (int64_t)x;
    return true;
}

static bool fixed_are_ints(Model *m, const Node *n) {
    const char *at = n->op->fixed;
    OpSlot slot;
    while (op_spec_next(&at, &slot)) {
        DType dtype = in_dtype(n, op_input_index(n->op, slot.name));
        if (!dtype || dtype_is_int(dtype))
            continue;
        node_error(m, n, OX0401, "", "%.*s holds %s, not integers", (int)slot.name.n,
                   slot.name.p, dtype_info(dtype)->name);
        return false;
    }
    return true;
}

bool lists_are_valid(Model *m, const Node *n) {
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const Attr *a = &n->attrs[i];
        if (a->type != ATTR_INTS || a->ints.count <= 2 * OX_MAX_RANK)
            continue;
        node_error(m, n, OX0401, "", "attribute %.*s has %zu entries", (int)a->name.n,
                   a->name.p, a->ints.count);
        return false;
    }
    return fixed_are_ints(m, n);
}

bool sizes_are_valid(Model *m, const Node *n, const Shape *s) {
    for (int i = 0; i < s->rank; i++) {
        if (!dim_is_int(s->d[i]) || s->d[i].c >= 0)
            continue;
        node_error(m, n, OX0401, "", "axis %d has the size %lld", i,
                   (long long)s->d[i].c);
        return false;
    }
    return true;
}

bool is_unchanged(const Node *n, int out) {
    const Value *x = node_in(n, 0), *y = node_out(n, out);
    return x && y && type_same_shape(&x->type, &y->type);
}

typedef struct OwnSearch {
    const Node *node;
    bool found;
} OwnSearch;

static void visit_symbol(void *user, const Symbol *s) {
    OwnSearch *search = user;
    search->found |= s->value && s->value->def == search->node;
}

bool dim_is_own(const Node *n, Dim d) {
    OwnSearch search = {n, false};
    dim_each_symbol(d, visit_symbol, &search);
    return search.found;
}

bool shape_is_given(const Node *n, int out) {
    const Value *y = node_out(n, out);
    if (!y || y->type.kind != TYPE_TENSOR || y->type.rank < 0)
        return false;
    for (int i = 0; i < y->type.rank; i++)
        if (dim_is_own(n, y->type.dims[i]))
            return false;
    return true;
}

/* ---- expressions ----------------------------------------------------------------- */

const Expr *ex_method(Arena *a, const Expr *object, const char *name,
                      const Expr *const *args, size_t n) {
    return ex_call(a, ex_attribute(a, object, str_from(name)), args, n);
}

const Expr *ex_method_object(const Expr *x, const char *name) {
    const Expr *method = x->kind == EX_CALL ? x->kids[0] : NULL;
    return method && method->kind == EX_ATTRIBUTE && str_is(method->text, name)
               ? method->kids[0]
               : NULL;
}

const Expr *ex_method_spread(Arena *a, const Expr *object, const char *name,
                             const Expr *tuple) {
    if (tuple->kind == EX_TUPLE && tuple->n > 0)
        return ex_method(a, object, name, tuple->kids, tuple->n);
    return ex_method(a, object, name, &tuple, 1);
}

static bool is_name(const Expr *x, const char *text) {
    return x->kind == EX_NAME && str_is(x->text, text);
}

bool ex_is_none(const Expr *x) {
    return x && is_name(x, "None");
}

bool ex_cuts(const Expr *x, const Expr **items, int rank) {
    int n = x->kind == EX_INDEX ? (int)x->n - 1 : 0, at = 0;
    if (n < 1 || n > rank + 1)
        return false;
    for (int i = 0; i < rank; i++)
        items[i] = NULL;
    for (int i = 0; i < n; i++) {
        const Expr *item = x->kids[i + 1];
        if (is_name(item, "...")) {
            at += rank + 1 - n;
            continue;
        }
        if (at >= rank || (item->kind != EX_SLICE && !ex_is_none(item)))
            return false;
        bool whole =
            !ex_is_none(item) && !item->kids[0] && !item->kids[1] && !item->kids[2];
        items[at++] = whole ? NULL : item;
    }
    return true;
}

/* x[:, 1:][..., None] is x[:, 1:, None]: puts the items of x in front of those given,
 * where no axis has two, and returns what x indexes; else x. */
static const Expr *merge_items(const Expr *x, const Expr **items, int count) {
    const Expr *old[OX_MAX_RANK], *both[OX_MAX_RANK];
    int rank = 0, at = 0;
    bool adds = false;
    for (int i = 0; i < count; i++)
        rank += !ex_is_none(items[i]);
    if (!ex_cuts(x, old, rank))
        return x;
    for (int i = 0; i < rank; i++)
        adds |= ex_is_none(old[i]);
    for (int i = 0; i < count; i++) {
        both[i] = ex_is_none(items[i]) ? items[i] : old[at++];
        if (!items[i] || ex_is_none(items[i]))
            continue;
        bool cuts = items[i]->kind == EX_SLICE || items[i]->kind == EX_INT;
        if (both[i] || (adds && !cuts))
            return x;
        both[i] = items[i];
    }
    memcpy(items, both, (size_t)count * sizeof *items);
    return x->kids[0];
}

const Expr *ex_subscript(Arena *a, const Expr *x, const Expr *const *given, int count) {
    const Expr *list[OX_MAX_RANK + 1], *items[OX_MAX_RANK];
    memcpy(items, given, (size_t)count * sizeof *items);
    x = merge_items(x, items, count);
    int first = 0, end = count;
    while (first < count && !items[first])
        first++;
    while (end > first && !items[end - 1])
        end--;
    if (first == end)
        return x;
    size_t n = 0;
    bool ellipsis = count - first + 1 < end;
    if (ellipsis)
        list[n++] = ex_name(a, STR("..."));
    const Expr *all = ex_slice(a, NULL, NULL, NULL);
    for (int i = ellipsis ? first : 0; i < (ellipsis ? count : end); i++)
        list[n++] = items[i] ? items[i] : all;
    return ex_index(a, x, list, n);
}

const Expr *emit_dims(Emit *e, const Dim *dims, int rank) {
    const Expr *items[OX_MAX_RANK];
    for (int i = 0; i < rank; i++)
        items[i] = emit_dim(e, dims[i]);
    return ex_seq(emit_arena(e), EX_TUPLE, items, (size_t)rank);
}

const Expr *ex_axes(Arena *a, const int64_t *axes, size_t n) {
    return n == 1 ? ex_int(a, axes[0]) : ex_ints(a, EX_TUPLE, axes, n);
}
