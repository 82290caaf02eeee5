/* The blocks pass: which modules it finds equal, and what it does to the graph first. */
#include "passes/modules/blocks.h"
#include "passes/passes.h"

#include "build.h"

#include <stdio.h>

static Model *with_blocks(Fixture *f, Text *g) {
    Model *m = import(f, g);
    infer_model(m);
    pass_dce(m);
    pass_blocks(m);
    assert_no_errors(f);
    assert_valid(m);
    return m;
}

static const BlockKind *only_kind(const Model *m) {
    assert_non_null(m->blocks);
    assert_int_equal(m->blocks->kinds.count, 1);
    return m->blocks->kinds.items[0];
}

static void equal_modules_are_blocks_of_one_kind(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "n,2");
    add_floats(&g, "layer.0.w", (float[]){1, 2}, 2);
    add_floats(&g, "layer.1.w", (float[]){3, 4}, 2);
    add_at(&g, "/layer.0/Mul", "Mul", "x,layer.0.w", "a0");
    add_at(&g, "/layer.0/act/Relu", "Relu", "a0", "b0");
    add_at(&g, "/layer.1/Mul", "Mul", "b0,layer.1.w", "a1");
    add_at(&g, "/layer.1/act/Relu", "Relu", "a1", "b1");
    add_output(&g, "b1");
    Model *m = with_blocks(f, &g);
    const BlockKind *kind = only_kind(m);
    assert_int_equal(kind->count, 2);
    const Block *b = kind->blocks[1];
    assert_true(str_is(b->part->path, "layer.1"));
    assert_int_equal(b->first, 2);
    assert_int_equal(b->count, 2);
    assert_int_equal(b->n_in, 1); /* the weight is a parameter of the module's own */
    assert_ptr_equal(b->in[0], value_of(m, "b0"));
    assert_int_equal(b->n_out, 1);
    assert_ptr_equal(b->out[0], value_of(m, "b1"));
    assert_true(str_is(block_relative_key(b->part, value_of(m, "layer.1.w")), "w"));
}

/* Else the function of the outer one would call itself. */
static void a_module_that_is_all_of_another_is_no_block(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_at(&g, "/layer.0/act/Neg", "Neg", "x", "a0");
    add_at(&g, "/layer.0/act/Exp", "Exp", "a0", "b0");
    add_at(&g, "/layer.1/act/Neg", "Neg", "b0", "a1");
    add_at(&g, "/layer.1/act/Exp", "Exp", "a1", "b1");
    add_output(&g, "b1");
    const BlockKind *kind = only_kind(with_blocks(f, &g));
    assert_int_equal(kind->count, 2);
    assert_true(str_is(kind->blocks[0]->part->path, "layer.0"));
}

static void other_types_make_another_kind_of_the_family(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_floats(&g, "layer.0.w", (float[]){1, 2}, 2);
    add_floats(&g, "layer.1.w", (float[]){3}, 1);
    add_at(&g, "/layer.0/Mul", "Mul", "x,layer.0.w", "a0");
    add_at(&g, "/layer.0/Relu", "Relu", "a0", "b0");
    add_at(&g, "/layer.1/Mul", "Mul", "b0,layer.1.w", "a1");
    add_at(&g, "/layer.1/Relu", "Relu", "a1", "b1");
    add_output(&g, "b1");
    Model *m = with_blocks(f, &g);
    assert_int_equal(m->blocks->kinds.count, 2);
    assert_ptr_equal(m->blocks->kinds.items[0]->family,
                     m->blocks->kinds.items[1]->family);
}

static void other_operators_or_wiring_are_not_equal(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_at(&g, "/layer.0/Neg", "Neg", "x", "a0");
    add_at(&g, "/layer.0/Sub", "Sub", "x,a0", "b0");
    add_at(&g, "/layer.1/Neg", "Neg", "b0", "a1");
    add_at(&g, "/layer.1/Sub", "Sub", "a1,b0", "b1");
    add_at(&g, "/layer.2/Exp", "Exp", "b1", "a2");
    add_at(&g, "/layer.2/Sub", "Sub", "b1,a2", "b2");
    add_output(&g, "b2");
    assert_null(with_blocks(f, &g)->blocks);
}

static void what_layers_share_moves_out_of_the_first(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_input(&g, "mask", "2");
    add_floats(&g, "layer.0.w", (float[]){1, 2}, 2);
    add_floats(&g, "layer.1.w", (float[]){3, 4}, 2);
    add_at(&g, "/layer.0/Mul", "Mul", "x,layer.0.w", "a0");
    add_at(&g, "/layer.0/Exp", "Exp", "mask", "e");
    add_at(&g, "/layer.0/Add", "Add", "a0,e", "b0");
    add_at(&g, "/layer.1/Mul", "Mul", "b0,layer.1.w", "a1");
    add_at(&g, "/layer.1/Add", "Add", "a1,e", "b1");
    add_output(&g, "b1");
    Model *m = with_blocks(f, &g);
    assert_int_equal(only_kind(m)->count, 2);
    assert_true(str_is(m->graph->nodes[0]->op_type, "Exp"));
    assert_int_equal(only_kind(m)->blocks[0]->n_in, 2);
}

static void a_module_whose_value_leaves_and_returns_is_none(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_at(&g, "/layer.0/Neg", "Neg", "x", "a0");
    add_at(&g, "/Exp_0", "Exp", "a0", "e0");
    add_at(&g, "/layer.0/Sub", "Sub", "a0,e0", "b0");
    add_at(&g, "/layer.1/Neg", "Neg", "b0", "a1");
    add_at(&g, "/Exp_1", "Exp", "a1", "e1");
    add_at(&g, "/layer.1/Sub", "Sub", "a1,e1", "b1");
    add_output(&g, "b1");
    assert_null(with_blocks(f, &g)->blocks);
}

static void random_nodes_are_in_no_block(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_at(&g, "/layer.0/R", "RandomNormalLike", "x", "a0");
    add_at(&g, "/layer.0/Add", "Add", "x,a0", "b0");
    add_at(&g, "/layer.1/R", "RandomNormalLike", "b0", "a1");
    add_at(&g, "/layer.1/Add", "Add", "b0,a1", "b1");
    add_output(&g, "b1");
    assert_null(with_blocks(f, &g)->blocks);
}

static void weights_of_the_exporter_get_keys_of_their_module(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_floats(&g, "onnx::Mul_7", (float[]){1, 2}, 2);
    add_floats(&g, "onnx::Mul_8", (float[]){3, 4}, 2);
    add_at(&g, "/layer.0/up/Mul", "Mul", "x,onnx::Mul_7", "a0");
    add_at(&g, "/layer.0/Relu", "Relu", "a0", "b0");
    add_at(&g, "/layer.1/up/Mul", "Mul", "b0,onnx::Mul_8", "a1");
    add_at(&g, "/layer.1/Relu", "Relu", "a1", "b1");
    add_output(&g, "b1");
    Model *m = with_blocks(f, &g);
    assert_int_equal(only_kind(m)->count, 2);
    Str key = param_key_of(value_of(m, "onnx::Mul_8"));
    assert_true(str_is(key, "layer.1.up.mul_b"));
}

static void what_repeats_is_found_without_scopes(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    char in[32] = "x", out[32], read[64], key[32];
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "h.%d.w", i);
        add_floats(&g, key, (float[]){1, 2}, 2);
        for (int k = 0; k < 5; k++) {
            static const char *const ops[] = {"Mul", "Relu", "Exp", "Neg", "Tanh"};
            snprintf(out, sizeof out, "v%d_%d", i, k);
            snprintf(read, sizeof read, k ? "%s" : "%s,%s", in, key);
            add_node(&g, ops[k], read, out, NULL);
            memcpy(in, out, sizeof in);
        }
    }
    add_output(&g, in);
    Model *m = with_blocks(f, &g);
    const BlockKind *kind = only_kind(m);
    assert_int_equal(kind->count, 4);
    assert_true(str_is(kind->blocks[3]->part->path, "h.3"));
    assert_int_equal(kind->blocks[3]->first, 15);
    assert_int_equal(kind->blocks[3]->n_in, 1);
}

static void nothing_is_done_where_layers_are_written_out(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_at(&g, "/layer.0/Neg", "Neg", "x", "a0");
    add_at(&g, "/layer.0/Exp", "Exp", "a0", "b0");
    add_at(&g, "/layer.1/Neg", "Neg", "b0", "a1");
    add_at(&g, "/layer.1/Exp", "Exp", "a1", "b1");
    add_output(&g, "b1");
    Model *m = import(f, &g);
    m->unrolled = true;
    infer_model(m);
    pass_blocks(m);
    assert_null(m->blocks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(equal_modules_are_blocks_of_one_kind),
        IN_ARENA(a_module_that_is_all_of_another_is_no_block),
        IN_ARENA(other_types_make_another_kind_of_the_family),
        IN_ARENA(other_operators_or_wiring_are_not_equal),
        IN_ARENA(what_layers_share_moves_out_of_the_first),
        IN_ARENA(a_module_whose_value_leaves_and_returns_is_none),
        IN_ARENA(random_nodes_are_in_no_block),
        IN_ARENA(weights_of_the_exporter_get_keys_of_their_module),
        IN_ARENA(what_repeats_is_found_without_scopes),
        IN_ARENA(nothing_is_done_where_layers_are_written_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
