/* How many lines code takes, counted on its trees, against what the printer makes of it.
 * The count may be wrong; on what generated code is made of it is not. */
#include "emit/gen.h"

#include "pb.h"

static Stmts code_of(Fixture *f, const char *text) {
    Stmts list = {0};
    code_build(&f->arena, &list, text, NULL, 0);
    assert_false(f->arena.failed);
    return list;
}

static size_t printed_lines(Fixture *f, const Stmts *list) {
    Text t = {.arena = &f->arena};
    size_t lines = 0;
    print_code(&t, 1, list, true);
    for (size_t i = 0; i < t.n; i++)
        lines += t.p[i] == '\n';
    return lines;
}

static const char *const statements[] = {
    "x = jnp.tanh(y)\n",
    "return x\n",
    /* 84 columns and 85 behind the indentation */
    "hidden_states = linear(attention_output_1st, params[\"dense.weight\"], "
    "params[\"bias\"])\n",
    "hidden_states = linear(attention_output_last, params[\"dense.weight\"], "
    "params[\"bias\"])\n"
    "y = 1\n",
    /* arguments on a line of their own, and one by one */
    "hidden_states = layer_norm(attention_output, params[\"attention.norm.weight\"], "
    "params[\"attention.norm.bias\"])\n",
    "hidden_states = layer_norm(attention_output + hidden_states_before, "
    "params[\"attention.norm.weight\"], params[\"attention.norm.bias\"], eps=1e-12)\n",
    /* brackets within brackets */
    "context = merge_heads(jax.nn.dot_product_attention(query_states, key_states, "
    "value_states, mask=attention_mask_of_all_layers, scale=0.125))\n",
    /* operators, in parentheses */
    "hidden_states = attention_output_of_this_layer + hidden_states_before_it * "
    "params[\"gate.weight\"]\n",
    "return attention_output_of_this_layer + hidden_states_before_it * "
    "params[\"gate.weight\"] + residual\n",
    /* what is called breaks */
    "heads = jnp.transpose(hidden_states_of_the_layer, first_permutation_of_axes)"
    ".reshape(batch, 12, 64)\n",
    "values = [first_of_the_values, second_of_the_values, third_of_the_values, "
    "fourth_of_the_values]\n",
    "for i in range(12):\n    x = layer(scope(params, f\"encoder.layer.{i}\"), x)\n",
    "TABLE = {f\"encoder.layer.{i}.attention.self.{name}.weight\": \"transposed\" for "
    "i in "
    "range(12) for name in (\"query\", \"key\", \"value\")}\n",
};

static void lines_are_those_of_the_printer(void **state) {
    Fixture *f = *state;
    for (size_t i = 0; i < OX_COUNT(statements); i++) {
        Stmts list = code_of(f, statements[i]);
        size_t lines = printed_lines(f, &list), counted = gen_lines(&list, 1, 0);
        if (counted != lines)
            fail_msg("%zu lines, not %zu: %s", counted, lines, statements[i]);
    }
}

/* A function within a function has empty lines around it. */
static void local_functions_stand_apart(void **state) {
    Fixture *f = *state;
    Stmts list = code_of(f, "x = y\n"), body = code_of(f, "return c + 1\n");
    for (int i = 0; i < 2; i++) {
        Def *def = ARENA_NEW(&f->arena, Def);
        *def = (Def){.name = STR("body"), .body = body};
        Stmt s = {.kind = ST_DEF, .def = def, .body = &def->body};
        (void)code_add(&f->arena, &list, s);
    }
    Stmts more = code_of(f, "return body\n");
    (void)code_add(&f->arena, &list, more.items[0]);
    assert_int_equal(gen_lines(&list, 1, 0), printed_lines(f, &list));
}

/* Written in place, keys say the whole path. */
static void longer_keys_break_lines(void **state) {
    Fixture *f = *state;
    Stmts list = code_of(f, "x = linear(hidden_states, params[\"weight\"], "
                            "params[\"bias\"])\n");
    assert_int_equal(gen_lines(&list, 1, 0), 1);
    assert_int_equal(gen_lines(&list, 1, 12), 1);
    assert_int_equal(gen_lines(&list, 1, 13), 4);
    Stmts other = code_of(f, "x = linear(hidden_states, names[\"weight\"], "
                             "names[\"bias\"])\n");
    assert_int_equal(gen_lines(&other, 1, 60), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(lines_are_those_of_the_printer),
        IN_ARENA(local_functions_stand_apart),
        IN_ARENA(longer_keys_break_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
