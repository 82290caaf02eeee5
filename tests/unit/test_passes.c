/* Each pass: what it removes, and what it must leave. */
#include "passes/passes.h"
#include "passes/pipeline.h"

#include "build.h"

static void folding_computes_literals(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_ints(&g, "a", (int64_t[]){2, 3}, 2);
    add_ints(&g, "b", (int64_t[]){5}, 1);
    add_node(&g, "Mul", "a,b", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_fold(m);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 0);
    assert_int_equal(m->graph->outputs[0]->kind, VALUE_CONST);
    assert_true(dim_is(m->graph->outputs[0]->known->ints[1], 15));
}

static void folding_leaves_parameters_alone(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_floats(&g, "logit_scale", (float[]){2}, 1);
    add_node(&g, "Exp", "logit_scale", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_fold(m);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 1);
}

/* x[:, 0:n] and x[:2] of two rows are x; x[::-1] and x[1:] are not. */
static void slices_of_everything_are_bypassed(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2,n");
    add_ints(&g, "zero", (int64_t[]){0}, 1);
    add_ints(&g, "one", (int64_t[]){1}, 1);
    add_ints(&g, "two", (int64_t[]){2}, 1);
    add_ints(&g, "last", (int64_t[]){-1}, 1);
    add_ints(&g, "front", (int64_t[]){-INT64_MAX}, 1);
    add_ints(&g, "end", (int64_t[]){INT64_MAX}, 1);
    add_node(&g, "Slice", "x,zero,end,one", "a", NULL);
    add_node(&g, "Slice", "a,zero,two,zero,one", "b", NULL);
    add_node(&g, "Slice", "b,last,front,one,last", "c", NULL);
    add_node(&g, "Slice", "c,one,end,zero", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_simplify(m);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 2);
    assert_ptr_equal(m->graph->nodes[0]->in[0], m->graph->inputs[0]);
}

static void identities_are_bypassed(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Identity", "x", "a", NULL);
    add_node(&g, "Identity", "a", "b", NULL);
    add_node(&g, "Relu", "b", "y", NULL);
    add_node(&g, "Identity", "y", "z", NULL);
    add_output(&g, "z");
    Model *m = inferred(f, &g);
    pass_simplify(m);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 1);
    assert_ptr_equal(m->graph->nodes[0]->in[0], m->graph->inputs[0]);
    assert_true(str_is(m->graph->output_names[0], "z"));
}

/* Exporters write the 0 and the 1 of every range anew. */
static void literals_of_the_same_elements_are_the_same_input(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "n", "4");
    add_ints(&g, "one", (int64_t[]){1}, 1);
    add_ints(&g, "again", (int64_t[]){1}, 1);
    add_ints(&g, "scalar", (int64_t[]){1}, -1);
    add_ints(&g, "two", (int64_t[]){2}, 1);
    add_node(&g, "Unsqueeze", "n,one", "a", NULL);
    add_node(&g, "Unsqueeze", "n,again", "b", NULL);
    add_node(&g, "Unsqueeze", "n,scalar", "c", NULL);
    add_node(&g, "Tile", "n,one", "d", NULL);
    add_node(&g, "Tile", "n,two", "e", NULL);
    for (const char *y = "abcde"; *y; y++)
        add_output(&g, (char[]){*y, 0});
    Model *m = inferred(f, &g);
    pass_cse(m);
    assert_valid(m);
    Value **y = m->graph->outputs;
    assert_ptr_equal(y[1], y[0]);
    assert_ptr_not_equal(y[2], y[0]);
    assert_ptr_not_equal(y[4], y[3]);
    assert_int_equal(m->graph->n_nodes, 4);
}

static void random_nodes_are_not_merged(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4,4");
    add_node(&g, "RandomNormalLike", "x", "a", NULL);
    add_node(&g, "RandomNormalLike", "x", "b", NULL);
    add_node(&g, "Add", "a,b", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_model(m);
    pass_cse(m);
    assert_int_equal(m->graph->n_nodes, 3);
}

static void unread_nodes_are_dropped(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Neg", "x", "unread", NULL);
    add_node(&g, "Exp", "unread", "unread2", NULL);
    add_node(&g, "Relu", "x", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_dce(m);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 1);
}

static void nodes_whose_shape_is_read_stay(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_ints(&g, "one", (int64_t[]){1}, -1);
    add_node(&g, "NonZero", "x", "i", NULL);
    add_node(&g, "Shape", "i", "s", NULL);
    add_node(&g, "Gather", "s,one", "n", NULL);
    add_output(&g, "n");
    Model *m = inferred(f, &g);
    pass_fold(m);
    pass_dce(m);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 1);
    assert_true(str_is(m->graph->nodes[0]->op_type, "NonZero"));
}

/* x of four columns was cast to what the pass after it knows nothing of. */
static void rewritten_nodes_are_to_be_inferred_anew(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    const char *why = NULL;
    add_input(&g, "x", "batch,4");
    add_node(&g, "Relu", "x", "y", NULL);
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    assert_true(types_verify(m, &why));
    Node *n = m->graph->nodes[0];
    n->op = op_find(STR(""), STR("Shape"), 17);
    n->op_type = STR("Shape");
    assert_false(types_verify(m, &why));
    assert_string_equal(why, "\"y\" is float32[batch,4], but what is inferred is "
                             "int64[2]");
    assert_type(f, n->out[0], "float32[batch,4]");
    infer_node(m, n);
    assert_true(types_verify(m, &why));
}

static void the_pipeline_dumps_after_the_pass_that_is_named(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), dump = graph_text(f);
    add_input(&g, "x", "batch,4");
    add_node(&g, "Identity", "x", "a", NULL);
    add_node(&g, "Relu", "a", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    PassOptions options = {.dump = "simplify", .dump_text = &dump, .verify = true};
    passes_run(m, &options);
    assert_no_errors(f);
    assert_string_equal(text_view(&dump).p,
                        "graph (x float32[batch,4])\n"
                        "  y float32[batch,4] = Relu(x float32[batch,4])\n"
                        "  return y float32[batch,4]\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(folding_computes_literals),
        IN_ARENA(folding_leaves_parameters_alone),
        IN_ARENA(slices_of_everything_are_bypassed),
        IN_ARENA(identities_are_bypassed),
        IN_ARENA(literals_of_the_same_elements_are_the_same_input),
        IN_ARENA(random_nodes_are_not_merged),
        IN_ARENA(unread_nodes_are_dropped),
        IN_ARENA(nodes_whose_shape_is_read_stay),
        IN_ARENA(rewritten_nodes_are_to_be_inferred_anew),
        IN_ARENA(the_pipeline_dumps_after_the_pass_that_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
