/* The Python helpers that generated modules may contain: real files in src/codegen/py,
 * embedded by cmake/embed_py.cmake.  codegen_helper of codegen.h looks them up. */
#ifndef OX_CODEGEN_HELPERS_H
#define OX_CODEGEN_HELPERS_H

#include "support/arena.h"

typedef struct HelperFile {
    const char *name; /* NULL ends the table */
    const char *text;
    size_t size;
} HelperFile;

extern const HelperFile HELPER_FILES[];

/* Fills a map from every helper's name to its text (a Str *), in one pass. */
void codegen_index_helpers(Arena *a, Map *index);

/* Name of the i-th helper, in the order of files and text; empty past the last. */
Str codegen_helper_name(size_t i);

#endif
