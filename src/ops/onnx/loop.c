/* Loop.  What JAX can trace becomes fori_loop, scan or while_loop.  A loop whose state
 * changes its shape, holds sequences, or decides shapes inside is Python's: unrolled when
 * the number of iterations is known while JAX traces, else run without jit.
 * Source: ONNX operator Loop, versions 1, 11, 13, 16, 19, 21, 23, 24, 25. */
#include "ops/core/counting.h"
#include "ops/core/macs.h"
#include "ops/core/nested.h"

enum {
    NO_LIMIT = INT32_MAX, /* M, as exporters write it, or larger */
    ROUNDS = 3,      /* of inference, until the types of the state no longer change */
    DEPTH_EXACT = 3, /* loops in loops in loops; deeper ones are inferred once */
    COUNTER = 0,     /* inputs of a body */
    KEEP = 1,
    STATE = 2,
};

typedef struct Loop {
    Node *n;
    Graph *body;
    int states, scans;
} Loop;

typedef enum LoopMode {
    MODE_FORI,
    MODE_SCAN,
    MODE_WHILE,
    MODE_UNROLLED,
    MODE_PYTHON,
} LoopMode;

/* false when the numbers of inputs and outputs do not fit. */
static bool loop_open(Node *n, Loop *l) {
    int states = n->n_in > STATE ? (int)n->n_in - STATE : 0;
    Graph *body = attr_graph(n, "body");
    if (!body || body->n_inputs != (size_t)states + STATE ||
        body->n_outputs < (size_t)states + 1)
        return false;
    *l = (Loop){n, body, states, (int)body->n_outputs - states - 1};
    return (int)n->n_out <= l->states + l->scans;
}

static Value *state_in(const Loop *l, int k) {
    return l->body->inputs[STATE + k];
}

static Value *state_out(const Loop *l, int k) {
    return value_final(l->body->outputs[1 + k]);
}

/* The number of iterations as far as M or a condition that counts says; false when only
 * known at run time. */
static bool trip_count(const Loop *l, Dim *count) {
    const Known *k = in_known(l->n, 0);
    if (l->n->trips) {
        *count = l->n->trips->count;
        return true;
    }
    if (!k || k->n != 1 || !k->ints)
        return false;
    *count = k->ints[0];
    return true;
}

static bool is_true(const Known *k) {
    return k && k->n == 1 && k->ints && dim_is(k->ints[0], 1);
}

/* Nothing but trip_count ends the loop. */
static bool runs_all(const Loop *l) {
    return is_true(l->body->inputs[KEEP]->known);
}

/* ---- modes ----------------------------------------------------------------------- */

static bool state_is_fixed(const Loop *l) {
    for (int k = 0; k < l->states; k++) {
        const Type *t = &state_in(l, k)->type;
        if (t->kind != TYPE_TENSOR || !type_same(t, &l->n->in[STATE + k]->type) ||
            !type_same(t, &state_out(l, k)->type))
            return false;
    }
    return true;
}

static LoopMode mode_of(const Loop *l) {
    Dim count;
    bool counted = trip_count(l, &count);
    bool traceable = state_is_fixed(l) && !graph_needs_numbers(l->body);
    if (l->body->inputs[COUNTER]->known || (!traceable && counted && runs_all(l)))
        return MODE_UNROLLED;
    if (!traceable || (l->scans && !(counted && runs_all(l))))
        return MODE_PYTHON;
    if (!runs_all(l))
        return MODE_WHILE;
    return l->scans ? MODE_SCAN : MODE_FORI;
}

/* ---- inference ------------------------------------------------------------------- */

/* The body returns this state as it got it. */
static bool is_invariant(const Loop *l, int k) {
    const Value *v = state_out(l, k);
    while (v && v->def && v->def->op && v->def->op->facts & OP_IDENTITY)
        v = node_in(v->def, 0);
    return v == state_in(l, k);
}

static const Known *known_true(Model *m) {
    Known *k = known_new(m, DT_BOOL, 1);
    if (k)
        known_ints(k)[0] = dim_int(1);
    return k;
}

static void enter(Model *m, const Loop *l) {
    Value *counter = l->body->inputs[COUNTER], *keep = l->body->inputs[KEEP];
    counter->type = (Type){.dtype = DT_INT64};
    counter->known = NULL;
    keep->type = (Type){.dtype = DT_BOOL};
    keep->known = node_in(l->n, 1) && !l->n->trips ? in_known(l->n, 1) : known_true(m);
    if (!is_true(keep->known))
        keep->known = NULL;
    for (int k = 0; k < l->states; k++) {
        Value *v = state_in(l, k), *first = l->n->in[STATE + k];
        v->type = type_moved(m, &first->type, v);
        v->known = is_invariant(l, k) ? first->known : NULL;
        v->splat = is_invariant(l, k) ? first->splat : NULL;
    }
}

/* After one inference of the body: true when what was assumed does not hold. */
static bool widen(Model *m, const Loop *l) {
    Value *keep = l->body->inputs[KEEP];
    bool changed = keep->known && !l->n->trips && !is_true(l->body->outputs[0]->known);
    if (changed)
        keep->known = NULL;
    for (int k = 0; k < l->states; k++)
        changed |= type_widen(m, state_in(l, k), &state_out(l, k)->type);
    return changed;
}

static void forget(Model *m, const Loop *l) {
    if (!l->n->trips)
        l->body->inputs[KEEP]->known = NULL;
    for (int k = 0; k < l->states; k++) {
        Type *t = &state_in(l, k)->type, *elem;
        if (t->kind == TYPE_TENSOR) {
            t->rank = -1;
        } else if ((elem = ARENA_NEW(m->arena, Type))) {
            *elem = (Type){.dtype = type_elem(t).dtype, .rank = -1};
            t->elem = elem;
        }
    }
}

/* Infers the body with types that hold in every iteration. */
static void settle(Model *m, const Loop *l) {
    int rounds = graph_depth(l->body) <= DEPTH_EXACT ? ROUNDS : 0;
    for (; rounds > 0; rounds--) {
        infer_subgraph(m, l->body);
        if (!widen(m, l))
            return;
    }
    forget(m, l);
    infer_subgraph(m, l->body);
}

/* The counter becomes an int that shapes may depend on. */
static void count_in_python(Model *m, const Loop *l) {
    Value *counter = l->body->inputs[COUNTER];
    Known *k = known_new(m, DT_INT64, 1);
    if (!k)
        return;
    known_ints(k)[0] = dim_symbol(&m->dims, STR(""), counter, SYMBOL_SELF);
    counter->known = k;
}

/* One iteration's result with the number of iterations in front. */
static void set_stacked(Model *m, const Loop *l, int out, const Type *row) {
    Shape s = {.rank = row->rank < 0 || row->rank == OX_MAX_RANK ? -1 : row->rank + 1};
    if (!node_out(l->n, out))
        return;
    if (s.rank > 0) {
        Dim count;
        bool exact = trip_count(l, &count) && runs_all(l);
        s.d[0] = exact ? count : fresh_dim(m, l->n, out, 0);
        for (int i = 1; i < s.rank; i++)
            s.d[i] = row->dims[i - 1];
    }
    set_type(m, l->n, out, row->dtype, &s);
    set_moved(m, l->n, out, &l->n->out[out]->type);
}

static void leave(Model *m, const Loop *l) {
    for (int k = 0; k < l->states; k++) {
        set_moved(m, l->n, k, &state_in(l, k)->type);
        if (node_out(l->n, k) && is_invariant(l, k)) {
            l->n->out[k]->known = l->n->in[STATE + k]->known;
            l->n->out[k]->splat = l->n->in[STATE + k]->splat;
        }
    }
    for (int k = 0; k < l->scans; k++)
        set_stacked(m, l, l->states + k, &l->body->outputs[1 + l->states + k]->type);
}

/* The condition only counts: it is true in all iterations that run. */
static void settle_condition(Model *m, const Loop *l) {
    const Known *most = in_known(l->n, 0);
    bool limited = node_in(l->n, 0) && !(most && most->n == 1 && most->ints);
    Trips *trips = ARENA_NEW(m->arena, Trips);
    if (!trips || limited || graph_depth(l->body) > DEPTH_EXACT)
        return;
    if (loop_counts(m, &(Counting){l->n, l->body, l->states}, trips)) {
        bool far = dim_is_int(trips->count) && trips->count.c >= NO_LIMIT;
        bool ends = most && !(dim_is_int(most->ints[0]) && most->ints[0].c >= NO_LIMIT);
        if (ends)
            trips->count = dim_min(&m->dims, trips->count,
                                   dim_max(&m->dims, most->ints[0], dim_int(0)));
        l->n->trips = far && !ends ? NULL : trips;
    }
    enter(m, l);
    settle(m, l);
}

static void infer_loop(Model *m, Node *n) {
    Loop l;
    n->trips = NULL;
    if (!loop_open(n, &l)) {
        node_error(m, n, OX0303, "", "the body's inputs and outputs do not fit");
        return;
    }
    enter(m, &l);
    settle(m, &l);
    if (!runs_all(&l))
        settle_condition(m, &l);
    if (mode_of(&l) == MODE_UNROLLED) {
        count_in_python(m, &l);
        settle(m, &l);
    }
    n->concrete = mode_of(&l) == MODE_PYTHON;
    leave(m, &l);
}

static void rewrite_loop(Model *m, Node *n) {
    Loop l;
    if (n->trips && loop_open(n, &l))
        loop_spare_counters(m, &(Counting){n, l.body, l.states});
}

/* ---- code: parts ----------------------------------------------------------------- */

/* The first values of the state: bare when it is one and `tuple` does not ask for more. */
static const Expr *initial(Emit *e, const Loop *l, bool tuple) {
    if (l->states == 1 && !tuple)
        return emit_in(e, STATE);
    const Expr **items =
        ARENA_ARRAY(emit_arena(e), (size_t)l->states + 1, const Expr *);
    for (int k = 0; items && k < l->states; k++)
        items[k] = emit_in(e, STATE + k);
    if (!l->states && !tuple)
        return ex_none();
    return ex_seq(emit_arena(e), EX_TUPLE, items, items ? (size_t)l->states : 0);
}

/* M; NULL when there is none, or one as large as exporters write for "no limit". */
static const Expr *limit(Emit *e, const Loop *l) {
    Dim count;
    if (trip_count(l, &count))
        return dim_is_int(count) && count.c >= NO_LIMIT ? NULL : emit_dim(e, count);
    const Expr *x = emit_in(e, 0);
    return x && in_rank(l->n, 0) != 0 ? EX(emit_arena(e), "$0.reshape(())", x) : x;
}

/* Where M is known. */
static const Expr *count_of(Emit *e, const Loop *l) {
    Dim count = dim_int(0);
    (void)trip_count(l, &count);
    return emit_dim(e, dim_max(&emit_model(e)->dims, count, dim_int(0)));
}

static const Expr *keep_going(Emit *e) {
    const Expr *x = emit_in(e, 1);
    return x ? x : ex_bool(emit_arena(e), true);
}

/* What a stacked output is when there is no iteration: (0, ...), unknown sizes 0. */
static const Expr *empty_stack(Emit *e, const Loop *l, int k) {
    const Type *t = &l->body->outputs[1 + l->states + k]->type;
    Arena *a = emit_arena(e);
    Dim dims[OX_MAX_RANK + 1] = {dim_int(0)};
    int rank = t->rank < 0 ? 0 : t->rank;
    for (int i = 0; i < rank; i++)
        dims[i + 1] = dim_is_int(t->dims[i]) ? t->dims[i] : dim_int(0);
    const Expr *items[OX_MAX_RANK + 1];
    for (int i = 0; i <= rank; i++)
        items[i] = emit_dim(e, dims[i]);
    return EX(a, "jnp.zeros($0, $1)", ex_seq(a, EX_TUPLE, items, (size_t)rank + 1),
              emit_dtype(e, t->dtype));
}

/* A tuple with one for each stacked output; NULL when there is none. */
static const Expr *empty_stacks(Emit *e, const Loop *l) {
    const Expr **items = ARENA_ARRAY(emit_arena(e), (size_t)l->scans, const Expr *);
    for (int k = 0; items && k < l->scans; k++)
        items[k] = empty_stack(e, l, k);
    return items ? ex_seq(emit_arena(e), EX_TUPLE, items, (size_t)l->scans) : NULL;
}

/* A body as the operator has it: body(i, keep, *state) -> keep, *state, *rows; without
 * `keep` where that is always true. */
static const Expr *plain_body(Emit *e, const Loop *l, bool keep, bool traced) {
    size_t n = (size_t)l->states + 1 + keep;
    EmitPart *in = ARENA_ARRAY(emit_arena(e), n, EmitPart);
    if (!in)
        return ex_none();
    in[0] = (EmitPart){.first = COUNTER, .count = 1, .index = true};
    for (size_t i = 1; i < n; i++)
        in[i] = (EmitPart){.first = (int)i + !keep, .count = 1};
    EmitPart out = {.first = !keep, .count = (int)n - 1 + l->scans, .tuple = true};
    return emit_function(e, l->body, "body", traced, in, n, &out, 1);
}

/* A call whose result is a tuple of all values. */
static void emit_values(Emit *e, const Loop *l, const Expr *x) {
    int ones[64], n = l->states + l->scans;
    for (size_t i = 0; i < OX_COUNT(ones); i++)
        ones[i] = 1;
    if (n == 1)
        emit_out(e, 0, EX(emit_arena(e), "$0[0]", x));
    else if ((int)l->n->n_out == n)
        emit_outs(e, x);
    else if (n <= (int)OX_COUNT(ones))
        emit_groups(e, x, ones, (size_t)n);
    else
        emit_fail(e, OX0302, "", "more than %zu values", OX_COUNT(ones));
}

/* ---- code: modes ----------------------------------------------------------------- */

/* fori_loop(0, n, body, state) with body(i, state) -> state */
static void emit_fori(Emit *e, const Loop *l) {
    const char *hint = l->states > 1 ? "carry" : NULL;
    EmitPart in[] = {{.first = COUNTER, .count = 1, .index = true},
                     {.first = STATE, .count = l->states, .hint = hint}};
    EmitPart out = {.first = 1, .count = l->states};
    const Expr *count = limit(e, l), *init = initial(e, l, false);
    const Expr *body = emit_function(e, l->body, "body", true, in, 2, &out, 1);
    if (!count) {
        emit_fail(e, OX0302, "", "nothing ends the loop");
        return;
    }
    const Expr *x =
        EX(emit_arena(e), "jax.lax.fori_loop(0, $0, $1, $2)", count, body, init);
    if (l->states == 1)
        emit_out(e, 0, x);
    else
        emit_values(e, l, x);
}

/* scan(body, state, xs) with body(state, i) -> state, rows */
static void emit_scan(Emit *e, const Loop *l) {
    bool counts = l->body->inputs[COUNTER]->uses || graph_is_random(l->body);
    const char *hint = l->states > 1 ? "carry" : NULL;
    EmitPart in[] = {{.first = STATE, .count = l->states, .hint = hint},
                     {.first = COUNTER, .count = counts, .index = counts}};
    EmitPart out[] = {{.first = 1, .count = l->states},
                      {.first = 1 + l->states, .count = l->scans}};
    const Expr *init = initial(e, l, false);
    const Expr *body = emit_function(e, l->body, "body", true, in, 2, out, 2);
    const Expr *x = EX(emit_arena(e),
                       counts ? "jax.lax.scan($0, $1, jnp.arange($2))"
                              : "jax.lax.scan($0, $1, length=$2)",
                       body, init, count_of(e, l));
    emit_groups(e, x, (const int[]){l->states, l->scans}, 2);
}

static void emit_while(Emit *e, const Loop *l) {
    const Expr *most = limit(e, l), *keep = keep_going(e), *init = initial(e, l, true);
    const Expr *body = plain_body(e, l, true, true);
    emit_values(e, l,
                EX(emit_arena(e), "while_loop($0, $1, $2$(, limit=$3))", body, keep,
                   init, most));
}

static void emit_unrolled(Emit *e, const Loop *l) {
    const Expr *init = initial(e, l, true), *empty = empty_stacks(e, l);
    const Expr *body = plain_body(e, l, false, false);
    emit_values(e, l,
                EX(emit_arena(e), "unroll($0, $1, $2$(, empty=$3))", body,
                   count_of(e, l), init, empty));
}

static void emit_python(Emit *e, const Loop *l) {
    emit_not_jittable(e, !state_is_fixed(l) ? "has a state whose shape may change"
                                            : "runs as often as the data decide");
    const Expr *most = limit(e, l), *keep = keep_going(e), *init = initial(e, l, true);
    const Expr *empty = empty_stacks(e, l), *body = plain_body(e, l, true, false);
    emit_values(e, l,
                EX(emit_arena(e), "python_loop($0, $1, $2$(, limit=$3)$(, empty=$4))",
                   body, keep, init, most, empty));
}

static void emit_loop(Emit *e) {
    Loop l;
    if (!loop_open(emit_node(e), &l))
        return;
    switch (mode_of(&l)) {
    case MODE_FORI:
        emit_fori(e, &l);
        break;
    case MODE_SCAN:
        emit_scan(e, &l);
        break;
    case MODE_WHILE:
        emit_while(e, &l);
        break;
    case MODE_UNROLLED:
        emit_unrolled(e, &l);
        break;
    case MODE_PYTHON:
        emit_python(e, &l);
        break;
    }
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define LOOP                                                                           \
    .out = "v_final_and_scan_outputs*", .fixed = "M cond", .facts = OP_CONTAINERS,     \
    .attrs = {ANY_REQ("body", ATTR_GRAPH)}, .infer = infer_loop, .macs = macs_loop,   \
    .rewrite = rewrite_loop, .emit = emit_loop
static const OpDef ops[] = {
    {.name = "Loop", .since = 1, .until = 10, .in = "M? cond? v_initial*", LOOP},
    {.name = "Loop", .since = 11, .in = "M? cond? v_initial?*", LOOP},
};
/* clang-format on */
const OpFamily ops_loop = FAMILY(ops);
