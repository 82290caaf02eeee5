/* The modules of a model with what they hold and how much they compute. */
#ifndef OX_INSPECT_MODULES_H
#define OX_INSPECT_MODULES_H

#include "passes/modules/parts.h"

typedef struct Module {
    const Part *part;
    size_t nodes; /* in it, those of modules inside and of subgraphs too */
    uint64_t param_elements, param_bytes; /* of parameters that it alone reads */
    double macs;   /* multiply-accumulates; see ops/core/macs.h */
    double active; /* bytes that its nodes make; see node_activations */
    uint32_t kind; /* modules of one number are alike: kinds.c */
} Module;

/* What one node of the graph itself does; NAN: not known. */
typedef struct NodeWork {
    double macs, active;
} NodeWork;

/* A symbol of the model, and the number that work is counted for. */
typedef struct Assumed {
    const Symbol *symbol;
    int64_t value;
} Assumed;

typedef struct Modules {
    Model *m;
    Parts parts;
    Module *items;  /* by part->begin; [0] is the model itself */
    NodeWork *work; /* by place in the graph */
    Part **owner; /* by id of a parameter: the module that it belongs to; NULL: none */
    uint32_t kinds; /* how many there are */
    struct {
        Assumed *items; /* those with names, in order of first use */
        size_t count, cap;
    } assumed;
    Dim total;        /* of all nodes, with symbols */
    bool total_known; /* false: too large an expression */
    size_t uncounted; /* nodes whose work is not known */
} Modules;

/* Work is counted for a batch of one, that is 1 for the first axis of an input, and for 128
 * along every other axis that is open. */
enum { ASSUMED_BATCH = 1, ASSUMED_SIZE = 128 };

/* Of an inferred model; items is NULL when memory is refused. */
void modules_find(Modules *s, Model *m);

/* Sets the kind of every module: what they hold and compute is alike, in shapes, too. */
void modules_find_kinds(Modules *s);

/* How many parts from p on, p itself among them, are alike: siblings side by side with the
 * same class, parameters and work, numbered by the last part of their paths. */
size_t modules_alike(const Modules *s, const Part *p);
/* Some parameter or some work is in it. */
bool module_matters(const Modules *s, const Part *p);

#endif
