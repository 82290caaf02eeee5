/* Inputs, weights, labels and transforms of the operators of ai.onnx.ml.
 * Source: the ONNX operators; onnxruntime where the text is silent. */
#include "ops/ml/ml.h"

enum { LABELS_SHOWN = 24, LABEL_WIDTH_MAX = 40 };

/* ---- attributes -------------------------------------------------------------------- */

MlFloats ml_floats(const Node *n, const char *name) {
    char tensor_name[64];
    const Attr *a = attr_find(n, name);
    if (a && a->type == ATTR_FLOATS && a->floats.count)
        return (MlFloats){a->floats.count, DT_FLOAT, a->floats.items, NULL};
    if (!a || a->type != ATTR_TENSOR) {
        Str suffix = STR("_as_tensor");
        size_t length = strlen(name);
        if (length + suffix.n >= sizeof tensor_name)
            return (MlFloats){0};
        memcpy(tensor_name, name, length);
        memcpy(tensor_name + length, suffix.p, suffix.n);
        tensor_name[length + suffix.n] = '\0';
        a = attr_find(n, tensor_name);
    }
    if (!a || a->type != ATTR_TENSOR || !a->t || !dtype_is_float(a->t->dtype))
        return (MlFloats){0};
    return (MlFloats){(size_t)a->t->count, a->t->dtype, NULL, a->t};
}

double ml_float_at(const MlFloats *f, size_t i) {
    return f->floats ? (double)f->floats[i] : tensor_f64(f->tensor, (int64_t)i);
}

MlClasses ml_classes(const Node *n) {
    static const char *const ints[] = {"classlabels_ints", "classlabels_int64s"};
    const Attr *a = attr_find(n, "classlabels_strings");
    if (a && a->strings.count)
        return (MlClasses){a->strings.count, NULL, a->strings.items};
    for (size_t i = 0; i < OX_COUNT(ints); i++) {
        a = attr_find(n, ints[i]);
        if (a && a->ints.count)
            return (MlClasses){a->ints.count, a->ints.items, NULL};
    }
    return (MlClasses){0};
}

MlPost ml_post(const Node *n) {
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                        "PROBIT"};
    const OpAttr *declared = op_attr(n->op, STR("post_transform"));
    if (declared->type == ATTR_INT) {
        int64_t i = attr_int(n, "post_transform");
        return i >= 0 && i < POST_UNKNOWN ? (MlPost)i : POST_UNKNOWN;
    }
    for (size_t i = 0; i < OX_COUNT(names); i++)
        if (attr_is(n, "post_transform", names[i]))
            return (MlPost)i;
    return POST_UNKNOWN;
}

/* ---- inference --------------------------------------------------------------------- */

static Dim rows_of(Model *m, Node *n, int out) {
    int rank = in_rank(n, 0);
    if (rank == 1)
        return dim_int(1);
    return rank == 2 ? in_dim(n, 0, 0) : fresh_dim(m, n, out, 0);
}

static bool is_matrix(Model *m, const Node *n) {
    int rank = in_rank(n, 0);
    if (rank < 0 || rank == 1 || rank == 2)
        return true;
    node_error(m, n, OX0401, "", "X has rank %d, but 1 or 2 is needed", rank);
    return false;
}

void ml_set_matrix(Model *m, Node *n, int out, DType dtype, Dim columns) {
    Shape s = {.rank = 2};
    if (!node_out(n, out) || !is_matrix(m, n))
        return;
    s.d[0] = rows_of(m, n, out);
    s.d[1] = columns;
    set_type(m, n, out, dtype, &s);
}

void ml_set_classifier(Model *m, Node *n, size_t columns) {
    Shape s = {.rank = 1};
    bool text = ml_classes(n).strings != NULL;
    if (!is_matrix(m, n))
        return;
    if (node_out(n, 0)) {
        s.d[0] = rows_of(m, n, 0);
        set_type(m, n, 0, text ? DT_STRING : DT_INT64, &s);
    }
    if (!node_out(n, 1))
        return;
    Dim width = columns ? dim_int((int64_t)columns) : fresh_dim(m, n, 1, 1);
    ml_set_matrix(m, n, 1, DT_FLOAT, width);
    if (columns == ml_classes(n).n)
        ml_note_columns(m, n, 1);
}

static bool counts_from_zero(const MlClasses *c) {
    for (size_t i = 0; i < c->n; i++)
        if (!c->ints || c->ints[i] != (int64_t)i)
            return false;
    return true;
}

void ml_note_columns(Model *m, Node *n, int out) {
    MlClasses c = ml_classes(n);
    Value *v = node_out(n, out);
    Text t = {.arena = m->arena};
    if (!v || c.n == 0)
        return;
    text_lit(&t, "one column for each class: ");
    for (size_t i = 0; i < c.n && i < LABELS_SHOWN; i++) {
        text_lit(&t, i ? ", " : "");
        if (c.strings && c.strings[i].n <= LABEL_WIDTH_MAX)
            text_printf(&t, "\"%.*s\"", (int)c.strings[i].n, c.strings[i].p);
        else if (c.strings)
            text_printf(&t, "\"%.*s...\"", LABEL_WIDTH_MAX, c.strings[i].p);
        else
            text_printf(&t, "%lld", (long long)c.ints[i]);
    }
    if (c.n > LABELS_SHOWN)
        text_printf(&t, ", ... (%zu in all)", c.n);
    v->remark = text_view(&t);
}

/* ---- inputs and weights ------------------------------------------------------------ */

const Expr *ml_matrix(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    DType dtype = in_dtype(n, 0);
    if (in_rank(n, 0) < 0) {
        emit_fail(e, OX0403, "give the shape of the input with --shape",
                  "the rank of X is not known");
        return NULL;
    }
    const Expr *x = emit_in_named(e, 0);
    if (in_rank(n, 0) == 1)
        x = EX(a, "$0[None]", x);
    if (!dtype_is_float(dtype))
        x = EX(a, "$0.astype(jnp.float32)", x);
    return ex_is_atom(x) || x->kind == EX_INDEX ? x : emit_let(e, "x", x);
}

const Tensor *ml_tensor(Emit *e, DType dtype, const void *data, int rank,
                        const int64_t *dims) {
    Arena *a = emit_arena(e);
    Tensor *t = ARENA_NEW(a, Tensor);
    int64_t *copy = ARENA_ARRAY(a, (size_t)rank, int64_t);
    if (!t || (rank && !copy))
        return NULL;
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= copy[i] = dims[i];
    size_t size = (size_t)dtype_info(dtype)->bits / 8;
    *t = (Tensor){.dtype = dtype,
                  .rank = rank,
                  .dims = copy,
                  .count = count,
                  .memory = data,
                  .size = (size_t)count * size};
    return t;
}

/* The same data in another shape.  What is in memory is copied by an index of weights. */
static const Tensor *reshaped(Emit *e, const Tensor *of, int rank,
                              const int64_t *dims) {
    const Tensor *shape = ml_tensor(e, of->dtype, NULL, rank, dims);
    Tensor *t = shape ? ARENA_NEW(emit_arena(e), Tensor) : NULL;
    if (!t)
        return NULL;
    *t = *shape;
    t->memory = of->memory;
    t->size = of->size;
    t->source = of->memory ? NULL : of->source;
    t->offset = of->offset;
    return t;
}

const Expr *ml_weights(Emit *e, const char *name, size_t rows) {
    MlFloats f = ml_floats(emit_node(e), name);
    if (f.n == 0)
        return NULL;
    if (rows && f.n % rows) {
        emit_fail(e, OX0303, "", "%zu %s do not make %zu rows", f.n, name, rows);
        return NULL;
    }
    int64_t dims[2] = {(int64_t)(rows ? rows : f.n), rows ? (int64_t)(f.n / rows) : 1};
    const Tensor *t = f.floats ? ml_tensor(e, f.dtype, f.floats, rows ? 2 : 1, dims)
                               : reshaped(e, f.tensor, rows ? 2 : 1, dims);
    return t ? emit_tensor(e, name, t, false) : NULL;
}

const Expr *ml_operand(Emit *e, const char *name, size_t rows) {
    const Expr *x = ml_weights(e, name, rows);
    bool wider = in_dtype(emit_node(e), 0) == DT_DOUBLE &&
                 ml_floats(emit_node(e), name).dtype == DT_FLOAT;
    return x && wider ? ex_astype(emit_arena(e), x, emit_dtype(e, DT_DOUBLE)) : x;
}

/* ---- results ----------------------------------------------------------------------- */

const Expr *ml_transformed(Emit *e, const Expr *scores, MlPost post) {
    static const char *const templates[] = {
        [POST_NONE] = "$0",
        [POST_SOFTMAX] = "jax.nn.softmax($0)",
        [POST_LOGISTIC] = "jax.nn.sigmoid($0)",
        [POST_SOFTMAX_ZERO] = "softmax_zero($0)",
        [POST_PROBIT] = "jax.scipy.special.ndtri($0)",
    };
    if (post < POST_UNKNOWN)
        return EX(emit_arena(e), templates[post], scores);
    emit_fail(e, OX0303, "", "post_transform is none of those in the specification");
    return NULL;
}

const Expr *ml_float32(Emit *e, const Expr *x) {
    bool wide = in_dtype(emit_node(e), 0) == DT_DOUBLE;
    return wide ? EX(emit_arena(e), "($0).astype(jnp.float32)", x) : x;
}

/* The outputs of the model that are no text. */
static Str numeric_outputs(Emit *e) {
    const Graph *g = emit_model(e)->graph;
    Text t = {.arena = emit_arena(e)};
    for (size_t i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i]->type.dtype == DT_STRING)
            continue;
        text_lit(&t, t.n ? "," : "");
        text_str(&t, g->output_names[i]);
    }
    return text_view(&t);
}

bool ml_labels_fit(Emit *e) {
    if (!ml_classes(emit_node(e)).strings || !emit_wants(e, 0))
        return true;
    Str names = numeric_outputs(e);
    Str hint = arena_printf(emit_arena(e), "leave the labels out: --outputs %.*s",
                            names.n ? (int)names.n : 6, names.n ? names.p : "SCORES");
    emit_fail(e, OX0302, hint.p ? hint.p : "",
              "the labels are strings, which JAX lacks");
    return false;
}

const Expr *ml_label_at(Emit *e, const Expr *index) {
    MlClasses c = ml_classes(emit_node(e));
    int64_t count = (int64_t)c.n;
    if (counts_from_zero(&c))
        return index;
    const Tensor *t = ml_tensor(e, DT_INT64, c.ints, 1, &count);
    return t ? EX(emit_arena(e), "$0[$1]", emit_tensor(e, "classes", t, true), index)
             : NULL;
}

const Expr *ml_label_where(Emit *e, const Expr *condition) {
    Arena *a = emit_arena(e);
    MlClasses c = ml_classes(emit_node(e));
    if (counts_from_zero(&c))
        return EX(a, "($0).astype(int)", condition);
    return EX(a, "jnp.where($0, $1, $2)", condition, ex_int(a, c.ints[1]),
              ex_int(a, c.ints[0]));
}

const Expr *ml_shared(Emit *e, const char *hint, const Expr *x) {
    bool shared = emit_wants(e, 0) && emit_wants(e, 1);
    return shared && !ex_is_atom(x) ? emit_let(e, hint, x) : x;
}
