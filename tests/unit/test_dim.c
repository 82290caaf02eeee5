/* Symbolic dimensions: simplifications by example, and a property: whatever the
 * simplifier does to a random expression, its value under random symbols is that of
 * the same expression on plain integers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ir/dim.h"
#include "ir/ir.h"

enum { SYMBOLS = 4 };

typedef struct Fixture {
    Arena arena;
    Dims ds;
    Dim n, m, h, w;
} Fixture;

static int set_up(void **state) {
    Fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    arena_init(&f->arena, NULL);
    f->ds.arena = &f->arena;
    f->n = dim_symbol(&f->ds, STR("n"), NULL, 0);
    f->m = dim_symbol(&f->ds, STR("m"), NULL, 1);
    f->h = dim_symbol(&f->ds, STR("h"), NULL, 2);
    f->w = dim_symbol(&f->ds, STR("w"), NULL, 3);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    arena_free(&f->arena);
    free(f);
    return 0;
}

static void prints(Fixture *f, Dim d, const char *want) {
    Text t = {.arena = &f->arena};
    dim_print(&t, d);
    assert_string_equal(text_view(&t).p, want);
}

#define I(c) dim_int(c)
#define ADD(a, b) dim_add(&f->ds, a, b)
#define SUB(a, b) dim_sub(&f->ds, a, b)
#define MUL(a, b) dim_mul(&f->ds, a, b)
#define DIV(a, b) dim_floordiv(&f->ds, a, b)
#define MOD(a, b) dim_mod(&f->ds, a, b)
#define MIN(a, b) dim_min(&f->ds, a, b)
#define MAX(a, b) dim_max(&f->ds, a, b)

static void test_polynomials(void **state) {
    Fixture *f = *state;
    prints(f, I(-8), "-8");
    prints(f, ADD(MUL(f->n, I(2)), I(1)), "2*n + 1");
    prints(f, SUB(I(3), f->n), "-n + 3");
    prints(f, MUL(ADD(f->n, f->m), SUB(f->m, f->n)), "-n*n + m*m");
    prints(f, MUL(ADD(f->n, I(1)), MUL(f->m, I(4))), "4*n*m + 4*m");
    assert_true(dim_is(SUB(ADD(f->n, f->m), ADD(f->m, f->n)), 0));
    assert_true(dim_eq(MUL(f->n, MUL(f->m, f->n)), MUL(MUL(f->n, f->n), f->m)));
    assert_true(dim_as_symbol(f->h)->axis == 2);
    assert_null(dim_as_symbol(MUL(f->h, I(2))));
}

static void test_quotients(void **state) {
    Fixture *f = *state;
    Dim n = f->n, m = f->m;
    assert_true(dim_is(DIV(I(-7), I(2)), -4));
    assert_true(dim_is(DIV(I(7), I(-2)), -4));
    assert_true(dim_is(DIV(I(0), n), 0));
    assert_true(dim_is(DIV(n, n), 1));
    prints(f, DIV(SUB(n, I(1)), I(1)), "n - 1");
    prints(f, DIV(MUL(MUL(n, m), I(2)), n), "2*m");
    prints(f, DIV(ADD(MUL(n, I(4)), I(3)), I(4)), "n");
    prints(f, DIV(ADD(MUL(n, I(4)), ADD(m, I(9))), I(4)), "n + floor((m + 1)/4) + 2");
    prints(f, ADD(DIV(SUB(n, I(1)), I(2)), I(1)), "floor((n + 1)/2)");
    prints(f, DIV(DIV(n, I(2)), I(2)), "floor(n/4)");
    prints(f, DIV(ADD(DIV(ADD(n, I(1)), I(2)), I(1)), I(2)), "floor((n + 3)/4)");
    prints(f, DIV(ADD(MUL(n, I(6)), I(3)), I(4)), "n + floor((n + 1)/2)");
    prints(f, DIV(ADD(MUL(n, m), ADD(f->h, I(1))), n), "m + floor((h + 1)/n)");
    prints(f, DIV(ADD(MUL(n, m), m), ADD(n, I(1))), "m");
    prints(f, DIV(MUL(n, I(6)), MUL(m, I(4))), "floor(3*n/(2*m))");
    prints(f, DIV(MOD(n, I(4)), I(4)), "0");
    prints(f, dim_ceildiv(&f->ds, n, I(2)), "floor((n + 1)/2)");
    Dim q;
    assert_false(dim_divide(&f->ds, n, I(2), &q));
    assert_false(dim_divide(&f->ds, n, I(0), &q));
    assert_true(dim_divide(&f->ds, MUL(ADD(n, m), ADD(n, m)), ADD(n, m), &q));
    assert_true(dim_eq(q, ADD(n, m)));
}

static void test_remainders(void **state) {
    Fixture *f = *state;
    Dim n = f->n, m = f->m;
    assert_true(dim_is(MOD(I(-7), I(3)), 2));
    assert_true(dim_is(MOD(I(7), I(-3)), -2));
    assert_true(dim_is(MOD(MUL(n, I(6)), I(3)), 0));
    assert_true(dim_is(MOD(MUL(n, m), m), 0));
    prints(f, MOD(ADD(MUL(n, I(5)), I(9)), I(4)), "mod(n + 1, 4)");
    prints(f, MOD(ADD(MUL(n, I(2)), I(1)), I(4)), "2*mod(n, 2) + 1");
    prints(f, MOD(MOD(n, I(8)), I(4)), "mod(n, 4)");
    prints(f, MOD(MOD(n, I(4)), I(8)), "mod(n, 4)");
    prints(f, MOD(ADD(MUL(n, m), f->h), n), "mod(h, n)");
}

static void test_min_max(void **state) {
    Fixture *f = *state;
    Dim n = f->n, m = f->m;
    prints(f, MAX(n, I(0)), "n");
    prints(f, MIN(n, I(0)), "0");
    prints(f, MAX(ADD(n, I(1)), n), "n + 1");
    prints(f, MIN(I(3), n), "min(n, 3)");
    prints(f, MIN(MIN(n, I(3)), I(5)), "min(n, 3)");
    prints(f, MAX(MAX(n, I(3)), I(5)), "max(n, 5)");
    prints(f, MIN(MIN(n, m), m), "min(n, m)");
    assert_true(dim_eq(MIN(n, m), MIN(m, n)));
}

static void test_comparisons(void **state) {
    Fixture *f = *state;
    Dims *ds = &f->ds;
    Dim n = f->n, m = f->m;
    int64_t bound;
    assert_int_equal(dim_known_eq(ds, ADD(n, I(1)), ADD(I(1), n)), 1);
    assert_int_equal(dim_known_eq(ds, ADD(n, I(1)), n), 0);
    assert_int_equal(dim_known_eq(ds, n, m), -1);
    assert_int_equal(dim_known_eq(ds, ADD(MUL(n, I(2)), I(1)), MUL(m, I(4))), 0);
    assert_int_equal(dim_known_less(ds, n, ADD(n, I(1))), 1);
    assert_int_equal(dim_known_less(ds, ADD(n, m), n), 0);
    assert_int_equal(dim_known_less(ds, n, I(5)), -1);
    assert_true(dim_lower_bound(ds, ADD(MUL(n, m), I(3)), &bound) && bound == 3);
    assert_false(dim_upper_bound(ds, n, &bound));
    assert_true(dim_upper_bound(ds, SUB(MOD(n, I(4)), m), &bound) && bound == 3);
}

static void test_assumptions(void **state) {
    Fixture *f = *state;
    Dims *ds = &f->ds;
    Dim n = f->n, frames = DIV(SUB(n, I(10)), I(5));
    int64_t bound;
    assert_true(dim_lower_bound(ds, frames, &bound) && bound == -2);
    dim_assume(ds, SUB(n, I(10))); /* n >= 10 */
    assert_true(dim_lower_bound(ds, n, &bound) && bound == 10);
    assert_true(dim_lower_bound(ds, frames, &bound) && bound == 0);
    assert_true(dim_lower_bound(ds, SUB(n, I(12)), &bound) && bound == -2);
    assert_int_equal(dim_known_less(ds, n, I(10)), 0);
    assert_int_equal(dim_known_eq(ds, n, I(9)), 0);
    assert_false(dim_lower_bound(ds, SUB(I(10), n), &bound));
    assert_true(dim_upper_bound(ds, SUB(I(12), n), &bound) && bound == 2);
    uint32_t facts = ds->n_facts;
    dim_assume(ds, SUB(n, I(4))); /* follows */
    dim_assume(ds, I(-1));        /* is false */
    assert_int_equal(ds->n_facts, facts);
    for (int i = 0; i < 2 * DIM_FACTS_MAX; i++)
        dim_assume(ds, SUB(MUL(f->m, f->h), I(i)));
    assert_int_equal(ds->n_facts, DIM_FACTS_MAX);
}

static void test_limits(void **state) {
    Fixture *f = *state;
    Dim power = f->n, wide = I(0), deep = f->n;
    for (int i = 0; i < 20; i++)
        power = MUL(power, f->n);
    assert_true(dims_take_overflow(&f->ds));
    assert_false(dims_take_overflow(&f->ds));
    for (int i = 0; i < 80; i++)
        wide = ADD(wide, dim_symbol(&f->ds, STR(""), NULL, i));
    assert_true(dims_take_overflow(&f->ds));
    for (int i = 0; i < 20; i++)
        deep = MAX(SUB(f->m, deep), f->h);
    assert_true(dims_take_overflow(&f->ds));
    (void)MUL(I(INT64_MAX), I(2));
    assert_true(dims_take_overflow(&f->ds));
    (void)DIV(I(INT64_MIN), I(-1));
    assert_true(dims_take_overflow(&f->ds));
    (void)DIV(f->n, I(0));
    assert_true(dims_take_overflow(&f->ds));
    assert_int_equal(dim_known_less(&f->ds, I(INT64_MIN), MUL(f->n, I(2))), -1);
    assert_false(dims_take_overflow(&f->ds));
}

/* Every doubling keeps both halves: the size limit has to stop it. */
static void test_size_limit(void **state) {
    Fixture *f = *state;
    Dim d = f->n;
    for (int i = 0; i < 14; i++)
        d = DIV(ADD(MUL(d, d), f->m), ADD(d, f->h));
    assert_true(dims_take_overflow(&f->ds));
}

static void test_names(void **state) {
    Fixture *f = *state;
    struct Value v = {.name = STR("x")};
    Dim s = dim_symbol(&f->ds, (Str){0}, &v, 2);
    prints(f, ADD(s, I(1)), "x[2] + 1");
}

/* ---- the property -----------------------------------------------------------------
 */

typedef struct Random {
    uint64_t state;
} Random;

static uint32_t draw(Random *r, uint32_t below) {
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return (uint32_t)(r->state >> 33) % below;
}

/* Several assignments of the symbols are carried along at once. */
enum { SAMPLES = 8 };

typedef struct Sample {
    int64_t value[SAMPLES];
    bool defined[SAMPLES]; /* no division by zero on the way, no overflow */
} Sample;

typedef struct Case {
    Dim dim;
    Sample is;
} Case;

static int64_t python_floordiv(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

enum { LARGE = 1 << 24 };

static int64_t apply(int op, int64_t a, int64_t b, bool *defined) {
    if ((op == 3 || op == 4 || op == 7) && b == 0) {
        *defined = false;
        return 0;
    }
    switch (op) {
    case 0:
        return a + b;
    case 1:
        return a - b;
    case 2:
        return a * b;
    case 3:
        return python_floordiv(a, b);
    case 4:
        return a - b * python_floordiv(a, b);
    case 5:
        return a < b ? a : b;
    case 6:
        return a > b ? a : b;
    default: /* ceil is promised for b > 0 only */
        *defined = *defined && b > 0;
        return -python_floordiv(-a, b);
    }
}

typedef Dim Operation(Dims *ds, Dim a, Dim b);
static Operation *const operations[] = {dim_add, dim_sub, dim_mul, dim_floordiv,
                                        dim_mod, dim_min, dim_max, dim_ceildiv};

static int64_t evaluate(Dim d, const int64_t *symbols, bool *defined);

static int64_t evaluate_atom(const Atom *atom, const int64_t *symbols, bool *defined) {
    static const int op_of[] = {0, 3, 4, 5, 6};
    if (atom->kind == ATOM_SYMBOL)
        return symbols[atom->symbol->id];
    int64_t a = evaluate(atom->a, symbols, defined);
    int64_t b = evaluate(atom->b, symbols, defined);
    return *defined ? apply(op_of[atom->kind], a, b, defined) : 0;
}

static int64_t evaluate(Dim d, const int64_t *symbols, bool *defined) {
    int64_t total = d.c;
    for (uint32_t i = 0; d.poly && i < d.poly->n; i++) {
        int64_t product = d.poly->terms[i].coef;
        for (uint32_t k = 0; k < d.poly->terms[i].n; k++)
            product *= evaluate_atom(d.poly->terms[i].atoms[k], symbols, defined);
        total += product;
    }
    return total;
}

static Case leaf(Fixture *f, Random *r, int64_t symbols[SAMPLES][SYMBOLS]) {
    static const int64_t literals[] = {-3, -2, -1, 0, 1, 2, 2, 3, 4, 4, 8, 12};
    Case c;
    uint32_t which = draw(r, 8);
    int64_t literal = literals[draw(r, OX_COUNT(literals))];
    Dim all[] = {f->n, f->m, f->h, f->w};
    c.dim = which < SYMBOLS ? all[which] : dim_int(literal);
    for (int i = 0; i < SAMPLES; i++) {
        c.is.value[i] = which < SYMBOLS ? symbols[i][which] : literal;
        c.is.defined[i] = true;
    }
    return c;
}

static Case random_case(Fixture *f, Random *r, int64_t symbols[SAMPLES][SYMBOLS],
                        int depth) {
    if (depth == 0 || draw(r, 5) == 0)
        return leaf(f, r, symbols);
    Case a = random_case(f, r, symbols, depth - 1);
    Case b = random_case(f, r, symbols, depth - 1);
    int op = (int)draw(r, OX_COUNT(operations));
    if ((op == 3 || op == 4 || op == 7) && dim_is(b.dim, 0))
        b = leaf(f, r, symbols), b.dim = dim_int(3);
    Case c;
    for (int i = 0; i < SAMPLES; i++) {
        int64_t divisor = dim_is(b.dim, 3) ? 3 : b.is.value[i];
        c.is.defined[i] = a.is.defined[i] && b.is.defined[i];
        c.is.value[i] = 0;
        if (c.is.defined[i])
            c.is.value[i] = apply(op, a.is.value[i], divisor, &c.is.defined[i]);
        if (llabs(c.is.value[i]) > LARGE)
            c.is.defined[i] = false;
    }
    c.dim = operations[op](&f->ds, a.dim, b.dim);
    return c;
}

static void check_bounds(Fixture *f, const Case *c, int i) {
    int64_t bound;
    if (dim_lower_bound(&f->ds, c->dim, &bound))
        assert_true(bound <= c->is.value[i]);
    if (dim_upper_bound(&f->ds, c->dim, &bound))
        assert_true(bound >= c->is.value[i]);
}

static void check_pair(Fixture *f, const Case *a, const Case *b, int i) {
    int equal = dim_known_eq(&f->ds, a->dim, b->dim);
    int less = dim_known_less(&f->ds, a->dim, b->dim);
    if (equal >= 0)
        assert_int_equal(equal, a->is.value[i] == b->is.value[i]);
    if (less >= 0)
        assert_int_equal(less, a->is.value[i] < b->is.value[i]);
    if (dim_eq(a->dim, b->dim))
        assert_true(a->is.value[i] == b->is.value[i]);
}

static void draw_symbols(Random *r, int64_t symbols[SAMPLES][SYMBOLS]) {
    for (int i = 0; i < SAMPLES; i++)
        for (int k = 0; k < SYMBOLS; k++)
            symbols[i][k] = i == 0 ? 1 : draw(r, i < 3 ? 3 : 20);
}

static void check_case(Fixture *f, const Case *c, int64_t symbols[SAMPLES][SYMBOLS],
                       int *checked) {
    for (int i = 0; i < SAMPLES; i++) {
        if (!c->is.defined[i])
            continue;
        bool defined = true;
        int64_t value = evaluate(c->dim, symbols[i], &defined);
        if (value != c->is.value[i] || !defined) {
            Text t = {.arena = &f->arena};
            dim_print(&t, c->dim);
            fail_msg("%s is %lld, wanted %lld", text_view(&t).p, (long long)value,
                     (long long)c->is.value[i]);
        }
        check_bounds(f, c, i);
        ++*checked;
    }
}

static void test_property(void **state) {
    (void)state;
    Random r = {0x9e3779b97f4a7c15u};
    int checked = 0;
    for (int round = 0; round < 30000; round++) {
        Fixture *f = NULL;
        assert_int_equal(set_up((void **)&f), 0);
        int64_t symbols[SAMPLES][SYMBOLS];
        draw_symbols(&r, symbols);
        Case a = random_case(f, &r, symbols, 4), b = random_case(f, &r, symbols, 2);
        if (!dims_take_overflow(&f->ds)) {
            check_case(f, &a, symbols, &checked);
            check_case(f, &b, symbols, &checked);
            for (int i = 0; i < SAMPLES; i++)
                if (a.is.defined[i] && b.is.defined[i])
                    check_pair(f, &a, &b, i);
        }
        tear_down((void **)&f);
    }
    assert_true(checked > 100000);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_polynomials), CASE(test_quotients),
        CASE(test_remainders),  CASE(test_min_max),
        CASE(test_limits),      CASE(test_size_limit),
        CASE(test_comparisons), CASE(test_assumptions),
        CASE(test_names),       cmocka_unit_test(test_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
