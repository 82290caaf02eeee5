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

/* Debug builds look for slips in rows and callbacks of operators, too. */
#ifdef OX_DEBUG
enum { OX_CHECKS = 1 };
#else
enum { OX_CHECKS = 0 };
#endif

/* Bytes that somebody else owns: usually the input file or an arena.  Not
 * NUL-terminated.  A zeroed Str is the empty string. */
typedef struct Str {
    const char *p;
    size_t n;
} Str;

typedef struct Strs {
    Str *items;
    size_t count, cap;
} Strs;

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
/* Takes what is before the next `end` off the text, and `end` with it; else all. */
Str str_take(Str *text, char end);
bool str_contains(Str s, Str part);
/* The part of s after the last `sep`, or all of s. */
Str str_after_last(Str s, char sep);
/* Up to the first `sep`; all of s where there is none. */
Str str_before(Str s, char sep);
/* For hash tables; another number on machines of another byte order. */
uint64_t str_hash(Str s);
/* The hash h of what came before, with x added; the order counts. */
static inline uint64_t hash_mix(uint64_t h, uint64_t x) {
    h ^= x + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    return h * 0xff51afd7ed558ccdu;
}
/* Decodes one UTF-8 code point at s[*i] and moves *i past it.  Malformed bytes give
 * U+FFFD and move by one. */
uint32_t str_utf8(Str s, size_t *i);

/* Little-endian numbers of n bytes, wherever they lie. */
static inline uint64_t load_le(const char *p, unsigned n) {
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return v;
}
static inline void store_le(char *p, uint64_t v, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        p[i] = (char)(unsigned char)(v >> (8 * i));
}

/* ASCII alone, whatever the locale says. */
static inline bool char_is_digit(char c) {
    return c >= '0' && c <= '9';
}
static inline bool char_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
/* A character of an identifier. */
static inline bool char_is_word(char c) {
    return char_is_digit(c) || char_is_letter(c) || c == '_';
}

/* false when the sum or product does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *sum) {
    return !__builtin_add_overflow(a, b, sum);
}
static inline bool size_mul(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

#endif
