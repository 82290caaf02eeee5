/* Programs of other packages as commands: oxide_xla-NAME, beside this one or on the
 * PATH. */
#define _POSIX_C_SOURCE 200809L /* execvp, readlink */
#include "cli/cli.h"

#include <errno.h>
#include <unistd.h>

/* Only names: a slash would leave the PATH. */
bool is_command_name(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return *name && *name != '-' && strlen(name) <= 40 &&
           name[strspn(name, letters)] == '\0';
}

const PythonCommand python_commands[] = {
    {"checkpoint", "torch", "Write a pickled checkpoint of PyTorch as safetensors."},
    {"port", "torch", "Write the model of a Hugging Face checkpoint as a module."},
    {"stablehlo", "stablehlo", "Lower a model to StableHLO, as compile --target does."},
    {"verify", "verify",
     "Compare the generated code with onnxruntime, layer by layer."},
    {NULL, NULL, NULL},
};

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

int run_external(const char *name, char **argv) {
    int error = execute(name, argv);
    if (error != ENOENT && error != ENOTDIR)
        return usage_error("", "oxide_xla-%s cannot be run: %s", name, strerror(error));
    for (size_t i = 0; python_commands[i].name; i++) {
        if (strcmp(python_commands[i].name, name) != 0)
            continue;
        char hint[128];
        snprintf(hint, sizeof hint, "pip install 'oxide_xla[%s]'",
                 python_commands[i].extra);
        return usage_error(
            hint, "the program oxide_xla-%s is neither beside this one nor on the PATH",
            name);
    }
    return EXIT_NO_PROGRAM;
}
