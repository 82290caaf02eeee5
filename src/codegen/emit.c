/* From nodes to statements.  An expression that has one reader waits (VS_PENDING) and is
 * spliced into that reader's expression when the line stays short; otherwise it gets a
 * name first.  This file also implements the services that operators call (ops/op.h). */
#include "codegen/gen.h"
#include "ops/layout.h"
#include "ops/nested.h"
#include "ops/wide.h"

enum {
    SPLICE_MAX = 32,        /* inputs of one node that may be spliced */
    LINE_OPS_MAX = 3,       /* operators on one line */
    PENDING_WIDTH_MAX = 76, /* columns of an expression that may wait */
    SCALARS_MAX = 64        /* inputs of a node that may be Python scalars */
};

struct Emit {
    Gen *g;
    Node *node;
    bool splice; /* pending inputs may be spliced */
    bool ints;   /* inputs are Python numbers: see emit_number */
    int widest;  /* the largest rank of the inputs and 2; 0: nobody has asked */
    Value *spliced[SPLICE_MAX];
    size_t n_spliced;
    uint32_t ops;      /* operators in the spliced inputs */
    const Expr **outs; /* by output index */
    const Expr *tuple; /* one expression for all outputs */
    const int *groups; /* how its items nest */
    size_t n_groups;   /* 0: not at all */
    bool respell;      /* what was spliced is written twice, and needs a name */
    bool failed;
};

/* ---- values ------------------------------------------------------------------------ */

/* After an error of the model, what is missing here only follows from it. */
static void report_defect(Gen *g, const Node *n, const char *what) {
    if (diag_status(g->m->diags) != OX_OK)
        return;
    diag_add(g->m->diags, OX0302, n ? node_where(g->m, n) : (Str){0},
             STR("this is a defect of the compiler: please report it"), "%s", what);
}

void gen_statement(Gen *g, Stmts *list, const Str *targets, size_t n, const Expr *x) {
    Str *copy = ARENA_ARRAY(g->arena, n, Str);
    if (!copy)
        return;
    memcpy(copy, targets, n * sizeof *copy);
    Stmt s = {.targets = copy, .n_targets = n, .expr = x};
    (void)ARENA_PUSH(g->arena, list, s);
    gen_use_helpers(g, x);
}

Stmts *gen_body_of(Gen *g, const Value *v) {
    for (Scope *s = g->scope; s; s = s->up)
        if (s->graph == v->graph)
            return &s->body;
    return &g->scope->body;
}

static bool is_taken(const Gen *g, Str key, const Value *v) {
    const size_t *index = map_get(&g->param_keys, key);
    return index && g->params.items[*index - 1].tensor != v->tensor;
}

/* Thousands of subgraphs may use one name: the keys of its tensors are remembered, and
 * the last number that one of them has got. */
static Str twin_key(Gen *g, const Value *v, Str name) {
    Str own = arena_printf(g->arena, "key %p %.*s", (const void *)v->tensor,
                           (int)name.n, name.p);
    Str all = arena_printf(g->arena, "last %.*s", (int)name.n, name.p);
    const Str *known = map_get(&g->twins, own);
    Str *key = ARENA_NEW(g->arena, Str);
    uintptr_t last = (uintptr_t)map_get(&g->twins, all);
    if (known)
        return *known;
    last = last ? last : 1;
    do {
        size_t number = ++last;
        if (!key || g->arena->failed)
            return name;
        *key = arena_printf(g->arena, "%.*s_%zu", (int)name.n, name.p, number);
    } while (is_taken(g, *key, v));
    map_set(&g->twins, own, key);
    map_set(&g->twins, all, (void *)last);
    return *key;
}

/* The name in the state_dict, or of the initializer.  Subgraphs side by side may use one
 * name twice. */
static Str param_key(Gen *g, const Value *v) {
    Str name = param_key_of(v);
    return is_taken(g, name, v) ? twin_key(g, v, name) : name;
}

static const Expr *subscript(Gen *g, const Expr *x, Str key) {
    const Expr *item = ex_str(g->arena, key);
    return ex_index(g->arena, x, &item, 1);
}

const Expr *gen_subscript(Gen *g, const Expr *x, Str key) {
    bool nested = g->options->params == OX_PARAMS_NESTED;
    for (int level = 1; nested && level < NESTED_LEVELS_MAX; level++) {
        const char *dot = key.n ? memchr(key.p, '.', key.n) : NULL;
        if (!dot)
            break;
        Str part = {key.p, (size_t)(dot - key.p)};
        x = subscript(g, x, part);
        key = (Str){dot + 1, key.n - part.n - 1};
    }
    return subscript(g, x, key);
}

Str gen_add_param(Gen *g, const Value *v) {
    Str key = param_key(g, v);
    size_t *index = map_get(&g->param_keys, key);
    if (!index) {
        ModuleParam p = {key, v->tensor, v->note, v->is_buffer, v->is_frozen};
        index = ARENA_NEW(g->arena, size_t);
        if (!index || !ARENA_PUSH(g->arena, &g->params, p))
            return key;
        *index = g->params.count;
        map_set(&g->param_keys, key, index);
    }
    return key;
}

const Expr *gen_param(Gen *g, Value *v) {
    Str key = g->function ? block_relative_key(g->function->kind->blocks[0]->part, v)
                          : gen_add_param(g, v);
    if (!key.n && g->function) /* an argument */
        return g->code[v->id].expr ? g->code[v->id].expr : ex_none();
    if (g->function)
        g->function->uses_params = true;
    const Expr *params = gen_module_of(g, &key);
    return gen_subscript(g, params, key);
}

static const Expr *give_name(Gen *g, Value *v) {
    ValueCode *c = &g->code[v->id];
    bool wanted = c->wanted.n && c->reads == 1;
    Str name = gen_unique_name(g, wanted ? c->wanted : gen_name_hint(g, v));
    gen_statement(g, gen_body_of(g, v), &name, 1, c->expr);
    c->state = VS_DONE;
    c->expr = ex_name(g->arena, name);
    return c->expr;
}

static void run_node(Gen *g, Node *n);

/* Mostly only the number of such a value is read, so that its array waits until it is. */
static bool is_deferred(const Gen *g, const Value *v) {
    return v->def && v->reals && v->reals->n == 1 &&
           v->reals->items[0].kind == REAL_OWN && g->code[v->id].state == VS_NONE &&
           !g->code[v->id].keep;
}

const Expr *gen_value(Gen *g, Value *v, bool inline_ok) {
    v = value_final(v);
    ValueCode *c = &g->code[v->id];
    c->touched = true;
    if (is_deferred(g, v))
        run_node(g, v->def);
    if (v->kind == VALUE_PARAM)
        return gen_param(g, v);
    if (v->kind == VALUE_CONST)
        return wide_of(v) == WIDE_ENDS ? gen_saturated(g, v) : gen_literal(g, v);
    if (c->state == VS_NONE) {
        /* Nodes are in order, so somebody wants a size of what is still to be made. */
        diag_add(g->m->diags, OX0403, v->def ? node_where(g->m, v->def) : (Str){0},
                 STR("give the shapes of the inputs with --shape"),
                 "the shape of \"%.*s\" must be known", (int)v->name.n, v->name.p);
        return ex_none();
    }
    if (c->state == VS_PENDING && !inline_ok)
        return give_name(g, v);
    return c->expr;
}

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

static void run_emit(Emit *e, bool splice);

const Expr *gen_number(Gen *g, Value *v) {
    const Expr *x = gen_known_number(g, v, 0);
    if (x)
        return x;
    Emit e = {.g = g, .node = v->def, .ints = true};
    e.outs = ARENA_ARRAY(g->arena, v->def->n_out, const Expr *);
    if (!e.outs)
        return ex_none();
    run_emit(&e, false);
    return e.outs[v->out_index] ? e.outs[v->out_index] : ex_none();
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

/* x[None, None]: what broadcasting would do in silence, so that the file works under
 * jax_numpy_rank_promotion=raise.  JAX lets scalars pass. */
static const Expr *lifted(Emit *e, const Expr *x, const Type *type, int rank) {
    enum { LIFT_MAX = 8 };
    int more = rank - type->rank;
    if (type->kind != TYPE_TENSOR || type->rank < 1 || more < 1 || more > LIFT_MAX)
        return x;
    const Expr *items[OX_MAX_RANK] = {NULL};
    for (int i = 0; i < more; i++)
        items[i] = ex_none();
    return ex_subscript(e->g->arena, x, items, rank);
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
    return e->node->op->facts & OP_BROADCAST ? lifted(e, x, &v->type, largest_rank(e))
                                             : x;
}

const Expr *emit_in_lifted(Emit *e, int i, int rank) {
    const Value *v = node_in(e->node, i);
    return v ? lifted(e, emit_in(e, i), &v->type, rank) : NULL;
}

const Expr *emit_in_named(Emit *e, int i) {
    bool splice = e->splice;
    e->splice = false;
    const Expr *x = emit_in(e, i);
    e->splice = splice;
    return x;
}

static bool is_scalar_literal(const Value *v) {
    if (v->kind != VALUE_CONST || !v->splat)
        return false;
    if (v->splat->floats)
        return true;
    Dim d = v->splat->ints[0];
    return !dim_is_int(d) || (d.c >= INT32_MIN && d.c <= INT32_MAX);
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
    if (!v || !is_scalar_literal(v) || !may_be_python_scalar(e->node, v))
        return emit_in(e, i);
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
    (void)ARENA_PUSH(e->g->arena, &e->g->run_time, reason);
}

static const Expr *ints_of_known(Emit *e, const Value *v) {
    if (v->type.rank == 0)
        return gen_dim(e->g, v->known->ints[0]);
    return gen_dims(e->g, v->known->ints, v->known->n);
}

const Expr *emit_ints(Emit *e, const char *name) {
    Ints attr;
    const PbAttr *pb = attr_get(e->node, name);
    if (pb && pb->type == ATTR_INT)
        return ex_int(e->g->arena, pb->i);
    if (pb && attr_ints(e->node, name, &attr))
        return ex_ints(e->g->arena, EX_TUPLE, attr.v, attr.n);
    Value *v = node_input(e->node, name);
    if (!v)
        return NULL;
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
    Str name = gen_unique_name(e->g, str_from(hint));
    gen_statement(e->g, &e->g->scope->body, &name, 1, x);
    return ex_name(e->g->arena, name);
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

static bool is_listed(const char *list, Str name) {
    while (list && *list) {
        size_t n = strcspn(list, " ");
        if (str_eq((Str){list, n}, name))
            return true;
        list += n + (list[n] == ' ');
    }
    return false;
}

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

/* The attribute of that name in the registry; NULL when there is none. */
static const OpAttr *declared_attr(const OpDef *op, Str name) {
    for (size_t i = 0; i < OP_MAX_ATTRS && op->attrs[i].name; i++)
        if (str_is(name, op->attrs[i].name))
            return &op->attrs[i];
    return NULL;
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

static bool is_variadic(const OpDef *op, Str name) {
    const char *at = op->in ? strstr(op->in, "*") : NULL;
    return at && (size_t)(at - op->in) >= name.n &&
           memcmp(at - name.n, name.p, name.n) == 0;
}

static const Expr *input_expr(const TemplateScope *t, Str name, int index) {
    Emit *e = t->e;
    if (is_listed(e->node->op->fixed, name))
        return emit_ints(e, arena_str(e->g->arena, name).p);
    if (is_variadic(e->node->op, name))
        return variadic(e, index);
    if (ex_template_uses(t->text, name) > 1)
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
    const OpAttr *attr = declared_attr(e->node->op, name);
    if (attr)
        return attr->has_default || attr_has(e->node, attr->name)
                   ? attr_expr(e, attr->name, attr->type)
                   : NULL;
    int index = op_input_index(e->node->op, name);
    *unknown = index < 0;
    return index < 0 ? NULL : input_expr(t, name, index);
}

const Expr *emit_template(Emit *e, const char *text) {
    TemplateScope t = {e, text};
    ExprScope scope = {lookup, &t};
    const char *error = NULL;
    const Expr *x = ex_template(e->g->arena, text, &scope, &error);
    if (error)
        report_defect(e->g, e->node, error);
    return x;
}

/* ---- nodes ------------------------------------------------------------------------- */

static void run_emit(Emit *e, bool splice) {
    e->splice = splice;
    e->n_spliced = 0;
    e->ops = 0;
    e->tuple = NULL;
    e->respell = false;
    memset(e->outs, 0, e->node->n_out * sizeof *e->outs);
    if (e->ints && e->node->op->number && e->node->out[0]->reals)
        e->outs[0] = emit_template(e, e->node->op->number);
    else if (e->node->op->emit)
        e->node->op->emit(e);
    else
        e->outs[0] = emit_template(e, e->node->op->jax);
}

enum { LINE = PRINT_WIDTH - PRINT_INDENT - 12 }; /* 12: a usual "name = " */

/* How wide the name of v is going to be, with the number that makes it unique. */
static size_t name_width(const Emit *e, const Value *v) {
    Str hint = gen_name_hint(e->g, v);
    return hint.n + (map_get(&e->g->used_names, hint) ? sizeof "_1" - 1 : 0);
}

/* x fits on the line of `v = x`. */
static bool is_one_line(const Emit *e, const Value *v, const Expr *x) {
    size_t width = gen_width(x, PRINT_WIDTH);
    if (width <= LINE || !v || width > PRINT_WIDTH)
        return width <= LINE;
    size_t target = name_width(e, v) + sizeof " = " - 1;
    return width + target <= PRINT_WIDTH - PRINT_INDENT;
}

/* x breaks once into lines that fit: the operands of a chain of one precedence, or the
 * arguments of a call. */
static bool breaks_well(const Expr *x) {
    size_t part = PRINT_WIDTH - 2 * PRINT_INDENT - 4;
    if (x->kind != EX_CALL && x->kind != EX_BINARY)
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (gen_width(x->kids[i], part) > part)
            return false;
    return x->kind == EX_BINARY || x->n <= 4;
}

static bool is_too_wide(const Emit *e) {
    if (e->tuple)
        return !is_one_line(e, NULL, e->tuple) && !breaks_well(e->tuple);
    for (uint32_t k = 0; k < e->node->n_out; k++)
        if (e->outs[k] && !is_one_line(e, e->node->out[k], e->outs[k]) &&
            !breaks_well(e->outs[k]))
            return true;
    return false;
}

/* Two lines with a name between them instead of three or four for one expression. */
static bool is_better_named(const Emit *e) {
    const Expr *x = e->outs[0];
    if (e->n_spliced != 1 || !x || is_one_line(e, e->node->out[0], x))
        return false;
    const Expr *inner = e->g->code[e->spliced[0]->id].expr;
    size_t name = name_width(e, e->spliced[0]);
    size_t width = gen_width(inner, PRINT_WIDTH);
    return is_one_line(e, e->spliced[0], inner) &&
           gen_width(x, LINE + width) + name <= LINE + width;
}

/* Names what was spliced and builds the expression again from the names. */
static void unsplice(Emit *e) {
    Value *spliced[SPLICE_MAX];
    size_t n = e->n_spliced;
    memcpy(spliced, e->spliced, n * sizeof(Value *));
    for (size_t i = 0; i < n; i++)
        if (e->g->code[spliced[i]->id].state == VS_PENDING)
            (void)give_name(e->g, spliced[i]);
    run_emit(e, false);
}

/* `params["w"]`, names and [] cost nothing to repeat. */
static bool is_free(const Expr *x) {
    return ex_is_atom(x) || (x->kind == EX_LIST && x->n == 0) ||
           (x->kind == EX_INDEX && x->n == 2 && x->kids[0]->kind == EX_NAME &&
            x->kids[1]->kind == EX_STR);
}

static bool reads_only_params(const Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->kind != VALUE_PARAM && n->in[i]->kind != VALUE_CONST)
            return false;
    return n->n_in > 0;
}

static void finish_output(Emit *e, Value *v, const Expr *x) {
    ValueCode *c = &e->g->code[v->id];
    if (!c->reads && !c->keep)
        return;
    if (!x) {
        if (!e->failed)
            report_defect(e->g, e->node, "an output has no code");
        x = ex_none();
    }
    c->expr = x;
    c->ops = e->ops + !reads_only_params(e->node);
    c->state = VS_DONE;
    if (is_free(x) && (!c->keep || x->kind == EX_NAME))
        return;
    bool fits = c->reads == 1 && c->ops <= LINE_OPS_MAX &&
                gen_width(x, PENDING_WIDTH_MAX) <= PENDING_WIDTH_MAX;
    /* Numbers may turn out to be read as such only. */
    if (!c->keep && (fits || value_is_number(v)))
        c->state = VS_PENDING;
    else
        (void)give_name(e->g, v);
}

/* (a, b) */
static Str group_names(Arena *a, const Str *names, int count) {
    Text t = {.arena = a};
    bool wanted = false;
    for (int i = 0; i < count; i++) {
        text_lit(&t, i ? ", " : "(");
        text_str(&t, names[i]);
        wanted |= !str_is(names[i], "_");
    }
    text_char(&t, ')');
    return !wanted ? STR("_") : count == 1 ? names[0] : text_view(&t);
}

/* One name for each group. */
static void nest_targets(const Emit *e, const Str *names, Str *nested) {
    size_t next = 0;
    for (size_t i = 0; i < e->n_groups; next += (size_t)e->groups[i++])
        nested[i] = group_names(e->g->arena, names + next, e->groups[i]);
}

static size_t count_results(const Emit *e) {
    size_t count = e->n_groups ? 0 : e->node->n_out;
    for (size_t i = 0; i < e->n_groups; i++)
        count += (size_t)e->groups[i];
    return count;
}

/* a, _, c = x */
static void finish_tuple(Emit *e) {
    size_t n = count_results(e);
    Str *nested = ARENA_ARRAY(e->g->arena, e->n_groups + n, Str);
    if (!nested)
        return;
    Str *names = nested + e->n_groups;
    for (size_t k = 0; k < n; k++) {
        Value *v = node_out(e->node, (int)k);
        names[k] = STR("_");
        if (!v || !emit_wants(e, (int)k))
            continue;
        names[k] = gen_unique_name(e->g, gen_name_hint(e->g, v));
        e->g->code[v->id].state = VS_DONE;
        e->g->code[v->id].expr = ex_name(e->g->arena, names[k]);
    }
    nest_targets(e, names, nested);
    gen_statement(e->g, &e->g->scope->body, e->n_groups ? nested : names,
                  e->n_groups ? e->n_groups : n, e->tuple);
}

static bool has_subgraphs(const Node *n) {
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].graph_count)
            return true;
    return false;
}

static void run_node(Gen *g, Node *n) {
    Emit e = {.g = g, .node = n, .outs = ARENA_ARRAY(g->arena, n->n_out, const Expr *)};
    if (!e.outs)
        return;
    if (n->data_sized)
        emit_not_jittable(&e, "has an output whose shape depends on data");
    if (n->bound)
        (void)ARENA_PUSH(g->arena, &g->bounded, n);
    run_emit(&e, !has_subgraphs(n)); /* a function is not to be generated twice */
    if (e.n_spliced && (e.respell || is_too_wide(&e) || is_better_named(&e)))
        unsplice(&e);
    if (e.tuple) {
        finish_tuple(&e);
        return;
    }
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k])
            finish_output(&e, n->out[k], e.outs[k]);
}

void gen_node(Gen *g, Node *n) {
    if (n->n_out != 1 || !n->out[0] || !is_deferred(g, n->out[0]))
        run_node(g, n);
}

void gen_nodes(Gen *g, const Graph *graph) {
    for (size_t i = 0; i < graph->n_nodes && !g->arena->failed; i++)
        gen_node(g, graph->nodes[i]);
}

/* ---- subgraphs --------------------------------------------------------------------- */

const Expr *emit_function(Emit *e, const Graph *graph, const char *hint, bool traced,
                          const EmitPart *in, size_t n_in, const EmitPart *out,
                          size_t n_out) {
    e->g->traced += traced;
    const Expr *f = gen_function(e->g, graph, hint, in, n_in, out, n_out);
    e->g->traced -= traced;
    return f;
}

const Expr *emit_subgraph(Emit *e, const Graph *graph, const char *hint, bool traced) {
    EmitPart *in = ARENA_ARRAY(e->g->arena, graph->n_inputs, EmitPart);
    size_t n = in ? graph->n_inputs : 0;
    for (size_t i = 0; i < n; i++)
        in[i] = (EmitPart){.first = (int)i, .count = 1};
    EmitPart out = {.count = (int)graph->n_outputs};
    return emit_function(e, graph, hint, traced, in, n, &out, 1);
}
