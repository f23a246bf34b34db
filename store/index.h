/* index.h - which records have a code, a country, a month; how many have it.
 *
 *     idx     [index_no | hash of token | ~record_no]  ->  nothing
 *     token   [index_no | hash of token]               ->  how many records, the token
 *
 * index_no is the number of an indexed field, and a token one of the short CBOR values
 * that codebook_tokens makes of what the field shows. Two more indexes of ours: 0 holds
 * each record under its compartment, so that a query is narrowed to an office, and
 * INDEX_CONFLICTS counts open conflicts by compartment without naming records.
 * FIELD_KIND is always indexed. Counts are over all compartments; a count for one office,
 * or a table of two fields, is a walk over an intersection.
 *
 * Newer records (those met later) come first. Hashes are keyed; tokens are sealed.
 */
#pragma once

#include "store/base/arena.h"
#include "store/table.h"

enum {
    INDEX_COMPARTMENT = 0,        /* token: the compartment id as CBOR bytes */
    INDEX_CONFLICTS = 0x7fffffff, /* the same token; counts only. No codebook has a field of this number */
    INDEX_TERMS_MAX = 8,          /* of a query */
};

/* One value of one index. */
struct index_term {
    uint32_t index_no;
    struct span token; /* CBOR */
};

struct index_count {
    struct span token;
    uint64_t count;
};

struct index_pair {
    struct span a;
    struct span b;
    uint64_t count;
};

/* Changes of counts of one turn, kept in memory so that a country's row is written once a turn. */
struct index_batch;

/* NULL: no memory. */
struct index_batch *index_batch_new(void);
void index_batch_free(struct index_batch **batch);
void index_batch_begin(struct index_batch *batch, struct table_txn *txn);

/* Put `record_no` under the terms of `after` that are not in `before`, and take it away from those of
 * `before` that are not in `after`. Both hold each term once, ascending by index_term_compare. */
void index_apply(struct index_batch *batch, uint32_t record_no, const struct index_term *before,
                 size_t before_count, const struct index_term *after, size_t after_count);

/* Change a count alone, or say what it is. */
void index_add(struct index_batch *batch, const struct index_term *term, int64_t change);
void index_set(struct index_batch *batch, const struct index_term *term, uint64_t count);

/* Take `record_no` away from every term, when it is not known under which it stands: one walk over the whole
 * index. Errors stay in the transaction. */
void index_forget(struct index_batch *batch, uint32_t record_no);

/* In this batch a count whose row does not verify is made anew from the index, and is no error. */
void index_mend(struct index_batch *batch);

/* Write the counts. ERR_MEMORY, ERR_CORRUPT; else the transaction's error. */
MUST_CHECK enum err index_batch_end(struct index_batch *batch);

int index_term_compare(const struct index_term *a, const struct index_term *b);

/* How many records have the term; 0 if none. ERR_CORRUPT and others as table_read. */
MUST_CHECK enum err index_count_of(struct table_txn *txn, const struct index_term *term, uint64_t *count_out);

/* Every token of an index with its count, ascending by token, in `arena`. */
MUST_CHECK enum err index_counts(struct table_txn *txn, uint32_t index_no, struct arena *arena,
                                 const struct index_count **counts_out, size_t *count_out);

/* Every pair of tokens of two indexes that some record has, with how many have both: a table by country
 * and act. Only records that have all `terms` (there may be none) count. Ascending by (a, b), in `arena`. */
MUST_CHECK enum err index_cross(struct table_txn *txn, uint32_t index_a, uint32_t index_b,
                                const struct index_term *terms, size_t term_count, struct arena *arena,
                                const struct index_pair **pairs_out, size_t *count_out);

/* A walk over the records that have every one of 1 to INDEX_TERMS_MAX terms, newest first. */
struct index_walk {
    struct table_cursor cursors[INDEX_TERMS_MAX];
    uint32_t at[INDEX_TERMS_MAX]; /* the record each has come to; UINT32_MAX: not begun */
    size_t count;
    struct table_txn *txn;
    uint32_t below; /* the next record is below this */
    bool ended;
};

/* Start below `below` (UINT32_MAX: at the newest); the last record_no given is where the next page starts. */
void index_walk_init(struct index_walk *walk, struct table_txn *txn, const struct index_term *terms,
                     size_t term_count, uint32_t below);
/* False: the end, or the transaction failed. A row that does not verify is counted and left out. */
bool index_walk_next(struct index_walk *walk, uint32_t *record_no_out);
/* Before the end of its transaction. */
void index_walk_end(struct index_walk *walk);
