/* The engine behind decode.h.
 * Lists are structs {T *items; size_t count, cap;} of many types; they are moved in and
 * out as bytes, so that one piece of code serves them all without aliasing them. */
#include "onnx/decode.h"

/* FK_ENUM stores 32 bits. */
_Static_assert(sizeof(AttrType) == sizeof(uint32_t), "enums are 32 bits");

typedef struct List {
    char *items;
    size_t count, cap;
} List;

static List list_load(const void *at) {
    List list;
    memcpy(&list, at, sizeof list);
    return list;
}

/* The next element; room for it was reserved.  NULL when there are more than counting
 * has found: a reader has given other bytes the second time. */
static void *list_next(void *at, size_t size) {
    List list = list_load(at);
    if (list.count >= list.cap)
        return NULL;
    void *item = list.items + list.count++ * size;
    memcpy(at, &list, sizeof list);
    return item;
}

static bool list_reserve(Decoder *d, void *at, uint64_t more, size_t size) {
    List list = list_load(at);
    size_t need;
    if (more > SIZE_MAX || !size_add(list.count, (size_t)more, &need))
        return false;
    if (need <= list.cap)
        return true;
    char *items = arena_array(d->arena, need, size);
    if (!items)
        return false;
    if (list.count)
        memcpy(items, list.items, list.count * size);
    list = (List){items, list.count, need};
    memcpy(at, &list, sizeof list);
    return true;
}

static size_t element_size(const Rule *r) {
    switch (r->kind) {
    case FK_INTS:
        return sizeof(int64_t);
    case FK_FLOATS:
        return sizeof(float);
    case FK_STRS:
        return sizeof(Str);
    case FK_MESSAGES:
        return r->message->size;
    default:
        return 0; /* no list */
    }
}

/* A known number with another wire type is an unknown field, as protobuf has it. */
static bool wire_type_fits(FieldKind kind, WireType type) {
    switch (kind) {
    case FK_INT:
    case FK_ENUM:
        return type == WIRE_VARINT;
    case FK_FLOAT:
        return type == WIRE_FIXED32;
    case FK_INTS:
        return type == WIRE_VARINT || type == WIRE_BYTES;
    case FK_FLOATS:
        return type == WIRE_FIXED32 || type == WIRE_BYTES;
    default:
        return type == WIRE_BYTES;
    }
}

/* Fields mostly come in the order of the rules and in runs of one number, so the search
 * starts where the last one ended: `at`, which starts at 0. */
static const Rule *find_rule(const Message *m, const Field *f, size_t *at) {
    size_t i = *at;
    for (size_t left = m->count; left > 0; left--) {
        const Rule *r = &m->rules[i];
        if (r->number == f->number) {
            *at = i;
            return wire_type_fits(r->kind, f->type) ? r : NULL;
        }
        i = i + 1 < m->count ? i + 1 : 0;
    }
    return NULL;
}

/* Elements that one field adds to its list. */
static uint64_t field_count(Decoder *d, const Rule *r, const Field *f) {
    if (f->type != WIRE_BYTES)
        return 1;
    if (r->kind == FK_INTS)
        return wire_count(d->source, f->bytes);
    if (r->kind == FK_FLOATS)
        return f->bytes.n / sizeof(float);
    return 1;
}

static bool has_lists(const Message *m) {
    for (size_t i = 0; i < m->count; i++)
        if (element_size(&m->rules[i]))
            return true;
    return false;
}

static bool reserve_lists(Decoder *d, const Message *m, Span body, void *out) {
    uint64_t counts[RULES_MAX] = {0};
    Wire w = wire_open(d->source, body);
    size_t last = 0;
    for (Field f; wire_next(&w, &f);) {
        const Rule *r = find_rule(m, &f, &last);
        if (r)
            counts[r - m->rules] += field_count(d, r, &f);
    }
    if (!decode_check(d, m->name, &w))
        return false;
    for (size_t i = 0; i < m->count; i++) {
        const Rule *r = &m->rules[i];
        size_t size = element_size(r);
        if (size == 0 || counts[i] == 0)
            continue;
        if (!list_reserve(d, (char *)out + r->at, counts[i], size))
            return false;
    }
    return true;
}

static float float_from_bits(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

/* What decode_rules reports is that reading failed; see list_next. */
static bool changed(Decoder *d, uint64_t at) {
    source_fail(d->source, at);
    return false;
}

static bool fill_int(Decoder *d, const Field *f, void *list, uint64_t v) {
    int64_t *item = list_next(list, sizeof *item);
    if (!item)
        return changed(d, f->bytes.at);
    *item = (int64_t)v;
    return true;
}

static bool fill_ints(Decoder *d, const Message *m, const Field *f, void *list) {
    if (f->type == WIRE_VARINT)
        return fill_int(d, f, list, f->varint);
    Wire w = wire_open(d->source, f->bytes);
    for (uint64_t v; wire_varint(&w, &v);)
        if (!fill_int(d, f, list, v))
            return false;
    return decode_check(d, m->name, &w);
}

static bool fill_float(Decoder *d, const Field *f, void *list, uint64_t bits) {
    float *item = list_next(list, sizeof *item);
    if (!item)
        return changed(d, f->bytes.at);
    *item = float_from_bits(bits);
    return true;
}

static bool fill_floats(Decoder *d, const Message *m, const Field *f, void *list) {
    if (f->type == WIRE_FIXED32)
        return fill_float(d, f, list, f->varint);
    Wire w = wire_open(d->source, f->bytes);
    for (uint64_t v; wire_fixed(&w, sizeof(float), &v);)
        if (!fill_float(d, f, list, v))
            return false;
    return decode_check(d, m->name, &w);
}

static bool fill_string(Decoder *d, const Field *f, void *list) {
    Str *item = list_next(list, sizeof *item);
    return item ? decode_text(d, f->bytes, item) : changed(d, f->bytes.at);
}

static bool fill_message(Decoder *d, const Message *m, const Field *f, void *list) {
    void *item = list_next(list, m->size);
    return item ? decode_message(d, m, f->bytes, item) : changed(d, f->bytes.at);
}

static bool fill_pointer(Decoder *d, const Message *m, Span body, void *member) {
    void *item = arena_alloc(d->arena, m->size);
    if (!item)
        return false;
    memcpy(member, &item, sizeof item);
    return decode_message(d, m, body, item);
}

/* The field that ends where the cursor is began at `from`. */
static void extend_span(Span *span, const Wire *w, uint64_t from) {
    *span = wire_span(w, span->n ? span->at : from, wire_position(w));
}

/* One field, behind which the cursor is. */
static bool fill(Decoder *d, const Message *m, const Rule *r, const Field *f,
                 const Wire *w, uint64_t from, void *member) {
    switch (r->kind) {
    case FK_INT:
        *(int64_t *)member = (int64_t)f->varint;
        return true;
    case FK_ENUM:
        memcpy(member, &(uint32_t){(uint32_t)f->varint}, 4);
        return true;
    case FK_FLOAT:
        *(float *)member = float_from_bits(f->varint);
        return true;
    case FK_STR:
        return decode_text(d, f->bytes, member);
    case FK_BYTES:
        *(Span *)member = f->bytes;
        return true;
    case FK_SPAN:
        extend_span(member, w, from);
        return true;
    case FK_INTS:
        return fill_ints(d, m, f, member);
    case FK_FLOATS:
        return fill_floats(d, m, f, member);
    case FK_STRS:
        return fill_string(d, f, member);
    case FK_MESSAGE:
        return decode_message(d, r->message, f->bytes, member);
    case FK_POINTER:
        return fill_pointer(d, r->message, f->bytes, member);
    case FK_MESSAGES:
        return fill_message(d, r->message, f, member);
    }
    return true;
}

bool decode_rules(Decoder *d, const Message *m, Span body, void *out) {
    bool counted = has_lists(m);
    if (counted && !reserve_lists(d, m, body, out))
        return false;
    Wire w = wire_open(d->source, body);
    uint64_t from = body.at;
    size_t last = 0;
    for (Field f; wire_next(&w, &f); from = wire_position(&w)) {
        const Rule *r = find_rule(m, &f, &last);
        if (r && !fill(d, m, r, &f, &w, from, (char *)out + r->at))
            return false;
    }
    return decode_check(d, m->name, &w);
}

bool decode_message(Decoder *d, const Message *m, Span body, void *out) {
    if (!body.p && body.n <= source_whole) {
        body.p = source_text(d->source, d->arena, body).p;
        if (!body.p)
            return false;
    }
    return m->decode ? m->decode(d, body, out) : decode_rules(d, m, body, out);
}

bool decode_text(Decoder *d, Span bytes, Str *text) {
    *text = source_text(d->source, d->arena, bytes);
    return text->p;
}

bool decode_check(Decoder *d, const char *message_name, const Wire *w) {
    if (w->error == WIRE_OK)
        return true;
    if (w->error == WIRE_UNREADABLE)
        return false;
    Str where = arena_printf(d->arena, "byte %llu, in a %s",
                             (unsigned long long)wire_position(w), message_name);
    diag_add(d->diags, OX0102, where,
             STR("the file is cut short or damaged: export or download it again"), "%s",
             wire_error_text(w->error));
    return false;
}

bool decode_enter(Decoder *d, Span body) {
    if (d->depth < PB_DEPTH_MAX) {
        d->depth++;
        return true;
    }
    Str where = arena_printf(d->arena, "byte %llu", (unsigned long long)body.at);
    diag_add(d->diags, OX0104, where, STR(""),
             "graphs or types nest deeper than %d levels", (int)PB_DEPTH_MAX);
    return false;
}

void decode_leave(Decoder *d) {
    d->depth--;
}
