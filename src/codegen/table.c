/* Prints tables with a row for each parameter: text by key.  Rows that say the same of a
 * parameter of every numbered layer become one, however many layers there are. */
#include "codegen/gen.h"

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
    const char *name;
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

/* ---- printing ------------------------------------------------------------------------ */

/* f"layers.{i}.{name}": "transposed" */
static void print_pair(Text *t, const Group *group) {
    const Family *f = group->items[0];
    text_printf(t, "f\"%.*s{i}", (int)f->head.n, f->head.p);
    if (group->count > 1)
        text_lit(t, ".{name}");
    else
        text_str(t, f->tail);
    text_lit(t, "\": ");
    if (group->mixed) {
        text_lit(t, "value");
        return;
    }
    if (!f->after.p) {
        print_string(t, f->before);
        return;
    }
    text_printf(t, "f\"%.*s{i}%.*s\"", (int)f->before.n, f->before.p, (int)f->after.n,
                f->after.p);
}

static void print_range(Text *t, const Group *group) {
    const Family *f = group->items[0];
    text_lit(t, "for i in range(");
    if (f->first)
        text_printf(t, "%lld, ", (long long)f->first);
    text_printf(t, "%lld)", (long long)f->first + (long long)f->count);
}

/* `for name in (...)`; lines: one name each. */
static void print_names(Text *t, const Group *group, bool lines) {
    text_lit(t, "for name in (");
    for (size_t i = 0; i < group->count; i++) {
        Str tail = group->items[i]->tail;
        text_lit(t, lines ? "\n        " : i ? ", " : "");
        print_string(t, (Str){tail.p + 1, tail.n - 1});
        if (lines)
            text_char(t, ',');
    }
    text_lit(t, lines ? "\n    )" : ")");
}

/* `for name, value in {...}.items()` */
static void print_texts(Text *t, const Group *group) {
    text_lit(t, "for name, value in {");
    for (size_t i = 0; i < group->count; i++) {
        const Family *f = group->items[i];
        text_lit(t, "\n        ");
        print_string(t, (Str){f->tail.p + 1, f->tail.n - 1});
        text_lit(t, ": ");
        print_string(t, f->before);
        text_char(t, ',');
    }
    text_lit(t, "\n    }.items()");
}

static size_t lines_of(Str s) {
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

/* The comprehension between its braces: on one line where that fits behind `taken`
 * columns.  The empty string when a line is too long. */
static Str group_text(Arena *a, const Group *group, size_t taken) {
    Text flat = {.arena = a}, names = {.arena = a}, t = {.arena = a};
    print_pair(&t, group);
    if (PRINT_INDENT + t.n > PRINT_WIDTH)
        return (Str){0};
    text_str(&flat, text_view(&t));
    text_char(&flat, ' ');
    print_range(&flat, group);
    text_lit(&t, "\n    ");
    print_range(&t, group);
    if (group->mixed) {
        text_lit(&t, "\n    ");
        print_texts(&t, group);
    } else if (group->count > 1) {
        print_names(&names, group, false);
        text_printf(&flat, " %.*s", (int)names.n, names.p);
        text_lit(&t, "\n    ");
        print_names(&t, group, PRINT_INDENT + names.n > PRINT_WIDTH);
    }
    if (!group->mixed && taken + flat.n + 1 <= PRINT_WIDTH)
        return text_view(&flat);
    return arena_printf(a, "\n    %.*s\n", (int)t.n, t.p);
}

/* Whether the groups are shorter than the rows that they stand for. */
static void weigh(Table *c) {
    size_t taken = strlen(c->name) + sizeof " |= {" - 1;
    for (size_t i = 0; i < c->order.count; i++) {
        Group *group = c->order.items[i];
        Str text = group_text(c->arena, group, taken);
        group->pays = text.n && lines_of(text) < group->count * group->items[0]->count;
    }
}

/* NAME = {"key": "text"}, then NAME |= ... for each group. */
static void print_rows(Table *c, Text *t) {
    const Expr **items = ARENA_ARRAY(c->arena, 2 * c->count, const Expr *);
    size_t n = 0;
    for (size_t i = 0; items && i < c->count; i++) {
        if (is_in_group(&c->items[i]))
            continue;
        items[n++] = ex_str(c->arena, c->items[i].key);
        items[n++] = ex_str(c->arena, c->items[i].text);
    }
    bool there = n > 0;
    Str name = str_from(c->name);
    if (n)
        print_assign(t, 0, &name, 1, ex_seq(c->arena, EX_DICT, items, n));
    for (size_t i = 0; i < c->order.count; i++) {
        if (!c->order.items[i]->pays)
            continue;
        Str head = arena_printf(c->arena, "%s %s {", c->name, there ? "|=" : "=");
        text_str(t, head);
        text_str(t, group_text(c->arena, c->order.items[i], head.n));
        text_lit(t, "}\n");
        there = true;
    }
}

void gen_print_table(Gen *g, Text *t, const char *name, const TableRow *rows,
                     size_t n) {
    Table c = {.arena = g->arena, .name = name, .count = n};
    c.families.arena = c.groups.arena = g->arena;
    c.items = ARENA_ARRAY(g->arena, n, Row);
    if (!c.items)
        return;
    for (size_t i = 0; i < n; i++)
        c.items[i] = (Row){.key = rows[i].key, .text = rows[i].text};
    for (size_t i = 0; i < n; i++)
        each_family(&c, &c.items[i], count_alike);
    for (size_t i = 0; i < n; i++) {
        each_family(&c, &c.items[i], choose);
        join(&c.items[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (c.items[i].family)
            group(&c, c.items[i].family);
    if (g->arena->failed)
        return;
    weigh(&c);
    print_rows(&c, t);
}
