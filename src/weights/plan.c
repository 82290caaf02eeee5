/* The order of tensors, the list of segments and the notes, for all weights formats. */
#include "weights/plan.h"
#include "support/json.h"

/* Classes of alignment: elements of 16, 8, 4, 2 and 1 bytes.  Packed types count as
 * bytes. */
enum { ALIGN_CLASSES = 5 };

static int align_class(const Tensor *tensor) {
    int bits = dtype_info(tensor->dtype)->bits, c = 0;
    while (c < ALIGN_CLASSES - 1 && bits < 128 >> c)
        c++;
    return c;
}

/* Copies the entries in the order of the file: a stable counting sort. */
static bool sort_entries(Planner *p, const WeightEntry *entries) {
    WeightEntry *sorted = ARENA_ARRAY(p->arena, p->n, WeightEntry);
    size_t *order = ARENA_ARRAY(p->arena, p->n, size_t);
    if (!sorted || !order)
        return p->n == 0;
    size_t next[ALIGN_CLASSES + 1] = {0};
    for (size_t i = 0; i < p->n; i++)
        next[align_class(entries[i].tensor) + 1]++;
    for (int c = 0; c < ALIGN_CLASSES; c++)
        next[c + 1] += next[c];
    for (size_t i = 0; i < p->n; i++) {
        size_t at = next[align_class(entries[i].tensor)]++;
        order[at] = i;
        sorted[at] = entries[i];
    }
    p->entries = sorted;
    p->plan->order = order;
    return true;
}

/* Tensors that lie side by side in one file become one segment. */
static bool extend_last(WeightPlan *plan, const WeightSegment *next) {
    WeightSegment *last = plan->count ? &plan->items[plan->count - 1] : NULL;
    if (!last || !next->source || last->source != next->source ||
        last->offset + last->size != next->offset)
        return false;
    if (last->memory && last->memory + last->size != next->memory)
        last->memory = NULL; /* copies of what a reader gave */
    last->size += next->size;
    return true;
}

static void plan_run(Planner *p, WeightSegment segment) {
    WeightPlan *plan = p->plan;
    if (segment.size == 0)
        return;
    plan->total += segment.size;
    if (!extend_last(plan, &segment))
        ARENA_PUSH(p->arena, plan, segment);
}

void plan_bytes(Planner *p, Str bytes) {
    plan_run(p, (WeightSegment){bytes.n, bytes.p, NULL, 0});
}

void plan_tensor(Planner *p, const Tensor *t) {
    plan_run(p, (WeightSegment){t->size, t->memory, t->source, t->offset});
}

void plan_error(Planner *p, size_t i, const char *why) {
    if (p->plan->error)
        return;
    p->plan->error = why;
    p->plan->error_entry = p->plan->order[i];
}

void plan_shape(Text *t, const Tensor *tensor) {
    for (int i = 0; i < tensor->rank; i++)
        text_printf(t, "%s%lld", i ? ", " : "", (long long)tensor->dims[i]);
}

static void note_entry(Text *t, const WeightEntry *entry) {
    const DTypeInfo *type = dtype_info(entry->tensor->dtype);
    text_json(t, entry->key);
    text_printf(t, ": {\"dtype\": \"%s\", \"shape\": [", type->name);
    plan_shape(t, entry->tensor);
    text_char(t, ']');
    if (type->bits < 8)
        text_printf(t, ", \"bits\": %d", type->bits);
}

void plan_note(Planner *p, bool (*native)(DType), Text *t) {
    for (size_t i = 0; i < p->n; i++) {
        if (p->entries[i].file || native(p->entries[i].tensor->dtype))
            continue;
        text_lit(t, t->n ? ", " : "{");
        note_entry(t, &p->entries[i]);
        text_char(t, '}');
    }
    if (t->n)
        text_char(t, '}');
}

static void note_place(Text *t, const Planner *p, const WeightEntry *entry) {
    uint64_t start = entry->tensor->offset;
    text_printf(t, ", \"file\": %zu, \"data_offsets\": [%llu, %llu], \"crc32\": %lu}",
                (size_t)(entry->file - p->files->items), (unsigned long long)start,
                (unsigned long long)(start + entry->tensor->size),
                (unsigned long)entry->sample);
}

void plan_reference_note(const Planner *p, Text *t) {
    text_lit(t, "{\"files\": [");
    for (size_t i = 0; i < p->files->count; i++) {
        text_lit(t, i ? ", {\"path\": " : "{\"path\": ");
        text_json(t, p->files->items[i].path);
        text_printf(t, ", \"size\": %llu}",
                    (unsigned long long)p->files->items[i].size);
    }
    text_lit(t, "], \"params\": {");
    const char *between = "";
    for (size_t i = 0; i < p->n; i++) {
        if (!p->entries[i].file)
            continue;
        text_lit(t, between);
        note_entry(t, &p->entries[i]);
        note_place(t, p, &p->entries[i]);
        between = ", ";
    }
    text_lit(t, "}}");
}

static bool plan(Planner *p, const WeightEntry *entries, void (*format)(Planner *)) {
    *p->plan = (WeightPlan){0};
    if (!sort_entries(p, entries))
        return false;
    format(p);
    return !p->arena->failed && !p->plan->error;
}

bool weights_plan(Arena *arena, const WeightEntry *entries, size_t n,
                  OxWeightFormat format, WeightPlan *result) {
    Planner p = {.arena = arena, .n = n, .plan = result};
    return plan(&p, entries, format == OX_NPZ ? plan_npz : plan_safetensors);
}

bool weights_plan_reference(Arena *arena, const WeightEntry *entries, size_t n,
                            const WeightFiles *files, WeightPlan *result) {
    Planner p = {.arena = arena, .n = n, .plan = result, .files = files};
    return plan(&p, entries, plan_safetensors);
}
