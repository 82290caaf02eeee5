/* Parses statements: as much of Python as the helpers use.  Blocks are told by columns, as
 * ruff's formatter leaves them: one statement a line, no bodies behind a colon. */
#include "code/parser.h"
#include "code/program.h"

enum { BLOCKS_MAX = 24 };

typedef struct Reader {
    Parser p;
    const char *done; /* the end of the lines that belong to a statement */
    const char *end;
    bool keeps_source;
    size_t limit; /* statements of a function that are read */
    int depth;    /* of blocks */
} Reader;

static void read_block(Reader *r, size_t column, size_t limit, Stmts *list);

/* ---- lines ------------------------------------------------------------------------ */

/* Where the line of the next token begins. */
static const char *line_start(const Reader *r) {
    const char *s = r->p.token.text.p;
    while (s > r->p.text && s[-1] != '\n')
        s--;
    return s;
}

static size_t column_of(const Reader *r) {
    return (size_t)(r->p.token.text.p - line_start(r));
}

/* At the end of a line, which closes the head or all of s. */
static void end_line(Reader *r, Stmt *s, const char *start) {
    Parser *p = &r->p;
    const char *end = p->last + strcspn(p->last, "\n");
    if (p->token.kind != T_LINE && p->token.kind != T_END) {
        parse_fail(p, "a statement that goes on");
        return;
    }
    Written *source = r->keeps_source ? ARENA_NEW(p->arena, Written) : NULL;
    const char *next = *end ? end + 1 : end;
    if (source)
        *source = (Written){.before = lex_slice(r->done, start),
                            .lines = lex_slice(start, next),
                            .after = lex_slice(p->last, end)};
    s->source = source;
    r->done = next;
    if (p->token.kind == T_LINE)
        lex_advance(p);
}

/* ---- functions -------------------------------------------------------------------- */

typedef struct Params {
    Param *items;
    size_t count, cap;
} Params;

static Str take_name(Reader *r) {
    Str name = r->p.token.text;
    if (r->p.token.kind == T_NAME)
        lex_advance(&r->p);
    else
        parse_fail(&r->p, "missing name");
    return name;
}

static Param read_param(Reader *r) {
    Parser *p = &r->p;
    const char *start = p->token.text.p;
    bool star = lex_accept(p, "*"), stars = !star && lex_accept(p, "**");
    Param param = {0};
    if (p->token.kind == T_NAME)
        param.name = take_name(r);
    else if (!star)
        parse_fail(p, "missing parameter");
    if (star || stars)
        param.name = lex_slice(start, p->last);
    if (!star && !stars && lex_accept(p, "="))
        param.value = parse_expr(p);
    return param;
}

static void read_def(Reader *r, Stmt *s) {
    Parser *p = &r->p;
    Params params = {0};
    Def *def = ARENA_NEW(p->arena, Def);
    if (!def) {
        parse_fail(p, "memory was refused");
        return;
    }
    s->def = def;
    s->body = &def->body;
    def->name = take_name(r);
    lex_expect(p, "(");
    bool comma = false;
    while (!p->error && !lex_at_op(p, ")")) {
        Param param = read_param(r);
        (void)ARENA_PUSH(p->arena, &params, param);
        comma = lex_accept(p, ",");
        if (!comma)
            break;
    }
    lex_expect(p, ")");
    def->spread = comma;
    def->params = params.items;
    def->n_params = params.count;
}

/* ---- statements ------------------------------------------------------------------- */

/* The lines of a docstring without the indentation that they share with its first. */
static Str doc_text(Reader *r, Str string, size_t column) {
    enum { QUOTES = 3 };
    Text t = {.arena = r->p.arena};
    for (size_t i = QUOTES; i + QUOTES < string.n; i++) {
        text_char(&t, string.p[i]);
        if (string.p[i] != '\n')
            continue;
        for (size_t k = 0; k < column && string.p[i + 1] == ' '; k++)
            i++;
    }
    return text_view(&t);
}

static bool at_docstring(const Reader *r) {
    return r->p.token.kind == T_STRING && str_starts(r->p.token.text, STR("\"\"\""));
}

static void read_assignment(Reader *r, Stmt *s) {
    static const char *const operators[] = {
        "=", "+=", "-=", "*=", "/=", "%=", "@=", "&=", "|=", "//="};
    Parser *p = &r->p;
    s->kind = ST_EXPR;
    s->expr = parse_exprs(p);
    ExprList targets = {0};
    for (size_t i = 0; i < OX_COUNT(operators); i++) {
        while (lex_accept(p, operators[i])) {
            s->kind = ST_ASSIGN;
            s->text = str_from(operators[i]);
            (void)ARENA_PUSH(p->arena, &targets, s->expr);
            s->expr = parse_exprs(p);
        }
    }
    if (targets.count)
        s->target = targets.count == 1 ? targets.items[0]
                                       : ex_node(p->arena, EX_TARGETS, (Str){0},
                                                 targets.items, targets.count);
}

/* After the word that the statement begins with: its head, without the colon. */
static void read_head(Reader *r, Stmt *s) {
    Parser *p = &r->p;
    switch (s->kind) {
    case ST_FOR:
        s->target = parse_targets(p);
        lex_expect_word(p, "in");
        s->expr = parse_exprs(p);
        break;
    case ST_DEF:
        read_def(r, s);
        break;
    case ST_RETURN:
        s->expr = p->token.kind == T_LINE ? NULL : parse_exprs(p);
        break;
    case ST_RAISE:
        s->expr = parse_expr(p);
        s->target = lex_accept_word(p, "from") ? parse_expr(p) : NULL;
        break;
    case ST_EXCEPT:
    case ST_WITH:
        s->expr = parse_expr(p);
        s->target = lex_accept_word(p, "as") ? ex_word(p->arena, take_name(r)) : NULL;
        break;
    case ST_WHILE:
    case ST_IF:
    case ST_ELIF:
        s->expr = parse_expr(p);
        break;
    default: /* else, try, continue */
        break;
    }
}

typedef struct Keyword {
    const char *word;
    StmtKind kind;
    bool block; /* a colon and a body follow */
} Keyword;

static const Keyword *keyword_of(const Reader *r) {
    static const Keyword all[] = {
        {"for", ST_FOR, true},       {"while", ST_WHILE, true},
        {"if", ST_IF, true},         {"elif", ST_ELIF, true},
        {"else", ST_ELSE, true},     {"try", ST_TRY, true},
        {"except", ST_EXCEPT, true}, {"with", ST_WITH, true},
        {"def", ST_DEF, true},       {"return", ST_RETURN, false},
        {"raise", ST_RAISE, false},  {"continue", ST_WORD, false},
    };
    for (size_t i = 0; i < OX_COUNT(all); i++)
        if (lex_at_word(&r->p, all[i].word))
            return &all[i];
    return NULL;
}

/* The rest of a body, up to the next line that begins as far left as its head. */
static void skip_rest(Reader *r, Stmt *s) {
    const char *end = r->done;
    while (end < r->end && strchr(" \n)]}", *end))
        end += strcspn(end, "\n") + 1;
    end = end > r->end ? r->end : end;
    if (end == r->done)
        return;
    (void)code_add_unread(r->p.arena, s->body, lex_slice(r->done, end));
    r->done = r->p.at = end;
    lex_advance(&r->p);
}

static void read_body(Reader *r, Stmt *s, size_t column) {
    Parser *p = &r->p;
    if (!s->body)
        s->body = ARENA_NEW(p->arena, Stmts);
    if (!s->body || column_of(r) <= column || ++r->depth > BLOCKS_MAX) {
        parse_fail(p, "missing body");
        return;
    }
    bool whole = !s->def || column > 0;
    read_block(r, column_of(r), whole ? SIZE_MAX : r->limit, s->body);
    if (!whole && !p->error)
        skip_rest(r, s);
    r->depth--;
}

static void read_statement(Reader *r, Stmts *list, size_t column) {
    Parser *p = &r->p;
    const char *start = line_start(r);
    const Keyword *keyword = keyword_of(r);
    Stmt s = {0};
    if (keyword) {
        s.kind = keyword->kind;
        s.text = p->token.text;
        lex_advance(p);
        read_head(r, &s);
    } else if (at_docstring(r)) {
        s.kind = ST_DOC;
        s.text = doc_text(r, p->token.text, column);
        lex_advance(p);
    } else {
        read_assignment(r, &s);
    }
    if (keyword && keyword->block)
        lex_expect(p, ":");
    end_line(r, &s, start);
    if (keyword && keyword->block && !p->error)
        read_body(r, &s, column);
    if (!p->error && !p->arena->failed)
        (void)code_add(p->arena, list, s);
}

static void read_block(Reader *r, size_t column, size_t limit, Stmts *list) {
    Parser *p = &r->p;
    for (; limit && !p->error && p->token.kind != T_END && p->token.text.p < r->end &&
           column_of(r) == column;
         limit--)
        read_statement(r, list, column);
}

static void read_all(Reader *r, Stmts *list) {
    Parser *p = &r->p;
    lex_advance(p);
    if (p->token.kind == T_LINE)
        lex_advance(p);
    read_block(r, column_of(r), SIZE_MAX, list);
    if (!p->error && p->token.kind != T_END && p->token.text.p < r->end)
        parse_fail(p, "odd indentation");
}

void code_parse_begin(Arena *a, const char *text, const char *end, size_t n,
                      Stmts *list, const char **error) {
    Reader r = {.p = {.arena = a, .text = text, .at = text, .lines = true},
                .done = text,
                .end = end,
                .keeps_source = true,
                .limit = n};
    read_all(&r, list);
    *error = r.p.error;
}

void code_parse(Arena *a, const char *text, const char *end, Stmts *list,
                const char **error) {
    code_parse_begin(a, text, end, SIZE_MAX, list, error);
}

void code_build(Arena *a, Stmts *list, const char *text, const Expr *const *args,
                size_t n) {
    ExprHoles holes = {args, n};
    ExprScope scope = ex_holes(&holes);
    Reader r = {
        .p = {.arena = a, .scope = &scope, .text = text, .at = text, .lines = true},
        .done = text,
        .end = text + strlen(text),
        .limit = SIZE_MAX};
    read_all(&r, list);
    if (r.p.error)
        a->failed = true; /* a defect of ours: stop rather than leave something out */
}
