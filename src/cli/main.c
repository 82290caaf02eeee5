/* The program: a table of subcommands.  A command that is not in it is the program
 * oxide_xla-NAME, so that other packages can add some. */
#define _POSIX_C_SOURCE 200809L /* execvp, readlink */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/nearest.h"

static const Command *const commands[] = {
    &compile_command, &inspect_command, &ops_command, &errors_command, &version_command,
};

static void print_overview(FILE *out) {
    fprintf(out, "oxide_xla %s: compile ONNX models to readable JAX source\n\n",
            ox_version());
    fprintf(out, "usage: oxide_xla COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; i < OX_COUNT(commands); i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", commands[i]->name, commands[i]->operands);
        print_help_row(out, 13, left, commands[i]->summary);
    }
    fprintf(out,
            "\noxide_xla COMMAND --help shows the options of a command.  Any other\n"
            "COMMAND runs the program oxide_xla-COMMAND.\n\n"
            "exit codes: 0 done, 1 the model cannot be compiled, 2 wrong use,\n"
            "3 a file cannot be read or written\n");
}

static int unknown_command(const char *name) {
    Nearest nearest = {.wanted = str_from(name)};
    for (size_t i = 0; i < OX_COUNT(commands); i++)
        nearest_offer(&nearest, str_from(commands[i]->name));
    char room[64];
    const char *hint = did_you_mean(nearest.best, room, sizeof room);
    return usage_error(*hint ? hint : "see oxide_xla --help",
                       "there is no command \"%s\"", name);
}

/* Only names: a slash would leave the PATH. */
static bool is_command_name(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return *name && *name != '-' && name[strspn(name, letters)] == '\0';
}

/* Commands that are known to come from elsewhere: the extra of the Python package that
 * brings what they need. */
static const struct {
    const char *name, *extra;
} python_commands[] = {{"verify", "verify"}};

static int no_program(const char *name) {
    for (size_t i = 0; i < OX_COUNT(python_commands); i++) {
        if (strcmp(python_commands[i].name, name) != 0)
            continue;
        char hint[128];
        snprintf(hint, sizeof hint, "pip install 'oxide_xla[%s]'",
                 python_commands[i].extra);
        return usage_error(
            hint, "the program oxide_xla-%s is neither beside this one nor on the PATH",
            name);
    }
    return unknown_command(name);
}

/* The folder of this program, with its last slash, into `room`; false when the system
 * does not tell.  Source: proc(5). */
static bool own_folder(char *room, size_t size) {
    ssize_t n = readlink("/proc/self/exe", room, size - 1);
    if (n <= 0)
        return false;
    room[n] = '\0';
    char *slash = strrchr(room, '/');
    if (!slash)
        return false;
    slash[1] = '\0';
    return true;
}

/* Runs oxide_xla-NAME from beside this program, where pip has put both, or from the
 * PATH.  Returns the errno of the failure, of a program that is there if there is one. */
static int execute(const char *name, char **argv) {
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

/* Returns only when there is no such program. */
static int run_external(const char *name, char **argv) {
    if (!is_command_name(name) || strlen(name) > 40)
        return unknown_command(name);
    int error = execute(name, argv);
    if (error == ENOENT || error == ENOTDIR)
        return no_program(name);
    return usage_error("", "oxide_xla-%s cannot be run: %s", name, strerror(error));
}

/* Past a limit on file sizes a write shall fail, as on a full disk, and not end the
 * program: someone has to remove the unfinished file. */
static void report_file_limits(void) {
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);
#endif
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_overview(stdout);
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_IO;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < OX_COUNT(commands); i++)
        if (strcmp(commands[i]->name, name) == 0) {
            report_file_limits();
            return run_command(commands[i], argc - 2, argv + 2);
        }
    return run_external(name, argv + 1);
}
