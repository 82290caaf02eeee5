/* What stands behind the end of a value of a decoder's step.  A cache holds finite numbers
 * there: init_cache makes zeros, and a step writes what it computes.  So products with
 * them, and sums, are finite, and a product with zeros is zero: such padding need not be
 * filled once more.  What an operator does to numbers is in its facts. */
#include "passes/sizes/behind.h"

enum { FINITE_ASKED = 1, FINITE = 2, ZERO_ASKED = 4, ZERO = 8 };

bool behind_init(Behind *b, const Model *open, const Symbol *symbol) {
    *b = (Behind){symbol, ARENA_ARRAY(open->arena, open->value_count, unsigned char)};
    return b->state != NULL;
}

void behind_is_cache(Behind *b, const Value *v) {
    b->state[v->id] |= FINITE_ASKED | FINITE | ZERO_ASKED;
}

/* Along several axes it would matter which of them is summed over. */
static bool ends_once(const Behind *b, const Value *v) {
    uint64_t axes = padding_axes(v, b->symbol);
    return axes && !(axes & (axes - 1));
}

void behind_is_share(Behind *b, const Value *v) {
    if (ends_once(b, v))
        b->state[v->id] = FINITE_ASKED | FINITE | ZERO_ASKED | ZERO;
}

/* Behind the end of output 0 is what is behind that of input 0.  Elements that are picked
 * by numbers from behind an end may be any, or none. */
static bool moves_input(const Behind *b, const Node *n) {
    enum { SAME = OP_MOVES | OP_RESHAPES | OP_WIDENS | OP_IDENTITY | OP_KEEPS };
    return n->op->facts & SAME && padding_axes(n->in[0], b->symbol);
}

static bool is_sum(const Node *n) {
    return n->op->facts & OP_UNIT0;
}

static bool is_product(const Node *n) {
    return n->op->facts & OP_CONTRACTS ||
           (n->op->facts & OP_UNIT1 && n->op->facts & OP_COMMUTATIVE);
}

/* x / c with a number that is not 0. */
static bool is_scaled(const Node *n) {
    double c = 0;
    const Known *k = n->n_in == 2 ? in_known(n, 1) : NULL;
    if (k && k->floats && k->n == 1)
        c = k->floats[0];
    return n->op->facts & OP_UNIT1 && c > 0;
}

static bool all_finite(Behind *b, const Node *n, uint32_t from) {
    for (uint32_t k = from; k < n->n_in; k++)
        if (n->in[k] && !behind_finite(b, n->in[k]))
            return false;
    return true;
}

static bool gives_finite(Behind *b, const Node *n) {
    if (moves_input(b, n) || is_scaled(n))
        return behind_finite(b, n->in[0]);
    return (is_sum(n) || is_product(n) || n->op->facts & OP_JOINS) &&
           all_finite(b, n, 0);
}

bool behind_finite(Behind *b, const Value *v) {
    unsigned char *state = &b->state[v->id];
    if (*state & FINITE_ASKED)
        return *state & FINITE;
    *state |= FINITE_ASKED;
    bool padded = padding_axes(v, b->symbol) != 0;
    bool is = !padded || !dtype_is_float(v->type.dtype) ||
              (v->def && v->def->op && v->def->n_in && v->def->in[0] &&
               gives_finite(b, v->def));
    *state |= is ? FINITE : 0;
    return is;
}

/* Elements of input k that are read are zeros there, or everywhere. */
static bool is_zero_there(Behind *b, const Node *n, int k) {
    return in_is_zero(n, k) || (node_in(n, k) && behind_zero(b, n->in[k]));
}

static bool gives_zero(Behind *b, const Node *n) {
    if (moves_input(b, n))
        return behind_zero(b, n->in[0]);
    if (n->op->facts & OP_SELECTS)
        return is_zero_there(b, n, 1) && is_zero_there(b, n, 2);
    return false;
}

bool behind_zero(Behind *b, const Value *v) {
    unsigned char *state = &b->state[v->id];
    if (*state & ZERO_ASKED)
        return *state & ZERO;
    *state |= ZERO_ASKED;
    bool is = ends_once(b, v) && v->def && v->def->op && v->def->n_in &&
              v->def->in[0] && gives_zero(b, v->def);
    *state |= is ? ZERO : 0;
    return is;
}
