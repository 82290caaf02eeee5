/* Repeated modules: which parts of the graph are calls of one function.
 *
 * A block is a part whose nodes lie side by side.  Blocks of one kind are the same but for
 * the arguments and the place of their parameters, so that one function, written from the
 * first of them, serves all.  Kinds of one family differ in types
 * (the stages of a ResNet), attributes (a stride) and literals; codegen joins those whose
 * code is the same but for numbers. */
#ifndef OX_PASSES_MODULES_BLOCKS_H
#define OX_PASSES_MODULES_BLOCKS_H

#include "passes/modules/parts.h"

typedef struct Block {
    const Part *part;
    struct BlockKind *kind;
    uint32_t first, count; /* its nodes in graph->nodes */
    Value **in;            /* what it reads from outside, in order of first use */
    size_t n_in;
    Value **out; /* what is read outside, of any block of the kind */
    size_t n_out;
} Block;

typedef struct BlockKind {
    Block **blocks; /* in the order of the graph */
    size_t count, cap;
    struct BlockFamily *family;
    bool *escapes;          /* by output of its nodes, in order: read outside */
    bool inlined;           /* codegen has found that a function does not pay */
    struct Function *code;  /* codegen's */
    struct BlockKind *next; /* of the family */
} BlockKind;

typedef struct BlockFamily {
    uint64_t hash;
    BlockKind *kinds;
    size_t parts; /* how many the graph has */
    size_t sites; /* calls in the file, were each loop written out */
    bool chosen, live;
    bool attends;
    bool unit;  /* attention, or made of modules, and no few nodes */
    bool aside; /* a unit inside another block, of which it is a part of the work */
} BlockFamily;

typedef struct Blocks {
    Arena *arena;
    Parts parts;
    struct {
        BlockKind **items;
        size_t count, cap;
    } kinds;
} Blocks;

/* The block that n is in, directly inside `around` (NULL: the graph); NULL when n is not
 * in a block there.  Blocks of kinds that are inlined do not count. */
Block *block_inside(const Node *n, const Block *around);
/* The part of a parameter's key after the path of the block; empty when it is not below. */
Str block_relative_key(const Part *part, const Value *param);

/* ---- same.c -------------------------------------------------------------------------- */

/* Compares parts node by node. */
typedef struct Same Same;
Same *same_new(Arena *scratch, Model *m);
/* Equal for parts of one family: operators and what they read, but not how large it is
 * nor what attributes and literals say. */
uint64_t same_hash(Same *s, const Part *p);
/* a and b are of one kind. */
bool same_parts(Same *s, const Part *a, const Part *b);
/* What p reads from outside; the list is valid until the next call. */
Value **same_args(Same *s, const Part *p, size_t *n);

#endif
