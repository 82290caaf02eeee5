/* What the program asks of a POSIX system: its terminal, its own folder, its memory. */
#define _GNU_SOURCE /* fileno, ioctl, execvp, readlink */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

char **host_begin(int *argc, char **argv) {
    (void)argc;
    return argv;
}

bool host_has_colors(FILE *file) {
    const char *term = getenv("TERM");
    return isatty(fileno(file)) && term && strcmp(term, "dumb") != 0;
}

int host_columns(FILE *file) {
    struct winsize size;
    return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* The path of this program; false when the system does not tell.  Sources: proc(5),
 * dyld(3). */
static bool own_path(char *room, size_t size) {
#ifdef __APPLE__
    uint32_t n = (uint32_t)size;
    return _NSGetExecutablePath(room, &n) == 0;
#else
    ssize_t n = readlink("/proc/self/exe", room, size - 1);
    if (n <= 0)
        return false;
    room[n] = '\0';
    return true;
#endif
}

/* The folder of this program, with its last slash, into `room`. */
static bool own_folder(char *room, size_t size) {
    char *slash = own_path(room, size) ? strrchr(room, '/') : NULL;
    if (!slash)
        return false;
    slash[1] = '\0';
    return true;
}

int host_execute(const char *name, char **argv) {
    char path[4096], program[64 + sizeof path], plain[64];
    snprintf(plain, sizeof plain, "oxide_xla-%s", name);
    argv[0] = plain;
    int beside = ENOENT;
    if (own_folder(path, sizeof path)) {
        snprintf(program, sizeof program, "%s%s", path, plain);
        execv(program, argv);
        beside = errno;
    }
    execvp(plain, argv);
    return errno == ENOENT ? beside : errno;
}

/* Unlike getrusage, the kernel's own figure does not count the program that started this
 * one. */
double host_peak_memory(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long kib = 0;
    while (file && kib == 0 && fgets(line, sizeof line, file))
        sscanf(line, "VmHWM: %lu kB", &kib);
    if (file)
        fclose(file);
    return (double)kib * 1024;
}
