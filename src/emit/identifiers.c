/* Python identifiers from the names in a model, which are hostile text: only letters,
 * digits and underscores survive, keywords and names in use are avoided. */
#include "emit/gen.h"
#include "python/helpers.h"

#include <ctype.h>

enum { NAME_MAX_LENGTH = 40, DIGITS_MAX = 9 };

/* Keywords, and builtins that the generated code or its reader relies on. */
static const char *const taken[] = {
    "False",       "None",        "True",       "and",
    "as",          "assert",      "async",      "await",
    "break",       "class",       "continue",   "def",
    "del",         "elif",        "else",       "except",
    "finally",     "for",         "from",       "global",
    "if",          "import",      "in",         "is",
    "lambda",      "nonlocal",    "not",        "or",
    "pass",        "raise",       "return",     "try",
    "while",       "with",        "yield",      "match",
    "case",        "type",        "print",      "int",
    "float",       "bool",        "complex",    "str",
    "tuple",       "list",        "dict",       "set",
    "len",         "min",         "max",        "range",
    "zip",         "sum",         "any",        "all",
    "map",         "slice",       "object",     "super",
    "repr",        "open",        "isinstance", "jax",
    "jnp",         "np",          "json",       "math",
    "Path",        "NamedTuple",  "params",     "forward",
    "load_params", "read_params", "trainable",  "Outputs",
    "functools",   "l",           "O",          "I",
    "self",        "round",       "abs",        "reversed",
    "export",      "next",        "getattr",    "prepare",
    "bytes",       "callable",    "enumerate",  "sorted",
    "zipfile",     "zlib",        "init_cache", "safetensors_io",
};

Str gen_identifier(Arena *a, Str text, const char *fallback) {
    Text t = {.arena = a};
    for (size_t i = 0; i < text.n && t.n < NAME_MAX_LENGTH; i++) {
        char c = char_is_word(text.p[i]) ? text.p[i] : '_';
        bool doubled = c == '_' && (t.n == 0 || t.p[t.n - 1] == '_');
        if (t.n == 0 && char_is_digit(c))
            text_char(&t, 'v');
        if (!doubled)
            text_char(&t, c);
    }
    Str name = text_view(&t);
    while (name.n && name.p[name.n - 1] == '_')
        name.n--;
    return name.n ? name : str_from(fallback);
}

static bool is_taken(Str name) {
    for (size_t i = 0; name.n && i < OX_COUNT(taken); i++)
        if (taken[i][0] == name.p[0] && str_is(name, taken[i]))
            return true;
    return false;
}

bool gen_is_known_name(Gen *g, Str name) {
    return is_taken(name) || map_get(&g->used_names, name) ||
           map_get(&g->global_names, name) || helper_named(name);
}

void gen_reserve_name(Gen *g, Str name) {
    size_t *count = map_get(&g->used_names, name) ? NULL : ARENA_NEW(g->arena, size_t);
    if (count)
        gen_map_set(g, &g->used_names, name, count);
}

Str gen_unique_name(Gen *g, Str wanted) {
    size_t *count = map_get(&g->used_names, wanted);
    if (!count && !is_taken(wanted) && !map_get(&g->global_names, wanted) &&
        !helper_named(wanted)) {
        gen_reserve_name(g, wanted);
        return wanted;
    }
    gen_reserve_name(g, wanted);
    count = map_get(&g->used_names, wanted);
    Str name = wanted;
    if (count)
        gen_changes(g, count, sizeof *count);
    while (count && !g->arena->failed) {
        name = arena_printf(g->arena, "%.*s_%zu", (int)wanted.n, wanted.p, ++*count);
        if (!map_get(&g->used_names, name) && !map_get(&g->global_names, name))
            break;
    }
    gen_reserve_name(g, name);
    return name;
}

static Str lower(Arena *a, Str s) {
    Str copy = arena_str(a, s);
    char *p = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++)
        p[i] = (char)tolower((unsigned char)p[i]);
    return copy;
}

Str gen_lower_identifier(Arena *a, Str text, const char *fallback) {
    return lower(a, gen_identifier(a, text, fallback));
}

static bool has_letter(Str s) {
    for (size_t i = 0; i < s.n; i++)
        if (char_is_letter(s.p[i]))
            return true;
    return false;
}

Str gen_without_number(Str name) {
    Str base = name;
    while (base.n && char_is_digit(base.p[base.n - 1]))
        base.n--;
    bool numbered = base.n < name.n && base.n > 1 && base.p[base.n - 1] == '_';
    return numbered ? (Str){base.p, base.n - 1} : name;
}

/* The innermost module between a part and the function around, or that of an argument;
 * what the function itself is called would differ from one block to the next. */
static Str module_in_function(const Gen *g, const Part *part) {
    Str around = g->function->kind->blocks[0]->part->path;
    if (str_starts(around, part->path))
        return (Str){0};
    if (!str_starts(part->path, around) || part->path.n <= around.n + 1)
        return str_after_last(part->path, '.');
    return str_after_last(
        (Str){part->path.p + around.n + 1, part->path.n - around.n - 1}, '.');
}

/* The parameter that n reads, itself or through a node that reads nothing else, such as
 * the transpose of a weight; NULL when there is none. */
static const Value *param_read_by(const Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++) {
        const Value *v = n->in[i];
        const Node *def = v ? v->def : NULL;
        if (def && def->n_in > 0 && def->in[0] && !(def->n_in > 1 && def->in[1]))
            v = def->in[0];
        if (v && v->kind == VALUE_PARAM && !v->generated_name)
            return v;
    }
    return NULL;
}

/* Computed from other values without parameters: a mask, a view, a sum, attention. */
static bool is_derived(const Value *v) {
    enum { FORMS = OP_MOVES | OP_JOINS | OP_KEEPS | OP_BROADCAST | OP_ELEMENTWISE };
    const Node *n = v->def;
    if (!n || !n->op || param_read_by(n))
        return false;
    return !dtype_is_float(v->type.dtype) || n->op->facts & FORMS ||
           str_is(n->domain, OP_INTERNAL);
}

/* What a pass has made of x is called x/12. */
static Str name_of_file(const Value *v) {
    Str name = v->name, last = str_after_last(name, '/');
    return last.n < name.n && last.n && !has_letter(last) && char_is_digit(last.p[0])
               ? (Str){name.p, name.n - last.n - 1}
               : name;
}

/* "/encoder/layer.0/query/MatMul_output_0" -> "query": the innermost module that has a
 * name of letters, where v is more than a form of other values. */
static Str hint_from_path(Gen *g, const Value *v) {
    Str path = name_of_file(v);
    Str last = str_after_last(path, '/');
    path.n -= last.n + (path.n > last.n);
    Str module = str_after_last(path, '/');
    if (g->function && v->def && v->def->part)
        module = module_in_function(g, v->def->part);
    if (!has_letter(module) || str_is(module, "self") || is_derived(v))
        return gen_role(g, v);
    return gen_without_number(gen_lower_identifier(g->arena, module, "x"));
}

/* PyTorch's own names in an FX graph say the operation (linear_3, getitem_7).  A value
 * made from "layer.0.q_proj.weight" is better called q_proj. */
Str gen_param_hint(Gen *g, const Value *v) {
    const Origin *origin = v->def ? v->def->origin : NULL;
    if (!origin || origin->kind != ORIGIN_PROGRAM)
        return (Str){0};
    const Value *param = param_read_by(v->def);
    Str path = param ? param_key_of(param) : (Str){0};
    if (param && g->function)
        path = block_relative_key(g->function->kind->blocks[0]->part, param);
    Str leaf = str_after_last(path, '.');
    if (leaf.n == path.n)
        return (Str){0};
    path.n -= leaf.n + 1;
    Str module = str_after_last(path, '.');
    return has_letter(module) ? gen_lower_identifier(g->arena, module, "x") : (Str){0};
}

bool gen_is_of_operator(const Value *v) {
    const Origin *origin = v->def ? v->def->origin : NULL;
    Str name = name_of_file(v);
    return origin && origin->kind == ORIGIN_PROGRAM && !memchr(name.p, '/', name.n);
}

Str gen_name_hint(Gen *g, const Value *v) {
    Str owner = gen_param_hint(g, v);
    if (owner.n)
        return owner;
    Str name = name_of_file(v);
    bool path = name.n && memchr(name.p, '/', name.n);
    if (gen_is_of_operator(v) || (path && gen_has_role(g, v)))
        return gen_role(g, v);
    if (path)
        return hint_from_path(g, v);
    bool plain = has_letter(name) && !str_starts(name, STR("val_")) &&
                 !memchr(name.p, ':', name.n);
    if (plain)
        return gen_without_number(gen_identifier(g->arena, name, "x"));
    return v->def ? gen_role(g, v) : gen_identifier(g->arena, v->name, "x");
}

/* ---- numbers in names ---------------------------------------------------------------- */

static bool is_digit(Str s, size_t i) {
    return i < s.n && char_is_digit(s.p[i]);
}

int64_t gen_number_at(Str s, size_t i, size_t *end) {
    int64_t x = 0;
    for (*end = i; is_digit(s, *end) && *end < i + DIGITS_MAX; ++*end)
        x = x * 10 + s.p[*end] - '0';
    bool odd = *end == i || is_digit(s, *end) || (s.p[i] == '0' && *end > i + 1);
    return odd ? -1 : x;
}

bool gen_is_plain(Str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!char_is_word(s.p[i]) && s.p[i] != '.' && s.p[i] != '-')
            return false;
    return true;
}
