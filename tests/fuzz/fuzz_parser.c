/* Parses any bytes, resolves external data against the same bytes, and reads what a
 * later stage would read: node metadata and the elements of tensors. */
#include "onnx/onnx.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Source *open_input(void *user, Diags *diags, Str location) {
    (void)diags;
    return location.n % 2 == 0 ? user : NULL; /* some files cannot be opened */
}

static double read_elements(const Tensor *t) {
    double sum = 0;
    if (t->size == 0)
        return 0;
    for (int64_t i = 0; i < t->count; i++)
        sum += tensor_f64(t, i) + (double)(tensor_i64(t, i) & 1);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Source source = source_of_memory((Str){(const char *)data, size});
    Arena a;
    arena_init(&a, NULL);
    Diags d = {.arena = &a, .file = STR("fuzz")};
    PbModel *m = onnx_parse(&a, &d, &source);
    if (m) {
        volatile double sum = 0;
        (void)sum;
        onnx_resolve(&a, &d, m, open_input, &source);
        for (size_t i = 0; i < m->graph.initializers.count; i++)
            sum += read_elements(&m->graph.initializers.items[i].t);
        for (size_t i = 0; i < m->graph.nodes.count; i++) {
            const PbNode *node = &m->graph.nodes.items[i];
            sum += (double)onnx_node_metadata(&a, m, node).count;
            static const char *const keys[] = {"k"};
            Str value;
            onnx_node_metadata_get(&a, m, node, keys, 1, &value);
            sum += (double)value.n;
        }
    }
    Text out = {.arena = &a};
    diag_print(&d, true, &out);
    arena_free(&a);
    return 0;
}
