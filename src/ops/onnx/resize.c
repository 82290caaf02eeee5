/* Resize and Upsample.  Whole factors of nearest neighbors become upsample_nearest, all
 * else resize of python/lib/resize.py, which derives weights from shapes while tracing.
 * Source: the ONNX operators; sizes are rounded in float32 as ONNX shape inference does;
 * onnxruntime for the coordinates and rounding of the versions before 11, where the text
 * is silent. */
#include "ops/core/apart.h"
#include "ops/onnx/window.h"

#include <math.h>

/* The axes that sizes, scales and roi speak of, in that order, and what they say. */
typedef struct Resize {
    int rank, count; /* of X; of the axes below */
    int axis[OX_MAX_RANK];
    bool scaled;               /* by scales, not to sizes */
    bool known;                /* the numbers below are */
    double scale[OX_MAX_RANK]; /* scaled: exact float32 numbers */
    Dim in[OX_MAX_RANK], out[OX_MAX_RANK];
} Resize;

/* ---- reading ----------------------------------------------------------------------- */

static bool transform_is(const Node *n, const char *text) {
    const char *name = "coordinate_transformation_mode";
    return op_attr(n->op, str_from(name)) && attr_is(n, name, text);
}

static bool keeps_aspect(const Node *n) {
    return op_attr(n->op, STR("keep_aspect_ratio_policy")) &&
           !attr_is(n, "keep_aspect_ratio_policy", "stretch");
}

/* Not all versions have scales or sizes, and one has scales as an attribute. */
static const Value *sizing_input(const Node *n, const char *name) {
    return node_has(n, name) ? node_input(n, name) : NULL;
}

/* An input that is there but empty counts as absent. */
static bool is_given(const Node *n, const char *name) {
    const Value *v = sizing_input(n, name);
    return v && !(v->type.rank == 1 && dim_is(v->type.dims[0], 0));
}

static bool read_axes(Model *m, const Node *n, Resize *r) {
    Ints axes;
    bool listed = op_attr(n->op, STR("axes")) && attr_ints(n, "axes", &axes);
    r->count = listed ? (int)axes.n : r->rank;
    if (r->count > r->rank) {
        node_error(m, n, OX0401, "", "%d axes for rank %d", r->count, r->rank);
        return false;
    }
    for (int i = 0; i < r->count; i++) {
        r->axis[i] = i;
        if (listed && !fix_axis(m, n, axes.v[i], r->rank, &r->axis[i]))
            return false;
        for (int k = 0; k < i; k++)
            if (r->axis[k] == r->axis[i]) {
                node_error(m, n, OX0401, "", "axes has %d twice", r->axis[i]);
                return false;
            }
        r->in[i] = in_dim(n, 0, r->axis[i]);
    }
    return true;
}

static bool wrong_count(Model *m, const Node *n, const char *name, size_t count) {
    node_error(m, n, OX0401, "", "%s has %zu entries, which does not fit the axes of X",
               name, count);
    return false;
}

/* scales as attribute of Upsample 7, or height_scale and width_scale of Upsample 1. */
static bool read_scale_attrs(Model *m, const Node *n, Resize *r) {
    const Attr *scales = attr_find(n, "scales");
    if (!scales) {
        if (r->rank != 4)
            return wrong_count(m, n, "scales", 4);
        r->scale[0] = r->scale[1] = 1;
        r->scale[2] = attr_float(n, "height_scale");
        r->scale[3] = attr_float(n, "width_scale");
        return true;
    }
    if (scales->floats.count != (size_t)r->count)
        return wrong_count(m, n, "scales", scales->floats.count);
    for (int i = 0; i < r->count; i++)
        r->scale[i] = (double)scales->floats.items[i];
    return true;
}

/* What the file says; scales and boxes may be parameters by the look of their names. */
static const Known *elements_of(Model *m, const Value *v) {
    bool param = v && !v->known && v->kind == VALUE_PARAM && v->tensor;
    return param ? known_from_tensor(m, v->tensor) : v ? v->known : NULL;
}

static bool read_scales(Model *m, const Node *n, Resize *r) {
    const Value *v = sizing_input(n, "scales");
    const Known *k = elements_of(m, v);
    if (v && !k)
        return true;
    if (k && (k->n != (size_t)r->count || !k->floats))
        return wrong_count(m, n, "scales", k->n);
    if (!k && !read_scale_attrs(m, n, r))
        return false;
    for (int i = 0; i < r->count; i++) {
        if (k)
            r->scale[i] = k->floats[i];
        if (!(r->scale[i] > 0) || r->scale[i] > INT32_MAX) {
            node_error(m, n, OX0401, "", "a scale is %g", r->scale[i]);
            return false;
        }
    }
    r->known = true;
    return true;
}

static bool read_sizes(Model *m, const Node *n, Resize *r) {
    Shape sizes;
    if (!get_dims(n, "sizes", &sizes))
        return true;
    if (sizes.rank != r->count)
        return wrong_count(m, n, "sizes", (size_t)sizes.rank);
    for (int i = 0; i < r->count; i++) {
        r->out[i] = sizes.d[i];
        if (dim_is_int(sizes.d[i]) && sizes.d[i].c < 0) {
            node_error(m, n, OX0401, "", "a size is %lld", (long long)sizes.d[i].c);
            return false;
        }
    }
    r->known = true;
    return true;
}

/* false when the rank of X is not known, or after an error. */
static bool read_resize(Model *m, const Node *n, Resize *r) {
    *r = (Resize){.rank = in_rank(n, 0)};
    if (r->rank < 0 || !read_axes(m, n, r))
        return false;
    bool sized = is_given(n, "sizes");
    r->scaled = !sized && (is_given(n, "scales") || !sizing_input(n, "scales"));
    if (!sized && n->op->since >= 11 && !is_given(n, "scales")) {
        node_error(m, n, OX0401, "", "neither scales nor sizes is given");
        return false;
    }
    return sized ? read_sizes(m, n, r) : read_scales(m, n, r);
}

/* ---- inference --------------------------------------------------------------------- */

/* floor(in * scale); false when that is no polynomial of the symbols. */
static bool scale_dim(Dims *ds, Dim in, double scale, Dim *out) {
    if (dim_is_int(in)) {
        float product = (float)in.c * (float)scale;
        *out = dim_int(product < 9e18F ? (int64_t)product : 0);
        return product < 9e18F;
    }
    if (scale == floor(scale))
        *out = dim_mul(ds, in, dim_int((int64_t)scale));
    else if (1 / scale == floor(1 / scale) && 1 / scale <= 4096)
        *out = dim_floordiv(ds, in, dim_int((int64_t)(1 / scale)));
    else
        return false;
    return true;
}

/* The one scale that keeps the aspect, from sizes that are integers. */
static bool scale_to_fit(const Node *n, const Resize *r, double *scale) {
    bool smaller = attr_is(n, "keep_aspect_ratio_policy", "not_larger");
    for (int i = 0; i < r->count; i++) {
        if (!dim_is_int(r->in[i]) || !dim_is_int(r->out[i]) || r->in[i].c == 0)
            return false;
        double own = (double)r->out[i].c / (double)r->in[i].c;
        if (i == 0 || (smaller ? own < *scale : own > *scale))
            *scale = own;
    }
    for (int i = 0; i < r->count; i++)
        if (*scale * (double)r->in[i].c >= 9e18)
            return false;
    return true;
}

static void infer_resize(Model *m, Node *n) {
    Shape s;
    Resize r;
    double scale = 0;
    in_shape(n, 0, &s);
    bool read = read_resize(m, n, &r), aspect = read && !r.scaled && keeps_aspect(n);
    bool fits = aspect && r.known && scale_to_fit(n, &r, &scale);
    for (int i = 0; read && i < r.count; i++) {
        Dim *out = &s.d[r.axis[i]];
        bool done = r.known;
        if (r.scaled)
            done = done && scale_dim(&m->dims, r.in[i], r.scale[i], out);
        else if (aspect && (done = fits))
            *out = dim_int((int64_t)(scale * (double)r.in[i].c + 0.5));
        else if (done)
            *out = r.out[i];
        if (!done)
            *out = fresh_dim(m, n, 0, r.axis[i]);
    }
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* ---- emission ---------------------------------------------------------------------- */

/* Upsample says bilinear in its first version. */
static Str mode_of(const Node *n) {
    Str mode = attr_str(n, "mode");
    return str_is(mode, "bilinear") ? STR("linear") : mode;
}

/* Elements of the axis stay what they are. */
static bool is_same_axis(const Node *n, const Resize *r, int i) {
    if (!r->known || keeps_aspect(n) || transform_is(n, "tf_crop_and_resize"))
        return false;
    return r->scaled ? r->scale[i] == 1 : dim_eq(r->in[i], r->out[i]);
}

static void drop_same_axes(const Node *n, Resize *r) {
    int kept = 0;
    for (int i = 0; i < r->count; i++) {
        if (is_same_axis(n, r, i))
            continue;
        r->axis[kept] = r->axis[i];
        r->scale[kept] = r->scale[i];
        r->in[kept] = r->in[i];
        r->out[kept++] = r->out[i];
    }
    r->count = kept;
}

/* Nearest neighbors are repeated when each axis grows by a whole factor and positions
 * are rounded such that i goes to floor(i / factor). */
static bool repeats(const Node *n, const Resize *r) {
    if (!r->known || !r->scaled || r->rank < 3 || r->count != r->rank - 2)
        return false;
    bool even = n->op->since < 11 || strcmp(n->op->name, "Upsample") == 0;
    if (!even && transform_is(n, "asymmetric"))
        even = attr_is(n, "nearest_mode", "floor");
    else if (!even &&
             (transform_is(n, "half_pixel") || transform_is(n, "half_pixel_symmetric")))
        even = attr_is(n, "nearest_mode", "round_prefer_floor") ||
               attr_is(n, "nearest_mode", "round_prefer_ceil");
    for (int i = 0; i < r->count; i++)
        even = even && r->axis[i] == 2 + i && r->scale[i] == floor(r->scale[i]);
    return even;
}

static void emit_repeat(Emit *e, const Resize *r) {
    int64_t times[OX_MAX_RANK];
    for (int i = 0; i < r->count; i++)
        times[i] = (int64_t)r->scale[i];
    emit_out(e, 0,
             EX(emit_arena(e), "upsample_nearest($0, $1)", emit_in(e, 0),
                window_ints(e, times, r->count)));
}

/* sizes or scales as a tuple. */
static const Expr *targets(Emit *e, const Resize *r) {
    Arena *a = emit_arena(e);
    const Expr *items[OX_MAX_RANK];
    if (!r->known && !r->scaled)
        return emit_list(e, "sizes");
    if (!r->known) {
        emit_not_jittable(e, "needs run-time values as scales");
        return EX(a, "tuple($0.tolist())",
                  emit_in(e, op_input_index(emit_node(e)->op, STR("scales"))));
    }
    for (int i = 0; i < r->count; i++)
        items[i] =
            r->scaled ? emit_float(e, r->scale[i], DT_FLOAT) : emit_dim(e, r->out[i]);
    return ex_seq(a, EX_TUPLE, items, (size_t)r->count);
}

/* NULL when they are the last ones. */
static const Expr *axes_of(Emit *e, const Resize *r) {
    int64_t axes[OX_MAX_RANK];
    bool last = true;
    for (int i = 0; i < r->count; i++) {
        axes[i] = r->axis[i];
        last = last && r->axis[i] == r->rank - r->count + i;
    }
    return last ? NULL : ex_ints(emit_arena(e), EX_TUPLE, axes, (size_t)r->count);
}

/* attribute=value as keyword, unless the operator lacks it. */
static const Expr *with_option(Emit *e, const Expr *call, const char *keyword,
                               const char *attr) {
    const Node *n = emit_node(e);
    if (!op_attr(n->op, str_from(attr)))
        return call;
    return call_with(e, call, keyword, ex_str(emit_arena(e), attr_str(n, attr)));
}

static const Expr *with_flag(Emit *e, const Expr *call, const char *name) {
    const Node *n = emit_node(e);
    bool on = op_attr(n->op, str_from(name)) && attr_int(n, name) != 0;
    return call_with(e, call, name, ex_bool(emit_arena(e), on));
}

/* The length that align_corners takes for a resized axis is the whole number in PyTorch
 * and onnxruntime, but scale * n in onnx.reference and ONNX's own cases.  Files of
 * exporters hold their scales and mean the former; for scales that only a caller knows
 * there is no word but ONNX's. */
static const Expr *with_coordinates(Emit *e, const Expr *call, const Resize *r,
                                    bool nearest) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (!r->known && r->scaled && transform_is(n, "align_corners"))
        call = call_with(e, call, "coordinates",
                         ex_str(a, STR("align_unrounded_corners")));
    else if (n->op->since >= 11)
        call = with_option(e, call, "coordinates", "coordinate_transformation_mode");
    if (n->op->since >= 11)
        return nearest ? with_option(e, call, "rounding", "nearest_mode") : call;
    call = call_with(e, call, "coordinates", ex_str(a, STR("asymmetric")));
    return call_with(e, call, "rounding", nearest ? ex_str(a, STR("before_11")) : NULL);
}

static const Expr *with_crop(Emit *e, const Expr *call, const Resize *r) {
    Node *n = emit_node(e);
    if (!transform_is(n, "tf_crop_and_resize"))
        return call;
    const Value *roi = node_input(n, "roi");
    if (!roi || r->scaled) {
        emit_fail(e, OX0302, "give roi and sizes",
                  "tf_crop_and_resize needs roi and sizes: readings of scales differ");
        return call;
    }
    const Known *k = elements_of(emit_model(e), roi);
    const Expr *box = k ? NULL : emit_in_named(e, 1), *items[2 * OX_MAX_RANK];
    for (size_t i = 0; k && k->floats && i < k->n && i < OX_COUNT(items); i++)
        items[i] = emit_float(e, k->floats[i], DT_FLOAT);
    if (k)
        box = ex_seq(emit_arena(e), EX_TUPLE, items,
                     k->floats && k->n < OX_COUNT(items) ? k->n : 0);
    if (k && k->n != 2 * (size_t)r->count)
        emit_fail(e, OX0401, "", "roi has %zu entries for %d axes", k->n, r->count);
    double fill = attr_float(n, "extrapolation_value");
    call = call_with(e, call, "box", box);
    return call_with(e, call, "fill", emit_float(e, fill, DT_FLOAT));
}

static const Expr *with_filter(Emit *e, const Expr *call, Str mode) {
    const Node *n = emit_node(e);
    bool cubic = str_is(mode, "cubic");
    if (cubic && n->op->since >= 11)
        call = call_with(e, call, "cubic",
                         emit_float(e, attr_float(n, "cubic_coeff_a"), DT_FLOAT));
    return with_flag(e, with_flag(e, call, "antialias"), "exclude_outside");
}

static void emit_resize(Emit *e) {
    Arena *a = emit_arena(e);
    Node *n = emit_node(e);
    Resize r;
    Str mode = mode_of(n);
    if (in_rank(n, 0) < 0) {
        emit_fail(e, OX0403, "give the shape of X with --shape",
                  "the rank of X is not known");
        return;
    }
    if (!read_resize(emit_model(e), n, &r))
        return;
    bool nearest = str_is(mode, "nearest");
    drop_same_axes(n, &r);
    if (r.count == 0) {
        emit_out(e, 0, emit_in(e, 0));
        return;
    }
    if (nearest && repeats(n, &r)) {
        emit_repeat(e, &r);
        return;
    }
    const Expr *call = EX(a, "resize($0)", emit_in(e, 0));
    call = call_with(e, call, r.scaled ? "scales" : "sizes", targets(e, &r));
    call = call_with(e, call, "axes", axes_of(e, &r));
    call = call_with(e, call, "mode", ex_str(a, mode));
    call = with_coordinates(e, call, &r, nearest);
    if (!nearest)
        call = with_filter(e, call, mode);
    if (!r.scaled)
        call = with_option(e, call, "keep_aspect", "keep_aspect_ratio_policy");
    emit_out(e, 0, with_crop(e, call, &r));
}

/* A scale of 1 is no change: the reader compares sizes.  A region of interest is one. */
static bool apart_resize(Model *m, const Node *n, const int *at, int out, int axis) {
    bool crops = op_attr(n->op, STR("coordinate_transformation_mode")) &&
                 attr_is(n, "coordinate_transformation_mode", "tf_crop_and_resize");
    bool ok = at[0] == axis && !crops;
    (void)m;
    (void)out;
    for (int k = 1; ok && k < (int)n->n_in; k++)
        ok = at[k] < 0;
    return ok;
}

/* ---- table ------------------------------------------------------------------------- */

/* clang-format off */
#define MODE SUPPORTED("mode", "nearest", "nearest linear bilinear cubic")
#define RESIZE_11                                                                      \
    SUPPORTED("coordinate_transformation_mode", "half_pixel",                          \
              "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners "      \
              "asymmetric tf_half_pixel_for_nn tf_crop_and_resize"),                   \
    FLOAT("cubic_coeff_a", -0.75), INT("exclude_outside", 0),                          \
    FLOAT("extrapolation_value", 0), MODE,                                             \
    SUPPORTED("nearest_mode", "round_prefer_floor",                                    \
              "round_prefer_floor round_prefer_ceil floor ceil")

static const OpDef ops[] = {
    {.name = "Resize", .since = 10, .until = 10, .in = "X scales", .out = "Y",
     .fixed = "scales", .attrs = {MODE}, .apart = apart_resize,
     .infer = infer_resize, .emit = emit_resize},
    {.name = "Resize", .since = 11, .until = 12, .in = "X roi scales sizes?", .out = "Y",
     .fixed = "scales sizes", .attrs = {RESIZE_11},
     .apart = apart_resize, .infer = infer_resize, .emit = emit_resize},
    {.name = "Resize", .since = 13, .until = 17, .in = "X roi? scales? sizes?",
     .out = "Y", .fixed = "scales sizes", .attrs = {RESIZE_11},
     .apart = apart_resize, .infer = infer_resize, .emit = emit_resize},
    {.name = "Resize", .since = 18, .in = "X roi? scales? sizes?", .out = "Y",
     .fixed = "scales sizes",
     .attrs = {INT("antialias", 0), INTS_OPT("axes"), RESIZE_11,
               SUPPORTED("keep_aspect_ratio_policy", "stretch",
                         "stretch not_larger not_smaller")},
     .apart = apart_resize, .infer = infer_resize, .emit = emit_resize},

    {.name = "Upsample", .since = 1, .until = 6, .in = "X", .out = "Y",
     .attrs = {FLOAT_REQ("height_scale"), MODE, FLOAT_REQ("width_scale")},
     .apart = apart_resize, .infer = infer_resize, .emit = emit_resize},
    {.name = "Upsample", .since = 7, .until = 8, .in = "X", .out = "Y",
     .attrs = {MODE, ANY_REQ("scales", ATTR_FLOATS)},
     .apart = apart_resize, .infer = infer_resize, .emit = emit_resize},
    {.name = "Upsample", .since = 9, .until = 10, .in = "X scales", .out = "Y",
     .fixed = "scales", .attrs = {MODE}, .apart = apart_resize,
     .infer = infer_resize, .emit = emit_resize},
};
/* clang-format on */

const OpFamily ops_resize = FAMILY(ops);
