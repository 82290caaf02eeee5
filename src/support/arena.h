/* Region allocator.  Everything that belongs to one model lives in one arena and dies
 * with it; a pass works in a scratch arena.
 *
 * Out of memory is sticky: arena_alloc returns NULL and `failed` stays set.  Code that
 * stores through the result checks for NULL; the driver checks `failed` after each
 * stage and turns it into OX_ERR_MEMORY, so a stage may just stop early. */
#ifndef OX_SUPPORT_ARENA_H
#define OX_SUPPORT_ARENA_H

#include "support/base.h"

typedef struct ArenaChunk ArenaChunk;

typedef struct Arena {
    OxAllocator hook;
    ArenaChunk *chunks; /* newest first */
    char *at, *end;     /* free part of the newest chunk */
    size_t total;       /* bytes taken from the hook */
    ArenaChunk *spare;  /* zeroed: the first chunk of the next scratch arena */
    bool failed;        /* an allocation was refused */
    const char *defect; /* what code of ours has asked for and must not; sticky as
                           `failed` is; NULL: nothing */
} Arena;

/* `hook` NULL means malloc. */
void arena_init(Arena *a, const OxAllocator *hook);
void arena_free(Arena *a);

/* For work in passing, by whoever writes to `owner`: most such arenas are small, and take
 * the chunk that the one before left. */
void arena_scratch_begin(Arena *scratch, Arena *owner);
/* Frees it.  Memory that was refused counts as refused to the owner. */
void arena_scratch_end(Arena *scratch, Arena *owner);

/* Sets `defect`, unless it is set. */
void arena_defect(Arena *a, const char *fmt, ...) OX_PRINTF(2, 3);

/* Zeroed, aligned for any type.  NULL when refused or when n is 0. */
void *arena_alloc(Arena *a, size_t n);
/* Zeroed array; the product is checked. */
void *arena_array(Arena *a, size_t count, size_t size);
/* Makes room for at least `need` elements in a growing array: returns the old array
 * when *cap suffices, else a copy at least twice as large, or NULL when refused (the
 * old one stays valid). */
void *arena_grow(Arena *a, void *array, size_t count, size_t *cap, size_t need,
                 size_t size);

#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_ARRAY(a, count, T) ((T *)arena_array((a), (count), sizeof(T)))

/* Copies with a NUL added; the empty string when refused. */
Str arena_str(Arena *a, Str s);
Str arena_printf(Arena *a, const char *fmt, ...) OX_PRINTF(2, 3);
Str arena_vprintf(Arena *a, const char *fmt, va_list args) OX_PRINTF(2, 0);

/* An append to a growing array {T *items; size_t count, cap;}; false when refused. */
#define ARENA_PUSH(a, list, value)                                                     \
    (((list)->items = arena_push_room((a), (list)->items, (list)->count, &(list)->cap, \
                                      sizeof *(list)->items)),                         \
     (list)->count < (list)->cap ? ((list)->items[(list)->count++] = (value), true)    \
                                 : false)
/* For ARENA_PUSH: room for one more, or the old array when refused. */
void *arena_push_room(Arena *a, void *items, size_t count, size_t *cap, size_t size);

/* Text that grows.  Refusal is sticky in the arena: later appends do nothing. */
typedef struct Text {
    Arena *arena;
    char *p;
    size_t n, cap;
} Text;

void text_str(Text *t, Str s);
void text_lit(Text *t, const char *s);
void text_char(Text *t, char c);
void text_printf(Text *t, const char *fmt, ...) OX_PRINTF(2, 3);
/* The text so far as a slice; always NUL-terminated. */
Str text_view(Text *t);

/* Hash table from Str to pointer.  Keys are borrowed.  Zero-initialise but arena. */
typedef struct Map {
    Arena *arena;
    struct MapEntry *entries;
    size_t count, cap;
    struct MapSlot *slots;
    size_t n_slots;
} Map;

void *map_get(const Map *m, Str key);
/* Room for so many keys at once, where their number is known: what grows leaves its
 * smaller forms behind in the arena.  False when refused. */
bool map_reserve(Map *m, size_t count);
/* Sets or replaces; false when refused. */
bool map_set(Map *m, Str key, void *value);

#endif
