/* Loading a model: from memory, or from a file with its external data beside it. */
#include "api/api.h"

#include <errno.h>

/* One compiler holds one model. */
static bool claim(OxCompiler *c, const char *shown, Str file) {
    if (c->has_input) {
        diag_add(&c->diags, OX0003, STR(""), STR("make a new compiler for each model"),
                 "a model is already loaded");
        return false;
    }
    c->has_input = true;
    c->diags.status = OX_OK; /* calls that came too early do not count */
    c->diags.file = arena_str(&c->arena, str_from(shown));
    c->file = arena_str(&c->arena, file);
    return true;
}

/* A file that belongs to the compiler from here on; NULL when there is no room, and then
 * it is closed. */
static Source *keep(OxCompiler *c, Input input, Source source) {
    input.source = ARENA_NEW(&c->arena, Source);
    if (input.source) {
        source.number = (uint32_t)c->inputs.count;
        *input.source = source;
        if (ARENA_PUSH(&c->arena, &c->inputs, input))
            return input.source;
    }
#ifndef OX_NO_FILES
    file_unmap(&input.map);
#endif
    if (source.reader.close)
        source.reader.close(source.reader.user);
    return NULL;
}

void api_close_inputs(OxCompiler *c) {
    for (size_t i = 0; i < c->inputs.count; i++) {
        Input *input = &c->inputs.items[i];
        const OxReader *reader = &input->source->reader;
#ifndef OX_NO_FILES
        file_unmap(&input->map);
#endif
        if (reader->close)
            reader->close(reader->user);
    }
}

bool api_check_reads(OxCompiler *c) {
    for (size_t i = 0; i < c->inputs.count; i++) {
        const Input *input = &c->inputs.items[i];
        if (!input->source->failed)
            continue;
        Str where = arena_printf(&c->arena, "byte %llu",
                                 (unsigned long long)input->source->failed_at);
        Str hint = STR("the reader gave nothing, or not the same as before");
        if (i == 0)
            diag_add(&c->diags, OX0001, where, hint, "the model cannot be read");
        else
            diag_add(&c->diags, OX0005, where, hint,
                     "external data \"%.*s\" cannot be read", (int)input->location.n,
                     input->location.p);
        c->loaded = c->diags.status = OX_ERR_IO;
        return false;
    }
    return true;
}

/* Parses the first input, and finds the data of its tensors. */
static OxStatus load(OxCompiler *c, Source *model, OnnxOpen open_external) {
    if (!model)
        return c->loaded = OX_ERR_MEMORY;
    double start = api_clock();
    c->pb = onnx_parse(&c->arena, &c->diags, model);
    api_timing(c, "parse", start);
    if (c->pb && diag_status(&c->diags) == OX_OK) {
        start = api_clock();
        onnx_resolve(&c->arena, &c->diags, c->pb, open_external, c);
        api_timing(c, "external", start);
    }
    c->load_timings = c->timings.count;
    return api_check_reads(c) ? c->loaded = diag_status(&c->diags) : OX_ERR_IO;
}

static Input no_file(Str location) {
    return (Input){.location = location,
#ifndef OX_NO_FILES
                   .map = {.fd = -1}
#endif
    };
}

/* What messages call a model that is no file of ours. */
static bool claim_named(OxCompiler *c, const char *name) {
    Str file = str_from(name ? name : "model");
    return claim(c, file.p, str_after_last(file, '/'));
}

OxStatus ox_load_memory(OxCompiler *c, const void *bytes, size_t size,
                        const char *name) {
    if (!claim_named(c, name))
        return OX_ERR_USAGE;
    return load(c, keep(c, no_file(STR("")), source_of_memory((Str){bytes, size})),
                NULL);
}

/* ---- a caller's reader ------------------------------------------------------------- */

static void cannot_read(Diags *diags, Str location, const char *why) {
    diag_add(diags, OX0005, STR(""),
             STR("keep the data files in the folder of the model, where the exporter "
                 "put them"),
             "external data \"%.*s\" cannot be read: %s", (int)location.n, location.p,
             why);
}

static Source *open_reader(void *user, Diags *diags, Str location) {
    OxCompiler *c = user;
    const char *why = source_bad_location(location);
    Str path = why ? STR("") : source_location(&c->arena, location);
    OxReader reader = {0};
    if (!why && path.n == 0 && !c->arena.failed)
        why = "it is no regular file"; /* the folder itself */
    if (!why && !c->arena.failed && !c->beside.open(c->beside.user, path.p, &reader))
        why = "there is no such file";
    if (why)
        cannot_read(diags, location, why);
    if (why || c->arena.failed)
        return NULL;
    return keep(c, no_file(location), source_of_reader(&reader, &c->window));
}

OxStatus ox_load_reader(OxCompiler *c, const OxReader *model, const OxFolder *beside,
                        const char *name) {
    if (!claim_named(c, name)) {
        if (model->close)
            model->close(model->user);
        return OX_ERR_USAGE;
    }
    c->beside = beside ? *beside : (OxFolder){0};
    Source *source = keep(c, no_file(STR("")), source_of_reader(model, &c->window));
    bool ready = source && read_window_init(&c->window, &c->arena);
    return load(c, ready ? source : NULL, c->beside.open ? open_reader : NULL);
}

/* ---- files ------------------------------------------------------------------------- */

#ifdef OX_NO_FILES

OxStatus ox_load_file(OxCompiler *c, const char *path) {
    if (!claim(c, path, str_after_last(str_from(path), '/')))
        return OX_ERR_USAGE;
    diag_add(&c->diags, OX0001, STR(""), STR("use ox_load_memory or ox_load_reader"),
             "this build of the library has no file access");
    return c->loaded = diag_status(&c->diags);
}

#else

static Source *keep_map(OxCompiler *c, const FileMap *map, Str location) {
    return keep(c, (Input){.location = location, .map = *map},
                source_of_memory(map->bytes));
}

static Source *open_beside(void *user, Diags *diags, Str location) {
    OxCompiler *c = user;
    FileMap map;
    const char *why = NULL;
    if (file_map_beside(&map, c->path, location, &why))
        return keep_map(c, &map, location);
    cannot_read(diags, location, why);
    return NULL;
}

OxStatus ox_load_file(OxCompiler *c, const char *path) {
    bool piped = strcmp(path, "-") == 0;
    Str file = piped ? STR("") : file_name(str_from(path));
    if (!claim(c, piped ? "<stdin>" : path, file))
        return OX_ERR_USAGE;
    double start = api_clock();
    FileMap map;
    if (!file_map(&map, path)) {
        diag_add(&c->diags, OX0001, STR(""), STR(""), "the model cannot be read: %s",
                 strerror(errno));
        return c->loaded = diag_status(&c->diags);
    }
    Source *source = keep_map(c, &map, STR(""));
    c->path = arena_str(&c->arena, str_from(path)).p;
    api_timing(c, "read", start);
    return load(c, source, open_beside);
}

#endif
