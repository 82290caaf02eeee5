/* Constructors and walks of expression trees.  Nodes are immutable and shared freely.
 *
 * Every constructor copies its text and its list of children into the arena, so callers
 * may build both on the stack. */
#include "ops/expr.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const Expr none_expr = {.kind = EX_NAME, .text = {"None", 4}};

const Expr *ex_none(void) {
    return &none_expr;
}

static uint32_t depth_above(const Expr *const *kids, size_t n) {
    uint32_t depth = 0;
    for (size_t i = 0; i < n; i++)
        if (kids[i] && kids[i]->depth >= depth)
            depth = kids[i]->depth + 1;
    return depth;
}

static const Expr *node(Arena *a, ExprKind kind, Str text, const Expr *const *kids,
                        size_t n) {
    uint32_t depth = depth_above(kids, n);
    if (depth > EX_DEPTH_MAX || n > UINT32_MAX) {
        a->failed = true;
        return ex_none();
    }
    const Expr **copy = n ? ARENA_ARRAY(a, n, const Expr *) : NULL;
    Expr *e = ARENA_NEW(a, Expr);
    if (!e || (n && !copy))
        return ex_none();
    if (n)
        memcpy(copy, kids, n * sizeof *copy);
    *e = (Expr){.kind = kind,
                .n = (uint32_t)n,
                .depth = depth,
                .text = text.n ? arena_str(a, text) : (Str){"", 0},
                .kids = copy};
    return e;
}

const Expr *ex_name(Arena *a, Str dotted) {
    return node(a, EX_NAME, dotted, NULL, 0);
}

const Expr *ex_int(Arena *a, int64_t i) {
    Expr *e = ARENA_NEW(a, Expr);
    if (!e)
        return ex_none();
    *e = (Expr){.kind = EX_INT, .i = i};
    return e;
}

const Expr *ex_bool(Arena *a, bool b) {
    return ex_name(a, b ? STR("True") : STR("False"));
}

const Expr *ex_str(Arena *a, Str content) {
    return node(a, EX_STR, content, NULL, 0);
}

const Expr *ex_call(Arena *a, const Expr *callee, const Expr *const *args, size_t n) {
    size_t count;
    const Expr **kids =
        size_add(n, 1, &count) ? ARENA_ARRAY(a, count, const Expr *) : NULL;
    if (!kids)
        return ex_none();
    kids[0] = callee;
    if (n)
        memcpy(kids + 1, args, n * sizeof *kids);
    return node(a, EX_CALL, (Str){0}, kids, count);
}

const Expr *ex_keyword(Arena *a, Str name, const Expr *value) {
    return node(a, EX_KEYWORD, name, &value, 1);
}

const Expr *ex_attribute(Arena *a, const Expr *object, Str name) {
    return node(a, EX_ATTRIBUTE, name, &object, 1);
}

const Expr *ex_index(Arena *a, const Expr *object, const Expr *const *items, size_t n) {
    size_t count;
    const Expr **kids =
        size_add(n, 1, &count) ? ARENA_ARRAY(a, count, const Expr *) : NULL;
    if (!kids)
        return ex_none();
    kids[0] = object;
    if (n)
        memcpy(kids + 1, items, n * sizeof *kids);
    return node(a, EX_INDEX, (Str){0}, kids, count);
}

const Expr *ex_slice(Arena *a, const Expr *start, const Expr *stop, const Expr *step) {
    return node(a, EX_SLICE, (Str){0}, (const Expr *const[]){start, stop, step}, 3);
}

/* A minus before a literal becomes part of it, so that equal values are equal trees. */
static const Expr *negated_literal(Arena *a, const Expr *x) {
    if (x->kind == EX_INT && x->i >= 0)
        return ex_int(a, -x->i);
    if (x->kind == EX_NUMBER && x->text.n && x->text.p[0] != '-') {
        Str text = arena_printf(a, "-%.*s", (int)x->text.n, x->text.p);
        return node(a, EX_NUMBER, text, NULL, 0);
    }
    return NULL;
}

const Expr *ex_unary(Arena *a, const char *op, const Expr *x) {
    const Expr *literal = strcmp(op, "-") == 0 ? negated_literal(a, x) : NULL;
    return literal ? literal : node(a, EX_UNARY, str_from(op), &x, 1);
}

const Expr *ex_binary(Arena *a, const char *op, const Expr *l, const Expr *r) {
    return node(a, EX_BINARY, str_from(op), (const Expr *const[]){l, r}, 2);
}

const Expr *ex_if(Arena *a, const Expr *value, const Expr *condition,
                  const Expr *otherwise) {
    return node(a, EX_IF, (Str){0}, (const Expr *const[]){value, condition, otherwise},
                3);
}

const Expr *ex_lambda(Arena *a, Str parameters, const Expr *body) {
    return node(a, EX_LAMBDA, parameters, &body, 1);
}

const Expr *ex_seq(Arena *a, ExprKind kind, const Expr *const *items, size_t n) {
    return node(a, kind, (Str){0}, items, n);
}

const Expr *ex_ints(Arena *a, ExprKind tuple_or_list, const int64_t *items, size_t n) {
    const Expr **kids = ARENA_ARRAY(a, n, const Expr *);
    if (n && !kids)
        return ex_none();
    for (size_t i = 0; i < n; i++)
        kids[i] = ex_int(a, items[i]);
    return ex_seq(a, tuple_or_list, kids, n);
}

const Expr *ex_with_arg(Arena *a, const Expr *call, const Expr *arg) {
    size_t count = (size_t)call->n + 1, at = call->n;
    const Expr **kids = ARENA_ARRAY(a, count, const Expr *);
    if (!kids || call->kind != EX_CALL)
        return call;
    while (arg->kind != EX_KEYWORD && at > 1 && call->kids[at - 1]->kind == EX_KEYWORD)
        at--; /* positional arguments go before keywords */
    memcpy(kids, call->kids, at * sizeof *kids);
    kids[at] = arg;
    memcpy(kids + at + 1, call->kids + at, (call->n - at) * sizeof *kids);
    return node(a, EX_CALL, (Str){0}, kids, count);
}

const Expr *ex_astype(Arena *a, const Expr *x, const Expr *dtype) {
    bool is_cast = x->kind == EX_CALL && x->n == 2 &&
                   x->kids[0]->kind == EX_ATTRIBUTE &&
                   str_is(x->kids[0]->text, "astype");
    const Expr *operand = is_cast ? x->kids[0]->kids[0] : x;
    return ex_call(a, ex_attribute(a, operand, STR("astype")), &dtype, 1);
}

/* ---- numbers ----------------------------------------------------------------------
 */

/* Rounds v, half to even, to a format with `digits` significant bits whose smallest
 * normal number is 2^(min_exp - 1) and whose numbers end below 2^max_exp.  Adding a
 * number whose last bit is the wanted quantum makes the hardware round. */
static double round_to(double v, int digits, int min_exp, int max_exp) {
    if (v == 0 || isinf(v) || isnan(v))
        return v;
    int exponent;
    (void)frexp(v, &exponent);
    if (exponent > max_exp)
        return v > 0 ? (double)INFINITY : -(double)INFINITY;
    if (exponent < min_exp)
        exponent = min_exp;
    volatile double big = ldexp(1.5, exponent - digits + 52);
    volatile double sum = v < 0 ? v - big : v + big;
    double r = v < 0 ? sum + big : sum - big;
    double limit = ldexp(1.0, max_exp);
    if (r >= limit || r <= -limit)
        return v > 0 ? (double)INFINITY : -(double)INFINITY;
    return r;
}

static double to_float(double v) {
    return round_to(v, 24, -125, 128);
}
static double to_half(double v) {
    return round_to(v, 11, -13, 16);
}
static double to_bfloat(double v) {
    return round_to(v, 8, -125, 128);
}

/* Whether x and v are the same number once stored with `bits`.  16 stands for both
 * kinds, reached straight from double or through float: JAX does either. */
static bool same_number(double x, double v, int bits) {
    if (bits >= 64)
        return x == v;
    double xf = to_float(x), vf = to_float(v);
    if (bits >= 32)
        return xf == vf;
    return to_half(x) == to_half(v) && to_half(xf) == to_half(vf) &&
           to_bfloat(x) == to_bfloat(v) && to_bfloat(xf) == to_bfloat(vf);
}

/* Decimal digits without trailing zeros, and the exponent of the first.  `text` is what
 * "%.*e" gave; the byte of the decimal point depends on the locale and is skipped. */
static int read_digits(const char *text, char *digits, size_t *count) {
    size_t n = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && n < 20)
            digits[n++] = *text;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    *count = n;
    return *text ? atoi(text + 1) : 0;
}

/* Shortest digits that give |v| back. */
static int shortest_digits(double v, int bits, char *digits, size_t *count) {
    char text[64];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, v);
        if (same_number(strtod(text, NULL), v, bits))
            break;
    }
    return read_digits(text, digits, count);
}

/* Python's float repr, in the form that ruff keeps: no "+" in the exponent. */
static void layout_digits(Text *t, const char *digits, size_t n, int exponent) {
    if (exponent < -4 || exponent >= 16) {
        text_char(t, digits[0]);
        if (n > 1)
            text_char(t, '.');
        for (size_t i = 1; i < n; i++)
            text_char(t, digits[i]);
        text_printf(t, exponent < 0 ? "e-%02d" : "e%d",
                    exponent < 0 ? -exponent : exponent);
        return;
    }
    if (exponent < 0)
        text_lit(t, "0.");
    for (int i = -1; i > exponent; i--)
        text_char(t, '0');
    for (int i = 0; i < (int)n || i <= exponent; i++) {
        text_char(t, i < (int)n ? digits[i] : '0');
        if (i == exponent)
            text_char(t, '.');
    }
    if ((int)n <= exponent + 1)
        text_char(t, '0');
}

const Expr *ex_float(Arena *a, double value, int bits) {
    if (isnan(value))
        return ex_name(a, STR("jnp.nan"));
    if (isinf(value)) {
        const Expr *inf = ex_name(a, STR("jnp.inf"));
        return value > 0 ? inf : ex_unary(a, "-", inf);
    }
    Text t = {.arena = a};
    if (signbit(value))
        text_char(&t, '-');
    double size = fabs(value);
    if (size < 1e15 && size == (double)(int64_t)size) {
        text_printf(&t, "%lld.0", (long long)size); /* 33554432.0, not 33554430.0 */
    } else {
        char digits[20];
        size_t n;
        int exponent = shortest_digits(size, bits, digits, &n);
        layout_digits(&t, digits, n, exponent);
    }
    return node(a, EX_NUMBER, text_view(&t), NULL, 0);
}

const Expr *ex_number(Arena *a, Str text) {
    return node(a, EX_NUMBER, text, NULL, 0);
}

/* ---- questions --------------------------------------------------------------------
 */

ExprRank ex_binary_rank(Str op) {
    static const struct {
        const char *op;
        ExprRank rank;
    } table[] = {
        {"or", RANK_OR},          {"and", RANK_AND},    {"in", RANK_COMPARE},
        {"not in", RANK_COMPARE}, {"is", RANK_COMPARE}, {"is not", RANK_COMPARE},
        {"<", RANK_COMPARE},      {"<=", RANK_COMPARE}, {">", RANK_COMPARE},
        {">=", RANK_COMPARE},     {"==", RANK_COMPARE}, {"!=", RANK_COMPARE},
        {"|", RANK_BITOR},        {"^", RANK_XOR},      {"&", RANK_BITAND},
        {"<<", RANK_SHIFT},       {">>", RANK_SHIFT},   {"+", RANK_SUM},
        {"-", RANK_SUM},          {"*", RANK_PRODUCT},  {"@", RANK_PRODUCT},
        {"/", RANK_PRODUCT},      {"//", RANK_PRODUCT}, {"%", RANK_PRODUCT},
        {"**", RANK_POWER},
    };
    for (size_t i = 0; i < OX_COUNT(table); i++)
        if (str_is(op, table[i].op))
            return table[i].rank;
    return RANK_NONE;
}

/* `a.b` may be a dotted name or an attribute of a name. */
static bool same_dotted(Str name, const Expr *attribute) {
    size_t n = attribute->text.n;
    if (name.n < n + 2 || name.p[name.n - n - 1] != '.' ||
        !str_ends(name, attribute->text))
        return false;
    Str head = {name.p, name.n - n - 1};
    const Expr *object = attribute->kids[0];
    if (object->kind == EX_ATTRIBUTE)
        return same_dotted(head, object);
    return object->kind == EX_NAME && str_eq(head, object->text);
}

static bool same_kids(const Expr *x, const Expr *y) {
    for (uint32_t i = 0; i < x->n; i++) {
        if (!x->kids[i] || !y->kids[i]) {
            if (x->kids[i] != y->kids[i])
                return false;
        } else if (!ex_same(x->kids[i], y->kids[i])) {
            return false;
        }
    }
    return true;
}

bool ex_same(const Expr *x, const Expr *y) {
    if (x == y)
        return true;
    if (x->kind == EX_NAME && y->kind == EX_ATTRIBUTE)
        return same_dotted(x->text, y);
    if (x->kind == EX_ATTRIBUTE && y->kind == EX_NAME)
        return same_dotted(y->text, x);
    return x->kind == y->kind && x->n == y->n && x->i == y->i &&
           str_eq(x->text, y->text) && same_kids(x, y);
}

bool ex_is_atom(const Expr *x) {
    return x->kind == EX_NAME || x->kind == EX_INT || x->kind == EX_NUMBER ||
           x->kind == EX_STR;
}

void ex_each_name(const Expr *x, void (*visit)(void *user, Str name), void *user) {
    if (x->kind == EX_NAME && !str_is(x->text, "..."))
        visit(user, x->text);
    for (uint32_t i = 0; i < x->n; i++)
        if (x->kids[i])
            ex_each_name(x->kids[i], visit, user);
}

void ex_each(const Expr *x, void (*visit)(void *user, const Expr *x), void *user) {
    visit(user, x);
    for (uint32_t i = 0; i < x->n; i++)
        if (x->kids[i])
            ex_each(x->kids[i], visit, user);
}

void ex_drop_arg(const Expr *call, uint32_t i) {
    Expr *own = (Expr *)(uintptr_t)call;
    const Expr **kids = (const Expr **)(uintptr_t)call->kids;
    own->n--;
    for (; i < own->n; i++)
        kids[i] = kids[i + 1];
}
