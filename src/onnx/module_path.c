/* Module paths out of names and metadata, each text once. */
#include "onnx/module_path.h"

/* Modules further in are known by the innermost of them alone. */
enum { ORIGIN_DEPTH_MAX = 32 };

/* A key for places; empty when memory is refused. */
static Str place_of(Origins *o, const Origin *around, Str leaf) {
    char *key = arena_array(o->arena, sizeof around + leaf.n, 1);
    if (!key)
        return (Str){0};
    memcpy(key, &around, sizeof around);
    if (leaf.n)
        memcpy(key + sizeof around, leaf.p, leaf.n);
    return (Str){key, sizeof around + leaf.n};
}

/* The module of this name in the one around. */
static const Origin *enter(Origins *o, Origin module) {
    Str place = place_of(o, module.around, module.leaf);
    Origin *known = map_get(&o->places, place);
    if (known || !place.n)
        return known;
    known = ARENA_NEW(o->arena, Origin);
    if (known && map_set(&o->places, place, known))
        *known = module;
    return known;
}

/* ---- metadata: "['', 'model', 'model.layers.0', 'silu']" --------------------------- */

/* The next string in a printed Python list; false at the end. */
static bool next_item(Str *list, Str *item) {
    size_t i = 0;
    while (i < list->n && list->p[i] != '\'' && list->p[i] != '"')
        i++;
    if (i == list->n)
        return false;
    char quote = list->p[i++];
    size_t start = i;
    while (i < list->n && list->p[i] != quote)
        i += list->p[i] == '\\' ? 2 : 1;
    if (i >= list->n)
        return false;
    *item = (Str){list->p + start, i - start};
    *list = (Str){list->p + i + 1, list->n - i - 1};
    return true;
}

/* The list without its last item, which is the operation itself. */
static Str without_last(Str list) {
    size_t n = list.n;
    while (n > 1 && !(list.p[n - 2] == ',' && list.p[n - 1] == ' '))
        n--;
    return (Str){list.p, n > 1 ? n - 2 : 0};
}

/* What torch.export notes for nodes that its own passes made: they lie in no module.
 * Source: torch/_export/passes/_node_metadata_hook.py. */
static const char no_module[] = "_empty_nn_module_stack_from_metadata_hook";

static const Origin *from_lists(Origins *o, Str paths, Str classes) {
    const Origin *around = NULL;
    int depth = 0;
    for (Str path, class; next_item(&paths, &path);) {
        if (!next_item(&classes, &class))
            class = STR("");
        if (str_is(path, no_module))
            continue;
        Str more = paths, next;
        if (++depth > ORIGIN_DEPTH_MAX && next_item(&more, &next))
            continue;
        around = enter(o, (Origin){ORIGIN_PROGRAM, path, path, class, around});
    }
    return around;
}

/* ---- names: "/encoder/layer.0/attention" ------------------------------------------- */

/* Appends a part of the name to a path whose last part was `last`.  A child of a container
 * that is called repeats its path (/blocks/blocks.0 is blocks.0), which looks like the
 * child of a list of that name. */
static void append(Text *path, Str last, Str part) {
    bool repeats =
        last.n && part.n > last.n && str_starts(part, last) && part.p[last.n] == '.';
    if (repeats)
        path->n -= last.n;
    else if (path->n)
        text_char(path, '.');
    text_str(path, part);
}

static const Origin *from_name(Origins *o, Str name) {
    Text path = {.arena = o->arena};
    OriginKind kind = name.p[0] == '/' ? ORIGIN_TRACED : ORIGIN_NAME;
    const Origin *around = NULL;
    Str last = {0};
    for (int depth = 0; name.n;) {
        const char *slash = memchr(name.p, '/', name.n);
        Str part = {name.p, slash ? (size_t)(slash - name.p) : name.n};
        size_t used = part.n + (slash != NULL);
        name = (Str){name.p + used, name.n - used};
        if (!part.n)
            continue;
        append(&path, last, part);
        last = part;
        if (++depth > ORIGIN_DEPTH_MAX && name.n)
            continue;
        around = enter(o, (Origin){kind, arena_str(o->arena, text_view(&path)), part,
                                   (Str){0}, around});
    }
    return around ? around : enter(o, (Origin){.kind = kind}); /* "/MatMul" */
}

/* ---- nodes ------------------------------------------------------------------------- */

Provenance origin_of(Origins *o, const PbNode *node, Str name) {
    enum { PATHS, CLASSES, RULE, KEYS };
    static const char *const keys[KEYS] = {
        [PATHS] = "pkg.torch.onnx.name_scopes",
        [CLASSES] = "pkg.torch.onnx.class_hierarchy",
        [RULE] = "pkg.onnxscript.rewriter.rule_name",
    };
    Str values[KEYS];
    onnx_node_metadata_get(o->arena, o->model, node, keys, KEYS, values);
    Provenance p = {.folds_norm = str_contains(values[RULE], STR("FuseBatchNorm"))};
    Str said = without_last(values[PATHS]);
    bool listed = said.n > 0;
    if (!listed)
        said = (Str){name.p, name.n - str_after_last(name, '/').n};
    if (!said.n)
        return p;
    p.origin = map_get(&o->said, said);
    if (!p.origin) {
        p.origin = listed ? from_lists(o, said, values[CLASSES]) : from_name(o, said);
        (void)map_set(&o->said, said, (void *)(uintptr_t)p.origin);
    }
    return p;
}
