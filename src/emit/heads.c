/* The sizes of attention by name, where all of it in a model is alike:
 *
 *     NUM_HEADS, HEAD_DIM = 12, 64
 *     ...
 *     query = query.reshape(batch, seq, NUM_HEADS, HEAD_DIM)
 *
 * Fewer heads of keys and values are NUM_KV_HEADS.  A model whose stages have other
 * numbers of heads, as Swin, keeps them as numbers. */
#include "emit/gen.h"
#include "ops/core/op.h"

enum { QUERIES, KEYS, DIM };

static const char *const names[] = {
    [QUERIES] = "NUM_HEADS", [KEYS] = "NUM_KV_HEADS", [DIM] = "HEAD_DIM"};

/* Heads and elements of a head of input i, (batch, length, heads, elements). */
static bool read_heads(const Node *n, int i, int64_t *heads, int64_t *dim) {
    const Type *t = &value_final(n->in[i])->type;
    if (t->rank != 4 || !dim_is_int(t->dims[2]) || !dim_is_int(t->dims[3]))
        return false;
    *heads = t->dims[2].c;
    *dim = t->dims[3].c;
    return *heads > 1 || i > 0;
}

void gen_find_heads(Gen *g) {
    const Graph *graph = g->m->graph;
    bool alike = true, any = false;
    for (size_t i = 0; i < graph->n_nodes && alike; i++) {
        const Node *n = graph->nodes[i];
        int64_t found[3], dim = 0, *known = g->heads;
        if (!(n->op->facts & OP_ATTENDS))
            continue;
        alike = read_heads(n, 0, &found[QUERIES], &found[DIM]) &&
                read_heads(n, 1, &found[KEYS], &dim) && dim == found[DIM] &&
                (!any || memcmp(found, known, sizeof found) == 0);
        memcpy(known, found, sizeof found);
        any = true;
    }
    if (!alike || !any)
        g->heads[DIM] = 0;
    for (size_t i = 0; i < OX_COUNT(names) && g->heads[DIM]; i++)
        (void)map_set(&g->global_names, str_from(names[i]), g);
}

/* Which of the names t's last axis but one has: where the last two are those of heads. */
static int heads_of(const Gen *g, const Type *t) {
    const Dim *end = t->dims + t->rank;
    if (t->rank < 3 || !g->heads[DIM] || !dim_is(end[-1], g->heads[DIM]))
        return -1;
    return dim_is(end[-2], g->heads[QUERIES]) ? QUERIES
           : dim_is(end[-2], g->heads[KEYS])  ? KEYS
                                              : -1;
}

static bool is_merged(const Gen *g, const Type *t, int which) {
    return t->rank > 0 && dim_is(t->dims[t->rank - 1], g->heads[which] * g->heads[DIM]);
}

const Expr *gen_reshaped_size(Gen *g, const Type *from, const Type *to, int axis) {
    int apart = heads_of(g, to), merged = heads_of(g, from);
    const Expr *dim = ex_name(g->arena, str_from(names[DIM]));
    int left = to->rank - axis;
    if (apart >= 0 && left <= 2 && is_merged(g, from, apart))
        return left == 1 ? dim : ex_name(g->arena, str_from(names[apart]));
    if (merged < 0 || left != 1 || !is_merged(g, to, merged))
        return gen_dim(g, to->dims[axis]);
    return ex_binary(g->arena, "*", ex_name(g->arena, str_from(names[merged])), dim);
}

static void note_read(void *user, Str name) {
    bool *read = user;
    for (size_t i = 0; i < OX_COUNT(names); i++)
        read[i] |= str_is(name, names[i]);
}

static void note_all(void *user, const Expr *x) {
    ex_each_name(x, note_read, user);
}

/* NUM_HEADS, HEAD_DIM = 12, 64: those that the code names. */
void gen_add_heads(Gen *g) {
    bool read[OX_COUNT(names)] = {false};
    Str targets[OX_COUNT(names)];
    const Expr *sizes[OX_COUNT(names)];
    size_t n = 0;
    if (g->heads[DIM])
        code_each_expr(&g->program.code, note_all, read);
    for (size_t i = 0; i < OX_COUNT(names); i++) {
        if (!read[i])
            continue;
        targets[n] = str_from(names[i]);
        sizes[n++] = ex_int(g->arena, g->heads[i]);
    }
    if (!n)
        return;
    const Expr *all =
        n == 1 ? sizes[0] : ex_bare(g->arena, ex_seq(g->arena, EX_TUPLE, sizes, n));
    if (code_assign(g->arena, &g->program.constants, code_targets(g->arena, targets, n),
                    all))
        g->program.constants.items[g->program.constants.count - 1].comment =
            "Sizes of attention, the same wherever the model attends.";
}
