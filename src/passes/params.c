/* Names of parameters.  Exporters rename what they rewrite: `onnx::MatMul_123` and
 * `val_224` are the transposed weights of linear layers.  The module that a node came
 * from tells the name.  What else the exporter did to the values (BatchNorm folded, gates
 * reordered, equal tensors merged) is noted, so that the generated file can refuse or
 * convert a plain state_dict.  Of
 *
 *     /layer.0/query/MatMul (x, onnx::MatMul_131)
 *     /layer.0/query/Add    (layer.0.query.bias, /layer.0/query/MatMul_output_0)
 *
 * the first node is of the module layer.0.query, and MatMul's row says that its input B is
 * the weight of a linear layer (OP_LINEAR), so the file has
 *
 *     params["layer.0.query.bias"][None] + x @ params["layer.0.query.weight"]
 *     CHANGED = {"layer.0.query.weight": "transposed"}
 *
 * since PyTorch keeps it as (out, in).  Where another parameter has that name, or no module
 * is known, `onnx::MatMul_131` stays. */
#include "passes/state.h"

#include <ctype.h>

#define FOLDED "holds a folded normalization"
#define COMPUTED "computed by the exporter"
#define PACKED "packed with others"

/* Facts of the operators that say something about names. */
enum { NAMING = OP_PACKED_WEIGHTS | OP_WEIGHT_BIAS | OP_LINEAR | OP_TABLE };

/* The module that a parameter belongs to by its name, as far as a node there reads it. */
typedef struct Owner {
    Str class; /* the module's, with those around it: see class_of */
    Str leaf;  /* the rest of the name: "out_proj.weight" */
} Owner;

typedef struct Names {
    Model *m;
    Map taken;            /* key -> the parameter that has it */
    const Node **readers; /* by value id: one node that reads it */
    Owner *owners;        /* by value id */
    Map listed;           /* names in m->program */
    Map busy;             /* paths of TorchScript with nodes that no linear layer has */
    Map firsts;           /* first parts of the paths of TorchScript */
    Map roots;            /* first part of a path -> Str: what paths have before it */
    Map alive;            /* paths of torch.export that nodes come from */
    size_t n_values;      /* when the pass began */
} Names;

/* ---- the module of a node ---------------------------------------------------------- */

static bool is_of(const Node *n, OriginKind kind) {
    return n->origin && n->origin->kind == kind;
}

/* The path of the module that the node came from; empty: not known. */
static Str path_of(const Node *n) {
    bool known = is_of(n, ORIGIN_TRACED) || is_of(n, ORIGIN_PROGRAM);
    return known ? n->origin->path : (Str){0};
}

/* The path with every part of the node's name: "blocks.blocks.0" for /blocks/blocks.0,
 * which may be the child of a list of that name. */
static Str whole_name(Names *names, const Origin *origin) {
    Str leaf = origin->leaf;
    if (!origin->around)
        return leaf;
    Str around = whole_name(names, origin->around);
    return arena_printf(names->m->arena, "%.*s.%.*s", (int)around.n, around.p,
                        (int)leaf.n, leaf.p);
}

/* The class of that module; empty: not known. */
static Str class_of(const Node *n) {
    return n->origin ? n->origin->class : (Str) { 0 };
}

/* Whether that module is one of PyTorch's own, as far as the file tells. */
static bool is_torch_layer(const Node *n) {
    return str_starts(class_of(n), STR("torch.nn.modules."));
}

/* ---- notes ------------------------------------------------------------------------- */

static ParamNote *note_of(Names *names, Value *v) {
    ParamNote *note = ARENA_NEW(names->m->arena, ParamNote);
    if (!note)
        return NULL;
    if (v->note)
        *note = *v->note;
    v->note = note;
    return note;
}

/* A name that another parameter has is not given twice. */
static void rename_param(Names *names, Value *v, Str key) {
    if (v->note || map_get(&names->taken, key))
        return;
    ParamNote *note = note_of(names, v);
    if (!note)
        return;
    note->key = key;
    (void)map_set(&names->taken, key, v);
}

static void note_change(Names *names, Value *v, const char *change) {
    ParamNote *note = v->note && v->note->change ? NULL : note_of(names, v);
    if (note)
        note->change = change;
}

/* The exporter has found this name's values equal to those of v. */
static void note_alias(Names *names, Value *v, Str name) {
    if (map_get(&names->taken, name))
        return;
    ParamAlias *alias = ARENA_NEW(names->m->arena, ParamAlias);
    ParamNote *note = note_of(names, v);
    if (!alias || !note)
        return;
    *alias = (ParamAlias){name, note->aliases};
    note->aliases = alias;
    (void)map_set(&names->taken, name, v);
}

/* All elements of a list are equal: zeros or ones, as biases and norms begin. */
static bool is_uniform(const Value *v) {
    return v->tensor && v->type.rank == 1 && tensor_is_uniform(v->tensor);
}

static Value *param_in(const Node *n, int i) {
    Value *v = node_in(n, i);
    return v && v->kind == VALUE_PARAM ? v : NULL;
}

static Str join(Names *names, Str path, Str leaf) {
    return arena_printf(names->m->arena, "%.*s.%.*s", (int)path.n, path.p, (int)leaf.n,
                        leaf.p);
}

static size_t skip_digits(Str s, size_t i) {
    while (i < s.n && isdigit((unsigned char)s.p[i]))
        i++;
    return i;
}

/* The names differ in one number: layers.0.linear1.bias and layers.1.linear1.bias. */
static bool are_siblings(Str a, Str b) {
    size_t i = 0;
    while (i < a.n && i < b.n && a.p[i] == b.p[i])
        i++;
    size_t end_a = skip_digits(a, i), end_b = skip_digits(b, i);
    return end_a > i && end_b > i &&
           str_eq((Str){a.p + end_a, a.n - end_a}, (Str){b.p + end_b, b.n - end_b});
}

/* Input i of n, a parameter of the name `key`, became one with another module's when it
 * was exported, as their values were equal.  They are two again where they were so by
 * chance and will not be after training: zeros and ones, and layers of one stack, which
 * PyTorch begins as copies.  Others may be tied. */
static void separate(Names *names, Node *n, int i, Str key) {
    Value *v = param_in(n, i), *own = map_get(&names->taken, key);
    if (own == v)
        return;
    if (!own && !is_uniform(v) && !are_siblings(state_key(v), key)) {
        note_alias(names, v, key);
        return;
    }
    if (!own) {
        own = value_new(names->m, v->graph, VALUE_PARAM, key);
        if (!own || !value_set_tensor(names->m, own, v->tensor, false) ||
            !map_set(&names->taken, key, own))
            return;
    }
    if (own->tensor == v->tensor)
        n->in[i] = own;
}

/* A module's own parameter gets its name.  One that has a name already belongs to
 * another module: its values were equal. */
static void name_leaf(Names *names, Node *n, int i, Str path, Str leaf) {
    Value *v = param_in(n, i);
    Str key = join(names, path, leaf);
    Str own = state_key(v), module = join(names, path, STR(""));
    if (v->generated_name && !v->note)
        rename_param(names, v, key);
    else if (!str_starts(own, module))
        separate(names, n, i, key);
}

static bool is_owned(const Names *names, const Value *v) {
    return v && v->id < names->n_values && names->owners[v->id].leaf.n;
}

static void note_owner(Names *names, const Node *n) {
    Str class = class_of(n), path = class.n ? path_of(n) : class;
    for (uint32_t k = 0; path.n && k < n->n_in; k++) {
        const Value *v = param_in(n, (int)k);
        Str name = v ? v->name : (Str){0};
        if (v && v->id < names->n_values && name.n > path.n && str_starts(name, path) &&
            name.p[path.n] == '.')
            names->owners[v->id] =
                (Owner){class, {name.p + path.n + 1, name.n - path.n - 1}};
    }
}

/* Modules of one class that read one parameter have each one of the same name. */
static void name_borrowed(Names *names, Node *n) {
    Str class = class_of(n), path = class.n ? path_of(n) : class;
    for (uint32_t k = 0; path.n && k < n->n_in; k++) {
        Value *v = param_in(n, (int)k);
        if (!is_owned(names, v) || !str_eq(names->owners[v->id].class, class) ||
            str_starts(v->name, join(names, path, STR(""))))
            continue;
        separate(names, n, (int)k, join(names, path, names->owners[v->id].leaf));
    }
}

/* ---- paths ------------------------------------------------------------------------ */

/* What comes before ".first." in the names of parameters, when that is always the same,
 * no name begins with "first.", and no path with what comes before; else empty. */
static Str root_of(const Names *names, const Graph *g, Str first) {
    Str root = {0};
    for (size_t i = 0; i < g->n_params; i++) {
        Str name = g->params[i]->generated_name ? (Str){0} : g->params[i]->name;
        for (size_t at = 0; at + first.n < name.n; at++) {
            bool part = (at == 0 || name.p[at - 1] == '.') &&
                        str_starts((Str){name.p + at, name.n - at}, first) &&
                        name.p[at + first.n] == '.';
            if (!part)
                continue;
            if (at == 0 || map_get(&names->firsts, str_before(name, '.')) ||
                (root.n && !str_eq(root, (Str){name.p, at})))
                return (Str){0};
            root = (Str){name.p, at};
            break;
        }
    }
    return root;
}

/* The path with what TorchScript has left out, a module whose child is called rather
 * than itself: decoder.layers.0 of model.decoder.layers.0. */
static Str rooted(Names *names, const Node *n, Str path) {
    if (!path.n || is_of(n, ORIGIN_PROGRAM))
        return path;
    Str first = str_before(path, '.');
    const Str *root = map_get(&names->roots, first);
    if (!root) {
        Str *made = ARENA_NEW(names->m->arena, Str);
        if (!made || !map_set(&names->roots, first, made))
            return path;
        *made = root_of(names, names->m->graph, first);
        root = made;
    }
    return root->n ? arena_printf(names->m->arena, "%.*s%.*s", (int)root->n, root->p,
                                  (int)path.n, path.p)
                   : path;
}

/* Products, sums and constants: what linear layers are made of. */
static bool is_of_linear(const Node *n) {
    enum { LINEAR = OP_LINEAR | OP_UNIT0 | OP_IDENTITY };
    return n->n_in == 0 || (n->op && n->op->facts & LINEAR);
}

static void list_firsts(void *user, Graph *g) {
    Names *names = user;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const Node *n = g->nodes[i];
        if (is_of(n, ORIGIN_TRACED) && n->origin->path.n)
            (void)map_set(&names->firsts, str_before(n->origin->path, '.'), names);
    }
}

static void survey_path(Names *names, const Node *n) {
    Str path = path_of(n);
    if (is_of(n, ORIGIN_PROGRAM))
        (void)map_set(&names->alive, path, names);
    else if (path.n && !is_of_linear(n))
        (void)map_set(&names->busy, rooted(names, n, path), names);
}

/* Parameters that are nowhere in the file, of modules that are: the exporter has computed
 * with their values. */
static void note_left_out(Names *names) {
    Model *m = names->m;
    for (size_t i = 0; i < m->program.count; i++) {
        Str target = m->program.items[i].name;
        Str leaf = str_after_last(target, '.');
        Str owner = {target.p, target.n > leaf.n ? target.n - leaf.n - 1 : 0};
        if (m->program.items[i].kind == STATE_TRAINED &&
            !map_get(&names->taken, target) && map_get(&names->alive, owner))
            (void)ARENA_PUSH(m->arena, &m->left_out, target);
    }
}

typedef struct Merged {
    size_t count;
    Str first; /* empty while count is 0 */
} Merged;

/* Larger equal tensors are tied in the module itself. */
static void count_aliases(void *user, Graph *g) {
    Merged *merged = user;
    for (size_t i = 0; i < g->n_params; i++) {
        const Value *v = g->params[i];
        const ParamAlias *alias = v->note ? v->note->aliases : NULL;
        for (; alias && is_uniform(v); alias = alias->next)
            merged->first = merged->count++ ? merged->first : alias->name;
    }
}

/* A model of fewer parameters computes the same, but learns otherwise. */
static void warn_merged(Model *m) {
    Merged merged = {m->left_out.count,
                     m->left_out.count ? m->left_out.items[0] : (Str){0}};
    graph_each(m->graph, count_aliases, &merged);
    if (!merged.count)
        return;
    bool one = merged.count == 1;
    diag_add(m->diags, OX0508, merged.first,
             STR("for training, export with bridge/fx_export.py or "
                 "oxide_xla.from_torch, which keep all parameters"),
             "%zu parameter%s of the PyTorch module %s not in the file: the exporter "
             "merged %s with equal ones or computed with %s",
             merged.count, one ? "" : "s", one ? "is" : "are", one ? "it" : "them",
             one ? "its value" : "their values");
}

/* ---- rules ------------------------------------------------------------------------- */

/* The leaf of the bias that is added to the product, when it is the module's own. */
static Str bias_leaf(Names *names, const Node *n, Str path) {
    const Value *y = node_out(n, 0);
    const Node *reader = y ? names->readers[y->id] : NULL;
    for (int k = 0; reader && reader->n_in == 2 && k < 2; k++) {
        Value *other = reader->in[k] == y ? param_in(reader, !k) : NULL;
        Str key = other ? state_key(other) : (Str){0};
        if (key.n > path.n + 1 && str_starts(key, path) && key.p[path.n] == '.' &&
            str_ends(key, STR("bias")))
            return (Str){key.p + path.n + 1, key.n - path.n - 1};
    }
    return (Str){0};
}

/* x @ w: PyTorch's weight is the transpose, [out, in]. */
static void name_linear(Names *names, Node *n, Str path) {
    Value *w = param_in(n, 1);
    if (!w || !w->generated_name || w->type.rank != 2)
        return;
    bool classed = class_of(n).n > 0;
    bool linear = classed ? str_contains(class_of(n), STR("Linear"))
                          : !map_get(&names->busy, path);
    Str bias = bias_leaf(names, n, path), leaf = STR("weight");
    if (!bias.n && is_of(n, ORIGIN_TRACED)) {
        Str whole = whole_name(names, n->origin);
        bias = bias_leaf(names, n, whole);
        path = bias.n ? whole : path;
    }
    if (bias.n)
        leaf = arena_printf(names->m->arena, "%.*sweight", (int)(bias.n - 4), bias.p);
    else if (!linear)
        return;
    /* A table that is also a head is stored twice, once with its name. */
    Value *tied = map_get(&names->taken, join(names, path, leaf));
    if (tied && tied != w && tied->generated_name) { /* called twice, stored twice */
        if (tied->graph == w->graph && w->tensor->size &&
            tensor_same(tied->tensor, w->tensor))
            n->in[1] = tied;
        return;
    }
    name_leaf(names, n, 1, path, leaf);
    w = param_in(n, 1); /* perhaps another */
    Str change = STR("transposed");
    if (tied && tied != w && !w->note && !tied->generated_name)
        change = arena_printf(names->m->arena, "transposed %.*s",
                              (int)state_key(tied).n, state_key(tied).p);
    note_change(names, w, change.p);
}

static void name_weight_and_bias(Names *names, Node *n, Str path) {
    static const char *const leaves[] = {"weight", "bias"};
    for (int i = 0; i < 2; i++) {
        Value *v = param_in(n, i + 1);
        if (!v)
            continue;
        bool computed = v->generated_name;
        if (n->folds_norm) /* the path is that of the normalization */
            note_change(names, v, FOLDED);
        else if (path.n && (v->generated_name || is_torch_layer(n)) &&
                 !is_owned(names, v))
            name_leaf(names, n, i + 1, path, str_from(leaves[i]));
        if (computed)
            note_change(names, v, COMPUTED);
    }
}

static void note_packed(Names *names, Node *n) {
    for (int i = 1; i <= 3; i++)
        if (param_in(n, i))
            note_change(names, param_in(n, i), PACKED);
}

/* `Identity(kept) -> merged`: the tracing exporter keeps the names of equal tensors. */
static void name_merged(Names *names, Node *n) {
    Value *v = param_in(n, 0), *out = node_out(n, 0);
    bool traced = out && memchr(out->name.p, '/', out->name.n);
    if (v && out && !traced && out->name.n && memchr(out->name.p, '.', out->name.n))
        separate(names, n, 0, out->name);
}

static void name_table(Names *names, Node *n, Str path) {
    Value *table = param_in(n, 0);
    bool listed = map_get(&names->listed, join(names, path, STR("weight")));
    if (table && (listed || is_torch_layer(n)) && !is_owned(names, table))
        name_leaf(names, n, 0, path, STR("weight"));
}

static void name_all_merged(void *user, Graph *g) {
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->op && g->nodes[i]->op->facts & OP_IDENTITY)
            name_merged(user, g->nodes[i]);
}

/* Readers of `Identity(parameter)` read the parameter. */
static void look_through(void *user, Graph *g) {
    (void)user;
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++) {
            const Value *v = g->nodes[i]->in[k];
            const Node *def = v ? v->def : NULL;
            if (def && def->op && def->op->facts & OP_IDENTITY && param_in(def, 0))
                g->nodes[i]->in[k] = def->in[0];
        }
    }
}

static void name_graph(void *user, Graph *g) {
    Names *names = user;
    for (size_t i = 0; i < g->n_nodes; i++)
        name_borrowed(names, g->nodes[i]);
    for (size_t i = 0; i < g->n_nodes; i++) {
        Node *n = g->nodes[i];
        unsigned facts = n->op ? n->op->facts & NAMING : 0;
        if (!facts)
            continue;
        Str path = rooted(names, n, path_of(n));
        if (facts & OP_PACKED_WEIGHTS)
            note_packed(names, n);
        if (facts & OP_WEIGHT_BIAS)
            name_weight_and_bias(names, n, path);
        if (facts & OP_LINEAR && path.n)
            name_linear(names, n, path);
        if (facts & OP_TABLE && path.n)
            name_table(names, n, path);
    }
}

static void list_params(void *user, Graph *g) {
    Names *names = user;
    for (size_t i = 0; i < g->n_params; i++) {
        Value *v = value_final(g->params[i]);
        (void)map_set(&names->taken, g->params[i]->name, v);
        (void)map_set(&names->taken, state_key(v), v);
        for (ParamAlias *a = v->note ? v->note->aliases : NULL; a; a = a->next)
            (void)map_set(&names->taken, a->name, v);
    }
}

static void survey(void *user, Graph *g) {
    Names *names = user;
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k] && g->nodes[i]->in[k]->id < names->n_values)
                names->readers[g->nodes[i]->in[k]->id] = g->nodes[i];
        note_owner(names, g->nodes[i]);
        survey_path(names, g->nodes[i]);
    }
}

/* What has no name by now is the exporter's: indices and masks do not depend on weights,
 * other constants may, integers of quantized weights among them. */
static void note_constants(void *user, Graph *g) {
    Names *names = user;
    for (size_t i = 0; i < g->n_params; i++) {
        Value *v = g->params[i];
        if (v->kind != VALUE_PARAM || !v->generated_name || v->is_buffer ||
            (v->note && v->note->key.n))
            continue;
        if (v->type.dtype == DT_INT64 || v->type.dtype == DT_BOOL)
            v->is_buffer = true;
        else
            note_change(names, v, COMPUTED);
    }
}

static void name_params(Names *names, State *state) {
    Model *m = names->m;
    graph_each(m->graph, list_params, names);
    graph_each(m->graph, name_all_merged, names);
    graph_each(m->graph, look_through, names);
    graph_each(m->graph, list_firsts, names);
    graph_each(m->graph, survey, names);
    graph_each(m->graph, name_graph, names);
    state_finish(state);
    if (str_is(m->facts.producer, "pytorch"))
        graph_each(m->graph, note_constants, names);
    if (!m->unoptimized) /* else what is left out is not used */
        note_left_out(names);
    warn_merged(m);
}

void pass_params(Model *m) {
    State state;
    state_read(&state, m);
    Names names = {.m = m, .taken = {.arena = m->arena}};
    names.listed.arena = m->arena;
    for (size_t i = 0; i < m->program.count; i++)
        (void)map_set(&names.listed, m->program.items[i].name, m);
    names.firsts.arena = names.busy.arena = names.roots.arena = names.alive.arena =
        m->arena;
    names.n_values = m->value_count;
    Arena scratch;
    arena_scratch_begin(&scratch, m->arena);
    names.readers = ARENA_ARRAY(&scratch, names.n_values + 1, const Node *);
    names.owners = ARENA_ARRAY(&scratch, names.n_values + 1, Owner);
    if (names.readers && names.owners)
        name_params(&names, &state);
    arena_scratch_end(&scratch, m->arena);
}
