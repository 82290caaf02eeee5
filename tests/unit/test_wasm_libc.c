/* The printing and reading of numbers in the WebAssembly build against libc's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OX_TEST_LIBC
#include "wasm/decimal.c"
#include "wasm/print.c"
#undef snprintf
#undef vsnprintf
#undef strtod

/* What both print is the same, whether it fits or not. */
#define CHECK(...)                                                                     \
    do {                                                                               \
        char own_[512], libc_[512];                                                    \
        for (size_t room_ = 0; room_ <= sizeof own_; room_ += room_ ? 507 : 5) {       \
            memset(own_, 1, sizeof own_), memset(libc_, 1, sizeof libc_);              \
            int n_ = own_snprintf(own_, room_, __VA_ARGS__);                           \
            assert_int_equal(n_, snprintf(libc_, room_, __VA_ARGS__));                 \
            assert_memory_equal(own_, libc_, n_ < 512 ? (size_t)n_ : 512);             \
        }                                                                              \
    } while (0)

static void check_number(double x) {
    char text[64];
    CHECK("%g %.9g %.17g %.1f %.*f %.0g", x, x, x, x, 3, x, x);
    for (int precision = 0; precision <= 17; precision++) {
        CHECK("%.*e", precision, x);
        snprintf(text, sizeof text, "%.*e", precision, x);
        double own = own_strtod(text, NULL), libc = strtod(text, NULL);
        assert_memory_equal(&own, &libc, sizeof own);
    }
}

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void numbers_are_exact(void **state) {
    (void)state;
    static const double some[] = {0,    1,      0.1,    0.5,     1.5,    2.5,    9.5,
                                  99.5, 0.05,   0.25,   1e-5,    1e15,   1e16,   1e22,
                                  1e23, 123.5,  1e300,  1e-300,  5e-324, 999999, 1e6,
                                  1e-4, 9.9e-5, 2e-308, 1.7e308, 3e-324};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        check_number(some[i]);
        check_number(-some[i]);
    }
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 3000; i++) {
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17; /* xorshift */
        double x = from_bits(bits);
        if (isfinite(x))
            check_number(x);
        check_number((double)(float)(bits % 100000) / 1000);
        check_number(from_bits(bits >> 12 | (uint64_t)1023 << 52)); /* 1 to 2 */
        check_number(from_bits(bits >> 12 >> bits % 52));           /* subnormal */
    }
    CHECK("%g %g %.1f", INFINITY, -INFINITY, INFINITY);
    CHECK("%g", (double)NAN);
}

static void check_reading(const char *text) {
    double own = own_strtod(text, NULL), libc = strtod(text, NULL);
    if (memcmp(&own, &libc, sizeof own) != 0)
        fail_msg("%s is %a, not %a", text, own, libc);
}

static void ends_and_middles_are_read(void **state) {
    (void)state;
    static const char *const texts[] = {"9007199254740993",
                                        "9007199254740993.0000000000000001",
                                        "9007199254740992.5",
                                        "9007199254740995",
                                        "1.7976931348623157e308",
                                        "1.7976931348623158e308",
                                        "1.7976931348623159e308",
                                        "2e308",
                                        "1e400",
                                        "17976931348623157e292",
                                        "4.9406564584124654e-324",
                                        "2.4703282292062328e-324",
                                        "2.4703282292062327e-324",
                                        "2.4e-324",
                                        "1e-400",
                                        "2.2250738585072011e-308",
                                        "2.2250738585072014e-308",
                                        "0.500000000000000000000",
                                        "0.000",
                                        "0e5",
                                        "-0.0",
                                        "4503599627370496.5000",
                                        "1000000000000000000000000e-24",
                                        "123456789e-9",
                                        "0.1e1",
                                        "1e100000",
                                        "1e-100000",
                                        "179769313486231580793728971405301e276",
                                        "0.000000000000000000000000000000000001e36"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_reading(texts[i]);
}

static void formats_are_those_of_libc(void **state) {
    (void)state;
    CHECK("%s and %.*s, %.3s|%.64s|%.0s", "text", 2, "text", "text", "text", "text");
    CHECK("%d %d %ld %lld %lld", 0, INT32_MIN, -5L, (long long)INT64_MIN, 7LL);
    CHECK("%u %lu %llu %zu %llx", UINT32_MAX, 3UL, (unsigned long long)UINT64_MAX,
          SIZE_MAX, 0xfedcba9876543210ULL);
    CHECK("%02x %04x %08x %03u %02d %5d%%%c", 7u, 0xabcu, 1u, 7u, 5, -42, 'c');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(ends_and_middles_are_read),
        cmocka_unit_test(formats_are_those_of_libc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
