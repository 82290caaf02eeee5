/* Which integers do not fit into 32 bits, and who can do without them. */
#include "ops/core/wide.h"

enum { SEARCH_MAX = 64 }; /* values looked at by wide_may_be_saturated */

/* Where the elements of a value are. */
typedef struct Elements {
    const Known *known;
    const Tensor *tensor;
    int64_t count;
    bool is_unsigned;
} Elements;

static bool elements_of(const Value *v, Elements *x) {
    DType dtype = v->type.kind == TYPE_TENSOR ? v->type.dtype : DT_UNDEFINED;
    *x = (Elements){.known = v->known ? v->known : v->splat,
                    .tensor = v->tensor,
                    .is_unsigned = dtype == DT_UINT64};
    if (dtype != DT_INT64 && dtype != DT_UINT64)
        return false;
    if (x->known && x->known->ints)
        x->count = (int64_t)x->known->n;
    else if (v->tensor && v->tensor->size)
        x->count = v->tensor->count;
    return x->count > 0;
}

/* false for a size. */
static bool element(const Elements *x, int64_t i, int64_t *bits) {
    if (x->known) {
        *bits = x->known->ints[i].c;
        return dim_is_int(x->known->ints[i]);
    }
    *bits = tensor_i64(x->tensor, i);
    return true;
}

static bool fits(const Elements *x, int64_t bits) {
    return x->is_unsigned ? (uint64_t)bits <= UINT32_MAX
                          : bits >= INT32_MIN && bits <= INT32_MAX;
}

static bool is_end(const Elements *x, int64_t bits) {
    return x->is_unsigned ? bits == -1 : bits == INT64_MIN || bits == INT64_MAX;
}

Wide wide_of(const Value *v) {
    Elements x;
    int64_t bits;
    Wide found = WIDE_NONE;
    if (!elements_of(v, &x))
        return WIDE_NONE;
    for (int64_t i = 0; i < x.count; i++) {
        if (!element(&x, i, &bits) || fits(&x, bits))
            continue;
        if (!is_end(&x, bits))
            return WIDE_MORE;
        found = WIDE_ENDS;
    }
    return found;
}

Str wide_text(Arena *a, const Value *v) {
    Elements x;
    int64_t bits = 0;
    if (!elements_of(v, &x))
        return (Str){0};
    for (int64_t i = 0; i < x.count; i++)
        if (element(&x, i, &bits) && !fits(&x, bits))
            break;
    return x.is_unsigned ? arena_printf(a, "%llu", (unsigned long long)bits)
                         : arena_printf(a, "%lld", (long long)bits);
}

static bool all_beyond(const Value *v, int sign) {
    Elements x;
    int64_t bits;
    bool any = elements_of(v, &x);
    for (int64_t i = 0; any && i < x.count; i++)
        if (element(&x, i, &bits) && !fits(&x, bits) &&
            (x.is_unsigned || bits > 0) != (sign > 0))
            return false;
    return any;
}

bool wide_is_above(const Value *v) {
    return all_beyond(v, 1);
}

bool wide_is_below(const Value *v) {
    return all_beyond(v, -1);
}

/* Arithmetic: a sum with an end of the type is no end. */
static bool computes(const Node *n) {
    return n->op->facts & OP_BROADCAST && !(n->op->facts & OP_SELECTS);
}

WideUse wide_use(const Node *n, int i) {
    if (n->op->saturates && n->op->saturates(n, i))
        return WIDE_EXACT;
    bool ends = wide_of(n->in[i]) == WIDE_ENDS;
    return ends && (n->op->saturates || !computes(n)) ? WIDE_SATURATED : WIDE_REFUSED;
}

static bool search(const Value *v, int *left) {
    if (v->type.dtype != DT_INT64 && v->type.dtype != DT_UINT64)
        return false;
    if (--*left < 0 || (v->kind == VALUE_CONST && wide_of(v) != WIDE_NONE))
        return true;
    if (v->kind == VALUE_INPUT)
        return v->graph->parent != NULL;
    const Node *n = v->def && v->def->op ? v->def : NULL;
    for (uint32_t i = 0; n && i < n->n_attrs; i++)
        if (n->attrs[i].graph_count)
            return true; /* what its branches or its body hold is not looked at */
    for (int i = 0; n && i < (int)n->n_in; i++) {
        Value *in = node_in(n, i);
        bool exact =
            in && in->kind == VALUE_CONST && n->op->saturates && n->op->saturates(n, i);
        if (in && !exact && search(value_final(in), left))
            return true;
    }
    return false;
}

bool wide_may_be_saturated(const Value *v) {
    int left = SEARCH_MAX;
    return search(v, &left);
}
