/* The embedded Python helpers: every one is found, whole, and without its imports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "codegen/codegen.h"
#include "codegen/helpers.h"

static bool contains(Str text, Str part) {
    for (size_t i = 0; i + part.n <= text.n; i++)
        if (memcmp(text.p + i, part.p, part.n) == 0)
            return true;
    return false;
}

static void every_name_is_found_with_its_definition(void **state) {
    (void)state;
    size_t i = 0;
    for (Str name; (name = codegen_helper_name(i)).n > 0; i++) {
        Str text = codegen_helper(name);
        char def[128], class[128];
        int n = snprintf(def, sizeof def, "def %.*s(", (int)name.n, name.p);
        int m = snprintf(class, sizeof class, "class %.*s", (int)name.n, name.p);
        assert_true(contains(text, (Str){def, (size_t)n}) ||
                    contains(text, (Str){class, (size_t)m}));
        assert_false(
            str_starts(text, STR("import ")) || str_starts(text, STR("from ")) ||
            contains(text, STR("\nimport ")) || contains(text, STR("\nfrom ")));
        assert_false(contains(text, STR("\n\n\n\n")));
        assert_int_not_equal(text.p[text.n - 1], '\n');
    }
    assert_true(i > 0);
}

static void names_are_unique(void **state) {
    (void)state;
    Str name;
    for (size_t i = 0; (name = codegen_helper_name(i)).n > 0; i++)
        for (size_t j = 0; j < i; j++)
            assert_false(str_eq(name, codegen_helper_name(j)));
}

static void an_unknown_name_is_empty(void **state) {
    (void)state;
    assert_int_equal(codegen_helper(STR("no_such_helper")).n, 0);
    assert_int_equal(codegen_helper(STR("load_param")).n, 0);
    assert_int_equal(codegen_helper((Str){0}).n, 0);
}

static void a_helper_is_one_function(void **state) {
    (void)state;
    Str text = codegen_helper(STR("untie"));
    assert_true(str_starts(text, STR("def untie(arrays, path, tied):\n")));
    assert_false(contains(text, STR("\ndef ")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_found_with_its_definition),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(an_unknown_name_is_empty),
        cmocka_unit_test(a_helper_is_one_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
