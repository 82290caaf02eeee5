/* The protobuf cursor.  All reads are bounded by `end`, the end of the enclosing
 * message; fixed-width values are assembled byte by byte, so alignment and byte order
 * of the host do not matter.
 * Source: protobuf encoding specification, "Message Structure" and "Groups". */
#include "onnx/wire.h"

enum {
    HEAD_MAX = 20, /* bytes of a tag and a number, each a varint of ten */
    WIRE_GROUP_END = 4,
    GROUP_DEPTH_MAX = 64, /* ONNX has no groups; unknown fields might */
};

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

static inline bool read_bytes(Wire *w, Span *bytes) {
    uint64_t n;
    if (!read_varint(w, &n))
        return false;
    if (n > (uint64_t)(w->end - w->at))
        return fail(w, WIRE_TRUNCATED);
    *bytes = (Span){w->at, wire_position(w), n};
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

/* ---- messages that must be read ---------------------------------------------------- */

/* The next bytes of the message, at most so many, as a message of their own. */
static bool peek(Wire *w, size_t most, Wire *head) {
    uint64_t rest = w->stop - w->next;
    Str bytes = source_peek(w->source, w->next, rest < most ? (size_t)rest : most);
    if (!bytes.p)
        return fail(w, WIRE_UNREADABLE);
    *head = wire_open(w->source, (Span){bytes.p, w->next, bytes.n});
    return true;
}

/* Takes what was read of `head`, or its error. */
static bool take(Wire *w, const Wire *head, bool ok) {
    w->next = wire_position(head);
    return ok || fail(w, head->error);
}

static bool far_bytes(Wire *w, Wire *head, Span *bytes) {
    uint64_t n;
    if (!take(w, head, read_varint(head, &n)))
        return false;
    if (n > w->stop - w->next)
        return fail(w, WIRE_TRUNCATED);
    *bytes = (Span){NULL, w->next, n};
    w->next += n;
    return true;
}

static bool has_value(unsigned type) {
    return type != WIRE_GROUP && type != WIRE_GROUP_END;
}

/* A tag, and the value unless it begins or ends a group. */
static bool far_field(Wire *w, Field *f, unsigned *type) {
    Wire head;
    if (!peek(w, HEAD_MAX, &head))
        return false;
    if (!read_tag(&head, &f->number, type))
        return take(w, &head, false);
    if (*type == WIRE_BYTES)
        return far_bytes(w, &head, &f->bytes);
    return take(w, &head, !has_value(*type) || read_value(&head, *type, f));
}

static bool read_field(Wire *w, Field *f, unsigned *type) {
    if (!w->at)
        return far_field(w, f, type);
    return read_tag(w, &f->number, type) &&
           (!has_value(*type) || read_value(w, *type, f));
}

/* ------------------------------------------------------------------------------------ */

static bool at_end(const Wire *w) {
    return w->at == w->end && (w->at || w->next == w->stop);
}

/* Skips the content of a group whose start tag has been read. */
static bool skip_group(Wire *w, uint32_t number) {
    uint32_t open[GROUP_DEPTH_MAX] = {number};
    for (unsigned depth = 1; depth > 0;) {
        Field inner;
        unsigned type;
        if (at_end(w))
            return fail(w, WIRE_TRUNCATED);
        if (!read_field(w, &inner, &type))
            return false;
        if (type == WIRE_GROUP) {
            if (depth == GROUP_DEPTH_MAX)
                return fail(w, WIRE_BAD_TAG);
            open[depth++] = inner.number;
        } else if (type == WIRE_GROUP_END && open[--depth] != inner.number) {
            return fail(w, WIRE_BAD_TAG);
        }
    }
    return true;
}

static bool next_far(Wire *w, Field *f) {
    while (w->error == WIRE_OK && w->next < w->stop) {
        unsigned type;
        *f = (Field){0};
        if (!far_field(w, f, &type))
            return false;
        f->type = (WireType)type;
        if (type == WIRE_GROUP_END)
            return fail(w, WIRE_BAD_TAG);
        if (type != WIRE_GROUP)
            return true;
        if (!skip_group(w, f->number))
            return false;
    }
    return false;
}

bool wire_next(Wire *w, Field *f) {
    if (!w->at)
        return next_far(w, f);
    while (w->error == WIRE_OK && w->at < w->end) {
        unsigned type;
        if (!read_tag(w, &f->number, &type))
            return false;
        f->type = (WireType)type;
        f->varint = 0;
        f->bytes = (Span){0};
        if (type != WIRE_GROUP)
            return read_value(w, type, f);
        if (!skip_group(w, f->number))
            return false;
    }
    return false;
}

bool wire_varint(Wire *w, uint64_t *value) {
    Wire head;
    if (w->error != WIRE_OK || at_end(w))
        return false;
    if (w->at)
        return read_varint(w, value);
    return peek(w, HEAD_MAX / 2, &head) && take(w, &head, read_varint(&head, value));
}

bool wire_fixed(Wire *w, unsigned size, uint64_t *value) {
    Wire head;
    if (w->error != WIRE_OK || at_end(w))
        return false;
    if (w->at)
        return read_fixed(w, size, value);
    return peek(w, size, &head) && take(w, &head, read_fixed(&head, size, value));
}

uint64_t wire_count(Source *source, Span packed) {
    enum { STEP = 4096 };
    uint64_t count = 0;
    for (uint64_t i = 0; i < packed.n;) {
        size_t n = packed.n - i < STEP ? (size_t)(packed.n - i) : STEP;
        Str part =
            packed.p ? (Str){packed.p + i, n} : source_peek(source, packed.at + i, n);
        if (part.n == 0)
            return count;
        for (size_t k = 0; k < part.n; k++)
            count += (unsigned char)part.p[k] < 0x80;
        i += part.n;
    }
    return count;
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
    case WIRE_UNREADABLE:
        return "a field cannot be read";
    }
    return "unknown error";
}
