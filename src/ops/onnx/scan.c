/* Scan: lax.scan, with the axes and directions of inputs and outputs around it.
 * Version 8 has a batch axis in front of everything and lengths for its items.
 * Source: ONNX operator Scan, versions 8, 9, 11, 16, 19, 21, 23, 24, 25. */
#include "ops/core/macs.h"
#include "ops/core/nested.h"

typedef struct Scan {
    Node *n;
    Graph *body;
    int first; /* input that the state begins at */
    int states, xs, ys;
    bool batched;
} Scan;

/* false when the numbers of inputs and outputs do not fit. */
static bool scan_open(Node *n, Scan *s) {
    bool batched = n->op->until == 8;
    int64_t xs = attr_int(n, "num_scan_inputs");
    int given = (int)n->n_in - batched;
    Graph *body = attr_graph(n, "body");
    if (!body || xs < 1 || xs > given || body->n_inputs != (size_t)given)
        return false;
    int states = given - (int)xs, ys = (int)body->n_outputs - states;
    *s = (Scan){n, body, batched, states, (int)xs, ys, batched};
    return ys >= 0 && (int)n->n_out <= states + ys;
}

/* Entry i of a list attribute, 0 when absent. */
static int64_t entry(const Node *n, const char *name, int i) {
    Ints list;
    bool given = op_attr(n->op, str_from(name)) && attr_ints(n, name, &list);
    return given && i >= 0 && (size_t)i < list.n ? list.v[i] : 0;
}

/* The axis of scan input i that is scanned; false when it is out of range. */
static bool axis_in(Model *m, const Scan *s, int i, int *axis) {
    int rank = in_rank(s->n, s->first + s->states + i);
    *axis = s->batched;
    return s->batched ||
           fix_axis(m, s->n, entry(s->n, "scan_input_axes", i), rank, axis);
}

/* The axis along which rows of scan output i are stacked. */
static bool axis_out(Model *m, const Scan *s, int i, int *axis) {
    int rank = s->body->outputs[s->states + i]->type.rank;
    *axis = s->batched;
    if (s->batched)
        return rank >= 0 && rank + 2 <= OX_MAX_RANK;
    return rank >= 0 && rank + 1 <= OX_MAX_RANK &&
           fix_axis(m, s->n, entry(s->n, "scan_output_axes", i), rank + 1, axis);
}

static bool is_backward_in(const Scan *s, int i) {
    return entry(s->n, s->batched ? "directions" : "scan_input_directions", i) == 1;
}

static bool is_backward_out(const Scan *s, int i) {
    return entry(s->n, "scan_output_directions", i) == 1;
}

/* ---- inference ------------------------------------------------------------------- */

/* t without one axis. */
static void drop_axis(Shape *t, int axis) {
    for (int i = axis; t->rank >= 0 && i + 1 < t->rank; i++)
        t->d[i] = t->d[i + 1];
    t->rank -= t->rank > 0;
}

static void insert_axis(Shape *t, int axis, Dim d) {
    for (int i = t->rank; i > axis; i--)
        t->d[i] = t->d[i - 1];
    t->d[axis] = d;
    t->rank++;
}

static bool shape_of(const Type *t, Shape *s) {
    s->rank = t->rank < OX_MAX_RANK ? t->rank : -1;
    for (int i = 0; i < s->rank; i++)
        s->d[i] = t->dims[i];
    return s->rank >= 0;
}

static void set_body_input(Model *m, const Scan *s, int i, const Shape *shape) {
    Value *v = s->body->inputs[i];
    Type t = {.dtype = in_dtype(s->n, s->first + i), .rank = shape->rank};
    v->known = v->splat = NULL;
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)(t.rank > 0 ? t.rank : 0), Dim);
    if (t.rank > 0 && !dims)
        t.rank = -1;
    for (int k = 0; k < t.rank; k++)
        dims[k] = shape->d[k];
    t.dims = dims;
    v->type = type_moved(m, &t, v);
}

/* Types of the body's inputs, the number of steps, and the size of the batch. */
static bool enter(Model *m, const Scan *s, Dim *steps, Dim *batch) {
    bool found = false;
    for (int i = 0; i < s->states + s->xs; i++) {
        Shape shape;
        int axis;
        bool ranked = in_shape(s->n, s->first + i, &shape) && shape.rank >= s->batched;
        if (ranked && i >= s->states) {
            if (shape.rank <= s->batched || !axis_in(m, s, i - s->states, &axis))
                return false;
            if (!found || dim_is_int(shape.d[axis]))
                *steps = shape.d[axis];
            found = true;
            drop_axis(&shape, axis);
        }
        if (ranked && s->batched) {
            *batch = shape.d[0];
            drop_axis(&shape, 0);
        }
        set_body_input(m, s, i, &shape);
    }
    return found;
}

/* The state keeps its shape, so that whichever type says more holds. */
static void set_state(Model *m, const Scan *s, int k) {
    Shape first, last;
    const Type *t = &s->body->outputs[k]->type;
    bool known = in_shape(s->n, s->first + k, &first);
    if (!known && !s->batched) {
        set_moved(m, s->n, k, t);
        return;
    }
    bool said = shape_of(t, &last) && last.rank + 1 <= OX_MAX_RANK;
    if (!known && said) {
        first.rank = last.rank + 1;
        for (int i = 0; i < first.rank; i++)
            first.d[i] = fresh_dim(m, s->n, k, i);
    }
    if (said && last.rank + s->batched == first.rank)
        for (int i = 0; i < last.rank; i++)
            if (dim_is_int(last.d[i]))
                first.d[i + s->batched] = last.d[i];
    set_type(m, s->n, k, in_dtype(s->n, s->first + k), &first);
}

/* `steps` and `batch` are NULL where no scanned input has a known rank. */
static void set_stacked(Model *m, const Scan *s, int i, const Dim *steps,
                        const Dim *batch) {
    int out = s->states + i, axis;
    const Type *t = &s->body->outputs[out]->type;
    Shape shape;
    if (!node_out(s->n, out))
        return;
    if (!shape_of(t, &shape) || !axis_out(m, s, i, &axis)) {
        set_unranked(m, s->n, out, t->dtype);
        return;
    }
    if (s->batched)
        insert_axis(&shape, 0, batch ? *batch : fresh_dim(m, s->n, out, 0));
    insert_axis(&shape, axis, steps ? *steps : fresh_dim(m, s->n, out, axis));
    set_type(m, s->n, out, t->dtype, &shape);
    set_moved(m, s->n, out, &s->n->out[out]->type);
}

static void infer_scan(Model *m, Node *n) {
    Scan s;
    Dim steps = dim_int(0), batch = dim_int(0);
    if (!scan_open(n, &s)) {
        node_error(m, n, OX0303, "", "the body's inputs and outputs do not fit");
        return;
    }
    bool ranked = enter(m, &s, &steps, &batch);
    infer_subgraph(m, s.body);
    for (int k = 0; k < s.states; k++)
        set_state(m, &s, k);
    for (int i = 0; i < s.ys; i++)
        set_stacked(m, &s, i, ranked ? &steps : NULL, ranked ? &batch : NULL);
}

/* The body for each step, of each item of a batch. */
static bool macs_scan(Model *m, Node *n, Dim *count) {
    Scan s;
    int axis;
    Shape shape;
    bool known = scan_open(n, &s) && in_shape(n, s.first + s.states, &shape) &&
                 axis_in(m, &s, 0, &axis) && axis < shape.rank;
    if (!known || !macs_of_graphs(m, n, count))
        return false;
    *count = dim_mul(&m->dims, *count, shape.d[axis]);
    if (s.batched)
        *count = dim_mul(&m->dims, *count, shape.d[0]);
    return true;
}

/* ---- code ------------------------------------------------------------------------ */

/* One item bare, several as a tuple, none as None. */
static const Expr *group(Arena *a, const Expr *const *items, int n) {
    if (n == 0)
        return ex_none();
    return n == 1 ? items[0] : ex_seq(a, EX_TUPLE, items, (size_t)n);
}

static const Expr *emit_states(Emit *e, const Scan *s) {
    const Expr **items =
        ARENA_ARRAY(emit_arena(e), (size_t)s->states + 1, const Expr *);
    for (int k = 0; items && k < s->states; k++)
        items[k] = emit_in(e, s->first + k);
    return items ? group(emit_arena(e), items, s->states) : ex_none();
}

/* The scanned inputs with their steps on axis 0; `flip`: in the order they are taken. */
static const Expr *emit_xs(Emit *e, const Scan *s, bool flip) {
    Arena *a = emit_arena(e);
    const Expr **items = ARENA_ARRAY(a, (size_t)s->xs, const Expr *);
    for (int i = 0; items && i < s->xs; i++) {
        int axis;
        items[i] = emit_in(e, s->first + s->states + i);
        if (s->batched || !axis_in(emit_model(e), s, i, &axis))
            continue;
        if (axis != 0)
            items[i] = EX(a, "jnp.moveaxis($0, $1, 0)", items[i], ex_int(a, axis));
        if (flip && is_backward_in(s, i))
            items[i] = EX(a, "$0[::-1]", items[i]);
    }
    return items ? group(a, items, s->xs) : ex_none();
}

static const Expr *emit_body(Emit *e, const Scan *s) {
    EmitPart in[] = {
        {.count = s->states, .hint = s->states > 1 ? "carry" : NULL},
        {.first = s->states, .count = s->xs, .hint = s->xs > 1 ? "xs" : NULL}};
    EmitPart out[] = {{.count = s->states}, {.first = s->states, .count = s->ys}};
    return emit_function(e, s->body, "body", true, in, 2, out, 2);
}

/* All inputs are taken from the end. */
static bool is_reversed(const Scan *s) {
    for (int i = 0; i < s->xs; i++)
        if (!is_backward_in(s, i))
            return false;
    return true;
}

/* What stacked output i still needs: rows that lax.scan(reverse=True) stacks from the
 * end are in the order of their inputs. */
static const Expr *finish(Emit *e, const Scan *s, int i, bool reversed, const Expr *x) {
    int axis;
    if (reversed != is_backward_out(s, i))
        x = EX(emit_arena(e), "$0[::-1]", x);
    if (!axis_out(emit_model(e), s, i, &axis)) {
        emit_fail(e, OX0403, "give the shapes of the inputs with --shape",
                  "the rank of its outputs must be known");
        return x;
    }
    return axis == 0 ? x
                     : EX(emit_arena(e), "jnp.moveaxis($0, 0, $1)", x,
                          ex_int(emit_arena(e), axis));
}

static bool needs_finish(Emit *e, const Scan *s, bool reversed) {
    for (int i = 0; i < s->ys; i++) {
        int axis = 0;
        bool plain = !entry(s->n, "scan_output_axes", i) ||
                     (axis_out(emit_model(e), s, i, &axis) && axis == 0);
        if (!plain || reversed != is_backward_out(s, i))
            return true;
    }
    return false;
}

/* Some output from `first` on is read. */
static bool wants_any(Emit *e, int first, int count) {
    bool any = false;
    for (int i = 0; i < count; i++)
        any |= emit_wants(e, first + i);
    return any;
}

/* The only one of what a function gives, or entry i of all. */
static const Expr *entry_of(Emit *e, const Expr *x, int count, int i) {
    Arena *a = emit_arena(e);
    return count == 1 ? x : EX(a, "$0[$1]", x, ex_int(a, i));
}

static void emit_outputs(Emit *e, const Scan *s, const Expr *x, bool reversed) {
    if (s->batched || !needs_finish(e, s, reversed)) {
        emit_groups(e, x, (const int[]){s->states, s->ys}, 2);
        return;
    }
    const Expr *out[2];
    bool states = wants_any(e, 0, s->states), rows = wants_any(e, s->states, s->ys);
    const char *hints[] = {states ? "state" : NULL, rows ? "rows" : NULL};
    emit_let_pair(e, hints, x, out);
    for (int k = 0; k < s->states && states; k++)
        emit_out(e, k, entry_of(e, out[0], s->states, k));
    for (int i = 0; i < s->ys && rows; i++)
        emit_out(e, s->states + i,
                 finish(e, s, i, reversed, entry_of(e, out[1], s->ys, i)));
}

/* (False, True): which of the inputs are taken backwards; NULL when none is. */
static const Expr *emit_directions(Emit *e, const Scan *s) {
    const Expr **items = ARENA_ARRAY(emit_arena(e), (size_t)s->xs, const Expr *);
    bool any = false;
    for (int i = 0; items && i < s->xs; i++) {
        items[i] = ex_bool(emit_arena(e), is_backward_in(s, i));
        any |= is_backward_in(s, i);
    }
    return any && items ? ex_seq(emit_arena(e), EX_TUPLE, items, (size_t)s->xs) : NULL;
}

static void emit_scan(Emit *e) {
    Scan s;
    if (!scan_open(emit_node(e), &s))
        return;
    if (graph_is_random(s.body)) {
        emit_fail(e, OX0302, "", "random operators in the body are not supported");
        return;
    }
    bool reversed = is_reversed(&s) && !s.batched;
    const Expr *init = emit_states(e, &s), *xs = emit_xs(e, &s, !reversed);
    const Expr *lengths = s.batched ? emit_in(e, 0) : NULL;
    const Expr *body = emit_body(e, &s), *x;
    if (s.batched)
        x = EX(emit_arena(e), "scan_batch($0, $1, $2$(, lengths=$3)$(, reverse=$4))",
               body, init, xs, lengths, emit_directions(e, &s));
    else
        x = EX(emit_arena(e), "jax.lax.scan($0, $1, $2$(, reverse=$3))", body, init, xs,
               reversed ? ex_bool(emit_arena(e), true) : NULL);
    emit_outputs(e, &s, x, reversed);
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define BODY INT_REQ("num_scan_inputs"), ANY_REQ("body", ATTR_GRAPH)
static const OpDef ops[] = {
    {.name = "Scan", .since = 8, .until = 8,
     .in = "sequence_lens? initial_state_and_scan_inputs*",
     .out = "final_state_and_scan_outputs*", .attrs = {BODY, INTS_OPT("directions")},
     .infer = infer_scan, .macs = macs_scan, .emit = emit_scan},
    {.name = "Scan", .since = 9, .in = "initial_state_and_scan_inputs*",
     .out = "final_state_and_scan_outputs*",
     .attrs = {BODY, INTS_OPT("scan_input_axes"), INTS_OPT("scan_output_axes"),
               INTS_OPT("scan_input_directions"), INTS_OPT("scan_output_directions")},
     .infer = infer_scan, .macs = macs_scan, .emit = emit_scan},
};
/* clang-format on */
const OpFamily ops_scan = FAMILY(ops);
