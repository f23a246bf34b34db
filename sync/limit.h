/* limit.h - where the logs of a revoked device end.
 *
 *     log      0---1---2---3---4---5        cuts name entries; what counts is a cut
 *                   \--2'--3'               entry or an ancestor of one, for *every*
 *     REVOKE   cut 3                        standing REVOKE of the author (its EXTENDs
 *     REVOKE   cut 4, cut 2'                add to it)
 *     counts   0---1---2---3
 *     told     0---1---2---3---4
 *                   \--2'
 *
 * What counts is closed downward, so of each branch it is a beginning: everything below
 * log_branch.limit_next. So is what is told, which ends at log_branch.told_next: what one
 * revocation names may lie beyond what another does, and must arrive everywhere all the same,
 * or who lacks it lets nothing pass that others do. Of an author without write there, by certificates that count,
 * nothing counts. A cut whose entry is not here lets nothing pass until it is. So the limit
 * is a function of the statements and of the entries that are here, and of no order.
 */
#pragma once

#include "store/journal.h"
#include "sync/roster.h"

/* True if the roster limits the logs of this author there at all: only then can an entry that comes move a limit. */
bool limit_applies(const struct roster *roster, const struct descriptor *descriptor);

/* Compute the limits of all branches of one log, and call `each` for every branch whose limits are others than before
 * (`before` is its limit_next as it was), the lowest log_no first; both are set when it returns. `first` is the log's first branch. */
void limit_log(const struct roster *roster, struct journal *journal, struct table_txn *txn,
               struct log_branch *first, void (*each)(void *self, struct log_branch *branch, uint64_t before),
               void *self);

/* How many entries of the way to this branch's head lie beyond what is told of it, and about how many payload bytes. */
uint64_t limit_beyond(const struct journal *journal, const struct log_branch *branch, uint64_t *bytes_out);

/* One more than the highest seq of a cut of this log whose entry is not here; 0: none is awaited. Entries below it may be what
 * leads there: until it has come nobody can tell. */
uint64_t limit_awaited(const struct roster *roster, struct journal *journal, struct table_txn *txn,
                       const struct descriptor *descriptor, const struct hash *log_id);
