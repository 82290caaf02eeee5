/* Chooses line breaks.  For `total = combine(first, [left_part, right_part])` line_layout.c
 * makes
 *
 *     "total = combine" D_GROUP "(" D_INDENT D_SOFT "first" "," D_SOFT_SPACE
 *         D_GROUP "[" D_INDENT D_SOFT ... D_COMMA D_END D_SOFT "]" D_END
 *         D_COMMA D_END D_SOFT ")" D_END
 *
 * which is too wide for 30 columns: the outer group is expanded, each of its line breaks
 * breaks and its comma is printed.  The inner one is asked anew, fits, and is flat:
 *
 *     total = combine(
 *         first,
 *         [left_part, right_part],
 *     )
 *
 * `print` walks the elements with an explicit stack; whenever it
 * meets a group it asks `fits`, which walks ahead from there with copies of the stacks,
 * up to the first line break that is certain.
 *
 * The state machine follows ruff's printer, since its output is the specification: the
 * rules about what is measured in which mode decide every corner case. */
#include "python/doc.h"

#include "python/printer.h"

/* ---- building --------------------------------------------------------------------- */

static void push(Doc *d, DocElem e) {
    ARENA_PUSH(d->arena, d, e);
}

void doc_text(Doc *d, Str text) {
    push(d, (DocElem){.op = D_TEXT, .text = text});
}

void doc_lit(Doc *d, const char *text) {
    doc_text(d, str_from(text));
}

void doc_line(Doc *d, DocOp op) {
    push(d, (DocElem){.op = op});
}

void doc_kept_comma(Doc *d) {
    d->has_kept = true;
    push(d, (DocElem){.op = D_COMMA, .id = 1});
}

uint32_t doc_new_id(Doc *d) {
    return ++d->groups;
}

size_t doc_begin(Doc *d, DocOp op, uint32_t id) {
    d->has_best = d->has_best || op == D_BEST;
    push(d, (DocElem){.op = op, .id = id});
    return d->count - 1;
}

void doc_end(Doc *d, size_t begin) {
    if (d->arena->failed)
        return;
    d->items[begin].to = (uint32_t)d->count;
    push(d, (DocElem){.op = D_END});
}

void doc_ref(Doc *d, size_t begin) {
    if (d->arena->failed)
        return;
    push(d,
         (DocElem){.op = D_REF, .id = (uint32_t)begin + 1, .to = d->items[begin].to});
}

/* ---- state ------------------------------------------------------------------------ */

typedef enum Measure {
    FIRST_LINE,    /* fits when the first line does */
    ALL_LINES,     /* fits when all lines do */
    ALL_OVERFLOWS, /* lines inside may be too long; only what surrounds them counts */
} Measure;

/* How the elements inside a begin element are printed. */
typedef struct Frame {
    DocOp op;
    bool expanded;
    Measure measure;
    size_t indent; /* columns */
} Frame;

/* Elements still to come: items[at] up to items[end]. */
typedef struct Range {
    uint32_t at, end;
} Range;

typedef struct Frames {
    Frame *items;
    size_t count, cap;
} Frames;

typedef struct Ranges {
    Range *items;
    size_t count, cap;
} Ranges;

typedef struct Printer {
    Doc *doc;
    Text *out;
    size_t width;
    size_t column;  /* of the next character */
    size_t pending; /* indentation due before the next text */
    bool fits;      /* the enclosing group was measured to fit, up to a line break */
    bool *expanded; /* of the groups with an id */
    bool *forced;   /* of each element: a group that is not flat, see force_groups */
    bool *commas;   /* of each D_COMMA: it was written */
    Frames frames;
    Ranges queue;
    Frames ahead; /* the copies that `fits` works on */
    Ranges ahead_queue;
} Printer;

static void push_frame(Printer *p, Frames *frames, Frame f) {
    ARENA_PUSH(p->doc->arena, frames, f);
}

static void push_range(Printer *p, Ranges *queue, size_t at, size_t end) {
    ARENA_PUSH(p->doc->arena, queue, ((Range){(uint32_t)at, (uint32_t)end}));
}

static Frame top(const Frames *frames) {
    return frames->items[frames->count - 1];
}

static void pop_frame(Frames *frames) {
    if (frames->count > 1)
        frames->count--;
}

/* The next element, or NULL at the end. */
static const DocElem *next(const Printer *p, Ranges *queue) {
    while (queue->count && !p->doc->arena->failed) {
        Range *r = &queue->items[queue->count - 1];
        if (r->at < r->end)
            return &p->doc->items[r->at++];
        queue->count--;
    }
    return NULL;
}

/* Goes on after the end of the begin element e. */
static void skip_content(const Printer *p, Ranges *queue, const DocElem *e) {
    (void)p;
    queue->items[queue->count - 1].at = e->to + 1;
}

static bool group_expanded(const Printer *p, const DocElem *e, const Frame *around) {
    return e->id ? p->expanded[e->id] : around->expanded;
}

/* ---- measuring -------------------------------------------------------------------- */

typedef struct Look {
    size_t column, pending;
} Look;

typedef enum Verdict { FITS, TOO_WIDE, GO_ON } Verdict;

static Verdict measure_text(const Printer *p, Look *l, size_t n, Measure measure) {
    l->column += l->pending + n;
    l->pending = 0;
    return l->column > p->width && measure != ALL_OVERFLOWS ? TOO_WIDE : GO_ON;
}

static Verdict measure_line(const Printer *p, Look *l, DocOp op, const Frame *f) {
    if (!f->expanded) {
        if (op == D_HARD)
            return FITS;
        return measure_text(p, l, op == D_SOFT_SPACE, f->measure);
    }
    if (f->measure == FIRST_LINE)
        return FITS;
    l->column = 0;
    l->pending = f->indent;
    return GO_ON;
}

/* A group that cannot be flat. */
static bool is_forced(const Printer *p, const DocElem *e) {
    bool forced = p->forced[e - p->doc->items];
    return e->op == D_GROUP_EXPANDED || (forced && e->op == D_GROUP) ||
           (forced && e->op == D_GROUP_IF && p->expanded[e->id]);
}

/* The frame inside e. */
static Frame inner_frame(Printer *p, const DocElem *e, Frame f) {
    DocOp op = e->op;
    f.op = op;
    if (is_forced(p, e))
        f.expanded = true;
    if (op == D_INDENT || (op == D_INDENT_IF && p->expanded[e->id]))
        f.indent += PRINT_INDENT;
    return f;
}

static void measure_best(Printer *p, const DocElem *e, Frame f) {
    const DocElem *items = p->doc->items;
    uint32_t entry = (uint32_t)(e - items) + 1;
    skip_content(p, &p->ahead_queue, e);
    while (f.expanded && items[items[entry].to + 1].op == D_ENTRY)
        entry = items[entry].to + 1;
    f.op = D_ENTRY;
    if (!f.expanded)
        f.measure = FIRST_LINE;
    push_frame(p, &p->ahead, f);
    push_range(p, &p->ahead_queue, entry + 1, items[entry].to + 1);
}

static Verdict measure_end(Printer *p, Look *l) {
    Frame f = top(&p->ahead);
    pop_frame(&p->ahead);
    /* The parentheses under test, see print_parens: this is their end. */
    if (f.op == D_INDENT && top(&p->ahead).op == D_PARENS_IF_FITS) {
        l->column = 0;
        l->pending = top(&p->ahead).indent;
        pop_frame(&p->ahead);
        return measure_text(p, l, 1, FIRST_LINE);
    }
    return GO_ON;
}

static Verdict measure_fits_expanded(Printer *p, const DocElem *e, Frame f) {
    bool holds = e->id ? !p->expanded[e->id] : !f.expanded;
    if (!f.expanded && holds) {
        f.measure = ALL_OVERFLOWS;
        f.expanded = true;
    } else if (!f.expanded && p->forced[e - p->doc->items]) {
        return TOO_WIDE;
    }
    f.op = D_FITS_EXPANDED;
    push_frame(p, &p->ahead, f);
    return GO_ON;
}

static Verdict measure(Printer *p, Look *l, const DocElem *e) {
    Frame f = top(&p->ahead);
    switch (e->op) {
    case D_TEXT:
        return measure_text(p, l, e->text.n, f.measure);
    case D_COMMA:
        return measure_text(p, l, f.expanded, f.measure);
    case D_SOFT:
    case D_SOFT_SPACE:
    case D_HARD:
        return measure_line(p, l, e->op, &f);
    case D_IF_EXPANDED:
    case D_IF_FLAT:
        if (group_expanded(p, e, &f) == (e->op == D_IF_EXPANDED))
            push_frame(p, &p->ahead, inner_frame(p, e, f));
        else
            skip_content(p, &p->ahead_queue, e);
        return GO_ON;
    case D_GROUP:
    case D_PARENS_IF_FITS:
        if (e->id)
            p->expanded[e->id] = f.expanded || is_forced(p, e);
        break;
    case D_GROUP_EXPANDED:
    case D_GROUP_IF:
    case D_INDENT:
    case D_INDENT_IF:
    case D_ENTRY:
        break;
    case D_FITS_EXPANDED:
        return measure_fits_expanded(p, e, f);
    case D_BEST:
        measure_best(p, e, f);
        return GO_ON;
    case D_SKIP:
        skip_content(p, &p->ahead_queue, e);
        return GO_ON;
    case D_REF:
        push_range(p, &p->ahead_queue, e->id, e->to);
        return GO_ON;
    case D_END:
        return measure_end(p, l);
    }
    push_frame(p, &p->ahead, inner_frame(p, e, f));
    return GO_ON;
}

/* Whether what comes, printed as the top frame says, fits. */
static bool fits(Printer *p, Look l) {
    p->ahead.count = p->ahead_queue.count = 0;
    for (size_t i = 0; i < p->frames.count; i++)
        push_frame(p, &p->ahead, p->frames.items[i]);
    for (size_t i = 0; i < p->queue.count; i++)
        push_range(p, &p->ahead_queue, p->queue.items[i].at, p->queue.items[i].end);
    for (;;) {
        const DocElem *e = next(p, &p->ahead_queue);
        if (!e)
            return true;
        Verdict v = measure(p, &l, e);
        if (v != GO_ON)
            return v == FITS;
    }
}

/* ---- printing --------------------------------------------------------------------- */

static void print_text(Printer *p, Str text) {
    for (size_t i = 0; i < p->pending; i++)
        text_char(p->out, ' ');
    text_str(p->out, text);
    p->column += p->pending + text.n;
    p->pending = 0;
}

static void print_break(Printer *p, size_t indent) {
    text_char(p->out, '\n');
    p->column = 0;
    p->pending = indent;
    p->fits = false; /* measured up to here only */
}

static void print_line(Printer *p, DocOp op, const Frame *f) {
    if (f->expanded || op == D_HARD)
        print_break(p, f->indent);
    else if (op == D_SOFT_SPACE)
        print_text(p, STR(" "));
}

/* Whether the group e is to be expanded. */
static bool choose(Printer *p, const DocElem *e, Frame f) {
    if (!f.expanded && p->fits)
        return false;
    p->fits = true;
    if (e->id)
        p->expanded[e->id] = false;
    f.op = e->op;
    f.expanded = false;
    push_frame(p, &p->frames, f);
    bool flat = fits(p, (Look){p->column, p->pending});
    pop_frame(&p->frames);
    return !flat;
}

static void print_group(Printer *p, const DocElem *e, Frame f) {
    bool is_group = e->op != D_GROUP_IF || p->expanded[e->id];
    if (is_forced(p, e))
        f.expanded = true;
    else if (is_group) /* the id of D_GROUP_IF is that of another group */
        f.expanded = choose(p, e->op == D_GROUP ? e : &(DocElem){.op = e->op}, f);
    if (e->op == D_GROUP && e->id)
        p->expanded[e->id] = f.expanded;
    f.op = e->op;
    push_frame(p, &p->frames, f);
}

/* "(", the content indented, ")": only when it fits so, else without them, too wide. */
static bool parens_fit(Printer *p, Frame f) {
    Look l = {p->column, p->pending};
    if (measure_text(p, &l, 1, FIRST_LINE) == TOO_WIDE)
        return false;
    f.op = D_PARENS_IF_FITS;
    f.measure = ALL_LINES;
    push_frame(p, &p->frames, f);
    f.op = D_INDENT;
    f.indent += PRINT_INDENT;
    push_frame(p, &p->frames, f);
    bool fit = fits(p, (Look){0, f.indent});
    pop_frame(&p->frames);
    pop_frame(&p->frames);
    return fit;
}

static void print_parens(Printer *p, const DocElem *e, Frame f) {
    bool parens = choose(p, e, f);
    if (parens) {
        p->expanded[e->id] = true;
        parens = parens_fit(p, f);
    }
    p->expanded[e->id] = parens;
    f.op = D_PARENS_IF_FITS;
    f.expanded = parens;
    push_frame(p, &p->frames, f);
    if (parens) {
        print_text(p, STR("("));
        f.op = D_INDENT;
        f.indent += PRINT_INDENT;
        push_frame(p, &p->frames, f);
        print_break(p, f.indent);
    }
}

static void print_end(Printer *p) {
    Frame f = top(&p->frames);
    pop_frame(&p->frames);
    /* No document indents directly inside these parentheses, so they put it there. */
    if (f.op == D_INDENT && top(&p->frames).op == D_PARENS_IF_FITS) {
        print_break(p, top(&p->frames).indent);
        print_text(p, STR(")"));
        pop_frame(&p->frames);
    }
}

static void print_best(Printer *p, const DocElem *e, Frame f) {
    const DocElem *items = p->doc->items;
    uint32_t entry = (uint32_t)(e - items) + 1;
    bool chosen = !f.expanded && p->fits;
    skip_content(p, &p->queue, e);
    f.op = D_ENTRY;
    while (!chosen) {
        bool last = items[items[entry].to + 1].op != D_ENTRY;
        p->fits = true;
        f.expanded = last;
        if (last)
            break;
        push_frame(p, &p->frames, f);
        push_range(p, &p->queue, entry + 1, items[entry].to + 1);
        chosen = fits(p, (Look){p->column, p->pending});
        p->queue.count--;
        pop_frame(&p->frames);
        if (!chosen)
            entry = items[entry].to + 1;
    }
    push_frame(p, &p->frames, f);
    push_range(p, &p->queue, entry + 1, items[entry].to + 1);
}

static void print_element(Printer *p, const DocElem *e) {
    Frame f = top(&p->frames);
    switch (e->op) {
    case D_TEXT:
        print_text(p, e->text);
        return;
    case D_COMMA:
        p->commas[e - p->doc->items] = f.expanded;
        if (f.expanded)
            print_text(p, STR(","));
        return;
    case D_SOFT:
    case D_SOFT_SPACE:
    case D_HARD:
        print_line(p, e->op, &f);
        return;
    case D_GROUP:
    case D_GROUP_EXPANDED:
    case D_GROUP_IF:
        print_group(p, e, f);
        return;
    case D_IF_EXPANDED:
    case D_IF_FLAT:
        if (group_expanded(p, e, &f) != (e->op == D_IF_EXPANDED)) {
            skip_content(p, &p->queue, e);
            return;
        }
        break;
    case D_FITS_EXPANDED:
        if (e->id ? !p->expanded[e->id] : true)
            p->fits = false; /* it was measured as if expanded */
        break;
    case D_INDENT:
    case D_INDENT_IF:
    case D_ENTRY:
        break;
    case D_PARENS_IF_FITS:
        print_parens(p, e, f);
        return;
    case D_BEST:
        print_best(p, e, f);
        return;
    case D_SKIP:
        skip_content(p, &p->queue, e);
        return;
    case D_REF:
        push_range(p, &p->queue, e->id, e->to);
        return;
    case D_END:
        print_end(p);
        return;
    }
    push_frame(p, &p->frames, inner_frame(p, e, f));
}

static void print_once(Printer *p, Text *out, size_t indent) {
    p->out = out;
    p->column = 0;
    p->pending = indent;
    p->fits = false;
    p->frames.count = p->queue.count = 0;
    push_frame(p, &p->frames, (Frame){.op = D_END, .expanded = true, .indent = indent});
    push_range(p, &p->queue, 0, p->doc->count);
    for (const DocElem *e; (e = next(p, &p->queue)) != NULL;)
        print_element(p, e);
}

/* ---- trailing commas -------------------------------------------------------------- */

/* Whoever formats the result again finds trailing commas in it, and will not join the
 * lines before one.  That can change which variant of a D_BEST fits, so such documents
 * are printed until nothing changes. */
enum { PASSES_MAX = 6 };

typedef struct Open {
    uint32_t begin;
    bool expands; /* it holds what cannot be flat */
    bool breaks;  /* there is a line break somewhere in it */
} Open;

typedef struct OpenList {
    Open *items;
    size_t count, cap;
} OpenList;

/* At the end of o: whether what is around it must expand too. */
static bool close_element(Printer *p, Open o) {
    const DocElem *e = &p->doc->items[o.begin];
    p->forced[o.begin] = e->op == D_SKIP ? o.breaks : o.expands;
    switch (e->op) {
    case D_GROUP_EXPANDED:
        return true;
    case D_BEST:
        return e->id && p->forced[e->id - 1];
    case D_FITS_EXPANDED:
    case D_PARENS_IF_FITS:
    case D_SKIP:
        return false;
    default:
        return o.expands;
    }
}

/* Forces the groups around each trailing comma that was written. */
static void force_groups(Printer *p) {
    OpenList open = {0};
    ARENA_PUSH(p->doc->arena, &open, ((Open){0, false, false}));
    for (uint32_t i = 0; i < p->doc->count && !p->doc->arena->failed; i++) {
        const DocElem *e = &p->doc->items[i];
        bool breaks = e->op == D_COMMA && p->commas[i], expands = breaks;
        if (e->op == D_END) {
            Open o = open.items[--open.count];
            expands = close_element(p, o);
            breaks = o.breaks;
        } else if (e->op >= D_GROUP && e->op < D_END) {
            ARENA_PUSH(p->doc->arena, &open, ((Open){i, false, false}));
        }
        Open *around = &open.items[open.count - 1];
        around->expands = around->expands || expands;
        around->breaks = around->breaks || breaks;
    }
}

/* What ends with a comma that is there already. */
static void force_kept(Printer *p) {
    for (size_t i = 0; p->commas && p->forced && i < p->doc->count; i++)
        p->commas[i] = p->doc->items[i].op == D_COMMA && p->doc->items[i].id;
    if (!p->doc->arena->failed)
        force_groups(p);
}

void doc_print(Doc *d, Text *out, size_t indent, size_t width) {
    if (!d->has_kept && doc_print_flat(d, out, indent, width))
        return;
    Printer p = {.doc = d, .width = width};
    p.expanded = ARENA_ARRAY(d->arena, (size_t)d->groups + 1, bool);
    p.forced = ARENA_ARRAY(d->arena, d->count + 1, bool);
    p.commas = ARENA_ARRAY(d->arena, d->count + 1, bool);
    if (d->has_kept)
        force_kept(&p);
    Text text = {.arena = d->arena}, before = {.arena = d->arena};
    for (int pass = 0; pass < PASSES_MAX && !d->arena->failed; pass++) {
        text.n = 0;
        print_once(&p, &text, indent);
        bool stable = pass && str_eq(text_view(&text), text_view(&before));
        if (stable || !d->has_best || !text.n || !memchr(text.p, '\n', text.n))
            break;
        force_groups(&p);
        memset(p.commas, 0, d->count);
        before.n = 0;
        text_str(&before, text_view(&text));
    }
    text_str(out, text_view(&text));
}
