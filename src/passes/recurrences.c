/* A recurrence that the exporter has written out becomes a Scan again.  Of
 *
 *     x0 = Gather(x, 0)  h0 = Tanh(Add(x0, h))
 *     x1 = Gather(x, 1)  h1 = Tanh(Add(x1, h0))
 *     ...                                         y = Concat(Unsqueeze(h0), ...)
 *
 * the values of one row, as h0, h1, ..., are what one line of the loop gave, step by step.
 * A Concat is where a loop's results end: its inputs are a row.  What the nodes of a row
 * read, input by input, is one value in all steps; or a row of places along an axis, from
 * the first on; or a row again; or a row one step late, which is a state of the loop.  The
 * nodes of the first step become the body of
 *
 *     final, y = Scan(h, x; body: (h, x0) -> (Tanh(Add(x0, h)), ...))
 *
 * A loop that ran backwards is found by the same rules with its steps in reverse order.
 * Nothing else may read what a step computes, but for the last state. */
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MIN = 4,
    ROWS_MAX = 512,
    STATES_MAX = 30,
    ARRAYS_MAX = 30,
    SCAN_ATTRS = 6
};

/* What one line of the loop gives, in each step. */
typedef struct Row {
    Value **v;     /* by step */
    OpPick pick;   /* of a row of places: where the first of them is */
    Value *array;  /* what they are places of; NULL: nodes compute the row */
    bool is_state; /* the next step reads it, and the first one `start`: */
    Value *start;
    Value *x; /* of a row of places: the body's input */
    Value *h; /* of a state: the body's input */
} Row;

/* Input `k` of a node of the first step. */
typedef struct Read {
    Node *node;
    uint32_t k;
    Row *row;
    bool late; /* what the step before gave */
    Value **v; /* as long as the row is not found */
} Read;

typedef struct Loop {
    Model *m;
    Graph *g;
    Arena scratch;
    Node *root; /* the Concat */
    uint32_t steps;
    bool backward;
    Map rows;  /* by their first value */
    Map nodes; /* arrays of nodes, by step, by the first */
    struct {
        Row **items;
        size_t count, cap;
    } list;
    struct {
        Read *items;
        size_t count, cap;
    } reads;
    struct {
        Node ***items; /* the values of `nodes` */
        size_t count, cap;
    } lines;
    size_t waiting; /* reads whose row is not found */
    Row *result;
    uint32_t last; /* position of the last node */
    uint32_t states, arrays;
} Loop;

/* A node that stands behind one of the graph, in front of `next`. */
typedef struct Behind {
    Node *node;
    struct Behind *next;
} Behind;

typedef struct Recurrences {
    Model *m;
    Arena scratch;
    Graph *g;
    Behind **behind; /* by position */
    bool *dropped;   /* by position: a loop has taken it */
    uint32_t *inner; /* by value id: how often the steps at hand read it */
    uint32_t values; /* as many ids */
    size_t made;     /* nodes */
} Recurrences;

static Str key_of(const void *const *p) {
    return (Str){(const char *)p, sizeof *p};
}

static void *look_up(const Map *map, const void *p) {
    return map_get(map, key_of(&p));
}

static bool note(Loop *l, Map *map, const void *p, void *value) {
    return map_set(map, arena_str(&l->scratch, key_of(&p)), value);
}

/* ---- rows -------------------------------------------------------------------------- */

static bool same_constant(const Value *a, const Value *b) {
    const Known *x = a->known, *y = b->known;
    bool same = a->kind == VALUE_CONST && b->kind == VALUE_CONST && x && y &&
                x->n == y->n && !x->floats == !y->floats &&
                a->type.dtype == b->type.dtype && type_same_shape(&a->type, &b->type);
    for (size_t i = 0; same && i < x->n; i++)
        same = x->floats ? memcmp(&x->floats[i], &y->floats[i], sizeof *x->floats) == 0
                         : dim_eq(x->ints[i], y->ints[i]);
    return same;
}

static bool is_same_in_all(const Loop *l, Value *const *v) {
    for (uint32_t i = 1; i < l->steps; i++)
        if (v[i] != v[0] && !(v[i] && v[0] && same_constant(v[0], v[i])))
            return false;
    return true;
}

/* The values of v from step `late` on are those of the row from its first on. */
static bool is_row(const Loop *l, const Row *row, Value *const *v, bool late) {
    for (uint32_t i = late; row && i < l->steps; i++)
        if (row->v[i - late] != v[i])
            return false;
    return row != NULL;
}

static bool pick_of(const Value *v, OpPick *p) {
    const Node *n = v->def;
    return n && n->op && n->op->picks && n->op->picks(n, v->out_index, p) &&
           (!p->keeps || (v->type.rank > p->axis && dim_is(v->type.dims[p->axis], 1)));
}

/* The places of one array, in the order of the steps; all of it, or its first part. */
static bool are_places(const Loop *l, Value *const *v, Row *row) {
    OpPick first, p;
    if (!pick_of(v[0], &first))
        return false;
    Value *array = value_final(v[0]->def->in[0]);
    for (uint32_t i = 0; i < l->steps; i++) {
        uint32_t at = l->backward ? l->steps - 1 - i : i;
        if (!pick_of(v[i], &p) || value_final(v[i]->def->in[0]) != array ||
            p.axis != first.axis || p.keeps != first.keeps || p.index != at)
            return false;
    }
    row->pick = first;
    row->array = array;
    Dim size = array->type.dims[first.axis];
    return !dim_is_int(size) || size.c >= l->steps;
}

static bool is_plain(const Loop *l, const Node *n) {
    bool plain =
        n->op && n->graph == l->g && !(n->op->facts & OP_IMPURE) && !n->data_sized;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        plain &= n->attrs[i].graph_count == 0;
    return plain;
}

static bool is_alike(const Node *a, const Node *b) {
    bool same = a->op == b->op && a->opset == b->opset && a->n_in == b->n_in &&
                a->n_out == b->n_out && a->n_attrs == b->n_attrs;
    for (uint32_t i = 0; same && i < a->n_attrs; i++)
        same = attr_same(&a->attrs[i], &b->attrs[i]);
    return same;
}

/* Tensors, or sequences of tensors. */
static bool same_type(const Type *a, const Type *b) {
    if (a->kind == TYPE_SEQUENCE && b->kind == TYPE_SEQUENCE && a->elem && b->elem)
        return same_type(a->elem, b->elem);
    return a->kind == TYPE_TENSOR && b->kind == TYPE_TENSOR && a->dtype == b->dtype &&
           type_same_shape(a, b);
}

static bool have_one_type(const Loop *l, Value *const *v) {
    for (uint32_t i = 0; i < l->steps; i++)
        if (v[i]->known || v[i]->splat || is_read_for_size(v[i]) || v[i]->is_assumed ||
            !same_type(&v[i]->type, &v[0]->type))
            return false;
    return true;
}

/* The nodes that make the row; NULL when they differ. */
static Node **line_of(Loop *l, Value *const *v) {
    Node **line = ARENA_ARRAY(&l->scratch, l->steps, Node *);
    const Node **old = look_up(&l->nodes, v[0]->def);
    for (uint32_t i = 0; line && i < l->steps; i++) {
        Node *n = v[i]->def;
        if (!n || v[i]->out_index != v[0]->out_index || !is_plain(l, n) ||
            !is_alike(v[0]->def, n) || (old && old[i] != n))
            return NULL;
        line[i] = n;
        l->last = n->order > l->last ? n->order : l->last;
    }
    return line;
}

/* Each input of these nodes is to be a row, or one value. */
static bool add_line(Loop *l, Node **line) {
    if (!note(l, &l->nodes, line[0], line) || !ARENA_PUSH(&l->scratch, &l->lines, line))
        return false;
    for (uint32_t k = 0; k < line[0]->n_in; k++) {
        Value **v = ARENA_ARRAY(&l->scratch, l->steps, Value *);
        for (uint32_t i = 0; v && i < l->steps; i++)
            v[i] = value_final(line[i]->in[k]);
        Read read = {.node = line[0], .k = k, .v = v};
        if (!v)
            return false;
        if (!is_same_in_all(l, v) && !ARENA_PUSH(&l->scratch, &l->reads, read))
            return false;
    }
    return true;
}

static bool all_there(const Loop *l, Value *const *v) {
    for (uint32_t i = 0; i < l->steps; i++)
        if (!v[i])
            return false;
    return true;
}

/* The row of these values, found or new; NULL when they are none. */
static Row *row_of(Loop *l, Value **v) {
    Row *row = look_up(&l->rows, v[0]);
    if (row)
        return is_row(l, row, v, false) ? row : NULL;
    row = ARENA_NEW(&l->scratch, Row);
    if (!row || l->list.count == ROWS_MAX || !have_one_type(l, v))
        return NULL;
    row->v = v;
    bool places = are_places(l, v, row);
    Node **line = places ? NULL : line_of(l, v);
    if ((!places && !line) || !ARENA_PUSH(&l->scratch, &l->list, row) ||
        !note(l, &l->rows, v[0], row))
        return NULL;
    return places || look_up(&l->nodes, line[0]) || add_line(l, line) ? row : NULL;
}

/* ---- the walk ---------------------------------------------------------------------- */

/* What the step before gave; in the first step, a value of the same type. */
static bool read_late(Read *read, Row *row) {
    Value *start = read->v[0];
    bool fits = start->type.kind == TYPE_TENSOR &&
                same_type(&start->type, &row->v[0]->type) &&
                (!row->is_state || row->start == start);
    if (!fits)
        return false;
    row->is_state = true;
    row->start = start;
    read->row = row;
    read->late = true;
    return true;
}

/* The row of a read.  False when the nodes are no loop; what may turn out to be a state
 * whose row is not found yet, because the first value is made in another way than the
 * second, is left for later. */
static bool find_row(Loop *l, size_t i) {
    Read *read = &l->reads.items[i];
    Value *const *v = read->v;
    Row *late = look_up(&l->rows, v[1]);
    OpPick p;
    if (is_row(l, late, v, true))
        return read_late(read, late);
    bool alike = v[0]->def && v[1]->def && is_alike(v[0]->def, v[1]->def);
    if (!alike && !pick_of(v[0], &p)) {
        l->waiting++;
        return true;
    }
    Row *row = row_of(l, read->v);
    l->reads.items[i].row = row; /* the list may have moved */
    return row != NULL;
}

static bool find_rows(Loop *l) {
    size_t rows;
    do {
        rows = l->list.count;
        l->waiting = 0;
        for (size_t i = 0; i < l->reads.count; i++) {
            const Read *read = &l->reads.items[i];
            if (!read->row && (!all_there(l, read->v) || !find_row(l, i)))
                return false;
        }
    } while (l->waiting && l->list.count > rows);
    return l->waiting == 0;
}

/* ---- what is read from outside ------------------------------------------------------ */

static void each_line_node(const Loop *l, void (*visit)(Recurrences *r, Node *n),
                           Recurrences *r) {
    for (size_t i = 0; i < l->lines.count; i++)
        for (uint32_t k = 0; k < l->steps; k++)
            visit(r, l->lines.items[i][k]);
}

static void enter(Recurrences *r, Node *n) {
    r->dropped[n->order] = true;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] && value_final(n->in[i])->id < r->values)
            r->inner[value_final(n->in[i])->id]++;
}

static void leave(Recurrences *r, Node *n) {
    r->dropped[n->order] = false;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] && value_final(n->in[i])->id < r->values)
            r->inner[value_final(n->in[i])->id] = 0;
}

/* How often v is read by others than the steps and the Concat. */
static uint32_t uses_outside(const Recurrences *r, const Loop *l, const Row *row,
                             const Value *v) {
    return v->uses - r->inner[v->id] - (row == l->result);
}

/* A node between the step that gives v and the end of the steps reads v: where the Scan
 * stands is too late for it. */
static bool is_read_early(const Recurrences *r, const Loop *l, const Value *v) {
    for (uint32_t i = v->def->order; i < l->last; i++) {
        const Node *n = l->g->nodes[i];
        if (r->dropped[i])
            continue;
        for (uint32_t k = 0; k < n->n_in; k++)
            if (n->in[k] && value_final(n->in[k]) == v)
                return true;
        for (uint32_t k = 0; k < n->n_attrs; k++)
            if (n->attrs[k].graph_count)
                return true;
    }
    return false;
}

/* A step makes v, which has one value in all of them only outside. */
static bool is_made_inside(const Recurrences *r, const Loop *l, const Value *v) {
    const Node *n = v ? v->def : NULL;
    return n && n->graph == l->g && r->dropped[n->order] && l->g->nodes[n->order] == n;
}

/* What all steps read alike, and what states begin with, comes from outside: a step that
 * reads what a certain step has made, such as the first, is no line of a loop. */
static bool begins_outside(const Recurrences *r, const Loop *l) {
    for (size_t i = 0; i < l->list.count; i++) {
        const Row *row = l->list.items[i];
        if (is_made_inside(r, l, row->start) || is_made_inside(r, l, row->array))
            return false;
    }
    for (size_t i = 0; i < l->lines.count; i++) {
        Node *const *line = l->lines.items[i];
        for (uint32_t k = 0; k < line[0]->n_in; k++) {
            Value *v = value_final(line[0]->in[k]);
            if (is_made_inside(r, l, v) && v == value_final(line[1]->in[k]))
                return false;
        }
    }
    return true;
}

static bool is_closed(const Recurrences *r, const Loop *l) {
    for (size_t i = 0; i < l->lines.count; i++)
        for (uint32_t k = 0; k < l->steps; k++) {
            Node *const *line = l->lines.items[i];
            for (uint32_t o = 0; o < line[0]->n_out; o++) {
                const Value *v = line[k]->out[o], *first = line[0]->out[o];
                const Row *row = first ? look_up(&l->rows, first) : NULL;
                if (!v || !uses_outside(r, l, row, v))
                    continue;
                bool final = row && row->is_state && k == l->steps - 1;
                if (!final || is_read_early(r, l, v))
                    return false;
            }
        }
    return true;
}

/* Finds the loop whose results the Concat joins; its nodes are entered then. */
static bool find_loop(Recurrences *r, Loop *l, int axis) {
    Value **v = ARENA_ARRAY(&l->scratch, l->steps, Value *);
    for (uint32_t i = 0; v && i < l->steps; i++)
        v[i] = value_final(l->root->in[l->backward ? l->steps - 1 - i : i]);
    if (!v || !all_there(l, v) || !v[0]->def || !v[1]->def ||
        !is_alike(v[0]->def, v[1]->def) || axis >= v[0]->type.rank ||
        !dim_is(v[0]->type.dims[axis], 1))
        return false;
    l->result = row_of(l, v);
    if (!l->result || l->result->array || !find_rows(l))
        return false;
    uint32_t states = 0, arrays = 0;
    for (size_t i = 0; i < l->list.count; i++) {
        states += l->list.items[i]->is_state;
        arrays += l->list.items[i]->array != NULL;
    }
    if (!states || !arrays || states > STATES_MAX || arrays > ARRAYS_MAX)
        return false;
    l->states = states;
    l->arrays = arrays;
    each_line_node(l, enter, r);
    bool closed = begins_outside(r, l) && is_closed(r, l);
    if (!closed)
        each_line_node(l, leave, r);
    return closed;
}

/* ---- the Scan ---------------------------------------------------------------------- */

/* A new node of `g` that stands for what the Concat was. */
static Node *new_node(Loop *l, Graph *g, const char *op, uint32_t in, uint32_t out,
                      uint32_t attrs) {
    Node *n = node_beside(l->m, l->root, in, out, attrs);
    if (!n)
        return NULL;
    n->graph = g;
    node_set_op(n, op_find(STR(""), str_from(op), OP_NEWEST_OPSET));
    return n;
}

static Value *new_value(Loop *l, Graph *g, const Value *like) {
    Str name = arena_printf(l->m->arena, "%.*s/%u", (int)like->name.n, like->name.p,
                            l->m->value_count);
    return value_new(l->m, g, VALUE_NODE, name);
}

/* An input of the body; the code calls it so. */
static Value *add_input(Loop *l, Graph *body, const char *name) {
    Value *v = value_new(l->m, body, VALUE_INPUT, str_from(name));
    body->inputs[body->n_inputs++] = v;
    return v;
}

/* One input of n, which reads v. */
static void connect(Node *n, uint32_t k, Value *v) {
    n->in[k] = v;
    if (v)
        v->uses++;
}

/* A node that takes a value and a list of integers, the last of its graph so far. */
static Value *add_axes(Loop *l, Graph *g, const char *op, Value *x, int axis) {
    Node *n = new_node(l, g, op, 2, 1, 0);
    Value *y = new_value(l, g, x);
    if (!n || !y)
        return NULL;
    connect(n, 0, x);
    connect(n, 1, ints_literal(l->m, g, (const int64_t[]){axis}, 1));
    node_make(n, 0, y);
    g->nodes[g->n_nodes++] = n;
    return y;
}

/* What the body takes: an input for each state, and for each array. */
static void add_inputs(Loop *l, Graph *body) {
    for (size_t i = 0; i < l->list.count; i++) {
        Row *row = l->list.items[i];
        if (row->is_state)
            row->h = add_input(l, body, "state");
    }
    for (size_t i = 0; i < l->list.count && !l->m->arena->failed; i++) {
        Row *row = l->list.items[i];
        if (!row->array)
            continue;
        row->x = add_input(l, body, "x_t");
        if (row->x && row->pick.keeps)
            row->x = add_axes(l, body, "Unsqueeze", row->x, row->pick.axis);
    }
}

static int by_order(const void *a, const void *b) {
    const Node *x = **(Node *const *const *)a, *y = **(Node *const *const *)b;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The nodes of the first step. */
static void add_nodes(Loop *l, Graph *body) {
    qsort(l->lines.items, l->lines.count, sizeof *l->lines.items, by_order);
    for (size_t i = 0; i < l->lines.count; i++) {
        Node *n = l->lines.items[i][0];
        n->graph = body;
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k])
                n->out[k]->graph = body;
        body->nodes[body->n_nodes++] = n;
    }
    for (size_t i = 0; i < l->reads.count; i++) {
        Read *read = &l->reads.items[i];
        Value *v = read->late ? read->row->h : read->row->x;
        if (!v)
            continue;
        value_final(read->node->in[read->k])->uses--;
        connect(read->node, read->k, v);
    }
}

/* What a step adds to the results: without the axis along which they are joined. */
static Value *result_of(Loop *l, Graph *body, int axis) {
    Value *v = l->result->v[0];
    uint64_t mask;
    Node *n = v->def;
    if (n->op->inserts && n->op->inserts(n, &mask) && mask == (uint64_t)1 << axis)
        return n->in[0];
    return add_axes(l, body, "Squeeze", v, axis);
}

static void add_output(Graph *body, Value *v) {
    if (!v)
        return;
    v->uses++;
    body->output_names[body->n_outputs] = v->name;
    body->outputs[body->n_outputs++] = v;
}

static Graph *make_body(Loop *l, Node *scan, int axis) {
    Arena *a = l->m->arena;
    Graph *body = ARENA_NEW(a, Graph);
    size_t ends = l->states + 1, starts = l->states + l->arrays;
    if (!body)
        return NULL;
    *body = (Graph){.model = l->m, .owner = scan, .parent = l->g};
    body->inputs = ARENA_ARRAY(a, starts, Value *);
    body->outputs = ARENA_ARRAY(a, ends, Value *);
    body->output_names = ARENA_ARRAY(a, ends, Str);
    body->nodes = ARENA_ARRAY(a, l->lines.count + l->arrays + 1, Node *);
    if (a->failed)
        return NULL;
    add_inputs(l, body);
    if (a->failed)
        return NULL;
    add_nodes(l, body);
    for (size_t i = 0; i < l->list.count; i++) {
        const Row *row = l->list.items[i];
        if (!row->is_state)
            continue;
        if (!row->array)
            row->v[0]->name = STR("state");
        add_output(body, row->array ? row->x : row->v[0]);
    }
    add_output(body, result_of(l, body, axis));
    return a->failed ? NULL : body;
}

/* The array of a row, as far as the steps go. */
static Value *scanned(Loop *l, Node **slice, const Row *row) {
    const int axis = row->pick.axis;
    if (dim_is(row->array->type.dims[axis], l->steps))
        return row->array;
    Node *n = new_node(l, l->g, "Slice", 4, 1, 0);
    Value *y = new_value(l, l->g, row->array);
    if (!n || !y)
        return NULL;
    connect(n, 0, row->array);
    connect(n, 1, ints_literal(l->m, l->g, (const int64_t[]){0}, 1));
    connect(n, 2, ints_literal(l->m, l->g, (const int64_t[]){l->steps}, 1));
    connect(n, 3, ints_literal(l->m, l->g, (const int64_t[]){axis}, 1));
    node_make(n, 0, y);
    if (l->m->arena->failed)
        return NULL;
    infer_node(l->m, n);
    *slice = n;
    return y;
}

static void set_attrs(Loop *l, Node *scan, Graph *body, int axis) {
    Arena *a = l->m->arena;
    int64_t axes[ARRAYS_MAX], directions[ARRAYS_MAX], out = axis, back = l->backward;
    size_t n = 0;
    Graph **graphs = ARENA_NEW(a, Graph *);
    if (!graphs)
        return;
    *graphs = body;
    for (size_t i = 0; i < l->list.count; i++)
        if (l->list.items[i]->array) {
            directions[n] = back;
            axes[n++] = l->list.items[i]->pick.axis;
        }
    const Attr attrs[SCAN_ATTRS] = {
        {.name = STR("body"), .type = ATTR_GRAPH, .graphs = graphs, .graph_count = 1},
        attr_of_int(STR("num_scan_inputs"), (int64_t)n),
        attr_of_ints(a, STR("scan_input_axes"), axes, n),
        attr_of_ints(a, STR("scan_output_axes"), &out, 1),
        attr_of_ints(a, STR("scan_input_directions"), directions, n),
        attr_of_ints(a, STR("scan_output_directions"), &back, 1),
    };
    memcpy(scan->attrs, attrs, sizeof attrs);
    scan->n_attrs = SCAN_ATTRS;
    l->m->has_subgraphs = true;
}

static bool put_behind(Recurrences *r, const Loop *l, Node *n) {
    Behind *b = ARENA_NEW(&r->scratch, Behind), **at = &r->behind[l->last];
    if (!b)
        return false;
    while (*at)
        at = &(*at)->next;
    *b = (Behind){n, NULL};
    *at = b;
    n->order = l->last;
    r->made++;
    return true;
}

static bool add_starts(Recurrences *r, Loop *l, Node *scan) {
    uint32_t k = 0;
    for (size_t i = 0; i < l->list.count; i++)
        if (l->list.items[i]->is_state)
            connect(scan, k++, l->list.items[i]->start);
    for (size_t i = 0; i < l->list.count; i++) {
        Node *slice = NULL;
        if (!l->list.items[i]->array)
            continue;
        connect(scan, k++, scanned(l, &slice, l->list.items[i]));
        if (l->m->arena->failed || (slice && !put_behind(r, l, slice)))
            return false;
    }
    return put_behind(r, l, scan);
}

/* `by` is what v was; so often it is read. */
static void set_output(Loop *l, Node *scan, uint32_t k, const Value *v, uint32_t uses) {
    Value *by = new_value(l, l->g, v);
    if (!by)
        return;
    node_make(scan, k, by);
    by->uses = uses;
}

/* What is behind the loop reads of the Scan: the last states, and the results. */
static void add_outputs(const Recurrences *r, Loop *l, Node *scan) {
    uint32_t k = 0;
    for (size_t i = 0; i < l->list.count; i++) {
        const Row *row = l->list.items[i];
        if (!row->is_state)
            continue;
        const Value *last = row->v[l->steps - 1];
        uint32_t uses = row->array ? 0 : uses_outside(r, l, row, last);
        if (uses)
            set_output(l, scan, k, last, uses);
        k++;
    }
    set_output(l, scan, k, l->root->out[0], l->root->out[0]->uses);
}

static void replace(Loop *l, const Node *scan) {
    uint32_t k = 0;
    for (size_t i = 0; i < l->list.count; i++) {
        const Row *row = l->list.items[i];
        if (row->is_state && scan->out[k++])
            value_replace(l->m, row->v[l->steps - 1], scan->out[k - 1]);
    }
    scan->out[k]->is_origin |= l->root->out[0]->is_origin;
    value_replace(l->m, l->root->out[0], scan->out[k]);
}

/* Steps but the first are gone. */
static void drop_steps(Loop *l, const Node *scan) {
    for (size_t i = 0; i < l->lines.count; i++)
        for (uint32_t k = 0; k < l->steps; k++) {
            const Node *n = l->lines.items[i][k];
            node_absorb(l->m, n, scan);
            for (uint32_t x = 0; k && x < n->n_in; x++)
                if (n->in[x])
                    value_final(n->in[x])->uses--;
        }
    for (uint32_t i = 0; i < l->root->n_in; i++)
        value_final(l->root->in[i])->uses--;
}

static void forget_inner(Recurrences *r, Node *n) {
    leave(r, n);
    r->dropped[n->order] = true;
}

static void build(Recurrences *r, Loop *l, int axis) {
    Node *scan =
        new_node(l, l->g, "Scan", l->states + l->arrays, l->states + 1, SCAN_ATTRS);
    if (!scan || !add_starts(r, l, scan))
        return;
    add_outputs(r, l, scan);
    each_line_node(l, forget_inner, r);
    r->dropped[l->root->order] = true;
    drop_steps(l, scan);
    Graph *body = make_body(l, scan, axis);
    if (!body)
        return;
    set_attrs(l, scan, body, axis);
    if (l->m->arena->failed)
        return;
    infer_node(l->m, scan);
    replace(l, scan);
}

/* ---- the pass ---------------------------------------------------------------------- */

static bool joins(const Node *n, int *axis) {
    if (!n->op || strcmp(n->op->name, "Concat") != 0 || n->op->domain ||
        n->n_in < STEPS_MIN || !n->out[0] || n->out[0]->known ||
        n->out[0]->type.rank < 1)
        return false;
    int64_t given = attr_int(n, "axis");
    *axis = (int)(given < 0 ? given + n->out[0]->type.rank : given);
    return true;
}

/* The steps that the Concat joins, from the first or from the last on. */
static void try_loop(Recurrences *r, Node *root, int axis, bool backward) {
    Loop l = {.m = r->m, .g = r->g, .root = root, .steps = root->n_in};
    l.backward = backward;
    arena_scratch_begin(&l.scratch, r->m->arena);
    l.rows = l.nodes = (Map){.arena = &l.scratch};
    if (find_loop(r, &l, axis))
        build(r, &l, axis);
    arena_scratch_end(&l.scratch, r->m->arena);
}

static void put_back(Recurrences *r) {
    Graph *g = r->g;
    size_t n = g->n_nodes, cap = n + r->made;
    Node **old = g->nodes, **all = ARENA_ARRAY(r->m->arena, cap, Node *);
    if (!all)
        return;
    g->nodes = all;
    g->n_nodes = 0;
    for (size_t i = 0; i < n; i++) {
        if (!r->dropped[i])
            all[g->n_nodes++] = old[i];
        for (const Behind *b = r->behind[i]; b && g->n_nodes < cap; b = b->next)
            all[g->n_nodes++] = b->node;
    }
}

static void visit(void *user, Graph *g) {
    Model *m = user;
    Recurrences r = {.m = m, .g = g, .values = m->value_count};
    bool any = false;
    int axis;
    for (size_t i = 0; i < g->n_nodes; i++) {
        g->nodes[i]->order = (uint32_t)i;
        any |= joins(g->nodes[i], &axis);
    }
    if (!any)
        return;
    arena_scratch_begin(&r.scratch, m->arena);
    r.behind = ARENA_ARRAY(&r.scratch, g->n_nodes, Behind *);
    r.dropped = ARENA_ARRAY(&r.scratch, g->n_nodes, bool);
    r.inner = ARENA_ARRAY(&r.scratch, r.values, uint32_t);
    for (size_t i = 0; i < g->n_nodes && !r.scratch.failed && !m->arena->failed; i++)
        for (int back = 0; back < 2; back++)
            if (!r.dropped[i] && joins(g->nodes[i], &axis))
                try_loop(&r, g->nodes[i], axis, back);
    if (r.made && !r.scratch.failed)
        put_back(&r);
    arena_scratch_end(&r.scratch, m->arena);
}

void pass_recurrences(Model *m) {
    if (m->unrolled)
        return;
    graph_count_uses(m);
    graph_each(m->graph, visit, m);
    replace_values(m);
}
