/* Tokens of Python, for templates and for statements.
 *
 * Optional groups `$(...)` of templates are decided here: a dropped group is skipped, a
 * kept one is read as if its marks were not there, so the grammar never sees them.  In
 * statements the end of a line outside of brackets is a token, too; comments and empty
 * lines belong to it. */
#include "code/parser.h"

/* The first message stays; the end token makes every loop of the parser stop. */
const Expr *parse_fail(Parser *p, const char *what) {
    if (!p->error) {
        Str s = arena_printf(p->arena, "template `%s`: %s before `%s`", p->text, what,
                             p->at);
        if (p->lines)
            s = arena_printf(p->arena, "statement: %s before `%.*s`", what,
                             (int)strcspn(p->at, "\n"), p->at);
        p->error = s.n ? s.p : what;
    }
    p->token = (Token){T_END, {"", 0}};
    return ex_none();
}

const Expr *parse_fail_name(Parser *p, const char *what, Str name) {
    Str s = arena_printf(p->arena, "%s $%.*s", what, (int)name.n, name.p);
    return parse_fail(p, s.n ? s.p : what);
}

/* ---- characters -------------------------------------------------------------------
 */

/* The first character of an identifier. */
static bool starts_name(char c) {
    return char_is_letter(c) || c == '_';
}

Str lex_slice(const char *start, const char *stop) {
    return (Str){start, (size_t)(stop - start)};
}

static const char *skip_word(const char *s) {
    while (char_is_word(*s))
        s++;
    return s;
}

static const char *skip_dotted(const char *s) {
    s = skip_word(s);
    while (s[0] == '.' && starts_name(s[1]))
        s = skip_word(s + 1);
    return s;
}

static const char *skip_long_string(const char *s) {
    const char three[] = {*s, *s, *s, 0};
    const char *end = strstr(s + 3, three);
    return end ? end + 3 : s + strlen(s);
}

const char *lex_skip_string(const char *s) {
    char quote = *s++;
    if (s[0] == quote && s[1] == quote)
        return skip_long_string(s - 1);
    while (*s && *s != quote)
        s += s[0] == '\\' && s[1] ? 2 : 1;
    return *s ? s + 1 : s;
}

static const char *skip_number(const char *s) {
    while (char_is_word(*s) || *s == '.') {
        bool exponent = (*s == 'e' || *s == 'E') && (s[1] == '-' || s[1] == '+');
        s += exponent ? 2 : 1;
    }
    return s;
}

/* The end of a hole's name: a word, or $out with the property that follows it. */
const char *lex_skip_hole(const char *s) {
    const char *end = skip_word(s);
    bool is_out = str_eq(lex_slice(s, end), STR("out"));
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
            s = lex_skip_string(s);
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
const Expr *lex_look_up(Parser *p, Str name) {
    bool unknown = p->scope == NULL;
    const Expr *x = unknown ? NULL : p->scope->lookup(p->scope->user, name, &unknown);
    if (unknown)
        parse_fail_name(p, "unknown name", name);
    return unknown ? NULL : x;
}

static bool is_default(Parser *p, const Expr *x, Str text) {
    Str copy = arena_str(p->arena, text);
    Parser inner = {
        .arena = p->arena, .text = copy.p, .at = copy.p, .depth = p->depth + 1};
    const Expr *standard = parse_all(&inner);
    if (inner.error)
        parse_fail(p, inner.error);
    return ex_same(x, standard);
}

/* Whether every hole in the group is present; groups inside decide for themselves. */
static bool holes_present(Parser *p, const char *s, const char *stop,
                          const Expr **last) {
    bool present = true;
    while (s < stop) {
        const char *bar;
        if (*s == '"' || *s == '\'') {
            s = lex_skip_string(s);
        } else if (s[0] == '$' && s[1] == '(') {
            const char *end = group_end(s + 2, &bar);
            s = end ? end + 1 : stop;
        } else if (s[0] == '$') {
            const char *end = lex_skip_hole(s + 1);
            *last = lex_look_up(p, lex_slice(s + 1, end));
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
        parse_fail(p, "a group without end, or too many groups");
        return;
    }
    const char *stop = bar ? bar : end;
    const Expr *hole = NULL;
    bool kept = holes_present(p, start, stop, &hole);
    if (kept && bar && hole)
        kept = !is_default(p, hole, lex_slice(bar + 1, end));
    if (kept)
        p->groups[p->open++] = (Group){stop, end + 1};
    p->at = kept ? start : end + 1;
}

/* ---- tokens -----------------------------------------------------------------------
 */

/* Past spaces, and in brackets also past ends of lines and comments. */
static void skip_space(Parser *p) {
    bool inside = !p->lines || p->brackets > 0;
    while (*p->at == ' ' || (inside && *p->at == '\n') || (p->lines && *p->at == '#')) {
        if (*p->at == '#')
            p->at += strcspn(p->at, "\n");
        else
            p->at++;
    }
}

/* Moves to the first character of the next token, in and out of groups. */
static void find_token(Parser *p) {
    while (!p->error) {
        skip_space(p);
        if (p->open && p->at == p->groups[p->open - 1].stop)
            p->at = p->groups[--p->open].resume;
        else if (p->at[0] == '$' && p->at[1] == '(')
            take_group(p);
        else
            return;
    }
}

static size_t operator_length(const Parser *p, const char *s) {
    static const char *const two[] = {"**", "//", "<<", ">>", "<=", ">=", "==", "!="};
    static const char *const assign[] = {
        "+=", "-=", "*=", "/=", "%=", "@=", "&=", "|=", "//=", ":="};
    for (size_t i = 0; p->lines && i < OX_COUNT(assign); i++)
        if (strncmp(s, assign[i], strlen(assign[i])) == 0)
            return strlen(assign[i]);
    for (size_t i = 0; i < OX_COUNT(two); i++)
        if (strncmp(s, two[i], 2) == 0)
            return 2;
    return strchr("+-*/%@<>=&|^~.,:()[]{}", *s) ? 1 : 0;
}

/* The quote of a string with its prefix: f"...", b"..."; NULL where none begins. */
static const char *string_quote(const char *s) {
    s += (s[0] == 'f' || s[0] == 'b') && (s[1] == '"' || s[1] == '\'');
    return *s == '"' || *s == '\'' ? s : NULL;
}

/* The start of the first line of code after the end of a line at s. */
static const char *skip_lines(const char *s) {
    for (;;) {
        const char *start = s + 1, *at = start + strspn(start, " ");
        if (*at != '\n' && *at != '#')
            return *at ? start : at;
        s = at + strcspn(at, "\n");
        if (!*s)
            return s;
    }
}

static const char *skip_word_token(const char *s, TokenKind *kind) {
    if (char_is_digit(*s) || (*s == '.' && char_is_digit(s[1]))) {
        *kind = T_NUMBER;
        return skip_number(s);
    }
    *kind = T_NAME;
    return strncmp(s, "...", 3) == 0 ? s + 3 : skip_dotted(s);
}

/* The end of the token at s; s itself where none begins. */
static const char *token_end(Parser *p, const char *s, TokenKind *kind) {
    const char *quote = string_quote(s);
    if (*s == 0) {
        *kind = T_END;
        return s;
    }
    if (*s == '\n') {
        *kind = T_LINE;
        return skip_lines(s);
    }
    if (quote) {
        *kind = T_STRING;
        return lex_skip_string(quote);
    }
    if (char_is_word(*s) || strncmp(s, "...", 3) == 0 ||
        (*s == '.' && char_is_digit(s[1])))
        return skip_word_token(s, kind);
    *kind = T_OP;
    p->brackets += strchr("([{", *s) ? 1 : strchr(")]}", *s) ? -1 : 0;
    return s + operator_length(p, s);
}

void lex_advance(Parser *p) {
    p->last = p->at;
    find_token(p);
    if (p->error)
        return;
    const char *s = p->at, *end;
    TokenKind kind = T_HOLE;
    if (*s == '$')
        end = lex_skip_hole(++s);
    else
        end = token_end(p, s, &kind);
    if (end == s && kind == T_OP) {
        parse_fail(p, "unexpected character");
        return;
    }
    p->token = (Token){kind, lex_slice(s, end)};
    p->at = end;
}

bool lex_at_word(const Parser *p, const char *text) {
    return p->token.kind == T_NAME && str_is(p->token.text, text);
}
bool lex_at_op(const Parser *p, const char *text) {
    return p->token.kind == T_OP && str_is(p->token.text, text);
}

bool lex_accept(Parser *p, const char *op) {
    if (!lex_at_op(p, op))
        return false;
    lex_advance(p);
    return true;
}

void lex_expect(Parser *p, const char *op) {
    if (!lex_accept(p, op))
        parse_fail(p, "missing punctuation");
}

bool lex_accept_word(Parser *p, const char *word) {
    if (!lex_at_word(p, word))
        return false;
    lex_advance(p);
    return true;
}

void lex_expect_word(Parser *p, const char *word) {
    if (!lex_accept_word(p, word))
        parse_fail(p, "missing word");
}

static const char *const keywords[] = {"not", "and",  "or",     "in", "is",
                                       "if",  "else", "lambda", "for"};

bool lex_at_keyword(const Parser *p) {
    for (size_t i = 0; i < OX_COUNT(keywords); i++)
        if (lex_at_word(p, keywords[i]))
            return true;
    return false;
}
