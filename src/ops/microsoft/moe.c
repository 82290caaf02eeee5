/* MoE and QMoE of com.microsoft: mixtures of experts, by calls of the helpers in
 * python/lib/moe.py.
 * Source: ContribOperators.md of onnxruntime; its CPU kernels where the text is silent:
 * gelu is the one of tanh, and QMoE normalizes the weights of the router always. */
#include "ops/onnx/window.h"

#include <math.h>

enum { INPUT, ROUTER };

/* Where a layer of all experts stands among the inputs; -1: the operator has none. */
typedef struct Layer {
    int weights, bias, scales, zeros;
} Layer;

static const Layer plain[3] = {{2, 3, -1, -1}, {4, 5, -1, -1}, {6, 7, -1, -1}};
static const Layer packed[3] = {{2, 4, 3, 11}, {5, 7, 6, 12}, {8, 10, 9, 13}};
enum { ROUTER_WEIGHTS = 14, GLOBAL_SCALES = 15, ACTIVATION_SCALES = 17 };

static bool is_packed(const Node *n) {
    return op_attr(n->op, STR("expert_weight_bits")) != NULL;
}

static const Layer *layers_of(const Node *n) {
    return is_packed(n) ? packed : plain;
}

static bool has_third(const Node *n) {
    return node_in(n, layers_of(n)[2].weights) != NULL;
}

/* Weights of float8 with a scale for each tile, or for each expert. */
static bool is_float8(const Node *n) {
    return is_packed(n) && attr_is(n, "quant_type", "fp8");
}

static bool has_tiles(const Node *n) {
    return is_packed(n) && attr_has(n, "block_size") && attr_int(n, "block_size") > 0;
}

/* ---- shapes ------------------------------------------------------------------------ */

/* Bits of a weight of layer i; 0: weights are not packed. */
static int64_t bits_of(const Node *n, int i) {
    static const char *const own[] = {
        "fc1_expert_weight_bits", "fc2_expert_weight_bits", "fc3_expert_weight_bits"};
    if (!is_packed(n) || is_float8(n))
        return 0;
    return attr_int(n, attr_has(n, own[i]) ? own[i] : "expert_weight_bits");
}

/* Gate and up are one layer. */
static bool is_fused(const Node *n) {
    bool gated = attr_is(n, "activation_type", "swiglu") ||
                 attr_is(n, "activation_type", "geglu");
    return gated && !has_third(n);
}

/* The weights of layer i must be (experts, rows, columns). */
static bool check_layer(Model *m, const Node *n, int i, Dim experts, Dim rows,
                        Dim columns) {
    Shape s;
    const Layer *at = &layers_of(n)[i];
    int64_t bits = bits_of(n, i);
    if (!in_shape(n, at->weights, &s))
        return true;
    bool ok = s.rank == 3;
    if (ok && bits)
        s.d[2] = dim_mul(&m->dims, s.d[2], dim_int(8));
    if (ok && bits)
        columns = dim_mul(&m->dims, columns, dim_int(bits));
    const Dim want[] = {experts, rows, columns};
    for (int k = 0; ok && k < 3; k++)
        ok = dim_known_eq(&m->dims, s.d[k], want[k]) != 0;
    if (!ok)
        node_error(m, n, OX0401, "", "input %d is not (experts, out, in)", at->weights);
    return ok;
}

static void infer_moe(Model *m, Node *n) {
    Shape x, router, fc1;
    const Layer *at = layers_of(n);
    infer_same(m, n);
    for (int i = 0; i < 3; i++) {
        int64_t bits = bits_of(n, i);
        if (bits != 0 && bits != 2 && bits != 3 && bits != 4 && bits != 8) {
            node_error(m, n, OX0303, "", "weights have %lld bits", (long long)bits);
            return;
        }
    }
    if (!in_shape(n, INPUT, &x) || !in_shape(n, ROUTER, &router) ||
        !in_shape(n, at[0].weights, &fc1))
        return;
    int64_t k = attr_int(n, "k");
    bool ok =
        (x.rank == 2 || x.rank == 3) && router.rank == 2 && fc1.rank == 3 && k > 0;
    if (!ok || (dim_is_int(router.d[1]) && router.d[1].c < k)) {
        node_error(m, n, OX0401, "", "input, router_probs and k do not fit");
        return;
    }
    Dim hidden = x.d[x.rank - 1], inner = fc1.d[1];
    if (is_fused(n))
        inner = dim_floordiv(&m->dims, inner, dim_int(2));
    (void)(check_layer(m, n, 0, router.d[1], fc1.d[1], hidden) &&
           check_layer(m, n, 1, router.d[1], hidden, inner) &&
           check_layer(m, n, 2, router.d[1], inner, hidden));
}

/* ---- activations ------------------------------------------------------------------- */

typedef struct Activation {
    const char *name, *text, *gated; /* gated: with the layer fc3 */
} Activation;

static const Activation activations[] = {
    {"relu", "jax.nn.relu", "lambda x, up: jax.nn.relu(x) * up"},
    {"gelu", "jax.nn.gelu", "lambda x, up: jax.nn.gelu(x) * up"},
    {"silu", "jax.nn.silu", "lambda x, up: jax.nn.silu(x) * up"},
    {"identity", "lambda x: x", "lambda x, up: x * up"},
    {"relu2", "lambda x: jnp.square(jax.nn.relu(x))",
     "lambda x, up: jnp.square(jax.nn.relu(x)) * up"},
};

/* name=value of an attribute. */
static const Expr *with_number(Emit *e, const Expr *call, const char *attr,
                               const char *name) {
    const Node *n = emit_node(e);
    return call_with(e, call, name,
                     attr_has(n, attr) ? emit_float(e, attr_float(n, attr), DT_FLOAT)
                                       : NULL);
}

/* swiglu or geglu of one layer, or of two; NULL after an error. */
static const Expr *gated_activation(Emit *e, bool swiglu) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int64_t fusion = attr_int(n, "swiglu_fusion");
    bool third = has_third(n), late = attr_int(n, "swiglu_limit_after_activation") != 0;
    if (third ? fusion != 0 || !swiglu : fusion != 1 && fusion != 2) {
        emit_fail(e, OX0303, "", "swiglu_fusion %lld does not fit the layers",
                  (long long)fusion);
        return NULL;
    }
    const Expr *function = ex_name(a, swiglu ? STR("swiglu") : STR("geglu"));
    const Expr *call = EX(a, "functools.partial($0)", function);
    if (swiglu) {
        call = with_number(e, call, "activation_alpha", "alpha");
        call = with_number(e, call, "activation_beta", "beta");
        call = with_number(e, call, "swiglu_limit", "limit");
        call = call_with(e, call, "late", ex_bool(a, late));
    }
    call = call_with(e, call, "halves", ex_bool(a, fusion == 2));
    return call->n == 2 ? function : call;
}

static const Expr *activation_of(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Str name = attr_str(n, "activation_type");
    bool swiglu = str_is(name, "swiglu");
    if (swiglu || str_is(name, "geglu"))
        return gated_activation(e, swiglu);
    for (size_t i = 0; i < OX_COUNT(activations); i++) {
        const Activation *f = &activations[i];
        if (str_is(name, f->name))
            return EX(a, has_third(n) ? f->gated : f->text, NULL);
    }
    emit_fail(e, OX0303, "", "activation_type \"%.*s\" is not known", (int)name.n,
              name.p ? name.p : "");
    return NULL;
}

/* ---- code -------------------------------------------------------------------------- */

/* (bias, weights) of layer i, with scales and zero points where weights are packed;
 * NULL: there is no such layer. */
static const Expr *layer_of(Emit *e, int i) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Layer *at = &layers_of(n)[i];
    const Expr *items[4];
    size_t count = 0;
    if (!node_in(n, at->weights))
        return NULL;
    items[count++] = node_in(n, at->bias) ? emit_in(e, at->bias) : ex_none();
    items[count++] = emit_in(e, at->weights);
    if (is_float8(n) && !has_tiles(n))
        items[count++] = emit_in(e, GLOBAL_SCALES + i);
    else if (is_packed(n))
        items[count++] = emit_in(e, at->scales);
    if (is_packed(n) && node_in(n, at->zeros))
        items[count++] = emit_in(e, at->zeros);
    return ex_seq(a, EX_TUPLE, items, count);
}

/* One number where all layers have as many bits. */
static const Expr *bits_expr(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const int64_t bits[] = {bits_of(n, 0), bits_of(n, 1), bits_of(n, 2)};
    size_t count = has_third(n) ? 3 : 2;
    if (bits[0] == 0)
        return NULL;
    bool same = bits[0] == bits[1] && bits[0] == bits[count - 1];
    return same ? ex_int(a, bits[0]) : ex_ints(a, EX_TUPLE, bits, count);
}

/* The input that holds the scales of layer i. */
static int scales_of(const Node *n, int i) {
    bool global = is_float8(n) && !has_tiles(n);
    return global ? GLOBAL_SCALES + i : packed[i].scales;
}

/* Forms of QMoE that cannot be compiled. */
static bool refuses_packed(Emit *e) {
    const Node *n = emit_node(e);
    bool other = !attr_is(n, "quant_type", "int") && !is_float8(n);
    for (int i = ACTIVATION_SCALES; i < (int)n->n_in; i++)
        other = other || node_in(n, i);
    for (int i = 0; i < 3; i++) {
        bool zeros = is_float8(n) && node_in(n, packed[i].zeros);
        if (node_in(n, packed[i].weights) &&
            (zeros || scales_of(n, i) >= ACTIVATION_SCALES ||
             !node_in(n, scales_of(n, i)))) {
            emit_fail(e, OX0303, "", "the scales of layer %d are missing", i + 1);
            return true;
        }
    }
    if (other)
        emit_fail(e, OX0302, "quantize to integers (quant_type=\"int\")",
                  "weights of float4 and activations of float8 are not supported");
    else if (!is_float8(n) && attr_int(n, "weights_prepacked") == 1)
        emit_fail(e, OX0302, "write the model with weights_prepacked=0",
                  "weights in the layout of one processor are not supported");
    else
        return false;
    return true;
}

/* The execution providers of onnxruntime read these in different ways. */
static void warn_packed(Emit *e) {
    Model *m = emit_model(e);
    const Node *n = emit_node(e);
    if (attr_int(n, "weights_prepacked") < 0)
        node_error(m, n, OX0310, "write the model with weights_prepacked=0",
                   "weights are read as onnxruntime's CPU provider does, in rows; for "
                   "its CUDA provider they would be prepacked");
    if (attr_int(n, "normalize_routing_weights") == 0 && !node_in(n, ROUTER_WEIGHTS))
        node_error(m, n, OX0310, "write the model with normalize_routing_weights=1",
                   "routing weights are normalized as onnxruntime's CPU provider does; "
                   "its CUDA provider would not");
}

static const Expr *gates_of(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    bool own = is_packed(n) && node_in(n, ROUTER_WEIGHTS);
    bool normal = attr_int(n, "normalize_routing_weights") != 0 ||
                  (is_packed(n) && !is_float8(n) && !own);
    const Expr *call =
        EX(a, "route($0, $1$(, $2))", emit_in(e, ROUTER), ex_int(a, attr_int(n, "k")),
           own ? emit_in(e, ROUTER_WEIGHTS) : NULL);
    return call_with(e, call, "normalize", ex_bool(a, normal));
}

static void emit_moe(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (attr_int(n, "use_sparse_mixer") != 0) {
        emit_fail(e, OX0302, "", "use_sparse_mixer is not supported");
        return;
    }
    if (is_packed(n) && refuses_packed(e))
        return;
    const Expr *activation = activation_of(e);
    if (!activation)
        return;
    if (is_packed(n) && !is_float8(n))
        warn_packed(e);
    const Expr *call = EX(a, "moe($0, $1, $2, $3$(, $4), activation=$5)",
                          emit_in(e, INPUT), emit_let(e, "gates", gates_of(e)),
                          layer_of(e, 0), layer_of(e, 1), layer_of(e, 2), activation);
    call = call_with(e, call, "bits", bits_expr(e));
    int64_t tile = has_tiles(n) ? attr_int(n, "block_size") : 0;
    emit_out(e, 0, call_with(e, call, "tile", is_float8(n) ? ex_int(a, tile) : NULL));
}

/* clang-format off */
#define MOE_ATTRS                                                                      \
    FLOAT("activation_alpha", 1.0), FLOAT("activation_beta", 0.0),                     \
    STRING("activation_type", "relu"), INT("k", 1), INT("normalize_routing_weights", 0), \
    INT("swiglu_fusion", 0), FLOAT_OPT("swiglu_limit"),                                \
    INT("swiglu_limit_after_activation", 0), INT("use_sparse_mixer", 0)

static const OpDef ops[] = {
    {.name = "MoE", MICROSOFT,
     .in = "input router_probs fc1_experts_weights fc1_experts_bias? "
           "fc2_experts_weights fc2_experts_bias? fc3_experts_weights? "
           "fc3_experts_bias?",
     .out = "output", .attrs = {MOE_ATTRS}, .infer = infer_moe, .emit = emit_moe},
    {.name = "QMoE", MICROSOFT,
     .in = "input router_probs fc1_experts_weights fc1_scales? fc1_experts_bias? "
           "fc2_experts_weights fc2_scales? fc2_experts_bias? fc3_experts_weights? "
           "fc3_scales? fc3_experts_bias? fc1_zero_points? fc2_zero_points? "
           "fc3_zero_points? router_weights? fc1_global_scale? fc2_global_scale? "
           "fc1_act_scale? fc2_act_scale? fc1_act_block_scale? fc2_act_block_scale?",
     .out = "output",
     .attrs = {MOE_ATTRS, INT("accuracy_level", 0), INT_OPT("block_size"),
               INT("expert_weight_bits", 4), INT_OPT("fc1_expert_weight_bits"),
               INT_OPT("fc2_expert_weight_bits"), INT_OPT("fc3_expert_weight_bits"),
               STRING("quant_type", "int"), INT("weights_prepacked", -1)},
     .infer = infer_moe, .emit = emit_moe},
};
/* clang-format on */

const OpFamily ops_ms_moe = FAMILY(ops);
