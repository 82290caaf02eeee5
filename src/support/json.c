/* JSON strings of hostile text: the result is always valid JSON and valid UTF-8. */
#include "support/json.h"

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD */

static void put_escape(Text *t, char c) {
    if (c == '"' || c == '\\')
        text_printf(t, "\\%c", c);
    else if (c == '\n')
        text_lit(t, "\\n");
    else
        text_printf(t, "\\u%04x", (unsigned)(unsigned char)c);
}

static bool is_plain(char byte, bool json) {
    unsigned char c = (unsigned char)byte;
    return !json || (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f);
}

/* Length of the run from s[start] on that needs no change. */
static size_t plain_run(Str s, size_t start, bool json) {
    for (size_t i = start, next = i; i < s.n; i = next) {
        uint32_t code = str_utf8(s, &next);
        if ((code == 0xFFFD && next == i + 1) ||
            (code < 0x80 && !is_plain(s.p[i], json)))
            return i - start;
    }
    return s.n - start;
}

static void put_clean(Text *t, Str s, bool json) {
    for (size_t i = 0; i < s.n; i++) {
        size_t n = plain_run(s, i, json);
        text_str(t, (Str){s.p + i, n});
        i += n;
        if (i == s.n)
            return;
        if ((unsigned char)s.p[i] < 0x80)
            put_escape(t, s.p[i]);
        else
            text_lit(t, REPLACEMENT);
    }
}

void text_utf8(Text *t, Str s) {
    put_clean(t, s, false);
}

void text_json(Text *t, Str s) {
    text_char(t, '"');
    put_clean(t, s, true);
    text_char(t, '"');
}
