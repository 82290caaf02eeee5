/* What both forms of an inspection count and share. */
#ifndef OX_INSPECT_REPORT_H
#define OX_INSPECT_REPORT_H

#include "inspect/columns.h"
#include "inspect/inspect.h"
#include "inspect/modules.h"

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
    Modules modules;
} Report;

void report_make(Report *r, Model *m);

/* The domain as people write it. */
Str report_domain(Str domain);
/* The next parameter among the inputs of n, from input *i on, which moves past it; NULL
 * when there is none. */
const Value *report_param(const Node *n, uint32_t *i);

/* "Conv"; "com.microsoft::BiasGelu". */
void report_operator(Text *t, Str domain, Str op_type);
/* Rows of a Report that several forms have. */
void report_header_rows(Table *t, const void *report);
void report_input_rows(Table *t, const void *report);
void report_output_rows(Table *t, const void *report);
void report_unsupported_rows(Table *t, const void *report);

/* Calls visit on each note about the model, without a newline: remarks.c. */
void report_notes(const Report *r, void (*visit)(void *user, Str note), void *user);

/* The attributes of a node but for graphs, as a JSON object: attributes.c. */
void report_attributes(Text *t, const Node *n);

/* One screen: overview.c. */
void inspect_overview(const Report *r, const InspectOptions *o, Text *out);
/* Every parameter and node: ascii.c. */
void inspect_layers(const Report *r, Text *out);
/* For Mermaid, or else for Graphviz: diagram.c. */
void inspect_diagram(const Report *r, bool mermaid, Text *out);
/* With `lines` of the code, where there is one. */
void inspect_json(const Report *r, const InspectCode *code, Text *out);
/* A page of its own: html.c. */
void inspect_html(const Report *r, const InspectCode *code, Text *out);

#endif
