/* Making and comparing attributes. */
#include "ir/attr.h"

Attr attr_of_int(Str name, int64_t i) {
    return (Attr){.name = name, .type = ATTR_INT, .i = i};
}

Attr attr_of_float(Str name, double f) {
    return (Attr){.name = name, .type = ATTR_FLOAT, .f = (float)f};
}

Attr attr_of_string(Str name, Str s) {
    return (Attr){.name = name, .type = ATTR_STRING, .s = s};
}

Attr attr_of_ints(Arena *arena, Str name, const int64_t *v, size_t n) {
    Attr a = {.name = name, .type = ATTR_INTS};
    int64_t *items = ARENA_ARRAY(arena, n, int64_t);
    if (!n || !items)
        return a;
    memcpy(items, v, n * sizeof *v);
    a.ints.items = items;
    a.ints.count = n;
    return a;
}

static bool same_bytes(const void *a, const void *b, size_t n) {
    return n == 0 || memcmp(a, b, n) == 0;
}

bool attr_same(const Attr *a, const Attr *b) {
    if (!str_eq(a->name, b->name) || a->type != b->type)
        return false;
    switch (a->type) {
    case ATTR_FLOAT:
        return same_bytes(&a->f, &b->f, sizeof a->f);
    case ATTR_INT:
        return a->i == b->i;
    case ATTR_STRING:
        return str_eq(a->s, b->s);
    case ATTR_TENSOR:
        return tensor_same(a->t, b->t);
    case ATTR_FLOATS:
        return a->floats.count == b->floats.count &&
               same_bytes(a->floats.items, b->floats.items,
                          a->floats.count * sizeof(float));
    case ATTR_INTS:
        return a->ints.count == b->ints.count &&
               same_bytes(a->ints.items, b->ints.items,
                          a->ints.count * sizeof(int64_t));
    default:
        return false;
    }
}
