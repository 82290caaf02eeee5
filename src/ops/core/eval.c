/* Evaluation of small tensors at compile time: the services that the evaluators of the
 * families share.  Integers are Dims and may hold symbols; floats are doubles rounded
 * to the element type after every operation, as the run-time arithmetic would. */
#include "ops/core/evals.h"

#include <math.h>

const Known *in_known(const Node *n, int i) {
    const Value *v = node_in(n, i);
    return v ? v->known : NULL;
}

bool in_is_zero(const Node *n, int i) {
    const Value *v = node_in(n, i);
    if (!v || !v->splat)
        return false;
    return v->splat->floats ? v->splat->floats[0] == 0 : dim_is(v->splat->ints[0], 0);
}

void set_known(Node *n, int out, const Known *k) {
    Value *v = node_out(n, out);
    if (v)
        v->known = k;
}

void set_splat(Node *n, int out, const Known *one) {
    Value *v = node_out(n, out);
    if (v)
        v->splat = one;
}

bool int_fits(DType dtype, int64_t x) {
    const DTypeInfo *info = dtype_info(dtype);
    if (info->cls == DC_BOOL)
        return x == 0 || x == 1;
    if (info->cls == DC_UINT)
        return x >= 0 && (info->bits >= 63 || x >> info->bits == 0);
    return info->bits >= 64 || (x >> (info->bits - 1)) == (x < 0 ? -1 : 0);
}

/* ---- element by element ------------------------------------------------------------
 */

static bool known_count(const Shape *s, size_t *count) {
    *count = 1;
    for (int i = 0; i < s->rank; i++) {
        if (!dim_is_int(s->d[i]) || s->d[i].c < 0 ||
            !size_mul(*count, (size_t)s->d[i].c, count) || *count > KNOWN_MAX)
            return false;
    }
    return s->rank >= 0;
}

bool walk_open(Walk *w, const Node *n) {
    const Value *out = node_out(n, 0);
    if (!out || out->type.kind != TYPE_TENSOR || out->type.rank < 0 ||
        out->type.rank > OX_MAX_RANK || n->n_in > WALK_MAX)
        return false;
    w->args = (int)n->n_in;
    w->out.rank = out->type.rank;
    for (int i = 0; i < w->out.rank; i++)
        w->out.d[i] = out->type.dims[i];
    for (int k = 0; k < w->args; k++) {
        size_t count;
        w->in[k] = in_known(n, k);
        if (!w->in[k] || !in_shape(n, k, &w->shape[k]) ||
            w->shape[k].rank > w->out.rank || !known_count(&w->shape[k], &count) ||
            count != w->in[k]->n)
            return false;
    }
    return known_count(&w->out, &w->count);
}

size_t walk_index(const Walk *w, int k, size_t i) {
    const Shape *s = &w->shape[k];
    size_t index = 0, stride = 1;
    for (int axis = w->out.rank - 1, a = s->rank - 1; a >= 0; axis--, a--) {
        size_t size = (size_t)w->out.d[axis].c, own = (size_t)s->d[a].c;
        index += own == 1 ? 0 : (i % size) * stride;
        i /= size;
        stride *= own;
    }
    return index;
}

static bool one_int(Model *m, const Walk *w, size_t i, DType dtype, EvalInt f, Dim *r) {
    Dim args[WALK_MAX];
    for (int k = 0; k < w->args; k++)
        args[k] = w->in[k]->ints[walk_index(w, k, i)];
    return f(m, args, r) && !dims_take_overflow(&m->dims) &&
           (!dim_is_int(*r) || int_fits(dtype, r->c));
}

static bool all_ints(Model *m, const Walk *w, DType dtype, EvalInt f, Known *k) {
    if (!f || !k->ints)
        return w->count == 0;
    for (size_t i = 0; i < w->count; i++)
        if (!one_int(m, w, i, dtype, f, &known_ints(k)[i]))
            return false;
    return true;
}

static bool all_floats(const Walk *w, DType dtype, EvalFloat f, Known *k) {
    if (!f)
        return w->count == 0;
    for (size_t i = 0; i < w->count; i++) {
        double args[WALK_MAX], r;
        for (int a = 0; a < w->args; a++)
            args[a] = w->in[a]->floats[walk_index(w, a, i)];
        if (!f(args, &r))
            return false;
        if (k->ints)
            known_ints(k)[i] = dim_int((int64_t)r);
        else if (dtype_round(dtype, &r))
            known_floats(k)[i] = r;
        else
            return false;
    }
    return true;
}

/* All inputs hold floats, or all hold integers. */
static bool one_class(const Walk *w, bool *floats) {
    *floats = w->args > 0 && w->in[0]->floats;
    for (int k = 0; k < w->args; k++)
        if (w->in[k]->n && !!w->in[k]->floats != *floats)
            return false;
    return true;
}

void eval_elementwise(Model *m, Node *n, EvalInt ints, EvalFloat floats) {
    Walk w;
    bool is_float;
    if (!walk_open(&w, n) || !one_class(&w, &is_float))
        return;
    DType dtype = n->out[0]->type.dtype;
    Known *k = known_new(m, dtype, w.count);
    if (k &&
        (is_float ? all_floats(&w, dtype, floats, k) : all_ints(m, &w, dtype, ints, k)))
        set_known(n, 0, k);
}

void eval_pick(Model *m, Node *n, int in, int out, const size_t *map, size_t count) {
    const Known *from = in_known(n, in);
    const Value *to = node_out(n, out);
    Known *k = from && to ? known_new(m, to->type.dtype, count) : NULL;
    if (!k || (count && (!k->ints != !from->ints || !k->floats != !from->floats)))
        return;
    for (size_t i = 0; i < count; i++) {
        if (map[i] >= from->n)
            return;
        if (k->ints)
            known_ints(k)[i] = from->ints[map[i]];
        else
            known_floats(k)[i] = from->floats[map[i]];
    }
    set_known(n, out, k);
}
