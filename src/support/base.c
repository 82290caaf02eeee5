/* Slices of bytes: comparison, search, hashing and UTF-8 decoding.
 * UTF-8 follows RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
#include "support/base.h"

int str_cmp(Str a, Str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(Str s, Str prefix) {
    return s.n >= prefix.n && str_eq((Str){s.p, prefix.n}, prefix);
}

bool str_ends(Str s, Str suffix) {
    if (s.n < suffix.n)
        return false;
    if (suffix.n == 0)
        return true;
    return memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0;
}

Str str_take(Str *text, char end) {
    const char *at = text->n ? memchr(text->p, end, text->n) : NULL;
    Str part = {text->p, at ? (size_t)(at - text->p) : text->n};
    size_t used = part.n + (at != NULL);
    *text = (Str){text->p + used, text->n - used};
    return part;
}

bool str_contains(Str s, Str part) {
    if (part.n == 0)
        return true;
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (memcmp(s.p + i, part.p, part.n) == 0)
            return true;
    return false;
}

Str str_before(Str s, char sep) {
    const char *at = s.n ? memchr(s.p, sep, s.n) : NULL;
    return at ? (Str){s.p, (size_t)(at - s.p)} : s;
}

Str str_after_last(Str s, char sep) {
    for (size_t i = s.n; i > 0; i--)
        if (s.p[i - 1] == sep)
            return (Str){s.p + i, s.n - i};
    return s;
}

/* Eight bytes at a time; the last eight may overlap those before. */
uint64_t str_hash(Str s) {
    uint64_t h = s.n, word = 0;
    for (size_t i = 0; i + sizeof word <= s.n; i += sizeof word) {
        memcpy(&word, s.p + i, sizeof word);
        h = hash_mix(h, word);
    }
    if (s.n >= sizeof word)
        memcpy(&word, s.p + s.n - sizeof word, sizeof word);
    else
        for (size_t i = 0; i < s.n; i++)
            word = word << 8 | (unsigned char)s.p[i];
    return hash_mix(h, word);
}

/* Length of the sequence that `lead` opens, and the smallest code point that may use
 * that length; 0 when no sequence opens so. */
static size_t utf8_length(unsigned char lead, uint32_t *bits, uint32_t *least) {
    if (lead < 0x80)
        return *bits = lead, *least = 0, 1;
    if (lead >= 0xC2 && lead < 0xE0)
        return *bits = lead & 0x1Fu, *least = 0x80, 2;
    if (lead >= 0xE0 && lead < 0xF0)
        return *bits = lead & 0x0Fu, *least = 0x800, 3;
    if (lead >= 0xF0 && lead < 0xF5)
        return *bits = lead & 0x07u, *least = 0x10000, 4;
    return 0;
}

uint32_t str_utf8(Str s, size_t *i) {
    const uint32_t malformed = 0xFFFD;
    size_t at = (*i)++;
    if (at >= s.n)
        return malformed;
    uint32_t code, least;
    size_t n = utf8_length((unsigned char)s.p[at], &code, &least);
    if (n == 0 || s.n - at < n)
        return malformed;
    for (size_t k = 1; k < n; k++) {
        unsigned char byte = (unsigned char)s.p[at + k];
        if ((byte & 0xC0) != 0x80)
            return malformed;
        code = code << 6 | (byte & 0x3Fu);
    }
    bool surrogate = code >= 0xD800 && code < 0xE000;
    if (code < least || code > 0x10FFFF || surrogate)
        return malformed;
    *i = at + n;
    return code;
}
