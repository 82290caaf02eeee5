/* The order in which nodes can be made, for files whose nodes stand in another one. */
#ifndef OX_ONNX_ORDER_H
#define OX_ONNX_ORDER_H

#include "onnx/onnx.h"

typedef struct NodeOrder {
    size_t *at; /* positions in the file: each node after those that make what it reads,
                     otherwise as in the file; NULL on a cycle or when refused memory */
    Str cycle; /* nodes that read each other's values in a circle; empty: there is none */
    size_t early; /* the first node that stands before one whose value it reads; the
                     number of nodes when the file is in order */
} NodeOrder;

/* Orders the nodes of one graph or function body in linear time; what their subgraphs
 * read counts as theirs.  Names that none of the nodes makes are left to the caller. */
NodeOrder order_nodes(Arena *a, const PbNode *items, size_t count);

#endif
