/* Tables of text for people.  Cells are made twice, once to measure and once to print, so
 * that nothing but a width a column is kept however long the table is. */
#ifndef OX_INSPECT_COLUMNS_H
#define OX_INSPECT_COLUMNS_H

#include "support/diag.h"

enum { COLUMNS_MAX = 6 };

typedef struct Table {
    Text *out;
    Text cell;  /* reused for every cell */
    Text plain; /* likewise, for text not yet escaped */
    size_t width[COLUMNS_MAX];
    size_t widest; /* longer cells push the rest of their row, or are cut */
    bool cut;
    int column;
    size_t padding; /* owed before the next cell */
    bool measuring;
} Table;

/* Columns that a terminal gives to this text: two for wide characters of East Asia and for
 * pictures, none for marks that combine (Unicode Standard Annex 11). */
size_t columns_of(Str s);

/* Runs the rows twice; the options are those of *t, zero for the usual ones. */
void table_print(Table *t, Text *out, void (*rows)(Table *t, const void *user),
                 const void *user);

/* The next cell is written into what this gives, and ended; to the left, or the right. */
Text *table_cell(Table *t);
void table_end_cell(Table *t, bool right);
/* A cell of a model's text, escaped. */
void table_put(Table *t, Str s);
/* The same, made in what table_plain gives. */
Text *table_plain(Table *t);
void table_put_plain(Table *t);
void table_end_row(Table *t);

/* 46837760 -> "46.8 MB"; 11689512 -> "11,689,512"; 1.814e9 -> "1.81 G". */
void append_bytes(Text *t, uint64_t n);
void append_count(Text *t, uint64_t n);
void append_short(Text *t, double n);
void append_spaces(Text *t, size_t n);

#endif
