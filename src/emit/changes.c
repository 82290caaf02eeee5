/* The tables of a module about its parameters: what they are (PARAMS), and how that
 * differs from the state_dict of PyTorch: CHANGED, TIED, CHECKPOINT_NAMES, BUFFERS,
 * UNUSED, FROZEN. */
#include "emit/gen.h"

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

static void add_rows(Gen *g, const char *comment, const char *name, const Rows *rows) {
    gen_add_table(g, comment, name, rows->items, rows->count);
}

/* Adds `name = value` to the program, below the comment. */
static void add_table(Gen *g, const char *comment, const char *name,
                      const Expr *value) {
    Stmt s = {.kind = ST_ASSIGN,
              .text = STR("="),
              .apart = true,
              .comment = comment,
              .target = ex_name(g->arena, str_from(name)),
              .expr = value};
    (void)code_add(g->arena, &g->program.params, s);
}

static const Expr *words_tuple(Gen *g, const Words *words) {
    const Expr **items = ARENA_ARRAY(g->arena, words->count, const Expr *);
    for (size_t i = 0; items && i < words->count; i++)
        items[i] = ex_str(g->arena, words->items[i]);
    return ex_seq(g->arena, EX_TUPLE, items, items ? words->count : 0);
}

static void add_words(Gen *g, const char *comment, const char *name,
                      const Words *words) {
    add_table(g, comment, name, words_tuple(g, words));
}

/* ---- what the parameters are --------------------------------------------------------- */

void gen_add_params(Gen *g) {
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
    add_rows(g, "The parameters that forward reads.", "PARAMS", &rows);
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

ChangeKind gen_add_changes(Gen *g) {
    Rows rows = {0};
    collect_changes(g, &rows);
    if (!rows.count || g->arena->failed)
        return CHANGES_NONE;
    add_rows(g, "How parameters differ from PyTorch's state_dict.", "CHANGED", &rows);
    ChangeKind kind = CHANGES_TRANSPOSED;
    for (size_t i = 0; i < rows.count; i++) {
        ChangeKind own = change_kind(rows.items[i].text);
        kind = own > kind ? own : kind;
    }
    return kind;
}

bool gen_add_tied(Gen *g) {
    Rows rows = {0};
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        for (const ParamAlias *a = p->note ? p->note->aliases : NULL; a; a = a->next)
            add(g, &rows, a->name, p->key);
    }
    if (rows.count)
        add_rows(g, "Other names of parameters in PyTorch's state_dict.", "TIED",
                 &rows);
    return rows.count > 0;
}

/* Lines of two names, with a tab between them (python/oxide_xla/port/names.py). */
static void read_names(Gen *g, Str text, Rows *rows) {
    while (text.n) {
        Str line = str_take(&text, '\n');
        Str theirs = str_take(&line, '\t');
        add(g, rows, theirs, line);
    }
}

bool gen_add_checkpoint_names(Gen *g) {
    Rows rows = {0};
    const Entries *metadata = &g->m->facts.metadata;
    for (size_t i = 0; i < metadata->count; i++)
        if (str_is(metadata->items[i].key, "oxide_xla.checkpoint"))
            read_names(g, metadata->items[i].value, &rows);
    if (rows.count)
        add_rows(g,
                 "Beginnings of names in checkpoints, and what stands for them here; # "
                 "is any number.",
                 "CHECKPOINT_NAMES", &rows);
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

bool gen_add_buffers(Gen *g) {
    Words words = {0};
    for (size_t i = 0; i < g->params.count; i++)
        if (g->params.items[i].is_buffer)
            (void)ARENA_PUSH(g->arena, &words, g->params.items[i].key);
    if (words.count)
        add_words(g, "What no state_dict of PyTorch has.", "BUFFERS", &words);
    return words.count > 0;
}

/* The key that prepare gives a parameter, marked; empty where it gives none. */
static Str prepared_key_in_params(Gen *g, const ModuleParam *p) {
    Str key = p->form ? key_in_params(g, p->key) : (Str){0};
    return p->form ? gen_prepared_key(g->arena, key, p->form) : key;
}

const Expr *gen_endings(Gen *g, EndingSide *side, const void *user, bool prepared) {
    Words others = {0}, endings = {0}, meant = {0};
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        Ending at = side(p, user);
        Words *list = at == ENDING_MEANT ? &meant : &others;
        Str key = prepared ? prepared_key_in_params(g, p) : (Str){0};
        if (at == ENDING_EITHER)
            continue;
        (void)ARENA_PUSH(g->arena, list, key_in_params(g, p->key));
        if (key.n)
            (void)ARENA_PUSH(g->arena, list, key);
    }
    for (size_t i = 0; i < meant.count; i++)
        add_ending(g, &endings, meant.items[i], &others);
    return endings.count ? words_tuple(g, &endings) : NULL;
}

bool gen_add_endings(Gen *g, const char *comment, const char *name, EndingSide *side,
                     const void *user, bool prepared) {
    const Expr *endings = gen_endings(g, side, user, prepared);
    if (endings)
        add_table(g, comment, name, endings);
    return endings;
}

static Ending frozen_side(const ModuleParam *p, const void *user) {
    (void)user;
    if (!dtype_is_float(p->tensor->dtype))
        return ENDING_EITHER;
    return p->is_frozen ? ENDING_MEANT : ENDING_OTHER;
}

bool gen_add_frozen(Gen *g) {
    return gen_add_endings(g, "Parameters that end like this are not trained.",
                           "FROZEN", frozen_side, NULL, true);
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

/* As NumPy compares it with an array. */
static const Expr *literal_value(Gen *g, const Value *v) {
    const Known *k = v->known, *one = v->splat;
    const Expr *shape = gen_dims(g, v->type.dims, (size_t)v->type.rank);
    if (k && k->n == 0)
        return EX(g->arena, "np.zeros($0)", shape);
    if (one && (!k || k->n > 1))
        return EX(g->arena, "np.full($0, $1)", shape,
                  gen_scalar(g, one, 0, v->type.dtype));
    if (k)
        return gen_plain(g, v);
    int64_t first = tensor_i64(v->tensor, 0); /* it counts up */
    const Expr *x =
        EX(g->arena, "np.arange($($0, )$1)", first ? ex_int(g->arena, first) : NULL,
           ex_int(g->arena, first + v->tensor->count));
    return v->type.rank == 1 ? x : EX(g->arena, "$0.reshape(*$1)", x, shape);
}

bool gen_add_literals(Gen *g) {
    size_t n = g->m->literals.count;
    const Expr **items = ARENA_ARRAY(g->arena, 2 * n, const Expr *);
    if (!n || !items)
        return false;
    for (size_t i = 0; i < n; i++) {
        items[2 * i] = ex_str(g->arena, g->m->literals.items[i]->name);
        items[2 * i + 1] = literal_value(g, g->m->literals.items[i]);
    }
    add_table(g, "What forward has of a state_dict as numbers.", "LITERALS",
              ex_seq(g->arena, EX_DICT, items, 2 * n));
    return true;
}

bool gen_add_unused(Gen *g) {
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
        add_words(g, "What else a state_dict may have.", "UNUSED", &unused);
    return unused.count > 0;
}
