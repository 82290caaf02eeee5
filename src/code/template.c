/* The grammar of Python's expressions, for templates and for statements, and templates
 * themselves.  Operators are read by precedence climbing, with the ranks of expr.h. */
#include "code/parser.h"
#include "support/number.h"

#include <stdio.h>
static const Expr *parse_binary(Parser *p, ExprRank least);

/* A function, so that x is read also where there is no room for it. */
static void push(Parser *p, ExprList *list, const Expr *x) {
    (void)ARENA_PUSH(p->arena, list, x);
}

/* ---- atoms ------------------------------------------------------------------------
 */

static const Expr *parse_hole(Parser *p) {
    Str name = p->token.text;
    const Expr *x = lex_look_up(p, name);
    if (!x)
        return parse_fail_name(p, "absent outside a group:", name);
    lex_advance(p);
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

static Str unescaped(Parser *p, Str text) {
    Text t = {.arena = p->arena};
    for (size_t i = 0; i < text.n; i++) {
        bool escape = text.p[i] == '\\' && i + 1 < text.n;
        text_char(&t, escape ? unescape(&text.p[++i]) : text.p[i]);
    }
    return text_view(&t);
}

/* The length of the field's expression at s, without the "!r" or ":.2f" behind it. */
static size_t field_length(Str s) {
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\'') {
            i = (size_t)(lex_skip_string(s.p + i) - s.p) - 1;
            continue;
        }
        bool ends = c == ':' || (c == '!' && i + 1 < s.n && s.p[i + 1] != '=');
        if (depth == 0 && (ends || c == '}'))
            return i;
        depth += c == '(' || c == '[' || c == '{';
        depth -= c == ')' || c == ']' || c == '}';
    }
    return s.n;
}

/* `value!r}` at the beginning of s; *used: without the brace. */
static const Expr *parse_field(Parser *p, Str s, size_t *used) {
    size_t n = field_length(s);
    Str value = arena_str(p->arena, (Str){s.p, n});
    Parser inner = {.arena = p->arena,
                    .text = value.p,
                    .at = value.p,
                    .lines = p->lines,
                    .depth = p->depth + 1};
    const Expr *x = inner.depth > NESTING_MAX ? ex_none() : parse_all(&inner);
    if (inner.error)
        parse_fail(p, inner.error);
    for (*used = n; *used < s.n && s.p[*used] != '}';)
        ++*used;
    return ex_node(p->arena, EX_FIELD, (Str){s.p + n, *used - n}, &x, 1);
}

/* Literal text up to the next field; {{ stands for a brace. */
static Str take_literal(Parser *p, Str s, size_t *used) {
    Text t = {.arena = p->arena};
    size_t i = 0;
    while (i < s.n) {
        bool brace = s.p[i] == '{' || s.p[i] == '}';
        if (brace && (i + 1 == s.n || s.p[i + 1] != s.p[i]))
            break;
        bool escape = s.p[i] == '\\' && i + 1 < s.n;
        i += brace || escape;
        text_char(&t, escape ? unescape(&s.p[i]) : s.p[i]);
        i++;
    }
    *used = i;
    return text_view(&t);
}

static const Expr *parse_fstring(Parser *p, Str s) {
    ExprList parts = {0};
    size_t used;
    while (s.n && !p->error) {
        Str literal = take_literal(p, s, &used);
        if (used)
            push(p, &parts, ex_str(p->arena, literal));
        s = (Str){s.p + used, s.n - used};
        if (!s.n)
            break;
        s = (Str){s.p + 1, s.n - 1};
        push(p, &parts, parse_field(p, s, &used));
        if (used == s.n)
            return parse_fail(p, "a field without end");
        s = (Str){s.p + used + 1, s.n - used - 1};
    }
    return ex_fstring(p->arena, parts.items, parts.count);
}

static const Expr *parse_one_string(Parser *p) {
    Str text = p->token.text;
    char prefix = text.n && (text.p[0] == 'f' || text.p[0] == 'b') ? text.p[0] : 0;
    if (prefix)
        text = (Str){text.p + 1, text.n - 1};
    if (text.n < 2 || text.p[text.n - 1] != text.p[0])
        return parse_fail(p, "a string without end");
    text = (Str){text.p + 1, text.n - 2};
    lex_advance(p);
    if (prefix == 'f')
        return parse_fstring(p, text);
    return ex_node(p->arena, prefix ? EX_BYTES : EX_STR, unescaped(p, text), NULL, 0);
}

/* Several side by side are one. */
static const Expr *parse_string(Parser *p) {
    const Expr *first = parse_one_string(p);
    if (p->token.kind != T_STRING)
        return first;
    ExprList parts = {0};
    push(p, &parts, first);
    while (p->token.kind == T_STRING)
        push(p, &parts, parse_one_string(p));
    return ex_node(p->arena, EX_STRINGS, (Str){0}, parts.items, parts.count);
}

static const Expr *parse_number(Parser *p) {
    Str text = p->token.text;
    int64_t value = 0;
    bool integer = true;
    for (size_t i = 0; i < text.n && integer; i++)
        integer = char_is_digit(text.p[i]) &&
                  !__builtin_mul_overflow(value, 10, &value) &&
                  !__builtin_add_overflow(value, text.p[i] - '0', &value);
    double real;
    lex_advance(p);
    if (integer)
        return ex_int(p->arena, value);
    return !p->lines && number_read(text, &real) ? ex_float(p->arena, real, 64)
                                                 : ex_number(p->arena, text);
}

/* Adds x, or the items of a list with a star before it that a template was given. */
static void add_item(Parser *p, ExprList *list, const Expr *x) {
    bool splice = !p->lines && x->kind == EX_UNARY && str_is(x->text, "*") &&
                  (x->kids[0]->kind == EX_LIST || x->kids[0]->kind == EX_TUPLE);
    for (uint32_t i = 0; splice && i < x->kids[0]->n; i++)
        push(p, list, x->kids[0]->kids[i]);
    if (!splice)
        push(p, list, x);
}

/* Items up to `close`; a leading comma is what a dropped group leaves behind.  Whether
 * statements have a comma behind the last one. */
static bool parse_list(Parser *p, const char *close, ExprList *list,
                       const Expr *(*item)(Parser *)) {
    bool comma = false;
    lex_accept(p, ",");
    while (!p->error && !lex_at_op(p, close)) {
        add_item(p, list, item(p));
        comma = lex_accept(p, ",");
        if (!comma)
            break;
    }
    lex_expect(p, close);
    return comma && p->lines;
}

static const Expr *spread_if(Parser *p, bool spread, const Expr *x) {
    return spread ? ex_spread(p->arena, x) : x;
}

/* `for x in xs if x` behind the element, when that comes. */
static const Expr *parse_clauses(Parser *p, const char *brackets, const Expr *element) {
    if (!lex_at_word(p, "for"))
        return element;
    ExprList kids = {0};
    push(p, &kids, element);
    while (lex_accept_word(p, "for")) {
        ExprList clause = {0};
        push(p, &clause, parse_targets(p));
        lex_expect_word(p, "in");
        push(p, &clause, parse_binary(p, RANK_OR));
        while (lex_accept_word(p, "if"))
            push(p, &clause, parse_binary(p, RANK_OR));
        push(p, &kids, ex_node(p->arena, EX_FOR, (Str){0}, clause.items, clause.count));
    }
    return p->arena->failed ? ex_none()
                            : ex_node(p->arena, EX_COMPREHENSION, str_from(brackets),
                                      kids.items, kids.count);
}

static const Expr *parse_item(Parser *p) {
    if (lex_accept(p, "*"))
        return ex_unary(p->arena, "*", parse_expr(p));
    return parse_expr(p);
}

static const Expr *parse_argument(Parser *p) {
    if (lex_accept(p, "**"))
        return ex_unary(p->arena, "**", parse_expr(p));
    const char *next = p->at;
    while (*next == ' ')
        next++;
    if (p->token.kind != T_NAME || next[0] != '=' || next[1] == '=')
        return parse_clauses(p, "(", parse_item(p));
    Str name = p->token.text;
    lex_advance(p);
    lex_expect(p, "=");
    return ex_keyword(p->arena, name, parse_expr(p));
}

/* `a`, `a:b`, `a:b:c`, each part optional. */
static const Expr *parse_subscript(Parser *p) {
    const Expr *part[3] = {NULL, NULL, NULL};
    if (!lex_at_op(p, ":"))
        part[0] = parse_item(p);
    if (!lex_at_op(p, ":"))
        return part[0];
    for (int i = 1; i < 3 && lex_accept(p, ":"); i++)
        if (!lex_at_op(p, ":") && !lex_at_op(p, ",") && !lex_at_op(p, "]"))
            part[i] = parse_expr(p);
    return ex_slice(p->arena, part[0], part[1], part[2]);
}

static const Expr *parse_parens(Parser *p) {
    lex_expect(p, "(");
    if (lex_accept(p, ")"))
        return ex_seq(p->arena, EX_TUPLE, NULL, 0);
    const Expr *first = parse_clauses(p, "(", parse_item(p));
    bool starred = first->kind == EX_UNARY && str_is(first->text, "*");
    bool own = first->kind == EX_COMPREHENSION && str_is(first->text, "(");
    if (!starred && lex_accept(p, ")"))
        return p->lines && !own ? ex_parens(p->arena, first) : first;
    ExprList items = {0};
    push(p, &items, first);
    lex_expect(p, ",");
    bool spread = parse_list(p, ")", &items, parse_item) && items.count > 1;
    return spread_if(p, spread, ex_seq(p->arena, EX_TUPLE, items.items, items.count));
}

static const Expr *parse_list_item(Parser *p) {
    return parse_clauses(p, "[", parse_item(p));
}

static const Expr *parse_brackets(Parser *p) {
    ExprList items = {0};
    bool spread = parse_list(p, "]", &items, parse_list_item);
    if (items.count == 1 && items.items[0]->kind == EX_COMPREHENSION &&
        str_is(items.items[0]->text, "["))
        return items.items[0];
    return spread_if(p, spread, ex_seq(p->arena, EX_LIST, items.items, items.count));
}

static const Expr *parse_dict(Parser *p) {
    ExprList items = {0};
    bool comma = false;
    lex_expect(p, "{");
    while (!p->error && !lex_at_op(p, "}")) {
        const Expr *pair[] = {parse_expr(p), NULL};
        lex_expect(p, ":");
        pair[1] = parse_expr(p);
        if (lex_at_word(p, "for") && !items.count) {
            const Expr *element = ex_node(p->arena, EX_PAIR, (Str){0}, pair, 2);
            const Expr *x = parse_clauses(p, "{", element);
            lex_expect(p, "}");
            return x;
        }
        push(p, &items, pair[0]);
        push(p, &items, pair[1]);
        comma = lex_accept(p, ",");
        if (!comma)
            break;
    }
    lex_expect(p, "}");
    return spread_if(p, comma && p->lines,
                     ex_seq(p->arena, EX_DICT, items.items, items.count));
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
        if (!lex_at_keyword(p)) {
            Str name = p->token.text;
            lex_advance(p);
            return ex_name(p->arena, name);
        }
        break;
    case T_OP:
        if (lex_at_op(p, "("))
            return parse_parens(p);
        if (lex_at_op(p, "{"))
            return parse_dict(p);
        if (lex_accept(p, "["))
            return parse_brackets(p);
        break;
    case T_LINE:
    case T_END:
        break;
    }
    return parse_fail(p, "missing operand");
}

/* ---- operators --------------------------------------------------------------------
 */

/* `.a.b`, which is one token after the first point. */
static const Expr *parse_attributes(Parser *p, const Expr *x) {
    Str names = p->token.text;
    if (p->token.kind != T_NAME)
        return parse_fail(p, "missing attribute name");
    for (size_t i = 0, start = 0; i <= names.n; i++) {
        if (i < names.n && names.p[i] != '.')
            continue;
        x = ex_attribute(p->arena, x, (Str){names.p + start, i - start});
        start = i + 1;
    }
    lex_advance(p);
    return x;
}

static const Expr *parse_postfix(Parser *p) {
    const Expr *x = parse_atom(p);
    while (!p->error) {
        ExprList list = {0};
        if (lex_accept(p, ".")) {
            x = parse_attributes(p, x);
        } else if (lex_accept(p, "(")) {
            bool spread = parse_list(p, ")", &list, parse_argument);
            x = ex_call(p->arena, x, list.items, list.count);
            x = spread_if(p, spread, x);
        } else if (lex_accept(p, "[")) {
            bool spread = parse_list(p, "]", &list, parse_subscript);
            x = ex_index(p->arena, x, list.items, list.count);
            x = spread_if(p, spread, x);
        } else {
            break;
        }
    }
    return x;
}

static const Expr *parse_prefix(Parser *p) {
    if (lex_at_word(p, "not")) {
        lex_advance(p);
        return ex_unary(p->arena, "not", parse_binary(p, RANK_NOT));
    }
    if (lex_accept(p, "-"))
        return ex_unary(p->arena, "-", parse_binary(p, RANK_UNARY));
    if (lex_accept(p, "~"))
        return ex_unary(p->arena, "~", parse_binary(p, RANK_UNARY));
    return parse_postfix(p);
}

/* The binary operator at the token, "" for none; `is not` and `not in` as one. */
static const char *take_operator(Parser *p, ExprRank least, ExprRank *rank) {
    static const char *const all[] = {
        "or", "and", "in", "is", "<", "<=", ">", ">=", "==", "!=", "|", "^",
        "&",  "<<",  ">>", "+",  "-", "*",  "@", "/",  "//", "%",  "**"};
    bool negated = lex_at_word(p, "not");
    Str op = negated ? STR("not in") : p->token.text;
    *rank = p->token.kind == T_OP || p->token.kind == T_NAME ? ex_binary_rank(op) : 0;
    if (*rank == RANK_NONE || *rank < least)
        return "";
    lex_advance(p);
    if (negated) {
        if (!lex_at_word(p, "in"))
            parse_fail(p, "missing `in`");
        lex_advance(p);
        return "not in";
    }
    if (str_is(op, "is") && lex_at_word(p, "not")) {
        lex_advance(p);
        return "is not";
    }
    for (size_t i = 0; i < OX_COUNT(all); i++)
        if (str_is(op, all[i]))
            return all[i];
    return "";
}

static const Expr *parse_binary(Parser *p, ExprRank least) {
    if (++p->depth > NESTING_MAX)
        return parse_fail(p, "nested too deep");
    const Expr *x = parse_prefix(p);
    ExprRank rank, last = RANK_NONE;
    for (;;) {
        const char *op = take_operator(p, least, &rank);
        if (!*op)
            break;
        /* The right operand of ** may carry a sign, and groups to the right. */
        ExprRank right = rank == RANK_POWER ? RANK_UNARY : (ExprRank)(rank + 1);
        const Expr *both[] = {x, parse_binary(p, right)};
        bool chain = rank == RANK_COMPARE && last == RANK_COMPARE;
        x = ex_node(p->arena, chain ? EX_CHAIN : EX_BINARY, str_from(op), both, 2);
        last = rank;
    }
    p->depth--;
    return x;
}

static const Expr *parse_lambda(Parser *p) {
    const char *start = p->at, *stop;
    while (*start == ' ')
        start++;
    for (stop = start; char_is_word(*stop) || strchr(" ,*", *stop); stop++)
        if (!*stop)
            return parse_fail(p, "missing `:`");
    p->at = stop;
    lex_advance(p);
    lex_expect(p, ":");
    return ex_lambda(p->arena, lex_slice(start, stop), parse_expr(p));
}

const Expr *parse_expr(Parser *p) {
    if (++p->depth > NESTING_MAX)
        return parse_fail(p, "nested too deep");
    const Expr *x;
    if (lex_at_word(p, "lambda")) {
        x = parse_lambda(p);
    } else {
        x = parse_binary(p, RANK_OR);
        if (lex_accept_word(p, "if")) {
            const Expr *condition = parse_binary(p, RANK_OR);
            lex_expect_word(p, "else");
            x = ex_if(p->arena, x, condition, parse_expr(p));
        } else if (x->kind == EX_NAME && lex_accept(p, ":=")) {
            const Expr *value = parse_expr(p);
            x = ex_node(p->arena, EX_WALRUS, x->text, &value, 1);
        }
    }
    p->depth--;
    return x;
}

/* Behind the first item: the rest of a tuple without parentheses. */
static const Expr *parse_rest(Parser *p, const Expr *first,
                              const Expr *(*item)(Parser *)) {
    if (!lex_at_op(p, ","))
        return first;
    ExprList items = {0};
    push(p, &items, first);
    while (lex_accept(p, ",") && p->token.kind != T_END && p->token.kind != T_LINE)
        push(p, &items, item(p));
    return ex_seq(p->arena, EX_TUPLE, items.items, items.count);
}

const Expr *parse_exprs(Parser *p) {
    const Expr *x = parse_item(p), *all = parse_rest(p, x, parse_item);
    return all == x ? x : ex_bare(p->arena, all);
}

static const Expr *parse_target(Parser *p) {
    if (lex_accept(p, "*"))
        return ex_unary(p->arena, "*", parse_postfix(p));
    return parse_postfix(p);
}

const Expr *parse_targets(Parser *p) {
    const Expr *x = parse_target(p), *all = parse_rest(p, x, parse_target);
    return all == x ? x : ex_bare(p->arena, all);
}

const Expr *parse_all(Parser *p) {
    lex_advance(p);
    const Expr *x = parse_rest(p, parse_item(p), parse_item);
    if (p->token.kind != T_END)
        parse_fail(p, "unexpected text");
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
            text = lex_skip_string(text);
        } else if (text[0] == '$' && char_is_word(text[1])) {
            const char *end = lex_skip_hole(text + 1);
            uses += str_eq(lex_slice(text + 1, end), name);
            text = end;
        } else {
            text++;
        }
    }
    return uses;
}

static const Expr *look_up_hole(void *user, Str name, bool *unknown) {
    const ExprHoles *holes = user;
    size_t index = 0;
    for (size_t i = 0; i < name.n && index < holes->n; i++)
        index = char_is_digit(name.p[i]) ? index * 10 + (size_t)(name.p[i] - '0')
                                         : holes->n;
    *unknown = name.n == 0 || index >= holes->n;
    return *unknown ? NULL : holes->args[index];
}

ExprScope ex_holes(ExprHoles *holes) {
    return (ExprScope){look_up_hole, holes};
}

/* What is written twice must be free to repeat.  An argument without a hole is no slip:
 * templates to choose from share a list of arguments. */
static void check_holes(Arena *a, const char *text, const ExprHoles *holes) {
    for (size_t i = 0; i < holes->n; i++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        int uses = ex_template_uses(text, str_from(name));
        if (uses > 1 && holes->args[i] && !ex_is_free(holes->args[i]))
            arena_defect(a, "template `%s`: $%zu is code that is written %d times",
                         text, i, uses);
    }
}

const Expr *ex_build(Arena *a, const char *text, const Expr *const *args, size_t n) {
    ExprHoles holes = {args, n};
    ExprScope scope = ex_holes(&holes);
    const char *error;
    if (OX_CHECKS)
        check_holes(a, text, &holes);
    const Expr *x = ex_template(a, text, &scope, &error);
    if (error)
        arena_defect(a, "%s", error);
    return x;
}
