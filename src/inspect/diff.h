/* How two models differ: what diff.c finds, and diff_print.c writes. */
#ifndef OX_INSPECT_DIFF_H
#define OX_INSPECT_DIFF_H

#include "inspect/report.h"

typedef enum DiffPart {
    DIFF_OPSETS,
    DIFF_INPUTS,
    DIFF_OUTPUTS,
    DIFF_MODULES,
    DIFF_NODES,
    DIFF_PARAMS,
    DIFF_PARTS,
} DiffPart;

typedef enum DiffKind { DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED } DiffKind;

#define DIFF_NONE UINT32_MAX

typedef struct Difference {
    DiffPart part;
    DiffKind kind;
    Str name;
    Str module;    /* of a node: its path */
    Str before;    /* what it is in the first model; empty where it is not */
    Str after;     /* and in the second */
    Str what;      /* of a change: "values", "strides, output" */
    uint32_t a, b; /* of a node: its places; DIFF_NONE where it is not */
} Difference;

typedef struct Diff {
    Arena *arena;
    Report a, b;
    struct {
        Difference *items;
        size_t count, cap;
    } list;                       /* by part; nodes by module */
    size_t counts[DIFF_PARTS][3]; /* by part and kind */
    size_t equal[DIFF_PARTS];     /* entries that are in both, and equal */
    bool same_weights;            /* all parameters are in both, with equal values */
} Diff;

/* Compares two inferred models; all that it makes lies in the arena of the first. */
void diff_make(Diff *d, Model *a, Model *b);
/* Prints it: OX_ASCII or OX_JSON. */
void diff_print(const Diff *d, const InspectOptions *o, Text *out);

#endif
