/* Expressions and statements as Python text.  The layout is decided on a document that
 * lives in a scratch arena for the time of one statement. */
#include "codegen/printer.h"

#include "codegen/layout.h"

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

static void print_doc(Text *t, Scratch *s, int level) {
    doc_print(&s->doc, t, (size_t)level * PRINT_INDENT, PRINT_WIDTH);
    text_char(t, '\n');
}

/* ---- expressions ------------------------------------------------------------------ */

void print_flat(Text *t, const Expr *x) {
    Scratch s;
    scratch_begin(&s, t->arena);
    const Py *e = py_from_expr(&s.arena, x);
    if (e) {
        layout_statement(&s.doc, e);
        doc_print(&s.doc, t, 0, SIZE_MAX / 2);
    }
    scratch_end(&s, t->arena);
}

/* ---- statements ------------------------------------------------------------------- */

void print_assign(Text *t, int level, const Str *targets, size_t n, const Expr *x) {
    Scratch s;
    scratch_begin(&s, t->arena);
    const Py *e = py_from_expr(&s.arena, x);
    if (e && n == 0) {
        layout_statement(&s.doc, e);
    } else if (e && n == 1) {
        doc_text(&s.doc, targets[0]);
        doc_lit(&s.doc, " = ");
        layout_value(&s.doc, e);
    } else if (e) {
        layout_unpack(&s.doc, targets, n, e);
    }
    print_doc(t, &s, level);
    scratch_end(&s, t->arena);
}

void print_return(Text *t, int level, const Expr *x) {
    Scratch s;
    scratch_begin(&s, t->arena);
    Py *e = py_from_expr(&s.arena, x);
    if (e) {
        e->bare = e->kind == PY_TUPLE && e->n > 1;
        doc_lit(&s.doc, "return ");
        layout_value(&s.doc, e);
    }
    print_doc(t, &s, level);
    scratch_end(&s, t->arena);
}

void print_statement(Text *t, int level, const Expr *x) {
    print_assign(t, level, NULL, 0, x);
}

void print_def(Text *t, int level, Str name, const Str *params, size_t n) {
    Scratch s;
    scratch_begin(&s, t->arena);
    doc_lit(&s.doc, "def ");
    doc_text(&s.doc, name);
    layout_params(&s.doc, params, n);
    doc_lit(&s.doc, ":");
    print_doc(t, &s, level);
    scratch_end(&s, t->arena);
}

void print_newline(Text *t) {
    text_char(t, '\n');
}
