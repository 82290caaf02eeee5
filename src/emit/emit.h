/* What the files behind the services of ops/core/op.h share: the emission of one node. */
#ifndef OX_EMIT_EMIT_H
#define OX_EMIT_EMIT_H

#include "emit/gen.h"

enum {
    SPLICE_MAX = 32,        /* inputs of one node that may be spliced */
    LINE_OPS_MAX = 3,       /* operators on one line */
    PENDING_WIDTH_MAX = 76, /* columns of an expression that may wait */
    SCALARS_MAX = 64        /* inputs of a node that may be Python scalars */
};

struct Emit {
    Gen *g;
    Node *node;
    bool splice; /* pending inputs may be spliced */
    bool ints;   /* inputs are Python numbers: see emit_number */
    int widest;  /* the largest rank of the inputs and 2; 0: nobody has asked */
    Value *spliced[SPLICE_MAX];
    size_t n_spliced;
    uint32_t ops;      /* operators in the spliced inputs */
    const Expr **outs; /* by output index */
    const Expr *tuple; /* one expression for all outputs */
    const int *groups; /* how its items nest */
    size_t n_groups;   /* 0: not at all */
    size_t first;      /* statement of the body that is the first of the node */
    bool respell;      /* what was spliced is written twice, and needs a name */
    bool failed;
};

/* Runs the operator's template or callback; inputs that wait are spliced if `splice`. */
void run_emit(Emit *e, bool splice);
/* A callback has written what was spliced more than once: it needs a name. */
bool is_spliced_twice(const Emit *e);
/* Reports what is wrong with the code of the node: see defects.c. */
void find_defects(const Emit *e);

#endif
