/* Loading a model: from memory, or from a file with its external data beside it. */
#include "api.h"

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

/* Parses c->bytes, and finds the data of its tensors. */
static OxStatus load(OxCompiler *c, OnnxOpen open_external) {
    double start = api_clock();
    c->pb = onnx_parse(&c->arena, &c->diags, c->bytes);
    api_timing(c, "parse", start);
    if (c->pb && diag_status(&c->diags) == OX_OK) {
        PbStrings locations = {0};
        start = api_clock();
        onnx_resolve(&c->arena, &c->diags, c->pb, open_external, c, &locations);
        api_timing(c, "external", start);
#ifndef OX_NO_FILES
        c->locations = locations;
#endif
    }
    c->load_timings = c->timings.count;
    return c->loaded = diag_status(&c->diags);
}

OxStatus ox_load_memory(OxCompiler *c, const void *bytes, size_t size,
                        const char *name) {
    Str file = str_from(name ? name : "model");
    if (!claim(c, file.p, str_after_last(file, '/')))
        return OX_ERR_USAGE;
    c->bytes = (Str){size ? bytes : "", size};
#ifndef OX_NO_FILES
    FileMap map = {.bytes = c->bytes, .fd = -1};
    c->sources.borrowed = true;
    if (!ARENA_PUSH(&c->arena, &c->sources, map))
        return c->loaded = OX_ERR_MEMORY;
#endif
    return load(c, NULL);
}

#ifdef OX_NO_FILES

OxStatus ox_load_file(OxCompiler *c, const char *path) {
    if (!claim(c, path, str_after_last(str_from(path), '/')))
        return OX_ERR_USAGE;
    diag_add(&c->diags, OX0001, STR(""), STR("use ox_load_memory"),
             "this build of the library has no file access");
    return c->loaded = diag_status(&c->diags);
}

#else

void api_close_sources(OxCompiler *c) {
    Sources *s = &c->sources;
    for (size_t i = s->borrowed ? 1 : 0; i < s->count; i++)
        file_unmap(&s->items[i]);
}

/* Keeps an open map; closes it when there is no room. */
static bool keep(OxCompiler *c, FileMap *map) {
    if (ARENA_PUSH(&c->arena, &c->sources, *map))
        return true;
    file_unmap(map);
    return false;
}

/* OnnxOpen: called once for each location, in the order of Tensor.source. */
static bool open_beside(void *user, Diags *diags, Str location, Str *bytes) {
    OxCompiler *c = user;
    FileMap map;
    const char *why = NULL;
    if (!file_map_beside(&map, c->path, location, &why)) {
        diag_add(
            diags, OX0005, STR(""),
            STR("keep the data files in the folder of the model, where the exporter "
                "put them"),
            "external data \"%.*s\" cannot be read: %s", (int)location.n, location.p,
            why);
        return false;
    }
    *bytes = map.bytes;
    return keep(c, &map);
}

OxStatus ox_load_file(OxCompiler *c, const char *path) {
    bool piped = strcmp(path, "-") == 0;
    Str file = piped ? STR("") : str_after_last(str_from(path), '/');
    if (!claim(c, piped ? "<stdin>" : path, file))
        return OX_ERR_USAGE;
    double start = api_clock();
    FileMap map;
    if (!file_map(&map, path)) {
        diag_add(&c->diags, OX0001, STR(""), STR(""), "the model cannot be read: %s",
                 strerror(errno));
        return c->loaded = diag_status(&c->diags);
    }
    if (!keep(c, &map))
        return c->loaded = OX_ERR_MEMORY;
    c->path = arena_str(&c->arena, str_from(path)).p;
    c->bytes = map.bytes;
    api_timing(c, "read", start);
    return load(c, open_beside);
}

#endif
