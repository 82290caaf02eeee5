/* Compares two models.  Inputs, parameters and modules are matched by their names; nodes,
 * whose names exporters number anew each time, by their places: within the module that they
 * come from, by the longest common subsequence of what they do.  What is left between two
 * matches is paired by operator, as changed, and else added or removed.  Then inputs are
 * followed: a node that reads from another place than its partner has changed, too. */
#include "inspect/diff.h"

enum {
    TABLE_MAX = 1 << 20, /* entries of the table of a common subsequence */
    AHEAD_MAX = 64,      /* how far a match is looked for where that is too large */
};

typedef struct Side {
    const Report *r;
    uint32_t *partner; /* by place of a node: that of the other side + 1; 0: none */
    uint64_t *hash;    /* of what a node does */
} Side;

typedef struct Compare {
    Diff *d;
    Arena scratch;
    Side a, b;
} Compare;

/* ---- the list ----------------------------------------------------------------------- */

static void add(Diff *d, Difference one) {
    d->counts[one.part][one.kind]++;
    (void)ARENA_PUSH(d->arena, &d->list, one);
}

static Str type_text(Diff *d, const Type *type) {
    Text t = {.arena = d->arena};
    type_print(&t, type);
    return text_view(&t);
}

static bool same_strings(const Str *a, size_t n_a, const Str *b, size_t n_b) {
    bool same = n_a == n_b;
    for (size_t i = 0; same && i < n_a; i++)
        same = str_eq(a[i], b[i]);
    return same;
}

/* tensor_same, of strings too.  Weights are read in steps, and only as far as they are
 * equal. */
static bool same_tensor_or_strings(const Tensor *a, const Tensor *b) {
    if (!a || !b || a->dtype != DT_STRING || b->dtype != DT_STRING)
        return tensor_same(a, b);
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same && same_strings(a->strings.items, a->strings.count, b->strings.items,
                                b->strings.count);
}

static bool same_sparse(const Sparse *a, const Sparse *b) {
    if (!a || !b || a->rank != b->rank)
        return a == b;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return same_tensor_or_strings(a->values, b->values) &&
           same_tensor_or_strings(a->indices, b->indices);
}

/* One entry that both have, one, or the other. */
static void add_named(Diff *d, DiffPart part, Str name, Str before, Str after,
                      const char *what) {
    Difference one = {.part = part,
                      .kind = !before.n  ? DIFF_ADDED
                              : !after.n ? DIFF_REMOVED
                                         : DIFF_CHANGED,
                      .name = name,
                      .before = before,
                      .after = after,
                      .a = DIFF_NONE,
                      .b = DIFF_NONE};
    if (one.kind == DIFF_CHANGED)
        one.what = str_from(what);
    add(d, one);
}

/* ---- opsets, inputs, outputs -------------------------------------------------------- */

/* The opset that governs nodes of a domain, the first of it; NULL: there is none. */
static const Opset *opset_in(const Opsets *opsets, Str domain) {
    for (size_t i = 0; i < opsets->count; i++)
        if (str_eq(report_domain(opsets->items[i].domain), domain))
            return &opsets->items[i];
    return NULL;
}

static Str version_text(Diff *d, const Opset *opset) {
    return opset ? arena_printf(d->arena, "%lld", (long long)opset->version) : STR("");
}

static void compare_opsets(Diff *d) {
    const Opsets *a = &d->a.m->facts.opsets, *b = &d->b.m->facts.opsets;
    for (size_t i = 0; i < a->count; i++) {
        Str domain = report_domain(a->items[i].domain);
        const Opset *x = opset_in(a, domain), *y = opset_in(b, domain);
        if (x != &a->items[i])
            continue;
        if (y && x->version == y->version)
            d->equal[DIFF_OPSETS]++;
        else
            add_named(d, DIFF_OPSETS, domain, version_text(d, x), version_text(d, y),
                      "");
    }
    for (size_t i = 0; i < b->count; i++) {
        Str domain = report_domain(b->items[i].domain);
        const Opset *y = opset_in(b, domain);
        if (y == &b->items[i] && !opset_in(a, domain))
            add_named(d, DIFF_OPSETS, domain, STR(""), version_text(d, y), "");
    }
}

/* Values with their names, in order. */
typedef struct Ends {
    Value *const *values;
    const Str *names; /* NULL: their own */
    size_t n;
} Ends;

static Ends ends_of(const Report *r, DiffPart part) {
    const Graph *g = r->m->graph;
    return part == DIFF_INPUTS ? (Ends){g->inputs, NULL, g->n_inputs}
                               : (Ends){g->outputs, g->output_names, g->n_outputs};
}

static Str end_name(const Ends *e, size_t i) {
    return e->names ? e->names[i] : e->values[i]->name;
}

static bool same_input(const Compare *c, const Value *x, const Value *y);

/* How a value and one of the same name differ: NULL if not. */
static const char *end_difference(const Compare *c, const Value *x, const Value *y,
                                  bool same_type, DiffPart part) {
    if (!same_type)
        return "type";
    if (part == DIFF_INPUTS || same_input(c, x, y))
        return NULL;
    return x->kind == VALUE_CONST && y->kind == VALUE_CONST ? "values" : "source";
}

/* Outputs are compared by what they come from, so nodes are matched before. */
static void compare_ends(Compare *c, DiffPart part) {
    Diff *d = c->d;
    Ends a = ends_of(&d->a, part), b = ends_of(&d->b, part);
    Map other = {.arena = &c->scratch}, own = {.arena = &c->scratch};
    for (size_t i = 0; i < b.n; i++)
        (void)map_set(&other, end_name(&b, i), b.values[i]);
    for (size_t i = 0; i < a.n; i++) {
        Str name = end_name(&a, i), before = type_text(d, &a.values[i]->type);
        const Value *v = map_get(&other, name);
        Str after = v ? type_text(d, &v->type) : STR("");
        (void)map_set(&own, name, a.values[i]);
        bool same_type = str_eq(before, after);
        const char *what =
            v ? end_difference(c, a.values[i], v, same_type, part) : "type";
        if (what)
            add_named(d, part, name, before, after, what);
        else
            d->equal[part]++;
    }
    for (size_t i = 0; i < b.n; i++)
        if (!map_get(&own, end_name(&b, i)))
            add_named(d, part, end_name(&b, i), STR(""),
                      type_text(d, &b.values[i]->type), "");
    if (a.n && a.n == b.n && !d->counts[part][DIFF_ADDED] &&
        !d->counts[part][DIFF_REMOVED])
        for (size_t i = 0; i < a.n; i++)
            if (!str_eq(end_name(&a, i), end_name(&b, i))) {
                add_named(d, part, end_name(&a, i),
                          arena_printf(d->arena, "number %zu", i + 1),
                          STR("another place"), "order");
                break;
            }
}

/* ---- parameters --------------------------------------------------------------------- */

static void compare_param(Diff *d, const Value *x, const Value *y) {
    Str before = type_text(d, &x->type);
    Str after = y ? type_text(d, &y->type) : STR("");
    bool typed = y && str_eq(before, after);
    if (typed && same_tensor_or_strings(x->tensor, y->tensor)) {
        d->equal[DIFF_PARAMS]++;
        return;
    }
    d->same_weights = false;
    add_named(d, DIFF_PARAMS, x->name, before, after, typed ? "values" : "type");
}

static void compare_params(Compare *c) {
    Diff *d = c->d;
    Map other = {.arena = &c->scratch}, own = {.arena = &c->scratch};
    d->same_weights = true;
    for (size_t i = 0; i < d->b.n_params; i++)
        if (!map_get(&other, d->b.params[i]->name))
            (void)map_set(&other, d->b.params[i]->name, d->b.params[i]);
    for (size_t i = 0; i < d->a.n_params; i++) {
        const Value *x = d->a.params[i];
        (void)map_set(&own, x->name, d->a.params[i]);
        compare_param(d, x, map_get(&other, x->name));
    }
    for (size_t i = 0; i < d->b.n_params; i++) {
        const Value *y = d->b.params[i];
        if (map_get(&own, y->name))
            continue;
        d->same_weights = false;
        add_named(d, DIFF_PARAMS, y->name, STR(""), type_text(d, &y->type), "");
    }
}

/* ---- modules ------------------------------------------------------------------------ */

/* Empty text means that there is no such module. */
static Str class_of(const Part *p) {
    return !p ? STR("") : p->type.n ? p->type : STR("module");
}

/* A class that one of the files does not tell is no difference. */
static bool same_class(const Part *p, const Part *q) {
    return !p->type.n || !q->type.n || str_eq(p->type, q->type);
}

static void compare_modules(Compare *c) {
    Diff *d = c->d;
    const Parts *a = &d->a.modules.parts, *b = &d->b.modules.parts;
    Map other = {.arena = &c->scratch}, own = {.arena = &c->scratch};
    for (size_t i = 1; i < b->count; i++)
        (void)map_set(&other, b->items[i]->path, b->items[i]);
    for (size_t i = 1; i < a->count; i++) {
        const Part *p = a->items[i], *q = map_get(&other, p->path);
        (void)map_set(&own, p->path, a->items[i]);
        if (q && same_class(p, q))
            d->equal[DIFF_MODULES]++;
        else
            add_named(d, DIFF_MODULES, p->path, class_of(p), class_of(q), "class");
    }
    for (size_t i = 1; i < b->count; i++)
        if (!map_get(&own, b->items[i]->path))
            add_named(d, DIFF_MODULES, b->items[i]->path, STR(""),
                      class_of(b->items[i]), "");
}

/* ---- what nodes do ------------------------------------------------------------------ */

static bool same_attr(Diff *d, const Attr *x, const Attr *y);

/* Subgraphs are the same where all in them has the same names. */
static bool same_node_in_graph(Diff *d, const Node *x, const Node *y) {
    if (!str_eq(x->op_type, y->op_type) || !str_eq(x->domain, y->domain) ||
        x->n_in != y->n_in || x->n_out != y->n_out || x->n_attrs != y->n_attrs)
        return false;
    for (uint32_t i = 0; i < x->n_in; i++)
        if (!x->in[i] != !y->in[i] ||
            (x->in[i] && !str_eq(x->in[i]->name, y->in[i]->name)))
            return false;
    for (uint32_t i = 0; i < x->n_out; i++)
        if (!x->out[i] != !y->out[i] ||
            (x->out[i] && !str_eq(x->out[i]->name, y->out[i]->name)))
            return false;
    for (uint32_t i = 0; i < x->n_attrs; i++)
        if (!same_attr(d, &x->attrs[i], &y->attrs[i]))
            return false;
    return true;
}

static bool same_graph(Diff *d, const Graph *x, const Graph *y) {
    bool same = x->n_nodes == y->n_nodes && x->n_outputs == y->n_outputs;
    for (size_t i = 0; same && i < x->n_nodes; i++)
        same = same_node_in_graph(d, x->nodes[i], y->nodes[i]);
    for (size_t i = 0; same && i < x->n_outputs; i++)
        same = str_eq(x->outputs[i]->name, y->outputs[i]->name);
    return same;
}

/* Depth is bounded by GRAPH_DEPTH_MAX. */
static bool same_attr(Diff *d, const Attr *x, const Attr *y) {
    if (!str_eq(x->name, y->name) || x->type != y->type)
        return false;
    if (x->graph_count || y->graph_count) {
        bool same = x->graph_count == y->graph_count;
        for (size_t i = 0; same && i < x->graph_count; i++)
            same = same_graph(d, x->graphs[i], y->graphs[i]);
        return same;
    }
    if (x->type == ATTR_STRINGS)
        return same_strings(x->strings.items, x->strings.count, y->strings.items,
                            y->strings.count);
    if (x->type == ATTR_TYPE && x->tp && y->tp)
        return str_eq(type_text(d, x->tp), type_text(d, y->tp));
    if (x->type == ATTR_SPARSE)
        return same_sparse(x->sparse, y->sparse);
    if (x->type == ATTR_TENSOR)
        return same_tensor_or_strings(x->t, y->t);
    return attr_same(x, y);
}

static const Attr *attr_named(const Node *n, Str name) {
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (str_eq(n->attrs[i].name, name))
            return &n->attrs[i];
    return NULL;
}

/* What an operator does without the attribute, too. */
static bool is_default(const Node *n, const Attr *have) {
    const OpAttr *a = n->op ? op_attr(n->op, have->name) : NULL;
    if (!a || !a->has_default || a->type != have->type)
        return false;
    Attr usual = a->type == ATTR_INT     ? attr_of_int(have->name, a->i)
                 : a->type == ATTR_FLOAT ? attr_of_float(have->name, a->f)
                                         : attr_of_string(have->name, str_from(a->s));
    return attr_same(&usual, have);
}

static bool same_attrs(Diff *d, const Node *x, const Attr *a, const Attr *b) {
    if (a && b)
        return same_attr(d, a, b);
    return is_default(x, a ? a : b);
}

static bool same_output(Diff *d, const Value *x, const Value *y) {
    return x && y ? str_eq(type_text(d, &x->type), type_text(d, &y->type)) : x == y;
}

/* Not of parameters, which are matched by their names, nor of what they are wired to. */
static uint64_t hash_node(Diff *d, const Node *n) {
    uint64_t h = hash_mix(str_hash(n->op_type), str_hash(report_domain(n->domain)));
    h = hash_mix(h, hash_mix(n->n_in, n->n_out));
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (!is_default(n, &n->attrs[i]))
            h = hash_mix(h, str_hash(n->attrs[i].name) ^ str_hash(n->attrs[i].s) ^
                                (uint64_t)n->attrs[i].i);
    for (uint32_t i = 0; i < n->n_out; i++)
        h = hash_mix(h, n->out[i] ? str_hash(type_text(d, &n->out[i]->type)) : 0);
    for (uint32_t i = 0; i < n->n_in; i++)
        h = hash_mix(h, n->in[i] && n->in[i]->kind == VALUE_PARAM
                            ? str_hash(n->in[i]->name)
                            : 0);
    return h;
}

/* ---- matching ----------------------------------------------------------------------- */

/* Places of the nodes of one module on one side. */
typedef struct Places {
    const uint32_t *items;
    size_t n;
} Places;

static void pair(Compare *c, uint32_t x, uint32_t y) {
    c->a.partner[x] = y + 1;
    c->b.partner[y] = x + 1;
}

static bool same_op(const Compare *c, uint32_t x, uint32_t y) {
    const Node *a = c->a.r->m->graph->nodes[x], *b = c->b.r->m->graph->nodes[y];
    return str_eq(a->op_type, b->op_type) &&
           str_eq(report_domain(a->domain), report_domain(b->domain));
}

static bool alike(const Compare *c, uint32_t x, uint32_t y) {
    return c->a.hash[x] == c->b.hash[y] && same_op(c, x, y);
}

/* The longest common subsequence, by the table of the lengths of those that follow. */
static bool match_by_table(Compare *c, Places a, Places b) {
    size_t wide = b.n + 1;
    if (a.n >= UINT16_MAX || b.n >= UINT16_MAX || (a.n + 1) * wide > TABLE_MAX)
        return false;
    Arena arena;
    arena_scratch_begin(&arena, &c->scratch);
    uint16_t *table = ARENA_ARRAY(&arena, (a.n + 1) * wide, uint16_t);
    for (size_t i = table ? a.n : 0; i-- > 0;)
        for (size_t k = b.n; k-- > 0;) {
            uint16_t *at = &table[i * wide + k];
            if (alike(c, a.items[i], b.items[k]))
                *at = (uint16_t)(at[wide + 1] + 1);
            else
                *at = at[1] > at[wide] ? at[1] : at[wide];
        }
    for (size_t i = 0, k = 0; table && i < a.n && k < b.n;) {
        const uint16_t *at = &table[i * wide + k];
        if (alike(c, a.items[i], b.items[k]))
            pair(c, a.items[i++], b.items[k++]);
        else if (at[wide] >= at[1])
            i++;
        else
            k++;
    }
    arena_scratch_end(&arena, &c->scratch);
    return true;
}

/* Steps over as few nodes of one side as lead to the next two that are alike; false where
 * none are near. */
static bool find_near(const Compare *c, Places a, Places b, size_t *i, size_t *k) {
    for (size_t skip = 0; skip < AHEAD_MAX; skip++) {
        bool in_b = *k + skip < b.n && alike(c, a.items[*i], b.items[*k + skip]);
        if (in_b || (*i + skip < a.n && alike(c, a.items[*i + skip], b.items[*k]))) {
            *(in_b ? k : i) += skip;
            return true;
        }
    }
    return false;
}

static void match_ahead(Compare *c, Places a, Places b) {
    for (size_t i = 0, k = 0; i < a.n && k < b.n; i++, k++)
        if (find_near(c, a, b, &i, &k))
            pair(c, a.items[i], b.items[k]);
}

/* Between two matches, nodes of one operator are partners that have changed. */
static void match_changed(Compare *c, Places a, Places b) {
    size_t k = 0;
    for (size_t i = 0; i < a.n; i++) {
        uint32_t x = a.items[i];
        if (c->a.partner[x]) {
            while (k < b.n && b.items[k] != c->a.partner[x] - 1)
                k++;
            k++;
            continue;
        }
        for (size_t far = k; far < b.n && far < k + AHEAD_MAX; far++) {
            if (c->b.partner[b.items[far]])
                break;
            if (!same_op(c, x, b.items[far]))
                continue;
            pair(c, x, b.items[far]);
            k = far + 1;
            break;
        }
    }
}

static void match_places(Compare *c, Places a, Places b) {
    Places left = a, right = b;
    while (left.n && right.n && alike(c, left.items[0], right.items[0])) {
        pair(c, *left.items++, *right.items++);
        left.n--, right.n--;
    }
    while (left.n && right.n &&
           alike(c, left.items[left.n - 1], right.items[right.n - 1])) {
        left.n--, right.n--;
        pair(c, left.items[left.n], right.items[right.n]);
    }
    if (!match_by_table(c, left, right))
        match_ahead(c, left, right);
    match_changed(c, left, right);
}

/* The nodes of a side by module: lists of their places, by part->begin. */
static Places *places_of(Compare *c, const Report *r) {
    const Graph *g = r->m->graph;
    size_t parts = r->modules.parts.count;
    Places *lists = ARENA_ARRAY(&c->scratch, parts + 1, Places);
    uint32_t *room = ARENA_ARRAY(&c->scratch, g->n_nodes + 1, uint32_t);
    if (!lists || !room)
        return NULL;
    for (size_t i = 0; i < g->n_nodes; i++)
        lists[g->nodes[i]->part ? g->nodes[i]->part->begin : 0].n++;
    for (size_t i = 0, at = 0; i < parts; at += lists[i].n, lists[i++].n = 0)
        lists[i].items = room + at;
    for (size_t i = 0; i < g->n_nodes; i++) {
        Places *own = &lists[g->nodes[i]->part ? g->nodes[i]->part->begin : 0];
        room[(size_t)(own->items - room) + own->n++] = (uint32_t)i;
    }
    return lists;
}

static void match_nodes(Compare *c) {
    const Parts *a = &c->d->a.modules.parts, *b = &c->d->b.modules.parts;
    Places *left = places_of(c, &c->d->a), *right = places_of(c, &c->d->b);
    Map other = {.arena = &c->scratch};
    for (size_t i = 0; i < b->count; i++)
        (void)map_set(&other, b->items[i]->path, b->items[i]);
    for (size_t i = 0; left && right && i < a->count; i++) {
        const Part *q = map_get(&other, a->items[i]->path);
        if (q)
            match_places(c, left[i], right[q->begin]);
    }
}

/* ---- differences of nodes ----------------------------------------------------------- */

static bool same_constant(const Value *x, const Value *y) {
    const Known *k = x->known ? x->known : x->splat,
                *l = y->known ? y->known : y->splat;
    if (x->tensor && y->tensor)
        return same_tensor_or_strings(x->tensor, y->tensor);
    if (!k || !l || k->n != l->n || !k->ints != !l->ints)
        return k == l;
    for (size_t i = 0; i < k->n; i++)
        if (k->ints ? !dim_eq(k->ints[i], l->ints[i])
                    : memcmp(&k->floats[i], &l->floats[i], sizeof *k->floats) != 0)
            return false;
    return true;
}

/* Both come from the same place. */
static bool same_input(const Compare *c, const Value *x, const Value *y) {
    if (!x || !y || x->kind != y->kind)
        return x == y;
    if (x->kind == VALUE_CONST)
        return same_constant(x, y);
    if (x->kind != VALUE_NODE)
        return str_eq(x->name, y->name);
    uint32_t from = x->def->order, to = y->def->order;
    return x->out_index == y->out_index && c->a.partner[from] == to + 1;
}

static void put_what(Text *t, Str name) {
    text_lit(t, t->n ? ", " : "");
    text_str(t, name);
}

/* The names of what differs between partners; empty: nothing. */
static Str differences(const Compare *c, const Node *x, const Node *y) {
    Text t = {.arena = c->d->arena};
    for (uint32_t i = 0; i < x->n_attrs; i++) {
        if (!same_attrs(c->d, x, &x->attrs[i], attr_named(y, x->attrs[i].name)))
            put_what(&t, x->attrs[i].name);
    }
    for (uint32_t i = 0; i < y->n_attrs; i++)
        if (!attr_named(x, y->attrs[i].name) &&
            !same_attrs(c->d, y, NULL, &y->attrs[i]))
            put_what(&t, y->attrs[i].name);
    bool inputs = x->n_in == y->n_in, outputs = x->n_out == y->n_out;
    for (uint32_t i = 0; inputs && i < x->n_in; i++)
        inputs = same_input(c, x->in[i], y->in[i]);
    for (uint32_t i = 0; outputs && i < x->n_out; i++)
        outputs = same_output(c->d, x->out[i], y->out[i]);
    if (!inputs)
        put_what(&t, STR("inputs"));
    if (!outputs)
        put_what(&t, STR("output type"));
    return t.n ? text_view(&t) : STR("");
}

/* "Conv float32[1,64,56,56]" */
static Str node_text(Diff *d, const Node *n) {
    Text t = {.arena = d->arena};
    report_operator(&t, report_domain(n->domain), n->op_type);
    if (n->n_out && n->out[0]) {
        text_char(&t, ' ');
        type_print(&t, &n->out[0]->type);
    }
    return text_view(&t);
}

static void add_node(Diff *d, const Node *x, const Node *y, Str what) {
    const Node *n = x ? x : y;
    add(d, (Difference){.part = DIFF_NODES,
                        .kind = !x   ? DIFF_ADDED
                                : !y ? DIFF_REMOVED
                                     : DIFF_CHANGED,
                        .name = n->name.n               ? n->name
                                : n->n_out && n->out[0] ? n->out[0]->name
                                                        : STR(""),
                        .module = n->part ? n->part->path : STR(""),
                        .before = x ? node_text(d, x) : STR(""),
                        .after = y ? node_text(d, y) : STR(""),
                        .what = what,
                        .a = x ? x->order : DIFF_NONE,
                        .b = y ? y->order : DIFF_NONE});
}

/* In the order of the graphs: what is new comes behind what it follows. */
static void add_nodes(Compare *c) {
    const Graph *a = c->d->a.m->graph, *b = c->d->b.m->graph;
    size_t k = 0;
    for (size_t i = 0; i < a->n_nodes; i++) {
        uint32_t partner = c->a.partner[i];
        for (; partner && k < partner - 1; k++)
            if (!c->b.partner[k])
                add_node(c->d, NULL, b->nodes[k], STR(""));
        const Node *y = partner ? b->nodes[partner - 1] : NULL;
        Str what = y ? differences(c, a->nodes[i], y) : STR("");
        if (!y || what.n)
            add_node(c->d, a->nodes[i], y, what);
        else
            c->d->equal[DIFF_NODES]++;
    }
    for (; k < b->n_nodes; k++)
        if (!c->b.partner[k])
            add_node(c->d, NULL, b->nodes[k], STR(""));
}

static void compare_nodes(Compare *c) {
    Side *sides[] = {&c->a, &c->b};
    const Report *reports[] = {&c->d->a, &c->d->b};
    for (int s = 0; s < 2; s++) {
        const Graph *g = reports[s]->m->graph;
        sides[s]->r = reports[s];
        sides[s]->partner = ARENA_ARRAY(&c->scratch, g->n_nodes + 1, uint32_t);
        sides[s]->hash = ARENA_ARRAY(&c->scratch, g->n_nodes + 1, uint64_t);
        if (c->scratch.failed)
            return;
        for (size_t i = 0; i < g->n_nodes; i++) {
            g->nodes[i]->order = (uint32_t)i;
            sides[s]->hash[i] = hash_node(c->d, g->nodes[i]);
        }
    }
    match_nodes(c);
    if (!c->scratch.failed)
        add_nodes(c);
}

void diff_make(Diff *d, Model *a, Model *b) {
    *d = (Diff){.arena = a->arena};
    report_make(&d->a, a);
    report_make(&d->b, b);
    if (!d->a.modules.items || !d->b.modules.items)
        return;
    Compare c = {.d = d};
    arena_scratch_begin(&c.scratch, a->arena);
    compare_opsets(d);
    compare_ends(&c, DIFF_INPUTS);
    compare_modules(&c);
    compare_nodes(&c);
    if (!c.scratch.failed)
        compare_ends(&c, DIFF_OUTPUTS);
    compare_params(&c);
    arena_scratch_end(&c.scratch, a->arena);
}
