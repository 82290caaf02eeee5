/* A model on one screen: what goes in and out, how large it is and how much it computes,
 * by module, and what a person who ports it should know. */
#include <inttypes.h>

#include "inspect/report.h"

enum {
    ROWS_MAX = 26,   /* modules; deeper ones are left out until they fit */
    VALUES_MAX = 12, /* inputs or outputs */
    OPERATORS_MAX = 24,
    USUAL_WIDTH = 80,   /* where the terminal does not say */
    NUMBERS_WIDTH = 36, /* of the table of modules, beside its names */
};

typedef struct Overview {
    const Report *r;
    const InspectOptions *o;
    Text *out;
    size_t width;
    uint32_t depth; /* of the modules that are shown */
} Overview;

/* ---- sections ---------------------------------------------------------------------- */

static void title(const Overview *v, const char *name) {
    text_lit(v->out, v->o->color ? "\n\033[1m" : "\n");
    text_lit(v->out, name);
    text_lit(v->out, v->o->color ? "\033[0m" : "");
}

static void rows(const Overview *v, void (*print)(Table *, const void *),
                 const void *user) {
    size_t names = v->width > NUMBERS_WIDTH + 16 ? v->width - NUMBERS_WIDTH : 16;
    Table t = {.cut = true, .widest = names};
    table_print(&t, v->out, print, user);
}

static void value_rows(Table *t, Str const *names, Value *const *values, size_t n) {
    for (size_t i = 0; i < n && i < VALUES_MAX; i++) {
        table_put(t, names ? names[i] : values[i]->name);
        type_print(table_plain(t), &values[i]->type);
        table_put_plain(t);
        table_end_row(t);
    }
    if (n <= VALUES_MAX)
        return;
    text_lit(table_cell(t), "and ");
    append_count(&t->cell, n - VALUES_MAX);
    text_lit(&t->cell, " more");
    table_end_cell(t, false);
    table_end_row(t);
}

static void input_rows(Table *t, const void *user) {
    const Graph *g = ((const Report *)user)->m->graph;
    value_rows(t, NULL, g->inputs, g->n_inputs);
}

static void output_rows(Table *t, const void *user) {
    const Graph *g = ((const Report *)user)->m->graph;
    value_rows(t, g->output_names, g->outputs, g->n_outputs);
}

/* ---- parameters -------------------------------------------------------------------- */

static void put_parameters(const Overview *v) {
    const Report *r = v->r;
    uint64_t bytes[DT_COUNT] = {0};
    for (size_t i = 0; i < r->n_params; i++)
        if (r->params[i]->tensor)
            bytes[r->params[i]->tensor->dtype] += r->params[i]->tensor->size;
    title(v, "Parameters");
    text_lit(v->out, "  ");
    append_count(v->out, r->param_elements);
    text_lit(v->out, " in ");
    append_count(v->out, r->n_params);
    text_lit(v->out, r->n_params == 1 ? " tensor" : " tensors");
    for (int d = 0; d < DT_COUNT; d++) {
        if (!bytes[d])
            continue;
        text_printf(v->out, ", %s ", dtype_info((DType)d)->name);
        append_bytes(v->out, bytes[d]);
    }
    text_char(v->out, '\n');
}

/* ---- work -------------------------------------------------------------------------- */

static void put_assumed(Text *t, const Modules *s) {
    for (size_t i = 0; i < s->assumed.count; i++) {
        text_lit(t, i ? ", " : " at ");
        dim_print_symbol(t, s->assumed.items[i].symbol);
        text_printf(t, " = %" PRId64, s->assumed.items[i].value);
    }
}

static void put_work(const Overview *v) {
    const Modules *s = &v->r->modules;
    title(v, "Work");
    text_lit(v->out, "  ");
    append_short(v->out, s->items[0].macs);
    text_lit(v->out, " multiply-accumulates");
    put_assumed(v->out, s);
    if (s->uncounted)
        text_printf(v->out, ", without %zu nodes", s->uncounted);
    text_char(v->out, '\n');
}

/* ---- modules ----------------------------------------------------------------------- */

static const Part *next_group(const Modules *s, const Part *p) {
    for (size_t n = modules_alike(s, p); n-- > 0;)
        p = p->next;
    return p;
}

/* Rows of the modules down to a depth; at most ROWS_MAX + 1 are counted. */
static size_t count_rows(const Modules *s, const Part *p, uint32_t depth) {
    size_t n = module_matters(s, p);
    const Part *child = p->depth < depth ? p->children : NULL;
    for (; child && n <= ROWS_MAX; child = next_group(s, child))
        n += count_rows(s, child, depth);
    return n;
}

static uint32_t fitting_depth(const Modules *s) {
    uint32_t depth = 1;
    while (depth < PART_DEPTH_MAX &&
           count_rows(s, s->parts.root, depth + 1) <= ROWS_MAX)
        depth++;
    return depth;
}

/* "layer.0-11" for twelve of them. */
static void put_path(Text *t, const Part *p, size_t alike) {
    Str above = p->parent ? p->parent->path : STR("");
    Str own = p->path;
    if (above.n && str_starts(own, above) && own.n > above.n && own.p[above.n] == '.')
        own = (Str){own.p + above.n + 1, own.n - above.n - 1};
    diag_escape(t, own);
    const Part *last = p;
    for (size_t i = 1; i < alike; i++)
        last = last->next;
    if (last == p)
        return;
    text_char(t, '-');
    diag_escape(t, str_after_last(last->path, '.'));
}

static void put_share(Table *t, const Modules *s, double macs) {
    double all = s->items[0].macs;
    if (all > 0)
        text_printf(table_cell(t), "%.1f%%", 100 * macs / all);
    else
        table_cell(t);
    table_end_cell(t, true);
}

static void module_row(Table *t, const Modules *s, const Part *p, size_t alike) {
    const Module *module = &s->items[p->begin];
    append_spaces(table_cell(t), p->depth ? 2 * (size_t)(p->depth - 1) : 0);
    if (p->depth == 0)
        text_lit(&t->cell, "the model");
    put_path(&t->cell, p, alike);
    table_end_cell(t, false);
    Text *type = table_plain(t);
    if (alike > 1)
        text_printf(type, p->type.n ? "%zu x " : "%zu x", alike);
    text_str(type, p->type);
    table_put_plain(t);
    append_short(table_cell(t), (double)alike * (double)module->param_elements);
    table_end_cell(t, true);
    append_short(table_cell(t), (double)alike * module->macs);
    table_end_cell(t, true);
    put_share(t, s, (double)alike * module->macs);
    table_end_row(t);
}

/* Depth is bounded by PART_DEPTH_MAX. */
static void module_rows(Table *t, const Overview *v, const Part *p) {
    const Modules *s = &v->r->modules;
    for (; p; p = next_group(s, p)) {
        if (!module_matters(s, p))
            continue;
        module_row(t, s, p, modules_alike(s, p));
        if (p->depth < v->depth)
            module_rows(t, v, p->children);
    }
}

static void all_module_rows(Table *t, const void *user) {
    static const char *const titles[] = {"module", "class", "params", "MACs", "share"};
    const Overview *v = user;
    for (size_t i = 0; i < OX_COUNT(titles); i++) {
        text_lit(table_cell(t), titles[i]);
        table_end_cell(t, i > 1);
    }
    table_end_row(t);
    module_rows(t, v, v->r->modules.parts.root->children);
}

/* ---- operators --------------------------------------------------------------------- */

/* As words that wrap. */
static void put_word(const Overview *v, size_t *column, Str word) {
    size_t n = columns_of(word);
    if (*column && *column + 1 + n > v->width) {
        text_char(v->out, '\n');
        *column = 0;
    }
    text_lit(v->out, *column ? " " : "  ");
    *column += n + (*column ? 1 : 2);
    text_str(v->out, word);
}

static void put_operators(const Overview *v) {
    const Report *r = v->r;
    size_t column = 0;
    title(v, "Operators");
    text_lit(v->out, "  ");
    append_count(v->out, r->nodes);
    text_printf(v->out, r->nodes == 1 ? " node\n" : " nodes\n");
    for (size_t i = 0; i < r->n_ops && i < OPERATORS_MAX; i++) {
        Text word = {.arena = v->out->arena};
        report_operator(&word, r->ops[i]->domain, r->ops[i]->op_type);
        text_printf(&word, " %zu%s", r->ops[i]->count, i + 1 < r->n_ops ? "," : "");
        put_word(v, &column, text_view(&word));
    }
    if (r->n_ops > OPERATORS_MAX)
        text_printf(v->out, " and %zu more", r->n_ops - OPERATORS_MAX);
    text_lit(v->out, r->n_ops ? "\n" : "");
}

/* ---- notes ------------------------------------------------------------------------- */

typedef struct NoteRows {
    const Overview *v;
    bool any;
} NoteRows;

static void put_note(void *user, Str note) {
    NoteRows *rows = user;
    if (!rows->any)
        title(rows->v, "Notes\n");
    rows->any = true;
    text_lit(rows->v->out, "  ");
    text_str(rows->v->out, note);
    text_char(rows->v->out, '\n');
}

void inspect_overview(const Report *r, const InspectOptions *o, Text *out) {
    Overview v = {.r = r, .o = o, .out = out};
    v.width = o->width > 0 ? (size_t)o->width : USUAL_WIDTH;
    if (!r->modules.items || !r->modules.parts.root)
        return;
    v.depth = fitting_depth(&r->modules);
    text_lit(out, o->color ? "\033[1m" : "");
    diag_escape(out, r->m->name);
    text_lit(out, o->color ? "\033[0m\n" : "\n");
    rows(&v, report_header_rows, r);
    title(&v, "Inputs\n");
    rows(&v, input_rows, r);
    title(&v, "Outputs\n");
    rows(&v, output_rows, r);
    put_parameters(&v);
    put_work(&v);
    if (r->modules.parts.root->children) {
        title(&v, "Modules\n");
        rows(&v, all_module_rows, &v);
    }
    put_operators(&v);
    if (r->m->unsupported.count) {
        title(&v, "Unsupported operators\n");
        rows(&v, report_unsupported_rows, r);
    }
    NoteRows notes = {&v, false};
    report_notes(r, put_note, &notes);
}
