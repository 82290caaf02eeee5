/* Evaluators that several families share. */
#ifndef OX_OPS_CORE_EVALS_H
#define OX_OPS_CORE_EVALS_H

#include "ops/core/op.h"

/* The inputs of an evaluation, walked element by element with numpy's broadcasting. */
enum { WALK_MAX = 3 };
typedef struct Walk {
    int args;
    const Known *in[WALK_MAX];
    Shape shape[WALK_MAX];
    Shape out;
    size_t count; /* elements of output 0 */
} Walk;

/* false unless all inputs are known and the shapes are integers. */
bool walk_open(Walk *w, const Node *n);
/* The element of input k that element i of output 0 reads. */
size_t walk_index(const Walk *w, int k, size_t i);

bool int_add(Model *m, const Dim *a, Dim *r);
bool int_mul(Model *m, const Dim *a, Dim *r);
bool int_min(Model *m, const Dim *a, Dim *r);
bool int_max(Model *m, const Dim *a, Dim *r);
/* Rounds toward zero; false where the sign or a zero divisor cannot be told. */
bool int_div(Model *m, const Dim *a, Dim *r);

bool float_add(const double *a, double *r);
bool float_mul(const double *a, double *r);
/* NaN when either is. */
bool float_min(const double *a, double *r);
bool float_max(const double *a, double *r);

/* OpDef.real of the operators by these names. */
bool real_add(Model *m, const Real *args, Real *r);
bool real_sub(Model *m, const Real *args, Real *r);
bool real_mul(Model *m, const Real *args, Real *r);
bool real_div(Model *m, const Real *args, Real *r);
bool real_neg(Model *m, const Real *args, Real *r);
bool real_floor(Model *m, const Real *args, Real *r);
bool real_ceil(Model *m, const Real *args, Real *r);
bool real_same(Model *m, const Real *args, Real *r);
/* The number is an integer. */
bool real_is_whole(const Real *x);
/* Its integral part, of a number that is not negative. */
bool real_to_int(Model *m, const Real *x, Dim *r);

#endif
