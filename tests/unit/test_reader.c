/* Models through ox_load_reader: the same results as from memory when all that is read is
 * read in crumbs, and nothing but a message when a read fails or bytes change.
 *
 * The window is compiled into this test so small that every message is read on its own
 * (and, under AddressSanitizer, that no byte outside of it is touched unseen). */
#define _DEFAULT_SOURCE /* getpid */
#define SOURCE_WINDOW 64
#define SOURCE_FIRST 24
#define SOURCE_WHOLE 8
#include "support/source.c" /* replaces the library's */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pb.h"
#include "place.h"

/* A model in memory, and how it is given away. */
typedef struct Feed {
    Str bytes;
    size_t most;     /* bytes that one read gives */
    size_t fails_in; /* this read and all after it give nothing; 0: none */
    size_t calls;
    size_t opened, closed;
    bool changes; /* every second read of a place gives other bytes */
} Feed;

static size_t feed_read(void *user, uint64_t offset, void *to, size_t size) {
    Feed *f = user;
    assert_true(size > 0 && offset < f->bytes.n && size <= f->bytes.n - offset);
    f->calls++;
    if (f->fails_in && f->calls >= f->fails_in)
        return 0;
    size_t n = size < f->most ? size : f->most;
    memcpy(to, f->bytes.p + offset, n);
    if (f->changes && f->calls % 2)
        ((char *)to)[n / 2] ^= 5;
    return n;
}

static void feed_close(void *user) {
    ((Feed *)user)->closed++;
}

static OxReader reader_of(Feed *f) {
    f->opened++;
    return (OxReader){f->bytes.n, feed_read, f, feed_close};
}

/* The only file of the folder is the model itself. */
static bool open_feed(void *user, const char *location, OxReader *reader) {
    if (strcmp(location, "data/w.bin") != 0)
        return false;
    *reader = reader_of(user);
    return true;
}

static OxStatus load_feed(OxCompiler *c, Feed *f) {
    OxReader reader = reader_of(f);
    OxFolder folder = {open_feed, f};
    return ox_load_reader(c, &reader, &folder, "m.onnx");
}

/* ---- results ----------------------------------------------------------------------- */

static void append(Text *t, OxText text) {
    text_str(t, (Str){text.data, text.size});
    text_char(t, '\n');
}

static void append_params(Text *t, OxCompiler *c) {
    for (size_t i = 0; i < ox_param_count(c); i++) {
        OxParam p = ox_param(c, i);
        append(t, p.key);
        char *data = malloc(p.nbytes ? (size_t)p.nbytes : 1);
        assert_non_null(data);
        if (ox_read_param(c, i, 0, data, (size_t)p.nbytes) == OX_OK)
            text_str(t, (Str){data, (size_t)p.nbytes});
        free(data);
        text_printf(t, "%d %s %llu\n", p.rank, p.dtype, (unsigned long long)p.nbytes);
    }
}

/* All that a user can get, as one text; the status of what went wrong first. */
static OxStatus results(OxCompiler *c, OxStatus status, Text *t) {
    OxOptions options = {
        .size = sizeof options, .params = OX_PARAMS_NESTED, .layers = OX_LAYERS_SCAN};
    OxText text;
    for (int f = OX_ASCII; f <= OX_JSON && status == OX_OK; f++) {
        OxInspectOptions o = {.size = sizeof o, .format = (OxFormat)f};
        status = ox_inspect(c, &o, &text);
        append(t, text);
    }
    for (int i = 0; i < 2 && status == OX_OK; i++) {
        status = ox_compile(c, i ? &options : NULL);
        append(t, ox_source(c));
        append(t, ox_summary(c));
        append_params(t, c);
    }
    if (status == OX_OK)
        status = ox_write_weights(c, NOWHERE, OX_SAFETENSORS);
    if (status == OX_OK)
        status = ox_write_weights(c, NOWHERE, OX_NPZ);
    append(t, ox_messages(c, false));
    return status;
}

static Str from_memory(Arena *arena, Str bytes, OxStatus *status) {
    Text t = {.arena = arena};
    OxCompiler *c = ox_new(NULL);
    *status = ox_load_memory(c, bytes.p, bytes.n, "m.onnx");
    *status = results(c, *status, &t);
    ox_free(c);
    return text_view(&t);
}

static Str from_feed(Arena *arena, Feed *f, OxStatus *status) {
    Text t = {.arena = arena};
    OxCompiler *c = ox_new(NULL);
    *status = results(c, load_feed(c, f), &t);
    ox_free(c);
    assert_int_equal(f->closed, f->opened);
    return text_view(&t);
}

static void assert_same_results(Str bytes) {
    Arena arena;
    arena_init(&arena, NULL);
    OxStatus want, got;
    Str expected = from_memory(&arena, bytes, &want);
    for (size_t most = 1; most < 5000; most = most * 17) {
        Feed feed = {.bytes = bytes, .most = most};
        Str actual = from_feed(&arena, &feed, &got);
        assert_int_equal(got, want);
        assert_int_equal(actual.n, expected.n);
        assert_memory_equal(actual.p, expected.p, expected.n);
    }
    arena_free(&arena);
}

/* ---- fixtures ---------------------------------------------------------------------- */

static Str read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long n = ftell(file);
    rewind(file);
    char *p = malloc((size_t)n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)n, file), n);
    fclose(file);
    return (Str){p, (size_t)n};
}

static void each_fixture(void (*visit)(Str bytes)) {
    const char *folder = getenv("OX_FIXTURES");
    DIR *dir = opendir(folder ? folder : OX_FIXTURES);
    assert_non_null(dir);
    size_t seen = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[1024];
        if (!str_ends(str_from(e->d_name), STR(".onnx")))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder ? folder : OX_FIXTURES, e->d_name);
        Str bytes = read_file(path);
        visit(bytes);
        free((void *)(uintptr_t)bytes.p);
        seen++;
    }
    closedir(dir);
    assert_true(seen > 10);
}

static void fixtures_compile_as_from_memory(void **state) {
    (void)state;
    each_fixture(assert_same_results);
}

/* Also what is wrong with a file is the same. */
static void assert_same_when_cut(Str bytes) {
    for (size_t n = 0; n < bytes.n; n += 1 + n / 6)
        assert_same_results((Str){bytes.p, n});
}

static void cut_files_are_reported_as_from_memory(void **state) {
    (void)state;
    each_fixture(assert_same_when_cut);
}

/* ---- readers that fail ------------------------------------------------------------- */

static void assert_every_failure_is_reported(Str bytes) {
    Arena arena;
    arena_init(&arena, NULL);
    OxStatus status = OX_ERR_IO;
    for (size_t i = 1; status == OX_ERR_IO; i += 1 + i / 4) {
        Feed feed = {.bytes = bytes, .most = 50, .fails_in = i};
        Str text = from_feed(&arena, &feed, &status);
        bool failed = feed.calls >= i;
        assert_int_equal(status, failed ? OX_ERR_IO : OX_OK);
        assert_true(!failed || str_contains(text, STR("error[OX0001]: the model cannot "
                                                      "be read\n  --> m.onnx: byte ")));
    }
    arena_free(&arena);
}

static void reads_that_fail_are_reported(void **state) {
    (void)state;
    each_fixture(assert_every_failure_is_reported);
}

static void assert_changes_do_no_harm(Str bytes) {
    Arena arena;
    arena_init(&arena, NULL);
    for (size_t most = 1; most < 40; most++) {
        Feed feed = {.bytes = bytes, .most = most, .changes = true};
        OxStatus status;
        (void)from_feed(&arena, &feed, &status);
    }
    arena_free(&arena);
}

static void bytes_that_change_do_no_harm(void **state) {
    (void)state;
    each_fixture(assert_changes_do_no_harm);
}

static void a_failed_compiler_stays_failed(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    Feed feed = {.bytes = model_with(&arena, 2, STR("name")), .most = 50};
    OxCompiler *c = ox_new(NULL);
    feed.fails_in = 1;
    assert_int_equal(load_feed(c, &feed), OX_ERR_IO);
    feed.fails_in = 0;
    assert_int_equal(ox_compile(c, NULL), OX_ERR_IO);
    assert_int_equal(load_feed(c, &feed), OX_ERR_USAGE);
    assert_int_equal(feed.closed, 1); /* the second reader; nobody read it */
    ox_free(c);
    assert_int_equal(feed.closed, 2);
    arena_free(&arena);
}

/* ---- external data ----------------------------------------------------------------- */

/* y = x + w, where w lies in a file beside the model. */
static Str external_model(Arena *a, const char *location) {
    Text g = {.arena = a}, n = {.arena = a}, w = {.arena = a}, x = {.arena = a};
    put_str(&n, 1, "x");
    put_str(&n, 1, "w");
    put_str(&n, 2, "y");
    put_str(&n, 4, "Add");
    put_int(&w, 1, 10); /* too many bytes for the window to have them */
    put_int(&w, 2, DT_FLOAT);
    put_str(&w, 8, "w");
    put_int(&w, 14, 1);
    put_entry(&w, 13, "location", location);
    put_entry(&w, 13, "offset", "5");
    put_str(&x, 1, "x");
    put_bytes(&x, 2, STR("\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x0a"));
    put_bytes(&g, 1, text_view(&n));
    put_bytes(&g, 5, text_view(&w));
    put_bytes(&g, 11, text_view(&x));
    x.n = 0;
    put_str(&x, 1, "y");
    put_bytes(&g, 12, text_view(&x));
    return model_around(a, text_view(&g));
}

static void external_data_is_read_beside_the_model(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    static const char *const names[] = {"data/w.bin", "./data//w.bin"};
    for (size_t i = 0; i < OX_COUNT(names); i++) {
        Feed feed = {.bytes = external_model(&arena, names[i]), .most = 7};
        OxCompiler *c = ox_new(NULL);
        char data[40];
        assert_int_equal(load_feed(c, &feed), OX_OK);
        assert_int_equal(ox_compile(c, NULL), OX_OK);
        assert_int_equal(ox_param_count(c), 1);
        assert_null(ox_param(c, 0).data);
        assert_int_equal(ox_read_param(c, 0, 0, data, 40), OX_OK);
        assert_memory_equal(data, feed.bytes.p + 5, 40);
        assert_int_equal(ox_read_param(c, 0, 36, data, 4), OX_OK);
        assert_memory_equal(data, feed.bytes.p + 41, 4);
        assert_int_equal(ox_read_param(c, 0, 36, data, 5), OX_ERR_USAGE);
        assert_int_equal(ox_read_param(c, 1, 0, data, 1), OX_ERR_USAGE);
        assert_int_equal(ox_write_weights(c, NOWHERE, OX_REFERENCE), OX_ERR_USAGE);
        feed.fails_in = 1;
        assert_int_equal(ox_read_param(c, 0, 0, data, 40), OX_ERR_IO);
        OxText messages = ox_messages(c, false);
        assert_non_null(
            strstr(messages.data, "w.bin\" cannot be read\n  --> m.onnx: byte 5"));
        ox_free(c);
        assert_int_equal(feed.opened, 2);
        assert_int_equal(feed.closed, 2);
    }
    arena_free(&arena);
}

static void assert_no_external(Arena *arena, const char *location, const char *why) {
    Feed feed = {.bytes = external_model(arena, location), .most = 7};
    OxCompiler *c = ox_new(NULL);
    assert_int_equal(load_feed(c, &feed), OX_ERR_IO);
    assert_non_null(strstr(ox_messages(c, false).data, why));
    ox_free(c);
    assert_int_equal(feed.opened, 1); /* the model */
    assert_int_equal(feed.closed, 1);
}

static void hostile_locations_reach_nobody(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    assert_no_external(&arena, "other.bin", "there is no such file");
    assert_no_external(&arena, "../data/w.bin", "its path holds \"..\"");
    assert_no_external(&arena, "/data/w.bin", "its path is absolute");
    assert_no_external(&arena, "./", "it is no regular file");
    arena_free(&arena);
}

/* ---- weights without files --------------------------------------------------------- */

/* What was handed over; pieces of files as their bytes, which the test has. */
typedef struct Taken {
    Text text;
    Feed *feed;
    size_t copies, refuse_after; /* bytes; 0: nothing is refused */
    bool beside;                 /* a piece was of a data file */
} Taken;

static bool take_bytes(void *user, const void *bytes, size_t size) {
    Taken *t = user;
    assert_true(size > 0);
    text_str(&t->text, (Str){bytes, size});
    return !t->refuse_after || t->text.n <= t->refuse_after;
}

static bool take_piece(void *user, const char *location, uint64_t offset,
                       uint64_t size) {
    Taken *t = user;
    t->copies++;
    t->beside |= location != NULL;
    assert_true(!location || strcmp(location, "data/w.bin") == 0);
    return take_bytes(user, t->feed->bytes.p + offset, (size_t)size);
}

static Str sent(OxCompiler *c, Feed *feed, Arena *arena, OxWeightFormat format,
                bool copies) {
    Taken t = {.text = {.arena = arena}, .feed = feed};
    OxSink sink = {take_bytes, copies ? take_piece : NULL, &t};
    assert_int_equal(ox_send_weights(c, format, &sink), OX_OK);
    return text_view(&t.text);
}

static Str written(OxCompiler *c, Arena *arena, OxWeightFormat format) {
    char *path = temporary_path();
    assert_int_equal(ox_write_weights(c, path, format), OX_OK);
    Str file = read_file(path);
    Str copy = arena_str(arena, file);
    free((void *)(uintptr_t)file.p);
    remove(path);
    free(path);
    return copy;
}

static void assert_sent_as_written(Str bytes) {
    Arena arena;
    arena_init(&arena, NULL);
    Feed feed = {.bytes = bytes, .most = 1000};
    OxCompiler *far = ox_new(NULL), *near = ox_new(NULL);
    OxStatus status = load_feed(far, &feed);
    if (status == OX_OK)
        status = ox_compile(far, NULL);
    if (status == OX_OK) {
        assert_int_equal(ox_load_memory(near, bytes.p, bytes.n, "m.onnx"), OX_OK);
        assert_int_equal(ox_compile(near, NULL), OX_OK);
        for (int format = OX_SAFETENSORS; format <= OX_NPZ; format++) {
            Str file = written(near, &arena, (OxWeightFormat)format);
            for (int copies = 0; copies < 2; copies++) {
                Str got = sent(far, &feed, &arena, (OxWeightFormat)format, copies);
                assert_true(str_eq(got, file));
                got = sent(near, &feed, &arena, (OxWeightFormat)format, copies);
                assert_true(str_eq(got, file));
            }
        }
    }
    ox_free(far);
    ox_free(near);
    arena_free(&arena);
}

static void weights_are_sent_as_they_are_written(void **state) {
    (void)state;
    each_fixture(assert_sent_as_written);
}

static void pieces_of_data_files_need_no_read(void **state) {
    (void)state;
    Arena arena;
    arena_init(&arena, NULL);
    Feed feed = {.bytes = external_model(&arena, "./data/w.bin"), .most = 1000};
    Taken t = {.text = {.arena = &arena}, .feed = &feed};
    OxSink sink = {take_bytes, take_piece, &t};
    OxCompiler *c = ox_new(NULL);
    assert_int_equal(ox_send_weights(c, OX_SAFETENSORS, &sink), OX_ERR_USAGE);
    assert_int_equal(load_feed(c, &feed), OX_OK);
    assert_int_equal(ox_compile(c, NULL), OX_OK);
    size_t calls = feed.calls;
    assert_int_equal(ox_send_weights(c, OX_SAFETENSORS, &sink), OX_OK);
    assert_int_equal(feed.calls, calls);
    assert_int_equal(t.copies, 1);
    assert_true(t.beside);
    assert_int_equal(ox_send_weights(c, OX_REFERENCE, &sink), OX_ERR_USAGE);
    t.refuse_after = 1;
    assert_int_equal(ox_send_weights(c, OX_SAFETENSORS, &sink), OX_ERR_IO);
    assert_non_null(strstr(ox_messages(c, false).data, "error[OX0002]"));
    sink.copy = NULL;
    t.refuse_after = 0;
    feed.fails_in = 1;
    assert_int_equal(ox_send_weights(c, OX_SAFETENSORS, &sink), OX_ERR_IO);
    assert_non_null(strstr(ox_messages(c, false).data, "error[OX0005]"));
    ox_free(c);
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixtures_compile_as_from_memory),
        cmocka_unit_test(cut_files_are_reported_as_from_memory),
        cmocka_unit_test(reads_that_fail_are_reported),
        cmocka_unit_test(bytes_that_change_do_no_harm),
        cmocka_unit_test(a_failed_compiler_stays_failed),
        cmocka_unit_test(external_data_is_read_beside_the_model),
        cmocka_unit_test(hostile_locations_reach_nobody),
        cmocka_unit_test(weights_are_sent_as_they_are_written),
        cmocka_unit_test(pieces_of_data_files_need_no_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
