/* Streams the parts of a model that make up its graph through SHA-256.  What is left
 * out is a list of spans of the file; exporters write them in order, so sorting is
 * rare. */
#include "parser/fingerprint.h"

#include <stdlib.h>

#include "support/sha256.h"

typedef struct Span {
    uint64_t start, end;
} Span;

typedef struct Spans {
    Span *items;
    size_t count, cap;
    bool unsorted;
} Spans;

static void leave_out(Arena *arena, Spans *spans, uint64_t start, uint64_t n) {
    if (spans->count && spans->items[spans->count - 1].start > start)
        spans->unsorted = true;
    Span span = {start, start + n};
    (void)ARENA_PUSH(arena, spans, span);
}

static void find_spans(Arena *arena, const PbGraph *g, Str bytes, Spans *spans) {
    for (size_t i = 0; i < g->nodes.count; i++) {
        Str skip = g->nodes.items[i].metadata_bytes;
        if (skip.n)
            leave_out(arena, spans, (uint64_t)(skip.p - bytes.p), skip.n);
    }
    for (size_t i = 0; i < g->initializers.count; i++) {
        const Tensor *t = &g->initializers.items[i];
        bool in_place = t->source == 0 && t->offset != OX_NO_OFFSET && !t->external;
        if (in_place && t->data.n >= FINGERPRINT_BIG)
            leave_out(arena, spans, t->offset, t->data.n);
    }
}

static int compare(const void *a, const void *b) {
    const Span *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void hash_between(Sha256 *h, Str bytes, const Spans *spans) {
    uint64_t at = 0;
    for (size_t i = 0; i < spans->count; i++) {
        const Span *s = &spans->items[i];
        if (s->start < at || s->end > bytes.n)
            continue;
        sha256_add(h, (Str){bytes.p + at, (size_t)(s->start - at)});
        at = s->end;
    }
    sha256_add(h, (Str){bytes.p + at, (size_t)(bytes.n - at)});
}

Str model_fingerprint(Arena *arena, const PbModel *model, Str bytes) {
    Arena scratch;
    arena_scratch_begin(&scratch, arena);
    Spans spans = {0};
    find_spans(&scratch, &model->graph, bytes, &spans);
    if (spans.unsorted)
        qsort(spans.items, spans.count, sizeof(Span), compare);
    Sha256 h;
    sha256_init(&h);
    hash_between(&h, bytes, &spans);
    arena_scratch_end(&scratch, arena);
    uint8_t digest[SHA256_SIZE];
    sha256_finish(&h, digest);
    char hex[FINGERPRINT_DIGITS];
    for (int i = 0; i < FINGERPRINT_DIGITS; i++)
        hex[i] = "0123456789abcdef"[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
    return arena_str(arena, (Str){hex, sizeof hex});
}
