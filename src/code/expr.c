/* Constructors and walks of expression trees.  Nodes are immutable and shared freely.
 *
 * Every constructor copies its text and its list of children into the arena, so callers
 * may build both on the stack. */
#include "code/expr.h"
#include "support/dtype.h"

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

/* x, or None and a defect where a callback has nothing to give. */
static const Expr *given(Arena *a, const Expr *x) {
    if (!x)
        arena_defect(a, "an expression is made of nothing (NULL)");
    return x ? x : ex_none();
}

static const Expr *node(Arena *a, ExprKind kind, Str text, const Expr *const *kids,
                        size_t n) {
    uint32_t depth = depth_above(kids, n);
    for (size_t i = 0; kind != EX_SLICE && i < n; i++)
        if (!kids[i])
            return given(a, NULL);
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
                .depth = (uint16_t)depth,
                .text = text.n ? arena_str(a, text) : (Str){"", 0},
                .kids = copy};
    return e;
}

const Expr *ex_node(Arena *a, ExprKind kind, Str text, const Expr *const *kids,
                    size_t n) {
    return node(a, kind, text, kids, n);
}

const Expr *ex_word(Arena *a, Str name) {
    Expr *e = ARENA_NEW(a, Expr);
    if (!e)
        return ex_none();
    *e = (Expr){.kind = EX_NAME, .text = name};
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
    const Expr *literal = x && strcmp(op, "-") == 0 ? negated_literal(a, x) : NULL;
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

const Expr *ex_fstring(Arena *a, const Expr *const *parts, size_t n) {
    const Expr **kids = ARENA_ARRAY(a, n, const Expr *);
    if (n && !kids)
        return ex_none();
    for (size_t i = 0; i < n; i++)
        kids[i] = parts[i]->kind == EX_STR || parts[i]->kind == EX_FIELD
                      ? parts[i]
                      : node(a, EX_FIELD, (Str){0}, &parts[i], 1);
    return node(a, EX_FSTRING, (Str){0}, kids, n);
}

static Expr *copy(Arena *a, const Expr *x) {
    Expr *e = ARENA_NEW(a, Expr);
    if (e)
        *e = *x;
    return e;
}

const Expr *ex_with_kids(Arena *a, const Expr *x, const Expr *const *kids) {
    const Expr *made = node(a, x->kind, x->text, kids, x->n);
    made = x->note ? ex_note(a, made, x->note) : made;
    made = x->bare ? ex_bare(a, made) : made;
    made = x->parens ? ex_parens(a, made) : made;
    return x->spread ? ex_spread(a, made) : made;
}

const Expr *ex_note(Arena *a, const Expr *x, uint32_t note) {
    bool shared = x->note || x->n == 0;
    Expr *e = shared ? copy(a, x) : (Expr *)(uintptr_t)x;
    if (!e)
        return x;
    e->note = note;
    return e;
}

const Expr *ex_spread(Arena *a, const Expr *x) {
    Expr *e = copy(a, x);
    if (!e)
        return x;
    e->spread = true;
    return e;
}

const Expr *ex_bare(Arena *a, const Expr *x) {
    Expr *e = x->kind == EX_TUPLE && x->n > 0 ? copy(a, x) : NULL;
    if (!e)
        return x;
    e->bare = true;
    return e;
}

const Expr *ex_parens(Arena *a, const Expr *x) {
    Expr *e = copy(a, x);
    if (!e)
        return x;
    e->parens = true;
    return e;
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
    call = given(a, call);
    arg = given(a, arg);
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
    x = given(a, x);
    bool is_cast = x->kind == EX_CALL && x->n == 2 &&
                   x->kids[0]->kind == EX_ATTRIBUTE &&
                   str_is(x->kids[0]->text, "astype");
    const Expr *operand = is_cast ? x->kids[0]->kids[0] : x;
    return ex_call(a, ex_attribute(a, operand, STR("astype")), &dtype, 1);
}

/* ---- numbers ----------------------------------------------------------------------
 */

static double rounded(DType t, double x) {
    (void)dtype_round(t, &x);
    return x;
}

/* Whether x and v are the same number once stored with `bits`.  16 stands for both
 * kinds, reached straight from double or through float: JAX does either. */
static bool same_number(double x, double v, int bits) {
    if (bits >= 64)
        return x == v;
    double xf = rounded(DT_FLOAT, x), vf = rounded(DT_FLOAT, v);
    if (bits >= 32)
        return xf == vf;
    static const DType halves[] = {DT_FLOAT16, DT_BFLOAT16};
    for (size_t i = 0; i < OX_COUNT(halves); i++)
        if (rounded(halves[i], x) != rounded(halves[i], v) ||
            rounded(halves[i], xf) != rounded(halves[i], vf))
            return false;
    return true;
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
    if (!op.n || !memchr("oain<>=!|^&+-*@/%", op.p[0], 17)) /* most are none */
        return RANK_NONE;
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
           x->spread == y->spread && x->bare == y->bare && x->parens == y->parens &&
           str_eq(x->text, y->text) && same_kids(x, y);
}

bool ex_is_atom(const Expr *x) {
    return x->kind == EX_NAME || x->kind == EX_INT || x->kind == EX_NUMBER ||
           x->kind == EX_STR;
}

bool ex_is_free(const Expr *x) {
    bool compound = x->kind == EX_ATTRIBUTE || x->kind == EX_INDEX ||
                    x->kind == EX_SLICE || x->kind == EX_TUPLE || x->kind == EX_LIST ||
                    (x->kind == EX_UNARY && ex_is_atom(x->kids[0]));
    for (uint32_t i = 0; compound && i < x->n; i++)
        compound = !x->kids[i] || ex_is_free(x->kids[i]);
    return compound || ex_is_atom(x);
}

int ex_count(const Expr *tree, const Expr *node) {
    int count = tree == node;
    for (uint32_t i = 0; i < tree->n; i++)
        count += tree->kids[i] ? ex_count(tree->kids[i], node) : 0;
    return count;
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
