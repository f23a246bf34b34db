#include "tests/support/check.h"
#include "tests/support/entries.h"

#include "store/base/pack.h"

#include <string.h>

static const char note[] =
    "The family moved to a safe home; the police called again, the police called again.";

/* What is left of a payload's room beside the seal. */
enum { SEALABLE_BYTES_MAX = PAYLOAD_BYTES_MAX - SEAL_BYTES };

static struct test_author author;
static struct entry entry;
static struct buf sealed;
static struct buf opened;

static void
begin(void)
{
    test_author_init(&author, 1);
}

static void
end(void)
{
    buf_free(&sealed);
    buf_free(&opened);
}

static enum entry_fault
open_entry(void)
{
    return entry_open(&entry, &author.log_id, &author.epoch,
                      entry.kind == ENTRY_DATA ? &author.record_key : NULL, &opened);
}

/* --- descriptor and header --- */

START_TEST(a_descriptor_comes_back_and_only_a_whole_one_is_read)
{
    uint8_t bytes[DESCRIPTOR_BYTES + 1] = { 0 };
    struct descriptor back;

    descriptor_write(bytes, &author.descriptor);
    ck_assert(descriptor_read(span_of(bytes, DESCRIPTOR_BYTES), &back));
    ck_assert_mem_eq(back.sign_pk, author.descriptor.sign_pk, SIGN_PK_BYTES);
    ck_assert_mem_eq(back.incarnation, author.descriptor.incarnation, 8);
    ck_assert(ident_equal(&back.compartment, &author.descriptor.compartment));
    ck_assert_uint_eq(back.lane, LANE_NORMAL);
    for (size_t size = 0; size < DESCRIPTOR_BYTES; size++) {
        ck_assert(!descriptor_read(span_of(bytes, size), &back));
    }
    ck_assert(!descriptor_read(span_of(bytes, sizeof bytes), &back));
    bytes[56] = LANE_COUNT;
    ck_assert(!descriptor_read(span_of(bytes, DESCRIPTOR_BYTES), &back));
}
END_TEST

START_TEST(every_part_of_a_descriptor_names_another_log)
{
    uint8_t bytes[DESCRIPTOR_BYTES];

    descriptor_write(bytes, &author.descriptor);
    for (size_t n = 0; n < DESCRIPTOR_BYTES; n++) {
        struct descriptor other;
        struct hash log_id;
        bytes[n] ^= 1;
        ck_assert(descriptor_read(span_of(bytes, sizeof bytes), &other));
        descriptor_log_id(&other, &log_id);
        ck_assert(!hash_equal(&log_id, &author.log_id));
        bytes[n] ^= 1;
    }
}
END_TEST

START_TEST(a_header_comes_back_and_every_byte_of_it_is_in_the_id)
{
    uint8_t bytes[HEADER_BYTES];
    uint8_t again[HEADER_BYTES];
    struct entry back;
    size_t read = 0;

    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    test_author_write(&author, &entry, ENTRY_DATA, ENTRY_URGENT_HINT, span_text(note), &sealed);
    entry_header_write(bytes, &entry);
    ck_assert(entry_header_read(span_of(bytes, sizeof bytes), &back));
    ck_assert_ptr_null(back.payload.data);
    entry_identify(&back, &author.log_id);
    ck_assert(hash_equal(&back.id, &entry.id));
    for (size_t bit = 0; bit < 8 * HEADER_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (entry_header_read(span_of(bytes, sizeof bytes), &back)) {
            entry_header_write(again, &back);
            ck_assert_mem_eq(again, bytes, HEADER_BYTES);
            entry_identify(&back, &author.log_id);
            ck_assert(!hash_equal(&back.id, &entry.id));
            read++;
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* All but a few bits of version, kind, lane, flags and size. */
    ck_assert_uint_gt(read, 8 * (HEADER_BYTES - 8));
}
END_TEST

static bool
header_taken(size_t at, uint8_t value)
{
    uint8_t bytes[HEADER_BYTES];
    struct entry back;

    entry_header_write(bytes, &entry);
    bytes[at] = value;
    return entry_header_read(span_of(bytes, sizeof bytes), &back);
}

START_TEST(a_header_that_no_entry_has_is_refused)
{
    uint8_t bytes[HEADER_BYTES + 1] = { 0 };
    struct entry back;

    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    entry_header_write(bytes, &entry);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        ck_assert(entry_header_read(span_of(bytes, size), &back) == (size == HEADER_BYTES));
    }
    for (unsigned value = 0; value < 256; value++) {
        ck_assert(header_taken(0, (uint8_t)value) == (value == 1));
        ck_assert(header_taken(1, (uint8_t)value) == (value <= 2 || value == 5 || value == 6));
        ck_assert(header_taken(2, (uint8_t)value) == (value < 4));
        ck_assert(header_taken(3, (uint8_t)value) == (value < 16));
    }
    ck_assert(!header_taken(12, 1)); /* a prev at seq 0 */
    entry.payload_size = SEAL_BYTES - 1;
    ck_assert(!entry_plausible(&entry));
    entry.payload_size = SEAL_BYTES;
    ck_assert(entry_plausible(&entry));
    entry.payload_size = PAYLOAD_BYTES_MAX;
    ck_assert(entry_plausible(&entry));
    entry.payload_size = PAYLOAD_BYTES_MAX + 1;
    ck_assert(!entry_plausible(&entry));
}
END_TEST

/* --- payloads --- */

START_TEST(what_was_sealed_opens_in_every_kind_and_form)
{
    static const enum entry_kind kinds[] = { ENTRY_DATA, ENTRY_CONTROL, ENTRY_KEY, ENTRY_RECEIPT,
                                             ENTRY_SEAL };
    uint8_t noise[40];

    world_random(&author.test.world, noise, sizeof noise);
    const struct span payloads[] = { span_text(note), span_of(noise, sizeof noise), span_of(noise, 0) };
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        for (size_t n = 0; n < 3; n++) {
            for (unsigned padded = 0; padded < 2; padded++) {
                bool smaller = n == 0 && kinds[kind] != ENTRY_KEY; /* of which it is not tried */
                unsigned flags = (smaller ? ENTRY_COMPRESSED : 0u) | (padded != 0 ? ENTRY_PADDED : 0u);
                test_author_write(&author, &entry, kinds[kind],
                                  (uint8_t)(ENTRY_URGENT_HINT | (padded != 0 ? ENTRY_PADDED : 0)),
                                  payloads[n], &sealed);
                ck_assert_uint_eq(entry.flags, flags | ENTRY_URGENT_HINT);
                ck_assert_uint_eq(entry.payload.size, entry.payload_size);
                ck_assert_int_eq(open_entry(), FAULT_NONE);
                ck_assert(span_equal(buf_span(&opened), payloads[n]));
            }
        }
    }
}
END_TEST

START_TEST(c11_a_padded_payload_tells_no_more_than_its_bucket)
{
    static const size_t buckets[] = { 128, 256, 512, 1024, 2048, 4096, 16384, SEALABLE_BYTES_MAX };
    static uint8_t noise[SEALABLE_BYTES_MAX];

    world_random(&author.test.world, noise, sizeof noise);
    for (size_t n = 0; n < sizeof buckets / sizeof buckets[0]; n++) {
        size_t least = n == 0 ? 0 : buckets[n - 1];
        const size_t sizes[] = { least, least + 1, buckets[n] - 1 };
        for (size_t s = 0; s < 3; s++) {
            struct span payload = span_of(noise, sizes[s]);
            test_author_write(&author, &entry, ENTRY_DATA, ENTRY_PADDED, payload, &sealed);
            ck_assert_uint_eq(entry.payload_size, buckets[n] + SEAL_BYTES);
            ck_assert_int_eq(open_entry(), FAULT_NONE);
            ck_assert(span_equal(buf_span(&opened), payload));
        }
    }
}
END_TEST

static enum err
try_seal(struct span payload, bool pad)
{
    struct entry trial = { .kind = ENTRY_DATA, .lane = LANE_NORMAL };

    return entry_seal(&trial, &author.log_id, &author.epoch, &author.record_key, payload, pad, &sealed);
}

START_TEST(a_payload_larger_than_an_entry_may_be_is_not_sealed)
{
    static uint8_t noise[PAYLOAD_BYTES_MAX];
    static const uint8_t zeros[PAYLOAD_PLAIN_BYTES_MAX + 1];

    world_random(&author.test.world, noise, sizeof noise);
    ck_assert_int_eq(try_seal(span_of(noise, SEALABLE_BYTES_MAX), false), ERR_OK);
    ck_assert_int_eq(try_seal(span_of(noise, SEALABLE_BYTES_MAX + 1), false), ERR_FULL);
    ck_assert_int_eq(try_seal(span_of(noise, SEALABLE_BYTES_MAX - 1), true), ERR_OK);
    ck_assert_int_eq(try_seal(span_of(noise, SEALABLE_BYTES_MAX), true), ERR_FULL);
    ck_assert_int_eq(try_seal(span_of(zeros, PAYLOAD_PLAIN_BYTES_MAX), false), ERR_OK);
    ck_assert_int_eq(try_seal(span_of(zeros, PAYLOAD_PLAIN_BYTES_MAX + 1), false), ERR_FULL);
}
END_TEST

START_TEST(every_bit_of_header_and_payload_is_authenticated_by_the_seal)
{
    uint8_t bytes[HEADER_BYTES];
    struct entry whole;

    test_author_write(&author, &whole, ENTRY_DATA, 0, span_text(note), &sealed);
    entry_header_write(bytes, &whole);
    for (size_t bit = 0; bit < 8 * HEADER_BYTES; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* The hash of the ciphertext is no part of what is sealed, and another size has another payload. */
        bool hash = bit >= 8 * 44 && bit < 8 * 76;
        if (entry_header_read(span_of(bytes, sizeof bytes), &entry) &&
            entry.payload_size == whole.payload_size) {
            entry.payload = whole.payload;
            ck_assert_int_eq(open_entry(), hash ? FAULT_NONE : FAULT_DOES_NOT_OPEN);
            ck_assert(hash || opened.size == 0);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    entry = whole;
    for (size_t bit = 0; bit < 8 * sealed.size; bit++) {
        sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(open_entry(), FAULT_DOES_NOT_OPEN);
        sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(open_entry(), FAULT_NONE);
}
END_TEST

START_TEST(an_entry_of_one_log_does_not_open_as_one_of_another)
{
    struct hash other = author.log_id;

    other.bytes[31] ^= 1;
    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    ck_assert_int_eq(entry_open(&entry, &other, &author.epoch, &author.record_key, &opened),
                     FAULT_DOES_NOT_OPEN);
}
END_TEST

START_TEST(data_needs_both_the_epoch_key_and_the_record_key)
{
    struct key new_epoch_key;
    struct epoch_keys new_epoch;
    struct key other_record_key = author.record_key;

    world_random(&author.test.world, new_epoch_key.bytes, KEY_BYTES);
    epoch_keys_of(&new_epoch, &new_epoch_key);
    other_record_key.bytes[0] ^= 1;
    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    /* After an erasure the record's key is gone, and the epoch's opens nothing. */
    ck_assert_int_eq(entry_open(&entry, &author.log_id, &author.epoch, &other_record_key, &opened),
                     FAULT_DOES_NOT_OPEN);
    /* A removed member keeps the keys of old records but gets no key of the new epoch. */
    struct epoch_keys old_epoch = author.epoch;
    author.epoch = new_epoch;
    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    ck_assert_int_eq(entry_open(&entry, &author.log_id, &old_epoch, &author.record_key, &opened),
                     FAULT_DOES_NOT_OPEN);
    ck_assert_int_eq(entry_open(&entry, &author.log_id, &new_epoch, &author.record_key, &opened), FAULT_NONE);
    ck_assert(span_equal(buf_span(&opened), span_text(note)));
}
END_TEST

START_TEST(the_keys_of_an_epoch_are_all_different)
{
    ck_assert(!crypto_equal(&author.epoch.epoch, &author.epoch.reference, KEY_BYTES));
    ck_assert(!crypto_equal(&author.epoch.epoch, &author.epoch.other, KEY_BYTES));
    ck_assert(!crypto_equal(&author.epoch.reference, &author.epoch.other, KEY_BYTES));
}
END_TEST

/* Seal `plain` with these flags as it is, and say what opening finds. */
static enum entry_fault
fault_of(unsigned flags, struct span plain)
{
    entry = (struct entry){ .kind = ENTRY_DATA, .lane = LANE_NORMAL, .flags = (uint8_t)flags };
    test_seal_raw(&entry, &author, plain, &sealed);
    enum entry_fault fault = open_entry();
    ck_assert(fault == FAULT_NONE || opened.size == 0);
    return fault;
}

START_TEST(only_the_one_padding_of_a_payload_is_taken)
{
    uint8_t plain[512] = { 1, 2, 3, 0x80 };

    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 128)), FAULT_NONE);
    ck_assert_uint_eq(opened.size, 3);
    ck_assert_int_eq(fault_of(0, span_of(plain, 128)), FAULT_NONE);
    ck_assert_uint_eq(opened.size, 128);
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 0)), FAULT_PADDING);
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 4)), FAULT_PADDING);
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 127)), FAULT_PADDING);
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 129)), FAULT_PADDING);
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 256)), FAULT_PADDING);
    plain[3] = 0x81;
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 128)), FAULT_PADDING);
    memset(plain, 0, sizeof plain);
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 128)), FAULT_PADDING);
    plain[0] = 0x80;
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 128)), FAULT_NONE);
    ck_assert_uint_eq(opened.size, 0);
    memset(plain, 7, sizeof plain);
    plain[128] = 0x80;
    memset(plain + 129, 0, 127);
    ck_assert_int_eq(fault_of(ENTRY_PADDED, span_of(plain, 256)), FAULT_NONE);
    ck_assert_uint_eq(opened.size, 128);
}
END_TEST

START_TEST(what_does_not_unpack_is_told_apart_by_its_reason)
{
    struct buf plain = { 0 };

    buf_put_varint(&plain, PACK_MAJOR);
    pack_compress(span_text(note), &plain);
    ck_assert_int_eq(fault_of(ENTRY_COMPRESSED, buf_span(&plain)), FAULT_NONE);
    ck_assert(span_equal(buf_span(&opened), span_text(note)));
    ck_assert_int_eq(fault_of(ENTRY_COMPRESSED, span_of(plain.data, plain.size - 1)), FAULT_COMPRESSION);
    /* A dictionary that we do not have yet; a number in a longer form than it needs. */
    plain.data[0] = PACK_MAJOR + 1;
    ck_assert_int_eq(fault_of(ENTRY_COMPRESSED, buf_span(&plain)), FAULT_SCHEMA);
    ck_assert_int_eq(fault_of(ENTRY_COMPRESSED, span_of("\x81\x00", 2)), FAULT_COMPRESSION);
    ck_assert_int_eq(fault_of(ENTRY_COMPRESSED, span_of("", 0)), FAULT_COMPRESSION);
    /* One byte more than may be, in a run of one block after another. */
    buf_clear(&plain);
    buf_put(&plain, "\x01\xa0\x01\x00\x10\x00", 6);
    for (size_t n = 0; n < 8; n++) {
        buf_put(&plain, "\x02\x00\x10z", 4);
    }
    buf_put(&plain, "\x0b\x00\x00z", 4);
    ck_assert_int_eq(fault_of(ENTRY_COMPRESSED, buf_span(&plain)), FAULT_TOO_LARGE);
    plain.data[2] = 0;
    plain.data[plain.size - 4] = 0x03;
    ck_assert_int_eq(fault_of(ENTRY_COMPRESSED, buf_span(&plain)), FAULT_NONE);
    ck_assert_uint_eq(opened.size, PAYLOAD_PLAIN_BYTES_MAX);
    buf_free(&plain);
}
END_TEST

/* --- references --- */

START_TEST(only_a_reader_finds_the_record_of_an_entry)
{
    uint8_t prefix[8];
    struct epoch_keys other_epoch;
    struct key other_key = author.record_key;

    other_key.bytes[31] ^= 1;
    epoch_keys_of(&other_epoch, &other_key);
    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    entry_reference_prefix(prefix, &entry, &author.log_id, &author.epoch);
    ck_assert_mem_eq(prefix, author.record_id.bytes, sizeof prefix);
    entry_reference_prefix(prefix, &entry, &author.log_id, &other_epoch);
    ck_assert_mem_ne(prefix, author.record_id.bytes, sizeof prefix);
    ck_assert_mem_ne(entry.reference, author.record_id.bytes, sizeof prefix);
}
END_TEST

START_TEST(the_membership_tag_is_that_of_one_record_and_one_place)
{
    struct key other_key = author.record_key;
    struct key other_erase_key;
    struct entry moved;
    struct hash other_log = author.log_id;
    uint8_t first_reference[16];

    other_key.bytes[0] ^= 1;
    record_key_erase(&other_erase_key, &other_key);
    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    ck_assert(entry_is_member(&entry, &author.log_id, &author.erase_key));
    ck_assert(!entry_is_member(&entry, &author.log_id, &other_erase_key));
    ck_assert(!entry_is_member(&entry, &author.log_id, &author.record_key));
    other_log.bytes[0] ^= 1;
    ck_assert(!entry_is_member(&entry, &other_log, &author.erase_key));
    moved = entry;
    moved.seq++;
    ck_assert(!entry_is_member(&moved, &author.log_id, &author.erase_key));
    moved = entry;
    moved.salt[0] ^= 1;
    ck_assert(!entry_is_member(&moved, &author.log_id, &author.erase_key));
    moved = entry;
    moved.prev.bytes[31] ^= 1;
    ck_assert(!entry_is_member(&moved, &author.log_id, &author.erase_key));
    /* Two entries of one record have nothing in common to those outside. */
    memcpy(first_reference, entry.reference, sizeof first_reference);
    test_author_write(&author, &entry, ENTRY_DATA, 0, span_text(note), &sealed);
    ck_assert_mem_ne(entry.reference, first_reference, 8);
    ck_assert_mem_ne(entry.reference + 8, first_reference + 8, 8);
}
END_TEST

START_TEST(the_case_half_is_derived_from_the_protected_half_and_not_back)
{
    struct key case_key;
    struct key again;
    struct ident case_id;
    struct ident protected_id;

    record_key_case(&case_key, &author.record_key);
    record_key_case(&again, &case_key);
    record_key_id(&case_id, &case_key);
    record_key_id(&protected_id, &author.record_key);
    ck_assert(!crypto_equal(&case_key, &author.record_key, KEY_BYTES));
    ck_assert(!crypto_equal(&again, &author.record_key, KEY_BYTES));
    ck_assert(!ident_equal(&case_id, &protected_id));
    record_key_case(&again, &author.record_key);
    ck_assert(crypto_equal(&again, &case_key, KEY_BYTES));
}
END_TEST

/* --- runs --- */

START_TEST(a_run_ends_after_64_entries)
{
    struct run run = { 0 };

    ck_assert(!run_breaks(&run, PAYLOAD_BYTES_MAX));
    for (uint32_t n = 0; n < 3 * RUN_ENTRIES_MAX; n++) {
        ck_assert(run_breaks(&run, 17) == (n > 0 && n % RUN_ENTRIES_MAX == 0));
        run_step(&run, 17);
        ck_assert_uint_eq(run.count, n % RUN_ENTRIES_MAX + 1);
        ck_assert_uint_eq(run.payload_bytes, 17 * run.count);
        ck_assert(run_is_full(&run) == ((n + 1) % RUN_ENTRIES_MAX == 0));
    }
}
END_TEST

START_TEST(a_run_ends_before_its_payloads_would_pass_12288_bytes)
{
    struct run run = { 0 };

    run_step(&run, 12000);
    ck_assert(!run_breaks(&run, 288));
    ck_assert(run_breaks(&run, 289));
    run_step(&run, 288);
    ck_assert_uint_eq(run.count, 2);
    ck_assert(run_breaks(&run, 16));
    /* A larger payload is a run of its own. */
    run_step(&run, PAYLOAD_BYTES_MAX);
    ck_assert_uint_eq(run.count, 1);
    ck_assert(run_breaks(&run, 16));
    run_step(&run, 16);
    ck_assert_uint_eq(run.count, 1);
    ck_assert_uint_eq(run.payload_bytes, 16);
    ck_assert(run_breaks(&run, PAYLOAD_BYTES_MAX));
}
END_TEST

SUITE_MAIN_WITH("entry", begin, end, a_descriptor_comes_back_and_only_a_whole_one_is_read,
                every_part_of_a_descriptor_names_another_log,
                a_header_comes_back_and_every_byte_of_it_is_in_the_id, a_header_that_no_entry_has_is_refused,
                what_was_sealed_opens_in_every_kind_and_form,
                c11_a_padded_payload_tells_no_more_than_its_bucket,
                a_payload_larger_than_an_entry_may_be_is_not_sealed,
                every_bit_of_header_and_payload_is_authenticated_by_the_seal,
                an_entry_of_one_log_does_not_open_as_one_of_another,
                data_needs_both_the_epoch_key_and_the_record_key, the_keys_of_an_epoch_are_all_different,
                only_the_one_padding_of_a_payload_is_taken, what_does_not_unpack_is_told_apart_by_its_reason,
                only_a_reader_finds_the_record_of_an_entry,
                the_membership_tag_is_that_of_one_record_and_one_place,
                the_case_half_is_derived_from_the_protected_half_and_not_back, a_run_ends_after_64_entries,
                a_run_ends_before_its_payloads_would_pass_12288_bytes)
