/* The seal of a generated file: a line at its top by which edits below are noticed, so
 * that compiling again does not overwrite somebody's work. */
#ifndef OX_PYTHON_SEAL_H
#define OX_PYTHON_SEAL_H

#include "support/arena.h"

/* The seal over the n parts of the file, above it and below it, one after the other. */
Str seal_make(Arena *arena, const Str *parts, size_t n);

typedef enum SealState {
    SEAL_HOLDS,   /* the file is as it was generated, or holds nothing */
    SEAL_BROKEN,  /* it was generated, and edited since */
    SEAL_MISSING, /* nothing says that it was generated */
} SealState;

/* What the text of a file says.  Carriage returns do not count: version control and
 * editors may change line ends. */
SealState seal_check(Str file);

#endif
