/* Sequences and optionals.  A sequence is a Python list of arrays, an optional an array,
 * a list or None; JAX sees their items while it traces, so positions are Python ints and
 * the length of a list is one, too.
 * Source: ONNX operators Sequence*, SplitToSequence, ConcatFromSequence, Optional*. */
#include "ops/core/nested.h"

/* ---- types ----------------------------------------------------------------------- */

/* The type of what sequence input i holds; reports OX0401 when it is no sequence. */
static bool in_elem(Model *m, const Node *n, int i, Type *elem) {
    const Type *t = &node_in(n, i)->type;
    *elem = type_elem(t);
    if (t->kind == TYPE_SEQUENCE && elem->kind == TYPE_TENSOR)
        return true;
    bool unknown = t->kind == TYPE_TENSOR && t->rank < 0 && !t->dtype;
    if (!unknown)
        node_error(m, n, OX0401, "", "input %d is not a sequence of tensors", i);
    *elem = (Type){.rank = -1};
    return unknown;
}

static bool is_tensor(Model *m, const Node *n, int i) {
    if (node_in(n, i)->type.kind == TYPE_TENSOR)
        return true;
    node_error(m, n, OX0401, "", "input %d is not a tensor", i);
    return false;
}

/* Makes the elements of output 0 general enough for t, too. */
static void widen_elem(Model *m, Node *n, const Type *t) {
    Type sequence = {.kind = TYPE_SEQUENCE, .rank = -1, .elem = t};
    if (node_out(n, 0))
        (void)type_widen(m, n->out[0], &sequence);
}

static void infer_construct(Model *m, Node *n) {
    set_container(m, n, 0, TYPE_SEQUENCE, &n->in[0]->type);
    for (uint32_t i = 1; i < n->n_in; i++)
        widen_elem(m, n, &n->in[i]->type);
}

static void infer_empty(Model *m, Node *n) {
    int64_t dtype = attr_has(n, "dtype") ? attr_int(n, "dtype") : DT_FLOAT;
    Type elem = {.dtype = dtype_from_onnx(dtype), .rank = RANK_EMPTY};
    set_container(m, n, 0, TYPE_SEQUENCE, &elem);
}

static void infer_insert(Model *m, Node *n) {
    Type elem;
    if (!in_elem(m, n, 0, &elem) || !is_tensor(m, n, 1))
        return;
    set_container(m, n, 0, TYPE_SEQUENCE, &elem);
    widen_elem(m, n, &n->in[1]->type);
}

static void infer_erase(Model *m, Node *n) {
    Type elem;
    if (in_elem(m, n, 0, &elem))
        set_container(m, n, 0, TYPE_SEQUENCE, &elem);
}

/* [a, b] and x -> [a, b, x] */
static const Expr *append(Arena *a, const Expr *list, const Expr *x) {
    if (list->kind != EX_LIST)
        return EX(a, "[*$0, $1]", list, x);
    const Expr **items = ARENA_ARRAY(a, (size_t)list->n + 1, const Expr *);
    for (uint32_t i = 0; items && i < list->n; i++)
        items[i] = list->kids[i];
    if (!items)
        return list;
    items[list->n] = x;
    return ex_seq(a, EX_LIST, items, (size_t)list->n + 1);
}

/* A position as a Python int; NULL when absent. */
static const Expr *emit_position(Emit *e, int in) {
    const Known *k = in_known(emit_node(e), in);
    const Value *v = node_in(emit_node(e), in);
    if (v && k && k->n == 1 && k->ints)
        return emit_dim(e, k->ints[0]);
    if (v)
        emit_not_jittable(e, "needs a run-time value as a position");
    return v ? EX(emit_arena(e), "$0.item()", emit_in(e, in)) : NULL;
}

static void emit_insert(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *list = emit_in(e, 0), *x = emit_in(e, 1);
    const Expr *position = emit_position(e, 2);
    emit_out(e, 0,
             position ? EX(a, "insert_at($0, $1, $2)", list, x, position)
                      : append(a, list, x));
}

static void emit_erase(Emit *e) {
    const Expr *list = emit_in(e, 0), *position = emit_position(e, 1);
    emit_out(e, 0,
             position ? EX(emit_arena(e), "erase_at($0, $1)", list, position)
                      : EX(emit_arena(e), "$0[:-1]", list));
}

/* [a, b][1] is b; NULL when the item cannot be told. */
static const Expr *listed_item(const Expr *list, const Expr *position) {
    if (list->kind != EX_LIST || position->kind != EX_INT)
        return NULL;
    for (uint32_t i = 0; i < list->n; i++)
        if (list->kids[i]->kind == EX_UNARY && str_is(list->kids[i]->text, "*"))
            return NULL;
    int64_t at = position->i + (position->i < 0 ? (int64_t)list->n : 0);
    return at >= 0 && at < (int64_t)list->n ? list->kids[at] : NULL;
}

static void emit_split(Emit *e);
static bool drops_axis(const Node *n);

/* Of a list that SplitToSequence has made of an array, where it is written in place:
 * list(array)[1] is array[1]. */
static const Expr *array_of(const Value *v, const Expr *list) {
    const Node *made = v->def;
    bool rows = made && made->op && made->op->emit == emit_split && drops_axis(made);
    return rows && list->kind == EX_CALL ? list->kids[1] : list;
}

static void emit_at(Emit *e) {
    const Expr *list = emit_in(e, 0), *position = emit_position(e, 1);
    const Expr *item = listed_item(list, position);
    const Expr *rows = array_of(node_in(emit_node(e), 0), list);
    emit_out(e, 0, item ? item : EX(emit_arena(e), "$0[$1]", rows, position));
}

static void infer_at(Model *m, Node *n) {
    Type elem;
    if (in_elem(m, n, 0, &elem))
        set_moved(m, n, 0, &elem);
}

/* The number that code reads from value v itself: see SYMBOL_SELF. */
static void set_own_number(Model *m, Node *n, DType dtype, Value *v) {
    Known *k = known_new(m, dtype, 1);
    if (!k)
        return;
    known_ints(k)[0] = dim_symbol(&m->dims, STR(""), v, SYMBOL_SELF);
    set_known(n, 0, k);
}

static void infer_length(Model *m, Node *n) {
    Type elem;
    set_type(m, n, 0, DT_INT64, &(Shape){0});
    if (in_elem(m, n, 0, &elem) && n->in[0]->type.kind == TYPE_SEQUENCE)
        set_own_number(m, n, DT_INT64, n->in[0]);
}

/* ---- SplitToSequence, ConcatFromSequence ----------------------------------------- */

/* Pieces have this size, the last one less perhaps; false: a list says, or it is only
 * known at run time. */
static bool piece_size(const Node *n, Dim *size) {
    const Value *split = node_in(n, 1);
    *size = dim_int(1);
    if (!split)
        return true;
    bool one = split->type.rank == 0 && split->known && split->known->n == 1;
    if (one)
        *size = split->known->ints[0];
    return one;
}

static bool drops_axis(const Node *n) {
    return !node_in(n, 1) && attr_int(n, "keepdims") == 0;
}

/* Into how many pieces of one size the axis is split; false when that is not known or
 * the last is smaller. */
static bool count_pieces(Model *m, const Node *n, Dim *size, Dim *count) {
    Shape s;
    int axis;
    return piece_size(n, size) && in_shape(n, 0, &s) &&
           fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis) && !dim_is(*size, 0) &&
           dim_divide(&m->dims, s.d[axis], *size, count);
}

static Type piece_type(Model *m, const Node *n, Value *v) {
    Type t = {.dtype = in_dtype(n, 0), .rank = -1};
    Shape s;
    Dim size, count;
    int axis;
    if (!in_shape(n, 0, &s) || !fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis))
        return t;
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)s.rank, Dim);
    if (!dims)
        return t;
    s.d[axis] = count_pieces(m, n, &size, &count) ? size : value_symbol(m, v, axis);
    for (int i = 0; i < s.rank; i++)
        if (i != axis || !drops_axis(n))
            dims[++t.rank] = s.d[i];
    t.rank++;
    t.dims = dims;
    return t;
}

static void infer_split(Model *m, Node *n) {
    if (!node_out(n, 0))
        return;
    Type t = piece_type(m, n, n->out[0]);
    set_container(m, n, 0, TYPE_SEQUENCE, &t);
}

/* The places to cut between pieces of the known sizes; NULL when they are not known. */
static const Expr *cuts(Emit *e, const Node *n) {
    const Value *split = node_in(n, 1);
    const Known *k = split ? split->known : NULL;
    if (!k || !k->ints || !k->n)
        return NULL;
    const Expr **items = ARENA_ARRAY(emit_arena(e), k->n, const Expr *);
    Dim end = dim_int(0);
    for (size_t i = 0; items && i + 1 < k->n; i++) {
        end = dim_add(&emit_model(e)->dims, end, k->ints[i]);
        items[i] = emit_dim(e, end);
    }
    return items ? ex_seq(emit_arena(e), EX_LIST, items, k->n - 1) : NULL;
}

static const Expr *emit_pieces(Emit *e) {
    const Node *n = emit_node(e);
    Arena *a = emit_arena(e);
    const Expr *x = emit_in(e, 0), *places;
    const Expr *axis = attr_int(n, "axis") ? ex_int(a, attr_int(n, "axis")) : NULL;
    Dim size, count;
    bool listed = node_in(n, 1) && n->in[1]->type.rank != 0;
    if (drops_axis(n))
        return axis ? EX(a, "list(jnp.moveaxis($0, $1, 0))", x, axis)
                    : EX(a, "list($0)", x);
    if (count_pieces(emit_model(e), n, &size, &count))
        return EX(a, "jnp.split($0, $1$(, axis=$2))", x, emit_dim(e, count), axis);
    if (!listed)
        return EX(a, "split_every($0, $1$(, axis=$2))", x,
                  node_in(n, 1) ? emit_ints(e, "split") : ex_int(a, 1), axis);
    if ((places = cuts(e, n)))
        return EX(a, "jnp.split($0, $1$(, axis=$2))", x, places, axis);
    return EX(a, "split_sizes($0, $1$(, axis=$2))", x, emit_ints(e, "split"), axis);
}

static void emit_split(Emit *e) {
    emit_out(e, 0, emit_pieces(e));
}

static void infer_concat(Model *m, Node *n) {
    Type elem;
    Shape s;
    int axis, stack = attr_int(n, "new_axis") != 0;
    if (!in_elem(m, n, 0, &elem))
        return;
    s.rank = elem.rank < 0 || elem.rank + stack > OX_MAX_RANK ? -1 : elem.rank + stack;
    if (s.rank < 0 || !fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis)) {
        set_unranked(m, n, 0, elem.dtype);
        return;
    }
    for (int i = 0, k = 0; i < s.rank; i++) {
        bool joined = i == axis;
        s.d[i] = joined ? fresh_dim(m, n, 0, i) : elem.dims[k];
        k += !joined || !stack;
    }
    set_type(m, n, 0, elem.dtype, &s);
    if (node_out(n, 0))
        set_moved(m, n, 0, &n->out[0]->type);
}

static void emit_concat(Emit *e) {
    bool stack = attr_int(emit_node(e), "new_axis") != 0;
    emit_out(e, 0,
             emit_template(e, stack ? "jnp.stack($input_sequence$(, axis=$axis|0))"
                                    : "jnp.concatenate($input_sequence"
                                      "$(, axis=$axis|0))"));
}

/* ---- SequenceMap ----------------------------------------------------------------- */

static Graph *map_body(Model *m, const Node *n) {
    Graph *body = attr_graph(n, "body");
    if (body && body->n_inputs == n->n_in && body->n_outputs >= n->n_out)
        return body;
    node_error(m, n, OX0303, "", "the body's inputs and outputs do not fit");
    return NULL;
}

static void infer_map(Model *m, Node *n) {
    Graph *body = map_body(m, n);
    if (!body)
        return;
    for (uint32_t i = 0; i < n->n_in; i++) {
        Value *v = body->inputs[i];
        Type t = n->in[i]->type;
        if (t.kind == TYPE_SEQUENCE && !in_elem(m, n, (int)i, &t))
            return;
        v->type = type_moved(m, &t, v);
    }
    infer_subgraph(m, body);
    for (uint32_t k = 0; k < n->n_out; k++)
        set_container(m, n, (int)k, TYPE_SEQUENCE, &body->outputs[k]->type);
}

/* list(map(body, xs, ys)), a tensor repeated for each item. */
static void emit_map(Emit *e) {
    const Node *n = emit_node(e);
    Arena *a = emit_arena(e);
    Graph *body = map_body(emit_model(e), n);
    const Expr **args = ARENA_ARRAY(a, (size_t)n->n_in + 1, const Expr *);
    if (!body || !args)
        return;
    if (graph_is_random(body)) {
        emit_fail(e, OX0302, "", "random operators in the body are not supported");
        return;
    }
    for (uint32_t i = 0; i < n->n_in; i++) {
        args[i + 1] = emit_in_named(e, (int)i);
        if (n->in[i]->type.kind != TYPE_SEQUENCE)
            args[i + 1] = EX(a, "[$0] * len($1)", args[i + 1], args[1]);
    }
    args[0] = emit_subgraph(e, body, "body", false);
    const Expr *mapped = ex_call(a, ex_name(a, STR("map")), args, (size_t)n->n_in + 1);
    if (body->n_outputs == 1) {
        emit_out(e, 0, EX(a, "list($0)", mapped));
        return;
    }
    const Expr *rows = emit_let(e, "rows", EX(a, "list($0)", mapped));
    for (uint32_t k = 0; k < n->n_out; k++)
        emit_out(e, (int)k, EX(a, "column($0, $1)", rows, ex_int(a, k)));
}

/* ---- optionals ------------------------------------------------------------------- */

static void infer_optional(Model *m, Node *n) {
    const Attr *type = attr_get(n, "type");
    Type elem = {.rank = -1};
    if (node_in(n, 0))
        elem = n->in[0]->type;
    else if (type && type->tp && n->out[0])
        elem = *type->tp;
    if (elem.kind == TYPE_OPTIONAL) {
        node_error(m, n, OX0401, "", "an optional cannot hold an optional");
        return;
    }
    set_container(m, n, 0, TYPE_OPTIONAL, &elem);
}

static void infer_get(Model *m, Node *n) {
    Type t = n->in[0]->type;
    if (t.kind == TYPE_OPTIONAL)
        t = type_elem(&t);
    set_moved(m, n, 0, &t);
}

static void infer_has(Model *m, Node *n) {
    Value *v = node_in(n, 0);
    set_type(m, n, 0, DT_BOOL, &(Shape){0});
    bool made = v && v->def && v->def->op && v->def->op->infer == infer_optional;
    if (v && v->type.kind == TYPE_OPTIONAL && !made) {
        set_own_number(m, n, DT_BOOL, v);
        return;
    }
    Known *k = known_new(m, DT_BOOL, 1);
    if (!k)
        return;
    known_ints(k)[0] = dim_int(made ? node_in(v->def, 0) != NULL : v != NULL);
    set_known(n, 0, k);
}

static void emit_optional(Emit *e) {
    const Expr *x = emit_in(e, 0);
    emit_out(e, 0, x ? x : ex_none());
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define LISTS .facts = OP_CONTAINERS
static const OpDef ops[] = {
    {.name = "SequenceConstruct", .since = 11, .in = "inputs*", .out = "output_sequence",
     .infer = infer_construct, .jax = "$inputs"},
    {.name = "SequenceEmpty", .since = 11, .in = "", .out = "output",
     .attrs = {INT_OPT("dtype")}, .infer = infer_empty, .jax = "[]"},
    {.name = "SequenceInsert", .since = 11, .in = "input_sequence tensor position?",
     .out = "output_sequence", .fixed = "position", LISTS, .infer = infer_insert,
     .emit = emit_insert},
    {.name = "SequenceErase", .since = 11, .in = "input_sequence position?",
     .out = "output_sequence", .fixed = "position", LISTS, .infer = infer_erase,
     .emit = emit_erase},
    {.name = "SequenceAt", .since = 11, .in = "input_sequence position",
     .out = "tensor", .fixed = "position", LISTS, .infer = infer_at, .emit = emit_at},
    {.name = "SequenceLength", .since = 11, .in = "input_sequence", .out = "length",
     LISTS, .infer = infer_length, .jax = "jnp.array(len($input_sequence), int)"},
    {.name = "SplitToSequence", .since = 11, .in = "input split?",
     .out = "output_sequence", .fixed = "split",
     .attrs = {INT("axis", 0), INT("keepdims", 1)}, .infer = infer_split,
     .emit = emit_split},
    {.name = "ConcatFromSequence", .since = 11, .in = "input_sequence",
     .out = "concat_result", .attrs = {INT_REQ("axis"), INT("new_axis", 0)},
     LISTS, .infer = infer_concat, .emit = emit_concat},
    {.name = "SequenceMap", .since = 17, .in = "input_sequence additional_inputs?*",
     .out = "out_sequence*", .attrs = {ANY_REQ("body", ATTR_GRAPH)},
     LISTS, .infer = infer_map, .emit = emit_map},
    {.name = "Optional", .since = 15, .in = "input?", .out = "output",
     .attrs = {ANY_OPT("type", ATTR_TYPE)}, LISTS, .infer = infer_optional,
     .emit = emit_optional},
    {.name = "OptionalGetElement", .since = 15, .in = "input", .out = "output",
     LISTS, .infer = infer_get, .jax = "$input"},
    {.name = "OptionalHasElement", .since = 15, .until = 17, .in = "input",
     .out = "output", LISTS, .infer = infer_has, .jax = "jnp.array($input is not None)"},
    {.name = "OptionalHasElement", .since = 18, .in = "input?", .out = "output",
     LISTS, .infer = infer_has, .jax = "jnp.array($input is not None)"},
};
/* clang-format on */
const OpFamily ops_sequence = FAMILY(ops);
