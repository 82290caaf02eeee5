/* Writes the Python helpers as C: embed_helpers OUT.c FILE.py...  The build runs it.
 *
 * A helper is one top-level function or class with everything above it that is not a
 * helper of its own: decorators, comments, constants.  Module docstrings and imports are
 * left out; the generated module has its own.  The files are formatted by ruff, so a
 * line that starts in column 0 starts a statement unless it closes a bracket.  Before
 * the text of each helper stand the defaults of its parameters, which calls leave out, and
 * its free names, which say what it needs: see python/helpers.h. */
#include <stdio.h>
#include <stdlib.h>

#include "code/program.h"
#include "support/number.h"

typedef struct Helper {
    Str name, text;
} Helper;

typedef struct Helpers {
    Helper *items;
    size_t count, cap;
} Helpers;

/* ---- reading ---------------------------------------------------------------------- */

static Str take_line(Str *rest) {
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) + 1 : rest->n;
    Str line = {rest->p, n};
    *rest = (Str){rest->p + n, rest->n - n};
    return line;
}

static bool starts_statement(Str line) {
    return line.n > 0 && !memchr(" \n)]}", line.p[0], 5);
}

static bool is_import(Str line) {
    return str_starts(line, STR("import ")) || str_starts(line, STR("from "));
}

/* The name in `def name(` or `class name:`; empty for other lines. */
static Str defined_name(Str line) {
    Str keyword = str_starts(line, STR("def ")) ? STR("def ") : STR("class ");
    if (!str_starts(line, keyword))
        return (Str){0};
    Str name = {line.p + keyword.n, 0};
    while (keyword.n + name.n < line.n && !memchr("(:[", name.p[name.n], 3))
        name.n++;
    return name;
}

/* Lines that belong to the statement just begun. */
static void skip_body(Str *rest) {
    for (Str after = *rest; rest->n > 0; *rest = after)
        if (starts_statement(take_line(&after)))
            return;
}

static void skip_docstring(Str *rest) {
    Str quotes = STR("\"\"\"");
    if (!str_starts(*rest, quotes))
        return;
    Str line = take_line(rest);
    if (line.n > 6 && memcmp(line.p + line.n - 4, quotes.p, 3) == 0)
        return;
    while (rest->n > 0 && !str_ends(take_line(rest), STR("\"\"\"\n")))
        ;
}

/* Without empty lines at the end. */
static Str trim_end(Str text) {
    while (text.n > 1 && memchr(" \n", text.p[text.n - 2], 2))
        text.n--;
    return text;
}

static void split(Arena *a, Str rest, Helpers *helpers) {
    const char *start = NULL;
    skip_docstring(&rest);
    while (rest.n > 0) {
        Str line = take_line(&rest);
        if (!starts_statement(line))
            continue;
        skip_body(&rest);
        if (is_import(line))
            continue;
        start = start ? start : line.p;
        Helper helper = {.name = defined_name(line)};
        if (!helper.name.n)
            continue;
        helper.text = trim_end((Str){start, (size_t)(rest.p - start)});
        (void)ARENA_PUSH(a, helpers, helper);
        start = NULL;
    }
}

static Str read_file(Arena *a, const char *path) {
    FILE *file = fopen(path, "rb");
    Text t = {.arena = a};
    for (int c; file && (c = fgetc(file)) != EOF;)
        text_char(&t, (char)c);
    if (!file || ferror(file)) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return text_view(&t);
}

/* ---- writing ---------------------------------------------------------------------- */

static void write_bytes(FILE *out, Str text) {
    for (size_t i = 0; i < text.n; i++)
        fprintf(out, "%d,%s", text.p[i], i % 20 == 19 ? "\n" : "");
    fprintf(out, "0");
}

static int by_name(const void *a, const void *b) {
    return str_cmp(((const Helper *)a)->name, ((const Helper *)b)->name);
}

static void add_word(Text *t, Str word) {
    text_str(t, word);
    text_char(t, '\0');
}

typedef struct Names {
    Text *out;
    Map seen;
} Names;

static void add_name(void *user, Str name) {
    Names *n = user;
    if (map_get(&n->seen, name))
        return;
    map_set(&n->seen, name, n);
    add_word(n->out, name);
}

typedef struct Own {
    Str name;
    bool found;
} Own;

static void look_for_own(void *user, Str name) {
    Own *own = user;
    own->found |= str_eq(name, own->name);
}

static bool is_recursive(Arena *a, const Stmts *code, Str name) {
    const Def *def = code_find(code, name);
    Own own = {.name = name};
    if (def)
        code_free_names(a, &def->body, look_for_own, &own);
    return own.found;
}

/* The literal or dotted name; false where the default is another expression. */
static bool default_text(const Expr *x, Text *t) {
    switch (x->kind) {
    case EX_INT:
        text_printf(t, "%lld", (long long)x->i);
        return true;
    case EX_NAME:
        text_str(t, x->text);
        return true;
    case EX_NUMBER: { /* as emission writes it */
        double value;
        bool minus = x->text.n && x->text.p[0] == '-';
        if (!number_read((Str){x->text.p + minus, x->text.n - minus}, &value))
            return false;
        text_str(t, ex_float(t->arena, minus ? -value : value, 64)->text);
        return true;
    }
    case EX_STR:
        text_printf(t, "\"%.*s\"", (int)x->text.n, x->text.p);
        return !memchr(x->text.p, '"', x->text.n) &&
               !memchr(x->text.p, '\\', x->text.n);
    case EX_ATTRIBUTE: {
        bool plain = default_text(x->kids[0], t);
        text_printf(t, ".%.*s", (int)x->text.n, x->text.p);
        return plain;
    }
    case EX_UNARY:
        text_str(t, x->text);
        return str_is(x->text, "-") && default_text(x->kids[0], t);
    default:
        return false;
    }
}

static void add_defaults(Text *out, const Def *def) {
    for (size_t i = 0; def && i < def->n_params; i++) {
        const Param *p = &def->params[i];
        Text t = {.arena = out->arena};
        if (!p->value || !default_text(p->value, &t))
            continue;
        add_word(out, p->name);
        add_word(out, text_view(&t));
    }
    add_word(out, STR(""));
}

static void write_helper(FILE *out, Arena *a, const Helper *h) {
    Stmts code = {0};
    const char *error;
    Text words = {.arena = a};
    Names names = {&words, {.arena = a}};
    Str text = arena_str(a, h->text);
    code_parse(a, text.p, text.p + text.n, &code, &error);
    if (error || a->failed) {
        fprintf(stderr, "%.*s: %s\n", (int)h->name.n, h->name.p,
                error ? error : "out of memory");
        exit(1);
    }
    add_word(&words, h->name);
    add_defaults(&words, code_find(&code, h->name));
    code_free_names(a, &code, add_name, &names);
    add_word(&words, STR(""));
    text_str(&words, text);
    fprintf(out, "\nstatic const char %.*s_words[] = {\n", (int)h->name.n, h->name.p);
    write_bytes(out, text_view(&words));
    fprintf(out, "};\nenum { %.*s_recursive = %d };\n", (int)h->name.n, h->name.p,
            is_recursive(a, &code, h->name));
}

static void write_all(FILE *out, Arena *a, const Helpers *helpers) {
    fprintf(out, "/* Made by tools/embed_helpers.c from the Python helpers. */\n"
                 "#include \"python/helpers.h\"\n\n"
                 "#define HELPER(name) {name##_words, name##_recursive}\n");
    for (size_t i = 0; i < helpers->count; i++)
        write_helper(out, a, &helpers->items[i]);
    fprintf(out, "\nconst Helper HELPERS[] = {\n");
    for (size_t i = 0; i < helpers->count; i++)
        fprintf(out, "    HELPER(%.*s),\n", (int)helpers->items[i].name.n,
                helpers->items[i].name.p);
    fprintf(out, "};\nconst size_t HELPER_COUNT = %zu;\n", helpers->count);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    Arena arena;
    arena_init(&arena, NULL);
    Helpers helpers = {0};
    for (int i = 2; i < argc; i++)
        split(&arena, read_file(&arena, argv[i]), &helpers);
    qsort(helpers.items, helpers.count, sizeof *helpers.items, by_name);
    FILE *out = fopen(argv[1], "wb");
    if (!out) {
        perror(argv[1]);
        return 1;
    }
    write_all(out, &arena, &helpers);
    bool failed = arena.failed || ferror(out);
    failed |= fclose(out) != 0;
    arena_free(&arena);
    return failed;
}
