/* What the program needs from elsewhere: helpers, which are parsed into trees when
 * something edits them, and imports. */
#include "emit/gen.h"
#include "python/helpers.h"

/* ---- imports ----------------------------------------------------------------------- */

typedef struct Import {
    const char *name; /* in the code */
    const char *from; /* the module of `from ... import name`; else empty */
    const char *module;
    bool third_party;
} Import;

static const Import imports[] = {
    /* name         from       module         third party */
    {"functools", "", "functools", false},
    {"json", "", "json", false},
    {"math", "", "math", false},
    {"zipfile", "", "zipfile", false},
    {"zlib", "", "zlib", false},
    {"Path", "pathlib", "Path", false},
    {"NamedTuple", "typing", "NamedTuple", false},
    {"jax", "", "jax", true},
    {"jnp", "", "jax.numpy", true},
    {"np", "", "numpy", true},
    {"export", "jax", "export", true},
};

static void note_import(Gen *g, Str name) {
    for (size_t i = 0; i < OX_COUNT(imports); i++)
        if (str_is(name, imports[i].name))
            g->program.imports |= 1u << i;
}

static Stmt import_statement(Gen *g, const Import *import) {
    bool alias = strcmp(import->name, import->module) != 0;
    return (Stmt){.kind = ST_IMPORT,
                  .text = str_from(import->from),
                  .expr = ex_name(g->arena, str_from(import->module)),
                  .target = alias ? ex_name(g->arena, str_from(import->name)) : NULL};
}

void gen_add_imports(Gen *g, Stmts *standard, Stmts *others) {
    for (size_t i = 0; i < OX_COUNT(imports); i++)
        if (g->program.imports >> i & 1)
            (void)code_add(g->arena, imports[i].third_party ? others : standard,
                           import_statement(g, &imports[i]));
}

/* ---- helpers ----------------------------------------------------------------------- */

static void note_imports(Gen *g, const Helper *helper) {
    for (const char *name = helper_names(helper); *name; name = helper_next(name))
        note_import(g, str_from(name));
}

Stmts gen_helper(Gen *g, Str name) {
    const Helper *helper = helper_named(name);
    Stmts code = {0};
    if (!helper || !code_add_unread(g->arena, &code, helper_text(helper)))
        return code;
    note_imports(g, helper);
    return code;
}

void gen_add_helper(Gen *g, const char *name) {
    Stmts code = gen_helper(g, str_from(name));
    code_append(g->arena, &g->program.params, &code);
}

static Stmts parse(Gen *g, const Helper *helper, size_t n) {
    Stmts code = {0};
    const char *error = NULL;
    Str text = helper ? helper_text(helper) : STR("");
    if (helper)
        code_parse_begin(g->arena, text.p, text.p + text.n, n, &code, &error);
    if (!helper || error)
        g->arena->failed = true; /* a defect of ours, which the build finds */
    return code;
}

Stmts gen_parse_helper(Gen *g, Str name, size_t n) {
    const Helper *helper = helper_named(name);
    Stmts code = parse(g, helper, n);
    if (!g->arena->failed)
        note_imports(g, helper);
    return code;
}

/* Helpers call each other: those that one names come before it. */
static void use_helper(Gen *g, Str name) {
    const Helper *helper = map_get(&g->helpers, name) ? NULL : helper_named(name);
    if (!helper || !map_set(&g->helpers, str_from(helper->name), g))
        return; /* unmarked, helpers that call each other would not end */
    const char *needed = helper_names(helper);
    for (; *needed; needed = helper_next(needed))
        use_helper(g, str_from(needed));
    UsedHelper used = {.helper = helper, .code = parse(g, helper, SIZE_MAX)};
    if (used.code.count)
        used.code.items[0].apart = true;
    (void)ARENA_PUSH(g->arena, &g->program.helpers, used);
}

/* ---- the program ------------------------------------------------------------------- */

/* Names that the generated code binds are never those of helpers or modules. */
static void read_in_code(void *user, Str dotted) {
    Gen *g = user;
    Str name = str_before(dotted, '.');
    note_import(g, name);
    if (name.n == dotted.n)
        use_helper(g, name);
}

static void read_all(void *user, const Expr *x) {
    ex_each_name(x, read_in_code, user);
}

static void read_in_params(void *user, Str name) {
    note_import(user, name);
}

void gen_find_helpers(Gen *g) {
    code_each_expr(&g->program.code, read_all, g);
    code_free_names(g->arena, &g->program.params, read_in_params, g);
}

void gen_note_imports(Gen *g) {
    for (size_t i = 0; i < g->program.helpers.count; i++)
        code_free_names(g->arena, &g->program.helpers.items[i].code, read_in_params, g);
}
