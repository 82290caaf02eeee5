/* Arithmetic of floats that follow from sizes: quotients of a polynomial of sizes and an
 * integer.  They are taken to have no more digits than a float32 holds, as sizes do.
 * A quotient of such integers is rounded, but not as far as the next integer. */
#include "ops/core/evals.h"

static bool is_power_of_two(int64_t x) {
    return (x & (x - 1)) == 0;
}

/* num / den with what divides both left out. */
static bool make(Model *m, Dim num, int64_t den, Real *r) {
    enum { DEN_MAX = 1 << 20 };
    Dim whole;
    while (den % 2 == 0 && dim_divide(&m->dims, num, dim_int(2), &whole)) {
        num = whole;
        den /= 2;
    }
    if (dim_divide(&m->dims, num, dim_int(den), &whole)) {
        num = whole;
        den = 1;
    }
    *r = (Real){num, den, is_power_of_two(den) ? REAL_EXACT : REAL_ROUNDED};
    return den <= DEN_MAX;
}

static bool both_exact(const Real *args) {
    return args[0].kind == REAL_EXACT && args[1].kind == REAL_EXACT;
}

static bool add(Model *m, const Real *args, int64_t sign, Real *r) {
    Dims *ds = &m->dims;
    Dim a = dim_mul(ds, args[0].num, dim_int(args[1].den));
    Dim b = dim_mul(ds, args[1].num, dim_int(sign * args[0].den));
    return both_exact(args) && make(m, dim_add(ds, a, b), args[0].den * args[1].den, r);
}

bool real_add(Model *m, const Real *args, Real *r) {
    return add(m, args, 1, r);
}

bool real_sub(Model *m, const Real *args, Real *r) {
    return add(m, args, -1, r);
}

bool real_mul(Model *m, const Real *args, Real *r) {
    return both_exact(args) && make(m, dim_mul(&m->dims, args[0].num, args[1].num),
                                    args[0].den * args[1].den, r);
}

bool real_div(Model *m, const Real *args, Real *r) {
    Dim by = args[1].num, num;
    if (!both_exact(args) || dim_is(by, 0))
        return false;
    if (dim_is_int(by) && by.c > 0)
        return make(m, dim_mul(&m->dims, args[0].num, dim_int(args[1].den)),
                    args[0].den * by.c, r);
    return dim_divide(&m->dims, args[0].num, by, &num) &&
           make(m, dim_mul(&m->dims, num, dim_int(args[1].den)), args[0].den, r);
}

bool real_neg(Model *m, const Real *args, Real *r) {
    *r = args[0];
    r->num = dim_sub(&m->dims, dim_int(0), r->num);
    return r->kind != REAL_OWN;
}

bool real_floor(Model *m, const Real *args, Real *r) {
    Dim by = dim_int(args[0].den);
    *r = (Real){dim_floordiv(&m->dims, args[0].num, by), 1, REAL_EXACT};
    return args[0].kind != REAL_OWN;
}

bool real_ceil(Model *m, const Real *args, Real *r) {
    Dim by = dim_int(args[0].den);
    *r = (Real){dim_ceildiv(&m->dims, args[0].num, by), 1, REAL_EXACT};
    return args[0].kind != REAL_OWN;
}

bool real_same(Model *m, const Real *args, Real *r) {
    (void)m;
    *r = args[0];
    return r->kind == REAL_EXACT;
}

bool real_is_whole(const Real *x) {
    return x->kind == REAL_EXACT && x->den == 1;
}

bool real_to_int(Model *m, const Real *x, Dim *r) {
    int64_t low;
    *r = x->num;
    if (x->kind == REAL_OWN || x->den == 1)
        return true;
    *r = dim_floordiv(&m->dims, x->num, dim_int(x->den));
    return dim_lower_bound(&m->dims, x->num, &low) && low >= 0;
}
