/* CHANGED, the table of what exporters did to parameters, which load_params needs for
 * files that PyTorch wrote.  What was done to the same parameter of every numbered layer
 * takes one row, however many layers there are. */
#include "codegen/gen.h"

/* Changes that differ in one number only. */
typedef struct Family {
    Str head, tail;    /* of the key, around the number */
    Str before, after; /* of the change; after is absent where no number is in it */
    struct Group *group;
    int64_t first;
    size_t alike; /* changes that could be members */
    size_t count; /* those that are */
    bool broken;  /* their numbers do not follow each other */
} Family;

typedef struct Change {
    Str key, change;
    Family *family; /* NULL: a row of its own */
} Change;

/* Families that share all but the tails of their keys: one comprehension. */
typedef struct Group {
    Family **items;
    size_t count, cap;
    bool pays;
} Group;

typedef struct Changes {
    Arena *arena;
    Change *items;
    size_t count, cap;
    Map families;
    Map groups;
    struct {
        Group **items;
        size_t count, cap;
    } order; /* of the groups */
} Changes;

/* ---- families ------------------------------------------------------------------------ */

/* The number is all between two dots. */
static int64_t item_at(Str s, size_t i, size_t *end) {
    int64_t number = i == 0 || s.p[i - 1] == '.' ? gen_number_at(s, i, end) : -1;
    return *end == s.n || s.p[*end] == '.' ? number : -1;
}

/* Cuts the change where it says the same number: "equals encoder.3.weight". */
static bool cut_change(Str change, int64_t number, Family *f) {
    size_t space = 0, end = 0;
    while (space < change.n && change.p[space] != ' ')
        space++;
    f->before = change;
    f->after = (Str){0};
    Str rest =
        space < change.n ? (Str){change.p + space + 1, change.n - space - 1} : (Str){0};
    for (size_t i = 0; gen_is_plain(rest) && i < rest.n; i++) {
        end = i;
        if ((i > 0 && rest.p[i - 1] != '.') || item_at(rest, i, &end) != number)
            continue;
        f->before = (Str){change.p, (size_t)(rest.p + i - change.p)};
        f->after = (Str){rest.p + end, rest.n - end};
        return true;
    }
    return false;
}

/* The family of a change by the number at i of its key; NULL where none is. */
static Family *family_at(Changes *c, const Change *change, size_t i, int64_t *number) {
    size_t end = i;
    *number = item_at(change->key, i, &end);
    if (*number < 0)
        return NULL;
    Family f = {.head = {change->key.p, i},
                .tail = {change->key.p + end, change->key.n - end}};
    bool cut = cut_change(change->change, *number, &f);
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

static void count_alike(Changes *c, const Change *change) {
    int64_t number;
    for (size_t i = 0; gen_is_plain(change->key) && i < change->key.n; i++) {
        Family *f = family_at(c, change, i, &number);
        if (f)
            f->alike++;
    }
}

/* The change becomes a member of the largest of its families. */
static void join(Changes *c, Change *change) {
    int64_t number, chosen = -1;
    for (size_t i = 0; gen_is_plain(change->key) && i < change->key.n; i++) {
        Family *f = family_at(c, change, i, &number);
        if (!f || f->alike < 2 || (change->family && f->alike <= change->family->alike))
            continue;
        change->family = f;
        chosen = number;
    }
    Family *f = change->family;
    if (!f)
        return;
    f->first = f->count ? f->first : chosen;
    f->broken |= chosen != f->first + (int64_t)f->count++;
}

/* ---- groups -------------------------------------------------------------------------- */

static void group(Changes *c, Family *f) {
    if (f->group || f->broken || f->count < 2)
        return;
    /* the tails of a group are the values of one variable; a cut change has them too */
    bool alone = f->after.p || !f->tail.n;
    Str name = arena_printf(c->arena, "%.*s %lld %zu %.*s %.*s", (int)f->head.n,
                            f->head.p, (long long)f->first, f->count, (int)f->before.n,
                            f->before.p, alone ? (int)f->tail.n : 0, f->tail.p);
    if (alone)
        name = arena_printf(c->arena, "%.*s*%.*s", (int)name.n, name.p, (int)f->after.n,
                            f->after.p);
    Group *known = (Group *)map_get(&c->groups, name);
    if (!known) {
        known = ARENA_NEW(c->arena, Group);
        if (!known || !map_set(&c->groups, name, known) ||
            !ARENA_PUSH(c->arena, &c->order, known))
            return;
    }
    if (ARENA_PUSH(c->arena, known, f))
        f->group = known;
}

static bool is_in_group(const Change *change) {
    return change->family && change->family->group && change->family->group->pays;
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
    if (group->count > 1) {
        print_names(&names, group, false);
        text_printf(&flat, " %.*s", (int)names.n, names.p);
        text_lit(&t, "\n    ");
        print_names(&t, group, PRINT_INDENT + names.n > PRINT_WIDTH);
    }
    if (taken + flat.n + 1 <= PRINT_WIDTH)
        return text_view(&flat);
    return arena_printf(a, "\n    %.*s\n", (int)t.n, t.p);
}

/* Whether the groups are shorter than the rows that they stand for. */
static void weigh(Changes *c) {
    for (size_t i = 0; i < c->order.count; i++) {
        Group *group = c->order.items[i];
        Str text = group_text(c->arena, group, sizeof "CHANGED |= {");
        group->pays = text.n && lines_of(text) < group->count * group->items[0]->count;
    }
}

/* CHANGED = ..., or CHANGED |= ... when it is there. */
static const char *assign(bool *there) {
    const char *text = *there ? "CHANGED |= {" : "CHANGED = {";
    *there = true;
    return text;
}

static void print_changes(Changes *c, Text *t) {
    const Expr **items = ARENA_ARRAY(c->arena, 2 * c->count, const Expr *);
    size_t n = 0;
    for (size_t i = 0; items && i < c->count; i++) {
        if (is_in_group(&c->items[i]))
            continue;
        items[n++] = ex_str(c->arena, c->items[i].key);
        items[n++] = ex_str(c->arena, c->items[i].change);
    }
    bool there = n > 0;
    Str name = STR("CHANGED");
    if (n)
        print_assign(t, 0, &name, 1, ex_seq(c->arena, EX_DICT, items, n));
    for (size_t i = 0; i < c->order.count; i++) {
        if (!c->order.items[i]->pays)
            continue;
        const char *head = assign(&there);
        text_lit(t, head);
        text_str(t, group_text(c->arena, c->order.items[i], strlen(head)));
        text_lit(t, "}\n");
    }
}

static void add(Changes *c, Str key, Str change) {
    Change item = {.key = key, .change = change};
    (void)ARENA_PUSH(c->arena, c, item);
}

static ChangeKind change_kind(Str change) {
    bool shared =
        str_starts(change, STR("equals ")) || str_starts(change, STR("transposed "));
    return shared                         ? CHANGES_SHARED
           : str_is(change, "transposed") ? CHANGES_TRANSPOSED
                                          : CHANGES_UNSHARED;
}

/* The form of from_state_dict and to_state_dict that these changes need. */
static ChangeKind kind_of(const Changes *c) {
    ChangeKind kind = c->count ? CHANGES_TRANSPOSED : CHANGES_NONE;
    for (size_t i = 0; i < c->count; i++) {
        ChangeKind own = change_kind(c->items[i].change);
        kind = own > kind ? own : kind;
    }
    return kind;
}

static void collect(const Gen *g, Changes *c) {
    for (size_t i = 0; i < g->params.count; i++) {
        const ModuleParam *p = &g->params.items[i];
        if (p->note && p->note->change)
            add(c, p->key, str_from(p->note->change));
        for (const ParamAlias *a = p->note ? p->note->aliases : NULL; a; a = a->next)
            add(c, a->name,
                arena_printf(c->arena, "equals %.*s", (int)p->key.n, p->key.p));
    }
    bool refused = false; /* for other reasons, which say enough */
    for (size_t i = 0; i < c->count; i++)
        refused |= change_kind(c->items[i].change) == CHANGES_UNSHARED;
    for (size_t i = 0; !refused && i < g->m->left_out.count; i++)
        add(c, g->m->left_out.items[i], STR("left out by the exporter"));
}

ChangeKind gen_print_changes(Gen *g, Text *t) {
    Changes c = {.arena = g->arena};
    c.families.arena = c.groups.arena = g->arena;
    collect(g, &c);
    for (size_t i = 0; i < c.count; i++)
        count_alike(&c, &c.items[i]);
    for (size_t i = 0; i < c.count; i++)
        join(&c, &c.items[i]);
    for (size_t i = 0; i < c.count; i++)
        if (c.items[i].family)
            group(&c, c.items[i].family);
    if (!c.count || g->arena->failed)
        return CHANGES_NONE;
    weigh(&c);
    text_lit(t, "\n\n");
    print_comment(t, 0, STR("How parameters differ from PyTorch's state_dict."));
    print_changes(&c, t);
    return kind_of(&c);
}

bool gen_print_buffers(Gen *g, Text *t) {
    const Expr **items = ARENA_ARRAY(g->arena, g->params.count, const Expr *);
    size_t n = 0;
    for (size_t i = 0; items && i < g->params.count; i++)
        if (g->params.items[i].is_buffer)
            items[n++] = ex_str(g->arena, g->params.items[i].key);
    if (!n)
        return false;
    Str name = STR("BUFFERS");
    text_lit(t, "\n\n");
    print_comment(t, 0, STR("What no state_dict of PyTorch has."));
    print_assign(t, 0, &name, 1, ex_seq(g->arena, EX_TUPLE, items, n));
    return true;
}
