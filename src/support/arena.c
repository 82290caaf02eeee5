/* Bump allocation in chunks that grow with what is already in use, and the two
 * containers that live in an arena: growing text and a string-keyed hash table.
 * Free space is poisoned under AddressSanitizer, with a gap after each allocation, so
 * that an overrun inside a chunk is caught like one on the heap. */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#include <sys/mman.h>
#ifndef MADV_POPULATE_WRITE /* Linux 5.14; headers may be older */
#define MADV_POPULATE_WRITE 23
#endif
#endif

#include "support/arena.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
enum { GAP = 16 };
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { GAP = 0 };
#endif

/* A chunk is as large as all before it together, within these limits: few chunks for
 * large models, little waste at the end of the last. */
#ifndef ARENA_CHUNK_MIN /* a test wants every allocation to reach the hook */
#define ARENA_CHUNK_MIN (64 << 10)
#define ARENA_CHUNK_MAX (64 << 20)
#endif
enum { CHUNK_MIN = ARENA_CHUNK_MIN, CHUNK_MAX = ARENA_CHUNK_MAX };

struct ArenaChunk {
    _Alignas(max_align_t) ArenaChunk *next;
    size_t size; /* header included */
};

static void *malloc_resize(void *user, void *block, size_t old_size, size_t new_size) {
    (void)user, (void)old_size;
    if (new_size > 0)
        return realloc(block, new_size);
    free(block);
    return NULL;
}

void arena_init(Arena *a, const OxAllocator *hook) {
    *a = (Arena){.hook = hook ? *hook : (OxAllocator){malloc_resize, NULL}};
}

static void free_chunk(const Arena *a, ArenaChunk *c) {
    size_t size = c->size;
    UNPOISON(c, size);
    a->hook.resize(a->hook.user, c, size, 0);
}

void arena_free(Arena *a) {
    for (ArenaChunk *c = a->chunks; c;) {
        ArenaChunk *next = c->next;
        free_chunk(a, c);
        c = next;
    }
    if (a->spare)
        free_chunk(a, a->spare);
    *a = (Arena){.hook = a->hook};
}

static void *refuse(Arena *a) {
    a->failed = true;
    return NULL;
}

/* Bytes that an allocation of n takes up; false on overflow. */
static bool footprint(size_t n, size_t *room) {
    const size_t align = _Alignof(max_align_t);
    if (!size_add(n, align - 1 + GAP, room))
        return false;
    *room &= ~(align - 1);
    return true;
}

static char *chunk_start(ArenaChunk *c) {
    return (char *)(c + 1);
}

/* A graph of a million nodes touches a gigabyte once: with pages of 2 MiB the kernel
 * faults 500 times less often, and walks over the graph miss the TLB less.  A chunk of
 * a small model is all touched soon: asked for at once, its pages cost half. */
enum { HUGE_PAGE = 2 << 20, HUGE_MIN = 4 * HUGE_PAGE };
enum { PAGE = 4096, EAGER_MIN = 64 << 10, EAGER_MAX = 1 << 20 };

static inline void advise(char *block, size_t size, size_t page, int advice) {
#ifdef __linux__
    size_t skip = (size_t) - (uintptr_t)block % page;
    (void)madvise(block + skip, (size - skip) / page * page, advice);
#else
    (void)block, (void)size, (void)page, (void)advice;
#endif
}

static void advise_fresh(char *block, size_t size) {
    (void)block, (void)size;
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_MIN)
        advise(block, size, HUGE_PAGE, MADV_HUGEPAGE);
#endif
#ifdef MADV_POPULATE_WRITE
    if (size >= EAGER_MIN && size <= EAGER_MAX)
        advise(block, size, PAGE, MADV_POPULATE_WRITE);
#endif
}

/* Zeroed once here and never used twice, so that allocations need no clearing.  calloc
 * knows which pages are fresh from the kernel and leaves those untouched. */
static void *zeroed_block(Arena *a, size_t size) {
    if (a->hook.resize == malloc_resize) {
        void *fresh = calloc(1, size);
        if (fresh)
            advise_fresh(fresh, size);
        return fresh;
    }
    void *block = a->hook.resize(a->hook.user, NULL, 0, size);
    return block ? memset(block, 0, size) : NULL;
}

static ArenaChunk *chunk_new(Arena *a, size_t room) {
    size_t size;
    if (!size_add(room, sizeof(ArenaChunk), &size))
        return refuse(a);
    ArenaChunk *c = zeroed_block(a, size);
    if (!c)
        return refuse(a);
    c->size = size;
    a->total += size;
    POISON(c + 1, room);
    return c;
}

/* Space in a chunk of its own, behind the newest one so that its free part stays. */
static char *take_own_chunk(Arena *a, size_t room) {
    ArenaChunk *c = chunk_new(a, room);
    if (!c)
        return NULL;
    c->next = a->chunks->next;
    a->chunks->next = c;
    return chunk_start(c);
}

static char *take_new_chunk(Arena *a, size_t room) {
    size_t size = a->total < CHUNK_MIN   ? CHUNK_MIN
                  : a->total > CHUNK_MAX ? CHUNK_MAX
                                         : a->total;
    if (a->chunks && room > size / 4)
        return take_own_chunk(a, room);
    if (size < room)
        size = room;
    ArenaChunk *c = chunk_new(a, size);
    if (!c)
        return NULL;
    c->next = a->chunks;
    a->chunks = c;
    a->at = chunk_start(c) + room;
    a->end = chunk_start(c) + size;
    return chunk_start(c);
}

/* ---- scratch ----------------------------------------------------------------------- */

enum { SPARE_MAX = 256 << 10 }; /* what is larger goes back at once */

void arena_scratch_begin(Arena *scratch, Arena *owner) {
    arena_init(scratch, &owner->hook);
    ArenaChunk *c = scratch->chunks = owner->spare;
    owner->spare = NULL;
    if (!c)
        return;
    scratch->total = c->size;
    scratch->at = chunk_start(c);
    scratch->end = (char *)c + c->size;
}

/* Its newest chunk stays: mostly the largest, and one whose used part is known. */
void arena_scratch_end(Arena *scratch, Arena *owner) {
    owner->failed |= scratch->failed;
    if (scratch->defect)
        arena_defect(owner, "%s", scratch->defect);
    ArenaChunk *c = scratch->chunks;
    if (c && !owner->spare && c->size <= SPARE_MAX && scratch->at) {
        char *start = chunk_start(c);
        size_t used = (size_t)(scratch->at - start);
        scratch->chunks = c->next;
        c->next = NULL;
        UNPOISON(start, used);
        memset(start, 0, used);
        POISON(start, c->size - sizeof *c);
        owner->spare = c;
    }
    arena_free(scratch);
}

/* ---- allocation -------------------------------------------------------------------- */

void *arena_alloc(Arena *a, size_t n) {
    size_t room;
    if (n == 0 || a->failed)
        return NULL;
    if (!footprint(n, &room))
        return refuse(a);
    char *p = a->at;
    if (room <= (size_t)(a->end - a->at))
        a->at += room;
    else
        p = take_new_chunk(a, room);
    if (!p)
        return NULL;
    UNPOISON(p, n);
    return p;
}

void *arena_array(Arena *a, size_t count, size_t size) {
    size_t n;
    if (!size_mul(count, size, &n))
        return refuse(a);
    return arena_alloc(a, n);
}

/* Makes the newest allocation longer where it stands. */
static bool extend(Arena *a, char *p, size_t old_n, size_t new_n) {
    size_t old_room, new_room;
    if (!p || a->failed || !footprint(old_n, &old_room))
        return false;
    if (!a->at || p + old_room != a->at || !footprint(new_n, &new_room))
        return false;
    if (new_room - old_room > (size_t)(a->end - a->at))
        return false;
    a->at = p + new_room;
    UNPOISON(p, new_n);
    return true;
}

void *arena_grow(Arena *a, void *array, size_t count, size_t *cap, size_t need,
                 size_t size) {
    if (need <= *cap)
        return array;
    size_t want = *cap < 2 ? 2 : *cap, n;
    if (!size_mul(want, 2, &want))
        return refuse(a);
    if (want < need)
        want = need;
    if (!size_mul(want, size, &n))
        return refuse(a);
    if (!extend(a, array, *cap * size, n)) {
        void *copy = arena_alloc(a, n);
        if (!copy)
            return NULL;
        if (count)
            memcpy(copy, array, count * size);
        array = copy;
    }
    *cap = want;
    return array;
}

void *arena_push_room(Arena *a, void *items, size_t count, size_t *cap, size_t size) {
    void *room = arena_grow(a, items, count, cap, count + 1, size);
    return room ? room : items;
}

Str arena_str(Arena *a, Str s) {
    size_t n;
    char *p = size_add(s.n, 1, &n) ? arena_alloc(a, n) : refuse(a);
    if (!p)
        return STR("");
    if (s.n)
        memcpy(p, s.p, s.n);
    return (Str){p, s.n};
}

Str arena_printf(Arena *a, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    Str s = arena_vprintf(a, fmt, args);
    va_end(args);
    return s;
}

Str arena_vprintf(Arena *a, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *p = n < 0 ? refuse(a) : arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p ? (Str){p, (size_t)n} : STR("");
}

/* Room for n more bytes and the NUL; NULL when refused. */
static char *text_room(Text *t, size_t n) {
    size_t need;
    if (t->arena->failed)
        return NULL;
    if (!size_add(t->n, n, &need) || !size_add(need, 1, &need))
        return refuse(t->arena);
    char *p = arena_grow(t->arena, t->p, t->n, &t->cap, need, 1);
    if (!p)
        return NULL;
    t->p = p;
    return p + t->n;
}

void text_str(Text *t, Str s) {
    char *p = s.n ? text_room(t, s.n) : NULL;
    if (!p)
        return;
    memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    t->n += s.n;
}

void text_lit(Text *t, const char *s) {
    text_str(t, str_from(s));
}

void text_char(Text *t, char c) {
    char *p = text_room(t, 1);
    if (!p)
        return;
    p[0] = c;
    p[1] = '\0';
    t->n++;
}

void text_printf(Text *t, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *p = n < 0 ? refuse(t->arena) : text_room(t, (size_t)n);
    if (p) {
        vsnprintf(p, (size_t)n + 1, fmt, again);
        t->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

Str text_view(Text *t) {
    return t->p ? (Str){t->p, t->n} : STR("");
}

void arena_defect(Arena *a, const char *fmt, ...) {
    if (a->defect)
        return;
    va_list args;
    va_start(args, fmt);
    Str text = arena_vprintf(a, fmt, args);
    va_end(args);
    a->defect = text.n ? text.p : fmt;
}

/* Entries lie in the order in which they came, so that what was made last is near, and
 * slots of eight bytes say where: half a hash, and the entry's place.  Linear probing over
 * a power of two of slots, at most two thirds full. */
struct MapEntry {
    Str key;
    void *value;
};

struct MapSlot {
    uint32_t hash, place; /* place 0: free; else one more than the entry's */
};

/* Names that count up differ in few bits: spread them. */
static uint32_t slot_hash(Str key) {
    uint64_t h = str_hash(key);
    return (uint32_t)((h ^ h >> 32) * 0xc4ceb9fe1a85ec53u >> 32);
}

/* The slot of `key`, or the free one where it belongs. */
static struct MapSlot *map_slot(const Map *m, Str key, uint32_t hash) {
    size_t mask = m->n_slots - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct MapSlot *s = &m->slots[i];
        if (s->place == 0 ||
            (s->hash == hash && str_eq(m->entries[s->place - 1].key, key)))
            return s;
    }
}

/* Makes the slots more, which needs no look at the entries. */
static bool map_widen(Map *m, size_t n_slots) {
    struct MapSlot *slots = ARENA_ARRAY(m->arena, n_slots, struct MapSlot);
    if (!slots)
        return false;
    for (size_t i = 0; i < m->n_slots; i++) {
        if (!m->slots[i].place)
            continue;
        size_t at = m->slots[i].hash & (n_slots - 1);
        while (slots[at].place)
            at = (at + 1) & (n_slots - 1);
        slots[at] = m->slots[i];
    }
    m->slots = slots;
    m->n_slots = n_slots;
    return true;
}

bool map_reserve(Map *m, size_t count) {
    size_t n_slots = m->n_slots ? m->n_slots : 16, least;
    if (!size_add(count, count / 2, &least) || count >= UINT32_MAX)
        return refuse(m->arena) != NULL;
    while (n_slots < least)
        n_slots *= 2;
    struct MapEntry *entries =
        arena_grow(m->arena, m->entries, m->count, &m->cap, count, sizeof *entries);
    if (count && !entries)
        return false;
    m->entries = entries;
    return n_slots == m->n_slots || map_widen(m, n_slots);
}

void *map_get(const Map *m, Str key) {
    if (!m->count)
        return NULL;
    uint32_t place = map_slot(m, key, slot_hash(key))->place;
    return place ? m->entries[place - 1].value : NULL;
}

bool map_set(Map *m, Str key, void *value) {
    if (m->count >= m->n_slots - m->n_slots / 3 && !map_reserve(m, m->count + 1))
        return false;
    uint32_t hash = slot_hash(key);
    struct MapSlot *s = map_slot(m, key, hash);
    struct MapEntry entry = {key, value};
    if (s->place) {
        m->entries[s->place - 1] = entry;
        return true;
    }
    m->entries = arena_push_room(m->arena, m->entries, m->count, &m->cap, sizeof entry);
    if (m->count >= m->cap)
        return false;
    m->entries[m->count++] = entry;
    *s = (struct MapSlot){hash, (uint32_t)m->count};
    return true;
}
