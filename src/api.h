/* What stands behind OxCompiler, for the files src/api*.c. */
#ifndef OX_API_H
#define OX_API_H

#include "codegen/codegen.h"
#include "support/diag.h"
#include "support/file.h"
#include "weights/weights.h"

typedef struct Timings {
    OxTiming *items;
    size_t count, cap;
} Timings;

#ifndef OX_NO_FILES
/* items[k] is the file in which a tensor with source == k lies. */
typedef struct Sources {
    FileMap *items;
    size_t count, cap;
    bool borrowed; /* the model's bytes belong to the caller */
} Sources;
#endif

struct OxCompiler {
    Arena arena; /* of everything below and of all results */
    Diags diags;
    bool has_input;
    OxStatus loaded;  /* of the one load, once has_input */
    Str bytes;        /* the serialized model */
    Str file;         /* base name of the model file; empty for standard input */
    const char *path; /* external data lies beside it; NULL for a model from memory */
    PbModel *pb;
#ifndef OX_NO_FILES
    Sources sources;
    PbStrings locations; /* of sources.items[1], ... beside the model */
    atomic_bool stop;    /* writing is to end: see ox_interrupt */
#endif
    Str fingerprint; /* made on first use */
    Module module;
    OxParam *params; /* module.n_params entries */
    bool compiled;   /* module and params are there */
    Str dump;
    Str summary;
    Timings timings;
    size_t load_timings; /* how many of them belong to loading */
};

/* Starts a call on a loaded model: forgets the status and timings of the last one, but
 * not its messages.  Anything but OX_OK is to be returned at once. */
OxStatus api_begin(OxCompiler *c);

/* Seconds on a clock that only goes forward; 0 where there is none. */
double api_clock(void);
/* Notes the time since `start` under a name that lives for ever. */
void api_timing(OxCompiler *c, const char *stage, double start);

/* What was compiled, in one line for people. */
Str api_summary(Arena *arena, const Model *model, const Module *module);

/* Whether the model lies in a file, as an index needs it; false after a message. */
bool api_can_refer(OxCompiler *c);

#ifndef OX_NO_FILES
void api_close_sources(OxCompiler *c);

/* Marks the entries whose bytes an index at this path can refer to, and lists the files
 * in which they lie.  false after a message, or when memory was refused. */
bool api_refer(OxCompiler *c, const char *index, WeightEntry *entries, size_t n,
               WeightFiles *files);
#endif

#endif
