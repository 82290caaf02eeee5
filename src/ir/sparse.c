/* Sparse tensors as dense ones: JAX code has arrays, and what exporters store sparsely
 * is small.
 * Source: onnx.proto, SparseTensorProto. */
#include "ir/tensor.h"

/* A few bytes of a file may not claim all memory: the dense form may take this much,
 * or this many times what the values take. */
enum { DENSE_FREE = 1 << 20, DENSE_RATIO = 4096 };

static const char UNREACHABLE[] = "the data of a sparse tensor cannot be reached";

static const char *bad_form(const Sparse *s) {
    const Tensor *values = s->values, *indices = s->indices;
    bool flat = indices->rank == 1;
    if (values->rank != 1 || values->dtype == DT_STRING)
        return "the values of a sparse tensor are not a list of numbers";
    if (indices->rank < 1 || indices->rank > 2 || indices->dims[0] != values->count ||
        (!flat && indices->dims[1] != s->rank))
        return "the indices of a sparse tensor do not match its values";
    if ((values->count > 0 && values->size == 0) ||
        (indices->count > 0 && indices->size == 0))
        return UNREACHABLE;
    return NULL;
}

/* Position of the i-th value in the dense tensor; -1 when an index is out of range. */
static int64_t position(const Sparse *s, int64_t count, int64_t i) {
    if (s->indices->rank == 1) {
        int64_t at = tensor_i64(s->indices, i);
        return at < count ? at : -1;
    }
    int64_t at = 0;
    for (int k = 0; k < s->rank; k++) {
        int64_t index = tensor_i64(s->indices, i * s->rank + k);
        if (index < 0 || index >= s->dims[k])
            return -1;
        at = at * s->dims[k] + index; /* below count, which fits */
    }
    return at;
}

/* Where element i of less than 8 bits begins: a byte, and a bit in it. */
static int64_t byte_of(int64_t i, unsigned bits, unsigned *shift) {
    *shift = (unsigned)(i % 8) * bits % 8;
    return i / 8 * bits + (int64_t)((unsigned)(i % 8) * bits / 8);
}

/* false when the value cannot be read. */
static bool put(char *dense, int64_t at, const Tensor *values, int64_t i) {
    unsigned bits = (unsigned)dtype_info(values->dtype)->bits;
    if (bits >= 8) {
        size_t size = bits / 8;
        return tensor_read(values, (uint64_t)i * size, dense + at * (int64_t)size,
                           size);
    }
    unsigned shift;
    char *byte = dense + byte_of(at, bits, &shift);
    unsigned word = (unsigned)tensor_bits(values, i) << shift;
    byte[0] = (char)((unsigned char)byte[0] | (word & 255));
    if (word > 255)
        byte[1] = (char)((unsigned char)byte[1] | word >> 8);
    return true;
}

static const char *fill(const Sparse *s, int64_t count, char *dense) {
    int64_t last = -1;
    for (int64_t i = 0; i < s->values->count; i++) {
        int64_t at = position(s, count, i);
        if (at < 0)
            return "an index of a sparse tensor is out of range";
        if (at <= last)
            return "the indices of a sparse tensor are not in ascending order";
        if (!put(dense, at, s->values, i))
            return UNREACHABLE;
        last = at;
    }
    return NULL;
}

static bool dense_count(const Sparse *s, int64_t *count) {
    *count = 1;
    for (int k = 0; k < s->rank; k++)
        if (__builtin_mul_overflow(*count, s->dims[k], count))
            return false;
    return true;
}

static bool small_enough(const Sparse *s, uint64_t dense) {
    return dense <= DENSE_FREE || dense / DENSE_RATIO <= s->values->size;
}

/* Sets the data and its count; NULL or what is wrong. */
static const char *expand(Arena *arena, const Sparse *s, Tensor *t) {
    const char *problem = bad_form(s);
    uint64_t size;
    if (problem)
        return problem;
    if (!dense_count(s, &t->count) || !tensor_size(t->dtype, t->count, &size) ||
        !small_enough(s, size) || size > SIZE_MAX)
        return "the dense form of a sparse tensor is too large";
    char *data = arena_alloc(arena, (size_t)size);
    tensor_set_memory(t, data, (size_t)size);
    return data ? fill(s, t->count, data) : NULL;
}

const Tensor *sparse_to_dense(Arena *arena, Diags *diags, const Sparse *s) {
    Tensor *t = ARENA_NEW(arena, Tensor);
    if (!t)
        return NULL;
    *t = (Tensor){.name = s->values->name,
                  .dtype = s->values->dtype,
                  .rank = s->rank,
                  .dims = s->dims};
    const char *problem = expand(arena, s, t);
    if (problem)
        diag_add(diags, OX0103, tensor_where(arena, t), STR("store it densely"), "%s",
                 problem);
    return problem || arena->failed ? NULL : t;
}
