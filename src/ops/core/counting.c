/* Loops that count: the condition is `i + 1 < N` (or several such), where i is the counter
 * or a state to which the body adds a constant, and N follows from constants and sizes.
 * tf2onnx writes while loops so, Keras' recurrent layers among them.
 *
 * The body is inferred with a symbol for each state that could count.  What it returns
 * for the state says what is added in each iteration, and the operands of a comparison
 * what it is after j iterations: continue while a + b j < 0. */
#include "ops/core/counting.h"
#include "ops/core/nested.h"

enum {
    STATE_INPUT = 2, /* the first state, after the counter and the condition */
    COUNTERS_MAX = 16,
    TESTS_MAX = 8,
    TREE_MAX = 16 /* operators between the condition and a comparison */
};

/* A number that changes by `step` in each iteration. */
typedef struct Counter {
    Dim symbol, first;
    int64_t step;
} Counter;

/* true while a + b j < 0; outside of the body b is 0. */
typedef struct Test {
    Dim a;
    int64_t b;
} Test;

typedef struct Count {
    Model *m;
    Counter counters[COUNTERS_MAX];
    size_t n_counters;
    Test tests[TESTS_MAX];
    size_t n_tests;
} Count;

/* ---- numbers ------------------------------------------------------------------------ */

static const Known *one_int(const Value *v) {
    const Known *k = v ? v->known : NULL;
    return k && k->n == 1 && k->ints && dtype_is_int(v->type.dtype) ? k : NULL;
}

static bool could_count(const Value *v, const Value *first) {
    bool single =
        v->type.rank == 0 || (v->type.rank == 1 && dim_is(v->type.dims[0], 1));
    return v->type.kind == TYPE_TENSOR && dtype_is_int(v->type.dtype) && single &&
           one_int(first);
}

/* v becomes a symbol of its own. */
static bool add_counter(Count *c, Value *v, Dim first) {
    Known *k = c->n_counters < COUNTERS_MAX ? known_new(c->m, v->type.dtype, 1) : NULL;
    if (!k)
        return false;
    Dim symbol = dim_symbol(&c->m->dims, STR(""), v, SYMBOL_SELF);
    known_ints(k)[0] = symbol;
    v->known = k;
    c->counters[c->n_counters++] = (Counter){symbol, first, 1};
    return true;
}

/* The step of a state, from what the body makes of it; false when it is none. */
static bool find_step(Counter *counter, const Value *out) {
    const Known *k = one_int(out);
    return k && dim_differ_by(k->ints[0], 1, counter->symbol, &counter->step);
}

/* d as a + b j. */
static bool in_iterations(Count *c, Dim d, Test *t) {
    Dims *ds = &c->m->dims;
    *t = (Test){d, 0};
    for (size_t i = 0; i < c->n_counters; i++) {
        const Counter *x = &c->counters[i];
        int64_t factor, change;
        if (!dim_take_linear(ds, &t->a, x->symbol, &factor))
            return false;
        if (__builtin_mul_overflow(factor, x->step, &change) ||
            __builtin_add_overflow(t->b, change, &t->b))
            return false;
        if (factor)
            t->a = dim_add(ds, t->a, dim_mul(ds, x->first, dim_int(factor)));
    }
    return !dims_take_overflow(ds);
}

/* ---- the condition ------------------------------------------------------------------ */

/* A comparison of two numbers, for the signs of their difference that make it true. */
static bool add_test(Count *c, const Node *n, unsigned signs) {
    Dims *ds = &c->m->dims;
    const Known *a = one_int(node_in(n, 0)), *b = one_int(node_in(n, 1));
    bool less = signs == ORDER_LESS || signs == (ORDER_LESS | ORDER_EQUAL);
    bool more = signs == ORDER_GREATER || signs == (ORDER_GREATER | ORDER_EQUAL);
    if (!a || !b || (!less && !more) || c->n_tests == TESTS_MAX)
        return false;
    Dim d = less ? dim_sub(ds, a->ints[0], b->ints[0])
                 : dim_sub(ds, b->ints[0], a->ints[0]);
    if (signs & ORDER_EQUAL)
        d = dim_sub(ds, d, dim_int(1));
    return in_iterations(c, d, &c->tests[c->n_tests++]);
}

/* Comparisons that must all hold; `negated`: v must not. */
static bool add_tests(Count *c, const Value *v, bool negated, int depth) {
    const Node *n = v ? v->def : NULL;
    if (v && v->known && v->known->n == 1 && v->known->ints &&
        dim_is(v->known->ints[0], !negated))
        return true;
    if (!n || !n->op || depth == TREE_MAX)
        return false;
    const OpDef *op = n->op;
    unsigned all = ORDER_LESS | ORDER_EQUAL | ORDER_GREATER;
    if (op->order)
        return add_test(c, n, negated ? all & ~op->order : op->order);
    if (op->facts & OP_NOT)
        return add_tests(c, node_in(n, 0), !negated, depth + 1);
    if (op->facts & OP_ALL && !negated)
        return add_tests(c, node_in(n, 0), false, depth + 1) &&
               add_tests(c, node_in(n, 1), false, depth + 1);
    bool same = op->facts & (OP_IDENTITY | OP_MOVES) ||
                (op->facts & OP_KEEPS && in_dtype(n, 0) == v->type.dtype);
    return same && add_tests(c, node_in(n, 0), negated, depth + 1);
}

/* The test is made before the first iteration, too, or would be true there. */
static bool is_made_before(Count *c, const Count *before, const Test *t) {
    Dims *ds = &c->m->dims;
    Dim at_start = dim_sub(ds, t->a, dim_int(t->b));
    for (size_t i = 0; i < before->n_tests; i++)
        if (dim_eq(before->tests[i].a, at_start))
            return true;
    return dim_known_less(ds, at_start, dim_int(0)) == 1;
}

/* Fewest iterations: one if the loop is known to begin; none where the condition before
 * it is that of the body one step earlier. */
static bool least_count(Count *c, const Counting *l, int64_t *least) {
    const Value *keep = node_in(l->node, 1);
    Count before = {.m = c->m};
    *least = 1;
    if (!keep || (keep->known && keep->known->ints && dim_is(keep->known->ints[0], 1)))
        return true;
    *least = 0;
    if (keep->known && keep->known->ints && dim_is(keep->known->ints[0], 0))
        return false;
    if (!add_tests(&before, keep, false, 0))
        return false;
    for (size_t i = 0; i < c->n_tests; i++)
        if (!is_made_before(c, &before, &c->tests[i]))
            return false;
    for (size_t k = 0; k < before.n_tests; k++) {
        bool found = false;
        for (size_t i = 0; i < c->n_tests; i++)
            found |= dim_eq(before.tests[k].a, dim_sub(&c->m->dims, c->tests[i].a,
                                                       dim_int(c->tests[i].b)));
        if (!found)
            return false;
    }
    return true;
}

/* ---- the number of iterations -------------------------------------------------------- */

/* The first test that fails after iteration j ends the loop: j = ceil(-a / b). */
static bool count_tests(Count *c, const Counting *l, Dim *count) {
    Dims *ds = &c->m->dims;
    int64_t least;
    bool any = false;
    if (!least_count(c, l, &least))
        return false;
    for (size_t i = 0; i < c->n_tests; i++) {
        const Test *t = &c->tests[i];
        if (t->b == 0 && dim_known_less(ds, t->a, dim_int(0)) == 1)
            continue;
        if (t->b <= 0)
            return false;
        Dim last = dim_ceildiv(ds, dim_sub(ds, dim_int(0), t->a), dim_int(t->b));
        Dim n = dim_add(ds, last, dim_int(1));
        *count = any ? dim_min(ds, *count, n) : n;
        any = true;
    }
    if (any)
        *count = dim_max(ds, *count, dim_int(least));
    return any && !dims_take_overflow(ds);
}

/* Drops what does not count after all: conditions on it then fail to be linear. */
static void find_steps(Count *c, const Counting *l, const int *state_of) {
    for (size_t i = 1; i < c->n_counters; i++)
        if (!find_step(&c->counters[i], value_final(l->body->outputs[1 + state_of[i]])))
            c->counters[i].step = INT64_MAX; /* any use of it overflows */
}

/* Scalar states that begin at 0 and grow by 1. */
static uint64_t find_indices(const Count *c, const Counting *l, const int *state_of) {
    uint64_t found = 0;
    for (size_t i = 1; i < c->n_counters; i++) {
        int k = state_of[i];
        const Value *v = l->body->inputs[STATE_INPUT + k];
        if (k < 64 && v->type.rank == 0 && c->counters[i].step == 1 &&
            dim_is(c->counters[i].first, 0))
            found |= (uint64_t)1 << k;
    }
    return found;
}

bool loop_counts(Model *m, const Counting *l, Trips *trips) {
    Count c = {.m = m};
    int state_of[COUNTERS_MAX] = {0};
    if (!add_counter(&c, l->body->inputs[0], dim_int(0)))
        return false;
    for (int k = 0; k < l->states; k++) {
        Value *v = l->body->inputs[STATE_INPUT + k];
        const Value *first = node_in(l->node, STATE_INPUT + k);
        if (!first || v->known || !could_count(v, first))
            continue;
        if (!add_counter(&c, v, first->known->ints[0]))
            break;
        state_of[c.n_counters - 1] = k;
    }
    infer_subgraph(m, l->body);
    find_steps(&c, l, state_of);
    trips->index = find_indices(&c, l, state_of);
    return add_tests(&c, l->body->outputs[0], false, 0) &&
           count_tests(&c, l, &trips->count);
}

/* ---- what is not computed ------------------------------------------------------------ */

/* v becomes the number x. */
static bool make_number(Model *m, Graph *g, Value *v, Dim x) {
    Known *k = known_new(m, v->type.dtype, 1);
    Value **room =
        arena_push_room(m->arena, g->params, g->n_params, &g->cap_params, sizeof *room);
    g->params = room;
    if (!k || g->n_params >= g->cap_params)
        return false;
    known_ints(k)[0] = x;
    v->known = v->splat = k;
    v->kind = VALUE_CONST;
    v->def = NULL;
    v->generated_name = true;
    g->params[g->n_params++] = v;
    return true;
}

static void drop_condition(Model *m, Graph *body) {
    const Value *old = body->outputs[0];
    Str name = arena_printf(m->arena, "%.*s/%u", (int)old->name.n, old->name.p,
                            m->value_count);
    Value *v = value_new(m, body, VALUE_CONST, name);
    if (!v)
        return;
    v->type = (Type){.dtype = DT_BOOL};
    if (make_number(m, body, v, dim_int(1)))
        body->outputs[0] = v;
}

/* v, an input of the body, becomes the counter as a number of its own type. */
static bool use_counter(Model *m, Graph *g, const Node *loop, Value *v) {
    Value *counter = g->inputs[0];
    if (v->type.dtype == counter->type.dtype) {
        value_replace(m, v, counter);
        return true;
    }
    Node **nodes = ARENA_ARRAY(m->arena, g->n_nodes + 1, Node *);
    Node *n = cast_node(m, g, loop, counter, v);
    if (!nodes || !n)
        return false;
    nodes[0] = n;
    for (size_t i = 0; i < g->n_nodes; i++)
        nodes[i + 1] = g->nodes[i];
    g->nodes = nodes;
    g->n_nodes++;
    return true;
}

static void take(Value **list, size_t count, size_t at) {
    for (size_t i = at; i + 1 < count; i++)
        list[i] = list[i + 1];
}

static void take_state(const Counting *l, int k) {
    Node *n = l->node;
    Graph *g = l->body;
    take(g->inputs, g->n_inputs--, (size_t)k + STATE_INPUT);
    take(g->outputs, g->n_outputs--, (size_t)k + 1);
    take(n->in, n->n_in--, (size_t)k + STATE_INPUT);
    if ((uint32_t)k >= n->n_out)
        return;
    take(n->out, n->n_out--, (size_t)k);
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i])
            n->out[i]->out_index = i;
}

void loop_spare_counters(Model *m, const Counting *l) {
    Trips *rest = ARENA_NEW(m->arena, Trips);
    const Trips *trips = l->node->trips;
    if (l->body->outputs[0]->kind != VALUE_CONST)
        drop_condition(m, l->body);
    for (int k = l->states - 1; rest && k >= 0; k--) {
        if (k >= 64 || !(trips->index >> k & 1))
            continue;
        Value *out = node_out(l->node, k);
        if (!use_counter(m, l->body, l->node, l->body->inputs[STATE_INPUT + k]))
            return;
        take_state(l, k);
        if (out && !make_number(m, l->node->graph, out, trips->count))
            return;
    }
    if (!rest)
        return;
    *rest = (Trips){.count = trips->count};
    l->node->trips = rest;
}
