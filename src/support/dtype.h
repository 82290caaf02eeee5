/* Element types: the one table that ties ONNX numbers, names, sizes, Python text and
 * safetensors names together.
 * Source: onnx.proto TensorProto.DataType; safetensors format, "dtype". */
#ifndef OX_SUPPORT_DTYPE_H
#define OX_SUPPORT_DTYPE_H

#include "support/base.h"

/* clang-format off */
/*    enum             ONNX  name                bits  class     safetensors  Python text */
#define OX_DTYPES(X)                                                                      \
    X(FLOAT,            1, "float32",             32, DC_FLOAT,   "F32",  "jnp.float32")   \
    X(UINT8,            2, "uint8",                8, DC_UINT,    "U8",   "jnp.uint8")     \
    X(INT8,             3, "int8",                 8, DC_INT,     "I8",   "jnp.int8")      \
    X(UINT16,           4, "uint16",              16, DC_UINT,    "U16",  "jnp.uint16")    \
    X(INT16,            5, "int16",               16, DC_INT,     "I16",  "jnp.int16")     \
    X(INT32,            6, "int32",               32, DC_INT,     "I32",  "jnp.int32")     \
    X(INT64,            7, "int64",               64, DC_INT,     "I64",  "int")           \
    X(STRING,           8, "string",               0, DC_STRING,  NULL,   NULL)            \
    X(BOOL,             9, "bool",                 8, DC_BOOL,    "BOOL", "bool")          \
    X(FLOAT16,         10, "float16",             16, DC_FLOAT,   "F16",  "jnp.float16")   \
    X(DOUBLE,          11, "float64",             64, DC_FLOAT,   "F64",  "float")         \
    X(UINT32,          12, "uint32",              32, DC_UINT,    "U32",  "jnp.uint32")    \
    X(UINT64,          13, "uint64",              64, DC_UINT,    "U64",  "jax.dtypes.canonicalize_dtype(\"uint64\")") \
    X(COMPLEX64,       14, "complex64",           64, DC_COMPLEX, "C64",  "jnp.complex64") \
    X(COMPLEX128,      15, "complex128",         128, DC_COMPLEX, NULL,   "complex")       \
    X(BFLOAT16,        16, "bfloat16",            16, DC_FLOAT,   "BF16", "jnp.bfloat16")  \
    X(FLOAT8E4M3FN,    17, "float8_e4m3fn",        8, DC_FLOAT,   "F8_E4M3", "jnp.float8_e4m3fn") \
    X(FLOAT8E4M3FNUZ,  18, "float8_e4m3fnuz",      8, DC_FLOAT,   NULL,   "jnp.float8_e4m3fnuz") \
    X(FLOAT8E5M2,      19, "float8_e5m2",          8, DC_FLOAT,   "F8_E5M2", "jnp.float8_e5m2") \
    X(FLOAT8E5M2FNUZ,  20, "float8_e5m2fnuz",      8, DC_FLOAT,   NULL,   "jnp.float8_e5m2fnuz") \
    X(UINT4,           21, "uint4",                4, DC_UINT,    NULL,   "jnp.uint4")     \
    X(INT4,            22, "int4",                 4, DC_INT,     NULL,   "jnp.int4")      \
    X(FLOAT4E2M1,      23, "float4_e2m1fn",        4, DC_FLOAT,   NULL,   "jnp.float4_e2m1fn") \
    X(FLOAT8E8M0,      24, "float8_e8m0fnu",       8, DC_FLOAT,   "F8_E8M0", "jnp.float8_e8m0fnu") \
    X(UINT2,           25, "uint2",                2, DC_UINT,    NULL,   "jnp.uint2")     \
    X(INT2,            26, "int2",                 2, DC_INT,     NULL,   "jnp.int2")      \
    X(FLOAT6E2M3,      27, "float6_e2m3fn",        6, DC_FLOAT,   NULL,   NULL)            \
    X(FLOAT6E3M2,      28, "float6_e3m2fn",        6, DC_FLOAT,   NULL,   NULL)
/* clang-format on */

typedef enum DType {
    DT_UNDEFINED = 0,
#define OX_DTYPE_ENUM(e, number, name, bits, cls, st, py) DT_##e = number,
    OX_DTYPES(OX_DTYPE_ENUM)
#undef OX_DTYPE_ENUM
        DT_COUNT
} DType;

typedef enum DTypeClass {
    DC_NONE,
    DC_FLOAT,
    DC_INT,
    DC_UINT,
    DC_BOOL,
    DC_COMPLEX,
    DC_STRING,
} DTypeClass;

typedef struct DTypeInfo {
    const char *name; /* "float32"; "undefined" for DT_UNDEFINED */
    int bits;         /* bits of one element in raw data; 0 for strings */
    DTypeClass cls;
    const char *safetensors; /* NULL: the format has no such type */
    const char *python;      /* dtype expression in generated code */
} DTypeInfo;

/* Never NULL: numbers outside the table give the entry of DT_UNDEFINED. */
const DTypeInfo *dtype_info(DType dtype);
/* DT_UNDEFINED for numbers that are no ONNX type. */
DType dtype_from_onnx(int64_t number);

static inline bool dtype_is_float(DType t) {
    return dtype_info(t)->cls == DC_FLOAT;
}
/* Rounds x to what the type holds, half to even; false, and x as it is, for all types but
 * float64, float32, float16 and bfloat16. */
bool dtype_round(DType t, double *x);
/* x is the largest finite number of float32 or float64, or the lowest. */
bool float_is_limit(double x, DType t);
static inline bool dtype_is_int(DType t) {
    return dtype_info(t)->cls == DC_INT || dtype_info(t)->cls == DC_UINT;
}

#endif
