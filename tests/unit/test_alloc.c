/* The whole compiler when memory runs out and when the input is cut or damaged: it
 * reports, frees all it took, and reads nothing outside the input.
 *
 * The arena is compiled into this test with chunks so small that every allocation
 * reaches the hook (and, under AddressSanitizer, is a block of its own on the heap). */
#define _POSIX_C_SOURCE 200809L /* fork */
#define ARENA_CHUNK_MIN 1
#define ARENA_CHUNK_MAX 1
#include "support/arena.c" /* replaces the library's */
/* A model through a reader comes in crumbs, so that all of it is on the paths that copy. */
#define SOURCE_WINDOW 64
#define SOURCE_FIRST 24
#define SOURCE_WHOLE 8
#include "support/source.c"

#include <setjmp.h>
#include <stdio.h>
#include <stdnoreturn.h>

#ifdef _WIN32
enum { CAN_BRANCH = false };
#else
#include <sys/wait.h>
#include <unistd.h>
enum { CAN_BRANCH = true };
#endif

#include <cmocka.h>

#include "place.h"

/* Under an emulator, where a run takes twenty times as long, some allocations fail. */
#ifdef OX_EMULATED
enum { EVERY = 50 };
#else
enum { EVERY = 1 };
#endif

typedef struct Paths {
    Map counts; /* path -> how often so far */
    Arena arena;
} Paths;

/* Counts allocations, and fails the one with the number `fail_at` and all after it; 0:
 * none.  With `branches` the process is one that branches off, see fail_each. */
typedef struct Failing {
    size_t calls, fail_at, live;
    bool branches;
    Paths *paths; /* that allocations have come by */
} Failing;

/* AddressSanitizer makes branches slow: there, the first, the second, the fourth, ... of
 * those allocations fail that come by the same innermost calls. */
#ifdef OX_SANITIZED
#include <execinfo.h>

static bool is_chosen(const Failing *f) {
    void *frames[10]; /* the innermost */
    int n = backtrace(frames, OX_COUNT(frames));
    uint64_t h = 0;
    for (int i = 0; i < n; i++)
        h = hash_mix(h, (uint64_t)(uintptr_t)frames[i]);
    Paths *p = f->paths;
    Str key = {(const char *)&h, sizeof h};
    size_t *count = map_get(&p->counts, key);
    if (!count) {
        count = ARENA_NEW(&p->arena, size_t);
        uint64_t *kept = ARENA_NEW(&p->arena, uint64_t);
        assert_true(count && kept);
        *kept = h;
        key.p = (const char *)kept;
        assert_true(map_set(&p->counts, key, count));
    }
    ++*count;
    return (*count & (*count - 1)) == 0;
}
#else
static bool is_chosen(const Failing *f) {
    return f->calls % EVERY == 0;
}
#endif

#ifdef _WIN32
static void branch_off(Failing *f) {
    (void)f;
}

static noreturn void end_branch(bool passed) {
    exit(passed ? 0 : 1);
}
#else
/* Goes on in a process of its own, in which this allocation fails, and waits for it. */
static void branch_off(Failing *f) {
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        f->fail_at = f->calls;
        return;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("allocation %zu: see above", f->calls);
}

/* Without what happens at an exit: the parent is amid its test. */
static noreturn void end_branch(bool passed) {
    fflush(NULL);
    _exit(passed ? 0 : 1);
}
#endif

static void *failing_resize(void *user, void *block, size_t old_size, size_t new_size) {
    Failing *f = user;
    (void)old_size;
    if (new_size == 0) {
        f->live -= block != NULL;
        if (!f->branches || !f->fail_at) /* else pages would be copied for nothing */
            free(block);
        return NULL;
    }
    f->calls++;
    if (f->branches && !f->fail_at && is_chosen(f))
        branch_off(f);
    if (f->fail_at && f->calls >= f->fail_at)
        return NULL;
    f->live += block == NULL;
    return realloc(block, new_size);
}

/* A fixture in a block of exactly its size. */
typedef struct Bytes {
    char *p;
    size_t n;
} Bytes;

static Bytes read_fixture(const char *name) {
    char path[1024];
    const char *folder = getenv("OX_FIXTURES");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : OX_FIXTURES, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    Bytes b = {.n = (size_t)ftell(file)};
    rewind(file);
    b.p = malloc(b.n);
    assert_non_null(b.p);
    assert_int_equal(fread(b.p, 1, b.n, file), b.n);
    fclose(file);
    return b;
}

static const OxInspectOptions json = {.size = sizeof json, .format = OX_JSON};
static const OxInspectOptions page = {.size = sizeof page, .format = OX_HTML};

/* Loads, inspects and compiles; everything a user can reach is read. */
static OxStatus run(const OxAllocator *hook, const char *bytes, size_t n) {
    static const OxOptions options = {
        .size = sizeof options, .params = OX_PARAMS_NESTED, .dump = "dce"};
    OxCompiler *c = ox_new(hook);
    if (!c)
        return OX_ERR_MEMORY;
    OxText text;
    OxStatus status = ox_load_memory(c, bytes, n, "model.onnx");
    if (status == OX_OK)
        status = ox_inspect(c, &json, &text);
    if (status == OX_OK)
        status = ox_inspect(c, NULL, &text);
    if (status == OX_OK)
        status = ox_compile(c, NULL);
    if (status == OX_OK)
        status = ox_compile(c, &options);
    if (status == OX_OK)
        status = ox_write_module(c, NOWHERE, NOWHERE, OX_SAFETENSORS, false);
    if (status == OX_OK)
        status = ox_write_weights(c, NOWHERE, OX_NPZ);
    OxText messages = ox_messages(c, true);
    if (status != OX_OK)
        assert_true(messages.size > 0);
    else
        assert_true(ox_source(c).size > 0);
    assert_int_equal(strlen(messages.data), messages.size);
    ox_free(c);
    return status;
}

/* The page, the map of lines, and a model beside itself. */
static OxStatus run_views(const OxAllocator *hook, const char *bytes, size_t n) {
    OxCompiler *c = ox_new(hook), *other = ox_new(hook);
    OxText text;
    bool equal = false;
    OxStatus status = c && other ? OX_OK : OX_ERR_MEMORY;
    if (status == OX_OK)
        status = ox_load_memory(c, bytes, n, "model.onnx");
    if (status == OX_OK)
        status = ox_load_memory(other, bytes, n, "other.onnx");
    if (status == OX_OK)
        status = ox_inspect(c, &page, &text);
    if (status == OX_OK)
        status = ox_compile(c, NULL);
    if (status == OX_OK && ox_line_map(c).size == 0)
        status = OX_ERR_MEMORY;
    if (status == OX_OK)
        status = ox_diff(c, other, NULL, &equal, &text);
    assert_true(status != OX_OK || equal);
    ox_free(c);
    ox_free(other);
    return status;
}

/* A model of one row that is given a batch: inferred several times. */
static OxStatus run_batch(const OxAllocator *hook, const char *bytes, size_t n) {
    static const char *const shapes[] = {"input=batch,4"};
    static const OxOptions options = {
        .size = sizeof options, .shapes = shapes, .shape_count = 1};
    OxCompiler *c = ox_new(hook);
    if (!c)
        return OX_ERR_MEMORY;
    OxStatus status = ox_load_memory(c, bytes, n, "model.onnx");
    if (status == OX_OK)
        status = ox_compile(c, &options);
    assert_true(status != OX_OK || ox_source(c).size > 0);
    ox_free(c);
    return status;
}

/* An input that becomes a literal; its sizes are those of other values, too. */
static OxStatus run_given(const OxAllocator *hook, const char *bytes, size_t n) {
    static const char *const values[] = {"x=[[[1, 2.5, -3e0, inf], [0, 0, 0, 0]]]"};
    static const OxOptions options = {
        .size = sizeof options, .input_values = values, .input_value_count = 1};
    OxCompiler *c = ox_new(hook);
    if (!c)
        return OX_ERR_MEMORY;
    OxStatus status = ox_load_memory(c, bytes, n, "model.onnx");
    if (status == OX_OK)
        status = ox_compile(c, &options);
    assert_true(status != OX_OK || ox_source(c).size > 0);
    ox_free(c);
    return status;
}

/* An index, which needs the file itself. */
static OxStatus run_reference(const OxAllocator *hook, const char *bytes, size_t n) {
    static const OxOptions options = {.size = sizeof options, .weights = OX_REFERENCE};
    (void)bytes, (void)n;
    OxCompiler *c = ox_new(hook);
    if (!c)
        return OX_ERR_MEMORY;
    OxStatus status = ox_load_file(c, OX_FIXTURES "/linear.onnx");
    if (status == OX_OK)
        status = ox_compile(c, &options);
    if (status == OX_OK)
        status = ox_write_module(c, NOWHERE, NOWHERE, OX_REFERENCE, false);
    ox_free(c);
    return status;
}

/* A module that imports what reads its weights. */
static OxStatus run_loader(const OxAllocator *hook, const char *bytes, size_t n) {
    static const OxOptions options = {.size = sizeof options,
                                      .loader = OX_LOADER_MODULE};
    OxCompiler *c = ox_new(hook);
    if (!c)
        return OX_ERR_MEMORY;
    OxStatus status = ox_load_memory(c, bytes, n, "model.onnx");
    if (status == OX_OK)
        status = ox_compile(c, &options);
    assert_true(status != OX_OK || ox_loader_source(c).size > 0);
    if (status == OX_OK)
        status = ox_write_module(c, NOWHERE, NOWHERE, OX_SAFETENSORS, false);
    ox_free(c);
    return status;
}

static size_t read_bytes(void *user, uint64_t offset, void *to, size_t size) {
    const char *bytes = user;
    memcpy(to, bytes + offset, size);
    return size;
}

/* Strings and small tensors are copied, others stay with the reader. */
static OxStatus run_reader(const OxAllocator *hook, const char *bytes, size_t n) {
    OxReader reader = {n, read_bytes, (void *)(uintptr_t)bytes, NULL};
    OxCompiler *c = ox_new(hook);
    if (!c)
        return OX_ERR_MEMORY;
    OxStatus status = ox_load_reader(c, &reader, NULL, "model.onnx");
    if (status == OX_OK)
        status = ox_compile(c, NULL);
    if (status == OX_OK)
        status = ox_write_module(c, NOWHERE, NOWHERE, OX_NPZ, false);
    OxText messages = ox_messages(c, true);
    assert_true(status == OX_OK || messages.size > 0);
    ox_free(c);
    return status;
}

typedef OxStatus Run(const OxAllocator *hook, const char *bytes, size_t n);

/* Allocations of a run fail.  Where processes can branch off, there is one run, from
 * which one branches off at each of them; else, a run for each. */
static bool fails_well(Run *compile, Bytes b, Failing *f) {
    OxAllocator hook = {failing_resize, f};
    OxStatus status = compile(&hook, b.p, b.n);
    bool well = f->live == 0 && status == (f->fail_at ? OX_ERR_MEMORY : OX_OK);
    if (!well)
        print_error("allocation %zu of %zu: status %d, %zu blocks left\n", f->fail_at,
                    f->calls, status, f->live);
    return well;
}

static void fail_each(Run *compile, const char *fixture) {
    Bytes b = read_fixture(fixture);
    Paths paths = {0};
    arena_init(&paths.arena, NULL);
    paths.counts.arena = &paths.arena;
    Failing all = {.branches = CAN_BRANCH, .paths = &paths};
    bool well = fails_well(compile, b, &all);
    if (all.branches && all.fail_at)
        end_branch(well);
    assert_true(well && all.calls > 100);
    for (size_t call = 1; !CAN_BRANCH && call <= all.calls; call += EVERY)
        assert_true(fails_well(compile, b, &(Failing){.fail_at = call}));
    arena_free(&paths.arena);
    free(b.p);
}

static void every_allocation_may_fail(void **state) {
    fail_each(run, *state);
}

static void every_allocation_for_a_batch_may_fail(void **state) {
    (void)state;
    fail_each(run_batch, "linear.onnx");
}

static void every_allocation_for_a_given_input_may_fail(void **state) {
    (void)state;
    fail_each(run_given, "dynamic_shapes.onnx");
}

static void every_allocation_of_a_loader_may_fail(void **state) {
    fail_each(run_loader, *state);
}

static void every_allocation_of_a_reader_may_fail(void **state) {
    fail_each(run_reader, *state);
}

static void every_allocation_for_views_may_fail(void **state) {
    fail_each(run_views, *state);
}

static void every_allocation_for_an_index_may_fail(void **state) {
    (void)state;
    fail_each(run_reference, "linear.onnx");
}

/* A model cut anywhere gives an error, or compiles where the cut took only what may be
 * absent; reads past the cut are for AddressSanitizer to find. */
static void every_truncation_is_survived(void **state) {
    Bytes b = read_fixture(*state);
    size_t errors = 0;
    for (size_t n = 0; n < b.n; n++) {
        char *cut = malloc(n ? n : 1);
        assert_non_null(cut);
        memcpy(cut, b.p, n);
        errors += run(NULL, cut, n) != OX_OK;
        free(cut);
    }
    assert_true(errors > b.n / 2);
    free(b.p);
}

static void every_damaged_byte_is_survived(void **state) {
    static const unsigned char damage[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    Bytes b = read_fixture(*state);
    for (size_t i = 0; i < b.n; i++) {
        char good = b.p[i];
        for (size_t k = 0; k < sizeof damage; k++) {
            b.p[i] = (char)damage[k];
            (void)run(NULL, b.p, b.n);
        }
        b.p[i] = good;
    }
    assert_int_equal(run(NULL, b.p, b.n), OX_OK);
    free(b.p);
}

/* The other calls: loading twice, compiling without a model, wrong options. */
static void wrong_order_of_calls(void **state) {
    (void)state;
    OxCompiler *c = ox_new(NULL);
    OxText text;
    assert_non_null(c);
    assert_int_equal(ox_compile(c, NULL), OX_ERR_USAGE);
    assert_int_equal(ox_inspect(c, &json, &text), OX_ERR_USAGE);
    assert_int_equal(ox_write_weights(c, NOWHERE, OX_NPZ), OX_ERR_USAGE);
    assert_int_equal(ox_line_map(c).size, 0);
    assert_int_equal(ox_param_count(c), 0);
    assert_null(ox_param(c, 0).data);
    assert_int_equal(ox_source(c).size, 0);
    assert_null(ox_timing(c, 0).stage);
    Bytes b = read_fixture("linear.onnx");
    assert_int_equal(ox_load_memory(c, b.p, b.n, NULL), OX_OK);
    assert_int_equal(ox_load_memory(c, b.p, b.n, NULL), OX_ERR_USAGE);
    assert_int_equal(ox_compile(c, NULL), OX_OK);
    size_t said = ox_messages(c, false).size;
    bool equal = true;
    assert_int_equal(ox_diff(c, c, NULL, &equal, &text), OX_ERR_USAGE);
    assert_false(equal);
    assert_true(ox_messages(c, false).size > said);
    ox_free(c);
    ox_free(NULL);
    free(b.p);
}

/* "test_alloc 1 4" runs the tests 1, 5, 9..., so that processes can share them. */
int main(int n_arguments, char **arguments) {
    static char mlp[] = "two_layer_mlp.onnx", attention[] = "attention.onnx",
                conv[] = "conv_bn_relu.onnx", outputs[] = "multi_output.onnx",
                layers[] = "repeated_layers.onnx", steps[] = "written_out.onnx",
                lacking[] = "optional_parts.onnx";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_allocation_may_fail, layers), /* the longest */
        cmocka_unit_test_prestate(every_allocation_may_fail, lacking),
        cmocka_unit_test_prestate(every_allocation_may_fail, attention),
        cmocka_unit_test_prestate(every_allocation_may_fail, mlp),
        cmocka_unit_test_prestate(every_allocation_may_fail, conv),
        cmocka_unit_test_prestate(every_allocation_may_fail, outputs),
        cmocka_unit_test_prestate(every_allocation_may_fail, steps),
        cmocka_unit_test_prestate(every_truncation_is_survived, mlp),
        cmocka_unit_test_prestate(every_truncation_is_survived, conv),
        cmocka_unit_test_prestate(every_damaged_byte_is_survived, mlp),
        cmocka_unit_test(every_allocation_for_a_batch_may_fail),
        cmocka_unit_test(every_allocation_for_a_given_input_may_fail),
        cmocka_unit_test_prestate(every_allocation_of_a_loader_may_fail, mlp),
        cmocka_unit_test_prestate(every_allocation_of_a_reader_may_fail, mlp),
        cmocka_unit_test_prestate(every_allocation_of_a_reader_may_fail, layers),
        cmocka_unit_test_prestate(every_allocation_for_views_may_fail, attention),
        cmocka_unit_test_prestate(every_allocation_for_views_may_fail, layers),
        cmocka_unit_test(every_allocation_for_an_index_may_fail),
        cmocka_unit_test(wrong_order_of_calls),
    };
    size_t part = 0, parts = 1, count = 0;
    if (n_arguments == 3) {
        part = strtoul(arguments[1], NULL, 10);
        parts = strtoul(arguments[2], NULL, 10);
    }
    struct CMUnitTest own[OX_COUNT(tests)];
    for (size_t i = part; i < OX_COUNT(tests) && parts > 0; i += parts)
        own[count++] = tests[i];
    if (count == 0)
        return 2;
    return _cmocka_run_group_tests("alloc", own, count, NULL, NULL);
}
