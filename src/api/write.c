/* Output files: the parameters, alone or together with the source.  Everything is
 * written to temporary files first, and renamed when nothing can fail but the rename.
 */
#include "api/api.h"

#include <errno.h>
#include <stdio.h>

#include "python/seal.h"

#ifdef OX_NO_FILES

static OxStatus no_files(OxCompiler *c) {
    diag_add(&c->diags, OX0002, STR(""), STR("use ox_source and ox_send_weights"),
             "this build of the library has no file access");
    return OX_ERR_IO;
}

void ox_interrupt(OxCompiler *c) {
    (void)c;
}

OxStatus ox_write_weights(OxCompiler *c, const char *path, OxWeightFormat format) {
    (void)path, (void)format;
    return api_is_compiled(c) ? no_files(c) : OX_ERR_USAGE;
}

OxStatus ox_write_line_map(OxCompiler *c, const char *path) {
    (void)path;
    return api_is_compiled(c) ? no_files(c) : OX_ERR_USAGE;
}

OxStatus ox_write_module(OxCompiler *c, const char *source_path,
                         const char *weights_path, OxWeightFormat format, bool force) {
    (void)source_path, (void)force;
    return ox_write_weights(c, weights_path, format);
}

#else

/* A file on its way, and what goes into it. */
typedef struct Output {
    const char *path;
    uint64_t size; /* when complete */
    OutFile file;
} Output;

/* What we have mapped goes from file to file. */
static void send_segment(OxCompiler *c, const WeightSegment *s, OutFile *out) {
    const FileMap *map = s->source ? &c->inputs.items[s->source->number].map : NULL;
    if (map && map->fd >= 0)
        out_copy(out, map, s->offset, (size_t)s->size);
    else if (s->memory)
        out_write(out, s->memory, (size_t)s->size);
    else
        out_source(out, s->source, s->offset, s->size);
}

static void send_weights(OxCompiler *c, const WeightPlan *plan, OutFile *out) {
    for (size_t i = 0; i < plan->count && !out->error; i++)
        send_segment(c, &plan->items[i], out);
}

static bool is_full(int error) {
#ifdef EDQUOT
    if (error == EDQUOT)
        return true;
#endif
    return error == ENOSPC || error == EFBIG;
}

/* What to do where the disk, a quota or the file system sets the limit. */
static Str room_hint(Arena *a, const Output *o) {
    if (!is_full(o->file.error))
        return STR("");
    return arena_printf(a,
                        "the file takes %.1f MB: make room, or choose another folder "
                        "with --output; --weights none writes the module alone",
                        (double)o->size / 1e6);
}

static OxStatus cannot_write(OxCompiler *c, const Output *o) {
    if (!api_check_reads(c))
        return OX_ERR_IO;
    diag_add(&c->diags, OX0002, STR(""), room_hint(&c->arena, o),
             "\"%s\" cannot be written: %s", o->path, strerror(o->file.error));
    return o->file.error == ENOMEM ? OX_ERR_MEMORY : OX_ERR_IO;
}

/* Replacing a file that parameters lie in would lose them. */
static bool overwrites_source(OxCompiler *c, const char *path) {
    for (size_t i = 0; path && i < c->inputs.count; i++) {
        if (!file_is(&c->inputs.items[i].map, path))
            continue;
        diag_add(&c->diags, OX0003, STR(""), STR("choose another --output"),
                 "\"%s\" is a file of the model itself", path);
        return true;
    }
    return false;
}

/* What somebody has written by hand is not replaced unasked. */
static bool overwrites_work(OxCompiler *c, const char *path) {
    FileMap map;
    if (!path || strcmp(path, "-") == 0 || !file_map_regular(&map, path))
        return false;
    SealState state = seal_check(map.bytes);
    file_unmap(&map);
    if (state == SEAL_HOLDS)
        return false;
    diag_add(&c->diags, OX0006, STR(""),
             STR("--force (force=True in Python) replaces it; or choose another "
                 "--output"),
             state == SEAL_BROKEN
                 ? "\"%s\" was edited since it was generated"
                 : "\"%s\" is there already, and is no module that was generated",
             path);
    return true;
}

/* The metadata of a safetensors file, which PyTorch and save_params put first; empty when
 * it has none there.  compile writes no "format" into it. */
static Str first_metadata(Str file) {
    Str head = STR("{\"__metadata__\"");
    if (file.n < 8)
        return (Str){0};
    Str header = {file.p + 8, file.n - 8};
    const char *end = str_starts(header, head) ? memchr(header.p, '}', header.n) : NULL;
    return end ? (Str){header.p, (size_t)(end - header.p)} : (Str){0};
}

/* Weights that were trained since, or are somebody's checkpoint. */
static bool overwrites_checkpoint(OxCompiler *c, const char *path) {
    FileMap map;
    if (!path || !file_map_regular(&map, path))
        return false;
    bool kept = str_contains(first_metadata(map.bytes), STR("\"format\""));
    file_unmap(&map);
    if (kept)
        diag_add(
            &c->diags, OX0006, STR(""),
            STR("--force (force=True in Python) replaces it; --weights none writes "
                "the module alone"),
            "\"%s\" holds parameters that PyTorch or save_params wrote", path);
    return kept;
}

/* All of the files or none: each is complete on the disk before the first is renamed.
 */
static OxStatus commit(OxCompiler *c, Output *outputs, size_t n) {
    const Output *failed = NULL;
    for (size_t i = 0; i < n && !failed; i++)
        if (!out_finish(&outputs[i].file))
            failed = &outputs[i];
    for (size_t i = 0; i < n && !failed; i++) {
        if (out_commit(&outputs[i].file))
            continue;
        failed = &outputs[i];
        while (i > 0)
            file_remove(outputs[--i].path);
    }
    for (size_t i = 0; i < n && failed; i++)
        out_abort(&outputs[i].file);
    return failed ? cannot_write(c, failed) : diag_status(&c->diags);
}

/* The file that the module imports; NULL where there is none to write, since it imports
 * nothing, is itself no file in a folder, or the file is there as it should be. */
static const char *loader_beside(OxCompiler *c, const char *source) {
    Str text = c->module.loader;
    if (!source || !text.n || strcmp(source, "-") == 0 || file_is_special(source))
        return NULL;
    Str name = file_name(str_from(source));
    Str path = arena_printf(&c->arena, "%.*s%s", (int)(name.p - source), source,
                            OX_LOADER_FILE);
    FileMap map;
    if (!path.n || !file_map_regular(&map, path.p))
        return path.p;
    bool there = str_eq(map.bytes, text);
    file_unmap(&map);
    return there ? NULL : path.p;
}

static void put_text(OxCompiler *c, Output *o, const char *path, Str text) {
    o->path = path;
    o->size = text.n;
    out_open(&o->file, path);
    o->file.stop = &c->stop;
    out_write(&o->file, text.p, text.n);
}

static bool overwrites_any_work(OxCompiler *c, const char *source, const char *weights,
                                const char *loader) {
    return overwrites_work(c, source) || overwrites_checkpoint(c, weights) ||
           overwrites_work(c, loader);
}

/* Either path may be NULL. */
static OxStatus write_files(OxCompiler *c, const char *source, const char *weights,
                            OxWeightFormat format, bool force) {
    if (!api_is_compiled(c))
        return OX_ERR_USAGE;
    double start = api_clock();
    size_t timing = c->timings.count;
    WeightPlan plan = {0};
    const char *loader = loader_beside(c, source);
    api_timing(c, "write", start); /* no allocation once files are in place */
    if (c->arena.failed)
        return OX_ERR_MEMORY;
    if (overwrites_source(c, weights) || overwrites_source(c, source) ||
        overwrites_source(c, loader))
        return OX_ERR_USAGE;
    if (source && !force && overwrites_any_work(c, source, weights, loader))
        return OX_ERR_USAGE;
    if (weights && !api_plan_weights(c, weights, format, &plan)) {
        OxStatus status = diag_status(&c->diags);
        return status == OX_OK ? OX_ERR_MEMORY : status;
    }
    Output outputs[3];
    size_t n = 0;
    if (weights) {
        Output *o = &outputs[n++];
        o->path = weights;
        o->size = plan.total;
        out_open(&o->file, weights);
        o->file.stop = &c->stop;
        send_weights(c, &plan, &o->file);
    }
    if (source)
        put_text(c, &outputs[n++], source, c->module.source);
    if (loader) /* the last, since others may read it: see commit */
        put_text(c, &outputs[n++], loader, c->module.loader);
    OxStatus status = commit(c, outputs, n);
    c->timings.items[timing].seconds = api_clock() - start;
    return status;
}

OxStatus ox_write_line_map(OxCompiler *c, const char *path) {
    if (!api_is_compiled(c) || overwrites_source(c, path))
        return OX_ERR_USAGE;
    OxText map = ox_line_map(c);
    if (c->arena.failed)
        return OX_ERR_MEMORY;
    Output o;
    put_text(c, &o, path, (Str){map.data, map.size});
    return commit(c, &o, 1);
}

void ox_interrupt(OxCompiler *c) {
    if (c)
        atomic_store(&c->stop, true);
}

OxStatus ox_write_weights(OxCompiler *c, const char *path, OxWeightFormat format) {
    return write_files(c, NULL, path, format, false);
}

OxStatus ox_write_module(OxCompiler *c, const char *source_path,
                         const char *weights_path, OxWeightFormat format, bool force) {
    return write_files(c, source_path, weights_path, format, force);
}

#endif
