/* Inference over whole graphs: shape arithmetic ends as dimensions, declared types fill
 * what no rule knows, and --shape overrides inputs. */
#include "passes/sizes/sizes.h"

#include "build.h"

/* x[batch,4] -> Shape -> Gather 0 -> Unsqueeze -> Concat with 2,2 -> Reshape */
static void shape_arithmetic_becomes_dimensions(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "batch,4");
    add_ints(&g, "zero", (int64_t[]){0}, -1);
    add_ints(&g, "axes", (int64_t[]){0}, 1);
    add_ints(&g, "rest", (int64_t[]){2, -1}, 2);
    Str axis = int_attr(&f->arena, "axis", 0);
    add_node(&g, "Shape", "x", "s", NULL);
    add_node(&g, "Gather", "s,zero", "b", NULL);
    add_node(&g, "Unsqueeze", "b,axes", "b1", NULL);
    add_node(&g, "Concat", "b1,rest", "shape", &axis);
    add_node(&g, "Reshape", "x,shape", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_model(m);
    assert_no_errors(f);
    assert_type(f, value_of(m, "s"), "int64[2]");
    const Known *k = value_of(m, "shape")->known;
    assert_non_null(k);
    assert_int_equal(k->n, 3);
    assert_true(dim_eq(k->ints[0], value_of(m, "x")->type.dims[0]));
    assert_true(dim_is(k->ints[2], -1));
    assert_type(f, value_of(m, "y"), "float32[batch,2,2]");
}

static void a_dimension_that_depends_on_data_is_read_from_the_value(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "NonZero", "x", "i", NULL);
    add_output(&g, "i");
    Model *m = import(f, &g);
    infer_model(m);
    assert_no_errors(f);
    assert_type(f, value_of(m, "i"), "int64[1,i[1]]");
}

static void every_unsupported_operator_is_listed_once(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "4");
    add_node(&g, "Frobnicate", "x", "a", NULL);
    add_node(&g, "Frobnicate", "a", "b", NULL);
    add_node(&g, "Wobble", "b", "c", NULL);
    add_output(&g, "c");
    Model *m = import(f, &g);
    infer_model(m);
    assert_int_equal(m->unsupported.count, 2);
    assert_int_equal(m->unsupported.items[0].count, 2);
    graph_report_unsupported(m);
    assert_int_equal(diag_status(&f->diags), OX_ERR_UNSUPPORTED);
    assert_error(f, OX0301, "Wobble");
}

static void shapes_that_do_not_fit_are_an_error(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "a", "2,3");
    add_input(&g, "b", "2,4");
    add_node(&g, "Add", "a,b", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_model(m);
    assert_int_equal(diag_status(&f->diags), OX_ERR_MODEL);
    assert_int_equal(f->diags.items[0].code, OX0401);
}

static void an_override_replaces_a_shape(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "1,?");
    add_node(&g, "Relu", "x", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_override_input(m, STR("x=n,8"));
    infer_model(m);
    assert_no_errors(f);
    assert_type(f, value_of(m, "y"), "float32[n,8]");
}

static void bad_overrides_are_errors_of_use(void **state) {
    static const char *const bad[] = {"x", "z=1,2", "x=1", "x=1,2,3"};
    Fixture *f = *state;
    for (size_t i = 0; i < OX_COUNT(bad); i++) {
        Text g = graph_text(f);
        add_input(&g, "x", "1,2");
        Model *m = import(f, &g);
        infer_override_input(m, str_from(bad[i]));
        assert_int_equal(diag_status(&f->diags), OX_ERR_USAGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(shape_arithmetic_becomes_dimensions),
        IN_ARENA(a_dimension_that_depends_on_data_is_read_from_the_value),
        IN_ARENA(every_unsupported_operator_is_listed_once),
        IN_ARENA(shapes_that_do_not_fit_are_an_error),
        IN_ARENA(an_override_replaces_a_shape),
        IN_ARENA(bad_overrides_are_errors_of_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
