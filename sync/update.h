/* update.h - how entries travel: chunks of one run with one signature.
 *
 *     first_seq | prev[8] | n | entry, entry, ... | signature of the last
 *
 * n hashes and one verification prove n entries; nothing is buffered unverified.
 * A chunk stands for itself: with its descriptor it can be checked by anyone, a
 * relay or a stick included. This file knows bytes and signatures; whether the author
 * may write is policy.h, what becomes of the entries is intake.h.
 */
#pragma once

#include "store/entry.h"

enum { CHUNK_BYTES_MAX = 64 * (1 + 5 + 4 + 8 + 16) + RUN_PAYLOAD_BYTES_MAX + PAYLOAD_BYTES_MAX + 128 };

/* A chunk taken apart. Its entries lend their payloads from the chunk's bytes. */
struct chunk {
    uint64_t first_seq;
    uint8_t prev_short[8]; /* of the entry before the first */
    size_t entry_count;
    struct entry entries[RUN_ENTRIES_MAX];
    const uint8_t *signature; /* of the last entry; lent */
};

enum chunk_fault { CHUNK_OK = 0, CHUNK_MALFORMED, CHUNK_FORGED };

/* Take `bytes` apart and check all that needs no past: shape, sizes, kinds. Neither prev nor ids are
 * known yet. `lane` is the descriptor's. CHUNK_MALFORMED otherwise. */
MUST_CHECK enum chunk_fault chunk_read(struct span bytes, uint8_t lane, struct chunk *chunk_out);

/* Fill prev, payload_hash and id of every entry, starting from the whole id of the entry before
 * the first (zero at seq 0). `chunk->prev_short` must be its beginning: an assert. */
void chunk_identify(struct chunk *chunk, const struct hash *log_id, const struct hash *prev);

/* Verify the signature of the last entry. CHUNK_FORGED if it is not the author's. */
MUST_CHECK enum chunk_fault chunk_verify(const struct chunk *chunk, const uint8_t sign_pk[SIGN_PK_BYTES]);

/* Append a chunk of these consecutive entries (1 to 64, ids set; an entry without payload travels as its
 * hash) and the signature of the last. */
void chunk_write(struct buf *out, const struct entry *entries, size_t entry_count,
                 const uint8_t signature[SIGNATURE_BYTES]);

/* Sign the entry with this id as its author. */
void entry_sign(uint8_t signature_out[SIGNATURE_BYTES], const struct hash *entry_id,
                const struct key_pair *signer);

/* True if the signature over this entry_id is that of its author. */
MUST_CHECK bool entry_signature_valid(const uint8_t signature[SIGNATURE_BYTES],
                                      const uint8_t sign_pk[SIGN_PK_BYTES], const struct hash *entry_id);
