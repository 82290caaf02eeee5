/* What a module has besides forward: trainable, load_params, save_params, and what they
 * need.  load_params works on the arrays of the file, which are mapped and not read: they
 * are renamed and transposed, checked, and only then handed to JAX one by one. */
#include "codegen/gen.h"

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

static void print_helper(Text *t, const char *name) {
    text_lit(t, "\n\n");
    text_str(t, codegen_helper(str_from(name)));
    text_char(t, '\n');
}

/* The helper `from` under another name. */
static void print_renamed(Gen *g, Text *t, const char *from, const char *name) {
    Str text = codegen_helper(str_from(from));
    Str head = arena_printf(g->arena, "def %s(", from);
    if (!str_starts(text, head))
        return;
    text_printf(t, "\n\ndef %s(", name);
    text_str(t, (Str){text.p + head.n, text.n - head.n});
    text_char(t, '\n');
}

static void print_conversions(Gen *g, Text *t, ChangeKind kind, bool saves) {
    const char *const from[] = {"", "from_transposed_state_dict",
                                "from_unshared_state_dict", "from_state_dict"};
    const char *const to[] = {"", "to_transposed_state_dict", "to_unshared_state_dict",
                              "to_state_dict"};
    if (kind == CHANGES_NONE)
        return;
    print_renamed(g, t, from[kind], "from_state_dict");
    if (saves)
        print_renamed(g, t, to[kind], "to_state_dict");
}

/* save_params, which writes what load_params reads. */
static void print_save_params(Gen *g, Text *t, bool changed, bool tied, bool buffers) {
    bool nested = g->options->params == OX_PARAMS_NESTED;
    Str text = codegen_helper(STR("save_params")), token = STR("params.items()");
    size_t at = 0;
    while (at + token.n < text.n && memcmp(text.p + at, token.p, token.n) != 0)
        at++;
    size_t line = at; /* where the line begins: with both calls it would be too long */
    while (line > 0 && text.p[line - 1] != '\n')
        line--;
    text_lit(t, "\n\n");
    text_str(t, (Str){text.p, line});
    const char *flat = nested ? "flatten(params)" : "params";
    if (changed && tied) {
        text_printf(t, "    params = to_state_dict(%s, CHANGED)\n", flat);
    } else if (nested && (changed || tied || buffers)) {
        text_lit(t, "    params = flatten(params)\n");
    }
    if (tied)
        text_lit(t, "    params = params | {name: params[kept] for name, kept in "
                    "TIED.items()}\n");
    if (buffers)
        text_lit(t,
                 "    own = Path(__file__.removesuffix(\".py\") + \".safetensors\")\n"
                 "    if Path(path).resolve() != own.resolve():\n"
                 "        params = {k: x for k, x in params.items() if k not in "
                 "BUFFERS}\n");
    text_str(t, (Str){text.p + line, at - line});
    flat = buffers || changed || tied ? "params" : flat;
    text_printf(t,
                changed && !tied ? "to_state_dict(%s, CHANGED).items()" : "%s.items()",
                flat);
    text_str(t, (Str){text.p + at + token.n, text.n - at - token.n});
    text_char(t, '\n');
}

/* ---- load_params ------------------------------------------------------------------- */

/* The tracing exporter drops what outputs do not depend on, and its names with it: a
 * checkpoint may have more than is known. */
static const char *strict_argument(const Gen *g) {
    bool unknown = str_is(g->m->pb->producer_name, "pytorch") && !g->m->state.count;
    return unknown ? ", *, strict=False" : ", *, strict=True";
}

/* The table of a file: what load_params finds there, and how. */
typedef struct Loader {
    ChangeKind changed;
    bool tied, unused, literals;
    bool
        buffers; /* BUFFERS is there: they are not cast, as PyTorch casts no table that a
                     module computes for itself (rounding inv_freq moves every angle) */
    bool borrows; /* and come from beside the module where the file has none */
} Loader;

static const char *print_readers(Gen *g, Text *t) {
    if (g->options->weights == OX_NPZ) {
        print_helper(t, "unpack");
        print_helper(t, "read_npz");
        return "read_npz(path)";
    }
    print_helper(t, "read_safetensors");
    if (g->options->weights == OX_REFERENCE) {
        print_helper(t, "unpack");
        print_helper(t, "bytes_in_place");
        print_helper(t, "read_reference");
        return "read_reference(path)";
    }
    if (!has_rare_types(g))
        return "read_safetensors(path)[0]";
    print_helper(t, "unpack");
    print_helper(t, "read_packed");
    return "read_packed(path)";
}

static void print_head(Gen *g, Text *t, const Loader *l) {
    const char *kind = g->options->weights == OX_NPZ ? "npz" : "safetensors";
    text_printf(t, "\n\ndef load_params(path=None, dtype=None%s):\n",
                strict_argument(g));
    text_printf(t,
                "    \"\"\"Read the parameters from the %s file beside this module, or "
                "at `path`.\n\n"
                "    With `dtype`, floating-point parameters%s are cast to it. A "
                "ValueError lists\n"
                "    all that do not fit this model.%s\n"
                "    \"\"\"\n",
                kind, l->buffers ? " but BUFFERS" : "",
                l->borrows ? " BUFFERS that are not at `path` come from\n"
                             "    beside this module."
                           : "");
    text_printf(t, "    %s__file__.removesuffix(\".py\") + \".%s\"\n",
                l->borrows ? "own = " : "path = path or ", kind);
    if (l->borrows)
        text_lit(t, "    path = path or own\n");
}

/* The arrays of the file under the names and in the layout that forward reads. */
static void print_arrays(Text *t, const Loader *l, const char *read) {
    text_printf(t, "    arrays = %s\n", read);
    if (l->borrows)
        text_lit(t, "    if lacking := [key for key in BUFFERS if key not in arrays]:\n"
                    "        found = read_safetensors(own)[0]\n"
                    "        arrays |= {key: found[key] for key in lacking if key in "
                    "found}\n");
    if (l->tied)
        text_lit(t, "    arrays = untie(arrays, path, TIED)\n");
    if (l->changed)
        text_lit(t, "    arrays = from_state_dict(arrays, path, CHANGED)\n");
    if (l->literals)
        text_lit(t, "    check_literals(arrays, path, LITERALS)\n");
    text_printf(t, "    arrays = check_params(arrays, path, PARAMS, %s)\n",
                l->unused ? "UNUSED, strict" : "strict=strict");
}

/* Every array in JAX, in the form that forward takes. */
static void print_result(const Gen *g, Text *t, const Loader *l) {
    bool nested = g->options->params == OX_PARAMS_NESTED, stacked = g->stacks.count;
    text_lit(t, nested || stacked ? "    params = " : "    return ");
    text_lit(t,
             l->buffers
                 ? "{\n"
                   "        key: as_param(key, x, None if key in BUFFERS else dtype)\n"
                   "        for key, x in arrays.items()\n"
                   "    }\n"
                 : "{key: as_param(key, x, dtype) for key, x in arrays.items()}\n");
    if (nested || stacked)
        text_printf(t, "    return %s\n",
                    !nested   ? "stacked(params)"
                    : stacked ? "nest(stacked(params))"
                              : "nest(params)");
}

static void print_load_params(Gen *g, Text *t) {
    bool converts = g->options->weights != OX_NPZ; /* which PyTorch does not write */
    bool saves = can_save(g);
    gen_print_params(g, t);
    Loader l = {.changed = converts ? gen_print_changes(g, t) : CHANGES_NONE};
    l.tied = converts && gen_print_tied(g, t);
    l.unused = converts && gen_print_unused(g, t);
    l.literals = converts && gen_print_literals(g, t);
    l.buffers = gen_print_buffers(g, t);
    l.borrows = l.buffers && has_plain_weights(g);
    print_conversions(g, t, l.changed, saves);
    if (l.tied)
        print_helper(t, "untie");
    const char *read = print_readers(g, t);
    if (l.literals)
        print_helper(t, "check_literals");
    print_helper(t, "check_params");
    print_helper(t, "as_param");
    print_head(g, t, &l);
    print_arrays(t, &l, read);
    print_result(g, t, &l);
    if (saves)
        print_save_params(g, t, l.changed, l.tied, l.borrows);
}

static bool has_integers(const Gen *g) {
    for (size_t i = 0; i < g->params.count; i++)
        if (!dtype_is_float(g->params.items[i].tensor->dtype))
            return true;
    return false;
}

/* trainable, and with nested params what it and load_params need. */
static void print_trainable(Gen *g, Text *t) {
    bool nested = g->options->params == OX_PARAMS_NESTED && g->params.count;
    bool frozen = gen_print_frozen(g, t);
    if (nested && (frozen || !g->options->no_load_params))
        print_helper(t, "nest");
    if (nested && (frozen || can_save(g)))
        print_helper(t, "flatten");
    if (!frozen) {
        print_renamed(g, t, has_integers(g) ? "trainable" : "all_trainable",
                      "trainable");
        return;
    }
    print_renamed(g, t, nested ? "nested_trainable_but_frozen" : "trainable_but_frozen",
                  "trainable");
}

void gen_print_parameters(Gen *g, Text *t) {
    print_trainable(g, t);
    if (g->stacks.count) {
        print_helper(t, "stack_layers");
        gen_print_stacked(g, t);
    }
    if (g->options->no_load_params)
        return;
    if (g->params.count)
        print_load_params(g, t);
    else
        text_lit(t, "\n\ndef load_params(path=None, dtype=None, *, strict=True):\n"
                    "    \"\"\"This model has no parameters.\"\"\"\n"
                    "    return {}\n");
}
