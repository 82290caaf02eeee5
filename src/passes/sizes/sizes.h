/* What the options say of sizes and inputs: --shape, --bound, --input-value. */
#ifndef OX_PASSES_SIZES_SIZES_H
#define OX_PASSES_SIZES_SIZES_H

#include "ops/core/engine.h"

/* Replaces the shape of a graph input before inference ("x=8,3,h,w"): integers, names of
 * symbols, or ? for a fresh one.  Reports OX0003 when name or rank is wrong. */
void infer_override_input(Model *m, Str spec);
/* Bounds the size of a value that depends on data, before inference ("indices=100").
 * Reports OX0003 when there is no such value; inference does when it has no such size. */
void infer_bound_value(Model *m, Str spec);
/* Fixes a graph input before inference ("x=3", "x=[1,2]"): it becomes a literal, and the
 * graph has one input less.  Reports OX0003 when there is no such input, or the value
 * does not fit it. */
void infer_give_input(Model *m, Str spec);

/* All that --shape and --input-value say. */
typedef struct Overrides {
    const char *const *specs;
    size_t count;
    const char *const *values;
    size_t value_count;
    const Model *untouched; /* the model before any of them; it stays so */
} Overrides;

/* Reports (OX0405) when a size of 1 that an override changes is more than the size of an
 * input: the first node that would drop, mix or merge what becomes more than one row.
 * Call it before the overrides. */
void infer_check_overrides(Model *m, const Overrides *o);

/* Makes what follows the values that have a bound ignore their padding, or reports
 * (OX0415) the first node that cannot.  Call it before inference, after the bounds and
 * overrides, with the latter. */
void infer_hide_padding(Model *m, const Overrides *o);

/* Makes a decoder whose past and present spec names ("past.*=present.*:512") a step that
 * writes into a cache of a fixed length, or reports (OX0416) the node that sees more than
 * what is there.  Call it before inference, after the overrides. */
void infer_step(Model *m, Str spec);

/* What the file declares of values that nodes make is not looked at: it follows from
 * other sizes of inputs. */
void infer_forget_shapes(Model *m);

#endif
