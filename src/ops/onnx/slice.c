/* Slice.  ONNX's rules for negative, clamped and reversed bounds are Python's, so the
 * numbers of the model can be written as they are; inference does the clamping.  They
 * differ in one point: a backward slice that starts before the front has one element.
 * Source: ONNX operator Slice, versions 1, 10, 11, 13. */
#include "ops/core/apart.h"
#include "ops/core/layout.h"

/* No axis is longer: exporters write larger numbers for "to the end". */
static const int64_t END = INT32_MAX;

typedef struct Bounds {
    int count;
    int axis[OX_MAX_RANK];
    Dim start[OX_MAX_RANK], stop[OX_MAX_RANK];
    int64_t step[OX_MAX_RANK];
} Bounds;

static bool get_steps(Model *m, const Node *n, Bounds *b) {
    Ints steps = {0};
    bool given = node_has(n, "steps");
    if (given && (!get_ints(n, "steps", &steps) || steps.n != (size_t)b->count))
        return false;
    for (int i = 0; i < b->count; i++) {
        int64_t step = given ? steps.v[i] : 1;
        if (step == 0) {
            node_error(m, n, OX0401, "", "a step of 0");
            return false;
        }
        b->step[i] = step > END ? END : step < -END ? -END : step;
    }
    return true;
}

/* false when something is known only at run time. */
static bool get_bounds(Model *m, const Node *n, int rank, Bounds *b) {
    Shape starts, stops;
    Ints axes = {0};
    bool listed = !is_absent(n, "axes");
    if (rank < 0 || !get_dims(n, "starts", &starts) || !get_dims(n, "ends", &stops) ||
        (listed && !get_ints(n, "axes", &axes)))
        return false;
    *b = (Bounds){.count = starts.rank};
    bool fits = stops.rank == b->count && b->count <= rank &&
                (!listed || axes.n == (size_t)b->count);
    if (!fits)
        node_error(m, n, OX0401, "", "starts, ends and axes differ in length");
    for (int i = 0; fits && i < b->count; i++) {
        fits = fix_axis(m, n, listed ? axes.v[i] : i, rank, &b->axis[i]);
        b->start[i] = starts.d[i];
        b->stop[i] = stops.d[i];
    }
    return fits && get_steps(m, n, b);
}

/* ---- inference ------------------------------------------------------------------- */

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* Bounds within an axis of known size. */
static void clamp_bounds(int64_t size, int64_t step, int64_t *start, int64_t *stop) {
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
    *start = clamp(*start < 0 ? *start + size : *start, size ? 0 : low, high);
    *stop = clamp(*stop < 0 ? *stop + size : *stop, low, high);
}

static int64_t clamped_length(int64_t start, int64_t stop, int64_t step) {
    int64_t span = step < 0 ? start - stop : stop - start;
    int64_t stride = step < 0 ? -step : step;
    return span <= 0 ? 0 : (span - 1) / stride + 1;
}

/* Counts from the end when negative; false when the sign depends on the symbols. */
static bool from_front(Dims *ds, Dim bound, Dim size, Dim *result) {
    int64_t limit;
    if (dim_is_int(bound) && bound.c <= -END)
        *result = dim_int(0);
    else if (dim_lower_bound(ds, bound, &limit) && limit >= 0)
        *result = bound;
    else if (dim_upper_bound(ds, bound, &limit) && limit < 0)
        *result = dim_add(ds, bound, size);
    else
        return false;
    return true;
}

/* Forwards: max(min(stop, size) - max(start, 0), 0) by step.  A start past the end
 * needs no clamp, as the outer max covers it; this keeps x[1:] at size - 1. */
static bool forward_length(Dims *ds, Dim size, Dim start, Dim stop, int64_t step,
                           Dim *length) {
    bool to_end = (dim_is_int(stop) && stop.c >= END) || dim_eq(stop, size);
    if (to_end && step == 1 && dim_is_int(start) && start.c < 0 && start.c > -END) {
        *length = dim_min(ds, size, dim_int(-start.c)); /* the last few */
        return true;
    }
    if (!from_front(ds, start, size, &start))
        return false;
    if (to_end)
        stop = size;
    else if (!from_front(ds, stop, size, &stop))
        return false;
    else
        stop = dim_min(ds, stop, size);
    Dim span = dim_sub(ds, stop, dim_max(ds, start, dim_int(0)));
    span = dim_max(ds, span, dim_int(0));
    *length = step == 1 ? span : dim_ceildiv(ds, span, dim_int(step));
    return true;
}

static bool starts_at_end(Dim size, Dim start) {
    if (!dim_is_int(start))
        return false;
    return start.c == -1 || start.c >= END ||
           (dim_is_int(size) && start.c >= size.c - 1);
}

static bool stops_before_front(Dim size, Dim stop) {
    return dim_is_int(stop) &&
           (stop.c <= -END || (dim_is_int(size) && stop.c < -size.c));
}

static bool slice_length(Dims *ds, Dim size, Dim start, Dim stop, int64_t step,
                         Dim *length) {
    if (dim_is_int(size) && dim_is_int(start) && dim_is_int(stop)) {
        clamp_bounds(size.c, step, &start.c, &stop.c);
        *length = dim_int(clamped_length(start.c, stop.c, step));
        return true;
    }
    if (step > 0)
        return forward_length(ds, size, start, stop, step, length);
    if (!starts_at_end(size, start) || !stops_before_front(size, stop))
        return false;
    *length = step == -1 ? size : dim_ceildiv(ds, size, dim_int(-step));
    return true;
}

static void infer_slice(Model *m, Node *n) {
    Shape s;
    Bounds b;
    if (!lists_are_valid(m, n) || !in_shape(n, 0, &s)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    if (!get_bounds(m, n, s.rank, &b)) {
        Ints axes;
        bool listed = !is_absent(n, "axes") && get_ints(n, "axes", &axes);
        for (int i = 0; i < s.rank; i++)
            s.d[i] = listed ? s.d[i] : fresh_dim(m, n, 0, i);
        for (size_t i = 0; listed && i < axes.n; i++) {
            int axis;
            if (!fix_axis(m, n, axes.v[i], s.rank, &axis))
                break;
            s.d[axis] = fresh_dim(m, n, 0, axis);
        }
    } else {
        for (int i = 0; i < b.count; i++) {
            Dim *d = &s.d[b.axis[i]];
            if (!slice_length(&m->dims, *d, b.start[i], b.stop[i], b.step[i], d))
                *d = fresh_dim(m, n, 0, b.axis[i]);
        }
    }
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void eval_slice(Model *m, Node *n) {
    Strided walk;
    Bounds b;
    if (!strided_of(n->in[0], &walk) || !get_bounds(m, n, walk.rank, &b))
        return;
    for (int i = 0; i < b.count; i++) {
        int axis = b.axis[i];
        if (!dim_is_int(b.start[i]) || !dim_is_int(b.stop[i]))
            return;
        int64_t start = b.start[i].c, stop = b.stop[i].c;
        clamp_bounds(walk.size[axis], b.step[i], &start, &stop);
        walk.size[axis] = clamped_length(start, stop, b.step[i]);
        walk.base += walk.size[axis] ? start * walk.stride[axis] : 0;
        walk.stride[axis] *= b.step[i];
    }
    eval_strided(m, n, 0, 0, &walk);
}

/* Forwards by ones, and as long as what it is of: all of it. */
static Value *same_slice(const Node *n) {
    Ints steps;
    bool forwards = !node_has(n, "steps");
    if (!forwards && get_ints(n, "steps", &steps)) {
        forwards = true;
        for (size_t i = 0; i < steps.n; i++)
            forwards &= steps.v[i] == 1;
    }
    const Value *x = n->in[0], *y = n->out[0];
    bool whole = forwards && !y->is_assumed && type_same_shape(&x->type, &y->type);
    return whole ? n->in[0] : NULL;
}

/* ---- code ------------------------------------------------------------------------ */

/* A backward slice begins with the first element where Python finds nothing. */
static Dim in_front(Dims *ds, Dim size, Dim start) {
    int64_t least;
    if (!dim_is_int(start) || start.c >= -1)
        return start;
    if (dim_lower_bound(ds, size, &least) && least >= -start.c)
        return start;
    return dim_max(ds, dim_add(ds, size, start), dim_int(0));
}

/* start:stop:step with what Python leaves out left out; NULL for the whole axis. */
static const Expr *emit_range(Emit *e, Dim size, Dim start, Dim stop, int64_t step) {
    Arena *a = emit_arena(e);
    bool from_first, to_last;
    if (step > 0) {
        from_first = dim_is(start, 0) || (dim_is_int(start) && start.c <= -END) ||
                     (dim_is_int(size) && dim_is_int(start) && start.c <= -size.c);
        to_last = dim_eq(stop, size) || (dim_is_int(stop) && stop.c >= END) ||
                  (dim_is_int(size) && dim_is_int(stop) && stop.c >= size.c);
    } else {
        start = in_front(&emit_model(e)->dims, size, start);
        from_first = starts_at_end(size, start);
        to_last = stops_before_front(size, stop);
    }
    if (from_first && to_last && step == 1)
        return NULL;
    const Expr *end = to_last ? NULL : emit_dim(e, stop);
    const Expr *first = from_first ? NULL : emit_dim(e, start);
    return ex_slice(a, first, end, step == 1 ? NULL : ex_int(a, step));
}

static void emit_slice(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Shape s;
    Bounds b;
    const Expr *items[OX_MAX_RANK] = {NULL};
    in_shape(n, 0, &s);
    if (!get_bounds(emit_model(e), n, s.rank, &b)) {
        bool steps = op_input_index(n->op, STR("steps")) >= 0;
        emit_out(e, 0,
                 EX(a, "slice_axes($0, $1, $2$(, axes=$3)$(, steps=$4))", emit_in(e, 0),
                    emit_list(e, "starts"), emit_list(e, "ends"), emit_list(e, "axes"),
                    steps ? emit_list(e, "steps") : NULL));
        return;
    }
    for (int i = 0; i < b.count; i++)
        items[b.axis[i]] =
            emit_range(e, s.d[b.axis[i]], b.start[i], b.stop[i], b.step[i]);
    emit_out(e, 0, ex_subscript(a, emit_in(e, 0), items, s.rank));
}

/* All of the axis is taken, in its order. */
static bool takes_all(const Bounds *b, int i, Dim size) {
    return dim_is(b->start[i], 0) && b->step[i] == 1 &&
           (dim_eq(b->stop[i], size) ||
            (dim_is_int(b->stop[i]) && b->stop[i].c >= END));
}

static bool apart_slice(Model *m, const Node *n, const int *at, int out, int axis) {
    Bounds b;
    bool ok = at[0] == axis && get_bounds(m, n, in_rank(n, 0), &b), sized = false;
    (void)out;
    for (int k = 1; ok && k < (int)n->n_in; k++)
        sized |= at[k] != APART_SHARED;
    for (int i = 0; ok && i < b.count; i++) {
        bool fixed = dim_is_int(b.start[i]) && dim_is_int(b.stop[i]);
        ok = b.axis[i] == axis ? takes_all(&b, i, in_dim(n, 0, axis)) : fixed || !sized;
    }
    return ok;
}

/* From the front, forwards: the end may be counted from either side. */
static OpPast past_slice(Model *m, const Node *n, const int *at, int input) {
    Bounds b;
    bool ok = at[0] >= 0 && get_bounds(m, n, in_rank(n, 0), &b);
    for (int i = 0; ok && i < b.count; i++)
        ok = b.axis[i] == at[0]
                 ? dim_is_int(b.start[i]) && b.start[i].c >= 0 && b.step[i] > 0 &&
                       (dim_is_int(b.stop[i]) || dim_eq(b.stop[i], in_dim(n, 0, at[0])))
                 : dim_is_int(b.start[i]) && dim_is_int(b.stop[i]);
    return ok && (input == 0 || at[input] == APART_SIZE) ? PAST_ANY : PAST_SEEN;
}

/* ---- table ----------------------------------------------------------------------- */

static bool node_steps_by_one(const Node *n) {
    Ints steps;
    return get_ints(n, "steps", &steps) && steps.n == 1 && steps.v[0] == 1;
}

static bool picks_slice(const Node *n, uint32_t out, OpPick *p) {
    Ints starts, ends, axes = {.n = 1};
    int rank = in_rank(n, 0);
    (void)out;
    if (rank < 1 || !get_ints(n, "starts", &starts) || !get_ints(n, "ends", &ends) ||
        (!is_absent(n, "axes") && !get_ints(n, "axes", &axes)) ||
        (node_has(n, "steps") && !node_steps_by_one(n)))
        return false;
    *p = (OpPick){(int)(axes.v[0] < 0 ? axes.v[0] + rank : axes.v[0]), starts.v[0],
                  true};
    return axes.n == 1 && starts.n == 1 && ends.n == 1 && starts.v[0] >= 0 &&
           ends.v[0] == starts.v[0] + 1;
}

/* clang-format off */
#define SLICE                                                                          \
    .facts = OP_MOVES, .apart = apart_slice, .past = past_slice, .picks = picks_slice, \
    .infer = infer_slice, .eval = eval_slice, .same = same_slice,                      \
    .emit = emit_slice
static const OpDef ops[] = {
    {.name = "Slice", .since = 1, .until = 9, .in = "data", .out = "output",
     .attrs = {INTS_REQ("starts"), INTS_REQ("ends"), INTS_OPT("axes")}, SLICE},
    {.name = "Slice", .since = 10, .in = "data starts ends axes? steps?",
     .out = "output", .fixed = "starts ends axes steps", SLICE},
};
/* clang-format on */
const OpFamily ops_slice = FAMILY(ops);
