/* The steps of the blocks pass one by one: which module each node comes from, what moves
 * out, what is brought together, what is the same, and what repeats where no name says
 * so.  The pass as a whole is in test_blocks.c. */
#include "passes/modules/blocks.h"
#include "passes/passes.h"

#include "build.h"

#include <stdio.h>

/* A node of a module, "/layer.0/up"; "": it does not say where it is from. */
static void add_with(Text *g, const char *module, const char *op, const char *in,
                     const char *out, Str attr) {
    Text t = {.arena = g->arena}, name = {.arena = g->arena};
    put_list(&t, 1, in);
    put_list(&t, 2, out);
    text_printf(&name, "%s/%s", module, op);
    if (*module)
        put_bytes(&t, 3, text_view(&name));
    put_str(&t, 4, op);
    if (attr.n)
        put_bytes(&t, 5, attr);
    put_bytes(g, 1, text_view(&t));
}

static void add_from(Text *g, const char *module, const char *op, const char *in,
                     const char *out) {
    add_with(g, module, op, in, out, (Str){0});
}

/* The graph in its order: module:output. */
static void assert_order(Fixture *f, const Model *m, const char *expected) {
    Text t = {.arena = &f->arena};
    for (size_t i = 0; i < m->graph->n_nodes; i++) {
        const Node *n = m->graph->nodes[i];
        text_printf(&t, "%s%.*s:%.*s", i ? " " : "", (int)n->part->path.n,
                    n->part->path.p, (int)n->out[0]->name.n, n->out[0]->name.p);
    }
    assert_string_equal(text_view(&t).p, expected);
}

typedef enum Step { FIND, HOIST, GATHER } Step;

/* The parts, and then one step of the pass. */
static Parts *after(Fixture *f, Model *m, Step step) {
    Parts *p = ARENA_NEW(&f->arena, Parts);
    parts_find(m, p);
    if (step == HOIST)
        parts_hoist(m, p);
    else if (step == GATHER)
        parts_gather(m, p);
    assert_valid(m);
    return p;
}

static const Part *part_at(const Parts *p, const char *path) {
    for (size_t i = 0; i < p->count; i++)
        if (str_is(p->items[i]->path, path))
            return p->items[i];
    fail_msg("no part %s", path);
    return NULL;
}

/* ---- parts ------------------------------------------------------------------------- */

static void names_say_the_tree(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_from(&g, "/stem", "Neg", "x", "a");
    add_from(&g, "/layer1/layer1.0/act", "Exp", "a", "b");
    add_from(&g, "/layer1/layer1.1", "Exp", "b", "c");
    add_from(&g, "/layer1/layer1.0/act", "Neg", "c", "d");
    add_from(&g, "/head/act", "Neg", "d", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, FIND);
    assert_order(f, m, "stem:a layer1.0.act:b layer1.1:c layer1.0.act:d head.act:y");
    Text tree = {.arena = &f->arena};
    for (size_t i = 0; i < p->count; i++)
        text_printf(&tree, "%u %.*s %u-%u\n", p->items[i]->depth,
                    (int)p->items[i]->path.n, p->items[i]->path.p, p->items[i]->begin,
                    p->items[i]->end);
    assert_string_equal(text_view(&tree).p, "0  0-8\n"
                                            "1 stem 1-2\n"
                                            "1 layer1 2-6\n"
                                            "2 layer1.0 3-5\n"
                                            "3 layer1.0.act 4-5\n"
                                            "2 layer1.1 5-6\n"
                                            "1 head 6-8\n"
                                            "2 head.act 7-8\n");
    assert_false(p->none);
}

static void a_graph_may_not_say_it(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_node(&g, "Neg", "x", "y", NULL);
    add_output(&g, "y");
    Parts *p = after(f, inferred(f, &g), FIND);
    assert_true(p->none);
    assert_int_equal(p->count, 1);
}

static void what_is_too_deep_is_part_of_the_module_around(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f), path = graph_text(f);
    for (int i = 0; i < PART_DEPTH_MAX + 3; i++)
        text_printf(&path, "/m%d", i);
    add_input(&g, "x", "2");
    add_from(&g, text_view(&path).p, "Neg", "x", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, FIND);
    assert_int_equal(p->count, PART_DEPTH_MAX + 1);
    assert_int_equal(m->graph->nodes[0]->part->depth, PART_DEPTH_MAX);
}

static void the_innermost_part_in_common(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_from(&g, "/a/b/c", "Neg", "x", "u");
    add_from(&g, "/a/d", "Neg", "u", "v");
    add_from(&g, "/e", "Neg", "v", "y");
    add_output(&g, "y");
    Parts *p = after(f, inferred(f, &g), FIND);
    Part *c = (Part *)part_at(p, "a.b.c"), *d = (Part *)part_at(p, "a.d"),
         *e = (Part *)part_at(p, "e");
    assert_ptr_equal(part_common(c, d), part_at(p, "a"));
    assert_ptr_equal(part_common(d, c), part_at(p, "a"));
    assert_ptr_equal(part_common(c, e), p->root);
    assert_ptr_equal(part_common(c, c->parent), c->parent);
    assert_ptr_equal(part_common(c, c), c);
}

/* ---- hoist ------------------------------------------------------------------------- */

/* Reads of `shared`, made in the first layer, in both. */
static Model *sharing(Fixture *f, const char *op, const char *in) {
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_input(&g, "mask", "2");
    add_floats(&g, "layer.0.w", (float[]){1, 2}, 2);
    add_from(&g, "/layer.0", "Neg", "mask", "before");
    add_from(&g, "/layer.0", op, in, "shared");
    add_from(&g, "/layer.0", "Add", "x,shared", "a");
    add_from(&g, "/layer.1", "Add", "a,shared", "b");
    add_output(&g, "b");
    return inferred(f, &g);
}

static void what_is_shared_moves_out_with_what_it_needs(void **state) {
    Fixture *f = *state;
    Model *m = sharing(f, "Exp", "before");
    after(f, m, HOIST);
    assert_order(f, m, ":before :shared layer.0:a layer.1:b");
}

static void what_reads_parameters_of_the_part_stays(void **state) {
    Fixture *f = *state;
    Model *m = sharing(f, "Mul", "before,layer.0.w");
    after(f, m, HOIST);
    assert_order(f, m, "layer.0:before layer.0:shared layer.0:a layer.1:b");
}

static void what_draws_random_numbers_stays(void **state) {
    Fixture *f = *state;
    Model *m = sharing(f, "RandomNormalLike", "before");
    after(f, m, HOIST);
    assert_order(f, m, "layer.0:before layer.0:shared layer.0:a layer.1:b");
}

/* What only others read is the result that the part is there for. */
static void results_stay(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_from(&g, "/layer.0", "Neg", "x", "a");
    add_from(&g, "/layer.1", "Exp", "a", "b");
    add_from(&g, "/layer.2", "Add", "a,b", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    after(f, m, HOIST);
    assert_order(f, m, "layer.0:a layer.1:b layer.2:y");
}

static void nodes_without_a_name_belong_to_their_readers(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_from(&g, "", "Neg", "x", "a");
    add_from(&g, "/e/f", "Exp", "a", "b");
    add_from(&g, "", "Neg", "b", "c");
    add_from(&g, "/e/f", "Exp", "c", "d");
    add_from(&g, "/e/h", "Add", "c,d", "e");
    add_from(&g, "", "Neg", "e", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    after(f, m, HOIST);
    assert_order(f, m, "e.f:a e.f:b e:c e.f:d e.h:e :y");
}

/* ---- gather ------------------------------------------------------------------------ */

static void what_lies_between_goes_before_or_after(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_from(&g, "/m", "Neg", "x", "a");
    add_from(&g, "/o", "Exp", "x", "free");
    add_from(&g, "/p", "Exp", "a", "needs");
    add_from(&g, "/o", "Exp", "free", "free2");
    add_from(&g, "/p", "Exp", "needs", "needs2");
    add_from(&g, "/m", "Add", "a,free2", "b");
    add_from(&g, "/q", "Add", "b,needs2", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, GATHER);
    assert_order(f, m, "o:free o:free2 m:a m:b p:needs p:needs2 q:y");
    assert_true(part_at(p, "m")->whole);
    assert_int_equal(part_at(p, "m")->at, 2);
    for (uint32_t i = 0; i < m->graph->n_nodes; i++)
        assert_int_equal(m->graph->nodes[i]->order, i);
}

static void what_leaves_and_comes_back_keeps_its_order(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_from(&g, "/m", "Neg", "x", "a");
    add_from(&g, "/o", "Exp", "a", "out");
    add_from(&g, "/m", "Add", "a,out", "b");
    add_from(&g, "/q", "Exp", "b", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, GATHER);
    assert_order(f, m, "m:a o:out m:b q:y");
    assert_false(part_at(p, "m")->whole);
    assert_true(part_at(p, "o")->whole);
}

static void a_part_inside_is_gathered_within_the_one_around(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_from(&g, "/m/i", "Neg", "x", "a");
    add_from(&g, "/m", "Exp", "x", "c");
    add_from(&g, "/o", "Exp", "x", "free");
    add_from(&g, "/m/i", "Neg", "a", "b");
    add_from(&g, "/m", "Sum", "b,c,free", "d");
    add_from(&g, "/o", "Neg", "d", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, GATHER);
    assert_order(f, m, "o:free m:c m.i:a m.i:b m:d o:y");
    assert_true(part_at(p, "m")->whole && part_at(p, "m.i")->whole);
    assert_int_equal(part_at(p, "m")->last - part_at(p, "m")->first, 4);
    assert_false(part_at(p, "o")->whole);
}

/* ---- the same ---------------------------------------------------------------------- */

/* y = op(op2(in)) in each of two modules. */
typedef struct Pair {
    const char *op[2], *in[2], *attr;
    int64_t value[2]; /* of the attribute of the second operator */
} Pair;

static bool pair_is_same(Fixture *f, Pair pair, bool *hashes) {
    static const char *const modules[] = {"/m.0", "/m.1"}, *const mids[] = {"a0", "a1"},
                             *const outs[] = {"b0", "b1"};
    Text g = graph_text(f);
    add_input(&g, "x", "2,2");
    add_input(&g, "z", "2,2");
    add_floats(&g, "m.0.w", (float[]){1, 2}, 2);
    add_floats(&g, "m.1.w", (float[]){3, 4}, 2);
    add_floats(&g, "m.1.v", (float[]){5, 6}, 2);
    add_floats(&g, "other", (float[]){7, 8}, 2);
    add_floats(&g, "m.1.one", (float[]){9}, 1);
    for (int i = 0; i < 2; i++) {
        Str attr = pair.attr ? int_attr(&f->arena, pair.attr, pair.value[i]) : (Str){0};
        add_with(&g, modules[i], pair.op[i], pair.in[i], mids[i], (Str){0});
        add_with(&g, modules[i], pair.attr ? "Softmax" : "Exp", mids[i], outs[i], attr);
        add_output(&g, outs[i]);
    }
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, GATHER);
    Same *s = same_new(&f->arena, m);
    const Part *a = part_at(p, "m.0"), *b = part_at(p, "m.1");
    *hashes = same_hash(s, a) == same_hash(s, b);
    return same_parts(s, a, b);
}

static void check_pair(Fixture *f, Pair pair, bool hash, bool same) {
    bool hashes;
    assert_int_equal(pair_is_same(f, pair, &hashes), same);
    assert_int_equal(hashes, hash);
}

static void arguments_and_own_weights_may_differ(void **state) {
    check_pair(*state, (Pair){.op = {"Mul", "Mul"}, .in = {"x,m.0.w", "z,m.1.w"}}, true,
               true);
}

static void an_input_that_is_read_twice_is_another_wiring(void **state) {
    check_pair(*state, (Pair){.op = {"Mul", "Mul"}, .in = {"x,z", "x,x"}}, false,
               false);
}

static void own_weights_have_one_name(void **state) {
    check_pair(*state, (Pair){.op = {"Mul", "Mul"}, .in = {"x,m.0.w", "x,m.1.v"}},
               false, false);
}

static void a_weight_from_elsewhere_is_an_argument(void **state) {
    check_pair(*state, (Pair){.op = {"Mul", "Mul"}, .in = {"x,m.0.w", "x,other"}},
               false, false);
}

static void operators_are_the_same(void **state) {
    check_pair(*state, (Pair){.op = {"Mul", "Add"}, .in = {"x,z", "x,z"}}, false,
               false);
}

/* Others make another kind of the family. */
static void attributes_are_of_a_kind(void **state) {
    Pair pair = {{"Mul", "Mul"}, {"x,z", "x,z"}, "axis", {0, 1}};
    check_pair(*state, pair, true, false);
    pair.value[0] = 1;
    check_pair(*state, pair, true, true);
}

/* One family, two kinds. */
static void types_are_the_same(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_input(&g, "z", "3");
    add_from(&g, "/m.0", "Neg", "x", "a");
    add_from(&g, "/m.1", "Neg", "z", "b");
    add_from(&g, "/m.2", "Neg", "x", "c");
    add_output(&g, "a");
    add_output(&g, "b");
    add_output(&g, "c");
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, GATHER);
    Same *s = same_new(&f->arena, m);
    const Part *a = part_at(p, "m.0"), *b = part_at(p, "m.1"), *c = part_at(p, "m.2");
    assert_true(same_hash(s, a) == same_hash(s, b));
    assert_false(same_parts(s, a, b));
    assert_true(same_parts(s, a, c));
}

/* In the order of first use; what the part makes itself is none. */
static void arguments_come_in_the_order_of_use(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_input(&g, "z", "2");
    add_floats(&g, "m.w", (float[]){1, 2}, 2);
    add_from(&g, "/m", "Mul", "z,m.w", "a");
    add_from(&g, "/m", "Add", "a,x", "b");
    add_from(&g, "/m", "Add", "b,z", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Parts *p = after(f, m, GATHER);
    size_t n;
    Value **args = same_args(same_new(&f->arena, m), part_at(p, "m"), &n);
    assert_int_equal(n, 2);
    assert_ptr_equal(args[0], value_of(m, "z"));
    assert_ptr_equal(args[1], value_of(m, "x"));
}

static void keys_are_relative_to_the_part(void **state) {
    Fixture *f = *state;
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    add_floats(&g, "m.w", (float[]){1, 2}, 2);
    add_floats(&g, "mm.w", (float[]){3, 4}, 2);
    add_from(&g, "/m", "Mul", "x,m.w", "a");
    add_from(&g, "/m", "Mul", "a,mm.w", "y");
    add_output(&g, "y");
    Model *m = inferred(f, &g);
    Part again = {.path = STR("m@1")};
    const Part *part = part_at(after(f, m, GATHER), "m");
    assert_true(str_is(block_relative_key(part, value_of(m, "m.w")), "w"));
    assert_true(str_is(block_relative_key(&again, value_of(m, "m.w")), "w"));
    assert_int_equal(block_relative_key(part, value_of(m, "mm.w")).n, 0);
}

/* ---- what repeats ------------------------------------------------------------------ */

/* `rounds` rounds of the operators in front of `tail` more; one more node at the top. */
static Model *repeated(Fixture *f, const char *const *ops, int n, int rounds,
                       const char *head) {
    Text g = graph_text(f);
    add_input(&g, "x", "2");
    char in[32] = "x", out[32], read[64], key[32];
    if (head) {
        add_node(&g, head, "x", "head", NULL);
        snprintf(in, sizeof in, "head");
    }
    for (int i = 0; i < rounds; i++) {
        snprintf(key, sizeof key, "h.%d.w", i);
        add_floats(&g, key, (float[]){1, 2}, 2);
        for (int k = 0; k < n; k++) {
            bool weighs = strcmp(ops[k], "Mul") == 0;
            snprintf(out, sizeof out, "v%d_%d", i, k);
            snprintf(read, sizeof read, weighs ? "%s,%s" : "%s", in, key);
            add_node(&g, ops[k], read, out, NULL);
            memcpy(in, out, sizeof in);
        }
    }
    add_output(&g, in);
    return inferred(f, &g);
}

static Parts *guessed(Fixture *f, Model *m) {
    Parts *p = after(f, m, FIND);
    assert_true(p->none);
    parts_guess(m, p);
    return p;
}

static void rounds_become_parts_named_for_their_weights(void **state) {
    Fixture *f = *state;
    static const char *const ops[] = {"Mul", "Relu", "Exp"};
    Model *m = repeated(f, ops, 3, 5, "Neg");
    Parts *p = guessed(f, m);
    assert_int_equal(p->count, 6);
    assert_order(f, m,
                 ":head h.0:v0_0 h.0:v0_1 h.0:v0_2 h.1:v1_0 h.1:v1_1 h.1:v1_2 "
                 "h.2:v2_0 h.2:v2_1 h.2:v2_2 h.3:v3_0 h.3:v3_1 h.3:v3_2 "
                 "h.4:v4_0 h.4:v4_1 h.4:v4_2");
}

static void rounds_without_weights_are_numbered(void **state) {
    Fixture *f = *state;
    static const char *const ops[] = {"Neg", "Relu", "Exp", "Tanh"};
    Parts *p = guessed(f, repeated(f, ops, 4, 4, NULL));
    assert_int_equal(p->count, 5);
    assert_true(str_is(p->items[4]->path, "block.3"));
}

static void rounds_of_two_nodes_stay_where_they_are(void **state) {
    Fixture *f = *state;
    static const char *const ops[] = {"Mul", "Relu"};
    Model *m = repeated(f, ops, 2, 6, NULL);
    assert_int_equal(guessed(f, m)->count, 1);
    assert_ptr_equal(m->graph->nodes[0]->part->parent, NULL);
}

static void two_like_nodes_apart_are_no_round(void **state) {
    Fixture *f = *state;
    static const char *const ops[] = {"Mul",  "Relu", "Exp", "Neg",
                                      "Tanh", "Abs",  "Cos"};
    assert_int_equal(guessed(f, repeated(f, ops, 7, 1, NULL))->count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_ARENA(names_say_the_tree),
        IN_ARENA(a_graph_may_not_say_it),
        IN_ARENA(what_is_too_deep_is_part_of_the_module_around),
        IN_ARENA(the_innermost_part_in_common),
        IN_ARENA(what_is_shared_moves_out_with_what_it_needs),
        IN_ARENA(what_reads_parameters_of_the_part_stays),
        IN_ARENA(what_draws_random_numbers_stays),
        IN_ARENA(results_stay),
        IN_ARENA(nodes_without_a_name_belong_to_their_readers),
        IN_ARENA(what_lies_between_goes_before_or_after),
        IN_ARENA(what_leaves_and_comes_back_keeps_its_order),
        IN_ARENA(a_part_inside_is_gathered_within_the_one_around),
        IN_ARENA(arguments_and_own_weights_may_differ),
        IN_ARENA(an_input_that_is_read_twice_is_another_wiring),
        IN_ARENA(own_weights_have_one_name),
        IN_ARENA(a_weight_from_elsewhere_is_an_argument),
        IN_ARENA(operators_are_the_same),
        IN_ARENA(attributes_are_of_a_kind),
        IN_ARENA(types_are_the_same),
        IN_ARENA(arguments_come_in_the_order_of_use),
        IN_ARENA(keys_are_relative_to_the_part),
        IN_ARENA(rounds_become_parts_named_for_their_weights),
        IN_ARENA(rounds_without_weights_are_numbered),
        IN_ARENA(rounds_of_two_nodes_stay_where_they_are),
        IN_ARENA(two_like_nodes_apart_are_no_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
