/* What the files share that read Python: lex.c, template.c, statements.c. */
#ifndef OX_CODE_PARSER_H
#define OX_CODE_PARSER_H

#include "code/expr.h"

enum { NESTING_MAX = 64, GROUPS_MAX = 8 };

typedef enum TokenKind {
    T_END,
    T_NAME, /* also dotted: jnp.where */
    T_NUMBER,
    T_STRING,
    T_HOLE,
    T_OP,
    T_LINE, /* the end of a line of statements, with what is up to the next one */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Str text; /* a hole's without the $, a string's with its prefix and quotes */
} Token;

/* A kept group: where its content stops and where the text goes on. */
typedef struct Group {
    const char *stop, *resume;
} Group;

typedef struct Parser {
    Arena *arena;
    const ExprScope *scope; /* NULL: holes are not allowed */
    const char *text, *at;
    Token token;      /* the next one */
    const char *last; /* the end of the one before */
    Group groups[GROUPS_MAX];
    int open;     /* groups in use */
    int depth;    /* nesting of expressions */
    bool lines;   /* statements: ends of lines are tokens, texts are kept as written */
    int brackets; /* open ones */
    const char *error;
} Parser;

typedef struct ExprList {
    const Expr **items;
    size_t count, cap;
} ExprList;

/* ---- lex.c ------------------------------------------------------------------------ */

/* The first message stays; the end token makes every loop of the parser stop. */
const Expr *parse_fail(Parser *p, const char *what);
const Expr *parse_fail_name(Parser *p, const char *what, Str name);
/* Reads the next token. */
void lex_advance(Parser *p);
/* What a hole stands for; NULL when absent. */
const Expr *lex_look_up(Parser *p, Str name);
bool lex_at_word(const Parser *p, const char *text);
bool lex_at_op(const Parser *p, const char *text);
bool lex_at_keyword(const Parser *p);
/* Takes the operator, or the word, if it is next. */
bool lex_accept(Parser *p, const char *op);
bool lex_accept_word(Parser *p, const char *word);
void lex_expect(Parser *p, const char *op);
void lex_expect_word(Parser *p, const char *word);
Str lex_slice(const char *start, const char *stop);
/* Past a quoted string at s, or to the end of the text. */
const char *lex_skip_string(const char *s);
/* The end of a hole's name: a word, or $out with the property that follows it. */
const char *lex_skip_hole(const char *s);

/* ---- template.c ------------------------------------------------------------------- */

/* One expression; the same or several with commas, a tuple without parentheses. */
const Expr *parse_expr(Parser *p);
const Expr *parse_exprs(Parser *p);
/* What a loop assigns: names, attributes, tuples of them. */
const Expr *parse_targets(Parser *p);
/* The whole text: one expression, or several as a tuple. */
const Expr *parse_all(Parser *p);

#endif
