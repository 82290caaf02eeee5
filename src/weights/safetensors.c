/* safetensors: the length of the header as 8 bytes, the header as JSON, then the data.
 * The header may end in spaces, which puts the data on 64 bytes; between tensors the
 * format allows no gaps, so their order does the rest (see weights_plan).
 * Source: https://github.com/huggingface/safetensors, "Format". */
#include "support/json.h"
#include "weights/plan.h"

#define METADATA "__metadata__"

enum { LENGTH_BYTES = 8 };

static bool is_native(DType dtype) {
    return dtype_info(dtype)->safetensors != NULL;
}

static bool has_exported(const Planner *p) {
    for (size_t i = 0; i < p->n; i++)
        if (p->entries[i].exported)
            return true;
    return false;
}

/* One entry of the metadata, whose values are strings. */
static void metadata_entry(Text *t, const char *key, Str value, const char **between) {
    text_printf(t, "%s\"%s\":", *between, key);
    text_json(t, value);
    *between = ",";
}

static void metadata(Planner *p, Text *t) {
    Text packed = {.arena = p->arena}, reference = {.arena = p->arena};
    plan_note(p, is_native, &packed);
    if (p->files)
        plan_reference_note(p, &reference);
    bool exported = has_exported(p);
    if (!packed.n && !reference.n && !exported)
        return;
    const char *between = "";
    text_lit(t, "\"" METADATA "\":{");
    if (exported)
        metadata_entry(t, WEIGHTS_LAYOUT, STR("exported"), &between);
    if (packed.n)
        metadata_entry(t, WEIGHTS_NOTE, text_view(&packed), &between);
    if (reference.n)
        metadata_entry(t, WEIGHTS_REFERENCE, text_view(&reference), &between);
    text_char(t, '}');
}

static void header_entry(Text *t, const WeightEntry *entry, uint64_t offset) {
    const Tensor *tensor = entry->tensor;
    text_json(t, entry->key);
    if (is_native(tensor->dtype)) {
        text_printf(t, ":{\"dtype\":\"%s\",\"shape\":[",
                    dtype_info(tensor->dtype)->safetensors);
        plan_shape(t, tensor);
    } else {
        text_printf(t, ":{\"dtype\":\"U8\",\"shape\":[%llu",
                    (unsigned long long)tensor->size);
    }
    text_printf(t, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                (unsigned long long)(offset + tensor->size));
}

static void header(Planner *p, Text *t) {
    uint64_t offset = 0;
    text_char(t, '{');
    size_t empty = t->n;
    metadata(p, t);
    for (size_t i = 0; i < p->n; i++) {
        if (str_is(p->entries[i].key, METADATA))
            plan_error(p, i, "safetensors keeps the name " METADATA " for itself");
        if (p->entries[i].file)
            continue;
        text_lit(t, t->n > empty ? "," : "");
        header_entry(t, &p->entries[i], offset);
        offset += p->entries[i].tensor->size;
    }
    text_char(t, '}');
}

void plan_safetensors(Planner *p) {
    Text t = {.arena = p->arena};
    text_str(&t, (Str){"\0\0\0\0\0\0\0", LENGTH_BYTES});
    header(p, &t);
    while (t.n % WEIGHTS_ALIGN != 0 && !p->arena->failed)
        text_char(&t, ' ');
    if (p->arena->failed)
        return;
    for (int i = 0; i < LENGTH_BYTES; i++)
        t.p[i] = (char)((uint64_t)(t.n - LENGTH_BYTES) >> 8 * i);
    plan_bytes(p, text_view(&t));
    for (size_t i = 0; i < p->n; i++)
        if (!p->entries[i].file)
            plan_tensor(p, p->entries[i].tensor);
}
