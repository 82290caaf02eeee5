/* Literals that are multiplied and summed become parameters.
 *
 * XLA on a CPU, as of JAX 0.10.2, computes products and convolutions with float32
 * constants wrongly when both are large and a reduction follows: NaN, or a part of the
 * sum.  (--xla_cpu_experimental_ynn_fusion_type= turns that fusion off.)  Parameters are
 * arguments of forward, which it gets right. */
#include "passes/passes.h"

/* What is larger stays a literal, behind a barrier: see emit_in. */
enum { BYTES_MAX = 16 << 20 };

static bool element(const Value *v, size_t i, float *x) {
    const Known *k = v->splat ? v->splat : v->known;
    size_t at = v->splat ? 0 : i;
    if (!k || !k->floats || at >= k->n)
        return false;
    *x = (float)k->floats[at];
    return true;
}

/* The elements of v as a tensor; NULL when they are not known, or too many. */
static const Tensor *tensor_of(Model *m, const Value *v) {
    int64_t count = 1;
    int64_t *dims = ARENA_ARRAY(m->arena, (size_t)v->type.rank, int64_t);
    Tensor *t = ARENA_NEW(m->arena, Tensor);
    for (int i = 0; i < v->type.rank && dims; i++) {
        dims[i] = v->type.dims[i].c;
        if (__builtin_mul_overflow(count, dims[i], &count) || count > BYTES_MAX / 4)
            return NULL;
    }
    char *data = arena_alloc(m->arena, (size_t)count * 4);
    if (!dims || !t || !data)
        return NULL;
    for (int64_t i = 0; i < count; i++) {
        float x;
        if (!element(v, (size_t)i, &x))
            return NULL;
        memcpy(data + 4 * i, &x, 4);
    }
    *t = (Tensor){.name = v->name,
                  .dtype = DT_FLOAT,
                  .rank = v->type.rank,
                  .dims = dims,
                  .count = count,
                  .memory = data,
                  .size = (size_t)count * 4};
    return t;
}

static void make_param(Model *m, Value *v) {
    if (!v || v->kind != VALUE_CONST || v->type.dtype != DT_FLOAT || v->type.rank < 1 ||
        !type_is_static(&v->type))
        return;
    const Tensor *t = v->tensor ? v->tensor : tensor_of(m, v);
    if (!t)
        return;
    v->tensor = t;
    v->kind = VALUE_PARAM;
    v->is_frozen = m->of_bridge; /* what PyTorch trains has a name */
}

static void visit(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        for (uint32_t k = 0; n->op && n->op->facts & OP_CONTRACTS && k < n->n_in; k++)
            if (k < 2)
                make_param(user, n->in[k]);
    }
}

void pass_weights(Model *m) {
    graph_each(m->graph, visit, m);
}
