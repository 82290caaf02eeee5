/* Files of POSIX: links and pipes, which Windows does not have or lets few make; devices
 * and limits; a file that shrinks or is replaced while it is mapped, which Windows
 * refuses. */
#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

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

static void links_are_followed_inside_of_the_folder_alone(void **state) {
    (void)state;
    assert_int_equal(make_folder("m") | make_folder("m/sub") | make_folder("out"), 0);
    put("m/sub/w.bin", "nested");
    put("out/secret", "secret");
    put("m-secret", "secret");
    assert_int_equal(symlink("../out/secret", "m/link"), 0);
    assert_int_equal(symlink("../out", "m/folder"), 0);
    assert_int_equal(symlink("../m-secret", "m/prefix"), 0);
    assert_int_equal(symlink("sub/w.bin", "m/inner"), 0);
    assert_int_equal(symlink("loop", "m/loop"), 0);
    assert_int_equal(mkfifo("m/fifo", 0666), 0);
    static const char outside[] =
        "it is reached through a link that leaves the model's folder";
    static const struct {
        const char *location, *why;
    } cases[] = {
        {"link", outside},
        {"folder/secret", outside},
        {"prefix", outside},
        {"loop", "its path goes through a link that changed or does not end"},
        {"fifo", "it is no regular file"},
    };
    FileMap m;
    const char *why = NULL;
    assert_true(file_map_beside(&m, "m/model.onnx", STR("inner"), &why));
    assert_true(str_is(m.bytes, "nested"));
    file_unmap(&m);
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        Str location = str_from(cases[i].location);
        assert_false(file_map_beside(&m, "m/model.onnx", location, &why));
        assert_string_equal(why, cases[i].why);
        assert_null(m.bytes.p);
    }
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
    assert_int_equal(make_folder("sub"), 0);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_pipe_is_read_to_its_end),
        IN_FOLDER(links_are_followed_inside_of_the_folder_alone),
        IN_FOLDER(a_mapped_file_is_found_again),
        IN_FOLDER(output_ends_in_the_folder_of_its_link),
        IN_FOLDER(a_link_stays_a_link),
        IN_FOLDER(a_full_device_is_an_error),
        IN_FOLDER(a_disk_that_fills_up_leaves_the_old_file),
        IN_FOLDER(a_source_that_shrank_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
