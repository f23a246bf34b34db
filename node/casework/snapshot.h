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
 */
#pragma once

#include "node/casework/statistics.h"

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

/* What a node holds now: everything of it lives in an arena. */
struct snapshot_state {
    const struct snapshot_end *ends; /* ascending by log_id, seq */
    size_t end_count;
    const struct snapshot_page *pages;
    size_t page_count;
    size_t record_count;
};

/* Read it, of the records that `facts` has, which must be up to date. Between replica_begin_read and replica_end_read.
 * ERR_MEMORY, and errors of the tables. */
MUST_CHECK enum err snapshot_take(struct replica *replica, struct table_txn *txn, const struct facts *facts,
                                  struct arena *arena, struct snapshot_state *state_out);

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

/* Read the frozen versions into `facts`, which were begun, and note what is not as the claim says. Between turns, with no reader
 * open; other work waits meanwhile. Faults live in `arena`. ERR_MEMORY, and errors of the tables. */
MUST_CHECK enum err snapshot_replay(struct replica *replica, const struct snapshot_claim *claim,
                                    struct facts *facts, struct arena *arena,
                                    const struct snapshot_fault **faults_out, size_t *count_out);
