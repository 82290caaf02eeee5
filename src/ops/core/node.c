/* Reading a node: inputs and attributes by the names of the ONNX specification, with
 * the defaults that the registry gives.  A node that passed node_check has attributes
 * of the declared types, so the readers here report nothing but values out of range. */
#include "ops/core/op.h"

#include "support/nearest.h"

/* ---- inputs and outputs ------------------------------------------------------------
 */

Value *node_in(const Node *n, int i) {
    return i >= 0 && (uint32_t)i < n->n_in ? n->in[i] : NULL;
}

/* The row has an attribute or an input of that name. */
static void check_declared(const Node *n, const char *name) {
    if (OX_CHECKS && n->op && !op_attr(n->op, str_from(name)) &&
        op_input_index(n->op, str_from(name)) < 0)
        node_defect(n, "its code reads \"%s\", which its row does not have", name);
}

Value *node_input(const Node *n, const char *name) {
    int i = n->op ? op_input_index(n->op, str_from(name)) : -1;
    if (i < 0)
        check_declared(n, name);
    return node_in(n, i);
}

Value *node_out(const Node *n, int i) {
    return i >= 0 && (uint32_t)i < n->n_out ? n->out[i] : NULL;
}

static bool lists_input(const Node *n, const char *at, uint32_t i) {
    OpSlot slot;
    while (op_spec_next(&at, &slot))
        if (op_input_index(n->op, slot.name) == (int)i)
            return true;
    return false;
}

bool node_is_fixed(const Node *n, uint32_t i) {
    return n->op && n->in[i] && n->in[i]->known && lists_input(n, n->op->fixed, i);
}

bool node_shares_type(const Node *n, uint32_t i) {
    return n->in[i] && !node_is_fixed(n, i) &&
           !(n->op && lists_input(n, n->op->mixes, i));
}

/* v is an array of this type that has (or has not) the type of the parameters. */
static bool is_float_array(const Value *v, bool follows) {
    return v && v->follows == follows && v->type.kind == TYPE_TENSOR &&
           dtype_is_float(v->type.dtype);
}

int node_type_giver(const Node *n, int i) {
    const Value *v = value_final(node_in(n, i));
    if (!is_float_array(v, false) || !node_shares_type(n, (uint32_t)i) ||
        n->op->facts & OP_OWN_TYPE)
        return -1;
    for (int k = 0; k < (int)n->n_in; k++) {
        const Value *other = value_final(node_in(n, k));
        if (is_float_array(other, true) && other->type.dtype == v->type.dtype &&
            node_shares_type(n, (uint32_t)k))
            return k;
    }
    return -1;
}

Str op_input_name(const OpDef *op, uint32_t i) {
    const char *at = op->in;
    OpSlot slot = {0};
    for (uint32_t k = 0; op_spec_next(&at, &slot) && k < i; k++)
        if (slot.variadic)
            break;
    return slot.name;
}

DType in_dtype(const Node *n, int i) {
    const Value *v = node_in(n, i);
    return v ? v->type.dtype : DT_UNDEFINED;
}

int in_rank(const Node *n, int i) {
    const Value *v = node_in(n, i);
    return v && v->type.kind == TYPE_TENSOR ? v->type.rank : -1;
}

bool in_shape(const Node *n, int i, Shape *s) {
    s->rank = in_rank(n, i);
    if (s->rank > OX_MAX_RANK)
        s->rank = -1;
    if (s->rank > 0)
        memcpy(s->d, node_in(n, i)->type.dims, (size_t)s->rank * sizeof s->d[0]);
    return s->rank >= 0;
}

Dim in_dim(const Node *n, int i, int axis) {
    return node_in(n, i)->type.dims[axis];
}

/* ---- checks ------------------------------------------------------------------------
 */

static bool input_missing(Model *m, const Node *n, const OpSlot *slot) {
    node_error(m, n, OX0303, "", "required input %.*s is missing", (int)slot->name.n,
               slot->name.p);
    return false;
}

static bool check_inputs(Model *m, const Node *n) {
    const char *at = n->op->in;
    OpSlot slot;
    uint32_t i = 0;
    for (; op_spec_next(&at, &slot); i++) {
        if (slot.variadic) {
            if (!slot.optional && i >= n->n_in) {
                node_error(m, n, OX0303, "", "at least one input is needed");
                return false;
            }
            for (; i < n->n_in; i++)
                if (!n->in[i])
                    return input_missing(m, n, &slot);
            return true;
        }
        if (!slot.optional && !node_in(n, (int)i))
            return input_missing(m, n, &slot);
    }
    if (n->n_in > i)
        node_error(m, n, OX0303, "", "%u inputs given, but the operator has %u",
                   n->n_in, i);
    return n->n_in <= i;
}

static bool check_outputs(Model *m, const Node *n) {
    const char *at = n->op->out;
    OpSlot slot;
    uint32_t i = 0;
    for (; op_spec_next(&at, &slot); i++)
        if (slot.variadic)
            return true;
    if (n->n_out > i)
        node_error(m, n, OX0303, "", "%u outputs given, but the operator has %u",
                   n->n_out, i);
    return n->n_out <= i;
}

/* The next of the words; empty at the end. */
static Str next_word(const char **at) {
    *at += strspn(*at, " ");
    Str word = {*at, strcspn(*at, " ")};
    *at += word.n;
    return word;
}

bool op_attr_allows(const OpAttr *declared, Str text) {
    const char *at = declared->words;
    for (Str word; at && (word = next_word(&at)).n;)
        if (str_eq(word, text))
            return true;
    return !declared->words;
}

static void refuse_word(Model *m, const Node *n, const OpAttr *declared, Str given) {
    Nearest nearest = {.wanted = given};
    Text all = {.arena = m->arena};
    const char *at = declared->words;
    for (Str word; (word = next_word(&at)).n;) {
        nearest_offer(&nearest, word);
        text_printf(&all, "%s%.*s", all.n ? ", " : "it is one of ", (int)word.n,
                    word.p);
    }
    Str hint = text_view(&all);
    if (nearest.best.n)
        hint = arena_printf(m->arena, "did you mean \"%.*s\"?", (int)nearest.best.n,
                            nearest.best.p);
    diag_add(m->diags, declared->refusal, node_where(m, n), hint,
             "%s: %s \"%.*s\" is not %s", n->op->name, declared->name, (int)given.n,
             given.p ? given.p : "",
             declared->refusal == OX0303 ? "known" : "supported");
}

static bool check_attr(Model *m, const Node *n, const OpAttr *declared) {
    const Attr *a = attr_get(n, declared->name);
    if (a && (a->type == declared->type || declared->type == ATTR_NONE)) {
        bool allowed = !declared->words || op_attr_allows(declared, a->s);
        if (!allowed)
            refuse_word(m, n, declared, a->s);
        return allowed;
    }
    if (!a && !declared->required)
        return true;
    node_error(m, n, OX0303, "",
               a ? "attribute %s has the wrong type"
                 : "required attribute %s is missing",
               declared->name);
    return false;
}

static bool check_kinds(Model *m, const Node *n) {
    for (uint32_t i = 0; i < n->n_in && !(n->op->facts & OP_CONTAINERS); i++) {
        if (!n->in[i] || n->in[i]->type.kind == TYPE_TENSOR)
            continue;
        node_error(m, n, OX0401, "", "input %u is not a tensor", i);
        return false;
    }
    return true;
}

bool node_check(Model *m, const Node *n) {
    const OpDef *op = n->op;
    if (!check_inputs(m, n) || !check_outputs(m, n) || !check_kinds(m, n))
        return false;
    bool ok = true;
    for (int i = 0; i < OP_MAX_ATTRS && op->attrs[i].name; i++)
        ok &= check_attr(m, n, &op->attrs[i]);
    return ok;
}

/* ---- attributes --------------------------------------------------------------------
 */

const Attr *attr_find(const Node *n, const char *name) {
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (str_is(n->attrs[i].name, name))
            return &n->attrs[i];
    return NULL;
}

const Attr *attr_get(const Node *n, const char *name) {
    const Attr *a = attr_find(n, name);
    if (!a)
        check_declared(n, name);
    return a;
}

bool attr_has(const Node *n, const char *name) {
    return attr_get(n, name) != NULL;
}

/* The registry's default; an entry of zeros when it has none. */
static OpAttr default_of(const Node *n, const char *name) {
    const OpAttr *a = n->op ? op_attr(n->op, str_from(name)) : NULL;
    return a ? *a : (OpAttr){.name = name};
}

/* The default of an attribute that the row must have, with this type. */
static OpAttr declared_default(const Node *n, const char *name, AttrType type) {
    OpAttr a = default_of(n, name);
    if (OX_CHECKS && n->op && a.type != type)
        node_defect(n, "its code reads \"%s\" as %s, its row has %s", name,
                    op_attr_type_name(type), op_attr_type_name(a.type));
    return a;
}

/* The attribute when it has this type; a node that passed node_check has the row's. */
static const Attr *typed_attr(const Node *n, const char *name, AttrType type) {
    const Attr *a = attr_get(n, name);
    return a && a->type == type ? a : NULL;
}

int64_t attr_int(const Node *n, const char *name) {
    const Attr *a = typed_attr(n, name, ATTR_INT);
    return a ? a->i : declared_default(n, name, ATTR_INT).i;
}

double attr_float(const Node *n, const char *name) {
    const Attr *a = typed_attr(n, name, ATTR_FLOAT);
    return a ? (double)a->f : declared_default(n, name, ATTR_FLOAT).f;
}

int64_t attr_int_or(const Node *n, const char *name, int64_t otherwise) {
    const OpAttr *a = op_attr(n->op, str_from(name));
    bool there = a && (a->has_default || attr_has(n, name));
    return there ? attr_int(n, name) : otherwise;
}

Str attr_str(const Node *n, const char *name) {
    const Attr *a = typed_attr(n, name, ATTR_STRING);
    return a ? a->s : str_from(declared_default(n, name, ATTR_STRING).s);
}

bool attr_is(const Node *n, const char *name, const char *text) {
    if (OX_CHECKS &&
        !op_attr_allows(&(OpAttr){.words = default_of(n, name).words}, str_from(text)))
        node_defect(n, "its code asks for %s \"%s\", which its row does not allow",
                    name, text);
    return str_is(attr_str(n, name), text);
}

bool attr_ints(const Node *n, const char *name, Ints *v) {
    const Attr *a = attr_get(n, name);
    v->n = 0;
    if (!a)
        return false;
    if (a->type == ATTR_INT) {
        v->v[v->n++] = a->i;
        return true;
    }
    if (a->type != ATTR_INTS || a->ints.count > OX_COUNT(v->v))
        return false;
    for (; v->n < a->ints.count; v->n++)
        v->v[v->n] = a->ints.items[v->n];
    return true;
}

/* ---- attribute or input ------------------------------------------------------------
 */

static const Known *input_known(const Node *n, const char *name) {
    const Value *v = node_input(n, name);
    return v ? v->known : NULL;
}

static bool is_declared_int(const Node *n, const char *name) {
    OpAttr a = default_of(n, name);
    return a.has_default && a.type == ATTR_INT;
}

bool get_ints(const Node *n, const char *name, Ints *v) {
    if (attr_ints(n, name, v))
        return true;
    const Known *k = input_known(n, name);
    if (!k && is_declared_int(n, name)) {
        v->v[v->n++] = default_of(n, name).i;
        return true;
    }
    if (!k || (k->n && !k->ints) || k->n > OX_COUNT(v->v))
        return false;
    for (; v->n < k->n; v->n++) {
        if (!dim_is_int(k->ints[v->n]))
            return false;
        v->v[v->n] = k->ints[v->n].c;
    }
    return true;
}

bool get_dims(const Node *n, const char *name, Shape *v) {
    Ints ints;
    const Known *k = input_known(n, name);
    v->rank = -1;
    if (!k && get_ints(n, name, &ints) && ints.n <= OX_MAX_RANK) {
        v->rank = (int)ints.n;
        for (size_t i = 0; i < ints.n; i++)
            v->d[i] = dim_int(ints.v[i]);
    } else if (k && (k->ints || k->n == 0) && k->n <= OX_MAX_RANK) {
        v->rank = (int)k->n;
        for (size_t i = 0; i < k->n; i++)
            v->d[i] = k->ints[i];
    }
    return v->rank >= 0;
}

static bool is_nameless(Dim d) {
    const Symbol *s = dim_as_symbol(d);
    return s && !s->value && !s->name.n;
}

bool get_sizes(const Node *n, const char *name, Shape *v, uint64_t *unknown) {
    *unknown = 0;
    if (get_dims(n, name, v))
        return true;
    const Value *list = node_input(n, name);
    bool counted = list && !list->known && list->type.rank == 1 &&
                   dim_is_int(list->type.dims[0]) && list->type.dims[0].c >= 0 &&
                   list->type.dims[0].c <= OX_MAX_RANK;
    if (!counted)
        return false;
    v->rank = (int)list->type.dims[0].c;
    const Known *partly = list->partly;
    for (int i = 0; i < v->rank; i++) {
        bool known =
            partly && (int)partly->n == v->rank && !is_nameless(partly->ints[i]);
        v->d[i] = known ? partly->ints[i] : dim_int(0);
        *unknown |= (uint64_t)!known << i;
    }
    return true;
}

bool node_has(const Node *n, const char *name) {
    return attr_find(n, name) ||
           node_in(n, op_input_index(n->op, str_from(name))) != NULL;
}

bool is_absent(const Node *n, const char *name) {
    return !attr_has(n, name) && !node_input(n, name);
}

static bool known_scalar(const Known *k, double *v) {
    if (!k || k->n != 1)
        return false;
    if (k->floats)
        *v = k->floats[0];
    else if (dim_is_int(k->ints[0]))
        *v = (double)k->ints[0].c;
    else
        return false;
    return true;
}

bool get_float(const Node *n, const char *name, double *v) {
    const Attr *a = attr_get(n, name);
    if (a) {
        *v = a->type == ATTR_INT ? (double)a->i : (double)a->f;
        return true;
    }
    if (node_input(n, name))
        return known_scalar(input_known(n, name), v);
    OpAttr d = default_of(n, name);
    *v = d.type == ATTR_INT ? (double)d.i : d.f;
    return d.has_default;
}

/* ---- axes --------------------------------------------------------------------------
 */

bool fix_axis(Model *m, const Node *n, int64_t axis, int rank, int *fixed) {
    if (axis < -rank || axis >= rank) {
        node_error(m, n, OX0401, "", "axis %lld is out of range for rank %d",
                   (long long)axis, rank);
        *fixed = 0;
        return false;
    }
    *fixed = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

bool get_axes(Model *m, const Node *n, const char *name, int rank, bool absent_all,
              uint64_t *mask) {
    *mask = 0;
    Ints axes = {0};
    if (!is_absent(n, name) && !get_ints(n, name, &axes))
        return false;
    if (axes.n == 0 && absent_all)
        *mask = rank > 0 ? UINT64_MAX >> (64 - rank) : 0;
    for (size_t i = 0; i < axes.n; i++) {
        int axis;
        if (!fix_axis(m, n, axes.v[i], rank, &axis))
            return false;
        *mask |= (uint64_t)1 << axis;
    }
    return true;
}
