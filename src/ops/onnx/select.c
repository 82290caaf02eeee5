/* Operators whose result has as many elements as the data decides: they run without
 * jit, unless what decides is known at compile time or the user gives a bound.
 * Source: ONNX operators Compress, NonZero, Unique. */
#include "ops/core/apart.h"
#include "ops/core/layout.h"
#include "ops/core/padded.h"

/* ---- Compress -------------------------------------------------------------------- */

/* How many conditions are true; false when that is not known. */
static bool count_chosen(const Node *n, Dim *count) {
    const Known *k = in_known(n, 1);
    int64_t chosen = 0, bit = 0;
    for (size_t i = 0; k && i < k->n; i++) {
        if (!known_int(n, 1, i, &bit))
            return false;
        chosen += bit != 0;
    }
    *count = dim_int(chosen);
    return k != NULL;
}

static void infer_compress(Model *m, Node *n) {
    Shape s, flat = {.rank = 1};
    int axis = 0;
    bool along = attr_has(n, "axis");
    bool ranked = in_shape(n, 0, &s);
    if (along && (!ranked || !fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis))) {
        if (!count_chosen(n, &flat.d[0]))
            (void)data_dim(m, n, 0, 0);
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    Shape *out = along ? &s : &flat;
    Dim elements = ranked ? type_count(&m->dims, &n->in[0]->type) : dim_int(INT64_MAX);
    Dim most = along ? s.d[axis] : elements;
    if (!count_chosen(n, &out->d[axis]))
        out->d[axis] = data_dim(m, n, 0, axis);
    if (dim_is_int(most) && n->bound > most.c)
        node_error(m, n, OX0003, "", "the bound is larger than what there is: %lld",
                   (long long)most.c);
    set_type(m, n, 0, in_dtype(n, 0), out);
}

/* Known conditions become a list of indices. */
static const Expr *emit_chosen(Emit *e, const Known *k) {
    Arena *a = emit_arena(e);
    const Expr **items = ARENA_ARRAY(a, k->n + 1, const Expr *);
    size_t count = 0;
    int64_t bit;
    for (size_t i = 0; items && i < k->n; i++)
        if (known_int(emit_node(e), 1, i, &bit) && bit)
            items[count++] = ex_int(a, (int64_t)i);
    return EX(a, "jnp.array($0, int)", ex_seq(a, EX_LIST, items, count));
}

static void emit_compress(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Known *k = in_known(n, 1);
    bool along = attr_has(n, "axis");
    const Expr *axis = along ? ex_int(a, attr_int(n, "axis")) : NULL;
    Dim count;
    if (count_chosen(n, &count)) {
        emit_out(e, 0,
                 EX(a, "jnp.take($0, $1$(, axis=$2))", emit_in(e, 0), emit_chosen(e, k),
                    axis));
    } else {
        emit_out(e, 0,
                 EX(a, "jnp.compress($1, $0$(, axis=$2)$(, size=$3))", emit_in(e, 0),
                    emit_in(e, 1), axis, emit_bound(e)));
    }
}

/* ---- NonZero --------------------------------------------------------------------- */

/* 1 when element i is not zero, 0 when it is, -1 when that depends on symbols. */
static int element_is_set(Model *m, const Known *k, size_t i) {
    if (k->floats)
        return k->floats[i] != 0;
    int zero = dim_known_eq(&m->dims, k->ints[i], dim_int(0));
    return zero < 0 ? -1 : !zero;
}

/* How many elements of input 0 are not zero; -1 when that is not known. */
static int64_t count_set(Model *m, const Node *n) {
    const Known *k = in_known(n, 0);
    int64_t count = k ? 0 : -1;
    for (size_t i = 0; k && i < k->n; i++) {
        int set = element_is_set(m, k, i);
        if (set < 0)
            return -1;
        count += set;
    }
    return count;
}

/* The same for tensors of any size whose elements are all equal. */
static bool set_count(Model *m, const Node *n, Dim *count) {
    const Value *x = node_in(n, 0);
    int64_t elements = count_set(m, n);
    int set = x->splat ? element_is_set(m, x->splat, 0) : -1;
    if (elements >= 0)
        *count = dim_int(elements);
    else if (set == 1 && x->type.rank >= 0)
        *count = type_count(&m->dims, &x->type);
    else
        *count = dim_int(0);
    return elements >= 0 || set == 0 || (set == 1 && x->type.rank >= 0);
}

static void infer_non_zero(Model *m, Node *n) {
    int rank = in_rank(n, 0);
    Shape s = {.rank = 2};
    s.d[0] = rank >= 0 ? dim_int(rank) : fresh_dim(m, n, 0, 0);
    if (!set_count(m, n, &s.d[1]))
        s.d[1] = data_dim(m, n, 0, 1);
    set_type(m, n, 0, DT_INT64, &s);
}

/* A number of columns that is known needs no run-time shape. */
static void emit_non_zero(Emit *e) {
    Dim count;
    bool known = set_count(emit_model(e), emit_node(e), &count);
    emit_out(e, 0,
             EX(emit_arena(e), "non_zero($0$(, size=$1))", emit_in(e, 0),
                known ? emit_dim(e, count) : emit_bound(e)));
}

static void eval_non_zero(Model *m, Node *n) {
    Strided x;
    int64_t count = count_set(m, n);
    if (count < 0 || !strided_of(n->in[0], &x))
        return;
    Known *k = known_new(m, DT_INT64, (size_t)(count * x.rank));
    int64_t found = 0;
    for (size_t i = 0; k && i < in_known(n, 0)->n; i++) {
        if (element_is_set(m, in_known(n, 0), i) <= 0)
            continue;
        for (int axis = 0; axis < x.rank; axis++)
            known_ints(k)[axis * count + found] =
                dim_int((int64_t)i / x.stride[axis] % x.size[axis]);
        found++;
    }
    set_known(n, 0, k);
}

/* ---- Unique ---------------------------------------------------------------------- */

enum { INVERSE = 2 }; /* the output as long as the input, whatever the data are */

/* The size of inverse_indices. */
static Dim elements_of(Model *m, Node *n, int axis) {
    if (in_rank(n, 0) < 0)
        return fresh_dim(m, n, INVERSE, 0);
    return attr_has(n, "axis") ? in_dim(n, 0, axis)
                               : type_count(&m->dims, &n->in[0]->type);
}

static void infer_unique(Model *m, Node *n) {
    Shape s;
    int axis = 0;
    bool ranked = in_shape(n, 0, &s), along = attr_has(n, "axis");
    if (along && (!ranked || !fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis)))
        s.rank = -1;
    if (!along)
        s.rank = 1;
    Dim found = data_dim(m, n, 0, axis);
    if (s.rank > 0)
        s.d[axis] = found;
    set_type(m, n, 0, in_dtype(n, 0), &s);
    for (int i = 1; i < (int)n->n_out; i++) {
        Shape list = {.rank = 1};
        list.d[0] = i == INVERSE ? elements_of(m, n, axis) : data_dim(m, n, i, 0);
        set_type(m, n, i, DT_INT64, &list);
    }
    if (node_out(n, INVERSE) && n->out[INVERSE]->bound)
        node_error(m, n, OX0003, "bound another output of Unique",
                   "inverse_indices is as long as X and has no bound");
}

static void emit_unique(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *axis = attr_has(n, "axis") ? ex_int(a, attr_int(n, "axis")) : NULL;
    const Expr *sort = attr_int(n, "sorted") ? NULL : ex_bool(a, false);
    const Expr *call = EX(a, "unique_elements($0$(, axis=$1)$(, sort=$2)$(, size=$3))",
                          emit_in(e, 0), axis, sort, emit_bound(e));
    if (n->n_out == 1)
        emit_out(e, 0, EX(a, "$0[0]", call));
    else
        emit_outs(e, call);
}

static bool apart_compress(Model *m, const Node *n, const int *at, int out, int axis) {
    int selected;
    if (!attr_has(n, "axis") ||
        !fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &selected))
        return false;
    return axis != selected && apart_same(m, n, at, out, axis);
}

/* What is not there is not selected. */
static OpPast past_compress(Model *m, const Node *n, const int *at, int input) {
    int selected = 0;
    bool along = !attr_has(n, "axis") ||
                 (fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &selected) &&
                  at[0] == selected);
    bool both = along && at[0] >= 0 && at[1] == 0;
    if (!attr_has(n, "axis") && in_rank(n, 0) != 1)
        return PAST_SEEN;
    return !both ? PAST_SEEN : input == 1 ? PAST_ZERO : PAST_ANY;
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
static const OpDef ops[] = {
    {.name = "Compress", .since = 9, .in = "input condition", .out = "output",
     .fixed = "condition", .attrs = {INT_OPT("axis")}, .padding = "zeros", .count = "CompressCount",
     .apart = apart_compress, .past = past_compress,
     .infer = infer_compress, .emit = emit_compress},
    {.name = "NonZero", .since = 9, .in = "X", .out = "Y",
     .padding = "columns of the sizes of X, which are out of range",
     .count = "NonZeroCount",
     .past = past_zero,
     .infer = infer_non_zero, .eval = eval_non_zero, .emit = emit_non_zero},
    {.name = "Unique", .since = 11, .in = "X",
     .padding = "the smallest element, counted 0 times", .count = "UniqueCount",
     .out = "Y indices? inverse_indices? counts?",
     .attrs = {INT_OPT("axis"), INT("sorted", 1)},
     .infer = infer_unique, .emit = emit_unique},
    {.name = "CompressCount", .domain = OP_INTERNAL, .since = 1, .in = "condition",
     .out = "count", .attrs = {INT_REQ("most")}, .infer = infer_entry_count,
     .jax = "jnp.minimum(jnp.count_nonzero($condition), $most)"},
    {.name = "NonZeroCount", .domain = OP_INTERNAL, .since = 1, .in = "X",
     .out = "count", .attrs = {INT_REQ("most")}, .infer = infer_entry_count,
     .jax = "jnp.minimum(jnp.count_nonzero($X), $most)"},
    {.name = "UniqueCount", .domain = OP_INTERNAL, .since = 1, .in = "counts",
     .out = "count", .infer = infer_entry_count, .jax = "jnp.count_nonzero($counts)"},
};
/* clang-format on */
const OpFamily ops_select = FAMILY(ops);
