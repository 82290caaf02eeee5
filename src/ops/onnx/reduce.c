/* Reductions over axes, and the searches along one axis.
 *
 * `axes` is an attribute until opset 17 (12 for ReduceSum) and an optional input after.
 * Results keep the type of the input, where jax.numpy widens small integers and makes
 * floats of integer means. */
#include "ops/core/apart.h"
#include "ops/core/evals.h"
#include "ops/core/layout.h"

/* ---- inference ------------------------------------------------------------------- */

/* Without axes everything is reduced, unless noop_with_empty_axes says nothing is. */
static bool is_noop(const Node *n) {
    return attr_int_or(n, "noop_with_empty_axes", 0) != 0;
}

/* true when the axes are given as a tensor whose elements are not known, or follow from
 * a rank that is not. */
static bool axes_at_run_time(const Node *n) {
    const Value *axes = node_input(n, "axes");
    Ints v;
    if (!axes || get_ints(n, "axes", &v))
        return false;
    return axes->type.rank != 1 || !dim_is(axes->type.dims[0], 0);
}

static bool reduced_axes(Model *m, const Node *n, uint64_t *mask) {
    if (axes_at_run_time(n))
        return false;
    const Value *axes = node_input(n, "axes");
    if (!axes || axes->known)
        return get_axes(m, n, "axes", in_rank(n, 0), !is_noop(n), mask);
    *mask = is_noop(n) || in_rank(n, 0) == 0 ? 0 : UINT64_MAX >> (64 - in_rank(n, 0));
    return true;
}

static void drop_axes(Shape *s, uint64_t mask, bool keepdims) {
    int rank = 0;
    for (int i = 0; i < s->rank; i++) {
        bool reduced = mask >> i & 1;
        if (!reduced || keepdims)
            s->d[rank++] = reduced ? dim_int(1) : s->d[i];
    }
    s->rank = rank;
}

/* Only the number of axes may be known. */
static void infer_unknown_axes(Model *m, Node *n) {
    const Value *axes = node_input(n, "axes");
    int rank = in_rank(n, 0);
    if (!attr_int(n, "keepdims")) {
        bool counted = axes->type.rank == 1 && dim_is_int(axes->type.dims[0]);
        rank = counted ? rank - (int)axes->type.dims[0].c : -1;
    }
    if (rank >= 0)
        set_rank(m, n, 0, in_dtype(n, 0), rank);
    else
        set_unranked(m, n, 0, in_dtype(n, 0));
}

static void infer_reduce(Model *m, Node *n) {
    Shape s;
    uint64_t mask;
    Ints axes;
    const Known *known = in_known(n, op_input_index(n->op, STR("axes")));
    bool given = attr_has(n, "axes") || (known && known->n && !known->ints);
    if (given && !get_ints(n, "axes", &axes))
        node_error(m, n, OX0401, "", "axes are no integers");
    if (!in_shape(n, 0, &s)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
    } else if (!reduced_axes(m, n, &mask)) {
        if (axes_at_run_time(n))
            infer_unknown_axes(m, n);
    } else {
        drop_axes(&s, mask, attr_int(n, "keepdims") != 0);
        set_type(m, n, 0, in_dtype(n, 0), &s);
    }
}

/* r keeps reduced axes that y, which reads nothing else of it, does not have. */
static bool is_kept_in_vain(Model *m, const Node *r, const Type *y) {
    Shape s;
    uint64_t mask;
    if (!r || !r->op || r->op->infer != infer_reduce || !attr_int(r, "keepdims") ||
        r->out[0]->uses != 1 || !in_shape(r, 0, &s) || !reduced_axes(m, r, &mask))
        return false;
    drop_axes(&s, mask, false);
    bool same = mask && y->rank == s.rank;
    for (int i = 0; same && i < s.rank; i++)
        same = dim_eq(y->dims[i], s.d[i]);
    return same;
}

/* ---- reductions of views ------------------------------------------------------------- */

/* The axes of x that the reduction goes over, where v is x with its axes in another order,
 * or with axes of size 1 besides: so that what is reduced is the same, and what stays is in
 * the order of x.  0: there are none. */
static uint64_t axes_before(const Node *view, uint64_t mask, int *rank) {
    int perm[OX_MAX_RANK], last = -1, from = 0;
    uint64_t inserted = 0, axes = 0;
    bool turned = view->op->permutes && view->op->permutes(view, perm);
    if (!turned && !(view->op->inserts && view->op->inserts(view, &inserted)))
        return 0;
    *rank = in_rank(view, 0);
    for (int i = 0; i < view->out[0]->type.rank; i++) {
        bool reduced = mask >> i & 1, is_new = inserted >> i & 1;
        if (is_new && !reduced)
            return 0;
        int axis = turned ? perm[i] : from;
        from += !is_new;
        if (reduced && !is_new)
            axes |= (uint64_t)1 << axis;
        if (reduced)
            continue;
        if (axis < last)
            return 0;
        last = axis;
    }
    return axes;
}

/* n becomes that reduction of its first input, over the axes of the mask; false when memory
 * is refused. */
static bool reduce_over(Model *m, Node *n, Str op, uint64_t mask, bool keepdims) {
    Attr *attrs = ARENA_ARRAY(m->arena, 2, Attr);
    int64_t axes[OX_MAX_RANK];
    size_t count = 0;
    for (int i = 0; i < OX_MAX_RANK; i++)
        if (mask >> i & 1)
            axes[count++] = i;
    if (!attrs)
        return false;
    attrs[0] = attr_of_ints(m->arena, STR("axes"), axes, count);
    attrs[1] = attr_of_int(STR("keepdims"), keepdims);
    node_set_op(n, op_find(STR(""), op, 1)); /* which has both so */
    n->attrs = attrs;
    n->n_attrs = 2;
    n->n_in = 1;
    return true;
}

void rewrite_global_average(Model *m, Node *n) {
    const Value *v = node_in(n, 0);
    int rank = in_rank(n, 0), perm[OX_MAX_RANK];
    if (v && v->def && v->def->op && v->def->op->permutes && v->uses == 1 && rank > 2 &&
        rank <= OX_MAX_RANK && v->def->op->permutes(v->def, perm))
        (void)reduce_over(m, n, STR("ReduceMean"),
                          UINT64_MAX >> (64 - rank) & ~UINT64_C(3), true);
}

/* The mean over the last axes of a transpose is one over other axes of what it reads. */
static void rewrite_reduction(Model *m, Node *n) {
    uint64_t mask;
    int rank;
    Value *v = node_in(n, 0);
    while (v && v->def && v->def->op && v->def->graph == n->graph && v->uses == 1 &&
           !v->is_assumed && v->type.rank > 0 && !attr_int(n, "keepdims") &&
           reduced_axes(m, n, &mask) &&
           (mask = axes_before(v->def, mask, &rank)) != 0) {
        Value *x = value_final(v->def->in[0]);
        if (!reduce_over(m, n, str_from(n->op->name), mask, false))
            return;
        n->in[0] = x; /* which the view does not need any more */
        v->uses--;
        v = x;
    }
}

bool become_reduction(Model *m, Node *n) {
    Value *read = n->in[0], *x = value_final(read);
    Arena *a = m->arena;
    while (x->def && x->def->op && is_view(x->def) && x->uses == 1 && !x->is_assumed &&
           x->def->graph == n->graph)
        x = value_final(x->def->in[0]);
    const Node *r = x->def;
    if (n->out[0]->is_assumed || x->is_assumed || (r && r->graph != n->graph) ||
        !is_kept_in_vain(m, r, &n->out[0]->type))
        return false;
    Value **in = ARENA_ARRAY(a, r->n_in, Value *);
    Attr *attrs = ARENA_ARRAY(a, (size_t)r->n_attrs + 1, Attr);
    if (!in || !attrs)
        return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->n_attrs; i++)
        if (!str_is(r->attrs[i].name, "keepdims"))
            attrs[count++] = r->attrs[i];
    attrs[count++] = attr_of_int(STR("keepdims"), 0);
    for (uint32_t i = 0; i < r->n_in; i++)
        in[i] = r->in[i]; /* which r does not need any more */
    node_set_op(n, r->op);
    n->opset = r->opset;
    n->in = in;
    n->n_in = r->n_in;
    n->attrs = attrs;
    n->n_attrs = count;
    value_final(read)->uses--;
    node_absorb(m, r, n);
    rewrite_reduction(m, n);
    return true;
}

static void infer_arg(Model *m, Node *n) {
    Shape s;
    int axis = 0;
    if (in_shape(n, 0, &s) && s.rank > 0 &&
        fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis))
        drop_axes(&s, (uint64_t)1 << axis, attr_int(n, "keepdims") != 0);
    set_type(m, n, 0, DT_INT64, &s);
}

/* ---- evaluation ------------------------------------------------------------------ */

/* The element of the output that element i of the input goes to. */
static size_t target(const Shape *s, uint64_t mask, size_t i) {
    size_t index = 0, stride = 1;
    for (int axis = s->rank - 1; axis >= 0; axis--) {
        size_t size = (size_t)s->d[axis].c;
        if (mask >> axis & 1) {
            i /= size;
            continue;
        }
        index += i % size * stride;
        stride *= size;
        i /= size;
    }
    return index;
}

static bool combine(Model *m, const Known *from, Known *to, size_t i, size_t k,
                    bool first, EvalInt ints, EvalFloat floats) {
    if (from->ints) {
        Dim pair[2] = {to->ints[k], from->ints[i]};
        if (first)
            known_ints(to)[k] = pair[1];
        return first || ints(m, pair, &known_ints(to)[k]);
    }
    double pair[2] = {to->floats[k], from->floats[i]};
    if (first)
        known_floats(to)[k] = pair[1];
    return first || (floats && floats(pair, &known_floats(to)[k]));
}

/* `empty` is the result over no elements, when there is one. */
static void eval_reduce(Model *m, Node *n, EvalInt ints, EvalFloat floats,
                        const int *empty) {
    const Known *from = in_known(n, 0);
    const Value *out = node_out(n, 0);
    Shape s;
    uint64_t mask;
    if (!from || !out || !type_is_static(&out->type) || !in_shape(n, 0, &s) ||
        !reduced_axes(m, n, &mask))
        return;
    Dim count = type_count(&m->dims, &out->type);
    if (!dim_is_int(count) || count.c < 0 || (uint64_t)count.c > KNOWN_MAX)
        return;
    Known *k = known_new(m, out->type.dtype, (size_t)count.c);
    bool *seen = ARENA_ARRAY(m->arena, (size_t)count.c, bool);
    if (!k || (count.c && !seen) || (from->n == 0 && (!empty || !k->ints)))
        return;
    for (size_t i = 0; from->n == 0 && i < k->n; i++)
        known_ints(k)[i] = dim_int(*empty);
    for (size_t i = 0; i < from->n; i++) {
        size_t to = target(&s, mask, i);
        if (!combine(m, from, k, i, to, !seen[to], ints, floats))
            return;
        seen[to] = true;
    }
    set_known(n, 0, k);
}

static void eval_sum(Model *m, Node *n) {
    eval_reduce(m, n, int_add, NULL, &(int){0});
}
static void eval_prod(Model *m, Node *n) {
    eval_reduce(m, n, int_mul, NULL, &(int){1});
}
static void eval_max(Model *m, Node *n) {
    eval_reduce(m, n, int_max, float_max, NULL);
}
static void eval_min(Model *m, Node *n) {
    eval_reduce(m, n, int_min, float_min, NULL);
}

/* ---- reductions ------------------------------------------------------------------ */

/* What the templates of reductions have in common: $0 is the input. */
#define OVER "$(, axis=$1)$(, keepdims=$2)"
#define OVER_AS OVER "$(, dtype=$3)"

typedef struct Over {
    bool nothing;         /* reduces over no axes */
    const Expr *axis;     /* NULL: all axes */
    const Expr *keepdims; /* NULL: jnp's default */
} Over;

/* As the model wrote them; one axis as an int. */
static const Expr *axis_argument(Emit *e, const Ints *axes) {
    Arena *a = emit_arena(e);
    return axes->n == 1 ? ex_int(a, axes->v[0])
                        : ex_ints(a, EX_TUPLE, axes->v, axes->n);
}

/* An axis that is reduced, or may be, has size 0: `open`, when its size follows from
 * what a caller gives; else when the file says so. */
static bool may_be_empty(Emit *e, bool open) {
    Model *m = emit_model(e);
    const Node *n = emit_node(e);
    uint64_t mask = UINT64_MAX;
    int64_t low;
    if (!axes_at_run_time(n) && in_rank(n, 0) >= 0)
        (void)reduced_axes(m, n, &mask);
    for (int i = 0; i < in_rank(n, 0); i++) {
        Dim d = in_dim(n, 0, i);
        bool some = dim_is_int(d)
                        ? d.c != 0
                        : !open || (dim_lower_bound(&m->dims, d, &low) && low > 0);
        if (mask >> i & 1 && !some)
            return true;
    }
    return false;
}

static const Expr *run_time_axes(Emit *e) {
    const Expr *axes = emit_ints(e, "axes");
    const Value *v = node_input(emit_node(e), "axes");
    bool counted = v->type.rank == 1 && dim_is_int(v->type.dims[0]);
    return counted || is_noop(emit_node(e)) ? axes
                                            : EX(emit_arena(e), "$0 or None", axes);
}

static Over read_axes(Emit *e) {
    const Node *n = emit_node(e);
    Over over = {0};
    Ints axes;
    int rank = in_rank(n, 0);
    if (attr_int(n, "keepdims") && rank != 0)
        over.keepdims = ex_bool(emit_arena(e), true);
    if (axes_at_run_time(n)) {
        over.axis = run_time_axes(e);
        return over;
    }
    bool given = get_ints(n, "axes", &axes) && axes.n > 0;
    over.nothing = !given && is_noop(n);
    if (given && (rank < 0 || axes.n < (size_t)rank))
        over.axis = axis_argument(e, &axes);
    return over;
}

/* jnp.sum and jnp.prod make int64 or int32 of integers, whichever JAX's mode has. */
static const Expr *kept_dtype(Emit *e) {
    DType dtype = in_dtype(emit_node(e), 0);
    bool widened = dtype_is_int(dtype) && dtype != DT_INT64 && dtype != DT_UINT64;
    return widened ? emit_dtype(e, dtype) : NULL;
}

/* Emits `text` over $0 input, $1 axis, $2 keepdims, $3 dtype; `nothing` over $0 when no
 * axis is reduced. */
static void emit_reduce(Emit *e, const char *text, const char *nothing) {
    Over over = read_axes(e);
    emit_out(e, 0,
             EX(emit_arena(e), over.nothing ? nothing : text, emit_in(e, 0), over.axis,
                over.keepdims, kept_dtype(e)));
}

/* The same for functions that give floats: integers are rounded toward zero. */
static void emit_float_reduce(Emit *e, const char *text, const char *nothing) {
    Arena *a = emit_arena(e);
    Over over = read_axes(e);
    DType dtype = in_dtype(emit_node(e), 0);
    const Expr *x = emit_in(e, 0);
    if (dtype_is_int(dtype))
        x = EX(a, "$0.astype(float)", x);
    const Expr *y = EX(a, over.nothing ? nothing : text, x, over.axis, over.keepdims);
    emit_out(e, 0,
             dtype_is_int(dtype) ? EX(a, "$0.astype($1)", y, emit_dtype(e, dtype)) : y);
}

static void emit_sum(Emit *e) {
    emit_reduce(e, "jnp.sum($0" OVER_AS ")", "$0");
}
static void emit_prod(Emit *e) {
    emit_reduce(e, "jnp.prod($0" OVER_AS ")", "$0");
}
static void emit_l1(Emit *e) {
    emit_reduce(e, "jnp.sum(jnp.abs($0)" OVER_AS ")", "jnp.abs($0)");
}
static void emit_sum_square(Emit *e) {
    emit_reduce(e, "jnp.sum(jnp.square($0)" OVER_AS ")", "jnp.square($0)");
}
static void emit_log_sum(Emit *e) {
    emit_float_reduce(e, "jnp.log(jnp.sum($0" OVER "))", "jnp.log($0)");
}

static void emit_log_sum_exp(Emit *e) {
    bool empty = may_be_empty(e, false);
    emit_float_reduce(e,
                      empty ? "jnp.log(jnp.sum(jnp.exp($0)" OVER "))"
                            : "jax.nn.logsumexp($0" OVER ")",
                      "$0");
}

/* jnp.linalg.norm takes up to two axes, or all. */
static void emit_l2(Emit *e) {
    const Node *n = emit_node(e);
    Ints axes;
    bool few = get_ints(n, "axes", &axes) ? axes.n <= 2 || (int)axes.n == in_rank(n, 0)
                                          : !axes_at_run_time(n);
    emit_float_reduce(e,
                      few ? "jnp.linalg.norm($0" OVER ")"
                          : "jnp.sqrt(jnp.sum(jnp.square($0)" OVER "))",
                      "jnp.abs($0)");
}

/* What the extreme over no elements is, for a type that an array x has. */
static const Expr *extreme_of_none(Emit *e, const Expr *x, bool max) {
    Arena *a = emit_arena(e);
    DType dtype = in_dtype(emit_node(e), 0);
    if (dtype_is_float(dtype))
        return EX(a, max ? "-$0" : "$0", ex_name(a, STR("jnp.inf")));
    if (dtype == DT_BOOL)
        return ex_bool(a, !max);
    bool is_unsigned = dtype_info(dtype)->cls == DC_UINT;
    if (max && is_unsigned)
        return ex_int(a, 0);
    if (is_unsigned) /* JAX takes a Python number for a signed one */
        return EX(a, "$0.dtype.type(jnp.iinfo($0.dtype).max)", x);
    return EX(a, max ? "jnp.iinfo($0.dtype).min" : "jnp.iinfo($0.dtype).max", x);
}

/* jnp.max and jnp.min want an initial value where there may be no element.  ONNX says
 * since opset 18 what the result is, so that sizes which a caller gives may be 0. */
static void emit_extreme(Emit *e, bool max) {
    Arena *a = emit_arena(e);
    Over over = read_axes(e);
    bool empty = may_be_empty(e, emit_node(e)->op->since >= 18);
    bool twice = empty && dtype_is_int(in_dtype(emit_node(e), 0));
    const Expr *x = twice ? emit_in_named(e, 0) : emit_in(e, 0);
    const Expr *initial = empty ? extreme_of_none(e, x, max) : NULL;
    const char *text = max ? "jnp.max($0" OVER "$(, initial=$3))"
                           : "jnp.min($0" OVER "$(, initial=$3))";
    emit_out(e, 0,
             EX(a, over.nothing ? "$0" : text, x, over.axis, over.keepdims, initial));
}

static void emit_max(Emit *e) {
    emit_extreme(e, true);
}
static void emit_min(Emit *e) {
    emit_extreme(e, false);
}

/* The sum divided by the number of elements, rounding toward zero. */
static void emit_int_mean(Emit *e) {
    Arena *a = emit_arena(e);
    Model *m = emit_model(e);
    const Node *n = emit_node(e);
    uint64_t mask;
    if (in_rank(n, 0) < 0 || !reduced_axes(m, n, &mask)) {
        emit_fail(e, OX0402, "", "the mean of integers needs constant axes");
        return;
    }
    Dim count = dim_int(1);
    for (int i = 0; i < in_rank(n, 0); i++)
        if (mask >> i & 1)
            count = dim_mul(&m->dims, count, in_dim(n, 0, i));
    Over over = read_axes(e);
    const char *text = "trunc_div(jnp.sum($0" OVER_AS "), $4)";
    if (dtype_info(in_dtype(n, 0))->cls == DC_UINT)
        text = "jnp.sum($0" OVER_AS ") // $4";
    else if (in_dtype(n, 0) == DT_INT64)
        text = "jax.lax.div(jnp.sum($0" OVER_AS "), $4)";
    emit_out(e, 0,
             EX(a, over.nothing ? "$0" : text, emit_in(e, 0), over.axis, over.keepdims,
                kept_dtype(e), emit_dim(e, count)));
}

/* Over all axes of (N, C, H, W, ...) but the first two. */
static bool is_over_space(Emit *e) {
    const Node *n = emit_node(e);
    uint64_t mask;
    int rank = in_rank(n, 0);
    return rank >= 4 && reduced_axes(emit_model(e), n, &mask) &&
           mask == (UINT64_MAX >> (64 - rank) & ~UINT64_C(3));
}

static void emit_mean(Emit *e) {
    if (dtype_is_int(in_dtype(emit_node(e), 0)))
        emit_int_mean(e);
    else if (is_over_space(e))
        emit_out(e, 0,
                 EX(emit_arena(e), "global_mean($0$(, keepdims=$1))", emit_in(e, 0),
                    read_axes(e).keepdims));
    else
        emit_reduce(e, "jnp.mean($0" OVER ")", "$0");
}

/* ---- ArgMax, ArgMin -------------------------------------------------------------- */

static void emit_arg(Emit *e, const char *first, const char *last) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    bool select_last = attr_int_or(n, "select_last_index", 0) != 0;
    const Expr *keepdims = attr_int(n, "keepdims") ? ex_bool(a, true) : NULL;
    const Expr *x = select_last ? emit_in_named(e, 0) : emit_in(e, 0);
    emit_out(
        e, 0,
        EX(a, select_last ? last : first, x, ex_int(a, attr_int(n, "axis")), keepdims));
}

static void emit_argmax(Emit *e) {
    emit_arg(e, "jnp.argmax($0" OVER ")",
             "$0.shape[$1] - 1 - jnp.argmax(jnp.flip($0, $1)" OVER ")");
}

static void emit_argmin(Emit *e) {
    emit_arg(e, "jnp.argmin($0" OVER ")",
             "$0.shape[$1] - 1 - jnp.argmin(jnp.flip($0, $1)" OVER ")");
}

/* ---- TopK ------------------------------------------------------------------------ */

/* The attribute of TopK-1, or the only element of the input. */
static bool known_k(const Node *n, Dim *k) {
    Shape v;
    bool known = get_dims(n, node_has(n, "k") ? "k" : "K", &v) && v.rank == 1;
    *k = known ? v.d[0] : dim_int(0);
    return known;
}

static void infer_topk(Model *m, Node *n) {
    Shape s;
    int axis;
    Dim k;
    if (in_shape(n, 0, &s) && fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis)) {
        bool known = known_k(n, &k);
        s.d[axis] = known ? k : fresh_dim(m, n, node_out(n, 0) ? 0 : 1, axis);
    } else {
        s.rank = -1;
    }
    set_type(m, n, 0, in_dtype(n, 0), &s);
    set_type(m, n, 1, DT_INT64, &s);
}

static const Expr *k_argument(Emit *e) {
    Dim k;
    if (known_k(emit_node(e), &k))
        return emit_dim(e, k);
    return EX(emit_arena(e), "$0[0]", emit_list(e, "K"));
}

static void emit_topk(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t axis = attr_int(n, "axis");
    bool last = axis == -1 || axis == in_rank(n, 0) - 1;
    bool largest = !op_attr(n->op, STR("largest")) || attr_int(n, "largest") != 0;
    const Expr *axis_x = last ? NULL : ex_int(a, axis);
    const Expr *x = emit_in(e, 0), *k = k_argument(e);
    if (largest && !emit_wants(e, 1)) {
        emit_out(e, 0, EX(a, "jax.lax.top_k($0, $1$(, axis=$2))[0]", x, k, axis_x));
    } else if (largest && !emit_wants(e, 0)) {
        emit_out(
            e, 1,
            EX(a, "jax.lax.top_k($0, $1$(, axis=$2))[1].astype(int)", x, k, axis_x));
    } else {
        emit_outs(e, EX(a, "top_k($0, $1$(, axis=$2)$(, largest=$3))", x, k, axis_x,
                        largest ? NULL : ex_bool(a, false)));
    }
}

static bool apart_reduce(Model *m, const Node *n, const int *at, int out, int axis) {
    uint64_t mask;
    int from = at[0], below = 0;
    (void)out;
    if (from < 0 || !apart_shared(n, at, 1) || !reduced_axes(m, n, &mask))
        return false;
    for (int i = 0; i < from; i++)
        below += mask >> i & 1;
    return !(mask >> from & 1) && axis == from - (attr_int(n, "keepdims") ? 0 : below);
}

static bool apart_arg(Model *m, const Node *n, const int *at, int out, int axis) {
    int from = at[0], reduced;
    (void)out;
    if (from < 0 || !fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &reduced))
        return false;
    bool moves = reduced < from && !attr_int(n, "keepdims");
    return from != reduced && axis == from - moves;
}

/* Integers would be rounded twice. */
static OpPast past_mean(Model *m, const Node *n, const int *at, int input) {
    OpPast past = past_zero(m, n, at, input);
    bool exact = past == PAST_ZERO && dtype_is_float(in_dtype(n, 0));
    return exact ? PAST_MEAN : PAST_SEEN;
}

/* The logarithm of a sum of exponentials of integers has no minus infinity. */
static OpPast past_least(Model *m, const Node *n, const int *at, int input) {
    bool exact = dtype_is_float(in_dtype(n, 0));
    return exact ? past_lowest(m, n, at, input) : PAST_SEEN;
}

/* Of equal elements the first counts, which are no padding. */
static bool takes_last(const Node *n) {
    return attr_int_or(n, "select_last_index", 0) != 0;
}

static OpPast past_max(Model *m, const Node *n, const int *at, int input) {
    return takes_last(n) ? PAST_SEEN : past_lowest(m, n, at, input);
}

static OpPast past_min(Model *m, const Node *n, const int *at, int input) {
    return takes_last(n) ? PAST_SEEN : past_highest(m, n, at, input);
}

/* A K that is the number of entries sorts them: what is behind comes last. */
static OpPast past_topk(Model *m, const Node *n, const int *at, int input) {
    (void)m;
    bool smallest = op_attr(n->op, STR("largest")) && !attr_int(n, "largest");
    if (input != 0)
        return at[input] == APART_SIZE ? PAST_ANY : PAST_SEEN;
    return at[0] < 0 ? PAST_SEEN : smallest ? PAST_HIGHEST : PAST_LOWEST;
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
/* With axes as attribute, then from opset `v` on as input. */
#define REDUCE(op, v, hides, evaluator, callback)                                           \
    {.name = (op), .since = 1, .until = (v) - 1, .in = "data", .out = "reduced",       \
     .attrs = {INTS_OPT("axes"), INT("keepdims", 1)}, .apart = apart_reduce, .past = (hides),           \
     .rewrite = rewrite_reduction, .infer = infer_reduce, .eval = (evaluator), .emit = (callback)},                                         \
    {.name = (op), .since = (v), .in = "data axes?", .out = "reduced",                 \
     .fixed = "axes", .attrs = {INT("keepdims", 1), INT("noop_with_empty_axes", 0)},   \
     .apart = apart_reduce, .past = (hides), .rewrite = rewrite_reduction,             \
     .infer = infer_reduce, .eval = (evaluator), .emit = (callback)}
#define ARG(op, hides, callback)                                                            \
    {.name = (op), .since = 1, .until = 11, .in = "data", .out = "reduced",            \
     .attrs = {INT("axis", 0), INT("keepdims", 1)}, .apart = apart_arg, .past = (hides),                \
     .infer = infer_arg, .emit = (callback)},                                                              \
    {.name = (op), .since = 12, .in = "data", .out = "reduced",                        \
     .attrs = {INT("axis", 0), INT("keepdims", 1), INT("select_last_index", 0)},       \
     .apart = apart_arg, .past = (hides), .infer = infer_arg, .emit = (callback)}

static const OpDef ops[] = {
    /*     name           input  evaluator  JAX                                      */
    REDUCE("ReduceSum",       13, past_zero, eval_sum,  emit_sum),
    REDUCE("ReduceProd",      18, past_one, eval_prod, emit_prod),
    REDUCE("ReduceMax",       18, past_lowest, eval_max,  emit_max),
    REDUCE("ReduceMin",       18, past_highest, eval_min,  emit_min),
    REDUCE("ReduceMean",      18, past_mean, NULL,      emit_mean),
    REDUCE("ReduceL1",        18, past_zero, NULL,      emit_l1),
    REDUCE("ReduceL2",        18, past_zero, NULL,      emit_l2),
    REDUCE("ReduceSumSquare", 18, past_zero, NULL,      emit_sum_square),
    REDUCE("ReduceLogSum",    18, past_zero, NULL,      emit_log_sum),
    REDUCE("ReduceLogSumExp", 18, past_least, NULL,      emit_log_sum_exp),
    ARG("ArgMax", past_max, emit_argmax),
    ARG("ArgMin", past_min, emit_argmin),
    {.name = "TopK", .since = 1, .until = 9, .in = "X", .out = "Values Indices",
     .attrs = {INT("axis", -1), INT_REQ("k")}, .facts = OP_RANKS,
     .apart = apart_off_axes, .past = past_topk, .infer = infer_topk, .emit = emit_topk},
    {.name = "TopK", .since = 10, .until = 10, .in = "X K", .out = "Values Indices",
     .fixed = "K", .attrs = {INT("axis", -1)}, .facts = OP_RANKS,
     .apart = apart_off_axes, .past = past_topk, .infer = infer_topk, .emit = emit_topk},
    {.name = "TopK", .since = 11, .in = "X K", .out = "Values Indices", .fixed = "K",
     .attrs = {INT("axis", -1), INT("largest", 1), INT("sorted", 1)}, .facts = OP_RANKS,
     .apart = apart_off_axes, .past = past_topk, .infer = infer_topk, .emit = emit_topk},
};
/* clang-format on */

const OpFamily ops_reduce = FAMILY(ops);
