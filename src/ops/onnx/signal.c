/* Fourier transforms, windows and mel filters: calls of the helpers in
 * python/lib/signal.py.  Lengths make shapes, so they must be known to jit.
 * Source: ONNX operators DFT (17 and 20 differ in where axis is given), STFT,
 * HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix. */
#include "ops/core/apart.h"
#include "ops/onnx/window.h"

/* One known size, of a scalar input or attribute; a negative one is none. */
static bool get_dim(const Node *n, const char *name, Dim *d) {
    Shape s;
    if (!get_dims(n, name, &s) || s.rank != 1)
        return false;
    *d = s.d[0];
    return !dim_is_int(*d) || d->c >= 0;
}

/* floor(d / 2) + 1 */
static Dim half_spectrum(Model *m, Dim d) {
    return dim_add(&m->dims, dim_floordiv(&m->dims, d, dim_int(2)), dim_int(1));
}

static bool flag(const Node *n, const char *name) {
    return attr_int(n, name) != 0;
}

/* ---- DFT --------------------------------------------------------------------------- */

/* The axis, -2 when version 20 has none; false when it is not known. */
static bool dft_axis(const Node *n, int64_t *axis) {
    Ints v;
    *axis = -2;
    if (op_attr(n->op, STR("axis"))) {
        *axis = attr_int(n, "axis");
        return true;
    }
    if (is_absent(n, "axis"))
        return true;
    if (!get_ints(n, "axis", &v) || v.n != 1)
        return false;
    *axis = v.v[0];
    return true;
}

static Dim dft_size(Model *m, Node *n, Dim in, int axis) {
    Dim length = in;
    bool back = flag(n, "inverse") && flag(n, "onesided");
    if (is_absent(n, "dft_length")) {
        if (back)
            length = dim_mul(&m->dims, dim_int(2), dim_sub(&m->dims, in, dim_int(1)));
    } else if (!get_dim(n, "dft_length", &length)) {
        return fresh_dim(m, n, 0, axis);
    }
    return flag(n, "onesided") && !back ? half_spectrum(m, length) : length;
}

static bool check_pairs(Model *m, Node *n, const Shape *s, bool onesided_real) {
    Dim last = s->rank > 1 ? s->d[s->rank - 1] : dim_int(0);
    if (s->rank < 2 || (dim_is_int(last) && last.c != 1 && last.c != 2)) {
        node_error(m, n, OX0401, "", "the last axis must have size 1 or 2");
        return false;
    }
    if (onesided_real && dim_is(last, 2)) {
        node_error(m, n, OX0302, "use onesided=0",
                   "the onesided transform of complex numbers is not defined");
        return false;
    }
    return true;
}

static void infer_dft(Model *m, Node *n) {
    Shape s;
    int64_t given;
    int axis;
    DType dtype = in_dtype(n, 0);
    bool forward = flag(n, "onesided") && !flag(n, "inverse");
    if (!in_shape(n, 0, &s)) {
        set_unranked(m, n, 0, dtype);
        return;
    }
    if (!check_pairs(m, n, &s, forward))
        return;
    Dim last = dim_int(flag(n, "onesided") && flag(n, "inverse") ? 1 : 2);
    if (!dft_axis(n, &given)) {
        bool resized = flag(n, "onesided") || !is_absent(n, "dft_length");
        for (int i = 0; resized && i < s.rank; i++)
            s.d[i] = fresh_dim(m, n, 0, i);
        s.d[s.rank - 1] = last;
        set_type(m, n, 0, dtype, &s);
        return;
    }
    if (!fix_axis(m, n, given, s.rank, &axis))
        return;
    if (axis == s.rank - 1) {
        node_error(m, n, OX0401, "", "the last axis is that of the complex numbers");
        return;
    }
    s.d[axis] = dft_size(m, n, s.d[axis], axis);
    s.d[s.rank - 1] = last;
    set_type(m, n, 0, dtype, &s);
}

static void emit_dft(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t axis;
    const Expr *call = EX(a, "dft($0)", emit_in(e, 0));
    call = call_with(e, call, "length", emit_ints(e, "dft_length"));
    bool known = dft_axis(n, &axis);
    bool usual = known && (axis == -2 || axis == in_rank(n, 0) - 2);
    if (!usual)
        call =
            call_with(e, call, "axis", known ? ex_int(a, axis) : emit_ints(e, "axis"));
    call = call_with(e, call, "inverse", ex_bool(a, flag(n, "inverse")));
    emit_out(e, 0, call_with(e, call, "onesided", ex_bool(a, flag(n, "onesided"))));
}

/* ---- STFT -------------------------------------------------------------------------- */

/* false when it is not known */
static bool frame_length(const Node *n, const Shape *s, Dim *length) {
    if (!is_absent(n, "frame_length"))
        return get_dim(n, "frame_length", length);
    if (!node_in(n, 2)) {
        *length = s->d[1];
        return true;
    }
    if (in_rank(n, 2) != 1)
        return false;
    *length = in_dim(n, 2, 0);
    return true;
}

static void infer_stft(Model *m, Node *n) {
    Shape s;
    Dim length, step;
    Dims *ds = &m->dims;
    DType dtype = in_dtype(n, 0);
    bool onesided = flag(n, "onesided");
    if (!in_shape(n, 0, &s)) {
        set_rank(m, n, 0, dtype, 4);
        return;
    }
    if (s.rank != 3) {
        node_error(m, n, OX0401, "", "the signal has rank %d, but 3 is needed", s.rank);
        return;
    }
    if (!check_pairs(m, n, &s, onesided))
        return;
    Shape y = {.rank = 4, .d = {s.d[0], {0}, {0}, dim_int(2)}};
    bool sized = frame_length(n, &s, &length);
    if (sized && get_dim(n, "frame_step", &step) && dim_is_int(step) && step.c > 0)
        y.d[1] = dim_add(ds, dim_int(1),
                         dim_floordiv(ds, dim_sub(ds, s.d[1], length), step));
    else
        y.d[1] = fresh_dim(m, n, 0, 1);
    if (!sized)
        y.d[2] = fresh_dim(m, n, 0, 2);
    else
        y.d[2] = onesided ? half_spectrum(m, length) : length;
    set_type(m, n, 0, dtype, &y);
}

static void emit_stft(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *window = node_in(n, 2) ? emit_in(e, 2) : NULL;
    const Expr *call =
        EX(a, "stft($0, $1$(, $2))", emit_in(e, 0), emit_ints(e, "frame_step"), window);
    if (!window)
        call = call_with(e, call, "length", emit_ints(e, "frame_length"));
    emit_out(e, 0, call_with(e, call, "onesided", ex_bool(a, flag(n, "onesided"))));
}

/* ---- windows, mel filters ---------------------------------------------------------- */

static DType output_type(Model *m, const Node *n) {
    DType dtype = dtype_from_onnx(attr_int(n, "output_datatype"));
    if (!dtype_is_float(dtype) && !dtype_is_int(dtype))
        node_error(m, n, OX0303, "", "output_datatype is no numeric type");
    return dtype;
}

static void infer_window(Model *m, Node *n) {
    Shape s = {.rank = 1};
    if (!get_dim(n, "size", &s.d[0]))
        s.d[0] = fresh_dim(m, n, 0, 0);
    set_type(m, n, 0, output_type(m, n), &s);
}

static const Expr *with_dtype(Emit *e, const Expr *call) {
    DType dtype = node_out(emit_node(e), 0)->type.dtype;
    return call_with(e, call, "dtype", emit_dtype(e, dtype));
}

static void emit_window(Emit *e, const char *helper) {
    Arena *a = emit_arena(e);
    const Expr *size = emit_ints(e, "size");
    const Expr *call = ex_call(a, ex_name(a, str_from(helper)), &size, 1);
    bool periodic = flag(emit_node(e), "periodic");
    call = call_with(e, call, "periodic", ex_bool(a, periodic));
    emit_out(e, 0, with_dtype(e, call));
}

static void emit_hann(Emit *e) {
    emit_window(e, "hann_window");
}

static void emit_hamming(Emit *e) {
    emit_window(e, "hamming_window");
}

static void emit_blackman(Emit *e) {
    emit_window(e, "blackman_window");
}

static void infer_mel(Model *m, Node *n) {
    Shape s = {.rank = 2};
    Dim length;
    bool known = get_dim(n, "dft_length", &length);
    s.d[0] = known ? half_spectrum(m, length) : fresh_dim(m, n, 0, 0);
    if (!get_dim(n, "num_mel_bins", &s.d[1]))
        s.d[1] = fresh_dim(m, n, 0, 1);
    set_type(m, n, 0, output_type(m, n), &s);
}

/* A float that Python must know. */
static const Expr *python_float(Emit *e, int i, const char *name) {
    double v;
    if (get_float(emit_node(e), name, &v))
        return emit_float(e, v, in_dtype(emit_node(e), i));
    emit_not_jittable(e, "computes its filters from numbers at run time");
    return EX(emit_arena(e), "float($0)", emit_in(e, i));
}

static void emit_mel(Emit *e) {
    const Expr *args[] = {
        emit_ints(e, "num_mel_bins"),
        emit_ints(e, "dft_length"),
        emit_ints(e, "sample_rate"),
        python_float(e, 3, "lower_edge_hertz"),
        python_float(e, 4, "upper_edge_hertz"),
    };
    Arena *a = emit_arena(e);
    const Expr *call = ex_call(a, ex_name(a, STR("mel_weights")), args, OX_COUNT(args));
    emit_out(e, 0, with_dtype(e, call));
}

static bool apart_dft(Model *m, const Node *n, const int *at, int out, int axis) {
    int64_t axis_of;
    if (!dft_axis(n, &axis_of))
        return false;
    axis_of += axis_of < 0 ? in_rank(n, 0) : 0;
    return axis != axis_of && apart_before_last(m, n, at, out, axis);
}

/* clang-format off */
#define WINDOW(op, callback)                                                           \
    {.name = (op), .since = 17, .in = "size", .out = "output", .fixed = "size",        \
     .attrs = {INT("output_datatype", 1), INT("periodic", 1)},                         \
     .infer = infer_window, .emit = (callback)}

static const OpDef ops[] = {
    {.name = "DFT", .since = 17, .until = 19, .in = "input dft_length?",
     .out = "output", .fixed = "dft_length",
     .attrs = {INT("axis", 1), INT("inverse", 0), INT("onesided", 0)},
     .apart = apart_dft, .infer = infer_dft, .emit = emit_dft},
    {.name = "DFT", .since = 20, .in = "input dft_length? axis?", .out = "output",
     .fixed = "dft_length axis", .attrs = {INT("inverse", 0), INT("onesided", 0)},
     .apart = apart_dft, .infer = infer_dft, .emit = emit_dft},
    {.name = "STFT", .since = 17, .in = "signal frame_step window? frame_length?",
     .out = "output", .fixed = "frame_step frame_length",
     .attrs = {INT("onesided", 1)}, .batch = "signal",
     .infer = infer_stft, .emit = emit_stft},
    WINDOW("HannWindow", emit_hann),
    WINDOW("HammingWindow", emit_hamming),
    WINDOW("BlackmanWindow", emit_blackman),
    {.name = "MelWeightMatrix", .since = 17,
     .in = "num_mel_bins dft_length sample_rate lower_edge_hertz upper_edge_hertz",
     .out = "output", .fixed = "num_mel_bins dft_length sample_rate",
     .facts = OP_OWN_TYPE,
     .attrs = {INT("output_datatype", 1)}, .infer = infer_mel, .emit = emit_mel},
};
/* clang-format on */

const OpFamily ops_signal = FAMILY(ops);
