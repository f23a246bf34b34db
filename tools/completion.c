/* completion.c - `vigil completion`: made of the table of subcommands, and of the codebook that comes with the program, so that it cannot
 * fall behind.
 *
 *     vigil --node DIR case set KEN-2026-0042 status=tri|
 *                      noun verb  place 1: ID  place 2 and on: NAME=VALUE     --help calls it so, and values[] says what may stand there
 *
 * What finds the words is the same for bash and zsh, in what both understand; each has a few lines of its own around it. No node is
 * asked: a key that is pressed must not wait, and what a case says has no place on a command line. */
#include "tools/command.h"

#include "node/casework/board.h"
#include "node/casework/roles.h"
#include "node/casework/statistics.h"
#include "node/codebook_json.h"
#include "node/labels.h"
#include "tools/mapping.h"

#include <string.h>

/* --- the table --- */

static void
put_options(FILE *to, option_bits has)
{
    for (int n = 0; n < OPT_COUNT; n++) {
        if ((has >> n & 1) != 0) {
            (void)fprintf(to, " --%s", option_texts[n].name);
        }
    }
}

static void
put_verbs(FILE *to, const struct noun *noun)
{
    for (size_t n = 0; n < noun->verb_count; n++) {
        (void)fprintf(to, "%s%s", n > 0 ? " " : "", noun->verbs[n].name);
    }
}

static void
put_table(FILE *to)
{
    (void)fputs("# What may stand behind a noun and a verb.\n"
                "_vigil_table() {\n"
                "    case \"$1 $2\" in\n"
                "    ' ') offer='",
                to);
    for (size_t n = 0; nouns[n] != NULL; n++) {
        (void)fprintf(to, "%s ", nouns[n]->name);
    }
    (void)fputs("help --version", to);
    put_options(to, OPTIONS_ALL);
    (void)fputs("' ;;\n    'help ') offer='", to);
    for (size_t n = 0; nouns[n] != NULL; n++) {
        (void)fprintf(to, "%s%s", n > 0 ? " " : "", nouns[n]->name);
    }
    (void)fputs("' ;;\n", to);
    for (size_t n = 0; nouns[n] != NULL; n++) {
        const struct noun *noun = nouns[n];
        if (noun->verbs[0].name != NULL) {
            (void)fprintf(to, "    '%s ') offer='", noun->name);
            put_verbs(to, noun);
            put_options(to, OPTIONS_ALL);
            (void)fprintf(to, "' ;;\n    'help %s') offer='", noun->name);
            put_verbs(to, noun);
            (void)fputs("' ;;\n", to);
        }
        for (size_t m = 0; m < noun->verb_count; m++) {
            const struct verb *verb = &noun->verbs[m];
            (void)fprintf(to, "    '%s %s') offer='", noun->name, verb->name == NULL ? "" : verb->name);
            put_options(to, verb->options | OPTIONS_ALL);
            (void)fputs("' ;;\n", to);
        }
    }
    (void)fputs("    esac\n}\n", to);
}

/* --- places --- */

static void
put_option_places(FILE *to)
{
    (void)fputs("# What an option takes; false if it takes nothing.\n"
                "_vigil_option() {\n"
                "    case $1 in\n",
                to);
    for (int n = 0; n < OPT_COUNT; n++) {
        if (option_texts[n].value != NULL) {
            (void)fprintf(to, "    --%s) place='%s' ;;\n", option_texts[n].name, option_texts[n].value);
        }
    }
    (void)fputs("    *) return 1 ;;\n    esac\n}\n", to);
}

/* The places of a verb are the words of its usage, but for options that it wants, with what they take. */
static void
put_verb_places(FILE *to, const char *noun, const struct verb *verb)
{
    const char *at = verb->words == NULL ? "" : verb->words;

    for (size_t place = 1; *at != '\0';) {
        size_t size = strcspn(at, " ");
        bool option = strncmp(at, "--", 2) == 0;

        if (option) {
            size += at[size] == ' ' ? 1 + strcspn(at + size + 1, " ") : 0;
        } else {
            const char *name = at + strspn(at, "[");
            size_t length = size - (size_t)(name - at);
            while (length > 0 && strchr("].", name[length - 1]) != NULL) {
                length--;
            }
            (void)fprintf(to, "    '%s %s '", noun, verb->name == NULL ? "" : verb->name);
            /* What may be repeated stands last. */
            if (memmem(at, size, "...", 3) != NULL) {
                (void)fputc('*', to);
            } else {
                (void)fprintf(to, "%zu", place);
            }
            (void)fprintf(to, ") place='%.*s' ;;\n", (int)length, name);
            place++;
        }
        at += size;
        at += *at == ' ';
    }
}

static void
put_places(FILE *to)
{
    (void)fputs("# Is it a noun without verbs?\n"
                "_vigil_alone() {\n"
                "    case $1 in\n",
                to);
    for (size_t n = 0; nouns[n] != NULL; n++) {
        if (nouns[n]->verbs[0].name == NULL) {
            (void)fprintf(to, "    %s) ;;\n", nouns[n]->name);
        }
    }
    (void)fputs("    *) return 1 ;;\n    esac\n}\n"
                "# What stands in a place behind a noun and a verb.\n"
                "_vigil_place() {\n"
                "    case \"$1 $2 $3\" in\n",
                to);
    for (size_t n = 0; nouns[n] != NULL; n++) {
        for (size_t m = 0; m < nouns[n]->verb_count; m++) {
            put_verb_places(to, nouns[n]->name, &nouns[n]->verbs[m]);
        }
    }
    (void)fputs("    esac\n}\n", to);
}

/* --- what stands in a place --- */

static const struct codebook_vocabulary *
find_vocabulary(const char *name)
{
    const struct codebook *codebook = codebook_reprisals();

    for (size_t n = 0; n < codebook->vocabulary_count; n++) {
        if (strcmp(codebook->vocabularies[n].name, name) == 0) {
            return &codebook->vocabularies[n];
        }
    }
    return NULL;
}

static void
put_vocabulary(FILE *to, const struct codebook_vocabulary *vocabulary)
{
    for (size_t n = 0; vocabulary != NULL && n < vocabulary->value_count; n++) {
        (void)fprintf(to, " %s", vocabulary->values[n].name);
    }
}

static void
put_scopes(FILE *to)
{
    put_vocabulary(to, find_vocabulary("consent_scope"));
}

static void
put_erase_reasons(FILE *to)
{
    put_vocabulary(to, find_vocabulary("restriction_reason"));
}

static void
put_not_same_reasons(FILE *to)
{
    put_vocabulary(to, find_vocabulary("not_same_reason"));
}

static void
put_operations(FILE *to)
{
    put_vocabulary(to, find_vocabulary("audit_operation"));
}

static void
put_kinds(FILE *to)
{
    const struct codebook *codebook = codebook_reprisals();

    for (size_t n = 0; n < codebook->kind_count; n++) {
        (void)fprintf(to, " %s", codebook->kinds[n].name);
    }
}

static bool
is_of_case(const struct codebook_field *field)
{
    const struct codebook_kind *kind = codebook_kind_by_name(codebook_reprisals(), "case");

    return kind != NULL && (field->kinds >> kind->number & 1) != 0;
}

/* Two kinds may have a field of one name. */
static bool
is_named_before(size_t at)
{
    const struct codebook *codebook = codebook_reprisals();

    for (size_t n = 0; n < at; n++) {
        if (strcmp(codebook->fields[n].name, codebook->fields[at].name) == 0) {
            return true;
        }
    }
    return false;
}

/* Names of fields, each with `end`; only those of a case, only dates. What opens a file is never typed. */
static void
put_fields(FILE *to, bool of_case, bool dates, const char *end)
{
    const struct codebook *codebook = codebook_reprisals();

    for (size_t n = 0; n < codebook->field_count; n++) {
        const struct codebook_field *field = &codebook->fields[n];

        if ((of_case ? is_of_case(field) : !is_named_before(n)) && field->type != TYPE_FILE_KEY &&
            (!dates || field->type == TYPE_DATE)) {
            (void)fprintf(to, " %s%s", field->name, end);
        }
    }
}

static void
put_case_names(FILE *to)
{
    put_fields(to, true, false, "");
}

static void
put_names(FILE *to)
{
    put_fields(to, false, false, "");
}

static void
put_case_fields(FILE *to)
{
    put_fields(to, true, false, "=");
}

static void
put_all_fields(FILE *to)
{
    put_fields(to, false, false, "=");
}

static void
put_dates(FILE *to)
{
    put_fields(to, false, true, "=");
}

static void
put_languages(FILE *to)
{
    for (size_t n = 0; n < LABELS_LANGUAGES_UN; n++) {
        (void)fprintf(to, " %s", labels_languages[n]);
    }
}

static void
put_lists(FILE *to)
{
    const struct codebook *codebook = codebook_reprisals();

    (void)fputs("kinds collections fields steps values", to);
    for (size_t n = 0; n < LABELS_LISTS; n++) {
        (void)fprintf(to, " %s", labels_list_names[n]);
    }
    for (size_t n = 0; n < codebook->vocabulary_count; n++) {
        (void)fprintf(to, " %s", codebook->vocabularies[n].name);
    }
}

static void
put_boards(FILE *to)
{
    size_t count = 0;
    const struct board *boards = board_all(&count);

    for (size_t n = 0; n < count; n++) {
        (void)fprintf(to, " %s", boards[n].name);
    }
}

static void
put_tables(FILE *to)
{
    size_t count = 0;
    const struct statistics_table *tables = statistics_tables(&count);

    for (size_t n = 0; n < count; n++) {
        (void)fprintf(to, " %s", tables[n].name);
    }
}

static void
put_mappings(FILE *to)
{
    for (size_t n = 0; mapping_ready_name(n) != NULL; n++) {
        (void)fprintf(to, " %s", mapping_ready_name(n));
    }
}

static void
put_roles(FILE *to)
{
    for (uint32_t role = 1; role != 0; role <<= 1) {
        if (role_name(role)[0] != '\0') {
            (void)fprintf(to, " %s", role_name(role));
        }
    }
}

/* What may stand where, the first that matches "NOUN VERB PLACE". */
static const struct {
    const char *pattern;
    const char *how;       /* "files", "folders" or "" */
    const char *words;     /* these, or */
    void (*put)(FILE *to); /* those that this prints; NULL: none */
} values[] = {
    { "'peer set NAME=VALUE'", "",
      "profile= interval= quiet_hours= day_bytes= month_bytes= schedule= envelope= configured", NULL },
    { "'backup make NAME'", "files", "", NULL },
    { "'import mapping NAME'", "", "", put_mappings },
    { "'board  NAME'", "", "", put_boards },
    { "'stats  TABLE'", "", "", put_tables },
    { "'stats  FIELD,FIELD'", "", "region subregion state", NULL },
    { "'erase order REASON'", "", "", put_erase_reasons },
    { "'duplicate reject REASON'", "", "", put_not_same_reasons },
    { "'duplicate '*' KIND'", "", "person case", NULL },
    /* Its kind is a media type, and a file that was added goes by its address. */
    { "'blob add FILE'", "files", "", NULL },
    { "'blob '*' KIND' | 'blob '*' FILE'", "", "", NULL },
    { "'about  LANGUAGE'", "", "ar es fr ru zh template", NULL },
    { "'case '*' NAME=VALUE' | 'case '*' FIELD=VALUE'", "", "", put_case_fields },
    { "*' NAME=VALUE' | *' FIELD=VALUE'", "", "", put_all_fields },
    { "*' FIELD=YYYY-MM'", "", "", put_dates },
    { "'case '*' FIELD' | 'case '*' FIELD,FIELD' | 'case '*' NAME,NAME...' | 'case '*' TARGET'", "", "",
      put_case_names },
    { "*' FIELD' | *' FIELD,FIELD' | *' NAME,NAME...' | *' TARGET'", "", "", put_names },
    { "*' KIND'", "", "", put_kinds },
    { "*' LANGUAGE'", "", "", put_languages },
    { "*' LEVEL'", "", "L0 L1 L2 L3", NULL },
    { "*' LIST'", "", "", put_lists },
    { "*' MAPPING'", "files", "", put_mappings },
    { "*' PROXY'", "", "none socks5://", NULL },
    { "*' ROLE'", "", "", put_roles },
    { "*' SCOPE'", "", "", put_scopes },
    { "'bundle export WHICH'", "", "wanted all none", NULL },
    { "*' WHICH'", "", "all none", NULL },
    { "*' WHAT'", "", "", put_operations },
    { "*' DIR' | *' FOLDER'", "folders", "", NULL },
    { "*' FILE' | *' PATH' | *' NEW'", "files", "", NULL },
};

static void
put_offers(FILE *to)
{
    (void)fputs("# What may stand in such a place.\n"
                "_vigil_offer() {\n"
                "    case \"$1 $2 $3\" in\n",
                to);
    for (size_t n = 0; n < sizeof values / sizeof values[0]; n++) {
        (void)fprintf(to, "    %s) how=%s offer=\"%s", values[n].pattern, values[n].how, values[n].words);
        if (values[n].put != NULL) {
            values[n].put(to);
        }
        (void)fputs("\" ;;\n", to);
    }
    (void)fputs("    esac\n}\n", to);
}

/* Values of coded fields: what follows their =. */
static void
put_field_values(FILE *to)
{
    const struct codebook *codebook = codebook_reprisals();

    (void)fputs("# The values of a field. Those that are confidential are typed at a prompt.\n"
                "_vigil_values() {\n"
                "    case $1 in\n"
                "    ",
                to);
    const char *bar = "";
    for (size_t n = 0; n < codebook->field_count; n++) {
        if (codebook->fields[n].sensitivity == LEVEL_L3 && !is_named_before(n)) {
            (void)fprintf(to, "%s%s", bar, codebook->fields[n].name);
            bar = "|";
        }
    }
    (void)fputs(") offer=\"-\"; return ;;\n    esac\n", to);
    for (size_t v = 0; v < codebook->vocabulary_count; v++) {
        bar = "";
        for (size_t n = 0; n < codebook->field_count; n++) {
            const struct codebook_field *field = &codebook->fields[n];
            if (field->vocabulary == codebook->vocabularies[v].number && field->sensitivity != LEVEL_L3) {
                (void)fprintf(to, "%s%s", bar[0] == '\0' ? "    case $1 in " : bar, field->name);
                bar = "|";
            }
        }
        if (bar[0] != '\0') {
            (void)fputs(") offer=\"$offer", to);
            put_vocabulary(to, &codebook->vocabularies[v]);
            (void)fputs("\" ;; esac\n", to);
        }
    }
    bar = "";
    for (size_t n = 0; n < codebook->field_count; n++) {
        if (codebook->fields[n].type == TYPE_BOOL && !is_named_before(n) &&
            codebook->fields[n].sensitivity != LEVEL_L3) {
            (void)fprintf(to, "%s%s", bar[0] == '\0' ? "    case $1 in " : bar, codebook->fields[n].name);
            bar = "|";
        }
    }
    (void)fputs(bar[0] == '\0' ? "" : ") offer=\"yes no\" ;; esac\n", to);
    (void)fputs("}\n", to);
}

/* --- finding, in what both shells understand --- */

static const char find[] =
    "# Given what was typed, the word at the cursor last: how=files or folders, the words in offer, those of "
    "them that begin\n"
    "# with word fit, and prefix stands before it.\n"
    "_vigil_find() {\n"
    "    noun= verb= wants= place= how= offer= prefix= count=0\n"
    "    while [ $# -gt 1 ]; do\n"
    "        if [ -n \"$wants\" ]; then\n"
    "            wants=\n"
    "        else\n"
    "            case $1 in\n"
    "            --*=*) ;;\n"
    "            --*) if _vigil_option \"$1\"; then wants=$1; fi ;;\n"
    "            -?*) ;;\n"
    "            *) if [ -z \"$noun\" ]; then\n"
    "                noun=$1\n"
    "            elif [ -z \"$verb\" ] && ! _vigil_alone \"$noun\"; then\n"
    "                verb=$1\n"
    "            else\n"
    "                count=$((count + 1))\n"
    "            fi ;;\n"
    "            esac\n"
    "        fi\n"
    "        shift\n"
    "    done\n"
    "    word=$1 place=\n"
    "    if [ -n \"$wants\" ]; then\n"
    "        _vigil_option \"$wants\"\n"
    "    else\n"
    "        case $word in\n"
    "        --*=*)\n"
    "            if ! _vigil_option \"${word%%=*}\"; then return; fi\n"
    "            prefix=${word%%=*}= word=${word#*=} ;;\n"
    "        -?*) ;;\n"
    "        *)\n"
    "            if [ -n \"$verb\" ] || _vigil_alone \"$noun\"; then\n"
    "                _vigil_place \"$noun\" \"$verb\" \"$((count + 1))\"\n"
    "            fi ;;\n"
    "        esac\n"
    "    fi\n"
    "    if [ -z \"$place\" ]; then\n"
    "        _vigil_table \"$noun\" \"$verb\"\n"
    "        return\n"
    "    fi\n"
    "    case \"$place $word\" in\n"
    "    *,*' '*,*) prefix=$prefix${word%,*}, word=${word##*,} ;;\n"
    "    'FIELD=YYYY-MM '*=*) return ;;\n"
    "    *'=VALUE '*=*)\n"
    "        _vigil_values \"${word%%=*}\"\n"
    "        prefix=$prefix${word%%=*}= word=${word#*=}\n"
    "        return ;;\n"
    "    esac\n"
    "    _vigil_offer \"$noun\" \"$verb\" \"$place\"\n"
    "    if [ -z \"$wants$prefix$how$offer\" ]; then _vigil_table \"$noun\" \"$verb\"; fi\n"
    "}\n";

static const char bash_end[] =
    "_vigil() {\n"
    "    local noun verb wants place how offer prefix count word piece n IFS=$' \\t\\n'\n"
    "    local typed=() last=${COMP_WORDS[COMP_CWORD]}\n"
    "    # Bash takes words apart at an equals sign.\n"
    "    for ((n = 1; n <= COMP_CWORD; n++)); do\n"
    "        piece=${COMP_WORDS[n]}\n"
    "        if ((${#typed[@]} > 0)) && [[ $piece == =* || (${COMP_WORDS[n - 1]} == '=' && $piece != -*) ]]; "
    "then\n"
    "            typed[${#typed[@]}-1]+=$piece\n"
    "        else\n"
    "            typed+=(\"$piece\")\n"
    "        fi\n"
    "    done\n"
    "    _vigil_find \"${typed[@]}\"\n"
    "    # What it took apart is not part of the answer either.\n"
    "    if [[ ${typed[${#typed[@]}-1]} != \"$last\" ]]; then prefix=${prefix##*=}; fi\n"
    "    mapfile -t COMPREPLY < <(compgen -P \"$prefix\" -W \"$offer\" -- \"$word\")\n"
    "    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n"
    "    case $how in files) n=f ;; folders) n=d ;; *) return ;; esac\n"
    "    mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -P \"$prefix\" \"-$n\" -- \"$word\")\n"
    "    compopt -o filenames 2>/dev/null\n"
    "}\n"
    "complete -F _vigil vigil\n";

static const char zsh_end[] =
    "_vigil() {\n"
    "    local noun verb wants place how offer prefix count word piece\n"
    "    local -a ends more\n"
    "    _vigil_find \"${(@)words[2,CURRENT-1]}\" \"$PREFIX\"\n"
    "    if [[ -n $prefix ]]; then compset -p ${#prefix}; fi\n"
    "    for piece in ${=offer}; do\n"
    "        if [[ $piece == *= ]]; then more+=($piece); else ends+=($piece); fi\n"
    "    done\n"
    "    if (( $#more )); then compadd -S '' -- $more; fi\n"
    "    if (( $#ends )); then compadd -- $ends; fi\n"
    "    case $how in\n"
    "    files) _files ;;\n"
    "    folders) _files -/ ;;\n"
    "    esac\n"
    "}\n"
    "# As a file of fpath it is the function itself; else it is read once.\n"
    "if [[ $funcstack[1] == _vigil ]]; then _vigil \"$@\"; else compdef _vigil vigil; fi\n";

void
completion_print(enum completion_shell shell, FILE *to)
{
    (void)fputs(shell == COMPLETION_ZSH
                    ? "#compdef vigil\n# zsh completion of vigil, printed by: vigil completion zsh\n"
                    : "# bash completion of vigil, printed by: vigil completion bash\n",
                to);
    put_table(to);
    put_option_places(to);
    put_places(to);
    put_offers(to);
    put_field_values(to);
    (void)fputs(find, to);
    (void)fputs(shell == COMPLETION_ZSH ? zsh_end : bash_end, to);
}

static enum exit_status
run_bash(struct command *command)
{
    completion_print(COMPLETION_BASH, command->out.to);
    return STATUS_DONE;
}

static enum exit_status
run_zsh(struct command *command)
{
    completion_print(COMPLETION_ZSH, command->out.to);
    return STATUS_DONE;
}

static const struct verb verbs[] = {
    { "bash", NULL, 0, 0, 0, "Print the completion for bash",
      "It knows nouns, verbs, options, and of values those that the program knows without a node: kinds, "
      "fields and "
      "their values, as the codebook that comes with it has them, languages, lists, files.\n\n"
      "Example:\n"
      "  vigil completion bash > ~/.local/share/bash-completion/completions/vigil\n",
      run_bash },
    { "zsh", NULL, 0, 0, 0, "Print the completion for zsh",
      "As for bash. The folder has to be in fpath before compinit runs.\n\n"
      "Example:\n"
      "  vigil completion zsh > ~/.zfunc/_vigil\n",
      run_zsh },
};

const struct noun completion_noun = { "completion", "Complete words with the Tab key", verbs,
                                      sizeof verbs / sizeof verbs[0] };
