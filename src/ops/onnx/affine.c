/* Integers that count along axes: what arange, and arithmetic with sizes, makes of them.
 * Source: ONNX operators Range, Cast, Add, Sub, Mul, Slice. */
#include "ops/onnx/affine.h"
#include "ops/core/layout.h"

static bool affine_at(Model *m, const Value *v, Affine *a, int depth);

static bool is_onnx(const Node *n, const char *op) {
    return !n->op->domain && str_is(n->op_type, op);
}

/* ---- elements that are known ------------------------------------------------------- */

/* The element at i in row-major order. */
static int64_t element_of(const Affine *a, const Strided *s, size_t i) {
    int64_t sum = a->start.c;
    for (int k = 0; k < s->rank; k++)
        sum += a->step[k].c * ((int64_t)i / s->stride[k] % s->size[k]);
    return sum;
}

/* No sum of few such numbers and sizes wraps around. */
static bool is_near(Dim d) {
    return !dim_is_int(d) || (d.c < 1 << 30 && d.c > -(1 << 30));
}

static bool affine_known(const Value *v, Affine *a) {
    const Known *k = v->known;
    Strided s;
    if (!k->n || !strided_of(v, &s))
        return false;
    for (size_t i = 0; i < k->n; i++)
        if (!dim_is_int(k->ints[i]) || !is_near(k->ints[i]))
            return false;
    a->start = k->ints[0];
    for (int i = 0; i < s.rank; i++)
        if (s.size[i] > 1)
            a->step[i] = dim_int(k->ints[s.stride[i]].c - k->ints[0].c);
    for (size_t i = 0; i < k->n; i++)
        if (element_of(a, &s, i) != k->ints[i].c)
            return false;
    return true;
}

/* A large table that counts up: the only such that is no parameter. */
static bool affine_table(const Value *v, Affine *a) {
    int found = 0;
    for (int i = 0; i < a->rank; i++)
        if (!dim_is(v->type.dims[i], 1)) {
            a->step[i] = dim_int(1);
            found++;
        }
    a->start = dim_int(tensor_i64(v->tensor, 0));
    return found == 1 && is_near(a->start);
}

/* ---- operators --------------------------------------------------------------------- */

/* Steps of x along the axes of t, to which it is broadcast. */
static bool spread(const Affine *x, const Type *from, const Type *t, Affine *a) {
    int more = t->rank - from->rank;
    *a = (Affine){.rank = t->rank, .start = x->start};
    for (int i = 0; i < from->rank; i++) {
        if (dim_is(from->dims[i], 1) || dim_is(x->step[i], 0))
            continue;
        if (!dim_eq(from->dims[i], t->dims[i + more]))
            return false;
        a->step[i + more] = x->step[i];
    }
    return more >= 0;
}

static bool input_at(Model *m, const Node *n, int i, const Type *t, Affine *a,
                     int depth) {
    Affine x;
    const Value *v = node_in(n, i);
    return v && affine_at(m, v, &x, depth) &&
           spread(&x, &value_final(n->in[i])->type, t, a);
}

/* a + sign * b */
static void add_to(Model *m, Affine *a, const Affine *b, int sign) {
    Dim (*with)(Dims *, Dim, Dim) = sign < 0 ? dim_sub : dim_add;
    a->start = with(&m->dims, a->start, b->start);
    for (int i = 0; i < a->rank; i++)
        a->step[i] = with(&m->dims, a->step[i], b->step[i]);
}

static bool is_constant(const Affine *a) {
    for (int i = 0; i < a->rank; i++)
        if (!dim_is(a->step[i], 0))
            return false;
    return true;
}

static void scale(Model *m, Affine *a, Dim by) {
    a->start = dim_mul(&m->dims, a->start, by);
    for (int i = 0; i < a->rank; i++)
        a->step[i] = dim_mul(&m->dims, a->step[i], by);
}

static bool affine_range(const Node *n, Affine *a) {
    const Known *from = in_known(n, 0), *by = in_known(n, 2);
    if (n->n_in != 3 || !from || !by || !from->ints || !by->ints || a->rank != 1)
        return false;
    a->start = from->ints[0];
    a->step[0] = by->ints[0];
    return true;
}

static bool affine_binary(Model *m, const Node *n, const Type *t, Affine *a,
                          int depth) {
    Affine b;
    if (!input_at(m, n, 0, t, a, depth) || !input_at(m, n, 1, t, &b, depth))
        return false;
    bool product = is_onnx(n, "Mul");
    if (!product)
        add_to(m, a, &b, is_onnx(n, "Sub") ? -1 : 1);
    else if (is_constant(&b))
        scale(m, a, b.start);
    else if (is_constant(a))
        scale(m, &b, a->start), *a = b;
    else
        return false;
    return true;
}

/* Axes of size 1 come or go: the others keep their order. */
static bool affine_moved(Model *m, const Node *n, const Type *t, Affine *a, int depth) {
    Affine x;
    const Value *v = value_final(n->in[0]);
    int at = 0;
    if (!affine_at(m, v, &x, depth))
        return false;
    a->start = x.start;
    for (int i = 0; i < t->rank; i++) {
        while (at < x.rank && dim_is(v->type.dims[at], 1))
            at++;
        if (dim_is(t->dims[i], 1))
            continue;
        if (at == x.rank || !dim_eq(v->type.dims[at], t->dims[i]))
            return false;
        a->step[i] = x.step[at++];
    }
    while (at < x.rank && dim_is(v->type.dims[at], 1))
        at++;
    return at == x.rank;
}

/* x[..., from:]: steps stay, and the end says nothing. */
static bool affine_slice(Model *m, const Node *n, const Type *t, Affine *a, int depth) {
    Ints from, axes, by;
    const Value *x = value_final(n->in[0]);
    if (!get_ints(n, "starts", &from) || !get_ints(n, "axes", &axes) ||
        from.n != axes.n || x->type.rank != t->rank || !affine_at(m, x, a, depth))
        return false;
    for (size_t i = 0; node_has(n, "steps") && i < axes.n; i++)
        if (!get_ints(n, "steps", &by) || by.n != axes.n || by.v[i] != 1)
            return false;
    for (size_t i = 0; i < axes.n; i++) {
        int64_t k = axes.v[i] + (axes.v[i] < 0 ? t->rank : 0);
        if (k < 0 || k >= t->rank || from.v[i] < 0)
            return false;
        Dim skipped = dim_mul(&m->dims, a->step[k], dim_int(from.v[i]));
        a->start = dim_add(&m->dims, a->start, skipped);
    }
    return true;
}

static bool affine_turned(Model *m, const Node *n, const int *perm, Affine *a,
                          int depth) {
    Affine x;
    if (!affine_at(m, n->in[0], &x, depth))
        return false;
    a->start = x.start;
    for (int i = 0; i < x.rank; i++)
        a->step[i] = x.step[perm[i]];
    return true;
}

static bool affine_made(Model *m, const Node *n, const Type *t, Affine *a, int depth) {
    uint64_t mask;
    int perm[OX_MAX_RANK];
    if (!n->op || !n->n_in || !n->in[0])
        return false;
    if (n->op->permutes)
        return n->op->permutes(n, perm) && affine_turned(m, n, perm, a, depth);
    if (is_onnx(n, "Range"))
        return affine_range(n, a);
    if (is_onnx(n, "Add") || is_onnx(n, "Sub") || is_onnx(n, "Mul"))
        return affine_binary(m, n, t, a, depth);
    if (n->op->facts & OP_WIDENS || is_onnx(n, "Cast"))
        return input_at(m, n, 0, t, a, depth);
    if (is_onnx(n, "Slice"))
        return affine_slice(m, n, t, a, depth);
    bool moved = n->op->facts & OP_RESHAPES || is_onnx(n, "Squeeze") ||
                 (n->op->inserts && n->op->inserts(n, &mask));
    return moved && affine_moved(m, n, t, a, depth);
}

static bool affine_at(Model *m, const Value *v, Affine *a, int depth) {
    enum { AFFINE_DEPTH = 10 };
    v = value_final((Value *)(uintptr_t)v);
    const Type *t = &v->type;
    DTypeClass cls =
        t->kind == TYPE_TENSOR && t->dtype ? dtype_info(t->dtype)->cls : DC_BOOL;
    if (cls != DC_INT || dtype_info(t->dtype)->bits < 32 || t->rank < 0 ||
        v->is_assumed || depth > AFFINE_DEPTH) /* a declared size proves nothing */
        return false;
    *a = (Affine){.rank = t->rank, .start = dim_int(0)};
    if (v->splat && v->splat->ints && is_near(v->splat->ints[0])) {
        a->start = v->splat->ints[0];
        return true;
    }
    if (v->known && v->known->ints && affine_known(v, a))
        return true;
    *a = (Affine){.rank = t->rank, .start = dim_int(0)};
    if (v->kind == VALUE_CONST && v->tensor && !v->known && !v->splat)
        return affine_table(v, a);
    return v->def && affine_made(m, v->def, t, a, depth + 1);
}

bool affine_of(Model *m, const Value *v, Affine *a) {
    bool found = affine_at(m, v, a, 0);
    return !dims_take_overflow(&m->dims) && found;
}

/* ---- comparisons ------------------------------------------------------------------- */

bool affine_difference(Model *m, const Node *n, Affine *difference) {
    Affine b;
    const Type *t = &n->out[0]->type;
    if (n->n_in != 2 || t->rank < 0 || n->out[0]->is_assumed ||
        !input_at(m, n, 0, t, difference, 0) || !input_at(m, n, 1, t, &b, 0)) {
        dims_take_overflow(&m->dims);
        return false;
    }
    add_to(m, difference, &b, -1);
    return !dims_take_overflow(&m->dims);
}

/* The sum of what each axis adds at most (sign 1) or at least (-1). */
static bool extreme(Model *m, const Affine *d, const Type *t, int sign, Dim *sum) {
    Dims *ds = &m->dims;
    *sum = d->start;
    for (int i = 0; i < d->rank; i++) {
        int64_t low, high;
        bool up = dim_lower_bound(ds, d->step[i], &low) && low >= 0;
        bool down = dim_upper_bound(ds, d->step[i], &high) && high <= 0;
        if (!up && !down)
            return false;
        if (sign > 0 ? !down : !up)
            *sum = dim_add(
                ds, *sum, dim_mul(ds, d->step[i], dim_sub(ds, t->dims[i], dim_int(1))));
    }
    return !dims_take_overflow(ds);
}

int affine_decides(Model *m, const Affine *d, const Type *t, unsigned order) {
    Dim least, most;
    int64_t low = INT64_MIN, high = INT64_MAX;
    bool known = extreme(m, d, t, -1, &least) && extreme(m, d, t, 1, &most);
    if (!known)
        return -1;
    if (!dim_lower_bound(&m->dims, least, &low))
        low = INT64_MIN;
    if (!dim_upper_bound(&m->dims, most, &high))
        high = INT64_MAX;
    unsigned may = (low < 0 ? ORDER_LESS : 0) | (high > 0 ? ORDER_GREATER : 0) |
                   (low <= 0 && high >= 0 ? ORDER_EQUAL : 0);
    return !(may & ~order) ? 1 : may & order ? -1 : 0;
}
