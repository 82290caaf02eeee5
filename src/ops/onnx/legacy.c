/* Binary operators before opset 7: see legacy.h. */
#include "ops/onnx/legacy.h"

#include "ops/core/apart.h"

/* How many axes of input 0 lie behind those that input 1 matches; -1: not known. */
static int trailing_axes(Model *m, const Node *n) {
    int a = in_rank(n, 0), b = in_rank(n, 1), axis;
    if (!attr_int(n, "broadcast") || !attr_has(n, "axis") || b == 0)
        return 0;
    if (a < 0 || b < 0)
        return -1;
    if (!fix_axis(m, n, attr_int(n, "axis"), a, &axis))
        return 0;
    if (axis + b <= a)
        return a - axis - b;
    node_error(m, n, OX0401, "",
               "input 1 of rank %d does not fit at axis %d of rank %d", b, axis, a);
    return 0;
}

/* t, without the ones in front that nothing of s answers, must be a part of s that ends
 * `trailing` axes before its end.  A size that s does not know is that of t. */
static void check_part(Model *m, const Node *n, Shape *s, const Shape *t,
                       int trailing) {
    for (int i = 1; i <= t->rank; i++) {
        int axis = s->rank - trailing - i;
        Dim part = t->d[t->rank - i], whole = axis < 0 ? dim_int(1) : s->d[axis];
        if (!dim_is_int(part) || part.c == 1)
            continue;
        if (dim_is_int(whole) && whole.c != part.c)
            node_error(m, n, OX0401, "", "size %lld of input 1 does not fit %lld",
                       (long long)part.c, (long long)whole.c);
        else
            s->d[axis] = part;
    }
}

static void infer_as(Model *m, Node *n, DType dtype) {
    Shape s, t;
    (void)same_types(m, n, 0);
    in_shape(n, 0, &s);
    in_shape(n, 1, &t);
    int trailing = trailing_axes(m, n);
    if (s.rank >= 0 && t.rank >= 0)
        check_part(m, n, &s, &t, trailing < 0 ? 0 : trailing);
    set_type(m, n, 0, dtype, &s);
}

void infer_legacy(Model *m, Node *n) {
    infer_as(m, n, in_dtype(n, 0));
}

void infer_legacy_bool(Model *m, Node *n) {
    infer_as(m, n, DT_BOOL);
}

void emit_legacy(Emit *e, const char *text) {
    Arena *a = emit_arena(e);
    const Node *n = emit_node(e);
    int trailing = trailing_axes(emit_model(e), n);
    if (trailing < 0) {
        emit_fail(e, OX0403, "give the shapes of the inputs with --shape",
                  "broadcasting at an axis needs the ranks of both inputs");
        return;
    }
    if (trailing == 0) {
        emit_out(e, 0, EX(a, text, emit_operand(e, 0), emit_operand(e, 1)));
        return;
    }
    const Expr *items[OX_MAX_RANK];
    int rank = in_rank(n, 0), first = rank - trailing - in_rank(n, 1);
    for (int i = 0; i < rank; i++)
        items[i] = i < first || i >= rank - trailing ? ex_none()
                                                     : ex_slice(a, NULL, NULL, NULL);
    const Expr *b = ex_index(a, emit_in(e, 1), items, (size_t)rank);
    emit_out(e, 0, EX(a, text, emit_in(e, 0), b));
}

bool apart_legacy(Model *m, const Node *n, const int *at, int out, int axis) {
    bool alike = in_rank(n, 0) == in_rank(n, 1);
    return alike ? at[0] == axis && apart_broadcast(m, n, at, out, axis)
                 : apart_same(m, n, at, out, axis);
}
