/* What a file says of the model as a whole. */
#ifndef OX_IR_FACTS_H
#define OX_IR_FACTS_H

#include "support/base.h"

typedef struct Entry {
    Str key, value;
} Entry;

typedef struct Entries {
    Entry *items;
    size_t count, cap;
} Entries;

typedef struct Opset {
    Str domain; /* "" and "ai.onnx" are the same */
    int64_t version;
} Opset;

typedef struct Opsets {
    Opset *items;
    size_t count, cap;
} Opsets;

/* A function of the model's own, which import has put where it is called. */
typedef struct LocalFunction {
    Str domain, name;
    size_t nodes;
} LocalFunction;

typedef struct Facts {
    Str producer, producer_version, domain, doc;
    int64_t ir_version, model_version;
    Opsets opsets;
    Entries metadata;
    LocalFunction *functions;
    size_t n_functions;
} Facts;

#endif
