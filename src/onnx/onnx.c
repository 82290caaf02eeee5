/* The messages of onnx.proto as tables for decode.c, the few that need code of their
 * own, and the entry point.
 * Source: onnx.proto of onnx 1.23; fields that no compiler needs (training, devices,
 * denotations) have no row and are skipped. */
#include "onnx/decode.h"
#include "onnx/guess.h"

/* Messages that need more than their rows. */
static bool decode_type(Decoder *d, Span body, void *type);
static bool decode_attr(Decoder *d, Span body, void *attr);
static bool decode_node(Decoder *d, Span body, void *node);
static bool decode_graph(Decoder *d, Span body, void *graph);

/* Messages that hold each other. */
static const Message attr_message, graph_message;

#define ROWS(rules) (rules), OX_COUNT(rules)

/* clang-format off */
static const Rule entry_rules[] = {
/* field kind         member                                    message */
    {1,  FK_STR,      offsetof(Entry, key),                   NULL},
    {2,  FK_STR,      offsetof(Entry, value),                 NULL},
};
const Message entry_message =
    {"StringStringEntryProto", sizeof(Entry), ROWS(entry_rules), NULL};

static const Message tensor_message =
    {"TensorProto", sizeof(PbTensor), NULL, 0, decode_tensor};
static const Message sparse_message =
    {"SparseTensorProto", sizeof(PbSparse), NULL, 0, decode_sparse};
static const Message type_message =
    {"TypeProto", sizeof(PbType), NULL, 0, decode_type};

static const Rule value_rules[] = {
/* field kind         member                                    message */
    {1,  FK_STR,      offsetof(PbValue, name),                  NULL},
    {2,  FK_MESSAGE,  offsetof(PbValue, type),                  &type_message},
    {3,  FK_STR,      offsetof(PbValue, doc),                   NULL},
    {4,  FK_MESSAGES, offsetof(PbValue, metadata),              &entry_message},
};
static const Message value_message =
    {"ValueInfoProto", sizeof(PbValue), ROWS(value_rules), NULL};

static const Rule attr_rules[] = {
/* field kind         member                                    message */
    {1,  FK_STR,      offsetof(PbAttr, name),                   NULL},
    {2,  FK_FLOAT,    offsetof(PbAttr, f),                      NULL},
    {3,  FK_INT,      offsetof(PbAttr, i),                      NULL},
    {4,  FK_STR,      offsetof(PbAttr, s),                      NULL},
    {5,  FK_POINTER,  offsetof(PbAttr, t),                      &tensor_message},
    {6,  FK_POINTER,  offsetof(PbAttr, g),                      &graph_message},
    {7,  FK_FLOATS,   offsetof(PbAttr, floats),                 NULL},
    {8,  FK_INTS,     offsetof(PbAttr, ints),                   NULL},
    {9,  FK_STRS,     offsetof(PbAttr, strings),                NULL},
    {10, FK_MESSAGES, offsetof(PbAttr, tensors),                &tensor_message},
    {11, FK_MESSAGES, offsetof(PbAttr, graphs),                 &graph_message},
    {13, FK_STR,      offsetof(PbAttr, doc),                    NULL},
    {14, FK_POINTER,  offsetof(PbAttr, tp),                     &type_message},
    {15, FK_MESSAGES, offsetof(PbAttr, types),                  &type_message},
    {20, FK_ENUM,     offsetof(PbAttr, type),                   NULL},
    {21, FK_STR,      offsetof(PbAttr, ref),                    NULL},
    {22, FK_POINTER,  offsetof(PbAttr, sparse),                 &sparse_message},
    {23, FK_MESSAGES, offsetof(PbAttr, sparses),                &sparse_message},
};
static const Message attr_message =
    {"AttributeProto", sizeof(PbAttr), ROWS(attr_rules), decode_attr};

static const Rule node_rules[] = {
/* field kind         member                                    message */
    {1,  FK_STRS,     offsetof(PbNode, inputs),                 NULL},
    {2,  FK_STRS,     offsetof(PbNode, outputs),                NULL},
    {3,  FK_STR,      offsetof(PbNode, name),                   NULL},
    {4,  FK_STR,      offsetof(PbNode, op_type),                NULL},
    {5,  FK_MESSAGES, offsetof(PbNode, attrs),                  &attr_message},
    {6,  FK_STR,      offsetof(PbNode, doc),                    NULL},
    {7,  FK_STR,      offsetof(PbNode, domain),                 NULL},
    {8,  FK_STR,      offsetof(PbNode, overload),               NULL},
    {9,  FK_SPAN,     offsetof(PbNode, metadata),               NULL},
};
static const Message node_message =
    {"NodeProto", sizeof(PbNode), ROWS(node_rules), decode_node};

static const Rule quant_rules[] = {
/* field kind         member                                    message */
    {1,  FK_STR,      offsetof(PbQuant, tensor),                NULL},
    {2,  FK_MESSAGES, offsetof(PbQuant, params),                &entry_message},
};
static const Message quant_message =
    {"TensorAnnotation", sizeof(PbQuant), ROWS(quant_rules), NULL};

static const Rule graph_rules[] = {
/* field kind         member                                    message */
    {1,  FK_MESSAGES, offsetof(PbGraph, nodes),                 &node_message},
    {2,  FK_STR,      offsetof(PbGraph, name),                  NULL},
    {5,  FK_MESSAGES, offsetof(PbGraph, initializers),          &tensor_message},
    {10, FK_STR,      offsetof(PbGraph, doc),                   NULL},
    {11, FK_MESSAGES, offsetof(PbGraph, inputs),                &value_message},
    {12, FK_MESSAGES, offsetof(PbGraph, outputs),               &value_message},
    {13, FK_MESSAGES, offsetof(PbGraph, value_info),            &value_message},
    {14, FK_MESSAGES, offsetof(PbGraph, quantization),          &quant_message},
    {15, FK_MESSAGES, offsetof(PbGraph, sparse_initializers),   &sparse_message},
    {16, FK_MESSAGES, offsetof(PbGraph, metadata),              &entry_message},
};
static const Message graph_message =
    {"GraphProto", sizeof(PbGraph), ROWS(graph_rules), decode_graph};

static const Rule opset_rules[] = {
/* field kind         member                                    message */
    {1,  FK_STR,      offsetof(Opset, domain),                NULL},
    {2,  FK_INT,      offsetof(Opset, version),               NULL},
};
static const Message opset_message =
    {"OperatorSetIdProto", sizeof(Opset), ROWS(opset_rules), NULL};

static const Rule function_rules[] = {
/* field kind         member                                    message */
    {1,  FK_STR,      offsetof(PbFunction, name),               NULL},
    {4,  FK_STRS,     offsetof(PbFunction, inputs),             NULL},
    {5,  FK_STRS,     offsetof(PbFunction, outputs),            NULL},
    {6,  FK_STRS,     offsetof(PbFunction, attr_names),         NULL},
    {7,  FK_MESSAGES, offsetof(PbFunction, nodes),              &node_message},
    {8,  FK_STR,      offsetof(PbFunction, doc),                NULL},
    {9,  FK_MESSAGES, offsetof(PbFunction, opsets),             &opset_message},
    {10, FK_STR,      offsetof(PbFunction, domain),             NULL},
    {11, FK_MESSAGES, offsetof(PbFunction, attr_defaults),      &attr_message},
    {12, FK_MESSAGES, offsetof(PbFunction, value_info),         &value_message},
    {13, FK_STR,      offsetof(PbFunction, overload),           NULL},
    {14, FK_MESSAGES, offsetof(PbFunction, metadata),           &entry_message},
};
static const Message function_message =
    {"FunctionProto", sizeof(PbFunction), ROWS(function_rules), NULL};

static const Rule model_rules[] = {
/* field kind         member                                    message */
    {1,  FK_INT,      offsetof(PbModel, ir_version),            NULL},
    {2,  FK_STR,      offsetof(PbModel, producer_name),         NULL},
    {3,  FK_STR,      offsetof(PbModel, producer_version),      NULL},
    {4,  FK_STR,      offsetof(PbModel, domain),                NULL},
    {5,  FK_INT,      offsetof(PbModel, model_version),         NULL},
    {6,  FK_STR,      offsetof(PbModel, doc),                   NULL},
    {7,  FK_MESSAGE,  offsetof(PbModel, graph),                 &graph_message},
    {8,  FK_MESSAGES, offsetof(PbModel, opsets),                &opset_message},
    {14, FK_MESSAGES, offsetof(PbModel, metadata),              &entry_message},
    {25, FK_MESSAGES, offsetof(PbModel, functions),             &function_message},
};
static const Message model_message =
    {"ModelProto", sizeof(PbModel), ROWS(model_rules), NULL};
/* clang-format on */

/* --- types ---------------------------------------------------------------------- */

static bool decode_dim(Decoder *d, Span body, PbDim *dim) {
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);) {
        if (f.number == 1 && f.type == WIRE_VARINT)
            *dim = (PbDim){PB_DIM_VALUE, (int64_t)f.varint, {0}};
        else if (f.number == 2 && f.type == WIRE_BYTES) {
            *dim = (PbDim){.kind = PB_DIM_PARAM};
            if (!decode_text(d, f.bytes, &dim->param))
                return false;
        }
    }
    /* Exporters write -1 or "" where they mean that they do not know. */
    bool unnamed = dim->kind == PB_DIM_PARAM && dim->param.n == 0;
    bool negative = dim->kind == PB_DIM_VALUE && dim->value < 0;
    if (unnamed || negative)
        *dim = (PbDim){0};
    return decode_check(d, "TensorShapeProto.Dimension", &w);
}

static bool is_dim(const Field *f) {
    return f->number == 1 && f->type == WIRE_BYTES;
}

static bool decode_shape(Decoder *d, Span body, PbType *type) {
    size_t rank = 0;
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);)
        rank += is_dim(&f);
    if (!decode_check(d, "TensorShapeProto", &w))
        return false;
    PbDim *dims = ARENA_ARRAY(d->arena, rank, PbDim);
    if (rank && !dims)
        return false;
    type->has_shape = true;
    type->dims = dims;
    type->rank = rank;
    w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);)
        if (is_dim(&f) && (rank-- == 0 || !decode_dim(d, f.bytes, dims++)))
            return false;
    return w.error == WIRE_OK;
}

static bool decode_element(Decoder *d, Span body, PbType *type) {
    PbType *elem = ARENA_NEW(d->arena, PbType);
    type->elem = elem;
    return elem && decode_message(d, &type_message, body, elem);
}

/* TypeProto.Tensor, .Sequence, .Map, .Optional or .SparseTensor: field 1 is the element
 * or key type, field 2 the shape, or the value type of a map. */
static bool decode_type_body(Decoder *d, Span body, PbType *type) {
    bool tensor = type->kind == PB_TYPE_TENSOR || type->kind == PB_TYPE_SPARSE;
    uint32_t element_field = type->kind == PB_TYPE_MAP ? 2 : 1;
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);) {
        bool ok = true;
        if (f.number == 1 && f.type == WIRE_VARINT)
            type->dtype = dtype_from_onnx((int32_t)(uint32_t)f.varint);
        else if (f.type == WIRE_BYTES && tensor && f.number == 2)
            ok = decode_shape(d, f.bytes, type);
        else if (f.type == WIRE_BYTES && !tensor && f.number == element_field)
            ok = decode_element(d, f.bytes, type);
        if (!ok)
            return false;
    }
    if (!decode_check(d, "TypeProto", &w))
        return false;
    /* Readers rely on an element, if an unknown one. */
    if (!tensor && !type->elem)
        type->elem = ARENA_NEW(d->arena, PbType);
    return tensor || type->elem;
}

static PbTypeKind type_kind(const Field *f) {
    if (f->type != WIRE_BYTES)
        return PB_TYPE_NONE;
    switch (f->number) {
    case 1:
        return PB_TYPE_TENSOR;
    case 4:
        return PB_TYPE_SEQUENCE;
    case 5:
        return PB_TYPE_MAP;
    case 8:
        return PB_TYPE_SPARSE;
    case 9:
        return PB_TYPE_OPTIONAL;
    default:
        return PB_TYPE_NONE;
    }
}

static bool decode_type(Decoder *d, Span body, void *out) {
    PbType *type = out;
    if (!decode_enter(d, body))
        return false;
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);) {
        PbTypeKind kind = type_kind(&f);
        if (kind == PB_TYPE_NONE)
            continue;
        *type = (PbType){.kind = kind};
        if (!decode_type_body(d, f.bytes, type))
            return false;
    }
    decode_leave(d);
    return decode_check(d, "TypeProto", &w);
}

/* --- attributes, nodes, graphs -------------------------------------------------- */

/* The type by the field in use, for IR version 1, which had no `type`. */
static AttrType attr_type_by_content(Decoder *d, Span body) {
    /* clang-format off */
    static const AttrType by_field[] = {
        [2] = ATTR_FLOAT,  [3] = ATTR_INT,  [4] = ATTR_STRING,  [5] = ATTR_TENSOR,
        [7] = ATTR_FLOATS, [8] = ATTR_INTS, [9] = ATTR_STRINGS, [10] = ATTR_TENSORS,
        [6] = ATTR_GRAPH,  [11] = ATTR_GRAPHS,
        [14] = ATTR_TYPE,  [15] = ATTR_TYPES,
        [22] = ATTR_SPARSE, [23] = ATTR_SPARSES,
    };
    /* clang-format on */
    AttrType type = ATTR_NONE;
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f) && type == ATTR_NONE;)
        if (f.number < OX_COUNT(by_field))
            type = by_field[f.number];
    return type;
}

/* What a reader that trusts `type` would trip over; NULL when fine. */
static const char *attr_problem(const PbAttr *a) {
    const char *missing = "has no value of its type";
    switch (a->type) {
    case ATTR_TENSOR:
        return a->t ? NULL : missing;
    case ATTR_GRAPH:
        return a->g ? NULL : missing;
    case ATTR_SPARSE:
        return a->sparse ? NULL : missing;
    case ATTR_TYPE:
        return a->tp ? NULL : missing;
    default:
        return a->type > ATTR_TYPES ? "has an unknown type" : NULL;
    }
}

static bool decode_attr(Decoder *d, Span body, void *out) {
    PbAttr *a = out;
    if (!decode_rules(d, &attr_message, body, a))
        return false;
    if (a->type == ATTR_NONE)
        a->type = attr_type_by_content(d, body);
    const char *problem = a->ref.n ? NULL : attr_problem(a);
    if (!problem)
        return true;
    Str where = arena_printf(d->arena, "byte %llu", (unsigned long long)body.at);
    Str name = quoted_name(d->arena, a->name);
    diag_add(d->diags, OX0303, where, STR(""), "attribute %s %s", name.p, problem);
    d->failed = true;
    return true;
}

static bool decode_node(Decoder *d, Span body, void *out) {
    ((PbNode *)out)->offset = body.at;
    return decode_rules(d, &node_message, body, out);
}

static bool decode_graph(Decoder *d, Span body, void *out) {
    if (!decode_enter(d, body))
        return false;
    bool ok = decode_rules(d, &graph_message, body, out);
    decode_leave(d);
    return ok;
}

/* --- node metadata -------------------------------------------------------------- */

/* An entry whose strings stay where they are. */
typedef struct FarEntry {
    Span key, value;
} FarEntry;

/* The next well-formed entry; other fields may lie between. */
static bool next_entry(Source *source, Wire *w, FarEntry *entry) {
    for (Field f; wire_next(w, &f);) {
        if (f.number != 9 || f.type != WIRE_BYTES)
            continue;
        *entry = (FarEntry){0};
        Wire inner = wire_open(source, f.bytes);
        for (Field part; wire_next(&inner, &part);) {
            if (part.type == WIRE_BYTES && part.number == 1)
                entry->key = part.bytes;
            else if (part.type == WIRE_BYTES && part.number == 2)
                entry->value = part.bytes;
        }
        if (inner.error == WIRE_OK)
            return true;
    }
    return false;
}

Entries onnx_node_metadata(Arena *arena, const PbModel *model, const PbNode *node) {
    Entries entries = {0};
    Wire w = wire_open(model->source, node->metadata);
    for (FarEntry far; next_entry(model->source, &w, &far);) {
        Entry entry = {source_text(model->source, arena, far.key),
                       source_text(model->source, arena, far.value)};
        if (!ARENA_PUSH(arena, &entries, entry))
            break;
    }
    return entries;
}

static bool is_key(Source *source, Span span, const char *key) {
    size_t n = strlen(key);
    if (span.n != n)
        return false;
    return str_eq(span.p ? (Str){span.p, n} : source_peek(source, span.at, n),
                  (Str){key, n});
}

void onnx_node_metadata_get(Arena *arena, const PbModel *model, const PbNode *node,
                            const char *const *keys, size_t n, Str *values) {
    for (size_t i = 0; i < n; i++)
        values[i] = (Str){0};
    if (!node->metadata.n)
        return;
    Wire w = wire_open(model->source, node->metadata);
    for (FarEntry entry; next_entry(model->source, &w, &entry);)
        for (size_t i = 0; i < n; i++)
            if (!values[i].p && is_key(model->source, entry.key, keys[i]))
                values[i] = source_text(model->source, arena, entry.value);
}

/* --- entry ---------------------------------------------------------------------- */

/* Whether this is an ONNX model at all, judged by the outermost fields.  A file that
 * starts like a model and then breaks off passes, unless it is known as something else:
 * decoding says where it breaks. */
static bool check_is_model(Decoder *d, Span body) {
    bool version = false, graph = false;
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);) {
        version |= f.number == 1 && f.type == WIRE_VARINT;
        graph |= f.number == 7 && f.type == WIRE_BYTES;
    }
    Str hint = graph ? STR("") : guess_hint(d->arena, d->source);
    if (d->source->failed)
        return false;
    if (graph || (version && w.error != WIRE_OK && !hint.n))
        return true;
    const char *what = body.n == 0          ? "the file is empty"
                       : w.error == WIRE_OK ? "the file is protobuf but has no graph"
                                            : "the file is no ONNX model";
    diag_add(d->diags, OX0101, STR(""), hint, "%s", what);
    return false;
}

/* Since IR version 3 a model names its operator sets; without them no operator has a
 * meaning.  They come last in a file, so this also catches one that was cut short. */
/* Each node looks its domain up in the list. */
enum { OPSETS_MAX = 1024 };

static bool check_opsets(Decoder *d, const PbModel *model) {
    bool optional = model->ir_version == 1 || model->ir_version == 2;
    bool few = model->opsets.count <= OPSETS_MAX;
    for (size_t i = 0; i < model->functions.count; i++)
        few &= model->functions.items[i].opsets.count <= OPSETS_MAX;
    if (!few) {
        diag_add(d->diags, OX0105, STR(""), STR(""),
                 "the model or one of its functions imports more than %d operator sets",
                 OPSETS_MAX);
        return false;
    }
    if (model->opsets.count > 0 || optional)
        return true;
    diag_add(d->diags, OX0101, STR(""), STR("the file may be cut short"),
             "the model imports no operator set");
    return false;
}

PbModel *onnx_parse(Arena *arena, Diags *diags, Source *source) {
    Decoder d = {.arena = arena, .diags = diags, .source = source};
    Span body = source_all(source);
    if (!check_is_model(&d, body))
        return NULL;
    PbModel *model = ARENA_NEW(arena, PbModel);
    if (!model || !decode_message(&d, &model_message, body, model) || source->failed)
        return NULL;
    model->has_graph = true;
    model->size = body.n;
    model->source = source;
    bool ok = check_opsets(&d, model) && !d.failed && !arena->failed;
    return ok ? model : NULL;
}
