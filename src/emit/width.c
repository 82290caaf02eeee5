/* How wide an expression is on one line, and how many lines code takes, without printing
 * it.  It decides what is spliced into what, for every node of the graph, so it allocates
 * nothing.  Parentheses that precedence asks for are not counted: an estimate serves,
 * since the printer breaks what turns out too long. */
#include "emit/gen.h"

enum { WIDTH_DEPTH_MAX = 200 };

static size_t digits(int64_t i) {
    size_t n = i < 0 ? 2 : 1;
    for (; i > 9 || i < -9; i /= 10)
        n++;
    return n;
}

/* What an expression of this kind adds to its children: brackets, dots, quotes. */
static size_t own_width(const Expr *x) {
    size_t commas = x->n > 1 ? 2 * ((size_t)x->n - 1) : 0;
    switch (x->kind) {
    case EX_INT:
        return digits(x->i);
    case EX_STR:
        return x->text.n + 2;
    case EX_CALL: /* the callee is a child without a comma */
        return commas ? commas : 2;
    case EX_INDEX:
        return commas ? commas : 2;
    case EX_KEYWORD:
    case EX_ATTRIBUTE:
        return x->text.n + 1;
    case EX_BINARY:
        return x->text.n + 2;
    case EX_SLICE:
        return 1;
    case EX_IF:
        return sizeof " if  else " - 1;
    case EX_TUPLE:
    case EX_LIST:
        return commas + 2 + (x->kind == EX_TUPLE && x->n == 1);
    case EX_DICT:
        return commas + 2;
    case EX_LAMBDA:
        return x->text.n + sizeof "lambda : " - 1;
    case EX_BYTES:
        return x->text.n + 3;
    case EX_FSTRING:
        return 3;
    case EX_FIELD:
        return x->text.n + 2;
    case EX_STRINGS:
        return x->n - 1;
    case EX_COMPREHENSION:
        return x->n + 1;
    case EX_FOR:
        return sizeof "for  in " - 1 + (x->n - 2) * (sizeof " if " - 1);
    case EX_PAIR:
        return 2;
    case EX_CHAIN:
        return x->text.n + 2;
    case EX_WALRUS:
        return x->text.n + 4;
    default:
        return x->text.n;
    }
}

/* params["..."] */
static bool is_param(const Expr *x) {
    return x->kind == EX_INDEX && x->n == 2 && x->kids[0]->kind == EX_NAME &&
           str_is(x->kids[0]->text, "params") && x->kids[1]->kind == EX_STR;
}

static size_t width_at(const Expr *x, size_t limit, size_t longer, int depth) {
    if (!x)
        return 0;
    size_t width = own_width(x) + (is_param(x) ? longer : 0);
    if (depth > WIDTH_DEPTH_MAX || x->spread)
        return limit + 1; /* what is spread is never on one line */
    for (uint32_t i = 0; i < x->n && width <= limit; i++)
        width += width_at(x->kids[i], limit - width, longer, depth + 1);
    return width;
}

size_t gen_width(const Expr *x, size_t limit) {
    size_t width = width_at(x, limit, 0, 0);
    return width > limit ? limit + 1 : width;
}

/* ---- lines ---------------------------------------------------------------------------- */

/* The lines that something is laid out on. */
typedef struct Lines {
    size_t width;  /* of a line, behind its indentation */
    size_t longer; /* columns that keys of parameters have more than they say */
} Lines;

/* A line that is too wide only for longer keys is taken to break once. */
enum { BROKEN_LINES = 4 };

static size_t lines_of(Lines l, const Expr *x, size_t room);

static size_t width_on(Lines l, const Expr *x, size_t limit) {
    return width_at(x, limit, l.longer, 0);
}

static bool fits(Lines l, const Expr *x, size_t room) {
    return width_on(l, x, room) <= room;
}

/* It would fit if keys were as long as they say. */
static bool fits_short(Lines l, const Expr *x, size_t room) {
    l.longer = 0;
    return fits(l, x, room);
}

static size_t minus(size_t room, size_t used) {
    return room > used ? room - used : 0;
}

static Lines indented(Lines l) {
    return (Lines){minus(l.width, PRINT_INDENT), l.longer};
}

/* What is between brackets, children from `first` on: all on one line where they fit and
 * may stand together, else each on lines of its own. */
static size_t lines_inside(Lines l, const Expr *x, uint32_t first) {
    size_t width = 0, lines = 0;
    uint32_t step = x->kind == EX_DICT ? 2 : 1;
    bool together = x->kind == EX_CALL || x->kind == EX_INDEX;
    for (uint32_t i = first; together && i < x->n && width <= l.width; i++)
        width += width_on(l, x->kids[i], l.width) + (i > first ? 2 : 0);
    if (together && width <= l.width)
        return 1;
    for (uint32_t i = first; i < x->n; i += step)
        lines += lines_of(l, x->kids[i + step - 1], l.width);
    return lines;
}

static size_t in_brackets(Lines l, const Expr *x, uint32_t first) {
    enum { BRACKETS = 2 };
    return x->n > first ? BRACKETS + lines_inside(indented(l), x, first) : 1;
}

/* What is called or indexed breaks where it can and the rest is short. */
static size_t lines_of_postfix(Lines l, const Expr *x, size_t room) {
    size_t rest = own_width(x);
    for (uint32_t i = 1; i < x->n && rest <= room; i++)
        rest += width_on(l, x->kids[i], room);
    size_t lines = rest <= room ? lines_of(l, x->kids[0], room - rest) : 1;
    return lines > 1 || x->n == 1 ? lines : in_brackets(l, x, 1);
}

/* The operands of a chain of one precedence, each on lines of its own. */
static size_t lines_of_operands(Lines l, const Expr *x, size_t room) {
    ExprRank rank = ex_binary_rank(x->text);
    size_t lines = 0;
    for (; x->kind == EX_BINARY && ex_binary_rank(x->text) == rank; x = x->kids[0])
        lines += lines_of(l, x->kids[1], room);
    return lines + lines_of(l, x, room);
}

static size_t lines_of_all(Lines l, const Expr *x) {
    size_t lines = 0;
    for (uint32_t i = 0; i < x->n; i++)
        lines += lines_of(l, x->kids[i], l.width);
    return lines;
}

/* x with `room` left on its first line, where operators may break. */
static size_t lines_of(Lines l, const Expr *x, size_t room) {
    if (!x || x->n == 0 || fits(l, x, room))
        return 1;
    if (l.longer && fits_short(l, x, room))
        return BROKEN_LINES;
    switch (x->kind) {
    case EX_CALL:
    case EX_INDEX:
        return lines_of_postfix(l, x, room);
    case EX_TUPLE:
    case EX_LIST:
    case EX_DICT:
        return in_brackets(l, x, 0);
    case EX_COMPREHENSION:
        return 2 + lines_of_all(indented(l), x);
    case EX_BINARY:
        return lines_of_operands(l, x, room);
    case EX_IF:
    case EX_STRINGS:
        return lines_of_all(l, x);
    case EX_FOR:
        return lines_of(l, x->kids[1], minus(room, own_width(x)));
    default: /* the last of its parts may break */
        return lines_of(l, x->kids[x->n - 1], minus(room, own_width(x)));
    }
}

/* An expression with `room` left on its first line, in parentheses where it needs them
 * to break. */
static size_t lines_of_value(Lines l, const Expr *x, size_t room) {
    bool bare =
        x && (x->kind == EX_BINARY || x->kind == EX_IF || x->kind == EX_STRINGS);
    if (!bare || fits(l, x, room) || fits_short(l, x, room))
        return lines_of(l, x, room);
    Lines inner = indented(l);
    return 2 + lines_of(inner, x, inner.width);
}

static size_t lines_of_head(Lines l, const Stmt *s) {
    size_t before = sizeof "return " - 1;
    if (s->kind == ST_ASSIGN)
        before = s->text.n + 2 + width_on(l, s->target, l.width);
    else if (s->kind == ST_FOR)
        before = sizeof "for  in :" - 1 + width_on(l, s->target, l.width);
    return lines_of_value(l, s->expr, minus(l.width, before));
}

/* A function within a function has empty lines around it, the first of a block none above;
 * see print_code. */
static size_t lines_of_code(Lines l, const Stmts *list, bool local, bool first) {
    size_t lines = 0;
    for (size_t i = 0; i < list->count; i++) {
        const Stmt *s = &list->items[i];
        bool apart = s->def && local;
        lines += lines_of_head(l, s) + apart + (apart && !first);
        if (s->body)
            lines += lines_of_code(indented(l), s->body, true, true);
        first = apart;
    }
    return lines;
}

size_t gen_lines(const Stmts *list, int level, size_t longer) {
    Lines l = {PRINT_WIDTH - (size_t)level * PRINT_INDENT, longer};
    return lines_of_code(l, list, level > 0, true);
}
