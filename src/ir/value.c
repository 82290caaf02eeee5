/* Values, their types and their compile-time elements.
 * Source: ONNX IR specification, "Types" and "Graphs"; which tensors are parameters is
 * our contract with users (docs/architecture.md, "params"). */
#include "ir/ir.h"

#include <ctype.h>

enum {
    LITERAL_MAX = 64,      /* integers: shapes, axes, small tables */
    FLOAT_LITERAL_MAX = 16 /* floats of Constant nodes: scales, means */
};

Value *value_new(Model *m, Graph *g, ValueKind kind, Str name) {
    Value *v = ARENA_NEW(m->arena, Value);
    if (!v)
        return NULL;
    v->kind = kind;
    v->name = name;
    v->graph = g;
    v->type.rank = -1;
    v->id = m->value_count++;
    return v;
}

Node *node_beside(Model *m, const Node *at, uint32_t n_in, uint32_t n_out,
                  uint32_t attrs) {
    Node *n = ARENA_NEW(m->arena, Node);
    Value **ends = ARENA_ARRAY(m->arena, n_in + n_out, Value *);
    Attr *room = ARENA_ARRAY(m->arena, attrs, Attr);
    if (!n || !ends || (attrs && !room))
        return NULL;
    *n = (Node){.name = at->name,
                .in = ends,
                .out = ends + n_in,
                .n_in = n_in,
                .n_out = n_out,
                .attrs = room,
                .index = at->index,
                .graph = at->graph,
                .inlined = at->inlined,
                .origin = at->origin,
                .part = at->part};
    return n;
}

void node_make(Node *n, uint32_t out, Value *v) {
    v->kind = VALUE_NODE;
    v->def = n;
    v->out_index = out;
    n->out[out] = v;
}

void value_replace(Model *m, Value *v, Value *by) {
    v->alias = by;
    m->has_aliases = true;
}

Value *value_final(Value *v) {
    while (v && v->alias)
        v = v->alias;
    return v;
}

Dim value_symbol(Model *m, Value *v, int axis) {
    if (v)
        v->is_origin = true;
    return dim_symbol(&m->dims, (Str){0}, v, axis);
}

/* ---- types ------------------------------------------------------------------------- */

Dim named_dim(Model *m, Str name, Value *v, int axis) {
    const Dim *known = map_get(&m->dim_names, name);
    if (known || !v)
        return known ? *known : value_symbol(m, v, axis);
    Dim *d = ARENA_NEW(m->arena, Dim);
    if (!d)
        return dim_int(0);
    *d = dim_symbol(&m->dims, name, v, axis);
    map_set(&m->dim_names, name, d);
    return *d;
}

static Type type_of_tensor(Model *m, const Tensor *t) {
    Type type = {.dtype = t->dtype, .rank = t->rank};
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)t->rank, Dim);
    if (t->rank && !dims)
        type.rank = -1;
    for (int i = 0; i < type.rank; i++)
        dims[i] = dim_int(t->dims[i]);
    type.dims = dims;
    return type;
}

bool type_is_static(const Type *t) {
    for (int i = 0; i < t->rank; i++)
        if (!dim_is_int(t->dims[i]))
            return false;
    return t->rank >= 0;
}

bool type_same_shape(const Type *a, const Type *b) {
    if (a->kind != TYPE_TENSOR || b->kind != TYPE_TENSOR || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (!dim_eq(a->dims[i], b->dims[i]))
            return false;
    return a->rank >= 0;
}

Dim type_count(Dims *ds, const Type *t) {
    Dim count = dim_int(1);
    for (int i = 0; i < t->rank; i++)
        count = dim_mul(ds, count, t->dims[i]);
    return count;
}

void type_print(Text *t, const Type *type) {
    static const char *const kinds[] = {"tensor", "sequence", "optional", "map"};
    if (type->kind != TYPE_TENSOR) {
        text_printf(t, "%s(", kinds[type->kind]);
        if (type->elem && type->elem->kind == TYPE_TENSOR)
            type_print(t, type->elem);
        text_char(t, ')');
        return;
    }
    text_lit(t, dtype_info(type->dtype)->name);
    if (type->rank < 0) {
        text_lit(t, "[...]");
        return;
    }
    text_char(t, '[');
    for (int i = 0; i < type->rank; i++) {
        if (i)
            text_char(t, ',');
        dim_print(t, type->dims[i]);
    }
    text_char(t, ']');
}

/* ---- compile-time elements --------------------------------------------------------- */

Known *known_new(Model *m, DType dtype, size_t n) {
    DTypeClass cls = dtype_info(dtype)->cls;
    if (n > KNOWN_MAX || cls == DC_STRING || cls == DC_COMPLEX || cls == DC_NONE)
        return NULL;
    Known *k = ARENA_NEW(m->arena, Known);
    void *elements = arena_array(m->arena, n ? n : 1,
                                 cls == DC_FLOAT ? sizeof(double) : sizeof(Dim));
    if (!k || !elements)
        return NULL;
    k->n = n;
    if (cls == DC_FLOAT)
        k->floats = elements;
    else
        k->ints = elements;
    return k;
}

Dim *known_ints(Known *k) {
    return (Dim *)(uintptr_t)k->ints;
}
double *known_floats(Known *k) {
    return (double *)(uintptr_t)k->floats;
}

const Known *known_from_tensor(Model *m, const Tensor *t) {
    if (t->count > KNOWN_MAX)
        return NULL;
    Known *k = known_new(m, t->dtype, (size_t)t->count);
    if (!k)
        return NULL;
    for (int64_t i = 0; i < t->count; i++) {
        if (k->floats)
            known_floats(k)[i] = tensor_f64(t, i);
        else
            known_ints(k)[i] = dim_int(tensor_i64(t, i));
    }
    return k;
}

static bool all_equal(const Known *k) {
    for (size_t i = 1; i < k->n; i++) {
        bool equal = k->floats ? memcmp(&k->floats[i], k->floats, sizeof(double)) == 0
                               : dim_eq(k->ints[i], k->ints[0]);
        if (!equal)
            return false;
    }
    return k->n > 0;
}

const Known *known_splat(Model *m, const Known *k) {
    if (!k || !all_equal(k))
        return NULL;
    Known *one = ARENA_NEW(m->arena, Known);
    if (one)
        *one = (Known){1, k->ints, k->floats};
    return one;
}

/* ---- parameters and literals ------------------------------------------------------- */

static bool all_digits(Str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!isdigit((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

/* Names that exporters give to numbers in Python code, never to parameters of a module:
 * val_131 and layer.lifted_tensor_0 (dynamo), onnx::Mul_12 and /m/Constant_3_output_0
 * (TorchScript). */
static bool is_generated_name(Str name) {
    static const Str prefixes[] = {
        {"val_", 4}, {"onnx::", 6}, {"_val_", 5}, {"scalar_tensor", 13}};
    if (all_digits(name))
        return true;
    for (size_t i = 0; i < OX_COUNT(prefixes); i++)
        if (str_starts(name, prefixes[i]))
            return true;
    return str_starts(str_after_last(name, '/'), STR("Constant")) ||
           str_starts(str_after_last(name, '.'), STR("lifted_tensor_"));
}

/* Integers of at most 8 bits are weights, not shapes. */
static bool is_quantized_type(const Tensor *t) {
    return t->dtype != DT_BOOL && dtype_info(t->dtype)->bits <= 8;
}

/* Zero points mostly agree. */
static bool is_quantized(const Tensor *t) {
    if (!is_quantized_type(t) || t->count > LITERAL_MAX)
        return false;
    for (int64_t i = 1; i < t->count; i++)
        if (tensor_i64(t, i) != tensor_i64(t, 0))
            return true;
    return false;
}

static bool fits_32_bits(const Tensor *t, int64_t i) {
    int64_t x = tensor_i64(t, i);
    return x >= INT32_MIN && x <= INT32_MAX;
}

/* Tables that code says better: all elements alike, or each one more than the last, as
 * in position_ids.  They are no weights, and jax.grad would refuse them.  JAX's functions
 * wrap what needs 64 bits without a word, where load_params does not. */
static bool is_regular(const Tensor *t) {
    DTypeClass cls = dtype_info(t->dtype)->cls;
    if ((cls != DC_BOOL && cls != DC_INT) || is_quantized_type(t) || !t->size)
        return false;
    if (!fits_32_bits(t, 0) || !fits_32_bits(t, t->count - 1))
        return false;
    uint64_t first = (uint64_t)tensor_i64(t, 0);
    uint64_t step = (uint64_t)tensor_i64(t, 1) - first;
    if (step > (cls == DC_INT))
        return false;
    for (int64_t i = 2; i < t->count; i++)
        if ((uint64_t)tensor_i64(t, i) != first + (uint64_t)i * step)
            return false;
    return true;
}

ValueKind value_kind_of(const Tensor *t, Str name, bool constant_node) {
    if (t->dtype == DT_STRING || t->count == 0)
        return VALUE_CONST;
    DTypeClass cls = dtype_info(t->dtype)->cls;
    if (cls == DC_COMPLEX || tensor_is_absent(t))
        return VALUE_PARAM;
    if (cls != DC_FLOAT && is_quantized(t))
        return VALUE_PARAM;
    if (cls != DC_FLOAT)
        return t->count <= LITERAL_MAX || is_regular(t) ? VALUE_CONST : VALUE_PARAM;
    /* What TorchScript has computed may come from weights: onnx::Exp_12. */
    bool computed = str_starts(name, STR("onnx::"));
    bool made_up = constant_node || (is_generated_name(name) && !computed);
    int64_t limit = constant_node ? FLOAT_LITERAL_MAX : 1;
    return made_up && t->count <= limit ? VALUE_CONST : VALUE_PARAM;
}

/* The element of a large literal, when all are alike.  The elements of one that counts up
 * are not tracked: code that computes with it reads better than what comes of it. */
static const Known *splat_of_regular(Model *m, const Tensor *t) {
    bool alike = t->dtype != DT_STRING && tensor_i64(t, 0) == tensor_i64(t, 1);
    Known *one = alike ? known_new(m, t->dtype, 1) : NULL;
    if (one)
        known_ints(one)[0] = dim_int(tensor_i64(t, 0));
    return one;
}

static bool graph_add_param(Model *m, Graph *g, Value *v) {
    size_t cap = g->cap_params;
    Value **room =
        arena_push_room(m->arena, g->params, g->n_params, &cap, sizeof *room);
    g->params = room;
    g->cap_params = cap;
    if (g->n_params >= cap)
        return false;
    g->params[g->n_params++] = v;
    return true;
}

bool value_set_tensor(Model *m, Value *v, const Tensor *t, bool constant_node) {
    v->kind = value_kind_of(t, v->name, constant_node);
    v->tensor = t;
    v->type = type_of_tensor(m, t);
    v->def = NULL;
    v->generated_name = constant_node || is_generated_name(v->name);
    bool large = t->count > LITERAL_MAX;
    if (v->kind == VALUE_CONST && !large)
        v->known = known_from_tensor(m, t);
    v->splat = v->kind == VALUE_CONST && large ? splat_of_regular(m, t)
                                               : known_splat(m, v->known);
    return graph_add_param(m, v->graph, v);
}

void value_each_symbol(const Value *v, void (*visit)(void *user, const Symbol *s),
                       void *user) {
    for (size_t i = 0; v->known && v->known->ints && i < v->known->n; i++)
        dim_each_symbol(v->known->ints[i], visit, user);
    for (size_t i = 0; v->reals && i < v->reals->n; i++)
        dim_each_symbol(v->reals->items[i].num, visit, user);
}

void value_set_known(Model *m, Value *v, const Known *k) {
    v->kind = VALUE_CONST;
    v->generated_name = true;
    v->known = k;
    v->splat = known_splat(m, k);
    (void)graph_add_param(m, v->graph, v);
}
