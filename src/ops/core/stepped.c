/* Operators that no file has: see stepped.h. */
#include "ops/core/stepped.h"

Node *stepped_node(Model *m, const Node *at, const char *domain, const char *op,
                   Value *const *in, uint32_t count, Str hint) {
    Node *n = node_beside(m, at, count, 1, OP_MAX_ATTRS);
    Str name = arena_printf(m->arena, "%.*s/%u", (int)hint.n, hint.p, m->value_count);
    Value *v = n ? value_new(m, at->graph, VALUE_NODE, name) : NULL;
    const OpDef *def = op_find(str_from(domain), str_from(op), OP_NEWEST_OPSET);
    if (!v || !def)
        return NULL;
    node_set_op(n, def);
    node_make(n, 0, v);
    for (uint32_t k = 0; k < count; k++)
        n->in[k] = in[k];
    return n;
}

Node *stepped_number(Model *m, const Node *at, const StepPlace *place, Value *sizes) {
    Value *in[] = {place->position, sizes, place->length, place->tokens};
    return stepped_node(m, at, OP_INTERNAL, "AtPosition", in, OX_COUNT(in),
                        sizes->name);
}

/* ---- the operators ----------------------------------------------------------------- */

/* The array without the places of the new tokens, of which only the shape is read. */
static void infer_before(Model *m, Node *n) {
    Shape past, ids;
    int axis = (int)attr_int(n, "axis"), tokens = (int)attr_int(n, "tokens_axis");
    if (!in_shape(n, 0, &past) || !in_shape(n, 1, &ids))
        return;
    past.d[axis] = dim_sub(&m->dims, past.d[axis], ids.d[tokens]);
    set_type(m, n, 0, in_dtype(n, 0), &past);
}

static void emit_before(Emit *e) {
    emit_fail(e, OX0201, "this is a defect of the compiler: please report it",
              "the array of a cache is read as it was before the step");
}

static void infer_at_position(Model *m, Node *n) {
    Shape s;
    if (in_shape(n, 1, &s))
        set_type(m, n, 0, in_dtype(n, 1), &s);
    else
        set_unranked(m, n, 0, in_dtype(n, 1));
}

/* x + by, without what changes nothing. */
static const Expr *moved(Emit *e, const Expr *x, Dim by) {
    Arena *a = emit_arena(e);
    if (dim_is(by, 0))
        return x;
    if (dim_is_int(by) && by.c < 0)
        return EX(a, "$0 - $1", x, ex_int(a, -by.c));
    return EX(a, "$0 + $1", x, emit_dim(e, by));
}

/* The length of the cache in d is position + tokens. */
static const Expr *number_at(Emit *e, const Expr *position, Dim d) {
    Arena *a = emit_arena(e);
    Dims *ds = &emit_model(e)->dims;
    const Node *n = emit_node(e);
    Dim length = in_known(n, 2)->ints[0], tokens = in_known(n, 3)->ints[0], rest = d;
    int64_t times;
    if (!dim_take_linear(ds, &rest, length, &times)) {
        emit_fail(e, OX0302, "", "a number is no multiple of the length of the cache");
        return ex_int(a, 0);
    }
    if (times == 0)
        return emit_dim(e, d);
    const Expr *x =
        times == 1 ? position : EX(a, "$0 * $1", position, ex_int(a, times));
    return moved(e, x, dim_add(ds, rest, dim_mul(ds, dim_int(times), tokens)));
}

static void emit_at_position(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Known *k = in_known(n, 1);
    const Expr *items[64];
    if (!k || !k->ints || k->n > OX_COUNT(items) || !in_known(n, 2) ||
        !in_known(n, 3)) {
        emit_fail(e, OX0302, "", "a number that follows from the past is not known");
        return;
    }
    const Expr *position = k->n > 1 ? emit_in_named(e, 0) : emit_in(e, 0);
    for (size_t i = 0; i < k->n; i++)
        items[i] = number_at(e, position, k->ints[i]);
    DType dtype = n->out[0]->type.dtype;
    const Expr *x = in_rank(n, 1) == 0
                        ? items[0]
                        : EX(a, "jnp.array($0)", ex_seq(a, EX_LIST, items, k->n));
    if (dtype != in_dtype(n, 0))
        x = EX(a, "$0.astype($1)", x, emit_dtype(e, dtype));
    emit_out(e, 0, x);
}

/* clang-format off */
#define INTERNAL .domain = OP_INTERNAL, .since = 1

static const OpDef ops[] = {
    {.name = "BeforeStep", INTERNAL, .in = "past ids", .out = "before",
     .attrs = {INT_REQ("axis"), INT_REQ("tokens_axis")}, .infer = infer_before,
     .emit = emit_before},
    {.name = "AtPosition", INTERNAL, .in = "position sizes length tokens",
     .out = "number", .fixed = "sizes length tokens", .infer = infer_at_position,
     .emit = emit_at_position},
};
/* clang-format on */

const OpFamily ops_stepped = FAMILY(ops);
