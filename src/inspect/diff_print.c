/* The differences of two models, for people and as JSON. */
#include "inspect/diff.h"

#include "support/json.h"

enum { DIFF_VERSION = 1, ROWS_MAX = 30 /* of one part, for people */ };

static const char *const part_names[DIFF_PARTS] = {"opsets",  "inputs", "outputs",
                                                   "modules", "nodes",  "params"};

/* ---- for people --------------------------------------------------------------------- */

typedef struct Printer {
    const Diff *d;
    Text *out;
    bool color;
    size_t width; /* SIZE_MAX: of no terminal */
} Printer;

/* The first columns of a line, and dots where it is too wide. */
static void put_cut(Text *t, Str s, size_t width) {
    if (columns_of(s) <= width) {
        text_str(t, s);
        return;
    }
    size_t end = 0;
    for (size_t i = 0; i < s.n; end = i) {
        (void)str_utf8(s, &i);
        if (columns_of((Str){s.p, i}) + 3 > width)
            break;
    }
    text_str(t, (Str){s.p, end});
    text_lit(t, "...");
}

/* "conv1  Conv float32[1,64] -> Conv float32[1,32]  (strides)" */
static Str row_text(const Printer *p, const Difference *one) {
    Text t = {.arena = p->d->arena};
    diag_escape(&t, one->name);
    if (one->before.n || one->after.n)
        text_lit(&t, "  ");
    diag_escape(&t, one->before);
    if (one->kind == DIFF_CHANGED && !str_eq(one->before, one->after))
        text_lit(&t, " -> ");
    if (one->kind != DIFF_CHANGED || !str_eq(one->before, one->after))
        diag_escape(&t, one->after);
    if (one->what.n && !str_is(one->what, "type") && !str_is(one->what, "class")) {
        text_lit(&t, "  (");
        diag_escape(&t, one->what);
        text_char(&t, ')');
    }
    return t.n ? text_view(&t) : STR("");
}

static void put_row(const Printer *p, const Difference *one, size_t indent) {
    static const char signs[] = {'+', '-', '~'};
    static const char *const colors[] = {"\033[32m", "\033[31m", "\033[33m"};
    append_spaces(p->out, indent);
    text_lit(p->out, p->color ? colors[one->kind] : "");
    text_char(p->out, signs[one->kind]);
    text_char(p->out, ' ');
    put_cut(p->out, row_text(p, one), p->width - indent - 2);
    text_lit(p->out, p->color ? "\033[0m\n" : "\n");
}

static void put_title(const Printer *p, DiffPart part) {
    static const char *const titles[DIFF_PARTS] = {"Opsets",  "Inputs", "Outputs",
                                                   "Modules", "Nodes",  "Parameters"};
    static const char *const kinds[] = {"added", "removed", "changed"};
    const char *before = ": ";
    text_lit(p->out, p->out->n ? "\n" : "");
    text_printf(p->out, p->color ? "\033[1m%s\033[0m" : "%s", titles[part]);
    for (int kind = 0; kind < 3; kind++) {
        if (!p->d->counts[part][kind])
            continue;
        text_printf(p->out, "%s%zu %s", before, p->d->counts[part][kind], kinds[kind]);
        before = ", ";
    }
    text_printf(p->out, "%s%zu equal\n", before, p->d->equal[part]);
}

/* Nodes stand below the module that they are in. */
static void put_part(const Printer *p, DiffPart part) {
    size_t rows = 0, all = 0;
    Str module = STR("");
    for (int kind = 0; kind < 3; kind++)
        all += p->d->counts[part][kind];
    if (!all)
        return;
    put_title(p, part);
    for (size_t i = 0; i < p->d->list.count && rows < ROWS_MAX; i++) {
        const Difference *one = &p->d->list.items[i];
        if (one->part != part)
            continue;
        if (one->module.n && !str_eq(one->module, module)) {
            Text t = {.arena = p->d->arena};
            diag_escape(&t, one->module);
            text_lit(p->out, "  ");
            put_cut(p->out, text_view(&t), p->width - 2);
            text_char(p->out, '\n');
        }
        module = one->module;
        put_row(p, one, one->module.n ? 4 : 2);
        rows++;
    }
    if (all > rows)
        text_printf(p->out, "  and %zu more: --format json has all\n", all - rows);
}

static void print_text(const Diff *d, bool color, int width, Text *out) {
    enum { WIDTH_MIN = 20 };
    Printer p = {d, out, color, SIZE_MAX};
    if (width > 0)
        p.width = width < WIDTH_MIN ? WIDTH_MIN : (size_t)width;
    for (int part = 0; part < DIFF_PARTS; part++)
        put_part(&p, (DiffPart)part);
    if (!d->list.count) {
        text_printf(out, "no difference: %zu nodes and %zu parameters are equal\n",
                    d->equal[DIFF_NODES], d->equal[DIFF_PARAMS]);
        return;
    }
    text_lit(out, d->same_weights ? "\nall weights are equal\n"
                                  : "\nthe weights are not all equal\n");
}

/* ---- JSON --------------------------------------------------------------------------- */

static void put_text_or_null(Text *t, const char *key, Str s) {
    text_printf(t, ", \"%s\": ", key);
    if (s.n)
        text_json(t, s);
    else
        text_lit(t, "null");
}

static void put_place(Text *t, const char *key, uint32_t place) {
    if (place == DIFF_NONE)
        text_printf(t, ", \"%s\": null", key);
    else
        text_printf(t, ", \"%s\": %u", key, place);
}

static void put_entry(Text *t, const Difference *one) {
    static const char *const kinds[] = {"added", "removed", "changed"};
    text_printf(t, "{\"change\": \"%s\", \"name\": ", kinds[one->kind]);
    text_json(t, one->name);
    if (one->part == DIFF_NODES) {
        text_lit(t, ", \"module\": ");
        text_json(t, one->module);
        put_place(t, "a", one->a);
        put_place(t, "b", one->b);
    }
    put_text_or_null(t, "before", one->before);
    put_text_or_null(t, "after", one->after);
    put_text_or_null(t, "what", one->what);
    text_char(t, '}');
}

static void print_json(const Diff *d, Text *t) {
    text_printf(t, "{\n  \"version\": %d,\n  \"equal\": %s,\n  \"same_weights\": %s",
                DIFF_VERSION, d->list.count || !d->same_weights ? "false" : "true",
                d->same_weights ? "true" : "false");
    for (int part = 0; part < DIFF_PARTS; part++) {
        bool any = false;
        text_printf(t, ",\n  \"%s\": {\"equal\": %zu, \"differences\": [",
                    part_names[part], d->equal[part]);
        for (size_t i = 0; i < d->list.count; i++) {
            if (d->list.items[i].part != (DiffPart)part)
                continue;
            text_lit(t, any ? ",\n    " : "\n    ");
            put_entry(t, &d->list.items[i]);
            any = true;
        }
        text_lit(t, any ? "\n  ]}" : "]}");
    }
    text_lit(t, "\n}\n");
}

void diff_print(const Diff *d, const InspectOptions *o, Text *out) {
    if (o->format == OX_JSON)
        print_json(d, out);
    else
        print_text(d, o->color, o->width, out);
}

bool inspect_diff(Model *a, Model *b, const InspectOptions *o, Text *out) {
    Diff d;
    diff_make(&d, a, b);
    diff_print(&d, o, out);
    return d.list.count == 0 && d.same_weights;
}
