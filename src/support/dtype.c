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

bool float_is_limit(double x, DType t) {
    double most = t == DT_FLOAT ? FLT_MAX : DBL_MAX;
    return (t == DT_FLOAT || t == DT_DOUBLE) && fabs(x) >= most && !isinf(x);
}
