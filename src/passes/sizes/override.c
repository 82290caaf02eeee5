/* --shape: replaces the shapes of graph inputs before inference.  A size that the file
 * fixes and an override changes makes what the file says of later values outdated; and
 * where it was 1, a batch that the exporter has baked in, rows.c decides whether the
 * nodes allow another. */
#include "passes/sizes/padding.h"
#include "passes/sizes/rows.h"

static void override_error(Model *m, Str spec, const char *why) {
    diag_add(m->diags, OX0003, (Str){0}, STR("write --shape input=8,3,height,width"),
             "--shape %.*s: %s", (int)spec.n, spec.p, why);
}

static Value *input_named(const Model *m, Str name) {
    for (size_t i = 0; i < m->graph->n_inputs; i++)
        if (str_eq(m->graph->inputs[i]->name, name))
            return m->graph->inputs[i];
    return NULL;
}

static bool parse_int(Str s, int64_t *value) {
    *value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || *value > INT64_MAX / 20)
            return false;
        *value = *value * 10 + (s.p[i] - '0');
    }
    return s.n > 0;
}

/* A number, "?", or a name: what begins with a letter. */
static bool is_dim(Str s) {
    int64_t value;
    char c = s.n ? s.p[0] : '\0';
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                     (unsigned char)c >= 0x80;
    return is_letter || str_is(s, "?") || parse_int(s, &value);
}

static Dim given_dim(Model *m, Str word, Value *v, int axis) {
    int64_t value;
    if (parse_int(word, &value))
        return dim_int(value);
    return str_is(word, "?") ? value_symbol(m, v, axis) : named_dim(m, word, v, axis);
}

/* A large size that is unlikely to be another's, the same for the same name. */
static Dim probe_size(Str name, const Value *v, int axis) {
    uint32_t hash = str_is(name, "?") ? v->id * 31 + (uint32_t)axis : 0;
    for (size_t i = 0; i < name.n; i++)
        hash = hash * 31 + (unsigned char)name.p[i];
    return dim_int(10007 + 2 * (int64_t)(hash % 4096));
}

/* What the model's size 1 becomes: see RowSize. */
static Dim row_size(Model *m, Str name, Value *v, int axis, RowSize rows) {
    int64_t value;
    bool is_int = parse_int(name, &value);
    if (rows == ROWS_STAY)
        return dim_int(1);
    if (rows == ROWS_PROBE && !is_int)
        return probe_size(name, v, axis);
    if (rows == ROWS_NAMED && is_int)
        return named_dim(m, name, v, axis);
    return given_dim(m, name, v, axis);
}

/* The dimensions of spec after its "=", as many as there is room for; false when one is
 * malformed. */
static bool parse_dims(Model *m, Str rest, Value *v, RowSize rows, Shape *s) {
    while (rest.n && s->rank < OX_MAX_RANK) {
        const char *comma = memchr(rest.p, ',', rest.n);
        Str part = {rest.p, comma ? (size_t)(comma - rest.p) : rest.n};
        if (!is_dim(part))
            return false;
        int axis = s->rank++;
        bool is_row = axis < v->type.rank && dim_is(v->type.dims[axis], 1);
        s->d[axis] = is_row && !str_is(part, "1") ? row_size(m, part, v, axis, rows)
                                                  : given_dim(m, part, v, axis);
        size_t used = part.n + (comma != NULL);
        rest = (Str){rest.p + used, rest.n - used};
    }
    return true;
}

/* The integer dimensions that the file declares for values made by nodes followed from
 * the inputs' old sizes. */
static void forget_declared_shapes(void *user, Graph *g) {
    Model *m = user;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i]->n_out; k++) {
            Value *v = g->nodes[i]->out[k];
            Type *t = v && v->declared && v->declared->kind == TYPE_TENSOR
                          ? ARENA_NEW(m->arena, Type)
                          : NULL;
            if (t)
                *t = (Type){.dtype = v->declared->dtype, .rank = -1};
            if (v)
                v->declared = t;
        }
}

void infer_forget_shapes(Model *m) {
    graph_each(m->graph, forget_declared_shapes, m);
}

static bool changes_fixed_size(const Type *t, const Shape *s) {
    for (int i = 0; i < t->rank; i++)
        if (dim_is_int(t->dims[i]) && !dim_eq(t->dims[i], s->d[i]))
            return true;
    return false;
}

static void replace_shape(Model *m, Value *v, const Shape *s) {
    if (changes_fixed_size(&v->type, s))
        infer_forget_shapes(m);
    Dim *dims = ARENA_ARRAY(m->arena, (size_t)s->rank, Dim);
    if (s->rank && !dims)
        return;
    if (dims)
        memcpy(dims, s->d, (size_t)s->rank * sizeof *dims);
    v->type.dims = dims;
    v->type.rank = s->rank;
}

static void override_input(Model *m, Str spec, RowSize rows) {
    const char *eq = spec.n ? memchr(spec.p, '=', spec.n) : NULL;
    if (!eq) {
        override_error(m, spec, "there is no =");
        return;
    }
    Value *v = input_named(m, (Str){spec.p, (size_t)(eq - spec.p)});
    if (!v) {
        override_error(m, spec, "the model has no such input");
        return;
    }
    Shape s = {0};
    if (!parse_dims(m, (Str){eq + 1, spec.n - (size_t)(eq + 1 - spec.p)}, v, rows, &s))
        override_error(m, spec, "a dimension must be a number, a name or ?");
    else if (v->type.rank >= 0 && v->type.rank != s.rank)
        override_error(m, spec, "the number of dimensions differs from the model's");
    else
        replace_shape(m, v, &s);
}

void infer_override_input(Model *m, Str spec) {
    override_input(m, spec, ROWS_GIVEN);
}

/* ---- rows -------------------------------------------------------------------------- */

/* The model before the options, with its inputs as they say. */
static Model *copy_of(const Overrides *o, Diags *diags, RowSize rows) {
    Model *copy = model_copy(o->untouched, diags);
    for (size_t i = 0; copy && i < o->count; i++)
        override_input(copy, str_from(o->specs[i]), rows);
    for (size_t i = 0; copy && i < o->value_count; i++)
        infer_give_input(copy, str_from(o->values[i]));
    if (copy)
        graph_count_uses(copy);
    return copy;
}

static Model *variant(const Overrides *o, Diags *diags, RowSize rows) {
    Model *copy = copy_of(o, diags, rows);
    if (copy)
        infer_model(copy);
    return copy;
}

/* Passes on the errors of a variant; true when there were some. */
static bool take_errors(Model *m, const Diags *found) {
    if (diag_status(found) == OX_OK)
        return false;
    diag_take(m->diags, found);
    return true;
}

static bool has_rows(const Model *baked, const Model *named) {
    for (size_t i = 0; baked && named && i < named->graph->n_inputs; i++) {
        const Type *was = &baked->graph->inputs[i]->type;
        const Type *is = &named->graph->inputs[i]->type;
        for (int axis = 0; axis < is->rank && axis < was->rank; axis++)
            if (dim_is(was->dims[axis], 1) && !dim_is(is->dims[axis], 1))
                return true;
    }
    return false;
}

void infer_check_overrides(Model *m, const Overrides *o) {
    Diags silent[3];
    for (size_t i = 0; i < OX_COUNT(silent); i++)
        silent[i] = (Diags){.arena = m->arena, .file = m->diags->file};
    const Model *baked = variant(o, &silent[0], ROWS_STAY);
    const Model *named = variant(o, &silent[1], ROWS_NAMED);
    if (diag_status(m->diags) != OX_OK || !has_rows(baked, named) ||
        baked->unsupported.count)
        return; /* out of memory, nothing to check, or refused anyway */
    if (take_errors(m, &silent[0]) || !rows_check(m, baked, named))
        return;
    /* Where two sizes must be equal, symbols may be, numbers are not. */
    (void)variant(o, &silent[2], ROWS_PROBE);
    if (take_errors(m, &silent[1]) || take_errors(m, &silent[2]))
        diag_add(m->diags, OX0405, (Str){0}, ROWS_HINT,
                 "the messages above are about the sizes that --shape asks for");
}

/* ---- bounds ------------------------------------------------------------------------ */

/* Names that the file gives to unknown sizes could hide what decides them. */
void infer_hide_padding(Model *m, const Overrides *o) {
    Diags silent = {.arena = m->arena, .file = m->diags->file};
    Model *open = copy_of(o, &silent, ROWS_GIVEN);
    if (!open)
        return;
    infer_forget_shapes(open);
    infer_model(open);
    ops_bind(m);
    if (!open->unsupported.count && !take_errors(m, &silent))
        padding_hide(m, open);
}
