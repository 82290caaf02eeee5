/* Finds the embedded Python helpers by name. */
#include "python/helpers.h"

const Helper *helper_named(Str name) {
    size_t low = 0, high = HELPER_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, HELPERS[middle].name);
        if (order == 0)
            return &HELPERS[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const HelperDefault *helper_default(const Helper *helper, Str parameter) {
    for (const HelperDefault *d = helper->defaults; d->name.n; d++)
        if (str_eq(d->name, parameter))
            return d;
    return NULL;
}
