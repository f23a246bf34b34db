/* setup.h - how a state directory comes to be, and how it is opened.
 *
 *     vigild init DIR              lock, wrap, device, node.conf, NAME.request
 *     vigild init DIR --welcome F  the request was answered: the device belongs
 *     vigild init --trial DIR      both, with an organisation of its own in DIR/org
 *
 * Nothing here talks to a person but by the fault it gives.
 */
#pragma once

#include "node/config.h"
#include "sync/replica.h"

enum { SETUP_PATH_BYTES = 4096, SETUP_TEXT_BYTES = 512 };

/* What is wrong, why, and what to do about it: a line each. */
struct setup_fault {
    enum err err;
    char what[SETUP_TEXT_BYTES];
    char why[SETUP_TEXT_BYTES];
    char todo[SETUP_TEXT_BYTES];
};

void setup_fault_set(struct setup_fault *fault, enum err err, const char *why, const char *todo,
                     const char *what, ...) __attribute__((format(printf, 5, 6)));

/* A state directory that was unlocked. Zeroed, it is closed. */
struct setup {
    char directory[SETUP_PATH_BYTES];
    struct key *storage_key; /* locked memory */
    struct replica *replica;
};

struct setup_new {
    const char *directory;
    const char *name;   /* of the machine */
    const char *listen; /* "": dial only */
    struct span passphrase;
    struct vault_work work;
    const struct world *world;
};

/* Make a directory, its keys and its request. `request_path` gets the path of the request file, `device_id_out` the new
 * device. False: `fault_out`. What was there is never overwritten. */
MUST_CHECK bool setup_init(const struct setup_new *options, char request_path[SETUP_PATH_BYTES],
                           struct hash *device_id_out, struct setup_fault *fault_out);

/* Unlock. False: `fault_out`. */
MUST_CHECK bool setup_unlock(struct setup *setup_out, const char *directory, struct span passphrase,
                             struct setup_fault *fault_out);

/* Have the directory open with another passphrase: see vault_change_passphrase. A vigild that runs there goes on. */
MUST_CHECK bool setup_change_passphrase(const char *directory, struct span old, struct span fresh,
                                        const struct vault_work *work, const struct world *world,
                                        struct setup_fault *fault_out);

/* Take the welcome file in that answers the request; the replica is open afterwards. `org_out`: to be compared. */
MUST_CHECK bool setup_join(struct setup *setup, const char *welcome_path, const struct world *world,
                           struct hash *org_out, struct setup_fault *fault_out);

/* Found an organisation of this one node, an office of the given code, in `directory`/org, and join it. */
MUST_CHECK bool setup_trial(struct setup *setup, const char *office, struct span passphrase,
                            const struct vault_work *work, const struct world *world, struct hash *org_out,
                            struct setup_fault *fault_out);

/* Open the replica of an unlocked directory. `map_mib` 0: a default. */
MUST_CHECK bool setup_open(struct setup *setup, const struct world *world, long map_mib,
                           struct setup_fault *fault_out);

/* Close the replica and wipe the keys. */
void setup_close(struct setup *setup);
