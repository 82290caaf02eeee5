/* Sampling images at computed places, and the inverses of convolution and pooling.
 * Each becomes one call of a helper in python/lib/vision.py.
 * Source: ONNX operators GridSample, AffineGrid, DeformConv, Col2Im, MaxUnpool. */
#include "ops/core/apart.h"
#include "ops/onnx/window.h"

static const Expr *with_word(Emit *e, const Expr *call, const char *name, Str word) {
    return call_with(e, call, name, ex_str(emit_arena(e), word));
}

static const Expr *with_flag(Emit *e, const Expr *call, const char *name) {
    bool on = attr_int(emit_node(e), name) != 0;
    return call_with(e, call, name, ex_bool(emit_arena(e), on));
}

/* ---- GridSample -------------------------------------------------------------------- */

static void infer_grid_sample(Model *m, Node *n) {
    Shape x, grid;
    bool known = in_shape(n, 0, &x);
    if (!in_shape(n, 1, &grid)) {
        if (known)
            set_rank(m, n, 0, in_dtype(n, 0), x.rank);
        else
            set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    int rank = grid.rank;
    if (rank < 3 || (known && x.rank != rank) ||
        (dim_is_int(grid.d[rank - 1]) && grid.d[rank - 1].c != rank - 2)) {
        node_error(m, n, OX0401, "", "grid does not fit the spatial axes of X");
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    for (int i = rank - 1; i > 1; i--)
        grid.d[i] = grid.d[i - 1];
    grid.d[1] = known ? x.d[1] : fresh_dim(m, n, 0, 1);
    if (known)
        grid.d[0] = x.d[0];
    set_type(m, n, 0, in_dtype(n, 0), &grid);
}

static void emit_grid_sample(Emit *e) {
    const Node *n = emit_node(e);
    Str mode = attr_str(n, "mode");
    mode = str_starts(mode, STR("bi")) ? (Str){mode.p + 2, mode.n - 2} : mode;
    const Expr *call =
        EX(emit_arena(e), "grid_sample($0, $1)", emit_in(e, 0), emit_in(e, 1));
    call = with_word(e, call, "mode", mode);
    call = with_word(e, call, "padding", attr_str(n, "padding_mode"));
    emit_out(e, 0, with_flag(e, call, "align_corners"));
}

/* ---- AffineGrid -------------------------------------------------------------------- */

/* The grid's rank is that of size, but has the coordinates last. */
static void infer_affine_grid(Model *m, Node *n) {
    Shape size, s;
    int n_axes = -1;
    if (in_rank(n, 0) == 3 && dim_is_int(in_dim(n, 0, 1)))
        n_axes = dim_is(in_dim(n, 0, 1), 2) ? 2 : dim_is(in_dim(n, 0, 1), 3) ? 3 : 0;
    if (get_dims(n, "size", &size)) {
        n_axes = size.rank - 2;
    } else if (n_axes == 2 || n_axes == 3) {
        for (int i = 0; i < n_axes; i++)
            size.d[i + 2] = fresh_dim(m, n, 0, i + 1);
        size.d[0] = in_dim(n, 0, 0);
    }
    if (n_axes != 2 && n_axes != 3) {
        if (n_axes >= 0)
            node_error(m, n, OX0401, "", "grids have 2 or 3 axes");
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    s.rank = n_axes + 2;
    bool counted = in_rank(n, 0) == 3 && !dim_is_int(size.d[0]);
    s.d[0] = counted ? in_dim(n, 0, 0) : size.d[0];
    for (int i = 0; i < n_axes; i++)
        s.d[1 + i] = size.d[2 + i];
    s.d[n_axes + 1] = dim_int(n_axes);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_affine_grid(Emit *e) {
    const Expr *size = emit_ints(e, "size");
    const Expr *call = EX(emit_arena(e), "affine_grid($0, $1)", emit_in(e, 0), size);
    emit_out(e, 0, with_flag(e, call, "align_corners"));
}

/* ---- DeformConv -------------------------------------------------------------------- */

static void infer_deform_conv(Model *m, Node *n) {
    Window w;
    Shape s = {.rank = -1};
    if (window_read(m, n, &w) && window_slide(m, n, &w))
        window_shape(n, &w, in_rank(n, 1) > 0 ? in_dim(n, 1, 0) : fresh_dim(m, n, 0, 1),
                     &s);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static const Expr *with_groups(Emit *e, const Expr *call, const char *keyword,
                               const char *attr) {
    int64_t groups = attr_int(emit_node(e), attr);
    if (groups < 1)
        emit_fail(e, OX0303, "", "%s is %lld", attr, (long long)groups);
    return call_with(e, call, keyword, ex_int(emit_arena(e), groups));
}

static void emit_deform_conv(Emit *e) {
    Window w;
    if (in_rank(emit_node(e), 0) < 0)
        emit_fail(e, OX0403, "", "the rank of X is not known");
    if (!window_read(emit_model(e), emit_node(e), &w))
        return;
    const Expr *call = EX(emit_arena(e), "deform_conv($0, $1, $2$(, $3))",
                          emit_in(e, 0), emit_in(e, 1), emit_in(e, 2), emit_in(e, 3));
    call = call_with(e, call, "mask", emit_in(e, 4));
    call = call_with(e, call, "stride", window_ints(e, w.stride, w.n));
    call = call_with(e, call, "padding", window_padding(e, w.lo, w.hi, w.n));
    call = call_with(e, call, "dilation", window_ints(e, w.dilation, w.n));
    call = with_groups(e, call, "groups", "group");
    emit_out(e, 0, with_groups(e, call, "offset_groups", "offset_group"));
}

/* ---- Col2Im ------------------------------------------------------------------------ */

/* One entry for each axis, or two for pads. */
static void check_lists(Model *m, const Node *n, int axes) {
    static const char *const names[] = {"strides", "dilations", "pads"};
    for (int i = 0; i < 3; i++) {
        const Attr *a = attr_get(n, names[i]);
        size_t need = (size_t)axes * (i == 2 ? 2 : 1), count = a ? a->ints.count : 0;
        if (count && count != need)
            node_error(m, n, OX0401, "", "%s has %zu entries, but %zu are needed",
                       names[i], count, need);
        for (size_t k = 0; k < count; k++)
            if (a->ints.items[k] < (i == 2 ? 0 : 1) || a->ints.items[k] > INT32_MAX)
                node_error(m, n, OX0303, "", "%s[%zu] is %lld", names[i], k,
                           (long long)a->ints.items[k]);
    }
}

/* The number of axes of the image: every list has an entry for each.  -1: not known. */
static int64_t image_rank(const Node *n) {
    static const char *const inputs[] = {"image_shape", "block_shape"};
    static const char *const lists[] = {"dilations", "strides"};
    Ints v;
    for (int i = 0; i < 2; i++) {
        const Value *list = node_input(n, inputs[i]);
        if (list && list->type.rank == 1 && dim_is_int(list->type.dims[0]))
            return list->type.dims[0].c;
    }
    for (int i = 0; i < 2; i++)
        if (attr_ints(n, lists[i], &v))
            return (int64_t)v.n;
    return attr_ints(n, "pads", &v) ? (int64_t)v.n / 2 : -1;
}

static void infer_col2im(Model *m, Node *n) {
    Shape image, block, s;
    int64_t axes = image_rank(n);
    if (axes < 0 || axes > OX_MAX_RANK - 2) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    if (!get_dims(n, "image_shape", &image)) {
        image.rank = (int)axes;
        for (int i = 0; i < image.rank; i++)
            image.d[i] = fresh_dim(m, n, 0, 2 + i);
    }
    check_lists(m, n, image.rank);
    bool ranked = in_rank(n, 0) == 3, blocks = get_dims(n, "block_shape", &block);
    Dim size = dim_int(1);
    for (int i = 0; blocks && i < block.rank; i++)
        size = dim_mul(&m->dims, size, block.d[i]);
    s.rank = image.rank + 2;
    s.d[0] = ranked ? in_dim(n, 0, 0) : fresh_dim(m, n, 0, 0);
    if (!blocks || !ranked || dim_is(size, 0) ||
        !dim_divide(&m->dims, in_dim(n, 0, 1), size, &s.d[1]))
        s.d[1] = fresh_dim(m, n, 0, 1);
    for (int i = 0; i < image.rank; i++)
        s.d[2 + i] = image.d[i];
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* The ints of an attribute, for as many axes as it has. */
static const Expr *with_ints(Emit *e, const Expr *call, const char *keyword,
                             const char *attr) {
    Ints v = {0};
    if (!attr_ints(emit_node(e), attr, &v) || v.n == 0)
        return call;
    return call_with(e, call, keyword, window_ints(e, v.v, (int)v.n));
}

static const Expr *with_pads(Emit *e, const Expr *call) {
    Ints v = {0};
    Dim lo[OX_MAX_RANK], hi[OX_MAX_RANK];
    if (!attr_ints(emit_node(e), "pads", &v) || v.n == 0)
        return call;
    int count = (int)v.n / 2;
    for (int i = 0; i < count; i++) {
        lo[i] = dim_int(v.v[i]);
        hi[i] = dim_int(v.v[count + i]);
    }
    return call_with(e, call, "padding",
                     count ? window_padding(e, lo, hi, count) : NULL);
}

static void emit_col2im(Emit *e) {
    const Expr *image = emit_ints(e, "image_shape"),
               *block = emit_ints(e, "block_shape");
    const Expr *call =
        EX(emit_arena(e), "col2im($0, $1, $2)", emit_in(e, 0), image, block);
    call = with_ints(e, call, "stride", "strides");
    call = with_pads(e, call);
    emit_out(e, 0, with_ints(e, call, "dilation", "dilations"));
}

/* ---- MaxUnpool --------------------------------------------------------------------- */

/* (in - 1) * stride - pads + kernel */
static Dim unpooled(Dims *ds, const Window *w, int i) {
    Dim steps = dim_sub(ds, w->in[i], dim_int(1));
    Dim size = dim_mul(ds, steps, dim_int(w->stride[i]));
    size = dim_add(ds, size, w->kernel[i]);
    return dim_sub(ds, dim_sub(ds, size, w->lo[i]), w->hi[i]);
}

static void infer_max_unpool(Model *m, Node *n) {
    Window w;
    Shape s = {.rank = -1};
    bool read = window_read(m, n, &w), given = node_input(n, "output_shape") != NULL;
    if (given && !get_dims(n, "output_shape", &s) && read) {
        set_rank(m, n, 0, in_dtype(n, 0), w.n + 2);
        return;
    }
    if (read && s.rank >= 0 && s.rank != w.n + 2) {
        node_error(m, n, OX0401, "", "output_shape has %d entries for rank %d", s.rank,
                   w.n + 2);
        s.rank = -1;
    }
    if (read && !given) {
        for (int i = 0; i < w.n; i++)
            w.out[i] = unpooled(&m->dims, &w, i);
        window_shape(n, &w, in_dim(n, 0, 1), &s);
    }
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void emit_max_unpool(Emit *e) {
    Window w;
    if (in_rank(emit_node(e), 0) < 0)
        emit_fail(e, OX0403, "", "the rank of X is not known");
    if (!window_read(emit_model(e), emit_node(e), &w))
        return;
    const Expr *shape = emit_ints(e, "output_shape");
    int64_t kernel[OX_MAX_RANK];
    for (int i = 0; i < w.n; i++)
        kernel[i] = w.kernel[i].c;
    const Expr *call =
        EX(emit_arena(e), "max_unpool($0, $1, $2)", emit_in(e, 0), emit_in(e, 1),
           ex_ints(emit_arena(e), EX_TUPLE, kernel, (size_t)w.n));
    call = call_with(e, call, "stride", window_ints(e, w.stride, w.n));
    call = call_with(e, call, "padding", window_padding(e, w.lo, w.hi, w.n));
    emit_out(e, 0, call_with(e, call, "shape", shape));
}

static bool apart_affine_grid(Model *m, const Node *n, const int *at, int out,
                              int axis) {
    (void)m;
    (void)out;
    (void)n;
    return axis == 0 && at[0] == 0 && at[1] < 0;
}

/* ---- table ------------------------------------------------------------------------- */

/* clang-format off */
/* Names of all versions in each: exporters mix them. */
#define SAMPLING(mode)                                                                 \
    SUPPORTED("mode", mode, "linear bilinear cubic bicubic nearest"),                  \
    SUPPORTED("padding_mode", "zeros", "zeros border reflection")
static const OpDef ops[] = {
    {.name = "GridSample", .since = 16, .until = 19, .in = "X grid", .out = "Y",
     .mixes = "grid",
     .attrs = {INT("align_corners", 0), SAMPLING("bilinear")},
     .batch = "X grid", .infer = infer_grid_sample, .emit = emit_grid_sample},
    {.name = "GridSample", .since = 20, .in = "X grid", .out = "Y",
     .mixes = "grid",
     .attrs = {INT("align_corners", 0), SAMPLING("linear")},
     .batch = "X grid", .infer = infer_grid_sample, .emit = emit_grid_sample},
    {.name = "GridSample", MICROSOFT, .in = "X Grid", .out = "Y",
     .attrs = {INT("align_corners", 0), SAMPLING("bilinear")},
     .infer = infer_grid_sample, .emit = emit_grid_sample},
    {.name = "AffineGrid", .since = 20, .in = "theta size", .out = "grid",
     .fixed = "size", .attrs = {INT("align_corners", 0)},
     .apart = apart_affine_grid, .infer = infer_affine_grid, .emit = emit_affine_grid},
    {.name = "DeformConv", .since = 19, .in = "X W offset B? mask?", .out = "Y",
     .attrs = {INTS_OPT("dilations"), INT("group", 1), INTS_OPT("kernel_shape"),
               INT("offset_group", 1), INTS_OPT("pads"), INTS_OPT("strides")},
     .facts = OP_CONTRACTS, .batch = "X offset mask",
     .infer = infer_deform_conv, .emit = emit_deform_conv},
    {.name = "Col2Im", .since = 18, .in = "input image_shape block_shape",
     .out = "output", .fixed = "image_shape block_shape",
     .attrs = {INTS_OPT("dilations"), INTS_OPT("pads"), INTS_OPT("strides")},
     .batch = "input", .infer = infer_col2im, .emit = emit_col2im},
    {.name = "MaxUnpool", .since = 9, .in = "X I output_shape?", .out = "output",
     .fixed = "output_shape",
     .attrs = {INTS_REQ("kernel_shape"), INTS_OPT("pads"), INTS_OPT("strides")},
     .infer = infer_max_unpool, .emit = emit_max_unpool},
};
/* clang-format on */

const OpFamily ops_vision = FAMILY(ops);
