/* The walk of padding.c, for what is particular to a step: step_padding.c. */
#ifndef OX_PASSES_SIZES_PADDER_H
#define OX_PASSES_SIZES_PADDER_H

#include "ops/core/apart.h"
#include "ops/core/padded.h"
#include "passes/sizes/behind.h"

/* One size that data decide. */
typedef struct Extent {
    const Symbol *symbol; /* in the open model */
    const Node *origin;   /* there */
    Value *count;         /* in the model itself: how many entries there are */
    int64_t bound;
} Extent;

typedef struct Padding {
    Model *m, *open;
    const PaddedStep *step; /* NULL: --bound */
    Behind behind;          /* of a step */
    struct {
        Extent *items;
        size_t count, cap;
    } extents;
    struct {
        Node **items; /* of the graph that is walked, with what is put in */
        size_t count, cap;
    } nodes;
    const Graph *graph; /* of the model itself, whose nodes these are */
    bool refused;
} Padding;

/* A node and the padding of one size in what it reads.  Of an input with padding along
 * several axes the rules of ops/core/apart.h are told one at a time. */
typedef struct Reader {
    const Node *n; /* of the open model */
    const Symbol *s;
    uint64_t *axes; /* of each input: those that have padding */
    uint64_t *left; /* those that no axis of an output holds */
    bool *is_size;  /* of each input: it has numbers of entries among its elements */
    int *at;        /* for the rules */
    bool grows;     /* an axis of an output has padding that no input accounts for */
} Reader;

/* Whether d, or some element, mentions the symbol. */
bool pad_mentions(Dim d, const Symbol *s);
bool pad_elements_mention(const Known *k, const Symbol *s);
bool pad_has_subgraphs(const Node *n);
/* Makes n, where it is not NULL, a node of the graph behind those so far; before: the same,
 * and gives its output. */
void pad_put(Padding *p, Node *n);
Value *pad_before(Padding *p, Node *n);

/* ---- of a step ----------------------------------------------------------------------- */

/* New tokens are put behind what is in the cache. */
bool step_writes(const Padding *p, const Node *n);
/* A node that appends by itself reads another input of the length of the present. */
bool step_reads_more(const Padding *p, const Reader *r);
/* Nobody reads what n makes. */
bool step_is_unread(const Padding *p, const Node *n);
/* The two models are one, but for sizes. */
bool step_is_same(const Padding *p, const Node *n, const Node *real);
/* No list of sizes is known in part only, and no output has a size that comes from
 * anything but a known one. */
bool step_knows_sizes(const Reader *r);
/* n is a range of integers from a place that follows from the past, of a size that does
 * not. */
bool step_is_range(const Padding *p, const Reader *r);
/* It becomes start + range(0, limit - start), of which this is the sum, to come behind
 * it. */
Node *step_move_range(Padding *p, Node *real);
/* Input k of a product: behind the end, one of the two is zero and the other finite, once
 * what is not so has been filled. */
bool step_is_zero(Padding *p, const Reader *r, int k);
/* Input k, which is x + mask, is minus infinity behind the end because the mask is made
 * so: false where it cannot be. */
bool step_hide_in_mask(Padding *p, const Reader *r, Node *real, const Extent *e, int k);
/* The outputs are zero where the node has seen minus infinity. */
void step_note_shares(Padding *p, const Node *n);

#endif
