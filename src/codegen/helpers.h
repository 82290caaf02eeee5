/* The Python helpers that generated modules may contain: real files in src/codegen/py,
 * embedded by cmake/embed_py.cmake.  codegen_helper of codegen.h looks them up. */
#ifndef OX_CODEGEN_HELPERS_H
#define OX_CODEGEN_HELPERS_H

#include "support/base.h"

typedef struct HelperFile {
    const char *name; /* NULL ends the table */
    const char *text;
    size_t size;
} HelperFile;

extern const HelperFile HELPER_FILES[];

typedef struct HelperName {
    Str name;
    size_t file; /* index into HELPER_FILES */
} HelperName;

extern const HelperName HELPER_NAMES[]; /* in the order of str_cmp */
extern const size_t HELPER_NAME_COUNT;

/* Name of the i-th helper, in the order of files and text; empty past the last. */
Str codegen_helper_name(size_t i);

#endif
