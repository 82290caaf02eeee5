/* The printer by example: one case for each rule of the layout.  That it agrees with
 * ruff everywhere else is the matter of tests/test_printer_ruff.py. */
#include "codegen/printer.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static const Expr *absent(void *user, Str name, bool *unknown) {
    (void)user, (void)name;
    *unknown = true;
    return NULL;
}

static const Expr *parse(Arena *a, const char *text) {
    ExprScope scope = {absent, NULL};
    const char *error = NULL;
    const Expr *x = ex_template(a, text, &scope, &error);
    if (error)
        fail_msg("%s", error);
    return x;
}

/* Every example below is written as the printer should leave it: it is parsed, and
 * printed again.  Examples have no strings with line breaks in them. */
static const char *joined(Arena *a, const char *text) {
    Text t = {.arena = a};
    for (; *text; text++)
        if (*text != '\n')
            text_char(&t, *text);
    return text_view(&t).p;
}

static void assigns(const char *target, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    Str name = str_from(target);
    print_assign(&t, 1, &name, 1, parse(&a, joined(&a, want)));
    Str all = arena_printf(&a, "    %s = %s\n", target, want);
    assert_string_equal(text_view(&t).p, all.p);
    arena_free(&a);
}

static void flat(const char *text, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    const Expr *x = parse(&a, text);
    print_flat(&t, x);
    assert_string_equal(text_view(&t).p, want);
    assert_int_equal(print_width(x, 80), strlen(want));
    assert_int_equal(print_width(x, strlen(want) - 1), strlen(want));
    arena_free(&a);
}

/* ---- one line --------------------------------------------------------------------- */

static void minimal_parentheses(void **state) {
    (void)state;
    flat("(a * b) + c", "a * b + c");
    flat("a * (b + c)", "a * (b + c)");
    flat("a - (b - c)", "a - (b - c)");
    flat("(a - b) - c", "a - b - c");
    flat("(a < b) < c", "(a < b) < c");
    flat("(a and b) and c", "a and b and c");
    flat("a and (b and c)", "a and (b and c)");
    flat("not (a and b)", "not (a and b)");
    flat("not (a == b)", "not a == b");
    flat("(-a).b", "(-a).b");
    flat("(-1) ** 2", "(-1) ** 2");
    flat("(lambda: a)(b)", "(lambda: a)(b)");
    flat("(a if b else c).d", "(a if b else c).d");
    flat("(a if b else c) if d else e", "(a if b else c) if d else e");
    flat("a if b else (c if d else e)", "a if b else c if d else e");
    flat("f((a, b))", "f((a, b))");
    flat("(5).real", "(5).real");
}

static void spaces(void **state) {
    (void)state;
    flat("x ** 2", "x**2");
    flat("x.y ** -z", "x.y**-z");
    flat("x ** y[0]", "x ** y[0]");
    flat("-(x ** 2)", "-(x**2)");
    flat("f(a)[b] ** 2", "f(a)[b] ** 2");
    flat("x[a + 1 :]", "x[a + 1 :]");
    flat("x[a:b]", "x[a:b]");
    flat("x[-1:]", "x[-1:]");
    flat("x[:, None, ..., f(a) : 2]", "x[:, None, ..., f(a) : 2]");
    flat("x[::2]", "x[::2]");
    flat("x[a.b :: 2]", "x[a.b :: 2]");
    flat("f(a, k=b, *c)", "f(a, k=b, *c)");
    flat("{a: b, 'c': d}", "{a: b, \"c\": d}");
    flat("(x,)", "(x,)");
    flat("(), [], {}, f()", "((), [], {}, f())");
    flat("lambda: a", "lambda: a");
    flat("lambda x, y: x + y", "lambda x, y: x + y");
}

static void numbers(void **state) {
    (void)state;
    flat("1e-5", "1e-05");
    flat("-3", "-3");
    flat("1E20", "1e20");
    flat("a - -3", "a - -3");
}

static void quotes(Str content, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    print_string(&t, content);
    assert_string_equal(text_view(&t).p, want);
    arena_free(&a);
}

static void strings(void **state) {
    (void)state;
    quotes(STR("it's"), "\"it's\"");
    quotes(STR("say \"x\""), "'say \"x\"'");
    quotes(STR("'\""), "\"'\\\"\"");
    quotes(STR("a\\b\n\t\x01\x7f"), "\"a\\\\b\\n\\t\\x01\\x7f\"");
    quotes(STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff"),
           "\"\\xe9\\u20ac\\U0001f600\\ufffd\"");
}

/* ---- several lines ---------------------------------------------------------------- */

static void calls(void **state) {
    (void)state;
    assigns("hidden_states",
            "jax.nn.dot_product_attention(\n"
            "        query, key, value, mask=attention_mask, scale=0.125, is_causal=False\n"
            "    )");
    assigns("layer",
            "attention(\n"
            "        scope(params, \"encoder.layer.0.attention.self.query\"),\n"
            "        hidden_states,\n"
            "        jnp.where(mask[:, None, None, :], 0.0, -3.4028234663852886e38),\n"
            "        jnp.concatenate(\n"
            "            [first_of_the_parts, second_of_the_parts, third_of_the_parts], axis=-1\n"
            "        )\n"
            "    )" +
                0);
}
