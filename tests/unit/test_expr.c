/* Expression trees and the template parser.  Trees are compared with ex_same against
 * trees built by hand, so nothing here depends on the printer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "code/program.h"

typedef struct Fixture {
    Arena arena;
} Fixture;

static int set_up(void **state) {
    Fixture *f = calloc(1, sizeof *f);
    arena_init(&f->arena, NULL);
    *state = f;
    return f ? 0 : -1;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    arena_free(&f->arena);
    free(f);
    return 0;
}

static Arena *arena_of(void **state) {
    return &((Fixture *)*state)->arena;
}

/* What the templates below can name: x, y, a list, an axis of -1; `none` is absent. */
static const Expr *look_up(void *user, Str name, bool *unknown) {
    Arena *a = user;
    if (str_is(name, "x") || str_is(name, "y"))
        return ex_name(a, name);
    if (str_is(name, "axis"))
        return ex_int(a, -1);
    if (str_is(name, "eps"))
        return ex_float(a, 1e-5, 64);
    if (str_is(name, "list"))
        return ex_ints(a, EX_LIST, (const int64_t[]){1, 2}, 2);
    *unknown = !str_is(name, "none");
    return NULL;
}

static const Expr *parse(Arena *a, const char *text) {
    ExprScope scope = {look_up, a};
    const char *error = NULL;
    const Expr *x = ex_template(a, text, &scope, &error);
    if (error)
        fail_msg("%s", error);
    return x;
}

static void same(Arena *a, const char *text, const Expr *want) {
    if (!ex_same(parse(a, text), want))
        fail_msg("another tree: %s", text);
}

static void same_text(Arena *a, const char *text, const char *want) {
    same(a, text, parse(a, want));
}

static void test_precedence(void **state) {
    Arena *a = arena_of(state);
    same_text(a, "1 + 2 * 3", "1 + (2 * 3)");
    same_text(a, "1 - 2 - 3", "(1 - 2) - 3");
    same_text(a, "2 ** 3 ** 4", "2 ** (3 ** 4)");
    same_text(a, "-a ** 2", "-(a ** 2)");
    same_text(a, "a ** -b * c", "(a ** (-b)) * c");
    same_text(a, "-a * b", "(-a) * b");
    same_text(a, "~a[0].b(c)", "~(((a[0]).b)(c))");
    same_text(a, "not a == b and c or d", "((not (a == b)) and c) or d");
    same_text(a, "a | b ^ c & d << e + f", "a | (b ^ (c & (d << (e + f))))");
    same_text(a, "a not in b", "a not in (b)");
    same_text(a, "a < b + c <= d and e", "(a < (b + c) <= d) and e");
    assert_false(ex_same(parse(a, "a < b < c"), parse(a, "(a < b) < c")));
    same_text(a, "[x for a, b in c or d if a if not b]",
              "[x for (a), b in (c or d) if a if (not b)]");
    same_text(a, "f(a if b else c for d in e)", "f(((a if b else c) for d in e))");
    same_text(a, "a is not b or c", "(a is not b) or c");
    same_text(a, "a if b else c if d else e", "a if b else (c if d else e)");
    same_text(a, "lambda x, y: x + y", "(lambda x, y: (x + y))");
    assert_false(ex_same(parse(a, "(a - b) - c"), parse(a, "a - (b - c)")));
    assert_false(ex_same(parse(a, "a is (not b)"), parse(a, "a is not b")));
}

static void test_calls_and_subscripts(void **state) {
    Arena *a = arena_of(state);
    const Expr *x = ex_name(a, STR("x")), *one = ex_int(a, 1);
    const Expr *args[] = {x, ex_keyword(a, STR("axis"), one)};
    same(a, "jnp.sum(x, axis=1)", ex_call(a, ex_name(a, STR("jnp.sum")), args, 2));
    const Expr *items[] = {ex_name(a, STR("...")), ex_slice(a, NULL, one, NULL),
                           ex_none()};
    same(a, "x[..., :1, None]", ex_index(a, x, items, 3));
    same(a, "$x.shape", ex_attribute(a, x, STR("shape")));
    same_text(a, "f(*$list, k=1)", "f(1, 2, k=1)");
    same_text(a, "f($x).a.b", "(f($x).a).b");
    same_text(a, "x[1:2:3]", "x[(1) : (2) : (3)]");
    assert_false(ex_same(parse(a, "x[1:]"), parse(a, "x[:1]")));
    assert_int_equal(parse(a, "()")->n, 0);
    assert_int_equal(parse(a, "(x,)")->n, 1);
    assert_int_equal(parse(a, "{'a': 1, 'b': x}")->n, 4);
    assert_int_equal(parse(a, "a, b")->kind, EX_TUPLE);
    same(a, "'it\\'s\\n'", ex_str(a, STR("it's\n")));
}

static void test_groups(void **state) {
    Arena *a = arena_of(state);
    same_text(a, "f($x$(, b=$none))", "f(x)");
    same_text(a, "f($x$(, b=$y))", "f(x, b=y)");
    same_text(a, "f($x$(, axis=$axis|-1))", "f(x)");
    same_text(a, "f($x$(, axis=$axis|0))", "f(x, axis=-1)");
    same_text(a, "f($x$(, eps=$eps|1e-5)$(, eps=$eps|0.1))", "f(x, eps=1e-05)");
    same_text(a, "f($(a=$none)$(, b=$y))", "f(b=y)");
    same_text(a, "$x$( * $none)$( + $y)", "x + y");
    same_text(a, "f($x$(, g($y$(, $none))))", "f(x, g(y))");
    same_text(a, "$x$( + ')' + $y)", "x + ')' + y");
}

static void refuses(Arena *a, const char *text) {
    ExprScope scope = {look_up, a};
    const char *error = NULL;
    assert_true(ex_same(ex_template(a, text, &scope, &error), ex_none()));
    if (!error)
        fail_msg("accepted: %s", text);
}

static void test_bad_templates(void **state) {
    Arena *a = arena_of(state);
    const char *bad[] = {
        "",       "a +",        "f(",     "f(a",  "a b",      "a < < b", "$nothing",
        "$none",  "f($(a)",     "'a",     "x[1",  "lambda x", "a if b",  "{1}",
        "a ? b",  "f(b=$nope)", "not",    "a.1",  "(a",       "a not b", "1 + *a",
        "f(,,x)", "$(x",        "a if b", "x[::", "a..b",     "$",       "$x$y",
    };
    for (size_t i = 0; i < OX_COUNT(bad); i++)
        refuses(a, bad[i]);
    Text deep = {.arena = a};
    for (int i = 0; i < 5000; i++)
        text_char(&deep, '(');
    refuses(a, text_view(&deep).p);
}

static void test_build(void **state) {
    Arena *a = arena_of(state);
    const Expr *x = ex_name(a, STR("x")), *y = ex_name(a, STR("y"));
    assert_true(ex_same(EX(a, "$0 + $1[:, None]", x, y), parse(a, "x + y[:, None]")));
    assert_true(ex_same(EX(a, "f($0$(, $1))", x, NULL), parse(a, "f(x)")));
    assert_int_equal(ex_template_uses("$x + $xx * f($x, '$x')", STR("x")), 2);
    assert_null(a->defect);
    (void)EX(a, "$0 + $7", x, y);
    assert_non_null(strstr(a->defect, "template `$0 + $7`: unknown name $7"));
    assert_false(a->failed);
}

static void test_nothing_is_a_defect(void **state) {
    Arena *a = arena_of(state);
    const Expr *x = ex_name(a, STR("x"));
    (void)EX(a, "f($0, $1)", x, NULL);
    assert_non_null(strstr(a->defect, "absent outside a group: $1"));
    a->defect = NULL;
    assert_ptr_equal(ex_binary(a, "+", x, NULL), ex_none());
    assert_non_null(a->defect);
    a->defect = NULL;
    (void)ex_astype(a, NULL, x);
    assert_non_null(a->defect);
}

static void test_what_is_free_to_repeat(void **state) {
    Arena *a = arena_of(state);
    static const char *const free_text[] = {"x", "-1", "x.shape[0]", "params['w']",
                                            "(x.shape[0], 2)"};
    static const char *const work[] = {"x + 1", "f(x)", "x.T @ x", "-x[f(0)]"};
    for (size_t i = 0; i < OX_COUNT(free_text); i++)
        assert_true(ex_is_free(parse(a, free_text[i])));
    for (size_t i = 0; i < OX_COUNT(work); i++)
        assert_false(ex_is_free(parse(a, work[i])));
    const Expr *sum = parse(a, "x + y");
    assert_int_equal(ex_count(EX(a, "f($0, $1)", sum, parse(a, "x + y")), sum), 1);
    assert_int_equal(ex_count(ex_binary(a, "*", sum, sum), sum), 2);
    assert_null(a->defect);
    (void)EX(a, "$0 * $0", sum);
    assert_int_equal(a->defect != NULL, OX_CHECKS);
}

static void number(Arena *a, double value, int bits, const char *want) {
    const Expr *x = ex_float(a, value, bits);
    assert_int_equal(x->kind, EX_NUMBER);
    assert_string_equal(x->text.p, want);
}

static void test_floats(void **state) {
    Arena *a = arena_of(state);
    number(a, 0.1, 64, "0.1");
    number(a, (double)0.1f, 32, "0.1");
    number(a, (double)0.1f, 64, "0.10000000149011612");
    number(a, 1.0, 32, "1.0");
    number(a, -0.0, 32, "-0.0");
    number(a, -2.5, 32, "-2.5");
    number(a, (double)1e-5f, 32, "1e-05");
    number(a, 0.0001, 64, "0.0001");
    number(a, (double)3.4028234663852886e38f, 32, "3.4028235e38");
    number(a, (double)1e-45f, 32, "1e-45");
    number(a, 33554432.0, 32, "33554432.0");
    number(a, 1e15, 64, "1000000000000000.0");
    number(a, 1e16, 64, "1e16");
    number(a, 1.5e300, 64, "1.5e300");
    number(a, 123456.789, 64, "123456.789");
    number(a, 0.333251953125, 16, "0.3333"); /* 1/3 in float16 */
    number(a, 0.3333333333333333, 64, "0.3333333333333333");
    number(a, 5.9604644775390625e-08, 16,
           "5.96e-08"); /* least float16; exact in bfloat16 */
    assert_true(ex_same(ex_float(a, (double)-INFINITY, 32), parse(a, "-jnp.inf")));
    assert_true(ex_same(ex_float(a, (double)NAN, 32), parse(a, "jnp.nan")));
}

static void test_floats_round_trip(void **state) {
    Arena *a = arena_of(state);
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        uint32_t bits = (uint32_t)(seed >> 32);
        float single;
        double wide;
        memcpy(&single, &bits, 4);
        memcpy(&wide, &seed, 8);
        if (isfinite(single))
            assert_true((float)strtod(ex_float(a, (double)single, 32)->text.p, NULL) ==
                        single);
        if (isfinite(wide))
            assert_true(strtod(ex_float(a, wide, 64)->text.p, NULL) == wide);
    }
}

static void test_literals_fold(void **state) {
    Arena *a = arena_of(state);
    assert_true(ex_same(parse(a, "-5"), ex_int(a, -5)));
    assert_true(ex_same(parse(a, "-1.5"), ex_float(a, -1.5, 64)));
    assert_int_equal(parse(a, "-(-5)")->kind, EX_UNARY);
    assert_int_equal(parse(a, "9223372036854775808")->kind, EX_NUMBER);
    assert_true(parse(a, "9223372036854775807")->i == INT64_MAX);
}

static void count_name(void *user, Str name) {
    (void)name;
    ++*(int *)user;
}

static void test_walks(void **state) {
    Arena *a = arena_of(state);
    const Expr *x = parse(a, "jnp.sum(a.b[..., 1:], axis=c)");
    int names = 0;
    ex_each_name(x, count_name, &names);
    assert_int_equal(names, 3);
    assert_true(ex_is_atom(ex_none()) && !ex_is_atom(x));
    assert_true(ex_same(parse(a, "$x.a.b"), parse(a, "x.a.b")));
    const Expr *grown = ex_with_arg(a, parse(a, "f(1, k=2)"), parse(a, "3"));
    assert_true(ex_same(grown, parse(a, "f(1, 3, k=2)")));
}

static void test_depth(void **state) {
    Arena *a = arena_of(state);
    const Expr *x = ex_name(a, STR("x"));
    for (int i = 0; i < EX_DEPTH_MAX; i++)
        x = ex_unary(a, "-", x);
    assert_int_equal(x->depth, EX_DEPTH_MAX);
    assert_false(a->failed);
    (void)ex_unary(a, "-", x);
    assert_true(a->failed);
}

/* ---- refused memory ---------------------------------------------------------------
 */

/* Refuses everything once the budget is spent. */
static void *limited(void *user, void *block, size_t old_size, size_t new_size) {
    int *left = user;
    (void)old_size;
    if (new_size > 0)
        return (*left)-- > 0 ? realloc(block, new_size) : NULL;
    free(block);
    return NULL;
}

/* false when memory was refused, after `used` bytes and in the chunk `chunks` */
static bool parses_within(int chunks, size_t used) {
    OxAllocator hook = {limited, &chunks};
    Arena a;
    arena_init(&a, &hook);
    arena_alloc(&a, used);
    ExprScope scope = {look_up, &a};
    const char *error = NULL;
    const Expr *x = ex_template(&a,
                                "f(*$list, 'a', b=$x.y[1:, ...] + {1: (2,)}[1])"
                                "$( if $y else lambda z: -1.5)",
                                &scope, &error);
    int names = 0;
    ex_each_name(x, count_name, &names); /* whatever is there can be walked */
    bool whole = !a.failed;
    arena_free(&a);
    return whole;
}

static const Expr *twice(void *user, const Expr *x) {
    Arena *a = user;
    return x->kind == EX_NAME && str_is(x->text, "y") ? EX(a, "2 * $0", x) : x;
}

/* A note goes with the expression, whatever is made of it, and nobody else has it. */
static void test_notes(void **state) {
    Arena *a = *state;
    const Expr *x = ex_name(a, STR("x")), *noted = ex_note(a, x, 7);
    assert_int_equal(x->note, 0);
    assert_int_equal(noted->note, 7);
    assert_true(ex_same(x, noted));
    const Expr *sum = EX(a, "$0 + f(y)", noted);
    assert_ptr_equal(ex_note(a, sum, 3), sum);
    const Expr *again = ex_note(a, sum, 4);
    assert_int_equal(sum->note, 3);
    assert_int_equal(again->note, 4);
    const Expr *edited = ex_edit(a, sum, twice, a);
    assert_true(edited != sum);
    assert_int_equal(edited->note, 3);
    assert_int_equal(edited->kids[0]->note, 7);
}

/* Whatever allocation is refused first, the parser still gives a tree that can be
 * walked, and the arena says that it failed. */
static void test_refused_memory(void **state) {
    (void)state;
    for (int chunks = 0; chunks < 4; chunks++)
        for (size_t used = 8; used < 2000; used += 8)
            (void)parses_within(chunks, used);
    assert_false(parses_within(0, 8));
    assert_true(parses_within(100, 8));
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_precedence),
        CASE(test_calls_and_subscripts),
        CASE(test_groups),
        CASE(test_bad_templates),
        CASE(test_build),
        CASE(test_nothing_is_a_defect),
        CASE(test_what_is_free_to_repeat),
        CASE(test_floats),
        CASE(test_floats_round_trip),
        CASE(test_literals_fold),
        CASE(test_walks),
        CASE(test_depth),
        CASE(test_notes),
        CASE(test_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
