/* Reading and writing files: what may be opened beside a model, and that an output
 * file is there whole or not at all. */
#define _GNU_SOURCE
#include "support/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test works in a folder of its own, and in that folder. */
static int enter_folder(void **state) {
    char *folder = strdup("/tmp/oxide_file_XXXXXX");
    *state = folder;
    return !folder || !mkdtemp(folder) || chdir(folder) != 0;
}

static int leave_folder(void **state) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", (char *)*state);
    int rc = chdir("/tmp") | system(command);
    free(*state);
    return rc;
}

static void put(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_content(const char *path, const char *text) {
    FileMap m;
    assert_true(file_map(&m, path));
    assert_true(str_is(m.bytes, text));
    file_unmap(&m);
}

/* Files in the working folder, to see that nothing is left behind. */
static int file_count(void) {
    FILE *p = popen("ls -A | wc -l", "r");
    int n = -1;
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

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

static void a_pipe_is_read_to_its_end(void **state) {
    (void)state;
    enum { SIZE = 300000 };
    int saved = dup(STDIN_FILENO), ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < SIZE / 10; i++)
            if (write(ends[1], "0123456789", 10) != 10)
                _exit(1);
        _exit(0);
    }
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    FileMap m;
    bool ok = file_map(&m, "-");
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_true(ok);
    assert_int_equal(m.bytes.n, SIZE);
    assert_int_equal(m.bytes.p[SIZE - 1], '9');
    assert_int_equal(m.fd, -1);
    file_unmap(&m);
}

/* --- beside the model ----------------------------------------------------------- */

static void make_model_folder(void) {
    assert_int_equal(mkdir("m", 0777) | mkdir("m/sub", 0777) | mkdir("out", 0777), 0);
    put("m/w.bin", "weights");
    put("m/sub/w.bin", "nested");
    put("out/secret", "secret");
    put("m-secret", "secret");
    assert_int_equal(symlink("../out/secret", "m/link"), 0);
    assert_int_equal(symlink("../out", "m/folder"), 0);
    assert_int_equal(symlink("../m-secret", "m/prefix"), 0);
    assert_int_equal(symlink("sub/w.bin", "m/inner"), 0);
    assert_int_equal(symlink("loop", "m/loop"), 0);
    assert_int_equal(mkfifo("m/fifo", 0666), 0);
}

static void files_of_the_folder_open(void **state) {
    make_model_folder();
    char absolute[100];
    snprintf(absolute, sizeof absolute, "%s/m/model.onnx", (char *)*state);
    const struct {
        const char *model, *location, *content;
    } cases[] = {
        {"m/model.onnx", "w.bin", "weights"},
        {"m/model.onnx", "./w.bin", "weights"},
        {"m/model.onnx", "sub/w.bin", "nested"},
        {"m/model.onnx", "sub//w.bin", "nested"},
        {"m/model.onnx", "inner", "nested"}, /* a link that stays inside */
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
        {{"link", 4}, "it is reached through a link that leaves the model's folder"},
        {{"folder/secret", 13},
         "it is reached through a link that leaves the model's folder"},
        {{"prefix", 6}, "it is reached through a link that leaves the model's folder"},
        {{"loop", 4}, "its path goes through a link that changed or does not end"},
        {{"missing", 7}, "there is no such file"},
        {{"w.bin/x", 7}, "there is no such file"},
        {{"sub", 3}, "it is no regular file"},
        {{".", 1}, "it is no regular file"},
        {{"fifo", 4}, "it is no regular file"},
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
    file_relative(&t, str_from(folder), str_from(file));
    assert_string_equal(text_view(&t).p, path);
    arena_free(&arena);
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

static void a_mapped_file_is_found_again(void **state) {
    (void)state;
    char expected[64];
    snprintf(expected, sizeof expected, "%s/real", (char *)*state);
    put("real", "here");
    assert_int_equal(symlink("real", "link"), 0);
    FileMap m;
    assert_true(file_map(&m, "link"));
    assert_true(file_is(&m, "real"));
    assert_false(file_is(&m, "nowhere"));
    char *path = file_real_beside(&m, "model.onnx", STR("link"));
    assert_string_equal(path, expected);
    free(path);
    put("other", "here");
    assert_int_equal(rename("other", "real"), 0);
    assert_false(file_is(&m, "real"));
    assert_null(file_real_beside(&m, "model.onnx", STR("link")));
    assert_int_equal(errno, ESTALE);
    file_unmap(&m);
}

static void output_ends_in_the_folder_of_its_link(void **state) {
    (void)state;
    char expected[64];
    snprintf(expected, sizeof expected, "%s/sub", (char *)*state);
    assert_int_equal(mkdir("sub", 0700), 0);
    put("sub/file", "");
    assert_int_equal(symlink("sub/file", "link"), 0);
    const char *const paths[] = {"sub/new", "sub/file", "link"};
    for (size_t i = 0; i < OX_COUNT(paths); i++) {
        char *folder = file_out_folder(paths[i]);
        assert_string_equal(folder, expected);
        free(folder);
    }
    assert_null(file_out_folder("nowhere/new"));
    assert_int_equal(errno, ENOENT);
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
    assert_int_equal(mkdir("d", 0777), 0);
    assert_false(out_open(&out, "d"));
    assert_int_equal(out.error, EISDIR);
    out_abort(&out);
}

static void a_link_stays_a_link(void **state) {
    (void)state;
    put("target", "old");
    assert_int_equal(chmod("target", 0640) | symlink("target", "link"), 0);
    OutFile out;
    assert_true(out_open(&out, "link"));
    assert_true(out_write(&out, "new", 3));
    assert_true(out_commit(&out));
    assert_content("target", "new");
    struct stat st;
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat("target", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_full_device_is_an_error(void **state) {
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    OutFile out;
    assert_true(out_open(&out, "/dev/full"));
    assert_true(out_write(&out, "x", 1)); /* still in the buffer */
    assert_false(out_commit(&out));
    assert_int_equal(out.error, ENOSPC);
}

/* A limit on the file size stands in for a full disk: the write comes back short, and
 * the next one fails. */
static void a_disk_that_fills_up_leaves_the_old_file(void **state) {
    (void)state;
    enum { SIZE = 1 << 20 };
    put("a", "old");
    char *data = calloc(1, SIZE);
    struct rlimit old, small = {SIZE / 2, RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    OutFile out;
    bool opened = out_open(&out, "a");
    bool wrote = out_write(&out, data, SIZE);
    bool committed = out_commit(&out);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    free(data);
    assert_true(opened && !wrote && !committed);
    assert_int_equal(out.error, EFBIG);
    assert_content("a", "old");
    assert_int_equal(file_count(), 1);
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

/* Small copies go through memory, large ones through the kernel. */
static void a_source_that_shrank_is_an_error(void **state) {
    (void)state;
    const size_t sizes[] = {10000, 1 << 20};
    for (size_t i = 0; i < OX_COUNT(sizes); i++) {
        put("src", "");
        assert_int_equal(truncate("src", (off_t)sizes[i]), 0);
        FileMap src;
        assert_true(file_map(&src, "src"));
        assert_int_equal(truncate("src", 100), 0);
        OutFile out;
        assert_true(out_open(&out, "copy"));
        assert_false(out_copy(&out, &src, 0, sizes[i]));
        assert_false(out_commit(&out));
        file_unmap(&src);
        assert_int_equal(file_count(), 1);
    }
}

#define IN_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_file_is_mapped),
        IN_FOLDER(an_empty_file_has_no_bytes),
        IN_FOLDER(what_cannot_be_read_sets_errno),
        IN_FOLDER(a_pipe_is_read_to_its_end),
        IN_FOLDER(files_of_the_folder_open),
        IN_FOLDER(nothing_else_opens),
        IN_FOLDER(paths_lead_from_a_folder_to_a_file),
        IN_FOLDER(a_mapped_file_is_found_again),
        IN_FOLDER(output_ends_in_the_folder_of_its_link),
        IN_FOLDER(output_appears_on_commit),
        IN_FOLDER(aborted_output_leaves_nothing),
        IN_FOLDER(a_missing_folder_is_an_error),
        IN_FOLDER(a_link_stays_a_link),
        IN_FOLDER(a_full_device_is_an_error),
        IN_FOLDER(a_disk_that_fills_up_leaves_the_old_file),
        IN_FOLDER(copies_equal_their_source),
        IN_FOLDER(copies_are_bounded_by_their_source),
        IN_FOLDER(a_source_that_shrank_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
