/* The tensors of the PyTorch module: which are trained, which are tied, which the outputs
 * do not depend on.  An ONNX file does not say.  The bridge writes it into the metadata,
 * one line for each name (bridge/fx_state.py); torch.export's signature lists parameters
 * and buffers.  Statistics of a normalization are never trained: that is known of the
 * operator. */
#include "passes/state.h"

#include "graph/signature.h"

/* ---- text -------------------------------------------------------------------------- */

static Str take_until(Str *text, char end) {
    const char *at = text->n ? memchr(text->p, end, text->n) : NULL;
    Str part = {text->p, at ? (size_t)(at - text->p) : text->n};
    size_t used = part.n + (at != NULL);
    *text = (Str){text->p + used, text->n - used};
    return part;
}

static void add_name(Model *m, Str name, StateKind kind) {
    StateName item = {name, kind};
    (void)ARENA_PUSH(m->arena, &m->state, item);
}

static StateKind kind_of(Str word) {
    static const char *const words[] = {"parameter", "frozen", "buffer", "temporary"};
    for (size_t i = 0; i < OX_COUNT(words); i++)
        if (str_is(word, words[i]))
            return (StateKind)i;
    return STATE_UNKNOWN;
}

/* ---- tied parameters --------------------------------------------------------------- */

static Str key_of(const Value *v) {
    return v->note && v->note->key.n ? v->note->key : v->name;
}

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
        other->alias = v;
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
        const StateName *first = map_get(&s->kinds, key_of(v));
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
        s->old_key = key_of(v);
        s->new_key = note->key = kept->name;
        kept->name = s->old_key;
        graph_each(s->m->graph, rename_changes, s);
    }
}

/* ---- what the file says ------------------------------------------------------------ */

static void read_bridge(State *s, Str text) {
    Model *m = s->m;
    m->of_bridge = true;
    while (text.n) {
        Str line = take_until(&text, '\n');
        Str word = take_until(&line, '\t'), name = take_until(&line, '\t');
        add_name(m, name, kind_of(word));
        if (str_is(word, "tied"))
            tie(s, name, line);
    }
}

static void read_signature(Model *m, Str text) {
    Str kind, target;
    while ((target = signature_next(&text, &kind)).n)
        add_name(m, target,
                 str_is(kind, "PARAMETER") ? STATE_TRAINED
                 : str_is(kind, "BUFFER")  ? STATE_BUFFER
                                           : STATE_UNKNOWN);
}

static void list_params(void *user, Graph *g) {
    State *s = user;
    for (size_t i = 0; i < g->n_params; i++)
        (void)map_set(&s->params, g->params[i]->name, g->params[i]);
}

void state_read(State *s, Model *m) {
    *s = (State){.m = m, .params = {.arena = m->arena}, .kinds = {.arena = m->arena}};
    graph_each(m->graph, list_params, s);
    Str lines = {0}, signature = signature_text(&m->pb->graph);
    for (size_t i = 0; i < m->pb->metadata.count; i++)
        if (str_is(m->pb->metadata.items[i].key, "oxide_xla.state"))
            lines = m->pb->metadata.items[i].value;
    if (lines.n)
        read_bridge(s, lines);
    else if (signature.n)
        read_signature(m, signature);
    for (size_t i = 0; i < m->state.count; i++)
        (void)map_set(&s->kinds, m->state.items[i].name, &m->state.items[i]);
    replace_values(m);
}

/* ---- what is trained --------------------------------------------------------------- */

static const StateName *state_of(const State *s, const Value *v) {
    const StateName *known = map_get(&s->kinds, key_of(v));
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
