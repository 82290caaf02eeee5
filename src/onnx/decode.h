/* Table-driven decoding of protobuf messages into structs: one row per field.  Private
 * to the parser; onnx.c holds the tables.
 * A message with lists is read twice: once to check it and count, so that each list is
 * allocated once at its exact size, and once to fill. */
#ifndef OX_ONNX_DECODE_H
#define OX_ONNX_DECODE_H

#include "onnx/onnx.h"
#include "onnx/wire.h"

typedef struct Decoder {
    Arena *arena;
    Diags *diags;
    Source *source; /* the file */
    int depth;      /* of graphs and types around the current message */
    bool failed;    /* an error was reported and parsing went on */
} Decoder;

typedef enum FieldKind {
    FK_INT,      /* int64_t */
    FK_ENUM,     /* an enum, 32 bits */
    FK_FLOAT,    /* float */
    FK_STR,      /* Str */
    FK_BYTES,    /* Span: a string that stays where it is */
    FK_SPAN,     /* Span from the first such field to the end of the last */
    FK_INTS,     /* list of int64_t, packed or not */
    FK_FLOATS,   /* list of float, packed or not */
    FK_STRS,     /* Strs */
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

typedef bool (*DecodeFn)(Decoder *d, Span body, void *out);

typedef struct Message {
    const char *name; /* as in onnx.proto */
    size_t size;      /* of the struct */
    const Rule *rules;
    size_t count;
    DecodeFn decode; /* for messages that need more than their rules */
} Message;

enum { RULES_MAX = 20 }; /* fields of the largest message */

/* These return false when parsing must stop: the bytes are malformed (reported), cannot
 * be read, or memory ran out. */
bool decode_message(Decoder *d, const Message *m, Span body, void *out);
bool decode_rules(Decoder *d, const Message *m, Span body, void *out);
/* The bytes of a string. */
bool decode_text(Decoder *d, Span bytes, Str *text);
/* Reports `w->error` if it is set. */
bool decode_check(Decoder *d, const char *message_name, const Wire *w);
/* For messages that may hold themselves: counts the level, or reports OX0104. */
bool decode_enter(Decoder *d, Span body);
void decode_leave(Decoder *d);

extern const Message entry_message; /* onnx.c: StringStringEntryProto */

/* tensor_proto.c: what the tables need of tensors. */
bool decode_tensor(Decoder *d, Span body, void *tensor);
bool decode_sparse(Decoder *d, Span body, void *sparse);
#endif
