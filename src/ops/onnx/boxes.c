/* Regions of interest and boxes: RoiAlign, MaxRoiPool, NonMaxSuppression.
 * Each becomes one call of a helper in python/lib/vision.py.
 * Source: the ONNX operators; onnxruntime for the rounding of MaxRoiPool. */
#include "ops/core/padded.h"
#include "ops/onnx/window.h"

/* (rois, channels of X, height, width) */
static void set_cells(Model *m, Node *n, const int64_t *size) {
    int x = in_rank(n, 0), rois = in_rank(n, 1);
    Shape s = {.rank = 4};
    if (x >= 0 && x != 4)
        node_error(m, n, OX0401, "", "X has rank %d, but (N, C, H, W) is needed", x);
    if (rois >= 0 && rois != 2)
        node_error(m, n, OX0401, "", "rois has rank %d, but 2 is needed", rois);
    if (rois == 2)
        s.d[0] = in_dim(n, 1, 0);
    else /* batch_indices */
        s.d[0] = in_rank(n, 2) == 1 ? in_dim(n, 2, 0) : fresh_dim(m, n, 0, 0);
    s.d[1] = x == 4 ? in_dim(n, 0, 1) : fresh_dim(m, n, 0, 1);
    for (int i = 0; i < 2; i++) {
        if (size[i] < 1 || size[i] > INT32_MAX)
            node_error(m, n, OX0303, "", "output size %lld", (long long)size[i]);
        s.d[2 + i] = dim_int(size[i]);
    }
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static const Expr *with_scale(Emit *e, const Expr *call) {
    double scale = attr_float(emit_node(e), "spatial_scale");
    return call_with(e, call, "scale", emit_float(e, scale, DT_FLOAT));
}

/* ---- RoiAlign ---------------------------------------------------------------------- */

static void infer_roi_align(Model *m, Node *n) {
    set_cells(m, n,
              (int64_t[]){attr_int(n, "output_height"), attr_int(n, "output_width")});
}

/* Version 10 has no such attribute and does not shift. */
static bool is_half_pixel(const Node *n) {
    const char *name = "coordinate_transformation_mode";
    return op_attr(n->op, str_from(name)) && attr_is(n, name, "half_pixel");
}

static void emit_roi_align(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t samples = attr_int(n, "sampling_ratio");
    if (samples <= 0)
        emit_not_jittable(e, "takes as many samples as the boxes are large");
    const Expr *size = emit_template(e, "($output_height, $output_width)");
    const Expr *call = EX(a, "roi_align($0, $1, $2, $3)", emit_in(e, 0), emit_in(e, 1),
                          emit_in(e, 2), size);
    call = call_with(e, call, "samples", ex_int(a, samples > 0 ? samples : 0));
    call = with_scale(e, call);
    call = call_with(e, call, "mode", ex_str(a, attr_str(n, "mode")));
    call = call_with(e, call, "half_pixel", ex_bool(a, is_half_pixel(n)));
    emit_out(e, 0, call);
}

/* ---- MaxRoiPool -------------------------------------------------------------------- */

static void infer_max_roi_pool(Model *m, Node *n) {
    Ints size = {0};
    if (!attr_ints(n, "pooled_shape", &size) || size.n != 2) {
        node_error(m, n, OX0303, "", "pooled_shape needs 2 entries");
        set_rank(m, n, 0, in_dtype(n, 0), 4);
        return;
    }
    set_cells(m, n, size.v);
}

static void emit_max_roi_pool(Emit *e) {
    const Expr *call = emit_template(e, "max_roi_pool($X, $rois, $pooled_shape)");
    emit_out(e, 0, with_scale(e, call));
}

/* ---- NonMaxSuppression ------------------------------------------------------------- */

static void infer_suppression(Model *m, Node *n) {
    Shape s = {.rank = 2};
    s.d[0] = data_dim(m, n, 0, 0);
    s.d[1] = dim_int(3);
    set_type(m, n, 0, DT_INT64, &s);
}

/* A threshold as a number where it is known; NULL when absent. */
static const Expr *threshold(Emit *e, const char *name, int input) {
    double value;
    const Value *v = node_in(emit_node(e), input);
    if (!v || (v->type.rank == 1 && dim_is(v->type.dims[0], 0)))
        return NULL;
    return get_float(emit_node(e), name, &value) ? emit_float(e, value, DT_FLOAT)
                                                 : emit_in(e, input);
}

/* How many boxes at most; 0 when absent. */
static const Expr *limit(Emit *e) {
    Ints count = {0};
    const Node *n = emit_node(e);
    const Value *v = node_in(n, 2);
    if (!v || (get_ints(n, "max_output_boxes_per_class", &count) && count.n == 0))
        return ex_int(emit_arena(e), 0);
    if (count.n == 1)
        return ex_int(emit_arena(e), count.v[0]);
    if (n->bound)
        emit_not_jittable(e, "needs max_output_boxes_per_class at run time");
    return EX(emit_arena(e), "$0.item()", emit_in(e, 2));
}

static void emit_suppression(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *count = limit(e);
    const Expr *call =
        EX(a, "non_max_suppression($0, $1, $2)", emit_in(e, 0), emit_in(e, 1), count);
    call = call_with(e, call, "iou_threshold", threshold(e, "iou_threshold", 3));
    call = call_with(e, call, "score_threshold", threshold(e, "score_threshold", 4));
    bool centered = attr_int(emit_node(e), "center_point_box") != 0;
    call = call_with(e, call, "centered", ex_bool(a, centered));
    emit_out(e, 0, call_with(e, call, "size", emit_bound(e)));
}

/* ---- table ------------------------------------------------------------------------- */

/* clang-format off */
#define ROI_ATTRS                                                                      \
    SUPPORTED("mode", "avg", "avg max"), INT("output_height", 1),                      \
    INT("output_width", 1),                                                            \
    INT("sampling_ratio", 0), FLOAT("spatial_scale", 1)

static const OpDef ops[] = {
    {.name = "RoiAlign", .since = 10, .until = 15, .in = "X rois batch_indices",
     .out = "Y", .mixes = "rois", .attrs = {ROI_ATTRS},
     .infer = infer_roi_align, .emit = emit_roi_align},
    {.name = "RoiAlign", .since = 16, .in = "X rois batch_indices", .out = "Y",
     .mixes = "rois",
     .attrs = {SUPPORTED("coordinate_transformation_mode", "half_pixel",
                         "half_pixel output_half_pixel"), ROI_ATTRS},
     .infer = infer_roi_align, .emit = emit_roi_align},
    {.name = "MaxRoiPool", .since = 1, .in = "X rois", .out = "Y",
     .attrs = {INTS_REQ("pooled_shape"), FLOAT("spatial_scale", 1)},
     .infer = infer_max_roi_pool, .emit = emit_max_roi_pool},
    {.name = "NonMaxSuppression", .since = 10,
     .in = "boxes scores max_output_boxes_per_class? iou_threshold? score_threshold?",
     .out = "selected_indices",
     .padding = "rows of -1", .count = "SuppressionCount", .attrs = {INT("center_point_box", 0)},
     .infer = infer_suppression, .emit = emit_suppression},
    {.name = "SuppressionCount", .domain = OP_INTERNAL, .since = 1,
     .in = "selected_indices", .out = "count", .infer = infer_entry_count,
     .jax = "jnp.count_nonzero($selected_indices[:, 0] >= 0)"},
};
/* clang-format on */

const OpFamily ops_boxes = FAMILY(ops);
