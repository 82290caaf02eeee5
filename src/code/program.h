/* Python programs as trees: statements, functions, and what all of them name.  The code
 * generator makes them, helpers are parsed into them, edits work on them; only the
 * printer in python/ turns them into characters.
 *
 * A statement that was parsed keeps its lines as written, with the comments and empty
 * lines above them.  An edit lets go of the lines, and the printer lays the statement out
 * anew; the comments stay.  As with expressions, constructors never return NULL. */
#ifndef OX_CODE_PROGRAM_H
#define OX_CODE_PROGRAM_H

#include "code/expr.h"

/*    kind            expr        target          text                                */
typedef enum StmtKind {
    ST_EXPR,   /* value                                                             */
    ST_ASSIGN, /* value       targets         "=", "+=", ...                        */
    ST_RETURN, /* value                                                             */
    ST_RAISE,  /* exception   `from`, or NULL                                       */
    ST_WORD,   /*                             "continue"                            */
    ST_DOC,    /*                             docstring of ours, lines as they are  */
    ST_PROSE,  /*                             docstring of any text, to be wrapped  */
    ST_FIELD,  /* annotation  name: of a NamedTuple                                 */
    ST_IMPORT, /* what        `as`, or NULL   the module of `from`, or empty        */
    ST_FOR,    /* iterable    targets                         and from here on body */
    ST_WHILE,  /* condition                                                         */
    ST_IF,     /* condition                                                         */
    ST_ELIF,   /* condition                                                         */
    ST_ELSE,   /*                                                                   */
    ST_TRY,    /*                                                                   */
    ST_EXCEPT, /* exceptions  `as`, or NULL                                         */
    ST_WITH,   /* manager     `as`, or NULL                                         */
    ST_CLASS,  /* base        name                                                  */
    ST_DEF,    /* a function: `def`                                                 */
    ST_UNREAD, /* lines that were not parsed, since nobody edits them               */
} StmtKind;

/* How a statement was written. */
typedef struct Written {
    Str before; /* whole lines above: comments, empty lines */
    Str lines;  /* its own lines; of a compound statement those of its head */
    Str after;  /* the comment behind it on its last line, with the spaces between */
} Written;

typedef struct Stmt {
    StmtKind kind : 8;
    bool edited;   /* no longer as `source` has it */
    bool apart;    /* two empty lines above */
    uint32_t note; /* its maker's, as those of expressions; 0: none */
    Str text;
    const Expr *target, *expr;
    struct Def *def;
    struct Stmts *body;    /* NULL for simple statements */
    const Written *source; /* NULL: it was made, not read */
    const char *comment;   /* above a statement that was made; NULL: none */
    const Expr *decorator; /* of a class or function that was made, a tuple: several;
                              NULL: none */
} Stmt;

typedef struct Stmts {
    Stmt *items;
    size_t count, cap;
} Stmts;

/* A parameter: `name`, `*name`, `**name`, `*`, `name=value`. */
typedef struct Param {
    Str name;
    const Expr *value; /* the default; NULL: none */
    int rank;          /* how many axes the array has; 0: none, or not known */
    const Expr *type;  /* its annotation; NULL: none */
} Param;

typedef struct Def {
    Str name;
    Param *params;
    size_t n_params;
    const Expr *result; /* the annotation of what it returns; NULL: none */
    bool spread;        /* one parameter a line, however short */
    Stmts body;
} Def;

/* ---- making ----------------------------------------------------------------------- */

/* false when memory was refused */
bool code_add(Arena *a, Stmts *list, Stmt s);
/* target = value */
bool code_assign(Arena *a, Stmts *list, const Expr *target, const Expr *value);
bool code_return(Arena *a, Stmts *list, const Expr *value);
bool code_define(Arena *a, Stmts *list, Def *def);
/* Lines of which nothing is known but their text; code_parse reads them. */
bool code_add_unread(Arena *a, Stmts *list, Str lines);
/* Adds all of `more`, with two empty lines above. */
void code_append(Arena *a, Stmts *list, const Stmts *more);
/* A name; several as a tuple without parentheses.  The names are borrowed. */
const Expr *code_targets(Arena *a, const Str *names, size_t n);
/* Parameters without defaults. */
Param *code_params(Arena *a, const Str *names, size_t n);

/* ---- reading ---------------------------------------------------------------------- */

/* Parses the statements at `text`, which ends with a NUL, as far as `end`.  *error gets a
 * sentence, or NULL.  Positions are kept: the text must live as long as the trees. */
void code_parse(Arena *a, const char *text, const char *end, Stmts *list,
                const char **error);
/* The same, but of functions only the heads and the first n statements of their bodies:
 * the rest stays unread. */
void code_parse_begin(Arena *a, const char *text, const char *end, size_t n,
                      Stmts *list, const char **error);
/* Parses statements with holes: see ex_build.  For text of ours, where a mistake is a
 * defect: then memory counts as refused. */
void code_build(Arena *a, Stmts *list, const char *text, const Expr *const *args,
                size_t n);
#define CODE(a, list, text, ...)                                                       \
    code_build((a), (list), (text), (const Expr *const[]){__VA_ARGS__},                \
               sizeof((const Expr *const[]){__VA_ARGS__}) / sizeof(const Expr *))

/* ---- asking ----------------------------------------------------------------------- */

/* The function of that name among the statements; NULL when there is none. */
Def *code_find(const Stmts *list, Str name);
/* Calls visit on every expression of the statements, the outermost trees. */
void code_each_expr(const Stmts *list, void (*visit)(void *user, const Expr *x),
                    void *user);
/* Calls visit on the names that the statements read and do not bind themselves, in the
 * order of the text: of dotted names what is before the first dot. */
void code_free_names(Arena *scratch, const Stmts *list,
                     void (*visit)(void *user, Str name), void *user);
/* The same trees, whatever the lines they were read from. */
bool code_same(const Stmts *a, const Stmts *b);
bool code_same_def(const Def *a, const Def *b); /* but for their names */

/* ---- editing ---------------------------------------------------------------------- */

/* What replaces x, of which the children have been replaced already; x itself to keep
 * it. */
typedef const Expr *ExprEdit(void *user, const Expr *x);
const Expr *ex_edit(Arena *a, const Expr *x, ExprEdit *edit, void *user);
/* Replaces every expression of the statements. */
void code_edit(Arena *a, Stmts *list, ExprEdit *edit, void *user);
/* Gives a function, and whatever calls it among the statements, another name. */
void code_rename(Arena *a, Stmts *list, Str from, Str to);
/* Drops what a function binds and nobody reads: assignments and inner functions. */
void code_drop_unread(Arena *scratch, Def *def);
/* Makes lines of one that read sizes of one array: batch, seq = x.shape. */
void code_join_sizes(Arena *a, Def *def);
/* Puts the statements of `more` before the one at `at`. */
void code_insert(Arena *a, Stmts *list, size_t at, const Stmts *more);

#endif
