/* Operators that join, cut and rearrange whole tensors.
 * Source: ONNX operators Concat, Split, Tile, DepthToSpace, SpaceToDepth,
 * ReverseSequence. */
#include "ops/core/apart.h"
#include "ops/core/layout.h"

/* ---- Concat ---------------------------------------------------------------------- */

/* The rank that all ranked inputs share, -1 when none has one. */
static int concat_rank(Model *m, const Node *n) {
    int rank = -1;
    for (uint32_t i = 0; i < n->n_in; i++) {
        int r = in_rank(n, (int)i);
        if (r >= 0 && rank >= 0 && r != rank)
            node_error(m, n, OX0401, "", "inputs of rank %d and %d", rank, r);
        rank = r >= 0 ? r : rank;
    }
    return rank;
}

/* One axis of the inputs that are not joined along it: they are equal, so the first
 * that is an integer says most. */
static void merge_dim(Model *m, const Node *n, Dim *d, Dim other) {
    if (dim_known_eq(&m->dims, *d, other) == 0)
        node_error(m, n, OX0401, "",
                   "inputs differ in another axis than the joined one");
    if (dim_is_int(other))
        *d = other;
}

/* The sizes that the ranked inputs give; the joined axis is fresh unless all are. */
static void concat_dims(Model *m, Node *n, int axis, Shape *out) {
    bool first = true, all = true;
    for (uint32_t i = 0; i < n->n_in; i++) {
        Shape s;
        if (!in_shape(n, (int)i, &s) || s.rank != out->rank) {
            all = false;
            continue;
        }
        for (int k = 0; k < s.rank; k++) {
            if (first)
                out->d[k] = s.d[k];
            else if (k == axis)
                out->d[k] = dim_add(&m->dims, out->d[k], s.d[k]);
            else
                merge_dim(m, n, &out->d[k], s.d[k]);
        }
        first = false;
    }
    if (!all)
        out->d[axis] = fresh_dim(m, n, 0, axis);
}

static void infer_concat(Model *m, Node *n) {
    int axis;
    Shape out = {.rank = concat_rank(m, n)};
    if (out.rank >= 0 && !fix_axis(m, n, attr_int(n, "axis"), out.rank, &axis))
        out.rank = -1;
    if (out.rank > 0)
        concat_dims(m, n, axis, &out);
    set_type(m, n, 0, in_dtype(n, 0), &out);
}

static void copy_known(Known *to, size_t at, const Known *from, size_t start,
                       size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (to->ints)
            known_ints(to)[at + i] = from->ints[start + i];
        else
            known_floats(to)[at + i] = from->floats[start + i];
    }
}

/* A list of integers where some of the parts are not known. */
static void eval_partly(Model *m, Node *n) {
    const Type *t = &n->out[0]->type;
    bool counted = t->rank == 1 && dim_is_int(t->dims[0]);
    Known *k = counted ? known_new(m, t->dtype, (size_t)t->dims[0].c) : NULL;
    size_t at = 0;
    for (uint32_t i = 0; k && k->ints && i < n->n_in; i++) {
        const Known *from = in_known(n, (int)i);
        bool sized = in_rank(n, (int)i) == 1 && dim_is_int(in_dim(n, (int)i, 0));
        size_t count = sized ? (size_t)in_dim(n, (int)i, 0).c : k->n + 1;
        if (at + count > k->n || (from && from->n != count))
            return;
        for (size_t j = 0; j < count; j++)
            known_ints(k)[at++] =
                from ? from->ints[j] : dim_symbol(&m->dims, STR(""), NULL, 0);
    }
    if (k && k->ints && at == k->n)
        n->out[0]->partly = k;
}

static bool all_known(const Node *n) {
    for (uint32_t i = 0; i < n->n_in; i++)
        if (!in_known(n, (int)i))
            return false;
    return true;
}

/* Each input is a run of `run` elements in every row of `row` elements. */
static void eval_concat(Model *m, Node *n) {
    Strided y, x;
    int axis;
    if (!all_known(n)) {
        eval_partly(m, n);
        return;
    }
    if (!strided_of(node_out(n, 0), &y) || y.rank < 1 ||
        !fix_axis(m, n, attr_int(n, "axis"), y.rank, &axis))
        return;
    size_t row = (size_t)(y.size[axis] * y.stride[axis]), total = row, offset = 0;
    for (int i = 0; i < axis; i++)
        total *= (size_t)y.size[i];
    Known *k = known_new(m, n->out[0]->type.dtype, total);
    for (uint32_t i = 0; k && i < n->n_in; i++) {
        const Known *from = in_known(n, (int)i);
        if (!strided_of(n->in[i], &x) || x.rank != y.rank ||
            (from->n && !from->ints != !k->ints))
            return;
        size_t run = (size_t)(x.size[axis] * y.stride[axis]);
        if (offset + run > row || from->n != (row ? total / row * run : 0))
            return;
        for (size_t at = offset, start = 0; start < from->n; at += row, start += run)
            copy_known(k, at, from, start, run);
        offset += run;
    }
    if (offset == row)
        set_known(n, 0, k);
}

static void emit_concat(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    if (n->n_in == 1) {
        emit_out(e, 0, emit_in(e, 0));
        return;
    }
    const Expr **parts = ARENA_ARRAY(a, n->n_in, const Expr *);
    if (!parts)
        return;
    for (uint32_t i = 0; i < n->n_in; i++)
        parts[i] = emit_in(e, (int)i);
    int64_t axis = attr_int(n, "axis");
    emit_out(e, 0,
             EX(a, "jnp.concatenate($0$(, axis=$1))",
                ex_seq(a, EX_LIST, parts, n->n_in), axis ? ex_int(a, axis) : NULL));
}

/* ---- Split ----------------------------------------------------------------------- */

/* Sizes of the parts along the axis: a list, or equal chunks with a shorter last. */
typedef struct Parts {
    const Known *sizes;
    const Attr *attr;
    bool equal; /* no size is given, and all are the same */
    Dim chunk, last;
} Parts;

static void equal_parts(Model *m, const Node *n, Dim size, Parts *p) {
    Dims *ds = &m->dims;
    int64_t count = attr_int_or(n, "num_outputs", n->n_out);
    if (count < 1) {
        node_error(m, n, OX0303, "", "num_outputs is %lld", (long long)count);
        count = 1;
    }
    p->equal = dim_divide(ds, size, dim_int(count), &p->chunk);
    p->last = p->chunk;
    if (p->equal)
        return;
    bool uneven = op_attr(n->op, STR("num_outputs")) != NULL;
    if (!uneven) {
        if (dim_is_int(size))
            node_error(m, n, OX0401, "",
                       "size %lld cannot be split into %lld equal parts",
                       (long long)size.c, (long long)count);
        p->equal = true;
        p->chunk = p->last = dim_floordiv(ds, size, dim_int(count));
        return;
    }
    p->chunk = dim_ceildiv(ds, size, dim_int(count));
    p->last = dim_sub(ds, size, dim_mul(ds, p->chunk, dim_int(count - 1)));
    if (dim_is_int(p->last) && p->last.c < 0)
        node_error(m, n, OX0401, "", "size %lld is too small for %lld parts",
                   (long long)size.c, (long long)count);
}

/* false when the sizes are not known. */
static bool split_parts(Model *m, const Node *n, Dim size, Parts *p) {
    *p = (Parts){.attr = attr_get(n, "split")};
    const Value *split = node_input(n, "split");
    if (!p->attr && !split) {
        equal_parts(m, n, size, p);
        return true;
    }
    p->sizes = p->attr ? NULL : split->known;
    if (!p->attr && !p->sizes)
        return false;
    size_t count = p->attr ? p->attr->ints.count : p->sizes->n;
    if (count != n->n_out)
        node_error(m, n, OX0401, "", "%zu sizes for %u parts", count, n->n_out);
    return count == n->n_out;
}

static Dim part_size(const Node *n, const Parts *p, uint32_t i) {
    if (p->attr)
        return dim_int(p->attr->ints.items[i]);
    if (p->sizes)
        return p->sizes->ints ? p->sizes->ints[i]
                              : dim_int((int64_t)p->sizes->floats[i]);
    return i + 1 < n->n_out ? p->chunk : p->last;
}

static void check_parts(Model *m, const Node *n, const Parts *p, Dim size) {
    Dim sum = dim_int(0);
    for (uint32_t i = 0; i < n->n_out; i++) {
        Dim part = part_size(n, p, i);
        sum = dim_add(&m->dims, sum, part);
        if (dim_is_int(part) && part.c < 0)
            node_error(m, n, OX0401, "", "a part of size %lld", (long long)part.c);
    }
    if ((p->attr || p->sizes) && dim_known_eq(&m->dims, sum, size) == 0)
        node_error(m, n, OX0401, "",
                   "the sizes of the parts do not add up to the axis");
}

static void infer_split(Model *m, Node *n) {
    Shape s;
    Parts parts;
    int axis = 0;
    bool ranked =
        in_shape(n, 0, &s) && fix_axis(m, n, attr_int(n, "axis"), s.rank, &axis);
    Dim size = ranked ? s.d[axis] : dim_int(0);
    bool known = ranked && split_parts(m, n, size, &parts);
    if (known)
        check_parts(m, n, &parts, size);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (ranked)
            s.d[axis] = known ? part_size(n, &parts, i) : fresh_dim(m, n, (int)i, axis);
        set_type(m, n, (int)i, in_dtype(n, 0), ranked ? &s : &(Shape){.rank = -1});
    }
}

static void eval_split(Model *m, Node *n) {
    Strided x, walk;
    int axis;
    int64_t offset = 0;
    if (!strided_of(n->in[0], &x) || x.rank < 1 ||
        !fix_axis(m, n, attr_int(n, "axis"), x.rank, &axis))
        return;
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!strided_of(n->out[i], &walk))
            return;
        int64_t part = walk.size[axis];
        memcpy(walk.stride, x.stride, sizeof walk.stride);
        walk.base = offset * x.stride[axis];
        eval_strided(m, n, 0, (int)i, &walk);
        offset += part;
    }
}

/* The only part that is used, as a slice of the input. */
static void emit_one_part(Emit *e, const Parts *parts, int axis, int rank, uint32_t i) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Dims *ds = &emit_model(e)->dims;
    const Expr *items[OX_MAX_RANK] = {NULL};
    Dim start = dim_int(0);
    for (uint32_t k = 0; k < i; k++)
        start = dim_add(ds, start, part_size(n, parts, k));
    Dim stop = dim_add(ds, start, part_size(n, parts, i));
    const Expr *from = dim_is(start, 0) ? NULL : emit_dim(e, start);
    const Expr *to = i + 1 == n->n_out ? NULL : emit_dim(e, stop);
    items[axis] = ex_slice(a, from, to, NULL);
    emit_out(e, (int)i, ex_subscript(a, emit_in(e, 0), items, rank));
}

/* Where the parts end, the last left out: what jnp.split calls indices. */
static const Expr *emit_ends(Emit *e, const Parts *parts) {
    const Node *n = emit_node(e);
    const Expr **ends = ARENA_ARRAY(emit_arena(e), n->n_out, const Expr *);
    Dim end = dim_int(0);
    if (!ends)
        return ex_none();
    for (uint32_t i = 0; i + 1 < n->n_out; i++) {
        end = dim_add(&emit_model(e)->dims, end, part_size(n, parts, i));
        ends[i] = emit_dim(e, end);
    }
    return ex_seq(emit_arena(e), EX_LIST, ends, n->n_out - 1);
}

static bool all_equal(const Node *n, const Parts *parts) {
    for (uint32_t i = 1; i < n->n_out; i++)
        if (!dim_eq(part_size(n, parts, i), part_size(n, parts, 0)))
            return false;
    return parts->equal || parts->attr || parts->sizes;
}

/* The index of the only output in use, n_out when there are more. */
static uint32_t only_output(Emit *e) {
    uint32_t count = emit_node(e)->n_out, found = count;
    for (uint32_t i = 0; i < count; i++) {
        if (!emit_wants(e, (int)i))
            continue;
        if (found < count)
            return count;
        found = i;
    }
    return found;
}

static void emit_split(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int rank = in_rank(n, 0), axis = 0;
    int64_t given = attr_int(n, "axis");
    const Expr *at = given ? ex_int(a, given) : NULL;
    Parts parts;
    if (rank >= 0 && !fix_axis(emit_model(e), n, given, rank, &axis))
        return;
    Dim size = rank > 0 ? in_dim(n, 0, axis) : dim_int(0);
    bool equal = rank < 0 && is_absent(n, "split");
    if (!equal && (rank <= 0 || !split_parts(emit_model(e), n, size, &parts))) {
        emit_outs(e, EX(a, "split_sizes($0, $1$(, axis=$2))", emit_in(e, 0),
                        emit_list(e, "split"), at));
        return;
    }
    uint32_t only = only_output(e);
    if (n->n_out == 1)
        emit_out(e, 0, emit_in(e, 0));
    else if (!equal && only < n->n_out)
        emit_one_part(e, &parts, axis, rank, only);
    else
        emit_outs(e, EX(a, "jnp.split($0, $1$(, axis=$2))", emit_in(e, 0),
                        equal || all_equal(n, &parts) ? ex_int(a, n->n_out)
                                                      : emit_ends(e, &parts),
                        at));
}

/* ---- Tile ------------------------------------------------------------------------ */

/* Repeats per axis.  Tile-1 repeats one axis, given by a number. */
static bool tile_repeats(Model *m, const Node *n, int rank, Shape *reps) {
    int64_t tiles, axis;
    int fixed;
    if (op_input_index(n->op, STR("repeats")) >= 0)
        return get_dims(n, "repeats", reps) && (rank < 0 || reps->rank == rank);
    if (rank <= 0 || !known_int(n, 1, 0, &tiles) || !known_int(n, 2, 0, &axis) ||
        !fix_axis(m, n, axis, rank, &fixed))
        return false;
    reps->rank = rank;
    for (int i = 0; i < rank; i++)
        reps->d[i] = dim_int(i == fixed ? tiles : 1);
    return true;
}

static void infer_tile(Model *m, Node *n) {
    Shape s, reps;
    bool list = op_input_index(n->op, STR("repeats")) >= 0;
    if ((list && !lists_are_valid(m, n)) || !in_shape(n, 0, &s)) {
        set_unranked(m, n, 0, in_dtype(n, 0));
        return;
    }
    if (!tile_repeats(m, n, s.rank, &reps)) {
        set_rank(m, n, 0, in_dtype(n, 0), s.rank);
        return;
    }
    for (int i = 0; i < s.rank; i++)
        s.d[i] = dim_mul(&m->dims, s.d[i], reps.d[i]);
    if (sizes_are_valid(m, n, &reps))
        set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* Each axis becomes two: the repeats, which do not move, and the elements. */
static void eval_tile(Model *m, Node *n) {
    Strided x, y, walk = {.rank = 0};
    if (!strided_of(n->in[0], &x) || !strided_of(node_out(n, 0), &y) ||
        x.rank != y.rank || 2 * x.rank > OX_MAX_RANK)
        return;
    for (int i = 0; i < x.rank; i++) {
        walk.size[walk.rank++] = x.size[i] ? y.size[i] / x.size[i] : 0;
        walk.size[walk.rank] = x.size[i];
        walk.stride[walk.rank++] = x.stride[i];
    }
    eval_strided(m, n, 0, 0, &walk);
}

static void emit_tile(Emit *e) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    Shape reps;
    bool known = tile_repeats(emit_model(e), n, in_rank(n, 0), &reps);
    if (known && is_unchanged(n, 0))
        emit_out(e, 0, emit_in(e, 0));
    else if (known)
        emit_out(
            e, 0,
            EX(a, "jnp.tile($0, $1)", emit_in(e, 0), emit_dims(e, reps.d, reps.rank)));
    else if (op_input_index(n->op, STR("repeats")) >= 0)
        emit_out(e, 0,
                 EX(a, "jnp.tile($0, $1)", emit_in(e, 0), emit_ints(e, "repeats")));
    else
        emit_fail(e, OX0402, "make tiles and axis constants",
                  "Tile-1 needs known numbers");
}

/* ---- DepthToSpace, SpaceToDepth, ReverseSequence --------------------------------- */

/* d / by, which the operator demands to be exact. */
static Dim exact_quotient(Model *m, const Node *n, Dim d, int64_t by) {
    Dim q;
    if (dim_divide(&m->dims, d, dim_int(by), &q))
        return q;
    if (dim_is_int(d))
        node_error(m, n, OX0401, "", "size %lld is not a multiple of %lld",
                   (long long)d.c, (long long)by);
    return dim_floordiv(&m->dims, d, dim_int(by));
}

static bool block_shape(Model *m, Node *n, Shape *s, int64_t *block) {
    *block = attr_int(n, "blocksize");
    if (*block < 1 || *block > 0xffff) {
        node_error(m, n, OX0303, "", "blocksize is %lld", (long long)*block);
        *block = 1;
    }
    if (in_shape(n, 0, s) && s->rank == 4)
        return true;
    if (s->rank >= 0)
        node_error(m, n, OX0401, "", "%s needs rank 4, not %d", n->op->name, s->rank);
    set_rank(m, n, 0, in_dtype(n, 0), 4);
    return false;
}

static void infer_depth_to_space(Model *m, Node *n) {
    Shape s;
    int64_t block;
    if (!block_shape(m, n, &s, &block))
        return;
    s.d[1] = exact_quotient(m, n, s.d[1], block * block);
    s.d[2] = dim_mul(&m->dims, s.d[2], dim_int(block));
    s.d[3] = dim_mul(&m->dims, s.d[3], dim_int(block));
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static void infer_space_to_depth(Model *m, Node *n) {
    Shape s;
    int64_t block;
    if (!block_shape(m, n, &s, &block))
        return;
    s.d[1] = dim_mul(&m->dims, s.d[1], dim_int(block * block));
    s.d[2] = exact_quotient(m, n, s.d[2], block);
    s.d[3] = exact_quotient(m, n, s.d[3], block);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

static bool apart_tile(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)out;
    return at[0] == APART_SHARED ? dim_is(in_dim(n, 0, axis), 1) : at[0] == axis;
}

/* Each sequence of the batch has a length. */
static bool apart_reverse_sequence(Model *m, const Node *n, const int *at, int out,
                                   int axis) {
    bool batch = axis == attr_int(n, "batch_axis");
    (void)m;
    (void)out;
    return at[0] == axis && axis != attr_int(n, "time_axis") &&
           at[1] == (batch ? 0 : APART_SHARED);
}

/* Nothing may come behind what has padding. */
static OpPast past_concat(Model *m, const Node *n, const int *at, int input) {
    (void)m;
    for (int k = 0; k < (int)n->n_in; k++)
        if (at[k] == APART_SIZE || (at[k] >= 0 && k != (int)n->n_in - 1))
            return PAST_SEEN;
    return at[input] >= 0 ? PAST_ANY : PAST_SEEN;
}

/* ---- table ----------------------------------------------------------------------- */

/* Of a split into single places. */
static bool picks_split(const Node *n, uint32_t out, OpPick *p) {
    int rank = in_rank(n, 0);
    int64_t axis = attr_int(n, "axis");
    if (rank < 1)
        return false;
    *p = (OpPick){(int)(axis < 0 ? axis + rank : axis), out, true};
    for (uint32_t k = 0; k <= out; k++)
        if (!n->out[k] || n->out[k]->type.rank != rank ||
            !dim_is(n->out[k]->type.dims[p->axis], 1))
            return false;
    return true;
}

/* clang-format off */
#define CONCAT                                                                         \
    .facts = OP_JOINS, .apart = apart_off_axes, .past = past_concat,                   \
    .rewrite = rewrite_concat,                                                         \
    .infer = infer_concat, .eval = eval_concat, .emit = emit_concat
#define SPLIT                                                                          \
    .facts = OP_MOVES, .apart = apart_off_axes, .picks = picks_split,                  \
    .infer = infer_split, .eval = eval_split, .emit = emit_split
#define TILE                                                                           \
    .facts = OP_MOVES, .apart = apart_tile, .infer = infer_tile, .eval = eval_tile, .emit = emit_tile
static const OpDef ops[] = {
    {.name = "Concat", .since = 1, .until = 3, .in = "inputs*", .out = "concat_result",
     .attrs = {INT("axis", 1)}, CONCAT},
    {.name = "Concat", .since = 4, .in = "inputs*", .out = "concat_result",
     .attrs = {INT_REQ("axis")}, CONCAT},
    {.name = "Split", .since = 1, .until = 1, .in = "input split?", .out = "outputs*",
     .attrs = {INTS_OPT("split"), INT("axis", 0)}, .fixed = "split", SPLIT},
    {.name = "Split", .since = 2, .until = 12, .in = "input", .out = "outputs*",
     .attrs = {INTS_OPT("split"), INT("axis", 0)}, SPLIT},
    {.name = "Split", .since = 13, .until = 17, .in = "input split?", .out = "outputs*",
     .attrs = {INT("axis", 0)}, .fixed = "split", SPLIT},
    {.name = "Split", .since = 18, .in = "input split?", .out = "outputs*",
     .attrs = {INT("axis", 0), INT_OPT("num_outputs")}, .fixed = "split", SPLIT},
    {.name = "Tile", .since = 1, .until = 5, .in = "input tiles axis", .out = "output",
     .fixed = "tiles axis", TILE},
    {.name = "Tile", .since = 6, .in = "input repeats", .out = "output",
     .fixed = "repeats", TILE},
    {.name = "DepthToSpace", .since = 1, .until = 10, .in = "input", .out = "output",
     .attrs = {INT_REQ("blocksize")}, .facts = OP_MOVES, .batch = "input",
     .infer = infer_depth_to_space,
     .jax = "depth_to_space($input, $blocksize)"},
    {.name = "DepthToSpace", .since = 11, .in = "input", .out = "output",
     .attrs = {INT_REQ("blocksize"), CHOICE("mode", "DCR", "DCR CRD")},
     .facts = OP_MOVES, .batch = "input", .infer = infer_depth_to_space,
     .jax = "depth_to_space($input, $blocksize, mode=$mode)"},
    {.name = "SpaceToDepth", .since = 1, .until = 27, .in = "input", .out = "output",
     .attrs = {INT_REQ("blocksize")}, .facts = OP_MOVES, .batch = "input",
     .infer = infer_space_to_depth,
     .jax = "space_to_depth($input, $blocksize)"},
    {.name = "SpaceToDepth", .since = 28, .in = "input", .out = "output",
     .attrs = {INT_REQ("blocksize"), CHOICE("mode", "DCR", "DCR CRD")},
     .facts = OP_MOVES, .batch = "input", .infer = infer_space_to_depth,
     .jax = "space_to_depth($input, $blocksize, mode=$mode)"},
    {.name = "ReverseSequence", .since = 10, .in = "input sequence_lens", .out = "Y",
     .attrs = {INT("batch_axis", 1), INT("time_axis", 0)}, .facts = OP_MOVES,
     .apart = apart_reverse_sequence, .infer = infer_same,
     .jax = "reverse_sequence($input, $sequence_lens, time_axis=$time_axis, "
            "batch_axis=$batch_axis)"},
};
/* clang-format on */
const OpFamily ops_arrange = FAMILY(ops);
