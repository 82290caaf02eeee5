/* Modules that some blocks of a class have and others lack, as the shortcut of a ResNet's
 * blocks.  Of
 *
 *     def basic_block(params, x):
 *         hidden = conv(x, params["conv.weight"])
 *         return jax.nn.relu(hidden + x)
 *
 * and the same with batch_norm(scope(params, "downsample"), x) for the last x, the file has
 *
 *     def basic_block(params, x, downsample=False):
 *         hidden = conv(x, params["conv.weight"])
 *         if downsample:
 *             x = batch_norm(scope(params, "downsample"), x)
 *         return jax.nn.relu(hidden + x)
 *
 * The function of the larger kind is generated once more, with the module's statements
 * under `if`, where they give the array that they take another value.  That is right where
 * nobody reads the old one any more, neither it nor its shape, and nothing else that is
 * bound under `if`.  joined_kinds.c then compares what is around, as it does anyway. */
#include "emit/gen.h"

enum { HOSTS_MAX = 2 }; /* functions of one name that are generated once more */

/* ---- which module ------------------------------------------------------------------- */

static bool is_in(const Part *p, const Value *v) {
    return v->def && v->def->part && v->def->order >= p->at &&
           v->def->order < p->at + (p->last - p->first);
}

/* `*one` is v, or becomes it. */
static bool is_only(Value **one, Value *v) {
    if (!*one)
        *one = v;
    return *one == v;
}

/* What p reads from outside is one value, and parameters of the block. */
static bool find_input(const Gen *g, const Block *b, const Part *p, Value **in) {
    bool one = true;
    for (uint32_t i = p->at; one && i < p->at + (p->last - p->first); i++) {
        const Node *n = g->m->graph->nodes[i];
        for (uint32_t k = 0; one && k < n->n_in; k++) {
            Value *v = value_final(n->in[k]);
            if (!v || node_is_fixed(n, k) || v->kind == VALUE_CONST || is_in(p, v))
                continue;
            one = v->kind == VALUE_PARAM ? block_relative_key(b->part, v).n > 0
                                         : is_only(in, v);
        }
    }
    return one && *in;
}

/* What others in the block read of p is one value, of the type of numbers that p takes,
 * and behind p nobody reads what it takes. */
static bool find_output(const Gen *g, const Block *b, const Part *p, Value *in,
                        Value **out) {
    bool one = true;
    uint32_t end = p->at + (p->last - p->first);
    for (uint32_t i = b->first; one && i < b->first + b->count; i++) {
        const Node *n = g->m->graph->nodes[i];
        for (uint32_t k = 0; one && (i < p->at || i >= end) && k < n->n_in; k++) {
            Value *v = value_final(n->in[k]);
            if (v && is_in(p, v))
                one = is_only(out, v);
            else if (v == in)
                one = i < p->at;
        }
    }
    for (size_t i = 0; one && i < b->n_out; i++) {
        Value *v = value_final(b->out[i]);
        one = v != in && (!is_in(p, v) || is_only(out, v));
    }
    return one && *out && (*out)->type.dtype == in->type.dtype &&
           (*out)->type.rank == in->type.rank;
}

static Str path_in(const Part *around, const Part *p) {
    size_t head = around->path.n + 1;
    return (Str){p->path.p + head, p->path.n - head};
}

static const Part *child_named(const Part *around, Str path) {
    const Part *p = around->children;
    while (p && !str_eq(path_in(around, p), path))
        p = p->next;
    return p;
}

static bool is_optional(const Gen *g, const Block *b, const Part *p,
                        OptionalPart *found) {
    *found = (OptionalPart){.part = p};
    return p->whole && p->last > p->first && p->at >= b->first &&
           p->at + (p->last - p->first) <= b->first + b->count &&
           find_input(g, b, p, &found->in) &&
           find_output(g, b, p, found->in, &found->out);
}

/* The module of b that the smaller block lacks, and that is all the difference. */
static bool find_module(const Gen *g, const Block *b, const Block *smaller,
                        OptionalPart *found) {
    for (const Part *p = b->part->children; p; p = p->next)
        if (p->last - p->first == b->count - smaller->count &&
            !child_named(smaller->part, path_in(b->part, p)))
            return is_optional(g, b, p, found);
    return false;
}

/* ---- its statements ----------------------------------------------------------------- */

typedef struct Finding {
    Str name;
    bool found;
} Finding;

static void find_name(void *user, Str dotted) {
    Finding *f = user;
    f->found |= str_eq(str_before(dotted, '.'), f->name);
}

/* v will be read, and its expression reads the name that is going to be another value's. */
static bool reads_old(const Gen *g, const OptionalPart *o, const Value *v, Str name) {
    const ValueCode *c = v && v->kind == VALUE_NODE ? &g->code[v->id] : NULL;
    Finding f = {.name = name};
    if (c && c->expr && v != o->in && !is_in(o->part, v))
        ex_each_name(c->expr, find_name, &f);
    bool waits = c && c->state == VS_NONE && v->reals && v->def->order < o->part->at;
    return f.found || waits;
}

static bool some_read_old(const Gen *g, const OptionalPart *o, Str name) {
    const Block *b = g->function->kind->blocks[0];
    bool any = false;
    for (uint32_t i = o->part->at + (o->part->last - o->part->first);
         i < b->first + b->count; i++) {
        const Node *n = g->m->graph->nodes[i];
        for (uint32_t k = 0; k < n->n_in; k++)
            any |= reads_old(g, o, value_final(n->in[k]), name);
    }
    for (size_t i = 0; i < b->n_out; i++)
        any |= reads_old(g, o, value_final(b->out[i]), name);
    return any;
}

bool gen_begins_optional(const Gen *g, uint32_t at, uint32_t count) {
    const OptionalPart *o = g->function ? &g->function->optional : NULL;
    return o && o->part && !o->tried && at == o->part->at &&
           count <= o->part->last - o->part->first;
}

bool gen_begin_optional(Gen *g, Stmts *outer) {
    OptionalPart *o = &g->function->optional;
    o->tried = true;
    const Expr *x = gen_value(g, o->in, false);
    if (x->kind != EX_NAME || memchr(x->text.p, '.', x->text.n) ||
        some_read_old(g, o, x->text))
        return false;
    o->target = x;
    Str last = str_after_last(o->part->path, '.');
    o->name = gen_unique_name(g, gen_identifier(g->arena, last, "present"));
    *outer = g->scope->body;
    g->scope->body = (Stmts){0};
    return true;
}

/* `down`, the code of a node of the module, or a call of it where all are in functions. */
static const Expr *test_of(Gen *g, const OptionalPart *o) {
    const Block *around = g->function->kind->blocks[0], *inside = NULL;
    const Expr *x = ex_name(g->arena, o->name);
    for (uint32_t i = o->part->at; i < o->part->at + (o->part->last - o->part->first);
         i++) {
        inside = block_inside(g->m->graph->nodes[i], around);
        if (!inside)
            return gen_note_node(g, x, g->m->graph->nodes[i]);
    }
    return inside ? gen_note_call(g, x, gen_function_of(inside)) : x;
}

void gen_end_optional(Gen *g, const Stmts *outer) {
    OptionalPart *o = &g->function->optional;
    Stmts *body = ARENA_NEW(g->arena, Stmts);
    gen_assign(g, &g->scope->body, o->target, gen_only_result(g, o->out));
    if (body)
        *body = g->scope->body;
    g->scope->body = *outer;
    ValueCode *c = &g->code[o->out->id];
    c->state = VS_DONE;
    c->expr = o->target;
    Stmt s = {.kind = ST_IF, .expr = test_of(g, o), .body = body};
    o->made = body && code_add(g->arena, &g->scope->body, s);
}

/* ---- whether that is right ---------------------------------------------------------- */

bool gen_is_optional(const Stmt *s, Str name) {
    return name.n && s->kind == ST_IF && s->expr->kind == EX_NAME &&
           str_eq(s->expr->text, name);
}

typedef struct Check {
    Map bound; /* under `if`, but for the target */
    Str target;
    bool wrong;
} Check;

static void check_name(void *user, Str dotted) {
    Check *c = user;
    c->wrong |= map_get(&c->bound, str_before(dotted, '.')) != NULL;
}

static void check_expr(void *user, const Expr *x) {
    Check *c = user;
    ex_each_name(x, check_name, c);
    if (x->kind == EX_ATTRIBUTE && str_is(x->text, "shape") &&
        x->kids[0]->kind == EX_NAME)
        c->wrong |= str_eq(x->kids[0]->text, c->target);
}

static void check_each(void *user, const Expr *x) {
    ex_each(x, check_expr, user);
}

static void note_bound(Gen *g, Map *bound, const Expr *target, Str but) {
    if (target->kind == EX_NAME && !str_eq(target->text, but))
        (void)map_set(bound, target->text, g);
    for (uint32_t i = 0; target->kind != EX_NAME && i < target->n; i++)
        if (target->kids[i])
            note_bound(g, bound, target->kids[i], but);
}

void gen_note_bound(Gen *g, Map *bound, const Stmts *body, Str but) {
    for (size_t i = 0; i < body->count; i++) {
        if (body->items[i].target)
            note_bound(g, bound, body->items[i].target, but);
        if (body->items[i].body)
            gen_note_bound(g, bound, body->items[i].body, but);
    }
}

/* Behind `if` no statement reads what is bound there, nor the shape that was before. */
static bool is_right(Gen *g, const Function *f) {
    Check c = {.bound = {.arena = g->arena}, .target = f->optional.target->text};
    const Stmts *body = &f->def->body;
    size_t at = 0;
    while (at < body->count && !gen_is_optional(&body->items[at], f->optional.name))
        at++;
    if (at == body->count || f->n_args != f->scope.n_params - f->uses_params)
        return false;
    gen_note_bound(g, &c.bound, body->items[at].body, c.target);
    Stmts rest = {.items = body->items + at + 1, .count = body->count - at - 1};
    code_each_expr(&rest, check_each, &c);
    return !c.wrong;
}

/* ---- functions ---------------------------------------------------------------------- */

/* The function of a kind with that module under `if`; NULL where that is not right. */
static Function *make(Gen *g, BlockKind *kind, const OptionalPart *part) {
    Function *was = kind->code;
    Function *f = gen_make_function(g, kind, part);
    kind->code = was;
    bool right =
        f && !g->arena->failed && f->optional.made && !f->run_time && is_right(g, f);
    if (f && !right)
        gen_forget_calls(g, f);
    return right ? f : NULL;
}

static bool join_larger(Gen *g, BlockKind *kind, Function *host,
                        const OptionalPart *part) {
    Function *f = make(g, kind, part);
    if (!f || g->arena->failed)
        return false;
    if (gen_join_with(g, host, f)) {
        gen_forget_calls(g, kind->code);
        kind->code = f;
        return true;
    }
    gen_forget_calls(g, f);
    return false;
}

static bool has_twins(const Gen *g, const Function *f) {
    const Blocks *blocks = g->m->blocks;
    bool any = false;
    for (size_t i = 0; i < blocks->kinds.count; i++) {
        const Function *other = blocks->kinds.items[i]->code;
        any |= other && other->twin == f;
    }
    return any;
}

static bool same_params(const Function *a, const Function *b) {
    bool same = a->scope.n_params == b->scope.n_params && a->n_args == b->n_args;
    for (size_t i = 0; same && i < a->scope.n_params; i++)
        same = str_eq(a->scope.params[i], b->scope.params[i]);
    for (size_t i = 0; same && i < a->n_args; i++)
        same = a->args[i] == b->args[i];
    return same;
}

/* The kind that came first has the module, and f lacks it. */
static bool join_smaller(Gen *g, Function *host, Function *f,
                         const OptionalPart *part) {
    BlockKind *kind = (BlockKind *)host->kind;
    Function *larger = make(g, kind, part);
    if (!larger || g->arena->failed)
        return false;
    gen_forget_calls(g, larger);
    if (!same_params(host, larger))
        return false;
    Function old = *host;
    Def def = *host->def;
    host->optional = larger->optional;
    host->def->body = larger->def->body;
    host->used_names = larger->used_names;
    gen_give_optional(g, host);
    if (gen_join_with(g, host, f))
        return true;
    *host->def = def;
    old.calls = host->calls;
    *host = old;
    return false;
}

static bool try_host(Gen *g, BlockKind *kind, Function *host) {
    Function *f = kind->code;
    const Block *b = kind->blocks[0], *other = host->kind->blocks[0];
    OptionalPart part;
    if (host->differs.optional.n) {
        const Part *p = child_named(b->part, host->differs.optional);
        return p && is_optional(g, b, p, &part) && join_larger(g, kind, host, &part);
    }
    if (b->count > other->count)
        return find_module(g, b, other, &part) && join_larger(g, kind, host, &part);
    return other->count > b->count && !host->differs.n_choices &&
           !host->differs.n_sizes && !has_twins(g, host) &&
           find_module(g, other, b, &part) && join_smaller(g, host, f, &part);
}

void gen_join_optional(Gen *g, BlockKind *kind) {
    int tries = 0;
    for (size_t i = 0; i < g->functions.count && tries < HOSTS_MAX; i++) {
        Function *host = g->functions.items[i];
        if (g->arena->failed || kind->code->run_time || host->run_time ||
            !str_eq(gen_without_number(host->scope.name), kind->code->scope.name))
            continue;
        tries++;
        if (try_host(g, kind, host))
            return;
    }
}
