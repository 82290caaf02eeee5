/* What the tests of files share: files of a line, and what they hold. */
#ifndef OX_UNIT_FILES_H
#define OX_UNIT_FILES_H

#include "support/file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "place.h"

static inline void put(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Files in the working folder, to see that nothing is left behind. */
static inline int file_count(void) {
    DIR *dir = opendir(".");
    int n = -2; /* "." and ".." */
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static inline void assert_content(const char *path, const char *text) {
    FileMap m;
    assert_true(file_map(&m, path));
    assert_true(str_is(m.bytes, text));
    file_unmap(&m);
}

#endif
