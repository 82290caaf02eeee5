/* Subgraphs: which branch is taken, and types that cross their borders. */
#include "ops/core/nested.h"
#include "passes/passes.h"

#include "build.h"

/* y = If(c) of two unary operators on x. */
static void add_choice(Text *g, const char *yes, const char *no) {
    add_if(g, "c", graph_of(g->arena, yes, "x", "a"), graph_of(g->arena, no, "x", "b"),
           "y");
    add_output(g, "y");
}

static void check_taken(Fixture *f, bool condition, const char *op) {
    Text g = graph_text(f);
    add_input(&g, "x", "n,4");
    add_flag(&g, "c", condition);
    add_choice(&g, "Exp", "Neg");
    Model *m = import(f, &g);
    infer_model(m);
    pass_branches(m);
    assert_no_errors(f);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 1);
    assert_true(str_is(m->graph->nodes[0]->op_type, op));
    assert_ptr_equal(m->graph->nodes[0]->graph, m->graph);
    assert_ptr_equal(m->graph->outputs[0], m->graph->nodes[0]->out[0]);
}

static void a_known_condition_leaves_one_branch(void **state) {
    check_taken(*state, true, "Exp");
}

static void and_the_other_one_when_false(void **state) {
    check_taken(*state, false, "Neg");
}

static void an_unknown_condition_keeps_both(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n,4");
    put_bytes(&g, 11, value_info(&f->arena, "c", "", DT_BOOL));
    add_choice(&g, "Exp", "Neg");
    Model *m = import(f, &g);
    infer_model(m);
    pass_branches(m);
    assert_no_errors(f);
    assert_int_equal(m->graph->n_nodes, 1);
    assert_true(type_same(&m->graph->outputs[0]->type, &m->graph->inputs[0]->type));
    assert_false(m->graph->nodes[0]->concrete);
}

/* A branch within the one that is taken, which has a weight of its own. */
static void branches_in_branches_are_taken_too(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), yes = graph_text(f);
    add_input(&g, "x", "2");
    add_flag(&g, "c", true);
    add_flag(&yes, "d", false);
    add_floats(&yes, "w", (float[]){1, 2}, 2);
    add_node(&yes, "Mul", "x,w", "s", NULL);
    add_if(&yes, "d", graph_of(g.arena, "Exp", "s", "p"),
           graph_of(g.arena, "Neg", "s", "q"), "t");
    add_node(&yes, "Tanh", "t", "a", NULL);
    add_output(&yes, "a");
    add_if(&g, "c", text_view(&yes), graph_of(g.arena, "Abs", "x", "b"), "y");
    add_node(&g, "Relu", "y", "z", NULL);
    add_output(&g, "z");
    Model *m = inferred(f, &g);
    Text dump = {.arena = &f->arena};
    pass_branches(m);
    assert_no_errors(f);
    assert_valid(m);
    graph_dump(&dump, m);
    assert_string_equal(text_view(&dump).p,
                        "graph (x float32[2])\n"
                        "  s float32[2] = Mul(x float32[2], w float32[2])\n"
                        "  q float32[2] = Neg(s float32[2])\n"
                        "  a float32[2] = Tanh(q float32[2])\n"
                        "  z float32[2] = Relu(a float32[2])\n"
                        "  return z float32[2]\n");
}

/* The branch that stays is in another graph now. */
static void what_is_in_a_taken_branch_belongs_to_the_graph(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), yes = graph_text(f);
    add_input(&g, "x", "2");
    put_bytes(&g, 11, value_info(g.arena, "open", "", DT_BOOL));
    add_flag(&g, "c", true);
    add_floats(&yes, "w", (float[]){1, 2}, 2);
    add_node(&yes, "Mul", "x,w", "s", NULL);
    add_if(&yes, "open", graph_of(g.arena, "Exp", "s", "p"),
           graph_of(g.arena, "Neg", "s", "q"), "a");
    add_output(&yes, "a");
    add_if(&g, "c", text_view(&yes), graph_of(g.arena, "Abs", "x", "b"), "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_branches(m);
    assert_valid(m);
    assert_int_equal(m->graph->n_nodes, 2);
    const Node *inner = m->graph->nodes[1];
    assert_ptr_equal(inner->graph, m->graph);
    assert_ptr_equal(inner->out[0]->graph, m->graph);
    assert_ptr_equal(m->graph->outputs[0], inner->out[0]);
    for (uint32_t i = 0; i < inner->n_attrs; i++)
        assert_ptr_equal(inner->attrs[i].graphs[0]->parent, m->graph);
    assert_ptr_equal(value_of(m, "w")->graph, m->graph); /* among its parameters */
}

/* A branch in one that stays. */
static void branches_of_open_conditions_are_looked_into(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), yes = graph_text(f);
    add_input(&g, "x", "2");
    put_bytes(&g, 11, value_info(g.arena, "open", "", DT_BOOL));
    add_flag(&yes, "c", true);
    add_if(&yes, "c", graph_of(g.arena, "Exp", "x", "p"),
           graph_of(g.arena, "Neg", "x", "q"), "a");
    add_output(&yes, "a");
    add_if(&g, "open", text_view(&yes), graph_of(g.arena, "Abs", "x", "b"), "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    pass_branches(m);
    assert_int_equal(m->graph->n_nodes, 1);
    const Graph *taken = m->graph->nodes[0]->attrs[0].graphs[0];
    assert_int_equal(taken->n_nodes, 1);
    assert_true(str_is(taken->nodes[0]->op_type, "Exp"));
    assert_ptr_equal(taken->outputs[0], taken->nodes[0]->out[0]);
}

/* y = Loop(3, , x) whose body makes the next state of the last, s, by one operator. */
static Model *loop_of(Fixture *f, const char *op, const char *in, int64_t axis) {
    Arena *a = &f->arena;
    Text g = graph_text(f), body = graph_text(f);
    Str concat = int_attr(a, "axis", axis);
    put_bytes(&body, 11, value_info(a, "i", "", DT_INT64));
    put_bytes(&body, 11, value_info(a, "k", "", DT_BOOL));
    add_input(&body, "s", "?,?");
    add_node(&body, "Identity", "k", "k2", NULL);
    add_node(&body, op, in, "t", axis < 0 ? NULL : &concat);
    add_output(&body, "k2");
    add_output(&body, "t");
    add_input(&g, "x", "n,4");
    add_ints(&g, "m", (int64_t[]){3}, -1);
    Str attr = graph_attr(a, "body", text_view(&body));
    add_node(&g, "Loop", "m,,x", "y", &attr);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_model(m);
    assert_no_errors(f);
    return m;
}

static void a_state_that_stays_keeps_its_type(void **state) {
    const Model *m = loop_of(*state, "Add", "s,x", -1);
    const Value *y = m->graph->outputs[0];
    assert_true(type_same(&y->type, &m->graph->inputs[0]->type));
    assert_null(attr_graph(y->def, "body")->inputs[0]->known);
}

/* Only the axis that grows is given up, and the counter becomes Python's. */
static void a_state_that_grows_is_widened(void **state) {
    const Model *m = loop_of(*state, "Concat", "s,x", 0);
    const Value *y = m->graph->outputs[0];
    const Symbol *rows = dim_as_symbol(y->type.dims[0]);
    assert_int_equal(y->type.rank, 2);
    assert_true(dim_is(y->type.dims[1], 4));
    assert_non_null(rows);
    assert_ptr_equal(rows->value, y);
    assert_non_null(attr_graph(y->def, "body")->inputs[0]->known);
}

static void types_move_with_what_can_be_read(void **state) {
    Fixture *f = *state;
    Model *m = loop_of(f, "Concat", "s,x", 0);
    const Graph *body = attr_graph(m->graph->outputs[0]->def, "body");
    Value *outer = m->graph->outputs[0], *inner = body->outputs[1];
    Type out = type_moved(m, &inner->type, outer);
    assert_ptr_equal(dim_as_symbol(out.dims[0])->value, outer);
    Type in = type_moved(m, &m->graph->inputs[0]->type, inner);
    assert_true(type_same(&in, &m->graph->inputs[0]->type));
}

static void widening_ends(void **state) {
    Fixture *f = *state;
    Model *m = loop_of(f, "Add", "s,x", -1);
    Value *v = m->graph->outputs[0];
    Dim dims[2] = {dim_int(7), dim_int(4)};
    Type t = {.dtype = DT_FLOAT, .rank = 2, .dims = dims};
    assert_true(type_widen(m, v, &t));
    assert_false(type_widen(m, v, &t));
    assert_true(dim_is(v->type.dims[1], 4));
    t.rank = 1;
    assert_true(type_widen(m, v, &t));
    assert_int_equal(v->type.rank, -1);
    assert_false(type_widen(m, v, &t));
}

static void an_empty_sequence_takes_any_type(void **state) {
    Fixture *f = *state;
    Model *m = loop_of(f, "Add", "s,x", -1);
    Value *v = value_new(m, m->graph, VALUE_INPUT, STR("list"));
    Type none = {.dtype = DT_FLOAT, .rank = RANK_EMPTY};
    Type held = {.kind = TYPE_SEQUENCE, .rank = -1, .elem = &m->graph->inputs[0]->type};
    v->type = (Type){.kind = TYPE_SEQUENCE, .rank = -1, .elem = &none};
    assert_true(type_widen(m, v, &held));
    assert_int_equal(v->type.elem->rank, 2);
    assert_true(dim_is(v->type.elem->dims[1], 4));
    assert_false(type_widen(m, v, &held));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(a_known_condition_leaves_one_branch),
        IN_ARENA(and_the_other_one_when_false),
        IN_ARENA(an_unknown_condition_keeps_both),
        IN_ARENA(branches_in_branches_are_taken_too),
        IN_ARENA(what_is_in_a_taken_branch_belongs_to_the_graph),
        IN_ARENA(branches_of_open_conditions_are_looked_into),
        IN_ARENA(a_state_that_stays_keeps_its_type),
        IN_ARENA(a_state_that_grows_is_widened),
        IN_ARENA(types_move_with_what_can_be_read),
        IN_ARENA(widening_ends),
        IN_ARENA(an_empty_sequence_takes_any_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
