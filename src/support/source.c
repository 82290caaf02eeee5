/* Reading through a window.  A look at a place far from the last one reads little, as
 * between two tensors there is little to see; looks in a row read twice as much each
 * time. */
#include "support/source.h"

#ifndef SOURCE_WINDOW /* tests use tiny ones */
#define SOURCE_WINDOW 65536
#define SOURCE_FIRST 1024 /* bytes read after a jump */
#define SOURCE_WHOLE 4096
#endif

const size_t source_whole = SOURCE_WHOLE;

bool read_window_init(ReadWindow *w, Arena *arena) {
    *w = (ReadWindow){.bytes = arena_alloc(arena, SOURCE_WINDOW)};
    return w->bytes;
}

Source source_of_memory(Str bytes) {
    return (Source){.size = bytes.n, .memory = bytes.n ? bytes.p : ""};
}

Source source_of_reader(const OxReader *reader, ReadWindow *window) {
    return (Source){.size = reader->size, .reader = *reader, .window = window};
}

Span source_all(const Source *s) {
    return (Span){s->memory, 0, s->size};
}

void source_fail(Source *s, uint64_t at) {
    if (!s->failed)
        s->failed_at = at;
    s->failed = true;
}

/* The caller's function may give less than it was asked for, but not nothing. */
static bool read_all(Source *s, uint64_t offset, char *to, size_t n) {
    while (n > 0) {
        size_t got = s->failed ? 0 : s->reader.read(s->reader.user, offset, to, n);
        if (got == 0 || got > n) {
            source_fail(s, offset);
            return false;
        }
        to += got;
        offset += got;
        n -= got;
    }
    return true;
}

static bool is_inside(const Source *s, uint64_t offset, uint64_t n) {
    return offset <= s->size && n <= s->size - offset;
}

/* Moves the window so that it begins at `offset` and holds at least n bytes. */
static bool move_window(Source *s, uint64_t offset, size_t n) {
    ReadWindow *w = s->window;
    bool onward = w->of == s && offset >= w->start &&
                  offset - w->start <= (uint64_t)w->filled + SOURCE_FIRST;
    size_t ahead = onward && w->ahead <= SOURCE_WINDOW / 2 ? w->ahead * 2
                   : onward                                ? SOURCE_WINDOW
                                                           : SOURCE_FIRST;
    size_t most = n > ahead ? n : ahead;
    if (most > s->size - offset)
        most = (size_t)(s->size - offset);
    w->of = NULL; /* nobody's while a read may fail */
    if (!read_all(s, offset, w->bytes, most))
        return false;
    *w = (ReadWindow){w->bytes, s, offset, most, ahead};
    return true;
}

Str source_peek(Source *s, uint64_t offset, size_t n) {
    Str none = {0};
    if (n > SOURCE_WINDOW)
        n = SOURCE_WINDOW;
    if (!is_inside(s, offset, n))
        return none;
    if (s->memory)
        return (Str){s->memory + offset, n};
    const ReadWindow *w = s->window;
    bool there = w->of == s && offset >= w->start && offset - w->start <= w->filled &&
                 n <= w->filled - (size_t)(offset - w->start);
    if (!there && !move_window(s, offset, n))
        return none;
    return (Str){w->bytes + (size_t)(offset - w->start), n};
}

bool source_read(Source *s, uint64_t offset, void *to, size_t n) {
    if (!is_inside(s, offset, n)) {
        source_fail(s, offset);
        return false;
    }
    if (!s->memory && n >= SOURCE_FIRST)
        return read_all(s, offset, to, n);
    Str bytes = n ? source_peek(s, offset, n) : (Str){0};
    if (n && bytes.n == n)
        memcpy(to, bytes.p, n);
    return bytes.n == n;
}

Str source_copy(Source *s, Arena *arena, Span span) {
    if (span.n == 0)
        return STR("");
    char *copy = span.n < SIZE_MAX ? arena_alloc(arena, (size_t)span.n) : NULL;
    if (span.n >= SIZE_MAX)
        arena->failed = true;
    bool ok = copy && source_read(s, span.at, copy, (size_t)span.n);
    return ok ? (Str){copy, (size_t)span.n} : (Str){0};
}

/* ---- paths of data files ----------------------------------------------------------- */

/* The part of a path that begins at *i, which moves behind the slash. */
static Str next_part(Str path, size_t *i) {
    size_t start = *i;
    while (*i < path.n && path.p[*i] != '/')
        ++*i;
    Str part = {path.p + start, *i - start};
    ++*i;
    return part;
}

const char *source_bad_location(Str location) {
    if (location.n == 0)
        return "its path is empty";
    if (memchr(location.p, '\0', location.n))
        return "its path holds a NUL byte";
    if (location.p[0] == '/')
        return "its path is absolute";
    for (size_t i = 0; i < location.n;)
        if (str_is(next_part(location, &i), ".."))
            return "its path holds \"..\"";
    return NULL;
}

Str source_location(Arena *arena, Str location) {
    Text t = {.arena = arena};
    for (size_t i = 0; i < location.n;) {
        Str part = next_part(location, &i);
        if (part.n == 0 || str_is(part, "."))
            continue;
        text_lit(&t, t.n ? "/" : "");
        text_str(&t, part);
    }
    return text_view(&t);
}
