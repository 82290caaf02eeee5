/* The messages of onnx.proto as plain structs.  Strings and tensor bytes are slices of
 * the input; arrays of structs live in the arena.  Unknown fields are skipped, as
 * protobuf demands.
 * Source: onnx.proto (IR version 13). */
#ifndef OX_PARSER_ONNX_H
#define OX_PARSER_ONNX_H

#include "support/diag.h"
#include "support/dtype.h"

enum { PB_DEPTH_MAX = 64 }; /* nesting of graphs, functions and types */

typedef struct PbStrings {
    Str *items;
    size_t count, cap;
} PbStrings;

typedef struct PbEntry { /* StringStringEntryProto */
    Str key, value;
} PbEntry;

typedef struct PbEntries {
    PbEntry *items;
    size_t count, cap;
} PbEntries;

/* TensorProto, normalised: `data` is always the little-endian layout of raw_data,
 * whichever field the file used, except for strings.  When the file holds that layout
 * already (raw_data, or one packed float_data / double_data), it is a slice of the
 * input and `offset` its position in the file `source`; other encodings are decoded
 * into the arena. */
typedef struct Tensor {
    Str name;
    DType dtype;
    int rank;
    const int64_t *dims;
    int64_t count; /* elements */
    Str data;
    PbStrings strings; /* dtype STRING */
    bool external;     /* data lies in another file, see location */
    Str location;      /* relative path; empty unless external */
    uint64_t ext_offset, ext_length;
    bool ext_has_length;
    uint32_t
        source; /* 0: the model file, k: the k-th external file; see onnx_resolve */
    uint64_t offset; /* of data in that file; OX_NO_OFFSET when decoded */
    Str doc;
    PbEntries metadata;
} Tensor;

#define OX_NO_OFFSET UINT64_MAX

typedef struct PbSparse { /* SparseTensorProto */
    Tensor values, indices;
    int rank;
    const int64_t *dims;
} PbSparse;

typedef enum PbDimKind { PB_DIM_UNKNOWN, PB_DIM_VALUE, PB_DIM_PARAM } PbDimKind;

typedef struct PbDim {
    PbDimKind kind;
    int64_t value;
    Str param;
} PbDim;

typedef enum PbTypeKind {
    PB_TYPE_NONE,
    PB_TYPE_TENSOR,
    PB_TYPE_SEQUENCE,
    PB_TYPE_MAP,
    PB_TYPE_OPTIONAL,
    PB_TYPE_SPARSE,
} PbTypeKind;

typedef struct PbType { /* TypeProto */
    PbTypeKind kind;
    DType dtype;    /* tensor, sparse: element; map: key */
    bool has_shape; /* tensor, sparse */
    PbDim *dims;
    size_t rank;
    const struct PbType *elem; /* sequence, optional: element; map: value */
} PbType;

typedef struct PbValue { /* ValueInfoProto */
    Str name, doc;
    PbType type;
    PbEntries metadata;
} PbValue;

typedef struct PbValues {
    PbValue *items;
    size_t count, cap;
} PbValues;

typedef enum AttrType { /* AttributeProto.AttributeType */
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

typedef struct PbAttr { /* AttributeProto */
    Str name, doc;
    Str ref; /* ref_attr_name: value comes from the caller of the function */
    AttrType type;
    float f;
    int64_t i;
    Str s;
    const Tensor *t;
    const struct PbGraph *g;
    const PbSparse *sparse;
    const PbType *tp;
    struct {
        float *items;
        size_t count, cap;
    } floats;
    struct {
        int64_t *items;
        size_t count, cap;
    } ints;
    PbStrings strings;
    struct {
        Tensor *items;
        size_t count, cap;
    } tensors;
    struct {
        struct PbGraph *items;
        size_t count, cap;
    } graphs;
    struct {
        PbSparse *items;
        size_t count, cap;
    } sparses;
    struct {
        PbType *items;
        size_t count, cap;
    } types;
} PbAttr;

typedef struct PbNode { /* NodeProto */
    PbStrings inputs, outputs;
    Str name, op_type, domain, overload, doc;
    struct {
        PbAttr *items;
        size_t count, cap;
    } attrs;
    Str metadata_bytes; /* see onnx_node_metadata: most nodes are never asked */
    uint64_t offset;    /* of the message in the file, for messages */
} PbNode;

typedef struct PbQuant { /* TensorAnnotation */
    Str tensor;
    PbEntries params;
} PbQuant;

typedef struct PbGraph { /* GraphProto */
    Str name, doc;
    struct {
        PbNode *items;
        size_t count, cap;
    } nodes;
    struct {
        Tensor *items;
        size_t count, cap;
    } initializers;
    struct {
        PbSparse *items;
        size_t count, cap;
    } sparse_initializers;
    PbValues inputs, outputs, value_info;
    struct {
        PbQuant *items;
        size_t count, cap;
    } quantization;
    PbEntries metadata;
} PbGraph;

typedef struct PbOpset { /* OperatorSetIdProto */
    Str domain;          /* "" and "ai.onnx" are the same */
    int64_t version;
} PbOpset;

typedef struct PbOpsets {
    PbOpset *items;
    size_t count, cap;
} PbOpsets;

typedef struct PbFunction { /* FunctionProto */
    Str name, domain, overload, doc;
    PbStrings inputs, outputs, attr_names;
    struct {
        PbAttr *items;
        size_t count, cap;
    } attr_defaults;
    struct {
        PbNode *items;
        size_t count, cap;
    } nodes;
    PbOpsets opsets;
    PbValues value_info;
    PbEntries metadata;
} PbFunction;

typedef struct PbModel { /* ModelProto */
    int64_t ir_version, model_version;
    Str producer_name, producer_version, domain, doc;
    PbOpsets opsets;
    PbGraph graph;
    bool has_graph;
    size_t size; /* of the message in bytes */
    struct {
        PbFunction *items;
        size_t count, cap;
    } functions;
    PbEntries metadata;
} PbModel;

/* Parses a serialized ModelProto.  Reports to `diags` (OX0101..OX0104, and OX0303 for
 * an attribute without the value that its type promises) and returns NULL when it is
 * malformed or memory ran out. */
PbModel *onnx_parse(Arena *arena, Diags *diags, Str bytes);

/* metadata_props of a node, parsed on demand.  Malformed entries are left out. */
PbEntries onnx_node_metadata(Arena *arena, const PbNode *node);
/* The value of one metadata entry of a node, without allocation; empty when absent. */
Str onnx_node_metadata_get(const PbNode *node, Str key);

/* Gives tensors with external data their bytes.  `open` maps the file `location` that
 * lies beside the model and returns false (after adding a diagnostic) when it cannot;
 * each location is opened once.  `files` receives the locations, so that
 * Tensor.source == k means files->items[k - 1].  NULL `open`: OX0005 for each. */
typedef bool (*OnnxOpen)(void *user, Diags *diags, Str location, Str *bytes);
void onnx_resolve(Arena *arena, Diags *diags, PbModel *model, OnnxOpen open, void *user,
                  PbStrings *files);

/* Element i of a numeric tensor as a double or an integer; i < t->count.  Handles every
 * non-string type, packed 2- and 4-bit types included. Complex gives the real part. */
double tensor_f64(const Tensor *t, int64_t i);
int64_t tensor_i64(const Tensor *t, int64_t i);

/* The dense tensor with these values, zero elsewhere, in the arena.  NULL with a
 * diagnostic when indices are malformed, out of order or out of range, when the data
 * could not be reached, or when the dense form takes more than 1 MiB and more than 4096
 * times the bytes of its values. */
const Tensor *sparse_to_dense(Arena *arena, Diags *diags, const PbSparse *s);

#endif
