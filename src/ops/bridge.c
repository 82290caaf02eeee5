/* Operators of the domain "oxide_xla": what ONNX has no operator for and the bridge
 * writes under a name of ours, with a function of the same meaning beside it for other
 * runtimes.
 * Source: bridge/fx_operators.py; PyTorch's torch.nn.functional.grouped_mm. */
#include "ops/core/op.h"

#define BRIDGE .domain = OP_BRIDGE, .since = 1

/* (rows, in) by (groups, in, out), and the end of each group of rows: (rows, out). */
static void infer_grouped(Model *m, Node *n) {
    Shape x, w, ends;
    in_shape(n, 0, &x);
    in_shape(n, 1, &w);
    in_shape(n, 2, &ends);
    bool wrong = (x.rank >= 0 && x.rank != 2) || (w.rank >= 0 && w.rank != 3) ||
                 (ends.rank >= 0 && ends.rank != 1);
    if (!wrong && x.rank >= 0 && w.rank >= 0)
        wrong = dim_known_eq(&m->dims, x.d[1], w.d[1]) == 0;
    if (!wrong && w.rank >= 0 && ends.rank >= 0)
        wrong = dim_known_eq(&m->dims, w.d[0], ends.d[0]) == 0;
    if (wrong) {
        node_error(
            m, n, OX0401, "",
            "input, weight and offsets must be (rows, in), (groups, in, out) and "
            "(groups)");
        return;
    }
    if (x.rank < 0 || w.rank < 0) {
        set_rank(m, n, 0, in_dtype(n, 0), 2);
        return;
    }
    x.d[1] = w.d[2];
    set_type(m, n, 0, in_dtype(n, 0), &x);
}

/* A cache (batch, heads, length, width) by what goes in it, (batch, heads, new, width);
 * or with another axis of the length, where --cache has made the node. */
static void infer_write(Model *m, Node *n) {
    Shape cache, update;
    int axis = (int)attr_int(n, "axis");
    bool known = in_shape(n, 0, &cache) && in_shape(n, 1, &update);
    bool wrong = known && (cache.rank <= axis || update.rank != cache.rank);
    for (int i = 0; known && !wrong && i < cache.rank; i++)
        wrong = i != axis && dim_known_eq(&m->dims, cache.d[i], update.d[i]) == 0;
    if (wrong || in_rank(n, 2) > 0)
        node_error(m, n, OX0401, "",
                   "cache and update must differ in axis %d alone, and position be a "
                   "scalar",
                   axis);
    infer_same(m, n);
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "GroupedMatMul", BRIDGE, .in = "input weight offsets", .out = "output",
     .infer = infer_grouped, .jax = "grouped_matmul($input, $weight, $offsets)"},
    {.name = "WriteCache", BRIDGE, .in = "cache update position", .out = "output",
     .attrs = {INT("axis", 2)}, .infer = infer_write,
     .jax =
         "jax.lax.dynamic_update_slice_in_dim($cache, $update, $position, axis=$axis)"},
};
/* clang-format on */

const OpFamily ops_bridge = FAMILY(ops);
