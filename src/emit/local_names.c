/* What values are called whose own names say at most which operator made them (add_12):
 * by what reads them (query, scores, mask), or by what they are made from.  A view of
 * `attended` is called so, too, and so is what is added to x; see reuse.c. */
#include "emit/gen.h"

enum { DEPTH_MAX = 8 }; /* of values that are called as what they are made from */

static Str id_key(const Value *v) {
    return (Str){(const char *)&v->id, sizeof v->id};
}

/* ---- by readers -------------------------------------------------------------------- */

/* Inputs of operators of our own, and what others call alike. */
static bool names_role(const Node *n, Str input) {
    return input.n > 1 && (str_is(n->domain, OP_INTERNAL) || str_is(input, "indices"));
}

static void note_role(Gen *g, const Value *v, Str role) {
    if (!v || v->kind != VALUE_NODE || map_get(&g->roles, id_key(v)))
        return;
    Str *copy = ARENA_NEW(g->arena, Str);
    if (copy) {
        *copy = role;
        map_set(&g->roles, id_key(v), copy);
    }
}

static void note_inputs(Gen *g, const Node *n) {
    for (uint32_t k = 0; k < n->n_in; k++) {
        Str input = op_input_name(n->op, k);
        const Value *v = value_final(n->in[k]);
        if (names_role(n, input))
            note_role(g, v, input);
        else if (v && k == 0 && n->op->facts & OP_PROBABILITIES)
            note_role(g, v, v->type.rank == 4 ? STR("scores") : STR("logits"));
    }
}

void gen_find_roles(Gen *g) {
    const Graph *graph = g->m->graph;
    for (size_t i = 0; i < graph->n_nodes; i++)
        note_inputs(g, graph->nodes[i]);
}

bool gen_has_role(const Gen *g, const Value *v) {
    return map_get(&g->roles, id_key(v)) != NULL;
}

/* ---- by makers --------------------------------------------------------------------- */

static Str role_of(Gen *g, const Value *v, int depth);

/* "values" of the one output among several. */
static Str output_name(Gen *g, const Node *n, uint32_t out) {
    OpSlot slot = {0};
    const char *at = n->op->out;
    for (uint32_t i = 0; i <= out; i++)
        if (!op_spec_next(&at, &slot) || slot.variadic)
            return (Str){0};
    bool one = n->n_out == 1 && !str_is(n->domain, OP_INTERNAL);
    return one || slot.name.n < 2 ? (Str){0}
                                  : gen_lower_identifier(g->arena, slot.name, "x");
}

/* word_embeddings.weight -> word_embeddings, cls_token -> cls_token */
static Str name_of_param(Gen *g, const Value *v) {
    Str key = param_key_of(v), leaf = str_after_last(key, '.');
    if (str_is(leaf, "weight") && leaf.n < key.n)
        leaf = str_after_last((Str){key.p, key.n - leaf.n - 1}, '.');
    return leaf.n && char_is_letter(leaf.p[0])
               ? gen_lower_identifier(g->arena, leaf, "x")
               : (Str){0};
}

/* The name that v has got; empty: none yet. */
static Str own_name(const Gen *g, const Value *v) {
    const Expr *x = v->id < g->n_code ? g->code[v->id].expr : NULL;
    bool named = x && x->kind == EX_NAME && !memchr(x->text.p, '.', x->text.n);
    return named ? gen_without_number(x->text) : (Str){0};
}

/* What v is called; empty when it has no name. */
static Str name_of(Gen *g, Value *v, int depth) {
    v = value_final(v);
    Str own = own_name(g, v);
    if (v->kind == VALUE_CONST || own.n)
        return v->kind == VALUE_CONST ? (Str){0} : own;
    if (v->kind == VALUE_PARAM)
        return name_of_param(g, v);
    return v->def ? role_of(g, v, depth + 1) : gen_identifier(g->arena, v->name, "x");
}

/* v may be called as what it is made of: a number is no mask. */
static bool is_alike(const Value *v, const Value *of) {
    return !of || v->type.dtype == of->type.dtype ||
           (dtype_is_float(v->type.dtype) && of->type.dtype != DT_BOOL);
}

/* Input i is as large as the output, and computed. */
static bool is_full(const Node *n, uint32_t i) {
    const Value *v = value_final(n->in[i]);
    return v && v->kind != VALUE_CONST && v->kind != VALUE_PARAM &&
           is_alike(n->out[0], v) && type_same_shape(&v->type, &n->out[0]->type);
}

enum { FORMS = OP_MOVES | OP_JOINS | OP_KEEPS | OP_IDENTITY };

/* Rows of a table, or another form of a parameter. */
static bool is_of_param(const Value *v) {
    v = value_final((Value *)v);
    for (int depth = 0; depth < DEPTH_MAX && v->def && v->def->op; depth++) {
        if (!v->def->n_in || !v->def->in[0] || !(v->def->op->facts & FORMS))
            return false;
        v = value_final(v->def->in[0]);
    }
    return v->kind == VALUE_PARAM;
}

/* Of two that are added, what goes on is the stream: x, or what is no residual, or the
 * older one. */
static Str name_of_sum(Gen *g, const Node *n, uint32_t i, uint32_t k, int depth) {
    Str a = name_of(g, n->in[i], depth), b = name_of(g, n->in[k], depth);
    if (!a.n || str_is(a, "x") || str_is(b, "x"))
        return str_is(b, "x") || !a.n ? b : a;
    if (str_is(a, "residual") || str_is(b, "residual"))
        return str_is(a, "residual") ? b : a;
    return value_final(n->in[i])->id < value_final(n->in[k])->id || !b.n ? a : b;
}

/* The name of the input that a broadcasting operator changes a little. */
static Str name_of_operand(Gen *g, const Node *n, int depth) {
    uint32_t full[2] = {0}, count = 0;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] && is_full(n, i))
            full[count++ ? 1 : 0] = i;
    bool adds = n->op->facts & OP_UNIT0 && n->op->facts & OP_COMMUTATIVE;
    for (size_t i = 0; i < count && adds; i++)
        if (is_of_param(n->in[full[i]]))
            return STR(
                "x"); /* embeddings that others are added to: the stream begins */
    if (count == 2 && adds)
        return name_of_sum(g, n, full[0], full[1], depth);
    return count == 1 ? name_of(g, n->in[full[0]], depth) : (Str){0};
}

/* The name of what v is another form of; empty when it is of nothing. */
static Str name_of_source(Gen *g, const Node *n, int depth) {
    if (!n->n_in || !is_alike(n->out[0], value_final(n->in[0])))
        return (Str){0};
    if (n->op->facts & FORMS && n->in[0]) {
        Value *v = value_final(n->in[0]);
        bool named = n->op->facts & OP_JOINS || own_name(g, v).n;
        Str module = named ? (Str){0} : gen_param_hint(g, v);
        return module.n ? module : name_of(g, v, depth);
    }
    if (n->op->facts & OP_BROADCAST)
        return name_of_operand(g, n, depth);
    Str name = n->op->facts & OP_ELEMENTWISE ? name_of(g, n->in[0], depth) : (Str){0};
    return str_is(name, "x") ? name : (Str){0};
}

static Str usual_name(Gen *g, const Value *v) {
    const Str *role = map_get(&g->roles, id_key(v));
    DTypeClass cls = dtype_info(v->type.dtype)->cls;
    bool counts =
        v->def->n_in == 0 || (v->def->in[0] && v->def->in[0]->kind == VALUE_CONST);
    if (role)
        return *role;
    if (cls == DC_INT || cls == DC_UINT)
        return counts ? STR("positions") : STR("index");
    return STR("hidden");
}

static Str role_of(Gen *g, const Value *v, int depth) {
    const Str *role = map_get(&g->roles, id_key(v));
    const Node *n = v->def;
    if (role && !str_is(*role, "indices")) /* positions may be indices, too */
        return *role;
    if (v->type.dtype == DT_BOOL)
        return STR("mask");
    Str name = n->op->facts & OP_PROBABILITIES ? STR("probabilities")
                                               : output_name(g, n, v->out_index);
    if (!name.n && depth < DEPTH_MAX)
        name = name_of_source(g, n, depth);
    return name.n ? name : usual_name(g, v);
}

Str gen_role(Gen *g, const Value *v) {
    return v->def && v->def->op ? role_of(g, v, 0) : STR("x");
}
