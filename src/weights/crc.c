/* CRC-32 as zip and zlib have it: the reflected polynomial 0xEDB88320.  Eight bytes a
 * step, since the checksums of an npz file read every weight once.
 * Source: PKWARE APPNOTE 6.3 section 4.4.7; RFC 1952 section 8. */
#include "weights/crc.h"

void crc_init(Crc *crc) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? UINT32_C(0xEDB88320) : 0);
        crc->table[0][i] = c;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++) {
            uint32_t c = crc->table[k - 1][i];
            crc->table[k][i] = c >> 8 ^ crc->table[0][c & 255];
        }
}

uint32_t crc_add(const Crc *crc, uint32_t sum, Str bytes) {
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t n = bytes.n;
    sum = ~sum;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t next = 0;
        for (int k = 0; k < 4; k++)
            next ^= crc->table[7 - k][p[k] ^ (sum >> 8 * k & 255)];
        for (int k = 4; k < 8; k++)
            next ^= crc->table[7 - k][p[k]];
        sum = next;
    }
    for (; n > 0; n--, p++)
        sum = sum >> 8 ^ crc->table[0][(sum ^ *p) & 255];
    return ~sum;
}

uint32_t crc_sample(const Crc *crc, Str bytes) {
    size_t step = bytes.n / CRC_RUNS > CRC_RUN ? bytes.n / CRC_RUNS : CRC_RUN;
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.n; i += step) {
        size_t rest = bytes.n - i;
        sum = crc_add(crc, sum, (Str){bytes.p + i, rest < CRC_RUN ? rest : CRC_RUN});
    }
    return sum;
}
