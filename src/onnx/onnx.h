/* The messages of onnx.proto as plain structs.  Strings are slices of the input where
 * that is in memory, else copies in the arena; the data of tensors stay where they are.
 * Arrays of structs live in the arena.  Unknown fields are skipped, as protobuf demands.
 * Source: onnx.proto (IR version 13). */
#ifndef OX_ONNX_ONNX_H
#define OX_ONNX_ONNX_H

#include "ir/attr.h"
#include "ir/facts.h"

enum { PB_DEPTH_MAX = 64 }; /* nesting of graphs, functions and types */

/* The location of external data that the model was exported without: bridge/fx_fake.py. */
#define ONNX_CHECKPOINT "oxide_xla:checkpoint"

/* TensorProto, normalised: the data are always the little-endian layout of raw_data,
 * whichever field the file used, except for strings.  When the file holds that layout
 * already (raw_data, or one packed float_data / double_data), they stay there; other
 * encodings are decoded into the arena. */
typedef struct PbTensor {
    Tensor t;
    bool external; /* data lies in another file: see onnx_resolve */
    Str location;  /* relative path; empty unless external */
    uint64_t ext_offset, ext_length;
    bool ext_has_length;
    Str doc;
    Entries metadata;
} PbTensor;

typedef struct PbSparse { /* SparseTensorProto */
    PbTensor values, indices;
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
    Entries metadata;
} PbValue;

typedef struct PbValues {
    PbValue *items;
    size_t count, cap;
} PbValues;

typedef struct PbAttr { /* AttributeProto */
    Str name, doc;
    Str ref; /* ref_attr_name: value comes from the caller of the function */
    AttrType type;
    float f;
    int64_t i;
    Str s;
    const PbTensor *t;
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
    Strs strings;
    struct {
        PbTensor *items;
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
    Strs inputs, outputs;
    Str name, op_type, domain, overload, doc;
    struct {
        PbAttr *items;
        size_t count, cap;
    } attrs;
    Span metadata;   /* see onnx_node_metadata: most nodes are never asked */
    uint64_t offset; /* of the message in the file, for messages */
} PbNode;

typedef struct PbQuant { /* TensorAnnotation */
    Str tensor;
    Entries params;
} PbQuant;

typedef struct PbGraph { /* GraphProto */
    Str name, doc;
    struct {
        PbNode *items;
        size_t count, cap;
    } nodes;
    struct {
        PbTensor *items;
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
    Entries metadata;
} PbGraph;

typedef struct PbFunction { /* FunctionProto */
    Str name, domain, overload, doc;
    Strs inputs, outputs, attr_names;
    struct {
        PbAttr *items;
        size_t count, cap;
    } attr_defaults;
    struct {
        PbNode *items;
        size_t count, cap;
    } nodes;
    Opsets opsets;
    PbValues value_info;
    Entries metadata;
} PbFunction;

typedef struct PbModel { /* ModelProto */
    int64_t ir_version, model_version;
    Str producer_name, producer_version, domain, doc;
    Opsets opsets;
    PbGraph graph;
    bool has_graph;
    uint64_t size;  /* of the message in bytes */
    Source *source; /* the file */
    struct {
        PbFunction *items;
        size_t count, cap;
    } functions;
    Entries metadata;
} PbModel;

/* Parses a serialized ModelProto, which is all of `source`; that must live as long as
 * the arena.  Reports to `diags` (OX0101..OX0104, and OX0303 for an attribute without the
 * value that its type promises) and returns NULL when it is malformed, when it could not
 * be read (`source` then has failed), or when memory ran out. */
PbModel *onnx_parse(Arena *arena, Diags *diags, Source *source);

/* metadata_props of a node, parsed on demand.  Malformed entries are left out. */
Entries onnx_node_metadata(Arena *arena, const PbModel *model, const PbNode *node);
/* The values of the first entries with these keys; empty where there is none.  Nothing
 * is allocated, or read of other entries than their keys. */
void onnx_node_metadata_get(Arena *arena, const PbModel *model, const PbNode *node,
                            const char *const *keys, size_t n, Str *values);

/* Gives tensors with external data their bytes.  `open` finds the file `location` that
 * lies beside the model, and returns NULL (after adding a diagnostic) when it cannot;
 * each location is opened once.  NULL `open`: OX0005 for each. */
typedef Source *(*OnnxOpen)(void *user, Diags *diags, Str location);
void onnx_resolve(Arena *arena, Diags *diags, PbModel *model, OnnxOpen open,
                  void *user);

#endif
