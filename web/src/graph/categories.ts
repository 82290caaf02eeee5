/** Kinds of operators and modules, one colour each. */

/** What an operator is for. */
export type Category =
    | "conv"
    | "linear"
    | "attention"
    | "norm"
    | "activation"
    | "pool"
    | "math"
    | "shape"
    | "data"
    | "control"
    | "module";

const OPERATORS: Record<Exclude<Category, "module">, string> = {
    conv: "Conv ConvTranspose ConvInteger QLinearConv DeformConv FusedConv NhwcConv Col2Im",
    linear:
        "MatMul Gemm Einsum MatMulInteger QLinearMatMul MatMulNBits FusedMatMul " +
        "FusedGemm MatMulIntegerToFloat RNN LSTM GRU TransposeMatMul GemmFastGelu",
    attention:
        "Attention MultiHeadAttention GroupQueryAttention RotaryEmbedding QAttention " +
        "PackedAttention DecoderMaskedMultiHeadAttention SparseAttention PagedAttention " +
        "LinearAttention FlexAttention",
    norm:
        "BatchNormalization LayerNormalization InstanceNormalization GroupNormalization " +
        "GroupNorm RMSNormalization SimplifiedLayerNormalization LRN LpNormalization " +
        "SkipLayerNormalization SkipSimplifiedLayerNormalization Normalizer " +
        "MeanVarianceNormalization EmbedLayerNormalization",
    activation:
        "Relu LeakyRelu PRelu Elu Selu Celu Gelu FastGelu QuickGelu BiasGelu Sigmoid " +
        "HardSigmoid HardSwish Swish Tanh Softplus Softsign Softmax LogSoftmax Hardmax Mish " +
        "ThresholdedRelu Clip Erf Dropout Shrink BiasSplitGelu",
    pool:
        "MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool MaxUnpool " +
        "MaxRoiPool RoiAlign Resize Upsample GridSample ReduceMean ReduceSum ReduceMax " +
        "ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp " +
        "ReduceSumSquare ArgMax ArgMin TopK CumSum CumProd",
    math: "",
    shape:
        "Reshape Transpose Flatten Squeeze Unsqueeze Expand Concat Split Slice Tile Pad " +
        "DepthToSpace SpaceToDepth Shape Size Identity Cast CastLike ReverseSequence " +
        "CenterCropPad",
    data:
        "Gather GatherElements GatherND Scatter ScatterElements ScatterND TensorScatter " +
        "Constant ConstantOfShape Range OneHot EyeLike RandomNormal RandomNormalLike " +
        "RandomUniform RandomUniformLike Bernoulli Multinomial QuantizeLinear " +
        "DequantizeLinear DynamicQuantizeLinear NonZero Unique Compress GatherBlockQuantized",
    control:
        "If Loop Scan SequenceAt SequenceConstruct SequenceEmpty SequenceErase " +
        "SequenceInsert SequenceLength SequenceMap SplitToSequence ConcatFromSequence " +
        "Optional OptionalGetElement OptionalHasElement NonMaxSuppression",
};

const BY_OPERATOR = new Map<string, Category>();
for (const [category, names] of Object.entries(OPERATORS)) {
    for (const name of names.split(" ")) BY_OPERATOR.set(name, category as Category);
}

/** The category of an operator; arithmetic and whatever is not known is "math". */
export function operatorCategory(op: string): Category {
    return BY_OPERATOR.get(op) ?? "math";
}

const CLASSES: [RegExp, Category][] = [
    [/attention|attn/i, "attention"],
    [/conv/i, "conv"],
    [/norm/i, "norm"],
    [/embedding/i, "data"],
    [/linear|dense|mlp|feedforward|intermediate|pooler/i, "linear"],
    [/relu|gelu|silu|sigmoid|tanh|softmax|activation|dropout/i, "activation"],
    [/pool|upsample/i, "pool"],
];

/** The category of a module by the name of its class; "module" where it has no say. */
export function classCategory(name: string): Category {
    return CLASSES.find(([pattern]) => pattern.test(name))?.[1] ?? "module";
}
