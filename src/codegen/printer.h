/* Turns expressions and statements into Python text that ruff's formatter (defaults, 88
 * columns) leaves as it is.  Owns indentation, parentheses, quotes and line breaks. */
#ifndef OX_CODEGEN_PRINTER_H
#define OX_CODEGEN_PRINTER_H

#include "ops/expr.h"

enum { PRINT_WIDTH = 88, PRINT_INDENT = 4 };

/* x on one line. */
void print_flat(Text *t, const Expr *x);

/* `target = x` or `return x` (target empty: the bare expression statement), starting at
 * the indentation `level`, broken over lines where it does not fit; ends with a newline.
 * targets: one name, or several for tuple unpacking. */
void print_assign(Text *t, int level, const Str *targets, size_t n, const Expr *x);
void print_return(Text *t, int level, const Expr *x);
void print_statement(Text *t, int level, const Expr *x);
/* `def name(params) -> ...:` broken where it does not fit. */
void print_def(Text *t, int level, Str name, const Str *params, size_t n);
/* "# text", wrapped at the line width, hostile bytes removed. */
void print_comment(Text *t, int level, Str text);
/* A docstring of already wrapped or free text, wrapped at the width and made harmless
 * (no quotes that end it, no escapes, no control characters). Paragraphs are separated by
 * newlines in `text`; lines that start with a space are kept as they are. */
void print_docstring(Text *t, int level, Str text);
void print_newline(Text *t);
/* A Python string literal as ruff writes it: double quotes unless single ones need fewer
 * escapes; non-ASCII and control characters escaped. */
void print_string(Text *t, Str content);

#endif
