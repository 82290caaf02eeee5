/* Symbolic shapes and elements through the operators that move and count: the rules
 * that decide whether generated code says `batch` or reads a shape at run time. */
#include "ops/core/engine.h"

#include "build.h"

enum { ARGS = 4, ELEMENTS = 6, SCALAR = -1 };

/* One node on x, with integer inputs a, b, c, d and at most one INT attribute. */
typedef struct Case {
    const char *op, *x, *in, *attr;
    int64_t attr_value;
    struct {
        int n;
        int64_t v[ELEMENTS];
    } args[ARGS];
    const char *type; /* of y */
} Case;

#define INTS(...)                                                                      \
    {                                                                                  \
        (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {                   \
            __VA_ARGS__                                                                \
        }                                                                              \
    }
#define LAST INT64_MAX

/* clang-format off */
static const Case types[] = {
    /* op         x           inputs   attr     v  a             b ...    y */
    {"Reshape",   "b,s,12",   "x,a",   NULL,    0, {INTS(0, 0, 3, 4)},    "float32[b,s,3,4]"},
    {"Reshape",   "b,s,12",   "x,a",   NULL,    0, {INTS(0, -1, 4)},      "float32[b,3*s,4]"},
    {"Reshape",   "b,s,12",   "x,a",   NULL,    0, {INTS(-1, 12)},        "float32[b*s,12]"},
    {"Reshape",   "b,s,12",   "x,a",   NULL,    0, {INTS(-1)},            "float32[12*b*s]"},
    {"Reshape",   "b,s",      "x,a",   NULL,    0, {INTS(-1, 5)},         "float32[y[0],5]"},
    {"Reshape",   "0,4",      "x,a",   "allowzero", 1, {INTS(4, 0)},      "float32[4,0]"},
    {"Flatten",   "b,s,12",   "x",     "axis",  1, {{0}},                 "float32[b,12*s]"},
    {"Flatten",   "b,s,12",   "x",     "axis", -1, {{0}},                 "float32[b*s,12]"},
    {"Flatten",   "b,s,12",   "x",     "axis",  0, {{0}},                 "float32[1,12*b*s]"},
    {"Squeeze",   "b,1,s,1",  "x,a",   NULL,    0, {INTS(1, -1)},         "float32[b,s]"},
    {"Squeeze",   "2,1,3",    "x",     NULL,    0, {{0}},                 "float32[2,3]"},
    {"Squeeze",   "b,1,3",    "x",     NULL,    0, {{0}},                 "float32[...]"},
    {"Unsqueeze", "b,s",      "x,a",   NULL,    0, {INTS(-1, 0)},         "float32[1,b,s,1]"},
    {"Transpose", "b,s,12",   "x",     NULL,    0, {{0}},                 "float32[12,s,b]"},
    {"Expand",    "b,1,1",    "x,a",   NULL,    0, {INTS(1, 5, 1)},       "float32[b,5,1]"},
    {"Expand",    "b,1",      "x,a",   NULL,    0, {INTS(4, 1, 7)},       "float32[4,b,7]"},
    {"Concat",    "b,s",      "x,x",   "axis", -1, {{0}},                 "float32[b,2*s]"},
    {"Tile",      "b,3",      "x,a",   NULL,    0, {INTS(2, 2)},          "float32[2*b,6]"},
    {"Pad",       "b,3",      "x,a",   NULL,    0, {INTS(1, 0, 1, -1)},   "float32[b + 2,2]"},
    {"Shape",     "b,s,12",   "x",     "start", 1, {{0}},                 "int64[2]"},
    {"Size",      "b,s",      "x",     NULL,    0, {{0}},                 "int64[]"},
    {"Slice",     "b,s",      "x,a,b,c", NULL,  0, {INTS(1), INTS(LAST), INTS(1)},
                                                                          "float32[b,max(0, s - 1)]"},
    {"Slice",     "b,s",      "x,a,b,c", NULL,  0, {INTS(0), INTS(-1), INTS(1)},
                                                                          "float32[b,max(0, s - 1)]"},
    {"Slice",     "b,s",      "x,a,b,c", NULL,  0, {INTS(0), INTS(1), INTS(0)},
                                                                          "float32[min(b, 1),s]"},
    {"Slice",     "b,s",      "x,a,b,c,d", NULL, 0, {INTS(-1), INTS(-LAST), INTS(1), INTS(-1)},
                                                                          "float32[b,s]"},
    {"Slice",     "b,s",      "x,a,b,c,d", NULL, 0, {INTS(0), INTS(LAST), INTS(1), INTS(2)},
                                                                          "float32[b,floor((s + 1)/2)]"},
    {"Slice",     "b,s",      "x,a,b,c", NULL,  0, {INTS(-3), INTS(LAST), INTS(1)},
                                                                          "float32[b,min(s, 3)]"},
    {"Slice",     "b,s",      "x,a,b,c", NULL,  0, {INTS(-LAST), INTS(-LAST), INTS(1)},
                                                                          "float32[b,0]"},
    {"Slice",     "b,9",      "x,a,b,c,d", NULL, 0, {INTS(7), INTS(-9), INTS(1), INTS(-3)},
                                                                          "float32[b,3]"},
    {"Slice",     "b,9",      "x,a,b,c", NULL,  0, {INTS(-4), INTS(20), INTS(-1)},
                                                                          "float32[b,4]"},
    {"Gather",    "b,s,12",   "x,a",   "axis",  1, {{SCALAR, {-1}}},      "float32[b,12]"},
    {"Gather",    "b,s,12",   "x,a",   "axis", -1, {INTS(1, 2)},          "float32[b,s,2]"},
    {"DepthToSpace", "b,8,h,w", "x",   "blocksize", 2, {{0}},             "float32[b,2,2*h,2*w]"},
    {"ConstantOfShape", "b",  "a",     NULL,    0, {INTS(2, 3)},          "float32[2,3]"},
    {"Range",     "b",        "a,b,c", NULL,    0, {{SCALAR, {10}}, {SCALAR, {0}}, {SCALAR, {-4}}},
                                                                          "int64[3]"},
};
/* clang-format on */

static Model *infer_case(Fixture *f, const Case *c) {
    Text g = graph_text(f);
    add_input(&g, "x", c->x);
    for (int i = 0; i < ARGS; i++) {
        char name[2] = {(char)('a' + i), 0};
        add_ints(&g, arena_str(&f->arena, str_from(name)).p, c->args[i].v,
                 c->args[i].n);
    }
    Str attr = int_attr(&f->arena, c->attr ? c->attr : "", c->attr_value);
    add_node(&g, c->op, c->in, "y", c->attr ? &attr : NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_model(m);
    return m;
}

static void types_follow_from_symbolic_inputs(void **state) {
    Fixture *f = *state;
    for (size_t i = 0; i < OX_COUNT(types); i++) {
        Model *m = infer_case(f, &types[i]);
        assert_no_errors(f);
        Text t = {.arena = &f->arena};
        type_print(&t, &value_of(m, "y")->type);
        if (!str_is(text_view(&t), types[i].type))
            fail_msg("case %zu, %s: %s, not %s", i, types[i].op, text_view(&t).p,
                     types[i].type);
    }
}

static void bad_shapes_are_errors(void **state) {
    static const Case bad[] = {
        {"Reshape", "2,3", "x,a", NULL, 0, {INTS(4, 2)}, ""},
        {"Reshape", "2,3", "x,a", NULL, 0, {INTS(-1, 4)}, ""},
        {"Squeeze", "2,3", "x,a", NULL, 0, {INTS(0)}, ""},
        {"Squeeze", "2,3", "x,a", NULL, 0, {INTS(2)}, ""},
        {"Unsqueeze", "2,3", "x,a", NULL, 0, {INTS(0, 0)}, ""},
        {"Expand", "2,3", "x,a", NULL, 0, {INTS(4, 3)}, ""},
        {"Concat", "2,3", "x,x", "axis", 2, {{0}}, ""},
        {"Gather", "2,3", "x,a", "axis", 0, {INTS(2)}, ""},
        {"Slice", "2,3", "x,a,b,c", NULL, 0, {INTS(0), INTS(1), INTS(5)}, ""},
        {"Slice",
         "2,3",
         "x,a,b,c,d",
         NULL,
         0,
         {INTS(0), INTS(1), INTS(0), INTS(0)},
         ""},
        {"Pad", "2,3", "x,a", NULL, 0, {INTS(0, 0, 0)}, ""},
        {"Pad", "2,3", "x,a", NULL, 0, {INTS(-2, 0, -2, 0)}, ""},
        {"Tile", "2,3", "x,a", NULL, 0, {INTS(1, -1)}, ""},
        {"ConstantOfShape", "1", "a", NULL, 0, {INTS(2, -1)}, ""},
        {"DepthToSpace", "1,6,2,2", "x", "blocksize", 2, {{0}}, ""},
        {"Split", "5,2", "x", "num_outputs", 0, {{0}}, ""},
    };
    Fixture *f = *state;
    const Diags clean = f->diags;
    for (size_t i = 0; i < OX_COUNT(bad); i++) {
        f->diags = clean;
        infer_case(f, &bad[i]);
        if (diag_status(&f->diags) != OX_ERR_MODEL)
            fail_msg("case %zu, %s is accepted", i, bad[i].op);
    }
}

/* The known elements of a value as text: [b, 3]. */
static const char *known_text(Fixture *f, const Value *v) {
    Text t = {.arena = &f->arena};
    if (!v->known)
        return "unknown";
    text_char(&t, '[');
    for (size_t i = 0; i < v->known->n; i++) {
        text_lit(&t, i ? ", " : "");
        if (v->known->ints)
            dim_print(&t, v->known->ints[i]);
        else
            text_printf(&t, "%g", v->known->floats[i]);
    }
    text_char(&t, ']');
    return text_view(&t).p;
}

/* Everything between Shape and Reshape in an exported model keeps its symbols. */
static void elements_keep_their_symbols(void **state) {
    static const struct {
        const char *op, *in, *out, *attr;
        int64_t attr_value;
        const char *known;
    } steps[] = {
        {"Shape", "x", "s", NULL, 0, "[b, s, 12]"},
        {"Gather", "s,i0", "s0", NULL, 0, "[b]"},
        {"Gather", "s,last", "s2", NULL, 0, "[12]"},
        {"Slice", "s,one,two", "s1", NULL, 0, "[s]"},
        {"Slice", "s,end,front,zero,back", "r", NULL, 0, "[12, s, b]"},
        {"Unsqueeze", "s0,zero", "u", NULL, 0, "[b]"},
        {"Squeeze", "u,zero", "q", NULL, 0, "[b]"},
        {"Concat", "u,two,s1", "c", "axis", 0, "[b, 2, s]"},
        {"Reshape", "c,row", "m", NULL, 0, "[b, 2, s]"},
        {"Transpose", "m", "t", NULL, 0, "[b, 2, s]"},
        {"Cast", "c", "k", "to", 6, "[b, 2, s]"},
        {"Cast", "two", "kf", "to", 1, "[2]"},
        {"Identity", "c", "d", NULL, 0, "[b, 2, s]"},
        {"Tile", "u,two", "tt", NULL, 0, "[b, b]"},
        {"Expand", "u,two", "e", NULL, 0, "[b, b]"},
        {"Split", "c", "p,p1,p2", NULL, 0, "[b]"},
        {"Size", "x", "z", NULL, 0, "[12*b*s]"},
        {"ConstantOfShape", "two", "f", NULL, 0, "[0, 0]"},
        {"Range", "i0,i3,i2", "g", NULL, 0, "[0, 2]"},
        {"NonZero", "row", "nz", NULL, 0, "[0, 1]"},
    };
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "b,s,12");
    add_ints(&g, "i0", (int64_t[]){0}, -1);
    add_ints(&g, "i2", (int64_t[]){2}, -1);
    add_ints(&g, "i3", (int64_t[]){3}, -1);
    add_ints(&g, "last", (int64_t[]){-1}, -1);
    add_ints(&g, "zero", (int64_t[]){0}, 1);
    add_ints(&g, "one", (int64_t[]){1}, 1);
    add_ints(&g, "two", (int64_t[]){2}, 1);
    add_ints(&g, "end", (int64_t[]){-1}, 1);
    add_ints(&g, "front", (int64_t[]){-LAST}, 1);
    add_ints(&g, "back", (int64_t[]){-1}, 1);
    add_ints(&g, "row", (int64_t[]){1, 3}, 2);
    for (size_t i = 0; i < OX_COUNT(steps); i++) {
        Str attr = int_attr(&f->arena, steps[i].attr ? steps[i].attr : "",
                            steps[i].attr_value);
        add_node(&g, steps[i].op, steps[i].in, steps[i].out,
                 steps[i].attr ? &attr : NULL);
    }
    Model *m = import(f, &g);
    infer_model(m);
    assert_no_errors(f);
    for (size_t i = 0; i < OX_COUNT(steps); i++) {
        Str first = {steps[i].out, strcspn(steps[i].out, ",")};
        const char *text = known_text(f, value_of(m, arena_str(&f->arena, first).p));
        if (strcmp(text, steps[i].known) != 0)
            fail_msg("%s: %s, not %s", steps[i].op, text, steps[i].known);
    }
}

/* Elements of every shape, not only of vectors. */
static void elements_of_matrices_are_moved(void **state) {
    static const struct {
        const char *op, *in, *known, *attr;
        int64_t attr_value;
    } cases[] = {
        {"Transpose", "m", "[1, 4, 2, 5, 3, 6]", NULL, 0},
        {"Slice", "m,end,front,one,back", "[3, 2, 1, 6, 5, 4]", NULL, 0},
        {"Gather", "m,swap", "[2, 1, 5, 4]", "axis", 1},
        {"Gather", "m,swap", "[4, 5, 6, 1, 2, 3]", "axis", 0},
        {"Concat", "m,m", "[1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]", "axis", 1},
        {"Tile", "m,reps", "[1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]", NULL, 0},
        {"Expand", "col,wide", "[7, 7, 8, 8]", NULL, 0},
    };
    Fixture *f = *state;
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Text g = graph_text(f);
        add_ints(&g, "six", (int64_t[]){1, 2, 3, 4, 5, 6}, 6);
        add_ints(&g, "shape", (int64_t[]){2, 3}, 2);
        add_ints(&g, "pair", (int64_t[]){7, 8}, 2);
        add_ints(&g, "end", (int64_t[]){-1}, 1);
        add_ints(&g, "front", (int64_t[]){-LAST}, 1);
        add_ints(&g, "one", (int64_t[]){1}, 1);
        add_ints(&g, "back", (int64_t[]){-1}, 1);
        add_ints(&g, "swap", (int64_t[]){1, 0}, 2);
        add_ints(&g, "reps", (int64_t[]){1, 2}, 2);
        add_ints(&g, "wide", (int64_t[]){2, 2}, 2);
        add_node(&g, "Reshape", "six,shape", "m", NULL);
        add_node(&g, "Unsqueeze", "pair,one", "col", NULL);
        Str attr = int_attr(&f->arena, cases[i].attr ? cases[i].attr : "",
                            cases[i].attr_value);
        add_node(&g, cases[i].op, cases[i].in, "y", cases[i].attr ? &attr : NULL);
        Model *m = import(f, &g);
        infer_model(m);
        assert_no_errors(f);
        assert_string_equal(known_text(f, value_of(m, "y")), cases[i].known);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(types_follow_from_symbolic_inputs),
        IN_ARENA(bad_shapes_are_errors),
        IN_ARENA(elements_keep_their_symbols),
        IN_ARENA(elements_of_matrices_are_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
