/* Calls of Python helpers: an argument that is the default, as the helper's definition has
 * it, is not written. */
#include "ops/core/op.h"
#include "python/helpers.h"
#include "support/number.h"

/* What the call calls, also in functools.partial(helper); NULL when that is no helper. */
static const Helper *called_helper(const Expr *call) {
    bool partial = call->kind == EX_CALL && call->n > 1 &&
                   call->kids[0]->kind == EX_NAME &&
                   str_is(call->kids[0]->text, "functools.partial");
    const Expr *callee = call->kind == EX_CALL ? call->kids[partial] : call;
    return callee->kind == EX_NAME ? helper_named(callee->text) : NULL;
}

static bool is_int(const char *text, int64_t i) {
    bool minus = *text == '-';
    uint64_t value = 0, size = i < 0 ? -(uint64_t)i : (uint64_t)i;
    for (text += minus; char_is_digit(*text) && value <= size; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return !*text && value == size && minus == (i < 0);
}

/* Numbers with a point or an exponent, in single precision. */
static bool is_float(const char *text, float value) {
    bool minus = *text == '-';
    Str size = str_from(text + minus);
    double number;
    return size.n > strspn(size.p, "0123456789") && number_read(size, &number) &&
           (float)(minus ? -number : number) == value;
}

/* Every call asks this for each of its keywords, so the default is parsed only where its
 * text does not say enough. */
static bool is_default(Arena *a, const Helper *helper, Str name, const Expr *value) {
    const char *usual = helper ? helper_default(helper, name) : NULL;
    if (!usual)
        return false;
    switch (value->kind) {
    case EX_INT:
        return is_int(usual, value->i);
    case EX_NAME:
    case EX_NUMBER:
        return str_is(value->text, usual);
    default:
        return ex_same(value, ex_build(a, usual, NULL, 0));
    }
}

const Expr *call_with(Emit *e, const Expr *call, const char *name, const Expr *value) {
    Arena *a = emit_arena(e);
    Str keyword = str_from(name);
    if (!value || is_default(a, called_helper(call), keyword, value))
        return call;
    return ex_with_arg(a, call, ex_keyword(a, keyword, value));
}

const Expr *call_with_float(Emit *e, const Expr *call, const char *name, double value) {
    const Helper *helper = called_helper(call);
    const char *usual = helper ? helper_default(helper, str_from(name)) : NULL;
    if (usual && is_float(usual, (float)value))
        return call;
    return call_with(e, call, name, emit_float(e, value, DT_FLOAT));
}

const Expr *call_without_defaults(Arena *a, const Expr *x) {
    const Helper *helper = x->kind == EX_CALL ? called_helper(x) : NULL;
    const Expr **args = helper ? ARENA_ARRAY(a, x->n, const Expr *) : NULL;
    size_t n = 0;
    for (uint32_t i = 1; args && i < x->n; i++)
        if (x->kids[i]->kind != EX_KEYWORD ||
            !is_default(a, helper, x->kids[i]->text, x->kids[i]->kids[0]))
            args[n++] = x->kids[i];
    return args && n + 1 < x->n ? ex_call(a, x->kids[0], args, n) : x;
}
