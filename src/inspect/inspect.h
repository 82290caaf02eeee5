/* Describes a loaded and inferred model: one screen or tables for people, JSON for programs. */
#ifndef OX_INSPECT_INSPECT_H
#define OX_INSPECT_INSPECT_H

#include "ops/core/op.h"

/* What compiling the model gives, for OX_HTML and `lines`. */
typedef struct InspectCode {
    Str source;   /* empty: it does not compile */
    Str line_map; /* JSON; empty where there is no source */
    Str messages;
} InspectCode;

typedef struct InspectOptions {
    OxFormat format;  /* OX_ASCII, OX_JSON, OX_DOT, OX_MERMAID, OX_HTML */
    bool layers;      /* OX_ASCII: every parameter and node */
    bool color;       /* OX_ASCII: ANSI codes */
    int width;        /* OX_ASCII: columns of the terminal; 0: of none */
    bool lines;       /* OX_JSON: with the line map */
    InspectCode code; /* OX_HTML, lines */
} InspectOptions;

/* Fields as in docs/architecture.md, "inspect". */
void inspect_print(Model *m, const InspectOptions *o, Text *out);

/* Prints how b differs from a, as text or JSON (see ox_diff); true when it does not.  All
 * that this makes lies in the arena of a. */
bool inspect_diff(Model *a, Model *b, const InspectOptions *o, Text *out);

#endif
