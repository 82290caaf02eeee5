/* SHA-256 as FIPS 180-4 writes it.  The input is streamed, so that the parts of a model
 * that do not count can be left out without a copy. */
#include "support/sha256.h"

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

static uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store32(uint8_t *p, uint32_t x) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(x >> (24 - 8 * i));
}

static void expand(uint32_t w[64], const uint8_t *block) {
    for (int i = 0; i < 16; i++)
        w[i] = load32(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        uint32_t s0 = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3;
        uint32_t s1 = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

/* One round; the caller renames the variables instead of moving their values. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                               \
    do {                                                                               \
        uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);                    \
        uint32_t t1 = h + s1 + (g ^ (e & (f ^ g))) + round_constants[i] + w[i];        \
        uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);                    \
        d += t1;                                                                       \
        h = t1 + s0 + ((a & b) | (c & (a | b)));                                       \
    } while (0)

static void compress_portable(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64];
    expand(w, block);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i += 8) {
        ROUND(a, b, c, d, e, f, g, h, i);
        ROUND(h, a, b, c, d, e, f, g, i + 1);
        ROUND(g, h, a, b, c, d, e, f, i + 2);
        ROUND(f, g, h, a, b, c, d, e, i + 3);
        ROUND(e, f, g, h, a, b, c, d, i + 4);
        ROUND(d, e, f, g, h, a, b, c, i + 5);
        ROUND(c, d, e, f, g, h, a, b, i + 6);
        ROUND(b, c, d, e, f, g, h, a, i + 7);
    }
    const uint32_t sum[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        state[i] += sum[i];
}

/* ---- x86 with the SHA extensions: eight times faster ------------------------------- */

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>

/* A virtual machine traps each CPUID, so they are few: processors with the SHA
 * extensions have SSE4.1. */
static bool has_hardware(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* The instructions want the state as ABEF and CDGH.  Source: Intel, "SHA Extensions". */
__attribute__((target("sha,sse4.1"))) static void
compress_hardware(uint32_t state[8], const uint8_t *block) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i *words = (__m128i *)(void *)state, w[4];
    __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
    __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
    __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
    __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xF0);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    for (int i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(
            _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i)), swap);
    for (int i = 0; i < 16; i++) { /* four rounds each */
        const void *k = &round_constants[4 * i];
        __m128i *oldest = &w[i % 4], newest = w[(i + 3) % 4];
        __m128i wk = _mm_add_epi32(*oldest, _mm_loadu_si128(k));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0E));
        __m128i next = _mm_sha256msg1_epu32(*oldest, w[(i + 1) % 4]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(newest, w[(i + 2) % 4], 4));
        *oldest = _mm_sha256msg2_epu32(next, newest);
    }
    __m128i feba = _mm_shuffle_epi32(_mm_add_epi32(abef, abef_before), 0x1B);
    __m128i dchg = _mm_shuffle_epi32(_mm_add_epi32(cdgh, cdgh_before), 0xB1);
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}
#else
static bool has_hardware(void) {
    return false;
}
#define compress_hardware compress_portable
#endif

/* ---- streaming --------------------------------------------------------------------- */

/* Asking takes as long as hashing this much without the instructions. */
enum { ASK_FROM = 1024 };

void sha256_ask(Sha256 *h) {
    h->asked = true;
    h->hardware = has_hardware();
}

static void compress(Sha256 *h, const uint8_t *block) {
    if (!h->asked && h->length >= ASK_FROM)
        sha256_ask(h);
    if (h->hardware)
        compress_hardware(h->state, block);
    else
        compress_portable(h->state, block);
}

void sha256_init(Sha256 *h) {
    *h = (Sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                            0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(Sha256 *h, Str bytes) {
    const uint8_t *p = (const uint8_t *)bytes.p;
    size_t n = bytes.n, filled = h->length % 64;
    h->length += n;
    if (filled + n < 64) {
        if (n)
            memcpy(h->block + filled, p, n);
        return;
    }
    if (filled) {
        size_t take = 64 - filled;
        memcpy(h->block + filled, p, take);
        compress(h, h->block);
        p += take, n -= take;
    }
    for (; n >= 64; p += 64, n -= 64)
        compress(h, p);
    if (n)
        memcpy(h->block, p, n);
}

void sha256_finish(Sha256 *h, uint8_t digest[SHA256_SIZE]) {
    static const char padding[64] = {(char)0x80};
    uint64_t bits = h->length * 8;
    size_t filled = h->length % 64;
    sha256_add(h, (Str){padding, filled < 56 ? 56 - filled : 120 - filled});
    uint8_t tail[8];
    store32(tail, (uint32_t)(bits >> 32));
    store32(tail + 4, (uint32_t)bits);
    sha256_add(h, (Str){(const char *)tail, sizeof tail});
    for (int i = 0; i < 8; i++)
        store32(digest + 4 * i, h->state[i]);
}
