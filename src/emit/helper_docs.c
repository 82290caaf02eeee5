/* Docstrings of helpers without what they say of parameters that are not there any more.
 * What can be cut is
 *
 *     a factor           kernel w (..., C / groups, M)     where groups is 1
 *     a clause           with kernel w, plus b (M,).
 *     a name of several  stride and dilation may have one int for each axis.
 *     a sentence         padding may be "SAME".            but for the first
 *
 * and a name that cannot be cut stays, with its parameter. */
#include "emit/gen.h"

/* ---- words -------------------------------------------------------------------------- */

/* Where the name stands in the text as a word, from `from` on; SIZE_MAX: nowhere. */
static size_t find_word(Str s, Str name, size_t from) {
    for (size_t i = from; i + name.n <= s.n; i++)
        if (memcmp(s.p + i, name.p, name.n) == 0 &&
            (i == 0 || !char_is_word(s.p[i - 1])) &&
            (i + name.n == s.n || !char_is_word(s.p[i + name.n])))
            return i;
    return SIZE_MAX;
}

bool gen_has_word(Str s, Str name) {
    return find_word(s, name, 0) != SIZE_MAX;
}

static bool starts_at(Str s, size_t i, const char *text) {
    size_t n = strlen(text);
    return i + n <= s.n && memcmp(s.p + i, text, n) == 0;
}

static Str without(Arena *a, Str s, size_t from, size_t end) {
    Text t = {.arena = a};
    text_str(&t, (Str){s.p, from});
    text_str(&t, (Str){s.p + end, s.n - end});
    return text_view(&t);
}

/* ---- what can be cut ---------------------------------------------------------------- */

/* C / groups, size * groups, groups * size */
static Str cut_factors(Arena *a, Str s, Str name) {
    enum { OPERATOR = 3 };
    for (size_t at = 0; (at = find_word(s, name, at)) != SIZE_MAX; at++) {
        bool right = at > OPERATOR && (starts_at(s, at - OPERATOR, " / ") ||
                                       starts_at(s, at - OPERATOR, " * "));
        if (right)
            s = without(a, s, at - OPERATOR, at + name.n);
        else if (starts_at(s, at + name.n, " * "))
            s = without(a, s, at, at + name.n + OPERATOR);
    }
    return s;
}

typedef struct Words {
    Str *items;
    size_t count, cap;
} Words;

/* `one, other and third may ...`: the names, and where they end; false: it is none. */
static bool read_list(Arena *a, Str s, Words *names, size_t *end) {
    size_t i = 0;
    for (;;) {
        size_t begin = i;
        while (i < s.n && char_is_word(s.p[i]))
            i++;
        if (i == begin || !ARENA_PUSH(a, names, ((Str){s.p + begin, i - begin})))
            return false;
        *end = i;
        if (starts_at(s, i, " may "))
            return names->count > 1;
        bool comma = starts_at(s, i, ", ");
        if (!comma && !starts_at(s, i, " and "))
            return false;
        i += comma ? 2 : 5;
    }
}

/* The name is one of several. */
static Str cut_from_list(Arena *a, Str s, Str name) {
    Words names = {0};
    size_t end, left = 0, n = 0;
    if (!read_list(a, s, &names, &end))
        return s;
    for (size_t i = 0; i < names.count; i++)
        left += !str_eq(names.items[i], name);
    Text t = {.arena = a};
    for (size_t i = 0; i < names.count; i++) {
        if (str_eq(names.items[i], name))
            continue;
        if (n++)
            text_lit(&t, n == left ? " and " : ", ");
        text_str(&t, names.items[i]);
    }
    text_str(&t, (Str){s.p + end, s.n - end});
    return text_view(&t);
}

/* The clause around the name, from the comma or semicolon before it to the next or the
 * end; only where brackets do not tell otherwise.  false: it is the first. */
static bool cut_clause(Arena *a, Str *s, Str name) {
    size_t at = find_word(*s, name, 0), begin = 0, i = 0;
    int depth = 0;
    for (; i < at; i++) {
        depth += s->p[i] == '(' || s->p[i] == '[';
        depth -= s->p[i] == ')' || s->p[i] == ']';
        bool stop = s->p[i] == ',' || s->p[i] == ';' || s->p[i] == ':';
        if (!depth && stop && starts_at(*s, i + 1, " "))
            begin = i;
    }
    if (!begin || s->p[begin] == ':')
        return false;
    for (; i < s->n; i++) {
        depth += s->p[i] == '(' || s->p[i] == '[';
        depth -= s->p[i] == ')' || s->p[i] == ']';
        bool stop =
            s->p[i] == ',' || s->p[i] == ';' || (s->p[i] == '.' && i + 1 == s->n);
        if (!depth && stop)
            break;
    }
    *s = without(a, *s, begin, i);
    return true;
}

/* The sentence without the name; *gone: nothing is left of it. */
static bool cut_sentence(Arena *a, Str *s, Str name, bool first, bool *gone) {
    *s = cut_from_list(a, *s, name);
    while (gen_has_word(*s, name) && cut_clause(a, s, name))
        ;
    *gone = !first && gen_has_word(*s, name);
    return *gone || !gen_has_word(*s, name);
}

/* ---- paragraphs --------------------------------------------------------------------- */

/* The next sentence; gap: the spaces before it. */
static Str take_sentence(Str *rest, Str *gap) {
    size_t i = 0;
    while (i < rest->n && rest->p[i] == ' ')
        i++;
    *gap = (Str){rest->p, i};
    *rest = (Str){rest->p + i, rest->n - i};
    i = 0;
    int depth = 0;
    for (; i < rest->n; i++) {
        depth += rest->p[i] == '(';
        depth -= rest->p[i] == ')';
        if (!depth && rest->p[i] == '.' && (i + 1 == rest->n || rest->p[i + 1] == ' '))
            break;
    }
    size_t end = i < rest->n ? i + 1 : i;
    Str sentence = {rest->p, end};
    *rest = (Str){rest->p + end, rest->n - end};
    return sentence;
}

/* A paragraph on one line. */
static Str joined(Arena *a, Str lines) {
    Text t = {.arena = a};
    for (size_t i = 0; i < lines.n; i++)
        if (lines.p[i] == '\n')
            text_lit(&t, i && lines.p[i - 1] == '.' ? "  " : " ");
        else
            text_char(&t, lines.p[i]);
    return text_view(&t);
}

/* Lines as wide as a docstring of a function has them. */
static void wrap(Text *t, Str text, size_t first) {
    enum { WIDTH = 84 };
    size_t column = first;
    while (text.n) {
        size_t spaces = 0, n = 0;
        while (spaces < text.n && text.p[spaces] == ' ')
            spaces++;
        while (spaces + n < text.n && text.p[spaces + n] != ' ')
            n++;
        bool breaks = column && column + spaces + n > WIDTH;
        if (breaks)
            text_char(t, '\n');
        else
            text_str(t, (Str){text.p, spaces});
        text_str(t, (Str){text.p + spaces, n});
        column = breaks ? n : column + spaces + n;
        text = (Str){text.p + spaces + n, text.n - spaces - n};
    }
}

static bool cut_paragraph(Arena *a, Str *paragraph, Str name, bool first) {
    Text t = {.arena = a};
    Str rest = cut_factors(a, joined(a, *paragraph), name);
    for (bool top = first; rest.n; top = false) {
        bool gone;
        Str gap, sentence = take_sentence(&rest, &gap);
        if (!cut_sentence(a, &sentence, name, top, &gone))
            return false;
        if (!gone && t.n)
            text_str(&t, gap);
        if (!gone)
            text_str(&t, sentence);
    }
    *paragraph = text_view(&t);
    return true;
}

/* The next paragraph, without the newlines around it. */
static Str take_paragraph(Str *rest) {
    while (rest->n && rest->p[0] == '\n')
        *rest = (Str){rest->p + 1, rest->n - 1};
    size_t n = 0;
    while (n < rest->n && !starts_at(*rest, n, "\n\n"))
        n++;
    Str paragraph = {rest->p, n};
    *rest = (Str){rest->p + n, rest->n - n};
    while (paragraph.n && paragraph.p[paragraph.n - 1] == '\n')
        paragraph.n--;
    return paragraph;
}

bool gen_cut_from_doc(Arena *a, Stmt *doc, Str name, bool details_only) {
    enum { QUOTES = 3 };
    if (!gen_has_word(doc->text, name))
        return true;
    Text t = {.arena = a};
    Str rest = doc->text;
    size_t n = 0;
    for (bool first = true; rest.n; first = false) {
        Str paragraph = take_paragraph(&rest), made = paragraph;
        bool says = gen_has_word(paragraph, name) && !(first && details_only);
        if (says && !cut_paragraph(a, &made, name, first))
            return false;
        if (!made.n)
            continue;
        if (n++)
            text_lit(&t, "\n\n");
        if (says)
            wrap(&t, made, first ? QUOTES : 0);
        else
            text_str(&t, made);
    }
    if (!t.n) /* no sentence is left, or memory was refused */
        return false;
    if (n > 1 || memchr(t.p, '\n', t.n))
        text_char(&t, '\n');
    doc->text = text_view(&t);
    doc->edited = true;
    return true;
}
