/* Text for people: strings, comments and docstrings.  What they say may come from a
 * model, so nothing in it may end the string or comment, or mislead who reads it. */
#include "python/printer.h"

/* ---- strings ---------------------------------------------------------------------- */

static void print_escape(Text *t, uint32_t c) {
    if (c == '\n' || c == '\t' || c == '\r')
        text_printf(t, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    else if (c < 0x100)
        text_printf(t, "\\x%02x", (unsigned)c);
    else if (c < 0x10000)
        text_printf(t, "\\u%04x", (unsigned)c);
    else
        text_printf(t, "\\U%08x", (unsigned)c);
}

char print_quote(const Str *parts, size_t n) {
    size_t singles = 0, doubles = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < parts[i].n; k++) {
            singles += parts[i].p[k] == '\'';
            doubles += parts[i].p[k] == '"';
        }
    }
    return doubles > singles ? '\'' : '"';
}

void print_quoted(Text *t, Str content, char quote) {
    for (size_t i = 0; i < content.n;) {
        uint32_t c = str_utf8(content, &i);
        if (c < 0x20 || c >= 0x7f) {
            print_escape(t, c);
        } else {
            if (c == '\\' || c == (uint32_t)quote)
                text_char(t, '\\');
            text_char(t, (char)c);
        }
    }
}

void print_string(Text *t, Str content) {
    char quote = print_quote(&content, 1);
    text_char(t, quote);
    print_quoted(t, content, quote);
    text_char(t, quote);
}

/* ---- words ------------------------------------------------------------------------ */

/* Code points that cannot be seen, or that change how their neighbours are seen. */
static bool is_hidden(uint32_t c) {
    static const uint32_t ranges[][2] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
        {0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
        {0xd800, 0xf8ff}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xfff0, 0xffff},
        {0xe0000, ~0u},
    };
    for (size_t i = 0; i < OX_COUNT(ranges); i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

static bool is_space(uint32_t c) {
    return c == ' ' || (c >= 0x2000 && c <= 0x200a) || c == 0xa0 || c == 0x1680 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* `coding:` in a comment on the first two lines would name the file's encoding. */
static bool ends_in_coding(const Text *t) {
    return t->n >= 6 && memcmp(t->p + t->n - 6, "coding", 6) == 0;
}

/* Text in which every character is harmless and every space is one; the lines stay. */
static Str tame(Arena *a, Str text, bool docstring) {
    Text t = {.arena = a};
    for (size_t i = 0; i < text.n;) {
        size_t start = i;
        uint32_t c = str_utf8(text, &i);
        if ((c == ':' || c == '=') && ends_in_coding(&t))
            text_char(&t, ' ');
        if (c == '\n')
            text_char(&t, '\n');
        else if (is_space(c) || c == '\t')
            text_char(&t, ' ');
        else if (docstring && (c == '"' || c == '\\'))
            text_char(&t, c == '"' ? '\'' : '/');
        else if (!is_hidden(c))
            text_str(&t, (Str){text.p + start, i - start});
    }
    return text_view(&t);
}

/* The next line of at most `width` columns, cut at a space where there is one. */
static Str take_line(Str *rest, size_t width) {
    size_t columns = 0, space = 0, i = 0;
    while (i < rest->n && rest->p[i] != '\n') {
        size_t at = i;
        uint32_t c = str_utf8(*rest, &i);
        columns += c < 0x2e80 ? 1 : 2; /* from there on most are wide */
        if (c == ' ')
            space = at;
        if (columns > width && space > 0) {
            i = space;
            break;
        }
    }
    Str line = {rest->p, i};
    while (i < rest->n && rest->p[i] == ' ')
        i++;
    i += i < rest->n && rest->p[i] == '\n';
    *rest = (Str){rest->p + i, rest->n - i};
    while (line.n && line.p[line.n - 1] == ' ')
        line.n--;
    return line;
}

static void print_indent(Text *t, int level) {
    for (int i = 0; i < level * PRINT_INDENT; i++)
        text_char(t, ' ');
}

/* ---- comments and docstrings ------------------------------------------------------ */

void print_comment(Text *t, int level, Str text) {
    Arena scratch;
    arena_scratch_begin(&scratch, t->arena);
    Str rest = tame(&scratch, text, false);
    size_t width = PRINT_WIDTH - 2 - (size_t)(level * PRINT_INDENT);
    while (rest.n) {
        Str line = take_line(&rest, width);
        print_indent(t, level);
        text_char(t, '#');
        if (line.n)
            text_char(t, ' ');
        text_str(t, line);
        text_char(t, '\n');
    }
    arena_scratch_end(&scratch, t->arena);
}

/* Without the spaces and newlines around it. */
static Str trim(Str s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\n'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\n'))
        s.n--;
    return s;
}

static size_t leading_spaces(Str line) {
    size_t n = 0;
    while (n < line.n && line.p[n] == ' ')
        n++;
    return n;
}

/* The indentation that all lines share: Python's tools take it away, so do we. */
static size_t common_indent(Str text, size_t width) {
    size_t common = SIZE_MAX;
    while (text.n) {
        Str line = take_line(&text, width);
        if (line.n && leading_spaces(line) < common)
            common = leading_spaces(line);
    }
    return common;
}

void print_doc_lines(Text *t, int level, Str text) {
    print_indent(t, level);
    text_lit(t, "\"\"\"");
    for (size_t i = 0; i < text.n; i++) {
        text_char(t, text.p[i]);
        bool empty = i + 1 < text.n && text.p[i + 1] == '\n';
        if (text.p[i] == '\n' && !empty)
            print_indent(t, level);
    }
    text_lit(t, "\"\"\"\n");
}

void print_docstring(Text *t, int level, Str text) {
    Arena scratch;
    arena_scratch_begin(&scratch, t->arena);
    Str rest = trim(tame(&scratch, text, true));
    size_t width = PRINT_WIDTH - (size_t)(level * PRINT_INDENT);
    print_indent(t, level);
    text_lit(t, "\"\"\"");
    text_str(t, take_line(&rest, width - 6));
    bool one_line = rest.n == 0;
    size_t common = common_indent(rest, width);
    while (rest.n) {
        Str line = take_line(&rest, width);
        text_char(t, '\n');
        if (line.n == 0)
            continue;
        print_indent(t, level);
        text_str(t, (Str){line.p + common, line.n - common});
    }
    if (!one_line) {
        text_char(t, '\n');
        print_indent(t, level);
    }
    text_lit(t, "\"\"\"\n");
    arena_scratch_end(&scratch, t->arena);
}
