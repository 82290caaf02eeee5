/* Folding of expressions.  Names that a value stands for become it from the outside in, as
 * what is in a branch that is not taken is of no account. */
#include "code/folding_state.h"

/* ---- literals ----------------------------------------------------------------------- */

static bool is_word(const Expr *x, const char *word) {
    return x->kind == EX_NAME && str_is(x->text, word);
}

static bool is_none(const Expr *x) {
    return is_word(x, "None");
}

static bool is_int(const Expr *x, int64_t i) {
    return x->kind == EX_INT && x->i == i;
}

bool ex_is_literal(const Expr *x) {
    bool minus = x->kind == EX_UNARY && str_is(x->text, "-");
    if (minus)
        x = x->kids[0];
    bool number = x->kind == EX_INT || x->kind == EX_NUMBER;
    return number || (!minus && (x->kind == EX_STR || is_none(x) ||
                                 is_word(x, "True") || is_word(x, "False")));
}

int fold_truth(const Expr *x) {
    if (is_none(x) || is_word(x, "False") || is_word(x, "True"))
        return is_word(x, "True");
    if (x->kind == EX_INT)
        return x->i != 0;
    return x->kind == EX_STR ? x->text.n > 0 : -1;
}

static const Expr *truth(Fold *f, bool b) {
    return ex_bool(f->arena, b);
}

/* ---- names -------------------------------------------------------------------------- */

/* Of x, which `old` has become: a name in there may be one of somewhere else. */
static Fact fact_of(Fold *f, const Expr *old, const Expr *x) {
    if (x->kind == EX_INT)
        return FACT_INT;
    if (x->kind == EX_NUMBER)
        return FACT_GIVEN;
    if (x->kind == EX_STR || x->kind == EX_TUPLE || x->kind == EX_LIST)
        return FACT_OTHER;
    const FoldEntry *e = old->kind == EX_NAME ? fold_find(f, old->text) : NULL;
    return e ? e->is.fact : FACT_NONE;
}

static const Expr *fold_name(Fold *f, const Expr *x) {
    Str name = str_before(x->text, '.');
    FoldEntry *e = fold_find(f, name);
    if (!e || !e->is.value)
        return x;
    e->caught |= f->closures > 0;
    const Expr *value = e->is.value;
    if (name.n == x->text.n)
        return value;
    if (value->kind == EX_NAME && !ex_is_literal(value))
        return ex_name(f->arena, arena_printf(f->arena, "%.*s%.*s", (int)value->text.n,
                                              value->text.p, (int)(x->text.n - name.n),
                                              x->text.p + name.n));
    f->failed = true;
    return x;
}

/* ---- sizes -------------------------------------------------------------------------- */

/* x.shape, or a slice of it */
static bool is_shape(const Expr *x) {
    bool slice = x->kind == EX_INDEX && x->n == 2 && x->kids[1]->kind == EX_SLICE;
    x = slice ? x->kids[0] : x;
    return x->kind == EX_NAME && str_ends(x->text, STR(".shape"));
}

bool fold_is_int(const Fold *f, const Expr *x) {
    static const char *const operators[] = {"+", "-", "*", "//", "%"};
    switch (x->kind) {
    case EX_INT:
        return true;
    case EX_NAME:
        return str_ends(x->text, STR(".ndim")) || map_get(&f->ints, x->text);
    case EX_CALL:
        return is_word(x->kids[0], "len");
    case EX_INDEX:
        return x->n == 2 && is_shape(x->kids[0]) && x->kids[1]->kind != EX_SLICE;
    case EX_BINARY:
        for (size_t i = 0; i < OX_COUNT(operators); i++)
            if (str_is(x->text, operators[i]))
                return fold_is_int(f, x->kids[0]) && fold_is_int(f, x->kids[1]);
        return false;
    default:
        return false;
    }
}

/* x where it stands for what it was a part of: the printer sets parentheses anew. */
static const Expr *alone(Fold *f, const Expr *x) {
    Expr *copy = x->parens ? ARENA_NEW(f->arena, Expr) : NULL;
    if (!copy)
        return x;
    *copy = *x;
    copy->parens = false;
    return copy;
}

Str fold_list_key(Fold *f, Str name) {
    return arena_printf(f->arena, "%.*s[]", (int)name.n, name.p);
}

static bool has_ints(Fold *f, const Expr *items) {
    return is_shape(items) ||
           (items->kind == EX_NAME && map_get(&f->ints, fold_list_key(f, items->text)));
}

bool fold_is_int_list(Fold *f, const Expr *x) {
    const Expr *each = x->kind == EX_COMPREHENSION && x->n == 2 ? x->kids[1] : NULL;
    if (!each || !str_is(x->text, "[") || each->kids[0]->kind != EX_NAME ||
        !has_ints(f, each->kids[1]))
        return false;
    Str name = each->kids[0]->text;
    void *was = map_get(&f->ints, name);
    (void)map_set(&f->ints, name, f);
    bool ints = fold_is_int(f, x->kids[0]);
    (void)map_set(&f->ints, name, was);
    return ints;
}

/* ---- operators ---------------------------------------------------------------------- */

static const Expr *fold_is(Fold *f, const Expr *old, const Expr *x) {
    bool negated = str_is(x->text, "is not");
    if (!is_none(x->kids[1]))
        return x;
    if (is_none(x->kids[0]))
        return truth(f, !negated);
    bool given = fact_of(f, old->kids[0], x->kids[0]) != FACT_NONE ||
                 fold_truth(x->kids[0]) >= 0;
    return given ? truth(f, negated) : x;
}

/* -1 where they are not both ints or both strings. */
static int same_literals(const Expr *l, const Expr *r) {
    if (l->kind == EX_INT && r->kind == EX_INT)
        return l->i == r->i;
    return l->kind == EX_STR && r->kind == EX_STR ? str_eq(l->text, r->text) : -1;
}

static const Expr *fold_compared(Fold *f, const Expr *x) {
    const Expr *l = x->kids[0], *r = x->kids[1];
    bool equal = str_is(x->text, "==");
    int same = same_literals(l, r);
    if (same >= 0 && (equal || str_is(x->text, "!=")))
        return truth(f, same == equal);
    if (l->kind != EX_INT || r->kind != EX_INT)
        return x;
    if (str_is(x->text, "<"))
        return truth(f, l->i < r->i);
    return str_is(x->text, ">") ? truth(f, l->i > r->i) : x;
}

/* "a" in ("a", "b") */
static const Expr *fold_in(Fold *f, const Expr *x) {
    const Expr *l = x->kids[0], *r = x->kids[1];
    bool any = false;
    if (r->kind != EX_TUPLE)
        return x;
    for (uint32_t i = 0; i < r->n; i++) {
        int same = same_literals(l, r->kids[i]);
        if (same < 0)
            return x;
        any |= same;
    }
    return truth(f, any);
}

/* The operand that stays of x * 1, 1 * x, x + 0, 0 + x, x - 0, x // 1, x ** 1. */
static const Expr *beside_identity(const Expr *x) {
    const Expr *l = x->kids[0], *r = x->kids[1];
    bool sum = str_is(x->text, "+"), product = str_is(x->text, "*");
    bool by_one = product || str_is(x->text, "//") || str_is(x->text, "**");
    if (by_one ? is_int(r, 1) : (sum || str_is(x->text, "-")) && is_int(r, 0))
        return l;
    return (product && is_int(l, 1)) || (sum && is_int(l, 0)) ? r : NULL;
}

static bool is_number(const Expr *x) {
    return x->kind == EX_INT || x->kind == EX_NUMBER;
}

static bool is_value(const Expr *x, int64_t i, const char *text) {
    return is_int(x, i) || (x->kind == EX_NUMBER && str_is(x->text, text));
}

/* A number that changes nothing, or all: 1.0 * x, x + 0.0, 0 * x. */
static bool is_odd_operand(Str op, const Expr *x, bool left) {
    bool sum = str_is(op, "+") || str_is(op, "-"), product = str_is(op, "*");
    return is_value(x, 0, "0.0") ||
           (!sum && (product || !left) && is_value(x, 1, "1.0"));
}

static bool is_arithmetic(Str op) {
    static const char *const all[] = {"+", "-", "*", "/", "//", "**"};
    for (size_t i = 0; i < OX_COUNT(all); i++)
        if (str_is(op, all[i]))
            return true;
    return false;
}

/* Small ints; NULL where this does not know the result. */
static const Expr *fold_ints(Fold *f, const Expr *x) {
    enum { SMALL = 1 << 20 };
    int64_t l = x->kids[0]->i, r = x->kids[1]->i;
    if (l < -SMALL || l > SMALL || r < -SMALL || r > SMALL)
        return NULL;
    if (str_is(x->text, "+"))
        return ex_int(f->arena, l + r);
    if (str_is(x->text, "-"))
        return ex_int(f->arena, l - r);
    if (str_is(x->text, "*"))
        return ex_int(f->arena, l * r);
    return str_is(x->text, "//") && l >= 0 && r > 0 ? ex_int(f->arena, l / r) : NULL;
}

/* [(0, 0)] * n and (1,) * n repeat what stands there. */
static bool is_display(const Expr *x) {
    return x->kind == EX_TUPLE || x->kind == EX_LIST || x->kind == EX_STR;
}

/* x * 1 is x where x is an int; of an array it might be another type. */
static const Expr *fold_arithmetic(Fold *f, const Expr *old, const Expr *x) {
    const Expr *l = x->kids[0], *r = x->kids[1];
    if (l->kind == EX_INT && r->kind == EX_INT) {
        const Expr *made = fold_ints(f, x);
        return made ? made : x;
    }
    const Expr *kept = beside_identity(x);
    if (kept && fold_is_int(f, kept))
        return alone(f, kept);
    bool new_left = l != old->kids[0], new_right = r != old->kids[1];
    if (is_display(l) || is_display(r)) {
        f->failed |= l->n == 1 && is_none(l->kids[0]);
        return x;
    }
    f->failed |= (new_left && is_odd_operand(x->text, l, true)) ||
                 (new_right && is_odd_operand(x->text, r, false)) ||
                 (is_number(l) && is_number(r) && (new_left || new_right));
    return x;
}

/* ---- calls -------------------------------------------------------------------------- */

/* (1,) * n */
static bool is_ones(const Expr *x) {
    const Expr *l = x->kind == EX_BINARY && str_is(x->text, "*") ? x->kids[0] : NULL;
    return l && l->kind == EX_TUPLE && l->n == 1 && is_int(l->kids[0], 1);
}

static bool is_one(const Expr *x) {
    return is_int(x, 1);
}

static bool is_false(const Expr *x) {
    return is_word(x, "False");
}

/* What functions of JAX do anyway, as their documentation has it. */
static bool is_usual(Str function, const Expr *key) {
    static const struct {
        const char *function, *name;
        bool (*is)(const Expr *value);
    } all[] = {
        {"jax.lax.conv_general_dilated", "lhs_dilation", is_ones},
        {"jax.lax.conv_general_dilated", "rhs_dilation", is_ones},
        {"jax.lax.conv_general_dilated", "feature_group_count", is_one},
        {"jax.lax.scan", "reverse", is_false},
        {"jax.lax.slice", "strides", is_none},
        {"jax.nn.dot_product_attention", "scale", is_none},
        {"jnp.mean", "keepdims", is_false},
    };
    for (size_t i = 0; i < OX_COUNT(all); i++)
        if (str_is(function, all[i].function) && str_is(key->text, all[i].name))
            return all[i].is(key->kids[0]);
    return false;
}

/* What a function of JAX is given.  An argument that is None had better not be there. */
static const Expr *without_usual(Fold *f, const Expr *old, const Expr *x) {
    const Expr **args = ARENA_ARRAY(f->arena, x->n, const Expr *);
    bool dotted = memchr(x->kids[0]->text.p, '.', x->kids[0]->text.n) != NULL;
    size_t n = 0;
    for (uint32_t i = 1; args && i < x->n; i++) {
        const Expr *arg = x->kids[i];
        bool key = arg->kind == EX_KEYWORD;
        if (key && is_usual(x->kids[0]->text, arg))
            continue;
        f->failed |= key && dotted && arg != old->kids[i] && is_none(arg->kids[0]);
        args[n++] = arg;
    }
    return args && n + 1 < x->n ? ex_call(f->arena, x->kids[0], args, n) : x;
}

static void note_asked(Fold *f, const Expr *x) {
    FoldEntry *e = x->kind == EX_NAME ? fold_find(f, x->text) : NULL;
    if (e)
        e->is.asked = true;
}

/* isinstance(x, int) */
static const Expr *fold_isinstance(Fold *f, const Expr *old, const Expr *x) {
    Fact known = x->n == 3 ? fact_of(f, old->kids[1], x->kids[1]) : FACT_NONE;
    bool ints = x->n == 3 && is_word(x->kids[2], "int");
    f->failed |= x->n == 3 && !ints && ex_is_literal(x->kids[1]);
    if (!ints || (known != FACT_INT && known != FACT_OTHER))
        return x;
    note_asked(f, old->kids[1]);
    return truth(f, known == FACT_INT);
}

/* x.astype(x.dtype) */
static const Expr *fold_cast(Fold *f, const Expr *x) {
    Str name = str_before(x->kids[0]->text, '.');
    bool cast = x->n == 2 && x->kids[1]->kind == EX_NAME &&
                str_eq(x->kids[0]->text,
                       arena_printf(f->arena, "%.*s.astype", (int)name.n, name.p)) &&
                str_eq(x->kids[1]->text,
                       arena_printf(f->arena, "%.*s.dtype", (int)name.n, name.p));
    return cast ? ex_name(f->arena, name) : x;
}

/* jnp.clip(x, None, None) is x, jnp.arange(a, b, 1) jnp.arange(a, b), and
 * getattr(x, "name") x.name; NULL where x is none of them. */
static const Expr *fold_known_call(Fold *f, const Expr *x) {
    const Expr *callee = x->kids[0];
    if (is_word(callee, "jnp.clip") && x->n == 4 && is_none(x->kids[2]) &&
        is_none(x->kids[3]))
        return alone(f, x->kids[1]);
    bool steps = is_word(callee, "jnp.arange") || is_word(callee, "slice");
    if (steps && x->n == 4 && is_int(x->kids[3], 1))
        return ex_call(f->arena, callee, x->kids + 1, 2);
    if (is_word(callee, "getattr") && x->n == 3 && x->kids[2]->kind == EX_STR)
        return ex_attribute(f->arena, x->kids[1], x->kids[2]->text);
    return NULL;
}

/* What nobody writes: jnp.asarray(0), f(x, None) of JAX, zip(x, (1,) * n). */
static bool is_odd_argument(const Expr *callee, const Expr *old, const Expr *x) {
    bool dotted = memchr(callee->text.p, '.', callee->text.n) != NULL;
    bool repeated = x->kind == EX_BINARY && x->kids[0]->kind == EX_TUPLE &&
                    x->kids[0]->n == 1 && ex_is_literal(x->kids[0]->kids[0]);
    if (x == old)
        return false;
    return (is_word(callee, "jnp.asarray") && is_int(x, 0)) ||
           (is_word(callee, "zip") && repeated) || (dotted && is_none(x));
}

/* tuple(range(-2, 0)) is (-2, -1) */
static const Expr *fold_range(Fold *f, const Expr *x) {
    enum { LONGEST = 4 };
    const Expr *r = x->n == 2 ? x->kids[1] : NULL;
    if (!r || r->kind != EX_CALL || !is_word(r->kids[0], "range") || r->n != 3 ||
        r->kids[1]->kind != EX_INT || r->kids[2]->kind != EX_INT)
        return x;
    int64_t items[LONGEST], first = r->kids[1]->i, end = r->kids[2]->i;
    if (first >= end || end - first > LONGEST)
        return x;
    for (int64_t i = first; i < end; i++)
        items[i - first] = i;
    return ex_ints(f->arena, EX_TUPLE, items, (size_t)(end - first));
}

/* jnp.mean(x, (-1,)) is jnp.mean(x, -1). */
static const Expr *fold_axes(Fold *f, const Expr *x) {
    const Expr *axes = x->n > 2 ? x->kids[2] : NULL;
    if (!axes || axes->kind != EX_TUPLE || axes->n != 1)
        return x;
    const Expr **kids = ARENA_ARRAY(f->arena, x->n, const Expr *);
    if (!kids)
        return x;
    memcpy(kids, x->kids, x->n * sizeof *kids);
    kids[2] = axes->kids[0];
    return ex_with_kids(f->arena, x, kids);
}

/* What the caller makes of it. */
static const Expr *edit_call(Fold *f, const Expr *old, const Expr *x) {
    Fact *facts = f->calls ? ARENA_ARRAY(f->arena, x->n, Fact) : NULL;
    for (uint32_t i = 1; facts && i < x->n; i++)
        facts[i - 1] = fact_of(f, old->kids[i], x->kids[i]);
    const Expr *made = facts ? f->calls->edit(f->calls->user, x, facts) : x;
    for (uint32_t i = 1; made != x && i < x->n; i++)
        note_asked(f, old->kids[i]);
    return made;
}

static const Expr *fold_call(Fold *f, const Expr *old, const Expr *x) {
    const Expr *callee = x->kids[0];
    f->failed |= ex_is_literal(callee);
    if (callee->kind != EX_NAME)
        return x;
    if (is_word(callee, "isinstance"))
        return fold_isinstance(f, old, x);
    if (is_word(callee, "tuple"))
        return fold_range(f, x);
    if (str_ends(callee->text, STR(".astype")))
        return fold_cast(f, x);
    const Expr *made = fold_known_call(f, x);
    made = made ? made : edit_call(f, old, x);
    if (made != x)
        return made;
    for (uint32_t i = 1; i < x->n; i++)
        f->failed |= is_odd_argument(callee, old->kids[i], x->kids[i]);
    x = without_usual(f, old, x);
    return is_word(callee, "jnp.mean") ? fold_axes(f, x) : x;
}

/* ---- everything --------------------------------------------------------------------- */

static const Expr *fold_binary(Fold *f, const Expr *old, const Expr *x) {
    if (str_is(x->text, "is") || str_is(x->text, "is not"))
        return fold_is(f, old, x);
    if (is_arithmetic(x->text))
        return fold_arithmetic(f, old, x);
    const Expr *made = str_is(x->text, "in") ? fold_in(f, x) : fold_compared(f, x);
    f->failed |= made == x && x != old && ex_is_literal(x->kids[0]) &&
                 !str_is(x->text, "<") && !str_is(x->text, "<=");
    return made;
}

/* ((x,) * n)[i] is x. */
static const Expr *pick(const Expr *x) {
    const Expr *l = x->kids[0];
    bool repeated = l->kind == EX_BINARY && str_is(l->text, "*") &&
                    l->kids[0]->kind == EX_TUPLE && l->kids[0]->n == 1;
    bool one = x->kids[1]->kind == EX_NAME || x->kids[1]->kind == EX_INT;
    return repeated && one ? l->kids[0]->kids[0] : x;
}

/* {"a": x, "b": y}["b"] is y. */
static const Expr *look_up(const Expr *x) {
    const Expr *dict = x->kids[0];
    for (uint32_t i = 0; x->n == 2 && i + 1 < dict->n; i += 2) {
        int same = same_literals(dict->kids[i], x->kids[1]);
        if (same < 0)
            return x;
        if (same)
            return dict->kids[i + 1];
    }
    return x;
}

/* Of which the parts have been folded: from `old` they were.  Code that nobody writes, such
 * as an attribute of a literal, is refused. */
static const Expr *simplify(Fold *f, const Expr *old, const Expr *x) {
    bool literal =
        x->n && x->kids[0] && x->kids[0] != old->kids[0] && ex_is_literal(x->kids[0]);
    switch (x->kind) {
    case EX_CALL:
        return fold_call(f, old, x);
    case EX_UNARY:
        if (str_is(x->text, "not") && fold_truth(x->kids[0]) >= 0)
            return truth(f, !fold_truth(x->kids[0]));
        f->failed |= literal && !str_is(x->text, "-");
        return literal ? ex_unary(f->arena, "-", x->kids[0]) : x;
    case EX_BINARY:
        return fold_binary(f, old, x);
    case EX_LIST:
        for (uint32_t i = 0; i < x->n; i++)
            f->failed |= x->kids[i] != old->kids[i] && is_none(x->kids[i]);
        return x;
    case EX_INDEX:
        f->failed |= literal;
        return x->kids[0]->kind == EX_DICT ? look_up(x) : x->n == 2 ? pick(x) : x;
    case EX_ATTRIBUTE:
    case EX_FIELD:
        f->failed |= literal;
        return x;
    default:
        return x;
    }
}

static const Expr *fold_kids(Fold *f, const Expr *x) {
    const Expr **kids = NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        const Expr *old = x->kids[i], *new = old ? fold_expr(f, old) : NULL;
        if (new == old)
            continue;
        if (!kids) {
            kids = ARENA_ARRAY(f->arena, x->n, const Expr *);
            if (!kids)
                return x;
            memcpy(kids, x->kids, x->n * sizeof *kids);
        }
        kids[i] = new;
    }
    return kids ? ex_with_kids(f->arena, x, kids) : x;
}

/* Of `a and True` there is a left, of `a or False`; of `a and False` there is False. */
static const Expr *tested(Fold *f, const Expr *x) {
    bool both = x->kind == EX_BINARY && str_is(x->text, "and");
    if (!both && !(x->kind == EX_BINARY && str_is(x->text, "or")))
        return x;
    const Expr *kids[] = {tested(f, x->kids[0]), tested(f, x->kids[1])};
    int right = fold_truth(kids[1]);
    if (right >= 0)
        return alone(f, kids[right == both ? 0 : 1]);
    bool same = kids[0] == x->kids[0] && kids[1] == x->kids[1];
    return same ? x : ex_with_kids(f->arena, x, kids);
}

const Expr *fold_test(Fold *f, const Expr *x) {
    const Expr *made = fold_expr(f, x);
    return made == x ? x : tested(f, made);
}

/* a if condition else b */
static const Expr *fold_choice(Fold *f, const Expr *x) {
    const Expr *condition = fold_test(f, x->kids[1]);
    int is = fold_truth(condition);
    if (is >= 0)
        return alone(f, fold_expr(f, x->kids[is ? 0 : 2]));
    const Expr *kids[] = {fold_expr(f, x->kids[0]), condition,
                          fold_expr(f, x->kids[2])};
    bool same =
        condition == x->kids[1] && kids[0] == x->kids[0] && kids[2] == x->kids[2];
    return same ? x : ex_with_kids(f->arena, x, kids);
}

/* a and b, a or b */
static const Expr *fold_logic(Fold *f, const Expr *x) {
    const Expr *left = fold_expr(f, x->kids[0]);
    int is = fold_truth(left);
    if (is < 0)
        return fold_kids(f, x);
    const Expr *made = is == str_is(x->text, "and") ? fold_expr(f, x->kids[1]) : left;
    f->failed |= made->kind == EX_TUPLE && !made->n; /* nothing is left to go through */
    return made;
}

static const Expr *fold_comprehension(Fold *f, const Expr *x) {
    bool later = str_is(x->text, "(");
    for (uint32_t i = 1; i < x->n; i++) {
        const Expr *each = x->kids[i], *items = each->kids[1];
        fold_hide(f, each->kids[0], 1);
        if (each->kids[0]->kind == EX_NAME && has_ints(f, items))
            (void)map_set(&f->ints, each->kids[0]->text, f);
    }
    f->closures += later;
    const Expr *made = fold_kids(f, x);
    f->closures -= later;
    for (uint32_t i = 1; i < x->n; i++)
        fold_hide(f, x->kids[i]->kids[0], -1);
    return made;
}

static const Expr *fold_lambda(Fold *f, const Expr *x) {
    f->failed |= memchr(x->text.p, '=', x->text.n) != NULL; /* defaults are no trees */
    fold_hide_words(f, x->text, 1);
    f->closures++;
    const Expr *made = fold_kids(f, x);
    f->closures--;
    fold_hide_words(f, x->text, -1);
    return made;
}

const Expr *fold_expr(Fold *f, const Expr *x) {
    const Expr *made;
    switch (x->kind) {
    case EX_NAME:
        return fold_name(f, x);
    case EX_IF:
        return fold_choice(f, x);
    case EX_LAMBDA:
        return fold_lambda(f, x);
    case EX_COMPREHENSION:
        return fold_comprehension(f, x);
    case EX_WALRUS:
        f->failed |= fold_find(f, x->text) != NULL;
        return fold_kids(f, x);
    case EX_CHAIN: /* its first part is no comparison by itself */
        made = fold_kids(f, x);
        f->failed |= made->kids[0]->kind != x->kids[0]->kind;
        return made;
    case EX_BINARY:
        if (str_is(x->text, "and") || str_is(x->text, "or"))
            return fold_logic(f, x);
        return simplify(f, x, fold_kids(f, x));
    default:
        return simplify(f, x, fold_kids(f, x));
    }
}
