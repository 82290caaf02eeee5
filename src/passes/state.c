/* The tensors of the PyTorch module: which are trained, which are tied, which the outputs
 * do not depend on, as far as the file says (m->state).  Statistics of a normalization
 * are never trained: that is known of the operator. */
#include "passes/state.h"

Str state_key(const Value *v) {
    return v->note && v->note->key.n ? v->note->key : v->name;
}

/* ---- tied parameters --------------------------------------------------------------- */

static ParamNote *note_of(Model *m, Value *v) {
    ParamNote *note = ARENA_NEW(m->arena, ParamNote);
    if (note && v->note)
        *note = *v->note;
    if (note)
        v->note = note;
    return note;
}

/* `name` is another name of the tensor that checkpoints call `kept`. */
static void tie(State *s, Str name, Str kept) {
    Value *other = map_get(&s->params, name), *v = map_get(&s->params, kept);
    Value *first = v ? v : other;
    ParamAlias *alias = ARENA_NEW(s->m->arena, ParamAlias);
    ParamNote *note = first && alias ? note_of(s->m, first) : NULL;
    if (!note)
        return;
    *alias = (ParamAlias){name, note->aliases};
    note->aliases = alias;
    if (!v)
        note->key = kept;
    else if (other && other != v && other->type.dtype == v->type.dtype &&
             type_same_shape(&other->type, &v->type))
        value_replace(s->m, other, v);
    (void)map_set(&s->params, kept, first);
}

/* Changes that name the parameter by its old key name it by the new one. */
static void rename_changes(void *user, Graph *g) {
    State *s = user;
    Str head = STR("transposed ");
    for (size_t i = 0; i < g->n_params; i++) {
        Value *v = g->params[i];
        Str change = v->note && v->note->change ? str_from(v->note->change) : (Str){0};
        if (!str_starts(change, head) ||
            !str_eq((Str){change.p + head.n, change.n - head.n}, s->old_key))
            continue;
        ParamNote *note = note_of(s->m, v);
        if (note)
            note->change = arena_printf(s->m->arena, "transposed %.*s",
                                        (int)s->new_key.n, s->new_key.p)
                               .p;
    }
}

/* named_parameters() and checkpoints have the first of the names. */
static void keep_first(void *user, Graph *g) {
    State *s = user;
    for (size_t i = 0; i < g->n_params; i++) {
        Value *v = g->params[i];
        const StateName *first = map_get(&s->kinds, state_key(v));
        ParamAlias *kept = NULL;
        for (ParamAlias *a = v->note ? v->note->aliases : NULL; a; a = a->next) {
            const StateName *name = map_get(&s->kinds, a->name);
            if (!name || (first && first < name))
                continue;
            first = name;
            kept = a;
        }
        ParamNote *note = kept ? note_of(s->m, v) : NULL;
        if (!note)
            continue;
        s->old_key = state_key(v);
        s->new_key = note->key = kept->name;
        kept->name = s->old_key;
        graph_each(s->m->graph, rename_changes, s);
    }
}

/* ---- what the file says ------------------------------------------------------------ */

static void list_params(void *user, Graph *g) {
    State *s = user;
    for (size_t i = 0; i < g->n_params; i++)
        (void)map_set(&s->params, g->params[i]->name, g->params[i]);
}

/* A buffer that is written as numbers, if anything reads it.  An input that the user has
 * fixed has no tensor, whatever the state says of its name. */
static void note_literal(Model *m, Value *v) {
    bool written = v && v->kind == VALUE_CONST && v->tensor && v->uses > 0;
    if (written && v->tensor->dtype != DT_STRING)
        (void)ARENA_PUSH(m->arena, &m->literals, v);
}

/* They are noted before folding makes other constants of them.  Where the file does not
 * list its tensors, the exporter's own constants have names of its making. */
static void note_literals(State *s) {
    Model *m = s->m;
    graph_count_uses(m);
    for (size_t i = 0; i < m->state.count; i++) {
        const StateName *item = &m->state.items[i];
        if (item->kind != STATE_TEMPORARY && item->kind != STATE_UNKNOWN)
            note_literal(m, map_get(&s->params, item->name));
    }
    bool listed = m->state.count || !str_is(m->facts.producer, "pytorch");
    for (size_t i = 0; !listed && i < m->graph->n_params; i++)
        if (!m->graph->params[i]->generated_name)
            note_literal(m, m->graph->params[i]);
}

void state_read(State *s, Model *m) {
    *s = (State){.m = m, .params = {.arena = m->arena}, .kinds = {.arena = m->arena}};
    graph_each(m->graph, list_params, s);
    for (size_t i = 0; i < m->state.count; i++)
        if (m->state.items[i].kept.n)
            tie(s, m->state.items[i].name, m->state.items[i].kept);
    for (size_t i = 0; i < m->state.count; i++)
        (void)map_set(&s->kinds, m->state.items[i].name, &m->state.items[i]);
    replace_values(m);
    note_literals(s);
}

/* ---- what is trained --------------------------------------------------------------- */

static const StateName *state_of(const State *s, const Value *v) {
    const StateName *known = map_get(&s->kinds, state_key(v));
    return known ? known : map_get(&s->kinds, v->name);
}

static void note_frozen(void *user, Graph *g) {
    const State *s = user;
    for (size_t i = 0; i < g->n_params; i++) {
        Value *v = g->params[i];
        const StateName *known = state_of(s, v);
        if (s->m->of_bridge) {
            v->is_buffer |= !known || known->kind == STATE_TEMPORARY;
            v->is_frozen = !known || known->kind != STATE_TRAINED;
        } else {
            v->is_frozen |= v->is_buffer || (known && known->kind == STATE_BUFFER);
        }
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        for (int k = 3; n->op && n->op->facts & OP_STATISTICS && k <= 4; k++)
            if (node_in(n, k))
                node_in(n, k)->is_frozen = true;
    }
}

void state_finish(State *s) {
    if (!s->m->of_bridge)
        graph_each(s->m->graph, keep_first, s);
    graph_each(s->m->graph, note_frozen, s);
}
