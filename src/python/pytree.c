/* From expression trees to Python's syntax trees, and what ruff asks of them. */
#include "python/pytree.h"

#include "python/printer.h"

/* ---- conversion ------------------------------------------------------------------- */

typedef struct Conversion {
    Arena *arena;
    char quote; /* of strings inside of an f-string; 0: the better one */
} Conversion;

static Py *convert(Conversion *c, const Expr *x, ExprRank least);

static Py *make(Conversion *c, PyKind kind, Str text, uint32_t n) {
    Py *e = ARENA_NEW(c->arena, Py);
    Py **kids = n ? ARENA_ARRAY(c->arena, n, Py *) : NULL;
    if (!e || (n && !kids))
        return NULL;
    *e = (Py){.kind = kind, .n = n, .text = text, .kids = kids};
    return e;
}

/* `a.b.c` as attributes of a name. */
static Py *convert_name(Conversion *c, Str text) {
    Str last = str_after_last(text, '.');
    if (last.n == text.n || str_is(text, "..."))
        return make(c, PY_NAME, text, 0);
    Str head = {text.p, 0};
    while (head.n < text.n && text.p[head.n] != '.')
        head.n++;
    Py *e = make(c, PY_NAME, head, 0);
    for (size_t start = head.n + 1, i = start; e && i <= text.n; i++) {
        if (i < text.n && text.p[i] != '.')
            continue;
        Py *object = e;
        e = make(c, PY_ATTRIBUTE, (Str){text.p + start, i - start}, 1);
        if (e)
            e->kids[0] = object;
        start = i + 1;
    }
    return e;
}

static Py *convert_number(Conversion *c, Str text) {
    bool negative = text.n && text.p[0] == '-';
    if (!negative)
        return make(c, PY_NUMBER, text, 0);
    Py *e = make(c, PY_UNARY, STR("-"), 1);
    if (e)
        e->kids[0] = make(c, PY_NUMBER, (Str){text.p + 1, text.n - 1}, 0);
    return e;
}

/* Nothing in it needs an escape, or another quote. */
static bool is_plain(Str content) {
    for (size_t i = 0; i < content.n; i++) {
        char c = content.p[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\'' || c == '\\')
            return false;
    }
    return true;
}

static Py *convert_string(Conversion *c, const Expr *x) {
    if (x->kind == EX_STR && !c->quote && is_plain(x->text)) {
        char *text = arena_alloc(c->arena, x->text.n + 2);
        if (!text)
            return NULL;
        memcpy(text + 1, x->text.p, x->text.n);
        text[0] = text[x->text.n + 1] = '"';
        return make(c, PY_STRING, (Str){text, x->text.n + 2}, 0);
    }
    Text t = {.arena = c->arena};
    char quote = c->quote ? c->quote : print_quote(&x->text, 1);
    if (x->kind == EX_BYTES)
        text_char(&t, 'b');
    text_char(&t, quote);
    print_quoted(&t, x->text, quote);
    text_char(&t, quote);
    return make(c, PY_STRING, text_view(&t), 0);
}

/* The children of x from `first` on, each binding at least as tightly as `least`. */
static Py *with_kids(Conversion *c, Py *e, const Expr *x, uint32_t first,
                     ExprRank least) {
    for (uint32_t i = first; e && i < x->n; i++)
        e->kids[i] = x->kids[i] ? convert(c, x->kids[i], least) : NULL;
    return e;
}

static Py *convert_postfix(Conversion *c, const Expr *x, PyKind kind) {
    Py *e = with_kids(c, make(c, kind, x->text, x->n), x, 1, RANK_LAMBDA);
    if (!e)
        return NULL;
    e->kids[0] = convert(c, x->kids[0], RANK_POSTFIX);
    if (e->kids[0] && e->kids[0]->kind == PY_NUMBER)
        e->kids[0]->parens = true;
    return e;
}

static Py *convert_unary(Conversion *c, const Expr *x) {
    bool star = str_is(x->text, "*") || str_is(x->text, "**");
    ExprRank least = star ? RANK_BITOR : str_is(x->text, "not") ? RANK_NOT : RANK_UNARY;
    Py *e = make(c, star ? PY_STAR : PY_UNARY, x->text, 1);
    with_kids(c, e, x, 0, least);
    /* -(x**2) is also how ruff writes -x**2. */
    if (e && !star && e->kids[0] && e->kids[0]->kind == PY_BINARY &&
        str_is(e->kids[0]->text, "**"))
        e->kids[0]->parens = true;
    return e;
}

/* `a and b and c` from the left: one node. */
static Py *convert_bool(Conversion *c, const Expr *x, ExprRank rank) {
    uint32_t n = 2;
    const Expr *left = x->kids[0];
    for (; left->kind == EX_BINARY && str_eq(left->text, x->text); left = left->kids[0])
        n++;
    Py *e = make(c, PY_BOOL, x->text, n);
    if (!e)
        return NULL;
    for (; n > 1; x = x->kids[0])
        e->kids[--n] = convert(c, x->kids[1], (ExprRank)(rank + 1));
    e->kids[0] = convert(c, x, (ExprRank)(rank + 1));
    return e;
}

static Py *convert_binary(Conversion *c, const Expr *x) {
    ExprRank rank = ex_binary_rank(x->text), left = rank, right = (ExprRank)(rank + 1);
    if (rank == RANK_OR || rank == RANK_AND)
        return convert_bool(c, x, rank);
    if (rank == RANK_POWER) {
        left = RANK_POSTFIX;
        right = RANK_UNARY;
    }
    bool compare = rank == RANK_COMPARE; /* comparisons do not associate: they chain */
    Py *e = make(c, compare ? PY_COMPARE : PY_BINARY, x->text, 2);
    if (!e)
        return NULL;
    e->kids[0] = convert(c, x->kids[0], compare ? right : left);
    e->kids[1] = convert(c, x->kids[1], right);
    return e;
}

static Py *convert_if(Conversion *c, const Expr *x) {
    Py *e = with_kids(c, make(c, PY_IF, x->text, 3), x, 0, RANK_OR);
    if (e)
        e->kids[2] = convert(c, x->kids[2], RANK_LAMBDA);
    return e;
}

/* The literal text of an f-string, where braces count twice. */
static Py *convert_literal(Conversion *c, Str content, char quote) {
    Text braces = {.arena = c->arena}, t = {.arena = c->arena};
    for (size_t i = 0; i < content.n; i++) {
        if (content.p[i] == '{' || content.p[i] == '}')
            text_char(&braces, content.p[i]);
        text_char(&braces, content.p[i]);
    }
    print_quoted(&t, text_view(&braces), quote);
    return make(c, PY_STRING, text_view(&t), 0);
}

static Py *convert_fstring(Conversion *c, const Expr *x) {
    Str *literals = ARENA_ARRAY(c->arena, (size_t)x->n + 1, Str);
    Py *e = make(c, PY_FSTRING, (Str){0}, x->n);
    if (!literals || !e)
        return NULL;
    for (uint32_t i = 0; i < x->n; i++)
        if (x->kids[i]->kind == EX_STR)
            literals[i] = x->kids[i]->text;
    char quote = c->quote ? c->quote : print_quote(literals, x->n);
    Conversion inner = {c->arena, quote == '"' ? '\'' : '"'};
    e->text = quote == '"' ? STR("\"") : STR("'");
    for (uint32_t i = 0; i < x->n; i++)
        e->kids[i] = x->kids[i]->kind == EX_STR
                         ? convert_literal(c, literals[i], quote)
                         : convert(&inner, x->kids[i], RANK_LAMBDA);
    return e;
}

/* a < b < c: the left comparison keeps no parentheses. */
static Py *convert_chain(Conversion *c, const Expr *x) {
    Py *e = make(c, PY_COMPARE, x->text, 2);
    if (!e)
        return NULL;
    e->kids[0] = convert(c, x->kids[0], RANK_COMPARE);
    e->kids[1] = convert(c, x->kids[1], (ExprRank)(RANK_COMPARE + 1));
    return e;
}

/* All children of x, under the same text. */
static Py *convert_alike(Conversion *c, const Expr *x, PyKind kind, ExprRank least) {
    return with_kids(c, make(c, kind, x->text, x->n), x, 0, least);
}

static Py *convert_kind(Conversion *c, const Expr *x) {
    switch (x->kind) {
    case EX_NAME:
        return convert_name(c, x->text);
    case EX_INT:
        return convert_number(c, arena_printf(c->arena, "%lld", (long long)x->i));
    case EX_NUMBER:
        return convert_number(c, x->text);
    case EX_STR:
    case EX_BYTES:
        return convert_string(c, x);
    case EX_CALL:
        return convert_postfix(c, x, PY_CALL);
    case EX_ATTRIBUTE:
        return convert_postfix(c, x, PY_ATTRIBUTE);
    case EX_INDEX:
        return convert_postfix(c, x, PY_INDEX);
    case EX_KEYWORD:
        return with_kids(c, make(c, PY_KEYWORD, x->text, 1), x, 0, RANK_LAMBDA);
    case EX_SLICE:
        return with_kids(c, make(c, PY_SLICE, x->text, 3), x, 0, RANK_IF);
    case EX_UNARY:
        return convert_unary(c, x);
    case EX_BINARY:
        return convert_binary(c, x);
    case EX_IF:
        return convert_if(c, x);
    case EX_TUPLE:
        return with_kids(c, make(c, PY_TUPLE, x->text, x->n), x, 0, RANK_LAMBDA);
    case EX_LIST:
        return with_kids(c, make(c, PY_LIST, x->text, x->n), x, 0, RANK_LAMBDA);
    case EX_DICT:
        return with_kids(c, make(c, PY_DICT, x->text, x->n), x, 0, RANK_IF);
    case EX_LAMBDA:
        return with_kids(c, make(c, PY_LAMBDA, x->text, 1), x, 0, RANK_LAMBDA);
    case EX_FSTRING:
        return convert_fstring(c, x);
    case EX_TARGETS:
        return convert_alike(c, x, PY_TUPLE, RANK_POSTFIX);
    case EX_CHAIN:
        return convert_chain(c, x);
    case EX_FIELD:
        return convert_alike(c, x, PY_FIELD, RANK_IF);
    case EX_STRINGS:
        return convert_alike(c, x, PY_STRINGS, RANK_LAMBDA);
    case EX_COMPREHENSION:
        return convert_alike(c, x, PY_COMPREHENSION, RANK_LAMBDA);
    case EX_FOR:
        return convert_alike(c, x, PY_FOR, RANK_OR);
    case EX_PAIR:
        return convert_alike(c, x, PY_PAIR, RANK_IF);
    case EX_WALRUS:
        return convert_alike(c, x, PY_WALRUS, RANK_IF);
    }
    return NULL;
}

static ExprRank rank_of(const Py *e) {
    switch (e->kind) {
    case PY_LAMBDA:
    case PY_WALRUS:
        return RANK_LAMBDA;
    case PY_IF:
        return RANK_IF;
    case PY_BOOL:
    case PY_BINARY:
    case PY_COMPARE:
        return ex_binary_rank(e->text);
    case PY_UNARY:
        return str_is(e->text, "not") ? RANK_NOT : RANK_UNARY;
    default:
        return RANK_POSTFIX;
    }
}

/* Depth is bounded by that of the expression. */
static Py *convert(Conversion *c, const Expr *x, ExprRank least) {
    Py *e = convert_kind(c, x);
    if (!e)
        return NULL;
    e->parens |= x->parens || rank_of(e) < least;
    e->bare = x->bare;
    e->spread = x->spread;
    return e;
}

Py *py_from_expr(Arena *a, const Expr *x) {
    Conversion c = {.arena = a};
    Py *e = convert(&c, x, RANK_LAMBDA);
    return a->failed ? NULL : e;
}

/* ---- questions -------------------------------------------------------------------- */

PyOrder py_order(const Py *e) {
    switch (e->kind == PY_IF ? RANK_IF : ex_binary_rank(e->text)) {
    case RANK_IF:
        return ORDER_IF;
    case RANK_OR:
    case RANK_AND:
        return ORDER_BOOL;
    case RANK_COMPARE:
        return ORDER_COMPARE;
    case RANK_BITOR:
        return ORDER_BITOR;
    case RANK_XOR:
        return ORDER_XOR;
    case RANK_BITAND:
        return ORDER_BITAND;
    case RANK_SHIFT:
        return ORDER_SHIFT;
    case RANK_SUM:
        return ORDER_SUM;
    case RANK_PRODUCT:
        return ORDER_PRODUCT;
    case RANK_POWER:
        return ORDER_POWER;
    default:
        return ORDER_NONE;
    }
}

bool py_is_chain_link(const Py *e) {
    return e->kind == PY_CALL || e->kind == PY_INDEX || e->kind == PY_ATTRIBUTE;
}

bool py_is_fluent(const Py *e) {
    uint32_t calls = 0; /* objects of attributes that are calls, subscripts or in () */
    for (; py_is_chain_link(e); e = e->kids[0]) {
        const Py *object = e->kids[0];
        bool call = object->kind == PY_CALL || object->kind == PY_INDEX;
        calls += e->kind == PY_ATTRIBUTE && (object->parens || call);
        if (object->parens)
            break;
    }
    return calls >= 2;
}

PyWrap py_wrap(const Py *e) {
    switch (e->kind) {
    case PY_NAME:
    case PY_NUMBER:
    case PY_STRING:
    case PY_FSTRING:
        return WRAP_IF_FITS;
    case PY_TUPLE:
    case PY_LIST:
    case PY_DICT:
    case PY_COMPREHENSION:
        return WRAP_NEVER;
    case PY_CALL:
    case PY_INDEX:
    case PY_ATTRIBUTE:
        if (py_is_fluent(e))
            return WRAP_MULTILINE;
        return e->kids[0]->parens ? WRAP_NEVER : py_wrap(e->kids[0]);
    case PY_UNARY:
        return e->kids[0]->parens ? WRAP_NEVER : py_wrap(e->kids[0]);
    default:
        return WRAP_MULTILINE;
    }
}

bool py_has_brackets(const Py *e) {
    return e->kind == PY_INDEX || e->kind == PY_CALL || e->kind == PY_LIST ||
           e->kind == PY_DICT || e->kind == PY_COMPREHENSION ||
           (e->kind == PY_TUPLE && !e->bare);
}

static bool has_content(const Py *e) {
    return e->parens || (py_has_brackets(e) && e->n > (e->kind == PY_CALL));
}

bool py_is_simple_power(const Py *x) {
    if (x->parens)
        return false;
    while ((x->kind == PY_UNARY && !str_is(x->text, "not")) || x->kind == PY_ATTRIBUTE)
        x = x->kids[0];
    return x->kind == PY_NUMBER || (x->kind == PY_NAME && !str_is(x->text, "..."));
}

bool py_is_simple_bound(const Py *x) {
    while (x && x->kind == PY_UNARY && !str_is(x->text, "not"))
        x = x->kids[0];
    return !x || x->kind == PY_NAME || x->kind == PY_NUMBER || x->kind == PY_STRING;
}

/* What py_breaks_inside collects on its way through e, outside of brackets. */
typedef struct Survey {
    PyOrder order;  /* the largest */
    uint32_t count; /* how often it occurs */
    bool brackets;  /* there are some */
    const Py *first, *last;
    bool started; /* the first token belongs to no operand: first stays NULL */
} Survey;

static void count_order(Survey *s, PyOrder order, uint32_t count) {
    if (order > s->order) {
        s->order = order;
        s->count = 0;
    }
    if (order == s->order)
        s->count += count;
}

static void survey(Survey *s, const Py *e);

static void survey_kid(Survey *s, const Py *e) {
    s->last = e;
    if (e->parens)
        s->brackets = true;
    else
        survey(s, e);
    if (!s->started)
        s->first = e;
    s->started = true;
}

static void survey_postfix(Survey *s, const Py *e) {
    const Py *object = e->kids[0];
    bool attribute = e->kind == PY_ATTRIBUTE;
    s->brackets = s->brackets || !attribute;
    survey_kid(s, object);
    if (attribute && (py_has_brackets(object) || object->parens))
        count_order(s, ORDER_ATTRIBUTE, 1);
    s->last = e;
}

static void survey(Survey *s, const Py *e) {
    switch (e->kind) {
    case PY_CALL:
    case PY_INDEX:
    case PY_ATTRIBUTE:
        survey_postfix(s, e);
        return;
    case PY_TUPLE:
        if (e->bare)
            break;
        s->brackets = true;
        return;
    case PY_LIST:
    case PY_DICT:
    case PY_COMPREHENSION:
        s->brackets = true;
        return;
    case PY_IF:
        count_order(s, ORDER_IF, 2);
        break;
    case PY_BINARY:
    case PY_COMPARE:
    case PY_BOOL:
        count_order(s, py_order(e), e->n - 1);
        break;
    case PY_UNARY:
        if (str_is(e->text, "~"))
            count_order(s, ORDER_INVERT, 1);
        s->started = true;
        break;
    case PY_STAR:
    case PY_LAMBDA:
        s->started = true;
        break;
    default:
        return;
    }
    for (uint32_t i = 0; i < e->n; i++)
        survey_kid(s, e->kids[i]);
}

bool py_breaks_inside(const Py *e) {
    Survey s = {.order = ORDER_NONE};
    survey(&s, e);
    if (!s.brackets || s.count > 1)
        return false;
    if (s.order == ORDER_NONE || s.order == ORDER_ATTRIBUTE)
        return true;
    /* A subscript at either end does not count: breaking it looks odd. */
    return (s.last && s.last->kind != PY_INDEX && has_content(s.last)) ||
           (s.first && s.first->kind != PY_INDEX && has_content(s.first));
}
