/* Functions as far as they are used: what folds, what stays, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "code/folding.h"
#include "python/printer.h"

/* What is left of `body`, lines of `def f(...)`, where the names are known. */
static const char *folded(Arena *a, const char *body, const FoldName *known, size_t n) {
    Stmts list = {0};
    FoldName names[8];
    const char *error = NULL;
    Str text = arena_printf(a, "def f(x):\n%s", body);
    code_parse(a, text.p, text.p + text.n, &list, &error);
    if (error)
        fail_msg("%s", error);
    memcpy(names, known, n * sizeof *names);
    Stmts own = code_copy(a, &list);
    if (!code_fold(a, own.items[0].def, names, n, NULL))
        return "refused";
    Text t = {.arena = a}, before = {.arena = a};
    print_code(&before, 0, &list, true);
    assert_string_equal(text_view(&before).p, text.p); /* the original is as it was */
    print_code(&t, 1, &own.items[0].def->body, true);
    return text_view(&t).p;
}

static void check(const char *body, const char *name, const char *value,
                  const char *expected) {
    Arena a;
    arena_init(&a, NULL);
    FoldName known = {.name = str_from(name), .value = ex_build(&a, value, NULL, 0)};
    assert_string_equal(folded(&a, body, &known, 1), expected);
    assert_false(a.failed);
    arena_free(&a);
}

static void check_known(const char *body, Fact known, const char *expected) {
    Arena a;
    arena_init(&a, NULL);
    FoldName name = {.name = STR("b"), .fact = known};
    assert_string_equal(folded(&a, body, &name, 1), expected);
    assert_false(a.failed);
    arena_free(&a);
}

/* ---- what folds ------------------------------------------------------------------- */

static void test_choices(void **state) {
    (void)state;
    check("    y = g(x)\n    return y if b is None else y + b.reshape(-1)\n", "b",
          "None", "    return g(x)\n");
    check("    return g(x) if p is not None else x\n", "p", "3", "    return g(x)\n");
    check("    return g(x) if mode == \"a\" else x\n", "mode", "'a'",
          "    return g(x)\n");
    check("    return x.astype(p or x.dtype)\n", "p", "None", "    return x\n");
    check("    return g(x) if not p and h(x) else x\n", "p", "False",
          "    return g(x) if h(x) else x\n");
}

/* In a test only the truth counts. */
static void test_tests(void **state) {
    (void)state;
    check("    if g(x) and p is None:\n        x = h(x)\n    return x\n", "p", "None",
          "    if g(x):\n        x = h(x)\n    return x\n");
    check("    if g(x) and p is None:\n        x = h(x)\n    return x\n", "p", "3",
          "    return x\n");
    check("    return x if x.ndim == 2 or p else h(x)\n", "p", "False",
          "    return x if x.ndim == 2 else h(x)\n");
    check("    return g(x or p)\n", "p", "False", "    return g(x or False)\n");
}

static void test_branches(void **state) {
    (void)state;
    const char *body = "    if p is None:\n"
                       "        # what is not given\n"
                       "        z = g(x)\n"
                       "    elif x.ndim == 2:\n"
                       "        z = h(x)\n"
                       "    else:\n"
                       "        z = p\n"
                       "    return z, z\n";
    check(body, "p", "None",
          "    # what is not given\n    z = g(x)\n    return z, z\n");
    check(body, "p", "2",
          "    if x.ndim == 2:\n        z = h(x)\n    else:\n        z = 2\n"
          "    return z, z\n");
    check("    if p:\n        return g(x)\n    return h(x)\n", "p", "True",
          "    return g(x)\n");
    check("    if x.ndim == 2:\n        z = g(x)\n    elif p:\n        z = x\n"
          "    else:\n        z = h(x)\n    return z, z\n",
          "p", "True",
          "    if x.ndim == 2:\n        z = g(x)\n    else:\n        z = x\n"
          "    return z, z\n");
}

static void test_numbers(void **state) {
    (void)state;
    check("    n = x.ndim - 2\n    return g(n * d, n**d, n + 1)\n", "d", "1",
          "    n = x.ndim - 2\n    return g(n, n, n + 1)\n");
    check("    return [(k - 1) * d for k in x.shape[2:]]\n", "d", "1",
          "    return [k - 1 for k in x.shape[2:]]\n");
    check("    axes = tuple(range(axis, 0))\n    return jnp.mean(x, axes, "
          "keepdims=True)\n",
          "axis", "-1", "    return jnp.mean(x, -1, keepdims=True)\n");
    check("    axes = tuple(range(axis, 0))\n    return jnp.sum(x, axes)\n", "axis",
          "-2", "    return jnp.sum(x, (-2, -1))\n");
    check("    return x + eps\n", "eps", "1e-05", "    return x + 1e-05\n");
}

/* What is bound and no longer read goes; a name that becomes a constant is one. */
static void test_locals(void **state) {
    (void)state;
    check("    n = x.ndim\n    y = g(x)\n    y = y if b is None else y + [b] * n\n"
          "    return h(y)\n",
          "b", "None", "    y = g(x)\n    return h(y)\n");
    check("    if isinstance(p, int):\n        p = [(p, p)] * 2\n    return g(x, p)\n",
          "p", "0", "    p = [(0, 0)] * 2\n    return g(x, p)\n");
}

static void test_empty_lines(void **state) {
    (void)state;
    check("    def step(y):\n        return y + 2\n\n    if p is None:\n"
          "        x = h(x)\n    return g(step, x)\n",
          "p", "None",
          "    def step(y):\n        return y + 2\n\n    x = h(x)\n"
          "    return g(step, x)\n");
    check("    def step(y):\n        return y + 2\n\n    p = p or 3\n"
          "    return g(step, x)\n",
          "p", "None",
          "    def step(y):\n        return y + 2\n\n    return g(step, x)\n");
}

static void test_known(void **state) {
    (void)state;
    check_known("    return x if b is None else x + b\n", FACT_GIVEN,
                "    return x + b\n");
    check_known("    return (b,) * 2 if isinstance(b, int) else b\n", FACT_INT,
                "    return (b,) * 2\n");
    check_known("    return (b,) * 2 if isinstance(b, int) else b\n", FACT_OTHER,
                "    return b\n");
    check_known("    return (b,) * 2 if isinstance(b, int) else b\n", FACT_GIVEN,
                "    return (b,) * 2 if isinstance(b, int) else b\n");
    check_known("    b = g(b)\n    return x if b is None else x + b\n", FACT_GIVEN,
                "    b = g(b)\n    return x if b is None else x + b\n");
}

static void test_arguments_that_jax_has_anyway(void **state) {
    (void)state;
    check("    return g(jnp.clip(x + 1, p, p))\n", "p", "None",
          "    return g(x + 1)\n");
    check("    return getattr(x.at[0], p)(x)\n", "p", "'add'",
          "    return x.at[0].add(x)\n");
    check("    return x[slice(0, 4, p)]\n", "p", "1", "    return x[slice(0, 4)]\n");
    check("    n = {\"a\": 2, \"b\": 3}[p]\n    return g(n, x)\n", "p", "'b'",
          "    return g(3, x)\n");
    check("    return ((p,) * x.ndim)[i]\n", "p", "1", "    return 1\n");
    check("    for i in range(p):\n        x = g(x, i)\n    return h(x)\n", "p", "0",
          "    return h(x)\n");
    check(
        "    n = x.ndim - 2\n"
        "    return jax.lax.conv_general_dilated(x, w, s, p, rhs_dilation=(d,) * n)\n",
        "d", "1", "    return jax.lax.conv_general_dilated(x, w, s, p)\n");
    check(
        "    n = x.ndim - 2\n"
        "    return jax.lax.conv_general_dilated(x, w, s, p, rhs_dilation=(d,) * n)\n",
        "d", "2",
        "    n = x.ndim - 2\n"
        "    return jax.lax.conv_general_dilated(x, w, s, p, rhs_dilation=(2,) * n)\n");
    check("    return jax.lax.scan(step, x, x, reverse=r)\n", "r", "False",
          "    return jax.lax.scan(step, x, x)\n");
    check("    return jax.lax.scan(step, x, x, reverse=r)\n", "r", "True",
          "    return jax.lax.scan(step, x, x, reverse=True)\n");
}

/* ---- what stays ------------------------------------------------------------------- */

/* Names that functions and comprehensions bind themselves are others. */
static void test_scopes(void **state) {
    (void)state;
    check("    def step(p, y):\n        return p + y\n\n    return g(step, p)\n", "p",
          "3", "    def step(p, y):\n        return p + y\n\n    return g(step, 3)\n");
    check("    return g(lambda p: p + 1, p)\n", "p", "3",
          "    return g(lambda p: p + 1, 3)\n");
    check("    return [p + 1 for p in x], p\n", "p", "3",
          "    return [p + 1 for p in x], 3\n");
    check("    y = g(x, p)\n    p = h(y)\n    return y + p\n", "p", "3",
          "    y = g(x, 3)\n    p = h(y)\n    return y + p\n");
}

/* x * 1 of an array is no x: a bool becomes a number, and -0.0 + 0 is 0. */
static void test_refused(void **state) {
    (void)state;
    check("    return x * p\n", "p", "1", "refused");
    check("    return x + p\n", "p", "0.0", "refused");
    check("    return p * x\n", "p", "1.0", "refused");
    check("    return x**p\n", "p", "1", "refused");
    check("    a, b = g(x)\n    return b if p is None else a + b\n", "p", "None",
          "refused");
    check("    def step(at):\n        a, b = at\n"
          "        return b if p is None else a + b\n\n    a = 3\n"
          "    return g(step, a)\n",
          "p", "None", "refused");
    check("    y = p\n    if y is None:\n        y = g(x)\n    return h(y)\n", "p",
          "None", "refused");
    check("    return x + jnp.asarray(p)\n", "p", "0", "refused");
    check("    return jnp.take(x, p)\n", "p", "None", "refused");
    check("    return [i * j for i, j in zip(x, (p,) * 2)]\n", "p", "1", "refused");
    check("    return [x, p]\n", "p", "None", "refused");
    check("    for i in p or ():\n        x = g(x, i)\n    return x\n", "p", "None",
          "refused");
    check("    a, b = p\n    return a + b\n", "p", "None", "refused");
    check("    return p.reshape(-1)\n", "p", "None", "refused");
    check("    for i in x:\n        p = p + i\n    return p\n", "p", "3", "refused");
    check("    if g(x):\n        p = 2\n    return p\n", "p", "3", "refused");
    check("    y = map(lambda i: i + p, x)\n    p = 2\n    return y, p\n", "p", "3",
          "refused");
    check("    return g(x) if 1 == p < 3 else x\n", "p", "1", "refused");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_tests),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_locals),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_empty_lines),
        cmocka_unit_test(test_arguments_that_jax_has_anyway),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
