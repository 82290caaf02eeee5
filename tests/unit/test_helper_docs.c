/* Docstrings of helpers, without what they say of one parameter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "emit/gen.h"

static const char *cut(Arena *a, const char *text, const char *name, bool details) {
    Stmt doc = {.kind = ST_DOC, .text = str_from(text)};
    if (!gen_cut_from_doc(a, &doc, str_from(name), details))
        return "stays";
    return arena_printf(a, "%.*s", (int)doc.text.n, doc.text.p).p;
}

static void check(const char *text, const char *name, const char *expected) {
    Arena a;
    arena_init(&a, NULL);
    assert_string_equal(cut(&a, text, name, false), expected);
    arena_free(&a);
}

static void test_clauses(void **state) {
    (void)state;
    const char *text = "Convolution of x (N, C) with w (C / groups, M), plus b (M,).";
    check(text, "b", "Convolution of x (N, C) with w (C / groups, M).");
    check(text, "groups", "Convolution of x (N, C) with w (C, M), plus b (M,).");
    check(text, "stride", text);
    check("Means over the last dimension, or from axis on, and scales.", "axis",
          "Means over the last dimension, and scales.");
    check("Gates are two: w (H,), b (H,).", "b", "Gates are two: w (H,).");
    check("Sum; `exclusive` leaves out the element.", "exclusive", "Sum.");
}

static void test_sentences(void **state) {
    (void)state;
    const char *text =
        "Pools x.\n\nstride, padding and size may differ by axis.  fill is "
        "outside.\n";
    check(text, "fill", "Pools x.\n\nstride, padding and size may differ by axis.\n");
    check(text, "padding",
          "Pools x.\n\nstride and size may differ by axis.  fill is outside.\n");
    check(text, "size",
          "Pools x.\n\nstride and padding may differ by axis.  fill is outside.\n");
    check("Pools x.\n\nfill is outside.\n", "fill", "Pools x.");
    check("Moves (x, y. or z).\n\nbase (a.b) is there.  end is not.\n", "end",
          "Moves (x, y. or z).\n\nbase (a.b) is there.\n");
}

/* The first clause of the first sentence says what the function does. */
static void test_what_stays(void **state) {
    (void)state;
    check("x / scale + zero as integers.", "zero", "stays");
    check("Bias: 0 where i - left <= j, -inf elsewhere.", "left", "stays");
    check("The bodies are b_1 and ab.", "b", "The bodies are b_1 and ab.");
}

static void test_details_alone(void **state) {
    (void)state;
    Arena a;
    arena_init(&a, NULL);
    const char *text = "Pads x, by padding.\n\npadding may be \"SAME\".\n";
    assert_string_equal(cut(&a, text, "padding", true), "Pads x, by padding.");
    arena_free(&a);
}

/* What was one paragraph on several lines is wrapped anew. */
static void test_lines(void **state) {
    (void)state;
    check(
        "Adds.\n\none is a word that is long enough to stand here.  other is a word.\n"
        "third is the last of these words, and this line is longer than the others.\n",
        "other",
        "Adds.\n\none is a word that is long enough to stand here.  third is the last "
        "of "
        "these words,\nand this line is longer than the others.\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clauses),    cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_what_stays), cmocka_unit_test(test_details_alone),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
