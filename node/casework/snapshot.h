/* snapshot.h - what a window was counted from, so that anybody who holds the records can count it again.
 *
 *     frontier   where each log of cases ended: log, seq, entry id          pins every entry below it, by its hash chain
 *     versions   record -> H(the entries up to there that made it)          every record that was looked at, counted or not
 *     figures    each table as it was published, small numbers left out
 *     seal       H(all of that)
 *
 * A figure can be wrong by what was left out as well as by what was counted, so the list has all cases, persons, windows and count stubs
 * that the maker had, not only those of the window. A version is not the state of a record but the entries that make it: that
 * needs no record to be opened, and every node computes the same. The list is written down, and not only its root, so that a node
 * can say which record it lacks or has otherwise: 16 bytes each (8 of the id, 8 of the version), and for each page of the list a hash over
 * ids and versions in full.
 *
 * Counting again means merging exactly those entries: records that were edited since are made anew from them, in a transaction that is
 * given up afterwards.
 *
 * Both look at every record, so both work in slices between turns. What comes meanwhile changes nothing: it lies after the ends of the
 * logs, and is not looked at. What lies before them may begin or cease to count (a key arrives, a device is revoked, a record is
 * erased), which the journal's places tell; then half of the records would be of before and half of after, so it is begun again.
 */
#pragma once

#include "node/casework/statistics.h"
#include "store/base/world.h"

enum {
    SNAPSHOT_PAGE_RECORDS = 1000, /* of one page: it must fit into one entry */
    SNAPSHOT_PAGE_ENDS = 250,
    SNAPSHOT_PAGE_BYTES = 20000, /* of figures */
};

/* Where a log, or a branch of one, ended. */
struct snapshot_end {
    struct hash log_id;
    uint64_t seq;
    struct hash entry_id;
};

/* A record, and what it was made of. */
struct snapshot_version {
    struct ident record_id;
    struct hash version;
};

/* Up to SNAPSHOT_PAGE_RECORDS records of one compartment, ascending by id. */
struct snapshot_page {
    struct ident compartment;
    const struct snapshot_version *versions;
    size_t count;
};

/* What a node held at one moment. */
struct snapshot_state {
    const struct snapshot_end *ends; /* ascending by log_id, seq */
    size_t end_count;
    const struct snapshot_page *pages;
    size_t page_count;
    size_t record_count;
};

/* It is read record by record. NULL: no memory. */
struct snapshot_taking;
struct snapshot_taking *snapshot_taking_new(void);
void snapshot_taking_free(struct snapshot_taking **taking);

/* Begin, or begin again, with the records that `facts` has, which must be up to date; they are not looked at after this. Between
 * replica_begin_read and replica_end_read, as every step. ERR_MEMORY, and errors of the tables. */
MUST_CHECK enum err snapshot_taking_begin(struct snapshot_taking *taking, struct replica *replica,
                                          struct table_txn *txn, const struct facts *facts);

/* A slice: one record, and more until the steady clock says `until_ms`. Errors as above: it is over. */
enum snapshot_progress {
    SNAPSHOT_MORE, /* call it again, be it after a turn */
    SNAPSHOT_DONE,
    SNAPSHOT_AGAIN, /* what was read is another now: begin again */
};
MUST_CHECK enum err snapshot_taking_step(struct snapshot_taking *taking, struct replica *replica,
                                         struct table_txn *txn, const struct world *world, uint64_t until_ms,
                                         enum snapshot_progress *progress_out);

/* What was read, once it is done; lent until it is begun again or freed. */
const struct snapshot_state *snapshot_taking_state(const struct snapshot_taking *taking);

/* Pages as they are written, in CBOR. ERR_MEMORY stays in `out`. */
void snapshot_put_ends(struct buf *out, const struct snapshot_end *ends, size_t count);
void snapshot_put_page(struct buf *out, const struct snapshot_page *page);

/* The same, read back. What is in it lives in `arena` or is lent. False: malformed, or no memory. */
struct snapshot_listed {
    struct ident compartment;
    struct hash hash;  /* over ids and versions in full */
    struct span items; /* 16 bytes each, ascending */
};
MUST_CHECK bool snapshot_read_ends(struct span cbor, struct arena *arena, struct snapshot_end **ends_out,
                                   size_t *count_out);
MUST_CHECK bool snapshot_read_page(struct span cbor, struct snapshot_listed *listed_out);

/* A snapshot that is to be checked. */
struct snapshot_claim {
    const struct snapshot_end *ends;
    size_t end_count;
    const struct snapshot_listed *pages;
    size_t page_count;
};

enum snapshot_how {
    SNAPSHOT_MISSING = 1, /* it is in the list, and not here */
    SNAPSHOT_CHANGED, /* it is here, made of other entries: some were erased, count no more, or did not arrive */
    SNAPSHOT_UNLISTED,   /* it was there, and is not in the list */
    SNAPSHOT_UNREADABLE, /* a compartment that this device may not read; `record` is zero */
    SNAPSHOT_LOG,        /* the end of a log is not here; `record` is the beginning of its id */
    SNAPSHOT_PAGE,       /* all of a page seems to be here, and yet its hash differs; `record` is its first */
};

struct snapshot_fault {
    enum snapshot_how how;
    struct ident compartment;
    uint8_t record[8];
    size_t count; /* records of a compartment that cannot be read, else 1 */
};

/* Counting again. The claim is lent to it, and outlives it. NULL: no memory. */
struct snapshot_replay;
struct snapshot_replay *snapshot_replay_new(const struct snapshot_claim *claim);
void snapshot_replay_free(struct snapshot_replay **replay);

/* A slice of it, as snapshot_taking_step; it begins by itself, and again where it must, and gives SNAPSHOT_MORE then. Between turns, with
 * no reader open. ERR_MEMORY, and errors of the tables: it is over. */
MUST_CHECK enum err snapshot_replay_step(struct snapshot_replay *replay, struct replica *replica,
                                         const struct world *world, uint64_t until_ms,
                                         enum snapshot_progress *progress_out);

/* Once it is done: the facts of the frozen versions, and what is not as the claim says. Lent. */
const struct facts *snapshot_replay_facts(const struct snapshot_replay *replay);
const struct snapshot_fault *snapshot_replay_faults(const struct snapshot_replay *replay, size_t *count_out);
