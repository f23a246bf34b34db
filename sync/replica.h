/* replica.h - one node's whole copy: what it holds, what it may read, and its turns.
 *
 *     begin --> receive chunks, save edits --> commit --> answer peers and people
 *
 * A turn is one write transaction over keys/ and main/. Everything that arrives
 * between two commits is taken in together, and nobody is answered before it is
 * durable. A local edit is signed, encoded and handed to the same door as a peer's
 * bytes (intake.h). No function here makes a system call other than through the
 * table and the vault; time and chance come from the world.
 */
#pragma once

#include "store/codebook.h"
#include "store/record.h"
#include "store/vault.h"
#include "sync/gossip.h"
#include "sync/intake.h"
#include "sync/joining.h"
#include "sync/roster.h"

struct blobs;
struct replica;

/* What a device is: kept sealed in the file `device` of its state directory. */
struct replica_identity {
    struct key_pair sign;
    struct key_pair box;
    uint8_t transport_secret[32];
    uint8_t transport_public[32];
    uint8_t incarnation[8];
    struct key control_key;
    struct hash org;
    struct hash device_id; /* derived */
};

/* Make the identity of a new device. */
void replica_identity_make(struct replica_identity *identity_out, const struct world *world);

/* Keep it, or read it back. A device that has not joined yet has a zero org. */
MUST_CHECK enum err replica_identity_write(const char *directory, const struct key *storage_key,
                                           const struct replica_identity *identity,
                                           const struct world *world);
MUST_CHECK enum err replica_identity_read(const char *directory, const struct key *storage_key,
                                          struct replica_identity *identity_out);

struct replica_options {
    const char *directory;
    const struct world *world;
    const struct key *storage_key;
    const struct codebook *codebook; /* used where no codebook statement is in force */
    size_t map_bytes;                /* of main/; 0: a default */
    uint64_t
        reserve_bytes; /* kept taken on the disk, to be given back for an erasure when it is full; 0: none */
};

/* Open what is in `directory`: journal, roster, keys, frontiers. The identity must have joined.
 * Errors as table_env_open, and ERR_ABSENT: no identity. */
MUST_CHECK enum err replica_open(struct replica **replica_out, const struct replica_options *options);
void replica_close(struct replica **replica);

/* Write the founding statements of a welcome (a CBOR array, see joining.h) into a new replica, in a transaction of
 * its own. ERR_INVALID: no such array, or it does not found the organisation of our identity. */
MUST_CHECK enum err replica_found(struct replica *replica, struct span statements);

/* --- turns --- */

/* Begin a turn. On a disk that is full it is a narrow one: little more than an erasure is taken in or written, and
 * everything else is refused as full. Errors as table_begin_write; ERR_FULL: there is no room even for that. */
MUST_CHECK enum err replica_begin(struct replica *replica);
bool replica_turn_is_narrow(const struct replica *replica);

/* True if a turn that is begun now would be a narrow one, and use up what is set aside for it: what can wait had better. */
bool replica_is_full(const struct replica *replica);

/* Finish what the turn touched and make it durable: keys/ first, then main/. After an error nothing of the turn
 * happened; the replica opens and reads itself again and goes on. ERR_IO: the disk failed, or it cannot be
 * opened again; every later turn gives ERR_IO too: close it, open it, verify. */
MUST_CHECK enum err replica_commit(struct replica *replica);

/* Give the turn up. ERR_IO as above. */
MUST_CHECK enum err replica_abort(struct replica *replica);
bool replica_in_turn(const struct replica *replica);

/* True once a turn holds as much as its memory should: commit it, then go on with what is left. */
bool replica_turn_is_full(const struct replica *replica);

/* Rewrite the anchor file if own logs grew, or an incarnation was begun, since the last time: before the turn's first send. */
MUST_CHECK enum err replica_anchor(struct replica *replica);

/* Make everything derived anew from the journal, in turns of its own: `vigild rebuild`. One that was cut off goes on where it was.
 * `progress` may be NULL. Errors as replica_commit. */
MUST_CHECK enum err replica_rebuild(struct replica *replica,
                                    void (*progress)(void *self, uint64_t done, uint64_t all), void *self);

/* Write transactions for proof_run, outside of any turn; what is written in them is abandoned. */
MUST_CHECK enum err replica_borrow(struct replica *replica, struct table_txn **main_txn,
                                   struct table_txn **keys_txn);
void replica_give_back(struct replica *replica, struct table_txn **main_txn, struct table_txn **keys_txn);

/* When all of the replica was checked last, and what came of it: a row of meta. */
struct replica_verified {
    uint64_t at_ms;         /* by the wall clock then */
    uint64_t findings;      /* 0: all was as it must be */
    uint64_t found_ever;    /* of all times, with those that were repaired */
    uint64_t repaired_ever; /* of those, so many */
};

/* Keep that proof_run went through all of it now: it `found` so much, and after a repair so much is `left`; without one, as much. In a
 * transaction of its own: between turns. Errors as table_begin_write_reserved and table_commit. */
MUST_CHECK enum err replica_note_verified(struct replica *replica, uint64_t found, uint64_t left);

/* False: it never was, or the row does not verify. */
bool replica_last_verified(struct table_txn *txn, struct replica_verified *out);

/* True while derived rows are being made anew: lists and counts may be behind. */
bool replica_is_rebuilding(struct replica *replica);

/* What became of an order given here. */
struct replica_order {
    struct ident order;
    uint32_t needed; /* signatures: 1 or 2 */
    bool second;     /* it had been given before, and waited for this device's signature */
};

/* Order that a record be erased, in every compartment that holds a half of it: sign the order for just these that waits for
 * a signature, or else a new one. Until it stands the record is restricted, for `reason` (of the field restriction.reason). In
 * a turn, a narrow one too.
 * ERR_ABSENT: no such record. ERR_LOCKED: the key of a half is not here, so nobody can be told what to erase. ERR_DENIED: this
 * device has not admin in each of them. ERR_EXISTS: it has signed that order already; `out` says which. */
MUST_CHECK enum err replica_order_erasure(struct replica *replica, const struct ident *compartment,
                                          const struct ident *record_id, uint32_t reason, uint32_t actor,
                                          struct replica_order *out);

/* What such an order would be, in the same words; nothing is changed. Between replica_begin_read and replica_end_read, or in a
 * turn. */
struct replica_plan {
    struct ident compartments[2]; /* that hold a half of the record */
    size_t compartment_count;
    uint32_t needed;
    const struct roster_erasure
        *waiting; /* the order for just these that waits for a signature; NULL: none. Lent */
};

MUST_CHECK enum err replica_plan_erasure(struct replica *replica, const struct ident *compartment,
                                         const struct ident *record_id, struct replica_plan *plan_out);

/* The record that these keys of an order belong to, by one walk over the keys that are here: its case half. False: none of
 * them is here. */
bool replica_find_ordered(struct replica *replica, const struct statement_list *keys,
                          struct ident *compartment_out, struct ident *record_id_out);

/* How far an order is here, and what a device has said of it: see erase.h. Between replica_begin_read and
 * replica_end_read. */
const struct erase *replica_erase(const struct replica *replica);

/* True when the files hold old bytes of something that was erased, and nothing else is to be erased first. */
bool replica_compact_is_due(const struct replica *replica);

/* Then: rewrite keys/ under a fresh wrapping key and main/ from its rows. Between turns, with no reader; it takes as long as
 * the replica is large, and the room that replica_compact_bytes says. ERR_BUSY: a file that nothing names any more cannot be
 * removed, and until it is no receipt is written. ERR_FULL: not now. After both it is due again in a minute. ERR_IO:
 * close the replica and open it. A crash anywhere leaves all that was acknowledged, and it is due again. */
MUST_CHECK enum err replica_compact(struct replica *replica);

/* The key of what somebody keeps beside the replica and can make again from it: H("vigil.fts.key.v1", wrapping key of keys/), another
 * after replica_compact. Wipe it. */
void replica_search_key(const struct replica *replica, struct key *key_out);

/* The room on the disk that it waits for; 0: it does not wait. */
uint64_t replica_compact_bytes(struct replica *replica);

/* The folder of the files that records name (store/blob.h); which of them are here and wanted is in the rows of store/shelf.h,
 * in a turn or between replica_begin_read and replica_end_read. Lent as long as the replica is open. */
struct blobs *replica_blobs(struct replica *replica);

/* Files in blobs/ that no record names: what a crash left between a file and the commit of its record. Nothing opens them. A node removes
 * them once after opening, when all that is here is worked off; but for 90 days not those of a replica that was rolled back or
 * restored: the records that name them may come back from a peer. */
struct replica_unnamed {
    uint64_t count;
    uint64_t bytes;
};

/* Count them as they are now. Between turns or in one. ERR_IO, ERR_MEMORY; errors of the tables. */
MUST_CHECK enum err replica_count_unnamed(struct replica *replica, struct replica_unnamed *out);

/* Those that were removed since opening. */
struct replica_unnamed replica_unnamed_removed(const struct replica *replica);

/* The replica as gossip sees it. Lives as long as the replica. */
const struct gossip_store *replica_gossip_store(struct replica *replica);

/* Called when gossip ends a session by itself (gossip_store.ended). */
void replica_on_ended(struct replica *replica,
                      void (*ended)(void *self, uint32_t connection, bool hang_up, const char *why),
                      void *self);

/* Work that needs no message: epochs and boxes that this admin should make, records that a new codebook or a cut made
 * stale, record keys to be brought again, proofs of forks. In a turn; call it after control changed, when
 * replica_tend_is_due says so (ask once a second, and after every turn), and again while it gives true: it did something. */
bool replica_tend(struct replica *replica);
bool replica_tend_is_due(const struct replica *replica);

/* When this node first looked at an epoch in force, by its wall clock in ms; 0: never, or the row does not verify. */
uint64_t replica_epoch_since(struct table_txn *txn, const struct hash *epoch_id);

/* What happened since it was opened that operators should know: incarnations that were begun, and lost tails of our own logs that
 * peers gave back. */
struct replica_setbacks {
    uint64_t incarnations;
    uint64_t lost_tails;
};
struct replica_setbacks replica_setbacks(const struct replica *replica);

/* Somebody is to write in a compartment that has no epoch in force: if this node may make one, replica_tend does so, and waits for no
 * other admin to do it. A save that gives ERR_LOCKED for that reason has asked for it. */
void replica_want_epoch(struct replica *replica, const struct ident *compartment);

/* Make a new epoch for a compartment now, in a turn. ERR_ABSENT: no such compartment, or one whose key is never rotated.
 * ERR_DENIED: no admin there. ERR_LOCKED: an epoch before it is not open here. */
MUST_CHECK enum err replica_rotate(struct replica *replica, const struct ident *compartment);

/* --- a person's edits, in a turn --- */

struct save_op {
    uint32_t code;        /* OP_SET, OP_ADD, OP_REMOVE */
    struct target target; /* a new element: any 8 random bytes */
    struct span value;    /* CBOR, for OP_SET */
    bool resolve;         /* the person saw all siblings: replace them all */
};

struct save {
    struct ident compartment; /* the case compartment (or any without a twin) */
    struct ident record_id;   /* ignored when `create` */
    bool create;
    const struct ident *heir_of; /* NULL, or with `create` a record whose heir this is: see below */
    struct span heir_mark;
    bool although_full; /* also in a narrow turn: a restriction, an event of the audit log */
    bool urgent;        /* the case half goes to lane 1; what identifies a person stays in the normal one */
    uint32_t actor;
    const struct save_op *ops;
    size_t op_count;
};

struct saved {
    struct ident record_id;
    uint64_t place; /* the journal's last place after the save */
};

/* An heir is made once, wherever and however often: its key, and so its id, follow from the key of the record that it is made of, in
 * the same compartment, and from a mark. Whoever holds that record makes the same heir, or changes the one that is here; once its key
 * is destroyed nobody can tell of which record it is the heir. It has nothing in a protected half.
 */

/* Sign one edit and take it in: at most one data entry in the case compartment and one in its twin, each op where
 * the codebook puts its field; a new record's key entries first.
 * ERR_CONFLICT: an op sets a field that holds several values and does not resolve; `op_out` says which.
 * ERR_DENIED: no write here, or the record is restricted and this does not change its restrictions. ERR_LOCKED: the record's key is not here, or there is no epoch to write with. ERR_ABSENT: no such record.
 * ERR_FULL: larger than an entry may be. Of an heir also ERR_LOCKED, ERR_ABSENT: the key of what it is to be made of is not here. */
MUST_CHECK enum err replica_save(struct replica *replica, const struct save *save, struct saved *saved_out,
                                 size_t *op_out);

/* Write a statement of our own (an address, an actor, an epoch) into control. */
MUST_CHECK enum err replica_state(struct replica *replica, struct span signed_statement);

/* Write the statements of a news file (a CBOR array) that are new here into control; where this device is not known itself, since its own
 * were lost, only take them in. *count_out: how many were.
 * ERR_INVALID: not such an array. */
MUST_CHECK enum err replica_import(struct replica *replica, struct span statements, size_t *count_out);

/* --- reading, in a turn or between turns --- */

/* Both halves of a record. `withheld`: there is a protected half, or may be, that this node cannot read. */
struct replica_view {
    struct record_view *open;           /* the case half */
    struct record_view *protected_half; /* NULL when withheld or when there is none */
    bool withheld;
    bool restricted; /* `open` shows why, and nothing else is shown: see record.h */
};

MUST_CHECK enum err replica_read(struct replica *replica, const struct ident *compartment,
                                 const struct ident *record_id, struct arena *arena,
                                 struct replica_view *view_out);

/* The half of a record in this compartment, and all of it though the record be restricted: for a rule that must know what was
 * said, and shows none of it to anybody. Errors as replica_read. */
MUST_CHECK enum err replica_read_in_spite(struct replica *replica, const struct ident *compartment,
                                          const struct ident *record_id, struct arena *arena,
                                          struct record_view **view_out);

/* In a turn: let lists and the index say what was merged in it so far. An error ends the turn. */
MUST_CHECK enum err replica_bring_up_to_date(struct replica *replica);

/* A read transaction for queries of record.h and index.h; end it with table_abort. In a turn it is the
 * turn's own transaction, lent. */
MUST_CHECK enum err replica_begin_read(struct replica *replica, struct table_txn **txn_out);
void replica_end_read(struct replica *replica, struct table_txn **txn);

/* Between these, or in a turn: the first error of what is read through. ERR_OK: none, and no walk has ended before its end. */
enum err replica_read_error(const struct replica *replica);

/* True if the record is hidden behind a restriction; either half may be named. In a turn, or between replica_begin_read and
 * replica_end_read. */
bool replica_is_restricted(struct replica *replica, const struct ident *compartment,
                           const struct ident *record_id);

struct roster *replica_roster(struct replica *replica);
const struct codebook *replica_codebook(const struct replica *replica);
const struct replica_identity *replica_identity(const struct replica *replica);
struct table_env *replica_env(struct replica *replica);
struct table_env *replica_keys_env(struct replica *replica);
const struct record_source *replica_source(const struct replica *replica);

/* Open one data entry, and say which record it is about, between replica_begin_read and replica_end_read. What it
 * says lives in `arena`. Errors as intake_open_entry. */
MUST_CHECK enum err replica_open_entry(struct replica *replica, uint32_t log_no, uint64_t seq,
                                       struct arena *arena, struct signed_change *out,
                                       struct ident *record_id_out);

/* Open any entry, held ones too, for whoever has admin in its compartment. ERR_DENIED: this device has not. Otherwise as
 * intake_open_any. */
MUST_CHECK enum err replica_open_held(struct replica *replica, uint32_t log_no, uint64_t seq,
                                      struct arena *arena, struct intake_words *out);

/* The claimed stamp of any entry of kind data, key or control, for whoever may read it: 0 where it cannot be told.
 * ERR_DENIED: this device may not read there. Otherwise as intake_open_any. */
MUST_CHECK enum err replica_stamp_of(struct replica *replica, uint32_t log_no, uint64_t seq,
                                     struct arena *arena, uint64_t *hlc_out);
/* Long payloads of which only the header came, of everything or of one record: how many, and with `want`, in a turn, somebody asks for
 * them. Else in a turn, or between replica_begin_read and replica_end_read. Errors as intake_absent. */
MUST_CHECK enum err replica_absent(struct replica *replica, const struct ident *record_id, bool want,
                                   struct intake_absent *out);

const struct intake_counts *replica_counts(const struct replica *replica);
struct journal *replica_journal(struct replica *replica);

struct replica_compartment {
    struct ident id;
    const char *name; /* "KEN cases"; lent by the roster */
    uint8_t digest[16];
    uint64_t entries;
    uint64_t records;
    uint64_t pending; /* entries that wait for a key or an upgrade */
    uint32_t level;   /* of this device */
};

/* Every compartment that this device may hold, in order of name. Gives how many there are. */
size_t replica_compartments(struct replica *replica, struct replica_compartment *out, size_t room);
