/* Expressions and statements as Python text.  The layout is decided on a document that
 * lives in a scratch arena for the time of one statement. */
#include "python/printer.h"

#include "python/line_layout.h"

typedef struct Scratch {
    Arena arena;
    Doc doc;
} Scratch;

static void scratch_begin(Scratch *s, Arena *owner) {
    arena_scratch_begin(&s->arena, owner);
    s->doc = (Doc){.arena = &s->arena};
}

static void scratch_end(Scratch *s, Arena *owner) {
    arena_scratch_end(&s->arena, owner);
}

/* ---- expressions ------------------------------------------------------------------ */

void print_flat(Text *t, const Expr *x) {
    Scratch s;
    scratch_begin(&s, t->arena);
    const Py *e = py_from_expr(&s.arena, x);
    if (e) {
        layout_statement(&s.doc, e);
        s.doc.has_kept = false;
        doc_print(&s.doc, t, 0, SIZE_MAX / 2);
    }
    scratch_end(&s, t->arena);
}

/* ---- heads of statements ---------------------------------------------------------- */

static const Py *py_of(Doc *d, const Expr *x) {
    const Py *e = x ? py_from_expr(d->arena, x) : NULL;
    static const Py none = {.kind = PY_NAME, .text = {"None", 4}};
    return e ? e : &none; /* memory was refused */
}

/* `word x`, and what is behind it as `as`, `from` or `in`. */
static void value_behind(Doc *d, const char *word, const Expr *x) {
    doc_lit(d, word);
    if (!x)
        return;
    doc_lit(d, " ");
    layout_value(d, py_of(d, x));
}

static void name_behind(Doc *d, const char *word, const Expr *x) {
    if (!x)
        return;
    doc_lit(d, word);
    layout_target(d, py_of(d, x));
}

static void assignment(Doc *d, const Stmt *s) {
    const Py *e = py_of(d, s->expr), *target = py_of(d, s->target);
    if (target->bare && target->n > 1) {
        layout_unpack(d, target, e);
        return;
    }
    bool several = s->target->kind == EX_TARGETS;
    for (uint32_t i = 0; i < (several ? target->n : 1); i++) {
        layout_target(d, several ? target->kids[i] : target);
        doc_lit(d, " ");
        doc_text(d, s->text);
        doc_lit(d, " ");
    }
    layout_value(d, e);
}

static void return_value(Doc *d, const Expr *x) {
    Py *e = x ? py_from_expr(d->arena, x) : NULL;
    doc_lit(d, e ? "return " : "return");
    if (!e)
        return;
    e->bare = e->kind == PY_TUPLE && e->n > 1;
    layout_value(d, e);
}

static void import(Doc *d, const Stmt *s) {
    if (s->text.n) {
        doc_lit(d, "from ");
        doc_text(d, s->text);
        doc_lit(d, " ");
    }
    name_behind(d, "import ", s->expr);
    name_behind(d, " as ", s->target);
}

static void loop_head(Doc *d, const Stmt *s) {
    doc_lit(d, "for ");
    layout_target(d, py_of(d, s->target));
    value_behind(d, " in", s->expr);
}

static void def_head(Doc *d, const Def *def) {
    doc_lit(d, "def ");
    doc_text(d, def->name);
    layout_params(d, def);
    if (def->result) { /* on one line: what is too wide breaks the parameters */
        Text t = {.arena = d->arena};
        print_flat(&t, def->result);
        doc_lit(d, " -> ");
        doc_text(d, text_view(&t));
    }
}

static void field(Doc *d, const Stmt *s) {
    layout_target(d, py_of(d, s->target));
    doc_lit(d, ": ");
    layout_value(d, py_of(d, s->expr));
}

static void class_head(Doc *d, const Stmt *s) {
    doc_lit(d, "class ");
    layout_target(d, py_of(d, s->target));
    doc_lit(d, "(");
    layout_target(d, py_of(d, s->expr));
    doc_lit(d, ")");
}

static void head(Doc *d, const Stmt *s) {
    switch (s->kind) {
    case ST_EXPR:
        layout_statement(d, py_of(d, s->expr));
        break;
    case ST_ASSIGN:
        assignment(d, s);
        break;
    case ST_RETURN:
        return_value(d, s->expr);
        break;
    case ST_RAISE:
        value_behind(d, "raise", s->expr);
        name_behind(d, " from ", s->target);
        break;
    case ST_FIELD:
        field(d, s);
        break;
    case ST_IMPORT:
        import(d, s);
        break;
    case ST_FOR:
        loop_head(d, s);
        break;
    case ST_EXCEPT:
    case ST_WITH:
        value_behind(d, s->kind == ST_WITH ? "with" : "except", s->expr);
        name_behind(d, " as ", s->target);
        break;
    case ST_WHILE:
    case ST_IF:
    case ST_ELIF:
        value_behind(d,
                     s->kind == ST_WHILE ? "while"
                     : s->kind == ST_IF  ? "if"
                                         : "elif",
                     s->expr);
        break;
    case ST_CLASS:
        class_head(d, s);
        break;
    case ST_DEF:
        def_head(d, s->def);
        break;
    case ST_ELSE:
    case ST_TRY:
    case ST_WORD:
        doc_text(d, s->text);
        break;
    case ST_DOC:
    case ST_PROSE:
    case ST_UNREAD:
        break;
    }
    doc_lit(d, s->body ? ":" : "");
}

/* ---- statements ------------------------------------------------------------------- */

static void print_head(Text *t, int level, const Stmt *s) {
    Scratch scratch;
    scratch_begin(&scratch, t->arena);
    head(&scratch.doc, s);
    doc_print(&scratch.doc, t, (size_t)level * PRINT_INDENT, PRINT_WIDTH);
    scratch_end(&scratch, t->arena);
}

static void print_decorators(Text *t, const Expr *x) {
    bool several = x->kind == EX_TUPLE;
    for (size_t i = 0; i < (several ? x->n : 1); i++) {
        text_char(t, '@');
        print_flat(t, several ? x->kids[i] : x);
        text_char(t, '\n');
    }
}

/* A statement that was made: what is above it, then its own lines.  Both of these return
 * where these begin. */
static size_t print_made(Text *t, int level, const Stmt *s) {
    if (s->comment)
        print_comment(t, level, str_from(s->comment));
    if (s->decorator)
        print_decorators(t, s->decorator);
    size_t begin = t->n;
    if (s->kind == ST_DOC || s->kind == ST_PROSE) {
        (s->kind == ST_DOC ? print_doc_lines : print_docstring)(t, level, s->text);
        return begin;
    }
    print_head(t, level, s);
    text_char(t, '\n');
    return begin;
}

static size_t print_read(Text *t, int level, const Stmt *s) {
    text_str(t, s->source->before);
    size_t begin = t->n;
    if (!s->edited) {
        text_str(t, s->source->lines);
        return begin;
    }
    if (s->kind == ST_DOC) {
        print_doc_lines(t, level, s->text);
        return begin;
    }
    print_head(t, level, s);
    text_str(t, s->source->after);
    text_char(t, '\n');
    return begin;
}

void print_code(Text *t, int level, const Stmts *list, bool first) {
    print_watched(t, level, list, first, NULL);
}

/* Local functions that were made are set off by empty lines. */
void print_watched(Text *t, int level, const Stmts *list, bool first,
                   const PrintWatch *watch) {
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        bool local = s->def && !s->source && level > 0;
        if (s->apart)
            text_lit(t, "\n\n");
        if (local && !first)
            text_char(t, '\n');
        size_t begin = s->source ? print_read(t, level, s) : print_made(t, level, s);
        size_t end = t->n;
        if (s->body)
            print_watched(t, level + 1, s->body, true, watch);
        if (watch)
            watch->printed(watch->user, s, begin, end, t->n);
        if (local)
            text_char(t, '\n');
        first = local;
    }
}
