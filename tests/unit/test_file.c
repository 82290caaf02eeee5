/* Reading and writing files: what may be opened beside a model, and that an output
 * file is there whole or not at all.  What one kind of system alone has is in
 * test_file_posix.c and test_file_windows.c. */
#define _DEFAULT_SOURCE /* getpid */
#include "support/file_system.h"

#include "files.h"

/* --- input ---------------------------------------------------------------------- */

static void a_file_is_mapped(void **state) {
    (void)state;
    put("a", "hello");
    FileMap m;
    assert_true(file_map(&m, "a"));
    assert_true(m.mapped && m.fd >= 0);
    assert_true(str_is(m.bytes, "hello"));
    file_unmap(&m);
    file_unmap(&m); /* twice is fine */
    file_unmap(&(FileMap){0});
}

static void an_empty_file_has_no_bytes(void **state) {
    (void)state;
    put("a", "");
    FileMap m;
    assert_true(file_map(&m, "a"));
    assert_int_equal(m.bytes.n, 0);
    assert_non_null(m.bytes.p);
    file_unmap(&m);
}

static void what_cannot_be_read_sets_errno(void **state) {
    (void)state;
    FileMap m;
    assert_false(file_map(&m, "missing"));
    assert_int_equal(errno, ENOENT);
    assert_false(file_map(&m, "."));
    assert_int_equal(errno, EISDIR);
    assert_null(m.bytes.p);
    file_unmap(&m);
}

/* --- beside the model ----------------------------------------------------------- */

static void make_model_folder(void) {
    assert_int_equal(make_folder("m") | make_folder("m/sub") | make_folder("out"), 0);
    put("m/w.bin", "weights");
    put("m/sub/w.bin", "nested");
    put("out/secret", "secret");
}

static void files_of_the_folder_open(void **state) {
    make_model_folder();
    char absolute[1100];
    snprintf(absolute, sizeof absolute, "%s/m/model.onnx", (char *)*state);
    const struct {
        const char *model, *location, *content;
    } cases[] = {
        {"m/model.onnx", "w.bin", "weights"},
        {"m/model.onnx", "./w.bin", "weights"},
        {"m/model.onnx", "sub/w.bin", "nested"},
        {"m/model.onnx", "sub//w.bin", "nested"},
        {"m/../m/model.onnx", "w.bin", "weights"},
        {absolute, "w.bin", "weights"},
        {"model.onnx", "m/w.bin", "weights"},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        FileMap m;
        const char *why;
        assert_true(
            file_map_beside(&m, cases[i].model, str_from(cases[i].location), &why));
        assert_true(str_is(m.bytes, cases[i].content));
        file_unmap(&m);
    }
}

static void nothing_else_opens(void **state) {
    (void)state;
    make_model_folder();
    static const struct {
        Str location;
        const char *why;
    } cases[] = {
        {{"", 0}, "its path is empty"},
        {{"/etc/passwd", 11}, "its path is absolute"},
        {{"../out/secret", 13}, "its path holds \"..\""},
        {{"sub/../../out/secret", 20}, "its path holds \"..\""},
        {{"sub/..", 6}, "its path holds \"..\""},
        {{"w.bin\0x", 7}, "its path holds a NUL byte"},
        {{"missing", 7}, "there is no such file"},
        {{"w.bin/x", 7}, "there is no such file"},
        {{"sub", 3}, "it is no regular file"},
        {{".", 1}, "it is no regular file"},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        FileMap m;
        const char *why = NULL;
        assert_false(file_map_beside(&m, "m/model.onnx", cases[i].location, &why));
        assert_string_equal(why, cases[i].why);
        assert_null(m.bytes.p);
    }
    FileMap m;
    const char *why;
    assert_false(file_map_beside(&m, "-", STR("m/w.bin"), &why));
    assert_string_equal(why, "the model comes from standard input");
}

/* --- the names of mapped files -------------------------------------------------- */

static void assert_relative(const char *folder, const char *file, const char *path) {
    Arena arena;
    arena_init(&arena, NULL);
    Text t = {.arena = &arena};
    assert_true(file_relative(&t, str_from(folder), str_from(file)));
    assert_string_equal(text_view(&t).p, path);
    arena_free(&arena);
}

static void what_lies_in_a_folder_begins_with_its_path(void **state) {
    (void)state;
    assert_true(file_is_inside("/a", "/a/b"));
    assert_true(file_is_inside("/", "/a"));
    assert_true(file_is_inside("C:/", "C:/a"));
    assert_false(file_is_inside("/a", "/ab"));
    assert_false(file_is_inside("/a/b", "/a"));
    assert_false(file_is_inside("/a", "/a"));
}

static void paths_lead_from_a_folder_to_a_file(void **state) {
    (void)state;
    assert_relative("/a/b", "/a/b/m.onnx", "m.onnx");
    assert_relative("/a/b", "/a/b/c/m.onnx", "c/m.onnx");
    assert_relative("/a/b", "/a/m.onnx", "../m.onnx");
    assert_relative("/a/b", "/m.onnx", "../../m.onnx");
    assert_relative("/a/b/c", "/a/bc/m.onnx", "../../bc/m.onnx");
    assert_relative("/a/bc", "/a/b/m.onnx", "../b/m.onnx");
    assert_relative("/a/m.onnx", "/a/m.onnx.d/w", "../m.onnx.d/w");
    assert_relative("/a", "/b/m.onnx", "../b/m.onnx");
    assert_relative("/", "/m.onnx", "m.onnx");
    assert_relative("/", "/a/m.onnx", "a/m.onnx");
}

/* --- output --------------------------------------------------------------------- */

static void output_appears_on_commit(void **state) {
    (void)state;
    put("a", "old");
    OutFile out;
    assert_true(out_open(&out, "a"));
    assert_true(out_write(&out, "new ", 4));
    assert_true(out_write(&out, "text", 4));
    assert_content("a", "old");
    assert_int_equal(out.size, 8);
    assert_true(out_commit(&out));
    assert_content("a", "new text");
    assert_int_equal(file_count(), 1);
    out_abort(&out); /* harmless after commit */
    assert_content("a", "new text");
}

static void aborted_output_leaves_nothing(void **state) {
    (void)state;
    OutFile out;
    assert_true(out_open(&out, "a"));
    assert_true(out_write(&out, "text", 4));
    out_abort(&out);
    assert_int_equal(file_count(), 0);
}

static void a_missing_folder_is_an_error(void **state) {
    (void)state;
    OutFile out;
    assert_false(out_open(&out, "none/a"));
    assert_int_equal(out.error, ENOENT);
    assert_false(out_write(&out, "x", 1));
    assert_false(out_commit(&out));
    assert_int_equal(out.error, ENOENT);
    assert_int_equal(make_folder("d"), 0);
    assert_false(out_open(&out, "d"));
    assert_int_equal(out.error, EISDIR);
    out_abort(&out);
}

static void check_copy(const FileMap *src) {
    OutFile out;
    assert_true(out_open(&out, "copy"));
    assert_true(out_write(&out, "head", 4));
    assert_true(out_copy(&out, src, 1000, 5));
    assert_true(out_copy(&out, src, 3, src->bytes.n - 3));
    assert_true(out_copy(&out, src, src->bytes.n, 0));
    assert_true(out_write(&out, "tail", 4));
    assert_int_equal(out.size, 13 + src->bytes.n - 3);
    assert_true(out_commit(&out));
    FileMap copy;
    assert_true(file_map(&copy, "copy"));
    size_t n = src->bytes.n - 3;
    assert_int_equal(copy.bytes.n, 13 + n);
    assert_memory_equal(copy.bytes.p, "head", 4);
    assert_memory_equal(copy.bytes.p + 4, src->bytes.p + 1000, 5);
    assert_memory_equal(copy.bytes.p + 9, src->bytes.p + 3, n);
    assert_memory_equal(copy.bytes.p + 9 + n, "tail", 4);
    file_unmap(&copy);
}

static void copies_equal_their_source(void **state) {
    (void)state;
    FILE *f = fopen("src", "wb");
    assert_non_null(f);
    for (int i = 0; i < 100000; i++)
        fprintf(f, "%d,", i);
    fclose(f);
    FileMap src;
    assert_true(file_map(&src, "src"));
    check_copy(&src);
    check_copy(&(FileMap){src.bytes, -1, false}); /* from memory alone */
    file_unmap(&src);
}

static void copies_are_bounded_by_their_source(void **state) {
    (void)state;
    put("src", "12345");
    FileMap src;
    assert_true(file_map(&src, "src"));
    OutFile out;
    assert_true(out_open(&out, "copy"));
    assert_false(out_copy(&out, &src, 3, 3));
    assert_int_equal(out.error, EINVAL);
    assert_false(out_commit(&out));
    assert_true(out_open(&out, "copy"));
    assert_false(out_copy(&out, &src, UINT64_MAX, 2));
    assert_false(out_commit(&out));
    file_unmap(&src);
    assert_int_equal(file_count(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_file_is_mapped),
        IN_FOLDER(an_empty_file_has_no_bytes),
        IN_FOLDER(what_cannot_be_read_sets_errno),
        IN_FOLDER(files_of_the_folder_open),
        IN_FOLDER(nothing_else_opens),
        IN_FOLDER(what_lies_in_a_folder_begins_with_its_path),
        IN_FOLDER(paths_lead_from_a_folder_to_a_file),
        IN_FOLDER(output_appears_on_commit),
        IN_FOLDER(aborted_output_leaves_nothing),
        IN_FOLDER(a_missing_folder_is_an_error),
        IN_FOLDER(copies_equal_their_source),
        IN_FOLDER(copies_are_bounded_by_their_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
