/* The pass pipeline; pipeline.c is the list, one line a pass, in order. */
#ifndef OX_PASSES_PIPELINE_H
#define OX_PASSES_PIPELINE_H

#include "ops/core/op.h"

typedef struct PassOptions {
    const char *dump; /* print the graph after this pass into dump_text; NULL: none */
    Text *dump_text;
    bool verify; /* run graph_verify and types_verify after every pass */
    void (*timing)(void *user, const char *pass, bool start); /* may be NULL */
    void *user;
} PassOptions;

/* Runs all passes; stops after the first that reports an error. */
void passes_run(Model *m, const PassOptions *options);
/* i-th pass name, NULL past the last: for --help and --dump's check. */
const char *pass_name(size_t i);

#endif
