/* Reading elements by index.  Subscripts are used rather than jnp.take: negative
 * indices wrap as in ONNX, and an index out of bounds, which ONNX forbids, is clamped
 * and gives no NaN.
 * Source: ONNX operators Gather, GatherElements, GatherND. */
#include "ops/core/apart.h"
#include "ops/core/layout.h"
#include "ops/onnx/affine.h"

/* ---- Gather ---------------------------------------------------------------------- */

/* Known indices outside of [-size, size). */
static void check_indices(Model *m, const Node *n, Dim size) {
    const Known *k = in_known(n, 1);
    for (size_t i = 0; k && k->ints && dim_is_int(size) && i < k->n; i++) {
        Dim at = k->ints[i];
        if (!dim_is_int(at) || (at.c < size.c && at.c >= -size.c))
            continue;
        node_error(m, n, OX0401, "", "index %lld is out of bounds for size %lld",
                   (long long)at.c, (long long)size.c);
        return;
    }
}

static void infer_gather(Model *m, Node *n) {
    Shape data, index, out = {.rank = -1};
    int axis = 0;
    bool ranked = in_shape(n, 0, &data);
    if (ranked && !fix_axis(m, n, attr_int(n, "axis"), data.rank, &axis))
        return;
    if (ranked)
        check_indices(m, n, data.d[axis]);
    if (in_shape(n, 1, &index) && ranked && data.rank - 1 + index.rank <= OX_MAX_RANK)
        out.rank = data.rank - 1 + index.rank;
    for (int i = 0; i < out.rank; i++) {
        if (i < axis)
            out.d[i] = data.d[i];
        else if (i < axis + index.rank)
            out.d[i] = index.d[i - axis];
        else
            out.d[i] = data.d[i - index.rank + 1];
    }
    set_type(m, n, 0, in_dtype(n, 0), &out);
}

/* Rows of `inner` elements, picked from each of `outer` blocks. */
static void eval_gather(Model *m, Node *n) {
    size_t map[KNOWN_MAX], count = 0;
    Strided x;
    int axis;
    const Known *k = in_known(n, 1);
    if (!k || (k->n && !k->ints) || !strided_of(n->in[0], &x) || x.rank < 1 ||
        !fix_axis(m, n, attr_int(n, "axis"), x.rank, &axis))
        return;
    int64_t inner = x.stride[axis], size = x.size[axis], outer = 1;
    for (int i = 0; i < axis; i++)
        outer *= x.size[i];
    for (int64_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < k->n; i++) {
            int64_t at = dim_is_int(k->ints[i]) ? k->ints[i].c : size;
            at += at < 0 ? size : 0;
            if (at < 0 || at >= size)
                return;
            for (int64_t r = 0; r < inner && count < KNOWN_MAX; r++)
                map[count++] = (size_t)((o * size + at) * inner + r);
        }
    }
    if (count < KNOWN_MAX)
        eval_pick(m, n, 0, 0, map, count);
}

/* One index of shape [1, ..., 1] for all that pick one row; NULL when they do not. */
static Value *one_index(Model *m, const Node *n, Dim size) {
    const Value *all = value_final(n->in[1]);
    if (!all->splat || !all->splat->ints || !dim_is_int(size))
        return NULL;
    Dim at = all->splat->ints[0];
    size_t bytes = dtype_info(all->type.dtype)->bits / 8;
    if (!dim_is_int(at) || at.c < -size.c || at.c >= size.c)
        return NULL;
    Tensor *t = ARENA_NEW(m->arena, Tensor);
    char *data = ARENA_ARRAY(m->arena, bytes, char);
    int64_t *dims = ARENA_ARRAY(m->arena, all->type.rank, int64_t);
    Value *one =
        t && data && dims ? value_new(m, n->graph, VALUE_CONST, all->name) : NULL;
    if (!one)
        return NULL;
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)((uint64_t)at.c >> 8 * i & 0xff);
    for (int i = 0; i < all->type.rank; i++)
        dims[i] = 1;
    *t = (Tensor){.name = all->name,
                  .dtype = all->type.dtype,
                  .rank = all->type.rank,
                  .dims = dims,
                  .count = 1,
                  .memory = data,
                  .size = bytes};
    return value_set_tensor(m, one, t, true) ? one : NULL;
}

/* A row that is the same everywhere, as the type of all tokens, is given for one place. */
static Value *narrow_gather(Model *m, Node *n, bool only) {
    Value *y = n->out[0];
    int axis, data = in_rank(n, 0), rank = in_rank(n, 1);
    if (!only || data < 1 || rank < 1 || y->type.rank < 0 ||
        !fix_axis(m, n, attr_int(n, "axis"), data, &axis))
        return NULL;
    Value *one = one_index(m, n, in_dim(n, 0, axis));
    Dim *dims = one ? ARENA_ARRAY(m->arena, y->type.rank, Dim) : NULL;
    if (!dims)
        return NULL;
    memcpy(dims, y->type.dims, (size_t)y->type.rank * sizeof *dims);
    for (int i = 0; i < rank; i++)
        dims[axis + i] = dim_int(1);
    y->type.dims = dims;
    y->known = y->partly = NULL;
    n->in[1] = one;
    return y;
}

/* Indices that count up by one, as a slice; NULL for others. */
static const Expr *index_run(Arena *a, const Known *k, Dim size) {
    if (k->n == 0)
        return NULL;
    for (size_t i = 0; i < k->n; i++)
        if (!dim_is_int(k->ints[i]) || k->ints[i].c != k->ints[0].c + (int64_t)i)
            return NULL;
    int64_t start = k->ints[0].c, stop = start + (int64_t)k->n;
    if (start < 0 && stop > 0)
        return NULL;
    bool to_end = start < 0 ? stop == 0 : dim_is(size, stop);
    return ex_slice(a, start ? ex_int(a, start) : NULL, to_end ? NULL : ex_int(a, stop),
                    NULL);
}

/* The axis of a value that can have a size other than 1; -1 when there are several. */
static int only_axis(const Type *t) {
    int only = t->rank > 0 ? t->rank - 1 : -1, found = 0;
    for (int i = 0; i < t->rank; i++) {
        if (dim_is(t->dims[i], 1))
            continue;
        only = i;
        found++;
    }
    return found > 1 ? -1 : only;
}

/* A slice along one axis, with axes of size 1 around it; the number of items. */
static int place_run(const Expr *run, int axis, int rank, const Expr **items) {
    for (int i = 0; i < rank; i++)
        items[i] = ex_none();
    bool whole = !run->kids[0] && !run->kids[1];
    items[axis] = whole ? NULL : run;
    return rank;
}

/* Known indices of this type as items of a subscript: a number, or a slice where they
 * count up.  The number of items; 0 for others. */
static int known_index(Emit *e, const Known *k, const Type *t, Dim size,
                       const Expr **items) {
    int axis = only_axis(t);
    if (!k || !k->ints)
        return 0;
    if (t->rank == 0) {
        items[0] = emit_dim(e, k->ints[0]);
        return 1;
    }
    const Expr *run = axis >= 0 ? index_run(emit_arena(e), k, size) : NULL;
    return run ? place_run(run, axis, t->rank, items) : 0;
}

/* What stands in the subscript for the gathered axis; the number of items. */
static int emit_gather_index(Emit *e, Dim size, const Expr **items) {
    const Node *n = emit_node(e);
    const Type *t = &n->in[1]->type;
    int count = known_index(e, in_known(n, 1), t, size, items);
    if (count)
        return count;
    items[0] = emit_in(e, 1);
    return 1;
}

static void emit_gather(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int axis, rank = in_rank(n, 0);
    const Expr *items[2 * OX_MAX_RANK] = {NULL};
    if (rank < 0) {
        emit_out(e, 0,
                 EX(a, "jnp.take($0, $1, axis=$2)", emit_in(e, 0), emit_in(e, 1),
                    ex_int(a, attr_int(n, "axis"))));
        return;
    }
    if (!fix_axis(emit_model(e), n, attr_int(n, "axis"), rank, &axis))
        return;
    int added = emit_gather_index(e, in_dim(n, 0, axis), items + axis);
    emit_out(e, 0, ex_subscript(a, emit_in(e, 0), items, rank - 1 + added));
}

/* ---- GatherElements -------------------------------------------------------------- */

static void infer_gather_elements(Model *m, Node *n) {
    Shape s;
    int data = in_rank(n, 0), indices = in_rank(n, 1), axis;
    if (data >= 0 && indices >= 0 && data != indices)
        node_error(m, n, OX0401, "", "data has rank %d and indices rank %d", data,
                   indices);
    else if (data >= 0)
        fix_axis(m, n, attr_int(n, "axis"), data, &axis);
    if (!in_shape(n, 1, &s) && data >= 0)
        set_rank(m, n, 0, in_dtype(n, 0), data);
    else
        set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* The other axes of data may be longer than those of indices; the rest is not read. */
static void emit_gather_elements(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int axis, rank = in_rank(n, 0);
    const Expr *items[OX_MAX_RANK] = {NULL};
    if (rank < 0 || in_rank(n, 1) != rank) {
        emit_fail(e, OX0403, "run ONNX shape inference on the model",
                  "the ranks of data and indices must be known");
        return;
    }
    if (!fix_axis(emit_model(e), n, attr_int(n, "axis"), rank, &axis))
        return;
    for (int i = 0; i < rank; i++)
        if (i != axis && !dim_eq(in_dim(n, 0, i), in_dim(n, 1, i)))
            items[i] = ex_slice(a, NULL, emit_dim(e, in_dim(n, 1, i)), NULL);
    emit_out(e, 0,
             EX(a, "jnp.take_along_axis($0, $1, axis=$2)",
                ex_subscript(a, emit_in(e, 0), items, rank), emit_in(e, 1),
                ex_int(a, attr_int(n, "axis"))));
}

/* ---- GatherND -------------------------------------------------------------------- */

/* The length of the index tuples; -1 when it is not known. */
static int64_t tuple_length(const Node *n) {
    int rank = in_rank(n, 1);
    if (rank < 1 || !dim_is_int(in_dim(n, 1, rank - 1)))
        return -1;
    return in_dim(n, 1, rank - 1).c;
}

static void infer_gather_nd(Model *m, Node *n) {
    Shape data, index, out = {.rank = -1};
    int64_t batch = attr_int_or(n, "batch_dims", 0), length = tuple_length(n);
    if (!in_shape(n, 0, &data) || !in_shape(n, 1, &index) || length < 0) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    if (batch < 0 || batch >= index.rank || batch + length > data.rank)
        node_error(m, n, OX0401, "", "indices of length %lld do not fit rank %d",
                   (long long)length, data.rank);
    else if (index.rank - 1 + data.rank - batch - length <= OX_MAX_RANK)
        out.rank = (int)(index.rank - 1 + data.rank - batch - length);
    for (int i = 0; i < out.rank; i++)
        out.d[i] = i < index.rank - 1 ? index.d[i]
                                      : data.d[i - index.rank + 1 + batch + length];
    set_type(m, n, 0, in_dtype(n, 0), &out);
}

/* Where index tuple i points, in elements of data; false when not known or outside. */
static bool tuple_offset(const Known *k, size_t i, int length, const Strided *x,
                         int64_t *at) {
    *at = 0;
    for (int axis = 0; axis < length; axis++) {
        Dim d = k->ints[i * (size_t)length + (size_t)axis];
        int64_t size = x->size[axis], index = dim_is_int(d) ? d.c : size;
        index += index < 0 ? size : 0;
        if (index < 0 || index >= size)
            return false;
        *at += index * x->stride[axis];
    }
    return true;
}

static void eval_gather_nd(Model *m, Node *n) {
    size_t map[KNOWN_MAX], count = 0;
    Strided x;
    const Known *k = in_known(n, 1);
    int64_t length = tuple_length(n), at;
    if (!k || !k->ints || length < 1 || attr_int_or(n, "batch_dims", 0) != 0 ||
        !strided_of(n->in[0], &x) || length > x.rank)
        return;
    int64_t inner = x.stride[length - 1];
    for (size_t i = 0; i < k->n / (size_t)length; i++) {
        if (!tuple_offset(k, i, (int)length, &x, &at))
            return;
        for (int64_t r = 0; r < inner && count < KNOWN_MAX; r++)
            map[count++] = (size_t)(at + r);
    }
    if (count < KNOWN_MAX)
        eval_pick(m, n, 0, 0, map, count);
}

/* All of the numbers are known, and of an axis of a known size: a slice past its end
 * would be shorter in silence. */
static bool are_inside(const Known *k, Dim size) {
    if (!k || !k->ints || !dim_is_int(size))
        return false;
    for (size_t i = 0; i < k->n; i++)
        if (!dim_is_int(k->ints[i]) || k->ints[i].c < -size.c || k->ints[i].c >= size.c)
            return false;
    return true;
}

const Expr *emit_tuple_index(Emit *e, const Expr *x, int in) {
    enum { TUPLE_MAX = 4 };
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *items[TUPLE_MAX];
    int rank = in_rank(n, in);
    Dim length = rank > 0 ? in_dim(n, in, rank - 1) : dim_int(0);
    if (!dim_is_int(length) || length.c < 1 || length.c > TUPLE_MAX)
        return NULL;
    if (length.c == 1 && in_rank(n, 0) > 0 &&
        are_inside(in_known(n, in), in_dim(n, 0, 0))) {
        const Expr *run[OX_MAX_RANK];
        Type numbers = n->in[in]->type;
        numbers.rank--;
        int count = known_index(e, in_known(n, in), &numbers, in_dim(n, 0, 0), run);
        if (count)
            return ex_index(a, x, run, (size_t)count);
    }
    const Expr *index = length.c == 1 ? emit_in(e, in) : emit_in_named(e, in);
    for (int64_t k = 0; k < length.c; k++)
        items[k] = rank == 1 ? EX(a, "$0[$1]", index, ex_int(a, k))
                             : EX(a, "$0[..., $1]", index, ex_int(a, k));
    return ex_index(a, x, items, (size_t)length.c);
}

static void emit_gather_nd(Emit *e) {
    Arena *a = emit_arena(e);
    int64_t batch = attr_int_or(emit_node(e), "batch_dims", 0);
    const Expr *x = emit_in(e, 0), *y = batch ? NULL : emit_tuple_index(e, x, 1);
    if (!y)
        y = EX(a, "gather_nd($0, $1$(, batch_dims=$2))", x, emit_in(e, 1),
               batch ? ex_int(a, batch) : NULL);
    emit_out(e, 0, y);
}

/* The axes of the indices take the place of one of the data. */
static bool apart_gather(Model *m, const Node *n, const int *at, int out, int axis) {
    int gathered, data = at[0], index = at[1];
    (void)out;
    if (!fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &gathered))
        return false;
    if (data == APART_SHARED)
        return index >= 0 && axis == gathered + index;
    if (data == gathered)
        return index >= 0 && axis == gathered + index &&
               gather_follows(m, n, data, axis);
    return data >= 0 && index == APART_SHARED && data != gathered &&
           axis == data + (data > gathered ? in_rank(n, 1) - 1 : 0);
}

static bool apart_gather_elements(Model *m, const Node *n, const int *at, int out,
                                  int axis) {
    int gathered;
    (void)out;
    if (!fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &gathered))
        return false;
    return at[1] == axis && at[0] == (axis == gathered ? APART_SHARED : axis);
}

/* Of the batch, of the indices, or of the data that no index picks from. */
static bool apart_gather_nd(Model *m, const Node *n, const int *at, int out, int axis) {
    int batch = (int)attr_int_or(n, "batch_dims", 0);
    int last = in_rank(n, 1) - 1, data = at[0], index = at[1];
    (void)m;
    (void)out;
    if (data == APART_SHARED)
        return index == axis && axis >= batch && axis < last;
    if (data >= 0 && data < batch)
        return data == axis && index == axis;
    if (data >= 0 && index == axis && axis < last && gather_follows(m, n, data, axis))
        return true;
    Dim depth = last >= 0 ? in_dim(n, 1, last) : dim_int(0);
    return data >= 0 && index == APART_SHARED && dim_is_int(depth) &&
           data >= batch + depth.c && axis == last + data - batch - depth.c;
}

/* Positions from the front are what they were. */
static OpPast past_gather(Model *m, const Node *n, const int *at, int input) {
    int64_t index;
    const Known *k = in_known(n, 1);
    bool ok = k && past_any(m, n, at, input) == PAST_ANY;
    for (size_t i = 0; ok && i < k->n; i++)
        ok = known_int(n, 1, i, &index) && index >= 0;
    return ok ? PAST_ANY : PAST_SEEN;
}

/* ---- table ----------------------------------------------------------------------- */

static bool picks_gather(const Node *n, uint32_t out, OpPick *p) {
    const Known *index = in_known(n, 1);
    int rank = in_rank(n, 0);
    int64_t axis = attr_int(n, "axis");
    (void)out;
    if (!index || !index->ints || in_rank(n, 1) > 1 || index->n != 1 ||
        !dim_is_int(index->ints[0]) || rank < 1)
        return false;
    *p = (OpPick){(int)(axis < 0 ? axis + rank : axis), index->ints[0].c,
                  in_rank(n, 1) == 1};
    Dim size = in_dim(n, 0, p->axis);
    if (p->index < 0 && dim_is_int(size))
        p->index += size.c;
    return p->index >= 0;
}

/* Many values that are stacked may be what the steps of a loop gave, which
 * passes/recurrences.c looks for. */
enum { STACKED_MAX = 3 };

/* Of what a Concat along that axis joins, the value that holds the place, and where; NULL:
 * v is no such, or some size is not known. */
static Value *joined_at(const Value *v, OpPick *p) {
    const Node *n = v->def;
    if (!n || !n->op || !(n->op->facts & OP_JOINS) || !op_attr(n->op, STR("axis")) ||
        n->n_in > STACKED_MAX)
        return NULL;
    int64_t axis = attr_int(n, "axis");
    if ((axis < 0 ? axis + v->type.rank : axis) != p->axis)
        return NULL;
    for (uint32_t i = 0; i < n->n_in; i++) {
        Value *part = value_final(n->in[i]);
        Dim size = part->type.rank > p->axis ? part->type.dims[p->axis] : dim_int(-1);
        if (!dim_is_int(size) || size.c < 0)
            return NULL;
        if (p->index < size.c)
            return part;
        p->index -= size.c;
    }
    return NULL;
}

/* The numbers 0, 1, 2, ..., as a list. */
static bool counts_from_zero(const Value *v) {
    const Known *k = v->known;
    if (v->type.rank != 1 || (k && !k->ints) ||
        (!k && (v->kind != VALUE_CONST || v->splat || !v->tensor)))
        return false;
    for (size_t i = 0; k && i < k->n; i++)
        if (!dim_is(k->ints[i], (int64_t)i))
            return false;
    return k || tensor_i64(v->tensor, 0) == 0; /* large ones count: see value.c */
}

/* All entries of an axis in their order. */
static bool takes_all(const Node *n) {
    const Value *index = value_final(n->in[1]);
    int rank = in_rank(n, 0);
    int64_t axis = attr_int(n, "axis");
    return rank > 0 && counts_from_zero(index) &&
           dim_eq(in_dim(n, 0, (int)(axis < 0 ? axis + rank : axis)),
                  index->type.dims[0]);
}

/* All of the data; or of what was stacked a place: what was put there. */
static Value *same_gather(const Node *n) {
    OpPick p;
    uint64_t mask;
    if (takes_all(n))
        return n->in[0];
    if (!picks_gather(n, 0, &p) || p.keeps)
        return NULL;
    const Value *v = value_final(n->in[0]);
    for (Value *part = joined_at(v, &p); part; part = joined_at(v, &p))
        v = part;
    const Node *made = v->def;
    bool put = made && made->op && made->op->inserts &&
               made->op->inserts(made, &mask) && mask == (uint64_t)1 << p.axis;
    return put ? value_final(made->in[0]) : NULL;
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "Gather", .since = 1, .in = "data indices", .out = "output",
     .attrs = {INT("axis", 0)}, .facts = OP_MOVES | OP_TABLE,
     .apart = apart_gather,
     .past = past_gather, .picks = picks_gather, .same = same_gather,
     .infer = infer_gather, .eval = eval_gather, .narrow = narrow_gather,
     .rewrite = rewrite_gather, .emit = emit_gather},
    {.name = "GatherElements", .since = 11, .in = "data indices", .out = "output",
     .attrs = {INT("axis", 0)},
     .facts = OP_MOVES, .apart = apart_gather_elements,
     .infer = infer_gather_elements, .emit = emit_gather_elements},
    {.name = "GatherND", .since = 11, .until = 11, .in = "data indices",
     .out = "output", .facts = OP_MOVES,
     .apart = apart_gather_nd,
     .infer = infer_gather_nd, .eval = eval_gather_nd, .rewrite = rewrite_gather_nd,
     .emit = emit_gather_nd},
    {.name = "GatherND", .since = 12, .in = "data indices", .out = "output",
     .attrs = {INT("batch_dims", 0)}, .facts = OP_MOVES,
     .apart = apart_gather_nd,
     .infer = infer_gather_nd, .eval = eval_gather_nd, .rewrite = rewrite_gather_nd,
     .emit = emit_gather_nd},
};
/* clang-format on */
const OpFamily ops_index = FAMILY(ops);
