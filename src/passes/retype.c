/* Checks, in debug builds, that values have the types that their nodes give them: a pass
 * that rewrites a node has to infer it anew.  All is inferred once more, compared, and
 * put back as it was.  Where a pass has left less to infer from, or what is known was
 * assumed on the way, one type says more than the other; they must not contradict. */
#include "passes/passes.h"

typedef struct SavedValue {
    Value *at, was;
} SavedValue;

typedef struct SavedNode {
    Node *at, was;
} SavedNode;

typedef struct Retype {
    Model *m;
    Arena scratch;
    struct {
        SavedValue *items;
        size_t count, cap;
    } values;
    struct {
        SavedNode *items;
        size_t count, cap;
    } nodes;
} Retype;

static void save_values(Retype *r, Value *const *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!values[i])
            continue;
        SavedValue saved = {values[i], *values[i]};
        (void)ARENA_PUSH(&r->scratch, &r->values, saved);
    }
}

static void save_graph(void *user, Graph *g) {
    Retype *r = user;
    save_values(r, g->inputs, g->n_inputs);
    save_values(r, g->params, g->n_params);
    for (size_t i = 0; i < g->n_nodes; i++) {
        SavedNode saved = {g->nodes[i], *g->nodes[i]};
        (void)ARENA_PUSH(&r->scratch, &r->nodes, saved);
        save_values(r, g->nodes[i]->out, g->nodes[i]->n_out);
    }
}

static bool contradict(Model *m, const Type *a, const Type *b) {
    bool open = !a->dtype || !b->dtype || a->rank < 0 || b->rank < 0;
    if (a->kind != TYPE_TENSOR || b->kind != TYPE_TENSOR)
        return a->kind != b->kind && !open;
    if (a->dtype && b->dtype && a->dtype != b->dtype)
        return true;
    bool differ = !open && a->rank != b->rank;
    for (int i = 0; !open && !differ && i < a->rank; i++)
        differ = dim_known_eq(&m->dims, a->dims[i], b->dims[i]) == 0;
    return differ;
}

static const char *describe(Model *m, const Value *was, const Type *now) {
    Text t = {.arena = m->arena};
    text_printf(&t, "\"%.*s\" is ", (int)was->name.n, was->name.p);
    type_print(&t, &was->type);
    text_lit(&t, ", but what is inferred is ");
    type_print(&t, now);
    return text_view(&t).p;
}

/* Puts all back; what the first value says that has another type now. */
static const char *compare(Retype *r) {
    const char *why = NULL;
    for (size_t i = 0; i < r->values.count; i++) {
        SavedValue *v = &r->values.items[i];
        Type now = v->at->type;
        *v->at = v->was;
        if (!why && v->was.kind == VALUE_NODE && contradict(r->m, &v->was.type, &now))
            why = describe(r->m, &v->was, &now);
    }
    for (size_t i = 0; i < r->nodes.count; i++)
        *r->nodes.items[i].at = r->nodes.items[i].was;
    return why;
}

static const char *infer_again(Retype *r) {
    Model *m = r->m;
    Diags *diags = m->diags, found = {.arena = m->arena, .file = diags->file};
    Dims dims = m->dims;
    m->diags = &found;
    m->guessing = true;
    infer_subgraph(m, m->graph);
    m->guessing = false;
    m->diags = diags;
    const char *why = compare(r);
    m->dims = dims;
    if (!why && diag_status(&found) != OX_OK && found.count)
        why = found.items[0].what.p;
    return m->arena->failed ? NULL : why;
}

bool types_verify(Model *m, const char **why) {
    Retype r = {.m = m};
    arena_scratch_begin(&r.scratch, m->arena);
    graph_each(m->graph, save_graph, &r);
    *why = r.scratch.failed || m->arena->failed ? NULL : infer_again(&r);
    arena_scratch_end(&r.scratch, m->arena);
    return *why == NULL;
}
