/* Statements as trees: every helper is parsed, prints as it was written, prints the same
 * from its trees alone, and names what it needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "python/helpers.h"
#include "python/printer.h"

static Stmts parse(Arena *a, const char *text, const char *end) {
    Stmts list = {0};
    const char *error = NULL;
    code_parse(a, text, end, &list, &error);
    if (error)
        fail_msg("%s", error);
    return list;
}

static Stmts parse_text(Arena *a, const char *text) {
    return parse(a, text, text + strlen(text));
}

static Str printed(Arena *a, const Stmts *list) {
    Text t = {.arena = a};
    print_code(&t, 0, list, true);
    return text_view(&t);
}

static void edit_all(const Stmts *list) {
    for (size_t i = 0; i < list->count; i++) {
        list->items[i].edited = list->items[i].kind != ST_UNREAD;
        if (list->items[i].body)
            edit_all(list->items[i].body);
    }
}

/* ---- helpers ---------------------------------------------------------------------- */

static void each_helper(void (*check)(Arena *a, const Helper *helper)) {
    for (size_t i = 0; i < HELPER_COUNT; i++) {
        Arena a;
        arena_init(&a, NULL);
        check(&a, &HELPERS[i]);
        assert_false(a.failed);
        arena_free(&a);
    }
}

static void prints_as_written(Arena *a, const Helper *helper) {
    Stmts list = parse_text(a, helper_text(helper).p);
    assert_non_null(code_find(&list, str_from(helper->name)));
    assert_string_equal(printed(a, &list).p, helper_text(helper).p);
}

static void prints_from_trees(Arena *a, const Helper *helper) {
    Stmts list = parse_text(a, helper_text(helper).p);
    edit_all(&list);
    assert_string_equal(printed(a, &list).p, helper_text(helper).p);
}

/* Edits of what was read leave the rest alone. */
static void beginnings_print_as_written(Arena *a, const Helper *helper) {
    for (size_t n = 0; n < 4; n++) {
        Stmts list = {0};
        const char *error = NULL, *text = helper_text(helper).p;
        code_parse_begin(a, text, text + helper_text(helper).n, n, &list, &error);
        assert_null(error);
        assert_string_equal(printed(a, &list).p, text);
        Def *def = code_find(&list, str_from(helper->name));
        assert_non_null(def);
        assert_in_range(def->body.count, 1, n + 1);
        edit_all(&list);
        assert_string_equal(printed(a, &list).p, text);
    }
}

static void helpers_print_from_beginnings(void **state) {
    (void)state;
    each_helper(beginnings_print_as_written);
}

static void helpers_print_as_written(void **state) {
    (void)state;
    each_helper(prints_as_written);
}

static void helpers_print_from_trees(void **state) {
    (void)state;
    each_helper(prints_from_trees);
}

/* A helper may name helpers, imports, builtins, and constants that modules define. */
static void is_known(Str name) {
    static const char *const known[] = {"AttributeError",
                                        "EOFError",
                                        "FROZEN",
                                        "False",
                                        "FileNotFoundError",
                                        "KeyError",
                                        "None",
                                        "OverflowError",
                                        "PARTITION_RULES",
                                        "Path",
                                        "RecursionError",
                                        "True",
                                        "TypeError",
                                        "ValueError",
                                        "abs",
                                        "any",
                                        "bool",
                                        "bytes",
                                        "callable",
                                        "dict",
                                        "enumerate",
                                        "export",
                                        "all",
                                        "float",
                                        "functools",
                                        "getattr",
                                        "int",
                                        "isinstance",
                                        "jax",
                                        "jnp",
                                        "json",
                                        "len",
                                        "list",
                                        "map",
                                        "math",
                                        "max",
                                        "min",
                                        "next",
                                        "np",
                                        "open",
                                        "range",
                                        "set",
                                        "slice",
                                        "sorted",
                                        "str",
                                        "sum",
                                        "tuple",
                                        "zip",
                                        "zipfile",
                                        "zlib"};
    for (size_t i = 0; i < OX_COUNT(known); i++)
        if (str_is(name, known[i]))
            return;
    if (!helper_named(name))
        fail_msg("nothing defines %.*s", (int)name.n, name.p);
}

static void helpers_name_what_there_is(void **state) {
    (void)state;
    for (size_t i = 0; i < HELPER_COUNT; i++)
        for (const char *s = helper_names(&HELPERS[i]); *s; s = helper_next(s))
            is_known(str_from(s));
}

/* ---- names ------------------------------------------------------------------------ */

static void collect(void *user, Str name) {
    text_printf(user, "%.*s ", (int)name.n, name.p);
}

static void free_names(const char *text, const char *want) {
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    Stmts list = parse_text(&a, text);
    code_free_names(&a, &list, collect, &t);
    assert_string_equal(text_view(&t).p, want);
    arena_free(&a);
}

static void free_names_follow_scopes(void **state) {
    (void)state;
    free_names("y = f(x.a, k=z)\n", "f x z ");
    free_names("def g(a, b=c):\n    return a + b + g(d)\n", "c d ");
    free_names("def g(a):\n    def h(b):\n        return a + b\n\n    return h(b)\n",
               "b ");
    free_names("y = [a + b for a in xs for b in a if b]\nz = a\n", "xs a ");
    free_names("y = lambda a, *b: a + b + c\n", "c ");
    free_names("if n := len(x):\n    y = n\n", "len x ");
    free_names("with open(p) as f:\n    x, (y, z) = f, p\n", "open p p ");
    free_names("for i, x in xs:\n    x[i].at += j\n", "xs j ");
    free_names("x = f\"{a} b {c['d']!r}\"\n", "a c ");
}

/* ---- edits ------------------------------------------------------------------------ */

static void an_edit_keeps_comments(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Stmts list = parse_text(&a, "def f(x):\n"
                                "    # above\n"
                                "    y = f(x + 1)  # behind\n"
                                "\n"
                                "    return g( y )\n");
    code_rename(&a, &list, STR("f"), STR("renamed"));
    assert_string_equal(printed(&a, &list).p, "def renamed(x):\n"
                                              "    # above\n"
                                              "    y = renamed(x + 1)  # behind\n"
                                              "\n"
                                              "    return g( y )\n");
    arena_free(&a);
}

static void statements_are_built_from_text(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Stmts list = {0};
    const Expr *x = ex_name(&a, STR("x"));
    CODE(&a, &list, "if $0 is not None:\n    y = $0 + $1\nreturn y", x, ex_int(&a, 2));
    assert_false(a.failed);
    assert_string_equal(printed(&a, &list).p, "if x is not None:\n"
                                              "    y = x + 2\n"
                                              "return y\n");
    arena_free(&a);
}

static void refuses(const char *text) {
    Arena a;
    arena_init(&a, NULL);
    Stmts list = {0};
    const char *error = NULL;
    code_parse(&a, text, text + strlen(text), &list, &error);
    if (!error)
        fail_msg("parsed: %s", text);
    arena_free(&a);
}

typedef struct Seen {
    Arena *arena;
    const Text *text; /* that is being printed */
    Text spans;
} Seen;

static void see(void *user, const Stmt *s, size_t begin, size_t end, size_t whole) {
    Seen *seen = user;
    text_printf(&seen->spans, "%d:", (int)s->note);
    text_str(&seen->spans, (Str){seen->text->p + begin, end - begin - 1});
    if (whole > end)
        text_printf(&seen->spans, "+%zu", whole - end);
    text_char(&seen->spans, '|');
}

/* Statements are told with their own lines, behind those of their bodies. */
static void printing_is_watched(void **state) {
    (void)state;
    Arena arena, *a = &arena;
    arena_init(a, NULL);
    Stmts list =
        parse_text(a, "# why\nx = 1\nfor i in y:\n    z = [\n        1,\n    ]\n");
    list.items[0].note = 4;
    list.items[1].body->items[0].edited = true;
    list.items[1].body->items[0].note = 5;
    Text t = {.arena = a};
    Seen seen = {a, &t, {.arena = a}};
    PrintWatch watch = {see, &seen};
    print_watched(&t, 0, &list, true, &watch);
    Str spans = text_view(&seen.spans);
    assert_string_equal(spans.p, "4:x = 1|5:    z = [\n        1,\n    ]|"
                                 "0:for i in y:+27|");
    assert_string_equal(text_view(&t).p, printed(a, &list).p);
    arena_free(a);
}

static void odd_text_is_refused(void **state) {
    (void)state;
    refuses("if x:\ny = 1\n");
    refuses("  x = 1\ny = 2\n");
    refuses("x = (1\n");
    refuses("x = 1 y\n");
    refuses("def f(x=):\n    return x\n");
    refuses("def f(x):\n");
    refuses("x = f\"{a\"\n");
    refuses("x = \"\"\"a\n");
    refuses("for x in y\n    z\n");
}

/* ---- what nobody reads --------------------------------------------------------------- */

static void assert_left(const char *text, const char *left) {
    Arena a;
    arena_init(&a, NULL);
    Stmts list = parse_text(&a, text);
    code_drop_unread(&a, list.items[0].def);
    edit_all(&list);
    assert_string_equal(printed(&a, &list).p, left);
    arena_free(&a);
}

static void unread_assignments_are_dropped(void **state) {
    (void)state;
    assert_left("def f(x):\n    n = x.shape[0]\n    m = n + 1\n    return x\n",
                "def f(x):\n    return x\n");
    assert_left("def f(x):\n    a, b = x\n    return a\n",
                "def f(x):\n    a, b = x\n    return a\n");
    assert_left("def f(x):\n    def g(y):\n        return g(y)\n\n    return x\n",
                "def f(x):\n    def g(y):\n        return g(y)\n\n    return x\n");
    assert_left("def f(x):\n    def g(y):\n        return y\n    return x\n",
                "def f(x):\n    return x\n");
    assert_left("def f(x):\n    x[0] = 1\n    return x\n",
                "def f(x):\n    x[0] = 1\n    return x\n");
    assert_left("def f(x):\n    for i in x:\n        y = i\n    return x\n",
                "def f(x):\n    for i in x:\n        y = i\n    return x\n");
}

typedef struct Read {
    const char *name, *array;
    int axis;
} Read;

static void assert_joined(const Read *reads, int rank, const char *expected) {
    Arena a;
    arena_init(&a, NULL);
    Param params[] = {{STR("x"), NULL, rank, NULL}, {STR("y"), NULL, 0, NULL}};
    Def def = {.name = STR("f"), .params = params, .n_params = 2};
    for (; reads->name; reads++)
        code_assign(&a, &def.body, ex_name(&a, str_from(reads->name)),
                    EX(&a, "$0.shape[$1]", ex_name(&a, str_from(reads->array)),
                       ex_int(&a, reads->axis)));
    code_return(&a, &def.body, ex_name(&a, STR("x")));
    code_join_sizes(&a, &def);
    assert_string_equal(printed(&a, &def.body).p, expected);
    arena_free(&a);
}

static void sizes_of_one_array_are_read_together(void **state) {
    (void)state;
    const Read two[] = {{"seq", "x", 1}, {"batch", "x", 0}, {NULL, NULL, 0}};
    assert_joined(two, 3, "batch, seq = x.shape[:2]\nreturn x\n");
    assert_joined(two, 2, "batch, seq = x.shape\nreturn x\n");
    assert_joined(two, 0, "batch, seq = x.shape[:2]\nreturn x\n");
    const Read last[] = {{"h", "x", 2}, {"w", "x", 3}, {NULL, NULL, 0}};
    assert_joined(last, 4, "h, w = x.shape[2:]\nreturn x\n");
    assert_joined(last, 5, "h, w = x.shape[2:4]\nreturn x\n");
    const Read gap[] = {{"n", "x", 0}, {"h", "x", 2}, {"w", "x", 3}, {NULL, NULL, 0}};
    assert_joined(gap, 4, "n, _, h, w = x.shape\nreturn x\n");
    const Read far[] = {{"n", "x", 0}, {"w", "x", 3}, {NULL, NULL, 0}};
    assert_joined(far, 4, "n = x.shape[0]\nw = x.shape[3]\nreturn x\n");
    const Read both[] = {
        {"a", "x", 0}, {"b", "y", 0}, {"c", "x", 1}, {"d", "y", 1}, {NULL, NULL, 0}};
    assert_joined(both, 2, "a, c = x.shape\nb, d = y.shape[:2]\nreturn x\n");
    const Read twice[] = {{"a", "x", 0}, {"b", "x", 0}, {NULL, NULL, 0}};
    assert_joined(twice, 2, "a = x.shape[0]\nb = x.shape[0]\nreturn x\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_one_array_are_read_together),
        cmocka_unit_test(unread_assignments_are_dropped),
        cmocka_unit_test(helpers_print_as_written),
        cmocka_unit_test(helpers_print_from_beginnings),
        cmocka_unit_test(helpers_print_from_trees),
        cmocka_unit_test(helpers_name_what_there_is),
        cmocka_unit_test(free_names_follow_scopes),
        cmocka_unit_test(an_edit_keeps_comments),
        cmocka_unit_test(statements_are_built_from_text),
        cmocka_unit_test(odd_text_is_refused),
        cmocka_unit_test(printing_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
