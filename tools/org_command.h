/* org_command.h - what the commands of vigil-org share.
 *
 *     org.c        init, enrol, welcome, show, and the program itself
 *     org_sign.c   sign, merge                  signatures of people apart
 *     org_trust.c  revoke, extend, roots, rotate, recover, renew
 *     org_codebook.c codebook
 *     org_backup.c open
 *     org_paper.c  print, read
 *     org_words.c  what a statement says, in words
 */
#pragma once

#include "store/base/exit.h"
#include "sync/ceremony.h"
#include "tools/org_ask.h"

#include <argp.h>

enum {
    ORG_FILES_MAX = 256,
    ORG_LIST_MAX = 64,
    ORG_PATH_BYTES_MAX = 4096,
    ORG_FILE_BYTES_MAX = JOINING_FILE_BYTES_MAX,
};

/* Words that an option gave, each time it was typed. */
struct word_list {
    const char *words[ORG_LIST_MAX];
    size_t count;
};

/* What was typed. */
struct arguments {
    const char *directory;
    const char *files[ORG_FILES_MAX];
    size_t file_count;
    const char *name;
    unsigned roots;
    unsigned needed; /* 0: not said */
    const char *office;
    const char *office_name;
    enum level level;
    bool everything;
    struct word_list grants;
    const char *device;
    int reason; /* enum revoke_reason; -1: not said */
    const char *frontier;
    bool nothing;
    bool by_roots;
    struct word_list statements; /* --drop, --keep, --statement */
    struct word_list replace;
    struct word_list remove;
    unsigned add;
    const char *output;
    const char *key;
    unsigned long key_memory_mib; /* 0: measure */
    bool dry_run;
    bool yes;
    struct ask ask;
};

enum option_key {
    OPTION_NAME = 'n',
    OPTION_OFFICE = 'o',
    OPTION_LEVEL = 'l',
    OPTION_EVERYTHING = 'e',
    OPTION_GRANT = 'g',
    OPTION_YES = 'y',
    OPTION_ROOTS = 256,
    OPTION_NEEDED,
    OPTION_OFFICE_NAME,
    OPTION_KEY,
    OPTION_KEY_MEMORY,
    OPTION_PASSPHRASE_FD,
    OPTION_DRY_RUN,
    OPTION_DEVICE,
    OPTION_REASON,
    OPTION_FRONTIER,
    OPTION_NOTHING,
    OPTION_BY_ROOTS,
    OPTION_DROP,
    OPTION_KEEP,
    OPTION_STATEMENT,
    OPTION_REPLACE,
    OPTION_REMOVE,
    OPTION_ADD,
    OPTION_OUTPUT,
};

/* A subcommand: how it is typed, and what it does. */
struct org_command {
    const char *name;
    const char *help;
    const struct argp *argp;
    int (*run)(struct arguments *arguments);
};

extern const struct org_command sign_command, merge_command;
extern const struct org_command revoke_command, extend_command, roots_command, rotate_command,
    recover_command, renew_command;
extern const struct org_command codebook_command, open_command, print_command, read_command;

/* A parser of argp for commands with and without the options on passphrases; `input` is a struct arguments. */
extern const struct argp_child org_children[];
error_t org_parse(int key, char *text, struct argp_state *state);
error_t org_parse_bare(int key, char *text, struct argp_state *state);

/* --- saying what is wrong: three lines --- */

/* `about` names the file or argument, or is NULL. Gives the exit status. */
int org_complain(enum err err, const char *about, const char *what, const char *why, const char *todo);
int org_complain_usage(const char *about, const char *what, const char *why, const char *todo);
int org_complain_fault(enum err err, const char *about, const ceremony_fault *fault);
int org_complain_memory(const char *what);

/* --- the ceremony --- */

/* A ceremony that is open, and how it asks. */
struct org_session {
    struct ceremony *ceremony;
    struct ceremony_options options;
    struct arguments *arguments;
    struct vault_work work;
    bool measured;
    char key_in_question[CEREMONY_KEY_NAME_BYTES_MAX];
};

/* Set `session` up without opening anything. */
void org_session_init(struct org_session *session, struct arguments *arguments);
/* Open what was founded in the directory. Gives the exit status: where it is not STATUS_DONE it was said why. */
int org_open(struct org_session *session, struct arguments *arguments);
void org_close(struct org_session *session);

/* A fault of a step, with the name of the key it is about. */
int org_complain_step(const struct org_session *session, enum err err, const char *about,
                      const ceremony_fault *fault);

/* Keep what was signed, say where the news are, and whether signatures are missing. Gives the exit status: STATUS_AGAIN if
 * what was made needs more signatures. */
int org_save(struct org_session *session);

/* Ask whether to go on; with --yes nobody is asked. Gives STATUS_DONE to go on; else it was said why not. */
int org_confirm(const struct arguments *arguments, const char *question);

/* Read a file that was named. */
int org_read_file(const char *path, size_t bytes_max, const char *what, struct buf *out);

/* Read requests. `incoming_out` has room for one for each file. */
struct incoming {
    const char *path;
    struct request request;
};
int org_read_requests(struct incoming *incoming_out, const struct arguments *arguments);

/* Write REQUEST.welcome beside each request. */
int org_write_welcomes(const struct org_session *session, const struct incoming *incoming, size_t count);

uint32_t org_roles(const struct arguments *arguments);

/* --- printing --- */

void org_print_number(const char *label, const struct hash *hash);
const char *org_level_name(enum level level);
void org_print_day(uint64_t seconds);
