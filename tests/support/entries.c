#include "tests/support/entries.h"

#include <assert.h>
#include <string.h>

static const uint8_t epoch_name[4] = { 0xe0, 0xc4, 0x00, 0x01 };

void
test_author_init(struct test_author *author, uint64_t seed)
{
    struct key epoch_key;

    assert(crypto_start() == ERR_OK);
    *author = (struct test_author){ 0 };
    test_world_init(&author->test, seed);
    const struct world *world = &author->test.world;
    crypto_sign_pair(&author->sign, world);
    memcpy(author->descriptor.sign_pk, author->sign.public_key, SIGN_PK_BYTES);
    world_random(world, author->descriptor.incarnation, sizeof author->descriptor.incarnation);
    world_random(world, author->descriptor.compartment.bytes, IDENT_BYTES);
    author->descriptor.lane = LANE_NORMAL;
    descriptor_log_id(&author->descriptor, &author->log_id);
    world_random(world, epoch_key.bytes, KEY_BYTES);
    epoch_keys_of(&author->epoch, &epoch_key);
    world_random(world, author->record_key.bytes, KEY_BYTES);
    record_key_id(&author->record_id, &author->record_key);
    record_key_erase(&author->erase_key, &author->record_key);
}

void
test_author_write(struct test_author *author, struct entry *entry, enum entry_kind kind, uint8_t flags,
                  struct span payload, struct buf *sealed)
{
    *entry = (struct entry){
        .kind = (uint8_t)kind,
        .lane = author->descriptor.lane,
        .flags = (uint8_t)(flags & ~(unsigned)ENTRY_PADDED),
        .seq = author->next_seq++,
        .prev = author->head,
    };
    memcpy(entry->epoch, epoch_name, sizeof epoch_name);
    world_random(&author->test.world, entry->salt, sizeof entry->salt);
    entry_reference_make(entry, &author->log_id, &author->epoch, &author->record_id, &author->erase_key);
    enum err err =
        entry_seal(entry, &author->log_id, &author->epoch, kind == ENTRY_DATA ? &author->record_key : NULL,
                   payload, (flags & ENTRY_PADDED) != 0, sealed);
    assert(err == ERR_OK);
    author->head = entry->id;
}

void
test_seal_raw(struct entry *entry, const struct test_author *author, struct span plain, struct buf *sealed)
{
    uint8_t associated[HASH_BYTES + HEADER_BYTES];
    struct hash hash;
    struct nonce nonce;
    struct key key = author->epoch.other;

    entry->payload_size = (uint32_t)(plain.size + SEAL_BYTES);
    memcpy(associated, author->log_id.bytes, HASH_BYTES);
    entry_header_write(associated + HASH_BYTES, entry);
    memset(associated + HASH_BYTES + 44, 0, HASH_BYTES);
    const uint8_t *header = associated + HASH_BYTES;
    CRYPTO_HASH(&hash, "vigil.nonce.v1", hash_span(&author->log_id), span_of(header + 4, 40),
                span_of(header + 84, 8));
    memcpy(nonce.bytes, hash.bytes, NONCE_BYTES);
    if (entry->kind == ENTRY_DATA) {
        const struct span parts[] = { span_of(author->epoch.epoch.bytes, KEY_BYTES),
                                      span_of(author->record_key.bytes, KEY_BYTES) };
        crypto_derive(&key, "vigil.pky.v1", parts, 2);
    }
    buf_clear(sealed);
    uint8_t *at = buf_extend(sealed, entry->payload_size);
    assert(at != NULL);
    crypto_seal(at, &key, &nonce, span_of(associated, sizeof associated), plain);
    entry->payload = buf_span(sealed);
    entry_hash_payload(&entry->payload_hash, entry->payload);
    entry_identify(entry, &author->log_id);
}

void
test_author_chunk(const struct test_author *author, const struct entry *entries, size_t entry_count,
                  struct buf *out)
{
    uint8_t signature[SIGNATURE_BYTES];

    entry_sign(signature, &entries[entry_count - 1].id, &author->sign);
    chunk_write(out, entries, entry_count, signature);
}

enum chunk_fault
test_receive(const struct descriptor *descriptor, const struct hash *prev, struct span bytes,
             struct chunk *chunk_out)
{
    struct hash log_id;
    enum chunk_fault fault = chunk_read(bytes, descriptor->lane, chunk_out);

    if (fault != CHUNK_OK) {
        return fault;
    }
    /* Another prev is a fork or a gap, not a fault: the receiver asks for what it lacks. Here it is
     * the same as a forgery, since the chain is known. */
    if (memcmp(chunk_out->prev_short, prev->bytes, sizeof chunk_out->prev_short) != 0 ||
        (chunk_out->first_seq == 0) != hash_is_zero(prev)) {
        return CHUNK_FORGED;
    }
    descriptor_log_id(descriptor, &log_id);
    chunk_identify(chunk_out, &log_id, prev);
    return chunk_verify(chunk_out, descriptor->sign_pk);
}
