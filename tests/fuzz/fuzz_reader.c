/* Any bytes as a model that a reader gives in crumbs: what comes out is what comes out
 * when they are in memory, messages included.  With another reader, which gives up or
 * other bytes at some point, nothing worse happens than an error. */
#define SOURCE_WINDOW 64
#define SOURCE_FIRST 24
#define SOURCE_WHOLE 8
#include "support/source.c" /* replaces the library's */

#include <stdlib.h>

enum { SIZE_LIMIT = 1 << 14 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Feed {
    const uint8_t *data;
    size_t size;
    size_t calls, fails_in; /* this read and all after it fail; 0: none */
    bool changes;           /* some bytes are others the next time */
} Feed;

static void check(bool ok) {
    if (!ok)
        abort();
}

static size_t feed_read(void *user, uint64_t offset, void *to, size_t size) {
    Feed *f = user;
    check(size > 0 && offset < f->size && size <= f->size - offset);
    f->calls++;
    if (f->fails_in && f->calls >= f->fails_in)
        return 0;
    size_t n = 1 + (size_t)(offset + f->calls) % size;
    memcpy(to, f->data + offset, n);
    if (f->changes && f->calls % 7 == 0)
        ((uint8_t *)to)[n / 2] ^= (uint8_t)f->calls;
    return n;
}

/* External data is the model itself; some of it is not there. */
static bool open_feed(void *user, const char *location, OxReader *reader) {
    Feed *f = user;
    *reader = (OxReader){f->size, feed_read, f, NULL};
    return strlen(location) % 2 == 0;
}

static OxStatus load(OxCompiler *c, Feed *f, bool beside) {
    OxReader reader = {f->size, feed_read, f, NULL};
    OxFolder folder = {open_feed, f};
    return ox_load_reader(c, &reader, beside ? &folder : NULL, "fuzz.onnx");
}

static const OxInspectOptions json = {.size = sizeof json, .format = OX_JSON};

static OxStatus finish(OxCompiler *c, OxStatus status) {
    OxText text;
    if (status == OX_OK)
        status = ox_inspect(c, &json, &text);
    if (status == OX_OK)
        status = ox_compile(c, NULL);
    for (size_t i = 0; i < ox_param_count(c); i++) {
        OxParam p = ox_param(c, i);
        char *copy = malloc(p.nbytes ? (size_t)p.nbytes : 1);
        OxStatus read = ox_read_param(c, i, 0, copy, (size_t)p.nbytes);
        check(read != OX_OK || !p.data || memcmp(copy, p.data, (size_t)p.nbytes) == 0);
        free(copy);
    }
    return status;
}

static void check_same(OxText a, OxText b) {
    check(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
}

static void compare(const uint8_t *data, size_t size) {
    Feed feed = {data, size, 0, 0, false};
    OxCompiler *near = ox_new(NULL), *far = ox_new(NULL);
    check(near && far);
    OxStatus a = finish(near, ox_load_memory(near, data, size, "fuzz.onnx"));
    OxStatus b = finish(far, load(far, &feed, false));
    check(a == b);
    check_same(ox_messages(near, false), ox_messages(far, false));
    check_same(ox_source(near), ox_source(far));
    ox_free(near);
    ox_free(far);
}

static void disturb(const uint8_t *data, size_t size) {
    size_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    for (int i = 0; i < 2; i++) {
        Feed feed = {data, size, 0, i ? 1 + sum % 512 : 0, !i};
        OxCompiler *c = ox_new(NULL);
        check(c);
        OxStatus status = finish(c, load(c, &feed, true));
        check(status == OX_OK || ox_messages(c, false).size > 0);
        ox_free(c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > SIZE_LIMIT)
        return 0;
    compare(data, size);
    disturb(data, size);
    return 0;
}
