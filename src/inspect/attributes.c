/* The attributes of a node as one JSON object.  What is long or no JSON, such as a tensor,
 * is an object that says what it is; graphs are listed elsewhere. */
#include <inttypes.h>
#include <math.h>

#include "code/expr.h"
#include "inspect/report.h"
#include "support/json.h"

enum {
    ITEMS_MAX = 64, /* of a list */
    TEXT_MAX = 1024 /* bytes of a string */
};

/* Shortest digits; JSON has no infinities. */
static void put_float(Text *t, float f) {
    if (isnan(f) || isinf(f))
        text_lit(t, isnan(f) ? "\"nan\"" : f > 0 ? "\"inf\"" : "\"-inf\"");
    else
        text_str(t, ex_float(t->arena, (double)f, 32)->text);
}

static void put_text(Text *t, Str s) {
    if (s.n > TEXT_MAX)
        text_printf(t, "{\"type\": \"string\", \"bytes\": %zu}", s.n);
    else
        text_json(t, s);
}

static void put_array(Text *t, const char *dtype, const int64_t *dims, int rank) {
    text_printf(t, "{\"type\": \"tensor\", \"dtype\": \"%s\", \"shape\": [", dtype);
    for (int i = 0; i < rank; i++)
        text_printf(t, "%s%" PRId64, i ? ", " : "", dims[i]);
    text_lit(t, "]}");
}

static void put_item(Text *t, const Attr *a, size_t i) {
    if (a->type == ATTR_FLOATS)
        put_float(t, a->floats.items[i]);
    else if (a->type == ATTR_INTS)
        text_printf(t, "%" PRId64, a->ints.items[i]);
    else
        put_text(t, a->strings.items[i]);
}

static void put_list(Text *t, const Attr *a, size_t count) {
    if (count > ITEMS_MAX) {
        text_printf(t, "{\"type\": \"%s\", \"count\": %zu}", op_attr_type_name(a->type),
                    count);
        return;
    }
    text_char(t, '[');
    for (size_t i = 0; i < count; i++) {
        text_lit(t, i ? ", " : "");
        put_item(t, a, i);
    }
    text_char(t, ']');
}

static void put_attribute(Text *t, const Attr *a) {
    const Tensor *tensor = a->sparse ? a->sparse->values : a->t;
    if (a->type == ATTR_FLOAT)
        put_float(t, a->f);
    else if (a->type == ATTR_INT)
        text_printf(t, "%" PRId64, a->i);
    else if (a->type == ATTR_STRING)
        put_text(t, a->s);
    else if (a->type == ATTR_FLOATS)
        put_list(t, a, a->floats.count);
    else if (a->type == ATTR_INTS)
        put_list(t, a, a->ints.count);
    else if (a->type == ATTR_STRINGS)
        put_list(t, a, a->strings.count);
    else if (tensor)
        put_array(t, dtype_info(tensor->dtype)->name,
                  a->sparse ? a->sparse->dims : tensor->dims,
                  a->sparse ? a->sparse->rank : tensor->rank);
    else
        text_printf(t, "{\"type\": \"%s\"}", op_attr_type_name(a->type));
}

void report_attributes(Text *t, const Node *n) {
    bool any = false;
    text_char(t, '{');
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const Attr *a = &n->attrs[i];
        if (a->type == ATTR_GRAPH || a->type == ATTR_GRAPHS)
            continue;
        text_lit(t, any ? ", " : "");
        text_json(t, a->name);
        text_lit(t, ": ");
        put_attribute(t, a);
        any = true;
    }
    text_char(t, '}');
}
