/* Protobuf wire format, read in place: a cursor over borrowed bytes that yields one
 * field at a time.  Every length is checked against the enclosing message.
 * Source: protobuf encoding specification, "Message Structure". */
#ifndef OX_PARSER_WIRE_H
#define OX_PARSER_WIRE_H

#include "support/base.h"

typedef enum WireType {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3, /* start group: skipped with its content; end group is 4 */
    WIRE_FIXED32 = 5,
} WireType;

typedef enum WireError {
    WIRE_OK = 0,
    WIRE_TRUNCATED,  /* a field runs past the end of its message */
    WIRE_BAD_VARINT, /* more than ten bytes */
    WIRE_BAD_TAG,    /* field number 0, unknown wire type, unmatched end group */
} WireError;

typedef struct Wire {
    const char *at, *end;
    WireError error; /* sticky; wire_next returns false once set */
} Wire;

/* One field.  `number` is the field's; value in `varint` (varint, fixed32, fixed64) or
 * `bytes` (length-delimited). */
typedef struct Field {
    uint32_t number;
    WireType type;
    uint64_t varint;
    Str bytes;
} Field;

Wire wire_open(Str bytes);
/* Reads the next field; groups are skipped.  false at the end or on error. */
bool wire_next(Wire *w, Field *f);
/* Reads one bare varint of a packed field; false at the end or on error. */
bool wire_varint(Wire *w, uint64_t *value);
/* What the error means, for messages. */
const char *wire_error_text(WireError e);

#endif
