/* intake.h - the one door: every entry, a person's own or a peer's, comes in here.
 *
 *     bytes -> read -> known? -> authentic? -> in order? -> keep -> open -> standing -> merge
 *
 * Only malformed and forged bytes are thrown away. A genuine entry is kept whatever it
 * says; its standing decides whether it counts, and is a pure function of the set of
 * entries and of this node's levels. What cannot be opened yet, because its key or its schema is not
 * here, waits in `pend` and never stalls its log.
 */
#pragma once

#include "store/keys.h"
#include "store/journal.h"
#include "store/record.h"
#include "sync/policy.h"
#include "sync/verdict.h"

struct erase;
struct keyring;
struct roster;
struct world;

enum { VERDICT_COUNT = VERDICT_FORGED + 1, LATER_COUNT = LATER_PAYLOAD + 1 };

/* What an entry or a record waits for: the first byte of a row key of `pend`. */
enum pend_reason {
    PEND_EPOCH = 1,  /* an epoch key: compartment_id[0..4], epoch[4] */
    PEND_RECORD = 2, /* a record key: record_id[0..8] */
    PEND_SCHEMA = 3, /* an upgrade of this program */
    /* No entry but a record: its record_no, u64; log_no and seq are 0. */
    PEND_REBUILD = 4, /* what is derived of it is to be made anew */
    PEND_REKEY =
        5, /* the entry that brought its key no longer counts: who wrote in it brings the key again */
    /* Its own payload, of which only the header came: compartment_id[0..8]. */
    PEND_PAYLOAD = 6,
    PEND_WANTED = 7, /* and somebody here asked for it */
    /* The entry waits for nothing: its row, its payload or its signature is damaged here and is to come again: compartment_id[0..8]. */
    PEND_MEND = 8
};

/* The next entry of a compartment whose payload is still to come, or all of it since it is damaged here (cursor->whole), after *cursor (all
 * zero: the first), which moves on; `wanted`: of the former those alone that somebody asked for, else all. False: there is no more. */
bool intake_next_absent(struct table_txn *txn, const struct ident *compartment, bool wanted,
                        struct absent_cursor *cursor);

/* Everything that was ever decided here, for status and tests. */
struct intake_counts {
    uint64_t verdicts[VERDICT_COUNT];
    uint64_t later[LATER_COUNT];
    uint64_t states[STATE_COUNT]; /* entries by the state they were first given */
    uint64_t held[HELD_COUNT];    /* of those held, why */
    uint64_t old_epoch;           /* data under an epoch that is no longer written with */
};

/* What a chunk came to, and where. */
struct intake_result {
    enum verdict verdict;
    enum later later;
    uint32_t log_no;   /* the branch it went to, or where its last entry is; 0 if none */
    uint64_t last_seq; /* of the chunk's last entry that is here */
    uint32_t new_count;
    uint32_t mended_count; /* that were damaged here, and are whole again */
    uint64_t idle_bytes;   /* of payloads of those new that are held or wait */
};

/* Stable names for logs and status. */
const char *verdict_text(enum verdict verdict);
const char *later_text(enum later later);

struct intake;

/* What the door works with; all of it outlives the intake. */
struct intake_options {
    const struct world *world;
    const struct table_env *env; /* main/ */
    struct journal *journal;
    struct roster *roster;
    struct keyring *keyring;
    struct erase *erase;
    const struct hash *own_device; /* whose levels decide what is read */
    const struct key_pair *signer; /* of this device */
    struct intake_counts *counts;  /* added to */
};

MUST_CHECK enum err intake_new(struct intake **intake_out, const struct intake_options *options);
void intake_free(struct intake **intake);

/* Begin a turn over these transactions, with the codebook in force. */
MUST_CHECK enum err intake_begin(struct intake *intake, struct table_txn *main_txn,
                                 struct table_txn *keys_txn, const struct codebook *codebook);

/* In a narrow turn, on a full disk, chunks of `control` alone are taken, and not many: an erasure may be among them. Until the
 * next intake_begin. Gives what it was. */
bool intake_narrow(struct intake *intake, bool narrow);

/* Take one chunk of the log that `descriptor` names. */
struct intake_result intake_chunk(struct intake *intake, const struct descriptor *descriptor,
                                  struct span bytes);

/* Long payloads that are still to come: how many, their bytes, and how many of them somebody asked for. */
struct intake_absent {
    uint64_t count;
    uint64_t bytes;
    uint64_t wanted;
};

/* Count them, of everything or of one record (as far as its entries can be told by the keys that are here); `want`: ask for them, in a turn; else between
 * intake_read_with and the end of its transactions. ERR_MEMORY; of rows as table_error. */
MUST_CHECK enum err intake_absent(struct intake *intake, const struct ident *record_id, bool want,
                                  struct intake_absent *out);

/* Take an entry that this device wrote: the next of the first branch of its log (`log_id` is that of `descriptor`), sealed and
 * identified, its payload lent for the call. It is judged like anybody's. Its signature is made when it ends a run, or is the head at intake_sign: in
 * between nobody sees it, and what a turn writes into one log needs one signature and not one for each entry. */
struct intake_result intake_own(struct intake *intake, const struct descriptor *descriptor,
                                const struct hash *log_id, const struct entry *entry);

/* Sign the heads of the logs that intake_own went to: at the latest before somebody reads what is to be sent. intake_end
 * does it too. */
void intake_sign(struct intake *intake);

/* True once the turn has touched so many records that it should end before it takes in more: its memory grows with
 * them, whatever the replica holds. */
bool intake_is_full(const struct intake *intake);

/* What keeps the turn that is open from being committed, as intake_end would give it: ERR_MEMORY, or an error of the transactions. ERR_OK:
 * nothing so far. */
enum err intake_error(const struct intake *intake);

/* Finish the turn: what came in through control takes effect, what waited for it is taken up, every
 * touched record is brought up to date once. Errors are the transactions' own. */
MUST_CHECK enum err intake_end(struct intake *intake);

/* Forget the turn; its transactions are about to be aborted. */
void intake_abort(struct intake *intake);

/* True if a key came in the last turn for which entries may have waited. */
bool intake_keys_came(const struct intake *intake);

/* True if control changed in the last turn: levels, epochs or names may be others now. */
bool intake_roster_changed(const struct intake *intake);

/* Log branches that grew since the last call, for gossip and the frontier: calls `each` for every one. */
void intake_each_grown(struct intake *intake, void (*each)(void *self, const struct log_branch *branch),
                       void *self);

/* Take up what waits for `reason` again, whatever it waits for: after an upgrade or a rebuild. */
void intake_retry_all(struct intake *intake);

/* Make at most `record_max` of the records anew that wait for it; gives how many. One whose key is not here goes on waiting. */
size_t intake_work(struct intake *intake, size_t record_max);

/* True if the entry that a record key names is here and brings this key, or nobody can tell: it is damaged, or was erased. Within a
 * turn. */
bool intake_has_brought_key(struct intake *intake, const struct ident *compartment,
                            const struct record_key *record);

/* The key of a record, within a turn: from memory where it was used lately. Errors as keys_get_record. */
MUST_CHECK enum err intake_record_key(struct intake *intake, const struct ident *compartment,
                                      const struct ident *record_id, struct record_key *key_out);

/* As keys_move_record. */
void intake_move_record_key(struct intake *intake, const struct ident *compartment,
                            const struct record_key *key);

/* True if the entry that brought this key here does not count, or is not here: newcomers are not given the key by it. */
bool intake_key_is_orphan(const struct intake *intake, const struct record_key *record);

/* True if records were queued for that since the last call. */
bool intake_rekeys_came(const struct intake *intake);
void intake_rekeys_seen(struct intake *intake);

/* The next record that waits for its key to be brought again; its row is removed. False: none does. And back with it, if
 * it could not be done. */
bool intake_next_rekey(struct intake *intake, uint32_t *record_no_out);
void intake_rekey_later(struct intake *intake, uint32_t record_no);

/* How many records wait to be made anew, and whether any does. */
uint64_t intake_rebuild_count(struct table_txn *txn);
bool intake_is_rebuilding(struct table_txn *txn);

/* True if this record does. */
bool intake_is_stale(struct table_txn *txn, uint32_t record_no);

/* Make it anew at once, within the turn. ERR_LOCKED: its key is not here; others as record_turn_end. */
MUST_CHECK enum err intake_freshen(struct intake *intake, uint32_t record_no);

/* For `vigild rebuild`, in turns: remove everything that is derived; then take up the entry at each place, in order. */
void intake_clear_derived(struct intake *intake);
MUST_CHECK enum err intake_take_place(struct intake *intake, uint64_t place);

/* For sync/erase.c. Forget everything that is derived of a record, and every record key that memory holds. ERR_ABSENT: nothing
 * of it was merged here; others as record_forget. */
MUST_CHECK enum err intake_forget_record(struct intake *intake, const struct ident *compartment,
                                         const struct ident *record_id);
/* Remove the rows by which an entry may wait: only its header is used. */
void intake_forget_waiting(struct intake *intake, const struct log_branch *branch, const struct entry *entry);
/* In a turn: note that something of an entry is damaged here, so that it is asked for and put back when it comes. Of a run the first
 * alone need be noted: what follows in it comes with it. */
void intake_note_damage(struct intake *intake, uint32_t log_no, uint64_t seq);
/* True if this entry is noted; or any of a branch. In a turn. */
bool intake_entry_is_noted(struct intake *intake, uint32_t log_no, uint64_t seq);
bool intake_damage_is_noted(struct intake *intake, uint32_t log_no);
/* How many are noted. */
uint64_t intake_damage_count(struct table_txn *txn);
/* Take every key entry up again: a record key is damaged, and nobody can tell whose. In a turn. */
void intake_take_keys_again(struct intake *intake);
/* In a turn: make the record anew in one of the next turns. */
void intake_queue_record(struct intake *intake, uint32_t record_no);
/* Judge an entry once more that is here already: what it was judged by is gone. Errors show at the end of the turn. */
void intake_judge_again(struct intake *intake, uint32_t log_no, uint64_t seq);

/* True if an entry of this turn may have been merged into the record: its tables are then behind. */
bool intake_touched(const struct intake *intake, uint32_t record_no);

/* Bring the tables of every touched record up to date within the turn. Errors as record_turn_end. */
MUST_CHECK enum err intake_bring_up_to_date(struct intake *intake);

/* Bytes that a turn holds for what it has opened: bounded, whatever a turn takes in. */
size_t intake_memory(const struct intake *intake);

/* The latest stamp that was merged, no more than an hour ahead of our own clock; 0: none yet. */
uint64_t intake_latest_hlc(const struct intake *intake);

/* Between turns: the read transactions that intake_source opens entries with (NULL: none). */
void intake_read_with(struct intake *intake, struct table_txn *main_txn, struct table_txn *keys_txn);

/* Opens data entries over the journal and the keyring, within a turn or after intake_read_with. Lives as long as
 * the intake. */
const struct record_source *intake_source(const struct intake *intake);

/* The same for one entry, which must be of kind data, with the record that it is about. ERR_ABSENT: it does not count.
 * ERR_LOCKED: its key is not here. ERR_CORRUPT, ERR_MEMORY. */
MUST_CHECK enum err intake_open_entry(struct intake *intake, uint32_t log_no, uint64_t seq,
                                      struct arena *arena, struct signed_change *out,
                                      struct ident *record_id_out);

/* The number of the record that an entry calls urgent by its hint, within a turn or after intake_read_with. ERR_ABSENT: it has no
 * hint, does not count, or is of no record that is read here. ERR_CORRUPT. */
MUST_CHECK enum err intake_hinted_record(struct intake *intake, uint32_t log_no, uint64_t seq,
                                         uint32_t *record_no_out);

/* What an entry says, whatever its standing. Nobody acts on it: it is for people to look at. */
struct intake_words {
    uint8_t kind;
    uint64_t hlc;
    uint32_t actor;
    bool has_record;
    struct ident record_id;        /* of a data or key entry */
    struct signed_change change;   /* of a data entry */
    const struct span *statements; /* of a control entry, each signed */
    size_t statement_count;
};

/* Open any entry of kind data, key or control, within a turn or after intake_read_with; a record's key itself is not given. What
 * it says lives in `arena`. ERR_ABSENT: its payload is not here. ERR_LOCKED: its key is not. ERR_NEWER: it needs an upgrade.
 * ERR_INVALID: it does not open, or says nothing in any form that is known. ERR_CORRUPT, ERR_MEMORY. */
MUST_CHECK enum err intake_open_any(struct intake *intake, uint32_t log_no, uint64_t seq, struct arena *arena,
                                    struct intake_words *out);

/* Write a statement's row, under a keyed hash of its id: what the roster is read from at start. */
void intake_keep_statement(const struct table_env *env, struct table_txn *txn, const struct hash *stmt_id,
                           struct span signed_statement);

/* In a turn: the keyring has the key of an epoch now, and entries may wait for it. */
void intake_epoch_came(struct intake *intake, const struct ident *compartment, const struct hash *epoch_id);

/* In a turn: take in a statement that no entry of `control` brings. It takes effect at the turn's end. */
void intake_take_statement(struct intake *intake, struct span signed_statement);

/* Count what waits, after the journal was opened. ERR_CORRUPT. */
MUST_CHECK enum err intake_recount_pending(struct intake *intake, struct table_txn *txn);

/* Before a journal is opened that has so many logs: nothing waits in others. */
void intake_forget_logs(struct table_txn *txn, uint32_t log_count);
