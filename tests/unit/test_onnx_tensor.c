/* TensorProto on hand-built messages: every encoding of the data, element values,
 * external data, and what is malformed. */
#include "pb.h"

#include <math.h>

/* --- tensors -------------------------------------------------------------------- */

static void raw_data_is_a_slice_of_the_input(void **state) {
    Fixture *f = *state;
    Text t = tensor_of(&f->arena, DT_INT32, 2);
    put_str(&t, 12, "doc");
    put_entry(&t, 16, "k", "v");
    put_bytes(&t, 9, STR("\x01\x00\x00\x00\xff\xff\xff\xff"));
    Str bytes = model_with(&f->arena, 5, text_view(&t));
    const PbTensor *pb = &parse_ok(f, bytes)->graph.initializers.items[0];
    const Tensor *w = &pb->t;
    assert_true(str_is(w->name, "w") && str_is(pb->doc, "doc"));
    assert_int_equal(pb->metadata.count, 1);
    assert_int_equal(w->rank, 1);
    assert_int_equal(w->dims[0], 2);
    assert_int_equal(w->count, 2);
    assert_ptr_equal(w->source->memory, bytes.p);
    assert_ptr_equal(w->memory, bytes.p + w->offset);
    assert_int_equal(tensor_i64(w, 1), -1);
}

static void packed_floats_are_a_slice_of_the_input(void **state) {
    Fixture *f = *state;
    static const float values[] = {1.5f, -2.0f};
    Text t = tensor_of(&f->arena, DT_FLOAT, 2);
    put_bytes(&t, 4, (Str){(const char *)values, sizeof values});
    Str bytes = model_with(&f->arena, 5, text_view(&t));
    const PbTensor *pb = &parse_ok(f, bytes)->graph.initializers.items[0];
    const Tensor *w = &pb->t;
    assert_ptr_equal(w->memory, bytes.p + w->offset);
    assert_true(tensor_f64(w, 1) == -2.0);
}

static void scattered_floats_are_gathered(void **state) {
    Fixture *f = *state;
    static const float values[] = {1.5f, -2.0f, 3.0f, 4.0f, 5.0f};
    Text t = tensor_of(&f->arena, DT_FLOAT, 5);
    put_bytes(&t, 4, (Str){(const char *)values, 8});
    put_float(&t, 4, 3.0f);
    put_bytes(&t, 4, STR(""));
    put_bytes(&t, 4, (Str){(const char *)(values + 3), 8});
    const Tensor *w = parse_tensor(f, text_view(&t));
    assert_int_equal(w->size, sizeof values);
    assert_memory_equal(w->memory, values, sizeof values);
    assert_null(w->source);
}

static Str data_of(const Tensor *t) {
    return (Str){t->memory, (size_t)t->size};
}

/* Every typed field gives the layout of raw_data, packed and not. */
static void typed_fields_become_raw(void **state) {
    Fixture *f = *state;
    static const struct {
        int dtype;
        int64_t count;
        uint32_t field;
        int64_t entries[3];
        int entry_count;
        Str raw;
    } cases[] = {
        {DT_INT32, 2, 5, {-2, 7}, 2, {"\xfe\xff\xff\xff\x07\0\0\0", 8}},
        {DT_INT16, 2, 5, {-2, 300}, 2, {"\xfe\xff\x2c\x01", 4}},
        {DT_INT8, 2, 5, {-2, 127}, 2, {"\xfe\x7f", 2}},
        {DT_UINT16, 2, 5, {65535, 1}, 2, {"\xff\xff\x01\0", 4}},
        {DT_UINT8, 2, 5, {255, 1}, 2, {"\xff\x01", 2}},
        {DT_BOOL, 3, 5, {1, 0, 256}, 3, {"\x01\0\x01", 3}},
        {DT_FLOAT16, 2, 5, {0x3c00, 0xfc00}, 2, {"\0\x3c\0\xfc", 4}},
        {DT_BFLOAT16, 1, 5, {0xbf80}, 1, {"\x80\xbf", 2}},
        {DT_FLOAT8E4M3FN, 2, 5, {0x38, 0xff}, 2, {"\x38\xff", 2}},
        {DT_FLOAT8E5M2FNUZ, 1, 5, {0x80}, 1, {"\x80", 1}},
        {DT_FLOAT8E8M0, 1, 5, {0x7f}, 1, {"\x7f", 1}},
        {DT_UINT4, 3, 5, {0x21, 0x03}, 2, {"\x21\x03", 2}},
        {DT_INT4, 2, 5, {0xf8}, 1, {"\xf8", 1}},
        {DT_FLOAT4E2M1, 1, 5, {0x02}, 1, {"\x02", 1}},
        {DT_UINT2, 4, 5, {0xe4}, 1, {"\xe4", 1}},
        {DT_INT2, 5, 5, {0xe4, 0x01}, 2, {"\xe4\x01", 2}},
        {DT_FLOAT6E2M3, 2, 5, {0x08, 0x3f}, 2, {"\xc8\x0f", 2}},
        {DT_FLOAT6E3M2, 3, 5, {1, 2, 0x3f}, 3, {"\x81\xf0\x03", 3}},
        {DT_INT64,
         2,
         7,
         {INT64_MIN, 1},
         2,
         {"\0\0\0\0\0\0\0\x80\x01\0\0\0\0\0\0\0", 16}},
        {DT_UINT32, 1, 11, {0xfffffffe}, 1, {"\xfe\xff\xff\xff", 4}},
        {DT_UINT64, 1, 11, {-1}, 1, {"\xff\xff\xff\xff\xff\xff\xff\xff", 8}},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Text plain = tensor_of(&f->arena, cases[i].dtype, cases[i].count);
        Text packed = tensor_of(&f->arena, cases[i].dtype, cases[i].count);
        Text entries = {.arena = &f->arena};
        for (int k = 0; k < cases[i].entry_count; k++) {
            put_int(&plain, cases[i].field, cases[i].entries[k]);
            put_varint(&entries, (uint64_t)cases[i].entries[k]);
        }
        put_bytes(&packed, cases[i].field, text_view(&entries));
        assert_true(str_eq(data_of(parse_tensor(f, text_view(&plain))), cases[i].raw));
        assert_true(str_eq(data_of(parse_tensor(f, text_view(&packed))), cases[i].raw));
    }
}

static void complex_and_double_fields(void **state) {
    Fixture *f = *state;
    static const float c64[] = {1.0f, 2.0f, 3.0f, 4.0f};
    static const double c128[] = {1.0, 2.0, 3.0, 4.0};
    Text t = tensor_of(&f->arena, DT_COMPLEX64, 2);
    put_bytes(&t, 4, (Str){(const char *)c64, sizeof c64});
    const Tensor *w = parse_tensor(f, text_view(&t));
    assert_memory_equal(w->memory, c64, sizeof c64);
    assert_true(tensor_f64(w, 1) == 3.0);
    t = tensor_of(&f->arena, DT_COMPLEX128, 2);
    for (int i = 0; i < 4; i++) {
        put_varint(&t, 10 << 3 | 1);
        put_raw(&t, &c128[i], 8);
    }
    w = parse_tensor(f, text_view(&t));
    assert_memory_equal(w->memory, c128, sizeof c128);
    assert_true(tensor_f64(w, 1) == 3.0);
    t = tensor_of(&f->arena, DT_DOUBLE, 4);
    put_bytes(&t, 10, (Str){(const char *)c128, sizeof c128});
    w = parse_tensor(f, text_view(&t));
    assert_true(w->source && tensor_f64(w, 3) == 4.0);
}

static void strings_stay_apart(void **state) {
    Fixture *f = *state;
    Text t = tensor_of(&f->arena, DT_STRING, 2);
    put_str(&t, 6, "one");
    put_bytes(&t, 6, STR("t\0o"));
    const Tensor *w = parse_tensor(f, text_view(&t));
    assert_int_equal(w->strings.count, 2);
    assert_true(str_eq(w->strings.items[1], STR("t\0o")));
    assert_int_equal(w->size, 0);
    assert_int_equal(tensor_i64(w, 0), 0); /* defined, if useless */
}

static void empty_tensors_need_no_data(void **state) {
    Fixture *f = *state;
    Text t = tensor_of(&f->arena, DT_FLOAT, 0);
    const Tensor *w = parse_tensor(f, text_view(&t));
    assert_int_equal(w->count, 0);
    assert_int_equal(w->size, 0);
    /* ... even where the other dimensions are vast */
    t = tensor_of(&f->arena, DT_FLOAT, INT64_MAX);
    put_int(&t, 1, INT64_MAX);
    put_int(&t, 1, 0);
    assert_int_equal(parse_tensor(f, text_view(&t))->count, 0);
}

static void malformed_tensors_are_errors(void **state) {
    Fixture *f = *state;
    static const struct {
        int dtype;
        int64_t dims[2];
        uint32_t field;
        Str data;
        const char *what;
    } cases[] = {
        {1, {2, 1}, 9, {"1234", 4}, "8 bytes of data are needed but there are 4"},
        {1, {1, 1}, 9, {"12345678", 8}, "4 bytes of data are needed but there are 8"},
        {1, {0, 1}, 9, {"1", 1}, "0 bytes of data are needed but there are 1"},
        {1, {1, 1}, 99, {"", 0}, "4 bytes of data are needed but there are 0"},
        {1, {1, 1}, 5, {"\x01", 1}, "4 bytes of data are needed but there are 0"},
        {1, {1, 1}, 4, {"12345678", 8}, "4 bytes of data are needed but there are 8"},
        {7, {1, 1}, 7, {"12", 2}, "8 bytes of data are needed but there are 16"},
        {1, {1, 2}, 4, {"123456", 6}, "packed values end within an element"},
        {1, {1, 2}, 4, {"1234", 4}, "8 bytes of data are needed but there are 4"},
        {7, {1, 2}, 7, {"\x01", 1}, "16 bytes of data are needed but there are 8"},
        {22, {1, 3}, 9, {"\x01", 1}, "2 bytes of data are needed but there are 1"},
        {25, {1, 5}, 9, {"\x01", 1}, "2 bytes of data are needed but there are 1"},
        {1, {-1, 2}, 9, {"", 0}, "a dimension is negative"},
        {1,
         {INT64_MAX, 2},
         9,
         {"", 0},
         "the number of elements does not fit in 64 bits"},
        {15, {INT64_MAX, 1}, 9, {"", 0}, "the data does not fit in memory"},
        {3,
         {INT64_C(1) << 60, 1},
         5,
         {"\x01", 1},
         "1152921504606846976 bytes of data are needed but there are 1"},
        {8, {2, 1}, 6, {"one", 3}, "the number of strings does not match the shape"},
        {8, {2, 1}, 9, {"raw", 3}, "strings cannot be in raw_data or external data"},
        {0, {1, 1}, 9, {"1", 1}, "element type 0 is not known"},
        {29, {1, 1}, 9, {"1", 1}, "element type 29 is not known"},
        {3, {1, 1}, 3, {"", 0}, "tensors in segments are not supported"},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Text t = tensor_of(&f->arena, cases[i].dtype, cases[i].dims[0]);
        put_int(&t, 1, cases[i].dims[1]);
        put_bytes(&t, cases[i].field, cases[i].data);
        assert_rejected(f, model_with(&f->arena, 5, text_view(&t)), OX0103,
                        cases[i].what);
        assert_true(str_is(f->diags.items[0].where, "tensor \"w\""));
        assert_true(f->arena.total < 1u << 20);
    }
}

static void rank_is_limited(void **state) {
    Fixture *f = *state;
    Text t = tensor_of(&f->arena, DT_INT8, 1);
    put_bytes(&t, 9, STR("x"));
    for (int i = 0; i < 63; i++)
        put_int(&t, 1, 1);
    assert_int_equal(parse_tensor(f, text_view(&t))->rank, 64);
    put_int(&t, 1, 1);
    assert_rejected(f, model_with(&f->arena, 5, text_view(&t)), OX0103,
                    "there are more than 64 dimensions");
}

static void every_bad_tensor_is_reported(void **state) {
    Fixture *f = *state;
    Text t = tensor_of(&f->arena, DT_FLOAT, 1), graph = {.arena = &f->arena};
    put_bytes(&graph, 5, text_view(&t));
    put_bytes(&graph, 5, text_view(&t));
    Str model = model_around(&f->arena, text_view(&graph));
    assert_null(onnx_parse(&f->arena, &f->diags, source_in(&f->arena, model)));
    assert_int_equal(f->diags.count, 2);
}

static void malformed_sparse_tensors_are_errors(void **state) {
    Fixture *f = *state;
    Arena *a = &f->arena;
    assert_rejected(f, model_with(a, 15, STR("\x18\x02")), OX0103,
                    "a sparse tensor has no values");
    Text t = {.arena = a}, values = tensor_of(a, DT_INT8, 0);
    put_bytes(&t, 1, text_view(&values));
    assert_rejected(f, model_with(a, 15, text_view(&t)), OX0103,
                    "the indices of a sparse tensor are not int64");
    text_str(&t, sparse_tensor(a));
    put_int(&t, 3, -1);
    assert_rejected(f, model_with(a, 15, text_view(&t)), OX0103,
                    "a dimension is negative");
}

/* --- element values ------------------------------------------------------------- */

static void elements_as_numbers(void **state) {
    Fixture *f = *state;
    static const struct {
        int dtype;
        Str raw;
        double expected[4]; /* NAN: any NaN */
        int64_t count;
    } cases[] = {
        {DT_FLOAT,
         {"\0\0\xc0\x3f\0\0\0\x80\0\0\x80\x7f", 12},
         {1.5, -0.0, INFINITY},
         3},
        {DT_DOUBLE, {"\0\0\0\0\0\0\xf8\xbf", 8}, {-1.5}, 1},
        {DT_FLOAT16,
         {"\0\x3c\x01\0\0\xfc\xff\x7b", 8},
         {1, 5.9604644775390625e-8, -INFINITY, 65504},
         4},
        {DT_BFLOAT16,
         {"\x80\x3f\x01\0\xc0\x7f", 6},
         {1, 9.183549615799121e-41, NAN},
         3},
        {DT_FLOAT8E4M3FN, {"\x7e\x7f\x01\xb8", 4}, {448, NAN, 0.001953125, -1}, 4},
        {DT_FLOAT8E4M3FNUZ, {"\x7f\x80\x01\x40", 4}, {240, NAN, 0.0009765625, 1}, 4},
        {DT_FLOAT8E5M2,
         {"\x7b\x7c\x7d\x01", 4},
         {57344, INFINITY, NAN, 1.52587890625e-5},
         4},
        {DT_FLOAT8E5M2FNUZ,
         {"\x7f\x80\x01\x40", 4},
         {57344, NAN, 7.62939453125e-6, 1},
         4},
        {DT_FLOAT8E8M0, {"\x7f\x80\x00\xff", 4}, {1, 2, 5.877471754111438e-39, NAN}, 4},
        {DT_FLOAT4E2M1, {"\x10\xf7", 2}, {0, 0.5, 6, -6}, 4},
        {DT_FLOAT6E2M3, {"\xc8\x1f\x28", 3}, {1, -7.5, 0.125, 1.25}, 4},
        {DT_FLOAT6E3M2, {"\xcc\x1f\x10", 3}, {1, -28, 0.0625, 0.25}, 4},
        {DT_UINT4, {"\x1f\x08", 2}, {15, 1, 8, 0}, 4},
        {DT_INT4, {"\x1f\x78", 2}, {-1, 1, -8, 7}, 4},
        {DT_UINT2, {"\xe4", 1}, {0, 1, 2, 3}, 4},
        {DT_INT2, {"\xe4", 1}, {0, 1, -2, -1}, 4},
        {DT_INT8, {"\x80\x7f", 2}, {-128, 127}, 2},
        {DT_UINT8, {"\x80\xff", 2}, {128, 255}, 2},
        {DT_INT16, {"\xff\xff", 2}, {-1}, 1},
        {DT_UINT16, {"\xff\xff", 2}, {65535}, 1},
        {DT_INT32, {"\0\0\0\x80", 4}, {-2147483648.0}, 1},
        {DT_UINT32, {"\xff\xff\xff\xff", 4}, {4294967295.0}, 1},
        {DT_INT64, {"\0\0\0\0\0\0\0\x80", 8}, {-9223372036854775808.0}, 1},
        {DT_UINT64, {"\0\0\0\0\0\0\0\x80", 8}, {9223372036854775808.0}, 1},
        {DT_BOOL, {"\0\x01", 2}, {0, 1}, 2},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Text bytes = tensor_of(&f->arena, cases[i].dtype, cases[i].count);
        put_bytes(&bytes, 9, cases[i].raw);
        const Tensor *t = parse_tensor(f, text_view(&bytes));
        for (int64_t k = 0; k < cases[i].count; k++) {
            double got = tensor_f64(t, k), want = cases[i].expected[k];
            assert_true(isnan(want) ? isnan(got) : got == want);
            assert_int_equal(!!signbit(got) && !isnan(got), !!signbit(want));
        }
    }
}

static void integers_are_exact_and_floats_truncate(void **state) {
    Fixture *f = *state;
    Text bytes = tensor_of(&f->arena, DT_INT64, 2);
    put_int(&bytes, 7, INT64_MAX);
    put_int(&bytes, 7, INT64_MAX - 1);
    assert_true(tensor_i64(parse_tensor(f, text_view(&bytes)), 1) == INT64_MAX - 1);
    const float values[] = {-2.9f, 1e30f, -1e30f, NAN, 2.9f, 0x1p63f, -0x1p63f};
    const int64_t expected[] = {-2, INT64_MAX, INT64_MIN, 0, 2, INT64_MAX, INT64_MIN};
    bytes = tensor_of(&f->arena, DT_FLOAT, OX_COUNT(values));
    put_bytes(&bytes, 9, (Str){(const char *)values, sizeof values});
    const Tensor *t = parse_tensor(f, text_view(&bytes));
    for (size_t i = 0; i < OX_COUNT(values); i++)
        assert_true(tensor_i64(t, (int64_t)i) == expected[i]);
    assert_true(tensor_i64(t, t->count) == 0 &&
                tensor_f64(t, -1) == 0); /* out of range */
}

/* --- external data -------------------------------------------------------------- */

typedef struct Disk {
    Source source;
    int opened;
    bool broken;
} Disk;

static Source *open_disk(void *user, Diags *diags, Str location) {
    Disk *disk = user;
    disk->opened++;
    if (disk->broken)
        diag_add(diags, OX0005, STR(""), STR(""), "cannot open %.*s", (int)location.n,
                 location.p);
    return disk->broken ? NULL : &disk->source;
}

/* The same tensor as initializer, in an attribute, in a subgraph and in a function. */
static Str model_with_external_everywhere(Arena *a, Str tensor) {
    Text attr = {.arena = a}, node = {.arena = a}, graph = {.arena = a},
         outer_attr = {.arena = a}, outer_node = {.arena = a}, fn = {.arena = a},
         model = {.arena = a};
    put_bytes(&attr, 5, tensor);
    put_bytes(&attr, 10, tensor);
    put_bytes(&node, 5, text_view(&attr));
    put_bytes(&graph, 1, text_view(&node));
    put_bytes(&graph, 5, tensor);
    put_bytes(&outer_attr, 6, text_view(&graph));
    put_bytes(&outer_attr, 11, text_view(&graph));
    put_bytes(&outer_node, 5, text_view(&outer_attr));
    Text outer = {.arena = a};
    put_bytes(&outer, 1, text_view(&outer_node));
    put_bytes(&outer, 5, tensor);
    put_bytes(&fn, 7, text_view(&node));
    put_bytes(&fn, 11, text_view(&attr));
    text_str(&model, model_around(a, text_view(&outer)));
    put_bytes(&model, 25, text_view(&fn));
    return text_view(&model);
}

static void external_data_is_resolved_everywhere(void **state) {
    Fixture *f = *state;
    Str tensor = external_tensor(&f->arena, "w.bin", "3", "2");
    PbModel *m = parse_ok(f, model_with_external_everywhere(&f->arena, tensor));
    Disk disk = {.source = source_of_memory(STR("0123456789"))};
    onnx_resolve(&f->arena, &f->diags, m, open_disk, &disk);
    assert_int_equal(f->diags.count, 0);
    assert_int_equal(disk.opened, 1);
    const PbAttr *outer = &m->graph.nodes.items[0].attrs.items[0];
    const PbAttr *inner = &outer->g->nodes.items[0].attrs.items[0];
    const PbAttr *listed = &outer->graphs.items[0].nodes.items[0].attrs.items[0];
    const PbFunction *fn = &m->functions.items[0];
    const PbTensor *all[] = {
        &m->graph.initializers.items[0],
        &outer->g->initializers.items[0],
        inner->t,
        &inner->tensors.items[0],
        listed->t,
        fn->nodes.items[0].attrs.items[0].t,
        fn->attr_defaults.items[0].t,
    };
    for (size_t i = 0; i < OX_COUNT(all); i++) {
        assert_ptr_equal(all[i]->t.memory, disk.source.memory + 3);
        assert_int_equal(all[i]->t.size, 2);
        assert_ptr_equal(all[i]->t.source, &disk.source);
        assert_int_equal(all[i]->t.offset, 3);
    }
}

static void resolve_expecting(Fixture *f, Str tensor, OnnxOpen open, Disk *disk,
                              const char *what) {
    f->diags = (Diags){.arena = &f->arena};
    PbModel *m = parse_ok(f, model_with(&f->arena, 5, tensor));
    onnx_resolve(&f->arena, &f->diags, m, open, disk);
    assert_int_equal(f->diags.count, 1);
    assert_int_equal(f->diags.items[0].code, OX0005);
    assert_string_equal(f->diags.items[0].what.p, what);
    assert_int_equal(m->graph.initializers.items[0].t.size, 0);
}

static void external_data_that_cannot_be_read(void **state) {
    Fixture *f = *state;
    Arena *a = &f->arena;
    Disk disk = {.source = source_of_memory(STR("0123456789"))},
         broken = {.broken = true};
    resolve_expecting(f, external_tensor(a, "w", "9", NULL), open_disk, &disk,
                      "external data \"w\" is too short");
    resolve_expecting(f, external_tensor(a, "w", "18446744073709551615", NULL),
                      open_disk, &disk, "external data \"w\" is too short");
    resolve_expecting(f, external_tensor(a, "w", NULL, NULL), NULL, NULL,
                      "external data \"w\" cannot be reached from here");
    resolve_expecting(f, external_tensor(a, "w", NULL, NULL), open_disk, &broken,
                      "cannot open w");
}

static void a_broken_file_is_reported_once(void **state) {
    Fixture *f = *state;
    Str tensor = external_tensor(&f->arena, "w", NULL, NULL);
    PbModel *m = parse_ok(f, model_with_external_everywhere(&f->arena, tensor));
    Disk broken = {.broken = true};
    onnx_resolve(&f->arena, &f->diags, m, open_disk, &broken);
    assert_int_equal(broken.opened, 1);
    assert_int_equal(f->diags.count, 1);
}

static void malformed_external_data_is_an_error(void **state) {
    Fixture *f = *state;
    Arena *a = &f->arena;
    static const struct {
        const char *location, *offset, *length, *what;
    } cases[] = {
        {NULL, "0", "2", "external data has no location"},
        {"", "0", "2", "external data has no location"},
        {"w", "0", "3", "2 bytes of data are needed but there are 3"},
        {"w", "-1", "2", "the offset or length of external data is no number"},
        {"w", "", "2", "the offset or length of external data is no number"},
        {"w", "0x1", "2", "the offset or length of external data is no number"},
        {"w", "18446744073709551616", "2",
         "the offset or length of external data is no number"},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Str t = external_tensor(a, cases[i].location, cases[i].offset, cases[i].length);
        assert_rejected(f, model_with(a, 5, t), OX0103, cases[i].what);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(raw_data_is_a_slice_of_the_input),
        IN_ARENA(packed_floats_are_a_slice_of_the_input),
        IN_ARENA(scattered_floats_are_gathered),
        IN_ARENA(typed_fields_become_raw),
        IN_ARENA(complex_and_double_fields),
        IN_ARENA(strings_stay_apart),
        IN_ARENA(empty_tensors_need_no_data),
        IN_ARENA(malformed_tensors_are_errors),
        IN_ARENA(rank_is_limited),
        IN_ARENA(every_bad_tensor_is_reported),
        IN_ARENA(malformed_sparse_tensors_are_errors),
        IN_ARENA(elements_as_numbers),
        IN_ARENA(integers_are_exact_and_floats_truncate),
        IN_ARENA(external_data_is_resolved_everywhere),
        IN_ARENA(external_data_that_cannot_be_read),
        IN_ARENA(a_broken_file_is_reported_once),
        IN_ARENA(malformed_external_data_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
