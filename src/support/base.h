/* Plain types that every layer uses: slices of bytes and overflow-checked sizes. */
#ifndef OX_SUPPORT_BASE_H
#define OX_SUPPORT_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "oxide_xla.h"

#if defined(__GNUC__)
#define OX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OX_PRINTF(fmt, args)
#endif

#define OX_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Bytes that somebody else owns: usually the input file or an arena.  Not
 * NUL-terminated.  A zeroed Str is the empty string. */
typedef struct Str {
    const char *p;
    size_t n;
} Str;

/* A Str of a string literal. */
#define STR(literal) ((Str){(literal), sizeof(literal) - 1})

static inline Str str_from(const char *text) {
    return (Str){text, text ? strlen(text) : 0};
}

static inline bool str_eq(Str a, Str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(Str a, const char *text) {
    return str_eq(a, str_from(text));
}

/* Byte order; shorter first when one is a prefix of the other. */
int str_cmp(Str a, Str b);
bool str_starts(Str s, Str prefix);
bool str_ends(Str s, Str suffix);
/* The part of s after the last `sep`, or all of s. */
Str str_after_last(Str s, char sep);
/* FNV-1a, for the hash tables. */
uint64_t str_hash(Str s);
/* Decodes one UTF-8 code point at s[*i] and moves *i past it.  Malformed bytes give
 * U+FFFD and move by one. */
uint32_t str_utf8(Str s, size_t *i);

/* false when the sum or product does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *sum) {
    return !__builtin_add_overflow(a, b, sum);
}
static inline bool size_mul(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

#endif
