/* An inspection as a page: one file that needs no server and no network.
 *
 * The page is written by hand in src/inspect/page; here its holes are filled.  What comes
 * from the model is data: JSON in elements that no browser runs, with "<" escaped, so that
 * no name ends them.  The content security policy allows the page's own script and style,
 * by their hashes, and nothing else. */
#include "inspect/page.h"
#include "inspect/report.h"
#include "support/json.h"
#include "support/sha256.h"

typedef struct Page {
    const Report *r;
    const InspectCode *code;
    Text *out;
} Page;

/* ---- what fills the holes ----------------------------------------------------------- */

static Str file_text(EmbeddedFile file) {
    return (Str){file.text, file.size};
}

/* JSON in a script element; "<" stands in strings only. */
static void put_data(Text *out, Str json) {
    for (size_t i = 0, from = 0; i <= json.n; i++) {
        if (i < json.n && json.p[i] != '<')
            continue;
        text_str(out, (Str){json.p + from, i - from});
        text_lit(out, i < json.n ? "\\u003c" : "");
        from = i + 1;
    }
}

static void put_report(const Page *p) {
    Text json = {.arena = p->out->arena};
    inspect_json(p->r, NULL, &json);
    put_data(p->out, text_view(&json));
}

static void put_compiled(const Page *p) {
    Text json = {.arena = p->out->arena};
    text_lit(&json, "{\"source\":");
    text_json(&json, p->code->source);
    text_lit(&json, ",\n\"messages\":");
    text_json(&json, p->code->messages);
    text_lit(&json, ",\n\"map\":");
    text_str(&json, p->code->line_map.n ? p->code->line_map : STR("null"));
    text_char(&json, '}');
    put_data(p->out, text_view(&json));
}

static const char *entity_of(char c) {
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (unsigned char)c < 0x20 || c == 0x7f ? "\xEF\xBF\xBD" : NULL;
    }
}

/* Text of the model as text of the page. */
static void put_title(const Page *p) {
    Text clean = {.arena = p->out->arena};
    text_utf8(&clean, p->r->m->name);
    Str name = text_view(&clean);
    for (size_t i = 0; i < name.n; i++) {
        const char *entity = entity_of(name.p[i]);
        if (entity)
            text_lit(p->out, entity);
        else
            text_char(p->out, name.p[i]);
    }
}

/* 'sha256-...' of Content Security Policy Level 3. */
static void put_hash(Text *out, Str text) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t hash[SHA256_SIZE + 1] = {0};
    Sha256 h;
    sha256_init(&h);
    sha256_add(&h, text);
    sha256_finish(&h, hash);
    text_lit(out, "'sha256-");
    for (size_t i = 0; i < SHA256_SIZE; i += 3) { /* 32 bytes: the last group has two */
        uint32_t group = (uint32_t)hash[i] << 16 | (uint32_t)hash[i + 1] << 8 |
                         (i + 2 < SHA256_SIZE ? hash[i + 2] : 0);
        for (int k = 0; k < 4; k++)
            text_char(out, i + 2 >= SHA256_SIZE && k == 3
                               ? '='
                               : digits[group >> (18 - 6 * k) & 63]);
    }
    text_char(out, '\'');
}

static void put_policy(const Page *p) {
    text_lit(p->out, "default-src 'none'; style-src ");
    put_hash(p->out, file_text(page_css));
    text_lit(p->out, "; script-src ");
    put_hash(p->out, file_text(page_js));
    text_lit(p->out, "; base-uri 'none'; form-action 'none'");
}

static void put_style(const Page *p) {
    text_str(p->out, file_text(page_css));
}

static void put_script(const Page *p) {
    text_str(p->out, file_text(page_js));
}

static void put_version(const Page *p) {
    text_lit(p->out, OX_VERSION);
}

/* ---- the page ----------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*put)(const Page *p);
} holes[] = {
    {"policy", put_policy}, {"version", put_version}, {"title", put_title},
    {"style", put_style},   {"report", put_report},   {"compiled", put_compiled},
    {"script", put_script},
};

static void fill(const Page *p, Str name) {
    for (size_t i = 0; i < OX_COUNT(holes); i++)
        if (str_is(name, holes[i].name))
            holes[i].put(p);
}

void inspect_html(const Report *r, const InspectCode *code, Text *out) {
    Page p = {r, code, out};
    Str rest = file_text(page_html);
    for (size_t i = 0; i + 1 < rest.n; i++) {
        if (memcmp(rest.p + i, "{{", 2) != 0)
            continue;
        size_t end = i + 2;
        while (end < rest.n && rest.p[end] != '}')
            end++;
        text_str(out, (Str){rest.p, i});
        fill(&p, (Str){rest.p + i + 2, end - i - 2});
        rest = (Str){rest.p + end + 2, rest.n - end - 2};
        i = (size_t)-1;
    }
    text_str(out, rest);
}
