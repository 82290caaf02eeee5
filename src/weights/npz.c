/* npz: a zip archive of uncompressed npy files, with zip64 records where sizes, offsets
 * or counts need them.  Types that npy lacks (bfloat16, int4, ...) are stored as bytes,
 * and a first member that is no npy file tells what they are.
 * Source: PKWARE APPNOTE 6.3 sections 4.3 and 4.5.3; numpy.lib.format version 1.0. */
#include "support/json.h"
#include "weights/crc.h"
#include "weights/plan.h"

enum {
    ZIP_VERSION = 20,      /* needed to extract: 2.0 */
    ZIP64_VERSION = 45,    /* 4.5 */
    ZIP_UTF8 = 1 << 11,    /* flag: names are UTF-8 */
    ZIP_DATE = 1 << 5 | 1, /* 1980-01-01: the output depends on the model alone */
    ZIP64_TAG = 1,
    ZIP_NAME_MAX = 0xFFFF,
    NPY_PREAMBLE = 10, /* magic, version, length of the header */
};

#define ZIP_MAX16 UINT64_C(0xFFFF)
#define ZIP_MAX32 UINT64_C(0xFFFFFFFF)

/* One file of the archive. */
typedef struct Member {
    Str name, header; /* header: of the npy file, or the whole content of the note */
    const Tensor *tensor;
    uint64_t offset; /* of its local header in the archive */
    uint64_t size;
    uint32_t crc;
} Member;

static void put(Text *t, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        text_char(t, (char)(value >> 8 * i));
}

static uint64_t at_most(uint64_t value, uint64_t limit) {
    return value < limit ? value : limit;
}

/* What numpy has no name for has none here. */
static const char *const npy_types[DT_COUNT] = {
    [DT_FLOAT] = "<f4",     [DT_DOUBLE] = "<f8",      [DT_FLOAT16] = "<f2",
    [DT_INT8] = "|i1",      [DT_INT16] = "<i2",       [DT_INT32] = "<i4",
    [DT_INT64] = "<i8",     [DT_UINT8] = "|u1",       [DT_UINT16] = "<u2",
    [DT_UINT32] = "<u4",    [DT_UINT64] = "<u8",      [DT_BOOL] = "|b1",
    [DT_COMPLEX64] = "<c8", [DT_COMPLEX128] = "<c16",
};

static bool is_native(DType dtype) {
    return npy_types[dtype] != NULL;
}

static Str npy_header(Arena *arena, const Tensor *tensor) {
    const char *type = npy_types[tensor->dtype];
    Text t = {.arena = arena};
    text_str(&t, STR("\x93NUMPY\x01\x00\x00\x00"));
    text_printf(&t, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                type ? type : "|u1");
    if (type)
        plan_shape(&t, tensor);
    else
        text_printf(&t, "%llu", (unsigned long long)tensor->size);
    text_lit(&t, !type || tensor->rank == 1 ? ",), }" : "), }");
    while ((t.n + 1) % WEIGHTS_ALIGN != 0 && !arena->failed)
        text_char(&t, ' ');
    text_char(&t, '\n');
    if (arena->failed)
        return (Str){0};
    size_t length = t.n - NPY_PREAMBLE;
    t.p[8] = (char)(length & 255);
    t.p[9] = (char)(length >> 8);
    return text_view(&t);
}

static bool needs_zip64(const Member *m) {
    return m->size >= ZIP_MAX32;
}

/* The fields that the local and the central header share. */
static void put_common(Text *t, const Member *m, bool zip64, size_t extra) {
    put(t, zip64 ? ZIP64_VERSION : ZIP_VERSION, 2);
    put(t, ZIP_UTF8, 2);
    put(t, 0, 2); /* stored */
    put(t, 0, 2); /* time */
    put(t, ZIP_DATE, 2);
    put(t, m->crc, 4);
    put(t, needs_zip64(m) ? ZIP_MAX32 : m->size, 4);
    put(t, needs_zip64(m) ? ZIP_MAX32 : m->size, 4);
    put(t, m->name.n, 2);
    put(t, extra, 2);
}

static void plan_member(Planner *p, Member *m) {
    bool zip64 = needs_zip64(m);
    Text t = {.arena = p->arena};
    m->offset = p->plan->total;
    text_lit(&t, "PK\3\4");
    put_common(&t, m, zip64, zip64 ? 20 : 0);
    text_str(&t, m->name);
    if (zip64) {
        put(&t, ZIP64_TAG, 2);
        put(&t, 16, 2);
        put(&t, m->size, 8);
        put(&t, m->size, 8);
    }
    text_str(&t, m->header);
    plan_bytes(p, text_view(&t));
    if (m->tensor)
        plan_tensor(p, m->tensor);
}

static void put_central(Text *t, const Member *m) {
    bool far = m->offset >= ZIP_MAX32, large = needs_zip64(m);
    size_t extra = (far ? 8u : 0u) + (large ? 16u : 0u);
    text_lit(t, "PK\1\2");
    put(t, 3 << 8 | ZIP64_VERSION, 2); /* made on Unix */
    put_common(t, m, extra > 0, extra ? extra + 4 : 0);
    put(t, 0, 2);           /* comment */
    put(t, 0, 2);           /* disk */
    put(t, 0, 2);           /* internal attributes: binary */
    put(t, 0644u << 16, 4); /* external attributes: mode */
    put(t, far ? ZIP_MAX32 : m->offset, 4);
    text_str(t, m->name);
    if (extra) {
        put(t, ZIP64_TAG, 2);
        put(t, extra, 2);
    }
    if (large) {
        put(t, m->size, 8);
        put(t, m->size, 8);
    }
    if (far)
        put(t, m->offset, 8);
}

/* The zip64 record and its locator, for what the plain end record cannot say. */
static void put_zip64_end(Text *t, uint64_t count, uint64_t start, uint64_t size) {
    text_lit(t, "PK\6\6");
    put(t, 44, 8); /* bytes that follow */
    put(t, 3 << 8 | ZIP64_VERSION, 2);
    put(t, ZIP64_VERSION, 2);
    put(t, 0, 4); /* disk */
    put(t, 0, 4);
    put(t, count, 8);
    put(t, count, 8);
    put(t, size, 8);
    put(t, start, 8);
    text_lit(t, "PK\6\7");
    put(t, 0, 4);
    put(t, start + size, 8);
    put(t, 1, 4); /* disks */
}

static void plan_directory(Planner *p, const Member *members, size_t n) {
    Text t = {.arena = p->arena};
    uint64_t start = p->plan->total;
    for (size_t i = 0; i < n; i++)
        put_central(&t, &members[i]);
    uint64_t size = t.n;
    if (n >= ZIP_MAX16 || start >= ZIP_MAX32 || size >= ZIP_MAX32)
        put_zip64_end(&t, n, start, size);
    text_lit(&t, "PK\5\6");
    put(&t, 0, 4); /* disks */
    put(&t, at_most(n, ZIP_MAX16), 2);
    put(&t, at_most(n, ZIP_MAX16), 2);
    put(&t, at_most(size, ZIP_MAX32), 4);
    put(&t, at_most(start, ZIP_MAX32), 4);
    put(&t, 0, 2); /* comment */
    plan_bytes(p, text_view(&t));
}

static uint32_t add_tensor(const Crc *crc, uint32_t sum, const Tensor *t) {
    if (t->memory)
        return crc_add(crc, sum, (Str){t->memory, (size_t)t->size});
    char step[1 << 13];
    for (uint64_t at = 0; at < t->size; at += sizeof step) {
        size_t n = t->size - at < sizeof step ? (size_t)(t->size - at) : sizeof step;
        if (!tensor_read(t, at, step, n))
            return 0; /* the driver says so */
        sum = crc_add(crc, sum, (Str){step, n});
    }
    return sum;
}

static Member tensor_member(Planner *p, size_t i, const Crc *crc) {
    const WeightEntry *entry = &p->entries[i];
    Text name = {.arena = p->arena};
    text_utf8(&name, entry->key);
    text_lit(&name, ".npy");
    Str header = npy_header(p->arena, entry->tensor);
    if (name.n > ZIP_NAME_MAX)
        plan_error(p, i, "names in an npz file have at most 65531 bytes");
    if (entry->key.n > 0 && memchr(entry->key.p, 0, entry->key.n))
        plan_error(p, i, "names in an npz file end at a zero byte");
    uint32_t sum = crc_add(crc, 0, header);
    return (Member){.name = text_view(&name),
                    .header = header,
                    .tensor = entry->tensor,
                    .size = header.n + entry->tensor->size,
                    .crc = add_tensor(crc, sum, entry->tensor)};
}

void plan_npz(Planner *p) {
    Crc crc;
    crc_init(&crc);
    Member *members = ARENA_ARRAY(p->arena, p->n + 1, Member);
    if (!members)
        return;
    size_t n = 0;
    Text note = {.arena = p->arena};
    plan_note(p, is_native, &note);
    if (note.n > 0) {
        Str text = text_view(&note);
        members[n++] = (Member){.name = STR(WEIGHTS_NOTE),
                                .header = text,
                                .size = text.n,
                                .crc = crc_add(&crc, 0, text)};
    }
    for (size_t i = 0; i < p->n; i++)
        members[n++] = tensor_member(p, i, &crc);
    for (size_t i = 0; i < n && !p->arena->failed && !p->plan->error; i++)
        plan_member(p, &members[i]);
    plan_directory(p, members, n);
}
