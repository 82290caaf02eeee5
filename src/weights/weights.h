/* Weights files: safetensors and npz, planned as a list of segments so that the bytes
 * of tensors are never copied into memory: a writer sends each segment from where it
 * lies.  Source: the safetensors format (8-byte header length, JSON, data without gaps);
 * zip and npy (numpy.lib.format 1.0). */
#ifndef OX_WEIGHTS_WEIGHTS_H
#define OX_WEIGHTS_WEIGHTS_H

#include "ir/tensor.h"

/* A file of the model in which parameters stay. */
typedef struct WeightFile {
    Str path; /* from the folder of the weights file; UTF-8 */
    uint64_t size;
} WeightFile;

typedef struct WeightFiles {
    WeightFile *items;
    size_t count;
} WeightFiles;

typedef struct WeightEntry {
    Str key;
    const Tensor *tensor; /* not of strings: JAX has no such arrays */
    bool exported;        /* not as PyTorch's state_dict has it: the file will say so */
    const WeightFile *file; /* where the bytes stay, at tensor->offset; NULL: copied */
    uint32_t sample;        /* crc_sample of bytes that stay */
} WeightEntry;

/* A run of output bytes, in memory, in a file of the model, or both. */
typedef struct WeightSegment {
    uint64_t size;
    const char *memory; /* NULL: only in `source` */
    Source *source;     /* where they are at `offset`; NULL: only in memory */
    uint64_t offset;
} WeightSegment;

typedef struct WeightPlan {
    WeightSegment *items;
    size_t count, cap;
    uint64_t total;      /* bytes of the whole file */
    const size_t *order; /* n indices into entries: the order of the data in the file */
    const char *error;   /* why the format cannot hold an entry; NULL: memory */
    size_t error_entry;  /* that entry */
} WeightPlan;

/* Plans the file.  Entries are laid out by element size, largest first, so that each
 * lies on its element size; equal sizes keep the order of `entries`.  Element types
 * that the format lacks are stored as plain bytes with a note under the name
 * "oxide_xla.packed" that load_params understands.
 * false when memory was refused or when the format cannot hold an entry: plan->error.
 */
bool weights_plan(Arena *arena, const WeightEntry *entries, size_t n,
                  OxWeightFormat format, WeightPlan *plan);

/* Plans a safetensors file that holds the entries without a file of their own, and a
 * note under the name "oxide_xla.reference" about the others: where they lie in `files`
 * and how to tell that those changed. */
bool weights_plan_reference(Arena *arena, const WeightEntry *entries, size_t n,
                            const WeightFiles *files, WeightPlan *plan);

#endif
