/* Finds the embedded Python helpers by name. */
#include "python/helpers.h"

const Helper *helper_named(Str name) {
    size_t low = 0, high = HELPER_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, str_from(HELPERS[middle].name));
        if (order == 0)
            return &HELPERS[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* A helper is its name, parameters and their defaults in turn, names, and its text. */
const char *helper_next(const char *word) {
    return word + strlen(word) + 1;
}

static const char *behind_list(const char *word) {
    while (*word)
        word = helper_next(word);
    return word + 1;
}

static const char *defaults_of(const Helper *helper) {
    return helper_next(helper->name);
}

const char *helper_default(const Helper *helper, Str parameter) {
    for (const char *d = defaults_of(helper); *d; d = helper_next(helper_next(d)))
        if (str_is(parameter, d))
            return helper_next(d);
    return NULL;
}

const char *helper_names(const Helper *helper) {
    return behind_list(defaults_of(helper));
}

Str helper_text(const Helper *helper) {
    return str_from(behind_list(helper_names(helper)));
}
