/* Formatted printing, for the formats that the core has and no others, and the reading of
 * numbers.  libc's pull in streams, wide characters, hexadecimal floats and the texts of all
 * errors, and tell stderr of a long double, for which every module would import functions
 * for files. */
#include "decimal.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OX_TEST_LIBC /* natively, where libc's have the names */
#define snprintf own_snprintf
#define vsnprintf own_vsnprintf
#define strtod own_strtod
int snprintf(char *to, size_t room, const char *format, ...);
int vsnprintf(char *to, size_t room, const char *format, va_list args);
double strtod(const char *s, char **end);
#endif

typedef struct Out {
    char *to;
    size_t room, n;
} Out;

/* %[0][width][.precision][l|ll|z]conversion; no precision: -1. */
typedef struct Spec {
    bool zeros;
    int width, precision;
    int longs; /* of the type: 1 is size_t, too */
    char conversion;
} Spec;

static void put(Out *o, char c) {
    if (o->n + 1 < o->room)
        o->to[o->n] = c;
    o->n++;
}

static void put_text(Out *o, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        put(o, s[i]);
}

static void put_number(Out *o, uint64_t x, bool negative, const Spec *s) {
    char digits[24];
    unsigned base = s->conversion == 'x' ? 16 : 10;
    int n = 0;
    do
        digits[n++] = "0123456789abcdef"[x % base];
    while (x /= base);
    int gap = s->width - n - negative;
    for (int i = 0; i < gap && !s->zeros; i++)
        put(o, ' ');
    if (negative)
        put(o, '-');
    for (int i = 0; i < gap && s->zeros; i++)
        put(o, '0');
    while (n > 0)
        put(o, digits[--n]);
}

/* ---- floats ------------------------------------------------------------------------ */

/* Digits from the first before the point (0) or behind (1) to `last`. */
static void put_places(Out *o, const Decimal *d, int first, int last) {
    for (int i = first; i <= last; i++) {
        put(o, decimal_digit(d, i));
        if (i == 0 && last > 0)
            put(o, '.');
    }
}

static void put_fixed(Out *o, Decimal *d, int precision) {
    put_places(o, d, d->point > 1 ? 1 - d->point : 0, precision);
}

static void put_scientific(Out *o, Decimal *d, int precision) {
    int exponent = d->count ? d->point - 1 : 0;
    d->point = 1;
    put_places(o, d, 0, precision);
    put(o, 'e');
    put(o, exponent < 0 ? '-' : '+');
    put_number(o, (uint64_t)abs(exponent), false, &(Spec){.zeros = true, .width = 2});
}

/* As many digits as it takes, and no more than the precision. */
static void put_general(Out *o, Decimal *d, int precision) {
    while (d->count > 0 && d->digits[d->count - 1] == '0')
        d->count--;
    int exponent = d->count ? d->point - 1 : 0;
    if (exponent < -4 || exponent >= precision)
        put_scientific(o, d, d->count - 1);
    else
        put_fixed(o, d, d->count - d->point > 0 && d->count ? d->count - d->point : 0);
}

static void put_float(Out *o, double x, const Spec *s) {
    int precision = s->precision < 0 ? 6 : s->precision;
    if (signbit(x) && !isnan(x))
        put(o, '-');
    if (!isfinite(x)) {
        put_text(o, isnan(x) ? "nan" : "inf", 3);
        return;
    }
    Decimal d;
    decimal_of(&d, fabs(x));
    if (s->conversion == 'f') {
        decimal_round(&d, d.point + precision);
        put_fixed(o, &d, precision);
        return;
    }
    if (s->conversion == 'e') {
        decimal_round(&d, precision + 1);
        put_scientific(o, &d, precision);
        return;
    }
    precision += precision == 0;
    decimal_round(&d, precision);
    put_general(o, &d, precision);
}

/* ---- formats ----------------------------------------------------------------------- */

static int read_count(const char **at) {
    int n = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        n = n * 10 + (**at - '0');
    return n;
}

/* Reads what follows the %. */
static Spec read_spec(const char **at, va_list *args) {
    Spec s = {.zeros = **at == '0', .precision = -1};
    s.width = read_count(at);
    if (**at == '.') {
        ++*at;
        s.precision = **at == '*' ? (++*at, va_arg(*args, int)) : read_count(at);
    }
    for (; **at == 'l' || **at == 'z'; ++*at)
        s.longs += **at == 'z' && sizeof(size_t) > sizeof(long) ? 2 : 1;
    s.conversion = *(*at)++;
    return s;
}

static int64_t signed_argument(const Spec *s, va_list *args) {
    return s->longs > 1 ? va_arg(*args, long long)
           : s->longs   ? va_arg(*args, long)
                        : va_arg(*args, int);
}

static uint64_t unsigned_argument(const Spec *s, va_list *args) {
    return s->longs > 1 ? va_arg(*args, unsigned long long)
           : s->longs   ? va_arg(*args, unsigned long)
                        : va_arg(*args, unsigned);
}

static void put_string(Out *o, const char *text, const Spec *s) {
    for (int i = 0; i != s->precision && text[i]; i++)
        put(o, text[i]);
}

static void put_argument(Out *o, const Spec *s, va_list *args) {
    int64_t x;
    switch (s->conversion) {
    case 's':
        put_string(o, va_arg(*args, const char *), s);
        return;
    case 'd':
        x = signed_argument(s, args);
        put_number(o, x < 0 ? -(uint64_t)x : (uint64_t)x, x < 0, s);
        return;
    case 'u':
    case 'x':
        put_number(o, unsigned_argument(s, args), false, s);
        return;
    case 'p': /* a key, which nobody sees */
        put_number(o, (uintptr_t)va_arg(*args, void *), false, s);
        return;
    case 'c':
        put(o, (char)va_arg(*args, int));
        return;
    case '%':
        put(o, '%');
        return;
    default:
        put_float(o, va_arg(*args, double), s);
    }
}

int vsnprintf(char *restrict to, size_t room, const char *restrict format,
              va_list given) {
    Out o = {to, room, 0};
    const char *at = format;
    va_list args;
    va_copy(args, given);
    while (*at) {
        char c = *at++;
        if (c != '%') {
            put(&o, c);
            continue;
        }
        Spec s = read_spec(&at, &args);
        put_argument(&o, &s, &args);
    }
    va_end(args);
    if (room > 0)
        to[o.n < room ? o.n : room - 1] = '\0';
    return (int)o.n;
}

int snprintf(char *restrict to, size_t room, const char *restrict format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(to, room, format, args);
    va_end(args);
    return n;
}

/* Digits, a point among them, and an exponent, all of which we have written or checked;
 * nobody asks where it ends. */
double strtod(const char *restrict s, char **restrict end) {
    char digits[64];
    int count = 0, point = 0;
    bool negative = *s == '-', behind = false;
    (void)end;
    for (s += negative; (*s >= '0' && *s <= '9') || *s == '.'; s++) {
        behind = behind || *s == '.';
        if (*s == '.')
            continue;
        if (count < (int)sizeof digits)
            digits[count++] = *s;
        point += !behind;
    }
    double x = decimal_value(digits, count, *s == 'e' ? point + atoi(s + 1) : point);
    return negative ? -x : x;
}
