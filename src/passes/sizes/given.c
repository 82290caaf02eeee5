/* --input-value: an input that the user fixes becomes a literal before inference, so that
 * what it decides, branches and shapes, is decided when the model is compiled.  The value
 * is written as Python would: 3, -1.5, true, [1, 2], [[0.5], [1]]. */
#include "ops/core/op.h"
#include "passes/sizes/sizes.h"
#include "support/nearest.h"
#include "support/number.h"

#include <math.h>

#define GIVEN_HINT                                                                     \
    STR("write --input-value NAME=3, NAME=true, NAME=0.5 or \"NAME=[1,2]\"")

typedef struct Reader {
    Model *m;
    Str spec;
    const char *at, *end;
    DType dtype;
    Known *elements;
    size_t n;
    Shape shape; /* rank -1 until the first element, or empty list, is reached */
    bool failed;
} Reader;

static void given_error(Model *m, Str spec, Str hint, const char *fmt, ...)
    OX_PRINTF(4, 5);

static void given_error(Model *m, Str spec, Str hint, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(m->arena, fmt, args);
    va_end(args);
    diag_add(m->diags, OX0003, (Str){0}, hint, "--input-value %.*s: %.*s", (int)spec.n,
             spec.p, (int)what.n, what.p);
}

static void fail(Reader *r, const char *why) {
    if (!r->failed)
        given_error(r->m, r->spec, GIVEN_HINT, "%s", why);
    r->failed = true;
}

/* ---- elements ---------------------------------------------------------------------- */

static bool read_bool(Str s, int64_t *value) {
    *value = str_is(s, "1") || str_is(s, "true") || str_is(s, "True");
    return *value || str_is(s, "0") || str_is(s, "false") || str_is(s, "False");
}

static bool read_int(Str s, int64_t *value) {
    bool negative = s.n && s.p[0] == '-';
    size_t i = negative || (s.n && s.p[0] == '+');
    *value = 0;
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        int digit = s.p[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, negative ? -digit : digit, value))
            return false;
    }
    return true;
}

static bool read_float(Str s, DType dtype, double *value) {
    bool negative = s.n && s.p[0] == '-';
    size_t sign = negative || (s.n && s.p[0] == '+');
    Str size = {s.p + sign, s.n - sign};
    bool infinite = str_is(size, "inf");
    if (infinite)
        *value = INFINITY;
    else if (str_is(size, "nan"))
        *value = NAN;
    else if (!number_read(size, value))
        return false;
    *value = negative ? -*value : *value;
    return dtype_round(dtype, value) && (infinite || !isinf(*value));
}

static bool read_element(Reader *r, Str s) {
    if (r->elements->floats)
        return read_float(s, r->dtype, &known_floats(r->elements)[r->n]);
    int64_t value;
    bool is_bool = r->dtype == DT_BOOL;
    if (!(is_bool ? read_bool(s, &value) : read_int(s, &value)) ||
        !int_fits(r->dtype, value))
        return false;
    known_ints(r->elements)[r->n] = dim_int(value);
    return true;
}

/* ---- lists ------------------------------------------------------------------------- */

static void skip_spaces(Reader *r) {
    while (r->at < r->end && *r->at == ' ')
        r->at++;
}

static bool accept(Reader *r, char c) {
    skip_spaces(r);
    bool here = r->at < r->end && *r->at == c;
    r->at += here;
    return here;
}

/* All elements lie at one depth. */
static void set_rank_of(Reader *r, int rank) {
    if (r->shape.rank >= 0 && r->shape.rank != rank)
        fail(r, "the lists are not of one depth");
    r->shape.rank = rank;
}

static void read_scalar(Reader *r, int depth) {
    Str s = {r->at, 0};
    while (r->at < r->end && *r->at != ',' && *r->at != ']' && *r->at != '[')
        r->at++;
    s.n = (size_t)(r->at - s.p);
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    set_rank_of(r, depth);
    if (r->n == KNOWN_MAX) {
        fail(r, "there are more than 1024 elements");
    } else if (!r->failed && !read_element(r, s)) {
        given_error(r->m, r->spec, GIVEN_HINT, "\"%.*s\" is no %s", (int)s.n, s.p,
                    dtype_info(r->dtype)->name);
        r->failed = true;
    }
    r->n++;
}

static void read_list(Reader *r, int depth);

static void read_any(Reader *r, int depth) {
    skip_spaces(r);
    if (!accept(r, '['))
        read_scalar(r, depth);
    else if (depth == OX_MAX_RANK)
        fail(r, "the lists are too deep");
    else
        read_list(r, depth);
}

/* Behind its [. */
static void read_list(Reader *r, int depth) {
    int64_t size = 0;
    bool closed = accept(r, ']');
    if (closed)
        set_rank_of(r, depth + 1);
    while (!closed && !r->failed) {
        read_any(r, depth + 1);
        size++;
        closed = accept(r, ']');
        if (!closed && !accept(r, ','))
            fail(r, "a list does not end");
    }
    Dim *known = &r->shape.d[depth];
    if (known->poly || (known->c >= 0 && known->c != size))
        fail(r, "the lists are not of one length");
    *known = dim_int(size);
}

/* Reads the text behind the =; false when it is malformed. */
static bool read_value(Reader *r) {
    r->shape.rank = -1;
    for (int i = 0; i < OX_MAX_RANK; i++)
        r->shape.d[i] = dim_int(-1); /* not known so far */
    double probe = 0;
    r->elements = known_new(r->m, r->dtype, KNOWN_MAX);
    if (!r->elements || (r->elements->floats && !dtype_round(r->dtype, &probe))) {
        given_error(r->m, r->spec, STR(""), "inputs of type %s cannot be given",
                    dtype_info(r->dtype)->name);
        return false;
    }
    read_any(r, 0);
    skip_spaces(r);
    if (r->at != r->end)
        fail(r, "there is more behind the value");
    r->elements->n = r->n;
    return !r->failed;
}

/* ---- sizes that follow ------------------------------------------------------------- */

typedef struct Substitution {
    Model *m;
    const Symbol *symbol;
    Dim size;
} Substitution;

static void substitute_in(const Substitution *s, Type *t) {
    Dim *dims = NULL;
    for (int i = 0; t->kind == TYPE_TENSOR && i < t->rank; i++) {
        if (dim_as_symbol(t->dims[i]) != s->symbol)
            continue;
        if (!dims && !(dims = ARENA_ARRAY(s->m->arena, (size_t)t->rank, Dim)))
            return;
        if (t->dims != dims)
            memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
        dims[i] = s->size;
        t->dims = dims;
    }
}

static void substitute(void *user, Graph *g) {
    const Substitution *s = user;
    for (size_t i = 0; i < g->n_inputs; i++)
        substitute_in(s, &g->inputs[i]->type);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_out; k++) {
            Value *v = g->nodes[i]->out[k];
            Type *t = v && v->declared ? ARENA_NEW(s->m->arena, Type) : NULL;
            if (!t)
                continue;
            *t = *v->declared;
            substitute_in(s, t);
            v->declared = t;
        }
}

/* Another input or value may have the size, too, and its symbol is read from this one. */
static void fix_symbol(Model *m, const Symbol *symbol, Dim size) {
    Substitution s = {m, symbol, size};
    graph_each(m->graph, substitute, &s);
    Dim *named = map_get(&m->dim_names, symbol->name);
    if (symbol->name.n && named)
        *named = size;
}

/* ---- the input --------------------------------------------------------------------- */

/* A number for an input of one element needs no brackets. */
static void spare_brackets(const Type *t, Shape *s) {
    bool single = s->rank == 0 && t->rank > 0;
    for (int i = 0; i < t->rank; i++)
        single = single && dim_is(t->dims[i], 1);
    if (!single)
        return;
    s->rank = t->rank;
    for (int i = 0; i < t->rank; i++)
        s->d[i] = dim_int(1);
}

static bool fits_type(Reader *r, const Value *v) {
    const Type *t = &v->type;
    spare_brackets(t, &r->shape);
    bool fits = t->rank < 0 || t->rank == r->shape.rank;
    for (int i = 0; fits && i < t->rank; i++)
        fits = !dim_is_int(t->dims[i]) || dim_eq(t->dims[i], r->shape.d[i]);
    if (fits)
        return true;
    Text text = {.arena = r->m->arena};
    type_print(&text, t);
    Str type = text_view(&text);
    given_error(r->m, r->spec, GIVEN_HINT, "the input is %.*s", (int)type.n, type.p);
    return false;
}

static Value *find_input(Model *m, Str spec, Str name, size_t *index) {
    Nearest nearest = {.wanted = name};
    for (size_t i = 0; i < m->graph->n_inputs; i++) {
        nearest_offer(&nearest, m->graph->inputs[i]->name);
        *index = i;
        if (str_eq(m->graph->inputs[i]->name, name))
            return m->graph->inputs[i];
    }
    Str best = nearest.best, hint = {0};
    if (best.n)
        hint = arena_printf(m->arena, "did you mean \"%.*s\"?", (int)best.n, best.p);
    given_error(m, spec, hint, "the model has no such input");
    return NULL;
}

/* Axis after axis: what an earlier one fixes may be the size of a later one. */
static bool take_shape(Reader *r, Value *v) {
    for (int i = 0; i < v->type.rank; i++) {
        Dim size = r->shape.d[i];
        const Symbol *symbol = dim_as_symbol(v->type.dims[i]);
        if (symbol)
            fix_symbol(r->m, symbol, size);
        else if (!dim_eq(v->type.dims[i], size))
            return fits_type(r, v);
    }
    Dim *dims = ARENA_ARRAY(r->m->arena, (size_t)r->shape.rank + 1, Dim);
    if (!dims)
        return false;
    memcpy(dims, r->shape.d, (size_t)r->shape.rank * sizeof *dims);
    v->type.dims = dims;
    v->type.rank = r->shape.rank;
    return true;
}

void infer_give_input(Model *m, Str spec) {
    size_t eq = spec.n; /* names may hold a = */
    while (eq > 0 && spec.p[eq - 1] != '=')
        eq--;
    if (!eq) {
        given_error(m, spec, GIVEN_HINT, "there is no =");
        return;
    }
    Graph *g = m->graph;
    size_t index;
    Value *v = find_input(m, spec, (Str){spec.p, eq - 1}, &index);
    if (!v)
        return;
    if (v->type.kind != TYPE_TENSOR) {
        given_error(m, spec, STR(""), "only tensors can be given");
        return;
    }
    Reader r = {.m = m, .spec = spec, .at = spec.p + eq, .end = spec.p + spec.n};
    r.dtype = v->type.dtype;
    if (!read_value(&r) || !fits_type(&r, v) || !take_shape(&r, v))
        return;
    memmove(&g->inputs[index], &g->inputs[index + 1],
            (g->n_inputs - index - 1) * sizeof(Value *));
    g->n_inputs--;
    v->remark = (Str){spec.p + eq, spec.n - eq};
    value_set_known(m, v, r.elements);
    (void)ARENA_PUSH(m->arena, &m->given, v);
}
