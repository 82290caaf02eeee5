/* What a person who ports a model should know of it, in sentences. */
#include "inspect/report.h"

typedef struct Notes {
    const Report *r;
    void (*visit)(void *user, Str note);
    void *user;
    Text text; /* of the note under way */
    size_t folded, data_sized;
} Notes;

static Text *begin(Notes *n) {
    n->text = (Text){.arena = n->r->m->arena};
    return &n->text;
}

static void end(Notes *n) {
    n->visit(n->user, text_view(&n->text));
}

static void count_nodes(void *user, Graph *g) {
    Notes *n = user;
    for (size_t i = 0; i < g->n_nodes; i++) {
        n->folded += g->nodes[i]->folds_norm;
        n->data_sized += g->nodes[i]->data_sized;
    }
}

static void note_fixed_batch(Notes *n, const Value *input) {
    const Type *type = &input->type;
    if (type->kind != TYPE_TENSOR || type->rank < 2 || !dim_is(type->dims[0], 1))
        return;
    Text *t = begin(n);
    text_lit(t, "the batch of ");
    diag_escape(t, input->name);
    text_lit(t, " is fixed: --shape '");
    diag_escape(t, input->name);
    text_lit(t, "=batch");
    for (int i = 1; i < type->rank; i++) {
        text_char(t, ',');
        dim_print(t, type->dims[i]);
    }
    text_lit(t, "' opens it");
    end(n);
}

static void note_nodes(Notes *n) {
    graph_each(n->r->m->graph, count_nodes, n);
    if (n->folded) {
        text_printf(begin(n),
                    "the exporter has folded normalizations into %zu layers: their "
                    "parameters are no longer PyTorch's",
                    n->folded);
        end(n);
    }
    if (n->data_sized) {
        text_printf(begin(n), "%zu nodes have outputs whose size data decide: --bound",
                    n->data_sized);
        end(n);
    }
}

static void note_params(Notes *n) {
    size_t nameless = 0;
    for (size_t i = 0; i < n->r->n_params; i++)
        nameless += n->r->params[i]->generated_name;
    if (!nameless)
        return;
    text_printf(begin(n), "%zu of %zu parameters have names that the exporter made",
                nameless, n->r->n_params);
    end(n);
}

void report_notes(const Report *r, void (*visit)(void *user, Str note), void *user) {
    Notes n = {.r = r, .visit = visit, .user = user};
    const Graph *g = r->m->graph;
    bool wide = false;
    for (size_t i = 0; i < g->n_inputs; i++) {
        note_fixed_batch(&n, g->inputs[i]);
        DType dtype = g->inputs[i]->type.dtype;
        wide |= dtype == DT_INT64 || dtype == DT_UINT64 || dtype == DT_DOUBLE;
    }
    if (wide) {
        text_lit(begin(&n), "64-bit inputs are taken as 32 bits unless jax_enable_x64");
        end(&n);
    }
    note_params(&n);
    note_nodes(&n);
}
