/* Stock rules of apart.h.  They compare axes only: that sizes agree is up to the reader. */
#include "ops/core/apart.h"

bool apart_shared(const Node *n, const int *at, int first) {
    for (int k = first; k < (int)n->n_in; k++)
        if (at[k] != APART_SHARED)
            return false;
    return true;
}

bool apart_same(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)out;
    return at[0] == axis && apart_shared(n, at, 1);
}

bool apart_broadcast(Model *m, const Node *n, const int *at, int out, int axis) {
    const Value *v = node_out(n, out);
    (void)m;
    for (int k = 0; k < (int)n->n_in; k++)
        if (at[k] == APART_SIZE ||
            (at[k] >= 0 && at[k] - in_rank(n, k) != axis - v->type.rank))
            return false;
    return true;
}

/* ---- operators along an axis ------------------------------------------------------- */

/* The input `name` lists this axis, or is not known. */
static bool lists_axis(const Node *n, const char *name, int rank, int axis) {
    const Value *v =
        op_input_index(n->op, str_from(name)) >= 0 ? node_input(n, name) : NULL;
    bool found = v && (!v->known || !v->known->ints);
    for (size_t i = 0; v && !found && i < v->known->n; i++) {
        Dim d = v->known->ints[i];
        found = !dim_is_int(d) || d.c == axis || d.c + rank == axis;
    }
    return found;
}

static bool works_along(const Node *n, int axis) {
    int rank = in_rank(n, 0);
    const OpAttr *one = op_attr(n->op, STR("axis"));
    if (one && (one->has_default || attr_has(n, "axis"))) {
        int64_t named = attr_int(n, "axis");
        if (named == axis || named + rank == axis)
            return true;
    }
    Ints axes = {0};
    bool found = op_attr(n->op, STR("axes")) && attr_ints(n, "axes", &axes);
    for (size_t i = 0; found && i < axes.n; i++)
        if (axes.v[i] == axis || axes.v[i] + rank == axis)
            return true;
    return lists_axis(n, "axis", rank, axis) || lists_axis(n, "axes", rank, axis);
}

bool apart_off_axes(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)out;
    for (int k = 0; k < (int)n->n_in; k++) {
        bool alike = n->in[k] && in_rank(n, k) == in_rank(n, 0);
        if (at[k] != (alike ? axis : APART_SHARED))
            return false;
    }
    return !works_along(n, axis);
}

bool apart_before_axis(Model *m, const Node *n, const int *at, int out, int axis) {
    int64_t first = attr_int(n, "axis");
    if (first < 0)
        first += in_rank(n, 0);
    return axis < first && apart_same(m, n, at, out, axis);
}

bool apart_before_last(Model *m, const Node *n, const int *at, int out, int axis) {
    return axis < in_rank(n, 0) - 1 && apart_same(m, n, at, out, axis);
}

bool apart_before_matrix(Model *m, const Node *n, const int *at, int out, int axis) {
    return axis < in_rank(n, 0) - 2 && apart_same(m, n, at, out, axis);
}

/* The last axis of b and the last but one of a are axes of the product; a vector has
 * neither, and the product then lacks that axis, too. */
bool apart_matmul(const Node *n, const int *at, int a, int b, int axis) {
    int rank = n->out[0]->type.rank, ranks[2] = {in_rank(n, a), in_rank(n, b)};
    int in[2] = {at[a], at[b]}, axes = (ranks[0] > 1) + (ranks[1] > 1);
    for (int k = 0; k < (int)n->n_in; k++)
        if (k != a && k != b && at[k] != APART_SHARED)
            return false;
    for (int k = 0; k < 2; k++) {
        int batches = ranks[k] - 2;
        bool fits = in[k] == APART_SHARED;
        if (in[k] >= 0 && in[k] < batches)
            fits = axis == in[k] + rank - axes - batches;
        else if (in[k] >= 0 && ranks[k] > 1 && in[k] == ranks[k] - (k ? 1 : 2))
            fits = axis == (k ? rank - 1 : rank - axes);
        if (!fits)
            return false;
    }
    return true;
}

/* ---- batches ----------------------------------------------------------------------- */

/* All that OpDef.batch lists must have the batch first; what it marks `?` may be shared
 * instead, and nothing else may have it. */
static bool has_batch(const Node *n, const int *at, int axis) {
    const char *spec = n->op->batch;
    uint64_t may = 0, must = 0;
    for (OpSlot slot; op_spec_next(&spec, &slot);) {
        int k = op_input_index(n->op, slot.name); /* declared: op_check */
        may |= (uint64_t)1 << k;
        must |= (uint64_t)!slot.optional << k;
    }
    for (int k = 0; k < (int)n->n_in; k++) {
        bool listed = k < 64 && may >> k & 1, needed = k < 64 && must >> k & 1;
        bool ok = at[k] == (listed ? 0 : APART_SHARED) ||
                  (!needed && at[k] == APART_SHARED) || !n->in[k];
        if (!ok)
            return false;
    }
    return axis == 0 && in_rank(n, 0) > 1;
}

bool apart(Model *m, const Node *n, const int *at, int out, int axis) {
    if (n->op->apart)
        return n->op->apart(m, n, at, out, axis);
    if (n->op->batch)
        return has_batch(n, at, axis);
    if (n->op->facts & OP_BROADCAST)
        return apart_broadcast(m, n, at, out, axis);
    return n->op->facts & (OP_ELEMENTWISE | OP_IDENTITY) &&
           apart_same(m, n, at, out, axis);
}

/* ---- padding ----------------------------------------------------------------------- */

static OpPast past_input(const Node *n, const int *at, int input, OpPast past) {
    return input == 0 && at[0] >= 0 && apart_shared(n, at, 1) ? past : PAST_SEEN;
}

OpPast past_any(Model *m, const Node *n, const int *at, int input) {
    (void)m;
    return past_input(n, at, input, PAST_ANY);
}

OpPast past_zero(Model *m, const Node *n, const int *at, int input) {
    (void)m;
    return past_input(n, at, input, PAST_ZERO);
}

OpPast past_one(Model *m, const Node *n, const int *at, int input) {
    (void)m;
    return past_input(n, at, input, PAST_ONE);
}

OpPast past_lowest(Model *m, const Node *n, const int *at, int input) {
    (void)m;
    return past_input(n, at, input, PAST_LOWEST);
}

OpPast past_highest(Model *m, const Node *n, const int *at, int input) {
    (void)m;
    return past_input(n, at, input, PAST_HIGHEST);
}
