/* Literals and dimensions: what is known at compile time, as Python. */
#include "emit/gen.h"
#include "ops/core/layout.h"

#include <math.h>

enum { DIM_DEPTH_MAX = 32, SHORT = 8 /* elements of a literal */ };

const Expr *gen_dtype(Gen *g, DType dtype) {
    const char *python = dtype_info(dtype)->python;
    const char *error;
    return python ? ex_template(g->arena, python, NULL, &error) : ex_none();
}

static const Expr *big_unsigned(Gen *g, int64_t bits) {
    Expr *x = ARENA_NEW(g->arena, Expr);
    if (!x)
        return ex_none();
    x->kind = EX_NUMBER;
    x->text = arena_printf(g->arena, "%llu", (unsigned long long)bits);
    return x;
}

const Expr *gen_scalar(Gen *g, const Known *k, size_t i, DType dtype) {
    const DTypeInfo *info = dtype_info(dtype);
    if (k->floats)
        return ex_float(g->arena, k->floats[i], info->bits < 16 ? 16 : info->bits);
    if (info->cls == DC_BOOL && dim_is_int(k->ints[i]))
        return ex_bool(g->arena, k->ints[i].c != 0);
    if (dtype == DT_UINT64 && dim_is_int(k->ints[i]) && k->ints[i].c < 0)
        return big_unsigned(g, k->ints[i].c);
    return gen_dim(g, k->ints[i]);
}

const Expr *gen_scalar_as(Gen *g, const Known *k, size_t i, DType dtype,
                          const Expr *type) {
    if (type && k->floats && float_is_limit(k->floats[i], dtype))
        return EX(g->arena,
                  k->floats[i] < 0 ? "jnp.finfo($0).min" : "jnp.finfo($0).max", type);
    return gen_scalar(g, k, i, dtype);
}

/* ---- arrays ------------------------------------------------------------------------ */

/* Elements of a float array that read better as integers: jnp.array([0, 1, 2, ...],
 * jnp.float32).  Short ones say their type by themselves. */
static bool reads_as_integers(const Known *k) {
    bool all = k->floats && k->n > SHORT;
    for (size_t i = 0; all && i < k->n; i++) {
        double x = k->floats[i];
        all = fabs(x) < 1 << 20 && (x > 0 || x < 0 || !signbit(x)) && !(x - trunc(x));
    }
    return all;
}

/* Nested lists: the elements from *next on, for axes axis.. of the type. */
static const Expr *nested(Gen *g, const Value *v, int axis, size_t *next,
                          const Expr *type, bool integers) {
    size_t at = axis == v->type.rank ? (*next)++ : 0;
    if (axis == v->type.rank)
        return integers ? ex_int(g->arena, (int64_t)v->known->floats[at])
                        : gen_scalar_as(g, v->known, at, v->type.dtype, type);
    size_t n = (size_t)v->type.dims[axis].c;
    const Expr **items = ARENA_ARRAY(g->arena, n, const Expr *);
    if (!items)
        return ex_seq(g->arena, EX_LIST, NULL, 0);
    for (size_t i = 0; i < n; i++)
        items[i] = nested(g, v, axis + 1, next, type, integers);
    return ex_seq(g->arena, EX_LIST, items, n);
}

static bool is_zero_or_one(const Known *k, int value) {
    return k->floats ? memcmp(&k->floats[0], &(double){value}, sizeof(double)) == 0
                     : dim_is(k->ints[0], value);
}

/* zeros, ones or full of any shape */
static const Expr *filled(Gen *g, const Value *v, const Expr *shape, const Expr *dtype,
                          bool limits) {
    const Known *one = v->splat;
    if (is_zero_or_one(one, 0))
        return EX(g->arena, "jnp.zeros($0, $1)", shape, dtype);
    if (is_zero_or_one(one, 1))
        return EX(g->arena, "jnp.ones($0, $1)", shape, dtype);
    const Expr *item = gen_scalar_as(g, one, 0, v->type.dtype, limits ? dtype : NULL);
    return EX(g->arena, "jnp.full($0, $1, $2)", shape, item, dtype);
}

/* The first of elements that count up by one, in integers; fewer read better as a list. */
static bool counts_up(const Known *k, int64_t *first) {
    enum { COUNT_MIN = 5 };
    if (k->n < COUNT_MIN ||
        (k->floats ? !(fabs(k->floats[0]) < 1 << 20) : !dim_is_int(k->ints[0])))
        return false;
    if (k->floats && signbit(k->floats[0]) && k->floats[0] > -1)
        return false; /* minus zero */
    *first = k->floats ? (int64_t)k->floats[0] : k->ints[0].c;
    for (size_t i = 0; i < k->n; i++) {
        int64_t want = *first + (int64_t)i;
        if (k->floats ? k->floats[i] < (double)want || k->floats[i] > (double)want
                      : !dim_is(k->ints[i], want))
            return false;
    }
    return true;
}

/* The axis that holds all n elements; -1 when they form a table. */
static int only_axis(const Value *v, int64_t n) {
    for (int i = 0; i < v->type.rank; i++)
        if (dim_is(v->type.dims[i], n))
            return i;
    return -1;
}

/* jnp.arange(15)[None], jnp.arange(6).reshape(2, 3) */
static const Expr *counted(Gen *g, const Value *v, int64_t first, int64_t n,
                           const Expr *shape, const Expr *dtype) {
    Arena *a = g->arena;
    int64_t end = first + n;
    dtype = v->type.dtype == DT_INT64 ? NULL : dtype;
    const Expr *x = EX(a, "jnp.arange($($0, )$1$(, dtype=$2))",
                       first ? ex_int(a, first) : NULL, ex_int(a, end), dtype);
    int axis = only_axis(v, n), rank = v->type.rank;
    if (axis < 0)
        return EX(a, "$0.reshape(*$1)", x, shape);
    const Expr *items[OX_MAX_RANK];
    for (int i = 0; i < rank; i++)
        items[i] = i == axis ? NULL : ex_none();
    return ex_subscript(a, x, items, rank);
}

/* jnp.array([[0.5, 1.5], [2.5, 3.5]], jnp.float32).  Behind others, axes of size 1 are
 * added to longer ones, which would have a line for each element:
 * jnp.array([...], jnp.float32)[:, None]. */
static const Expr *table(Gen *g, const Value *v, const Expr *dtype, bool limits) {
    Dim dims[OX_MAX_RANK];
    const Expr *items[OX_MAX_RANK];
    bool integers = reads_as_integers(v->known), added = false;
    Value whole = *v;
    whole.type.dims = dims;
    whole.type.rank = 0;
    for (int i = 0; i < v->type.rank; i++) {
        bool add = whole.type.rank && v->known->n > SHORT && dim_is(v->type.dims[i], 1);
        items[i] = add ? ex_none() : NULL;
        added |= add;
        if (!add)
            dims[whole.type.rank++] = v->type.dims[i];
    }
    size_t next = 0;
    const Expr *lists = nested(g, &whole, 0, &next, limits ? dtype : NULL, integers);
    const Expr *x = EX(g->arena, "jnp.array($0, $1)", lists, dtype);
    return added ? ex_subscript(g->arena, x, items, v->type.rank) : x;
}

static const Expr *literal(Gen *g, const Value *v, const Expr *dtype, bool limits) {
    const Known *k = v->known;
    bool large = !k && !v->splat && v->tensor && v->tensor->dtype != DT_STRING;
    if ((!k && !v->splat && !large) || v->type.rank < 0)
        return ex_none();
    const Expr *shape = gen_dims(g, v->type.dims, (size_t)v->type.rank);
    if (large)
        return counted(g, v, tensor_i64(v->tensor, 0), v->tensor->count, shape, dtype);
    if (k && k->n == 0)
        return EX(g->arena, "jnp.zeros($0, $1)", shape, dtype);
    if (v->splat && (!k || k->n > 1))
        return filled(g, v, shape, dtype, limits);
    int64_t first;
    if (dtype_info(v->type.dtype)->bits >= (k->floats ? 16 : 8) && counts_up(k, &first))
        return counted(g, v, first, (int64_t)k->n, shape, dtype);
    return table(g, v, dtype, limits);
}

const Expr *gen_literal(Gen *g, const Value *v) {
    return literal(g, v, gen_dtype(g, v->type.dtype), false);
}

const Expr *gen_literal_as(Gen *g, const Value *v, const Expr *dtype) {
    return literal(g, v, dtype, true);
}

const Expr *gen_plain(Gen *g, const Value *v) {
    size_t next = 0;
    return v->known ? nested(g, v, 0, &next, NULL, false)
                    : gen_scalar(g, v->splat, 0, v->type.dtype);
}

/* saturated(9223372036854775807) */
const Expr *gen_saturated(Gen *g, const Value *v) {
    Arena *a = g->arena;
    if (v->type.rank < 0)
        return ex_none();
    const Expr *dtype = v->type.dtype == DT_INT64
                            ? NULL
                            : ex_str(a, str_from(dtype_info(v->type.dtype)->name));
    bool is_filled = v->splat && (!v->known || v->known->n > 1);
    const Expr *item =
        is_filled ? gen_scalar(g, v->splat, 0, v->type.dtype) : gen_plain(g, v);
    const Expr *x = EX(a, "saturated($0$(, $1))", item, dtype);
    if (!is_filled)
        return x;
    return EX(a, "jnp.full($0, $1)", gen_dims(g, v->type.dims, (size_t)v->type.rank),
              x);
}

/* ---- dimensions -------------------------------------------------------------------- */

/* batch = x.shape[0], once, at the top of forward */
static const Expr *named_symbol(Gen *g, const Symbol *s) {
    const Expr *known = map_get(&g->symbols, s->name);
    if (known)
        return known;
    const Expr *origin = gen_value(g, s->value, false);
    Str name = gen_unique_name(g, gen_identifier(g->arena, s->name, "n"));
    const Expr *x = ex_name(g->arena, name);
    const Expr *read = EX(g->arena, "$0.shape[$1]", origin, ex_int(g->arena, s->axis));
    bool at_top = s->value->kind == VALUE_INPUT && !s->value->graph->parent;
    Stmts *body = at_top ? &g->prelude : gen_body_of(g, s->value);
    gen_statement(g, body, &name, 1, read);
    gen_map_set(g, &g->symbols, s->name, (void *)(uintptr_t)x);
    return x;
}

/* A number that is no size: see SYMBOL_SELF. */
static const Expr *own_number(Gen *g, Value *v) {
    if (v->reals)
        return gen_computed(g, v);
    const Expr *x = gen_value(g, v, false);
    if (v->type.kind == TYPE_SEQUENCE)
        return EX(g->arena, "len($0)", x);
    if (v->type.kind == TYPE_OPTIONAL)
        return EX(g->arena, "$0 is not None", x);
    return g->code[v->id].number ? g->code[v->id].number : x;
}

const Expr *gen_symbol(Gen *g, const Symbol *s) {
    if (!s->value)
        return ex_int(g->arena, 0);
    const Expr *given = g->function ? gen_function_symbol(g, s) : NULL;
    if (given)
        return given;
    if (s->axis == SYMBOL_SELF)
        return own_number(g, value_final(s->value));
    if (s->name.n)
        return named_symbol(g, s);
    const Expr *origin = gen_value(g, s->value, false);
    if (s->axis == SYMBOL_RANK)
        return EX(g->arena, "$0.ndim", origin);
    return EX(g->arena, "$0.shape[$1]", origin, ex_int(g->arena, s->axis));
}

static const Expr *dim_at(Gen *g, Dim d, int depth);

static const Expr *atom(Gen *g, const Atom *a, int depth) {
    static const char *const templates[] = {
        [ATOM_FLOORDIV] = "$0 // $1",
        [ATOM_MOD] = "$0 % $1",
        [ATOM_MIN] = "min($0, $1)",
        [ATOM_MAX] = "max($0, $1)",
    };
    if (a->kind == ATOM_SYMBOL)
        return gen_symbol(g, a->symbol);
    const Expr *l = dim_at(g, a->a, depth + 1), *r = dim_at(g, a->b, depth + 1);
    return EX(g->arena, templates[a->kind], l, r);
}

/* |coef| * atoms */
static const Expr *monomial(Gen *g, const Monomial *t, int depth) {
    int64_t size = t->coef < 0 ? -t->coef : t->coef;
    const Expr *x = size == 1 && t->n ? NULL : ex_int(g->arena, size);
    for (uint32_t i = 0; i < t->n; i++) {
        const Expr *factor = atom(g, t->atoms[i], depth);
        x = x ? ex_binary(g->arena, "*", x, factor) : factor;
    }
    return x ? x : ex_int(g->arena, size);
}

/* Positive terms first, so that -n + 1 reads 1 - n. */
static const Expr *sum(Gen *g, const Poly *p, int depth) {
    const Expr *x = NULL;
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (uint32_t i = 0; i < p->n; i++) {
            if ((p->terms[i].coef > 0) != (sign > 0))
                continue;
            const Expr *term = monomial(g, &p->terms[i], depth);
            if (!x)
                x = sign > 0 ? term : ex_unary(g->arena, "-", term);
            else
                x = ex_binary(g->arena, sign > 0 ? "+" : "-", x, term);
        }
    }
    return x ? x : ex_int(g->arena, 0);
}

static const Expr *dim_at(Gen *g, Dim d, int depth) {
    if (dim_is_int(d) || depth > DIM_DEPTH_MAX)
        return ex_int(g->arena, d.c);
    return sum(g, d.poly, depth);
}

const Expr *gen_dim(Gen *g, Dim d) {
    const Expr *given = gen_function_dim(g, d);
    return given ? given : dim_at(g, d, 0);
}

const Expr *gen_dims(Gen *g, const Dim *dims, size_t n) {
    const Expr *items[KNOWN_MAX];
    if (n > KNOWN_MAX)
        return ex_none();
    for (size_t i = 0; i < n; i++)
        items[i] = gen_dim(g, dims[i]);
    return ex_seq(g->arena, EX_TUPLE, items, n);
}
