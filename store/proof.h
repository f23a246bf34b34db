/* proof.h - walks a replica and checks that everything in it is what it must be.
 *
 *     rows      every row of every table verifies, keys ascend
 *     logs      every entry hashes on from its prev to the head; every kept signature is at a run's end or at the
 *               tip, is there, and is the author's
 *     order     every entry has one place in the order of arrival, and every place an entry
 *     waiting   every entry that waits has its row in `pend`, and no other
 *     records   rebuilding a record from its entries gives the rows that are there
 *     index     every count is that of its rows
 *     keys      the payload of every key entry is there and is the one that its header names, but of erased ones
 *
 * Nothing is written: the rebuilding happens in transactions that are aborted. What is
 * found is told one finding at a time, in words that name tables, logs and record numbers
 * and nothing that a case says.
 */
#pragma once

#include "store/journal.h"
#include "store/record.h"

enum proof_part {
    PROOF_ROWS,
    PROOF_LOGS,
    PROOF_ORDER,
    PROOF_WAITING,
    PROOF_RECORDS,
    PROOF_INDEX,
    PROOF_KEYS,
    PROOF_PART_COUNT
};

struct proof_options {
    void *self;
    /* Open write transactions on both environments, and abandon them. A slice of the work runs in each. */
    enum err (*begin)(void *self, struct table_txn **main_txn, struct table_txn **keys_txn);
    void (*abandon)(void *self, struct table_txn **main_txn, struct table_txn **keys_txn);
    /* One finding. `what` is a sentence; lent. */
    void (*finding)(void *self, enum proof_part part, const char *what);
    /* How far it is: entries and records done, of all. May be NULL. */
    void (*progress)(void *self, uint64_t done, uint64_t all);
    struct journal *journal;
    const struct codebook *codebook;
    const struct record_source *source;
};

struct proof {
    uint64_t
        checked[PROOF_PART_COUNT]; /* rows, entries, places, waiting entries, records, counts, key entries */
    uint64_t findings[PROOF_PART_COUNT];
    /* H("vigil.view.v1", plaintext rows of everything that is derived): the same after a rebuild that numbers the
     * records alike. Local: two replicas number them differently, and so does a rebuild where entries had waited. */
    struct hash derived;
};

/* Check all of it. ERR_OK even with findings: see `proof_out`. Any other error: it could not be finished. */
MUST_CHECK enum err proof_run(const struct proof_options *options, struct proof *proof_out);

/* "rows", "logs" and so on. */
const char *proof_part_name(enum proof_part part);
