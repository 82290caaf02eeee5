/* Prints random statements, for tests/test_printer_ruff.py to hold against ruff and
 * against Python's parser.
 *
 *     print_random SEED COUNT         a function of COUNT statements, laid out
 *     print_random SEED COUNT full    the same with every expression in parentheses
 *     print_random SEED COUNT flat    the expressions alone, each on one line, after
 *                                     its width as print_width has it
 *     print_random SEED COUNT prose   functions with docstrings and comments */
#include <stdio.h>
#include <stdlib.h>

#include "python/printer.h"

typedef struct Random {
    Arena *arena;
    uint64_t state;
} Random;

static uint32_t draw(Random *r, uint32_t below) {
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return (uint32_t)(r->state >> 33) % below;
}

/* ---- random trees ----------------------------------------------------------------- */

static const Expr *random_expr(Random *r, int depth);

static Str random_word(Random *r) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    uint32_t n = 1 + draw(r, draw(r, 6) ? 9 : 40);
    Text t = {.arena = r->arena};
    text_char(&t, "qxvz"[draw(r, 4)]); /* no keyword starts so */
    for (uint32_t i = 1; i < n; i++)
        text_char(&t, letters[draw(r, sizeof letters - 1)]);
    return text_view(&t);
}

static const Expr *random_name(Random *r) {
    static const char *const known[] = {"None",      "True", "...", "jnp.float32",
                                        "jax.lax.x", "jnp",  "x",   "hidden_states"};
    if (draw(r, 3) == 0)
        return ex_name(r->arena, str_from(known[draw(r, OX_COUNT(known))]));
    return ex_name(r->arena, random_word(r));
}

static const Expr *random_string(Random *r) {
    static const char bytes[] = "abc. '\"\\\n\t\x01\x7f/-{}%";
    Text t = {.arena = r->arena};
    for (uint32_t n = draw(r, draw(r, 4) ? 12 : 70); n > 0; n--)
        text_char(&t, draw(r, 3) ? 'k' : bytes[draw(r, sizeof bytes - 1)]);
    if (draw(r, 8) == 0)
        text_lit(&t, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff");
    return ex_str(r->arena, text_view(&t));
}

static const Expr *random_number(Random *r) {
    static const double values[] = {0.5, 1e-5, -2.5, 1e20, 3.0, -1e-7, 0.1, 123456.789};
    if (draw(r, 2))
        return ex_int(r->arena, (int64_t)draw(r, 2000) - 500);
    return ex_float(r->arena, values[draw(r, OX_COUNT(values))], 64);
}

static const Expr *random_atom(Random *r) {
    switch (draw(r, 6)) {
    case 0:
        return random_number(r);
    case 1:
        return random_string(r);
    default:
        return random_name(r);
    }
}

static const Expr *random_item(Random *r, int depth) {
    const Expr *x = random_expr(r, depth);
    return draw(r, 15) ? x : ex_unary(r->arena, "*", x);
}

/* The object of a call, subscript or attribute: seldom something in parentheses. */
static const Expr *random_object(Random *r, int depth) {
    return draw(r, 3) ? random_name(r) : random_expr(r, depth);
}

static const Expr *random_call(Random *r, int depth) {
    const Expr *args[8];
    uint32_t n = draw(r, 5), keywords = draw(r, 3);
    for (uint32_t i = 0; i < n; i++)
        args[i] = random_item(r, depth);
    for (uint32_t i = 0; i < keywords; i++, n++)
        args[n] = ex_keyword(r->arena, random_word(r), random_expr(r, depth));
    if (draw(r, 12) == 0)
        args[n++] = ex_unary(r->arena, "**", random_expr(r, depth));
    const Expr *x = ex_call(r->arena, random_object(r, depth), args, n);
    return n && draw(r, 20) == 0 ? ex_spread(r->arena, x) : x;
}

static const Expr *random_bound(Random *r, int depth) {
    return draw(r, 2) ? NULL : draw(r, 2) ? random_atom(r) : random_expr(r, depth);
}

static const Expr *random_index(Random *r, int depth) {
    const Expr *items[4];
    uint32_t n = 1 + draw(r, 4);
    for (uint32_t i = 0; i < n; i++) {
        items[i] = draw(r, 2) ? random_atom(r) : random_expr(r, depth);
        if (draw(r, 3) == 0)
            items[i] = ex_slice(r->arena, random_bound(r, depth),
                                random_bound(r, depth), random_bound(r, depth));
    }
    return ex_index(r->arena, random_object(r, depth), items, n);
}

static const Expr *random_chain(Random *r, int depth) {
    const Expr *x = random_object(r, depth);
    for (uint32_t links = 1 + draw(r, 4); links > 0; links--) {
        const Expr *arg = random_atom(r);
        x = ex_attribute(r->arena, x, random_word(r));
        if (draw(r, 3))
            x = draw(r, 4) ? ex_call(r->arena, x, &arg, draw(r, 2))
                           : ex_index(r->arena, x, &arg, 1);
    }
    return x;
}

static const Expr *random_binary(Random *r, int depth) {
    static const char *const ops[] = {"+",  "-",      "*",      "/",   "//", "%",
                                      "@",  "**",     "+",      "*",   "-",  "**",
                                      "<<", ">>",     "|",      "&",   "^",  "<",
                                      "<=", "==",     "!=",     "in",  "is", "and",
                                      "or", "not in", "is not", "and", "or", ">"};
    const char *op = ops[draw(r, OX_COUNT(ops))];
    const Expr *left = random_expr(r, depth), *right = random_expr(r, depth);
    const Expr *x = ex_binary(r->arena, op, left, right);
    for (uint32_t more = draw(r, 4) ? 0 : draw(r, 5); more > 0; more--)
        x = ex_binary(r->arena, op, x, random_expr(r, depth));
    return x;
}

static const Expr *random_seq(Random *r, ExprKind kind, int depth) {
    const Expr *items[8] = {NULL};
    uint32_t n = draw(r, 8);
    for (uint32_t i = 0; i < n; i++)
        items[i] = random_item(r, depth);
    const Expr *x = ex_seq(r->arena, kind, items, n);
    return n > 1 && draw(r, 12) == 0 ? ex_spread(r->arena, x) : x;
}

static const Expr *random_dict(Random *r, int depth) {
    const Expr *items[8] = {NULL};
    uint32_t n = 2 * draw(r, 4);
    for (uint32_t i = 0; i < n; i++)
        items[i] = i % 2 ? random_expr(r, depth) : random_atom(r);
    return ex_seq(r->arena, EX_DICT, items, n);
}

/* f"layers.{i}.weight" */
static const Expr *random_fstring(Random *r) {
    const Expr *parts[5];
    uint32_t n = 1 + draw(r, 5);
    bool literal = draw(r, 2);
    for (uint32_t i = 0; i < n; i++)
        parts[i] = (i + literal) % 2 ? random_name(r) : random_string(r);
    return ex_fstring(r->arena, parts, n);
}

static const Expr *random_for(Random *r, int depth) {
    const Expr *kids[4];
    Str targets[2] = {random_word(r), random_word(r)};
    uint32_t n = 2 + draw(r, 3);
    kids[0] = code_targets(r->arena, targets, 1 + draw(r, 2));
    for (uint32_t i = 1; i < n; i++)
        kids[i] = random_expr(r, depth);
    return ex_node(r->arena, EX_FOR, (Str){0}, kids, n);
}

static const Expr *random_comprehension(Random *r, int depth) {
    static const char *const brackets[] = {"(", "[", "{"};
    const Expr *kids[3], *pair[2];
    uint32_t n = 2 + !draw(r, 4), kind = draw(r, 3);
    kids[0] = random_expr(r, depth);
    if (kind == 2) {
        pair[0] = random_atom(r);
        pair[1] = kids[0];
        kids[0] = ex_node(r->arena, EX_PAIR, (Str){0}, pair, 2);
    }
    for (uint32_t i = 1; i < n; i++)
        kids[i] = random_for(r, depth);
    return ex_node(r->arena, EX_COMPREHENSION, str_from(brackets[kind]), kids, n);
}

/* a < b <= c */
static const Expr *random_comparisons(Random *r, int depth) {
    const Expr *x =
        ex_binary(r->arena, "<", random_expr(r, depth), random_expr(r, depth));
    for (uint32_t more = 1 + draw(r, 2); more > 0; more--) {
        const Expr *both[] = {x, random_expr(r, depth)};
        x = ex_node(r->arena, EX_CHAIN, STR("<="), both, 2);
    }
    return x;
}

static const Expr *random_unary(Random *r, int depth) {
    static const char *const ops[] = {"-", "-", "~", "not"};
    return ex_unary(r->arena, ops[draw(r, OX_COUNT(ops))], random_expr(r, depth));
}

static const Expr *random_lambda(Random *r, int depth) {
    Str params =
        draw(r, 5) ? arena_printf(r->arena, "%s, %s", random_word(r).p, "y") : (Str){0};
    return ex_lambda(r->arena, params, random_expr(r, depth));
}

static const Expr *random_expr(Random *r, int depth) {
    if (depth == 0 || draw(r, 6) == 0)
        return random_atom(r);
    depth--;
    switch (draw(r, 20)) {
    case 0:
        return random_unary(r, depth);
    case 1:
        return random_seq(r, EX_TUPLE, depth);
    case 2:
        return random_seq(r, EX_LIST, depth);
    case 3:
        return random_dict(r, depth);
    case 4:
        return ex_if(r->arena, random_expr(r, depth), random_expr(r, depth),
                     random_expr(r, depth));
    case 5:
        return random_lambda(r, depth);
    case 6:
    case 7:
        return random_chain(r, depth);
    case 8:
        return random_index(r, depth);
    case 9:
    case 10:
    case 11:
        return random_binary(r, depth);
    case 12:
        return random_fstring(r);
    case 13:
        return random_comprehension(r, depth);
    case 14:
        return random_comparisons(r, depth);
    default:
        return random_call(r, depth);
    }
}

/* ---- every expression in parentheses ---------------------------------------------- */

static void print_full(Text *t, const Expr *x);

static void full_items(Text *t, const Expr *x, uint32_t first) {
    for (uint32_t i = first; i < x->n; i++) {
        print_full(t, x->kids[i]);
        text_lit(t, ", ");
    }
}

static void full_letters(Text *t, Str content) {
    for (size_t i = 0; i < content.n;)
        text_printf(t, "\\U%08x", (unsigned)str_utf8(content, &i));
}

static void full_string(Text *t, Str content) {
    text_char(t, '\'');
    full_letters(t, content);
    text_char(t, '\'');
}

/* `(a and b) and c` is another syntax tree than `a and b and c`. */
static void full_left(Text *t, const Expr *x) {
    const Expr *left = x->kids[0];
    if (x->kind == EX_CHAIN) {
        full_left(t, left);
        text_printf(t, " %.*s ", (int)left->text.n, left->text.p);
        print_full(t, left->kids[1]);
        return;
    }
    bool flat = str_is(x->text, "and") || str_is(x->text, "or");
    if (flat && left->kind == EX_BINARY && str_eq(left->text, x->text)) {
        full_left(t, left);
        text_printf(t, " %.*s ", (int)x->text.n, x->text.p);
        print_full(t, left->kids[1]);
    } else {
        print_full(t, left);
    }
}

static void full_slice(Text *t, const Expr *x) {
    for (uint32_t i = 0; i < 3; i++) {
        if (x->kids[i])
            print_full(t, x->kids[i]);
        text_lit(t, i < 2 ? ":" : "");
    }
}

static void full_index(Text *t, const Expr *x) {
    print_full(t, x->kids[0]);
    text_char(t, '[');
    for (uint32_t i = 1; i < x->n; i++) {
        print_full(t, x->kids[i]);
        text_lit(t, i + 1 < x->n ? ", " : "");
    }
    text_char(t, ']');
}

static void full_dict(Text *t, const Expr *x) {
    text_char(t, '{');
    for (uint32_t i = 0; i < x->n; i++) {
        print_full(t, x->kids[i]);
        text_lit(t, i % 2 ? ", " : ": ");
    }
    text_char(t, '}');
}

static void full_operation(Text *t, const Expr *x) {
    if (x->kind == EX_IF) {
        print_full(t, x->kids[0]);
        text_lit(t, " if ");
        print_full(t, x->kids[1]);
        text_lit(t, " else ");
        print_full(t, x->kids[2]);
    } else if (x->kind == EX_LAMBDA) {
        text_printf(t, "lambda %s: ", x->text.p);
        print_full(t, x->kids[0]);
    } else if (x->kind == EX_UNARY) {
        text_printf(t, "%s ", x->text.p);
        print_full(t, x->kids[0]);
    } else {
        full_left(t, x);
        text_printf(t, " %s ", x->text.p);
        print_full(t, x->kids[1]);
    }
}

static void full_fstring(Text *t, const Expr *x) {
    text_lit(t, "f'");
    for (uint32_t i = 0; i < x->n; i++) {
        const Expr *kid = x->kids[i];
        if (kid->kind == EX_STR)
            full_letters(t, kid->text);
        else
            text_printf(t, "{%s}", kid->kids[0]->text.p);
    }
    text_char(t, '\'');
}

static void full_for(Text *t, const Expr *x) {
    const Expr *target = x->kids[0];
    text_lit(t, " for ");
    text_str(t, target->n ? target->kids[0]->text : target->text);
    if (target->n)
        text_printf(t, ", %s", target->kids[1]->text.p);
    for (uint32_t i = 1; i < x->n; i++) {
        text_lit(t, i == 1 ? " in " : " if ");
        print_full(t, x->kids[i]);
    }
}

static void full_comprehension(Text *t, const Expr *x) {
    const Expr *element = x->kids[0];
    bool pair = element->kind == EX_PAIR;
    text_str(t, x->text);
    print_full(t, pair ? element->kids[0] : element);
    if (pair) {
        text_lit(t, ": ");
        print_full(t, element->kids[1]);
    }
    for (uint32_t i = 1; i < x->n; i++)
        full_for(t, x->kids[i]);
    text_char(t, x->text.p[0] == '(' ? ')' : x->text.p[0] == '[' ? ']' : '}');
}

static void print_full(Text *t, const Expr *x) {
    switch (x->kind) {
    case EX_NAME:
        text_str(t, x->text);
        return;
    case EX_INT:
        text_printf(t, "(%lld)", (long long)x->i);
        return;
    case EX_STR:
        full_string(t, x->text);
        return;
    case EX_KEYWORD:
        text_printf(t, "%s=", x->text.p);
        print_full(t, x->kids[0]);
        return;
    case EX_SLICE:
        full_slice(t, x);
        return;
    case EX_DICT:
        full_dict(t, x);
        return;
    case EX_INDEX:
        full_index(t, x);
        return;
    case EX_FSTRING:
        full_fstring(t, x);
        return;
    case EX_COMPREHENSION:
        full_comprehension(t, x);
        return;
    case EX_LIST:
        text_char(t, '[');
        full_items(t, x, 0);
        text_char(t, ']');
        return;
    case EX_UNARY:
        if (x->text.p[0] == '*') {
            text_str(t, x->text);
            print_full(t, x->kids[0]);
            return;
        }
        break;
    default:
        break;
    }
    text_char(t, '(');
    if (x->kind == EX_NUMBER) {
        text_str(t, x->text);
    } else if (x->kind == EX_TUPLE) {
        full_items(t, x, 0);
    } else if (x->kind == EX_ATTRIBUTE) {
        print_full(t, x->kids[0]);
        text_printf(t, ".%s", x->text.p);
    } else if (x->kind == EX_CALL) {
        print_full(t, x->kids[0]);
        text_char(t, '(');
        full_items(t, x, 1);
        text_char(t, ')');
    } else {
        full_operation(t, x);
    }
    text_char(t, ')');
}

/* ---- statements ------------------------------------------------------------------- */

typedef enum Mode { LAID_OUT, FULL, FLAT, PROSE } Mode;

static void full_statement(Text *t, const Str *targets, uint32_t n, bool returns,
                           const Expr *x) {
    text_lit(t, returns ? "    return " : "    ");
    for (uint32_t i = 0; i < n; i++)
        text_printf(t, i ? ", %s" : "%s", targets[i].p);
    text_lit(t, n ? " = " : "");
    print_full(t, x);
    text_char(t, '\n');
}

static void random_statement(Random *r, Text *t, Mode mode) {
    Str targets[4] = {{0}};
    uint32_t kind = draw(r, 8), n = kind < 5 ? 1 : kind == 5 ? 2 + draw(r, 3) : 0;
    bool returns = kind == 6;
    for (uint32_t i = 0; i < n; i++)
        targets[i] = random_word(r);
    const Expr *x = random_expr(r, 1 + (int)draw(r, 5));
    if (mode == FLAT) {
        print_flat(t, x);
        text_char(t, '\n');
    } else if (mode == FULL) {
        full_statement(t, targets, n, returns, x);
    } else {
        Stmt s = {.kind = returns ? ST_RETURN
                          : n     ? ST_ASSIGN
                                  : ST_EXPR,
                  .text = STR("="),
                  .target = n ? code_targets(r->arena, targets, n) : NULL,
                  .expr = x};
        print_code(t, 1, &(Stmts){&s, 1, 1}, true);
    }
}

static Str random_text(Random *r) {
    static const char *const parts[] = {"word",
                                        "a",
                                        "attention",
                                        " ",
                                        "  ",
                                        "\n",
                                        "\n\n",
                                        "\n   ",
                                        "\"",
                                        "\"\"\"",
                                        "'",
                                        "\\",
                                        "\\\n",
                                        "\t",
                                        "#",
                                        "\r",
                                        "\x01",
                                        "\xff",
                                        "\xc3\xa9",
                                        "\xe2\x80\xae",
                                        "\xe4\xb8\xad",
                                        "\xe2\x80\xa8",
                                        ".",
                                        "\f"};
    Text t = {.arena = r->arena};
    for (uint32_t n = draw(r, draw(r, 3) ? 30 : 200); n > 0; n--) {
        text_lit(&t, draw(r, 3) ? "words" : parts[draw(r, OX_COUNT(parts))]);
        text_lit(&t, draw(r, 3) ? " " : "");
    }
    return text_view(&t);
}

static void random_function(Random *r, Text *t) {
    Param params[6] = {{{0}, NULL, 0, NULL}};
    uint32_t n = draw(r, 6);
    bool typed = draw(r, 3) == 0;
    for (uint32_t i = 0; i < n; i++) {
        params[i].name = random_word(r);
        if (typed)
            params[i].type = ex_name(r->arena, random_word(r));
    }
    if (n && draw(r, 4) == 0)
        params[n - 1].value = random_expr(r, 1);
    Def def = {.params = params, .n_params = n, .spread = n && draw(r, 6) == 0};
    if (n && typed)
        def.result = EX(r->arena, "dict[str, $0]", ex_name(r->arena, random_word(r)));
    Stmt s = {.kind = ST_DEF, .apart = true, .def = &def, .body = &def.body};
    s.comment = random_text(r).p;
    def.name = random_word(r);
    Stmt doc = {.kind = ST_PROSE, .text = random_text(r)};
    Stmt result = {.kind = ST_RETURN, .comment = random_text(r).p};
    result.expr = random_expr(r, 2);
    (void)code_add(r->arena, &def.body, doc);
    (void)code_add(r->arena, &def.body, result);
    print_code(t, 0, &(Stmts){&s, 1, 1}, true);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    Arena arena;
    arena_init(&arena, NULL);
    Random r = {&arena, strtoull(argv[1], NULL, 10) * 2654435761u + 88172645463325252u};
    char letter = argc < 4 ? 0 : argv[3][1];
    Mode mode = letter == 'u' ? FULL : letter == 'l' ? FLAT : letter ? PROSE : LAID_OUT;
    Text t = {.arena = &arena};
    text_lit(&t, mode == PROSE  ? "import jax\n"
                 : mode == FLAT ? ""
                                : "def f():\n    pass\n");
    for (long i = 0, n = atol(argv[2]); i < n; i++)
        mode == PROSE ? random_function(&r, &t) : random_statement(&r, &t, mode);
    fwrite(t.p, 1, t.n, stdout);
    int status = arena.failed;
    arena_free(&arena);
    return status;
}
