/* Attributes of nodes. */
#ifndef OX_IR_ATTR_H
#define OX_IR_ATTR_H

#include "ir/tensor.h"

struct Graph;
struct Type;

typedef enum AttrType { /* numbered as in ONNX */
                        ATTR_NONE = 0,
                        ATTR_FLOAT = 1,
                        ATTR_INT = 2,
                        ATTR_STRING = 3,
                        ATTR_TENSOR = 4,
                        ATTR_GRAPH = 5,
                        ATTR_FLOATS = 6,
                        ATTR_INTS = 7,
                        ATTR_STRINGS = 8,
                        ATTR_TENSORS = 9,
                        ATTR_GRAPHS = 10,
                        ATTR_SPARSE = 11,
                        ATTR_SPARSES = 12,
                        ATTR_TYPE = 13,
                        ATTR_TYPES = 14,
} AttrType;

/* The member that goes with `type` is set, the others are zero.  No operator has lists
 * of tensors or types: of such an attribute there is only the name. */
typedef struct Attr {
    Str name;
    AttrType type;
    float f;
    int64_t i;
    Str s;
    const Tensor *t;
    const Sparse *sparse;
    const struct Type *tp; /* its unknown dimensions are no value's */
    struct {
        const float *items;
        size_t count;
    } floats;
    struct {
        const int64_t *items;
        size_t count;
    } ints;
    struct {
        const Str *items;
        size_t count;
    } strings;
    struct Graph **graphs; /* of ATTR_GRAPH one */
    size_t graph_count;
} Attr;

/* Attributes that passes make. `name` and `s` must live as long as the model. */
Attr attr_of_int(Str name, int64_t i);
Attr attr_of_float(Str name, double f);
Attr attr_of_string(Str name, Str s);
/* The list is copied; it is empty when memory is refused. */
Attr attr_of_ints(Arena *arena, Str name, const int64_t *v, size_t n);

/* Equal names and values.  Attributes that hold graphs, types or lists of strings are
 * taken as different. */
bool attr_same(const Attr *a, const Attr *b);

#endif
