/* Which inputs and outputs of a decoder are its cache: the option --cache. */
#ifndef OX_PASSES_SIZES_STEP_H
#define OX_PASSES_SIZES_STEP_H

#include "ops/core/op.h"
#include "passes/sizes/sizes.h"

/* One array of the cache. */
typedef struct CacheTensor {
    Value *past;    /* an input of the graph */
    size_t present; /* the output of the graph that takes its place */
    Str field;      /* "key" */
    Node *write;    /* what appends to it; found by step.c */
    uint32_t out;   /* the output of it that is the present */
    int axis;       /* along which it does */
} CacheTensor;

typedef struct CacheTensors {
    CacheTensor *items;
    size_t count, cap;
    int64_t length; /* of an empty cache, unless another is asked for */
} CacheTensors;

/* Reads "past.*=present.*:512".  false after a message (OX0003). */
bool cache_tensors(Model *m, Str spec, CacheTensors *cache);

/* Infers m, and makes views of what reads a mask through index grids. */
void step_find_views(Model *m);
/* What only unread nodes read counts as unread, too. */
void step_forget_unread(Model *m);

#endif
