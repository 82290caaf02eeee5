/* Weights files: their plan, and handing one to a caller piece by piece, for which no file
 * system is needed. */
#include "api/api.h"

/* The results are those of ox_compile, so that must have come first. */
bool api_is_compiled(OxCompiler *c) {
    if (c->compiled)
        return true;
    diag_add(&c->diags, OX0003, STR(""), STR("call ox_compile first, and check it"),
             "there is nothing to write");
    return false;
}

static bool plan_entries(OxCompiler *c, const char *path, OxWeightFormat format,
                         WeightEntry *entries, size_t n, WeightPlan *plan) {
    if (format != OX_REFERENCE)
        return weights_plan(&c->arena, entries, n, format, plan);
#ifdef OX_NO_FILES
    (void)path;
    return false;
#else
    WeightFiles files = {0};
    return api_refer(c, path, entries, n, &files) &&
           weights_plan_reference(&c->arena, entries, n, &files, plan);
#endif
}

/* Where a checkpoint has the parameters, a file beside the module has the rest. */
static size_t list_entries(const OxCompiler *c, WeightEntry *entries) {
    size_t n = 0;
    for (size_t i = 0; i < c->module.n_params; i++) {
        const ModuleParam *p = &c->module.params[i];
        if (!tensor_is_absent(p->tensor))
            entries[n++] = (WeightEntry){
                .key = p->key, .tensor = p->tensor, .exported = c->module.exported};
    }
    return n;
}

bool api_plan_weights(OxCompiler *c, const char *path, OxWeightFormat format,
                      WeightPlan *plan) {
    WeightEntry *entries = ARENA_ARRAY(&c->arena, c->module.n_params, WeightEntry);
    size_t n = c->arena.failed ? 0 : list_entries(c, entries);
    if (c->arena.failed)
        return false;
    bool planned = plan_entries(c, path, format, entries, n, plan);
    if (!api_check_reads(c)) /* for checksums */
        return false;
    if (planned || !plan->error)
        return planned && !c->arena.failed;
    Str key = entries[plan->error_entry].key;
    diag_add(&c->diags, OX0003, STR(""), STR("choose another format with --weights"),
             "parameter \"%.*s\" cannot be stored: %s", (int)key.n, key.p, plan->error);
    return false;
}

/* ---- handing over ------------------------------------------------------------------ */

/* NULL for the model itself. */
static const char *location_of(OxCompiler *c, const Source *source) {
    Str location = c->inputs.items[source->number].location;
    return source->number ? source_location(&c->arena, location).p : NULL;
}

static bool send_read(const OxSink *sink, Source *source, uint64_t offset,
                      uint64_t size) {
    while (size > 0) {
        Str part =
            source_peek(source, offset, size < SIZE_MAX ? (size_t)size : SIZE_MAX);
        if (!part.n || !sink->write(sink->user, part.p, part.n))
            return false;
        offset += part.n;
        size -= part.n;
    }
    return true;
}

static bool send_segment(OxCompiler *c, const OxSink *sink, const WeightSegment *s) {
    if (s->source && sink->copy)
        return sink->copy(sink->user, location_of(c, s->source), s->offset, s->size);
    if (s->memory)
        return sink->write(sink->user, s->memory, (size_t)s->size);
    return send_read(sink, s->source, s->offset, s->size);
}

OxStatus ox_send_weights(OxCompiler *c, OxWeightFormat format, const OxSink *sink) {
    if (!api_is_compiled(c))
        return OX_ERR_USAGE;
    if (format == OX_REFERENCE) {
        diag_add(&c->diags, OX0003, STR(""), STR("choose another format"),
                 "an index refers to files, and none is written");
        return OX_ERR_USAGE;
    }
    WeightPlan plan = {0};
    if (!api_plan_weights(c, NULL, format, &plan)) {
        OxStatus status = diag_status(&c->diags);
        return status == OX_OK ? OX_ERR_MEMORY : status;
    }
    for (size_t i = 0; i < plan.count; i++) {
        if (send_segment(c, sink, &plan.items[i]))
            continue;
        if (api_check_reads(c))
            diag_add(&c->diags, OX0002, STR(""), STR(""),
                     "the weights cannot be written: they were not taken");
        return c->arena.failed ? OX_ERR_MEMORY : OX_ERR_IO;
    }
    return diag_status(&c->diags);
}
