/* The key-value cache of a decoder: which inputs and outputs of the graph it is, and how
 * the module writes it.
 *
 * forward takes and gives it as one tree, {"key": [one array a layer], "value": [...]}.
 * A list in forward has the arrays, key_cache[i], and what layers give takes the place of
 * what they took.  Where one scan goes over all layers the arrays are stacked instead.
 * Source: the metadata "oxide_xla.cache", which bridge/fx_cache.py writes: lines of words
 * with tabs between them, `length N`, `optional INPUT`, and `FIELD PAST NEXT`;
 * `kept FIELD INPUT` of what is only read, `made FIELD OUTPUT` of what is only made. */
#include "emit/cache.h"

enum { WORDS = 3 };

/* ---- what the file says ---------------------------------------------------------------- */

static CacheField *field_of(Gen *g, Str name, CacheRole role) {
    for (size_t i = 0; i < g->cache.count; i++)
        if (str_eq(g->cache.items[i].name, name))
            return &g->cache.items[i];
    CacheField field = {.name = name, .role = role};
    field.variable = gen_identifier(
        g->arena, arena_printf(g->arena, "%.*s_cache", (int)name.n, name.p), "cache");
    return ARENA_PUSH(g->arena, &g->cache, field) ? &g->cache.items[g->cache.count - 1]
                                                  : NULL;
}

static Value *input_named(const Graph *graph, Str name) {
    for (size_t i = 0; i < graph->n_inputs; i++)
        if (str_eq(graph->inputs[i]->name, name))
            return graph->inputs[i];
    return NULL;
}

static int output_named(const Graph *graph, Str name) {
    for (size_t i = 0; i < graph->n_outputs; i++)
        if (str_eq(graph->output_names[i], name))
            return (int)i;
    return -1;
}

static Str id_key(const Value *v) {
    return (Str){(const char *)&v->id, sizeof v->id};
}

static void note_place(Gen *g, Map *map, const Value *v, size_t field, size_t index) {
    CachePlace *place = ARENA_NEW(g->arena, CachePlace);
    if (!place)
        return;
    *place = (CachePlace){field, index};
    map_set(map, id_key(v), place);
}

static void add_entry(Gen *g, CacheRole role, Str name, Str past, Str next) {
    CacheField *field = field_of(g, name, role);
    Value *in = input_named(g->m->graph, past);
    int out = output_named(g->m->graph, next);
    bool lacks_in = role != CACHE_MADE && !in,
         lacks_out = role != CACHE_KEPT && out < 0;
    if (!field)
        return;
    if (lacks_in || lacks_out || field->role != role) {
        Str missing = lacks_out ? next : past;
        diag_add(
            g->m->diags, OX0201, (Str){0},
            STR("leave --outputs and --input-value away: they take the cache apart"),
            "the graph has no %s \"%.*s\", which is part of the cache",
            lacks_out ? "output" : "input", (int)missing.n, missing.p);
        return;
    }
    CacheEntry entry = {in, role == CACHE_KEPT ? SIZE_MAX : (size_t)out};
    size_t number = (size_t)(field - g->cache.items);
    if (in)
        note_place(g, &g->cache.past, in, number, field->count);
    if (role == CACHE_REPLACED)
        note_place(g, &g->cache.next, value_final(g->m->graph->outputs[out]), number,
                   field->count);
    (void)ARENA_PUSH(g->arena, field, entry);
}

bool gen_is_cache_output(const Gen *g, size_t i) {
    for (size_t f = 0; f < g->cache.count; f++)
        for (size_t k = 0; k < g->cache.items[f].count; k++)
            if (g->cache.items[f].items[k].next == i)
                return true;
    return false;
}

/* batch first, then one size more that is open, the length; what is written has the type
 * of what was there. */
static bool is_cache(Gen *g, const CacheEntry *entry) {
    const Type *t = &entry->past->type;
    const Value *next = value_final(g->m->graph->outputs[entry->next]);
    int open = 0;
    for (int axis = 1; axis < t->rank; axis++)
        open += !dim_is_int(t->dims[axis]);
    return t->kind == TYPE_TENSOR && t->rank > 1 && dtype_is_float(t->dtype) &&
           !dim_is_int(t->dims[0]) && open == 1 && next->type.kind == TYPE_TENSOR &&
           next->type.dtype == t->dtype && type_same_shape(&next->type, t);
}

static bool has_role(const Gen *g, CacheRole role) {
    for (size_t f = 0; f < g->cache.count; f++)
        if (g->cache.items[f].role == role)
            return true;
    return false;
}

static void check_cache(Gen *g) {
    for (size_t f = 0; f < g->cache.count; f++)
        for (size_t i = 0; i < g->cache.items[f].count; i++) {
            const CacheEntry *entry = &g->cache.items[f].items[i];
            if (g->cache.items[f].role != CACHE_REPLACED || is_cache(g, entry))
                continue;
            diag_add(g->m->diags, OX0201, (Str){0},
                     STR("give no --shape: init_cache is asked for the sizes"),
                     "\"%.*s\" of the cache must have an open batch and length, and be "
                     "replaced by an output of its shape and type",
                     (int)entry->past->name.n, entry->past->name.p);
        }
    if (has_role(g, CACHE_REPLACED) && g->cache.length < 1)
        diag_add(g->m->diags, OX0201, (Str){0}, (Str){0},
                 "the metadata name no length of the cache");
}

static void read_line(Gen *g, Str line) {
    Str words[WORDS] = {0};
    size_t n = 0, end;
    while (line.n && n < WORDS)
        words[n++] = str_take(&line, '\t');
    if (n == 2 && str_is(words[0], "length"))
        g->cache.length = gen_number_at(words[1], 0, &end);
    else if (n == 2 && str_is(words[0], "optional"))
        g->cache.optional = input_named(g->m->graph, words[1]);
    else if (n == WORDS && str_is(words[0], "kept"))
        add_entry(g, CACHE_KEPT, words[1], words[2], (Str){0});
    else if (n == WORDS && str_is(words[0], "made"))
        add_entry(g, CACHE_MADE, words[1], (Str){0}, words[2]);
    else if (n == WORDS)
        add_entry(g, CACHE_REPLACED, words[0], words[1], words[2]);
}

void gen_read_cache(Gen *g) {
    const Entries *metadata = &g->m->facts.metadata;
    g->cache.past.arena = g->cache.next.arena = g->arena;
    for (size_t i = 0; i < metadata->count; i++) {
        Str rest = metadata->items[i].value;
        while (str_is(metadata->items[i].key, "oxide_xla.cache") && rest.n)
            read_line(g, str_take(&rest, '\n'));
    }
    if (diag_status(g->m->diags) == OX_OK)
        check_cache(g);
}

const CachePlace *gen_cache_past(const Gen *g, const Value *v) {
    return g->cache.count ? map_get(&g->cache.past, id_key(v)) : NULL;
}

const CachePlace *gen_cache_next(const Gen *g, const Value *v) {
    return g->cache.count ? map_get(&g->cache.next, id_key(v)) : NULL;
}

/* ---- in forward ------------------------------------------------------------------------ */

const Expr *gen_cache_item(Gen *g, size_t field, const Expr *index) {
    return EX(g->arena, "$0[$1]", ex_name(g->arena, g->cache.items[field].variable),
              index);
}

void gen_bind_cache(Gen *g) {
    for (size_t f = 0; f < g->cache.count; f++) {
        CacheField *field = &g->cache.items[f];
        field->variable = gen_unique_name(g, field->variable);
        for (size_t i = 0; i < field->count && field->role != CACHE_MADE; i++) {
            ValueCode *c = &g->code[field->items[i].past->id];
            c->expr = gen_cache_item(g, f, ex_int(g->arena, (int64_t)i));
            c->state = VS_DONE;
        }
    }
}

/* Nothing that is written later reads the array that v takes the place of. */
const Expr *gen_cache_target(Gen *g, const Value *v) {
    const CachePlace *place = g->function ? NULL : gen_cache_next(g, v);
    if (!place)
        return NULL;
    const Value *past = g->cache.items[place->field].items[place->index].past;
    return g->code[past->id].reads == 1
               ? gen_cache_item(g, place->field,
                                ex_int(g->arena, (int64_t)place->index))
               : NULL;
}

/* How many nodes of the function that is being generated read v. */
static size_t count_readers(const Gen *g, const Value *v) {
    const Block *b = g->function->kind->blocks[0];
    size_t n = 0;
    for (uint32_t i = b->first; i < b->first + b->count; i++) {
        const Node *node = g->m->graph->nodes[i];
        for (uint32_t k = 0; k < node->n_in; k++)
            n += value_final(node->in[k]) == v;
    }
    return n;
}

Str gen_cache_name(const Gen *g, const Value *v) {
    const CachePlace *place = g->function ? gen_cache_next(g, v) : NULL;
    if (!place || g->m->has_subgraphs)
        return (Str){0};
    const Value *past = g->cache.items[place->field].items[place->index].past;
    const Expr *x = g->code[past->id].expr;
    return x && x->kind == EX_NAME && count_readers(g, past) == 1 ? x->text : (Str){0};
}

void gen_unpack_cache(Gen *g, Stmts *list) {
    for (size_t f = 0; f < g->cache.count; f++) {
        const CacheField *field = &g->cache.items[f];
        if (field->role == CACHE_MADE)
            continue;
        const Expr *cache = EX(g->arena, "cache[$0]", ex_str(g->arena, field->name));
        gen_statement(g, list, &field->variable, 1,
                      field->stacked || field->role == CACHE_KEPT
                          ? cache
                          : EX(g->arena, "list($0)", cache));
    }
}

/* key_cache, or [a, b] where some array has another name. */
static const Expr *field_result(Gen *g, size_t f) {
    const CacheField *field = &g->cache.items[f];
    if (field->role == CACHE_KEPT)
        return ex_name(g->arena, field->variable);
    const Expr **items = ARENA_ARRAY(g->arena, field->count, const Expr *);
    bool in_place = items != NULL;
    for (size_t i = 0; items && i < field->count; i++) {
        items[i] = gen_value(g, g->m->graph->outputs[field->items[i].next], false);
        in_place &=
            field->role == CACHE_REPLACED &&
            ex_same(items[i], gen_cache_item(g, f, ex_int(g->arena, (int64_t)i)));
    }
    return in_place ? ex_name(g->arena, field->variable)
                    : ex_seq(g->arena, EX_LIST, items, items ? field->count : 0);
}

const Expr *gen_cache_result(Gen *g) {
    const Expr **items = ARENA_ARRAY(g->arena, 2 * g->cache.count, const Expr *);
    for (size_t f = 0; items && f < g->cache.count; f++) {
        items[2 * f] = ex_str(g->arena, g->cache.items[f].name);
        items[2 * f + 1] = field_result(g, f);
    }
    return ex_seq(g->arena, EX_DICT, items, items ? 2 * g->cache.count : 0);
}

const Expr *gen_cache_annotation(Gen *g) {
    const Expr *array = ex_name(g->arena, STR("jax.Array"));
    bool stacked = g->cache.items[0].stacked;
    return EX(g->arena, "dict[str, $0]",
              stacked ? array : EX(g->arena, "list[$0]", array));
}

/* ---- init_cache ------------------------------------------------------------------------ */

/* batch and length where the graph has symbols: the first axis, and another. */
static const Expr *empty_shape(Gen *g, const CacheField *field, const Value *v) {
    const Expr *items[OX_MAX_RANK + 1];
    size_t n = 0;
    if (field->stacked)
        items[n++] = ex_int(g->arena, (int64_t)field->count);
    for (int axis = 0; axis < v->type.rank; axis++) {
        Dim d = v->type.dims[axis];
        items[n++] = dim_is_int(d)
                         ? ex_int(g->arena, d.c)
                         : ex_name(g->arena, axis ? STR("length") : STR("batch"));
    }
    return ex_seq(g->arena, EX_TUPLE, items, n);
}

static const Expr *empty_field(Gen *g, const CacheField *field) {
    const Value *first = field->items[0].past;
    const Expr *zeros =
        EX(g->arena, "jnp.zeros($0, dtype)", empty_shape(g, field, first));
    bool alike = true;
    for (size_t i = 1; i < field->count; i++)
        alike &= type_same_shape(&first->type, &field->items[i].past->type);
    if (field->stacked)
        return zeros;
    if (alike)
        return EX(g->arena, "[$0 for _ in range($1)]", zeros,
                  ex_int(g->arena, (int64_t)field->count));
    const Expr **items = ARENA_ARRAY(g->arena, field->count, const Expr *);
    for (size_t i = 0; items && i < field->count; i++)
        items[i] = EX(g->arena, "jnp.zeros($0, dtype)",
                      empty_shape(g, field, field->items[i].past));
    return ex_seq(g->arena, EX_LIST, items, items ? field->count : 0);
}

void gen_add_init_cache(Gen *g) {
    const Expr **items = ARENA_ARRAY(g->arena, 2 * g->cache.count + 1, const Expr *);
    const Value *first = NULL;
    size_t n = 0;
    for (size_t f = 0; items && f < g->cache.count; f++) {
        const CacheField *field = &g->cache.items[f];
        if (field->role != CACHE_REPLACED || !field->count)
            continue;
        first = first ? first : field->items[0].past;
        items[n++] = ex_str(g->arena, field->name);
        items[n++] = empty_field(g, field);
    }
    if (!first)
        return;
    const Expr *tree = ex_seq(g->arena, EX_DICT, items, n);
    Stmts list = {0};
    CODE(
        g->arena, &list,
        "def init_cache(batch, length=$0, dtype=$1):\n"
        "    \"\"\"An empty cache: `length` positions for each of `batch` rows.\"\"\"\n"
        "    return $2\n",
        ex_int(g->arena, g->cache.length), gen_dtype(g, first->type.dtype),
        ex_spread(g->arena, tree));
    Def *def = code_find(&list, STR("init_cache"));
    if (def)
        def->result = gen_cache_annotation(g);
    code_append(g->arena, &g->program.code, &list);
}

static void describe_field(const Gen *g, const CacheField *field, Text *t) {
    const Value *first = field->role == CACHE_MADE
                             ? value_final(g->m->graph->outputs[field->items[0].next])
                             : field->items[0].past;
    text_printf(t, "        %.*s: ", (int)field->name.n, field->name.p);
    text_printf(t, "%zu x ", field->count);
    type_print(t, &first->type);
    text_lit(t, field->stacked              ? ", stacked\n"
                : field->role == CACHE_KEPT ? ", as the encoder gives them\n"
                                            : "\n");
}

void gen_describe_cache(const Gen *g, Text *t, bool after) {
    bool makes = has_role(g, CACHE_MADE);
    text_lit(t, makes   ? "    what a step reads of its cache\n"
                : after ? "    cache: what takes its place\n"
                        : "    cache: what init_cache makes\n");
    for (size_t f = 0; f < g->cache.count && (makes || !after); f++)
        describe_field(g, &g->cache.items[f], t);
}

/* ---- functions of layers --------------------------------------------------------------- */

/* Outputs that go to the cache come last, in all blocks of a kind alike. */
static void order_kind(Gen *g, const BlockKind *kind) {
    size_t n = kind->blocks[0]->n_out, next = 0;
    size_t *order = ARENA_ARRAY(g->arena, n + 1, size_t);
    Value **old = ARENA_ARRAY(g->arena, n + 1, Value *);
    if (!order || !old)
        return;
    for (int cached = 0; cached < 2; cached++)
        for (size_t k = 0; k < n; k++)
            if (!gen_cache_next(g, value_final(kind->blocks[0]->out[k])) == !cached)
                order[next++] = k;
    for (size_t i = 0; i < kind->count; i++) {
        Block *b = kind->blocks[i];
        memcpy(old, b->out, n * sizeof *old);
        for (size_t k = 0; k < n && b->n_out == n; k++)
            b->out[k] = old[order[k]];
    }
}

void gen_order_outputs(Gen *g) {
    const Blocks *blocks = g->m->blocks;
    for (size_t i = 0; g->cache.count && blocks && i < blocks->kinds.count; i++)
        order_kind(g, blocks->kinds.items[i]);
}
