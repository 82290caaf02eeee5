#include "graph/signature.h"

#include <ctype.h>

/* The text between `before` and the next quote, after which `rest` goes on; empty at the
 * end. */
static Str take_quoted(Str *rest, Str before) {
    for (; rest->n >= before.n; rest->p++, rest->n--) {
        if (!str_starts(*rest, before))
            continue;
        const char *start = rest->p + before.n;
        const char *end = memchr(start, '\'', rest->n - before.n);
        if (!end)
            break;
        *rest = (Str){end + 1, rest->n - (size_t)(end + 1 - rest->p)};
        return (Str){start, (size_t)(end - start)};
    }
    return (Str){0};
}

Signature signature_of(Arena *arena, const PbGraph *graph) {
    static const char key[] = "pkg.torch.export.ExportedProgram.graph_signature";
    static char listed;
    Signature s = {.targets = {.arena = arena}};
    for (size_t i = 0; i < graph->metadata.count; i++) {
        if (!str_is(graph->metadata.items[i].key, key))
            continue;
        Str rest = graph->metadata.items[i].value, target;
        while ((target = take_quoted(&rest, STR("target='"))).n)
            (void)map_set(&s.targets, target, &listed);
    }
    return s;
}

bool signature_lacks(const Signature *s, Str name) {
    /* Names with dots are made from those of parameters: "conv.weight_bias". */
    return s->targets.count && name.n && !memchr(name.p, '.', name.n) &&
           !map_get(&s->targets, name);
}

bool signature_is_created(Str name) {
    /* Source: "Creation Ops" in the documentation of torch. */
    static const Str operators[] = {
        {"arange", 6},        {"eye", 3},           {"full", 4},
        {"full_like", 9},     {"linspace", 8},      {"logspace", 8},
        {"new_full", 8},      {"new_ones", 8},      {"new_zeros", 9},
        {"ones", 4},          {"ones_like", 9},     {"scalar_tensor", 13},
        {"tril_indices", 12}, {"triu_indices", 12}, {"zeros", 5},
        {"zeros_like", 10}};
    size_t end = name.n;
    while (end > 0 && isdigit((unsigned char)name.p[end - 1]))
        end--;
    if (end < name.n && end > 0 && name.p[end - 1] == '_')
        name.n = end - 1;
    if (str_ends(name, STR("_default")))
        name.n -= sizeof "_default" - 1;
    for (size_t i = 0; i < OX_COUNT(operators); i++)
        if (str_eq(name, operators[i]))
            return true;
    return false;
}
