/* The element type table of dtype.h, indexed by ONNX number. */
#include "support/dtype.h"

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
