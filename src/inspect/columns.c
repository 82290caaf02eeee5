/* Tables of text: alignment, cutting and the width of characters. */
#include "inspect/columns.h"

#include <inttypes.h>

enum { WIDTH_MAX = 44 };

typedef struct Range {
    uint32_t first, last;
} Range;

static bool is_in(const Range *ranges, size_t n, uint32_t code) {
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

static size_t columns_of_code(uint32_t code) {
    static const Range wide[] = {
        {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xA960, 0xA97F},
        {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
        {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF},
        {0x20000, 0x3FFFD},
    };
    static const Range none[] = {
        {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x064B, 0x065F},
        {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F},
    };
    if (code < 0x300)
        return 1;
    return is_in(none, OX_COUNT(none), code)   ? 0
           : is_in(wide, OX_COUNT(wide), code) ? 2
                                               : 1;
}

size_t columns_of(Str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n;)
        n += columns_of_code(str_utf8(s, &i));
    return n;
}

void append_spaces(Text *t, size_t n) {
    while (n-- > 0)
        text_char(t, ' ');
}

Text *table_cell(Table *t) {
    t->cell.n = 0;
    return &t->cell;
}

/* As much of s as fits into `width` columns, and "...". */
static Str cut_to(Table *t, Str s, size_t width) {
    static const Str dots = {"...", 3};
    size_t n = 0, end = 0;
    for (size_t i = 0; i < s.n; end = i) {
        n += columns_of_code(str_utf8(s, &i));
        if (n + dots.n > width)
            break;
    }
    t->cell.n = end;
    text_str(&t->cell, dots);
    return text_view(&t->cell);
}

/* Padding is owed until another cell follows, so that no line ends in spaces. */
void table_end_cell(Table *t, bool right) {
    Str s = t->cell.n ? text_view(&t->cell) : STR("");
    size_t n = columns_of(s), *width = &t->width[t->column++];
    if (t->cut && !right && n > t->widest) {
        s = cut_to(t, s, t->widest);
        n = columns_of(s);
    }
    if (t->measuring) {
        if (n > *width)
            *width = n < t->widest ? n : t->widest;
        return;
    }
    size_t gap = *width > n ? *width - n : 0;
    if (s.n) {
        append_spaces(t->out, t->padding + (right ? gap : 0));
        text_str(t->out, s);
        t->padding = (right ? 0 : gap) + 2;
    } else {
        t->padding += *width + 2;
    }
}

void table_put(Table *t, Str s) {
    diag_escape(table_cell(t), s);
    table_end_cell(t, false);
}

Text *table_plain(Table *t) {
    t->plain.n = 0;
    return &t->plain;
}

void table_put_plain(Table *t) {
    table_put(t, t->plain.n ? text_view(&t->plain) : STR(""));
}

void table_end_row(Table *t) {
    t->column = 0;
    t->padding = 2;
    if (!t->measuring)
        text_char(t->out, '\n');
}

void table_print(Table *t, Text *out, void (*rows)(Table *t, const void *user),
                 const void *user) {
    t->out = out;
    t->cell = t->plain = (Text){.arena = out->arena};
    t->padding = 2;
    if (!t->widest)
        t->widest = WIDTH_MAX;
    t->measuring = true;
    rows(t, user);
    t->measuring = false;
    rows(t, user);
}

/* ---- numbers ----------------------------------------------------------------------- */

void append_bytes(Text *t, uint64_t n) {
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    if (n < 1000) {
        text_printf(t, "%" PRIu64 " B", n);
        return;
    }
    double x = (double)n / 1000;
    size_t unit = 0;
    while (x >= 999.95 && unit + 1 < OX_COUNT(units))
        x /= 1000, unit++;
    text_printf(t, "%.1f %s", x, units[unit]);
}

void append_count(Text *t, uint64_t n) {
    if (n >= 1000) {
        append_count(t, n / 1000);
        text_printf(t, ",%03u", (unsigned)(n % 1000));
    } else {
        text_printf(t, "%u", (unsigned)n);
    }
}

void append_short(Text *t, double n) {
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    size_t unit = 0;
    while (n >= 999.5 && unit + 1 < OX_COUNT(units))
        n /= 1000, unit++;
    int digits = unit == 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
    text_printf(t, "%.*f%s", digits, n, units[unit]);
}
