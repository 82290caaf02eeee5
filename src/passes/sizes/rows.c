/* Follows the rows of a batch from the inputs through the graph.  A value that depends on
 * them must hold them along one axis, `rows` times the size that it has for one row: the
 * rows are then the outer part of that axis.  Shapes do not tell everything, so the
 * operators say which axes hold entries that they treat by themselves (ops/core/apart.h), and
 * those that reshape must keep the rows where they are in memory and in the order of
 * axes.  The number of rows may decide shapes; it is no number to compute with.  Whatever
 * is not known to be right is refused: a wrong guess would be a file that runs and mixes
 * the rows. */
#include "passes/sizes/rows.h"

#include "ops/core/apart.h"

enum { ROWS_MAX = 64 }; /* different symbols: bits of a mask */

typedef struct Rows {
    Model *m; /* where errors go */
    Model *named;
    const Symbol *symbol[ROWS_MAX];
    int n;
    uint64_t *from; /* by value id: the symbols whose rows its elements depend on */
    bool *needed;   /* by value id: some output depends on it */
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

static uint64_t rows_in_elements(const Rows *r, const Known *k) {
    uint64_t found = 0;
    for (size_t i = 0; k && k->ints && i < k->n; i++)
        found |= rows_in(r, k->ints[i]);
    return found;
}

/* The rows whose number is among the known elements of v. */
static uint64_t known_rows(const Rows *r, const Value *v) {
    return rows_in_elements(r, v->known) | rows_in_elements(r, v->splat);
}

/* The rows that v holds, be it the same for each of them. */
static uint64_t rows_of(const Rows *r, const Value *v) {
    uint64_t found = r->from[v->id];
    for (int axis = 0; axis < v->type.rank; axis++)
        found |= rows_in(r, v->type.dims[axis]);
    return found;
}

/* The rows whose data v holds: numbers of rows alone are none. */
static uint64_t data_of(const Rows *r, const Value *v) {
    return v && !v->known ? rows_of(r, v) : 0;
}

/* The rows whose data, or number, reach a node through v. */
static uint64_t reach(const Rows *r, const Value *v) {
    return v ? known_rows(r, v) | data_of(r, v) : 0;
}

/* Nothing about an output of a node that reads the data of these rows can depend on
 * others: all elements are known, or shapes alone decide that they equal one that is.
 * What they say of the number of rows is judged where they are read. */
static bool follows_from_shapes(const Rows *r, const Value *v, uint64_t data) {
    return v->known || (v->splat && !data && !rows_in_elements(r, v->splat));
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
static bool reshape_keeps(Rows *r, const Type *in, int from, const Type *out,
                          Place to) {
    return to.axis <= from &&
           dim_eq(product(r, in->dims, from), product(r, out->dims, to.axis));
}

/* What OpDef.apart is told of input k: see ops/core/apart.h. */
static bool axis_at(Rows *r, const Value *v, int i, int *at, Dim *each) {
    Place place = {.axis = APART_SHARED};
    if (v && v->known)
        place.axis = known_rows(r, v) >> i & 1 ? APART_SIZE : APART_SHARED;
    else if (v && rows_of(r, v) >> i & 1 && !place_of(r, &v->type, i, &place))
        return false;
    *at = place.axis;
    *each = place.each;
    return true;
}

/* NULL when output k holds the rows of symbol i at `to` and keeps them apart. */
static const char *why_not(Rows *r, const Node *n, int k, int i, Place to) {
    int *at = ARENA_ARRAY(r->m->arena, n->n_in, int);
    bool reshapes = n->op->facts & OP_RESHAPES, even = true, sized = false;
    for (uint32_t j = 0; at && j < n->n_in; j++) {
        Dim each;
        if (!axis_at(r, n->in[j], i, &at[j], &each))
            return "no single axis holds the rows in an input of it, and its output";
        even = even && (at[j] < 0 || dim_eq(each, to.each));
        sized = sized || at[j] == APART_SIZE;
    }
    if (!at)
        return NULL;
    if (reshapes)
        return at[0] >= 0 &&
                       reshape_keeps(r, &n->in[0]->type, at[0], &n->out[k]->type, to)
                   ? NULL
                   : "the rows would leave their axis in its output";
    if (even && apart(r->named, n, at, k, to.axis))
        return NULL;
    return sized ? "it computes with the number of rows for its output"
                 : "it does not keep rows apart along their axis in its output";
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

static void check_output(Rows *r, const Node *n, int k, const Type *was,
                         uint64_t from) {
    const Value *out = n->out[k];
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
        bool grows = dim_is_int(one) && !dim_eq(to.each, one);
        const char *why = grows ? "there would be another number of rows in its output"
                                : why_not(r, n, k, i, to);
        if (why)
            refuse(r, n, out, why);
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
            c->from |= reach(c->rows, g->nodes[i]->in[k]);
    for (size_t i = 0; i < g->n_outputs; i++)
        c->from |= reach(c->rows, g->outputs[i]);
}

static void check_node(Rows *r, const Node *n, const Node *was) {
    Captured inner = {r, 0};
    uint64_t from = 0, data = 0;
    for (uint32_t k = 0; k < n->n_in; k++) {
        from |= reach(r, n->in[k]);
        data |= data_of(r, n->in[k]);
    }
    bool has_graph = false;
    for (uint32_t a = 0; a < n->n_attrs; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++) {
            graph_each(n->attrs[a].graphs[k], read_by, &inner);
            has_graph = true;
        }
    if (has_graph && (from | inner.from)) {
        refuse(r, n, NULL, "its subgraphs may mix rows");
        return;
    }
    for (uint32_t k = 0; n->op && k < n->n_out && !r->refused; k++) {
        const Value *out = n->out[k];
        if (!out || !r->needed[out->id] || follows_from_shapes(r, out, data))
            continue;
        uint64_t rows = from | reach(r, out);
        r->from[out->id] = rows;
        if (rows)
            check_output(r, n, (int)k, &was->out[k]->type, rows);
    }
}

/* ---- what the outputs depend on ---------------------------------------------------- */

static void need(void *user, Graph *g) {
    Rows *r = user;
    for (size_t i = 0; i < g->n_outputs; i++)
        r->needed[g->outputs[i]->id] = true;
    for (size_t i = g->n_nodes; i-- > 0;) {
        const Node *n = g->nodes[i];
        bool needed = g->parent; /* in a subgraph: whatever it reads */
        for (uint32_t k = 0; k < n->n_out; k++)
            needed |= n->out[k] && r->needed[n->out[k]->id];
        for (uint32_t k = 0; needed && k < n->n_in; k++)
            if (n->in[k])
                r->needed[n->in[k]->id] = true;
        for (uint32_t a = 0; needed && a < n->n_attrs; a++)
            for (size_t k = 0; k < n->attrs[a].graph_count; k++)
                graph_each(n->attrs[a].graphs[k], need, r);
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
    r.needed = ARENA_ARRAY(m->arena, named->value_count, bool);
    if (!r.from || !r.needed)
        return false;
    const Graph *g = named->graph, *was = baked->graph;
    need(&r, named->graph);
    for (size_t i = 0; i < g->n_inputs; i++)
        add_rows(&r, g->inputs[i], &was->inputs[i]->type);
    for (size_t i = 0; i < g->n_nodes && !r.refused; i++)
        check_node(&r, g->nodes[i], was->nodes[i]);
    for (size_t i = 0; i < g->n_outputs && !r.refused; i++)
        if (known_rows(&r, g->outputs[i]) && g->outputs[i]->def)
            refuse(&r, g->outputs[i]->def, NULL,
                   "the model returns how many rows it has");
    return !r.refused;
}
