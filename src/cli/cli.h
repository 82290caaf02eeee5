/* What the subcommands share: their table row, their options, and how they report. */
#ifndef OX_CLI_CLI_H
#define OX_CLI_CLI_H

#include <stdio.h>

#include "oxide_xla.h"
#include "support/arena.h"

typedef struct Option {
    const char *name; /* "output" is written --output */
    char letter;      /* 'o' for -o; 0: none */
    const char *arg;  /* "FILE"; "a|b": one of these; NULL: takes none */
    const char *help;
    bool repeats; /* may be given more than once */
} Option;

typedef struct Args Args;

typedef struct Command {
    const char *name;
    const char *operands; /* "MODEL", "[NAME]" or "" */
    const char *summary;
    const char *details; /* more for --help; may be NULL */
    const Option *options;
    size_t n_options;
    size_t min_operands, max_operands;
    int (*run)(const Args *args); /* returns the exit code */
} Command;

typedef struct Given {
    const Option *option;
    const char *value;
} Given;

struct Args {
    const Command *command;
    const char **operands;
    size_t n_operands;
    Given *given;
    size_t n_given;
};

extern const Command compile_command, inspect_command, diff_command, ops_command,
    errors_command, completions_command, manual_command, version_command;

/* All of them, up to a NULL. */
extern const Command *const all_commands[];

/* A command that is a program of the Python package. */
typedef struct PythonCommand {
    const char *name;
    const char *extra; /* of the package: what brings what it needs */
    const char *summary;
} PythonCommand;

/* Up to one without a name. */
extern const PythonCommand python_commands[];

enum { EXIT_OK = 0, EXIT_MODEL = 1, EXIT_USAGE = 2, EXIT_IO = 3 };
enum { EXIT_NO_PROGRAM = -1 }; /* of run_external, never of this program */

/* ---- options.c --------------------------------------------------------------------- */

/* --help, which every command has. */
extern const Option help_option;

/* Parses the words after the command's name and runs it; --help is answered here. */
int run_command(const Command *command, int argc, char **argv);

/* `left`, which takes `width` columns, and its explanation beside it or, where it is
 * wider, below, within 80 columns. */
void print_help_row(FILE *out, int width, const char *left, const char *text);

/* The value of an option, NULL when it was not given. */
const char *args_value(const Args *args, const char *name);
bool args_flag(const Args *args, const char *name);
/* Which of its choices an option has; 0, the default, when it was not given. */
size_t args_choice(const Args *args, const char *name);
/* The next value of a repeated option from *at on, NULL past the last. */
const char *args_next(const Args *args, const char *name, size_t *at);

/* ---- programs.c -------------------------------------------------------------------- */

/* Whether a command could be the program oxide_xla-NAME. */
bool is_command_name(const char *name);
/* Runs the program oxide_xla-NAME with these arguments in place of this one; argv[0] is
 * overwritten.  Returns only when that fails: EXIT_USAGE after a message, or
 * EXIT_NO_PROGRAM where nothing is known by that name. */
int run_external(const char *name, char **argv);

/* ---- stablehlo.c ------------------------------------------------------------------- */

/* compile --target stablehlo: the program oxide_xla-stablehlo of the Python package. */
int compile_to_stablehlo(const Args *args);

/* ---- host_posix.c, host_windows.c -------------------------------------------------- */

/* Before all else.  The words of the command line in UTF-8; from then on the standard
 * streams carry bytes.  NULL when memory ran out. */
char **host_begin(int *argc, char **argv);
/* Whether the stream is a terminal that takes colours. */
bool host_has_colors(FILE *file);
/* How wide the terminal is; 0: the stream is none. */
int host_columns(FILE *file);
/* Runs oxide_xla-NAME from beside this program, where pip has put both, or from the
 * PATH, in place of this one; argv[0] is overwritten.  Returns the errno of the failure,
 * of a program that is there if there is one. */
int host_execute(const char *name, char **argv);
/* Largest resident memory so far, in bytes; 0 where the system does not say. */
double host_peak_memory(void);

/* ---- signals_posix.c, signals_windows.c ------------------------------------------ */

/* Between the two, a signal that ends the program (SIGINT, SIGTERM, SIGHUP) lets the
 * compiler remove its unfinished files first; signals_end then obeys it and does not
 * return. */
void signals_begin(OxCompiler *compiler);
void signals_end(void);

/* ---- report.c ---------------------------------------------------------------------- */

/* Colours are for terminals, unless NO_COLOR says otherwise. */
bool use_color(FILE *file);
/* Columns of the terminal, or what COLUMNS says; 0: it is none. */
int terminal_width(FILE *file);
/* Prints a file name as a shell takes it, without what a terminal would act on. */
void print_name(FILE *out, const char *name);
/* Prints a message in the grammar of all others; returns EXIT_USAGE. */
int usage_error(const char *hint, const char *fmt, ...) OX_PRINTF(2, 3);
int exit_code(OxStatus status);
/* Prints the compiler's messages; returns the exit code of `status`. */
int report(OxCompiler *compiler, OxStatus status);
int out_of_memory(void);
/* Writes to standard output; false, after a message, when that fails. */
bool print_product(OxText text);
/* Prints what `put` makes; returns the exit code. */
int print_made(void (*put)(Text *out));
/* "did you mean "x"?", or "" without a best candidate; lives until the next call. */
const char *did_you_mean(Str best, char *room, size_t size);

#endif
