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

static void metadata(Planner *p, Text *t) {
    Text note = {.arena = p->arena};
    plan_note(p, is_native, &note);
    bool exported = has_exported(p);
    if (note.n == 0 && !exported)
        return;
    text_lit(t, "\"" METADATA "\":{");
    if (exported)
        text_lit(t, "\"" WEIGHTS_LAYOUT "\":\"exported\"");
    if (note.n) {
        text_lit(t, exported ? ",\"" WEIGHTS_NOTE "\":" : "\"" WEIGHTS_NOTE "\":");
        text_json(t, text_view(&note));
    }
    text_lit(t, p->n ? "}," : "}");
}

static void header_entry(Text *t, const WeightEntry *entry, uint64_t offset) {
    const Tensor *tensor = entry->tensor;
    text_json(t, entry->key);
    if (is_native(tensor->dtype)) {
        text_printf(t, ":{\"dtype\":\"%s\",\"shape\":[",
                    dtype_info(tensor->dtype)->safetensors);
        plan_shape(t, tensor);
    } else {
        text_printf(t, ":{\"dtype\":\"U8\",\"shape\":[%zu", tensor->data.n);
    }
    text_printf(t, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                (unsigned long long)(offset + tensor->data.n));
}

static void header(Planner *p, Text *t) {
    uint64_t offset = 0;
    text_char(t, '{');
    metadata(p, t);
    for (size_t i = 0; i < p->n; i++) {
        if (str_is(p->entries[i].key, METADATA))
            plan_error(p, i, "safetensors keeps the name " METADATA " for itself");
        header_entry(t, &p->entries[i], offset);
        text_lit(t, i + 1 < p->n ? "," : "");
        offset += p->entries[i].tensor->data.n;
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
        plan_tensor(p, p->entries[i].tensor);
}
