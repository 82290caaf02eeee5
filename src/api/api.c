/* The public API: the life of a compiler and its results.  Loading is in api_load.c,
 * the work in api_compile.c, output files in api_write.c. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "api/api.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <time.h>
#endif

const char *ox_version(void) {
    return OX_VERSION;
}

OxCompiler *ox_new(const OxAllocator *allocator) {
    Arena arena;
    arena_init(&arena, allocator);
    OxCompiler *c = arena.hook.resize(arena.hook.user, NULL, 0, sizeof *c);
    if (!c)
        return NULL;
    *c = (OxCompiler){.arena = arena};
    c->diags.arena = &c->arena;
    return c;
}

void ox_free(OxCompiler *c) {
    if (!c)
        return;
    api_close_inputs(c);
    OxAllocator hook = c->arena.hook;
    arena_free(&c->arena);
    hook.resize(hook.user, c, sizeof *c, 0);
}

OxStatus api_begin(OxCompiler *c) {
    if (!c->has_input) {
        diag_add(&c->diags, OX0003, STR(""), STR("call ox_load_file or ox_load_memory"),
                 "no model is loaded");
        return diag_status(&c->diags);
    }
    if (c->loaded != OX_OK)
        return c->loaded;
    c->diags.status = OX_OK;
    c->timings.count = c->load_timings;
    return diag_status(&c->diags);
}

/* ---- timings -----------------------------------------------------------------------
 */

double api_clock(void) {
#if defined(_WIN32)
    LARGE_INTEGER now, second;
    if (QueryPerformanceCounter(&now) && QueryPerformanceFrequency(&second))
        return (double)now.QuadPart / (double)second.QuadPart;
#elif defined(CLOCK_MONOTONIC)
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) == 0)
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
#endif
    return 0;
}

void api_timing(OxCompiler *c, const char *stage, double start) {
    OxTiming timing = {stage, api_clock() - start};
    (void)ARENA_PUSH(&c->arena, &c->timings, timing);
}

OxTiming ox_timing(const OxCompiler *c, size_t i) {
    return i < c->timings.count ? c->timings.items[i] : (OxTiming){NULL, 0};
}

/* ---- results -----------------------------------------------------------------------
 */

/* s was made by a Text, so a NUL follows it. */
static OxText as_text(Str s) {
    return s.n ? (OxText){s.p, s.n} : (OxText){"", 0};
}

OxText ox_source(const OxCompiler *c) {
    return as_text(c->compiled ? c->module.source : STR(""));
}

OxText ox_loader_source(const OxCompiler *c) {
    return as_text(c->compiled ? c->module.loader : STR(""));
}

OxText ox_line_map(OxCompiler *c) {
    if (c->compiled && !c->line_map.n) {
        Text t = {.arena = &c->arena};
        module_line_map(&c->module, &t);
        c->line_map = c->arena.failed ? STR("") : text_view(&t);
    }
    return as_text(c->compiled ? c->line_map : STR(""));
}

OxText ox_summary(const OxCompiler *c) {
    return as_text(c->compiled ? c->summary : STR(""));
}

OxText ox_dump(const OxCompiler *c) {
    return as_text(c->dump);
}

size_t ox_param_count(const OxCompiler *c) {
    return c->compiled ? c->module.n_params : 0;
}

OxParam ox_param(const OxCompiler *c, size_t i) {
    return i < ox_param_count(c) ? c->params[i] : (OxParam){.key = {"", 0}};
}

OxStatus ox_read_param(OxCompiler *c, size_t i, uint64_t offset, void *to,
                       size_t size) {
    OxStatus status = api_begin(c);
    if (status != OX_OK)
        return status;
    const Tensor *t = i < ox_param_count(c) ? c->module.params[i].tensor : NULL;
    if (!t || tensor_is_absent(t) || offset > t->size || size > t->size - offset) {
        diag_add(&c->diags, OX0003, STR(""), STR(""), "there are no such bytes");
        return diag_status(&c->diags);
    }
    (void)tensor_read(t, offset, to, size);
    return api_check_reads(c) ? OX_OK : OX_ERR_IO;
}

OxText ox_messages(OxCompiler *c, bool color) {
    /* A full arena cannot hold the text, whatever else there was to say. */
    static const char full[] = "error[OX0004]: out of memory\n";
    Text t = {.arena = &c->arena};
    diag_print(&c->diags, color, &t);
    return c->arena.failed ? (OxText){full, sizeof full - 1} : as_text(text_view(&t));
}

OxText ox_errors_doc(OxCompiler *c) {
    Text t = {.arena = &c->arena};
    diag_doc(&t);
    return as_text(text_view(&t));
}
