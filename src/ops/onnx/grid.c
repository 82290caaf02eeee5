/* Index tuples that only place axes.  transformers makes its masks with vmap, which
 * exporters write as attention_mask[arange(batch)[:, None, None, None], arange(seq)]:
 * that is attention_mask[:, None, None].
 * Source: ONNX operator GatherND. */
#include "ops/core/layout.h"

/* Of a component of the index: no axis, but the number 0. */
enum { GRID_FIRST = -1, GRID_OTHER = -2 };

static bool is_onnx(const Node *n, const char *op) {
    return n && n->op && !n->op->domain && str_is(n->op_type, op);
}

static bool is_number(const Value *v, int64_t number) {
    return v && v->known && v->known->ints && v->known->n == 1 &&
           dim_is(v->known->ints[0], number);
}

/* Axis of a known table whose elements are their own positions along it. */
static int known_axis(const Value *v) {
    const Known *k = v->known;
    int axis = GRID_FIRST;
    for (int i = 0; i < v->type.rank; i++)
        if (dim_is(v->type.dims[i], (int64_t)k->n))
            axis = i;
    for (size_t i = 0; i < k->n; i++)
        if (!dim_is(k->ints[i], (int64_t)i))
            return GRID_OTHER;
    return k->n == 1 ? GRID_FIRST : axis < 0 ? GRID_OTHER : axis;
}

static int grid_axis(const Value *v, int depth);

/* Through axes of size 1 that are added. */
static int unsqueezed_axis(const Node *n, int depth) {
    const Value *y = n->out[0];
    int axis = grid_axis(n->in[0], depth), rank = y->type.rank;
    Ints axes;
    uint64_t added = 0;
    if (axis < 0)
        return axis;
    if (rank < 0 || !get_ints(n, "axes", &axes))
        return GRID_OTHER;
    for (size_t i = 0; i < axes.n; i++) {
        int64_t at = axes.v[i] < 0 ? axes.v[i] + rank : axes.v[i];
        if (at < 0 || at >= rank)
            return GRID_OTHER;
        added |= (uint64_t)1 << at;
    }
    for (int i = 0; i < rank; i++)
        if (!(added >> i & 1) && axis-- == 0)
            return i;
    return GRID_OTHER;
}

/* The axis o of which an element at [..., o, ...] has the value; GRID_FIRST when all
 * are 0, GRID_OTHER when nothing is known. */
static int grid_axis(const Value *v, int depth) {
    enum { GRID_DEPTH = 8 };
    v = value_final((Value *)(uintptr_t)v);
    if (v->type.kind != TYPE_TENSOR || v->type.rank < 0 || v->is_assumed ||
        depth > GRID_DEPTH) /* a declared size proves nothing */
        return GRID_OTHER;
    if (v->splat && v->splat->ints && dim_is(v->splat->ints[0], 0))
        return GRID_FIRST;
    if (v->known && v->known->ints && v->known->n)
        return known_axis(v);
    const Node *n = v->def;
    if (!n || !n->op || n->n_in == 0 || !n->in[0])
        return GRID_OTHER;
    if (is_onnx(n, "Range") && n->n_in == 3)
        return is_number(value_final(n->in[0]), 0) &&
                       is_number(value_final(n->in[2]), 1)
                   ? 0
                   : GRID_OTHER;
    if (is_onnx(n, "Unsqueeze"))
        return unsqueezed_axis(n, depth + 1);
    const Type *x = &value_final(n->in[0])->type;
    if (!is_onnx(n, "Expand") || x->rank < 0)
        return GRID_OTHER;
    int axis = grid_axis(n->in[0], depth + 1), more = v->type.rank - x->rank;
    bool kept = axis >= 0 && dim_eq(x->dims[axis], v->type.dims[axis + more]);
    return kept ? axis + more : axis == GRID_FIRST ? axis : GRID_OTHER;
}

/* Where axis i of the data goes; GRID_OTHER unless all of it goes there, in order. */
static int place_of(const Node *n, const Node *tuples, int i, int64_t last) {
    const Type *data = &n->in[0]->type, *y = &n->out[0]->type;
    int axis = grid_axis(tuples->in[i], 0), end = tuples->in[i]->type.rank - 1;
    if (axis == GRID_FIRST)
        return dim_is(data->dims[i], 1) ? axis : GRID_OTHER;
    return axis > last && axis < end && dim_eq(y->dims[axis], data->dims[i])
               ? axis
               : GRID_OTHER;
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

static void become_spread(Model *m, Node *n, const int64_t *places, int count) {
    Attr *attrs = ARENA_ARRAY(m->arena, 1, Attr);
    if (!attrs)
        return;
    attrs[0] = attr_of_ints(m->arena, STR("axes"), places, (size_t)count);
    node_set_op(n, op_find(STR(OP_INTERNAL), STR("Spread"), OP_NEWEST_OPSET));
    n->n_in = 1;
    n->attrs = attrs;
    n->n_attrs = 1;
}

void rewrite_gather_nd(Model *m, Node *n) {
    const Value *x = n->in[0], *y = n->out[0];
    int64_t places[OX_MAX_RANK], last = -1;
    if (n->n_in != 2 || !x || !n->in[1] || !y || x->type.rank < 1 || y->type.rank < 0 ||
        x->type.rank + y->type.rank > OX_MAX_RANK || x->is_assumed || y->is_assumed ||
        attr_int_or(n, "batch_dims", 0) || !shape_is_given(n, 0))
        return;
    const Node *tuples = tuples_of(n, x->type.rank);
    for (uint32_t i = 0; tuples && i < tuples->n_in; i++) {
        places[i] = place_of(n, tuples, (int)i, last);
        if (places[i] == GRID_OTHER)
            return;
        last = places[i] < 0 ? last : places[i];
    }
    if (tuples)
        become_spread(m, n, places, (int)tuples->n_in);
}

/* ---- Spread ------------------------------------------------------------------------ */

/* The node comes when types are known, and keeps that of the output. */
static void infer_spread(Model *m, Node *n) {
    set_unranked(m, n, 0, in_dtype(n, 0));
}

/* x[:, None, None]: axis i of x goes to axes[i] of the output, or is cut at 0; axes that
 * axes does not name come last. */
static void emit_spread(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Type *y = &n->out[0]->type;
    const Expr *items[2 * OX_MAX_RANK];
    Ints axes;
    int count = 0, at = 0;
    bool wide = false;
    if (!attr_ints(n, "axes", &axes))
        return;
    int rest = in_rank(n, 0) - (int)axes.n;
    for (size_t i = 0; i <= axes.n; i++) {
        int to = i < axes.n ? (int)axes.v[i] : y->rank - rest;
        for (; at < to; at++) {
            items[count++] = ex_none();
            wide |= !dim_is(y->dims[at], 1);
        }
        if (i == axes.n)
            break;
        items[count++] = to < 0 ? ex_int(a, 0) : NULL;
        at += to >= 0;
    }
    for (int i = 0; i < rest; i++)
        items[count++] = NULL;
    const Expr *x = ex_subscript(a, emit_in(e, 0), items, count);
    if (wide)
        x = EX(a, "jnp.broadcast_to($0, $1)", x, emit_dims(e, y->dims, y->rank));
    emit_out(e, 0, x);
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "Spread", .domain = OP_INTERNAL, .since = 1, .in = "data", .out = "spread",
     .attrs = {INTS_OPT("axes")}, .infer = infer_spread, .emit = emit_spread},
};
/* clang-format on */
const OpFamily ops_grid = FAMILY(ops);
