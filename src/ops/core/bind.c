/* Binds the nodes of an imported model to the registry: each node gets the definition
 * that governs it, constants become values, and operators that the registry does not
 * have are collected, all of them, for one report. */
#include "ops/core/op.h"
#include "support/nearest.h"

enum { BIND_CACHE = 64, BIND_PROBES = 4 };

typedef struct Bind {
    Model *m;
    const Node *cached[BIND_CACHE]; /* a node already bound, by hash of its operator */
    Map unsupported;                /* "domain:version:operator" -> its place in */
    Text key;                       /* m->unsupported, counted from 1 */
    bool newer;                     /* the opset warning was given */
} Bind;

static bool same_operator(const Node *a, const Node *b) {
    return a->opset == b->opset && str_eq(a->op_type, b->op_type) &&
           str_eq(a->domain, b->domain);
}

static void note_unsupported(Bind *b, const Node *n) {
    Model *m = b->m;
    b->key.n = 0;
    text_str(&b->key, n->domain);
    text_printf(&b->key, ":%lld:", (long long)n->opset);
    text_str(&b->key, n->op_type);
    uintptr_t place = (uintptr_t)map_get(&b->unsupported, text_view(&b->key));
    if (place) {
        m->unsupported.items[place - 1].count++;
        return;
    }
    Unsupported u = {n->domain, n->op_type, n->opset, 1, n};
    Str key = arena_str(m->arena, text_view(&b->key));
    if (ARENA_PUSH(m->arena, &m->unsupported, u))
        map_set(&b->unsupported, key, (void *)m->unsupported.count);
}

static const OpDef *find(Bind *b, const Node *n) {
    size_t at = str_hash(n->op_type) % BIND_CACHE;
    const Node **slot = &b->cached[at];
    for (size_t i = 0; i < BIND_PROBES && *slot; i++) {
        if (same_operator(*slot, n))
            return (*slot)->op;
        slot = &b->cached[(at + i + 1) % BIND_CACHE];
    }
    bool internal = str_is(n->domain, OP_INTERNAL);
    const OpDef *op = internal ? NULL : op_find(n->domain, n->op_type, n->opset);
    if (op)
        *slot = n;
    return op;
}

/* ---- constants --------------------------------------------------------------------- */

static Tensor *scalar(Model *m, DType dtype, const void *data, size_t size, int rank,
                      int64_t count) {
    Tensor *t = ARENA_NEW(m->arena, Tensor);
    int64_t *dims = ARENA_NEW(m->arena, int64_t);
    if (!t || !dims)
        return NULL;
    *dims = count;
    *t = (Tensor){.dtype = dtype,
                  .rank = rank,
                  .dims = dims,
                  .count = count,
                  .memory = data,
                  .size = size};
    return t;
}

/* value, value_float(s), value_int(s), sparse_value, as a tensor; NULL for strings. */
static const Tensor *constant_tensor(Model *m, const Attr *a) {
    switch (a->type) {
    case ATTR_TENSOR:
        return a->t;
    case ATTR_FLOAT:
        return scalar(m, DT_FLOAT, &a->f, sizeof a->f, 0, 1);
    case ATTR_INT:
        return scalar(m, DT_INT64, &a->i, sizeof a->i, 0, 1);
    case ATTR_FLOATS:
        return scalar(m, DT_FLOAT, a->floats.items, a->floats.count * sizeof(float), 1,
                      (int64_t)a->floats.count);
    case ATTR_INTS:
        return scalar(m, DT_INT64, a->ints.items, a->ints.count * sizeof(int64_t), 1,
                      (int64_t)a->ints.count);
    case ATTR_SPARSE:
        return sparse_to_dense(m->arena, m->diags, a->sparse);
    default:
        return NULL;
    }
}

/* true when the node has become a value and is to be dropped.  An attribute of another
 * type than its name says is left for node_check to report. */
static bool become_value(Model *m, Node *n) {
    Value *v = n->n_out == 1 ? n->out[0] : NULL;
    for (uint32_t i = 0; i < n->n_attrs && v; i++) {
        const Attr *a = &n->attrs[i];
        const OpAttr *declared = op_attr(n->op, a->name);
        if (!declared || declared->type != a->type)
            continue;
        const Tensor *t = constant_tensor(m, a);
        if (t && t->rank <= OX_MAX_RANK)
            return value_set_tensor(m, v, t, true);
    }
    return false;
}

/* ---- attributes --------------------------------------------------------------------- */

/* Attributes without a meaning.  Names that begin with two underscores belong to the tool
 * that wrote them; the checker of ONNX, too, lets them pass.  Up to version 5 of ai.onnx
 * consumed_inputs said which inputs a runtime could write over. */
static bool is_meaningless(const Node *n, Str name) {
    bool old = !n->op->domain && n->opset < 6;
    return str_starts(name, STR("__")) || (old && str_is(name, "consumed_inputs"));
}

static bool is_version_of(const OpDef *a, const OpDef *b) {
    return strcmp(a->name, b->name) == 0 && !a->domain == !b->domain &&
           (!a->domain || strcmp(a->domain, b->domain) == 0);
}

/* Where another version of the operator has the attribute: the node is right, and the
 * opset that the model declares is not.  Empty: no version has it. */
static Str other_version(Model *m, const Node *n, Str name) {
    const OpDef *op;
    int newer = 0, older = 0; /* the opsets with it that are next to the node's */
    for (size_t i = 0; (op = op_at(i)); i++) {
        if (!is_version_of(op, n->op) || !op_attr(op, name))
            continue;
        if (op->since > n->op->since && (!newer || op->since < newer))
            newer = op->since;
        if (op->since < n->op->since && op->until > older)
            older = op->until;
    }
    if (!older && !newer)
        return (Str){0};
    return arena_printf(m->arena,
                        older
                            ? "opsets up to %d have it; the opset of this node is %lld"
                            : "opsets since %d have it; the opset of this node is %lld",
                        older ? older : newer, (long long)n->opset);
}

static Str attr_hint(Model *m, const Node *n, Str name) {
    Str version = other_version(m, n, name);
    if (version.n)
        return version;
    Nearest nearest = {.wanted = name};
    Text all = {.arena = m->arena};
    for (int i = 0; i < OP_MAX_ATTRS && n->op->attrs[i].name; i++) {
        nearest_offer(&nearest, str_from(n->op->attrs[i].name));
        text_printf(&all, "%s%s", i ? ", " : "its attributes are ",
                    n->op->attrs[i].name);
    }
    if (nearest.best.n)
        return arena_printf(m->arena, "did you mean \"%.*s\"?", (int)nearest.best.n,
                            nearest.best.p);
    return all.n ? text_view(&all) : STR("it has no attributes");
}

/* An attribute that the definition does not have is a slip of the pen, or newer than the
 * definition: com.microsoft gives operators new ones without a new version.  Either way
 * the model means something that the code would not do. */
_Static_assert(OP_MAX_ATTRS <= 32, "attributes are bits of a uint32_t");

static void check_attrs(Model *m, const Node *n) {
    uint32_t seen = 0; /* bit i: the i-th attribute of the definition */
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        Str name = n->attrs[i].name;
        const OpAttr *attr = op_attr(n->op, name);
        bool shown = m->diags->count < DIAG_MAX; /* the others are only counted */
        if (!attr && !is_meaningless(n, name))
            diag_add(m->diags, OX0305, shown ? node_where(m, n) : (Str){0},
                     shown ? attr_hint(m, n, name) : (Str){0},
                     "%s has no attribute \"%.*s\"", n->op->name, (int)name.n, name.p);
        uint32_t bit = attr ? UINT32_C(1) << (attr - n->op->attrs) : 0;
        if (seen & bit)
            node_error(m, n, OX0303, "", "attribute %s is given twice", attr->name);
        seen |= bit;
    }
}

/* A quantized bias is a list of integers as axes and sizes are; another checkpoint has
 * another. */
static void keep_weights(const Node *n) {
    const char *at = n->op->weights;
    for (OpSlot slot; at && op_spec_next(&at, &slot);) {
        Value *v = node_in(n, op_input_index(n->op, slot.name));
        if (!v || v->kind != VALUE_CONST || !v->tensor || v->tensor->rank < 1 ||
            v->tensor->count < 1)
            continue;
        v->kind = VALUE_PARAM;
        v->known = v->splat = NULL;
    }
}

static void bind_node(Bind *b, Node *n) {
    n->op = find(b, n);
    if (!n->op)
        note_unsupported(b, n);
    else if (!(n->op->facts & OP_REFUSED))
        check_attrs(b->m, n);
}

static void bind_graph(void *user, Graph *g) {
    Bind *b = user;
    size_t kept = 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        if (!n->op)
            bind_node(b, n);
        if (n->op && n->op->facts & OP_CONSTANT && become_value(b->m, n))
            continue;
        if (!b->newer && !n->domain.n && n->opset > OP_NEWEST_OPSET) {
            b->newer = true;
            diag_add(b->m->diags, OX0304, (Str){0},
                     STR("compare the outputs with oxide_xla verify"),
                     "the model uses opset %lld, the newest known is %d",
                     (long long)n->opset, OP_NEWEST_OPSET);
        }
        if (n->op && n->op->weights)
            keep_weights(n);
        g->nodes[kept++] = n;
    }
    g->n_nodes = kept;
    for (size_t i = 0; i < kept; i++)
        if (g->nodes[i]->op && g->nodes[i]->op->expand)
            g->nodes[i]->op->expand(b->m, g->nodes[i]);
}

void ops_bind(Model *m) {
    Bind b = {.m = m, .unsupported = {.arena = m->arena}, .key = {.arena = m->arena}};
    m->unsupported.count = 0;
    graph_each(m->graph, bind_graph, &b);
}
