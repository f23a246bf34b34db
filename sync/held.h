/* held.h - what is kept here and does not count: found, and named by what people type.
 *
 *     3f09a1c2:17            log_id and seq: the log's id, or the beginning of it
 *     3f09a1c2:17:b0c4       and the entry's id, where a fork has two of this seq
 *
 * Held entries are in no list of their own: the branches that hold some are walked, a slice at a
 * time, and what is merged is passed over. What one says is opened by replica_open_held.
 */
#pragma once

#include "store/journal.h"
#include "sync/policy.h"

enum {
    HELD_SLICE = 256,      /* entries that one call looks at, at most */
    HELD_DIGITS_MIN = 6,   /* of a log's id, in what people type */
    HELD_DIGITS_SHOWN = 12 /* in the names that held_name gives */
};

struct held_entry {
    uint32_t log_no;
    uint64_t seq;
    struct hash entry_id;
    uint8_t kind; /* enum entry_kind */
    enum held_reason reason;
    uint32_t payload_bytes;
};

/* Whose are wanted; all zero: everybody's. */
struct held_filter {
    const struct hash *device_id; /* NULL: of any author */
};

/* How far a walk has come; zeroed: at its beginning. It goes by log_no, and is good for as long as the journal is. */
struct held_place {
    uint32_t log_no; /* one more than the last: there is nothing left */
    uint64_t seq;
};

/* True if the walk has come to the end. */
bool held_ended(const struct journal *journal, const struct held_place *place);

/* Look at up to HELD_SLICE entries from `place` on and give those that are held, at most `room`; `place` moves to where the
 * next call goes on. Errors as journal_read. */
MUST_CHECK enum err held_next(struct journal *journal, struct table_txn *txn,
                              const struct held_filter *filter, struct held_place *place,
                              struct held_entry *out, size_t room, size_t *count_out);

/* Find one by its name. ERR_INVALID: no such name can be. ERR_ABSENT: none is held under it. ERR_CONFLICT: several
 * are. Errors as journal_read. */
MUST_CHECK enum err held_find(struct journal *journal, struct table_txn *txn, const char *name,
                              struct held_entry *out);

/* The same for any entry, be it held or not. */
MUST_CHECK enum err held_find_any(struct journal *journal, struct table_txn *txn, const char *name,
                                  struct held_entry *out);

/* Its name. */
struct held_name {
    char text[64];
};
struct held_name held_name(const struct journal *journal, const struct held_entry *entry);

/* How many of an author's entries are held; NULL: of everybody's. One walk over the branches that are here. */
uint64_t held_count(const struct journal *journal, const struct hash *device_id);
