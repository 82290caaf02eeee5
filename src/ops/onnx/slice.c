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

/* ---- slices of slices ------------------------------------------------------------ */

/* Adds bounds to a list; false where one is no integer. */
static bool add_bounds(const Bounds *b, int64_t lists[4][OX_MAX_RANK], int *count) {
    bool ok = *count + b->count <= OX_MAX_RANK;
    for (int i = 0; ok && i < b->count; i++) {
        ok = dim_is_int(b->start[i]) && dim_is_int(b->stop[i]);
        for (int k = 0; k < *count; k++)
            ok &= lists[0][k] != b->axis[i];
        const int64_t row[] = {b->axis[i], b->start[i].c, b->stop[i].c, b->step[i]};
        for (int k = 0; k < 4; k++)
            lists[k][*count] = row[k];
        ++*count;
    }
    return ok;
}

void merge_slices(Model *m, Node *n) {
    static const char *const names[] = {"axes", "starts", "ends", "steps"};
    Bounds first, own;
    int64_t lists[4][OX_MAX_RANK];
    int count = 0;
    const Value *v = n->op && n->op->emit == emit_slice ? value_final(n->in[0]) : NULL;
    const Node *before = v && v->def && v->def->op ? v->def : NULL;
    if (!before || before->op->emit != emit_slice || before->origin != n->origin ||
        v->is_assumed || !get_bounds(m, before, in_rank(before, 0), &first) ||
        !get_bounds(m, n, in_rank(n, 0), &own) || !add_bounds(&first, lists, &count) ||
        !add_bounds(&own, lists, &count))
        return;
    Attr *attrs = ARENA_ARRAY(m->arena, 4, Attr);
    if (!attrs)
        return;
    for (int k = 0; k < 4; k++)
        attrs[k] = attr_of_ints(m->arena, str_from(names[k]), lists[k], (size_t)count);
    node_set_op(n, op_find(STR(OP_INTERNAL), STR("Slice"), OP_NEWEST_OPSET));
    (n->in[0] = value_final(before->in[0]))->uses++;
    n->n_in = 1;
    n->attrs = attrs;
    n->n_attrs = 4;
}

/* ---- Roll ------------------------------------------------------------------------ */

/* v is a slice of x along one axis, all of whose size is known, in its order. */
static const Node *cut_of(Model *m, Value *v, int axis, Bounds *b) {
    const Node *n = v ? value_final(v)->def : NULL;
    bool is = n && n->op && n->op->emit == emit_slice && !v->is_assumed &&
              in_rank(n, 0) >= 0 && get_bounds(m, n, in_rank(n, 0), b);
    return is && b->count == 1 && b->axis[0] == axis && b->step[0] == 1 &&
                   dim_is_int(b->start[0]) && dim_is_int(b->stop[0]) &&
                   dim_is_int(in_dim(n, 0, axis))
               ? n
               : NULL;
}

/* By how many places: x[k:] before x[:k] by -k, x[-k:] before x[:-k] by k; 0: it is no
 * roll. */
static int64_t rolled_by(const Bounds *first, const Bounds *second, int64_t size) {
    int64_t from = first->start[0].c, to = first->stop[0].c;
    int64_t start = second->start[0].c, stop = second->stop[0].c;
    int64_t shift = from < 0 ? -from : from;
    clamp_bounds(size, 1, &from, &to);
    clamp_bounds(size, 1, &start, &stop);
    bool whole = to == size && start == 0 && from == stop && from > 0 && from < size;
    return !whole ? 0 : first->start[0].c < 0 ? shift : -shift;
}

/* The node rolls x by `shift` along `axis`; one that rolls before it is one with it. */
static void become_roll(Model *m, Node *n, Value *x, int64_t axis, int64_t shift) {
    const OpDef *roll = op_find(STR(OP_INTERNAL), STR("Roll"), OP_NEWEST_OPSET);
    int64_t axes[OX_MAX_RANK], shifts[OX_MAX_RANK];
    size_t count = 0;
    Ints more_axes, more;
    if (x->def && x->def->op == roll && x->def->origin == n->origin && x->uses == 2 &&
        !x->is_assumed && attr_ints(x->def, "axes", &more_axes) &&
        attr_ints(x->def, "shifts", &more) && more_axes.n < OX_MAX_RANK) {
        for (; count < more_axes.n; count++) {
            axes[count] = more_axes.v[count];
            shifts[count] = more.v[count];
        }
        x = x->def->in[0];
    }
    axes[count] = axis;
    shifts[count++] = shift;
    Attr *attrs = ARENA_ARRAY(m->arena, 2, Attr);
    if (!attrs)
        return;
    attrs[0] = attr_of_ints(m->arena, STR("axes"), axes, count);
    attrs[1] = attr_of_ints(m->arena, STR("shifts"), shifts, count);
    node_set_op(n, roll);
    x->uses++;
    n->in[0] = x;
    n->n_in = 1;
    n->attrs = attrs;
    n->n_attrs = 2;
}

void rewrite_concat(Model *m, Node *n) {
    Bounds first, second;
    int axis, rank = node_out(n, 0) ? n->out[0]->type.rank : -1;
    if (n->n_in != 2 || rank < 1 || !fix_axis(m, n, attr_int(n, "axis"), rank, &axis))
        return;
    const Node *a = cut_of(m, n->in[0], axis, &first);
    const Node *b = a ? cut_of(m, n->in[1], axis, &second) : NULL;
    Value *x = a ? value_final(a->in[0]) : NULL;
    if (!b || value_final(b->in[0]) != x || x->type.rank != rank || x->is_assumed)
        return;
    int64_t shift = rolled_by(&first, &second, x->type.dims[axis].c);
    if (shift)
        become_roll(m, n, x, axis, shift);
}

/* Every entry of another axis is rolled by itself. */
static bool apart_roll(Model *m, const Node *n, const int *at, int out, int axis) {
    Ints axes;
    (void)m, (void)out;
    bool apart = at[0] == axis && attr_ints(n, "axes", &axes);
    for (size_t i = 0; apart && i < axes.n; i++)
        apart = axes.v[i] != axis;
    return apart;
}

static void emit_roll(Emit *e) {
    Ints axes, shifts;
    Arena *a = emit_arena(e);
    if (attr_ints(emit_node(e), "axes", &axes) &&
        attr_ints(emit_node(e), "shifts", &shifts))
        emit_out(e, 0,
                 EX(a, "jnp.roll($0, $1, axis=$2)", emit_in(e, 0),
                    ex_axes(a, shifts.v, shifts.n), ex_axes(a, axes.v, axes.n)));
}

/* ---- what is apart --------------------------------------------------------------- */

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
    {.name = "Slice", .domain = OP_INTERNAL, .since = 1, .in = "x", .out = "y",
     .attrs = {INTS_REQ("starts"), INTS_REQ("ends"), INTS_REQ("axes"),
               INTS_REQ("steps")}, SLICE},
    {.name = "Roll", .domain = OP_INTERNAL, .since = 1, .in = "x", .out = "y",
     .facts = OP_MOVES, .apart = apart_roll, .infer = infer_identity,
     .emit = emit_roll},
};
/* clang-format on */
const OpFamily ops_slice = FAMILY(ops);
