#include "store/keys.h"

#include <string.h>

enum {
    RECORD_PREFIX_BYTES = 8,
    RECORD_HASH_BYTES = 16,
    RECORD_KEY_BYTES = 2 * RECORD_HASH_BYTES,
    RECORD_BYTES = 2 * IDENT_BYTES + KEY_BYTES + 4 + 8,
    EPOCH_KEY_BYTES = 16,
    EPOCH_BYTES = IDENT_BYTES + HASH_BYTES + KEY_BYTES,
    PAYLOAD_KEY_BYTES = 4 + 8,
};

/* --- Records -------------------------------------------------------------- */

/* What stands for all records of a compartment whose ids start alike: entries name a record by 8 bytes. */
static void
record_prefix_hash(struct table_txn *txn, const struct ident *compartment, const uint8_t *prefix,
                   uint8_t out[RECORD_HASH_BYTES])
{
    const struct span parts[] = { ident_span(compartment), span_of(prefix, RECORD_PREFIX_BYTES) };

    table_hash(table_txn_env(txn), out, "vigil.krp.v1", parts, 2);
}

static void
record_row_key(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id,
               uint8_t out[RECORD_KEY_BYTES])
{
    const struct span parts[] = { ident_span(record_id) };

    record_prefix_hash(txn, compartment, record_id->bytes, out);
    table_hash(table_txn_env(txn), out + RECORD_HASH_BYTES, "vigil.krc.v1", parts, 1);
}

/* A row: compartment 16 | record_id 16 | key 32 | log_no u32 | seq u64. It says all that its own key hides, so
 * that it can be copied under another. */
static bool
record_decode(struct span row, struct ident *compartment, struct record_key *out)
{
    struct reader reader = reader_of(row);

    reader_copy(&reader, compartment->bytes, IDENT_BYTES);
    reader_copy(&reader, out->record_id.bytes, IDENT_BYTES);
    reader_copy(&reader, out->key.bytes, KEY_BYTES);
    out->log_no = reader_u32(&reader);
    out->seq = reader_u64(&reader);
    return reader_done(&reader);
}

void
keys_put_record(struct table_txn *txn, const struct ident *compartment, const struct record_key *key)
{
    struct record_key known;

    /* The first entry that brought a key is the one remembered; a damaged row is written anew. */
    if (keys_get_record(txn, compartment, &key->record_id, &known) == ERR_OK) {
        bool same = crypto_equal(known.key.bytes, key->key.bytes, KEY_BYTES);
        crypto_wipe(&known, sizeof known);
        if (same) {
            return;
        }
    }
    keys_move_record(txn, compartment, key);
}

void
keys_move_record(struct table_txn *txn, const struct ident *compartment, const struct record_key *key)
{
    uint8_t row_key[RECORD_KEY_BYTES];
    uint8_t row[RECORD_BYTES];

    record_row_key(txn, compartment, &key->record_id, row_key);
    memcpy(row, compartment->bytes, IDENT_BYTES);
    memcpy(row + IDENT_BYTES, key->record_id.bytes, IDENT_BYTES);
    memcpy(row + 2 * IDENT_BYTES, key->key.bytes, KEY_BYTES);
    bytes_write_u32(row + 2 * IDENT_BYTES + KEY_BYTES, key->log_no);
    bytes_write_u64(row + 2 * IDENT_BYTES + KEY_BYTES + 4, key->seq);
    table_put(txn, TABLE_KEYS_RECORD, span_of(row_key, sizeof row_key), span_of(row, sizeof row));
    crypto_wipe(row, sizeof row);
}

size_t
keys_find_record(struct table_txn *txn, const struct ident *compartment, const uint8_t prefix[8],
                 struct record_key *keys_out, size_t room)
{
    uint8_t hash[RECORD_HASH_BYTES];
    struct table_cursor cursor;
    struct ident of;
    struct span row_key;
    struct span row;
    size_t count = 0;

    record_prefix_hash(txn, compartment, prefix, hash);
    table_cursor_init(&cursor, txn, TABLE_KEYS_RECORD, span_of(hash, sizeof hash));
    while (count < room && table_cursor_next(&cursor, &row_key, &row)) {
        /* table counts a row that does not verify: it comes without a value. */
        if (row.data != NULL && record_decode(row, &of, &keys_out[count])) {
            count++;
        }
    }
    table_cursor_end(&cursor);
    return count;
}

enum err
keys_get_record(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id,
                struct record_key *key_out)
{
    uint8_t row_key[RECORD_KEY_BYTES];
    struct buf row = { 0 };
    struct ident of;

    record_row_key(txn, compartment, record_id, row_key);
    enum err err = table_read(txn, TABLE_KEYS_RECORD, span_of(row_key, sizeof row_key), &row);
    if (err == ERR_OK &&
        (!record_decode(buf_span(&row), &of, key_out) || !ident_equal(&key_out->record_id, record_id))) {
        err = ERR_CORRUPT;
    }
    if (err != ERR_OK) {
        crypto_wipe(key_out, sizeof *key_out);
    }
    buf_wipe(&row);
    return err;
}

void
keys_delete_record(struct table_txn *txn, const struct ident *compartment, const struct ident *record_id)
{
    uint8_t row_key[RECORD_KEY_BYTES];

    record_row_key(txn, compartment, record_id, row_key);
    (void)table_delete(txn, TABLE_KEYS_RECORD, span_of(row_key, sizeof row_key));
}

/* Gives how many rows did not verify. */
static uint64_t
each_record(struct table_txn *txn,
            void (*each)(void *self, const struct ident *compartment, const struct record_key *key),
            void *self)
{
    struct table_cursor cursor;
    struct span row_key;
    struct span row;
    uint64_t damaged = 0;

    table_cursor_init(&cursor, txn, TABLE_KEYS_RECORD, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &row_key, &row)) {
        struct ident compartment;
        struct record_key key;

        if (row.data != NULL && record_decode(row, &compartment, &key)) {
            each(self, &compartment, &key);
        } else {
            damaged++;
        }
        crypto_wipe(&key, sizeof key);
    }
    table_cursor_end(&cursor);
    return damaged;
}

void
keys_each_record(struct table_txn *txn,
                 void (*each)(void *self, const struct ident *compartment, const struct record_key *key),
                 void *self)
{
    (void)each_record(txn, each, self);
}

/* --- Payloads of key entries ---------------------------------------------- */

static void
payload_row_key(uint32_t log_no, uint64_t seq, uint8_t out[PAYLOAD_KEY_BYTES])
{
    bytes_write_u32(out, log_no);
    bytes_write_u64(out + 4, seq);
}

void
keys_put_payload(struct table_txn *txn, uint32_t log_no, uint64_t seq, struct span payload)
{
    uint8_t row_key[PAYLOAD_KEY_BYTES];

    payload_row_key(log_no, seq, row_key);
    table_put(txn, TABLE_KEYS_PAYLOAD, span_of(row_key, sizeof row_key), payload);
}

enum err
keys_get_payload(struct table_txn *txn, uint32_t log_no, uint64_t seq, struct span *payload_out)
{
    uint8_t row_key[PAYLOAD_KEY_BYTES];

    payload_row_key(log_no, seq, row_key);
    return table_get(txn, TABLE_KEYS_PAYLOAD, span_of(row_key, sizeof row_key), payload_out);
}

void
keys_delete_payload(struct table_txn *txn, uint32_t log_no, uint64_t seq)
{
    uint8_t row_key[PAYLOAD_KEY_BYTES];

    payload_row_key(log_no, seq, row_key);
    (void)table_delete(txn, TABLE_KEYS_PAYLOAD, span_of(row_key, sizeof row_key));
}

void
keys_each_payload(struct table_txn *txn, void (*each)(void *self, uint32_t log_no, uint64_t seq), void *self)
{
    struct table_cursor cursor;
    struct span row_key;
    struct span row;

    table_cursor_init(&cursor, txn, TABLE_KEYS_PAYLOAD, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &row_key, &row)) {
        if (row_key.size == PAYLOAD_KEY_BYTES) {
            each(self, bytes_read_u32(row_key.data), bytes_read_u64(row_key.data + 4));
        }
    }
    table_cursor_end(&cursor);
}

/* --- Epochs --------------------------------------------------------------- */

void
keys_put_epoch(struct table_txn *txn, const struct ident *compartment, const struct hash *epoch_id,
               const struct key *key)
{
    const struct span parts[] = { ident_span(compartment), hash_span(epoch_id) };
    uint8_t row_key[EPOCH_KEY_BYTES];
    uint8_t row[EPOCH_BYTES];

    table_hash(table_txn_env(txn), row_key, "vigil.kep.v1", parts, 2);
    memcpy(row, compartment->bytes, IDENT_BYTES);
    memcpy(row + IDENT_BYTES, epoch_id->bytes, HASH_BYTES);
    memcpy(row + IDENT_BYTES + HASH_BYTES, key->bytes, KEY_BYTES);
    table_put(txn, TABLE_KEYS_EPOCH, span_of(row_key, sizeof row_key), span_of(row, sizeof row));
    crypto_wipe(row, sizeof row);
}

/* Gives how many rows did not verify. */
static uint64_t
each_epoch(struct table_txn *txn,
           void (*each)(void *self, const struct ident *compartment, const struct hash *epoch_id,
                        const struct key *key),
           void *self)
{
    struct table_cursor cursor;
    struct span row_key;
    struct span row;
    uint64_t damaged = 0;

    table_cursor_init(&cursor, txn, TABLE_KEYS_EPOCH, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &row_key, &row)) {
        struct ident compartment;
        struct hash epoch_id;
        struct key key;
        struct reader reader = reader_of(row);

        reader_copy(&reader, compartment.bytes, IDENT_BYTES);
        reader_copy(&reader, epoch_id.bytes, HASH_BYTES);
        reader_copy(&reader, key.bytes, KEY_BYTES);
        if (row.data != NULL && reader_done(&reader)) {
            each(self, &compartment, &epoch_id, &key);
        } else {
            damaged++;
        }
        crypto_wipe(&key, sizeof key);
    }
    table_cursor_end(&cursor);
    return damaged;
}

void
keys_each_epoch(struct table_txn *txn,
                void (*each)(void *self, const struct ident *compartment, const struct hash *epoch_id,
                             const struct key *key),
                void *self)
{
    (void)each_epoch(txn, each, self);
}

/* --- Another wrapping key -------------------------------------------------- */

static void
copy_record(void *self, const struct ident *compartment, const struct record_key *key)
{
    keys_put_record(self, compartment, key);
}

static void
copy_epoch(void *self, const struct ident *compartment, const struct hash *epoch_id, const struct key *key)
{
    keys_put_epoch(self, compartment, epoch_id, key);
}

uint64_t
keys_copy(struct table_txn *from, struct table_txn *to)
{
    struct table_cursor cursor;
    struct span row_key;
    struct span row;
    uint64_t damaged = each_record(from, copy_record, to) + each_epoch(from, copy_epoch, to);

    table_cursor_init(&cursor, from, TABLE_KEYS_PAYLOAD, span_of(NULL, 0));
    while (table_cursor_next(&cursor, &row_key, &row)) {
        if (row.data != NULL) {
            table_put(to, TABLE_KEYS_PAYLOAD, row_key, row);
        } else {
            damaged++;
        }
    }
    table_cursor_end(&cursor);
    return damaged;
}
