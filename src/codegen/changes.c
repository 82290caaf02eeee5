/* The tables of a module about its parameters: what they are (PARAMS), and how that
 * differs from the state_dict of PyTorch: CHANGED, TIED, BUFFERS, UNUSED, FROZEN. */
#include "codegen/gen.h"

typedef struct Rows {
    TableRow *items;
    size_t count, cap;
} Rows;

typedef struct Words {
    Str *items;
    size_t count, cap;
} Words;

static void add(Gen *g, Rows *rows, Str key, Str text) {
    TableRow row = {key, text};
    (void)ARENA_PUSH(g->arena, rows, row);
}

static void print_rows(Gen *g, Text *t, const char *comment, const char *name,
                       const Rows *rows) {
    text_lit(t, "\n\n");
    print_comment(t, 0, str_from(comment));
    gen_print_table(g, t, name, rows->items, rows->count);
}

static void print_words(Gen *g, Text *t, const char *comment, const char *name,
                        const Words *words) {
    const Expr **items = ARENA_ARRAY(g->arena, words->count, const Expr *);
    for (size_t i = 0; items && i < words->count; i++)
        items[i] = ex_str(g->arena, words->items[i]);
    Str target = str_from(name);
    text_lit(t, "\n\n");
    print_comment(t, 0, str_from(comment));
    print_assign(t, 0, &target, 1,
                 ex_seq(g->arena, EX_TUPLE, items, items ? words->count : 0));
}

/* ---- what the parameters are --------------------------------------------------------- */

void gen_print_params(Gen *g, Text *t) {
    Rows rows = {0};
    for (size_t i = 0; i < g->params.count; i++) {
        const Tensor *tensor = g->params.items[i].tensor;
        Text type = {.arena = g->arena};
        text_printf(&type, "%s[", dtype_info(tensor->dtype)->name);
        for (int k = 0; k < tensor->rank; k++)
            text_printf(&type, "%s%lld", k ? "," : "", (long long)tensor->dims[k]);
        text_char(&type, ']');
        add(g, &rows, g->params.items[i].key, text_view(&type));
    }
    print_rows(g, t, "The parameters that forward reads.", "PARAMS", &rows);
}

/* ---- changes ------------------------------------------------------------------------- */

static ChangeKind change_kind(Str change) {
    bool shared = str_starts(change, STR("transposed "));
    return shared                         ? CHANGES_SHARED
           : str_is(change, "transposed") ? CHANGES_TRANSPOSED
                                          : CHANGES_UNSHARED;
}

/* Changes that cannot be undone. */
static bool refuses(const Rows *rows) {
    for (size_t i = 0; i < rows->count; i++)
        if (change_kind(rows->items[i].text) == CHANGES_UNSHARED)
            return true;
    return false;
}

static void collect_changes(Gen *g, Rows *rows) {
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        if (p->note && p->note->change)
            add(g, rows, p->key, str_from(p->note->change));
    }
    bool refused = refuses(rows); /* for other reasons, which say enough */
    for (size_t i = 0; !refused && i < g->m->left_out.count; i++)
        add(g, rows, g->m->left_out.items[i], STR("left out by the exporter"));
}

ChangeKind gen_print_changes(Gen *g, Text *t) {
    Rows rows = {0};
    collect_changes(g, &rows);
    if (!rows.count || g->arena->failed)
        return CHANGES_NONE;
    print_rows(g, t, "How parameters differ from PyTorch's state_dict.", "CHANGED",
               &rows);
    ChangeKind kind = CHANGES_TRANSPOSED;
    for (size_t i = 0; i < rows.count; i++) {
        ChangeKind own = change_kind(rows.items[i].text);
        kind = own > kind ? own : kind;
    }
    return kind;
}

bool gen_print_tied(Gen *g, Text *t) {
    Rows rows = {0};
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        for (const ParamAlias *a = p->note ? p->note->aliases : NULL; a; a = a->next)
            add(g, &rows, a->name, p->key);
    }
    if (rows.count)
        print_rows(g, t, "Other names of parameters in PyTorch's state_dict.", "TIED",
                   &rows);
    return rows.count > 0;
}

/* ---- names --------------------------------------------------------------------------- */

/* How names are compared with endings, in C and in Python: f"/.{key}". */
static Str marked(Gen *g, Str key) {
    return arena_printf(g->arena, "/.%.*s", (int)key.n, key.p);
}

static bool ends_with_any(const Words *endings, Str name) {
    for (size_t i = 0; i < endings->count; i++)
        if (str_ends(name, endings->items[i]))
            return true;
    return false;
}

/* Adds the shortest part from a dot on at which no other name ends: ".running_mean".  A
 * slash marks the whole name, where others end like it.  All names are marked. */
static void add_ending(Gen *g, Words *endings, Str name, const Words *others) {
    if (ends_with_any(endings, name))
        return;
    for (size_t i = name.n; i-- > 0;) {
        if (name.p[i] != '.' && i > 0)
            continue;
        Str ending = {name.p + i, name.n - i};
        bool taken = false;
        for (size_t k = 0; !taken && i > 0 && k < others->count; k++)
            taken = str_ends(others->items[k], ending);
        if (taken)
            continue;
        (void)ARENA_PUSH(g->arena, endings, ending);
        return;
    }
}

/* The key under which forward finds a parameter, marked: that of its stack, if a scan
 * reads it. */
static Str key_in_params(Gen *g, Str key) {
    for (size_t i = 0; i < g->stacks.count; i++) {
        const Stack *s = &g->stacks.items[i];
        size_t end = s->head.n;
        int64_t number = str_starts(key, s->head) ? gen_number_at(key, end, &end) : -1;
        Str rest = {key.p + end, key.n - end};
        if (number >= s->first && number < s->end && str_starts(rest, s->tail))
            return marked(g, arena_printf(g->arena, "%.*s*%.*s", (int)s->head.n,
                                          s->head.p, (int)rest.n, rest.p));
    }
    return marked(g, key);
}

bool gen_print_buffers(Gen *g, Text *t) {
    Words words = {0};
    for (size_t i = 0; i < g->params.count; i++)
        if (g->params.items[i].is_buffer)
            (void)ARENA_PUSH(g->arena, &words, g->params.items[i].key);
    if (words.count)
        print_words(g, t, "What no state_dict of PyTorch has.", "BUFFERS", &words);
    return words.count > 0;
}

bool gen_print_frozen(Gen *g, Text *t) {
    Words trained = {0}, endings = {0};
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        if (!p->is_frozen && dtype_is_float(p->tensor->dtype))
            (void)ARENA_PUSH(g->arena, &trained, key_in_params(g, p->key));
    }
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        if (p->is_frozen && dtype_is_float(p->tensor->dtype))
            add_ending(g, &endings, key_in_params(g, p->key), &trained);
    }
    if (endings.count)
        print_words(g, t, "Parameters that end like this are not trained.", "FROZEN",
                    &endings);
    return endings.count > 0;
}

/* Names that other tensors of a module have beside those in params. */
static void collect_known(Gen *g, Words *names) {
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        (void)ARENA_PUSH(g->arena, names, marked(g, p->key));
        for (const ParamAlias *a = p->note ? p->note->aliases : NULL; a; a = a->next)
            (void)ARENA_PUSH(g->arena, names, marked(g, a->name));
    }
}

/* The graph's value of this name, if it is written as numbers. */
static const Value *literal_named(const Gen *g, Str name) {
    const Graph *graph = g->m->graph;
    for (size_t i = 0; i < graph->n_params; i++) {
        const Value *v = graph->params[i];
        if (v->kind == VALUE_CONST && v->known && v->type.rank >= 0 &&
            str_eq(v->name, name))
            return v;
    }
    return NULL;
}

bool gen_print_literals(Gen *g, Text *t) {
    const Expr **items = ARENA_ARRAY(g->arena, 2 * g->m->state.count, const Expr *);
    size_t n = 0;
    for (size_t i = 0; items && i < g->m->state.count; i++) {
        const StateName *s = &g->m->state.items[i];
        const Value *v = s->kind == STATE_BUFFER ? literal_named(g, s->name) : NULL;
        if (!v)
            continue;
        items[n++] = ex_str(g->arena, s->name);
        items[n++] = gen_plain(g, v);
    }
    if (!n)
        return false;
    Str name = STR("LITERALS");
    text_lit(t, "\n\n");
    print_comment(t, 0, STR("What forward has of a state_dict as numbers."));
    print_assign(t, 0, &name, 1, ex_seq(g->arena, EX_DICT, items, n));
    return true;
}

bool gen_print_unused(Gen *g, Text *t) {
    Words known = {0}, unused = {0};
    Rows changes = {0};
    collect_known(g, &known);
    collect_changes(g, &changes);
    if (refuses(&changes)) /* other files do not load at all */
        return false;
    Map map = {.arena = g->arena};
    for (size_t i = 0; i < known.count; i++)
        (void)map_set(&map, known.items[i], g);
    for (size_t i = 0; i < g->m->state.count; i++) {
        const StateName *s = &g->m->state.items[i];
        Str name = marked(g, s->name);
        if (map_get(&map, name))
            continue;
        if (s->kind == STATE_BUFFER || s->kind == STATE_TEMPORARY)
            add_ending(g, &unused, name, &known);
        else if (!ends_with_any(&unused, name))
            (void)ARENA_PUSH(g->arena, &unused, name);
    }
    if (unused.count)
        print_words(g, t, "What else a state_dict may have.", "UNUSED", &unused);
    return unused.count > 0;
}
