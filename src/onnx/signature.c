/* Reads the text that torch.export prints of an ExportGraphSignature.
 * Source: torch/export/graph_signature.py, ExportGraphSignature.__str__. */
#include "onnx/signature.h"

#include <ctype.h>

/* The text of the signature; empty when there is none. */
static Str signature_text(const PbGraph *graph) {
    static const char key[] = "pkg.torch.export.ExportedProgram.graph_signature";
    for (size_t i = 0; i < graph->metadata.count; i++)
        if (str_is(graph->metadata.items[i].key, key))
            return graph->metadata.items[i].value;
    return (Str){0};
}

Str signature_next(Str *text, Str *kind) {
    Str before = STR(" target='");
    const char *word = text->p; /* where the last word began */
    for (; text->n >= before.n; text->p++, text->n--) {
        if (!str_starts(*text, before)) {
            word = memchr(" \n", text->p[0], 2) ? text->p + 1 : word;
            continue;
        }
        const char *start = text->p + before.n;
        const char *end = memchr(start, '\'', text->n - before.n);
        if (!end)
            break;
        *kind = (Str){word, (size_t)(text->p - word)};
        *text = (Str){end + 1, text->n - (size_t)(end + 1 - text->p)};
        return (Str){start, (size_t)(end - start)};
    }
    return (Str){0};
}

Signature signature_of(Arena *arena, const PbGraph *graph) {
    Signature s = {.targets = {.arena = arena}};
    Str text = signature_text(graph), kind, target;
    while ((target = signature_next(&text, &kind)).n)
        (void)map_set(&s.targets, target, (void *)(uintptr_t)target.p);
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

/* ---- the tensors of the module ----------------------------------------------------- */

static StateKind kind_of(Str word) {
    static const char *const words[] = {"parameter", "frozen", "buffer", "temporary"};
    for (size_t i = 0; i < OX_COUNT(words); i++)
        if (str_is(word, words[i]))
            return (StateKind)i;
    return STATE_UNKNOWN;
}

/* One line for each name, with tabs between words; a tied one ends with what is kept. */
static void read_bridge(Model *m, Str text) {
    m->of_bridge = true;
    while (text.n) {
        Str line = str_take(&text, '\n');
        Str word = str_take(&line, '\t'), name = str_take(&line, '\t');
        StateName item = {name, kind_of(word), str_is(word, "tied") ? line : (Str){0}};
        (void)ARENA_PUSH(m->arena, &m->state, item);
    }
}

static void read_signature(Model *m, Str text) {
    Str kind, target;
    while ((target = signature_next(&text, &kind)).n) {
        StateName item = {target,
                          str_is(kind, "PARAMETER") ? STATE_TRAINED
                          : str_is(kind, "BUFFER")  ? STATE_BUFFER
                                                    : STATE_UNKNOWN,
                          {0}};
        (void)ARENA_PUSH(m->arena, &m->program, item);
    }
}

void state_names(Model *m, const PbModel *pb) {
    Str lines = {0};
    for (size_t i = 0; i < pb->metadata.count; i++) {
        Entry e = pb->metadata.items[i];
        m->unoptimized |= str_is(e.key, "oxide_xla.bridge");
        if (str_is(e.key, "oxide_xla.state"))
            lines = e.value;
    }
    read_signature(m, signature_text(&pb->graph));
    if (lines.n)
        read_bridge(m, lines);
    else
        m->state = m->program;
}
