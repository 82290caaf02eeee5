/* The map from nodes and parameters of the model to lines of the module, as JSON.
 *
 * It costs nothing until somebody asks: the program is then printed once more, with an eye
 * on where its statements come to lie, and what their notes name gets those lines.
 *
 *     node of the file -> the node that stands for it      fused, merged: Whereabouts
 *                      -> the same node of the first block of its kind, whose code is the
 *                         function's
 *                      -> lines */
#include "emit/gen.h"
#include "support/json.h"

#include <stdlib.h>

enum { LINE_MAP_VERSION = 1 };

typedef struct Lines {
    uint32_t first, last; /* they count from 1 */
} Lines;

/* Lines of one thing, in a list of all of its kind. */
typedef struct LineEntry {
    uint32_t of, next; /* number of the next entry + 1; 0: the last */
    Lines lines;
} LineEntry;

typedef struct Index {
    uint32_t *first, *last; /* by thing: numbers of entries + 1 */
    size_t things;
    struct {
        LineEntry *items;
        size_t count, cap;
    } entries;
} Index;

typedef struct LineMap {
    Gen *g;
    Arena *arena; /* scratch */
    size_t *ends; /* of the lines of the program's text, by number; see line_at */
    size_t n_ends;
    size_t above; /* lines of the file above that text */
    const Def **defs;
    Lines *functions; /* by number: from `def` on */
    Index nodes;      /* by place */
    Index calls;      /* by number of the function */
    Index reads;      /* by id of the parameter */
    Index params;     /* by number in the module's list */
    uint32_t *stands; /* by index of a node: the index of the one that has the code */
} LineMap;

/* ---- lists of lines ----------------------------------------------------------------- */

static void index_make(LineMap *map, Index *index, size_t things) {
    index->things = things;
    index->first = ARENA_ARRAY(map->arena, things + 1, uint32_t);
    index->last = ARENA_ARRAY(map->arena, things + 1, uint32_t);
    if (!index->first || !index->last)
        index->things = 0;
}

/* Lines come in order; those that touch are one range. */
static void index_add(LineMap *map, Index *index, size_t of, Lines lines) {
    if (of >= index->things)
        return;
    uint32_t *last = &index->last[of];
    if (*last) {
        Lines *before = &index->entries.items[*last - 1].lines;
        if (lines.first <= before->last + 1 && lines.first >= before->first) {
            before->last = lines.last > before->last ? lines.last : before->last;
            return;
        }
    }
    LineEntry entry = {.of = (uint32_t)of, .lines = lines};
    if (!ARENA_PUSH(map->arena, &index->entries, entry))
        return;
    uint32_t number = (uint32_t)index->entries.count;
    if (*last)
        index->entries.items[*last - 1].next = number;
    else
        index->first[of] = number;
    *last = number;
}

static uint32_t index_first(const Index *index, size_t of) {
    return of < index->things ? index->first[of] : 0;
}

/* ---- where statements are ----------------------------------------------------------- */

/* The line that holds this byte of the program's text. */
static uint32_t line_at(const LineMap *map, size_t at) {
    size_t low = 0, high = map->n_ends;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (map->ends[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)(map->above + low + 1);
}

/* A statement that was printed, until all of the text is there. */
typedef struct Printed {
    const Stmt *s;
    size_t begin, end, whole;
} Printed;

typedef struct PrintedList {
    Arena *arena;
    Printed *items;
    size_t count, cap;
} PrintedList;

static void note_printed(void *user, const Stmt *s, size_t begin, size_t end,
                         size_t whole) {
    PrintedList *list = user;
    Printed p = {s, begin, end, whole};
    (void)ARENA_PUSH(list->arena, list, p);
}

static bool find_ends(LineMap *map, Str text, Str source) {
    size_t count = 0;
    if (text.n > source.n || memcmp(source.p + source.n - text.n, text.p, text.n) != 0)
        return false;
    for (size_t i = 0; i < source.n - text.n; i++)
        map->above += source.p[i] == '\n';
    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == '\n';
    map->ends = ARENA_ARRAY(map->arena, count + 1, size_t);
    for (size_t i = 0; map->ends && i < text.n; i++)
        if (text.p[i] == '\n')
            map->ends[map->n_ends++] = i;
    return map->ends != NULL;
}

/* ---- what statements come from ------------------------------------------------------ */

typedef struct Reading {
    LineMap *map;
    Lines lines;
} Reading;

static void take_note(const Reading *r, uint32_t note) {
    const Gen *g = r->map->g;
    NoteList list = {note};
    NoteKind kind;
    uint32_t number;
    while (gen_next_note(g, &list, &kind, &number)) {
        const Whereabouts *nodes = &g->m->nodes;
        if (kind == NOTE_NODE && number < nodes->count && nodes->place[number])
            index_add(r->map, &r->map->nodes, nodes->place[number] - 1, r->lines);
        else if (kind == NOTE_FUNCTION)
            index_add(r->map, &r->map->calls, number, r->lines);
        else if (kind == NOTE_PARAM && number < g->reads.count)
            index_add(r->map, &r->map->reads, g->reads.items[number]->id, r->lines);
    }
}

static void take_expr(void *user, const Expr *x) {
    take_note(user, x->note);
}

static void take_statement(LineMap *map, const Printed *p) {
    Reading r = {map, {line_at(map, p->begin), line_at(map, p->end - 1)}};
    const Stmt *s = p->s;
    Lines *function = NULL; /* of the module */
    for (size_t i = 0; s->def && i < map->g->functions.count; i++)
        if (map->g->functions.items[i]->def == s->def)
            function = &map->functions[i];
    Lines whole = {r.lines.first, line_at(map, p->whole - 1)};
    if (function)
        *function = whole;
    else if (s->def)
        r.lines = whole;
    take_note(&r, s->note);
    if (s->target)
        ex_each(s->target, take_expr, &r);
    if (s->expr)
        ex_each(s->expr, take_expr, &r);
}

/* ---- which node has the code -------------------------------------------------------- */

/* Where a module that only some blocks have begins in those of f, and how long it is. */
static uint32_t optional_at(const Function *f, uint32_t *count) {
    const Part *p = f->optional.made ? f->optional.part : NULL;
    *count = p ? p->last - p->first : 0;
    return p ? p->at - f->kind->blocks[0]->first : UINT32_MAX;
}

/* The block from which the code of b was written; the place in it of one in b. */
static const Block *written_from(const Block *b, uint32_t *place) {
    const Function *f = gen_function_of(b);
    const Function *has = f->differs.optional.n ? f->differs.has : NULL;
    uint32_t count, host_count, at = optional_at(b->kind->code, &count);
    uint32_t host_at = optional_at(f, &host_count);
    if (!has)
        return f->kind->blocks[0];
    if (*place >= at && *place - at < count) {
        *place += optional_at(has, &count) - at;
        return has->kind->blocks[0];
    }
    if (*place >= at)
        *place -= count;
    if (*place >= host_at)
        *place += host_count;
    return f->kind->blocks[0];
}

/* The node of the graph at the same place of the block from which the code was written. */
static const Node *written_for(const Graph *graph, uint32_t at) {
    const Block *around = NULL;
    for (;;) {
        const Node *n = graph->nodes[at];
        const Block *b = n->part ? block_inside(n, around) : NULL;
        if (!b || !b->kind->code || at < b->first)
            return n;
        uint32_t place = at - b->first;
        const Block *first = written_from(b, &place);
        if (place >= first->count)
            return n;
        at = first->first + place;
        around = first;
    }
}

static void find_stands(LineMap *map) {
    const Model *m = map->g->m;
    const Whereabouts *nodes = &m->nodes;
    map->stands = ARENA_ARRAY(map->arena, (size_t)nodes->count + 1, uint32_t);
    for (uint32_t i = 0; map->stands && i < nodes->count; i++)
        map->stands[i] = i;
    for (uint32_t i = 0; map->stands && m->blocks && i < m->graph->n_nodes; i++) {
        uint32_t index = m->graph->nodes[i]->index;
        if (index < nodes->count)
            map->stands[index] = written_for(m->graph, i)->index;
    }
    /* who stood for another may have been merged later */
    for (size_t i = map->stands ? nodes->absorbed.count : 0; i-- > 0;) {
        struct Absorbed a = nodes->absorbed.items[i];
        if (a.index < nodes->count && a.by < nodes->count)
            map->stands[a.index] = map->stands[a.by];
    }
}

/* ---- parameters --------------------------------------------------------------------- */

/* What walks over all readers of parameters. */
typedef struct Readers {
    LineMap *map;
    uint32_t *number;  /* by id of a value: in the module's list, + 1 */
    Map taken;         /* pairs of a parameter and what its lines were taken from */
    const Node *first; /* that has the code; NULL: nodes are in a subgraph */
    uint32_t place;    /* of the node of the graph, + 1 */
} Readers;

static void copy_lines(LineMap *map, const Index *from, size_t of, size_t param) {
    for (uint32_t e = index_first(from, of); e; e = from->entries.items[e - 1].next)
        index_add(map, &map->params, param, from->entries.items[e - 1].lines);
}

static uint32_t param_number(Readers *r, const Value *v) {
    uint32_t *number = &r->number[v->id];
    const size_t *known =
        *number ? NULL : map_get(&r->map->g->param_keys, param_key_of(v));
    const ModuleParam *p = known ? &r->map->g->params.items[*known - 1] : NULL;
    if (p && p->tensor == v->tensor)
        *number = (uint32_t)*known;
    return *number;
}

/* The first time for this pair: a parameter may have thousands of readers. */
static bool is_new(Readers *r, uint32_t number, uint32_t from) {
    uint32_t pair[] = {number, from};
    Str key = {(const char *)pair, sizeof pair};
    if (map_get(&r->taken, key))
        return false;
    return map_set(&r->taken, arena_str(r->map->arena, key), r);
}

/* Where v is read itself or, where that was lost, where its readers are. */
static void take_param(Readers *r, Value *v, Value *written) {
    v = value_final(v);
    written = value_final(written);
    uint32_t number =
        v->kind == VALUE_PARAM && v->id < r->map->reads.things ? param_number(r, v) : 0;
    if (!number)
        return;
    bool noted = index_first(&r->map->reads, written->id);
    if (!is_new(r, number, noted ? written->id : UINT32_MAX - r->place))
        return;
    if (noted)
        copy_lines(r->map, &r->map->reads, written->id, number - 1);
    else if (r->place)
        copy_lines(r->map, &r->map->nodes, r->place - 1, number - 1);
}

static void take_reader(Readers *r, const Node *n) {
    const Node *first = r->first ? r->first : n;
    for (uint32_t i = 0; i < n->n_in && first->n_in == n->n_in; i++)
        if (n->in[i] && first->in[i])
            take_param(r, n->in[i], first->in[i]);
}

static void take_readers(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        take_reader(user, g->nodes[i]);
}

static void find_params(LineMap *map) {
    const Gen *g = map->g;
    const Graph *graph = g->m->graph;
    const Whereabouts *nodes = &g->m->nodes;
    Readers r = {.map = map,
                 .taken = {.arena = map->arena},
                 .number = ARENA_ARRAY(map->arena, map->reads.things + 1, uint32_t)};
    for (uint32_t i = 0; r.number && i < graph->n_nodes; i++) {
        const Node *n = graph->nodes[i];
        r.first = g->m->blocks ? written_for(graph, i) : n;
        uint32_t index = r.first->index;
        r.place = index < nodes->count ? nodes->place[index] : 0;
        take_reader(&r, n);
        r.first = NULL;
        for (uint32_t a = 0; a < node_graph_attrs(n); a++)
            for (size_t k = 0; k < n->attrs[a].graph_count; k++)
                graph_each(n->attrs[a].graphs[k], take_readers, &r);
    }
    /* what operators have made parameters of has no reader in the graph */
    for (size_t i = 0; r.number && i < g->reads.count; i++) {
        Value *v = (Value *)(uintptr_t)g->reads.items[i];
        if (!r.number[v->id] && !g->tensors.count)
            continue;
        uint32_t number = param_number(&r, v);
        if (number && !index_first(&map->params, number - 1))
            copy_lines(map, &map->reads, v->id, number - 1);
    }
}

/* ---- JSON --------------------------------------------------------------------------- */

static int by_first(const void *a, const void *b) {
    const Lines *x = a, *y = b;
    return x->first != y->first ? (x->first < y->first ? -1 : 1)
                                : (x->last > y->last) - (x->last < y->last);
}

/* [[4,4],[9,12]]: sorted, and apart from each other. */
static void put_lines(LineMap *map, const char *key, const Index *index, size_t of,
                      Text *t) {
    size_t n = 0, kept = 0;
    for (uint32_t e = index_first(index, of); e; e = index->entries.items[e - 1].next)
        n++;
    Lines *all = ARENA_ARRAY(map->arena, n + 1, Lines);
    if (!all)
        return;
    for (uint32_t e = index_first(index, of); e; e = index->entries.items[e - 1].next)
        all[kept++] = index->entries.items[e - 1].lines;
    qsort(all, n, sizeof *all, by_first);
    text_printf(t, "\"%s\":[", key);
    for (size_t i = 0; i < n;) {
        Lines range = all[i++];
        for (; i < n && all[i].first <= range.last + 1; i++)
            range.last = all[i].last > range.last ? all[i].last : range.last;
        text_printf(t, "%s[%u,%u]", t->p[t->n - 1] == ']' ? "," : "", range.first,
                    range.last);
    }
    text_char(t, ']');
}

static void put_nodes(LineMap *map, Text *t) {
    const Whereabouts *nodes = &map->g->m->nodes;
    uint32_t *index_of = ARENA_ARRAY(map->arena, (size_t)nodes->places + 1, uint32_t);
    bool any = false;
    for (uint32_t i = nodes->count; index_of && i-- > 0;)
        if (nodes->place[i]) /* the node itself comes before those of its subgraphs */
            index_of[nodes->place[i] - 1] = i;
    text_lit(t, "\"nodes\":[");
    for (uint32_t i = 0; index_of && i < nodes->places; i++) {
        uint32_t place = nodes->place[map->stands[index_of[i]]];
        if (!place || !index_first(&map->nodes, place - 1))
            continue;
        text_printf(t, "%s\n{\"node\":%u,", any ? "," : "", i);
        put_lines(map, "lines", &map->nodes, place - 1, t);
        text_char(t, '}');
        any = true;
    }
    text_lit(t, "],\n");
}

/* The paths of all modules that f stands for. */
static void put_modules(const Gen *g, const Function *f, Text *t) {
    const Blocks *blocks = g->m->blocks;
    bool any = false;
    text_lit(t, "\"modules\":[");
    for (size_t k = 0; blocks && k < blocks->kinds.count; k++) {
        const BlockKind *kind = blocks->kinds.items[k];
        if (!kind->code || kind->inlined || gen_function_of(kind->blocks[0]) != f)
            continue;
        for (size_t i = 0; i < kind->count; i++) {
            text_lit(t, any ? "," : "");
            text_json(t, kind->blocks[i]->part->path);
            any = true;
        }
    }
    text_char(t, ']');
}

static void put_functions(LineMap *map, Text *t) {
    const Gen *g = map->g;
    text_lit(t, "\"functions\":[");
    for (size_t i = 0; i < g->functions.count; i++) {
        const Function *f = g->functions.items[i];
        text_lit(t, i ? ",\n{\"name\":" : "\n{\"name\":");
        text_json(t, f->def->name);
        text_lit(t, ",\"class\":");
        text_json(t, f->kind->blocks[0]->part->type);
        text_printf(t, ",\"lines\":[%u,%u],", map->functions[i].first,
                    map->functions[i].last);
        put_modules(g, f, t);
        text_char(t, ',');
        put_lines(map, "calls", &map->calls, i, t);
        text_char(t, '}');
    }
    text_lit(t, "],\n");
}

static void put_params(LineMap *map, Text *t) {
    const Gen *g = map->g;
    bool any = false;
    text_lit(t, "\"params\":[");
    for (size_t i = 0; i < g->params.count; i++) {
        if (!index_first(&map->params, i))
            continue;
        text_lit(t, any ? ",\n{\"name\":" : "\n{\"name\":");
        text_json(t, g->params.items[i].key);
        text_char(t, ',');
        put_lines(map, "lines", &map->params, i, t);
        text_char(t, '}');
        any = true;
    }
    text_lit(t, "]}\n");
}

/* ---- all of it ---------------------------------------------------------------------- */

static bool find_lines(LineMap *map, Str source) {
    const Program *p = &map->g->program;
    Text text = {.arena = map->arena};
    PrintedList list = {.arena = map->arena};
    PrintWatch watch = {note_printed, &list};
    print_watched(&text, 0, &p->code, true, &watch);
    print_code(&text, 0, &p->params, true);
    if (map->arena->failed || !find_ends(map, text_view(&text), source))
        return false;
    for (size_t i = 0; i < list.count; i++)
        take_statement(map, &list.items[i]);
    return true;
}

void gen_line_map(Gen *g, Str source, Text *out) {
    Arena scratch;
    arena_scratch_begin(&scratch, g->arena);
    LineMap map = {.g = g, .arena = &scratch};
    map.functions = ARENA_ARRAY(&scratch, g->functions.count + 1, Lines);
    index_make(&map, &map.nodes, g->m->nodes.places);
    index_make(&map, &map.calls, g->functions.count);
    index_make(&map, &map.reads, (size_t)g->m->value_count + 1);
    index_make(&map, &map.params, g->params.count);
    bool ok = map.functions && find_lines(&map, source);
    find_stands(&map);
    if (ok && map.stands)
        find_params(&map);
    if (ok && !scratch.failed) {
        text_printf(out, "{\"version\":%d,\n", LINE_MAP_VERSION);
        put_nodes(&map, out);
        put_functions(&map, out);
        put_params(&map, out);
    }
    arena_scratch_end(&scratch, g->arena);
}
