/* The manual command: the manual page, printed from the tables of the command line.
 * Source: man(7), the macros of manual pages. */
#include "cli/cli.h"

/* Text of a page: a backslash, a hyphen and a control character that begins a line are
 * escaped.  Lines that are indented, and the one before them, keep their breaks. */
static void put_roff(Text *out, const char *text) {
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            text_lit(out, "\\&");
        begins = *text == '\n';
        if (*text == '\\')
            text_lit(out, "\\e");
        else if (*text == '-')
            text_lit(out, "\\-");
        else
            text_char(out, *text);
    }
}

/* A paragraph ends at an empty line. */
static void put_details(Text *out, const char *details) {
    text_lit(out, ".PP\n");
    for (const char *line = details; *line;) {
        size_t n = strcspn(line, "\n");
        char room[256];
        snprintf(room, sizeof room, "%.*s", (int)n, line);
        put_roff(out, n ? room : "");
        text_lit(out, n ? "\n" : ".PP\n");
        line += n + (line[n] == '\n');
    }
}

/* The rest of a line: what follows a name, in italics; NULL or "": nothing does. */
static void put_argument(Text *out, const char *arg) {
    if (arg && *arg) {
        text_lit(out, " \\fI");
        put_roff(out, arg);
        text_lit(out, "\\fR");
    }
    text_char(out, '\n');
}

static void put_option(Text *out, const Option *o) {
    text_lit(out, ".TP\n.B ");
    if (o->letter)
        text_printf(out, "\\-%c\\fR, \\fB", o->letter);
    text_lit(out, "\\-\\-");
    put_roff(out, o->name);
    put_argument(out, o->arg);
    put_roff(out, o->help);
    text_char(out, '\n');
}

static void put_command(Text *out, const Command *c) {
    text_printf(out, ".SS %s", c->name);
    put_argument(out, c->operands);
    put_roff(out, c->summary);
    text_char(out, '\n');
    if (c->details)
        put_details(out, c->details);
    for (size_t i = 0; i < c->n_options; i++)
        put_option(out, &c->options[i]);
}

static void print_page(Text *out) {
    text_printf(
        out,
        ".TH OXIDE_XLA 1 \"\" \"OxideXLA %s\" \"User Commands\"\n"
        ".SH NAME\n"
        "oxide_xla \\- compile ONNX models to readable JAX source\n"
        ".SH SYNOPSIS\n"
        ".B oxide_xla\n"
        ".I command\n"
        "[\\fIoptions\\fR]\n"
        ".SH DESCRIPTION\n"
        "Reads an ONNX graph, as PyTorch and others export it, and writes a Python\n"
        "module that needs JAX alone, and a file of its weights.\n"
        ".SH COMMANDS\n"
        "Each takes\n.BR \\-\\-help .\n",
        ox_version());
    for (size_t i = 0; all_commands[i]; i++)
        put_command(out, all_commands[i]);
    for (size_t i = 0; python_commands[i].name; i++) {
        text_printf(out, ".SS %s\n", python_commands[i].name);
        put_roff(out, python_commands[i].summary);
        text_printf(out,
                    "\nA program of the Python package: pip install "
                    "\\(aqoxide_xla[%s]\\(aq\n",
                    python_commands[i].extra);
    }
    text_lit(out, ".PP\nAny other command runs the program\n"
                  ".BI oxide_xla\\- command\nof the\n.BR PATH .\n"
                  ".SH EXIT STATUS\n"
                  ".TP\n.B 0\nDone.\n"
                  ".TP\n.B 1\nThe model cannot be compiled.\n"
                  ".TP\n.B 2\nWrong use.\n"
                  ".TP\n.B 3\nA file cannot be read or written.\n"
                  ".SH ENVIRONMENT\n"
                  ".TP\n.B NO_COLOR\nNo colours on a terminal, where it is not empty.\n"
                  ".TP\n.B COLUMNS\nHow wide the terminal is.\n");
}

static int manual_run(const Args *args) {
    (void)args;
    return print_made(print_page);
}

const Command manual_command = {
    .name = "manual",
    .operands = "",
    .summary = "Print the manual page, for man(1).",
    .run = manual_run,
};
