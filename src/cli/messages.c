/* Where the program talks: products to standard output, messages to standard error. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>

#include "support/diag.h"

bool use_color(FILE *file) {
    const char *no_color = getenv("NO_COLOR");
    return !(no_color && *no_color) && host_has_colors(file);
}

int terminal_width(FILE *file) {
    const char *columns = getenv("COLUMNS");
    bool given = columns && atoi(columns) > 0;
    return given ? atoi(columns) : host_columns(file);
}

/* One message of our own, without a model. */
static void message(DiagCode code, const char *hint, const char *what) {
    Arena arena;
    arena_init(&arena, NULL);
    Diags diags = {.arena = &arena};
    Text text = {.arena = &arena};
    diag_add(&diags, code, STR(""), str_from(hint), "%s", what);
    diag_print(&diags, use_color(stderr), &text);
    Str printed = text_view(&text);
    fwrite(printed.p, 1, printed.n, stderr);
    arena_free(&arena);
}

void print_name(FILE *out, const char *name) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-./,:=+@%";
    bool quoted = name[strspn(name, plain)] || !*name;
    Arena arena;
    arena_init(&arena, NULL);
    Text text = {.arena = &arena};
    text_lit(&text, quoted ? "'" : "");
    for (const char *end; *(end = name + strcspn(name, "'")); name = end + 1) {
        diag_escape(&text, (Str){name, (size_t)(end - name)});
        text_lit(&text, "'\\''");
    }
    diag_escape(&text, str_from(name));
    text_lit(&text, quoted ? "'" : "");
    Str printed = text_view(&text);
    fwrite(printed.p, 1, printed.n, out);
    arena_free(&arena);
}

int usage_error(const char *hint, const char *fmt, ...) {
    char what[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    message(OX0003, hint, what);
    return EXIT_USAGE;
}

int exit_code(OxStatus status) {
    switch (status) {
    case OX_OK:
        return EXIT_OK;
    case OX_ERR_MODEL:
    case OX_ERR_UNSUPPORTED:
        return EXIT_MODEL;
    case OX_ERR_USAGE:
        return EXIT_USAGE;
    case OX_ERR_IO:
    case OX_ERR_MEMORY:
        return EXIT_IO;
    }
    return EXIT_MODEL;
}

int report(OxCompiler *compiler, OxStatus status) {
    OxText text = ox_messages(compiler, use_color(stderr));
    fwrite(text.data, 1, text.size, stderr);
    return exit_code(status);
}

int out_of_memory(void) {
    fputs("error[OX0004]: out of memory\n", stderr);
    return EXIT_IO;
}

bool print_product(OxText text) {
    bool ok = fwrite(text.data, 1, text.size, stdout) == text.size;
    if (ok && fflush(stdout) == 0)
        return true;
    char what[256];
    snprintf(what, sizeof what, "standard output cannot be written: %s",
             strerror(errno));
    message(OX0002, "", what);
    return false;
}

int print_made(void (*put)(Text *out)) {
    Arena arena;
    arena_init(&arena, NULL);
    Text text = {.arena = &arena};
    put(&text);
    Str made = text_view(&text);
    int code = arena.failed ? out_of_memory() : EXIT_OK;
    if (code == EXIT_OK && !print_product((OxText){made.p, made.n}))
        code = EXIT_IO;
    arena_free(&arena);
    return code;
}

const char *did_you_mean(Str best, char *room, size_t size) {
    if (best.n == 0)
        return "";
    snprintf(room, size, "did you mean \"%.*s\"?", (int)best.n, best.p);
    return room;
}
