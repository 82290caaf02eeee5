/* Whether two parts of a graph compute the same: a walk over both in step. */
#include "passes/modules/blocks.h"
#include "passes/passes.h"

/* How a node of the part reads a value. */
typedef enum RefKind {
    REF_NONE,    /* an absent input */
    REF_LOCAL,   /* output `out` of the part's node number `index` */
    REF_LITERAL, /* written in place */
    REF_FIXED,   /* only its known elements are read: see OpDef.fixed */
    REF_PARAM,   /* a parameter below the part */
    REF_ARG,     /* argument number `index` */
} RefKind;

typedef struct Ref {
    RefKind kind;
    uint32_t index, out;
    Str key;
    const Value *v;
} Ref;

/* One of the parts being compared, with its arguments so far. */
typedef struct Side {
    const Part *part;
    uint32_t stamp, *stamps; /* by value id: `index` belongs to this walk */
    uint32_t *index;
    Value **args;
    uint32_t n_args;
} Side;

struct Same {
    Graph *graph;
    Side a, b;
};

static void side_init(Arena *scratch, Side *s, size_t values) {
    s->stamps = ARENA_ARRAY(scratch, values, uint32_t);
    s->index = ARENA_ARRAY(scratch, values, uint32_t);
    s->args = ARENA_ARRAY(scratch, values, Value *);
}

Same *same_new(Arena *scratch, Model *m) {
    Same *s = ARENA_NEW(scratch, Same);
    if (!s)
        return NULL;
    s->graph = m->graph;
    side_init(scratch, &s->a, m->value_count + 1);
    side_init(scratch, &s->b, m->value_count + 1);
    return scratch->failed ? NULL : s;
}

static void side_begin(Side *s, const Part *p) {
    s->part = p;
    s->stamp++;
    s->n_args = 0;
}

static uint32_t part_size(const Part *p) {
    return p->last - p->first;
}

Str block_relative_key(const Part *part, const Value *param) {
    Str key = param_key_of(param), path = part->path;
    const char *call = memchr(path.p, '@', path.n); /* layers.0@1: its second call */
    if (call)
        path.n = (size_t)(call - path.p);
    if (key.n < path.n + 2 || !str_starts(key, path) || key.p[path.n] != '.')
        return (Str){0};
    return (Str){key.p + path.n + 1, key.n - path.n - 1};
}

/* ---- references -------------------------------------------------------------------- */

static bool local(const Side *s, const Value *v, Ref *ref) {
    if (!v->def || v->def->part == NULL || v->def->order < s->part->at ||
        v->def->order >= s->part->at + part_size(s->part))
        return false;
    *ref = (Ref){.kind = REF_LOCAL,
                 .index = v->def->order - s->part->at,
                 .out = v->out_index,
                 .v = v};
    return true;
}

static uint32_t arg_index(Side *s, Value *v) {
    if (s->stamps[v->id] != s->stamp) {
        s->stamps[v->id] = s->stamp;
        s->index[v->id] = s->n_args;
        s->args[s->n_args++] = v;
    }
    return s->index[v->id];
}

static Ref ref_of(Side *s, const Node *n, uint32_t i) {
    Value *v = value_final(n->in[i]);
    Ref ref = {.v = v};
    if (!v)
        return ref;
    if (node_is_fixed(n, i)) {
        ref.kind = REF_FIXED;
        return ref;
    }
    if (local(s, v, &ref))
        return ref;
    ref.key = v->kind == VALUE_PARAM ? block_relative_key(s->part, v) : (Str){0};
    ref.kind = v->kind == VALUE_CONST ? REF_LITERAL : ref.key.n ? REF_PARAM : REF_ARG;
    if (ref.kind == REF_ARG)
        ref.index = arg_index(s, v);
    return ref;
}

Value **same_args(Same *s, const Part *p, size_t *n) {
    side_begin(&s->a, p);
    for (uint32_t i = 0; i < part_size(p); i++) {
        const Node *node = s->graph->nodes[p->at + i];
        for (uint32_t k = 0; k < node->n_in; k++)
            (void)ref_of(&s->a, node, k);
    }
    *n = s->a.n_args;
    return s->a.args;
}

/* ---- hash -------------------------------------------------------------------------- */

static uint64_t hash_ref(uint64_t h, const Ref *r) {
    h = hash_mix(h, (uint64_t)r->kind);
    switch (r->kind) {
    case REF_LOCAL:
        return hash_mix(hash_mix(h, r->index), r->out);
    case REF_ARG:
        return hash_mix(h, r->index);
    case REF_PARAM:
        return hash_mix(h, str_hash(r->key));
    default:
        return h;
    }
}

uint64_t same_hash(Same *s, const Part *p) {
    uint64_t h = part_size(p);
    side_begin(&s->a, p);
    for (uint32_t i = 0; i < part_size(p); i++) {
        const Node *n = s->graph->nodes[p->at + i];
        h = hash_mix(hash_mix(h, str_hash(n->op_type)),
                     ((uint64_t)n->n_in << 32) | n->n_out);
        for (uint32_t k = 0; k < n->n_in; k++) {
            Ref r = ref_of(&s->a, n, k);
            h = hash_ref(h, &r);
        }
    }
    return h;
}

/* ---- dimensions -------------------------------------------------------------------- */

static bool same_dim(const Same *s, Dim a, Dim b);

/* A symbol of the one part for a symbol of the other. */
static bool same_symbol(const Same *s, const Symbol *a, const Symbol *b) {
    const Value *va = value_final(a->value), *vb = value_final(b->value);
    Ref ra, rb;
    bool in_a = va && local(&s->a, va, &ra), in_b = vb && local(&s->b, vb, &rb);
    if (in_a || in_b)
        return in_a && in_b && ra.index == rb.index && ra.out == rb.out &&
               a->axis == b->axis;
    if (a == b)
        return true;
    return va && vb && !a->name.n && !b->name.n && a->axis == b->axis &&
           s->a.stamps[va->id] == s->a.stamp && s->b.stamps[vb->id] == s->b.stamp &&
           s->a.index[va->id] == s->b.index[vb->id];
}

static bool same_atom(const Same *s, const Atom *a, const Atom *b) {
    if (a->kind != b->kind)
        return false;
    if (a->kind == ATOM_SYMBOL)
        return same_symbol(s, a->symbol, b->symbol);
    return same_dim(s, a->a, b->a) && same_dim(s, a->b, b->b);
}

static bool same_term(const Same *s, const Monomial *a, const Monomial *b) {
    bool same = a->coef == b->coef && a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++)
        same = same_atom(s, a->atoms[i], b->atoms[i]);
    return same;
}

static bool same_dim(const Same *s, Dim a, Dim b) {
    if (dim_is_int(a) || dim_is_int(b))
        return dim_is_int(a) && dim_is_int(b) && a.c == b.c;
    bool same = a.poly->n == b.poly->n;
    for (uint32_t i = 0; same && i < a.poly->n; i++)
        same = same_term(s, &a.poly->terms[i], &b.poly->terms[i]);
    return same;
}

static bool same_tensor_type(const Same *s, const Type *a, const Type *b) {
    bool same = a->kind == TYPE_TENSOR && b->kind == TYPE_TENSOR &&
                a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = same_dim(s, a->dims[i], b->dims[i]);
    return same;
}

/* Of tensors, and of sequences of tensors, as a split into heads gives. */
static bool same_type(const Same *s, const Type *a, const Type *b) {
    if (a->kind != TYPE_SEQUENCE || b->kind != TYPE_SEQUENCE)
        return same_tensor_type(s, a, b);
    return a->elem && b->elem && same_tensor_type(s, a->elem, b->elem);
}

/* ---- values ------------------------------------------------------------------------ */

static bool same_known(const Same *s, const Known *a, const Known *b) {
    if (!a || !b)
        return a == b;
    bool same = a->n == b->n && !a->floats == !b->floats;
    for (size_t i = 0; same && i < a->n; i++)
        same = a->floats ? memcmp(&a->floats[i], &b->floats[i], sizeof *a->floats) == 0
                         : same_dim(s, a->ints[i], b->ints[i]);
    return same;
}

static bool same_reals(const Same *s, const Reals *a, const Reals *b) {
    if (!a || !b)
        return a == b;
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = a->items[i].kind == b->items[i].kind &&
               a->items[i].den == b->items[i].den &&
               same_dim(s, a->items[i].num, b->items[i].num);
    return same;
}

/* The code for both is the same: as literal, as shape, as what inference knows. */
static bool same_facts(const Same *s, const Value *a, const Value *b) {
    bool opaque = a->kind == VALUE_CONST && !a->known && !a->splat;
    return a->follows == b->follows && a->is_frozen == b->is_frozen &&
           a->holds_limit == b->holds_limit && same_type(s, &a->type, &b->type) &&
           same_known(s, a->known, b->known) && same_known(s, a->splat, b->splat) &&
           same_reals(s, a->reals, b->reals) && (!opaque || a == b);
}

static bool same_ref(Same *s, const Ref *a, const Ref *b) {
    if (a->kind != b->kind || a->index != b->index || a->out != b->out ||
        !str_eq(a->key, b->key))
        return false;
    return a->kind == REF_NONE || a->kind == REF_LOCAL || same_facts(s, a->v, b->v);
}

static bool same_attrs(const Node *a, const Node *b) {
    bool same = a->n_attrs == b->n_attrs;
    for (uint32_t i = 0; same && i < a->n_attrs; i++)
        same = attr_same(&a->attrs[i], &b->attrs[i]);
    return same;
}

static bool same_node(Same *s, const Node *a, const Node *b) {
    bool same = a->op == b->op && a->n_in == b->n_in && a->n_out == b->n_out &&
                a->opset == b->opset && same_attrs(a, b);
    for (uint32_t i = 0; same && i < a->n_in; i++) {
        Ref ra = ref_of(&s->a, a, i), rb = ref_of(&s->b, b, i);
        same = same_ref(s, &ra, &rb);
    }
    for (uint32_t i = 0; same && i < a->n_out; i++)
        same = a->out[i] && b->out[i] ? same_facts(s, a->out[i], b->out[i])
                                      : a->out[i] == b->out[i];
    return same;
}

bool same_parts(Same *s, const Part *a, const Part *b) {
    if (part_size(a) != part_size(b))
        return false;
    side_begin(&s->a, a);
    side_begin(&s->b, b);
    for (uint32_t i = 0; i < part_size(a); i++)
        if (!same_node(s, s->graph->nodes[a->at + i], s->graph->nodes[b->at + i]))
            return false;
    return true;
}
