/* Multiply-accumulates of operators.  Sources: the formulas of the operators in ONNX and
 * in ContribOperators.md of onnxruntime; the counts are those that torch.utils.flop_counter
 * gives, by two. */
#include "ops/core/macs.h"

/* A value's elements. */
static bool elements(Model *m, const Value *v, Dim *count) {
    if (!v || v->type.kind != TYPE_TENSOR || v->type.rank < 0)
        return false;
    *count = type_count(&m->dims, &v->type);
    return true;
}

/* The size of v along an axis, counted from its end where negative. */
static bool size_along(const Value *v, int axis, Dim *size) {
    int rank = v ? v->type.rank : -1;
    int at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank)
        return false;
    *size = v->type.dims[at];
    return true;
}

/* The input by its name, or by that of other operators. */
static Value *named_input(const Node *n, const char *name, const char *other) {
    int i = op_input_index(n->op, str_from(name));
    return node_in(n, i >= 0 ? i : op_input_index(n->op, str_from(other)));
}

static Value *output_named(const Node *n, const char *name) {
    OpSlot slot;
    int k = op_spec_find(n->op->out, str_from(name), &slot);
    return k < 0 ? NULL : node_out(n, k);
}

bool macs_product(Model *m, Node *n, Dim *count) {
    const Value *a = node_in(n, 0);
    if (attr_int_or(n, "transBatchA", 0))
        return false;
    bool turned = attr_int_or(n, "transA", 0);
    bool vector = a && a->type.rank == 1;
    Dim depth;
    if (!elements(m, node_out(n, 0), count) ||
        !size_along(a, turned && !vector ? -2 : -1, &depth))
        return false;
    *count = dim_mul(&m->dims, *count, depth);
    return true;
}

/* One kernel: all of w but its first axis. */
static bool kernel(Model *m, const Value *w, Dim *count) {
    *count = dim_int(1);
    for (int i = 1; w && i < w->type.rank; i++)
        *count = dim_mul(&m->dims, *count, w->type.dims[i]);
    return w && w->type.rank > 1;
}

static bool macs_window(Model *m, const Node *n, const Value *each, Dim *count) {
    Dim one;
    if (!elements(m, each, count) || !kernel(m, named_input(n, "W", "w"), &one))
        return false;
    *count = dim_mul(&m->dims, *count, one);
    return true;
}

bool macs_conv(Model *m, Node *n, Dim *count) {
    return macs_window(m, n, node_out(n, 0), count);
}

bool macs_conv_transpose(Model *m, Node *n, Dim *count) {
    return macs_window(m, n, node_in(n, 0), count);
}

bool macs_recurrent(Model *m, Node *n, Dim *count) {
    Dim time, batch, w, r;
    if (!size_along(node_in(n, 0), 0, &time) || !size_along(node_in(n, 0), 1, &batch) ||
        !elements(m, node_in(n, 1), &w) || !elements(m, node_in(n, 2), &r))
        return false;
    Dim steps = dim_mul(&m->dims, time, batch);
    *count = dim_mul(&m->dims, steps, dim_add(&m->dims, w, r));
    return true;
}

/* Each of these elements takes part in the product with each key or value. */
static bool over_keys(Model *m, Dim elements, Dim keys, Dim *count) {
    *count = dim_mul(&m->dims, elements, keys);
    return true;
}

bool macs_attention(Model *m, Node *n, Dim *count) {
    const Value *k = node_input(n, "K");
    Dim q, y, keys, past;
    if (!elements(m, node_input(n, "Q"), &q) || !elements(m, node_out(n, 0), &y) ||
        !size_along(k, -2, &keys))
        return false;
    if (k->type.rank == 3)
        keys = k->type.dims[1];
    if (op_input_index(n->op, STR("past_key")) >= 0 &&
        size_along(node_input(n, "past_key"), -2, &past))
        keys = dim_add(&m->dims, keys, past);
    return over_keys(m, dim_add(&m->dims, q, y), keys, count);
}

/* How many keys a query of com.microsoft sees: those of the cache that comes out, or of
 * the input, (B, L, H * D) or (B, H, L, D); the query's own where there is no key. */
static bool keys_of(const Node *n, const Value *query, Dim *keys) {
    const Value *present = output_named(n, "present_key");
    const Value *both = output_named(n, "present"); /* (2, B, H, L, D) */
    const Value *key =
        op_input_index(n->op, STR("key")) >= 0 ? node_input(n, "key") : NULL;
    if (present && present->type.rank == 4)
        return size_along(present, 2, keys);
    if (both && both->type.rank == 5)
        return size_along(both, 3, keys);
    if (key)
        return size_along(key, key->type.rank == 4 ? 2 : 1, keys);
    return size_along(query, 1, keys);
}

bool macs_multi_head(Model *m, Node *n, Dim *count) {
    const Value *query = named_input(n, "query", "input"), *y = node_out(n, 0);
    Dim out, keys, inner, projected;
    if (!elements(m, y, &out) || !keys_of(n, query, &keys) ||
        !over_keys(m, dim_mul(&m->dims, out, dim_int(2)), keys, count))
        return false;
    const Value *weights =
        op_input_index(n->op, STR("query")) < 0 ? node_in(n, 1) : NULL;
    if (!weights)
        return true;
    if (!elements(m, query, &projected) || !size_along(query, -1, &inner) ||
        !size_along(weights, 1, &inner))
        return false;
    *count = dim_add(&m->dims, *count, dim_mul(&m->dims, projected, inner));
    return true;
}

/* ---- nodes ------------------------------------------------------------------------- */

static bool graph_macs(Model *m, const Graph *g, Dim *count) {
    bool known = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Dim one;
        known &= node_macs(m, g->nodes[i], &one);
        *count = dim_add(&m->dims, *count, one);
    }
    return known;
}

bool macs_of_graphs(Model *m, const Node *n, Dim *count) {
    bool known = true;
    *count = dim_int(0);
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t k = 0; k < n->attrs[i].graph_count; k++)
            known &= graph_macs(m, n->attrs[i].graphs[k], count);
    return known;
}

bool macs_loop(Model *m, Node *n, Dim *count) {
    const Known *most = in_known(n, 0);
    const Dim no_limit = dim_int(INT32_MAX); /* M of a `while` is the largest int64 */
    bool known = macs_of_graphs(m, n, count);
    if (n->trips)
        *count = dim_mul(&m->dims, *count, n->trips->count);
    else if (most && most->ints &&
             dim_known_less(&m->dims, most->ints[0], no_limit) != 0)
        *count = dim_mul(&m->dims, *count, most->ints[0]);
    return known;
}

bool node_macs(Model *m, Node *n, Dim *count) {
    bool known = n->op != NULL;
    *count = dim_int(0);
    if (known && n->op->macs)
        known = n->op->macs(m, n, count);
    else if (known)
        known = macs_of_graphs(m, n, count) && !(n->op->facts & OP_CONTRACTS);
    if (!dims_take_overflow(&m->dims) && known)
        return true;
    *count = dim_int(0);
    return false;
}
