/* Edit distance in three rows, in the form that counts a swap of two neighbours as one
 * edit (optimal string alignment). */
#include "support/nearest.h"

enum { LENGTH_MAX = 120 };

static unsigned char fold(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same(Str a, size_t i, Str b, size_t j) {
    return fold(a.p[i]) == fold(b.p[j]);
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t str_distance(Str a, Str b) {
    size_t rows[3][LENGTH_MAX + 1];
    if (a.n > LENGTH_MAX || b.n > LENGTH_MAX)
        return SIZE_MAX;
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 0; i < a.n; i++) {
        size_t *free_row = before;
        before = above, above = row, row = free_row;
        row[0] = i + 1;
        for (size_t j = 0; j < b.n; j++) {
            size_t cost = above[j] + !same(a, i, b, j);
            cost = least(cost, least(above[j + 1], row[j]) + 1);
            bool swapped =
                i > 0 && j > 0 && same(a, i, b, j - 1) && same(a, i - 1, b, j);
            row[j + 1] = swapped ? least(cost, before[j - 1] + 1) : cost;
        }
    }
    return row[b.n];
}

void nearest_offer(Nearest *n, Str candidate) {
    size_t limit = n->best.n ? n->distance : 2 + n->wanted.n / 4;
    size_t gap = candidate.n > n->wanted.n ? candidate.n - n->wanted.n
                                           : n->wanted.n - candidate.n;
    if (candidate.n == 0 || gap >= limit)
        return;
    size_t distance = str_distance(n->wanted, candidate);
    /* A name with nothing in common with what was typed helps nobody. */
    if (distance >= limit || distance >= n->wanted.n)
        return;
    n->best = candidate;
    n->distance = distance;
}
