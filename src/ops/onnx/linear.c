/* Matrix products: MatMul, Gemm, Inner, Einsum.
 * Source: the ONNX operators; numpy.matmul for the ranks of MatMul. */
#include "ops/onnx/linear.h"
#include "ops/core/apart.h"
#include "ops/core/macs.h"

/* a @ b.T without the transposed copy of b that XLA makes on a CPU where a is one row. */
#define INNER(a, b) "jnp.inner(" a ", " b ")"

/* ---- MatMul ------------------------------------------------------------------------ */

static void fits_or_error(Model *m, Node *n, Dim a, Dim b) {
    if (dim_known_eq(&m->dims, a, b) != 0)
        return;
    Text t = {.arena = m->arena};
    dim_print(&t, a);
    text_lit(&t, " and ");
    dim_print(&t, b);
    Str s = text_view(&t);
    node_error(m, n, OX0401, "", "inner dimensions %.*s do not match", (int)s.n, s.p);
}

/* Dimension `from_end` places before the last. */
static Dim last_dim(const Shape *s, int from_end) {
    return s->d[s->rank - 1 - from_end];
}

/* The axes before the matrix; none for a vector. */
static Shape batch_of(const Shape *s) {
    Shape batch = *s;
    batch.rank = s->rank > 2 ? s->rank - 2 : 0;
    return batch;
}

void set_product(Model *m, Node *n, const Shape *a, const Shape *b, DType dtype) {
    if (a->rank < 0 || b->rank < 0) {
        set_unranked(m, n, 0, dtype);
        return;
    }
    if (a->rank == 0 || b->rank == 0) {
        node_error(m, n, OX0401, "", "a matrix product of a scalar");
        return;
    }
    fits_or_error(m, n, last_dim(a, 0), last_dim(b, b->rank > 1));
    Shape s = batch_of(a), t = batch_of(b);
    if (!broadcast_shape(m, n, &s, &t))
        return;
    if (a->rank > 1)
        s.d[s.rank++] = last_dim(a, 1);
    if (b->rank > 1)
        s.d[s.rank++] = last_dim(b, 0);
    set_type(m, n, 0, dtype, &s);
}

static void infer_matmul(Model *m, Node *n) {
    Shape a, b;
    in_shape(n, 0, &a);
    in_shape(n, 1, &b);
    set_product(m, n, &a, &b, in_dtype(n, 0));
}

/* ---- Gemm -------------------------------------------------------------------------- */

void infer_gemm(Model *m, Node *n) {
    Shape a, b, s = {.rank = 2};
    demand_rank(m, n, 0, 2);
    bool ranked = in_shape(n, 0, &a);
    ranked = in_shape(n, 1, &b) && ranked; /* both are filled */
    if ((a.rank >= 0 && a.rank != 2) || (b.rank >= 0 && b.rank != 2)) {
        node_error(m, n, OX0401, "", "A and B must be matrices");
        return;
    }
    if (!ranked) {
        set_rank(m, n, 0, in_dtype(n, 0), 2);
        return;
    }
    bool at = attr_int(n, "transA") != 0, bt = attr_int(n, "transB") != 0;
    fits_or_error(m, n, a.d[!at], b.d[bt]);
    s.d[0] = a.d[at];
    s.d[1] = b.d[!bt];
    if (node_in(n, 2))
        broadcast_onto(m, n, 2, &s);
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

const Expr *scaled(Emit *e, const char *name, const Expr *x) {
    double factor = attr_float(emit_node(e), name);
    DType dtype = in_dtype(emit_node(e), 0);
    Arena *a = emit_arena(e);
    if (factor == 1)
        return x;
    if (dtype_is_float(dtype))
        return EX(a, "$0 * $1", emit_float(e, factor, dtype), x);
    if (factor != (double)(int32_t)factor)
        emit_fail(e, OX0302, "", "%s is %g, but the type is %s", name, factor,
                  dtype_info(dtype)->name);
    return EX(a, "$0 * $1", ex_int(a, (int64_t)(int32_t)factor), x);
}

static const Expr *transposed_if(Emit *e, int i, const char *name) {
    const Expr *x = emit_in(e, i);
    return attr_int(emit_node(e), name) ? ex_attribute(emit_arena(e), x, STR("T")) : x;
}

/* a @ b, of which each may be transposed. */
static const Expr *gemm_product(Emit *e) {
    const Node *n = emit_node(e);
    bool inner = attr_int(n, "transB") && !attr_int(n, "transA");
    const Expr *a = transposed_if(e, 0, "transA");
    const Expr *b = inner ? emit_in(e, 1) : transposed_if(e, 1, "transB");
    return EX(emit_arena(e), inner ? INNER("$0", "$1") : "$0 @ $1", a, b);
}

const Expr *gemm_expr(Emit *e) {
    Arena *arena = emit_arena(e);
    const Expr *y = scaled(e, "alpha", gemm_product(e));
    bool add = node_in(emit_node(e), 2) && attr_float(emit_node(e), "beta") != 0;
    if (add)
        y = ex_binary(arena, "+", y, scaled(e, "beta", emit_in_lifted(e, 2, 2)));
    return y;
}

static void emit_gemm(Emit *e) {
    emit_out(e, 0, gemm_expr(e));
}

/* ---- Inner ------------------------------------------------------------------------- */

/* The product with a transposed matrix, which fusions.c makes of two nodes. */
static void infer_inner(Model *m, Node *n) {
    Shape a, b;
    in_shape(n, 0, &a);
    in_shape(n, 1, &b);
    Shape turned = {.rank = 2, .d = {b.d[1], b.d[0]}};
    set_product(m, n, &a, &turned, in_dtype(n, 0));
}

/* ---- Einsum ------------------------------------------------------------------------ */

enum { LETTERS = 128 };

typedef struct Equation {
    Str left, right;    /* without spaces */
    bool has_right;     /* else the output follows from the letters */
    Dim dim[LETTERS];   /* by letter */
    int count[LETTERS]; /* occurrences on the left */
    Shape dots;         /* of the axes that "..." stands for; rank -1: none seen */
} Equation;

static Str without_spaces(Arena *a, Str s) {
    Text t = {.arena = a};
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ')
            text_char(&t, s.p[i]);
    return text_view(&t);
}

/* Takes a letter or "..." off the front of the term; '.' for the latter, 0 at its end
 * and for anything else. */
static char next_index(Str *term) {
    size_t n = str_starts(*term, STR("...")) ? 3 : 1;
    if (term->n == 0 || (n == 1 && !char_is_letter(term->p[0])))
        return 0;
    char c = term->p[0];
    *term = (Str){term->p + n, term->n - n};
    return c;
}

static bool split_equation(Model *m, const Node *n, Equation *q) {
    Str s = without_spaces(m->arena, attr_str(n, "equation"));
    *q = (Equation){.left = s, .dots = {.rank = -1}};
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == '-' && s.p[i + 1] == '>') {
            q->left.n = i;
            q->right = (Str){s.p + i + 2, s.n - i - 2};
            q->has_right = true;
            break;
        }
    size_t terms = 1;
    Str rest = q->left;
    while (rest.n > 0 && (next_index(&rest) || rest.p[0] == ',')) {
        if (rest.n > 0 && rest.p[0] == ',') {
            rest = (Str){rest.p + 1, rest.n - 1};
            terms++;
        }
    }
    Str right = q->right;
    while (next_index(&right))
        ;
    if (rest.n == 0 && right.n == 0 && terms == n->n_in)
        return true;
    node_error(m, n, OX0303, "", "equation \"%.*s\" does not fit %u inputs", (int)s.n,
               s.p, n->n_in);
    return false;
}

/* Sizes of one index agree, or are 1. */
static void join_dim(Model *m, Node *n, Dim *known, Dim d, bool first) {
    if (first || dim_is(*known, 1) || (dim_is_int(d) && !dim_is(d, 1) && known->poly))
        *known = d;
    else if (!dim_is(d, 1))
        fits_or_error(m, n, *known, d);
}

static int letters_in(Str term) {
    int count = 0;
    for (char c; (c = next_index(&term));)
        count += c != '.';
    return count;
}

/* Axes from..from+rank of s are what "..." stands for. */
static bool join_dots(Model *m, Node *n, Equation *q, const Shape *s, int from,
                      int rank) {
    Shape t = {.rank = rank};
    memcpy(t.d, s->d + from, (size_t)rank * sizeof t.d[0]);
    if (q->dots.rank >= 0)
        return broadcast_shape(m, n, &q->dots, &t);
    q->dots = t;
    return true;
}

/* Ties the indices of one term to the axes of an input. */
static bool bind_term(Model *m, Node *n, Equation *q, Str term, const Shape *s) {
    int dots = s->rank - letters_in(term), axis = 0;
    bool ok = dots >= 0;
    for (char c; ok && (c = next_index(&term));) {
        if (c == '.') {
            ok = join_dots(m, n, q, s, axis, dots);
            axis += dots;
            dots = 0;
        } else {
            join_dim(m, n, &q->dim[(int)c], s->d[axis++], q->count[(int)c]++ == 0);
        }
    }
    if (ok && axis == s->rank)
        return true;
    node_error(m, n, OX0401, "", "a term of the equation does not fit rank %d",
               s->rank);
    return false;
}

static bool bind_inputs(Model *m, Node *n, Equation *q) {
    Str rest = q->left;
    for (int i = 0; i < (int)n->n_in; i++) {
        const char *comma = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
        Str term = {rest.p, comma ? (size_t)(comma - rest.p) : rest.n};
        rest = (Str){term.p + term.n, rest.n - term.n};
        if (comma)
            rest = (Str){rest.p + 1, rest.n - 1};
        Shape s;
        if (!in_shape(n, i, &s) || !bind_term(m, n, q, term, &s))
            return false;
    }
    return true;
}

/* A size that broadcasting could not decide is read where it ends up in the output. */
static bool append_dots(Model *m, Node *n, const Equation *q, Shape *s) {
    for (int i = 0; i < q->dots.rank; i++) {
        if (s->rank == OX_MAX_RANK)
            return false;
        const Symbol *symbol = dim_as_symbol(q->dots.d[i]);
        bool own = symbol && symbol->value == node_out(n, 0);
        s->d[s->rank] = own ? fresh_dim(m, n, 0, s->rank) : q->dots.d[i];
        s->rank++;
    }
    return true;
}

/* The right side, or "..." and the letters that occur once in the order of ASCII. */
static bool output_shape(Model *m, Node *n, const Equation *q, Shape *s) {
    bool used[LETTERS] = {0};
    *s = (Shape){.rank = 0};
    bool ok = q->has_right || append_dots(m, n, q, s);
    Str rest = q->right;
    for (char c; ok && (c = next_index(&rest));) {
        ok = !used[(int)c] && s->rank < OX_MAX_RANK && (c == '.' || q->count[(int)c]);
        used[(int)c] = true;
        if (ok && c == '.')
            ok = append_dots(m, n, q, s);
        else if (ok)
            s->d[s->rank++] = q->dim[(int)c];
    }
    for (int c = 0; ok && !q->has_right && c < LETTERS; c++) {
        if (q->count[c] != 1)
            continue;
        ok = s->rank < OX_MAX_RANK;
        if (ok)
            s->d[s->rank++] = q->dim[c];
    }
    if (!ok)
        node_error(m, n, OX0303, "", "the output of the equation is malformed");
    return ok;
}

static void infer_einsum(Model *m, Node *n) {
    Equation q;
    Shape s = {.rank = -1};
    if (!split_equation(m, n, &q) || !bind_inputs(m, n, &q) ||
        !output_shape(m, n, &q, &s))
        s.rank = -1;
    set_type(m, n, 0, in_dtype(n, 0), &s);
}

/* Every combination of the indices is one product, times one for each input past two. */
static bool macs_einsum(Model *m, Node *n, Dim *count) {
    Equation q;
    *count = dim_int((int64_t)(n->n_in > 2 ? n->n_in - 1 : 1));
    if (n->n_in < 2)
        return *count = dim_int(0), true;
    if (!split_equation(m, n, &q) || !bind_inputs(m, n, &q))
        return false;
    for (int c = 0; c < LETTERS; c++)
        if (q.count[c])
            *count = dim_mul(&m->dims, *count, q.dim[c]);
    for (int i = 0; i < q.dots.rank; i++)
        *count = dim_mul(&m->dims, *count, q.dots.d[i]);
    return true;
}

static void emit_einsum(Emit *e) {
    Arena *a = emit_arena(e);
    Str equation = attr_str(emit_node(e), "equation");
    uint32_t n = emit_node(e)->n_in;
    const Expr **args = ARENA_ARRAY(a, (size_t)n + 1, const Expr *);
    if (!args)
        return;
    args[0] = ex_str(a, without_spaces(a, equation));
    for (uint32_t i = 0; i < n; i++)
        args[i + 1] = emit_in(e, (int)i);
    emit_out(e, 0, ex_call(a, ex_name(a, STR("jnp.einsum")), args, (size_t)n + 1));
}

static bool apart_product(Model *m, const Node *n, const int *at, int out, int axis) {
    (void)m;
    (void)out;
    return apart_matmul(n, at, 0, 1, axis);
}

/* Where the letter of this axis of a term is no other's; 0: nowhere. */
static char letter_of(Str term, int rank, int axis) {
    int dots = rank - letters_in(term), i = 0;
    char found = 0;
    for (char c; (c = next_index(&term));) {
        if (i <= axis && axis < i + (c == '.' ? dots : 1))
            found = c;
        i += c == '.' ? dots : 1;
    }
    return found == '.' ? 0 : found;
}

static int count_letter(Str term, char letter) {
    int count = 0;
    for (char c; (c = next_index(&term));)
        count += c == letter;
    return count;
}

/* The same letter everywhere, in no term twice, and in none of a shared input. */
static bool apart_einsum(Model *m, const Node *n, const int *at, int out, int axis) {
    Equation q;
    if (!split_equation(m, n, &q) || !q.has_right)
        return false;
    char letter = letter_of(q.right, n->out[out]->type.rank, axis);
    Str rest = q.left;
    for (int k = 0; letter && k < (int)n->n_in; k++) {
        const char *comma = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
        Str term = {rest.p, comma ? (size_t)(comma - rest.p) : rest.n};
        size_t used = term.n + (comma != NULL);
        rest = (Str){rest.p + used, rest.n - used};
        bool here = at[k] >= 0 && letter_of(term, in_rank(n, k), at[k]) == letter;
        if (at[k] == APART_SIZE || count_letter(term, letter) != here ||
            (at[k] >= 0 && !here))
            return false;
    }
    return letter;
}

/* C is broadcast to the product. */
bool apart_gemm(Model *m, const Node *n, const int *at, int out, int axis) {
    int row = attr_int(n, "transA") ? 1 : 0, column = attr_int(n, "transB") ? 0 : 1;
    bool has_c = n->n_in > 2 && n->in[2];
    (void)m;
    (void)out;
    return at[0] == (axis == 0 ? row : APART_SHARED) &&
           at[1] == (axis == 1 ? column : APART_SHARED) &&
           (!has_c || at[2] == APART_SHARED || at[2] - in_rank(n, 2) == axis - 2);
}

/* The axes of A but the last, then those of B but the last. */
static bool apart_inner(Model *m, const Node *n, const int *at, int out, int axis) {
    int last[] = {in_rank(n, 0) - 1, in_rank(n, 1) - 1};
    (void)m;
    (void)out;
    if (at[1] == APART_SHARED)
        return at[0] == axis && axis < last[0];
    return at[0] == APART_SHARED && at[1] >= 0 && at[1] < last[1] &&
           axis == last[0] + at[1];
}

/* Both sides end at the same entry. */
static OpPast past_product(Model *m, const Node *n, const int *at, int input) {
    int a = in_rank(n, 0) - 1, b = in_rank(n, 1) > 1 ? in_rank(n, 1) - 2 : 0;
    (void)m;
    (void)input;
    return at[0] == a && at[1] == b ? PAST_ZERO : PAST_SEEN;
}

/* clang-format off */
static const OpDef ops[] = {
    {.name = "MatMul", .since = 1, .in = "A B", .out = "Y",
     .facts = OP_LINEAR | OP_CONTRACTS, .apart = apart_product,
     .past = past_product, .infer = infer_matmul, .macs = macs_product,
     .jax = "$A @ $B"},
    /* before 7, `broadcast` only says whether C may be smaller than Y */
    {.name = "Gemm", .since = 1, .until = 6, .in = "A B C", .out = "Y",
     .attrs = {GEMM_ATTRS, INT("broadcast", 0)}, .facts = OP_CONTRACTS,
     .apart = apart_gemm, .infer = infer_gemm, .macs = macs_product, .emit = emit_gemm},
    {.name = "Gemm", .since = 7, .in = "A B C?", .out = "Y",
     .attrs = {GEMM_ATTRS}, .facts = OP_WEIGHT_BIAS | OP_CONTRACTS,
     .apart = apart_gemm, .infer = infer_gemm, .macs = macs_product, .emit = emit_gemm},
    {.name = "Inner", .domain = OP_INTERNAL, .since = 1, .in = "A B", .out = "Y",
     .facts = OP_CONTRACTS, .apart = apart_inner, .infer = infer_inner,
     .jax = INNER("$A", "$B")},
    {.name = "Einsum", .since = 12, .in = "Inputs*", .out = "Output",
     .attrs = {STRING_REQ("equation")}, .facts = OP_CONTRACTS,
     .apart = apart_einsum, .infer = infer_einsum, .macs = macs_einsum,
     .emit = emit_einsum},
};
/* clang-format on */

const OpFamily ops_linear = FAMILY(ops);
