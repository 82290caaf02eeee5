/* What padding.c does for a step of a decoder (step.c) and not for --bound: positions that
 * follow from the past, and masks. */
#include "passes/sizes/padder.h"

/* ---- places ------------------------------------------------------------------------ */

/* New tokens are put behind what is in the cache. */
bool step_writes(const Padding *p, const Node *n) {
    for (size_t i = 0; p->step && i < p->step->count; i++)
        for (uint32_t k = 0; k < n->n_in; k++)
            if (n->in[k] == p->step->pasts[i])
                return true;
    return false;
}

bool step_reads_more(const Padding *p, const Reader *r) {
    bool more = false;
    for (uint32_t k = 0; k < r->n->n_in; k++) {
        bool past = false;
        for (size_t i = 0; i < p->step->count; i++)
            past = past || r->n->in[k] == p->step->pasts[i];
        more = more || (r->axes[k] && !past);
    }
    return more;
}

/* No list of sizes is known in part only, and no output has a size that comes from
 * anything but a known one. */
bool step_knows_sizes(const Reader *r) {
    const Node *n = r->n;
    bool known = !r->grows;
    for (uint32_t k = 0; k < n->n_in; k++) {
        if (n->in[k] && pad_elements_mention(n->in[k]->partly, r->s))
            return false;
        known = known || r->is_size[k] || r->left[k];
    }
    return known;
}

/* A range of integers from a place that follows from the past, of a size that does not. */
bool step_is_range(const Padding *p, const Reader *r) {
    const Node *n = r->n;
    return p->step && n->op->count && n->n_in == 3 && r->is_size[0] && r->is_size[1] &&
           !r->is_size[2] && in_known(n, 2) && node_is_fixed(n, 0) &&
           node_is_fixed(n, 1) && n->out[0]->type.rank == 1 &&
           !pad_mentions(n->out[0]->type.dims[0], r->s);
}

/* From zero, and the place is added: real becomes start + range(0, limit - start). */
Node *step_move_range(Padding *p, Node *real) {
    Value *start = real->in[0], *result = real->out[0], *whole[2];
    Value *length[] = {real->in[1], start}, *itself[] = {start, start};
    Node *number = stepped_number(p->m, real, &p->step->place, start);
    real->in[1] =
        pad_before(p, stepped_node(p->m, real, "", "Sub", length, 2, STR("tokens")));
    real->in[0] =
        pad_before(p, stepped_node(p->m, real, "", "Sub", itself, 2, STR("zero")));
    whole[0] = pad_before(p, number);
    if (!real->in[0] || !real->in[1] || !whole[0])
        return NULL;
    whole[1] = value_new(
        p->m, real->graph, VALUE_NODE,
        arena_printf(p->m->arena, "%.*s/steps", (int)result->name.n, result->name.p));
    Node *sum =
        whole[1] ? stepped_node(p->m, real, "", "Add", whole, 2, STR("places")) : NULL;
    if (!sum)
        return NULL;
    node_make(real, 0, whole[1]);
    node_make(sum, 0, result);
    return sum;
}

/* Of a step: nobody reads what it makes. */
bool step_is_unread(const Padding *p, const Node *n) {
    bool read = !p->step || pad_has_subgraphs(n);
    for (uint32_t k = 0; k < n->n_out; k++)
        read = read || (n->out[k] && n->out[k]->uses);
    return !read;
}

/* The two models are one, but for sizes. */
bool step_is_same(const Padding *p, const Node *n, const Node *real) {
    return n->op == real->op || step_writes(p, n);
}

/* ---- what is behind the end -------------------------------------------------------- */

/* Puts n right behind `at`, which is in the list. */
static void put_behind(Padding *p, const Node *at, Node *n) {
    pad_put(p, n);
    if (p->m->arena->failed)
        return;
    size_t i = p->nodes.count - 1;
    for (; i > 0 && p->nodes.items[i - 1] != at; i--)
        p->nodes.items[i] = p->nodes.items[i - 1];
    p->nodes.items[i] = n;
}

/* The mask with minus infinity past the end, beside what makes it. */
static Value *masked(Padding *p, Value *mask, const Extent *e, int axis) {
    Node *at = mask->def;
    Node *n =
        padded_fill(p->m, at, mask, e->count, axis, (PaddedLength){1, 0}, PAST_LOWEST);
    if (!n || at->graph != p->graph)
        return NULL;
    put_behind(p, at, n);
    return n->out[0];
}

/* Its outputs are zero where it has seen minus infinity. */
void step_note_shares(Padding *p, const Node *n) {
    if (p->step && dtype_is_float(n->out[0]->type.dtype))
        behind_is_share(&p->behind, n->out[0]);
}

/* Of a product where one factor is zero behind the end, the other need only be finite. */
bool step_is_zero(Padding *p, const Reader *r, int k) {
    const Node *n = r->n;
    if (!p->step || !(n->op->facts & OP_CONTRACTS) || r->at[0] < 0 || r->at[1] < 0)
        return false;
    bool finite[2], zero[2];
    for (int i = 0; i < 2; i++) {
        zero[i] = behind_zero(&p->behind, n->in[i]);
        finite[i] = zero[i] || behind_finite(&p->behind, n->in[i]);
    }
    return zero[k] || (finite[k] && (zero[!k] || k == 1 || !finite[1]));
}

/* Input k, which is x + mask, would be minus infinity past the end: the mask may be, where
 * x is finite and nobody else reads the sum.  Layers share a mask. */
bool step_hide_in_mask(Padding *p, const Reader *r, Node *real, const Extent *e,
                       int k) {
    const Value *sum = r->n->in[k];
    const Node *n = sum->def;
    bool is_sum = p->step && dim_as_symbol(in_dim(r->n, k, r->at[k])) == r->s && n &&
                  n->op && n->op->facts & OP_UNIT0 && n->op->facts & OP_COMMUTATIVE &&
                  n->n_in == 2 && sum->uses == 1 && real->in[k]->def &&
                  real->in[k]->def->op == n->op;
    for (uint32_t i = 0; is_sum && i < 2; i++) {
        int rank = in_rank(n, (int)i), axis = r->at[k] - sum->type.rank + rank;
        Value *mask = real->in[k]->def->in[i];
        if (axis < 0 || !mask->def || !(padding_axes(n->in[i], r->s) >> axis & 1) ||
            !behind_finite(&p->behind, n->in[!i]))
            continue;
        Value *hidden = masked(p, mask, e, axis);
        if (hidden)
            real->in[k]->def->in[i] = hidden;
        return hidden != NULL;
    }
    return false;
}
