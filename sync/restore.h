/* restore.h - a backup, read from end to end; and taken in by a replica that holds nothing yet.
 *
 *     restore_check    read both files to the end, verify every chunk, change nothing; gather the statements
 *     restore_apply    read them again: statements -> control -> newer statements -> all else, by the one door
 *
 * Nothing is taken in before the whole of both files was seen to be good: a file that was cut short opens up to the cut.
 * Whatever is taken in comes after every statement that is known here, newer ones too, so that an erasure or a
 * revocation finds nothing readable before it.
 *
 * A replica that was restored says so in a row of meta, from before its first entry on: it may hold what was erased since,
 * and shows no record until it has been complete in `control` with a peer, a bundle answered for one, or an operator accepts it as it
 * is. What a bundle must show for that: bundle_contact.h.
 */
#pragma once

#include "sync/backup.h"

/* Both files, opened up to the end of their headers. */
struct restore_files {
    const struct stream_header *headers; /* main, keys */
    const struct key *file_key;
    struct stream_input main; /* behind the header */
    struct stream_input keys;
};

/* What is wrong with them, in words. Static texts. */
typedef struct joining_fault restore_fault;

/* True if they are the two files of one backup. ERR_INVALID: the same one twice, in the wrong order, or of different backups. */
MUST_CHECK enum err restore_pair(const struct stream_header headers[2], restore_fault *fault_out);

/* --- reading --- */

struct restore;

enum restore_kind {
    RESTORE_STATEMENT, /* bytes: signed */
    RESTORE_NOTE,      /* name, bytes */
    RESTORE_CHUNK,     /* descriptor, bytes: with the payloads of its key entries, as the door takes it */
};

/* One item of .main; all of it is lent until the next one. */
struct restore_item {
    enum restore_kind kind;
    struct span name;
    struct span bytes;
    struct descriptor descriptor;
    size_t entry_count;
};

/* Begin to read: about, and all keys but payloads. `verify`: check the signature of each chunk.
 * ERR_CORRUPT: damaged, cut short, or not of one backup. ERR_NEWER: by a newer program. Errors of the inputs, ERR_MEMORY. */
MUST_CHECK enum err restore_open(struct restore **restore_out, const struct restore_files *files, bool verify,
                                 restore_fault *fault_out);

/* The next item. ERR_ABSENT: both files have ended, whole. Other errors as restore_open. */
MUST_CHECK enum err restore_next(struct restore *restore, struct restore_item *item_out,
                                 restore_fault *fault_out);

/* Takes none. */
void restore_close(struct restore **restore);

const struct backup_about *restore_about(const struct restore *restore);

/* The control key: what opens a file of newer statements. Lent. */
const struct key *restore_control_key(const struct restore *restore);

/* The identity that the backup holds, with a new incarnation, so that it never signs a seq that was used. False: it holds
 * none. Wipe it. */
MUST_CHECK bool restore_identity(const struct restore *restore, const struct world *world,
                                 struct replica_identity *identity_out);

/* --- the whole of it --- */

/* What was found, or done. */
struct restore_counts {
    uint64_t statements;
    uint64_t chunks;
    uint64_t entries;
    uint64_t payloads_absent; /* of key entries: erased */
    uint64_t refused;         /* chunks that this device may not hold, or whose authors nobody certified */
    uint64_t differing;       /* compartments whose digest is not the one in the backup */
};

/* Called now and then: entries done, of all that the backup names. */
typedef void restore_progress(void *self, uint64_t done, uint64_t all);

/* Read all that is left of it. `statements_out` (may be NULL) gets all statements, a CBOR array. Errors as restore_next, but ERR_OK
 * for a whole backup; ERR_FULL: more statements than there can be. */
MUST_CHECK enum err restore_check(struct restore *restore, struct buf *statements_out,
                                  struct restore_counts *counts_out, restore_progress *progress, void *self,
                                  restore_fault *fault_out);

struct restore_options {
    struct span statements; /* of restore_check: a CBOR array */
    struct span news;       /* newer ones, likewise; empty: none */
    void *self;
    restore_progress *progress; /* may be NULL */
    /* A note, in a turn. May be NULL. */
    enum err (*note)(void *self, struct table_txn *txn, struct span name, struct span content);
};

/* Take all of it in, in turns of its own. The replica is of the backup's organisation; what it holds already is passed over, so
 * one that was cut off can begin again. Errors as restore_next and replica_commit; ERR_INVALID: the statements do not
 * found the organisation, or are no such array. */
MUST_CHECK enum err restore_apply(struct restore *restore, struct replica *replica,
                                  const struct restore_options *options, struct restore_counts *counts_out,
                                  restore_fault *fault_out);

/* --- afterwards --- */

/* Say of a replica, whose journal is open, that it is as restored from a backup which was made then: with all that its own logs have now.
 * ERR_MEMORY, or the error of the transaction. */
MUST_CHECK enum err restore_mark(struct table_txn *main_txn, const struct journal *journal,
                                 const struct hash *own_device, uint64_t made_ms);

/* True if the replica was restored and is not confirmed yet. `made_ms_out` (may be NULL): when its backup was made. */
bool replica_is_restored(struct replica *replica, uint64_t *made_ms_out);

/* True if the backup did not hold entry `seq` of a log of this device: whoever has it has heard of this device since. False
 * while it cannot be told. Between replica_begin_read and replica_end_read, or in a turn. */
bool replica_signed_since_backup(struct table_txn *txn, const struct hash *log_id, uint64_t seq);

/* A bundle showed what a peer would (bundle_contact.h): kept until all that it brought is worked off, in a turn; nothing if the replica
 * was not restored. And whether one did. */
void replica_answer_restored(struct replica *replica);
bool replica_is_answered(struct replica *replica);

/* True if all that control says was done here: no erasure goes on, and nothing is to be rebuilt. */
bool replica_is_caught_up(struct replica *replica);

/* It is complete, or accepted: in a turn. */
void replica_confirm_restored(struct replica *replica);
