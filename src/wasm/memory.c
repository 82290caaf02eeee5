/* malloc for a module whose large blocks are the chunks of arenas: few, and freed together.
 * A list of what is free in the order of addresses, of which the first that is large
 * enough is taken, is a twelfth of the code of libc's. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { ALIGN = 16, PAGE_BITS = 16 };

/* What precedes memory that is in use, and what free memory begins with. */
typedef struct Block {
    _Alignas(ALIGN) size_t size; /* with this header */
    struct Block *next;          /* that is free */
} Block;

extern char __heap_base; /* the linker's: where the data end */

static Block *first_free;
static bool started;

static uintptr_t end_of(const Block *b) {
    return (uintptr_t)b + b->size;
}

static void join(Block *b) {
    if (end_of(b) != (uintptr_t)b->next)
        return;
    b->size += b->next->size;
    b->next = b->next->next;
}

static void give_back(Block *b) {
    Block **at = &first_free, *before = NULL;
    for (; *at && *at < b; at = &before->next)
        before = *at;
    b->next = *at;
    *at = b;
    join(b);
    if (before)
        join(before);
}

static void add_memory(uintptr_t from, uintptr_t size) {
    Block *b = (Block *)from; // NOLINT: the linear memory of the module
    b->size = size;
    give_back(b);
}

/* Makes room for a block that none has room for; `last` is free, or NULL. */
static bool grow(const Block *last, size_t need) {
    uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) << PAGE_BITS;
    if (!started) {
        uintptr_t base =
            ((uintptr_t)&__heap_base + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
        started = true;
        if (end - base > sizeof(Block)) {
            add_memory(base, end - base);
            return true;
        }
    }
    size_t there = last && end_of(last) == end ? last->size : 0;
    size_t pages = ((need - there - 1) >> PAGE_BITS) + 1;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX)
        return false;
    add_memory(end, pages << PAGE_BITS);
    return true;
}

static void *take(Block **at, size_t need) {
    Block *b = *at;
    if (b->size - need <= sizeof(Block)) {
        *at = b->next;
        return b + 1;
    }
    Block *rest = (Block *)((char *)b + need);
    *rest = (Block){b->size - need, b->next};
    *at = rest;
    b->size = need;
    return b + 1;
}

void *malloc(size_t size) {
    if (size > PTRDIFF_MAX)
        return NULL;
    size_t need = (size + sizeof(Block) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    for (;;) {
        const Block *last = NULL;
        for (Block **at = &first_free; *at; at = &(*at)->next) {
            last = *at;
            if (last->size >= need)
                return take(at, need);
        }
        if (!grow(last, need))
            return NULL;
    }
}

void free(void *block) {
    if (block)
        give_back((Block *)block - 1);
}

void *calloc(size_t count, size_t size) {
    size_t bytes;
    void *block = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);
    return block ? __builtin_memset(block, 0, bytes) : NULL;
}

void *realloc(void *block, size_t size) {
    if (!block)
        return malloc(size);
    size_t old = ((Block *)block - 1)->size - sizeof(Block);
    if (size <= old)
        return block;
    void *fresh = malloc(size);
    if (!fresh)
        return NULL;
    __builtin_memcpy(fresh, block, old);
    free(block);
    return fresh;
}
