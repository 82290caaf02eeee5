/* Follows the padding that --bound makes through the graph.
 *
 * In the same model without bounds, a size that data decide is a symbol; a value whose
 * shape mentions it has padding there, behind as many entries as its dimension says with
 * the count of the moment in the symbol's place.  A node leaves padding where it is when
 * it treats the entries of the axis by themselves (ops/core/apart.h).  Where it does not, the
 * operator says what must stand in the padding so that the first entries of its outputs
 * come out the same (OpDef.past), and a node is put in front that writes that.  A number
 * of entries that is computed with, as in a mean, is the count of the moment.  Whatever
 * is left is refused.
 *
 * The cache of a decoder's step (step.c) is padded in the same way: its length is that of
 * the array, and what is behind the last token must not be seen. */
#include "passes/sizes/padding.h"

#include "passes/sizes/padder.h"

static void refuse(Padding *p, const Node *n, const Extent *e, const char *why) {
    if (p->step) {
        p->refused = true;
        diag_add(p->m->diags, OX0416, node_where(p->open, n), STEP_HINT,
                 "what the cache holds behind the last token would be seen here: %s",
                 why);
        return;
    }
    const Value *v = node_out(e->origin, (int)e->symbol->value->out_index);
    p->refused = true;
    diag_add(p->m->diags, OX0415, node_where(p->open, n),
             STR("without --bound the file is exact, but runs without jit"),
             "the padding of \"%.*s\" would be seen here: %s", (int)v->name.n,
             v->name.p, why);
}

/* ---- where the padding is ---------------------------------------------------------- */

typedef struct Finder {
    const Symbol *symbol;
    bool found;
} Finder;

static void find_symbol(void *user, const Symbol *s) {
    Finder *f = user;
    f->found |= f->symbol == s;
}

bool pad_mentions(Dim d, const Symbol *s) {
    Finder f = {s, false};
    dim_each_symbol(d, find_symbol, &f);
    return f.found;
}

bool pad_elements_mention(const Known *k, const Symbol *s) {
    for (size_t i = 0; k && k->ints && i < k->n; i++)
        if (pad_mentions(k->ints[i], s))
            return true;
    return false;
}

uint64_t padding_axes(const Value *v, const Symbol *s) {
    uint64_t axes = 0;
    for (int axis = 0; v && !v->known && axis < v->type.rank; axis++)
        axes |= (uint64_t)pad_mentions(v->type.dims[axis], s) << axis;
    return axes;
}

static bool is_size(const Value *v, const Symbol *s) {
    return v &&
           (pad_elements_mention(v->known, s) || pad_elements_mention(v->splat, s));
}

/* d as times * s + plus with numbers; false when it is none. */
static bool is_linear(Dim d, const Symbol *s, PaddedLength *length) {
    *length = (PaddedLength){0, d.poly ? 0 : d.c};
    for (uint32_t i = 0; d.poly && i < d.poly->n; i++) {
        const Monomial *t = &d.poly->terms[i];
        if (t->n == 0)
            length->plus = t->coef;
        else if (t->n == 1 && t->atoms[0]->kind == ATOM_SYMBOL &&
                 t->atoms[0]->symbol == s)
            length->times = t->coef;
        else
            return false;
    }
    return true;
}

static bool reader_of(Padding *p, const Node *n, const Symbol *s, Reader *r) {
    Arena *a = p->m->arena;
    *r = (Reader){.n = n, .s = s};
    r->axes = ARENA_ARRAY(a, n->n_in + 1, uint64_t);
    r->left = ARENA_ARRAY(a, n->n_in + 1, uint64_t);
    r->is_size = ARENA_ARRAY(a, n->n_in + 1, bool);
    r->at = ARENA_ARRAY(a, n->n_in + 1, int);
    if (!r->axes || !r->left || !r->is_size || !r->at)
        return false;
    for (uint32_t k = 0; k < n->n_in; k++) {
        const Value *v = n->in[k];
        r->axes[k] = padding_axes(v, s);
        /* In a step, what makes a large array of a size has been given the number. */
        r->is_size[k] = p->step ? v && (pad_elements_mention(v->known, s) ||
                                        pad_elements_mention(v->partly, s))
                                : is_size(v, s);
    }
    return true;
}

static bool is_involved(const Reader *r) {
    const Node *n = r->n;
    for (uint32_t k = 0; k < n->n_in; k++)
        if (r->axes[k] || r->is_size[k])
            return true;
    for (uint32_t k = 0; k < n->n_out; k++)
        if (padding_axes(n->out[k], r->s))
            return true;
    return false;
}

/* ---- nodes that leave it where it is ----------------------------------------------- */

static Dim product(Padding *p, const Dim *dims, int n) {
    Dim all = dim_int(1);
    for (int i = 0; i < n; i++)
        all = dim_mul(&p->open->dims, all, dims[i]);
    return all;
}

/* As in rows.c: the entries are the outer part of both axes, and as much lies before. */
static bool reshape_keeps(Padding *p, const Type *in, int from, const Type *out, int to,
                          const Symbol *s) {
    Dim inner, outer, size = p->step ? p->step->size : s->value->type.dims[s->axis];
    return dim_divide(&p->open->dims, in->dims[from], size, &inner) &&
           dim_divide(&p->open->dims, out->dims[to], size, &outer) &&
           !pad_mentions(inner, s) && !pad_mentions(outer, s) &&
           dim_eq(product(p, in->dims, from), product(p, out->dims, to));
}

/* A padded axis meets one of a size that data do not decide: they would have to agree. */
static bool is_stretched(const Node *n, const int *at, const Type *out, int to) {
    if (!(n->op->facts & OP_BROADCAST) && n->op->apart != apart_broadcast)
        return false;
    for (int k = 0; k < (int)n->n_in; k++) {
        int axis = to - out->rank + in_rank(n, k);
        if (at[k] < 0 && axis >= 0 && !dim_is(in_dim(n, k, axis), 1))
            return true;
    }
    return false;
}

/* With at[] chosen, output k holds along `to` what the inputs hold there. */
static bool holds(Padding *p, const Reader *r, int k, int to) {
    const Node *n = r->n;
    const Type *out = &n->out[k]->type;
    if (n->op->facts & OP_RESHAPES)
        return r->at[0] >= 0 &&
               reshape_keeps(p, &n->in[0]->type, r->at[0], out, to, r->s);
    for (int i = 0; i < (int)n->n_in; i++)
        if (r->at[i] >= 0 && !dim_eq(in_dim(n, i, r->at[i]), out->dims[to]))
            return false;
    return !is_stretched(n, r->at, out, to) && apart(p->open, n, r->at, k, to);
}

/* Moves at[k] to the next choice: its padded axes from the first on, then none. */
static bool next_choice(const Reader *r, uint32_t k) {
    int from = r->at[k] + 1;
    if (r->at[k] == APART_SHARED || r->at[k] == APART_SIZE)
        return false;
    while (from < 64 && !(r->axes[k] >> from & 1))
        from++;
    r->at[k] = from < 64 ? from : r->is_size[k] ? APART_SIZE : APART_SHARED;
    return true;
}

static void first_choice(const Reader *r, uint32_t k) {
    r->at[k] = 0;
    if (!(r->axes[k] & 1))
        (void)next_choice(r, k);
}

/* Looks for axes of the inputs that account for this one; notes them as held. */
static bool is_held(Padding *p, Reader *r, int k, int to) {
    enum { CHOICES_MAX = 729 };
    for (uint32_t i = 0; i < r->n->n_in; i++)
        first_choice(r, i);
    for (int tried = 0; tried < CHOICES_MAX; tried++) {
        if (holds(p, r, k, to)) {
            for (uint32_t i = 0; i < r->n->n_in; i++)
                if (r->at[i] >= 0)
                    r->left[i] &= ~((uint64_t)1 << r->at[i]);
            return true;
        }
        uint32_t i = 0;
        while (i < r->n->n_in && !next_choice(r, i))
            first_choice(r, i++);
        if (i == r->n->n_in)
            return false;
    }
    return false;
}

/* Output k holds padding where its inputs have some; false when it has more, or when
 * sizes among the inputs decide something else about it. */
static bool output_keeps(Padding *p, Reader *r, int k, bool sized) {
    const Value *v = r->n->out[k];
    uint64_t axes = padding_axes(v, r->s);
    bool ok = axes || !sized;
    for (int to = 0; to < v->type.rank; to++)
        if (axes >> to & 1 && !is_held(p, r, k, to))
            ok = false;
    return ok;
}

/* Whether the outputs hold all padding that the inputs have, and no more. */
static bool all_keep(Padding *p, Reader *r) {
    const Node *n = r->n;
    bool sized = false, any = false, ok = true, padded = false;
    for (uint32_t k = 0; k < n->n_in; k++) {
        r->left[k] = r->axes[k];
        padded = padded || r->axes[k];
        sized = sized || r->is_size[k];
        ok = ok && (!r->is_size[k] || node_is_fixed(n, k));
    }
    r->grows = false;
    for (uint32_t k = 0; k < n->n_out; k++) {
        const Value *v = n->out[k];
        bool equal = v && v->splat && !padded && !pad_elements_mention(v->splat, r->s);
        if (!v || v->known || equal)
            continue;
        any = true;
        r->grows = !output_keeps(p, r, (int)k, sized) || r->grows;
    }
    for (uint32_t k = 0; k < n->n_in; k++)
        ok = ok && !r->left[k];
    return !any || (ok && !r->grows);
}

/* ---- nodes that are put in --------------------------------------------------------- */

void pad_put(Padding *p, Node *n) {
    if (n)
        (void)ARENA_PUSH(p->m->arena, &p->nodes, n);
}

/* What stands before the node that reads it. */
Value *pad_before(Padding *p, Node *n) {
    pad_put(p, n);
    return n ? n->out[0] : NULL;
}

/* The known integers `sizes` of the open model, `own` in the model itself, with the count
 * of the moment; NULL when they are no such numbers. */
static Node *number_of_moment(Padding *p, const Node *at, const Extent *e,
                              const Value *sizes, Value *own) {
    return p->step ? stepped_number(p->m, at, &p->step->place, own)
                   : padded_number(p->m, at, e->count, sizes, e->symbol, is_linear);
}

/* Replaces numbers of entries that the node computes with by those of the moment; false
 * when there is one that cannot be. */
static bool count_inputs(Padding *p, Reader *r, Node *real, const Extent *e) {
    for (uint32_t k = 0; k < r->n->n_in; k++) {
        if (!r->is_size[k] || node_is_fixed(r->n, k))
            continue;
        real->in[k] =
            pad_before(p, number_of_moment(p, real, e, r->n->in[k], real->in[k]));
        if (!real->in[k])
            return false;
        r->is_size[k] = false;
    }
    return true;
}

/* The next axes of the inputs that are left; false when there are none. */
static bool next_left(Reader *r) {
    bool found = false;
    for (uint32_t k = 0; k < r->n->n_in; k++) {
        r->at[k] = r->is_size[k] ? APART_SIZE : APART_SHARED;
        for (int axis = 0; r->left[k] && r->at[k] < 0; axis++)
            if (r->left[k] >> axis & 1)
                r->at[k] = axis;
        if (r->at[k] >= 0)
            r->left[k] &= ~((uint64_t)1 << r->at[k]);
        found = found || r->at[k] >= 0;
    }
    return found;
}

/* Hides the padding along at[k] of every input; false when the node would see it. */
static bool hide(Padding *p, Reader *r, Node *real, const Extent *e, Node **mean) {
    const Node *n = r->n;
    for (int k = 0; k < (int)n->n_in; k++) {
        if (r->at[k] == APART_SHARED)
            continue;
        PaddedLength length;
        OpPast past = n->op->past ? n->op->past(p->open, n, r->at, k) : PAST_SEEN;
        if (past == PAST_SEEN || (past == PAST_MEAN && p->step))
            return false;
        if (past == PAST_ANY || r->at[k] < 0)
            continue;
        if (past == PAST_ZERO && step_is_zero(p, r, k))
            continue;
        if (!is_linear(in_dim(n, k, r->at[k]), r->s, &length))
            return false;
        if (past == PAST_LOWEST && n->op->facts & OP_PROBABILITIES)
            step_note_shares(p, n);
        if (past == PAST_LOWEST && step_hide_in_mask(p, r, real, e, k))
            continue;
        real->in[k] = pad_before(
            p, padded_fill(p->m, real, real->in[k], e->count, r->at[k], length, past));
        if (past == PAST_MEAN)
            *mean = padded_rescale(p->m, real, e->count, length, e->bound);
    }
    return true;
}

/* ---- the walk ---------------------------------------------------------------------- */

bool pad_has_subgraphs(const Node *n) {
    for (uint32_t a = 0; a < n->n_attrs; a++)
        if (n->attrs[a].graph_count)
            return true;
    return false;
}

/* Takes care of the padding of one size.  `mean`: what is to follow the node. */
static void visit_extent(Padding *p, const Node *n, Node *real, const Extent *e,
                         Node **mean) {
    Reader r;
    bool writes = step_writes(p, n);
    if (e->origin == n || (writes && !n->op->appends) ||
        !reader_of(p, n, e->symbol, &r) || !is_involved(&r))
        return;
    if (writes) {
        if (!count_inputs(p, &r, real, e) || step_reads_more(p, &r))
            refuse(p, n, e, "another input has its length");
        return;
    }
    if (pad_has_subgraphs(n)) {
        refuse(p, n, e, "its subgraphs are not known to ignore it");
        return;
    }
    if (all_keep(p, &r))
        return;
    bool ok = !p->step || step_knows_sizes(&r);
    if (ok && step_is_range(p, &r)) {
        *mean = step_move_range(p, real);
        return;
    }
    ok = ok && count_inputs(p, &r, real, e);
    if (ok && all_keep(p, &r))
        return;
    bool hidden = r.grows; /* by an input that has nothing left, but a size */
    while (ok && (next_left(&r) || hidden)) {
        hidden = false;
        ok = hide(p, &r, real, e, mean);
    }
    if (!ok)
        refuse(p, n, e, "it works along that axis, or with its size");
}

/* The sizes that data decide for this node, which has a bound for them. */
static void add_extents(Padding *p, const Node *n, Node *real) {
    int64_t bound = 0;
    const Symbol *seen = NULL;
    for (uint32_t k = 0; k < real->n_out; k++)
        bound = real->out[k] && real->out[k]->bound ? real->out[k]->bound : bound;
    for (uint32_t k = 0; bound && n->op->count && k < n->n_out; k++)
        for (int axis = 0; n->out[k] && axis < n->out[k]->type.rank; axis++) {
            const Symbol *s = dim_as_symbol(n->out[k]->type.dims[axis]);
            if (!s || s == seen || !s->value || s->value->def != n)
                continue;
            seen = s;
            Node *count = padded_count(p->m, real, bound);
            Extent e = {s, n, count ? count->out[0] : NULL, bound};
            pad_put(p, count);
            (void)ARENA_PUSH(p->m->arena, &p->extents, e);
        }
}

static void visit_graph(Padding *p, Graph *open, Graph *g);

static void visit_node(Padding *p, const Node *n, Node *real) {
    Node *mean = NULL;
    if (step_is_unread(p, n)) {
        pad_put(p, real);
        return;
    }
    if (p->step && !step_is_same(p, n, real))
        refuse(p, n, &p->extents.items[0], "it is another node there");
    for (uint32_t a = 0; a < n->n_attrs && !p->refused; a++)
        for (size_t k = 0; k < n->attrs[a].graph_count; k++)
            visit_graph(p, n->attrs[a].graphs[k], real->attrs[a].graphs[k]);
    for (size_t i = 0; n->op && i < p->extents.count && !p->refused; i++) {
        Node *before_this = mean;
        visit_extent(p, n, real, &p->extents.items[i], &mean);
        if (before_this && mean != before_this)
            refuse(p, n, &p->extents.items[i], "it is the mean over two such axes");
    }
    pad_put(p, real);
    pad_put(p, mean);
    if (n->op && !p->refused)
        add_extents(p, n, real);
}

/* The value as one of this graph, which its maker did not know. */
static Value *number_of(Graph *g, Value *v) {
    v->graph = v->def->graph = g;
    return v;
}

/* Sizes that a graph returns are numbers, too. */
static void visit_outputs(Padding *p, const Graph *open, Graph *g) {
    for (size_t k = 0; k < g->n_outputs; k++)
        for (size_t i = 0; i < p->extents.count && !p->refused; i++) {
            const Extent *e = &p->extents.items[i];
            const Value *v = open->outputs[k];
            if (g->owner && padding_axes(v, e->symbol))
                refuse(p, open->owner, e, "it leaves a subgraph");
            if (p->step && !g->owner && padding_axes(v, e->symbol) &&
                !p->step->cached[k])
                refuse(p, v->def, e, "the model returns it, and not as its cache");
            if (!pad_elements_mention(v->known, e->symbol))
                continue;
            Value *number =
                v->def ? pad_before(p, number_of_moment(p, v->def, e, v, g->outputs[k]))
                       : NULL;
            if (number)
                g->outputs[k] = number_of(g, number);
            else
                refuse(p, v->def ? v->def : e->origin, e, "the model returns its size");
        }
}

static void visit_graph(Padding *p, Graph *open, Graph *g) {
    Padding outer = *p;
    memset(&p->nodes, 0, sizeof p->nodes);
    p->graph = g;
    for (size_t i = 0; i < open->n_nodes && i < g->n_nodes && !p->refused; i++) {
        visit_node(p, open->nodes[i], g->nodes[i]);
        if (p->step && !g->owner && i + 1 == p->step->first)
            pad_put(p, p->step->counts);
    }
    visit_outputs(p, open, g);
    if (!p->refused) {
        g->nodes = p->nodes.items;
        g->n_nodes = p->nodes.count;
    }
    p->graph = outer.graph;
    p->nodes.items = outer.nodes.items;
    p->nodes.count = outer.nodes.count;
    p->nodes.cap = outer.nodes.cap;
}

void padding_hide(Model *m, Model *open) {
    Padding p = {.m = m, .open = open};
    visit_graph(&p, open->graph, m->graph);
}

void padding_hide_step(Model *m, Model *open, const PaddedStep *step) {
    Padding p = {.m = m, .open = open, .step = step};
    Extent e = {.symbol = step->symbol, .count = step->end};
    if (!behind_init(&p.behind, open, step->symbol) ||
        !ARENA_PUSH(m->arena, &p.extents, e))
        return;
    for (size_t i = 0; i < step->count; i++)
        behind_is_cache(&p.behind, step->pasts[i]);
    visit_graph(&p, open->graph, m->graph);
}
