/* What a module has besides forward: trainable, prepare, load_params, save_params, and what they
 * need.  load_params works on the arrays of the file, which are mapped and not read: they
 * are renamed and transposed, checked, and only then handed to JAX one by one. */
#include "emit/gen.h"
#include "python/helpers.h"

/* The shorter reader knows the types that safetensors has and most models use. */
static bool has_rare_types(const Gen *g) {
    for (size_t i = 0; i < g->params.count; i++) {
        const DTypeInfo *info = dtype_info(g->params.items[i].tensor->dtype);
        if (!info->safetensors || info->cls == DC_COMPLEX ||
            (info->cls == DC_FLOAT && info->bits == 8))
            return true;
    }
    return false;
}

static bool has_plain_weights(const Gen *g) {
    return g->options->weights != OX_NPZ && !has_rare_types(g);
}

static bool can_save(const Gen *g) {
    return has_plain_weights(g) && !g->stacks.count && !g->options->no_load_params;
}

/* ---- pieces ------------------------------------------------------------------------ */

const Expr *gen_params_type(Gen *g) {
    return g->options->params == OX_PARAMS_NESTED
               ? ex_name(g->arena, STR("dict"))
               : EX(g->arena, "dict[str, jax.Array]", NULL);
}

/* What users call, and what it returns, by the way params are keyed; NULL: params. */
static const struct {
    const char *name, *results[2];
} public[] = {
    {"trainable", {NULL, NULL}},
    {"prepare", {NULL, NULL}},
    {"load_params", {NULL, NULL}},
    {"save_params", {"None", "None"}},
    {"abstract_params", {"dict[str, jax.ShapeDtypeStruct]", NULL}},
};

static bool is_public(const char *name) {
    for (size_t i = 0; i < OX_COUNT(public); i++)
        if (strcmp(name, public[i].name) == 0)
            return true;
    return false;
}

void gen_annotate(Gen *g, Stmts *code) {
    Arena *a = g->arena;
    const char *error;
    for (size_t i = 0; i < OX_COUNT(public); i++) {
        Def *def = code_find(code, str_from(public[i].name));
        if (!def)
            continue;
        const char *result = public[i].results[g->options->params];
        def->result =
            result ? ex_template(a, result, NULL, &error) : gen_params_type(g);
        if (def->n_params && str_is(def->params[0].name, "params"))
            def->params[0].type = gen_params_type(g);
        for (size_t k = 0; k < code->count; k++)
            code->items[k].edited |= code->items[k].def == def;
    }
}

/* The helper `from` under another name. */
void gen_add_renamed(Gen *g, const char *from, const char *name) {
    if (strcmp(from, name) == 0 && !is_public(name)) {
        gen_add_helper(g, name);
        return;
    }
    const Helper *helper = helper_named(str_from(from));
    bool recursive = helper && helper->recursive;
    Stmts code = gen_parse_helper(g, str_from(from), recursive ? SIZE_MAX : 0);
    if (strcmp(from, name) != 0)
        code_rename(g->arena, &code, str_from(from), str_from(name));
    gen_annotate(g, &code);
    code_append(g->arena, &g->program.params, &code);
}

static void add_part(Gen *g, const char *name) {
    gen_add_loader_part(g, name, name);
}

/* Where all are transposed, load_params and save_params say so themselves. */
static void add_conversions(Gen *g, ChangeKind kind, bool saves) {
    if (kind < CHANGES_UNSHARED)
        return;
    bool shared = kind == CHANGES_SHARED;
    gen_add_loader_part(g, shared ? "from_state_dict" : "from_unshared_state_dict",
                        "from_state_dict");
    if (saves)
        gen_add_loader_part(g, shared ? "to_state_dict" : "to_unshared_state_dict",
                            "to_state_dict");
}

/* A file of other types than these is refused before anything is made of it. */
static bool has_floats_only(const Gen *g) {
    for (size_t i = 0; i < g->params.count; i++)
        if (!dtype_is_float(g->params.items[i].tensor->dtype))
            return false;
    return true;
}

/* ---- save_params ------------------------------------------------------------------- */

typedef struct Saved {
    Arena *arena;
    const Expr *items; /* what replaces params.items */
} Saved;

static const Expr *replace_items(void *user, const Expr *x) {
    const Saved *s = user;
    bool items = x->kind == EX_NAME && str_is(x->text, "params.items");
    return items ? s->items : x;
}

enum { SAVE_READ = 2 }; /* statements of save_params: docstring, what reads params */

/* What undoes the conversions of load_params, as an expression. */
static const Expr *unconverted(Gen *g, ChangeKind changed, const Expr *params) {
    if (changed == CHANGES_TRANSPOSED)
        return EX(g->arena, "$0 | {key: $0[key].T for key in CHANGED}", params);
    return changed ? EX(g->arena, "to_state_dict($0, CHANGED)", params) : params;
}

/* Behind the docstring of save_params, params become what the file has. */
static void add_edited_save_params(Gen *g, ChangeKind changed, bool tied,
                                   bool buffers) {
    bool nested = g->options->params == OX_PARAMS_NESTED;
    Arena *a = g->arena;
    Stmts code = {0}, steps = {0};
    if (gen_shares_loader(g))
        CODE(a, &code,
             "def save_params(params, path):\n"
             "    \"\"\"Write a safetensors file that PyTorch loads as a "
             "state_dict.\"\"\"\n",
             NULL);
    else
        code = gen_parse_helper(g, STR("save_params"), SAVE_READ);
    Def *def = code_find(&code, STR("save_params"));
    const Expr *params = ex_name(a, STR("params"));
    const Expr *flat = nested ? EX(a, "flatten(params)", NULL) : params;
    if (gen_has_forms(g)) {
        if (nested)
            CODE(a, &steps, "params = $0", flat);
        add_part(g, "refuse_prepared");
        gen_refuse_prepared(g, &steps);
        flat = params;
    }
    if (flat != params && (changed == CHANGES_TRANSPOSED || tied || buffers))
        CODE(a, &steps, "params = $0", flat);
    if (changed == CHANGES_TRANSPOSED || (changed && tied))
        CODE(a, &steps, "params = $0", unconverted(g, changed, params));
    if (tied)
        CODE(a, &steps,
             "params = params | {name: params[kept] for name, kept in TIED.items()}",
             NULL);
    if (buffers)
        CODE(a, &steps,
             "own = Path(__file__.removesuffix(\".py\") + \".safetensors\")\n"
             "if Path(path).resolve() != own.resolve():\n"
             "    params = {k: x for k, x in params.items() if k not in BUFFERS}",
             NULL);
    const Expr *read = steps.count ? params : flat;
    if (changed > CHANGES_TRANSPOSED && !tied)
        read = unconverted(g, changed, read);
    Saved saved = {a, ex_attribute(a, read, STR("items"))};
    if (!def)
        return;
    if (gen_shares_loader(g))
        CODE(a, &def->body, "write_safetensors($0, path)", read);
    else
        code_edit(a, &def->body, replace_items, &saved);
    code_insert(a, &def->body, 1, &steps);
    gen_call_loader(g, def);
    gen_annotate(g, &code);
    code_append(a, &g->program.params, &code);
}

/* ---- load_params ------------------------------------------------------------------- */

/* The tracing exporter drops what outputs do not depend on, and its names with it: a
 * checkpoint may have more than is known. */
static bool is_strict(const Gen *g) {
    return !str_is(g->m->facts.producer, "pytorch") || g->m->state.count;
}

/* The table of a file: what load_params finds there, and how. */
typedef struct Loader {
    ChangeKind changed;
    bool tied, unused, literals, names;
    bool
        buffers; /* BUFFERS is there: they are not cast, as PyTorch casts no table that a
                     module computes for itself (rounding inv_freq moves every angle) */
    bool borrows; /* and come from beside the module where the file has none */
} Loader;

/* Adds what reads the file; its call, which but for npz gives arrays and metadata. */
static const char *add_readers(Gen *g) {
    if (g->options->weights == OX_NPZ) {
        add_part(g, "unpack");
        add_part(g, "read_npz");
        return "read_npz(path)";
    }
    add_part(g, "read_safetensors");
    if (g->options->weights == OX_REFERENCE) {
        add_part(g, "unpack");
        gen_add_helper(g, "bytes_in_place");
        gen_add_loader_caller(g, "read_reference");
        return "read_reference(path)";
    }
    if (!has_rare_types(g))
        return (add_part(g, "read_checkpoint"), "read_checkpoint(path)");
    add_part(g, "unpack");
    add_part(g, "read_packed");
    return "read_packed(path)";
}

static Str load_docstring(const Gen *g, const Loader *l) {
    bool shards = has_plain_weights(g) && g->options->weights != OX_REFERENCE;
    return arena_printf(
        g->arena,
        "Read the parameters from the %s file beside this module, or at `path`%s.\n\n"
        "Floating-point ones%s are cast to `dtype`. `sharding` is one for all, a\n"
        "function of name and shape, or a dict; `rename` gives a name of the file the\n"
        "one it has here. A ValueError lists all that do not fit this model.%s\n",
        g->options->weights == OX_NPZ ? "npz" : "safetensors",
        shards ? ":\na file, an index of shards, or the folder of either" : "",
        l->buffers ? " but BUFFERS" : "",
        l->borrows ? "\nBUFFERS that are not at `path` come from beside this module."
                   : "");
}

/* Where the file is. */
static void add_path(Gen *g, const Loader *l, Stmts *body) {
    const char *ending = g->options->weights == OX_NPZ ? ".npz" : ".safetensors";
    const Expr *own = EX(g->arena, "__file__.removesuffix(\".py\") + $0",
                         ex_str(g->arena, str_from(ending)));
    CODE(g->arena, body,
         l->borrows ? "own = $0\npath = path or own" : "path = path or $0", own);
}

/* The arrays of the file under the names and in the layout that forward reads. */
static void add_arrays(Gen *g, const Loader *l, const char *read, Stmts *body) {
    Arena *a = g->arena;
    const char *error;
    const Expr *file = ex_template(a, read, NULL, &error);
    if (l->changed)
        CODE(a, body, "arrays, metadata = $0", file);
    else
        CODE(a, body, g->options->weights == OX_NPZ ? "arrays = $0" : "arrays = $0[0]",
             file);
    CODE(a, body,
         "arrays = {rename(key): x for key, x in arrays.items()} if rename else arrays",
         NULL);
    if (l->names)
        CODE(a, body,
             "arrays = {name_here(key, CHECKPOINT_NAMES): x for key, x in "
             "arrays.items()}",
             NULL);
    if (l->borrows)
        CODE(a, body,
             gen_shares_loader(g)
                 ? "arrays = with_buffers(arrays, own, BUFFERS)"
                 : "if lacking := set(BUFFERS) - arrays.keys():\n"
                   "    found = read_safetensors(own)[0]\n"
                   "    arrays |= {key: found[key] for key in lacking & found.keys()}",
             NULL);
    if (l->tied)
        CODE(a, body, "arrays = untie(arrays, path, TIED)", NULL);
    if (l->changed)
        CODE(a, body,
             l->changed == CHANGES_TRANSPOSED
                 ? "if \"oxide_xla.layout\" not in metadata:\n"
                   "    arrays |= {k: arrays[k].T for k in CHANGED if k in arrays}"
                 : "if \"oxide_xla.layout\" not in metadata:\n"
                   "    arrays = from_state_dict(arrays, path, CHANGED)",
             NULL);
    if (l->literals)
        CODE(a, body, "check_literals(arrays, path, LITERALS)", NULL);
    CODE(a, body,
         l->unused ? "arrays = check_params(arrays, path, PARAMS, UNUSED, strict)"
                   : "arrays = check_params(arrays, path, PARAMS, strict=strict)",
         NULL);
}

/* Every array in JAX. */
static const Expr *in_jax(Gen *g, const Loader *l) {
    Arena *a = g->arena;
    if (gen_shares_loader(g))
        return EX(a,
                  l->buffers ? "as_params(arrays, dtype, sharding, BUFFERS)"
                             : "as_params(arrays, dtype, sharding)",
                  NULL);
    const Expr *dtype = l->buffers ? EX(a, "None if key in BUFFERS else dtype", NULL)
                                   : ex_name(a, STR("dtype"));
    return EX(
        a, "{key: as_param(key, arrays.pop(key), $0, sharding) for key in [*arrays]}",
        dtype);
}

/* All of them in the form that forward takes. */
static void add_result(Gen *g, const Loader *l, Stmts *body) {
    Arena *a = g->arena;
    bool nested = g->options->params == OX_PARAMS_NESTED, stacked = g->stacks.count;
    const Expr *params = in_jax(g, l);
    if (!nested && !stacked) {
        (void)code_return(a, body, params);
        return;
    }
    if (nested)
        CODE(a, body,
             "if isinstance(sharding, dict):\n"
             "    sharding = flatten(sharding)",
             NULL);
    CODE(a, body, "params = $0", params);
    CODE(a, body,
         !nested   ? "return stacked(params)"
         : stacked ? "return nest(stacked(params))"
                   : "return nest(params)",
         NULL);
}

/* save_params, which writes what load_params reads. */
static void add_save_params(Gen *g, const Loader *l) {
    if (g->options->params == OX_PARAMS_NESTED || l->changed || l->tied || l->borrows ||
        gen_has_forms(g) || gen_shares_loader(g))
        add_edited_save_params(g, l->changed, l->tied, l->borrows);
    else
        gen_add_renamed(g, "save_params", "save_params");
}

/* Adds load_params; its body is still empty but for the docstring. */
static Def *add_load_def(Gen *g, bool strict, Str doc) {
    Stmts code = {0};
    const Expr *none = ex_none(), *all = ex_bool(g->arena, strict);
    Param params[] = {{STR("path"), none, 0, NULL},     {STR("dtype"), none, 0, NULL},
                      {STR("sharding"), none, 0, NULL}, {STR("*"), NULL, 0, NULL},
                      {STR("rename"), none, 0, NULL},   {STR("strict"), all, 0, NULL}};
    Def *def = ARENA_NEW(g->arena, Def);
    Param *copy = ARENA_ARRAY(g->arena, OX_COUNT(params), Param);
    if (!def || !copy)
        return NULL;
    memcpy(copy, params, sizeof params);
    *def =
        (Def){.name = STR("load_params"), .params = copy, .n_params = OX_COUNT(params)};
    (void)code_add(g->arena, &def->body, (Stmt){.kind = ST_DOC, .text = doc});
    (void)code_define(g->arena, &code, def);
    gen_annotate(g, &code);
    code_append(g->arena, &g->program.params, &code);
    return def;
}

/* What load_params gives, before it has. */
static void add_abstract_params(Gen *g) {
    Arena *a = g->arena;
    Stmts code = {0};
    const Expr *params =
        EX(a, "{key: described(text) for key, text in PARAMS.items()}", NULL);
    if (g->stacks.count)
        params = EX(a, "jax.eval_shape(stacked, $0)", params);
    if (g->options->params == OX_PARAMS_NESTED)
        params = EX(a, "nest($0)", params);
    add_part(g, "described");
    CODE(a, &code,
         "def abstract_params():\n"
         "    \"\"\"Shapes and types of params, for shardings, before anything is "
         "loaded.\"\"\"\n",
         NULL);
    Def *def = code_find(&code, STR("abstract_params"));
    if (def) {
        (void)code_return(a, &def->body, params);
        gen_call_loader(g, def);
    }
    gen_annotate(g, &code);
    code_append(a, &g->program.params, &code);
}

static void add_load_params(Gen *g) {
    bool converts = g->options->weights != OX_NPZ; /* which PyTorch does not write */
    bool saves = can_save(g);
    gen_add_params(g);
    if (gen_is_sharded(g))
        add_abstract_params(g);
    Loader l = {.changed = converts ? gen_add_changes(g) : CHANGES_NONE};
    l.tied = converts && gen_add_tied(g);
    l.names = converts && gen_add_checkpoint_names(g);
    l.unused = converts && gen_add_unused(g);
    l.literals = converts && gen_add_literals(g);
    l.buffers = gen_add_buffers(g);
    l.borrows = l.buffers && has_plain_weights(g);
    add_conversions(g, l.changed, saves);
    if (l.names)
        add_part(g, "name_here");
    if (l.tied)
        add_part(g, "untie");
    const char *read = add_readers(g);
    if (l.literals)
        add_part(g, "check_literals");
    bool floats = has_floats_only(g);
    gen_add_loader_part(g, floats ? "check_float_params" : "check_params",
                        "check_params");
    gen_add_loader_part(g, floats ? "as_float_param" : "as_param", "as_param");
    Def *def = add_load_def(g, is_strict(g), load_docstring(g, &l));
    if (!def)
        return;
    add_path(g, &l, &def->body);
    add_arrays(g, &l, read, &def->body);
    add_result(g, &l, &def->body);
    gen_call_loader(g, def);
    if (saves)
        add_save_params(g, &l);
}

/* trainable, and with nested params what it and the others need. */
static void add_trainable(Gen *g, bool prepares) {
    bool nested = g->options->params == OX_PARAMS_NESTED && g->params.count;
    bool frozen = gen_add_frozen(g);
    bool both = frozen || prepares || gen_is_sharded(g);
    if (nested && (both || !g->options->no_load_params)) {
        gen_add_helper(g, "nest");
        gen_add_helper(g, "flatten");
    }
    if (!frozen) {
        gen_add_renamed(g, has_floats_only(g) ? "all_trainable" : "trainable",
                        "trainable");
        return;
    }
    gen_add_renamed(g, nested ? "nested_trainable_but_frozen" : "trainable_but_frozen",
                    "trainable");
}

void gen_add_parameters(Gen *g) {
    bool prepares = gen_set_forms(g);
    add_trainable(g, prepares);
    if (prepares)
        gen_add_prepare(g);
    if (gen_is_sharded(g))
        gen_add_shardings(g);
    if (g->stacks.count) {
        gen_add_helper(g, "stack_layers");
        gen_add_stacked(g);
    }
    if (g->options->no_load_params)
        return;
    if (g->params.count) {
        add_load_params(g);
        return;
    }
    Def *def = add_load_def(g, true, STR("This model has no parameters."));
    if (def)
        CODE(g->arena, &def->body, "return {}", NULL);
}
