/* The parts of a model: the calls of its modules that the nodes came from, as a tree.
 *
 * The front end has read where each node comes from: see Origin. */
#ifndef OX_PASSES_MODULES_PARTS_H
#define OX_PASSES_MODULES_PARTS_H

#include "ops/core/op.h"

enum { PART_DEPTH_MAX = 16 }; /* modules further in count as part of the one around */

typedef struct Part {
    Str path; /* "encoder.layer.0"; "" for the model itself */
    Str type; /* "BertLayer"; "" when the file does not say */
    struct Part *parent, *children, *last_child, *next;
    uint32_t depth;       /* 0 for the model itself */
    uint32_t begin, end;  /* numbers of the parts in it, itself first, in preorder */
    uint32_t first, last; /* its nodes in Parts.nodes: [first, last) */
    uint32_t own;         /* how many are in no part inside */
    bool whole;           /* they lie side by side in the graph, from nodes[at] on */
    uint32_t at;
    struct Block *block; /* see blocks.h; NULL when it is none */
} Part;

typedef struct Parts {
    Arena *arena;
    Graph *graph;
    Part *root;
    Part **items; /* in preorder */
    size_t count;
    Node **nodes; /* sorted by part; in each part in the order of the graph */
    bool none;    /* no node says where it comes from */
} Parts;

/* The part of every node of the graph itself, in node->part. */
void parts_find(Model *m, Parts *p);
/* Parts for a graph whose nodes do not say where they come from: what repeats. */
void parts_guess(Model *m, Parts *p);
/* Lists the parts below the root, of which there are n with it. */
void parts_number(Parts *p, size_t n);
/* Values that several parts share are computed where all of them see it: exporters leave
 * them in the part that came first.  A node moves out as far as its inputs allow; what
 * reads parameters of the part stays. */
void parts_hoist(Model *m, Parts *p);
/* Reorders the graph until the nodes of each part lie side by side, where no value leaves
 * the part and comes back; sets `whole`, and node->order. */
void parts_gather(Model *m, Parts *p);

/* The part that both are in, the innermost. */
Part *part_common(Part *a, Part *b);
/* Calls visit on each value that n cannot be emitted without: inputs, values that its
 * subgraphs capture, and those whose sizes its types name. */
void node_each_need(Node *n, void (*visit)(void *user, Value *v), void *user);
/* The key of a parameter in params. */
Str param_key_of(const Value *v);

#endif
