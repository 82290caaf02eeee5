/* weights_tool MODEL safetensors|npz OUTPUT
 * Writes every initializer of a model as compile does, without compiling the model, so
 * that tests can cover element types that no operator uses. */
#include <stdio.h>

#include "onnx/onnx.h"
#include "support/file.h"
#include "weights/weights.h"

static bool write_plan(const WeightPlan *plan, const FileMap *model, const char *path) {
    OutFile out;
    out_open(&out, path);
    for (size_t i = 0; i < plan->count; i++) {
        const WeightSegment *s = &plan->items[i];
        if (s->source)
            out_copy(&out, model, s->offset, (size_t)s->size);
        else
            out_write(&out, s->memory, (size_t)s->size);
    }
    return out_commit(&out);
}

static bool write_weights(Arena *arena, const FileMap *model, OxWeightFormat format,
                          const char *path) {
    Diags diags = {.arena = arena};
    Source source = source_of_memory(model->bytes);
    PbModel *pb = onnx_parse(arena, &diags, &source);
    size_t n = pb ? pb->graph.initializers.count : 0;
    WeightEntry *entries = ARENA_ARRAY(arena, n + 1, WeightEntry);
    if (!pb || !entries)
        return false;
    for (size_t i = 0; i < n; i++) {
        const Tensor *tensor = &pb->graph.initializers.items[i].t;
        entries[i] = (WeightEntry){.key = tensor->name, .tensor = tensor};
    }
    WeightPlan plan;
    if (weights_plan(arena, entries, n, format, &plan))
        return write_plan(&plan, model, path);
    fprintf(stderr, "%s\n", plan.error ? plan.error : "out of memory");
    return false;
}

int main(int argc, char **argv) {
    FileMap model;
    if (argc != 4 || !file_map(&model, argv[1]))
        return 2;
    Arena arena;
    arena_init(&arena, NULL);
    OxWeightFormat format = strcmp(argv[2], "npz") == 0 ? OX_NPZ : OX_SAFETENSORS;
    bool ok = write_weights(&arena, &model, format, argv[3]);
    arena_free(&arena);
    file_unmap(&model);
    return ok ? 0 : 1;
}
