/* The Python helpers that generated modules may contain: real files in src/python/lib
 * (nest in python/oxide_xla), embedded by tools/embed_helpers.c. */
#ifndef OX_PYTHON_HELPERS_H
#define OX_PYTHON_HELPERS_H

#include "support/base.h"

/* Words that end with a NUL each: they lie beside each other, as every address would take
 * more room in a program than the word.  An empty one ends a list. */
typedef struct Helper {
    const char *name;
    bool recursive; /* it names itself */
} Helper;

extern const Helper HELPERS[]; /* in the order of str_cmp */
extern const size_t HELPER_COUNT;

/* The helper with this name; NULL when there is none. */
const Helper *helper_named(Str name);

/* The default of a parameter as its definition has it, a word or a literal with numbers as
 * emission writes them; NULL where it has none, or one that is computed. */
const char *helper_default(const Helper *helper, Str parameter);

/* The names that it reads and does not bind, as a list. */
const char *helper_names(const Helper *helper);

/* The word behind, of a list. */
const char *helper_next(const char *word);

/* Its lines, with what is above its definition; a NUL follows. */
Str helper_text(const Helper *helper);

#endif
