/* The command line after the command's name.  One table a command says which options
 * there are; parsing, --help and all complaints come from it. */
#include "cli/cli.h"

#include <stdlib.h>

#include "support/nearest.h"

const Option help_option = {"help", 'h', NULL, "show this text", false};

/* ---- help -------------------------------------------------------------------------- */

enum { HELP_WIDTH = 80, OPTION_WIDTH = 26 };

/* The text in lines of at most HELP_WIDTH columns, all but the first indented. */
static void print_wrapped(FILE *out, const char *text, int indent) {
    int column = indent;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (column > indent && column + 1 + n > HELP_WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        }
        column += fprintf(out, "%s%.*s", column > indent ? " " : "", n, text);
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void print_help_row(FILE *out, int width, const char *left, const char *text) {
    fprintf(out, "  %s", left);
    int n = (int)strlen(left);
    if (n > width)
        fprintf(out, "\n%*s", width + 4, "");
    else
        fprintf(out, "%*s", width - n + 2, "");
    print_wrapped(out, text, width + 4);
}

static void print_option(const Option *o) {
    char left[80];
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
             o->arg ? o->arg : "");
    print_help_row(stdout, OPTION_WIDTH, left, o->help);
}

static int print_help(const Command *c) {
    printf("%s\n\nusage: oxide_xla %s%s%s [options]\n", c->summary, c->name,
           *c->operands ? " " : "", c->operands);
    if (c->details)
        printf("\n%s", c->details);
    printf("\noptions:\n");
    for (size_t i = 0; i < c->n_options; i++)
        print_option(&c->options[i]);
    print_option(&help_option);
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_IO;
}

/* ---- parsing ----------------------------------------------------------------------- */

/* The words not yet looked at. */
typedef struct Words {
    char **at, **end;
} Words;

static const Option *find_long(const Command *c, Str name) {
    for (size_t i = 0; i < c->n_options; i++)
        if (str_is(name, c->options[i].name))
            return &c->options[i];
    return str_is(name, "help") ? &help_option : NULL;
}

static const Option *find_letter(const Command *c, char letter) {
    for (size_t i = 0; i < c->n_options; i++)
        if (c->options[i].letter == letter)
            return &c->options[i];
    return letter == help_option.letter ? &help_option : NULL;
}

static int unknown_option(const Command *c, const char *word) {
    Str name = str_from(word + strspn(word, "-"));
    Nearest nearest = {.wanted = name};
    for (size_t i = 0; i < c->n_options; i++)
        nearest_offer(&nearest, str_from(c->options[i].name));
    char hint[128];
    if (nearest.best.n)
        snprintf(hint, sizeof hint, "did you mean --%s?", nearest.best.p);
    else
        snprintf(hint, sizeof hint, "see oxide_xla %s --help", c->name);
    return usage_error(hint, "%s has no option %s", c->name, word);
}

/* Index of value among the choices "a|b|c"; SIZE_MAX when it is none of them. */
static size_t choice_index(const char *choices, Str value) {
    for (size_t i = 0;; i++) {
        size_t n = strcspn(choices, "|");
        if (str_eq(value, (Str){choices, n}))
            return i;
        if (choices[n] == '\0')
            return SIZE_MAX;
        choices += n + 1;
    }
}

/* Notes one option; EXIT_OK or the exit code of a complaint. */
static int give(Args *args, const Option *o, const char *value) {
    for (size_t i = 0; i < args->n_given && !o->repeats; i++)
        if (args->given[i].option == o)
            return usage_error("", "--%s is given twice", o->name);
    bool is_choice = o->arg && strchr(o->arg, '|');
    if (is_choice && choice_index(o->arg, str_from(value)) == SIZE_MAX)
        return usage_error("", "--%s must be %s, not \"%s\"", o->name, o->arg, value);
    args->given[args->n_given++] = (Given){o, value};
    return EXIT_OK;
}

/* An option with its value in the same word (inline_value) or in the next one. */
static int take_option(Args *args, Words *words, const Option *o,
                       const char *inline_value) {
    if (!o->arg) {
        if (inline_value)
            return usage_error("", "--%s takes no value", o->name);
        return give(args, o, NULL);
    }
    if (!inline_value && words->at == words->end)
        return usage_error("", "--%s needs a value: --%s %s", o->name, o->name, o->arg);
    return give(args, o, inline_value ? inline_value : *words->at++);
}

static int take_long(Args *args, Words *words, const char *word) {
    const char *eq = strchr(word, '=');
    Str name = {word + 2, eq ? (size_t)(eq - word) - 2 : strlen(word + 2)};
    const Option *o = find_long(args->command, name);
    if (!o)
        return unknown_option(args->command, word);
    return take_option(args, words, o, eq ? eq + 1 : NULL);
}

static int take_letter(Args *args, Words *words, const char *word) {
    const Option *o = find_letter(args->command, word[1]);
    if (!o)
        return unknown_option(args->command, word);
    return take_option(args, words, o, word[2] ? word + 2 : NULL);
}

static int parse(Args *args, Words *words) {
    bool only_operands = false;
    while (words->at < words->end) {
        const char *word = *words->at++;
        int code = EXIT_OK;
        if (only_operands || word[0] != '-' || strcmp(word, "-") == 0)
            args->operands[args->n_operands++] = word;
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (word[1] == '-')
            code = take_long(args, words, word);
        else
            code = take_letter(args, words, word);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static int check_operands(const Args *args) {
    const Command *c = args->command;
    char hint[64];
    snprintf(hint, sizeof hint, "see oxide_xla %s --help", c->name);
    if (args->n_operands < c->min_operands)
        return usage_error(hint, "%s needs an operand: %s", c->name, c->operands);
    if (args->n_operands > c->max_operands)
        return usage_error(hint, "%s does not know what to do with \"%s\"", c->name,
                           args->operands[c->max_operands]);
    return EXIT_OK;
}

static int parse_and_run(Args *args, Words words) {
    int code = parse(args, &words);
    if (args_flag(args, "help"))
        return print_help(args->command);
    if (code == EXIT_OK)
        code = check_operands(args);
    return code == EXIT_OK ? args->command->run(args) : code;
}

int run_command(const Command *command, int argc, char **argv) {
    size_t n = (size_t)argc + 1;
    Args args = {.command = command,
                 .operands = calloc(n, sizeof *args.operands),
                 .given = calloc(n, sizeof *args.given)};
    int code = args.operands && args.given
                   ? parse_and_run(&args, (Words){argv, argv + argc})
                   : out_of_memory();
    free(args.operands);
    free(args.given);
    return code;
}

/* ---- reading ----------------------------------------------------------------------- */

static const Given *find_given(const Args *args, const char *name, size_t *at) {
    while (*at < args->n_given) {
        const Given *g = &args->given[(*at)++];
        if (strcmp(g->option->name, name) == 0)
            return g;
    }
    return NULL;
}

const char *args_next(const Args *args, const char *name, size_t *at) {
    const Given *g = find_given(args, name, at);
    return g ? g->value : NULL;
}

const char *args_value(const Args *args, const char *name) {
    size_t at = 0;
    return args_next(args, name, &at);
}

bool args_flag(const Args *args, const char *name) {
    size_t at = 0;
    return find_given(args, name, &at) != NULL;
}

size_t args_choice(const Args *args, const char *name) {
    size_t at = 0;
    const Given *g = find_given(args, name, &at);
    return g ? choice_index(g->option->arg, str_from(g->value)) : 0;
}
