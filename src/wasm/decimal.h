/* Numbers as decimal digits and back, exactly: to the nearest, and to even in the middle. */
#ifndef OX_WASM_DECIMAL_H
#define OX_WASM_DECIMAL_H

#include <stddef.h>

/* Room for all digits that a double has. */
enum { DECIMAL_MAX = 1500 };

typedef struct Decimal {
    char digits[DECIMAL_MAX]; /* without leading zeros; none: it is zero */
    int count;
    int point; /* how many of them lie before the point; may be negative */
} Decimal;

/* All digits of x, which is finite and not negative. */
void decimal_of(Decimal *d, double x);
/* Leaves `keep` digits, which may be none, and the zeros that they lack away. */
void decimal_round(Decimal *d, int keep);
/* The digit i places behind the first before the point: '0' where there is none. */
char decimal_digit(const Decimal *d, int i);
/* The double next to the digits, of which more than 64 are not looked at. */
double decimal_value(const char *digits, int count, int point);

#endif
