/* What stands behind OxCompiler, for the files src/api*.c. */
#ifndef OX_API_API_H
#define OX_API_API_H

#include "emit/codegen.h"
#include "onnx/onnx.h"
#include "support/diag.h"
#include "support/file.h"
#include "weights/weights.h"

typedef struct Timings {
    OxTiming *items;
    size_t count, cap;
} Timings;

/* A file that was given: the model's own, or one beside it with external data. */
typedef struct Input {
    Source *source; /* `number` is the place in the list */
    Str location;   /* beside the model; empty for its own */
#ifndef OX_NO_FILES
    FileMap map; /* what the source lies in, if it is a file that we have opened */
#endif
} Input;

typedef struct Inputs {
    Input *items;
    size_t count, cap;
} Inputs;

struct OxCompiler {
    Arena arena; /* of everything below and of all results */
    Diags diags;
    bool has_input;
    OxStatus loaded;  /* of the one load, once has_input */
    Str file;         /* base name of the model file; empty for standard input */
    const char *path; /* external data lies beside it; NULL for a model from memory */
    PbModel *pb;
    Inputs inputs;
    ReadWindow window; /* of those that a caller reads */
    OxFolder beside;   /* opens external data for ox_load_reader */
#ifndef OX_NO_FILES
    atomic_bool stop; /* writing is to end: see ox_interrupt */
#endif
    Str fingerprint; /* made on first use */
    Module module;
    OxParam *params; /* module.n_params entries */
    bool compiled;   /* module and params are there */
    Str line_map;    /* made on first use */
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

void api_close_inputs(OxCompiler *c);
/* Whether all reads of this call have succeeded.  Otherwise it reports the first that did
 * not, and no later call works. */
bool api_check_reads(OxCompiler *c);

/* Whether there are results to write; false after a message. */
bool api_is_compiled(OxCompiler *c);
/* Plans the weights file that will be at this path; an index needs one.  false when the
 * format cannot hold a parameter, a checksum could not be read, or memory was refused. */
bool api_plan_weights(OxCompiler *c, const char *path, OxWeightFormat format,
                      WeightPlan *plan);

#ifndef OX_NO_FILES
/* Marks the entries whose bytes an index at this path can refer to, and lists the files
 * in which they lie.  false after a message, or when memory was refused. */
bool api_refer(OxCompiler *c, const char *index, WeightEntry *entries, size_t n,
               WeightFiles *files);
#endif

#endif
