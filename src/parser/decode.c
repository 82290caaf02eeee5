/* The engine behind decode.h.
 * Lists are structs {T *items; size_t count, cap;} of many types; they are moved in and
 * out as bytes, so that one piece of code serves them all without aliasing them. */
#include "parser/decode.h"

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

/* The next element; room for it was reserved. */
static void *list_next(void *at, size_t size) {
    List list = list_load(at);
    void *item = list.items + list.count++ * size;
    memcpy(at, &list, sizeof list);
    return item;
}

static bool list_reserve(Decoder *d, void *at, size_t more, size_t size) {
    List list = list_load(at);
    size_t need;
    if (!size_add(list.count, more, &need))
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

size_t count_varints(Str packed) {
    size_t count = 0;
    for (size_t i = 0; i < packed.n; i++)
        count += (unsigned char)packed.p[i] < 0x80;
    return count;
}

/* Elements that one field adds to its list. */
static size_t field_count(const Rule *r, const Field *f) {
    if (f->type != WIRE_BYTES)
        return 1;
    if (r->kind == FK_INTS)
        return count_varints(f->bytes);
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

static bool reserve_lists(Decoder *d, const Message *m, Str bytes, void *out) {
    size_t counts[RULES_MAX] = {0};
    Wire w = wire_open(bytes);
    size_t last = 0;
    for (Field f; wire_next(&w, &f);) {
        const Rule *r = find_rule(m, &f, &last);
        if (r)
            counts[r - m->rules] += field_count(r, &f);
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

static bool fill_ints(Decoder *d, const Message *m, const Field *f, void *list) {
    if (f->type == WIRE_VARINT) {
        *(int64_t *)list_next(list, sizeof(int64_t)) = (int64_t)f->varint;
        return true;
    }
    Wire w = wire_open(f->bytes);
    for (uint64_t v; wire_varint(&w, &v);)
        *(int64_t *)list_next(list, sizeof(int64_t)) = (int64_t)v;
    return decode_check(d, m->name, &w);
}

static bool fill_floats(Decoder *d, const Message *m, const Field *f, void *list) {
    if (f->type == WIRE_FIXED32) {
        *(float *)list_next(list, sizeof(float)) = float_from_bits(f->varint);
        return true;
    }
    Wire w = wire_open(f->bytes);
    for (; w.end - w.at >= 4; w.at += 4)
        *(float *)list_next(list, sizeof(float)) = float_from_bits(load_le(w.at, 4));
    if (w.at != w.end)
        w.error = WIRE_TRUNCATED;
    return decode_check(d, m->name, &w);
}

static bool fill_pointer(Decoder *d, const Message *m, Str bytes, void *member) {
    void *item = arena_alloc(d->arena, m->size);
    if (!item)
        return false;
    memcpy(member, &item, sizeof item);
    return decode_message(d, m, bytes, item);
}

static void extend_span(Str *span, const char *from, const char *to) {
    if (!span->p)
        span->p = from;
    span->n = (size_t)(to - span->p);
}

/* One field, which lies at [from, to). */
static bool fill(Decoder *d, const Message *m, const Rule *r, const Field *f,
                 const char *from, const char *to, void *member) {
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
        *(Str *)member = f->bytes;
        return true;
    case FK_SPAN:
        extend_span(member, from, to);
        return true;
    case FK_INTS:
        return fill_ints(d, m, f, member);
    case FK_FLOATS:
        return fill_floats(d, m, f, member);
    case FK_STRS:
        *(Str *)list_next(member, sizeof(Str)) = f->bytes;
        return true;
    case FK_MESSAGE:
        return decode_message(d, r->message, f->bytes, member);
    case FK_POINTER:
        return fill_pointer(d, r->message, f->bytes, member);
    case FK_MESSAGES: {
        void *item = list_next(member, r->message->size);
        return decode_message(d, r->message, f->bytes, item);
    }
    }
    return true;
}

bool decode_rules(Decoder *d, const Message *m, Str bytes, void *out) {
    bool counted = has_lists(m);
    if (counted && !reserve_lists(d, m, bytes, out))
        return false;
    Wire w = wire_open(bytes);
    const char *from = w.at;
    size_t last = 0;
    for (Field f; wire_next(&w, &f); from = w.at) {
        const Rule *r = find_rule(m, &f, &last);
        if (r && !fill(d, m, r, &f, from, w.at, (char *)out + r->at))
            return false;
    }
    return counted || decode_check(d, m->name, &w); /* else counting found errors */
}

bool decode_message(Decoder *d, const Message *m, Str bytes, void *out) {
    return m->decode ? m->decode(d, bytes, out) : decode_rules(d, m, bytes, out);
}

bool decode_check(Decoder *d, const char *message_name, const Wire *w) {
    if (w->error == WIRE_OK)
        return true;
    size_t at = (size_t)(w->at - d->start);
    Str where = arena_printf(d->arena, "byte %zu, in a %s", at, message_name);
    diag_add(d->diags, OX0102, where,
             STR("the file is cut short or damaged: export or download it again"), "%s",
             wire_error_text(w->error));
    return false;
}

bool decode_enter(Decoder *d, Str bytes) {
    if (d->depth < PB_DEPTH_MAX) {
        d->depth++;
        return true;
    }
    Str where = arena_printf(d->arena, "byte %zu", (size_t)(bytes.p - d->start));
    diag_add(d->diags, OX0104, where, STR(""),
             "graphs or types nest deeper than %d levels", (int)PB_DEPTH_MAX);
    return false;
}

void decode_leave(Decoder *d) {
    d->depth--;
}
