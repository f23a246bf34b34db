/* completion.c - `vigil completion bash`: made of the table of subcommands, so that it cannot fall behind. */
#include "tools/command.h"

#include <string.h>

static void
print_options(FILE *to, option_bits has)
{
    for (int n = 0; n < OPT_COUNT; n++) {
        if ((has >> n & 1) != 0) {
            (void)fprintf(to, " --%s", option_texts[n].name);
        }
    }
}

/* The options after which a value comes, as a pattern of the shell. */
static void
print_valued(FILE *to)
{
    const char *bar = "";

    for (int n = 0; n < OPT_COUNT; n++) {
        if (option_texts[n].value != NULL) {
            (void)fprintf(to, "%s--%s", bar, option_texts[n].name);
            bar = "|";
        }
    }
}

void
completion_print(FILE *to)
{
    (void)fputs("# bash completion of vigil, printed by: vigil completion bash\n"
                "_vigil() {\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} noun= verb= n\n"
                "    for ((n = 1; n < COMP_CWORD; n++)); do\n"
                "        case ${COMP_WORDS[n]} in\n"
                "        ",
                to);
    print_valued(to);
    (void)fputs(") ((n++)) ;;\n"
                "        -*) ;;\n"
                "        *) if [ -z \"$noun\" ]; then noun=${COMP_WORDS[n]}; "
                "elif [ -z \"$verb\" ]; then verb=${COMP_WORDS[n]}; fi ;;\n"
                "        esac\n"
                "    done\n"
                "    case $before in\n"
                "    --node) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
                "    --file | --statements) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
                "    ",
                to);
    print_valued(to);
    (void)fputs(") COMPREPLY=(); return ;;\n"
                "    esac\n"
                "    local words=\n"
                "    case \"$noun $verb\" in\n"
                "    ' ') words='",
                to);
    for (size_t n = 0; nouns[n] != NULL; n++) {
        (void)fprintf(to, "%s ", nouns[n]->name);
    }
    (void)fputs("help --version", to);
    print_options(to, OPTIONS_ALL);
    (void)fputs("' ;;\n", to);
    for (size_t n = 0; nouns[n] != NULL; n++) {
        const struct noun *noun = nouns[n];
        if (noun->verbs[0].name != NULL) {
            (void)fprintf(to, "    '%s ') words='", noun->name);
            for (size_t m = 0; m < noun->verb_count; m++) {
                (void)fprintf(to, "%s%s", m > 0 ? " " : "", noun->verbs[m].name);
            }
            print_options(to, OPTIONS_ALL);
            (void)fputs("' ;;\n", to);
        }
        for (size_t m = 0; m < noun->verb_count; m++) {
            const struct verb *verb = &noun->verbs[m];
            (void)fprintf(to, "    '%s %s') words='", noun->name, verb->name == NULL ? "" : verb->name);
            print_options(to, verb->options | OPTIONS_ALL);
            (void)fputs("' ;;\n", to);
        }
    }
    (void)fputs("    esac\n"
                "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "}\n"
                "complete -F _vigil vigil\n",
                to);
}

static enum exit_status
run_bash(struct command *command)
{
    completion_print(command->out.to);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "bash", NULL, 0, 0, 0, "Print the completion for bash",
      "Example:\n"
      "  vigil completion bash > ~/.local/share/bash-completion/completions/vigil\n",
      run_bash },
};

const struct noun completion_noun = { "completion", "Complete words with the Tab key", verbs, 1 };
