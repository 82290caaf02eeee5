/* Normalizations.  Each is one call of a helper in python/lib/norm.py; the versions of
 * an operator differ in names, outputs, and the precision that stash_type asks for.  The
 * helpers compute statistics in at least float32, whichever stash_type says.
 * Source: the ONNX operators; number of outputs as the sign of training in
 * BatchNormalization 7 to 13. */
#include "ops/onnx/norm.h"
#include "ops/core/apart.h"

static bool known_differ(Model *m, Dim a, Dim b) {
    return dim_known_eq(&m->dims, a, b) == 0;
}

const Expr *with_epsilon(Emit *e, const Expr *call) {
    return call_with_float(e, call, "eps", attr_float(emit_node(e), "epsilon"));
}

const Expr *cast_unless(Emit *e, const Expr *x, DType dtype, bool same) {
    if (same)
        return x;
    return EX(emit_arena(e), "$0.astype($1)", x, emit_dtype(e, dtype));
}

/* ---- BatchNormalization ------------------------------------------------------------ */

static bool is_spatial(const Node *n) {
    return !op_attr(n->op, STR("spatial")) || attr_int(n, "spatial") != 0;
}

static bool has_statistics_outputs(const Node *n) {
    for (int k = 1; k < (int)n->n_out; k++)
        if (node_out(n, k))
            return true;
    return false;
}

static bool is_training(const Node *n) {
    if (op_attr(n->op, STR("training_mode")))
        return attr_int(n, "training_mode") != 0;
    if (op_attr(n->op, STR("is_test")) && attr_int(n, "is_test") != 0)
        return false;
    return has_statistics_outputs(n);
}

/* scale, B, mean and var are (C,), or (C, ...) without `spatial`. */
static void check_statistics(Model *m, Node *n) {
    Shape x, s;
    if (!in_shape(n, 0, &x) || x.rank < 1)
        return;
    for (int i = 1; i <= 4; i++) {
        if (!in_shape(n, i, &s))
            continue;
        Dim channels = x.rank > 1 ? x.d[1] : dim_int(1);
        bool ok = s.rank == (is_spatial(n) ? 1 : x.rank - 1);
        if (ok && s.rank > 0 && !known_differ(m, s.d[0], channels))
            continue;
        node_error(m, n, OX0401, "", "input %d does not fit the channels of X", i);
        return;
    }
}

static void infer_batch_norm(Model *m, Node *n) {
    infer_same(m, n);
    check_statistics(m, n);
    Shape s;
    bool ranked = in_shape(n, 3, &s);
    for (int k = 1; k < (int)n->n_out; k++)
        if (ranked || !is_spatial(n))
            set_type(m, n, k, in_dtype(n, 3), &s);
        else
            set_rank(m, n, k, in_dtype(n, 3), 1);
}

static void emit_training(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    if (!is_spatial(n)) {
        emit_fail(e, OX0302, "", "training with spatial=0 is not supported");
        return;
    }
    const Expr *args[5];
    for (int i = 0; i < 5; i++)
        args[i] = emit_in(e, i);
    const Expr *call = ex_call(a, ex_name(a, STR("batch_norm_train")), args, 5);
    double momentum = attr_float(n, "momentum");
    call = with_epsilon(e, call);
    call = call_with_float(e, call, "momentum", momentum);
    if (n->n_out == 1)
        emit_out(e, 0, EX(a, "$0[0]", call));
    else if (n->n_out < 5)
        emit_outs(e, EX(a, "$0[:$1]", call, ex_int(a, n->n_out)));
    else
        emit_outs(e, call);
}

/* Before opset 7 the text names two signs of training, is_test and the outputs. */
static bool is_ambiguous(const Node *n) {
    return op_attr(n->op, STR("is_test")) && attr_int(n, "is_test") == 0 &&
           !has_statistics_outputs(n);
}

static void emit_batch_norm(Emit *e) {
    Node *n = emit_node(e);
    if (is_ambiguous(n)) {
        emit_fail(e, OX0302, "set is_test=1, or convert the model to opset 7 or newer",
                  "is_test=0 with one output may mean training or inference");
        return;
    }
    if (is_training(n)) {
        emit_training(e);
        return;
    }
    const Expr *args[6];
    bool same = true;
    bool spatial = is_spatial(n);
    for (int i = 0; i < 5; i++) {
        args[i] = spatial ? emit_in(e, i) : emit_in_lifted(e, i, in_rank(n, 0));
        same = same && in_dtype(n, i) == in_dtype(n, 0);
    }
    Arena *a = emit_arena(e);
    if (spatial) {
        const Expr *y = ex_call(a, ex_name(a, STR("batch_norm")), args, 5);
        emit_out(e, 0, with_epsilon(e, y));
        return;
    }
    args[5] = emit_float(e, attr_float(n, "epsilon"), DT_FLOAT);
    const Expr *y =
        ex_build(a, "($0 - $3) * ($1 * jax.lax.rsqrt($4 + $5)) + $2", args, 6);
    emit_out(e, 0, same ? y : EX(a, "$0.astype($1)", y, emit_dtype_of(e, 0)));
}

/* ---- LayerNormalization, RMSNormalization ------------------------------------------ */

/* Shape of the statistics: ones from axis on. */
static bool statistics_shape(Model *m, Node *n, Shape *s) {
    int axis;
    if (!in_shape(n, 0, s) || !fix_axis(m, n, attr_int(n, "axis"), s->rank, &axis))
        return false;
    broadcast_onto(m, n, 1, s);
    if (node_has(n, "B"))
        broadcast_onto(m, n, 2, s);
    for (int i = axis; i < s->rank; i++)
        s->d[i] = dim_int(1);
    return true;
}

static void infer_layer_norm(Model *m, Node *n) {
    Shape s;
    infer_same(m, n);
    DType stash = dtype_from_onnx(attr_int(n, "stash_type"));
    if (has_statistics_outputs(n) && !dtype_is_float(stash))
        node_error(m, n, OX0303, "", "stash_type is no float type");
    if (!statistics_shape(m, n, &s))
        s.rank = -1;
    set_type(m, n, 1, stash, &s);
    set_type(m, n, 2, stash, &s);
}

static void infer_rms_norm(Model *m, Node *n) {
    Shape s, stats;
    if (!statistics_shape(m, n, &stats))
        stats.rank = -1;
    in_shape(n, 0, &s);
    set_type(m, n, 0, in_dtype(n, 1), &s);
    set_type(m, n, 1, DT_FLOAT, &stats);
}

const Expr *last_axes(Emit *e) {
    int64_t axis = attr_int(emit_node(e), "axis");
    int rank = in_rank(emit_node(e), 0);
    if (axis >= 0 && rank < 0)
        emit_fail(e, OX0403, "", "the rank of X is not known");
    axis = axis >= 0 ? axis - rank : axis;
    return axis == -1 ? NULL : ex_int(emit_arena(e), axis);
}

void emit_layer_norm_stats(Emit *e, const Expr *x, const Expr *axis, DType stash,
                           int first) {
    Arena *a = emit_arena(e);
    const Expr *call = EX(a, "layer_norm_stats($0$(, axis=$1))", x, axis);
    call = with_epsilon(e, call);
    for (int k = 0; k < 2; k++) {
        const Expr *stat = EX(a, "$0[$1]", call, ex_int(a, k));
        if (emit_wants(e, first + k))
            emit_out(e, first + k, cast_unless(e, stat, stash, stash == DT_FLOAT));
    }
}

void emit_rms_stats(Emit *e, const Expr *x, const Expr *axis, DType stash, int k) {
    const Expr *stat = EX(emit_arena(e), "inverse_rms($0$(, axis=$1))", x, axis);
    if (emit_wants(e, k))
        emit_out(e, k,
                 cast_unless(e, with_epsilon(e, stat), stash,
                             dtype_info(in_dtype(emit_node(e), 0))->bits <= 32));
}

static void emit_layer_norm(Emit *e) {
    bool stats = emit_wants(e, 1) || emit_wants(e, 2);
    const Expr *x = stats ? emit_in_named(e, 0) : emit_in(e, 0);
    const Expr *call =
        EX(emit_arena(e), "layer_norm($0, $1$(, $2))", x, emit_in(e, 1), emit_in(e, 2));
    call = call_with(e, call, "axis", last_axes(e));
    emit_out(e, 0, with_epsilon(e, call));
    if (stats)
        emit_layer_norm_stats(e, x, last_axes(e),
                              dtype_from_onnx(attr_int(emit_node(e), "stash_type")), 1);
}

/* Y has the type of scale; X and scale may differ. */
static void emit_rms_norm(Emit *e) {
    bool stats = emit_wants(e, 1);
    const Expr *x = stats ? emit_in_named(e, 0) : emit_in(e, 0);
    if (stats)
        emit_rms_stats(e, x, last_axes(e), DT_FLOAT, 1);
    const Expr *call = EX(emit_arena(e), "rms_norm($0, $1)", x, emit_in(e, 1));
    emit_out(e, 0, with_epsilon(e, call_with(e, call, "axis", last_axes(e))));
}

/* ---- InstanceNormalization, GroupNormalization ------------------------------------- */

/* Inputs 1 and 2 hold one element for each of `count` channels or groups. */
static void check_affine(Model *m, Node *n, Dim count) {
    Shape s;
    for (int i = 1; i <= 2; i++)
        if (in_shape(n, i, &s) && (s.rank != 1 || known_differ(m, s.d[0], count)))
            node_error(m, n, OX0401, "", "input %d does not fit the channels", i);
}

static bool has_channels(Model *m, Node *n) {
    int rank = in_rank(n, 0);
    if (rank == 0 || rank == 1)
        node_error(m, n, OX0401, "", "rank %d, but (N, C, ...) is needed", rank);
    return rank >= 2;
}

static void infer_instance_norm(Model *m, Node *n) {
    infer_same(m, n);
    if (has_channels(m, n))
        check_affine(m, n, in_dim(n, 0, 1));
}

static bool scales_groups(const Node *n) {
    return n->op->since < 21;
}

static void infer_group_norm(Model *m, Node *n) {
    infer_same(m, n);
    if (!has_channels(m, n))
        return;
    int64_t groups = attr_int(n, "num_groups");
    Dim channels = in_dim(n, 0, 1);
    if (groups < 1 || (dim_is_int(channels) && channels.c % groups != 0))
        node_error(m, n, OX0401, "", "num_groups %lld does not divide the channels",
                   (long long)groups);
    else
        check_affine(m, n, scales_groups(n) ? dim_int(groups) : channels);
}

/* Version 18 has one scale for each group, the helper one for each channel. */
static const Expr *for_channels(Emit *e, int input) {
    Node *n = emit_node(e);
    const Expr *x = emit_in(e, input);
    int64_t groups = attr_int(n, "num_groups");
    if (!scales_groups(n) || dim_is(in_dim(n, 0, 1), groups))
        return x;
    Dim size = dim_floordiv(&emit_model(e)->dims, in_dim(n, 0, 1), dim_int(groups));
    return EX(emit_arena(e), "jnp.repeat($0, $1)", x, emit_dim(e, size));
}

static void emit_group_norm(Emit *e) {
    if (in_rank(emit_node(e), 0) < 2) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return;
    }
    const Expr *groups = emit_ints(e, "num_groups");
    const Expr *call = EX(emit_arena(e), "group_norm($0, $1, $2, $3)", emit_in(e, 0),
                          groups, for_channels(e, 1), for_channels(e, 2));
    emit_out(e, 0, with_epsilon(e, call));
}

static void emit_instance_norm(Emit *e) {
    const Expr *call = emit_template(e, "instance_norm($input, $scale, $B)");
    emit_out(e, 0, with_epsilon(e, call));
}

/* ---- the others -------------------------------------------------------------------- */

static void infer_lrn(Model *m, Node *n) {
    infer_same(m, n);
    has_channels(m, n);
    int64_t size = attr_int(n, "size");
    if (size < 1 || size > INT32_MAX)
        node_error(m, n, OX0303, "", "size is %lld", (long long)size);
}

static void infer_lp_normalization(Model *m, Node *n) {
    int axis;
    infer_same(m, n);
    if (in_rank(n, 0) >= 0)
        fix_axis(m, n, attr_int(n, "axis"), in_rank(n, 0), &axis);
    if (attr_int(n, "p") != 1 && attr_int(n, "p") != 2)
        node_error(m, n, OX0303, "", "p is neither 1 nor 2");
}

/* axes default to (0, 2, 3), also where the registry has no way to say so. */
static void emit_mean_variance(Emit *e) {
    static const int64_t usual[] = {0, 2, 3};
    const Expr *axes = emit_ints(e, "axes");
    if (!axes)
        axes = ex_ints(emit_arena(e), EX_TUPLE, usual, OX_COUNT(usual));
    const Expr *x = emit_in_named(e, 0);
    const Expr *mean = EX(emit_arena(e), "jnp.mean($0, $1, keepdims=True)", x, axes);
    const Expr *std = EX(emit_arena(e), "jnp.std($0, $1, keepdims=True)", x, axes);
    emit_out(e, 0, EX(emit_arena(e), "($0 - $1) / ($2 + 1e-09)", x, mean, std));
}

static void infer_mean_variance(Model *m, Node *n) {
    uint64_t mask;
    Ints axes;
    infer_same(m, n);
    int rank = in_rank(n, 0);
    if (rank >= 0 && attr_ints(n, "axes", &axes))
        get_axes(m, n, "axes", rank, false, &mask);
    else if (rank >= 0 && rank < 4)
        node_error(m, n, OX0401, "give axes", "the default axes need rank 4");
}

/* All but the channels, which come second; their statistics too where it trains. */
static bool apart_batch_norm(Model *m, const Node *n, const int *at, int out,
                             int axis) {
    return !is_training(n) && axis != 1 && (axis == 0 || is_spatial(n)) &&
           apart_same(m, n, at, out, axis);
}

static bool apart_mean_variance(Model *m, const Node *n, const int *at, int out,
                                int axis) {
    bool usual = !attr_has(n, "axes");
    return !(usual && axis != 1) && apart_off_axes(m, n, at, out, axis);
}

/* clang-format off */
#define EPSILON FLOAT("epsilon", 1e-5)
#define MOMENTUM FLOAT("momentum", 0.9)

static const OpDef ops[] = {
    {.name = "BatchNormalization", .since = 1, .until = 5,
     .in = "X scale B mean var", .out = "Y mean? var? saved_mean? saved_var?",
     .attrs = {INTS_OPT("consumed_inputs"), EPSILON, INT("is_test", 0), MOMENTUM,
               INT("spatial", 1)},
     .facts = OP_STATISTICS, .apart = apart_batch_norm,
     .infer = infer_batch_norm, .emit = emit_batch_norm},
    {.name = "BatchNormalization", .since = 6, .until = 6,
     .in = "X scale B mean var", .out = "Y mean? var? saved_mean? saved_var?",
     .attrs = {EPSILON, INT("is_test", 0), MOMENTUM, INT("spatial", 1)},
     .facts = OP_STATISTICS, .apart = apart_batch_norm,
     .infer = infer_batch_norm, .emit = emit_batch_norm},
    {.name = "BatchNormalization", .since = 7, .until = 8,
     .in = "X scale B mean var", .out = "Y mean? var? saved_mean? saved_var?",
     .attrs = {EPSILON, MOMENTUM, INT("spatial", 1)},
     .facts = OP_STATISTICS, .apart = apart_batch_norm,
     .infer = infer_batch_norm, .emit = emit_batch_norm},
    {.name = "BatchNormalization", .since = 9, .until = 13,
     .in = "X scale B mean var", .out = "Y mean? var? saved_mean? saved_var?",
     .attrs = {EPSILON, MOMENTUM},
     .facts = OP_STATISTICS, .apart = apart_batch_norm,
     .infer = infer_batch_norm, .emit = emit_batch_norm},
    {.name = "BatchNormalization", .since = 14,
     .in = "X scale B input_mean input_var", .out = "Y running_mean? running_var?",
     .attrs = {EPSILON, MOMENTUM, INT("training_mode", 0)},
     .facts = OP_STATISTICS, .apart = apart_batch_norm,
     .infer = infer_batch_norm, .emit = emit_batch_norm},

    {.name = "LayerNormalization", .since = 17,
     .in = "X Scale B?", .out = "Y Mean? InvStdDev?",
     .attrs = {INT("axis", -1), EPSILON, INT("stash_type", 1)},
     .facts = OP_WEIGHT_BIAS, .lifted = "Scale B", .apart = apart_before_axis,
     .infer = infer_layer_norm, .emit = emit_layer_norm},
    {.name = "RMSNormalization", .since = 23, .in = "X scale", .out = "Y",
     .attrs = {INT("axis", -1), EPSILON, INT("stash_type", 1)},
     .lifted = "scale", .apart = apart_before_axis,
     .infer = infer_rms_norm, .emit = emit_rms_norm},
    /* onnxruntime writes this one without a domain, too */
    {.name = "SimplifiedLayerNormalization", .since = 1,
     .in = "X scale", .out = "Y inv_std_var?",
     .attrs = {INT("axis", -1), EPSILON, INT("stash_type", 1)},
     .lifted = "scale", .apart = apart_before_axis,
     .infer = infer_rms_norm, .emit = emit_rms_norm},
    {.name = "SimplifiedLayerNormalization", MICROSOFT,
     .in = "X scale", .out = "Y inv_std_var?",
     .attrs = {INT("axis", -1), EPSILON, INT("stash_type", 1)},
     .lifted = "scale", .apart = apart_before_axis,
     .infer = infer_rms_norm, .emit = emit_rms_norm},

    {.name = "InstanceNormalization", .since = 1, .until = 5,
     .in = "input scale B", .out = "output",
     .attrs = {INTS_OPT("consumed_inputs"), EPSILON},
     .batch = "input", .infer = infer_instance_norm, .emit = emit_instance_norm},
    {.name = "InstanceNormalization", .since = 6, .in = "input scale B", .out = "output",
     .attrs = {EPSILON},
     .batch = "input", .infer = infer_instance_norm, .emit = emit_instance_norm},
    {.name = "GroupNormalization", .since = 18, .until = 20,
     .in = "X scale bias", .out = "Y",
     .attrs = {EPSILON, INT_REQ("num_groups")},
     .batch = "X", .infer = infer_group_norm, .emit = emit_group_norm},
    {.name = "GroupNormalization", .since = 21, .in = "X scale bias", .out = "Y",
     .attrs = {EPSILON, INT_REQ("num_groups"), INT("stash_type", 1)},
     .batch = "X", .infer = infer_group_norm, .emit = emit_group_norm},

    {.name = "LRN", .since = 1, .in = "X", .out = "Y",
     .attrs = {FLOAT("alpha", 0.0001), FLOAT("beta", 0.75), FLOAT("bias", 1.0),
               INT_REQ("size")},
     .batch = "X", .infer = infer_lrn,
     .jax = "local_response_norm($X, $size, alpha=$alpha, "
            "beta=$beta, bias=$bias)"},
    {.name = "LpNormalization", .since = 1, .in = "input", .out = "output",
     .attrs = {INT("axis", -1), INT("p", 2)},
     .apart = apart_off_axes, .past = past_zero, .infer = infer_lp_normalization,
     .jax = "lp_normalize($input, p=$p, axis=$axis)"},
    {.name = "MeanVarianceNormalization", .since = 9, .in = "X", .out = "Y",
     .attrs = {INTS_OPT("axes")},
     .apart = apart_mean_variance,
     .infer = infer_mean_variance, .emit = emit_mean_variance},
};
/* clang-format on */

const OpFamily ops_norm = FAMILY(ops);
