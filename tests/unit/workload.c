#include "tests/bench/workload.h"
#include "tests/support/check.h"

#include "store/base/cbor.h"
#include "sync/update.h"

#include <stdlib.h>
#include <string.h>

enum { UPDATES = 5000, ENTRY_BYTES_LIMIT = 150 };

/* H("vigil.test.lines", the first 1,000 lines of JSON of 20,000 updates), which the generator of the programs
 * we are compared with gave too. */
static const char golden_lines[] = "278a957fdbbda6b1efddaef3fedfa47da7ac10d200c65a37b996df09c9e10da2";

struct known {
    struct ident id;
    struct key key;
};

static struct workload_world world;
static struct workload_logs logs;
static struct epoch_keys epoch;
static struct known *known;
static size_t known_count;

START_TEST(the_lines_are_those_of_the_generator_we_share)
{
    struct workload workload;
    struct workload_update update;
    struct buf lines = { 0 };
    struct hash hash;
    char hex[2 * HASH_BYTES + 1];

    ck_assert_int_eq(workload_open(&workload, 20000, WORKLOAD_SEED), ERR_OK);
    for (size_t n = 0; n < 1000; n++) {
        ck_assert(workload_next(&workload, &update));
        workload_json(&lines, &update);
    }
    workload_close(&workload);
    CRYPTO_HASH(&hash, "vigil.test.lines", buf_span(&lines));
    bytes_hex(hex, hash_span(&hash));
    ck_assert_str_eq(hex, golden_lines);
    buf_free(&lines);
}
END_TEST

START_TEST(the_workload_ends_and_every_case_opens_once)
{
    struct workload workload;
    struct workload_update update;
    uint64_t count = 0;
    uint64_t first = 0;

    ck_assert_int_eq(workload_open(&workload, 3000, WORKLOAD_SEED), ERR_OK);
    while (workload_next(&workload, &update)) {
        ck_assert_uint_eq(update.seq, count);
        ck_assert_uint_lt(update.record, workload.record_count);
        ck_assert_uint_lt(update.office, WORKLOAD_OFFICES);
        count++;
        first += update.first;
    }
    ck_assert_uint_eq(count, 3000);
    size_t seen = 0;
    for (size_t n = 0; n < workload.record_count; n++) {
        seen += workload.seen[n];
    }
    ck_assert_uint_eq(seen, first);
    workload_close(&workload);
}
END_TEST

START_TEST(the_codebook_is_one_that_a_node_takes_and_accepts_every_value)
{
    const struct codebook *codebook = workload_codebook();
    struct workload workload;
    struct workload_update update;
    struct codebook *back = NULL;
    struct buf encoded = { 0 };
    struct buf value = { 0 };

    codebook_encode(codebook, &encoded);
    ck_assert_int_eq(codebook_decode(buf_span(&encoded), &back), ERR_OK);
    ck_assert_int_eq(workload_open(&workload, 2000, WORKLOAD_SEED), ERR_OK);
    while (workload_next(&workload, &update)) {
        for (size_t n = 0; n < update.value_count; n++) {
            const struct codebook_field *field = codebook_field(back, update.values[n].field);
            ck_assert_ptr_nonnull(field);
            buf_clear(&value);
            if (update.values[n].number > 0) {
                cbor_put_uint(&value, update.values[n].number);
            } else {
                cbor_put_text(&value, span_text(update.values[n].text));
            }
            ck_assert_msg(codebook_accepts(back, field, buf_span(&value)), "%s: %s", field->name,
                          update.values[n].text);
        }
    }
    workload_close(&workload);
    codebook_free(&back);
    buf_free(&encoded);
    buf_free(&value);
}
END_TEST

/* --- as entries --- */

/* Take in a log as a peer does, handing each entry and its payload to `take`. */
static uint64_t
read_log(const struct workload_log *log, void (*take)(const struct workload_log *, const struct entry *))
{
    static struct chunk chunk;
    struct hash prev = { { 0 } };
    struct run run = { 0 };
    uint64_t count = 0;

    for (size_t n = 0; n < log->chunk_count; n++) {
        ck_assert_int_eq(chunk_read(workload_chunk(log, n), log->descriptor.lane, &chunk), CHUNK_OK);
        chunk_identify(&chunk, &log->log_id, &prev);
        ck_assert_int_eq(chunk_verify(&chunk, log->descriptor.sign_pk), CHUNK_OK);
        ck_assert_uint_eq(chunk.first_seq, count);
        for (size_t e = 0; e < chunk.entry_count; e++) {
            /* Each chunk is a whole run: it begins where a run breaks and nowhere else. */
            ck_assert(run_breaks(&run, chunk.entries[e].payload_size) == (e == 0 && n > 0));
            run_step(&run, chunk.entries[e].payload_size);
            take(log, &chunk.entries[e]);
        }
        prev = chunk.entries[chunk.entry_count - 1].id;
        count += chunk.entry_count;
    }
    return count;
}

static void
take_key(const struct workload_log *log, const struct entry *entry)
{
    struct buf payload = { 0 };
    struct known *next = &known[known_count++];
    uint8_t prefix[8];

    ck_assert_uint_eq(entry->kind, ENTRY_KEY);
    ck_assert_int_eq(entry_open(entry, &log->log_id, &epoch, NULL, &payload), FAULT_NONE);
    ck_assert(cbor_valid(buf_span(&payload)));
    /* The key is the last value of the map. */
    ck_assert_uint_gt(payload.size, KEY_BYTES);
    memcpy(next->key.bytes, payload.data + payload.size - KEY_BYTES, KEY_BYTES);
    record_key_id(&next->id, &next->key);
    entry_reference_prefix(prefix, entry, &log->log_id, &epoch);
    ck_assert_mem_eq(prefix, next->id.bytes, sizeof prefix);
    buf_wipe(&payload);
}

static int
by_id(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

static void
take_data(const struct workload_log *log, const struct entry *entry)
{
    struct buf payload = { 0 };
    struct known wanted;
    struct key erase_key;

    entry_reference_prefix(wanted.id.bytes, entry, &log->log_id, &epoch);
    const struct known *found = bsearch(&wanted, known, known_count, sizeof *known, by_id);
    ck_assert_ptr_nonnull(found);
    record_key_erase(&erase_key, &found->key);
    ck_assert(entry_is_member(entry, &log->log_id, &erase_key));
    ck_assert_int_eq(entry_open(entry, &log->log_id, &epoch, &found->key, &payload), FAULT_NONE);
    ck_assert(cbor_valid(buf_span(&payload)));
    buf_wipe(&payload);
}

START_TEST(every_entry_verifies_opens_and_belongs_to_its_case)
{
    uint64_t keys = 0;
    uint64_t data = 0;

    workload_world_init(&world, 7);
    ck_assert_int_eq(workload_build(&logs, UPDATES, &world), ERR_OK);
    epoch_keys_of(&epoch, &world.epoch_key);
    known = calloc(logs.record_count, sizeof *known);
    ck_assert_ptr_nonnull(known);
    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        keys += read_log(&logs.keys[n], take_key);
    }
    qsort(known, known_count, sizeof *known, by_id);
    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        data += read_log(&logs.data[n], take_data);
    }
    ck_assert_uint_eq(keys, logs.sizes.key_entries);
    ck_assert_uint_eq(data, UPDATES);
    ck_assert_uint_eq(data, logs.sizes.entries);
    free(known);
    workload_logs_free(&logs);
}
END_TEST

START_TEST(the_same_world_writes_the_same_bytes)
{
    struct workload_logs again;

    workload_world_init(&world, 7);
    ck_assert_int_eq(workload_build(&logs, 500, &world), ERR_OK);
    ck_assert_int_eq(workload_build(&again, 500, &world), ERR_OK);
    for (size_t n = 0; n < WORKLOAD_OFFICES; n++) {
        ck_assert(span_equal(buf_span(&logs.data[n].bytes), buf_span(&again.data[n].bytes)));
        ck_assert(span_equal(buf_span(&logs.keys[n].bytes), buf_span(&again.keys[n].bytes)));
    }
    workload_logs_free(&logs);
    workload_logs_free(&again);
}
END_TEST

START_TEST(an_entry_costs_no_more_than_150_bytes_in_a_chunk)
{
    workload_world_init(&world, 7);
    ck_assert_int_eq(workload_build(&logs, UPDATES, &world), ERR_OK);
    const struct workload_sizes *sizes = &logs.sizes;
    ck_assert_uint_eq(sizes->frames + sizes->fixed + sizes->seals + sizes->content, sizes->chunks);
    ck_assert_uint_le(sizes->chunks, ENTRY_BYTES_LIMIT * sizes->entries);
    workload_logs_free(&logs);
}
END_TEST

static void
begin(void)
{
    ck_assert_int_eq(crypto_start(), ERR_OK);
}

SUITE_MAIN_WITH("workload", begin, NULL, the_lines_are_those_of_the_generator_we_share,
                the_workload_ends_and_every_case_opens_once,
                the_codebook_is_one_that_a_node_takes_and_accepts_every_value,
                every_entry_verifies_opens_and_belongs_to_its_case, the_same_world_writes_the_same_bytes,
                an_entry_costs_no_more_than_150_bytes_in_a_chunk)
