/* Makes tables with a row for each parameter: text by key.  Rows that say the same of a
 * parameter of every numbered layer become one, however many layers there are. */
#include "emit/gen.h"

/* Rows that differ in one number only. */
typedef struct Family {
    Str head, tail;    /* of the key, around the number */
    Str before, after; /* of the text; after is absent where no number is in it */
    struct Group *group;
    int64_t first;
    size_t alike; /* rows that could be members */
    size_t count; /* those that are */
    bool broken;  /* their numbers do not follow each other */
} Family;

typedef struct Row {
    Str key, text;
    Family *family; /* NULL: it stays a row */
    int64_t number; /* that the family cuts out of the key */
} Row;

/* Families that share all but the tails of their keys: one comprehension. */
typedef struct Group {
    Family **items;
    size_t count, cap;
    bool mixed; /* their texts differ */
    bool pays;
} Group;

typedef struct Table {
    Arena *arena;
    const char *comment, *name;
    Row *items;
    size_t count;
    Map families;
    Map groups;
    struct {
        Group **items;
        size_t count, cap;
    } order; /* of the groups */
} Table;

/* ---- families ------------------------------------------------------------------------ */

/* The number is all between two dots. */
static int64_t item_at(Str s, size_t i, size_t *end) {
    int64_t number = i == 0 || s.p[i - 1] == '.' ? gen_number_at(s, i, end) : -1;
    return *end == s.n || s.p[*end] == '.' ? number : -1;
}

/* Cuts the text where it says the same number: "transposed encoder.3.weight". */
static bool cut_text(Str text, int64_t number, Family *f) {
    size_t space = 0, end = 0;
    while (space < text.n && text.p[space] != ' ')
        space++;
    f->before = text;
    f->after = (Str){0};
    size_t start = space < text.n ? space + 1 : 0;
    Str rest = {text.p + start, text.n - start};
    size_t n = gen_is_plain(rest) ? rest.n : 0;
    for (size_t i = 0; i < n; i++) {
        end = i;
        if ((i > 0 && rest.p[i - 1] != '.') || item_at(rest, i, &end) != number)
            continue;
        f->before = (Str){text.p, (size_t)(rest.p + i - text.p)};
        f->after = (Str){rest.p + end, rest.n - end};
        return true;
    }
    return false;
}

/* The family of a row by the number at i of its key; NULL where none is. */
static Family *family_at(Table *c, const Row *row, size_t i, int64_t *number) {
    size_t end = i;
    *number = item_at(row->key, i, &end);
    if (*number < 0)
        return NULL;
    Family f = {.head = {row->key.p, i}, .tail = {row->key.p + end, row->key.n - end}};
    bool cut = cut_text(row->text, *number, &f);
    Str name = arena_printf(c->arena, "%.*s*%.*s %.*s%s%.*s", (int)f.head.n, f.head.p,
                            (int)f.tail.n, f.tail.p, (int)f.before.n, f.before.p,
                            cut ? "*" : "", (int)f.after.n, f.after.p);
    Family *known = (Family *)map_get(&c->families, name);
    if (known)
        return known;
    known = ARENA_NEW(c->arena, Family);
    if (!known || !map_set(&c->families, name, known))
        return NULL;
    *known = f;
    return known;
}

/* Calls visit on the families that the row could join.  Names of more numbers than
 * modules nest, or longer than people write, stay rows: each family has a copy. */
static void each_family(Table *c, Row *row,
                        void (*visit)(Row *row, Family *f, int64_t number)) {
    enum { NUMBERS_MAX = 8, LENGTH_MAX = 512 };
    bool usual = row->key.n <= LENGTH_MAX && gen_is_plain(row->key);
    int64_t number;
    for (size_t i = 0, found = 0; usual && i < row->key.n && found < NUMBERS_MAX; i++) {
        Family *f = family_at(c, row, i, &number);
        found += f != NULL;
        if (f)
            visit(row, f, number);
    }
}

static void count_alike(Row *row, Family *f, int64_t number) {
    (void)row, (void)number;
    f->alike++;
}

/* The largest of its families is the row's. */
static void choose(Row *row, Family *f, int64_t number) {
    if (f->alike < 2 || (row->family && f->alike <= row->family->alike))
        return;
    row->family = f;
    row->number = number;
}

static void join(const Row *row) {
    Family *f = row->family;
    if (!f)
        return;
    f->first = f->count ? f->first : row->number;
    f->broken |= row->number != f->first + (int64_t)f->count++;
}

/* ---- groups -------------------------------------------------------------------------- */

static void group(Table *c, Family *f) {
    if (f->group || f->broken || f->count < 2)
        return;
    Str name = arena_printf(c->arena, "%.*s %lld %zu", (int)f->head.n, f->head.p,
                            (long long)f->first, f->count);
    /* the tails of a group are the values of one variable; a cut text has them too */
    if (f->after.p || !f->tail.n)
        name = arena_printf(c->arena, "%.*s %.*s %.*s*%.*s", (int)name.n, name.p,
                            (int)f->tail.n, f->tail.p, (int)f->before.n, f->before.p,
                            (int)f->after.n, f->after.p);
    Group *known = (Group *)map_get(&c->groups, name);
    if (!known) {
        known = ARENA_NEW(c->arena, Group);
        if (!known || !map_set(&c->groups, name, known) ||
            !ARENA_PUSH(c->arena, &c->order, known))
            return;
    }
    if (!ARENA_PUSH(c->arena, known, f))
        return;
    f->group = known;
    known->mixed |= !str_eq(f->before, known->items[0]->before);
}

static bool is_in_group(const Row *row) {
    return row->family && row->family->group && row->family->group->pays;
}

/* ---- statements ---------------------------------------------------------------------- */

/* f"head{i}tail" */
static const Expr *numbered(Arena *a, Str head, const Expr *tail) {
    const Expr *parts[] = {ex_str(a, head), ex_name(a, STR("i")), tail};
    return ex_fstring(a, parts, OX_COUNT(parts));
}

/* f"layers.{i}.{name}": "transposed" */
static const Expr *group_pair(Arena *a, const Group *group) {
    const Family *f = group->items[0];
    const Expr *parts[] = {ex_str(a, f->head), ex_name(a, STR("i")),
                           ex_str(a, STR(".")), ex_name(a, STR("name"))};
    const Expr *key = group->count > 1 ? ex_fstring(a, parts, OX_COUNT(parts))
                                       : numbered(a, f->head, ex_str(a, f->tail));
    const Expr *value = group->mixed ? ex_name(a, STR("value"))
                        : f->after.p ? numbered(a, f->before, ex_str(a, f->after))
                                     : ex_str(a, f->before);
    return ex_node(a, EX_PAIR, (Str){0}, (const Expr *const[]){key, value}, 2);
}

static const Expr *clause(Arena *a, const Expr *targets, const Expr *iterable) {
    const Expr *kids[] = {targets, iterable};
    return ex_node(a, EX_FOR, (Str){0}, kids, OX_COUNT(kids));
}

static const Expr *range_clause(Arena *a, const Group *group) {
    const Family *f = group->items[0];
    const Expr *first = f->first ? ex_int(a, f->first) : NULL,
               *end = ex_int(a, f->first + (int64_t)f->count);
    return clause(a, ex_name(a, STR("i")), EX(a, "range($($0, )$1)", first, end));
}

/* What the tails of the keys are called, without their dots. */
static const Expr *tail_name(Arena *a, const Family *f) {
    return ex_str(a, (Str){f->tail.p + 1, f->tail.n - 1});
}

/* `for name in (...)` */
static const Expr *names_clause(Arena *a, const Group *group) {
    const Expr **items = ARENA_ARRAY(a, group->count, const Expr *);
    for (size_t i = 0; items && i < group->count; i++)
        items[i] = tail_name(a, group->items[i]);
    return clause(a, ex_name(a, STR("name")),
                  ex_seq(a, EX_TUPLE, items, items ? group->count : 0));
}

/* `for name, value in {...}.items()` */
static const Expr *texts_clause(Arena *a, const Group *group) {
    const Expr **items = ARENA_ARRAY(a, 2 * group->count, const Expr *);
    for (size_t i = 0; items && i < group->count; i++) {
        items[2 * i] = tail_name(a, group->items[i]);
        items[2 * i + 1] = ex_str(a, group->items[i]->before);
    }
    const Expr *dict = ex_seq(a, EX_DICT, items, items ? 2 * group->count : 0);
    const Expr *names[] = {ex_name(a, STR("name")), ex_name(a, STR("value"))};
    return clause(a, ex_bare(a, ex_seq(a, EX_TUPLE, names, 2)),
                  EX(a, "$0.items()", ex_spread(a, dict)));
}

/* {f"layers.{i}.{name}": "transposed" for i in range(12) for name in (...)} */
static const Expr *comprehension(Arena *a, const Group *group) {
    const Expr *kids[3] = {group_pair(a, group), range_clause(a, group)};
    size_t n = 2;
    if (group->mixed)
        kids[n++] = texts_clause(a, group);
    else if (group->count > 1)
        kids[n++] = names_clause(a, group);
    return ex_node(a, EX_COMPREHENSION, STR("{"), kids, n);
}

static Stmt assignment(const Table *c, const char *operation, const Expr *value) {
    return (Stmt){.kind = ST_ASSIGN,
                  .text = str_from(operation),
                  .target = ex_name(c->arena, str_from(c->name)),
                  .expr = value};
}

/* Whether the groups are shorter than the rows that they stand for; a pair has to fit on
 * its line. */
static void weigh(Table *c) {
    size_t room = PRINT_WIDTH - PRINT_INDENT;
    for (size_t i = 0; i < c->order.count; i++) {
        Group *group = c->order.items[i];
        const Expr *x = comprehension(c->arena, group);
        if (c->arena->failed)
            return;
        Stmt s = assignment(c, "|=", x);
        group->pays =
            gen_width(x->kids[0], room) <= room &&
            gen_lines(&(Stmts){&s, 1, 1}, 0, 0) < group->count * group->items[0]->count;
    }
}

/* NAME = {"key": "text"}, then NAME |= ... for each group. */
static void add_rows(Table *c, Stmts *list) {
    const Expr **items = ARENA_ARRAY(c->arena, 2 * c->count, const Expr *);
    size_t n = 0;
    for (size_t i = 0; items && i < c->count; i++) {
        if (is_in_group(&c->items[i]))
            continue;
        items[n++] = ex_str(c->arena, c->items[i].key);
        items[n++] = ex_str(c->arena, c->items[i].text);
    }
    if (n)
        (void)code_add(c->arena, list,
                       assignment(c, "=", ex_seq(c->arena, EX_DICT, items, n)));
    for (size_t i = 0; i < c->order.count; i++)
        if (c->order.items[i]->pays)
            (void)code_add(c->arena, list,
                           assignment(c, list->count ? "|=" : "=",
                                      comprehension(c->arena, c->order.items[i])));
    if (list->count)
        list->items[0].comment = c->comment;
}

static void find_groups(Table *c) {
    for (size_t i = 0; i < c->count; i++)
        each_family(c, &c->items[i], count_alike);
    for (size_t i = 0; i < c->count; i++) {
        each_family(c, &c->items[i], choose);
        join(&c->items[i]);
    }
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].family)
            group(c, c->items[i].family);
}

void gen_add_table(Gen *g, const char *comment, const char *name, const TableRow *rows,
                   size_t n) {
    Table c = {.arena = g->arena, .comment = comment, .name = name, .count = n};
    Stmts list = {0};
    c.families.arena = c.groups.arena = g->arena;
    c.items = ARENA_ARRAY(g->arena, n, Row);
    if (!c.items)
        return;
    for (size_t i = 0; i < n; i++)
        c.items[i] = (Row){.key = rows[i].key, .text = rows[i].text};
    find_groups(&c);
    if (g->arena->failed)
        return;
    weigh(&c);
    add_rows(&c, &list);
    code_append(g->arena, &g->program.params, &list);
}
