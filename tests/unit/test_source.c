/* Sources: what is asked of a reader, and that one that fails or cheats does no harm. */
#include "support/source.h"

#include <setjmp.h>

#include <cmocka.h>

#include "ir/tensor.h"

/* A file that lies nowhere: byte k follows from k alone. */
typedef struct Disk {
    Arena arena;
    ReadWindow window;
    Source source;
    size_t most;       /* bytes that one read gives */
    uint64_t fails_at; /* reads from here on give nothing */
    uint64_t read;     /* bytes given */
    size_t calls;
    bool cheats; /* claims to have given more than it was asked for */
} Disk;

static char byte_at(uint64_t at) {
    return (char)(at * 31 ^ at >> 32 ^ at >> 7);
}

static size_t read_disk(void *user, uint64_t offset, void *to, size_t size) {
    Disk *d = user;
    d->calls++;
    assert_true(size > 0 && offset < d->source.size && size <= d->source.size - offset);
    if (d->cheats)
        return size + 1;
    size_t n = size < d->most ? size : d->most;
    if (offset + n > d->fails_at)
        n = offset < d->fails_at ? (size_t)(d->fails_at - offset) : 0;
    for (size_t i = 0; i < n; i++)
        ((char *)to)[i] = byte_at(offset + i);
    d->read += n;
    return n;
}

static void open_disk(Disk *d, uint64_t size) {
    OxReader reader = {.size = size, .read = read_disk, .user = d};
    *d = (Disk){.most = SIZE_MAX, .fails_at = UINT64_MAX};
    arena_init(&d->arena, NULL);
    assert_true(read_window_init(&d->window, &d->arena));
    d->source = source_of_reader(&reader, &d->window);
}

static void assert_bytes(const char *p, uint64_t at, size_t n) {
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], byte_at(at + i));
}

static void short_reads_are_put_together(void **state) {
    (void)state;
    char bytes[5000];
    Disk d;
    open_disk(&d, 10000);
    for (d.most = 1; d.most < 20; d.most += 6) {
        assert_true(source_read(&d.source, 7, bytes, sizeof bytes));
        assert_bytes(bytes, 7, sizeof bytes);
        assert_true(source_read(&d.source, 9990, bytes, 10));
        assert_bytes(bytes, 9990, 10);
        Str peek = source_peek(&d.source, 100, 40);
        assert_int_equal(peek.n, 40);
        assert_bytes(peek.p, 100, 40);
    }
    arena_free(&d.arena);
}

static void places_beyond_4_gb_are_read(void **state) {
    (void)state;
    const uint64_t far = (UINT64_C(6) << 30) + 5;
    Disk d;
    open_disk(&d, far + 100);
    char bytes[95];
    assert_true(source_read(&d.source, far, bytes, sizeof bytes));
    assert_bytes(bytes, far, sizeof bytes);
    Tensor t = {.dtype = DT_UINT8, .count = 50, .size = 50};
    t.source = &d.source;
    t.offset = far + 3;
    for (int64_t i = 0; i < t.count; i++)
        assert_int_equal((char)tensor_i64(&t, i), byte_at(far + 3 + (uint64_t)i));
    arena_free(&d.arena);
}

static void what_is_not_there_is_not_asked_for(void **state) {
    (void)state;
    char bytes[8];
    Disk d;
    open_disk(&d, 100);
    assert_int_equal(source_peek(&d.source, 96, 5).n, 0);
    assert_int_equal(source_peek(&d.source, UINT64_MAX, 1).n, 0);
    assert_false(source_read(&d.source, UINT64_MAX - 3, bytes, 8));
    assert_true(d.source.failed);
    assert_int_equal(d.calls, 0);
    arena_free(&d.arena);
}

static void a_failed_read_is_sticky(void **state) {
    (void)state;
    char bytes[64];
    Disk d;
    open_disk(&d, 100000);
    d.fails_at = 50010;
    assert_true(source_read(&d.source, 10, bytes, sizeof bytes));
    assert_false(source_read(&d.source, 50000, bytes, sizeof bytes));
    assert_true(d.source.failed);
    assert_int_equal(d.source.failed_at, 50010);
    size_t calls = d.calls;
    d.fails_at = UINT64_MAX;
    assert_false(source_read(&d.source, 50000, bytes, sizeof bytes));
    assert_null(source_text(&d.source, &d.arena, (Span){NULL, 20000, 10}).p);
    assert_int_equal(d.calls, calls);
    arena_free(&d.arena);
}

static void a_reader_that_gives_too_much_has_failed(void **state) {
    (void)state;
    char bytes[64];
    Disk d;
    open_disk(&d, 1000);
    d.cheats = true;
    assert_false(source_read(&d.source, 0, bytes, sizeof bytes));
    assert_true(d.source.failed);
    arena_free(&d.arena);
}

/* Small reads in a row cost one large one; a jump costs little. */
static void reading_looks_ahead_only_in_a_row(void **state) {
    (void)state;
    Disk d;
    open_disk(&d, UINT64_C(1) << 40);
    for (uint64_t at = 0; at < 200000; at += 20)
        assert_bytes(source_peek(&d.source, at, 20).p, at, 20);
    assert_in_range(d.calls, 1, 12);
    assert_in_range(d.read, 200000, 200000 + 65536);
    d.read = 0;
    for (uint64_t i = 1; i <= 100; i++)
        assert_bytes(source_peek(&d.source, i << 30, 20).p, i << 30, 20);
    assert_in_range(d.read, 100 * 20, 100 * 1024);
    arena_free(&d.arena);
}

/* ---- tensors ----------------------------------------------------------------------- */

static const int64_t dims[] = {1 << 20};

static Tensor large_tensor(Disk *d, uint64_t offset) {
    return (Tensor){.dtype = DT_UINT8,
                    .rank = 1,
                    .dims = dims,
                    .count = dims[0],
                    .size = (uint64_t)dims[0],
                    .source = &d->source,
                    .offset = offset};
}

static void tensors_are_compared_from_the_front(void **state) {
    (void)state;
    Disk d;
    open_disk(&d, UINT64_C(1) << 33);
    Tensor a = large_tensor(&d, 0), b = large_tensor(&d, 1), c = a;
    assert_false(tensor_same(&a, &b));
    assert_false(tensor_is_uniform(&a));
    assert_in_range(d.read, 256, 2 * 1024);
    d.read = 0;
    assert_true(tensor_same(&a, &c)); /* the same place */
    assert_int_equal(d.read, 0);
    arena_free(&d.arena);
}

static void equal_tensors_are_read_to_the_end(void **state) {
    (void)state;
    Disk d;
    open_disk(&d, UINT64_C(1) << 33);
    Tensor a = large_tensor(&d, 12345), b = a;
    char *copy = arena_alloc(&d.arena, (size_t)a.size);
    for (size_t i = 0; i < a.size; i++)
        copy[i] = byte_at(a.offset + i);
    b.source = NULL;
    b.memory = copy;
    assert_true(tensor_same(&a, &b) && tensor_same(&b, &a));
    for (size_t at = 0; at < a.size; at = at * 3 + 1) {
        copy[at] ^= 1;
        assert_false(tensor_same(&a, &b));
        copy[at] ^= 1;
    }
    copy[a.size - 1] ^= 1;
    assert_false(tensor_same(&a, &b));
    arena_free(&d.arena);
}

static void tensors_that_cannot_be_read_are_not_equal(void **state) {
    (void)state;
    Disk d;
    open_disk(&d, UINT64_C(1) << 33);
    Tensor a = large_tensor(&d, 0), b = large_tensor(&d, 1);
    d.fails_at = 0;
    assert_false(tensor_same(&a, &b));
    assert_int_equal(tensor_i64(&a, 5), 0);
    assert_true(d.source.failed);
    arena_free(&d.arena);
}

/* ---- paths ------------------------------------------------------------------------- */

static void locations_stay_in_their_folder(void **state) {
    (void)state;
    static const struct {
        Str location;
        const char *clean; /* NULL: refused */
    } cases[] = {
        {{"w.bin", 5}, "w.bin"},     {{"./a//b/./w", 10}, "a/b/w"},
        {{"a/..b/w", 7}, "a/..b/w"}, {{"../w", 4}, NULL},
        {{"a/../w", 6}, NULL},       {{"a/..", 4}, NULL},
        {{"/w", 2}, NULL},           {{"", 0}, NULL},
        {{"a\0b", 3}, NULL},         {{".", 1}, ""},
    };
    Arena arena;
    arena_init(&arena, NULL);
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        const char *why = source_bad_location(cases[i].location);
        assert_int_equal(!why, cases[i].clean != NULL);
        if (!why)
            assert_string_equal(source_location(&arena, cases[i].location).p,
                                cases[i].clean);
    }
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_reads_are_put_together),
        cmocka_unit_test(places_beyond_4_gb_are_read),
        cmocka_unit_test(what_is_not_there_is_not_asked_for),
        cmocka_unit_test(a_failed_read_is_sticky),
        cmocka_unit_test(a_reader_that_gives_too_much_has_failed),
        cmocka_unit_test(reading_looks_ahead_only_in_a_row),
        cmocka_unit_test(tensors_are_compared_from_the_front),
        cmocka_unit_test(equal_tensors_are_read_to_the_end),
        cmocka_unit_test(tensors_that_cannot_be_read_are_not_equal),
        cmocka_unit_test(locations_stay_in_their_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
