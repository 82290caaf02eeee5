/* Arithmetic of symbolic dimensions in canonical form.
 *
 * A polynomial is kept sorted by degree, then by its atoms (graded lexicographic order,
 * so that long division works), with the constant last.  Quotients and remainders by an
 * integer k are reduced until every coefficient below the atom is in [0, k). */
#include "ir/dim.h"

enum { TERMS_MAX = 64, ATOMS_MAX = 16, DEPTH_MAX = 16, SIZE_MAX_NODES = 1000 };

/* A polynomial under construction; terms are sorted and have coefficients. */
typedef struct Sum {
    Monomial terms[TERMS_MAX];
    uint32_t n;
    bool overflow;
} Sum;

/* Any Dim as a list of terms. */
typedef struct Terms {
    const Monomial *at;
    uint32_t n;
    Monomial constant;
} Terms;

static void view_terms(Terms *t, Dim d) {
    t->constant = (Monomial){.coef = d.c};
    t->at = d.poly ? d.poly->terms : &t->constant;
    t->n = d.poly ? d.poly->n : d.c != 0;
}

static Dim too_large(Dims *ds) {
    ds->overflow = true;
    return dim_int(0);
}

/* ---- order ------------------------------------------------------------------------
 */

static int compare_dims(Dim a, Dim b);

static int compare_ints(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_atoms(const Atom *a, const Atom *b) {
    if (a == b)
        return 0;
    if (a->kind != b->kind)
        return compare_ints(a->kind, b->kind);
    if (a->kind == ATOM_SYMBOL)
        return compare_ints(a->symbol->id, b->symbol->id);
    int order = compare_dims(a->a, b->a);
    return order ? order : compare_dims(a->b, b->b);
}

/* Higher degrees first. */
static int compare_monomials(const Monomial *a, const Monomial *b) {
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    for (uint32_t i = 0; i < a->n; i++) {
        int order = compare_atoms(a->atoms[i], b->atoms[i]);
        if (order)
            return order;
    }
    return 0;
}

static int compare_dims(Dim a, Dim b) {
    if (a.poly == b.poly)
        return compare_ints(a.c, b.c);
    Terms ta, tb;
    view_terms(&ta, a);
    view_terms(&tb, b);
    for (uint32_t i = 0; i < ta.n && i < tb.n; i++) {
        int order = compare_monomials(&ta.at[i], &tb.at[i]);
        if (order == 0)
            order = compare_ints(ta.at[i].coef, tb.at[i].coef);
        if (order)
            return order;
    }
    return compare_ints(ta.n, tb.n);
}

bool dim_eq(Dim a, Dim b) {
    return compare_dims(a, b) == 0;
}

/* The constant is the last term. */
bool dim_differ_by(Dim a, int sign, Dim b, int64_t *difference) {
    Terms ta, tb;
    view_terms(&ta, a);
    view_terms(&tb, b);
    int64_t ca = ta.n && !ta.at[ta.n - 1].n ? ta.at[--ta.n].coef : 0;
    int64_t cb = tb.n && !tb.at[tb.n - 1].n ? tb.at[--tb.n].coef : 0;
    bool same = ta.n == tb.n && cb > INT64_MIN &&
                !__builtin_sub_overflow(ca, sign * cb, difference);
    for (uint32_t i = 0; same && i < ta.n; i++)
        same = tb.at[i].coef > INT64_MIN && ta.at[i].coef == sign * tb.at[i].coef &&
               compare_monomials(&ta.at[i], &tb.at[i]) == 0;
    return same;
}

/* ---- sums -------------------------------------------------------------------------
 */

static void sum_add(Sum *s, Monomial m) {
    uint32_t i = 0;
    int order = 1;
    while (i < s->n && (order = compare_monomials(&s->terms[i], &m)) < 0)
        i++;
    if (i < s->n && order == 0) {
        Monomial *same = &s->terms[i];
        if (__builtin_add_overflow(same->coef, m.coef, &same->coef))
            s->overflow = true;
        if (same->coef == 0)
            memmove(same, same + 1, (--s->n - i) * sizeof m);
    } else if (s->n == TERMS_MAX) {
        s->overflow = true;
    } else if (m.coef != 0) {
        memmove(&s->terms[i + 1], &s->terms[i], (s->n++ - i) * sizeof m);
        s->terms[i] = m;
    }
}

static void sum_add_dim(Sum *s, Dim d, int64_t factor) {
    Terms t;
    view_terms(&t, d);
    for (uint32_t i = 0; i < t.n; i++) {
        Monomial m = t.at[i];
        if (__builtin_mul_overflow(m.coef, factor, &m.coef))
            s->overflow = true;
        else
            sum_add(s, m);
    }
}

static uint32_t sum_size(const Monomial *terms, uint32_t n) {
    uint32_t size = n;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < terms[i].n; k++)
            size += terms[i].atoms[k]->size;
    return size;
}

static Dim sum_take(Dims *ds, const Sum *s) {
    if (s->overflow || sum_size(s->terms, s->n) > SIZE_MAX_NODES)
        return too_large(ds);
    if (s->n == 0)
        return dim_int(0);
    if (s->n == 1 && s->terms[0].n == 0)
        return dim_int(s->terms[0].coef);
    Poly *p = arena_alloc(ds->arena, sizeof *p + s->n * sizeof p->terms[0]);
    if (!p)
        return too_large(ds);
    p->n = s->n;
    memcpy(p->terms, s->terms, s->n * sizeof p->terms[0]);
    return (Dim){0, p};
}

static Dim from_atom(Dims *ds, const Atom *atom) {
    const Atom **atoms = ARENA_NEW(ds->arena, const Atom *);
    if (!atoms)
        return too_large(ds);
    atoms[0] = atom;
    Sum s = {.n = 0};
    sum_add(&s, (Monomial){1, 1, atoms});
    return sum_take(ds, &s);
}

/* a + factor * b */
static Dim add_scaled(Dims *ds, Dim a, Dim b, int64_t factor) {
    int64_t product, c;
    if (dim_is_int(a) && dim_is_int(b) &&
        !__builtin_mul_overflow(b.c, factor, &product) &&
        !__builtin_add_overflow(a.c, product, &c))
        return dim_int(c);
    Sum s = {.n = 0};
    sum_add_dim(&s, a, 1);
    sum_add_dim(&s, b, factor);
    return sum_take(ds, &s);
}

Dim dim_add(Dims *ds, Dim a, Dim b) {
    return add_scaled(ds, a, b, 1);
}
Dim dim_sub(Dims *ds, Dim a, Dim b) {
    return add_scaled(ds, a, b, -1);
}

/* ---- products ---------------------------------------------------------------------
 */

static bool multiply_monomials(Dims *ds, const Monomial *a, const Monomial *b,
                               Monomial *product) {
    uint32_t n = a->n + b->n;
    const Atom **atoms = n ? ARENA_ARRAY(ds->arena, n, const Atom *) : NULL;
    if (__builtin_mul_overflow(a->coef, b->coef, &product->coef) || n > ATOMS_MAX ||
        (n && !atoms))
        return false;
    for (uint32_t i = 0, k = 0; i + k < n;) {
        bool left =
            k == b->n || (i < a->n && compare_atoms(a->atoms[i], b->atoms[k]) <= 0);
        atoms[i + k] = left ? a->atoms[i] : b->atoms[k];
        left ? i++ : k++;
    }
    product->n = n;
    product->atoms = atoms;
    return true;
}

/* s += factor * m * d */
static void sum_add_product(Dims *ds, Sum *s, const Monomial *m, Dim d,
                            int64_t factor) {
    Terms t;
    view_terms(&t, d);
    for (uint32_t i = 0; i < t.n && !s->overflow; i++) {
        Monomial product;
        if (!multiply_monomials(ds, m, &t.at[i], &product) ||
            __builtin_mul_overflow(product.coef, factor, &product.coef))
            s->overflow = true;
        else
            sum_add(s, product);
    }
}

Dim dim_mul(Dims *ds, Dim a, Dim b) {
    if (dim_is_int(a) || dim_is_int(b))
        return dim_is_int(a) ? add_scaled(ds, dim_int(0), b, a.c)
                             : add_scaled(ds, dim_int(0), a, b.c);
    Sum s = {.n = 0};
    for (uint32_t i = 0; i < a.poly->n; i++)
        sum_add_product(ds, &s, &a.poly->terms[i], b, 1);
    return sum_take(ds, &s);
}

/* ---- exact division ---------------------------------------------------------------
 */

/* Takes b's atoms out of a's; false when one is missing. */
static bool divide_monomials(Dims *ds, const Monomial *a, const Monomial *b,
                             Monomial *quotient) {
    if (b->coef == 0 || (a->coef == INT64_MIN && b->coef == -1) ||
        a->coef % b->coef != 0 || b->n > a->n)
        return false;
    uint32_t n = a->n - b->n, at = 0, k = 0;
    const Atom **atoms = n ? ARENA_ARRAY(ds->arena, n, const Atom *) : NULL;
    if (n && !atoms)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        if (k < b->n && compare_atoms(a->atoms[i], b->atoms[k]) == 0)
            k++;
        else if (at < n)
            atoms[at++] = a->atoms[i];
    }
    *quotient = (Monomial){a->coef / b->coef, n, atoms};
    return k == b->n;
}

/* Long division: each step removes the leading term of the rest, or fails. */
static bool divide_exactly(Dims *ds, Dim a, Dim b, Dim *quotient) {
    Terms tb;
    view_terms(&tb, b);
    Sum rest = {.n = 0}, q = {.n = 0};
    sum_add_dim(&rest, a, 1);
    for (int step = 0; rest.n > 0; step++) {
        Monomial m;
        if (step == TERMS_MAX || !divide_monomials(ds, &rest.terms[0], &tb.at[0], &m))
            return false;
        sum_add_product(ds, &rest, &m, b, -1);
        sum_add(&q, m);
        if (rest.overflow || q.overflow)
            return false;
    }
    *quotient = sum_take(ds, &q);
    return true;
}

bool dim_divide(Dims *ds, Dim a, Dim b, Dim *quotient) {
    if (dim_is(b, 0))
        return false;
    return divide_exactly(ds, a, b, quotient);
}

/* ---- integers as Python has them --------------------------------------------------
 */

/* false on a zero divisor and on overflow */
static bool floor_divide(int64_t a, int64_t b, int64_t *quotient, int64_t *remainder) {
    if (b == 0 || (a == INT64_MIN && b == -1))
        return false;
    int64_t q = a / b, r = a % b;
    if (r != 0 && (r < 0) != (b < 0)) {
        q--;
        r += b;
    }
    *quotient = q;
    *remainder = r;
    return true;
}

static uint64_t magnitude(int64_t a) {
    return a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
}

/* The greatest common divisor, or 1 where it does not fit. */
static int64_t gcd(int64_t a, int64_t b) {
    uint64_t x = magnitude(a), y = magnitude(b);
    while (y) {
        uint64_t r = x % y;
        x = y;
        y = r;
    }
    return x <= INT64_MAX ? (int64_t)x : 1;
}

/* ---- atoms ------------------------------------------------------------------------
 */

static uint32_t dim_depth(Dim d) {
    uint32_t depth = 0;
    for (uint32_t i = 0; d.poly && i < d.poly->n; i++)
        for (uint32_t k = 0; k < d.poly->terms[i].n; k++)
            if (d.poly->terms[i].atoms[k]->depth > depth)
                depth = d.poly->terms[i].atoms[k]->depth;
    return depth;
}

static uint32_t dim_size(Dim d) {
    return d.poly ? sum_size(d.poly->terms, d.poly->n) : 1;
}

static Dim make_atom(Dims *ds, AtomKind kind, Dim a, Dim b) {
    uint32_t da = dim_depth(a), db = dim_depth(b);
    Atom atom = {.kind = kind, .a = a, .b = b};
    atom.depth = 1 + (da > db ? da : db);
    atom.size = 1 + dim_size(a) + dim_size(b);
    if (atom.depth > DEPTH_MAX || atom.size > SIZE_MAX_NODES)
        return too_large(ds);
    Atom *copy = ARENA_NEW(ds->arena, Atom);
    if (!copy)
        return too_large(ds);
    *copy = atom;
    return from_atom(ds, copy);
}

Dim dim_symbol(Dims *ds, Str name, struct Value *value, int axis) {
    Symbol *symbol = ARENA_NEW(ds->arena, Symbol);
    Atom *atom = ARENA_NEW(ds->arena, Atom);
    if (!symbol || !atom)
        return too_large(ds);
    *symbol = (Symbol){name, value, axis, ds->symbols++};
    *atom = (Atom){.kind = ATOM_SYMBOL, .symbol = symbol, .size = 1};
    return from_atom(ds, atom);
}

static const Atom *as_atom(Dim d) {
    if (!d.poly || d.poly->n != 1 || d.poly->terms[0].n != 1 ||
        d.poly->terms[0].coef != 1)
        return NULL;
    return d.poly->terms[0].atoms[0];
}

const Symbol *dim_as_symbol(Dim d) {
    const Atom *atom = as_atom(d);
    return atom && atom->kind == ATOM_SYMBOL ? atom->symbol : NULL;
}

bool dim_as_min(Dim d, Dim *a, Dim *b) {
    const Atom *atom = as_atom(d);
    bool found = atom && atom->kind == ATOM_MIN;
    *a = found ? atom->a : d;
    *b = found ? atom->b : d;
    return found;
}

/* ---- quotients and remainders -----------------------------------------------------
 */

/* a = k*q + r with the coefficients of r in [0, k), for an integer k > 0 */
static bool split_by_int(Dims *ds, Dim a, int64_t k, Dim *q, Dim *r) {
    Terms t;
    Sum quotient = {.n = 0}, rest = {.n = 0};
    view_terms(&t, a);
    for (uint32_t i = 0; i < t.n; i++) {
        Monomial mq = t.at[i], mr = t.at[i];
        if (!floor_divide(t.at[i].coef, k, &mq.coef, &mr.coef))
            return false;
        sum_add(&quotient, mq);
        sum_add(&rest, mr);
    }
    *q = sum_take(ds, &quotient);
    *r = sum_take(ds, &rest);
    return true;
}

/* a = b*q + r where r has the terms of a that the monomial b does not divide */
static void split_by_monomial(Dims *ds, Dim a, const Monomial *b, Dim *q, Dim *r) {
    Terms t;
    Sum quotient = {.n = 0}, rest = {.n = 0};
    view_terms(&t, a);
    for (uint32_t i = 0; i < t.n; i++) {
        Monomial m;
        if (divide_monomials(ds, &t.at[i], b, &m))
            sum_add(&quotient, m);
        else
            sum_add(&rest, t.at[i]);
    }
    *q = sum_take(ds, &quotient);
    *r = sum_take(ds, &rest);
}

/* The gcd of k and the coefficients of r's terms that are not constant. */
static int64_t common_factor(Dim r, int64_t k) {
    Terms t;
    view_terms(&t, r);
    for (uint32_t i = 0; i < t.n; i++)
        if (t.at[i].n > 0)
            k = gcd(k, t.at[i].coef);
    return k;
}

/* r = g*p + c with 0 <= c < g; g divides all but the constant, and r >= 0 termwise */
static void split_factor(Dims *ds, Dim r, int64_t g, Dim *p, int64_t *c) {
    Dim rest;
    *c = 0;
    if (split_by_int(ds, r, g, p, &rest))
        *c = rest.c;
}

/* x when r is floor(x/m) + c with an integer m > 0: (floor(x/m) + c) // k is
 * (x + c*m) // (m*k). */
static bool nested_quotient(Dims *ds, Dim r, int64_t *k, Dim *x) {
    Terms t;
    view_terms(&t, r);
    if (t.n == 0 || t.n > 2 || t.at[0].n != 1 || t.at[0].coef != 1 ||
        (t.n == 2 && t.at[1].n != 0))
        return false;
    const Atom *atom = t.at[0].atoms[0];
    int64_t product;
    if (atom->kind != ATOM_FLOORDIV || !dim_is_int(atom->b) || atom->b.c <= 0 ||
        __builtin_mul_overflow(atom->b.c, *k, &product))
        return false;
    int64_t c = t.n == 2 ? t.at[1].coef : 0;
    *x = add_scaled(ds, atom->a, dim_int(c), atom->b.c);
    *k = product;
    return true;
}

/* Whether 0 <= r < b for all values of the symbols. */
static bool is_remainder(Dims *ds, Dim r, Dim b) {
    int64_t low;
    return dim_lower_bound(ds, r, &low) && low >= 0 && dim_known_less(ds, r, b) == 1;
}

static Dim floordiv_int(Dims *ds, Dim a, int64_t k) {
    Dim total = dim_int(0);
    for (int round = 0; round <= DEPTH_MAX && !ds->overflow; round++) {
        Dim q, r;
        int64_t c;
        if (!split_by_int(ds, a, k, &q, &r))
            return too_large(ds);
        total = dim_add(ds, total, q);
        if (k == 1 || dim_is(r, 0) || is_remainder(ds, r, dim_int(k)))
            return total;
        int64_t g = common_factor(r, k);
        if (g > 1) {
            split_factor(ds, r, g, &a, &c);
            k /= g;
        } else if (nested_quotient(ds, r, &k, &q)) {
            a = q;
        } else {
            return dim_add(ds, total, make_atom(ds, ATOM_FLOORDIV, r, dim_int(k)));
        }
    }
    return too_large(ds);
}

/* (x mod m) is congruent to x modulo every divisor k of m. */
static Dim drop_inner_mods(Dims *ds, Dim a, int64_t k) {
    Terms t;
    Sum s = {.n = 0};
    view_terms(&t, a);
    for (uint32_t i = 0; i < t.n; i++) {
        const Atom *atom = t.at[i].n == 1 ? t.at[i].atoms[0] : NULL;
        if (atom && atom->kind == ATOM_MOD && dim_is_int(atom->b) && atom->b.c % k == 0)
            sum_add_dim(&s, atom->a, t.at[i].coef);
        else
            sum_add(&s, t.at[i]);
    }
    return s.overflow ? a : sum_take(ds, &s);
}

static Dim mod_int(Dims *ds, Dim a, int64_t k) {
    Dim q, r, p;
    int64_t c;
    if (!split_by_int(ds, drop_inner_mods(ds, a, k), k, &q, &r))
        return too_large(ds);
    if (dim_is_int(r) || is_remainder(ds, r, dim_int(k)))
        return r;
    int64_t g = common_factor(r, k);
    if (g == 1)
        return make_atom(ds, ATOM_MOD, r, dim_int(k));
    split_factor(ds, r, g, &p, &c);
    /* (g*p + c) mod (g*m) = g*(p mod m) + c */
    Dim inner = make_atom(ds, ATOM_MOD, p, dim_int(k / g));
    return add_scaled(ds, dim_int(c), inner, g);
}

/* The largest monomial that divides every term of a and b; its coefficient is > 0. */
static Monomial common_monomial(Dims *ds, Dim a, Dim b) {
    Terms ta, tb;
    view_terms(&ta, a);
    view_terms(&tb, b);
    Monomial common = tb.at[0];
    const Atom **atoms = ARENA_ARRAY(ds->arena, common.n, const Atom *);
    uint32_t n = 0;
    for (uint32_t i = 0; i < common.n && atoms; i++) {
        atoms[n] = common.atoms[i];
        Monomial tried = {1, n + 1, atoms}, q;
        bool divides = true;
        for (uint32_t k = 0; k < ta.n + tb.n && divides; k++)
            divides = divide_monomials(ds, k < ta.n ? &ta.at[k] : &tb.at[k - ta.n],
                                       &tried, &q);
        n += divides;
    }
    common = (Monomial){gcd(common.coef, 0), n, atoms};
    for (uint32_t k = 0; k < ta.n + tb.n; k++)
        common.coef = gcd(common.coef, k < ta.n ? ta.at[k].coef : tb.at[k - ta.n].coef);
    return common;
}

static Dim divide_by_monomial(Dims *ds, Dim a, const Monomial *b) {
    Dim q, r;
    split_by_monomial(ds, a, b, &q, &r);
    return q;
}

/* a = b*q + r, taking out of a what b surely divides */
static void split(Dims *ds, Dim a, Dim b, Dim *q, Dim *r) {
    *q = dim_int(0);
    *r = a;
    if (divide_exactly(ds, a, b, q))
        *r = dim_int(0);
    else if (b.poly && b.poly->n == 1)
        split_by_monomial(ds, a, &b.poly->terms[0], q, r);
}

Dim dim_floordiv(Dims *ds, Dim a, Dim b) {
    Dim q, r;
    if (dim_is(b, 0) || dim_is(b, INT64_MIN))
        return too_large(ds);
    if (dim_is_int(b))
        return b.c > 0 ? floordiv_int(ds, a, b.c)
                       : floordiv_int(ds, add_scaled(ds, dim_int(0), a, -1), -b.c);
    split(ds, a, b, &q, &r);
    if (dim_is(r, 0) || is_remainder(ds, r, b))
        return q;
    Monomial g = common_monomial(ds, r, b);
    r = divide_by_monomial(ds, r, &g);
    b = divide_by_monomial(ds, b, &g);
    Dim rest =
        dim_is_int(b) ? dim_floordiv(ds, r, b) : make_atom(ds, ATOM_FLOORDIV, r, b);
    return dim_add(ds, q, rest);
}

Dim dim_mod(Dims *ds, Dim a, Dim b) {
    Dim q, r;
    if (dim_is(b, 0) || dim_is(b, INT64_MIN))
        return too_large(ds);
    if (dim_is_int(b)) /* a mod -k = -(-a mod k) */
        return b.c > 0 ? mod_int(ds, a, b.c)
                       : dim_mul(ds, dim_int(-1),
                                 mod_int(ds, dim_mul(ds, a, dim_int(-1)), -b.c));
    split(ds, a, b, &q, &r);
    if (dim_is(r, 0) || is_remainder(ds, r, b))
        return r;
    Monomial g = common_monomial(ds, r, b);
    r = divide_by_monomial(ds, r, &g);
    b = divide_by_monomial(ds, b, &g);
    Dim rest = dim_is_int(b) ? dim_mod(ds, r, b) : make_atom(ds, ATOM_MOD, r, b);
    Sum s = {.n = 0};
    sum_add_product(ds, &s, &g, rest, 1);
    return sum_take(ds, &s);
}

Dim dim_ceildiv(Dims *ds, Dim a, Dim b) {
    return dim_floordiv(ds, add_scaled(ds, dim_add(ds, a, b), dim_int(1), -1), b);
}

/* ---- minimum and maximum ----------------------------------------------------------
 */

/* max(max(p, 3), 5) = max(p, 5), max(max(p, q), q) = max(p, q); and so for min. */
static bool absorb(Dims *ds, AtomKind kind, Dim a, Dim b, Dim *result) {
    const Atom *atom = as_atom(a);
    if (!atom || atom->kind != kind)
        return false;
    if (dim_eq(atom->a, b) || dim_eq(atom->b, b)) {
        *result = a;
        return true;
    }
    if (!dim_is_int(b) || (!dim_is_int(atom->a) && !dim_is_int(atom->b)))
        return false;
    bool first = dim_is_int(atom->a);
    int64_t c = first ? atom->a.c : atom->b.c;
    Dim kept = dim_int((kind == ATOM_MAX) == (c > b.c) ? c : b.c);
    *result = kind == ATOM_MAX ? dim_max(ds, first ? atom->b : atom->a, kept)
                               : dim_min(ds, first ? atom->b : atom->a, kept);
    return true;
}

static Dim extremum(Dims *ds, AtomKind kind, Dim a, Dim b) {
    Dim result;
    if (dim_eq(a, b))
        return a;
    int less = dim_known_less(ds, a, b), more = dim_known_less(ds, b, a);
    if (less == 1 || more == 0)
        return kind == ATOM_MIN ? a : b;
    if (more == 1 || less == 0)
        return kind == ATOM_MIN ? b : a;
    if (absorb(ds, kind, a, b, &result) || absorb(ds, kind, b, a, &result))
        return result;
    return compare_dims(a, b) < 0 ? make_atom(ds, kind, a, b)
                                  : make_atom(ds, kind, b, a);
}

Dim dim_min(Dims *ds, Dim a, Dim b) {
    return extremum(ds, ATOM_MIN, a, b);
}
Dim dim_max(Dims *ds, Dim a, Dim b) {
    return extremum(ds, ATOM_MAX, a, b);
}

/* ---- decided comparisons ------------------------------------------------------------- */

/* a - b for a comparison, which may give up without the caller noticing */
static bool difference(Dims *ds, Dim a, Dim b, Dim *d) {
    bool before = ds->overflow;
    ds->overflow = false;
    *d = dim_sub(ds, a, b);
    bool fits = !ds->overflow;
    ds->overflow = before;
    return fits;
}

int dim_known_eq(Dims *ds, Dim a, Dim b) {
    Dim d;
    if (!difference(ds, a, b, &d))
        return -1;
    if (dim_is_int(d))
        return d.c == 0;
    int64_t low, high;
    if ((dim_lower_bound(ds, d, &low) && low > 0) ||
        (dim_upper_bound(ds, d, &high) && high < 0))
        return 0;
    /* 2*n + 1 is never 0 */
    int64_t g = common_factor(d, 0);
    const Monomial *last = &d.poly->terms[d.poly->n - 1];
    return last->n == 0 && g > 1 && last->coef % g != 0 ? 0 : -1;
}

int dim_known_less(Dims *ds, Dim a, Dim b) {
    Dim d;
    if (!difference(ds, b, a, &d))
        return -1;
    int64_t low, high;
    if (dim_lower_bound(ds, d, &low) && low > 0)
        return 1;
    return dim_upper_bound(ds, d, &high) && high <= 0 ? 0 : -1;
}

bool dims_take_overflow(Dims *ds) {
    bool overflow = ds->overflow;
    ds->overflow = false;
    return overflow;
}
