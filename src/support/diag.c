/* Collects and prints messages.  Everything printed may quote the model, so bytes that
 * a terminal would act on, or that would fake a line of ours, are escaped here, at the
 * one place where messages leave the program. */
#include "support/diag.h"

typedef enum Severity { WARNING, ERROR } Severity;

typedef struct CodeInfo {
    const char *name;
    OxStatus status;
    Severity severity;
    const char *title;
} CodeInfo;

static const CodeInfo codes[DIAG_CODE_COUNT] = {
#define X(code, status, severity, title, text)                                         \
    [code] = {#code, OX_ERR_##status, severity, title},
#include "support/diag.def"
#undef X
};

/* A full list still takes an error, in the place of the newest warning, so that the
 * reason of a failure is never lost among warnings. */
static bool make_room(Diags *d) {
    for (size_t i = d->count; i > 0; i--) {
        if (codes[d->items[i - 1].code].severity != WARNING)
            continue;
        Diag *gap = &d->items[i - 1];
        memmove(gap, gap + 1, (d->count - i) * sizeof *gap);
        d->count--;
        return true;
    }
    return false;
}

void diag_add(Diags *d, DiagCode code, Str where, Str hint, const char *fmt, ...) {
    bool is_error = diag_is_error(code);
    if (is_error && d->status == OX_OK)
        d->status = codes[code].status;
    if (d->count >= DIAG_MAX) {
        d->dropped++;
        if (!is_error || !make_room(d))
            return;
    }
    va_list args;
    va_start(args, fmt);
    Str what = arena_vprintf(d->arena, fmt, args);
    va_end(args);
    Diag diag = {code, what, where, hint};
    (void)ARENA_PUSH(d->arena, d, diag);
}

void diag_take(Diags *d, const Diags *from) {
    for (size_t i = 0; i < from->count; i++) {
        const Diag *one = &from->items[i];
        diag_add(d, one->code, one->where, one->hint, "%.*s", (int)one->what.n,
                 one->what.p);
    }
}

bool diag_is_error(DiagCode code) {
    return codes[code].severity == ERROR;
}

OxStatus diag_status(const Diags *d) {
    return d->arena->failed ? OX_ERR_MEMORY : d->status;
}

/* Controls, and the invisible code points that reorder or hide text. */
static bool is_printable(uint32_t c) {
    if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0xFEFF)
        return false;
    if ((c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E))
        return false;
    if ((c >= 0x2060 && c <= 0x206F) || c == 0x61C)
        return false;
    return (c & 0xFFFE) != 0xFFFE && (c < 0xE0000 || c >= 0xF0000);
}

static void print_code_point(Text *out, Str s, size_t from, size_t to, uint32_t c) {
    bool malformed = c == 0xFFFD && to - from == 1;
    if (malformed)
        text_printf(out, "\\x%02x", (unsigned)(unsigned char)s.p[from]);
    else if (is_printable(c))
        text_str(out, (Str){s.p + from, to - from});
    else if (c == '\n')
        text_lit(out, "\\n");
    else if (c == '\t')
        text_lit(out, "\\t");
    else if (c < 0x100)
        text_printf(out, "\\x%02x", (unsigned)c);
    else
        text_printf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
}

void diag_escape(Text *out, Str s) {
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        uint32_t c = str_utf8(s, &i);
        print_code_point(out, s, from, i, c);
    }
}

typedef struct Palette {
    const char *error, *warning, *mark, *off;
} Palette;

static const Palette plain = {"", "", "", ""};
static const Palette ansi = {"\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[0m"};

static void print_place(const Diags *d, const Diag *diag, const Palette *p, Text *out) {
    if (d->file.n == 0 && diag->where.n == 0)
        return;
    text_printf(out, "  %s-->%s ", p->mark, p->off);
    diag_escape(out, d->file);
    if (d->file.n && diag->where.n)
        text_lit(out, ": ");
    diag_escape(out, diag->where);
    text_char(out, '\n');
}

static void print_one(const Diags *d, const Diag *diag, const Palette *p, Text *out) {
    const CodeInfo *info = &codes[diag->code];
    bool is_error = info->severity == ERROR;
    text_printf(out, "%s%s[%s]%s: ", is_error ? p->error : p->warning,
                is_error ? "error" : "warning", info->name, p->off);
    diag_escape(out, diag->what);
    text_char(out, '\n');
    print_place(d, diag, p, out);
    if (diag->hint.n == 0)
        return;
    text_printf(out, "  %shelp:%s ", p->mark, p->off);
    diag_escape(out, diag->hint);
    text_char(out, '\n');
}

void diag_print(const Diags *d, bool color, Text *out) {
    for (size_t i = 0; i < d->count; i++)
        print_one(d, &d->items[i], color ? &ansi : &plain, out);
    if (d->dropped)
        text_printf(out, "note: %zu more message%s left out\n", d->dropped,
                    d->dropped == 1 ? "" : "s");
}

/* Exit code of the command line; see OxStatus. */
static int exit_code(const CodeInfo *info) {
    if (info->severity == WARNING)
        return 0;
    switch (info->status) {
    case OX_OK:
        return 0;
    case OX_ERR_MODEL:
    case OX_ERR_UNSUPPORTED:
        return 1;
    case OX_ERR_USAGE:
        return 2;
    case OX_ERR_IO:
    case OX_ERR_MEMORY:
        return 3;
    }
    return 1;
}

/* Apart from what messages need: a program that never prints them is linked without. */
static const char *const explanations[DIAG_CODE_COUNT] = {
#define X(code, status, severity, title, text) [code] = text,
#include "support/diag.def"
#undef X
};

void diag_doc(Text *out) {
    text_lit(out, "# Messages\n\n"
                  "Printed by the program from `src/support/diag.def`; do not edit.\n\n"
                  "| code | meaning | exit | explanation |\n"
                  "| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < OX_COUNT(codes); i++) {
        const CodeInfo *info = &codes[i];
        text_printf(out, "| `%s` | %s%s | %d | %s |\n", info->name,
                    info->severity == WARNING ? "warning: " : "", info->title,
                    exit_code(info), explanations[i]);
    }
}
