#include "store/shelf.h"

#include "store/base/cbor.h"

#include <assert.h>
#include <string.h>

static const uint8_t blob_row = 'b';
static const uint8_t bitmap_row = 'm';
static const uint8_t reference_row = 'r';
static const uint8_t entry_row = 'e';
static const uint8_t holder_row = 'h';
static const uint8_t doomed_row = 'x';
static const uint8_t wanted_row = 'q';
static const uint8_t come_row = 'c';
static const uint8_t count_row = 'n';

enum {
    ADDRESS_KEY_BYTES = 1 + HASH_BYTES,
    PLACE_BYTES = 4 + 8,
    BITMAP_KEY_BYTES = ADDRESS_KEY_BYTES + 2,
    REFERENCE_KEY_BYTES = ADDRESS_KEY_BYTES + PLACE_BYTES,
    ENTRY_KEY_BYTES = 1 + PLACE_BYTES + HASH_BYTES,
    HOLDER_KEY_BYTES = ADDRESS_KEY_BYTES + 16,
    COME_KEY_BYTES = 1 + 8,
    BLOB_ROW_BYTES = 8 + 4 + 4 + 4 + 1 + 8,
    HOLDER_BYTES = 8 + 4,
    HOLDER_BYTES_OLD = 8,
    BLOB_ROW_BYTES_OLD = 8 + 4 + 4 + 4 + 1, /* without the last: see shelf_mend */
};

static struct span
address_key(uint8_t out[ADDRESS_KEY_BYTES], uint8_t row, const struct hash *address)
{
    out[0] = row;
    memcpy(out + 1, address->bytes, HASH_BYTES);
    return span_of(out, ADDRESS_KEY_BYTES);
}

static struct span
bitmap_key(uint8_t out[BITMAP_KEY_BYTES], const struct hash *address, uint32_t page)
{
    (void)address_key(out, bitmap_row, address);
    bytes_write_u16(out + ADDRESS_KEY_BYTES, (uint16_t)page);
    return span_of(out, BITMAP_KEY_BYTES);
}

static void
write_place(uint8_t out[PLACE_BYTES], uint32_t log_no, uint64_t seq)
{
    bytes_write_u32(out, log_no);
    bytes_write_u64(out + 4, seq);
}

static struct span
reference_key(uint8_t out[REFERENCE_KEY_BYTES], const struct hash *address, uint32_t log_no, uint64_t seq)
{
    (void)address_key(out, reference_row, address);
    write_place(out + ADDRESS_KEY_BYTES, log_no, seq);
    return span_of(out, REFERENCE_KEY_BYTES);
}

static struct span
entry_key(uint8_t out[ENTRY_KEY_BYTES], const struct hash *address, uint32_t log_no, uint64_t seq)
{
    out[0] = entry_row;
    write_place(out + 1, log_no, seq);
    memcpy(out + 1 + PLACE_BYTES, address->bytes, HASH_BYTES);
    return span_of(out, ENTRY_KEY_BYTES);
}

static struct span
holder_key(struct table_txn *txn, uint8_t out[HOLDER_KEY_BYTES], const struct hash *address,
           const struct hash *device_id)
{
    const struct span device = hash_span(device_id);

    (void)address_key(out, holder_row, address);
    table_hash(table_txn_env(txn), out + ADDRESS_KEY_BYTES, "vigil.row.bhld", &device, 1);
    return span_of(out, HOLDER_KEY_BYTES);
}

static struct span
come_key(uint8_t out[COME_KEY_BYTES], uint64_t came)
{
    out[0] = come_row;
    bytes_write_u64(out + 1, came);
    return span_of(out, COME_KEY_BYTES);
}

/* --- what changed --- */

uint64_t
shelf_changes(struct table_txn *txn)
{
    struct span row;

    return table_get(txn, TABLE_BLOBM, span_of(&count_row, 1), &row) == ERR_OK && row.size == 8
               ? bytes_read_u64(row.data)
               : 0;
}

static uint64_t
count_change(struct table_txn *txn)
{
    uint64_t count = shelf_changes(txn) + 1;
    uint8_t row[8];

    bytes_write_u64(row, count);
    table_put(txn, TABLE_BLOBM, span_of(&count_row, 1), span_of(row, sizeof row));
    return count;
}

/* --- the row of a blob --- */

static bool
blob_read(struct span key, struct span row, struct shelf_blob *out)
{
    struct reader at = reader_of(row);
    struct reader key_at = reader_of(key);

    *out = (struct shelf_blob){ 0 };
    (void)reader_u8(&key_at);
    reader_copy(&key_at, out->address.bytes, HASH_BYTES);
    out->size = reader_u64(&at);
    out->chunk_count = reader_u32(&at);
    out->held = reader_u32(&at);
    out->references = reader_u32(&at);
    out->wish = reader_u8(&at);
    out->came = row.size == BLOB_ROW_BYTES_OLD ? 0 : reader_u64(&at);
    return row.data != NULL && reader_done(&at) && reader_done(&key_at) &&
           out->chunk_count <= BLOB_CHUNKS_MAX && out->held <= out->chunk_count && out->wish <= WISH_AWAY;
}

static bool
is_wanted(const struct shelf_blob *blob)
{
    return !shelf_is_whole(blob) && blob->wish != WISH_AWAY;
}

/* Let it stand in the lists that its row says, and in no other. */
static void
enlist(struct table_txn *txn, const struct shelf_blob *blob, bool wanted)
{
    uint8_t address[ADDRESS_KEY_BYTES];
    struct span key = address_key(address, wanted_row, &blob->address);

    if (wanted != table_has(txn, TABLE_BLOBM, key)) {
        if (wanted) {
            table_put(txn, TABLE_BLOBM, key, (struct span){ 0 });
        } else {
            (void)table_delete(txn, TABLE_BLOBM, key);
        }
    }
}

/* It is here whole from now on, or (true to `gone`) no longer. */
static void
note_came(struct table_txn *txn, struct shelf_blob *blob, bool gone)
{
    uint8_t key[COME_KEY_BYTES];

    if (blob->came != 0) {
        (void)table_delete(txn, TABLE_BLOBM, come_key(key, blob->came));
    }
    uint64_t count = count_change(txn);
    blob->came = gone ? 0 : count;
    if (!gone) {
        table_put(txn, TABLE_BLOBM, come_key(key, blob->came), hash_span(&blob->address));
    }
}

static void
blob_write_row(struct table_txn *txn, const struct shelf_blob *blob)
{
    uint8_t key[ADDRESS_KEY_BYTES];
    uint8_t row[BLOB_ROW_BYTES];

    bytes_write_u64(row, blob->size);
    bytes_write_u32(row + 8, blob->chunk_count);
    bytes_write_u32(row + 12, blob->held);
    bytes_write_u32(row + 16, blob->references);
    row[20] = blob->wish;
    bytes_write_u64(row + 21, blob->came);
    enlist(txn, blob, is_wanted(blob));
    table_put(txn, TABLE_BLOBM, address_key(key, blob_row, &blob->address), span_of(row, sizeof row));
}

bool
shelf_is_whole(const struct shelf_blob *blob)
{
    return blob->chunk_count > 0 && blob->held == blob->chunk_count;
}

enum err
shelf_get(struct table_txn *txn, const struct hash *address, struct shelf_blob *out)
{
    uint8_t key[ADDRESS_KEY_BYTES];
    struct span key_span = address_key(key, blob_row, address);
    struct span row;
    enum err err = table_get(txn, TABLE_BLOBM, key_span, &row);

    if (err == ERR_OK && !blob_read(key_span, row, out)) {
        err = ERR_CORRUPT;
    }
    return err;
}

bool
shelf_next(struct table_txn *txn, const struct hash *after, struct shelf_blob *out)
{
    uint8_t from[ADDRESS_KEY_BYTES + 1] = { 0 };
    struct table_cursor cursor;
    struct span key;
    struct span row;
    bool more;

    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(&blob_row, 1));
    if (after == NULL) {
        more = table_cursor_next(&cursor, &key, &row);
    } else {
        (void)address_key(from, blob_row, after);
        more = table_cursor_seek(&cursor, span_of(from, sizeof from), &key, &row);
    }
    while (more && !blob_read(key, row, out)) {
        more = table_cursor_next(&cursor, &key, &row);
    }
    table_cursor_end(&cursor);
    return more;
}

bool
shelf_next_wanted(struct table_txn *txn, const struct hash *after, struct shelf_blob *out)
{
    uint8_t from[ADDRESS_KEY_BYTES + 1] = { 0 };
    struct table_cursor cursor;
    struct span key;
    struct span row;
    bool found = false;

    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(&wanted_row, 1));
    bool more = after == NULL;
    if (more) {
        more = table_cursor_next(&cursor, &key, &row);
    } else {
        (void)address_key(from, wanted_row, after);
        more = table_cursor_seek(&cursor, span_of(from, sizeof from), &key, &row);
    }
    for (; more && !found; more = found || table_cursor_next(&cursor, &key, &row)) {
        struct hash address;

        if (key.size == ADDRESS_KEY_BYTES) {
            memcpy(address.bytes, key.data + 1, HASH_BYTES);
            found = shelf_get(txn, &address, out) == ERR_OK && is_wanted(out);
        }
    }
    table_cursor_end(&cursor);
    return found;
}

bool
shelf_next_come(struct table_txn *txn, uint64_t *came, struct shelf_blob *out)
{
    uint8_t from[COME_KEY_BYTES];
    struct table_cursor cursor;
    struct span key;
    struct span row;
    bool found = false;

    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(&come_row, 1));
    bool more = *came < UINT64_MAX && table_cursor_seek(&cursor, come_key(from, *came + 1), &key, &row);
    for (; more && !found; more = found || table_cursor_next(&cursor, &key, &row)) {
        struct hash address;

        if (key.size == COME_KEY_BYTES && row.size == HASH_BYTES) {
            *came = bytes_read_u64(key.data + 1);
            memcpy(address.bytes, row.data, HASH_BYTES);
            found = shelf_get(txn, &address, out) == ERR_OK && out->came == *came && shelf_is_whole(out);
        }
    }
    table_cursor_end(&cursor);
    return found;
}

void
shelf_mend(struct table_txn *txn)
{
    struct shelf_blob blob;
    struct hash at;

    for (const struct hash *after = NULL; shelf_next(txn, after, &blob); after = &at) {
        at = blob.address;
        if (shelf_is_whole(&blob) && blob.came == 0) {
            note_came(txn, &blob, false);
            blob_write_row(txn, &blob);
        }
        enlist(txn, &blob, is_wanted(&blob));
    }
}

/* The bytes of chunks that are not here. */
static uint64_t
lacking_bytes(const struct shelf_blob *blob)
{
    uint64_t here = (uint64_t)blob->held * BLOB_CHUNK_BYTES;

    return blob->size > here ? blob->size - here : 0;
}

void
shelf_total(struct table_txn *txn, struct shelf_totals *out)
{
    struct table_cursor cursor;
    struct shelf_blob blob;
    struct span key;
    struct span row;

    *out = (struct shelf_totals){ 0 };
    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(&blob_row, 1));
    while (table_cursor_next(&cursor, &key, &row)) {
        if (!blob_read(key, row, &blob)) {
            continue;
        }
        if (shelf_is_whole(&blob)) {
            out->whole_count++;
            out->whole_bytes += blob.size;
            continue;
        }
        out->part_count += blob.held > 0;
        if (blob.wish == WISH_AWAY) {
            out->away_count++;
        } else {
            out->wanted_count++;
            out->wanted_bytes += lacking_bytes(&blob);
        }
    }
    table_cursor_end(&cursor);
}

/* --- what entries name --- */

void
shelf_refer(struct table_txn *txn, const struct hash *address, uint64_t size, uint32_t log_no, uint64_t seq)
{
    uint8_t reference[REFERENCE_KEY_BYTES];
    uint8_t entry[ENTRY_KEY_BYTES];
    struct shelf_blob blob;

    if (shelf_get(txn, address, &blob) != ERR_OK) {
        blob = (struct shelf_blob){ .address = *address };
    }
    struct span key = reference_key(reference, address, log_no, seq);
    if (!table_has(txn, TABLE_BLOBM, key)) {
        table_put(txn, TABLE_BLOBM, key, (struct span){ 0 });
        table_put(txn, TABLE_BLOBM, entry_key(entry, address, log_no, seq), (struct span){ 0 });
        blob.references++;
        /* Others may learn of it now, who share what names it. */
        if (shelf_is_whole(&blob)) {
            note_came(txn, &blob, false);
        } else {
            (void)count_change(txn);
        }
    }
    if (blob.size == 0) {
        blob.size = size;
    }
    blob_write_row(txn, &blob);
}

bool
shelf_next_reference(struct table_txn *txn, const struct hash *address, uint32_t *log_no, uint64_t *seq)
{
    uint8_t prefix[ADDRESS_KEY_BYTES];
    uint8_t from[REFERENCE_KEY_BYTES];
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, TABLE_BLOBM, address_key(prefix, reference_row, address));
    bool found = table_cursor_seek(&cursor, reference_key(from, address, *log_no, *seq + 1), &key, &value) &&
                 key.size == REFERENCE_KEY_BYTES;
    if (found) {
        *log_no = bytes_read_u32(key.data + ADDRESS_KEY_BYTES);
        *seq = bytes_read_u64(key.data + ADDRESS_KEY_BYTES + 4);
    }
    table_cursor_end(&cursor);
    return found;
}

size_t
shelf_named_by(struct table_txn *txn, uint32_t log_no, uint64_t seq)
{
    uint8_t prefix[1 + PLACE_BYTES] = { entry_row };
    struct table_cursor cursor;
    struct span key;
    struct span value;
    size_t count = 0;

    write_place(prefix + 1, log_no, seq);
    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(prefix, sizeof prefix));
    while (table_cursor_next(&cursor, &key, &value)) {
        count++;
    }
    table_cursor_end(&cursor);
    return count;
}

/* The address that an op sets. */
static bool
op_names_blob(const struct codebook *codebook, const struct op *op, struct hash *address_out)
{
    /* Most values are told apart by their first bytes: a byte string of 32. */
    if (op->code != OP_SET || op->target.field == 0 || op->value.size != 2 + HASH_BYTES ||
        op->value.data[0] != 0x58 || op->value.data[1] != HASH_BYTES) {
        return false;
    }
    const struct codebook_field *field = codebook_field(codebook, op->target.field);
    if (field == NULL || field->type != TYPE_BLOB) {
        return false;
    }
    memcpy(address_out->bytes, op->value.data + 2, HASH_BYTES);
    return true;
}

/* The field that says how large the file of another is; 0: none does. */
static uint32_t
size_field(uint32_t file_field)
{
    switch (file_field) {
    case FIELD_ATTACHMENT_FILE:
        return FIELD_ATTACHMENT_SIZE;
    case FIELD_EVIDENCE_FILE:
        return FIELD_EVIDENCE_SIZE;
    default:
        return 0;
    }
}

/* What the same change says of the size of the file that `file` sets; 0: nothing that may be. */
static uint64_t
size_beside(const struct change *change, const struct op *file)
{
    struct target target = file->target;

    target.field = size_field(file->target.field);
    for (size_t n = 0; n < change->op_count && target.field != 0; n++) {
        const struct op *op = &change->ops[n];

        if (op->code == OP_SET && op->value.data != NULL && target_compare(&op->target, &target) == 0) {
            struct cbor_reader in = cbor_reader_of(op->value);
            uint64_t size = cbor_read_uint(&in);

            return cbor_done(&in) && size <= BLOB_BYTES_MAX ? size : 0;
        }
    }
    return 0;
}

void
shelf_refer_change(struct table_txn *txn, const struct codebook *codebook, const struct signed_change *entry)
{
    struct hash address;

    for (size_t n = 0; n < entry->change.op_count; n++) {
        const struct op *op = &entry->change.ops[n];

        if (op_names_blob(codebook, op, &address)) {
            shelf_refer(txn, &address, size_beside(&entry->change, op), entry->log_no, entry->seq);
        }
    }
}

bool
shelf_names_blobs(const struct codebook *codebook, const struct change *change)
{
    struct hash address;
    bool names = false;

    for (size_t n = 0; n < change->op_count && !names; n++) {
        names = op_names_blob(codebook, &change->ops[n], &address);
    }
    return names;
}

/* The file goes, once this turn is durable. */
static void
doom(struct table_txn *txn, const struct hash *address)
{
    uint8_t key[ADDRESS_KEY_BYTES];

    table_put(txn, TABLE_BLOBM, address_key(key, doomed_row, address), (struct span){ 0 });
    table_clear(txn, TABLE_BLOBM, address_key(key, bitmap_row, address));
}

static void
drop_reference(struct table_txn *txn, const struct hash *address, uint32_t log_no, uint64_t seq,
               size_t *doomed)
{
    uint8_t reference[REFERENCE_KEY_BYTES];
    uint8_t key[ADDRESS_KEY_BYTES];
    struct table_cursor cursor;
    struct span other;
    struct span value;
    struct shelf_blob blob;

    (void)table_delete(txn, TABLE_BLOBM, reference_key(reference, address, log_no, seq));
    /* The rows themselves are asked: a count that was damaged must not keep a file. */
    table_cursor_init(&cursor, txn, TABLE_BLOBM, address_key(key, reference_row, address));
    bool named = table_cursor_next(&cursor, &other, &value);
    table_cursor_end(&cursor);
    if (!named) {
        if (shelf_get(txn, address, &blob) == ERR_OK) {
            note_came(txn, &blob, true);
            enlist(txn, &blob, false);
        }
        (void)table_delete(txn, TABLE_BLOBM, address_key(key, blob_row, address));
        table_clear(txn, TABLE_BLOBM, address_key(key, holder_row, address));
        doom(txn, address);
        (*doomed)++;
    } else if (shelf_get(txn, address, &blob) == ERR_OK && blob.references > 0) {
        blob.references--;
        blob_write_row(txn, &blob);
    }
}

size_t
shelf_drop_entry(struct table_txn *txn, uint32_t log_no, uint64_t seq)
{
    uint8_t prefix[1 + PLACE_BYTES] = { entry_row };
    struct table_cursor cursor;
    struct span key;
    struct span value;
    size_t doomed = 0;

    write_place(prefix + 1, log_no, seq);
    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(prefix, sizeof prefix));
    while (table_cursor_next(&cursor, &key, &value)) {
        struct hash address;

        if (key.size == ENTRY_KEY_BYTES) {
            memcpy(address.bytes, key.data + sizeof prefix, HASH_BYTES);
            drop_reference(txn, &address, log_no, seq, &doomed);
        }
    }
    table_cursor_end(&cursor);
    table_clear(txn, TABLE_BLOBM, span_of(prefix, sizeof prefix));
    return doomed;
}

/* One row of an entry that is gone from here. */
static void
forget_reference(struct table_txn *txn, struct span key)
{
    uint8_t name[REFERENCE_KEY_BYTES];
    uint8_t other_key[ADDRESS_KEY_BYTES];
    uint32_t log_no = bytes_read_u32(key.data + 1);
    uint64_t seq = bytes_read_u64(key.data + 5);
    struct shelf_blob blob;
    struct hash address;

    memcpy(address.bytes, key.data + 1 + PLACE_BYTES, HASH_BYTES);
    (void)table_delete(txn, TABLE_BLOBM, reference_key(name, &address, log_no, seq));
    (void)table_delete(txn, TABLE_BLOBM, entry_key((uint8_t[ENTRY_KEY_BYTES]){ 0 }, &address, log_no, seq));
    if (shelf_next_reference(txn, &address, &(uint32_t){ 0 }, &(uint64_t){ 0 })) {
        if (shelf_get(txn, &address, &blob) == ERR_OK && blob.references > 0) {
            blob.references--;
            blob_write_row(txn, &blob);
        }
        return;
    }
    if (shelf_get(txn, &address, &blob) == ERR_OK) {
        note_came(txn, &blob, true);
        enlist(txn, &blob, false);
    }
    (void)table_delete(txn, TABLE_BLOBM, address_key(other_key, blob_row, &address));
    table_clear(txn, TABLE_BLOBM, address_key(other_key, holder_row, &address));
    table_clear(txn, TABLE_BLOBM, address_key(other_key, bitmap_row, &address));
}

void
shelf_forget_log(struct table_txn *txn, uint32_t log_no)
{
    uint8_t prefix[1 + 4] = { entry_row };
    struct table_cursor cursor;
    struct span key;
    struct span value;

    bytes_write_u32(prefix + 1, log_no);
    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(prefix, sizeof prefix));
    while (table_cursor_next(&cursor, &key, &value)) {
        if (key.size == ENTRY_KEY_BYTES) {
            forget_reference(txn, key);
        }
    }
    table_cursor_end(&cursor);
}

void
shelf_spare_named(struct table_txn *txn)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(&doomed_row, 1));
    while (table_cursor_next(&cursor, &key, &value)) {
        struct hash address;

        if (key.size != ADDRESS_KEY_BYTES) {
            continue;
        }
        memcpy(address.bytes, key.data + 1, HASH_BYTES);
        if (shelf_next_reference(txn, &address, &(uint32_t){ 0 }, &(uint64_t){ 0 })) {
            (void)table_delete(txn, TABLE_BLOBM, key);
        }
    }
    table_cursor_end(&cursor);
}

/* --- what is here --- */

void
shelf_put_whole(struct table_txn *txn, const struct hash *address, uint32_t chunk_count)
{
    uint8_t key[ADDRESS_KEY_BYTES];
    struct shelf_blob blob;
    enum err err = shelf_get(txn, address, &blob);

    assert(err != ERR_ABSENT || table_error(txn) != ERR_OK);
    if (err != ERR_OK) {
        return;
    }
    blob.chunk_count = chunk_count;
    blob.held = chunk_count;
    blob.wish = WISH_POLICY;
    note_came(txn, &blob, false);
    blob_write_row(txn, &blob);
    table_clear(txn, TABLE_BLOBM, address_key(key, bitmap_row, address));
}

enum err
shelf_begin(struct table_txn *txn, const struct hash *address, uint32_t chunk_count)
{
    struct shelf_blob blob;
    enum err err = shelf_get(txn, address, &blob);

    if (err != ERR_OK) {
        return err;
    }
    if (shelf_is_doomed(txn, address)) {
        return ERR_BUSY;
    }
    if (chunk_count == 0 || chunk_count > BLOB_CHUNKS_MAX ||
        (blob.chunk_count != 0 && blob.chunk_count != chunk_count)) {
        return ERR_INVALID;
    }
    if (blob.chunk_count == 0) {
        blob.chunk_count = chunk_count;
        blob_write_row(txn, &blob);
    }
    return ERR_OK;
}

void
shelf_recount(struct table_txn *txn, const struct hash *address, uint32_t chunk_count)
{
    struct shelf_blob blob;

    assert(chunk_count > 0 && chunk_count <= BLOB_CHUNKS_MAX);
    if (shelf_get(txn, address, &blob) == ERR_OK && blob.chunk_count != chunk_count) {
        assert(blob.held == 0);
        blob.chunk_count = chunk_count;
        blob_write_row(txn, &blob);
    }
}

void
shelf_bitmap(struct table_txn *txn, const struct shelf_blob *blob, uint32_t page,
             uint8_t out[SHELF_BITMAP_BYTES])
{
    uint8_t key[BITMAP_KEY_BYTES];
    struct span row;

    memset(out, 0, SHELF_BITMAP_BYTES);
    if (shelf_is_whole(blob)) {
        for (uint32_t n = 0; n < blob_page_chunks(blob->chunk_count, page); n++) {
            out[n / 8] |= (uint8_t)(1U << n % 8);
        }
    } else if (blob->held > 0 &&
               table_get(txn, TABLE_BLOBM, bitmap_key(key, &blob->address, page), &row) == ERR_OK &&
               row.size == SHELF_BITMAP_BYTES) {
        memcpy(out, row.data, SHELF_BITMAP_BYTES);
    }
}

static void
write_bitmap(struct table_txn *txn, const struct hash *address, uint32_t page,
             const uint8_t bitmap[SHELF_BITMAP_BYTES])
{
    uint8_t key[BITMAP_KEY_BYTES];

    table_put(txn, TABLE_BLOBM, bitmap_key(key, address, page), span_of(bitmap, SHELF_BITMAP_BYTES));
}

static bool
bit_of(const uint8_t bitmap[SHELF_BITMAP_BYTES], uint32_t index)
{
    uint32_t n = index % BLOB_PAGE_CHUNKS;

    return (bitmap[n / 8] >> n % 8 & 1) != 0;
}

bool
shelf_has_chunk(struct table_txn *txn, const struct hash *address, uint32_t index)
{
    uint8_t bitmap[SHELF_BITMAP_BYTES];
    struct shelf_blob blob;

    if (shelf_get(txn, address, &blob) != ERR_OK || index >= blob.chunk_count) {
        return false;
    }
    shelf_bitmap(txn, &blob, index / BLOB_PAGE_CHUNKS, bitmap);
    return bit_of(bitmap, index);
}

void
shelf_put_chunk(struct table_txn *txn, const struct hash *address, uint32_t index)
{
    uint8_t bitmap[SHELF_BITMAP_BYTES];
    uint8_t key[ADDRESS_KEY_BYTES];
    struct shelf_blob blob;

    if (shelf_get(txn, address, &blob) != ERR_OK || index >= blob.chunk_count) {
        return;
    }
    shelf_bitmap(txn, &blob, index / BLOB_PAGE_CHUNKS, bitmap);
    if (bit_of(bitmap, index)) {
        return;
    }
    bitmap[index % BLOB_PAGE_CHUNKS / 8] |= (uint8_t)(1U << index % 8);
    blob.held++;
    if (shelf_is_whole(&blob)) {
        blob.wish = WISH_POLICY;
        note_came(txn, &blob, false);
        table_clear(txn, TABLE_BLOBM, address_key(key, bitmap_row, address));
    } else {
        write_bitmap(txn, address, index / BLOB_PAGE_CHUNKS, bitmap);
    }
    blob_write_row(txn, &blob);
}

void
shelf_lose_chunk(struct table_txn *txn, const struct hash *address, uint32_t index)
{
    uint8_t bitmap[SHELF_BITMAP_BYTES];
    struct shelf_blob blob;

    if (shelf_get(txn, address, &blob) != ERR_OK || index >= blob.chunk_count) {
        return;
    }
    for (uint32_t page = 0; shelf_is_whole(&blob) && page < blob_page_count(blob.chunk_count); page++) {
        shelf_bitmap(txn, &blob, page, bitmap);
        write_bitmap(txn, address, page, bitmap);
    }
    shelf_bitmap(txn, &blob, index / BLOB_PAGE_CHUNKS, bitmap);
    if (!bit_of(bitmap, index)) {
        return;
    }
    bitmap[index % BLOB_PAGE_CHUNKS / 8] &= (uint8_t) ~(1U << index % 8);
    write_bitmap(txn, address, index / BLOB_PAGE_CHUNKS, bitmap);
    note_came(txn, &blob, true);
    blob.held--;
    blob_write_row(txn, &blob);
}

enum err
shelf_wish(struct table_txn *txn, const struct hash *address, enum shelf_wish wish)
{
    struct shelf_blob blob;
    enum err err = shelf_get(txn, address, &blob);

    if (err != ERR_OK) {
        return err;
    }
    blob.wish = (uint8_t)wish;
    if (wish == WISH_AWAY) {
        blob.held = 0;
        doom(txn, address);
    }
    if (!shelf_is_whole(&blob)) {
        note_came(txn, &blob, true);
    }
    blob_write_row(txn, &blob);
    return ERR_OK;
}

/* --- who else has it --- */

void
shelf_note_holder(struct table_txn *txn, const struct hash *address, const struct hash *device_id,
                  uint64_t wall_ms, uint32_t chunk_count)
{
    uint8_t key[HOLDER_KEY_BYTES];
    uint8_t row[HOLDER_BYTES];
    struct shelf_blob blob;

    /* What no entry names is nobody's business. */
    if (shelf_get(txn, address, &blob) == ERR_OK) {
        bytes_write_u64(row, wall_ms);
        bytes_write_u32(row + 8, chunk_count);
        table_put(txn, TABLE_BLOBM, holder_key(txn, key, address, device_id), span_of(row, sizeof row));
    }
}

void
shelf_forget_holder(struct table_txn *txn, const struct hash *address, const struct hash *device_id)
{
    uint8_t key[HOLDER_KEY_BYTES];

    (void)table_delete(txn, TABLE_BLOBM, holder_key(txn, key, address, device_id));
}

/* A row of an earlier version ends with the time. */
static bool
read_holder(struct table_txn *txn, const struct hash *address, const struct hash *device_id,
            uint64_t *wall_ms_out, uint32_t *chunk_count_out)
{
    uint8_t key[HOLDER_KEY_BYTES];
    struct span row;

    *wall_ms_out = 0;
    *chunk_count_out = 0;
    if (table_get(txn, TABLE_BLOBM, holder_key(txn, key, address, device_id), &row) != ERR_OK ||
        (row.size != HOLDER_BYTES && row.size != HOLDER_BYTES_OLD)) {
        return false;
    }
    *wall_ms_out = bytes_read_u64(row.data);
    *chunk_count_out = row.size == HOLDER_BYTES ? bytes_read_u32(row.data + 8) : 0;
    return true;
}

uint64_t
shelf_holder(struct table_txn *txn, const struct hash *address, const struct hash *device_id)
{
    uint64_t wall_ms;
    uint32_t chunk_count;

    (void)read_holder(txn, address, device_id, &wall_ms, &chunk_count);
    return wall_ms;
}

uint32_t
shelf_holder_chunks(struct table_txn *txn, const struct hash *address, const struct hash *device_id)
{
    uint64_t wall_ms;
    uint32_t chunk_count;

    (void)read_holder(txn, address, device_id, &wall_ms, &chunk_count);
    return chunk_count;
}

/* --- what is doomed --- */

bool
shelf_is_doomed(struct table_txn *txn, const struct hash *address)
{
    uint8_t key[ADDRESS_KEY_BYTES];

    return table_has(txn, TABLE_BLOBM, address_key(key, doomed_row, address));
}

bool
shelf_doomed(struct table_txn *txn, struct hash *address_out)
{
    struct table_cursor cursor;
    struct span key;
    struct span value;

    table_cursor_init(&cursor, txn, TABLE_BLOBM, span_of(&doomed_row, 1));
    bool found = table_cursor_next(&cursor, &key, &value);
    if (found) {
        found = key.size == ADDRESS_KEY_BYTES;
        memcpy(address_out->bytes, key.data + 1, found ? HASH_BYTES : 0);
    }
    table_cursor_end(&cursor);
    return found;
}

void
shelf_bury(struct table_txn *txn, const struct hash *address)
{
    uint8_t key[ADDRESS_KEY_BYTES];

    (void)table_delete(txn, TABLE_BLOBM, address_key(key, doomed_row, address));
}
