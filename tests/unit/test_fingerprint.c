/* What the fingerprint of a model counts and what it leaves out, and the search for the
 * nearest name. */
#include "onnx/fingerprint.h"

#include "pb.h"
#include "support/nearest.h"

/* One node and one weight of `floats` elements, each of them `fill`. */
typedef struct Parts {
    int64_t floats;
    char fill;
    const char *node_name, *stack_trace;
    bool weight_first; /* in the file */
} Parts;

static void put_weight(Fixture *f, Text *graph, const Parts *p) {
    Text t = tensor_of(&f->arena, DT_FLOAT, p->floats);
    Text data = {.arena = &f->arena};
    for (int64_t i = 0; i < 4 * p->floats; i++)
        text_char(&data, p->fill);
    put_bytes(&t, 9, text_view(&data));
    put_bytes(graph, 5, text_view(&t));
}

static void put_node(Fixture *f, Text *graph, const Parts *p) {
    Text n = {.arena = &f->arena};
    put_str(&n, 1, "x");
    put_str(&n, 2, "y");
    put_str(&n, 3, p->node_name);
    put_str(&n, 4, "Relu");
    put_entry(&n, 9, "stack_trace", p->stack_trace);
    put_bytes(graph, 1, text_view(&n));
}

static const char *fingerprint(Fixture *f, Parts p) {
    Text graph = {.arena = &f->arena};
    if (p.weight_first)
        put_weight(f, &graph, &p);
    put_node(f, &graph, &p);
    if (!p.weight_first)
        put_weight(f, &graph, &p);
    Str bytes = model_around(&f->arena, text_view(&graph));
    Str hex = model_fingerprint(&f->arena, parse_ok(f, bytes));
    assert_int_equal(hex.n, FINGERPRINT_DIGITS);
    return hex.p;
}

static const Parts base = {64, 'a', "relu", "File a.py, line 1", false};

static void weights_do_not_count(void **state) {
    Fixture *f = *state;
    for (int first = 0; first < 2; first++) {
        Parts one = base, other = base;
        one.weight_first = other.weight_first = first;
        other.fill = 'b';
        assert_string_equal(fingerprint(f, one), fingerprint(f, other));
    }
}

static void small_tensors_count(void **state) {
    Fixture *f = *state;
    Parts one = base, other = base;
    one.floats = other.floats = 63;
    other.fill = 'b';
    assert_string_not_equal(fingerprint(f, one), fingerprint(f, other));
}

static void stack_traces_do_not_count(void **state) {
    Fixture *f = *state;
    Parts other = base;
    other.stack_trace = "File b.py, line 2";
    assert_string_equal(fingerprint(f, base), fingerprint(f, other));
}

static void the_graph_counts(void **state) {
    Fixture *f = *state;
    Parts named = base, shaped = base;
    named.node_name = "relv";
    shaped.floats = 512;
    assert_string_equal(fingerprint(f, base), fingerprint(f, base));
    assert_string_not_equal(fingerprint(f, base), fingerprint(f, named));
    assert_string_not_equal(fingerprint(f, base), fingerprint(f, shaped));
}

/* ---- nearest names ----------------------------------------------------------------- */

static void edits_are_counted(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"kitten", "sitting", 3},
        {"abcd", "abdc", 1},
        {"Softmax", "softmax", 0},
        {"output", "ouput", 1},
    };
    for (size_t i = 0; i < OX_COUNT(rows); i++) {
        Str a = str_from(rows[i].a), b = str_from(rows[i].b);
        assert_int_equal(str_distance(a, b), rows[i].distance);
        assert_int_equal(str_distance(b, a), rows[i].distance);
    }
}

static Str nearest_of(const char *wanted, const char *const *names, size_t n) {
    Nearest nearest = {.wanted = str_from(wanted)};
    for (size_t i = 0; i < n; i++)
        nearest_offer(&nearest, str_from(names[i]));
    return nearest.best;
}

static void the_nearest_is_a_slip_away(void **state) {
    (void)state;
    static const char *const names[] = {"",      "output", "outputs",
                                        "shape", "a",      "params"};
    size_t n = OX_COUNT(names);
    assert_true(str_is(nearest_of("ouput", names, n), "output"));
    assert_true(str_is(nearest_of("outputz", names, n), "output"));
    assert_true(str_is(nearest_of("shpae", names, n), "shape"));
    assert_int_equal(nearest_of("b", names, n).n, 0);
    assert_int_equal(nearest_of("zebra", names, n).n, 0);
    assert_int_equal(nearest_of("", names, n).n, 0);
}

static void long_names_are_left_alone(void **state) {
    (void)state;
    char name[200];
    memset(name, 'x', sizeof name);
    Nearest nearest = {.wanted = {name, sizeof name}};
    nearest_offer(&nearest, (Str){name, sizeof name - 1});
    assert_int_equal(nearest.best.n, 0);
}

#define WITH_FIXTURE(test)                                                             \
    cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(weights_do_not_count),
        WITH_FIXTURE(small_tensors_count),
        WITH_FIXTURE(stack_traces_do_not_count),
        WITH_FIXTURE(the_graph_counts),
        cmocka_unit_test(edits_are_counted),
        cmocka_unit_test(the_nearest_is_a_slip_away),
        cmocka_unit_test(long_names_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
