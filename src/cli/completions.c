/* The completions command: what a shell offers while a command line is typed, printed
 * from the tables that parse it.  Sources: bash(1), "Programmable Completion";
 * zshcompsys(1), "_arguments"; fish, complete(1). */
#include "cli/cli.h"

static bool is_choice(const Option *o) {
    return o->arg && strchr(o->arg, '|');
}

static bool is_file(const Option *o) {
    return o->arg && strcmp(o->arg, "FILE") == 0;
}

/* Whether operands of the command are files. */
static bool takes_model(const Command *c) {
    return strstr(c->operands, "MODEL") != NULL;
}

/* The choices "a|b" as words: "a b". */
static void put_choices(Text *out, const char *choices) {
    for (const char *p = choices; *p; p++)
        text_char(out, *p == '|' ? ' ' : *p);
}

/* Calls `put` for each option of a command, --help last. */
static void each_option(Text *out, const Command *c,
                        void (*put)(Text *out, const Command *c, const Option *o)) {
    for (size_t i = 0; i < c->n_options; i++)
        put(out, c, &c->options[i]);
    put(out, c, &help_option);
}

/* Names of all commands, those of the Python package too. */
static void put_names(Text *out) {
    for (size_t i = 0; all_commands[i]; i++)
        text_printf(out, "%s%s", i ? " " : "", all_commands[i]->name);
    for (size_t i = 0; python_commands[i].name; i++)
        text_printf(out, " %s", python_commands[i].name);
}

/* ---- bash -------------------------------------------------------------------------- */

static void bash_value(Text *out, const Command *c, const Option *o) {
    (void)c;
    if (!o->arg)
        return;
    text_lit(out, "            ");
    if (o->letter)
        text_printf(out, "-%c|", o->letter);
    text_printf(out, "--%s) ", o->name);
    if (is_choice(o)) {
        text_lit(out, "COMPREPLY=($(compgen -W '");
        put_choices(out, o->arg);
        text_lit(out, "' -- \"$cur\")); ");
    } else if (is_file(o)) {
        text_lit(out, "_oxide_xla_files; ");
    }
    text_lit(out, "return ;;\n");
}

static void bash_name(Text *out, const Command *c, const Option *o) {
    (void)c;
    text_printf(out, " --%s", o->name);
}

static void bash_command(Text *out, const Command *c) {
    text_printf(out,
                "    %s)\n"
                "        case $prev in\n",
                c->name);
    each_option(out, c, bash_value);
    text_lit(out, "        esac\n"
                  "        case $cur in\n"
                  "            -*) COMPREPLY=($(compgen -W '");
    each_option(out, c, bash_name);
    text_printf(out,
                "' -- \"$cur\")) ;;\n"
                "            *) %s ;;\n"
                "        esac ;;\n",
                takes_model(c) ? "_oxide_xla_files" : ":");
}

static void print_bash(Text *out) {
    text_lit(out, "# bash completion of oxide_xla.  Source it, or put it into\n"
                  "# ~/.local/share/bash-completion/completions/oxide_xla\n"
                  "_oxide_xla_files() {\n"
                  "    compopt -o filenames 2>/dev/null\n"
                  "    local IFS=$'\\n'\n"
                  "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                  "}\n"
                  "_oxide_xla() {\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
                  "    local prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                  "    COMPREPLY=()\n"
                  "    # --option=value is three words.\n"
                  "    [ \"$cur\" = = ] && cur=\n"
                  "    [ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
                  "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                  "        COMPREPLY=($(compgen -W '");
    put_names(out);
    text_lit(out, " --help --version' -- \"$cur\"))\n"
                  "        return\n"
                  "    fi\n"
                  "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; all_commands[i]; i++)
        bash_command(out, all_commands[i]);
    text_lit(out, "    *) _oxide_xla_files ;;\n"
                  "    esac\n"
                  "}\n"
                  "complete -F _oxide_xla oxide_xla\n");
}

/* ---- zsh --------------------------------------------------------------------------- */

/* Text within [...] of a specification of _arguments, itself between single quotes. */
static void zsh_text(Text *out, const char *text) {
    for (; *text; text++) {
        if (strchr("[]:\\", *text))
            text_char(out, '\\');
        text_lit(out, *text == '\'' ? "'\\''" : (char[]){*text, '\0'});
    }
}

/* 'SPEC[help]:ARG:action' */
static void zsh_spec(Text *out, const Option *o) {
    text_char(out, '[');
    zsh_text(out, o->help);
    text_char(out, ']');
    if (o->arg) {
        text_printf(out, ":%s:", is_choice(o) ? o->name : "value");
        if (is_choice(o)) {
            text_char(out, '(');
            put_choices(out, o->arg);
            text_char(out, ')');
        } else if (is_file(o)) {
            text_lit(out, "_files");
        }
    }
    text_char(out, '\'');
}

static void zsh_option(Text *out, const Command *c, const Option *o) {
    (void)c;
    const char *repeats = o->repeats ? "*" : "";
    if (o->letter) {
        text_printf(out, " \\\n            '%s-%c", repeats, o->letter);
        zsh_spec(out, o);
    }
    text_printf(out, " \\\n            '%s--%s%s", repeats, o->name, o->arg ? "=" : "");
    zsh_spec(out, o);
}

static void print_zsh(Text *out) {
    text_lit(out,
             "#compdef oxide_xla\n"
             "# zsh completion of oxide_xla.  Put it as _oxide_xla into a folder of\n"
             "# $fpath, before compinit.\n"
             "_oxide_xla() {\n"
             "    if (( CURRENT == 2 )); then\n"
             "        local -a commands\n"
             "        commands=(\n");
    for (size_t i = 0; all_commands[i]; i++) {
        text_printf(out, "            '%s:", all_commands[i]->name);
        zsh_text(out, all_commands[i]->summary);
        text_lit(out, "'\n");
    }
    for (size_t i = 0; python_commands[i].name; i++)
        text_printf(out, "            '%s:%s'\n", python_commands[i].name,
                    python_commands[i].summary);
    text_lit(out, "        )\n"
                  "        _describe command commands\n"
                  "        return\n"
                  "    fi\n"
                  "    local name=$words[2]\n"
                  "    shift words\n"
                  "    (( CURRENT-- ))\n"
                  "    case $name in\n");
    for (size_t i = 0; all_commands[i]; i++) {
        text_printf(out, "    %s)\n        _arguments -s", all_commands[i]->name);
        each_option(out, all_commands[i], zsh_option);
        text_printf(out, "%s ;;\n",
                    takes_model(all_commands[i]) ? " \\\n            '*:model:_files'"
                                                 : "");
    }
    text_lit(out, "    *) _files ;;\n"
                  "    esac\n"
                  "}\n"
                  "if [ \"$funcstack[1]\" = _oxide_xla ]; then\n"
                  "    _oxide_xla \"$@\"\n"
                  "else\n"
                  "    compdef _oxide_xla oxide_xla\n"
                  "fi\n");
}

/* ---- fish -------------------------------------------------------------------------- */

/* Text between single quotes. */
static void fish_text(Text *out, const char *text) {
    text_char(out, '\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            text_char(out, '\\');
        text_char(out, *text);
    }
    text_char(out, '\'');
}

static void fish_option(Text *out, const Command *c, const Option *o) {
    text_printf(out, "complete -c oxide_xla -n '__fish_seen_subcommand_from %s'",
                c->name);
    if (o->letter)
        text_printf(out, " -s %c", o->letter);
    text_printf(out, " -l %s", o->name);
    if (is_choice(o)) {
        text_lit(out, " -x -a '");
        put_choices(out, o->arg);
        text_char(out, '\'');
    } else if (o->arg) {
        text_lit(out, is_file(o) ? " -r -F" : " -x");
    }
    text_lit(out, " -d ");
    fish_text(out, o->help);
    text_char(out, '\n');
}

static void fish_name(Text *out, const char *name, const char *summary) {
    text_printf(out, "complete -c oxide_xla -n __fish_use_subcommand -f -a %s -d ",
                name);
    fish_text(out, summary);
    text_char(out, '\n');
}

static void print_fish(Text *out) {
    text_lit(out, "# fish completion of oxide_xla.  Put it into\n"
                  "# ~/.config/fish/completions/oxide_xla.fish\n");
    for (size_t i = 0; all_commands[i]; i++)
        fish_name(out, all_commands[i]->name, all_commands[i]->summary);
    for (size_t i = 0; python_commands[i].name; i++)
        fish_name(out, python_commands[i].name, python_commands[i].summary);
    for (size_t i = 0; all_commands[i]; i++) {
        if (!takes_model(all_commands[i]))
            text_printf(
                out, "complete -c oxide_xla -n '__fish_seen_subcommand_from %s' -f\n",
                all_commands[i]->name);
        each_option(out, all_commands[i], fish_option);
    }
}

/* ---- the command ------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*print)(Text *out);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

static int completions_run(const Args *args) {
    for (size_t i = 0; i < OX_COUNT(shells); i++)
        if (strcmp(shells[i].name, args->operands[0]) == 0)
            return print_made(shells[i].print);
    return usage_error("it is one of bash, zsh, fish",
                       "there are no completions for \"%s\"", args->operands[0]);
}

const Command completions_command = {
    .name = "completions",
    .operands = "SHELL",
    .summary = "Print completions of this command line for bash, zsh or fish.",
    .details = "To try them in bash:  source <(oxide_xla completions bash)\n"
               "The first lines of what is printed say where a shell looks for them.\n",
    .min_operands = 1,
    .max_operands = 1,
    .run = completions_run,
};
