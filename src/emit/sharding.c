/* What a module says about meshes of devices:
 *     PARTITION_RULES = {
 *         ("tensor", "fsdp"): (".q_proj.weight", ".up_proj.weight"),
 *         ("fsdp", "tensor"): (".o_proj.weight", ".down_proj.weight"),
 *     }
 * axes by axis of the parameters whose keys end like this; which, passes/roles.c has found.
 * The helper shardings makes NamedShardings of them, and on_mesh around forward lets XLA
 * shard what lies inside on meshes whose axes are explicit. */
#include "emit/gen.h"

/* ---- whether ------------------------------------------------------------------------- */

static bool has_repeated_blocks(const Gen *g) {
    const Blocks *blocks = g->m->blocks;
    for (size_t i = 0; blocks && i < blocks->kinds.count; i++) {
        const BlockFamily *family = blocks->kinds.items[i]->family;
        if (family && family->parts > 1)
            return true;
    }
    return false;
}

bool gen_is_sharded(const Gen *g) {
    if (g->options->sharding != OX_SHARDING_AUTO)
        return g->options->sharding == OX_SHARDING_ON;
    size_t split = 0;
    for (size_t i = 0; i < g->params.count; i++)
        split += g->params.items[i].is_row;
    return split > 1 && !g->run_time.count && has_repeated_blocks(g);
}

/* ---- rules --------------------------------------------------------------------------- */

static bool same_axes(const ModuleParam *p, const ModuleParam *q) {
    return p->tensor_axis == q->tensor_axis && p->fsdp_axis == q->fsdp_axis &&
           p->expert_axis == q->expert_axis;
}

static bool has_axes(const ModuleParam *p) {
    return p->tensor_axis || p->fsdp_axis || p->expert_axis;
}

static Ending side_of(const ModuleParam *p, const void *user) {
    return same_axes(p, user) ? ENDING_MEANT : ENDING_OTHER;
}

/* ("tensor", "fsdp"), as far as the last axis that is sharded. */
static const Expr *axes_of(Gen *g, const ModuleParam *p) {
    const char *const names[] = {"tensor", "fsdp", "expert"};
    const uint8_t at[] = {p->tensor_axis, p->fsdp_axis, p->expert_axis};
    size_t n = 0;
    for (size_t i = 0; i < OX_COUNT(at); i++)
        n = at[i] > n ? at[i] : n;
    const Expr **items = ARENA_ARRAY(g->arena, n, const Expr *);
    for (size_t i = 0; items && i < n; i++)
        items[i] = ex_none();
    for (size_t i = 0; items && i < OX_COUNT(at); i++)
        if (at[i])
            items[at[i] - 1] = ex_str(g->arena, str_from(names[i]));
    return ex_seq(g->arena, EX_TUPLE, items, items ? n : 0);
}

static bool is_first(const Gen *g, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (same_axes(&g->params.items[k], &g->params.items[i]))
            return false;
    return has_axes(&g->params.items[i]);
}

static void add_rules(Gen *g) {
    enum { KINDS_MAX = 64 }; /* there are few: axes of few ranks */
    const Expr *items[2 * KINDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < g->params.count && n < 2 * KINDS_MAX; i++) {
        const ModuleParam *p = &g->params.items[i];
        if (!is_first(g, i))
            continue;
        items[n++] = axes_of(g, p);
        items[n++] = gen_endings(g, side_of, p, false);
    }
    Stmt s = {.kind = ST_ASSIGN,
              .text = STR("="),
              .apart = true,
              .comment =
                  "Axes of a mesh, by axis of the parameters that end like this: "
                  "see shardings.",
              .target = ex_name(g->arena, STR("PARTITION_RULES")),
              .expr = ex_seq(g->arena, EX_DICT, items, n)};
    (void)code_add(g->arena, &g->program.params, s);
}

void gen_add_shardings(Gen *g) {
    bool nested = g->options->params == OX_PARAMS_NESTED && g->params.count;
    add_rules(g);
    gen_add_helper(g, "sharding_of");
    gen_add_renamed(g, nested ? "nested_shardings" : "shardings", "shardings");
}
