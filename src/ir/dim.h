/* Symbolic dimensions: integers, symbols, and polynomials of them.
 *
 * A Dim is never unknown.  A dimension that no rule can derive gets a symbol of its own
 * that says where it can be read at run time: axis k of value v.  Under JAX every shape
 * is static while tracing, so each symbol is a Python int, `v.shape[k]`.
 *
 * Canonical form: a sum of monomials, sorted, each a coefficient times atoms; an atom
 * is a symbol, or floor(p/q), p mod q, min(p, q), max(p, q) that does not simplify.
 * Equal polynomials are structurally equal.  All symbols are >= 0. */
#ifndef OX_IR_DIM_H
#define OX_IR_DIM_H

#include "support/arena.h"

struct Value;

typedef struct Symbol {
    Str name;            /* dim_param, or empty for a symbol of our own */
    struct Value *value; /* where it is read: value.shape[axis] */
    int axis;            /* SYMBOL_SELF, SYMBOL_RANK: see below */
    uint32_t id;         /* creation order; the sort key */
} Symbol;

/* The length of a sequence, 1 for an optional that is there, or the number that a Python
 * loop counts. */
enum { SYMBOL_SELF = -1 };
/* The rank of a value of which inference does not know it: value.ndim. */
enum { SYMBOL_RANK = -2 };

typedef enum AtomKind {
    ATOM_SYMBOL,
    ATOM_FLOORDIV,
    ATOM_MOD,
    ATOM_MIN,
    ATOM_MAX
} AtomKind;

struct Poly;

/* An integer when poly is NULL, else the polynomial (c is then 0). */
typedef struct Dim {
    int64_t c;
    const struct Poly *poly;
} Dim;

typedef struct Atom {
    AtomKind kind;
    const Symbol *symbol; /* ATOM_SYMBOL */
    Dim a, b;             /* the others */
    uint32_t depth, size; /* nesting, and number of nodes below */
} Atom;

typedef struct Monomial {
    int64_t coef;             /* not 0 */
    uint32_t n;               /* number of atoms; 0 for the constant term */
    const Atom *const *atoms; /* sorted; repeated for powers */
} Monomial;

typedef struct Poly {
    uint32_t n; /* number of monomials, at least 1 */
    Monomial terms[];
} Poly;

/* Polynomials that are >= 0 where the model means anything; more are not needed. */
enum { DIM_FACTS_MAX = 64 };

/* Where symbols and polynomials live.  Results past a size limit (64 terms, 16 atoms a
 * term, nesting 16, 1000 nodes, or a coefficient that overflows) set `overflow`, and the
 * caller makes a fresh symbol instead: see dims_take_overflow. */
typedef struct Dims {
    Arena *arena;
    uint32_t symbols; /* number made so far */
    bool overflow;    /* sticky until dims_take_overflow */
    bool unsure; /* a rule wanted to know the sign of a polynomial, and could not */
    Dim facts[DIM_FACTS_MAX]; /* see dim_assume */
    uint32_t n_facts;
} Dims;

static inline Dim dim_int(int64_t c) {
    return (Dim){c, NULL};
}
static inline bool dim_is_int(Dim d) {
    return d.poly == NULL;
}
/* d is the integer c */
static inline bool dim_is(Dim d, int64_t c) {
    return d.poly == NULL && d.c == c;
}

/* A new symbol; name may be empty. */
Dim dim_symbol(Dims *ds, Str name, struct Value *value, int axis);
/* The symbol, when d is exactly one symbol; else NULL. */
const Symbol *dim_as_symbol(Dim d);
/* The two sizes of which d is the smaller one; else false. */
bool dim_as_min(Dim d, Dim *a, Dim *b);

bool dim_eq(Dim a, Dim b);
/* a - sign * b, for a sign of 1 or -1, when it is an integer; else false. */
bool dim_differ_by(Dim a, int sign, Dim b, int64_t *difference);
Dim dim_add(Dims *ds, Dim a, Dim b);
Dim dim_sub(Dims *ds, Dim a, Dim b);
Dim dim_mul(Dims *ds, Dim a, Dim b);
/* floor(a/b) as Python's //; exact division where b divides every term of a (also
 * symbolically: (2*n*m) // n = 2*m).  b must not be the integer 0. */
Dim dim_floordiv(Dims *ds, Dim a, Dim b);
/* Python's %: the sign of b. */
Dim dim_mod(Dims *ds, Dim a, Dim b);
Dim dim_min(Dims *ds, Dim a, Dim b);
Dim dim_max(Dims *ds, Dim a, Dim b);
/* ceil(a/b) for b > 0, as -(-a // b) is for integers. */
Dim dim_ceildiv(Dims *ds, Dim a, Dim b);
/* Takes `factor` times the symbol from d; false when d still holds it. */
bool dim_take_linear(Dims *ds, Dim *d, Dim symbol, int64_t *factor);
/* a/b when b divides a exactly for all values of the symbols; false otherwise. */
bool dim_divide(Dims *ds, Dim a, Dim b, Dim *quotient);

/* From here on d is taken to be >= 0: other sizes are no input of the model. */
void dim_assume(Dims *ds, Dim d);
/* Bounds from symbols >= 0 and from what is assumed: false when none follows. */
bool dim_lower_bound(Dims *ds, Dim d, int64_t *bound);
bool dim_upper_bound(Dims *ds, Dim d, int64_t *bound);
/* Decided comparisons: 1 true, 0 false, -1 depends on the symbols. */
int dim_known_eq(Dims *ds, Dim a, Dim b);
int dim_known_less(Dims *ds, Dim a, Dim b);

/* Calls visit for each symbol in d, repeats included. */
void dim_each_symbol(Dim d, void (*visit)(void *user, const Symbol *s), void *user);

/* Returns and clears `overflow`. */
bool dims_take_overflow(Dims *ds);

/* Prints for messages and inspect: 8, batch, 2*seq + 1, floor(h/2); a symbol without a
 * name is value[axis]. */
void dim_print(Text *t, Dim d);
void dim_print_symbol(Text *t, const Symbol *s);

#endif
