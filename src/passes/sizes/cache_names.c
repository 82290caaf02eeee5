/* --cache PAST=PRESENT:N.  A * in PAST stands for any text, and one in PRESENT for the same.
 * A field of the cache is one name with other numbers, past.0.key and past.1.key; it is
 * called what is its own among the names of fields: key. */
#include "passes/sizes/step.h"

#include "support/nearest.h"

#define CACHE_SPEC_HINT                                                                \
    STR("write --cache \"past_key_values.*=present.*:512\": inputs, outputs, and the " \
        "length of a cache")

typedef struct Pattern {
    Str head, tail;
    bool any; /* there is a * between them */
} Pattern;

static void spec_error(Model *m, Str spec, Str hint, const char *fmt, ...)
    OX_PRINTF(4, 5);

static void spec_error(Model *m, Str spec, Str hint, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(m->arena, fmt, args);
    va_end(args);
    diag_add(m->diags, OX0003, (Str){0}, hint, "--cache %.*s: %.*s", (int)spec.n,
             spec.p, (int)what.n, what.p);
}

static Pattern pattern_of(Str text) {
    Pattern p = {.tail = text};
    p.head = str_take(&p.tail, '*');
    p.any = p.head.n < text.n;
    return p;
}

/* The text that * stands for in name; false when the pattern is another. */
static bool matches(const Pattern *p, Str name, Str *text) {
    *text = (Str){0};
    if (!p->any)
        return str_eq(p->head, name);
    if (name.n < p->head.n + p->tail.n || !str_starts(name, p->head) ||
        !str_ends(name, p->tail))
        return false;
    *text = (Str){name.p + p->head.n, name.n - p->head.n - p->tail.n};
    return true;
}

static Str name_with(Model *m, const Pattern *p, Str text) {
    return p->any ? arena_printf(m->arena, "%.*s%.*s%.*s", (int)p->head.n, p->head.p,
                                 (int)text.n, text.p, (int)p->tail.n, p->tail.p)
                  : p->head;
}

/* ---- fields ------------------------------------------------------------------------ */

/* The name with # for each number. */
static Str without_numbers(Model *m, Str name) {
    Text t = {.arena = m->arena};
    for (size_t i = 0; i < name.n; i++)
        if (!char_is_digit(name.p[i]))
            text_char(&t, name.p[i]);
        else if (i == 0 || !char_is_digit(name.p[i - 1]))
            text_char(&t, '#');
    return text_view(&t);
}

/* How much the names have in common in front, in whole words. */
static size_t common_head(const CacheTensors *c) {
    Str first = c->items[0].field;
    size_t n = first.n, word = 0;
    for (size_t i = 1; i < c->count; i++) {
        Str s = c->items[i].field;
        size_t k = 0;
        while (k < n && k < s.n && s.p[k] == first.p[k])
            k++;
        n = k;
    }
    for (size_t k = 0; k < n; k++)
        word = char_is_letter(first.p[k]) ? word : k + 1;
    return word;
}

static size_t common_tail(const CacheTensors *c, size_t head) {
    Str first = c->items[0].field;
    size_t n = first.n - head, word = 0;
    for (size_t i = 1; i < c->count; i++) {
        Str s = c->items[i].field;
        size_t k = 0;
        while (k < n && k < s.n - head && s.p[s.n - 1 - k] == first.p[first.n - 1 - k])
            k++;
        n = k;
    }
    for (size_t k = 0; k < n; k++)
        word = char_is_letter(first.p[first.n - 1 - k]) ? word : k + 1;
    return word;
}

static void name_fields(Model *m, CacheTensors *c) {
    for (size_t i = 0; i < c->count; i++)
        c->items[i].field = without_numbers(m, c->items[i].past->name);
    size_t head = common_head(c), tail = common_tail(c, head);
    for (size_t i = 0; i < c->count; i++) {
        Str *f = &c->items[i].field;
        *f = f->n > head + tail ? (Str){f->p + head, f->n - head - tail} : STR("past");
    }
}

/* ---- the option -------------------------------------------------------------------- */

static size_t output_named(const Graph *g, Str name) {
    size_t i = 0;
    while (i < g->n_outputs && !str_eq(g->output_names[i], name))
        i++;
    return i;
}

/* The input and its output become part of the cache; false when there is no such output. */
static bool add_tensor(Model *m, Str spec, CacheTensors *c, Value *past, Str name) {
    CacheTensor t = {.past = past, .present = output_named(m->graph, name)};
    if (t.present < m->graph->n_outputs)
        return ARENA_PUSH(m->arena, c, t);
    Nearest nearest = {.wanted = name};
    for (size_t i = 0; i < m->graph->n_outputs; i++)
        nearest_offer(&nearest, m->graph->output_names[i]);
    Str best = nearest.best, hint = {0};
    if (best.n)
        hint = arena_printf(m->arena, "did you mean \"%.*s\"?", (int)best.n, best.p);
    spec_error(m, spec, hint, "the model has no output \"%.*s\"", (int)name.n, name.p);
    return false;
}

/* N behind the last colon; 0 unless it is a number from 1 to INT32_MAX. */
static int64_t take_length(Str *spec) {
    int64_t value = 0;
    Str digits = str_after_last(*spec, ':');
    if (digits.n == 0 || digits.n == spec->n)
        return 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (!char_is_digit(digits.p[i]))
            return 0;
        value = value * 10 + (digits.p[i] - '0');
        if (value > INT32_MAX)
            return 0;
    }
    spec->n -= digits.n + 1;
    return value;
}

bool cache_tensors(Model *m, Str spec, CacheTensors *cache) {
    Str rest = spec, text;
    *cache = (CacheTensors){.length = take_length(&rest)};
    Pattern past = pattern_of(str_take(&rest, '=')), present = pattern_of(rest);
    if (!cache->length || !past.head.n || !rest.n || past.any != present.any) {
        spec_error(m, spec, CACHE_SPEC_HINT, "it is not of the form PAST=PRESENT:N");
        return false;
    }
    for (size_t i = 0; i < m->graph->n_inputs; i++)
        if (matches(&past, m->graph->inputs[i]->name, &text) &&
            !add_tensor(m, spec, cache, m->graph->inputs[i],
                        name_with(m, &present, text)))
            return false;
    if (!cache->count) {
        spec_error(m, spec, CACHE_SPEC_HINT, "no input has such a name");
        return false;
    }
    name_fields(m, cache);
    return true;
}
