/* Rows of blocks, between loops.c, which finds them, and scan.c. */
#ifndef OX_EMIT_LAYERS_H
#define OX_EMIT_LAYERS_H

#include "emit/gen.h"

/* Blocks first .. last are called in turn; their paths differ in one number. */
typedef struct Row {
    const Block *first, *last;
    size_t count;
    Str head, tail; /* of the path, around the number */
    int64_t start;  /* the number of the first */
    bool numbered;  /* false: all are calls of one module */
    int *carried;   /* by argument: the output that is read in its place, or -1 */
} Row;

/* The block after b; NULL after the last. */
const Block *row_next(const Gen *g, const Row *row, const Block *b);
/* The row can be, and is to be, a scan. */
bool row_can_scan(const Gen *g, const Row *row);
/* Adds the scan; targets: the variables of the outputs; args: of the arguments. */
void row_scan(Gen *g, const Row *row, const Str *targets, const Expr *const *args);

#endif
