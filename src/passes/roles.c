/* Over which axes of a mesh a parameter is to be sharded, by the role that it has in
 * the graph: no name is read.
 *
 * A matrix's output holds its columns along one axis.  They are followed through all
 * code that treats them one by one (ops/core/apart.h: arithmetic, reshapes into heads,
 * attention), until another matrix contracts them.  All matrices whose columns meet on
 * the way are a group:
 *
 *     q = x @ Wq.T         group {Wq}, along axis 2
 *     k = x @ Wk.T         group {Wk}
 *     s = heads(q) @ heads(k).T
 *                          the heads are a batch here: group {Wq, Wk}, along axis 1
 *     y = merge(softmax(s) @ heads(v)) @ Wo.T
 *                          {Wq, Wk, Wv} end here: Wo contracts what they hold
 *     norm(x + y)          group {Wo} is broken: a mean mixes its columns
 *
 * The first three are column-parallel and the last one is row-parallel, which costs one
 * sum over devices: what Megatron-LM does.  A matrix that is row-parallel is not the
 * column of a later pair.  A group that reaches an output of the model unbroken is
 * column-parallel, too: the head of a language model.
 *
 * A parameter of which entries along the first axis are picked by indices that depend on
 * an input is a table, unlike one of positions, whose rows would then be apart in all that
 * follows; where what was picked is a matrix of a product, those of experts.  The largest axis
 * that is left of a matrix is for FSDP.  Each node is seen once, and a set is joined in
 * nearly constant time. */
#include "ops/core/apart.h"
#include "passes/passes.h"

enum { AXES_MAX = 6, LOST = -1 };

typedef struct Group {
    struct Group *joined; /* union-find: NULL for the one that stands for all */
    bool broken;          /* columns are mixed */
    bool ends;            /* at an output of the model */
    bool rowed;           /* a matrix of it is row-parallel */
    bool accepted;        /* its matrices are column-parallel */
} Group;

/* A product of data with a matrix. */
typedef struct Product {
    Value *weight;
    int column, row; /* axes of the weight; LOST: it has none */
    Group *out;      /* of its columns */
    Group *in;       /* that it contracts; NULL: none */
} Product;

/* A parameter beside columns: a bias. */
typedef struct Beside {
    Value *param;
    int axis;
    const Group *group;
} Beside;

/* What is known of a value. */
typedef struct Track {
    Value *param;     /* it is this parameter, moved about; NULL: it is none */
    int at[AXES_MAX]; /* where the axes of that are */
    bool from_input;  /* its elements depend on those of an input of the model */
    bool picked;      /* its first axis has been indexed */
    Group *group;     /* whose columns it holds; NULL: none */
    int axis;         /* along this axis */
} Track;

typedef struct Roles {
    Model *m;
    Arena *arena;
    Track *tracks; /* by value id */
    size_t n_tracks;
    int *at; /* for `apart`, by input */
    size_t n_at;
    struct {
        Product *items;
        size_t count, cap;
    } products;
    struct {
        Beside *items;
        size_t count, cap;
    } besides;
} Roles;

static Group *root(Group *group) {
    while (group->joined) {
        if (group->joined->joined)
            group->joined = group->joined->joined;
        group = group->joined;
    }
    return group;
}

static Group *join(Group *a, Group *b) {
    a = a ? root(a) : NULL;
    b = root(b);
    if (!a || a == b)
        return b;
    b->joined = a;
    a->broken |= b->broken;
    a->ends |= b->ends;
    return a;
}

static Track *track_of(Roles *r, Value *v) {
    v = v ? value_final(v) : NULL;
    if (!v || v->id >= r->n_tracks)
        return NULL;
    Track *t = &r->tracks[v->id];
    if (v->kind == VALUE_PARAM && !t->param && v->type.rank > 0 &&
        v->type.rank <= AXES_MAX) {
        t->param = v;
        for (int i = 0; i < AXES_MAX; i++)
            t->at[i] = i < v->type.rank ? i : LOST;
    }
    return t;
}

static Track *input_track(Roles *r, const Node *n, uint32_t k) {
    return track_of(r, n->in[k]);
}

/* Sizes do not count. */
static bool reads_input(Roles *r, Value *v) {
    const Track *t = track_of(r, v);
    return t && !v->known && (v->kind == VALUE_INPUT || t->from_input);
}

/* ---- where an axis goes ------------------------------------------------------------- */

static Dim product_of(Roles *r, const Dim *dims, int n) {
    Dim p = dim_int(1);
    for (int i = 0; i < n; i++)
        p = dim_mul(&r->m->dims, p, dims[i]);
    return p;
}

/* The axis that begins where `axis` did, of those of more than one entry. */
static int reshaped_axis(Roles *r, const Type *in, const Type *out, int axis) {
    Dim before = product_of(r, in->dims, axis);
    for (int i = out->rank; i-- > 0;)
        if (!dim_is(out->dims[i], 1) && dim_eq(product_of(r, out->dims, i), before))
            return i;
    return LOST;
}

/* The axis of output 0 that holds, entry by entry, what the inputs hold along r->at. */
static int axis_out(Roles *r, const Node *n) {
    const Type *out = &n->out[0]->type;
    if (out->kind != TYPE_TENSOR || out->rank > OX_MAX_RANK)
        return LOST;
    if (n->op->facts & OP_RESHAPES)
        return r->at[0] >= 0 && in_rank(n, 0) >= 0
                   ? reshaped_axis(r, &n->in[0]->type, out, r->at[0])
                   : LOST;
    for (int axis = 0; axis < out->rank; axis++)
        if (apart(r->m, n, r->at, 0, axis))
            return axis;
    return LOST;
}

static void share_all(Roles *r, const Node *n) {
    for (uint32_t k = 0; k < n->n_in; k++)
        r->at[k] = APART_SHARED;
}

/* The same, where input k alone holds something, along `axis`. */
static int axis_out_of(Roles *r, const Node *n, uint32_t k, int axis) {
    share_all(r, n);
    r->at[k] = axis;
    return axis < 0 ? LOST : axis_out(r, n);
}

static void break_inputs(Roles *r, const Node *n) {
    for (uint32_t k = 0; k < n->n_in; k++) {
        const Track *t = input_track(r, n, k);
        if (t && t->group)
            root(t->group)->broken = true;
    }
}

/* ---- nodes -------------------------------------------------------------------------- */

/* Output 0 is parameter k, moved about or indexed. */
static void move_param(Roles *r, const Node *n, uint32_t k) {
    enum { SAME = OP_MOVES | OP_RESHAPES | OP_IDENTITY | OP_KEEPS };
    if (k != 0 || !(n->op->facts & SAME))
        return;
    const Track *from = input_track(r, n, k);
    Track *to = track_of(r, n->out[0]);
    Track moved = {.param = from->param, .picked = from->picked};
    for (int i = 0; i < AXES_MAX; i++)
        moved.at[i] = axis_out_of(r, n, k, from->at[i]);
    bool indexes = n->op->facts & OP_MOVES && n->n_in > 1 && n->in[1] &&
                   reads_input(r, n->in[1]) && from->at[0] == 0 && moved.at[0] == LOST;
    moved.picked |= indexes;
    if (moved.picked)
        from->param->is_table = true;
    if (to)
        *to = moved;
}

/* A parameter, not the matrix, that lies along the columns of output 0 is sharded with
 * them. */
static void note_besides(Roles *r, const Node *n, const Track *out, int matrix) {
    const Type *type = &n->out[0]->type;
    for (uint32_t k = 0; k < n->n_in; k++) {
        const Track *t = input_track(r, n, k);
        bool beside = t && t->param && (int)k != matrix;
        int axis = beside ? out->axis - type->rank + in_rank(n, (int)k) : LOST;
        for (int i = 0; axis >= 0 && i < t->param->type.rank; i++)
            if (t->at[i] == axis &&
                dim_eq(t->param->type.dims[i], type->dims[out->axis]))
                (void)ARENA_PUSH(r->arena, &r->besides,
                                 ((Beside){t->param, i, out->group}));
    }
}

/* The input that is a matrix; -1: none is.  Picked ones only where the other is none: what
 * embeddings pick is data. */
static int matrix_input(Roles *r, const Node *n) {
    int found = -1;
    for (int k = n->op->facts & OP_CONTRACTS && n->n_in > 1 ? 2 : 0; k-- > 0;) {
        const Track *t = input_track(r, n, (uint32_t)k);
        if (t && t->param && t->param->type.rank > 1 && (found < 0 || !t->picked))
            found = k;
    }
    return found;
}

/* Sets which axes of the weight are its rows and columns, and the axis of the columns in
 * output 0; false where they are not one each.  Of several matrices the first axis is none
 * of these. */
static bool find_columns(Roles *r, const Node *n, uint32_t k, Product *p, int *axis) {
    const Track *t = input_track(r, n, k);
    int rank = t->param->type.rank, first = rank > 2 ? 1 : 0, columns = 0, rows = 0;
    for (int i = first; i < rank; i++) {
        int out = axis_out_of(r, n, k, t->at[i]);
        if (t->at[i] >= 0 && out >= 0)
            p->column = i, *axis = out, columns++;
        else if (t->at[i] >= 0)
            p->row = i, rows++;
    }
    return rank - first == 2 && columns == 1 && rows == 1;
}

static void visit_product(Roles *r, const Node *n, uint32_t k) {
    Product p = {.weight = input_track(r, n, k)->param, .column = LOST, .row = LOST};
    const Track *data = input_track(r, n, !k);
    Track *out = track_of(r, n->out[0]);
    int axis = LOST;
    p.out = ARENA_NEW(r->arena, Group);
    if (!p.out || !out || !data || !find_columns(r, n, k, &p, &axis)) {
        break_inputs(r, n);
        return;
    }
    if (data->group && axis_out_of(r, n, !k, data->axis) == LOST)
        p.in = data->group;
    else
        break_inputs(r, n);
    *out = (Track){.group = p.out, .axis = axis};
    note_besides(r, n, out, (int)k);
    (void)ARENA_PUSH(r->arena, &r->products, p);
}

/* Columns go on through n, or are mixed there. */
static void visit_code(Roles *r, const Node *n) {
    Group *group = NULL;
    share_all(r, n);
    for (uint32_t k = 0; k < n->n_in; k++) {
        const Track *t = input_track(r, n, k);
        if (t && t->group) {
            group = join(group, t->group);
            r->at[k] = t->axis;
        }
    }
    int axis = n->n_out == 1 ? axis_out(r, n) : LOST;
    Track *out = track_of(r, n->out[0]);
    if (axis == LOST || !out) {
        group->broken = true;
        return;
    }
    *out = (Track){.group = group, .axis = axis};
    note_besides(r, n, out, -1);
}

static void visit_roles(Roles *r, const Node *n) {
    bool columns = false;
    int param = -1, matrix;
    for (uint32_t k = n->n_in; k-- > 0;) {
        const Track *t = input_track(r, n, k);
        columns |= t && t->group;
        param = t && t->param ? (int)k : param;
    }
    if (!n->op || !n->n_out || !n->out[0] || n->n_in > r->n_at) {
        break_inputs(r, n);
        return;
    }
    if ((matrix = matrix_input(r, n)) >= 0)
        visit_product(r, n, (uint32_t)matrix);
    else if (columns)
        visit_code(r, n);
    else if (param >= 0 && n->n_out == 1)
        move_param(r, n, (uint32_t)param);
}

static void visit_node(Roles *r, const Node *n) {
    bool from_input = n->n_attrs && node_graph_attrs(n);
    for (uint32_t k = 0; k < n->n_in && !from_input; k++)
        from_input = n->in[k] && reads_input(r, n->in[k]);
    visit_roles(r, n);
    for (uint32_t k = 0; k < n->n_out; k++) {
        Track *t = track_of(r, n->out[k]);
        if (t)
            t->from_input = from_input;
    }
}

/* What a subgraph reads of columns counts as mixed. */
static void visit_subgraph(void *user, Graph *g) {
    Roles *r = user;
    if (!g->parent)
        return;
    for (size_t i = 0; i < g->n_nodes; i++)
        break_inputs(r, g->nodes[i]);
    for (size_t i = 0; i < g->n_outputs; i++) {
        const Track *t = track_of(r, g->outputs[i]);
        if (t && t->group)
            root(t->group)->broken = true;
    }
}

/* ---- decisions ---------------------------------------------------------------------- */

/* Axes count from 1 there; a parameter that two places want along different axes has
 * neither. */
static void want(Value *v, int axis) {
    int wanted = axis + 1;
    if (v->tensor_axis && v->tensor_axis != wanted)
        wanted = AXES_MAX + 1;
    v->tensor_axis = (uint8_t)wanted;
}

static void choose_rows(Roles *r) {
    for (size_t i = 0; i < r->products.count; i++) {
        Product *p = &r->products.items[i];
        Group *in = p->in ? root(p->in) : NULL;
        if (!in || in->broken || in->rowed)
            continue;
        in->accepted = true;
        root(p->out)->rowed = true;
        want(p->weight, p->row);
        p->weight->is_row = true;
    }
}

static void choose_columns(Roles *r) {
    for (size_t i = 0; i < r->products.count; i++) {
        const Product *p = &r->products.items[i];
        Group *out = root(p->out);
        out->accepted |= out->ends && !out->broken && !out->rowed;
        if (out->accepted && !p->weight->is_row)
            want(p->weight, p->column);
    }
    for (size_t i = 0; i < r->besides.count; i++) {
        const Beside *b = &r->besides.items[i];
        if (root((Group *)(uintptr_t)b->group)->accepted)
            want(b->param, b->axis);
    }
}

/* The largest axis that is not taken, the last of equal ones. */
static void choose_fsdp(Value *v) {
    int64_t most = 1;
    for (int i = 0; i < v->tensor->rank; i++) {
        bool taken = v->tensor_axis == i + 1 || v->expert_axis == i + 1;
        if (!taken && v->tensor->dims[i] >= most && v->tensor->dims[i] > 1) {
            most = v->tensor->dims[i];
            v->fsdp_axis = (uint8_t)(i + 1);
        }
    }
}

static void choose_rest(Roles *r, const Graph *g) {
    for (size_t i = 0; i < r->products.count; i++) {
        Value *v = r->products.items[i].weight;
        if (v->type.rank > 2)
            v->expert_axis = 1;
    }
    for (size_t i = 0; i < g->n_params; i++) {
        Value *v = g->params[i];
        if (v->kind != VALUE_PARAM || !v->tensor || v->is_buffer ||
            !dtype_is_float(v->tensor->dtype))
            continue;
        bool tall = v->tensor->rank == 2 && v->tensor->dims[0] > v->tensor->dims[1];
        if (v->is_table && tall && !v->tensor_axis)
            v->tensor_axis = 1;
        if (v->tensor_axis > AXES_MAX)
            v->tensor_axis = 0;
        if (v->tensor->rank > 1)
            choose_fsdp(v);
    }
}

static bool make_room(Roles *r) {
    const Graph *g = r->m->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->n_in > r->n_at)
            r->n_at = g->nodes[i]->n_in;
    r->n_tracks = r->m->value_count;
    r->tracks = ARENA_ARRAY(r->arena, r->n_tracks, Track);
    r->at = ARENA_ARRAY(r->arena, r->n_at, int);
    return r->tracks && (r->at || !r->n_at);
}

static void find_roles(Roles *r) {
    const Graph *g = r->m->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        visit_node(r, g->nodes[i]);
    if (r->m->has_subgraphs)
        graph_each(r->m->graph, visit_subgraph, r);
    for (size_t i = 0; i < g->n_outputs; i++) {
        const Track *t = track_of(r, g->outputs[i]);
        if (t && t->group)
            root(t->group)->ends = true;
    }
    choose_rows(r);
    choose_columns(r);
    choose_rest(r, g);
}

void pass_roles(Model *m) {
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    Roles r = {.m = m, .arena = &scratch};
    if (make_room(&r))
        find_roles(&r);
    arena_scratch_end(&scratch, m->arena);
}
