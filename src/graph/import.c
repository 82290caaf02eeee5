/* Builds the IR of a parsed model.  Names become pointers here and are not looked up
 * again.  Local functions are inlined where they are called: a Frame binds a function's
 * attributes, opsets and value prefix while its nodes are imported.  Where a node reads
 * what is not there yet, all is imported once more, in another order.
 * Source: ONNX IR specification, "Graphs", "Names Within a Graph", "Functions". */
#include "graph/ir.h"
#include "graph/order.h"
#include "graph/signature.h"

/* Functions that call functions double with each level, so that a kilobyte could ask for
 * gigabytes.  A file may have FREE copies (nodes, values, and pieces of their names), and
 * PER_BYTE more for each of its bytes: repetition to that degree is in no real model. */
enum {
    COPIES_FREE = 1 << 18,
    COPIES_PER_BYTE = 4,
    COPIES_MAX = 1 << 23,
    COPIED_TEXT = 64 /* bytes of a name that count as one */
};

/* Names of one graph or function body; lookups go outwards. */
typedef struct Scope {
    Map names;
    const struct Scope *up; /* NULL for the main graph and for function bodies */
} Scope;

/* One call of a local function. */
typedef struct Frame {
    const PbFunction *function;
    const Node *call;
    const struct Frame *up;
    Str prefix; /* of the names of values and nodes made inside */
    int depth;
} Frame;

typedef struct Import {
    Model *m;
    const PbModel *pb;
    Map functions; /* "domain:name" -> PbFunction */
    Signature signature;
    bool sort;   /* look for an order of the nodes; else that of the file must do */
    bool sorted; /* it is another one, and a warning has said so */
    bool early;  /* a node reads a value that is unknown so far */
    size_t copies, copies_max; /* of what functions hold */
    Text key;
} Import;

typedef struct Nodes {
    Node **items;
    size_t count, cap;
} Nodes;

static bool ok(const Import *im) {
    return diag_status(im->m->diags) == OX_OK && !im->early;
}

static Str domain_of(Str domain) {
    return str_is(domain, "ai.onnx") ? (Str){0} : domain;
}

static Value *lookup(const Scope *s, Str name) {
    for (; s; s = s->up) {
        Value *v = map_get(&s->names, name);
        if (v)
            return v;
    }
    return NULL;
}

static void graph_error(Import *im, Str where, Str hint, const char *what, Str name) {
    diag_add(im->m->diags, OX0201, where, hint, "%s \"%.*s\"", what, (int)name.n,
             name.p);
}

/* Binds name in s; false when s has it already, see name_twice. */
static bool bind(Scope *s, Str name, Value *v) {
    bool is_new = map_get(&s->names, name) == NULL;
    map_set(&s->names, name, v);
    return is_new;
}

static void name_twice(Import *im, Str where, Str name) {
    graph_error(im, where, (Str){0}, "two values have the name", name);
}

static const PbFunction *find_function(Import *im, const PbNode *pb) {
    if (!im->functions.count)
        return NULL;
    im->key.n = 0;
    Str domain = domain_of(pb->domain);
    text_str(&im->key, domain);
    text_char(&im->key, ':');
    text_str(&im->key, pb->op_type);
    text_char(&im->key, ':');
    text_str(&im->key, pb->overload);
    return map_get(&im->functions, text_view(&im->key));
}

static void index_functions(Import *im) {
    for (size_t i = 0; i < im->pb->functions.count; i++) {
        const PbFunction *f = &im->pb->functions.items[i];
        Str d = domain_of(f->domain);
        Str key =
            arena_printf(im->m->arena, "%.*s:%.*s:%.*s", (int)d.n, d.p, (int)f->name.n,
                         f->name.p, (int)f->overload.n, f->overload.p);
        map_set(&im->functions, key, (void *)(uintptr_t)f);
    }
}

/* The version of `domain` that governs nodes of this frame; 1 when not declared, as
 * for models from before opset imports existed. */
static int64_t opset_of(const Import *im, const Frame *frame, Str domain) {
    const PbOpsets *sets = frame ? &frame->function->opsets : &im->pb->opsets;
    for (size_t i = 0; i < sets->count; i++)
        if (str_eq(domain_of(sets->items[i].domain), domain))
            return sets->items[i].version;
    return 1;
}

/* Counts what a call copies; reports when it is too much. */
static void count_copies(Import *im, const Frame *frame, size_t count) {
    if (!frame)
        return;
    bool was_fine = im->copies <= im->copies_max;
    im->copies += count;
    if (!was_fine || im->copies <= im->copies_max)
        return;
    const Node *call = frame->call;
    while (frame->up)
        frame = frame->up;
    diag_add(im->m->diags, OX0203, node_where(im->m, frame->call),
             STR("inline the functions first, with onnx.inliner, if this is meant"),
             "the local functions of a file of %zu bytes expand to more than %zu nodes "
             "and values, in \"%.*s\"",
             im->pb->size, im->copies_max, (int)call->op_type.n, call->op_type.p);
}

/* ---- attributes -------------------------------------------------------------------- */

/* What a reference to an attribute of the enclosing function stands for; NULL: the
 * caller leaves it out, so the node has no such attribute. */
static const Attr *bound_attr(Import *im, const Frame *frame, Str ref, Attr *room) {
    count_copies(im, frame, frame ? frame->call->n_attrs / COPIED_TEXT : 0);
    for (uint32_t i = 0; frame && i < frame->call->n_attrs; i++)
        if (str_eq(frame->call->attrs[i].pb->name, ref))
            return &frame->call->attrs[i];
    for (size_t i = 0; frame && i < frame->function->attr_defaults.count; i++) {
        const PbAttr *a = &frame->function->attr_defaults.items[i];
        if (str_eq(a->name, ref)) {
            *room = (Attr){.pb = a};
            return room;
        }
    }
    if (!frame)
        diag_add(im->m->diags, OX0202, (Str){0}, (Str){0},
                 "attribute reference \"%.*s\" outside a function", (int)ref.n, ref.p);
    return NULL;
}

/* A bound attribute keeps the name that the inner node gives it. */
static const PbAttr *renamed(Import *im, const PbAttr *value, Str name) {
    PbAttr *a = ARENA_NEW(im->m->arena, PbAttr);
    if (!a)
        return value;
    *a = *value;
    a->name = name;
    return a;
}

static Graph *import_graph(Import *im, const PbGraph *pb, Node *owner, const Scope *up,
                           const Frame *frame, int depth);

static void import_subgraphs(Import *im, Attr *a, Node *n, const Scope *s,
                             const Frame *frame, int depth) {
    size_t count = a->pb->type == ATTR_GRAPHS ? a->pb->graphs.count : 1;
    a->graphs = ARENA_ARRAY(im->m->arena, count, Graph *);
    if (!a->graphs)
        return;
    for (size_t i = 0; i < count; i++) {
        const PbGraph *g =
            a->pb->type == ATTR_GRAPHS ? &a->pb->graphs.items[i] : a->pb->g;
        a->graphs[i] = import_graph(im, g, n, s, frame, depth + 1);
        if (!a->graphs[i])
            return;
    }
    a->graph_count = count;
}

static void import_attrs(Import *im, Node *n, const Scope *s, const Frame *frame,
                         int depth) {
    n->attrs = ARENA_ARRAY(im->m->arena, n->pb->attrs.count, Attr);
    if (!n->attrs)
        return;
    for (size_t i = 0; i < n->pb->attrs.count && ok(im); i++) {
        const PbAttr *pb = &n->pb->attrs.items[i];
        Attr *a = &n->attrs[n->n_attrs], room;
        a->pb = pb;
        if (pb->ref.n) {
            const Attr *value = bound_attr(im, frame, pb->ref, &room);
            if (!value)
                continue;
            a->pb = renamed(im, value->pb, pb->name);
            a->graphs = value->graphs;
            a->graph_count = value->graph_count;
        }
        n->n_attrs++;
        bool has_graph =
            (a->pb->type == ATTR_GRAPH && a->pb->g) || a->pb->type == ATTR_GRAPHS;
        if (has_graph && !a->graphs)
            import_subgraphs(im, a, n, s, frame, depth);
    }
}

/* ---- nodes ------------------------------------------------------------------------- */

static Str prefixed(Import *im, const Frame *frame, Str name) {
    if (!frame || !name.n)
        return name;
    count_copies(im, frame, 1 + (frame->prefix.n + name.n) / COPIED_TEXT);
    return arena_printf(im->m->arena, "%.*s/%.*s", (int)frame->prefix.n,
                        frame->prefix.p, (int)name.n, name.p);
}

static Node *node_new(Import *im, const PbNode *pb, Graph *g, const Frame *frame) {
    Arena *arena = im->m->arena;
    Node *n = ARENA_NEW(arena, Node);
    if (!n)
        return NULL;
    size_t links = pb->inputs.count + pb->outputs.count + pb->attrs.count;
    count_copies(im, frame, 1 + links / 4);
    n->pb = pb;
    n->name = prefixed(im, frame, pb->name);
    n->op_type = pb->op_type;
    n->domain = domain_of(pb->domain);
    n->opset = opset_of(im, frame, n->domain);
    n->graph = g;
    n->index = im->m->node_count++;
    n->scope = frame ? frame->prefix : (Str){0};
    n->in = ARENA_ARRAY(arena, pb->inputs.count, Value *);
    n->out = ARENA_ARRAY(arena, pb->outputs.count, Value *);
    n->n_in = n->in ? (uint32_t)pb->inputs.count : 0;
    n->n_out = n->out ? (uint32_t)pb->outputs.count : 0;
    return n;
}

static void connect_inputs(Import *im, Node *n, const Scope *s) {
    for (uint32_t i = 0; i < n->n_in; i++) {
        Str name = n->pb->inputs.items[i];
        if (!name.n)
            continue;
        n->in[i] = lookup(s, name);
        if (!n->in[i] && im->sort)
            graph_error(im, node_where(im->m, n),
                        STR("every input must be made by a node, an input or an "
                            "initializer"),
                        "a node reads an unknown value", name);
        im->early |= !n->in[i] && !im->sort;
    }
}

static void make_outputs(Import *im, Node *n, Scope *s, const Frame *frame) {
    for (uint32_t i = 0; i < n->n_out; i++) {
        Str name = n->pb->outputs.items[i];
        if (!name.n)
            continue;
        Value *v = value_new(im->m, n->graph, VALUE_NODE, prefixed(im, frame, name));
        if (!v)
            return;
        v->def = n;
        v->out_index = i;
        n->out[i] = v;
        if (!bind(s, name, v))
            name_twice(im, node_where(im->m, n), name);
    }
}

static void import_nodes(Import *im, const PbNode *items, size_t count, Graph *g,
                         Nodes *nodes, Scope *s, const Frame *frame, int depth);

static bool frame_calls_itself(const Frame *frame, const PbFunction *f) {
    for (; frame; frame = frame->up)
        if (frame->function == f)
            return true;
    return false;
}

/* Inputs of the function are the values of the call; outputs that the body makes take
 * the caller's names. */
static void inline_call(Import *im, const PbFunction *f, Node *call, Nodes *nodes,
                        Scope *s, const Frame *up, int depth) {
    Frame frame = {f, call, up, call->name, depth + 1};
    if (!frame.prefix.n)
        frame.prefix = arena_printf(im->m->arena, "%.*s_%u", (int)f->name.n, f->name.p,
                                    call->index);
    count_copies(im, &frame, frame.prefix.n / COPIED_TEXT);
    Scope inner = {.names = {.arena = im->m->arena}};
    for (size_t i = 0; i < f->inputs.count && i < call->n_in; i++)
        if (call->in[i] && !bind(&inner, f->inputs.items[i], call->in[i]))
            name_twice(im, (Str){0}, f->inputs.items[i]);
    import_nodes(im, f->nodes.items, f->nodes.count, call->graph, nodes, &inner, &frame,
                 depth + 1);
    for (size_t i = 0; i < f->outputs.count && i < call->pb->outputs.count; i++) {
        Str name = call->pb->outputs.items[i];
        Value *v = map_get(&inner.names, f->outputs.items[i]);
        if (!v && name.n && ok(im))
            graph_error(im, node_where(im->m, call), (Str){0},
                        "a function does not make its output", f->outputs.items[i]);
        if (!v || !name.n)
            continue;
        if (v->kind == VALUE_NODE && v->graph == call->graph && v->def->scope.n)
            v->name = prefixed(im, up, name);
        if (!bind(s, name, v))
            name_twice(im, node_where(im->m, call), name);
    }
}

static void call_function(Import *im, const PbFunction *f, Node *call, Nodes *nodes,
                          Scope *s, const Frame *up, int depth) {
    if (frame_calls_itself(up, f) || depth >= GRAPH_DEPTH_MAX) {
        diag_add(im->m->diags, OX0202, node_where(im->m, call), (Str){0},
                 "function \"%.*s\" calls itself or nests deeper than %d",
                 (int)f->name.n, f->name.p, GRAPH_DEPTH_MAX);
        return;
    }
    inline_call(im, f, call, nodes, s, up, depth);
}

/* Positions of the nodes in the order in which they are imported; NULL: that of the file,
 * or an error. */
static const size_t *find_order(Import *im, const PbNode *items, size_t count) {
    if (!im->sort || !count)
        return NULL;
    NodeOrder order = order_nodes(im->m->arena, items, count);
    if (order.cycle.n)
        diag_add(im->m->diags, OX0201, (Str){0},
                 STR("what repeats is written with Loop or Scan"),
                 "nodes read each other's values in a circle: %.*s", (int)order.cycle.n,
                 order.cycle.p);
    if (order.at && order.early < count && !im->sorted) {
        const PbNode *n = &items[order.early];
        diag_add(im->m->diags, OX0407,
                 arena_printf(im->m->arena, "node \"%.*s\" (%.*s)", (int)n->name.n,
                              n->name.p, (int)n->op_type.n, n->op_type.p),
                 (Str){0}, "a node reads a value that a later one makes");
        im->sorted = true;
    }
    return order.at;
}

static void import_nodes(Import *im, const PbNode *items, size_t count, Graph *g,
                         Nodes *nodes, Scope *s, const Frame *frame, int depth) {
    const size_t *order = find_order(im, items, count);
    for (size_t k = 0; k < count && ok(im); k++) {
        size_t i = order ? order[k] : k;
        Node *n = node_new(im, &items[i], g, frame);
        if (!n)
            return;
        connect_inputs(im, n, s);
        import_attrs(im, n, s, frame, depth);
        if (!ok(im))
            return;
        /* The functions of our own operators are for other runtimes. */
        bool own = str_is(n->domain, OP_BRIDGE);
        const PbFunction *f = own ? NULL : find_function(im, &items[i]);
        if (f) {
            call_function(im, f, n, nodes, s, frame, depth);
            continue;
        }
        make_outputs(im, n, s, frame);
        if (!ARENA_PUSH(im->m->arena, nodes, n))
            return;
    }
}

/* ---- graphs ------------------------------------------------------------------------ */

static void import_initializer(Import *im, const Tensor *t, Graph *g, Scope *s,
                               const Frame *frame) {
    if (t->rank > OX_MAX_RANK) {
        graph_error(im, (Str){0}, (Str){0}, "more than 32 dimensions in tensor",
                    t->name);
        return;
    }
    Value *v = value_new(im->m, g, VALUE_PARAM, prefixed(im, frame, t->name));
    bool computed = !frame && !g->owner && signature_lacks(&im->signature, t->name);
    bool created = computed && signature_is_created(t->name);
    if (!v || !value_set_tensor(im->m, v, t, created))
        return;
    v->generated_name |= computed;
    v->is_buffer = created;
    if (!bind(s, t->name, v))
        name_twice(im, STR("initializer"), t->name);
}

static void import_initializers(Import *im, const PbGraph *pb, Graph *g, Scope *s,
                                const Frame *frame) {
    for (size_t i = 0; i < pb->initializers.count && ok(im); i++)
        import_initializer(im, &pb->initializers.items[i], g, s, frame);
    for (size_t i = 0; i < pb->sparse_initializers.count && ok(im); i++) {
        const PbSparse *sparse = &pb->sparse_initializers.items[i];
        const Tensor *t = sparse_to_dense(im->m->arena, im->m->diags, sparse);
        if (t)
            import_initializer(im, t, g, s, frame);
    }
}

/* An input that has an initializer is a parameter with a default, not an input. */
static void import_inputs(Import *im, const PbGraph *pb, Graph *g, Scope *s,
                          const Frame *frame) {
    g->inputs = ARENA_ARRAY(im->m->arena, pb->inputs.count, Value *);
    for (size_t i = 0; i < pb->inputs.count && g->inputs && ok(im); i++) {
        const PbValue *in = &pb->inputs.items[i];
        const Value *v0 = map_get(&s->names, in->name);
        if (v0 && v0->kind != VALUE_INPUT)
            continue;
        Value *v = value_new(im->m, g, VALUE_INPUT, prefixed(im, frame, in->name));
        if (!v)
            return;
        v->type = type_from_pb(im->m, &in->type, v);
        if (!bind(s, in->name, v))
            name_twice(im, STR("graph input"), in->name);
        g->inputs[g->n_inputs++] = v;
    }
}

static void import_outputs(Import *im, const PbGraph *pb, Graph *g, const Scope *s) {
    Arena *arena = im->m->arena;
    g->outputs = ARENA_ARRAY(arena, pb->outputs.count, Value *);
    g->output_names = ARENA_ARRAY(arena, pb->outputs.count, Str);
    if (!g->outputs || !g->output_names)
        return;
    for (size_t i = 0; i < pb->outputs.count; i++) {
        Str name = pb->outputs.items[i].name;
        Value *v = lookup(s, name);
        if (!v) {
            graph_error(im, STR("graph output"), (Str){0}, "nothing makes the output",
                        name);
            return;
        }
        g->outputs[i] = v;
        g->output_names[i] = name;
        g->n_outputs = i + 1;
    }
}

/* torch.export says which buffers a module computes and keeps out of its state_dict. */
static bool is_not_persistent(const PbValue *info) {
    static const char key[] = "pkg.torch.export.graph_signature.InputSpec.persistent";
    for (size_t i = 0; i < info->metadata.count; i++)
        if (str_is(info->metadata.items[i].key, key))
            return str_is(info->metadata.items[i].value, "False");
    return false;
}

static void declare(Import *im, const PbValues *infos, const Scope *s) {
    for (size_t i = 0; i < infos->count; i++) {
        Value *v = map_get(&s->names, infos->items[i].name);
        if (v && v->kind == VALUE_PARAM)
            v->is_buffer |= is_not_persistent(&infos->items[i]);
        if (!v || v->declared || v->kind != VALUE_NODE)
            continue;
        Type *t = ARENA_NEW(im->m->arena, Type);
        if (!t)
            return;
        *t = type_from_pb(im->m, &infos->items[i].type, v);
        v->declared = t;
    }
}

static Graph *import_graph(Import *im, const PbGraph *pb, Node *owner, const Scope *up,
                           const Frame *frame, int depth) {
    if (depth >= GRAPH_DEPTH_MAX) {
        diag_add(im->m->diags, OX0104, (Str){0}, (Str){0},
                 "subgraphs nest deeper than %d", GRAPH_DEPTH_MAX);
        return NULL;
    }
    Graph *g = ARENA_NEW(im->m->arena, Graph);
    if (!g)
        return NULL;
    g->name = pb->name;
    g->doc = pb->doc;
    g->owner = owner;
    g->parent = owner ? owner->graph : NULL;
    Scope s = {.names = {.arena = im->m->arena}, .up = up};
    Nodes nodes = {0};
    import_initializers(im, pb, g, &s, frame);
    import_inputs(im, pb, g, &s, frame);
    import_nodes(im, pb->nodes.items, pb->nodes.count, g, &nodes, &s, frame, depth);
    g->nodes = nodes.items;
    g->n_nodes = nodes.count;
    if (ok(im))
        import_outputs(im, pb, g, &s);
    declare(im, &pb->value_info, &s);
    declare(im, &pb->outputs, &s);
    return g;
}

/* "path/to/resnet18.onnx" -> "resnet18" */
static Str stem(Str file) {
    Str base = str_after_last(file, '/');
    if (str_ends(base, STR(".onnx")))
        base.n -= 5;
    return base.n ? base : STR("model");
}

static Model *import_model(Arena *arena, Diags *diags, const PbModel *pb, Str file,
                           bool sort, bool *early) {
    Model *m = ARENA_NEW(arena, Model);
    if (!m)
        return NULL;
    m->arena = arena;
    m->diags = diags;
    m->pb = pb;
    m->name = stem(file);
    m->dims.arena = arena;
    m->dim_names.arena = arena;
    Import im = {.m = m,
                 .pb = pb,
                 .functions = {.arena = arena},
                 .sort = sort,
                 .key = {.arena = arena}};
    bool huge = pb->size > (COPIES_MAX - COPIES_FREE) / COPIES_PER_BYTE;
    im.copies_max = huge ? COPIES_MAX : COPIES_FREE + COPIES_PER_BYTE * pb->size;
    im.signature = signature_of(arena, &pb->graph);
    index_functions(&im);
    m->graph = import_graph(&im, &pb->graph, NULL, NULL, NULL, 0);
    *early = im.early;
    return m->graph ? m : NULL;
}

Model *graph_import(Arena *arena, Diags *diags, const PbModel *pb, Str file) {
    bool early = false;
    Model *m = import_model(arena, diags, pb, file, false, &early);
    return early ? import_model(arena, diags, pb, file, true, &early) : m;
}
