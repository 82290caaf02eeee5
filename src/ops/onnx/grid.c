/* Indices and comparisons of positions.  transformers makes its masks with vmap, which
 * exporters write as attention_mask[arange(batch)[:, None, None, None], arange(seq)], or as
 * one index into all of its elements: that is attention_mask[:, None, None].  Positions are
 * rows of a table, table[:seq], and a comparison of them is a triangle.
 * Source: ONNX operators GatherND, Gather, Reshape. */
#include "ops/core/layout.h"
#include "ops/onnx/affine.h"

/* Where an axis of the data is, which an index picks from. */
typedef struct Place {
    int axis;      /* of the output; -1: the index is the same everywhere */
    int64_t start; /* the first entry that is read */
} Place;

static bool is_onnx(const Node *n, const char *op) {
    return n && n->op && !n->op->domain && str_is(n->op_type, op);
}

/* The only axis of a along which it counts, in steps of `step`: -1 when it is constant. */
static bool only_axis(const Affine *a, int *axis) {
    *axis = -1;
    for (int i = 0; i < a->rank; i++) {
        if (dim_is(a->step[i], 0))
            continue;
        if (*axis >= 0 || !dim_is(a->step[i], 1))
            return false;
        *axis = i;
    }
    return true;
}

/* Where axis i of the data goes, of which v holds the index. */
static bool place_of(Model *m, const Node *n, const Value *v, int i, Place *p) {
    Affine a;
    Dim size = in_dim(n, 0, i);
    if (!affine_of(m, v, &a) || !only_axis(&a, &p->axis) || !dim_is_int(a.start) ||
        a.start.c < 0)
        return false;
    p->start = a.start.c;
    return p->axis >= 0 || (dim_is_int(size) && p->start < size.c);
}

/* Each component of the tuples is a value of its own. */
static const Node *tuples_of(const Node *n, int rank) {
    const Value *index = value_final(n->in[1]);
    const Node *concat = index->def;
    int at = index->type.rank - 1;
    if (!is_onnx(concat, "Concat") || at < 1 || (int)concat->n_in > rank ||
        (attr_int(concat, "axis") != at && attr_int(concat, "axis") != -1))
        return NULL;
    for (uint32_t i = 0; i < concat->n_in; i++) {
        const Type *t = concat->in[i] ? &value_final(concat->in[i])->type : NULL;
        if (!t || t->rank != at + 1 || !dim_is(t->dims[at], 1))
            return NULL;
    }
    return concat;
}

bool gather_follows(Model *m, const Node *n, int from, int axis) {
    Place p;
    int gathered = from, ahead = 0;
    bool nd = is_onnx(n, "GatherND"), found = false;
    const Node *tuples = nd ? tuples_of(n, in_rank(n, 0)) : NULL;
    if (nd && (!tuples || attr_int_or(n, "batch_dims", 0)))
        return false;
    if (!nd && !fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &gathered))
        return false;
    ahead = nd ? 0 : gathered;
    for (uint32_t i = 0; i < (nd ? tuples->n_in : 1); i++) {
        int at = nd ? (int)i : gathered;
        if (!place_of(m, n, nd ? tuples->in[i] : n->in[1], at, &p))
            return false;
        bool here = p.axis >= 0 && p.axis + ahead == axis;
        if (here != (at == from) || (here && p.start != 0))
            return false;
        found = found || here;
    }
    return found;
}

/* The node becomes a view of its input 0, whose first axes have these places. */
static void become_spread(Model *m, Node *n, const Place *places, int count) {
    int64_t axes[OX_MAX_RANK], starts[OX_MAX_RANK];
    Attr *attrs = ARENA_ARRAY(m->arena, 2, Attr);
    int last = -1;
    for (int i = 0; i < count; i++) {
        if (places[i].axis >= 0 && places[i].axis <= last)
            return; /* transposed, or a diagonal */
        last = places[i].axis >= 0 ? places[i].axis : last;
        axes[i] = places[i].axis;
        starts[i] = places[i].start;
    }
    if (!attrs)
        return;
    attrs[0] = attr_of_ints(m->arena, STR("axes"), axes, (size_t)count);
    attrs[1] = attr_of_ints(m->arena, STR("starts"), starts, (size_t)count);
    node_set_op(n, op_find(STR(OP_INTERNAL), STR("Spread"), OP_NEWEST_OPSET));
    n->n_in = 1;
    n->attrs = attrs;
    n->n_attrs = 2;
}

/* Types are known, and short enough for a view. */
static bool may_spread(const Node *n) {
    const Value *x = n->in[0], *y = n->out[0];
    return x && y && x->type.rank >= 1 && y->type.rank >= 0 && !x->is_assumed &&
           !y->is_assumed && x->type.rank + y->type.rank <= OX_MAX_RANK &&
           shape_is_given(n, 0);
}

void rewrite_gather_nd(Model *m, Node *n) {
    Place places[OX_MAX_RANK];
    if (n->n_in != 2 || !n->in[1] || !may_spread(n) || attr_int_or(n, "batch_dims", 0))
        return;
    const Node *tuples = tuples_of(n, in_rank(n, 0));
    int end = tuples ? tuples->in[0]->type.rank - 1 : 0;
    for (uint32_t i = 0; tuples && i < tuples->n_in; i++)
        if (!place_of(m, n, tuples->in[i], (int)i, &places[i]) || places[i].axis >= end)
            return;
    if (tuples)
        become_spread(m, n, places, (int)tuples->n_in);
}

/* ---- Gather ------------------------------------------------------------------------ */

/* Input 0 is x with all of its axes merged into one: x, or NULL. */
static Value *unmerged(const Node *n) {
    const Node *merge = value_final(n->in[0])->def;
    Value *x =
        merge && merge->op && merge->op->facts & OP_RESHAPES ? merge->in[0] : NULL;
    for (int i = 1; i < in_rank(n, 0); i++)
        if (!dim_is(in_dim(n, 0, i), 1))
            return NULL;
    return x && x->type.rank > 1 && !x->is_assumed ? x : NULL;
}

/* Places of the axes of x, where the index into its merged axis goes through all of them:
 * i * columns + j. */
static bool places_in(Model *m, const Value *x, const Value *index, Place *places) {
    Affine a;
    Dim stride = dim_int(1);
    int left = 0;
    if (!affine_of(m, index, &a) || !dim_is(a.start, 0))
        return false;
    for (int i = 0; i < a.rank; i++)
        left += !dim_is(a.step[i], 0);
    for (int i = x->type.rank, at = a.rank - 1; i-- > 0;) {
        Dim size = x->type.dims[i];
        places[i] = (Place){-1, 0};
        while (at >= 0 && dim_is(a.step[at], 0))
            at--;
        if (dim_is(size, 1))
            continue;
        if (at < 0 || !dim_eq(a.step[at], stride) ||
            !dim_eq(index->type.dims[at], size))
            return false;
        places[i].axis = at--;
        left--;
        stride = dim_mul(&m->dims, stride, size);
    }
    return !dims_take_overflow(&m->dims) && left == 0;
}

void rewrite_gather(Model *m, Node *n) {
    Place places[OX_MAX_RANK];
    int axis;
    if (!may_spread(n) || !n->in[1] || value_final(n->in[1])->kind == VALUE_PARAM ||
        in_known(n, 1) || !fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &axis) ||
        axis != 0)
        return;
    Value *x = unmerged(n);
    if (place_of(m, n, n->in[1], 0, places) && places[0].axis >= 0) {
        become_spread(m, n, places, 1);
    } else if (x && places_in(m, x, value_final(n->in[1]), places) &&
               x->type.rank + n->out[0]->type.rank <= OX_MAX_RANK) {
        x->uses++;
        n->in[0] = x;
        become_spread(m, n, places, x->type.rank);
    }
}

/* ---- Reshape ----------------------------------------------------------------------- */

/* Places of x's axes in y, which has axes of size 1 besides. */
static bool insertions(const Type *x, const Type *y, Place *places) {
    int at = 0;
    for (int i = 0; i < y->rank; i++)
        if (at < x->rank && dim_eq(x->dims[at], y->dims[i]))
            places[at++] = (Place){i, 0};
        else if (!dim_is(y->dims[i], 1))
            return false;
    return at == x->rank;
}

/* A reshape of what was reshaped is one of the original, and perhaps a view; of a reduction
 * that kept its axes, perhaps one that does not. */
void rewrite_reshape(Model *m, Node *n) {
    Place places[OX_MAX_RANK];
    uint64_t mask;
    Value *x = n->in[0];
    bool own = true; /* all in one module */
    if (may_spread(n) && x && become_reduction(m, n))
        return;
    while (may_spread(n) && x && x->def && x->def->op && x->def->in[0] &&
           (x->def->op->facts & OP_RESHAPES ||
            (x->def->op->inserts && x->def->op->inserts(x->def, &mask)))) {
        own &= x->def->origin == n->origin;
        x = x->def->in[0];
        if (own && !x->is_assumed && type_same_shape(&x->type, &n->out[0]->type)) {
            x->uses++;
            n->in[0] = x; /* which it returns */
            return;
        }
        if (x->is_assumed || x->type.rank < 1 ||
            x->type.rank + n->out[0]->type.rank > OX_MAX_RANK ||
            !insertions(&x->type, &n->out[0]->type, places))
            continue;
        x->uses++;
        n->in[0] = x;
        become_spread(m, n, places, x->type.rank);
        return;
    }
}

/* ---- Spread ------------------------------------------------------------------------ */

/* The node comes when types are known, and keeps that of the output. */
static void infer_spread(Model *m, Node *n) {
    set_unranked(m, n, 0, in_dtype(n, 0));
}

typedef struct Spread {
    Ints axes, starts;
    int lead; /* axes of the output before those that no place is given of */
} Spread;

static bool read_spread(const Node *n, Spread *s) {
    if (!attr_ints(n, "axes", &s->axes) || !attr_ints(n, "starts", &s->starts))
        return false;
    s->lead = n->out[0]->type.rank - (in_rank(n, 0) - (int)s->axes.n);
    return true;
}

/* Input axis that is at `axis` of the output; -1: none. */
static int spread_from(const Spread *s, int axis) {
    if (axis >= s->lead)
        return axis - s->lead + (int)s->axes.n;
    for (int i = 0; i < (int)s->axes.n; i++)
        if (s->axes.v[i] == axis)
            return i;
    return -1;
}

static bool inserts_spread(const Node *n, uint64_t *mask) {
    Spread s;
    const Type *x = &n->in[0]->type, *y = &n->out[0]->type;
    *mask = 0;
    if (y->rank < 0 || x->rank < 0 || !read_spread(n, &s))
        return false;
    int found = 0;
    for (int i = 0; i < y->rank; i++) {
        int from = spread_from(&s, i);
        if (from >= 0 ? !dim_eq(x->dims[from], y->dims[i]) : !dim_is(y->dims[i], 1))
            return false;
        *mask |= (uint64_t)(from < 0) << i;
        found += from >= 0;
    }
    return found == x->rank;
}

/* Axes of the output that repeat all else are left to whoever broadcasts. */
static Value *narrow_spread(Model *m, Node *n, bool only) {
    Spread s;
    Value *y = n->out[0];
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)y->type.rank, Dim);
    bool wide = false;
    if (!only || !dims || !read_spread(n, &s))
        return NULL;
    for (int i = 0; i < y->type.rank; i++) {
        bool repeats = spread_from(&s, i) < 0 && !dim_is(y->type.dims[i], 1);
        dims[i] = repeats ? dim_int(1) : y->type.dims[i];
        wide |= repeats;
    }
    if (!wide)
        return NULL;
    y->type.dims = dims;
    y->known = y->partly = NULL;
    return y;
}

/* start:start + size, NULL for all of the axis.  A slice ends with the axis by itself. */
static const Expr *run_of(Emit *e, int64_t start, Dim size, Dim all) {
    Dim a, b;
    if (start == 0 && dim_eq(size, all))
        return NULL;
    if (start == 0 && dim_as_min(size, &a, &b) && (dim_eq(a, all) || dim_eq(b, all)))
        size = dim_eq(a, all) ? b : a;
    Dim end = dim_add(&emit_model(e)->dims, dim_int(start), size);
    return ex_slice(emit_arena(e), start ? ex_int(emit_arena(e), start) : NULL,
                    emit_dim(e, end), NULL);
}

/* x[:, None, None]: axis i of x goes to axes[i] of the output, from starts[i] on, or is
 * cut there; axes that axes does not name come last. */
static void emit_spread(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Type *y = &n->out[0]->type;
    const Expr *items[2 * OX_MAX_RANK];
    Spread s;
    int count = 0, at = 0;
    bool wide = false;
    if (!read_spread(n, &s))
        return;
    for (int i = 0; i <= (int)s.axes.n; i++) {
        int to = i < (int)s.axes.n ? (int)s.axes.v[i] : s.lead;
        for (; at < to; at++) {
            items[count++] = ex_none();
            wide |= !dim_is(y->dims[at], 1);
        }
        if (i == (int)s.axes.n)
            break;
        items[count++] = to < 0
                             ? ex_int(a, s.starts.v[i])
                             : run_of(e, s.starts.v[i], y->dims[to], in_dim(n, 0, i));
        at += to >= 0;
    }
    for (; at < y->rank; at++)
        items[count++] = NULL;
    const Expr *x = ex_subscript(a, emit_in(e, 0), items, count);
    if (wide)
        x = EX(a, "jnp.broadcast_to($0, $1)", x, emit_dims(e, y->dims, y->rank));
    emit_out(e, 0, x);
}

/* ---- Triangle ---------------------------------------------------------------------- */

/* Comparing positions along two axes: the columns up to `most`, or from `least` on, of
 * each row, counted from its diagonal. */
void rewrite_compare(Model *m, Node *n) {
    Affine d;
    const Value *y = n->out[0];
    int axes[2] = {-1, -1}, found = 0;
    if (!n->op->order || !shape_is_given(n, 0) || y->splat ||
        !affine_difference(m, n, &d) || !dim_is_int(d.start))
        return;
    for (int i = 0; i < d.rank; i++) {
        bool counts = !dim_is(d.step[i], 0);
        if (counts ? found == 2 : !dim_is(y->type.dims[i], 1))
            return;
        if (counts)
            axes[found++] = i;
    }
    if (found != 2)
        return;
    Dim rows = d.step[axes[0]], columns = d.step[axes[1]];
    bool up = dim_is(columns, 1) && dim_is(rows, -1);
    bool down = dim_is(columns, -1) && dim_is(rows, 1);
    unsigned order = n->op->order & ~(unsigned)ORDER_EQUAL;
    bool less = order == ORDER_LESS, open = order == n->op->order;
    Attr *attrs = ARENA_ARRAY(m->arena, 2, Attr);
    if ((!up && !down) || !(less || order == ORDER_GREATER) || !attrs)
        return;
    bool lower = less == up;
    int64_t k = up ? -d.start.c : d.start.c;
    attrs[0] = attr_of_int(STR("upper"), !lower);
    attrs[1] = attr_of_int(STR("k"), !open ? k : lower ? k - 1 : k + 1);
    node_set_op(n, op_find(STR(OP_INTERNAL), STR("Triangle"), OP_NEWEST_OPSET));
    n->n_in = 0;
    n->attrs = attrs;
    n->n_attrs = 2;
}

static void infer_triangle(Model *m, Node *n) {
    set_unranked(m, n, 0, DT_BOOL);
}

/* jnp.tril(jnp.ones((rows, columns), bool), k)[None, None] */
static void emit_triangle(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Type *y = &n->out[0]->type;
    const Expr *items[OX_MAX_RANK];
    Dim dims[2] = {dim_int(1), dim_int(1)};
    int64_t k = attr_int(n, "k");
    int left = 2;
    for (int i = y->rank; i-- > 0;) {
        bool kept = left > 0 && (!dim_is(y->dims[i], 1) || i < left);
        items[i] = kept ? NULL : ex_none();
        if (kept)
            dims[--left] = y->dims[i];
    }
    const Expr *x = EX(a, "jnp.ones($0, bool)", emit_dims(e, dims, 2));
    x = EX(a, attr_int(n, "upper") ? "jnp.triu($0$(, $1))" : "jnp.tril($0$(, $1))", x,
           k ? ex_int(a, k) : NULL);
    emit_out(e, 0, ex_subscript(a, x, items, y->rank));
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "Spread", .domain = OP_INTERNAL, .since = 1, .in = "x", .out = "y",
     .attrs = {INTS_OPT("axes"), INTS_OPT("starts")}, .facts = OP_MOVES | OP_KEEPS | OP_TABLE,
     .inserts = inserts_spread, .narrow = narrow_spread,
     .infer = infer_spread, .emit = emit_spread},
    {.name = "Triangle", .domain = OP_INTERNAL, .since = 1, .in = "", .out = "mask",
     .attrs = {INT("upper", 0), INT("k", 0)}, .infer = infer_triangle,
     .emit = emit_triangle},
};
/* clang-format on */
const OpFamily ops_grid = FAMILY(ops);
