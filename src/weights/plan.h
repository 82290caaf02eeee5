/* What the two weights formats share: the list under construction and the order. */
#ifndef OX_WEIGHTS_PLAN_H
#define OX_WEIGHTS_PLAN_H

#include "weights/weights.h"

/* Data starts at a multiple of this, a cache line and the widest vector register. */
enum { WEIGHTS_ALIGN = 64 };

#define WEIGHTS_NOTE "oxide_xla.packed"
#define WEIGHTS_LAYOUT "oxide_xla.layout"
#define WEIGHTS_REFERENCE "oxide_xla.reference"

typedef struct Planner {
    Arena *arena;
    const WeightEntry *entries; /* in data order */
    size_t n;
    WeightPlan *plan;
    const WeightFiles *files; /* NULL: every entry is copied */
} Planner;

void plan_bytes(Planner *p, Str bytes);
void plan_tensor(Planner *p, const Tensor *tensor);
/* The first such error stays. */
void plan_error(Planner *p, size_t i, const char *why);
/* The note: {"key": {"dtype": "int4", "shape": [3, 5], "bits": 4}, ...} of the entries
 * that are copied and whose type `native` does not know; nothing when there are none.
 * "bits" is there when elements share bytes. */
void plan_note(Planner *p, bool (*native)(DType), Text *t);
/* The note about entries that stay in their files: {"files": [{"path": "../m.onnx",
 * "size": 9}, ...], "params": {"key": {"dtype": "float32", "shape": [2], "file": 0,
 * "data_offsets": [1, 9], "crc32": 7}, ...}}. */
void plan_reference_note(const Planner *p, Text *t);
/* "2, 3": the dimensions of a tensor. */
void plan_shape(Text *t, const Tensor *tensor);

void plan_safetensors(Planner *p);
void plan_npz(Planner *p);

#endif
