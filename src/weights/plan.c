/* The order of tensors and the list of segments, for both weights formats. */
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

/* Tensors that lie side by side in one input file become one segment. */
static bool extend_last(WeightPlan *plan, Str bytes, uint32_t source, uint64_t offset) {
    if (plan->count == 0 || offset == OX_NO_OFFSET)
        return false;
    WeightSegment *last = &plan->items[plan->count - 1];
    if (last->source_offset == OX_NO_OFFSET || last->source != source ||
        last->source_offset + last->bytes.n != offset ||
        last->bytes.p + last->bytes.n != bytes.p)
        return false;
    last->bytes.n += bytes.n;
    return true;
}

static void plan_run(Planner *p, Str bytes, uint32_t source, uint64_t offset) {
    WeightPlan *plan = p->plan;
    if (bytes.n == 0)
        return;
    plan->total += bytes.n;
    WeightSegment segment = {bytes, source, offset};
    if (!extend_last(plan, bytes, source, offset))
        ARENA_PUSH(p->arena, plan, segment);
}

void plan_bytes(Planner *p, Str bytes) {
    plan_run(p, bytes, 0, OX_NO_OFFSET);
}

void plan_tensor(Planner *p, const Tensor *tensor) {
    plan_run(p, tensor->data, tensor->source, tensor->offset);
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
    text_char(t, '}');
}

void plan_note(Planner *p, bool (*native)(DType), Text *t) {
    for (size_t i = 0; i < p->n; i++) {
        if (native(p->entries[i].tensor->dtype))
            continue;
        text_lit(t, t->n ? ", " : "{");
        note_entry(t, &p->entries[i]);
    }
    if (t->n)
        text_char(t, '}');
}

bool weights_plan(Arena *arena, const WeightEntry *entries, size_t n,
                  OxWeightFormat format, WeightPlan *plan) {
    *plan = (WeightPlan){0};
    Planner p = {.arena = arena, .n = n, .plan = plan};
    if (!sort_entries(&p, entries))
        return false;
    if (format == OX_NPZ)
        plan_npz(&p);
    else
        plan_safetensors(&p);
    return !arena->failed && !plan->error;
}
