/* The protobuf cursor on hand-written bytes, in memory and read from a source. */
#include "onnx/wire.h"

#include <setjmp.h>

#include <cmocka.h>

/* The bytes of one cursor, which a reader gives one at a time, or which are in memory. */
typedef struct Far {
    Arena arena;
    ReadWindow window;
    Source source;
    Str bytes;
    bool is_far;
} Far;

static Far far;

static size_t read_far(void *user, uint64_t offset, void *to, size_t size) {
    (void)user;
    assert_true(size > 0 && offset < far.bytes.n);
    memcpy(to, far.bytes.p + offset, 1);
    return 1;
}

static Wire open_wire(Str bytes) {
    OxReader reader = {.size = bytes.n, .read = read_far};
    far.bytes = bytes;
    far.window.of = NULL;
    far.source = source_of_reader(&reader, &far.window);
    return wire_open(&far.source, (Span){far.is_far ? NULL : bytes.p, 0, bytes.n});
}

static int go_far(void **state) {
    (void)state;
    far.is_far = true;
    arena_init(&far.arena, NULL);
    return read_window_init(&far.window, &far.arena) ? 0 : -1;
}

static int come_back(void **state) {
    (void)state;
    arena_free(&far.arena);
    return 0;
}

static void every_wire_type_is_read(void **state) {
    (void)state;
    Wire w = open_wire(STR("\x08\x96\x01"                         /* 1: varint 150 */
                           "\x11\x01\x02\x03\x04\x05\x06\x07\x08" /* 2: fixed64 */
                           "\x1a\x03"
                           "abc"                  /* 3: bytes */
                           "\x25\xff\xff\xff\xff" /* 4: fixed32 */
                           "\xf8\xff\xff\xff\x0f\x00" /* 2^29 - 1: varint 0 */));
    Field f;
    assert_true(wire_next(&w, &f));
    assert_true(f.number == 1 && f.type == WIRE_VARINT && f.varint == 150);
    assert_true(wire_next(&w, &f));
    assert_true(f.number == 2 && f.varint == UINT64_C(0x0807060504030201));
    assert_true(wire_next(&w, &f));
    assert_true(f.number == 3 &&
                str_is(source_text(&far.source, &far.arena, f.bytes), "abc"));
    assert_true(wire_next(&w, &f));
    assert_true(f.number == 4 && f.varint == UINT32_MAX);
    assert_true(wire_next(&w, &f));
    assert_true(f.number == (1u << 29) - 1 && f.varint == 0);
    assert_false(wire_next(&w, &f));
    assert_int_equal(w.error, WIRE_OK);
}

static void negative_numbers_take_ten_bytes(void **state) {
    (void)state;
    Wire w = open_wire(STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    Field f;
    assert_true(wire_next(&w, &f));
    assert_int_equal((int64_t)f.varint, -1);
}

static void groups_are_skipped(void **state) {
    (void)state;
    Wire w = open_wire(STR("\x0b\x10\x01"     /* 1: group { 2: 1 */
                           "\x1b\x1c"         /*   3: group {} */
                           "\x22\x01\x0c\x0c" /*   4: bytes that look like its end } */
                           "\x28\x07"));      /* 5: 7 */
    Field f;
    assert_true(wire_next(&w, &f));
    assert_true(f.number == 5 && f.varint == 7);
    assert_false(wire_next(&w, &f));
    assert_int_equal(w.error, WIRE_OK);
}

static void malformed_bytes_are_errors(void **state) {
    (void)state;
    static const struct {
        Str bytes;
        WireError error;
    } cases[] = {
        {{"\x08", 1}, WIRE_TRUNCATED},                 /* no value */
        {{"\x08\x80", 2}, WIRE_TRUNCATED},             /* varint cut */
        {{"\x80", 1}, WIRE_TRUNCATED},                 /* tag cut */
        {{"\x0d\x00\x00\x00", 4}, WIRE_TRUNCATED},     /* fixed32 cut */
        {{"\x09\x00\x00\x00\x00", 5}, WIRE_TRUNCATED}, /* fixed64 cut */
        {{"\x0a\x02x", 3}, WIRE_TRUNCATED},            /* bytes cut */
        {{"\x0a", 1}, WIRE_TRUNCATED},                 /* no length */
        {{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, WIRE_TRUNCATED},
        {{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, WIRE_BAD_VARINT},
        {{"\x00\x00", 2}, WIRE_BAD_TAG},                     /* field 0 */
        {{"\x0e", 1}, WIRE_BAD_TAG},                         /* wire type 6 */
        {{"\x0f", 1}, WIRE_BAD_TAG},                         /* wire type 7 */
        {{"\x0c", 1}, WIRE_BAD_TAG},                         /* end of no group */
        {{"\x0b\x14", 2}, WIRE_BAD_TAG},                     /* end of another group */
        {{"\x0b", 1}, WIRE_TRUNCATED},                       /* group without end */
        {{"\xf8\xff\xff\xff\xff\x01\x00", 7}, WIRE_BAD_TAG}, /* number past 2^29 */
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Wire w = open_wire(cases[i].bytes);
        Field f;
        assert_false(wire_next(&w, &f));
        assert_int_equal(w.error, cases[i].error);
        assert_false(wire_next(&w, &f)); /* and it stays so */
        assert_string_not_equal(wire_error_text(w.error), "no error");
    }
}

static void groups_nest_only_so_deep(void **state) {
    (void)state;
    char bytes[130];
    memset(bytes, 0x0b, 65);
    memset(bytes + 65, 0x0c, 65);
    Field f;
    Wire w = open_wire((Str){bytes + 1, 128}); /* 64 levels */
    assert_false(wire_next(&w, &f));
    assert_int_equal(w.error, WIRE_OK);
    w = open_wire((Str){bytes, 130}); /* 65 */
    assert_false(wire_next(&w, &f));
    assert_int_equal(w.error, WIRE_BAD_TAG);
}

static void bare_varints_end_with_their_field(void **state) {
    (void)state;
    Wire w = open_wire(STR("\x01\x96\x01\x80"));
    uint64_t v;
    assert_true(wire_varint(&w, &v) && v == 1);
    assert_true(wire_varint(&w, &v) && v == 150);
    assert_false(wire_varint(&w, &v));
    assert_int_equal(w.error, WIRE_TRUNCATED);
    w = open_wire((Str){0});
    assert_false(wire_varint(&w, &v));
    assert_int_equal(w.error, WIRE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wire_type_is_read),
        cmocka_unit_test(negative_numbers_take_ten_bytes),
        cmocka_unit_test(groups_are_skipped),
        cmocka_unit_test(malformed_bytes_are_errors),
        cmocka_unit_test(groups_nest_only_so_deep),
        cmocka_unit_test(bare_varints_end_with_their_field),
    };
    int near = cmocka_run_group_tests(tests, NULL, NULL);
    return near + cmocka_run_group_tests_name("read", tests, go_far, come_back);
}
