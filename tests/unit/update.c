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

SUITE_MAIN_WITH("update", begin, end, a_chunk_comes_back_and_one_signature_proves_all_its_entries)
