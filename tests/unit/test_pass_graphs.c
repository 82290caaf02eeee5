/* The passes by what they make of a small graph, as --dump prints it: what each rewrites,
 * and what looks alike and must stay.  Shorter questions to a pass are in test_passes.c,
 * branches in test_control.c, repeated modules in test_blocks.c and test_modules.c. */
#include "passes/modules/blocks.h"
#include "passes/passes.h"
#include "passes/sizes/sizes.h"

#include "build.h"

#include <stdio.h>

/* Runs a pass; the graph must then be sound, and print so. */
static Model *check(Fixture *f, Text *g, void (*pass)(Model *), const char *expected) {
    Model *m = inferred(f, g);
    Text dump = {.arena = &f->arena};
    const char *why = NULL;
    pass(m);
    assert_no_errors(f);
    if (!graph_verify(m, &why) || !types_verify(m, &why))
        fail_msg("%s", why);
    graph_dump(&dump, m);
    assert_string_equal(text_view(&dump).p, expected);
    return m;
}

/* A node without inputs that gives float32 elements: a literal. */
static void add_literal(Text *g, const char *name, const float *v, int n) {
    Text tensor = {.arena = g->arena}, t = {.arena = g->arena};
    if (n >= 0)
        put_int(&tensor, 1, n);
    put_int(&tensor, 2, DT_FLOAT);
    put_bytes(&tensor, 9, (Str){(const char *)v, sizeof *v * (size_t)(n < 0 ? 1 : n)});
    put_str(&t, 1, "value");
    put_bytes(&t, 5, text_view(&tensor));
    put_int(&t, 20, ATTR_TENSOR);
    Str attr = text_view(&t);
    add_node(g, "Constant", "", name, &attr);
}

static void add_number(Text *g, const char *name, float x) {
    add_literal(g, name, &x, -1);
}

/* ---- fold -------------------------------------------------------------------------- */

static void add_range(Text *g, int64_t n) {
    add_ints(g, "from", (int64_t[]){0}, -1);
    add_ints(g, "by", (int64_t[]){1}, -1);
    add_ints(g, "to", &n, -1);
    add_node(g, "Range", "from,to,by", "y", NULL);
    add_output(g, "y");
}

static void few_elements_are_folded(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_range(&g, 64);
    check(f, &g, pass_fold, "graph ()\n  return y int64[64]\n");
}

static void many_elements_keep_their_node(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_range(&g, 65);
    check(f, &g, pass_fold,
          "graph ()\n"
          "  y int64[65] = Range(from int64[], to int64[], by int64[])\n"
          "  return y int64[65]\n");
}

/* ---- simplify ---------------------------------------------------------------------- */

static void units_are_bypassed(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n,4");
    add_number(&g, "zero", 0);
    add_number(&g, "one", 1);
    add_node(&g, "Add", "zero,x", "a", NULL);
    add_node(&g, "Sub", "a,zero", "b", NULL);
    add_node(&g, "Mul", "b,one", "c", NULL);
    add_node(&g, "Div", "c,one", "d", NULL);
    add_node(&g, "Relu", "d", "y", NULL);
    add_output(&g, "y");
    check(f, &g, pass_simplify,
          "graph (x float32[n,4])\n"
          "  y float32[n,4] = Relu(x float32[n,4])\n"
          "  return y float32[n,4]\n");
}

/* 0 - x, 1 / x, x + 1 and x * 0 are something else. */
static void units_of_other_places_stay(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n,4");
    add_number(&g, "zero", 0);
    add_number(&g, "one", 1);
    add_node(&g, "Sub", "zero,x", "a", NULL);
    add_node(&g, "Div", "one,a", "b", NULL);
    add_node(&g, "Add", "b,one", "c", NULL);
    add_node(&g, "Mul", "c,zero", "y", NULL);
    add_output(&g, "y");
    check(f, &g, pass_simplify,
          "graph (x float32[n,4])\n"
          "  a float32[n,4] = Sub(zero float32[], x float32[n,4])\n"
          "  b float32[n,4] = Div(one float32[], a float32[n,4])\n"
          "  c float32[n,4] = Add(b float32[n,4], one float32[])\n"
          "  y float32[n,4] = Mul(c float32[n,4], zero float32[])\n"
          "  return y float32[n,4]\n");
}

static void a_unit_that_broadcasts_stays(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "1");
    add_literal(&g, "zeros", (float[]){0, 0, 0}, 3);
    add_node(&g, "Add", "x,zeros", "y", NULL);
    add_output(&g, "y");
    check(f, &g, pass_simplify,
          "graph (x float32[1])\n"
          "  y float32[3] = Add(x float32[1], zeros float32[3])\n"
          "  return y float32[3]\n");
}

/* The operator broadcasts itself; but someone has to. */
static void operands_are_broadcast_once(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "3,4");
    add_input(&g, "b", "4");
    add_ints(&g, "shape", (int64_t[]){3, 4}, 2);
    add_node(&g, "Expand", "b,shape", "wide", NULL);
    add_node(&g, "Add", "x,wide", "a", NULL);
    add_node(&g, "Mul", "b,wide", "y", NULL);
    add_output(&g, "a");
    add_output(&g, "y");
    check(f, &g, pass_simplify,
          "graph (x float32[3,4], b float32[4])\n"
          "  wide float32[3,4] = Expand(b float32[4], shape int64[2])\n"
          "  a float32[3,4] = Add(x float32[3,4], b float32[4])\n"
          "  y/narrow float32[4] = Mul(b float32[4], b float32[4])\n"
          "  y float32[3,4] = Broadcast(y/narrow float32[4])\n"
          "  return a float32[3,4], y float32[3,4]\n");
}

/* What others broadcast anyway is broadcast by them alone, behind elementwise nodes too. */
static void a_mask_is_broadcast_by_its_reader(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    put_bytes(&g, 11, value_info(g.arena, "x", "n,1", DT_BOOL));
    add_input(&g, "a", "n,3");
    add_number(&g, "zero", 0);
    add_ints(&g, "from", (int64_t[]){0}, -1);
    add_ints(&g, "to", (int64_t[]){3}, -1);
    add_ints(&g, "by", (int64_t[]){1}, -1);
    add_node(&g, "Range", "from,to,by", "p", NULL);
    add_node(&g, "GreaterOrEqual", "p,from", "c", NULL);
    add_node(&g, "And", "c,x", "both", NULL);
    add_node(&g, "Not", "both", "hidden", NULL);
    add_node(&g, "Where", "hidden,zero,a", "y", NULL);
    add_output(&g, "y");
    add_output(&g, "hidden");
    check(f, &g, pass_simplify,
          "graph (x bool[n,1], a float32[n,3])\n"
          "  p int64[3] = Range(from int64[], to int64[], by int64[])\n"
          "  c bool[3] = GreaterOrEqual(p int64[3], from int64[])\n"
          "  both bool[n,3] = Broadcast(x bool[n,1])\n"
          "  hidden/narrow bool[n,1] = Not(x bool[n,1])\n"
          "  hidden bool[n,3] = Broadcast(hidden/narrow bool[n,1])\n"
          "  y float32[n,3] = Where(hidden/narrow bool[n,1], zero float32[], a "
          "float32[n,3])\n"
          "  return y float32[n,3], hidden bool[n,3]\n");
}

static void add_positions(Text *g, const char *size) {
    add_ints(g, "from", (int64_t[]){0}, -1);
    add_ints(g, "by", (int64_t[]){1}, -1);
    add_ints(g, "first", (int64_t[]){0}, -1);
    add_ints(g, "a0", (int64_t[]){0}, 1);
    add_ints(g, "a1", (int64_t[]){1}, 1);
    add_node(g, "Shape", size, "shape", NULL);
    add_node(g, "Gather", "shape,first", "n", NULL);
    add_node(g, "Range", "from,n,by", "p", NULL);
    add_node(g, "Unsqueeze", "p,a0", "columns", NULL);
    add_node(g, "Unsqueeze", "p,a1", "rows", NULL);
}

/* What is left of the graph. */
static void check_left(Fixture *f, Text *g, const char *expected) {
    Model *m = inferred(f, g);
    Text dump = {.arena = &f->arena};
    pass_simplify(m);
    pass_cse(m);
    pass_dce(m);
    graph_dump(&dump, m);
    assert_string_equal(text_view(&dump).p, expected);
}

static void positions_are_a_triangle(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n");
    add_positions(&g, "x");
    add_node(&g, "LessOrEqual", "columns,rows", "y", NULL);
    add_node(&g, "Less", "columns,rows", "z", NULL);
    add_output(&g, "y");
    add_output(&g, "z");
    check_left(f, &g,
               "graph (x float32[n])\n"
               "  y bool[n,n] = Triangle()\n"
               "  z bool[n,n] = Triangle()\n"
               "  return y bool[n,n], z bool[n,n]\n");
}

static void positions_pick_a_slice(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n");
    add_input(&g, "table", "9,4");
    add_positions(&g, "x");
    add_node(&g, "Gather", "table,columns", "y", NULL);
    add_output(&g, "y");
    check_left(f, &g,
               "graph (x float32[n], table float32[9,4])\n"
               "  y float32[1,n,4] = Spread(table float32[9,4])\n"
               "  return y float32[1,n,4]\n");
}

/* Other axes, other shapes: a node that passes make is its type, too. */
static void views_of_other_shapes_are_two(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n");
    add_ints(&g, "row", (int64_t[]){-1, 1}, 2);
    add_ints(&g, "long", (int64_t[]){-1, 1, 1}, 3);
    add_node(&g, "Reshape", "x,row", "a", NULL);
    add_node(&g, "Reshape", "a,long", "y", NULL);
    add_node(&g, "Reshape", "y,row", "z", NULL);
    add_output(&g, "y");
    add_output(&g, "z");
    Model *m = inferred(f, &g);
    pass_simplify(m);
    pass_cse(m);
    assert_int_equal(value_final(value_of(m, "y"))->type.rank, 3);
    assert_int_equal(m->graph->outputs[1]->type.rank, 2);
}

/* ---- cse --------------------------------------------------------------------------- */

/* With what they feed; but not those of other attributes. */
static void equal_nodes_are_merged(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    Str axis0 = int_attr(&f->arena, "axis", 0), axis1 = int_attr(&f->arena, "axis", 1);
    add_input(&g, "x", "4,4");
    add_node(&g, "Softmax", "x", "a", &axis0);
    add_node(&g, "Softmax", "x", "b", &axis0);
    add_node(&g, "Softmax", "x", "other", &axis1);
    add_node(&g, "Neg", "a", "c", NULL);
    add_node(&g, "Neg", "b", "d", NULL);
    add_node(&g, "Neg", "other", "e", NULL);
    for (const char *y = "cde"; *y; y++)
        add_output(&g, (char[]){*y, 0});
    check(f, &g, pass_cse,
          "graph (x float32[4,4])\n"
          "  a float32[4,4] = Softmax(x float32[4,4])\n"
          "  other float32[4,4] = Softmax(x float32[4,4])\n"
          "  c float32[4,4] = Neg(a float32[4,4])\n"
          "  e float32[4,4] = Neg(other float32[4,4])\n"
          "  return c float32[4,4], c float32[4,4], e float32[4,4]\n");
}

/* So many that some have the same place in the table. */
static void nodes_of_other_inputs_are_not_merged(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    enum { SIDE = 16 };
    char in[32], out[32];
    for (int i = 0; i < SIDE; i++) {
        snprintf(in, sizeof in, "x%d", i);
        add_input(&g, in, "4");
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        snprintf(in, sizeof in, "x%d,x%d", i / SIDE, i % SIDE);
        snprintf(out, sizeof out, "y%d", i);
        add_node(&g, "Sub", in, out, NULL);
        add_output(&g, out);
    }
    Model *m = inferred(f, &g);
    pass_cse(m);
    assert_int_equal(m->graph->n_nodes, SIDE * SIDE);
}

static void nodes_with_other_outputs_are_not_merged(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2,4");
    add_input(&g, "w", "4");
    add_node(&g, "LayerNormalization", "x,w", "a", NULL);
    add_node(&g, "LayerNormalization", "x,w", "b,mean", NULL);
    add_node(&g, "LayerNormalization", "x,w", "c,,deviation", NULL);
    add_node(&g, "LayerNormalization", "x,w", "d,mean2,deviation2", NULL);
    for (const char *name = "abcd"; *name; name++)
        add_output(&g, (char[]){*name, 0});
    Model *m = inferred(f, &g);
    pass_cse(m);
    assert_int_equal(m->graph->n_nodes, 4);
}

/* ---- dce --------------------------------------------------------------------------- */

static void a_node_of_which_one_output_is_read_stays(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_ints(&g, "k", (int64_t[]){2}, 1);
    add_node(&g, "TopK", "x,k", "values,places", NULL);
    add_node(&g, "Neg", "values", "unread", NULL);
    add_output(&g, "places");
    check(f, &g, pass_dce,
          "graph (x float32[4])\n"
          "  values float32[2], places int64[2] = TopK(x float32[4], k int64[1])\n"
          "  return places int64[2]\n");
}

static void what_a_branch_reads_stays(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    put_bytes(&g, 11, value_info(g.arena, "c", "", DT_BOOL));
    add_node(&g, "Exp", "x", "around", NULL);
    add_node(&g, "Exp", "around", "unread", NULL);
    add_if(&g, "c", graph_of(g.arena, "Neg", "around", "a"),
           graph_of(g.arena, "Abs", "x", "b"), "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_dce(m);
    assert_int_equal(m->graph->n_nodes, 2);
    assert_true(str_is(m->graph->nodes[0]->out[0]->name, "around"));
}

/* ---- fuse -------------------------------------------------------------------------- */

static void a_pattern_becomes_its_operator(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n,4");
    add_node(&g, "Sigmoid", "x", "s", NULL);
    add_node(&g, "Mul", "s,x", "y", NULL);
    add_output(&g, "y");
    check(f, &g, pass_fuse,
          "graph (x float32[n,4])\n"
          "  s float32[n,4] = Sigmoid(x float32[n,4])\n"
          "  y float32[n,4] = Swish(x float32[n,4])\n"
          "  return y float32[n,4]\n");
}

static const char gate[] = "graph (x float32[n,4], z float32[n,4])\n"
                           "  s float32[n,4] = Sigmoid(z float32[n,4])\n"
                           "  y float32[n,4] = Mul(s float32[n,4], x float32[n,4])\n"
                           "  return y float32[n,4]\n";

static void a_pattern_of_two_values_is_another(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n,4");
    add_input(&g, "z", "n,4");
    add_node(&g, "Sigmoid", "z", "s", NULL);
    add_node(&g, "Mul", "s,x", "y", NULL);
    add_output(&g, "y");
    check(f, &g, pass_fuse, gate);
}

/* Else it would be computed twice. */
static void what_others_read_is_not_fused(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n,4");
    add_node(&g, "Sigmoid", "x", "s", NULL);
    add_node(&g, "Mul", "s,x", "y", NULL);
    add_output(&g, "y");
    add_output(&g, "s");
    check(f, &g, pass_fuse,
          "graph (x float32[n,4])\n"
          "  s float32[n,4] = Sigmoid(x float32[n,4])\n"
          "  y float32[n,4] = Mul(s float32[n,4], x float32[n,4])\n"
          "  return y float32[n,4], s float32[n,4]\n");
}

static void add_rms_norm(Text *g) {
    add_input(g, "x", "n,4");
    add_floats(g, "w", (float[]){1, 2, 3, 4}, 4);
    add_ints(g, "last", (int64_t[]){-1}, 1);
    add_number(g, "eps", 1e-5F);
    add_node(g, "Mul", "x,x", "square", NULL);
    add_node(g, "ReduceMean", "square,last", "mean", NULL);
    add_node(g, "Add", "mean,eps", "sum", NULL);
    add_node(g, "Sqrt", "sum", "rms", NULL);
    add_node(g, "Div", "x,rms", "norm", NULL);
    add_node(g, "Mul", "w,norm", "y", NULL);
    add_output(g, "y");
}

static void a_part_of_other_patterns_is_fused_after_them(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_rms_norm(&g);
    Model *m = inferred(f, &g);
    pass_fuse(m);
    assert_true(str_is(m->graph->nodes[5]->op_type, "Mul"));
    pass_fuse_late(m);
    pass_dce(m);
    assert_int_equal(m->graph->n_nodes, 1);
    assert_true(str_is(m->graph->nodes[0]->op_type, "RMSNormalization"));
    assert_ptr_equal(m->graph->nodes[0]->in[1], value_of(m, "w"));
}

/* ---- weights ----------------------------------------------------------------------- */

static void check_weight(Fixture *f, const char *op, ValueKind kind) {
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_literal(&g, "c", (float[]){1, 2, 3, 4}, 4);
    add_node(&g, op, "x,c", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_weights(m);
    assert_int_equal(value_of(m, "c")->kind, kind);
}

static void literals_of_products_become_parameters(void **state) {
    check_weight(*state, "MatMul", VALUE_PARAM);
}

static void other_literals_stay(void **state) {
    check_weight(*state, "Add", VALUE_CONST);
}

/* ---- wide -------------------------------------------------------------------------- */

static size_t warnings_of(Fixture *f, const char *op, int64_t number) {
    Text g = graph_text(f);
    put_bytes(&g, 11, value_info(g.arena, "x", "4", DT_INT64));
    add_ints(&g, "c", &number, -1);
    add_node(&g, op, "x,c", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    f->diags.count = 0;
    pass_wide(m);
    return f->diags.count;
}

static void integers_past_32_bits_are_warned_of(void **state) {
    Fixture *f = *state;
    assert_int_equal(warnings_of(f, "Add", (int64_t)1 << 31), 1);
    assert_int_equal(f->diags.items[0].code, OX0411);
    assert_int_equal(warnings_of(f, "Max", INT64_MAX), 1);
    assert_int_equal(f->diags.items[0].code, OX0410);
}

/* Min(x, the highest) is x in either width. */
static void integers_of_32_bits_are_not(void **state) {
    assert_int_equal(warnings_of(*state, "Min", INT64_MAX), 0);
    assert_int_equal(warnings_of(*state, "Add", INT32_MAX), 0);
    assert_int_equal(warnings_of(*state, "Add", INT32_MIN), 0);
}

/* ---- follow ------------------------------------------------------------------------ */

static void what_is_computed_of_weights_follows_them(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    Str to = int_attr(&f->arena, "to", DT_FLOAT);
    add_input(&g, "x", "4");
    add_floats(&g, "w", (float[]){1, 2, 3, 4}, 4);
    put_bytes(&g, 11, value_info(g.arena, "places", "4", DT_INT64));
    add_literal(&g, "table", (float[]){1, 2, 3, 4}, 4);
    add_node(&g, "Cast", "places", "floats", &to);
    add_node(&g, "Mul", "floats,table", "apart", NULL);
    add_node(&g, "Mul", "x,w", "a", NULL);
    add_node(&g, "RandomNormalLike", "a", "noise", NULL);
    add_node(&g, "Add", "a,apart", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_follow(m);
    assert_true(value_of(m, "x")->follows);
    assert_true(value_of(m, "w")->follows);
    assert_true(value_of(m, "a")->follows);
    assert_true(value_of(m, "y")->follows);
    assert_false(value_of(m, "floats")->follows);
    assert_false(value_of(m, "apart")->follows);
    assert_false(value_of(m, "places")->follows);
    assert_false(value_of(m, "noise")->follows);
}

/* ---- params ------------------------------------------------------------------------ */

/* The weight of a MatMul in the module "up", beside which `op` is. */
static const Value *weight_beside(Fixture *f, const char *op) {
    Text g = graph_text(f), t = {.arena = &f->arena};
    add_input(&g, "x", "n,2");
    put_int(&t, 1, 2);
    put_int(&t, 1, 2);
    put_int(&t, 2, DT_FLOAT);
    put_str(&t, 8, "onnx::MatMul_7");
    put_bytes(&t, 9, (Str){(const char *)(float[]){1, 2, 3, 4}, 16});
    put_bytes(&g, 5, text_view(&t));
    add_at(&g, "/block/up/MatMul", "MatMul", "x,onnx::MatMul_7", "a");
    add_at(&g, "/block/up/op", op, "a", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_params(m);
    return value_of(m, "onnx::MatMul_7");
}

static void the_module_names_its_weight(void **state) {
    const Value *w = weight_beside(*state, "Identity");
    assert_true(str_is(param_key_of(w), "block.up.weight"));
    assert_non_null(w->note);
    assert_string_equal(w->note->change, "transposed");
}

static void a_module_that_does_more_is_no_linear_layer(void **state) {
    assert_true(str_is(param_key_of(weight_beside(*state, "Exp")), "onnx::MatMul_7"));
}

/* ---- retype ------------------------------------------------------------------------ */

/* What a pass knows less of is no contradiction, another size is. */
static void types_say_more_or_the_same(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    const char *why = NULL;
    add_input(&g, "x", "n,4");
    add_node(&g, "Relu", "x", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Value *y = value_of(m, "y");
    Type known = y->type;
    y->type.rank = -1;
    assert_true(types_verify(m, &why));
    assert_int_equal(y->type.rank, -1);
    y->type = known;
    y->type.dims = (Dim[]){known.dims[0], dim_int(5)};
    assert_false(types_verify(m, &why));
    assert_string_equal(why,
                        "\"y\" is float32[n,5], but what is inferred is float32[n,4]");
}

/* ---- rows and padding -------------------------------------------------------------- */

static void more_rows(Fixture *f, const char *op, const Str *attr) {
    static const char *const specs[] = {"x=n,4"};
    Text g = graph_text(f);
    add_input(&g, "x", "1,4");
    add_node(&g, op, "x", "y", attr);
    add_output(&g, "y");
    Model *m = import(f, &g);
    Overrides o = {.specs = specs, .count = 1, .untouched = model_copy(m, &f->diags)};
    infer_check_overrides(m, &o);
}

static void rows_apart_may_be_more(void **state) {
    Fixture *f = *state;
    Str last = int_attr(&f->arena, "axis", 1);
    more_rows(f, "Relu", NULL);
    more_rows(f, "Softmax", &last);
    assert_no_errors(f);
}

static void rows_that_mix_may_not(void **state) {
    Fixture *f = *state;
    Str first = int_attr(&f->arena, "axis", 0);
    more_rows(f, "Softmax", &first);
    assert_error(f, OX0405, "it does not keep rows apart");
}

/* y = op of the places of what is not zero, of which 8 are the most. */
static Model *padded(Fixture *f, Text *g, const char *op) {
    add_input(g, "x", "16");
    add_node(g, "NonZero", "x", "places", NULL);
    add_node(g, op, "places", "y", NULL);
    add_output(g, "y");
    Model *m = import(f, g);
    Overrides o = {.untouched = model_copy(m, &f->diags)};
    infer_bound_value(m, STR("places=8"));
    infer_hide_padding(m, &o);
    assert_no_errors(f);
    infer_model(m);
    return m;
}

static void what_sums_up_sees_no_padding(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), dump = graph_text(f);
    graph_dump(&dump, padded(f, &g, "ReduceSum"));
    assert_string_equal(
        text_view(&dump).p,
        "graph (x float32[16])\n"
        "  places int64[1,8] = NonZero(x float32[16])\n"
        "  count/3 int64[] = NonZeroCount(x float32[16])\n"
        "  places/4 int64[1,8] = KeepFirst(places int64[1,8], count/3 int64[])\n"
        "  y int64[1,1] = ReduceSum(places/4 int64[1,8])\n"
        "  return y int64[1,1]\n");
}

static void what_keeps_places_apart_may_see_it(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), dump = graph_text(f);
    graph_dump(&dump, padded(f, &g, "Neg"));
    assert_string_equal(text_view(&dump).p,
                        "graph (x float32[16])\n"
                        "  places int64[1,8] = NonZero(x float32[16])\n"
                        "  count/3 int64[] = NonZeroCount(x float32[16])\n"
                        "  y int64[1,8] = Neg(places int64[1,8])\n"
                        "  return y int64[1,8]\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(few_elements_are_folded),
        IN_ARENA(many_elements_keep_their_node),
        IN_ARENA(units_are_bypassed),
        IN_ARENA(units_of_other_places_stay),
        IN_ARENA(a_unit_that_broadcasts_stays),
        IN_ARENA(operands_are_broadcast_once),
        IN_ARENA(a_mask_is_broadcast_by_its_reader),
        IN_ARENA(positions_are_a_triangle),
        IN_ARENA(positions_pick_a_slice),
        IN_ARENA(views_of_other_shapes_are_two),
        IN_ARENA(equal_nodes_are_merged),
        IN_ARENA(nodes_of_other_inputs_are_not_merged),
        IN_ARENA(nodes_with_other_outputs_are_not_merged),
        IN_ARENA(a_node_of_which_one_output_is_read_stays),
        IN_ARENA(what_a_branch_reads_stays),
        IN_ARENA(a_pattern_becomes_its_operator),
        IN_ARENA(a_pattern_of_two_values_is_another),
        IN_ARENA(what_others_read_is_not_fused),
        IN_ARENA(a_part_of_other_patterns_is_fused_after_them),
        IN_ARENA(literals_of_products_become_parameters),
        IN_ARENA(other_literals_stay),
        IN_ARENA(integers_past_32_bits_are_warned_of),
        IN_ARENA(integers_of_32_bits_are_not),
        IN_ARENA(what_is_computed_of_weights_follows_them),
        IN_ARENA(the_module_names_its_weight),
        IN_ARENA(a_module_that_does_more_is_no_linear_layer),
        IN_ARENA(types_say_more_or_the_same),
        IN_ARENA(rows_apart_may_be_more),
        IN_ARENA(rows_that_mix_may_not),
        IN_ARENA(what_sums_up_sees_no_padding),
        IN_ARENA(what_keeps_places_apart_may_see_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
