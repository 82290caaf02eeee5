/* Functions as far as they are used: what is known of names is put in their place, and
 * what then is constant is computed.  Of
 *
 *     def conv(x, w, b=None):
 *         y = product(x, w)
 *         return y if b is None else y + b
 *
 * there is `return product(x, w)` left where b is None. */
#ifndef OX_CODE_FOLDING_H
#define OX_CODE_FOLDING_H

#include "code/program.h"

/* What is known of a value; what is further down is not None. */
typedef enum Fact {
    FACT_NONE,
    FACT_GIVEN, /* it is not None */
    FACT_INT,   /* an int, and no bool */
    FACT_OTHER, /* neither an int nor None: a tuple, a list or a string */
} Fact;

/* A parameter. */
typedef struct FoldName {
    Str name;
    const Expr *value; /* a literal that stands for it; NULL: none does */
    Fact fact;
    bool asked; /* set where an int or no int has decided something */
} FoldName;

/* What else calls may become: the call itself when nothing; with facts of its arguments. */
typedef struct FoldCalls {
    const Expr *(*edit)(void *user, const Expr *call, const Fact *facts);
    void *user;
} FoldCalls;

/* None, a truth value, a string, an int or a float. */
bool ex_is_literal(const Expr *x);
/* x with what is known of names; NULL where a value cannot stand there. */
const Expr *ex_fold(Arena *a, const Expr *x, const FoldName *names, size_t n);
/* Folds the body of def, whose trees are its own: see code_copy.  false where a name that
 * a value stands for is still needed, or code would be left that nobody writes, 1.0 * x;
 * then the body is of no use.  Parameters stay as they are. */
bool code_fold(Arena *a, Def *def, FoldName *names, size_t n, const FoldCalls *calls);
/* Whether the statements bind the name anywhere, inner functions and what is bound in
 * expressions with them. */
bool code_binds(const Stmts *list, Str name);
/* Statements that may be edited without changing these. */
Stmts code_copy(Arena *a, const Stmts *list);

#endif
