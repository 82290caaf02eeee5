/* Replaces subgraphs by the one operator that computes them, as the table of fusions.c
 * says.  A node is looked at once for each row whose outermost operators it could be:
 * rows are listed by the first letter of these, so that most nodes meet none.  Patterns
 * are parsed when the first such node comes up. */
#include "ops/fusion.h"
#include "passes/passes.h"

#include <math.h>
#include <stdlib.h>

enum { FUSIONS_MAX = 64, LETTERS = 128 };

typedef struct Row {
    const Fusion *fusion;
    const Expr *pattern; /* NULL: not parsed yet */
    struct Row *next;    /* the next one of the same letter */
} Row;

typedef struct NodeList {
    Node **items;
    size_t count, cap;
} NodeList;

typedef struct Fuse {
    Model *m;
    Row rows[FUSIONS_MAX];
    size_t n_rows;
    Row *of_letter[LETTERS];
    NodeList nodes; /* of the graph that is being rewritten */
} Fuse;

/* ---- numbers ----------------------------------------------------------------------- */

static double number_of(const Expr *p) {
    if (p->kind == EX_UNARY)
        return -number_of(p->kids[0]);
    return p->kind == EX_INT ? (double)p->i : strtod(p->text.p, NULL);
}

static bool is_number(const Expr *p) {
    return p->kind == EX_INT || p->kind == EX_NUMBER ||
           (p->kind == EX_UNARY && is_number(p->kids[0]));
}

/* The only element of a constant. */
static bool constant_of(const Value *v, double *x) {
    const Known *k = v ? v->splat : NULL;
    if (!k || (k->ints && !dim_is_int(k->ints[0])))
        return false;
    *x = k->floats ? k->floats[0] : (double)k->ints[0].c;
    return true;
}

/* Significant bits of a float type; 53 for all others, which are compared as they are. */
static int precision_of(DType dtype) {
    switch (dtype) {
    case DT_FLOAT:
        return 24;
    case DT_FLOAT16:
        return 11;
    case DT_BFLOAT16:
        return 8;
    default:
        return 53;
    }
}

bool fusion_is_number(const Value *v, double x) {
    double c;
    return constant_of(v, &c) &&
           fabs(c - x) <= fabs(x) * ldexp(1, -precision_of(v->type.dtype));
}

static const FusionName *bound_as(const FusionMatch *t, Str name) {
    for (size_t i = t->n_bound; i-- > 0;)
        if (str_eq(t->bound[i].name, name))
            return &t->bound[i];
    return NULL;
}

Value *fusion_value(const FusionMatch *t, const char *name) {
    const FusionName *found = bound_as(t, str_from(name));
    return found ? found->value : NULL;
}

/* How far a match had come.  It only ever adds at the ends of its lists, so that this is
 * all there is to undo. */
typedef struct Mark {
    size_t n_bound, n_nodes;
} Mark;

static Mark mark_of(const FusionMatch *t) {
    return (Mark){t->n_bound, t->n_nodes};
}

static void back_to(FusionMatch *t, Mark mark) {
    t->n_bound = mark.n_bound;
    t->n_nodes = mark.n_nodes;
}

/* ---- matching ---------------------------------------------------------------------- */

/* Exporters write a constant again for each use. */
static bool is_same(const Value *a, const Value *b) {
    double x, y;
    return a == b || (constant_of(a, &x) && constant_of(b, &y) &&
                      a->type.dtype == b->type.dtype && memcmp(&x, &y, sizeof x) == 0);
}

static bool add_name(FusionMatch *t, FusionName name) {
    if (t->n_bound == FUSION_NAMES)
        return false;
    t->bound[t->n_bound++] = name;
    return true;
}

static bool bind(FusionMatch *t, Str name, Value *v) {
    if (str_is(name, "_"))
        return true;
    const FusionName *before = bound_as(t, name);
    return before ? is_same(before->value, v) : add_name(t, (FusionName){name, v, 0});
}

static bool match(FusionMatch *t, const Expr *p, Value *v);

static bool bind_number(FusionMatch *t, Str name, double x) {
    return str_is(name, "_") || add_name(t, (FusionName){name, NULL, x});
}

/* The attribute (or constant input) of a node against an int, list or number; a name
 * is bound to a number. */
static bool match_option(FusionMatch *t, const Node *n, const char *name,
                         const Expr *want) {
    Ints have;
    double x;
    if (want->kind == EX_NAME)
        return str_is(want->text, "_") ||
               (get_float(n, name, &x) && bind_number(t, want->text, x));
    if (want->kind == EX_NUMBER)
        return get_float(n, name, &x) && fabs(x - number_of(want)) <= fabs(x) * 1e-7;
    bool list = want->kind == EX_LIST;
    if (!get_ints(n, name, &have) || have.n != (list ? want->n : 1))
        return false;
    for (size_t i = 0; i < have.n; i++) {
        int64_t w = (int64_t)number_of(list ? want->kids[i] : want);
        if (have.v[i] != w && (w >= 0 || have.v[i] != w + in_rank(n, 0)))
            return false;
    }
    return true;
}

static const Expr *option_of(const Expr *p, Str name) {
    for (uint32_t i = 1; i < p->n; i++)
        if (p->kids[i]->kind == EX_KEYWORD && str_eq(p->kids[i]->text, name))
            return p->kids[i]->kids[0];
    return NULL;
}

static bool is_default(const OpAttr *a, const Attr *have) {
    if (!a || !a->has_default || a->type != have->type)
        return false;
    switch (a->type) {
    case ATTR_INT:
        return a->i == have->i;
    case ATTR_FLOAT:
        return !((float)a->f < have->f) && !((float)a->f > have->f);
    case ATTR_STRING:
        return str_is(have->s, a->s);
    default:
        return false;
    }
}

/* Attributes that the pattern does not name have their defaults. */
static bool others_are_default(const Node *n, const Expr *p) {
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const Attr *a = &n->attrs[i];
        if (!option_of(p, a->name) && !is_default(op_attr(n->op, a->name), a))
            return false;
    }
    return true;
}

static bool match_options(FusionMatch *t, const Node *n, const Expr *p) {
    for (uint32_t i = 1; i < p->n; i++) {
        char name[24];
        const Expr *kid = p->kids[i];
        if (kid->kind != EX_KEYWORD || kid->text.n >= sizeof name)
            continue;
        memcpy(name, kid->text.p, kid->text.n);
        name[kid->text.n] = '\0';
        if (!match_option(t, n, name, kid->kids[0]))
            return false;
    }
    return others_are_default(n, p);
}

static uint32_t positional(const Expr *p) {
    uint32_t n = 0;
    while (n + 1 < p->n && p->kids[n + 1]->kind != EX_KEYWORD)
        n++;
    return n;
}

/* Inputs past the positional ones are absent, or named as options. */
static bool rest_is_named(const Node *n, const Expr *p, uint32_t from) {
    for (uint32_t i = from; i < n->n_in; i++) {
        bool named = false;
        for (uint32_t k = from + 1; k < p->n; k++)
            named |= op_input_index(n->op, p->kids[k]->text) == (int)i;
        if (n->in[i] && !named)
            return false;
    }
    return true;
}

static bool match_inputs(FusionMatch *t, const Expr *p, const Node *n, bool swapped) {
    uint32_t count = positional(p);
    Mark before = mark_of(t);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = swapped ? 1 - i : i;
        if (!n->in[k] || !match(t, p->kids[i + 1], n->in[k])) {
            back_to(t, before);
            return false;
        }
    }
    return true;
}

static bool is_plain(const Node *n) {
    for (uint32_t i = 1; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->uses)
            return false;
    return n->op && !n->op->domain && !(n->op->facts & OP_IMPURE) && node_out(n, 0);
}

static bool match_node(FusionMatch *t, const Expr *p, Node *n) {
    uint32_t count = positional(p);
    if (!n || !str_eq(p->kids[0]->text, n->op_type) || !is_plain(n) ||
        n->graph != t->root->graph || n->n_in < count || t->n_nodes == FUSION_NODES ||
        !rest_is_named(n, p, count) || !match_options(t, n, p))
        return false;
    t->nodes[t->n_nodes++] = n;
    if (match_inputs(t, p, n, false))
        return true;
    return count == 2 && n->op->facts & OP_COMMUTATIVE && match_inputs(t, p, n, true);
}

/* As(x, p) and Is(x, p). */
static bool match_named(FusionMatch *t, const Expr *p, Value *v, bool keep) {
    size_t nodes = t->n_nodes;
    if (!match(t, p->kids[2], v) || !bind(t, p->kids[1]->text, v))
        return false;
    if (keep)
        t->n_nodes = nodes;
    return true;
}

/* Multiplies the number bound to a name. */
static bool bind_factor(FusionMatch *t, Str name, double x) {
    const FusionName *before = bound_as(t, name);
    return bind_number(t, name, before ? before->number * x : x);
}

/* Times(p, c). */
static bool match_scaled(FusionMatch *t, const Expr *p, Value *v) {
    Mark before = mark_of(t);
    Node *n = v->def;
    FusionScale scale = n ? fusion_scale(n) : FUSION_NO_SCALE;
    bool times = scale == FUSION_TIMES;
    bool scaled = scale != FUSION_NO_SCALE && is_plain(n) &&
                  n->graph == t->root->graph && n->n_in == 2 &&
                  t->n_nodes < FUSION_NODES;
    for (int i = 0; scaled && i < 1 + times; i++) {
        double c;
        if (constant_of(n->in[!i], &c) && match(t, p->kids[1], n->in[i]) &&
            bind_factor(t, p->kids[2]->text, times ? c : 1 / c)) {
            t->nodes[t->n_nodes++] = n;
            return t->n_nodes < FUSION_NODES;
        }
        back_to(t, before);
    }
    return match(t, p->kids[1], v) && bind_factor(t, p->kids[2]->text, 1);
}

static bool match_call(FusionMatch *t, const Expr *p, Value *v) {
    Str name = p->kids[0]->text;
    if (str_is(name, "Maybe"))
        return match(t, p->kids[1], v) || match(t, p->kids[1]->kids[1], v);
    if (str_is(name, "Times"))
        return match_scaled(t, p, v);
    if (str_is(name, "As") || str_is(name, "Is"))
        return match_named(t, p, v, str_is(name, "Is"));
    return match_node(t, p, v->def);
}

static bool match(FusionMatch *t, const Expr *p, Value *v) {
    if (is_number(p))
        return fusion_is_number(v, number_of(p));
    if (p->kind == EX_NAME)
        return bind(t, p->text, v);
    Mark before = mark_of(t);
    if (p->kind == EX_BINARY) {
        if (match(t, p->kids[0], v))
            return true;
        back_to(t, before);
        return match(t, p->kids[1], v);
    }
    if (p->kind == EX_CALL && match_call(t, p, v))
        return true;
    back_to(t, before);
    return false;
}

/* All readers of what the inner nodes make are in the subgraph. */
static bool is_closed(FusionMatch *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->n_nodes; i++) {
        bool again = false;
        for (size_t k = 0; k < kept; k++)
            again |= t->nodes[k] == t->nodes[i];
        if (!again)
            t->nodes[kept++] = t->nodes[i];
    }
    t->n_nodes = kept;
    for (size_t i = 1; i < kept; i++) {
        const Value *v = t->nodes[i]->out[0];
        uint32_t readers = 0;
        for (size_t k = 0; k < kept; k++)
            for (uint32_t in = 0; in < t->nodes[k]->n_in; in++)
                readers += t->nodes[k]->in[in] == v;
        if (readers != v->uses)
            return false;
    }
    return true;
}

static bool has_type_of_x(const FusionMatch *t) {
    const Value *x = fusion_value(t, "x"), *y = t->root->out[0];
    return x && x->type.dtype == y->type.dtype && type_same_shape(&x->type, &y->type);
}

/* ---- replacement ------------------------------------------------------------------- */

static bool known_size(const Value *v, int64_t axis, double *c) {
    if (!v || axis >= v->type.rank || !dim_is_int(v->type.dims[axis]))
        return false;
    *c = (double)v->type.dims[axis].c;
    return true;
}

/* The number that x stands for; false when it, or a part of it, is not known before the
 * model runs, as a parameter or an input is not. */
static bool evaluate(const FusionMatch *t, const Expr *x, double *c) {
    if (is_number(x)) {
        *c = number_of(x);
        return true;
    }
    if (x->kind == EX_BINARY) {
        double l, r;
        if (!evaluate(t, x->kids[0], &l) || !evaluate(t, x->kids[1], &r))
            return false;
        *c = str_is(x->text, "*") ? l * r : l / r;
        return true;
    }
    const Expr *of = x->kind == EX_INDEX ? x->kids[0] : x;
    const FusionName *found = bound_as(t, of->text);
    if (!found)
        return false;
    if (of != x)
        return known_size(found->value, x->kids[1]->i, c);
    if (found->value)
        return constant_of(found->value, c);
    *c = found->number;
    return true;
}

static bool is_counted(const OpAttr *decl) {
    return decl->type == ATTR_FLOAT || decl->type == ATTR_INT;
}

/* false when it is a number that is not known. */
static bool add_attr(const FusionMatch *t, Node *n, const OpAttr *decl, const Expr *x) {
    Str name = str_from(decl->name);
    double c;
    if (is_counted(decl) && !evaluate(t, x, &c))
        return false;
    if (decl->type == ATTR_STRING) {
        n->attrs[n->n_attrs++] = attr_of_string(name, x->text);
    } else if (decl->type == ATTR_FLOAT) {
        n->attrs[n->n_attrs++] = attr_of_float(name, c);
    } else if (decl->type == ATTR_INT) {
        n->attrs[n->n_attrs++] = attr_of_int(name, (int64_t)c);
    } else {
        int64_t list[2 * OX_MAX_RANK];
        size_t count = 0;
        for (; count < x->n && count < OX_COUNT(list); count++)
            list[count] = x->kids[count]->i;
        n->attrs[n->n_attrs++] = attr_of_ints(t->m->arena, name, list, count);
    }
    return true;
}

static bool set_attrs(const FusionMatch *t, Node *n, const Expr *call) {
    n->n_attrs = 0;
    n->attrs = ARENA_ARRAY(t->m->arena, call->n, Attr);
    for (uint32_t i = 1; i < call->n && n->attrs; i++) {
        const Expr *kid = call->kids[i];
        const OpAttr *decl = kid->kind == EX_KEYWORD ? op_attr(n->op, kid->text) : NULL;
        if (kid->kind == EX_KEYWORD && (!decl || !add_attr(t, n, decl, kid->kids[0])))
            return false;
    }
    return n->attrs != NULL;
}

static const OpDef *find_op(Str name) {
    const OpDef *op = op_find(STR(""), name, OP_NEWEST_OPSET);
    return op ? op : op_find(STR(OP_INTERNAL), name, 1);
}

static Value *build(Fuse *f, const FusionMatch *t, const Expr *x, bool *absent);

static bool is_bound(const FusionMatch *t, const Expr *x) {
    if (x->kind == EX_CALL) {
        bool all = true;
        for (uint32_t i = 0; i < positional(x); i++)
            all &= is_bound(t, x->kids[i + 1]);
        return all;
    }
    return bound_as(t, x->text) != NULL;
}

/* Every number that the call gives an operator is known.  The pattern does not ask: its
 * names stand for any value. */
static bool numbers_are_known(const FusionMatch *t, const Expr *x) {
    if (x->kind == EX_BINARY)
        return numbers_are_known(t, x->kids[!is_bound(t, x->kids[0])]);
    const OpDef *op = x->kind == EX_CALL ? find_op(x->kids[0]->text) : NULL;
    bool known = true;
    for (uint32_t i = 1; op && i < x->n; i++) {
        const Expr *kid = x->kids[i];
        const OpAttr *decl = kid->kind == EX_KEYWORD ? op_attr(op, kid->text) : NULL;
        double c;
        known &= decl ? !is_counted(decl) || evaluate(t, kid->kids[0], &c)
                      : numbers_are_known(t, kid);
    }
    return known;
}

/* Makes n the call x, reading what its arguments are. */
static bool become(Fuse *f, const FusionMatch *t, Node *n, const Expr *x) {
    uint32_t count = positional(x);
    Value **in = ARENA_ARRAY(f->m->arena, count, Value *);
    if (!in)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bool absent = false;
        in[i] = build(f, t, x->kids[i + 1], &absent);
        if (!in[i] && !absent)
            return false;
    }
    for (uint32_t i = 0; i < count; i++)
        if (in[i])
            in[i]->uses++;
    while (count && !in[count - 1])
        count--;
    const OpDef *op = find_op(x->kids[0]->text);
    if (!op)
        return false;
    node_set_op(n, op);
    n->in = in;
    n->n_in = count;
    return set_attrs(t, n, x);
}

static Value *new_node(Fuse *f, const FusionMatch *t, const Expr *x) {
    Arena *a = f->m->arena;
    Node *n = node_beside(f->m, t->root, 0, 1, 0);
    if (!n || !become(f, t, n, x))
        return NULL;
    Str name = arena_printf(a, "%.*s/%u", (int)t->root->out[0]->name.n,
                            t->root->out[0]->name.p, f->m->value_count);
    Value *v = value_new(f->m, n->graph, VALUE_NODE, name);
    if (!v || !ARENA_PUSH(a, &f->nodes, n))
        return NULL;
    node_make(n, 0, v);
    infer_node(f->m, n);
    return n->out[0];
}

static Value *build(Fuse *f, const FusionMatch *t, const Expr *x, bool *absent) {
    if (x->kind == EX_BINARY)
        return build(f, t, x->kids[!is_bound(t, x->kids[0])], absent);
    if (x->kind == EX_CALL)
        return new_node(f, t, x);
    const FusionName *found = bound_as(t, x->text);
    *absent = !found;
    return found ? found->value : NULL;
}

/* Readers are counted on, so that what was matched does not hinder what comes next. */
static void replace(Fuse *f, const FusionMatch *t, const Expr *x) {
    if (f->m->arena->failed)
        return;
    for (size_t i = 0; i < t->n_nodes; i++) {
        node_absorb(f->m, t->nodes[i], t->root);
        for (uint32_t k = 0; k < t->nodes[i]->n_in; k++)
            if (t->nodes[i]->in[k])
                t->nodes[i]->in[k]->uses--;
    }
    (void)become(f, t, t->root, x);
}

/* ---- the pass ---------------------------------------------------------------------- */

static size_t letter_of(const char *op_type) {
    return (unsigned char)op_type[0] % LETTERS;
}

static bool could_be(const Fusion *fusion, const Node *n) {
    const char *p = fusion->pattern;
    return strncmp(p, n->op_type.p, n->op_type.n) == 0 && p[n->op_type.n] == '(';
}

static const Expr *pattern_of(Fuse *f, Row *row) {
    if (!row->pattern)
        row->pattern = ex_build(f->m->arena, row->fusion->pattern, NULL, 0);
    return row->pattern;
}

static bool try_row(Fuse *f, Row *row, Node *n) {
    const Fusion *fusion = row->fusion;
    if (!could_be(fusion, n))
        return false;
    FusionMatch t; /* its lists are large, and empty */
    t.m = f->m;
    t.root = n;
    back_to(&t, (Mark){0, 0});
    const Expr *pattern = pattern_of(f, row);
    if (f->m->arena->failed || !match(&t, pattern, n->out[0]) || !is_closed(&t) ||
        !(fusion->fits ? fusion->fits : has_type_of_x)(&t))
        return false;
    const Expr *becomes = ex_build(f->m->arena, fusion->becomes, NULL, 0);
    if (f->m->arena->failed || !numbers_are_known(&t, becomes))
        return false;
    replace(f, &t, becomes);
    return true;
}

static void fuse_graph(void *user, Graph *g) {
    Fuse *f = user;
    f->nodes = (NodeList){.items = ARENA_ARRAY(f->m->arena, g->n_nodes, Node *)};
    f->nodes.cap = f->nodes.items ? g->n_nodes : 0;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        const Value *y = node_out(n, 0);
        bool candidate = n->op_type.n && n->op && y && !y->is_assumed;
        Row *row = candidate ? f->of_letter[letter_of(n->op_type.p)] : NULL;
        while (row && !try_row(f, row, n))
            row = row->next;
        if (!ARENA_PUSH(f->m->arena, &f->nodes, n))
            return;
    }
    g->nodes = f->nodes.items;
    g->n_nodes = f->nodes.count;
}

static void fuse(Model *m, bool late) {
    Fuse f = {.m = m};
    const Fusion *fusion;
    for (size_t i = 0; (fusion = fusion_at(i)) && f.n_rows < FUSIONS_MAX; i++)
        if (fusion->late == late)
            f.rows[f.n_rows++].fusion = fusion;
    for (size_t i = f.n_rows; i-- > 0;) {
        Row **head = &f.of_letter[letter_of(f.rows[i].fusion->pattern)];
        f.rows[i].next = *head;
        *head = &f.rows[i];
    }
    graph_each(m->graph, fuse_graph, &f);
}

void pass_fuse(Model *m) {
    fuse(m, false);
}

void pass_fuse_late(Model *m) {
    fuse(m, true);
}
