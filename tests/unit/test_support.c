/* Slices, arena, text, map, element types and diagnostics. */
#include "support/diag.h"
#include "support/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* An allocator that counts live blocks and refuses from the n-th request on. */
typedef struct Meter {
    int live, left;
} Meter;

static void *meter_resize(void *user, void *block, size_t old_size, size_t new_size) {
    Meter *m = user;
    (void)old_size;
    if (new_size == 0) {
        m->live -= block != NULL;
        free(block);
        return NULL;
    }
    if (m->left == 0)
        return NULL;
    m->left--;
    m->live += block == NULL;
    return realloc(block, new_size);
}

static OxAllocator metered(Meter *m, int left) {
    *m = (Meter){0, left};
    return (OxAllocator){meter_resize, m};
}

/* --- slices --------------------------------------------------------------------- */

static void slices_compare_as_bytes(void **state) {
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("a"), STR("aa")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("x\0y"), STR("x\0y")), 0);
    assert_int_equal(str_cmp((Str){0}, STR("")), 0);
    assert_true(str_eq((Str){0}, STR("")));
}

static void slices_find_their_ends(void **state) {
    (void)state;
    assert_true(str_starts(STR("layer.0"), STR("layer")));
    assert_true(str_starts(STR("x"), (Str){0}));
    assert_false(str_starts(STR("x"), STR("xy")));
    assert_true(str_ends(STR("model.onnx"), STR(".onnx")));
    assert_true(str_ends((Str){0}, (Str){0}));
    assert_false(str_ends(STR("x"), STR("yx")));
    assert_true(str_is(str_after_last(STR("a/b/c"), '/'), "c"));
    assert_true(str_is(str_after_last(STR("abc"), '/'), "abc"));
    assert_true(str_is(str_after_last(STR("abc/"), '/'), ""));
    assert_true(str_is(str_before(STR("a.b.c"), '.'), "a"));
    assert_true(str_is(str_before(STR("abc"), '.'), "abc"));
    assert_true(str_is(str_before((Str){0}, '.'), ""));
    assert_true(str_contains(STR("a.b.c"), STR("b.c")));
    assert_true(str_contains((Str){0}, (Str){0}));
    assert_false(str_contains(STR("abc"), STR("abcd")));
}

static void utf8_decodes_and_rejects(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t code;
        size_t used;
    } cases[] = {
        {"a", 'a', 1},
        {"\xc3\xa9", 0xE9, 2},
        {"\xe2\x82\xac", 0x20AC, 3},
        {"\xf0\x9f\x98\x80", 0x1F600, 4},
        {"\xf4\x8f\xbf\xbf", 0x10FFFF, 4},
        {"\x80", 0xFFFD, 1},             /* continuation alone */
        {"\xc3", 0xFFFD, 1},             /* cut short */
        {"\xc3(", 0xFFFD, 1},            /* no continuation */
        {"\xc0\xaf", 0xFFFD, 1},         /* overlong */
        {"\xe0\x80\xaf", 0xFFFD, 1},     /* overlong */
        {"\xed\xa0\x80", 0xFFFD, 1},     /* surrogate */
        {"\xf4\x90\x80\x80", 0xFFFD, 1}, /* past U+10FFFF */
        {"\xff", 0xFFFD, 1},
    };
    for (size_t k = 0; k < OX_COUNT(cases); k++) {
        size_t i = 0;
        assert_int_equal(str_utf8(str_from(cases[k].bytes), &i), cases[k].code);
        assert_int_equal(i, cases[k].used);
    }
}

/* --- arena ---------------------------------------------------------------------- */

static void arena_memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    for (size_t n = 1; n < 3000; n += 7) {
        unsigned char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xAA, n);
    }
    assert_null(arena_alloc(&a, 0));
    assert_false(a.failed);
    arena_free(&a);
}

static void arena_keeps_its_chunk_past_a_large_request(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    arena_alloc(&a, 16);
    const char *at = a.at;
    assert_non_null(arena_alloc(&a, 50u << 20));
    assert_ptr_equal(a.at, at);
    arena_free(&a);
}

static void arena_takes_few_chunks(void **state) {
    (void)state;
    Meter m;
    OxAllocator hook = metered(&m, 1000);
    Arena a;
    arena_init(&a, &hook);
    for (int i = 0; i < 1000000; i++)
        assert_non_null(arena_alloc(&a, 32));
    assert_true(m.live < 20);
    arena_free(&a);
    assert_int_equal(m.live, 0);
}

static void arena_failure_is_sticky(void **state) {
    (void)state;
    Meter m;
    OxAllocator hook = metered(&m, 1);
    Arena a;
    arena_init(&a, &hook);
    assert_non_null(arena_alloc(&a, 8));
    assert_null(arena_alloc(&a, 1u << 20));
    assert_true(a.failed);
    assert_null(arena_alloc(&a, 8));
    assert_true(str_is(arena_str(&a, STR("text")), ""));
    assert_true(str_is(arena_printf(&a, "%d", 1), ""));
    arena_free(&a);
    assert_int_equal(m.live, 0);
}

static void arena_refuses_sizes_that_overflow(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_true(a.failed);
    arena_free(&a);
    arena_init(&a, NULL);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_true(a.failed);
    arena_free(&a);
}

static void arrays_grow_and_keep_their_values(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    struct {
        int *items;
        size_t count, cap;
    } list = {0}, other = {0};
    for (int i = 0; i < 10000; i++) {
        assert_true(ARENA_PUSH(&a, &list, i));
        if (i % 100 == 0) /* so that growth in place is not always possible */
            assert_true(ARENA_PUSH(&a, &other, -i));
    }
    for (int i = 0; i < 10000; i++)
        assert_int_equal(list.items[i], i);
    for (int i = 0; i < 100; i++)
        assert_int_equal(other.items[i], -100 * i);
    arena_free(&a);
}

static void a_refused_push_keeps_the_array(void **state) {
    (void)state;
    Meter m;
    OxAllocator hook = metered(&m, 1);
    Arena a;
    arena_init(&a, &hook);
    struct {
        int64_t *items;
        size_t count, cap;
    } list = {0};
    int64_t pushed = 0;
    while (ARENA_PUSH(&a, &list, pushed))
        pushed++;
    assert_int_equal(list.count, pushed);
    for (int64_t i = 0; i < pushed; i++)
        assert_int_equal(list.items[i], i);
    arena_free(&a);
}

static void text_grows_and_ends_with_nul(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Text t = {.arena = &a};
    assert_string_equal(text_view(&t).p, "");
    text_lit(&t, "x = ");
    text_printf(&t, "%s%d", "", 42);
    text_char(&t, ';');
    text_str(&t, (Str){0});
    assert_string_equal(text_view(&t).p, "x = 42;");
    assert_int_equal(text_view(&t).n, 7);
    for (int i = 0; i < 5000; i++)
        text_lit(&t, "0123456789");
    assert_int_equal(text_view(&t).n, 50007);
    assert_int_equal(strlen(text_view(&t).p), 50007);
    arena_free(&a);
}

static void map_finds_replaces_and_grows(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    static int values[COUNT];
    Arena a;
    arena_init(&a, NULL);
    Map m = {.arena = &a};
    assert_null(map_get(&m, STR("x")));
    for (int i = 0; i < COUNT; i++)
        assert_true(map_set(&m, arena_printf(&a, "key%d", i), &values[i]));
    assert_true(map_set(&m, STR(""), &values[7]));
    assert_true(map_set(&m, STR("key3"), &values[4]));
    assert_int_equal(m.count, COUNT + 1);
    assert_ptr_equal(map_get(&m, STR("key3")), &values[4]);
    assert_ptr_equal(map_get(&m, STR("key4999")), &values[4999]);
    assert_ptr_equal(map_get(&m, (Str){0}), &values[7]);
    assert_null(map_get(&m, STR("key5000")));
    arena_free(&a);
}

/* Neither list is taken again while as many keys come as were announced. */
static void a_map_has_the_room_it_reserved(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    Arena a;
    arena_init(&a, NULL);
    char keys[COUNT][8];
    Map map = {.arena = &a};
    assert_true(map_set(&map, STR("before"), &a));
    assert_true(map_reserve(&map, COUNT + 1));
    const void *entries = map.entries, *slots = map.slots;
    for (int i = 0; i < COUNT; i++) {
        int n = snprintf(keys[i], sizeof keys[i], "%d", i);
        assert_true(map_set(&map, (Str){keys[i], (size_t)n}, keys[i]));
    }
    assert_ptr_equal(map.entries, entries);
    assert_ptr_equal(map.slots, slots);
    assert_ptr_equal(map_get(&map, STR("before")), &a);
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(map_get(&map, str_from(keys[i])), keys[i]);
    assert_false(map_reserve(&map, SIZE_MAX));
    assert_true(a.failed);
    arena_free(&a);
}

static void a_refused_map_keeps_its_entries(void **state) {
    (void)state;
    Meter m;
    OxAllocator hook = metered(&m, 1);
    Arena a;
    arena_init(&a, &hook);
    Map map = {.arena = &a};
    static char keys[2000][8];
    int set = 0;
    for (; set < 2000; set++) {
        int n = snprintf(keys[set], sizeof keys[set], "%d", set);
        if (!map_set(&map, (Str){keys[set], (size_t)n}, keys[set]))
            break;
    }
    assert_true(set < 2000);
    for (int i = 0; i < set; i++)
        assert_ptr_equal(map_get(&map, str_from(keys[i])), keys[i]);
    arena_free(&a);
}

/* --- element types -------------------------------------------------------------- */

static void numbers_round_to_their_type(void **state) {
    (void)state;
    static const struct {
        DType dtype;
        double x, rounded;
    } rows[] = {
        {DT_FLOAT, 0.1, (double)0.1F},
        {DT_FLOAT, 1e39, INFINITY},
        {DT_DOUBLE, 0.1, 0.1},
        {DT_FLOAT16, 0.1, 0.0999755859375},
        {DT_FLOAT16, 65504, 65504},
        {DT_FLOAT16, 65519.99, 65504},
        {DT_FLOAT16, 65520, INFINITY},
        {DT_FLOAT16, -1e6, -INFINITY},
        {DT_FLOAT16, 0x1p-24, 0x1p-24},
        {DT_FLOAT16, 0x1p-25, 0},
        {DT_FLOAT16, 0x1.8p-24, 0x1p-23},
        {DT_FLOAT16, 2049, 2048},
        {DT_FLOAT16, 2051, 2052},
        {DT_BFLOAT16, 0.1, 0.10009765625},
        {DT_BFLOAT16, 257, 256},
        {DT_BFLOAT16, 259, 260},
        {DT_BFLOAT16, 3.39e38, 0x1.fep127},
        {DT_BFLOAT16, 3.4e38, INFINITY},
        {DT_BFLOAT16, 0x1p-133, 0x1p-133},
        {DT_BFLOAT16, 0x1p-135, 0},
    };
    for (size_t i = 0; i < OX_COUNT(rows); i++) {
        double x = rows[i].x;
        assert_true(dtype_round(rows[i].dtype, &x));
        if (x != rows[i].rounded)
            fail_msg("%s: %.17g gives %.17g, not %.17g",
                     dtype_info(rows[i].dtype)->name, rows[i].x, x, rows[i].rounded);
    }
    double x = 1;
    assert_false(dtype_round(DT_INT32, &x));
    assert_false(dtype_round(DT_FLOAT8E4M3FN, &x));
}

static void dtypes_have_their_onnx_numbers(void **state) {
    (void)state;
    assert_int_equal(dtype_from_onnx(1), DT_FLOAT);
    assert_int_equal(dtype_from_onnx(28), DT_FLOAT6E3M2);
    assert_int_equal(dtype_from_onnx(0), DT_UNDEFINED);
    assert_int_equal(dtype_from_onnx(-1), DT_UNDEFINED);
    assert_int_equal(dtype_from_onnx(DT_COUNT), DT_UNDEFINED);
    assert_int_equal(dtype_from_onnx(INT64_MAX), DT_UNDEFINED);
    assert_string_equal(dtype_info(DT_BFLOAT16)->name, "bfloat16");
    assert_string_equal(dtype_info((DType)999)->name, "undefined");
    assert_true(dtype_is_float(DT_FLOAT8E8M0));
    assert_true(dtype_is_int(DT_UINT2) && !dtype_is_int(DT_BOOL));
    for (int i = 1; i < DT_COUNT; i++)
        assert_true(dtype_info((DType)i)->name && dtype_info((DType)i)->cls);
}

/* --- diagnostics ---------------------------------------------------------------- */

static void messages_follow_the_grammar(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Diags d = {.arena = &a, .file = STR("model.onnx")};
    diag_add(&d, OX0302, STR("node #412 \"/up2/Resize\""),
             STR("re-export with mode=\"linear\""), "Resize mode \"%s\" is bad",
             "cubic");
    diag_add(&d, OX0304, STR(""), STR(""), "opset 99");
    Text plain = {.arena = &a}, color = {.arena = &a};
    diag_print(&d, false, &plain);
    assert_string_equal(text_view(&plain).p,
                        "error[OX0302]: Resize mode \"cubic\" is bad\n"
                        "  --> model.onnx: node #412 \"/up2/Resize\"\n"
                        "  help: re-export with mode=\"linear\"\n"
                        "warning[OX0304]: opset 99\n"
                        "  --> model.onnx\n");
    diag_print(&d, true, &color);
    assert_non_null(strstr(text_view(&color).p, "\x1b[1;31merror[OX0302]\x1b[0m: "));
    arena_free(&a);
}

static void text_of_the_model_is_escaped(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Diags d = {.arena = &a, .file = STR("a\x1b[2Jb")};
    diag_add(&d, OX0101, STR("n\nerror[OX9999]: \0x"), STR(""), "%s",
             "\xff \xc3\xa9 \xe2\x80\xae tab\t");
    Text out = {.arena = &a};
    diag_print(&d, false, &out);
    assert_string_equal(text_view(&out).p,
                        "error[OX0101]: \\xff \xc3\xa9 \\u202e tab\\t\n"
                        "  --> a\\x1b[2Jb: n\\nerror[OX9999]: \\x00x\n");
    arena_free(&a);
}

static void status_is_that_of_the_first_error(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Diags d = {.arena = &a};
    assert_int_equal(diag_status(&d), OX_OK);
    diag_add(&d, OX0404, STR(""), STR(""), "a warning");
    assert_int_equal(diag_status(&d), OX_OK);
    diag_add(&d, OX0301, STR(""), STR(""), "first");
    diag_add(&d, OX0001, STR(""), STR(""), "second");
    assert_int_equal(diag_status(&d), OX_ERR_UNSUPPORTED);
    a.failed = true;
    assert_int_equal(diag_status(&d), OX_ERR_MEMORY);
    arena_free(&a);
}

static void a_full_list_still_takes_errors(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Diags d = {.arena = &a};
    for (int i = 0; i < DIAG_MAX + 5; i++)
        diag_add(&d, OX0404, STR(""), STR(""), "warning %d", i);
    assert_int_equal(d.count, DIAG_MAX);
    assert_int_equal(d.dropped, 5);
    diag_add(&d, OX0201, STR(""), STR(""), "the error");
    assert_int_equal(d.count, DIAG_MAX);
    assert_true(str_is(d.items[DIAG_MAX - 1].what, "the error"));
    Text out = {.arena = &a};
    diag_print(&d, false, &out);
    assert_true(str_ends(text_view(&out), STR("note: 6 more messages left out\n")));
    arena_free(&a);
}

static void every_code_is_documented(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    Text out = {.arena = &a};
    diag_doc(&out);
#define X(code, status, severity, title, text)                                         \
    assert_non_null(strstr(text_view(&out).p, "| `" #code "` | "));
#include "support/diag.def"
#undef X
    assert_non_null(
        strstr(text_view(&out).p, "| warning: newer opset than known | 0 |"));
    assert_non_null(strstr(text_view(&out).p, "| wrong use | 2 |"));
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_as_bytes),
        cmocka_unit_test(slices_find_their_ends),
        cmocka_unit_test(utf8_decodes_and_rejects),
        cmocka_unit_test(arena_memory_is_zeroed_and_aligned),
        cmocka_unit_test(arena_keeps_its_chunk_past_a_large_request),
        cmocka_unit_test(arena_takes_few_chunks),
        cmocka_unit_test(arena_failure_is_sticky),
        cmocka_unit_test(arena_refuses_sizes_that_overflow),
        cmocka_unit_test(arrays_grow_and_keep_their_values),
        cmocka_unit_test(a_refused_push_keeps_the_array),
        cmocka_unit_test(text_grows_and_ends_with_nul),
        cmocka_unit_test(map_finds_replaces_and_grows),
        cmocka_unit_test(a_map_has_the_room_it_reserved),
        cmocka_unit_test(a_refused_map_keeps_its_entries),
        cmocka_unit_test(dtypes_have_their_onnx_numbers),
        cmocka_unit_test(numbers_round_to_their_type),
        cmocka_unit_test(messages_follow_the_grammar),
        cmocka_unit_test(text_of_the_model_is_escaped),
        cmocka_unit_test(status_is_that_of_the_first_error),
        cmocka_unit_test(a_full_list_still_takes_errors),
        cmocka_unit_test(every_code_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
