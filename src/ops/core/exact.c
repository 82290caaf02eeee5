/* Floats that follow from sizes: the limit of arange(x.shape[1], dtype=float32), the
 * height times 1.5, the root of a number of tokens.  Where they are quotients of sizes,
 * they stay so; a single one that is not, Python computes while JAX traces. */
#include "ops/core/exact.h"

#include "ops/core/evals.h"

enum {
    REALS_MAX = 64, /* elements */
    SHADOW_INPUTS_MAX = 8,
    CONST_NUM_MAX = 1024, /* products of sizes with larger ones may be rounded */
    CONST_DEN_MAX = 4096,
    DEPTH_MAX = 16 /* numbers computed from each other */
};

/* A constant as a quotient; false where a product with it could be rounded. */
static bool quotient_of(double x, Real *r) {
    int64_t den = 1;
    while (den < CONST_DEN_MAX && x * (double)den != (double)(int64_t)(x * (double)den))
        den *= 2;
    double num = x * (double)den;
    if (!(num >= -CONST_NUM_MAX && num <= CONST_NUM_MAX) || num != (double)(int64_t)num)
        return false;
    *r = (Real){dim_int((int64_t)num), den, REAL_EXACT};
    return true;
}

static bool is_wide_float(DType dtype) {
    return dtype == DT_FLOAT || dtype == DT_DOUBLE; /* others do not hold lengths */
}

/* How many elements v is known to have, if they follow from sizes or are known. */
static size_t count_of(const Value *v) {
    if (v && v->reals)
        return v->reals->n;
    return v && v->known && (v->known->ints || is_wide_float(v->type.dtype))
               ? v->known->n
               : 0;
}

/* Element i.  *exact: it is a quotient of sizes; *positive: it is not negative. */
static Real element(Model *m, const Value *v, size_t i, bool *exact, bool *positive) {
    Real r = {dim_int(0), 1, REAL_EXACT};
    int64_t low;
    *exact = true;
    if (v->known && v->known->floats) {
        *exact = quotient_of(v->known->floats[i], &r);
        *positive = v->known->floats[i] >= 0;
        return r;
    }
    if (v->reals)
        r = v->reals->items[i];
    else
        r.num = v->known->ints[i];
    *exact = r.kind != REAL_OWN;
    *positive = !*exact || (dim_lower_bound(&m->dims, r.num, &low) && low >= 0);
    return r;
}

/* ---- operators that move elements ---------------------------------------------------- */

/* Runs the evaluator on integers that number the elements of the inputs. */
typedef struct Shadow {
    Node node;
    Value values[SHADOW_INPUTS_MAX], out;
    Value *in[SHADOW_INPUTS_MAX], *outs[1];
    size_t start[SHADOW_INPUTS_MAX + 1]; /* number of the first element of each */
} Shadow;

static bool shadow_open(Model *m, Shadow *s, const Node *n, uint32_t shadowed) {
    if (n->n_in > SHADOW_INPUTS_MAX)
        return false;
    s->start[0] = 0;
    for (uint32_t i = 0; i < n->n_in; i++) {
        s->in[i] = n->in[i];
        size_t count = i < shadowed ? count_of(n->in[i]) : 0;
        s->start[i + 1] = s->start[i] + count;
        if (i >= shadowed)
            continue;
        Known *k = count ? known_new(m, DT_INT64, count) : NULL;
        if (!k)
            return false;
        for (size_t j = 0; j < count; j++)
            known_ints(k)[j] = dim_int((int64_t)(s->start[i] + j));
        s->values[i] = *n->in[i];
        s->values[i].type.dtype = DT_INT64;
        s->values[i].known = k;
        s->values[i].splat = NULL;
        s->in[i] = &s->values[i];
    }
    s->node = *n;
    s->out = *n->out[0];
    s->out.type.dtype = DT_INT64;
    s->outs[0] = &s->out;
    s->node.in = s->in;
    s->node.out = s->outs;
    s->node.n_out = 1;
    return true;
}

static bool moved(Model *m, const Node *n, uint32_t shadowed, Real *items,
                  size_t *count) {
    Shadow s;
    if (!shadow_open(m, &s, n, shadowed))
        return false;
    n->op->eval(m, &s.node);
    const Known *k = s.out.known;
    if (!k || k->n > REALS_MAX)
        return false;
    for (size_t i = 0; i < k->n; i++) {
        size_t id = (size_t)k->ints[i].c, input = 0;
        while (id >= s.start[input + 1])
            input++;
        bool exact, positive;
        items[i] = element(m, n->in[input], id - s.start[input], &exact, &positive);
        if (!exact && (n->in[input]->known || ++items[i].den > DEPTH_MAX))
            return false;
    }
    *count = k->n;
    return true;
}

/* ---- arithmetic ---------------------------------------------------------------------- */

/* A single element that is no quotient. */
static bool own(Model *m, Node *n, const Real *args, int count, Real *r) {
    int64_t depth = 1;
    for (int k = 0; k < count; k++)
        if (args[k].kind == REAL_OWN && args[k].den >= depth)
            depth = args[k].den + 1;
    if (!n->op->number || depth > DEPTH_MAX)
        return false;
    Dim number = dim_symbol(&m->dims, STR(""), n->out[0], SYMBOL_SELF);
    *r = (Real){number, depth, REAL_OWN};
    return true;
}

static bool computed(Model *m, Node *n, Real *items, size_t *count) {
    Shadow s;
    Walk w;
    if (n->n_in > WALK_MAX || !shadow_open(m, &s, n, n->n_in) ||
        !walk_open(&w, &s.node) || w.count > REALS_MAX)
        return false;
    for (size_t i = 0; i < w.count; i++) {
        Real args[WALK_MAX];
        bool exact = n->op->real != NULL, positive = true;
        for (int k = 0; k < w.args; k++) {
            bool fine, sign;
            args[k] = element(m, n->in[k], walk_index(&w, k, i), &fine, &sign);
            exact &= fine;
            positive &= sign;
        }
        if (exact && n->op->real(m, args, &items[i]) && !m->dims.overflow)
            continue;
        (void)dims_take_overflow(&m->dims);
        if (!positive || w.count != 1 || !own(m, n, args, w.args, &items[i]))
            return false;
    }
    *count = w.count;
    return true;
}

void infer_reals(Model *m, Node *n) {
    Value *v = node_out(n, 0);
    if (!n->op || !v || v->known || v->splat || v->type.kind != TYPE_TENSOR ||
        !is_wide_float(v->type.dtype) || !node_in(n, 0) || n->n_out != 1 ||
        n->op->facts & OP_IMPURE || !count_of(n->in[0]))
        return;
    Real items[REALS_MAX];
    size_t count = 0;
    bool all = n->op->facts & OP_JOINS, first = n->op->facts & (OP_MOVES | OP_IDENTITY);
    bool found = false;
    if ((all || first) && n->op->eval)
        found = moved(m, n, all ? n->n_in : 1, items, &count);
    else if (n->op->real || n->op->number)
        found = computed(m, n, items, &count);
    Reals *reals = found && count ? ARENA_NEW(m->arena, Reals) : NULL;
    Real *copy = reals ? ARENA_ARRAY(m->arena, count, Real) : NULL;
    if (!copy)
        return;
    memcpy(copy, items, count * sizeof *copy);
    *reals = (Reals){count, copy};
    v->reals = reals;
}
