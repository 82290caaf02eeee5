/* Output files: the parameters, alone or together with the source.  Everything is
 * written to temporary files first, and renamed when nothing can fail but the rename.
 */
#include "api.h"

#include <errno.h>
#include <stdio.h>

#include "codegen/seal.h"

/* The results are those of ox_compile, so that must have come first. */
static bool is_compiled(OxCompiler *c) {
    if (c->compiled)
        return true;
    diag_add(&c->diags, OX0003, STR(""), STR("call ox_compile first, and check it"),
             "there is nothing to write");
    return false;
}

#ifdef OX_NO_FILES

static OxStatus no_files(OxCompiler *c) {
    diag_add(&c->diags, OX0002, STR(""), STR("use ox_source and ox_param"),
             "this build of the library has no file access");
    return OX_ERR_IO;
}

void ox_interrupt(OxCompiler *c) {
    (void)c;
}

OxStatus ox_write_weights(OxCompiler *c, const char *path, OxWeightFormat format) {
    (void)path, (void)format;
    return is_compiled(c) ? no_files(c) : OX_ERR_USAGE;
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

/* false when the format cannot hold a parameter, or memory was refused. */
static bool plan_weights(OxCompiler *c, const char *path, OxWeightFormat format,
                         WeightPlan *plan) {
    size_t n = c->module.n_params;
    WeightEntry *entries = ARENA_ARRAY(&c->arena, n, WeightEntry);
    for (size_t i = 0; entries && i < n; i++)
        entries[i] = (WeightEntry){.key = c->module.params[i].key,
                                   .tensor = c->module.params[i].tensor,
                                   .exported = c->module.exported};
    if (c->arena.failed)
        return false;
    WeightFiles files = {0};
    if (format == OX_REFERENCE && !api_refer(c, path, entries, n, &files))
        return false;
    if (format == OX_REFERENCE
            ? weights_plan_reference(&c->arena, entries, n, &files, plan)
            : weights_plan(&c->arena, entries, n, format, plan))
        return !c->arena.failed;
    if (!plan->error)
        return false;
    Str key = entries[plan->error_entry].key;
    diag_add(&c->diags, OX0003, STR(""), STR("choose another format with --weights"),
             "parameter \"%.*s\" cannot be stored: %s", (int)key.n, key.p, plan->error);
    return false;
}

static void send_weights(OxCompiler *c, const WeightPlan *plan, OutFile *out) {
    for (size_t i = 0; i < plan->count && !out->error; i++) {
        const WeightSegment *s = &plan->items[i];
        if (s->source_offset != OX_NO_OFFSET && s->source < c->sources.count)
            out_copy(out, &c->sources.items[s->source], s->source_offset, s->bytes.n);
        else
            out_write(out, s->bytes.p, s->bytes.n);
    }
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
    diag_add(&c->diags, OX0002, STR(""), room_hint(&c->arena, o),
             "\"%s\" cannot be written: %s", o->path, strerror(o->file.error));
    return o->file.error == ENOMEM ? OX_ERR_MEMORY : OX_ERR_IO;
}

/* Replacing a file that parameters lie in would lose them. */
static bool overwrites_source(OxCompiler *c, const char *path) {
    for (size_t i = 0; path && i < c->sources.count; i++) {
        if (!file_is(&c->sources.items[i], path))
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
            remove(outputs[--i].path);
    }
    for (size_t i = 0; i < n && failed; i++)
        out_abort(&outputs[i].file);
    return failed ? cannot_write(c, failed) : diag_status(&c->diags);
}

/* Either path may be NULL. */
static OxStatus write_files(OxCompiler *c, const char *source, const char *weights,
                            OxWeightFormat format, bool force) {
    if (!is_compiled(c))
        return OX_ERR_USAGE;
    double start = api_clock();
    size_t timing = c->timings.count;
    WeightPlan plan = {0};
    api_timing(c, "write", start); /* no allocation once files are in place */
    if (c->arena.failed)
        return OX_ERR_MEMORY;
    if (overwrites_source(c, weights) || overwrites_source(c, source))
        return OX_ERR_USAGE;
    if (!force && overwrites_work(c, source))
        return OX_ERR_USAGE;
    if (weights && !plan_weights(c, weights, format, &plan)) {
        OxStatus status = diag_status(&c->diags);
        return status == OX_OK ? OX_ERR_MEMORY : status;
    }
    Output outputs[2];
    size_t n = 0;
    if (weights) {
        Output *o = &outputs[n++];
        o->path = weights;
        o->size = plan.total;
        out_open(&o->file, weights);
        o->file.stop = &c->stop;
        send_weights(c, &plan, &o->file);
    }
    if (source) {
        Output *o = &outputs[n++];
        o->path = source;
        o->size = c->module.source.n;
        out_open(&o->file, source);
        o->file.stop = &c->stop;
        out_write(&o->file, c->module.source.p, c->module.source.n);
    }
    OxStatus status = commit(c, outputs, n);
    c->timings.items[timing].seconds = api_clock() - start;
    return status;
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
