/* What a user can do about a node that needs numbers when forward runs: where inputs of
 * the model decide them, and are small enough to be written down, --input-value. */
#include "emit/gen.h"

enum {
    HINT_INPUTS_MAX = 3,   /* more are no hint */
    HINT_ELEMENTS_MAX = 64 /* that somebody would write down */
};

typedef struct Values {
    const Value **items;
    size_t count, cap;
} Values;

typedef struct Search {
    Gen *g;
    unsigned char *seen; /* by value id */
    Values todo, inputs;
    bool lost; /* what decides is no input of the model, or no small one */
} Search;

static void want(Search *s, const Value *v) {
    if (!v || v->known || v->id >= s->g->n_code || s->seen[v->id])
        return;
    s->seen[v->id] = 1;
    (void)ARENA_PUSH(s->g->arena, &s->todo, v);
}

static bool can_be_written(const Type *t) {
    DTypeClass cls = dtype_info(t->dtype)->cls;
    if (t->kind != TYPE_TENSOR || t->rank < 0 || cls == DC_STRING ||
        cls == DC_COMPLEX || cls == DC_NONE)
        return false;
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        if (!dim_is_int(t->dims[i]))
            return t->rank == 1;
        if (t->dims[i].c > HINT_ELEMENTS_MAX)
            return false;
        count *= t->dims[i].c;
        if (count > HINT_ELEMENTS_MAX)
            return false;
    }
    return true;
}

/* What a subgraph gives for the output v of its node; loops return a condition before. */
static const Value *result_of(const Graph *g, const Value *v) {
    size_t before = g->n_outputs > v->def->n_out ? g->n_outputs - v->def->n_out : 0;
    size_t i = before + v->out_index;
    return i < g->n_outputs ? g->outputs[i] : NULL;
}

static void visit(Search *s, const Value *v) {
    if (v->kind == VALUE_INPUT) {
        s->lost |= v->graph != s->g->m->graph || !can_be_written(&v->type);
        (void)ARENA_PUSH(s->g->arena, &s->inputs, v);
    }
    const Node *n = v->kind == VALUE_NODE ? v->def : NULL;
    for (uint32_t i = 0; n && i < n->n_in; i++)
        want(s, n->in[i]);
    for (uint32_t a = 0; n && a < n->n_attrs; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            want(s, result_of(n->attrs[a].graphs[k], v));
}

static Str name_inputs(Search *s) {
    bool several = s->inputs.count > 1;
    Text t = {.arena = s->g->arena};
    text_printf(&t, "fix %s at compile time with", several ? "them" : "it");
    for (size_t i = 0; i < s->inputs.count; i++) {
        Str name = s->inputs.items[i]->name;
        text_printf(&t, " --input-value \"%.*s=VALUE\"", (int)name.n, name.p);
    }
    return text_view(&t);
}

Str gen_input_hint(Gen *g, const Node *n) {
    Search s = {.g = g, .seen = arena_alloc(g->arena, g->n_code)};
    const char *at = n->op->fixed;
    for (OpSlot slot; s.seen && op_spec_next(&at, &slot);)
        want(&s, node_in(n, op_input_index(n->op, slot.name)));
    while (s.todo.count && !g->arena->failed)
        visit(&s, s.todo.items[--s.todo.count]);
    bool found = s.inputs.count && s.inputs.count <= HINT_INPUTS_MAX;
    return found && !s.lost ? name_inputs(&s) : STR("");
}
