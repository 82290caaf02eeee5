/* The operator table, reading nodes through it, and evaluation of small tensors. */
#include "ops/core/engine.h"
#include "ops/fusion.h"

#include "build.h"

#include <math.h>

/* ---- the table ------------------------------------------------------------------- */

static void the_table_keeps_its_rules(void **state) {
    Fixture *f = *state;
    const char *broken = op_check(&f->arena);
    if (broken)
        fail_msg("%s", broken);
}

static bool belongs_to_patterns(Str name) {
    static const char *const words[] = {"As", "Is", "Maybe", "Times"};
    for (size_t i = 0; i < OX_COUNT(words); i++)
        if (str_is(name, words[i]))
            return true;
    return false;
}

/* Every operator that a fusion calls is there. */
static void calls_are_operators(const Expr *x) {
    if (x->kind == EX_CALL) {
        Str name = x->kids[0]->text;
        bool known = op_known_at_all(STR(""), name) || belongs_to_patterns(name) ||
                     op_find(STR(OP_INTERNAL), name, 1);
        if (!known)
            fail_msg("%.*s is no operator", (int)name.n, name.p);
    }
    for (uint32_t i = 0; i < x->n; i++)
        calls_are_operators(x->kids[i]);
}

static void fusions_name_operators(void **state) {
    Fixture *f = *state;
    const Fusion *row;
    for (size_t i = 0; (row = fusion_at(i)); i++) {
        const char *texts[] = {row->pattern, row->becomes};
        for (size_t k = 0; k < OX_COUNT(texts); k++) {
            const char *error = NULL;
            const Expr *x = ex_template(&f->arena, texts[k], NULL, &error);
            if (error)
                fail_msg("%s: %s", texts[k], error);
            calls_are_operators(x);
        }
    }
}

static void lookup_takes_the_newest_version_not_above_the_opset(void **state) {
    (void)state;
    assert_int_equal(op_find(STR(""), STR("Softmax"), 12)->since, 1);
    assert_int_equal(op_find(STR(""), STR("Softmax"), 13)->since, 13);
    assert_int_equal(op_find(STR("ai.onnx"), STR("Softmax"), 99)->since, 13);
    assert_null(op_find(STR(""), STR("Gelu"), 19));
    assert_null(op_find(STR("com.example"), STR("Softmax"), 13));
    assert_null(op_find(STR(""), STR("Soft"), 13));
    assert_null(op_find(STR(""), STR("Softmaxes"), 13));
    assert_null(op_find(STR(""), STR(""), 13));
}

static void an_operator_newer_than_the_opset_is_known_all_the_same(void **state) {
    (void)state;
    assert_true(op_known_at_all(STR(""), STR("Gelu")));
    assert_false(op_known_at_all(STR(""), STR("Unheard")));
}

static void names_of_inputs_have_indices(void **state) {
    (void)state;
    const OpDef *clip = op_find(STR(""), STR("Clip"), 13);
    assert_int_equal(op_input_index(clip, STR("input")), 0);
    assert_int_equal(op_input_index(clip, STR("max")), 2);
    assert_int_equal(op_input_index(clip, STR("ma")), -1);
    const OpDef *max = op_find(STR(""), STR("Max"), 13);
    assert_int_equal(op_input_index(max, STR("data_0")), 0);
}

static void spec_strings_say_what_is_optional(void **state) {
    (void)state;
    const char *at = "X W? B*";
    OpSlot slot;
    assert_true(op_spec_next(&at, &slot));
    assert_true(str_is(slot.name, "X") && !slot.optional && !slot.variadic);
    assert_true(op_spec_next(&at, &slot));
    assert_true(str_is(slot.name, "W") && slot.optional);
    assert_true(op_spec_next(&at, &slot));
    assert_true(str_is(slot.name, "B") && slot.variadic);
    assert_false(op_spec_next(&at, &slot));
}

static Str printed(Fixture *f, OxFormat format, const char *name) {
    Text t = {.arena = &f->arena};
    op_print(&t, format, str_from(name));
    return text_view(&t);
}

static void the_table_prints_in_three_forms(void **state) {
    Fixture *f = *state;
    assert_string_equal(printed(f, OX_ASCII, "LeakyRelu").p,
                        "LeakyRelu (ai.onnx 1)\n"
                        "  inputs:     X\n"
                        "  outputs:    Y\n"
                        "  attributes: alpha=0.01\n"
                        "  JAX:        jax.nn.leaky_relu($X$(, $alpha|0.01))\n");
    assert_non_null(strstr(printed(f, OX_MARKDOWN, "LeakyRelu").p,
                           "| LeakyRelu | ai.onnx | 1 | X | Y | alpha=0.01 | "
                           "`jax.nn.leaky_relu($X$(, $alpha\\|0.01))` |\n"));
    assert_non_null(strstr(printed(f, OX_JSON, "Clip").p,
                           "{\"since\": 11, \"until\": null, \"inputs\": [{\"name\": "
                           "\"input\", \"optional\": false, \"variadic\": false}, "));
    assert_string_equal(printed(f, OX_JSON, "Unheard").p, "[]\n");
    assert_string_equal(printed(f, OX_ASCII, "Unheard").p, "");
}

static void operators_print_in_the_order_of_their_names(void **state) {
    Fixture *f = *state;
    const char *all = printed(f, OX_MARKDOWN, "").p;
    const char *abs = strstr(all, "| Abs |"), *add = strstr(all, "| Add |");
    const char * xor = strstr(all, "| Xor |");
    assert_true(abs && add && xor&&abs < add &&add < xor);
    assert_non_null(strstr(add, "| Add | ai.onnx | 1, 7 | A, B | C |"));
}

/* ---- reading nodes --------------------------------------------------------------- */

static Str float_attr(Arena *a, const char *name, float value) {
    Text t = {.arena = a};
    put_str(&t, 1, name);
    put_float(&t, 2, value);
    put_int(&t, 20, ATTR_FLOAT);
    return text_view(&t);
}

static Str ints_attr(Arena *a, const char *name, const int64_t *v, int n) {
    Text t = {.arena = a};
    put_str(&t, 1, name);
    for (int i = 0; i < n; i++)
        put_int(&t, 8, v[i]);
    put_int(&t, 20, ATTR_INTS);
    return text_view(&t);
}

/* A model of one node on the float input x of this shape; its operators are bound. */
static Model *one_node(Fixture *f, const char *op, const char *in, const char *dims,
                       const Str *attr) {
    Text g = graph_text(f);
    add_input(&g, "x", dims);
    add_ints(&g, "two", (int64_t[]){2}, -1);
    add_ints(&g, "axes", (int64_t[]){0, -1}, 2);
    add_node(&g, op, in, "y", attr);
    add_output(&g, "y");
    Model *m = import(f, &g);
    ops_bind(m);
    assert_int_equal(m->unsupported.count, 0);
    return m;
}

static void attributes_have_the_defaults_of_the_table(void **state) {
    Fixture *f = *state;
    Node *n = one_node(f, "LeakyRelu", "x", "2", NULL)->graph->nodes[0];
    assert_true(attr_float(n, "alpha") == 0.01);
    assert_false(attr_has(n, "alpha"));
    Str alpha = float_attr(&f->arena, "alpha", 0.5F);
    n = one_node(f, "LeakyRelu", "x", "2", &alpha)->graph->nodes[0];
    assert_true(attr_float(n, "alpha") == 0.5);
    n = one_node(f, "Gelu", "x", "2", NULL)->graph->nodes[0];
    assert_true(attr_is(n, "approximate", "none"));
    n = one_node(f, "Softmax", "x", "2", NULL)->graph->nodes[0];
    assert_int_equal(attr_int(n, "axis"), -1);
}

static void names_that_a_row_lacks_are_defects(void **state) {
    Fixture *f = *state;
    Node *n = one_node(f, "LeakyRelu", "x", "2", NULL)->graph->nodes[0];
    assert_false(node_has(n, "alhpa"));
    assert_null(attr_find(n, "alhpa"));
    assert_int_equal(attr_int_or(n, "alhpa", 3), 3);
    assert_no_errors(f);
    assert_true(attr_float(n, "alhpa") == 0);
    assert_error(f, OX0302, "LeakyRelu: its code reads \"alhpa\"");
}

static void inputs_that_a_row_lacks_are_defects(void **state) {
    Fixture *f = *state;
    Node *n = one_node(f, "LeakyRelu", "x", "2", NULL)->graph->nodes[0];
    assert_true(is_absent(n, "x"));
    assert_error(f, OX0302, "LeakyRelu: its code reads \"x\"");
}

static void attributes_of_another_type_are_defects(void **state) {
    Fixture *f = *state;
    Node *n = one_node(f, "LeakyRelu", "x", "2", NULL)->graph->nodes[0];
    assert_int_equal(attr_int(n, "alpha"), 0);
    assert_error(f, OX0302, "reads \"alpha\" as int, its row has float");
}

static Str text_attr(Arena *a, const char *name, const char *value) {
    Text t = {.arena = a};
    put_str(&t, 1, name);
    put_str(&t, 4, value);
    put_int(&t, 20, ATTR_STRING);
    return text_view(&t);
}

static void words_that_a_row_does_not_allow_are_defects(void **state) {
    Fixture *f = *state;
    Node *n = one_node(f, "Gelu", "x", "2", NULL)->graph->nodes[0];
    assert_false(attr_is(n, "approximate", "tanh"));
    assert_no_errors(f);
    assert_false(attr_is(n, "approximate", "erf"));
    assert_error(f, OX0302, "Gelu: its code asks for approximate \"erf\"");
}

static void integers_come_from_attribute_or_input(void **state) {
    Fixture *f = *state;
    Ints v;
    Node *n = one_node(f, "ReduceSum", "x,axes", "2,3", NULL)->graph->nodes[0];
    assert_true(get_ints(n, "axes", &v));
    assert_int_equal(v.n, 2);
    assert_int_equal(v.v[1], -1);
    assert_false(is_absent(n, "axes"));
    n = one_node(f, "ReduceSum", "x", "2,3", NULL)->graph->nodes[0];
    assert_false(get_ints(n, "axes", &v));
    assert_true(is_absent(n, "axes"));
    n = one_node(f, "ReduceSum", "x,x", "2,3", NULL)->graph->nodes[0];
    assert_false(get_ints(n, "axes", &v));
    Str perm = ints_attr(&f->arena, "perm", (int64_t[]){1, 0}, 2);
    n = one_node(f, "Transpose", "x", "2,3", &perm)->graph->nodes[0];
    assert_true(get_ints(n, "perm", &v));
    assert_int_equal(v.v[0], 1);
}

static void axes_become_a_mask(void **state) {
    Fixture *f = *state;
    uint64_t mask;
    Model *m = one_node(f, "ReduceSum", "x,axes", "2,3,4", NULL);
    assert_true(get_axes(m, m->graph->nodes[0], "axes", 3, false, &mask));
    assert_int_equal(mask, 5);
    m = one_node(f, "ReduceSum", "x", "2,3,4", NULL);
    assert_true(get_axes(m, m->graph->nodes[0], "axes", 3, true, &mask));
    assert_int_equal(mask, 7);
    assert_true(get_axes(m, m->graph->nodes[0], "axes", 3, false, &mask));
    assert_int_equal(mask, 0);
    assert_true(get_axes(m, m->graph->nodes[0], "axes", 0, true, &mask));
    assert_int_equal(mask, 0);
    assert_no_errors(f);
}

static void an_axis_out_of_range_is_an_error(void **state) {
    Fixture *f = *state;
    Model *m = one_node(f, "Softmax", "x", "2,3", NULL);
    int axis;
    assert_true(fix_axis(m, m->graph->nodes[0], -2, 2, &axis));
    assert_int_equal(axis, 0);
    assert_false(fix_axis(m, m->graph->nodes[0], 2, 2, &axis));
    assert_error(f, OX0401, "axis 2 is out of range for rank 2");
}

static bool passes(Fixture *f, const char *op, const char *in, const Str *attr) {
    Model *m = one_node(f, op, in, "2,3", attr);
    return node_check(m, m->graph->nodes[0]);
}

/* The hint is the word that was meant, or all of them. */
static void texts_are_words_of_the_row(void **state) {
    Fixture *f = *state;
    Str tanh = text_attr(&f->arena, "approximate", "tanh"),
        slip = text_attr(&f->arena, "approximate", "tan"),
        part = text_attr(&f->arena, "approximate", "none tanh"),
        mode = text_attr(&f->arena, "mode", "mirror");
    assert_true(passes(f, "Gelu", "x", &tanh));
    assert_no_errors(f);
    assert_false(passes(f, "Gelu", "x", &slip));
    assert_error(f, OX0303, "Gelu: approximate \"tan\" is not known");
    assert_true(str_is(f->diags.items[0].hint, "did you mean \"tanh\"?"));
    assert_false(passes(f, "Gelu", "x", &part));
    assert_false(passes(f, "Pad", "x,axes", &mode));
    assert_error(f, OX0302, "Pad: mode \"mirror\" is not supported");
    assert_true(str_is(f->diags.items[f->diags.count - 1].hint,
                       "it is one of constant, reflect, edge, wrap"));
}

static void nodes_are_checked_against_the_table(void **state) {
    Fixture *f = *state;
    assert_true(passes(f, "Clip", "x,,x", NULL));
    assert_true(passes(f, "Max", "x,x,x,x", NULL));
    assert_no_errors(f);
    assert_false(passes(f, "Add", "x", NULL));
    assert_error(f, OX0303, "required input B is missing");
    assert_false(passes(f, "Add", "x,", NULL));
    assert_false(passes(f, "Sum", "x,,x", NULL));
    assert_error(f, OX0303, "required input data_0 is missing");
    assert_false(passes(f, "Relu", "x,x", NULL));
    assert_error(f, OX0303, "2 inputs given, but the operator has 1");
    Str axis = float_attr(&f->arena, "axis", 1);
    assert_false(passes(f, "Softmax", "x", &axis));
    assert_error(f, OX0303, "attribute axis has the wrong type");
    assert_false(passes(f, "BitShift", "x,x", NULL));
    assert_error(f, OX0303, "required attribute direction is missing");
}

/* ---- shapes ---------------------------------------------------------------------- */

static void assert_broadcast(Fixture *f, const char *a, const char *b,
                             const char *expected) {
    Text g = graph_text(f);
    add_input(&g, "a", a);
    add_input(&g, "b", b);
    add_node(&g, "Add", "a,b", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_model(m);
    assert_type(f, value_of(m, "y"), expected);
}

static void shapes_broadcast(void **state) {
    Fixture *f = *state;
    assert_broadcast(f, "2,3", "2,3", "float32[2,3]");
    assert_broadcast(f, "2,1", "3", "float32[2,3]");
    assert_broadcast(f, "3", "4,1,1", "float32[4,1,3]");
    assert_broadcast(f, "n,3", "1,3", "float32[n,3]");
    assert_broadcast(f, "n,3", "n,1", "float32[n,3]");
    assert_broadcast(f, "n", "8", "float32[8]");
    assert_broadcast(f, "1", "n", "float32[n]");
    assert_broadcast(f, "n", "k", "float32[y[0]]");
    assert_no_errors(f);
    assert_broadcast(f, "2,3", "2,4", "float32[...]");
    assert_error(f, OX0401, "dimensions 3 and 4 do not broadcast");
}

static void assert_refused(Fixture *f, const char *op, const char *in,
                           const char *message) {
    infer_model(one_node(f, op, in, "2,3", NULL));
    assert_error(f, OX0401, message);
}

static void types_must_agree(void **state) {
    Fixture *f = *state;
    assert_refused(f, "Add", "x,two", "different types, float32 and int64");
    assert_refused(f, "Clip", "x,two", "different types, float32 and int64");
    assert_refused(f, "Max", "x,x,two", "different types, float32 and int64");
    assert_refused(f, "PRelu", "x,two", "different types, float32 and int64");
    Model *m = one_node(f, "Pow", "x,two", "2,3", NULL);
    infer_model(m);
    assert_no_errors(f);
    assert_type(f, value_of(m, "y"), "float32[2,3]");
}

static void malformed_nodes_are_not_inferred(void **state) {
    Fixture *f = *state;
    infer_model(one_node(f, "Add", "two", "2", NULL));
    assert_error(f, OX0303, "required input B is missing");
    infer_model(one_node(f, "Max", "", "2", NULL));
    assert_error(f, OX0303, "at least one input is needed");
}

static void assert_reduced(Fixture *f, const char *op, const char *in, int64_t keepdims,
                           const char *expected) {
    Str attr = int_attr(&f->arena, "keepdims", keepdims);
    Model *m = one_node(f, op, in, "n,3,4", &attr);
    infer_model(m);
    assert_no_errors(f);
    assert_type(f, value_of(m, "y"), expected);
}

static void reductions_drop_axes(void **state) {
    Fixture *f = *state;
    assert_reduced(f, "ReduceSum", "x,axes", 0, "float32[3]");
    assert_reduced(f, "ReduceSum", "x,axes", 1, "float32[1,3,1]");
    assert_reduced(f, "ReduceSum", "x", 0, "float32[]");
    assert_reduced(f, "ArgMax", "x", 1, "int64[1,3,4]");
    assert_reduced(f, "ArgMax", "x", 0, "int64[3,4]");
}

/* ---- evaluation ------------------------------------------------------------------ */

/* Text of the known elements of y = op(a, b). */
static const char *evaluated(Fixture *f, Model *m) {
    Text t = {.arena = &f->arena};
    infer_model(m);
    assert_no_errors(f);
    const Known *k = value_of(m, "y")->known;
    if (!k)
        return "unknown";
    for (size_t i = 0; i < k->n; i++) {
        text_lit(&t, i ? ", " : "");
        if (k->ints)
            dim_print(&t, k->ints[i]);
        else
            text_printf(&t, "%.9g", k->floats[i]);
    }
    return text_view(&t).p;
}

static const char *ints_of(Fixture *f, const char *op, const int64_t *a, int n,
                           int64_t b) {
    Text g = graph_text(f);
    add_ints(&g, "a", a, n);
    add_ints(&g, "b", &b, -1);
    add_node(&g, op, "a,b", "y", NULL);
    add_output(&g, "y");
    return evaluated(f, import(f, &g));
}

static void integers_are_computed(void **state) {
    Fixture *f = *state;
    int64_t a[] = {7, -7, 2};
    assert_string_equal(ints_of(f, "Add", a, 3, 2), "9, -5, 4");
    assert_string_equal(ints_of(f, "Sub", a, 3, 2), "5, -9, 0");
    assert_string_equal(ints_of(f, "Mul", a, 3, 2), "14, -14, 4");
    assert_string_equal(ints_of(f, "Div", a, 3, 2), "3, -3, 1");
    assert_string_equal(ints_of(f, "Mod", a, 3, 2), "1, 1, 0");
    assert_string_equal(ints_of(f, "Mod", a, 3, -2), "-1, -1, 0");
    assert_string_equal(ints_of(f, "Pow", a, 3, 2), "49, 49, 4");
    assert_string_equal(ints_of(f, "Min", a, 3, 2), "2, -7, 2");
    assert_string_equal(ints_of(f, "Max", a, 3, 2), "7, 2, 2");
    assert_string_equal(ints_of(f, "Equal", a, 3, 2), "0, 0, 1");
    assert_string_equal(ints_of(f, "Less", a, 3, 2), "0, 1, 0");
    assert_string_equal(ints_of(f, "LessOrEqual", a, 3, 2), "0, 1, 1");
    assert_string_equal(ints_of(f, "Greater", a, 3, 2), "1, 0, 0");
    assert_string_equal(ints_of(f, "GreaterOrEqual", a, 3, 2), "1, 0, 1");
}

static void what_cannot_be_computed_stays_unknown(void **state) {
    Fixture *f = *state;
    int64_t a[] = {INT64_MAX, INT64_MIN};
    assert_string_equal(ints_of(f, "Add", a, 1, 1), "unknown");
    assert_string_equal(ints_of(f, "Mul", a, 2, 2), "unknown");
    assert_string_equal(ints_of(f, "Div", a, 2, 0), "unknown");
    assert_string_equal(ints_of(f, "Div", a, 2, -1), "unknown");
    assert_string_equal(ints_of(f, "Mod", a, 2, 0), "unknown");
    assert_string_equal(ints_of(f, "Pow", (int64_t[]){2}, 1, -1), "unknown");
}

static const char *floats_of(Fixture *f, const char *op, float a, float b) {
    Text g = graph_text(f);
    Str va = float_attr(&f->arena, "value_float", a);
    Str vb = float_attr(&f->arena, "value_float", b);
    add_node(&g, "Constant", "", "a", &va);
    add_node(&g, "Constant", "", "b", &vb);
    add_node(&g, op, "a,b", "y", NULL);
    add_output(&g, "y");
    return evaluated(f, import(f, &g));
}

static void floats_are_computed_in_their_precision(void **state) {
    Fixture *f = *state;
    assert_string_equal(floats_of(f, "Add", 1, 1e-9F), "1");
    assert_string_equal(floats_of(f, "Div", 1, 3), "0.333333343");
    assert_string_equal(floats_of(f, "Mul", 1e38F, 10), "inf");
    assert_string_equal(floats_of(f, "Max", 1, NAN), "nan");
    assert_string_equal(floats_of(f, "Min", NAN, 1), "nan");
    assert_string_equal(floats_of(f, "Less", 1, 2), "1");
    assert_string_equal(floats_of(f, "Equal", NAN, NAN), "0");
}

/* y = op(size of x's first axis times 6, b) */
static const char *symbols_of(Fixture *f, const char *op, int64_t b) {
    Text g = graph_text(f);
    int64_t six = 6;
    add_input(&g, "x", "n");
    add_ints(&g, "six", &six, 1);
    add_ints(&g, "b", &b, -1);
    add_node(&g, "Shape", "x", "n", NULL);
    add_node(&g, "Mul", "n,six", "m", NULL);
    add_node(&g, op, "m,b", "y", NULL);
    add_output(&g, "y");
    return evaluated(f, import(f, &g));
}

static void symbols_are_computed_with(void **state) {
    Fixture *f = *state;
    assert_string_equal(symbols_of(f, "Add", 1), "6*n + 1");
    assert_string_equal(symbols_of(f, "Sub", 1), "6*n - 1");
    assert_string_equal(symbols_of(f, "Div", 3), "2*n");
    assert_string_equal(symbols_of(f, "Div", 4), "n + floor(n/2)");
    assert_string_equal(symbols_of(f, "Mod", 3), "0");
    assert_string_equal(symbols_of(f, "Max", 0), "6*n");
    assert_string_equal(symbols_of(f, "GreaterOrEqual", 0), "1");
    assert_string_equal(symbols_of(f, "Less", 0), "0");
    assert_string_equal(symbols_of(f, "Equal", 12), "unknown");
    assert_string_equal(symbols_of(f, "Pow", 2), "36*n*n");
}

static void where_picks_by_a_known_condition(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    int64_t a[] = {4, -1, 6}, b[] = {1, 2, 3}, minus = -1;
    add_ints(&g, "a", a, 3);
    add_ints(&g, "b", b, 3);
    add_ints(&g, "minus", &minus, -1);
    add_node(&g, "Equal", "a,minus", "c", NULL);
    add_node(&g, "Where", "c,b,a", "y", NULL);
    add_output(&g, "y");
    assert_string_equal(evaluated(f, import(f, &g)), "4, 2, 6");
}

static void reductions_are_computed(void **state) {
    Fixture *f = *state;
    static const struct {
        const char *op, *expected;
    } rows[] = {{"ReduceProd", "24"},
                {"ReduceSum", "9"},
                {"ReduceMax", "4"},
                {"ReduceMin", "2"},
                {"ReduceL1", "unknown"}};
    for (size_t i = 0; i < OX_COUNT(rows); i++) {
        Text g = graph_text(f);
        add_ints(&g, "a", (int64_t[]){2, 3, 4}, 3);
        add_node(&g, rows[i].op, "a", "y", NULL);
        add_output(&g, "y");
        assert_string_equal(evaluated(f, import(f, &g)), rows[i].expected);
    }
}

static void integers_fit_their_type(void **state) {
    (void)state;
    assert_true(int_fits(DT_INT8, -128) && !int_fits(DT_INT8, -129));
    assert_true(int_fits(DT_INT8, 127) && !int_fits(DT_INT8, 128));
    assert_true(int_fits(DT_UINT8, 255) && !int_fits(DT_UINT8, 256));
    assert_false(int_fits(DT_UINT32, -1));
    assert_true(int_fits(DT_INT64, INT64_MIN) && int_fits(DT_UINT64, INT64_MAX));
    assert_true(int_fits(DT_BOOL, 1) && !int_fits(DT_BOOL, 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(the_table_keeps_its_rules),
        IN_ARENA(fusions_name_operators),
        cmocka_unit_test(lookup_takes_the_newest_version_not_above_the_opset),
        cmocka_unit_test(an_operator_newer_than_the_opset_is_known_all_the_same),
        cmocka_unit_test(names_of_inputs_have_indices),
        cmocka_unit_test(spec_strings_say_what_is_optional),
        IN_ARENA(the_table_prints_in_three_forms),
        IN_ARENA(operators_print_in_the_order_of_their_names),
        IN_ARENA(attributes_have_the_defaults_of_the_table),
        IN_ARENA(names_that_a_row_lacks_are_defects),
        IN_ARENA(inputs_that_a_row_lacks_are_defects),
        IN_ARENA(attributes_of_another_type_are_defects),
        IN_ARENA(words_that_a_row_does_not_allow_are_defects),
        IN_ARENA(integers_come_from_attribute_or_input),
        IN_ARENA(axes_become_a_mask),
        IN_ARENA(an_axis_out_of_range_is_an_error),
        IN_ARENA(texts_are_words_of_the_row),
        IN_ARENA(nodes_are_checked_against_the_table),
        IN_ARENA(shapes_broadcast),
        IN_ARENA(types_must_agree),
        IN_ARENA(malformed_nodes_are_not_inferred),
        IN_ARENA(reductions_drop_axes),
        IN_ARENA(integers_are_computed),
        IN_ARENA(what_cannot_be_computed_stays_unknown),
        IN_ARENA(floats_are_computed_in_their_precision),
        IN_ARENA(symbols_are_computed_with),
        IN_ARENA(where_picks_by_a_known_condition),
        IN_ARENA(reductions_are_computed),
        cmocka_unit_test(integers_fit_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
