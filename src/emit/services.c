/* The services that the callbacks of operators call (ops/core/op.h): inputs, types, literals
 * and outputs of the node that is being emitted, and its template. */
#include "emit/emit.h"
#include "ops/core/layout.h"
#include "ops/core/nested.h"
#include "ops/core/wide.h"

/* ---- services: inputs -------------------------------------------------------------- */

Arena *emit_arena(Emit *e) {
    return e->g->arena;
}
Model *emit_model(Emit *e) {
    return e->g->m;
}
Node *emit_node(Emit *e) {
    return e->node;
}

/* JAX has no arrays of 6-bit floats; what Cast makes of them lies in wider ones. */
bool gen_is_unwritable(const Value *v) {
    const DTypeInfo *info = dtype_info(v->type.dtype);
    return v->type.kind == TYPE_TENSOR && info->cls == DC_FLOAT && !info->python;
}

/* Strings and other constants without elements have no code. */
static bool has_code(Emit *e, const Value *v) {
    bool counts = v->tensor && v->tensor->dtype != DT_STRING; /* see VALUE_CONST */
    bool written = v->kind != VALUE_CONST || v->known || v->splat || counts;
    if (written && (v->def || v->kind == VALUE_INPUT || !gen_is_unwritable(v)))
        return true;
    emit_fail(e, OX0302, "", "tensor \"%.*s\" of type %s cannot be written as code",
              (int)v->name.n, v->name.p, dtype_info(v->type.dtype)->name);
    return false;
}

const Expr *gen_number(Gen *g, Value *v) {
    const Expr *x = gen_known_number(g, v, 0);
    if (x)
        return x;
    Emit e = {.g = g, .node = v->def, .ints = true};
    e.outs = ARENA_ARRAY(g->arena, v->def->n_out, const Expr *);
    if (!e.outs)
        return ex_none();
    run_emit(&e, false);
    x = e.outs[v->out_index] ? e.outs[v->out_index] : ex_none();
    return gen_note_node(g, x, v->def);
}

bool emit_as_number(const Emit *e) {
    return e->ints;
}

const Expr *emit_number(Emit *e, int i) {
    return gen_number(e->g, value_final(node_in(e->node, i)));
}

/* One that pass_weights has left, for its size: a barrier keeps XLA from folding it. */
static bool is_contracted_literal(const Node *n, const Value *v, int i) {
    return n->op->facts & OP_CONTRACTS && i < 2 && v->kind == VALUE_CONST &&
           v->type.rank > 0 && dtype_is_float(v->type.dtype);
}

/* Each input asks, and there may be many. */
static int largest_rank(Emit *e) {
    int rank = -1;
    for (uint32_t i = 0; !e->widest && i < e->node->n_in; i++)
        if (in_rank(e->node, (int)i) > rank)
            rank = in_rank(e->node, (int)i);
    if (!e->widest)
        e->widest = rank + 2;
    return e->widest - 2;
}

/* x[None, None]: with axes of size 1 in front.  JAX lets scalars pass. */
static const Expr *with_rank(Emit *e, const Expr *x, int from, int rank) {
    enum { LIFT_MAX = 8 };
    int more = rank - from;
    if (from < 1 || more < 1 || more > LIFT_MAX)
        return x;
    const Expr *items[OX_MAX_RANK] = {NULL};
    for (int i = 0; i < more; i++)
        items[i] = ex_none();
    return ex_subscript(e->g->arena, x, items, rank);
}

/* What broadcasting does in silence, unless jax_numpy_rank_promotion is "raise". */
const Expr *emit_lift(Emit *e, const Expr *x, int from, int rank) {
    bool raise = e->g->options->rank_promotion == OX_RANKS_RAISE;
    return x && raise ? with_rank(e, x, from, rank) : x;
}

static int rank_of(const Value *v) {
    return v->type.kind == TYPE_TENSOR ? v->type.rank : -1;
}

/* Input i broadcasts with the others, whatever their ranks are. */
static bool is_lifted(const Node *n, int i) {
    OpSlot slot;
    if (n->op->facts & OP_BROADCAST)
        return true;
    Str name = n->op->lifted ? op_input_name(n->op, (uint32_t)i) : (Str){0};
    return name.n && op_spec_find(n->op->lifted, name, &slot) >= 0;
}

/* The code of input i, spliced where that is possible. */
static const Expr *input_code(Emit *e, int i) {
    Value *v = node_in(e->node, i);
    ValueCode *c = &e->g->code[v->id];
    bool splice = e->splice && v->kind == VALUE_NODE && c->state == VS_PENDING &&
                  c->reads == 1 &&
                  v->graph == e->node->graph && /* not into a loop's body */
                  e->n_spliced < SPLICE_MAX && e->ops + c->ops < LINE_OPS_MAX;
    if (splice) {
        e->spliced[e->n_spliced++] = v;
        e->ops += c->ops;
    }
    return gen_value(e->g, v, splice);
}

/* ---- services: run-time types ------------------------------------------------------ */

static bool is_spliced(const Emit *e, const Value *v) {
    for (size_t i = 0; i < e->n_spliced; i++)
        if (e->spliced[i] == v)
            return true;
    return false;
}

const Expr *emit_dtype_of(Emit *e, int i) {
    const Value *v = value_final(node_in(e->node, i));
    if (!v->follows)
        return emit_dtype(e, v->type.dtype);
    e->respell |= is_spliced(e, v);
    bool splice = e->splice;
    e->splice = false;
    const Expr *x = input_code(e, i);
    e->splice = splice;
    return EX(e->g->arena, "$0.dtype", x);
}

/* Input i in the type that it has when the code runs: see passes/follow.c. */
static const Expr *typed_input(Emit *e, int i) {
    const Value *given = value_final(node_in(e->node, i));
    if (e->node->is_exact && given->follows) {
        const Expr *exact = emit_dtype(e, given->type.dtype);
        return ex_astype(e->g->arena, input_code(e, i), exact);
    }
    int other = node_type_giver(e->node, i);
    if (other < 0)
        return input_code(e, i);
    Value *v = value_final(node_in(e->node, i));
    if (v->kind == VALUE_CONST)
        return gen_literal_as(e->g, v, emit_dtype_of(e, other));
    const Expr *x = input_code(e, i), *dtype = emit_dtype_of(e, other);
    return v->holds_limit ? EX(e->g->arena, "cast_finite($0, $1)", x, dtype)
                          : ex_astype(e->g->arena, x, dtype);
}

const Expr *emit_in(Emit *e, int i) {
    Value *v = node_in(e->node, i);
    if (!v)
        return NULL;
    if (e->ints)
        return gen_number(e->g, v);
    if (!has_code(e, v))
        return ex_none();
    const Expr *x = typed_input(e, i);
    if (v->kind == VALUE_CONST && wide_of(v) != WIDE_NONE)
        x = wide_use(e->node, i) == WIDE_REFUSED ? gen_literal(e->g, v)
                                                 : gen_saturated(e->g, v);
    if (is_contracted_literal(e->node, v, i))
        return EX(e->g->arena, "jax.lax.optimization_barrier($0)", x);
    return is_lifted(e->node, i) ? emit_lift(e, x, rank_of(v), largest_rank(e)) : x;
}

const Expr *emit_in_lifted(Emit *e, int i, int rank) {
    const Value *v = node_in(e->node, i);
    return v ? emit_lift(e, emit_in(e, i), rank_of(v), rank) : NULL;
}

const Expr *emit_in_of_rank(Emit *e, int i, int rank) {
    const Value *v = node_in(e->node, i);
    return v ? with_rank(e, emit_in(e, i), rank_of(v), rank) : NULL;
}

const Expr *emit_in_named(Emit *e, int i) {
    bool splice = e->splice;
    e->splice = false;
    const Expr *x = emit_in(e, i);
    e->splice = splice;
    /* ends of a 64-bit type are a call where others have a literal */
    const Value *v = node_in(e->node, i);
    bool ends = x && x->kind == EX_CALL && v && wide_of(v) == WIDE_ENDS;
    return ends ? emit_let(e, "limits", x) : x;
}

const Expr *emit_in_form(Emit *e, int i) {
    const char *form = e->node->op->form ? e->node->op->form(e->node, i) : NULL;
    const Expr *x = emit_in(e, i);
    if (!form)
        node_defect(e->node, "input %d has no form", i);
    if (!x || !form)
        return x;
    Arena *a = e->g->arena;
    if (gen_is_prepared(e->g, e->node, i) && x->kind == EX_INDEX)
        return gen_note_read(
            e->g,
            EX(a, "$0($1, $2)", ex_name(a, str_from(form)), x->kids[0], x->kids[1]),
            value_final(node_in(e->node, i)));
    return EX(a, "$0($1)", ex_name(a, arena_printf(a, "as_%s", form)), x);
}

static bool is_scalar_literal(const Value *v) {
    if (v->kind != VALUE_CONST || !v->splat)
        return false;
    if (v->splat->floats)
        return true;
    Dim d = v->splat->ints[0];
    int64_t least = dtype_info(v->type.dtype)->cls == DC_UINT ? 0 : INT32_MIN;
    return !dim_is_int(d) || (d.c >= least && d.c <= INT32_MAX);
}

/* v adds nothing to the shape of the result when broadcast with `other`. */
static bool is_covered(const Type *v, const Type *other) {
    if (v->rank < 0 || other->rank < v->rank)
        return false;
    for (int i = 0; i < v->rank; i++)
        if (!dim_is(v->dims[i], 1) &&
            !dim_eq(v->dims[i], other->dims[other->rank - v->rank + i]))
            return false;
    return true;
}

/* A Python scalar takes the type of an array beside it and has no shape of its own. */
static bool may_be_python_scalar(const Node *n, const Value *v) {
    bool typed = false, covered = false;
    for (int i = 0; n->n_in <= SCALARS_MAX && i < (int)n->n_in; i++) {
        const Value *other = node_in(n, i);
        if (!other || other == v || is_scalar_literal(other) ||
            (gen_is_size(v) && gen_is_size(other)))
            continue;
        typed |= other->type.dtype == v->type.dtype;
        covered |= is_covered(&v->type, &other->type);
    }
    return typed && covered;
}

const Expr *emit_operand(Emit *e, int i) {
    Value *v = node_in(e->node, i);
    if (v && gen_is_size(v) && may_be_python_scalar(e->node, v))
        return gen_dim(e->g, v->reals->items[0].num);
    if (!v || !is_scalar_literal(v) || !may_be_python_scalar(e->node, v)) {
        const Expr *x = emit_in(e, i);
        return !v || is_lifted(e->node, i)
                   ? x
                   : emit_lift(e, x, rank_of(v), largest_rank(e));
    }
    int other = v->holds_limit ? node_type_giver(e->node, i) : -1;
    return gen_scalar_as(e->g, v->splat, 0, v->type.dtype,
                         other < 0 ? NULL : emit_dtype_of(e, other));
}

/* What to do about a node that needs numbers at run time. */
static Str jit_hint(Emit *e) {
    const Value *v = node_out(e->node, 0);
    if (!e->node->op->padding || e->node->bound || !v)
        return gen_input_hint(e->g, e->node);
    return arena_printf(e->g->arena,
                        "--bound \"%.*s=N\" pads it to N, which makes it jittable",
                        (int)v->name.n, v->name.p);
}

void emit_not_jittable(Emit *e, const char *why) {
    if (e->g->traced) {
        emit_fail(e, OX0302, jit_hint(e).p,
                  "inside a loop or branch that JAX traces, %s", why);
        return;
    }
    Str where = node_where(e->g->m, e->node);
    Str text = arena_printf(e->g->arena, "%.*s %s", (int)where.n, where.p, why);
    size_t n = e->g->run_time.count;
    if (n && str_eq(e->g->run_time.items[n - 1].why, text))
        return;
    RunTime reason = {text, jit_hint(e)};
    (void)GEN_PUSH(e->g, &e->g->run_time, reason);
}

static const Expr *ints_of_known(Emit *e, const Value *v) {
    if (v->type.rank == 0)
        return gen_dim(e->g, v->known->ints[0]);
    return gen_dims(e->g, v->known->ints, v->known->n);
}

const Expr *emit_ints(Emit *e, const char *name) {
    Ints attr;
    const Attr *given = attr_get(e->node, name);
    if (given && given->type == ATTR_INT)
        return ex_int(e->g->arena, given->i);
    if (given && attr_ints(e->node, name, &attr))
        return ex_ints(e->g->arena, EX_TUPLE, attr.v, attr.n);
    Value *v = node_input(e->node, name);
    const OpAttr *declared = op_attr(e->node->op, str_from(name));
    if (!v)
        return declared && declared->has_default && declared->type == ATTR_INT
                   ? ex_int(e->g->arena, declared->i)
                   : NULL;
    if (v->known && (v->known->ints || !v->known->n))
        return ints_of_known(e, v);
    if (v->reals)
        return gen_numbers(e->g, v);
    emit_not_jittable(e, "needs run-time values as a shape");
    int index = op_input_index(e->node->op, str_from(name));
    const Expr *x = emit_in(e, index);
    return EX(e->g->arena, v->type.rank == 0 ? "$0.item()" : "tuple($0.tolist())", x);
}

const Expr *emit_plain(Emit *e, int i) {
    return gen_plain(e->g, node_in(e->node, i));
}

const Expr *emit_list(Emit *e, const char *name) {
    const Expr *x = emit_ints(e, name);
    const Value *v = node_input(e->node, name);
    return x && v && v->type.rank == 0 ? ex_seq(e->g->arena, EX_TUPLE, &x, 1) : x;
}

/* ---- services: shapes, types, literals --------------------------------------------- */

const Expr *emit_dim(Emit *e, Dim d) {
    return gen_dim(e->g, d);
}

const Expr *emit_reshaped_size(Emit *e, int axis) {
    const Node *n = e->node;
    return gen_reshaped_size(e->g, &value_final(n->in[0])->type, &n->out[0]->type,
                             axis);
}

const Expr *emit_shape(Emit *e, const Value *v) {
    if (v->type.rank >= 0)
        return gen_dims(e->g, v->type.dims, (size_t)v->type.rank);
    emit_fail(e, OX0403, "give the shapes of the inputs with --shape",
              "the rank of \"%.*s\" must be known", (int)v->name.n, v->name.p);
    return ex_none();
}

const Expr *emit_dtype(Emit *e, DType dtype) {
    if (!dtype_info(dtype)->python)
        emit_fail(e, OX0302, "", "JAX has no %s arrays", dtype_info(dtype)->name);
    return gen_dtype(e->g, dtype);
}

const Expr *emit_float(Emit *e, double value, DType dtype) {
    int bits = dtype_info(dtype)->bits;
    return ex_float(e->g->arena, value, bits < 16 ? 16 : bits > 64 ? 64 : bits);
}

/* Nodes may be generated twice; the first tensor of a name stays. */
const Expr *emit_tensor(Emit *e, const char *name, const Tensor *t, bool may_inline) {
    Gen *g = e->g;
    const Node *n = e->node;
    Str id = arena_printf(g->arena, "%u %s", n->index, name);
    Value *v = map_get(&g->tensors, id);
    if (!v) {
        Str base = n->name;
        for (uint32_t i = 0; !base.n && i < n->n_out; i++)
            base = n->out[i] ? n->out[i]->name : base;
        Str key = arena_printf(g->arena, "%.*s.%s", (int)base.n, base.p, name);
        v = value_new(g->m, n->graph, VALUE_PARAM, key);
        if (!v || !value_set_tensor(g->m, v, t, true) || !map_set(&g->tensors, id, v))
            return ex_none();
    }
    return may_inline && v->kind == VALUE_CONST ? gen_literal(g, v) : gen_param(g, v);
}

/* ---- services: outputs ------------------------------------------------------------- */

void emit_out(Emit *e, int k, const Expr *x) {
    if (k >= 0 && k < (int)e->node->n_out)
        e->outs[k] = x;
}

void emit_outs(Emit *e, const Expr *tuple) {
    e->tuple = tuple;
}

void emit_groups(Emit *e, const Expr *call, const int *counts, size_t n) {
    int *copy = ARENA_ARRAY(e->g->arena, n, int);
    if (!copy)
        return;
    memcpy(copy, counts, n * sizeof *copy);
    e->tuple = call;
    e->groups = copy;
    e->n_groups = n;
}

const Expr *emit_let(Emit *e, const char *hint, const Expr *x) {
    if (!x) {
        arena_defect(e->g->arena, "%s is given nothing (NULL)", hint);
        return ex_none();
    }
    Str name = gen_unique_name(e->g, str_from(hint));
    gen_statement(e->g, &e->g->scope->body, &name, 1, x);
    return ex_name(e->g->arena, name);
}

void emit_let_pair(Emit *e, const char *const hints[2], const Expr *x,
                   const Expr *out[2]) {
    Str names[2];
    for (int i = 0; i < 2; i++) {
        names[i] = hints[i] ? gen_unique_name(e->g, str_from(hints[i])) : STR("_");
        out[i] = hints[i] ? ex_name(e->g->arena, names[i]) : NULL;
    }
    gen_statement(e->g, &e->g->scope->body, names, 2, x);
}

const Expr *emit_key(Emit *e) {
    return gen_key(e->g, e->node);
}

const Expr *emit_bound(Emit *e) {
    return e->node->bound ? ex_int(e->g->arena, e->node->bound) : NULL;
}

bool emit_wants(Emit *e, int k) {
    const Value *v = node_out(e->node, k);
    return v && (e->g->code[v->id].reads || e->g->code[v->id].keep);
}

void emit_fail(Emit *e, DiagCode code, const char *hint, const char *fmt, ...) {
    if (e->failed)
        return;
    e->failed = true;
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(e->g->arena, fmt, args);
    va_end(args);
    Str given = code == OX0402 ? gen_input_hint(e->g, e->node) : STR("");
    node_error(e->g->m, e->node, code, given.n ? given.p : hint, "%.*s: %.*s",
               (int)e->node->op_type.n, e->node->op_type.p, (int)what.n, what.p);
}

/* ---- templates --------------------------------------------------------------------- */

typedef struct TemplateScope {
    Emit *e;
    const char *text;
} TemplateScope;

/* Attributes are float32; in double arithmetic all their digits count. */
static int attr_bits(const Node *n) {
    return in_dtype(n, 0) == DT_DOUBLE ? 64 : 32;
}

static const Expr *attr_expr(Emit *e, const char *name, AttrType type) {
    Arena *a = e->g->arena;
    Ints ints;
    switch (type) {
    case ATTR_INT:
        return ex_int(a, attr_int(e->node, name));
    case ATTR_FLOAT:
        return ex_float(a, attr_float(e->node, name), attr_bits(e->node));
    case ATTR_STRING:
        return ex_str(a, attr_str(e->node, name));
    case ATTR_INTS:
        return attr_ints(e->node, name, &ints) ? ex_ints(a, EX_TUPLE, ints.v, ints.n)
                                               : NULL;
    default:
        return NULL;
    }
}

/* All members of a variadic input as a list. */
static const Expr *variadic(Emit *e, int first) {
    const Expr *items[256];
    size_t n = 0;
    for (int i = first; i < (int)e->node->n_in; i++) {
        if (n == OX_COUNT(items)) {
            emit_fail(e, OX0302, "", "more than %zu inputs", OX_COUNT(items));
            break;
        }
        if (e->node->in[i])
            items[n++] = emit_in(e, i);
    }
    return ex_seq(e->g->arena, EX_LIST, items, n);
}

static const Expr *input_expr(const TemplateScope *t, const OpSlot *in, int index) {
    Emit *e = t->e;
    OpSlot fixed;
    if (op_spec_find(e->node->op->fixed, in->name, &fixed) >= 0)
        return emit_ints(e, arena_str(e->g->arena, in->name).p);
    if (in->variadic)
        return variadic(e, index);
    if (ex_template_uses(t->text, in->name) > 1)
        return emit_in_named(e, index);
    return e->node->op->facts & OP_BROADCAST ? emit_operand(e, index)
                                             : emit_in(e, index);
}

static const Expr *lookup(void *user, Str name, bool *unknown) {
    TemplateScope *t = user;
    Emit *e = t->e;
    const Value *out = node_out(e->node, 0);
    if (str_is(name, "out.shape"))
        return out ? emit_shape(e, out) : ex_none();
    if (str_is(name, "out.dtype"))
        return emit_dtype(e, out ? out->type.dtype : DT_UNDEFINED);
    if (str_is(name, "out.rank"))
        return ex_int(e->g->arena, out ? out->type.rank : -1);
    const OpAttr *attr = op_attr(e->node->op, name);
    if (attr)
        return attr->has_default || attr_has(e->node, attr->name)
                   ? attr_expr(e, attr->name, attr->type)
                   : NULL;
    OpSlot in;
    int index = op_spec_find(e->node->op->in, name, &in);
    *unknown = index < 0;
    return index < 0 ? NULL : input_expr(t, &in, index);
}

const Expr *emit_template(Emit *e, const char *text) {
    TemplateScope t = {e, text};
    ExprScope scope = {lookup, &t};
    const char *error = NULL;
    const Expr *x = ex_template(e->g->arena, text, &scope, &error);
    if (error)
        node_defect(e->node, "%s", error);
    return call_without_defaults(e->g->arena, x);
}
