/* TfIdfVectorizer over integer tokens.  The pool lists all 1-grams, then all 2-grams and
 * so on; each length that is asked for becomes one call of count_ngrams.
 * Source: the ONNX operator, also for weights, which belong to n-grams; onnx.reference
 * takes them for those of columns. */
#include "ops/onnx/window.h"

/* ngrams of one length in the pool */
typedef struct Ngrams {
    const int64_t *tokens;
    size_t length, count;
    size_t first; /* number of its first one among all */
} Ngrams;

static const Attr *ints_of(const Node *n, const char *name) {
    return attr_get(n, name);
}

static size_t length_of(const Attr *attr) {
    return attr ? attr->ints.count : 0;
}

/* Reads the ngrams of length `length`; *first counts on.  false when the offsets are
 * not in order. */
static bool read_ngrams(const Node *n, size_t length, size_t *first, Ngrams *g) {
    const Attr *pool = ints_of(n, "pool_int64s"), *at = ints_of(n, "ngram_counts");
    int64_t total = (int64_t)length_of(pool);
    int64_t start = at->ints.items[length - 1];
    int64_t end = length < at->ints.count ? at->ints.items[length] : total;
    if (start < 0 || start > end || end > total)
        return false;
    *g = (Ngrams){.length = length, .first = *first};
    g->count = (size_t)(end - start) / length;
    g->tokens = g->count > 0 ? pool->ints.items + start : NULL;
    *first += g->count;
    return true;
}

/* The largest column plus one; 0 after an error. */
static int64_t output_size(Model *m, const Node *n) {
    const Attr *columns = ints_of(n, "ngram_indexes");
    int64_t size = 0;
    for (size_t i = 0; i < length_of(columns); i++) {
        int64_t column = columns->ints.items[i];
        if (column < 0 || column >= INT32_MAX) {
            node_error(m, n, OX0303, "", "ngram_indexes is out of range");
            return 0;
        }
        size = column + 1 > size ? column + 1 : size;
    }
    if (size == 0)
        node_error(m, n, OX0303, "", "ngram_indexes is empty");
    return size;
}

static void infer_tfidf(Model *m, Node *n) {
    Shape s;
    int64_t size = output_size(m, n);
    if (!in_shape(n, 0, &s) || size == 0) {
        set_unranked(m, n, 0, DT_FLOAT);
        return;
    }
    if (s.rank > 2) {
        node_error(m, n, OX0401, "", "X has rank %d, but 1 or 2 is needed", s.rank);
        return;
    }
    s.rank = s.rank == 0 ? 1 : s.rank;
    s.d[s.rank - 1] = dim_int(size);
    set_type(m, n, 0, DT_FLOAT, &s);
}

/* count_ngrams(x, ngrams, columns, size) */
static const Expr *counted(Emit *e, const Expr *x, const Ngrams *g, int64_t size) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Attr *columns = ints_of(n, "ngram_indexes");
    const Expr **rows = ARENA_ARRAY(a, g->count, const Expr *);
    if (!rows || g->first + g->count > columns->ints.count) {
        emit_fail(e, OX0303, "", "ngram_indexes is shorter than the pool");
        return NULL;
    }
    for (size_t i = 0; i < g->count; i++)
        rows[i] = ex_ints(a, EX_LIST, g->tokens + i * g->length, g->length);
    const Expr *call = EX(
        a, "count_ngrams($0, $1, $2, $3)", x, ex_seq(a, EX_LIST, rows, g->count),
        ex_ints(a, EX_LIST, columns->ints.items + g->first, g->count), ex_int(a, size));
    int64_t skip = g->length > 1 ? attr_int(n, "max_skip_count") : 0;
    return call_with(e, call, "max_skip", ex_int(a, skip));
}

/* All counts; NULL after an error or when there are no ngrams. */
static const Expr *all_counts(Emit *e, const Expr *x, int64_t size) {
    const Node *n = emit_node(e);
    const Expr *sum = NULL;
    Ngrams g;
    size_t first = 0;
    for (size_t k = 1; k <= length_of(ints_of(n, "ngram_counts")); k++) {
        if (!read_ngrams(n, k, &first, &g)) {
            emit_fail(e, OX0303, "", "ngram_counts does not fit the pool");
            return NULL;
        }
        if (g.count == 0 || (int64_t)k < attr_int(n, "min_gram_length") ||
            (int64_t)k > attr_int(n, "max_gram_length"))
            continue;
        const Expr *part = counted(e, x, &g, size);
        if (!part)
            return NULL;
        sum = sum ? EX(emit_arena(e), "$0 + $1", sum, part) : part;
    }
    return sum;
}

/* The weights of the n-grams in the order of their columns; NULL after an error. */
static const Expr *column_weights(Emit *e, const Attr *weights, int64_t size) {
    Arena *a = emit_arena(e);
    const Attr *columns = ints_of(emit_node(e), "ngram_indexes");
    if (weights->floats.count != columns->ints.count) {
        emit_fail(e, OX0303, "", "%zu weights for %zu n-grams", weights->floats.count,
                  columns->ints.count);
        return NULL;
    }
    const Expr **items = ARENA_ARRAY(a, (size_t)size, const Expr *);
    for (int64_t i = 0; items && i < size; i++)
        items[i] = NULL;
    for (size_t i = 0; items && i < columns->ints.count; i++) {
        const Expr **item = &items[columns->ints.items[i]];
        const Expr *x = emit_float(e, (double)weights->floats.items[i], DT_FLOAT);
        if (*item && !ex_same(*item, x)) {
            emit_fail(e, OX0302, "", "n-grams of one column have different weights");
            return NULL;
        }
        *item = x;
    }
    for (int64_t i = 0; items && i < size; i++)
        items[i] = items[i] ? items[i] : emit_float(e, 0, DT_FLOAT);
    return items ? ex_seq(a, EX_LIST, items, (size_t)size) : NULL;
}

/* The counts as the mode wants them. */
static const Expr *weighted(Emit *e, const Expr *counts, int64_t size) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    const Attr *weights = attr_get(n, "weights");
    if (attr_is(n, "mode", "TF"))
        return counts;
    if (attr_is(n, "mode", "IDF"))
        counts = EX(a, "jnp.minimum($0, 1)", counts);
    if (!weights || weights->floats.count == 0)
        return counts;
    const Expr *list = column_weights(e, weights, size);
    if (list && in_rank(n, 0) == 2)
        list = ex_seq(a, EX_LIST, &list, 1);
    return list ? EX(a, "($0) * jnp.array($1, jnp.float32)", counts, list) : counts;
}

static void emit_tfidf(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (in_dtype(n, 0) == DT_STRING || length_of(ints_of(n, "pool_int64s")) == 0) {
        emit_fail(e, OX0302, "number the tokens outside the model",
                  "JAX has no strings");
        return;
    }
    if (in_rank(n, 0) < 0) {
        emit_fail(e, OX0403, "", "the rank of X is not known");
        return;
    }
    int64_t size = output_size(emit_model(e), n);
    const Expr *x = emit_in_named(e, 0);
    if (in_rank(n, 0) == 0)
        x = EX(a, "$0[None]", x);
    const Expr *counts = all_counts(e, x, size);
    if (!counts) {
        emit_fail(e, OX0302, "", "no n-gram has a length that is asked for");
        return;
    }
    emit_out(e, 0, weighted(e, counts, size));
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "TfIdfVectorizer", .since = 9, .in = "X", .out = "Y",
     .attrs = {INT_REQ("max_gram_length"), INT_REQ("max_skip_count"),
               INT_REQ("min_gram_length"), CHOICE_REQ("mode", "TF IDF TFIDF"),
               INTS_REQ("ngram_counts"),
               INTS_REQ("ngram_indexes"), INTS_OPT("pool_int64s"),
               ANY_OPT("pool_strings", ATTR_STRINGS), ANY_OPT("weights", ATTR_FLOATS)},
     .batch = "X", .infer = infer_tfidf, .emit = emit_tfidf},
};
/* clang-format on */

const OpFamily ops_text = FAMILY(ops);
