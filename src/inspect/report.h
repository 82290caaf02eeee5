/* What both forms of an inspection count and share. */
#ifndef OX_INSPECT_REPORT_H
#define OX_INSPECT_REPORT_H

#include "inspect/inspect.h"

typedef struct OpCount {
    Str domain, op_type; /* domain "ai.onnx" for the default one */
    size_t count;
    struct OpCount *next; /* same op_type, other domain */
} OpCount;

typedef struct Report {
    Model *m;
    Value **params, **constants; /* over all graphs, in file order */
    size_t n_params, cap_params, n_constants, cap_constants;
    OpCount **ops; /* most frequent first, then by name */
    size_t n_ops, cap_ops;
    Map by_op; /* op_type -> OpCount */
    size_t nodes, graphs;
    uint64_t param_elements, param_bytes;
} Report;

void report_make(Report *r, Model *m);

/* The domain as people write it. */
Str report_domain(Str domain);
/* The next parameter among the inputs of n, from input *i on, which moves past it; NULL
 * when there is none. */
const Value *report_param(const Node *n, uint32_t *i);

void inspect_ascii(const Report *r, Text *out);
void inspect_json(const Report *r, Text *out);

#endif
