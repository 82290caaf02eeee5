/* Products of com.microsoft with quantized operands: sums of integers, scaled once, or
 * weights of a few bits that are unpacked first; and rows of tables that are packed so.
 * Source: ContribOperators.md of onnxruntime; its CPU kernels where the text is silent. */
#include "ops/core/apart.h"
#include "ops/core/macs.h"
#include "ops/onnx/linear.h"
#include "ops/onnx/quant.h"

/* y, which output 0 is made of, plus input i. */
static const Expr *biased(Emit *e, const Expr *y, int i) {
    const Value *out = node_out(emit_node(e), 0);
    return EX(emit_arena(e), "$0$( + $1)", y,
              emit_in_lifted(e, i, out ? out->type.rank : -1));
}

/* ---- QGemm ------------------------------------------------------------------------- */

static void transpose_if(const Node *n, const char *name, Shape *s) {
    if (attr_int(n, name) == 0 || s->rank != 2)
        return;
    Dim first = s->d[0];
    s->d[0] = s->d[1];
    s->d[1] = first;
}

static void infer_qgemm(Model *m, Node *n) {
    Shape a, b;
    in_shape(n, 0, &a);
    in_shape(n, 3, &b);
    if ((a.rank >= 0 && a.rank != 2) || (b.rank >= 0 && b.rank != 2)) {
        node_error(m, n, OX0401, "", "A and B must be matrices");
        return;
    }
    transpose_if(n, "transA", &a);
    transpose_if(n, "transB", &b);
    set_product(m, n, &a, &b, node_in(n, 8) ? in_dtype(n, 8) : DT_FLOAT);
}

static const Expr *operand(Emit *e, int i, const char *name) {
    const Expr *x = emit_in(e, i);
    if (attr_int(emit_node(e), name))
        x = ex_attribute(emit_arena(e), x, STR("T"));
    return as_integers_of(e, x, 2, i + 2, 0);
}

/* alpha * a_scale * b_scale */
static const Expr *product_scale(Emit *e) {
    Arena *a = emit_arena(e);
    double alpha = attr_float(emit_node(e), "alpha");
    const Expr *scale = EX(a, "$0 * $1", before_axes(e, emit_in(e, 1), 1, 2, 0),
                           before_axes(e, emit_in(e, 4), 4, 2, 0));
    return alpha == 1 ? scale : EX(a, "$0 * $1", emit_float(e, alpha, DT_FLOAT), scale);
}

static void emit_qgemm(Emit *e) {
    Arena *arena = emit_arena(e);
    static const int ranked[] = {0, 3, 4, 5};
    const Node *n = emit_node(e);
    if (needs_ranks(e, ranked, OX_COUNT(ranked)))
        return;
    if (!node_in(n, 7) != !node_in(n, 8)) {
        emit_fail(e, OX0303, "", "y_scale and y_zero_point must be given together");
        return;
    }
    const Expr *a = operand(e, 0, "transA"), *b = operand(e, 3, "transB");
    const Expr *y = biased(e, EX(arena, "($0) @ ($1)", a, b), 6);
    if (!node_in(n, 7)) {
        emit_out(e, 0,
                 EX(arena, "($0).astype(jnp.float32) * ($1)", y, product_scale(e)));
        return;
    }
    DType dtype = in_dtype(n, 8);
    const Expr *call = EX(arena, "requantize($0, $1 / $2, $3)", y, product_scale(e),
                          emit_in(e, 7), integer(e, 8));
    emit_out(e, 0, call_with(e, call, "dtype", emit_dtype(e, dtype)));
}

/* ---- DynamicQuantizeMatMul, MatMulIntegerToFloat ----------------------------------- */

static void infer_product(Model *m, Node *n) {
    Shape a, b;
    in_shape(n, 0, &a);
    in_shape(n, 1, &b);
    set_product(m, n, &a, &b, DT_FLOAT);
}

static void emit_dynamic(Emit *e) {
    const Expr *y =
        EX(emit_arena(e), "dynamic_matmul($0, $1, $2$(, $3))", emit_in(e, 0),
           emit_in(e, 1), scale_in(e, 2, DT_FLOAT), zero_point(e, 3));
    emit_out(e, 0, biased(e, y, 4));
}

static bool has_one(const Node *n, int i) {
    return !node_in(n, i) || in_rank(n, i) == 0 ||
           (in_rank(n, i) == 1 && dim_is(in_dim(n, i, 0), 1));
}

static void emit_to_float(Emit *e) {
    Arena *arena = emit_arena(e);
    const Node *n = emit_node(e);
    static const int ranked[] = {2, 3, 4, 5};
    if (needs_ranks(e, ranked, OX_COUNT(ranked)))
        return;
    if (!has_one(n, 2) || !has_one(n, 4)) {
        emit_fail(e, OX0302, "", "a scale for each column of A is not supported");
        return;
    }
    int rank = in_rank(n, 0);
    const Expr *a = as_integers_of(e, emit_in(e, 0), rank, 4, 0);
    const Expr *b = as_integers_of(e, emit_in(e, 1), in_rank(n, 1), 5, 0);
    const Expr *y = EX(arena, "(($0) @ ($1)).astype(jnp.float32) * ($2 * $3)", a, b,
                       before_axes(e, emit_in(e, 2), 2, rank, 0),
                       before_axes(e, emit_in(e, 3), 3, rank, 0));
    emit_out(e, 0, biased(e, y, 6));
}

/* ---- MatMulNBits ------------------------------------------------------------------- */

/* B is left out: a size of it is 0, and the product with it is zero. */
static bool is_left_out(const Node *n) {
    bool empty = false;
    for (int i = 0; i < 3 && in_rank(n, 1) == 3; i++)
        empty = empty || dim_is(in_dim(n, 1, i), 0);
    return empty;
}

static void infer_nbits(Model *m, Node *n) {
    Shape s, b;
    int64_t bits = attr_int(n, "bits"), block = attr_int(n, "block_size");
    int64_t rows = attr_int(n, "N"), size = attr_int(n, "K");
    bool ok = rows > 0 && size > 0 && block > 0 && block % 8 == 0 && bits >= 2 &&
              bits <= 8 && rows <= INT32_MAX && size <= INT32_MAX && block <= INT32_MAX;
    if (ok && in_shape(n, 1, &b)) {
        const int64_t dims[] = {rows, (size + block - 1) / block, block * bits / 8};
        ok = b.rank == 3;
        for (int i = 0; ok && i < 3; i++)
            ok = dim_is(b.d[i], 0) ||
                 dim_known_eq(&m->dims, b.d[i], dim_int(dims[i])) != 0;
    }
    if (ok && in_shape(n, 0, &s))
        ok = s.rank > 0 && dim_known_eq(&m->dims, s.d[s.rank - 1], dim_int(size)) != 0;
    else
        s.rank = -1;
    if (!ok) {
        node_error(m, n, OX0401, "", "A and B do not fit N, K, bits and block_size");
        return;
    }
    if (s.rank > 0)
        s.d[s.rank - 1] = dim_int(rows);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* accuracy_level allows less than what is computed here. */
static void emit_nbits(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t bits = attr_int(n, "bits");
    if (attr_int(n, "weight_prepacked") != 0) {
        emit_fail(e, OX0302, "write the model with weight_prepacked=0",
                  "prepacked weights are not supported");
        return;
    }
    if (node_in(n, 4) && (bits != 4 || in_dtype(n, 3) == DT_UINT8)) {
        emit_fail(e, OX0302, "quantize without g_idx",
                  "g_idx is supported with 4 bits and without packed zero points, as "
                  "far as onnxruntime follows the text");
        return;
    }
    if (is_left_out(n)) {
        const Expr *zero =
            EX(a, "jnp.zeros((*$0.shape[:-1], $1), $2)", emit_in_named(e, 0),
               emit_ints(e, "N"), emit_dtype(e, in_dtype(n, 0)));
        emit_out(e, 0, biased(e, zero, 5));
        return;
    }
    const Expr *w = EX(a, "unpack_blocks($0, $1$(, $2))", emit_in(e, 1), emit_in(e, 2),
                       emit_in(e, 3));
    w = call_with(e, w, "groups", emit_in(e, 4));
    w = call_with(e, w, "size", emit_ints(e, "K"));
    w = call_with(e, w, "bits", ex_int(a, bits));
    emit_out(e, 0, biased(e, EX(a, "$0 @ $1.T", emit_in(e, 0), w), 5));
}

/* ---- MatMulBnb4 -------------------------------------------------------------------- */

static void infer_bnb4(Model *m, Node *n) {
    Shape s;
    int64_t rows = attr_int(n, "N"), size = attr_int(n, "K");
    int64_t block = attr_int(n, "block_size");
    bool ok = rows > 0 && size > 0 && block > 0 && rows <= INT32_MAX &&
              size <= INT32_MAX && block <= INT32_MAX;
    if (ok && in_rank(n, 1) == 1)
        ok = dim_known_eq(&m->dims, in_dim(n, 1, 0), dim_int((rows * size + 1) / 2)) !=
             0;
    if (ok && in_shape(n, 0, &s))
        ok = s.rank > 0 && dim_known_eq(&m->dims, s.d[s.rank - 1], dim_int(size)) != 0;
    else
        s.rank = -1;
    if (!ok) {
        node_error(m, n, OX0401, "", "A and B do not fit N, K and block_size");
        return;
    }
    if (s.rank > 0)
        s.d[s.rank - 1] = dim_int(rows);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_bnb4(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t type = attr_int(n, "quant_type");
    if (attr_int(n, "transB") == 0) {
        emit_fail(e, OX0302, "", "transB=0, of backward passes, is not supported");
        return;
    }
    if (type != 0 && type != 1) {
        emit_fail(e, OX0303, "", "quant_type %lld is neither FP4 nor NF4",
                  (long long)type);
        return;
    }
    const Expr *w =
        EX(a, "unpack_codes($0, $1, ($2, $3), $4)", emit_in(e, 1), emit_in(e, 2),
           ex_int(a, attr_int(n, "N")), ex_int(a, attr_int(n, "K")),
           ex_int(a, attr_int(n, "block_size")));
    w = call_with(e, w, "normal", ex_bool(a, type == 1));
    emit_out(e, 0, EX(a, "$0 @ $1.T", emit_in(e, 0), w));
}

/* ---- GatherBlockQuantized ---------------------------------------------------------- */

/* The axes, counted from the front; false when a rank is not known or after an error. */
static bool block_axes(Model *m, Node *n, int *gather, int *blocks) {
    int rank = in_rank(n, 0);
    if (rank < 1 || in_rank(n, 1) < 0 ||
        !fix_axis(m, n, attr_int(n, "gather_axis"), rank, gather) ||
        !fix_axis(m, n, attr_int(n, "quantize_axis"), rank, blocks))
        return false;
    int64_t bits = attr_int(n, "bits");
    bool packed = in_dtype(n, 0) == DT_UINT8;
    int64_t least = dtype_is_float(in_dtype(n, 0)) ? 0 : 1; /* 0: one block */
    if (attr_int(n, "block_size") >= least && attr_int(n, "block_size") <= INT32_MAX &&
        (!packed || ((bits == 2 || bits == 4 || bits == 8) && *gather != rank - 1)))
        return true;
    node_error(m, n, OX0303, "", "bits, block_size or gather_axis are out of range");
    return false;
}

static void infer_gather_blocks(Model *m, Node *n) {
    Shape data, at, s = {.rank = -1};
    int gather, blocks;
    if (block_axes(m, n, &gather, &blocks) && in_shape(n, 0, &data) &&
        in_shape(n, 1, &at) && data.rank + at.rank - 1 <= OX_MAX_RANK) {
        if (in_dtype(n, 0) == DT_UINT8)
            data.d[data.rank - 1] = dim_mul(&m->dims, data.d[data.rank - 1],
                                            dim_int(8 / attr_int(n, "bits")));
        s.rank = 0;
        for (int i = 0; i < data.rank; i++) {
            for (int k = 0; i == gather && k < at.rank; k++)
                s.d[s.rank++] = at.d[k];
            if (i != gather)
                s.d[s.rank++] = data.d[i];
        }
    }
    set_type(m, n, 0, in_dtype(n, 2), &s);
}

static void emit_gather_blocks(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int gather, blocks;
    if (!block_axes(emit_model(e), emit_node(e), &gather, &blocks)) {
        emit_fail(e, OX0403, "", "the ranks of data and indices are not known");
        return;
    }
    int64_t block = attr_int(n, "block_size");
    const Expr *call = EX(a, "gather_blocks($0, $1, $2$(, $3), block=$4)",
                          emit_in(e, 0), emit_in(e, 1), emit_in(e, 2), emit_in(e, 3),
                          block ? ex_int(a, block) : emit_dim(e, in_dim(n, 0, blocks)));
    call = call_with(e, call, "gather", ex_int(a, gather));
    call = call_with(e, call, "axis", ex_int(a, blocks));
    bool packed = in_dtype(n, 0) == DT_UINT8;
    emit_out(
        e, 0,
        call_with(e, call, "bits", packed ? ex_int(a, attr_int(n, "bits")) : NULL));
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "QGemm", MICROSOFT,
     .in = "A a_scale a_zero_point B b_scale b_zero_point C? y_scale? y_zero_point?",
     .out = "Y", .weights = "B C",
     .attrs = {FLOAT("alpha", 1.0), INT("transA", 0), INT("transB", 0)},
     .apart = apart_before_last, .infer = infer_qgemm, .macs = macs_product, .emit = emit_qgemm},
    {.name = "DynamicQuantizeMatMul", MICROSOFT,
     .in = "A B b_scale b_zero_point? bias?", .out = "Y",
     .infer = infer_product, .macs = macs_product, .emit = emit_dynamic},
    {.name = "MatMulIntegerToFloat", MICROSOFT,
     .in = "A B a_scale b_scale a_zero_point? b_zero_point? bias?", .out = "Y",
     .apart = apart_before_last, .infer = infer_product, .macs = macs_product, .emit = emit_to_float},
    {.name = "MatMulNBits", MICROSOFT,
     .in = "A B scales zero_points? g_idx? bias?", .out = "Y",
     .attrs = {INT_REQ("K"), INT_REQ("N"), INT("accuracy_level", 0), INT("bits", 4),
               INT_REQ("block_size"), INT("weight_prepacked", 0)},
     .apart = apart_before_last, .infer = infer_nbits, .macs = macs_product, .emit = emit_nbits},
    {.name = "MatMulBnb4", MICROSOFT, .in = "A B absmax", .out = "Y",
     .attrs = {INT_REQ("K"), INT_REQ("N"), INT_REQ("block_size"), INT_REQ("quant_type"),
               INT("training_mode", 0), INT("transB", 1)},
     .infer = infer_bnb4, .macs = macs_product, .emit = emit_bnb4},
    {.name = "GatherBlockQuantized", MICROSOFT,
     .in = "data indices scales zero_points?", .out = "output",
     .attrs = {INT("bits", 4), INT("block_size", 128), INT("gather_axis", 0),
               INT("quantize_axis", 1)},
     .infer = infer_gather_blocks, .emit = emit_gather_blocks},
};
/* clang-format on */

const OpFamily ops_ms_matmul = FAMILY(ops);
