/* entries.h - sealed entries and chunks for tests.
 *
 * An author with one log in one compartment, one record and one epoch, all made from a seed: two
 * authors of one seed write the same bytes.
 */
#pragma once

#include "sync/update.h"
#include "tests/support/world.h"

struct test_author {
    struct test_world test;
    struct key_pair sign;
    struct descriptor descriptor;
    struct hash log_id;
    struct epoch_keys epoch;
    struct key record_key;
    struct ident record_id;
    struct key erase_key;
    uint64_t next_seq;
    struct hash head;
};

void test_author_init(struct test_author *author, uint64_t seed);

/* The author's next entry: of `kind`, on the author's record, holding `payload`; `flags` are PADDED
 * to pad, and what else goes into the header. `sealed` owns its payload. */
void test_author_write(struct test_author *author, struct entry *entry, enum entry_kind kind, uint8_t flags,
                       struct span payload, struct buf *sealed);

/* Seal `plain` as it is, with the flags that `entry` has: what an author may do who breaks the rules. Written
 * from the design and not from entry.c. */
void test_seal_raw(struct entry *entry, const struct test_author *author, struct span plain,
                   struct buf *sealed);

/* Append a chunk of `entries` to `out`, signed by the author. */
void test_author_chunk(const struct test_author *author, const struct entry *entries, size_t entry_count,
                       struct buf *out);

/* Everything a receiver does with a chunk before policy: take it apart, identify, verify. */
enum chunk_fault test_receive(const struct descriptor *descriptor, const struct hash *prev, struct span bytes,
                              struct chunk *chunk_out);
