/* Writing elements by index, as x.at[...].set and its relatives.
 * Source: ONNX operators ScatterElements, Scatter (its first name), ScatterND,
 * TensorScatter. */
#include "ops/core/apart.h"
#include "ops/core/layout.h"

/* ---- inference: JAX would broadcast updates that do not fit ------------------------ */

static void check_updates(Model *m, const Node *n, const Shape *expected) {
    Shape updates;
    if (!in_shape(n, 2, &updates))
        return;
    bool fits = updates.rank == expected->rank;
    for (int i = 0; fits && i < updates.rank; i++)
        fits = dim_known_eq(&m->dims, updates.d[i], expected->d[i]) != 0;
    if (!fits)
        node_error(m, n, OX0401, "",
                   "updates do not have the shape that indices ask for");
}

static void infer_scatter_elements(Model *m, Node *n) {
    Shape indices;
    if (in_shape(n, 1, &indices)) {
        check_updates(m, n, &indices);
        if (in_rank(n, 0) >= 0 && in_rank(n, 0) != indices.rank)
            node_error(m, n, OX0401, "", "indices have rank %d, data has %d",
                       indices.rank, in_rank(n, 0));
    }
    infer_same(m, n);
}

/* One update for each tuple of indices, of the axes of data that no index picks. */
static void infer_scatter_nd(Model *m, Node *n) {
    Shape s, data;
    if (in_shape(n, 1, &s) && in_shape(n, 0, &data) && s.rank > 0) {
        Dim length = s.d[--s.rank];
        bool fits = dim_is_int(length) && length.c >= 0 && length.c <= data.rank &&
                    s.rank + data.rank - length.c <= OX_MAX_RANK;
        for (int i = fits ? (int)length.c : data.rank; i < data.rank; i++)
            s.d[s.rank++] = data.d[i];
        if (fits)
            check_updates(m, n, &s);
    }
    infer_same(m, n);
}

/* ---- emission ---------------------------------------------------------------------- */

/* The method of x.at[...] for the attribute reduction; the first versions lack it. */
static const char *reduction_method(const Node *n) {
    static const char *const names[][2] = {
        {"add", "add"}, {"mul", "multiply"}, {"max", "max"}, {"min", "min"}};
    bool reduces = op_attr(n->op, STR("reduction")) != NULL;
    for (size_t i = 0; reduces && i < OX_COUNT(names); i++)
        if (attr_is(n, "reduction", names[i][0]))
            return names[i][1];
    return "set";
}

static void emit_scatter_elements(Emit *e) {
    Arena *a = emit_arena(e);
    int64_t axis = attr_int(emit_node(e), "axis");
    const char *method = reduction_method(emit_node(e));
    const Expr *reduce = strcmp(method, "set") ? ex_str(a, str_from(method)) : NULL;
    emit_out(e, 0,
             EX(a, "scatter_elements($0, $1, $2$(, axis=$3)$(, method=$4))",
                emit_in(e, 0), emit_in(e, 1), emit_in(e, 2),
                axis ? ex_int(a, axis) : NULL, reduce));
}

static void emit_scatter_nd(Emit *e) {
    Arena *a = emit_arena(e);
    const char *method = reduction_method(emit_node(e));
    const Expr *at = ex_attribute(a, emit_in(e, 0), STR("at"));
    const Expr *place = emit_tuple_index(e, at, 1);
    if (!place)
        place = EX(a, "$0[tuple(jnp.moveaxis($1, -1, 0))]", at, emit_in(e, 1));
    const Expr *updates = emit_in(e, 2);
    emit_out(e, 0, ex_method(a, place, method, &updates, 1));
}

/* Indices say where in the first axes of the data each update goes; the others are those
 * of the updates, too. */
static bool apart_scatter_nd(Model *m, const Node *n, const int *at, int out,
                             int axis) {
    int last = in_rank(n, 1) - 1;
    Dim depth = last >= 0 ? in_dim(n, 1, last) : dim_int(0);
    (void)m;
    (void)out;
    return dim_is_int(depth) && at[0] == axis && axis >= depth.c &&
           at[1] == APART_SHARED && at[2] == last + axis - depth.c;
}

static bool apart_tensor_scatter(Model *m, const Node *n, const int *at, int out,
                                 int axis) {
    bool lengths = n->n_in > 2 && n->in[2];
    int64_t written = attr_int(n, "axis");
    (void)m;
    (void)out;
    written += written < 0 ? in_rank(n, 0) : 0;
    return axis == 0 && written > 0 && at[0] == 0 && at[1] == 0 &&
           (!lengths || at[2] == 0);
}

/* Updates at indices that are out of range are dropped. */
static OpPast past_scatter_nd(Model *m, const Node *n, const int *at, int input) {
    bool each = at[0] == APART_SHARED && at[1] >= 0 && at[1] < in_rank(n, 1) - 1 &&
                (at[2] == APART_SHARED || at[2] == at[1]);
    (void)m;
    return !each ? PAST_SEEN : input == 1 ? PAST_OUTSIDE : PAST_ANY;
}

/* clang-format off */
#define REDUCTION SUPPORTED("reduction", "none", "none add mul max min")
static const OpDef ops[] = {
    {.name = "Scatter", .since = 9, .until = 10, .in = "data indices updates",
     .out = "output", .attrs = {INT("axis", 0)},
     .apart = apart_off_axes, .infer = infer_scatter_elements, .emit = emit_scatter_elements},
    {.name = "ScatterElements", .since = 11, .until = 15, .in = "data indices updates",
     .out = "output", .attrs = {INT("axis", 0)},
     .apart = apart_off_axes, .infer = infer_scatter_elements, .emit = emit_scatter_elements},
    {.name = "ScatterElements", .since = 16, .in = "data indices updates",
     .out = "output", .attrs = {INT("axis", 0), REDUCTION},
     .apart = apart_off_axes, .infer = infer_scatter_elements, .emit = emit_scatter_elements},
    {.name = "ScatterND", .since = 11, .until = 15, .in = "data indices updates",
     .out = "output", .apart = apart_scatter_nd,
     .past = past_scatter_nd, .infer = infer_scatter_nd, .emit = emit_scatter_nd},
    {.name = "ScatterND", .since = 16, .in = "data indices updates", .out = "output",
     .attrs = {REDUCTION},
     .apart = apart_scatter_nd, .past = past_scatter_nd,
     .infer = infer_scatter_nd, .emit = emit_scatter_nd},
    {.name = "TensorScatter", .since = 24, .in = "past_cache update write_indices?",
     .out = "present_cache", .attrs = {INT("axis", -2),
               SUPPORTED("mode", "linear", "linear circular")},
     .apart = apart_tensor_scatter, .infer = infer_same,
     .jax = "tensor_scatter($past_cache, $update$(, $write_indices)"
            ", axis=$axis, mode=$mode)"},
};
/* clang-format on */
const OpFamily ops_scatter = FAMILY(ops);
