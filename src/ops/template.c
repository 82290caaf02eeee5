/* Parses template text, Python expressions with $holes, into trees.
 *
 * Optional groups `$(...)` are decided in the lexer: a dropped group is skipped, a kept
 * one is read as if its marks were not there, so the parser never sees them.  Operators
 * are read by precedence climbing, with the ranks of expr.h. */
#include "ops/expr.h"
#include "support/number.h"

#include <stdio.h>
#include <stdlib.h>

enum { NESTING_MAX = 64, GROUPS_MAX = 8 };

typedef enum TokenKind { T_END, T_NAME, T_NUMBER, T_STRING, T_HOLE, T_OP } TokenKind;

typedef struct Token {
    TokenKind kind;
    Str text; /* a hole's without the $, a string's with its quotes */
} Token;

/* A kept group: where its content stops and where the text goes on. */
typedef struct Group {
    const char *stop, *resume;
} Group;

typedef struct Parser {
    Arena *arena;
    const ExprScope *scope; /* NULL: holes are not allowed */
    const char *text, *at;
    Token token; /* the next one */
    Group groups[GROUPS_MAX];
    int open;  /* groups in use */
    int depth; /* nesting of expressions */
    const char *error;
} Parser;

typedef struct ExprList {
    const Expr **items;
    size_t count, cap;
} ExprList;

static const Expr *parse_all(Parser *p);
static const Expr *parse_expr(Parser *p);
static const Expr *parse_binary(Parser *p, ExprRank least);

/* The first message stays; the end token makes every loop of the parser stop. */
static const Expr *fail(Parser *p, const char *what) {
    if (!p->error) {
        Str s = arena_printf(p->arena, "template `%s`: %s before `%s`", p->text, what,
                             p->at);
        p->error = s.n ? s.p : what;
    }
    p->token = (Token){T_END, {"", 0}};
    return ex_none();
}

static const Expr *fail_name(Parser *p, const char *what, Str name) {
    Str s = arena_printf(p->arena, "%s $%.*s", what, (int)name.n, name.p);
    return fail(p, s.n ? s.p : what);
}

/* ---- characters -------------------------------------------------------------------
 */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_word(char c) {
    return is_digit(c) || is_letter(c);
}

static Str slice(const char *start, const char *stop) {
    return (Str){start, (size_t)(stop - start)};
}

static const char *skip_word(const char *s) {
    while (is_word(*s))
        s++;
    return s;
}

static const char *skip_dotted(const char *s) {
    s = skip_word(s);
    while (s[0] == '.' && is_letter(s[1]))
        s = skip_word(s + 1);
    return s;
}

/* Past the quoted string at s, or to the end of the text. */
static const char *skip_string(const char *s) {
    char quote = *s++;
    while (*s && *s != quote)
        s += s[0] == '\\' && s[1] ? 2 : 1;
    return *s ? s + 1 : s;
}

static const char *skip_number(const char *s) {
    while (is_word(*s) || *s == '.') {
        bool exponent = (*s == 'e' || *s == 'E') && (s[1] == '-' || s[1] == '+');
        s += exponent ? 2 : 1;
    }
    return s;
}

/* The end of a hole's name: a word, or $out with the property that follows it. */
static const char *skip_hole(const char *s) {
    const char *end = skip_word(s);
    bool is_out = str_eq(slice(s, end), STR("out"));
    return is_out && *end == '.' ? skip_word(end + 1) : end;
}

/* ---- groups -----------------------------------------------------------------------
 */

/* From after `$(`: the matching parenthesis or NULL, and the bar before it if any. */
static const char *group_end(const char *s, const char **bar) {
    int depth = 0;
    *bar = NULL;
    while (*s) {
        if (*s == '"' || *s == '\'') {
            s = skip_string(s);
            continue;
        }
        if (*s == '|' && depth == 0 && !*bar)
            *bar = s;
        if (strchr("([{", *s))
            depth++;
        if (strchr(")]}", *s) && depth-- == 0)
            return s;
        s++;
    }
    return NULL;
}

/* NULL when absent. */
static const Expr *look_up(Parser *p, Str name) {
    bool unknown = p->scope == NULL;
    const Expr *x = unknown ? NULL : p->scope->lookup(p->scope->user, name, &unknown);
    if (unknown)
        fail_name(p, "unknown name", name);
    return unknown ? NULL : x;
}

static bool is_default(Parser *p, const Expr *x, Str text) {
    Str copy = arena_str(p->arena, text);
    Parser inner = {
        .arena = p->arena, .text = copy.p, .at = copy.p, .depth = p->depth + 1};
    const Expr *standard = parse_all(&inner);
    if (inner.error)
        fail(p, inner.error);
    return ex_same(x, standard);
}

/* Whether every hole in the group is present; groups inside decide for themselves. */
static bool holes_present(Parser *p, const char *s, const char *stop,
                          const Expr **last) {
    bool present = true;
    while (s < stop) {
        const char *bar;
        if (*s == '"' || *s == '\'') {
            s = skip_string(s);
        } else if (s[0] == '$' && s[1] == '(') {
            const char *end = group_end(s + 2, &bar);
            s = end ? end + 1 : stop;
        } else if (s[0] == '$') {
            const char *end = skip_hole(s + 1);
            *last = look_up(p, slice(s + 1, end));
            present = present && *last;
            s = end;
        } else {
            s++;
        }
    }
    return present;
}

/* At `$(`: enters the group or jumps over it. */
static void take_group(Parser *p) {
    const char *start = p->at + 2, *bar;
    const char *end = group_end(start, &bar);
    if (!end || p->open == GROUPS_MAX) {
        fail(p, "a group without end, or too many groups");
        return;
    }
    const char *stop = bar ? bar : end;
    const Expr *hole = NULL;
    bool kept = holes_present(p, start, stop, &hole);
    if (kept && bar && hole)
        kept = !is_default(p, hole, slice(bar + 1, end));
    if (kept)
        p->groups[p->open++] = (Group){stop, end + 1};
    p->at = kept ? start : end + 1;
}

/* ---- tokens -----------------------------------------------------------------------
 */

/* Moves to the first character of the next token, in and out of groups. */
static void find_token(Parser *p) {
    while (!p->error) {
        while (*p->at == ' ' || *p->at == '\n')
            p->at++;
        if (p->open && p->at == p->groups[p->open - 1].stop)
            p->at = p->groups[--p->open].resume;
        else if (p->at[0] == '$' && p->at[1] == '(')
            take_group(p);
        else
            return;
    }
}

static size_t operator_length(const char *s) {
    static const char *const two[] = {"**", "//", "<<", ">>", "<=", ">=", "==", "!="};
    for (size_t i = 0; i < OX_COUNT(two); i++)
        if (strncmp(s, two[i], 2) == 0)
            return 2;
    return strchr("+-*/%@<>=&|^~.,:()[]{}", *s) ? 1 : 0;
}

static void advance(Parser *p) {
    find_token(p);
    if (p->error)
        return;
    const char *s = p->at, *end;
    TokenKind kind = T_OP;
    if (*s == 0) {
        kind = T_END;
        end = s;
    } else if (*s == '$') {
        kind = T_HOLE;
        end = skip_hole(++s);
    } else if (strncmp(s, "...", 3) == 0) {
        kind = T_NAME;
        end = s + 3;
    } else if (is_letter(*s)) {
        kind = T_NAME;
        end = skip_dotted(s);
    } else if (is_digit(*s) || (*s == '.' && is_digit(s[1]))) {
        kind = T_NUMBER;
        end = skip_number(s);
    } else if (*s == '"' || *s == '\'') {
        kind = T_STRING;
        end = skip_string(s);
    } else {
        end = s + operator_length(s);
        if (end == s) {
            fail(p, "unexpected character");
            return;
        }
    }
    p->token = (Token){kind, slice(s, end)};
    p->at = end;
}

static bool at_word(const Parser *p, const char *text) {
    return p->token.kind == T_NAME && str_is(p->token.text, text);
}
static bool at_op(const Parser *p, const char *text) {
    return p->token.kind == T_OP && str_is(p->token.text, text);
}

static bool accept(Parser *p, const char *op) {
    if (!at_op(p, op))
        return false;
    advance(p);
    return true;
}

static void expect(Parser *p, const char *op) {
    if (!accept(p, op))
        fail(p, "missing punctuation");
}

static const char *const keywords[] = {"not", "and", "or",   "in",
                                       "is",  "if",  "else", "lambda"};

static bool at_keyword(const Parser *p) {
    for (size_t i = 0; i < OX_COUNT(keywords); i++)
        if (at_word(p, keywords[i]))
            return true;
    return false;
}

/* ---- atoms ------------------------------------------------------------------------
 */

static const Expr *parse_hole(Parser *p) {
    Str name = p->token.text;
    const Expr *x = look_up(p, name);
    if (!x)
        return fail_name(p, "absent outside a group:", name);
    advance(p);
    return x;
}

static char unescape(const char *s) {
    switch (*s) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return *s;
    }
}

static const Expr *parse_string(Parser *p) {
    Str text = p->token.text;
    if (text.n < 2 || text.p[text.n - 1] != text.p[0])
        return fail(p, "a string without end");
    Text t = {.arena = p->arena};
    for (size_t i = 1; i + 1 < text.n; i++) {
        bool escape = text.p[i] == '\\';
        text_char(&t, escape ? unescape(&text.p[++i]) : text.p[i]);
    }
    advance(p);
    return ex_str(p->arena, text_view(&t));
}

static const Expr *parse_number(Parser *p) {
    Str text = p->token.text;
    int64_t value = 0;
    bool integer = true;
    for (size_t i = 0; i < text.n && integer; i++)
        integer = is_digit(text.p[i]) && !__builtin_mul_overflow(value, 10, &value) &&
                  !__builtin_add_overflow(value, text.p[i] - '0', &value);
    double real;
    advance(p);
    if (integer)
        return ex_int(p->arena, value);
    return number_read(text, &real) ? ex_float(p->arena, real, 64)
                                    : ex_number(p->arena, text);
}

/* Items up to `close`; a leading comma is what a dropped group leaves behind. */
static void parse_list(Parser *p, const char *close, ExprList *list,
                       const Expr *(*item)(Parser *)) {
    accept(p, ",");
    while (!p->error && !at_op(p, close)) {
        const Expr *x = item(p);
        bool splice = x->kind == EX_UNARY && str_is(x->text, "*") &&
                      (x->kids[0]->kind == EX_LIST || x->kids[0]->kind == EX_TUPLE);
        for (uint32_t i = 0; splice && i < x->kids[0]->n; i++)
            ARENA_PUSH(p->arena, list, x->kids[0]->kids[i]);
        if (!splice)
            ARENA_PUSH(p->arena, list, x);
        if (!accept(p, ","))
            break;
    }
    expect(p, close);
}

static const Expr *parse_item(Parser *p) {
    if (accept(p, "*"))
        return ex_unary(p->arena, "*", parse_expr(p));
    return parse_expr(p);
}

static const Expr *parse_argument(Parser *p) {
    if (accept(p, "**"))
        return ex_unary(p->arena, "**", parse_expr(p));
    const char *next = p->at;
    while (*next == ' ')
        next++;
    if (p->token.kind != T_NAME || next[0] != '=' || next[1] == '=')
        return parse_item(p);
    Str name = p->token.text;
    advance(p);
    expect(p, "=");
    return ex_keyword(p->arena, name, parse_expr(p));
}

/* `a`, `a:b`, `a:b:c`, each part optional. */
static const Expr *parse_subscript(Parser *p) {
    const Expr *part[3] = {NULL, NULL, NULL};
    if (!at_op(p, ":"))
        part[0] = parse_item(p);
    if (!at_op(p, ":"))
        return part[0];
    for (int i = 1; i < 3 && accept(p, ":"); i++)
        if (!at_op(p, ":") && !at_op(p, ",") && !at_op(p, "]"))
            part[i] = parse_expr(p);
    return ex_slice(p->arena, part[0], part[1], part[2]);
}

static const Expr *parse_parens(Parser *p) {
    expect(p, "(");
    if (accept(p, ")"))
        return ex_seq(p->arena, EX_TUPLE, NULL, 0);
    const Expr *first = parse_item(p);
    bool starred = first->kind == EX_UNARY && str_is(first->text, "*");
    if (!starred && accept(p, ")"))
        return first;
    ExprList items = {0};
    ARENA_PUSH(p->arena, &items, first);
    expect(p, ",");
    parse_list(p, ")", &items, parse_item);
    return ex_seq(p->arena, EX_TUPLE, items.items, items.count);
}

static const Expr *parse_dict(Parser *p) {
    ExprList items = {0};
    expect(p, "{");
    while (!p->error && !at_op(p, "}")) {
        const Expr *key = parse_expr(p);
        expect(p, ":");
        const Expr *value = parse_expr(p);
        ARENA_PUSH(p->arena, &items, key);
        ARENA_PUSH(p->arena, &items, value);
        if (!accept(p, ","))
            break;
    }
    expect(p, "}");
    return ex_seq(p->arena, EX_DICT, items.items, items.count);
}

static const Expr *parse_atom(Parser *p) {
    switch (p->token.kind) {
    case T_HOLE:
        return parse_hole(p);
    case T_STRING:
        return parse_string(p);
    case T_NUMBER:
        return parse_number(p);
    case T_NAME:
        if (!at_keyword(p)) {
            Str name = p->token.text;
            advance(p);
            return ex_name(p->arena, name);
        }
        break;
    case T_OP:
        if (at_op(p, "("))
            return parse_parens(p);
        if (at_op(p, "{"))
            return parse_dict(p);
        if (accept(p, "[")) {
            ExprList items = {0};
            parse_list(p, "]", &items, parse_item);
            return ex_seq(p->arena, EX_LIST, items.items, items.count);
        }
        break;
    case T_END:
        break;
    }
    return fail(p, "missing operand");
}

/* ---- operators --------------------------------------------------------------------
 */

/* `.a.b`, which is one token after the first point. */
static const Expr *parse_attributes(Parser *p, const Expr *x) {
    Str names = p->token.text;
    if (p->token.kind != T_NAME)
        return fail(p, "missing attribute name");
    for (size_t i = 0, start = 0; i <= names.n; i++) {
        if (i < names.n && names.p[i] != '.')
            continue;
        x = ex_attribute(p->arena, x, (Str){names.p + start, i - start});
        start = i + 1;
    }
    advance(p);
    return x;
}

static const Expr *parse_postfix(Parser *p) {
    const Expr *x = parse_atom(p);
    while (!p->error) {
        ExprList list = {0};
        if (accept(p, ".")) {
            x = parse_attributes(p, x);
        } else if (accept(p, "(")) {
            parse_list(p, ")", &list, parse_argument);
            x = ex_call(p->arena, x, list.items, list.count);
        } else if (accept(p, "[")) {
            parse_list(p, "]", &list, parse_subscript);
            x = ex_index(p->arena, x, list.items, list.count);
        } else {
            break;
        }
    }
    return x;
}

static const Expr *parse_prefix(Parser *p) {
    if (at_word(p, "not")) {
        advance(p);
        return ex_unary(p->arena, "not", parse_binary(p, RANK_NOT));
    }
    if (accept(p, "-"))
        return ex_unary(p->arena, "-", parse_binary(p, RANK_UNARY));
    if (accept(p, "~"))
        return ex_unary(p->arena, "~", parse_binary(p, RANK_UNARY));
    return parse_postfix(p);
}

/* The binary operator at the token, "" for none; `is not` and `not in` as one. */
static const char *take_operator(Parser *p, ExprRank least, ExprRank *rank) {
    static const char *const all[] = {
        "or", "and", "in", "is", "<", "<=", ">", ">=", "==", "!=", "|", "^",
        "&",  "<<",  ">>", "+",  "-", "*",  "@", "/",  "//", "%",  "**"};
    bool negated = at_word(p, "not");
    Str op = negated ? STR("not in") : p->token.text;
    *rank = p->token.kind == T_OP || p->token.kind == T_NAME ? ex_binary_rank(op) : 0;
    if (*rank == RANK_NONE || *rank < least)
        return "";
    advance(p);
    if (negated) {
        if (!at_word(p, "in"))
            fail(p, "missing `in`");
        advance(p);
        return "not in";
    }
    if (str_is(op, "is") && at_word(p, "not")) {
        advance(p);
        return "is not";
    }
    for (size_t i = 0; i < OX_COUNT(all); i++)
        if (str_is(op, all[i]))
            return all[i];
    return "";
}

static const Expr *parse_binary(Parser *p, ExprRank least) {
    if (++p->depth > NESTING_MAX)
        return fail(p, "nested too deep");
    const Expr *x = parse_prefix(p);
    ExprRank rank, last = RANK_NONE;
    for (;;) {
        const char *op = take_operator(p, least, &rank);
        if (!*op)
            break;
        if (rank == RANK_COMPARE && last == RANK_COMPARE)
            return fail(p, "chained comparison");
        /* The right operand of ** may carry a sign, and groups to the right. */
        ExprRank right = rank == RANK_POWER ? RANK_UNARY : (ExprRank)(rank + 1);
        x = ex_binary(p->arena, op, x, parse_binary(p, right));
        last = rank;
    }
    p->depth--;
    return x;
}

static const Expr *parse_lambda(Parser *p) {
    const char *start = p->at, *stop;
    while (*start == ' ')
        start++;
    for (stop = start; is_word(*stop) || strchr(" ,*", *stop); stop++)
        if (!*stop)
            return fail(p, "missing `:`");
    p->at = stop;
    advance(p);
    expect(p, ":");
    return ex_lambda(p->arena, slice(start, stop), parse_expr(p));
}

static const Expr *parse_expr(Parser *p) {
    if (++p->depth > NESTING_MAX)
        return fail(p, "nested too deep");
    const Expr *x;
    if (at_word(p, "lambda")) {
        x = parse_lambda(p);
    } else {
        x = parse_binary(p, RANK_OR);
        if (at_word(p, "if")) {
            advance(p);
            const Expr *condition = parse_binary(p, RANK_OR);
            if (!at_word(p, "else"))
                return fail(p, "missing `else`");
            advance(p);
            x = ex_if(p->arena, x, condition, parse_expr(p));
        }
    }
    p->depth--;
    return x;
}

/* The whole text: one expression, or several as a tuple. */
static const Expr *parse_all(Parser *p) {
    advance(p);
    const Expr *x = parse_item(p);
    if (at_op(p, ",")) {
        ExprList items = {0};
        ARENA_PUSH(p->arena, &items, x);
        while (accept(p, ",") && p->token.kind != T_END)
            ARENA_PUSH(p->arena, &items, parse_item(p));
        x = ex_seq(p->arena, EX_TUPLE, items.items, items.count);
    }
    if (p->token.kind != T_END)
        fail(p, "unexpected text");
    return p->error ? ex_none() : x;
}

/* ---- interface --------------------------------------------------------------------
 */

const Expr *ex_template(Arena *a, const char *text, const ExprScope *scope,
                        const char **error) {
    Parser p = {.arena = a, .scope = scope, .text = text, .at = text};
    const Expr *x = parse_all(&p);
    *error = p.error;
    return x;
}

int ex_template_uses(const char *text, Str name) {
    int uses = 0;
    while (*text) {
        if (*text == '"' || *text == '\'') {
            text = skip_string(text);
        } else if (text[0] == '$' && is_word(text[1])) {
            const char *end = skip_hole(text + 1);
            uses += str_eq(slice(text + 1, end), name);
            text = end;
        } else {
            text++;
        }
    }
    return uses;
}

typedef struct Holes {
    const Expr *const *args;
    size_t n;
} Holes;

static const Expr *look_up_hole(void *user, Str name, bool *unknown) {
    const Holes *holes = user;
    size_t index = 0;
    for (size_t i = 0; i < name.n && index < holes->n; i++)
        index = is_digit(name.p[i]) ? index * 10 + (size_t)(name.p[i] - '0') : holes->n;
    *unknown = name.n == 0 || index >= holes->n;
    return *unknown ? NULL : holes->args[index];
}

const Expr *ex_build(Arena *a, const char *text, const Expr *const *args, size_t n) {
    Holes holes = {args, n};
    ExprScope scope = {look_up_hole, &holes};
    const char *error;
    const Expr *x = ex_template(a, text, &scope, &error);
    if (error)
        a->failed = true; /* a defect of ours: stop rather than emit None */
    return x;
}
