/* Emission as a transaction.  An operator that is emitted with its inputs spliced into its
 * expression may turn out too wide and is then emitted anew, from their names:
 *
 *     mark = gen_begin(g)   what changes from here on is noted first
 *     run_emit(e, true)     x = ...: a statement, a name, helpers, parameters, sizes
 *     gen_undo(g, mark)     all is as before
 *     run_emit(e, false)
 *     gen_end(g)
 *
 * Transactions nest: a value that waits may be emitted while another node is.  What only
 * remembers (tensors of nodes, symbols of dimensions) need not be undone. */
#include "emit/gen.h"

Mark gen_begin(Gen *g) {
    g->undo.open++;
    return (Mark){g->undo.count, g->named.count};
}

void gen_end(Gen *g) {
    if (--g->undo.open == 0)
        g->undo.count = g->named.count = 0;
}

void gen_changes(Gen *g, void *at, size_t size) {
    Change change = {.at = at, .size = size};
    if (!g->undo.open)
        return;
    memcpy(change.old, at, size);
    (void)ARENA_PUSH(g->arena, &g->undo, change);
}

bool gen_map_set(Gen *g, Map *map, Str key, void *value) {
    Change change = {.map = map, .key = key, .value = map_get(map, key)};
    if (g->undo.open)
        (void)ARENA_PUSH(g->arena, &g->undo, change);
    return map_set(map, key, value);
}

/* Lists keep what was pushed behind their count; a key without a value is none. */
void gen_undo(Gen *g, Mark mark) {
    g->named.count = mark.named;
    while (g->undo.count > mark.changes) {
        const Change *change = &g->undo.items[--g->undo.count];
        if (change->map)
            (void)map_set(change->map, change->key, change->value);
        else
            memcpy(change->at, change->old, change->size);
    }
}

void gen_note_named(Gen *g, Named named) {
    if (g->undo.open)
        (void)ARENA_PUSH(g->arena, &g->named, named);
}

ValueCode *gen_code(Gen *g, const Value *v) {
    ValueCode *code = &g->code[v->id];
    gen_changes(g, code, sizeof *code);
    return code;
}

void gen_use_params(Gen *g) {
    gen_changes(g, &g->function->uses_params, sizeof g->function->uses_params);
    g->function->uses_params = true;
}
