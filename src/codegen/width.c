/* How wide an expression is on one line, without printing it.  It decides what is
 * spliced into what, for every node of the graph, so it allocates nothing.  Parentheses
 * that precedence asks for are not counted: an estimate serves, since the printer
 * breaks what turns out too long. */
#include "codegen/gen.h"

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
    default:
        return x->text.n;
    }
}

static size_t width_at(const Expr *x, size_t limit, int depth) {
    if (!x)
        return 0;
    size_t width = own_width(x);
    if (depth > WIDTH_DEPTH_MAX)
        return limit + 1;
    for (uint32_t i = 0; i < x->n && width <= limit; i++)
        width += width_at(x->kids[i], limit - width, depth + 1);
    return width;
}

size_t gen_width(const Expr *x, size_t limit) {
    size_t width = width_at(x, limit, 0);
    return width > limit ? limit + 1 : width;
}
