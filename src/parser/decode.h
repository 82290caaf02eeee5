/* Table-driven decoding of protobuf messages into structs: one row per field.  Private
 * to the parser; onnx.c holds the tables.
 * A message with lists is read twice: once to check it and count, so that each list is
 * allocated once at its exact size, and once to fill. */
#ifndef OX_PARSER_DECODE_H
#define OX_PARSER_DECODE_H

#include "parser/onnx.h"
#include "parser/wire.h"

typedef struct Decoder {
    Arena *arena;
    Diags *diags;
    const char *start; /* of the file: positions are differences from it */
    int depth;         /* of graphs and types around the current message */
    bool failed;       /* an error was reported and parsing went on */
} Decoder;

typedef enum FieldKind {
    FK_INT,      /* int64_t */
    FK_ENUM,     /* an enum, 32 bits */
    FK_FLOAT,    /* float */
    FK_STR,      /* Str */
    FK_SPAN,     /* Str from the first such field to the end of the last */
    FK_INTS,     /* list of int64_t, packed or not */
    FK_FLOATS,   /* list of float, packed or not */
    FK_STRS,     /* PbStrings */
    FK_MESSAGE,  /* struct in place; a repetition is merged, as protobuf wants */
    FK_POINTER,  /* pointer to a new struct; the last one wins */
    FK_MESSAGES, /* list of structs */
} FieldKind;

struct Message;

typedef struct Rule {
    uint32_t number;
    FieldKind kind;
    size_t at;                     /* offsetof the member */
    const struct Message *message; /* of the last three kinds */
} Rule;

typedef bool (*DecodeFn)(Decoder *d, Str bytes, void *out);

typedef struct Message {
    const char *name; /* as in onnx.proto */
    size_t size;      /* of the struct */
    const Rule *rules;
    size_t count;
    DecodeFn decode; /* for messages that need more than their rules */
} Message;

enum { RULES_MAX = 20 }; /* fields of the largest message */

/* These return false when parsing must stop: the bytes are malformed (reported) or
 * memory ran out. */
bool decode_message(Decoder *d, const Message *m, Str bytes, void *out);
bool decode_rules(Decoder *d, const Message *m, Str bytes, void *out);
/* Reports `w->error` if it is set. */
bool decode_check(Decoder *d, const char *message_name, const Wire *w);
/* For messages that may hold themselves: counts the level, or reports OX0104. */
bool decode_enter(Decoder *d, Str bytes);
void decode_leave(Decoder *d);

/* Little-endian numbers of n bytes, wherever they lie. */
static inline uint64_t load_le(const char *p, unsigned n) {
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return v;
}
static inline void store_le(char *p, uint64_t v, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        p[i] = (char)(unsigned char)(v >> (8 * i));
}

/* Values in a packed field, were all of them well-formed. */
size_t count_varints(Str packed);

extern const Message entry_message; /* onnx.c: StringStringEntryProto */

/* onnx_tensor.c: what the tables need of tensors, and onnx_resolve too. */
bool decode_tensor(Decoder *d, Str bytes, void *tensor);
bool decode_sparse(Decoder *d, Str bytes, void *sparse);
/* A name of the model in quotes, cut when very long; and `tensor "name"`. */
Str onnx_quoted(Arena *arena, Str name);
Str tensor_where(Arena *arena, const Tensor *t);
/* Bytes of the raw layout; false when they do not fit in memory. */
bool tensor_size(DType dtype, int64_t count, size_t *size);

#endif
