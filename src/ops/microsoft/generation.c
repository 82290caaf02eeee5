/* Search for sequences of tokens of com.microsoft: a loop around a decoder, which is a
 * subgraph whose past grows by a token with each step.  Python unrolls it while JAX
 * traces, so that all shapes are known; max_length is a constant for that.
 * Source: ContribOperators.md of onnxruntime, and its CPU kernels where the text is
 * silent. */
#include "ops/core/nested.h"
#include "ops/onnx/window.h"

/* Inputs of a decoder: then a past for each layer, [2, batch, heads, past, size]. */
enum { TOKENS, POSITIONS, MASK, PAST };
enum { PAST_RANK = 5, BATCH_AXIS = 1, HEADS_AXIS = 2, LENGTH_AXIS = 3, SIZE_AXIS = 4 };
/* Output of a decoder; then the past with what is new. */
enum { LOGITS };
/* Inputs of a decoder behind an encoder: tokens, the encoder's mask, then keys and values
 * of each layer, [batch, heads, length, size]: of its own past, which it returns with what
 * is new, then of what the encoder has read. */
enum { READ_MASK = 1, OWN_PAST, CACHE_RANK = 4 };
/* One behind an encoder of speech has no mask. */
enum { SPEECH_PAST = 1 };
/* Inputs of an encoder; one that takes the start of the decoder, too, has done its first
 * step: its outputs are logits, hidden states, and all keys and values. */
enum { START = 2, STARTED_INPUTS, STARTED_CACHES = 2 };
enum { DECODER_ONLY, ENCODER_DECODER, SPEECH }; /* model_type */

#define ALONE                                                                          \
    "export it with onnxruntime.transformers.convert_generation for the CPU, or "      \
    "compile its decoder alone"

/* ---- inference ------------------------------------------------------------------- */

static void set_input(Model *m, Value *v, DType dtype, int rank, const Dim *d) {
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)rank, Dim);
    if (!dims)
        return;
    memcpy(dims, d, (size_t)rank * sizeof *dims);
    v->type = (Type){.dtype = dtype, .rank = rank, .dims = dims};
    v->known = v->splat = NULL;
}

/* As many presents come out as pasts go in, and their sizes are fixed. */
static bool is_decoder(const Graph *g) {
    if (!g || g->n_inputs <= PAST || g->n_inputs != g->n_outputs + PAST - 1)
        return false;
    for (size_t i = PAST; i < g->n_inputs; i++) {
        const Type *t = &g->inputs[i]->type;
        if (t->rank != PAST_RANK || !dim_is(t->dims[0], 2) ||
            !dim_is_int(t->dims[HEADS_AXIS]) || !dim_is_int(t->dims[SIZE_AXIS]))
            return false;
    }
    return true;
}

/* Types that hold in every step: of the prompt without a past, and of a token. */
static void infer_decoder(Model *m, Graph *g) {
    if (!is_decoder(g))
        return;
    Value *tokens = g->inputs[TOKENS], *past = g->inputs[PAST];
    Dim batch = value_symbol(m, tokens, 0), length = value_symbol(m, tokens, 1);
    Dim before = value_symbol(m, past, LENGTH_AXIS);
    const Dim ids[] = {batch, length},
              seen[] = {batch, dim_add(&m->dims, before, length)};
    set_input(m, tokens, DT_INT32, 2, ids);
    set_input(m, g->inputs[POSITIONS], DT_INT32, 2, ids);
    set_input(m, g->inputs[MASK], DT_INT32, 2, seen);
    for (size_t i = PAST; i < g->n_inputs; i++) {
        const Type *t = &g->inputs[i]->type;
        const Dim d[PAST_RANK] = {dim_int(2), batch, t->dims[HEADS_AXIS], before,
                                  t->dims[SIZE_AXIS]};
        set_input(m, g->inputs[i], t->dtype, PAST_RANK, d);
    }
    infer_subgraph(m, g);
}

/* Keys and values that the decoder returns. */
static size_t own_caches(const Graph *g) {
    return g->n_outputs - 1;
}

static bool has_cache_type(const Value *v) {
    const Type *t = &v->type;
    return t->rank == CACHE_RANK && dim_is_int(t->dims[1]) && dim_is_int(t->dims[3]);
}

/* A decoder of one token, with keys and values from input `first` on. */
static bool has_caches(const Graph *g, size_t first) {
    if (!g || g->n_inputs <= first || g->n_outputs < 2 ||
        g->n_inputs != first + 2 * own_caches(g))
        return false;
    for (size_t i = first; i < g->n_inputs; i++)
        if (!has_cache_type(g->inputs[i]))
            return false;
    const Type *tokens = &g->inputs[TOKENS]->type;
    return tokens->rank == 2 && dim_is(tokens->dims[1], 1);
}

/* Encoder and decoder fit each other. */
static bool is_pair(const Graph *encoder, const Graph *g) {
    if (!encoder || !has_caches(g, OWN_PAST))
        return false;
    if (encoder->n_inputs == STARTED_INPUTS)
        return encoder->n_outputs == STARTED_CACHES + 2 * own_caches(g);
    return encoder->n_inputs == START && encoder->n_outputs == own_caches(g);
}

static bool is_speech_pair(const Graph *encoder, const Graph *g) {
    return encoder && has_caches(g, SPEECH_PAST) && encoder->n_inputs == 2 &&
           encoder->n_outputs == STARTED_CACHES + 2 * own_caches(g);
}

/* The decoder of one token, whose keys and values begin at input `first`. */
static void infer_behind(Model *m, Graph *g, size_t first) {
    Value *tokens = g->inputs[TOKENS], *read = g->inputs[first + own_caches(g)];
    const Dim token[] = {value_symbol(m, tokens, 0), dim_int(1)};
    const Dim seen[] = {token[0], value_symbol(m, read, 2)};
    Dim before = value_symbol(m, g->inputs[first], 2);
    set_input(m, tokens, DT_INT32, 2, token);
    if (first > READ_MASK)
        set_input(m, g->inputs[READ_MASK], DT_INT32, 2, seen);
    for (size_t i = first; i < g->n_inputs; i++) {
        const Type *t = &g->inputs[i]->type;
        const Dim d[CACHE_RANK] = {token[0], t->dims[1],
                                   i < first + own_caches(g) ? before : seen[1],
                                   t->dims[3]};
        set_input(m, g->inputs[i], t->dtype, CACHE_RANK, d);
    }
    infer_subgraph(m, g);
}

static void infer_pair(Model *m, Graph *encoder, Graph *g) {
    if (!is_pair(encoder, g))
        return;
    Value *ids = encoder->inputs[0];
    const Dim read[] = {value_symbol(m, ids, 0), value_symbol(m, ids, 1)};
    const Dim one[] = {read[0], dim_int(1)};
    set_input(m, ids, DT_INT32, 2, read);
    set_input(m, encoder->inputs[1], DT_INT32, 2, read);
    if (encoder->n_inputs == STARTED_INPUTS)
        set_input(m, encoder->inputs[START], DT_INT32, 2, one);
    infer_subgraph(m, encoder);
    infer_behind(m, g, OWN_PAST);
}

/* Features [batch, size, frames] and the tokens that the decoder starts with. */
static void infer_speech_pair(Model *m, const Node *n, Graph *encoder, Graph *g) {
    if (!is_speech_pair(encoder, g))
        return;
    Value *features = encoder->inputs[0];
    const Type *t = &node_in(n, 0)->type;
    const Type moved = type_moved(m, t, features);
    Dim batch = value_symbol(m, features, 0);
    const Dim start[] = {batch, value_symbol(m, encoder->inputs[1], 1)};
    if (moved.rank == 3) {
        const Dim d[] = {batch, moved.dims[1], moved.dims[2]};
        set_input(m, features, t->dtype, 3, d);
    }
    set_input(m, encoder->inputs[1], DT_INT32, 2, start);
    infer_subgraph(m, encoder);
    infer_behind(m, g, SPEECH_PAST);
}

static bool is_encoded(const Node *n) {
    return attr_int(n, "model_type") == ENCODER_DECODER;
}

static bool is_speech(const Node *n) {
    return op_input_index(n->op, STR("cross_qk_layer_head")) >= 0;
}

static void infer_models(Model *m, const Node *n) {
    if (is_speech(n)) {
        infer_speech_pair(m, n, attr_graph(n, "encoder"), attr_graph(n, "decoder"));
        return;
    }
    if (is_encoded(n)) {
        infer_pair(m, attr_graph(n, "encoder"), attr_graph(n, "decoder"));
        return;
    }
    infer_decoder(m, attr_graph(n, "decoder"));
    infer_decoder(m, attr_graph(n, "init_decoder"));
}

/* The one number of an input; false where it is not known. */
static bool known_number(const Node *n, const char *name, int64_t *number) {
    Ints list;
    bool known = get_ints(n, name, &list) && list.n == 1;
    *number = known ? list.v[0] : 0;
    return known;
}

/* The size that the input gives; false where it is not known, or is none. */
static bool known_size(const Node *n, const char *name, int64_t *size) {
    enum { SIZE_MAX_KNOWN = 1 << 20 };
    return known_number(n, name, size) && *size > 0 && *size <= SIZE_MAX_KNOWN;
}

static Dim size_of(Model *m, Node *n, const char *name, int axis) {
    int64_t size;
    return known_size(n, name, &size) ? dim_int(size) : fresh_dim(m, n, 0, axis);
}

static void infer_greedy(Model *m, Node *n) {
    infer_models(m, n);
    Shape ids, s = {.rank = 2};
    demand_rank(m, n, 0, 2);
    s.d[0] = in_shape(n, 0, &ids) && ids.rank == 2 ? ids.d[0] : fresh_dim(m, n, 0, 0);
    s.d[1] = size_of(m, n, "max_length", 1);
    set_type(m, n, 0, DT_INT32, &s);
}

/* How many tokens the sequences begin with, of an input 0 of that shape. */
static Dim start_length(Model *m, Node *n, const Shape *ids) {
    Shape start;
    if (!is_speech(n))
        return is_encoded(n) ? dim_int(1) : ids->d[1];
    int i = op_input_index(n->op, STR("decoder_input_ids"));
    if (!node_in(n, i))
        return dim_int(1);
    return in_shape(n, i, &start) && start.rank == 2 ? start.d[1]
                                                     : fresh_dim(m, n, 2, 0);
}

/* sequences [batch, count, max_length], their scores, and those of all tokens. */
static void infer_beams(Model *m, Node *n) {
    const Graph *g = attr_graph(n, "decoder");
    int rank = is_speech(n) ? 3 : 2;
    infer_models(m, n);
    Shape ids, s = {.rank = 3};
    demand_rank(m, n, 0, rank);
    bool known = in_shape(n, 0, &ids) && ids.rank == rank;
    Dim batch = known ? ids.d[0] : fresh_dim(m, n, 0, 0);
    s.d[0] = batch;
    s.d[1] = size_of(m, n, "num_return_sequences", 1);
    Dim most = s.d[2] = size_of(m, n, "max_length", 2);
    set_type(m, n, 0, DT_INT32, &s);
    s.rank = 2;
    set_type(m, n, 1, DT_FLOAT, &s);
    if (!node_out(n, 2))
        return;
    bool given = g && g->n_outputs > LOGITS;
    const Type *logits = given ? &value_final(g->outputs[LOGITS])->type : NULL;
    bool sized = logits && logits->rank == 3;
    Dim steps = known ? dim_sub(&m->dims, most, start_length(m, n, &ids))
                      : fresh_dim(m, n, 2, 0);
    Shape all = {.rank = 4,
                 .d = {steps, batch, size_of(m, n, "num_beams", 2),
                       sized ? logits->dims[2] : fresh_dim(m, n, 2, 3)}};
    set_type(m, n, 2, DT_FLOAT, &all);
}

/* ---- what is refused --------------------------------------------------------------- */

static bool has_size(Emit *e, const char *name) {
    const Node *n = emit_node(e);
    int64_t size;
    if (known_size(n, name, &size))
        return true;
    if (known_number(n, name, &size))
        emit_fail(e, OX0303, "", "%s is %lld", name, (long long)size);
    else
        emit_fail(e, OX0402, "fix the input with --input-value NAME=NUMBER",
                  "%s decides shapes, and is not known", name);
    return false;
}

/* The size of the vocabulary is that of the logits. */
static bool has_whole_vocabulary(Emit *e, const Graph *g) {
    const Type *t = &value_final(g->outputs[LOGITS])->type;
    int64_t size = attr_int(emit_node(e), "vocab_size");
    if (t->rank != 3 || t->dtype != DT_FLOAT) {
        emit_fail(e, OX0302, ALONE, "the logits are not float32 of rank 3");
        return false;
    }
    if (size > 0 && !dim_is(t->dims[2], size)) {
        emit_fail(e, OX0302, "export it without padding of the vocabulary",
                  "the logits have another size than vocab_size");
        return false;
    }
    return true;
}

static bool is_pair_compiled(Emit *e) {
    const Node *n = emit_node(e);
    const Graph *encoder = attr_graph(n, "encoder"), *g = attr_graph(n, "decoder");
    if (!is_pair(encoder, g)) {
        emit_fail(e, OX0302, ALONE,
                  "the decoder does not take one token, the encoder's mask, and keys "
                  "and values of fixed sizes from itself and the encoder");
        return false;
    }
    if (attr_int(n, "decoder_start_token_id") < 0) {
        emit_fail(e, OX0303, "", "decoder_start_token_id is missing");
        return false;
    }
    return has_whole_vocabulary(e, g) &&
           (encoder->n_inputs != STARTED_INPUTS || has_whole_vocabulary(e, encoder)) &&
           has_size(e, "max_length");
}

/* What of WhisperBeamSearch is not compiled is not there. */
static bool is_speech_compiled(Emit *e) {
    static const char *const unknown[] = {"attention_mask", "logits_processor",
                                          "cross_qk_layer_head", "extra_decoding_ids",
                                          "temperature"};
    const Node *n = emit_node(e);
    const Graph *encoder = attr_graph(n, "encoder"), *g = attr_graph(n, "decoder");
    for (size_t i = 0; i < OX_COUNT(unknown); i++)
        if (node_in(n, op_input_index(n->op, str_from(unknown[i])))) {
            emit_fail(e, OX0302, ALONE, "%s is not supported", unknown[i]);
            return false;
        }
    if (n->n_out > 3) {
        emit_fail(e, OX0302, ALONE, "cross_qk and non_speech_probs are not supported");
        return false;
    }
    if (!is_speech_pair(encoder, g) || attr_int(n, "model_type") != SPEECH) {
        emit_fail(e, OX0302, ALONE,
                  "the decoder does not take one token, and keys and values of fixed "
                  "sizes from itself and the encoder");
        return false;
    }
    return has_whole_vocabulary(e, encoder) && has_whole_vocabulary(e, g) &&
           has_size(e, "max_length");
}

static bool is_compiled(Emit *e) {
    const Node *n = emit_node(e);
    const Graph *g = attr_graph(n, "decoder"), *first = attr_graph(n, "init_decoder");
    if (attr_int(n, "model_type") != DECODER_ONLY) {
        emit_fail(e, OX0302, ALONE, "only decoders like that of GPT-2 are supported");
        return false;
    }
    if (!is_decoder(g) || (first && !is_decoder(first))) {
        emit_fail(e, OX0302, ALONE,
                  "the decoder does not take input_ids, position_ids, attention_mask "
                  "and a past of fixed sizes for each present");
        return false;
    }
    return has_whole_vocabulary(e, g) && (!first || has_whole_vocabulary(e, first)) &&
           has_size(e, "max_length");
}

/* ---- code ------------------------------------------------------------------------ */

static const Expr *with_int(Emit *e, const Expr *call, const char *name, int64_t i) {
    return call_with(e, call, name, ex_int(emit_arena(e), i));
}

/* A single number that may be known when the code runs only. */
static const Expr *with_number(Emit *e, const Expr *call, const char *name,
                               double usual) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int i = op_input_index(n->op, str_from(name));
    int64_t whole;
    double x;
    if (!node_in(n, i))
        return call;
    if (known_number(n, name, &whole))
        return (double)whole == usual ? call : with_int(e, call, name, whole);
    if (get_float(n, name, &x))
        return x == usual ? call : call_with(e, call, name, emit_float(e, x, DT_FLOAT));
    const Expr *number = emit_in(e, i);
    if (in_rank(n, i) != 0)
        number = EX(a, "$0.reshape(())", number);
    return call_with(e, call, name, number);
}

static const Expr *with_input(Emit *e, const Expr *call, const char *name) {
    return call_with(e, call, name,
                     emit_in(e, op_input_index(emit_node(e)->op, str_from(name))));
}

/* What adjust_scores takes. */
static const Expr *with_rules(Emit *e, const Expr *call) {
    int64_t ngram = attr_int(emit_node(e), "no_repeat_ngram_size");
    call = with_number(e, call, "min_length", 0);
    call = with_number(e, call, "repetition_penalty", 1);
    if (ngram > 0)
        call = with_int(e, call, "ngram", ngram);
    call = with_input(e, call, "vocab_mask");
    return with_input(e, call, "prefix_vocab_mask");
}

/* A past without tokens for each layer. */
static const Expr *empty_past(Emit *e, const Graph *g, const Expr *ids) {
    Arena *a = emit_arena(e);
    const Type *t = &g->inputs[PAST]->type;
    size_t layers = g->n_inputs - PAST;
    const Expr *empty = EX(a, "jnp.zeros((2, $0.shape[0], $1, 0, $2), $3)", ids,
                           emit_dim(e, t->dims[HEADS_AXIS]),
                           emit_dim(e, t->dims[SIZE_AXIS]), emit_dtype(e, t->dtype));
    const Expr *list = ex_seq(a, EX_LIST, &empty, 1);
    return layers == 1 ? list : EX(a, "$0 * $1", list, ex_int(a, (int64_t)layers));
}

static int64_t longest(const Node *n) {
    int64_t most = 0;
    (void)known_number(n, "max_length", &most);
    return most;
}

/* What all searches take. */
static const Expr *with_options(Emit *e, const Expr *call) {
    const Node *n = emit_node(e);
    call = with_int(e, call, "eos", attr_int(n, "eos_token_id"));
    call = with_int(e, call, "pad", attr_int(n, "pad_token_id"));
    return with_rules(e, with_input(e, call, "attention_mask"));
}

/* function(decoder, ids, max_length, past, eos=, pad=, ...) */
static const Expr *search(Emit *e, const char *function) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Graph *g = attr_graph(n, "decoder"), *first = attr_graph(n, "init_decoder");
    const Expr *ids = emit_in_named(e, 0);
    const Expr *start = first ? emit_subgraph(e, first, "init_decoder", false) : NULL;
    const Expr *decoder = emit_subgraph(e, g, "decoder", false);
    const Expr *call = EX(a, "$0($1, $2, $3, $4)", ex_name(a, str_from(function)),
                          decoder, ids, ex_int(a, longest(n)), empty_past(e, g, ids));
    return with_options(e, call_with(e, call, "first", start));
}

/* beam_search_encoded(encoder, decoder, ids, max_length, start, eos=, ...) */
static const Expr *search_encoded(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Graph *encoder = attr_graph(n, "encoder"), *g = attr_graph(n, "decoder");
    const Type *own = &g->inputs[OWN_PAST]->type;
    const Expr *ids = emit_in_named(e, 0);
    const Expr *read = emit_subgraph(e, encoder, "encoder", false);
    const Expr *decoder = emit_subgraph(e, g, "decoder", false);
    const Expr *call =
        EX(a, "beam_search_encoded($0, $1, $2, $3, $4)", read, decoder, ids,
           ex_int(a, longest(n)), ex_int(a, attr_int(n, "decoder_start_token_id")));
    if (encoder->n_inputs != STARTED_INPUTS) {
        const Expr *empty = EX(a, "jnp.zeros(($0.shape[0], $1, 0, $2), $3)", ids,
                               emit_dim(e, own->dims[1]), emit_dim(e, own->dims[3]),
                               emit_dtype(e, own->dtype));
        call = call_with(e, call, "past",
                         EX(a, "$0 * $1", ex_seq(a, EX_LIST, &empty, 1),
                            ex_int(a, (int64_t)own_caches(g))));
    }
    return with_options(e, call);
}

/* beam_search_speech(encoder, decoder, features, max_length, start, eos=, ...) */
static const Expr *search_speech(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Expr *features = emit_in_named(e, 0);
    const Expr *start = emit_in(e, op_input_index(n->op, STR("decoder_input_ids")));
    if (!start)
        start = EX(a, "jnp.full(($0.shape[0], 1), $1, jnp.int32)", features,
                   ex_int(a, attr_int(n, "decoder_start_token_id")));
    const Expr *read = emit_subgraph(e, attr_graph(n, "encoder"), "encoder", false);
    const Expr *decoder = emit_subgraph(e, attr_graph(n, "decoder"), "decoder", false);
    return with_options(e, EX(a, "beam_search_speech($0, $1, $2, $3, $4)", read,
                              decoder, features, ex_int(a, longest(n)), start));
}

/* A number that decides shapes, unless it is 1. */
static const Expr *with_size(Emit *e, const Expr *call, const char *name,
                             const char *input) {
    int64_t size = 1;
    (void)known_number(emit_node(e), input, &size);
    return size == 1 ? call : with_int(e, call, name, size);
}

static void emit_beams(Emit *e) {
    const Node *n = emit_node(e);
    int64_t beams;
    bool fits = is_speech(n)    ? is_speech_compiled(e)
                : is_encoded(n) ? is_pair_compiled(e)
                                : is_compiled(e);
    if (!fits || !has_size(e, "num_beams") || !has_size(e, "num_return_sequences"))
        return;
    if (!is_speech(n) &&
        (node_in(n, op_input_index(n->op, STR("logits_processor"))) ||
         node_in(n, op_input_index(n->op, STR("decoder_input_ids"))))) {
        emit_fail(e, OX0302, ALONE,
                  "logits_processor and decoder_input_ids are not supported");
        return;
    }
    int64_t count = 0;
    (void)known_number(n, "num_beams", &beams);
    (void)known_number(n, "num_return_sequences", &count);
    if (count > beams) {
        emit_fail(e, OX0303, "", "%lld sequences of %lld beams", (long long)count,
                  (long long)beams);
        return;
    }
    const Expr *call = is_speech(n)    ? search_speech(e)
                       : is_encoded(n) ? search_encoded(e)
                                       : search(e, "beam_search");
    call = with_int(e, call, "beams", beams);
    call = with_size(e, call, "count", "num_return_sequences");
    call = with_number(e, call, "length_penalty", 1);
    if (attr_int(n, "early_stopping") == 1)
        call = call_with(e, call, "early_stopping", ex_bool(emit_arena(e), true));
    emit_groups(e, call, (const int[]){1, n->n_out > 1, n->n_out > 2}, 3);
}

static void emit_greedy(Emit *e) {
    if (is_compiled(e))
        emit_out(e, 0, search(e, "greedy_search"));
}

/* What is drawn from: of the seed, where there is one. */
static const Expr *source_of(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int seed = op_input_index(n->op, STR("seed"));
    if (!node_in(n, seed))
        return emit_key(e);
    const Expr *x = emit_in(e, seed);
    return EX(a, "jax.random.key($0)",
              in_rank(n, seed) == 0 ? x : EX(a, "$0.reshape(())", x));
}

static const Expr *with_float(Emit *e, const Expr *call, const char *name) {
    double x = attr_float(emit_node(e), name);
    return call_with(e, call, name, emit_float(e, x, DT_FLOAT));
}

static void emit_sampling(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (!is_compiled(e))
        return;
    if (node_in(n, op_input_index(n->op, STR("presence_mask"))) ||
        (n->n_out > 1 && emit_wants(e, 1))) {
        emit_fail(e, OX0302, "export it without them",
                  "presence_mask and filtered_logits are not supported");
        return;
    }
    if (attr_float(n, "top_p") <= 0 || attr_float(n, "temperature") <= 0) {
        emit_fail(e, OX0302, "", "top_p and temperature must be more than 0");
        return;
    }
    bool custom = attr_int(n, "custom") != 0;
    int64_t keep = attr_int(n, "min_tokens_to_keep");
    const Expr *call = search(e, "sampling_search");
    call = call_with(e, call, "key", source_of(e));
    call = with_float(e, call, "top_p");
    call = with_float(e, call, "temperature");
    call = with_float(e, call, "filter_value");
    if (custom)
        call = call_with(e, call, "custom", ex_bool(a, true));
    else if (keep)
        call = with_int(e, call, "keep", keep);
    emit_out(e, 0, call);
}

/* ---- table ----------------------------------------------------------------------- */

/* clang-format off */
#define DECODING DECODING_OF(DECODER_ONLY)
#define DECODING_OF(type)                                                              \
    ANY_REQ("decoder", ATTR_GRAPH), ANY_OPT("init_decoder", ATTR_GRAPH),               \
    ANY_OPT("encoder", ATTR_GRAPH), INT_REQ("eos_token_id"), INT_REQ("pad_token_id"),  \
    INT("decoder_start_token_id", -1), INT("no_repeat_ngram_size", 0),                 \
    INT("model_type", type), INT("vocab_size", -1)

static const OpDef ops[] = {
    {.name = "GreedySearch", MICROSOFT,
     .in = "input_ids max_length min_length? repetition_penalty? vocab_mask? "
           "prefix_vocab_mask? attention_mask?",
     .out = "sequences", .mixes = "repetition_penalty", .attrs = {DECODING},
     .infer = infer_greedy, .emit = emit_greedy},
    {.name = "Sampling", MICROSOFT,
     .in = "input_ids max_length min_length? repetition_penalty? vocab_mask? "
           "prefix_vocab_mask? attention_mask? presence_mask? seed?",
     .out = "sequences filtered_logits?", .mixes = "repetition_penalty",
     .facts = OP_IMPURE,
     .attrs = {DECODING, FLOAT("temperature", 1), FLOAT("top_p", 0),
               FLOAT("filter_value", -1e20), FLOAT("presence_penalty", 0),
               INT("min_tokens_to_keep", 0), INT("custom", 0)},
     .infer = infer_greedy, .emit = emit_sampling},
    {.name = "BeamSearch", MICROSOFT,
     .in = "input_ids max_length min_length? num_beams num_return_sequences "
           "length_penalty? repetition_penalty? vocab_mask? prefix_vocab_mask? "
           "attention_mask? decoder_input_ids? logits_processor?",
     .out = "sequences sequences_scores? scores?",
     .mixes = "length_penalty repetition_penalty",
     .attrs = {DECODING, INT("early_stopping", 0)},
     .infer = infer_beams, .emit = emit_beams},
    {.name = "WhisperBeamSearch", MICROSOFT,
     .in = "input_ids max_length min_length? num_beams num_return_sequences "
           "length_penalty? repetition_penalty? vocab_mask? prefix_vocab_mask? "
           "attention_mask? decoder_input_ids? logits_processor? cross_qk_layer_head? "
           "extra_decoding_ids? temperature?",
     .out = "sequences sequences_scores? scores? cross_qk? non_speech_probs?",
     .mixes = "length_penalty repetition_penalty",
     .attrs = {DECODING_OF(SPEECH), INT("early_stopping", 0),
               INT_OPT("decoder_output_cross_qk"), INT_OPT("translate_token_id"),
               INT_OPT("no_speech_token_id"), INT_OPT("transcribe_token_id"),
               INT_OPT("start_of_lm_token_id"), INT_OPT("no_timestamps_token_id"),
               INT_OPT("beginning_timestamp_token_id")},
     .infer = infer_beams, .emit = emit_beams},
};
/* clang-format on */

const OpFamily ops_ms_generation = FAMILY(ops);
