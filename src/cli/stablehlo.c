/* compile --target stablehlo.  JAX's own lowering makes it, so the Python package does
 * the work: here the options are checked and handed on. */
#include "cli/cli.h"

#include <stdlib.h>

/* Options that say something about the Python module alone. */
static int check_options(const Args *args) {
    static const char *const python_only[] = {
        "params", "sharding", "loader", "rank-promotion", "dump", "timings", "cache"};
    for (size_t i = 0; i < OX_COUNT(python_only); i++)
        if (args_flag(args, python_only[i]))
            return usage_error("", "--%s is not for --target stablehlo",
                               python_only[i]);
    const char *weights = args_value(args, "weights");
    if (weights && (strcmp(weights, "npz") == 0 || strcmp(weights, "reference") == 0))
        return usage_error("", "--weights %s is not for --target stablehlo", weights);
    const char *format = args_value(args, "format");
    if (args_flag(args, "artifact-version") &&
        (!format || strcmp(format, "portable") != 0))
        return usage_error("", "--artifact-version is for --format portable");
    return EXIT_OK;
}

/* "--name=value" or "--name"; NULL when memory ran out. */
static char *option_word(const Given *given) {
    size_t room = strlen(given->option->name) + 4;
    room += given->value ? strlen(given->value) : 0;
    char *word = malloc(room);
    if (word)
        snprintf(word, room, "--%s%s%s", given->option->name, given->value ? "=" : "",
                 given->value ? given->value : "");
    return word;
}

/* The command line of oxide_xla-stablehlo: the options, then the model; NULL when memory
 * ran out.  A first word is for the program's name. */
static char **command_line(const Args *args) {
    char **words = calloc(args->n_given + 4, sizeof *words), **end = words;
    if (!words)
        return NULL;
    *end++ = (char *)"oxide_xla-stablehlo"; /* nobody writes to it */
    for (size_t i = 0; i < args->n_given; i++) {
        if (strcmp(args->given[i].option->name, "target") == 0)
            continue;
        *end = option_word(&args->given[i]);
        if (!*end++)
            return NULL;
    }
    *end++ = (char *)"--";
    *end++ = (char *)args->operands[0];
    return words;
}

int compile_to_stablehlo(const Args *args) {
    int code = check_options(args);
    if (code != EXIT_OK)
        return code;
    char **words = command_line(args);
    return words ? run_external("stablehlo", words) : out_of_memory();
}
