/* Names for modules of which a body reads several parameters.  Instead of
 *
 *     x = layer_norm(
 *         z * params["text_model.embeddings.word.weight"][None]
 *         + params["text_model.embeddings.position.weight"][None],
 *         params["text_model.embeddings.LayerNorm.weight"],
 *         params["text_model.embeddings.LayerNorm.bias"],
 *     )
 *
 * the file says
 *
 *     embeddings = scope(params, "text_model.embeddings")
 *     x = layer_norm(
 *         z * embeddings["word.weight"][None] + embeddings["position.weight"][None],
 *         embeddings["LayerNorm.weight"],
 *         embeddings["LayerNorm.bias"],
 *     )
 *
 * but `params["text_model.embeddings.LayerNorm..."]` where that alone is read: two reads
 * save less than the line takes.
 *
 * The names are chosen before the body is generated, from the keys that its nodes read and
 * the paths of the calls in it, the innermost modules first, and are made where the first
 * of those is. */
#include "emit/gen.h"

#include <ctype.h>
#include <stdlib.h>

enum {
    READS_MIN = 3,  /* of one module, for which a name is made */
    DEPTH_MAX = 32, /* of modules inside of modules */
    LINE_EXTRA = sizeof "     = scope(params, \"\")" - 1
};

typedef struct NamedModule {
    const Expr *name; /* NULL: not made yet */
} NamedModule;

/* The last word of the path with the numbers after it: "encoder.layers.0.1" ->
 * layers_0_1, "attention.self" -> attention */
static Str module_name(Gen *g, Str path) {
    Str self = STR(".self");
    if (str_ends(path, self))
        path.n -= self.n;
    Str around = path, name;
    do {
        name = str_after_last(around, '.');
        around.n -= name.n + (around.n > name.n);
    } while (around.n && name.n && isdigit((unsigned char)name.p[0]));
    size_t n = (size_t)(path.p + path.n - name.p);
    return gen_lower_identifier(g->arena, (Str){name.p, n}, "module");
}

void gen_forget_modules(Gen *g) {
    g->modules = (Map){.arena = g->arena};
    g->read_keys.count = 0;
}

void gen_note_key(Gen *g, Str key) {
    if (key.n)
        (void)ARENA_PUSH(g->arena, &g->read_keys, key);
}

static int by_text(const void *a, const void *b) {
    return str_cmp(*(const Str *)a, *(const Str *)b);
}

/* What follows the prefix of n bytes, up to the next dot. */
static Str component(Str key, size_t n) {
    const char *start = key.p + n, *dot = memchr(start, '.', key.n - n);
    return (Str){start, dot ? (size_t)(dot - start) : key.n - n};
}

/* The name saves more characters than its line takes; one for `model` of model.norm and
 * the like saves nothing to the eye. */
static bool pays(Str path, Str name, size_t reads) {
    size_t before = path.n + 1 + sizeof "params" - 1;
    return reads >= READS_MIN && memchr(path.p, '.', path.n) && before > name.n &&
           reads * (before - name.n) > LINE_EXTRA + name.n + path.n;
}

/* Names modules among keys, which are sorted and have the first n bytes in common; how
 * many of them have no name then. */
static size_t choose(Gen *g, const Str *keys, size_t count, size_t n, int depth) {
    size_t left = 0;
    for (size_t i = 0, end; i < count; i = end) {
        Str part = component(keys[i], n);
        size_t inside = n + part.n + 1; /* with the dot */
        bool leaf = keys[i].n < inside;
        for (end = i + 1; end < count; end++)
            if (leaf || keys[end].n < inside || keys[end].p[inside - 1] != '.' ||
                !str_eq(component(keys[end], n), part))
                break;
        left += leaf || depth == DEPTH_MAX
                    ? end - i
                    : choose(g, keys + i, end - i, inside, depth + 1);
    }
    Str path = {keys[0].p, n ? n - 1 : 0};
    Str name = n && left >= READS_MIN ? module_name(g, path) : (Str){0};
    NamedModule *m =
        name.n && pays(path, name, left) ? ARENA_NEW(g->arena, NamedModule) : NULL;
    return m && map_set(&g->modules, path, m) ? 0 : left;
}

static size_t drop_equal(Str *keys, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!kept || !str_eq(keys[kept - 1], keys[i]))
            keys[kept++] = keys[i];
    return kept;
}

void gen_choose_modules(Gen *g) {
    Str *keys = g->read_keys.items;
    if (g->read_keys.count < READS_MIN || !g->functions.count)
        return;
    qsort(keys, g->read_keys.count, sizeof *keys, by_text);
    size_t count = drop_equal(keys, g->read_keys.count);
    (void)choose(g, keys, count, 0, 0);
}

const Expr *gen_params_below(Gen *g, const Expr *params, Str path) {
    return g->options->params == OX_PARAMS_NESTED
               ? gen_subscript(g, params, path)
               : EX(g->arena, "scope($0, $1)", params, ex_str(g->arena, path));
}

/* A name is made in the body of the function, so that all of it can read it; `key` is
 * what is read now. */
static const Expr *made(Gen *g, NamedModule *m, Str path, Str key) {
    if (m->name || g->scope->up)
        return m->name;
    Str name = gen_unique_name(g, module_name(g, path));
    const Expr *params = ex_name(g->arena, STR("params"));
    gen_statement(g, &g->scope->body, &name, 1, gen_params_below(g, params, path));
    if (g->function)
        gen_use_params(g);
    gen_changes(g, &m->name, sizeof m->name);
    gen_note_named(g, (Named){.path = key});
    return m->name = ex_name(g->arena, name);
}

const Expr *gen_module_of(Gen *g, Str *key) {
    for (size_t n = key->n; n-- > 1;) {
        Str path = {key->p, n};
        NamedModule *m = key->p[n] == '.' ? map_get(&g->modules, path) : NULL;
        const Expr *x = m ? made(g, m, path, *key) : NULL;
        if (!x)
            continue;
        *key = (Str){key->p + n + 1, key->n - n - 1};
        return x;
    }
    return ex_name(g->arena, STR("params"));
}
