/* Where tests put files, on every system: folders of their own, and nowhere. */
#ifndef OX_UNIT_PLACE_H
#define OX_UNIT_PLACE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef _WIN32
#include <direct.h>
#include <process.h>
#define NOWHERE "NUL"
#define make_folder(path) _mkdir(path)
#define go_to(path) _chdir(path)
#define process_number _getpid
#else
#include <unistd.h>
#define NOWHERE "/dev/null"
#define make_folder(path) mkdir(path, 0777)
#define go_to(path) chdir(path)
#define process_number getpid
#endif

static inline const char *temporary_folder(void) {
    const char *windows = getenv("TEMP");
    return windows ? windows : "/tmp";
}

/* A path that nobody else uses; to be freed. */
static inline char *temporary_path(void) {
    enum { ROOM = 1024 };
    static int count;
    char *path = malloc(ROOM);
    if (path)
        snprintf(path, ROOM, "%s/oxide_%ld_%d", temporary_folder(),
                 (long)process_number(), count++);
    return path;
}

/* Setup and teardown of a test that works in a folder of its own, and in that folder. */
static inline int enter_folder(void **state) {
    char *folder = temporary_path();
    for (int i = 0; i < 100 && folder && make_folder(folder) != 0; i++) {
        free(folder); /* left by a process of the same number */
        folder = temporary_path();
    }
    *state = folder;
    return !folder || go_to(folder) != 0;
}

static inline int leave_folder(void **state) {
    char command[1100];
#ifdef _WIN32
    snprintf(command, sizeof command, "rd /s /q \"%s\"", (char *)*state);
    for (char *p = command + strlen("rd /s /q "); *p; p++)
        *p = (char)(*p == '/' ? '\\' : *p);
#else
    snprintf(command, sizeof command, "rm -rf %s", (char *)*state);
#endif
    int rc = go_to(temporary_folder()) | system(command);
    free(*state);
    return rc;
}

#define IN_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

#endif
