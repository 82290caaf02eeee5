/* Evaluators that several families share. */
#ifndef OX_OPS_EVALS_H
#define OX_OPS_EVALS_H

#include "ops/op.h"

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

#endif
