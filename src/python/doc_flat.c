/* Most statements fit on one line, which one walk finds out: no group of theirs needs to
 * be measured.  Whatever could break, or is written when it does, ends the attempt. */
#include "python/doc.h"

enum { DEPTH_MAX = 64 };

typedef struct Line {
    const Doc *doc;
    Text *out;
    size_t left; /* columns */
    int depth;
} Line;

static bool print_range(Line *l, uint32_t at, uint32_t end, bool in_group);

static bool print_text(Line *l, Str text) {
    if (text.n > l->left)
        return false;
    l->left -= text.n;
    text_str(l->out, text);
    return true;
}

/* The content of what begins at `at`. */
static bool print_inside(Line *l, uint32_t at, bool in_group) {
    return print_range(l, at + 1, l->doc->items[at].to, in_group);
}

static bool print_begin(Line *l, uint32_t at, bool in_group) {
    switch (l->doc->items[at].op) {
    case D_GROUP:
    case D_PARENS_IF_FITS:
        return print_inside(l, at, true);
    case D_BEST: /* its first variant */
        return print_inside(l, at + 1, true);
    case D_IF_EXPANDED:
        return in_group;
    case D_IF_FLAT:
        return in_group && print_inside(l, at, in_group);
    case D_GROUP_IF:
    case D_INDENT:
    case D_INDENT_IF:
    case D_ENTRY:
    case D_FITS_EXPANDED:
        return print_inside(l, at, in_group);
    case D_SKIP:
        return true;
    default: /* D_GROUP_EXPANDED */
        return false;
    }
}

/* What is outside of all groups breaks. */
static bool print_range(Line *l, uint32_t at, uint32_t end, bool in_group) {
    bool ok = l->depth < DEPTH_MAX;
    l->depth++;
    for (; ok && at < end; at++) {
        const DocElem *e = &l->doc->items[at];
        if (e->op == D_TEXT)
            ok = print_text(l, e->text);
        else if (e->op == D_SOFT_SPACE)
            ok = in_group && print_text(l, STR(" "));
        else if (e->op == D_SOFT || e->op == D_COMMA)
            ok = in_group;
        else if (e->op == D_REF)
            ok = print_range(l, e->id, e->to, in_group);
        else if (e->op == D_HARD || e->op == D_END)
            ok = false;
        else {
            ok = print_begin(l, at, in_group);
            at = e->to;
        }
    }
    l->depth--;
    return ok;
}

bool doc_print_flat(const Doc *d, Text *out, size_t indent, size_t width) {
    size_t start = out->n;
    Line l = {.doc = d, .out = out, .left = width};
    bool ok = !d->arena->failed && indent < width;
    for (size_t i = 0; ok && i < indent; i++)
        ok = print_text(&l, STR(" "));
    ok = ok && print_range(&l, 0, (uint32_t)d->count, false);
    if (!ok)
        out->n = start;
    return ok;
}
