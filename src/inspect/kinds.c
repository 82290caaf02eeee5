/* Which modules are alike: 12 BertLayers are one kind.
 *
 * What a module is stands in a text: its class, the tensors that it alone reads, the
 * floating-point operators of its own with the shapes that they make, and the kinds of the
 * modules in it.  Arithmetic on shapes does not count: exporters leave what several layers
 * share in the first of them. */
#include "inspect/modules.h"

static Text *text_of(Text *texts, const Part *p) {
    return &texts[p->begin];
}

static void put_types(Text *t, const Type *type) {
    text_printf(t, " %d ", (int)type->dtype);
    for (int i = 0; i < type->rank; i++) {
        text_char(t, 'x');
        dim_print(t, type->dims[i]);
    }
}

static void put_node(Text *t, const Node *n) {
    const Value *y = n->n_out ? n->out[0] : NULL;
    if (!y || y->known || y->type.kind != TYPE_TENSOR || !dtype_is_float(y->type.dtype))
        return;
    text_printf(t, "\nnode %.*s %.*s", (int)n->domain.n, n->domain.p, (int)n->op_type.n,
                n->op_type.p);
    put_types(t, &y->type);
}

/* Behind the path of the module; a name that is not below it is one of the exporter's. */
static void put_param(Text *t, const Part *p, const Value *v) {
    text_lit(t, "\nparam ");
    if (str_starts(v->name, p->path))
        text_str(t, (Str){v->name.p + p->path.n, v->name.n - p->path.n});
    put_types(t, &v->type);
}

static void put_own(const Modules *s, Text *texts) {
    const Graph *g = s->m->graph;
    for (size_t i = 0; i < s->parts.count; i++) {
        Str class = s->parts.items[i]->type;
        text_printf(&texts[i], "class %.*s", (int)class.n, class.p);
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        put_node(text_of(texts, g->nodes[i]->part ? g->nodes[i]->part : s->parts.root),
                 g->nodes[i]);
    for (size_t i = 0; i < g->n_params; i++) {
        const Value *v = g->params[i];
        const Part *owner = v->kind == VALUE_PARAM ? s->owner[v->id] : NULL;
        if (owner && v->tensor)
            put_param(text_of(texts, owner), owner, v);
    }
}

void modules_find_kinds(Modules *s) {
    Arena scratch;
    arena_scratch_begin(&scratch, s->m->arena);
    size_t n = s->parts.count;
    Text *texts = ARENA_ARRAY(&scratch, n, Text);
    uint32_t *same =
        ARENA_ARRAY(&scratch, n, uint32_t); /* the last module of the kind */
    uint32_t *number = ARENA_ARRAY(&scratch, n, uint32_t); /* of its kind, + 1 */
    Map seen = {.arena = &scratch};
    for (size_t i = 0; texts && i < n; i++)
        texts[i].arena = &scratch;
    if (texts && same && number)
        put_own(s, texts);
    for (size_t i = scratch.failed ? 0 : n; i-- > 0;) { /* those inside come first */
        const Part *p = s->parts.items[i];
        for (const Part *q = p->children; q; q = q->next)
            text_printf(&texts[i], "\nmodule %u", same[q->begin]);
        const Part *first = map_get(&seen, text_view(&texts[i]));
        same[i] = first ? first->begin : (uint32_t)i;
        if (!first)
            (void)map_set(&seen, text_view(&texts[i]), s->parts.items[i]);
    }
    for (size_t i = 0; !scratch.failed && i < n; i++) {
        uint32_t *kind = &number[same[i]];
        *kind = *kind ? *kind : ++s->kinds;
        s->items[i].kind = *kind - 1;
    }
    arena_scratch_end(&scratch, s->m->arena);
}
