/* Sizes and bytes of tensors, and their names in messages. */
#include "ir/tensor.h"

Str quoted_name(Arena *arena, Str name) {
    enum { SHOWN = 120 };
    Text text = {.arena = arena};
    text_char(&text, '"');
    text_str(&text, (Str){name.p, name.n < SHOWN ? name.n : SHOWN});
    text_lit(&text, name.n < SHOWN ? "\"" : "...\"");
    return text_view(&text);
}

Str tensor_where(Arena *arena, const Tensor *t) {
    Text text = {.arena = arena};
    text_lit(&text, "tensor ");
    text_str(&text, quoted_name(arena, t->name));
    return text_view(&text);
}

bool tensor_size(DType dtype, int64_t count, uint64_t *size) {
    uint64_t n = (uint64_t)count, bits = (uint64_t)dtype_info(dtype)->bits;
    *size = bits && bits < 8 ? n / 8 * bits + (n % 8 * bits + 7) / 8 : n;
    return bits <= 8 || !__builtin_mul_overflow(n, bits / 8, size);
}

void tensor_set_memory(Tensor *t, const void *data, size_t size) {
    t->memory = data;
    t->size = size;
}

bool tensor_read(const Tensor *t, uint64_t at, void *to, size_t n) {
    if (at > t->size || n > t->size - at)
        return false;
    if (!t->memory)
        return t->source && source_read(t->source, t->offset + at, to, n);
    if (n)
        memcpy(to, t->memory + at, n);
    return true;
}

/* Most tensors differ in the first bytes; where they do not, larger steps ask a reader
 * less often. */
enum { COMPARE_FIRST = 256, COMPARE_STEP = 8192 };

/* n bytes of one tensor, and as many of another, or of the same at another place. */
static bool same_bytes(const Tensor *a, uint64_t a_at, const Tensor *b, uint64_t b_at,
                       uint64_t n) {
    if (a->memory && b->memory)
        return n == 0 || memcmp(a->memory + a_at, b->memory + b_at, (size_t)n) == 0;
    char x[COMPARE_STEP], y[COMPARE_STEP];
    size_t step = COMPARE_FIRST;
    for (uint64_t i = 0; i < n; i += step, step = COMPARE_STEP) {
        if (step > n - i)
            step = (size_t)(n - i);
        if (!tensor_read(a, a_at + i, x, step) || !tensor_read(b, b_at + i, y, step) ||
            memcmp(x, y, step) != 0)
            return false;
    }
    return true;
}

/* The same bytes of the same file need no look. */
static bool same_place(const Tensor *a, const Tensor *b) {
    return a->source && a->source == b->source && a->offset == b->offset;
}

bool tensor_same(const Tensor *a, const Tensor *b) {
    if (a == b)
        return true;
    if (!a || !b || a->dtype != b->dtype || a->rank != b->rank ||
        a->dtype == DT_STRING || a->size != b->size)
        return false;
    if (a->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0)
        return false;
    return same_place(a, b) || same_bytes(a, 0, b, 0, a->size);
}

bool tensor_is_absent(const Tensor *t) {
    return t->size && !t->memory && !t->source;
}

bool tensor_is_uniform(const Tensor *t) {
    uint64_t one = (uint64_t)dtype_info(t->dtype)->bits / 8;
    return one && t->size > one && t->size % one == 0 &&
           same_bytes(t, 0, t, one, t->size - one);
}
