/* Numbers that Python knows while JAX traces, among them floats that follow from sizes:
 * what NumPy's scalars compute is rounded as in an array. */
#include "emit/gen.h"

static const Expr *float_number(Gen *g, DType dtype, const Expr *x) {
    return dtype == DT_DOUBLE ? EX(g->arena, "float($0)", x)
                              : EX(g->arena, "np.float32($0)", x);
}

static const Expr *real_number(Gen *g, const Value *v, size_t i) {
    const Real *r = &v->reals->items[i];
    const Symbol *s = r->kind == REAL_OWN ? dim_as_symbol(r->num) : NULL;
    if (s)
        return value_final(s->value) == v ? NULL : gen_number(g, value_final(s->value));
    const Expr *x = gen_dim(g, r->num);
    if (r->den != 1)
        x = EX(g->arena, "$0 / $1", x, ex_int(g->arena, r->den));
    return float_number(g, v->type.dtype, x);
}

const Expr *gen_known_number(Gen *g, const Value *v, size_t i) {
    const Known *k = v->known;
    if (k && k->floats)
        return float_number(g, v->type.dtype, gen_scalar(g, k, i, v->type.dtype));
    if (k)
        return gen_dim(g, k->ints[i]);
    return v->reals ? real_number(g, v, i) : NULL;
}

const Expr *gen_numbers(Gen *g, Value *v) {
    const Expr *items[KNOWN_MAX];
    for (size_t i = 0; i < v->reals->n && i < KNOWN_MAX; i++) {
        items[i] = gen_known_number(g, v, i);
        items[i] = items[i] ? items[i] : gen_number(g, v);
    }
    return v->type.rank == 0 ? items[0]
                             : ex_seq(g->arena, EX_TUPLE, items, v->reals->n);
}

bool gen_is_size(const Value *v) {
    return v->reals && v->reals->n == 1 && v->reals->items[0].kind == REAL_EXACT &&
           v->reals->items[0].den == 1;
}

/* floor = int(np.floor(np.float32(n) * 0.7)) */
const Expr *gen_computed(Gen *g, Value *v) {
    ValueCode *c = gen_code(g, v);
    if (c->number)
        return c->number;
    const Expr *x = EX(g->arena, "int($0)", gen_number(g, v));
    Str name = gen_unique_name(g, gen_name_hint(g, v));
    gen_statement(g, gen_body_of(g, v), &name, 1, x);
    c->number = ex_name(g->arena, name);
    return c->number;
}
