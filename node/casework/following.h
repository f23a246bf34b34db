/* following.h - which records have to be read again, for an index that is kept in memory.
 *
 *     all records, once --> journal places --> the records they name --> both halves --> reader
 *
 * The index is off the write path: it is brought up to date in slices between turns, when nothing else is to be done, or
 * when somebody asks. Its reader is shown what this node may read and nothing else; of a restricted record nothing, and what
 * was erased is named with the place that says so.
 */
#pragma once

#include "sync/replica.h"

struct following;

/* What the index does with what is read. */
struct following_reader {
    void *self;
    /* Become empty: everything will be read, from the first record on. Errors as the index likes: nothing is read then. */
    enum err (*begin)(void *self);
    /* A record, by the number of its case half. NULL: there is nothing of it to be shown. `gone`: it is not here any more.
     * *bytes_out: how much was to be read. After an error it is read again later. */
    enum err (*take)(void *self, uint32_t record_no, const struct replica_view *view, bool gone,
                     size_t *bytes_out);
};

/* NULL: no memory. */
struct following *following_new(void);
void following_free(struct following **following);

/* Read a slice. Between turns, with no reader open. `now_ms`: of the steady clock. ERR_ABSENT: nothing is left to be read.
 * Others as replica_begin_read and of the reader; then it is not due before a while. */
MUST_CHECK enum err following_read(struct following *following, struct replica *replica,
                                   const struct following_reader *reader, uint64_t now_ms);

/* What was done with a slice failed after all: not again before a while. */
void following_retry(struct following *following, uint64_t now_ms);

/* The place of the journal up to which all was read. Only while following_is_behind is false, or all records were read. */
uint64_t following_place(const struct following *following);

/* The reader is as it was when all was read up to `place`: go on behind it. */
void following_resume(struct following *following, uint64_t place);

/* Begin anew with the next slice. */
void following_restart(struct following *following);

/* Is there something to be read? */
bool following_is_behind(const struct following *following, struct replica *replica);

/* How many records and places are still to be read. */
uint64_t following_left(const struct following *following, struct replica *replica);

/* When the next slice is due: soon after the journal has come to rest, or after a while. UINT64_MAX: there is nothing to
 * read. `more`: the index has something to do of its own. */
uint64_t following_due_ms(struct following *following, struct replica *replica, bool more, uint64_t now_ms);
