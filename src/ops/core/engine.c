/* The inference engine: rules of the operators in topological order, then their
 * evaluators.  What the file declares about a value fills what no rule can know. */
#include "ops/core/engine.h"
#include "ops/core/exact.h"
#include "ops/core/nested.h"
#include "ops/core/splat.h"

/* A named dimension is read where its name comes first, in a subgraph perhaps, or at a
 * later node: code beside v must be able to. */
static bool can_read(const Value *v, Dim declared) {
    const Symbol *s = dim_as_symbol(declared);
    const Value *origin = s ? s->value : NULL;
    const Graph *g = v->graph;
    while (origin && g && g != origin->graph)
        g = g->parent;
    if (!origin || !g)
        return false;
    return origin == v || !origin->def || !v->def || origin->def->index < v->def->index;
}

/* The declared integer or named dimension replaces a symbol that stands for "unknown". */
static void refine_dim(Dim *d, Dim declared, Value *v, int axis) {
    const Symbol *s = dim_as_symbol(*d);
    bool unknown = s && !s->name.n && s->value == v && s->axis == axis;
    if (!unknown || !(dim_is_int(declared) || can_read(v, declared)))
        return;
    *d = declared;
    v->is_assumed = true;
}

static void warn_declared(Model *m, const Node *n, const Value *v) {
    Text t = {.arena = m->arena};
    text_printf(&t, "\"%.*s\" is declared ", (int)v->name.n, v->name.p);
    type_print(&t, v->declared);
    text_lit(&t, " but computes ");
    type_print(&t, &v->type);
    Str what = text_view(&t);
    diag_add(m->diags, OX0404, node_where(m, n), (Str){0}, "%.*s", (int)what.n, what.p);
}

static bool contradicts(const Type *a, const Type *b) {
    if (a->kind != b->kind) /* nothing known: a tensor without type and rank */
        return a->kind != TYPE_TENSOR || a->dtype || a->rank >= 0;
    if (a->kind != TYPE_TENSOR)
        return false;
    if (a->dtype && b->dtype && a->dtype != b->dtype)
        return true;
    if (a->rank < 0 || b->rank < 0)
        return false;
    if (a->rank != b->rank)
        return true;
    for (int i = 0; i < a->rank; i++)
        if (dim_is_int(a->dims[i]) && dim_is_int(b->dims[i]) &&
            a->dims[i].c != b->dims[i].c)
            return true;
    return false;
}

static void use_declared(Model *m, const Node *n, Value *v) {
    const Type *d = v->declared;
    if (contradicts(&v->type, d)) {
        warn_declared(m, n, v);
        if (!m->guessing)
            v->declared = NULL; /* bodies of loops are inferred more than once */
        return;
    }
    if (!v->type.dtype && v->type.kind == TYPE_TENSOR)
        v->type.dtype = d->dtype;
    if (v->type.kind != d->kind || (v->type.rank < 0 && d->rank >= 0)) {
        v->type = type_moved(m, d, v);
        v->is_assumed = true;
        return;
    }
    if (v->type.rank <= 0 || d->rank != v->type.rank)
        return;
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)d->rank, Dim);
    if (!dims)
        return;
    for (int i = 0; i < d->rank; i++) {
        dims[i] = v->type.dims[i];
        refine_dim(&dims[i], d->dims[i], v, i);
    }
    v->type.dims = dims;
}

/* Polynomials past the size limit become symbols read from the output itself. */
static void drop_overflow(Model *m, Value *v) {
    v->known = v->splat = v->partly = NULL;
    v->reals = NULL;
    Dim *dims =
        v->type.rank > 0 ? ARENA_ARRAY(m->arena, (size_t)v->type.rank, Dim) : NULL;
    if (!dims)
        return;
    for (int i = 0; i < v->type.rank; i++)
        dims[i] = dim_is_int(v->type.dims[i]) && v->type.dims[i].c > 0
                      ? v->type.dims[i]
                      : value_symbol(m, v, i);
    v->type.dims = dims;
}

void infer_node(Model *m, Node *n) {
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        n->out[i]->type = (Type){.rank = -1};
        n->out[i]->known = n->out[i]->splat = n->out[i]->partly = NULL;
        n->out[i]->reals = NULL;
        n->out[i]->is_assumed = false;
    }
    n->bound = 0;
    n->data_sized = false;
    bool sound = n->op && node_check(m, n);
    if (sound && n->op->infer)
        n->op->infer(m, n);
    if (sound && n->op->eval && !dims_take_overflow(&m->dims))
        n->op->eval(m, n);
    infer_splat(m, n);
    if (sound)
        infer_reals(m, n);
    bool overflow = dims_take_overflow(&m->dims);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        if (overflow)
            drop_overflow(m, n->out[i]);
        if (n->out[i]->declared)
            use_declared(m, n, n->out[i]);
        if (n->out[i]->bound && !n->bound && sound)
            infer_bound_error(m, node_where(m, n), n->out[i]);
    }
}

/* The rule of a known operator infers the subgraphs itself, as it knows their inputs. */
void infer_subgraph(Model *m, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        for (uint32_t a = 0; !n->op && a < n->n_attrs; a++)
            for (size_t k = 0; k < n->attrs[a].graph_count; k++)
                infer_subgraph(m, n->attrs[a].graphs[k]);
        infer_node(m, n);
    }
}

/* ---- trying ------------------------------------------------------------------------ */

/* What was reported says that shapes do not fit, and nothing else. */
static bool is_misfit(const Diags *found) {
    if (diag_status(found) == OX_OK)
        return false;
    for (size_t i = 0; i < found->count; i++)
        if (diag_is_error(found->items[i].code) && found->items[i].code != OX0401)
            return false;
    return true;
}

bool infer_apart(Model *m, Graph *g, Diags *found) {
    Diags *was = m->diags;
    *found = (Diags){.arena = m->arena, .file = was->file};
    m->diags = found;
    infer_subgraph(m, g);
    m->diags = was;
    return !is_misfit(found);
}

/* What is assumed on the way holds for this try only. */
bool infer_fits(Model *m, const Node *n) {
    Diags *was = m->diags, found = {.arena = m->arena, .file = was->file};
    uint32_t facts = m->dims.n_facts;
    bool unsure = m->dims.unsure, behind = false;
    m->diags = &found;
    m->guessing = true;
    for (size_t i = 0; i < n->graph->n_nodes; i++) {
        if (behind)
            infer_node(m, n->graph->nodes[i]);
        behind |= n->graph->nodes[i] == n;
    }
    m->guessing = false;
    m->diags = was;
    m->dims.n_facts = facts;
    m->dims.unsure = unsure;
    return !is_misfit(&found);
}

/* ---- the model --------------------------------------------------------------------- */

void infer_model(Model *m) {
    ops_bind(m);
    infer_subgraph(m, m->graph);
    bool learnt = m->dims.n_facts && m->dims.unsure && !m->unsupported.count;
    if (learnt && diag_status(m->diags) == OX_OK) /* shapes come before what assumes */
        infer_subgraph(m, m->graph);
    infer_check_bounds(m);
}
