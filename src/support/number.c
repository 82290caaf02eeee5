/* What strtod takes for a point depends on the locale, so the point is left out and the
 * exponent moved. */
#include "support/number.h"

#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 40, EXPONENT_MAX = 100000 };

/* The number that follows the e, from s[i] to the end. */
static bool read_exponent(Str s, size_t i, long *exponent) {
    bool negative = i < s.n && s.p[i] == '-';
    i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
    long value = 0;
    if (i == s.n)
        return false;
    for (; i < s.n && char_is_digit(s.p[i]); i++)
        if (value < EXPONENT_MAX)
            value = value * 10 + (s.p[i] - '0');
    *exponent += negative ? -value : value;
    return i == s.n;
}

bool number_read(Str s, double *value) {
    char digits[DIGITS_MAX + 24];
    size_t n = 0, i = 0;
    long exponent = 0;
    bool point = false;
    for (; i < s.n && (char_is_digit(s.p[i]) || (s.p[i] == '.' && !point)); i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        if (n == DIGITS_MAX)
            return false;
        digits[n++] = s.p[i];
        exponent -= point;
    }
    bool has_exponent = i < s.n && (s.p[i] == 'e' || s.p[i] == 'E');
    if (n == 0 || (has_exponent ? !read_exponent(s, i + 1, &exponent) : i < s.n))
        return false;
    snprintf(digits + n, sizeof digits - n, "e%ld", exponent);
    *value = strtod(digits, NULL);
    return true;
}
