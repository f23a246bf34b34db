#include "tests/support/check.h"
#include "tests/support/entries.h"

#include <stdlib.h>
#include <string.h>

static struct test_author author;
static struct entry entries[RUN_ENTRIES_MAX + 1];
static struct buf sealed[RUN_ENTRIES_MAX + 1];
static struct buf bytes;
static struct chunk chunk;
static const struct hash nothing_before;

static void
begin(void)
{
    test_author_init(&author, 1);
}

static void
end(void)
{
    for (size_t n = 0; n < RUN_ENTRIES_MAX + 1; n++) {
        buf_free(&sealed[n]);
    }
    buf_free(&bytes);
}

/* Write `count` entries of `size` bytes of payload each, which nothing makes smaller. */
static void
write_entries(size_t count, size_t size)
{
    static uint8_t payload[PAYLOAD_BYTES_MAX];

    for (size_t n = 0; n < count; n++) {
        world_random(&author.test.world, payload, size);
        test_author_write(&author, &entries[n], ENTRY_DATA, 0, span_of(payload, size), &sealed[n]);
    }
}

static enum chunk_fault
receive(void)
{
    return test_receive(&author.descriptor, &nothing_before, buf_span(&bytes), &chunk);
}

START_TEST(a_chunk_comes_back_and_one_signature_proves_all_its_entries)
{
    struct buf again = { 0 };

    write_entries(RUN_ENTRIES_MAX, 100);
    test_author_chunk(&author, entries, RUN_ENTRIES_MAX, &bytes);
    uint64_t verified = crypto_verify_count();
    ck_assert_int_eq(receive(), CHUNK_OK);
    ck_assert_uint_eq(crypto_verify_count() - verified, 1);
    ck_assert_uint_eq(chunk.entry_count, RUN_ENTRIES_MAX);
    for (size_t n = 0; n < RUN_ENTRIES_MAX; n++) {
        ck_assert(hash_equal(&chunk.entries[n].id, &entries[n].id));
        ck_assert(span_equal(chunk.entries[n].payload, entries[n].payload));
    }
    chunk_write(&again, chunk.entries, chunk.entry_count, chunk.signature);
    ck_assert(span_equal(buf_span(&again), buf_span(&bytes)));
    buf_free(&again);
}
END_TEST

/* --- U3: a flipped bit in any byte --- */

enum { SAMPLES = 56 };

/* Chunk n of many kinds: one to three entries, of all kinds, with payload and without. */
static void
write_sample(size_t n, struct hash *prev_out)
{
    static const enum entry_kind kinds[] = { ENTRY_DATA, ENTRY_KEY, ENTRY_CONTROL, ENTRY_RECEIPT,
                                             ENTRY_SEAL };
    size_t count = n % 8 == 0 ? 3 : 1;
    uint8_t payload[64];

    author.next_seq = n % 3 == 0 ? 0 : n * 57;
    author.head = (struct hash){ { 0 } };
    if (author.next_seq > 0) {
        world_random(&author.test.world, author.head.bytes, HASH_BYTES);
    }
    *prev_out = author.head;
    world_random(&author.test.world, payload, sizeof payload);
    for (size_t e = 0; e < count; e++) {
        test_author_write(&author, &entries[e], kinds[(n + e) % 5],
                          (uint8_t)(n % 2 == 0 ? 0 : ENTRY_URGENT_HINT),
                          span_of(payload, 1 + (n * 7 + e) % sizeof payload), &sealed[e]);
        if ((n + e) % 4 == 3) {
            entries[e].payload = (struct span){ 0 };
        }
    }
    buf_clear(&bytes);
    test_author_chunk(&author, entries, count, &bytes);
}

START_TEST(u3_a_flipped_bit_in_any_byte_of_a_chunk_is_refused)
{
    size_t tried = 0;

    for (size_t n = 0; n < SAMPLES; n++) {
        struct hash prev;
        write_sample(n, &prev);
        ck_assert_int_eq(test_receive(&author.descriptor, &prev, buf_span(&bytes), &chunk), CHUNK_OK);
        for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_int_ne(test_receive(&author.descriptor, &prev, buf_span(&bytes), &chunk), CHUNK_OK);
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            tried++;
        }
    }
    ck_assert_uint_gt(tried, SAMPLES * 8 * 100);
}
END_TEST

START_TEST(a_flipped_bit_in_the_descriptor_is_refused)
{
    uint8_t descriptor_bytes[DESCRIPTOR_BYTES];

    write_entries(1, 30);
    test_author_chunk(&author, entries, 1, &bytes);
    descriptor_write(descriptor_bytes, &author.descriptor);
    for (size_t bit = 0; bit < 8 * DESCRIPTOR_BYTES; bit++) {
        struct descriptor other;
        descriptor_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (descriptor_read(span_of(descriptor_bytes, sizeof descriptor_bytes), &other)) {
            ck_assert_int_eq(test_receive(&other, &nothing_before, buf_span(&bytes), &chunk), CHUNK_FORGED);
        } else {
            ck_assert_uint_eq(bit / 8, 56); /* no such lane */
        }
        descriptor_bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(a_chunk_that_was_cut_or_goes_on_is_malformed)
{
    write_entries(3, 40);
    entries[1].payload = (struct span){ 0 };
    test_author_chunk(&author, entries, 3, &bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        ck_assert_int_eq(chunk_read(span_of(bytes.data, size), LANE_NORMAL, &chunk), CHUNK_MALFORMED);
    }
    ck_assert_int_eq(receive(), CHUNK_OK);
    buf_put_u8(&bytes, 0);
    ck_assert_int_eq(receive(), CHUNK_MALFORMED);
}
END_TEST

/* --- what no chunk may hold --- */

/* The beginning of a chunk, up to its entries. */
static void
put_beginning(uint64_t first_seq, uint8_t prev, uint64_t count)
{
    const uint8_t prev_short[8] = { prev };

    buf_clear(&bytes);
    buf_put_varint(&bytes, first_seq);
    buf_put(&bytes, prev_short, sizeof prev_short);
    buf_put_varint(&bytes, count);
}

/* An entry as its hash, with this first byte and this size. */
static void
put_entry(unsigned kind_and_flags, uint64_t size, bool same_epoch, uint8_t epoch)
{
    static const uint8_t zeros[8 + 16 + HASH_BYTES];
    const uint8_t epoch_bytes[4] = { epoch };

    buf_put_u8(&bytes, (uint8_t)kind_and_flags);
    buf_put_varint(&bytes, size << 2 | (same_epoch ? 2 : 0));
    if (!same_epoch) {
        buf_put(&bytes, epoch_bytes, sizeof epoch_bytes);
    }
    buf_put(&bytes, zeros, sizeof zeros);
}

static enum chunk_fault
read_with_signature(uint8_t lane)
{
    static const uint8_t signature[SIGNATURE_BYTES];

    buf_put(&bytes, signature, sizeof signature);
    return chunk_read(buf_span(&bytes), lane, &chunk);
}

static enum chunk_fault
read_one(unsigned kind_and_flags, uint64_t size)
{
    put_beginning(0, 0, 1);
    put_entry(kind_and_flags, size, false, 1);
    return read_with_signature(LANE_NORMAL);
}

START_TEST(a_chunk_holds_1_to_64_entries)
{
    for (uint64_t count = 0; count <= RUN_ENTRIES_MAX + 1; count++) {
        put_beginning(0, 0, count);
        for (uint64_t n = 0; n < count; n++) {
            put_entry(0, 17, n > 0, 1);
        }
        ck_assert_int_eq(read_with_signature(LANE_NORMAL),
                         count >= 1 && count <= RUN_ENTRIES_MAX ? CHUNK_OK : CHUNK_MALFORMED);
    }
    put_beginning(0, 0, UINT64_MAX);
    put_entry(0, 17, false, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_MALFORMED);
}
END_TEST

START_TEST(kinds_flags_lanes_and_sizes_that_no_entry_has_are_malformed)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned kind = byte >> 4;
        bool known = kind <= 2 || kind == 5 || kind == 6;
        ck_assert_int_eq(read_one(byte, 100), known ? CHUNK_OK : CHUNK_MALFORMED);
    }
    ck_assert_int_eq(read_one(0, SEAL_BYTES - 1), CHUNK_MALFORMED);
    ck_assert_int_eq(read_one(0, SEAL_BYTES), CHUNK_OK);
    ck_assert_int_eq(read_one(0, PAYLOAD_BYTES_MAX), CHUNK_OK);
    ck_assert_int_eq(read_one(0, PAYLOAD_BYTES_MAX + 1), CHUNK_MALFORMED);
    /* Sizes that are small once their high bits are lost. */
    ck_assert_int_eq(read_one(0, (UINT64_C(1) << 32) + 100), CHUNK_MALFORMED);
    ck_assert_int_eq(read_one(0, UINT64_MAX >> 2), CHUNK_MALFORMED);
    for (unsigned lane = 0; lane < 256; lane++) {
        put_beginning(0, 0, 1);
        put_entry(0, 17, false, 1);
        ck_assert_int_eq(read_with_signature((uint8_t)lane), lane < LANE_COUNT ? CHUNK_OK : CHUNK_MALFORMED);
    }
}
END_TEST

START_TEST(an_epoch_is_written_exactly_where_it_changes)
{
    put_beginning(0, 0, 1);
    put_entry(0, 17, true, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_MALFORMED);
    put_beginning(0, 0, 2);
    put_entry(0, 17, false, 1);
    put_entry(0, 17, false, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_MALFORMED);
    put_beginning(0, 0, 3);
    put_entry(0, 17, false, 1);
    put_entry(0, 17, false, 2);
    put_entry(0, 17, true, 2);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_OK);
    ck_assert_uint_eq(chunk.entries[0].epoch[0], 1);
    ck_assert_uint_eq(chunk.entries[1].epoch[0], 2);
    ck_assert_uint_eq(chunk.entries[2].epoch[0], 2);
}
END_TEST

START_TEST(a_chunk_begins_at_zero_without_a_prev_and_does_not_pass_the_last_seq)
{
    put_beginning(0, 1, 1);
    put_entry(0, 17, false, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_MALFORMED);
    put_beginning(1, 1, 1);
    put_entry(0, 17, false, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_OK);
    put_beginning(UINT64_MAX, 1, 1);
    put_entry(0, 17, false, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_MALFORMED);
    put_beginning(UINT64_MAX - 2, 1, 2);
    put_entry(0, 17, false, 1);
    put_entry(0, 17, true, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_OK);
    ck_assert_uint_eq(chunk.entries[1].seq, UINT64_MAX - 1);
}
END_TEST

START_TEST(a_chunk_is_no_more_than_one_run)
{
    put_beginning(0, 0, 2);
    put_entry(0, 12000, false, 1);
    put_entry(0, 288, true, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_OK);
    put_beginning(0, 0, 2);
    put_entry(0, 12000, false, 1);
    put_entry(0, 289, true, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_MALFORMED);
    put_beginning(0, 0, 2);
    put_entry(0, PAYLOAD_BYTES_MAX, false, 1);
    put_entry(0, 17, true, 1);
    ck_assert_int_eq(read_with_signature(LANE_NORMAL), CHUNK_MALFORMED);
}
END_TEST

START_TEST(the_largest_run_is_within_the_bound_of_a_chunk)
{
    static const size_t payload_size = RUN_PAYLOAD_BYTES_MAX / RUN_ENTRIES_MAX - SEAL_BYTES;

    author.next_seq = UINT64_MAX - 1 - RUN_ENTRIES_MAX;
    world_random(&author.test.world, author.head.bytes, HASH_BYTES);
    struct hash prev = author.head;
    write_entries(RUN_ENTRIES_MAX, payload_size);
    test_author_chunk(&author, entries, RUN_ENTRIES_MAX, &bytes);
    ck_assert_uint_le(bytes.size, CHUNK_BYTES_MAX);
    ck_assert_int_eq(test_receive(&author.descriptor, &prev, buf_span(&bytes), &chunk), CHUNK_OK);
    buf_clear(&bytes);
    author.head = prev;
    author.next_seq = 1;
    write_entries(1, PAYLOAD_BYTES_MAX - SEAL_BYTES);
    test_author_chunk(&author, entries, 1, &bytes);
    ck_assert_uint_le(bytes.size, CHUNK_BYTES_MAX);
    ck_assert_int_eq(test_receive(&author.descriptor, &prev, buf_span(&bytes), &chunk), CHUNK_OK);
}
END_TEST

/* --- what is proved --- */

START_TEST(an_entry_whose_payload_is_withheld_is_proved_by_its_hash)
{
    write_entries(3, 50);
    for (size_t n = 0; n < 3; n++) {
        entries[n].payload = (struct span){ 0 };
    }
    test_author_chunk(&author, entries, 3, &bytes);
    ck_assert_int_eq(receive(), CHUNK_OK);
    for (size_t n = 0; n < 3; n++) {
        ck_assert_ptr_null(chunk.entries[n].payload.data);
        ck_assert_uint_eq(chunk.entries[n].payload_size, 50 + SEAL_BYTES);
        ck_assert(hash_equal(&chunk.entries[n].payload_hash, &entries[n].payload_hash));
        ck_assert(hash_equal(&chunk.entries[n].id, &entries[n].id));
    }
}
END_TEST

START_TEST(a_chunk_of_one_lane_is_forged_in_every_other)
{
    struct descriptor other = author.descriptor;

    write_entries(2, 50);
    test_author_chunk(&author, entries, 2, &bytes);
    for (uint8_t lane = 0; lane < LANE_COUNT; lane++) {
        other.lane = lane;
        ck_assert_int_eq(test_receive(&other, &nothing_before, buf_span(&bytes), &chunk),
                         lane == LANE_NORMAL ? CHUNK_OK : CHUNK_FORGED);
        /* Even in the right log, the lane is in the header. */
        ck_assert_int_eq(chunk_read(buf_span(&bytes), lane, &chunk), CHUNK_OK);
        chunk_identify(&chunk, &author.log_id, &nothing_before);
        ck_assert_int_eq(chunk_verify(&chunk, author.descriptor.sign_pk),
                         lane == LANE_NORMAL ? CHUNK_OK : CHUNK_FORGED);
    }
}
END_TEST

START_TEST(entries_cannot_be_left_out_or_change_places)
{
    uint8_t signature[SIGNATURE_BYTES];

    write_entries(3, 50);
    entry_sign(signature, &entries[2].id, &author.sign);
    /* The tail without its past. */
    chunk_write(&bytes, entries + 1, 2, signature);
    ck_assert_int_eq(receive(), CHUNK_FORGED);
    /* The head under the tail's signature. */
    buf_clear(&bytes);
    chunk_write(&bytes, entries, 2, signature);
    ck_assert_int_eq(receive(), CHUNK_FORGED);
    /* The second twice, renumbered. */
    struct entry third = entries[1];
    third.seq = 2;
    third.prev = entries[1].id;
    entries[2] = third;
    buf_clear(&bytes);
    chunk_write(&bytes, entries, 3, signature);
    ck_assert_int_eq(receive(), CHUNK_FORGED);
}
END_TEST

START_TEST(u4_a_signature_of_another_context_or_key_proves_nothing)
{
    static const char *const contexts[] = { "VIGIL1STMT", "VIGIL1REQUEST", "VIGIL1BUNDLE", "VIGIL1ENTRY" };
    uint8_t signature[SIGNATURE_BYTES];
    struct test_author other;

    write_entries(1, 50);
    for (size_t n = 0; n < 4; n++) {
        crypto_sign_id(signature, &author.sign, contexts[n], &entries[0].id);
        buf_clear(&bytes);
        chunk_write(&bytes, entries, 1, signature);
        ck_assert_int_eq(receive(), n == 3 ? CHUNK_OK : CHUNK_FORGED);
    }
    test_author_init(&other, 2);
    entry_sign(signature, &entries[0].id, &other.sign);
    buf_clear(&bytes);
    chunk_write(&bytes, entries, 1, signature);
    ck_assert_int_eq(receive(), CHUNK_FORGED);
}
END_TEST

/* A second signature of the author's on the first entry of 50 bytes, made with another nonce than RFC 8032
 * has: as valid as the first. */
static const char second_signature[] = "68662f3db7d1306c9e71224f8f0b741617e49568363fb69068eb6a088876bc2a"
                                       "6cc7695db8dac660cdcfbed8458680cddade03ad1ba4fdeb5bcd6e5fed8c6204";

START_TEST(u5_two_signatures_on_the_same_content_are_the_same_entry)
{
    uint8_t signature[SIGNATURE_BYTES];

    write_entries(1, 50);
    test_author_chunk(&author, entries, 1, &bytes);
    ck_assert_int_eq(receive(), CHUNK_OK);
    struct hash id = chunk.entries[0].id;
    ck_assert(bytes_from_hex(signature, sizeof signature, second_signature));
    ck_assert_mem_ne(signature, chunk.signature, sizeof signature);
    buf_clear(&bytes);
    chunk_write(&bytes, entries, 1, signature);
    ck_assert_int_eq(receive(), CHUNK_OK);
    ck_assert(hash_equal(&chunk.entries[0].id, &id));
}
END_TEST

SUITE_MAIN_WITH("update", begin, end, a_chunk_comes_back_and_one_signature_proves_all_its_entries,
                u3_a_flipped_bit_in_any_byte_of_a_chunk_is_refused,
                a_flipped_bit_in_the_descriptor_is_refused, a_chunk_that_was_cut_or_goes_on_is_malformed,
                a_chunk_holds_1_to_64_entries, kinds_flags_lanes_and_sizes_that_no_entry_has_are_malformed,
                an_epoch_is_written_exactly_where_it_changes,
                a_chunk_begins_at_zero_without_a_prev_and_does_not_pass_the_last_seq,
                a_chunk_is_no_more_than_one_run, the_largest_run_is_within_the_bound_of_a_chunk,
                an_entry_whose_payload_is_withheld_is_proved_by_its_hash,
                a_chunk_of_one_lane_is_forged_in_every_other, entries_cannot_be_left_out_or_change_places,
                u4_a_signature_of_another_context_or_key_proves_nothing,
                u5_two_signatures_on_the_same_content_are_the_same_entry)
