/* The protobuf cursor.  All reads are bounded by `end`, the end of the enclosing
 * message; fixed-width values are assembled byte by byte, so alignment and byte order
 * of the host do not matter.
 * Source: protobuf encoding specification, "Message Structure" and "Groups". */
#include "parser/wire.h"

enum {
    WIRE_GROUP_END = 4,
    GROUP_DEPTH_MAX = 64, /* ONNX has no groups; unknown fields might */
};

Wire wire_open(Str bytes) {
    return (Wire){bytes.p, bytes.n ? bytes.p + bytes.n : bytes.p, WIRE_OK};
}

static bool fail(Wire *w, WireError error) {
    w->error = error;
    return false;
}

static bool read_long_varint(Wire *w, uint64_t *value) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (w->at == w->end)
            return fail(w, WIRE_TRUNCATED);
        unsigned char byte = (unsigned char)*w->at++;
        v |= (uint64_t)(byte & 0x7F) << shift; /* bits past the 64th are lost */
        if (byte < 0x80) {
            *value = v;
            return true;
        }
    }
    return fail(w, WIRE_BAD_VARINT);
}

/* Most take one byte. */
static inline bool read_varint(Wire *w, uint64_t *value) {
    if (w->at == w->end || (unsigned char)*w->at >= 0x80)
        return read_long_varint(w, value);
    *value = (unsigned char)*w->at++;
    return true;
}

static bool read_fixed(Wire *w, unsigned size, uint64_t *value) {
    if ((size_t)(w->end - w->at) < size)
        return fail(w, WIRE_TRUNCATED);
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)(unsigned char)w->at[i] << (8 * i);
    w->at += size;
    *value = v;
    return true;
}

static inline bool read_bytes(Wire *w, Str *bytes) {
    uint64_t n;
    if (!read_varint(w, &n))
        return false;
    if (n > (uint64_t)(w->end - w->at))
        return fail(w, WIRE_TRUNCATED);
    *bytes = (Str){w->at, (size_t)n};
    w->at += n;
    return true;
}

/* A tag: field number and wire type.  Protobuf reads it as 32 bits. */
static inline bool read_tag(Wire *w, uint32_t *number, unsigned *type) {
    uint64_t tag;
    if (!read_varint(w, &tag))
        return false;
    *number = (uint32_t)(tag >> 3);
    *type = (unsigned)(tag & 7);
    return (tag <= UINT32_MAX && *number != 0) || fail(w, WIRE_BAD_TAG);
}

static inline bool read_value(Wire *w, unsigned type, Field *f) {
    switch (type) {
    case WIRE_VARINT:
        return read_varint(w, &f->varint);
    case WIRE_FIXED64:
        return read_fixed(w, 8, &f->varint);
    case WIRE_BYTES:
        return read_bytes(w, &f->bytes);
    case WIRE_FIXED32:
        return read_fixed(w, 4, &f->varint);
    default:
        return fail(w, WIRE_BAD_TAG);
    }
}

/* Skips the content of a group whose start tag has been read. */
static bool skip_group(Wire *w, uint32_t number) {
    uint32_t open[GROUP_DEPTH_MAX] = {number};
    for (unsigned depth = 1; depth > 0;) {
        Field inner;
        unsigned type;
        if (!read_tag(w, &number, &type))
            return false;
        if (type == WIRE_GROUP) {
            if (depth == GROUP_DEPTH_MAX)
                return fail(w, WIRE_BAD_TAG);
            open[depth++] = number;
        } else if (type == WIRE_GROUP_END) {
            if (open[--depth] != number)
                return fail(w, WIRE_BAD_TAG);
        } else if (!read_value(w, type, &inner)) {
            return false;
        }
    }
    return true;
}

bool wire_next(Wire *w, Field *f) {
    while (w->error == WIRE_OK && w->at < w->end) {
        unsigned type;
        if (!read_tag(w, &f->number, &type))
            return false;
        f->type = (WireType)type;
        f->varint = 0;
        f->bytes = (Str){0};
        if (type != WIRE_GROUP)
            return read_value(w, type, f);
        if (!skip_group(w, f->number))
            return false;
    }
    return false;
}

bool wire_varint(Wire *w, uint64_t *value) {
    if (w->error != WIRE_OK || w->at == w->end)
        return false;
    return read_varint(w, value);
}

const char *wire_error_text(WireError e) {
    switch (e) {
    case WIRE_OK:
        return "no error";
    case WIRE_TRUNCATED:
        return "a field runs past the end of its message";
    case WIRE_BAD_VARINT:
        return "a number does not end within ten bytes";
    case WIRE_BAD_TAG:
        return "a field has an invalid tag";
    }
    return "unknown error";
}
