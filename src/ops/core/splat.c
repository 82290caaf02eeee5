/* Tensors whose elements are all equal, of any size: masks of ones, biases of zeros, what
 * ConstantOfShape and Expand make.  They stay that way through operators that only move
 * elements, and elementwise operators are evaluated on the one element. */
#include "ops/core/splat.h"

/* The value as a tensor of rank 0 that holds the element. */
static Value scalar_of(const Value *v, const Known *element) {
    Value s = *v;
    s.type.rank = 0;
    s.type.dims = NULL;
    s.known = element;
    return s;
}

enum { SPLAT_INPUTS_MAX = 4 };

/* Runs the evaluator on rank 0 copies of the inputs. */
static const Known *evaluate(Model *m, Node *n, uint32_t needed) {
    Value values[SPLAT_INPUTS_MAX], out = scalar_of(n->out[0], NULL);
    Value *in[SPLAT_INPUTS_MAX] = {0}, *outs[1] = {&out};
    if (n->n_in > SPLAT_INPUTS_MAX || n->n_out != 1)
        return NULL;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!n->in[i])
            continue;
        if (i < needed && !n->in[i]->splat)
            return NULL;
        values[i] = scalar_of(n->in[i], n->in[i]->splat);
        in[i] = &values[i];
    }
    Node copy = *n;
    copy.in = in;
    copy.out = outs;
    n->op->eval(m, &copy);
    return out.known && out.known->n == 1 ? out.known : NULL;
}

void infer_splat(Model *m, Node *n) {
    Value *v = node_out(n, 0);
    if (!n->op || !v || v->splat || n->op->facts & OP_IMPURE)
        return;
    const Value *first = node_in(n, 0);
    if (v->known)
        v->splat = known_splat(m, v->known);
    else if (n->op->facts & (OP_MOVES | OP_IDENTITY))
        v->splat = first ? first->splat : NULL;
    else if (n->op->facts & OP_ELEMENTWISE && n->op->eval)
        v->splat = evaluate(m, n, 1);
    else if (n->op->facts & OP_BROADCAST && n->op->eval)
        v->splat = evaluate(m, n, n->n_in);
}
