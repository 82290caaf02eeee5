/* support/power.c against the pow of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "support/power.h"

static bool same(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void ends_are_those_of_c(void **state) {
    (void)state;
    static const double ends[] = {
        0,    -0.0,  1,        -1,        2,   -2,    0.5,    -0.5,   3,
        -3,   2.5,   INFINITY, -INFINITY, NAN, 1e300, 1e-300, -1e300, 5e-324,
        1e20, -1e20, 1e22,     -2.5,      9,   1024,  -1023,  -1074,  -1075};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
            if (!same(power(ends[i], ends[k]), pow(ends[i], ends[k])))
                fail_msg("%g to %g is %a, not %a", ends[i], ends[k],
                         power(ends[i], ends[k]), pow(ends[i], ends[k]));
}

static uint64_t bits = 88172645463325252u;

static double random_below(double end) {
    bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17; /* xorshift */
    return (double)(bits >> 11) * 0x1p-53 * end;
}

/* Libraries differ in the last bit, seldom; in single precision none is seen. */
static void others_are_next_to_it(void **state) {
    (void)state;
    for (int i = 0; i < 100000; i++) {
        double x = random_below(i % 2 ? 10000 : 2), y = random_below(20) - 10;
        y = i % 5 == 0 ? floor(y) / 2 : y;
        double own = power(x, y), other = pow(x, y);
        assert_true(own == other || nextafter(own, other) == other);
        assert_true((float)own == (float)other);
    }
}

/* Where the bits after the last are close to a half, from exact integers. */
static void it_is_rounded_correctly(void **state) {
    (void)state;
    for (int i = 3; i < 208063; i += 2) { /* squares and cubes that 53 bits hold */
        double x = i;
        assert_true(power(x, 2) == x * x);
        assert_true(power(x, 3) == x * x * x);
        assert_true(power(x * x, 0.5) == x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_those_of_c),
        cmocka_unit_test(others_are_next_to_it),
        cmocka_unit_test(it_is_rounded_correctly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
