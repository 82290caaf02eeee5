/* Python's own view of an expression: the syntax tree that a parser makes of the text,
 * with the parentheses that have to be there, and the questions about it that decide
 * the layout.  Against code/expr.h: dotted names are attributes, negative numbers
 * are unary minus, and chains of `and` are one node. */
#ifndef OX_PYTHON_PYTREE_H
#define OX_PYTHON_PYTREE_H

#include "code/expr.h"

/*    kind          children                            text                          */
typedef enum PyKind {
    PY_NAME,      /* -                                  None and True are names, too  */
    PY_NUMBER,    /* -                                  never negative                */
    PY_STRING,    /* -                                  with quotes and escapes       */
    PY_CALL,      /* callee, arguments                                                */
    PY_KEYWORD,   /* value                              name                          */
    PY_ATTRIBUTE, /* object                             name                          */
    PY_INDEX,     /* object, items                                                    */
    PY_SLICE,     /* start, stop, step                                                */
    PY_UNARY,     /* operand                            "-", "~", "not"               */
    PY_STAR,      /* operand                            "*", "**"                     */
    PY_BINARY,    /* left, right                        operator                      */
    PY_COMPARE,   /* left, right                        operator                      */
    PY_BOOL,      /* two or more                        operator                      */
    PY_IF,        /* value, condition, otherwise                                      */
    PY_TUPLE,     /* items                                                            */
    PY_LIST,      /* items                                                            */
    PY_DICT,      /* key, value, key, value, ...                                      */
    PY_LAMBDA,    /* body                               parameters                    */
    PY_FSTRING,   /* PY_STRING and PY_FIELD             the quote                     */
    PY_FIELD,     /* value                              what follows it: "!r"         */
    PY_STRINGS,   /* strings side by side                                             */
    PY_COMPREHENSION, /* element, PY_FOR ...            "(", "[" or "{"               */
    PY_FOR,    /* targets, iterable, conditions ...                                */
    PY_PAIR,   /* key, value                                                       */
    PY_WALRUS, /* value                              name                          */
} PyKind;

typedef struct Py {
    PyKind kind;
    bool parens; /* written in parentheses */
    bool bare;   /* a tuple without its own parentheses */
    bool spread; /* one item a line, however short */
    uint32_t n;
    Str text;
    struct Py **kids; /* NULL entries only in slices */
} Py;

/* NULL when memory is refused. */
Py *py_from_expr(Arena *a, const Expr *x);

/* How ruff's formatter groups operators: larger breaks first. */
typedef enum PyOrder {
    ORDER_NONE,
    ORDER_ATTRIBUTE,
    ORDER_POWER,
    ORDER_INVERT,
    ORDER_PRODUCT,
    ORDER_SUM,
    ORDER_SHIFT,
    ORDER_BITAND,
    ORDER_XOR,
    ORDER_BITOR,
    ORDER_COMPARE,
    ORDER_BOOL,
    ORDER_IF,
} PyOrder;
PyOrder py_order(const Py *operation);

/* What a statement does about an expression that is too long for the line. */
typedef enum PyWrap {
    WRAP_NEVER,     /* it breaks within its own brackets */
    WRAP_IF_FITS,   /* parentheses around it, where that makes it fit */
    WRAP_MULTILINE, /* parentheses around it when it takes several lines */
} PyWrap;
PyWrap py_wrap(const Py *e);

/* Whether breaking inside e's own brackets can do instead of parentheses around it. */
bool py_breaks_inside(const Py *e);
/* A method chain with at least two calls before the last attribute: one per line. */
bool py_is_fluent(const Py *e);
bool py_is_chain_link(const Py *e);
/* Brackets of its own, even empty ones. */
bool py_has_brackets(const Py *e);
/* An operand of ** that gets no spaces. */
bool py_is_simple_power(const Py *operand);
/* No space around the colon of a slice is needed. */
bool py_is_simple_bound(const Py *bound);

#endif
