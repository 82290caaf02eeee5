/* Builds the IR of a parsed model.  Names become pointers here and are not looked up
 * again.  Local functions are inlined where they are called: a Frame binds a function's
 * attributes, opsets and value prefix while its nodes are imported.  Where a node reads
 * what is not there yet, all is imported once more, in another order.
 * Source: ONNX IR specification, "Graphs", "Names Within a Graph", "Functions". */
#include "onnx/import.h"
#include "onnx/module_path.h"
#include "onnx/order.h"
#include "onnx/signature.h"

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
    Origins origins;
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
    const Opsets *sets = frame ? &frame->function->opsets : &im->pb->opsets;
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
    diag_add(
        im->m->diags, OX0203, node_where(im->m, frame->call),
        STR("inline the functions first, with onnx.inliner, if this is meant"),
        "the local functions of a file of %llu bytes expand to more than %zu nodes "
        "and values, in \"%.*s\"",
        (unsigned long long)im->pb->size, im->copies_max, (int)call->op_type.n,
        call->op_type.p);
}

/* ---- types ------------------------------------------------------------------------- */

/* A named dimension is read at its first graph input. */
static Dim dim_from_pb(Model *m, const PbDim *pb, Value *v, int axis) {
    if (pb->kind == PB_DIM_VALUE && pb->value >= 0)
        return dim_int(pb->value);
    if (pb->kind == PB_DIM_PARAM && pb->param.n)
        return named_dim(m, pb->param, v, axis);
    return value_symbol(m, v, axis);
}

static Type make_type(Model *m, const PbType *pb, Value *v, bool inside);

static const Type *elem_from_pb(Model *m, const PbType *pb, Value *v) {
    Type *t = ARENA_NEW(m->arena, Type);
    if (t && pb)
        *t = make_type(m, pb, v, true);
    return t;
}

/* `inside` a sequence or optional no named dimension can be read. */
static Type make_type(Model *m, const PbType *pb, Value *v, bool inside) {
    Type t = {.rank = -1};
    switch (pb->kind) {
    case PB_TYPE_SEQUENCE:
        t.kind = TYPE_SEQUENCE;
        t.elem = elem_from_pb(m, pb->elem, v);
        return t;
    case PB_TYPE_OPTIONAL:
        t.kind = TYPE_OPTIONAL;
        t.elem = elem_from_pb(m, pb->elem, v);
        return t;
    case PB_TYPE_MAP:
        t.kind = TYPE_MAP;
        return t;
    case PB_TYPE_NONE:
    case PB_TYPE_TENSOR:
    case PB_TYPE_SPARSE:
        break;
    }
    t.dtype = pb->dtype;
    if (!pb->has_shape || pb->rank > OX_MAX_RANK)
        return t;
    Dim *dims = ARENA_ARRAY(m->arena, pb->rank, Dim);
    if (pb->rank && !dims)
        return t;
    for (size_t i = 0; i < pb->rank; i++) {
        bool named = inside && pb->dims[i].kind == PB_DIM_PARAM;
        dims[i] = named ? value_symbol(m, v, (int)i)
                        : dim_from_pb(m, &pb->dims[i], v, (int)i);
    }
    t.rank = (int)pb->rank;
    t.dims = dims;
    return t;
}

/* Unknown dimensions become symbols of `v`, or of nothing where v is NULL. */
static Type type_from_pb(Model *m, const PbType *pb, Value *v) {
    return make_type(m, pb, v, false);
}

/* ---- attributes -------------------------------------------------------------------- */

static Graph *import_graph(Import *im, const PbGraph *pb, Node *owner, const Scope *up,
                           const Frame *frame, int depth);

/* What the subgraphs of an attribute are imported with. */
typedef struct Around {
    Node *owner;
    const Scope *names;
    const Frame *frame;
    int depth;
} Around;

static void import_subgraphs(Import *im, Attr *a, const PbAttr *pb, const Around *at) {
    bool list = pb->type == ATTR_GRAPHS;
    size_t count = list ? pb->graphs.count : 1;
    a->graphs = ARENA_ARRAY(im->m->arena, count, Graph *);
    if (!a->graphs)
        return;
    im->m->has_subgraphs = true;
    for (size_t i = 0; i < count; i++) {
        const PbGraph *g = list ? &pb->graphs.items[i] : pb->g;
        a->graphs[i] =
            import_graph(im, g, at->owner, at->names, at->frame, at->depth + 1);
        if (!a->graphs[i])
            return;
    }
    a->graph_count = count;
}

static const Sparse *import_sparse(Import *im, const PbSparse *pb) {
    Sparse *s = ARENA_NEW(im->m->arena, Sparse);
    if (s)
        *s = (Sparse){&pb->values.t, &pb->indices.t, pb->rank, pb->dims};
    return s;
}

static const Type *import_type(Import *im, const PbType *pb) {
    Type *t = ARENA_NEW(im->m->arena, Type);
    if (t)
        *t = type_from_pb(im->m, pb, NULL);
    return t;
}

static void import_attr(Import *im, Attr *a, const PbAttr *pb, const Around *at) {
    *a = (Attr){.name = pb->name, .type = pb->type};
    switch (pb->type) {
    case ATTR_FLOAT:
        a->f = pb->f;
        break;
    case ATTR_INT:
        a->i = pb->i;
        break;
    case ATTR_STRING:
        a->s = pb->s;
        break;
    case ATTR_FLOATS:
        a->floats.items = pb->floats.items;
        a->floats.count = pb->floats.count;
        break;
    case ATTR_INTS:
        a->ints.items = pb->ints.items;
        a->ints.count = pb->ints.count;
        break;
    case ATTR_STRINGS:
        a->strings.items = pb->strings.items;
        a->strings.count = pb->strings.count;
        break;
    case ATTR_TENSOR:
        a->t = &pb->t->t;
        break;
    case ATTR_SPARSE:
        a->sparse = import_sparse(im, pb->sparse);
        break;
    case ATTR_TYPE:
        a->tp = import_type(im, pb->tp);
        break;
    case ATTR_GRAPH:
    case ATTR_GRAPHS:
        import_subgraphs(im, a, pb, at);
        break;
    default:
        break;
    }
}

/* Sets what a reference to an attribute of the enclosing function stands for, under the
 * name that the inner node gives it; false: the caller leaves it out, so the node has no
 * such attribute. */
static bool import_bound(Import *im, Attr *a, const PbAttr *pb, const Around *at) {
    const Frame *frame = at->frame;
    count_copies(im, frame, frame ? frame->call->n_attrs / COPIED_TEXT : 0);
    for (uint32_t i = 0; frame && i < frame->call->n_attrs; i++)
        if (str_eq(frame->call->attrs[i].name, pb->ref)) {
            *a = frame->call->attrs[i];
            a->name = pb->name;
            return true;
        }
    for (size_t i = 0; frame && i < frame->function->attr_defaults.count; i++) {
        const PbAttr *value = &frame->function->attr_defaults.items[i];
        if (!value->ref.n && str_eq(value->name, pb->ref)) {
            import_attr(im, a, value, at);
            a->name = pb->name;
            return true;
        }
    }
    if (!frame)
        diag_add(im->m->diags, OX0202, (Str){0}, (Str){0},
                 "attribute reference \"%.*s\" outside a function", (int)pb->ref.n,
                 pb->ref.p);
    return false;
}

static void import_attrs(Import *im, Node *n, const PbNode *pb, const Around *at) {
    n->attrs = ARENA_ARRAY(im->m->arena, pb->attrs.count, Attr);
    if (!n->attrs)
        return;
    for (size_t i = 0; i < pb->attrs.count && ok(im); i++) {
        const PbAttr *attr = &pb->attrs.items[i];
        Attr *a = &n->attrs[n->n_attrs];
        if (!attr->ref.n)
            import_attr(im, a, attr, at);
        n->n_attrs += !attr->ref.n || import_bound(im, a, attr, at);
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

static Node *import_node(Import *im, const PbNode *pb, Graph *g, const Frame *frame) {
    Arena *arena = im->m->arena;
    Node *n = ARENA_NEW(arena, Node);
    if (!n)
        return NULL;
    size_t links = pb->inputs.count + pb->outputs.count + pb->attrs.count;
    count_copies(im, frame, 1 + links / 4);
    n->name = prefixed(im, frame, pb->name);
    Provenance from = origin_of(&im->origins, pb, n->name);
    n->origin = from.origin;
    n->folds_norm = from.folds_norm;
    n->op_type = pb->op_type;
    n->domain = domain_of(pb->domain);
    n->opset = opset_of(im, frame, n->domain);
    n->graph = g;
    n->index = im->m->node_count++;
    n->inlined = frame ? frame->prefix : (Str){0};
    n->in = ARENA_ARRAY(arena, pb->inputs.count, Value *);
    n->out = ARENA_ARRAY(arena, pb->outputs.count, Value *);
    n->n_in = n->in ? (uint32_t)pb->inputs.count : 0;
    n->n_out = n->out ? (uint32_t)pb->outputs.count : 0;
    return n;
}

static void connect_inputs(Import *im, Node *n, const PbNode *pb, const Scope *s) {
    for (uint32_t i = 0; i < n->n_in; i++) {
        Str name = pb->inputs.items[i];
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

static void make_outputs(Import *im, Node *n, const PbNode *pb, Scope *s,
                         const Frame *frame) {
    for (uint32_t i = 0; i < n->n_out; i++) {
        Str name = pb->outputs.items[i];
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
static void inline_call(Import *im, const PbFunction *f, Node *call,
                        const Strs *outputs, Nodes *nodes, Scope *s, const Frame *up,
                        int depth) {
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
    for (size_t i = 0; i < f->outputs.count && i < outputs->count; i++) {
        Str name = outputs->items[i];
        Value *v = map_get(&inner.names, f->outputs.items[i]);
        if (!v && name.n && ok(im))
            graph_error(im, node_where(im->m, call), (Str){0},
                        "a function does not make its output", f->outputs.items[i]);
        if (!v || !name.n)
            continue;
        if (v->kind == VALUE_NODE && v->graph == call->graph && v->def->inlined.n)
            v->name = prefixed(im, up, name);
        if (!bind(s, name, v))
            name_twice(im, node_where(im->m, call), name);
    }
}

static void call_function(Import *im, const PbFunction *f, Node *call,
                          const Strs *outputs, Nodes *nodes, Scope *s, const Frame *up,
                          int depth) {
    if (frame_calls_itself(up, f) || depth >= GRAPH_DEPTH_MAX) {
        diag_add(im->m->diags, OX0202, node_where(im->m, call), (Str){0},
                 "function \"%.*s\" calls itself or nests deeper than %d",
                 (int)f->name.n, f->name.p, GRAPH_DEPTH_MAX);
        return;
    }
    inline_call(im, f, call, outputs, nodes, s, up, depth);
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
        Node *n = import_node(im, &items[i], g, frame);
        if (!n)
            return;
        connect_inputs(im, n, &items[i], s);
        import_attrs(im, n, &items[i], &(Around){n, s, frame, depth});
        if (!ok(im))
            return;
        /* The functions of our own operators are for other runtimes. */
        bool own = str_is(n->domain, OP_BRIDGE);
        const PbFunction *f = own ? NULL : find_function(im, &items[i]);
        if (f) {
            call_function(im, f, n, &items[i].outputs, nodes, s, frame, depth);
            continue;
        }
        make_outputs(im, n, &items[i], s, frame);
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
        import_initializer(im, &pb->initializers.items[i].t, g, s, frame);
    for (size_t i = 0; i < pb->sparse_initializers.count && ok(im); i++) {
        const Sparse *sparse = import_sparse(im, &pb->sparse_initializers.items[i]);
        const Tensor *t =
            sparse ? sparse_to_dense(im->m->arena, im->m->diags, sparse) : NULL;
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
    g->model = im->m;
    g->name = pb->name;
    g->doc = pb->doc;
    g->owner = owner;
    g->parent = owner ? owner->graph : NULL;
    Scope s = {.names = {.arena = im->m->arena}, .up = up};
    size_t n = pb->nodes.count;
    Nodes nodes = {.items = ARENA_ARRAY(im->m->arena, n, Node *)};
    nodes.cap = nodes.items ? n : 0;
    (void)map_reserve(&s.names, pb->initializers.count + pb->inputs.count + n);
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

static void read_facts(Model *m, const PbModel *pb) {
    m->facts = (Facts){.producer = pb->producer_name,
                       .producer_version = pb->producer_version,
                       .domain = pb->domain,
                       .doc = pb->doc,
                       .ir_version = pb->ir_version,
                       .model_version = pb->model_version,
                       .opsets = pb->opsets,
                       .metadata = pb->metadata};
    size_t n = pb->functions.count;
    m->facts.functions = ARENA_ARRAY(m->arena, n, LocalFunction);
    for (size_t i = 0; m->facts.functions && i < n; i++) {
        const PbFunction *f = &pb->functions.items[i];
        m->facts.functions[i] = (LocalFunction){f->domain, f->name, f->nodes.count};
        m->facts.n_functions = i + 1;
    }
}

static Model *import_model(Arena *arena, Diags *diags, const PbModel *pb, Str file,
                           bool sort, bool *early) {
    Model *m = ARENA_NEW(arena, Model);
    if (!m)
        return NULL;
    m->arena = arena;
    m->diags = diags;
    m->name = stem(file);
    m->dims.arena = arena;
    m->dim_names.arena = arena;
    Import im = {.m = m,
                 .pb = pb,
                 .functions = {.arena = arena},
                 .origins = {arena, pb, {.arena = arena}, {.arena = arena}},
                 .sort = sort,
                 .key = {.arena = arena}};
    bool huge = pb->size > (COPIES_MAX - COPIES_FREE) / COPIES_PER_BYTE;
    im.copies_max =
        huge ? COPIES_MAX : COPIES_FREE + COPIES_PER_BYTE * (size_t)pb->size;
    read_facts(m, pb);
    state_names(m, pb);
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
