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
    int axis;       /* along which it does */
} CacheTensor;

typedef struct CacheTensors {
    CacheTensor *items;
    size_t count, cap;
    int64_t length; /* of an empty cache, unless another is asked for */
} CacheTensors;

/* Reads "past.*=present.*:512".  false after a message (OX0003). */
bool cache_tensors(Model *m, Str spec, CacheTensors *cache);

#endif
