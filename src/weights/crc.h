/* CRC-32, the checksum of zip and zlib. */
#ifndef OX_WEIGHTS_CRC_H
#define OX_WEIGHTS_CRC_H

#include "support/base.h"

typedef struct Crc {
    uint32_t table[8][256];
} Crc;

void crc_init(Crc *crc);
/* The checksum of what gave `sum`, 0 for nothing, followed by these bytes. */
uint32_t crc_add(const Crc *crc, uint32_t sum, Str bytes);

/* The checksum of runs spread evenly over the bytes; of all of them where they are few.
 * It tells a retrained weight from the old one at the price of a few pages.
 * load_params_reference.py computes the same. */
enum { CRC_RUN = 256, CRC_RUNS = 16 };
uint32_t crc_sample(const Crc *crc, Str bytes);

#endif
