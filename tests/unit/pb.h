/* For the tests of the parser: writes protobuf messages by hand, and parses them.
 * Everything lives in the arena of a fixture. */
#ifndef OX_TESTS_PB_H
#define OX_TESTS_PB_H

#include "onnx/onnx.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct Fixture {
    Arena arena;
    Diags diags;
} Fixture;

static inline int open_fixture(void **state) {
    Fixture *f = calloc(1, sizeof *f);
    if (!f)
        return 1;
    arena_init(&f->arena, NULL);
    f->diags.arena = &f->arena;
    *state = f;
    return 0;
}

static inline int close_fixture(void **state) {
    Fixture *f = *state;
    arena_free(&f->arena);
    free(f);
    return 0;
}

static inline void put_varint(Text *t, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        text_char(t, (char)(v | 0x80));
    text_char(t, (char)v);
}

static inline void put_int(Text *t, uint32_t field, int64_t v) {
    put_varint(t, field << 3);
    put_varint(t, (uint64_t)v);
}

static inline void put_bytes(Text *t, uint32_t field, Str bytes) {
    put_varint(t, field << 3 | 2);
    put_varint(t, bytes.n);
    text_str(t, bytes);
}

static inline void put_str(Text *t, uint32_t field, const char *s) {
    put_bytes(t, field, str_from(s));
}

static inline void put_raw(Text *t, const void *p, size_t n) {
    text_str(t, (Str){p, n});
}

static inline void put_float(Text *t, uint32_t field, float v) {
    put_varint(t, field << 3 | 5);
    put_raw(t, &v, sizeof v);
}

static inline void put_entry(Text *t, uint32_t field, const char *key,
                             const char *value) {
    Text entry = {.arena = t->arena};
    put_str(&entry, 1, key);
    put_str(&entry, 2, value);
    put_bytes(t, field, text_view(&entry));
}

/* A model around the bytes of a GraphProto. */
static inline Str model_around(Arena *a, Str graph) {
    Text t = {.arena = a}, opset = {.arena = a};
    put_int(&t, 1, 10);
    put_bytes(&t, 7, graph);
    put_int(&opset, 2, 20);
    put_bytes(&t, 8, text_view(&opset));
    return text_view(&t);
}

/* ... and around one message of a graph. */
static inline Str model_with(Arena *a, uint32_t field, Str message) {
    Text graph = {.arena = a};
    put_bytes(&graph, field, message);
    return model_around(a, text_view(&graph));
}

/* Bytes in memory as a source that lives as long as the arena. */
static inline Source *source_in(Arena *arena, Str bytes) {
    Source *source = arena_alloc(arena, sizeof *source);
    assert_non_null(source);
    *source = source_of_memory(bytes);
    return source;
}

static inline PbModel *parse_ok(Fixture *f, Str bytes) {
    f->diags = (Diags){.arena = &f->arena};
    PbModel *m = onnx_parse(&f->arena, &f->diags, source_in(&f->arena, bytes));
    if (!m) {
        Text out = {.arena = &f->arena};
        diag_print(&f->diags, false, &out);
        fail_msg("%s", text_view(&out).p);
    }
    assert_int_equal(f->diags.count, 0);
    return m;
}

static inline void assert_rejected(Fixture *f, Str bytes, DiagCode code,
                                   const char *what) {
    f->diags = (Diags){.arena = &f->arena};
    assert_null(onnx_parse(&f->arena, &f->diags, source_in(&f->arena, bytes)));
    assert_true(f->diags.count > 0);
    assert_string_equal(f->diags.items[0].what.p, what);
    assert_int_equal(f->diags.items[0].code, code);
}

static inline const PbNode *parse_node(Fixture *f, Str node) {
    return &parse_ok(f, model_with(&f->arena, 1, node))->graph.nodes.items[0];
}

static inline const PbAttr *parse_attr(Fixture *f, Str attr) {
    Text node = {.arena = &f->arena};
    put_bytes(&node, 5, attr);
    return &parse_node(f, text_view(&node))->attrs.items[0];
}

static inline const Tensor *parse_tensor(Fixture *f, Str tensor) {
    return &parse_ok(f, model_with(&f->arena, 5, tensor))
                ->graph.initializers.items[0]
                .t;
}

/* A tensor of `count` elements (one dimension), still without data. */
static inline Text tensor_of(Arena *a, int dtype, int64_t count) {
    Text t = {.arena = a};
    put_int(&t, 1, count);
    put_int(&t, 2, dtype);
    put_str(&t, 8, "w");
    return t;
}

static inline Str sparse_tensor(Arena *a) {
    Text t = {.arena = a}, values = tensor_of(a, DT_INT8, 2),
         indices = tensor_of(a, DT_INT64, 2);
    put_bytes(&values, 9, STR("\x05\x06"));
    put_bytes(&indices, 7, STR("\x01\x03"));
    put_bytes(&t, 1, text_view(&values));
    put_bytes(&t, 2, text_view(&indices));
    put_bytes(&t, 3, STR("\x02\x02"));
    return text_view(&t);
}

static inline Str external_tensor(Arena *a, const char *location, const char *offset,
                                  const char *length) {
    Text t = tensor_of(a, DT_INT8, 2);
    if (location)
        put_entry(&t, 13, "location", location);
    if (offset)
        put_entry(&t, 13, "offset", offset);
    if (length)
        put_entry(&t, 13, "length", length);
    put_entry(&t, 13, "checksum", "0123");
    put_int(&t, 14, 1);
    return text_view(&t);
}

#define IN_ARENA(test)                                                                 \
    cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

#endif
