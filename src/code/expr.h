/* Python expressions as trees.  Operators build them, mostly from template text; only
 * the printer in python/ turns them into characters, so precedence, parentheses and
 * line breaks have one owner.
 *
 * The constructors never return NULL: when memory is refused they return a shared
 * constant (`None`), and the arena's sticky flag stops the compilation later.  So does a
 * part that is NULL, which sets the arena's `defect`.  A tree
 * deeper than EX_DEPTH_MAX sets that flag too, so that walks may recurse: look at
 * `depth` before splicing a tree into another, and balance long chains. */
#ifndef OX_CODE_EXPR_H
#define OX_CODE_EXPR_H

#include "support/arena.h"

/*    kind             children                          text                         */
#define OX_EXPR_KINDS(X)                                                                 \
    X(EX_NAME)    /* -                                 identifier or dotted name    */   \
    X(EX_INT)     /* -                                 `i`                          */   \
    X(EX_NUMBER)  /* -                                 text as it is: 1e-05, -1.5   */   \
    X(EX_STR)     /* -                                 unescaped content            */   \
    X(EX_CALL)    /* callee, arguments (EX_KEYWORD last)                            */   \
    X(EX_KEYWORD) /* value                             argument name                */   \
    X(EX_ATTRIBUTE) /* object                            attribute name               */ \
    X(EX_INDEX)   /* object, then one item per axis (EX_SLICE allowed)              */   \
    X(EX_SLICE)   /* start, stop, step; NULL where absent                           */   \
    X(EX_UNARY)   /* operand                           "-", "~", "not", "*"         */   \
    X(EX_BINARY)  /* left, right                       "+", "@", "<=", "and", ...   */   \
    X(EX_IF)      /* value, condition, otherwise                                    */   \
    X(EX_TUPLE)   /* items                                                          */   \
    X(EX_LIST)    /* items                                                          */   \
    X(EX_DICT)    /* key, value, key, value, ...                                    */   \
    X(EX_LAMBDA)  /* body                              parameters: "x, y"           */   \
    X(EX_BYTES)   /* -                                 unescaped content            */   \
    X(EX_FSTRING) /* EX_STR and EX_FIELD in turn                                    */   \
    X(EX_FIELD) /* value                             what follows it: "!r", ":.2f" */    \
    X(EX_STRINGS) /* strings side by side                                           */   \
    X(EX_COMPREHENSION) /* element, EX_FOR ...               "(", "[" or "{"         */  \
    X(EX_FOR)     /* targets, iterable, conditions ...                              */   \
    X(EX_PAIR)    /* key, value: of a comprehension in braces                       */   \
    X(EX_CHAIN)   /* comparison, right                 operator: a < b < c          */   \
    X(EX_TARGETS) /* of x = y = value                                             */     \
    X(EX_WALRUS)  /* value                             name                         */

typedef enum ExprKind {
#define X(k) k,
    OX_EXPR_KINDS(X)
#undef X
} ExprKind;

/* Python's own parser refuses 200 nested parentheses. */
enum { EX_DEPTH_MAX = 150 };

typedef struct Expr {
    ExprKind kind : 8;
    bool spread;    /* one item a line, however short: Python's trailing comma */
    bool bare;      /* a tuple without parentheses */
    bool parens;    /* in parentheses, also where precedence does not ask for them */
    uint32_t n;     /* number of children */
    uint32_t note;  /* see ex_note; 0: none */
    uint16_t depth; /* levels below this node */
    int64_t i;      /* EX_INT */
    Str text;
    const struct Expr *const *kids; /* entries are NULL only inside EX_SLICE */
} Expr;

const Expr *ex_name(Arena *a, Str dotted);
const Expr *ex_int(Arena *a, int64_t i);
/* A float with the shortest text that gives `value` back; inf and nan become
 * jnp.inf, -jnp.inf, jnp.nan.  `bits` is the precision it is used in: 16 (both kinds),
 * 32 or 64; the text is checked to round to the same value after Python has read it as
 * a double.  Integral values keep a point: 2.0. */
const Expr *ex_float(Arena *a, double value, int bits);
/* A number written in Python as `text`. */
const Expr *ex_number(Arena *a, Str text);
const Expr *ex_bool(Arena *a, bool b);
const Expr *ex_none(void);
const Expr *ex_str(Arena *a, Str content);
const Expr *ex_call(Arena *a, const Expr *callee, const Expr *const *args, size_t n);
const Expr *ex_keyword(Arena *a, Str name, const Expr *value);
const Expr *ex_attribute(Arena *a, const Expr *object, Str name);
const Expr *ex_index(Arena *a, const Expr *object, const Expr *const *items, size_t n);
const Expr *ex_slice(Arena *a, const Expr *start, const Expr *stop, const Expr *step);
const Expr *ex_unary(Arena *a, const char *op, const Expr *x);
const Expr *ex_binary(Arena *a, const char *op, const Expr *l, const Expr *r);
const Expr *ex_if(Arena *a, const Expr *value, const Expr *condition,
                  const Expr *otherwise);
const Expr *ex_lambda(Arena *a, Str parameters, const Expr *body);
/* Tuple, list, or dict (keys and values in turn). */
const Expr *ex_seq(Arena *a, ExprKind kind, const Expr *const *items, size_t n);
const Expr *ex_ints(Arena *a, ExprKind tuple_or_list, const int64_t *items, size_t n);

/* text ends with the arena or later: it is not copied. */
const Expr *ex_word(Arena *a, Str name);
/* f"..." of the parts: EX_STR stands for itself, what else there is for its value. */
const Expr *ex_fstring(Arena *a, const Expr *const *parts, size_t n);
/* x with other children, as many. */
const Expr *ex_with_kids(Arena *a, const Expr *x, const Expr *const *kids);
/* A copy with one item on each line. */
const Expr *ex_spread(Arena *a, const Expr *x);
/* x with a note of its maker's: what the code comes from.  A note is no part of the tree:
 * it does not count in comparisons, is not printed, and edits keep it.  x itself gets it,
 * unless it has one already or is a name or constant, of which others may have this very
 * node. */
const Expr *ex_note(Arena *a, const Expr *x, uint32_t note);
/* A tuple without parentheses; x itself when it is no tuple. */
const Expr *ex_bare(Arena *a, const Expr *x);
/* A copy in parentheses. */
const Expr *ex_parens(Arena *a, const Expr *x);
/* For parsers: a node of any kind. */
const Expr *ex_node(Arena *a, ExprKind kind, Str text, const Expr *const *kids,
                    size_t n);

/* Calls add argument: the call with one more positional argument or keyword at its
 * end; for templates that grow. */
const Expr *ex_with_arg(Arena *a, const Expr *call, const Expr *arg);

/* x.astype(dtype); where x is a cast already, its operand cast to this type instead. */
const Expr *ex_astype(Arena *a, const Expr *x, const Expr *dtype);

/* How a template's $name is looked up.  Returns NULL when the name is absent (an
 * optional input or attribute that is not given); sets *unknown when there is no such
 * name at all, which is an error of the template. */
typedef struct ExprScope {
    const Expr *(*lookup)(void *user, Str name, bool *unknown);
    void *user;
} ExprScope;

/* Parses template text: Python expression syntax (names, dotted names, numbers,
 * strings, calls with keywords and *args, subscripts with slices, unary and binary
 * operators with Python's precedence, comparisons, not/and/or, `a if c else b`, tuples,
 * lists, dicts, comprehensions, f-strings, lambda) plus
 *   $name      what `scope` gives
 *   $(...)     kept only when every $name inside is present; `$(, axis=$axis|0)` is
 *              also dropped when the (single) $name prints as the text after the bar:
 *              for defaults of JAX, as those of helpers are known (call_with in op.h)
 * An error in a template is a defect of ours, not of the model: `*error` gets a
 * sentence and the result is None.  Nesting is limited. */
const Expr *ex_template(Arena *a, const char *text, const ExprScope *scope,
                        const char **error);

/* How often `text` names $name: an argument used twice must not be spliced twice. */
int ex_template_uses(const char *text, Str name);

/* The names $0, $1, ... for the entries of `args`; NULL entries are absent. */
typedef struct ExprHoles {
    const Expr *const *args;
    size_t n;
} ExprHoles;
ExprScope ex_holes(ExprHoles *holes);

/* Builds from text with positional holes: ex_build(a, "$0 + $1[:, None]", x, y).
 * A NULL argument counts as absent, for use with $(...).  An error in the text, a hole
 * without an argument, a NULL outside of a group and, in debug builds, code that is
 * written twice (ex_is_free) are defects: the arena keeps the message, and code generation
 * reports it with the operator. */
const Expr *ex_build(Arena *a, const char *text, const Expr *const *args, size_t n);
#define EX(a, text, ...)                                                               \
    ex_build((a), (text), (const Expr *const[]){__VA_ARGS__},                          \
             sizeof((const Expr *const[]){__VA_ARGS__}) / sizeof(const Expr *))

/* How tightly a binary operator binds in Python's table, larger is tighter; 0 when
 * `op` is not one. */
typedef enum ExprRank {
    RANK_NONE,
    RANK_LAMBDA,
    RANK_IF,
    RANK_OR,
    RANK_AND,
    RANK_NOT,
    RANK_COMPARE,
    RANK_BITOR,
    RANK_XOR,
    RANK_BITAND,
    RANK_SHIFT,
    RANK_SUM,
    RANK_PRODUCT,
    RANK_UNARY,
    RANK_POWER,
    RANK_POSTFIX,
} ExprRank;
ExprRank ex_binary_rank(Str op);

/* true when both print the same. */
bool ex_same(const Expr *x, const Expr *y);
/* A name, number, string or constant: free to repeat. */
bool ex_is_atom(const Expr *x);
/* One that computes nothing, and is free to repeat, too: x.shape[0], params["w"]. */
bool ex_is_free(const Expr *x);
/* How often the tree holds this very node. */
int ex_count(const Expr *tree, const Expr *node);
/* Calls visit on x and everything below, the outer first. */
void ex_each(const Expr *x, void (*visit)(void *user, const Expr *x), void *user);
/* Calls visit on every name in the tree (dotted names whole). */
void ex_each_name(const Expr *x, void (*visit)(void *user, Str name), void *user);

#endif
