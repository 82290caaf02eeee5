/* SHA-256 against the examples of FIPS 180-4, and against itself when the same bytes
 * come in pieces of every size. */
#include "support/sha256.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_digest_by(bool hardware, Str bytes, const char *expected) {
    Sha256 h;
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    sha256_init(&h);
    sha256_ask(&h);
    h.hardware &= hardware;
    sha256_add(&h, bytes);
    sha256_finish(&h, digest);
    for (int i = 0; i < SHA256_SIZE; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[2 * SHA256_SIZE] = '\0';
    assert_string_equal(hex, expected);
}

static void assert_digest(Str bytes, const char *expected) {
    assert_digest_by(false, bytes, expected);
    assert_digest_by(true, bytes, expected);
}

static void known_digests(void **state) {
    (void)state;
    assert_digest(STR(""),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_digest(STR("abc"),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_digest(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void a_million_letters(void **state) {
    (void)state;
    size_t n = 1000000;
    char *p = malloc(n);
    assert_non_null(p);
    memset(p, 'a', n);
    assert_digest((Str){p, n},
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(p);
}

/* Every length across two blocks, in pieces of every size: padding and buffering. */
static void pieces_equal_the_whole(void **state) {
    (void)state;
    char bytes[130];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        Sha256 whole;
        uint8_t expected[SHA256_SIZE];
        sha256_init(&whole);
        sha256_add(&whole, (Str){bytes, n});
        sha256_finish(&whole, expected);
        for (size_t step = 1; step <= 70; step++) {
            Sha256 h;
            uint8_t digest[SHA256_SIZE];
            sha256_init(&h);
            if (step % 2) /* a change of hands in the middle, too */
                sha256_ask(&h);
            for (size_t i = 0; i < n; i += step)
                sha256_add(&h, (Str){bytes + i, n - i < step ? n - i : step});
            sha256_finish(&h, digest);
            assert_memory_equal(digest, expected, SHA256_SIZE);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),
        cmocka_unit_test(a_million_letters),
        cmocka_unit_test(pieces_equal_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
