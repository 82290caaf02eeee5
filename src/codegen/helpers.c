/* Splits the embedded Python files into helpers.
 *
 * A helper is one top-level function or class with everything above it that is not a
 * helper of its own: decorators, comments, constants.  Module docstrings and imports
 * are left out; the generated module has its own.  The files are formatted by ruff, so
 * a line that starts in column 0 starts a statement unless it closes a bracket. */
#include "codegen/helpers.h"
#include "codegen/codegen.h"

/* Reads the items of one file in order. */
typedef struct HelperReader {
    Str rest;
} HelperReader;

typedef struct Helper {
    Str name, text;
} Helper;

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

static Str trim_end(Str text) {
    while (text.n > 0 && memchr(" \n", text.p[text.n - 1], 2))
        text.n--;
    return text;
}

static bool next_helper(HelperReader *reader, Helper *helper) {
    const char *start = NULL;
    while (reader->rest.n > 0) {
        Str line = take_line(&reader->rest);
        if (!starts_statement(line))
            continue;
        skip_body(&reader->rest);
        if (is_import(line))
            continue;
        if (!start)
            start = line.p;
        helper->name = defined_name(line);
        if (helper->name.n > 0) {
            Str text = {start, (size_t)(reader->rest.p - start)};
            helper->text = trim_end(text);
            return true;
        }
    }
    return false;
}

static HelperReader read_file(const HelperFile *file) {
    HelperReader reader = {{file->text, file->size}};
    skip_docstring(&reader.rest);
    return reader;
}

/* The file that defines the name; NULL when none does. */
static const HelperFile *file_of(Str name) {
    size_t low = 0, high = HELPER_NAME_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, HELPER_NAMES[middle].name);
        if (order == 0)
            return &HELPER_FILES[HELPER_NAMES[middle].file];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

Str codegen_helper(Str name) {
    const HelperFile *file = file_of(name);
    if (!file)
        return (Str){0};
    HelperReader reader = read_file(file);
    for (Helper helper; next_helper(&reader, &helper);)
        if (str_eq(helper.name, name))
            return helper.text;
    return (Str){0};
}

Str codegen_helper_name(size_t i) {
    for (const HelperFile *file = HELPER_FILES; file->name; file++) {
        HelperReader reader = read_file(file);
        for (Helper helper; next_helper(&reader, &helper);)
            if (i-- == 0)
                return helper.name;
    }
    return (Str){0};
}
