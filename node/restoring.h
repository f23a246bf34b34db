/* restoring.h - `vigild restore`: a backup, and the state directory that it is to go to.
 *
 *     DIR is new      lock, device with a new incarnation, node.conf from the backup, which must hold device keys
 *     DIR has joined  its own device, its own node.conf; its replica holds nothing but its founding statements
 *
 * The evidence files of the backup are taken in at last, if they are given. Both other files are read to the end before anything is changed. From the first change to the last, the file `restoring` in DIR
 * says that it is half restored: nothing runs on it, and the next restore begins anew.
 */
#pragma once

#include "node/backup_file.h"
#include "node/setup.h"
#include "sync/restore.h"
#include "sync/restore_files.h"

struct restoring {
    const char *paths[2];   /* main, keys; lent */
    const char *files_path; /* of its evidence files; lent. NULL: it goes without */
    struct backup_in files_in;
    uint64_t files_lost; /* bytes of them that their medium does not give, in the present look */
    struct backup_in ins[2];
    struct stream_header headers[2];
    struct key *file_key; /* locked memory; NULL until it was opened */
    struct buf statements;
    struct buf news;
    struct hash org;
    struct hash device_id;
    char device[STATEMENT_NAME_BYTES_MAX + 1]; /* that the backup is of */
    uint64_t made_ms;
    bool has_device_keys;
    bool device_counts; /* after the check: nothing that is known here has revoked it */
    struct restore_counts counts;
    struct restore_files_counts files; /* zero: there were none */
};

enum restoring_place {
    PLACE_NEW,    /* nothing is there */
    PLACE_HALF,   /* the vault of a restore that was cut off */
    PLACE_JOINED, /* a device of its own */
};

/* True if a restore into this directory was cut off. */
bool restoring_is_half(const char *directory);

/* Read both headers. False: `fault_out`. In any case close it. */
MUST_CHECK bool restoring_open(struct restoring *restoring_out, const char *main_path, const char *keys_path,
                               struct setup_fault *fault_out);
void restoring_close(struct restoring *restoring);

/* Open the file key, and see what the backup is of. */
MUST_CHECK bool restoring_unseal(struct restoring *restoring, struct span passphrase,
                                 struct setup_fault *fault_out);
/* The same with a file that vigil-org open wrote for the device in `setup`, which is unlocked. */
MUST_CHECK bool restoring_unseal_with(struct restoring *restoring, const char *key_path,
                                      const struct setup *setup, struct setup_fault *fault_out);

/* What is in the directory. False: neither may be restored into. */
MUST_CHECK bool restoring_place(const char *directory, enum restoring_place *place_out,
                                struct setup_fault *fault_out);

/* Read both files to the end, verifying every chunk; and the file of newer statements, unless its path is NULL; and see
 * whether the device still counts. Changes nothing. */
MUST_CHECK bool restoring_check(struct restoring *restoring, const char *statements_path,
                                restore_progress *progress, void *self, struct setup_fault *fault_out);

/* Make the directory, its vault and the device of the backup, with a new incarnation, and unlock it. Refused for a device that
 * counts no more: a revoked key never returns. `work` is not looked at
 * where the vault is there already: then the passphrase is that of the restore that was cut off. */
MUST_CHECK bool restoring_make(struct restoring *restoring, const char *directory, enum restoring_place place,
                               struct span passphrase, const struct vault_work *work,
                               const struct world *world, struct setup *setup_out,
                               struct setup_fault *fault_out);

/* Read the evidence files to their end and count; what is damaged of them is no error. Nothing to do if there are none. */
MUST_CHECK bool restoring_check_files(struct restoring *restoring, struct setup_fault *fault_out);

/* Take all of it in. `setup` is unlocked; its replica is open afterwards, if this gives true. */
MUST_CHECK bool restoring_apply(struct restoring *restoring, struct setup *setup, enum restoring_place place,
                                const struct world *world, restore_progress *progress, void *self,
                                struct setup_fault *fault_out);
