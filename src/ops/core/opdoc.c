/* Prints the registry: the table behind `oxide_xla ops` and docs/operators.md.  One row
 * a name, its newest form in words and the opsets at which it changed. */
#include "ops/core/op.h"

#include <stdlib.h>

typedef struct Rows {
    const OpDef **items;
    size_t count, cap;
} Rows;

static const char *domain_of(const OpDef *op) {
    return op->domain ? op->domain : "ai.onnx";
}

static int compare(const void *a, const void *b) {
    const OpDef *x = *(const OpDef *const *)a, *y = *(const OpDef *const *)b;
    int c = strcmp(domain_of(x), domain_of(y));
    if (c == 0)
        c = strcmp(x->name, y->name);
    return c ? c : (x->since > y->since) - (x->since < y->since);
}

static Rows collect(Arena *a, Str name) {
    Rows rows = {0};
    const OpDef *op;
    for (size_t i = 0; (op = op_at(i)); i++) {
        bool internal = op->domain && strcmp(op->domain, OP_INTERNAL) == 0;
        if (!internal && (name.n == 0 || str_is(name, op->name)))
            ARENA_PUSH(a, &rows, op);
    }
    if (rows.count)
        qsort(rows.items, rows.count, sizeof *rows.items, compare);
    return rows;
}

/* How many entries from i on are versions of one operator. */
static size_t same_op(const Rows *rows, size_t i) {
    size_t n = 1;
    while (i + n < rows->count &&
           strcmp(rows->items[i]->name, rows->items[i + n]->name) == 0 &&
           strcmp(domain_of(rows->items[i]), domain_of(rows->items[i + n])) == 0)
        n++;
    return n;
}

const char *op_attr_type_name(AttrType type) {
    static const char *const texts[] = {
        [ATTR_NONE] = "any",        [ATTR_FLOAT] = "float",
        [ATTR_INT] = "int",         [ATTR_STRING] = "string",
        [ATTR_TENSOR] = "tensor",   [ATTR_GRAPH] = "graph",
        [ATTR_FLOATS] = "floats",   [ATTR_INTS] = "ints",
        [ATTR_STRINGS] = "strings", [ATTR_TENSORS] = "tensors",
        [ATTR_GRAPHS] = "graphs",   [ATTR_SPARSE] = "sparse",
        [ATTR_SPARSES] = "sparses", [ATTR_TYPE] = "type",
        [ATTR_TYPES] = "types",
    };
    return (size_t)type < OX_COUNT(texts) && texts[type] ? texts[type] : "any";
}

static void json_string(Text *t, const char *s) {
    text_char(t, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            text_char(t, '\\');
        text_char(t, *s);
    }
    text_char(t, '"');
}

/* ---- JSON --------------------------------------------------------------------------
 */

static void json_slots(Text *t, const char *key, const char *spec) {
    text_printf(t, ", \"%s\": [", key);
    OpSlot slot;
    for (bool first = true; op_spec_next(&spec, &slot); first = false)
        text_printf(t, "%s{\"name\": \"%.*s\", \"optional\": %s, \"variadic\": %s}",
                    first ? "" : ", ", (int)slot.name.n, slot.name.p,
                    slot.optional ? "true" : "false", slot.variadic ? "true" : "false");
    text_char(t, ']');
}

static void json_attr(Text *t, const OpAttr *a) {
    text_printf(t, "{\"name\": \"%s\", \"type\": \"%s\", \"required\": %s", a->name,
                op_attr_type_name(a->type), a->required ? "true" : "false");
    if (a->has_default) {
        text_lit(t, ", \"default\": ");
        if (a->type == ATTR_STRING)
            json_string(t, a->s ? a->s : "");
        else if (a->type == ATTR_FLOAT)
            text_printf(t, "%.9g", a->f);
        else
            text_printf(t, "%lld", (long long)a->i);
    }
    text_char(t, '}');
}

static void json_version(Text *t, const OpDef *op) {
    text_printf(t, "{\"since\": %d, \"until\": ", op->since);
    if (op->until)
        text_printf(t, "%d", op->until);
    else
        text_lit(t, "null");
    json_slots(t, "inputs", op->in);
    json_slots(t, "outputs", op->out);
    text_lit(t, ", \"attributes\": [");
    for (int i = 0; i < OP_MAX_ATTRS && op->attrs[i].name; i++) {
        text_lit(t, i ? ", " : "");
        json_attr(t, &op->attrs[i]);
    }
    text_printf(
        t, "], \"refused\": %s, \"jax\": ", op->facts & OP_REFUSED ? "true" : "false");
    if (op->jax)
        json_string(t, op->jax);
    else
        text_lit(t, "null");
    text_char(t, '}');
}

static void print_json(Text *t, const Rows *rows) {
    text_lit(t, "[");
    for (size_t i = 0, n; i < rows->count; i += n) {
        n = same_op(rows, i);
        const OpDef *op = rows->items[i];
        text_printf(t, "%s\n  {\"name\": \"%s\", \"domain\": \"%s\", \"versions\": [",
                    i ? "," : "", op->name, domain_of(op));
        for (size_t k = 0; k < n; k++) {
            text_lit(t, k ? ",\n    " : "\n    ");
            json_version(t, rows->items[i + k]);
        }
        text_lit(t, "]}");
    }
    text_lit(t, rows->count ? "\n]\n" : "]\n");
}

/* ---- text and Markdown -------------------------------------------------------------
 */

#ifndef OX_ONLY_JSON

static void print_versions(Text *t, const OpDef *const *ops, size_t n) {
    for (size_t k = 0; k < n; k++)
        text_printf(t, "%s%d", k ? ", " : "", ops[k]->since);
    if (ops[n - 1]->until)
        text_printf(t, " (until %d)", ops[n - 1]->until);
}

static void print_slots(Text *t, const char *spec) {
    OpSlot slot;
    for (bool first = true; op_spec_next(&spec, &slot); first = false)
        text_printf(t, "%s%.*s%s", first ? "" : ", ", (int)slot.name.n, slot.name.p,
                    slot.optional   ? "?"
                    : slot.variadic ? "..."
                                    : "");
}

static void print_attr(Text *t, const OpAttr *a) {
    text_lit(t, a->name);
    if (a->required)
        text_lit(t, " (required)");
    if (!a->has_default)
        return;
    if (a->type == ATTR_STRING)
        text_printf(t, "=\"%s\"", a->s ? a->s : "");
    else if (a->type == ATTR_FLOAT)
        text_printf(t, "=%.9g", a->f);
    else
        text_printf(t, "=%lld", (long long)a->i);
}

static void print_attrs(Text *t, const OpDef *op) {
    for (int i = 0; i < OP_MAX_ATTRS && op->attrs[i].name; i++) {
        text_lit(t, i ? ", " : "");
        print_attr(t, &op->attrs[i]);
    }
}

/* The bar of `$(x|default)` would end a Markdown cell. */
static void print_cell_code(Text *t, const char *s) {
    text_char(t, '`');
    for (; *s; s++)
        text_lit(t, *s == '|' ? "\\|" : (char[]){*s, '\0'});
    text_char(t, '`');
}

static void print_markdown(Text *t, const Rows *rows) {
    text_lit(t,
             "| operator | domain | versions | inputs | outputs | attributes | JAX |\n"
             "| --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0, n; i < rows->count; i += n) {
        n = same_op(rows, i);
        const OpDef *op = rows->items[i + n - 1];
        text_printf(t, "| %s | %s | ", op->name, domain_of(op));
        print_versions(t, &rows->items[i], n);
        text_lit(t, " | ");
        print_slots(t, op->in);
        text_lit(t, " | ");
        print_slots(t, op->out);
        text_lit(t, " | ");
        print_attrs(t, op);
        text_lit(t, " | ");
        if (op->jax)
            print_cell_code(t, op->jax);
        else
            text_lit(t, op->facts & OP_REFUSED ? "refused" : "callback");
        text_lit(t, " |\n");
    }
}

static void print_ascii_op(Text *t, const OpDef *const *ops, size_t n) {
    const OpDef *op = ops[n - 1];
    text_printf(t, "%s (%s ", op->name, domain_of(op));
    print_versions(t, ops, n);
    text_lit(t, ")\n  inputs:     ");
    print_slots(t, op->in);
    text_lit(t, "\n  outputs:    ");
    print_slots(t, op->out);
    if (op->attrs[0].name) {
        text_lit(t, "\n  attributes: ");
        print_attrs(t, op);
    }
    const char *code = op->facts & OP_REFUSED ? "refused" : "callback";
    text_printf(t, "\n  JAX:        %s\n", op->jax ? op->jax : code);
}

static void print_ascii(Text *t, const Rows *rows) {
    for (size_t i = 0, n; i < rows->count; i += n) {
        n = same_op(rows, i);
        print_ascii_op(t, &rows->items[i], n);
    }
}

#endif

void op_print(Text *t, OxFormat format, Str name) {
    Rows rows = collect(t->arena, name);
    if (format == OX_JSON)
        print_json(t, &rows);
#ifndef OX_ONLY_JSON
    else if (format == OX_MARKDOWN)
        print_markdown(t, &rows);
    else
        print_ascii(t, &rows);
#endif
}
