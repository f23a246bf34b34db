/* record_rows.h - the rows of record.h: their keys and values, byte by byte.
 *
 *     cell   record_no 4 | PART_SUP 1 | named dot 20 | log_no 4 | seq 8 | op 2  ->  removal 1 | target 12
 *            record_no 4 | PART_LIVE 1 | target 12 | dot 20 | log_no 4    ->  removed 1 | hash of the value 8
 *            record_no 4 | PART_ROPS 1 | ~log_no 4 | ~seq 8               ->  nothing
 *     sum    record_no 4                                                  ->  see summary_write
 *     conf   record_no 4                                                  ->  see conflicts_write
 *
 * The three parts of a record are one range of one table: a turn that touches many records writes about one
 * page for each, not three. New names come last of theirs and new entries, whose numbers are complemented, first of theirs, so
 * that both lie beside the live values however long the history is.
 *
 * For record.c and record_view.c only.
 */
#pragma once

#include "store/record.h"

enum {
    RECORD_KEY_BYTES = 4,
    PART_KEY_BYTES = RECORD_KEY_BYTES + 1,
    LIVE_KEY_BYTES = PART_KEY_BYTES + CELL_KEY_BYTES + DOT_BYTES + 4,
    LIVE_VALUE_BYTES = 9,
    SUP_KEY_BYTES = PART_KEY_BYTES + DOT_BYTES + 4 + 8 + 2,
    SUP_VALUE_BYTES = 1 + CELL_KEY_BYTES,
    ROPS_KEY_BYTES = PART_KEY_BYTES + 4 + 8,
};

/* In the order in which they lie. */
enum record_part {
    PART_SUP = 1, /* the dots that its ops name */
    PART_LIVE,    /* its live values */
    PART_ROPS,    /* its entries, the latest first */
};

/* Where a part of a record begins. */
void part_key(uint8_t key[PART_KEY_BYTES], uint32_t record_no, enum record_part part);

/* One live value. */
struct live_row {
    uint8_t target[CELL_KEY_BYTES];
    struct dot dot;
    uint32_t log_no;
    bool removed;
    uint64_t value_hash; /* 0: the op has no value */
};

void live_row_write(const struct live_row *row, uint32_t record_no, uint8_t key[LIVE_KEY_BYTES],
                    uint8_t value[LIVE_VALUE_BYTES]);
/* False: no such row. */
MUST_CHECK bool live_row_read(struct span key, struct span value, struct live_row *row_out);

/* The order of keys. */
int live_row_compare(const struct live_row *a, const struct live_row *b);

/* An op that names a dot. */
struct sup_row {
    struct dot dot;
    bool removal;
    uint8_t target[CELL_KEY_BYTES]; /* of the op that names */
    uint32_t log_no;
    uint64_t seq;
    uint32_t op;
};

void sup_row_write(const struct sup_row *row, uint32_t record_no, uint8_t key[SUP_KEY_BYTES],
                   uint8_t value[SUP_VALUE_BYTES]);
MUST_CHECK bool sup_row_read(struct span key, struct span value, struct sup_row *row_out);

/* Does the name reach a value at this target: the same target, or of a removal the same element. */
bool sup_row_reaches(const struct sup_row *name, const uint8_t target[CELL_KEY_BYTES]);

void rops_key(uint8_t key[ROPS_KEY_BYTES], uint32_t record_no, uint32_t log_no, uint64_t seq);
/* False: no such row. */
MUST_CHECK bool rops_read(struct span key, uint32_t *log_no_out, uint64_t *seq_out);

/* The secrets of an environment that targets and values are hashed with. */
struct row_hashes {
    uint8_t target[16];
    uint8_t value[16];
};

void row_hashes_of(struct row_hashes *out, const struct table_env *env);
/* Never 0 for a value; 0 where there is none. Two values have one hash only on one target of one record. */
uint64_t row_hash_value(const struct row_hashes *hashes, uint32_t record_no,
                        const uint8_t target[CELL_KEY_BYTES], struct span value);

/* A listed or indexed field as the summary has it. */
struct summary_item {
    struct target target;
    bool conflict;
    const struct span *shown;
    size_t shown_count;
    const struct span *tokens;
    size_t token_count;
};

struct summary {
    uint64_t created_hlc;
    uint64_t updated_hlc;
    size_t conflict_count;
    struct summary_item *items; /* ascending by target */
    size_t item_count;
};

/* True if one of its items is a restriction: that stands there without anything to show. */
bool summary_is_restricted(const struct summary *summary);

/* The same of a row that nothing else is wanted of. False: malformed. */
MUST_CHECK bool summary_row_is_restricted(struct span row, bool *restricted_out);

/* created u64 | updated u64 | varint conflicts | varint n | n × (target | flags u8 |
 * varint n × (varint size, shown) | varint n × (varint size, token)); target = varint collection |
 * element 8 if that is not 0 | varint field. */
void summary_write(const struct summary *summary, struct buf *out);
/* Spans are lent from `row`. False: it does not read as one, or memory ran out (arena->failed). */
MUST_CHECK bool summary_read(struct span row, struct arena *arena, struct summary *out);

/* varint n | n × (target | how u8 | since u64), ascending. */
void conflicts_write(const struct record_conflict *conflicts, size_t count, struct buf *out);
MUST_CHECK bool conflicts_read(struct span row, struct arena *arena, const struct record_conflict **out,
                               size_t *count_out);
int conflict_compare(const struct record_conflict *a, const struct record_conflict *b);

/* Entries that are open, by (log_no, seq): an entry is opened once, however many of its values are wanted. */
struct entry_cache {
    const struct record_source *source;
    struct arena *arena;
    const struct signed_change **slots;
    size_t slot_count; /* a power of two */
    size_t count;
};

void entry_cache_init(struct entry_cache *cache, const struct record_source *source, struct arena *arena);
/* NULL: not in the cache. */
const struct signed_change *entry_cache_find(const struct entry_cache *cache, uint32_t log_no, uint64_t seq);
/* False: no memory. */
MUST_CHECK bool entry_cache_add(struct entry_cache *cache, const struct signed_change *entry);
/* From the cache, or opened through the source. ERR_ABSENT: it does not count. */
MUST_CHECK enum err entry_cache_open(struct entry_cache *cache, uint32_t log_no, uint64_t seq,
                                     const struct signed_change **entry_out);

/* The live value that a row stands for. ERR_ABSENT: its entry does not count now; ERR_CORRUPT: the entry does
 * not say what the row says. */
MUST_CHECK enum err live_open(struct entry_cache *cache, const struct live_row *row, struct live *live_out);
