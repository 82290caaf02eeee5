/* Weights files: exact bytes, order and alignment, and what the formats cannot hold.
 * tests/test_weights.py reads the files back with the formats' own libraries. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#ifndef _WIN32
#include <sys/mman.h>
#endif

#include <cmocka.h>

#include "support/json.h"
#include "weights/crc.h"
#include "weights/weights.h"

#if defined(__SANITIZE_ADDRESS__)
#define NO_FREE_ZEROS 1
#elif defined(_WIN32) /* where 4 GiB are 4 GiB, also of zeros */
#define NO_FREE_ZEROS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_FREE_ZEROS 1
#endif
#endif

static const int64_t dims_2[] = {2};
static const int64_t dims_3[] = {3};

static Tensor tensor_of(DType dtype, const int64_t *dims, Str data) {
    return (Tensor){
        .dtype = dtype, .rank = 1, .dims = dims, .memory = data.p, .size = data.n};
}

static Str bytes_of(const WeightSegment *s) {
    return (Str){s->memory, (size_t)s->size};
}

/* The whole file as one slice of the arena. */
static Str flatten(Arena *arena, const WeightPlan *plan) {
    Text t = {.arena = arena};
    for (size_t i = 0; i < plan->count; i++)
        text_str(&t, bytes_of(&plan->items[i]));
    assert_int_equal(t.n, plan->total);
    return text_view(&t);
}

static uint64_t read_le(const char *p, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)(unsigned char)p[i] << 8 * i;
    return value;
}

static void safetensors_are_exact_bytes(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    Tensor bias = tensor_of(DT_FLOAT, dims_2, STR("abcdefgh"));
    Tensor codes = tensor_of(DT_INT4, dims_3, STR("\x21\x03"));
    WeightEntry entries[] = {{.key = STR("q\"\n"), .tensor = &codes},
                             {.key = STR("bias"), .tensor = &bias}};
    WeightPlan plan;
    assert_true(weights_plan(&arena, entries, 2, OX_SAFETENSORS, &plan));
    Str file = flatten(&arena, &plan);
    Str header =
        STR("{\"__metadata__\":{\"oxide_xla.packed\":\"{\\\"q\\\\\\\"\\\\n\\\": "
            "{\\\"dtype\\\": \\\"int4\\\", \\\"shape\\\": [3], \\\"bits\\\": 4}}\"},"
            "\"bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
            "\"q\\\"\\n\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[8,10]}}");
    size_t start = file.n - 10;
    assert_int_equal(start % 64, 0);
    assert_int_equal(read_le(file.p, 8), start - 8);
    assert_memory_equal(file.p + 8, header.p, header.n);
    for (size_t i = 8 + header.n; i < start; i++)
        assert_int_equal(file.p[i], ' ');
    assert_memory_equal(file.p + start, "abcdefgh\x21\x03", 10);
    arena_free(&arena);
}

static void larger_elements_come_first_and_equal_ones_keep_their_order(void **state) {
    (void)state;
    static const DType types[] = {DT_BOOL,   DT_FLOAT, DT_COMPLEX128, DT_INT4,
                                  DT_DOUBLE, DT_INT32, DT_BFLOAT16,   DT_COMPLEX64};
    static const size_t expected[] = {2, 4, 7, 1, 5, 6, 0, 3};
    enum { N = OX_COUNT(types) };
    Arena arena;
    arena_init(&arena, NULL);
    Tensor tensors[N];
    WeightEntry entries[N];
    for (size_t i = 0; i < N; i++) {
        tensors[i] = tensor_of(types[i], dims_2, (Str){0});
        entries[i] = (WeightEntry){.key = STR("k"), .tensor = &tensors[i]};
    }
    WeightPlan plan;
    assert_true(weights_plan(&arena, entries, N, OX_SAFETENSORS, &plan));
    assert_memory_equal(plan.order, expected, sizeof expected);
    arena_free(&arena);
}

static void neighbours_in_a_file_become_one_segment(void **state) {
    (void)state;
    static const char data[] = "aaaabbbbcccc";
    Arena arena;
    arena_init(&arena, NULL);
    Tensor tensors[3];
    WeightEntry entries[3];
    Source files[2] = {{0}};
    for (size_t i = 0; i < 3; i++) {
        tensors[i] = tensor_of(DT_UINT8, dims_2, (Str){data + 4 * i, 4});
        tensors[i].source = &files[i / 2];
        tensors[i].offset = 100 + 4 * i;
        entries[i] = (WeightEntry){.key = STR("k"), .tensor = &tensors[i]};
    }
    WeightPlan plan;
    assert_true(weights_plan(&arena, entries, 3, OX_SAFETENSORS, &plan));
    assert_int_equal(plan.count, 3);
    assert_null(plan.items[0].source);
    assert_ptr_equal(plan.items[1].source, &files[0]);
    assert_int_equal(plan.items[1].offset, 100);
    assert_int_equal(plan.items[1].size, 8);
    assert_ptr_equal(plan.items[2].source, &files[1]);
    assert_int_equal(plan.items[2].offset, 108);
    arena_free(&arena);
}

static void an_index_holds_only_what_lies_nowhere_else(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    Tensor made = tensor_of(DT_FLOAT, dims_2, STR("abcdefgh"));
    Tensor codes = tensor_of(DT_INT4, dims_3, STR("\x21\x03"));
    codes.offset = 7;
    WeightFile items[] = {{STR("../m\".onnx"), 9}};
    WeightEntry entries[] = {
        {.key = STR("q"), .tensor = &codes, .file = items, .sample = 5},
        {.key = STR("b"), .tensor = &made, .exported = true}};
    WeightPlan plan;
    assert_true(
        weights_plan_reference(&arena, entries, 2, &(WeightFiles){items, 1}, &plan));
    Str file = flatten(&arena, &plan);
    Str header =
        STR("{\"__metadata__\":{\"oxide_xla.layout\":\"exported\","
            "\"oxide_xla.reference\":\"{\\\"files\\\": [{\\\"path\\\": "
            "\\\"../m\\\\\\\".onnx\\\", \\\"size\\\": 9}], \\\"params\\\": "
            "{\\\"q\\\": {\\\"dtype\\\": \\\"int4\\\", \\\"shape\\\": [3], "
            "\\\"bits\\\": 4, "
            "\\\"file\\\": 0, \\\"data_offsets\\\": [7, 9], \\\"crc32\\\": 5}}}\"},"
            "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
    assert_memory_equal(file.p + 8, header.p, header.n);
    assert_memory_equal(file.p + file.n - 8, "abcdefgh", 8);
    arena_free(&arena);
}

static void checksums_are_those_of_zlib(void **state) {
    (void)state;
    static char zeros[100000];
    Crc crc;
    crc_init(&crc);
    assert_int_equal(crc_add(&crc, 0, STR("123456789")), 0xCBF43926);
    assert_int_equal(crc_sample(&crc, STR("123456789")), 0xCBF43926);
    assert_int_equal(crc_sample(&crc, (Str){0}), 0);
    Str few = {zeros, CRC_RUN * CRC_RUNS};
    assert_int_equal(crc_sample(&crc, few), crc_add(&crc, 0, few));
    uint32_t before = crc_sample(&crc, (Str){zeros, sizeof zeros});
    zeros[sizeof zeros / CRC_RUNS] = 1;
    assert_int_not_equal(crc_sample(&crc, (Str){zeros, sizeof zeros}), before);
}

static void no_entries_give_an_empty_file(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    WeightPlan plan;
    assert_true(weights_plan(&arena, NULL, 0, OX_SAFETENSORS, &plan));
    Str file = flatten(&arena, &plan);
    assert_int_equal(file.n, 64);
    assert_memory_equal(file.p, "\x38\0\0\0\0\0\0\0{}", 10);
    assert_true(weights_plan(&arena, NULL, 0, OX_NPZ, &plan));
    assert_memory_equal(flatten(&arena, &plan).p, "PK\5\6", 4);
    arena_free(&arena);
}

static void npz_members_are_npy_files(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    Tensor bias = tensor_of(DT_FLOAT, dims_2, STR("abcdefgh"));
    WeightEntry entries[] = {{.key = STR("bias"), .tensor = &bias}};
    WeightPlan plan;
    assert_true(weights_plan(&arena, entries, 1, OX_NPZ, &plan));
    Str file = flatten(&arena, &plan);
    const char *npy = file.p + 30 + strlen("bias.npy");
    assert_memory_equal(file.p, "PK\3\4", 4);
    assert_memory_equal(file.p + 30, "bias.npy", 8);
    assert_memory_equal(npy, "\x93NUMPY\1\0", 8);
    assert_int_equal((10 + read_le(npy + 8, 2)) % 64, 0);
    Str header = STR("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
    assert_memory_equal(npy + 10, header.p, header.n);
    assert_memory_equal(npy + 10 + read_le(npy + 8, 2), "abcdefgh", 8);
    arena_free(&arena);
}

/* Plans one tensor under this key and expects a refusal with these words. */
static void refused(Str key, OxWeightFormat format, const char *words) {
    Arena arena;
    arena_init(&arena, NULL);
    Tensor tensor = tensor_of(DT_FLOAT, dims_2, STR("abcdefgh"));
    WeightEntry entries[] = {{.key = STR("fine"), .tensor = &tensor},
                             {.key = key, .tensor = &tensor}};
    WeightPlan plan;
    assert_false(weights_plan(&arena, entries, 2, format, &plan));
    assert_false(arena.failed);
    assert_non_null(plan.error);
    assert_non_null(strstr(plan.error, words));
    assert_int_equal(plan.error_entry, 1);
    arena_free(&arena);
}

static void names_that_a_format_cannot_hold_are_refused(void **state) {
    (void)state;
    static char long_name[65532];
    memset(long_name, 'x', sizeof long_name);
    refused(STR("__metadata__"), OX_SAFETENSORS, "for itself");
    refused((Str){long_name, sizeof long_name}, OX_NPZ, "65531 bytes");
    refused(STR("a\0b"), OX_NPZ, "zero byte");
}

/* Serves `left` requests, then refuses. */
static void *limited(void *user, void *block, size_t old_size, size_t new_size) {
    int *left = user;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return (*left)-- > 0 ? realloc(block, new_size) : NULL;
}

static void every_refused_allocation_is_survived(void **state) {
    (void)state;
    enum { N = 3000 };
    static Tensor tensor;
    static WeightEntry entries[N];
    tensor = tensor_of(DT_INT4, dims_2, STR("a"));
    for (size_t i = 0; i < N; i++)
        entries[i] = (WeightEntry){.key = STR("some.key"), .tensor = &tensor};
    for (int format = OX_SAFETENSORS; format <= OX_NPZ; format++)
        for (int n = 0, done = 0; !done; n++) {
            int left = n;
            Arena arena;
            arena_init(&arena, &(OxAllocator){limited, &left});
            WeightPlan plan;
            done = weights_plan(&arena, entries, N, (OxWeightFormat)format, &plan);
            assert_true(done == !arena.failed);
            assert_null(plan.error);
            arena_free(&arena);
        }
}

#ifndef NO_FREE_ZEROS
/* 4 GiB that take no memory: every page is the kernel's page of zeros. */
static void past_4_gib_an_npz_has_zip64_records(void **state) {
    (void)state;
    const size_t size = (size_t)UINT32_MAX + 1;
    void *zeros = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (zeros == MAP_FAILED)
        skip();
    Arena arena;
    arena_init(&arena, NULL);
    Tensor large = tensor_of(DT_UINT8, dims_2, (Str){zeros, size});
    Tensor small = tensor_of(DT_UINT8, dims_2, STR("ab"));
    WeightEntry entries[] = {{.key = STR("large"), .tensor = &large},
                             {.key = STR("small"), .tensor = &small}};
    WeightPlan plan;
    assert_true(weights_plan(&arena, entries, 2, OX_NPZ, &plan));
    Str local = bytes_of(&plan.items[0]), end = bytes_of(&plan.items[plan.count - 1]);
    uint64_t stored = size + 128; /* with the npy header */
    assert_int_equal(read_le(local.p + 4, 2), 45);
    assert_int_equal(read_le(local.p + 18, 4), UINT32_MAX);
    assert_int_equal(read_le(local.p + 30 + 9, 2), 1);
    assert_int_equal(read_le(local.p + 30 + 9 + 4, 8), stored);
    /* The second member of the directory: name, then tag 1 with 8 bytes of offset. */
    const char *second = end.p + 46 + 9 + 20;
    assert_memory_equal(second, "PK\1\2", 4);
    assert_int_equal(read_le(second + 42, 4), UINT32_MAX);
    assert_int_equal(read_le(second + 46 + 9 + 4, 8), 30 + 9 + 20 + stored);
    const char *end64 = second + 46 + 9 + 12;
    assert_memory_equal(end64, "PK\6\6", 4);
    assert_int_equal(read_le(end64 + 48, 8), plan.total - end.n);
    assert_memory_equal(end64 + 56, "PK\6\7", 4);
    assert_memory_equal(end64 + 76, "PK\5\6", 4);
    arena_free(&arena);
    munmap(zeros, size);
}
#endif

static void json_is_clean_whatever_the_bytes(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    Text t = {.arena = &arena};
    text_json(&t, STR("a\xFF\"\\\x01\xED\xA0\x80\xC3\xA9\xEF\xBF\xBD"));
    assert_string_equal(text_view(&t).p,
                        "\"a\xEF\xBF\xBD\\\"\\\\\\u0001\xEF\xBF\xBD\xEF\xBF\xBD\xEF"
                        "\xBF\xBD\xC3\xA9\xEF\xBF\xBD\"");
    t = (Text){.arena = &arena};
    text_utf8(&t, STR("\"\xC3\n"));
    assert_string_equal(text_view(&t).p, "\"\xEF\xBF\xBD\n");
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors_are_exact_bytes),
        cmocka_unit_test(larger_elements_come_first_and_equal_ones_keep_their_order),
        cmocka_unit_test(neighbours_in_a_file_become_one_segment),
        cmocka_unit_test(an_index_holds_only_what_lies_nowhere_else),
        cmocka_unit_test(checksums_are_those_of_zlib),
        cmocka_unit_test(no_entries_give_an_empty_file),
        cmocka_unit_test(npz_members_are_npy_files),
        cmocka_unit_test(names_that_a_format_cannot_hold_are_refused),
        cmocka_unit_test(every_refused_allocation_is_survived),
#ifndef NO_FREE_ZEROS
        cmocka_unit_test(past_4_gib_an_npz_has_zip64_records),
#endif
        cmocka_unit_test(json_is_clean_whatever_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
