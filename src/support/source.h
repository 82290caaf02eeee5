/* Files whose bytes are read when somebody asks for them.  Behind a source is a block of
 * memory (a mapped file is one), which gives slices and copies nothing, or a caller's
 * function, which reads.  Positions and sizes have 64 bits, whatever size_t has.
 *
 * A read that fails is sticky, as a refused allocation is in an arena: the source stays
 * `failed`, and whoever asked may just stop; the driver reports it after each stage. */
#ifndef OX_SUPPORT_SOURCE_H
#define OX_SUPPORT_SOURCE_H

#include "support/arena.h"

/* What was read last, of one source at a time: small reads that follow each other are
 * one. */
typedef struct ReadWindow {
    char *bytes; /* SOURCE_WINDOW of them */
    const struct Source *of;
    uint64_t start;
    size_t filled;
    size_t ahead; /* how much to read next, if that lies right behind */
} ReadWindow;

typedef struct Source {
    uint64_t size;
    const char *memory; /* all of it; NULL: `reader` reads */
    OxReader reader;
    ReadWindow *window; /* with `reader`; several sources may share it */
    uint32_t number;    /* 0: the file of the model, k: the k-th beside it */
    bool failed;        /* a read was refused, or bytes changed between two reads */
    uint64_t failed_at;
} Source;

/* Bytes of a source. */
typedef struct Span {
    const char *p; /* where they are in memory; NULL: they must be read */
    uint64_t at;   /* their position in the source */
    uint64_t n;
} Span;

/* false when memory is refused. */
bool read_window_init(ReadWindow *w, Arena *arena);
Source source_of_memory(Str bytes);
Source source_of_reader(const OxReader *reader, ReadWindow *window);

Span source_all(const Source *s);
/* Copies n bytes from `offset` on; false when they are not there or cannot be read. */
bool source_read(Source *s, uint64_t offset, void *to, size_t n);
/* The n bytes from `offset` on, or as many as SOURCE_WINDOW, without a copy; valid until
 * the next call.  Empty when they are not there or cannot be read. */
Str source_peek(Source *s, uint64_t offset, size_t n);
/* The bytes of a span that must be read, in the arena.  `p` is NULL when they cannot be
 * read or memory is refused. */
Str source_copy(Source *s, Arena *arena, Span span);
/* The bytes of any span: a slice where they are in memory. */
static inline Str source_text(Source *s, Arena *arena, Span span) {
    return span.p ? (Str){span.p, (size_t)span.n} : source_copy(s, arena, span);
}
/* Makes the source fail at a position, once. */
void source_fail(Source *s, uint64_t at);

/* What is wrong with the path of a data file before any file is looked at: it must stay
 * in the folder of the model.  NULL when fine. */
const char *source_bad_location(Str location);
/* The path without "." and empty parts. */
Str source_location(Arena *arena, Str location);

/* What is at most so large is read as a whole: messages, and tensors in them. */
extern const size_t source_whole;

#endif
