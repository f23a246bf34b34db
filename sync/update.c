#include "sync/update.h"

#include <assert.h>
#include <string.h>

enum { PREV_SHORT_BYTES = 8, SAME_EPOCH = 2, PAYLOAD_PRESENT = 1 };

static const char sign_context[] = "VIGIL1ENTRY";

/* Read one entry; `before` is the one before it in the chunk, or NULL. False: malformed. */
static bool
read_entry(struct reader *reader, const struct entry *before, struct entry *entry)
{
    uint8_t kind_and_flags = reader_u8(reader);
    uint64_t size_and_bits = reader_varint(reader);

    entry->kind = kind_and_flags >> 4;
    entry->flags = kind_and_flags & 15;
    /* The comparison comes before the narrowing. */
    if (reader->failed || size_and_bits >> 2 > PAYLOAD_BYTES_MAX) {
        return false;
    }
    entry->payload_size = (uint32_t)(size_and_bits >> 2);
    if (!entry_plausible(entry)) {
        return false;
    }
    if ((size_and_bits & SAME_EPOCH) == 0) {
        reader_copy(reader, entry->epoch, sizeof entry->epoch);
        /* An entry has one encoding: what can be left out is left out. */
        if (before != NULL && memcmp(before->epoch, entry->epoch, sizeof entry->epoch) == 0) {
            return false;
        }
    } else if (before == NULL) {
        return false;
    } else {
        memcpy(entry->epoch, before->epoch, sizeof entry->epoch);
    }
    reader_copy(reader, entry->salt, sizeof entry->salt);
    reader_copy(reader, entry->reference, sizeof entry->reference);
    if ((size_and_bits & PAYLOAD_PRESENT) != 0) {
        entry->payload = reader_span(reader, entry->payload_size);
    } else {
        reader_copy(reader, entry->payload_hash.bytes, HASH_BYTES);
    }
    return !reader->failed;
}

enum chunk_fault
chunk_read(struct span bytes, uint8_t lane, struct chunk *chunk_out)
{
    static const uint8_t no_prev[PREV_SHORT_BYTES] = { 0 };
    struct reader reader = reader_of(bytes);
    size_t payload_bytes = 0;

    chunk_out->first_seq = reader_varint(&reader);
    reader_copy(&reader, chunk_out->prev_short, PREV_SHORT_BYTES);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || lane >= LANE_COUNT || count == 0 || count > RUN_ENTRIES_MAX ||
        chunk_out->first_seq > UINT64_MAX - count) {
        return CHUNK_MALFORMED;
    }
    if (chunk_out->first_seq == 0 && memcmp(chunk_out->prev_short, no_prev, sizeof no_prev) != 0) {
        return CHUNK_MALFORMED;
    }
    chunk_out->entry_count = (size_t)count;
    for (size_t n = 0; n < chunk_out->entry_count; n++) {
        struct entry *entry = &chunk_out->entries[n];
        *entry = (struct entry){ .lane = lane, .seq = chunk_out->first_seq + n };
        if (!read_entry(&reader, n == 0 ? NULL : entry - 1, entry)) {
            return CHUNK_MALFORMED;
        }
        payload_bytes += entry->payload_size;
    }
    /* More than one run has no single signature. */
    if (chunk_out->entry_count > 1 && payload_bytes > RUN_PAYLOAD_BYTES_MAX) {
        return CHUNK_MALFORMED;
    }
    struct span signature = reader_span(&reader, SIGNATURE_BYTES);
    chunk_out->signature = signature.data;
    return reader_done(&reader) ? CHUNK_OK : CHUNK_MALFORMED;
}

void
chunk_identify(struct chunk *chunk, const struct hash *log_id, const struct hash *prev)
{
    assert(memcmp(chunk->prev_short, prev->bytes, PREV_SHORT_BYTES) == 0);
    assert(chunk->first_seq > 0 || hash_is_zero(prev));

    for (size_t n = 0; n < chunk->entry_count; n++) {
        struct entry *entry = &chunk->entries[n];
        entry->prev = *prev;
        if (entry->payload.data != NULL) {
            entry_hash_payload(&entry->payload_hash, entry->payload);
        }
        entry_identify(entry, log_id);
        prev = &entry->id;
    }
}

enum chunk_fault
chunk_verify(const struct chunk *chunk, const uint8_t sign_pk[SIGN_PK_BYTES])
{
    const struct entry *last = &chunk->entries[chunk->entry_count - 1];

    return entry_signature_valid(chunk->signature, sign_pk, &last->id) ? CHUNK_OK : CHUNK_FORGED;
}

static void
write_entry(struct buf *out, const struct entry *before, const struct entry *entry)
{
    bool same_epoch = before != NULL && memcmp(before->epoch, entry->epoch, sizeof entry->epoch) == 0;
    bool present = entry->payload.data != NULL;

    assert(entry_plausible(entry));
    assert(!present || entry->payload.size == entry->payload_size);

    buf_put_u8(out, (uint8_t)(entry->kind << 4 | entry->flags));
    buf_put_varint(out, (uint64_t)entry->payload_size << 2 | (same_epoch ? SAME_EPOCH : 0) |
                            (present ? PAYLOAD_PRESENT : 0));
    if (!same_epoch) {
        buf_put(out, entry->epoch, sizeof entry->epoch);
    }
    buf_put(out, entry->salt, sizeof entry->salt);
    buf_put(out, entry->reference, sizeof entry->reference);
    if (present) {
        buf_put_span(out, entry->payload);
    } else {
        buf_put(out, entry->payload_hash.bytes, HASH_BYTES);
    }
}

void
chunk_write(struct buf *out, const struct entry *entries, size_t entry_count,
            const uint8_t signature[SIGNATURE_BYTES])
{
    assert(entry_count >= 1 && entry_count <= RUN_ENTRIES_MAX);

    buf_put_varint(out, entries[0].seq);
    buf_put(out, entries[0].prev.bytes, PREV_SHORT_BYTES);
    buf_put_varint(out, entry_count);
    for (size_t n = 0; n < entry_count; n++) {
        assert(n == 0 || (entries[n].seq == entries[n - 1].seq + 1 &&
                          hash_equal(&entries[n].prev, &entries[n - 1].id)));
        write_entry(out, n == 0 ? NULL : &entries[n - 1], &entries[n]);
    }
    buf_put(out, signature, SIGNATURE_BYTES);
}

void
entry_sign(uint8_t signature_out[SIGNATURE_BYTES], const struct hash *entry_id, const struct key_pair *signer)
{
    crypto_sign_id(signature_out, signer, sign_context, entry_id);
}

bool
entry_signature_valid(const uint8_t signature[SIGNATURE_BYTES], const uint8_t sign_pk[SIGN_PK_BYTES],
                      const struct hash *entry_id)
{
    return crypto_verify(signature, sign_pk, sign_context, entry_id);
}
