/* A number is an array of digits of base 1e9 around a point; a double is a number with 53
 * bits, multiplied or divided by powers of two, which such an array holds exactly. */
#include "decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BASE = 1000000000,
    BASE_DIGITS = 9,
    POINT = 46,  /* limbs before the point: 64 digits and 1e345 */
    LIMBS = 190, /* and behind it: 1074 bits of a double, of 64 digits */
    STEP = 29,   /* bits at a time: 2^29 is less than the base */
    MANTISSA = 53,
    EXPONENT_MIN = -1074,
    EXPONENT_MAX = 971,
    LARGEST = 310,  /* digits before the point of any double, at least */
    SMALLEST = -330 /* and zeros behind it */
};

typedef struct Wide {
    uint32_t limb[LIMBS];
    int first, end; /* limbs outside are zero */
} Wide;

static void trim(Wide *w) {
    while (w->end > w->first && w->limb[w->end - 1] == 0)
        w->end--;
}

static void multiply(Wide *w, int bits) {
    uint64_t carry = 0;
    for (int i = w->end - 1; i >= w->first || carry; i--) {
        uint64_t x = ((uint64_t)w->limb[i] << bits) + carry;
        w->limb[i] = (uint32_t)(x % BASE);
        carry = x / BASE;
        if (i < w->first)
            w->first = i;
    }
    trim(w);
}

static void divide(Wide *w, int bits) {
    uint64_t rest = 0, mask = ((uint64_t)1 << bits) - 1;
    for (int i = w->first; i < w->end || rest; i++) {
        uint64_t x = rest * BASE + w->limb[i];
        w->limb[i] = (uint32_t)(x >> bits);
        rest = x & mask;
        if (i >= w->end)
            w->end = i + 1;
    }
    while (w->first < w->end && w->limb[w->first] == 0)
        w->first++;
}

void decimal_of(Decimal *d, double x) {
    Wide w = {.first = POINT - 2, .end = POINT};
    int exponent;
    uint64_t mantissa = (uint64_t)scalbn(frexp(x, &exponent), MANTISSA);
    exponent -= MANTISSA;
    w.limb[POINT - 2] = (uint32_t)(mantissa / BASE);
    w.limb[POINT - 1] = (uint32_t)(mantissa % BASE);
    for (int n; exponent > 0; exponent -= n)
        multiply(&w, n = exponent < STEP ? exponent : STEP);
    for (int n; exponent < 0; exponent += n)
        divide(&w, n = -exponent < STEP ? -exponent : STEP);
    d->count = 0;
    d->point = (POINT - w.first) * BASE_DIGITS;
    for (int i = w.first; i < w.end; i++) {
        uint32_t limb = w.limb[i];
        for (int k = BASE_DIGITS; k-- > 0; limb /= 10)
            d->digits[d->count + k] = (char)('0' + limb % 10);
        d->count += BASE_DIGITS;
    }
    int zeros = 0;
    while (zeros < d->count && d->digits[zeros] == '0')
        zeros++;
    d->count -= zeros;
    d->point -= zeros;
    __builtin_memmove(d->digits, d->digits + zeros, (size_t)d->count);
}

/* Whether the digits from `at` on are more than a half of the one before, or a half and
 * that one is odd. */
static bool rounds_up(const Decimal *d, int at) {
    if (d->digits[at] != '5')
        return d->digits[at] > '5';
    for (int i = at + 1; i < d->count; i++)
        if (d->digits[i] != '0')
            return true;
    return at > 0 && (d->digits[at - 1] - '0') % 2;
}

void decimal_round(Decimal *d, int keep) {
    if (keep >= d->count)
        return;
    bool up = keep >= 0 && rounds_up(d, keep);
    d->count = keep < 0 ? 0 : keep;
    if (!up)
        return;
    while (d->count > 0 && d->digits[d->count - 1] == '9')
        d->count--;
    if (d->count > 0) {
        d->digits[d->count - 1]++;
        return;
    }
    d->digits[d->count++] = '1';
    d->point++;
}

char decimal_digit(const Decimal *d, int i) {
    i += d->point - 1;
    return i >= 0 && i < d->count ? d->digits[i] : '0';
}

/* The part before the point, of two limbs. */
static uint64_t whole(const Wide *w) {
    return (uint64_t)w->limb[POINT - 2] * BASE + w->limb[POINT - 1];
}

/* Compares the part behind the point with a half. */
static int against_half(const Wide *w) {
    const uint32_t half = BASE / 2;
    if (w->limb[POINT] != half)
        return w->limb[POINT] > half ? 1 : -1;
    return w->end > POINT + 1;
}

static void place_digits(Wide *w, const char *digits, int count, int point) {
    for (int i = 0; i < count; i++) {
        int place = POINT * BASE_DIGITS - point + i;
        uint32_t digit = (uint32_t)(digits[i] - '0');
        for (int k = place % BASE_DIGITS; k < BASE_DIGITS - 1; k++)
            digit *= 10;
        w->limb[place / BASE_DIGITS] += digit;
        w->end = place / BASE_DIGITS + 1;
    }
    w->first = (POINT * BASE_DIGITS - point) / BASE_DIGITS;
    trim(w);
}

double decimal_value(const char *digits, int count, int point) {
    const uint64_t low = (uint64_t)1 << (MANTISSA - 1), high = low * 2;
    for (; count > 0 && *digits == '0'; digits++, count--)
        point--;
    if (count == 0 || point < SMALLEST)
        return 0;
    if (point > LARGEST)
        return INFINITY;
    Wide w = {{0}, POINT, POINT};
    place_digits(&w, digits, count < 64 ? count : 64, point);
    int exponent = 0;
    /* Beyond two limbs it has 60 bits: six fewer are enough. */
    for (; w.first < POINT - 2; exponent += 6)
        divide(&w, 6);
    for (; whole(&w) >= high; exponent++)
        divide(&w, 1);
    while (whole(&w) < low && exponent > EXPONENT_MIN) {
        int bits = w.first < POINT || exponent - STEP + 7 < EXPONENT_MIN ? 1 : STEP - 7;
        multiply(&w, bits);
        exponent -= bits;
    }
    uint64_t mantissa = whole(&w);
    int half = against_half(&w);
    mantissa += half > 0 || (half == 0 && mantissa % 2);
    return exponent > EXPONENT_MAX ? INFINITY : scalbn((double)mantissa, exponent);
}
