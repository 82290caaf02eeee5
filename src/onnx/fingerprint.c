/* Streams the parts of a model that make up its graph through SHA-256.  What is left
 * out is a list of spans of the file; exporters write them in order, so sorting is
 * rare. */
#include "onnx/fingerprint.h"

#include <stdlib.h>

#include "support/sha256.h"

typedef struct Spans {
    Span *items;
    size_t count, cap;
    bool unsorted;
} Spans;

static void leave_out(Arena *arena, Spans *spans, uint64_t start, uint64_t n) {
    if (spans->count && spans->items[spans->count - 1].at > start)
        spans->unsorted = true;
    Span span = {NULL, start, n};
    (void)ARENA_PUSH(arena, spans, span);
}

static void find_spans(Arena *arena, const PbModel *model, Spans *spans) {
    const PbGraph *g = &model->graph;
    for (size_t i = 0; i < g->nodes.count; i++) {
        Span skip = g->nodes.items[i].metadata;
        if (skip.n)
            leave_out(arena, spans, skip.at, skip.n);
    }
    for (size_t i = 0; i < g->initializers.count; i++) {
        const PbTensor *pb = &g->initializers.items[i];
        const Tensor *t = &pb->t;
        if (t->source == model->source && t->size >= FINGERPRINT_BIG)
            leave_out(arena, spans, t->offset, t->size);
    }
}

static int compare(const void *a, const void *b) {
    const Span *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void hash_part(Sha256 *h, Source *source, uint64_t at, uint64_t end) {
    enum { STEP = 1 << 15 };
    if (source->memory)
        sha256_add(h, (Str){source->memory + at, (size_t)(end - at)});
    while (!source->memory && at < end && !source->failed) {
        Str part = source_peek(source, at, end - at < STEP ? (size_t)(end - at) : STEP);
        sha256_add(h, part);
        at += part.n;
    }
}

static void hash_between(Sha256 *h, Source *source, const Spans *spans) {
    uint64_t at = 0;
    for (size_t i = 0; i < spans->count; i++) {
        const Span *s = &spans->items[i];
        if (s->at < at || s->n > source->size - s->at)
            continue;
        hash_part(h, source, at, s->at);
        at = s->at + s->n;
    }
    hash_part(h, source, at, source->size);
}

Str model_fingerprint(Arena *arena, const PbModel *model) {
    Arena scratch;
    arena_scratch_begin(&scratch, arena);
    Spans spans = {0};
    find_spans(&scratch, model, &spans);
    if (spans.unsorted)
        qsort(spans.items, spans.count, sizeof(Span), compare);
    Sha256 h;
    sha256_init(&h);
    hash_between(&h, model->source, &spans);
    arena_scratch_end(&scratch, arena);
    uint8_t digest[SHA256_SIZE];
    sha256_finish(&h, digest);
    char hex[FINGERPRINT_DIGITS];
    for (int i = 0; i < FINGERPRINT_DIGITS; i++)
        hex[i] = "0123456789abcdef"[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
    return arena_str(arena, (Str){hex, sizeof hex});
}
