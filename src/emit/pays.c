/* Which functions for blocks pay.  All code is generated once with a function for each
 * kind of block; from its lines and calls follows what it would be without some of them:
 *
 *     def norm(params, x):         3 lines and 4 for the definition, called 2 times in
 *         ...                      layer and once in forward
 *     def layer(params, x):        norm written in place: 2 * 3 lines instead of 2, and
 *         x = norm(..., x)         what norm calls is called 2 times more in layer
 *
 * A function that does not pay is written in place in what calls it, which makes that
 * longer, and so on until all others pay.  Then the code is generated again.
 *
 * What is called once pays by no count: the attention of a layer, its mixture of experts.
 * It stays a function where the layer reads better for it:
 *
 *     def layer(params, x):
 *         x = attention(scope(params, "attention"), x)     more than three statements
 *         hidden = linear(scope(params, "up"), x)
 *         return norm(scope(params, "norm"), x + hidden)
 *
 * Which modules may is in passes/modules/blocks.c. */
#include "emit/gen.h"

enum {
    DEFINITION_LINES = 4, /* what a function takes besides its body */
    ASIDE_STEPS = 4,      /* fewer read better in the only place that they are for, */
    ASIDE_PARAMS = 8,     /* and so does what passes more in */
    ASIDE_RESULTS = 3     /* or out: a decoder's hidden state, and its cache */
};

/* In place, keys of parameters are as long as they are outside of the function. */
void gen_measure(Function *f) {
    size_t path = f->kind->blocks[0]->part->path.n + 1;
    f->lines = gen_lines(&f->def->body, 1, 0);
    f->lines_in_place = gen_lines(&f->def->body, 1, path);
    f->statements = f->def->body.count;
}

static void add_calls(Gen *g, Function *f, Function *caller, size_t count,
                      size_t lines) {
    for (size_t i = 0; i < f->calls.count; i++) {
        Calls *c = &f->calls.items[i];
        if (c->caller != caller)
            continue;
        c->count += count;
        c->lines += lines;
        return;
    }
    Calls calls = {caller, count, lines};
    (void)ARENA_PUSH(g->arena, &f->calls, calls);
}

void gen_note_calls(Gen *g, Function *f, size_t count, size_t lines) {
    add_calls(g, f, g->function, count, lines);
}

/* Called from one place, within a function: not where that is written in place. */
static bool is_aside(const Function *f) {
    bool aside = f->kind->family->aside && !f->in_place;
    for (size_t i = 0; i < f->calls.count; i++)
        aside &= f->calls.items[i].caller != NULL;
    return aside;
}

/* The size of each function as if what stands aside were written in it. */
static void measure_whole(Gen *g) {
    for (size_t i = 0; i < g->functions.count; i++) {
        Function *f = g->functions.items[i];
        f->whole = f->lines;
        f->whole_in_place = f->lines_in_place;
        f->steps = f->statements;
    }
    for (size_t i = 0; i < g->functions.count; i++) { /* callees first */
        Function *f = g->functions.items[i];
        for (size_t k = 0; k < f->calls.count && is_aside(f); k++) {
            const Calls *c = &f->calls.items[k];
            c->caller->whole += c->count * f->whole - c->lines;
            c->caller->whole_in_place += c->count * f->whole_in_place - c->lines;
            c->caller->steps += c->count * (f->steps - 1);
        }
    }
}

static bool saves_lines(const Function *f) {
    size_t count = 0, lines = 0;
    for (size_t i = 0; i < f->calls.count; i++) {
        count += f->calls.items[i].count;
        lines += f->calls.items[i].lines;
    }
    return count > 1 && count * f->whole_in_place > lines + f->whole + DEFINITION_LINES;
}

/* Not within another that does. */
static bool stands_aside(const Function *f) {
    bool stands = is_aside(f) && f->steps >= ASIDE_STEPS &&
                  f->scope.n_params <= ASIDE_PARAMS &&
                  f->kind->blocks[0]->n_out <= ASIDE_RESULTS;
    for (size_t i = 0; stands && i < f->calls.count; i++) {
        const Function *caller = f->calls.items[i].caller;
        stands = !is_aside(caller) || caller->fails;
    }
    return stands;
}

/* What f calls is called by `caller` now, once for each call of f. */
static void take_over(Gen *g, const Function *f, const Calls *of) {
    for (size_t i = 0; i < g->functions.count; i++) {
        Function *callee = g->functions.items[i];
        for (size_t k = 0; k < callee->calls.count; k++) {
            Calls inside = callee->calls.items[k];
            if (inside.caller == f)
                add_calls(g, callee, of->caller, of->count * inside.count,
                          of->count * inside.lines);
        }
    }
}

void gen_forget_calls(Gen *g, const Function *f) {
    for (size_t i = 0; i < g->functions.count; i++) {
        Function *callee = g->functions.items[i];
        size_t kept = 0;
        for (size_t k = 0; k < callee->calls.count; k++)
            if (callee->calls.items[k].caller != f)
                callee->calls.items[kept++] = callee->calls.items[k];
        callee->calls.count = kept;
    }
}

/* Writes f in place where it is called. */
static void put_in_place(Gen *g, Function *f) {
    for (size_t i = 0; i < f->calls.count; i++) {
        const Calls *of = &f->calls.items[i];
        if (of->caller) {
            of->caller->lines += of->count * f->lines - of->lines;
            of->caller->lines_in_place += of->count * f->lines_in_place - of->lines;
            of->caller->statements += of->count * (f->statements - 1);
        }
        take_over(g, f, of);
    }
    gen_forget_calls(g, f);
    f->in_place = true;
    for (size_t i = 0; i < g->m->blocks->kinds.count; i++) {
        BlockKind *k = g->m->blocks->kinds.items[i];
        k->inlined |= k->code == f || (k->code && k->code->twin == f);
    }
}

bool gen_inline_functions(Gen *g) {
    bool any = false, more = true;
    while (more) {
        more = false;
        measure_whole(g);
        for (size_t i = g->functions.count; i-- > 0;) { /* callers first */
            Function *f = g->functions.items[i];
            f->fails = !f->in_place && !saves_lines(f) && !stands_aside(f);
            more |= f->fails;
        }
        for (size_t i = 0; i < g->functions.count; i++)
            if (g->functions.items[i]->fails)
                put_in_place(g, g->functions.items[i]);
        any |= more;
    }
    return any;
}
