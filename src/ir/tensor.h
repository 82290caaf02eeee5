/* Tensors of a model: parameters, literals, and what attributes hold. */
#ifndef OX_IR_TENSOR_H
#define OX_IR_TENSOR_H

#include "support/diag.h"
#include "support/dtype.h"
#include "support/source.h"

/* Its bytes are little-endian and row-major, elements of less than 8 bits packed from
 * the lowest bits on; strings have none.  They are in memory (a mapped file, or what the
 * compiler has made), or else in a source that reads them when they are asked for. */
typedef struct Tensor {
    Str name;
    DType dtype;
    int rank;
    const int64_t *dims;
    int64_t count;      /* elements */
    Strs strings;       /* dtype STRING */
    uint64_t size;      /* bytes; 0 also where they cannot be reached */
    const char *memory; /* NULL: they are only in `source` */
    Source *source;     /* the file that holds the bytes as they are, at `offset`; NULL:
                           none does: see tensor_is_absent */
    uint64_t offset;
} Tensor;

/* Zero but for `values`, which lie at `indices`. */
typedef struct Sparse {
    const Tensor *values, *indices;
    int rank;
    const int64_t *dims;
} Sparse;

/* Equal in type, shape and bytes, and of numbers; either may be NULL.  Bytes that must be
 * read are compared from the front, 256 of them first: most tensors differ there. */
bool tensor_same(const Tensor *a, const Tensor *b);
/* The model says what it is, and a checkpoint has its bytes: nothing may depend on them. */
bool tensor_is_absent(const Tensor *t);
/* More than one element, all of the same bytes; of types of whole bytes. */
bool tensor_is_uniform(const Tensor *t);
/* Copies bytes [at, at + n) of the data; false when it has no such bytes, or they cannot
 * be read. */
bool tensor_read(const Tensor *t, uint64_t at, void *to, size_t n);
/* Element i as it is stored, of a type of at most 64 bits; of a complex one the real
 * part.  i < t->count, and the data can be reached. */
uint64_t tensor_bits(const Tensor *t, int64_t i);
/* Bytes of so many elements; false when the number does not fit in 64 bits. */
bool tensor_size(DType dtype, int64_t count, uint64_t *size);
/* Says that the data are these bytes, which live as long as the tensor. */
void tensor_set_memory(Tensor *t, const void *data, size_t size);

/* Element i of a numeric tensor as a double or an integer; i < t->count.  Handles every
 * non-string type, packed 2- and 4-bit types included. Complex gives the real part. */
double tensor_f64(const Tensor *t, int64_t i);
int64_t tensor_i64(const Tensor *t, int64_t i);

/* `tensor "name"`, for messages. */
Str tensor_where(Arena *arena, const Tensor *t);
/* A name of the model in quotes, cut when very long. */
Str quoted_name(Arena *arena, Str name);

/* The dense tensor with these values, zero elsewhere, in the arena.  NULL with a
 * diagnostic when indices are malformed, out of order or out of range, when the data
 * could not be reached, or when the dense form takes more than 1 MiB and more than 4096
 * times the bytes of its values. */
const Tensor *sparse_to_dense(Arena *arena, Diags *diags, const Sparse *s);

#endif
