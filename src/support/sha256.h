/* SHA-256, for the fingerprint in the header of a generated file.
 * Source: FIPS 180-4. */
#ifndef OX_SUPPORT_SHA256_H
#define OX_SUPPORT_SHA256_H

#include "support/base.h"

enum { SHA256_SIZE = 32 };

typedef struct Sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes taken so far */
    bool asked;      /* whether the processor has instructions for it, */
    bool hardware;   /* and it has */
    uint8_t block[64];
} Sha256;

void sha256_init(Sha256 *h);
/* Uses the processor's instructions from here on, if there are any; what is long enough
 * for that to pay asks by itself. */
void sha256_ask(Sha256 *h);
void sha256_add(Sha256 *h, Str bytes);
/* May be called once. */
void sha256_finish(Sha256 *h, uint8_t digest[SHA256_SIZE]);

#endif
