/* Operators that no file has: see padded.h. */
#include "ops/core/padded.h"

/* ---- making nodes ------------------------------------------------------------------ */

static void add_int(Node *n, const char *name, int64_t v) {
    n->attrs[n->n_attrs++] = attr_of_int(str_from(name), v);
}

/* A node of this operator with room for `count` inputs; its output is named after
 * `hint`. */
static Node *make(Model *m, const Node *at, const char *op, uint32_t count, Str hint) {
    Node *n = node_beside(m, at, count, 1, OP_MAX_ATTRS);
    Str name = arena_printf(m->arena, "%.*s/%u", (int)hint.n, hint.p, m->value_count);
    Value *v = n ? value_new(m, at->graph, VALUE_NODE, name) : NULL;
    const OpDef *def = op_find(STR(OP_INTERNAL), str_from(op), OP_NEWEST_OPSET);
    if (!v || !def)
        return NULL;
    node_set_op(n, def);
    node_make(n, 0, v);
    return n;
}

/* Input or output of that name; an output that the file leaves out is made. */
static Value *value_named(Model *m, Node *n, Str name) {
    const char *spec = n->op->out;
    int k = op_input_index(n->op, name);
    if (k >= 0)
        return node_in(n, k);
    OpSlot slot;
    uint32_t count = 0;
    while (op_spec_next(&spec, &slot) && !str_eq(slot.name, name))
        count++;
    if (count >= n->n_out) {
        Value **out = ARENA_ARRAY(m->arena, count + 1, Value *);
        if (!out)
            return NULL;
        memcpy(out, n->out, n->n_out * sizeof *out);
        n->out = out;
        n->n_out = count + 1;
    }
    if (!n->out[count]) {
        Str made =
            arena_printf(m->arena, "%.*s/%u", (int)name.n, name.p, m->value_count);
        Value *v = value_new(m, n->graph, VALUE_NODE, made);
        if (v)
            node_make(n, count, v);
    }
    return n->out[count];
}

Node *padded_count(Model *m, Node *at, int64_t bound) {
    enum { COUNTED_MAX = 4 };
    Node *n = make(m, at, at->op->count, COUNTED_MAX, STR("count"));
    const char *spec = n ? n->op->in : "";
    OpSlot slot;
    uint32_t k = 0;
    while (k < COUNTED_MAX && op_spec_next(&spec, &slot))
        n->in[k++] = value_named(m, at, slot.name);
    if (n)
        n->n_in = k;
    if (n && op_attr(n->op, STR("most")))
        add_int(n, "most", bound);
    return n;
}

static void add_length(Node *n, PaddedLength length) {
    add_int(n, "times", length.times);
    add_int(n, "plus", length.plus);
}

Node *padded_fill(Model *m, Node *at, Value *x, Value *count, int axis,
                  PaddedLength length, OpPast past) {
    Node *n = x ? make(m, at, "KeepFirst", 2, x->name) : NULL;
    if (!n)
        return NULL;
    n->in[0] = x;
    n->in[1] = count;
    add_length(n, length);
    add_int(n, "axis", axis);
    add_int(n, "past", past);
    return n;
}

Node *padded_number(Model *m, const Node *at, Value *count, const Value *sizes,
                    const Symbol *s, PaddedSplit split) {
    Node *n = make(m, at, "EntryCount", 1, sizes->name);
    size_t total = sizes->known ? sizes->known->n : 0;
    int64_t *times = ARENA_ARRAY(m->arena, total, int64_t);
    int64_t *plus = ARENA_ARRAY(m->arena, total, int64_t);
    if (!n || !times || !plus)
        return NULL;
    for (size_t i = 0; i < total; i++) {
        PaddedLength length;
        if (!split(sizes->known->ints[i], s, &length))
            return NULL;
        times[i] = length.times;
        plus[i] = length.plus;
    }
    n->in[0] = count;
    n->attrs[n->n_attrs++] = attr_of_ints(m->arena, STR("times"), times, total);
    n->attrs[n->n_attrs++] = attr_of_ints(m->arena, STR("plus"), plus, total);
    add_int(n, "rank", sizes->type.rank);
    add_int(n, "dtype", sizes->type.dtype);
    return n;
}

Node *padded_rescale(Model *m, Node *at, Value *count, PaddedLength length,
                     int64_t bound) {
    Value *result = at->out[0];
    Node *n = make(m, at, "RescaleMean", 2, result->name);
    if (!n)
        return NULL;
    Value *whole = n->out[0];
    node_make(at, 0, whole);
    node_make(n, 0, result);
    n->in[0] = whole;
    n->in[1] = count;
    add_length(n, length);
    add_int(n, "size", length.times * bound + length.plus);
    return n;
}

/* ---- the operators ----------------------------------------------------------------- */

void infer_entry_count(Model *m, Node *n) {
    set_type(m, n, 0, DT_INT64, &(Shape){.rank = 0});
}

static void infer_number(Model *m, Node *n) {
    Ints times;
    Shape s = {.rank = (int)attr_int(n, "rank")};
    if (s.rank == 1 && attr_ints(n, "times", &times))
        s.d[0] = dim_int((int64_t)times.n);
    set_type(m, n, 0, (DType)attr_int(n, "dtype"), &s);
}

/* times * count + plus, without what changes nothing. */
static const Expr *linear(Emit *e, const Expr *count, int64_t times, int64_t plus) {
    Arena *a = emit_arena(e);
    if (times == 0)
        return ex_int(a, plus);
    const Expr *x = times == 1 ? count : EX(a, "$0 * $1", count, ex_int(a, times));
    return plus == 0  ? x
           : plus > 0 ? EX(a, "$0 + $1", x, ex_int(a, plus))
                      : EX(a, "$0 - $1", x, ex_int(a, -plus));
}

static const Expr *length_of(Emit *e) {
    const Node *n = emit_node(e);
    return linear(e, emit_in(e, 1), attr_int(n, "times"), attr_int(n, "plus"));
}

static void emit_entry_count(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *items[sizeof(Ints) / sizeof(int64_t)];
    Ints times, plus;
    if (!attr_ints(n, "times", &times) || !attr_ints(n, "plus", &plus))
        return;
    const Expr *count = times.n > 1 ? emit_in_named(e, 0) : emit_in(e, 0);
    for (size_t i = 0; i < times.n; i++)
        items[i] = linear(e, count, times.v[i], plus.v[i]);
    const Expr *x = attr_int(n, "rank") == 0
                        ? items[0]
                        : EX(a, "jnp.array($0)", ex_seq(a, EX_LIST, items, times.n));
    DType dtype = n->out[0]->type.dtype; /* counts have JAX's usual type */
    if (dtype != DT_INT64)
        x = EX(a, "$0.astype($1)", x, emit_dtype(e, dtype));
    emit_out(e, 0, x);
}

/* What stands behind the end, in the type of the data. */
static const Expr *filler(Emit *e) {
    Arena *a = emit_arena(e);
    DType dtype = in_dtype(emit_node(e), 0);
    const Expr *infinity = ex_name(a, STR("jnp.inf"));
    bool is_float = dtype_is_float(dtype);
    OpPast past = (OpPast)attr_int(emit_node(e), "past");
    if (dtype == DT_BOOL)
        return ex_bool(a, past == PAST_ONE || past == PAST_HIGHEST);
    bool end = past == PAST_LOWEST || past == PAST_HIGHEST;
    const Expr *limits = /* of the type that JAX's mode gives it */
        end && !is_float ? EX(a, "jnp.iinfo($0.dtype)", emit_in_named(e, 0)) : NULL;
    switch (past) {
    case PAST_ONE:
        return ex_int(a, 1);
    case PAST_LOWEST:
        return is_float ? EX(a, "-$0", infinity) : EX(a, "$0.min", limits);
    case PAST_HIGHEST:
        return is_float ? infinity : EX(a, "$0.max", limits);
    case PAST_OUTSIDE:
        return ex_int(a, INT32_MAX);
    default:
        return NULL;
    }
}

static void emit_keep_first(Emit *e) {
    Arena *a = emit_arena(e);
    int64_t axis = attr_int(emit_node(e), "axis");
    const Expr *fill = filler(e);
    emit_out(e, 0,
             EX(a, "keep_first($0, $1$(, axis=$2)$(, fill=$3))", emit_in(e, 0),
                length_of(e), axis ? ex_int(a, axis) : NULL, fill));
}

static void emit_rescale(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *size = ex_int(a, attr_int(emit_node(e), "size"));
    emit_out(e, 0, EX(a, "$0 * $1 / $2", emit_in(e, 0), size, length_of(e)));
}

/* clang-format off */
#define INTERNAL .domain = OP_INTERNAL, .since = 1
#define LENGTH INT_REQ("times"), INT_REQ("plus")

static const OpDef ops[] = {
    {.name = "KeepFirst", INTERNAL, .in = "data count", .out = "kept",
     .attrs = {LENGTH, INT_REQ("axis"), INT_REQ("past")},
     .infer = infer_same, .emit = emit_keep_first},
    {.name = "EntryCount", INTERNAL, .in = "count", .out = "number",
     .attrs = {INTS_REQ("times"), INTS_REQ("plus"), INT_REQ("rank"), INT_REQ("dtype")},
     .infer = infer_number, .emit = emit_entry_count},
    {.name = "RescaleMean", INTERNAL, .in = "data count", .out = "mean",
     .attrs = {LENGTH, INT_REQ("size")}, .infer = infer_same, .emit = emit_rescale},
};
/* clang-format on */

const OpFamily ops_padded = FAMILY(ops);
