#include "tools/command.h"

#include "node/labels.h"
#include "store/base/nearest.h"
#include "tools/translation.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct option_text option_texts[OPT_COUNT] = {
    [OPT_NODE] = { "node", "DIR", "The node's state directory; else $VIGIL_NODE, else " CLIENT_STATE_DIR },
    [OPT_JSON] = { "json", NULL, "Print JSON for scripts, one object a line" },
    [OPT_NO_COLOR] = { "no-color", NULL, "Print no colours, as NO_COLOR in the environment does" },
    [OPT_QUIET] = { "quiet", NULL, "Say nothing about what went well" },
    [OPT_TIMEOUT] = { "timeout", "SECONDS", "How long to wait for the node; 60 if left out" },
    [OPT_ACTOR] = { "actor", "NUMBER", "The person of this office who asks" },
    [OPT_HELP] = { "help", NULL, "Print this and exit" },
    [OPT_SET] = { "set", "NAME=VALUE", "Set a field" },
    [OPT_ADD] = { "add", "NAME=VALUE",
                  "Add one value of a set, or a field of a new element; NAME alone begins the next element" },
    [OPT_REMOVE] = { "remove", "TARGET", "Remove one element, such as act[3f09a1c2]" },
    [OPT_NOTE] = { "note", "TEXT", "Add a note; it stays for good" },
    [OPT_RESOLVE] = { "resolve", "TARGET", "Let the new value replace all values of a field in conflict" },
    [OPT_FILE] = { "file", "FILE", "Take records from a file of JSON objects; - is standard input" },
    [OPT_KEEP_GOING] = { "keep-going", NULL, "After a refused record go on with the next" },
    [OPT_DRY_RUN] = { "dry-run", NULL, "Change nothing, and show what would be done" },
    [OPT_KIND] = { "kind", "KIND",
                   "The kind of record: person, source, focal_point and so on; of a file its media type" },
    [OPT_OFFICE] = { "office", "CODE",
                     "The office whose record it is; of a new one this node's own if left out" },
    [OPT_URGENT] = { "urgent", NULL, "Send it ahead of everything else" },
    [OPT_WHERE] = { "where", "FIELD=VALUE",
                    "Only records in which FIELD holds VALUE; several must all hold" },
    [OPT_MONTH] = { "month", "FIELD=YYYY-MM", "Only records in which the date FIELD falls into this month" },
    [OPT_CONFLICT] = { "conflict", NULL, "Only records of which a field holds more than one value" },
    [OPT_LIMIT] = { "limit", "N", "At most N of them; all if left out" },
    [OPT_COLUMNS] = { "columns", "NAME,NAME...", "Print these columns" },
    [OPT_BY] = { "by", "FIELD,FIELD", "Count by one or two fields" },
    [OPT_BY_NAME] = { "by-name", NULL, "Put the rows into alphabetical order instead of most first" },
    [OPT_IDS] = { "ids", NULL, "Print the target of every field and element, as --set and --remove take it" },
    [OPT_CHOOSE] = { "choose", "N", "Keep the sibling with number N; of an element: keep or remove" },
    [OPT_VALUE] = { "value", "VALUE", "Replace all siblings by this value" },
    [OPT_DEVICE] = { "device", "DEVICE", "The device: its fingerprint, its id or its name" },
    [OPT_NAME] = { "name", "NAME", "How to call the peer here" },
    [OPT_STATEMENTS] = { "statements", "FILE",
                         "Take in a statements file of the office; - is standard input" },
    [OPT_WATCH] = { "watch", NULL, "Print it again every two seconds, until interrupted" },
    [OPT_UNTIL_COMPLETE] = { "until-complete", NULL, "End when every peer is complete; see --timeout" },
    [OPT_WITH_DEVICE_KEYS] = { "with-device-keys", NULL,
                               "Put the secret keys of the device into it, so that it can be restored as it "
                               "is" },
    [OPT_KEY_MEMORY] = { "key-memory", "MIB", "Memory that opening it takes; without this it is measured" },
    [OPT_PASSPHRASE_FD] = { "passphrase-fd", "N",
                            "Read the passphrase from descriptor N, up to the first newline" },
    [OPT_OWN] = { "own", NULL, "Only what this device wrote" },
    [OPT_FRONTIER] = { "frontier", "FILE",
                       "Write what is held of every log to a new file, for the key ceremony" },
    [OPT_BEFORE] = { "before", "TIME",
                     "End each log before the first entry that claims this time or a later one" },
    [OPT_REASON] = { "reason", "REASON",
                     "Why: of an erasure consent_withdrawn, erasure_requested, safety, legal or other; of an "
                     "export a "
                     "sentence" },
    [OPT_YES] = { "yes", NULL, "Go on without being asked" },
    [OPT_WITHOUT] = { "without", "ENTRY",
                      "End its log before this entry, such as the first of a thief's branch" },
    [OPT_RECORD] = { "record", "ID", "Only what is about this record" },
    [OPT_WHAT] = { "what", "WHAT", "Only this: read, search, export, import, override, gate and so on" },
    [OPT_CSV] = { "csv", "FILE", "Write comma-separated values to a new file" },
    [OPT_UNSUPPRESSED] = { "unsuppressed", NULL, "Show small numbers too; the audit log notes it" },
    [OPT_NAMES] = { "names", NULL, "Show names too, where this node may read them; the audit log notes it" },
    [OPT_SINCE] = { "since", "TIME", "Only from this time on: 2026-03-01 or 2026-03-01T17:30Z" },
    [OPT_UNTIL] = { "until", "TIME", "Only before this time" },
    [OPT_WINDOW] = { "window", "ID", "Only what belongs to this reporting window" },
    [OPT_ALL] = { "all", NULL,
                  "Those too that were acknowledged, that somebody has decided on, or that were sent" },
    [OPT_MAPPING] = { "mapping", "MAPPING",
                      "Which column goes to which field: a file, or plain, uwazi or kobo; plain if left "
                      "out" },
    [OPT_REPEAT] = { "repeat", "FILE", "The second file, of a repeat group" },
    [OPT_REPORT] = { "report", "FILE", "Write what became of each row to a new CSV file" },
    [OPT_LEVEL] = { "level", "LEVEL",
                    "The highest sensitivity that goes out: L0, L1, L2 or L3; L2 if left out. Of a file: L2 "
                    "if it "
                    "shows nobody" },
    [OPT_PURPOSE] = { "purpose", "SCOPE",
                      "What the data are for, if they leave the office: publish_named, media or another "
                      "scope of "
                      "consent" },
    [OPT_HTML] = { "html", "FILE", "The new file that the page is written to" },
    [OPT_LANGUAGE] = { "language", "LANGUAGE",
                       "Labels in ar, en, es, fr, ru or zh; en where there is none, and if left out" },
    [OPT_TO] = { "to", "DEVICE",
                 "Who is to open it: a device, or the code of an office; may be given again" },
    [OPT_SIZE] = { "size", "BYTES", "What no volume passes: 650M, 4G; just under 4G if left out" },
    [OPT_RECEIPTS] = { "receipts", NULL,
                       "Only what the organisation is to know: receipts, certificates and keys" },
    [OPT_FILES] = { "files", "WHICH",
                    "Which evidence files go along: none, all, or, in a bundle, wanted: what was asked for, "
                    "and "
                    "what is small" },
    [OPT_ROUNDS] = { "rounds", "N", "How often; until it is stopped if left out" },
    [OPT_CLEAN] = { "clean", NULL, "Write a working copy without metadata, made by mat2" },
    [OPT_BYTES] = { "bytes", NULL, "Print the sealed payload too" },
    [OPT_PROXY] = { "proxy", "PROXY",
                    "Call the peer through this proxy alone: socks5://HOST:PORT, Tor's for one; or none" },
    [OPT_INTERVAL] = { "interval", "SECONDS", "Seconds from one page to the next; 2 if left out" },
    [OPT_TRANSLATIONS] = { "translations", NULL,
                           "Count the texts of this help in each language, or print them for translation" },
    [OPT_LIMITS] = { "limits", NULL, "Say what Vigil does not protect against" },
    [OPT_FOLLOW] = { "follow", NULL, "Go on with what comes, until interrupted" },
    [OPT_LEAST] = { "least", "LEVEL",
                    "Leave out what is less important: error, warning, notice, info or debug" },
    [OPT_CHECK] = { "check", NULL, "End with status 6 if there is something to look at" },
};

_Static_assert(OPT_COUNT <= 8 * sizeof(option_bits), "the options of a verb are bits of a number");

/* Keys of argp beyond the characters, so that no option has a short form. */
enum { KEY_FIRST = 256 };

static void
give(struct command *command, enum opt option, const char *text)
{
    command->given[command->given_count++] = (struct given){ option, text, NULL };
    if (option == OPT_NONE) {
        command->words[command->word_count++] = text;
    }
}

static error_t
take_option(int key, char *text, struct argp_state *state)
{
    struct command *command = state->input;

    if (key >= KEY_FIRST && key < KEY_FIRST + OPT_COUNT) {
        give(command, (enum opt)(key - KEY_FIRST), text);
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        give(command, OPT_NONE, text);
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

/* argp's own table for the options of `verb`. */
static void
make_options(const struct verb *verb, struct translation *translation,
             struct argp_option options_out[OPT_COUNT + 1])
{
    option_bits has = verb->options | OPTIONS_ALL;
    size_t count = 0;

    memset(options_out, 0, (OPT_COUNT + 1) * sizeof *options_out);
    for (int n = 0; n < OPT_COUNT; n++) {
        if ((has >> n & 1) != 0) {
            options_out[count++] = (struct argp_option){
                .name = option_texts[n].name,
                .key = KEY_FIRST + n,
                .arg = option_texts[n].value,
                .doc = translate(translation, option_texts[n].help),
                .group = n <= OPT_HELP ? 2 : 1, /* a verb's own come first */
            };
        }
    }
}

/* The option of `has` that `text` ("--name" or "--name=value") means, whole or as the only one that begins
 * so; OPT_NONE: none. */
static enum opt
find_option(option_bits has, const char *text)
{
    size_t length = strcspn(text + 2, "=");
    enum opt found = OPT_NONE;
    size_t count = 0;

    for (int n = 0; n < OPT_COUNT; n++) {
        const char *name = option_texts[n].name;
        if ((has >> n & 1) != 0 && strncmp(text + 2, name, length) == 0) {
            if (name[length] == '\0') {
                return (enum opt)n;
            }
            found = (enum opt)n;
            count++;
        }
    }
    return count == 1 ? found : OPT_NONE;
}

static bool
no_option(const struct command *command, option_bits has, const char *text, struct client_fault *fault)
{
    const char *names[OPT_COUNT];
    char typed[64];
    char hint[160];
    size_t count = 0;
    const char *verb = command->verb->name == NULL ? "" : command->verb->name;

    for (size_t n = 0; n < OPT_COUNT; n++) {
        if ((has >> n & 1) != 0) {
            names[count++] = option_texts[n].name;
        }
    }
    size_t dashes = strspn(text, "-");
    (void)snprintf(typed, sizeof typed, "%.*s", (int)strcspn(text + dashes, "="), text + dashes);
    const char *nearest = nearest_name(typed, names, count);
    if (nearest != NULL) {
        (void)snprintf(hint, sizeof hint, "perhaps --%s is meant", nearest);
    } else {
        (void)snprintf(hint, sizeof hint, "vigil %s %s%s--help lists the options", command->noun->name, verb,
                       verb[0] == '\0' ? "" : " ");
    }
    return fault_set(fault, "usage", hint, "there is no option %.*s%.*s", (int)dashes, text,
                     (int)sizeof typed, typed);
}

/* argp complains in its own way and on its own; so nothing wrong comes to it. */
static bool
check_options(const struct command *command, int argc, char **argv, struct client_fault *fault)
{
    option_bits has = command->verb->options | OPTIONS_ALL;

    for (int n = 0; n < argc && strcmp(argv[n], "--") != 0; n++) {
        if (argv[n][0] != '-' || argv[n][1] == '\0') {
            continue;
        }
        enum opt option = argv[n][1] == '-' ? find_option(has, argv[n]) : OPT_NONE;
        if (option == OPT_NONE) {
            return no_option(command, has, argv[n], fault);
        }
        const struct option_text *text = &option_texts[option];
        bool attached = strchr(argv[n], '=') != NULL;
        if (text->value == NULL && attached) {
            return fault_set(fault, "usage", "leave out the = and what follows", "--%s takes no value",
                             text->name);
        }
        if (text->value != NULL && !attached) {
            if (n + 1 == argc) {
                char hint[96];
                (void)snprintf(hint, sizeof hint, "write --%s %s", text->name, text->value);
                return fault_set(fault, "usage", hint, "--%s has no value", text->name);
            }
            n++;
        }
    }
    return true;
}

static bool
check_words(const struct command *command, struct client_fault *fault)
{
    const struct verb *verb = command->verb;
    char hint[160];

    (void)snprintf(hint, sizeof hint, "write vigil %s%s%s%s%s", command->noun->name,
                   verb->name == NULL ? "" : " ", verb->name == NULL ? "" : verb->name,
                   verb->words == NULL ? "" : " ", verb->words == NULL ? "" : verb->words);
    if (command->word_count > verb->word_max) {
        return fault_set(fault, "usage", hint, "'%s' is one word too many", command->words[verb->word_max]);
    }
    if (command->word_count < verb->word_min) {
        return fault_set(fault, "usage", hint, "something is missing after '%s'",
                         verb->name == NULL ? command->noun->name : verb->name);
    }
    return true;
}

bool
args_read(struct command *command, int argc, char **argv, struct client_fault *fault_out)
{
    struct argp_option options[OPT_COUNT + 1];
    struct argp argp = { .options = options, .parser = take_option };

    if (!check_options(command, argc, argv, fault_out)) {
        return false;
    }
    /* One place for each argument, and the name that argp expects first. */
    command->given = calloc((size_t)argc + 1, sizeof *command->given);
    command->words = calloc((size_t)argc + 1, sizeof *command->words);
    char **with_name = calloc((size_t)argc + 2, sizeof *with_name);
    bool good = command->given != NULL && command->words != NULL && with_name != NULL;
    if (good) {
        static char name[] = "vigil";
        with_name[0] = name;
        memcpy(with_name + 1, argv, (size_t)argc * sizeof *argv);
        make_options(command->verb, NULL, options);
        good = argp_parse(&argp, argc + 1, with_name, ARGP_SILENT | ARGP_IN_ORDER, NULL, command) == 0;
    }
    free(with_name);
    if (!good) {
        return fault_set(fault_out, err_code(ERR_MEMORY), "close other programs and try again", "%s",
                         err_text(ERR_MEMORY));
    }
    return args_has(command, OPT_HELP) || check_words(command, fault_out);
}

void
args_free(struct command *command)
{
    for (size_t n = 0; n < command->given_count; n++) {
        free(command->given[n].own);
    }
    json_decref(command->codebook);
    command->codebook = NULL;
    labels_close(&command->labels);
    free(command->given);
    free(command->words);
    command->given = NULL;
    command->words = NULL;
    command->given_count = 0;
    command->word_count = 0;
}

enum opt
args_head(int argc, char **argv, int *size_out)
{
    enum opt option = OPT_NONE;

    if (argc > 0 && strncmp(argv[0], "--", 2) == 0 && argv[0][2] != '\0') {
        option = find_option(OPTIONS_ALL, argv[0]);
    }
    *size_out = 1;
    if (option != OPT_NONE && option_texts[option].value != NULL && strchr(argv[0], '=') == NULL) {
        *size_out = 2;
    }
    return option;
}

bool
args_has(const struct command *command, enum opt option)
{
    for (size_t n = 0; n < command->given_count; n++) {
        if (command->given[n].option == option) {
            return true;
        }
    }
    return false;
}

const char *
args_value(const struct command *command, enum opt option)
{
    const char *value = NULL;

    for (size_t n = 0; n < command->given_count; n++) {
        if (command->given[n].option == option) {
            value = command->given[n].text;
        }
    }
    return value;
}

bool
args_number(const struct command *command, enum opt option, long min, long max, long missing,
            long *number_out, struct client_fault *fault_out)
{
    const char *text = args_value(command, option);
    char hint[96];
    char *end = NULL;

    if (text == NULL) {
        *number_out = missing;
        return true;
    }
    errno = 0;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < min || number > max) {
        (void)snprintf(hint, sizeof hint, "give a whole number from %ld to %ld", min, max);
        if (option == OPT_PASSPHRASE_FD) {
            /* It may be the passphrase itself. */
            return fault_set(fault_out, "usage", hint, "--passphrase-fd takes the number of a descriptor");
        }
        return fault_set(fault_out, "usage", hint, "--%s cannot be '%s'", option_texts[option].name, text);
    }
    *number_out = number;
    return true;
}

void
args_help(const struct noun *noun, const struct verb *verb, struct translation *translation, FILE *to)
{
    struct argp_option options[OPT_COUNT + 1];
    char name[64];
    char *doc = NULL;

    (void)snprintf(name, sizeof name, "vigil %s%s%s", noun->name, verb->name == NULL ? "" : " ",
                   verb->name == NULL ? "" : verb->name);
    if (asprintf(&doc, "%s.\v%s", translate(translation, verb->summary),
                 verb->details == NULL ? "" : translate(translation, verb->details)) < 0) {
        return;
    }
    make_options(verb, translation, options);
    struct argp argp = { .options = options, .args_doc = verb->words, .doc = doc };
    argp_help(&argp, to, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, name);
    free(doc);
}
