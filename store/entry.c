#include "store/entry.h"
#include "store/base/pack.h"

#include <assert.h>
#include <string.h>

enum {
    HEADER_SEQ = 4,
    HEADER_PREV = 12,
    HEADER_PAYLOAD_HASH = 44,
    HEADER_PAYLOAD_LEN = 76,
    HEADER_EPOCH = 80,
    HEADER_SALT = 84,
    HEADER_REFERENCE = 92,
    HEADER_VERSION = 1,
    FLAGS_MAX = 15,
    REFERENCE_PREFIX_BYTES = 8,
    REFERENCE_TAG_BYTES = 8,
    PLACE_BYTES = HASH_BYTES + (HEADER_PAYLOAD_HASH - HEADER_SEQ) + 8,
    PADDING_MARK = 0x80,
};

/* A payload's plaintext, once compressed and padded, is at most this long. */
enum { SEALABLE_BYTES_MAX = PAYLOAD_BYTES_MAX - SEAL_BYTES };

_Static_assert(HEADER_REFERENCE + REFERENCE_PREFIX_BYTES + REFERENCE_TAG_BYTES == HEADER_BYTES, "header");

void
descriptor_write(uint8_t out[DESCRIPTOR_BYTES], const struct descriptor *descriptor)
{
    memcpy(out, descriptor->sign_pk, SIGN_PK_BYTES);
    memcpy(out + 32, descriptor->incarnation, 8);
    memcpy(out + 40, descriptor->compartment.bytes, IDENT_BYTES);
    out[56] = descriptor->lane;
}

bool
descriptor_read(struct span bytes, struct descriptor *descriptor_out)
{
    struct reader reader = reader_of(bytes);

    reader_copy(&reader, descriptor_out->sign_pk, SIGN_PK_BYTES);
    reader_copy(&reader, descriptor_out->incarnation, 8);
    reader_copy(&reader, descriptor_out->compartment.bytes, IDENT_BYTES);
    descriptor_out->lane = reader_u8(&reader);
    return reader_done(&reader) && descriptor_out->lane < LANE_COUNT;
}

void
descriptor_log_id(const struct descriptor *descriptor, struct hash *log_id_out)
{
    uint8_t bytes[DESCRIPTOR_BYTES];

    descriptor_write(bytes, descriptor);
    CRYPTO_HASH(log_id_out, "vigil.log.v1", span_of(bytes, sizeof bytes));
}

void
device_id_of(const uint8_t sign_pk[SIGN_PK_BYTES], struct hash *device_id_out)
{
    CRYPTO_HASH(device_id_out, "vigil.dev.v1", span_of(sign_pk, SIGN_PK_BYTES));
}

/* --- the header --- */

void
entry_header_write(uint8_t out[HEADER_BYTES], const struct entry *entry)
{
    out[0] = HEADER_VERSION;
    out[1] = entry->kind;
    out[2] = entry->lane;
    out[3] = entry->flags;
    bytes_write_u64(out + HEADER_SEQ, entry->seq);
    memcpy(out + HEADER_PREV, entry->prev.bytes, HASH_BYTES);
    memcpy(out + HEADER_PAYLOAD_HASH, entry->payload_hash.bytes, HASH_BYTES);
    bytes_write_u32(out + HEADER_PAYLOAD_LEN, entry->payload_size);
    memcpy(out + HEADER_EPOCH, entry->epoch, sizeof entry->epoch);
    memcpy(out + HEADER_SALT, entry->salt, sizeof entry->salt);
    memcpy(out + HEADER_REFERENCE, entry->reference, sizeof entry->reference);
}

bool
entry_header_read(struct span bytes, struct entry *entry_out)
{
    struct reader reader = reader_of(bytes);

    *entry_out = (struct entry){ 0 };
    uint8_t version = reader_u8(&reader);
    entry_out->kind = reader_u8(&reader);
    entry_out->lane = reader_u8(&reader);
    entry_out->flags = reader_u8(&reader);
    entry_out->seq = reader_u64(&reader);
    reader_copy(&reader, entry_out->prev.bytes, HASH_BYTES);
    reader_copy(&reader, entry_out->payload_hash.bytes, HASH_BYTES);
    entry_out->payload_size = reader_u32(&reader);
    reader_copy(&reader, entry_out->epoch, sizeof entry_out->epoch);
    reader_copy(&reader, entry_out->salt, sizeof entry_out->salt);
    reader_copy(&reader, entry_out->reference, sizeof entry_out->reference);
    return reader_done(&reader) && version == HEADER_VERSION && entry_plausible(entry_out) &&
           (entry_out->seq > 0 || hash_is_zero(&entry_out->prev));
}

bool
entry_plausible(const struct entry *entry)
{
    bool kind = entry->kind <= ENTRY_KEY || entry->kind == ENTRY_RECEIPT || entry->kind == ENTRY_SEAL;

    return kind && entry->lane < LANE_COUNT && entry->flags <= FLAGS_MAX &&
           entry->payload_size >= SEAL_BYTES && entry->payload_size <= PAYLOAD_BYTES_MAX;
}

bool
entry_is_long(const struct entry *entry)
{
    return entry->kind == ENTRY_DATA && entry->lane >= LANE_NORMAL && entry->payload_size > ENTRY_LONG_BYTES;
}

void
entry_hash_payload(struct hash *out, struct span payload)
{
    CRYPTO_HASH(out, "vigil.pay.v1", payload);
}

void
entry_identify(struct entry *entry, const struct hash *log_id)
{
    uint8_t bytes[HASH_BYTES + HEADER_BYTES];

    memcpy(bytes, log_id->bytes, HASH_BYTES);
    entry_header_write(bytes + HASH_BYTES, entry);
    CRYPTO_HASH(&entry->id, "vigil.hdr.v1", span_of(bytes, sizeof bytes));
}

/* --- record references and keys --- */

/* log_id | header[4..44] | salt: what no two entries share. */
static void
entry_place(uint8_t out[PLACE_BYTES], const struct entry *entry, const struct hash *log_id)
{
    memcpy(out, log_id->bytes, HASH_BYTES);
    bytes_write_u64(out + 32, entry->seq);
    memcpy(out + 40, entry->prev.bytes, HASH_BYTES);
    memcpy(out + 72, entry->salt, sizeof entry->salt);
}

static void
entry_nonce(struct nonce *out, const char *context, const struct entry *entry, const struct hash *log_id)
{
    uint8_t place[PLACE_BYTES];
    struct hash hash;

    entry_place(place, entry, log_id);
    CRYPTO_HASH(&hash, context, span_of(place, sizeof place));
    memcpy(out->bytes, hash.bytes, NONCE_BYTES);
}

static void
membership_tag(uint8_t out[REFERENCE_TAG_BYTES], const struct entry *entry, const struct hash *log_id,
               const struct key *erase_key)
{
    uint8_t place[PLACE_BYTES];
    struct hash hash;

    entry_place(place, entry, log_id);
    CRYPTO_HASH(&hash, "vigil.mem.v1", span_of(erase_key->bytes, KEY_BYTES), span_of(place, sizeof place));
    memcpy(out, hash.bytes, REFERENCE_TAG_BYTES);
}

/* The key stream that hides the record_id in a reference. */
static void
reference_mask(uint8_t out[REFERENCE_PREFIX_BYTES], const struct entry *entry, const struct hash *log_id,
               const struct epoch_keys *keys)
{
    struct nonce nonce;

    entry_nonce(&nonce, "vigil.ref.v1", entry, log_id);
    crypto_keystream(out, REFERENCE_PREFIX_BYTES, &keys->reference, &nonce);
}

static void
key_derive(struct key *out, const char *context, const struct key *from)
{
    struct span part = span_of(from->bytes, KEY_BYTES);

    crypto_derive(out, context, &part, 1);
}

void
epoch_keys_of(struct epoch_keys *out, const struct key *epoch_key)
{
    out->epoch = *epoch_key;
    key_derive(&out->reference, "vigil.rky.v1", epoch_key);
    key_derive(&out->other, "vigil.eky.v1", epoch_key);
}

void
record_key_case(struct key *out, const struct key *protected_key)
{
    key_derive(out, "vigil.kcs.v1", protected_key);
}

void
record_key_id(struct ident *record_id_out, const struct key *case_key)
{
    struct hash hash;

    CRYPTO_HASH(&hash, "vigil.rid.v1", span_of(case_key->bytes, KEY_BYTES));
    memcpy(record_id_out->bytes, hash.bytes, IDENT_BYTES);
}

void
record_key_erase(struct key *out, const struct key *record_key)
{
    key_derive(out, "vigil.era.v1", record_key);
}

void
entry_reference_make(struct entry *entry, const struct hash *log_id, const struct epoch_keys *keys,
                     const struct ident *record_id, const struct key *erase_key)
{
    reference_mask(entry->reference, entry, log_id, keys);
    for (size_t n = 0; n < REFERENCE_PREFIX_BYTES; n++) {
        entry->reference[n] ^= record_id->bytes[n];
    }
    membership_tag(entry->reference + REFERENCE_PREFIX_BYTES, entry, log_id, erase_key);
}

void
entry_reference_prefix(uint8_t prefix_out[8], const struct entry *entry, const struct hash *log_id,
                       const struct epoch_keys *keys)
{
    reference_mask(prefix_out, entry, log_id, keys);
    for (size_t n = 0; n < REFERENCE_PREFIX_BYTES; n++) {
        prefix_out[n] ^= entry->reference[n];
    }
}

bool
entry_is_member(const struct entry *entry, const struct hash *log_id, const struct key *erase_key)
{
    uint8_t tag[REFERENCE_TAG_BYTES];

    membership_tag(tag, entry, log_id, erase_key);
    return crypto_equal(tag, entry->reference + REFERENCE_PREFIX_BYTES, sizeof tag);
}

/* --- payloads --- */

/* log_id | header with payload_hash zeroed: the ciphertext's hash cannot be known before sealing. */
static void
associated_data(uint8_t out[HASH_BYTES + HEADER_BYTES], const struct entry *entry, const struct hash *log_id)
{
    memcpy(out, log_id->bytes, HASH_BYTES);
    entry_header_write(out + HASH_BYTES, entry);
    memset(out + HASH_BYTES + HEADER_PAYLOAD_HASH, 0, HASH_BYTES);
}

/* Data entries need both keys, so that destroying either closes them; all others have no record of
 * their own to be closed with. */
static void
payload_key(struct key *out, const struct entry *entry, const struct epoch_keys *keys,
            const struct key *record_key)
{
    assert((entry->kind == ENTRY_DATA) == (record_key != NULL));

    if (record_key == NULL) {
        *out = keys->other;
        return;
    }
    const struct span parts[] = { span_of(keys->epoch.bytes, KEY_BYTES),
                                  span_of(record_key->bytes, KEY_BYTES) };
    crypto_derive(out, "vigil.pky.v1", parts, 2);
}

/* The size that `size` bytes and a padding mark are filled up to; 0: no bucket is that large. */
static size_t
padded_size(size_t size)
{
    static const uint16_t buckets[] = { 128, 256, 512, 1024, 2048, 4096, 16384, SEALABLE_BYTES_MAX };

    for (size_t n = 0; n < sizeof buckets / sizeof buckets[0]; n++) {
        if (size < buckets[n]) {
            return buckets[n];
        }
    }
    return 0;
}

/* Take the padding off. False: it is not the one padding of its content. */
static bool
unpad(const uint8_t *plain, size_t *size)
{
    size_t end = *size;

    while (end > 0 && plain[end - 1] == 0) {
        end--;
    }
    if (end == 0 || plain[end - 1] != PADDING_MARK || padded_size(end - 1) != *size) {
        return false;
    }
    *size = end - 1;
    return true;
}

/* Replace the content of `packed` with the compressed form of `payload`. True if it is smaller. */
static bool
compress(struct buf *packed, struct span payload)
{
    buf_clear(packed);
    buf_put_varint(packed, PACK_MAJOR);
    pack_compress(payload, packed);
    return packed->size < payload.size;
}

bool
entry_fits(struct span payload)
{
    struct buf frame = { 0 };
    bool fits = payload.size < SEALABLE_BYTES_MAX;

    if (!fits && payload.size <= PAYLOAD_PLAIN_BYTES_MAX) {
        fits = compress(&frame, payload) && frame.size < SEALABLE_BYTES_MAX && !frame.failed;
    }
    buf_wipe(&frame);
    return fits;
}

enum err
entry_seal(struct entry *entry, const struct hash *log_id, const struct epoch_keys *keys,
           const struct key *record_key, struct span payload, bool pad, struct buf *sealed_out)
{
    uint8_t plain[SEALABLE_BYTES_MAX];
    uint8_t associated[HASH_BYTES + HEADER_BYTES];
    struct nonce nonce;
    struct key key;

    entry->flags &= (uint8_t) ~(unsigned)(ENTRY_COMPRESSED | ENTRY_PADDED);
    if (payload.size > PAYLOAD_PLAIN_BYTES_MAX) {
        return ERR_FULL;
    }
    /* Most of the payload of a key entry is a key, and none of those becomes smaller. */
    bool compressed = entry->kind != ENTRY_KEY && compress(sealed_out, payload);
    if (sealed_out->failed) {
        return ERR_MEMORY;
    }
    struct span content = compressed ? buf_span(sealed_out) : payload;
    size_t size = pad ? padded_size(content.size) : content.size;
    bool fits = size <= sizeof plain && content.size <= size;
    if (fits) {
        memset(plain, 0, size);
        if (content.size > 0) {
            memcpy(plain, content.data, content.size);
        }
        if (pad) {
            plain[content.size] = PADDING_MARK;
        }
    }
    /* The compressed form is as secret as the payload. */
    crypto_wipe(sealed_out->data, sealed_out->size);
    buf_clear(sealed_out);
    if (!fits) {
        return ERR_FULL;
    }
    uint8_t *sealed = buf_extend(sealed_out, size + SEAL_BYTES);
    if (sealed == NULL) {
        crypto_wipe(plain, size);
        return ERR_MEMORY;
    }
    entry->flags |= (uint8_t)((compressed ? ENTRY_COMPRESSED : 0) | (pad ? ENTRY_PADDED : 0));
    entry->payload_size = (uint32_t)(size + SEAL_BYTES);
    payload_key(&key, entry, keys, record_key);
    entry_nonce(&nonce, "vigil.nonce.v1", entry, log_id);
    associated_data(associated, entry, log_id);
    crypto_seal(sealed, &key, &nonce, span_of(associated, sizeof associated), span_of(plain, size));
    crypto_wipe(&key, sizeof key);
    crypto_wipe(plain, size);
    entry->payload = buf_span(sealed_out);
    entry_hash_payload(&entry->payload_hash, entry->payload);
    entry_identify(entry, log_id);
    return ERR_OK;
}

/* What `plain` holds, decompressed if it says so, into `payload_out`. */
static enum entry_fault
unpack(struct span plain, bool compressed, struct buf *payload_out)
{
    if (!compressed) {
        buf_put_span(payload_out, plain);
        return payload_out->failed ? FAULT_MEMORY : FAULT_NONE;
    }
    struct reader reader = reader_of(plain);
    uint64_t major = reader_varint(&reader);
    if (reader.failed) {
        return FAULT_COMPRESSION;
    }
    if (major != PACK_MAJOR) {
        return FAULT_SCHEMA;
    }
    switch (
        pack_decompress(reader_span(&reader, reader_left(&reader)), PAYLOAD_PLAIN_BYTES_MAX, payload_out)) {
    case ERR_OK:
        return FAULT_NONE;
    case ERR_FULL:
        return FAULT_TOO_LARGE;
    case ERR_MEMORY:
        return FAULT_MEMORY;
    default:
        return FAULT_COMPRESSION;
    }
}

enum entry_fault
entry_open(const struct entry *entry, const struct hash *log_id, const struct epoch_keys *keys,
           const struct key *record_key, struct buf *payload_out)
{
    uint8_t plain[SEALABLE_BYTES_MAX];
    uint8_t associated[HASH_BYTES + HEADER_BYTES];
    struct nonce nonce;
    struct key key;

    assert(entry->payload.data != NULL);
    assert(entry->payload.size == entry->payload_size && entry_plausible(entry));

    buf_clear(payload_out);
    payload_key(&key, entry, keys, record_key);
    entry_nonce(&nonce, "vigil.nonce.v1", entry, log_id);
    associated_data(associated, entry, log_id);
    bool opened = crypto_open(plain, &key, &nonce, span_of(associated, sizeof associated), entry->payload);
    crypto_wipe(&key, sizeof key);
    if (!opened) {
        return FAULT_DOES_NOT_OPEN;
    }
    size_t sealable = entry->payload_size - SEAL_BYTES;
    size_t size = sealable;
    enum entry_fault fault = FAULT_PADDING;
    if ((entry->flags & ENTRY_PADDED) == 0 || unpad(plain, &size)) {
        fault = unpack(span_of(plain, size), (entry->flags & ENTRY_COMPRESSED) != 0, payload_out);
    }
    crypto_wipe(plain, sealable);
    return fault;
}

/* --- runs --- */

bool
run_breaks(const struct run *run, uint32_t payload_size)
{
    assert(payload_size <= PAYLOAD_BYTES_MAX);

    return run->count > 0 && (run_is_full(run) || run->payload_bytes + payload_size > RUN_PAYLOAD_BYTES_MAX);
}

void
run_step(struct run *run, uint32_t payload_size)
{
    if (run_breaks(run, payload_size)) {
        *run = (struct run){ 0 };
    }
    run->count++;
    run->payload_bytes += payload_size;
}

bool
run_is_full(const struct run *run)
{
    return run->count >= RUN_ENTRIES_MAX;
}
