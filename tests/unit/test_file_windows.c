/* Files of Windows: names in UTF-8, long paths, names that mean something else there,
 * and bytes that are not to be taken for text.  Links are left out: Wine makes none, and
 * Windows asks for rights to. */
#include "support/file_system.h"

#include "support/utf16.h"

#include <fcntl.h>
#include <io.h>

#include "files.h"

static void write_file(const char *path, const char *text) {
    OutFile out;
    assert_true(out_open(&out, path));
    assert_true(out_write(&out, text, strlen(text)));
    assert_true(out_commit(&out));
}

static bool exists(const wchar_t *path) {
    return GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
}

static void names_are_utf8(void **state) {
    (void)state;
    write_file("gr\xC3\xB6\xC3\x9F"
               "e \xE6\x97\xA5\xE6\x9C\xAC.bin",
               "bytes");
    assert_true(exists(L"gr\u00F6\u00DFe \u65E5\u672C.bin"));
    assert_content("gr\xC3\xB6\xC3\x9F"
                   "e \xE6\x97\xA5\xE6\x9C\xAC.bin",
                   "bytes");
    char *real = fs_real_path("gr\xC3\xB6\xC3\x9F"
                              "e \xE6\x97\xA5\xE6\x9C\xAC.bin");
    assert_true(real && real[1] == ':' && real[2] == '/' && !strchr(real, '\\'));
    assert_true(str_ends(str_from(real), STR("e \xE6\x97\xA5\xE6\x9C\xAC.bin")));
    free(real);
    FileMap m;
    assert_false(file_map(&m, "gr\xF6"
                              "sse"));
    assert_int_equal(errno, EILSEQ);
}

/* GetFinalPathNameByHandleW of Wine 8 fails past 260 characters. */
static bool is_wine(void) {
    HMODULE library = GetModuleHandleW(L"ntdll.dll");
    return library && GetProcAddress(library, "wine_get_version");
}

static void check_beside_long_path(char *path, size_t folder) {
    strcpy(path + folder, "model.onnx");
    FileMap m;
    const char *why = NULL;
    assert_true(file_map_beside(&m, path, STR("w.bin"), &why));
    assert_true(str_is(m.bytes, "farther"));
    char *real = file_real_beside(&m, path, STR("w.bin"));
    assert_true(real && real[1] == ':' && strlen(real) > MAX_PATH);
    free(real);
    file_unmap(&m);
}

/* 300 characters of folders, each made by its path with the prefix. */
static void paths_may_be_long(void **state) {
    (void)state;
    enum { DEPTH = 10, NAME = 30 };
    wchar_t wide[MAX_PATH + 400];
    char path[DEPTH * (NAME + 1) + 32] = "";
    wcscpy(wide, L"\\\\?\\");
    size_t n = 4 + GetCurrentDirectoryW(MAX_PATH, wide + 4);
    for (int i = 0; i < DEPTH; i++) {
        wide[n++] = L'\\';
        for (int k = 0; k < NAME; k++)
            wide[n++] = L'd';
        wide[n] = 0;
        assert_true(CreateDirectoryW(wide, NULL));
        strcat(path, "dddddddddddddddddddddddddddddd/");
    }
    size_t folder = strlen(path);
    strcpy(path + folder, "w.bin");
    write_file(path, "far");
    write_file(path, "farther");
    assert_content(path, "farther");
    if (!is_wine())
        check_beside_long_path(path, folder);
    strcpy(path + folder, "w.bin");
    assert_true(file_remove(path));
    for (int i = 0; i < DEPTH; i++, n -= NAME + 1) { /* rd does not */
        wide[n] = 0;
        assert_true(RemoveDirectoryW(wide));
    }
}

static void locations_that_mean_something_else_are_refused(void **state) {
    (void)state;
    assert_int_equal(make_folder("m") | make_folder("m/sub") | make_folder("out"), 0);
    put("m/w.bin", "weights");
    put("out/secret", "secret");
    static const char colon[] = "its path holds a colon",
                      backslash[] = "its path holds a backslash",
                      end[] = "a part of its path ends in a dot or a space",
                      device[] = "its path names a device",
                      letter[] = "its path holds a character that no name has";
    static const struct {
        const char *location, *why;
    } cases[] = {
        {"C:/secret", colon},
        {"C:secret", colon},
        {"w.bin:stream", colon},
        {"w.bin::$DATA", colon},
        {"..\\out\\secret", backslash},
        {"sub\\..\\..\\out\\secret", backslash},
        {"\\\\server\\share\\w.bin", backslash},
        {"\\\\?\\C:\\secret", backslash},
        {"//server/share/w.bin", "its path is absolute"},
        {"../out/secret", "its path holds \"..\""},
        {".. /out/secret", end},
        {".../out/secret", end},
        {"w.bin.", end},
        {"w.bin ", end},
        {"NUL", device},
        {"sub/nul", device},
        {"nul.bin", device},
        {"aux .bin", device},
        {"sub/Com1.tar.gz", device},
        {"lpt\xC2\xB9", device},
        {"CONIN$", device},
        {"con/w.bin", device},
        {"w?bin", letter},
        {"w.bi*", letter},
        {"\x01", letter},
        {"gr\xF6"
         "sse",
         "it cannot be read"},
    };
    for (size_t i = 0; i < OX_COUNT(cases); i++) {
        FileMap m;
        const char *why = NULL;
        Str location = str_from(cases[i].location);
        assert_false(file_map_beside(&m, "m/model.onnx", location, &why));
        assert_string_equal(why, cases[i].why);
    }
    static const char *const fine[] = {"nulls", "com", "com10", "lpt.bin", "console"};
    for (size_t i = 0; i < OX_COUNT(fine); i++)
        assert_null(fs_bad_location(str_from(fine[i])));
}

static void names_follow_any_separator(void **state) {
    (void)state;
    static const char *const paths[] = {"m.onnx",           "a/m.onnx",   "a\\m.onnx",
                                        "a/b\\m.onnx",      "C:m.onnx",   "C:\\m.onnx",
                                        "\\\\s\\h\\m.onnx", "a\\b/m.onnx"};
    for (size_t i = 0; i < OX_COUNT(paths); i++)
        assert_true(str_is(file_name(str_from(paths[i])), "m.onnx"));
    assert_int_equal(make_folder("m"), 0);
    put("m/w.bin", "weights");
    FileMap m;
    const char *why = NULL;
    assert_true(file_map_beside(&m, "m\\model.onnx", STR("w.bin"), &why));
    file_unmap(&m);
}

static bool is_relative(const char *folder, const char *file, const char *path) {
    Arena arena;
    arena_init(&arena, NULL);
    Text t = {.arena = &arena};
    bool found = file_relative(&t, str_from(folder), str_from(file)) &&
                 str_is(text_view(&t), path);
    arena_free(&arena);
    return found;
}

static void no_path_leads_to_another_drive(void **state) {
    (void)state;
    assert_true(is_relative("C:/a/b", "C:/a/m.onnx", "../m.onnx"));
    assert_true(is_relative("C:/", "C:/a/m.onnx", "a/m.onnx"));
    assert_true(is_relative("C:/a", "C:/m.onnx", "../m.onnx"));
    assert_true(is_relative("//s/h/a", "//s/h/b/m", "../b/m"));
    assert_false(is_relative("C:/a", "D:/a/m.onnx", ""));
    assert_false(is_relative("//s/h/a", "//s/i/a/m", ""));
    assert_false(is_relative("//s/h/a", "C:/a/m", ""));
}

/* What text would change: ends of lines, and the end of a file under DOS. */
static void standard_streams_carry_bytes(void **state) {
    (void)state;
    static const char bytes[] = "a\r\nb\n\x1a"
                                "c\r\r\n";
    put("in", bytes);
    int saved_in = _dup(0), saved_out = _dup(1);
    int in = _open("in", _O_RDONLY | _O_BINARY);
    int out = _open("out", _O_WRONLY | _O_CREAT | _O_TEXT, 0600);
    int end = _open("in", _O_RDONLY | _O_BINARY);
    assert_true(in >= 0 && out >= 0 && _lseek(end, 1, SEEK_SET) == 1);
    FileMap m, rest;
    fflush(stdout);
    assert_true(_dup2(in, 0) == 0 && _dup2(out, 1) == 0);
    bool mapped = file_map(&m, "-");
    assert_int_equal(_dup2(end, 0), 0);
    bool read = file_map(&rest, "-"); /* not from its start: read, not mapped */
    OutFile o;
    bool wrote = out_open(&o, "-") && out_write(&o, m.bytes.p, m.bytes.n);
    wrote = out_commit(&o) && wrote;
    assert_true(_dup2(saved_in, 0) == 0 && _dup2(saved_out, 1) == 0);
    _close(in), _close(out), _close(end), _close(saved_in), _close(saved_out);
    assert_true(mapped && read && wrote);
    assert_true(str_is(m.bytes, bytes) && m.mapped);
    assert_true(str_is(rest.bytes, bytes + 1) && !rest.mapped);
    file_unmap(&m);
    file_unmap(&rest);
    assert_content("out", bytes);
}

static void devices_are_written_in_place(void **state) {
    (void)state;
    assert_true(file_is_special("NUL"));
    assert_false(file_is_special("."));
    assert_false(file_is_special("nothing"));
    write_file("NUL", "gone");
    assert_int_equal(file_count(), 0);
}

static void a_file_in_use_is_kept(void **state) {
    (void)state;
    put("a", "old");
    HANDLE user = CreateFileW(L"a", GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    assert_true(user != INVALID_HANDLE_VALUE);
    OutFile out;
    assert_true(out_open(&out, "a"));
    assert_true(out_write(&out, "new", 3));
    assert_false(out_commit(&out));
    assert_int_equal(out.error, EACCES);
    CloseHandle(user);
    assert_content("a", "old");
    assert_int_equal(file_count(), 1);
    write_file("a", "new");
    assert_content("a", "new");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(names_are_utf8),
        IN_FOLDER(paths_may_be_long),
        IN_FOLDER(locations_that_mean_something_else_are_refused),
        IN_FOLDER(names_follow_any_separator),
        IN_FOLDER(no_path_leads_to_another_drive),
        IN_FOLDER(standard_streams_carry_bytes),
        IN_FOLDER(devices_are_written_in_place),
        IN_FOLDER(a_file_in_use_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
