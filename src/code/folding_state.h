/* What folding knows on its way through a function: shared by folding.c and folding_expr.c. */
#ifndef OX_CODE_FOLDING_STATE_H
#define OX_CODE_FOLDING_STATE_H

#include "code/folding.h"

typedef struct FoldEntry {
    FoldName is;
    int hidden;  /* functions and comprehensions around that bind the name themselves */
    bool ended;  /* it has been assigned something else */
    bool caught; /* an inner function has been given the value */
} FoldEntry;

typedef struct Fold {
    Arena *arena;
    struct {
        FoldEntry *items;
        size_t count, cap;
    } names;
    Map ints;     /* names of ints that the function computes */
    int closures; /* around, that may run later */
    int nested;   /* statements around that may run often, or not at all */
    bool failed;
    const Stmts *body; /* of the function; NULL: an expression is all there is */
    const FoldCalls *calls;
} Fold;

/* What is known of a name here; NULL: nothing. */
FoldEntry *fold_find(Fold *f, Str name);
/* Names of a target, a parameter list: by > 0, they are bound otherwise from here on. */
void fold_hide(Fold *f, const Expr *target, int by);
void fold_hide_words(Fold *f, Str words, int by);
const Expr *fold_expr(Fold *f, const Expr *x);
/* The same where only its truth counts. */
const Expr *fold_test(Fold *f, const Expr *x);
/* `[int for ...]` over sizes. */
bool fold_is_int_list(Fold *f, const Expr *x);
/* The key under which Fold.ints has a list of them. */
Str fold_list_key(Fold *f, Str name);
/* Its truth, which is known; or not: -1. */
int fold_truth(const Expr *x);
bool fold_is_int(const Fold *f, const Expr *x);

#endif
