/* Programs of other packages as commands: oxide_xla-NAME, beside this one or on the
 * PATH. */
#include "cli/cli.h"

#include <errno.h>

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

int run_external(const char *name, char **argv) {
    int error = host_execute(name, argv);
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
