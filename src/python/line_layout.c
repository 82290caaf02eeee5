/* Where expressions may break.  Line breaks outside of brackets are allowed only once
 * some parentheses surround them, so every function is told its `Place`. */
#include "python/line_layout.h"

typedef struct Place {
    enum {
        OUTSIDE,  /* in no brackets: no break possible */
        OPTIONAL, /* in parentheses that group `id` writes when it is expanded */
        INSIDE,   /* in brackets */
    } kind;
    uint32_t id;
} Place;

static const Place inside = {INSIDE, 0};
static const Place outside = {OUTSIDE, 0};

/* How a link of a method chain is told what its chain has decided. */
typedef enum Chain { CHAIN_ROOT, CHAIN_FLUENT, CHAIN_PLAIN } Chain;

static void layout(Doc *d, const Py *e, Place at);
static void layout_bare(Doc *d, const Py *e, Place at, Chain chain);

/* ---- breaks that need brackets ---------------------------------------------------- */

static void optional_line(Doc *d, DocOp line, Place at) {
    if (at.kind == INSIDE) {
        doc_line(d, line);
    } else if (at.kind == OPTIONAL) {
        size_t broken = doc_begin(d, D_IF_EXPANDED, at.id);
        doc_line(d, line);
        doc_end(d, broken);
        size_t flat = doc_begin(d, D_IF_FLAT, at.id);
        doc_lit(d, line == D_SOFT_SPACE ? " " : "");
        doc_end(d, flat);
    } else if (line == D_SOFT_SPACE) {
        doc_lit(d, " ");
    }
}

/* A group, once there are brackets.  Without them the content stands alone, between an
 * INDENT_IF that is never met. */
static size_t begin_optional_group(Doc *d, Place at) {
    if (at.kind == INSIDE)
        return doc_begin(d, D_GROUP, 0);
    return at.kind == OPTIONAL ? doc_begin(d, D_GROUP_IF, at.id)
                               : doc_begin(d, D_ENTRY, 0);
}

static void lit_if_expanded(Doc *d, const char *text) {
    size_t begin = doc_begin(d, D_IF_EXPANDED, 0);
    doc_lit(d, text);
    doc_end(d, begin);
}

/* Behind the last of the items that e has in brackets. */
static void trailing_comma(Doc *d, const Py *e, bool several) {
    if (e->spread)
        doc_kept_comma(d);
    else if (several)
        doc_line(d, D_COMMA);
}

typedef void Content(Doc *d, const Py *e, Place at);

/* `open`, the content on lines of its own where it does not fit, `close`. */
static void brackets(Doc *d, const char *open, Content *content, const Py *e,
                     const char *close, Place at) {
    doc_lit(d, open);
    size_t expanded = at.kind == OPTIONAL ? doc_begin(d, D_FITS_EXPANDED, at.id) : 0;
    size_t group = doc_begin(d, D_GROUP, 0);
    size_t indent = doc_begin(d, D_INDENT, 0);
    doc_line(d, D_SOFT);
    content(d, e, inside);
    doc_end(d, indent);
    doc_line(d, D_SOFT);
    doc_end(d, group);
    if (at.kind == OPTIONAL)
        doc_end(d, expanded);
    doc_lit(d, close);
}

/* A group, though it cannot break: whether it fits is asked, and the answer kept. */
static void empty_brackets(Doc *d, const char *both) {
    size_t group = doc_begin(d, D_GROUP, 0);
    doc_lit(d, both);
    doc_end(d, group);
}

/* Parentheses only when the content takes several lines. */
static void parens_if_expanded(Doc *d, Content *content, const Py *e) {
    size_t group = doc_begin(d, D_GROUP, 0);
    lit_if_expanded(d, "(");
    size_t indent = doc_begin(d, D_INDENT, 0);
    doc_line(d, D_SOFT);
    content(d, e, inside);
    doc_end(d, indent);
    doc_line(d, D_SOFT);
    lit_if_expanded(d, ")");
    doc_end(d, group);
}

/* Parentheses only when it does not fit even with all brackets inside expanded. */
static void parens_if_needed(Doc *d, Content *content, const Py *e) {
    uint32_t id = doc_new_id(d);
    size_t group = doc_begin(d, D_GROUP, id);
    lit_if_expanded(d, "(");
    size_t indent = doc_begin(d, D_INDENT_IF, id);
    doc_line(d, D_SOFT);
    content(d, e, (Place){OPTIONAL, id});
    doc_end(d, indent);
    doc_line(d, D_SOFT);
    lit_if_expanded(d, ")");
    doc_end(d, group);
}

/* e without the parentheses it may have in the tree. */
static void layout_root(Doc *d, const Py *e, Place at) {
    layout_bare(d, e, at, CHAIN_ROOT);
}

/* ---- atoms and sequences ---------------------------------------------------------- */

static void layout_unary(Doc *d, const Py *e, Place at) {
    doc_text(d, e->text);
    if (str_is(e->text, "not"))
        doc_lit(d, " ");
    layout(d, e->kids[0], at);
}

/* Children from `first` on; a comma follows the last of several on its own line. */
static void layout_items(Doc *d, const Py *e, uint32_t first, Place at) {
    for (uint32_t i = first; i < e->n; i++) {
        if (i > first) {
            doc_lit(d, ",");
            doc_line(d, D_SOFT_SPACE);
        }
        layout(d, e->kids[i], at);
    }
    trailing_comma(d, e, e->n - first > 1);
}

static void layout_all_items(Doc *d, const Py *e, Place at) {
    layout_items(d, e, 0, at);
}

static void layout_single(Doc *d, const Py *e, Place at) {
    layout(d, e->kids[0], at);
    doc_lit(d, ",");
}

static void layout_tuple(Doc *d, const Py *e, Place at) {
    if (e->n == 0)
        empty_brackets(d, "()");
    else if (e->n == 1)
        brackets(d, "(", layout_single, e, ")", at);
    else if (!e->bare)
        brackets(d, "(", layout_all_items, e, ")", at);
    else if (e->n == 2)
        parens_if_needed(d, layout_all_items, e);
    else
        parens_if_expanded(d, layout_all_items, e);
}

static void layout_pairs(Doc *d, const Py *e, Place at) {
    for (uint32_t i = 0; i + 1 < e->n; i += 2) {
        if (i > 0) {
            doc_lit(d, ",");
            doc_line(d, D_SOFT_SPACE);
        }
        size_t group = doc_begin(d, D_GROUP, 0);
        layout(d, e->kids[i], at);
        doc_lit(d, ": ");
        layout(d, e->kids[i + 1], at);
        doc_end(d, group);
    }
    trailing_comma(d, e, e->n > 2);
}

static void layout_slice(Doc *d, const Py *e, Place at) {
    const Py *start = e->kids[0], *stop = e->kids[1], *step = e->kids[2];
    bool tight = py_is_simple_bound(start) && py_is_simple_bound(stop) &&
                 py_is_simple_bound(step);
    if (start)
        layout(d, start, at);
    doc_lit(d, start && !tight ? " :" : ":");
    if (stop) {
        doc_lit(d, tight ? "" : " ");
        layout(d, stop, at);
    }
    if (step) {
        doc_lit(d, stop && !tight ? " :" : ":");
        doc_lit(d, tight ? "" : " ");
        layout(d, step, at);
    }
}

/* ---- operators -------------------------------------------------------------------- */

/* A chain of operators of any precedence, without parentheses between, in the order of
 * the text: operand[0] op[1] operand[1] ... */
typedef struct Part {
    const Py *operand;
    const Py *operation; /* before the operand; NULL for the first */
} Part;

typedef struct Parts {
    Part *items;
    size_t count, cap;
} Parts;

static bool is_operation(const Py *e) {
    return e->kind == PY_BINARY || e->kind == PY_COMPARE || e->kind == PY_BOOL;
}

static void flatten(Doc *d, const Py *e, const Py *before, Parts *parts) {
    for (uint32_t i = 0; i < e->n; i++) {
        const Py *kid = e->kids[i], *operation = i ? e : before;
        if (is_operation(kid) && !kid->parens)
            flatten(d, kid, operation, parts);
        else
            ARENA_PUSH(d->arena, parts, ((Part){kid, operation}));
    }
}

static void layout_chain(Doc *d, const Part *parts, size_t n, Place at);

static void layout_operand(Doc *d, const Part *parts, size_t n, Place at) {
    if (n == 1) {
        layout(d, parts->operand, at);
        return;
    }
    size_t group = begin_optional_group(d, at);
    layout_chain(d, parts, n, at);
    doc_end(d, group);
}

static void layout_operator(Doc *d, const Part *left, const Part *right, Place at) {
    const Py *operation = right->operation;
    bool power = py_order(operation) == ORDER_POWER;
    bool tight = power && py_is_simple_power(left->operand) &&
                 py_is_simple_power(right->operand);
    optional_line(d, tight ? D_SOFT : D_SOFT_SPACE, at);
    doc_text(d, operation->text);
    if (!tight) {
        doc_lit(d, " ");
    } else if (at.kind != OUTSIDE) {
        size_t broken = doc_begin(d, D_IF_EXPANDED, at.id);
        doc_lit(d, " ");
        doc_end(d, broken);
    }
}

/* Breaks before the operators that bind least. */
static void layout_chain(Doc *d, const Part *parts, size_t n, Place at) {
    PyOrder least = ORDER_NONE;
    for (size_t i = 1; i < n; i++)
        if (py_order(parts[i].operation) > least)
            least = py_order(parts[i].operation);
    size_t start = 0;
    for (size_t i = 1; i < n; i++) {
        if (py_order(parts[i].operation) != least)
            continue;
        layout_operand(d, parts + start, i - start, at);
        layout_operator(d, &parts[i - 1], &parts[i], at);
        start = i;
    }
    layout_operand(d, parts + start, n - start, at);
}

static void layout_operation(Doc *d, const Py *e, Place at) {
    Parts parts = {0};
    flatten(d, e, NULL, &parts);
    if (d->arena->failed)
        return;
    layout_operand(d, parts.items, parts.count, at);
}

static void layout_if_parts(Doc *d, const Py *e, Place at) {
    const Py *otherwise = e->kids[2];
    layout(d, e->kids[0], at);
    optional_line(d, D_SOFT_SPACE, at);
    doc_lit(d, "if ");
    layout(d, e->kids[1], at);
    optional_line(d, D_SOFT_SPACE, at);
    doc_lit(d, "else ");
    if (otherwise->kind == PY_IF && !otherwise->parens) {
        layout_if_parts(d, otherwise, at); /* a ladder of conditions breaks as one */
        return;
    }
    size_t group = begin_optional_group(d, at);
    layout(d, otherwise, at);
    doc_end(d, group);
}

static void layout_if(Doc *d, const Py *e, Place at) {
    size_t group = begin_optional_group(d, at);
    layout_if_parts(d, e, at);
    doc_end(d, group);
}

/* ---- comprehensions and f-strings -------------------------------------------------- */

void layout_target(Doc *d, const Py *e) {
    for (uint32_t i = 0; e->bare && i < e->n; i++) {
        doc_lit(d, i ? ", " : "");
        layout(d, e->kids[i], inside);
    }
    if (!e->bare)
        layout(d, e, inside);
}

static void layout_for(Doc *d, const Py *e) {
    doc_lit(d, "for ");
    layout_target(d, e->kids[0]);
    doc_lit(d, " in ");
    layout(d, e->kids[1], inside);
    for (uint32_t i = 2; i < e->n; i++) {
        doc_line(d, D_SOFT_SPACE);
        size_t group = doc_begin(d, D_GROUP, 0);
        doc_lit(d, "if ");
        layout(d, e->kids[i], inside);
        doc_end(d, group);
    }
}

/* Between the brackets. */
static void layout_comprehension(Doc *d, const Py *e, Place at) {
    size_t group = doc_begin(d, D_GROUP, 0);
    size_t element = doc_begin(d, D_GROUP, 0);
    layout(d, e->kids[0], at);
    doc_end(d, element);
    for (uint32_t i = 1; i < e->n; i++) {
        doc_line(d, D_SOFT_SPACE);
        layout_for(d, e->kids[i]);
    }
    doc_end(d, group);
}

static void layout_in_brackets(Doc *d, const Py *e, Place at) {
    char open = e->text.p[0];
    brackets(d,
             open == '('   ? "("
             : open == '[' ? "["
                           : "{",
             layout_comprehension, e,
             open == '('   ? ")"
             : open == '[' ? "]"
                           : "}",
             at);
}

/* f(x for x in xs) */
static bool is_generator(const Py *call) {
    return call->n == 2 && call->kids[1]->kind == PY_COMPREHENSION &&
           str_is(call->kids[1]->text, "(");
}

static void layout_pair(Doc *d, const Py *e, Place at) {
    size_t key = doc_begin(d, D_GROUP, 0);
    layout(d, e->kids[0], at);
    doc_end(d, key);
    doc_lit(d, ": ");
    layout(d, e->kids[1], at);
}

/* On one line: no break is possible in there. */
static void layout_field(Doc *d, const Py *e) {
    Doc inner = {.arena = d->arena};
    Text t = {.arena = d->arena};
    layout(&inner, e->kids[0], outside);
    doc_print(&inner, &t, 0, SIZE_MAX / 2);
    doc_lit(d, "{");
    doc_text(d, text_view(&t));
    doc_text(d, e->text);
    doc_lit(d, "}");
}

static void layout_fstring(Doc *d, const Py *e) {
    doc_lit(d, "f");
    doc_text(d, e->text);
    for (uint32_t i = 0; i < e->n; i++) {
        if (e->kids[i]->kind == PY_FIELD)
            layout_field(d, e->kids[i]);
        else
            doc_text(d, e->kids[i]->text);
    }
    doc_text(d, e->text);
}

/* All on one line, or one on each. */
static void layout_strings(Doc *d, const Py *e, Place at) {
    size_t group = begin_optional_group(d, at);
    for (uint32_t i = 0; i < e->n; i++) {
        if (i)
            optional_line(d, D_SOFT_SPACE, at);
        layout(d, e->kids[i], at);
    }
    doc_end(d, group);
}

/* ---- calls, subscripts, attributes ------------------------------------------------ */

static void layout_object(Doc *d, const Py *object, Place at, Chain chain) {
    if (object->parens)
        layout(d, object, at);
    else
        layout_bare(d, object, at, chain);
}

static void layout_arguments(Doc *d, const Py *e, Place at) {
    size_t group = doc_begin(d, D_GROUP, 0);
    layout_items(d, e, 1, at);
    doc_end(d, group);
}

static void layout_indices(Doc *d, const Py *e, Place at) {
    if (e->n == 2)
        layout(d, e->kids[1], at);
    else
        layout_arguments(d, e, at);
}

static void layout_link(Doc *d, const Py *e, Place at, Chain chain) {
    const Py *object = e->kids[0];
    layout_object(d, object, at, chain);
    if (e->kind == PY_ATTRIBUTE) {
        bool call = object->kind == PY_CALL || object->kind == PY_INDEX;
        if (chain == CHAIN_FLUENT && (call || object->parens))
            doc_line(d, D_SOFT);
        doc_lit(d, ".");
        doc_text(d, e->text);
    } else if (e->kind == PY_INDEX) {
        brackets(d, "[", layout_indices, e, "]", at);
    } else if (e->n == 1) {
        empty_brackets(d, "()");
    } else if (is_generator(e)) {
        brackets(d, "(", layout_comprehension, e->kids[1], ")", at);
    } else {
        brackets(d, "(", layout_arguments, e, ")", at);
    }
}

static void layout_chain_link(Doc *d, const Py *e, Place at, Chain chain) {
    if (chain != CHAIN_ROOT) {
        layout_link(d, e, at, chain);
        return;
    }
    bool fluent = at.kind != OUTSIDE && py_is_fluent(e);
    size_t group = fluent ? doc_begin(d, D_GROUP, 0) : 0;
    layout_link(d, e, at, fluent ? CHAIN_FLUENT : CHAIN_PLAIN);
    if (fluent)
        doc_end(d, group);
}

/* ---- lambda ----------------------------------------------------------------------- */

/* A call or subscript: on one line, else broken in its brackets, else in (). */
static void layout_best_body(Doc *d, const Py *body, Place at) {
    size_t skip = doc_begin(d, D_SKIP, 0);
    layout_root(d, body, at);
    doc_end(d, skip);
    size_t best = doc_begin(d, D_BEST, (uint32_t)skip + 1);
    size_t flat = doc_begin(d, D_ENTRY, 0);
    doc_ref(d, skip);
    doc_end(d, flat);
    size_t broken = doc_begin(d, D_ENTRY, 0), group = doc_begin(d, D_GROUP_EXPANDED, 0);
    doc_ref(d, skip);
    doc_end(d, group);
    doc_end(d, broken);
    size_t parens = doc_begin(d, D_ENTRY, 0);
    doc_lit(d, "(");
    size_t indent = doc_begin(d, D_INDENT, 0);
    doc_line(d, D_HARD);
    doc_ref(d, skip);
    doc_end(d, indent);
    doc_line(d, D_HARD);
    doc_lit(d, ")");
    doc_end(d, parens);
    doc_end(d, best);
}

static void layout_body(Doc *d, const Py *body, Place at) {
    bool call = body->kind == PY_CALL || body->kind == PY_INDEX;
    if (call && !py_is_fluent(body))
        layout_best_body(d, body, at);
    else if (!call && py_has_brackets(body))
        layout_root(d, body, at);
    else
        parens_if_expanded(d, layout_root, body);
}

static void layout_lambda(Doc *d, const Py *e, Place at, bool is_value) {
    doc_lit(d, e->text.n ? "lambda " : "lambda");
    doc_text(d, e->text);
    doc_lit(d, ": ");
    /* As a statement's value: rather parentheses around the body than around all. */
    size_t expanded = is_value ? doc_begin(d, D_FITS_EXPANDED, 0) : 0;
    layout_body(d, e->kids[0], at);
    if (is_value)
        doc_end(d, expanded);
}

static void layout_value_lambda(Doc *d, const Py *e, Place at) {
    (void)at; /* its body has its own parentheses, whatever stands around the lambda */
    layout_lambda(d, e, inside, true);
}

/* ---- expressions ------------------------------------------------------------------ */

static void layout_bare(Doc *d, const Py *e, Place at, Chain chain) {
    switch (e->kind) {
    case PY_NAME:
    case PY_NUMBER:
    case PY_STRING:
        doc_text(d, e->text);
        break;
    case PY_CALL:
    case PY_INDEX:
    case PY_ATTRIBUTE:
        layout_chain_link(d, e, at, chain);
        break;
    case PY_KEYWORD:
        doc_text(d, e->text);
        doc_lit(d, "=");
        layout(d, e->kids[0], at);
        break;
    case PY_SLICE:
        layout_slice(d, e, at);
        break;
    case PY_UNARY:
    case PY_STAR:
        layout_unary(d, e, at);
        break;
    case PY_BINARY:
    case PY_COMPARE:
    case PY_BOOL:
        layout_operation(d, e, at);
        break;
    case PY_IF:
        layout_if(d, e, at);
        break;
    case PY_TUPLE:
        layout_tuple(d, e, at);
        break;
    case PY_LIST:
        if (e->n)
            brackets(d, "[", layout_all_items, e, "]", at);
        else
            empty_brackets(d, "[]");
        break;
    case PY_DICT:
        if (e->n)
            brackets(d, "{", layout_pairs, e, "}", at);
        else
            empty_brackets(d, "{}");
        break;
    case PY_LAMBDA:
        layout_lambda(d, e, at, false);
        break;
    case PY_FSTRING:
        layout_fstring(d, e);
        break;
    case PY_FIELD:
        layout_field(d, e);
        break;
    case PY_STRINGS:
        layout_strings(d, e, at);
        break;
    case PY_COMPREHENSION:
        layout_in_brackets(d, e, at);
        break;
    case PY_FOR:
        layout_for(d, e);
        break;
    case PY_PAIR:
        layout_pair(d, e, at);
        break;
    case PY_WALRUS:
        doc_text(d, e->text);
        doc_lit(d, " := ");
        layout(d, e->kids[0], at);
        break;
    }
}

static void layout(Doc *d, const Py *e, Place at) {
    if (e->parens)
        brackets(d, "(", layout_root, e, ")", at);
    else
        layout_bare(d, e, at, CHAIN_ROOT);
}

/* ---- statements ------------------------------------------------------------------- */

void layout_value(Doc *d, const Py *e) {
    PyWrap wrap = py_wrap(e);
    if (wrap == WRAP_NEVER) {
        layout_root(d, e, outside);
    } else if (wrap == WRAP_IF_FITS) {
        uint32_t id = doc_new_id(d);
        size_t parens = doc_begin(d, D_PARENS_IF_FITS, id);
        layout_root(d, e, (Place){OPTIONAL, id});
        doc_end(d, parens);
    } else if (e->kind == PY_LAMBDA) {
        parens_if_needed(d, layout_value_lambda, e);
    } else if (py_breaks_inside(e)) {
        parens_if_needed(d, layout_root, e);
    } else {
        parens_if_expanded(d, layout_root, e);
    }
}

void layout_statement(Doc *d, const Py *e) {
    if (is_operation(e))
        layout_value(d, e);
    else
        layout_root(d, e, outside);
}

/* a, b, broken in parentheses of its own */
static size_t layout_targets(Doc *d, const Py *targets) {
    size_t skip = doc_begin(d, D_SKIP, 0);
    size_t group = doc_begin(d, D_GROUP, 0);
    lit_if_expanded(d, "(");
    size_t indent = doc_begin(d, D_INDENT, 0);
    doc_line(d, D_SOFT);
    layout_items(d, targets, 0, inside);
    doc_end(d, indent);
    doc_line(d, D_SOFT);
    lit_if_expanded(d, ")");
    doc_end(d, group);
    doc_end(d, skip);
    return skip;
}

/* Ways to write `targets = value`. */
typedef enum Variant { AS_IT_IS, VALUE_EXPANDED, VALUE_IN_PARENS } Variant;

static void layout_variant(Doc *d, size_t targets, size_t value, Variant v) {
    size_t entry = doc_begin(d, D_ENTRY, 0);
    doc_ref(d, targets);
    doc_lit(d, v == VALUE_IN_PARENS ? " = (" : " = ");
    size_t group = doc_begin(d, v == AS_IT_IS ? D_ENTRY : D_GROUP_EXPANDED, 0);
    size_t indent = v == VALUE_IN_PARENS ? doc_begin(d, D_INDENT, 0) : 0;
    if (v == VALUE_IN_PARENS)
        doc_line(d, D_SOFT);
    doc_ref(d, value);
    if (v == VALUE_IN_PARENS) {
        doc_end(d, indent);
        doc_line(d, D_SOFT);
    }
    doc_end(d, group);
    doc_lit(d, v == VALUE_IN_PARENS ? ")" : "");
    doc_end(d, entry);
}

void layout_unpack(Doc *d, const Py *names, const Py *e) {
    size_t targets = layout_targets(d, names);
    bool ellipsis = e->kind == PY_NAME && str_is(e->text, "...");
    if (py_wrap(e) != WRAP_IF_FITS || e->kind == PY_UNARY || ellipsis) {
        doc_ref(d, targets);
        doc_lit(d, " = ");
        layout_value(d, e);
        return;
    }
    size_t value = doc_begin(d, D_SKIP, 0);
    layout_root(d, e, outside);
    doc_end(d, value);
    size_t best = doc_begin(d, D_BEST, 0);
    layout_variant(d, targets, value, AS_IT_IS); /* on one line */
    if (py_is_chain_link(e))
        layout_variant(d, targets, value, VALUE_EXPANDED);
    layout_variant(d, targets, value, VALUE_IN_PARENS);
    layout_variant(d, targets, value, AS_IT_IS); /* with the targets in parentheses */
    doc_end(d, best);
}

static void layout_param(Doc *d, const Param *param) {
    doc_text(d, param->name);
    const Py *type = param->type ? py_from_expr(d->arena, param->type) : NULL;
    const Py *value = param->value ? py_from_expr(d->arena, param->value) : NULL;
    if (type) {
        doc_lit(d, ": ");
        layout(d, type, inside);
    }
    if (value) {
        doc_lit(d, type ? " = " : "=");
        layout(d, value, inside);
    }
}

static void layout_param_list(Doc *d, const Def *def) {
    /* A single one has no group of its own, and gets its comma when broken. */
    size_t n = def->n_params, group = n > 1 ? doc_begin(d, D_GROUP, 0) : 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            doc_lit(d, ",");
            doc_line(d, D_SOFT_SPACE);
        }
        layout_param(d, &def->params[i]);
    }
    if (def->spread)
        doc_kept_comma(d);
    else if (n)
        doc_line(d, D_COMMA);
    if (n > 1)
        doc_end(d, group);
}

void layout_params(Doc *d, const Def *def) {
    doc_lit(d, "(");
    size_t group = doc_begin(d, D_GROUP, 0);
    size_t indent = doc_begin(d, D_INDENT, 0);
    if (def->n_params)
        doc_line(d, D_SOFT);
    layout_param_list(d, def);
    doc_end(d, indent);
    if (def->n_params)
        doc_line(d, D_SOFT);
    doc_end(d, group);
    doc_lit(d, ")");
}
