/* Single elements of tensors as doubles and integers, for constant folding.  The small
 * float formats differ only in field widths, bias and what they reserve.
 * Source: IEEE 754; OCP 8-bit floating point and microscaling (MX) specifications; the
 * "fnuz" types of onnx docs/docsgen float8. */
#include "ir/tensor.h"

#include <math.h>

typedef enum Reserved {
    NOTHING_RESERVED,
    IEEE_INF_NAN,  /* the largest exponent */
    ONES_ARE_NAN,  /* all bits but the sign */
    MINUS_ZERO_NAN /* the pattern of -0 */
} Reserved;

typedef struct FloatFormat {
    unsigned exponent, mantissa; /* bits */
    int bias;
    Reserved reserved;
} FloatFormat;

static FloatFormat float_format(DType dtype) {
    switch (dtype) {
    case DT_FLOAT16:
        return (FloatFormat){5, 10, 15, IEEE_INF_NAN};
    case DT_BFLOAT16:
        return (FloatFormat){8, 7, 127, IEEE_INF_NAN};
    case DT_FLOAT8E4M3FN:
        return (FloatFormat){4, 3, 7, ONES_ARE_NAN};
    case DT_FLOAT8E4M3FNUZ:
        return (FloatFormat){4, 3, 8, MINUS_ZERO_NAN};
    case DT_FLOAT8E5M2:
        return (FloatFormat){5, 2, 15, IEEE_INF_NAN};
    case DT_FLOAT8E5M2FNUZ:
        return (FloatFormat){5, 2, 16, MINUS_ZERO_NAN};
    case DT_FLOAT6E2M3:
        return (FloatFormat){2, 3, 1, NOTHING_RESERVED};
    case DT_FLOAT6E3M2:
        return (FloatFormat){3, 2, 3, NOTHING_RESERVED};
    default:
        return (FloatFormat){2, 1, 1, NOTHING_RESERVED}; /* FLOAT4E2M1 */
    }
}

/* 2^e for the exponents of normal doubles. */
static double power_of_two(int e) {
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double small_float(uint64_t bits, FloatFormat f) {
    unsigned width = f.exponent + f.mantissa;
    uint64_t ones = (UINT64_C(1) << f.exponent) - 1;
    uint64_t exponent = bits >> f.mantissa & ones;
    uint64_t mantissa = bits & ((UINT64_C(1) << f.mantissa) - 1);
    uint64_t magnitude = bits & ((UINT64_C(1) << width) - 1);
    bool negative = bits >> width & 1;
    if (f.reserved == MINUS_ZERO_NAN && negative && magnitude == 0)
        return NAN;
    if (f.reserved == ONES_ARE_NAN && magnitude == (UINT64_C(1) << width) - 1)
        return NAN;
    if (f.reserved == IEEE_INF_NAN && exponent == ones)
        return mantissa ? NAN : negative ? -INFINITY : INFINITY;
    bool subnormal = exponent == 0;
    uint64_t digits = subnormal ? mantissa : mantissa | UINT64_C(1) << f.mantissa;
    int scale = (subnormal ? 1 : (int)exponent) - f.bias - (int)f.mantissa;
    double value = (double)digits * power_of_two(scale);
    return negative ? -value : value;
}

/* n bytes of the data as a number; 0 when they cannot be read. */
static uint64_t load_at(const Tensor *t, uint64_t at, unsigned n) {
    if (t->memory)
        return load_le(t->memory + at, n);
    char bytes[8];
    return tensor_read(t, at, bytes, n) ? load_le(bytes, n) : 0;
}

uint64_t tensor_bits(const Tensor *t, int64_t i) {
    unsigned bits = (unsigned)dtype_info(t->dtype)->bits;
    uint64_t k = (uint64_t)i;
    if (bits < 8) {
        unsigned shift = (unsigned)(k % 8 * bits % 8);
        bool spans = shift + bits > 8;
        uint64_t at = k / 8 * bits + k % 8 * bits / 8;
        return load_at(t, at, 1 + spans) >> shift & ((1u << bits) - 1);
    }
    unsigned stride = bits / 8;
    bool complex = dtype_info(t->dtype)->cls == DC_COMPLEX;
    return load_at(t, k * stride, complex ? stride / 2 : stride);
}

static bool has_element(const Tensor *t, int64_t i) {
    return t->size && i >= 0 && i < t->count && dtype_info(t->dtype)->bits > 0;
}

static double float_element(DType dtype, uint64_t bits) {
    switch (dtype) {
    case DT_FLOAT:
    case DT_COMPLEX64: {
        uint32_t low = (uint32_t)bits;
        float value;
        memcpy(&value, &low, sizeof value);
        return (double)value;
    }
    case DT_DOUBLE:
    case DT_COMPLEX128: {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    case DT_FLOAT8E8M0: /* an exponent alone */
        return bits == 255 ? NAN : power_of_two((int)bits - 127);
    default:
        return small_float(bits, float_format(dtype));
    }
}

static int64_t sign_extend(uint64_t value, unsigned bits) {
    uint64_t sign = UINT64_C(1) << (bits - 1);
    return (int64_t)((value ^ sign) - sign);
}

/* Towards zero; what does not fit becomes the nearest that does, NaN becomes 0. */
static int64_t truncate(double value) {
    if (value != value)
        return 0;
    if (value >= 9223372036854775808.0)
        return INT64_MAX;
    return value < -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

double tensor_f64(const Tensor *t, int64_t i) {
    if (!has_element(t, i))
        return 0;
    uint64_t bits = tensor_bits(t, i);
    const DTypeInfo *info = dtype_info(t->dtype);
    switch (info->cls) {
    case DC_FLOAT:
    case DC_COMPLEX:
        return float_element(t->dtype, bits);
    case DC_INT:
        return (double)sign_extend(bits, (unsigned)info->bits);
    case DC_BOOL:
        return bits != 0;
    default:
        return (double)bits;
    }
}

int64_t tensor_i64(const Tensor *t, int64_t i) {
    if (!has_element(t, i))
        return 0;
    uint64_t bits = tensor_bits(t, i);
    const DTypeInfo *info = dtype_info(t->dtype);
    switch (info->cls) {
    case DC_FLOAT:
    case DC_COMPLEX:
        return truncate(float_element(t->dtype, bits));
    case DC_INT:
        return sign_extend(bits, (unsigned)info->bits);
    case DC_BOOL:
        return bits != 0;
    default:
        return (int64_t)bits; /* uint64 past INT64_MAX wraps */
    }
}
