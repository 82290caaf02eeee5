/* Sums of parameters and work over the tree of modules.
 *
 * A parameter belongs to the innermost module around all that read it; a table that the
 * first and the last layer share belongs to the model. */
#include "inspect/modules.h"

#include <math.h>

#include "ops/core/macs.h"

typedef struct Walk {
    Modules *s;
    Part *part; /* of the node under way */
} Walk;

/* ---- numbers for symbols ----------------------------------------------------------- */

static double number_of(Modules *s, Dim d);

static void assume(Modules *s, const Symbol *symbol, int64_t value) {
    for (size_t i = 0; i < s->assumed.count; i++)
        if (s->assumed.items[i].symbol == symbol)
            return;
    s->assumed.items = arena_push_room(s->m->arena, s->assumed.items, s->assumed.count,
                                       &s->assumed.cap, sizeof *s->assumed.items);
    if (s->assumed.count < s->assumed.cap)
        s->assumed.items[s->assumed.count++] = (Assumed){symbol, value};
}

/* The named symbols of the inputs are assumed; another is a size that data decide. */
static double symbol_number(const Modules *s, const Symbol *symbol) {
    for (size_t i = 0; i < s->assumed.count; i++)
        if (s->assumed.items[i].symbol == symbol)
            return (double)s->assumed.items[i].value;
    return ASSUMED_SIZE;
}

static double atom_number(Modules *s, const Atom *a) {
    if (a->kind == ATOM_SYMBOL)
        return symbol_number(s, a->symbol);
    double x = number_of(s, a->a), y = number_of(s, a->b);
    switch (a->kind) {
    case ATOM_FLOORDIV:
        return y != 0 ? floor(x / y) : 0;
    case ATOM_MOD:
        return y != 0 ? x - y * floor(x / y) : 0;
    case ATOM_MIN:
        return fmin(x, y);
    default:
        return fmax(x, y);
    }
}

static double number_of(Modules *s, Dim d) {
    if (dim_is_int(d))
        return (double)d.c;
    double sum = 0;
    for (uint32_t i = 0; i < d.poly->n; i++) {
        const Monomial *term = &d.poly->terms[i];
        double product = (double)term->coef;
        for (uint32_t k = 0; k < term->n; k++)
            product *= atom_number(s, term->atoms[k]);
        sum += product;
    }
    return sum;
}

static void assume_inputs(Modules *s) {
    const Graph *g = s->m->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const Type *type = &g->inputs[i]->type;
        for (int axis = 0; axis < type->rank; axis++) {
            const Symbol *symbol = dim_as_symbol(type->dims[axis]);
            if (symbol)
                assume(s, symbol, axis == 0 ? ASSUMED_BATCH : ASSUMED_SIZE);
        }
    }
}

/* ---- sums -------------------------------------------------------------------------- */

static Module *module_at(const Modules *s, const Part *p) {
    return &s->items[p->begin];
}

static void own_params(void *user, Graph *g) {
    Walk *w = user;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++) {
            const Value *v = g->nodes[i]->in[k];
            if (!v || v->kind != VALUE_PARAM)
                continue;
            Part **owner = &w->s->owner[v->id];
            *owner = *owner ? part_common(*owner, w->part) : w->part;
        }
    module_at(w->s, w->part)->nodes += g->n_nodes;
}

static bool is_dense(DType dtype) {
    return dtype_info(dtype)->bits > 0;
}

/* Bytes of what n computes when the model runs: not of shapes that are known before, nor
 * of what is only another view of its input. */
static double node_activations(Modules *s, const Node *n) {
    double sum = 0;
    if (n->op && n->op->facts & (OP_IDENTITY | OP_RESHAPES))
        return 0;
    for (uint32_t i = 0; i < n->n_out; i++) {
        const Value *v = n->out[i];
        if (!v || v->known || v->kind != VALUE_NODE)
            continue;
        if (v->type.kind != TYPE_TENSOR || v->type.rank < 0 || !is_dense(v->type.dtype))
            return NAN;
        Dim count = type_count(&s->m->dims, &v->type);
        if (dims_take_overflow(&s->m->dims))
            return NAN;
        sum += ceil(fmax(0, number_of(s, count)) * dtype_info(v->type.dtype)->bits / 8);
    }
    return sum;
}

static void add_node(Walk *w, size_t at) {
    Modules *s = w->s;
    Node *n = s->m->graph->nodes[at];
    NodeWork *work = &s->work[at];
    w->part = n->part ? n->part : s->parts.root;
    Graph alone = {.model = s->m, .nodes = &n, .n_nodes = 1};
    graph_each(&alone, own_params, w);
    Dim macs;
    *work = (NodeWork){NAN, node_activations(s, n)};
    if (!isnan(work->active))
        module_at(s, w->part)->active += work->active;
    if (!node_macs(s->m, n, &macs)) {
        s->uncounted++;
        return;
    }
    work->macs = fmax(0, number_of(s, macs));
    module_at(s, w->part)->macs += work->macs;
    s->total = dim_add(&s->m->dims, s->total, macs);
    s->total_known &= !dims_take_overflow(&s->m->dims);
}

static void add_params(void *user, Graph *g) {
    Walk *w = user;
    for (size_t i = 0; i < g->n_params; i++) {
        const Value *v = g->params[i];
        if (v->kind != VALUE_PARAM || !v->tensor)
            continue;
        const Part *owner = w->s->owner[v->id] ? w->s->owner[v->id] : w->s->parts.root;
        Module *s = module_at(w->s, owner);
        s->param_elements += (uint64_t)v->tensor->count;
        s->param_bytes += v->tensor->size;
    }
}

/* Children come after their parents. */
static void add_up(Modules *s) {
    for (size_t i = s->parts.count; i-- > 1;) {
        const Module *from = &s->items[i];
        Module *to = module_at(s, from->part->parent);
        to->nodes += from->nodes;
        to->macs += from->macs;
        to->active += from->active;
        to->param_elements += from->param_elements;
        to->param_bytes += from->param_bytes;
    }
}

void modules_find(Modules *s, Model *m) {
    Arena *a = m->arena;
    *s = (Modules){.m = m, .total = dim_int(0), .total_known = true};
    parts_find(m, &s->parts);
    Walk w = {.s = s};
    s->owner = ARENA_ARRAY(a, (size_t)m->value_count + 1, Part *);
    s->work = ARENA_ARRAY(a, m->graph->n_nodes, NodeWork);
    s->items = ARENA_ARRAY(a, s->parts.count, Module);
    for (size_t i = 0; !a->failed && i < s->parts.count; i++)
        s->items[i].part = s->parts.items[i];
    if (!a->failed)
        assume_inputs(s);
    for (size_t i = 0; !a->failed && i < m->graph->n_nodes; i++)
        add_node(&w, i);
    if (!a->failed)
        graph_each(m->graph, add_params, &w);
    if (!a->failed)
        add_up(s);
    if (!a->failed)
        modules_find_kinds(s);
    if (a->failed)
        s->items = NULL;
}

/* "layer.3" follows "layer.2". */
static bool is_numbered(const Part *p) {
    Str last = str_after_last(p->path, '.');
    for (size_t i = 0; i < last.n; i++)
        if (last.p[i] < '0' || last.p[i] > '9')
            return false;
    return last.n > 0;
}

static bool alike(const Modules *s, const Part *a, const Part *b) {
    const Module *x = module_at(s, a), *y = module_at(s, b);
    Str last = str_after_last(a->path, '.'), next = str_after_last(b->path, '.');
    return is_numbered(b) && a->path.n - last.n == b->path.n - next.n &&
           memcmp(a->path.p, b->path.p, a->path.n - last.n) == 0 &&
           str_eq(a->type, b->type) && x->param_elements == y->param_elements &&
           x->macs == y->macs;
}

size_t modules_alike(const Modules *s, const Part *p) {
    size_t n = 1;
    if (is_numbered(p))
        for (const Part *q = p->next; q && alike(s, p, q); q = q->next)
            n++;
    return n;
}

bool module_matters(const Modules *s, const Part *p) {
    const Module *module = module_at(s, p);
    return module->param_elements > 0 || module->macs > 0;
}
