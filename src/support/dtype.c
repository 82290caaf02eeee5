/* The element type table of dtype.h, indexed by ONNX number. */
#include "support/dtype.h"

#include <float.h>
#include <math.h>

static const DTypeInfo dtypes[DT_COUNT] = {
    [DT_UNDEFINED] = {"undefined", 0, DC_NONE, NULL, NULL},
#define X(e, number, name, bits, cls, st, py) [number] = {name, bits, cls, st, py},
    OX_DTYPES(X)
#undef X
};

const DTypeInfo *dtype_info(DType dtype) {
    return &dtypes[dtype_from_onnx((int64_t)dtype)];
}

DType dtype_from_onnx(int64_t number) {
    return number > 0 && number < DT_COUNT ? (DType)number : DT_UNDEFINED;
}

/* Rounds x to `digits` significant bits, half to even, with smallest exponent `least`
 * (that of the last place of subnormals) and infinity from `limit` on. */
static double round_bits(double x, int digits, int least, double limit) {
    if (x == 0 || !isfinite(x))
        return x;
    int exponent;
    (void)frexp(x, &exponent);
    int place = exponent - digits > least ? exponent - digits : least;
    double r = ldexp(nearbyint(ldexp(x, -place)), place);
    return fabs(r) >= limit ? copysign(INFINITY, x) : r;
}

bool dtype_round(DType t, double *x) {
    switch (t) {
    case DT_DOUBLE:
        return true;
    case DT_FLOAT:
        *x = (double)(float)*x;
        return true;
    case DT_FLOAT16:
        *x = round_bits(*x, 11, -24, 65536.0);
        return true;
    case DT_BFLOAT16:
        *x = round_bits(*x, 8, -133, ldexp(1.0, 128));
        return true;
    default:
        return false;
    }
}

bool float_is_limit(double x, DType t) {
    double most = t == DT_FLOAT ? FLT_MAX : DBL_MAX;
    return (t == DT_FLOAT || t == DT_DOUBLE) && fabs(x) >= most && !isinf(x);
}
