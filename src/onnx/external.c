/* Gives tensors with external data their bytes, wherever in the model they are:
 * initializers, attributes, subgraphs and functions.  Each file is opened once; one
 * that cannot be opened is reported once.  Recursion is bounded by PB_DEPTH_MAX, which
 * parsing has checked.
 * Source: onnx.proto, TensorProto.external_data. */
#include "onnx/decode.h"

typedef struct Opened {
    Source *source; /* NULL: could not be opened */
} Opened;

typedef struct Resolver {
    Arena *arena;
    Diags *diags;
    OnnxOpen open;
    void *user;
    Map opened; /* location -> Opened */
} Resolver;

static Opened *open_once(Resolver *r, Str location) {
    Opened *o = map_get(&r->opened, location);
    if (o)
        return o;
    o = ARENA_NEW(r->arena, Opened);
    if (!o || !map_set(&r->opened, location, o))
        return NULL;
    o->source = r->open(r->user, r->diags, location);
    return o;
}

static void fail(Resolver *r, const PbTensor *t, const char *problem) {
    Str location = quoted_name(r->arena, t->location);
    diag_add(r->diags, OX0005, tensor_where(r->arena, &t->t), STR(""),
             "external data %s %s", location.p, problem);
}

static void resolve_tensor(Resolver *r, PbTensor *pb) {
    Tensor *t = &pb->t;
    uint64_t need;
    if (!pb->external || t->source || !tensor_size(t->dtype, t->count, &need))
        return;
    if (need == 0)
        return; /* nothing to read, and nothing that could be wrong */
    if (str_is(pb->location, ONNX_CHECKPOINT)) {
        fail(r, pb, "is that of a checkpoint, which only parameters can be");
        return;
    }
    if (!r->open) {
        fail(r, pb, "cannot be reached from here");
        return;
    }
    const Opened *o = open_once(r, pb->location);
    if (!o || !o->source)
        return;
    if (pb->ext_offset > o->source->size || need > o->source->size - pb->ext_offset) {
        fail(r, pb, "is too short");
        return;
    }
    t->source = o->source;
    t->offset = pb->ext_offset;
    t->size = need;
    t->memory = o->source->memory ? o->source->memory + pb->ext_offset : NULL;
}

/* A parameter of a module that was exported without its weights: load_params reads it
 * from a checkpoint.  Integers can be shapes and axes, so those must be in the file. */
static void resolve_initializer(Resolver *r, PbTensor *pb) {
    bool is_float = dtype_info(pb->t.dtype)->cls == DC_FLOAT;
    if (!pb->external || !str_is(pb->location, ONNX_CHECKPOINT) || !is_float)
        resolve_tensor(r, pb);
    else
        (void)tensor_size(pb->t.dtype, pb->t.count, &pb->t.size);
}

static void resolve_sparse(Resolver *r, PbSparse *s) {
    resolve_tensor(r, &s->values);
    resolve_tensor(r, &s->indices);
}

static void resolve_graph(Resolver *r, PbGraph *g);

/* The parser made these objects writable; `const` in PbAttr is for its readers. */
static void resolve_attr(Resolver *r, PbAttr *a) {
    if (a->t)
        resolve_tensor(r, (PbTensor *)(uintptr_t)a->t);
    if (a->sparse)
        resolve_sparse(r, (PbSparse *)(uintptr_t)a->sparse);
    if (a->g)
        resolve_graph(r, (PbGraph *)(uintptr_t)a->g);
    for (size_t i = 0; i < a->tensors.count; i++)
        resolve_tensor(r, &a->tensors.items[i]);
    for (size_t i = 0; i < a->sparses.count; i++)
        resolve_sparse(r, &a->sparses.items[i]);
    for (size_t i = 0; i < a->graphs.count; i++)
        resolve_graph(r, &a->graphs.items[i]);
}

static void resolve_nodes(Resolver *r, PbNode *nodes, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < nodes[i].attrs.count; k++)
            resolve_attr(r, &nodes[i].attrs.items[k]);
}

static void resolve_graph(Resolver *r, PbGraph *g) {
    for (size_t i = 0; i < g->initializers.count; i++)
        resolve_initializer(r, &g->initializers.items[i]);
    for (size_t i = 0; i < g->sparse_initializers.count; i++)
        resolve_sparse(r, &g->sparse_initializers.items[i]);
    resolve_nodes(r, g->nodes.items, g->nodes.count);
}

void onnx_resolve(Arena *arena, Diags *diags, PbModel *model, OnnxOpen open,
                  void *user) {
    Resolver r = {arena, diags, open, user, {.arena = arena}};
    resolve_graph(&r, &model->graph);
    for (size_t i = 0; i < model->functions.count; i++) {
        PbFunction *f = &model->functions.items[i];
        resolve_nodes(&r, f->nodes.items, f->nodes.count);
        for (size_t k = 0; k < f->attr_defaults.count; k++)
            resolve_attr(&r, &f->attr_defaults.items[k]);
    }
}
