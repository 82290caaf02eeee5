/* What code comes from: notes on expressions and statements, from which line_map.c makes
 * the map of the printed module.  A note is a number of 32 bits; only where an expression
 * has several is there more to keep. */
#include "emit/gen.h"

enum { KIND_SHIFT = 30 };
#define NUMBER_MASK ((UINT32_C(1) << KIND_SHIFT) - 1)

/* 0 where the number is too large for a note. */
static uint32_t note_of(NoteKind kind, size_t number) {
    return number < NUMBER_MASK ? (uint32_t)kind << KIND_SHIFT | (uint32_t)(number + 1)
                                : 0;
}

static NoteKind kind_of(uint32_t note) {
    return (NoteKind)(note >> KIND_SHIFT);
}

bool gen_next_note(const Gen *g, NoteList *list, NoteKind *kind, uint32_t *number) {
    uint32_t note = list->rest;
    if (!note)
        return false;
    list->rest = 0;
    if (kind_of(note) == NOTE_CHAIN) {
        const NotePair *pair = &g->notes.items[(note & NUMBER_MASK) - 1];
        list->rest = pair->next;
        note = pair->note;
    }
    *kind = kind_of(note);
    *number = (note & NUMBER_MASK) - 1;
    return note != 0;
}

static const Expr *add(Gen *g, const Expr *x, uint32_t note) {
    if (!x || !note || x->note == note)
        return x;
    NotePair pair = {note, x->note};
    if (pair.next && !ARENA_PUSH(g->arena, &g->notes, pair))
        return x;
    return ex_note(g->arena, x,
                   pair.next ? note_of(NOTE_CHAIN, g->notes.count - 1) : note);
}

const Expr *gen_note_node(Gen *g, const Expr *x, const Node *n) {
    return add(g, x, note_of(NOTE_NODE, n->index));
}

const Expr *gen_note_call(Gen *g, const Expr *x, const Function *f) {
    return add(g, x, note_of(NOTE_FUNCTION, f->number));
}

const Expr *gen_note_read(Gen *g, const Expr *x, const Value *v) {
    return GEN_PUSH(g, &g->reads, v)
               ? add(g, x, note_of(NOTE_PARAM, g->reads.count - 1))
               : x;
}

uint32_t gen_statement_note(const Gen *g) {
    return g->node ? note_of(NOTE_NODE, g->node->index) : 0;
}
