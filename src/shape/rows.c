/* Follows the rows of a batch from the inputs through the graph.  A value that depends on
 * them must hold them along one axis, `rows` times the size that it has for one row: the
 * rows are then the outer part of that axis.  Shapes do not tell everything, so three
 * kinds of nodes are looked at: those that reshape must keep the rows where they are in
 * memory and in the order of axes; those that work along an axis must work along another;
 * and where rows and another axis have become one, only operators that treat each
 * element, or each row of their first input, by itself go on.  Whatever is not known to
 * be right is refused: a wrong guess would be a file that runs and mixes the rows. */
#include "shape/rows.h"

enum { ROWS_MAX = 64 }; /* different symbols: bits of a mask */

typedef struct Rows {
    Model *m; /* where errors go */
    Model *named;
    const Symbol *symbol[ROWS_MAX];
    int n;
    uint64_t *from; /* by value id: the symbols whose rows its elements depend on */
    bool refused;
} Rows;

/* How a value holds the rows of one symbol. */
typedef struct Place {
    int axis;
    Dim each; /* size of the axis for one row */
} Place;

static void refuse(Rows *r, const Node *n, const Value *v, const char *why) {
    r->refused = true;
    Text t = {.arena = r->m->arena};
    if (v) {
        text_lit(&t, ", which is ");
        type_print(&t, &v->type);
    }
    Str type = text_view(&t);
    diag_add(r->m->diags, OX0405, node_where(r->named, n), ROWS_HINT,
             "this node only works for a size of 1: %s%.*s", why, (int)type.n, type.p);
}

/* ---- where the rows are ------------------------------------------------------------ */

typedef struct Finder {
    const Rows *rows;
    uint64_t found;
} Finder;

static void find_symbol(void *user, const Symbol *s) {
    Finder *f = user;
    for (int i = 0; i < f->rows->n; i++)
        if (f->rows->symbol[i] == s)
            f->found |= (uint64_t)1 << i;
}

static uint64_t rows_in(const Rows *r, Dim d) {
    Finder f = {r, 0};
    dim_each_symbol(d, find_symbol, &f);
    return f.found;
}

/* The one axis of t that is a multiple of symbol i; false when there is no such axis, or
 * more than one. */
static bool place_of(Rows *r, const Type *t, int i, Place *place) {
    int count = 0;
    for (int axis = 0; axis < t->rank; axis++)
        if (rows_in(r, t->dims[axis]) >> i & 1) {
            place->axis = axis;
            count++;
        }
    const Symbol *s = r->symbol[i];
    return count == 1 &&
           dim_divide(&r->named->dims, t->dims[place->axis],
                      s->value->type.dims[s->axis], &place->each) &&
           rows_in(r, place->each) == 0;
}

/* The rows whose data v holds.  What follows from shapes alone is no data. */
static uint64_t data_of(const Rows *r, const Value *v) {
    return v && !v->known && !v->splat ? r->from[v->id] : 0;
}

/* ---- inputs to outputs ------------------------------------------------------------- */

static Dim product(Rows *r, const Dim *dims, int n) {
    Dim p = dim_int(1);
    for (int i = 0; i < n; i++)
        p = dim_mul(&r->named->dims, p, dims[i]);
    return p;
}

/* Row-major order keeps the rows apart when as much lies before them as did; an earlier
 * 1 that was not there is the old batch, and the rows have slipped into another axis. */
static bool reshape_keeps(Rows *r, const Type *in, Place from, const Type *out,
                          Place to) {
    return to.axis <= from.axis &&
           dim_eq(product(r, in->dims, from.axis), product(r, out->dims, to.axis));
}

/* The axis that the node's attribute names among those of its input; -1: none. */
static int axis_of(const Node *n, const Value *input) {
    if (!op_attr(n->op, STR("axis")))
        return -1;
    int64_t axis = attr_int(n, "axis");
    return (int)(axis < 0 ? axis + input->type.rank : axis);
}

/* The input `name` lists this axis, or is not known. */
static bool lists_axis(const Node *n, const char *name, int rank, int axis) {
    const Value *v = node_input(n, name);
    bool found = v && (!v->known || !v->known->ints);
    for (size_t i = 0; v && !found && i < v->known->n; i++) {
        Dim d = v->known->ints[i];
        found = !dim_is_int(d) || d.c == axis || d.c + rank == axis;
    }
    return found;
}

/* The node works along this axis of its input.  Operators that only move elements tell
 * by their shapes what they do. */
static bool works_along(const Node *n, uint32_t input, int axis) {
    const Value *v = n->in[input];
    int named = axis_of(n, v), rank = v->type.rank;
    if (input != 0 && !strchr(n->op->in, '*'))
        return false;
    if (named >= 0 && (n->op->facts & OP_ROWS ? axis >= named : axis == named))
        return true;
    if (n->op->facts & OP_MOVES)
        return false;
    Ints axes = {0};
    bool found = op_attr(n->op, STR("axes")) && attr_ints(n, "axes", &axes);
    for (size_t i = 0; found && i < axes.n; i++)
        if (axes.v[i] == axis || axes.v[i] + rank == axis)
            return true;
    return lists_axis(n, "axis", rank, axis) || lists_axis(n, "axes", rank, axis);
}

/* The operator treats every row by itself though the axis holds more than rows. */
static bool allows_merged(const Node *n, uint32_t input, Place from) {
    unsigned alone = OP_ELEMENTWISE | OP_BROADCAST | OP_IDENTITY;
    if (n->op->facts & alone)
        return true;
    const Value *v = n->in[input];
    bool transposed = op_attr(n->op, STR("transA")) && attr_int(n, "transA") != 0;
    int axis = axis_of(n, v);
    return (n->op->facts & OP_ROWS) && input == 0 && from.axis < v->type.rank - 1 &&
           !transposed && (axis < 0 || from.axis < axis);
}

static const char *why_not(Rows *r, const Node *n, uint32_t input, Place from,
                           const Type *out, Place to) {
    const Value *v = n->in[input];
    if (n->op->facts & OP_RESHAPES)
        return reshape_keeps(r, &v->type, from, out, to)
                   ? NULL
                   : "the rows would leave their axis in its output";
    if (works_along(n, input, from.axis))
        return "it works along the axis that holds the rows in its output";
    if (!dim_eq(from.each, to.each))
        return "it would repeat or join rows in its output";
    if (!dim_is(from.each, 1) && !allows_merged(n, input, from))
        return "it may mix rows that share an axis in its output";
    return NULL;
}

static void check_inputs(Rows *r, const Node *n, const Value *out, int i, Place to) {
    for (uint32_t k = 0; k < n->n_in && !r->refused; k++) {
        Place from;
        if (!(data_of(r, n->in[k]) >> i & 1) || !place_of(r, &n->in[k]->type, i, &from))
            continue;
        const char *why = why_not(r, n, k, from, &out->type, to);
        if (why)
            refuse(r, n, out, why);
    }
}

/* Sizes without rows are those of one row. */
static bool other_sizes_stay(const Rows *r, const Type *was, const Type *is) {
    if (was->kind != TYPE_TENSOR || is->kind != TYPE_TENSOR || is->rank < 0 ||
        was->rank != is->rank)
        return false;
    for (int i = 0; i < is->rank; i++) {
        bool fixed = dim_is_int(was->dims[i]) && !rows_in(r, is->dims[i]);
        if (fixed && !dim_eq(was->dims[i], is->dims[i]))
            return false;
    }
    return true;
}

static void check_output(Rows *r, const Node *n, const Value *out, const Type *was,
                         uint64_t from) {
    if (!other_sizes_stay(r, was, &out->type)) {
        refuse(r, n, out, "other sizes would change in its output");
        return;
    }
    for (int i = 0; i < r->n && !r->refused; i++) {
        Place to;
        if (!(from >> i & 1))
            continue;
        if (!place_of(r, &out->type, i, &to)) {
            refuse(r, n, out, "no single axis would hold the rows in its output");
            return;
        }
        Dim one = was->dims[to.axis];
        if (dim_is_int(one) && !dim_eq(to.each, one))
            refuse(r, n, out, "there would be another number of rows in its output");
        else
            check_inputs(r, n, out, i, to);
    }
}

/* ---- the graph --------------------------------------------------------------------- */

typedef struct Captured {
    const Rows *rows;
    uint64_t from;
} Captured;

static void read_by(void *user, Graph *g) {
    Captured *c = user;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            c->from |= data_of(c->rows, g->nodes[i]->in[k]);
    for (size_t i = 0; i < g->n_outputs; i++)
        c->from |= data_of(c->rows, g->outputs[i]);
}

static void check_node(Rows *r, const Node *n, const Node *was) {
    Captured inner = {r, 0};
    uint64_t from = 0;
    for (uint32_t k = 0; k < n->n_in; k++)
        from |= data_of(r, n->in[k]);
    for (uint32_t a = 0; a < n->n_attrs; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            graph_each(n->attrs[a].graphs[k], read_by, &inner);
    bool has_graph = false;
    for (uint32_t a = 0; a < n->n_attrs; a++)
        has_graph |= n->attrs[a].graph_count > 0;
    if (has_graph && (from | inner.from)) {
        refuse(r, n, NULL, "its subgraphs may mix rows");
        return;
    }
    for (uint32_t k = 0; from && n->op && k < n->n_out && !r->refused; k++) {
        const Value *out = n->out[k];
        if (!out)
            continue;
        r->from[out->id] = from;
        if (data_of(r, out))
            check_output(r, n, out, &was->out[k]->type, from);
    }
}

static void add_rows(Rows *r, const Value *v, const Type *was) {
    for (int axis = 0; axis < v->type.rank; axis++) {
        const Symbol *s = dim_as_symbol(v->type.dims[axis]);
        if (!s || !dim_is(was->dims[axis], 1))
            continue;
        int i = 0;
        while (i < r->n && r->symbol[i] != s)
            i++;
        if (i == r->n && r->n < ROWS_MAX)
            r->symbol[r->n++] = s;
        r->from[v->id] |= (uint64_t)1 << (i < ROWS_MAX ? i : ROWS_MAX - 1);
    }
}

bool rows_check(Model *m, const Model *baked, const Model *named) {
    Rows r = {.m = m, .named = (Model *)(uintptr_t)named};
    r.from = ARENA_ARRAY(m->arena, named->value_count, uint64_t);
    if (!r.from)
        return false;
    const Graph *g = named->graph, *was = baked->graph;
    for (size_t i = 0; i < g->n_inputs; i++)
        add_rows(&r, g->inputs[i], &was->inputs[i]->type);
    for (size_t i = 0; i < g->n_nodes && !r.refused; i++)
        check_node(&r, g->nodes[i], was->nodes[i]);
    return !r.refused;
}
