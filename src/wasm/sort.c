/* Sorting and searching as simply as may be: nothing of ours is long. */
#include <stdlib.h>
#include <string.h>

typedef int Compare(const void *a, const void *b);

static void swap(char *a, char *b, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = a[i];
        a[i] = b[i];
        b[i] = c;
    }
}

/* Lets the item at `at` sink to its place in the heap. */
static void sink(char *items, size_t at, size_t count, size_t size, Compare *compare) {
    for (size_t kid; (kid = 2 * at + 1) < count; at = kid) {
        if (kid + 1 < count &&
            compare(items + kid * size, items + (kid + 1) * size) < 0)
            kid++;
        if (compare(items + at * size, items + kid * size) >= 0)
            return;
        swap(items + at * size, items + kid * size, size);
    }
}

/* Heapsort: in place, and never worse than n log n. */
void qsort(void *items, size_t count, size_t size, Compare *compare) {
    for (size_t i = count / 2; i-- > 0;)
        sink(items, i, count, size, compare);
    for (size_t n = count; n-- > 1;) {
        swap(items, (char *)items + n * size, size);
        sink(items, 0, n, size, compare);
    }
}

char *strstr(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; *text; text++)
        if (strncmp(text, part, n) == 0)
            return (char *)text;
    return n ? NULL : (char *)text;
}
