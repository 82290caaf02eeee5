/* The program: a table of subcommands.  A command that is not in it is the program
 * oxide_xla-NAME, so that other packages can add some. */
#include "cli/cli.h"

#include <signal.h>

#include "support/nearest.h"

const Command *const all_commands[] = {
    &compile_command, &inspect_command, &diff_command,
    &ops_command,     &errors_command,  &completions_command,
    &manual_command,  &version_command, NULL,
};

static void print_overview(FILE *out) {
    fprintf(out, "oxide_xla %s: compile ONNX models to readable JAX source\n\n",
            ox_version());
    fprintf(out, "usage: oxide_xla COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; all_commands[i]; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", all_commands[i]->name,
                 all_commands[i]->operands);
        print_help_row(out, 17, left, all_commands[i]->summary);
    }
    for (size_t i = 0; python_commands[i].name; i++)
        print_help_row(out, 17, python_commands[i].name, python_commands[i].summary);
    fprintf(out,
            "\noxide_xla COMMAND --help shows the options of a command.  Any other\n"
            "COMMAND runs the program oxide_xla-COMMAND.\n\n"
            "exit codes: 0 done, 1 the model cannot be compiled, 2 wrong use,\n"
            "3 a file cannot be read or written\n");
}

static int unknown_command(const char *name) {
    Nearest nearest = {.wanted = str_from(name)};
    for (size_t i = 0; all_commands[i]; i++)
        nearest_offer(&nearest, str_from(all_commands[i]->name));
    char room[64];
    const char *hint = did_you_mean(nearest.best, room, sizeof room);
    return usage_error(*hint ? hint : "see oxide_xla --help",
                       "there is no command \"%s\"", name);
}

/* Returns only when there is no such program. */
static int other_command(const char *name, char **argv) {
    int code = is_command_name(name) ? run_external(name, argv) : EXIT_NO_PROGRAM;
    return code == EXIT_NO_PROGRAM ? unknown_command(name) : code;
}

/* Past a limit on file sizes a write shall fail, as on a full disk, and not end the
 * program: someone has to remove the unfinished file. */
static void report_file_limits(void) {
#ifdef SIGXFSZ
    signal(SIGXFSZ, SIG_IGN);
#endif
}

int main(int argc, char **argv) {
    argv = host_begin(&argc, argv);
    if (!argv)
        return out_of_memory();
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
    for (size_t i = 0; all_commands[i]; i++)
        if (strcmp(all_commands[i]->name, name) == 0) {
            report_file_limits();
            return run_command(all_commands[i], argc - 2, argv + 2);
        }
    return other_command(name, argv + 1);
}
