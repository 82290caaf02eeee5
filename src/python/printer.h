/* Turns expressions and statements into Python text that ruff's formatter (defaults, 88
 * columns) leaves as it is.  Owns indentation, parentheses, quotes and line breaks. */
#ifndef OX_PYTHON_PRINTER_H
#define OX_PYTHON_PRINTER_H

#include "code/program.h"

enum { PRINT_WIDTH = 88, PRINT_INDENT = 4 };

/* x on one line. */
void print_flat(Text *t, const Expr *x);

/* Statements, at the indentation `level`: what does not fit on a line is broken over
 * several; each ends with a newline.  `first`: nothing of the block is above. */
void print_code(Text *t, int level, const Stmts *list, bool first);
/* Who wants to know where statements are printed: each is called for behind its body, if
 * it has one.  Its own lines, those of its head, are the bytes [begin, end) of the text,
 * and the last of its body ends at `whole`. */
typedef struct PrintWatch {
    void (*printed)(void *user, const Stmt *s, size_t begin, size_t end, size_t whole);
    void *user;
} PrintWatch;
/* The same for a watch, which may be NULL. */
void print_watched(Text *t, int level, const Stmts *list, bool first,
                   const PrintWatch *watch);
/* "# text", wrapped at the line width, hostile bytes removed. */
void print_comment(Text *t, int level, Str text);
/* A docstring of already wrapped or free text, wrapped at the width and made harmless
 * (no quotes that end it, no escapes, no control characters). Paragraphs are separated by
 * newlines in `text`; lines that start with a space are kept as they are. */
void print_docstring(Text *t, int level, Str text);
/* A docstring of ours, which is harmless: its lines stay as they are. */
void print_doc_lines(Text *t, int level, Str text);
/* A Python string literal as ruff writes it: double quotes unless single ones need fewer
 * escapes; non-ASCII and control characters escaped. */
void print_string(Text *t, Str content);
/* The quote for the parts of one string, and a part between such quotes. */
char print_quote(const Str *parts, size_t n);
void print_quoted(Text *t, Str content, char quote);

#endif
