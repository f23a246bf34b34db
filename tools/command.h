/* command.h - vigil NOUN VERB: the table of subcommands, and what each is given.
 *
 *     vigil [--node DIR] [--json] case set KEN-2026-0042 status=triage --add act.type_of_act=detention
 *                                 noun verb <------- given, in the order in which it was typed ------->
 *
 * One file a noun. A verb names its options; reading them, --help, suggestions after a typo and the completion
 * come from the same table.
 */
#pragma once

#include "tools/fault.h"
#include "tools/output.h"

#include <stdint.h>

enum opt {
    OPT_NODE,
    OPT_JSON,
    OPT_NO_COLOR,
    OPT_QUIET,
    OPT_TIMEOUT,
    OPT_ACTOR,
    OPT_HELP,
    /* The rest are a verb's own. */
    OPT_SET,
    OPT_ADD,
    OPT_REMOVE,
    OPT_NOTE,
    OPT_RESOLVE,
    OPT_FILE,
    OPT_KEEP_GOING,
    OPT_DRY_RUN,
    OPT_KIND,
    OPT_OFFICE,
    OPT_URGENT,
    OPT_WHERE,
    OPT_MONTH,
    OPT_CONFLICT,
    OPT_LIMIT,
    OPT_COLUMNS,
    OPT_BY,
    OPT_BY_NAME,
    OPT_IDS,
    OPT_CHOOSE,
    OPT_VALUE,
    OPT_DEVICE,
    OPT_NAME,
    OPT_STATEMENTS,
    OPT_WATCH,
    OPT_UNTIL_COMPLETE,
    OPT_CHECK,
    OPT_WITH_DEVICE_KEYS,
    OPT_KEY_MEMORY,
    OPT_PASSPHRASE_FD,
    OPT_OWN,
    OPT_FRONTIER,
    OPT_BEFORE,
    OPT_REASON,
    OPT_YES,
    OPT_WITHOUT,
    OPT_RECORD,
    OPT_WHAT,
    OPT_SINCE,
    OPT_UNTIL,
    OPT_WINDOW,
    OPT_ALL,
    OPT_MAPPING,
    OPT_REPEAT,
    OPT_REPORT,
    OPT_LEVEL,
    OPT_PURPOSE,
    OPT_HTML,
    OPT_CSV,
    OPT_UNSUPPRESSED,
    OPT_NAMES,
    OPT_LANGUAGE,
    OPT_TO,
    OPT_SIZE,
    OPT_RECEIPTS,
    OPT_ROUNDS,
    OPT_CLEAN,
    OPT_PROXY,
    OPT_BYTES,
    OPT_INTERVAL,
    OPT_FILES,
    OPT_LIMITS,
    OPT_TRANSLATIONS,
    OPT_FOLLOW,
    OPT_LEAST,
    OPT_COUNT,
    OPT_NONE = OPT_COUNT /* something that stands on its own */
};

/* A bit for each option: more than 64. */
typedef unsigned __int128 option_bits;

#define OPTION(name) ((option_bits)1 << OPT_##name)

/* The options that every verb has. */
#define OPTIONS_ALL                                                                                          \
    (OPTION(NODE) | OPTION(JSON) | OPTION(NO_COLOR) | OPTION(QUIET) | OPTION(TIMEOUT) | OPTION(ACTOR) |      \
     OPTION(HELP))

struct option_text {
    const char *name;  /* without its dashes */
    const char *value; /* what it takes, in capitals; NULL: nothing */
    const char *help;
};

/* By enum opt. */
extern const struct option_text option_texts[OPT_COUNT];

/* One thing that was typed. */
struct given {
    enum opt option;
    const char *text; /* its value; NULL if it takes none */
    char *own;        /* the same, if it was read and not typed: typed.h */
};

struct labels;

struct command {
    const struct noun *noun;
    const struct verb *verb;
    struct given *given;
    size_t given_count;
    const char **words; /* those that are no options, in order */
    size_t word_count;
    struct output out;
    struct client *client; /* once something was asked */
    json_t *codebook;      /* once it was needed: typed.h */
    struct labels *labels; /* the same: command_labels */
    int wait_ms;
};

struct verb {
    const char *name;  /* NULL: the noun stands alone */
    const char *words; /* "ID NAME=VALUE..." */
    size_t word_min;
    size_t word_max;
    option_bits options; /* beside OPTIONS_ALL */
    const char *summary;
    const char *details; /* of --help: paragraphs and examples; NULL: none */
    enum exit_status (*run)(struct command *command);
};

struct noun {
    const char *name;
    const char *summary;
    const struct verb *verbs;
    size_t verb_count;
};

extern const struct noun case_noun, record_noun, search_noun, urgent_noun, board_noun, conflict_noun,
    duplicate_noun, consent_noun, import_noun, export_noun, stats_noun, snapshot_noun, peer_noun, sync_noun,
    status_noun, device_noun, held_noun, erase_noun, epoch_noun, digest_noun, codebook_noun, actor_noun,
    audit_noun, backup_noun, bundle_noun, blob_noun, completion_noun, why_noun, inspect_noun, doctor_noun,
    offices_noun, top_noun, about_noun, log_noun, metrics_noun;

/* All of them, in the order of the help; ends with NULL. */
extern const struct noun *const nouns[];

/* What `vigil help` says and no table holds: vigil.c. */
enum help_text { HELP_PURPOSE, HELP_NODE, HELP_VERBS, HELP_OPTIONS, HELP_VERSION, HELP_MANUAL, HELP_TEXTS };
extern const char *const help_texts[HELP_TEXTS];

/* --- Reading what was typed: args.c ------------------------------------------ */

/* Read `argv` (argc of them, the program not among them) for `verb` into `command`. False, and `fault_out`: an
 * unknown option, a value too many or missing, too many or too few words. */
MUST_CHECK bool args_read(struct command *command, int argc, char **argv, struct client_fault *fault_out);
void args_free(struct command *command);

/* The option among OPTIONS_ALL that stands at argv[0]; OPT_NONE: none does. `size_out`: 1, or 2 with its value. */
enum opt args_head(int argc, char **argv, int *size_out);

bool args_has(const struct command *command, enum opt option);
/* The value given last; NULL if none was. */
const char *args_value(const struct command *command, enum opt option);
/* A whole number from `min` to `max`, or `missing` if it was not given. */
MUST_CHECK bool args_number(const struct command *command, enum opt option, long min, long max, long missing,
                            long *number_out, struct client_fault *fault_out);

/* Print the help of one verb to `to`; `translation` may be NULL. */
struct translation;
void args_help(const struct noun *noun, const struct verb *verb, struct translation *translation, FILE *to);

/* --- What verbs do: command.c ------------------------------------------------ */

/* Print the fault to stderr and give its exit status. `what` is as for printf. */
enum exit_status command_fail(const struct command *command, const struct client_fault *because,
                              const char *what, ...) __attribute__((format(printf, 3, 4)));

/* Connect, unless that was done. */
MUST_CHECK bool command_connect(struct command *command, struct client_fault *fault_out);

/* Ask the node (the reference to `request` is taken) and wait. False, and `fault_out`: no answer, or a refusal. */
MUST_CHECK bool command_ask(struct command *command, json_t *request, json_t **ok_out,
                            struct client_fault *fault_out);

/* What is to be asked for page by page. */
struct command_pages {
    const char *list; /* the member of an answer whose items are the rows */
    long limit;       /* so many rows; 0: all of them */
    long page;        /* ask for at most so many at once; 0: as many as the node gives */
};

/* Ask `request` (lent) again and again, "after" what the last answer gave as "next", until one gives none or there are enough rows. An answer may have no
 * rows, and more may follow. `rows`, an array of the caller's, is added to. `last_out`, if not NULL, is the last answer, a reference; NULL where none
 * came. False, and `fault_out`: as command_ask; `rows` has what had come. */
MUST_CHECK bool command_ask_pages(struct command *command, const json_t *request,
                                  const struct command_pages *pages, json_t *rows, json_t **last_out,
                                  struct client_fault *fault_out);

/* Ask the node to ask its peers for more, or the one that the first word names, and say how many were asked and
 * `what_comes`. STATUS_AGAIN: nobody was, because of `none`. */
enum exit_status command_ask_peers(struct command *command, const char *call, const char *none,
                                   const char *what_comes);

/* With --dry-run print `request`, take the reference and give true: nothing is to be sent. */
bool command_only_shown(const struct command *command, json_t *request);

/* A line for people about something done, on stdout; nothing with --quiet or --json. */
void command_say(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A remark on stderr; nothing with --quiet or --json. */
void command_remark(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Write a new file of mode 0600; one that is there is never overwritten. False, and `fault_out`. */
MUST_CHECK bool command_write(const char *path, const char *text, struct client_fault *fault_out);

/* Open the file of --file or --statements; "-" is stdin. False, and `fault_out`. Close with command_close. */
MUST_CHECK bool command_open(const char *path, FILE **file_out, struct client_fault *fault_out);
void command_close(FILE **file);

/* The labels in the language of --language, English if that was not given; lent. NULL, and `fault_out`: there are none. */
struct labels *command_labels(struct command *command, struct client_fault *fault_out);

/* Are labels to be put into what is printed? Into JSON only if a language was asked for: names and codes are for scripts. */
bool command_is_labelled(const struct command *command);

/* Print a table as output_table does; the status that goes with it. */
enum exit_status command_table(const struct command *command, const struct output_column *columns,
                               size_t column_count, const json_t *rows);

/* Read a file of records and have the node save each; `kind` for objects that name none. */
enum exit_status load_records(struct command *command, const char *path, const char *kind);

/* The completion of a shell, made of the table and of the codebook that comes with the program. */
enum completion_shell { COMPLETION_BASH, COMPLETION_ZSH };
void completion_print(enum completion_shell shell, FILE *to);
