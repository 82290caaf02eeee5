/* Parameters that stay in the files of the model, for an index that says where.  Those
 * that no file holds as they are (decoded fields, results of passes) are copied. */
#include "api/api.h"

#include <errno.h>
#include <stdlib.h>

#include "weights/crc.h"

bool api_can_refer(OxCompiler *c) {
#ifndef OX_NO_FILES
    if (c->path && strcmp(c->path, "-") != 0 && c->inputs.items[0].map.fd >= 0)
        return true;
#endif
    diag_add(&c->diags, OX0003, STR(""),
             STR("give the path of the model, or use --weights safetensors"),
             "--weights reference needs a model in a file, which the index refers to");
    return false;
}

#ifndef OX_NO_FILES

/* What is known of one source, and whether it is in the list of files yet. */
typedef struct Referrer {
    OxCompiler *c;
    Str folder;              /* of the index */
    const WeightFile **used; /* by source */
    WeightFiles *files;
} Referrer;

static bool is_utf8(Str s) {
    for (size_t i = 0, next = 0; i < s.n; i = next)
        if (str_utf8(s, &next) == 0xFFFD && next == i + 1)
            return false;
    return true;
}

static Str location_of(const OxCompiler *c, uint32_t source) {
    return source == 0 ? file_name(str_from(c->path))
                       : c->inputs.items[source].location;
}

/* The path of a source from the index; empty after a message. */
static Str relative_path(const Referrer *r, uint32_t source) {
    OxCompiler *c = r->c;
    Str location = location_of(c, source);
    char *real = file_real_beside(&c->inputs.items[source].map, c->path, location);
    Text t = {.arena = &c->arena};
    if (!real) {
        diag_add(&c->diags, OX0001, STR(""), STR("compile again"),
                 "\"%.*s\" is no longer the file that was read: %s", (int)location.n,
                 location.p, strerror(errno));
        return STR("");
    }
    bool reached = file_relative(&t, r->folder, str_from(real));
    free(real);
    if (!reached) {
        diag_add(&c->diags, OX0003, STR(""),
                 STR("choose another --output, or --weights safetensors"),
                 "an index cannot refer to \"%.*s\", which is on another drive",
                 (int)location.n, location.p);
        return STR("");
    }
    if (is_utf8(text_view(&t)))
        return text_view(&t);
    diag_add(&c->diags, OX0003, STR(""), STR("rename it, or use --weights safetensors"),
             "an index cannot refer to \"%.*s\": the name is not UTF-8", (int)t.n, t.p);
    return STR("");
}

/* The entry of a source in the list of files; NULL after a message. */
static const WeightFile *file_of(Referrer *r, uint32_t source) {
    if (r->used[source])
        return r->used[source];
    Str path = relative_path(r, source);
    if (!path.n)
        return NULL;
    WeightFile *file = &r->files->items[r->files->count++];
    *file = (WeightFile){path, r->c->inputs.items[source].source->size};
    return r->used[source] = file;
}

static bool refer(Referrer *r, WeightEntry *entries, size_t n) {
    Crc crc;
    crc_init(&crc);
    for (size_t i = 0; i < n; i++) {
        const Tensor *t = entries[i].tensor;
        if (!t->source || t->size == 0)
            continue;
        entries[i].file = file_of(r, t->source->number);
        if (!entries[i].file)
            return false;
        const FileMap *map = &r->c->inputs.items[t->source->number].map;
        Str data = {t->memory, (size_t)t->size};
        file_begin_sample(map, data);
        entries[i].sample = crc_sample(&crc, data);
        file_end_sample(map, data);
    }
    return true;
}

bool api_refer(OxCompiler *c, const char *index, WeightEntry *entries, size_t n,
               WeightFiles *files) {
    if (!api_can_refer(c))
        return false;
    char *folder = strcmp(index, "-") == 0 ? NULL : file_out_folder(index);
    if (!folder) {
        diag_add(&c->diags, OX0002, STR(""), STR("an index needs a folder to lie in"),
                 "\"%s\" cannot be written: %s", index,
                 strcmp(index, "-") == 0 ? "it is standard output" : strerror(errno));
        return false;
    }
    size_t sources = c->inputs.count;
    files->items = ARENA_ARRAY(&c->arena, sources, WeightFile);
    Referrer r = {c, str_from(folder),
                  ARENA_ARRAY(&c->arena, sources, const WeightFile *), files};
    bool ok = files->items && r.used && refer(&r, entries, n);
    free(folder);
    return ok && !c->arena.failed;
}

#endif
