#include "tests/support/check.h"
#include "tests/support/records.h"

#include "store/base/cbor.h"
#include "store/shelf.h"

#include <string.h>

static struct records records;
static const struct hash first = { { 0x10 } };
static const struct hash second = { { 0x20, 0x01 } };
static const struct hash third = { { 0x20, 0x02 } };

static void
setup(void)
{
    records_open(&records, NULL, 0);
    ck_assert_int_eq(table_begin_write(records.env, &records.txn), ERR_OK);
}

static void
teardown(void)
{
    records_close(&records);
}

static struct shelf_blob
get(const struct hash *address)
{
    struct shelf_blob blob;

    ck_assert_int_eq(shelf_get(records.txn, address, &blob), ERR_OK);
    return blob;
}

static bool
is_doomed(const struct hash *address)
{
    struct hash doomed;

    return shelf_doomed(records.txn, &doomed) && hash_equal(&doomed, address);
}

START_TEST(a_file_stays_until_the_last_entry_that_names_it_is_erased)
{
    struct shelf_blob blob;

    shelf_refer(records.txn, &first, 100, 7, 12);
    shelf_refer(records.txn, &first, 100, 7, 12);
    shelf_refer(records.txn, &first, 0, 9, 0);
    shelf_refer(records.txn, &second, 5, 9, 0);
    ck_assert_uint_eq(get(&first).references, 2);
    ck_assert_uint_eq(get(&first).size, 100);
    ck_assert_uint_eq(shelf_drop_entry(records.txn, 7, 11), 0);
    ck_assert_uint_eq(shelf_drop_entry(records.txn, 7, 12), 0);
    ck_assert_uint_eq(get(&first).references, 1);
    ck_assert(!is_doomed(&first));
    ck_assert_uint_eq(shelf_drop_entry(records.txn, 9, 0), 2);
    ck_assert_int_eq(shelf_get(records.txn, &first, &blob), ERR_ABSENT);
    ck_assert_int_eq(shelf_get(records.txn, &second, &blob), ERR_ABSENT);
    ck_assert(is_doomed(&first));
    shelf_bury(records.txn, &first);
    ck_assert(is_doomed(&second));
    shelf_bury(records.txn, &second);
    ck_assert(!is_doomed(&second));
    /* Nothing of them is left but that something changed. */
    ck_assert_uint_eq(table_count(records.txn, TABLE_BLOBM), 1);
}
END_TEST

START_TEST(chunks_are_counted_once_in_whatever_order_they_come)
{
    uint8_t bitmap[SHELF_BITMAP_BYTES];
    struct shelf_blob blob;

    ck_assert_int_eq(shelf_begin(records.txn, &first, 300), ERR_ABSENT);
    shelf_refer(records.txn, &first, 300 * BLOB_CHUNK_BYTES, 1, 1);
    ck_assert_int_eq(shelf_begin(records.txn, &first, 0), ERR_INVALID);
    ck_assert_int_eq(shelf_begin(records.txn, &first, 300), ERR_OK);
    ck_assert_int_eq(shelf_begin(records.txn, &first, 300), ERR_OK);
    ck_assert_int_eq(shelf_begin(records.txn, &first, 301), ERR_INVALID);
    for (uint32_t n = 300; n-- > 1;) {
        ck_assert(!shelf_has_chunk(records.txn, &first, n));
        shelf_put_chunk(records.txn, &first, n);
        shelf_put_chunk(records.txn, &first, n);
        ck_assert(shelf_has_chunk(records.txn, &first, n));
    }
    shelf_put_chunk(records.txn, &first, 300);
    blob = get(&first);
    ck_assert_uint_eq(blob.held, 299);
    ck_assert(!shelf_is_whole(&blob));
    ck_assert(!shelf_has_chunk(records.txn, &first, 0));
    shelf_bitmap(records.txn, &blob, 0, bitmap);
    ck_assert_uint_eq(bitmap[0], 0xfe);
    ck_assert_uint_eq(bitmap[31], 0xff);
    shelf_bitmap(records.txn, &blob, 1, bitmap);
    ck_assert_uint_eq(bitmap[5], 0x0f);
    ck_assert_uint_eq(bitmap[6], 0);
    shelf_put_chunk(records.txn, &first, 0);
    blob = get(&first);
    ck_assert(shelf_is_whole(&blob));
    shelf_bitmap(records.txn, &blob, 1, bitmap);
    ck_assert_uint_eq(bitmap[5], 0x0f);
    /* Of a whole one there is the row, its place among those that came, and the entry that names it in both directions; and
     * the count of changes. */
    ck_assert_uint_eq(table_count(records.txn, TABLE_BLOBM), 5);
}
END_TEST

START_TEST(a_chunk_that_is_lost_is_wanted_again_and_the_others_are_not)
{
    struct shelf_totals totals;

    shelf_refer(records.txn, &first, 300 * BLOB_CHUNK_BYTES, 1, 1);
    shelf_put_whole(records.txn, &first, 300);
    shelf_total(records.txn, &totals);
    ck_assert_uint_eq(totals.whole_count, 1);
    ck_assert_uint_eq(totals.wanted_count, 0);
    shelf_lose_chunk(records.txn, &first, 257);
    shelf_lose_chunk(records.txn, &first, 257);
    ck_assert_uint_eq(get(&first).held, 299);
    ck_assert(!shelf_has_chunk(records.txn, &first, 257));
    ck_assert(shelf_has_chunk(records.txn, &first, 256));
    ck_assert(shelf_has_chunk(records.txn, &first, 0));
    shelf_total(records.txn, &totals);
    ck_assert_uint_eq(totals.part_count, 1);
    ck_assert_uint_eq(totals.wanted_count, 1);
    ck_assert_uint_eq(totals.wanted_bytes, BLOB_CHUNK_BYTES);
}
END_TEST

START_TEST(putting_away_is_not_deletion)
{
    struct shelf_totals totals;

    shelf_refer(records.txn, &first, 1000, 1, 1);
    shelf_put_whole(records.txn, &first, 1);
    ck_assert_int_eq(shelf_wish(records.txn, &second, WISH_AWAY), ERR_ABSENT);
    ck_assert_int_eq(shelf_wish(records.txn, &first, WISH_AWAY), ERR_OK);
    ck_assert_uint_eq(get(&first).held, 0);
    ck_assert_uint_eq(get(&first).references, 1);
    ck_assert(is_doomed(&first));
    shelf_total(records.txn, &totals);
    ck_assert_uint_eq(totals.wanted_count, 0);
    ck_assert_uint_eq(totals.away_count, 1);
    /* It does not come back before its old file is gone, and then as often as somebody likes. */
    ck_assert_int_eq(shelf_wish(records.txn, &first, WISH_ASKED), ERR_OK);
    ck_assert_int_eq(shelf_begin(records.txn, &first, 1), ERR_BUSY);
    shelf_bury(records.txn, &first);
    ck_assert_int_eq(shelf_begin(records.txn, &first, 1), ERR_OK);
    shelf_total(records.txn, &totals);
    ck_assert_uint_eq(totals.wanted_count, 1);
    ck_assert_uint_eq(totals.wanted_bytes, 1000);
    shelf_put_chunk(records.txn, &first, 0);
    ck_assert_int_eq(get(&first).wish, WISH_POLICY);
}
END_TEST

START_TEST(what_is_wanted_and_what_came_are_listed_and_every_change_is_counted)
{
    struct shelf_blob blob;
    uint64_t came = 0;
    uint64_t changes = shelf_changes(records.txn);

    ck_assert_uint_eq(changes, 0);
    ck_assert(!shelf_next_come(records.txn, &came, &blob));
    shelf_refer(records.txn, &second, 5, 9, 0);
    shelf_refer(records.txn, &first, 5, 9, 0);
    ck_assert_uint_gt(shelf_changes(records.txn), changes);
    ck_assert(shelf_next_wanted(records.txn, NULL, &blob) && hash_equal(&blob.address, &first));
    ck_assert(shelf_next_wanted(records.txn, &first, &blob) && hash_equal(&blob.address, &second));
    ck_assert(!shelf_next_wanted(records.txn, &second, &blob));
    /* In the order in which they came, each once, and again when one more entry names it. */
    shelf_put_whole(records.txn, &second, 1);
    ck_assert_int_eq(shelf_begin(records.txn, &first, 1), ERR_OK);
    shelf_put_chunk(records.txn, &first, 0);
    ck_assert(!shelf_next_wanted(records.txn, NULL, &blob));
    ck_assert(shelf_next_come(records.txn, &came, &blob) && hash_equal(&blob.address, &second));
    ck_assert(shelf_next_come(records.txn, &came, &blob) && hash_equal(&blob.address, &first));
    ck_assert(!shelf_next_come(records.txn, &came, &blob));
    shelf_refer(records.txn, &second, 5, 9, 0);
    ck_assert(!shelf_next_come(records.txn, &came, &blob));
    shelf_refer(records.txn, &second, 5, 9, 1);
    ck_assert(shelf_next_come(records.txn, &came, &blob) && hash_equal(&blob.address, &second));
    /* Damaged or put away it came no more; put away it is not wanted either. */
    changes = shelf_changes(records.txn);
    shelf_lose_chunk(records.txn, &second, 0);
    ck_assert(shelf_next_wanted(records.txn, NULL, &blob) && hash_equal(&blob.address, &second));
    ck_assert_int_eq(shelf_wish(records.txn, &first, WISH_AWAY), ERR_OK);
    ck_assert(!shelf_next_wanted(records.txn, &second, &blob));
    came = 0;
    ck_assert(!shelf_next_come(records.txn, &came, &blob));
    ck_assert_uint_gt(shelf_changes(records.txn), changes);
    ck_assert_int_eq(shelf_wish(records.txn, &first, WISH_ASKED), ERR_OK);
    ck_assert(shelf_next_wanted(records.txn, NULL, &blob) && hash_equal(&blob.address, &first));
    ck_assert_uint_eq(shelf_drop_entry(records.txn, 9, 0), 1);
    ck_assert(!shelf_next_wanted(records.txn, NULL, &blob) || !hash_equal(&blob.address, &first));
}
END_TEST

START_TEST(lists_that_are_missing_are_made_again)
{
    static const uint8_t old[21] = { [7] = 5, [11] = 1, [15] = 1, [19] = 1 };
    uint8_t key[1 + HASH_BYTES] = { 'b' };
    struct shelf_blob blob;
    uint64_t came = 0;

    /* The row of a whole blob as the program wrote it that kept no lists. */
    shelf_refer(records.txn, &second, 5, 9, 0);
    memcpy(key + 1, second.bytes, HASH_BYTES);
    table_put(records.txn, TABLE_BLOBM, span_of(key, sizeof key), span_of(old, sizeof old));
    key[0] = 'q';
    ck_assert(table_has(records.txn, TABLE_BLOBM, span_of(key, sizeof key)));
    shelf_refer(records.txn, &first, 5, 9, 0);
    memcpy(key + 1, first.bytes, HASH_BYTES);
    (void)table_delete(records.txn, TABLE_BLOBM, span_of(key, sizeof key));
    ck_assert(!shelf_next_wanted(records.txn, NULL, &blob));
    ck_assert(!shelf_next_come(records.txn, &came, &blob));
    shelf_mend(records.txn);
    ck_assert(shelf_next_wanted(records.txn, NULL, &blob) && hash_equal(&blob.address, &first));
    ck_assert(!shelf_next_wanted(records.txn, &first, &blob));
    ck_assert(shelf_next_come(records.txn, &came, &blob) && hash_equal(&blob.address, &second));
    uint64_t changes = shelf_changes(records.txn);
    shelf_mend(records.txn);
    ck_assert_uint_eq(shelf_changes(records.txn), changes);
}
END_TEST

START_TEST(blobs_are_walked_in_order_of_their_addresses)
{
    struct shelf_blob blob;

    ck_assert(!shelf_next(records.txn, NULL, &blob));
    shelf_refer(records.txn, &third, 0, 3, 3);
    shelf_refer(records.txn, &first, 0, 1, 1);
    shelf_refer(records.txn, &second, 0, 2, 2);
    ck_assert(shelf_next(records.txn, NULL, &blob));
    ck_assert(hash_equal(&blob.address, &first));
    ck_assert(shelf_next(records.txn, &first, &blob));
    ck_assert(hash_equal(&blob.address, &second));
    ck_assert(shelf_next(records.txn, &second, &blob));
    ck_assert(hash_equal(&blob.address, &third));
    ck_assert(!shelf_next(records.txn, &third, &blob));
}
END_TEST

START_TEST(who_holds_a_file_is_known_by_what_they_said_and_forgotten_with_the_file)
{
    static const struct hash here = { { 1 } };
    static const struct hash there = { { 2 } };

    shelf_note_holder(records.txn, &first, &here, 5000, 3);
    ck_assert_uint_eq(shelf_holder(records.txn, &first, &here), 0);
    shelf_refer(records.txn, &first, 0, 1, 1);
    shelf_note_holder(records.txn, &first, &here, 5000, 3);
    shelf_note_holder(records.txn, &first, &here, 6000, 3);
    shelf_note_holder(records.txn, &first, &there, 7000, 3);
    ck_assert_uint_eq(shelf_holder(records.txn, &first, &here), 6000);
    ck_assert_uint_eq(shelf_holder_chunks(records.txn, &first, &here), 3);
    shelf_forget_holder(records.txn, &first, &here);
    ck_assert_uint_eq(shelf_holder(records.txn, &first, &here), 0);
    ck_assert_uint_eq(shelf_holder(records.txn, &first, &there), 7000);
    ck_assert_uint_eq(shelf_drop_entry(records.txn, 1, 1), 1);
    shelf_refer(records.txn, &first, 0, 1, 1);
    ck_assert_uint_eq(shelf_holder(records.txn, &first, &there), 0);
}
END_TEST

/* --- what an entry names --- */

static struct op
set(uint32_t collection, uint8_t element, uint32_t field, struct span value)
{
    return (struct op){ .code = OP_SET,
                        .target = { .collection = collection, .element = { element }, .field = field },
                        .value = value };
}

START_TEST(an_entry_names_what_it_sets_on_a_field_of_files_with_the_size_beside_it)
{
    struct buf file = { 0 };
    struct buf other = { 0 };
    struct buf size = { 0 };
    struct buf wrong = { 0 };
    struct buf key = { 0 };
    uint8_t bytes[BLOB_KEY_BYTES] = { 3 };

    cbor_put_bytes(&file, hash_span(&first));
    cbor_put_bytes(&other, hash_span(&second));
    cbor_put_bytes(&key, span_of(bytes, sizeof bytes));
    cbor_put_uint(&size, 81234);
    cbor_put_uint(&wrong, BLOB_BYTES_MAX + 1);
    const struct op ops[] = {
        set(COLLECTION_EVIDENCE, 1, FIELD_EVIDENCE_SIZE, buf_span(&size)),
        set(COLLECTION_EVIDENCE, 1, FIELD_EVIDENCE_FILE, buf_span(&file)),
        set(COLLECTION_EVIDENCE, 1, FIELD_EVIDENCE_KEY, buf_span(&key)),
        set(COLLECTION_ATTACHMENT, 2, FIELD_ATTACHMENT_FILE, buf_span(&other)),
        set(COLLECTION_ATTACHMENT, 2, FIELD_ATTACHMENT_SIZE, buf_span(&wrong)),
        set(COLLECTION_ATTACHMENT, 2, FIELD_ATTACHMENT_NAME, buf_span(&other)),
    };
    struct signed_change entry = { .change = { .ops = ops, .op_count = 6 }, .log_no = 4, .seq = 8 };

    ck_assert(shelf_names_blobs(codebook_reprisals(), &entry.change));
    shelf_refer_change(records.txn, codebook_reprisals(), &entry);
    ck_assert_uint_eq(get(&first).size, 81234);
    ck_assert_uint_eq(get(&second).size, 0);
    ck_assert_uint_eq(shelf_drop_entry(records.txn, 4, 8), 2);
    entry.change = (struct change){ .ops = &ops[2], .op_count = 1 };
    ck_assert(!shelf_names_blobs(codebook_reprisals(), &entry.change));
    entry.change = (struct change){ .ops = &ops[5], .op_count = 1 };
    ck_assert(!shelf_names_blobs(codebook_reprisals(), &entry.change));
    buf_free(&file);
    buf_free(&other);
    buf_free(&size);
    buf_free(&wrong);
    buf_free(&key);
}
END_TEST

SUITE_MAIN_WITH("shelf", setup, teardown, a_file_stays_until_the_last_entry_that_names_it_is_erased,
                chunks_are_counted_once_in_whatever_order_they_come,
                a_chunk_that_is_lost_is_wanted_again_and_the_others_are_not, putting_away_is_not_deletion,
                what_is_wanted_and_what_came_are_listed_and_every_change_is_counted,
                lists_that_are_missing_are_made_again, blobs_are_walked_in_order_of_their_addresses,
                who_holds_a_file_is_known_by_what_they_said_and_forgotten_with_the_file,
                an_entry_names_what_it_sets_on_a_field_of_files_with_the_size_beside_it)
