/* Bounds of symbolic dimensions by interval arithmetic: symbols are >= 0 and have no
 * upper bound, a divisor is never 0, and what is assumed holds.  Each use of a symbol
 * counts as independent, so the bounds are safe but not always tight. */
#include "ir/dim.h"

/* An interval; a side that is not known is infinite. */
typedef struct Range {
    bool has_low, has_high;
    int64_t low, high;
} Range;

/* floor(a/b), b > 0 */
static int64_t floor_of(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static const Range everything = {false, false, 0, 0};

static Range dim_range(Dims *ds, Dim d);

static Range range_add(Range a, Range b) {
    Range r = {0};
    r.has_low = a.has_low && b.has_low && !__builtin_add_overflow(a.low, b.low, &r.low);
    r.has_high =
        a.has_high && b.has_high && !__builtin_add_overflow(a.high, b.high, &r.high);
    return r;
}

static Range range_scale(Range a, int64_t k) {
    Range r = {0};
    if (k < 0)
        a = (Range){a.has_high, a.has_low, a.high, a.low};
    r.has_low = a.has_low && !__builtin_mul_overflow(a.low, k, &r.low);
    r.has_high = a.has_high && !__builtin_mul_overflow(a.high, k, &r.high);
    return r;
}

/* Only where no factor can be negative; shapes give little else. */
static Range range_mul(Range a, Range b) {
    Range r = {0};
    if (!a.has_low || !b.has_low || a.low < 0 || b.low < 0)
        return everything;
    r.has_low = true;
    if (__builtin_mul_overflow(a.low, b.low, &r.low))
        r.low = INT64_MAX;
    r.has_high =
        a.has_high && b.has_high && !__builtin_mul_overflow(a.high, b.high, &r.high);
    return r;
}

/* floor(a/b), b > 0.  The quotient is least for the least a, and then for the largest
 * b when a >= 0 and for the smallest b when a < 0. */
static Range range_floordiv(Range a, Range b) {
    Range r = {.has_low = a.has_low, .has_high = a.has_high};
    if (a.has_low && a.low >= 0 && !b.has_high)
        r.low = 0;
    else if (a.has_low)
        r.low = floor_of(a.low, a.low >= 0 ? b.high : b.low);
    if (a.has_high && a.high < 0 && !b.has_high)
        r.high = -1;
    else if (a.has_high)
        r.high = floor_of(a.high, a.high >= 0 ? b.low : b.high);
    return r;
}

static Range range_mod(Range a, Range b) {
    Range r = {.has_low = true, .has_high = b.has_high, .high = b.high - b.has_high};
    if (a.has_low && a.low >= 0 && a.has_high && (!r.has_high || a.high < r.high)) {
        r.has_high = true;
        r.high = a.high;
    }
    return r;
}

static Range range_min(Range a, Range b) {
    Range r = {.has_low = a.has_low && b.has_low, .has_high = a.has_high || b.has_high};
    r.low = a.low < b.low ? a.low : b.low;
    r.high = !b.has_high || (a.has_high && a.high < b.high) ? a.high : b.high;
    return r;
}

static Range range_max(Range a, Range b) {
    Range r = {.has_low = a.has_low || b.has_low, .has_high = a.has_high && b.has_high};
    r.low = !b.has_low || (a.has_low && a.low > b.low) ? a.low : b.low;
    r.high = a.high > b.high ? a.high : b.high;
    return r;
}

static Range atom_range(Dims *ds, const Atom *atom) {
    if (atom->kind == ATOM_SYMBOL)
        return (Range){.has_low = true};
    Range a = dim_range(ds, atom->a), b = dim_range(ds, atom->b);
    if (atom->kind == ATOM_MIN)
        return range_min(a, b);
    if (atom->kind == ATOM_MAX)
        return range_max(a, b);
    if (!b.has_low || b.low < 0)
        return everything;
    if (b.low == 0) /* a zero divisor has no value at all */
        b.low = 1;
    if (b.has_high && b.high < b.low)
        return everything;
    return atom->kind == ATOM_MOD ? range_mod(a, b) : range_floordiv(a, b);
}

/* d is a fact plus c: at least c; or c minus a fact: at most c. */
static void use_facts(Dims *ds, Dim d, Range *r) {
    int64_t c;
    for (uint32_t i = 0; i < ds->n_facts; i++) {
        if (dim_differ_by(d, 1, ds->facts[i], &c) && (!r->has_low || r->low < c)) {
            r->has_low = true;
            r->low = c;
        }
        if (dim_differ_by(d, -1, ds->facts[i], &c) && (!r->has_high || r->high > c)) {
            r->has_high = true;
            r->high = c;
        }
    }
}

static Range dim_range(Dims *ds, Dim d) {
    if (dim_is_int(d))
        return (Range){true, true, d.c, d.c};
    Range total = {true, true, 0, 0};
    for (uint32_t i = 0; i < d.poly->n; i++) {
        const Monomial *m = &d.poly->terms[i];
        Range r = {true, true, 1, 1};
        for (uint32_t k = 0; k < m->n; k++)
            r = k ? range_mul(r, atom_range(ds, m->atoms[k]))
                  : atom_range(ds, m->atoms[k]);
        total = range_add(total, range_scale(r, m->coef));
    }
    use_facts(ds, d, &total);
    return total;
}

bool dim_lower_bound(Dims *ds, Dim d, int64_t *bound) {
    Range r = dim_range(ds, d);
    *bound = r.low;
    return r.has_low;
}

bool dim_upper_bound(Dims *ds, Dim d, int64_t *bound) {
    Range r = dim_range(ds, d);
    *bound = r.high;
    return r.has_high;
}

void dim_assume(Dims *ds, Dim d) {
    int64_t low;
    if (ds->overflow || ds->n_facts == DIM_FACTS_MAX ||
        (dim_lower_bound(ds, d, &low) && low >= 0) ||
        (dim_upper_bound(ds, d, &low) && low < 0))
        return;
    ds->facts[ds->n_facts++] = d;
}

typedef struct Find {
    const Symbol *symbol;
    bool found;
} Find;

static void find_symbol(void *user, const Symbol *s) {
    Find *f = user;
    f->found |= f->symbol == s;
}

bool dim_take_linear(Dims *ds, Dim *d, Dim symbol, int64_t *factor) {
    const Symbol *s = dim_as_symbol(symbol);
    *factor = 0;
    for (uint32_t i = 0; d->poly && i < d->poly->n; i++) {
        const Monomial *t = &d->poly->terms[i];
        if (t->n == 1 && t->atoms[0]->kind == ATOM_SYMBOL && t->atoms[0]->symbol == s)
            *factor = t->coef;
    }
    *d = dim_sub(ds, *d, dim_mul(ds, symbol, dim_int(*factor)));
    Find f = {s, false};
    dim_each_symbol(*d, find_symbol, &f);
    return !f.found;
}
