/* Documents that know where they may break over lines, and the choice of the breaks.
 *
 * The model is the one of Prettier and ruff's formatter: a group is printed on one line
 * (flat) when what comes up to the next possible line break fits, else expanded, and
 * then each of its groups decides anew.  A document is a flat sequence of elements;
 * begin and end elements nest. */
#ifndef OX_PYTHON_DOC_H
#define OX_PYTHON_DOC_H

#include "support/arena.h"

typedef enum DocOp {
    D_TEXT,
    D_SOFT,           /* line break when expanded, else nothing */
    D_SOFT_SPACE,     /* line break when expanded, else a space */
    D_HARD,           /* line break */
    D_COMMA,          /* "," when expanded, else nothing: a trailing comma */
    D_GROUP,          /* may have an id for others to refer to */
    D_GROUP_EXPANDED, /* a group that is never flat */
    D_GROUP_IF,       /* a group only where group `id` is expanded */
    D_INDENT,         /* lines inside start four columns further right */
    D_INDENT_IF,      /* indents where group `id` is expanded */
    D_IF_EXPANDED,    /* content only where group `id`, or 0: the enclosing one, is */
    D_IF_FLAT,        /* the opposite */
    D_FITS_EXPANDED,  /* measured as if expanded, where group `id` (or 0) is flat */
    D_PARENS_IF_FITS, /* "(" and ")" on lines around it, where that makes it fit */
    D_BEST,           /* variants, D_ENTRY each: the first that fits, else the last;
                       * `id` - 1 is a D_SKIP that breaks what is around when it must */
    D_ENTRY,          /* one variant; outside of D_BEST without effect */
    D_SKIP,           /* content that is only printed through D_REF */
    D_END,            /* of any of those above from D_GROUP */
    D_REF,            /* the elements from `id` up to `to` */
} DocOp;

typedef struct DocElem {
    DocOp op;
    uint32_t id; /* of a group, 0 for none; first element for D_REF; 1: a kept comma */
    uint32_t to; /* index of the matching D_END */
    Str text;    /* D_TEXT; borrowed */
} DocElem;

typedef struct Doc {
    Arena *arena;
    DocElem *items;
    size_t count, cap;
    uint32_t groups; /* ids given out; they start at 1 */
    bool has_best;   /* there is a D_BEST */
    bool has_kept;   /* there is a comma of doc_kept_comma */
} Doc;

void doc_text(Doc *d, Str text);
void doc_lit(Doc *d, const char *text);
void doc_line(Doc *d, DocOp op);
/* A trailing comma that is there already: what it ends is expanded. */
void doc_kept_comma(Doc *d);
uint32_t doc_new_id(Doc *d);
/* Returns what doc_end wants. */
size_t doc_begin(Doc *d, DocOp op, uint32_t id);
void doc_end(Doc *d, size_t begin);
/* Refers to the content of the D_SKIP that starts at `begin`. */
void doc_ref(Doc *d, size_t begin);

/* Appends the document, lines not wider than `width` where that is possible.  The first
 * line starts at the column `indent`, without a newline at the end.  Formatted again,
 * the result stays as it is: a trailing comma keeps what it ends expanded. */
void doc_print(Doc *d, Text *out, size_t indent, size_t width);
/* Does the same where the document fits on one line; else false, and nothing is written. */
bool doc_print_flat(const Doc *d, Text *out, size_t indent, size_t width);

#endif
