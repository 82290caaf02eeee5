/* TensorProto, normalised to the layout of raw_data whichever field holds the values,
 * and SparseTensorProto.  Nothing is allocated for a tensor before its data is known to
 * be in the file, so a shape alone cannot claim memory.
 * Source: onnx.proto, message TensorProto. */
#include "parser/decode.h"

enum { TENSOR_RANK_MAX = 64 }; /* as numpy, which loads what we write */

/* A tensor while its fields come in. */
typedef struct TensorParts {
    Tensor tensor; /* name, strings, doc and metadata */
    struct {
        int64_t *items;
        size_t count, cap;
    } dims;
    int64_t data_type, location;
    Str raw, segment;
    PbEntries external;
} TensorParts;

/* clang-format off */
static const Rule tensor_rules[] = {
/* field kind         member                                    message */
    {1,  FK_INTS,     offsetof(TensorParts, dims),              NULL},
    {2,  FK_INT,      offsetof(TensorParts, data_type),         NULL},
    {3,  FK_SPAN,     offsetof(TensorParts, segment),           NULL},
    {6,  FK_STRS,     offsetof(TensorParts, tensor.strings),    NULL},
    {8,  FK_STR,      offsetof(TensorParts, tensor.name),       NULL},
    {9,  FK_STR,      offsetof(TensorParts, raw),               NULL},
    {12, FK_STR,      offsetof(TensorParts, tensor.doc),        NULL},
    {13, FK_MESSAGES, offsetof(TensorParts, external),          &entry_message},
    {14, FK_INT,      offsetof(TensorParts, location),          NULL},
    {16, FK_MESSAGES, offsetof(TensorParts, tensor.metadata),   &entry_message},
};
static const Message tensor_fields =
    {"TensorProto", sizeof(TensorParts), tensor_rules, OX_COUNT(tensor_rules), NULL};
/* clang-format on */

Str onnx_quoted(Arena *arena, Str name) {
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
    text_str(&text, onnx_quoted(arena, t->name));
    return text_view(&text);
}

bool tensor_size(DType dtype, int64_t count, size_t *size) {
    uint64_t n = (uint64_t)count, bits = (uint64_t)dtype_info(dtype)->bits;
    uint64_t bytes = bits && bits < 8 ? n / 8 * bits + (n % 8 * bits + 7) / 8 : n;
    if (bits > 8 && __builtin_mul_overflow(n, bits / 8, &bytes))
        return false;
    *size = (size_t)bytes;
    return bytes <= SIZE_MAX;
}

/* Reports a bad tensor.  True, for parsing goes on and may find others. */
static bool report(Decoder *d, const Tensor *t, const char *what) {
    diag_add(d->diags, OX0103, tensor_where(d->arena, t), STR(""), "%s", what);
    d->failed = true;
    return true;
}

static bool report_size(Decoder *d, const Tensor *t, size_t need, uint64_t have) {
    Str what = arena_printf(d->arena, "%zu bytes of data are needed but there are %llu",
                            need, (unsigned long long)have);
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
static bool field_bytes(const Field *f, TypedField want, uint64_t *n) {
    if (f->type != WIRE_BYTES)
        return *n = want.width, true;
    if (want.wire == WIRE_VARINT)
        return !__builtin_mul_overflow((uint64_t)count_varints(f->bytes),
                                       (uint64_t)want.width, n);
    *n = f->bytes.n;
    return *n % want.width == 0;
}

/* The same of all occurrences, and the last packed one. */
static bool typed_bytes(Str body, TypedField want, uint64_t *total, Str *last) {
    Wire w = wire_open(body);
    for (Field f; wire_next(&w, &f);) {
        uint64_t n;
        if (!is_typed(&f, want))
            continue;
        if (!field_bytes(&f, want, &n) || __builtin_add_overflow(*total, n, total))
            return false;
        if (f.type == WIRE_BYTES)
            *last = f.bytes;
    }
    return true;
}

static uint64_t typed_value(DType dtype, uint64_t v) {
    return dtype == DT_BOOL ? v != 0 : v;
}

/* Decodes the entries, which were counted to be exactly as many as fit. */
static bool fill_typed(Decoder *d, Str body, TypedField want, DType dtype, char *out) {
    Wire w = wire_open(body);
    for (Field f; wire_next(&w, &f);) {
        if (!is_typed(&f, want))
            continue;
        if (f.type != WIRE_BYTES) {
            store_le(out, typed_value(dtype, f.varint), want.width);
            out += want.width;
        } else if (want.wire != WIRE_VARINT) {
            if (f.bytes.n)
                memcpy(out, f.bytes.p, f.bytes.n);
            out += f.bytes.n;
        } else {
            Wire packed = wire_open(f.bytes);
            for (uint64_t v; wire_varint(&packed, &v); out += want.width)
                store_le(out, typed_value(dtype, v), want.width);
            if (!decode_check(d, "TensorProto", &packed))
                return false;
        }
    }
    return true;
}

/* Elements with a byte each move together, the first in the lowest bits. */
static bool pack_6_bits(Decoder *d, Tensor *t) {
    char *data = (char *)(uintptr_t)t->data.p;
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
    t->data.n = size;
    return true;
}

static bool normalise_typed(Decoder *d, Tensor *t, Str body, size_t need) {
    TypedField field = typed_field(t->dtype);
    uint64_t have = 0;
    Str last = {0};
    bool packs = dtype_info(t->dtype)->bits == 6;
    if (packs)
        need = (size_t)t->count;
    if (!typed_bytes(body, field, &have, &last))
        return report(d, t, "packed values end within an element");
    if (have != need)
        return report_size(d, t, need, have);
    if (field.wire != WIRE_VARINT && last.n == need) {
        t->data = last; /* all of it, and the raw layout already */
        t->offset = (uint64_t)(last.p - d->start);
        return true;
    }
    char *data = arena_alloc(d->arena, need);
    t->data = (Str){data, need};
    bool filled = data && fill_typed(d, body, field, t->dtype, data);
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

static bool external_entry(Tensor *t, const PbEntry *entry) {
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

static bool read_external(Decoder *d, Tensor *t, const PbEntries *entries,
                          size_t need) {
    t->external = true;
    for (size_t i = 0; i < entries->count; i++)
        if (!external_entry(t, &entries->items[i]))
            return report(d, t, "the offset or length of external data is no number");
    if (t->location.n == 0)
        return report(d, t, "external data has no location");
    if (t->ext_has_length && t->ext_length != need)
        return report_size(d, t, need, t->ext_length);
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
static bool normalise(Decoder *d, const TensorParts *parts, Tensor *t, Str body) {
    size_t need;
    if (t->dtype == DT_STRING)
        return normalise_strings(d, parts, t);
    if (!tensor_size(t->dtype, t->count, &need))
        return report(d, t, "the data does not fit in memory");
    if (parts->location == 1)
        return read_external(d, t, &parts->external, need);
    if (need == 0 && parts->raw.n == 0)
        return true;
    if (parts->raw.n == 0)
        return normalise_typed(d, t, body, need);
    if (parts->raw.n != need)
        return report_size(d, t, need, parts->raw.n);
    t->data = parts->raw;
    t->offset = (uint64_t)(parts->raw.p - d->start);
    return true;
}

bool decode_tensor(Decoder *d, Str bytes, void *out) {
    TensorParts parts = {.tensor = {.offset = OX_NO_OFFSET}};
    if (!decode_rules(d, &tensor_fields, bytes, &parts))
        return false;
    Tensor *t = out;
    *t = parts.tensor;
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
    if (parts.segment.p)
        return report(d, t, "tensors in segments are not supported");
    return normalise(d, &parts, t, bytes);
}

typedef struct SparseParts {
    Tensor values, indices;
    struct {
        int64_t *items;
        size_t count, cap;
    } dims;
} SparseParts;

static const Message part_message = {"TensorProto", sizeof(Tensor), NULL, 0,
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

bool decode_sparse(Decoder *d, Str bytes, void *out) {
    SparseParts parts = {0};
    if (!decode_rules(d, &sparse_fields, bytes, &parts))
        return false;
    PbSparse *s = out;
    *s = (PbSparse){parts.values, parts.indices, 0, parts.dims.items};
    int64_t count;
    const char *problem = count_elements(parts.dims.items, parts.dims.count, &count);
    if (!problem && s->values.dtype == DT_UNDEFINED)
        problem = "a sparse tensor has no values";
    if (!problem && s->indices.dtype != DT_INT64)
        problem = "the indices of a sparse tensor are not int64";
    if (problem)
        return report(d, &s->values, problem);
    s->rank = (int)parts.dims.count;
    return true;
}
