/* TensorProto, normalised to the layout of raw_data whichever field holds the values,
 * and SparseTensorProto.  Nothing is allocated for a tensor before its data is known to
 * be in the file, so a shape alone cannot claim memory.
 * Source: onnx.proto, message TensorProto. */
#include "onnx/decode.h"

enum { TENSOR_RANK_MAX = 64 }; /* as numpy, which loads what we write */

/* A tensor while its fields come in. */
typedef struct TensorParts {
    PbTensor tensor; /* name, strings, doc and metadata */
    struct {
        int64_t *items;
        size_t count, cap;
    } dims;
    int64_t data_type, location;
    Span raw, segment;
    Entries external;
} TensorParts;

/* clang-format off */
static const Rule tensor_rules[] = {
/* field kind         member                                    message */
    {1,  FK_INTS,     offsetof(TensorParts, dims),              NULL},
    {2,  FK_INT,      offsetof(TensorParts, data_type),         NULL},
    {3,  FK_SPAN,     offsetof(TensorParts, segment),           NULL},
    {6,  FK_STRS,     offsetof(TensorParts, tensor.t.strings),  NULL},
    {8,  FK_STR,      offsetof(TensorParts, tensor.t.name),     NULL},
    {9,  FK_BYTES,    offsetof(TensorParts, raw),               NULL},
    {12, FK_STR,      offsetof(TensorParts, tensor.doc),        NULL},
    {13, FK_MESSAGES, offsetof(TensorParts, external),          &entry_message},
    {14, FK_INT,      offsetof(TensorParts, location),          NULL},
    {16, FK_MESSAGES, offsetof(TensorParts, tensor.metadata),   &entry_message},
};
static const Message tensor_fields =
    {"TensorProto", sizeof(TensorParts), tensor_rules, OX_COUNT(tensor_rules), NULL};
/* clang-format on */

/* Reports a bad tensor.  True, for parsing goes on and may find others. */
static bool report(Decoder *d, const Tensor *t, const char *what) {
    diag_add(d->diags, OX0103, tensor_where(d->arena, t), STR(""), "%s", what);
    d->failed = true;
    return true;
}

static bool report_size(Decoder *d, const Tensor *t, uint64_t need, uint64_t have) {
    Str what =
        arena_printf(d->arena, "%llu bytes of data are needed but there are %llu",
                     (unsigned long long)need, (unsigned long long)have);
    return report(d, t, what.p);
}

/* Number of elements of a shape, or what is wrong with it.  A product that overflows
 * does not matter beside a zero, which makes it zero. */
static const char *count_elements(const int64_t *dims, size_t rank, int64_t *count) {
    bool empty = false, overflow = false;
    *count = 1;
    if (rank > TENSOR_RANK_MAX)
        return "there are more than 64 dimensions";
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return "a dimension is negative";
        empty |= dims[i] == 0;
        overflow |= __builtin_mul_overflow(*count, dims[i], count);
    }
    return overflow && !empty ? "the number of elements does not fit in 64 bits" : NULL;
}

/* --- values in typed fields ----------------------------------------------------- */

/* Where onnx.proto keeps values of a type that are not in raw_data: the field, the wire
 * type of one entry, and the bytes of raw layout that one entry becomes. */
typedef struct TypedField {
    uint32_t number;
    WireType wire;
    unsigned width;
} TypedField;

static TypedField typed_field(DType dtype) {
    unsigned bits = (unsigned)dtype_info(dtype)->bits;
    switch (dtype) {
    case DT_FLOAT:
    case DT_COMPLEX64:
        return (TypedField){4, WIRE_FIXED32, 4};
    case DT_DOUBLE:
    case DT_COMPLEX128:
        return (TypedField){10, WIRE_FIXED64, 8};
    case DT_INT64:
        return (TypedField){7, WIRE_VARINT, 8};
    case DT_UINT32:
    case DT_UINT64:
        return (TypedField){11, WIRE_VARINT, bits / 8};
    default: /* int32_data; an entry holds a whole byte of 2- and 4-bit elements, and
                one of 6 bits: see pack_6_bits */
        return (TypedField){5, WIRE_VARINT, bits < 8 ? 1 : bits / 8};
    }
}

static bool is_typed(const Field *f, TypedField want) {
    return f->number == want.number && (f->type == want.wire || f->type == WIRE_BYTES);
}

/* Bytes of raw layout that one occurrence of the field gives. */
static bool field_bytes(Decoder *d, const Field *f, TypedField want, uint64_t *n) {
    if (f->type != WIRE_BYTES)
        return *n = want.width, true;
    if (want.wire == WIRE_VARINT)
        return !__builtin_mul_overflow(wire_count(d->source, f->bytes),
                                       (uint64_t)want.width, n);
    *n = f->bytes.n;
    return *n % want.width == 0;
}

/* The same of all occurrences, and the last packed one. */
static bool typed_bytes(Decoder *d, Span body, TypedField want, uint64_t *total,
                        Span *last) {
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);) {
        uint64_t n;
        if (!is_typed(&f, want))
            continue;
        if (!field_bytes(d, &f, want, &n) || __builtin_add_overflow(*total, n, total))
            return false;
        if (f.type == WIRE_BYTES)
            *last = f.bytes;
    }
    return true;
}

static uint64_t typed_value(DType dtype, uint64_t v) {
    return dtype == DT_BOOL ? v != 0 : v;
}

/* Decoded entries.  Counting has found how many there are; a reader that gives other
 * bytes the second time gets no further. */
typedef struct Filled {
    char *at, *end;
} Filled;

static bool put_typed(Filled *out, TypedField want, DType dtype, uint64_t v) {
    if ((size_t)(out->end - out->at) < want.width)
        return false;
    store_le(out->at, typed_value(dtype, v), want.width);
    out->at += want.width;
    return true;
}

static bool put_packed(Decoder *d, Span packed, TypedField want, DType dtype,
                       Filled *out) {
    if (want.wire != WIRE_VARINT) {
        if (packed.n > (uint64_t)(out->end - out->at))
            return false;
        size_t n = (size_t)packed.n;
        if (n && packed.p)
            memcpy(out->at, packed.p, n);
        bool ok = packed.p || source_read(d->source, packed.at, out->at, n);
        out->at += n;
        return ok;
    }
    Wire w = wire_open(d->source, packed);
    for (uint64_t v; wire_varint(&w, &v);)
        if (!put_typed(out, want, dtype, v))
            return false;
    return decode_check(d, "TensorProto", &w);
}

static bool fill_typed(Decoder *d, Span body, TypedField want, DType dtype,
                       Filled out) {
    Wire w = wire_open(d->source, body);
    for (Field f; wire_next(&w, &f);) {
        if (!is_typed(&f, want))
            continue;
        bool ok = f.type == WIRE_BYTES ? put_packed(d, f.bytes, want, dtype, &out)
                                       : put_typed(&out, want, dtype, f.varint);
        if (!ok)
            return false;
    }
    return true;
}

/* Elements with a byte each move together, the first in the lowest bits. */
static bool pack_6_bits(Decoder *d, Tensor *t) {
    char *data = (char *)(uintptr_t)t->memory;
    uint64_t pending = 0;
    unsigned bits = 0;
    size_t size = 0;
    for (size_t i = 0; i < (size_t)t->count; i++) {
        if ((unsigned char)data[i] > 63)
            return report(d, t, "an entry does not fit in 6 bits");
        pending |= (uint64_t)data[i] << bits;
        for (bits += 6; bits >= 8; bits -= 8, pending >>= 8)
            data[size++] = (char)(pending & 255);
    }
    if (bits)
        data[size++] = (char)pending;
    t->size = size;
    return true;
}

/* The data are these bytes of the file. */
static void stay(Decoder *d, Tensor *t, Span bytes) {
    t->source = d->source;
    t->offset = bytes.at;
    t->size = bytes.n;
    t->memory = bytes.p;
}

static bool normalise_typed(Decoder *d, Tensor *t, Span body, uint64_t need) {
    TypedField field = typed_field(t->dtype);
    uint64_t have = 0;
    Span last = {0};
    bool packs = dtype_info(t->dtype)->bits == 6;
    if (packs)
        need = (uint64_t)t->count;
    if (!typed_bytes(d, body, field, &have, &last))
        return report(d, t, "packed values end within an element");
    if (have != need)
        return report_size(d, t, need, have);
    if (field.wire != WIRE_VARINT && last.n == need) {
        stay(d, t, last); /* all of it, and the raw layout already */
        return true;
    }
    if (need > SIZE_MAX)
        return report(d, t, "the data does not fit in memory");
    char *data = arena_alloc(d->arena, (size_t)need);
    tensor_set_memory(t, data, (size_t)need);
    bool filled =
        data && fill_typed(d, body, field, t->dtype, (Filled){data, data + need});
    return filled && packs ? pack_6_bits(d, t) : filled;
}

/* --- external data -------------------------------------------------------------- */

static bool parse_u64(Str s, uint64_t *value) {
    *value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(*value, (uint64_t)10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(s.p[i] - '0'), value))
            return false;
    }
    return s.n > 0;
}

static bool external_entry(PbTensor *t, const Entry *entry) {
    if (str_is(entry->key, "location")) {
        t->location = entry->value;
    } else if (str_is(entry->key, "offset")) {
        return parse_u64(entry->value, &t->ext_offset);
    } else if (str_is(entry->key, "length")) {
        t->ext_has_length = true;
        return parse_u64(entry->value, &t->ext_length);
    }
    return true; /* a checksum, or what a later version adds */
}

static bool read_external(Decoder *d, PbTensor *t, const Entries *entries,
                          uint64_t need) {
    t->external = true;
    for (size_t i = 0; i < entries->count; i++)
        if (!external_entry(t, &entries->items[i]))
            return report(d, &t->t,
                          "the offset or length of external data is no number");
    if (t->location.n == 0)
        return report(d, &t->t, "external data has no location");
    if (t->ext_has_length && t->ext_length != need)
        return report_size(d, &t->t, need, t->ext_length);
    return true;
}

/* --- messages ------------------------------------------------------------------- */

static bool normalise_strings(Decoder *d, const TensorParts *parts, Tensor *t) {
    if (parts->raw.n || parts->location)
        return report(d, t, "strings cannot be in raw_data or external data");
    if ((uint64_t)t->count != t->strings.count)
        return report(d, t, "the number of strings does not match the shape");
    return true;
}

/* false only when parsing must stop. */
static bool normalise(Decoder *d, const TensorParts *parts, PbTensor *pb, Span body) {
    Tensor *t = &pb->t;
    uint64_t need;
    if (t->dtype == DT_STRING)
        return normalise_strings(d, parts, t);
    if (!tensor_size(t->dtype, t->count, &need))
        return report(d, t, "the data does not fit in memory");
    if (parts->location == 1)
        return read_external(d, pb, &parts->external, need);
    if (need == 0 && parts->raw.n == 0)
        return true;
    if (parts->raw.n == 0)
        return normalise_typed(d, t, body, need);
    if (parts->raw.n != need)
        return report_size(d, t, need, parts->raw.n);
    stay(d, t, parts->raw);
    return true;
}

bool decode_tensor(Decoder *d, Span body, void *out) {
    TensorParts parts = {0};
    if (!decode_rules(d, &tensor_fields, body, &parts))
        return false;
    PbTensor *pb = out;
    Tensor *t = &pb->t;
    *pb = parts.tensor;
    t->dtype = dtype_from_onnx((int32_t)(uint32_t)parts.data_type);
    const char *problem = count_elements(parts.dims.items, parts.dims.count, &t->count);
    if (problem)
        return report(d, t, problem);
    t->dims = parts.dims.items;
    t->rank = (int)parts.dims.count;
    if (t->dtype == DT_UNDEFINED) {
        Str what = arena_printf(d->arena, "element type %d is not known",
                                (int)(int32_t)(uint32_t)parts.data_type);
        return report(d, t, what.p);
    }
    if (parts.segment.n)
        return report(d, t, "tensors in segments are not supported");
    return normalise(d, &parts, pb, body);
}

typedef struct SparseParts {
    PbTensor values, indices;
    struct {
        int64_t *items;
        size_t count, cap;
    } dims;
} SparseParts;

static const Message part_message = {"TensorProto", sizeof(PbTensor), NULL, 0,
                                     decode_tensor};
/* clang-format off */
static const Rule sparse_rules[] = {
/* field kind         member                                    message */
    {1,  FK_MESSAGE,  offsetof(SparseParts, values),            &part_message},
    {2,  FK_MESSAGE,  offsetof(SparseParts, indices),           &part_message},
    {3,  FK_INTS,     offsetof(SparseParts, dims),              NULL},
};
static const Message sparse_fields =
    {"SparseTensorProto", sizeof(SparseParts), sparse_rules, OX_COUNT(sparse_rules), NULL};
/* clang-format on */

bool decode_sparse(Decoder *d, Span body, void *out) {
    SparseParts parts = {0};
    if (!decode_rules(d, &sparse_fields, body, &parts))
        return false;
    PbSparse *s = out;
    *s = (PbSparse){parts.values, parts.indices, 0, parts.dims.items};
    int64_t count;
    const char *problem = count_elements(parts.dims.items, parts.dims.count, &count);
    if (!problem && s->values.t.dtype == DT_UNDEFINED)
        problem = "a sparse tensor has no values";
    if (!problem && s->indices.t.dtype != DT_INT64)
        problem = "the indices of a sparse tensor are not int64";
    if (problem)
        return report(d, &s->values.t, problem);
    s->rank = (int)parts.dims.count;
    return true;
}
