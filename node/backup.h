/* backup.h - taking a backup, step by step: the node goes on between the steps.
 *
 *     begin --> write ... write --> sync --> read back ... --> rename both --> done
 *                  (256 entries or 1 MiB a step)
 *
 * Evidence files go into a third one, NAME.files, if they are to go along and there are any. All are read back from the disk and verified, signature by signature, before they get their names; .main
 * gets its name last, so that a .main is never alone. Until then nothing stands under either name,
 * and whatever fails leaves nothing behind.
 */
#pragma once

#include "node/backup_file.h"
#include "node/peers.h"
#include "node/setup.h"
#include "sync/restore.h"

struct backup_task;

struct backup_task_options {
    struct replica *replica;
    const struct peers *peers;
    const char *directory;                    /* the state directory */
    const char *path;                         /* NAME of the files, with the folder they go to */
    const struct stream_recipient *recipient; /* the passphrase */
    bool with_device_keys;
    bool without_files; /* that records name */
};

enum backup_stage { BACKUP_WRITING, BACKUP_CHECKING, BACKUP_DONE };

/* Begin: outside of a turn. All but the replica is needed until this returns only. False: `fault_out`, and nothing is left. */
MUST_CHECK bool backup_task_begin(struct backup_task **task_out, const struct backup_task_options *options,
                                  struct setup_fault *fault_out);

/* One step, outside of a turn. False: it failed, `fault_out` says why; close it. */
MUST_CHECK bool backup_task_step(struct backup_task *task, struct setup_fault *fault_out);

enum backup_stage backup_task_stage(const struct backup_task *task);

/* Entries of the present stage. */
struct backup_progress backup_task_progress(const struct backup_task *task);

const struct backup_about *backup_task_about(const struct backup_task *task);

/* True if there is a NAME.files. */
bool backup_task_has_files(const struct backup_task *task);

/* True if the office's key opens it too. */
bool backup_task_is_for_office(const struct backup_task *task);

/* Removes them unless it is done. Takes none. */
void backup_task_close(struct backup_task **task);
