/* Import: names, subgraphs, functions, what is a parameter; and the verifier. */
#include "build.h"
#include "onnx/signature.h"

#include <stdio.h>

static void names_become_pointers(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "batch,4");
    add_node(&g, "Relu", "x", "h", NULL);
    add_node(&g, "Add", "h,x", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    assert_no_errors(f);
    assert_int_equal(m->graph->n_nodes, 2);
    assert_ptr_equal(m->graph->nodes[1]->in[0], m->graph->nodes[0]->out[0]);
    assert_ptr_equal(m->graph->nodes[1]->in[1], m->graph->inputs[0]);
    assert_ptr_equal(m->graph->outputs[0]->def, m->graph->nodes[1]);
    assert_true(str_is(m->name, "test"));
    const char *why;
    assert_true(graph_verify(m, &why));
}

static void an_empty_name_is_an_absent_input(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Clip", "x,,x", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    assert_no_errors(f);
    assert_null(m->graph->nodes[0]->in[1]);
    assert_non_null(m->graph->nodes[0]->in[2]);
}

static void an_unknown_value_is_an_error(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_node(&g, "Relu", "nowhere", "y", NULL);
    add_output(&g, "y");
    import(f, &g);
    assert_error(f, OX0201, "nowhere");
}

static void assert_warned(const Fixture *f, DiagCode code) {
    assert_int_equal(diag_status(&f->diags), OX_OK);
    assert_int_equal(f->diags.count, 1);
    assert_int_equal(f->diags.items[0].code, code);
}

static void nodes_out_of_order_are_sorted(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Abs", "x", "a", NULL);
    add_node(&g, "Add", "later,a", "y", NULL);
    add_node(&g, "Neg", "x", "b", NULL);
    add_node(&g, "Relu", "b", "later", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    assert_warned(f, OX0407);
    const char *const order[] = {"Abs", "Neg", "Relu", "Add"};
    assert_int_equal(m->graph->n_nodes, OX_COUNT(order));
    for (size_t i = 0; i < OX_COUNT(order); i++)
        assert_true(str_is(m->graph->nodes[i]->op_type, order[i]));
    const char *why;
    assert_true(graph_verify(m, &why));
}

static void what_a_subgraph_reads_is_read_by_its_node(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), body = graph_text(f);
    add_node(&body, "Relu", "later", "y",
             NULL); /* a name that the outer graph has too */
    add_output(&body, "y");
    Str attr = graph_attr(&f->arena, "then_branch", text_view(&body));
    add_input(&g, "x", "4");
    add_node(&g, "If", "x", "y", &attr);
    add_node(&g, "Neg", "x", "later", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    assert_warned(f, OX0407);
    assert_true(str_is(m->graph->nodes[0]->op_type, "Neg"));
    assert_ptr_equal(m->graph->nodes[1]->attrs[0].graphs[0]->nodes[0]->in[0],
                     m->graph->nodes[0]->out[0]);
}

static void a_circle_of_nodes_is_an_error(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Neg", "x", "a", NULL);
    add_node(&g, "Add", "a,d", "b", NULL);
    add_node(&g, "Relu", "b", "c", NULL);
    add_node(&g, "Abs", "c", "d", NULL);
    add_output(&g, "d");
    import(f, &g);
    assert_error(f, OX0201, "in a circle: \"Add\" (Add), \"Abs\" (Abs), \"Relu\"");
    assert_int_equal(f->diags.count, 1);
}

static void a_node_that_reads_itself_is_an_error(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_node(&g, "Neg", "a", "a", NULL);
    add_output(&g, "a");
    import(f, &g);
    assert_error(f, OX0201, "in a circle: \"Neg\" (Neg)");
}

/* Deep enough for a recursion to fail. */
static void a_long_chain_is_sorted(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    enum { LENGTH = 100000 };
    add_input(&g, "x", "4");
    add_node(&g, "Relu", "v0", "y", NULL);
    for (int i = 0; i < LENGTH; i++) {
        char in[16], out[16];
        snprintf(in, sizeof in, i + 1 < LENGTH ? "v%d" : "x", i + 1);
        snprintf(out, sizeof out, "v%d", i);
        add_node(&g, "Neg", in, out, NULL);
    }
    add_output(&g, "y");
    Model *m = import(f, &g);
    assert_warned(f, OX0407);
    assert_int_equal(m->graph->n_nodes, LENGTH + 1);
}

static void two_values_of_one_name_are_an_error(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Relu", "x", "y", NULL);
    add_node(&g, "Neg", "x", "y", NULL);
    add_output(&g, "y");
    import(f, &g);
    assert_error(f, OX0201, "\"y\"");
}

static void an_output_that_nothing_makes_is_an_error(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_output(&g, "y");
    import(f, &g);
    assert_error(f, OX0201, "\"y\"");
}

static void an_input_with_an_initializer_is_a_parameter(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_input(&g, "w", "2");
    add_floats(&g, "w", (float[]){1, 2}, 2);
    add_node(&g, "Add", "x,w", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    assert_no_errors(f);
    assert_int_equal(m->graph->n_inputs, 1);
    assert_int_equal(value_of(m, "w")->kind, VALUE_PARAM);
}

static void small_or_regular_integers_are_literals(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    static const int64_t zeros[100];
    int64_t counted[100], many[100];
    for (int i = 0; i < 100; i++)
        many[i] = counted[i] = 7 + i;
    many[99] = 0;
    add_ints(&g, "shape", (int64_t[]){-1, 4}, 2);
    add_ints(&g, "zeros", zeros, 100);
    add_ints(&g, "counted", counted, 100);
    add_ints(&g, "table", many, 100);
    add_floats(&g, "scale", (float[]){2}, 1);
    add_floats(&g, "val_7", (float[]){2}, 1);
    Model *m = import(f, &g);
    assert_no_errors(f);
    assert_int_equal(value_of(m, "shape")->kind, VALUE_CONST);
    assert_int_equal(value_of(m, "shape")->known->ints[0].c, -1);
    assert_int_equal(value_of(m, "zeros")->kind, VALUE_CONST);
    assert_int_equal(value_of(m, "zeros")->splat->ints[0].c, 0);
    assert_int_equal(value_of(m, "counted")->kind, VALUE_CONST);
    assert_int_equal(value_of(m, "table")->kind, VALUE_PARAM);
    assert_int_equal(value_of(m, "scale")->kind, VALUE_PARAM);
    assert_int_equal(value_of(m, "val_7")->kind, VALUE_CONST);
}

static void one_dim_param_is_one_symbol(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "a", "n,4");
    add_input(&g, "b", "2,n,?");
    Model *m = import(f, &g);
    assert_no_errors(f);
    assert_true(
        dim_eq(m->graph->inputs[0]->type.dims[0], m->graph->inputs[1]->type.dims[1]));
    assert_type(f, m->graph->inputs[1], "float32[2,n,b[2]]");
}

static void a_subgraph_reads_outer_values(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), body = graph_text(f);
    add_node(&body, "Neg", "x", "inner", NULL);
    add_output(&body, "inner");
    Str attr = graph_attr(&f->arena, "then_branch", text_view(&body));
    add_input(&g, "x", "4");
    add_node(&g, "If", "x", "y", &attr);
    add_output(&g, "y");
    Model *m = import(f, &g);
    assert_no_errors(f);
    const Graph *sub = m->graph->nodes[0]->attrs[0].graphs[0];
    assert_ptr_equal(sub->parent, m->graph);
    assert_ptr_equal(sub->nodes[0]->in[0], m->graph->inputs[0]);
    graph_count_uses(m);
    assert_int_equal(m->graph->inputs[0]->uses, 2);
}

static void subgraphs_past_the_depth_limit_are_an_error(void **state) {
    Fixture *f = *state;
    Text body = graph_text(f);
    for (int i = 0; i < GRAPH_DEPTH_MAX + 2; i++) {
        Str attr = graph_attr(&f->arena, "body", text_view(&body));
        Text outer = graph_text(f);
        add_node(&outer, "Loop", "", "", &attr);
        body = outer;
    }
    import(f, &body);
    assert_error(f, OX0104, "nest");
}

/* A FunctionProto: one input, one output, one node that takes alpha from the caller. */
static Str function(Arena *a, const char *name, const char *op) {
    Text t = {.arena = a}, node = {.arena = a}, attr = {.arena = a};
    put_str(&attr, 1, "axis");
    put_int(&attr, 20, ATTR_INT);
    put_str(&attr, 21, "alpha");
    put_str(&node, 1, "a");
    put_str(&node, 2, "b");
    put_str(&node, 4, op);
    put_bytes(&node, 5, text_view(&attr));
    put_str(&t, 1, name);
    put_str(&t, 4, "a");
    put_str(&t, 5, "b");
    put_bytes(&t, 7, text_view(&node));
    return text_view(&t);
}

static void functions_are_inlined_with_their_attributes(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    Str attr = int_attr(&f->arena, "alpha", 3);
    Str functions[] = {function(&f->arena, "My", "Softmax")};
    add_input(&g, "x", "2,2,2,2");
    add_node(&g, "My", "x", "y", &attr);
    add_node(&g, "My", "y", "z", NULL);
    add_output(&g, "z");
    Model *m = import_with(f, &g, functions, 1);
    assert_no_errors(f);
    assert_int_equal(m->graph->n_nodes, 2);
    const Node *n = m->graph->nodes[0];
    assert_true(str_is(n->op_type, "Softmax"));
    assert_true(str_is(n->out[0]->name, "y"));
    assert_int_equal(n->attrs[0].i, 3);
    assert_true(str_is(n->attrs[0].name, "axis"));
    assert_int_equal(m->graph->nodes[1]->n_attrs, 0);
    assert_true(str_is(m->graph->outputs[0]->name, "z"));
}

static void a_function_that_calls_itself_is_an_error(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    Str functions[] = {function(&f->arena, "My", "My")};
    add_input(&g, "x", "2");
    add_node(&g, "My", "x", "y", NULL);
    add_output(&g, "y");
    import_with(f, &g, functions, 1);
    assert_error(f, OX0202, "My");
}

static void the_verifier_sees_a_broken_order(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Relu", "x", "h", NULL);
    add_node(&g, "Neg", "h", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    Node *first = m->graph->nodes[0];
    m->graph->nodes[0] = m->graph->nodes[1];
    m->graph->nodes[1] = first;
    const char *why;
    assert_false(graph_verify(m, &why));
    assert_string_equal(why, "a value is used before it is made");
}

static void a_signature_names_its_parameters(void **state) {
    (void)state;
    Str kind, target;
    Str text = STR("# inputs\np_w: PARAMETER target='fc.w'\nb: BUFFER target='t' "
                   "persistent=True\nx: USER_INPUT\n");
    target = signature_next(&text, &kind);
    assert_true(str_is(target, "fc.w") && str_is(kind, "PARAMETER"));
    target = signature_next(&text, &kind);
    assert_true(str_is(target, "t") && str_is(kind, "BUFFER"));
    assert_int_equal(signature_next(&text, &kind).n, 0);
}

/* Copied to the end of an allocation, so that ASan sees a read past the text. */
static void a_broken_signature_ends(void **state) {
    Fixture *f = *state;
    static const char *const texts[] = {
        "", " ", " target=", " target='", " target='x", " target=''", "a target='x"};
    for (size_t i = 0; i < OX_COUNT(texts); i++) {
        Str kind, text = arena_str(&f->arena, str_from(texts[i]));
        assert_int_equal(signature_next(&text, &kind).n, 0);
    }
}

static void creation_operators_have_names(void **state) {
    (void)state;
    static const char *const created[] = {"zeros", "full_2", "scalar_tensor_default",
                                          "new_ones_default_11", "arange_0"};
    static const char *const others[] = {"",        "_",     "_1",      "zero",
                                         "zeros_a", "exp_1", "permute", "zeros2"};
    for (size_t i = 0; i < OX_COUNT(created); i++)
        assert_true(signature_is_created(str_from(created[i])));
    for (size_t i = 0; i < OX_COUNT(others); i++)
        assert_false(signature_is_created(str_from(others[i])));
}

/* ---- origins ----------------------------------------------------------------------- */

/* x -> Relu -> y, where the node has this name and these entries of metadata. */
static const Origin *origin_in(Fixture *f, const char *name, const char *scopes,
                               const char *classes) {
    Text g = graph_text(f), node = {.arena = &f->arena};
    add_input(&g, "x", "4");
    put_list(&node, 1, "x");
    put_list(&node, 2, "y");
    put_str(&node, 3, name);
    put_str(&node, 4, "Relu");
    if (scopes)
        put_entry(&node, 9, "pkg.torch.onnx.name_scopes", scopes);
    if (classes)
        put_entry(&node, 9, "pkg.torch.onnx.class_hierarchy", classes);
    put_bytes(&g, 1, text_view(&node));
    add_output(&g, "y");
    return import(f, &g)->graph->nodes[0]->origin;
}

static void traced_names_are_paths(void **state) {
    Fixture *f = *state;
    const Origin *o = origin_in(f, "/blocks/blocks.0/proj/Relu", NULL, NULL);
    assert_int_equal(o->kind, ORIGIN_TRACED);
    assert_true(str_is(o->path, "blocks.0.proj") && str_is(o->leaf, "proj"));
    assert_true(str_is(o->around->path, "blocks.0"));
    assert_true(str_is(o->around->leaf, "blocks.0"));
    assert_true(str_is(o->around->around->path, "blocks"));
    assert_null(o->around->around->around);
    assert_true(str_is(origin_in(f, "/Relu", NULL, NULL)->path, ""));
    assert_int_equal(origin_in(f, "a/Relu", NULL, NULL)->kind, ORIGIN_NAME);
    assert_null(origin_in(f, "Relu_3", NULL, NULL));
}

static void metadata_comes_before_names(void **state) {
    Fixture *f = *state;
    const Origin *o = origin_in(f, "/a/Relu", "['', 'up', 'up.act', 'relu']",
                                "['M', 'm.Up', 'torch.nn.ReLU', 'aten.relu']");
    assert_int_equal(o->kind, ORIGIN_PROGRAM);
    assert_true(str_is(o->path, "up.act") && str_is(o->class, "torch.nn.ReLU"));
    assert_true(str_is(o->around->class, "m.Up"));
    assert_true(str_is(o->around->around->path, ""));
    assert_true(str_is(origin_in(f, "/a/Relu", "['relu']", NULL)->path, "a"));
}

static void deep_names_keep_the_innermost_module(void **state) {
    Fixture *f = *state;
    Text name = {.arena = &f->arena};
    for (int i = 0; i < 1000; i++)
        text_lit(&name, "/a");
    text_lit(&name, "/Relu");
    const Origin *o = origin_in(f, text_view(&name).p, NULL, NULL);
    int depth = 0;
    assert_int_equal(o->path.n, 1999);
    for (; o; o = o->around)
        depth++;
    assert_true(depth < 40);
}

static void is_of_copy(void *user, const Symbol *s) {
    const Model *copy = user;
    if (s->value)
        assert_ptr_equal(s->value->graph->model, copy);
}

/* Its values, nodes, graphs and what its symbols read are its own. */
static void check_own(void *user, Graph *g) {
    Model *copy = user;
    assert_ptr_equal(g->model, copy);
    for (size_t i = 0; i < g->n_nodes; i++) {
        assert_ptr_equal(g->nodes[i]->graph, g);
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
            assert_ptr_equal(g->nodes[i]->in[k]->graph->model, copy);
        for (uint32_t k = 0; k < g->nodes[i]->n_out; k++)
            assert_ptr_equal(g->nodes[i]->out[k]->def, g->nodes[i]);
    }
    for (size_t i = 0; i < g->n_inputs; i++)
        for (int axis = 0; axis < g->inputs[i]->type.rank; axis++)
            dim_each_symbol(g->inputs[i]->type.dims[axis], is_of_copy, copy);
}

static void a_copy_of_a_model_is_apart(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), inner = {.arena = &f->arena};
    add_node(&inner, "Neg", "h", "z", NULL);
    add_output(&inner, "z");
    Str attr = graph_attr(&f->arena, "then_branch", text_view(&inner));
    add_input(&g, "x", "batch,4");
    add_input(&g, "z0", "batch,seq");
    add_floats(&g, "w", (const float[]){1, 2, 3, 4}, 4);
    add_node(&g, "Add", "x,w", "h", NULL);
    add_node(&g, "If", "x", "y", &attr);
    add_output(&g, "y");
    add_output(&g, "h");
    Model *m = import(f, &g);
    assert_no_errors(f);
    Diags diags = {.arena = &f->arena};
    Model *copy = model_copy(m, &diags);
    const char *why;
    assert_non_null(copy);
    assert_true(graph_verify(copy, &why));
    graph_each(copy->graph, check_own, copy);
    graph_each(m->graph, check_own, m);
    Text was = {.arena = &f->arena}, is = {.arena = &f->arena};
    graph_dump(&was, m);
    graph_dump(&is, copy);
    assert_string_equal(text_view(&was).p, text_view(&is).p);
    /* A name that is new in the copy does not come into the model. */
    copy->graph->inputs[0]->type.rank = 1;
    copy->graph->nodes[0]->op_type = STR("Mul");
    assert_true(dim_eq(named_dim(copy, STR("batch"), NULL, 0),
                       m->graph->inputs[0]->type.dims[0]));
    assert_int_equal(m->graph->inputs[0]->type.rank, 2);
    assert_true(str_is(m->graph->nodes[0]->op_type, "Add"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(traced_names_are_paths),
        IN_ARENA(metadata_comes_before_names),
        IN_ARENA(deep_names_keep_the_innermost_module),
        IN_ARENA(names_become_pointers),
        IN_ARENA(an_empty_name_is_an_absent_input),
        IN_ARENA(an_unknown_value_is_an_error),
        IN_ARENA(nodes_out_of_order_are_sorted),
        IN_ARENA(what_a_subgraph_reads_is_read_by_its_node),
        IN_ARENA(a_circle_of_nodes_is_an_error),
        IN_ARENA(a_node_that_reads_itself_is_an_error),
        IN_ARENA(a_long_chain_is_sorted),
        IN_ARENA(two_values_of_one_name_are_an_error),
        IN_ARENA(an_output_that_nothing_makes_is_an_error),
        IN_ARENA(an_input_with_an_initializer_is_a_parameter),
        IN_ARENA(small_or_regular_integers_are_literals),
        IN_ARENA(one_dim_param_is_one_symbol),
        IN_ARENA(a_subgraph_reads_outer_values),
        IN_ARENA(subgraphs_past_the_depth_limit_are_an_error),
        IN_ARENA(a_copy_of_a_model_is_apart),
        IN_ARENA(functions_are_inlined_with_their_attributes),
        IN_ARENA(a_function_that_calls_itself_is_an_error),
        IN_ARENA(the_verifier_sees_a_broken_order),
        IN_ARENA(a_signature_names_its_parameters),
        IN_ARENA(a_broken_signature_ends),
        IN_ARENA(creation_operators_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
