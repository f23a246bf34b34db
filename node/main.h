/* main.h - vigild's commands: what its files share; nobody else includes it.
 *
 *     main.c           init, run, passphrase, config
 *     main_verify.c    verify, rebuild, and the look at the pages before run
 *     main_backup.c    backup, restore
 *     main_self_test.c self-test
 */
#pragma once

#include "node/ask.h"
#include "node/sandbox.h"
#include "node/setup.h"
#include "node/starter.h"
#include "node/world.h"
#include "store/base/exit.h"

#include <argp.h>

enum { OPTION_FIRST = 256, FILES_MAX = 3 };

/* What was typed. */
struct arguments {
    const char *directory;
    const char *name;
    const char *listen;
    const char *welcome;
    const char *office;
    bool trial;
    const char *files[FILES_MAX]; /* that stand behind the directory */
    size_t file_count;
    const char *statements;
    const char *key;
    bool with_device_keys;
    const char *evidence; /* which evidence files; NULL: all */
    bool verify;
    bool example;
    bool full; /* of verify, and the next two */
    bool repair;
    bool dry_run;
    unsigned long key_memory_mib; /* 0: measure */
    int channel;
    bool sandbox_said;
    enum sandbox_mode sandbox;
    struct ask ask;
};

enum {
    OPTION_NAME = OPTION_FIRST,
    OPTION_LISTEN,
    OPTION_WELCOME,
    OPTION_TRIAL,
    OPTION_OFFICE,
    OPTION_KEY_MEMORY,
    OPTION_PASSPHRASE_FD,
    OPTION_CHANNEL,
    OPTION_SANDBOX,
    OPTION_WITH_DEVICE_KEYS,
    OPTION_FILES,
    OPTION_STATEMENTS,
    OPTION_KEY,
    OPTION_VERIFY,
    OPTION_EXAMPLE,
    OPTION_FULL,
    OPTION_REPAIR,
    OPTION_DRY_RUN,
};

/* Options and the directory, as every command has them. */
error_t parse_option(int key, char *text, struct argp_state *state);

/* What, why, what to do: three lines. Gives the exit status. */
int complain(const struct setup_fault *fault);
int complain_of(enum err err, const char *what, const char *why, const char *todo);

/* The passphrase of the node, in `out`. False: it was said why not. */
bool get_passphrase(struct arguments *arguments, bool fresh, struct buf *out, int *exit_out);

/* What a passphrase may cost here. */
void measure(struct vault_work *work, unsigned long key_memory_mib);

/* A node whose configuration was read, and that is open. Zeroed, it is neither. */
struct node {
    struct config config;
    struct setup setup;
    struct starter starter;       /* of a store */
    struct sandbox_state sandbox; /* of this process */
};

/* Do what open_node does, up to where the replica would be opened: it was unlocked. `damaged_out`, unless it is NULL: which of its environments have damaged
 * pages, see probe.h. */
bool unlock_node(struct arguments *arguments, const struct world *world, enum sandbox_role role,
                 struct node *node, bool *damaged_out, int *exit_out);

/* Then open it. False: it was said why not, and `node` is closed. */
bool open_unlocked(const struct world *world, struct node *node, int *exit_out);

/* Read the configuration, ask for the passphrase, enter the sandbox of `role` (SANDBOX_ROLES: none), unlock and open. False: it was said why
 * not, and `node` is closed. */
bool open_node(struct arguments *arguments, const struct world *world, enum sandbox_role role,
               struct node *node, int *exit_out);
void close_node(struct node *node);

/* Progress for a person: on a terminal, and no more often than it changes. */
void print_progress(void *self, uint64_t done, uint64_t all);
void print_digests(struct replica *replica);

/* --- main_verify.c --- */

int do_verify(struct arguments *arguments, struct real_world *world);
int do_rebuild(struct arguments *arguments, struct real_world *world);
/* --- main_backup.c --- */

extern const struct argp backup_argp;
extern const struct argp restore_argp;

int do_backup(struct arguments *arguments, struct real_world *world);
int do_restore(struct arguments *arguments, const struct world *world);

/* --- main_self_test.c --- */

extern const struct argp self_test_argp;

int do_self_test(void);
