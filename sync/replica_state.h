/* replica_state.h - what the files of the replica share; nobody else includes it.
 *
 *     replica.c          opening, turns, reading, rebuilding
 *     author.c           what this device writes: saves, statements, epochs
 *     replica_gossip.c   the replica as its peers' conversations see it
 *     backup.c           reading it out, slice by slice      restore.c   taking a backup in
 *     bundle_export.c    reading out what others may carry   bundle_import.c   taking it in
 *     replica_blob.c     files that records name: opened, adopted, removed
 *     replica_keys.c     whether keys/ and main/ are of one turn
 *     replica_erase.c    its part in erasures: orders, receipts, rewriting, a full disk
 */
#pragma once

#include "sync/boxing.h"
#include "sync/erase.h"
#include "sync/keyring.h"
#include "sync/limit.h"
#include "sync/replica.h"

enum { CHECKPOINT_KEY_BYTES = 16 + 16 + 1 };

/* The frontier of one compartment, kept as its logs grow. */
struct held_compartment {
    struct ident id;
    struct frontier frontier;
};

/* A checkpoint that gossip saved between turns, written with the next one. */
struct waiting_checkpoint {
    uint8_t key[CHECKPOINT_KEY_BYTES];
    struct buf bytes;
};

/* keys/ at some time: which of its generations, and how many commits it had seen. Zero: never. */
struct keys_mark {
    uint32_t generation;
    uint64_t commits;
};

/* What a peer brought of late that counts for nothing: payload bytes of entries that are held or wait. It wears off. */
struct peer_load {
    struct hash device_id;
    uint64_t idle_bytes;
    uint64_t at_ms; /* of the steady clock */
};

struct replica {
    char *directory;
    const struct world *world;
    struct key storage_key;
    struct wrap wrap; /* of keys/ */
    size_t map_bytes; /* of main/, and of keys/, when they are opened next */
    size_t keys_map_bytes;
    const struct codebook *codebook_default;

    struct replica_identity identity;
    struct ident database_id;
    struct table_env *main_env;
    struct table_env *keys_env;

    struct journal *journal;
    struct roster *roster;
    struct keyring *keyring;
    struct erase *erase;
    struct intake *intake;
    struct held_compartment **held; /* ascending by id; each stays where it is while the replica is open */
    size_t held_count;
    uint64_t hlc; /* the last stamp given */

    struct table_txn *main_txn; /* the turn's, or a reader's */
    struct table_txn *keys_txn;
    bool in_turn;
    bool narrow;       /* the turn is: see replica_begin */
    bool reserve_held; /* the file is there, as far as we know */
    uint64_t reserve_bytes;
    uint64_t compact_ms;        /* of the steady clock: not before then */
    uint64_t compact_bytes;     /* what it waits for */
    bool keys_rewritten;        /* since `keys_rewritten_at` was destroyed last */
    uint64_t keys_rewritten_at; /* erase_destroyed, then */
    uint64_t destroyed;         /* what erase_destroyed goes on from when everything is loaded again */
    bool rebuilding_known;      /* since the last turn: whether it is rebuilding */
    bool rebuilding;
    bool took_up; /* what waits was looked at since opening */
    /* branches that leave another one: as many as were there at the last look, and as were proved */
    uint32_t forks_seen;
    uint32_t forks_proved;
    uint64_t forks_due_ms;  /* of the steady clock: nobody else should have proved them until then */
    uint64_t epochs_looked; /* the hour in which the age of epochs was last looked at */
    struct boxing boxing;
    bool met_somebody;         /* since opening: a peer held the same of `control` */
    struct ident epoch_wanted; /* somebody is to write there: see replica_want_epoch */
    bool epoch_awaited;        /* since `epoch_awaited_ms`, of the steady clock: see first_epoch_is_due */
    uint64_t epoch_awaited_ms;
    enum err behind;  /* why a frontier could not follow its log in this turn, which then must not happen */
    unsigned readers; /* how many hold the read transactions */

    struct peer_load *loads;
    size_t load_count;
    struct waiting_checkpoint *waiting;
    size_t waiting_count;
    struct blobs *blobs;
    struct blob_file *open_file; /* the file of `open_address`, kept from one piece to the next; NULL: none */
    struct hash open_address;
    bool open_written;     /* what came of it is not durable yet */
    bool swept_unnamed;    /* since opening: files that nothing names */
    bool keep_unnamed_due; /* it was rolled back, and no row says so yet */
    struct replica_unnamed removed_unnamed;
    bool adopt_due;  /* the rows do not say yet that a file is here whole */
    bool keys_ahead; /* keys/ may hold what came in a turn that main/ has lost: the next turn takes it out */
    struct keys_mark keys_mark; /* of keys/, as main/ has it */
    bool sweep_due;             /* files are doomed, or may be: the next turn removes them */
    enum err sweep_err;         /* why one could not be removed the last time */
    bool salvaged;              /* what was read out of damaged files was put in order when it was opened */
    uint64_t incarnations;      /* begun since it was opened */
    uint64_t lost_tails;        /* chunks of our own that a peer had to give back */
    uint64_t own_entries;       /* of this device that are here */
    uint64_t
        anchor_entries; /* of them, how many the anchor file knows of; UINT64_MAX: it is of another incarnation */
    struct intake_counts counts;
    struct gossip_store store;
    struct gossip_files files;
    void (*ended)(void *self, uint32_t connection, bool hang_up, const char *why);
    void *ended_self;
};

/* Our frontier of a compartment, made if there is none. NULL: no memory. */
struct frontier *replica_frontier(struct replica *replica, const struct ident *compartment);

/* Bring the frontiers of all logs that grew since the last call up to date. */
MUST_CHECK enum err replica_update_grown(struct replica *replica);

/* The descriptor, id and first branch (NULL: none yet) of this device's own log in a lane. */
const struct log_branch *replica_own_log(const struct replica *replica, const struct ident *compartment,
                                         uint8_t lane, struct descriptor *descriptor_out,
                                         struct hash *log_id_out);

/* Begin a new incarnation; errors as replica_identity_write. */
MUST_CHECK enum err replica_new_incarnation(struct replica *replica, const char *reason);

/* keys/ as it is under `wrap`. */
MUST_CHECK enum err replica_open_keys(struct replica *replica, const struct wrap *wrap,
                                      struct table_env **env_out);

/* A turn commits keys/ and then main/, in which it writes down how far keys/ is: after the one commit, before the other. */
void replica_mark_keys(struct replica *replica);

/* Compare, with both environments just opened: sets replica->keys_ahead. Errors as table_begin_read; ERR_CORRUPT. */
MUST_CHECK enum err replica_look_at_keys(struct replica *replica);

/* Take out of keys/, at the beginning of a turn, what came by entries that are not in main/. Errors stay in the turn. */
void replica_sweep_keys(struct replica *replica);

/* The statements that are here, as a roster: in a transaction of main/. ERR_CORRUPT, ERR_MEMORY. */
MUST_CHECK enum err replica_load_roster(struct replica *replica);

/* When it is opened, before anything is loaded: put in order what was read out of damaged files, see salvage.h. */
MUST_CHECK enum err replica_mend_salvaged(struct replica *replica);

/* Then, once it is loaded: learn the keys of epochs again, and follow every order to erase over all that is here, in turns of its own. Errors as
 * replica_begin and replica_commit; ERR_FULL too for a turn that is narrow. */
MUST_CHECK enum err replica_settle_salvaged(struct replica *replica);
MUST_CHECK enum err replica_follow_erasures(struct replica *replica);

/* In a transaction of main/: everything derived is to be made anew; and the database is to have another name when it is opened next. */
void replica_want_rebuild(struct table_txn *main_txn);
void replica_forget_database_id(struct table_txn *main_txn);

/* What erasures want of a turn: see replica_tend. True: it did something. */
bool replica_tend_erasures(struct replica *replica);

/* Remove the files that were doomed in turns before this one; at its beginning, before anything else is written. What cannot be
 * removed stays due, and replica->sweep_err says why. */
void replica_sweep_blobs(struct replica *replica);

/* Make what came of files in this turn durable, before its rows are. */
MUST_CHECK enum err replica_sync_blobs(struct replica *replica);

/* Keep no file open. What was not synced is not durable. */
void replica_close_blob(struct replica *replica);

/* Once after opening, and when it is due, in a turn: files that are here and that records want, whoever put them there. */
void replica_adopt_blobs(struct replica *replica);

/* Remove, once after opening and in a turn, what no record names. True: it was done now, or is done. */
bool replica_sweep_unnamed(struct replica *replica);

/* In the first turn after it was rolled back: from now on they are kept for a while. */
void replica_keep_unnamed(struct replica *replica);

/* Make room for a narrow turn, or take the reserve again. */
void replica_use_reserve(struct replica *replica);
void replica_renew_reserve(struct replica *replica);

/* Write a receipt into control, stamped. */
MUST_CHECK enum err replica_write_receipt(struct replica *replica, const struct change_receipt *receipt);

/* True if by our clock the certificate of a peer is over, and that of `own` is not: to whose clock its own is over, doubts that
 * clock. */
bool replica_is_out_of_date(const struct replica *replica, const struct roster_device *own,
                            const struct roster_device *peer);

/* Fill `store` with the functions of replica_gossip.c. */
void replica_gossip_init(struct replica *replica);
