/* Slips in a row or callback: the message names the operator and what is wrong.  Those
 * that only a debug build looks for are let be by a release. */
#include "emit/codegen.h"
#include "ops/core/op.h"
#include "passes/passes.h"

#include "build.h"

/* Relu with something else in its row, in a graph of two nodes. */
static void generate_with(Fixture *f, const OpDef *row) {
    Text g = graph_text(f);
    Module module;
    CodegenOptions options = {0};
    add_input(&g, "x", "2,3");
    add_node(&g, "Exp", "x", "t", NULL);
    add_node(&g, "Relu", "t", "y", NULL);
    add_output(&g, "y");
    Model *m = import(f, &g);
    infer_model(m);
    assert_no_errors(f);
    m->graph->nodes[1]->op = row;
    graph_count_uses(m);
    codegen_module(m, &options, &module);
}

static OpDef row_of(const char *jax, void (*emit)(Emit *e)) {
    return (OpDef){.name = "Relu",
                   .since = 1,
                   .in = "X",
                   .out = "Y",
                   .attrs = {INT("axis", 1)},
                   .infer = infer_same,
                   .jax = jax,
                   .emit = emit};
}

/* `what` is part of the message, after the operator; `always`: of a release, too. */
static void assert_defect(Fixture *f, const char *jax, void (*emit)(Emit *e),
                          const char *what, bool always) {
    OpDef row = row_of(jax, emit);
    generate_with(f, &row);
    if (!always && !OX_CHECKS) {
        assert_no_errors(f);
        return;
    }
    assert_error(f, OX0302, what);
    assert_error(f, OX0302, "Relu: ");
}

static void a_row_without_a_slip(void **state) {
    OpDef row = row_of("jnp.flip($X, $axis)", NULL);
    generate_with(*state, &row);
    assert_no_errors(*state);
}

static void a_misspelt_helper(void **state) {
    assert_defect(*state, "layer_nrom($X)", NULL, "its code names layer_nrom", false);
}

static void a_misspelt_name_in_a_template(void **state) {
    assert_defect(*state, "jnp.flip($X, $axes)", NULL,
                  "template `jnp.flip($X, $axes)`: unknown name $axes", true);
}

static void a_template_that_does_not_parse(void **state) {
    assert_defect(*state, "jnp.flip($X", NULL, "template `jnp.flip($X`", true);
}

static void emit_nothing(Emit *e) {
    emit_out(e, 0, emit_let(e, "gone", NULL));
}

static void nothing_is_assigned(void **state) {
    assert_defect(*state, NULL, emit_nothing, "gone is given nothing", true);
}

static void emit_hole(Emit *e) {
    emit_out(e, 0, EX(emit_arena(e), "jnp.abs($0) + $1", emit_in(e, 0), NULL));
}

static void a_hole_is_given_nothing(void **state) {
    assert_defect(*state, NULL, emit_hole, "absent outside a group: $1", true);
}

static void emit_twice(Emit *e) {
    const Expr *x = emit_in(e, 0);
    emit_out(e, 0, EX(emit_arena(e), "$0 * $0", x));
}

/* Its first part is written in place, and would be computed twice. */
static void an_input_is_spliced_twice(void **state) {
    assert_defect(*state, NULL, emit_twice,
                  "template `$0 * $0`: $0 is code that is written 2 times", false);
}

static void emit_misspelt(Emit *e) {
    Arena *a = emit_arena(e);
    const Expr *axis = ex_int(a, attr_int(emit_node(e), "axsi"));
    emit_out(e, 0, EX(a, "jnp.flip($0, $1)", emit_in(e, 0), axis));
}

static void a_misspelt_attribute(void **state) {
    assert_defect(*state, NULL, emit_misspelt, "its code reads \"axsi\"", false);
}

static void emit_mistyped(Emit *e) {
    Arena *a = emit_arena(e);
    double axis = attr_float(emit_node(e), "axis");
    emit_out(e, 0, EX(a, "$0 * $1", emit_in(e, 0), emit_float(e, axis, DT_FLOAT)));
}

static void an_attribute_of_another_type(void **state) {
    assert_defect(*state, NULL, emit_mistyped, "its code reads \"axis\" as float",
                  false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(a_row_without_a_slip),
        IN_ARENA(a_misspelt_helper),
        IN_ARENA(a_misspelt_name_in_a_template),
        IN_ARENA(a_template_that_does_not_parse),
        IN_ARENA(nothing_is_assigned),
        IN_ARENA(a_hole_is_given_nothing),
        IN_ARENA(an_input_is_spliced_twice),
        IN_ARENA(a_misspelt_attribute),
        IN_ARENA(an_attribute_of_another_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
