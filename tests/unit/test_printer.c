/* The printer by example: one case for each rule of the layout.  That it agrees with
 * ruff everywhere else is the matter of tests/test_printer_ruff.py. */
#include "python/printer.h"

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

static void print_one(Text *t, int level, StmtKind kind, const Str *targets, size_t n,
                      const Expr *x) {
    Stmt s = {.kind = kind,
              .text = STR("="),
              .target = n ? code_targets(t->arena, targets, n) : NULL,
              .expr = x};
    print_code(t, level, &(Stmts){&s, 1, 1}, true);
}

/* The example is written as the printer should leave it: it is parsed and printed. */
static void assigns(const char *target, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    Str name = str_from(target);
    print_one(&t, 1, ST_ASSIGN, &name, 1, parse(&a, want));
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

/* clang-format off */

static void calls(void **state) {
    (void)state;
    assigns("hidden",
            "jax.nn.dot_product_attention(\n"
            "        query, key, value, mask=attention_mask, scale=0.125, is_causal=False\n"
            "    )");
    assigns("layer",
            "attention(\n"
            "        scope(params, \"encoder.layer.0.attention\"),\n"
            "        hidden_states,\n"
            "        jnp.where(mask[:, None, None, :], 0.0, -3.4028234663852886e38),\n"
            "        jnp.concatenate(\n"
            "            [first_of_the_parts, second_of_the_parts, third_of_the_parts_], axis=-1\n"
            "        ),\n"
            "    )");
    assigns("x",
            "function_of_one_argument(\n"
            "        another_function_of_one_argument(first_of_the_parts, second_of_the_parts)\n"
            "    )");
}

static void operators(void **state) {
    (void)state;
    assigns("x",
            "(\n"
            "        first_of_the_summands * with_a_factor\n"
            "        + second_of_the_summands\n"
            "        - third_of_the_summands / with_a_divisor\n"
            "    )");
    assigns("mask",
            "(\n"
            "        attention_mask_of_the_encoder_of_this_model\n"
            "        if attention_mask_of_the_encoder_of_this_model is not None\n"
            "        else None\n"
            "    )");
    assigns("x",
            "first_of_the_summands_of_this_expression + jax.nn.gelu(\n"
            "        hidden_states_of_the_layer, approximate=False\n"
            "    )");
    assigns("power",
            "(\n"
            "        base_with_a_long_name_of_many_characters_and_words\n"
            "        ** exponent_with_a_long_name_of_many_characters\n"
            "    )");
    assigns("x",
            "-(\n"
            "        first_of_the_summands_of_this_expression\n"
            "        + second_of_the_summands_of_this_expression\n"
            "    )");
}

static void chains(void **state) {
    (void)state;
    assigns("x",
            "(\n"
            "        hidden_states_of_the_layer.reshape(batch, sequence, heads, head_size)\n"
            "        .transpose(0, 2, 1, 3)\n"
            "        .astype(jnp.float32)\n"
            "    )");
    assigns("x",
            "hidden_states_of_the_layer.reshape(\n"
            "        batch_of_the_input, sequence_of_the_input, heads, head_size\n"
            "    ).T");
    assigns("x",
            "table_of_the_positions_in_the_model[\n"
            "        index_of_the_position_in_the_table, None, :, 2 * head_size :\n"
            "    ]");
}

static void collections(void **state) {
    (void)state;
    assigns("x",
            "[\n"
            "        first_of_the_items_of_the_list,\n"
            "        second_of_the_items_of_the_list,\n"
            "        third_of_the_items_of_the_list,\n"
            "    ]");
    assigns("x",
            "{\n"
            "        \"first_of_the_keys\": first_of_the_values,\n"
            "        \"second_of_the_keys\": second_of_the_values_of_the_dict,\n"
            "    }");
}

static void names_and_strings(void **state) {
    (void)state;
    assigns("name_of_the_result_that_is_quite_long",
            "(\n"
            "        params_of_the_model.encoder.layer.attention.output.dense\n"
            "    )");
    assigns("name_of_the_result_that_is_quite_long",
            "(\n"
            "        \"a string that does not fit on the line after the name\"\n"
            "    )");
    assigns("name",
            "\"a string that will not fit whatever is done about it, so nothing is done about it at all\"");
}

static void lambdas(void **state) {
    (void)state;
    assigns("x",
            "lambda carry, item: (\n"
            "        carry + function_of_item(item) * factor_of_the_items_in_this_loop_of_ours\n"
            "    )");
    assigns("x",
            "jax.lax.fori_loop(\n"
            "        0,\n"
            "        trip_count_of_the_loop,\n"
            "        lambda index, carry: body_of_the_loop_with_a_long_name(\n"
            "            index, carry, another_value_from_outside\n"
            "        ),\n"
            "        initial,\n"
            "    )");
}

/* clang-format on */

/* ---- statements ------------------------------------------------------------------- */

typedef void Statement(Text *t, const Expr *x);

static void unpack(Text *t, const Expr *x) {
    const Str targets[] = {STR("queries"), STR("keys"), STR("values_with_a_long_name")};
    print_one(t, 0, ST_ASSIGN, targets, 3, x);
}

static void returned(Text *t, const Expr *x) {
    print_one(t, 1, ST_RETURN, NULL, 0, x);
}

static void alone(Text *t, const Expr *x) {
    print_one(t, 1, ST_EXPR, NULL, 0, x);
}

static void states(Statement *statement, const char *text, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    statement(&t, parse(&a, text));
    assert_string_equal(text_view(&t).p, want);
    arena_free(&a);
}

static void statements(void **state) {
    (void)state;
    states(returned, "x", "    return x\n");
    states(returned, "(x, y)", "    return x, y\n");
    states(returned, "(x,)", "    return (x,)\n");
    states(alone, "f(x)", "    f(x)\n");
    states(unpack, "f(x)", "queries, keys, values_with_a_long_name = f(x)\n");
    states(unpack, "jnp.split(projected_hidden_states_, 3, -1, None)",
           "queries, keys, values_with_a_long_name = jnp.split(\n"
           "    projected_hidden_states_, 3, -1, None\n"
           ")\n");
    states(returned,
           "(first_of_the_results_of_this, second_of_the_results_of_this, "
           "third_of_those_results)",
           "    return (\n"
           "        first_of_the_results_of_this,\n"
           "        second_of_the_results_of_this,\n"
           "        third_of_those_results,\n"
           "    )\n");
}

static void defines(const Str *params, size_t n, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    Def def = {
        .name = STR("function"), .params = code_params(&a, params, n), .n_params = n};
    Stmt s = {.kind = ST_DEF, .def = &def, .body = &def.body};
    print_code(&t, 0, &(Stmts){&s, 1, 1}, true);
    assert_string_equal(text_view(&t).p, want);
    arena_free(&a);
}

static void definitions(void **state) {
    (void)state;
    const Str word = STR("a_parameter_with_a_long_name"),
              many[] = {word, word, word, word};
    const Str line =
        STR("a_parameter_with_a_name_that_is_so_long_that_the_line_cannot_hold"
            "_it_at_all");
    defines(many, 0, "def function():\n");
    defines(
        many, 2,
        "def function(a_parameter_with_a_long_name, a_parameter_with_a_long_name):\n");
    defines(many, 4,
            "def function(\n"
            "    a_parameter_with_a_long_name,\n"
            "    a_parameter_with_a_long_name,\n"
            "    a_parameter_with_a_long_name,\n"
            "    a_parameter_with_a_long_name,\n"
            "):\n");
    defines(
        &line, 1,
        "def function(\n"
        "    "
        "a_parameter_with_a_name_that_is_so_long_that_the_line_cannot_hold_it_at_all"
        ",\n"
        "):\n");
}

/* ---- prose ------------------------------------------------------------------------ */

typedef void Prose(Text *t, int level, Str text);

static void says(Prose *prose, const char *text, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    prose(&t, 1, str_from(text));
    assert_string_equal(text_view(&t).p, want);
    arena_free(&a);
}

static void comments(void **state) {
    (void)state;
    says(print_comment, "x: float32[8, 3]", "    # x: float32[8, 3]\n");
    says(print_comment, "a\n\nb", "    # a\n    #\n    # b\n");
    says(print_comment, "a\rimport os\x01", "    # aimport os\n");
    says(print_comment, "\xe2\x80\xae evil\xff", "    #  evil\n");
    says(print_comment, "-*- coding: utf-7", "    # -*- coding : utf-7\n");
    says(print_comment,
         "words that go on and on until a line has no room for the one that comes next",
         "    # words that go on and on until a line has no room for the one that "
         "comes next"
         "\n");
    says(print_comment,
         "and more words that go on and on until a line has no room for the one that "
         "comes "
         "next",
         "    # and more words that go on and on until a line has no room for the one "
         "that "
         "comes\n"
         "    # next\n");
}

static void docstrings(void **state) {
    (void)state;
    says(print_docstring, "One line.", "    \"\"\"One line.\"\"\"\n");
    says(print_docstring, "First.\n\nRest.\n  Deeper.",
         "    \"\"\"First.\n\n    Rest.\n      Deeper.\n    \"\"\"\n");
    says(print_docstring, "First.\n  a\n    b",
         "    \"\"\"First.\n    a\n      b\n    \"\"\"\n");
    says(print_docstring, "\"\"\"; import os\\\n\"",
         "    \"\"\"'''; import os/\n    '\n    \"\"\"\n");
}

/* ---- limits ----------------------------------------------------------------------- */

static void deep_trees(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    const Expr *x = ex_name(&a, STR("x"));
    for (int i = 0; i < EX_DEPTH_MAX; i++)
        x = i % 2 ? ex_lambda(&a, STR("y"), x) : ex_call(&a, x, &x, 0);
    Text t = {.arena = &a};
    print_one(&t, 1, ST_RETURN, NULL, 0, x);
    assert_false(a.failed);
    arena_free(&a);
}

/* Refuses everything once the budget is spent. */
static void *limited(void *user, void *block, size_t old_size, size_t new_size) {
    int *left = user;
    (void)old_size;
    if (new_size > 0)
        return (*left)-- > 0 ? realloc(block, new_size) : NULL;
    free(block);
    return NULL;
}

static void refused_memory(void **state) {
    (void)state;
    bool refused = false, done = false;
    for (int chunks = 1; chunks < 40; chunks++) {
        int left = chunks;
        OxAllocator hook = {limited, &left};
        Arena a;
        arena_init(&a, &hook);
        const Expr *x = ex_name(&a, STR("x"));
        for (int i = 0; i < 60; i++) /* needs more than one chunk of scratch */
            x = ex_binary(&a, "+", x,
                          parse(&a, "f(x, [1, 2], key=lambda: {3: 'a'})[4:5]"));
        Text t = {.arena = &a};
        print_one(&t, 1, ST_RETURN, NULL, 0, x);
        *(a.failed ? &refused : &done) = true;
        arena_free(&a);
    }
    assert_true(refused && done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimal_parentheses),
        cmocka_unit_test(spaces),
        cmocka_unit_test(numbers),
        cmocka_unit_test(strings),
        cmocka_unit_test(calls),
        cmocka_unit_test(operators),
        cmocka_unit_test(chains),
        cmocka_unit_test(collections),
        cmocka_unit_test(names_and_strings),
        cmocka_unit_test(lambdas),
        cmocka_unit_test(statements),
        cmocka_unit_test(definitions),
        cmocka_unit_test(comments),
        cmocka_unit_test(docstrings),
        cmocka_unit_test(deep_trees),
        cmocka_unit_test(refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
