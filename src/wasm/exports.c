/* What JavaScript calls in the WebAssembly build, on the public header alone.  The package
 * web/compiler is the one caller, and knows the numbers and structs here by heart.
 *
 * A session is a compiler with a limit on its memory.  Everything that a session returns
 * lives until the next call with it.  Texts go in as UTF-8 with a NUL behind, in memory
 * that `allocate` gave; they come out as an OxText, two 32-bit numbers.
 *
 * Files are numbers that the host chooses.  It lends four functions, which must not call
 * back: how to read a file, how to find one beside the model, and where weights go.
 * Positions and sizes in files cross as doubles, exact up to 2^53 bytes. */
#include "oxide_xla.h"

#include <stdlib.h>

/* The functions are for JavaScript: no header has them. */
#pragma clang diagnostic ignored "-Wmissing-prototypes"

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("oxide_xla"), import_name(#name)))

typedef struct Session {
    OxCompiler *compiler;
    size_t used, limit; /* bytes of memory */
    size_t peak;
    OxText text; /* the last one that was returned */
} Session;

/* ---- what the host lends ----------------------------------------------------------- */

/* Puts bytes of a file into memory and says how many; 0 when they cannot be read. */
IMPORT(read) size_t host_read(uint32_t file, double offset, void *to, size_t size);
/* The file at `location` beside the model `file`, and its size; 0 when there is none. */
IMPORT(open)
uint32_t host_open(uint32_t file, const char *location, double *size);
/* Take the next bytes of a weights file that is sent: from memory, or from a file beside
 * the model `file`, or the model itself where `location` is NULL. */
IMPORT(write) bool host_write(uint32_t file, const void *bytes, size_t size);
IMPORT(copy)
bool host_copy(uint32_t file, const char *location, double offset, double size);

static void *as_user(uint32_t file) {
    return (void *)(uintptr_t)file;
}

static uint32_t as_file(const void *user) {
    return (uint32_t)(uintptr_t)user;
}

static size_t read_file(void *user, uint64_t offset, void *to, size_t size) {
    return host_read(as_file(user), (double)offset, to, size);
}

static OxReader reader_of(uint32_t file, double size) {
    return (OxReader){.size = (uint64_t)size, .read = read_file, .user = as_user(file)};
}

static bool open_beside(void *user, const char *location, OxReader *reader) {
    double size = 0;
    uint32_t file = host_open(as_file(user), location, &size);
    *reader = reader_of(file, size);
    return file != 0;
}

static bool write_bytes(void *user, const void *bytes, size_t size) {
    return host_write(as_file(user), bytes, size);
}

static bool copy_bytes(void *user, const char *location, uint64_t offset,
                       uint64_t size) {
    return host_copy(as_file(user), location, (double)offset, (double)size);
}

/* ---- memory ------------------------------------------------------------------------ */

EXPORT(allocate) void *allocate(size_t size) {
    return malloc(size);
}

EXPORT(release) void release(void *block) {
    free(block);
}

/* Memory that a browser has given is never given back, so it is worth a limit. */
static void *resize(void *user, void *block, size_t old_size, size_t new_size) {
    Session *s = user;
    if (new_size == 0) {
        free(block);
        s->used -= old_size;
        return NULL;
    }
    if (new_size > old_size && new_size - old_size > s->limit - s->used)
        return NULL;
    void *fresh = realloc(block, new_size);
    if (fresh)
        s->used += new_size - old_size;
    if (s->used > s->peak)
        s->peak = s->used;
    return fresh;
}

/* A session that takes at most `limit` bytes; NULL when there is no room for it. */
EXPORT(session_new) Session *session_new(size_t limit) {
    Session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->limit = limit;
    s->compiler = ox_new(&(OxAllocator){resize, s});
    if (s->compiler)
        return s;
    free(s);
    return NULL;
}

EXPORT(session_free) void session_free(Session *s) {
    ox_free(s->compiler);
    free(s);
}

/* The most bytes that it took at one time. */
EXPORT(session_peak) size_t session_peak(const Session *s) {
    return s->peak;
}

/* ---- work -------------------------------------------------------------------------- */

/* A list of texts. */
typedef struct List {
    const char *const *items;
    size_t count;
} List;

typedef struct Lists {
    List shapes, outputs, bounds, input_values;
} Lists;

/* `file` is the number of the model, by which the host also knows where to look for data
 * files and to put weights. */
EXPORT(load)
OxStatus load(Session *s, uint32_t file, double size, const char *name) {
    OxReader model = reader_of(file, size);
    OxFolder beside = {open_beside, as_user(file)};
    return ox_load_reader(s->compiler, &model, &beside, name);
}

/* `layers`, `params`, `weights` and `ranks` are the enums of the header; `loader` is one
 * more than its OxLoader, or 0 where the module has no load_params. */
EXPORT(compile)
OxStatus compile(Session *s, uint32_t layers, uint32_t params, uint32_t weights,
                 uint32_t ranks, uint32_t loader, const Lists *lists) {
    OxOptions options = {
        .size = sizeof options,
        .layers = (OxLayers)layers,
        .params = (OxParamStyle)params,
        .weights = (OxWeightFormat)weights,
        .rank_promotion = (OxRankPromotion)ranks,
        .no_load_params = !loader,
        .loader = (OxLoader)(loader ? loader - 1 : 0),
        .shapes = lists->shapes.items,
        .shape_count = lists->shapes.count,
        .outputs = lists->outputs.items,
        .output_count = lists->outputs.count,
        .bounds = lists->bounds.items,
        .bound_count = lists->bounds.count,
        .input_values = lists->input_values.items,
        .input_value_count = lists->input_values.count,
    };
    return ox_compile(s->compiler, &options);
}

/* The text is `text_found`. */
EXPORT(inspect)
OxStatus inspect(Session *s, const List *shapes) {
    OxInspectOptions options = {
        .size = sizeof options,
        .format = OX_JSON,
        .shapes = shapes->items,
        .shape_count = shapes->count,
    };
    s->text = (OxText){"", 0};
    return ox_inspect(s->compiler, &options, &s->text);
}

/* The text is `text_found`. */
EXPORT(ops) OxStatus ops(Session *s) {
    s->text = (OxText){"", 0};
    return ox_ops(s->compiler, NULL, OX_JSON, &s->text);
}

EXPORT(send_weights)
OxStatus send_weights(Session *s, uint32_t file, uint32_t format) {
    OxSink sink = {write_bytes, copy_bytes, as_user(file)};
    return ox_send_weights(s->compiler, (OxWeightFormat)format, &sink);
}

EXPORT(read_param)
OxStatus read_param(Session *s, size_t i, double offset, void *to, size_t size) {
    return ox_read_param(s->compiler, i, (uint64_t)offset, to, size);
}

/* ---- results ----------------------------------------------------------------------- */

static const OxText *give(Session *s, OxText text) {
    s->text = text;
    return &s->text;
}

EXPORT(text_found) const OxText *text_found(Session *s) {
    return &s->text;
}

EXPORT(text_source) const OxText *text_source(Session *s) {
    return give(s, ox_source(s->compiler));
}

EXPORT(text_loader) const OxText *text_loader(Session *s) {
    return give(s, ox_loader_source(s->compiler));
}

EXPORT(text_summary) const OxText *text_summary(Session *s) {
    return give(s, ox_summary(s->compiler));
}

EXPORT(text_line_map) const OxText *text_line_map(Session *s) {
    return give(s, ox_line_map(s->compiler));
}

EXPORT(text_messages) const OxText *text_messages(Session *s) {
    return give(s, ox_messages(s->compiler, false));
}

EXPORT(version) const char *version(void) {
    return ox_version();
}

EXPORT(param_count) size_t param_count(const Session *s) {
    return ox_param_count(s->compiler);
}

EXPORT(param_key) const OxText *param_key(Session *s, size_t i) {
    return give(s, ox_param(s->compiler, i).key);
}

EXPORT(param_dtype) const char *param_dtype(const Session *s, size_t i) {
    return ox_param(s->compiler, i).dtype;
}

EXPORT(param_rank) int param_rank(const Session *s, size_t i) {
    return ox_param(s->compiler, i).rank;
}

EXPORT(param_dim) double param_dim(const Session *s, size_t i, int axis) {
    return (double)ox_param(s->compiler, i).shape[axis];
}

EXPORT(param_size) double param_size(const Session *s, size_t i) {
    return (double)ox_param(s->compiler, i).nbytes;
}
