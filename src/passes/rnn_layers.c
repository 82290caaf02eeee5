/* The LSTM and GRU of PyTorch.  ONNX has gates in another order, weights of all directions
 * stacked, both biases joined, and a result with an axis for the direction.  Exporters
 * take PyTorch's parameters apart for that, and put what comes out together again:
 *
 *     Y, h, c = LSTM(x, Unsqueeze(LstmGates(weight_ih)), Unsqueeze(LstmGates(weight_hh)),
 *                    Unsqueeze(Concat(LstmGates(bias_ih), LstmGates(bias_hh))))
 *     y = Reshape(Transpose(Y, perm=[0, 2, 1, 3]))
 *
 * is, for each direction, one layer that takes the parameters as they are:
 *
 *     y, h, c = LstmLayer(x, weight_ih, weight_hh, bias_ih, bias_hh)
 *
 * Two directions run one after the other, and their results are joined. */
#include "passes/passes.h"

#include <string.h>

enum { DIRECTIONS = 2, INPUTS = 7, OUTPUTS = 3 };

/* What PyTorch has of one direction. */
typedef struct Layer {
    Value *w_ih, *w_hh, *b_ih, *b_hh;
} Layer;

typedef struct Layers {
    Model *m;
    Graph *g;
    Arena scratch;
    Node **reader; /* by value id: the last node that reads it */
    struct {
        Node **items;
        size_t count, cap;
    } nodes;  /* of the graph, as it will be */
    Map dead; /* readers of results that PyTorch does not have, by themselves */
    Node *n;  /* at hand */
    bool is_gru, reverse;
    int directions;
    Layer layer[DIRECTIONS];
} Layers;

/* ---- what the parameters were ------------------------------------------------------- */

static Node *made_by(const Value *v, const char *op) {
    Node *n = v ? v->def : NULL;
    return n && n->op && strcmp(n->op->name, op) == 0 ? n : NULL;
}

/* v is x with an axis put in front: x; NULL otherwise. */
static Value *without_first_axis(const Value *v) {
    uint64_t mask;
    Node *n = v->def;
    bool inserts =
        n && n->op && n->op->inserts && n->op->inserts(n, &mask) && mask == 1;
    return inserts ? value_final(n->in[0]) : NULL;
}

/* Entry d of v, which is stacked along its first axis; NULL when it is not made so. */
static Value *entry_of(const Layers *l, Value *v, int d) {
    if (l->directions == 1)
        return without_first_axis(v);
    Node *join = made_by(v, "Concat");
    if (!join || join->n_in != DIRECTIONS || attr_int(join, "axis") != 0)
        return NULL;
    return without_first_axis(value_final(join->in[d]));
}

/* The parameter whose gates v has in ONNX's order. */
static Value *parameter(const Layers *l, const Value *v) {
    Node *n = made_by(v, l->is_gru ? "GruGates" : "LstmGates");
    return n ? value_final(n->in[0]) : NULL;
}

static bool find_biases(const Layers *l, Layer *layer, const Value *joined) {
    Node *join = made_by(joined, "Concat");
    if (!join || join->n_in != 2 || attr_int(join, "axis") != 0)
        return false;
    layer->b_ih = parameter(l, value_final(join->in[0]));
    layer->b_hh = parameter(l, value_final(join->in[1]));
    return layer->b_ih && layer->b_hh;
}

static bool find_layer(Layers *l, int d) {
    Layer *layer = &l->layer[d];
    Value *w = entry_of(l, l->n->in[1], d), *r = entry_of(l, l->n->in[2], d);
    Value *b = node_in(l->n, 3) ? entry_of(l, l->n->in[3], d) : NULL;
    *layer =
        (Layer){.w_ih = w ? parameter(l, w) : NULL, .w_hh = r ? parameter(l, r) : NULL};
    bool biased = node_in(l->n, 3) != NULL;
    return layer->w_ih && layer->w_hh && (!biased || (b && find_biases(l, layer, b)));
}

/* Without lengths and peepholes, and as PyTorch computes it. */
static bool is_plain(const Layers *l) {
    const Node *n = l->n;
    bool plain = in_rank(n, 0) == 3 && !node_in(n, 4) && !node_in(n, 7) &&
                 !attr_has(n, "activations") && !attr_has(n, "clip") &&
                 attr_int_or(n, "layout", 0) == 0 &&
                 attr_int_or(n, "output_sequence", 0) == 0;
    if (l->is_gru)
        return plain && attr_int_or(n, "linear_before_reset", 0) != 0;
    return plain && attr_int_or(n, "input_forget", 0) == 0;
}

static bool find_layers(Layers *l) {
    const Node *n = l->n;
    if (!n->op || n->op->domain)
        return false;
    l->is_gru = strcmp(n->op->name, "GRU") == 0;
    if (!l->is_gru && strcmp(n->op->name, "LSTM") != 0)
        return false;
    l->directions = attr_is(n, "direction", "bidirectional") ? DIRECTIONS : 1;
    l->reverse = attr_is(n, "direction", "reverse");
    bool found = is_plain(l);
    for (int d = 0; d < l->directions && found; d++)
        found = find_layer(l, d);
    return found;
}

/* ---- new nodes ---------------------------------------------------------------------- */

static Node *add_node(Layers *l, const char *domain, const char *op, uint32_t in,
                      uint32_t out, uint32_t attrs) {
    Node *n = node_beside(l->m, l->n, in, out, attrs);
    if (!n || !ARENA_PUSH(&l->scratch, &l->nodes, n))
        return NULL;
    int64_t version = domain[0] ? 1 : OP_NEWEST_OPSET;
    node_set_op(n, op_find(str_from(domain), str_from(op), version));
    return n;
}

static Value *add_output(Layers *l, Node *n, uint32_t k, const Value *like) {
    Str name = arena_printf(l->m->arena, "%.*s/%u", (int)like->name.n, like->name.p,
                            l->m->value_count);
    Value *v = value_new(l->m, l->g, VALUE_NODE, name);
    if (v)
        node_make(n, k, v);
    return v;
}

static void connect(Node *n, uint32_t k, Value *v) {
    n->in[k] = v;
    if (v)
        v->uses++;
}

static Value *add_unary(Layers *l, const char *op, Value *x, int axis) {
    Node *n = x ? add_node(l, "", op, 2, 1, 0) : NULL;
    Value *y = n ? add_output(l, n, 0, x) : NULL;
    if (!y)
        return NULL;
    connect(n, 0, x);
    connect(n, 1, ints_literal(l->m, l->g, (const int64_t[]){axis}, 1));
    if (!n->in[1])
        return NULL;
    infer_node(l->m, n);
    return y;
}

/* The results of both directions side by side. */
static Value *add_join(Layers *l, Value *const *v, int axis) {
    if (l->directions == 1)
        return v[0];
    Node *n = v[0] && v[1] ? add_node(l, "", "Concat", DIRECTIONS, 1, 1) : NULL;
    Value *y = n ? add_output(l, n, 0, v[0]) : NULL;
    if (!y)
        return NULL;
    for (uint32_t d = 0; d < DIRECTIONS; d++)
        connect(n, d, v[d]);
    n->attrs[n->n_attrs++] = attr_of_int(STR("axis"), axis);
    infer_node(l->m, n);
    return y;
}

/* Input i, a state, of direction d; NULL for zeros. */
static bool start_of(Layers *l, int i, int d, Value **state) {
    Value *v = node_in(l->n, i);
    *state = NULL;
    if (!v || in_is_zero(l->n, i))
        return true;
    *state = entry_of(l, v, d);
    if (!*state && l->directions == 1)
        *state = add_unary(l, "Squeeze", v, 0);
    if (!*state && l->directions == DIRECTIONS) {
        Node *n = add_node(l, "", "Gather", 2, 1, 0);
        Value *y = n ? add_output(l, n, 0, v) : NULL;
        Value *place = ints_literal(l->m, l->g, (const int64_t[]){d}, 1);
        if (!y || !place)
            return false;
        place->type.rank = 0;
        connect(n, 0, v);
        connect(n, 1, place);
        infer_node(l->m, n);
        *state = y;
    }
    return *state != NULL;
}

/* What a direction gives: the outputs that something reads. */
static bool add_layer(Layers *l, int d, Value **out) {
    const Layer *layer = &l->layer[d];
    Value *h, *c = NULL;
    if (!start_of(l, 5, d, &h) || (!l->is_gru && !start_of(l, 6, d, &c)))
        return false;
    const char *op = l->is_gru ? "GruLayer" : "LstmLayer";
    Node *n =
        add_node(l, OP_INTERNAL, op, l->is_gru ? INPUTS - 1 : INPUTS, l->n->n_out, 1);
    if (!n)
        return false;
    Value *in[] = {
        l->n->in[0], layer->w_ih, layer->w_hh, layer->b_ih, layer->b_hh, h, c};
    for (uint32_t k = 0; k < n->n_in; k++)
        connect(n, k, in[k]);
    n->attrs[n->n_attrs++] = attr_of_int(STR("reverse"), l->reverse || d == 1);
    for (uint32_t k = 0; k < n->n_out; k++) {
        const Value *v = node_out(l->n, (int)k);
        out[k] = v && v->uses ? add_output(l, n, k, v) : NULL;
        if (v && v->uses && !out[k])
            return false;
        if (out[k] && k)
            out[k]->name = k == 1 ? STR("h") : STR("c");
    }
    infer_node(l->m, n);
    return true;
}

/* ---- what comes out ------------------------------------------------------------------ */

static void become(Layers *l, Value *v, Value *by) {
    by->uses += v->uses;
    by->is_origin |= v->is_origin;
    value_replace(l->m, v, by);
}

/* The only node that reads v. */
static Node *only_reader(const Layers *l, const Value *v) {
    Node *n = v->uses == 1 ? l->reader[v->id] : NULL;
    return n && n->op && !node_graph_attrs(n) ? n : NULL;
}

static bool drop(Layers *l, Node *n) {
    Str key = {(const char *)&n, sizeof n};
    return map_set(&l->dead, arena_str(&l->scratch, key), n);
}

static bool is_dropped(const Layers *l, Node *n) {
    return map_get(&l->dead, (Str){(const char *)&n, sizeof n}) != NULL;
}

/* The value that is Y (T, D, B, H) as PyTorch has it, (T, B, D * H), whose nodes are
 * dropped; NULL: there is none. */
static Value *as_in_torch(Layers *l, const Value *y) {
    int perm[OX_MAX_RANK];
    Node *n = only_reader(l, y);
    if (!n || n->in[0] != y)
        return NULL;
    Ints axes;
    if (l->directions == 1 && strcmp(n->op->name, "Squeeze") == 0)
        return get_ints(n, "axes", &axes) && axes.n == 1 && axes.v[0] == 1 && drop(l, n)
                   ? n->out[0]
                   : NULL;
    if (!n->op->permutes || !n->op->permutes(n, perm) || perm[1] != 2 || perm[2] != 1)
        return NULL;
    Node *reshape = only_reader(l, n->out[0]);
    if (!reshape || !(reshape->op->facts & OP_RESHAPES) ||
        reshape->in[0] != n->out[0] || reshape->out[0]->type.rank != 3)
        return NULL;
    const Dim *to = reshape->out[0]->type.dims, *from = y->type.dims;
    Dim width = dim_mul(&l->m->dims, from[1], from[3]);
    bool fits =
        dim_eq(to[0], from[0]) && dim_eq(to[1], from[2]) && dim_eq(to[2], width);
    return fits && drop(l, n) && drop(l, reshape) ? reshape->out[0] : NULL;
}

/* Y again, or where it is read as PyTorch has it, that. */
static bool set_sequence(Layers *l, Value *const *y) {
    Value *v = l->n->out[0], *plain = as_in_torch(l, v);
    Value *stacked[DIRECTIONS] = {0};
    if (plain) {
        Value *joined = add_join(l, y, 2);
        if (joined)
            become(l, plain, joined);
        return joined != NULL;
    }
    for (int d = 0; d < l->directions; d++)
        stacked[d] = add_unary(l, "Unsqueeze", y[d], 1);
    Value *joined = add_join(l, stacked, 1);
    if (joined)
        become(l, v, joined);
    return joined != NULL;
}

static bool set_state(Layers *l, uint32_t k, Value *const *last) {
    Value *stacked[DIRECTIONS] = {0};
    for (int d = 0; d < l->directions; d++)
        stacked[d] = add_unary(l, "Unsqueeze", last[d], 0);
    Value *joined = add_join(l, stacked, 0);
    if (joined)
        become(l, l->n->out[k], joined);
    return joined != NULL;
}

static bool build(Layers *l) {
    Value *out[DIRECTIONS][OUTPUTS] = {0};
    for (int d = 0; d < l->directions; d++)
        if (!add_layer(l, d, out[d]))
            return false;
    for (uint32_t k = 0; k < l->n->n_out && k < OUTPUTS; k++) {
        Value *of[] = {out[0][k], out[1][k]};
        if (of[0] && !(k ? set_state(l, k, of) : set_sequence(l, of)))
            return false;
    }
    return true;
}

/* ---- the pass ------------------------------------------------------------------------ */

static bool is_recurrent(const Node *n) {
    return n->op && !n->op->domain && n->op->facts & OP_PACKED_WEIGHTS;
}

static void note_readers(Layers *l) {
    for (size_t i = 0; i < l->g->n_nodes; i++) {
        Node *n = l->g->nodes[i];
        for (uint32_t k = 0; k < n->n_in; k++)
            if (n->in[k])
                l->reader[n->in[k]->id] = n;
    }
}

static void visit(void *user, Graph *g) {
    Layers l = {.m = user, .g = g, .dead = {.arena = &l.scratch}};
    bool any = false;
    for (size_t i = 0; i < g->n_nodes; i++)
        any |= is_recurrent(g->nodes[i]);
    if (!any)
        return;
    arena_scratch_begin(&l.scratch, l.m->arena);
    l.reader = ARENA_ARRAY(&l.scratch, l.m->value_count, Node *);
    if (l.reader)
        note_readers(&l);
    for (size_t i = 0; i < g->n_nodes && !l.scratch.failed; i++) {
        l.n = g->nodes[i];
        if (is_dropped(&l, l.n))
            continue;
        if (!is_recurrent(l.n) || !find_layers(&l))
            (void)ARENA_PUSH(&l.scratch, &l.nodes, l.n);
        else if (!build(&l))
            break;
    }
    Node **nodes = ARENA_ARRAY(l.m->arena, l.nodes.count, Node *);
    if (nodes && !l.scratch.failed && !l.m->arena->failed) {
        memcpy(nodes, l.nodes.items, l.nodes.count * sizeof *nodes);
        g->nodes = nodes;
        g->n_nodes = l.nodes.count;
    }
    arena_scratch_end(&l.scratch, l.m->arena);
}

void pass_rnn_layers(Model *m) {
    graph_count_uses(m);
    graph_each(m->graph, visit, m);
    replace_values(m);
}
