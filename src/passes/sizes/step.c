/* --cache PAST=PRESENT:N: a decoder that takes keys and values of the past and gives them
 * with new ones appended becomes a step that writes into arrays of a fixed length.
 *
 * What it computes is the model of the file with tensors cut to what is there: each past
 * must meet the new tokens in one Concat, its present, and be read for its shape besides.
 * That Concat becomes a write at `position`, the number of tokens before.  The length of
 * the past is then a number, and so are positions; everything of the length of the present
 * is padded, and padding.c shows that nothing sees the padding, or names the node that
 * does.  Two inputs follow from the position, as all exporters of decoders mean them:
 * attention_mask (batch, present), which is 1 from `start` on, and position_ids
 * (batch, tokens), which count from there. */
#include "passes/sizes/step.h"

#include "passes/passes.h"
#include "passes/sizes/padding.h"

/* The smaller module for browsers has none of this: see cmake/wasm_module.cmake. */
#ifndef OX_WITHOUT_STEP
#define OX_WITHOUT_STEP 0
#endif

typedef struct Step {
    Model *m;
    CacheTensors cache;
    Value *ids; /* the input whose axis 1 is the new tokens */
    size_t ids_index;
    Node *at;                         /* nodes are made beside it, in no module */
    Value *position, *start, *column; /* column: start as [batch, 1] */
    Value *length, *tokens, *before;  /* integers [1] */
    Dim cache_length;
    Node **made; /* the first nodes of the graph, */
    size_t n_made;
    size_t n_sizes; /* of which so many make what is behind */
} Step;

static void refuse(Step *s, const Node *n, const char *why, Str name) {
    diag_add(s->m->diags, OX0416, n ? node_where(s->m, n) : (Str){0}, STEP_HINT,
             "\"%.*s\" cannot be a cache that is written in place: %s", (int)name.n,
             name.p, why);
}

/* ---- what a past is read by -------------------------------------------------------- */

static bool is_op(const Node *n, const char *name) {
    return n->op && !n->op->domain && str_is(n->op_type, name);
}

/* The output is this value, or an Identity of it. */
static bool is_value(const Value *output, const Value *v) {
    while (output != v && output->def && output->def->op &&
           output->def->op->facts & OP_IDENTITY && output->def->n_in == 1)
        output = output->def->in[0];
    return output == v;
}

/* How often n reads v. */
static uint32_t reads(const Node *n, const Value *v) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < n->n_in; k++)
        count += n->in[k] == v;
    return count;
}

/* n puts new positions behind those of t's past by itself. */
static bool appends_to(const Node *n, CacheTensor *t) {
    const char *spec = n->op && n->op->appends ? n->op->appends : "";
    for (OpSlot in, out, slot; op_spec_next(&spec, &in) && op_spec_next(&spec, &out);) {
        int k = op_spec_find(n->op->out, out.name, &slot);
        if (node_in(n, op_input_index(n->op, in.name)) != t->past || !node_out(n, k))
            continue;
        t->write = (Node *)n;
        t->out = (uint32_t)k;
        t->axis = 2;
        return true;
    }
    return false;
}

/* Takes n, which reads t's past; false when that is no place for it. */
static bool take_reader(Step *s, CacheTensor *t, Node *n) {
    int64_t axis = is_op(n, "Concat") ? attr_int(n, "axis") : 0;
    if (is_op(n, "Shape") || (!t->write && reads(n, t->past) == 1 && appends_to(n, t)))
        return true;
    if (!is_op(n, "Concat") || t->write || n->n_in != 2 || n->in[0] != t->past ||
        n->in[1] == t->past) {
        refuse(s, n, "this node reads it, and is not the only Concat of past and new",
               t->past->name);
        return false;
    }
    t->write = n;
    t->axis = (int)(axis < 0 ? axis + t->past->type.rank : axis);
    return true;
}

static bool check_tensor(Step *s, CacheTensor *t) {
    const Type *type = &t->past->type;
    const Value *present = s->m->graph->outputs[t->present];
    if (!t->write) {
        refuse(s, NULL, "nothing appends to it", t->past->name);
        return false;
    }
    if (!is_value(present, t->write->out[t->out])) {
        refuse(s, t->write, "the output is not what this node appends to",
               t->past->name);
        return false;
    }
    if (type->kind != TYPE_TENSOR || !dtype_is_float(type->dtype) || t->axis < 1 ||
        t->axis >= type->rank || dim_is_int(type->dims[t->axis]) ||
        dim_is_int(type->dims[0])) {
        refuse(s, t->write, "it must be floats of an open batch and length",
               t->past->name);
        return false;
    }
    return true;
}

/* Every read of a past is in the graph itself, and of a kind that can be. */
static bool find_writes(Step *s) {
    Graph *g = s->m->graph;
    graph_count_uses(s->m);
    for (size_t i = 0; i < s->cache.count; i++) {
        CacheTensor *t = &s->cache.items[i];
        uint32_t seen = 0;
        for (size_t k = 0; k < g->n_nodes; k++) {
            uint32_t n = reads(g->nodes[k], t->past);
            if (n && !take_reader(s, t, g->nodes[k]))
                return false;
            seen += n;
        }
        if (!check_tensor(s, t))
            return false;
        if (seen != t->past->uses) {
            refuse(s, t->write, "a subgraph reads it, or it is an output besides",
                   t->past->name);
            return false;
        }
        if (t->axis != s->cache.items[0].axis) {
            refuse(s, t->write, "it grows along another axis than the first",
                   t->past->name);
            return false;
        }
    }
    return true;
}

/* ---- inputs ------------------------------------------------------------------------ */

static bool is_past(const Step *s, const Value *v) {
    for (size_t i = 0; i < s->cache.count; i++)
        if (s->cache.items[i].past == v)
            return true;
    return false;
}

/* A table of integers or truth values, (batch, positions). */
static bool is_table(const Value *v, const char *name) {
    const Type *t = &v->type;
    return str_is(v->name, name) && t->kind == TYPE_TENSOR && t->rank == 2 &&
           (dtype_is_int(t->dtype) || t->dtype == DT_BOOL);
}

static Value *input_of(const Step *s, const char *name) {
    const Graph *g = s->m->graph;
    for (size_t i = 0; i < g->n_inputs; i++)
        if (is_table(g->inputs[i], name))
            return g->inputs[i];
    return NULL;
}

/* The tokens are those of input_ids, or else of the first input that has an axis for
 * them. */
static bool find_ids(Step *s) {
    const Graph *g = s->m->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        Value *v = g->inputs[i];
        bool named = str_is(v->name, "input_ids");
        if (v->type.kind != TYPE_TENSOR || v->type.rank < 2 || is_past(s, v) ||
            is_table(v, "attention_mask") || is_table(v, "position_ids") ||
            (s->ids && !named))
            continue;
        s->ids = v;
        s->ids_index = i;
    }
    if (!s->ids)
        refuse(s, NULL, "no input holds new tokens", s->cache.items[0].past->name);
    return s->ids != NULL;
}

static void set_dim(Model *m, Value *v, int axis, Dim d) {
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)v->type.rank, Dim);
    if (!dims)
        return;
    memcpy(dims, v->type.dims, (size_t)v->type.rank * sizeof *dims);
    dims[axis] = d;
    v->type.dims = dims;
}

/* Sizes of the tokens are read from them, whatever input has named them first. */
static void read_from_ids(Step *s, int axis) {
    Graph *g = s->m->graph;
    const Symbol *old = dim_as_symbol(s->ids->type.dims[axis]);
    if (!old || old->value == s->ids)
        return;
    s->ids->is_origin = true;
    Dim d = dim_symbol(&s->m->dims, old->name, s->ids, axis);
    for (size_t i = 0; i < g->n_inputs; i++)
        for (int k = 0; k < g->inputs[i]->type.rank; k++)
            if (dim_as_symbol(g->inputs[i]->type.dims[k]) == old)
                set_dim(s->m, g->inputs[i], k, d);
}

/* Another input of the size of the past would be the caller's to pad. */
static bool check_sizes(Step *s) {
    const Graph *g = s->m->graph;
    int axis = s->cache.items[0].axis;
    const Symbol *past = dim_as_symbol(s->cache.items[0].past->type.dims[axis]);
    for (size_t i = 0; i < g->n_inputs; i++)
        for (int k = 0; k < g->inputs[i]->type.rank; k++)
            if (!is_past(s, g->inputs[i]) &&
                !is_table(g->inputs[i], "attention_mask") &&
                dim_as_symbol(g->inputs[i]->type.dims[k]) == past) {
                refuse(s, NULL, "another input has its length", g->inputs[i]->name);
                return false;
            }
    return true;
}

/* No value that a node makes has the name. */
static void make_room(Step *s, Str name) {
    Graph *g = s->m->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_out; k++) {
            Value *v = g->nodes[i]->out[k];
            if (v && str_eq(v->name, name))
                v->name =
                    arena_printf(s->m->arena, "%.*s/%u", (int)name.n, name.p, v->id);
        }
}

static Value *add_input(Step *s, const char *name, const Dim *dims, int rank) {
    Graph *g = s->m->graph;
    Value **inputs = ARENA_ARRAY(s->m->arena, g->n_inputs + 1, Value *);
    Value *v = value_new(s->m, g, VALUE_INPUT, str_from(name));
    for (size_t i = 0; i < g->n_inputs; i++)
        if (str_is(g->inputs[i]->name, name)) {
            refuse(s, NULL, "that is the name of the place of a step", str_from(name));
            return NULL;
        }
    if (!inputs || !v)
        return NULL;
    make_room(s, v->name);
    v->type = (Type){.dtype = DT_INT64, .rank = rank, .dims = dims};
    memcpy(inputs, g->inputs, g->n_inputs * sizeof *inputs);
    inputs[g->n_inputs++] = v;
    g->inputs = inputs;
    return v;
}

/* ---- nodes in front ---------------------------------------------------------------- */

/* A node in no module, and in front of those of the file. */
static Node *front(Step *s, const char *domain, const char *op, Value *const *in,
                   uint32_t count, const char *hint) {
    for (uint32_t k = 0; k < count; k++)
        if (!in[k])
            return NULL;
    Node *n = stepped_node(s->m, s->at, domain, op, in, count, str_from(hint));
    Node **made = n ? ARENA_ARRAY(s->m->arena, s->n_made + 1, Node *) : NULL;
    if (!made)
        return NULL;
    if (s->n_made)
        memcpy(made, s->made, s->n_made * sizeof *made);
    n->name = str_from(hint);
    n->inlined = (Str){0};
    n->origin = NULL;
    made[s->n_made++] = n;
    s->made = made;
    return n;
}

static Value *onnx(Step *s, const char *op, Value *a, Value *b, const char *hint) {
    Value *in[] = {a, b};
    Node *n = front(s, "", op, in, b ? 2 : 1, hint);
    return n ? n->out[0] : NULL;
}

static void add_int(Node *n, const char *name, int64_t v) {
    n->attrs[n->n_attrs++] = attr_of_int(str_from(name), v);
}

/* Sizes first .. first + count - 1, as a list. */
static Value *sizes_of(Step *s, Value *v, int first, int count, const char *hint) {
    Node *n = front(s, "", "Shape", &v, 1, hint);
    if (!n)
        return NULL;
    add_int(n, "start", first);
    add_int(n, "end", first + count);
    return n->out[0];
}

static Value *cast(Step *s, Value *v, DType from, DType to) {
    Node *n = v && from != to ? front(s, "", "Cast", &v, 1, "cast") : NULL;
    if (n)
        add_int(n, "to", to);
    return n ? n->out[0] : from == to ? v : NULL;
}

static Value *scalar(Step *s, int64_t i) {
    Known *k = known_new(s->m, DT_INT64, 1);
    Value *v = value_new(s->m, s->m->graph, VALUE_CONST,
                         arena_printf(s->m->arena, "step/%u", s->m->value_count));
    if (!k || !v)
        return NULL;
    v->type = (Type){.dtype = DT_INT64, .rank = 0};
    known_ints(k)[0] = dim_int(i);
    value_set_known(s->m, v, k);
    return v;
}

static Value *range_to(Step *s, Value *size, const char *hint) {
    Value *in[] = {scalar(s, 0), onnx(s, "Squeeze", size, NULL, "size"), scalar(s, 1)};
    Node *n = front(s, "", "Range", in, 3, hint);
    return n ? n->out[0] : NULL;
}

/* What reads the shape of a past reads that of one without room for the new tokens. */
static void shorten_past(Step *s, CacheTensor *t) {
    Graph *g = s->m->graph;
    Value *in[] = {t->past, s->ids};
    Node *before = front(s, OP_INTERNAL, "BeforeStep", in, 2, "before");
    if (!before)
        return;
    add_int(before, "axis", t->axis);
    add_int(before, "tokens_axis", 1);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_in && g->nodes[i] != t->write; k++)
            if (g->nodes[i]->in[k] == t->past)
                g->nodes[i]->in[k] = before->out[0];
    if (!s->before)
        s->before = sizes_of(s, before->out[0], t->axis, 1, "before");
}

/* v, an input until now, is what `by` is. */
static void make_input(Step *s, Value *v, Value *by) {
    Graph *g = s->m->graph;
    size_t n = 0;
    if (!by || !by->def)
        return;
    node_make(by->def, 0, v);
    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->inputs[i] != v)
            g->inputs[n++] = g->inputs[i];
    g->n_inputs = n;
}

/* 1 from the start of each row on. */
static void make_mask(Step *s, Value *mask) {
    Value *total = onnx(s, "Add", s->before, s->tokens, "total");
    Value *columns = range_to(s, total, "columns");
    Value *filled = onnx(s, "GreaterOrEqual", columns, s->column, "filled");
    make_input(s, mask, cast(s, filled, DT_BOOL, mask->type.dtype));
}

/* Those of each row count from its start; of padding they are 0. */
static void make_positions(Step *s, Value *positions) {
    Value *rows = range_to(s, s->tokens, "rows");
    Value *places = onnx(s, "Add", rows, s->position, "places");
    if (s->column) {
        Value *passed = onnx(s, "Sub", places, s->column, "passed");
        places = onnx(s, "Max", passed, scalar(s, 0), "places");
    } else {
        Value *sizes = sizes_of(s, s->ids, 0, 2, "sizes");
        places = onnx(s, "Expand", places, sizes, "places");
    }
    make_input(s, positions, cast(s, places, DT_INT64, positions->type.dtype));
}

static void make_inputs(Step *s) {
    Value *mask = input_of(s, "attention_mask");
    Value *positions = input_of(s, "position_ids");
    s->position = add_input(s, "position", NULL, 0);
    s->start = mask ? add_input(s, "start", s->ids->type.dims, 1) : NULL;
    if (s->start)
        s->column = onnx(s, "Unsqueeze", s->start,
                         ints_literal(s->m, s->m->graph, (int64_t[]){1}, 1), "column");
    if (mask)
        make_mask(s, mask);
    if (positions)
        make_positions(s, positions);
}

/* ---- the two models ---------------------------------------------------------------- */

static void put_in_front(Step *s) {
    Graph *g = s->m->graph;
    Node **nodes = ARENA_ARRAY(s->m->arena, g->n_nodes + s->n_made, Node *);
    if (!nodes || !s->n_made)
        return;
    memcpy(nodes, s->made, s->n_made * sizeof *nodes);
    memcpy(nodes + s->n_made, g->nodes, g->n_nodes * sizeof *nodes);
    g->nodes = nodes;
    g->n_nodes += s->n_made;
}

/* All arrays of the cache have the length of the first. */
static void set_length(Step *s) {
    const CacheTensor *first = &s->cache.items[0];
    first->past->is_origin = true;
    s->cache_length = dim_symbol(&s->m->dims, STR("length"), first->past, first->axis);
    for (size_t i = 0; i < s->cache.count; i++) {
        set_dim(s->m, s->cache.items[i].past, s->cache.items[i].axis, s->cache_length);
        set_dim(s->m, s->cache.items[i].past, 0, s->ids->type.dims[0]);
    }
}

static void make_identity(Node *n) {
    n->n_in = 1;
    n->n_attrs = 0;
    node_set_op(n, op_find((Str){0}, STR("Identity"), OP_NEWEST_OPSET));
}

/* The copy is the model of the file: its past has as many tokens as there are after the
 * step without the new ones. */
static void open_past(Step *s, Model *open, PaddedStep *step) {
    const CacheTensor *first = &s->cache.items[0];
    Dim tokens = open->graph->inputs[s->ids_index]->type.dims[1], end;
    step->pasts = ARENA_ARRAY(s->m->arena, s->cache.count, Value *);
    if (!step->pasts)
        return;
    for (size_t i = 0, k = 0; k < open->graph->n_inputs && i < s->cache.count; k++) {
        Value *v = open->graph->inputs[k];
        if (!is_past(s, s->m->graph->inputs[k]))
            continue;
        if (i == 0) {
            end = dim_symbol(&open->dims, STR("end"), v, first->axis);
            step->size = end;
            step->symbol = dim_as_symbol(end);
            dim_assume(&open->dims, dim_sub(&open->dims, end, tokens));
        }
        set_dim(open, v, first->axis, dim_sub(&open->dims, end, tokens));
        step->pasts[i++] = v;
    }
    step->count = s->cache.count;
    bool *cached = ARENA_ARRAY(s->m->arena, open->graph->n_outputs, bool);
    for (size_t i = 0; cached && i < s->cache.count; i++)
        cached[s->cache.items[i].present] = true;
    step->cached = cached;
    for (size_t i = 0; i < open->graph->n_nodes; i++)
        if (str_is(open->graph->nodes[i]->op_type, "BeforeStep"))
            make_identity(open->graph->nodes[i]);
}

/* Each Concat appends as many tokens as there are. */
static bool check_writes(Step *s, const Model *open, const PaddedStep *step) {
    for (size_t i = 0; i < s->cache.count; i++) {
        const CacheTensor *t = &s->cache.items[i];
        const Node *n = t->write;
        for (size_t k = 0; k < open->graph->n_nodes; k++) {
            if (s->m->graph->nodes[k] != n)
                continue;
            const Type *type = &open->graph->nodes[k]->out[t->out]->type;
            if (type->rank > t->axis &&
                dim_as_symbol(type->dims[t->axis]) == step->symbol)
                break;
            refuse(s, n, "what is appended is not as long as the tokens",
                   t->past->name);
            return false;
        }
    }
    return true;
}

static void write_in_place(Step *s, CacheTensor *t) {
    Node *n = t->write;
    Value **in = ARENA_ARRAY(s->m->arena, 3, Value *);
    Attr *attrs = ARENA_ARRAY(s->m->arena, 1, Attr);
    const OpDef *write = op_find(STR(OP_BRIDGE), STR("WriteCache"), OP_NEWEST_OPSET);
    if (n->op->appends || !in || !attrs || !write)
        return;
    in[0] = n->in[0], in[1] = n->in[1], in[2] = s->position;
    attrs[0] = attr_of_int(STR("axis"), t->axis);
    n->in = in;
    n->n_in = 3;
    n->attrs = attrs;
    n->n_attrs = 1;
    node_set_op(n, write);
}

/* The arrays are called as those of the bridge: key_cache_0. */
static void name_pasts(Step *s) {
    for (size_t i = 0; i < s->cache.count; i++) {
        CacheTensor *t = &s->cache.items[i];
        size_t layer = 0;
        for (size_t k = 0; k < i; k++)
            layer += str_eq(s->cache.items[k].field, t->field);
        Str name = arena_printf(s->m->arena, "%.*s_cache_%zu", (int)t->field.n,
                                t->field.p, layer);
        make_room(s, name);
        t->past->name = name;
    }
}

/* What gen_read_cache reads, as bridge/fx_cache.py writes it. */
static void describe(Step *s) {
    Text t = {.arena = s->m->arena};
    name_pasts(s);
    text_printf(&t, "length\t%lld\n", (long long)s->cache.length);
    if (s->start)
        text_printf(&t, "optional\tstart\n");
    for (size_t i = 0; i < s->cache.count; i++) {
        const CacheTensor *c = &s->cache.items[i];
        Str out = s->m->graph->output_names[c->present];
        text_printf(&t, "%.*s\t%.*s\t%.*s\n", (int)c->field.n, c->field.p,
                    (int)c->past->name.n, c->past->name.p, (int)out.n, out.p);
    }
    Entry e = {STR("oxide_xla.cache"), text_view(&t)};
    (void)ARENA_PUSH(s->m->arena, &s->m->facts.metadata, e);
}

/* Sizes that the rest is made of: of the cache, of the tokens, and of what was before. */
static Value *make_sizes(Step *s) {
    const CacheTensor *first = &s->cache.items[0];
    s->length = sizes_of(s, first->past, first->axis, 1, "length");
    s->tokens = sizes_of(s, s->ids, 1, 1, "tokens");
    Value *length = onnx(s, "Squeeze", s->length, NULL, "length");
    for (size_t i = 0; i < s->cache.count; i++)
        shorten_past(s, &s->cache.items[i]);
    s->n_sizes = s->n_made;
    return length;
}

/* Shows that nothing sees what is behind the last token, and makes the step of m. */
static void compare(Step *s, Value *length) {
    Model *m = s->m;
    Diags silent = {.arena = m->arena, .file = m->diags->file};
    Model *open = model_copy(m, &silent);
    PaddedStep step = {.place = {s->position, s->length, s->tokens},
                       .first = s->n_sizes};
    if (!open)
        return;
    dim_assume(&m->dims, dim_sub(&m->dims, s->cache_length, s->ids->type.dims[1]));
    open_past(s, open, &step);
    infer_model(open);
    if (diag_status(&silent) != OX_OK || open->unsupported.count) {
        diag_take(m->diags, &silent);
        return; /* operators that are not supported are reported later */
    }
    if (m->arena->failed || !step.pasts || !step.cached ||
        !check_writes(s, open, &step))
        return;
    step.counts = stepped_number(m, s->length->def, &step.place, length);
    step.end = step.counts ? step.counts->out[0] : NULL;
    for (size_t i = 0; i < s->cache.count; i++)
        write_in_place(s, &s->cache.items[i]);
    step_find_views(m);
    step_find_views(open);
    step_forget_unread(open);
    if (step.end)
        padding_hide_step(m, open, &step);
    describe(s);
}

/* The bridge writes a step, and says so. */
static bool is_step(const Model *m) {
    for (size_t i = 0; i < m->facts.metadata.count; i++)
        if (str_is(m->facts.metadata.items[i].key, "oxide_xla.cache"))
            return true;
    return false;
}

/* Whether there is something to be done here. */
static bool is_open_decoder(Model *m) {
    if (OX_WITHOUT_STEP)
        diag_add(m->diags, OX0003, (Str){0}, STR("take oxide_xla.wasm"),
                 "this module has no --cache");
    else if (is_step(m))
        diag_add(m->diags, OX0003, (Str){0}, STR("leave --cache away"),
                 "the file is a step with a cache already");
    else
        return true;
    return false;
}

void infer_step(Model *m, Str spec) {
    Step s = {.m = m};
    if (!is_open_decoder(m))
        return;
    ops_bind(m);
    if (!cache_tensors(m, spec, &s.cache) || !find_writes(&s) || !find_ids(&s) ||
        !check_sizes(&s))
        return;
    infer_forget_shapes(m);
    s.at = m->graph->nodes[0];
    read_from_ids(&s, 0);
    read_from_ids(&s, 1);
    set_length(&s);
    Value *length = make_sizes(&s);
    make_inputs(&s);
    put_in_front(&s);
    if (length && s.position && diag_status(m->diags) == OX_OK)
        compare(&s, length);
}
