/* The program: a table of subcommands.  A command that is not in it is looked up on the
 * PATH as oxide_xla-NAME, so that other packages can add some. */
#define _POSIX_C_SOURCE 200809L /* execvp */
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
        fprintf(out, "  %-16s  %s\n", left, commands[i]->summary);
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

/* Returns only when there is no such program. */
static int run_external(const char *name, char **argv) {
    if (!is_command_name(name))
        return unknown_command(name);
    size_t n = strlen("oxide_xla-") + strlen(name) + 1;
    char *program = malloc(n);
    if (!program)
        return out_of_memory();
    snprintf(program, n, "oxide_xla-%s", name);
    argv[0] = program;
    execvp(program, argv);
    int error = errno;
    free(program);
    if (error == ENOENT || error == ENOTDIR)
        return unknown_command(name);
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
