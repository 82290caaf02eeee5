/* Rows of blocks, between loops.c, which finds them, and scan.c. */
#ifndef OX_EMIT_LAYERS_H
#define OX_EMIT_LAYERS_H

#include "emit/cache.h"

enum {
    ROW_SAME = -1, /* all read the same value */
    ROW_CACHE = -2 /* an array of the cache, that of the block's number */
};

/* Blocks first .. last are called in turn; their paths differ in one number. */
typedef struct Row {
    const Block *first, *last;
    size_t count;
    Str head, tail; /* of the path, around the number */
    int64_t start;  /* the number of the first */
    bool numbered;  /* false: all are calls of one module */
    int *carried;   /* by argument: the output that is read in its place, or one of: */
} Row;

/* The block after b; NULL after the last. */
const Block *row_next(const Gen *g, const Row *row, const Block *b);
/* Where output k of b is in the cache; NULL: nowhere. */
const CachePlace *row_cached(const Gen *g, const Block *b, size_t k);
/* The row can be, and is to be, a scan. */
bool row_can_scan(const Gen *g, const Row *row);
/* Adds the scan; targets: the variables of the outputs; args: of the arguments. */
void row_scan(Gen *g, const Row *row, const Str *targets, const Expr *const *args);

#endif
