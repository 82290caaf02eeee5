/* The Python helpers that generated modules may contain: real files in src/python/lib
 * (nest in python/oxide_xla), embedded by tools/embed_helpers.c. */
#ifndef OX_PYTHON_HELPERS_H
#define OX_PYTHON_HELPERS_H

#include "support/base.h"

/* A parameter whose default is a word or a literal; numbers as emission writes them. */
typedef struct HelperDefault {
    Str name;
    const char *value; /* Python */
    double number;     /* of one with a point or an exponent; else NaN */
} HelperDefault;

typedef struct Helper {
    Str name;
    Str text;         /* its lines, with what is above its definition; a NUL follows */
    const Str *names; /* that it reads and does not bind; an empty one ends them */
    const HelperDefault *defaults; /* an empty name ends them */
    bool recursive;                /* it names itself */
} Helper;

extern const Helper HELPERS[]; /* in the order of str_cmp */
extern const size_t HELPER_COUNT;

/* The helper with this name; NULL when there is none. */
const Helper *helper_named(Str name);

/* The default of a parameter as its definition has it; NULL where it has none, or one that
 * is computed. */
const HelperDefault *helper_default(const Helper *helper, Str parameter);

#endif
