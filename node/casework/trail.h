/* trail.h - which records have become others since somebody looked last.
 *
 *     journal places --> the entries and records that they name --> their numbers
 *
 * For what is kept in memory of all records and brought up to date off the write path. It gives numbers of records, in
 * slices, and opens none of them: what becomes of them is the reader's.
 */
#pragma once

#include "sync/replica.h"

enum { TRAIL_SLICE = 128 };

/* Zeroed, nothing was read yet. */
struct trail {
    bool begun;
    uint64_t place;            /* of the journal: read up to here */
    uint32_t due[TRAIL_SLICE]; /* numbers of records, of either half, each once */
    size_t due_count;
    struct arena arena;
    uint64_t seen_place; /* as it was looked at last */
    uint64_t rest_ms;    /* since when the journal rests */
    uint64_t read_ms;    /* when a slice was read last, or nothing was to be read */
    uint64_t retry_ms;   /* not before then: the last slice failed */
};

/* Begin at the journal's last place: what is here by then is read otherwise, before anything else. */
void trail_begin(struct trail *trail, struct replica *replica);
void trail_free(struct trail *trail);

/* Put the next numbers into `due`, which is empty. Between replica_begin_read and replica_end_read. *again_out: any record
 * may be another now, and numbers may mean other records: it has begun anew, and so must the reader. Errors of the tables,
 * ERR_MEMORY: call it again later. */
MUST_CHECK enum err trail_read(struct trail *trail, struct replica *replica, struct table_txn *txn,
                               bool *again_out);

/* True while there is a number to be given, or one that was given is still due. */
bool trail_is_behind(const struct trail *trail, struct replica *replica);

/* A slice was read, or could not be. `now_ms`: of the steady clock. */
void trail_note(struct trail *trail, uint64_t now_ms, enum err err);

/* When the next slice is due: soon after the journal has come to rest, or after a while. UINT64_MAX: nothing is `behind`. */
uint64_t trail_due_ms(struct trail *trail, struct replica *replica, bool behind, uint64_t now_ms);
