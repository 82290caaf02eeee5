/* The embedded Python helpers: every one is found, whole, and without its imports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "python/helpers.h"

static bool contains(Str text, Str part) {
    for (size_t i = 0; i + part.n <= text.n; i++)
        if (memcmp(text.p + i, part.p, part.n) == 0)
            return true;
    return false;
}

static void every_name_is_found_with_its_definition(void **state) {
    (void)state;
    assert_true(HELPER_COUNT > 0);
    for (size_t i = 0; i < HELPER_COUNT; i++) {
        Str name = str_from(HELPERS[i].name), text = helper_text(&HELPERS[i]);
        char def[128], class[128];
        int n = snprintf(def, sizeof def, "def %.*s(", (int)name.n, name.p);
        int m = snprintf(class, sizeof class, "class %.*s", (int)name.n, name.p);
        assert_ptr_equal(helper_named(name), &HELPERS[i]);
        assert_true(contains(text, (Str){def, (size_t)n}) ||
                    contains(text, (Str){class, (size_t)m}));
        assert_false(
            str_starts(text, STR("import ")) || str_starts(text, STR("from ")) ||
            contains(text, STR("\nimport ")) || contains(text, STR("\nfrom ")));
        assert_false(contains(text, STR("\n\n\n\n")));
        assert_false(str_ends(text, STR("\n\n")));
        assert_int_equal(text.p[text.n], 0);
    }
}

static void names_are_sorted_and_unique(void **state) {
    (void)state;
    for (size_t i = 1; i < HELPER_COUNT; i++)
        assert_true(strcmp(HELPERS[i - 1].name, HELPERS[i].name) < 0);
}

static void an_unknown_name_is_none(void **state) {
    (void)state;
    assert_null(helper_named(STR("no_such_helper")));
    assert_null(helper_named(STR("load_param")));
    assert_null(helper_named((Str){0}));
}

static void a_helper_is_one_function(void **state) {
    (void)state;
    Str text = helper_text(helper_named(STR("untie")));
    assert_true(str_starts(text, STR("def untie(arrays, path, tied):\n")));
    assert_false(contains(text, STR("\ndef ")));
}

static void names(const char *helper, const char *want) {
    char all[512] = "";
    const char *name = helper_names(helper_named(str_from(helper)));
    for (; *name; name = helper_next(name)) {
        strcat(all, name);
        strcat(all, " ");
    }
    assert_string_equal(all, want);
}

/* What a helper binds itself is no name of another: `shift` in roi_align is a number. */
static void a_helper_says_what_it_needs(void **state) {
    (void)state;
    names("nest", "");
    names("all_trainable", "dict ");
    names("read_packed", "read_safetensors json unpack ");
    assert_true(helper_named(STR("flatten"))->recursive);
    assert_false(helper_named(STR("nest"))->recursive);
    const char *name = helper_names(helper_named(STR("roi_align")));
    for (; *name; name = helper_next(name))
        assert_string_not_equal(name, "shift");
}

static void default_is(const char *helper, const char *parameter, const char *want) {
    const char *d = helper_default(helper_named(str_from(helper)), str_from(parameter));
    assert_int_equal(d != NULL, want != NULL);
    if (d)
        assert_string_equal(d, want);
}

/* Calls leave them out.  A default that is computed is written in no other place either. */
static void a_helper_says_its_defaults(void **state) {
    (void)state;
    default_is("conv", "stride", "1");
    default_is("conv", "b", "None");
    default_is("conv", "x", NULL);
    default_is("layer_norm", "eps", "1e-05");
    default_is("layer_norm", "axis", "-1");
    default_is("length_bias", "fill", "-10000.0");
    default_is("sampling_search", "filter_value", "-1e20");
    default_is("grid_sample", "mode", "\"linear\"");
    default_is("quantize", "dtype", "jnp.uint8");
    default_is("swiglu", "limit", "jnp.inf");
    default_is("max_pool_indices", "least", "-jnp.inf");
    default_is("rnn", "activations", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found_with_its_definition),
        cmocka_unit_test(names_are_sorted_and_unique),
        cmocka_unit_test(an_unknown_name_is_none),
        cmocka_unit_test(a_helper_is_one_function),
        cmocka_unit_test(a_helper_says_what_it_needs),
        cmocka_unit_test(a_helper_says_its_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
