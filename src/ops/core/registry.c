/* The operator table: lookup by name and opset, and its self-check.
 *
 * The table is the const arrays of the families, in no order that lookup could rely on;
 * families.h, the list of them, is made by the build (cmake/families.cmake).  It is
 * short (some hundred rows), and import asks once for each distinct operator of a model,
 * so a scan that compares first letters is enough. */
#include "ops/core/op.h"

#define X(family) extern const OpFamily ops_##family;
#include "families.h"
#undef X

static const OpFamily *const families[] = {
#define X(family) &ops_##family,
#include "families.h"
#undef X
};

static bool is_default_domain(Str domain) {
    return domain.n == 0 || str_is(domain, "ai.onnx");
}

static bool same_name(const char *name, Str s) {
    return s.n > 0 && name[0] == s.p[0] && str_is(s, name);
}

static bool names(const OpDef *op, Str domain, Str op_type) {
    if (!same_name(op->name, op_type))
        return false;
    return op->domain ? str_is(domain, op->domain) : is_default_domain(domain);
}

const OpDef *op_at(size_t i) {
    for (size_t f = 0; f < OX_COUNT(families); f++) {
        if (i < families[f]->count)
            return &families[f]->ops[i];
        i -= families[f]->count;
    }
    return NULL;
}

/* Newest entry with since <= opset; `until` is not looked at. */
static const OpDef *newest(Str domain, Str op_type, int64_t opset) {
    const OpDef *best = NULL;
    for (size_t f = 0; f < OX_COUNT(families); f++) {
        const OpFamily *family = families[f];
        for (size_t i = 0; i < family->count; i++) {
            const OpDef *op = &family->ops[i];
            if (names(op, domain, op_type) && op->since <= opset &&
                (!best || op->since > best->since))
                best = op;
        }
    }
    return best;
}

const OpDef *op_find(Str domain, Str op_type, int64_t opset) {
    const OpDef *op = newest(domain, op_type, opset);
    return op && (op->until == 0 || opset <= op->until) ? op : NULL;
}

bool op_known_at_all(Str domain, Str op_type) {
    return newest(domain, op_type, INT64_MAX) != NULL;
}

/* ---- names in a spec string --------------------------------------------------------
 */

bool op_spec_next(const char **at, OpSlot *slot) {
    const char *s = *at ? *at : "";
    while (*s == ' ')
        s++;
    const char *end = s;
    while (*end && *end != ' ')
        end++;
    size_t n = (size_t)(end - s);
    *at = end;
    *slot = (OpSlot){{s, n}, false, false};
    slot->variadic = n > 0 && s[n - 1] == '*';
    slot->name.n -= slot->variadic;
    slot->optional = slot->name.n > 0 && s[slot->name.n - 1] == '?';
    slot->name.n -= slot->optional;
    return n > 0;
}

int op_spec_find(const char *spec, Str name, OpSlot *slot) {
    for (int i = 0; op_spec_next(&spec, slot); i++)
        if (str_eq(slot->name, name))
            return i;
    return -1;
}

void node_set_op(Node *n, const OpDef *op) {
    n->op = op;
    n->op_type = str_from(op->name);
    n->domain = str_from(op->domain ? op->domain : "");
    n->opset = OP_NEWEST_OPSET;
}

int op_input_index(const OpDef *op, Str name) {
    OpSlot slot;
    return op_spec_find(op->in, name, &slot);
}

const OpAttr *op_attr(const OpDef *op, Str name) {
    for (const OpAttr *a = op->attrs; a < op->attrs + OP_MAX_ATTRS && a->name; a++)
        if (str_is(name, a->name))
            return a;
    return NULL;
}

/* ---- self-check --------------------------------------------------------------------
 */

typedef struct Check {
    Arena *arena;
    const OpDef *op;
    const char *error;
} Check;

static const char *complain(Check *c, const char *what, Str detail) {
    Str s = arena_printf(c->arena, "%s-%d: %s %.*s", c->op->name, c->op->since, what,
                         (int)detail.n, detail.p ? detail.p : "");
    return s.n ? s.p : what;
}

static const Expr *check_lookup(void *user, Str name, bool *unknown) {
    Check *c = user;
    static const char *const special[] = {"out.shape", "out.dtype", "out.rank"};
    for (size_t i = 0; i < OX_COUNT(special); i++)
        if (str_is(name, special[i]))
            return ex_none();
    bool known = op_input_index(c->op, name) >= 0 || op_attr(c->op, name);
    if (!known) {
        *unknown = true;
        c->error = complain(c, "undeclared name", name);
    }
    return known ? ex_none() : NULL;
}

static const char *check_template(Check *c) {
    ExprScope scope = {check_lookup, c};
    const char *error = NULL;
    ex_template(c->arena, c->op->jax, &scope, &error);
    return c->error ? c->error : error;
}

static const char *check_names(Check *c) {
    const OpDef *op = c->op;
    const char *lists[] = {op->fixed, op->mixes, op->lifted, op->weights, op->batch};
    OpSlot slot;
    for (size_t i = 0; i < OX_COUNT(lists); i++)
        for (const char *at = lists[i]; op_spec_next(&at, &slot);)
            if (op_input_index(op, slot.name) < 0)
                return complain(c, "input is not declared:", slot.name);
    Str count = str_from(op->count ? op->count : "");
    if (!op->padding != !op->count || (count.n && !op_find(STR(OP_INTERNAL), count, 1)))
        return complain(c, "what is padded needs an operator that counts", count);
    const char *at = op->in;
    for (bool end = false; op_spec_next(&at, &slot); end = slot.variadic)
        if (end)
            return complain(c, "input after a variadic one:", slot.name);
    for (int i = 0; i < OP_MAX_ATTRS && op->attrs[i].name; i++)
        if (op_attr(op, str_from(op->attrs[i].name)) != &op->attrs[i])
            return complain(c, "attribute twice:", str_from(op->attrs[i].name));
    for (const OpAttr *a = op->attrs; a < op->attrs + OP_MAX_ATTRS && a->name; a++)
        if (a->has_default && a->words && !op_attr_allows(a, str_from(a->s)))
            return complain(c, "default is none of its words:", str_from(a->name));
    return NULL;
}

/* Ranges of one operator must neither overlap nor leave opsets uncovered. */
static const char *check_range(Check *c) {
    const OpDef *op = c->op;
    if (op->since < 1 || (op->until && op->until < op->since))
        return complain(c, "empty opset range", STR(""));
    bool followed = op->until == 0, newer = false;
    const OpDef *other;
    for (size_t i = 0; (other = op_at(i)); i++) {
        Str domain = str_from(op->domain ? op->domain : "");
        if (other == op || !names(other, domain, str_from(op->name)))
            continue;
        bool disjoint = (op->until && other->since > op->until) ||
                        (other->until && op->since > other->until);
        if (!disjoint)
            return complain(c, "opset range overlaps another", STR(""));
        newer |= other->since > op->since;
        followed |= op->until && other->since == op->until + 1;
    }
    return newer && !followed ? complain(c, "gap after this range", STR("")) : NULL;
}

static const char *check_op(Check *c) {
    const OpDef *op = c->op;
    if (!op->out || !op->infer)
        return complain(c, "lacks outputs or infer", STR(""));
    if (!op->jax == !op->emit)
        return complain(c, "needs either jax or emit", STR(""));
    const char *error = check_range(c);
    if (!error)
        error = check_names(c);
    return error || !op->jax ? error : check_template(c);
}

const char *op_check(Arena *a) {
    const OpDef *op;
    for (size_t i = 0; (op = op_at(i)); i++) {
        Check c = {a, op, NULL};
        const char *error = check_op(&c);
        if (error)
            return error;
    }
    return NULL;
}
