/* vigil.c - vigil NOUN VERB: finds the verb in the table and has it run. */
#include "tools/command.h"

#include "store/base/nearest.h"
#include "tools/translation.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_SECONDS = 60, WAIT_SECONDS_MAX = 86400, NAMES_MAX = 40 };

const struct noun *const nouns[] = {
    &case_noun,     &record_noun,    &search_noun,  &urgent_noun,     &board_noun,  &conflict_noun,
    &why_noun,      &duplicate_noun, &consent_noun, &import_noun,     &export_noun, &stats_noun,
    &snapshot_noun, &peer_noun,      &sync_noun,    &status_noun,     &device_noun, &held_noun,
    &erase_noun,    &epoch_noun,     &digest_noun,  &codebook_noun,   &actor_noun,  &audit_noun,
    &backup_noun,   &inspect_noun,   &bundle_noun,  &blob_noun,       &doctor_noun, &offices_noun,
    &top_noun,      &log_noun,       &metrics_noun, &completion_noun, &about_noun,  NULL,
};

static const struct noun *
find_noun(const char *name)
{
    for (size_t n = 0; nouns[n] != NULL; n++) {
        if (strcmp(nouns[n]->name, name) == 0) {
            return nouns[n];
        }
    }
    return NULL;
}

static const struct verb *
find_verb(const struct noun *noun, const char *name)
{
    for (size_t n = 0; n < noun->verb_count; n++) {
        const char *here = noun->verbs[n].name;
        if (here != NULL && name != NULL && strcmp(here, name) == 0) {
            return &noun->verbs[n];
        }
    }
    return NULL;
}

/* --- Help -------------------------------------------------------------------- */

const char *const help_texts[HELP_TEXTS] = {
    [HELP_PURPOSE] = "Make, find and read cases on this node, and see how it and its peers are.",
    [HELP_NODE] = "The node is the one in DIR, else in $VIGIL_NODE, else in " CLIENT_STATE_DIR ".",
    [HELP_VERBS] = "the verbs of a noun",
    [HELP_OPTIONS] = "options and examples of a verb",
    [HELP_VERSION] = "the version",
    [HELP_MANUAL] = "all of it, exit statuses too; man 7 vigil explains the words",
};

static void
help_all(struct translation *translation, FILE *to)
{
    (void)fprintf(to, "Usage: vigil [--node DIR] [--json] NOUN VERB ...\n%s\n\n",
                  translate(translation, help_texts[HELP_PURPOSE]));
    for (size_t n = 0; nouns[n] != NULL; n++) {
        (void)fprintf(to, "  %-11s %s\n", nouns[n]->name, translate(translation, nouns[n]->summary));
    }
    (void)fprintf(
        to,
        "\n%s\n\n"
        "  vigil help NOUN          %s\n"
        "  vigil NOUN VERB --help   %s\n"
        "  vigil --version          %s\n"
        "  man vigil                %s\n",
        translate(translation, help_texts[HELP_NODE]), translate(translation, help_texts[HELP_VERBS]),
        translate(translation, help_texts[HELP_OPTIONS]), translate(translation, help_texts[HELP_VERSION]),
        translate(translation, help_texts[HELP_MANUAL]));
}

static void
help_noun(const struct noun *noun, struct translation *translation, FILE *to)
{
    (void)fprintf(to, "Usage: vigil %s VERB ...\n%s.\n\n", noun->name, translate(translation, noun->summary));
    for (size_t n = 0; n < noun->verb_count; n++) {
        (void)fprintf(to, "  %-9s %s\n", noun->verbs[n].name, translate(translation, noun->verbs[n].summary));
    }
    (void)fprintf(to, "\n  vigil %s VERB --help   %s\n", noun->name,
                  translate(translation, help_texts[HELP_OPTIONS]));
}

/* Help in the language of the environment: of all if `noun` is NULL, of a noun if `verb` is. */
static void
print_help(const struct noun *noun, const struct verb *verb, FILE *to)
{
    struct translation *translation = translation_choose();

    if (noun == NULL) {
        help_all(translation, to);
    } else if (verb == NULL && noun->verbs[0].name != NULL) {
        help_noun(noun, translation, to);
    } else {
        args_help(noun, verb == NULL ? &noun->verbs[0] : verb, translation, to);
    }
    translation_close(&translation);
}

/* --- Finding what is meant --------------------------------------------------- */

static enum exit_status
no_noun(const struct command *command, const char *typed)
{
    const char *names[NAMES_MAX] = { "help" };
    struct client_fault fault;
    char hint[128] = "vigil help lists all nouns";
    size_t count = 1;

    for (size_t n = 0; nouns[n] != NULL; n++) {
        names[count++] = nouns[n]->name;
    }
    const char *nearest = nearest_name(typed, names, count);
    if (nearest != NULL) {
        (void)snprintf(hint, sizeof hint, "perhaps vigil %s is meant", nearest);
    }
    (void)fault_set(&fault, "usage", hint, "there is no noun '%s'", typed);
    return command_fail(command, &fault, "nothing was done");
}

static enum exit_status
no_verb(const struct command *command, const struct noun *noun, const char *typed)
{
    const char *names[NAMES_MAX];
    struct client_fault fault;
    char hint[128];

    for (size_t n = 0; n < noun->verb_count; n++) {
        names[n] = noun->verbs[n].name;
    }
    const char *nearest = nearest_name(typed, names, noun->verb_count);
    if (nearest != NULL) {
        (void)snprintf(hint, sizeof hint, "perhaps vigil %s %s is meant", noun->name, nearest);
    } else {
        (void)snprintf(hint, sizeof hint, "vigil help %s lists its verbs", noun->name);
    }
    (void)fault_set(&fault, "usage", hint, "%s has no verb '%s'", noun->name, typed);
    return command_fail(command, &fault, "nothing was done");
}

/* vigil help [NOUN [VERB]] */
static enum exit_status
run_help(const struct command *command, int argc, char **argv)
{
    const struct noun *noun = argc > 0 ? find_noun(argv[0]) : NULL;

    if (argc == 0) {
        print_help(NULL, NULL, stdout);
        return STATUS_DONE;
    }
    if (noun == NULL) {
        return no_noun(command, argv[0]);
    }
    if (argc == 1 || noun->verbs[0].name == NULL) {
        print_help(noun, NULL, stdout);
        return STATUS_DONE;
    }
    const struct verb *verb = find_verb(noun, argv[1]);
    if (verb == NULL) {
        return no_verb(command, noun, argv[1]);
    }
    print_help(noun, verb, stdout);
    return STATUS_DONE;
}

static enum exit_status
run_verb(struct command *command, int argc, char **argv)
{
    struct client_fault fault;
    long seconds = 0;

    if (!args_read(command, argc, argv, &fault) ||
        !args_number(command, OPT_TIMEOUT, 1, WAIT_SECONDS_MAX, WAIT_SECONDS, &seconds, &fault)) {
        return command_fail(command, &fault, "nothing was done");
    }
    if (args_has(command, OPT_HELP)) {
        print_help(command->noun, command->verb, stdout);
        return STATUS_DONE;
    }
    output_init(&command->out, args_has(command, OPT_JSON), args_has(command, OPT_NO_COLOR));
    command->wait_ms = (int)seconds * 1000;
    return command->verb->run(command);
}

/* What stands before the noun is moved behind the verb; NULL: no memory. */
static char **
move_head(int head, int words, int argc, char **argv)
{
    char **moved = calloc((size_t)argc + 1, sizeof *moved);

    if (moved != NULL) {
        memcpy(moved, argv, (size_t)head * sizeof *argv);
        memcpy(moved + head, argv + head + words, (size_t)(argc - head - words) * sizeof *argv);
    }
    return moved;
}

static enum exit_status
dispatch(struct command *command, int argc, char **argv)
{
    struct client_fault fault;
    int head = 0;
    int size = 0;

    for (enum opt option; (option = args_head(argc - head, argv + head, &size)) != OPT_NONE; head += size) {
        command->out.json = command->out.json || option == OPT_JSON;
        if (option == OPT_HELP) {
            print_help(NULL, NULL, stdout);
            return STATUS_DONE;
        }
        if (head + size > argc) {
            (void)fault_set(&fault, "usage", "give it one", "%s has no value", argv[head]);
            return command_fail(command, &fault, "nothing was done");
        }
    }
    const char *first = head < argc ? argv[head] : NULL;
    if (first == NULL) {
        print_help(NULL, NULL, stderr);
        return STATUS_USAGE;
    }
    if (strcmp(first, "--version") == 0) {
        (void)puts("vigil " VIGIL_VERSION);
        return STATUS_DONE;
    }
    if (strcmp(first, "help") == 0) {
        return run_help(command, argc - head - 1, argv + head + 1);
    }
    if (first[0] == '-') {
        (void)fault_set(&fault, "usage", "options of a verb stand after it; vigil help",
                        "there is no option %s before the noun", first);
        return command_fail(command, &fault, "nothing was done");
    }
    command->noun = find_noun(first);
    if (command->noun == NULL) {
        return no_noun(command, first);
    }
    const char *second = head + 1 < argc ? argv[head + 1] : NULL;
    bool alone = command->noun->verbs[0].name == NULL;
    if (!alone && second == NULL) {
        print_help(command->noun, NULL, stderr);
        return STATUS_USAGE;
    }
    if (!alone && strcmp(second, "--help") == 0) {
        print_help(command->noun, NULL, stdout);
        return STATUS_DONE;
    }
    command->verb = alone ? &command->noun->verbs[0] : find_verb(command->noun, second);
    if (command->verb == NULL) {
        return no_verb(command, command->noun, second);
    }
    int words = alone ? 1 : 2;
    char **moved = move_head(head, words, argc, argv);
    if (moved == NULL) {
        (void)fault_set(&fault, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                        err_text(ERR_MEMORY));
        return command_fail(command, &fault, "nothing was done");
    }
    enum exit_status status = run_verb(command, argc - words, moved);
    args_free(command);
    free(moved);
    return status;
}

int
main(int argc, char **argv)
{
    struct command command = { 0 };
    struct client_fault fault;

    output_init(&command.out, false, false);
    /* A mistake in the arguments is told as they ask for it, though they are not read yet. */
    for (int n = 1; n < argc; n++) {
        command.out.json = command.out.json || strcmp(argv[n], "--json") == 0;
    }
    enum exit_status status = dispatch(&command, argc - 1, argv + 1);
    if (output_end(&command.out) != ERR_OK && status == STATUS_DONE) {
        (void)fault_set(&fault, err_code(ERR_IO), "see that there is room where it is written to",
                        "the output could not be written");
        status = command_fail(&command, &fault, "it was done, but not all was printed");
    }
    client_close(&command.client);
    return (int)status;
}
