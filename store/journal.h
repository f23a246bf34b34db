/* journal.h - every entry this replica has accepted: the trees of the logs, and the order of arrival.
 *
 *     log 7   0 --- 1 --- 2 --- 3        log 9: a branch of 7 whose first entry has seq 2
 *                     \-- 2'--- 3'
 *     chg     1: 7|0   2: 7|1   3: 9|2   4: record 12 ...    order of arrival, here only
 *
 * Views, summaries and indexes are derived from the journal and can be rebuilt from
 * it; the journal itself is rebuilt from nothing. A log_no and a place never leave
 * the replica: peers name an entry by its log_id and seq, and by its id.
 *
 * What can be computed of a header is not stored: ids and payload hashes are found
 * by hashing on from the nearest signature that was kept, at most a run away. The
 * payload of a key entry lives in keys/; its row here is a stub. Of an erased entry the
 * payload's hash and size are left, so that the chain still hashes on, and the order.
 */
#pragma once

#include "store/entry.h"
#include "store/table.h"

enum {
    LOG_NONE = 0,
    JOURNAL_DETAILS_MAX = 32, /* of a held entry */
};

/* What an entry's row says of it. Pending entries are kept and not merged until what they wait
 * for is here; that is a state of this replica, not a standing. */
enum entry_state {
    STATE_MERGED = 0,
    STATE_CARRIED, /* we may not read it */
    STATE_HELD,    /* it does not count; the reason stands in `detail` */
    STATE_ERASED,
    STATE_NEEDS_KEY,
    STATE_NEEDS_SCHEMA,
    STATE_NEEDS_PAYLOAD, /* of a long one only the header came: entry_is_long */
    STATE_COUNT
};

/* What is damaged here of a branch, as far as anybody has looked. */
enum branch_lack { LACKS_ENTRIES = 1, LACKS_PAYLOADS = 2 };

/* A branch of a log, as held in memory while the journal is open. */
struct log_branch {
    uint32_t log_no;
    struct descriptor descriptor;
    struct hash log_id;
    struct hash device_id;
    uint32_t parent;       /* log_no of the branch it leaves; LOG_NONE for the first branch */
    uint64_t branch_first; /* seq of its first entry; 0 for the first branch */
    uint64_t next_seq;     /* head seq + 1 */
    struct hash head_id;   /* entry_id of the head */
    struct run run;        /* state of the run at the head */
    uint64_t pending_count;
    uint64_t absent_count; /* of these, those that wait for their payload; not stored */
    uint64_t visible_next; /* every entry below it is merged, carried, held or erased */
    uint64_t idle_bytes;   /* payload bytes of its entries that are held or wait: see journal_idle_bytes */
    uint64_t held_count;   /* entries that are held */
    uint64_t limit_next;   /* from here on its entries do not count: see sync/limit.h; not stored */
    uint64_t told_next;    /* nor are they told to anybody: limit_next, or beyond it; not stored */
    uint64_t limit_was;    /* of sync/limit.c, while it computes */
    uint64_t told_was;
    uint64_t limit_work;
    uint32_t sibling;   /* log_no of the next branch of the same log */
    uint32_t neighbour; /* log_no of the branch of the same compartment that came before it */
    bool
        head_unsigned; /* appended since it was opened, and its signature not kept: there is none to drop; not stored */
    bool dirty;    /* to be written at the end of the turn */
    uint8_t lacks; /* enum branch_lack: what could not be read of it since it was opened; not written */
};

struct journal;
struct world;

/* Read the logs of an environment. */
MUST_CHECK enum err journal_open(struct journal **journal_out, struct table_txn *txn);
void journal_close(struct journal **journal);

/* The first branch of a log; NULL: unknown here. Follow `sibling` for the others. Valid until the
 * next journal_begin_log or journal_branch. */
struct log_branch *journal_log(const struct journal *journal, const struct hash *log_id);
struct log_branch *journal_branch(const struct journal *journal, uint32_t log_no);

/* True if there is such a branch and it stores the entry `seq`, be its row damaged or gone. */
bool journal_stores(const struct journal *journal, uint32_t log_no, uint64_t seq);
/* Each branch of a compartment, the last that came first: after NULL, or after the one given last. NULL: there are no more. */
const struct log_branch *journal_next_of(const struct journal *journal, const struct ident *compartment,
                                         const struct log_branch *before);
uint32_t journal_branch_count(const struct journal *journal); /* log_nos run from 1 to this */

/* A log whose id starts with these 8 bytes, NULL if none. */
struct log_branch *journal_log_by_prefix(const struct journal *journal, const uint8_t prefix[8]);

/* Begin a log, or a branch that leaves `parent` before seq `first`. It holds nothing until the first
 * append. NULL: no memory. */
struct log_branch *journal_begin_log(struct journal *journal, const struct descriptor *descriptor);
struct log_branch *journal_begin_branch(struct journal *journal, struct table_txn *txn, uint32_t parent,
                                        uint64_t first);

/* Append the next entry of `branch`; `entry->id` and hashes must be set. The row is durable once
 * the transaction commits; journal_flush must run before. `detail` is a held reason or 0. Gives its place. */
uint64_t journal_append(struct journal *journal, struct table_txn *txn, struct log_branch *branch,
                        const struct entry *entry, enum entry_state state, uint8_t detail);

/* The same of an entry that was erased before it came: its payload is not looked at, and its hash must be set. */
uint64_t journal_append_erased(struct journal *journal, struct table_txn *txn, struct log_branch *branch,
                               const struct entry *entry, const struct ident *order);

/* Put the payload in the place of its stub, of an entry that waits for it; the payload has the hash that the stub names. Its state stays:
 * who calls judges it next. ERR_INVALID: it does not wait for one. ERR_ABSENT, ERR_CORRUPT. */
MUST_CHECK enum err journal_put_payload(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                        uint64_t seq, struct span payload);

/* Keep the signature of the branch's head. A signature that no longer is at a run's end or a tip
 * is dropped by journal_append. */
void journal_keep_signature(struct journal *journal, struct table_txn *txn, struct log_branch *branch,
                            const uint8_t signature[SIGNATURE_BYTES]);

/* Change what the row of an entry says; one that is erased stays erased. ERR_ABSENT, ERR_CORRUPT. */
MUST_CHECK enum err journal_set_state(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                      uint64_t seq, enum entry_state state, uint8_t detail);

/* Destroy the payload of an entry, of a key entry in its stub (keys.h has the rest): hash, size and the order's name take
 * its place. Erasing it again changes nothing. ERR_ABSENT. ERR_CORRUPT: its row did not verify; it is
 * replaced by one that says nothing but the order, and goes on being damaged. */
MUST_CHECK enum err journal_erase(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                  uint64_t seq, const struct ident *order);

/* --- what was damaged here, and comes again --- */

/* True if the row of the entry `seq` verifies and has the shape of one: what it says is not hashed. */
bool journal_row_reads(struct table_txn *txn, uint32_t log_no, uint64_t seq);

/* True if the row of an entry, whose id and hashes are set, verifies and says the same as it. */
bool journal_is_whole(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                      const struct entry *entry);

/* True if a signature is kept at this entry, and is its author's. */
bool journal_is_signed(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq);

/* Is the entry `seq` that `log_no` stores the one with this id? ERR_OK: what follows it hashes on from that to a signature, or to the
 * head. ERR_INVALID: it is another. ERR_CORRUPT: what follows cannot be read, so nobody can tell. */
MUST_CHECK enum err journal_prove(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                  uint64_t seq, const struct hash *id);

/* Write the row of an entry anew in the place that it had; it was proved. It counts in no sum: with another state than it had,
 * follow by journal_recount. `order`: that it was erased by, with STATE_ERASED alone. Errors stay in `txn`. */
void journal_put_back(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                      const struct entry *entry, enum entry_state state, const struct ident *order);

/* The same of a signature, which was verified. */
void journal_put_back_signature(struct table_txn *txn, uint32_t log_no, uint64_t seq, const struct hash *id,
                                const uint8_t signature[SIGNATURE_BYTES]);

/* Give every place that names no entry, or one that another place names, to an entry that has none, and new ones to what is left then: the
 * order of arrival is lost between these alone. Gives how many were written. Errors stay in `txn`; ERR_MEMORY. */
MUST_CHECK enum err journal_mend_places(struct journal *journal, struct table_txn *txn, uint64_t *count_out);

/* Count what is held and what idles anew, from the rows of the branches that have any. */
void journal_recount(struct journal *journal, struct table_txn *txn);

/* --- after a salvage (salvage.h) --- */

/* Of two rows of one key, in TABLE_ENT or TABLE_LOGS, either of which may be old: does the second say more? An erasure says more than
 * what it erased, a log more than its beginning. */
bool journal_row_says_more(enum table_id table, struct span one, struct span other);

/* What a log whose own row is lost may be called, beside what the rows of others say. */
struct journal_names {
    const struct descriptor *authors; /* of each key and incarnation, all else zero */
    size_t author_count;
    const struct ident *compartments;
    size_t compartment_count;
    struct descriptor nobody; /* of a log that is never written in: with another incarnation each time */
    const struct world *world;
};

struct journal_mended {
    uint64_t logs;   /* whose row was lost, and was made again from their entries */
    uint64_t longer; /* whose row was older than their entries */
    uint64_t
        dropped; /* of which nobody here can tell whose they were: they come again from peers, as new ones */
    uint64_t entries; /* that were dropped with them */
    uint64_t places;  /* in the order of arrival, that were made anew */
};

/* Before journal_open: have all rows of logs, entries and signatures hang together again, and give every entry a place. Entries that are not
 * here go on being damaged. A log that is dropped leaves an empty one behind, so that the numbers of the others stay. ERR_CORRUPT,
 * ERR_MEMORY, or an error of the transaction. */
MUST_CHECK enum err journal_mend(struct table_txn *txn, const struct journal_names *names,
                                 struct journal_mended *mended_out);

/* Write the logs that changed in this turn. */
void journal_flush(struct journal *journal, struct table_txn *txn);

/* One entry with everything known of it: header, prev, ids. The payload of a data or control entry is
 * lent until the transaction writes or ends; of a key entry it is empty (keys.h), and of an erased one. `branch` may be any
 * branch that has the entry among its ancestors. ERR_ABSENT, ERR_CORRUPT: of an entry that must be there, the branch
 * that stores it lacks entries from now on. */
struct journal_entry {
    struct entry entry;
    enum entry_state state;
    uint8_t detail;
    struct ident order; /* that it was erased by; zero unless it was */
    uint32_t log_no;    /* the branch that stores it */
};

MUST_CHECK enum err journal_read(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                 uint64_t seq, struct journal_entry *out);

/* The first 4 bytes of an entry's id: one read, no hashing. */
MUST_CHECK enum err journal_tag(struct journal *journal, struct table_txn *txn, uint32_t log_no, uint64_t seq,
                                uint8_t tag_out[4]);

/* What the row of an entry says of it. ERR_ABSENT, ERR_CORRUPT. */
MUST_CHECK enum err journal_state(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                  uint64_t seq, enum entry_state *state_out);

/* The flags of an entry: one read, no hashing. ERR_ABSENT, ERR_CORRUPT. */
MUST_CHECK enum err journal_flags(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                  uint64_t seq, uint8_t *flags_out);

/* How far the run had come before the entry `seq`, on the way that ends at `log_no`. ERR_ABSENT, ERR_CORRUPT. */
MUST_CHECK enum err journal_run_before(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                       uint64_t seq, struct run *run_out);

/* The signature kept at the first kept place at or after `seq` on the way to the head of `branch`: where a
 * chunk that starts at `seq` ends. ERR_ABSENT: nothing at or after seq. */
MUST_CHECK enum err journal_signature_after(struct journal *journal, struct table_txn *txn, uint32_t log_no,
                                            uint64_t seq, uint64_t *seq_out,
                                            uint8_t signature_out[SIGNATURE_BYTES]);

/* The branch of `log` on which the entry `seq` is stored, when followed from `log_no`'s head. */
uint32_t journal_stored_in(const struct journal *journal, uint32_t log_no, uint64_t seq);

/* The branch that stores the entry with this id: LOG_NONE: it is not here. */
uint32_t journal_find(struct journal *journal, struct table_txn *txn, const struct hash *log_id, uint64_t seq,
                      const struct hash *entry_id);

/* Payload bytes of an author's entries in a compartment that count for nothing (yet): held, or waiting for a key or an
 * upgrade. One walk over the branches that are here. */
uint64_t journal_idle_bytes(const struct journal *journal, const struct hash *device_id,
                            const struct ident *compartment);

/* How many entries are held for this reason: the `detail` of their rows, below JOURNAL_DETAILS_MAX. */
uint64_t journal_held_count(const struct journal *journal, uint8_t detail);

/* Places: what came, in its order. Each entry has one, and each time that a record is another than the entries before tell:
 * one of them began to count later than it came, or counts no more, or was erased. Whoever derives something from records
 * follows the places and needs nothing else. journal_place_last is 0 when empty. */
uint64_t journal_place_last(const struct journal *journal);

/* The entry at a place; or log_no LOG_NONE, and in `seq_out` the number of a record that is another now, or 0: any may
 * be, and numbers may mean other records. ERR_ABSENT: no such place. ERR_CORRUPT. */
MUST_CHECK enum err journal_at(struct table_txn *txn, uint64_t place, uint32_t *log_no_out,
                               uint64_t *seq_out);

/* Give the record (0: any) a place. Nothing if it has the last one, of this turn. */
void journal_append_record(struct journal *journal, struct table_txn *txn, uint32_t record_no);

/* Entries of a compartment that wait for a key or an upgrade. */
uint64_t journal_pending_count(const struct journal *journal, const struct ident *compartment);

/* Entries that are here of a compartment, as far as its logs go: what lies beyond a cut is not counted. */
uint64_t journal_entry_count(const struct journal *journal, const struct ident *compartment);
