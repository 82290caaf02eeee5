/* Logarithm and exponential by their series, on pairs of doubles, after Dekker.  Each
 * product is a statement of its own, as a compiler may join it with a sum otherwise. */
#include "support/power.h"

#include <math.h>
#include <stdbool.h>

/* The sum of two doubles of which the second is less than the last bit of the first. */
typedef struct Pair {
    double high, low;
} Pair;

enum { LOG_LAST = 43, EXP_LAST = 26 }; /* powers in the series that reach 106 bits */

static const Pair LN2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};

static Pair single(double a) {
    return (Pair){a, 0};
}

/* |a| >= |b| */
static Pair ordered_sum(double a, double b) {
    double sum = a + b;
    double taken = sum - a;
    return (Pair){sum, b - taken};
}

static Pair sum(Pair a, Pair b) {
    double sum = a.high + b.high;
    double from_b = sum - a.high;
    double from_a = sum - from_b;
    double error = (a.high - from_a) + (b.high - from_b);
    return ordered_sum(sum, error + (a.low + b.low));
}

static double upper_half(double a) {
    double large = a * 134217729; /* 2^27 + 1 */
    double rest = large - a;
    return large - rest;
}

static double plus_product(double sum, double a, double b) {
    double product = a * b;
    return sum + product;
}

static Pair product(Pair a, Pair b) {
    double high = a.high * b.high;
    double a1 = upper_half(a.high), b1 = upper_half(b.high);
    double a2 = a.high - a1, b2 = b.high - b1;
    double error = plus_product(-high, a1, b1);
    error = plus_product(error, a1, b2);
    error = plus_product(error, a2, b1);
    error = plus_product(error, a2, b2);
    error = plus_product(error, a.high, b.low);
    error = plus_product(error, a.low, b.high);
    return ordered_sum(high, error);
}

static Pair quotient(Pair a, Pair b) {
    double first = a.high / b.high;
    Pair rest = sum(a, product(b, single(-first)));
    double second = rest.high / b.high;
    rest = sum(rest, product(b, single(-second)));
    return sum(ordered_sum(first, second), single(rest.high / b.high));
}

/* x = 2^k m, and log m = 2 artanh s with s = (m - 1) / (m + 1). */
static Pair logarithm(double x) {
    int k;
    double m = frexp(x, &k);
    if (m < 0.70710678) {
        m *= 2;
        k--;
    }
    Pair s = quotient(single(m - 1), sum(single(m), single(1)));
    Pair square = product(s, s), series = {0, 0};
    for (int i = LOG_LAST; i > 0; i -= 2)
        series = sum(product(series, square), quotient(single(2), single(i)));
    return sum(product(LN2, single(k)), product(s, series));
}

/* x = k log 2 + r, and e^x = 2^k e^r. */
static double exponential(Pair x) {
    double k = nearbyint(x.high / LN2.high);
    Pair r = sum(x, product(LN2, single(-k))), series = single(1);
    for (int i = EXP_LAST; i > 0; i--)
        series = sum(single(1), quotient(product(series, r), single(i)));
    return scalbn(series.high + series.low, (int)k);
}

double power(double x, double y) {
    if (y == 0 || x == 1)
        return 1;
    if (isnan(x) || isnan(y))
        return x + y;
    double size = fabs(x);
    double sign = signbit(x) && fmod(fabs(y), 2) == 1 ? -1 : 1;
    if (size == 0 || isinf(size))
        return sign * ((size == 0) == (y > 0) ? 0 : INFINITY);
    if (x < 0 && floor(y) != y)
        return (x - x) / (x - x);
    /* Beyond 2^70 it is an end for all numbers but 1, and no product overflows. */
    double times = fmin(fmax(y, -0x1p70), 0x1p70);
    Pair log = product(logarithm(size), single(times));
    if (log.high > 710)
        return sign * INFINITY;
    return log.high < -746 ? sign * 0 : sign * exponential(log);
}
