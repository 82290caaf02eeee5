/* What a compiled module is, in one line: how many parameters it has, how large they
 * are, and which dimensions of its inputs are open. */
#include "api/api.h"

typedef struct Open {
    Arena *arena;
    Text *text;
    Map seen; /* names of dimensions that are printed */
} Open;

static void add_name(void *user, const Symbol *s) {
    Open *open = user;
    Text name = {.arena = open->arena};
    dim_print_symbol(&name, s);
    Str shown = text_view(&name);
    if (map_get(&open->seen, shown))
        return;
    text_lit(open->text, open->seen.count ? ", " : "; open: ");
    diag_escape(open->text, shown);
    (void)map_set(&open->seen, shown, open->text);
}

/* 624 bytes, 46.8 MB */
static void print_size(Text *t, uint64_t bytes) {
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
    for (size_t i = 0; i < OX_COUNT(units); i++)
        if ((double)bytes >= units[i].unit) {
            text_printf(t, "%.1f %s", (double)bytes / units[i].unit, units[i].name);
            return;
        }
    text_printf(t, "%u bytes", (unsigned)bytes);
}

static void print_params(Text *t, const Module *module) {
    uint64_t values = 0, bytes = 0;
    for (size_t i = 0; i < module->n_params; i++) {
        const Tensor *tensor = module->params[i].tensor;
        uint64_t n = 1;
        for (int k = 0; k < tensor->rank; k++)
            n *= (uint64_t)tensor->dims[k];
        values += n;
        bytes += tensor->size;
    }
    if (!module->n_params) {
        text_lit(t, "no parameters");
        return;
    }
    text_printf(t, "%zu parameter%s, %llu value%s, ", module->n_params,
                module->n_params == 1 ? "" : "s", (unsigned long long)values,
                values == 1 ? "" : "s");
    print_size(t, bytes);
}

Str api_summary(Arena *arena, const Model *model, const Module *module) {
    Text t = {.arena = arena};
    print_params(&t, module);
    Open open = {.arena = arena, .text = &t, .seen = {.arena = arena}};
    const Graph *g = model->graph;
    for (size_t i = 0; i < g->n_inputs; i++)
        for (int k = 0; k < g->inputs[i]->type.rank; k++)
            dim_each_symbol(g->inputs[i]->type.dims[k], add_name, &open);
    return text_view(&t);
}
