/* Protobuf wire format: a cursor over the bytes of a message that yields one field at a
 * time.  Bytes in memory are read in place.  Of a message that must be read from its
 * source only tags, lengths and numbers are: fields of bytes are stepped over, however
 * large they are.  Every length is checked against the enclosing message.
 * Source: protobuf encoding specification, "Message Structure". */
#ifndef OX_ONNX_WIRE_H
#define OX_ONNX_WIRE_H

#include "support/source.h"

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
    WIRE_UNREADABLE, /* the source could not read it, and says so itself */
} WireError;

typedef struct Wire {
    const char *at, *end; /* in memory; NULL: the next byte is at `next` of `source` */
    Source *source;
    uint64_t next;
    uint64_t stop;   /* position of the end of the message */
    WireError error; /* sticky; wire_next returns false once set */
} Wire;

/* One field.  `number` is the field's; value in `varint` (varint, fixed32, fixed64) or
 * `bytes` (length-delimited). */
typedef struct Field {
    uint32_t number;
    WireType type;
    uint64_t varint;
    Span bytes;
} Field;

/* `source` is needed for what is not in memory. */
static inline Wire wire_open(Source *source, Span body) {
    const char *end = body.p ? body.p + body.n : NULL;
    return (Wire){body.p, end, source, body.at, body.at + body.n, WIRE_OK};
}
/* Where in the source the next byte is. */
static inline uint64_t wire_position(const Wire *w) {
    return w->at ? w->stop - (uint64_t)(w->end - w->at) : w->next;
}
/* The span from one position of this message to another. */
static inline Span wire_span(const Wire *w, uint64_t from, uint64_t to) {
    return (Span){w->at ? w->end - (w->stop - from) : NULL, from, to - from};
}
/* Reads the next field; groups are skipped.  false at the end or on error. */
bool wire_next(Wire *w, Field *f);
/* Reads one bare varint of a packed field; false at the end or on error. */
bool wire_varint(Wire *w, uint64_t *value);
/* The same for a number of `size` bytes, 4 or 8. */
bool wire_fixed(Wire *w, unsigned size, uint64_t *value);
/* Varints in a packed field, were all of them well-formed; fewer when it cannot be
 * read. */
uint64_t wire_count(Source *source, Span packed);
/* What the error means, for messages. */
const char *wire_error_text(WireError e);

#endif
